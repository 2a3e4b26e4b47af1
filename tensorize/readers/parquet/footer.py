"""What the footer of a Parquet file says of its row groups: rows, bytes and nulls.

pyarrow has that, too, but ends the process where a damaged footer contradicts itself: it is read from the bytes here. The
layout is that of `parquet.thrift` in Thrift's compact protocol.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

from tensorize.core.errors import DataError

_TAIL = 8
_DEPTH = 16
_TRUE, _FALSE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 8, 9, 10, 11, 12
_WIDTHS = {_TRUE: 1, _FALSE: 1, 3: 1, 7: 8, 13: 16}
"""Bytes of a boolean in a list, a byte, a double, a UUID."""
_INTEGERS = (4, 5, 6)
_ROW_GROUPS, _COLUMNS, _BYTES, _ROWS = 4, 1, 2, 3
_META, _PATH, _STATISTICS, _NULLS = 3, 3, 12, 3
"""Numbers of the fields in FileMetaData, RowGroup, ColumnChunk, ColumnMetaData and Statistics."""


class FooterError(ValueError):
    """Bytes that are no footer."""


@dataclass(frozen=True)
class RowGroup:
    """One row group."""

    rows: int
    size: int
    """Bytes, before compression."""


@dataclass(frozen=True)
class Footer:
    """The row groups of a file, and how many nulls each column has, by its path; None where that is not said of all."""

    groups: tuple[RowGroup, ...]
    nulls: dict[str, int | None]

    @property
    def rows(self) -> int:
        """Rows of all groups."""
        return sum(group.rows for group in self.groups)


def read_footer(raw: io.RawIOBase, size: int, name: str) -> Footer:
    """Read the footer of a file. Raises DataError for an encrypted one, FooterError where it is not one."""
    tail = _read_at(raw, max(0, size - _TAIL), _TAIL)
    if tail[4:] == b"PARE":
        raise DataError(f"{name} is an encrypted Parquet file", hint="decrypt it first: write it anew without encryption")
    if tail[4:] != b"PAR1":
        raise FooterError("it does not end as a Parquet file does: it may be cut off")
    (length,) = struct.unpack("<I", tail[:4])
    if length > size - _TAIL - 4:
        raise FooterError(f"its footer would have {length:,} bytes, the file has {size:,}")
    return _footer(_Compact(_read_at(raw, size - _TAIL - length, length)).struct(0))


def _read_at(raw: io.RawIOBase, offset: int, size: int) -> bytes:
    raw.seek(offset)
    data = bytearray()
    while len(data) < size and (piece := raw.read(size - len(data))):
        data += piece
    if len(data) < size:
        raise FooterError("it is shorter than a footer")
    return bytes(data)


def _footer(found: dict[int, Any]) -> Footer:
    try:
        groups = found.get(_ROW_GROUPS, [])
        nulls: dict[str, int | None] = {}
        for at, group in enumerate(groups):
            for chunk in group[_COLUMNS]:
                meta = chunk.get(_META, {})
                path = b".".join(meta.get(_PATH, [])).decode()
                count = meta.get(_STATISTICS, {}).get(_NULLS)
                before = nulls.get(path, 0 if at == 0 else None)
                nulls[path] = None if count is None or before is None else before + int(count)
        made = tuple(RowGroup(int(group[_ROWS]), int(group[_BYTES])) for group in groups)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FooterError(f"its footer is not one: {error!r}") from None
    if any(group.rows < 0 for group in made):
        raise FooterError("a row group has fewer than 0 rows")
    return Footer(made, nulls)


class _Compact:
    """Values in Thrift's compact protocol: a structure is a mapping of field numbers. Raises FooterError."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, depth: int) -> dict[int, Any]:
        """The structure that begins here."""
        if depth > _DEPTH:
            raise FooterError("its footer is nested too deep")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            found[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._zigzag()
        if kind in _WIDTHS:
            return self._bytes(_WIDTHS[kind])
        if kind == _BINARY:
            return self._bytes(self._varint())
        holders = {_STRUCT: self.struct, _LIST: self._list, _SET: self._list, _MAP: self._map}
        if kind not in holders:
            raise FooterError(f"its footer has a value of the unknown type {kind}")
        return holders[kind](depth + 1)

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = self._varint() if head >> 4 == 15 else head >> 4
        return [self._value(head & 15, depth) for _ in range(self._counted(count, depth))]

    def _map(self, depth: int) -> list[Any]:
        count = self._counted(self._varint(), depth)
        kinds = self._byte() if count else 0
        return [(self._value(kinds >> 4, depth), self._value(kinds & 15, depth)) for _ in range(count)]

    def _counted(self, count: int, depth: int) -> int:
        if count > len(self._data) - self._at or depth > _DEPTH:
            raise FooterError("its footer has a list that is longer than itself")
        return count

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise FooterError("its footer ends too soon")
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise FooterError("its footer ends too soon")
        self._at += count
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) & 0x80:
            found |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise FooterError("its footer has a number that is too long")
        return found | byte << shift

    def _zigzag(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
