"""Whole files, as people have them: exported by pandas, R, Excel and others."""

import gzip
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.settings import Settings
from tests.unit.functions.preprocessing import Prepared, csv_of, prepared, refusal_of

IRIS = pd.read_csv(Path(__file__).parents[3] / "data/iris.csv")
FEATURES = tuple(IRIS.columns[:4])


def by_r(frame: pd.DataFrame, *, sep: str = " ") -> str:
    """Write as R's ``write.table`` does: everything but numbers in quotes, no name for the rows."""

    def quoted(value: object) -> str:
        return f'"{value}"' if isinstance(value, str) else "NA" if pd.isna(value) else str(value)

    lines = [sep.join(f'"{name}"' for name in frame.columns)]
    for number, row in enumerate(frame.itertuples(index=False), start=1):
        lines.append(sep.join([f'"{number}"', *(quoted(value) for value in row)]))
    return "\n".join(lines) + "\n"


def is_iris(found: Prepared, *left_out: str) -> None:
    """Check that a file has given the rows of iris, and that these columns were left out."""
    assert found.table.label == "Species"
    assert found.table.features == FEATURES
    assert {name for name, role in found.roles.items() if role not in ("label", "number")} == set(
        left_out
    )
    assert found.classes.counts == {"setosa": 50, "versicolor": 50, "virginica": 50}
    np.testing.assert_allclose(
        found.survey.profile.moments[1], IRIS[list(FEATURES)].mean(), rtol=1e-12
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("Species", '"Species"').replace("setosa", '"setosa"'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "|"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\n\n"),
    ],
    ids=[
        "plain",
        "quoted",
        "crlf",
        "bom",
        "no-end",
        "spaces",
        "semicolons",
        "tabs",
        "bars",
        "cr",
        "blank-lines",
    ],
)
def test_quotes_marks_spaces_delimiters_and_line_ends_change_nothing(change):
    is_iris(prepared(change(IRIS.to_csv(index=False)).encode()))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_change_nothing(encoding):
    is_iris(prepared(IRIS.to_csv(index=False).encode(encoding)))


def test_compression_changes_nothing():
    text = IRIS.to_csv(index=False).encode()
    is_iris(prepared(gzip.compress(text)))
    is_iris(prepared(gzip.compress(text), gzip=True))


def test_the_same_bytes_give_the_same_rows_sample_and_profile():
    text = IRIS.to_csv(index=False)
    first, again = prepared(text), prepared(text)
    assert (first.clean, first.survey.state()) == (again.clean, again.survey.state())


# --------------------------------------------------------------------------- numbers of rows


def test_pandas_writes_its_index_in_front_without_a_name():
    is_iris(prepared(IRIS.to_csv()), "")


@pytest.mark.parametrize(
    "rows",
    [
        IRIS,
        IRIS.sample(frac=1, random_state=1),
        IRIS[IRIS.index % 5 > 0],
        IRIS.sample(120, random_state=2),
        IRIS.sort_values("Petal.Width"),
    ],
    ids=["all", "shuffled", "with gaps", "a sample", "sorted"],
)
@pytest.mark.parametrize("name", ["Unnamed: 0", "X", "index", "level_0", "Id", "ID_Zeile"])
def test_an_index_that_came_back_as_a_column_is_left_out(rows, name):
    again = rows.rename_axis(name).reset_index()
    found = prepared(again.to_csv(index=False))
    assert found.roles[name] == "identifier"
    assert found.table.features == FEATURES


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_a_header_of_r_is_one_name_short(sep):
    is_iris(prepared(by_r(IRIS, sep=sep)), "")


def test_names_of_rows_by_r_are_left_out_though_no_numbers():
    cars = pd.DataFrame({"mpg": np.arange(40) / 3, "gear": [4, 5] * 20, "am": ["no", "yes"] * 20})
    cars.index = [f"Mazda RX{row}" for row in range(40)]
    content = cars.to_csv().removeprefix(",")
    found = prepared(content)
    assert found.roles == {"": "identifier", "mpg": "number", "gear": "number", "am": "label"}


# --------------------------------------------------------------------------- Excel


def by_excel(frame: pd.DataFrame, sep: str, decimal: str, encoding: str = "utf-8-sig") -> bytes:
    text = frame.to_csv(index=False, sep=sep, decimal=decimal, lineterminator="\r\n")
    return text.encode(encoding)


