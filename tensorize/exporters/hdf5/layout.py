"""A file laid out empty by h5py, in memory: every dataset allocated, every name and text written, and where they lie."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import h5py
import numpy as np

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.exporters.hdf5 import NAMES, VERSION
from tensorize.exporters.hdf5.index import Index, Place, Strings
from tensorize.storage.layout import FORMAT, Plain, escape, padded

NAME_BYTES = 255
_PAGE = 1 << 16
_HEAP = 4096
"""What HDF5 keeps for short strings: a longer one lies where the file ends as it is written."""


def lay_out(layout: Layout) -> tuple[Index, Metadata]:
    """Everything but the numbers of the tensors: where they lie, and what HDF5 writes around them.

    HDF5 never sees the disk: where that is full, its library leaves files that open with zeros, or cannot close them.
    The recipe lies behind all tensors, so that it can be written, and hashed, last.
    """
    held, recipe = Metadata(), in_room(layout.recipe)
    with h5py.File(held, "w") as file:
        file.attrs.create(VERSION, FORMAT, dtype="<i8")
        text = h5py.string_dtype()
        file.attrs.create("kind", layout.kind, dtype=text)
        scales = _write_names(file, layout)
        for spec in layout.tensors:
            _create(file, spec, scales)
        for key, values in layout.texts.items():
            _write_text(file, key, [escape(value) for value in values]).attrs["role"] = "text"
        file.attrs.create("recipe", recipe.decode(), dtype=text)
    with h5py.File(held, "r") as file:
        tensors = {spec.key: _offset(file[spec.key]) for spec in layout.tensors}
        texts = {key: _strings(file[key]) for key in layout.texts}
    place = Place(at=held.find(recipe), size=len(recipe))
    return Index(format=FORMAT, layout=Plain.of(layout), recipe=place, tensors=tensors, texts=texts), held


def in_room(recipe: str) -> bytes:
    """A recipe as it stands in the file."""
    return padded(recipe, _HEAP).encode()


class Metadata(io.RawIOBase):
    """A file in memory that holds what was written, and not the gaps between: a tensor takes no room."""

    def __init__(self) -> None:
        self.size, self._at = 0, 0
        self._pages: dict[int, bytearray] = {}

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, bytes) of what was written, neighbouring pages as one."""
        numbers = sorted(self._pages)
        for _, group in groupby(enumerate(numbers), key=lambda item: item[1] - item[0]):
            pages = [number for _, number in group]
            at = pages[0] * _PAGE
            yield at, b"".join(self._pages[number] for number in pages)[: self.size - at]

    def find(self, data: bytes) -> int:
        """Where `data` stands: h5py tells no place of an attribute."""
        return next(start + at for start, run in self.runs() if (at := run.find(data)) >= 0)

    def readable(self) -> bool:
        """True, for h5py."""
        return True

    def writable(self) -> bool:
        """True, for h5py."""
        return True

    def seekable(self) -> bool:
        """True, for h5py."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to `offset` bytes from the start, the current position or the end (`whence` 0, 1, 2); return the position."""
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Set the size in bytes, to the current position if None; return it."""
        self.size = self._at if size is None else size
        return self.size

    def write(self, data: Any) -> int:
        """Write bytes at the current position, and return how many."""
        view = memoryview(data).cast("B")
        for at, start, stop in _cut_pages(self._at, len(view)):
            page = self._pages.setdefault(at // _PAGE, bytearray(_PAGE))
            page[at % _PAGE : at % _PAGE + stop - start] = view[start:stop]
        self._at += len(view)
        self.size = max(self.size, self._at)
        return len(view)

    def readinto(self, into: Any) -> int:
        """Fill a buffer from the current position, gaps as zeros; return how many bytes there were."""
        view = memoryview(into).cast("B")[: max(self.size - self._at, 0)]
        for at, start, stop in _cut_pages(self._at, len(view)):
            page = self._pages.get(at // _PAGE, bytes(_PAGE))
            view[start:stop] = page[at % _PAGE : at % _PAGE + stop - start]
        self._at += len(view)
        return len(view)


def _cut_pages(at: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (offset in the file, start, stop) for each page that `size` bytes from `at` touch."""
    start = 0
    while start < size:
        stop = min(size, start + _PAGE - (at + start) % _PAGE)
        yield at + start, start, stop
        start = stop


def _offset(dataset: h5py.Dataset) -> int:
    """Where the numbers start; 0 for an empty tensor, which lies nowhere."""
    return dataset.id.get_offset() or 0


def _strings(dataset: h5py.Dataset) -> Strings:
    return Strings(at=_offset(dataset), width=dataset.dtype.itemsize, count=len(dataset))


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
    """Strings as a fixed-length dataset: UTF-8, or ASCII where that is enough: GNU Octave loads no other."""
    data = [value.encode() for value in values]
    width = max((len(value) for value in data), default=0) or 1
    kind = h5py.string_dtype("ascii" if all(map(str.isascii, values)) else "utf-8", width)
    return file.create_dataset(key, data=np.array(data, dtype=f"S{width}").astype(kind), dtype=kind, track_times=False)
