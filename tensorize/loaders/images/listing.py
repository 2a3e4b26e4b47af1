"""Which images there are, and their classes and splits: flat folders, class folders, and `train/ val/ test/` of either."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError, TensorizeError, UsageError, plural, quoted
from tensorize.core.splits import SPLITS, Ranked, find_cuts, hash_keys, sizes, stratified
from tensorize.loaders.images.folders import SUFFIXES, arrange, is_image, kind_of, read_folder, shown_path
from tensorize.loaders.images.options import ImagesOptions
from tensorize.sources.addresses import shown_source
from tensorize.sources.copies import LocalCopy, is_elsewhere, local
from tensorize.sources.files import missing_file, resolve


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
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    """Split folders without classes, which are left out since others have them: path → images."""
    notes: tuple[str, ...] = ()
    """How the folders were understood, where that is not plain."""
    copy: LocalCopy | None = None
    """Holds the files, where they come from elsewhere."""

    def called(self, row: int) -> str:
        """What a message calls a file."""
        return self.copy.named(self.files[row]) if self.copy is not None else self.files[row]

    def between(self, start: int, stop: int) -> Listing:
        """The images `start:stop`, without classes and splits."""
        return Listing(self.name, self.files[start:stop], self.paths[start:stop], copy=self.copy)

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


def list_images(source: Any) -> Listing:
    """Find the images of a folder, a file, a glob or a list of files; a list keeps its order, the rest is sorted by path.

    Raises UsageError for a path that does not exist; DataError for no images, an archive, an empty class folder, images
    beside class folders, and a folder that holds itself through a link.
    """
    if is_elsewhere(source):
        return _of_copy(source)
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        return _of_folder(os.fspath(source))
    if isinstance(source, str | os.PathLike) and not os.path.exists(source) and not any(c in os.fspath(source) for c in "*?["):
        raise missing_file(source)
    return _of_files(source)


def _of_copy(source: Any) -> Listing:
    """The images of a folder, a pattern or a list elsewhere."""
    kept, copy = local(source, sorted(SUFFIXES))
    try:
        found = _of_folder(kept) if isinstance(kept, str) else _of_files(kept)
    except TensorizeError as error:
        raise copy.renamed(error) from None
    name = shown_source(source) if isinstance(source, str | os.PathLike) else found.name
    notes = tuple(map(copy.named, found.notes))
    unlabelled = {copy.named(path): count for path, count in found.unlabelled.items()}
    return replace(found, name=name, notes=notes, unlabelled=unlabelled, copy=copy)


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
        skipped.update(kind_of(file) for file in files if not is_image(file))
        files = [file for file in files if is_image(file)]
    if not files:
        raise _no_images(name, skipped)
    if len(files) == 1 and not is_image(files[0]) and (tarfile.is_tarfile(files[0]) or zipfile.is_zipfile(files[0])):
        raise DataError(f"{name} is an archive", hint="unpack it, and name its folder")
    base = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    paths = [shown_path(Path(os.path.relpath(file, base)).as_posix()) for file in files]
    return Listing(name, files, paths, skipped=skipped)


def _of_folder(root: str) -> Listing:
    skipped: Counter[str] = Counter()
    tree = read_folder(root, "", skipped, frozenset())
    if tree.empty:
        raise _no_images(root, skipped)
    found = arrange(root, tree)
    files = [os.path.join(root, path) for path in found.paths]
    paths = [shown_path(path) for path in found.paths]
    return Listing(root, files, paths, found.classes, found.splits, skipped, found.unlabelled, found.notes)


def _no_images(name: str, skipped: Mapping[str, int]) -> DataError:
    found = [f"found: {', '.join(f'{count:,} {kind}' for kind, count in skipped.items())}"] if skipped else []
    return DataError(f"{name} holds no images", found, "images end in " + ", ".join(sorted(SUFFIXES)))


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

    Where there is a `train` folder only, `--split` shares out its images.
    Raises UsageError if `--split` meets `train/` and `test/` folders, `--stratify` no classes, or a part stays empty, and
    DataError for split folders without `train`.
    """
    if listing.splits is not None and not (options.split and set(listing.splits) == {"train"}):
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
            hint="omit --split, or name one of them",
        )
    if "train" not in names:
        first = listing.paths[0].split("/")[0]
        raise DataError(
            f"{listing.name} is split into {' and '.join(names)} without a train folder",
            hint=f"statistics and classes come from train images; to learn from one folder, name it: "
            f"tensorize images {quoted(os.path.join(listing.name, first))} -o images.h5",
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
