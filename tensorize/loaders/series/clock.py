"""The time of every row, in microseconds since 1970, and lengths of time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.notations import UNITS
from tensorize.columns.dates.text import guessed, to_time_of_day, unit_of, way_out
from tensorize.core.contracts import Array, Mask
from tensorize.core.errors import DataError, UsageError, plural, shown, some
from tensorize.engine.packed import Distances, Packed, distances

Times = npt.NDArray[np.int64]

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]+) *")
_LENGTH = re.compile(f"(?:{_PART.pattern})+")
_UNITS = {
    **dict.fromkeys(("us", "microsecond"), 1),
    **dict.fromkeys(("ms", "millisecond"), 1000),
    **dict.fromkeys(("s", "sec", "second"), SECOND),
    **dict.fromkeys(("m", "min", "minute"), 60 * SECOND),
    **dict.fromkeys(("h", "H", "hour"), HOUR),
    **dict.fromkeys(("d", "D", "day"), DAY),
    **dict.fromkeys(("w", "W", "week"), 7 * DAY),
}
"""Unit → microseconds. A month, M, has no one length."""


def step_of(text: str) -> int:
    """`1h`, `15min`, `1d`, `1h30min` → microseconds. Raises UsageError for anything else."""
    said = text.strip() if any(char.isdigit() for char in text) else f"1{text.strip()}"
    parts = _PART.findall(said) if _LENGTH.fullmatch(said) else []
    units = [_UNITS.get(unit, _UNITS.get(unit.removesuffix("s"), 0)) for _, unit in parts]
    length = sum(Fraction(number) * unit for (number, _), unit in zip(parts, units, strict=True))
    if not length or not all(units) or length != int(length):
        raise UsageError(f'--step "{text}" is not a length of time', hint="write 1h, 15min, 30s or 1d")
    return int(length)


def step_name(step: int) -> str:
    """What one step is called: hour, day, minute, second, or `step`."""
    return {SECOND: "second", 60 * SECOND: "minute", HOUR: "hour", DAY: "day"}.get(step, "step")


def time_text(time: int) -> str:
    """A time for messages, such as 2011-01-02 05:00:00."""
    return str(np.datetime64(time, "us")).replace("T", " ").removesuffix(".000000")


@dataclass(frozen=True)
class Clock:
    """How the cells of a series' time columns are read: `(column,)`, or a date and an hour column; `()` without times.

    With a `zone`, `local` times stay on the wall clock, and others become true instants (UTC). Picklable.
    """

    columns: tuple[str, ...]
    zone: str | None = None
    local: bool = False
    snap: Callable[[Times], Times] | None = None
    """What puts the times on their steps; it pickles."""

    def reading(self) -> Reading:
        """Start a pass over the rows."""
        return Reading(self)

    def wall(self, times: Times) -> pa.Array:
        """What the wall clock shows at `times` (step) in microseconds, timestamp[us] (step); with an hour column, the date."""
        stamps = pa.array(times, pa.timestamp("us"))
        if self.zone is not None and not self.local:
            stamps = pc.local_timestamp(pa.array(times, pa.timestamp("us", self.checked_zone())))
        return stamps if len(self.columns) == 1 else pc.floor_temporal(stamps, unit="day")

    def faults(self, batch: pa.RecordBatch) -> dict[int, tuple[str, str]]:
        """Row of the batch → (column, what is wrong) where the time cannot be read; the times of the rest can be."""
        name, cells = self.columns[0], batch.column(self.columns[0])
        found = dict.fromkeys(np.flatnonzero(cells.is_null().to_numpy(zero_copy_only=False)).tolist(), (name, "no time"))
        if pa.types.is_string(cells.type):
            found |= dict.fromkeys(_no_times(cells), (name, "is no time"))
        if len(self.columns) > 1:
            wrong = np.flatnonzero(~self._clock_cells(batch.column(self.columns[1]))[1]).tolist()
            found |= {row: (self.columns[1], "is not an hour, 0 to 23, or a time of day") for row in wrong if row not in found}
        if self.zone is not None and not self.local:
            rest = np.array([row for row in range(len(cells)) if row not in found], dtype=np.int64)
            stamps = self.combined(batch.take(pa.array(rest)))
            never = self.never(stamps) if stamps.type.tz is None else np.zeros(len(rest), dtype=bool)
            found |= dict.fromkeys(rest[never].tolist(), (name, f"does not exist in {self.zone}"))
        return found

    def stamps(self, cells: pa.Array) -> pa.Array:
        """Cells (row) as timestamp[us]: without a zone as written, with an offset as UTC. Raises DataError for other cells."""
        if pa.types.is_floating(cells.type) or pa.types.is_boolean(cells.type):
            raise self.no_times(pc.cast(cells, pa.string()))
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                return pc.cast(cells, kind)
            except pa.ArrowInvalid:
                continue
        raise self.no_times(cells)

    def combined(self, batch: pa.RecordBatch) -> pa.Array:
        """The time of every row as `stamps` gives it, the second column added. Raises DataError for cells that are no times."""
        stamps = self.stamps(batch.column(self.columns[0]))
        if len(self.columns) == 1:
            return stamps
        return pa.array(_micros(stamps) + self.hours(batch)).view(pa.timestamp("us", stamps.type.tz))

    def hours(self, batch: pa.RecordBatch) -> Times:
        """The hour column, or that of the time of day, in microseconds, (row) int64.

        Raises DataError for anything but whole hours from 0 to 23, or text such as 13:15.
        """
        name = self.columns[1]
        cells = batch.column(name)
        micros, ok = self._clock_cells(cells)
        if not ok.all():
            bad = cells.filter(pa.array(~ok)).unique().to_pylist()
            raise DataError(
                f'the hour column "{name}" holds what is no hour',
                some([shown(str(hour)) for hour in bad]),
                "write hours as whole numbers, 0 to 23, or the time of day as 13:15 or 13:15:00",
            )
        return micros

    @staticmethod
    def _clock_cells(cells: pa.Array) -> tuple[Times, Mask]:
        """Whole hours, or text (row), in microseconds, and whether each is an hour or a time of day."""
        if pa.types.is_string(cells.type):
            return to_time_of_day(cells)
        if not pa.types.is_integer(cells.type):
            return np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=bool)
        hours: Times = cells.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return hours * HOUR, (hours >= 0) & (hours <= 23)

    def checked_zone(self) -> str:
        """The zone. Raises UsageError if there is no zone of that name."""
        assert self.zone is not None
        try:
            pc.assume_timezone(pa.array([0], pa.timestamp("us")), self.zone)
        except pa.ArrowInvalid:
            raise UsageError(f'there is no time zone "{self.zone}"', hint="such as Europe/Berlin or America/New_York") from None
        return self.zone

    def never(self, stamps: pa.Array) -> Mask:
        """(row) bool: times of the wall clock that the clocks, put forward, never showed."""
        late = pc.assume_timezone(stamps, self.checked_zone(), ambiguous="latest", nonexistent="latest")
        never: Mask = _micros(pc.local_timestamp(late)) != _micros(stamps)
        return never

    def no_times(self, cells: pa.Array) -> DataError:
        """The error for cells of which some are not times, or which mix times with and without a zone."""
        unlike = pc.unique(cells)
        bad = unlike.take(pa.array(_no_times(unlike), pa.int64())).to_pylist()
        said = [shown(cell) for cell in bad] or ["some have a time zone, and others have none"]
        return DataError(
            f'the time column "{self.columns[0]}" holds what is no time',
            some(said),
            self._way_out(bad),
            self._fix(bad),
        )

    def _fix(self, bad: Sequence[str]) -> dict[str, Any]:
        """The notation of the times, if one reads the first of them."""
        name = self.columns[0]
        unit = unit_of(bad[0]) if bad and NUMBER.fullmatch(bad[0]) else None
        if unit in UNITS:
            return {"time": f"{name}:{unit}"}
        guess = guessed(bad)
        return {"time_format": [f"{name}={guess}"]} if guess else {}

    def _way_out(self, bad: Sequence[str]) -> str:
        """What to say: the unit of numbers, the format of dates, or how times are written."""
        name = self.columns[0]
        unit = unit_of(bad[0]) if bad and NUMBER.fullmatch(bad[0]) else None
        if unit in UNITS:
            return f'say what the numbers are: --time "{name}:{unit}"; or cut by position: omit --time'
        said = way_out(name, bad) if bad else "write all of them with a zone, or none"
        return f"{said}; or cut by position: omit --time"


NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


@dataclass
class Reading:
    """One pass of a clock over the batches of a series, in row order.

    It remembers the last row: whether a local hour that occurs twice is the first or the second depends on the one before.
    """

    clock: Clock
    _last: int | None = field(default=None, init=False)
    _second: bool = field(default=False, init=False)
    _aware: frozenset[bool] = field(default=frozenset(), init=False)

    def __call__(self, batch: pa.RecordBatch) -> Times:
        """The times in microseconds since 1970, (row) int64. Raises DataError for cells that are not times."""
        clock = self.clock
        stamps = clock.combined(batch)
        self._aware |= {stamps.type.tz is not None}
        if len(self._aware) > 1:
            raise clock.no_times(pa.array([], pa.string()))
        if clock.zone is not None and stamps.type.tz is None and not clock.local:
            times = self._instants(stamps)
        elif clock.zone is not None and stamps.type.tz is not None and clock.local:
            times = _micros(pc.local_timestamp(stamps.cast(pa.timestamp("us", clock.checked_zone()))))
        else:
            times = _micros(stamps)
        return times if clock.snap is None else clock.snap(times)

    def runs(self, block: Packed) -> Distances:
        """As a call, as runs of equal distances; rows that are packed already are not looked at one by one."""
        clock = self.clock
        column = block.columns[clock.columns[0]]
        is_plain = len(clock.columns) == 1 and clock.zone is None and clock.snap is None
        if isinstance(column, Distances) and column.type == pa.timestamp("us") and is_plain:
            self._aware |= {False}
            return column
        return distances(pa.array(self(block.unpacked())))

    def _instants(self, stamps: pa.Array) -> Times:
        """Wall clock → UTC. Of an hour that occurs twice, the second pass begins where the times go back or repeat."""
        zone, wall = self.clock.checked_zone(), _micros(stamps)
        early, late = (
            _micros(pc.assume_timezone(stamps, zone, ambiguous=way, nonexistent=way)) for way in ("earliest", "latest")
        )
        never = wall[self.clock.never(stamps)]
        if len(never):
            raise DataError(
                f"{plural(len(never), 'time does', 'times do')} not exist in {zone}: the clocks were put forward",
                some([time_text(int(time)) for time in never]),
            )
        times = early.copy()
        for at in np.flatnonzero(early != late).tolist():
            before = int(wall[at - 1]) if at else self._last
            apart = before is None or abs(int(wall[at]) - before) > 3 * HOUR
            self._second = not apart and (self._second or wall[at] <= before)
            times[at] = late[at] if self._second else early[at]
            if at + 1 < len(wall) and early[at + 1] == late[at + 1]:
                self._second = False
        self._last = int(wall[-1]) if len(wall) else self._last
        return times


def _micros(stamps: pa.Array) -> Array:
    """Time stamps as microseconds since 1970, (row) int64."""
    micros: Times = (
        stamps.cast(pa.timestamp("us", stamps.type.tz))
        .cast(pa.int64())
        .to_numpy(zero_copy_only=False)
        .astype(np.int64, copy=False)
    )
    return micros


def _no_times(cells: pa.Array, start: int = 0) -> list[int]:
    """The rows of cells that are not times, counted from `start`: a batch that fails is halved until it is one cell."""
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            pc.cast(cells, kind)
        except pa.ArrowInvalid:
            continue
        return []
    half = len(cells) // 2
    return [*_no_times(cells[:half], start), *_no_times(cells[half:], start + half)] if half else [start]
