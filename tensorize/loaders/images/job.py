"""Images on their way to tensors: learn the classes and the pixel statistics from train, then normalise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import cast

import numpy as np

from tensorize.core.contracts import Array, Learned, Piece, Run, TensorSpec
from tensorize.core.errors import DataError, RecipeError, near, plural
from tensorize.core.threads import ordered_map
from tensorize.engine.gather import gather
from tensorize.loaders.images.normalize import constant, normalized
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.parts import class_names, parts
from tensorize.loaders.images.scan import Chunk, ImageScan
from tensorize.loaders.images.state import Classes, Normalize, Shape, State
from tensorize.statistics.histograms import Histogram

_AXES = ("row", "channel", "height", "width")
_FITTED = {"crop": "scaled and cropped to", "pad": "scaled and padded to", "stretch": "stretched to"}
_BY = {
    "dataset": "z-score of each channel",
    "imagenet": "normalised by ImageNet's mean and std",
    "half": "normalised by mean 0.5 and std 0.5",
    "none": "pixel / {top}",
}


class ImageJob:
    """One source of images, bound to its options. Nothing is written here."""

    def __init__(self, scan: ImageScan, options: ImagesOptions, run: Run) -> None:
        self._scan = scan
        self._options = options
        self._run = run
        self._listing = scan.source.listing
        self._parts = parts(self._listing, options, scan.rows)
        self._passed: Histogram | None = None
        self._notes: dict[str, None] = {}
        self._fresh = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Constant channels, missing labels, and how many transparent images were handled."""
        laid = "the alpha channel dropped" if self._options.alpha == "drop" else f"laid on {self._options.alpha}"
        count = self._scan.translucent
        transparent = [f"{plural(count, 'transparent image')}, {laid}"] if count else []
        return (*self._notes, *transparent)

    def outline(self) -> tuple[Learned, ...] | None:
        """Pixels that are stored as uint8 are counted as they are written."""
        if self._options.dtype != "uint8" or self._options.normalize != "dataset":
            return None
        self._passed = self._nothing
        return self._learned(constant("none", len(self._options.channel_names)))

    def learn(self) -> tuple[Learned, ...]:
        """The classes, the shape, and the mean and std of each channel over all train pixels, exact from counts."""
        self._fresh = True
        if self._options.normalize != "dataset":
            return self._learned(constant(self._options.normalize, len(self._options.channel_names)))
        if self._passed is not None:
            return self._learned(self._from_counts(self._passed))
        found = gather(self._run.engine, {"images": self._nothing}, self._train_pixels, _as_they_are)
        return self._learned(self._from_counts(cast(Histogram, found["images"])))

    def _learned(self, normalize: Normalize) -> tuple[Learned, ...]:
        names = class_names(self._listing)
        return State(Classes(classes=names) if names else None, self._scan.shape, normalize).learned()

    @property
    def _nothing(self) -> Histogram:
        """No pixel counted."""
        return Histogram.empty(len(self._options.channel_names), 1 << self._scan.shape.bits)

    def _from_counts(self, counted: Histogram) -> Normalize:
        top = (1 << self._scan.shape.bits) - 1
        state = Normalize(mean=counted.mean(top), std=counted.std(top))
        for name, std in zip(self._options.channel_names, state.std, strict=True):
            if std == 0:
                self._notes[f"the {name} channel is constant in train: it is divided by 1, not by its std of 0"] = None
        return state

    def _train_pixels(self) -> Iterator[Mapping[str, Array]]:
        """The train images of every chunk; images that are still to be normalised are kept in scratch as they pass."""
        for chunk in self._scan.chunks():
            if self._options.dtype != "uint8":
                self._scan.keep(chunk)
            images = self._train_images(chunk)
            yield {"images": images} if len(images) else {}

    def _train_images(self, chunk: Chunk) -> Array:
        train = self._parts.of[chunk.start : chunk.start + len(chunk.images)] == 0
        return chunk.images if train.all() else chunk.images[train]

    def layout(self, learned: Sequence[Learned]) -> tuple[TensorSpec, ...]:
        """`images`, `labels` where there are class folders, and `row`, for each split."""
        state = self._checked(State.of(learned))
        shape = len(self._options.channel_names), self._scan.shape.height, self._scan.shape.width
        labelled = self._codes(state) is not None
        specs: list[TensorSpec] = []
        for part, split in enumerate(self._parts.names):
            rows = len(self._parts.rows(part))
            names = {"channel": self._options.channel_names}
            specs.append(TensorSpec("images", (rows, *shape), self._options.dtype, _AXES, "input", names, split))
            if labelled:
                specs.append(TensorSpec("labels", (rows,), "int64", ("row",), "target", split=split))
            specs.append(TensorSpec("row", (rows,), "int64", ("row",), "meta", split=split))
        return tuple(specs)

    def texts(self) -> Mapping[str, Sequence[str]]:
        """`paths`, or `train/paths` and so on: where each image came from, relative to the source; none for arrays."""
        paths = self._listing.paths if self._listing.files else ()
        if not paths:
            return {}
        names = {part: f"{split}/paths" if split else "paths" for part, split in enumerate(self._parts.names)}
        return {name: [paths[row] for row in self._parts.rows(part)] for part, name in names.items()}

    def pieces(self, learned: Sequence[Learned]) -> Iterator[Piece]:
        """Finished rows, chunk by chunk and split by split."""
        state = self._checked(State.of(learned))
        codes = self._codes(state)

        def finished(chunk: Chunk) -> Chunk:
            if self._options.dtype == "uint8":
                return chunk
            return Chunk(chunk.start, normalized(chunk.images, state.normalize, state.shape.bits))

        for chunk in ordered_map(finished, self._scan.drained(), self._run.engine.workers):
            if self._passed is not None:
                self._passed = self._passed.update(self._train_images(chunk))
            yield from self._split(chunk, codes)

    def _split(self, chunk: Chunk, codes: Array | None) -> Iterator[Piece]:
        part_of = self._parts.of[chunk.start : chunk.start + len(chunk.images)]
        for part, split in enumerate(self._parts.names):
            at = np.flatnonzero(part_of == part)
            if not len(at):
                continue
            places = at + chunk.start
            values = {"images": chunk.images if len(at) == len(part_of) else chunk.images[at], "row": self._scan.rows[places]}
            yield Piece(split, values if codes is None else values | {"labels": codes[places]})

    @cached_property
    def _found(self) -> Array:
        """(row) str: the class folder of each image."""
        return np.array(self._listing.classes)

    def _codes(self, state: State) -> Array | None:
        """(row) int64: the class of each image, by the recipe's classes; None without labels.

        Raises DataError for class folders that the recipe does not know.
        """
        if self._listing.classes is None or state.classes is None:
            if state.classes is not None:
                self._notes["there are no class folders: the output has no labels"] = None
            return None
        known = state.classes.classes
        names, codes = np.unique(self._found, return_inverse=True)
        unknown = [str(name) for name in names if name not in known]
        if unknown:
            lines = [f"{name}{near(name, known)}" for name in unknown]
            raise DataError(
                f"the recipe knows no {plural(len(lines), 'class', 'classes')} of these names",
                lines,
                "classes: " + ", ".join(known),
            )
        return np.array([known.index(name) for name in names], dtype=np.int64)[codes]

    def _checked(self, state: State) -> State:
        """Raises DataError for images of another shape than the recipe's, RecipeError for other channels than the options'."""
        channels = len(self._options.channel_names)
        if len(state.normalize.mean) != channels:
            raise RecipeError(
                f"the recipe normalises {plural(len(state.normalize.mean), 'channel')}, its images have {channels}"
            )
        made, found = state.shape, self._scan.shape
        if made != found:
            raise DataError(
                f"the images are {_text(found)}, the recipe was made with {_text(made)}",
                hint=f"prepare with --size {made.height}x{made.width}, so that the recipe scales what comes"
                if made.bits == found.bits
                else "",
            )
        return state

    def describe(self, tensor: str, learned: Sequence[Learned]) -> str:
        """A few words on how a tensor was made."""
        state = State.of(learned)
        if tensor == "labels":
            names = state.classes.classes if state.classes else ()
            ends = ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"
            return f"{plural(len(names), 'class', 'classes')}: {ends}"
        return self._said(state.shape) if tensor == "images" else "position in the list of all images"

    def _said(self, shape: Shape) -> str:
        scaled = f"{_FITTED[self._options.fit]} {shape.height}×{shape.width}, " if self._options.size else ""
        by = _BY[self._options.normalize].format(top=(1 << shape.bits) - 1)
        when = " on reading" if self._options.dtype == "uint8" else ""
        return f"{scaled}{by}{when}{self._origin if self._options.normalize == 'dataset' else ''}"

    @property
    def _origin(self) -> str:
        """Where the mean and std come from, in words."""
        return f", learned from {self._parts.names[0] or 'all images'}" if self._fresh else ", as the recipe says"


def _text(shape: Shape) -> str:
    return f"{shape.height}×{shape.width} of {shape.bits} bits"


def _as_they_are(block: Mapping[str, Array], keys: object) -> Mapping[str, Array]:
    del keys
    return block
