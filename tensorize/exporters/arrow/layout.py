"""An Arrow IPC file before its first number: pyarrow lays it out with zeros, which are not written, and notes their places."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from tensorize.core.contracts import Layout
from tensorize.exporters.rowwise.index import TextPart
from tensorize.exporters.rowwise.placement import RowPlacement, Split
from tensorize.exporters.rowwise.table import SampleTable, TableColumn, text_key
from tensorize.readers.arrow.buffers import layouts
from tensorize.readers.arrow.messages import BATCH, IpcMessage, message_of
from tensorize.storage.groups import Form
from tensorize.storage.plan import FilePlan, Patch

MAGIC = b"ARROW1"
_FIRST_MESSAGE = 8
"""The offset of the schema, which pyarrow writes together with the first batch."""
_UNKNOWN = b"\x01"
"""Stands for each byte of the recipe until it is known: no other text in the file has it."""


def plan_arrow(layout: Layout, *, by_channel: bool) -> FilePlan:
    """Plan the file of a layout without a refusal."""
    return _Planned(SampleTable.of(layout, by_channel=by_channel)).plan()


def form_of(dtype: str) -> Form:
    """How numbers of a type are stored."""
    return "bits" if dtype == "bool" else "plain"


@dataclass
class _Sink:
    """Where pyarrow writes to: it keeps what is written, until the zeros that stand for numbers are dropped."""

    at: int = 0
    kept: list[tuple[int, bytes | pa.Buffer]] = field(default_factory=list)
    closed: bool = False

    def write(self, data: bytes | pa.Buffer) -> int:
        """Take what is written next."""
        self.kept.append((self.at, data))
        self.at += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to close."""

    def batch(self, first: int) -> IpcMessage:
        """The record batch that was written from the piece `first` on."""
        at = self.kept[first][0] or _FIRST_MESSAGE
        while True:
            size = 8 + int.from_bytes(self._read(first, at + 4, 4), "little")
            message = message_of(self._read(first, at, size), at)
            if message is None or message.kind == BATCH:
                break
            at = message.block.end
        if message is None:
            raise RuntimeError("pyarrow has written no batch")
        return message

    def _read(self, first: int, start: int, size: int) -> bytes:
        found = bytearray()
        for at, data in self.kept[first:]:
            if at + len(data) > start and len(found) < size:
                found += memoryview(data)[max(0, start - at) : start + size - at]
        return bytes(found)

    def drop(self, first: int, places: Container[int]) -> None:
        """Forget the pieces from `first` on that lie at some places."""
        self.kept[first:] = [(at, data) for at, data in self.kept[first:] if at not in places]

    def patches(self, start: int, stop: int) -> Iterator[Patch]:
        """What was kept of a range, neighbours together."""
        first, held = start, bytearray()
        for at, data in self.kept:
            if not start <= at < stop:
                continue
            if at != first + len(held):
                yield first, bytes(held)
                first, held = at, bytearray()
            held += memoryview(data)
        yield first, bytes(held)


@dataclass(frozen=True)
class _Planned:
    table: SampleTable

    @cached_property
    def _schema(self) -> pa.Schema:
        told = {key: value.encode() for key, value in self.table.metadata().items()}
        told["recipe"] = _UNKNOWN * len(told["recipe"])
        index = pa.int8() if len(self.table.splits) <= 128 else pa.int32()
        return pa.schema(self.table.fields(index), metadata=told)

    @cached_property
    def _zeros(self) -> pa.Buffer:
        """As many as the longest column of a group has bytes. No one reads them, so they take no memory."""
        sizes = [column.width * column.spec.itemsize for column in self.table.columns]
        return pa.py_buffer(np.zeros(max([1, *sizes]) * self.table.group, np.uint8))

    def plan(self) -> FilePlan:
        placed, sink = RowPlacement(self.table, form_of, "offsets"), _Sink()
        with pa.ipc.new_file(sink, self._schema, options=pa.ipc.IpcWriteOptions(compression=None)) as writer:
            for split, start, stop in self.table.groups():
                first = len(sink.kept)
                writer.write_batch(self._batch(split, start, stop))
                self._note(placed, sink, split, first)
        return self._plan(placed, sink)

    def _note(self, placed: RowPlacement, sink: _Sink, split: Split, first: int) -> None:
        """Note where the columns of a batch lie, whose pieces begin with `first`."""
        message = sink.batch(first)
        batch, body = message.batch, message.block.offset + message.block.described
        buffers = [(body + at, size) for at, size in batch.buffers.tolist()]
        places = layouts(self._schema, batch)[int(self.table.has_splits) :]
        numbers = [
            buffers[place.buffer + (1 if column.is_scalar else 2)][0]
            for column, place in zip(self.table.columns, places, strict=False)
        ]
        sink.drop(first, set(numbers))
        start = numbers[0] if numbers else body
        placed.add(split, start, [at - start for at in numbers])
        for name, place in zip(self.table.texts.values(), places[len(numbers) :], strict=True):
            (at, _), (data, size) = buffers[place.buffer + 1], buffers[place.buffer + 2]
            part = TextPart(rows=batch.rows, at=at, size=data + size - at, data=data - at)
            placed.texts[text_key(split, name)].append(part)

    def _plan(self, placed: RowPlacement, sink: _Sink) -> FilePlan:
        """The index comes between the mark that ends the batches and the footer, which is found from the end of the file."""
        tail = b"".join(data for _, data in sink.patches(sink.at - len(MAGIC) - 4, sink.at))
        end = sink.at - len(tail) - int.from_bytes(tail[:4], "little")
        footer = b"".join(data for _, data in sink.patches(end, sink.at))
        head = next(data for _, data in sink.patches(0, end))
        return placed.plan(sink.patches(0, end), end, footer, self._recipe_at(footer), self._recipe_at(head))

    def _recipe_at(self, data: bytes) -> int:
        recipe = self._schema.metadata[b"recipe"]
        return data.index(struct.pack("<I", len(recipe)) + recipe) + 4

    def _batch(self, split: Split, start: int, stop: int) -> pa.RecordBatch:
        """A group: zeros for numbers, everything else as it is."""
        columns = [self._split_column(split, stop - start)] if self.table.has_splits else []
        columns += [self._zero_column(column, stop - start) for column in self.table.columns]
        columns += [_strings(self.table.text(split, name, start, stop)) for name in self.table.texts.values()]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _split_column(self, split: Split, rows: int) -> pa.Array:
        names = list(self.table.splits)
        width = self._schema.field(0).type.index_type.to_pandas_dtype()
        key = split, rows
        if key not in self._codes:
            self._codes[key] = pa.array(np.full(rows, names.index(split), width))
        return pa.DictionaryArray.from_arrays(self._codes[key], pa.array(names, pa.string()))

    @cached_property
    def _codes(self) -> dict[tuple[Split, int], pa.Array]:
        """The numbers of the column with the split, the same for all groups with as many rows."""
        return {}

    def _zero_column(self, column: TableColumn, rows: int) -> pa.Array:
        field = column.field
        if column.is_scalar:
            return pa.Array.from_buffers(field.type, rows, [None, self._zeros])
        numbers = pa.Array.from_buffers(field.type.value_type, rows * column.width, [None, self._zeros])
        return pa.Array.from_buffers(field.type, rows, [None], children=[numbers])


def _strings(cells: list[bytes]) -> pa.Array:
    """A column of text whose buffers have no room to spare."""
    offsets = np.cumsum([0, *map(len, cells)]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(cells), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(cells))])
