"""The role of one column among others, by its name and values."""

import random
import uuid
from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from pipeline.settings import Settings
from tests.unit.functions.preprocessing import csv_of, flowers, prepared, refusal_of

ROWS = 60


def draws(seed: int = 0) -> random.Random:
    return random.Random(seed)


def gaps(values: Sequence[object], every: int = 7, missing: object = "") -> list[object]:
    """Return values of which some are missing."""
    return [missing if place % every == 3 else value for place, value in enumerate(values)]


def role_of(name: str, values: Sequence[object], **settings: object) -> tuple[str, str]:
    """Return the role that a column gets beside two numbers and a label, and why."""
    asked = Settings(label="species", **settings)  # type: ignore[arg-type]
    columns = flowers(len(values), **{name: values})
    column = prepared(csv_of(columns), asked).column(name)
    assert column.reason
    return str(column.role), column.reason


def shuffled(values: Sequence[object]) -> list[object]:
    return draws().sample(list(values), len(values))


# --------------------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Unnamed: 0", range(ROWS)),
        ("Id", range(1, ROWS + 1)),
        ("rownames", range(1, ROWS + 1)),
        ("row", range(ROWS, 0, -1)),
        ("X", [f"{row}.0" for row in range(1, ROWS + 1)]),
        ("colour depth", range(100, 100 + ROWS)),
        # Some rows were dropped, or the file was sorted by something else.
        ("Unnamed: 0", [row for row in range(2 * ROWS) if row % 3]),
        ("X", sorted(draws().sample(range(int(1.5 * ROWS)), ROWS))),
        ("X", shuffled(range(ROWS))),
        ("level_0", draws().sample(range(2 * ROWS), ROWS)),
        ("tag", draws().sample(range(50_000, 50_000 + 3 * ROWS), ROWS)),
        # A spreadsheet's last row has the totals.
        ("Auftragsnr.", [*range(20250001, 20250000 + ROWS), "Summe"]),
    ],
)
def test_whole_numbers_that_count_the_rows_are_an_identifier_whatever_it_is_called(name, values):
    assert role_of(name, list(values)) == ("identifier", "counts the rows")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id", draws().sample(range(10**9), ROWS)),
        ("PassengerId", draws().sample(range(10**6), ROWS)),
        ("MRN", draws().sample(range(10**7), ROWS)),
        ("customerID", [f"{n}-QHJ" for n in draws().sample(range(1000, 9999), ROWS)]),
        ("customerid", draws().sample(range(10**6), ROWS)),
        ("EmployeeNumber", draws().sample(range(10**6), ROWS)),
        ("Kundennummer", draws().sample(range(10**6), ROWS)),
        ("Loan_ID", [f"LP{n:06}" for n in draws().sample(range(10**6), ROWS)]),
        ("subject", draws().sample(range(10**6), ROWS)),
        ("uuid", [uuid.UUID(int=draws(row).getrandbits(128)) for row in range(ROWS)]),
        ("hash", [draws(row).getrandbits(80) for row in range(ROWS)]),
        ("transaction", [draws(row).getrandbits(64) + 2**63 for row in range(ROWS)]),
        ("idx", [row % 12 + 1 for row in range(ROWS)]),
        ("patient_id", [n // 2 for n in draws().sample(range(10**6), ROWS // 2)] * 2),
        ("Id", gaps(draws().sample(range(10**6), ROWS))),
        ("key", [f"{n}.0" for n in draws().sample(range(10**6), ROWS)]),
    ],
)
def test_a_column_that_is_called_an_identifier_is_one_if_its_values_differ(name, values):
    role, reason = role_of(name, values)
    assert role == "identifier"
    assert f'is called "{name}"' in reason or "differ" in reason


@pytest.mark.parametrize(
    "values",
    [
        [f"+49171{n}" for n in draws().sample(range(10**6, 10**7), ROWS)],
        draws().sample(range(10**9, 10**10), ROWS),
        draws().sample(range(10**15, 10**18), ROWS),
    ],
)
def test_long_whole_numbers_of_one_length_or_very_long_ones_are_an_identifier(values):
    assert role_of("call", values) == (
        "identifier",
        "holds long whole numbers, nearly all different",
    )


def test_an_identifier_that_recurs_is_left_out_with_the_advice_to_split_by_it():
    rows = draws().choices(range(10**6, 10**6 + 25), k=ROWS)
    assert '"group"' in role_of("patient_id", rows)[1]


