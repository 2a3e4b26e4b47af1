"""Read one block: by the fast parser if it is sure to agree, else record by record.

The fast parser knows no ragged row that it could fill, and is never shown a quote out of place. What it would take in
silence is looked for here: zero bytes, blank lines, a second header, a byte order mark amid the rows.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import Mask
from tensorize.core.errors import plural
from tensorize.core.schema import POINTED
from tensorize.engine.packed import Packed, batch_of, pack
from tensorize.readers.csv.blocks import RETURN, ZERO, Block
from tensorize.readers.csv.first_line import is_number
from tensorize.readers.csv.infer import Seen
from tensorize.readers.csv.parse import ChunkParser, Parsed, parse, parsed
from tensorize.readers.csv.tokenizer import LINE_ENDS, LONG, Record, count_lines
from tensorize.sources.files import is_utf8


class Bad(NamedTuple):
    """A record that cannot be read: its 0-based row and line in the block, and what is wrong."""

    row: int
    line: int
    kind: str
    column: str | None
    reason: str
    raw: str


@dataclass(frozen=True)
class Read:
    """A block that was read. Every bad record has a row without any value in its place."""

    parsed: Parsed
    size: int
    """Bytes of the block."""
    lines: int
    """Line ends in the block."""
    bad: tuple[Bad, ...] = ()
    blanks: tuple[tuple[int, int, int], ...] = ()
    """(line, rows before it, lines) of each stretch of blank lines."""
    ends: frozenset[bytes] = frozenset()
    """The kinds of line ends that were seen."""
    literal: int = 0
    """Records with a quote inside an unquoted cell."""
    blank_is_row: bool = False
    """Whether a blank line is a row with a missing value."""

    @property
    def rows(self) -> int:
        """The number of parsed rows."""
        return self.parsed.rows


NOTES = 50
"""Rows at the end of a file that may be footnotes."""


@dataclass(frozen=True)
class Summary:
    """What is remembered of a block once its cells are kept elsewhere; see `Read`."""

    rows: int
    size: int
    lines: int
    bad: tuple[Bad, ...]
    blanks: tuple[tuple[int, int, int], ...]
    ends: frozenset[bytes]
    literal: int
    blank_is_row: bool
    seen: tuple[Seen, ...]
    whole: frozenset[str]
    """Columns without a missing or infinite cell."""
    texts: frozenset[str]
    """Columns that are text in this block."""
    alone: tuple[tuple[int, str, str], ...]
    """(row of the block, cell, column) of the rows at the end that hold a word in the first cell and nothing else."""
    all_alone: bool
    """Whether every row that was looked at for this is such a row."""

    @classmethod
    def of(cls, read_block: Read) -> Summary:
        """What is remembered of a block that was read."""
        parsed = read_block.parsed
        alone, all_alone = _alone(parsed)
        return cls(
            read_block.rows,
            read_block.size,
            read_block.lines,
            read_block.bad,
            read_block.blanks,
            read_block.ends,
            read_block.literal,
            read_block.blank_is_row,
            parsed.seen,
            frozenset(name for name, is_whole in zip(parsed.columns, parsed.whole, strict=True) if is_whole),
            frozenset(name for name, cells in parsed.cells.items() if pa.types.is_string(cells.type)),
            alone,
            all_alone,
        )


def _alone(parsed: Parsed) -> tuple[tuple[tuple[int, str, str], ...], bool]:
    """See `Summary.alone` and `Summary.all_alone`."""
    rest = list(parsed.cells.values())[1:]
    if parsed.rows and any(not cells.null_count for cells in rest):
        return (), False  # no row is without a value after its first cell
    batch = parsed.last(NOTES)
    found: list[tuple[int, str, str]] = []
    for at in range(batch.num_rows - 1, -1, -1):
        cell = _first_alone(batch, at) if len(rest) > 1 else None
        if cell is None:
            return tuple(found), False
        found.insert(0, (parsed.rows - batch.num_rows + at, cell, batch.schema.names[0]))
    return tuple(found), True


def _first_alone(batch: pa.RecordBatch, row: int) -> str | None:
    """The first cell of a row where it is a word and no other cell holds anything; '' if all are empty."""
    if any(column[row].is_valid for column in batch.columns[1:]):
        return None
    cell = batch.column(0)[row].as_py()
    if cell is None:
        return ""
    return cell if isinstance(cell, str) and not is_number(cell) else None


@dataclass(frozen=True)
class ReadBlock:
    """Reads a block wherever an engine calls it: what is remembered of it, and its cells, packed."""

    reader: ChunkParser

    def __call__(self, block: Block) -> tuple[Summary, Packed]:
        found = read_block(block, self.reader)
        return Summary.of(found), pack(found.parsed.columns)


def read_block(block: Block, reader: ChunkParser) -> Read:
    """Read the records of a block. It never raises for what is in them."""
    fast = _fast(block, reader) if block.records is None and reader.dialect.is_plain else None
    return fast or _slow(block, reader)


def _fast(block: Block, reader: ChunkParser) -> Read | None:
    """What the fast parser says; None if it cannot be trusted with the block."""
    data = block.data
    if ZERO in block.signs or data.startswith(codecs.BOM_UTF8):
        return None
    if not _is_blank_row(reader) and any(stretch in data for stretch in _BLANK_STRETCHES):
        return None  # a fast parser makes rows of them
    try:
        found = parse(data, reader if block.is_quoted else reader.without_quotes)
    except pa.ArrowInvalid:
        return None
    blank_is_row = _is_blank_row(reader)
    if (
        (not blank_is_row and _may_hold_blanks(data, found))
        or _may_hold_marks(found, reader)
        or _may_be_long(data, found, reader)
    ):
        return None
    if RETURN not in block.signs and not block.is_quoted:
        return Read(found, len(data), found.rows, ends=frozenset({b"\n"}), blank_is_row=blank_is_row)
    counted = _counted(data, (reader.dialect.way.quote or "").encode())
    return Read(found, len(data), counted[1], ends=counted[0], blank_is_row=blank_is_row) if counted else None


def _is_blank_row(reader: ChunkParser) -> bool:
    """Whether a blank line is a row with a missing value."""
    return reader.blank == "missing" and len(reader.dialect.names) == 1


_BLANK_STRETCHES = (b"\n" * 256, b"\r\n" * 256, b"\r" * 256)


def _counted(data: bytes, quote: bytes) -> tuple[frozenset[bytes], int] | None:
    """The kinds of line ends between records, and how many there are, quoted ones included; None if it is not plain."""
    if b"\r\r" in data:
        return None
    view = np.frombuffer(data, np.uint8)
    feeds, returns = np.flatnonzero(view == ord("\n")), np.flatnonzero(view == ord("\r"))
    paired = np.isin(returns + 1, feeds, assume_unique=True)
    lone_feeds, lone = np.setdiff1d(feeds, returns + 1, assume_unique=True), returns[~paired]
    count = len(feeds) + len(lone)
    kinds = {b"\r\n": returns[paired], b"\r": lone, b"\n": lone_feeds}
    if quote and quote in data:
        quotes = np.flatnonzero(view == quote[0])
        kinds = {kind: at[np.searchsorted(quotes, at) % 2 == 0] for kind, at in kinds.items()}
    return frozenset(kind for kind, at in kinds.items() if len(at)), count


def _may_hold_blanks(data: bytes, found: Parsed) -> bool:
    """A blank line is a row without any value: there is none where one column lacks no value."""
    if any(not column.null_count for column in found.cells.values()):
        return False
    return data[:1] in (b"\n", b"\r") or b"\n\n" in data or b"\n\r" in data or b"\r\r" in data


def _may_hold_marks(found: Parsed, reader: ChunkParser) -> bool:
    """Whether a row may be the header again, or begin with a byte order mark."""
    texts = {name: cells for name, cells in found.cells.items() if pa.types.is_string(cells.type)}
    first = reader.dialect.names[0]
    if first in texts and pc.any(pc.starts_with(texts[first], "\ufeff")).as_py():
        return True
    if any(name not in texts and not POINTED.fullmatch(name.strip()) for name in reader.wanted):
        return False
    may_be = (bool(pc.any(pc.equal(cells, name)).as_py()) for name, cells in texts.items())
    return bool(reader.dialect.header) and next(may_be, True)


def _may_be_long(data: bytes, found: Parsed, reader: ChunkParser) -> bool:
    if not reader.longest or len(data) <= reader.longest:
        return False
    texts = [cells for cells in found.cells.values() if pa.types.is_string(cells.type) and len(cells)]
    return any((pc.max(pc.binary_length(cells)).as_py() or 0) > reader.longest for cells in texts)


@dataclass
class _Taken:
    """The parsed rows of a block; an invalid row has no cells."""

    data: bytes
    rows: list[Sequence[bytes]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    blanks: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, record: Record, cells: Sequence[bytes]) -> None:
        self.rows.append(cells)
        self.records.append(record)

    def spoil(self, row: int, kind: str, column: str | None, reason: str) -> None:
        """A row is bad."""
        record = self.records[row]
        self.rows[row] = ()
        self.bad.append(Bad(row, record.line, kind, column, reason, raw_text(self.data[record.start : record.stop])))


def _slow(block: Block, reader: ChunkParser) -> Read:
    """Every record by itself."""
    records = block.records if block.records is not None else reader.dialect.tokenizer(reader.longest).records(block.data)
    blank_is_row = _is_blank_row(reader)
    taken, ends = _Taken(block.data), set[bytes]()
    for record in records:
        ends |= _line_ends(block.data, record)
        if not record.cells and not record.fault:
            count = count_lines(block.data, record.start, record.stop)
            if blank_is_row:
                for at in range(count):
                    taken.add(record._replace(line=record.line + at), [b""])
            else:
                taken.blanks.append((record.line, len(taken.rows), count))
            continue
        cells: Sequence[bytes] = record.cells
        taken.add(record, cells)
        wrong = _wrong(record, cells, reader)
        if wrong:
            taken.spoil(len(taken.rows) - 1, *wrong)
    for name in reader.wanted:
        _check_text(taken, reader, name)
    columns = [pa.array(_cells(taken, reader, name), pa.binary()).cast(pa.string()) for name in reader.wanted]
    return Read(
        parsed(pa.table(columns, names=list(reader.wanted)), reader),
        len(block.data),
        count_lines(block.data, 0, len(block.data)),
        tuple(sorted(taken.bad, key=lambda item: item.row)),
        tuple(taken.blanks),
        frozenset(ends),
        sum(record.literal and not record.fault for record in taken.records),
        blank_is_row,
    )


def _cells(taken: _Taken, reader: ChunkParser, name: str) -> list[bytes | None]:
    """One column, None if the row is bad."""
    index = reader.dialect.places[name]
    return [row[index] if row else None for row in taken.rows]


def _check_text(taken: _Taken, reader: ChunkParser, name: str) -> None:
    """Cells that are not text make their rows invalid."""
    cells = _cells(taken, reader, name)
    try:
        pa.array(cells, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        for row, cell in enumerate(cells):
            if cell is not None and not is_utf8(cell):
                odd = bytes(byte for byte in cell if byte > 127)[:8].hex(" ")
                taken.spoil(row, "encoding", name, f"bytes {odd}")


def _line_ends(data: bytes, record: Record) -> set[bytes]:
    """The kinds of line ends in a stretch of blank lines, or at the end of a record."""
    if not record.cells and not record.fault:
        lines = data[record.start : record.stop]
        return {b"\r\n" if len(end) > 1 and end[-1:] == b"\n" else end[:1] for end in LINE_ENDS.findall(lines)}
    end = data[max(record.start, record.stop - 2) : record.stop]
    return {b"\r\n"} if end == b"\r\n" else {end[-1:]} & {b"\r", b"\n"}


def _wrong(record: Record, cells: Sequence[bytes], reader: ChunkParser) -> tuple[str, str | None, str] | None:
    """Kind, column and reason of what is wrong with a record."""
    dialect = reader.dialect
    names = dialect.names
    if record.fault:
        return ("limit" if record.fault == LONG else "quote", None, record.fault)
    if len(cells) != dialect.width or (dialect.trailing and cells[-1]):
        return "ragged", None, f"{plural(len(cells), 'cell')}, not {dialect.width}"
    if dialect.header and tuple(cells) == dialect.header:
        return "header", None, "the header again"
    if cells[0].startswith(codecs.BOM_UTF8):
        return "mark", names[0], "a byte order mark amid the rows"
    for name, cell in zip(names, cells, strict=False):
        if b"\0" in cell:
            return "zero byte", name, "a zero byte"
    return None


def raw_text(data: bytes) -> str:
    """A record as in the file, without its line end; bytes that are not text as surrogates."""
    data = data.rstrip(b"\r\n")
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def without(batch: pa.RecordBatch, mask: Mask) -> pa.RecordBatch:
    """A batch whose rows in `mask` (row) hold no value."""
    columns = zip(batch.schema.names, batch.columns, strict=True)
    bare = {name: pc.if_else(pa.array(mask), pa.scalar(None, column.type), column) for name, column in columns}
    return batch_of(bare, batch.num_rows)
