"""Rows whose cells have types of their own, column by column of no certain one: spreadsheets, SQLite.

They are read as the CSV file would be that holds them: numbers come as numbers, everything else as text, and the whole
column decides its kind. So the same rows make the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.reader import Needs, Rows
from tensorize.core.contracts import Run
from tensorize.engine.packed import Packed, pack
from tensorize.readers.csv.dialect import Dialect
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.csv.parse import ChunkParser, parsed
from tensorize.readers.csv.parse_block import Read, Summary
from tensorize.readers.csv.reader import CsvParser
from tensorize.readers.csv.sniff import Way

BATCH_ROWS = 16_384
COMMA = Way(",", '"')


@dataclass(frozen=True)
class CellSource:
    """A sheet or a query. `batches` yields its rows, each column of a batch int64, float64 or string; '' is missing in text."""

    name: str
    """What messages call it; a row is told by it and the number of the row."""
    size: int
    dialect: Dialect
    """The names of the columns, and the rows before the first, in `line`."""
    batches: Callable[[], Iterator[pa.RecordBatch]]


def dialect_of(
    names: Sequence[str],
    line: int = 0,
    notes: Sequence[str] = (),
    thousands: str | None = None,
    strip: str | None = None,
) -> Dialect:
    """The dialect of cells that are no text: columns of these names, whose first row follows `line` others."""
    return Dialect(
        tuple(names), COMMA, ".", header=(), start=0, line=line, thousands=thousands, strip=strip or "", notes=tuple(notes)
    )


def cell_rows(sources: Sequence[CellSource], options: CsvOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
    """Read the sources once. Raises DataError for what is not certain, with the place of each cell."""
    files: Any = sources
    return _CellsParser(files, options, needs, run).rows()


class _CellsParser(CsvParser):
    """Reads batches of cells in place of blocks of bytes; a row has its number in place of its line."""

    def _head_dialect(self, file: Any) -> Dialect:
        source: CellSource = file
        return source.dialect

    def _read(self, index: int) -> Iterator[tuple[Summary, Any]]:
        source: Any = self._files[index][0]
        yield from self._run.engine.keep(ReadBatch(self._readers[index]), source.batches())


@dataclass(frozen=True)
class ReadBatch:
    """Reads a batch wherever an engine calls it: what is remembered of it, and its cells, packed."""

    reader: ChunkParser

    def __call__(self, batch: pa.RecordBatch) -> tuple[Summary, Packed]:
        reader, columns, typed = self.reader, {}, {}
        words = any(map(_is_number, reader.na))
        for name in reader.wanted:
            cells = batch.column(reader.dialect.places[name])
            if words or name in reader.text | reader.lenient | reader.bools:
                cells = _as_text(cells)
            if not pa.types.is_string(cells.type):
                typed[name] = cells.type
            columns[name] = cells
        table = pa.table(columns) if columns else pa.Table.from_batches([batch.select([])])
        found = parsed(table, reader, typed)
        return Summary.of(Read(found, batch.nbytes, batch.num_rows)), pack(found.columns)


def _is_number(word: str) -> bool:
    """Whether a word that means missing is a number, such as -999 or inf."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def _as_text(cells: pa.Array) -> pa.Array:
    return cells if pa.types.is_string(cells.type) else pc.fill_null(pc.cast(cells, pa.string()), "")