@pytest.mark.parametrize(
    "values",
    [
        [f"{n} Main Street" for n in draws().sample(range(10**4), ROWS)],
        [f"Braund, Mr. {chr(97 + row % 26)}{row}" for row in range(ROWS)],
        [f"C{n}" for n in draws().sample(range(10**4), ROWS)],
    ],
)
def test_text_with_nearly_as_many_values_as_rows_is_an_identifier(values):
    assert role_of("where", values)[0] == "identifier"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", draws().choices(range(1990, 2024), k=ROWS)),
        ("age", draws().choices(range(18, 90), k=ROWS)),
        ("income", draws().sample(range(10_000, 90_000), ROWS)),
        ("zip_code", draws().choices(range(10_000, 10_500), k=ROWS)),
        ("StoreID", draws().choices(range(1, 8), k=ROWS)),
        ("kids", draws().choices(range(4), k=ROWS)),
        ("paid", draws().sample(range(100_000), ROWS)),
        ("acid", draws().sample(range(100_000), ROWS)),
        ("valid", draws().choices(range(2), k=ROWS)),
        ("gdp", [int(draws(row).lognormvariate(24, 2)) for row in range(ROWS)]),
        ("time", [1.5 * row for row in range(ROWS)]),
        ("number of rooms", draws().choices(range(1, 9), k=ROWS)),
    ],
)
def test_numbers_that_measure_are_no_identifier_though_they_are_whole_or_all_differ(name, values):
    assert role_of(name, values)[0] == "number"


def test_ten_rows_may_not_show_that_a_number_counts_but_fewer_never_do():
    assert role_of("n", list(range(9)))[0] == "number"
    assert role_of("n", list(range(12)))[0] == "identifier"


def test_a_random_number_of_small_range_is_hardly_ever_taken_for_an_identifier():
    draw = draws(3)
    found = [role_of("n", [draw.randrange(900) for _ in range(40)])[0] for _ in range(200)]
    assert found.count("number") == 200


# --------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "write",
    [
        "{:.2f}".format,
        "{:+.3e}".format,
        "{:,.2f}".format,
        "${:,.0f}".format,
        "$ {:,.2f}".format,
        "{:.0f} €".format,
        "£{:,.2f}".format,
        "USD {:,.2f}".format,
        "{:,.2f} SEK".format,
        "R$ {:,.2f}".format,
        "{:.0f} kr".format,
        "{:,.2f} zł".format,
        "{:.1f}%".format,
        "{:.1f} %".format,
        lambda n: f"({abs(n):,.0f})" if n < 0 else f"{n:,.0f}",
        lambda n: f"-${abs(n):,.2f}" if n < 0 else f"${n:,.2f}",
        lambda n: f"{n:,.2f}".replace(",", "'"),
        lambda n: f"{n:,.2f}".replace(",", "\u00a0"),
    ],
)
def test_a_column_of_numbers_is_one_however_it_writes_them_and_with_gaps(write):
    numbers = [draws(row).gauss(500, 2000) for row in range(ROWS)]
    for values in ([write(n) for n in numbers], gaps([write(n) for n in numbers])):
        columns = flowers(ROWS, amount=values)
        found = prepared(csv_of(columns))
        assert found.roles["amount"] == "number"
        assert not found.rejects
        profile = found.survey.profile
        present = [n for n, value in zip(numbers, values, strict=True) if value]
        place = profile.numbers.index("amount")
        assert profile.moments[0, place] == len(present)
        assert profile.moments[1, place] == pytest.approx(sum(present) / len(present), abs=1)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("thousands", [".", " ", ""])
def test_a_decimal_comma_is_read_where_commas_separate_no_columns(delimiter, thousands):
    numbers = [draws(row).gauss(500, 2000) for row in range(ROWS)]
    german = [
        f"{n:,.2f}".replace(",", "x").replace(".", ",").replace("x", thousands) for n in numbers
    ]
    columns = flowers(
        ROWS, Betrag=german, Anteil=[f"{n / 100:.1f} %".replace(".", ",") for n in numbers]
    )
    columns |= {name: [v.replace(".", ",") for v in columns[name]] for name in ("length", "width")}
    found = prepared(csv_of(columns, delimiter))
    assert not found.rejects
    assert found.table.features == ("length", "width", "Betrag", "Anteil")
    assert found.survey.profile.moments[1, 2] == pytest.approx(sum(numbers) / ROWS, abs=0.01)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_grouped_thousands_are_no_decimal_commas_whatever_separates_columns(delimiter):
    numbers = [draws(row).randrange(900, 90_000) for row in range(ROWS)]
    columns = flowers(ROWS, Income=[f"{n:,}" for n in numbers], Limit=[f"${n:,}" for n in numbers])
    profile = prepared(csv_of(columns, delimiter)).survey.profile
    assert profile.numbers == ("length", "width", "Income", "Limit")
    assert profile.moments[4, 2:].tolist() == [max(numbers)] * 2


