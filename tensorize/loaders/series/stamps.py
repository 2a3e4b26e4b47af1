"""Rows whose time cannot be read: they have no place in a series, and are left out where that was asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tensorize.columns.rows import Rows
from tensorize.columns.selection import Kept
from tensorize.core.errors import DataError
from tensorize.core.rejects import Reject, Rejects
from tensorize.loaders.series.clock import Clock


def leave_out_untimed(kept: Kept, clock: Callable[[], Clock], scan: Rows, rejects: Rejects) -> None:
    """Hand in every row that is kept and has no time, and leave it out. Raises DataError where that is too much.

    One more pass over the times; 8 bytes are held for each row that is left out.
    """
    rows, reader = array("q"), clock()
    for block, mask in kept:
        picked = np.flatnonzero(mask)
        batch = block.batch if len(picked) == len(block) else block.batch.take(pa.array(picked))
        if _can_be_read(reader, batch):
            continue
        found = {int(picked[at]) + block.start: (at, *fault) for at, fault in sorted(reader.faults(batch).items())}
        for place, (row, (at, column, reason)) in zip(scan.place(list(found)), found.items(), strict=True):
            path, _, line = place.rpartition(":")
            raw = batch.column(column)[at].as_py()
            numbered = bool(path) and line.isdecimal()
            rejects.add(
                Reject(
                    path if numbered else "in memory",
                    "time",
                    reason,
                    row,
                    int(line) if numbered else None,
                    column,
                    "" if raw is None else str(raw),
                )
            )
        rows.extend(found)
    rejects.check()
    if rows:
        kept.leave_out(np.array(rows))


def _can_be_read(clock: Clock, batch: pa.RecordBatch) -> bool:
    if any(batch.column(name).null_count for name in clock.columns):
        return False
    try:
        clock(batch)
    except DataError:
        return False
    return True
