"""The headers of all images, before the first is decoded, and the shape on which they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, plural, some
from tensorize.core.threads import ordered_map
from tensorize.loaders.images.error import ImageError
from tensorize.loaders.images.faults import Fault
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.source import Source
from tensorize.loaders.images.state import Shape

T = TypeVar("T")

_REPORTED = 256


def read_headers(source: Source, run: Run) -> list[Header | ImageError]:
    """The header of every image, or what is wrong with it; equal headers are one object.

    One thread: reading a header is so short that threads would only wait for each other (measured: 25 µs to 42 µs).
    """
    rows = len(source.listing.paths)
    once: dict[Header, Header] = {}
    found: list[Header | ImageError] = []
    for row in range(rows):
        header = caught(source.header, row)
        found.append(header if isinstance(header, ImageError) else once.setdefault(header, header))
        if len(found) % _REPORTED == 0:
            run.report("headers", len(found), rows)
    return found


def caught(function: Callable[[int], T], row: int) -> T | ImageError:
    """The result for a row, or what is wrong with that image."""
    try:
        return function(row)
    except ImageError as error:
        return error


def all_faults(
    source: Source, found: Sequence[Header | ImageError], decode: Callable[[Source, int, Header], object], run: Run
) -> list[Fault]:
    """Once a header is bad the rest is decoded too, so that one message names every broken image."""

    def fault(row: int) -> Fault | None:
        item = found[row]
        if isinstance(item, ImageError):
            return Fault(row, item)
        error = caught(lambda row: decode(source, row, item), row)
        return Fault(row, error) if isinstance(error, ImageError) else None

    return [item for item in ordered_map(fault, range(len(found)), run.engine.workers) if item is not None]


def agreed(source: Source, headers: Sequence[Header], options: ImagesOptions) -> Shape:
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
