"""Memory of large arrays that is handed out again once nothing refers to it.

The system clears every page that it hands out anew: of a batch of pictures that takes two thirds as long as filling it.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from tensorize.core.contracts import Array

FREE_BYTES = 256 << 20
"""What is held back at most while it is free, where all arrays are of one size."""
LEAST_BYTES = 1 << 20
"""Smaller arrays are as quickly had from the allocator."""


class Recycled:
    """Where arrays come from. Safe to use from several threads.

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

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """An array in C order, whatever it holds."""
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
