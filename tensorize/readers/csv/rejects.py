"""Invalid rows: passed to the quarantine if it skips them, else reported together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import Array, Mask
from tensorize.core.errors import SHOWN, DataError, plural, shown, some
from tensorize.core.rejects import Reject, Rejects, legible
from tensorize.core.schema import Kind
from tensorize.readers.csv.infer import SIGNS, Seen, are_bools, are_numbers
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.csv.parse import ChunkParser
from tensorize.readers.csv.parse_block import NOTES, Summary
from tensorize.readers.csv.places import Places

_HINTS = {
    "ragged": "mend the rows; if another character separates the cells, say --delimiter CHAR",
    "encoding": "say how the file is written, such as --encoding latin-1 or --encoding utf-16",
    "quote": 'write a quote inside a quoted cell twice (""); if quotes mean nothing in this file, say --quote none',
    "limit": "allow longer cells: --max-cell SIZE",
    "header": "are there several tables in the file? Give each a file of its own",
    "mark": "were files put together? Take the mark off",
    "zero byte": "is it UTF-16? Say --encoding utf-16-le",
    "blank line": "are there several tables in the file? Give each a file of its own; where it is nothing, say --blank skip",
    "footnote": "take it off; where it is a row of the table, let it not be the last one",
}
_BLANK_CELL = "is it a missing value? Say --blank missing; where it is nothing, --blank skip"
"""Of a blank line in a single column."""
_HEADLINES = {
    "ragged": ("row has not {cells} like the header", "rows have not {cells} like the header"),
    "encoding": ("cell is not {encoding} text", "cells are not {encoding} text"),
    "limit": ("cell is longer than --max-cell allows", "cells are longer than --max-cell allows"),
    "header": ("row is the header again", "rows are the header again"),
    "mark": ("row begins with a byte order mark", "rows begin with a byte order mark"),
    "zero byte": ("cell holds a zero byte", "cells hold a zero byte"),
    "blank line": ("line is blank amid the rows", "lines are blank amid the rows"),
    "footnote": ("row at the end holds one cell", "rows at the end hold one cell each"),
}


class Faults:
    """The bad rows of a source: how many of each kind, and the first few."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: list[Reject] = []

    def add(self, reject: Reject, count: int = 1) -> None:
        """Count a fault, or several on lines that follow each other; the first few are kept, to be shown."""
        self.counts[reject.kind] += count
        for at in range(min(count, SHOWN - len(self._first))):
            self._first.append(reject if reject.line is None else replace(reject, line=reject.line + at))

    def error(self, width: int, encoding: str) -> DataError:
        """The error that lists all. `width` is the number of columns."""
        total, kinds = self.counts.total(), list(self.counts)
        lines = some([_line(reject) for reject in self._first], total)
        of_kinds = _HINTS | {"blank line": _BLANK_CELL} if width == 1 else _HINTS
        hints = [*(of_kinds[kind] for kind in kinds), "leave them out and list them: --on-bad skip"]
        if kinds == ["quote"]:
            what = self._first[0].reason + (f", in {total:,} rows" if total > 1 else "")
        elif len(kinds) == 1:
            one, several = _HEADLINES[kinds[0]]
            what = f"{total:,} {(one if total == 1 else several).format(cells=plural(width, 'cell'), encoding=encoding)}"
        else:
            what = f"{plural(total, 'row')} cannot be read"
            lines.append("in all: " + ", ".join(f"{count:,} {kind}" for kind, count in self.counts.most_common()))
        return DataError(what, lines, "; or ".join(hints), self._fix(width, encoding))

    def _fix(self, width: int, encoding: str) -> dict[str, Any]:
        """Blank lines are nothing, or missing values of a single column; another encoding; else bad rows are left out."""
        if set(self.counts) == {"blank line"}:
            return {"blank": "missing" if width == 1 else "skip"}
        if "encoding" in self.counts and encoding in ("utf-8-sig", "utf-8", "cp1252"):
            return {"encoding": "latin-1" if encoding == "cp1252" else "cp1252"}
        if set(self.counts) == {"zero byte"}:
            return {"encoding": "utf-16-le"}
        return {"on_bad": "skip"}


