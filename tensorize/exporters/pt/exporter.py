"""Torch files: a dict of tensors that opens with `torch.load(path, weights_only=True)`, mapped or not.

They are written and read without torch: see `pickled`, `unpickled` and `archive`. The digest is the archive's comment.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError
from tensorize.core.limits import check_header
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.pt.archive import Member, directory, lay_out, read_members
from tensorize.exporters.pt.dense import Dense, NotPlainError
from tensorize.exporters.pt.pickled import pickled
from tensorize.exporters.pt.unpickled import unpickled
from tensorize.storage.digest import DIGEST_SIZE, check_end
from tensorize.storage.layout import FORMAT, About, Plain, checked, escape, padded, unescape
from tensorize.storage.partfile import PartFile
from tensorize.storage.slots import FileStore, Slot, SlotWriter, fitting

KEY = "tensorize"
_FOLDER = "archive/"
_PICKLE = _FOLDER + "data.pkl"
_DAMAGE = (zipfile.BadZipFile, NotPlainError, KeyError, OSError, ValueError, struct.error)


class Pt:
    """See `tensorize.core.contracts.Exporter`."""

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

        def finish(checksums: Mapping[str, int], recipe: str) -> None:
            final = plan if recipe == layout.recipe else _Plan.of(replace(layout, recipe=recipe))
            fitting(final.small[_PICKLE], len(plan.small[_PICKLE]))
            final.finish(part, checksums)

        return SlotWriter(part, plan.slots, plan.size, plan.size - DIGEST_SIZE, finish, self._check, checksums=True)

    def open(self, path: Path) -> TensorSet:
        """Read the headers. Raises DataError for what is no file of ours, or damaged, UsageError for a newer format."""
        try:
            members = read_members(path, DIGEST_SIZE)
            found = unpickled(_pickle(path, members))
        except DataError:
            raise
        except _DAMAGE as error:
            raise DataError(
                f"{path} was not written by tensorize, or it was cut off or changed: {error}",
                hint="make it again from the source",
            ) from None
        about = checked(About, found.pop(KEY, None) if isinstance(found, dict) else None, path)
        texts = {key: tuple(map(unescape, values)) for key, values in about.texts.items()}
        layout = about.layout.layout(about.recipe.rstrip(" "), texts)
        return TensorSet(layout, FileStore(path, _slots(path, layout.tensors, found, members)))

    def verify(self, path: Path) -> None:
        """Raise DataError where a byte has changed."""
        check_end(path)

    def _check(self, path: Path) -> None:
        self.open(path).close()


@dataclass(frozen=True)
class _Plan:
    """Where everything lies: `small` members are known now, the tensors' come later, key → member.

    The pickle, which has the recipe, lies behind the tensors, so that it can be written, and hashed, last.
    """

    small: Mapping[str, bytes]
    members: Mapping[str, Member]
    tensors: Mapping[str, Member]
    slots: Mapping[str, Slot]

    @classmethod
    def of(cls, layout: Layout) -> _Plan:
        texts = {key: [escape(value) for value in values] for key, values in layout.texts.items()}
        plain = Plain.of(layout).model_dump()
        about = {"format": FORMAT, "kind": layout.kind, "recipe": padded(layout.recipe), "layout": plain, "texts": texts}
        known = {".format_version": b"1", ".storage_alignment": b"64", "byteorder": b"little", "version": b"3\n"}
        before = {_FOLDER + name: data for name, data in known.items()}
        after = {_PICKLE: pickled(layout.tensors, KEY, about)}
        names = {spec.key: f"{_FOLDER}data/{index}" for index, spec in enumerate(layout.tensors)}
        sizes = {names[spec.key]: spec.nbytes for spec in layout.tensors}
        members = lay_out({**_sizes(before), **sizes, **_sizes(after)})
        tensors = {key: members[name] for key, name in names.items()}
        slots = {spec.key: Slot(spec, tensors[spec.key].at) for spec in layout.tensors}
        return cls({**before, **after}, members, tensors, slots)

    def _directory(self, checksums: Mapping[str, int]) -> bytes:
        known = {name: zlib.crc32(data) for name, data in self.small.items()}
        found = {self.tensors[key].name: checksum for key, checksum in checksums.items()}
        return directory(tuple(self.members.values()), {**known, **found}, b"0" * DIGEST_SIZE)

    @property
    def size(self) -> int:
        return list(self.members.values())[-1].stop + len(self._directory({}))

    def start(self, part: PartFile) -> None:
        """Write all that is known before the first row."""
        for member in self.members.values():
            part.write(member.start, member.header)
        for name, data in self.small.items():
            self._write_small(part, name, data)

    def _write_small(self, part: PartFile, name: str, data: bytes) -> None:
        part.write(self.members[name].at, data + self.members[name].descriptor(zlib.crc32(data)))

    def finish(self, part: PartFile, checksums: Mapping[str, int]) -> None:
        """Write the pickle, and the tensors' CRC-32 where the archive keeps them: after the data, and in the directory."""
        self._write_small(part, _PICKLE, self.small[_PICKLE])
        for key, member in self.tensors.items():
            part.write(member.at + member.size, member.descriptor(checksums[key]))
        end = self._directory(checksums)
        part.write(self.size - len(end), end)


def _sizes(members: Mapping[str, bytes]) -> dict[str, int]:
    return {name: len(data) for name, data in members.items()}


def _pickle(path: Path, members: Mapping[str, tuple[int, int]]) -> bytes:
    """What the archive says of its tensors, and everything else."""
    order = _content(path, members["byteorder"])
    if order != b"little":
        raise NotPlainError("its numbers are not little-endian")
    return _content(path, members["data.pkl"])


def _content(path: Path, member: tuple[int, int]) -> bytes:
    at, size = member
    check_header(path, size)
    with path.open("rb") as file:
        file.seek(at)
        return file.read(size)


def _slots(
    path: Path, specs: Sequence[TensorSpec], found: Mapping[str, Any], members: Mapping[str, tuple[int, int]]
) -> dict[str, Slot]:
    """Where the tensors lie. Raises DataError where they are not those of the layout, each with numbers of its own."""
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
