"""Files that somebody will drop, and what must become of each.

An outcome is a model (`Usable`, with the rows kept and rejected), or a refusal (`Refused`, with its
code and what its message must say, a line or a column among it).
"""

from __future__ import annotations

import gzip
import io
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ROWS = "5.1,3.5,a\n4.9,3.0,a\n6.2,2.8,b\n5.9,3.2,b\n" * 12
TABLE = "x,y,label\n" + ROWS
KEPT = 48
NEXT = 50
"""The line after those of `TABLE`."""


@dataclass(frozen=True)
class Usable:
    """A model can be made of it: so many rows are kept, the lines of the others are these."""

    kept: int
    rejected_lines: tuple[int, ...] = ()
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Refused:
    """The file is refused with a code and a message that says this."""

    code: str
    says: str


@dataclass(frozen=True)
class HostileFile:
    """A file and its outcome. `name` tells what is wrong with it."""

    name: str
    content: bytes | Callable[[], bytes]
    outcome: Usable | Refused
    key: str = "rows.csv"
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return self.content() if callable(self.content) else self.content


def table(*rows: str, header: str = "x,y,label") -> bytes:
    """Rows after those of `TABLE`."""
    return (header + "\n" + ROWS + "".join(f"{row}\n" for row in rows)).encode()


def rejected(count: int) -> Usable:
    """The rows after those of `TABLE` are set aside."""
    return Usable(KEPT, tuple(range(NEXT, NEXT + count)))


def labelled(*labels: str, each: int = 12) -> bytes:
    """A column that measures, and labels in turn."""
    rows = (f"{row}.5,{labels[row % len(labels)]}\n" for row in range(each * len(labels)))
    return ("x,label\n" + "".join(rows)).encode()


