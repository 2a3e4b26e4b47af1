"""What one image may cost: pixels, frames, processor time and memory; and which images are decoded in a process apart.

The header bounds what a decoder can do. What is small enough by its header is decoded right here; what is not, and every
TIFF, whose tags can ask for anything, goes to a process that the system ends at the limit.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tensorize.loaders.images.header import Header

_PILLOW_BYTES = 24
"""Bytes for each pixel that Pillow and the code around it take at most: 22 for WebP and 23 for 16-bit RGBA, measured."""

_TURBO_BYTES = 16
"""The same for libjpeg-turbo: 3 for the pixels, 6 for the coefficients of a progressive image, 7 to resize it."""

_PILLOW_PIXELS, _TURBO_PIXELS = 4 << 20, 32 << 20
"""Up to here an image is decoded in well under a second, whatever it holds."""

_SCAN_WORK = 160_000_000_000
"""Bytes × pixels of a progressive JPEG up to which it takes at most a second: 0.1 ns a pixel and scan, 12 bytes a scan."""


class Limits(NamedTuple):
    """The most that one image may have or take."""

    pixels: int
    frames: int
    seconds: int
    """Of processor time, for those that are decoded in a process apart."""
    memory: int
    """Bytes."""

    def is_hard(self, header: Header, data: bytes) -> bool:
        """Whether a file is decoded in a process apart."""
        pixels = header.height * header.width
        if header.format == "TIFF":
            return True
        if header.turbo:
            if pixels > _TURBO_PIXELS or pixels * _TURBO_BYTES > self.memory:
                return True
        elif pixels > _PILLOW_PIXELS or pixels * _PILLOW_BYTES > self.memory:
            return True
        return header.format == "JPEG" and pixels * len(data) > _SCAN_WORK and is_progressive(data)


def is_progressive(data: bytes) -> bool:
    """Whether a JPEG comes in scans, each of which goes over all pixels. True where its segments cannot be followed.

    Source: ITU-T T.81, B.1.1.3 and table B.1.
    """
    at = 2
    while at + 4 <= len(data):
        while data[at + 1] == 0xFF and at + 4 < len(data):
            at += 1
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker not in (0xC0, 0xC1)
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return True
