"""Is a table a series? Its time, its groups, and windows that fit its pace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tensorize.columns.dates.notations import DAY_FIRST, MONTH_FIRST, forms_of
from tensorize.columns.dates.text import DAY, read_cells
from tensorize.columns.reader import Rows
from tensorize.core.contracts import Array
from tensorize.core.errors import plural
from tensorize.look.choices import Choice
from tensorize.look.picture import Picture

LEAST_ROWS = 12
STEADY = 0.75
"""The least share of the distances in time that are the usual one."""
ONWARD = 0.9
"""The least share of the rows that go the same way in time as the others."""
WINDOWS = ((DAY // 24, 60), (DAY, 24), (7 * DAY, 7), (28 * DAY, 4), (85 * DAY, 12), (300 * DAY, 4))
"""(microseconds, steps): a shorter pace than that has windows of so many steps."""
YEARS = ROWS = 5
"""Steps in a window of years, or of rows without a time."""


@dataclass(frozen=True)
class SteadyTimes:
    """The column of times of a series: what it is said with, and the usual distance of rows in microseconds."""

    column: str
    choices: tuple[Choice, ...]
    usual: int


def find_times(rows: Rows, pictures: Mapping[str, Picture], time: str | None = None) -> SteadyTimes | None:
    """The column that orders the rows in steady steps; None if there is none. `time` is one that was named."""
    for name, item in pictures.items():
        if name == time or (time is None and _may_be_time(item)):
            found = _times(rows, name)
            if found is not None:
                return found
    return None


def _may_be_time(item: Picture) -> bool:
    """Dates, text that may be dates, or years that go up."""
    if item.rows < LEAST_ROWS or item.missing:
        return False
    if item.column.storage == "int64":
        return item.rising and item.low >= 1000 and item.high < 2500 and "year" in item.name.lower()
    return item.kind in ("time", "category")


def _times(rows: Rows, name: str) -> SteadyTimes | None:
    """The times of a column in every notation that reads all of it: the one whose steps are steady."""
    cells = pa.chunked_array(list(_cells(rows, name))).combine_chunks()
    paces = [(*_pace(values), notation, values) for notation, values in _readings(cells)]
    for share, usual, notation, values in sorted(paces, key=lambda pace: -pace[0])[:1]:
        if share >= STEADY:
            flags = [Choice("time", name, f'"{name}" tells the time: {_said(usual)} from row to row')]
            if notation:
                flags.append(Choice("time_format", [f"{name}={notation}"], "the only way to read these dates in steady steps"))
            if (np.diff(values) < 0).any():
                flags.append(Choice("unsorted", "sort", "the times go backward"))
            return SteadyTimes(name, tuple(flags), usual)
    return None


def _cells(rows: Rows, name: str) -> Iterator[pa.Array]:
    for partition in rows.partitions:
        yield rows.read(partition, {name}).unpacked().column(name).cast(pa.string())


def _readings(cells: pa.Array) -> Iterator[tuple[str | None, Array]]:
    """(notation, microseconds (row)) for every notation that reads all cells."""
    for notation in (None, DAY_FIRST, MONTH_FIRST, "%d-%b-%y", "%m/%d/%y", "%d/%m/%y"):
        forms = forms_of(notation)
        head = read_cells(cells[:LEAST_ROWS], forms)
        if head.ok.all():
            found = read_cells(cells, forms)
            if found.ok.all():
                yield notation, found.wall


def _pace(values: Array) -> tuple[float, int]:
    """The share of the distances of times (row) that are as usual, and the usual one in microseconds.

    Months, quarters and years are as usual within three days.
    """
    unlike = np.unique(values)
    if len(unlike) < LEAST_ROWS or len(unlike) * 2 < len(values):
        return 0.0, 0
    onward = np.diff(values)
    if max((onward > 0).mean(), (onward < 0).mean()) < ONWARD:
        return 0.0, 0
    apart = np.diff(unlike)
    steps, counts = np.unique(apart, return_counts=True)
    usual = int(steps[counts.argmax()])
    slack = 3 * DAY if usual >= 28 * DAY else 0
    days = usual == DAY
    alike = np.abs(apart - usual) <= slack
    weekend = (apart == 3 * DAY) if days else np.zeros(len(apart), dtype=bool)
    return float((alike | weekend).mean()), usual


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
