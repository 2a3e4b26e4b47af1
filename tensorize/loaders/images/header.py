"""What an image file says about itself before it is decoded: format, size, depth, orientation and frames."""

from __future__ import annotations

import io
import logging
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import simplejpeg
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ROWSPERSTRIP,
    SAMPLESPERPIXEL,
    STRIPOFFSETS,
    TILEOFFSETS,
    TiffImageFile,
)
from PIL.WebPImagePlugin import WebPImageFile

from tensorize.core.units import size
from tensorize.loaders.images import png
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.options import Limits

logging.getLogger("PIL").addHandler(logging.NullHandler())
"""What Pillow logs of a damaged file is told by name; without a handler it would be printed."""

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe that is called like an image must not keep the run waiting."""

HEAD = 64 << 10
"""Bytes of a JPEG that are read for its header; the rest is read only where that is not enough."""
_SCAN = b"\xff\xda"
"""Where the pixels of a JPEG begin."""

_OPENERS: dict[str, type[ImageFile]] = {
    "PNG": PngImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
    "WebP": WebPImageFile,
    "JPEG": JpegImageFile,
}
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    png.SIGNATURE: "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}

_TILE_WIDTH, _TILE_HEIGHT = 322, 323

_NO_MEMORY = "decoder error -9"
"""How Pillow says that libtiff could not allocate what the file asks for."""

_PLAINLY = {
    "not identified by this driver": "its header holds values that the format does not have",
    "cannot load this image": "it holds no pixels",
    "decoder error -2": "its pixel data are damaged",
    "Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK": "a text or profile in it unpacks to more than 1 MB",
}
"""Unhelpful words of Pillow → what they mean."""


class Header(NamedTuple):
    """One image: its format, and its size in pixels once it stands upright."""

    format: str
    height: int
    width: int
    bits: int = 8
    """8 or 16, for each sample."""
    orientation: int = 1
    """The EXIF tag, 1 to 8: how the decoded pixels still have to be turned."""
    turbo: bool = False
    """libjpeg-turbo decodes it straight to RGB."""
    cmyk: bool = False
    more: bool = False
    """There are other frames or pages after the first."""


def read_file(path: str, most: int, limit: int | None = None) -> tuple[bytes, os.stat_result]:
    """The bytes of a file, at most `limit`, and its status.

    Raises ImageError if it cannot be read, is not a regular file, is empty, or has more than `most` bytes.
    """
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("it is no regular file", "unreadable")
            if status.st_size > most:
                raise ImageError(f"the file has {size(status.st_size)}, more than {size(most)} (--max-memory)", "memory")
            data = os.read(descriptor, limit or status.st_size)
            while limit is None and len(data) <= most and (more := os.read(descriptor, HEAD)):
                data += more
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ImageError(f"it cannot be read: {error.strerror}", "unreadable") from error
    if not data:
        raise ImageError("the file is empty", "empty")
    return data, status


def read_header(path: str, limits: Limits) -> tuple[Header, os.stat_result, bytes]:
    """Read the header of one file; return it, the status of the file, and the bytes from which it was told.

    Raises ImageError if it is not an image, is damaged, too large, or cannot be read exactly.
    """
    head, status = read_file(path, limits.memory, HEAD)
    whole = len(head) < HEAD or _scan_start(head) < HEAD
    header = _jpeg_header(head) if whole and format_of(head) == "JPEG" else None
    if header is None:
        if len(head) == HEAD:
            head, status = read_file(path, limits.memory)
        header = header_of(head, limits.frames)
    if header.height * header.width > limits.pixels:
        raise ImageError(f"{header.height}×{header.width} is more than {limits.pixels:,} pixels (--max-pixels)", "pixels")
    return header, status, head


def header_of(data: bytes, most_frames: int) -> Header:
    """The header of a whole file in memory. Raises ImageError."""
    kind = format_of(data)
    if kind == "PNG":
        with decoding():
            png.check_chunks(data)
    return (_jpeg_header(data) if kind == "JPEG" else None) or _pillow_header(data, kind, most_frames)


def format_of(data: bytes) -> str:
    """The format by the first bytes; the file's suffix has no say. Raises ImageError for an unknown one."""
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    raise ImageError("its first bytes are those of no known image format", "format")


def open_image(data: bytes, kind: str) -> ImageFile:
    """Open with Pillow's reader of that format, which says what is wrong where `Image.open` only says that something is."""
    return _OPENERS[kind](io.BytesIO(data))


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever a decoder raises into ImageError: damaged files make them raise nearly anything."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("it has more pixels than its decoder takes (--max-pixels)", "pixels") from error
    except Exception as error:
        said = str(error) or type(error).__name__
        if said == _NO_MEMORY:
            raise MemoryError(said) from error
        raise ImageError(_PLAINLY.get(said, said)) from error


def _jpeg_header(data: bytes) -> Header | None:
    """The header of a JPEG by libjpeg-turbo; None if it does not know that kind, or needs more bytes."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    orientation = _orientation(data) if _may_be_turned(data[: _scan_start(data)]) else 1
    height, width = (width, height) if orientation > 4 else (height, width)
    cmyk = colours in ("CMYK", "YCCK")
    return Header("JPEG", height, width, 8, orientation, not cmyk, cmyk)


def _scan_start(data: bytes) -> int:
    """Where the pixels start, behind segments that tell how long they are (ITU-T T.81, B.1.1); the end where they do not."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at : at + 2] != _SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at if data[at : at + 2] == _SCAN else len(data)


_ORIENTED = (b"Exif\0\0", b"tiff:Orientation", b"eXIf", b"Raw profile type ", b"XML:com.adobe.xmp")
"""What a JPEG or PNG with an orientation holds: the tag in EXIF or XMP, or a chunk that may be compressed."""


