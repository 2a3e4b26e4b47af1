"""The way out of an error as one command: everything that one look finds is settled at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tensorize import pipeline
from tensorize.core.contracts import Facts
from tensorize.core.errors import DataError, TensorizeError
from tensorize.look.choices import Choice
from tensorize.look.doors import HELD, Sign, other_door, shown_names
from tensorize.look.front import suggest
from tensorize.look.looks import LOOKS
from tensorize.look.opened import fixes
from tensorize.look.suggestion import Suggestion, attempt
from tensorize.readers.open import is_path
from tensorize.sources.databases import is_database
from tensorize.sources.files import STDIN, resolve

LOOKED_BYTES = 256 << 20
"""A larger source is not read again for the sake of a message."""


def with_command(
    error: DataError, kind: str, source: Any, given: Mapping[str, Any], *, out: str, more: Sequence[str] = ()
) -> DataError:
    """The error with a command that works, and with what else stands in its way; the error itself where there is none.

    `given` are the options of the failed call, `more` further flags of it that the command keeps.
    """
    with suppress(TensorizeError):
        if (other := _of_other_kind(kind, source, out, doubtful=not error.fix or kind == "images")) is not None:
            return other
    try:
        found = _found(error, kind, source, given)
    except TensorizeError:
        return error
    if found is None or not found.choices:
        return error
    others = [f"{choice.flag}   {choice.reason}" for choice in found.choices]
    error.hint = "\n".join([error.hint, "or settle all that was found:", *(f"  {line}" for line in others)])
    error.command = replace(found, out=out, more=tuple(more)).command
    return error


def folder_of_other_kind(kind: str, source: Any) -> DataError | None:
    """The error for a folder that holds something else; None for anything else."""
    if not isinstance(source, str) or not os.path.isdir(source):
        return None
    with suppress(TensorizeError):
        return _of_other_kind(kind, source, "")
    return None


def _of_other_kind(kind: str, source: Any, out: str, *, doubtful: bool = True) -> DataError | None:
    """The error for a source of another kind: what it is, and the command that reads it.

    Raw data are looked at where it is `doubtful` that they are of this kind; what tensorize wrote is never raw data.
    """
    door = other_door(kind, source)
    name = shown_names(source)
    if isinstance(door, Sign):
        return door.error(name)
    if door is None or not doubtful:
        return None
    if _is_large(door, source):
        return None
    made = suggest(source, out=out or None)
    holds, asked = (HELD.get(each, HELD["table"]) for each in (made.kind, kind))
    if holds == asked:
        return None
    found = DataError(f"{name} holds {holds}, not {asked}")
    found.command = made.command
    return found


def _is_large(kind: str, source: Any) -> bool:
    """Whether looking at a source again would take long."""
    if kind == "images" or is_database(source):
        return False
    return sum(file.size for file in resolve(source)) > LOOKED_BYTES


def _found(error: DataError, kind: str, source: Any, given: Mapping[str, Any]) -> Suggestion | None:
    """What settles the error and all others; None for a source that cannot be looked at again."""
    if not is_path(source) or STDIN in (source if isinstance(source, list | tuple) else [source]):
        return None
    run = pipeline.make_run()
    look = LOOKS.get(kind)
    if look is not None and _is_large(kind, source):
        return None
    made = look(source, given, run, True) if look is not None else _from(error, kind, source, given)
    return attempt(made, run, pipeline.Output(dry_run=True))[0] if made is not None else None


def _from(error: DataError, kind: str, source: Any, given: Mapping[str, Any]) -> Suggestion | None:
    """What the error itself says, for a kind that has no look of its own."""
    choices: list[Choice] = fixes(error, given)
    return Suggestion(kind, source, Facts(""), tuple(choices), given) if choices else None
