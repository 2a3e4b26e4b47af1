"""Open a source of images: read all headers, check that they agree, and set aside the images that cannot be used."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from tensorize.core.contracts import Array, Facts, Run
from tensorize.core.errors import DataError, plural, some
from tensorize.core.schema import Schema
from tensorize.loaders.images.errors import Fault, ImageError, TransparentError, caught, leave_out, refuse_images
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.listing import Listing
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.pool import Decoder
from tensorize.loaders.images.source import Files, Source, open_source
from tensorize.loaders.images.spans import DecodeSpan, Form, KeptSpan, Span, spans_of
from tensorize.loaders.images.state import ImageShape

_FORMATS = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
}
_REPORTED = 256
"""Headers between two reports of progress."""
_LOOKED_AT = 64
"""Images that a worker looks through at a time for those that cannot be used."""


@dataclass(frozen=True, eq=False)
class OpenedImages:
    """Images whose headers were read. See `tensorize.core.contracts.Opened`."""

    source: Source
    """The images that are used."""
    headers: Sequence[Header]
    rows: Array
    """(row) int64: the position of each in the source, of which some may be left out."""
    form: Form
    facts: Facts
    kept: tuple[KeptSpan, ...] | None = None
    """With `--on-bad skip` every image was decoded to see which are good, and is kept here; else None."""
    translucent: int = 0
    """Of the kept ones, those whose transparent pixels were handled."""
    schema: Schema = field(default_factory=Schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to release: the store belongs to the engine."""


def open_images(source: Any, options: ImagesOptions, run: Run, applied: bool) -> OpenedImages:
    """See `Images.open`. `applied`: for a recipe, which makes one set whatever the folders are called."""
    given = open_source(source, options.limits)
    if applied and isinstance(given, Files):
        given = replace(given, listing=replace(given.listing, splits=None, notes=()))
    found = [_checked(item, options, run) for item in _read_headers(given, run)]
    faults = [Fault(row, item) for row, item in enumerate(found) if isinstance(item, ImageError)]
    headers = tuple(item for item in found if isinstance(item, Header))
    rows = np.array([row for row, item in enumerate(found) if isinstance(item, Header)], dtype=np.int64)
    good = given.only(rows) if faults else given
    with Decoder(options) as decoder:
        if faults and not run.rejects.skip:
            refuse_images(given.listing.paths, sorted([*faults, *_undecodable(good, headers, rows, decoder, run)], key=_row))
        if not headers:
            leave_out(_names(given), faults, run.rejects)
        form = Form(len(options.channel_names), _agreed(good.listing, headers, options))
        opened = OpenedImages(good, headers, rows, form, _facts(given.listing, good, headers))
        return _settled(opened, given, faults, decoder, run) if run.rejects.skip else opened


def _row(fault: Fault) -> int:
    return fault.row


def _names(source: Source) -> Sequence[str]:
    return [source.name(row) for row in range(len(source.listing.paths))]


def _read_headers(source: Source, run: Run) -> Iterator[Header | ImageError]:
    """The header of every image, or what is wrong with it; equal headers are one object.

    In one thread: a header is read so quickly that threads would only wait for each other (measured: 25 µs to 42 µs).
    """
    rows, once = len(source.listing.paths), dict[Header, Header]()
    for row in range(rows):
        header = caught(source.header, row)
        yield header if isinstance(header, ImageError) else once.setdefault(header, header)
        if (row + 1) % _REPORTED == 0:
            run.report("headers", row + 1, rows)


def _checked(item: Header | ImageError, options: ImagesOptions, run: Run) -> Header | ImageError:
    """A header; where images may be left out, an error for one that cannot be stored as the options say."""
    if run.rejects.skip and isinstance(item, Header) and item.bits == 16 and options.dtype == "uint8":
        return ImageError("it has 16 bits a sample, which uint8 cannot hold", "depth")
    return item


@dataclass(frozen=True)
class FindFaults:
    """A span → the images that cannot be decoded; one that is transparent can be."""

    decoder: Decoder

    def __call__(self, span: Span) -> list[Fault]:
        found = ((row, caught(lambda row: self._decoded(span, row), row)) for row in range(len(span.headers)))
        return [Fault(span.start + row, error) for row, error in found if isinstance(error, ImageError)]

    def _decoded(self, span: Span, row: int) -> None:
        try:
            self.decoder.finished(span.source.load(row), span.headers[row], span.source.name(row))
        except TransparentError:
            return


def _undecodable(good: Source, headers: Sequence[Header], rows: Array, decoder: Decoder, run: Run) -> Iterator[Fault]:
    """Once a header is bad the rest is decoded too, so that one message names every broken image."""
    for faults in run.engine.map(FindFaults(decoder), spans_of(good, headers, _LOOKED_AT)):
        yield from (Fault(int(rows[row]), error) for row, error in faults)


