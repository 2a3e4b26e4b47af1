"""From the bytes of one image to upright pixels of the channels, depth and size that were asked for."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, ImageOps
from PIL.Image import Resampling
from PIL.PngImagePlugin import PngImageFile

from tensorize.core.contracts import Array
from tensorize.loaders.images import png
from tensorize.loaders.images.errors import ImageError, TransparentError
from tensorize.loaders.images.header import Header, decoding, open_image
from tensorize.loaders.images.options import ImagesOptions

Size = tuple[int, int]
"""Height and width."""

_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)
"""ITU-R 601 luma, .299 .587 .114 in 16 bits, as Pillow's `convert("L")` has it."""


class Decoded(NamedTuple):
    """One finished image: (height, width, channel) uint8 or uint16; one channel where it is gray, whatever was asked for."""

    pixels: Array
    translucent: bool
    """It had transparent pixels, which were handled as `--alpha` says."""


class Room(threading.local):
    """Memory that a thread decodes into again and again: new pages for each image cost a tenth of decoding it."""

    held = np.empty(0, dtype=np.uint8)

    def of(self, size: int) -> Array:
        """(byte) uint8: `size` bytes, good until this thread asks again."""
        if len(self.held) < size:
            self.held = np.empty(size, dtype=np.uint8)
        return self.held[:size]


def decode(data: bytes, header: Header, least: Size | None = None, room: Room | None = None) -> Array:
    """The upright pixels of a file, (height, width, channel) uint8 or uint16.

    1 channel is gray, 2 gray and alpha, 3 RGB, 4 RGBA. With `least` a JPEG may be shrunk by 2, 4 or 8 as it is decoded,
    to no less than that height and width. With `room` the pixels are good until this thread decodes another file into it.
    Raises ImageError if the file is damaged.
    """
    if not header.turbo:
        least = None
    turned = (least[1], least[0]) if least and header.orientation > 4 else least
    pixels = _by_turbo(data, header, turned, room or Room()) if header.turbo else _samples(data, header)
    if header.format == "PNG":
        with decoding():
            png.check_rows(data, pixels)
    if header.orientation > 1:
        pixels = _upright(pixels, header.orientation)
    if least is None and pixels.shape[:2] != (header.height, header.width):
        raise ImageError(f"its header says {header.height}×{header.width}, its pixels are {pixels.shape[0]}×{pixels.shape[1]}")
    return pixels


def finish(pixels: Array, options: ImagesOptions) -> Decoded:
    """(height, width, 1 to 4) → alpha, channels and size as the options say, in that order. Raises TransparentError."""
    flat, translucent = _without_alpha(pixels, options.alpha)
    coloured = _luma(flat) if options.channels == "gray" else flat
    return Decoded(_resized(coloured, options), translucent)


def least_of(header: Header, options: ImagesOptions) -> Size | None:
    """How far a decoder may shrink this image, by the options; None if it must not."""
    size = options.height_and_width
    return least_size(header, size, options.fit) if options.scaled_decode and size is not None else None


def least_size(header: Header, size: Size, fit: str) -> Size | None:
    """What is left to resize from if a decoder shrinks first: (height, width); None if that is over half the image."""
    height, width = size[0] / header.height, size[1] / header.width
    share = max(height, width) if fit == "crop" else min(height, width)
    shares = (height, width) if fit == "stretch" else (share, share)
    if max(shares) > 0.5:
        return None
    return math.ceil(header.height * shares[0]), math.ceil(header.width * shares[1])


def _by_turbo(data: bytes, header: Header, least: Size | None, room: Room) -> Array:
    """The usual JPEG: (height, width, 3), in `room`.

    Strict: what libjpeg would only warn of is an error.
    """
    height, width = least or (0, 0)
    factor = 2 if least else 1
    into = room.of(-(-header.height // factor) * -(-header.width // factor) * 3)
    try:
        return np.asarray(
            simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width, min_factor=factor, buffer=into)
        )
    except ValueError as error:
        raise ImageError(str(error)) from error


def _samples(data: bytes, header: Header) -> Array:
    """The first frame of any other image, (height, width, channel)."""
    with decoding():
        if header.format == "PNG" and png.is_gray(data):
            return png.gray(data)
        if header.format == "PNG" and header.bits == 16:
            return png.deep(data)
        if header.format == "JPEG" and header.cmyk:
            simplejpeg.decode_jpeg(data, "CMYK")  # Pillow turns the colours, but is silent about damage
        return _by_pillow(open_image(data, header.format), header.bits)


def _by_pillow(image: Image.Image, bits: int) -> Array:
    image.load()
    if isinstance(image, PngImageFile) and image.mode == "P" and image.palette is not None:
        png.check_palette(image)
    if bits == 16:
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def _upright(pixels: Array, orientation: int) -> Array:
    """Turn (height, width, channel) by the EXIF orientation, without touching a value.

    The eight are made of two moves: swap height and width, and reverse either.
    Source: CIPA DC-008 (Exif 3.0), tag 274.
    """
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]


def _without_alpha(pixels: Array, policy: str) -> tuple[Array, bool]:
    """(height, width, 1 to 4) → (height, width, 1 or 3), and whether any pixel was transparent."""
    if pixels.shape[2] in (1, 3):
        return pixels, False
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    top = int(np.iinfo(pixels.dtype).max)
    if bool((alpha == top).all()):
        return colours, False
    if policy == "error":
        raise TransparentError(f"{int((alpha < top).sum()):,} of {alpha.size:,} pixels are transparent")
    return (colours if policy == "drop" else _laid_on(colours, alpha, top if policy == "white" else 0, top)), True


def _laid_on(colours: Array, alpha: Array, ground: int, top: int) -> Array:
    """Colour · alpha + ground · (1 − alpha), rounded to the nearest; exact in uint32 for 8 and 16 bits."""
    weight = alpha.astype(np.uint32)
    mixed: Array = (colours * weight + np.uint32(ground) * (top - weight) + top // 2) // top
    return mixed.astype(colours.dtype)


def _luma(pixels: Array) -> Array:
    """(height, width, 1 or 3) → (height, width, 1)."""
    if pixels.shape[2] == 1:
        return pixels
    return ((pixels.astype(np.uint32) @ _LUMA + 0x8000) >> 16).astype(pixels.dtype)[..., None]


def _resized(pixels: Array, options: ImagesOptions) -> Array:
    size = options.height_and_width
    if size is None or pixels.shape[:2] == size:
        return pixels
    if pixels.dtype == np.uint8:
        image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        return np.asarray(_fitted(image, size, options.fit)).reshape(*size, -1)
    planes = [_fitted(Image.fromarray(plane.astype(np.float32)), size, options.fit) for plane in np.moveaxis(pixels, 2, 0)]
    rounded: Array = np.rint(np.stack([np.asarray(plane) for plane in planes], axis=2)).astype(np.uint16)
    return rounded


def _fitted(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """Bilinear with antialiasing: Pillow widens the kernel by the factor of reduction."""
    height, width = size
    if fit == "stretch":
        return image.resize((width, height), Resampling.BILINEAR)
    if fit == "pad":
        return ImageOps.pad(image, (width, height), Resampling.BILINEAR, color=0)
    return ImageOps.fit(image, (width, height), Resampling.BILINEAR)
