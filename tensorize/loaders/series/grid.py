"""The regular grid of time steps under a series: where the rows lie on it, and where it has gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tensorize.core.contracts import Array, Learned, Mask
from tensorize.core.errors import DataError, RecipeError, plural, some
from tensorize.loaders.series.clock import DAY, HOUR, SECOND, step_name, time_text
from tensorize.loaders.series.pace import CalendarScale, CalendarStep, calendar_of
from tensorize.loaders.series.runs import NEW, Ints, Runs

STEP = "grid"
"""The name of the step that a recipe holds for the grid."""


class GridState(BaseModel):
    """What a recipe holds of the grid: `microseconds` between steps; None if samples are cut by position."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    microseconds: int | None = Field(None, ge=1, le=10**16)
    calendar: str | None = None
    """A step of the calendar, such as 1mo."""

    def learned(self) -> Learned:
        """As a step of a recipe."""
        return Learned(STEP, "time", self.model_dump(mode="json", exclude=None if self.calendar else {"calendar"}), "meta")

    @property
    def given(self) -> CalendarStep | int | None:
        """The step, None by position. Raises RecipeError for a calendar that there is not."""
        if self.calendar is None:
            return self.microseconds
        found = calendar_of(self.calendar)
        if found is None or self.microseconds is not None:
            raise RecipeError(f'the recipe\'s grid step is wrong: "{self.calendar}"')
        return found

    @classmethod
    def of(cls, learned: Sequence[Learned]) -> GridState:
        """Taken from the steps of a recipe. Raises RecipeError if it is missing or invalid."""
        for item in learned:
            if item.step == STEP:
                try:
                    return cls.model_validate(item.state)
                except ValidationError as error:
                    raise RecipeError(f"the recipe's grid step is wrong: {error.errors()[0]['msg']}") from None
        raise RecipeError(f'the recipe lacks the step "{STEP}" of a series')


def owners(borders: Ints, places: Ints) -> Ints:
    """(place) int64: which border is the last at or before each place, −1 if none is; `borders` are sorted.

    Places that follow each other are not looked up one by one, but the borders among them.

    >>> owners(np.array([0, 3, 4]), np.array([1, 2, 3, 9])).tolist()
    [0, 0, 1, 2]
    """
    if not len(places) or (places[1:] < places[:-1]).any():
        return np.searchsorted(borders, places, side="right") - 1
    first, last = np.searchsorted(borders, places[[0, -1]], side="right") - 1
    among = np.searchsorted(places, borders[first + 1 : last + 1])
    return np.repeat(np.arange(first, last + 1), np.diff(among, prepend=0, append=len(places)))


@dataclass(frozen=True)
class Steps:
    """The grid steps at the places `start:stop`.

    `rows` are the ordinals of their rows, where each step has one and they follow each other; else None.
    """

    start: int
    stop: int
    rows: range | None
    grid: Grid

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def ordinal(self) -> Ints:
        """(step) the ordinal of the row of each, −1 in a gap."""
        return self._ordinals[0]

    @property
    def before(self) -> Ints:
        """(step) the ordinal of the nearest row of its group at or before each, −1 if there is none."""
        return self._ordinals[1]

    @property
    def after(self) -> Ints:
        """(step) the ordinal of the nearest row of its group at or after each, −1 if there is none."""
        return self._ordinals[2]

    @cached_property
    def _ordinals(self) -> tuple[Ints, Ints, Ints]:
        if self.rows is None:
            return self.grid.around(np.arange(self.start, self.stop))
        ordinal = np.arange(self.rows.start, self.rows.stop)
        return ordinal, ordinal, ordinal

    @cached_property
    def time(self) -> Ints:
        """(step) the time of each, in the unit of the grid."""
        return self.grid.times(np.arange(self.start, self.stop))

    @cached_property
    def stamp(self) -> Ints:
        """(step) the time of each, in microseconds since 1970."""
        return self.grid.stamps(np.arange(self.start, self.stop))

    @cached_property
    def observed(self) -> Mask:
        """(step) bool: there is a row."""
        mask: Mask = np.ones(len(self), dtype=bool) if self.rows is not None else self.ordinal >= 0
        return mask

    def nearest(self, at: Ints) -> Ints:
        """The ordinals of the rows of some steps, counted from the first: in a gap the next or else the last."""
        return at + self.rows.start if self.rows is not None else self._nearest[at]

    @cached_property
    def _nearest(self) -> Ints:
        return np.where(self.after >= 0, self.after, self.before)


