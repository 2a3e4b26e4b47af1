"""A source of images that was looked through: headers first, then pixels in chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from tensorize.engine.parallel import ordered_map
from tensorize.engine.scratch import Scratch
from tensorize.errors import DataError, plural, some
from tensorize.loaders.images.decode import TransparentError, finish, least_size
from tensorize.loaders.images.header import Header, ImageError
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.source import Files, Source, open_source
from tensorize.loaders.images.state import Shape
from tensorize.schema import Schema
from tensorize.types import Array, Facts, Run

T = TypeVar("T")

CHUNK_BYTES = 4 << 20
"""Decoded bytes of a chunk: fixed, so that its borders are."""
_REPORTED = 256


class Chunk(NamedTuple):
    """Finished images of rows `start`, `start + 1`, …: (row, channel, height, width) uint8 or uint16."""

    start: int
    images: Array


class _Fault(NamedTuple):
    row: int
    error: ImageError


class _Batch(NamedTuple):
    chunk: Chunk
    faults: list[_Fault]
    translucent: int


def scan(source: Any, options: ImagesOptions, run: Run, applied: bool) -> ImageScan:
    """See `Images.scan`. `applied`: for a recipe, which makes one set whatever the folders are called."""
    opened = open_source(source, options.max_pixels)
    if applied and isinstance(opened, Files):
        opened = replace(opened, listing=replace(opened.listing, splits=None))
    headers = _read_headers(opened, run)
    return ImageScan(opened, headers, _agreed(opened, headers, options), options, run)


class ImageScan:
    """The images of a source: what their headers say, and their pixels in chunks. Closing it drops the scratch file."""

    schema = Schema()

    def __init__(self, source: Source, headers: Sequence[Header], shape: Shape, options: ImagesOptions, run: Run) -> None:
        self.source = source
        self.shape = shape
        self.translucent = 0
        """Images whose transparent pixels were handled; known once the chunks have been gone through."""
        self._headers = headers
        self._options = options
        self._run = run
        self._scratch = Scratch(run.scratch)
        self._kept: list[tuple[int, int, int]] = []

    @property
    def facts(self) -> Facts:
        listing = self.source.listing
        counts = Counter(listing.splits) if listing.splits else Counter({"": len(self._headers)})
        images = " + ".join(f"{counts[name]:,}" for name in ("", "train", "val", "test") if name in counts)
        classes = f", {plural(len(set(listing.classes)), 'class', 'classes')}" if listing.classes else ""
        noun = "image" if len(self._headers) == 1 else "images"
        shape = f"{images} {noun} of {_sizes(self._headers)}{classes}"
        return Facts(listing.name, len(self._headers), self.source.size(), shape, tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        skipped = self.source.listing.skipped
        if skipped:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(skipped.items()))
            yield f"skipped {plural(sum(skipped.values()), 'file')} that are no images: {kinds}"
        more = sum(header.more for header in self._headers)
        if more:
            yield f"{plural(more, 'image')} with several frames or pages: the first one is taken"
        cmyk = sum(header.cmyk for header in self._headers)
        if cmyk:
            yield f"{plural(cmyk, 'CMYK image')} turned to RGB without a colour profile"

    def chunks(self) -> Iterator[Chunk]:
        """Decode everything, in threads, in order.

        Raises DataError, once all have been looked at, that names every image which cannot be used.
        """
        faults: list[_Fault] = []
        translucent = 0
        for batch in ordered_map(self._decode, self._spans(), self._run.threads):
            faults += batch.faults
            translucent += batch.translucent
            self._run.report("decode", batch.chunk.start + len(batch.chunk.images), len(self._headers))
            if not faults:
                yield batch.chunk
        _refuse(self.source, faults)
        self.translucent = translucent

    def keep(self, chunk: Chunk) -> None:
        """Keep a chunk in scratch, for `kept`."""
        at = self._scratch.append(chunk.images.data.cast("B"))
        self._kept.append((chunk.start, len(chunk.images), at))

    def kept(self) -> Iterator[Chunk]:
        """The chunks again: out of scratch where they were kept, decoded where not."""
        if not self._kept:
            yield from self.chunks()
            return
        for start, rows, at in self._kept:
            data = self._scratch.read(at, rows * self._row_bytes)
            yield Chunk(start, np.frombuffer(data, self._dtype).reshape(rows, *self._row_shape))

    @property
    def _row_shape(self) -> tuple[int, int, int]:
        return len(self._options.channel_names), self.shape.height, self.shape.width

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8 if self.shape.bits == 8 else np.uint16)

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self._row_shape)) * self._dtype.itemsize

    def _spans(self) -> Iterator[range]:
        step, rows = max(1, CHUNK_BYTES // self._row_bytes), len(self._headers)
        return (range(start, min(start + step, rows)) for start in range(0, rows, step))

    def _decode(self, rows: range) -> _Batch:
        """Finish some images. All are read before one is decoded: threads that do both by turns block each other."""
        channels, height, width = self._row_shape
        images = np.zeros((len(rows), height, width, channels), dtype=self._dtype)
        faults: list[_Fault] = []
        translucent = 0
        loaded = [_caught(self.source.load, row) for row in rows]
        for at, (row, data) in enumerate(zip(rows, loaded, strict=True)):
            try:
                if isinstance(data, ImageError):
                    raise data
                images[at], clear = finish(self._pixels(data, self._headers[row]), self._options)
                translucent += clear
            except ImageError as error:
                faults.append(_Fault(row, error))
        return _Batch(Chunk(rows.start, np.ascontiguousarray(images.transpose(0, 3, 1, 2))), faults, translucent)

    def _pixels(self, data: Any, header: Header) -> Array:
        size = self._options.height_and_width
        least = least_size(header, size, self._options.fit) if self._options.scaled_decode and size is not None else None
        return self.source.pixels(data, header, least)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scratch.close()
        self._kept.clear()


def _read_headers(source: Source, run: Run) -> list[Header]:
    """The header of every image; equal ones are one object. Raises DataError that names every broken image.

    One thread: reading a header is so short that threads would only wait for each other (measured: 25 µs to 42 µs).
    """
    rows = len(source.listing.paths)
    found: list[Header | ImageError] = []
    for row in range(rows):
        found.append(_caught(source.header, row))
        if len(found) % _REPORTED == 0:
            run.report("headers", len(found), rows)
    if any(isinstance(item, ImageError) for item in found):
        _refuse(source, _all_faults(source, found, run))
    once: dict[Header, Header] = {}
    return [once.setdefault(item, item) for item in found if isinstance(item, Header)]


def _caught(function: Callable[[int], T], row: int) -> T | ImageError:
    """The result for a row, or what is wrong with that image."""
    try:
        return function(row)
    except ImageError as error:
        return error


def _all_faults(source: Source, found: Sequence[Header | ImageError], run: Run) -> list[_Fault]:
    """Once a header is bad the rest is decoded too, so that one message names every broken image."""

    def fault(row: int) -> _Fault | None:
        item = found[row]
        if isinstance(item, ImageError):
            return _Fault(row, item)
        try:
            source.pixels(source.load(row), item)
        except ImageError as error:
            return _Fault(row, error)
        return None

    return [item for item in ordered_map(fault, range(len(found)), run.threads) if item is not None]


def _refuse(source: Source, faults: Sequence[_Fault]) -> None:
    """Raise DataError for the images that cannot be used, if any: the broken ones first, then the transparent."""
    broken = [fault for fault in faults if not isinstance(fault.error, TransparentError)]
    lines = [f"{source.listing.paths[row]}  {error}" for row, error in broken or faults]
    if broken:
        raise DataError(f"{plural(len(broken), 'image')} cannot be read", lines, "repair or remove them")
    if faults:
        what = plural(len(faults), "image is", "images are") + " transparent"
        raise DataError(what, some(lines), "say what lies behind: --alpha white | black, or --alpha drop to ignore it")


def _agreed(source: Source, headers: Sequence[Header], options: ImagesOptions) -> Shape:
    """The shape of every finished image. Raises DataError where sizes or depths clash."""
    bits = _one(
        source, [f"{header.bits} bits" for header in headers], "depths", "convert them all to 8 or all to 16 bits a sample"
    )
    if bits == "16 bits" and options.dtype == "uint8":
        raise DataError(
            "the images have 16 bits a sample, which uint8 cannot hold", hint="leave --dtype uint8 away, or convert them"
        )
    if options.height_and_width is None:
        sizes = [f"{header.height}×{header.width}" for header in headers]
        _one(source, sizes, "sizes", "bring them to one: --size HxW, with --fit crop | pad | stretch")
    height, width = options.height_and_width or headers[0][1:3]
    return Shape(height=height, width=width, bits=headers[0].bits)


def _one(source: Source, values: Sequence[str], what: str, hint: str) -> str:
    """The one value that all images have. Raises DataError that lists the values with counts and examples."""
    counts = Counter(values)
    if len(counts) == 1:
        return values[0]
    lines = [
        f"{value}  {plural(count, 'image')}, such as {source.listing.paths[values.index(value)]}"
        for value, count in counts.most_common()
    ]
    raise DataError(f"the images have {len(counts)} {what}", some(lines), hint)


def _sizes(headers: Sequence[Header]) -> str:
    """`32×32`, or `12×16 to 480×640` by area."""
    sizes = sorted({(header.height * header.width, header.height, header.width) for header in headers})
    ends = [f"{height}×{width}" for _, height, width in (sizes[0], sizes[-1])]
    return ends[0] if len(sizes) == 1 else " to ".join(ends)
