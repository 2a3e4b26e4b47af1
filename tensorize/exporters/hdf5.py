"""HDF5: one contiguous dataset for each tensor, in a group for each split, open to every stock reader.

The file is laid out empty by h5py, every tensor allocated; the tensors are then written in place.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from tensorize.errors import DataError, UsageError
from tensorize.exporters.partfile import PartFile
from tensorize.exporters.plain import FORMAT, Plain, escape, parse, unescape
from tensorize.exporters.slots import DIGEST_SIZE, FileStore, Slot, SlotWriter, check_digest
from tensorize.tensorset import TensorSet
from tensorize.types import Layout, TensorSpec

NAMES = "_names"
NAME_BYTES = 255
DIGEST, DIGEST_AT, VERSION = "tensorize_sha256", "tensorize_sha256_at", "tensorize_format"
_MARK = b"\x01tensorize digest\x02".ljust(DIGEST_SIZE, b"\x01")
_MARK_AT = 0x0174_656E_736F_7201
"""Both marks hold control characters, which no JSON and no name in the file does: they are found at once."""


class Hdf5:
    """See `tensorize.types.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the file out; see `SlotWriter`. Raises UsageError, RunError as `PartFile` does."""
        part = PartFile(path, force=force)
        try:
            slots = _lay_out(part.path, layout)
            size = part.path.stat().st_size
            part.reserve(size)
            digest_at = _place_digest(part, slots, size)
        except BaseException as error:
            part.abort()
            raise part.told(error) from error
        return SlotWriter(part, slots, size, digest_at, lambda _: None, _readable)

    def open(self, path: Path) -> TensorSet:
        """Read the headers. Raises DataError for what is no file of ours, damaged, or points outside itself."""
        try:
            with h5py.File(path, "r", locking=False) as file:
                return _read(path, file)
        except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, DataError | UsageError):
                raise
            raise DataError(f"{path} is no tensorize file, or it is damaged: {error}") from None

    def verify(self, path: Path) -> None:
        """Raise DataError where a byte has changed."""
        self.open(path).close()
        with h5py.File(path, "r", locking=False) as file:
            at = int(file.attrs.get(DIGEST_AT, 0))
        if not 0 <= at <= path.stat().st_size - DIGEST_SIZE:
            raise DataError(f"{path} is damaged: it has no digest")
        check_digest(path, at)


def _lay_out(path: Path, layout: Layout) -> dict[str, Slot]:
    """Create every dataset, allocated and unwritten, and every name and text; return where the tensors lie."""
    with h5py.File(path, "w", locking=False) as file:
        file.attrs.create(DIGEST, np.bytes_(_MARK), dtype=f"S{DIGEST_SIZE}")
        file.attrs.create(DIGEST_AT, _MARK_AT, dtype="<i8")
        file.attrs.create(VERSION, FORMAT, dtype="<i8")
        text = h5py.string_dtype()
        file.attrs.create("kind", layout.kind, dtype=text)
        file.attrs.create("recipe", layout.recipe, dtype=text)
        file.attrs.create("layout", json.dumps(Plain.of(layout).model_dump()), dtype=text)
        scales = _write_names(file, layout)
        for spec in layout.tensors:
            _create(file, spec, scales)
        for key, values in layout.texts.items():
            _write_text(file, key, [escape(value) for value in values]).attrs["role"] = "text"
    with h5py.File(path, "r", locking=False) as file:
        return {spec.key: Slot(spec, _offset(file[spec.key])) for spec in layout.tensors}


def _create(file: h5py.File, spec: TensorSpec, scales: Mapping[tuple[str, ...], h5py.Dataset]) -> None:
    """One dataset: contiguous, allocated now, never filled, without times."""
    group = file.require_group(spec.split) if spec.split else file
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    settings.set_obj_track_times(False)
    kind = h5py.h5t.py_create(np.dtype(spec.dtype), logical=True)
    made = h5py.h5d.create(group.id, spec.name.encode(), kind, h5py.h5s.create_simple(spec.shape), settings)
    dataset = h5py.Dataset(made)
    dataset.attrs["role"] = spec.role
    for axis, label in enumerate(spec.axes):
        dataset.dims[axis].label = label
        if spec.labels.get(label):
            dataset.dims[axis].attach_scale(scales[spec.labels[label]])


def _write_names(file: h5py.File, layout: Layout) -> dict[tuple[str, ...], h5py.Dataset]:
    """Channel names as dimension scales, shared by the splits: for people and stock readers, so cut where they are long."""
    scales: dict[tuple[str, ...], h5py.Dataset] = {}
    for spec in layout.tensors:
        for axis, names in spec.labels.items():
            if names and names not in scales:
                key = f"{NAMES}/{axis}" if f"{NAMES}/{axis}" not in file else f"{NAMES}/{axis}_{len(scales)}"
                scales[names] = _write_text(file, key, [_cut(escape(name)) for name in names])
                scales[names].make_scale(axis)
    return scales


def _cut(name: str) -> str:
    """At most 255 bytes of UTF-8, never half a character."""
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


def _write_text(file: h5py.File, key: str, values: Sequence[str]) -> h5py.Dataset:
    """Strings as a fixed-length UTF-8 dataset."""
    data = [value.encode() for value in values]
    width = max((len(value) for value in data), default=0) or 1
    kind = h5py.string_dtype("utf-8", width)
    return file.create_dataset(key, data=np.array(data, dtype=f"S{width}").astype(kind), dtype=kind, track_times=False)


def _offset(dataset: h5py.Dataset) -> int:
    """Where the numbers start; 0 for an empty tensor, which lies nowhere."""
    return dataset.id.get_offset() or 0


def _place_digest(part: PartFile, slots: Mapping[str, Slot], size: int) -> int:
    """Find the slot of the digest among the metadata, and note its place in the file."""
    mark_at = struct.pack("<q", _MARK_AT)
    places: dict[bytes, int] = {}
    for start, data in _metadata(part, slots, size):
        for mark in (_MARK, mark_at):
            at = data.find(mark)
            if at >= 0:
                places.setdefault(mark, start + at)
    digest_at = places[_MARK]
    part.write(places[mark_at], struct.pack("<q", digest_at))
    part.write(digest_at, b"0" * DIGEST_SIZE)
    return digest_at


def _metadata(part: PartFile, slots: Mapping[str, Slot], size: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of what lies between the tensors."""
    at = 0
    for slot in sorted((slot for slot in slots.values() if slot.spec.nbytes), key=lambda slot: slot.at):
        yield at, part.read(at, slot.at - at)
        at = slot.at + slot.spec.nbytes
    yield at, part.read(at, size - at)


def _readable(path: Path) -> None:
    """Open the finished file once, headers alone."""
    with h5py.File(path, "r", locking=False) as file:
        _read(path, file).close()


def _read(path: Path, file: h5py.File) -> TensorSet:
    version = file.attrs.get(VERSION)
    if version is None:
        raise DataError(f"{path} was not written by tensorize", hint=f"it is HDF5, but has no attribute {VERSION}")
    if version > FORMAT:
        raise UsageError(
            f"{path} has format {version}; this tensorize reads up to {FORMAT}",
            hint="update it: pip install --upgrade tensorize",
        )
    plain = parse(file.attrs["layout"], path)
    texts = {key: tuple(unescape(value) for value in _texts(path, file, key)) for key in plain.texts}
    layout = plain.layout(str(file.attrs["recipe"]), texts)
    slots = {spec.key: Slot(spec, _checked(path, file, spec)) for spec in layout.tensors}
    return TensorSet(layout, FileStore(path, slots))


def _texts(path: Path, file: h5py.File, key: str) -> Any:
    return _plain_dataset(path, file, key).asstr()[()]


def _checked(path: Path, file: h5py.File, spec: TensorSpec) -> int:
    """The offset of a tensor whose shape, dtype and storage are what the layout tells of."""
    dataset = _plain_dataset(path, file, spec.key)
    offset = _offset(dataset)
    if dataset.shape != spec.shape or dataset.dtype != np.dtype(spec.dtype) or (spec.nbytes and not offset):
        raise DataError(f"{path} is damaged: tensor {spec.key} is not what the layout tells of", hint="see tensorize verify")
    if offset + spec.nbytes > path.stat().st_size:
        raise DataError(f"{path} ends too soon", hint="it was cut off; make it again from the source")
    return offset


def _plain_dataset(path: Path, file: h5py.File, key: str) -> h5py.Dataset:
    """A dataset that lies in this very file. Raises DataError for links, external storage and virtual datasets."""
    group: Any = file
    for name in key.split("/"):
        link = group.get(name, getlink=True)
        if link is None:
            raise DataError(f"{path} is damaged: {key} is missing")
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{path}: {key} is a link, which may lead outside the file; it is not followed")
        group = group[name]
    if not isinstance(group, h5py.Dataset):
        raise DataError(f"{path} is damaged: {key} is no dataset")
    if group.external or group.is_virtual:
        raise DataError(f"{path}: {key} keeps its numbers in other files; they are not read")
    return group
