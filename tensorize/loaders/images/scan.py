"""A source of images that was looked through: headers first, then pixels in chunks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from tensorize.core.contracts import Array, Facts, Run
from tensorize.core.errors import plural
from tensorize.core.schema import Schema
from tensorize.core.threads import ordered_map
from tensorize.engine.scratch import Scratch
from tensorize.loaders.images.error import ImageError
from tensorize.loaders.images.faults import Fault, leave_out, refuse
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.headers import agreed, all_faults, caught, read_headers
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.pool import Decoder
from tensorize.loaders.images.source import Files, Source, open_source

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

CHUNK_BYTES = 4 << 20
"""Decoded bytes of a chunk: fixed, so that its borders are."""


class Chunk(NamedTuple):
    """Finished images of rows `start`, `start + 1`, …: (row, channel, height, width) uint8 or uint16."""

    start: int
    images: Array


class _Batch(NamedTuple):
    chunk: Chunk
    faults: list[Fault]
    translucent: int


def scan(source: Any, options: ImagesOptions, run: Run, applied: bool) -> ImageScan:
    """See `Images.scan`. `applied`: for a recipe, which makes one set whatever the folders are called."""
    opened = open_source(source, options.limits)
    if applied and isinstance(opened, Files):
        opened = replace(opened, listing=replace(opened.listing, splits=None))
    found = read_headers(opened, run)
    if run.rejects.skip:
        found = [_fitting(item, options) for item in found]
    faults = [Fault(row, item) for row, item in enumerate(found) if isinstance(item, ImageError)]
    decoder = Decoder(options)
    try:
        if faults and not run.rejects.skip:
            refuse(opened, all_faults(opened, found, decoder.decode, run))
        if len(faults) == len(found):
            leave_out(opened, faults, run.rejects)
        made = ImageScan(opened, found, decoder, options, run)
    except BaseException:
        decoder.close()
        raise
    if run.rejects.skip:
        try:
            made.settle(faults)
        except BaseException:
            made.close()
            raise
    return made


def _fitting(item: Header | ImageError, options: ImagesOptions) -> Header | ImageError:
    """A header, or what is wrong with it in the light of what was declared."""
    if isinstance(item, Header) and item.bits == 16 and options.dtype == "uint8":
        return ImageError("it has 16 bits a sample, which uint8 cannot hold", "depth")
    return item


class ImageScan:
    """The images of a source: what their headers say, and their pixels in chunks. Closing it drops the scratch file.

    `rows` (image) int64 are the positions of the images in the source, of which some may be left out.
    """

    schema = Schema()

    def __init__(
        self, source: Source, found: Sequence[Header | ImageError], decoder: Decoder, options: ImagesOptions, run: Run
    ) -> None:
        self.translucent = 0
        """Images whose transparent pixels were handled; known once the chunks have been gone through."""
        self._given, self._decoder, self._options, self._run = source, decoder, options, run
        self._headers = [item for item in found if isinstance(item, Header)]
        self.rows = np.array([row for row, item in enumerate(found) if isinstance(item, Header)], dtype=np.int64)
        self.source = source if len(self.rows) == len(found) else source.only(self.rows)
        self.shape = agreed(self.source, self._headers, options)
        self._scratch = Scratch(run.engine.store.folder)
        self._kept: list[tuple[int, int, int]] = []
        self._settled = False

    def settle(self, faults: Sequence[Fault]) -> None:
        """Decode everything, keep what is good, and hand in the rest, with the `faults` that are known.

        Raises DataError where too much is bad.
        """
        more: list[Fault] = []
        good = np.ones(len(self.rows), dtype=bool)
        for batch in self._batches():
            start, images = batch.chunk
            good[[fault.row for fault in batch.faults]] = False
            fine = good[start : start + len(images)]
            if fine.any():
                self.keep(Chunk(int(good[:start].sum()), images if fine.all() else images[fine]))
            more += [Fault(int(self.rows[fault.row]), fault.error) for fault in batch.faults]
            self.translucent += batch.translucent
        leave_out(self._given, [*faults, *more], self._run.rejects)
        kept = np.flatnonzero(good)
        self._headers = [self._headers[row] for row in kept]
        self.rows, self.source = self.rows[kept], self.source.only(kept)
        self._settled = True

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
        listing = self.source.listing
        skipped = listing.skipped
        if skipped:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(skipped.items()))
            yield f"skipped {plural(sum(skipped.values()), 'file')} that are no images: {kinds}"
        more = sum(header.more for header in self._headers)
        if more:
            yield f"{plural(more, 'image')} with several frames or pages: the first one is taken"
        lost = set(self._given.listing.classes or ()) - set(listing.classes or ())
        if lost:
            yield f"no image is left of the {plural(len(lost), 'class', 'classes')} {', '.join(sorted(lost))}"
        misnamed = sum(
            _FORMATS.get(os.path.splitext(path)[1].lower(), header.format) != header.format
            for path, header in zip(listing.files, self._headers, strict=False)
        )
        if misnamed:
            yield f"{plural(misnamed, 'image')} of another format than the name says, read as what they are"
        cmyk = sum(header.cmyk for header in self._headers)
        if cmyk:
            yield f"{plural(cmyk, 'CMYK image')} turned to RGB without a colour profile"

    def chunks(self) -> Iterator[Chunk]:
        """Decode everything, in threads, in order.

        Raises DataError, once all have been looked at, that names every image which cannot be used.
        """
        if self._settled:
            yield from self.kept()
            return
        faults: list[Fault] = []
        translucent = 0
        for batch in self._batches():
            faults += batch.faults
            translucent += batch.translucent
            if not faults:
                yield batch.chunk
        refuse(self.source, faults)
        self.translucent = translucent

    def _batches(self) -> Iterator[_Batch]:
        for batch in ordered_map(self._decode, self._spans(), self._run.engine.workers):
            self._run.report("decode", batch.chunk.start + len(batch.chunk.images), len(self._headers))
            yield batch

    def keep(self, chunk: Chunk) -> None:
        """Keep a chunk in scratch, for `kept`, unless that was done."""
        if self._settled:
            return
        at = self._scratch.append(chunk.images.data.cast("B"))
        self._kept.append((chunk.start, len(chunk.images), at))

    def kept(self) -> Iterator[Chunk]:
        """The chunks again: out of scratch where they were kept, decoded where not."""
        if not self._kept:
            yield from self.chunks()
            return
        for start, rows, at in self._kept:
            yield self._read(start, rows, at)

    def drained(self) -> Iterator[Chunk]:
        """`kept` for the last time: what was kept in scratch is given back as it is read."""
        if not self._kept:
            yield from self.chunks()
            return
        kept, self._kept = self._kept, []
        for start, rows, at in kept:
            yield self._read(start, rows, at)
            self._scratch.forget(at)

    def _read(self, start: int, rows: int, at: int) -> Chunk:
        data = self._scratch.read(at, rows * self._row_bytes)
        return Chunk(start, np.frombuffer(data, self._dtype).reshape(rows, *self._row_shape))

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
        images = np.empty((len(rows), *self._row_shape), dtype=self._dtype)
        faults: list[Fault] = []
        translucent = 0
        loaded = [caught(self.source.load, row) for row in rows]
        for at, (row, data) in enumerate(zip(rows, loaded, strict=True)):
            try:
                if isinstance(data, ImageError):
                    raise data
                pixels, clear = self._decoder.finished(self.source, row, data, self._headers[row])
                images[at] = pixels.transpose(2, 0, 1)
                translucent += clear
            except ImageError as error:
                faults.append(Fault(row, error))
        return _Batch(Chunk(rows.start, images), faults, translucent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._scratch.close()
        self._kept.clear()
        self._decoder.close()


def _sizes(headers: Sequence[Header]) -> str:
    """`32×32`, or `12×16 to 480×640` by area."""
    sizes = sorted({(header.height * header.width, header.height, header.width) for header in headers})
    ends = [f"{height}×{width}" for _, height, width in (sizes[0], sizes[-1])]
    return ends[0] if len(sizes) == 1 else " to ".join(ends)
