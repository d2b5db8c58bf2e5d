import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from stratify import held_out_counts, split

counts = st.lists(st.integers(2, 200), min_size=2, max_size=8)
fractions = st.floats(0.01, 0.99)


def test_a_quarter_of_iris_is_38_rows_as_in_the_introduction():
    held_out = held_out_counts([50, 50, 50], 0.25)
    _, test = train_test_split(range(150), random_state=0)
    assert sum(held_out) == len(test) == 38
    assert held_out == [13, 13, 12]


@given(counts, fractions)
def test_each_class_has_a_row_on_either_side_and_its_share_within_one(class_counts, fraction):
    for held, count in zip(held_out_counts(class_counts, fraction), class_counts, strict=True):
        assert 1 <= held <= count - 1
        assert abs(held - count * fraction) < 1 or held in (1, count - 1)


@given(st.lists(st.integers(100, 500), min_size=2, max_size=8), st.floats(0.05, 0.95))
def test_the_total_is_rounded_up(class_counts, fraction):
    total = sum(held_out_counts(class_counts, fraction))
    assert total == math.ceil(sum(class_counts) * fraction)


@given(counts, fractions, st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_exactly_the_wanted_rows_of_each_class_are_held_out(class_counts, fraction, seed, draw):
    labels = [label for label, count in enumerate(class_counts) for _ in range(count)]
    draw.shuffle(labels)
    held_out = held_out_counts(class_counts, fraction)
    chosen = list(split(labels, class_counts, held_out, seed))
    found = Counter(label for label, is_test in zip(labels, chosen, strict=True) if is_test)
    assert [found[label] for label in range(len(class_counts))] == held_out


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    labels = [0, 1] * 50
    first, again, other = (list(split(labels, [50, 50], [12, 13], seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_every_row_is_as_likely_as_any_other_to_be_held_out():
    times = Counter(
        place
        for seed in range(4000)
        for place, is_test in enumerate(split([0] * 10, [10], [3], seed))
        if is_test
    )
    assert all(abs(times[place] - 1200) < 150 for place in range(10))