def _line(reject: Reject) -> str:
    """One invalid row, as a message shows it."""
    raw = legible(reject.raw)
    if reject.kind == "ragged":
        return f"{reject.place}  {reject.reason.partition(',')[0]}: {shown(raw, 60)}"
    if reject.kind == "quote":
        return f"{reject.place}  {shown(raw, 60)}"
    return str(reject)


class Mixed:
    """The cells of one column that holds numbers and words: how many of each, and the first few, as (source row, cell)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers, self.words = 0, 0
        self.first: dict[bool, list[tuple[int, str]]] = {False: [], True: []}

    @property
    def rarer(self) -> bool:
        """Whether there are numbers, and they are the fewer."""
        return 0 < self.numbers < self.words

    def add(self, are_numbers: bool, cells: Iterable[tuple[int, str]], count: int) -> None:
        """Add `count` numbers or words, of which the first few are given."""
        if are_numbers:
            self.numbers += count
        else:
            self.words += count
        held = self.first[are_numbers]
        held += list(cells)[: SHOWN - len(held)]


def mixed_error(columns: Sequence[Mixed], places: dict[int, str], *, local: bool, dressed: bool) -> DataError:
    """The error for columns that hold numbers and words, listing the cells of the rarer sort.

    `local` says that some are numbers in another notation, `dressed` that all the words are numbers with signs around them.
    """
    details: list[str] = []
    for column in columns:
        cells = [f"{places[row]}  {column.name}  {shown(cell)}" for row, cell in column.first[column.rarer]]
        details += some(cells, column.numbers if column.rarer else column.words)
        words = f"{plural(column.words, 'number')} with signs" if dressed else plural(column.words, "word")
        details.append(f'column "{column.name}": {plural(column.numbers, "number")}, {words}')
    if dressed:
        return _dressed_error(columns, details)
    first = columns[0].name
    hint = f'say what it is: --onehot "{first}" (categories), --na WORD (the word means missing), or --drop "{first}"'
    if local:
        hint += '; numbers such as 1,5 and 1,234: --decimal "," or --thousands ","'
    return DataError(
        f"{plural(len(columns), 'column mixes', 'columns mix')} numbers and words",
        details,
        hint + "; or leave out the rows whose cells are no numbers: --on-bad skip",
        {"onehot": [column.name for column in columns]},
    )


class BadRows:
    """Takes the bad rows of all files, in their order. Memory grows with those that are left out, by 8 bytes each."""

    def __init__(self, rejects: Rejects, options: CsvOptions, width: int) -> None:
        self._rejects, self._options, self._width = rejects, options, width
        self._faults = Faults()
        self._rows: list[int] = []
        self._sorted: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
        self._ends: set[bytes] = set()
        self._literal = self._blanks = 0
        self._pending: list[tuple[int, int]] = []
        self._tail: list[tuple[int, str, str]] = []
        self._before = 0

    @property
    def skips(self) -> bool:
        """Whether invalid rows are left out (`--on-bad skip`), not an error."""
        return self._rejects.skip

    @property
    def count(self) -> int:
        """How many rows were left out."""
        return len(self._rows)

    def start(self) -> None:
        """The next block is the first one of a file."""
        self._pending, self._tail, self._before, self._ends = [], [], 0, set()

    def add(self, reject: Reject) -> None:
        """A bad row; one that is handed in twice counts once."""
        assert reject.row is not None
        if not self.skips:
            self._faults.add(reject)
            return
        self._rejects.add(reject)
        self._rows.append(reject.row)
        self._sorted = None

    def look(self, read: Summary, places: Places) -> None:
        """Take the bad rows and the blank lines of a block that was read, before its place is noted.

        Before the first row a blank line is nothing, but in a single column it may be a missing value.
        """
        row, line, name = places.next_row, places.next_line, places.name
        for item in read.bad:
            self.add(Reject(name, item.kind, item.reason, row + item.row, line + item.line + 1, item.column, item.raw))
        last = 0
        for at, before, count in read.blanks:
            if before > last:
                self._settle_blanks(name)
            if before or self._before or self._width == 1:
                self._pending.append((line + at + 1, count))
            last = before
        if read.rows > last:
            self._settle_blanks(name)
        self._note_tail(read, row)
        self._before += read.rows
        self._ends |= read.ends
        self._literal += read.literal

    def _settle_blanks(self, name: str) -> None:
        """A row follows the blank lines that wait."""
        if self._options.blank == "error" and not self.skips:
            for line, count in self._pending:
                self._faults.add(Reject(name, "blank line", "a blank line", line=line), count)
        self._blanks += sum(count for _, count in self._pending)
        self._pending.clear()

    def finish(self, places: Places) -> None:
        """A file was read to its end: are its last rows footnotes? Raises DataError for mixed line ends in a single column."""
        if self._pending and self._width == 1 and self._options.blank == "error":
            self._settle_blanks(places.name)
        if self._width == 1 and b"\r" in self._ends and len(self._ends) > 1:
            raise DataError(
                f"{places.name}: some lines end with a carriage return alone, or it is part of a cell",
                hint="mend the line ends: one kind for all",
            )
        while self._tail and not self._tail[0][1]:
            self._tail.pop(0)
        if 0 < len(self._tail) < min(self._before, NOTES):
            lines = places.lines([row for row, _, _ in self._tail])
            for row, cell, column in self._tail:
                self.add(Reject(*lines[row][:1], "footnote", "one cell alone, at the end", row, lines[row][1], column, cell))

    def _note_tail(self, read: Summary, start: int) -> None:
        """Remember the rows at the end that hold a first cell of words and no other: (row, cell, column)."""
        found = [(start + row, cell, column) for row, cell, column in read.alone]
        self._tail = [*self._tail, *found][-NOTES - 1 :] if read.all_alone else found

    def check(self, encoding: str) -> None:
        """Raise DataError if there are bad rows that are not left out."""
        if self._faults.counts:
            error = self._faults.error(self._width, encoding)
            if self._options.delimiter == " " and "ragged" in self._faults.counts:
                error.hint = f"where columns stand apart by any number of blanks, say --delimiter whitespace; or {error.hint}"
            raise error

    @property
    def notes(self) -> list[str]:
        """What the summary says of the repairs that were made."""
        said = []
        if len(self._ends) > 1:
            said.append("mixed line ends")
        elif self._ends == {b"\r"}:
            said.append("line ends are carriage returns")
        if self._literal:
            said.append(f"quotes inside {plural(self._literal, 'row')} kept as they are")
        if self._blanks:
            said.append(f"{plural(self._blanks, 'blank line')} skipped")
        return said

    @property
    def rows(self) -> Array:
        """(row) int64: the source rows that were left out, sorted, each once."""
        if self._sorted is None:
            self._sorted = np.unique(np.array(self._rows, dtype=np.int64))
        return self._sorted

    def within(self, start: int, count: int) -> Mask | None:
        """(row) bool: which of `count` rows from `start` were left out; None if none were."""
        return within(self.rows, start, count) if self._rows else None


def within(rows: Array, start: int, count: int) -> Mask | None:
    """(row) bool: which of `count` rows from `start` are among `rows`, sorted; None if none is."""
    first, stop = np.searchsorted(rows, [start, start + count])
    if first == stop:
        return None
    mask: Mask = np.zeros(count, dtype=bool)
    mask[rows[first:stop] - start] = True
    return mask


def _dressed_error(columns: Sequence[Mixed], details: Sequence[str]) -> DataError:
    """The error for columns of numbers with signs around them, with the flags that read them."""
    cells = [cell for column in columns for _, cell in column.first[False]]
    signs = "".join(sign for sign in SIGNS if any(sign in cell for cell in cells))
    thousands = " --thousands ','" if any(re.search(r"\d,\d{3}(?!\d)", cell) for cell in cells) else ""
    return DataError(
        f"{plural(len(columns), 'column holds', 'columns hold')} numbers with {' '.join(signs)}",
        details,
        f"take the signs off: --strip '{signs}'{thousands}"
        + f'; or say that they are categories: --onehot "{columns[0].name}"',
        {"onehot": [column.name for column in columns]},
    )


class Misfits:
    """Finds the odd cells of columns that hold numbers and words, or other words than true and false."""

    def __init__(self, names: Sequence[str], forced: Mapping[str, Kind], seen: Mapping[str, Seen], reader: ChunkParser) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._forced, self._reader = forced, reader
        self._local = any(seen[name] & Seen.LOCAL for name in self.names)
        self._dressed = all(seen[name] & Seen.DRESSED and not seen[name] & (Seen.WORD | Seen.TIME) for name in self.names)
        self._columns = {name: Mixed(name) for name in self.names}

    def gather(self, batches: Iterable[pa.RecordBatch], bad: BadRows) -> None:
        """Go through the parsed rows."""
        start = 0
        for batch in batches:
            left_out = bad.within(start, batch.num_rows)
            for name, column in self._columns.items():
                cells = batch.column(name)
                good = self._good(name, cells)
                for sort, hit in ((True, good), (False, pc.invert(good))):
                    at = _true(hit, left_out)
                    values = [str(value) for value in cells.take(pa.array(at[:SHOWN])).to_pylist()]
                    column.add(sort, zip((at[:SHOWN] + start).tolist(), values, strict=True), len(at))
            start += batch.num_rows

    def _good(self, name: str, cells: pa.Array) -> pa.Array:
        """(row) bool: whether a cell is a number, or true or false where that was told; null if it is missing."""
        if not pa.types.is_string(cells.type):
            there = pc.if_else(pc.is_valid(cells), pa.scalar(True), pa.scalar(None, pa.bool_()))
            return pc.invert(there) if self._forced.get(name) == "bool" else there
        if self._reader.na:
            missing = pc.is_in(pc.utf8_trim_whitespace(cells), value_set=pa.array(self._reader.na, pa.string()))
            cells = pc.if_else(missing, pa.scalar(None, pa.string()), cells)
        if self._forced.get(name) == "bool":
            return are_bools(cells)
        return are_numbers(cells, self._reader.dialect.decimal, self._reader.dialect.thousands, self._reader.dialect.strip)

    def leave_out(self, batches: Iterable[pa.RecordBatch], bad: BadRows, places: Places) -> None:
        """Hand the rows of words among numbers in. Raises DataError if they are not to be skipped, or are no fewer."""
        doubtful = [
            column for name, column in self._columns.items() if name not in self._forced and column.numbers <= column.words
        ]
        if not bad.skips or doubtful:
            told = doubtful if bad.skips else list(self._columns.values())
            rows = [row for column in told for row, _ in column.first[column.rarer]]
            raise mixed_error(told, places.of(rows), local=self._local, dressed=self._dressed)
        start = 0
        for batch in batches:
            self._leave_out(batch, start, bad, places)
            start += batch.num_rows

    def _leave_out(self, batch: pa.RecordBatch, start: int, bad: BadRows, places: Places) -> None:
        left_out = bad.within(start, batch.num_rows)
        found: dict[int, tuple[str, str]] = {}
        for name in self.names:
            cells = batch.column(name)
            for row in _true(pc.invert(self._good(name, cells)), left_out).tolist():
                found.setdefault(row, (name, str(cells[row].as_py())))
        lines = places.lines([start + row for row in found])
        for row, (name, cell) in sorted(found.items()):
            file, line = lines[start + row]
            what = "true or false" if self._forced.get(name) == "bool" else "a number"
            bad.add(Reject(file, "cast", f"{shown(cell)} is not {what}", start + row, line, name, cell))


def _true(hit: pa.Array, left_out: Array | None) -> Array:
    """The rows at which a mask is true, but for those that were left out before."""
    mask = hit.fill_null(False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(mask if left_out is None else mask & ~left_out)
