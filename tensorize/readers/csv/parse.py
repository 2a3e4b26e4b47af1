"""Parse one chunk of a delimited file: bytes → an Arrow record batch, and what was seen in each column.

The first lines say what each column probably holds, so that most cells are parsed straight to numbers. Where that
fails, the chunk is parsed again as text and each column is looked at: the guess costs time, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from tensorize.columns.reader import NUMBER_NA
from tensorize.core.schema import Storage
from tensorize.engine.packed import Repeats, repeating
from tensorize.readers.csv.dialect import Dialect
from tensorize.readers.csv.infer import NUMBERS, WORDS, Seen, is_code, look, look_bools, plain, pointed
from tensorize.readers.types import to_bools

WHOLE, FRACTION, TIME = pa.int64(), pa.float64(), pa.timestamp("us")
_SEEN = {WHOLE: Seen.INT, FRACTION: Seen.FLOAT, TIME: Seen.TIME}
_NOTHING: Mapping[str, pa.DataType] = MappingProxyType({})

TRAILING = "\0"
"""What follows the last delimiter of every row, where one stands at the end. No column has a name of a zero byte."""


@dataclass(frozen=True)
class ChunkParser:
    """How chunks of one file are parsed: its dialect, the columns that are wanted, and the guess for each."""

    dialect: Dialect
    wanted: tuple[str, ...]
    text: frozenset[str]
    """Columns that are text whatever they hold."""
    lenient: frozenset[str]
    """Columns that are text where they mix numbers and words: kept as written until the whole file is known."""
    na: tuple[str, ...]
    """More words that mean a missing value, in every column."""
    bools: frozenset[str] = frozenset()
    """Columns that were said to be bool: every word for true and false is one."""
    guess: tuple[Seen, ...] = ()
    clocks: frozenset[str] = frozenset()
    """Columns of times: timestamp[us] where all cells of a chunk are ISO times, else text."""
    blank: str = "error"
    """What a blank line is: see the option."""
    longest: int = 0
    """The most bytes of a cell; 0 for any."""
    verbatim: bool = False
    """Cells are kept as they are written: a cell of spaces is not missing."""

    @property
    def without_quotes(self) -> ChunkParser:
        """The reader for a chunk in which there is no quote: a little faster."""
        dialect = self.dialect
        return replace(self, dialect=replace(dialect, way=replace(dialect.way, quote=None)))

    @property
    def number_na(self) -> list[str]:
        """The cells that are missing values in columns of numbers."""
        return [*NUMBER_NA, *self.na]


@dataclass(frozen=True)
class Parsed:
    """One parsed chunk: a column is int64 or float64 where all cells are numbers, else string as written, null if empty.

    Of a column that repeats itself every run was parsed once.
    """

    columns: Mapping[str, pa.Array | Repeats]
    seen: tuple[Seen, ...]
    whole: tuple[bool, ...]
    """(column) whether no cell is missing or infinite."""
    rows: int

    @property
    def cells(self) -> Mapping[str, pa.Array]:
        """The cells of each column, each at least once."""
        return {name: column.cells if isinstance(column, Repeats) else column for name, column in self.columns.items()}

    def last(self, rows: int) -> pa.RecordBatch:
        """The rows at the end, as many as there are."""
        first = max(self.rows - rows, 0)
        columns = [
            column.unpacked(first) if isinstance(column, Repeats) else column[first:] for column in self.columns.values()
        ]
        return pa.RecordBatch.from_arrays(columns, names=list(self.columns))


def parse(data: bytes, reader: ChunkParser) -> Parsed:
    """Parse the records in `data`. Raises pyarrow.ArrowInvalid for ragged rows and bytes that are not UTF-8."""
    typed = _guessed(reader)
    table = _as_guessed(data, reader, typed) if typed else None
    return parsed(_read(data, reader, {}), reader) if table is None else parsed(table, reader, typed)


def parsed(table: pa.Table, reader: ChunkParser, typed: Mapping[str, pa.DataType] = _NOTHING) -> Parsed:
    """Turn columns of text into numbers where all their cells are; those in `typed` have their types already."""
    columns: dict[str, pa.Array | Repeats] = {}
    seen, whole = [], []
    for name in reader.wanted:
        cells = _one(table.column(name))
        columns[name], what = (cells, _SEEN[typed[name]]) if name in typed else _by_runs(cells, reader, name)
        seen.append(what)
        whole.append(_is_whole(columns[name]))
    return Parsed(columns, tuple(seen), tuple(whole), table.num_rows)


def _guessed(reader: ChunkParser) -> dict[str, pa.DataType]:
    """The columns that are probably fractions throughout, or times."""
    floats = {name for name, seen in zip(reader.wanted, reader.guess, strict=False) if seen & Seen.FLOAT and not seen & WORDS}
    return dict.fromkeys(floats - reader.text - reader.lenient - reader.bools, FRACTION) | dict.fromkeys(reader.clocks, TIME)


def _as_guessed(data: bytes, reader: ChunkParser, typed: Mapping[str, pa.DataType]) -> pa.Table | None:
    """The cells as guessed; None if one does not fit, a missing time among them: a word for it is no time."""
    try:
        table = _read(data, reader, typed)
    except pa.ArrowInvalid:
        return None
    return None if any(table.column(name).null_count for name in reader.clocks) else table


def _read(data: bytes, reader: ChunkParser, typed: Mapping[str, pa.DataType]) -> pa.Table:
    """Pyarrow's reader over one block: columns as `typed` says, every other wanted one as text. A blank line is a row."""
    dialect = reader.dialect
    names = [*dialect.names, *([TRAILING] if dialect.trailing else [])]
    wanted = [*reader.wanted, *([TRAILING] if dialect.trailing else [])]
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
        parse_options=pacsv.ParseOptions(
            delimiter=dialect.way.delimiter,
            quote_char=dialect.way.quote or False,
            newlines_in_values=dialect.way.quote is not None,
            ignore_empty_lines=False,
        ),
        convert_options=pacsv.ConvertOptions(
            include_columns=wanted,
            column_types={name: typed.get(name, pa.string()) for name in wanted},
            null_values=reader.number_na,
            strings_can_be_null=False,
            decimal_point=dialect.decimal,
        ),
    )
    if dialect.trailing and pc.any(pc.not_equal(table.column(TRAILING), "")).as_py():
        raise pa.ArrowInvalid("a cell stands behind the last column")
    return table


