import math
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.numbers import NumberFormat, is_missing, padded, plain_number, read_numbers

PLAIN = NumberFormat()
FORMATS = st.builds(
    NumberFormat,
    st.sampled_from([".", ","]),
    st.sampled_from([None, ".", ",", "'", " "]),
    st.booleans(),
    st.sampled_from([(), ("-", "unknown")]),
)
DECIMALS = st.integers(0, 7).flatmap(
    lambda places: st.floats(-1e6, 1e6).map(lambda number: f"{number:.{places}f}")
)
TEXTS = st.one_of(
    DECIMALS,
    st.floats().map(repr),
    st.floats(-1, 1).map(repr),
    st.integers(-(10**26), 10**26).map(str),
    st.text(st.sampled_from("0123456789.,-+e x'"), max_size=28),
    st.text(st.sampled_from("0.5"), max_size=28),
    st.sampled_from(["", "NA", "-", "unknown", "$1,234.50", "12,5 %", "(3)", "1.234,5", "€ 5"]),
    st.text(max_size=9),
).map(lambda text: text.encode("utf-8", "replace").decode().strip())


def read(texts: list[str], *formats: NumberFormat) -> tuple[list[list[float]], list[list[bool]]]:
    """The numbers in texts, as they would be in each of some columns."""
    lengths = np.array([len(text.encode()) for text in texts], np.intp)
    ends = np.tile(np.cumsum(lengths), (len(formats), 1))
    values, bad = read_numbers(padded("".join(texts).encode()), ends - lengths, ends, formats)
    return values.tolist(), bad.tolist()


def as_parsed(text: str, written: NumberFormat) -> tuple[float | None, bool]:
    number = written.parse(text)
    missing = number is None or math.isnan(number)
    return None if missing else number, number is None and not is_missing(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=20), st.lists(FORMATS, min_size=1, max_size=3), st.booleans())
def test_many_numbers_are_read_as_each_is_by_itself(texts, formats, many):
    # Of many rows, a column is read by itself.
    texts = texts * 100 if many else texts
    values, bad = read(texts, *formats)
    for column, written in enumerate(formats):
        found = [
            (None if math.isnan(value) else value, is_bad)
            for value, is_bad in zip(values[column], bad[column], strict=True)
        ]
        assert found == [as_parsed(text, written) for text in texts]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 7).flatmap(
        lambda places: st.lists(
            st.floats(-999, 9999).map(lambda number: f"{number:.{places}f}"), min_size=1
        )
    ),
    st.sampled_from([".", ","]),
    st.sampled_from([None, "x", "1.5.5", "5.", ".5", "", "-", "1:5", "1/5", "\x00", "é", "+5"]),
)
def test_columns_of_short_numbers_with_as_many_decimals_are_read_exactly(texts, mark, odd):
    texts = [text.replace(".", mark) for text in (texts * 600)[:600]]
    if odd is not None:
        texts.insert(len(texts) // 2, odd)
    values, bad = read(texts, NumberFormat(mark))
    expected = [as_parsed(text, NumberFormat(mark)) for text in texts]
    assert [None if math.isnan(value) else value for value in values[0]] == [v for v, _ in expected]
    assert bad[0] == [is_bad for _, is_bad in expected]


@pytest.mark.parametrize("digits", [*range(1, 30), 99, 100, 101])
@pytest.mark.parametrize("rows", [1, 600])
def test_a_number_may_have_any_number_of_digits(digits, rows):
    for text in (
        "." + "0" * (digits - 1) + "1",
        "7" * digits,
        "7" * digits + ".5",
        "-0." + "3" * digits,
    ):
        values, bad = read([text] * rows, PLAIN)
        number = float(text) if len(text) <= 100 else None
        assert bad == [[number is None] * rows]
        if number is not None:
            assert values == [[number] * rows]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.integers(16, 20)), min_size=1, max_size=50))
def test_numbers_next_to_the_middle_of_two_floats_are_rounded_right(numbers):
    texts = []
    for number, digits in numbers:
        middle = (Decimal(number) + Decimal(math.nextafter(number, math.inf))) / 2
        texts += [f"{middle:.40f}"[:digits], repr(number)]
    assert read(texts, PLAIN)[0] == [[float(text) for text in texts]]


def test_numbers_at_the_very_beginning_and_end_of_a_block_are_read():
    for text in ("1", "-1", "12345678", ".5"):
        assert read([text], PLAIN) == ([[float(text)]], [[False]])
        assert read([text] * 600, PLAIN)[0] == [[float(text)] * 600]


def test_no_rows_and_no_columns_have_no_numbers():
    assert read([], PLAIN, PLAIN) == ([[], []], [[], []])
    assert read(["1"]) == read(["1"] * 600) == ([], [])


