"""How a series is cut into samples, and which split each belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError, plural
from tensorize.core.splits import sizes
from tensorize.loaders.series.grid import Grid, owners
from tensorize.loaders.series.runs import Ints

BLOCK = 1 << 20


@dataclass(frozen=True)
class Cut:
    """Samples of `length` steps, one each `stride` steps of a group; a window is followed by `horizon` steps of target.

    `edges` are the times at which splits begin and end, (split + 1), empty without a split. A sample belongs to the
    split in which it begins; a window that does not lie wholly in one belongs to none.
    """

    grid: Grid
    length: int
    horizon: int = 0
    stride: int = 1
    whole_only: bool = False
    ratios: Sequence[float] = ()
    windows: bool = False

    @property
    def span(self) -> int:
        """Steps of a sample and its target."""
        return self.length + self.horizon

    def starts(self, begin: int, end: int) -> Ints:
        """The places in `begin:end` at which a sample starts, whatever its split, (sample)."""
        starts = np.concatenate([np.arange(at.start, at.stop, at.step) for at in self._fitting(begin, end)])
        return starts[self.grid.whole(starts, self.span)] if self._avoids_gaps and len(starts) else starts

    def _fitting(self, begin: int, end: int) -> Iterator[range]:
        """Group by group, the places in `begin:end` at which a sample fits in, gap or not."""
        base = self.grid.base
        first, last = np.searchsorted(base, [begin, end - 1], side="right") - 1
        for group in range(int(first), int(last) + 1):
            low, high = max(begin, int(base[group])), min(end, int(base[group + 1]) - self.span + 1)
            low += -(low - int(base[group])) % self.stride
            yield range(low, high, self.stride)

    @property
    def _avoids_gaps(self) -> bool:
        return self.whole_only and bool(self.grid.missing)

    @cached_property
    def edges(self) -> Ints:
        """See the class."""
        if not self.ratios:
            return np.empty(0, dtype=np.int64)
        grid = self.grid
        begin = int(grid.origin.min())
        end = int((grid.origin + np.diff(grid.base) * grid.step).max())
        if self.windows:
            ends = np.cumsum(sizes((end - begin) // grid.step, self.ratios))[:-1]
            cuts = (begin + ends * grid.step).tolist()
        else:
            cuts = self._sample_cuts(begin, end)
        return np.array([begin, *cuts, end], dtype=np.int64)

    def _sample_cuts(self, begin: int, end: int) -> list[int]:
        """The times at which the number of samples before comes nearest to each size."""
        width = self.length * self.grid.step
        counts = np.zeros(-(-(end - begin) // width) + 1, dtype=np.int64)
        for starts in self._all_starts():
            found = np.bincount((self.grid.times(starts) - begin) // width, minlength=len(counts))
            counts += found[: len(counts)]
        before = np.concatenate([[0], np.cumsum(counts)])
        targets = np.cumsum(sizes(int(before[-1]), self.ratios))[:-1]
        return [begin + int(np.abs(before - target).argmin()) * width for target in targets]

    def _all_starts(self) -> Iterator[Ints]:
        for begin in range(0, self.grid.steps, BLOCK):
            yield self.starts(begin, min(begin + BLOCK, self.grid.steps))

    def by_part(self, starts: Ints) -> list[Ints]:
        """Split → those of the starts that belong to it."""
        if not len(self.edges):
            return [starts]
        part = self._parts(starts)
        return [starts[part == index] for index in range(len(self.ratios))]

    def _parts(self, starts: Ints) -> Array:
        """(sample) int64: the split each belongs to, −1 for none; there are several."""
        times = self.grid.times(starts)
        part = np.searchsorted(self.edges, times, side="right") - 1
        if self.windows:
            ends = times + self.span * self.grid.step
            part = np.where(ends <= self.edges[np.minimum(part + 1, len(self.edges) - 1)], part, -1)
        return part

    @property
    def is_all_train(self) -> bool:
        """Whether statistics are learned from all steps."""
        return not len(self.edges) and (not self.whole_only or self.windows)

    def is_train(self, places: Ints) -> Array:
        """(step) bool: steps that statistics are learned from; with whole samples only, those of such samples."""
        train = np.ones(len(places), dtype=bool) if not len(self.edges) else self.grid.times(places) < self.edges[1]
        if self.whole_only and not self.windows:
            base = self.grid.base[owners(self.grid.base, places)]
            starts = base + (places - base) // self.length * self.length
            train &= self.grid.whole(starts, self.length)
        return train

    @cached_property
    def ranges(self) -> Array:
        """(split, group, 2): the places `first:stop` of each group's steps that lie in each split."""
        first, stop = self.grid.base[:-1], self.grid.base[1:]
        if not len(self.edges):
            return np.stack([first, stop], axis=-1)[None]
        inner = self.edges[1:-1, None]
        cuts = np.clip(-(-(inner - self.grid.origin) // self.grid.step), 0, stop - first) + first
        bounds = np.concatenate([first[None], cuts, stop[None]])
        return np.stack([bounds[:-1], bounds[1:]], axis=-1)

    @cached_property
    def steps(self) -> list[int]:
        """Steps in each split."""
        found: list[int] = (self.ranges[..., 1] - self.ranges[..., 0]).sum(axis=1).tolist()
        return found

    def inside(self, part: int, begin: int, end: int) -> Ints | slice:
        """Which of the places `begin:end` lie in a split, counted from `begin`: a slice where they are in one piece."""
        bounds = np.clip(self.ranges[part], begin, end) - begin
        bounds = bounds[bounds[:, 0] < bounds[:, 1]]
        if not len(bounds) or (bounds[1:, 0] == bounds[:-1, 1]).all():
            return slice(int(bounds[0, 0]), int(bounds[-1, 1])) if len(bounds) else slice(0, 0)
        return np.concatenate([np.arange(low, high) for low, high in bounds])

    def within(self, starts: Ints, part: int) -> Ints:
        """The positions of windows' starts among the steps of their split."""
        first, stop = self.ranges[part, :, 0], self.ranges[part, :, 1]
        shift = np.cumsum(stop - first) - (stop - first) - first
        positions: Ints = starts + shift[owners(self.grid.base, starts)] if shift.any() else starts
        return positions

    @cached_property
    def counts(self) -> list[int]:
        """Samples in each split. Raises DataError if one has none."""
        found = np.zeros(len(self.ratios) or 1, dtype=np.int64)
        if not len(self.edges) and not self._avoids_gaps:
            found += sum(map(len, self._fitting(0, self.grid.steps)))
        else:
            for starts in self._all_starts():
                found += [len(part) for part in self.by_part(starts)]
        if (found == 0).any():
            what = f"{plural(self.grid.steps, 'step')}, samples of {self.span}"
            raise DataError(
                "no sample is left" if not self.ratios else f"a split has no sample: {', '.join(map(str, found.tolist()))}",
                [what],
                "shorter samples, larger ratios, or another policy for the gaps",
            )
        return found.tolist()

    @property
    def dropped(self) -> int:
        """How many samples a missing step has cost."""
        if not self.whole_only:
            return 0
        every = Cut(self.grid, self.length, self.horizon, self.stride)
        return sum(map(len, every._all_starts())) - sum(map(len, self._all_starts()))
