"""Read delimited files: parse them once in blocks, keep what was parsed in the engine, and settle the schema at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tensorize.columns.reader import Needs, Partition
from tensorize.core.contracts import Array, Facts, Mask, Run, ScratchStore
from tensorize.core.errors import DataError, plural
from tensorize.core.schema import Schema
from tensorize.engine.packed import Column, Distances, Packed, Repeats
from tensorize.readers.csv.blocks import MAX_RECORD, RECORD_CELLS, Block, blocks
from tensorize.readers.csv.dialect import Dialect, find_dialect, quote_of
from tensorize.readers.csv.encoding import encoding_notes, utf8_pieces
from tensorize.readers.csv.infer import Seen, allows, column, is_code, is_odd, without_misfits
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.csv.parse import ChunkParser, parse, to_storage
from tensorize.readers.csv.parse_block import ReadBlock, Summary, without
from tensorize.readers.csv.places import Places
from tensorize.readers.csv.rejects import BadRows, Misfits, within
from tensorize.readers.csv.sniff import tabbed_pieces
from tensorize.readers.csv.tokenizer import Record
from tensorize.sources.files import InputFile

GUESS_BYTES = 64 << 10


@dataclass(frozen=True)
class CsvRows:
    """Delimited files that were read. See `tensorize.columns.rows.Rows`; a partition is a block that the engine keeps."""

    schema: Schema
    facts: Facts
    needs: Needs
    rows: int
    codes: tuple[str, ...]
    whole: frozenset[str]
    partitions: tuple[Partition, ...]
    readers: tuple[ChunkParser, ...]
    """One for each file."""
    as_text: frozenset[str]
    """Columns that are text in some blocks."""
    left_out: Array
    """(row) int64: source rows that could not be read, sorted."""
    store: ScratchStore
    _places: Places | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Places are told in the process that has read the files."""
        return {**self.__dict__, "_places": None}

    @property
    def decimal(self) -> str:
        """The decimal mark, as it is in the first file."""
        return self.readers[0].dialect.decimal

    @property
    def bad(self) -> int:
        """The number of rows that are left out because they are invalid."""
        return len(self.left_out)

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """One parsed block, or some of its columns, in the storage types of the schema."""
        file, ref = partition.where
        packed = self.store.load(ref, columns)
        bad = self.invalid(partition.row, packed.rows)
        if bad is not None:
            packed = Packed.of(without(packed.unpacked(), bad))
        stored = {name: self._in_storage(name, column, self.readers[file]) for name, column in packed.columns.items()}
        return Packed(stored, packed.rows)

    def _in_storage(self, name: str, column: Column, reader: ChunkParser) -> Column:
        """A column of one block in the type that it has in the schema; of a run of equal cells, one is looked at."""
        if isinstance(column, Repeats):
            return replace(column, cells=self._in_storage(name, column.cells, reader))
        if pa.types.is_timestamp(column.type) and name not in self.as_text:
            return column
        cells = column.unpacked() if isinstance(column, Distances) else column
        return to_storage(cells, self.schema[name].storage, reader, name in self.codes)

    def parsed(self) -> Iterator[pa.RecordBatch]:
        """Yield the blocks as they were parsed, without bad rows: columns of text as written, '' if empty."""
        for partition in self.partitions:
            batch = self.store.load(partition.where[1]).unpacked()
            bad = self.invalid(partition.row, batch.num_rows)
            kept = batch if bad is None else batch.filter(pa.array(~bad))
            yield pa.RecordBatch.from_arrays([column.fill_null("") for column in kept.columns], names=kept.schema.names)

    def invalid(self, start: int, count: int) -> Mask | None:
        """(row) bool: which of `count` rows from `start` were left out; None if none were."""
        return within(self.left_out, start, count)

    def place(self, rows: Sequence[int]) -> list[str]:
        """Source rows as `houses.csv:212`."""
        assert self._places is not None
        found = self._places.of(rows)
        return [found[row] for row in rows]

    def place_kept(self, rows: Sequence[int]) -> list[str]:
        """Say where rows stand that are counted without the bad ones, as `parsed` yields them."""
        bad = self.invalid(0, self.rows)
        return self.place(list(rows) if bad is None else np.flatnonzero(~bad)[list(rows)].tolist())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class CsvParser:
    """Parses delimited files once, and finds out what they hold. The engine keeps what was parsed.

    Invalid rows are an error that lists them all, or are passed to `run.rejects` if that skips.
    """

    def __init__(
        self, files: Sequence[InputFile], options: CsvOptions, needs: Callable[[Sequence[str]], Needs], run: Run
    ) -> None:
        self._options, self._run = options, run
        self._files = [(file, self._head_dialect(file)) for file in files]
        names = self._common_names()
        self.needs = needs(names)
        self._places = Places(self._blocks, self._records)
        self._bad = BadRows(run.rejects, options, len(names))
        self._kept: list[tuple[int, Any]] = []
        self._width = len(names)

    def rows(self) -> CsvRows:
        """Parse everything. Raises DataError for what is wrong with the files."""
        self._parse()
        schema, codes, whole = self._settle()
        files = [file for file, _ in self._files]
        return CsvRows(
            schema,
            self._facts(files),
            self.needs,
            self._count,
            codes,
            whole,
            tuple(self._partition(at, rows, ref) for at, (rows, ref) in enumerate(self._kept)),
            tuple(self._readers),
            frozenset(self._as_text),
            self._bad.rows,
            self._run.engine.store,
            self._places,
        )

    def _partition(self, at: int, rows: int, ref: Any) -> Partition:
        file = self._places.file(at)
        return Partition(self._places.row(at), rows, (file, ref), file)

    def _facts(self, files: Sequence[InputFile]) -> Facts:
        first = files[0]
        return Facts(
            source=first.name if len(files) == 1 else f"{first.name} … {files[-1].name}",
            files=len(files),
            size=sum(file.size for file in files),
            shape=f"{plural(self._count, 'row')} × {plural(self._width, 'column')}",
            notes=(*self._files[0][1].notes, *self._bad.notes),
        )

    def _head_dialect(self, file: InputFile) -> Dialect:
        options = self._options
        head = b""
        for piece in utf8_pieces(file, options.encoding, options.max_header, options.max_expansion):
            head += piece
            if len(head) > options.max_header:
                break
        complete = len(head) <= options.max_header
        dialect = find_dialect(head[: options.max_header], complete, options, file.name)
        return replace(dialect, notes=(*dialect.notes, *encoding_notes(file, options.encoding, options.max_expansion)))

    def _common_names(self) -> tuple[str, ...]:
        """The column names, which all files must share."""
        first, dialect = self._files[0]
        for file, other in self._files[1:]:
            if set(other.names) != set(dialect.names):
                odd = sorted(set(other.names) ^ set(dialect.names))
                raise DataError(
                    f"{file.name} has other columns than {first.name}: {', '.join(odd)}", hint="name files of one header"
                )
        return dialect.names

    def _parse(self) -> None:
        wanted = self.needs.wanted
        self._seen = [Seen.NOTHING] * len(wanted)
        self._readers: list[ChunkParser] = []
        self._count = 0
        self._whole = set(wanted)
        self._as_text: set[str] = set()
        total, done = sum(file.size for file, _ in self._files), 0
        for index, (file, dialect) in enumerate(self._files):
            self._readers.append(self._reader(dialect))
            self._places.start(file.name, dialect.line)
            self._bad.start()
            for found, ref in self._read(index):
                self._note(found)
                self._kept.append((found.rows, ref))
                done += found.size
                self._run.report("parse", done, total)
            self._bad.finish(self._places)
        if not self._count:
            raise DataError(f"{self._files[0][0].name} has a header and no row", hint="columns: " + ", ".join(wanted))
        self._bad.check(self._options.encoding)
        self._run.rejects.saw(self._count, "row")

    def _note(self, found: Summary) -> None:
        """Keep what was read, and remember what was seen."""
        self._bad.look(found, self._places)
        self._places.add(found)
        self._as_text |= found.texts
        self._whole &= found.whole
        self._seen = [before | now for before, now in zip(self._seen, found.seen, strict=True)]
        self._count += found.rows

    def _reader(self, dialect: Dialect) -> ChunkParser:
        options, needs = self._options, self.needs
        text = frozenset(name for name, kind in needs.forced.items() if kind in ("category", "time"))
        return ChunkParser(
            dialect,
            needs.wanted,
            text,
            needs.lenient,
            needs.na,
            frozenset(name for name, kind in needs.forced.items() if kind == "bool"),
            clocks=needs.clocks,
            blank=options.blank,
            longest=options.max_cell,
            verbatim=needs.verbatim,
        )

    def _read(self, index: int) -> Iterator[tuple[Summary, Any]]:
        """Read one file, block by block and in order; the engine keeps what was read."""
        cut = self._blocks(index)
        first = next(cut, None)
        if first is None:
            return
        reader = _guessing(self._readers[index], first)
        yield from self._run.engine.keep(ReadBlock(reader), chain([first], cut))

    def _blocks(self, index: int) -> Iterator[Block]:
        """The blocks of one file, from the first row on."""
        (file, dialect), options = self._files[index], self._options
        pieces = utf8_pieces(file, options.encoding, self._run.partition_bytes, options.max_expansion)
        if dialect.whitespace:
            pieces = tabbed_pieces(pieces, quote_of(options))
        tokenizer, longest = dialect.tokenizer(options.max_cell), max(MAX_RECORD, RECORD_CELLS * options.max_cell)
        return blocks(
            _after(pieces, dialect.start), tokenizer, self._run.partition_bytes, file.name, longest, exact=not dialect.is_plain
        )

    def _records(self, index: int, block: Block) -> Iterator[Record]:
        """The records of a block, one by one."""
        tokenizer = self._files[index][1].tokenizer(self._options.max_cell)
        return iter(block.records) if block.records is not None else tokenizer.records(block.data)

    def _settle(self) -> tuple[Schema, tuple[str, ...], frozenset[str]]:
        """Decide every column's kind from what was seen in the whole file: the schema, codes, and whole columns.

        Raises DataError for columns that mix numbers and words.
        """
        forced, lenient = self.needs.forced, self.needs.lenient
        seen = dict(zip(self.needs.wanted, self._seen, strict=True))
        mixed = [name for name in seen if name not in forced and name not in lenient and is_odd(seen[name])]
        wrong = [name for name in seen if not allows(forced.get(name), seen[name])]
        if mixed or wrong:
            misfits = Misfits([*mixed, *wrong], forced, seen, self._readers[0])
            misfits.gather(self._batches(misfits.names), self._bad)
            misfits.leave_out(self._batches(misfits.names), self._bad, self._places)
            seen = {
                name: without_misfits(what, forced.get(name)) if name in misfits.names else what for name, what in seen.items()
            }
        schema = Schema(columns=tuple(column(name, what, forced.get(name)) for name, what in seen.items()))
        codes = tuple(name for name, what in seen.items() if is_code(what) and name not in forced)
        return schema, codes, frozenset(self._whole) - self._text_numbers(schema) - set(codes)

    def _batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of every block, as they were parsed."""
        return (self._run.engine.store.load(ref, names).unpacked() for _, ref in self._kept)

    def _text_numbers(self, schema: Schema) -> set[str]:
        """Columns that are not text in the end, though some of their chunks may be: words for missing numbers count there."""
        return {item.name for item in schema.columns if item.storage != "string" and item.name in self._as_text}


def _guessing(reader: ChunkParser, first: Block) -> ChunkParser:
    """The reader with what the first rows let expect of the others; nothing if they cannot be parsed at once."""
    rows = first.data if first.is_quoted else first.data[: first.data.rfind(b"\n", 0, GUESS_BYTES) + 1] or first.data
    try:
        seen = parse(rows, reader).seen if reader.dialect.is_plain and first.records is None else ()
    except pa.ArrowInvalid:
        seen = ()
    times = {name for name, what in zip(reader.wanted, seen, strict=False) if what is Seen.TIME}
    return replace(reader, guess=seen, clocks=reader.clocks & times)


def _after(pieces: Iterator[bytes], start: int) -> Iterator[bytes]:
    """Leave out the first `start` bytes."""
    for piece in pieces:
        if start >= len(piece):
            start -= len(piece)
            continue
        yield piece[start:] if start else piece
        start = 0