@pytest.mark.parametrize("word", ["-", "#WERT!", "#DIV/0!", "k. A."])
def test_a_decimal_comma_is_seen_beside_words_for_missing_numbers(word):
    columns = flowers(ROWS)
    for name, every in {"length": 5, "width": 7}.items():
        columns[name] = gaps([v.replace(".", ",") for v in columns[name]], every, word)
    found = prepared(csv_of(columns, ";"))
    assert found.table.features == ("length", "width")
    assert found.survey.profile.rejects == {"no value": 2}
    assert found.survey.profile.missing.tolist() == [10, 7]


def test_columns_of_one_file_may_write_numbers_differently():
    columns = flowers(ROWS, Preis=[f"{row % 7},5" for row in range(ROWS)])
    found = prepared(csv_of(columns, ";"))
    assert found.table.features == ("length", "width", "Preis")
    assert found.survey.profile.moments[4, 2] == 6.5


def test_a_list_of_numbers_in_a_few_fields_makes_no_decimal_comma_of_the_file():
    columns = flowers(ROWS, source=["3,4" if row % 9 == 0 else row % 5 for row in range(ROWS)])
    assert prepared(csv_of(columns)).column("length").format is None


@pytest.mark.parametrize(
    "word",
    ["#DIV/0!", "#WERT!", "Inf", "\\N", "-", ".", "--", "unknown", "n.a.", "not available", "N.V."],
)
def test_a_word_in_place_of_numbers_stands_for_a_missing_one(word):
    amounts = [f"{draws(row).gauss(0, 9):.2f}" for row in range(ROWS)]
    for every in (7, 30):
        found = prepared(csv_of(flowers(ROWS, amount=gaps(amounts, every, word))))
        assert found.roles["amount"] == "number"
        assert f'"{word}"' in found.column("amount").reason
        assert not found.rejects
        assert found.survey.profile.missing[2] == len(range(3, ROWS, every))


@pytest.mark.parametrize("mark", ["-", ".", "—", "--", "n/a", ""])
def test_beside_a_few_numbers_only_a_mark_stands_for_a_missing_one(mark):
    assert role_of("grade", [("1", "2", "3", mark)[row % 4] for row in range(ROWS)])[0] == "number"


@pytest.mark.parametrize(
    "values",
    [
        [("0", "1", "2", "3+")[row % 4] for row in range(ROWS)],
        [("1", "2", "3", "crew")[row % 4] for row in range(ROWS)],
        [("9", "10", "11", "K")[row % 4] for row in range(ROWS)],
        [("<5", "5", "6", "10+")[row % 4] for row in range(ROWS)],
        [("+", "-", "0")[row % 3] for row in range(ROWS)],
    ],
)
def test_a_few_numbers_beside_a_word_are_categories(values):
    assert role_of("grade", values)[0] == "category"


def test_a_value_that_is_no_number_among_many_that_are_has_its_row_set_aside():
    values = [row / 4 for row in range(ROWS)]
    found = prepared(csv_of(flowers(ROWS, x=[*values[:20], "oops", *values[21:]])))
    assert found.rejected == [(22, 'column "x": "oops" is not a number')]


def test_numbers_that_no_32_bit_float_can_square_are_left_out_or_their_rows_set_aside():
    huge = [10.0**22 * draws(row).random() for row in range(ROWS)]
    role, reason = role_of("mass", huge)
    assert (role, "too large for a 32-bit float" in reason) == ("ignored", True)
    one = [*(row / 4 for row in range(ROWS - 1)), 3.5e38]
    found = prepared(csv_of(flowers(ROWS, x=one)))
    assert found.rejected == [(61, 'column "x": 3.5e+38 is too large for a 32-bit float')]


# --------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("true", "false"), [("True", "False"), ("TRUE", "FALSE"), ("yes", "no"), ("Y", "N"), ("t", "f")]
)
def test_words_for_true_and_false_are_booleans_with_gaps_too(true, false):
    values = [true if row % 3 else false for row in range(ROWS)]
    assert role_of("plan", values)[0] == role_of("plan", gaps(values))[0] == "boolean"


