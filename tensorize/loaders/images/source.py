"""Where the pixels come from: files, or arrays in memory, with the same interface."""

from __future__ import annotations

import os
import time
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.header import HEAD, Header, read_file, read_header
from tensorize.loaders.images.listing import Listing, list_images
from tensorize.loaders.images.options import Limits
from tensorize.sources.changes import source_changed

_TICK = 2_000_000_000
"""Nanoseconds: no file system has a coarser clock."""

_AXES = "(row, height, width) or (row, height, width, channel)"


class Source(Protocol):
    """Images in a fixed order."""

    @property
    def listing(self) -> Listing:
        """The images, with their classes and splits."""
        ...

    def size(self) -> int:
        """Bytes of the whole source."""
        ...

    def header(self, row: int) -> Header:
        """Return the format and size of an image, from its first bytes. Raises ImageError."""
        ...

    def name(self, row: int) -> str:
        """What a message calls an image: its file, or its place."""
        ...

    def load(self, row: int) -> Any:
        """What `Decoder.finished` takes: the bytes of a file, or the array itself.

        Raises ImageError, and DataError for a file that has changed since its header was read.
        """
        ...

    def only(self, rows: Array) -> Source:
        """The source of the images at the positions `rows` (row) int64 alone."""
        ...

    def between(self, start: int, stop: int) -> Source:
        """The source of the images `start:stop` alone, small enough to be sent to another process."""
        ...


@dataclass(frozen=True)
class Files:
    """Image files."""

    listing: Listing
    limits: Limits
    states: array[int]
    """(row) what tells the state that each file was in when its header was read."""
    sizes: array[int]
    """(row) bytes."""
    fresh: int
    """Nanoseconds since 1970: files that were written after this may have been written since they were looked at."""

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(self.sizes)

    def header(self, row: int) -> Header:
        """Read the header of a file, and note the file's state. Raises ImageError."""
        header, status, head = read_header(self.listing.files[row], self.limits)
        self.states[row], self.sizes[row] = self._state(status, head), status.st_size
        return header

    def name(self, row: int) -> str:
        """Return the path of the file, or its address."""
        return self.listing.called(row)

    def load(self, row: int) -> bytes:
        """Return the bytes of a file. Raises DataError if it has changed since its header was read."""
        path = self.listing.files[row]
        try:
            data, status = read_file(path, self.limits.memory)
        except ImageError as error:
            raise source_changed(self.name(row)) from error
        if self._state(status, data) != self.states[row]:
            raise source_changed(self.name(row))
        return data

    def _state(self, status: os.stat_result, data: bytes) -> int:
        """What a `Stamp` holds, as a number, since there are many images.

        A file that was written just before may change again within the same tick of its clock: its beginning counts, too.
        The same in every process, unlike the hash of bytes.
        """
        head = zlib.crc32(data[:HEAD]) if status.st_mtime_ns > self.fresh else 0
        return hash((status.st_ino, status.st_size, status.st_mtime_ns, head))

    def only(self, rows: Array) -> Files:
        """Return the source of the images at the positions `rows` (row) int64."""
        states, sizes = (array("q", np.array(values)[rows].tobytes()) for values in (self.states, self.sizes))
        return Files(self.listing.only(rows), self.limits, states, sizes, self.fresh)

    def between(self, start: int, stop: int) -> Files:
        """Return the source of the images `start:stop`."""
        listing = self.listing.between(start, stop)
        return Files(listing, self.limits, self.states[start:stop], self.sizes[start:stop], self.fresh)


@dataclass(frozen=True)
class Arrays:
    """Arrays in memory, each (height, width, channel)."""

    arrays: Sequence[Array]
    listing: Listing

    def size(self) -> int:
        """Return the bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays)

    def header(self, row: int) -> Header:
        """Return the height, width and bits of an array."""
        height, width, _ = self.arrays[row].shape
        return Header("array", height, width, 8 * self.arrays[row].itemsize)

    def name(self, row: int) -> str:
        """Return the place of the array, such as `image 3`."""
        return self.listing.paths[row]

    def load(self, row: int) -> Array:
        """Return the array, (height, width, channel)."""
        return self.arrays[row]

    def only(self, rows: Array) -> Arrays:
        """Return the source of the arrays at the positions `rows` (row) int64."""
        return Arrays([self.arrays[row] for row in rows], self.listing.only(rows))

    def between(self, start: int, stop: int) -> Arrays:
        """Return the source of the arrays `start:stop`."""
        return Arrays(self.arrays[start:stop], self.listing.between(start, stop))


def open_source(source: Any, limits: Limits) -> Source:
    """Files for a path, a glob or a list of paths; arrays for an array or tensor of images, or a list of them.

    Raises UsageError for a missing path, and for arrays of another dtype or shape than images have.
    """
    if _is_array(source):
        if source.ndim not in (3, 4):
            raise UsageError(f"an array of {source.ndim} axes is no set of images", hint=f"give {_AXES}, or a list of images")
        return _arrays(list(np.asarray(source)))
    if isinstance(source, list | tuple) and source and all(map(_is_array, source)):
        return _arrays([np.asarray(item) for item in source])
    if isinstance(source, list | tuple) and any(map(_is_array, source)):
        raise UsageError("a list of images holds arrays or paths, not both")
    listing = list_images(source)
    unknown = bytes(8 * len(listing.paths))
    return Files(listing, limits, array("q", unknown), array("q", unknown), time.time_ns() - _TICK)


def _arrays(images: Sequence[Array]) -> Arrays:
    names = [f"array {row}" for row in range(len(images))]
    found = [_image(image, row) for row, image in enumerate(images)]
    return Arrays(found, Listing(plural(len(names), "array"), (), names))


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "ndim")


def _image(image: Array, row: int) -> Array:
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"array {row} is {image.dtype}", hint="images are uint8 (0 to 255) or uint16 (0 to 65535)")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4 or 0 in image.shape:
        raise DataError(
            f"array {row} of shape {image.shape} is no image", hint="an image is (height, width), or has 1 to 4 channels last"
        )
    return image
