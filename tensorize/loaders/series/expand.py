"""Back from samples to columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tensorize.columns.fitted import Channelled, Fitted
from tensorize.core.contracts import Array

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.tensorset import TensorSet


def expand(recipe: Recipe, stored: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """`series` (row, channel, step) float32 and `target` (row, target, step): as stored, or gathered from steps at `start`."""
    inputs, targets = ({name: stored[name] for name in (name,) if name in stored} for name in ("series", "target"))
    if "start" not in stored:
        return inputs, targets
    options, start = recipe.parsed_options(), stored["start"]
    return (
        {name: _gathered(values, start, options.window) for name, values in inputs.items()},
        {name: _gathered(values, start + options.window, options.horizon) for name, values in targets.items()},
    )


def _gathered(steps: torch.Tensor, start: torch.Tensor, length: int) -> torch.Tensor:
    """Windows (row, channel, step) out of (step, channel)."""
    import torch

    at = start[:, None] + torch.arange(length, device=start.device)
    return steps[at].transpose(1, 2)


def inverse(recipe: Recipe, tensors: TensorSet) -> Any:
    """Return a pyarrow Table (step) of the columns in their original units, or split name → table on a split set.

    Steps come sample after sample, filled ones included, beside the columns `sample` and `observed`; steps that several
    windows hold come as often, with `--encode index` once and without `sample`. Targets are among the inputs.
    """
    if tensors.splits:
        return {name: inverse(recipe, tensors.split(name)) for name in tensors.splits}
    if "start" in tensors:
        return _steps(recipe, tensors)
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


def _steps(recipe: Recipe, tensors: TensorSet) -> pa.Table:
    """The steps that windows are taken from, each once."""
    columns = _decoded(Fitted(recipe.learned).inputs, tensors.numpy("series").astype(np.float64))
    names = [name for name in recipe.schema.names if name in columns]
    return pa.table({**{name: columns[name] for name in names}, "observed": tensors.numpy("observed")})


def _decoded(parts: tuple[Channelled, ...], values: Array) -> dict[str, pa.Array]:
    """Column → its values; a one-way step (calendar parts) gives none."""
    found: dict[str, pa.Array] = {}
    for part in parts:
        if part.transform.invertible and part.column not in found:
            found[part.column] = part.transform.decode(values[:, part.start : part.stop])
    return found
