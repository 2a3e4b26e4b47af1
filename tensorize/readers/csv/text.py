"""A delimited file as a table of text, every cell as written.

Rows that do not belong to it are refused, as columns of numbers find them by themselves. A row of words where all others
hold numbers is the header of another table; a word among numbers that stands in apostrophes, or has another delimiter in
its row, was written in another way than the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.options import RowOptions
from tensorize.columns.reader import Needs, Roles
from tensorize.core.contracts import Mask, Run
from tensorize.core.errors import SHOWN, DataError, plural, shown, some
from tensorize.core.rejects import Rejects
from tensorize.engine.threads import ThreadEngine
from tensorize.readers.csv.infer import are_numbers
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.csv.reader import CsvParser
from tensorize.sources.files import resolve

_QUOTED, _DELIMITER = r"^'.*'$", r"[;\t|]"


def read_text_table(path: Any, **options: Any) -> pa.Table:
    """Every cell as text: see `tensorize.loaders.table.read_table`."""
    engine = ThreadEngine(options.pop("threads", 1))
    size = options.pop("chunk_bytes", Run.partition_bytes)
    parsed = RowOptions.parse({"reader": "csv"} | options)
    rejects = Rejects(parsed.on_bad == "skip", parsed.max_bad)
    assert isinstance(parsed.reading, CsvOptions)

    def all_text(names: Sequence[str]) -> Needs:
        roles = Roles(tuple(names), tuple(names), (), ())
        return Needs(roles, dict.fromkeys(names, "category"), na=parsed.na_words, verbatim=True)

    with closing(engine):
        scan = CsvParser(resolve(path), parsed.reading, all_text, Run(engine, size, rejects=rejects)).rows()
        rejects.check()
        table = pa.Table.from_batches(list(scan.parsed()))
        suspects = odd_rows(table)
        if suspects:
            raise odd_error(table, suspects, scan.place_kept)
        return table


def odd_rows(table: pa.Table) -> list[int]:
    """The rows, from 0, of a table of text that were written in another way than the rest, or name columns again."""
    words, other = np.ones(table.num_rows, dtype=bool), np.zeros(table.num_rows, dtype=bool)
    marked = np.zeros(table.num_rows, dtype=bool)
    for column in table.columns:
        marked |= _mask(pc.match_substring_regex(column, _DELIMITER))
    numeric = 0
    for column in table.columns:
        cells = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        bad = pc.invert(pc.or_(are_numbers(cells, "."), are_numbers(cells, ",")))
        numbers, odd = (pc.sum(pc.equal(bad, sort)).as_py() or 0 for sort in (False, True))
        if numbers > 1 and odd * 2 <= numbers:
            numeric += 1
            words &= _mask(bad)
            other |= _mask(bad) & (marked | _mask(pc.match_substring_regex(cells, _QUOTED)))
    if not numeric:
        return []
    if table.num_columns == 1:
        words[:] = False  # a word alone
    tail = len(words) - int(np.argmin(words[::-1]))
    names = [
        row
        for row in np.flatnonzero(words).tolist()
        if _may_name(table, row, words, digits=numeric > 1 or row == tail < len(words) - 1)
    ]
    return sorted({*np.flatnonzero(other).tolist(), *names})


def _mask(values: pa.ChunkedArray) -> Mask:
    mask: Mask = values.fill_null(False).to_numpy()
    return mask


def _may_name(table: pa.Table, row: int, words: Mask, digits: bool) -> bool:
    """Whether a row of words could be a header: a cell in every column, none that the column holds in a row of the table.

    `digits` says that names may hold digits: there are two columns of numbers that speak against the row, or it is the
    first of several at the end, without a number in any.
    """
    rest = pa.array(~words)
    for column in table.columns:
        cell = column[row].as_py()
        if not cell or (not digits and any(char.isdigit() for char in cell)):
            return False
        if pc.any(pc.equal(column.filter(rest), cell)).as_py():
            return False
    return True


def odd_error(table: pa.Table, rows: Sequence[int], place: Callable[[Sequence[int]], list[str]]) -> DataError:
    """The error that lists them."""
    first = list(rows[:SHOWN])
    lines = [
        f"{where}  {shown(', '.join(str(column[row]) for column in table.columns), 60)}"
        for where, row in zip(place(first), first, strict=True)
    ]
    return DataError(
        f"{plural(len(rows), 'row does', 'rows do')} not belong to the table: words where other rows hold numbers",
        some(lines, len(rows)),
        "is it a second table, or written in another way than the rest? Give it a file of its own, or mend it",
    )
