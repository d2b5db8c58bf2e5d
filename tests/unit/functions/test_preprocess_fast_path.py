"""Rows that are read many at a time come out as they do by the csv module, one by one."""

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_schema import DatasetSchema
from pipeline.errors import Refusal
from tests.unit.functions.preprocessing import Prepared, prepared

# Mostly rows that are read many at a time, and among them what is looked at by itself.
USUAL_NUMBERS = st.floats(-1e6, 1e6).map(lambda value: f"{value:.1f}") | st.integers(-999, 999).map(
    str
)
ODD_NUMBERS = st.sampled_from(
    [
        *("", "NA", "1e5", "+3", "-.5", "5.", "x", "1e400", "1_0", "\uff10", "1" * 17 + ".5"),
        *("0.30000000000000004", "-0", "inf", " 4.5 ", "\u00a05", "1e-320", "--1", '"7"'),
    ]
)
USUAL_LABELS = st.sampled_from(["a", "b", "setosa", "a longer label", "é", "花"])
ODD_LABELS = st.sampled_from(
    ["", "NA", " a ", "\u00a0a", "1", "z" * 70, '"a"', '"x,y"', '"q""r"', '"new\nline"', 'x"y']
)
GROUPS = st.sampled_from(["p", "q", "", "2026-01-01", "5", '"2026-05-05T10:00:00Z"'])
USUAL_ROWS = st.tuples(USUAL_NUMBERS, USUAL_LABELS, USUAL_NUMBERS, GROUPS).map(",".join)
ODD_ROWS = st.tuples(
    USUAL_NUMBERS | ODD_NUMBERS, USUAL_LABELS | ODD_LABELS, ODD_NUMBERS, GROUPS
).map(",".join) | st.sampled_from(["", "  ", "1,2", "1,a,2,p,5"])
ROWS = st.lists(USUAL_ROWS | USUAL_ROWS | ODD_ROWS, max_size=40)
SCHEMAS = st.builds(
    DatasetSchema,
    label=st.just("label"),
    features=st.sampled_from([(), ("y", "x")]),
    classes=st.sampled_from([(), ("b", "a")]),
    missing=st.sampled_from(["refuse", "mean"]),
) | st.sampled_from(
    [DatasetSchema(label="label", group="who"), DatasetSchema(label="label", time="who")]
)


def outcome(content: bytes, schema: DatasetSchema, **how: object) -> object:
    """All that a file becomes but the quantiles, which depend on the order that values come in."""
    try:
        result = prepared(content, schema=schema, max_rejected_fraction=1, **how)
    except Refusal as refusal:
        return "refused", refusal.code
    features = {
        name: [of[key] for key in ("count", "missing", "min", "max", "mean", "std")]
        for name, of in result.as_dict()["features"].items()
    }
    return result.rows, result.rejects, features, result.profile.first_line, result.keys


@settings(max_examples=300, deadline=None)
@given(ROWS, SCHEMAS, st.sampled_from(["\n", "\r\n"]), st.sampled_from([1 << 20, 64, 7]))
def test_a_file_becomes_the_same_either_way_and_in_blocks_of_any_size(rows, schema, end, block):
    content = end.join(["x,label,y,who", *rows]).encode()
    expected = outcome(content, schema, prove=False)
    assert outcome(content, schema, block=block, chunk=block + 70) == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["", "x,label\n1,a\n2,b\n"]))
def test_no_bytes_crash_it_and_both_ways_agree_on_them(rest, beginning):
    content = beginning.encode() + rest
    schema = DatasetSchema(label="label") if beginning else DatasetSchema()
    assert outcome(content, schema) == outcome(content, schema, prove=False)


def lines_of(result: Prepared) -> list[str]:
    return [reject.text for reject in result.rejects]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), min_size=3, max_size=3), max_size=20))
def test_no_row_is_lost(records):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(records)
    content = "x,y,label\n1,2,a\n3,4,b\n" + buffer.getvalue()
    expected = [
        row for row in csv.reader(io.StringIO(content, newline="")) if any("".join(row).split())
    ]
    try:
        result = prepared(
            content, schema=DatasetSchema(label="label", encoding="utf-8"), max_rejected_fraction=1
        )
    except Refusal:
        return
    rows = result.as_dict()["rows"]
    assert rows["read"] == rows["kept"] + rows["rejected"]
    assert rows["kept"] == len(result.rows)
    assert rows["rejected"] == len(result.rejects)
    # Rows of nothing but delimiters are rows to us, and blank to nobody.
    assert len(expected) - 1 <= rows["read"]


def test_a_block_boundary_changes_no_row():
    rows = [f"{n % 97}.{n % 10},{n},{'ab'[n % 2]}" for n in range(200_000)]
    rows[::1000] = ["oops,1,a"] * 200
    content = "\n".join(["x,y,label", *rows])
    result = prepared(content)
    assert [line for line, _ in result.reasons] == list(range(2, 200_002, 1000))
    kept = [row for number, row in enumerate(rows) if number % 1000]
    assert result.rows == [(row[-1], row[:-2]) for row in kept]
