"""Thrift's compact protocol, as far as Parquet needs it: values as (type, bytes)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Value = tuple[int, bytes]
_TRUE, _FALSE, _BYTE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 3, 5, 6, 8, 9, 12
_SHORT_LIST = 15


def varint(number: int) -> bytes:
    """A number from 0 on, 7 bits in a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def byte(number: int) -> Value:
    """An 8-bit integer."""
    return _BYTE, bytes([number])


def i32(number: int) -> Value:
    """A 32-bit integer from 0 on."""
    return _I32, varint(number << 1)


def i64(number: int) -> Value:
    """A 64-bit integer from 0 on."""
    return _I64, varint(number << 1)


def boolean(value: bool) -> Value:
    """A boolean field: its value is its type."""
    return (_TRUE if value else _FALSE), b""


def binary(value: bytes | str) -> Value:
    """Bytes, or text as UTF-8."""
    data = value.encode() if isinstance(value, str) else value
    return _BINARY, varint(len(data)) + data


def items(values: Iterable[Value], kind: int = _STRUCT) -> Value:
    """A list of values of one type; `kind` counts where it is empty.

    >>> items([i32(1), i32(2)])[1].hex()
    '250204'
    """
    held = list(values)
    kind = held[0][0] if held else kind
    count = len(held)
    head = bytes([count << 4 | kind]) if count < _SHORT_LIST else bytes([0xF0 | kind]) + varint(count)
    return _LIST, head + b"".join(data for _, data in held)


def struct(fields: Mapping[int, Value]) -> Value:
    """A structure: number of the field → value, by rising numbers."""
    return _STRUCT, open_struct(fields) + b"\0"


def open_struct(fields: Mapping[int, Value], last: int = 0) -> bytes:
    """Fields of a structure, the first after the field `last`, without its end. Numbers differ by at most 15."""
    found = bytearray()
    for number, (kind, data) in fields.items():
        found.append((number - last) << 4 | kind)
        found += data
        last = number
    return bytes(found)
