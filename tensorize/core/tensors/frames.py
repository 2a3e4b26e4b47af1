"""A set in the forms of other libraries: Arrow, pandas, polars, xarray. They are imported where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorize.core.errors import UsageError
from tensorize.core.layout import Array, TensorSpec, uneven_rows

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import xarray as xr

TensorSet = Any
"""A `tensorize.core.tensorset.TensorSet`, which imports this."""


def to_arrow(ts: TensorSet) -> pa.Table:
    """One row for each sample; see `TensorSet.to_arrow`."""
    import pyarrow as pa

    if uneven := uneven_rows(ts.layout):
        raise UsageError(f"this set is no table: {uneven}", hint="take some of them: ts.select([…])")
    parts = [ts.split(name) for name in ts.splits] or [ts]
    tables = [pa.table(dict(_columns(part))) for part in parts]
    if not ts.splits:
        return tables[0]
    named = [
        table.append_column("split", pa.array([name] * table.num_rows, pa.string()).dictionary_encode())
        for name, table in zip(ts.splits, tables, strict=True)
    ]
    return pa.concat_tables(named).unify_dictionaries()


def to_pandas(ts: TensorSet) -> pd.DataFrame:
    """See `TensorSet.to_pandas`."""
    frame: pd.DataFrame = to_arrow(ts).to_pandas()
    return frame


def to_polars(ts: TensorSet) -> pl.DataFrame:
    """See `TensorSet.to_polars`."""
    try:
        import polars as pl
    except ImportError:
        raise UsageError("polars is not installed", hint="pip install polars") from None
    frame = pl.from_arrow(to_arrow(ts))
    assert isinstance(frame, pl.DataFrame)
    return frame


def to_xarray(ts: TensorSet) -> xr.Dataset:
    """See `TensorSet.to_xarray`."""
    try:
        import xarray as xr
    except ImportError:
        raise UsageError("xarray is not installed", hint="pip install xarray") from None
    taken: dict[str, int] = {}
    labels: dict[str, tuple[str, ...]] = {}
    variables = {}
    for spec in ts.layout.tensors:
        axes = [_axis(spec, axis, size, taken, labels) for axis, size in zip(spec.axes, spec.shape, strict=True)]
        variables[spec.name] = (axes, ts.numpy(spec.key), {"role": spec.role})
    coordinates = {axis: list(names) for axis, names in labels.items() if names}
    return xr.Dataset(variables, coordinates, {"kind": ts.kind, "recipe": ts.recipe_json})


def _axis(spec: TensorSpec, axis: str, size: int, taken: dict[str, int], labels: dict[str, tuple[str, ...]]) -> str:
    """The dimension of an axis: its own name, unless another tensor has that with another length or other labels."""
    own = spec.labels.get(axis, ())
    for name in (axis, f"{spec.name}_{axis}"):
        if taken.get(name, size) == size and labels.get(name, own) == own and name != spec.name:
            taken[name], labels[name] = size, own
            return name
    return f"{spec.name}_{axis}_{size}"


def _columns(ts: TensorSet) -> Iterator[tuple[str, Any]]:
    """(name, Arrow array) of each column of a set without a split."""
    names = {spec.name for spec in ts.layout.tensors}
    for spec in ts.layout.tensors:
        values = ts.numpy(spec.key)
        channels = spec.labels.get(spec.axes[1], ()) if len(spec.shape) == 2 else ()
        if channels and len({*channels}) == len(channels) == spec.shape[1]:
            names -= {spec.name}
            for at, channel in enumerate(channels):
                name = channel if channel not in names else f"{spec.name}.{channel}"
                names.add(name)
                yield name, _array(np.ascontiguousarray(values[:, at]))
        else:
            yield spec.name, _array(values)
    for key, texts in ts.layout.texts.items():
        if len(texts) == ts.num_rows and key not in names:
            yield key, list(texts)


def _array(values: Array) -> Any:
    """Numbers (row, …) as an Arrow array: a list of fixed size for each axis after the first."""
    import pyarrow as pa

    found = pa.array(values.reshape(math.prod(values.shape)))
    for size in values.shape[:0:-1]:
        found = pa.FixedSizeListArray.from_arrays(found, size)
    return found


def page(ts: TensorSet) -> str:
    """A set as HTML, for notebooks: its tensors, their axes, and where the names of an axis are known, some of them."""
    from html import escape

    from tensorize.core.units import size

    def cells(spec: TensorSpec) -> Iterator[str]:
        yield spec.key
        yield spec.role
        yield spec.dtype
        yield " × ".join(f"{axis} {count:,}" for axis, count in zip(spec.axes, spec.shape, strict=True))
        yield size(spec.nbytes)
        yield "; ".join(_some(names) for names in spec.labels.values() if names)

    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in ("tensor", "role", "type", "axes", "size", "names"))
    rows = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells(spec)) + "</tr>"
        for spec in ts.layout.tensors
    )
    title = f"TensorSet of {ts.kind}, {ts.num_rows:,} rows, {size(ts.layout.nbytes)}"
    caption = f"<caption style='text-align:left'>{escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _some(names: tuple[str, ...], most: int = 8) -> str:
    shown = ", ".join(name if len(name) <= 40 else name[:39] + "…" for name in names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names):,})"
