"""A separate process that finds out through HDF5 where the tensors of a file lie: if the file crashes it, it ends alone.

HDF5 may not use more memory and time than it is given, open or write any other file, or load a plug-in. It looks at the root
and its groups only, follows no link to elsewhere and no group further down, and reads no numbers. Back come a line of JSON
and the recipe; nothing in that is code.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from tensorize.core.errors import quoted, shown
from tensorize.engine.memory_limit import limit_memory
from tensorize.exporters.hdf5 import NAMES, VERSION

IGNORED = 5
"""How many names of what is no tensor are told."""
_DTYPES = ("float16", "float32", "float64", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def main() -> None:
    """Look through the file `argv[1]` within `argv[2]` bytes of memory and `argv[3]` seconds of processor time."""
    path, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    taken = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    for limit, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (most, most))
    limit_memory(memory)
    recipe = b""
    try:
        answer, recipe = _scan(path)
    except _RefusedError as refused:
        answer = {"what": refused.what, "hint": refused.hint}
    except MemoryError:
        answer = {"what": "it takes too much memory to look through"}
    except Exception as error:
        answer = {"what": f"HDF5 cannot read it: {shown(str(error), 300)}"}
    taken.write(json.dumps({**answer, "recipe": len(recipe)}).encode() + b"\n" + recipe)
    taken.flush()
    os._exit(0)  # HDF5 need not tidy up after a file that may have done it harm


class _RefusedError(Exception):
    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


@dataclass
class _Found:
    """What is told: places as in `tensorize.exporters.hdf5.index`, `labels` of a tensor as positions in `names`."""

    path: str
    scales: dict[str, int] = field(default_factory=dict)
    names: list[dict[str, int]] = field(default_factory=list)
    layouts: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, int] = field(default_factory=dict)
    texts: dict[str, dict[str, int]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    more: int = 0

    def ignore(self, key: str) -> None:
        """Tell of what is no tensor."""
        if len(self.ignored) < IGNORED:
            self.ignored.append(shown(key))
        else:
            self.more += 1


def _scan(path: str) -> tuple[dict[str, Any], bytes]:
    with h5py.File(path, "r", locking=False) as file:
        most = os.dup(0)  # the lowest number that is free: nothing else can be opened from here on
        os.close(most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if VERSION not in file.attrs:
            return {"is_foreign": True}, b""
        found = _Found(path)
        version, kind, recipe = int(file.attrs[VERSION]), _text(file, "kind"), _text(file, "recipe")
        _find_names(found, file)
        for split, name, key, item in _items(found, file):
            _find(found, split, name, key, item)
    answer = {"format": version, "kind": kind, "names": found.names, "layouts": found.layouts, "tensors": found.tensors}
    return {**answer, "texts": found.texts, "ignored": found.ignored, "more": found.more}, recipe.encode()


def _text(item: Any, key: str) -> str:
    """An attribute that is a string."""
    value = item.attrs.get(key)
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise _RefusedError(f"it has lost the attribute {key} of {item.name}")
    return value


def _children(found: _Found, group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The objects of one group. Links to elsewhere are not followed."""
    for name in group:
        if group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type == h5py.h5l.TYPE_HARD:
            yield name, group[name]
        else:
            found.ignore(prefix + name)


def _items(found: _Found, file: Any) -> Iterator[tuple[str | None, str, str, Any]]:
    """Yield (split, name, key, object) for the objects of the root and of its groups."""
    for name, item in _children(found, file):
        if not isinstance(item, h5py.Group):
            yield None, name, name, item
        elif name != NAMES:
            for inner, part in _children(found, item, f"{name}/"):
                yield name, inner, f"{name}/{inner}", part


