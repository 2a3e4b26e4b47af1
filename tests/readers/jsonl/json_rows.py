"""The columns of a JSON file as its reader gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorize.columns.options import TableOptions
from tensorize.columns.reader import Needs, Roles
from tensorize.core.contracts import Run
from tensorize.core.rejects import Rejects
from tensorize.engine.threads import ThreadEngine
from tensorize.readers.open import open_table


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows_of(path: Path, **options: Any) -> tuple[dict[str, list[Any]], Any]:
    """Every column as it is read."""
    size = options.pop("size", 4 << 20)
    lenient, forced = frozenset(options.pop("lenient", ())), options.pop("forced", {})
    skip = options.pop("skip", False)
    drop = options.pop("without", ())

    def asked(names: Any) -> Needs:
        kept = tuple(name for name in names if name not in drop)
        return Needs(Roles(tuple(names), kept, (), ()), forced, lenient, na=parsed.na_words)

    parsed = TableOptions.parse(options)
    run = Run(ThreadEngine(1), partition_bytes=size, rejects=Rejects(skip, "100%"))
    rows = open_table(path, parsed, run, asked=asked)
    found: dict[str, list[Any]] = {name: [] for name in rows.schema.names}
    for partition in rows.partitions:
        batch = rows.read(partition).unpacked()
        for name in found:
            found[name] += batch.column(name).to_pylist()
    return found, rows
