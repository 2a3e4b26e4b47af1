"""Where a table begins: what comes before it, whether its first record names the columns, and what the names are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tensorize.core.errors import DataError, UsageError, plural
from tensorize.readers.csv.sniff import Fit
from tensorize.readers.csv.tokenizer import Record

_NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")
_CODE = re.compile(r"\s*[+-]?0\d")
MISSING = ("", "NA", "NaN", "nan", "null", "N/A")
MOST_LINES = 50
"""Lines before a table that can be distinguished from it."""

Row = Sequence[str]


@dataclass(frozen=True)
class Start:
    """Where a table begins. `first` is its first record: the header, where there is one."""

    first: Record | None
    rest: tuple[Record, ...]
    header: bool
    skipped: int = 0
    """Lines before it that are not part of it."""


def texts(record: Record) -> list[str]:
    """Return the cells as text; bytes that are not UTF-8 become U+FFFD."""
    return [cell.decode("utf-8", "replace") for cell in record.cells]


def find_start(fit: Fit, option: str, name: str) -> Start:
    """Tell the lines before a table from it, and its header from its rows. Raises DataError if that is not certain."""
    at = _preamble(fit, name) if option != "no" else 0
    first, rest = fit.records[at], fit.records[at + 1 :]
    rows = [texts(record) for record in rest if not record.fault and len(record.cells) == fit.width]
    head = texts(first)
    skipped = first.line if at else 0
    if option != "auto" or first.fault:
        return Start(first, rest, option != "no", skipped)
    verdict = _verdict(head, rows)
    if verdict is None or (not verdict and _may_be_years(head, rows)):
        raise DataError(
            f"{name}:{first.line + 1}  is the first line a header, or a row like the others?",
            [", ".join(head[:8])],
            "say which: --header yes, or --header no",
        )
    if verdict:
        _check_second(rows, name, rest)
    return Start(first, rest, verdict, skipped)


def _verdict(head: Row, rows: Sequence[Row]) -> bool | None:
    """Whether the first record is a header; None if the cells prove neither.

    It is one where it holds no number and there is a word over a column of numbers, or of codes that all look alike; it is
    none where it looks as the columns of numbers or codes do.
    """
    if not rows:
        return not any(is_number(cell) or not cell.strip() for cell in head)
    if _names_numbers(head, rows):
        return True
    numeric = [head[index].strip() for index in _numeric(rows) if index < len(head)]
    if numeric:
        return False if any(numeric) and all(is_number(cell) or cell in MISSING for cell in numeric) else None
    shapes = [(_shape(head[index]), shape) for index, shape in _shaped(rows) if index < len(head)]
    if any(found == shape for found, shape in shapes):
        return False
    alike = any("9" in found for found, _ in shapes) or any(is_number(cell) for cell in head)
    return True if shapes and not alike else None


def _shape(cell: str) -> str:
    """A cell as a pattern: digits are 9, letters a, runs of either are one."""
    return re.sub("a+", "a", re.sub("9+", "9", re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", cell.strip()))))


def _shaped(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """The columns whose cells all look alike, with a digit in them, such as dates and codes."""
    found = []
    for index in range(len(rows[0])):
        shapes = {_shape(row[index]) for row in rows}
        if len(rows) > 1 and len(shapes) == 1 and "9" in (shape := shapes.pop()):
            found.append((index, shape))
    return found


def _preamble(fit: Fit, name: str) -> int:
    """How many records stand before the table: comments, and titles above a blank line, where a header follows for sure."""
    records, width = fit.records, fit.width
    at = next((index for index, record in enumerate(records) if not record.fault and len(record.cells) == width), 0)
    if not at or width < 2:
        return 0
    before = records[:at]
    if any(record.fault for record in before):
        return 0
    if at == 1 and len(before[0].cells) == width - 1 and not any(record.cells[-1] for record in records[1:] if record.cells):
        raise DataError(
            f"{name}: every row has one cell more than the header, an empty one",
            [f"{name}:1  {', '.join(texts(before[0]))[:60]}"],
            f"name all {width} columns: --names a,b,… --header no --skip-lines {records[at].line}, and --drop the empty one",
        )
    apart = records[at].line > records[at - 1].line + 1
    plain = all(_is_comment(record) or (apart and _is_title(record)) for record in before)
    rows = [texts(record) for record in records[at + 1 :] if not record.fault and len(record.cells) == width]
    if plain and at <= MOST_LINES and rows and _verdict(texts(records[at]), rows):
        return at
    if len(rows) >= 2 and all(len(record.cells) < width for record in before):
        raise DataError(
            f"{name}: {plural(at, 'line stands', 'lines stand')} before a table of {width} columns, or the header is broken",
            [f"{name}:{record.line + 1}  {', '.join(texts(record))[:60]}" for record in before[:5]],
            f"where they are no part of the table, say --skip-lines {records[at].line}",
        )
    return 0


def _is_comment(record: Record) -> bool:
    return not record.fault and record.cells[0].startswith(b"#")


def _is_title(record: Record) -> bool:
    """One cell of words. It may be half of a broken header, where no blank line follows."""
    return not record.fault and len(record.cells) == 1 and not is_number(texts(record)[0])


def _names_numbers(head: Row, rows: Sequence[Row]) -> bool:
    """Whether a word stands over a column of numbers, and no number anywhere in the first record: a header for certain.

    A few words among the numbers are no evidence against it: they are reported later.
    """
    if not rows or any(is_number(cell) for cell in head):
        return False
    return any(head[at].strip() and _is_mostly_numeric([row[at] for row in rows]) for at in range(min(len(head), len(rows[0]))))


def _is_mostly_numeric(cells: Sequence[str]) -> bool:
    """Numbers alone, or a few words among them. Where NA and the like are missing numbers, codes such as 007 are none."""
    there = [cell for cell in cells if cell.strip()]
    numbers = [cell for cell in there if is_number(cell)]
    known = [cell for cell in there if cell.strip() not in MISSING]
    plain = len(numbers) == len(known) > 0 and not all(_CODE.match(cell) for cell in numbers)
    return len(numbers) == len(there) > 0 or plain or (len(numbers) > 1 and len(numbers) * 3 >= len(there) * 2)


def _numeric(rows: Sequence[Row]) -> list[int]:
    """The columns that hold numbers alone, and at least one."""
    if not rows:
        return []
    return [index for index in range(len(rows[0])) if _is_numeric([row[index] for row in rows])]


def _is_numeric(cells: Sequence[str]) -> bool:
    there = [cell for cell in cells if cell.strip() not in MISSING]
    return bool(there) and all(is_number(cell) for cell in there)


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number, with a point or a comma."""
    return _NUMBER.fullmatch(cell) is not None


