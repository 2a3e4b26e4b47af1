"""Open a source as a table: files by name, or what Python holds in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa

from tensorize.columns.options import ColumnOptions, CsvOptions
from tensorize.columns.roles import needs, needs_of
from tensorize.columns.rows import Needs, Roles, Rows
from tensorize.core.contracts import Run
from tensorize.core.rejects import Rejects
from tensorize.core.schema import Schema
from tensorize.engine.threads import ThreadEngine
from tensorize.readers.csv.scan import CsvParser
from tensorize.readers.csv.suspects import odd_error, odd_rows
from tensorize.readers.memory import arrow_rows, to_arrow
from tensorize.sources.files import resolve


def open_table(source: Any, options: ColumnOptions, run: Run, schema: Schema | None = None) -> Rows:
    """Look through a source; with a recipe's `schema`, its columns must be there and have its kinds."""

    def wanted(names: Sequence[str]) -> Needs:
        return needs(names, options) if schema is None else needs_of(schema, options, names)

    if is_path(source):
        return CsvParser(resolve(source), options, wanted, run).rows()
    held = arrow_rows(to_arrow(source), wanted)
    run.rejects.saw(held.rows, "row")
    return held


def is_path(source: Any) -> bool:
    """A path, a glob, `-`, or a list of those."""
    if isinstance(source, list | tuple):
        return bool(source) and all(is_path(part) for part in source)
    return isinstance(source, str | os.PathLike)


def read_text(path: Any, **options: Any) -> pa.Table:
    """Every cell as text: see `tensorize.loaders.table.read_table`."""
    engine = ThreadEngine(options.pop("threads", 1))
    size = options.pop("chunk_bytes", Run.partition_bytes)
    parsed = CsvOptions.parse(options)
    rejects = Rejects(parsed.on_bad == "skip", parsed.max_bad)
    with closing(engine):
        scan = CsvParser(resolve(path), parsed, _all_text, Run(engine, size, rejects=rejects)).rows()
        rejects.check()
        table = pa.Table.from_batches(list(scan.parsed()))
        suspects = odd_rows(table)
        if suspects:
            raise odd_error(table, suspects, scan.place_kept)
        return table


def _all_text(names: Sequence[str]) -> Needs:
    return Needs(Roles(tuple(names), tuple(names), (), ()), dict.fromkeys(names, "category"), verbatim=True)
