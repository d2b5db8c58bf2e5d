import gzip
import io
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import infer_columns
from lines import MAX_LINE, read_lines
from pipeline.errors import Refusal
from prepare import clean_lines, survey
from rows import Example, Reject, Row, RowChecker, is_number, read_rows

HEADER = "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width,Species\n"
FEATURES = HEADER.strip().split(",")[:4]


def rows_of(text: str) -> list[Row]:
    return list(read_rows(io.StringIO(text, newline="")))


def columns_of(text: str):
    header, *sample = rows_of(text) or [None]
    return infer_columns(header, sample)


def refusal_of(text: str) -> Refusal:
    with pytest.raises(Refusal) as refused:
        columns_of(text)
    return refused.value


def check(line: str) -> Example | Reject:
    return RowChecker(HEADER.strip().split(","), "Species", FEATURES).check(rows_of(line)[0])


def test_a_row_of_numbers_with_a_label_is_an_example():
    assert check("5.1,3.5,1.4,0.2,setosa") == Example("setosa", ["5.1", "3.5", "1.4", "0.2"])


def test_spaces_around_fields_and_a_leading_plus_are_dropped():
    assert check(" +5.1 ,3.5, 1.4,2e-1 , setosa ") == Example(
        "setosa", ["5.1", "3.5", "1.4", "2e-1"]
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5.1,abc,1.4,0.2,setosa", 'column "Sepal.Width": "abc" is not a number'),
        ("5.1,,1.4,0.2,setosa", 'column "Sepal.Width": the value is missing'),
        ("5.1,NA,1.4,0.2,setosa", 'column "Sepal.Width": the value is missing'),
        ("5.1,3.5,1.4,0.2,", 'column "Species": the label is missing'),
        ("5.1,3.5,1.4,setosa", "4 columns where the header has 5"),
        ("5.1,3.5,1.4,0.2,setosa,x", "6 columns where the header has 5"),
        ("5.1,inf,1.4,0.2,setosa", 'column "Sepal.Width": "inf" is not a number'),
        ("5.1,1e400,1.4,0.2,setosa", 'column "Sepal.Width": 1e400 is too large for a 32-bit float'),
        ("5.1,1_000,1.4,0.2,setosa", 'column "Sepal.Width": "1_000" is not a number'),
        ("5.1,\uff15,1.4,0.2,setosa", 'column "Sepal.Width": "\uff15" is not a number'),
    ],
)
def test_a_row_that_is_no_use_is_set_aside_with_column_and_reason(line, reason):
    assert check(line) == Reject(1, reason, line)


def test_a_quoted_line_break_belongs_to_its_row_and_lines_are_counted_right():
    rows = rows_of('a,b\n1,"x\ny"\n2,z\n')
    assert [(row.line, row.fields) for row in rows] == [
        (1, ["a", "b"]),
        (2, ["1", "x\ny"]),
        (4, ["2", "z"]),
    ]


def test_lines_with_nothing_on_them_are_passed_over_but_counted():
    assert [row.line for row in rows_of("a,b\n\n1,2\n   \n3,4\n")] == [1, 3, 5]


def test_a_quote_that_is_never_closed_is_refused_with_the_line_where_it_opens():
    with pytest.raises(Refusal) as refused:
        rows_of('a,b\n1,2\n3,"x\n4,y\n')
    assert refused.value.code == "BrokenQuoting"
    assert "line 3" in refused.value.message


@given(st.text())
def test_any_text_is_read_or_refused_and_no_row_is_lost(text):
    try:
        rows = rows_of(text)
    except Refusal:
        return
    kept = "".join(row.text for row in rows)
    assert "".join(kept.split()) == "".join(text.split())


@given(st.lists(st.lists(st.text(max_size=5), min_size=5, max_size=5), max_size=10))
def test_every_row_is_an_example_or_a_reject_that_holds_the_row(records):
    import csv

    buffer = io.StringIO()
    csv.writer(buffer).writerows(records)
    checker = RowChecker(HEADER.strip().split(","), "Species", FEATURES)
    try:
        rows = rows_of(buffer.getvalue())
    except Refusal:
        return
    for row in rows:
        checked = checker.check(row)
        if isinstance(checked, Reject):
            assert checked.text == row.text
            assert checked.reason
        else:
            assert all(is_number(feature) for feature in checked.features)


def test_the_label_is_found_by_its_name_in_any_case():
    columns = columns_of("x,SPECIES,y\n1,a,2\n3,b,4\n")
    assert (columns.label, columns.features) == ("SPECIES", ("x", "y"))


def test_the_only_column_of_words_is_the_label():
    assert columns_of("x,kind,y\n1,a,2\n3,b,4\n").label == "kind"


def test_a_numeric_label_is_found_by_its_name():
    columns = columns_of("target,x\n0,1\n1,2\n")
    assert (columns.label, columns.features) == ("target", ("x",))


def test_a_column_of_words_beside_a_named_label_is_ignored():
    columns = columns_of("id,x,class\nA1,1,a\nA2,2,b\n")
    assert (columns.features, columns.ignored) == (("x",), ("id",))


