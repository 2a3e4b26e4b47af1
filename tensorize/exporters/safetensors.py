"""Safetensors: a header in JSON, then the numbers of every tensor, without gaps. Format: Hugging Face, "safetensors".

Written and read without the package `safetensors`, which takes whole tensors: here the place of every byte is known before
the first row. The header comes first and has the recipe, so it is written last, and hashed last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError, UsageError, in_python
from tensorize.core.limits import check_header
from tensorize.core.tensorset import TensorSet
from tensorize.core.units import size as told_size
from tensorize.storage.digest import NO_DIGEST, check_digest
from tensorize.storage.layout import checked, from_plain, parse_json, to_plain
from tensorize.storage.plan import FilePlan, Patch, Slot
from tensorize.storage.store import FileStore
from tensorize.storage.writer import SlotWriter

METADATA = "__metadata__"
DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
"""Ours → the format's."""
MAX_HEADER = 100_000_000
"""Bytes in a header that stock readers accept."""
_ALIGNMENT = 8
_LENGTH = 8
"""Bytes that hold the length of the header, little-endian."""
_BEGIN = b'{"__metadata__":{"sha256":"'
"""A header of ours, up to the digest."""
_DIGEST_AT = _LENGTH + len(_BEGIN)
_Size = Annotated[int, Field(ge=0, lt=1 << 62)]


