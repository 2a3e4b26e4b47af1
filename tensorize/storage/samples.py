"""Files that go sample by sample: an encoder gets groups of samples in a fixed order, whatever the order of the writes.

The order is that of the layout: one split after the other, the rows of each in order, so many in a group that it has about
8 MB. Rows that are due go on from memory. Those that are not due yet (of a later split, or of tensors that are written one
after the other) wait in a scratch file without a name beside the target.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, Protocol, Self

import numpy as np

from tensorize.core.contracts import Array, Layout, TensorSpec
from tensorize.core.layout import by_split
from tensorize.storage.background import BackgroundCalls
from tensorize.storage.layout import padded
from tensorize.storage.output import HashedOutput
from tensorize.storage.partfile import PartFile
from tensorize.storage.plan import check_complete, check_next

GROUP_BYTES = 8 << 20
"""A group of samples has at most so many bytes, unless one sample has more."""
_HELD_BYTES = 48 << 20
"""Bytes of the split that is due that may wait in memory for the other tensors of their rows."""


@dataclass(frozen=True)
class SampleGroup:
    """Rows `start:stop` of one split: `values[name]` is (row, …), for every tensor of the split."""

    split: str | None
    start: int
    stop: int
    values: Mapping[str, Array]


class Encoder(Protocol):
    """Writes samples in a format. Its methods are called in another thread, one after the other."""

    def header(self, recipe: str) -> bytes:
        """The beginning of the file: as long, whatever numbers are in the recipe; b"" if the format has nothing there.

        It may hold `NO_DIGEST`, which the digest replaces.
        """
        ...

    def encode(self, group: SampleGroup, out: HashedOutput) -> None:
        """Append the samples of a group."""
        ...

    def finish(self, recipe: str, out: HashedOutput) -> None:
        """Append what comes after the samples; `out.write_digest()` unless the header holds the digest."""
        ...


def group_rows(layout: Layout, size: int = GROUP_BYTES) -> int:
    """Rows in a group of at most `size` bytes: a power of two, the same for all splits; the last of a split may be shorter."""
    widths = [sum(spec.nbytes for spec in specs) // max(1, specs[0].shape[0]) for specs in by_split(layout).values()]
    rows = max(1, size // max([1, *widths]))
    return int(min(1 << (rows.bit_length() - 1), 1 << 20))


class _Waiting(NamedTuple):
    """Rows of a tensor that wait: `values`, or None where they are in the scratch file."""

    start: int
    stop: int
    values: Array | None


class _Scratch:
    """Tensors at fixed offsets of a file without a name, which is made once something has to wait."""

    def __init__(self, layout: Layout, part: PartFile) -> None:
        self._part = part
        self._places: dict[str, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None
        at = 0
        for spec in layout.tensors:
            self._places[spec.key] = (at, spec.nbytes // max(1, spec.shape[0]))
            at += spec.nbytes

    def write(self, key: str, start: int, values: Array) -> None:
        """Keep rows from `start` on. Raises RunError."""
        at, size = self._places[key]
        view, at = values.reshape(-1).view(np.uint8).data, at + start * size
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._part.target.parent, buffering=0)  # noqa: SIM115 - close() closes it
            while view:
                count = os.pwrite(self._file.fileno(), view, at)
                view, at = view[count:], at + count
        except OSError as error:
            raise self._part.failed(error) from error

    def read(self, key: str, start: int, out: Array) -> None:
        """Fill `out` (row, …) with rows that were kept."""
        at, size = self._places[key]
        view, at = out.reshape(-1).view(np.uint8).data, at + start * size
        try:
            while self._file is not None and view:
                count = os.preadv(self._file.fileno(), [view], at)
                if not count:
                    raise OSError(errno.EIO, "the scratch file ends too soon")
                view, at = view[count:], at + count
        except OSError as error:
            raise self._part.failed(error) from error

    def close(self) -> None:
        """Give the room back."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


