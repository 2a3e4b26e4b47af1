"""Every value of a prepared series beside an independent computation: pandas reads and sorts, numpy fills, scales and cuts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from check_table import channels, close
from columns_anew import Column, column_and, flagged, typed
from pandas_cells import CannotCheckError, read_cells
from times_anew import steps_of, usual_step

from tensorize import read

NOT_CHECKED = {"split", "zone", "encode", "order", "where"}


@dataclass(frozen=True)
class Grid:
    """The steps of all groups, one after the other: which row each is, −1 for none, and its group (step)."""

    row: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]


def check_series(source: Path, made: Path) -> list[str]:
    """The faults of the file `made` of a series, none where every value is as computed here."""
    tensors = read(made)
    recipe = json.loads(tensors.recipe.to_json())
    options, names = recipe.get("options", {}), [item["name"] for item in recipe["schema"]["columns"]]
    if NOT_CHECKED & options.keys():
        return [f"unchecked: {', '.join(sorted(NOT_CHECKED & options.keys()))}"]
    try:
        rows, columns = typed(read_cells(source, options, names), names, options)
        clock = clock_of(options, columns)
        grid, labels = grid_of(columns, clock, options), tensors.labels("series", "channel")
        values = dense(columns, grid, clock, options)
        starts, length = cut(grid, options)
    except CannotCheckError as error:
        return [f"unchecked: {error}"]
    if list(values) != list(labels):
        return [f"channels: {list(labels)[:5]}, not {list(values)[:5]}"]
    faults = _windows("series", tensors["series"].numpy(), list(values.values()), starts, length)
    there = (grid.row >= 0)[starts[:, None] + np.arange(length)]
    faults += [] if np.array_equal(tensors["observed"].numpy(), there) else ["observed differs"]
    seen = grid.row[starts] >= 0
    faults += [] if np.array_equal(tensors["row"].numpy()[seen], rows[grid.row[starts[seen]]]) else ["row differs"]
    if options.get("target"):
        plain = dense(columns, grid, clock, options | {"scale": "none"})
        goal = [plain[name] for name in options["target"]]
        faults += _windows("target", tensors["target"].numpy(), goal, starts + length, int(options.get("horizon", 0)))
    return faults


def _windows(what: str, found: npt.NDArray[Any], wanted: Sequence[npt.NDArray[Any]], starts: npt.NDArray[Any], length: int):
    shape = (len(starts), len(wanted), length)
    if found.shape != shape:
        return [f"{what}: shape {found.shape}, not {shape}"]
    places = starts[:, None] + np.arange(length)
    off = [at for at, channel in enumerate(wanted) if not close(found[:, at].ravel(), channel[places].ravel())]
    return [f"{what}: {len(off)} channels differ, the first is {off[0]}"] if off else []


def clock_of(options: Mapping[str, Any], columns: Mapping[str, Column]) -> Column | None:
    """The column of times, None where rows follow each other without one."""
    name = options.get("time")
    if name is None:
        return None
    day, _, hour = name.partition("+")
    if name not in columns and {day, hour} <= columns.keys() and columns[hour].kind == "number":
        hours = (columns[hour].values * 3_600_000_000).astype("timedelta64[us]")
        return replace(columns[day], values=columns[day].values + hours)
    name = name if name in columns else column_and(name, ":")[0]
    if name not in columns:
        raise CannotCheckError(f"time {name}")
    return columns[name]


def grid_of(columns: Mapping[str, Column], clock: Column | None, options: Mapping[str, Any]) -> Grid:
    """Rows sorted by group and time, on the grid of the step; as they are where there is no time."""
    if clock is None:
        rows = len(next(iter(columns.values())).values)
        return Grid(np.arange(rows), np.zeros(rows, dtype=np.int64))
    key = options.get("group")
    names = columns[key].values if key else np.zeros(len(clock.values))
    groups = list(dict.fromkeys(names.tolist()))
    members = [np.flatnonzero(names == group) for group in groups]
    if any((np.diff(member) > 1).any() or (np.diff(clock.values[member]).astype(int) < 0).any() for member in members):
        as_text = sorted(groups, key=lambda group: f"{group:g}" if isinstance(group, float) else group)
        members = [np.flatnonzero(names == group) for group in as_text]  # rows out of order are sorted by group, then time
    for step in [value for value in options.get("step", ()) if ":" not in value] or usual_step(
        [clock.values[at] for at in members]
    ):
        numbers = [steps_of(clock.values[at], step, snap=bool(options.get("snap"))) for at in members]
        if all(found is not None for found in numbers):
            return _joined(members, numbers, options)
    raise CannotCheckError("no step fits")


def _joined(members: Sequence[Any], numbers: Sequence[Any], options: Mapping[str, Any]) -> Grid:
    rows, group = [], []
    for at, (member, number) in enumerate(zip(members, numbers, strict=True)):
        row = np.full(int(number.max()) + 1, -1)
        first = np.unique(number, return_index=True)
        if len(first[0]) < len(number) and options.get("duplicates") != "first":
            raise CannotCheckError("duplicates")
        row[first[0]] = member[first[1]]
        rows.append(row)
        group.append(np.full(len(row), at))
    return Grid(np.concatenate(rows), np.concatenate(group))


def dense(columns: Mapping[str, Column], grid: Grid, clock: Column, options: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Name → every step of a channel (step) float64, gaps filled; statistics are those of the rows."""
    missing = grid.row < 0
    time = clock.name if clock is not None else None
    parts = flagged(options, "time_features")
    own = {name: column for name, column in columns.items() if name in parts or name not in (time, options.get("group"))}
    kept = np.unique(grid.row[~missing])
    there = channels({name: column.of(kept) for name, column in own.items()}, options | {"target": ()})
    place = np.searchsorted(kept, grid.row)
    found = {name: values[np.where(missing, 0, place)] for name, values in there.items()}
    if not missing.any():
        return found
    policies = options.get("gaps", ())
    if list(policies) == ["drop"]:
        return {name: np.where(missing, np.nan, values) for name, values in found.items()}
    if len(policies) != 1 or policies[0] not in ("ffill", "interpolate"):
        raise CannotCheckError(f"gaps {policies}")
    numbers = {column.name for column in own.values() if column.kind == "number"}
    hour = (options.get("time") or "").partition("+")[2]
    return {
        name: _of_the_clock(values, columns[hour].values[np.maximum(grid.row, 0)], missing)
        if name == hour
        else _filled(np.where(missing, np.nan, values), policies[0] if name in numbers else "ffill", grid)
        for name, values in found.items()
    }


