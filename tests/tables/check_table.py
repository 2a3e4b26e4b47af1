"""Every value of a prepared table beside an independent computation: pandas reads the file, numpy learns and encodes.

Of the recipe only the options and the names of the columns are taken: kinds, fills, means and categories are found anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from columns_anew import Column, flagged, policy, typed
from pandas_cells import CannotCheckError, read_cells

from tensorize import read

PARTS = "month,day,weekday,hour"
Channels = dict[str, npt.NDArray[Any]]
"""Name of a channel → its values (row) float64."""


def check_table(source: Path, made: Path) -> list[str]:
    """The faults of the file `made` of `source`, none where every value is as computed here."""
    tensors = read(made)
    recipe = json.loads(tensors.recipe.to_json())
    options, schema = recipe.get("options", {}), {item["name"]: item["kind"] for item in recipe["schema"]["columns"]}
    try:
        rows, columns = typed(read_cells(source, options, list(schema)), list(schema), options)
        unlike = [
            f'"{name}" is {kind}, not {columns[name].kind}' for name, kind in schema.items() if columns[name].kind != kind
        ]
        wanted = {} if unlike else channels(columns, options)
    except (CannotCheckError, ValueError) as error:
        return [f"unchecked: {error}"]
    if unlike:
        return unlike
    faults = compare(tensors["features"].numpy(), tensors.labels("features", "feature"), wanted)
    return [*faults, *_same("row", tensors["row"].numpy(), rows), *_others(tensors, columns, options)]


def _same(what: str, found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> list[str]:
    if found.shape != wanted.shape:
        return [f"{what}: shape {found.shape}, not {wanted.shape}"]
    return [] if np.array_equal(found, wanted) else [f"{what}: {int((found != wanted).sum())} values differ"]


# what is to be there ------------------------------------------------------------------------------------------------


def channels(columns: Mapping[str, Column], options: Mapping[str, Any]) -> Channels:
    """The channels of a table in their order: plain columns, one-hot blocks of flags, those of text, indicators."""
    onehot, excluded = _onehot(columns, options), _no_features(options)
    inputs = {name: column for name, column in columns.items() if name not in excluded}
    filled = {name: fill(column, options) for name, column in inputs.items()}
    found: Channels = {}
    for name, column in inputs.items():
        if column.kind == "time":
            found |= calendar(filled[name], flagged(options, "time_features")[name] or PARTS)
        elif column.kind != "category" and (name not in onehot or name in options.get("keep", ())):
            found[name] = scaled(column, filled[name].values, options)
    text = [name for name, column in inputs.items() if column.kind == "category" and name not in onehot]
    for name in (*onehot, *text):
        found |= blocks(column=columns[name], filled=filled[name])
    plain = [column for name, column in inputs.items() if name not in {*onehot, *text}]
    return found | indicators([*plain, *(columns[name] for name in (*onehot, *text))], options)


def _onehot(columns: Mapping[str, Column], options: Mapping[str, Any]) -> list[str]:
    if any(":" in value and value not in columns for value in options.get("onehot", ())):
        raise CannotCheckError("declared categories")
    return [name for value in options.get("onehot", ()) for name in ([value] if value in columns else value.split(","))]


def _no_features(options: Mapping[str, Any]) -> set[str]:
    single = {options.get(option) for option in ("id", "group", "order")}
    return {*options.get("target", ()), *single} - {None}


def fill(column: Column, options: Mapping[str, Any]) -> Column:
    """The column with its missing values filled by its policy, which is learned from the others."""
    if not column.missing.any():
        return column
    how = policy(column.name, column.kind, options)
    value: Any = how
    if how == "error":
        raise CannotCheckError(f'"{column.name}" has missing values')
    if how in ("mean", "median"):
        value = float(exact_mean(column.observed) if how == "mean" else np.median(column.observed))
    elif how == "mode":
        counts = Counter(column.observed.tolist())
        value = min(counts, key=lambda item: (-counts[item], item))
    elif column.kind != "category":
        value = float(how)
    values = column.values.copy()
    values[column.missing] = value
    return Column(column.name, column.kind, values, column.missing, column.bad)


def exact_mean(values: npt.NDArray[Any]) -> np.longdouble:
    """The mean of numbers (row), in extended precision."""
    return np.mean(values.astype(np.longdouble))


def scaled(column: Column, filled: npt.NDArray[Any], options: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Numbers (row), filled, as the options scale them by what is observed; booleans stay 0 and 1."""
    how = next((step for step in ("zscore", "minmax", "raw") if column.name in options.get(step, ())), None)
    how = how or (
        "raw" if column.kind == "bool" else {"none": "raw"}.get(options.get("scale", ""), options.get("scale", "zscore"))
    )
    seen = column.observed.astype(np.longdouble)
    low, high = seen.min(), seen.max()
    if how == "raw":
        return filled
    if how == "minmax":
        return (filled - low) / (high - low or 1)
    mean, few = (low if low == high else seen.mean()), len(seen) < 2 or low == high
    std = 1 if few else np.sqrt(((seen - mean) ** 2).sum() / (len(seen) - int(options.get("ddof", 1))))
    return (filled - mean) / std


