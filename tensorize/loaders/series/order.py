"""In which order the rows of a series come: as in the source, or sorted by group and time, and each time once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tensorize.columns.roles import separate
from tensorize.columns.selection import KeptBlocks, SelectedRows, Selection, left_out
from tensorize.core.contracts import Array, Run, ScratchStore
from tensorize.core.errors import DataError, plural, some
from tensorize.core.options import column_and
from tensorize.engine.packed import Packed, pack
from tensorize.loaders.series.clock import Clock, time_text
from tensorize.loaders.series.cutting import find_pace
from tensorize.loaders.series.grid import time_grid
from tensorize.loaders.series.options import SeriesOptions
from tensorize.loaders.series.rows import DistinctRows, KeptRows, RowBatch, RowPass
from tensorize.loaders.series.runs import Ints, NoTimes, Runs, find_runs
from tensorize.loaders.series.untimed import leave_out_untimed

BUCKET = 1 << 20
"""Rows that are sorted at a time."""
_RANK, _ROW = "\0rank", "\0row"
_REPEATS = {"first": "the first row is kept", "mean": "their mean"}


@dataclass(frozen=True)
class Order:
    """Which rows of the source make the series, and their order: the place of a row in it is its ordinal. Picklable.

    `buckets` refer to sorted rows in the engine's store, None for rows in source order; `repeats` (row) int64 are the
    sorted ordinals of rows that repeat the time before them, replaced by their mean if `means`.
    """

    selection: Selection
    buckets: tuple[tuple[Any, ...], ...] | None = None
    repeats: Array | None = None
    means: bool = False
    categories: frozenset[str] = frozenset()
    """Columns of numbers that have no mean."""

    def repeated(self, blocks: KeptBlocks, store: ScratchStore) -> Array:
        """The source rows (row) int64, sorted, of which nothing but a mean is used."""
        if self.repeats is None:
            return np.empty(0, dtype=np.int64)
        found, at = [np.empty(0, dtype=np.int64)], 0
        for rows in replace(self, repeats=None).stream(blocks, store)(()):
            first, stop = np.searchsorted(self.repeats, [at, at + len(rows)])
            found.append(rows.source_at(self.repeats[first:stop] - at))
            at += len(rows)
        return np.sort(np.concatenate(found))

    def stream(self, blocks: KeptBlocks, store: ScratchStore) -> RowPass:
        """The rows in this order, out of the kept blocks of the source or of what was sorted."""
        rows: RowPass = KeptRows(blocks) if self.buckets is None else SortedRows(self.buckets, store)
        return rows if self.repeats is None else DistinctRows(rows, self.repeats, self.means, self.categories)


@dataclass(frozen=True)
class SortedRows:
    """The rows of all buckets in order; each bucket is sorted as it is loaded."""

    buckets: tuple[tuple[Any, ...], ...]
    store: ScratchStore

    def __call__(self, columns: Collection[str] | None = None) -> Iterator[RowBatch]:
        """Start a pass over the rows, with all their columns, or some."""
        asked = None if columns is None else {*columns, _RANK, _ROW}
        for refs in self.buckets:
            whole = pa.concat_batches([self.store.load(ref, asked).unpacked() for ref in refs])
            whole = whole.take(pa.array(np.argsort(whole.column(_RANK).to_numpy())))
            yield RowBatch(whole.drop_columns([_RANK, _ROW]), whole.column(_ROW).to_numpy())


def sort_rows(stream: RowPass, order: Ints, store: ScratchStore) -> tuple[tuple[Any, ...], ...]:
    """Keep the rows in `store` by buckets of the order, ordinals (row) int64; return the references of each bucket.

    Every batch is divided by the bucket that its rows go to, so that both passes read and write from front to back.
    """
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    buckets: list[list[Any]] = [[] for _ in range(-(-len(order) // BUCKET))]
    at = 0
    for rows in stream():
        ranks = rank[at : at + len(rows)]
        at += len(rows)
        for bucket in np.unique(ranks // BUCKET).tolist():
            buckets[bucket].append(store.keep(_part(rows, ranks, np.flatnonzero(ranks // BUCKET == bucket))))
    return tuple(map(tuple, buckets))


def _part(rows: RowBatch, ranks: Array, picked: Array) -> Packed:
    """Some rows of a batch with their ranks and source rows."""
    part = rows.batch.take(pa.array(picked)) if len(picked) < len(rows) else rows.batch
    columns = dict(zip(part.schema.names, part.columns, strict=True))
    return pack(columns | {_RANK: pa.array(ranks[picked]), _ROW: pa.array(rows.source_at(picked))})


def order_of(stream: RowPass, clock: Clock, group: str | None) -> Ints:
    """The ordinals of all rows by group, then time; rows of one time stay in source order. 16 bytes a row are held."""
    times: list[Array] = []
    codes: list[Array] = []
    names: dict[str, int] = {}
    reading = clock.reading()
    for rows in stream((*clock.columns, *([group] if group else ()))):
        times.append(reading(rows.batch))
        if group is not None:
            encoded = rows.batch.column(group).cast(pa.string()).dictionary_encode()
            places = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
            codes.append(np.array(places, dtype=np.int32)[encoded.indices.to_numpy()])
    if not codes:
        return np.argsort(np.concatenate(times), kind="stable")
    rank = np.empty(len(names), dtype=np.int32)
    rank[[names[name] for name in sorted(names)]] = np.arange(len(names), dtype=np.int32)
    return np.lexsort((np.concatenate(times), rank[np.concatenate(codes)]))


@dataclass(frozen=True)
class Ordered:
    """The order that was found: `runs` of the times (None without times and groups), and how many `rows` there are."""

    order: Order
    runs: Runs | None
    rows: int
    notes: tuple[str, ...]


@dataclass
class _Problems:
    """Problems with the order of the times, reported together."""

    lines: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    fix: dict[str, str] = field(default_factory=dict)


def find_order(kept: SelectedRows, clock: Clock, options: SeriesOptions, run: Run, gaps_are_errors: bool) -> Ordered:
    """Check the rows and put them in order.

    Raises DataError for times that go back or repeat without a flag for it, both at once, with the gaps in time if
    `gaps_are_errors`.
    """
    if run.rejects.skip and clock.columns:
        leave_out_untimed(kept, clock, run.rejects)
    count, rows = kept.check()
    notes, order = left_out(count, rows), Order(kept.selection)
    if not clock.columns:
        return Ordered(order, _by_position(kept, options.group) if options.group else None, count, tuple(notes))
    return _Timed(kept, clock, options, run.engine.store, gaps_are_errors).ordered(Ordered(order, None, count, tuple(notes)))


def _by_position(kept: SelectedRows, group: str) -> Runs:
    """Groups without times: each must be in one piece."""
    runs = find_runs(kept.packed((group,)), NoTimes(), group)
    if runs.backward:
        raise DataError(f'the rows of a group of "{group}" are not together', hint="sort the file by it")
    return runs


@dataclass(frozen=True)
class _Timed:
    """Puts rows with times in order."""

    kept: SelectedRows
    clock: Clock
    options: SeriesOptions
    store: ScratchStore
    gaps_are_errors: bool

    def ordered(self, found: Ordered) -> Ordered:
        """The rows sorted, then each time once. Raises DataError if the flags allow neither."""
        problems = _Problems()
        found = replace(found, runs=self._runs(self.kept.packed(self._columns)))
        found = self._distinct(self._sorted(found, problems), problems)
        if problems.lines:
            self._add_gaps(found, problems)
            hint = "say what to do: " + ", ".join(problems.hints)
            raise DataError("the times are not in order", problems.lines, hint, problems.fix)
        return found

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.options.ordering(self.kept.rows.needs.roles.names)

    @property
    def _by_fold(self) -> bool:
        return self.options.fold is not None

    def _stream(self, order: Order) -> RowPass:
        return order.stream(self.kept.of(), self.store)

    def _runs(self, blocks: Iterable[Packed]) -> Runs:
        return find_runs(blocks, self.clock.reading(), self.options.group)

    def _again(self, found: Ordered, order: Order, rows: int) -> Ordered:
        """With another order, and the runs of its times."""
        runs = self._runs(Packed.of(part.batch) for part in self._stream(order)(self._columns))
        return replace(found, order=order, runs=runs, rows=rows)

    def _sorted(self, found: Ordered, problems: _Problems) -> Ordered:
        assert found.runs is not None
        backward = found.runs.backward
        said = plural(backward, "step goes", "steps go")
        if not backward:
            return found
        if self._by_fold:
            return replace(found, notes=(*found.notes, f"{said} backward in time; the fold goes by position"))
        if self.options.unsorted == "error":
            problems.lines.append(f"{said} backward in time")
            problems.hints.append("--unsorted sort")
            problems.fix["unsorted"] = "sort"
        stream = self._stream(found.order)
        buckets = sort_rows(stream, order_of(stream, self.clock, self.options.group), self.store)
        return self._again(found, replace(found.order, buckets=buckets), found.rows)

    def _distinct(self, found: Ordered, problems: _Problems) -> Ordered:
        assert found.runs is not None
        runs, repeats, way = found.runs, found.runs.repeats, self.options.duplicates
        if not len(repeats):
            return found
        if self._by_fold:
            note = f"{plural(len(repeats), 'time')} repeated; the fold goes by position"
            return replace(found, notes=(*found.notes, note))
        if way == "error":
            problems.lines.append(f"{plural(len(repeats), 'time is', 'times are')} repeated")
            problems.lines += [f"  {line}" for line in some([time_text(int(time)) for time in runs.times(runs.apart == 0)])]
            problems.hints.append("--duplicates first | mean")
            problems.fix["duplicates"] = "first"
        note = f"{plural(len(repeats), 'repeated time')}: {_REPEATS.get(way, '')}"
        names = self.kept.rows.needs.roles.names
        onehot = [column_and(value, names)[0] for value in separate(self.options.onehot, names)]
        categories = frozenset({*onehot, *self._columns})
        order = replace(found.order, repeats=repeats, means=way == "mean", categories=categories)
        return self._again(replace(found, notes=(*found.notes, note)), order, found.rows - len(repeats))

    def _add_gaps(self, found: Ordered, problems: _Problems) -> None:
        """Tell the gaps in the same message, so that one look shows all."""
        assert found.runs is not None
        pace = find_pace(self.options, found.runs, strict=self.gaps_are_errors)
        grid = time_grid(pace.runs, pace.step, None, pace.scale)
        if grid.missing and self.gaps_are_errors:
            problems.lines.append(f"{plural(grid.missing, grid.noun)} missing")
            problems.hints.append("--gaps drop | ffill | interpolate | VALUE")
            problems.fix["gaps"] = "ffill"
