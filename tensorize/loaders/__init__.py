"""One file or package for each kind of raw data."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`read_table`, found when it is asked for: see `tensorize.loaders.table.read_table`."""
    if name == "read_table":
        from tensorize.loaders.table import read_table

        return read_table
    raise AttributeError(f"module 'tensorize.loaders' has no attribute {name!r}")
