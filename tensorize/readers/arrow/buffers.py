"""Columns from the buffers of a record batch, or of a slice of its rows: only the bytes that they need are read."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tensorize.readers.arrow.messages import BatchHeader, DamagedArrowError

_GAP = 64 << 10
"""Ranges that lie so near to each other are read at once."""
ALIGNED = 64
"""A slice begins at a row that is a multiple of it, so that bits begin at a byte."""


class FetchedBytes:
    """Ranges of a file that were read: what lies near to each other in one piece."""

    def __init__(self, raw: io.RawIOBase, ranges: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._pieces: list[pa.Buffer] = []
        for start, stop in _merged(ranges):
            self._starts.append(start)
            self._pieces.append(_read(raw, start, stop - start))

    def get(self, start: int, size: int) -> pa.Buffer:
        """Bytes of one of the ranges, without a copy."""
        at = bisect_right(self._starts, start) - 1
        if at < 0 or start - self._starts[at] + size > self._pieces[at].size:
            raise DamagedArrowError("a buffer lies outside of what was read")
        return self._pieces[at].slice(start - self._starts[at], size)


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """(start, stop) in order, those that nearly touch as one."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(item for item in ranges if item[0] < item[1]):
        if found and start <= found[-1][1] + _GAP:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start // 8 * 8, stop))
    return found


def _read(raw: io.RawIOBase, start: int, size: int) -> pa.Buffer:
    buffer = pa.allocate_buffer(size)
    view = memoryview(buffer).cast("B")
    raw.seek(start)
    done = 0
    while done < size:
        count = raw.readinto(view[done:]) or 0
        if not count:
            raise DamagedArrowError(f"it ends at byte {start + done:,}, within a batch")
        done += count
    return buffer


@dataclass(frozen=True)
class ColumnPlace:
    """Where a column lies in a batch: its node, its first buffer, and its place among the columns of views."""

    node: int
    buffer: int
    view: int


def layouts(fields: pa.Schema, batch: BatchHeader) -> list[ColumnPlace]:
    """The layout of every column. Raises DamagedArrowError for a batch that has not the buffers of its columns."""
    found = []
    node = buffer = view = 0
    for field in fields:
        found.append(ColumnPlace(node, buffer, view))
        node, buffer, view = _after(field.type, batch, node, buffer, view)
    if node != len(batch.nodes) or buffer != len(batch.buffers) or view != len(batch.views):
        raise DamagedArrowError("a batch has not the buffers of its columns")
    return found


