"""Columns that hold numbers and words: an error that lists the cells, or rows that are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import Array
from tensorize.core.errors import SHOWN, DataError, plural, shown, some
from tensorize.core.rejects import Reject
from tensorize.core.schema import Kind
from tensorize.readers.csv.rejects import Mixed, mixed_error
from tensorize.readers.jsonl.bad import BadLines
from tensorize.readers.jsonl.cells import as_text, good
from tensorize.readers.jsonl.places import LinePlaces

ColumnCells = tuple[pa.Array, bool]
"""The cells (row) of a column in one block, and whether they are tagged."""
Blocks = Callable[[], Iterable[tuple[int, int, Mapping[str, ColumnCells]]]]
"""Go through the blocks: (first source row, rows, column → cells where it has some)."""


@dataclass(frozen=True)
class MixedColumns:
    """Columns that hold numbers and words, or other words than true and false where `--type` says bool."""

    names: Sequence[str]
    quoted: Sequence[str]
    """Those of them whose words are all numbers in quotes."""
    forced: Mapping[str, Kind]
    na: tuple[str, ...]

    def settle(self, blocks: Blocks, bad: BadLines, places: LinePlaces) -> None:
        """Leave out the rows of words among numbers. Raises DataError if they are not to be skipped, or are no fewer."""
        columns = {name: Mixed(name) for name in self.names}
        for start, rows, cells in blocks():
            self._gather(columns, start, cells, bad.within(start, rows))
        doubtful = [column for name, column in columns.items() if name not in self.forced and column.numbers <= column.words]
        if not bad.skips or doubtful:
            self._raise(doubtful if bad.skips else list(columns.values()), places)
        for start, rows, cells in blocks():
            self._leave_out(start, cells, bad, bad.within(start, rows), places)

    def _raise(self, columns: Sequence[Mixed], places: LinePlaces) -> None:
        where = places.of([row for column in columns for row, _ in column.first[column.rarer]])
        quoted = [column for column in columns if column.name in self.quoted]
        if len(quoted) < len(columns):
            raise mixed_error(columns, where, local=False, dressed=False)
        lines: list[str] = []
        for column in quoted:
            lines += some([f"{where[row]}  {column.name}  {shown(cell)}" for row, cell in column.first[column.rarer]])
            lines.append(f'column "{column.name}": {plural(column.numbers, "number")}, {column.words:,} in quotes')
        raise DataError(
            f"{plural(len(quoted), 'column holds', 'columns hold')} numbers, some of them in quotes",
            lines,
            "read all as numbers: " + " ".join(f'--type "{column.name}:number"' for column in quoted),
            {"type": [f"{column.name}:number" for column in quoted]},
        )

    def _good(self, name: str, cells: ColumnCells) -> pa.Array:
        return good(*cells, self.forced.get(name), self.na)

    def _gather(
        self, columns: Mapping[str, Mixed], start: int, found: Mapping[str, ColumnCells], left_out: Array | None
    ) -> None:
        for name, cells in found.items():
            is_good = self._good(name, cells)
            for sort, hit in ((True, is_good), (False, pc.invert(is_good))):
                at = _true(hit, left_out)
                first = as_text(cells[0].take(pa.array(at[:SHOWN])), cells[1]) if len(at) else []
                columns[name].add(sort, zip((at[:SHOWN] + start).tolist(), map(str, first), strict=True), len(at))

    def _leave_out(
        self, start: int, found: Mapping[str, ColumnCells], bad: BadLines, left_out: Array | None, places: LinePlaces
    ) -> None:
        rows: dict[int, tuple[str, str]] = {}
        for name, cells in found.items():
            at = _true(pc.invert(self._good(name, cells)), left_out)
            texts = as_text(cells[0].take(pa.array(at)), cells[1]).to_pylist() if len(at) else []
            for row, cell in zip(at.tolist(), texts, strict=True):
                rows.setdefault(row, (name, cell))
        for row, (name, cell) in sorted(rows.items()):
            file, line = places.line(start + row)
            what = "true or false" if self.forced.get(name) == "bool" else "a number"
            bad.add(Reject(file, "cast", f"{shown(cell)} is not {what}", start + row, line, name, cell))


def _true(hit: pa.Array, left_out: Array | None) -> Array:
    """The rows at which a mask is true, but for those that were left out before."""
    mask = hit.fill_null(False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(mask if left_out is None else mask & ~left_out)