def _agreed(listing: Listing, headers: Sequence[Header], options: ImagesOptions) -> ImageShape:
    """The shape of every finished image. Raises DataError if sizes or depths clash."""
    bits = _one(
        listing, [f"{header.bits} bits" for header in headers], "depths", "convert them all to 8 or all to 16 bits a sample"
    )
    if bits == "16 bits" and options.dtype == "uint8":
        raise DataError(
            "the images have 16 bits a sample, which uint8 cannot hold", hint="leave --dtype uint8 away, or convert them"
        )
    if options.height_and_width is None:
        sizes = [f"{header.height}×{header.width}" for header in headers]
        hint = "bring them to one: --size HxW, with --fit crop | pad | stretch"
        _one(listing, sizes, "sizes", hint, {"size": _usual_size(headers)})
    height, width = options.height_and_width or headers[0][1:3]
    return ImageShape(height=height, width=width, bits=headers[0].bits)


LARGEST = 224
"""What images of several sizes are brought to at most, where nobody says more."""


def _usual_size(headers: Sequence[Header]) -> str:
    """The size that most images have, else their median side; no more than `LARGEST`."""
    (size, count), *_ = Counter((header.height, header.width) for header in headers).most_common(1)
    if count * 2 > len(headers) and max(size) <= LARGEST:
        return f"{size[0]}x{size[1]}" if size[0] != size[1] else str(size[0])
    sides = sorted(min(header.height, header.width) for header in headers)
    return str(min(sides[len(sides) // 2], LARGEST))


def _one(listing: Listing, values: Sequence[str], what: str, hint: str, fix: dict[str, str] | None = None) -> str:
    """The one value that all images have. Raises DataError that lists the values with counts and examples."""
    counts = Counter(values)
    if len(counts) == 1:
        return values[0]
    lines = [
        f"{value}  {plural(count, 'image')}, such as {listing.paths[values.index(value)]}"
        for value, count in counts.most_common()
    ]
    raise DataError(f"the images have {len(counts)} {what}", some(lines), hint, fix)


def _settled(opened: OpenedImages, given: Source, faults: Sequence[Fault], decoder: Decoder, run: Run) -> OpenedImages:
    """Decode everything, keep the good images, and hand in the rest, with the `faults` that are known.

    Raises DataError if too many are bad.
    """
    kept, bad, more, translucent = list[KeptSpan](), list[int](), list[Fault](), 0
    spans = spans_of(opened.source, opened.headers, opened.form.step)
    for found, ref in run.engine.keep(DecodeSpan(decoder, opened.form, skips=True), spans):
        run.report("decode", found.stop, len(opened.headers))
        rows = found.stop - found.start - len(found.faults)
        if rows:
            kept.append(KeptSpan(found.start - len(bad), rows, ref))
        bad += [fault.row for fault in found.faults]
        more += [Fault(int(opened.rows[fault.row]), fault.error) for fault in found.faults]
        translucent += found.translucent
    leave_out(_names(given), [*faults, *more], run.rejects)
    good = np.delete(np.arange(len(opened.headers)), bad)
    source, headers = opened.source.only(good), tuple(opened.headers[row] for row in good.tolist())
    facts = _facts(given.listing, source, headers)
    return OpenedImages(source, headers, opened.rows[good], opened.form, facts, tuple(kept), translucent)


def _facts(given: Listing, source: Source, headers: Sequence[Header]) -> Facts:
    """What the summary tells; `given` lists all images, those that are left out, too."""
    listing = source.listing
    counts = Counter(listing.splits) if listing.splits else Counter({"": len(headers)})
    images = " + ".join(f"{counts[name]:,}" for name in ("", "train", "val", "test") if name in counts)
    classes = f", {plural(len(set(listing.classes)), 'class', 'classes')}" if listing.classes else ""
    noun = "image" if len(headers) == 1 else "images"
    shape = f"{images} {noun} of {_sizes(headers)}{classes}"
    notes = tuple(_notes(given, listing, headers))
    return Facts(listing.name, len(headers), source.size(), shape, notes, tuple(listing.unlabelled.items()))


def _notes(given: Listing, listing: Listing, headers: Sequence[Header]) -> Iterator[str]:
    if listing.skipped:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(listing.skipped.items()))
        yield f"skipped {plural(sum(listing.skipped.values()), 'file')} that are no images: {kinds}"
    more = sum(header.more for header in headers)
    if more:
        yield f"{plural(more, 'image')} with several frames or pages: the first one is taken"
    lost = set(given.classes or ()) - set(listing.classes or ())
    if lost:
        yield f"no image is left of the {plural(len(lost), 'class', 'classes')} {', '.join(sorted(lost))}"
    misnamed = sum(
        _FORMATS.get(os.path.splitext(path)[1].lower(), header.format) != header.format
        for path, header in zip(listing.files, headers, strict=False)
    )
    if misnamed:
        yield f"{plural(misnamed, 'image')} of another format than the name says, read as what they are"
    cmyk = sum(header.cmyk for header in headers)
    if cmyk:
        yield f"{plural(cmyk, 'CMYK image')} turned to RGB without a colour profile"


def _sizes(headers: Sequence[Header]) -> str:
    """`32×32`, or `12×16 to 480×640` by area."""
    sizes = sorted({(header.height * header.width, header.height, header.width) for header in headers})
    ends = [f"{height}×{width}" for _, height, width in (sizes[0], sizes[-1])]
    return ends[0] if len(sizes) == 1 else " to ".join(ends)
