"""Workbooks as rows: another process reads the sheet, and what it writes is taken in batch by batch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import IO, Any

import pyarrow as pa

from tensorize.columns.reader import Needs, Rows
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.engine.child import child_command, child_environment
from tensorize.readers.cells import CellSource, cell_rows, dialect_of
from tensorize.readers.csv.header import Start
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.excel.options import ExcelOptions
from tensorize.readers.excel.start import columns_of, find_table
from tensorize.sources.files import InputFile

_MAIN = "from tensorize.readers.excel.child import main; main()"
_SHARED = ("header", "names", "skip_lines", "thousands", "strip", "max_columns")
"""The options that the CSV reader has, too."""


def workbook_rows(
    source: Sequence[InputFile], options: ExcelOptions, needs: Callable[[Sequence[str]], Needs], run: Run
) -> Rows:
    """Read one sheet of each workbook. See `tensorize.readers.excel.Excel`."""
    if find_spec("python_calamine") is None:
        raise UsageError(
            f"{source[0].name} is a workbook; reading it needs python-calamine", hint='pip install "tensorize[excel]"'
        )
    shared = CsvOptions(**{name: getattr(options, name) for name in _SHARED})
    with ExitStack() as stack:
        sheets = [_sheet(stack.enter_context(_read(file, options, run)), options) for file in source]
        return cell_rows(sheets, shared, needs, run)


def _sheet(read: _Read, options: ExcelOptions) -> CellSource:
    file, facts = read.file, read.facts
    name, skip, head, last = f"{file.name}:{facts['sheet']}", options.skip_lines, facts["head"], facts["last"]
    kept = columns_of(head, last, skip)
    head = [[row[at] for at in kept] for row in head]
    names, line, start = find_table(head, skip, options, name, whole=not facts["batches"])
    above = any(any(row) for row in facts["head"][: start.first.line]) if start.first is not None else False
    notes = (*_notes(facts), *_start_notes(names, start, above))
    dialect = dialect_of(names, line, notes, options.thousands, options.strip)
    return CellSource(name, file.size, dialect, partial(read.batches, kept, head[line:]))


def _start_notes(names: Sequence[str], start: Start, above: bool) -> Iterator[str]:
    if not start.header:
        yield f"no header: columns {names[0]} … {names[-1]}"
    if above and start.first is not None:
        yield f"left out before the table: row{'s 1 to' if start.first.line > 1 else ''} {start.first.line}"


def _notes(facts: dict[str, Any]) -> Iterator[str]:
    others = ", ".join(f'"{name}"' for name in facts["others"])
    yield f'sheet "{facts["sheet"]}"' + (f", the first of several: --sheet NAME reads {others}" if others else "")
    if facts["errors"]:
        kinds = ", ".join(f"{count:,} {error}" for error, count in sorted(facts["errors"].items()))
        yield f"{plural(sum(facts['errors'].values()), 'cell holds an error', 'cells hold errors')}, read as missing: {kinds}"
    if facts["uncalculated"]:
        yield f"{plural(facts['uncalculated'], 'formula has', 'formulas have')} no stored value, read as missing"
    if facts["hidden"]:
        yield f"{plural(facts['hidden'], 'hidden row is', 'hidden rows are')} read, too"


@dataclass(frozen=True)
class _Read:
    """What the process wrote: batches of rows, and what it says of them."""

    file: InputFile
    frames: IO[bytes] = field(repr=False)
    facts: dict[str, Any]

    def batches(self, columns: Sequence[int], head: Sequence[Sequence[str]]) -> Iterator[pa.RecordBatch]:
        """The rows below the header, of some columns: those of the head as text, then the others."""
        names = [str(at) for at in columns]
        if head:
            yield pa.RecordBatch.from_arrays([pa.array(cells, pa.string()) for cells in zip(*head, strict=True)], names=names)
        for at, size, _ in self.facts["batches"]:
            with pa.ipc.open_stream(os.pread(self.frames.fileno(), size, at)) as stream:
                yield stream.read_next_batch().select(names)


@contextmanager
def _read(file: InputFile, options: ExcelOptions, run: Run) -> Iterator[_Read]:
    """Let another process read a workbook. Raises DataError for one that cannot be read, UsageError for a wrong sheet."""
    request = json.dumps([options.sheet, options.max_expansion])
    with tempfile.TemporaryFile(dir=run.engine.store.folder) as frames:
        with _local(file) as book:
            done = subprocess.run(  # noqa: PLW1510 - how it ended is looked at
                child_command(_MAIN, request), stdin=book, stdout=frames, stderr=subprocess.DEVNULL, env=child_environment()
            )
        file.check()
        yield _Read(file, frames, _facts(file.name, frames.fileno(), done.returncode))


def _facts(name: str, frames: int, code: int) -> dict[str, Any]:
    """What the last frame says."""
    size = os.fstat(frames).st_size
    if code or size < 8:
        raise DataError(f"{name} cannot be read as a workbook", _reason(code), "save the sheet as CSV")
    at = int.from_bytes(os.pread(frames, 8, size - 8), "little")
    facts: dict[str, Any] = json.loads(os.pread(frames, size - 8 - at, at))
    if "refused" in facts:
        what, hint, is_wrong = facts["refused"]
        raise (UsageError if is_wrong else DataError)(f"{name} {what}", hint=hint)
    return facts


def _reason(code: int) -> list[str]:
    """What the end of the process tells."""
    return ["its cells need more memory than a process may have, or they are damaged"] if code < 0 else [f"exit code {code}"]


def _local(file: InputFile) -> IO[bytes]:
    """The workbook as a file of this machine, open for reading."""
    try:
        return file.readable.open("rb")
    except OSError:
        copy: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with file.random() as raw:
            shutil.copyfileobj(raw, copy)
        copy.seek(0)
        return copy
