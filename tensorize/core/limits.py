"""Limits for input that may be hostile: what a file can make us hold in memory before its numbers are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tensorize.core.errors import DataError
from tensorize.core.units import size

HEADER_BYTES = 256 << 20
"""Bytes in each part of a prepared file that has to be held in memory beside the tensors: the recipe, the names, the texts."""
PIPE_BYTES = 4 << 30
"""Bytes of a pipe that are kept before a larger limit is asked for."""
TIMEOUT = 60.0
"""Seconds that a place elsewhere may send nothing."""
_TIMEOUT: ContextVar[float] = ContextVar("tensorize_timeout", default=TIMEOUT)
_PIPE: ContextVar[int] = ContextVar("tensorize_max_pipe", default=PIPE_BYTES)
_HEADER: ContextVar[int] = ContextVar("tensorize_max_header", default=HEADER_BYTES)


@contextmanager
def max_header(limit: int) -> Iterator[None]:
    """Another limit than `HEADER_BYTES` for the files that are opened in here.

    >>> with max_header(1 << 30):
    ...     check_header("large.h5", 1 << 29)
    """
    token = _HEADER.set(limit)
    try:
        yield
    finally:
        _HEADER.reset(token)


def allow_header(limit: int) -> None:
    """Another limit than `HEADER_BYTES` from here on, for a command."""
    _HEADER.set(limit)


def header_limit() -> int:
    """Bytes that `check_header` allows."""
    return _HEADER.get()


def check_header(path: Any, found: int) -> None:
    """Raise DataError if a part of a file that has to be held in memory is over the limit."""
    if found > _HEADER.get():
        raise DataError(
            f"{path} holds {size(found)} beside its tensors, over the limit of {size(_HEADER.get())}",
            hint=f"where that is right, allow it: --max-header {found}",
        )


def allow_pipe(limit: int) -> None:
    """Set how much of a pipe is kept from here on, for a command."""
    _PIPE.set(limit)


def pipe_limit() -> int:
    """Bytes that `check_pipe` allows."""
    return _PIPE.get()


def check_pipe(name: str, found: int) -> None:
    """Raise DataError where a pipe brings more bytes than the limit."""
    if found > _PIPE.get():
        raise DataError(
            f"{name} brings more than {size(_PIPE.get())}: does it end?",
            hint=f"save it to a file first, and name that; or allow more: --max-pipe {4 * _PIPE.get()}",
        )


def allow_timeout(seconds: float) -> None:
    """Set how long a place elsewhere may send nothing from here on, for a command."""
    _TIMEOUT.set(seconds)


def timeout() -> float:
    """Seconds that a place elsewhere may send nothing before the run ends."""
    return _TIMEOUT.get()
