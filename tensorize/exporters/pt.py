"""Torch files: a dict of tensors that opens with `torch.load(path, weights_only=True)`, mapped or not.

The archive is laid out empty by torch itself; the tensors are then written in place, and their checksums after them.
The digest is the archive's comment.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.errors import DataError, UsageError
from tensorize.exporters.partfile import PartFile
from tensorize.exporters.plain import FORMAT, Plain, escape, parse, unescape
from tensorize.exporters.slots import DIGEST_SIZE, FileStore, Slot, SlotWriter, check_digest
from tensorize.tensorset import TensorSet
from tensorize.types import Layout, TensorSpec

if TYPE_CHECKING:
    import torch

KEY = "tensorize"
_DESCRIPTOR = b"PK\x07\x08"
_LOCAL = struct.Struct("<4s5H3I2H")
_DAMAGE = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    KeyError,
    EOFError,
    OSError,
    AttributeError,
    TypeError,
    struct.error,
)


@dataclass(frozen=True)
class _Record:
    """One member of the archive: where its data and its entry in the central directory start."""

    at: int
    size: int
    entry: int


class Pt:
    """See `tensorize.types.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth")

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the archive out; see `SlotWriter`. Raises UsageError, RunError as `PartFile` does."""
        part = PartFile(path, force=force)
        try:
            _lay_out(part, layout)
            records = _records(part.path)
            size = part.path.stat().st_size
            part.reserve(size)
        except BaseException as error:
            part.abort()
            raise part.told(error) from error
        slots = _slots(layout.tensors, records)
        return SlotWriter(
            part, slots, size, size - DIGEST_SIZE, partial(_patch, part, layout.tensors, records), _readable, checksums=True
        )

    def open(self, path: Path) -> TensorSet:
        """Read the headers. Raises DataError for what is no file of ours, or damaged."""
        import torch

        try:
            records = _records(path)
            found = torch.load(path, weights_only=True, mmap=True)
        except _DAMAGE as error:
            raise DataError(f"{path} is no tensorize file, or it is damaged: {_first_line(error)}") from None
        state = found.get(KEY) if isinstance(found, dict) else None
        if not isinstance(state, dict) or not isinstance(state.get("format"), int) or not isinstance(state.get("recipe"), str):
            raise DataError(f"{path} was not written by tensorize", hint='it has no plain dict under the key "tensorize"')
        if state["format"] > FORMAT:
            raise UsageError(
                f"{path} has format {state['format']}; this tensorize reads up to {FORMAT}",
                hint="update it: pip install --upgrade tensorize",
            )
        _check_end(path)
        plain = parse(state.get("layout"), path)
        texts = {key: tuple(unescape(value) for value in state["texts"][key]) for key in plain.texts}
        layout = plain.layout(state["recipe"], texts)
        _check_tensors(path, layout.tensors, found, records)
        return TensorSet(layout, FileStore(path, _slots(layout.tensors, records)))

    def verify(self, path: Path) -> None:
        """Raise DataError where a byte has changed."""
        size = path.stat().st_size
        if size <= DIGEST_SIZE:
            raise DataError(f"{path} was not written by tensorize")
        check_digest(path, size - DIGEST_SIZE)


def _lay_out(part: PartFile, layout: Layout) -> None:
    """Let torch write an archive whose tensors are holes, with room for the digest in its comment.

    Saved to an open file, so that the archive does not carry the file's name.
    """
    import torch

    state: dict[str, Any] = {spec.key: _hollow(spec) for spec in layout.tensors}
    texts = {key: [escape(value) for value in values] for key, values in layout.texts.items()}
    about = {
        "format": FORMAT,
        "kind": layout.kind,
        "recipe": layout.recipe,
        "layout": Plain.of(layout).model_dump(),
        "texts": texts,
    }
    # Through JSON, since pickle writes a string that is met twice as a reference: equal files need equal identities.
    state[KEY] = json.loads(json.dumps(about))
    with part.path.open("r+b") as file:
        with torch.serialization.skip_data():
            torch.save(state, file)
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", DIGEST_SIZE) + b"0" * DIGEST_SIZE)


def _hollow(spec: TensorSpec) -> torch.Tensor:
    """A tensor of the right size in address space that is never touched: torch asks for its size alone."""
    import torch

    dtype = getattr(torch, spec.dtype)
    if not math.prod(spec.shape):
        return torch.empty(spec.shape, dtype=dtype)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return torch.frombuffer(mmap.mmap(-1, spec.nbytes, flags=flags), dtype=dtype).reshape(spec.shape)


def _records(path: Path) -> dict[str, _Record]:
    """The members of the archive by their name without the folder. Raises BadZipFile for compressed ones."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        found: dict[str, _Record] = {}
        entry = archive.start_dir
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise zipfile.BadZipFile("a compressed member")
            file.seek(info.header_offset)
            *_, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
            at = info.header_offset + _LOCAL.size + name + extra
            found[info.filename.partition("/")[2]] = _Record(at, info.file_size, entry)
            file.seek(entry + 28)
            entry += 46 + sum(struct.unpack("<3H", file.read(6)))
    return found


def _slots(specs: tuple[TensorSpec, ...], records: Mapping[str, _Record]) -> dict[str, Slot]:
    """Key → where it lies: torch numbers the tensors in the order of the dict."""
    return {spec.key: Slot(spec, records[f"data/{index}"].at) for index, spec in enumerate(specs)}


def _patch(part: PartFile, specs: tuple[TensorSpec, ...], records: Mapping[str, _Record], checksums: Mapping[str, int]) -> None:
    """Put the tensors' CRC-32 where the archive keeps them: in the data descriptor, and in the central directory."""
    for index, spec in enumerate(specs):
        record, checksum = records[f"data/{index}"], struct.pack("<I", checksums[spec.key])
        after = record.at + record.size
        if part.read(after, 4) == _DESCRIPTOR:
            part.write(after + 4, checksum)
        part.write(record.entry + 16, checksum)


def _readable(path: Path) -> None:
    """Open the finished file once, headers alone."""
    with zipfile.ZipFile(path) as archive:
        archive.infolist()


def _check_end(path: Path) -> None:
    """Raise DataError where the digest, the end of the file, is cut off."""
    with zipfile.ZipFile(path) as archive:
        if len(archive.comment) != DIGEST_SIZE:
            raise DataError(f"{path} ends too soon", hint="it was cut off; make it again from the source")


def _check_tensors(path: Path, specs: tuple[TensorSpec, ...], found: Mapping[str, Any], records: Mapping[str, _Record]) -> None:
    """Raise DataError where the tensors are not those that the layout tells of."""
    for index, spec in enumerate(specs):
        tensor, record = found.get(spec.key), records.get(f"data/{index}")
        if tensor is None or record is None or record.size != spec.nbytes or tuple(tensor.shape) != spec.shape:
            raise DataError(
                f"{path} is damaged: tensor {spec.key} is not what the layout tells of", hint="see tensorize verify"
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
