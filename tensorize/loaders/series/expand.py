"""Back from samples to columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tensorize.loaders.table.fitted import Channelled, Fitted
from tensorize.types import Array

if TYPE_CHECKING:
    from tensorize.recipe import Recipe
    from tensorize.tensorset import TensorSet


def inverse(recipe: Recipe, tensors: TensorSet) -> Any:
    """Return a pyarrow Table (step) of the columns in their original units, or split name → table on a split set.

    Steps come sample after sample, filled ones included, beside the columns `sample` and `observed`; steps that several
    windows hold come as often. Targets come as `target.NAME` tables only in `ts["target"]`: they are inputs, too.
    """
    if tensors.splits:
        return {name: inverse(recipe, tensors.split(name)) for name in tensors.splits}
    series = tensors.numpy("series")
    samples, channels, length = series.shape
    values = series.swapaxes(1, 2).reshape(samples * length, channels).astype(np.float64)
    columns = _decoded(Fitted(recipe.learned).inputs, values)
    names = [name for name in recipe.schema.names if name in columns]
    return pa.table(
        {
            "sample": np.repeat(np.arange(samples), length),
            **{name: columns[name] for name in names},
            "observed": tensors.numpy("observed").reshape(-1),
        }
    )


def _decoded(parts: tuple[Channelled, ...], values: Array) -> dict[str, pa.Array]:
    """Column → its values; a one-way step (calendar parts) gives none."""
    found: dict[str, pa.Array] = {}
    for part in parts:
        if part.encoder.invertible and part.column not in found:
            found[part.column] = part.encoder.decode(values[:, part.start : part.stop])
    return found
