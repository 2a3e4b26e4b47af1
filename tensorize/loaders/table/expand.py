"""From stored tensors to what a model wants, and back to the columns they came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tensorize.columns.fitted import Channelled, Fitted
from tensorize.core.contracts import Array
from tensorize.loaders.table.tensors import TableTensors

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.tensorset import TensorSet


def expand(recipe: Recipe, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """`features` (row, feature), and `categories` (row, column) scattered to one-hot → (row, channel) float32."""
    features = batch["features"]
    if "categories" not in batch:
        return features
    tensors = _tensors(recipe)
    out = features.new_zeros((len(features), len(tensors.fitted.channels)))
    for part, stored in zip(_plain(tensors), tensors.plain, strict=True):
        out[:, part.start : part.stop] = features[:, stored.start : stored.stop]
    indicators = len(tensors.fitted.indicators)
    if indicators:
        out[:, -indicators:] = features[:, -indicators:]
    for index, part in enumerate(tensors.blocks):
        ids = batch["categories"][:, index : index + 1] - tensors.reserved
        block = out[:, part.start : part.stop]
        block.scatter_(1, ids.clamp(min=0), (ids >= 0).to(out.dtype))
    return out


def inverse(recipe: Recipe, tensors: TensorSet) -> Any:
    """Return a pyarrow Table (row) of the columns that can be restored, or split name → table on a split set.

    Numbers come in their original units as float64 (to float32 precision), one-hot blocks as their categories (null
    for an all-zero block), class indices as their classes.
    """
    if tensors.splits:
        return {name: inverse(recipe, tensors.split(name)) for name in tensors.splits}
    parts = _tensors(recipe)
    columns: dict[str, pa.Array] = {}
    if "features" in tensors:
        _decode(parts.plain, tensors.numpy("features").astype(np.float64), columns)
    if "categories" in tensors:
        ids = tensors.numpy("categories") - parts.reserved
        for index, part in enumerate(parts.blocks):
            columns[part.column] = _classes(part, ids[:, index])
    if "target" in tensors:
        target = tensors.numpy("target")
        if parts.target_is_index:
            columns[parts.fitted.targets[0].column] = _classes(parts.fitted.targets[0], target)
        else:
            _decode(parts.fitted.targets, target.reshape(len(target), -1).astype(np.float64), columns)
    names = [name for name in recipe.schema.names if name in columns]
    return pa.table({name: columns[name] for name in names})


def _decode(parts: tuple[Channelled, ...], values: Array, columns: dict[str, pa.Array]) -> None:
    """Add the columns that `parts` came from; a one-way step (calendar parts) gives none, nor does a column twice."""
    for part in parts:
        if part.transform.invertible and part.column not in columns:
            columns[part.column] = part.transform.decode(values[:, part.start : part.stop])


def _classes(part: Channelled, ids: Array) -> pa.Array:
    """Ids (row), −1 for unseen, → their categories (row)."""
    values = pa.array(list(part.transform.values() or ()))
    return values.take(pa.array(np.where(ids < 0, 0, ids), mask=ids < 0))


def _plain(tensors: TableTensors) -> list[Channelled]:
    """The parts of `features` with their places among all channels."""
    return [part for part in tensors.fitted.inputs if part not in tensors.blocks]


def _tensors(recipe: Recipe) -> TableTensors:
    return TableTensors(Fitted(recipe.learned), recipe.parsed_options(), recipe.schema, with_target=True)