@pytest.mark.parametrize("words", [("F", "N"), ("yes", "unsure"), ("y", "n", "nk"), ("M", "F")])
def test_other_words_are_categories(words):
    values = [words[row % len(words)] for row in range(ROWS)]
    assert role_of("answer", values) == ("category", f"has {len(words)} frequent values")


def test_rare_values_of_a_category_count_as_one():
    values = [f"town {row}" if row < 5 else ("north", "south")[row % 2] for row in range(ROWS)]
    assert role_of("area", values) == (
        "category",
        "has 2 frequent values, and 5 rare ones that count as one",
    )


@pytest.mark.parametrize(("different", "role"), [(20, "category"), (21, "category"), (50, "text")])
def test_text_is_a_category_if_twenty_values_are_most_of_it(different, role):
    values = [f"kind {row % different}" for row in range(1000)]
    assert role_of("kind", values)[0] == role


def test_sentences_are_text_though_no_two_are_alike():
    words = ["the", "pump", "was", "found", "to", "leak", "oil", "again", "after", "service"]
    values = [" ".join(draws(row).choices(words, k=12)) for row in range(ROWS)]
    assert role_of("remarks", values)[0] == "text"


def test_a_word_that_is_not_always_there_says_something_but_a_number_does_not():
    assert role_of("flag", gaps(["x"] * ROWS, every=4))[0] == "category"
    assert role_of("one", gaps([1] * ROWS, every=4))[0] == "constant"
    assert role_of("flag", ["x"] * ROWS) == ("constant", 'has the value "x" in every row')


@pytest.mark.parametrize("missing", ["", "NA", "#N/A", "NULL", "<NA>", "-nan", "None", "n/a"])
def test_what_pandas_takes_for_missing_is_missing(missing):
    assert role_of("notes", [missing] * ROWS) == ("empty", "has no value at all")
    mostly = [row if row % 5 < 2 else missing for row in range(ROWS)]
    assert role_of("notes", mostly) == ("empty", "is missing in 60 % of the rows")


# --------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    "written",
    [
        *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y", "%d-%b-%y"),
        "%d%b%Y",
        *(
            "%b %d, %Y",
            "%d %B %Y",
            "%Y-%m-%dT%H:%M:%S",
            "%m/%d/%Y %H:%M",
            "%Y-%m-%d %H:%M:%S+02:00",
        ),
        *("%H:%M", "%H:%M:%S", "%I:%M %p"),
    ],
)
def test_dates_and_times_are_dates(written):
    days = [date(2024, 1, 1) + timedelta(days=11 * row) for row in range(ROWS)]
    times = [
        f"{day:{written}}".replace("00:00", f"{row % 12 + 1:02}:30") for row, day in enumerate(days)
    ]
    role, reason = role_of("when", gaps(times))
    assert (role, '("time")' in reason) == ("date", True)
    is_iso = written.startswith("%Y-")
    assert ("written as 2026-11-30" in reason) is not is_iso


@pytest.mark.parametrize("value", ["2.0.{}.1", "10-{}", "v{}.0", "{}/8", "May {}", "12:{}00"])
def test_what_only_looks_like_a_date_is_none(value):
    values = [value.format(row % 5 + 33) for row in range(ROWS)]
    assert role_of("version", values)[0] == "category"


# --------------------------------------------------------------------------- what settings say


def test_settings_leave_out_a_column_or_make_it_a_category_or_a_feature():
    values = draws().choices(range(1, 8), k=ROWS)
    assert role_of("ward", values, ignore=("Ward",))[0] == "ignored"
    assert role_of("ward", values, categories=("WARD",))[0] == "category"
    assert role_of("ward", list(range(ROWS)), features=("length", "ward"))[0] == "number"
    assert role_of("ward", [f"w{row}" for row in range(ROWS)], features=("ward",))[0] == "category"


def test_a_column_that_the_split_goes_by_is_no_feature():
    assert role_of("at", list(range(ROWS)), time="at")[0] == "ignored"
    assert role_of("who", [row // 2 for row in range(ROWS)], group="Who") == (
        "ignored",
        "is what the split goes by (group)",
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"features": ("length", "WIDTH"), "ignore": ("Width",)},
        {"label": "SPECIES", "features": ("length", "species")},
        {"features": ("length", "Length")},
        {"label": "species", "group": "SPECIES"},
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_in_another_case_are_refused(asked):
    columns = {"length": range(3, 63), "width": range(60, 0, -1), "species": ["a", "b"] * 30}
    assert refusal_of(csv_of(columns), Settings(**asked)).code == "InvalidSettings"
