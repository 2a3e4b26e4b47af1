"""Which image goes into which split: by folder, or by ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError, UsageError
from tensorize.core.splits import Ranked, find_cuts, hash_keys, sizes, stratified
from tensorize.loaders.images.listing import SPLITS, Listing
from tensorize.loaders.images.options import ImagesOptions


class Parts(NamedTuple):
    """The splits by name, and the position in `names` for each image, (row) int8. One part named None is the whole set."""

    names: tuple[str | None, ...]
    of: Array

    def rows(self, part: int) -> Array:
        """(row of the part) int64: source positions, in order."""
        return np.flatnonzero(self.of == part)


def parts(listing: Listing, options: ImagesOptions, rows: Array) -> Parts:
    """Share out the images of a listing; `rows` (image) int64 are their positions in the source.

    Raises UsageError where `--split` meets `train/` and `test/` folders, `--stratify` no classes, or a part stays empty.
    """
    if listing.splits is not None:
        return _by_folder(listing, listing.splits, options)
    if not options.split:
        return Parts((None,), np.zeros(len(rows), dtype=np.int8))
    found = Parts(options.split_names, _by_ratio(rows, listing.classes, options))
    empty = [str(name) for part, name in enumerate(found.names) if not (found.of == part).any()]
    if empty:
        ratios = ",".join(f"{ratio:g}" for ratio in options.split)
        raise UsageError(f"{len(rows)} images are too few for --split {ratios}: {' and '.join(empty)} would be empty")
    return found


def _by_folder(listing: Listing, splits: Sequence[str], options: ImagesOptions) -> Parts:
    names = tuple(name for name in SPLITS if name in splits)
    if options.split:
        raise UsageError(
            f"{listing.name} is split already, into the folders {', '.join(names)}",
            hint="leave --split away, or name one of them",
        )
    return Parts(names, np.array([names.index(split) for split in splits], dtype=np.int8))


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
