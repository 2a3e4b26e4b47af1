"""What is written must not be what is read: a target that is a source would be emptied."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tensorize.core.errors import UsageError, quoted
from tensorize.sources.addresses import is_address, parse_address
from tensorize.sources.databases import is_database, shown_database


def check_targets(targets: Iterable[str | os.PathLike[str] | None], *sources: Any) -> None:
    """Raise UsageError if a target is one of the sources, or lies in a folder that is read.

    Files are compared by inode, so links and other spellings of a path are found. A source is a path, a glob, a list of
    those, or anything else, which is ignored.

    >>> check_targets(["wine.h5"], "wine.csv")
    """
    paths = [Path(target) for target in targets if target is not None and os.fspath(target) != "-"]
    if not paths:
        return
    for source in _paths(sources):
        for target in paths:
            if target.exists() and os.path.samefile(target, source):
                raise UsageError(f"{target} is an input, and would be overwritten", hint="write to another file")
            if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
                raise UsageError(
                    f"{target} lies in {source}, the folder that is read",
                    hint=f"write to a file outside of it, such as -o {quoted(_beside(target, source))}",
                )


def _beside(target: Path, folder: Path) -> str:
    """The same name beside a folder."""
    return os.path.join(os.path.relpath(folder.resolve().parent), target.name)


def _paths(source: Any) -> Iterator[Path]:
    """The files and folders that exist of a source."""
    if isinstance(source, list | tuple):
        for part in source:
            yield from _paths(part)
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        if isinstance(name, str) and "\0" not in name:
            found = [name] if os.path.exists(name) else glob.glob(name, recursive=True) if glob.has_magic(name) else []
            yield from map(Path, found)


def default_out(source: Sequence[str | os.PathLike[str]]) -> Path:
    """Where the result goes when nothing is said: the first source's name with `.h5`, in the folder one is in.

    Beside a folder that is read, if one is inside of it.
    """
    if is_database(source[0]):
        return Path(f"{shown_database(source[0])}.h5")
    first = Path(_path_of(source[0]))
    stem = "stdin" if os.fspath(source[0]) == "-" else first.resolve().name
    for suffix in (".gz", ".zst", ".bz2", ".xz", ".zip", first.suffix):
        stem = stem.removesuffix(suffix) if suffix else stem
    name = Path("".join(char for char in stem if char not in "*?[]") or "out").with_suffix(".h5")
    inside = first.is_dir() and Path.cwd().is_relative_to(first.resolve())
    return Path(os.path.relpath(first.resolve().parent)) / name if inside else name


def _path_of(source: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """What an address names on its host."""
    if not is_address(source):
        return source
    address = parse_address(source)
    return address.path.rstrip("/").rpartition("/")[2] or address.host
