"""Column chunks of Parquet before their numbers are known: every other byte follows from the rows and the type.

Numbers are stored without compression, so that they lie at known offsets as they are in memory:

- 32 and 64 bits, and float16, in the encoding PLAIN;
- 8 bits as indices of 8 bits into a dictionary of all 256 values: PLAIN would take 4 bytes for each;
- 16 bits in PLAIN integers of 32, since Parquet has none that are shorter; booleans in PLAIN bits.

A list has levels before its numbers, which say where each cell begins. Format: Apache Parquet, `parquet.thrift` and
`Encodings.md`, data pages of version 1.
"""

from __future__ import annotations

import struct as binary_struct
from dataclasses import dataclass

import numpy as np

from tensorize.exporters.parquet.thrift import Value, binary, boolean, byte, i32, i64, items, struct, varint
from tensorize.exporters.rowwise.table import TableColumn
from tensorize.storage.groups import Form

PLAIN, RLE, DICTIONARY = 0, 3, 8
"""Encodings."""
BOOLEAN, INT32, INT64, FLOAT, DOUBLE, BYTE_ARRAY, FIXED = 0, 1, 2, 4, 5, 6, 7
"""Physical types."""
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2
_UTF8, _LIST = 0, 3
_CONVERTED = {"uint8": 11, "uint16": 12, "uint32": 13, "uint64": 14, "int8": 15, "int16": 16, "int32": 17, "int64": 18}
_PHYSICAL = {"bool": BOOLEAN, "int64": INT64, "uint64": INT64, "float16": FIXED, "float32": FLOAT, "float64": DOUBLE}
_PACKED = 64
"""Numbers in a cell up to which its levels are packed as bits; longer cells are run-length encoded."""


