"""A file laid out empty by h5py: every dataset allocated, every name and text written, and where each of them lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from tensorize.exporters.hdf5_index import Index, Place, Strings
from tensorize.exporters.plain import FORMAT, Plain, escape
from tensorize.types import Layout, TensorSpec

NAMES = "_names"
NAME_BYTES = 255
VERSION = "tensorize_format"


def lay_out(path: Path, layout: Layout) -> Index:
    """Write everything but the numbers of the tensors."""
    with h5py.File(path, "w", locking=False) as file:
        file.attrs.create(VERSION, FORMAT, dtype="<i8")
        text = h5py.string_dtype()
        file.attrs.create("kind", layout.kind, dtype=text)
        file.attrs.create("recipe", layout.recipe, dtype=text)
        scales = _write_names(file, layout)
        for spec in layout.tensors:
            _create(file, spec, scales)
        for key, values in layout.texts.items():
            _write_text(file, key, [escape(value) for value in values]).attrs["role"] = "text"
    return _index(path, layout)


def _index(path: Path, layout: Layout) -> Index:
    """Where things lie in the finished layout."""
    with h5py.File(path, "r", locking=False) as file:
        tensors = {spec.key: _offset(file[spec.key]) for spec in layout.tensors}
        texts = {key: _strings(file[key]) for key in layout.texts}
    recipe = layout.recipe.encode()
    return Index(
        format=FORMAT,
        layout=Plain.of(layout),
        recipe=Place(at=_find(path, recipe, layout, tensors), size=len(recipe)),
        tensors=tensors,
        texts=texts,
    )


def _offset(dataset: h5py.Dataset) -> int:
    """Where the numbers start; 0 for an empty tensor, which lies nowhere."""
    return dataset.id.get_offset() or 0


def _strings(dataset: h5py.Dataset) -> Strings:
    return Strings(at=_offset(dataset), width=dataset.dtype.itemsize, count=len(dataset))


def _find(path: Path, data: bytes, layout: Layout, tensors: Mapping[str, int]) -> int:
    """Where `data` stands among what h5py wrote: it tells no place of an attribute."""
    for start, found in _metadata(path, layout, tensors):
        at = found.find(data)
        if at >= 0:
            return start + at
    raise AssertionError("h5py keeps a string as its bytes")


def _metadata(path: Path, layout: Layout, tensors: Mapping[str, int]) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of what lies between the tensors."""
    at = 0
    with path.open("rb") as file:
        for spec in sorted((spec for spec in layout.tensors if spec.nbytes), key=lambda spec: tensors[spec.key]):
            file.seek(at)
            yield at, file.read(tensors[spec.key] - at)
            at = tensors[spec.key] + spec.nbytes
        file.seek(at)
        yield at, file.read()


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
