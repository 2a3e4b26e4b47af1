"""What an image file says of itself before it is decoded: its format, size, depth and orientation."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import simplejpeg
from PIL import ExifTags
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tensorize.loaders.images import png

HEAD = 64 << 10
"""Bytes of a JPEG that are read for its header; the rest is read only where that is not enough."""

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


_PLAINLY = {
    "not identified by this driver": "its header holds values that the format does not have",
    "cannot load this image": "it holds no pixels",
}
"""Words of Pillow that tell a user nothing → what they mean."""


class ImageError(ValueError):
    """One image that cannot be used, and why. What a user sees is a DataError over all of them."""


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


def read_file(path: str, limit: int | None = None) -> bytes:
    """The bytes of a file, at most `limit`. Raises ImageError where it cannot be read or is empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            data = os.read(descriptor, limit or os.fstat(descriptor).st_size)
            while limit is None and (more := os.read(descriptor, HEAD)):
                data += more
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ImageError(f"it cannot be read: {error.strerror}") from error
    if not data:
        raise ImageError("the file is empty")
    return data


def read_header(path: str, max_pixels: int) -> Header:
    """Read the header of one file. Raises ImageError for what is no image, is damaged, too large, or cannot be read exactly."""
    head = read_file(path, HEAD)
    header = _jpeg_header(head) if format_of(head) == "JPEG" else None
    if header is None:
        header = header_of(head if len(head) < HEAD else read_file(path))
    if header.height * header.width > max_pixels:
        raise ImageError(f"{header.height}×{header.width} is more than {max_pixels:,} pixels (--max-pixels)")
    return header


def header_of(data: bytes) -> Header:
    """The header of a whole file in memory."""
    kind = format_of(data)
    if kind == "PNG":
        with decoding():
            png.check(data)
    return (_jpeg_header(data) if kind == "JPEG" else None) or _pillow_header(data, kind)


def format_of(data: bytes) -> str:
    """The format by the first bytes; the file's suffix has no say. Raises ImageError for an unknown one."""
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    raise ImageError("its first bytes are those of no known image format")


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
    except Exception as error:
        said = str(error) or type(error).__name__
        raise ImageError(_PLAINLY.get(said, said)) from error


def _jpeg_header(data: bytes) -> Header | None:
    """The header of a JPEG by libjpeg-turbo; None where it does not know that kind, or needs more bytes."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    orientation = _orientation(data) if b"Exif\0\0" in data else 1
    height, width = (width, height) if orientation > 4 else (height, width)
    cmyk = colours in ("CMYK", "YCCK")
    return Header("JPEG", height, width, 8, orientation, not cmyk, cmyk)


def _orientation(data: bytes) -> int:
    with decoding():
        return _valid(open_image(data, "JPEG").getexif().get(ExifTags.Base.Orientation))


def _valid(tag: object) -> int:
    """An orientation outside 1 to 8 says nothing, as the EXIF standard has it."""
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _pillow_header(data: bytes, kind: str) -> Header:
    with decoding():
        image = open_image(data, kind)
        bits = _bits(image, data)
        orientation = _valid(image.getexif().get(ExifTags.Base.Orientation)) if _has_exif(image, data) else 1
        width, height = image.size
        if orientation > 4:
            height, width = width, height
        more = bool(getattr(image, "is_animated", False))
        return Header(kind, height, width, bits, orientation, False, image.mode == "CMYK", more)


def _has_exif(image: ImageFile, data: bytes) -> bool:
    """Whether to ask for an orientation. Pillow turns a TIFF by itself, and decodes a PNG to look for a late EXIF."""
    if isinstance(image, TiffImageFile):
        return False
    return b"eXIf" in data if isinstance(image, PngImageFile) else True


def _bits(image: ImageFile, data: bytes) -> int:
    """8 or 16. Raises ImageError for samples that Pillow would cut or reinterpret without a word."""
    if isinstance(image, PngImageFile):
        return 16 if png.depth(data) == 16 else 8
    if isinstance(image, TiffImageFile):
        return _tiff_bits(image)
    return 8


def _tiff_bits(image: TiffImageFile) -> int:
    depths = tuple(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    if image.mode == "LAB":
        raise ImageError("its colours are in LAB; convert it to RGB")
    if max(depths) <= 8:
        return 8
    if image.mode.startswith("I;16") and depths == (16,) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 1:
        return 16
    raise ImageError(f"a TIFF of {'+'.join(map(str, depths))} bits ({image.mode}) cannot be read exactly; convert it to PNG")


def size_of(path: str) -> int:
    """Bytes of a file; 0 where it has gone."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
