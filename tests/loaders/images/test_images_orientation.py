"""The orientation of an image, wherever its format can keep it: the pixels stand as Pillow turns them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tensorize import prepare

PIXELS = np.kron(np.random.default_rng(0).integers(0, 256, (3, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def saved(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def xmp(orientation: int, element: bool = False) -> bytes:
    """As an attribute, or as an element: software writes both."""
    text = f"><tiff:Orientation>{orientation}</tiff:Orientation>" if element else f' tiff:Orientation="{orientation}">'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description{text}</rdf:Description></x:xmpmeta>'.encode()


def png(name: bytes, body: bytes, late: bool = False) -> bytes:
    """A PNG with one more chunk, before or after its pixels."""
    data = saved("PNG")
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    at = len(data) - 12 if late else 33
    return data[:at] + chunk + data[at:]


def profile(orientation: int) -> bytes:
    """EXIF as ImageMagick writes it into a text of a PNG."""
    return f"\nexif\n{len(exif(orientation)):8}\n{exif(orientation).hex()}\n".encode()


def jpeg(orientation: int) -> bytes:
    """A JPEG whose XMP follows the size of the image, behind more than what is read at first."""
    data, comment = saved("JPEG"), b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp(orientation)
    at = data.index(b"\xff\xda")
    return data[:at] + comment + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[at:]


WAYS = {
    "raw-text.png": lambda turn: png(b"tEXt", b"Raw profile type exif\0" + profile(turn)),
    "raw-packed.png": lambda turn: png(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile(turn))),
    "raw-late.png": lambda turn: png(b"tEXt", b"Raw profile type exif\0" + profile(turn), late=True),
    "exif-late.png": lambda turn: png(b"eXIf", exif(turn).removeprefix(b"Exif\0\0"), late=True),
    "xmp.png": lambda turn: png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turn)),
    "xmp-packed.png": lambda turn: png(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(turn, True)), late=True),
    "xmp.jpg": lambda turn: saved("JPEG", xmp=xmp(turn)),
    "xmp-progressive.jpg": lambda turn: saved("JPEG", xmp=xmp(turn, True), progressive=True),
    "xmp-and-exif.jpg": lambda turn: saved("JPEG", xmp=xmp(turn), exif=exif(3)),
    "xmp-late.jpg": jpeg,
    "xmp.webp": lambda turn: saved("WEBP", lossless=True, xmp=xmp(turn)),
    "xmp.tif": lambda turn: saved("TIFF", tiffinfo={700: xmp(turn)}),
    "xmp-packed.tif": lambda turn: saved("TIFF", compression="tiff_lzw", tiffinfo={700: xmp(turn, True)}),
    "tag.tif": lambda turn: saved("TIFF", tiffinfo={0x0112: turn}),
}


@pytest.mark.parametrize("turn", [1, 2, 3, 6, 7, 8])
@pytest.mark.parametrize("name", WAYS)
def test_an_orientation_is_found_wherever_it_is(tmp_path: Path, name: str, turn: int) -> None:
    data = WAYS[name](turn)
    (tmp_path / name).write_bytes(data)
    found = prepare("images", tmp_path, normalize="none", dtype="uint8").numpy("images")[0]
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(found, np.asarray(upright).transpose(2, 0, 1))
    assert turn == 1 or name == "xmp-and-exif.jpg" or not np.array_equal(found, PIXELS.transpose(2, 0, 1))


def test_no_orientation_outside_1_to_8(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(9)))
    assert np.array_equal(
        prepare("images", tmp_path, normalize="none", dtype="uint8").numpy("images")[0], PIXELS.transpose(2, 0, 1)
    )
