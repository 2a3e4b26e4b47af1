"""What a table is once it was looked through: blocks of rows, and what was wanted of its columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import pyarrow as pa

from tensorize.core.contracts import BLOCK_ROWS, Facts, Mask
from tensorize.core.schema import Kind, Schema
from tensorize.engine.packed import Packed


@dataclass(frozen=True)
class RowBlock:
    """Up to 65,536 parsed rows, in the storage types of the schema, missing cells null: `parts` that follow each other.

    `start` is the 0-based source row of the first. `bad` (row) bool are rows that could not be read and were left out:
    they hold no value. None where there is none.
    """

    start: int
    parts: tuple[pa.RecordBatch, ...]
    bad: Mask | None = None

    def __len__(self) -> int:
        return sum(part.num_rows for part in self.parts)

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as one batch, each column contiguous: joined by the thread that asks first, and then the only part."""
        if len(self.parts) > 1:
            object.__setattr__(self, "parts", (pa.concat_batches(self.parts),))
        return self.parts[0]

    def picked(self, mask: Mask) -> pa.RecordBatch:
        """The rows in `mask` (row) bool."""
        return self.batch if mask.all() else self.batch.filter(pa.array(mask))


@dataclass(frozen=True)
class Roles:
    """Which column plays which part, in file order. `names` are all columns of the source."""

    names: tuple[str, ...]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    keys: tuple[str, ...]
    """Neither input nor target, and needed all the same: id, group, order, stratify, where."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are parsed, in file order."""
        parts = {*self.inputs, *self.targets, *self.keys}
        return tuple(name for name in self.names if name in parts)


@dataclass(frozen=True)
class Needs:
    """What is wanted of the columns, known before the first cell is read.

    `forced` are kinds given by flags or by a recipe; `lenient` columns may mix numbers and words and are text then.
    """

    roles: Roles
    forced: Mapping[str, Kind] = field(default_factory=dict)
    lenient: frozenset[str] = frozenset()
    clocks: frozenset[str] = frozenset()
    """Columns that are nothing but times: where all cells are ISO times they come as timestamp[us], else as text."""
    verbatim: bool = False
    """Text as it is written: a cell of spaces is not missing."""

    @property
    def wanted(self) -> tuple[str, ...]:
        return self.roles.wanted


class TableScan(Protocol):
    """A table that was looked through."""

    schema: Schema
    facts: Facts
    needs: Needs
    rows: int
    codes: tuple[str, ...]
    """Columns of integers that are kept as text: leading zeros, or too many digits."""
    whole: frozenset[str]
    """Columns of which it is known that no cell is missing or infinite."""
    bad: int
    """How many rows could not be read and were left out."""

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[RowBlock]:
        """Yield blocks of 65,536 source rows, or of some of their columns, in source order."""
        ...

    def packed(self, columns: Collection[str] | None = None) -> Iterator[Packed]:
        """As `chunks`, in blocks of any size, and with columns packed that lie so in memory."""
        ...

    def place(self, rows: Sequence[int]) -> list[str]:
        """Say where source rows stand, such as `houses.csv:212`, for messages."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def blocks(batches: Iterable[pa.RecordBatch], rows: int = BLOCK_ROWS) -> Iterator[RowBlock]:
    """Cut record batches of any size into blocks of `rows` rows; the last one may be shorter."""
    held: list[pa.RecordBatch] = []
    start, count = 0, 0
    for given in batches:
        batch = given
        while count + batch.num_rows >= rows:
            take = rows - count
            yield RowBlock(start, (*held, batch.slice(0, take)))
            batch, held, count, start = batch.slice(take), [], 0, start + rows
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield RowBlock(start, tuple(held))