class _Entry(BaseModel):
    """A tensor in the header; offsets count from the end of the header."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: tuple[_Size, ...]
    data_offsets: tuple[_Size, _Size]


class _Metadata(BaseModel):
    """What the header says beside the tensors: strings only."""

    recipe: str
    tensorize: str
    """The rest of `to_plain`, as JSON."""


class _Header(BaseModel):
    metadata: _Metadata
    entries: dict[str, _Entry]


@dataclass(frozen=True)
class Safetensors:
    """See `tensorize.core.contracts.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)
    reads: ClassVar[bool] = True
    folder: ClassVar[bool] = False

    def refusal(self, layout: Layout) -> str:
        """Why a layout cannot be written: a header over 100 MB, such as that of millions of paths. "" where it can."""
        length = len(_packed(layout))
        if length <= MAX_HEADER:
            return ""
        return (
            f"the recipe, the names and the texts take {told_size(length)}, and a .safetensors file holds at most "
            f"{told_size(MAX_HEADER)} beside its tensors; write .h5 instead"
        )

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the file out. Raises UsageError for a layout that is refused, and UsageError, RunError as `SlotWriter.create`."""
        if refused := self.refusal(layout):
            raise UsageError(refused)
        return SlotWriter.create(path, _plan(layout), self.open, force=force)

    def open(self, path: Path) -> TensorSet:
        """Read the header. Raises DataError if the file is not ours or is damaged, UsageError for a newer format."""
        with _opened(path) as file:
            start, size, data = _read_header(path, file)
        header = _parsed(path, data)
        about = parse_json(header.metadata.tensorize, path)
        if not isinstance(about, dict):
            raise _damaged(path, "its metadata is not an object")
        layout = from_plain({**about, "recipe": header.metadata.recipe}, path)
        _check_entries(path, layout.tensors, header.entries, size - start)
        slots = {spec.key: Slot(spec, start + header.entries[spec.key].data_offsets[0]) for spec in layout.tensors}
        return TensorSet(layout, FileStore(path, slots))

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed, or if another program has written the file again without its digest."""
        with _opened(path) as file:
            start, _, data = _read_header(path, file)
        if not data.startswith(_BEGIN):
            raise DataError(
                f"{path} was not written by tensorize, or another program has written it again without its checksum",
                hint="make it again from the source",
            )
        check_digest(path, _DIGEST_AT, start)


def _plan(layout: Layout) -> FilePlan:
    """The header, then the tensors."""
    start = len(_packed(layout))
    slots = {spec.key: Slot(spec, start + at) for spec, at in _lay_out(layout.tensors)}
    size = start + layout.nbytes

    def late(recipe: str, checksums: Mapping[str, int]) -> list[Patch]:
        del checksums
        return [(0, _packed(replace(layout, recipe=recipe)))]

    return FilePlan(size, slots, _DIGEST_AT, layout.recipe, (), late, header=start)


def _lay_out(specs: Sequence[TensorSpec]) -> list[tuple[TensorSpec, int]]:
    """Tensors in the order of the file, with their offset from the end of the header: each aligned to its own numbers.

    The format allows no gaps. What leaves the next one aligned comes first, in the order of the layout; the rest by size of its
    numbers, the largest first.
    """
    ordered = sorted(specs, key=lambda spec: -spec.itemsize if spec.nbytes % _ALIGNMENT else -_ALIGNMENT - 1)
    placed, at = [], 0
    for spec in ordered:
        placed.append((spec, at))
        at += spec.nbytes
    return placed


def _packed(layout: Layout) -> bytes:
    """The header with its length, the digest still zeros; blanks at its end align what follows."""
    about = to_plain(layout)
    metadata = {"sha256": NO_DIGEST.decode(), "recipe": about.pop("recipe"), "tensorize": json.dumps(about)}
    entries = {
        spec.key: {"dtype": DTYPES[spec.dtype], "shape": spec.shape, "data_offsets": (at, at + spec.nbytes)}
        for spec, at in _lay_out(layout.tensors)
    }
    text = json.dumps({METADATA: metadata, **entries}, ensure_ascii=False, separators=(",", ":"))
    data = text.encode()
    data += b" " * (-len(data) % _ALIGNMENT)
    return len(data).to_bytes(_LENGTH, "little") + data


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _read_header(path: Path, file: BinaryIO) -> tuple[int, int, bytes]:
    """(where the tensors start, bytes in the file, the header). Raises DataError if the lengths do not fit."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(_LENGTH), "little")
    if not 2 <= length <= min(size - _LENGTH, MAX_HEADER):
        raise DataError(
            f"{path} was not written by tensorize, or it was cut off or changed: it does not begin with a safetensors header",
            hint="make it again from the source",
        )
    check_header(path, length)
    return _LENGTH + length, size, file.read(length)


def _parsed(path: Path, data: bytes) -> _Header:
    """The header as the format defines it. Raises DataError for one that is not ours or not valid."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _damaged(path, "its header is not UTF-8") from None
    found = parse_json(text, path, _unique)
    if not text.startswith("{") or not isinstance(found, dict):
        raise _damaged(path, "its header is not an object")
    metadata = found.pop(METADATA, None)
    if not isinstance(metadata, dict) or "tensorize" not in metadata:
        raise DataError(
            f"{path} was not written by tensorize: it has no recipe",
            hint='read its tensors in Python, as columns: tensorize.prepare("table", '
            f"safetensors.numpy.load_file({in_python(path)}))",
        )
    return checked(_Header, {"metadata": metadata, "entries": found}, path)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError if a name appears twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name appears twice in its header")
    return made


def _check_entries(path: Path, specs: Sequence[TensorSpec], entries: Mapping[str, _Entry], size: int) -> None:
    """Raise DataError unless the entries are those of the layout, one after the other, and fill the `size` bytes."""
    if entries.keys() != {spec.key for spec in specs}:
        raise _damaged(path, "its header does not name the tensors of its layout")
    for spec in specs:
        entry = entries[spec.key]
        if (entry.dtype, entry.shape) != (DTYPES[spec.dtype], spec.shape):
            raise _damaged(path, f"tensor {spec.key} is not what the layout says")
        if entry.data_offsets[1] - entry.data_offsets[0] != spec.nbytes:
            raise _damaged(path, f"tensor {spec.key} has another size than its shape")
    at = 0
    for start, stop in sorted(entry.data_offsets for entry in entries.values()):
        if start != at:
            raise _damaged(path, "its tensors overlap, or leave a gap")
        at = stop
    if at != size:
        raise _damaged(path, f"its tensors take {at} bytes, and there are {size}")


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path} is damaged: {why}", hint="see tensorize verify")
