"""Copies on this machine of files elsewhere, for those who need paths: folders of images, prepared files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorize.core import registry
from tensorize.core.errors import DataError, RunError, TensorizeError, UsageError
from tensorize.core.limits import pipe_limit
from tensorize.core.units import size
from tensorize.sources.addresses import is_address, parse_address, shown_source, with_addresses
from tensorize.sources.files import InputFile, resolve
from tensorize.sources.folders import files_below, is_folder
from tensorize.sources.temporary import TemporaryFolder

_COPIERS = 8
_COPY_BYTES = 1 << 20


class LocalCopy:
    """Files from elsewhere in a folder of their own, which is removed once nobody in this process holds the copy."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = TemporaryFolder(folder)
        self.root = self._folder.path

    def __getstate__(self) -> dict[str, Any]:
        """Another process reads the copy, and leaves it to this one."""
        return {"root": self.root}

    def close(self) -> None:
        """Remove the copies."""
        self._folder.close()

    def read(self, address: str | os.PathLike[str]) -> Path:
        """Copy one file, or a folder that is one set, of any size.

        Raises UsageError where it is not there, or there are several.
        """
        name = os.fspath(address)
        if _is_set(name) and is_folder(name):
            self.take(InputFile.elsewhere(name, list(files_below(name))), name, limited=False)
            return Path(self.path_of(name))
        files = InputFile.elsewhere(name)
        if len(files) > 1:
            raise UsageError(f"{shown_source(name)} names several files", hint="name one of them")
        return Path(self.take(files, name, limited=False)[0])

    def write(self, address: str | os.PathLike[str], force: bool) -> Path:
        """Where to write what goes to an address. `deliver` brings it there.

        Raises UsageError where there is an object already, unless `force`, and where nothing can be written.
        """
        place = parse_address(address)
        if place.is_web:
            raise UsageError(
                f"{place.shown} cannot be written: web servers are read only", hint="name a file, or s3://BUCKET/NAME"
            )
        if not force:
            from tensorize.sources.places.objects import check_absent

            check_absent(place)
        path = Path(self.path_of(os.fspath(address)))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def deliver(self, address: str | os.PathLike[str]) -> None:
        """Upload what was written: a file appears whole, of a folder the files that lie in it directly come last.

        Nothing happens where nothing was written.
        """
        root = Path(self.path_of(os.fspath(address)))
        if root.exists():
            from tensorize.sources.places.objects import is_stored_folder, remove_stored, upload

            if root.is_dir() and is_stored_folder(parse_address(address)):
                remove_stored(parse_address(address))
            files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
            for path in sorted(files, key=lambda path: (path.parent == root, path)):
                inner = path.relative_to(root).as_posix()
                upload(path, parse_address(os.fspath(address).rstrip("/") + (f"/{inner}" if path != root else "")))

    def path_of(self, address: str) -> str:
        """Where the copy of an address lies. Raises UsageError for an address that leads out of its folder."""
        scheme, _, rest = parse_address(address).shown.partition("://")
        parts = [part for part in rest.split("/") if part]
        if ".." in parts or "." in parts:
            raise UsageError(f"{scheme}://{rest} is not a plain address", hint="write it without . and ..")
        return os.path.join(self.root, scheme, *parts)

    def named(self, text: str) -> str:
        """A text in which the copies are called by their addresses."""
        return with_addresses(text)

    def renamed(self, error: TensorizeError) -> TensorizeError:
        """An error that calls the copies by their addresses."""
        error.what, error.hint = self.named(error.what), self.named(error.hint)
        error.details = tuple(map(self.named, error.details))
        return error

    def take(self, files: Sequence[InputFile], name: str, *, limited: bool = True) -> list[str]:
        """Copy files; return their paths.

        limited: whether `--max-pipe` holds.

        Raises DataError for more than `--max-pipe` bytes, RunError where there is no room.
        """
        total = sum(file.size for file in files)
        if limited and total > pipe_limit():
            raise DataError(
                f"{name} holds {size(total)}, more than the {size(pipe_limit())} that are copied",
                hint=f"copy it to a disk, and name that; or allow more: --max-pipe {total}",
            )
        with ThreadPoolExecutor(_COPIERS if len(files) > 1 else 1, "tensorize-copy") as pool:
            return list(pool.map(self._copied, files))

    def _copied(self, file: InputFile) -> str:
        path = Path(self.path_of(file.name))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with file.stored() as stream, path.open("xb") as copy:
                shutil.copyfileobj(stream, copy, _COPY_BYTES)
        except FileExistsError:
            if path.is_file():
                return str(path)  # named twice
            raise RunError(f"{file.name} is both a file and a folder", hint="name one of them") from None
        except OSError as error:
            if isinstance(error, TensorizeError):
                raise
            raise RunError(f"{file.name} cannot be copied to {self.root}: {error.strerror}", hint="is there room?") from None
        return str(path)


def _is_set(name: str) -> bool:
    """Whether a name is that of a folder which is one set."""
    known = registry.suffixes()
    suffix = Path(parse_address(name).path.rstrip("/")).suffix.lower()
    return suffix in known and bool(getattr(registry.load("exporters", known[suffix]), "folder", False))


def is_elsewhere(source: Any) -> bool:
    """Whether a source, or one of a list, is an address."""
    return any(map(is_address, source)) if isinstance(source, list | tuple) else is_address(source)


def local(source: Any, suffixes: Sequence[str] = ()) -> tuple[Any, LocalCopy]:
    """A copy of a source elsewhere, and what to read: a folder, or a list of files.

    suffixes: of the files of a folder that are copied; all where there are none.

    Raises UsageError for what is not there, DataError for more than `--max-pipe` bytes.
    """
    copy = LocalCopy()
    if is_folder(source):
        wanted = [name for name in files_below(source) if not suffixes or name.lower().endswith(tuple(suffixes))]
        copy.take(InputFile.elsewhere(os.fspath(source), wanted), str(shown_source(source)))
        root = copy.path_of(os.fspath(source))
        os.makedirs(root, exist_ok=True)
        return root, copy
    parts = source if isinstance(source, list | tuple) else [source]
    found: list[str] = []
    for part in parts:
        found += copy.take(resolve(part), str(shown_source(part))) if is_address(part) else [os.fspath(part)]
    return found, copy
