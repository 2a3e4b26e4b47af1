"""Where a table begins: what comes before it, whether its first record names the columns, and what the names are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tensorize.columns.reader import INDEX, NUMBER_NA
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.readers.csv.first_line import Row, is_number, names_columns, numeric_columns
from tensorize.readers.csv.sniff import Fit
from tensorize.readers.csv.tokenizer import Record

MOST_LINES = 50
"""Lines before a table that can be distinguished from it."""


@dataclass(frozen=True)
class Start:
    """Where a table begins. `first` is its first record: the header, where there is one."""

    first: Record | None
    rest: tuple[Record, ...]
    header: bool
    skipped: int = 0
    """Lines before it that are not part of it."""
    short: Literal["", "index", "trailing"] = ""
    """Where the header has one cell less than the rows: a first column of row names, or an empty last one, has no name."""


def texts(record: Record) -> list[str]:
    """Return the cells as text; bytes that are not UTF-8 become U+FFFD."""
    return [cell.decode("utf-8", "replace") for cell in record.cells]


def find_start(fit: Fit, option: str, name: str) -> Start:
    """Tell the lines before a table from it, and its header from its rows. Raises DataError where that is not certain."""
    short = _short_header(fit) if option != "no" else None
    if short is not None:
        return short
    at = _preamble(fit, name) if option != "no" else 0
    first, rest = fit.records[at], fit.records[at + 1 :]
    skipped = first.line if at else 0
    if option != "auto" or first.fault:
        return Start(first, rest, option != "no", skipped)
    rows = _rows(rest, fit.width)
    verdict = names_columns(texts(first), rows)
    if verdict is None:
        raise DataError(
            f"{name}:{first.line + 1}  is the first line a header, or a row like the others?",
            [", ".join(texts(first)[:8])],
            "say which: --header yes, or --header no",
            {"header": "yes"},
        )
    if verdict:
        _check_second(first, rows, name, rest)
    return Start(first, rest, verdict, skipped)


def _rows(records: Sequence[Record], width: int) -> list[list[str]]:
    """The records of `width` cells, as text."""
    return [texts(record) for record in records if not record.fault and len(record.cells) == width]


def _short_header(fit: Fit) -> Start | None:
    """A header with one cell less than every row: R's, where the first column holds row names, or that of a trailing comma."""
    first, rest, width = fit.records[0], fit.records[1:], fit.width
    rows = _rows(rest, width)
    if first.fault or len(first.cells) != width - 1 or width < 2 or not rows:
        return None
    head = texts(first)
    if len(rows) == len(rest) and not any(row[-1] for row in rows):
        return Start(first, rest, True, short="trailing") if names_columns(head, [row[:-1] for row in rows]) else None
    labels = [row[0].strip() for row in rows]
    unlike = "" not in labels and len(set(labels)) == len(labels)
    if width > 2 and unlike and names_columns(head, [row[1:] for row in rows]):
        return Start(first, rest, True, short="index")
    return None


def _preamble(fit: Fit, name: str) -> int:
    """How many records stand before the table: comments and titles, where a header follows for certain."""
    records, width = fit.records, fit.width
    at = next((index for index, record in enumerate(records) if not record.fault and len(record.cells) == width), 0)
    before = records[:at]
    if width < 2 or any(record.fault for record in before):
        return 0
    titled = next((index for index in range(at, len(records)) if not _is_bare(records[index], width)), at)
    for start in {at, titled} - {0}:
        if start <= MOST_LINES and _are_titles(records[:at], records[start], width) and _is_header(records, start, width):
            return start
    if at and len(_rows(records[at + 1 :], width)) >= 2 and all(len(record.cells) < width for record in before):
        raise _before_error(records, at, width, name)
    return 0


def _before_error(records: Sequence[Record], at: int, width: int, name: str) -> DataError:
    """The error for lines before a table that may be part of it."""
    rest = records[at:]
    if at == 1 and len(records[0].cells) == width - 1 and not any(record.cells[-1] for record in rest if record.cells):
        return DataError(
            f"{name}: every row has one cell more than the header, an empty one",
            [f"{name}:1  {', '.join(texts(records[0]))[:60]}"],
            f"name all {width} columns: --names a,b,… --header no --skip-lines {rest[0].line}, and --drop the empty one",
        )
    return DataError(
        f"{name}: {plural(at, 'line stands', 'lines stand')} before a table of {width} columns, or the header is broken",
        [f"{name}:{record.line + 1}  {', '.join(texts(record))[:60]}" for record in records[: min(at, 5)]],
        f"where they are no part of the table, say --skip-lines {rest[0].line}",
        {"skip_lines": rest[0].line},
    )


def _is_bare(record: Record, width: int) -> bool:
    """A title as a spreadsheet writes it: words in the first cell, and nothing in all others; or nothing at all."""
    cells = texts(record)
    return not record.fault and len(cells) == width > 2 and not any(cells[1:]) and not is_number(cells[0])


