"""Predictions to a file, whole or not at all, or to a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from tensorize.core.errors import UsageError, near
from tensorize.storage.partfile import PartFile
from tensorize.train.predict import Predictions

WRITERS: Mapping[str, Callable[[Any, pa.Schema], Any]] = {".csv": pc.CSVWriter, ".parquet": pq.ParquetWriter}


def check_suffix(path: Path) -> str:
    """The suffix, if predictions can be written under it. Raises UsageError where not."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(
            f'predictions cannot be written as "{suffix}"{near(suffix, WRITERS)}', hint="suffixes: .csv, .parquet, or -"
        )
    return suffix


def write_file(made: Predictions, path: Path, *, force: bool = False) -> int:
    """Write a .csv or .parquet file; the number of rows. Raises UsageError where it exists, unless `force`."""
    suffix, part = check_suffix(path), PartFile(path, force=force)
    try:
        with os.fdopen(os.dup(part.fd), "wb") as file:
            rows = write_stream(made, file, suffix)
        part.commit()
    except OSError as error:
        raise part.told(error) from error
    finally:
        part.abort()
    return rows


def write_stream(made: Predictions, stream: BinaryIO, suffix: str) -> int:
    """Write everything to an open stream; the number of rows."""
    rows = 0
    with WRITERS[suffix](stream, made.schema) as writer:
        for table in made.tables:
            writer.write_batch(table)
            rows += table.num_rows
    return rows
