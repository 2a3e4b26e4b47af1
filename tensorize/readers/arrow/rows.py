"""Arrow IPC files and streams, read by record batches; large ones by slices of their rows, small ones together."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from tensorize.columns.reader import Needs
from tensorize.core.contracts import Run
from tensorize.core.errors import TensorizeError
from tensorize.readers.arrow.buffers import ALIGNED, BatchCells, FetchedBytes, layouts
from tensorize.readers.arrow.messages import (
    BATCH,
    CONTINUATION,
    DICTIONARY,
    MAGIC,
    SCHEMA,
    DamagedArrowError,
    FileFooter,
    Ints,
    IpcMessage,
    ShortError,
    dictionary_ids,
    footer,
    message_of,
    read_at,
    read_message,
)
from tensorize.readers.typed import TypedRows, typed_rows
from tensorize.readers.typed_files import unreadable, without_index
from tensorize.sources.files import InputFile

FORM = "Arrow"
_OLD_FEATHER = b"FEA1"


class BatchPiece(NamedTuple):
    """Batches `first` to `stop`; rows `start` to `end` of the only one, or all."""

    first: int
    stop: int
    start: int
    end: int


class DictionaryPart(NamedTuple):
    """A message with words of a dictionary, which holds for the batches from `batch` on."""

    batch: int
    id: int
    delta: bool
    offset: int


class _Kept:
    """The dictionaries that were read last, by column. In another process it starts empty."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[tuple[DictionaryPart, ...], pa.Array]] = {}

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()

    def get(self, id: int, parts: tuple[DictionaryPart, ...], read: Callable[[DictionaryPart], pa.Array]) -> pa.Array:
        """The words of a dictionary that consists of some parts."""
        known = self._held.get(id)
        if known is None or known[0] != parts:
            known = parts, pa.concat_arrays([read(part) for part in parts])
            self._held[id] = known
        return known[1]


