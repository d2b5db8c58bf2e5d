import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular import words
from tabular.numbers import PADDING, padded
from tabular.words import Vocabulary, hashed, hashes_of, mixed, places_within, words_of
from tests.unit.tabular.tables import blocks_of, rows_of

LONG = st.integers(60, 200).flatmap(
    lambda count: st.sampled_from(["x", "y", "é"]).map(lambda c: c * count)
)
TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "b", " a", "a\t", "eight ch", "nine char", '"a"', '"a""b"', '"c,d"', '"e\nf"']
    ),
    st.sampled_from(["\u00a0a", "é", "花", "\x00", "a\x00"]),
    LONG,
)


def of(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block of texts, and where they start and end."""
    ends = np.cumsum([len(text) for text in texts], dtype=np.intp)
    return padded(b"".join(texts)), ends - np.array([len(text) for text in texts], np.intp), ends


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=30), st.integers(1, 300), st.integers(2, 1 << 16))
def test_a_vocabulary_gives_texts_the_numbers_that_a_dict_gives(texts, size, remembered):
    numbers: dict[str, int] = {}
    vocabulary = Vocabulary(lambda text: numbers.setdefault(text, len(numbers)))
    with patch.object(words, "_MAX_REMEMBERED", remembered):
        for block in blocks_of("".join(f"1,{text}\n" for text in texts), size=size):
            expected = [block.rows.text(1, row) for row in range(len(block.rows.records))]
            found = vocabulary.numbers(block.rows, 1).tolist()
            assert found == [numbers.get(text) for text in expected]


def test_a_vocabulary_asks_once_for_each_text_whatever_its_length():
    asked = []
    vocabulary = Vocabulary(lambda text: asked.append(text) or len(asked))
    rows = rows_of(
        "".join(f"1,{text}\n" for text in ["a", "", "x" * 70, "x" * 71, "a", "x" * 70] * 9)
    )
    for _ in range(3):
        vocabulary.numbers(rows, 1)
    assert sorted(asked) == ["", "a", "x" * 70, "x" * 71]


@pytest.mark.parametrize("order", [["", "x" * 70], ["x" * 70, ""]])
def test_a_long_text_does_not_give_its_number_to_an_empty_one(order):
    rows = rows_of("".join(f"1,{text}\n" for text in order))
    assert Vocabulary(len).numbers(rows, 1).tolist() == [len(text) for text in order]


def test_a_vocabulary_of_no_rows_knows_nothing():
    (block,) = blocks_of("1\n2\n")
    assert Vocabulary(len).numbers(block.rows, 1).tolist() == []


@given(
    st.lists(st.binary(max_size=30) | st.binary(min_size=60, max_size=90), min_size=1, max_size=20)
)
def test_words_and_hashes_are_equal_just_where_texts_are(texts):
    short = [text[:PADDING] for text in texts]
    array, starts, ends = of(short)
    words = np.column_stack([(ends - starts).astype(np.uint64), words_of(array, starts, ends)])
    for read, found in (
        (short, words.tolist()),
        (short, hashed(words.T).tolist()),
        (texts, hashes_of(*of(texts)).tolist()),
    ):
        for place, text in enumerate(read):
            for other, same in enumerate(read):
                assert (found[place] == found[other]) == (text == same)


@pytest.mark.parametrize("length", [0, 3, 8, 64, 65, 100])
def test_a_hash_does_not_depend_on_the_texts_beside_it(length):
    alone = hashes_of(*of([b"r" * length]))[0]
    for beside in (b"", b"x" * 100, b"x" * 5000):
        assert hashes_of(*of([beside, b"r" * length, beside]))[1] == alone


@pytest.mark.parametrize("place", range(8))
def test_long_texts_that_differ_in_where_a_byte_stands_have_different_hashes(place):
    count = 2000
    texts = np.full((count, 8 * count), ord("0"), np.uint8)
    texts[np.arange(count), 8 * np.arange(count) + place] = ord("1")
    assert len(np.unique(hashed(texts.view(np.uint64).T))) == count


def test_hashes_are_the_same_on_every_machine():
    hashes = hashes_of(*of([b"patient 7", b"", b"x" * 65])).tolist()
    assert [f"{number:016x}" for number in hashes] == [
        "ee3a4bca52abe9c9",
        "0000000000000000",
        "36c9c5df1f7285c0",
    ]


def test_mixed_numbers_look_random_and_differ():
    numbers = mixed(np.arange(100_000, dtype=np.uint64))
    assert len(np.unique(numbers)) == 100_000
    bits = np.unpackbits(numbers.view(np.uint8)).mean()
    assert abs(bits - 0.5) < 0.001


@given(st.lists(st.integers(0, 4)), st.lists(st.integers(0, 99), min_size=5, max_size=5))
def test_rows_are_counted_within_their_groups(groups, before):
    places, after = places_within(np.array(groups, np.intp), np.array(before))
    counts = list(before)
    for group, place in zip(groups, places.tolist(), strict=True):
        assert place == counts[group]
        counts[group] += 1
    assert after.tolist() == counts


def test_there_may_be_more_groups_than_16_bits_can_tell_apart():
    groups = np.array([0, 1 << 16, 0, 1 << 16])
    places, after = places_within(groups, np.zeros((1 << 16) + 1, np.intp))
    assert places.tolist() == [0, 0, 1, 1]
    assert (after[0], after[-1], after.sum()) == (2, 2, 4)


def test_a_huge_text_takes_no_memory_for_the_rows_beside_it():
    rows = rows_of("1,a\n" * 100_000 + "1," + "x" * 600_000 + "\n")
    starts, ends = rows.bounds([1])
    tracemalloc.start()
    hashes_of(rows.array, starts[0], ends[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32_000_000
