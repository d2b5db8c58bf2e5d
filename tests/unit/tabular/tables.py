"""Tables read for tests: what is in the blocks, in the plainest form."""

from tabular.blocks import Block, Rows, read_blocks
from tabular.errors import TableError


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def blocks_of(text: str | bytes, width: int = 2, delimiter: str = ",", **how) -> list[Block]:
    data = text if isinstance(text, bytes) else text.encode()
    size = how.pop("size", len(data) or 1)
    return list(read_blocks(pieces(data, size), delimiter=delimiter, width=width, **how))


def records_of(blocks: list[Block]) -> list[tuple[int, str, list[str] | int]]:
    """Line, text and fields of each record; of one with another width, how many there are."""
    found = []
    for block in blocks:
        fields: dict[int, list[str] | int] = dict(block.odd)
        rows = block.rows
        for row, record in enumerate(rows.records.tolist()):
            assert record not in fields, "a record comes twice"
            fields[record] = [rows.text(column, row) for column in range(len(rows.starts))]
        assert sorted(fields) == list(range(len(block))), "a record is lost"
        for record in range(len(block)):
            found.append((int(block.lines[record]), block.text(record), fields[record]))
    return found


def outcome(text: str | bytes, **how) -> object:
    """The records of a text, or the code and the message of what is wrong with it."""
    try:
        return records_of(blocks_of(text, **how))
    except TableError as error:
        return error.code, error.message


def rows_of(text: str, width: int = 2, delimiter: str = ",") -> Rows:
    """The rows of a text that is one block."""
    (block,) = blocks_of(text, width, delimiter)
    return block.rows
