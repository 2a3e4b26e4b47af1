"""The time from step to step: a fixed length, or steps of the calendar (months, quarters, years, business days)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tensorize.columns.dates.text import first_days
from tensorize.core.contracts import Mask
from tensorize.core.errors import DataError, UsageError, plural, some
from tensorize.loaders.series.clock import DAY, step_of, time_text
from tensorize.loaders.series.runs import NEW, Ints, Runs

Unit = Literal["mo", "b"]

_CALENDAR = re.compile(r"(\d*) *(mo|months?|q|quarters?|y|years?|b|business ?days?)")
_MONTHS = {"m": 1, "q": 3, "y": 12}
_NAMES = {1: "month", 3: "quarter", 12: "year"}
_LONG = 28 * DAY
"""No month is shorter."""
_MONDAY = 3
"""Days from Monday, 1969-12-29, to 1970-01-01."""


@dataclass(frozen=True)
class CalendarScale:
    """Counts time by the calendar: in months since 1970, or in business days since the Monday before.

    `day` is the day of the month that the times lie on, 31 for the last one; `micros` their time of day.
    """

    unit: Unit
    day: int = 1
    micros: int = 0

    def ticks(self, times: Ints) -> Ints:
        """Times in microseconds since 1970 (time) → whole months or business days."""
        days = times // DAY
        if self.unit == "mo":
            return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return (days + _MONDAY) // 7 * 5 + np.minimum((days + _MONDAY) % 7, 4)

    def times(self, ticks: Ints) -> Ints:
        """The times of some ticks in microseconds since 1970, (tick)."""
        if self.unit == "b":
            return (ticks // 5 * 7 + ticks % 5 - _MONDAY) * DAY + self.micros
        first, after = first_days(ticks), first_days(ticks + 1)
        found: Ints = (first + np.minimum(self.day, after - first) - 1) * DAY + self.micros
        return found

    def fits(self, times: Ints) -> Mask:
        """(time) bool: whether a time lies on a tick."""
        fits: Mask = self.times(self.ticks(times)) == times
        return fits

    def noun(self, step: int) -> str:
        """What a step of some ticks is called."""
        return "business day" if self.unit == "b" and step == 1 else _NAMES.get(step, "step") if self.unit == "mo" else "step"


def scale_of(unit: Unit, times: Ints) -> CalendarScale:
    """The scale on which most of some times lie: on the latest day of the month that occurs, at the first's time of day."""
    days = times // DAY
    if unit == "b":
        return CalendarScale(unit, micros=int(times[0] % DAY))
    of_month = days - first_days(CalendarScale(unit).ticks(times)) + 1
    return CalendarScale(unit, int(of_month.max()), int(times[0] % DAY))


