"""`suggest`: look at a source, and propose the command that prepares it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tensorize import pipeline
from tensorize.core.errors import DataError, TensorizeError, UsageError, near
from tensorize.look.doors import made_by_us, shown_names
from tensorize.look.kinds import kind_of, may_be_text
from tensorize.look.looks import LOOKS, look_at_rows
from tensorize.look.suggestion import Suggestion, settled
from tensorize.readers.open import is_path
from tensorize.sources.addresses import shown_source
from tensorize.sources.files import STDIN, resolve
from tensorize.sources.targets import default_out

STDIN_NAME = "stdin"


def suggest(
    source: Any,
    *,
    kind: str | None = None,
    target: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    check: bool = True,
    run: pipeline.RunOptions | None = None,
    **options: Any,
) -> Suggestion:
    """Look at a source, and propose how to prepare it.

    source: as for `prepare`.
    kind: `table`, `series`, `text` or `images`, if it is not to be found out.
    target: the column or columns to be predicted.
    out: the file of the proposed command.
    check: try the command on the source, without writing, so that it is known to work.
    options: options of the kind that are settled already; nothing about the columns they name is proposed.

    Raises DataError for a source of which no tensors can be made, UsageError for one that is not there.

    >>> found = suggest({"area": [1.0, 2.0, None], "city": ["a", "b", "a"], "empty": [None, None, None]})
    >>> found.kind, found.options
    ('table', {'drop': ['empty'], 'missing': ['median'], 'indicator': True})
    """
    _check_kind(kind)
    if is_path(source) and (sign := made_by_us(source[0] if isinstance(source, list | tuple) else source)) is not None:
        raise sign.error(shown_names(source))
    run = run or pipeline.make_run()
    given = {**options, **({"target": [target] if isinstance(target, str) else list(target)} if target else {})}
    with readable(source) as kept:
        found, raw = kind_of(kept)
        made = look(kind, found, raw, given, run)
        made = settled(made, run) if check else made
    return named(made, source, out)


def look(kind: str | None, found: str, source: Any, given: Mapping[str, Any], run: pipeline.RunOptions) -> Suggestion:
    """Look at a source as the kind that was named, else as the one that was found.

    A table whose rows follow each other in steady steps of time is a series, and prose that is no table a text.
    """
    if kind is not None or found != "table":
        return LOOKS[kind or found](source, given, run)
    try:
        return look_at_rows(source, given, run)
    except DataError as error:
        if not is_path(source) or not may_be_text(source):
            raise
        try:
            return settled(LOOKS["text"](source, given, run), run)
        except TensorizeError:
            raise error from None


@contextmanager
def readable(source: Any) -> Iterator[Any]:
    """The source as something that can be read more than once: standard input and a pipe are kept in a file."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is None or not (os.fspath(path) == STDIN or path.is_fifo()):
        yield source
        return
    (file,) = resolve(source)
    with tempfile.TemporaryDirectory() as folder, file.open() as stream:
        kept = Path(folder) / STDIN_NAME
        with kept.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        yield kept


def named(made: Suggestion, source: Any, out: str | Path | None) -> Suggestion:
    """The suggestion under the names that the user knows."""
    if isinstance(made.source, Path) and made.source.name == STDIN_NAME:
        made = replace(made, source=source, facts=replace(made.facts, source=f"<{STDIN_NAME}>"))
    return replace(made, out=os.fspath(shown_source(out) if out is not None else _default_out(made.source)))


def _check_kind(kind: str | None) -> None:
    if kind is not None and kind not in LOOKS:
        raise UsageError(f'there is no kind "{kind}" to look for{near(kind, LOOKS)}', hint="kinds: " + ", ".join(LOOKS))


def _default_out(source: Any) -> Path:
    """Where the result goes if nothing is said."""
    return default_out(source if isinstance(source, list | tuple) else [source]) if is_path(source) else Path("out.h5")
