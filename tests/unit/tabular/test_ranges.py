import json
from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.errors import TableError
from tabular.ranges import MAX_PARTS, Range, Scan, align, bytes_to_scan, cut, scan
from tabular.records import MAX_RECORD, read_records
from tests.unit.tabular.tables import blocks_of, records_of

FIELDS = st.sampled_from(
    [
        *("a", "", " i ", "é", "\t", '"b"', '"c""d"', '"e,f"', '"g\nh"', ' "z"', '5" pipe'),
        *('"\n\n"', '"j\r\nk"', '"x\ry"', '" "'),
    ]
)
ROWS = st.lists(st.lists(FIELDS, min_size=2, max_size=3).map(",".join), min_size=1, max_size=12)


def aligned(data: bytes, size: int, *, first: int = 0, line: int = 1) -> list[Range]:
    scans = []
    for bounds in cut(first, len(data), size):
        start, end = bytes_to_scan(bounds, first, len(data))
        found = scan(data[start:end], bounds, first, len(data), ",")
        # They are written down and read again.
        scans.append(Scan(**json.loads(json.dumps(asdict(found)))))
    return align(scans, line, len(data))


@settings(max_examples=300, deadline=None)
@given(ROWS, st.lists(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])), st.integers(1, 60))
def test_ranges_of_any_size_hold_the_records_of_the_whole_with_their_lines(rows, ends, size):
    ends = [*ends, *["\n"] * len(rows)]
    header = "h,i,j\n"
    data = (header + "".join(map("".join, zip(rows, ends, strict=False)))).encode()
    ranges = aligned(data, size, first=len(header), line=2)
    assert (ranges[0].start, ranges[-1].end) == (len(header), len(data))
    assert all(a.end == b.start for a, b in pairwise(ranges))
    whole = data[len(header) :]
    by_csv, by_blocks = [], []
    for each in ranges:
        part = data[each.start : each.end]
        by_csv += read_records(part, ",", each.line, is_last=True)[0]
        by_blocks += records_of(blocks_of(part, line=each.line))
    assert by_csv == read_records(whole, ",", 2, is_last=True)[0]
    assert by_blocks == records_of(blocks_of(whole, line=2))


def test_a_line_that_is_longer_than_a_range_leaves_the_next_ranges_empty():
    ranges = aligned(b"a,b\n" + b"x" * 1000 + b",c\nd,e\n", 100)
    assert len(ranges) == 10
    assert [(each.start, each.end) for each in ranges if each.start < each.end] == [
        (0, 1007),
        (1007, 1011),
    ]


@pytest.mark.parametrize("text", ["", "a,b", '"', "\r", "\n", "a,b\r"])
def test_what_has_no_second_record_is_one_range(text):
    ranges = aligned(text.encode(), 1)
    assert [each for each in ranges if each.start < each.end] == [Range(0, len(text), 1)][
        : len(text)
    ]


def test_a_line_without_end_is_refused():
    with pytest.raises(TableError) as refused:
        aligned(b"a,b\n" + b"x" * (3 * MAX_RECORD), 100)
    assert refused.value.code == "LineTooLong"


def test_a_range_tells_the_encoding_that_its_first_character_shows():
    data = b"a,b\n1,2\n" + "é,1\n".encode() + "é,1\n".encode("latin-1")
    scans = [
        scan(data[slice(*bytes_to_scan(bounds, 0, len(data)))], bounds, 0, len(data), ",")
        for bounds in [(0, 4), (4, 8), (8, 13), (13, 17)]
    ]
    assert [each.encoding for each in scans] == [None, None, "utf-8", "windows-1252"]


def test_a_file_of_any_size_is_cut_into_so_many_parts_at_the_most():
    size = 5 * 10**12
    assert len(cut(100, size, 256_000_000)) < MAX_PARTS
    bounds = cut(100, size, 128_000_000)
    assert (len(bounds), bounds[0][0], bounds[-1][1]) == (MAX_PARTS, 100, size)
    assert max(end - start for start, end in bounds) < 256_000_000
