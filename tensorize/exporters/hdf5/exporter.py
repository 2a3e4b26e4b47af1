"""HDF5: one contiguous dataset for each tensor, in a group for each split, open to every stock reader.

The file is laid out empty by h5py, every tensor allocated; the tensors are then written in place, and read from there:
reading does not go through HDF5 itself, see `tensorize.exporters.hdf5.index`. Where another program has written the file again,
it does so in a separate process, see `tensorize.exporters.hdf5.rewritten`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tensorize.core.contracts import Layout
from tensorize.core.errors import DataError, RunError
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.hdf5.index import Index, NoIndexError, read_index, read_place, read_strings
from tensorize.storage.digest import DIGEST_SIZE, check_end
from tensorize.storage.plan import FilePlan, Patch, Slot
from tensorize.storage.store import FileStore
from tensorize.storage.writer import SlotWriter


class Hdf5:
    """See `tensorize.core.contracts.Exporter`."""

    reads: ClassVar[bool] = True
    folder: ClassVar[bool] = False
    by_sample: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def refusal(self, layout: Layout) -> str:
        """Nothing is refused."""
        return ""

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the file out. Raises UsageError, RunError as `SlotWriter.create` does."""
        return SlotWriter.create(path, _plan(layout), self.open, force=force)

    def open(self, path: Path) -> TensorSet:
        """Read the headers, with a `TensorizeWarning` if another program has written the file again.

        Raises DataError if the file is not ours or is damaged, RunError if there is no process to look through it.
        """
        try:
            index, recipe = _headers(path)
            texts = {key: read_strings(path, index.texts[key]) for key in index.layout.texts}
        except RunError:
            raise
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is no tensorize file, or it is damaged: {error}") from None
        layout = index.layout.layout(recipe, texts)
        return TensorSet(layout, FileStore(path, {spec.key: Slot(spec, index.tensors[spec.key]) for spec in layout.tensors}))

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed, or if another program has written the file again without its digest."""
        try:
            check_end(path)
        except DataError:
            from tensorize.exporters.hdf5.rewritten import check_rewritten

            check_rewritten(path)
            raise


def _headers(path: Path) -> tuple[Index, str]:
    """Where things lie, and the recipe."""
    try:
        index = read_index(path)
        return index, read_place(path, index.recipe).decode().rstrip(" ")
    except NoIndexError as missing:
        from tensorize.exporters.hdf5.rewritten import rebuild_index

        return rebuild_index(path, missing)


def _plan(layout: Layout) -> FilePlan:
    """HDF5 as h5py lays it out, then the index. The recipe lies after the tensors, and alone is written at commit."""
    from tensorize.exporters.hdf5.layout import in_room, lay_out

    index, held = lay_out(layout)
    end = index.packed()
    size = held.size + len(end)

    def late(recipe: str, checksums: Mapping[str, int]) -> list[Patch]:
        del checksums
        return [(index.recipe.at, in_room(recipe))]

    slots = {spec.key: Slot(spec, index.tensors[spec.key]) for spec in layout.tensors}
    return FilePlan(size, slots, size - DIGEST_SIZE, layout.recipe, [*held.runs(), (held.size, end)], late)
