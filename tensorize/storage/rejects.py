"""The file that lists what a run left out: it appears whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorize.core.rejects import Rejects, TooManyBadError
from tensorize.storage.partfile import PartFile


@contextmanager
def collecting(skip: bool, limit: str, path: Path | None, *, force: bool = False) -> Iterator[Rejects]:
    """Give the collector of a run; its file appears when the run succeeds, or fails for nothing but too many bad items.

    Raises UsageError where the file exists, unless `force`.
    """
    part = PartFile(path, force=force) if path is not None else None
    rejects = Rejects(skip, limit, part)
    try:
        try:
            yield rejects
        except TooManyBadError:
            _appear(rejects, part)
            raise
        _appear(rejects, part)
    finally:
        if part is not None:
            part.abort()


def _appear(rejects: Rejects, part: PartFile | None) -> None:
    if part is not None:
        rejects.flush()
        part.commit()
