"""NumPy archives: a zip archive with an array for each tensor, stored as it is, and a member with everything else.

Written and read without `numpy.savez`, which takes whole arrays: here the place of every byte is known before the first row.
See `tensorize.exporters.npy` and `tensorize.storage.archive`.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError, in_python
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.npy import array_header
from tensorize.storage.archive import Place, Stored, plan_archive, read_member, read_members
from tensorize.storage.digest import check_end
from tensorize.storage.layout import from_plain, parse_json, to_plain
from tensorize.storage.plan import Slot
from tensorize.storage.store import FileStore
from tensorize.storage.writer import SlotWriter

ABOUT = "tensorize.json"
"""The member that has everything but the numbers."""
_DAMAGE = (zipfile.BadZipFile, KeyError, OSError, struct.error)


@dataclass(frozen=True)
class Npz:
    """See `tensorize.core.contracts.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    reads: ClassVar[bool] = True
    folder: ClassVar[bool] = False

    def refusal(self, layout: Layout) -> str:
        """Every layout can be written."""
        del layout
        return ""

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the archive out. Raises UsageError, RunError as `SlotWriter.create` does."""
        plan = plan_archive(layout, {}, {spec.key: _stored(spec) for spec in layout.tensors}, _about)
        return SlotWriter.create(path, plan, self.open, force=force)

    def open(self, path: Path) -> TensorSet:
        """Read the directory. Raises DataError if the file is not ours or is damaged, UsageError for a newer format."""
        try:
            members = read_members(path)
            about = read_member(path, members[ABOUT])
        except _DAMAGE as error:
            raise _foreign(path, error) from None
        layout = from_plain(parse_json(about, path), path)
        return TensorSet(layout, FileStore(path, {spec.key: _slot(path, spec, members) for spec in layout.tensors}))

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed."""
        check_end(path)


def _stored(spec: TensorSpec) -> Stored:
    return Stored(f"{spec.key}.npy", array_header(spec))


def _about(layout: Layout) -> dict[str, bytes]:
    return {ABOUT: json.dumps(to_plain(layout)).encode()}


def _slot(path: Path, spec: TensorSpec, members: Mapping[str, Place]) -> Slot:
    """Where a tensor lies. Raises DataError unless the member is an array of its type and shape."""
    stored = _stored(spec)
    try:
        slot = stored.slot(spec, members)
        said = read_member(path, (members[stored.name][0], len(stored.prefix)))
    except _DAMAGE:
        said = b""
    if said != stored.prefix:
        raise DataError(f"{path} is damaged: tensor {spec.key} is not what the layout says", hint="see tensorize verify")
    return slot


def _foreign(path: Path, error: Exception) -> DataError:
    """The error for what is no archive of ours, which numpy may be able to read."""
    what = f"{path} was not written by tensorize, or it was cut off or changed"
    if not zipfile.is_zipfile(path):
        return DataError(f"{what}: {error}", hint="make it again from the source")
    call = f'tensorize.prepare("table", dict(numpy.load({in_python(path)})))'
    return DataError(what, hint=f"if numpy wrote it, read its arrays in Python, as columns: {call}")
