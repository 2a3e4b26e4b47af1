"""WebDataset: a tar archive with a few members for each sample, `train/00000017.npy`, `.cls` and so on. Written only.

Written without the package `webdataset` and without `tarfile`, which takes ten times as long for a header. What is not a
sample is in the last member, whose name the readers skip. Format: POSIX.1-1988, "ustar"; the names are the convention of
the package: what comes after the first dot is the field, what comes before it is the sample.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np

from tensorize.core.contracts import Array, Layout, TensorSpec
from tensorize.core.errors import DataError, UsageError, in_python
from tensorize.core.layout import by_split, uneven_rows
from tensorize.exporters.npy import array_header, written_only
from tensorize.storage.digest import DIGEST_SIZE, check_digest
from tensorize.storage.layout import to_plain
from tensorize.storage.output import HashedOutput
from tensorize.storage.samples import SampleGroup, SampleWriter

ABOUT = "__tensorize__"
"""The last member: everything but the samples, as JSON. Readers skip names like this, and names without a dot."""
PICTURE = ("row", "channel", "height", "width")
_BLOCK = 512
_END = bytes(2 * _BLOCK)
_NAME_BYTES = 100
_MEMBER_BYTES = 8 << 30
"""A member is smaller: its size has eleven octal digits."""
_DIGEST, _CLOSE = b',"sha256":"', b'"}'
_PNG_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_SINGULAR = {"paths": "path"}
"""Text of a set → its name in the JSON of one sample, where that is another."""
Encode = Callable[[Array], bytes]


def tar_header(name: str, size: int) -> bytes:
    r"""The block before the data of a member: a plain file of `size` bytes that belongs to nobody, from 1970.

    >>> tar_header("0.cls", 1)[:7], len(tar_header("0.cls", 1))
    (b'0.cls\x00\x00', 512)
    """
    before = name.encode().ljust(_NAME_BYTES, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0"
    after = (b"0".ljust(101, b"\0") + b"ustar\x0000").ljust(_BLOCK - len(before) - 8, b"\0")
    return before + b"%06o\0 " % (sum(before) + sum(after) + 8 * ord(" ")) + after


@dataclass(frozen=True)
class WebDataset:
    """See `tensorize.core.contracts.Exporter`."""

    pictures: Literal["npy", "png"] = "npy"
    """How pictures are written: as arrays (channel, height, width), or as PNG, which holds uint8."""
    suffixes: ClassVar[tuple[str, ...]] = (".tar",)
    reads: ClassVar[bool] = False
    folder: ClassVar[bool] = False
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.pictures not in ("npy", "png"):
            raise UsageError(f'pictures cannot be written as "{self.pictures}"', hint="say --pictures npy, or --pictures png")

    def refusal(self, layout: Layout) -> str:
        """Why a layout cannot be written: it has no samples, or what the names or PNG do not allow. "" where it can."""
        names = [spec.name for spec in by_split(layout).get(layout.tensors[0].split, [])] if layout.tensors else []
        longest = max((len(f"{spec.split or ''}/{spec.name}") for spec in layout.tensors), default=0) + len("00000000000..npy")
        if shared := [spec.key for spec in layout.tensors if spec.axes[0] != "row"]:
            return f"a .tar file holds samples, and {shared[0]} has no row for each of them; write .h5 instead"
        if uneven := uneven_rows(layout):
            return f"a .tar file holds samples: {uneven}; write .h5 instead"
        if len({name.lower() for name in names}) < len(names) or longest > _NAME_BYTES:
            return "names of tensors that are long, or differ only in case, do not fit into a .tar file; write .h5 instead"
        if any(spec.nbytes // max(1, spec.shape[0]) > _MEMBER_BYTES - 4096 for spec in layout.tensors):
            return "a .tar file holds members of at most 8 GiB; write .h5 instead"
        return _no_png(layout) if self.pictures == "png" else ""

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SampleWriter:
        """Begin the archive.

        Raises UsageError for a layout that is refused, and UsageError, RunError as `SampleWriter.create` does.
        """
        if refused := self.refusal(layout):
            raise UsageError(refused)
        return SampleWriter.create(path, layout, _Samples(layout, self.pictures == "png"), _check, force=force)

    def open(self, path: Path) -> NoReturn:
        """Raise UsageError: the format is written only."""
        raise written_only(path, f"webdataset.WebDataset({in_python(path)}, shardshuffle=False).decode()")

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed, or if the file is not ours."""
        check_digest(path, _check(path))


def _no_png(layout: Layout) -> str:
    """Why the pictures of a layout cannot be PNG files."""
    found = [spec for spec in layout.tensors if spec.axes == PICTURE]
    if not found:
        return "this set has no pictures to write as PNG; omit --pictures"
    for spec in found:
        if spec.dtype != "uint8":
            return f"PNG holds uint8, and {spec.key} is {spec.dtype}; prepare it with --dtype uint8, or write --pictures npy"
        if spec.shape[1] not in _PNG_MODES:
            return f"PNG holds 1, 3 or 4 channels, and {spec.key} has {spec.shape[1]}; write --pictures npy"
    return ""


