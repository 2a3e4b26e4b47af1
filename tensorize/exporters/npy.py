"""NumPy arrays: one tensor of a set, then the recipe and the digest, which `numpy.load` does not look at. Written only.

Written without `numpy.save`, which takes whole arrays: here the place of every byte is known before the first row.
Format: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", version 1.0.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NoReturn

import numpy as np

from tensorize.core.contracts import Array, Layout, TensorSpec
from tensorize.core.errors import DataError, UsageError, in_python, near
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST, ReadInto, check_end
from tensorize.storage.layout import to_plain
from tensorize.storage.plan import NEVER, FilePlan, Patch, Piece, Placed, Slot
from tensorize.storage.writer import SlotWriter

ALIGNMENT = 64
"""Numbers start at a multiple of this in a file, so that a mapped array is aligned."""
_BEGIN = b"\x93NUMPY\1\0"
MAGIC = b"tzarray\n"
_END = struct.Struct("<Q8s")
"""Bytes of JSON before it, and `MAGIC`; the digest follows."""


def array_header(spec: TensorSpec) -> bytes:
    r"""What comes before the numbers of an array, in C order: a multiple of 64 bytes.

    >>> array_header(TensorSpec("x", (3, 2), "float32", ("row", "column"), "input"))[10:69]
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"
    """
    kind = np.dtype(spec.dtype).newbyteorder("<").str
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {spec.shape!r}, }}".encode()
    text += b" " * (-(len(_BEGIN) + 2 + len(text) + 1) % ALIGNMENT) + b"\n"
    return _BEGIN + struct.pack("<H", len(text)) + text


def written_only(path: Path, stock: str) -> UsageError:
    """The error for a file that other programs read; `stock` is the line of Python that does."""
    return UsageError(
        f"{path} is for other programs: tensorize writes {path.suffix} files and does not read them",
        hint=f"in Python: {stock}\nto go on with tensorize, use the set that it was written from, such as an .h5 file",
    )


@dataclass(frozen=True)
class Npy:
    """See `tensorize.core.contracts.Exporter`."""

    tensor: str | None = None
    """Key of the tensor to write, such as `train/features`. None: the only one whose role is not `meta`."""
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    reads: ClassVar[bool] = False
    folder: ClassVar[bool] = False

    def refusal(self, layout: Layout) -> str:
        """Why a layout cannot be written: no tensor of that name, or several and none named. "" where it can."""
        keys = [spec.key for spec in layout.tensors]
        if self.tensor is not None:
            known = f"{near(self.tensor, keys)}; the tensors are {', '.join(keys)}"
            return "" if self.tensor in keys else f'there is no tensor "{self.tensor}"{known}'
        if len(_main(layout)) == 1:
            return ""
        first = (_main(layout) or layout.tensors)[0].key
        return f"an .npy file holds one tensor, and this set has {len(keys)}: {', '.join(keys)}; choose one: --tensor {first}"

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the file out; rows of other tensors are not kept.

        Raises UsageError for a layout that is refused, and UsageError, RunError as `SlotWriter.create`.
        """
        if refused := self.refusal(layout):
            raise UsageError(refused)
        chosen = next(spec for spec in layout.tensors if spec.key == self.tensor or (not self.tensor and spec in _main(layout)))
        return SlotWriter.create(path, _plan(layout, chosen), _check, force=force)

    def open(self, path: Path) -> NoReturn:
        """Raise UsageError: the format is written only."""
        raise written_only(path, f"numpy.load({in_python(path)})")

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed, or if the file is not ours."""
        _check(path)
        check_end(path)


@dataclass(frozen=True)
class _Omitted:
    """A tensor that the file does not hold. See `tensorize.storage.plan.Placed`."""

    spec: TensorSpec

    def pieces(self, start: int, values: Array, read: ReadInto) -> Iterator[Piece]:
        del start, values, read
        return iter(())

    def final(self, rows: int) -> int:
        del rows
        return NEVER


def _main(layout: Layout) -> list[TensorSpec]:
    return [spec for spec in layout.tensors if spec.role != "meta"]


def _plan(layout: Layout, chosen: TensorSpec) -> FilePlan:
    """The array, then what is known last."""
    header = array_header(chosen)
    end = _end(layout, chosen)
    stop = len(header) + chosen.nbytes
    slots: dict[str, Placed] = {spec.key: _Omitted(spec) for spec in layout.tensors}
    slots[chosen.key] = Slot(chosen, len(header))

    def late(recipe: str, checksums: Mapping[str, int]) -> list[Patch]:
        del checksums
        return [(stop, _end(replace(layout, recipe=recipe), chosen))]

    size = stop + len(end)
    return FilePlan(size, slots, size - DIGEST_SIZE, layout.recipe, [(0, header)], late)


def _end(layout: Layout, chosen: TensorSpec) -> bytes:
    """What comes after the array: the layout of a set of this tensor, the digest still zeros."""
    prefix = f"{chosen.split}/" if chosen.split else ""
    texts = {key: values for key, values in layout.texts.items() if key.startswith(prefix)}
    data = json.dumps(to_plain(replace(layout, tensors=(chosen,), texts=texts))).encode()
    return data + _END.pack(len(data), MAGIC) + NO_DIGEST


def _check(path: Path) -> None:
    """Raise DataError if the file does not begin and end as ours do."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_BEGIN))
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - DIGEST_SIZE - _END.size, 0))
            end = file.read(_END.size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if begin != _BEGIN or end[8:] != MAGIC:
        raise DataError(
            f"{path} was not written by tensorize, or it was cut off or changed", hint="make it again from the source"
        )
