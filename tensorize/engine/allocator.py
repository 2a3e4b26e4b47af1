"""Memory that is freed and asked for again at once, block after block: kept, instead of given back to the system.

Every page that the system hands out it has to clear first. For blocks of some MB that costs as much as parsing them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

KEPT_BYTES = 256 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""The names of glibc's settings, from malloc.h."""


@contextmanager
def one_allocator() -> Iterator[None]:
    """Let Arrow take its memory from malloc, as numpy does, so that what one has freed the other gets."""
    import pyarrow as pa

    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def keep_freed() -> None:
    """Let malloc keep up to 256 MB that are free, for as long as the process lives. Only glibc has such a setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
