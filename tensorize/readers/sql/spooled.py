"""The rows of a query, kept once they came: a database may give others the next time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from tensorize.columns.reader import Needs, Rows
from tensorize.core.contracts import Run, ScratchStore
from tensorize.core.errors import DataError
from tensorize.engine.packed import Packed, batch_of
from tensorize.readers.typed import typed_rows


@dataclass(frozen=True)
class Described:
    """What is known of a query before its rows: what messages call it, its columns, and what the summary says."""

    name: str
    fields: pa.Schema
    notes: tuple[str, ...]


@dataclass(frozen=True)
class QuerySource:
    """What messages call a query, and the bytes that came."""

    name: str
    size: int


@dataclass(frozen=True)
class SpooledQuery:
    """See `tensorize.readers.typed.TypedFile`: a piece is a batch that the engine keeps."""

    source: Any
    fields: pa.Schema
    kept: tuple[tuple[int, Any], ...]
    """(rows, reference) of each batch."""
    counts: dict[str, int]
    """Column → how many cells are null, where that is known."""
    store: ScratchStore = field(repr=False)

    @property
    def rows(self) -> int:
        """How many came."""
        return sum(rows for rows, _ in self.kept)

    def parts(self, size: int) -> Sequence[tuple[int, Any]]:
        """The batches, as they came."""
        del size
        return self.kept

    def read(self, where: Any, columns: Sequence[str], threads: bool) -> pa.Table:
        """Some columns of a batch."""
        del threads
        return pa.Table.from_batches([self.store.load(where, columns).unpacked()]).select(list(columns))

    def nulls(self, name: str) -> int | None:
        """How many cells of a column are null."""
        return self.counts.get(name)


def spooled_rows(
    query: Described, batches: Iterable[dict[str, pa.Array]], needs: Callable[[Sequence[str]], Needs], run: Run
) -> Rows:
    """Keep all batches of the wanted columns, and make rows of them. Raises DataError where none comes."""
    kept, size = [], 0
    counts = dict.fromkeys((item.name for item in query.fields), 0)
    for columns in batches:
        rows = max(map(len, columns.values()), default=0)
        for column, cells in columns.items():
            counts[column] += cells.null_count
        size += sum(cells.nbytes for cells in columns.values())
        kept.append((rows, run.engine.store.keep(Packed.of(batch_of(columns, rows)))))
        run.report("read", sum(count for count, _ in kept), None)
    if not any(rows for rows, _ in kept):
        raise DataError(f"{query.name} has no row", hint="columns: " + ", ".join(query.fields.names))
    spooled = SpooledQuery(QuerySource(query.name, size), query.fields, tuple(kept), counts, run.engine.store)
    found = typed_rows([spooled], query.notes[0], needs, run)
    return replace(found, facts=replace(found.facts, notes=query.notes))