def _after(kind: Any, batch: BatchHeader, node: int, buffer: int, view: int) -> tuple[int, int, int]:
    """Where the column after one of a type lies."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _after(kind.storage_type, batch, node, buffer, view)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        if view >= len(batch.views):
            raise DamagedArrowError("a column of views without buffers")
        return node + 1, buffer + 2 + int(batch.views[view]), view + 1
    node, buffer = node + 1, buffer + _own(kind)
    if types.is_nested(kind):
        for at in range(kind.num_fields):
            node, buffer, view = _after(kind.field(at).type, batch, node, buffer, view)
    return node, buffer, view


def _own(kind: pa.DataType) -> int:
    """How many buffers a type has, without those of what it holds."""
    types = pa.types
    if types.is_null(kind) or types.is_run_end_encoded(kind):
        return 0
    if types.is_union(kind):
        return 1 if kind.mode == "sparse" else 2
    if types.is_struct(kind) or types.is_fixed_size_list(kind):
        return 1
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return 3
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        return 3
    return 2


@dataclass(frozen=True)
class BatchCells:
    """Reads columns of one batch, whose body begins at `body`; rows `start` to `stop`."""

    raw: io.RawIOBase
    batch: BatchHeader
    body: int
    size: int
    """Bytes of the body."""
    start: int
    stop: int
    held: FetchedBytes | None = None
    """The whole body, if it was read."""

    def arrays(self, columns: Sequence[tuple[pa.DataType, ColumnPlace]]) -> list[pa.Array]:
        """Columns (row), checked. Raises DamagedArrowError."""
        wanted = [self._range(number, part) for kind, layout in columns for number, part in self._first(kind, layout)]
        held = self.held or FetchedBytes(self.raw, wanted)
        return [self._array(kind, layout, held) for kind, layout in columns]

    @property
    def rows(self) -> int:
        """How many rows are read."""
        return self.stop - self.start

    def _first(self, kind: pa.DataType, layout: ColumnPlace) -> list[tuple[int, tuple[int, int] | None]]:
        """(buffer, bytes of it) that are known to be needed; what text is needed stands in its offsets."""
        if pa.types.is_null(kind):
            return []
        count = 2 if self.batch.codec is None else self._count(kind, layout)
        numbers = range(0 if self._nulls(layout) else 1, count)
        if self.batch.codec is not None:
            return [(layout.buffer + at, None) for at in numbers]
        return [(layout.buffer + at, self._part(kind) if at else self._bits()) for at in numbers]

    def _count(self, kind: pa.DataType, layout: ColumnPlace) -> int:
        return 2 + int(self.batch.views[layout.view]) if pa.types.is_string_view(kind) else _own(kind)

    def _nulls(self, layout: ColumnPlace) -> int:
        rows, nulls = self.batch.nodes[layout.node].tolist()
        if rows != self.batch.rows or not 0 <= nulls <= rows:
            raise DamagedArrowError(f"a column of {rows} rows and {nulls} nulls in a batch of {self.batch.rows} rows")
        return int(nulls)

    def _bits(self) -> tuple[int, int]:
        return self.start // 8, (self.stop + 7) // 8

    def _part(self, kind: pa.DataType) -> tuple[int, int]:
        """The bytes of the second buffer that the rows need: values, bits, offsets or views."""
        types = pa.types
        if types.is_boolean(kind):
            return self._bits()
        if types.is_string(kind) or types.is_large_string(kind):
            width = 4 if types.is_string(kind) else 8
            return self.start * width, (self.stop + 1) * width
        width = 16 if types.is_string_view(kind) else kind.bit_width // 8
        return self.start * width, self.stop * width

    def _range(self, number: int, part: tuple[int, int] | None) -> tuple[int, int]:
        """Where (a part of) a buffer lies in the file. Raises DamagedArrowError for what lies outside of the body or buffer."""
        offset, size = self.batch.buffers[number].tolist()
        start, stop = part or (0, size)
        if offset < 0 or size < 0 or offset + size > self.size or stop > size:
            raise DamagedArrowError("a buffer lies outside of its batch")
        return self.body + offset + start, self.body + offset + stop

    def _buffer(self, number: int, part: tuple[int, int], held: FetchedBytes) -> pa.Buffer:
        """A part of a buffer, decompressed."""
        if self.batch.codec is None:
            start, stop = self._range(number, part)
            return held.get(start, stop - start)
        start, stop = self._range(number, None)
        if stop - start < 8:
            raise DamagedArrowError("a compressed buffer without a size")
        size = int(np.frombuffer(held.get(start, 8), "<i8")[0])
        packed = held.get(start + 8, stop - start - 8)
        if size != -1 and not part[1] <= size:
            raise DamagedArrowError("a compressed buffer is too short")
        whole = packed if size == -1 else pa.Codec(self.batch.codec).decompress(packed, size)
        return whole.slice(part[0], part[1] - part[0])

    def _array(self, kind: pa.DataType, layout: ColumnPlace, held: FetchedBytes) -> pa.Array:
        types = pa.types
        if types.is_null(kind):
            return pa.nulls(self.rows)
        valid = self._buffer(layout.buffer, self._bits(), held) if self._nulls(layout) else None
        second = self._buffer(layout.buffer + 1, self._part(kind), held)
        if types.is_string_view(kind):
            made = self._views(layout, valid, second, held)
        elif types.is_string(kind) or types.is_large_string(kind):
            made = self._text(kind, layout, valid, second, held)
        else:
            made = pa.Array.from_buffers(kind, self.rows, [valid, second])
        made.validate(full=True)
        return made

    def _text(
        self, kind: Any, layout: ColumnPlace, valid: pa.Buffer | None, offsets: pa.Buffer, held: FetchedBytes
    ) -> pa.Array:
        """Text whose offsets are known."""
        bounds = np.frombuffer(offsets, np.int32 if pa.types.is_string(kind) else np.int64)
        first, last = int(bounds[0]), int(bounds[-1])
        if not 0 <= first <= last:
            raise DamagedArrowError("text that ends before it begins")
        text = self._more(layout.buffer + 2, (first, last), held)
        return pa.Array.from_buffers(kind, self.rows, [valid, pa.py_buffer(bounds - bounds[0]), text])

    def _views(self, layout: ColumnPlace, valid: pa.Buffer | None, views: pa.Buffer, held: FetchedBytes) -> pa.Array:
        """Views of text, moved to the parts of its buffers that they point to."""
        fields = np.frombuffer(views, np.int32).reshape(self.rows, 4).copy()
        length, number, offset = fields[:, 0], fields[:, 2], fields[:, 3]
        apart = length > 12
        count = int(self.batch.views[layout.view])
        if (length < 0).any() or (apart & ((number < 0) | (number >= count) | (offset < 0))).any():
            raise DamagedArrowError("a view that points outside of its text")
        texts = []
        for at in range(count):
            mine = apart & (number == at)
            first = int(offset[mine].min()) if mine.any() else 0
            last = int((offset[mine].astype(np.int64) + length[mine]).max()) if mine.any() else 0
            texts.append(self._more(layout.buffer + 2 + at, (first, last), held))
            offset[mine] -= first
        return pa.Array.from_buffers(pa.string_view(), self.rows, [valid, pa.py_buffer(fields), *texts])

    def _more(self, number: int, part: tuple[int, int], held: FetchedBytes) -> pa.Buffer:
        """A part of a buffer that was not known to be needed before."""
        if part[0] == part[1]:
            return pa.py_buffer(b"")
        if self.batch.codec is not None or self.held is not None:
            return self._buffer(number, part, held)
        start, stop = self._range(number, part)
        return FetchedBytes(self.raw, [(start, stop)]).get(start, stop - start)