def _of_the_clock(values: npt.NDArray[Any], hours: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The values (step) of a column of hours: those of a missing step of an hour are of its own hour."""
    known = dict(zip(hours[~missing].tolist(), values[~missing].tolist(), strict=True))
    last = np.maximum.accumulate(np.where(missing, 0, np.arange(len(hours))))
    own = (hours[last] + np.arange(len(hours)) - last) % 24
    return np.array([known[hour] for hour in own.tolist()])


def _filled(values: npt.NDArray[Any], policy: str, grid: Grid) -> npt.NDArray[Any]:
    """Steps (step) without gaps, group by group: a line between, or the value before, are the same before and after scaling."""
    out = np.empty_like(values)
    for group in np.unique(grid.group):
        at = grid.group == group
        one = pd.Series(values[at].astype(float))
        out[at] = one.interpolate() if policy == "interpolate" else one.ffill()
    return out


def cut(grid: Grid, options: Mapping[str, Any]) -> tuple[npt.NDArray[np.int64], int]:
    """The first step of each sample (row), and its length."""
    if options.get("fold"):
        raise CannotCheckError("fold")
    if options.get("period"):
        length, stride = _period(options["period"], grid)
    else:
        length, stride = int(options["window"]), int(options.get("stride", 1))
    span = length + int(options.get("horizon", 0))
    starts: list[int] = []
    for group in np.unique(grid.group):
        at = np.flatnonzero(grid.group == group)
        starts += range(int(at[0]), int(at[-1]) - span + 2, stride)
    if "drop" in options.get("gaps", ()):
        starts = [start for start in starts if (grid.row[start : start + span] >= 0).all()]
    return np.array(starts, dtype=np.int64), length


def _period(period: str, grid: Grid) -> tuple[int, int]:
    if not str(period).isdigit():
        raise CannotCheckError(f"period {period}")
    return int(period), int(period)
