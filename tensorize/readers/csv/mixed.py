"""Cells that do not go with the rest of their column: words among numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import Array
from tensorize.core.errors import SHOWN, shown
from tensorize.core.rejects import Reject
from tensorize.core.schema import Kind
from tensorize.readers.csv.faults import Mixed, mixed_error
from tensorize.readers.csv.infer import Seen, are_bools, are_numbers
from tensorize.readers.csv.parse import Reader
from tensorize.readers.csv.places import Places
from tensorize.readers.csv.rejects import BadRows


class Misfits:
    """Finds the odd cells of columns that hold numbers and words, or other words than true and false."""

    def __init__(self, names: Sequence[str], forced: Mapping[str, Kind], seen: Mapping[str, Seen], reader: Reader) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._forced, self._reader = forced, reader
        self._local = any(seen[name] & Seen.LOCAL for name in self.names)
        self._columns = {name: Mixed(name) for name in self.names}

    def gather(self, batches: Iterable[pa.RecordBatch], bad: BadRows) -> None:
        """Go through the parsed rows."""
        start = 0
        for batch in batches:
            left_out = bad.within(start, batch.num_rows)
            for name, column in self._columns.items():
                cells = batch.column(name)
                good = self._good(name, cells)
                for sort, hit in ((True, good), (False, pc.invert(good))):
                    at = _true(hit, left_out)
                    values = [str(value) for value in cells.take(pa.array(at[:SHOWN])).to_pylist()]
                    column.add(sort, zip((at[:SHOWN] + start).tolist(), values, strict=True), len(at))
            start += batch.num_rows

    def _good(self, name: str, cells: pa.Array) -> pa.Array:
        """(row) bool: whether a cell is a number, or true or false where that was told; null where it is missing."""
        if not pa.types.is_string(cells.type):
            there = pc.if_else(pc.is_valid(cells), pa.scalar(True), pa.scalar(None, pa.bool_()))
            return pc.invert(there) if self._forced.get(name) == "bool" else there
        if self._reader.na:
            missing = pc.is_in(pc.utf8_trim_whitespace(cells), value_set=pa.array(self._reader.na, pa.string()))
            cells = pc.if_else(missing, pa.scalar(None, pa.string()), cells)
        if self._forced.get(name) == "bool":
            return are_bools(cells)
        return are_numbers(cells, self._reader.dialect.decimal, self._reader.dialect.thousands)

    def leave_out(self, batches: Iterable[pa.RecordBatch], bad: BadRows, places: Places) -> None:
        """Hand the rows of words among numbers in. Raises DataError where they are not to be skipped, or are no fewer."""
        doubtful = [
            column for name, column in self._columns.items() if name not in self._forced and column.numbers <= column.words
        ]
        if not bad.skips or doubtful:
            told = doubtful if bad.skips else list(self._columns.values())
            rows = [row for column in told for row, _ in column.first[column.rarer]]
            raise mixed_error(told, places.of(rows), self._local)
        start = 0
        for batch in batches:
            self._leave_out(batch, start, bad, places)
            start += batch.num_rows

    def _leave_out(self, batch: pa.RecordBatch, start: int, bad: BadRows, places: Places) -> None:
        left_out = bad.within(start, batch.num_rows)
        found: dict[int, tuple[str, str]] = {}
        for name in self.names:
            cells = batch.column(name)
            for row in _true(pc.invert(self._good(name, cells)), left_out).tolist():
                found.setdefault(row, (name, str(cells[row].as_py())))
        lines = places.lines([start + row for row in found])
        for row, (name, cell) in sorted(found.items()):
            file, line = lines[start + row]
            what = "true or false" if self._forced.get(name) == "bool" else "a number"
            bad.add(Reject(file, "cast", f"{shown(cell)} is not {what}", start + row, line, name, cell))


def _true(hit: pa.Array, left_out: Array | None) -> Array:
    """The rows at which a mask is true, but for those that were left out before."""
    mask = hit.fill_null(False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(mask if left_out is None else mask & ~left_out)
