"""HDF5: one contiguous dataset for each tensor, in a group for each split, open to every stock reader.

The file is laid out empty by h5py, every tensor allocated; the tensors are then written in place, and read from there:
no reader of ours goes through HDF5 itself, see `hdf5_index`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tensorize.core.contracts import Layout
from tensorize.core.errors import DataError
from tensorize.core.limits import check_header
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.hdf5.index import Place, Strings, read_index
from tensorize.storage.digest import DIGEST_SIZE, check_end
from tensorize.storage.layout import unescape
from tensorize.storage.partfile import PartFile
from tensorize.storage.slots import FileStore, Slot, SlotWriter, fitting


class Hdf5:
    """See `tensorize.core.contracts.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the file out; see `SlotWriter`. Raises UsageError, RunError as `PartFile` does."""
        from tensorize.exporters.hdf5.layout import in_room, lay_out

        part = PartFile(path, force=force)
        try:
            index, held = lay_out(layout)
            end = index.packed()
            size = held.size + len(end)
            part.reserve(size)
            for at, data in [*held.runs(), (held.size, end)]:
                part.write(at, data)
        except BaseException:
            part.abort()
            raise

        def finish(checksums: Mapping[str, int], recipe: str) -> None:
            del checksums
            part.write(index.recipe.at, fitting(in_room(recipe), index.recipe.size))

        slots = {spec.key: Slot(spec, index.tensors[spec.key]) for spec in layout.tensors}
        return SlotWriter(part, slots, size, size - DIGEST_SIZE, finish, self._check)

    def open(self, path: Path) -> TensorSet:
        """Read the headers. Raises DataError for what is no file of ours, or damaged."""
        try:
            index = read_index(path)
            recipe = _read(path, index.recipe).decode().rstrip(" ")
            texts = {key: _strings(path, index.texts[key]) for key in index.layout.texts}
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is no tensorize file, or it is damaged: {error}") from None
        layout = index.layout.layout(recipe, texts)
        return TensorSet(layout, FileStore(path, {spec.key: Slot(spec, index.tensors[spec.key]) for spec in layout.tensors}))

    def verify(self, path: Path) -> None:
        """Raise DataError where a byte has changed."""
        check_end(path)

    def _check(self, path: Path) -> None:
        self.open(path).close()


def _read(path: Path, place: Place) -> bytes:
    check_header(path, place.size)
    with path.open("rb") as file:
        file.seek(place.at)
        return file.read(place.size)


def _strings(path: Path, strings: Strings) -> tuple[str, ...]:
    """Strings of a fixed width, as they were before they were escaped."""
    data, width = _read(path, Place(at=strings.at, size=strings.width * strings.count)), strings.width
    cells = (data[at : at + width].rstrip(b"\x00") for at in range(0, len(data), width))
    return tuple(unescape(cell.decode()) for cell in cells)
