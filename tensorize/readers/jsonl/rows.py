"""The rows of JSON files that were read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import pyarrow as pa

from tensorize.columns.reader import Needs, Partition
from tensorize.core.contracts import Array, Facts, Mask, ScratchStore
from tensorize.core.schema import Schema
from tensorize.engine.packed import Column, Distances, Packed, Repeats
from tensorize.readers.csv.parse_block import without
from tensorize.readers.csv.rejects import within
from tensorize.readers.jsonl.cells import Storing
from tensorize.readers.jsonl.places import LinePlaces


class KeptBlock(NamedTuple):
    """A block that the engine keeps: its reference, the columns of which it holds anything, and those that are tagged."""

    ref: Any
    columns: frozenset[str]
    tagged: frozenset[str]


@dataclass(frozen=True)
class JsonRows:
    """JSON files that were read. See `tensorize.columns.reader.Rows`; a partition is a block that the engine keeps."""

    schema: Schema
    facts: Facts
    needs: Needs
    rows: int
    codes: tuple[str, ...]
    whole: frozenset[str]
    partitions: tuple[Partition, ...]
    storing: Mapping[str, Storing]
    left_out: Array
    """(row) int64: source rows that could not be read, sorted."""
    store: ScratchStore
    _places: LinePlaces | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Places are told in the process that has read the files."""
        return {**self.__dict__, "_places": None}

    @property
    def bad(self) -> int:
        """The number of rows that are left out because they are invalid."""
        return len(self.left_out)

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """One block, or some of its columns, in the storage types of the schema."""
        names = [name for name in self.schema.names if columns is None or name in columns]
        kept: KeptBlock = partition.where
        there = kept.columns.intersection(names)
        packed = self.store.load(kept.ref, there) if there else Packed({}, partition.rows)
        bad = self.invalid(partition.row, partition.rows)
        if bad is not None:
            packed = Packed.of(without(packed.unpacked(), bad))
        found = {name: self._in_storage(name, packed.columns.get(name), kept, partition.rows) for name in names}
        return Packed(found, partition.rows)

    def _in_storage(self, name: str, column: Column | None, kept: KeptBlock, rows: int) -> Column:
        """A column of one block in the type that it has in the schema; of a run of equal cells, one is looked at."""
        if column is None:
            return self.storing[name].nulls(rows)
        if isinstance(column, Repeats):
            return replace(column, cells=self.storing[name](column.cells, name in kept.tagged))
        cells = column.unpacked() if isinstance(column, Distances) else column
        return self.storing[name](cells, name in kept.tagged)

    def invalid(self, start: int, count: int) -> Mask | None:
        """(row) bool: which of `count` rows from `start` were left out; None if none were."""
        return within(self.left_out, start, count)

    def place(self, rows: Sequence[int]) -> list[str]:
        """Source rows as `houses.jsonl:212`."""
        assert self._places is not None
        found = self._places.of(rows)
        return [found[row] for row in rows]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def cells_of(
    store: ScratchStore, partitions: Iterable[Partition], names: Collection[str]
) -> Iterator[tuple[int, int, dict[str, tuple[pa.Array, bool]]]]:
    """Go through some columns as they were read: (first source row, rows, column → cells, and whether they are tagged)."""
    for partition in partitions:
        kept: KeptBlock = partition.where
        there = kept.columns.intersection(names)
        batch = store.load(kept.ref, there).unpacked() if there else None
        cells = {name: (batch.column(name), name in kept.tagged) for name in there} if batch is not None else {}
        yield partition.row, partition.rows, cells