def test_columns_may_be_written_in_different_ways():
    values, bad = read(
        ["1,5", "1.5", "-"] * 300, PLAIN, NumberFormat(","), NumberFormat(missing=("-",))
    )
    assert bad == [[True, False, True] * 300, [False, True, True] * 300, [True, False, False] * 300]
    assert [row[:2] for row in values[1:2]] == [[1.5, pytest.approx(math.nan, nan_ok=True)]]


# ------------------------------------------------------------------------------- ways to write


@pytest.mark.parametrize("currency", ["$", "€", "£", "USD", "CHF", "₹"])
@pytest.mark.parametrize("written", ["{0}1,234.50", "{0} 1,234.50", "1,234.50{0}", "1234.50 {0}"])
def test_a_currency_stands_on_either_side_of_a_number(currency, written):
    parse = NumberFormat(thousands=",", dressed=True).parse
    assert parse(written.format(currency)) == 1234.5
    assert PLAIN.parse(written.format(currency)) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("12.5%", 12.5), ("12.5 %", 12.5), ("-3%", -3), ("5", 5), ("+5", 5), ("1e3 €", 1000)),
        *(("-$5", -5), ("$-5", -5), ("($5.50)", -5.5), ("( 5 )", -5), ("(5)%", None), ("$", None)),
        *(("%", None), ("()", None), ("(5", None), ("5)", None), ("$5$5", None), ("5%%", None)),
        *(("--5", None), ("$ five", None), ("5 apples", None), ("", None), ("(-5)", None)),
    ],
)
def test_a_dressed_number_is_read_as_it_is_meant(text, number):
    assert NumberFormat(dressed=True).parse(text) == number


@pytest.mark.parametrize("group", [",", ".", "'", " "])
def test_digits_are_grouped_by_threes_only(group):
    decimal = "," if group == "." else "."
    parse = NumberFormat(decimal, group).parse
    for text in ("1_234", "12_345_678", "-1_234", "1_234|5", "999"):
        number = float(text.replace("_", "").replace("|", "."))
        assert parse(text.replace("_", group).replace("|", decimal)) == number
    for text in ("1_23", "1234_567", "_234", "1_2345", "1__234", "1_234_"):
        expected = parse(text.replace("_", group)) if group == decimal else None
        assert parse(text.replace("_", group)) == expected


def test_a_group_may_be_any_of_the_spaces_that_people_write():
    for space in " \u00a0\u202f\u2009":
        assert NumberFormat(",", " ").parse(f"1{space}234{space}567,5") == 1_234_567.5


def test_a_decimal_comma_excludes_the_point():
    parse = NumberFormat(",").parse
    assert (parse("1,5"), parse("-,5"), parse("1"), parse("1,5e3")) == (1.5, -0.5, 1, 1500)
    assert (parse("1.5"), parse("1,5,5")) == (None, None)


def test_words_for_missing_numbers_are_no_number_and_a_number_is_none_of_them():
    written = NumberFormat(missing=("-", "unknown", "5"))
    values, bad = read(["-", "unknown", "5", "Unknown"], written)
    assert (values[0][2], bad) == (5.0, [[False, False, False, True]])
    assert all(math.isnan(value) for value in [*values[0][:2], values[0][3]])


@pytest.mark.parametrize(
    "text", ["", " ", "NA", "n/a", "#N/A", "NaN", "null", "None", "?", "<NA>", "-1.#IND", "-nan"]
)
def test_what_pandas_takes_for_missing_is_missing_in_any_case(text):
    assert is_missing(text)
    assert is_missing(text.lower())
    assert read([text.strip()], PLAIN)[1] == [[False]]


@given(st.text())
def test_a_plain_number_is_what_digits_a_point_a_sign_and_an_exponent_make(text):
    is_plain = re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    assert plain_number(text) == (float(text) if is_plain else None)


@pytest.mark.parametrize(
    "text", ["1_000", "inf", "infinity", "nan", "０", "٣", "0x1", "1e", "1 2", "."]
)
def test_what_python_reads_beyond_that_is_no_number(text):
    assert plain_number(text) is None
    assert read([text], PLAIN)[1] == [[not is_missing(text)]]


def test_a_format_comes_back_from_json():
    assert NumberFormat.of(None) == PLAIN
    fields = {"decimal": ",", "dressed": True, "missing": ["-"]}
    assert NumberFormat.of(fields) == NumberFormat(",", None, True, ("-",))


def test_what_follows_a_block_in_memory_is_no_part_of_its_first_number():
    fields = ["6", *["12"] * 1000]
    ends = np.cumsum([len(each) + 1 for each in fields]) - 1
    starts = ends - [len(each) for each in fields]
    array = np.frombuffer("\n".join([*fields, "9" * 64]).encode(), np.uint8)
    values, _ = read_numbers(array, starts[None], ends[None], [NumberFormat()])
    assert values.tolist() == [[6, *[12] * 1000]]