@dataclass(frozen=True)
class Grid:
    """The steps of all groups, one after another: group g takes the places `base[g]:base[g + 1]` from time `origin[g]` on.

    Rows lie on it in segments of one row a step: `place`, `ordinal` and `length`, each (segment).
    """

    step: int
    base: Ints
    origin: Ints
    place: Ints
    ordinal: Ints
    length: Ints
    scale: CalendarScale | None = None
    """What times and `step` count in; microseconds without one."""

    @property
    def noun(self) -> str:
        """What a step is called."""
        return step_name(self.step) if self.scale is None else self.scale.noun(self.step)

    def stamps(self, places: Ints) -> Ints:
        """The times of grid places in microseconds since 1970, (step)."""
        return self.stamps_after(places, 0)

    def stamps_after(self, places: Ints, steps: int) -> Ints:
        """The times so many steps after some places in microseconds since 1970, (step): beyond the last row, too."""
        times = self.times(places) + steps * self.step
        return times if self.scale is None else self.scale.times(times)

    @property
    def steps(self) -> int:
        """The number of steps in all groups."""
        return int(self.base[-1])

    @property
    def rows(self) -> int:
        """How many rows lie on it."""
        return int(self.length.sum())

    @cached_property
    def gaps(self) -> tuple[Ints, Ints]:
        """The places and lengths of all stretches without a row."""
        ends = self.place + self.length
        edges = np.unique(np.concatenate([self.base, ends]))
        begins = edges[~np.isin(edges, self.place) & (edges < self.steps)]
        following = np.concatenate([self.place, self.base[1:]])
        following.sort()
        return begins, following[np.searchsorted(following, begins, side="right")] - begins

    @property
    def missing(self) -> int:
        """How many steps have no row."""
        return int(self.gaps[1].sum())

    def times(self, places: Ints) -> Ints:
        """The times of grid places, (step)."""
        group = owners(self.base, places)
        return self.origin[group] + (places - self.base[group]) * self.step

    def at(self, start: int, stop: int) -> Steps:
        """The steps at the places `start:stop`."""
        first, last = np.searchsorted(self.place, [start, stop - 1], side="right") - 1
        if not self._is_whole(first, last, stop):
            return Steps(start, stop, None, self)
        since = int(self.ordinal[first] - self.place[first])
        return Steps(start, stop, range(start + since, stop + since), self)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The ordinals `first:stop` of all rows at the places `start:stop`, and of the nearest of their groups around them."""
        _, before, after = self.around(np.array([start, stop - 1]))
        return int(before[0] if before[0] >= 0 else after[0]), int(after[1] if after[1] >= 0 else before[1]) + 1

    def _is_whole(self, first: int, last: int, stop: int) -> bool:
        """Whether the segments `first` to `last` have, up to place `stop`, one row after the other and no gap."""
        if first < 0 or stop > self.place[last] + self.length[last]:
            return False
        apart, rows = np.diff(self.place[first : last + 1]), np.diff(self.ordinal[first : last + 1])
        return bool((apart == rows).all() and (apart == self.length[first:last]).all())

    def around(self, places: Ints) -> tuple[Ints, Ints, Ints]:
        """(step) the ordinals of the rows at some places, −1 in a gap, and of the nearest at or before, and at or after."""
        group, segment = owners(self.base, places), owners(self.place, places)
        known = np.maximum(segment, 0)
        offset = places - self.place[known]
        inside = (segment >= 0) & (offset < self.length[known])
        ordinal = np.where(inside, self.ordinal[known] + offset, -1)
        before = np.where(self._same(group, segment), self.ordinal[known] + np.minimum(offset, self.length[known] - 1), -1)
        following = np.minimum(segment + 1, len(self.place) - 1)
        has_next = (segment + 1 < len(self.place)) & self._same(group, following)
        after = np.where(inside, ordinal, np.where(has_next, self.ordinal[following], -1))
        return ordinal, before, after

    def _same(self, group: Array, segment: Array) -> Mask:
        """Whether a segment lies in a group."""
        place = self.place[np.maximum(segment, 0)]
        same: Mask = (segment >= 0) & (place >= self.base[group]) & (place < self.base[group + 1])
        return same

    def places(self, ordinals: Ints) -> Ints:
        """The places of rows by their ordinals, (row); −1 for rows that lie on no step."""
        segment = np.maximum(owners(self.ordinal, ordinals), 0)
        offset = ordinals - self.ordinal[segment]
        return np.where((offset >= 0) & (offset < self.length[segment]), self.place[segment] + offset, -1)

    def whole(self, starts: Ints, length: int) -> Mask:
        """(sample) bool: the places `start:start + length` have a row each."""
        begins, lengths = self.gaps
        first = np.searchsorted(begins + lengths, starts, side="right")
        clear = np.concatenate([begins, [np.iinfo(np.int64).max]])[first]
        mask: Mask = clear >= starts + length
        return mask


def time_grid(runs: Runs, step: int, period: int | None, scale: CalendarScale | None = None) -> Grid:
    """Lay a grid under rows that go forward in time; with a period (microseconds), whole periods of it.

    Raises DataError for times that lie between the steps.
    """
    heads = runs.apart == NEW
    origin = runs.time[heads]
    last = _last_times(runs)
    _check_between(runs, origin, step, scale)
    if period is not None:
        offset = (origin - anchor(origin, period)) % step
        origin = anchor(origin, period) + offset
        steps = (anchor(last, period) + period + offset - origin) // step
    else:
        steps = (last - origin) // step + 1
    base = np.concatenate([[0], np.cumsum(steps)])
    alone = runs.apart != step
    ordinal, time = runs.ordinals(alone), runs.times(alone)
    group = np.repeat(runs.group[alone], runs.lengths[alone])
    place = base[group] + (time - origin[group]) // step
    return Grid(step, base, origin, place, ordinal, np.diff(ordinal, append=runs.rows), scale)


def position_grid(runs: Runs | None, rows: int, fold: int = 1) -> Grid:
    """A grid by position: every row is a step, groups are cut to whole folds; times count steps where there are none."""
    first = runs.first[runs.apart == NEW] if runs is not None else np.zeros(1, dtype=np.int64)
    lengths = np.diff(first, append=rows) // fold * fold
    base = np.concatenate([[0], np.cumsum(lengths)])
    kept = lengths > 0
    origin = np.zeros(len(first), dtype=np.int64)
    return Grid(1, base, origin, base[:-1][kept], first[kept], lengths[kept])


WEEK = 7 * 24 * 3600 * 1_000_000
_MONDAY = -3 * 24 * 3600 * 1_000_000


def anchor(times: Ints, period: int) -> Ints:
    """The beginnings of the periods that times lie in: periods count from midnight, weeks from Monday."""
    zero = _MONDAY if period == WEEK else 0
    begins: Ints = (times - zero) // period * period + zero
    return begins


def _last_times(runs: Runs) -> Ints:
    """(group) the time of each group's last row."""
    heads = np.flatnonzero(runs.apart == NEW)
    tails = np.append(heads[1:], len(runs.first)) - 1
    apart = np.where(runs.apart[tails] == NEW, 0, runs.apart[tails])
    last: Ints = runs.time[tails] + (runs.lengths[tails] - 1) * apart
    return last


