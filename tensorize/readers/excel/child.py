"""The process that reads a workbook: its parser may take any time and memory, or end with the process; ours does not.

Standard input is the workbook. To standard output go frames: the first rows as JSON, then batches of rows as Arrow
streams; the last frame says where each lies. See `tensorize.readers.excel.workbook`.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any

import pyarrow as pa
from python_calamine import CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from tensorize.core.errors import near
from tensorize.engine.memory_limit import limit_memory
from tensorize.readers.excel.archive import AGAIN, ZIP, RefusedError, SheetFacts, checked, with_known_errors
from tensorize.readers.excel.values import column, text

HEAD_ROWS, BATCH_ROWS = 250, 16_384
MEMORY_BYTES = 6 << 30
_WORKBOOK = "/dev/stdin"
_UNKNOWN = "Unsupported cell error"
_FULL = SheetFacts(cells=True)
_TOO_LARGE = ["holds more cells than fit in memory", "save the sheet as CSV", False]


def main() -> None:
    """Read the request from the arguments, the workbook from standard input, and write frames to standard output."""
    sheet, growth = json.loads(sys.argv[1])
    limit_memory(MEMORY_BYTES)
    out = _Frames(sys.stdout.buffer)
    try:
        _read(sys.stdin.buffer, sheet, growth, out)
    except RefusedError as error:
        out.end(refused=[error.what, error.hint, error.wrong])
    except MemoryError:
        out.end(refused=_TOO_LARGE)


class _Frames:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._at = stream, 0
        self.batches: list[tuple[int, int, int]] = []

    def batch(self, columns: Sequence[pa.Array]) -> None:
        """Add a batch: (offset, bytes, rows)."""
        batch = pa.RecordBatch.from_arrays(columns, names=[str(at) for at in range(len(columns))])
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        data = sink.getvalue()
        self._stream.write(data)
        self.batches.append((self._at, len(data), batch.num_rows))
        self._at += len(data)

    def end(self, **facts: Any) -> None:
        """Add what is known, and where it begins."""
        self._stream.write(json.dumps(facts | {"batches": self.batches}).encode())
        self._stream.write(self._at.to_bytes(8, "little"))
        self._stream.flush()


def _read(file: IO[bytes], wanted: str | None, growth: int, out: _Frames) -> None:
    is_archive = file.read(len(ZIP)) == ZIP
    facts = checked(file, growth) if is_archive else {}
    book = _opened(_WORKBOOK)
    name, others, sheet = _sheet(book, wanted, file, facts)
    told, errors = facts.get(name, SheetFacts()), Counter[str]()
    rows = _without_end(sheet.iter_rows())
    first = list(islice(rows, HEAD_ROWS))
    head = [[text(cell, errors) for cell in row] for row in first]
    last = _last_rows(first, 0, [-1] * (len(first[0]) if first else 0))
    count = len(first)
    while block := list(islice(rows, BATCH_ROWS)):
        last = _last_rows(block, count, last)
        count += len(block)
        out.batch([column(cells, errors) for cells in zip(*block, strict=True)])
    out.end(
        sheet=name,
        others=others,
        head=head,
        last=last,
        errors=errors + told.errors,
        uncalculated=told.uncalculated,
        hidden=told.hidden,
    )


def _without_end(rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """The rows without the empty ones at the end."""
    empty = 0
    for row in rows:
        if any(cell != "" for cell in row):
            yield from ([""] * len(row) for _ in range(empty))
            yield row
            empty = 0
        else:
            empty += 1


def _last_rows(block: Sequence[list[Any]], start: int, last: list[int]) -> list[int]:
    """(column): the last row that holds a cell, among rows from `start` on and those before."""
    found = []
    for cells, before in zip(zip(*block, strict=True), last, strict=True):
        at = next((at for at in range(len(cells) - 1, -1, -1) if cells[at] != ""), None)
        found.append(before if at is None else start + at)
    return found


def _opened(file: str) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_path(file)
    except PasswordError:
        raise RefusedError("is protected by a password", "save it without one") from None
    except Exception as error:
        raise RefusedError(f"cannot be read as a workbook: {said(error)}", AGAIN) from None


def said(error: BaseException) -> str:
    """The message of a foreign error, in one line."""
    return " ".join(str(error).split())[:200]


def _sheet(
    book: CalamineWorkbook, wanted: str | None, file: IO[bytes], facts: dict[str, SheetFacts]
) -> tuple[str, list[str], CalamineSheet]:
    """The name of the sheet, those of others that may be meant, and its cells."""
    sheets = {item.name: item for item in book.sheets_metadata if item.typ == SheetTypeEnum.WorkSheet}
    if wanted is not None:
        name = named(wanted, list(sheets))
        return name, [], _cells(book, name, file)
    shown = [name for name, item in sheets.items() if item.visible == SheetVisibleEnum.Visible]
    names = shown + [name for name in sheets if name not in shown]
    for at, name in enumerate(names):
        sheet = _cells(book, name, file)
        if sheet.height:
            later = [other for other in names[at + 1 :] if other in shown]
            return name, [other for other in later if not facts or facts.get(other, _FULL).cells], sheet
    raise RefusedError("holds no cells", "is it the right workbook? sheets: " + ", ".join(names or ["none"]))


def named(wanted: str, names: list[str]) -> str:
    """The sheet of a name or number. Raises RefusedError that lists the sheets, the near name first."""
    if wanted in names:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    raise RefusedError(f'has no sheet "{wanted}"{near(wanted, names)}', "sheets: " + ", ".join(names), wrong=True)


def _cells(book: CalamineWorkbook, name: str, file: IO[bytes]) -> CalamineSheet:
    """The cells of a sheet; where they hold an error that the parser does not know, those of a copy without it."""
    try:
        return book.get_sheet_by_name(name)
    except Exception as error:
        if _UNKNOWN not in str(error):
            raise RefusedError(f'cannot be read: sheet "{name}": {said(error)}', AGAIN) from None
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as copy:
        with_known_errors(file, copy)
        copy.flush()
        return _opened(copy.name).get_sheet_by_name(name)
