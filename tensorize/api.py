"""`prepare`: the whole way from raw data to tensors, as one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize import pipeline

if TYPE_CHECKING:
    from tensorize.core.tensorset import TensorSet


def prepare(
    kind: str,
    source: Any,
    *,
    out: str | Path | None = None,
    format: str | None = None,
    force: bool = False,
    max_size: int | None = None,
    rejects: str | Path | None = None,
    threads: int | None = None,
    chunk_bytes: int | None = None,
    scratch: str | Path | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    **options: Any,
) -> TensorSet:
    """Turn raw data into tensors, and keep the recipe that did it.

    kind: a registered loader: `table`, `wine`, `series`, `bikes`, `text`, `images`, or a plug-in's.
    source: a path, a glob, a folder, `-`, a list of paths; for tables also a DataFrame, an Arrow table, a mapping of
        columns, or rows.
    out: a file to stream to; the set that comes back is then lazy. Without it the tensors are held in memory.
    max_size: bytes that the output may take; by default 2 GiB or 4 × the input, whichever is more.
    rejects: with `on_bad="skip"`, a file to list in what is left out, one JSON object a line.
    threads, chunk_bytes, scratch: how to run; they never change a bit of the result.
    options: those of the kind, as on the command line with underscores: `onehot="quality"`, `split="0.8,0.1,0.1"`.

    Raises DataError for what is wrong with the data, UsageError for what is wrong with the call, RunError where the
    machine says no.

    >>> ts = prepare("table", {"area": [1.0, 2.0, 3.0], "city": ["a", "b", "a"]})
    >>> ts["features"].shape, ts.labels("features", "feature")
    (torch.Size([3, 3]), ('area', 'city=a', 'city=b'))
    """
    run = pipeline.make_run(threads, chunk_bytes, scratch, progress)
    output = pipeline.make_output(out, format, force=force, max_size=max_size, rejects=rejects)
    return pipeline.prepare(kind, source, options, run, output).tensors
