"""The rows of a table that are kept, and whether their cells are fit for use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow.compute as pc

from tensorize.columns.cells import Cells, endless_error, missing_error, unseen_error
from tensorize.columns.fitted import Channelled, Fitted, Unseen
from tensorize.columns.missing import DROP, ERROR, complete, policies
from tensorize.columns.options import ColumnOptions
from tensorize.columns.rows import RowBlock, TableScan
from tensorize.columns.where import Where
from tensorize.core.contracts import Array, Mask
from tensorize.core.errors import DataError, plural
from tensorize.encoders.one_hot import OneHot
from tensorize.engine.packed import Packed


class Kept:
    """Goes through the blocks of a scan with a mask of the rows that `--where` and `--missing drop` leave.

    `policies` says for each input and target what is done with missing values; `keys` are other columns that must be
    whole, such as the time of a series. `learns` is False where a recipe is applied.
    """

    def __init__(self, scan: TableScan, options: ColumnOptions, keys: Sequence[str] = (), *, learns: bool = True) -> None:
        self._scan, self._keys, self._learns = scan, keys, learns
        roles, schema = scan.needs.roles, scan.schema
        self._where = Where(options.where, schema) if options.where else None
        absent = [name for name in roles.names if name not in schema]
        self._out = np.empty(0, dtype=np.int64)
        self.policies = policies(options.missing, schema, roles.inputs, roles.targets, absent)

    def __iter__(self) -> Iterator[tuple[RowBlock, Mask]]:
        return self.blocks()

    def blocks(self, columns: Collection[str] | None = None) -> Iterator[tuple[RowBlock, Mask]]:
        """Yield every block, and which of its rows are kept, (row) bool; of its columns at least `columns`."""
        if self._keeps_all:
            yield from ((block, np.ones(len(block), dtype=bool)) for block in self._scan.chunks(columns))
            return
        dropping = [name for name, policy in self.policies.items() if policy == DROP]
        asked = [*dropping, *(self._where.columns if self._where else ())]
        for block in self._scan.chunks(None if columns is None else {*columns, *asked}):
            mask: Mask = self._where(block.batch) if self._where else np.ones(len(block), dtype=bool)
            mask = mask & complete(block.batch, dropping)
            if block.bad is not None:
                mask &= ~block.bad
            first, stop = np.searchsorted(self._out, [block.start, block.start + len(block)])
            mask[self._out[first:stop] - block.start] = False
            yield block, mask

    def packed(self, columns: Collection[str]) -> Iterator[Packed]:
        """Yield the rows that are kept, as `TableScan.packed` does."""
        if self._keeps_all:
            yield from self._scan.packed(columns)
            return
        for block, mask in self.blocks(columns):
            yield Packed.of(block.picked(mask))

    def leave_out(self, rows: Array) -> None:
        """Leave out more rows, (row) int64, their source positions, sorted: those of a series that have no time."""
        self._out = rows

    @property
    def _keeps_all(self) -> bool:
        dropped = any(policy == DROP and name in self._doubtful for name, policy in self.policies.items())
        return self._where is None and not dropped and not self._scan.bad and not len(self._out)

    @property
    def _doubtful(self) -> list[str]:
        """The columns of which it is not known that no cell is missing or infinite."""
        return [name for name in (*self.policies, *self._keys) if name not in self._scan.whole]

    def check(self) -> tuple[int, int]:
        """Return how many rows are kept, and how many could be read.

        Raises DataError for missing values without a policy, infinite numbers, and where no row is left.
        """
        if self._keeps_all and not self._doubtful:
            return self._scan.rows, self._scan.rows
        missing, endless, kept, rows = Cells(), Cells(), 0, 0
        needed = [name for name in self._doubtful if self.policies.get(name, ERROR) == ERROR]
        floats = [name for name in self._doubtful if self._scan.schema[name].storage == "float64"]
        for block, mask in self:
            rows += len(block)
            kept += int(mask.sum())
            for name in needed:
                missing.look(block, mask, name, pc.is_null)
            for name in floats:
                endless.look(block, mask, name, pc.is_inf)
        if missing.counts:
            targets = self._scan.needs.roles.targets
            raise missing_error(missing, self._places(missing), self._scan.schema, targets, self._learns)
        if endless.counts:
            raise endless_error(endless, self._places(endless))
        if not kept:
            raise DataError(f"none of {plural(rows, 'row')} is left", hint="see --where and --missing drop")
        return kept, rows - self._scan.bad - len(self._out)

    def check_unseen(self, fitted: Fitted, parts: Sequence[Channelled]) -> None:
        """Raise DataError for every kept cell of `parts` that the recipe has no place for."""
        if not parts:
            return
        unseen = Unseen()
        for block, mask in self:
            unseen.look(block.picked(mask), np.flatnonzero(mask) + block.start, fitted, parts)
        if unseen.cells.counts:
            fixed = [part.column for part in fitted.inputs if not isinstance(part.encoder, OneHot)]
            raise unseen_error(unseen.cells, self._places(unseen.cells), [part.column for part in fitted.targets], fixed)

    def _places(self, cells: Cells) -> list[str]:
        return self._scan.place([row for row, _, _ in cells.first])


def left_out(kept: int, rows: int) -> list[str]:
    """The note on rows that were not kept."""
    return [f"{plural(rows - kept, 'row')} left out by --where or --missing drop"] if kept < rows else []
