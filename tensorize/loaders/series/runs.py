"""The times of all rows in bounded memory: runs of rows that are equally far apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.errors import DataError
from tensorize.loaders.series.rows import Rows, Stream
from tensorize.types import Array

Ints = npt.NDArray[np.int64]


class Times(Protocol):
    """Reads the times of batches, (row) int64, from some columns."""

    @property
    def columns(self) -> Sequence[str]: ...

    def __call__(self, batch: pa.RecordBatch) -> Ints: ...


NEW = np.iinfo(np.int64).min
"""The distance of a row that begins a group; each such row is a run of its own."""


@dataclass(frozen=True)
class Runs:
    """`first` (run) is the ordinal of a run's first row, `time` its time, `apart` the distance of every row to the one before.

    `groups` are the names in the order in which they begin; one nameless group where there is no group column.
    """

    first: Ints
    time: Ints
    apart: Ints
    rows: int
    groups: tuple[str, ...]

    @cached_property
    def lengths(self) -> Ints:
        """(run) rows in each run."""
        return np.diff(self.first, append=self.rows)

    @cached_property
    def group(self) -> Ints:
        """(run) the group each run belongs to."""
        return np.cumsum(self.apart == NEW) - 1

    @property
    def backward(self) -> int:
        """How often the time goes back, or a group comes again."""
        back = (self.apart < 0) & (self.apart != NEW)
        return int(self.lengths[back].sum()) + len(self.groups) - len(set(self.groups))

    @cached_property
    def repeats(self) -> Ints:
        """The ordinals of rows at the time of the row before, sorted."""
        return self.ordinals(self.apart == 0)

    def ordinals(self, runs: Array) -> Ints:
        """The ordinals of all rows of some runs, (run) bool."""
        first, lengths = self.first[runs], self.lengths[runs]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.repeat(first, lengths) + within

    def times(self, runs: Array) -> Ints:
        """The times of all rows of some runs, (run) bool."""
        first, lengths = self.first[runs], self.lengths[runs]
        apart = np.where(self.apart[runs] == NEW, 0, self.apart[runs])
        since = (self.ordinals(runs) - np.repeat(first, lengths)) * np.repeat(apart, lengths)
        times: Ints = np.repeat(self.time[runs], lengths) + since
        return times

    def usual_step(self) -> int:
        """The most frequent distance forward, the smallest where they tie. Raises DataError where there is none."""
        forward = self.apart > 0
        if not forward.any():
            raise DataError("the rows have no distance in time", hint="say what a step is: --step 1h")
        steps, inverse = np.unique(self.apart[forward], return_inverse=True)
        counts = np.bincount(inverse, weights=self.lengths[forward])
        return int(steps[counts.argmax()])


def find_runs(stream: Stream, clock: Times, group: str | None) -> Runs:
    """Go through the rows once."""
    firsts: list[Array] = []
    stamps: list[Array] = []
    aparts: list[Array] = []
    groups: list[str] = []
    at, last_time, last_apart, last_group = 0, 0, NEW, None
    for rows, times, names in _timed(stream, clock, group):
        new = _begins(names, len(rows), last_group, at)
        apart = np.diff(times, prepend=last_time)
        apart[new] = NEW
        changed = new.copy()
        changed[1:] |= (apart[1:] != apart[:-1]) | new[:-1]
        changed[0] |= apart[0] != last_apart or last_apart == NEW
        starts = np.flatnonzero(changed)
        firsts.append(starts + at)
        stamps.append(times[starts])
        aparts.append(apart[starts])
        groups += names.take(pa.array(np.flatnonzero(new))).to_pylist() if names is not None else [""] * int(new.sum())
        at, last_time, last_apart = at + len(rows), int(times[-1]), int(apart[-1])
        last_group = names[-1].as_py() if names is not None else None
    return Runs(np.concatenate(firsts), np.concatenate(stamps), np.concatenate(aparts), at, tuple(groups))


def _timed(stream: Stream, clock: Times, group: str | None) -> Iterator[tuple[Rows, Ints, pa.Array | None]]:
    for rows in stream((*clock.columns, *([group] if group else ()))):
        yield rows, clock(rows.batch), rows.batch.column(group).cast(pa.string()) if group else None


def _begins(names: pa.Array | None, rows: int, last: str | None, at: int) -> Array:
    """(row) bool: the rows that begin a group."""
    begins = np.zeros(rows, dtype=bool)
    if names is not None:
        begins[1:] = pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)
        begins[0] = names[0].as_py() != last
    begins[0] |= at == 0
    return begins


def order_of(stream: Stream, clock: Times, group: str | None) -> Ints:
    """The ordinals of all rows by group, then time; rows of one time stay in source order. 16 bytes a row are held."""
    times: list[Array] = []
    codes: list[Array] = []
    names: dict[str, int] = {}
    for rows, stamps, found in _timed(stream, clock, group):
        del rows
        times.append(stamps)
        if found is not None:
            encoded = found.dictionary_encode()
            places = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
            codes.append(np.array(places, dtype=np.int32)[encoded.indices.to_numpy()])
    if not codes:
        return np.argsort(np.concatenate(times), kind="stable")
    rank = np.empty(len(names), dtype=np.int32)
    rank[[names[name] for name in sorted(names)]] = np.arange(len(names), dtype=np.int32)
    return np.lexsort((np.concatenate(times), rank[np.concatenate(codes)]))
