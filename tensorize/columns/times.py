"""Text to time stamps: ISO 8601 dates and times, in microseconds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.errors import DataError, shown


def to_times(cells: pa.Array, column: str) -> pa.Array:
    """String cells (row) → timestamp[us] (row), null if missing.

    Raises DataError for cells that are not ISO dates; a time zone is refused, since wall time and instants differ.
    """
    try:
        return pc.cast(cells, pa.timestamp("us"))
    except pa.ArrowInvalid as error:
        bad = next((cell for cell in cells.drop_null().to_pylist() if not _is_time(cell)), "")
        raise DataError(
            f'column "{column}": {shown(bad)} is no date that is sure to be read right',
            hint="write dates as 2011-01-31 or 2011-01-31 13:00:00",
        ) from error


def _is_time(cell: str) -> bool:
    try:
        pc.cast(pa.scalar(cell), pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True
