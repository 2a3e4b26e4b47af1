"""Name what is wrong with a file, cell by cell. The slow path: taken only once something is known to be wrong."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import pyarrow as pa

from tensorize.errors import SHOWN, DataError, plural, shown, some
from tensorize.loaders.table.dialect import Dialect, rows
from tensorize.loaders.table.infer import NUMBER_NA, NUMBERS, WORDS, Seen, look
from tensorize.sources import InputFile

_SURROGATE = re.compile("[\udc80-\udcff]")
T = TypeVar("T")


def walk(file: InputFile, dialect: Dialect, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line of the row's first character, 1-based; cells) for each row after the header."""
    csv.field_size_limit(sys.maxsize)
    with file.open() as raw:
        text = io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="")
        found = rows(text, dialect.delimiter, dialect.quote)
        skip, line = dialect.header, 1
        single = len(dialect.names) == 1
        for cells in found:
            if cells or (single and not skip):
                if not skip:
                    yield line, cells or [""]
                skip = False
            line = found.line_num + 1


def ragged(file: InputFile, dialect: Dialect, encoding: str) -> DataError | None:
    """The error for rows with too many or too few cells; None where there are none."""
    width = len(dialect.names)
    found = _Found[tuple[int, int, str]]()
    for line, cells in walk(file, dialect, encoding):
        if len(cells) != width:
            found.add((line, len(cells), dialect.delimiter.join(cells)))
    if not found.count:
        return None
    lines = [f"{file.name}:{line}  {plural(cells, 'cell')}: {shown(raw, 60)}" for line, cells, raw in found.first]
    return DataError(
        f"{plural(found.count, 'row has', 'rows have')} not {width} cells like the header",
        some(lines, found.count),
        "mend the rows; if another character separates the cells, say --delimiter CHAR",
    )


def undecodable(file: InputFile, dialect: Dialect, encoding: str) -> DataError | None:
    """The error for bytes that are not text in the encoding; None where there are none."""
    found = _Found[str]()
    for line, cells in walk(file, dialect, encoding):
        for name, cell in zip(dialect.names, cells, strict=False):
            if bad := _SURROGATE.findall(cell):
                data = b"".join(char.encode("utf-8", "surrogateescape") for char in bad[:8])
                found.add(f"{file.name}:{line}  {name}  bytes {data.hex(' ')} in {shown(_SURROGATE.sub('�', cell))}")
    if not found.count:
        return None
    return DataError(
        f"{plural(found.count, 'cell is', 'cells are')} not {encoding} text",
        some(found.first, found.count),
        "say how the file is written, such as --encoding latin-1 or --encoding utf-16",
    )


def stray_quote(file: InputFile, dialect: Dialect, encoding: str, at: int) -> DataError:
    """The error for a quote where none belongs; `at` is its offset in the text after the header, in UTF-8."""
    first = next((line for line, _ in walk(file, dialect, encoding)), 1)
    with file.open() as raw:
        text = io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="")
        lines = text.readlines() if file.size < 1 << 28 else []
    number, start = first, 0
    body = lines[first - 1 :]
    for line in body:
        size = len(line.encode("utf-8", "surrogateescape"))
        if start + size > at:
            break
        start, number = start + size, number + 1
    raw_line = body[number - first].strip("\r\n") if number - first < len(body) else ""
    return DataError(
        "a quote stands where none belongs",
        [f"{file.name}:{number}  {shown(raw_line, 60)}"],
        'a quote inside a quoted cell is written twice (""); if quotes mean nothing in this file, say --quote none',
    )


def mixed(files: Sequence[tuple[InputFile, Dialect]], encoding: str, names: Sequence[str], na: Sequence[str]) -> DataError:
    """The error for columns that hold numbers and words, listing the cells of the rarer sort."""
    counts: Counter[tuple[str, bool]] = Counter()
    cells: dict[tuple[str, bool], list[str]] = {(name, sort): [] for name in names for sort in (False, True)}
    for file, dialect in files:
        places = [(dialect.names.index(name), name) for name in names]
        for line, row in walk(file, dialect, encoding):
            for index, name in places:
                sort = _is_number(row[index], dialect.decimal, na)
                if sort is not None:
                    counts[name, sort] += 1
                    if len(cells[name, sort]) < SHOWN:
                        cells[name, sort].append(f"{file.name}:{line}  {name}  {shown(row[index])}")
    details = []
    for name in names:
        rarer = counts[name, True] < counts[name, False]
        details += some(cells[name, rarer], counts[name, rarer])
        details.append(f'column "{name}": {plural(counts[name, True], "number")}, {plural(counts[name, False], "word")}')
    first = names[0]
    return DataError(
        f"{plural(len(names), 'column mixes', 'columns mix')} numbers and words",
        details,
        f'say what it is: --onehot "{first}" (categories), --na WORD (the word means missing), or --drop "{first}"',
    )


def _is_number(cell: str, decimal: str, na: Sequence[str]) -> bool | None:
    """True for a number, False for a word, None for a missing value."""
    if cell.strip() in NUMBER_NA or cell.strip() in na:
        return None
    seen = look(pa.array([cell]), decimal)
    return True if seen & NUMBERS else False if seen & (WORDS | Seen.NA) else None


class _Found(Generic[T]):
    """The first few of what was found, and how many there were."""

    def __init__(self) -> None:
        self.first: list[T] = []
        self.count = 0

    def add(self, item: T) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(item)