@dataclass(frozen=True)
class ColumnChunk:
    """A column in a row group: `head`, then `body` bytes of numbers, then `padding` zeros."""

    physical: int
    path: tuple[str, ...]
    values: int
    head: bytes
    body: int
    padding: int
    dictionary: int | None = None
    """Bytes of the dictionary page, which comes first."""
    limits: bytes | None = None
    """The only value of the chunk, for its statistics."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.head) + self.body + self.padding

    def meta(self, at: int) -> Value:
        """The `ColumnChunk` of the footer, for a chunk at byte `at`."""
        encodings = [PLAIN, RLE] if self.dictionary is None else [PLAIN, RLE, DICTIONARY]
        found = {
            1: i32(self.physical),
            2: items(map(i32, encodings)),
            3: items(map(binary, self.path)),
            4: i32(0),
            5: i64(self.values),
            6: i64(self.size),
            7: i64(self.size),
            9: i64(at + (self.dictionary or 0)),
        }
        if self.dictionary is not None:
            found[11] = i64(at)
        if self.limits is not None:
            found[12] = struct({3: i64(0), 5: binary(self.limits), 6: binary(self.limits)})
        return struct({2: i64(at), 3: struct(found)})


def form_of(dtype: str) -> Form:
    """How numbers of a type are stored."""
    return "bits" if dtype == "bool" else "int32" if dtype in ("int16", "uint16") else "plain"


def number_chunk(column: TableColumn, rows: int) -> ColumnChunk:
    """The chunk of a column of numbers."""
    dtype = column.spec.dtype
    values = rows * column.width
    levels = b"" if column.is_scalar else _levels(rows, column.width, 2 if column.is_tensor else 1)
    path = (column.name,) if column.is_scalar else (column.name, "list", "element")
    physical = _PHYSICAL.get(dtype, INT32)
    if dtype in ("int8", "uint8"):
        page = _dictionary_page(np.arange(256, dtype=np.uint8).view(dtype).astype("<i4").tobytes(), 256)
        groups = (values + 7) // 8
        levels += b"\x08" + varint(groups << 1 | 1)
        head = page + _page_header(values, len(levels) + 8 * groups, DICTIONARY) + levels
        return ColumnChunk(physical, path, values, head, values, -values % 8, len(page))
    body = (values + 7) // 8 if dtype == "bool" else values * (4 if form_of(dtype) == "int32" else column.spec.itemsize)
    return ColumnChunk(physical, path, values, _page_header(values, len(levels) + body, PLAIN) + levels, body, 0)


def split_chunk(name: str, split: str, rows: int) -> ColumnChunk:
    """The chunk of the column with the name of the split: a dictionary of one word."""
    word = split.encode()
    page = _dictionary_page(binary_struct.pack("<I", len(word)) + word, 1)
    data = b"\x01" + varint(rows << 1) + b"\0"
    head = page + _page_header(rows, len(data), DICTIONARY) + data
    return ColumnChunk(BYTE_ARRAY, (name,), rows, head, 0, 0, len(page), word)


def text_chunk(name: str, cells: list[bytes]) -> tuple[ColumnChunk, int]:
    """The chunk of a column of text, and where in it the strings begin, each after its length."""
    data = b"".join(binary_struct.pack("<I", len(cell)) + cell for cell in cells)
    header = _page_header(len(cells), len(data), PLAIN)
    return ColumnChunk(BYTE_ARRAY, (name,), len(cells), header + data, 0, 0), len(header)


def _page_header(values: int, size: int, encoding: int) -> bytes:
    data = struct({1: i32(values), 2: i32(encoding), 3: i32(RLE), 4: i32(RLE)})
    return struct({1: i32(0), 2: i32(size), 3: i32(size), 5: data})[1]


def _dictionary_page(data: bytes, values: int) -> bytes:
    size = i32(len(data))
    return struct({1: i32(2), 2: size, 3: size, 7: struct({1: i32(values), 2: i32(PLAIN)})})[1] + data


def _levels(rows: int, width: int, defined_at: int) -> bytes:
    """Repetition levels, 0 where a cell begins and else 1; then definition levels, all the same."""
    if width == 1:
        repeated = varint(rows << 1) + b"\0"
    elif width > _PACKED:
        repeated = (b"\x02\0" + varint((width - 1) << 1) + b"\x01") * rows
    else:
        flags = np.ones((rows, width), np.uint8)
        flags[:, 0] = 0
        packed = np.packbits(flags, bitorder="little").tobytes()
        repeated = varint(len(packed) << 1 | 1) + packed
    defined = varint(rows * width << 1) + bytes([defined_at])
    return b"".join(binary_struct.pack("<I", len(part)) + part for part in (repeated, defined))


def column_schema(column: TableColumn) -> list[Value]:
    """The elements of the schema for a column of numbers."""
    dtype = column.spec.dtype
    nullable = _OPTIONAL if column.is_tensor else _REQUIRED
    told = {3: i32(nullable), 4: binary(column.name if column.is_scalar else "element")}
    if dtype in _CONVERTED:
        width = 8 * column.spec.itemsize
        told |= {6: i32(_CONVERTED[dtype]), 10: struct({10: struct({1: byte(width), 2: boolean(dtype[0] == "i")})})}
    if dtype == "float16":
        told = {2: i32(2), **told, 10: struct({15: struct({})})}
    leaf = struct({1: i32(_PHYSICAL.get(dtype, INT32)), **told})
    if column.is_scalar:
        return [leaf]
    outer = {3: i32(_REQUIRED), 4: binary(column.name), 5: i32(1), 6: i32(_LIST), 10: struct({3: struct({})})}
    return [struct(outer), struct({3: i32(_REPEATED), 4: binary("list"), 5: i32(1)}), leaf]


def text_schema(name: str) -> Value:
    """The element of the schema for a column of text."""
    return struct({1: i32(BYTE_ARRAY), 3: i32(_REQUIRED), 4: binary(name), 6: i32(_UTF8), 10: struct({1: struct({})})})
