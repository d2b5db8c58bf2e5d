import math
import re
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decimals import MAX_DIGITS, MAX_LENGTH, MAX_SCALE, Decimals, padded, read_decimals
from pipeline.keys import number_key, text_key
from pipeline.moments import Moments
from pipeline.transform import FARTHEST, FeatureTransform, Transform, fixed
from pipeline.words import hashed, words_of, words_of_table

PLAIN = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
TEXTS = st.lists(
    st.one_of(
        st.decimals(-(10**8), 10**8, places=2).map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.3f}"),
        st.floats(-1, 1, allow_subnormal=False).map(repr),
        st.integers(-(10**20), 10**20).map(str),
        st.text(st.sampled_from("0123456789.-+e x"), max_size=28),
        st.text(st.sampled_from("0.5"), max_size=28),
    ),
    min_size=1,
    max_size=20,
)


def fields(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts as one column of a block."""
    data = ",".join(texts).encode() + b"\n"
    ends = np.cumsum([len(text.encode()) + 1 for text in texts]) - 1
    starts = ends - [len(text.encode()) for text in texts]
    return padded(data), starts[None], ends[None]


def read(texts: list[str]) -> Decimals:
    return read_decimals(*fields(texts))


@given(TEXTS, st.booleans())
def test_plain_decimals_are_read_exactly_and_nothing_else_is(texts, many):
    # Many rows of a column take another way than few.
    texts = texts * 300 if many else texts
    numbers = read(texts)
    for place, text in enumerate(texts[:300]):
        whole, _, part = text.removeprefix("-").partition(".")
        is_plain = (
            PLAIN.fullmatch(text) is not None
            and int(whole + part) < 10**MAX_DIGITS
            and len(part) <= MAX_SCALE
            and len(text.removeprefix("-")) <= MAX_LENGTH
        )
        assert bool(numbers.plain[0, place]) == is_plain
        if is_plain:
            value = Fraction(int(numbers.mantissa[0, place]), 10 ** int(numbers.scale[0, place]))
            assert value == Fraction(text.rstrip(".") or "0")


@given(st.lists(st.decimals(-(10**12), 10**12, places=3), min_size=600, max_size=601))
@settings(max_examples=20, deadline=None)
def test_the_values_of_up_to_15_digits_are_those_that_python_reads(decimals):
    texts = [str(decimal) for decimal in decimals]
    assert read(texts).values()[0].tolist() == [float(text) for text in texts]


@given(st.lists(st.decimals(-(10**16), 10**16, places=1), min_size=2, max_size=50), st.booleans())
def test_mean_and_deviation_are_exact_whichever_way_numbers_come(decimals, one_by_one):
    texts = [f"{decimal:f}" for decimal in decimals]
    moments = Moments(1)
    if one_by_one:
        for text in texts:
            moments.add_text(0, text)
    else:
        moments.add(read(texts))
    exact = [Fraction(text) for text in texts]
    assert moments.mean(0) == float(sum(exact) / len(exact))
    assert moments.std(0) == pytest.approx(math.sqrt(statistics.variance(exact)), rel=1e-15)


@given(st.lists(st.floats(1e-4, 100) | st.floats(-100, -1e-4), min_size=2, max_size=20))
@settings(max_examples=20, deadline=None)
def test_floats_as_python_writes_them_are_read_many_at_a_time_and_counted_exactly(floats):
    floats = floats * 300
    texts = [repr(number) for number in floats]
    numbers = read(texts)
    assert numbers.plain.all()
    moments = Moments(1)
    moments.add(numbers)
    exact = [Fraction(text) for text in texts]
    assert moments.mean(0) == float(sum(exact) / len(exact))
    assert moments.std(0) == pytest.approx(math.sqrt(statistics.variance(exact)), rel=1e-15)
    assert (moments.min, moments.max) == ([min(floats)], [max(floats)])


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr))))
def test_moments_of_parts_are_those_of_the_whole_to_the_last_bit(parts):
    whole, merged = Moments(1), Moments(1)
    for part in parts:
        of_part = Moments(1)
        for text in part:
            whole.add_text(0, text)
            of_part.add_text(0, text)
        merged.merge(Moments.from_dict(of_part.as_dict()))
    assert (merged.mean(0), merged.std(0)) == (whole.mean(0), whole.std(0))
    assert (merged.count, merged.min, merged.max) == (whole.count, whole.min, whole.max)


def test_the_deviation_stays_exact_far_from_zero():
    moments = Moments(1)
    moments.add(read([f"{10**15 + number}" for number in range(100)]))
    assert moments.std(0) == statistics.stdev(range(100))


def test_numbers_that_underflow_are_zero_rather_than_endless():
    moments = Moments(1)
    moments.add_text(0, "1e-999999999")
    assert (moments.mean(0), moments.min) == (0.0, [0.0])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
def test_number_keys_sort_as_the_numbers_do(numbers):
    by_key = sorted(numbers, key=number_key)
    assert by_key == sorted(numbers)
    assert number_key(-0.0) == number_key(0.0)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20))
def test_words_are_equal_just_where_texts_are(texts):
    data = b"".join(texts)
    ends = np.cumsum([len(text) for text in texts])
    starts = ends - [len(text) for text in texts]
    words = list(words_of(padded(data), starts, ends))
    rows = list(zip(*(word.tolist() for word in words), strict=True))
    hashes = hashed(words).tolist()
    for place, text in enumerate(texts):
        for other, same in enumerate(texts):
            assert (rows[place] == rows[other]) == (text == same)
            assert (hashes[place] == hashes[other]) == (text == same)


def test_a_hash_does_not_depend_on_the_longest_text_beside_it():
    def hash_of(text: bytes, beside: bytes) -> int:
        starts, ends = np.array([0, len(text)]), np.array([len(text), len(text + beside)])
        return int(hashed(list(words_of(padded(text + beside), starts, ends)))[0])

    assert hash_of(b"row", b"") == hash_of(b"row", b"x" * 100)


@pytest.mark.parametrize("place", range(8))
def test_long_texts_that_differ_in_where_a_byte_stands_have_different_hashes(place):
    count = 2000
    texts = np.full((count, 8 * count + 1), ord("0"), np.uint8)
    texts[np.arange(count), 8 * np.arange(count) + place] = ord("1")
    texts[:, -1] = ord("\n")
    hashes = hashed(list(words_of_table(padded(texts.tobytes()), *texts.shape)))
    assert len(np.unique(hashes)) == count


def test_text_keys_are_the_same_on_every_machine():
    assert text_key("patient 7") == 0x49DF_726D_0482_D983


@settings(max_examples=300)
@given(st.floats(-1e9, 1e9))
def test_fixed_writes_eight_decimals(number):
    assert float(fixed(number)) == pytest.approx(number, abs=1e-8, rel=1e-15)
    assert re.fullmatch(r"-?[0-9]+\.[0-9]{8}", fixed(number))


def test_what_is_too_far_away_is_written_as_far_away_as_distances_can_be():
    assert float(fixed(1e300)) == FARTHEST
    assert float(fixed(-1e300)) == -FARTHEST


def test_a_transform_comes_back_from_its_file():
    transform = Transform((FeatureTransform("1.5", 2.0, 4.0), FeatureTransform(None, 1.0, 1.0)))
    assert Transform.from_dict(transform.as_dict(["x", "y"])) == transform
    assert transform.apply(["", "3"]) == ["-0.12500000", "2.00000000"]


@given(st.lists(st.binary(min_size=21, max_size=21), min_size=1, max_size=9), st.integers(1, 21))
def test_lines_of_one_length_have_the_words_that_they_have_as_any_texts(lines, length):
    texts = [line[:length].replace(b"\n", b" ") for line in lines]
    block = padded(b"".join(text + b"\n" for text in texts))
    starts = np.arange(len(texts)) * (length + 1)
    as_any = list(words_of(block, starts, starts + length))
    in_table = list(words_of_table(block, len(texts), length + 1))
    assert [word.tolist() for word in in_table] == [word.tolist() for word in as_any]
