"""One bar for each stage, on a terminal; nothing when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BYTES = ("parse", "read")
"""Stages that count bytes; the others count rows."""

Report = Callable[[str, int, int | None], None]


@contextmanager
def progress(silent: bool) -> Iterator[Report | None]:
    """Give a function to report progress to, or None if nobody looks."""
    if silent or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from tensorize.core.units import size

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    started: dict[str, float] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
                started[stage] = time.monotonic()
            speed = done / max(time.monotonic() - started[stage], 1e-3)
            rate = f"{size(int(speed))}/s" if stage in BYTES else f"{speed:,.0f} rows/s"
            bars.update(tasks[stage], completed=done, total=total, rate=rate)

        yield report