def _may_be_turned(data: bytes) -> bool:
    """Whether to ask for an orientation, which takes a second look at a JPEG and decodes a PNG, as it may follow the pixels."""
    return any(mark in data for mark in _ORIENTED)


def _orientation(data: bytes) -> int:
    with decoding(), warnings.catch_warnings(action="ignore"):
        return _valid(open_image(data, "JPEG").getexif().get(ExifTags.Base.Orientation))


def _valid(tag: object) -> int:
    """An orientation outside 1 to 8 says nothing, as the EXIF standard has it. A rational 6/1 is a 6."""
    return next((value for value in range(2, 9) if value == tag), 1)


def _pillow_header(data: bytes, kind: str, most_frames: int) -> Header:
    with decoding(), warnings.catch_warnings(action="ignore"):
        image = open_image(data, kind)
        frames = _frames(image, data, kind, most_frames + 1)
        if frames > most_frames:
            raise ImageError(f"it has more than {most_frames:,} frames or pages (--max-frames)", "frames")
        bits = _bits(image, data)
        orientation, height, width = _standing(image, data)
        return Header(kind, height, width, bits, orientation, False, image.mode == "CMYK", frames > 1)


def _standing(image: ImageFile, data: bytes) -> tuple[int, int, int]:
    """How the decoded pixels still have to be turned, and the height and width once they stand.

    Pillow turns a TIFF by itself; the size that it tells before counts the TIFF's own tag only, not one in XMP.
    """
    width, height = image.size
    if isinstance(image, PngImageFile) and not _may_be_turned(data):
        return 1, height, width
    if isinstance(image, TiffImageFile) and (ExifTags.Base.Orientation in image.tag_v2 or "xmp" not in image.info):
        return 1, height, width
    orientation = _valid(image.getexif().get(ExifTags.Base.Orientation))
    if orientation > 4:
        height, width = width, height
    return 1 if isinstance(image, TiffImageFile) else orientation, height, width


def _frames(image: ImageFile, data: bytes, kind: str, most: int) -> int:
    """Frames or pages, counted up to `most` where they have to be counted."""
    if kind in ("GIF", "TIFF"):
        return (_count_gif if kind == "GIF" else _count_tiff)(data, most)
    return int(getattr(image, "n_frames", 1))


def _bits(image: ImageFile, data: bytes) -> int:
    """8 or 16. Raises ImageError for samples that Pillow would silently truncate or reinterpret."""
    if isinstance(image, PngImageFile):
        return 16 if png.depth(data) == 16 else 8
    if isinstance(image, TiffImageFile):
        return _tiff_bits(image)
    return 8


def _count_gif(data: bytes, most: int) -> int:
    """Frames of a GIF, at most `most`. A truncated file ends the count: the decoder reports it.

    Source: GIF89a specification, 18 to 27.
    """
    return sum(1 for _ in islice(_gif_frames(data), most))


def _count_tiff(data: bytes, most: int) -> int:
    """Pages of a TIFF, at most `most`. Raises ValueError for a list of pages that leads back into itself.

    Source: TIFF revision 6.0, section 2; BigTIFF as libtiff has it.
    """
    return sum(1 for _ in islice(_tiff_pages(data), most))


def _gif_frames(data: bytes) -> Iterator[int]:
    at = 13 + _colour_table_bytes(data[10])
    try:
        while data[at] != 0x3B:
            if data[at] == 0x2C:
                yield at
                at += 11 + _colour_table_bytes(data[at + 9])
            else:
                at += 2
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        return


def _colour_table_bytes(packed: int) -> int:
    """Bytes of a colour table."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _tiff_pages(data: bytes) -> Iterator[int]:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
        while at:
            if at in seen:
                raise ValueError("its list of pages leads back into itself")
            seen.add(at)
            yield at
            (tags,) = struct.unpack_from(order + count, data, at)
            (at,) = struct.unpack_from(order + offset, data, at + struct.calcsize(count) + tags * entry)
    except struct.error:
        return


def _tiff_bits(image: TiffImageFile) -> int:
    """8 or 16. Raises ImageError for samples that Pillow would silently truncate, reinterpret or leave black."""
    _check_strips(image)
    depths = tuple(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    if image.mode == "LAB":
        raise ImageError("its colours are in LAB; convert it to RGB", "unsupported")
    if max(depths) <= 8:
        return 8
    if image.mode.startswith("I;16") and depths == (16,) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 1:
        return 16
    said = "+".join(map(str, depths))
    raise ImageError(f"a TIFF of {said} bits ({image.mode}) cannot be read exactly; convert it to PNG", "unsupported")


def _check_strips(image: TiffImageFile) -> None:
    """Raise ImageError if there are fewer strips or tiles than the image has: Pillow leaves the rest black."""
    tags = image.tag_v2
    width, height = tags[IMAGEWIDTH], tags[IMAGELENGTH]
    if TILEOFFSETS in tags:
        across, down, found = tags.get(_TILE_WIDTH, width), tags.get(_TILE_HEIGHT, height), len(_several(tags[TILEOFFSETS]))
    else:
        across, down, found = width, tags.get(ROWSPERSTRIP, height), len(_several(tags.get(STRIPOFFSETS, ())))
    planes = tags.get(SAMPLESPERPIXEL, 1) if tags.get(PLANAR_CONFIGURATION) == 2 else 1
    wanted = -(-width // max(across, 1)) * -(-height // max(down, 1)) * planes
    if found < wanted:
        raise ImageError(f"it has {found:,} of its {wanted:,} strips or tiles")


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
