"""Index columns: what pandas and R write before the columns of a table, and columns that count the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorize.columns.reader import INDEX, Rows
from tensorize.columns.rows import Blocks

if TYPE_CHECKING:
    from tensorize.columns.options import ColumnOptions

LEAST_ROWS = 3


def index_note(rows: Rows, options: ColumnOptions) -> list[str]:
    """Say that a first column without a name is an index, and so not a feature."""
    roles = rows.needs.roles
    if roles.names[0] != INDEX or INDEX in (*roles.inputs, *roles.targets):
        return []
    what = "an id" if getattr(options, "id", None) == INDEX else "left out"
    return [f'the first column is an index without a name: {what}, not a feature (--raw "{INDEX}" makes it one)']


def counting_notes(rows: Rows, options: ColumnOptions) -> list[str]:
    """Say which features count the rows."""
    roles, flag = rows.needs.roles, "--drop" if getattr(options, "id", None) else "--id"
    counting = counting_columns(rows, roles.inputs) if rows.rows >= LEAST_ROWS else []
    return [
        f'"{name}" counts the rows: say {flag} "{name}" if it is not a feature'
        for name in counting
        if not options.mentions(name)
    ]


def counting_columns(rows: Rows, names: Sequence[str]) -> list[str]:
    """The columns among `names` that are 0, 1, 2, … or 1, 2, 3, … over all rows; read no further than that is known."""
    left = {name: 0 for name in names if rows.schema[name].storage == "int64"}
    blocks = Blocks(rows)
    for index in range(len(blocks)):
        if not left or rows.bad:
            return []
        block = blocks.read(index, left)
        for name in list(left):
            cells = block.batch.column(name)
            first = left[name] if index else cells[0].as_py()
            if cells.null_count or first not in (0, 1) or not _counts(cells.to_numpy(), first + block.start):
                del left[name]
            else:
                left[name] = first
    return list(left)


def _counts(values: Any, first: int) -> bool:
    return int(values[0]) == first and np.array_equal(values, np.arange(first, first + len(values)))
