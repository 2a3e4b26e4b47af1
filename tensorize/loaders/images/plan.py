"""Plan a set of images, finish them, and, if that saves a pass, learn from what is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tensorize.core.contracts import Array, Learned, Piece, Plan, Run, TensorSpec
from tensorize.core.errors import DataError, RecipeError, near, plural, quoted
from tensorize.loaders.images.errors import Fault, refuse_images
from tensorize.loaders.images.listing import Listing, Splits, class_names, splits_of
from tensorize.loaders.images.normalize import Normalizer, fixed_normalization
from tensorize.loaders.images.opened import OpenedImages
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.pool import Decoder
from tensorize.loaders.images.spans import CountSpan, DecodeSpan, FinishSpan, Form, KeptSpan, SpanFindings, spans_of
from tensorize.loaders.images.state import ClassFolders, ImageShape, Normalize, State
from tensorize.statistics.categories import order_notes
from tensorize.statistics.histograms import Histogram

_AXES = ("row", "channel", "height", "width")
_FITTED = {"crop": "scaled and cropped to", "pad": "scaled and padded to", "stretch": "stretched to"}
_BY = {
    "dataset": "z-score of each channel",
    "imagenet": "normalised by ImageNet's mean and std",
    "half": "normalised by mean 0.5 and std 0.5",
    "none": "pixel / {top}",
}


@dataclass(frozen=True, eq=False)
class ImagesPlan:
    """The state of a `Plan` for images."""

    options: ImagesOptions
    splits: Splits
    state: State
    """What the recipe holds."""
    codes: Array | None
    """(row) int64: the class of each image; None without labels."""
    kept: tuple[KeptSpan, ...] | None
    """Images that were decoded before, in order; None if they still have to be."""
    translucent: int
    """Of the decoded ones, those whose transparent pixels were handled."""
    remarks: tuple[str, ...]
    """Notes on constant channels and missing labels."""


@dataclass(frozen=True)
class Passed:
    """What is gathered as images are written: how many were transparent, and the counts of train pixels, where asked for."""

    translucent: int
    pixels: Histogram | None

    def merge(self, other: Self) -> Self:
        """Return the sums of this and `other`."""
        return type(self)(self.translucent + other.translucent, _sum((self.pixels, other.pixels)))


def _sum(counts: Iterable[Histogram | None]) -> Histogram | None:
    total: Histogram | None = None
    for item in counts:
        total = item if total is None else total if item is None else total.merge(item)
    return total


# what is decided ----------------------------------------------------------------------------------------------------


def learn(rows: OpenedImages, options: ImagesOptions, run: Run) -> Plan:
    """Learn the classes, the shape, and the mean and std of each channel over all train pixels, exact from counts.

    Pixels that are stored as uint8 are counted as they are written: such a plan is `open`.
    Raises UsageError if `--split` or `--stratify` do not fit the folders, DataError for images that cannot be decoded.
    """
    splits = splits_of(rows.source.listing, options, rows.rows)
    kept, translucent, is_open, remarks = rows.kept, rows.translucent, False, tuple[str, ...]()
    if options.normalize != "dataset":
        normalize = fixed_normalization(options.normalize, rows.form.channels)
    elif options.dtype == "uint8":
        normalize, is_open = fixed_normalization("none", rows.form.channels), True
    else:
        if rows.kept is not None:
            counted = run.engine.map(CountSpan(run.engine.store, rows.form), _marked(rows.kept, splits))
            pixels = _sum(counted)
        else:
            kept, passed = _decoded(rows, options, splits, run)
            pixels, translucent = passed.pixels, passed.translucent
        normalize, remarks = _from_counts(pixels or rows.form.no_pixels, rows.form, options)
    names = class_names(rows.source.listing)
    state = State(ClassFolders(classes=names) if names else None, rows.form.shape, normalize)
    codes, _ = _codes(rows.source.listing, state)
    remarks = (*_on_listing(rows.source.listing), *order_notes(names or ()), *remarks)
    own = ImagesPlan(options, splits, state, codes, kept, translucent, remarks)
    return _plan(rows, own, state.learned(), f", learned from {splits.names[0] or 'all images'}", is_open)


def plan(rows: OpenedImages, options: ImagesOptions, run: Run, learned: Sequence[Learned]) -> Plan:
    """Take everything from a recipe.

    Raises DataError for images of another shape, or class folders that the recipe lacks; RecipeError for other steps than
    those of images; and UsageError as `learn`.
    """
    del run
    splits = splits_of(rows.source.listing, options, rows.rows)
    state = State.of(learned)
    _check_shape(state, rows.form)
    codes, remarks = _codes(rows.source.listing, state)
    remarks = (*_on_listing(rows.source.listing), *remarks)
    own = ImagesPlan(options, splits, state, codes, rows.kept, rows.translucent, remarks)
    return _plan(rows, own, tuple(learned), ", as the recipe says", False)


def _plan(rows: OpenedImages, own: ImagesPlan, learned: tuple[Learned, ...], origin: str, is_open: bool) -> Plan:
    specs = tuple(_specs(own, rows.form))
    made = {spec.name: _described(spec.name, own, origin) for spec in specs}
    return Plan(learned, specs, _texts(rows.source.listing, own.splits), _notes(own, ()), made, own, is_open)


def _decoded(rows: OpenedImages, options: ImagesOptions, splits: Splits, run: Run) -> tuple[tuple[KeptSpan, ...], Passed]:
    """Decode every image into the store, and count the pixels of train. Raises DataError that names every broken image."""
    kept, faults, passed = list[KeptSpan](), list[Fault](), Passed(0, None)
    with Decoder(options) as decoder:
        spans = spans_of(rows.source, rows.headers, rows.form.step, splits.of == 0)
        for found, ref in run.engine.keep(DecodeSpan(decoder, rows.form), spans):
            run.report("decode", found.stop, len(rows.headers))
            faults += found.faults
            if faults:  # the rest is decoded only to find its errors
                run.engine.store.forget(ref)
            kept.append(KeptSpan(found.start, found.stop - found.start, ref))
            passed = passed.merge(Passed(found.translucent, found.pixels))
    refuse_images(rows.source.listing.paths, faults)
    return tuple(kept), passed


def _marked(kept: Iterable[KeptSpan], splits: Splits) -> Iterator[KeptSpan]:
    """Kept images, with those that are train."""
    for item in kept:
        yield item._replace(train=splits.of[item.start : item.start + item.rows] == 0)


def _from_counts(counted: Histogram, form: Form, options: ImagesOptions) -> tuple[Normalize, tuple[str, ...]]:
    """The mean and std of each channel, and a note on each that is constant."""
    top = (1 << form.shape.bits) - 1
    state = Normalize(mean=counted.mean(top), std=counted.std(top))
    named = zip(options.channel_names, state.std, strict=True)
    said = "the {} channel is constant in train: it is divided by 1, not by its std of 0"
    return state, tuple(said.format(name) for name, std in named if std == 0)


def _codes(listing: Listing, state: State) -> tuple[Array | None, tuple[str, ...]]:
    """(row) int64: the class of each image by the recipe's classes, None without labels; and a note on missing labels.

    Raises DataError for class folders that the recipe lacks.
    """
    if listing.classes is None or state.classes is None:
        return None, () if state.classes is None else ("there are no class folders: the output has no labels",)
    known = state.classes.classes
    names, codes = np.unique(np.array(listing.classes), return_inverse=True)
    unknown = [str(name) for name in names if name not in known]
    if unknown:
        lines = [f"{name}{near(name, known)}" for name in unknown]
        every = quoted(os.path.join(listing.name, "**", "*.*"))
        raise DataError(
            f"the recipe knows no {plural(len(lines), 'class', 'classes')} of these names",
            lines,
            f"classes: {', '.join(known)}\nwithout labels, name the images: {every}",
        )
    return np.array([known.index(name) for name in names], dtype=np.int64)[codes], ()


def _check_shape(state: State, form: Form) -> None:
    """Raise DataError for images of another shape than the recipe's, RecipeError for other channels than the options'."""
    if len(state.normalize.mean) != form.channels:
        raise RecipeError(
            f"the recipe normalises {plural(len(state.normalize.mean), 'channel')}, its images have {form.channels}"
        )
    made, found = state.shape, form.shape
    if made != found:
        raise DataError(
            f"the images are {_text(found)}, the recipe was made with {_text(made)}",
            hint=f"prepare with --size {made.height}x{made.width}, so that the recipe scales what comes"
            if made.bits == found.bits
            else "",
        )


def _specs(own: ImagesPlan, form: Form) -> Iterator[TensorSpec]:
    """`images`, `labels` where there are class folders, and `row`, for each split."""
    names = {"channel": own.options.channel_names}
    for part, split in enumerate(own.splits.names):
        rows = len(own.splits.rows(part))
        yield TensorSpec("images", (rows, *form.size), own.options.dtype, _AXES, "input", names, split)
        if own.codes is not None:
            yield TensorSpec("labels", (rows,), "int64", ("row",), "target", split=split)
        yield TensorSpec("row", (rows,), "int64", ("row",), "meta", split=split)


def _texts(listing: Listing, splits: Splits) -> Mapping[str, Sequence[str]]:
    """`paths`, or `train/paths` and so on: where each image came from, relative to the source; none for arrays."""
    paths = listing.paths if listing.files else ()
    if not paths:
        return {}
    names = {part: f"{split}/paths" if split else "paths" for part, split in enumerate(splits.names)}
    return {name: tuple(paths[row] for row in splits.rows(part)) for part, name in names.items()}


# the finished rows --------------------------------------------------------------------------------------------------


def pieces(plan: Plan, rows: OpenedImages, run: Run) -> Iterator[Piece]:
    """Finished rows, span by span and split by split.

    Raises DataError, once all images were decoded, that names every one which cannot be used.
    """
    own: ImagesPlan = plan.state
    normalizer = None if own.options.dtype == "uint8" else Normalizer(own.state.normalize, rows.form.shape.bits)
    with Decoder(own.options) as decoder:
        finish = FinishSpan(DecodeSpan(decoder, rows.form), run.engine.store, normalizer)
        found = _fresh if own.kept is None else _loaded
        for item, images in found(plan, rows, finish, run):
            yield from _split(own, rows, item, images)


def _fresh(plan: Plan, rows: OpenedImages, finish: FinishSpan, run: Run) -> Iterator[tuple[SpanFindings, Array]]:
    """Decode and finish at once, up to the first image that cannot be used; then decode only to find the errors."""
    own: ImagesPlan = plan.state
    faults: list[Fault] = []
    spans = spans_of(rows.source, rows.headers, rows.form.step, own.splits.of == 0 if plan.open else None)
    for found, images in run.engine.map(finish, spans):
        run.report("decode", found.stop, len(rows.headers))
        faults += found.faults
        if not faults:
            yield found, images
    refuse_images(rows.source.listing.paths, faults)


def _loaded(plan: Plan, rows: OpenedImages, finish: FinishSpan, run: Run) -> Iterator[tuple[SpanFindings, Array]]:
    """Finish images that were decoded before; each span is given back as it has been read."""
    del rows
    own: ImagesPlan = plan.state
    kept = own.kept or ()
    for item, done in zip(kept, run.engine.map(finish, _marked(kept, own.splits) if plan.open else kept), strict=True):
        yield done
        run.engine.store.forget(item.ref)


def _split(own: ImagesPlan, rows: OpenedImages, found: SpanFindings, images: Array) -> Iterator[Piece]:
    passed = Passed(found.translucent, found.pixels) if found.translucent or found.pixels else None
    index = own.splits.of[found.start : found.stop]
    for part, split in enumerate(own.splits.names):
        at = np.flatnonzero(index == part)
        if not len(at):
            continue
        places = at + found.start
        values = {"images": images if len(at) == len(index) else images[at], "row": rows.rows[places]}
        yield Piece(split, values if own.codes is None else values | {"labels": own.codes[places]}, passed)
        passed = None


def finished(plan: Plan, found: Passed | None) -> Plan:
    """The plan with the statistics of what was written, where it is `open`, and a note on transparent images."""
    own: ImagesPlan = plan.state
    if found is not None:
        own = replace(own, translucent=own.translucent + found.translucent)
    if not plan.open:
        return replace(plan, notes=_notes(own, ()), state=own)
    form = Form(len(own.options.channel_names), own.state.shape)
    counted = found.pixels if found is not None and found.pixels is not None else form.no_pixels
    normalize, remarks = _from_counts(counted, form, own.options)
    own = replace(own, state=own.state._replace(normalize=normalize))
    return replace(plan, learned=own.state.learned(), notes=_notes(own, remarks), state=own, open=False)


# in words -----------------------------------------------------------------------------------------------------------


def _on_listing(listing: Listing) -> Iterator[str]:
    """How the folders were understood, and what is left out."""
    yield from listing.notes
    for path, count in listing.unlabelled.items():
        yield f"{plural(count, 'image')} of {path} left out, which {'is' if count == 1 else 'are'} in no class folder"


def _notes(own: ImagesPlan, remarks: tuple[str, ...]) -> tuple[str, ...]:
    """Constant channels, missing labels, and how many transparent images were handled."""
    laid = "the alpha channel dropped" if own.options.alpha == "drop" else f"laid on {own.options.alpha}"
    transparent = (f"{plural(own.translucent, 'transparent image')}, {laid}",) if own.translucent else ()
    return (*own.remarks, *remarks, *transparent)


def _described(tensor: str, own: ImagesPlan, origin: str) -> str:
    """A few words on how a tensor was made."""
    if tensor == "labels":
        names = own.state.classes.classes if own.state.classes else ()
        ends = ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"
        return f"{plural(len(names), 'class', 'classes')}: {ends}"
    return _way(own, origin) if tensor == "images" else "position in the list of all images"


def _way(own: ImagesPlan, origin: str) -> str:
    options, shape = own.options, own.state.shape
    scaled = f"{_FITTED[options.fit]} {shape.height}×{shape.width}, " if options.size else ""
    by = _BY[options.normalize].format(top=(1 << shape.bits) - 1)
    when = " on reading" if options.dtype == "uint8" else ""
    return f"{scaled}{by}{when}{origin if options.normalize == 'dataset' else ''}"


def _text(shape: ImageShape) -> str:
    return f"{shape.height}×{shape.width} of {shape.bits} bits"
