"""The way out of an error as one command: everything that one look finds is settled at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tensorize import pipeline
from tensorize.core.contracts import Facts
from tensorize.core.errors import DataError, TensorizeError
from tensorize.look.choices import Choice
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


def _found(error: DataError, kind: str, source: Any, given: Mapping[str, Any]) -> Suggestion | None:
    """What settles the error and all others; None for a source that cannot be looked at again."""
    if not is_path(source) or STDIN in (source if isinstance(source, list | tuple) else [source]):
        return None
    run = pipeline.make_run()
    look = LOOKS.get(kind)
    if (
        look is not None
        and kind != "images"
        and not is_database(source)
        and sum(file.size for file in resolve(source)) > LOOKED_BYTES
    ):
        return None
    made = look(source, given, run, True) if look is not None else _from(error, kind, source, given)
    return attempt(made, run, pipeline.Output(dry_run=True))[0] if made is not None else None


def _from(error: DataError, kind: str, source: Any, given: Mapping[str, Any]) -> Suggestion | None:
    """What the error itself says, for a kind that has no look of its own."""
    choices: list[Choice] = fixes(error, given)
    return Suggestion(kind, source, Facts(""), tuple(choices), given) if choices else None
