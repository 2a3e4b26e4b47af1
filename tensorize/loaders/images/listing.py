"""Which images there are, and their classes and splits: flat folders, class folders, and `train/ val/ test/` of either."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError, UsageError, plural, some
from tensorize.core.splits import Ranked, find_cuts, hash_keys, sizes, stratified
from tensorize.loaders.images.options import ImagesOptions
from tensorize.sources.files import missing_file, resolve

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Listing:
    """The images of a source in their order. Every sequence is (row)."""

    name: str
    """The source as the user gave it."""
    files: Sequence[str]
    """What to open."""
    paths: Sequence[str]
    """Relative to the source, with `/`."""
    classes: Sequence[str] | None = None
    """The class folder of each, where there are class folders."""
    splits: Sequence[str] | None = None
    """`train`, `val` or `test`, where there are such folders."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Suffix, or name without one → how many files of that kind are not images."""

    def between(self, start: int, stop: int) -> Listing:
        """The images `start:stop`, without classes and splits."""
        return Listing(self.name, self.files[start:stop], self.paths[start:stop])

    def only(self, rows: Iterable[int]) -> Listing:
        """The images at these positions alone."""
        kept = [int(row) for row in rows]

        def of(values: Sequence[str]) -> list[str]:
            return [values[row] for row in kept]

        return replace(
            self,
            files=of(self.files) if self.files else (),
            paths=of(self.paths),
            classes=of(self.classes) if self.classes is not None else None,
            splits=of(self.splits) if self.splits is not None else None,
        )


@dataclass(frozen=True)
class Folder:
    """One folder: the images right inside, as paths relative to the source, and its folders by name."""

    images: tuple[str, ...]
    folders: Mapping[str, Folder]

    def all(self) -> Iterator[str]:
        """The images inside and below."""
        yield from self.images
        for folder in self.folders.values():
            yield from folder.all()

    @property
    def empty(self) -> bool:
        """Whether there is no image inside or below."""
        return next(self.all(), None) is None


def list_images(source: Any) -> Listing:
    """Find the images of a folder, a file, a glob or a list of files; a list keeps its order, the rest is sorted by path.

    Raises UsageError for a path that does not exist; DataError for no images, an archive, an empty class folder, images
    beside class folders, and a folder that holds itself through a link.
    """
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        return _of_folder(os.fspath(source))
    if isinstance(source, str | os.PathLike) and not os.path.exists(source) and not any(c in os.fspath(source) for c in "*?["):
        raise missing_file(source)
    return _of_files(source)


def _of_files(source: Any) -> Listing:
    """One file and a list are taken as they are; from a glob the files with an image's suffix."""
    files = [str(file.path) for file in resolve(source)]
    name = (
        source
        if isinstance(source, str)
        else os.fspath(source)
        if isinstance(source, os.PathLike)
        else plural(len(files), "file")
    )
    skipped: Counter[str] = Counter()
    if isinstance(source, str) and not os.path.exists(source):
        skipped.update(_kind(file) for file in files if not _is_image(file))
        files = [file for file in files if _is_image(file)]
    if not files:
        raise _no_images(name, skipped)
    if len(files) == 1 and not _is_image(files[0]) and (tarfile.is_tarfile(files[0]) or zipfile.is_zipfile(files[0])):
        raise DataError(f"{name} is an archive", hint="unpack it, and name its folder")
    base = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    paths = [_shown(Path(os.path.relpath(file, base)).as_posix()) for file in files]
    return Listing(name, files, paths, skipped=skipped)


def _of_folder(root: str) -> Listing:
    skipped: Counter[str] = Counter()
    tree = _read(root, "", skipped, frozenset())
    if tree.empty:
        raise _no_images(root, skipped)
    split = bool(tree.folders) and not tree.images and "train" in tree.folders and set(tree.folders) <= set(SPLITS)
    if split:
        _refuse_empty(root, tree.folders)
    parts = dict(tree.folders) if split else {"": tree}
    found = {path: (part, name) for part, folder in parts.items() for path, name in _members(os.path.join(root, part), folder)}
    paths = sorted(found)
    classes = [found[path][1] for path in paths]
    return Listing(
        root,
        [os.path.join(root, path) for path in paths],
        [_shown(path) for path in paths],
        _all_or_none(root, paths, classes),
        [found[path][0] for path in paths] if split else None,
        skipped,
    )