@dataclass(frozen=True)
class CalendarStep:
    """A step of the calendar: `count` months, or business days."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        if self.unit == "mo":
            for months, sign in ((12, "y"), (3, "q")):
                if self.count % months == 0:
                    return f"{self.count // months}{sign}"
        return f"{self.count}{self.unit}"


def calendar_of(text: str) -> CalendarStep | None:
    """`1mo`, `1q`, `1y`, `1b` as a step of the calendar; None for anything else."""
    match = _CALENDAR.fullmatch(text.strip().lower()) if text.strip() != "M" else None
    if match is None or match[1] == "0":
        return None
    count, sign = int(match[1] or 1), match[2][0]
    return CalendarStep(count, "b") if sign == "b" else CalendarStep(count * _MONTHS[sign], "mo")


def check_step(text: str) -> CalendarStep | int:
    """A step of `--step`: of the calendar, or in microseconds. Raises UsageError for anything else."""
    calendar = calendar_of(text)
    if calendar is not None:
        return calendar
    try:
        return step_of(text)
    except UsageError as error:
        raise UsageError(error.what, error.details, "write 1h, 15min, 30s or 1d; 1mo, 1q or 1y; 1b for business days") from None


@dataclass(frozen=True)
class Pace:
    """The steps of a series: `step` microseconds, or ticks of a `scale`; `runs` are its times in the same unit."""

    step: int
    runs: Runs
    scale: CalendarScale | None = None
    calendar: CalendarStep | None = None


def pace_of(runs: Runs, given: CalendarStep | int | None, *, strict: bool) -> Pace:
    """The steps that were given, else those that the times have: the most frequent distance, or months, quarters, years.

    With `strict`, where every gap is an error, days without any weekend are business days. Raises DataError for times
    that are not on the steps of a calendar that was given.
    """
    if isinstance(given, CalendarStep):
        return _on_calendar(runs, given)
    if given is not None:
        return Pace(given, runs)
    usual = runs.usual_step()
    found = _months(runs, usual) if usual >= _LONG else _business_days(runs) if usual == DAY and strict else None
    return Pace(usual, runs) if found is None else found


def _on_calendar(runs: Runs, calendar: CalendarStep) -> Pace:
    times = runs.all_times()
    scale = scale_of(calendar.unit, times)
    off = times[~scale.fits(times)]
    if len(off):
        where = "business days" if calendar.unit == "b" else f"day {scale.day} of a month"
        raise DataError(
            f"{plural(len(off), 'time is', 'times are')} not on {where}, as --step {calendar} expects",
            some([time_text(int(time)) for time in off]),
            f"put each row on the {scale.noun(calendar.count)} in which it lies: --step {calendar} --snap",
            {"step": [str(calendar)], "snap": True},
        )
    return Pace(calendar.count, _counted(runs, scale, times), scale, calendar)


def _counted(runs: Runs, scale: CalendarScale, times: Ints) -> Runs:
    """Runs of the same rows in ticks of a scale."""
    ticks = scale.ticks(times)
    apart = np.diff(ticks, prepend=ticks[:1])
    apart[runs.first[runs.apart == NEW]] = NEW
    changed = np.ones(len(ticks), dtype=bool)
    changed[1:] = (apart[1:] != apart[:-1]) | (apart[1:] == NEW)
    first = np.flatnonzero(changed)
    return replace(runs, first=first, time=ticks[first], apart=apart[first])


def _on_scale(runs: Runs, unit: Unit) -> tuple[CalendarScale, Runs] | None:
    """The scale of a unit and the runs in its ticks, if all times are on it."""
    times = runs.all_times()
    scale = scale_of(unit, times)
    return (scale, _counted(runs, scale, times)) if scale.fits(times).all() else None


def _fixed(runs: Runs, step: int) -> bool:
    """Whether all times are whole steps of a fixed length after the first of their group."""
    origin = runs.time[runs.apart == NEW]
    return not ((runs.time - origin[runs.group]) % step).any() and not (runs.apart[runs.apart != NEW] % step).any()


def _months(runs: Runs, usual: int) -> Pace | None:
    """Months, quarters or years, if the times are on them and on no fixed steps."""
    if _fixed(runs, usual):
        return None
    found = _on_scale(runs, "mo")
    if found is None:
        return None
    scale, counted = found
    if not (counted.apart > 0).any():
        return None
    step = counted.usual_step()
    return Pace(step, counted, scale, CalendarStep(step, "mo"))


def _business_days(runs: Runs) -> Pace | None:
    """Business days, if no time is on a weekend, and some weekend lies between them."""
    if (runs.apart[runs.apart != NEW] == DAY).all():
        return None
    found = _on_scale(runs, "b")
    if found is None:
        return None
    scale, counted = found
    jumps = int(counted.lengths[counted.apart != NEW].sum())
    follow = int(counted.lengths[counted.apart == 1].sum())
    return Pace(1, counted, scale, CalendarStep(1, "b")) if follow * 2 > jumps else None


Snap = Callable[[Ints], Ints]


def snap(times: Ints, step: CalendarStep | int) -> Ints:
    """Times (row) in microseconds on their nearest step since 1970; by the calendar, at the start of the step they lie in.

    Weeks and business days count from Monday.
    """
    if isinstance(step, int):
        zero = -_MONDAY * DAY if step % (7 * DAY) == 0 else 0
        return (times - zero + step // 2) // step * step + zero
    scale = CalendarScale(step.unit)
    if step.unit == "b":
        return times // DAY * DAY
    return scale.times(scale.ticks(times) // step.count * step.count)
