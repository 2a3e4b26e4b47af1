"""The times of all rows in bounded memory: runs of rows that are equally far apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError
from tensorize.engine.packed import Distances, Packed, Repeats, repeats

Ints = npt.NDArray[np.int64]


class Times(Protocol):
    """Reads the times of blocks of rows, in row order."""

    def runs(self, block: Packed) -> Distances:
        """The times in microseconds (row), as runs of equal distances."""
        ...


class NoTimes:
    """All rows at the same time: where no times are named, nothing goes back."""

    def runs(self, block: Packed) -> Distances:
        """One run of times 0."""
        return Distances(pa.int64(), np.zeros(1, dtype=np.int64), np.array([block.rows]))


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

    def all_times(self) -> Ints:
        """The times of all rows, (row)."""
        return self.times(np.ones(len(self.first), dtype=bool))

    def usual_step(self) -> int:
        """The most frequent distance forward, the smallest where they tie. Raises DataError if there is none."""
        forward = self.apart > 0
        if not forward.any():
            raise DataError("the rows have no distance in time", hint="say what a step is: --step 1h")
        steps, inverse = np.unique(self.apart[forward], return_inverse=True)
        counts = np.bincount(inverse, weights=self.lengths[forward])
        return int(steps[counts.argmax()])


def find_runs(blocks: Iterable[Packed], times: Times, group: str | None) -> Runs:
    """Find the runs in one pass over the rows; through columns that are packed, from run to run."""
    found: list[tuple[Ints, Ints, Ints]] = []
    groups: list[str] = []
    at, last_time, last_apart = 0, 0, NEW
    for packed in blocks:
        if not packed.rows:
            continue
        read = times.runs(packed)
        new, names = _begins(packed, group, groups)
        groups += names
        first, time, apart = _block_runs(read, new)
        apart[:1] = NEW if 0 in new else time[:1] - last_time
        before = np.concatenate([[last_apart], apart[:-1]])
        changed = (apart == NEW) | (apart != before)
        found.append((first[changed] + at, time[changed], apart[changed]))
        at, last_apart = at + packed.rows, int(apart[-1])
        last_time = int(read.distance @ read.length)
    first, time, apart = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Runs(first, time, apart, at, tuple(groups))


def _block_runs(times: Distances, new: Ints) -> tuple[Ints, Ints, Ints]:
    """(stretch) the first row, its time, and the distance of every row to the one before; the first is left to the caller.

    Groups begin at the rows `new`. Neighbours may have the same distance.
    """
    starts = np.cumsum(times.length) - times.length
    first = np.unique(np.concatenate([[0, 1], starts, new, new + 1]))
    first = first[first < times.rows]
    run = np.searchsorted(starts, first, side="right") - 1
    ends = np.cumsum(times.distance * times.length)
    before = ends[run] - times.distance[run] * times.length[run]
    time = before + times.distance[run] * (first - starts[run] + 1)
    apart = times.distance[run]
    apart[np.searchsorted(first, new)] = NEW
    return first, time, apart


def _begins(packed: Packed, group: str | None, known: Sequence[str]) -> tuple[Ints, list[str]]:
    """(group) the rows of a block at which groups begin, and their names; the last of those `known` may go on."""
    if group is None:
        return np.zeros(0 if known else 1, dtype=np.int64), [] if known else [""]
    column = packed.columns[group]
    runs = column if isinstance(column, Repeats) else repeats(packed.unpacked().column(group).cast(pa.string()))
    names = runs.cells.cast(pa.string())
    ends = runs.ends.to_numpy().astype(np.int64)
    new = np.ones(len(names), dtype=bool)
    new[1:] = pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)
    new[0] = not known or names[0].as_py() != known[-1]
    return np.concatenate([[0], ends[:-1]])[new], names.filter(pa.array(new)).to_pylist()
