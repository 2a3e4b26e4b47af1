"""The index in front of the footer of a file of rows: where each tensor lies, so that it is read without the format's library.

pyarrow can crash on a damaged file, and has to decode a whole group of rows for a single one. A reader of ours takes the
places from here, each checked to lie in the file, and reads the numbers. Layout: the index as JSON, padded to 8 bytes, its
length (8 bytes), a magic word (8), the digest (64), then the footer of the format, its length (4) and its magic word.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tensorize.core.contracts import Layout
from tensorize.core.errors import DataError, joined
from tensorize.core.limits import check_header
from tensorize.core.tensorset import TensorSet
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST, check_digest
from tensorize.storage.groups import Form, GroupSlot, GroupStore
from tensorize.storage.layout import Plain, checked, parse_json, unescape

MAGIC = b"tzgroups"
_END = struct.Struct("<Q8s")
_MARK = b"tensorize_format"
"""In the footer of every file of ours, also once another program has written it again with its metadata."""
_TOLD_BYTES = 64 << 20
Offset = Annotated[int, Field(ge=0, lt=1 << 62)]


class TensorPlaces(BaseModel):
    """Where the columns of a tensor begin in each group, and in the last one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    form: Form
    inner: list[Offset]
    last: list[Offset]


class TextPart(BaseModel):
    """`rows` strings: `size` bytes from byte `at`. See `RowIndex.text`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rows: Offset
    at: Offset
    size: Offset
    data: Offset
    """Where the strings begin, from `at`."""


class RowIndex(BaseModel):
    """Where everything lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    layout: Plain
    header: Offset
    """Bytes at the beginning of the file that are hashed last."""
    recipe: tuple[Offset, Offset]
    """(offset, bytes) of the recipe in the footer."""
    rows: Annotated[int, Field(ge=1, le=1 << 20)]
    """Rows in a group."""
    groups: dict[str, list[Offset]]
    """Split ("" if there is none) → the offset of each of its groups."""
    tensors: dict[str, TensorPlaces]
    text: Literal["lengths", "offsets"]
    """How strings are stored: each after its length (4 bytes), or all of them after their offsets (4 bytes each)."""
    texts: dict[str, list[TextPart]]
    loose: dict[str, list[str]]
    """What is kept beside the tensors and is not one string for each row."""

    def packed(self) -> bytes:
        """The bytes before the footer, the digest still zeros. Its length is a multiple of 8."""
        data = json.dumps(self.model_dump()).encode()
        data += b" " * (-len(data) % 8)
        return data + _END.pack(len(data), MAGIC) + NO_DIGEST


class Ends(BaseModel):
    """Where the index, the digest and the footer of a file begin, and where the footer ends."""

    index: int
    digest: int
    footer: int
    stop: int


