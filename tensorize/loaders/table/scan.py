"""Look through a table once: parse it in chunks, keep what was parsed, and know its schema at the end."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO, Self

import pyarrow as pa

from tensorize.engine.parallel import ordered_map
from tensorize.engine.scratch import Spool
from tensorize.errors import DataError, UsageError, plural
from tensorize.loaders.table import faults
from tensorize.loaders.table.cut import StrayQuoteError, records
from tensorize.loaders.table.dialect import Dialect, find_dialect
from tensorize.loaders.table.infer import NUMBERS, Seen, column, is_code, is_mixed
from tensorize.loaders.table.options import CsvOptions
from tensorize.loaders.table.parse import Parsed, Reader, parse, to_storage
from tensorize.loaders.table.rows import Needs, RowBlock, blocks
from tensorize.schema import Kind, Schema
from tensorize.sources import InputFile, utf8
from tensorize.types import Facts, Run

HEAD_BYTES = 256 << 10


class CsvScan:
    """Delimited files, parsed once. The blocks stay in memory up to 64 MB, then in scratch."""

    def __init__(
        self, files: Sequence[InputFile], options: CsvOptions, needs: Callable[[Sequence[str]], Needs], run: Run
    ) -> None:
        self._files = [(file, _head_dialect(file, options)) for file in files]
        self._encoding, self._spool = options.encoding, Spool(run.scratch)
        names = self._common_names()
        self.needs = needs(names)
        try:
            self._parse(options, run)
            self._settle()
        except BaseException:
            self._spool.close()
            raise
        first = self._files[0][0]
        self.facts = Facts(
            source=first.name if len(files) == 1 else f"{first.name} … {files[-1].name}",
            files=len(files),
            size=sum(file.size for file in files),
            shape=f"{plural(self.rows, 'row')} × {plural(len(names), 'column')}",
            notes=self._files[0][1].notes,
        )

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

    def _parse(self, options: CsvOptions, run: Run) -> None:
        wanted, forced = self.needs.wanted, self.needs.forced
        text = frozenset(name for name, kind in forced.items() if kind in ("category", "time"))
        self._seen = [Seen.NOTHING] * len(wanted)
        self._ends: list[int] = []
        self._readers: list[Reader] = []
        self.rows = 0
        self._whole = set(wanted)
        self._as_text: set[str] = set()
        total, done = sum(file.size for file, _ in self._files), 0
        for file, dialect in self._files:
            reader = Reader(dialect, wanted, text, self.needs.lenient, options.na, clocks=self.needs.clocks)
            self._readers.append(reader)
            for parsed, flags, size in self._parsed(file, reader, options, run):
                self._spool.append(parsed.batch)
                self._as_text |= {field.name for field in parsed.batch.schema if pa.types.is_string(field.type)}
                self._ends.append(len(self._readers) - 1)
                self._whole &= {name for name, is_whole in zip(wanted, flags, strict=True) if is_whole}
                self._seen = [before | now for before, now in zip(self._seen, parsed.seen, strict=True)]
                self.rows += parsed.batch.num_rows
                done += size
                run.report("parse", done, total)
        if not self.rows:
            raise DataError(f"{self._files[0][0].name} has a header and no row", hint="columns: " + ", ".join(wanted))

    def _parsed(
        self, file: InputFile, reader: Reader, options: CsvOptions, run: Run
    ) -> Iterator[tuple[Parsed, tuple[bool, ...], int]]:
        """Parse one file, chunk by chunk and in order; name what is wrong where a chunk cannot be parsed."""
        dialect = reader.dialect
        try:
            with file.open() as stream:
                pieces = _after_header(utf8(stream, options.encoding, run.chunk_bytes), dialect)
                chunks = records(pieces, dialect.delimiter, dialect.quote, run.chunk_bytes)
                first = next(chunks, None)
                if first is None:
                    return
                work = partial(_parse_sized, reader=_guessing(reader, _first_rows(first, dialect)))
                yield from ordered_map(work, _with(first, chunks), run.threads)
        except StrayQuoteError as error:
            raise faults.stray_quote(file, dialect, options.encoding, error.at) from None
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            found = faults.undecodable(file, dialect, options.encoding) or faults.ragged(file, dialect, options.encoding)
            raise found or DataError(f"{file.name} cannot be parsed: {error}") from error

    def _settle(self) -> None:
        """Decide every column's kind from what was seen in the whole file. Raises DataError for mixed ones."""
        forced, lenient = self.needs.forced, self.needs.lenient
        seen = dict(zip(self.needs.wanted, self._seen, strict=True))
        mixed = [name for name in seen if name not in forced and name not in lenient and is_mixed(seen[name])]
        wrong = [name for name in seen if not _fits(forced.get(name), seen[name])]
        if mixed or wrong:
            raise faults.mixed(self._files, self._encoding, [*mixed, *wrong], self._readers[0].na)
        self.schema = Schema(columns=tuple(column(name, what, forced.get(name)) for name, what in seen.items()))
        self.codes = tuple(name for name, what in seen.items() if is_code(what) and name not in forced)
        self.whole = frozenset(self._whole) - self._text_numbers() - set(self.codes)

    def _text_numbers(self) -> set[str]:
        """Columns that are not text in the end, though some of their chunks may be: words for missing numbers count there."""
        return {item.name for item in self.schema.columns if item.storage != "string" and item.name in self._as_text}

    def chunks(self) -> Iterator[RowBlock]:
        return blocks(self._stored(index) for index in range(len(self._spool)))

    def parsed(self) -> Iterator[pa.RecordBatch]:
        """Yield the chunks as they were parsed, columns that were forced to text as written, '' where empty."""
        for batch in self._spool:
            yield pa.RecordBatch.from_arrays([column.fill_null("") for column in batch.columns], names=batch.schema.names)

    def _stored(self, index: int) -> pa.RecordBatch:
        """One parsed chunk in the storage types of the schema."""
        batch, reader = self._spool[index], self._readers[self._ends[index]]
        arrays = []
        for item in self.schema.columns:
            cells = batch.column(item.name)
            as_it_is = pa.types.is_timestamp(cells.type) and item.name not in self._as_text
            arrays.append(cells if as_it_is else to_storage(cells, item.storage, reader, item.name in self.codes))
        return pa.RecordBatch.from_arrays(arrays, names=list(self.schema.names))

    def place(self, rows: Sequence[int]) -> list[str]:
        wanted, found, row = set(rows), {}, 0
        for file, dialect in self._files:
            for line, _ in faults.walk(file, dialect, self._encoding):
                if row in wanted:
                    found[row] = f"{file.name}:{line}"
                row += 1
                if len(found) == len(wanted):
                    return [found[row] for row in rows]
        return [found.get(row, f"row {row}") for row in rows]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()