@pytest.mark.parametrize(
    ("sep", "decimal", "encoding"),
    [
        (";", ",", "utf-8-sig"),
        (";", ",", "windows-1252"),
        ("\t", ",", "utf-16"),
        (",", ".", "utf-8-sig"),
        (";", ".", "utf-8"),
        ("\t", ".", "windows-1252"),
    ],
)
def test_excel_exports_of_many_countries_are_read_as_they_are(sep, decimal, encoding):
    is_iris(prepared(by_excel(IRIS, sep, decimal, encoding)))


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
def test_the_line_that_tells_excel_the_delimiter_is_no_header_but_counts_as_a_line(line):
    content = f"{line}\r\n" + IRIS.to_csv(index=False, sep=";", lineterminator="\r\n")
    is_iris(prepared(content))
    found = prepared(content.replace("\r\n5.1;3.5;", "\r\noops;3.5;", 1))
    assert found.rejected == [(3, 'column "Sepal.Length": "oops" is not a number')]


@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("title", ["Quarterly report", "Flowers of the Gaspé\n", '"Report, final"'])
def test_a_title_above_the_header_is_refused_by_name_with_the_line_of_the_header(sep, title):
    lines = title.split("\n") + ([sep * 4] if "Quarterly" in title else [])
    content = "\n".join(lines) + "\n" + IRIS.to_csv(index=False, sep=sep)
    refusal = refusal_of(content)
    assert refusal.code == "TitleAboveHeader"
    assert f"The header seems to be on line {len(lines) + 1}" in refusal.message
    assert "Delete line" in refusal.remedy


@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("where", ["header", "rows", "both"])
def test_a_delimiter_at_the_end_of_the_header_or_of_the_rows_means_nothing(sep, where):
    header, *rows = IRIS.to_csv(index=False, sep=sep).splitlines()
    header += sep if where in ("header", "both") else ""
    rows = [row + (sep if where in ("rows", "both") else "") for row in rows]
    is_iris(prepared("\n".join([header, *rows])), *([] if where == "header" else [""]))


def test_rows_of_nothing_but_delimiters_are_set_aside_and_speak_against_no_file():
    content = IRIS.to_csv(index=False) + ",,,,\n" * 100 + '"","","","",""\n' + " , ,,,\n"
    found = prepared(content)
    is_iris(found)
    assert found.survey.profile.rejects == {"empty row": 102}


@pytest.mark.parametrize(
    "total",
    [
        "Total,,,,",
        ",,,,Total",
        "876.5,458.6,563.7,179.9,",
        "876.5,458.6,563.7,179.9,TOTAL",
        "5.84,3.06,3.76,1.2,Average",
        ",,,,Gesamt",
    ],
)
def test_a_total_row_at_the_end_is_set_aside(total):
    found = prepared(IRIS.to_csv(index=False) + total + "\n")
    assert found.classes.counts == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert [line for line, _ in found.rejected] == [152]
    assert not found.survey.profile.rejects.keys() - {
        "missing label",
        "total of other rows",
        "no value",
    }


# --------------------------------------------------------------------------- tables of other kinds


def titanic(rows: int = 90) -> dict[str, list[object]]:
    draw = random.Random(1)
    return {
        "PassengerId": list(range(1, rows + 1)),
        "Survived": [row % 2 for row in range(rows)],
        "Pclass": draw.choices([1, 2, 3], k=rows),
        "Name": [f"Braund, Mr. Owen {row}" for row in range(rows)],
        "Sex": draw.choices(["male", "female"], k=rows),
        "Age": [draw.choice(["", 22, 38, 26, 35, 54, 2.5]) for _ in range(rows)],
        "Ticket": [f"A/5 {21171 + 7 * row}" for row in range(rows)],
        "Fare": [f"{draw.uniform(7, 80):.4f}" for _ in range(rows)],
        "Cabin": [draw.choice(["", "", "", f"C{row}"]) for row in range(rows)],
        "Embarked": draw.choices(["S", "C", "Q", ""], k=rows),
    }


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
def test_a_table_of_kaggle_has_its_label_its_names_and_its_gaps_told_apart(sep):
    found = prepared(csv_of(titanic(), sep))
    assert found.roles == {
        "PassengerId": "identifier",
        "Survived": "label",
        "Pclass": "number",
        "Name": "identifier",
        "Sex": "category",
        "Age": "number",
        "Ticket": "identifier",
        "Fare": "number",
        "Cabin": "empty",
        "Embarked": "category",
    }
    assert not found.rejects


def test_a_file_of_patients_as_a_statistics_program_writes_it():
    draw = random.Random(4)
    content = csv_of(
        {
            "CASEID": [f"{row}.00" for row in range(1, 61)],
            "SEX": draw.choices(["1", "2", "."], k=60),
            "BMI": ["." if row % 3 == 0 else f"{draw.gauss(25, 4):.1f}" for row in range(60)],
            "VISIT": [f"{row % 28 + 1:02}-JAN-2024" for row in range(60)],
            "SITE": ["Rome"] * 60,
            "GROUP": draw.choices(["case", "control"], k=60),
        },
        "\t",
    )
    assert prepared(content).roles == {
        "CASEID": "identifier",
        "SEX": "number",
        "BMI": "number",
        "VISIT": "date",
        "SITE": "constant",
        "GROUP": "label",
    }