def _check_between(runs: Runs, origin: Ints, step: int, scale: CalendarScale | None) -> None:
    """Raise DataError for times that are not a whole number of steps after the first of their group."""
    late = (runs.time - origin[runs.group]) % step != 0
    odd = late | ((runs.apart != NEW) & (runs.apart % step != 0))
    if not odd.any():
        return
    times = runs.times(odd)
    times = times[(times - np.repeat(origin[runs.group[odd]], runs.lengths[odd])) % step != 0]
    if len(times):
        noun = scale.noun(step) if scale else step_name(step) if step_name(step) != "step" else length_text(step)
        times = scale.times(times) if scale else times
        raise DataError(
            f"{plural(len(times), 'time lies', 'times lie')} between the steps of one {noun}",
            some([time_text(int(time)) for time in times]),
            f"say what a step is, such as --step 15min; or put each row on the nearest: --step {_flag(step)} --snap",
            {"step": [_flag(step)], "snap": True} if scale is None else None,
        )


def _flag(microseconds: int) -> str:
    """A length of time as `--step` takes it."""
    units = (("d", DAY), ("h", HOUR), ("min", 60 * SECOND), ("s", SECOND), ("ms", 1000), ("us", 1))
    return next(f"{microseconds // size}{unit}" for unit, size in units if microseconds % size == 0)


def length_text(microseconds: int) -> str:
    """A length of time for messages: 90 s, 15 min."""
    seconds = microseconds / 1e6
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
