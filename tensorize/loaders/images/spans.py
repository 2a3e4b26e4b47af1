"""Images in spans of a few MB: decoded by the workers of an engine, kept in its store, and finished.

Everything here can be pickled: a worker gets a function once, and a span with each call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tensorize.core.contracts import Array, ScratchStore
from tensorize.loaders.images.errors import Fault, ImageError, caught
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.normalize import Normalizer
from tensorize.loaders.images.pool import Decoder
from tensorize.loaders.images.source import Source
from tensorize.loaders.images.state import ImageShape
from tensorize.statistics.histograms import Histogram

SPAN_BYTES = 4 << 20
"""Decoded bytes of a span: fixed, so that its borders are."""


class Span(NamedTuple):
    """The images from row `start` on, with their headers; `train` (row) bool are those whose pixels are counted."""

    start: int
    source: Source
    headers: Sequence[Header]
    train: Array | None = None

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.start + len(self.headers)


class KeptSpan(NamedTuple):
    """`rows` decoded images from row `start` on, in the store under `ref`; `train` as in `Span`."""

    start: int
    rows: int
    ref: Any
    train: Array | None = None


class SpanFindings(NamedTuple):
    """What decoding a span found; `pixels` counts those of its train images, where there are any to count."""

    start: int
    stop: int
    """The rows of the span, in the whole set."""
    faults: Sequence[Fault] = ()
    translucent: int = 0
    """Images whose transparent pixels were handled as `--alpha` says."""
    pixels: Histogram | None = None


def spans_of(source: Source, headers: Sequence[Header], step: int, train: Array | None = None) -> Iterator[Span]:
    """All images, `step` at a time. `train` (row) bool, as in `Span`."""
    for start in range(0, len(headers), step):
        stop = min(start + step, len(headers))
        counted = None if train is None else train[start:stop]
        yield Span(start, source.between(start, stop), headers[start:stop], counted)


@dataclass(frozen=True)
class Form:
    """The form of every decoded image: (channel, height, width), in 8 or 16 bits a sample."""

    channels: int
    shape: ImageShape

    @property
    def size(self) -> tuple[int, int, int]:
        """(channel, height, width)."""
        return self.channels, self.shape.height, self.shape.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or uint16."""
        return np.dtype(np.uint8 if self.shape.bits == 8 else np.uint16)

    @property
    def step(self) -> int:
        """Images in a span."""
        return max(1, SPAN_BYTES // (int(np.prod(self.size)) * self.dtype.itemsize))

    @property
    def no_pixels(self) -> Histogram:
        """The counts of no pixel."""
        return Histogram.empty(self.channels, 1 << self.shape.bits)

    def counted(self, images: Array, train: Array | None) -> Histogram | None:
        """The counts of the train images among (row, channel, height, width); None if there are none."""
        if train is None or not train.any():
            return None
        return self.no_pixels.update(images if train.all() else images[train])


@dataclass(frozen=True)
class DecodeSpan:
    """A span → what was found, and `images` (row, channel, height, width) uint8 or uint16.

    With `skips` without those that cannot be used; otherwise these hold anything.
    """

    decoder: Decoder
    form: Form
    skips: bool = False

    def __call__(self, span: Span) -> tuple[SpanFindings, Mapping[str, Array]]:
        """All files are read before one is decoded: threads that do both by turns block each other."""
        images = np.empty((len(span.headers), *self.form.size), dtype=self.form.dtype)
        good, faults, translucent = np.ones(len(images), dtype=bool), list[Fault](), 0
        loaded = [caught(span.source.load, at) for at in range(len(images))]
        for at, data in enumerate(loaded):
            try:
                if isinstance(data, ImageError):
                    raise data
                decoded = self.decoder.finished(data, span.headers[at], span.source.name(at))
                images[at] = decoded.pixels.transpose(2, 0, 1)
                translucent += decoded.translucent
            except ImageError as error:
                faults.append(Fault(span.start + at, error))
                good[at] = False
        pixels = None if faults else self.form.counted(images, span.train)
        kept = images[good] if self.skips and faults else images
        return SpanFindings(span.start, span.stop, faults, translucent, pixels), {"images": kept}


@dataclass(frozen=True)
class CountSpan:
    """Kept images → the counts of the pixels of its train images; None if there are none."""

    store: ScratchStore
    form: Form

    def __call__(self, kept: KeptSpan) -> Histogram | None:
        return self.form.counted(self.store.load(kept.ref)["images"], kept.train)


@dataclass(frozen=True)
class FinishSpan:
    """A span, or kept images → what was found, and (row, channel, height, width) as they are written.

    normalizer: makes pixels into float32; None if they are written as they are.
    """

    decode: DecodeSpan
    store: ScratchStore
    normalizer: Normalizer | None

    def __call__(self, item: Span | KeptSpan) -> tuple[SpanFindings, Array]:
        if isinstance(item, KeptSpan):
            images, form = self.store.load(item.ref)["images"], self.decode.form
            found = SpanFindings(item.start, item.start + item.rows, pixels=form.counted(images, item.train))
        else:
            found, values = self.decode(item)
            images = values["images"]
        if self.normalizer is None or found.faults:
            return found, images
        return found, self.normalizer.normalized(images)
