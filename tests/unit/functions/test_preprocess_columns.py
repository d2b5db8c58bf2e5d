import pytest

from columns import Columns, infer_columns
from dataset_schema import DatasetSchema
from dialect import detect_dialect
from pipeline.errors import Refusal
from records import read_records

HEADER = "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width,Species\n"


def columns_of(text: str, **schema) -> Columns:
    asked = DatasetSchema(**schema)
    dialect = detect_dialect(text.encode(), asked, is_whole=True)
    header, *sample = read_records(text.encode(), dialect.delimiter, 1, is_last=True)[0] or [None]
    return infer_columns(header, sample, dialect, asked)


def refusal_of(text: str, **schema) -> Refusal:
    with pytest.raises(Refusal) as refused:
        columns_of(text, **schema)
    return refused.value


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


def test_row_numbers_without_a_name_are_ignored_and_said_to_be():
    columns = columns_of(",x,label\n0,1,a\n1,2,b\n")
    assert (columns.features, columns.ignored) == (("x",), ("column 1 (without a name)",))


def test_columns_that_are_called_by_numbers_are_a_header_when_a_label_is_named():
    assert columns_of("0,1,target\n5,6,a\n7,8,b\n").features == ("0", "1")
    assert columns_of("0,1,2\n5,6,a\n7,8,b\n", label="2").features == ("0", "1")


def test_a_column_is_numeric_when_most_of_its_values_are_numbers():
    assert columns_of("x,y,label\n1,2,a\noops,3,b\n5,6,a\n").features == ("x", "y")


def test_the_schema_names_label_and_features_in_the_order_of_the_model():
    columns = columns_of("a,b,c,d\n1,2,3,x\n4,5,6,y\n", label="b", features=("c", "a"))
    assert (columns.label, columns.features, columns.ignored) == ("b", ("c", "a"), ("d",))


def test_group_and_time_are_no_features():
    text = "who,x,label\n1,2,a\n1,3,b\n"
    assert columns_of(text, group="who").features == ("x",)
    assert columns_of(text, time="who").features == ("x",)


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
        ("a:b:c\n1:2:x\n", "OneColumn", "a:b:c"),
        ("x,,label\n1,2,a\n", "UnnamedColumn", "Column 2"),
        ("x,x,label\n1,2,a\n", "DuplicateColumn", '"x"'),
        ('x,y,label\n"1,5",2,a\n"2,5",3,b\n', "DecimalComma", '"1,5"'),
        ('x,y,label\n"1,500",2,a\n"2,500",3,b\n', "DecimalComma", '"thousands"'),
    ],
)
def test_a_file_whose_columns_cannot_be_told_is_refused_with_a_remedy(text, code, says):
    refusal = refusal_of(text)
    assert refusal.code == code
    assert says in refusal.message + refusal.remedy
    assert refusal.remedy


@pytest.mark.parametrize(
    "schema", [{"label": "z"}, {"features": ("x", "z")}, {"group": "z"}, {"time": "z"}]
)
def test_a_column_that_the_schema_names_and_the_file_has_not_is_refused_by_name(schema):
    refusal = refusal_of("x,y,label\n1,2,a\n", **schema)
    assert refusal.code == "MissingColumn"
    assert f'"z", which schema.json names under "{next(iter(schema))}"' in refusal.message


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b,label\n1,2,x\n", ","),
        ("a;b;label\n1,5;2,5;x\n", ";"),
        ("a\tb\tlabel\n1\t2\tx,y\n", "\t"),
        ("a|b|label\n1|2|x\n", "|"),
        ('"length, cm";"width, cm";label\n1;2;x\n3;4;y\n', ";"),
        ("a,b;c,label\n1,2,x\n3,4,y\n", ","),
        ("no delimiter\nat all\n", ","),
    ],
)
def test_the_delimiter_is_the_one_that_most_lines_agree_on(text, delimiter):
    assert detect_dialect(text.encode(), DatasetSchema(), is_whole=True).delimiter == delimiter
    declared = detect_dialect(text.encode(), DatasetSchema(delimiter="|"), is_whole=True)
    assert declared.delimiter == "|"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_long_header_is_found(delimiter):
    names = [f"feature_{number:05}" for number in range(8000)]
    text = f"{delimiter.join([*names, 'label'])}\n{delimiter.join(['1'] * 8000 + ['a'])}\n"
    assert len(columns_of(text).features) == 8000


def test_more_columns_than_fit_in_memory_are_refused():
    text = ",".join(f"f{number}" for number in range(20_001)) + "\n" + "1," * 20_000 + "1\n"
    refusal = refusal_of(text)
    assert (refusal.code, "20,001 columns" in refusal.message) == ("TooManyColumns", True)


def test_columns_that_are_called_by_years_are_refused_with_the_remedy_that_works():
    refusal = refusal_of("2020,2021,2022\n5,6,a\n7,8,b\n")
    assert refusal.code == "NoHeader"
    assert '{"label": "…"}' in refusal.remedy