@dataclass(frozen=True)
class _Samples:
    """Makes the members of each sample. See `tensorize.storage.samples.Encoder`."""

    layout: Layout
    png: bool

    def header(self, recipe: str) -> bytes:
        """The format has nothing at its beginning."""
        del recipe
        return b""

    def encode(self, group: SampleGroup, out: HashedOutput) -> None:
        """One sample after the other, its members together."""
        fields, told = self._fields[group.split], self._told[group.split]
        for row in range(group.start, group.stop):
            key = f"{group.split}/{row:0{self._digits}d}" if group.split else f"{row:0{self._digits}d}"
            at = row - group.start
            for name, (suffix, encode) in fields.items():
                _append(out, f"{key}.{suffix}", encode(group.values[name][at]))
            about = {name: group.values[name][at].item() for name in self._counts[group.split]}
            about |= {name: values[row] for name, values in told.items()}
            _append(out, f"{key}.json", json.dumps(about | self._label(group, at)).encode())

    def finish(self, recipe: str, out: HashedOutput) -> None:
        """The last member, as long as a number of blocks, which ends with the digest."""
        about = json.dumps(to_plain(replace(self.layout, recipe=recipe, texts={}))).encode()[:-1]
        about += b" " * (-(len(about) + len(_DIGEST) + DIGEST_SIZE + len(_CLOSE)) % _BLOCK) + _DIGEST
        out.write(tar_header(ABOUT, len(about) + DIGEST_SIZE + len(_CLOSE)) + about)
        out.write_digest()
        out.write(_CLOSE + _END)

    @cached_property
    def _splits(self) -> dict[str | None, list[TensorSpec]]:
        return by_split(self.layout)

    @cached_property
    def _digits(self) -> int:
        return max([8, *(len(str(spec.shape[0])) for spec in self.layout.tensors)])

    @cached_property
    def _fields(self) -> dict[str | None, dict[str, tuple[str, Encode]]]:
        """Split → tensor name → the end of the member's name, and what makes its bytes of a row."""
        return {split: _fields(specs, self.png) for split, specs in self._splits.items()}

    @cached_property
    def _counts(self) -> dict[str | None, list[str]]:
        """Split → the tensors whose numbers are in the JSON."""
        return {split: [spec.name for spec in specs if _is_count(spec)] for split, specs in self._splits.items()}

    @cached_property
    def _told(self) -> dict[str | None, dict[str, Sequence[str]]]:
        """Split → name → text of each row."""
        found: dict[str | None, dict[str, Sequence[str]]] = {split: {} for split in self._splits}
        for key, values in self.layout.texts.items():
            split, _, name = key.rpartition("/")
            specs = self._splits.get(split or None)
            if specs and len(values) == specs[0].shape[0]:
                found[split or None][_SINGULAR.get(name, name)] = values
        return found

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return class_names(self.layout.recipe)

    def _label(self, group: SampleGroup, at: int) -> dict[str, str]:
        """The name of the class of a sample, where it has one."""
        classes = [spec.name for spec in self._splits[group.split] if _is_class(spec)]
        index = int(group.values[classes[0]][at]) if len(classes) == 1 else -1
        return {"label": self._names[index]} if 0 <= index < len(self._names) else {}


def _is_class(spec: TensorSpec) -> bool:
    return spec.role == "target" and len(spec.shape) == 1 and np.dtype(spec.dtype).kind in "iu"


def _is_count(spec: TensorSpec) -> bool:
    return spec.role == "meta" and len(spec.shape) == 1 and np.dtype(spec.dtype).kind in "iu"


def _fields(specs: Sequence[TensorSpec], png: bool) -> dict[str, tuple[str, Encode]]:
    """A tensor whose kind is the only one of the set has the plain suffix: `.npy` or `.png`, `.cls`."""
    fields: dict[str, tuple[str, Encode]] = {}
    pictures, classes = [spec for spec in specs if spec.axes == PICTURE], [spec for spec in specs if _is_class(spec)]
    for spec in specs:
        prefix = "" if [spec] in (pictures, classes) else f"{spec.name}."
        if spec in classes:
            fields[spec.name] = f"{prefix}cls", lambda value: str(int(value)).encode()
        elif spec in pictures and png:
            fields[spec.name] = f"{prefix}png", _png
        elif not _is_count(spec):
            fields[spec.name] = f"{prefix}npy", _Array(array_header(replace(spec, shape=spec.shape[1:])))
    return fields


@dataclass(frozen=True)
class _Array:
    """A row as an .npy file."""

    header: bytes

    def __call__(self, value: Array) -> bytes:
        return self.header + value.tobytes()


def _png(picture: Array) -> bytes:
    """(channel, height, width) uint8 as a PNG."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))).save(held, "PNG")
    return held.getvalue()


def class_names(recipe: str) -> tuple[str, ...]:
    """The names of the classes that a recipe has learned, in the order of their numbers; empty if it has none.

    >>> class_names('{"steps": [{"step": "classes", "role": "target", "state": {"classes": ["cat", "dog"]}}]}')
    ('cat', 'dog')
    """
    steps: list[Mapping[str, Any]] = json.loads(recipe).get("steps", [])
    states = [step["state"] for step in steps if step["role"] == "target"]
    found = [state.get("classes") or state.get("categories") for state in states]
    return next((tuple(map(str, names)) for names in found if names), ())


def _append(out: HashedOutput, name: str, data: bytes) -> None:
    out.write(tar_header(name, len(data)) + data + bytes(-len(data) % _BLOCK))


def _check(path: Path) -> int:
    """Where the digest lies. Raises DataError if the file does not end as ours do."""
    length = len(_DIGEST) + DIGEST_SIZE + len(_CLOSE) + len(_END)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - length, 0))
            end = file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if size % _BLOCK or len(end) != length or not end.startswith(_DIGEST) or not end.endswith(_CLOSE + _END):
        raise DataError(
            f"{path} was not written by tensorize, or it was cut off or changed", hint="make it again from the source"
        )
    return size - length + len(_DIGEST)
