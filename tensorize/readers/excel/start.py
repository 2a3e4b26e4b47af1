"""Where the table of a sheet begins: titles above it, its header, and columns that hold nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tensorize.core.errors import DataError
from tensorize.readers.cells import COMMA
from tensorize.readers.csv.header import Start, find_names, find_start
from tensorize.readers.csv.sniff import SAMPLE_LINES, Fit
from tensorize.readers.csv.tokenizer import Record
from tensorize.readers.excel.options import ExcelOptions

Cells = Sequence[str]


def columns_of(head: Sequence[Cells], last: Sequence[int], skip: int) -> list[int]:
    """The columns of the table: those with a cell in it. `last` is the last row in which each column has one."""
    top = next((at for at, row in enumerate(head) if at >= skip and _filled(row) > 1), skip)
    found = [at for at, row in enumerate(last) if row >= top]
    return found or [at for at, row in enumerate(last) if row >= skip]


def _filled(row: Cells) -> int:
    return sum(cell != "" for cell in row)


def find_table(
    head: Sequence[Cells], skip: int, options: ExcelOptions, name: str, whole: bool
) -> tuple[tuple[str, ...], int, Start]:
    """The names of the columns, the first row below the header, and what was found. `whole` says that `head` is all.

    Raises DataError where it is not certain whether the first row names the columns.
    """
    records = _records(head[:SAMPLE_LINES], skip)
    if not records:
        raise DataError(f"{name} is empty", hint="the sheet must hold a header and at least one row")
    width = len(head[0])
    if width > options.max_columns:
        raise DataError(f"{name} has {width:,} columns", hint=f"allow them: --max-columns {width}", fix={"max_columns": width})
    start = find_start(Fit(COMMA, tuple(records)), options.header, name)
    assert start.first is not None
    if start.header and not start.rest and whole:
        raise DataError(
            f"{name} has a header and no row", hint="columns: " + ", ".join(cell.decode() for cell in start.first.cells)
        )
    return find_names(start, options.names, width, name), start.first.line + start.header, start


def _records(head: Sequence[Cells], skip: int) -> list[Record]:
    """The rows that hold a cell, as records; a title above the table without the empty cells beside it."""
    width = len(head[0]) if head else 0
    rows = [(at, row) for at, row in enumerate(head) if at >= skip and _filled(row)]
    table = next((place for place, (_, row) in enumerate(rows) if _filled(row) * 2 > width), 0)
    return [_record(at, _title(row, width) if place < table else row) for place, (at, row) in enumerate(rows)]


def _title(row: Cells, width: int) -> Cells:
    """A title as CSV files have it: the first cell of its row, wherever it stands; several without the empty ones behind."""
    filled = [cell for cell in row if cell]
    if len(filled) == 1:
        return [*filled, *[""] * (width - 1)]
    return row[: max(at for at, cell in enumerate(row) if cell) + 1]


def _record(line: int, cells: Cells) -> Record:
    return Record(0, 0, line, [cell.encode("utf-8", "replace") for cell in cells], "", literal=False)
