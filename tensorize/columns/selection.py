"""The rows of a table that are kept, and whether their cells are valid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow.compute as pc

from tensorize.columns.cells import FaultyCells, endless_error, missing_error, refused_error
from tensorize.columns.fitted import Channelled, Fitted, Unseen
from tensorize.columns.missing import DROP, ERROR, complete, policies
from tensorize.columns.options import ColumnOptions
from tensorize.columns.reader import Rows
from tensorize.columns.rows import Blocks, RowBlock, packed_rows
from tensorize.columns.where import Where
from tensorize.core.contracts import Array, Mask, Run
from tensorize.core.errors import DataError, plural
from tensorize.engine.packed import Packed


@dataclass(frozen=True)
class Selection:
    """Which rows of a block `--where` and `--missing drop` keep: (row) bool. Picklable.

    `dropping` are the columns in which a missing value drops the row; `out` (row) int64 are source rows that are left
    out besides, sorted.
    """

    where: Where | None = None
    dropping: tuple[str, ...] = ()
    out: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def columns(self) -> set[str]:
        """The columns that it looks at."""
        return {*self.dropping, *(self.where.columns if self.where else ())}

    def mask(self, block: RowBlock) -> Mask:
        """(row) bool: the rows that are kept."""
        mask: Mask = self.where(block.batch) if self.where else np.ones(len(block), dtype=bool)
        if self.dropping:
            mask = mask & complete(block.batch, self.dropping)
        if block.bad is not None:
            mask = mask & ~block.bad
        first, stop = np.searchsorted(self.out, [block.start, block.start + len(block)])
        if first < stop:
            mask[self.out[first:stop] - block.start] = False
        return mask


@dataclass(frozen=True)
class KeptBlocks:
    """Reads a block by its number, with the mask of the rows that are kept; of its columns at least `columns`. Picklable."""

    blocks: Blocks
    selection: Selection
    columns: frozenset[str] | None = None

    def __len__(self) -> int:
        return len(self.blocks)

    def __call__(self, index: int) -> tuple[RowBlock, Mask]:
        asked = None if self.columns is None else self.columns | self.selection.columns
        block = self.blocks.read(index, asked)
        return block, self.selection.mask(block)

    def __iter__(self) -> Iterator[tuple[RowBlock, Mask]]:
        return map(self, range(len(self)))


@dataclass(frozen=True)
class _Check:
    """Looks for missing and infinite cells in one block."""

    kept: KeptBlocks
    needed: tuple[str, ...]
    floats: tuple[str, ...]

    def __call__(self, index: int) -> tuple[int, int, FaultyCells, FaultyCells]:
        """(rows, rows that are kept, missing cells, infinite cells)."""
        block, mask = self.kept(index)
        missing, endless = FaultyCells(), FaultyCells()
        for name in self.needed:
            missing.look(block, mask, name, pc.is_null)
        for name in self.floats:
            endless.look(block, mask, name, pc.is_inf)
        return len(block), int(mask.sum()), missing, endless


@dataclass(frozen=True)
class _Seek:
    """Looks for unseen categories among the kept rows of one block."""

    kept: KeptBlocks
    fitted: Fitted
    parts: tuple[Channelled, ...]

    def __call__(self, index: int) -> FaultyCells:
        block, mask = self.kept(index)
        unseen = Unseen()
        unseen.look(block.picked(mask), np.flatnonzero(mask) + block.start, self.fitted, self.parts)
        return unseen.cells


class SelectedRows:
    """The selected rows of a source: checked and read on an engine.

    `policies` is how missing values of each input and target are handled; `keys` are other columns that must be
    whole, such as the time of a series.
    """

    def __init__(self, rows: Rows, options: ColumnOptions, run: Run, keys: Sequence[str] = ()) -> None:
        self.rows, self._engine, self._learns, self._keys = rows, run.engine, run.learns, keys
        roles, schema = rows.needs.roles, rows.schema
        absent = [name for name in roles.names if name not in schema]
        self.policies = policies(options.missing, schema, roles.inputs, roles.targets, absent)
        where = Where(options.where, schema) if options.where else None
        dropping = tuple(name for name, policy in self.policies.items() if policy == DROP and name in self._doubtful)
        self.selection = Selection(where, dropping)
        self._blocks = Blocks(rows)

    def __iter__(self) -> Iterator[tuple[RowBlock, Mask]]:
        return self.blocks()

    def of(self, columns: Collection[str] | None = None) -> KeptBlocks:
        """The blocks with their masks, as a function of the number of a block."""
        return KeptBlocks(self._blocks, self.selection, None if columns is None else frozenset(columns))

    def blocks(self, columns: Collection[str] | None = None) -> Iterator[tuple[RowBlock, Mask]]:
        """Yield every block, and which of its rows are kept, (row) bool; of its columns at least `columns`."""
        return iter(self.of(columns))

    def packed(self, columns: Collection[str]) -> Iterator[Packed]:
        """Yield the rows that are kept, in batches of any size."""
        if self._keeps_all:
            yield from packed_rows(self.rows, columns)
            return
        for block, mask in self.blocks(columns):
            yield Packed.of(block.picked(mask))

    def leave_out(self, rows: Array) -> None:
        """Leave out more rows, (row) int64, their source positions, sorted: those of a series that have no time."""
        self.selection = replace(self.selection, out=rows)

    @property
    def _keeps_all(self) -> bool:
        return (
            self.selection.where is None and not self.selection.dropping and not self.rows.bad and not len(self.selection.out)
        )

    @cached_property
    def _doubtful(self) -> list[str]:
        """The columns of which it is not known that no cell is missing or infinite."""
        return [name for name in (*self.policies, *self._keys) if name not in self.rows.whole]

    def check(self) -> tuple[int, int]:
        """Return how many rows are kept, and how many could be read.

        Raises DataError for missing values without a policy, infinite numbers, and where no row is left.
        """
        if self._keeps_all and not self._doubtful:
            return self.rows.rows, self.rows.rows
        missing, endless, kept, rows = FaultyCells(), FaultyCells(), 0, 0
        needed = tuple(name for name in self._doubtful if self.policies.get(name, ERROR) == ERROR)
        floats = tuple(name for name in self._doubtful if self.rows.schema[name].storage == "float64")
        look = _Check(self.of({*needed, *floats}), needed, floats)
        for count, left, lacking, infinite in self._each(look):
            rows, kept = rows + count, kept + left
            missing.merge(lacking)
            endless.merge(infinite)
        if missing.counts:
            targets = self.rows.needs.roles.targets
            raise missing_error(missing, self._places(missing), self.rows.schema, targets, self._learns)
        if endless.counts:
            raise endless_error(endless, self._places(endless))
        if not kept:
            raise DataError(f"none of {plural(rows, 'row')} is left", hint="see --where and --missing drop")
        return kept, rows - self.rows.bad - len(self.selection.out)

    def _each(self, look: _Check) -> Iterable[tuple[int, int, FaultyCells, FaultyCells]]:
        return self._engine.map(look, range(len(self._blocks)))

    def check_unseen(self, fitted: Fitted, parts: Sequence[Channelled]) -> None:
        """Raise DataError for every kept cell of `parts` that the recipe cannot encode."""
        cells = self.unseen(fitted, parts)
        if cells.counts:
            fixed = [part.column for part in fitted.inputs if not part.transform.categorical]
            raise refused_error(cells, self._places(cells), [part.column for part in fitted.targets], fixed)

    def unseen(self, fitted: Fitted, parts: Sequence[Channelled]) -> FaultyCells:
        """Every kept cell of `parts` that the recipe cannot encode."""
        cells = FaultyCells()
        if parts:
            for found in self._engine.map(_Seek(self.of(), fitted, tuple(parts)), range(len(self._blocks))):
                cells.merge(found)
        return cells

    def _places(self, cells: FaultyCells) -> list[str]:
        return self.rows.place([row for row, _, _ in cells.first])


def left_out(kept: int, rows: int) -> list[str]:
    """The note on rows that were not kept."""
    return [f"{plural(rows - kept, 'row')} left out by --where or --missing drop"] if kept < rows else []
