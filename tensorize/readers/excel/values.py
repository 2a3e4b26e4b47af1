"""The cells of a sheet, as its parser gives them, as what a CSV file would hold: numbers as numbers, the rest as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from tensorize.readers.excel.archive import ERRORS

_EXACT = 2.0**53
"""Up to here every whole number is a float64, and none stands for two."""


def text(cell: Any, errors: Counter[str]) -> str:
    """One cell as text: whole numbers without a fraction, times in ISO 8601, spans of time as seconds, '' for an error.

    >>> from datetime import datetime
    >>> [text(cell, Counter()) for cell in (3.0, 2.5, True, datetime(2024, 5, 1, 12), "#N/A")]
    ['3', '2.5', 'true', '2024-05-01 12:00:00', '']
    """
    if isinstance(cell, str):
        return "" if cell in ERRORS and not errors.update((cell,)) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, timedelta):
        cell = cell.total_seconds()
    if isinstance(cell, float):
        return str(int(cell)) if abs(cell) <= _EXACT and cell.is_integer() else repr(cell)
    return str(cell)


def column(cells: Sequence[Any], errors: Counter[str]) -> pa.Array:
    """The cells of a column (row): int64 or float64 where all are numbers or empty, else string."""
    types = set(map(type, cells))
    if types <= {float, int, str, timedelta} and types != {str}:
        if timedelta in types:
            cells = [cell.total_seconds() if isinstance(cell, timedelta) else cell for cell in cells]
        if str not in types:
            return _numbers(cells)
        if not any(cell for cell in cells if type(cell) is str):
            return _numbers([None if type(cell) is str else cell for cell in cells])
    return pa.array([text(cell, errors) for cell in cells], pa.string())


def _numbers(cells: Sequence[Any]) -> pa.Array:
    values = np.array(cells, dtype=np.float64)  # None becomes NaN
    missing = np.isnan(values)
    plain = np.where(missing, 0.0, values)
    if (np.abs(plain) <= _EXACT).all() and (plain == np.rint(plain)).all():
        return pa.array(plain.astype(np.int64), mask=missing)
    return pa.array(values, mask=missing)
