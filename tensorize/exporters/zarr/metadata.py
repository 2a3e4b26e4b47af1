"""The `zarr.json` of groups and arrays, and the bytes around the numbers: the index of a shard, and strings.

Written without the zarr package, since every byte has to be known before the first is written. Formats: "Zarr core
specification version 3", "Sharding codec" (ZEP 2); `string` and `vlen-utf8` of the zarr-extensions.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tensorize.core.contracts import TensorSpec

Json = dict[str, Any]
ROOT = "zarr.json"
_NOTHING = 0xFFFF_FFFF_FFFF_FFFF
"""What the index of a shard says of a chunk that is not there."""
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, with its bits reversed: CRC-32C."""


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_remainder, range(256)))


def group(attributes: Mapping[str, Any], **more: Any) -> Json:
    """The metadata of a group."""
    return {"zarr_format": 3, "node_type": "group", **more, "attributes": dict(attributes)}


def consolidated(nodes: Mapping[str, Json]) -> Json:
    """The metadata of all members of a group, which zarr keeps in the group's own: a reader then opens one file.

    A convention that is not in the specification, and is marked as such. zarr expects the members of a group side by side.
    """
    ordered = {path: nodes[path] for path in sorted(nodes)}
    return {"consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": ordered}}


def tensor(spec: TensorSpec, dimensions: Sequence[str], chunk_rows: int, shard_rows: int) -> Json:
    """The metadata of a tensor: shards along the first axis, uncompressed, each with chunks of whole rows."""
    inner = [max(size, 1) for size in spec.shape[1:]]
    numbers = {"name": "bytes"} if spec.itemsize == 1 else _BYTES
    sharding = {
        "chunk_shape": [chunk_rows, *inner],
        "codecs": [numbers],
        "index_codecs": [_BYTES, {"name": "crc32c"}],
        "index_location": "end",
    }
    shape = {"shape": list(spec.shape), "data_type": spec.dtype, "fill_value": _zero(spec.dtype)}
    codec = {"name": "sharding_indexed", "configuration": sharding}
    return _array(shape, [shard_rows, *inner], codec, dimensions, {"role": spec.role, "axes": list(spec.axes)})


def _zero(dtype: str) -> bool | float:
    return {"b": False, "f": 0.0}.get(dtype[0], 0)


def strings(count: int, dimension: str) -> Json:
    """The metadata of a list of strings, in one chunk."""
    shape = {"shape": [count], "data_type": "string", "fill_value": ""}
    return _array(shape, [max(count, 1)], {"name": "vlen-utf8"}, [dimension], {})


def _array(shape: Json, chunks: Sequence[int], codec: Json, dimensions: Sequence[str], attributes: Json) -> Json:
    return {
        "zarr_format": 3,
        "node_type": "array",
        **shape,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [codec],
        "dimension_names": list(dimensions),
        "attributes": attributes,
    }


def packed(metadata: Json) -> bytes:
    """Metadata as the bytes of a `zarr.json`."""
    return json.dumps(metadata).encode()


def shard_index(chunks: int, room: int, chunk_bytes: int) -> bytes:
    """The index at the end of a shard that begins with `chunks` chunks, one after the other, and has room for `room`."""
    places = [number for at in range(chunks) for number in (at * chunk_bytes, chunk_bytes)]
    index = struct.pack(f"<{2 * room}Q", *places, *[_NOTHING] * (2 * (room - chunks)))
    return index + struct.pack("<I", crc32c(index))


def index_bytes(room: int) -> int:
    """Bytes in the index of a shard with room for so many chunks."""
    return 16 * room + 4


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    found = 0xFFFF_FFFF
    for byte in data:
        found = _TABLE[(found ^ byte) & 0xFF] ^ (found >> 8)
    return found ^ 0xFFFF_FFFF


def packed_strings(values: Sequence[str]) -> bytes:
    r"""Strings as `vlen-utf8` has them: how many, then each with its length.

    >>> unpacked_strings(packed_strings(["a", "", "日本"]))
    ['a', '', '日本']
    """
    pieces = [struct.pack("<I", len(values))]
    for value in values:
        data = value.encode()
        pieces += [struct.pack("<I", len(data)), data]
    return b"".join(pieces)


def unpacked_strings(data: bytes) -> list[str]:
    """Undo `packed_strings`. Raises ValueError or struct.error for anything else."""
    (count,), at, found = struct.unpack_from("<I", data), 4, []
    for _ in range(count):
        (size,) = struct.unpack_from("<I", data, at)
        at += 4 + size
        if at > len(data):
            raise ValueError("a string is cut off")
        found.append(data[at - size : at].decode())
    if at != len(data):
        raise ValueError("more follows the strings")
    return found