def test_dummies_of_pandas_are_booleans():
    frame = IRIS.assign(site=["north", "south", "east"] * 50)
    found = prepared(pd.get_dummies(frame, columns=["site"]).to_csv(index=False))
    assert [found.roles[f"site_{name}"] for name in ("east", "north", "south")] == ["boolean"] * 3


def test_integers_that_pandas_wrote_as_floats_after_a_gap_are_the_same_numbers_and_classes():
    frame = pd.DataFrame(
        {
            "rings": pd.Series([*range(1, 6)] * 12).where(np.arange(60) % 7 > 0),
            "x": np.arange(60) / 7,
            "class": pd.Series([1, 2, 3] * 20).where(np.arange(60) != 30),
        }
    )
    found = prepared(frame.to_csv(index=False))
    assert found.classes.counts == {"1": 19, "2": 20, "3": 20}
    assert found.roles == {"rings": "number", "x": "number", "class": "label"}
    assert found.rejected == [(32, 'column "class": the label is missing')]


def test_a_third_of_the_values_missing_is_imputed_unasked_and_counted():
    frame = IRIS.mask(np.random.default_rng(7).random(IRIS.shape) < 0.33)
    frame["Species"] = IRIS["Species"]
    content = frame.to_csv(index=False, na_rep="NA")
    found = prepared(content)
    none = int(frame[list(FEATURES)].isna().all(axis=1).sum())
    assert none
    assert found.survey.profile.rejects == {"no value": none}
    counts = frame[list(FEATURES)].dropna(how="all").isna().sum()
    assert found.survey.profile.missing.tolist() == counts.tolist()
    refusal = refusal_of(content, Settings(missing="refuse"))
    assert (refusal.code, "missing value" in refusal.message) == ("TooManyRejects", True)


def test_an_empty_column_and_one_that_pandas_named_for_the_delimiter_are_empty():
    found = prepared(IRIS.assign(Notes="", **{"Unnamed: 5": np.nan}).to_csv(index=False))
    is_iris(found, "Notes", "Unnamed: 5")
    assert found.column("Notes").reason == "has no value at all"


@pytest.mark.parametrize("header", ["Länge in mm", "α", "a;b", 'the "best"', "x\ny", " x ", "1st"])
def test_names_of_columns_may_be_anything(header):
    frame = IRIS.rename(columns={"Petal.Width": header})
    found = prepared(frame.to_csv(index=False))
    assert found.table.features == (*FEATURES[:3], header.strip().replace("\n", " "))


def test_years_may_be_columns_if_the_label_is_named():
    frame = pd.DataFrame(np.random.default_rng(0).random((60, 3)), columns=[2020, 2021, 2022])
    content = frame.assign(kind=["a", "b"] * 30).to_csv(index=False)
    assert refusal_of(content).code == "NoHeader"
    found = prepared(content, Settings(label="kind"))
    assert found.table.features == ("2020", "2021", "2022")


def test_a_column_without_a_name_is_left_out_whatever_is_in_it():
    frame = IRIS.assign(more=["north", "south", "east"] * 50).rename(columns={"more": ""})
    found = prepared(frame.to_csv(index=False))
    is_iris(found, "")
    assert found.column("").reason == "has no name"


def test_two_columns_of_one_name_are_refused_by_name():
    refusal = refusal_of(IRIS.to_csv(index=False).replace("Petal.Width", "Petal.Length", 1))
    assert (refusal.code, '"Petal.Length"' in refusal.message) == ("DuplicateColumn", True)


def test_integers_too_large_for_a_float_are_no_feature_whatever_they_are_called():
    draw = random.Random(0)
    for name in ("hash", "measurement", "n"):
        rows = IRIS.assign(**{name: [str(10**24 + draw.getrandbits(70)) for _ in range(150)]})
        is_iris(prepared(rows.to_csv(index=False)), name)


def test_the_label_is_told_where_several_columns_could_be():
    frame = IRIS.assign(colour=["red", "blue"] * 75).rename(columns={"Species": "cut"})
    content = frame.to_csv(index=False)
    assert refusal_of(content).code == "AmbiguousLabel"
    assert prepared(content, Settings(label="cut")).table.features == (*FEATURES, "colour")


def test_columns_are_told_from_all_over_a_file_that_is_sorted_by_class():
    content = "x,kind\n" + "".join(f"{row % 97}.5,a\n" for row in range(200_000))
    content += "".join(f"{row % 89}.25,b\n" for row in range(40_000))
    assert prepared(content).roles == {"x": "number", "kind": "label"}
