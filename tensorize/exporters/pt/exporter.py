"""Torch files: a dict of tensors that opens with `torch.load(path, weights_only=True)`, mapped or not.

They are written and read without torch: see `pickled`, `unpickled` and `tensorize.storage.archive`.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.pt.dense import Dense, NotPlainError
from tensorize.exporters.pt.pickled import pickled
from tensorize.exporters.pt.unpickled import unpickled
from tensorize.storage.archive import Place, Stored, plan_archive, read_member, read_members
from tensorize.storage.digest import check_end
from tensorize.storage.layout import from_plain, to_plain
from tensorize.storage.plan import FilePlan, Slot
from tensorize.storage.store import FileStore
from tensorize.storage.writer import SlotWriter

KEY = "tensorize"
_FOLDER = "archive/"
_PICKLE = "data.pkl"
_KNOWN = {".format_version": b"1", ".storage_alignment": b"64", "byteorder": b"little", "version": b"3\n"}
_DAMAGE = (zipfile.BadZipFile, NotPlainError, KeyError, OSError, ValueError, struct.error)


class Pt:
    """See `tensorize.core.contracts.Exporter`."""

    reads: ClassVar[bool] = True
    folder: ClassVar[bool] = False
    by_sample: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth")

    def refusal(self, layout: Layout) -> str:
        """Nothing is refused."""
        return ""

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the archive out. Raises UsageError, RunError as `SlotWriter.create` does."""
        return SlotWriter.create(path, _plan(layout), self.open, force=force)

    def open(self, path: Path) -> TensorSet:
        """Read the headers. Raises DataError if the file is not ours or is damaged, UsageError for a newer format."""
        try:
            members = torch_members(path)
            found = unpickled(_read_pickle(path, members))
        except DataError:
            raise
        except _DAMAGE as error:
            raise DataError(
                f"{path} was not written by tensorize, or it was cut off or changed: {error}",
                hint="make it again from the source",
            ) from None
        layout = from_plain(found.pop(KEY, None) if isinstance(found, dict) else None, path)
        return TensorSet(layout, FileStore(path, _slots(path, layout.tensors, found, members)))

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed."""
        check_end(path)


def torch_members(path: Path) -> dict[str, Place]:
    """The members of a torch archive, without the folder that all of them are in. Raises BadZipFile."""
    members: dict[str, Place] = {}
    for name, place in read_members(path).items():
        inner = name.partition("/")[2]
        if inner in members:
            raise zipfile.BadZipFile("two members of one name")
        members[inner] = place
    return members


def _plan(layout: Layout) -> FilePlan:
    """The pickle, which has the recipe, lies after the tensors, so that it can be written, and hashed, last."""
    early = {_FOLDER + name: data for name, data in _KNOWN.items()}
    tensors = {spec.key: Stored(f"{_FOLDER}data/{index}") for index, spec in enumerate(layout.tensors)}
    return plan_archive(layout, early, tensors, _pickle)


def _pickle(layout: Layout) -> dict[str, bytes]:
    return {_FOLDER + _PICKLE: pickled(layout.tensors, KEY, to_plain(layout))}


def _read_pickle(path: Path, members: Mapping[str, Place]) -> bytes:
    """What the archive says about its tensors, and everything else."""
    if read_member(path, members["byteorder"]) != b"little":
        raise NotPlainError("its numbers are not little-endian")
    return read_member(path, members[_PICKLE])


def _slots(path: Path, specs: Sequence[TensorSpec], found: Mapping[str, Any], members: Mapping[str, Place]) -> dict[str, Slot]:
    """Where the tensors lie. Raises DataError unless they are those of the layout, each with a storage of its own."""
    slots: dict[str, Slot] = {}
    for spec in specs:
        tensor = found.get(spec.key)
        if isinstance(tensor, Dense) and (tensor.shape, tensor.dtype) == (spec.shape, spec.dtype):
            at, size = members.get(f"data/{tensor.storage}", (0, -1))
            if size == spec.nbytes:
                slots[spec.key] = Slot(spec, at)
    lacking = [spec.key for spec in specs if spec.key not in slots]
    storages = {tensor.storage for tensor in found.values() if isinstance(tensor, Dense)}
    if lacking or found.keys() != slots.keys() or len(storages) < len(slots):
        said = lacking[0] if lacking else "that shares its numbers, or has no layout,"
        raise DataError(f"{path} is damaged: tensor {said} is not what the layout tells of", hint="see tensorize verify")
    return slots
