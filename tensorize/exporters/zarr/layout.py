"""What lies where in a Zarr folder: its files in their order, and the root `zarr.json`, which says so and comes last.

A tensor is cut into shards along its first axis. A shard is one file: its rows in C order, zeros up to the end of its last
chunk, and an index of the chunks. So rows are written and read at known offsets, as in a format of one file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.exporters.zarr import metadata
from tensorize.exporters.zarr.dimensions import Dimensions, dimensions_of
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST
from tensorize.storage.layout import escape, to_plain
from tensorize.storage.plan import FilePlan, Patch, Slot
from tensorize.storage.volume import Volume

KEY = "tensorize"
CHUNK_BYTES, SHARD_BYTES = 1 << 20, 1 << 30
MAX_SHARDS = 256
"""Of a tensor: a larger one has larger shards, since each is a file that a reader holds open."""
_AFTER_DIGEST = b'"}}}'
"""The end of the root `zarr.json`."""


@dataclass(frozen=True)
class RowCut:
    """How the rows of a tensor are cut: into chunks, and those into shards."""

    chunk: int
    shard: int

    @classmethod
    def of(cls, spec: TensorSpec) -> RowCut:
        """Chunks of about 1 MiB that the rows fill, and shards of at most about 1 GiB."""
        rows, size = spec.shape[0], spec.nbytes
        if not size:
            return cls(max(rows, 1), max(rows, 1))
        chunk = -(-rows // -(-size // CHUNK_BYTES))
        row_bytes = size // rows
        chunks = max(SHARD_BYTES, -(-size // MAX_SHARDS)) // (chunk * row_bytes)
        return cls(chunk, chunk * max(1, min(chunks, -(-rows // chunk))))

    @property
    def room(self) -> int:
        """Chunks in a shard."""
        return self.shard // self.chunk


@dataclass(frozen=True)
class Shard:
    """One file of a tensor: `rows` rows, from byte 0."""

    path: str
    rows: int
    chunks: int
    size: int


def shards(spec: TensorSpec, cut: RowCut) -> Iterator[Shard]:
    """The files of a tensor, in the order of its rows; none where it has no bytes."""
    row_bytes = spec.nbytes // spec.shape[0] if spec.shape[0] else 0
    for number in range(-(-spec.shape[0] // cut.shard) if row_bytes else 0):
        rows = min(cut.shard, spec.shape[0] - number * cut.shard)
        chunks = -(-rows // cut.chunk)
        size = chunks * cut.chunk * row_bytes + metadata.index_bytes(cut.room)
        yield Shard(_chunk_path(spec.key, number, len(spec.shape)), rows, chunks, size)


def _chunk_path(key: str, number: int, axes: int) -> str:
    return "/".join([key, "c", str(number), *["0"] * (axes - 1)])


def strings_path(key: str) -> str:
    """The one chunk of a list of strings."""
    return _chunk_path(key, 0, 1)


@dataclass(frozen=True)
class ZarrFolder:
    """A layout as the files of a folder."""

    layout: Layout

    @cached_property
    def _cuts(self) -> Mapping[str, RowCut]:
        return {spec.key: RowCut.of(spec) for spec in self.layout.tensors}

    @cached_property
    def _splits(self) -> Sequence[str | None]:
        return tuple(dict.fromkeys(spec.split for spec in self.layout.tensors))

    @cached_property
    def _dimensions(self) -> Mapping[str | None, Dimensions]:
        """The dimensions of the group of each split."""
        found = {}
        for split in self._splits:
            names = [key.rpartition("/")[2] for key in self.layout.texts if key.rpartition("/")[0] == (split or "")]
            found[split] = dimensions_of([spec for spec in self.layout.tensors if spec.split == split], names)
        return found

    @cached_property
    def _lists(self) -> Mapping[str, tuple[str, Sequence[str]]]:
        """Path → (dimension, strings): the labels of dimensions, as their coordinates, and the texts."""
        found: dict[str, tuple[str, Sequence[str]]] = {}
        for split, dimensions in self._dimensions.items():
            prefix = f"{split}/" if split else ""
            found |= {f"{prefix}{name}": (name, labels) for name, labels in dimensions.labels.items()}
        for key, values in self.layout.texts.items():
            prefix, _, name = key.rpartition("/")
            sizes = [spec.shape[0] for spec in self.layout.tensors if (spec.split or "") == prefix and spec.axes[0] == "row"]
            found[key] = ("row" if len(values) in sizes else f"{name}_number", values)
        return {path: (name, [escape(value) for value in values]) for path, (name, values) in found.items()}

    @cached_property
    def nodes(self) -> Mapping[str, metadata.Json]:
        """Path → metadata of every group and array but the root."""
        found = {split: metadata.group({}) for split in self._splits if split}
        found |= {path: metadata.strings(len(values), name) for path, (name, values) in self._lists.items()}
        for spec in self.layout.tensors:
            cut, names = self._cuts[spec.key], self._dimensions[spec.split].names[spec.name]
            found[spec.key] = metadata.tensor(spec, names, cut.chunk, cut.shard)
        return found

    @cached_property
    def _small(self) -> Mapping[str, bytes]:
        """Path → content of the files that hold no numbers, in their order, but for the root."""
        found = {}
        for path, node in self.nodes.items():
            found[f"{path}/{metadata.ROOT}"] = metadata.packed(node)
            if path in self._lists and self._lists[path][1]:
                found[strings_path(path)] = metadata.packed_strings(self._lists[path][1])
        return found

    @cached_property
    def files(self) -> list[tuple[str, int]]:
        """(path, bytes) of every file but the root, in their order: the small ones, then the tensors."""
        found = [(path, len(data)) for path, data in self._small.items()]
        for spec in self.layout.tensors:
            found += [(shard.path, shard.size) for shard in shards(spec, self._cuts[spec.key])]
        return found

    def root(self, recipe: str) -> bytes:
        """The root `zarr.json` with this recipe; the digest is zeros."""
        plain = to_plain(replace(self.layout, recipe=recipe))
        about = {
            "format": plain["format"],
            "layout": plain["layout"],
            "rows": {key: [cut.chunk, cut.shard] for key, cut in self._cuts.items()},
            "files": self.files,
            "sha256": NO_DIGEST.decode(),
        }
        attributes = {"kind": plain["kind"], "recipe": plain["recipe"], KEY: about}
        return metadata.packed(metadata.group(attributes, **metadata.consolidated(self.nodes)))

    def plan(self) -> FilePlan:
        """The files as a plan."""
        root = self.root(self.layout.recipe)
        volume = Volume((*self.files, (metadata.ROOT, len(root))))
        slots = {spec.key: self._slot(spec, volume) for spec in self.layout.tensors}

        def late(recipe: str, checksums: Mapping[str, int]) -> list[Patch]:
            del checksums
            return [(volume.size - len(root), self.root(recipe))]

        return FilePlan(
            volume.size, slots, digest_place(volume), self.layout.recipe, [*self._early(volume)], late, files=volume.files
        )

    def _slot(self, spec: TensorSpec, volume: Volume) -> Slot:
        cut = self._cuts[spec.key]
        first = next(shards(spec, cut), None)
        return Slot(spec, volume.start(first.path) if first else 0, cut.shard, metadata.index_bytes(cut.room))

    def _early(self, volume: Volume) -> Iterator[Patch]:
        """The small files, and the indices of the shards."""
        for path, data in self._small.items():
            yield volume.start(path), data
        for spec in self.layout.tensors:
            cut, indices = self._cuts[spec.key], dict[int, bytes]()
            for shard in shards(spec, cut):
                if shard.chunks not in indices:
                    chunk_bytes = cut.chunk * (spec.nbytes // spec.shape[0])
                    indices[shard.chunks] = metadata.shard_index(shard.chunks, cut.room, chunk_bytes)
                index = indices[shard.chunks]
                yield volume.start(shard.path) + shard.size - len(index), index


def digest_place(volume: Volume) -> int:
    """Where the digest lies in a volume that ends with the root `zarr.json`."""
    return volume.size - len(_AFTER_DIGEST) - DIGEST_SIZE


def parsed_root(data: bytes) -> Any:
    """The attributes in a root `zarr.json`; None if there are none. Raises ValueError if it is not JSON."""
    found = json.loads(data)
    return found.get("attributes") if isinstance(found, dict) else None
