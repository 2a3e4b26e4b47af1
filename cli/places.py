"""Prepared files, models and outputs elsewhere: commands work on copies, and what they write is uploaded whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize.core.errors import UsageError
from tensorize.sources.addresses import is_address, parse_address

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

        copy = LocalCopy(values.get("scratch"))
        outputs = {name: _output(copy, value, bool(values.get("force"))) for name, value in given.items() if name in OUTPUTS}
        inputs = {name: _input(copy, value) for name, value in given.items() if name not in OUTPUTS}
        run(*args, **{**values, **inputs, **outputs})
        for name, path in outputs.items():
            _upload(path, given[name])

    return command


def _is_file(name: str, value: Any) -> bool:
    """Whether a parameter is a file elsewhere; raw data are not: who reads them takes addresses."""
    if isinstance(value, list):
        return any(isinstance(part, Path) and is_address(part) for part in value)
    return (isinstance(value, Path) or name == "out") and is_address(value)


def _input(copy: LocalCopy, value: Any) -> Any:
    if isinstance(value, list):
        return [_input(copy, part) for part in value]
    if not is_address(value):
        return value
    from tensorize.sources.files import InputFile

    name = os.fspath(value).replace(":/", "://", 1) if "://" not in os.fspath(value) else os.fspath(value)
    files = InputFile.elsewhere(name)
    if len(files) > 1:
        raise UsageError(f"{parse_address(name).shown} names several files", hint="name one of them")
    return Path(copy.take(files, name, limited=False)[0])


def _output(copy: LocalCopy, value: Any, force: bool) -> Any:
    """Where the command writes instead. Raises UsageError where the object is there already, or nothing can be written."""
    address = parse_address(value)
    if address.is_web:
        raise UsageError(
            f"{address.shown} cannot be written: web servers are read only", hint="name a file, or s3://BUCKET/NAME"
        )
    if not force:
        from tensorize.sources.objects import check_absent

        check_absent(address)
    path = Path(copy.path_of(os.fspath(value)))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path if isinstance(value, Path) else str(path)


def _upload(path: Any, value: Any) -> None:
    """Bring what was written to its place; after a dry run there is nothing."""
    if Path(path).exists():
        from tensorize.sources.objects import upload

        upload(Path(path), parse_address(value))
