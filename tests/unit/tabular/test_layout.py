import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.errors import TableError
from tabular.layout import DELIMITERS, MAX_COLUMNS, MAX_NAME, Layout, read_layout
from tabular.records import MAX_RECORD


def layout_of(text: str | bytes, **how) -> tuple[Layout, str]:
    """The layout of a text, and its rows."""
    data = text if isinstance(text, bytes) else text.encode()
    layout, used = read_layout(data, **{"is_whole": True} | how)
    return layout, data[used:].decode()


def refused(text: str | bytes, **how) -> TableError:
    with pytest.raises(TableError) as caught:
        layout_of(text, **how)
    return caught.value


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_the_one_that_gives_a_header_as_wide_as_the_rows(delimiter, end):
    text = "x;y z;kind\n1.5;2 3;a\n4;5|6;b\n"
    layout, rows = layout_of(text.replace(";", delimiter).replace("\n", end))
    assert layout == Layout(delimiter, ("x", "y z", "kind"), 2)
    assert rows == "1.5;2 3;a\n4;5|6;b\n".replace(";", delimiter).replace("\n", end)


@pytest.mark.parametrize(
    "text", ["a;b;kind\n1,5;2,5;x\n2,5;3,5;y\n", "a;b;kind\n1,5;2;x\n", "a\tb\n1,5\t2,5\n"]
)
def test_a_decimal_comma_is_no_delimiter(text):
    layout, _ = layout_of(text)
    assert layout.delimiter == (";" if ";" in text else "\t")


def test_a_decimal_mark_that_is_told_is_no_delimiter():
    text = "a,b;c,d\n1,5;2,5\n"
    assert layout_of(text)[0].delimiter == ","
    assert layout_of(text, decimal=",")[0] == Layout(";", ("a,b", "c,d"), 2)


def test_a_name_on_two_lines_is_one_on_one_line():
    layout, _ = layout_of('"Amount\r\n(USD)","\x1b[31mred\u2028",kind\n1,2,a\n')
    assert layout.names == ("Amount (USD)", "[31mred", "kind")


def test_a_delimiter_that_is_told_is_not_guessed():
    assert layout_of("a,b;c,d\n1,5;2,5\n", delimiter=";")[0].names == ("a,b", "c,d")


def test_commas_in_texts_do_not_make_a_delimiter():
    text = "id\ttext\n1\tone, two, three\n2\tfour, five\n3\tsix\n"
    assert layout_of(text)[0] == Layout("\t", ("id", "text"), 2)


# ------------------------------------------------------------------------------- Excel's line


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;", "sep=; ", "\nsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_excels_line_names_the_delimiter_and_counts_as_a_line(line, end):
    text = f"{line}\nx;y\n1,5;2\n".replace("\n", end)
    layout, rows = layout_of(text)
    assert layout == Layout(";", ("x", "y"), 3 + line.count("\n"))
    assert rows == f"1,5;2{end}"


@pytest.mark.parametrize("mark", ["\t", "|", ":", "^", "~", "#"])
def test_excels_line_may_name_any_sign(mark):
    layout, _ = layout_of(f"sep={mark}\nx{mark}y\n1{mark}2\n")
    assert layout == Layout(mark, ("x", "y"), 3)


@pytest.mark.parametrize("mark", ['"', "a", "1", " ", "é", "\x00", ""])
def test_a_line_that_names_what_can_be_no_delimiter_is_no_line_of_excels(mark):
    error = refused(f"sep={mark}\nx,y\n1,2\n3,4\n")
    assert (error.code, "line 2" in error.message) == ("TitleAboveHeader", True)


# ------------------------------------------------------------------------------- the header


@pytest.mark.parametrize(
    ("text", "lines", "header"),
    [
        ("Report\nx,y,kind\n1,2,a\n", "line 1", 2),
        ("Report, 2024\n\nx,y,kind\n1,2,a\n3,4,b\n", "lines 1 to 2", 3),
        ("Report,,\n,,\nx,y,kind\n1,2,a\n", "lines 1 to 2", 3),
        ('"Report\n2024"\nx;y;kind\n1,5;2;a\n', "lines 1 to 2", 3),
    ],
)
def test_titles_above_the_header_are_refused_and_the_lines_to_delete_are_named(text, lines, header):
    error = refused(text)
    assert error.code == "TitleAboveHeader"
    assert f"The header seems to be on line {header}." in error.message
    assert error.remedy.startswith(f"Delete {lines},")


