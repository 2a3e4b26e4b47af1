"""Pixels to normalised float32 by a table: every value is computed once, in float64."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tensorize.core.contracts import Array
from tensorize.loaders.images.recycled import Recycled
from tensorize.loaders.images.state import Normalize

CONSTANTS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,), (0.5,)),
    "none": ((0.0,), (1.0,)),
}
"""Means and stds of pixels in 0…1; one stands for every channel. ImageNet's are those of torchvision's model weights."""

_CACHED = 1 << 15
"""Values looked up at a time, so that their places stay in the processor's cache."""

_MEMORY = Recycled()
"""For all batches of pictures."""


def constant(name: str, channels: int) -> Normalize:
    """The mean and std of a normalisation that learns nothing.

    >>> constant("half", 3).mean
    (0.5, 0.5, 0.5)
    """
    mean, std = CONSTANTS[name]
    repeat = channels // len(mean)
    return Normalize(mean=mean * repeat, std=std * repeat)


def divisors(state: Normalize) -> Array:
    """(channel) float64: the stds, 1 where a channel is constant."""
    std = np.array(state.std, dtype=np.float64)
    return np.where(std == 0, 1.0, std)


@lru_cache(maxsize=8)
def table(state: Normalize, bits: int) -> Array:
    """(channel, pixel value) float32: ((value / top) − mean) / std, in float64 and then cast; top is 255 or 65,535."""
    values = np.arange(1 << bits, dtype=np.float64) / ((1 << bits) - 1)
    mean = np.array(state.mean, dtype=np.float64)
    scaled: Array = (values - mean[:, None]) / divisors(state)[:, None]
    found = scaled.astype(np.float32)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=8)
def pairs(state: Normalize) -> Array:
    """(channel, two pixels as one uint16) uint64: the two values float32 of `table`, side by side."""
    both = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    found = np.ascontiguousarray(table(state, 8)[:, both]).view(np.uint64)[..., 0]
    found.flags.writeable = False
    return found


def normalized(images: Array, state: Normalize, bits: int) -> Array:
    """(row, channel, height, width) uint8 or uint16 → float32, by `table`. Two pixels of 8 bits are looked up at once."""
    planes = np.ascontiguousarray(images).reshape(*images.shape[:2], math.prod(images.shape[2:]))
    if bits == 8 and planes.shape[2] % 2 == 0:
        return _looked_up(planes.view(np.uint16), pairs(state)).view(np.float32).reshape(images.shape)
    return _looked_up(planes, table(state, bits)).reshape(images.shape)


def _looked_up(planes: Array, lookup: Array) -> Array:
    """(row, channel, place) → (row, channel, value), by the table of each channel, (channel, place).

    One channel goes after the other, so that its table stays in the processor's cache.
    """
    rows, _, size = planes.shape
    out = _MEMORY.empty(planes.shape, lookup.dtype)
    step = max(1, _CACHED // max(1, size))
    places = np.empty((min(step, rows), size), dtype=np.intp)
    for channel, values in enumerate(lookup):
        for start in range(0, rows, step):
            part = planes[start : start + step, channel]
            found = places[: len(part)]
            found[:] = part
            np.take(values, found, out=out[start : start + step, channel], mode="clip")
    return out


def pixels(images: Array, state: Normalize, bits: int) -> Array:
    """Undo `normalized`: (row, channel, height, width) float32 → uint8 or uint16, the nearest pixel value."""
    top = (1 << bits) - 1
    shape = (-1, 1, 1)
    mean, std = np.array(state.mean).reshape(shape), divisors(state).reshape(shape)
    values = np.rint((images.astype(np.float64) * std + mean) * top)
    nearest: Array = np.clip(values, 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    return nearest