def test_columns_that_are_called_by_numbers_are_a_header_when_a_label_is_named():
    assert columns_of("0,1,target\n5,6,a\n7,8,b\n").features == ("0", "1")


def test_a_column_is_numeric_when_most_of_its_values_are_numbers():
    assert columns_of("x,y,label\n1,2,a\noops,3,b\n5,6,a\n").features == ("x", "y")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "EmptyFile", "empty"),
        (HEADER, "NoRows", "no row"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "NoHeader", '"5.1"'),
        ("a,b\n1,2\n", "NoLabel", '"a", "b"'),
        ("a,b,c\n1,x,y\n2,z,w\n", "AmbiguousLabel", '"b", "c"'),
        ("x,label,Class\n1,a,b\n", "AmbiguousLabel", '"label", "Class"'),
        ("label,word\na,x\nb,y\n", "NoFeatures", '"label"'),
        ("a;b;c\n1;2;x\n", "OneColumn", "a;b;c"),
        ("x,,label\n1,2,a\n", "UnnamedColumn", "Column 2"),
        ("x,x,label\n1,2,a\n", "DuplicateColumn", '"x"'),
    ],
)
def test_a_file_whose_columns_cannot_be_told_is_refused_with_a_remedy(text, code, says):
    refusal = refusal_of(text)
    assert refusal.code == code
    assert says in refusal.message
    assert refusal.remedy


def survey_of(text: str, **options: float):
    rejects: list[Reject] = []
    surveyed = survey(iter(rows_of(text)), rejects.append)
    surveyed.profile.check(max_rejected_fraction=options.get("max_rejected_fraction", 0.5))
    return surveyed, rejects


def test_classes_are_coded_in_their_order_whatever_row_comes_first():
    text = "x,label\n1,b\n2,a\n3,b\n4,a\n"
    surveyed, _ = survey_of(text)
    assert surveyed.schema.classes == ("a", "b")
    assert list(clean_lines(iter(rows_of(text)), surveyed)) == ["1,1\n", "0,2\n", "1,3\n", "0,4\n"]


def test_integer_classes_are_ordered_by_value():
    surveyed, _ = survey_of("x,label\n1,10\n2,9\n3,10\n4,9\n")
    assert surveyed.schema.classes == ("9", "10")


def test_rows_read_are_rows_kept_and_rows_rejected():
    surveyed, rejects = survey_of("x,label\n1,a\n2,a\noops,a\n4,b\n5,b\n")
    profile = surveyed.profile
    assert (profile.read, profile.kept, profile.rejected) == (5, 4, 1)
    assert [reject.line for reject in rejects] == [4]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("x,label\n1,a\n2,a\n", "OneClass", '"a"'),
        ("x,label\n1,a\n2,a\n3,b\n", "SingleRowClass", "line 4"),
        ("x,label\n1,a\n2,\n3,\n", "TooManyRejects", "2 of 3"),
    ],
)
def test_a_file_that_no_classifier_can_learn_from_is_refused(text, code, says):
    with pytest.raises(Refusal) as refused:
        survey_of(text)
    assert refused.value.code == code
    assert says in refused.value.message


def lines_of(content: bytes, *, gzipped: bool = False) -> list[str]:
    return list(read_lines(io.BytesIO(content), gzipped=gzipped))


def test_a_byte_order_mark_is_passed_over_and_line_ends_are_kept():
    assert lines_of(b"\xef\xbb\xbfa,b\r\n1,2\r\n") == ["a,b\r\n", "1,2\r\n"]


def test_gzip_is_unpacked():
    assert lines_of(gzip.compress(b"a,b\n1,2\n"), gzipped=True) == ["a,b\n", "1,2\n"]


@pytest.mark.parametrize(
    "content", [gzip.compress(b"a,b\n" * 1000)[:-9], b"a,b\n1,2\n", gzip.compress(b"a")[:5]]
)
def test_broken_gzip_is_refused(content):
    with pytest.raises(Refusal) as refused:
        lines_of(content, gzipped=True)
    assert refused.value.code == "BrokenGzip"


@pytest.mark.parametrize("line", [1, 2, 1500])
def test_a_byte_that_is_not_utf8_is_refused_with_its_line(line):
    content = "setosa,1.0,2.0\n" * 2000
    broken = content.encode().split(b"\n")
    broken[line - 1] = b"s\xe9tosa,1.0,2.0"
    with pytest.raises(Refusal) as refused:
        lines_of(b"\n".join(broken))
    assert refused.value.message == f"The text is not UTF-8: byte 0xe9 on line {line}."


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    class Endless(io.RawIOBase):
        served = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            self.served += len(buffer)
            assert self.served < 4 * MAX_LINE, "it reads on and on"
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    with pytest.raises(Refusal) as refused:
        list(read_lines(io.BufferedReader(Endless()), gzipped=False))
    assert refused.value.code == "LineTooLong"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff"))))
def test_utf8_lines_come_out_as_they_went_in(texts: Iterable[str]):
    text = "".join(f"{line}\n" for line in texts)
    assert "".join(lines_of(text.encode())) == text