def _is_header(records: Sequence[Record], at: int, width: int) -> bool:
    """Whether a record with a name in every cell is certainly the header of those that follow."""
    cells, rows = texts(records[at]), _rows(records[at + 1 :], width)
    return len(cells) == width and all(cell.strip() for cell in cells[1:]) and bool(rows) and names_columns(cells, rows) is True


def _are_titles(before: Sequence[Record], header: Record, width: int) -> bool:
    """Whether the lines before a header are comments, sentences, or titles with a blank line after them.

    A single word right above it may be half of a header that is broken.
    """
    apart = bool(before) and header.line > before[-1].line + 1
    return all(_is_comment(record) or _is_sentence(record) or (apart and _is_title(record, width)) for record in before)


def _is_comment(record: Record) -> bool:
    return not record.fault and record.cells[0].startswith(b"#")


def _is_sentence(record: Record) -> bool:
    return not record.fault and len(record.cells) == 1 and len(record.cells[0].split()) > 2


def _is_title(record: Record, width: int) -> bool:
    """One cell of words, or a few where the table has more."""
    cells = texts(record)
    return not record.fault and (len(cells) == 1 or len(cells) * 2 <= width) and not any(map(is_number, cells))


def _check_second(first: Record, rows: Sequence[Row], name: str, rest: Sequence[Record]) -> None:
    """Raise DataError if the header seems to continue on a second line: words over nothing but numbers."""
    if len(rows) < 3:
        return
    numeric = numeric_columns(rows[1:])
    second = rows[0]
    if len(numeric) and not any(is_number(cell) for cell in second) and all(second[index].strip() for index in numeric):
        if all(second[index].strip() in NUMBER_NA for index in numeric):
            return
        names, skip = texts(first), rest[0].line + 1
        given = ",".join(names) if _may_be_flag(names) and all(names) else "a,b,…"
        raise DataError(
            f"{name}:{skip}  seems to be a second line of the header: words over columns of numbers",
            [", ".join(second[:8])],
            f'name the columns and leave both lines out: --names "{given}" --header no --skip-lines {skip}',
            {"names": [given], "header": "no", "skip_lines": skip} if given != "a,b,…" else None,
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
        names = _of_header(start, head, name)
    else:
        names = tuple(f"c{index + 1}" for index in range(width))
    line = start.first.line + 1 if start.first else 1
    _check_names(names, f"{name}:{line}")
    return names


def _of_header(start: Start, head: Sequence[bytes], name: str) -> tuple[str, ...]:
    """The names in a header; a first column without one is `INDEX` where its cells all differ and are no fractions."""
    names = [_decoded(cell, name) for cell in head]
    if start.short == "index":
        return (INDEX, *names)
    labels = [texts(record)[0].strip() for record in start.rest if not record.fault and record.cells]
    unlike = len(set(labels)) == len(labels) > 1 and "" not in labels
    if not names[0].strip() and unlike and INDEX not in names and all(cell.isdigit() or not is_number(cell) for cell in labels):
        names[0] = INDEX
    return tuple(names)


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
            fix={"encoding": "cp1252"},
        ) from None
    if "\0" in text:
        raise DataError(
            f"{name}: the header holds a zero byte",
            hint="is it UTF-16? Say --encoding utf-16-le",
            fix={"encoding": "utf-16-le"},
        )
    return text


def _check_names(names: Sequence[str], place: str) -> None:
    """Raise DataError for an empty or a repeated name, all of them at once."""
    empty = [str(index + 1) for index, name in enumerate(names) if not name.strip()]
    if empty:
        full = [name if name.strip() else f"c{index + 1}" for index, name in enumerate(names)]
        raise DataError(
            f"{place}  column {', '.join(empty[:20])} of the header has no name",
            hint=f'name all columns: --names "{",".join(full)}"'
            if _may_be_flag(names)
            else "name all columns with --names a,b,…",
            fix={"names": _as_flags(full)},
        )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        said = ", ".join(f'"{name}"' for name in twice[:20])
        raise DataError(
            f"{place}  the header names {said} more than once",
            hint=f'name all columns: --names "{",".join(_numbered(names))}"'
            if _may_be_flag(names)
            else "rename one of them, or name all columns with --names a,b,…",
            fix={"names": _as_flags(_numbered(names))},
        )


def _as_flags(names: Sequence[str]) -> list[str]:
    """The values of `--names`: all names in one where none has a comma, else each by itself."""
    return [*names] if any("," in name for name in names) else [",".join(names)]


def _may_be_flag(names: Sequence[str]) -> bool:
    """Whether all names fit into one flag."""
    return len(names) <= 50 and not any(sign in name for name in names for sign in ',"$`\\\n\r')


def _numbered(names: Sequence[str]) -> list[str]:
    """The names, each that was there before with the next free number after it."""
    taken, found, seen = set(names), list[str](), set[str]()
    for name in names:
        new = name
        if name in seen:
            new = next(new for new in (f"{name}_{count}" for count in range(2, len(names) + 2)) if new not in taken)
            taken.add(new)
        seen.add(name)
        found.append(new)
    return found
