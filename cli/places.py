"""Prepared files, models and outputs elsewhere: commands work on copies, and what they write is uploaded whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize.sources.addresses import is_address

if TYPE_CHECKING:
    from tensorize.sources.copies import LocalCopy

OUTPUTS = ("out", "target", "rejects")


def placed(run: Callable[..., None]) -> Callable[..., None]:
    """A command whose files may be addresses: those that it reads are copied first, those that it writes uploaded after.

    Nothing is uploaded where it fails.
    """

    @wraps(run)
    def command(*args: Any, **values: Any) -> None:
        given = {name: value for name, value in values.items() if _is_file(name, value)}
        if not given:
            run(*args, **values)
            return
        from tensorize.sources.copies import LocalCopy

        copy, force = LocalCopy(values.get("scratch")), bool(values.get("force"))
        outputs = {name: _like(value, copy.write(value, force)) for name, value in given.items() if name in OUTPUTS}
        inputs = {name: _read(copy, value) for name, value in given.items() if name not in OUTPUTS}
        run(*args, **{**values, **inputs, **outputs})
        for name in outputs:
            copy.deliver(given[name])

    return command


def _is_file(name: str, value: Any) -> bool:
    """Whether a parameter is a file elsewhere; raw data are not: who reads them takes addresses."""
    if isinstance(value, list):
        return any(isinstance(part, Path) and is_address(part) for part in value)
    return (isinstance(value, Path) or name == "out") and is_address(value)


def _read(copy: LocalCopy, value: Any) -> Any:
    if isinstance(value, list):
        return [_read(copy, part) for part in value]
    return copy.read(value) if is_address(value) else value


def _like(value: Any, path: Path) -> Any:
    return path if isinstance(value, Path) else str(path)