def _read(folder: str, prefix: str, skipped: Counter[str], above: frozenset[tuple[int, int]]) -> Folder:
    """Read a folder and all below it; `above` are the folders it lies in, so that a link cannot loop."""
    images: list[str] = []
    folders: dict[str, Folder] = {}
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"{folder} is a link to a folder that it lies in", hint="remove the link")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        hidden = entry.name.startswith(".")
        if not hidden and _is_folder(entry):
            folders[entry.name] = _read(entry.path, f"{prefix}{entry.name}/", skipped, above | {here})
        elif hidden or not _is_image(entry.name):
            skipped[_kind(entry.name)] += 1
        else:
            images.append(prefix + entry.name)
    return Folder(tuple(images), folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """A link to itself is not a folder: it is reported as an image."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _members(where: str, folder: Folder) -> Iterator[tuple[str, str | None]]:
    """(path, class) of the images of a flat folder or of class folders."""
    if not folder.images:
        _refuse_empty(where, folder.folders)
        for name, inside in folder.folders.items():
            yield from ((path, _shown(name)) for path in inside.all())
        return
    beside = [name for name, inside in folder.folders.items() if not inside.empty]
    if beside:
        raise DataError(
            f"{where} holds images beside folders of images",
            [*some([f"image   {path}" for path in folder.images]), *some([f"folder  {name}" for name in beside])],
            "move the images into a class folder, or name one of the folders",
        )
    yield from ((path, None) for path in folder.images)


def _refuse_empty(where: str, folders: Mapping[str, Folder]) -> None:
    empty = [name for name, folder in folders.items() if folder.empty]
    if empty:
        verb = "folder holds" if len(empty) == 1 else "folders hold"
        lines = some([os.path.join(where, name) for name in empty])
        raise DataError(f"{len(empty):,} {verb} no images", lines, "remove them, or put images in")


def _all_or_none(root: str, paths: Sequence[str], classes: Sequence[str | None]) -> Sequence[str] | None:
    """The class of every image, or None if there are no class folders. Raises DataError if only some have one."""
    named = [name for name in classes if name is not None]
    if named and len(named) < len(classes):
        bare = [path for path, name in zip(paths, classes, strict=True) if name is None]
        raise DataError(
            f"{plural(len(bare), 'image')} of {root} lie in no class folder, the others do",
            some(bare),
            "put them into class folders",
        )
    return named or None


def _no_images(name: str, skipped: Mapping[str, int]) -> DataError:
    found = [f"found: {', '.join(f'{count:,} {kind}' for kind, count in skipped.items())}"] if skipped else []
    return DataError(f"{name} holds no images", found, "images end in " + ", ".join(sorted(SUFFIXES)))


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _kind(name: str) -> str:
    """What a skipped file is called: its suffix, or its name."""
    base = os.path.basename(name)
    return _shown(base if base.startswith(".") else os.path.splitext(base)[1].lower() or base)


def _shown(path: str) -> str:
    """A path as valid text: bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Splits(NamedTuple):
    """The splits by name, train first, and the position in `names` of each image's split, (row) int8.

    One split named None is the whole set.
    """

    names: tuple[str | None, ...]
    of: Array

    def rows(self, part: int) -> Array:
        """(row of a split) int64: the positions of its images, in order."""
        return np.flatnonzero(self.of == part)


def splits_of(listing: Listing, options: ImagesOptions, rows: Array) -> Splits:
    """Share out the images of a listing; `rows` (image) int64 are their positions in the source.

    Raises UsageError if `--split` meets `train/` and `test/` folders, `--stratify` no classes, or a part stays empty.
    """
    if listing.splits is not None:
        return _by_folder(listing, listing.splits, options)
    if not options.split:
        return Splits((None,), np.zeros(len(rows), dtype=np.int8))
    found = Splits(options.split_names, _by_ratio(rows, listing.classes, options))
    empty = [str(name) for part, name in enumerate(found.names) if not (found.of == part).any()]
    if empty:
        ratios = ",".join(f"{ratio:g}" for ratio in options.split)
        raise UsageError(f"{len(rows)} images are too few for --split {ratios}: {' and '.join(empty)} would be empty")
    return found


def _by_folder(listing: Listing, splits: Sequence[str], options: ImagesOptions) -> Splits:
    names = tuple(name for name in SPLITS if name in splits)
    if options.split:
        raise UsageError(
            f"{listing.name} is split already, into the folders {', '.join(names)}",
            hint="leave --split away, or name one of them",
        )
    return Splits(names, np.array([names.index(split) for split in splits], dtype=np.int8))


def _by_ratio(rows: Array, classes: Sequence[str] | None, options: ImagesOptions) -> Array:
    codes, counts = np.zeros(len(rows), dtype=np.int64), [sizes(len(rows), options.split)]
    if options.stratify:
        if classes is None:
            raise UsageError("--stratify goes by class folder, and there are none")
        _, codes, totals = np.unique(np.array(classes), return_inverse=True, return_counts=True)
        counts = stratified(totals.tolist(), options.split)
    block = Ranked(hash_keys(options.seed, rows), rows, codes)
    return find_cuts(lambda: [block], dict(enumerate(counts))).parts(block)


def class_names(listing: Listing) -> tuple[str, ...] | None:
    """The class folders, sorted; those of `train/` where there is such a folder.

    Raises DataError for a class that occurs in `val/` or `test/` only: train rows say which classes there are.
    """
    if listing.classes is None:
        return None
    if listing.splits is None:
        return tuple(sorted(set(listing.classes)))
    pairs = set(zip(listing.splits, listing.classes, strict=True))
    known = {name for split, name in pairs if split == "train"}
    foreign = sorted(f"{split}/{name}" for split, name in pairs if name not in known)
    if foreign:
        raise DataError(
            "a class is in no train folder" if len(foreign) == 1 else f"{len(foreign)} classes are in no train folder",
            foreign,
            "classes: " + ", ".join(sorted(known)),
        )
    return tuple(sorted(known))
