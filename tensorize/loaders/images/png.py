"""What Pillow does not check or keep of PNG: the checksums of all chunks, 16-bit samples, and transparency by a gray value."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from tensorize.core.contracts import Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY = 0
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type → samples of a pixel."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: first column and row, and the step to the next ones."""
_LOW_BYTES = {"RGB;16B": ("RGB", "RGB;16L"), "RGBA;16B": ("RGBA", "RGBA;16L")}
"""Raw mode that keeps the high byte of each sample → the mode and raw mode that keep the low one."""


def depth(data: bytes) -> int:
    """Bits of a sample (of a palette index, where there is a palette): 1, 2, 4, 8 or 16."""
    return data[24]


def check_chunks(data: bytes) -> None:
    """Raise ValueError if a chunk is cut off or its checksum is wrong: Pillow looks at neither for pixel data.

    Source: PNG specification (third edition), 5.3 chunk layout.
    """
    name = b""
    for name, body, checksum in _chunks(data):
        if zlib.crc32(body, zlib.crc32(name)) != checksum:
            raise ValueError(f"the checksum of its {name.decode('latin-1')} chunk is wrong")
    if name != b"IEND":
        raise ValueError("the file is truncated: it has no IEND chunk")


def check_rows(data: bytes, pixels: Array) -> None:
    """Raise ValueError if the data of `pixels` (height, width, …) end before the last row: Pillow leaves the rest black.

    They are unpacked a second time, unless the last row tells that they are whole.
    """
    interlaced, last = data[28] != 0, pixels[-1]
    if interlaced or (last == last[0]).all():
        size = sum(_pass_bytes(data, *start_and_step) for start_and_step in (_PASSES if interlaced else ((0, 0, 1, 1),)))
        if _unpacked(data, size) < size:
            raise ValueError("its pixel data end before the last row")


def check_palette(image: PngImageFile) -> None:
    """Raise ValueError if pixels point beyond the palette: Pillow takes black."""
    colours = len(image.palette.palette) // 3 if image.palette is not None else 0
    largest = image.getextrema()[1]
    if isinstance(largest, int) and largest >= colours:
        raise ValueError(f"a pixel has the colour {largest} of a palette of {colours}")


def _pass_bytes(data: bytes, left: int, top: int, across: int, down: int) -> int:
    """Bytes of one pass over the image: each row has a filter byte first. Source: PNG specification, 7 and 8."""
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    columns, rows = -(-(width - left) // across), -(-(height - top) // down)
    return rows * (1 + -(-columns * bits * _SAMPLES[colour] // 8)) if columns > 0 and rows > 0 else 0


def _unpacked(data: bytes, most: int) -> int:
    """Bytes that the pixel data unpack to, counted up to `most`."""
    inflate, count = zlib.decompressobj(), 0
    for name, body, _ in _chunks(data):
        packed = bytes(body) if name == b"IDAT" else b""
        while packed and count < most:
            count += len(inflate.decompress(packed, 1 << 20))
            packed = inflate.unconsumed_tail
    return count


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    at, view = len(SIGNATURE), memoryview(data)
    while at + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = view[at + 8 : at + 8 + size]
        if at + 12 + size > len(data):
            raise ValueError(f"the file is truncated in its {name.decode('latin-1')} chunk")
        yield name, body, struct.unpack_from(">I", data, at + 8 + size)[0]
        if name == b"IEND":
            return
        at += 12 + size


def is_gray(data: bytes) -> bool:
    """Colour type 0: gray without an alpha channel."""
    return data[25] == _GRAY


def gray(data: bytes) -> Array:
    """Decode gray of any depth, (height, width, 1 or 2) uint8 or uint16; 2 with transparency by a value.

    Pillow compares that value with samples it has scaled before, and finds none below 8 bits.
    """
    image = PngImageFile(io.BytesIO(data))
    bits = depth(data)
    full = np.uint16 if bits == 16 else np.uint8
    clear = image.info.get("transparency")
    values = np.asarray(image if bits == 16 else image.convert("L"), dtype=full)[..., None]
    if clear is None:
        return values
    scale = 1 if bits >= 8 else 255 // ((1 << bits) - 1)
    return _with_alpha(values, values == clear * scale)


def deep(data: bytes) -> Array:
    """Decode 16-bit colour, or 16-bit gray with alpha, exactly: (height, width, 2, 3 or 4) uint16.

    Pillow's own modes keep 8 bits. Its decoder undoes filters and interlace whatever the raw mode, so the file is
    decoded once for the high bytes and once for the low ones; gray with alpha is four bytes a pixel, as RGBA is.
    """
    image = PngImageFile(io.BytesIO(data))
    raw = image.tile[0].args
    if raw == "LA;16B":
        return _decoded(data, "RGBA", "RGBA").view(">u2").astype(np.uint16)
    values = np.asarray(image).astype(np.uint16) << 8 | _decoded(data, *_LOW_BYTES[str(raw)])
    clear: Any = image.info.get("transparency")
    return values if clear is None else _with_alpha(values, (values == clear).all(axis=2, keepdims=True))


def _decoded(data: bytes, mode: str, raw: str) -> Array:
    image = PngImageFile(io.BytesIO(data))
    image._mode = mode
    image.tile = [tile._replace(args=raw) for tile in image.tile]
    return np.array(image)


def _with_alpha(values: Array, clear: Array) -> Array:
    """Append an alpha channel: 0 where `clear` (height, width, 1), else full."""
    top = np.iinfo(values.dtype).max
    return np.concatenate([values, np.where(clear, 0, top).astype(values.dtype)], axis=2)
