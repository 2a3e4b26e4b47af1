"""Rows whose time cannot be read: with `--on-bad skip` they are left out and reported."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from tensorize.columns.dates.rows import DatedRows
from tensorize.columns.reader import Rows
from tensorize.columns.selection import SelectedRows
from tensorize.core.errors import DataError
from tensorize.core.options import column_and
from tensorize.core.rejects import Reject, Rejects
from tensorize.loaders.series.clock import Clock, Reading
from tensorize.loaders.series.options import SeriesOptions


def leave_out_untimed(kept: SelectedRows, clock: Clock, rejects: Rejects) -> None:
    """Report every kept row without a readable time, and leave it out. Raises DataError if there are too many.

    One more pass over the times; 8 bytes are held for each row that is left out.
    """
    left_out, reading = array("q"), clock.reading()
    for block, mask in kept:
        picked = np.flatnonzero(mask)
        batch = block.batch if len(picked) == len(block) else block.batch.take(pa.array(picked))
        if _can_be_read(reading, batch):
            continue
        faults = clock.faults(batch)
        source = {at: int(picked[at]) + block.start for at in sorted(faults)}
        for place, (at, row) in zip(kept.rows.place(list(source.values())), source.items(), strict=True):
            column, reason = faults[at]
            rejects.add(_reject(place, row, column, batch.column(column)[at].as_py(), reason))
        left_out.extend(source.values())
    rejects.check()
    if left_out:
        kept.leave_out(np.array(left_out))


def _reject(place: str, row: int, column: str, raw: Any, reason: str) -> Reject:
    """One row that is left out; `raw` is its time cell."""
    path, _, line = place.rpartition(":")
    text = "" if raw is None else str(raw)
    if path and line.isdecimal():
        return Reject(path, "time", reason, row, int(line), column, text)
    return Reject("in memory", "time", reason, row, None, column, text)


def without_clock_text(rows: Rows, clock: Sequence[str], options: SeriesOptions) -> Rows:
    """The rows with a time of day in text, the second column of the time, as no feature: numbers of hours stay one."""
    roles = rows.needs.roles
    asked = {column_and(value, roles.names)[0] for value in (*options.onehot, *options.ordinal)}
    gone = [name for name in clock if name in roles.inputs and rows.schema[name].storage == "string" and name not in asked]
    if not gone:
        return rows
    keys = tuple(name for name in roles.names if name in roles.keys or name in gone)
    inputs = tuple(name for name in roles.inputs if name not in gone)
    needs = replace(rows.needs, roles=replace(roles, inputs=inputs, keys=keys))
    return DatedRows(rows, rows.schema, needs, {})


def _can_be_read(reading: Reading, batch: pa.RecordBatch) -> bool:
    if any(batch.column(name).null_count for name in reading.clock.columns):
        return False
    try:
        reading(batch)
    except DataError:
        return False
    return True
