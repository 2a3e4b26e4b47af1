"""Pixels to normalised float32 and back, by a table: every value is computed once, in float64."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorize.core.contracts import Array
from tensorize.loaders.images.state import Normalize, State

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.tensorset import TensorSet

CONSTANTS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,), (0.5,)),
    "none": ((0.0,), (1.0,)),
}
"""Means and stds of pixels in 0…1; one stands for every channel. ImageNet's are those of torchvision's model weights."""

_CACHED = 1 << 15
"""Values looked up at a time, so that their places stay in the processor's cache."""

FREE_BYTES = 256 << 20
"""What is held back at most while it is free, where all arrays are of one size."""
LEAST_BYTES = 1 << 20
"""Smaller arrays are as quickly had from the allocator."""

_ROWS = 256


def fixed_normalization(name: str, channels: int) -> Normalize:
    """The mean and std of a normalisation that learns nothing.

    >>> fixed_normalization("half", 3).mean
    (0.5, 0.5, 0.5)
    """
    mean, std = CONSTANTS[name]
    repeat = channels // len(mean)
    return Normalize(mean=mean * repeat, std=std * repeat)


def divisors(state: Normalize) -> Array:
    """(channel) float64: the stds, 1 where a channel is constant."""
    std = np.array(state.std, dtype=np.float64)
    return np.where(std == 0, 1.0, std)


class Normalizer:
    """Pixels to normalised float32, by a table of every pixel value. `bits` is 8 or 16.

    Arrays that are no longer used give their memory to the next ones. Safe to use from several threads. Pickled, it has
    its settings alone.
    """

    def __init__(self, state: Normalize, bits: int) -> None:
        self._state, self._bits, self._memory = state, bits, Recycled()

    def __reduce__(self) -> tuple[type[Normalizer], tuple[Normalize, int]]:
        return Normalizer, (self._state, self._bits)

    @cached_property
    def table(self) -> Array:
        """(channel, pixel value) float32: ((value / top) − mean) / std, in float64 and then cast; top is 255 or 65,535."""
        values = np.arange(1 << self._bits, dtype=np.float64) / ((1 << self._bits) - 1)
        mean = np.array(self._state.mean, dtype=np.float64)
        scaled: Array = (values - mean[:, None]) / divisors(self._state)[:, None]
        return scaled.astype(np.float32)

    @cached_property
    def _pairs(self) -> Array:
        """(channel, two pixels as one uint16) uint64: the two values float32 of `table`, side by side."""
        both = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
        return np.ascontiguousarray(self.table[:, both]).view(np.uint64)[..., 0]

    def normalized(self, images: Array) -> Array:
        """(row, channel, height, width) uint8 or uint16 → float32. Two pixels of 8 bits are looked up at once."""
        planes = np.ascontiguousarray(images).reshape(*images.shape[:2], math.prod(images.shape[2:]))
        if self._bits == 8 and planes.shape[2] % 2 == 0:
            pairs = _looked_up(planes.view(np.uint16), self._pairs, self._memory)
            return pairs.view(np.float32).reshape(images.shape)
        return _looked_up(planes, self.table, self._memory).reshape(images.shape)

    def expand(self, images: torch.Tensor) -> torch.Tensor:
        """(row, channel, height, width) uint8 → normalised float32, on the same device."""
        import torch

        if images.device.type == "cpu":
            return torch.from_numpy(self.normalized(images.numpy()))
        lookup = torch.tensor(self.table, device=images.device)
        channels = [values[images[:, channel].int()] for channel, values in enumerate(lookup)]
        return torch.stack(channels, dim=1)


def normalizer_of(recipe: Recipe) -> Normalizer:
    """The normalisation that a recipe of images holds. Raises RecipeError if its steps are not those of images."""
    state = State.of(recipe.learned)
    return Normalizer(state.normalize, state.shape.bits)


def _looked_up(planes: Array, lookup: Array, memory: Recycled) -> Array:
    """(row, channel, place) → (row, channel, value), by the table of each channel, (channel, place).

    One channel goes after the other, so that its table stays in the processor's cache.
    """
    rows, _, size = planes.shape
    out = memory.empty(planes.shape, lookup.dtype)
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
    """Undo `Normalizer.normalized`: (row, channel, height, width) float32 → uint8 or uint16, the nearest pixel value."""
    top = (1 << bits) - 1
    shape = (-1, 1, 1)
    mean, std = np.array(state.mean).reshape(shape), divisors(state).reshape(shape)
    values = np.rint((images.astype(np.float64) * std + mean) * top)
    nearest: Array = np.clip(values, 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    return nearest


class Recycled:
    """Memory of large arrays that is used again once nothing refers to it. Safe to use from several threads.

    The system clears every page that it hands out anew: for a batch of images that takes two thirds as long as filling it.

    >>> found = Recycled()
    >>> first = found.empty((1024, 512), "float32")
    >>> place, view = first.ctypes.data, first[3:]
    >>> del first
    >>> found.empty((1024, 512), "float32").ctypes.data == place  # a view is still there
    False
    >>> del view
    >>> found.empty((1024, 512), "float32").ctypes.data == place
    True
    """

    def __init__(self) -> None:
        # No lock: an array may be given back by the garbage collector, in the midst of `empty`, in the same thread.
        self._free: deque[Array] = deque()

    def __reduce__(self) -> tuple[type[Recycled], tuple[()]]:
        return Recycled, ()

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """An array of any shape and dtype in C order, not initialised."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if size < LEAST_BYTES:
            return np.empty(shape, dtype=kind)
        memory = self._taken(size)
        # A view keeps the array that it was made of alive, and that one the memory: an array over a buffer has no other base.
        given = np.frombuffer(memory.data, dtype=np.uint8)
        weakref.finalize(given, self._give_back, memory).atexit = False
        found: Array = given.view(kind).reshape(shape)
        return found

    def _taken(self, size: int) -> Array:
        with suppress(IndexError):  # another thread was quicker
            for _ in range(len(self._free)):
                memory = self._free.pop()
                if len(memory) == size:
                    return memory
                self._free.appendleft(memory)
        return np.empty(size, dtype=np.uint8)

    def _give_back(self, memory: Array) -> None:
        if (len(self._free) + 1) * len(memory) <= FREE_BYTES:
            self._free.append(memory)


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
