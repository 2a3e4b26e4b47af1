"""Folders as sources, on disk and in object stores: whether something is one, and which files lie in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tensorize.sources.addresses import is_address, parse_address


def is_folder(source: Any) -> bool:
    """Whether a source is a folder: of a disk, or objects of a store that begin alike. A web server has none."""
    if not isinstance(source, str | os.PathLike):
        return False
    if not is_address(source):
        return os.path.isdir(source)
    from tensorize.sources.objects import is_stored_folder

    address = parse_address(source)
    return not address.is_web and is_stored_folder(address)


def files_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    """The files in and below a folder, relative to it, with `/`, hidden ones left out: sorted, folder by folder."""
    if is_address(folder):
        from tensorize.sources.objects import stored_below

        yield from stored_below(parse_address(folder))
        return
    for at, folders, files in os.walk(folder):
        folders.sort()
        inside = os.path.relpath(at, folder)
        yield from (os.path.join("" if inside == "." else inside, name) for name in sorted(files) if not name.startswith("."))
