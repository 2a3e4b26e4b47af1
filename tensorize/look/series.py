"""Is a table a series? Its time, its groups, and windows that fit its pace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tensorize.columns.dates.notations import DAY_FIRST, MONTH_FIRST, forms_of
from tensorize.columns.dates.text import DAY, read_cells, to_time_of_day
from tensorize.columns.reader import Rows
from tensorize.core.contracts import Array
from tensorize.core.errors import plural
from tensorize.look.choices import Choice
from tensorize.look.picture import Picture

UNLIKE = 0.95
"""The least share of different times in one series."""
LEAST_ROWS = 12
LOOKED_AT = 200_000
"""Rows whose times are looked at."""
STEADY = 0.75
"""The least share of the distances in time that are the usual one."""
ONWARD = 0.9
"""The least share of the rows that go the same way in time as the others."""
WINDOWS = ((DAY // 24, 60), (DAY, 24), (7 * DAY, 7), (28 * DAY, 4), (85 * DAY, 12), (300 * DAY, 4))
"""(microseconds, steps): a shorter pace than that has windows of so many steps."""
_HOUR = re.compile(r"(^|[_\s.-])(h|hh|hr|hrs|hour|hours|stunde|heure)$", re.IGNORECASE)
YEARS = ROWS = 5
"""Steps in a window of years, or of rows without a time."""


@dataclass(frozen=True)
class SteadyTimes:
    """The column of times of a series: what it is said with, and the usual distance of rows in microseconds."""

    column: str
    choices: tuple[Choice, ...]
    usual: int


def find_times(rows: Rows, pictures: Mapping[str, Picture], time: str | None = None) -> SteadyTimes | None:
    """The column that orders the rows, or those of each group, in steady steps; None if there is none.

    `time` is one that was named. The first rows tell; that the others follow is for a trial to show.
    """
    for name, item in pictures.items():
        if name == time or (time is None and _may_be_time(item)):
            found = _two_columns(rows, pictures, name) or _times(rows, pictures, name)
            if found is not None:
                return found
    return None


def _two_columns(rows: Rows, pictures: Mapping[str, Picture], name: str) -> SteadyTimes | None:
    """The times of a column of days and one of hours, or of times of day, which are steady together and not alone."""
    clocks = [item.name for item in pictures.values() if item.name != name and _may_be_clock(item)]
    cells = _cells(rows, name) if clocks else pa.array([], pa.string())
    for notation, days in _readings(cells) if clocks else ():
        if (days % DAY).any() or _pace(days)[0] >= STEADY:
            continue
        for clock in clocks:
            hours = _hours(_cells(rows, clock))
            share, usual = _pace(days + hours) if hours is not None else (0.0, 0)
            if share >= STEADY:
                backward = bool((np.diff(days + hours) < 0).any())
                return SteadyTimes(
                    name, tuple(_flags(f"{name}+{clock}", usual, notation, None, dated=name, backward=backward)), usual
                )
    return None


def _may_be_clock(item: Picture) -> bool:
    """Whole hours of a column that is called so, or text that may be times of day."""
    if item.missing or item.distinct is None or item.distinct < 2:
        return False
    if item.column.storage == "int64":
        return bool(_HOUR.search(item.name)) and item.low >= 0 and item.high <= 23
    return item.kind == "category"


def _hours(cells: pa.Array) -> Array | None:
    """Hours or times of day as microseconds, (row); None where a cell is neither."""
    with suppress(pa.ArrowInvalid):
        hours: Array = cells.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return hours * (DAY // 24)
    found, ok = to_time_of_day(cells)
    return found if ok.all() else None


def _may_be_time(item: Picture) -> bool:
    """Dates, text that may be dates, or years and days such as 20240131 that go up."""
    if item.rows < LEAST_ROWS or item.missing:
        return False
    if item.column.storage == "int64":
        years = item.low >= 1000 and item.high < 2500 and "year" in item.name.lower()
        days = item.low > 18_000_000 and item.high < 22_000_000 and "date" in item.name.lower()
        return item.rising and (years or days)
    return item.kind in ("time", "category")


def _times(rows: Rows, pictures: Mapping[str, Picture], name: str) -> SteadyTimes | None:
    """The times of a column in the notation and the groups in which their steps are the steadiest."""
    cells = _cells(rows, name)
    others = [item for item in pictures.values() if item.name != name and _may_be_group(item)]
    paces: list[tuple[float, int, str | None, str | None, Array]]
    readings = list(_readings(cells))
    paces = [(*_pace(values), notation, None, values) for notation, values in readings]
    if not any(share >= STEADY for share, *_ in paces):
        codes = {item.name: _codes(_cells(rows, item.name)) for item in others}
        paces = [
            (*_pace(values, group), notation, other, values) for notation, values in readings for other, group in codes.items()
        ]
    for share, usual, notation, group, values in sorted(paces, key=lambda pace: -pace[0])[:1]:
        if share >= STEADY:
            backward = group is None and bool((np.diff(values) < 0).any())
            return SteadyTimes(name, tuple(_flags(name, usual, notation, group, dated=name, backward=backward)), usual)
    return None


def _flags(time: str, usual: int, notation: str | None, group: str | None, *, dated: str, backward: bool) -> Iterator[Choice]:
    """The options that name the times; `dated` is the column of dates among them."""
    each = f' of each "{group}"' if group else ""
    told = " and ".join(f'"{name}"' for name in ([dated, time.removeprefix(dated + "+")] if time != dated else [dated]))
    yield Choice("time", time, f"{told} {'tell' if time != dated else 'tells'} the time: {_said(usual)} from row to row{each}")
    if notation:
        yield Choice("time_format", [f"{dated}={notation}"], "the only way to read these dates in steady steps")
    if group:
        yield Choice("group", group, "a series of its own for each value")
    if backward:
        yield Choice("unsorted", "sort", "the times go backward")


def _may_be_group(item: Picture) -> bool:
    """A column of few values for its rows, each of which has enough."""
    few = item.distinct is not None and 2 <= item.distinct * LEAST_ROWS <= max(item.rows, 2 * LEAST_ROWS)
    return few and not item.missing and (item.kind == "category" or item.column.storage == "int64")


def _codes(cells: pa.Array) -> Array:
    """(row): the same number for the same text."""
    codes: Array = cells.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return codes


def _cells(rows: Rows, name: str) -> pa.Array:
    """The first cells of a column as text, (row)."""
    found: list[pa.Array] = []
    for partition in rows.partitions:
        found.append(rows.read(partition, {name}).unpacked().column(name).cast(pa.string()))
        if sum(map(len, found)) >= LOOKED_AT:
            break
    return pa.chunked_array(found).combine_chunks()


def _readings(cells: pa.Array) -> Iterator[tuple[str | None, Array]]:
    """(notation, microseconds (row)) for every notation that reads all cells."""
    for notation in (None, DAY_FIRST, MONTH_FIRST, "%d-%b-%y", "%m/%d/%y", "%d/%m/%y"):
        forms = forms_of(notation)
        head = read_cells(cells[:LEAST_ROWS], forms)
        if head.ok.all():
            found = read_cells(cells, forms)
            if found.ok.all():
                yield notation, found.wall


def _pace(values: Array, group: Array | None = None) -> tuple[float, int]:
    """The share of the distances of times (row) that are as usual, and the usual one in microseconds.

    Within each value of `group` (row), where there are groups. Months, quarters and years are as usual within three days.
    """
    onward = np.diff(values)
    if group is None:
        unlike = np.unique(values)
        if max((onward > 0).mean(), (onward < 0).mean()) < ONWARD or len(unlike) < UNLIKE * len(values):
            return 0.0, 0
        apart = np.diff(unlike)
    else:
        order = np.lexsort((np.arange(len(values)), group))
        apart = np.diff(values[order])[np.diff(group[order]) == 0]
    if len(apart) < LEAST_ROWS - 1 or (apart > 0).mean() < ONWARD:
        return 0.0, 0
    steps, counts = np.unique(apart[apart > 0], return_counts=True)
    usual = int(steps[counts.argmax()])
    slack = 3 * DAY if usual >= 28 * DAY else 0
    alike = (np.abs(apart - usual) <= slack) | ((apart == 3 * DAY) if usual == DAY else False)
    return float(alike.mean()), usual


def _said(usual: int) -> str:
    """A distance in words."""
    for name, size in (("day", DAY), ("hour", DAY // 24), ("minute", DAY // 1440), ("second", 1_000_000)):
        if usual % size == 0:
            count = usual // size
            named = {7: "a week", 28: "a month", 29: "a month", 30: "a month", 31: "a month"} if name == "day" else {}
            if name == "day" and 89 <= count <= 92:
                return "a quarter"
            if name == "day" and 365 <= count <= 366:
                return "a year"
            return named.get(count) or (f"{'an' if name == 'hour' else 'a'} {name}" if count == 1 else plural(count, name))
    return f"{usual / 1e6:g} s"


def window_for(times: SteadyTimes | None, rows: int) -> Choice:
    """Windows of a length that the pace suggests, no longer than a third of the rows."""
    usual = times.usual if times is not None else None
    steps = ROWS if usual is None else next((steps for above, steps in WINDOWS if usual < above), YEARS)
    return Choice("window", max(min(steps, rows // 3), 1), "steps in a sample; --period day, week or N cuts without overlap")


def horizon(options: Mapping[str, Any]) -> list[Choice]:
    """How far a target is told ahead."""
    return [Choice("horizon", 1, "the target is the next step")] if options.get("target") and "horizon" not in options else []