def bomb() -> bytes:
    """Rows that shrink a thousandfold."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as stream:
        stream.write(b"x,y,label\n")
        for _ in range(140):
            stream.write(b"1,2,a\n3,4,b\n" * 80_000)
    return packed.getvalue()


def zeros() -> bytes:
    """A bomb of one line."""
    return gzip.compress(bytes(300_000_000), 9)


def long_labels() -> bytes:
    """Labels of 200 characters, of four bytes each."""
    return ("x,label\n" + "".join(f"{n},{'🌸' * 200}{n}\n" * 2 for n in range(500))).encode()


def many_labels() -> bytes:
    return ("x,label\n" + "".join(f"{n},name-{n}\n" * 2 for n in range(1200))).encode()


def wide(columns: int) -> str:
    header = ",".join(f"c{n}" for n in range(columns))
    rows = (",".join(str((n + row) % 10) for n in range(columns)) for row in range(6))
    return f"{header},label\n" + "".join(f"{r},{'ab'[n % 2]}\n" for n, r in enumerate(rows))


def random_bytes() -> bytes:
    return random.Random(0).randbytes(100_000)


HOSTILE = [
    # ------------------------------------------------------------------ nothing, or hardly anything
    HostileFile("zero bytes", b"", Refused("EmptyFile", "empty")),
    HostileFile("only blank lines", b"\n\n  \n\r\n", Refused("EmptyFile", "empty")),
    HostileFile("header only", b"x,y,label\n", Refused("NoRows", "no row")),
    HostileFile("header without line end", b"x,y,label", Refused("NoRows", "no row")),
    HostileFile("one word", b"hello", Refused("OneColumn", '"hello"')),
    HostileFile("a byte order mark alone", b"\xef\xbb\xbf", Refused("EmptyFile", "empty")),
    HostileFile("no header", ROWS.encode(), Refused("NoHeader", "Line 1")),
    HostileFile("one row", b"x,label\n1,a\n", Refused("OneClass", '"a"')),
    HostileFile(
        "one class",
        labelled("a"),
        Refused("OneClass", 'column "label", has only the class "a" in 12 usable rows'),
    ),
    HostileFile("one row a class", b"x,label\n1,a\n2,b\n", Refused("SingleRowClass", "line 2")),
    HostileFile("a class with a single row among others", table("1,2,c"), rejected(1)),
    HostileFile(
        "rows of other widths than the header's",
        b"x,y,label\n" + b"1\n1,2,3,4,b\n" * 9,
        Refused("NoRows", "a header of 3 columns, but no row has as many fields"),
    ),
    HostileFile(
        "more bad rows than the settings allow",
        table(*["1,a", "1,2,3,b"] * 4),
        Refused(
            "TooManyRejects",
            "8 of 56 rows can't be used. max_rejected_fraction allows a share of 0.1. "
            "Reasons: wrong number of columns (8). The first such row is on line 50.",
        ),
    ),
    HostileFile(
        "all labels missing",
        b"x,label\n" + b"1.5,\n2.5,NA\n" * 9,
        Refused("NoLabel", '"label" has no value at all'),
    ),
    # ------------------------------------------------------------------ columns
    HostileFile("a column named twice", b"x,x,label\n1,2,a\n", Refused("DuplicateColumn", '"x"')),
    HostileFile("a column without a name", table(header="x,,label"), Usable(KEPT)),
    HostileFile(
        "row numbers in front without a name",
        (",x,y,label\n" + "".join(f"{n},{row}\n" for n, row in enumerate(ROWS.split()))).encode(),
        Usable(KEPT),
    ),
    HostileFile(
        "a delimiter at the end of each line", TABLE.replace("\n", ",\n").encode(), Usable(KEPT)
    ),
    HostileFile("a delimiter at the end of the header", table(header="x,y,label,"), Usable(KEPT)),
    HostileFile(
        "a delimiter at the end of the rows",
        ("x,y,label\n" + ROWS.replace("\n", ",\n")).encode(),
        Usable(KEPT),
    ),
    HostileFile(
        "a column's name of 300 characters",
        f"x,{'n' * 300},label\n1,2,a\n".encode(),
        Refused("LongColumnName", "column 2 in line 1"),
    ),
    HostileFile(
        "a title above the header",
        b"Flowers of the peninsula\n\n" + TABLE.encode(),
        Refused("TitleAboveHeader", "Line 1 looks like a title, not like a header"),
    ),
    HostileFile("Excel's line that tells the delimiter", b"sep=,\n" + TABLE.encode(), Usable(KEPT)),
    HostileFile(
        "no label", b"a,b\n1.5,2\n3.5,4\n", Refused("NoLabel", '"a" holds numbers; "b" holds')
    ),
    HostileFile(
        "two labels",
        b"x,label,Class\n" + b"1.5,a,b\n2.5,b,a\n" * 9,
        Refused("AmbiguousLabel", '"label", "Class"'),
    ),
    HostileFile(
        "two columns of words",
        b"x,u,v\n" + b"1.5,a,b\n2.5,b,a\n" * 9,
        Refused("AmbiguousLabel", '"u", "v"'),
    ),
    HostileFile(
        "no feature",
        b"label,word\n" + b"".join(b"%c,word%d\n" % (97 + n % 2, n) for n in range(20)),
        Refused("NoFeatures", '"word" has 20 different texts in 20 rows'),
    ),
    HostileFile(
        "a column with a value too large for a float in each row",
        (
            "n,x,label\n"
            + "".join(f"{10**22 + n},{r}\n" for n in range(3) for r in ("1.5,a", "2.5,b"))
        ).encode(),
        Usable(6),
    ),
    HostileFile("label in the middle", b"x,label,y\n1,a,2\n2,a,3\n3,b,4\n5,b,6\n", Usable(4)),
    HostileFile("label first", b"label,x,y\na,1,2\na,2,3\nb,3,4\nb,5,6\n", Usable(4)),
    HostileFile("10,000 columns", lambda: wide(10_000).encode(), Usable(6)),
    HostileFile(
        "a feature of the settings is missing",
        TABLE.encode(),
        Refused("MissingColumn", '"z"'),
        schema={"features": ["x", "z"]},
    ),
    HostileFile(
        "features in another order than the settings'",
        b"label,extra,y,x\n" + b"a,q,3.5,5.1\na,q,3,4.9\nb,q,2.8,6.2\nb,q,3.2,5.9\n" * 3,
        Usable(12),
        schema={"features": ["x", "y"]},
    ),
    HostileFile(
        "names in other scripts, right to left among them",
        table(header="المقاس,长度,label"),
        Usable(KEPT),
    ),
    # ------------------------------------------------------------------ rows
    HostileFile("too few and too many columns", table("1,a", "1,2,3,a"), rejected(2)),
    HostileFile("empty lines in between", table("", "  ", "1,2,a", ""), Usable(KEPT + 1)),
    HostileFile("mixed line ends", b"x,label\r\n1,a\n2,a\r3,b\r\n4,b", Usable(4)),
    HostileFile("carriage returns alone", TABLE.replace("\n", "\r").encode(), Usable(KEPT)),
    HostileFile("no line end at the end", TABLE.rstrip("\n").encode(), Usable(KEPT)),
    HostileFile("lines of delimiters only", table(",,", ",,"), rejected(2)),
    HostileFile("a total row", table("265.2,150,Total"), rejected(1)),
    HostileFile("a total row without a label", table("265.2,150,"), rejected(1)),
    HostileFile("NUL bytes in a number", table("1\x00,2,a"), rejected(1)),
    HostileFile("NUL bytes in a label", table("1,2,a\x00"), rejected(1)),
    HostileFile(
        "a 100 MB line",
        lambda: TABLE.encode() + b"9" * 100_000_000,
        Refused("LineTooLong", str(NEXT)),
    ),
    HostileFile("a header of 100 MB", lambda: b"x" * 100_000_000, Refused("LineTooLong", "Line 1")),
    # ------------------------------------------------------------------ quotes
    HostileFile(
        "a quote never closed", table('1,2,"a', "3,4,b"), Refused("BrokenQuoting", f"line {NEXT}")
    ),
    HostileFile(
        "a quote never closed, a gigabyte long",
        lambda: table('1,"2') + b"3,4,b\n" * 2_000_000,
        Refused("BrokenQuoting", f"line {NEXT}"),
    ),
    HostileFile("text after a quote", table('1,2,"a"b'), Refused("BrokenQuoting", f"line {NEXT}")),
    HostileFile(
        "a line break in quotes, and the right line after it",
        b'note,x,label\n"two\nlines",1,a\nn,oops,a\n' + b'n,2,a\n"1\r\n2",3,b\nn,4,b\n' * 12,
        Usable(37, (4,)),
    ),
    HostileFile(
        "delimiters and quotes in quoted labels",
        labelled('"a,b"', '"say ""hi"""'),
        Usable(24, classes=("a,b", 'say "hi"')),
    ),
    HostileFile(
        "everything in quotes", b'"x","label"\n"1","a"\n"2","a"\n"3","b"\n"4","b"\n', Usable(4)
    ),
    HostileFile("quotes after spaces", b'x, "label"\n1, "a"\n2, "a"\n3, "b"\n4, "b"\n', Usable(4)),
    HostileFile("a quote inside a word", b'x,label\n1,5" pipe\n2,5" pipe\n3,b\n4,b\n', Usable(4)),
    # ------------------------------------------------------------------ numbers
    HostileFile(
        "missing values",
        table(",1,a", "NA,1,a", "NaN,1,a", "null,1,a", "#N/A,1,b"),
        Usable(KEPT + 5),
    ),
    HostileFile(
        "missing values, refused",
        table(",1,a", "NA,1,a", "NaN,1,a", "null,1,a"),
        rejected(4),
        schema={"missing": "refuse"},
    ),
    HostileFile("rows without any value", table("NA,,a", ",?,b"), rejected(2)),
    HostileFile(
        "a feature of the settings without any value",
        b"x,y,label\n" + b"1.5,,a\n2.5,,b\n" * 9,
        Refused("EmptyFeature", '"y"'),
        schema={"features": ["x", "y"]},
    ),
    HostileFile("infinities", table("inf,1,a", "-Infinity,1,a"), rejected(2)),
    HostileFile("1e400", table("1e400,1,a"), rejected(1)),
    HostileFile("more than a 32-bit float can square", table("3.5e18,1,a"), rejected(1)),
    HostileFile(
        "denormals and underflow", table("1e-320,1e-400,a", "-1e-45,0,b"), Usable(KEPT + 2)
    ),
    HostileFile(
        "exponents to no end",
        table("1e-999999999,1,a", "1e999999999,1,b"),
        Usable(KEPT + 1, (NEXT + 1,)),
    ),
    HostileFile("a thousand digits", table(f"1.{'3' * 1000},1,a"), rejected(1)),
    HostileFile(
        "leading plus, exponents, bare points", table("+1,1e-3,a", ".5,5.,b"), Usable(KEPT + 2)
    ),
    HostileFile("spaces around everything", table(" 1 , 2 , a ", "\t3,4\t,b"), Usable(KEPT + 2)),
    HostileFile("full-width digits", table("\uff15,1,a"), rejected(1)),
    HostileFile("digits of another script", table("٣,1,a"), rejected(1)),
    HostileFile("underscores and hexadecimal digits", table("1_000,1,a", "0x1F,1,a"), rejected(2)),
    HostileFile(
        "decimal commas",
        b"x;y;label\n1,5;2,5;a\n2,5;3,5;a\n3,5;4,5;b\n1,5;2,5;b\n",
        Usable(4),
    ),
    HostileFile(
        "a decimal point among declared decimal commas",
        TABLE.replace(",", ";").replace(".", ",").encode() + b"1.5;2,5;b\n",
        rejected(1),
        schema={"decimal": ","},
    ),
    HostileFile(
        "thousands, declared, and wrong groups",
        b"x;y;label\n" + b"1.000;2;a\n1.234.567,5;3;a\n12;4;b\n3;4;b\n" * 12 + b"10.00;2;b\n",
        rejected(1),
        schema={"decimal": ",", "thousands": "."},
    ),
    HostileFile(
        "amounts and gaps", table("$1,1,a", '"$1,000.50",1,b', "(3),1,a"), Usable(KEPT + 3)
    ),
    # ------------------------------------------------------------------ labels
    HostileFile(
        "emoji, right-to-left and accented labels",
        labelled("🌸", "زهرة", "Ängström"),
        Usable(36, classes=("Ängström", "زهرة", "🌸")),
    ),
    HostileFile("boolean labels", labelled("True", "False"), Usable(24, classes=("False", "True"))),
    HostileFile("integer labels", labelled("10", "9"), Usable(24, classes=("9", "10"))),
    HostileFile(
        "classes in two spellings",
        labelled("1", "1.0", "2", "Red", "red "),
        Usable(60, classes=("1", "2", "Red")),
    ),
    HostileFile(
        "formulas as labels",
        labelled("=cmd|'/c calc'!A0", "@SUM(1)"),
        Usable(24, classes=("=cmd|'/c calc'!A0", "@SUM(1)")),
    ),
    HostileFile("markup as labels", labelled("<script>alert(1)</script>", "b"), Usable(24)),
    HostileFile("a label with a line break", table('1,2,"a\nb"'), rejected(1)),
    HostileFile("a label of 300 characters", table(f"1,2,{'z' * 300}"), rejected(1)),
    HostileFile(
        "1,200 classes", many_labels, Refused("TooManyClasses", '"label", has more than 1,000')
    ),
    HostileFile(
        "names of classes that are long together",
        long_labels,
        Refused("LongClasses", "300,000"),
    ),
    HostileFile(
        "measured numbers as labels",
        b"x,label\n" + b"".join(b"%d,%d.5\n" % (n, n) for n in range(40)),
        Refused("ContinuousLabel", 'column "label", holds measured numbers'),
        schema={"features": ["x"]},
    ),
    HostileFile(
        "classes that are numbers, and not whole",
        labelled("0.5", "1.5"),
        Usable(24, classes=("0.5", "1.5")),
    ),
    HostileFile(
        "a label that the settings have not",
        table("1,2,c"),
        Usable(KEPT, (NEXT,), classes=("b", "a")),
        schema={"classes": ["b", "a"]},
    ),
    HostileFile(
        "a class that is called NA, which the settings name",
        labelled("NA", "b"),
        Usable(24, classes=("NA", "b")),
        schema={"classes": ["NA", "b"]},
    ),
    # ------------------------------------------------------------------ encodings
    HostileFile("UTF-16 with a mark", TABLE.encode("utf-16"), Usable(KEPT)),
    HostileFile("UTF-16 without a mark", TABLE.encode("utf-16-be"), Usable(KEPT)),
    HostileFile(
        "UTF-16 cut in the middle of a character",
        TABLE.encode("utf-16")[:-1],
        Refused("BadEncoding", "line"),
    ),
    HostileFile(
        "Latin-1",
        labelled("é", "ß").decode().encode("latin-1"),
        Usable(24, classes=("ß", "é")),
    ),
    HostileFile(
        "UTF-8 with a broken byte",
        "x,label\n1,é\n2,é\n3,b\n".encode() + b"4,\xff\n",
        Refused("NotUtf8", "line 5"),
    ),
    HostileFile(
        "UTF-8 declared, Latin-1 found",
        "x,label\n1,é\n2,é\n".encode("latin-1"),
        Refused("NotUtf8", "line 2"),
        schema={"encoding": "utf-8"},
    ),
    HostileFile(
        "bytes of no encoding",
        b"x,label\n1,\x81\n2,\x81\n",
        Refused("BadEncoding", "0x81 on line 2"),
    ),
    # ------------------------------------------------------------------ no CSV at all
    HostileFile("gzip under the name of a CSV", gzip.compress(TABLE.encode()), Usable(KEPT)),
    HostileFile("gzip", gzip.compress(TABLE.encode()), Usable(KEPT), key="rows.csv.gz"),
    HostileFile(
        "gzip in two members",
        gzip.compress(TABLE.encode()) + gzip.compress(b"1,2,a\n"),
        Usable(KEPT + 1),
        key="rows.csv.gz",
    ),
    HostileFile(
        "truncated gzip",
        gzip.compress(TABLE.encode() * 1000)[:-20],
        Refused("BrokenGzip", "gzip"),
        key="rows.csv.gz",
    ),
    HostileFile(
        "a CSV under the name of gzip",
        TABLE.encode(),
        Refused("BrokenGzip", "gzip"),
        key="rows.csv.gz",
    ),
    HostileFile(
        "gzip with a wrong checksum",
        gzip.compress(TABLE.encode())[:-8] + struct.pack("<II", 1, len(TABLE)),
        Refused("BrokenGzip", "gzip"),
        key="rows.csv.gz",
    ),
    HostileFile("a bomb of rows", bomb, Refused("GzipBomb", "200 times"), key="rows.csv.gz"),
    HostileFile("a bomb of zeros", zeros, Refused("LineTooLong", "Line 1"), key="rows.csv.gz"),
    HostileFile("a ZIP archive", b"PK\x03\x04\x14\x00\x00\x00rest", Refused("NotText", "ZIP")),
    HostileFile("a Parquet file", b"PAR1\x15\x04\x15", Refused("NotText", "Parquet")),
    HostileFile("a column named PAR1", b"PAR1,label\n1,a\n2,a\n3,b\n4,b\n", Usable(4)),
    HostileFile("random bytes", random_bytes, Refused("BadEncoding", "line")),
    HostileFile(
        "a web page",
        b"<!doctype html>\n<html><body>404</body></html>\n",
        Refused("OneColumn", "doctype"),
    ),
    HostileFile("JSON", b'{"rows": [[1, 2, "a"]]}\n', Refused("BrokenQuoting", "line 1")),
    # ------------------------------------------------------------------ groups and times
    HostileFile(
        "a row without its group",
        b"x,who,label\n" + b"1,p,a\n2,q,b\n3,r,b\n4,s,a\n" * 9 + b"5,,a\n",
        Usable(36, (38,)),
        schema={"group": "who"},
    ),
    HostileFile(
        "times that are none",
        b"x,at,label\n"
        + b"1,2026-01-01,a\n2,2026-01-02T10:00:00Z,b\n3,12,b\n4,7,a\n" * 9
        + b"5,2026-13-01,a\n6,soon,b\n",
        Usable(36, (38, 39)),
        schema={"time": "at"},
    ),
]