def _fits(forced: Kind | None, seen: Seen) -> bool:
    """Whether what was seen can be read as the kind that was forced on it."""
    if forced == "number":
        return not seen & (Seen.BOOL | Seen.TIME | Seen.WORD)
    if forced == "bool":
        return not seen & (NUMBERS | Seen.TIME | Seen.WORD)
    return True


def _head_dialect(file: InputFile, options: CsvOptions) -> Dialect:
    with file.open() as stream:
        data = b"".join(_upto(utf8_safe(stream, options.encoding), HEAD_BYTES))
        complete = len(data) < HEAD_BYTES
    return find_dialect(data[:HEAD_BYTES].decode("utf-8", "replace"), complete, options, file.name)


def utf8_safe(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """`utf8` for the first look: an unknown encoding is a UsageError, what does not fit is left to the parser."""
    try:
        yield from utf8(stream, encoding, HEAD_BYTES)
    except LookupError:
        raise UsageError(f'there is no encoding "{encoding}"', hint="such as utf-8-sig, latin-1, cp1252, utf-16") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not {encoding} text: {error.reason} at byte {error.start}",
            hint="say how it is written: --encoding latin-1",
        ) from None


def _upto(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Pieces until `size` bytes are there."""
    count = 0
    for piece in pieces:
        yield piece
        count += len(piece)
        if count >= size:
            return


def _after_header(pieces: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    """Leave out everything up to the end of the header record, which lies in the first `HEAD_BYTES`."""
    if not dialect.header:
        yield from pieces
        return
    head = b"".join(_upto(pieces, HEAD_BYTES))
    yield head[_header_end(head, dialect) :]
    yield from pieces


def _header_end(head: bytes, dialect: Dialect) -> int:
    """The offset after the header's line end; blank lines before it are skipped, quoted newlines counted in."""
    text = io.StringIO(head.decode("utf-8", "surrogateescape"), newline="")
    quote, end, open_ = dialect.quote, 0, False
    for line in text:
        end += len(line.encode("utf-8", "surrogateescape"))
        open_ ^= bool(quote and line.count(quote) % 2)
        if line.strip() and not open_:
            break
    return end


def _first_rows(chunk: bytes, dialect: Dialect) -> bytes:
    """Enough of the first chunk to guess from; all of it where a quote makes cutting a question."""
    quoted = dialect.quote is not None and dialect.quote.encode() in chunk
    return chunk if quoted else chunk[: chunk.rfind(b"\n", 0, HEAD_BYTES) + 1] or chunk


def _guessing(reader: Reader, rows: bytes) -> Reader:
    """The reader with what the first rows let expect of the others."""
    seen = parse(rows, reader).seen
    times = {name for name, what in zip(reader.wanted, seen, strict=True) if what is Seen.TIME}
    return replace(reader, guess=seen, clocks=reader.clocks & times)


def _with(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _parse_sized(data: bytes, reader: Reader) -> tuple[Parsed, tuple[bool, ...], int]:
    parsed = parse(data, reader)
    return parsed, parsed.whole, len(data)