def _is_whole(column: pa.Array | Repeats) -> bool:
    cells = column.cells if isinstance(column, Repeats) else column
    if cells.null_count:
        return False
    if not pa.types.is_floating(cells.type):
        return True
    values = cells.to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = bool(np.isfinite(values.sum()))  # a sum that is finite has finite parts
    return is_finite or bool(np.isfinite(values).all())


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _by_runs(cells: pa.Array, reader: ChunkParser, name: str) -> tuple[pa.Array | Repeats, Seen]:
    """As `_column`, with null for text that is missing; of cells that repeat themselves one of each run is looked at."""
    runs = repeating(cells)
    values, seen = _column(cells if runs is None else runs.cells, reader, name)
    if pa.types.is_string(values.type):
        values = _without_missing(values, reader)
    return values if runs is None else replace(runs, cells=values), seen


def _column(cells: pa.Array, reader: ChunkParser, name: str) -> tuple[pa.Array, Seen]:
    """Turn a string column into numbers where all its cells are, and say what it holds."""
    if name in reader.text:
        return cells, Seen.WORD
    numbers = None if name in reader.bools else _plain_integers(cells)
    if numbers is not None:
        return numbers, Seen.INT
    if name in reader.bools:
        return cells, look_bools(_nulled(cells, reader.na))
    dialect = reader.dialect
    seen = look(plain(_nulled(cells, reader.na), dialect.thousands, dialect.strip), dialect.decimal)
    if name in reader.lenient or not seen & NUMBERS or seen & WORDS or is_code(seen):
        return cells, seen
    return to_numbers(cells, reader, "float64" if seen & Seen.FLOAT else "int64"), seen


def _plain_integers(cells: pa.Array) -> pa.Array | None:
    """int64, where every cell is an integer in its plain form; None if one is not (empty, 007, +5, 1.5, a word)."""
    if not all(cell is None or cell.removeprefix("-").isdecimal() for cell in cells.slice(0, 16).to_pylist()):
        return None  # a cast that fails is 20 times slower than one that does not
    try:
        numbers = pc.cast(cells, pa.int64())
    except pa.ArrowInvalid:
        return None
    if pc.max(pc.binary_length(cells)).as_py() == 1:
        return numbers  # a digit has one form
    same = pc.all(pc.equal(pc.cast(numbers, pa.string()), cells))
    return numbers if same.as_py() else None


def to_numbers(cells: pa.Array, reader: ChunkParser, storage: Storage) -> pa.Array:
    """String cells (row) → int64 or float64 (row); words that mean missing become null."""
    cells = plain(_nulled(cells, reader.number_na), reader.dialect.thousands, reader.dialect.strip)
    cells = pc.utf8_ltrim(pc.utf8_trim_whitespace(cells), "+")
    if storage == "float64" and reader.dialect.decimal == ",":
        cells = pointed(cells)
    return pc.cast(cells, pa.int64() if storage == "int64" else pa.float64())


def _without_missing(cells: pa.Array, reader: ChunkParser) -> pa.Array:
    """Text with null where it is missing."""
    if reader.verbatim:
        return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)
    return _nulled(cells, ("", *reader.na))


def _nulled(cells: pa.Array, na: tuple[str, ...] | list[str]) -> pa.Array:
    """Cells with the words that mean missing turned to null."""
    if not na or not _may_hold(cells, na):
        return cells
    missing = pc.is_in(pc.utf8_trim_whitespace(cells), value_set=pa.array(na, pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells) if pc.any(missing).as_py() else cells


def _may_hold(cells: pa.Array, words: Sequence[str]) -> bool:
    """Whether a look at the bytes leaves it open that a cell, without white space around it, is one of some words.

    White space is ASCII's, or not ASCII; where there is none, a cell that is longer than every word is none of them.
    """
    if not len(cells):
        return False
    data = np.frombuffer(cells.buffers()[2] or b"", np.uint8)
    if data.size and (data.min() <= ord(" ") or data.max() > 127):
        return True
    shortest = pc.min(pc.binary_length(cells)).as_py()
    return shortest is not None and shortest <= max(len(word.encode()) for word in words)


def to_storage(cells: pa.Array, storage: Storage, reader: ChunkParser, code: bool) -> pa.Array:
    """Cast one parsed column (row) to the storage type of the whole file's column; missing cells become null.

    `code` marks integers kept as text (007): among them the words for missing numbers mean missing, too.
    """
    if storage in ("int64", "float64"):
        if pa.types.is_string(cells.type):
            return to_numbers(cells, reader, storage)
        return pc.cast(cells, pa.float64(), safe=False) if storage == "float64" and cells.type != pa.float64() else cells
    if not pa.types.is_string(cells.type):
        cells = pc.cast(cells, pa.string())
    if code:
        cells = _nulled(cells, reader.number_na)
    if storage == "bool":
        return to_bools(_nulled(cells, reader.number_na))
    return cells