def _may_be_years(head: Row, rows: Sequence[Row]) -> bool:
    """Names such as 2019, 2020, 2021: integers that grow by one, over numbers that do not."""
    columns = [index for index in _numeric(rows) if index < len(head)]
    said = [head[index] for index in columns]
    if len(said) < 2 or not all(cell.isdecimal() for cell in said):
        return False
    steps = {int(after) - int(before) for before, after in pairwise(said)}
    others = [[row[index] for index in columns] for row in rows]
    alike = any(all(cell.isdecimal() for cell in row) and _steps(row) == steps for row in others)
    return steps == {1} and not alike


def _steps(row: Row) -> set[int]:
    return {int(after) - int(before) for before, after in pairwise(row)}


def _check_second(rows: Sequence[Row], name: str, rest: Sequence[Record]) -> None:
    """Raise DataError if the header seems to continue on a second line: words over nothing but numbers."""
    if len(rows) < 3:
        return
    numeric = _numeric(rows[1:])
    second = rows[0]
    if len(numeric) and not any(is_number(cell) for cell in second) and all(second[index].strip() for index in numeric):
        if all(second[index].strip() in MISSING for index in numeric):
            return
        raise DataError(
            f"{name}:{rest[0].line + 1}  seems to be a second line of the header: words over columns of numbers",
            [", ".join(second[:8])],
            f"name the columns and leave both lines out: --names a,b,… --header no --skip-lines {rest[0].line + 1}",
        )


def find_names(start: Start, given: Sequence[str], width: int, name: str) -> tuple[str, ...]:
    """The names of the columns: those of `--names`, of the header, or c1, c2, … Raises DataError for bad ones."""
    head = start.first.cells[:width] if start.first is not None and start.header else []
    if given:
        names = _given(given, width)
        if len(names) != width:
            said = ", ".join(texts(start.first)[:8]) if start.first else ""
            raise UsageError(f"--names gives {len(names)} names for {width} columns", hint=f"columns in the file: {said}")
    elif head:
        names = tuple(_decoded(cell, name) for cell in head)
    else:
        names = tuple(f"c{index + 1}" for index in range(width))
    line = start.first.line + 1 if start.first else 1
    _check_names(names, f"{name}:{line}")
    return names


def _given(flags: Sequence[str], width: int) -> tuple[str, ...]:
    """`--names` as they are where there is one for each column, else split on commas."""
    return tuple(flags) if len(flags) == width else tuple(name for flag in flags for name in flag.split(","))


def _decoded(cell: bytes, name: str) -> str:
    try:
        text = cell.decode()
    except UnicodeDecodeError:
        raise DataError(
            f"{name}: the header is no text in this encoding: {cell[:60]!r}",
            hint="say how the file is written, such as --encoding latin-1 or --encoding utf-16",
        ) from None
    if "\0" in text:
        raise DataError(f"{name}: the header holds a zero byte", hint="is it UTF-16? Say --encoding utf-16-le")
    return text


def _check_names(names: Sequence[str], place: str) -> None:
    """Raise DataError for an empty or a repeated name, all of them at once."""
    empty = [str(index + 1) for index, name in enumerate(names) if not name.strip()]
    if empty:
        raise DataError(
            f"{place}  column {', '.join(empty[:20])} of the header has no name", hint="name all columns with --names a,b,…"
        )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        said = ", ".join(f'"{name}"' for name in twice[:20])
        raise DataError(
            f"{place}  the header names {said} more than once",
            hint="rename one of them, or name all columns with --names a,b,…",
        )