def blocks(column: Column, filled: Column) -> Channels:
    """One channel for each category that is seen, sorted."""
    whole = column.kind == "number" and bool((column.observed % 1 == 0).all())
    names = {bool: str}.get(type(column), str)
    say = {"bool": lambda value: str(bool(value)), "number": lambda value: str(int(value) if whole else value)}.get(
        column.kind, names
    )
    return {f"{column.name}={say(value)}": (filled.values == value) * 1.0 for value in sorted(set(column.observed.tolist()))}


def calendar(column: Column, parts: str) -> Channels:
    """The parts of the times of a column."""
    times = pd.DatetimeIndex(column.values)
    names = {"weekday": "day_of_week", "dayofyear": "day_of_year"}
    return {
        f"{column.name}.{part}": getattr(times, names.get(part, part)).to_numpy().astype(float) for part in parts.split(",")
    }


def indicators(columns: Sequence[Column], options: Mapping[str, Any]) -> Channels:
    """1 where a value is missing, of each column that lacks any."""
    wanted = [column for column in columns if options.get("indicator") and column.missing.any()]
    return {f"{column.name} is missing": column.missing * 1.0 for column in wanted}


# beside what is there -----------------------------------------------------------------------------------------------


def compare(found: npt.NDArray[Any], labels: Sequence[str], wanted: Channels) -> list[str]:
    """What differs between features (row, feature) float32 and channels: names, their order, shape, values."""
    if list(labels) != list(wanted):
        more, less = [name for name in labels if name not in wanted], [name for name in wanted if name not in labels]
        return [f"channels: too many {more[:3]}, too few {less[:3]}, in all {len(labels)} and {len(wanted)}"]
    if wanted and found.shape != (len(next(iter(wanted.values()))), len(wanted)):
        return [f"shape {found.shape}"]
    off = [name for at, name in enumerate(labels) if not close(found[:, at], wanted[name])]
    return [f"values of {len(off)} channels differ: {off[:3]}"] if off else []


def close(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    """Whether float32 values (row) are those of float64, but for the last bits of either."""
    return np.allclose(found, wanted.astype(np.float32), rtol=1e-6, atol=1e-9)


def _others(tensors: Any, columns: Mapping[str, Column], options: Mapping[str, Any]) -> Iterator[str]:
    """Faults of the target and the id."""
    for name in options.get("target", ()):
        yield from _same("target", tensors["target"].numpy(), target(columns[name], options))
    if options.get("id") in columns and columns[options["id"]].kind == "number":
        yield from _same("id", tensors["id"].numpy(), columns[options["id"]].values.astype(np.int64))


def target(column: Column, options: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Class numbers, int64, of text, booleans and few whole numbers; else float32."""
    values = sorted(set(column.values.tolist()))
    whole = column.kind != "number" or bool((column.values % 1 == 0).all())
    if whole and len(values) <= int(options.get("max_categories", 100)):
        return np.array([values.index(value) for value in column.values])
    return column.values.astype(np.float32)
