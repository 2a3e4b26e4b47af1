"""How many frames or pages an image has, without decoding one; counted up to a limit, so that no file goes on for ever."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice


def count_gif(data: bytes, most: int) -> int:
    """Frames of a GIF, at most `most`. What is cut off ends the count: the decoder tells of it.

    Source: GIF89a specification, 18 to 27.
    """
    return sum(1 for _ in islice(_gif_frames(data), most))


def count_tiff(data: bytes, most: int) -> int:
    """Pages of a TIFF, at most `most`. Raises ValueError for a list of pages that leads back into itself.

    Source: TIFF revision 6.0, section 2; BigTIFF as libtiff has it.
    """
    return sum(1 for _ in islice(_tiff_pages(data), most))


def _gif_frames(data: bytes) -> Iterator[int]:
    at = 13 + _table(data[10])
    try:
        while data[at] != 0x3B:
            if data[at] == 0x2C:
                yield at
                at += 11 + _table(data[at + 9])
            else:
                at += 2
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        return


def _table(packed: int) -> int:
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
