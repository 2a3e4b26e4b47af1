"""Which files of a folder are its data: those of one tabular format, in sorted order. For disks and object stores alike."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from tensorize.core import registry
from tensorize.core.errors import DataError, UsageError, plural, some
from tensorize.sources.addresses import is_address, parse_address

_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_DOCUMENTS = frozenset(
    (".cfg", ".crc", ".css", ".htm", ".html", ".ini", ".ipynb", ".license", ".log", ".md", ".md5", ".pdf", ".py", ".r", ".rst",
     ".sh", ".sha256", ".toml", ".txt", ".yaml", ".yml")
)  # fmt: skip
"""Files with these suffixes describe data; beside files of a tabular format they are passed over."""
_DELIMITED = (".tab", ".dat")
DEFAULT = "csv"
_PAPERS = frozenset(("authors", "changelog", "checksums", "citation", "copying", "licence", "license", "makefile", "notice",
                     "readme", "sha256sums"))  # fmt: skip
_STATE, _INFO, _DICT = "state.json", "dataset_info.json", "dataset_dict.json"
"""What the datasets library writes with `save_to_disk`: the files of a dataset, what it is, and the splits of several."""


def data_files(folder: str, names: Iterable[str], read: Callable[[str], bytes]) -> list[str]:
    """Return the files of a folder that are its data, in sorted order. Hidden ones, and those that begin with `_`, are not.

    names: all files in and below the folder, relative to it, with `/` between the parts.
    read: gives the content of one of them, which is small.

    Raises UsageError for files of several formats or of none, DataError for a dataset that lacks files.

    >>> data_files("d", ["_SUCCESS", "year=2024/b.csv", "year=2023/a.csv", "README.md"], bytes)
    ['year=2023/a.csv', 'year=2024/b.csv']
    """
    seen = sorted(name for name in names if not any(part.startswith((".", "_")) for part in name.split("/")))
    if _DICT in seen:
        raise _several_splits(folder, seen)
    if _STATE in seen:
        return _of_dataset(folder, seen, read(_STATE))
    groups = _grouped(seen)
    if len(groups) > 1:
        raise _mixed(folder, groups)
    if not groups:
        inside = ", ".join(some(seen)) if seen else "nothing"
        raise UsageError(f"{folder} is a folder without tables", hint=f"name files, or a glob of them; inside: {inside}")
    return next(iter(groups.values()))


def walked(folder: str) -> Iterator[str]:
    """The files in and below a folder on disk, relative to it, with `/` between the parts; links are followed."""
    seen: set[tuple[int, int]] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(at)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        within = os.path.relpath(at, folder).replace(os.sep, "/")
        yield from (posixpath.normpath(posixpath.join(within, name)) for name in files)


def is_folder(source: Any) -> bool:
    """Whether a source is a folder: of a disk, or objects of a store that begin alike. A web server has none."""
    if not isinstance(source, str | os.PathLike):
        return False
    if not is_address(source):
        return os.path.isdir(source)
    from tensorize.sources.places.objects import is_stored_folder

    address = parse_address(source)
    return not address.is_web and is_stored_folder(address)


def files_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    """The files in and below a folder, relative to it, with `/`, hidden ones left out: sorted, folder by folder."""
    if is_address(folder):
        from tensorize.sources.places.objects import stored_below

        yield from stored_below(parse_address(folder))
        return
    for at, folders, files in os.walk(folder):
        folders.sort()
        inside = os.path.relpath(at, folder)
        yield from (os.path.join("" if inside == "." else inside, name) for name in sorted(files) if not name.startswith("."))


def suffix_of(name: str) -> str:
    """The suffix of a file, without the one of a compression: `.csv` of `a.csv.gz`."""
    stem, suffix = posixpath.splitext(name.lower())
    return posixpath.splitext(stem)[1] if suffix in _PACKED else suffix


def _grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """Format → files: the reader of the suffix, for delimited text the suffix itself.

    Documents are left out where there is anything else; what has no suffix is data where nothing has one.
    """
    readers = _readers()
    data = [name for name in names if not _is_document(name)]
    groups: dict[str, list[str]] = {}
    for name in data or [name for name in names if suffix_of(name) in readers]:
        reader = readers.get(suffix_of(name), DEFAULT)
        groups.setdefault(suffix_of(name) if reader == DEFAULT else reader, []).append(name)
    known = groups.keys() & {"", *readers, *readers.values()}
    return groups if known else {}


def _is_document(name: str) -> bool:
    base = posixpath.basename(name).lower()
    return suffix_of(base) in _DOCUMENTS or base in _PAPERS


def _readers() -> dict[str, str]:
    """Suffix → reader."""
    found = dict.fromkeys(_DELIMITED, DEFAULT)
    for name, entry in registry.table("readers").items():
        try:
            suffixes: Sequence[str] = entry.load().suffixes
        except UsageError:
            continue
        for suffix in suffixes:
            found.setdefault(suffix, name)
    return found


def _mixed(folder: str, groups: dict[str, list[str]]) -> UsageError:
    most = max(groups.values(), key=len)
    lines = [
        f"{suffix_of(found[0]) or 'no suffix'}: {plural(len(found), 'file')}, such as {found[0]}" for found in groups.values()
    ]
    pattern = posixpath.join(folder, "**", f"*{posixpath.splitext(most[0])[1]}")
    return UsageError(f"{folder} holds files of several formats", some(lines), f'name those of one format: "{pattern}"')


def _of_dataset(folder: str, names: Sequence[str], state: bytes) -> list[str]:
    """The files that a saved dataset says it consists of."""
    try:
        found = [str(item["filename"]) for item in json.loads(state)["_data_files"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{posixpath.join(folder, _STATE)} does not list the files of a dataset: {error!r}") from None
    absent = [name for name in found if name not in names]
    if absent or not found:
        raise DataError(f"{folder} lacks files of the dataset", some(absent), "is it whole? Save it again with save_to_disk")
    return found


def _several_splits(folder: str, names: Sequence[str]) -> UsageError:
    splits = sorted({name.partition("/")[0] for name in names if name.endswith(f"/{_STATE}")})
    first = "train" if "train" in splits else splits[0] if splits else "train"
    return UsageError(
        f"{folder} holds the splits of a dataset: {', '.join(splits)}",
        hint=f"name one of them: {posixpath.join(folder, first)}",
    )


def read_in(folder: str) -> Callable[[str], bytes]:
    """Read files of a folder on disk."""
    return partial(_content, folder)


def _content(folder: str, name: str) -> bytes:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        raise DataError(f"{os.path.join(folder, name)} cannot be read: {error.strerror}") from error
