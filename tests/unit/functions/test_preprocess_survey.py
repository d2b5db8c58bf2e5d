"""The pass over the rows: which are kept, why others are not, and what is counted."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from pipeline.errors import Refusal
from pipeline.schema import Role
from pipeline.settings import Settings
from preprocess.finish import _sampled_numbers
from preprocess.profile import QUANTILES
from tests.unit.functions.preprocessing import (
    Prepared,
    csv_of,
    flowers,
    prepared,
    prepared_in_parts,
    refusal_of,
)

HEADER = "length,width,ok,colour,species\n"
GOOD = "5.1,3.5,yes,red,setosa\n6.2,2.8,no,blue,virginica\n" * 30
REFUSE = Settings(missing="refuse")


def with_row(row: str, asked: Settings | None = None) -> Prepared:
    return prepared(HEADER + GOOD + row + "\n", asked)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("5.1,abc,no,red,setosa", 'column "width": "abc" is not a number'),
        ("5.1,3.5,no,red,", 'column "species": the label is missing'),
        ("abc,3.5,maybe,red,NA", 'column "species": the label is missing'),
        ("5.1,3.5,no,setosa", "4 columns where the header has 5"),
        ("5.1,3.5,no,red,setosa,x", "6 columns where the header has 5"),
        ("5.1,inf,no,red,setosa", 'column "width": "inf" is not a number'),
        ("5.1,1e400,no,red,setosa", 'column "width": 1e400 is too large for a 32-bit float'),
        ("5.1,-2e18,no,red,setosa", 'column "width": -2e18 is too large for a 32-bit float'),
        ("5.1,1_000,no,red,setosa", 'column "width": "1_000" is not a number'),
        ('5.1,"1,00",no,red,setosa', 'column "width": "1,00" is not a number'),
        ("5.1,\uff15,no,red,setosa", 'column "width": "\uff15" is not a number'),
        ("NA,,?,null,setosa", "every feature's value is missing"),
        (",,,,", "the row is empty"),
        (' , ,"",\t,', "the row is empty"),
        (",,,", "the row is empty"),
    ],
)
def test_a_row_that_is_no_use_is_set_aside_with_column_and_reason(row, reason):
    found = with_row(row)
    assert found.rejected == [(62, reason)]
    assert found.rejects[0].text == row
    assert found.clean == GOOD


@pytest.mark.parametrize("row", ["NA,3.5,no,red,setosa", "5.1,3.5,,red,setosa", "5.1,,no,,setosa"])
def test_a_row_with_missing_values_is_kept_unless_the_settings_refuse_them(row):
    assert with_row(row).clean == GOOD + row + "\n"
    ((line, reason),) = with_row(row, REFUSE).rejected
    assert (line, reason.endswith("the value is missing")) == (62, True)


def test_a_mark_for_a_missing_number_is_a_missing_value_too():
    content = HEADER + GOOD + "-,3.5,no,red,setosa\n" * 3
    assert prepared(content).survey.profile.missing.tolist() == [3, 0, 0, 0]
    assert [reason for _, reason in prepared(content, REFUSE).rejected] == [
        'column "length": the value is missing'
    ] * 3


@pytest.mark.parametrize("value", ["1", "0", "TRUE", "f", "N"])
def test_a_boolean_is_written_in_any_way(value):
    assert with_row(f"5.1,3.5,{value},red,setosa").survey.profile.kept == 61


def test_rows_are_kept_as_they_are_written_whatever_their_quotes_and_spaces():
    rows = '"5.1", 3.5 ,"yes",  red,"setosa"\r\n+6.2,.5,no,"bl""ue",virginica\n'
    assert with_row(rows).clean == GOOD + rows + "\n"[:0]


def test_what_the_sample_of_the_columns_did_not_show_has_its_row_set_aside():
    rows = 100_000
    content = HEADER + GOOD * (rows // 60) + "5.1,3.5,maybe,red,setosa\n5.1,n.a.,no,new,setosa\n"
    found = prepared(content)
    assert found.roles["ok"] == "boolean"
    assert [reason for _, reason in found.rejected] == [
        'column "ok": "maybe" is not true or false',
        'column "width": "n.a." is not a number',
    ]


def test_a_row_without_its_group_or_time_is_set_aside():
    content = "x,who,label\n" + "1.5,p,a\n2.5,q,b\n" * 10 + "1.5,,a\n,,a\n"
    assert prepared(content, Settings(group="who")).rejected == [
        (22, 'column "who": the group is missing'),
        (23, 'column "who": the group is missing'),
    ]
    content = "x,at,label\n" + "1.5,2026-01-01,a\n2.5,7,b\n" * 30 + "1.5,soon,a\n,2026-01-01,a\n"
    assert prepared(content, Settings(time="at")).rejected == [
        (62, 'column "at": "soon" is neither a number nor an ISO 8601 time'),
        (63, "every feature's value is missing"),
    ]


def test_a_time_is_read_with_the_decimal_mark_of_the_file():
    columns = flowers(60, at=[f"{row},5" for row in range(60)])
    found = prepared(csv_of(columns, ";"), Settings(time="at"))
    assert found.column("at").role is Role.IGNORED
    assert not found.rejects


# --------------------------------------------------------------------------- the file as a whole


def test_a_file_with_too_many_bad_rows_is_refused_with_the_commonest_reasons():
    content = HEADER + GOOD + "1,2,3,4\n" * 20 + "x,1,no,red,setosa\n" + ",,,,\n"
    refusal = refusal_of(content)
    assert refusal.code == "TooManyRejects"
    assert refusal.message == (
        "21 of 82 rows can't be used. max_rejected_fraction allows a share of 0.1. "
        "Reasons: wrong number of columns (20), not a number (1), empty row (1). The first "
        "such row is on line 62."
    )
    assert prepared(content, Settings(max_rejected_fraction=0.3)).survey.profile.kept == 60


@pytest.mark.parametrize("row", [",,,,", "5.1,3.5,no,red,", "NA,,,,setosa"])
def test_rows_that_say_nothing_speak_against_no_file(row):
    content = HEADER + GOOD + f"{row}\n" * 50
    assert prepared(content).survey.profile.kept == 60


def test_the_profile_agrees_with_pandas():
    rows = 3000
    draw = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "big": draw.normal(1e9, 1, rows),
            "small": draw.lognormal(-9, 2, rows),
            "gaps": np.where(draw.random(rows) < 0.3, np.nan, draw.normal(size=rows)),
            "colour": draw.choice(["red", "blue", None], rows),
            "label": draw.choice(["a", "b"], rows),
        }
    )
    found = prepared(frame.to_csv(index=False), block=20_000)
    sample = _sampled_numbers(found.survey.sample.rows(), found.table)
    profile = found.survey.profile.as_dict(found.classes.counts, sample)
    assert profile["rows"] == {"read": rows, "kept": rows, "rejected": 0}
    assert profile["classes"] == dict(sorted(frame["label"].value_counts().to_dict().items()))
    assert profile["features"]["colour"] == {"missing": int(frame["colour"].isna().sum())}
    for name in ("big", "small", "gaps"):
        of_feature, column = profile["features"][name], frame[name]
        assert (of_feature["missing"], of_feature["count"]) == (column.isna().sum(), column.count())
        found_moments = [of_feature[key] for key in ("min", "max", "mean", "std")]
        expected = [column.min(), column.max(), column.mean(), column.std()]
        np.testing.assert_allclose(found_moments, expected, rtol=1e-8)
        for key, rank in QUANTILES.items():
            # The whole file is the sample, as it has fewer rows than one may have.
            assert of_feature[key] == pytest.approx(column.quantile(rank), rel=1e-9)


# --------------------------------------------------------------------------- property tests

FIELD = st.sampled_from(
    [
        "1",
        "2.5",
        "-3e2",
        "",
        "NA",
        "oops",
        "1e30",
        "a",
        "b",
        "B",
        "yes",
        "no",
        '"q"',
        " 7 ",
        "\u00e9",
    ]
)
ROW = st.one_of(
    st.tuples(FIELD, FIELD, FIELD, st.sampled_from(["a", "b", "A", "c", "", "Total"])).map(
        ",".join
    ),
    st.sampled_from(["", ",,,", "1,2", "1,2,3,4,5", "3.5,yes,7,a", "4.5,no,8,b", "5,yes,9,b"]),
)
FILE = st.lists(ROW, min_size=0, max_size=40).map(
    lambda rows: (
        "x,ok,z,label\n" + "1.5,yes,2,a\n2.5,no,3,b\n" * 12 + "".join(f"{r}\n" for r in rows)
    )
)
LENIENT = Settings(max_rejected_fraction=1)


def prepared_if_usable(text: str, asked: Settings) -> Prepared:
    """Prepare a file; one none of whose columns can be learned from is no example."""
    try:
        return prepared(text, asked)
    except Refusal as refusal:
        assert refusal.code == "NoFeatures"
        reject()


def records(text: str) -> list[str]:
    """Return the lines that are rows: those with something on them."""
    return [line for line in text.splitlines()[1:] if line.strip() or "," in line]


@given(FILE, st.sampled_from([LENIENT, Settings(max_rejected_fraction=1, missing="refuse")]))
def test_no_row_and_no_column_is_lost_without_a_reason_on_record(text, asked):
    found = prepared_if_usable(text, asked)
    profile = found.survey.profile
    assert profile.read == len(records(text)) == profile.kept + len(found.rejects)
    assert profile.kept == sum(found.classes.counts.values())
    aside = [reject.text for reject in found.rejects if "only row" in reject.reason]
    aside += [reject.text for reject in found.rejects if "adds up" in reject.reason]
    assert sorted([*found.clean.splitlines(), *(r.text for r in found.rejects)]) == sorted(
        [*records(text), *aside]
    )
    assert all(reject.reason and reject.kind in profile.rejects for reject in found.rejects)
    lines = text.splitlines()
    assert all(lines[reject.line - 1] == reject.text for reject in found.rejects)
    assert len(found.table.columns) == 4
    assert all(column.reason for column in found.table.columns)


@given(FILE)
def test_the_first_rows_of_each_reason_are_kept_as_they_were_written(text):
    found = prepared_if_usable(text, LENIENT)
    profile = found.survey.profile.as_dict({}, dict.fromkeys(found.table.features, np.zeros(0)))
    for kind, rows in profile["first_rows"].items():
        of_kind = [reject for reject in found.rejects if reject.kind == kind]
        assert rows == [{"line": each.line, "text": each.text} for each in of_kind[:3]]
        assert profile["first_lines"][kind] == [row["line"] for row in rows]
    assert profile["first_rows"].keys() == profile["rejects"].keys()


def test_a_long_row_that_is_set_aside_is_cut_where_it_is_shown():
    found = with_row("5.1," + "x" * 900 + ",no,red,setosa")
    (row,) = found.survey.profile.examples["not a number"]
    assert row["text"] == "5.1," + "x" * 496
    assert len(found.rejects[0].text) > 900


@given(FILE, st.lists(st.integers(0, 70), max_size=5), st.integers(8, 300))
@settings(max_examples=200)
def test_a_file_read_whole_or_in_parts_or_row_by_row_gives_the_same(text, cuts, block):
    whole = prepared_if_usable(text, LENIENT)
    for other in (
        prepared_in_parts(text, cuts, LENIENT),
        prepared(text, LENIENT, block=block, chunk=block // 2),
        prepared(text, LENIENT, prove=False),
    ):
        assert other.table == whole.table
        assert other.clean == whole.clean
        assert sorted(other.rejects) == sorted(whole.rejects)
        assert other.classes == whole.classes
        assert other.survey.labels.counts == whole.survey.labels.counts
        assert other.survey.sample.rows() == whole.survey.sample.rows()
        state, expected = (each.survey.profile.state() for each in (other, whole))
        for name, value in expected.items():
            if name == "moments":
                np.testing.assert_allclose(state[name], value, rtol=1e-9, atol=1e-12)
            else:
                assert state[name] == value


@given(FILE)
def test_a_sampled_row_knows_its_place_among_the_rows_of_its_class(text):
    found = prepared_if_usable(text, LENIENT)
    seen: dict[str, int] = {}
    sampled = {row.line: row for row in found.survey.sample.rows()}
    rejected = {reject.line for reject in found.rejects if reject.kind != "class with a single row"}
    for line, row in enumerate(text.splitlines()[1:], start=2):
        if line in rejected or line not in sampled:
            continue
        name = found.classes.name_of(sampled[line].label)
        assert (sampled[line].place, sampled[line].text) == (seen.get(name, 0), row)
        seen[name] = seen.get(name, 0) + 1


def test_moments_are_exact_enough_for_numbers_far_from_zero():
    numbers = [1e15 + row for row in range(4000)]
    text = csv_of({"x": [n + 0.5 for n in numbers], "label": ["a", "b"] * 2000})
    profile = prepared(text, block=1000).survey.profile
    count, mean, squares, *_ = profile.moments[:, 0]
    assert mean == pytest.approx(np.mean(numbers) + 0.5, rel=1e-15)
    std = math.sqrt(squares / (count - 1))
    assert std == pytest.approx(np.std(numbers, ddof=1), rel=1e-3)


def test_a_large_file_keeps_a_bounded_sample_with_rows_of_each_class():
    rare = "".join(f"{row}.25,rare\n" for row in range(12))
    text = "x,label\n" + "".join(f"{row}.5,{'ab'[row % 2]}\n" for row in range(60_000)) + rare
    rows = prepared(text).survey.sample.rows()
    assert 8000 <= len(rows) <= 8010
    frame = pd.read_csv(io.StringIO(text))
    assert sum(row.label == "rare" for row in rows) >= 10
    assert np.mean([float(row.text.split(",")[0]) for row in rows]) == pytest.approx(
        frame["x"].mean(), rel=0.03
    )