def read_ends(path: Path, magic: bytes, format: str) -> Ends:
    """Find the index. Raises DataError if the file has none: it is another's, cut off, or written again by another program."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail = os.pread(file.fileno(), 4 + len(magic), max(0, size - 4 - len(magic)))
        stop = size - 4 - len(magic)
        footer = stop - int.from_bytes(tail[:4], "little")
        end = footer - DIGEST_SIZE - _END.size
        found = os.pread(file.fileno(), _END.size, end) if tail[4:] == magic and end >= 0 else b""
        told = os.pread(file.fileno(), min(stop - footer, _TOLD_BYTES), footer) if tail[4:] == magic and footer >= 0 else b""
    length, word = _END.unpack(found) if len(found) == _END.size else (0, b"")
    if word != MAGIC or length > end:
        raise _foreign(path, told, format)
    return Ends(index=end - length, digest=footer - DIGEST_SIZE, footer=footer, stop=stop)


def _foreign(path: Path, footer: bytes, format: str) -> DataError:
    """The error for a file without an index; `footer` is what stands at its end, b"" if that is not of the format."""
    if footer and _MARK not in footer:
        error = DataError(f"{path} is raw data, not a prepared file", hint="prepare it first:")
        error.command = f"tensorize auto {joined((str(path), '-o', path.stem + '.h5'))}"
        return error
    command = f"tensorize table {joined((str(path), '-o', path.stem + '.h5'))}"
    return DataError(
        f"{path} was not written by tensorize, or it was cut off or changed by another program",
        hint=f"to read it as data: {command}" if footer else f"it is not {format}",
    )


def read_index(path: Path, ends: Ends) -> RowIndex:
    """The index, every place of it within the file. Raises DataError if it is damaged, UsageError for a newer format."""
    data = _read(path, ends.index, ends.digest - _END.size - ends.index)
    index = checked(RowIndex, parse_json(data, path), path)
    recipe, size = index.recipe
    if index.header > ends.index or ends.footer + recipe + size > ends.stop:
        raise damaged(path, "something lies after its end")
    return index


def open_rows(path: Path, magic: bytes, format: str) -> TensorSet:
    """Open a file lazily. Raises DataError if it is not ours or is damaged, UsageError for a newer format."""
    try:
        ends = read_ends(path, magic, format)
        index = read_index(path, ends)
        recipe = _read(path, ends.footer + index.recipe[0], index.recipe[1]).decode().rstrip(" ")
        layout = index.layout.layout(recipe, dict(_texts(path, index, ends.index)))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} was not written by tensorize, or it is damaged: {error}") from None
    return TensorSet(layout, GroupStore(path, _slots(path, index, layout, ends.index)))


def verify_rows(path: Path, magic: bytes, format: str) -> None:
    """Raise DataError if a byte has changed."""
    try:
        ends = read_ends(path, magic, format)
        header = read_index(path, ends).header
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    check_digest(path, ends.digest, header)


def damaged(path: Path, what: str) -> DataError:
    """The error for a file whose index does not fit it."""
    return DataError(f"{path} is damaged: {what}", hint="see tensorize verify")


def _read(path: Path, at: int, size: int) -> bytes:
    """Bytes that are held in memory. Raises DataError if they are over the limit of `--max-header`."""
    check_header(path, size)
    with path.open("rb") as file:
        file.seek(at)
        return file.read(size)


def _slots(path: Path, index: RowIndex, layout: Layout, end: int) -> dict[str, GroupSlot]:
    """Where the tensors lie. Raises DataError for what does not fit the layout or lies after `end`."""
    found: dict[str, GroupSlot] = {}
    if index.tensors.keys() != {spec.key for spec in layout.tensors}:
        raise damaged(path, "its index does not name the tensors of its layout")
    for spec in layout.tensors:
        told, starts = index.tensors[spec.key], index.groups.get(spec.split or "", [])
        slot = GroupSlot(spec, index.rows, starts, told.inner, told.last, told.form)
        if not _fits(slot, end):
            raise damaged(path, f"{spec.key} does not lie in it")
        found[spec.key] = slot
    return found


def _fits(slot: GroupSlot, end: int) -> bool:
    """Whether a tensor has all its groups and columns, and they lie before `end`."""
    spec, columns = slot.spec, len(slot.inner)
    if columns != len(slot.last) or len(slot.starts) != -(-spec.shape[0] // slot.rows):
        return False
    if slot.width * columns * spec.shape[0] * spec.itemsize != spec.nbytes or (columns > 1 and slot.width != 1):
        return False
    return slot.stop <= end


def _texts(path: Path, index: RowIndex, end: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is kept beside the tensors, in the order of the layout."""
    parts = sum(part.size for texts in index.texts.values() for part in texts)
    check_header(path, parts)
    for key in index.layout.texts:
        if key in index.loose:
            yield key, tuple(map(unescape, index.loose[key]))
        elif key in index.texts:
            cells = [cell for part in index.texts[key] for cell in _cells(path, index.text, part, end)]
            yield key, tuple(unescape(cell.decode()) for cell in cells)
        else:
            raise damaged(path, f"{key} is lacking")


def _cells(path: Path, text: str, part: TextPart, end: int) -> Iterator[bytes]:
    """The strings of a group."""
    if part.at + part.size > end or 4 * (part.rows + (text == "offsets")) > part.size:
        raise damaged(path, "texts lie after its end")
    data = _read(path, part.at, part.size)
    if text == "offsets":
        bounds = np.frombuffer(data, "<i4", part.rows + 1).astype(np.int64) + part.data
        if bounds[0] < part.data or (np.diff(bounds) < 0).any() or bounds[-1] > part.size:
            raise damaged(path, "texts overlap")
        yield from (data[start:stop] for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        return
    at = part.data
    for _ in range(part.rows):
        size = int.from_bytes(data[at : at + 4], "little")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
