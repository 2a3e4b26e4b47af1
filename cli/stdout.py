"""`-o -`: a file that goes to standard output, and everything else that is said to standard error."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tensorize.core.errors import UsageError
from tensorize.sources.addresses import with_addresses

from .places import placed

PREFIX, STEM = "tensorize-stdout-", "standard-output"
_PATH = re.compile(rf"\S*{PREFIX}\w+/{STEM}(\.\w+)?")
TEXT = (".json", ".jsonl")
"""Suffixes of what a terminal can show."""


def is_stdout(path: Path) -> bool:
    """Whether what is at a path goes to standard output."""
    return path.parent.name.startswith(PREFIX)


def with_dash(line: str) -> str:
    """A line with `-` where it names what goes to standard output, and addresses for what is copied."""
    return with_addresses(_PATH.sub("-", line) if PREFIX in line else line)


def to_stdout(**suffixes: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes `-` for some of its parameters; `suffixes` are those of the files, by parameter.

    A file is made whole, in `--scratch` or the folder for temporary files, before its first byte is written out: nothing
    is, where the command fails. A list of rejects is written out either way, as the file would be.
    """

    def decorate(run: Callable[..., None]) -> Callable[..., None]:
        @placed
        @wraps(run)
        def command(*args: Any, **values: Any) -> None:
            asked = [name for name in suffixes if str(values.get(name)) == "-"]
            if not asked:
                run(*args, **values)
                return
            name = asked[0]
            suffix = _suffix(suffixes[name], values.get("format"))
            _check(name, suffix, values, also=len(asked) > 1 or (name != "out" and str(values.get("out")) == "-"))
            with TemporaryDirectory(prefix=PREFIX, dir=values.get("scratch")) as folder:
                path = Path(folder) / f"{STEM}{suffix}"
                try:
                    with redirect_stdout(sys.stderr):
                        run(*args, **{**values, name: path})
                except Exception:
                    if name == "rejects":
                        _write(path)
                    raise
                _write(path)

        return command

    return decorate


def _suffix(default: str, format: str | None) -> str:
    """The suffix of a format that is named, else the command's own."""
    from tensorize.core import registry

    if format is None:
        return default
    exporter = registry.load("exporters", format)
    if getattr(exporter, "folder", False):
        raise UsageError(f"{format} is a folder, which cannot go to standard output", hint="name a folder with -o")
    suffixes: tuple[str, ...] = exporter.suffixes
    return suffixes[0]


def _check(name: str, suffix: str, values: dict[str, Any], *, also: bool) -> None:
    """Raise UsageError for what cannot go to standard output."""
    flag = {"out": "-o", "rejects": "--rejects"}.get(name, "")
    to_file = f"name a file{f' with {flag}' if flag else ''}"
    if also:
        raise UsageError("two files cannot both go to standard output", hint=to_file)
    if values.get("as_json"):
        raise UsageError("--json and a file cannot both go to standard output", hint=to_file)
    if values.get("resume"):
        raise UsageError("--resume goes on from a file, and - is standard output", hint=to_file)
    if not suffix:
        raise UsageError("standard output has no suffix that tells the format", hint="say --format hdf5, or --format pt")
    if suffix not in TEXT and sys.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, which cannot show the file", hint=f"{to_file}, or pipe it on: … | cat > FILE"
        )


def _write(path: Path) -> None:
    if path.exists():
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.flush()
