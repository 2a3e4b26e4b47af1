"""The end of an HDF5 file of ours, behind everything that HDF5 knows of: where the tensors, the texts and the recipe lie.

HDF5 is a file system in a file, with links to other files, storage in other files and plug-ins; its library crashes or
hangs on a file that was made to do so. A reader of ours needs none of it: it takes the places from here, each checked to
lie in the file, and reads bytes. Layout: HDF5, the index as JSON, its length (8 bytes), a magic word (8), the digest (64).
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tensorize.core.errors import DataError
from tensorize.core.limits import check_header
from tensorize.storage.digest import DIGEST_SIZE
from tensorize.storage.layout import Plain, checked, parse_json, unescape

MAGIC = b"tzindex\n"
_END = struct.Struct("<Q8s")
Offset = Annotated[int, Field(ge=0, lt=1 << 62)]


class NoIndexError(DataError):
    """The file does not end with an index: not ours, cut off, or written again by another program."""


class Place(BaseModel):
    """`size` bytes from byte `at` of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    at: Offset
    size: Offset


class Strings(BaseModel):
    """`count` strings of `width` bytes each, filled up with zeros, from byte `at` of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    at: Offset
    width: Annotated[int, Field(ge=1, lt=1 << 62)]
    count: Offset


class Index(BaseModel):
    """Where things lie: of the tensors the first byte, since the layout has their sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    layout: Plain
    recipe: Place
    tensors: dict[str, Offset]
    texts: dict[str, Strings]

    def packed(self) -> bytes:
        """The end of the file, the digest still zeros."""
        data = json.dumps(self.model_dump()).encode()
        return data + _END.pack(len(data), MAGIC) + b"0" * DIGEST_SIZE


def read_index(path: Path) -> Index:
    """The index of a file, every place of it within the file.

    Raises NoIndexError if there is none, DataError if it is damaged, UsageError for a newer format.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - DIGEST_SIZE - _END.size
        file.seek(max(end, 0))
        said = file.read(_END.size)
        size, magic = _END.unpack(said) if len(said) == _END.size else (0, b"")
        if end < 0 or magic != MAGIC:
            raise NoIndexError(
                f"{path} was not written by tensorize, or it was cut off or changed by another program",
                hint="it does not end with the index of tensorize; make it again from the source",
            )
        start = end - size
        if start < 0:
            raise DataError(f"{path} is damaged: its index does not fit", hint="see tensorize verify")
        check_header(path, size)
        file.seek(start)
        data = file.read(size)
    index = checked(Index, parse_json(data, path), path)
    check_places(path, index, start)
    return index


def read_place(path: Path, place: Place) -> bytes:
    """The bytes at a place. Raises DataError if they are over the limit of `--max-header`."""
    check_header(path, place.size)
    with path.open("rb") as file:
        file.seek(place.at)
        return file.read(place.size)


def read_strings(path: Path, strings: Strings) -> tuple[str, ...]:
    """Strings of a fixed width, as they were before they were escaped. Raises DataError as `read_place` does."""
    data, width = read_place(path, Place(at=strings.at, size=strings.width * strings.count)), strings.width
    cells = (data[at : at + width].rstrip(b"\x00") for at in range(0, len(data), width))
    return tuple(unescape(cell.decode()) for cell in cells)


def check_places(path: Path, index: Index, end: int) -> None:
    """Raise DataError for what the file does not hold: names that lack a place, and places behind its end."""
    specs = index.layout.specs
    if index.tensors.keys() != {spec.key for spec in specs} or set(index.texts) != set(index.layout.texts):
        raise DataError(f"{path} is damaged: its index does not name what its layout does", hint="see tensorize verify")
    stops = [index.recipe.at + index.recipe.size]
    stops += [index.tensors[spec.key] + spec.nbytes for spec in specs]
    stops += [strings.at + strings.width * strings.count for strings in index.texts.values()]
    if max(stops) > end:
        raise DataError(f"{path} is damaged: something lies behind its end", hint="see tensorize verify")