@dataclass(frozen=True)
class ArrowFile:
    """One IPC file or stream, and what its messages say. See `TypedFile`; a piece is some batches, or rows of one."""

    source: InputFile = field(compare=False, repr=False)
    schema: pa.Schema
    ids: tuple[int | None, ...]
    """For each column its dictionary."""
    batches: Ints
    """(batch, offset, bytes of the description, of the body, rows, whether it is compressed) int64."""
    empty: Ints
    """How many cells of each column are null, (column) int64."""
    words: tuple[DictionaryPart, ...]
    kept: _Kept = field(default_factory=_Kept, compare=False, repr=False)

    @classmethod
    def of(cls, file: InputFile) -> Self:
        """Read the descriptions of all messages. Raises DataError for what is neither a file nor a stream."""
        head = file.head()
        if head.startswith(_OLD_FEATHER):
            file.open().close()  # says what it is, and the way out
        with _mapped(file.name), file.random() as raw:
            if not head.startswith((MAGIC, CONTINUATION)):
                raise DamagedArrowError("it begins neither as a file nor as a stream of Arrow does")
            if not head.startswith(MAGIC):
                first = read_message(raw, 0)
                if first is None or first.kind != SCHEMA:
                    raise DamagedArrowError("it does not begin with a schema")
                schema = pa.ipc.read_schema(pa.py_buffer(read_at(raw, 0, first.block.described)))
                counted = _counted(schema, _in_stream(raw, first.block.end), later=True)
                return cls(file, schema, dictionary_ids(first.header), *counted)
            listed = footer(raw, file.size)
            with file.random() as again:
                schema = pa.ipc.open_file(again).schema
            return cls(file, schema, dictionary_ids(listed.schema), *_counted(schema, _in_file(raw, listed), later=False))

    @property
    def fields(self) -> pa.Schema:
        """The columns and their Arrow types, without the index of pandas."""
        return without_index(self.schema)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(self.batches[:, 3].sum())

    def nulls(self, name: str) -> int:
        """How many cells of a column are null."""
        return int(self.empty[self.schema.get_field_index(name)])

    def parts(self, size: int) -> list[tuple[int, BatchPiece]]:
        """(rows, piece): of a large batch slices, of small ones several."""
        return list(self._parts(size))

    def _parts(self, size: int) -> Iterator[tuple[int, BatchPiece]]:
        first = held = count = 0
        for at, (_, described, body, rows, packed) in enumerate(self.batches.tolist()):
            if count and held + described + body > size:
                yield count, BatchPiece(first, at, 0, count)
                held = count = 0
            if body > 2 * size and not packed and rows > ALIGNED:
                step = max(ALIGNED, rows * size // body // ALIGNED * ALIGNED)
                yield from (
                    (min(step, rows - on), BatchPiece(at, at + 1, on, min(on + step, rows))) for on in range(0, rows, step)
                )
                continue
            first = first if count else at
            held, count = held + described + body, count + rows
        if count:
            yield count, BatchPiece(first, len(self.batches), 0, count)

    def read(self, where: BatchPiece, columns: Sequence[str], threads: bool) -> pa.Table:
        """Some columns of a piece. Raises DataError if the file has changed, or is damaged."""
        del threads
        numbers = [self.schema.get_field_index(name) for name in columns]
        with _mapped(self.source.name), self.source.random() as raw:
            found = list(self._read(raw, where, numbers))
        arrays = [pa.chunked_array(chunks) for chunks in zip(*found, strict=True)]
        return pa.Table.from_arrays(arrays, names=list(columns))

    def _read(self, raw: io.RawIOBase, where: BatchPiece, numbers: Sequence[int]) -> Iterator[list[pa.Array]]:
        """The columns of each batch."""
        several = where.stop - where.first > 1
        blocks = self.batches[where.first : where.stop]
        held = FetchedBytes(raw, [(int(blocks[0, 0]), int(blocks[-1, :3].sum()))]) if several else None
        for at, (offset, described, _, rows, _) in enumerate(blocks.tolist(), where.first):
            data = held.get(offset, described).to_pybytes() if held else read_at(raw, offset, described)
            message = message_of(data, offset)
            if message is None or message.kind != BATCH or message.batch.rows != rows:
                raise DamagedArrowError("a batch is not what it was")
            start, stop = (0, rows) if several else (where.start, where.end)
            cells = BatchCells(raw, message.batch, offset + described, message.block.body, start, stop, held)
            if rows:
                yield [self._worded(raw, array, number, at) for number, array in self._arrays(cells, numbers)]

    def _arrays(self, cells: BatchCells, numbers: Sequence[int]) -> Iterator[tuple[int, pa.Array]]:
        """(column, cells); of dictionaries the indices."""
        places = layouts(self.schema, cells.batch)
        found = cells.arrays([(_indices(self.schema.field(number).type), places[number]) for number in numbers])
        return zip(numbers, found, strict=True)

    def _worded(self, raw: io.RawIOBase, cells: pa.Array, number: int, batch: int) -> pa.Array:
        """The cells of a column in one batch, words in place of indices."""
        id = self.ids[number]
        return cells if id is None else self._words(raw, id, self.schema.field(number).type.value_type, batch).take(cells)

    def _words(self, raw: io.RawIOBase, id: int, kind: pa.DataType, batch: int) -> pa.Array:
        """The dictionary that holds for a batch. Raises DamagedArrowError where there is none."""
        mine = [part for part in self.words if part.id == id and part.batch <= batch]
        whole = [at for at, part in enumerate(mine) if not part.delta]
        if not whole:
            raise DamagedArrowError("a dictionary is lacking")
        return self.kept.get(id, tuple(mine[whole[-1] :]), lambda part: _dictionary(raw, part, kind))


def _indices(kind: Any) -> pa.DataType:
    return kind.index_type if pa.types.is_dictionary(kind) else kind


def _dictionary(raw: io.RawIOBase, part: DictionaryPart, kind: pa.DataType) -> pa.Array:
    """The words of one message; views, which cannot be picked from, as text."""
    message = read_message(raw, part.offset)
    if message is None or message.kind != DICTIONARY:
        raise DamagedArrowError("a dictionary is not where it was")
    batch, block = message.batch, message.block
    if not batch.rows:
        return pa.array([], _text(kind))
    cells = BatchCells(raw, batch, block.offset + block.described, block.body, 0, batch.rows)
    (found,) = cells.arrays([(kind, layouts(pa.schema([("words", kind)]), batch)[0])])
    return found.cast(_text(kind))


def _text(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_string_view(kind) else kind


def _in_file(raw: io.RawIOBase, listed: FileFooter) -> Iterator[IpcMessage]:
    """The messages that a footer lists: dictionaries first."""
    for kind, blocks in ((DICTIONARY, listed.dictionaries), (BATCH, listed.batches)):
        for block in blocks:
            found = message_of(read_at(raw, block.offset, block.described), block.offset)
            if found is None or found.kind != kind or found.block.body != block.body:
                raise DamagedArrowError("its footer and its messages disagree")
            yield found


def _in_stream(raw: io.RawIOBase, at: int) -> Iterator[IpcMessage]:
    """The messages of a stream, up to the mark that ends it."""
    while (found := read_message(raw, at)) is not None:
        yield found
        at = found.block.end


def _counted(schema: pa.Schema, found: Iterator[IpcMessage], *, later: bool) -> tuple[Ints, Ints, tuple[DictionaryPart, ...]]:
    """What the messages of batches and dictionaries say. `later`: a dictionary holds only for the batches after it."""
    batches: list[tuple[int, int, int, int, int]] = []
    words: list[DictionaryPart] = []
    empty = np.zeros(len(schema), np.int64)
    for message in found:
        block, batch = message.block, message.batch if message.kind in (BATCH, DICTIONARY) else None
        if batch is None:
            raise DamagedArrowError(f"a message of the unknown kind {message.kind}")
        if message.kind == DICTIONARY:
            delta = bool(message.header.number(2, "<B"))
            words.append(DictionaryPart(len(batches) if later else 0, message.header.number(0, "<q"), delta, block.offset))
            continue
        batches.append((*block, batch.rows, int(batch.codec is not None)))
        empty += batch.nodes[[layout.node for layout in layouts(schema, batch)], 1]
    return np.array(batches, np.int64).reshape(len(batches), 5), empty, tuple(words)


@contextmanager
def _mapped(name: str) -> Iterator[None]:
    """Errors of Arrow, and of bytes that are not what they should be, as DataError."""
    try:
        yield
    except TensorizeError:
        raise
    except (pa.ArrowException, DamagedArrowError, ShortError, OSError, OverflowError, MemoryError, UnicodeError) as error:
        raise unreadable(name, FORM, error) from None


def arrow_file_rows(source: Sequence[InputFile], needs: Callable[[Sequence[str]], Needs], run: Run) -> TypedRows:
    """Look at Arrow IPC files and streams; record batches are the partitions.

    Raises DataError for a damaged file, files of other columns or types, and types that have no kind.
    """
    return typed_rows([ArrowFile.of(file) for file in source], FORM, needs, run)
