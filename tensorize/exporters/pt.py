"""Torch files: a dict of tensors that opens with `torch.load(path, weights_only=True)`, mapped or not.

They are written without torch: see `pickled` and `archive`. The digest is the archive's comment.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tensorize.errors import DataError, UsageError
from tensorize.exporters.archive import Member, directory, lay_out, read_members
from tensorize.exporters.partfile import PartFile
from tensorize.exporters.pickled import pickled
from tensorize.exporters.plain import FORMAT, Plain, escape, parse, unescape
from tensorize.exporters.slots import DIGEST_SIZE, FileStore, Slot, SlotWriter, check_digest
from tensorize.tensorset import TensorSet
from tensorize.types import Layout, TensorSpec

KEY = "tensorize"
_FOLDER = "archive/"
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


class Pt:
    """See `tensorize.types.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth")

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the archive out; see `SlotWriter`. Raises UsageError, RunError as `PartFile` does."""
        part = PartFile(path, force=force)
        try:
            plan = _Plan.of(layout)
            part.reserve(plan.size)
            plan.start(part)
        except BaseException:
            part.abort()
            raise

        def finish(checksums: Mapping[str, int]) -> None:
            plan.finish(part, checksums)

        return SlotWriter(part, plan.slots, plan.size, plan.size - DIGEST_SIZE, finish, _readable, checksums=True)

    def open(self, path: Path) -> TensorSet:
        """Read the headers. Raises DataError for what is no file of ours, or damaged."""
        import torch

        try:
            members = read_members(path)
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
        _check_tensors(path, layout.tensors, found, members)
        slots = {spec.key: Slot(spec, members[f"data/{index}"][0]) for index, spec in enumerate(layout.tensors)}
        return TensorSet(layout, FileStore(path, slots))

    def verify(self, path: Path) -> None:
        """Raise DataError where a byte has changed."""
        size = path.stat().st_size
        if size <= DIGEST_SIZE:
            raise DataError(f"{path} was not written by tensorize")
        check_digest(path, size - DIGEST_SIZE)


@dataclass(frozen=True)
class _Plan:
    """Where everything lies: `small` members are known now, the tensors' come later, key → member."""

    small: Mapping[str, bytes]
    members: Mapping[str, Member]
    tensors: Mapping[str, Member]
    slots: Mapping[str, Slot]

    @classmethod
    def of(cls, layout: Layout) -> _Plan:
        texts = {key: [escape(value) for value in values] for key, values in layout.texts.items()}
        plain = Plain.of(layout).model_dump()
        about = {"format": FORMAT, "kind": layout.kind, "recipe": layout.recipe, "layout": plain, "texts": texts}
        before = {"data.pkl": pickled(layout.tensors, KEY, about), ".format_version": b"1", ".storage_alignment": b"64"}
        small = {_FOLDER + name: data for name, data in {**before, "byteorder": b"little", "version": b"3\n"}.items()}
        names = {spec.key: f"{_FOLDER}data/{index}" for index, spec in enumerate(layout.tensors)}
        sizes = {names[spec.key]: spec.nbytes for spec in layout.tensors}
        members = lay_out({**{name: len(data) for name, data in small.items()}, **sizes})
        tensors = {key: members[name] for key, name in names.items()}
        return cls(small, members, tensors, {spec.key: Slot(spec, tensors[spec.key].at) for spec in layout.tensors})

    def _directory(self, checksums: Mapping[str, int]) -> bytes:
        known = {name: zlib.crc32(data) for name, data in self.small.items()}
        found = {self.tensors[key].name: checksum for key, checksum in checksums.items()}
        return directory(tuple(self.members.values()), {**known, **found}, b"0" * DIGEST_SIZE)

    @property
    def size(self) -> int:
        return list(self.members.values())[-1].stop + len(self._directory({}))

    def start(self, part: PartFile) -> None:
        """Write all that is known before the first row."""
        for name, member in self.members.items():
            part.write(member.start, member.header + self.small.get(name, b""))
        for name, data in self.small.items():
            part.write(self.members[name].at + len(data), self.members[name].descriptor(zlib.crc32(data)))

    def finish(self, part: PartFile, checksums: Mapping[str, int]) -> None:
        """Write the tensors' CRC-32 where the archive keeps them: after the data, and in the directory."""
        for key, member in self.tensors.items():
            part.write(member.at + member.size, member.descriptor(checksums[key]))
        end = self._directory(checksums)
        part.write(self.size - len(end), end)


def _readable(path: Path) -> None:
    """Open the finished file once, headers alone."""
    with zipfile.ZipFile(path) as archive:
        archive.infolist()


def _check_end(path: Path) -> None:
    """Raise DataError where the digest, the end of the file, is cut off."""
    with zipfile.ZipFile(path) as archive:
        if len(archive.comment) != DIGEST_SIZE:
            raise DataError(f"{path} ends too soon", hint="it was cut off; make it again from the source")


def _check_tensors(
    path: Path, specs: tuple[TensorSpec, ...], found: Mapping[str, Any], members: Mapping[str, tuple[int, int]]
) -> None:
    """Raise DataError where the tensors are not those that the layout tells of.

    Torch numbers the tensors in the order of the dict, so that tensor `i` lies in `data/i`.
    """
    for index, spec in enumerate(specs):
        tensor, (_, size) = found.get(spec.key), members.get(f"data/{index}", (0, -1))
        if tensor is None or size != spec.nbytes or tuple(tensor.shape) != spec.shape:
            raise DataError(
                f"{path} is damaged: tensor {spec.key} is not what the layout tells of", hint="see tensorize verify"
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
