import pytest

from columns import Columns
from dialect import Dialect
from records import read_records
from rows import Example, Reject, RowChecker

HEADER = ("length", "width", "Species")
COLUMNS = Columns(HEADER, "Species", ("length", "width"), ())


def check(line: str, *, dialect: Dialect | None = None, impute: bool = False, **columns):
    dialect = dialect or Dialect()
    roles = Columns(HEADER, "Species", columns.pop("features", ("length", "width")), (), **columns)
    checker = RowChecker(roles, dialect, classes=(), impute=impute)
    (record,) = read_records(line.encode(), dialect.delimiter, 1, is_last=True)[0]
    return checker.check(record)


def test_a_row_of_numbers_with_a_label_is_an_example():
    assert check("5.1,3.5,setosa") == Example("setosa", ["5.1", "3.5"])


def test_spaces_around_fields_and_a_leading_plus_are_dropped():
    assert check(" +5.1 ,2e-1 , setosa ") == Example("setosa", ["5.1", "2e-1"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5.1,abc,setosa", 'column "width": "abc" is not a number'),
        ("5.1,,setosa", 'column "width": the value is missing'),
        ("5.1,NA,setosa", 'column "width": the value is missing'),
        ("5.1,3.5,", 'column "Species": the label is missing'),
        ("5.1,setosa", "2 columns where the header has 3"),
        ("5.1,3.5,setosa,x", "4 columns where the header has 3"),
        ("5.1,inf,setosa", 'column "width": "inf" is not a number'),
        ("5.1,1e400,setosa", 'column "width": 1e400 is too large for a 32-bit float'),
        ("5.1,1_000,setosa", 'column "width": "1_000" is not a number'),
        ('5.1,"1,000",setosa', 'column "width": "1,000" is not a number'),
        ("5.1,\uff15,setosa", 'column "width": "\uff15" is not a number'),
        (
            "5.1,3.5,a\x07b",
            'column "Species": the label holds a line break or a control character',
        ),
    ],
)
def test_a_row_that_is_no_use_is_set_aside_with_column_and_reason(line, reason):
    checked = check(line)
    assert isinstance(checked, Reject)
    assert (checked.line, checked.reason, checked.text) == (1, reason, line)


def test_a_missing_value_is_kept_when_it_will_be_imputed_unless_all_are_missing():
    assert check("NA,3.5,setosa", impute=True) == Example("setosa", ["", "3.5"])
    assert isinstance(check("NA,,setosa", impute=True), Reject)


@pytest.mark.parametrize(
    ("dialect", "field", "number"),
    [
        (Dialect(";", ","), "1,5", "1.5"),
        (Dialect(";", ","), "1.5", None),
        (Dialect(";", ",", "."), "1.234.567,5", "1234567.5"),
        (Dialect(";", ",", "."), "1234,5", "1234.5"),
        (Dialect(";", ",", "."), "1.23", None),
        (Dialect(",", ".", ","), "1,234,567.5", "1234567.5"),
        (Dialect(",", ".", ","), "12,34", None),
        (Dialect(",", ".", " "), "-1 234", "-1234"),
        (Dialect(",", ".", " "), "1\u00a0234\u202f567", "1234567"),
        (Dialect(",", ".", "'"), "1'234.5e3", None),
        (Dialect(), "1e-3", "1e-3"),
        (Dialect(), "+.5", ".5"),
    ],
)
def test_marks_mean_what_the_schema_says_and_nothing_else(dialect, field, number):
    assert dialect.number(field) == number


def test_the_same_group_has_the_same_key_and_no_group_none():
    keys = [check(f"1,{who},a", group="width", features=("length",)) for who in "ppq"]
    assert keys[0].key == keys[1].key != keys[2].key
    missing = check("1,NA,a", group="width", features=("length",))
    assert missing.reason == 'column "width": the group is missing'


@pytest.mark.parametrize(
    "times",
    [
        ["-1e30", "-5", "-0.5", "0", "1e-5", "3", "20261124"],
        ["1969-12-31", "2026-11-24", "2026-11-24T00:00:01", "2026-11-25T00:00:00.000001Z"],
        ["2026-01-01T02:00:00+05:00", "2025-12-31T22:00:00Z", "2026-01-01T00:00:00-05:00"],
    ],
)
def test_keys_sort_as_times_do(times):
    keys = [check(f"1,{time},a", time="width", features=("length",)).key for time in times]
    assert keys == sorted(set(keys))


def test_what_is_no_time_is_set_aside():
    reject = check("1,soon,a", time="width", features=("length",))
    assert reject.reason == 'column "width": "soon" is neither a number nor an ISO 8601 time'


def test_a_time_column_follows_the_decimal_mark():
    columns = Columns(("x", "label", "at"), "label", ("x",), (), time="at")
    dialect = Dialect(";", decimal=",")
    checker = RowChecker(columns, dialect, classes=(), impute=False)
    records = read_records(b"1;a;1,5\n1;a;1,25\n", ";", 1, is_last=True)[0]
    late, early = (checker.check(record) for record in records)
    assert early.key < late.key
