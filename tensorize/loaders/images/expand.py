"""From stored images to the model's input, and back to pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tensorize.core.contracts import Array
from tensorize.loaders.images.normalize import normalized, pixels, table
from tensorize.loaders.images.state import State

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.tensorset import TensorSet

_ROWS = 256


def expand(recipe: Recipe, images: torch.Tensor) -> torch.Tensor:
    """(row, channel, height, width) uint8 or float32 → normalised float32, on the same device."""
    import torch

    if images.dtype == torch.float32:
        return images
    state = State.of(recipe.learned)
    if images.device.type == "cpu":
        return torch.from_numpy(normalized(images.numpy(), state.normalize, state.shape.bits))
    lookup = torch.tensor(table(state.normalize, state.shape.bits), device=images.device)
    channels = [values[images[:, channel].int()] for channel, values in enumerate(lookup)]
    return torch.stack(channels, dim=1)


def inverse(recipe: Recipe, tensors: TensorSet) -> Array | dict[str, Array]:
    """The pixels of every split, or of the whole set: (row, channel, height, width) uint8 or uint16."""
    state = State.of(recipe.learned)
    if tensors.splits:
        return {name: _pixels(state, tensors.split(name)) for name in tensors.splits}
    return _pixels(state, tensors)


def _pixels(state: State, tensors: TensorSet) -> Array:
    spec = tensors.spec("images")
    if spec.dtype == "uint8":
        return tensors.numpy("images")
    bits = state.shape.bits
    out = np.empty(spec.shape, dtype=np.uint8 if bits == 8 else np.uint16)
    for start in range(0, spec.shape[0], _ROWS):
        stop = min(start + _ROWS, spec.shape[0])
        out[start:stop] = pixels(tensors.store.read(spec.key, start, stop), state.normalize, bits)
    return out
