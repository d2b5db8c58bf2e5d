import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Refusal
from ranges import MAX_PARTS, Scan, align, bytes_to_scan, cut, scan
from records import MAX_RECORD, read_records

FIELDS = st.sampled_from(
    [
        "a",
        '"b"',
        '"c""d"',
        '"e,f"',
        '"g\nh"',
        " i ",
        "",
        ' "z"',
        '5" pipe',
        '"\n\n"',
        '"j\r\nk"',
        "é",
    ]
)
ROWS = st.lists(st.lists(FIELDS, min_size=2, max_size=3).map(",".join), min_size=1, max_size=12)


def aligned(data: bytes, size: int, *, first: int = 0, line: int = 1) -> list:
    scans = []
    for bounds in cut(first, len(data), size):
        start, end = bytes_to_scan(bounds, first, len(data))
        found = scan(data[start:end], bounds, first, len(data), ",")
        scans.append(Scan.from_dict(found.as_dict()))
    return align(scans, line, len(data))


@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 40))
def test_ranges_of_any_size_hold_whole_records_with_their_lines(rows, end, size):
    data = ("h,i,j\n" + "".join(row + end for row in rows)).encode()
    first = len("h,i,j\n")
    expected = read_records(data[first:], ",", 2, is_last=True)[0]
    ranges = aligned(data, size, first=first, line=2)
    assert (ranges[0].start, ranges[-1].end) == (first, len(data))
    found = []
    for each in ranges:
        found += read_records(data[each.start : each.end], ",", each.line, is_last=True)[0]
    assert found == expected


def test_a_line_that_is_longer_than_a_range_leaves_the_next_ranges_empty():
    ranges = aligned(b"a,b\n" + b"x" * 1000 + b",c\nd,e\n", 100)
    assert len(ranges) == 10
    assert [(each.start, each.end) for each in ranges if each.start < each.end] == [
        (0, 1007),
        (1007, 1011),
    ]


def test_a_line_without_end_is_refused():
    with pytest.raises(Refusal) as refused:
        aligned(b"a,b\n" + b"x" * (3 * MAX_RECORD), 100)
    assert refused.value.code == "LineTooLong"


def test_a_file_of_any_size_is_cut_into_so_many_parts_at_the_most():
    # The largest object of S3, in parts of the parameter's default and of its maximum.
    size = 5 * 10**12
    assert len(cut(100, size, 256_000_000)) < MAX_PARTS
    bounds = cut(100, size, 128_000_000)
    assert (len(bounds), bounds[0][0], bounds[-1][1]) == (MAX_PARTS, 100, size)
    assert max(end - start for start, end in bounds) < 256_000_000