def _find(found: _Found, split: str | None, name: str, key: str, item: Any) -> None:
    """Note one tensor or its texts, and what is neither: no dataset, or without a role."""
    if not isinstance(item, h5py.Dataset) or "role" not in item.attrs:
        found.ignore(key)
        return
    role = _text(item, "role")
    if role == "text":
        found.texts[key] = _strings(found, key, item)
        return
    dtype = next((dtype for dtype in _DTYPES if item.id.get_type() == _plain(dtype)), None)
    if dtype is None:
        raise _RefusedError(f"the numbers of {shown(key)} have a type that tensorize does not write")
    found.tensors[key] = _offset(found, key, item)
    axes = [str(label) for label in item.attrs["DIMENSION_LABELS"]] if "DIMENSION_LABELS" in item.attrs else []
    spec = {"name": name, "split": split, "shape": item.shape, "dtype": dtype, "axes": axes, "role": role}
    found.layouts.append({**spec, "labels": _labels(found, key, item, axes)})


def _plain(dtype: str) -> Any:
    return h5py.h5t.py_create(np.dtype(dtype).newbyteorder("<"), logical=True)


def _offset(found: _Found, key: str, item: Any) -> int:
    """Where the bytes of a dataset lie. Only contiguous ones in the file itself do; asked for before its shape."""
    settings = item.id.get_create_plist()
    if settings.get_layout() == h5py.h5d.VIRTUAL or settings.get_external_count():
        raise _RefusedError(f"the values of {shown(key)} lie in another file")
    if settings.get_layout() != h5py.h5d.CONTIGUOUS:
        raise _RefusedError(f"the values of {shown(key)} are stored in chunks or compressed", _unpack(found.path))
    if item.id.get_type().get_size() * math.prod(item.shape) > item.id.get_storage_size():
        raise _RefusedError(f"the values of {shown(key)} were never written")
    return int(item.id.get_offset() or 0)


def _unpack(path: str) -> str:
    """The command line that makes every dataset contiguous."""
    stem, suffix = os.path.splitext(path)
    return f"store them plainly: h5repack -f NONE -l CONTI {quoted(path)} {quoted(f'{stem}-plain{suffix}')}"


def _strings(found: _Found, key: str, item: Any) -> dict[str, int]:
    kind, at = item.id.get_type(), _offset(found, key, item)
    width = kind.get_size()
    known = [h5py.h5t.py_create(h5py.string_dtype(name, width), logical=True) for name in ("ascii", "utf-8")]
    if len(item.shape) != 1 or kind not in known:
        raise _RefusedError(f"{shown(key)} does not hold strings of a fixed length")
    return {"at": at, "width": width, "count": len(item)}


def _find_names(found: _Found, file: Any) -> None:
    """The names along axes, under their keys in the file."""
    if NAMES not in file or not isinstance(names := file[NAMES], h5py.Group):
        return
    for name, item in _children(found, names, f"{NAMES}/"):
        if isinstance(item, h5py.Dataset):
            found.scales[name] = len(found.names)
            found.names.append(_strings(found, f"{NAMES}/{name}", item))


def _labels(found: _Found, key: str, item: Any, axes: list[str]) -> dict[str, int]:
    """The axes that have names → which. A copy often loses the references to them: then their axis and number tell."""
    scales = item.attrs["DIMENSION_LIST"] if "DIMENSION_LIST" in item.attrs else [()] * len(axes)
    labels = {}
    for axis, count, references in zip(axes, item.shape, scales, strict=True):
        if len(references):
            fitting = _fitting(found, axis, count)
            if len(fitting) > 1:
                with suppress(Exception):
                    fitting = [found.scales[item.file[references[0]].name.removeprefix(f"/{NAMES}/")]]
            if len(fitting) != 1:
                raise _RefusedError(f"it has lost which names belong to the axis {shown(axis)} of {shown(key)}")
            labels[axis] = fitting[0]
    return labels


def _fitting(found: _Found, axis: str, count: int) -> list[int]:
    """The names of an axis that are as many."""
    is_of_axis = re.compile(rf"{re.escape(axis)}(_\d+)?").fullmatch
    return [at for name, at in found.scales.items() if found.names[at]["count"] == count and is_of_axis(name)]