@dataclass
class SampleWriter:
    """See `tensorize.core.contracts.Writer`. Hands an encoder groups of samples, and hashes what it writes."""

    layout: Layout
    part: PartFile
    encoder: Encoder
    check: Callable[[Path], object]
    out: HashedOutput
    _rows: dict[str, int]
    _waiting: dict[str, list[_Waiting]]
    _scratch: _Scratch
    _split: int = 0
    """The split that is due, by its number."""
    _start: int = 0
    """Its first row that is due."""
    _held: int = 0
    """Bytes that wait in memory."""
    _encodes: BackgroundCalls = field(default_factory=lambda: BackgroundCalls("encode"))

    @classmethod
    def create(
        cls, path: Path, layout: Layout, encoder: Encoder, check: Callable[[Path], object], *, force: bool = False
    ) -> Self:
        """Begin a file whose tensors have the same rows in a split. `check(part)` opens the finished file before it appears.

        Raises UsageError if the target exists (unless `force`), RunError if it cannot be written, or there is no room for
        the tensors.
        """
        part = PartFile(path, force=force)
        try:
            part.reserve(layout.nbytes)
            out = HashedOutput(part, len(encoder.header(layout.recipe)))
            keys = [spec.key for spec in layout.tensors]
            scratch = _Scratch(layout, part)
            return cls(layout, part, encoder, check, out, dict.fromkeys(keys, 0), {key: [] for key in keys}, scratch)
        except BaseException:
            part.abort()
            raise

    def __post_init__(self) -> None:
        self._specs = {spec.key: spec for spec in self.layout.tensors}
        self._splits = list(by_split(self.layout).items())
        self._size = group_rows(self.layout)

    def write(self, key: str, start: int, values: Array) -> None:
        """Take the next rows of a tensor, (row, …). Raises ValueError for rows out of order, or of another shape or dtype.

        They may be encoded later, in a thread: `values` must not change any more.
        """
        spec = self._specs[key]
        check_next(spec, self._rows[key], start, values)
        if len(values):
            self._keep(spec, start, np.ascontiguousarray(values))
            self._rows[key] = start + len(values)
            self._go_on()

    def _keep(self, spec: TensorSpec, start: int, values: Array) -> None:
        """Let rows wait: in memory if they are of the split that is due, and there is room."""
        waiting, stop = self._waiting[spec.key], start + len(values)
        is_due = self._split < len(self._splits) and spec.split == self._splits[self._split][0]
        if is_due and self._held + values.nbytes <= _HELD_BYTES:
            self._held += values.nbytes
            waiting.append(_Waiting(start, stop, values))
            return
        self._scratch.write(spec.key, start, values)
        if waiting and waiting[-1].values is None:
            start = waiting.pop().start
        waiting.append(_Waiting(start, stop, None))

    def _go_on(self) -> None:
        """Encode the groups whose rows are all there."""
        while self._split < len(self._splits):
            split, specs = self._splits[self._split]
            rows = specs[0].shape[0]
            stop = min(self._start + self._size, rows)
            if self._start < stop:
                if any(self._rows[spec.key] < stop for spec in specs):
                    return
                self._encode(split, specs, stop)
                self._start = stop
            if stop == rows:
                self._split, self._start = self._split + 1, 0

    def _encode(self, split: str | None, specs: list[TensorSpec], stop: int) -> None:
        count, at = stop - self._start, 0
        sizes = [count * (spec.nbytes // spec.shape[0]) for spec in specs]
        data = np.empty(sum(size + -size % 8 for size in sizes), np.uint8)
        values = {}
        for spec, size in zip(specs, sizes, strict=True):
            values[spec.name] = data[at : at + size].view(spec.dtype).reshape(count, *spec.shape[1:])
            self._take(spec.key, stop, values[spec.name])
            at += size + -size % 8
        group = SampleGroup(split, self._start, stop, values)
        self._encodes.submit(partial(self._encoded, group), data.data)

    def _encoded(self, group: SampleGroup, _: memoryview) -> None:
        self.encoder.encode(group, self.out)

    def _take(self, key: str, stop: int, out: Array) -> None:
        """Fill `out` with the rows of a tensor that are due, and forget them."""
        rest = []
        for waiting in self._waiting[key]:
            first, last = max(waiting.start, self._start), min(waiting.stop, stop)
            if first < last and waiting.values is not None:
                values = waiting.values[first - waiting.start : last - waiting.start]
                out[first - self._start : last - self._start] = values
            elif first < last:
                self._scratch.read(key, first, out[first - self._start : last - self._start])
            if waiting.stop > stop:
                rest.append(waiting)
            elif waiting.values is not None:
                self._held -= waiting.values.nbytes
        self._waiting[key] = rest

    def commit(self, recipe: str) -> None:
        """Finish the file, and make it appear.

        Raises ValueError if rows are lacking or the recipe differs from the planned one in more than its numbers; RunError.
        """
        for key, spec in self._specs.items():
            check_complete(spec, self._rows[key])
        check_length(recipe, self.layout.recipe)
        self._go_on()
        self._encodes.submit(lambda _: self.encoder.finish(recipe, self.out), memoryview(b""))
        self._encodes.finish()
        self.out.finish(self.encoder.header(recipe))
        self.check(self.part.path)
        self.part.commit()
        self._scratch.close()

    def abort(self) -> None:
        """Remove the unfinished file and end the threads; nothing happens after `commit`."""
        self._encodes.close()
        self.out.close()
        self._scratch.close()
        self.part.abort()


def check_length(recipe: str, planned: str) -> None:
    """Raise ValueError for a recipe that is not as long as the planned one, its numbers apart."""
    needed, room = len(padded(recipe).encode()), len(padded(planned).encode())
    if needed != room:
        raise ValueError(f"the recipe takes {needed} bytes where {room} were laid out: more has changed than its numbers")
