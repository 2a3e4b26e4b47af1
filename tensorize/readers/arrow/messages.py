"""What Arrow IPC says of its own bytes: messages, record batches, dictionaries and the footer, without reading the data.

pyarrow shows none of this: how many rows and nulls a batch has, and where its buffers lie, it tells only once it has read
all of them. The layout is that of `Message.fbs`, `Schema.fbs` and `File.fbs` of Apache Arrow.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAGIC = b"ARROW1"
CONTINUATION = b"\xff\xff\xff\xff"
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
CODECS = ("lz4", "zstd")
_LOOK_AHEAD = 4096
"""Most messages describe themselves in fewer bytes: one read does."""
_MOST = 256 << 20
"""No description is longer."""

Ints = npt.NDArray[np.int64]


class DamagedArrowError(ValueError):
    """Bytes that are not what the format says."""


class FlatTable:
    """A table of a flatbuffer. Raises DamagedArrowError for what lies outside of it."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - self._take("<i", at)
        self._size = self._take("<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> FlatTable:
        """The outermost table."""
        return cls(data, _unpacked("<I", data, 0))

    def _take(self, form: str, at: int) -> int:
        return _unpacked(form, self._data, at)

    def _place(self, number: int) -> int | None:
        slot = 4 + 2 * number
        offset = self._take("<H", self._fields + slot) if slot < self._size else 0
        return self._at + offset if offset else None

    def number(self, field: int, form: str, default: int = 0) -> int:
        """A number, of a `struct` format."""
        at = self._place(field)
        return default if at is None else self._take(form, at)

    def table(self, field: int) -> FlatTable | None:
        """A table within this one."""
        at = self._place(field)
        return None if at is None else FlatTable(self._data, at + self._take("<I", at))

    def _vector(self, field: int) -> tuple[int, int]:
        at = self._place(field)
        if at is None:
            return 0, 0
        start = at + self._take("<I", at)
        return start + 4, self._take("<I", start)

    def tables(self, field: int) -> list[FlatTable]:
        """Tables in a row."""
        start, count = self._vector(field)
        if count > len(self._data):
            raise DamagedArrowError("a list is longer than what holds it")
        places = range(start, start + 4 * count, 4)
        return [FlatTable(self._data, at + self._take("<I", at)) for at in places]

    def longs(self, field: int, each: int) -> Ints:
        """Structures of `each` int64 as (structure, number) int64."""
        start, count = self._vector(field)
        if start + 8 * each * count > len(self._data):
            raise DamagedArrowError("a list is longer than what holds it")
        return np.frombuffer(self._data, "<i8", each * count, start if count else 0).reshape(count, each)


def _unpacked(form: str, data: bytes, at: int) -> int:
    try:
        if at < 0:
            raise DamagedArrowError("a place before the beginning")
        return int(struct.unpack_from(form, data, at)[0])
    except struct.error:
        raise DamagedArrowError("a place after the end") from None


class MessagePlace(NamedTuple):
    """Where a message lies: its description, prefix and padding included, then its body."""

    offset: int
    described: int
    body: int

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.offset + self.described + self.body


@dataclass(frozen=True)
class BatchHeader:
    """What a record batch says of itself. A body is what its buffers lie in."""

    rows: int
    nodes: Ints
    """(column, rows or nulls), nested ones after those that hold them."""
    buffers: Ints
    """(buffer, offset or length) in the body."""
    codec: str | None
    views: Ints
    """How many buffers of text each column of views has, (column)."""

    @classmethod
    def of(cls, found: FlatTable) -> BatchHeader:
        """From a RecordBatch. Raises DamagedArrowError for a codec that there is none of."""
        packed = found.table(3)
        codec = packed.number(0, "<b") if packed is not None else -1
        if packed is not None and codec not in (0, 1):
            raise DamagedArrowError(f"compression {codec} is unknown")
        rows = found.number(0, "<q")
        if rows < 0:
            raise DamagedArrowError(f"a batch of {rows} rows")
        name = None if packed is None else CODECS[codec]
        return cls(rows, found.longs(1, 2), found.longs(2, 2), name, found.longs(4, 1)[:, 0])


@dataclass(frozen=True)
class IpcMessage:
    """One message: what it is of, and where."""

    kind: int
    header: FlatTable
    block: MessagePlace

    @property
    def batch(self) -> BatchHeader:
        """What it says of its rows; those of a dictionary are its words."""
        found = self.header.table(1) if self.kind == DICTIONARY else self.header
        if found is None:
            raise DamagedArrowError("a dictionary without words")
        return BatchHeader.of(found)


def message_of(data: bytes, offset: int) -> IpcMessage | None:
    """The message that begins with `data`, at `offset` of the file; None for the end of a stream.

    Raises DamagedArrowError, and ShortError where more bytes are needed.
    """
    new = data.startswith(CONTINUATION)
    prefix = 8 if new else 4
    size = _unpacked("<i", data, 4 if new else 0)
    if size == 0:
        return None
    if not 8 <= size <= _MOST:
        raise DamagedArrowError(f"a message that is described in {size} bytes")
    if prefix + size > len(data):
        raise ShortError(prefix + size)
    held = data[prefix : prefix + size]
    found = FlatTable.root(held)
    header, body = found.table(2), found.number(3, "<q")
    if header is None or body < 0:
        raise DamagedArrowError("a message without content")
    return IpcMessage(found.number(1, "<B"), header, MessagePlace(offset, prefix + size, body))


class ShortError(Exception):
    """A message is longer than what was read of it: `needed` bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"{needed} bytes are needed")
        self.needed = needed


def read_message(raw: io.RawIOBase, offset: int) -> IpcMessage | None:
    """The message at an offset; None at the end of a stream. Raises DamagedArrowError."""
    data = read_at(raw, offset, _LOOK_AHEAD, short=True)
    if not data:
        raise DamagedArrowError("it ends without the mark that ends a stream: it may be cut off")
    try:
        return message_of(data, offset)
    except ShortError as more:
        return message_of(read_at(raw, offset, more.needed), offset)


def read_at(raw: io.RawIOBase, offset: int, size: int, short: bool = False) -> bytes:
    """Bytes at an offset. Raises DamagedArrowError where the file ends before; fewer may come if `short`."""
    raw.seek(offset)
    data = bytearray()
    while len(data) < size and (piece := raw.read(size - len(data))):
        data += piece
    if len(data) < size and not short:
        raise DamagedArrowError(f"it ends at byte {offset + len(data):,}, within a message")
    return bytes(data)


class FileFooter(NamedTuple):
    """What the end of a file says: its columns, and where its dictionaries and record batches lie."""

    schema: FlatTable
    dictionaries: list[MessagePlace]
    batches: list[MessagePlace]


def footer(raw: io.RawIOBase, size: int) -> FileFooter:
    """The footer of a file. Raises DamagedArrowError where there is none."""
    tail = read_at(raw, max(0, size - 10), 10)
    length = _unpacked("<i", tail, 0)
    if not tail.endswith(MAGIC) or not 0 < length <= min(size, _MOST):
        raise DamagedArrowError("it has no footer: it may be cut off")
    found = FlatTable.root(read_at(raw, size - 10 - length, length))
    schema = found.table(1)
    if schema is None:
        raise DamagedArrowError("its footer names no columns")
    return FileFooter(schema, list(_blocks(found.longs(2, 3), size)), list(_blocks(found.longs(3, 3), size)))


def _blocks(found: Ints, size: int) -> Iterator[MessagePlace]:
    for offset, described, body in found.tolist():
        block = MessagePlace(offset, described & 0xFFFFFFFF, body)
        if min(block) < 0 or block.end > size:
            raise DamagedArrowError("its footer names bytes that it does not have")
        yield block


def dictionary_ids(schema: FlatTable) -> tuple[int | None, ...]:
    """For each column the number of its dictionary, or None. Raises DamagedArrowError for a schema of the other byte order."""
    if schema.number(0, "<h"):
        raise DamagedArrowError("it is big-endian, which is not read")
    found = [field.table(4) for field in schema.tables(1)]
    return tuple(None if item is None else item.number(0, "<q") for item in found)
