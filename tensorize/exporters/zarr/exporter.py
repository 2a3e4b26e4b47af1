"""Zarr: a folder that opens with `zarr.open` and `xarray.open_zarr`; tensors are uncompressed shards of plain rows.

It is written and read without the zarr package: see `tensorize.exporters.zarr.layout` and `metadata`.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError, TensorizeError, UsageError
from tensorize.core.limits import check_header
from tensorize.core.tensors.joined import Joined, JoinedStore
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.zarr.layout import KEY, RowCut, ZarrFolder, digest_place, parsed_root, shards, strings_path
from tensorize.exporters.zarr.metadata import ROOT, unpacked_strings
from tensorize.storage.layout import Plain, checked, unescape
from tensorize.storage.partfolder import PartFolder
from tensorize.storage.plan import Slot
from tensorize.storage.store import FileStore
from tensorize.storage.volume import PartVolume, Volume, check_volume, list_files
from tensorize.storage.writer import SlotWriter

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)?")
_PATH = r"^[A-Za-z][A-Za-z0-9_]*(/[A-Za-z0-9_]+)*(/zarr\.json)?$"
_DAMAGE = (OSError, ValueError, RecursionError, struct.error)
Count = Annotated[int, Field(ge=1, lt=1 << 63)]


class Root(BaseModel):
    """What the root `zarr.json` says of a folder of ours. `files` are (path, bytes) of all files but itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: str
    recipe: str
    layout: Plain
    rows: dict[str, tuple[Count, Count]]
    files: tuple[tuple[Annotated[str, Field(pattern=_PATH)], Annotated[int, Field(ge=0, lt=1 << 63)]], ...]
    sha256: str

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kind != self.layout.kind or self.rows.keys() != {spec.key for spec in self.layout.specs}:
            raise ValueError("it does not agree with its own layout")
        sizes = dict(self.files)
        if len(sizes) < len(self.files) or not all(_KEY.fullmatch(key) for key in self.layout.texts):
            raise ValueError("a file is listed twice, or has an invalid name")
        for spec in self.layout.specs:
            self._check_files(spec, sizes)
        return self

    def _check_files(self, spec: TensorSpec, sizes: Mapping[str, int]) -> None:
        cut = self.cut(spec.key)
        many = spec.nbytes and -(-spec.shape[0] // cut.shard) > len(sizes)
        if cut.shard % cut.chunk or many or any(sizes.get(shard.path) != shard.size for shard in shards(spec, cut)):
            raise ValueError(f"the files of {spec.key} do not fit its shape")

    def cut(self, key: str) -> RowCut:
        """How the rows of a tensor are cut."""
        return RowCut(*self.rows[key])


@dataclass(frozen=True)
class Zarr:
    """See `tensorize.core.contracts.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".zarr",)
    reads: ClassVar[bool] = True
    folder: ClassVar[bool] = True
    by_sample: ClassVar[bool] = False

    def refusal(self, layout: Layout) -> str:
        """Texts whose names cannot be those of files, which no loader of ours makes."""
        odd = [key for key in layout.texts if not _KEY.fullmatch(key)]
        return f'Zarr cannot hold texts named "{odd[0]}": a name is letters, digits and _' if odd else ""

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the folder out. Raises UsageError, RunError as `PartFolder` and `SlotWriter.create` do."""
        if refusal := self.refusal(layout):
            raise UsageError(refusal)
        plan = ZarrFolder(layout).plan()
        return SlotWriter.start(PartVolume(PartFolder(path, is_ours, force=force), plan.files), plan, self.open)

    def open(self, path: Path) -> TensorSet:
        """Read the metadata. Raises DataError if the folder is not ours or is damaged, UsageError for a newer format."""
        root = _read_root(path)[0]
        try:
            texts = {key: _read_texts(path, root, key) for key in root.layout.texts}
            _check_sizes(path, root)
        except _DAMAGE as error:
            raise error if isinstance(error, TensorizeError) else _damaged(path, error) from None
        layout = root.layout.layout(root.recipe.rstrip(" "), texts)
        return TensorSet(layout, JoinedStore({spec.key: _joined(path, spec, root) for spec in layout.tensors}))

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte of a file has changed, or a file was added or removed."""
        root, size = _read_root(path)
        volume = Volume((*root.files, (ROOT, size)))
        check_volume(path, volume, digest_place(volume))


def is_ours(folder: Path) -> bool:
    """Whether tensorize wrote a folder, and nobody has put a file of their own into it. It may be damaged otherwise."""
    try:
        root, _ = _read_root(folder)
        return {name for name, _ in list_files(folder)} <= {ROOT, *(name for name, _ in root.files)}
    except (TensorizeError, OSError):
        return False


def _damaged(path: Path, error: Any) -> DataError:
    return DataError(
        f"{path} was not written by tensorize, or it was cut off or changed: {error}", hint="make it again from the source"
    )


def _read_root(path: Path) -> tuple[Root, int]:
    """What the root `zarr.json` says, and its bytes. Raises DataError, UsageError for a newer format."""
    try:
        data = _read_small(path, ROOT)
        attributes = parsed_root(data)
        about = attributes.get(KEY) if isinstance(attributes, dict) else None
    except _DAMAGE as error:
        raise error if isinstance(error, TensorizeError) else _damaged(path, error) from None
    if not isinstance(about, dict):
        raise DataError(
            f"{path} was not written by tensorize",
            hint='its arrays are data: tensorize.prepare("table", {"x": zarr.open(PATH)["x"][:]}, out="x.h5")',
        )
    state = {**about, "kind": attributes.get("kind"), "recipe": attributes.get("recipe")}
    return checked(Root, state, path), len(data)


def _read_small(folder: Path, name: str) -> bytes:
    """A file that is held in memory. Raises DataError if it is over the limit of `--max-header`, OSError."""
    path = folder / name
    check_header(path, path.stat().st_size)
    return path.read_bytes()


def _read_texts(folder: Path, root: Root, key: str) -> tuple[str, ...]:
    """Texts, which are one chunk; none where there is no chunk. Raises DataError, OSError, ValueError, struct.error."""
    path = strings_path(key)
    if path not in dict(root.files):
        return ()
    return tuple(map(unescape, unpacked_strings(_read_small(folder, path))))


def _check_sizes(folder: Path, root: Root) -> None:
    """Raise ValueError or OSError unless every file is there and has its size."""
    for name, size in root.files:
        found = os.lstat(folder / name)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise ValueError(f"{name} has {found.st_size} bytes, not {size}")


def _joined(folder: Path, spec: TensorSpec, root: Root) -> Joined:
    """The shards of a tensor as one."""
    files = list(shards(spec, root.cut(spec.key)))
    if not files:
        return Joined(spec.key, [FileStore(folder, {spec.key: Slot(spec, 0)})], [spec.shape[0]])
    parts = [replace(spec, shape=(file.rows, *spec.shape[1:])) for file in files]
    stores = [FileStore(folder / file.path, {spec.key: Slot(part, 0)}) for file, part in zip(files, parts, strict=True)]
    return Joined(spec.key, stores, [file.rows for file in files])
