"""Say what is wrong with a file: bad rows, all at once, and columns whose cells do not go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tensorize.core.errors import SHOWN, DataError, plural, shown, some
from tensorize.core.rejects import Reject, legible

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

    def add(self, reject: Reject) -> None:
        """Count a fault; the first few are kept, to be shown."""
        self.counts[reject.kind] += 1
        if len(self._first) < SHOWN:
            self._first.append(reject)

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
        return DataError(what, lines, "; or ".join(hints))


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


def mixed_error(columns: Sequence[Mixed], places: dict[int, str], local: bool) -> DataError:
    """The error for columns that hold numbers and words, listing the cells of the rarer sort.

    `local` says that some are numbers in another notation.
    """
    details: list[str] = []
    for column in columns:
        cells = [f"{places[row]}  {column.name}  {shown(cell)}" for row, cell in column.first[column.rarer]]
        details += some(cells, column.numbers if column.rarer else column.words)
        details.append(f'column "{column.name}": {plural(column.numbers, "number")}, {plural(column.words, "word")}')
    first = columns[0].name
    hint = f'say what it is: --onehot "{first}" (categories), --na WORD (the word means missing), or --drop "{first}"'
    if local:
        hint += '; numbers such as 1,5 and 1,234: --decimal "," or --thousands ","'
    return DataError(
        f"{plural(len(columns), 'column mixes', 'columns mix')} numbers and words",
        details,
        hint + "; or leave out the rows whose cells are no numbers: --on-bad skip",
    )
