"""The first rows of a large table, so that there is a picture while the whole is still being read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LARGE = 64 << 20
"""Files of fewer bytes are read as a whole at once."""
HEAD_BYTES = 4 << 20


@contextmanager
def head_of(source: Any) -> Iterator[Path | None]:
    """A file that holds the first whole lines of a large text file; None for anything else."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is None or not path.is_file() or path.stat().st_size < LARGE:
        yield None
        return
    with path.open("rb") as stream:
        data = stream.read(HEAD_BYTES)
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if not end or b"\0" in data:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        head = Path(folder) / path.name
        head.write_bytes(data[:end])
        yield head
