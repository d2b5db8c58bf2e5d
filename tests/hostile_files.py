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

from dataset_schema import DatasetSchema

ROWS = "5.1,3.5,a\n4.9,3.0,a\n6.2,2.8,b\n5.9,3.2,b\n"
TABLE = "x,y,label\n" + ROWS


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

    @property
    def dataset_schema(self) -> DatasetSchema:
        return DatasetSchema(**self.schema)


def table(*rows: str, header: str = "x,y,label") -> bytes:
    """Rows after the four of `TABLE`, which two classes need."""
    return (header + "\n" + ROWS + "".join(f"{row}\n" for row in rows)).encode()


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


def wide(columns: int) -> bytes:
    header = ",".join(f"c{n}" for n in range(columns))
    row = ",".join(str(n % 10) for n in range(columns))
    return (f"{header},label\n" + "".join(f"{row},{'ab'[n % 2]}\n" for n in range(6))).encode()


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
        b"x,label\n" + b"1,a\n" * 5,
        Refused("OneClass", 'column "label", has only the class "a"'),
    ),
    HostileFile("one row a class", b"x,label\n1,a\n2,b\n", Refused("SingleRowClass", "line 2")),
    HostileFile(
        "a class with a single row",
        table("1,2,c"),
        Refused("SingleRowClass", 'class "c" of column "label" has a single row, on line 6'),
    ),
    HostileFile(
        "all rows bad",
        b"x,y,label\n" + b"1,a\n2,3,4,b\n" * 3,
        Refused(
            "TooManyRejects",
            "6 of 6 rows can't be used, more than the 0.5 of them that MaxRejectedFraction allows. "
            "The first is on line 2: 2 columns where the header has 3.",
        ),
    ),
    HostileFile("all labels missing", b"x,label\n1,\n2,NA\n", Refused("TooManyRejects", "2 of 2")),
    # ------------------------------------------------------------------ columns
    HostileFile("a column named twice", b"x,x,label\n1,2,a\n", Refused("DuplicateColumn", '"x"')),
    HostileFile("a column without a name", b"x,,label\n1,2,a\n", Refused("UnnamedColumn", "2")),
    HostileFile(
        "row numbers in front without a name",
        b",x,label\n0,1,a\n1,2,a\n2,3,b\n3,4,b\n",
        Usable(4),
    ),
    HostileFile(
        "a delimiter at the end of each line",
        b"x,y,label,\n5,3,a,\n4,3,a,\n6,2,b,\n5,2,b,\n",
        Usable(4),
    ),
    HostileFile(
        "a column's name of 300 characters",
        f"x,{'n' * 300},label\n1,2,a\n".encode(),
        Refused("LongColumnName", "column 2 in line 1"),
    ),
    HostileFile("no label", b"a,b\n1,2\n3,4\n", Refused("NoLabel", '"a", "b"')),
    HostileFile("two labels", b"x,label,Class\n1,a,b\n", Refused("AmbiguousLabel", '"Class"')),
    HostileFile("two columns of words", b"x,u,v\n1,a,b\n", Refused("AmbiguousLabel", '"u", "v"')),
    HostileFile("no feature", b"label,word\na,x\nb,y\n", Refused("NoFeatures", '"label"')),
    HostileFile("label in the middle", b"x,label,y\n1,a,2\n2,a,3\n3,b,4\n5,b,6\n", Usable(4)),
    HostileFile("label first", b"label,x,y\na,1,2\na,2,3\nb,3,4\nb,5,6\n", Usable(4)),
    HostileFile("10,000 columns", lambda: wide(10_000), Usable(6)),
    HostileFile(
        "a feature of the schema is missing",
        TABLE.encode(),
        Refused("MissingColumn", '"z"'),
        schema={"features": ("x", "z")},
    ),
    HostileFile(
        "features in another order than the schema's",
        b"label,extra,y,x\na,q,3.5,5.1\na,q,3,4.9\nb,q,2.8,6.2\nb,q,3.2,5.9\n",
        Usable(4),
        schema={"features": ("x", "y")},
    ),
    HostileFile(
        "names in other scripts, right to left among them",
        "المقاس,长度,label\n1,2,a\n2,3,a\n3,4,b\n4,5,b\n".encode(),
        Usable(4),
    ),
    # ------------------------------------------------------------------ rows
    HostileFile("too few and too many columns", table("1,a", "1,2,3,a"), Usable(4, (6, 7))),
    HostileFile("empty lines in between", table("", "  ", "1,2,a", ""), Usable(5)),
    HostileFile("mixed line ends", b"x,label\r\n1,a\n2,a\r3,b\r\n4,b", Usable(4)),
    HostileFile("carriage returns alone", TABLE.replace("\n", "\r").encode(), Usable(4)),
    HostileFile("no line end at the end", TABLE.rstrip("\n").encode(), Usable(4)),
    HostileFile("lines of delimiters only", table(",,", ",,"), Usable(4, (6, 7))),
    HostileFile("NUL bytes in a number", table("1\x00,2,a"), Usable(4, (6,))),
    HostileFile("NUL bytes in a label", table("1,2,a\x00"), Usable(4, (6,))),
    HostileFile(
        "a 100 MB line", lambda: TABLE.encode() + b"9" * 100_000_000, Refused("LineTooLong", "6")
    ),
    HostileFile("a header of 100 MB", lambda: b"x" * 100_000_000, Refused("LineTooLong", "Line 1")),
    # ------------------------------------------------------------------ quotes
    HostileFile(
        "a quote never closed", table('1,2,"a', "3,4,b"), Refused("BrokenQuoting", "line 6")
    ),
    HostileFile(
        "a quote never closed, a gigabyte long",
        lambda: table('1,"2') + b"3,4,b\n" * 2_000_000,
        Refused("BrokenQuoting", "line 6"),
    ),
    HostileFile("text after a quote", table('1,2,"a"b'), Refused("BrokenQuoting", "line 6")),
    HostileFile(
        "a line break in quotes, and the right line after it",
        b'note,x,label\n"two\nlines",1,a\nn,oops,a\nn,2,a\n"1\r\n2",3,b\nn,4,b\n',
        Usable(4, (4,)),
    ),
    HostileFile(
        "delimiters and quotes in quoted labels",
        b'x,label\n1,"a,b"\n2,"a,b"\n3,"say ""hi"""\n4,"say ""hi"""\n',
        Usable(4, classes=("a,b", 'say "hi"')),
    ),
    HostileFile(
        "everything in quotes", b'"x","label"\n"1","a"\n"2","a"\n"3","b"\n"4","b"\n', Usable(4)
    ),
    HostileFile("quotes after spaces", b'x, "label"\n1, "a"\n2, "a"\n3, "b"\n4, "b"\n', Usable(4)),
    HostileFile("a quote inside a word", b'x,label\n1,5" pipe\n2,5" pipe\n3,b\n4,b\n', Usable(4)),
    # ------------------------------------------------------------------ numbers
    HostileFile(
        "missing values", table(",1,a", "NA,1,a", "NaN,1,a", "null,1,a"), Usable(4, (6, 7, 8, 9))
    ),
    HostileFile(
        "missing values, imputed",
        table(",1,a", "NA,1,a", "NaN,1,a", "null,1,a"),
        Usable(8),
        schema={"missing": "mean"},
    ),
    HostileFile(
        "a row without any value, imputed",
        table("NA,,a"),
        Usable(4, (6,)),
        schema={"missing": "median"},
    ),
    HostileFile(
        "a feature without any value",
        b"x,y,label\n1,,a\n2,,a\n3,,b\n4,,b\n",
        Refused("EmptyFeature", '"y"'),
        schema={"missing": "mean", "features": ("x", "y")},
    ),
    HostileFile("infinities", table("inf,1,a", "-Infinity,1,a"), Usable(4, (6, 7))),
    HostileFile("1e400", table("1e400,1,a"), Usable(4, (6,))),
    HostileFile("more than a 32-bit float", table("3.5e38,1,a"), Usable(4, (6,))),
    HostileFile("denormals and underflow", table("1e-320,1e-400,a", "-1e-45,0,b"), Usable(6)),
    HostileFile(
        "exponents to no end", table("1e-999999999,1,a", "1e999999999,1,b"), Usable(5, (7,))
    ),
    HostileFile("a thousand digits", table(f"1.{'3' * 1000},1,a"), Usable(4, (6,))),
    HostileFile("leading plus, exponents, bare points", table("+1,1e-3,a", ".5,5.,b"), Usable(6)),
    HostileFile("spaces around everything", table(" 1 , 2 , a ", "\t3,4\t,b"), Usable(6)),
    HostileFile("full-width digits", table("\uff15,1,a"), Usable(4, (6,))),
    HostileFile("digits of another script", table("٣,1,a"), Usable(4, (6,))),
    HostileFile(
        "underscores, hexadecimal, words",
        table("1_000,1,a", "0x1F,1,a", "one,1,b"),
        Usable(4, (6, 7, 8)),
    ),
    HostileFile(
        "decimal commas, undeclared",
        b"x;y;label\n1,5;2,5;a\n2,5;3,5;a\n3,5;4,5;b\n1,5;2,5;b\n",
        Refused("DecimalComma", '"1,5"'),
    ),
    HostileFile(
        "decimal commas, declared",
        b"x;y;label\n1,5;2,5;a\n2,5;3,5;a\n3,5;4,5;b\n1,5;2,5;b\n1.5;2,5;b\n",
        Usable(4, (6,)),
        schema={"decimal": ","},
    ),
    HostileFile(
        "thousands, declared",
        b"x;y;label\n1.000;2;a\n1.234.567,5;3;a\n12;4;b\n10.00;2;b\n3;4;b\n",
        Usable(4, (5,)),
        schema={"decimal": ",", "thousands": "."},
    ),
    # ------------------------------------------------------------------ labels
    HostileFile(
        "emoji, right-to-left and accented labels",
        "x,label\n1,🌸\n2,🌸\n3,زهرة\n4,زهرة\n5,Ängström\n6,Ängström\n".encode(),
        Usable(6, classes=("Ängström", "زهرة", "🌸")),
    ),
    HostileFile(
        "boolean labels",
        b"x,label\n1,True\n2,False\n3,True\n4,False\n",
        Usable(4, classes=("False", "True")),
    ),
    HostileFile(
        "integer labels", b"x,label\n1,10\n2,9\n3,10\n4,9\n", Usable(4, classes=("9", "10"))
    ),
    HostileFile(
        "formulas as labels",
        b"x,label\n1,=cmd|'/c calc'!A0\n2,=cmd|'/c calc'!A0\n3,@SUM(1)\n4,@SUM(1)\n",
        Usable(4, classes=("=cmd|'/c calc'!A0", "@SUM(1)")),
    ),
    HostileFile(
        "markup as labels",
        b"x,label\n1,<script>alert(1)</script>\n2,<script>alert(1)</script>\n3,b\n4,b\n",
        Usable(4),
    ),
    HostileFile("a label with a line break", table('1,2,"a\nb"'), Usable(4, (6,))),
    HostileFile("a label of 300 characters", table(f"1,2,{'z' * 300}"), Usable(4, (6,))),
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
    ),
    HostileFile(
        "classes that are numbers, and not whole",
        b"x,label\n1,0.5\n2,0.5\n3,1.5\n4,1.5\n",
        Usable(4, classes=("0.5", "1.5")),
    ),
    HostileFile(
        "a label that the schema has not",
        table("1,2,c"),
        Usable(4, (6,), classes=("b", "a")),
        schema={"classes": ("b", "a")},
    ),
    HostileFile(
        "a class that is called none, which the schema names",
        b"x,label\n1,none\n2,none\n3,b\n4,b\n",
        Usable(4, classes=("none", "b")),
        schema={"classes": ("none", "b")},
    ),
    # ------------------------------------------------------------------ encodings
    HostileFile("UTF-16 with a mark", TABLE.encode("utf-16"), Usable(4)),
    HostileFile("UTF-16 without a mark", TABLE.encode("utf-16-be"), Usable(4)),
    HostileFile(
        "UTF-16 cut in the middle of a character",
        TABLE.encode("utf-16")[:-1],
        Refused("BadEncoding", "line"),
    ),
    HostileFile(
        "Latin-1",
        "x,label\n1,é\n2,é\n3,ß\n4,ß\n".encode("latin-1"),
        Usable(4, classes=("ß", "é")),
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
    HostileFile("gzip under the name of a CSV", gzip.compress(TABLE.encode()), Usable(4)),
    HostileFile("gzip", gzip.compress(TABLE.encode()), Usable(4), key="rows.csv.gz"),
    HostileFile(
        "gzip in two members",
        gzip.compress(TABLE.encode()) + gzip.compress(b"1,2,a\n"),
        Usable(5),
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
        Refused("BrokenGzip", "CRC"),
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
        b"x,who,label\n1,p,a\n2,,a\n3,q,b\n4,r,b\n5,s,a\n",
        Usable(4, (3,)),
        schema={"group": "who"},
    ),
    HostileFile(
        "times that are none",
        b"x,at,label\n1,2026-01-01,a\n2,2026-13-01,a\n3,2026-01-02T10:00:00Z,b\n4,soon,b\n5,12,b\n6,7,a\n",
        Usable(4, (3, 5)),
        schema={"time": "at"},
    ),
]
