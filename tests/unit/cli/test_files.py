"""Names of files and rows of files, as the command line takes them."""

import io
from pathlib import Path

import click
import pytest

from cli.errors import Problem
from cli.follow import key_of
from cli.instances import AT_ONCE, file_of, in_batches, instance_of, read_records, to_csv


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        ("iris.csv", None, ("iris.csv", "iris")),
        ("iris.CSV.GZ", None, ("iris.CSV.GZ", "iris")),
        ("Breast Cancer.csv", None, ("breast-cancer/Breast Cancer.csv", "breast-cancer")),
        ("may.csv", "iris", ("iris/may.csv", "iris")),
        ("Breast Cancer.csv", "tumours", ("tumours/Breast Cancer.csv", "tumours")),
    ],
)
def test_a_files_name_or_its_user_names_the_dataset(name, dataset, expected):
    assert key_of(Path("somewhere") / name, dataset) == expected


@pytest.mark.parametrize(
    ("name", "dataset", "says"),
    [
        ("顧客.csv", None, "--dataset NAME"),
        ("iris.csv", "My Iris", "--dataset my-iris"),
        ("iris.csv", "", "--dataset NAME"),
    ],
)
def test_a_name_that_cannot_be_made_valid_is_asked_for(name, dataset, says):
    with pytest.raises(Problem) as problem:
        key_of(Path(name), dataset)
    assert problem.value.message.endswith(says)


def test_values_are_a_list_or_an_object_by_name():
    assert instance_of(["5.1", "-3", "NA"]) == ["5.1", "-3", "NA"]
    assert instance_of(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": None}
    with pytest.raises(Problem, match='"3" has no name'):
        instance_of(["a=1", "3"])


def test_a_file_is_told_from_values(tmp_path, monkeypatch):
    rows = tmp_path / "rows.csv"
    rows.touch()
    assert file_of([str(rows)]) == rows
    assert file_of(["-"]) == Path("-")
    assert file_of(["rows.csv", "1"]) is None
    with pytest.raises(Problem, match="There is no file"):
        file_of([str(tmp_path / "other.csv")])
    monkeypatch.setattr(click, "get_text_stream", lambda _: io.StringIO())
    assert file_of([]) == Path("-")


@pytest.mark.parametrize(
    "content",
    ['a,"b, c"\n1,2\n', 'a;"b, c"\n1;2\n', 'a\t"b, c"\r\n\r\n1\t2\r\n', '\ufeffa,"b, c"\n1,2'],
)
def test_records_are_read_whatever_is_between_their_values(tmp_path, content):
    file = tmp_path / "rows.csv"
    file.write_bytes(content.encode())
    assert list(read_records(file)) == [["a", "b, c"], ["1", "2"]]


def test_what_is_no_text_is_refused_with_its_name(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(Problem, match=r"rows\.csv is not CSV in UTF-8.* score DATASET"):
        list(read_records(file))


def test_rows_are_sent_a_thousand_at_once_and_fewer_if_they_are_long():
    sizes = [len(batch) for batch in in_batches([["1"]] * (2 * AT_ONCE + 1))]
    assert sizes == [AT_ONCE, AT_ONCE, 1]
    assert [len(batch) for batch in in_batches([["x" * 300_000]] * 5)] == [2, 2, 1]


def test_records_are_written_as_they_were():
    assert to_csv([["a, b", 'say "x"'], ["1", ""]]) == '"a, b","say ""x"""\n1,\n'