def test_the_header_may_be_one_name_short_as_r_writes_it():
    layout, rows = layout_of('"x","kind"\n"1",0.5,"a"\n"2",0.7,"b"\n')
    assert layout.names == ("", "x", "kind")
    assert rows.startswith('"1",0.5')


@pytest.mark.parametrize("more", [",", ",,,"])
def test_delimiters_at_the_end_of_the_header_name_no_column(more):
    assert layout_of(f"x,y{more}\n1,2\n3,4\n")[0].names == ("x", "y")


@pytest.mark.parametrize("more", [1, 3])
def test_delimiters_at_the_end_of_the_rows_make_columns_without_a_name(more):
    text = "x,y\n1,2@\n3,4@\n".replace("@", "," * more)
    assert layout_of(text)[0].names == ("x", "y", *[""] * more)
    assert (
        layout_of(text.replace("y\n", "y" + "," * more + "\n"))[0].names == layout_of(text)[0].names
    )


def test_rows_of_two_widths_leave_the_header_as_it_is():
    assert layout_of("x,y,kind\n1,2\n3,4\n")[0].names == ("x", "y", "kind")
    assert layout_of("x;y;kind\n1;2,5\n3;4,5\n")[0] == Layout(";", ("x", "y", "kind"), 2)


def test_names_are_without_the_spaces_around_them_and_lines_before_the_header_count():
    layout, rows = layout_of('\n\n x , "y" \n1,2\n'.replace('" ', '"'))
    assert layout == Layout(",", ("x", "y"), 4)
    assert rows == "1,2\n"


@pytest.mark.parametrize("text", ["1,2,3\n4,5,6\n", "a,2020\nb,1\n", "a,-1.5e3\nb,1\n"])
def test_a_header_that_holds_a_number_is_refused(text):
    error = refused(text)
    assert error.code == "NoHeader"
    assert text.split(",")[text.startswith("a")].split("\n")[0] in error.message


def test_names_may_be_numbers_beside_a_word_that_only_headers_have():
    text = "country,1990,1991,Kind\nd,1,2,x\n"
    assert layout_of(text, header_words={"kind"})[0].names == ("country", "1990", "1991", "Kind")
    assert refused(text).code == "NoHeader"
    # What the refusal advises.
    assert layout_of(text.replace("199", "y199"))[0].names[1:3] == ("y1990", "y1991")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "EmptyFile"),
        ("\n \n\t\n", "EmptyFile"),
        (",,\n,,\n", "EmptyFile"),
        ("a\n1\n2\n", "OneColumn"),
        ("a b\n1 2\n", "OneColumn"),
        ("a,b,a\n1,2,3\n", "DuplicateColumn"),
        ('a,"b\n1,2\n', "BrokenQuoting"),
        ('a,"b"c\n1,2\n', "BrokenQuoting"),
        (f"a,{'b' * (MAX_NAME + 1)}\n1,2\n", "LongColumnName"),
        (",".join(f"c{n}" for n in range(MAX_COLUMNS + 1)) + "\n", "TooManyColumns"),
        ("a,b" + "x" * MAX_RECORD, "LineTooLong"),
    ],
)
def test_what_is_no_table_is_refused_by_name(text, code):
    assert refused(text).code == code


def test_the_beginning_of_a_line_that_does_not_end_is_too_long_and_not_empty():
    assert refused(b"x" * (2 * MAX_RECORD), is_whole=False).code == "LineTooLong"


def test_a_header_alone_is_a_table_without_rows():
    for text in ("x,y", "x,y\n", "x,y\r\n"):
        assert layout_of(text) == (Layout(",", ("x", "y"), 2), "")


@given(
    st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=5),
    st.sampled_from(DELIMITERS),
    st.integers(0, 3),
)
def test_any_text_has_a_layout_or_is_refused(fields, delimiter, rows):
    text = "\n".join([delimiter.join(fields)] * (1 + rows))
    try:
        layout, rest = layout_of(text.encode("utf-8", "replace"))
    except TableError as error:
        assert error.message
        assert error.remedy
        return
    assert layout.width >= 2
    assert text.encode("utf-8", "replace").decode().endswith(rest)
