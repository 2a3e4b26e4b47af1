"""What is proposed for a source, and how it is tried."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorize import pipeline
from tensorize.core.contracts import Facts
from tensorize.core.errors import DataError, joined
from tensorize.look.choices import Choice, combined, command_of
from tensorize.look.opened import fixes
from tensorize.look.picture import Picture
from tensorize.sources.addresses import shown_source

MOST_FIXES = 12


@dataclass(frozen=True)
class Suggestion:
    """What a source is, what is in it, and how to prepare it: `tensorize.prepare(s.kind, s.source, **s.options)`."""

    kind: str
    source: Any
    facts: Facts
    choices: tuple[Choice, ...]
    given: Mapping[str, Any]
    """Options that were settled before."""
    pictures: tuple[Picture, ...] = ()
    """One for each column."""
    notes: tuple[str, ...] = field(default=())
    """What else one should know."""
    out: str = "out.h5"
    more: tuple[str, ...] = ()
    """Further flags of the command."""
    tried: bool = False
    """Whether it is known to work."""

    @property
    def options(self) -> dict[str, Any]:
        """Those that were given, and those that were chosen."""
        return combined(self.given, self.choices)

    @property
    def argv(self) -> list[str]:
        """The command as its arguments."""
        sources = self.source if isinstance(self.source, list | tuple) else [self.source]
        names = [os.fspath(shown_source(part)) if isinstance(part, str | os.PathLike) else "DATA" for part in sources]
        return command_of(self.kind, names, self.options, self.out, self.more)

    @property
    def command(self) -> str:
        """The command as a line for a shell."""
        return joined(self.argv)


def settled(made: Suggestion, run: pipeline.RunOptions) -> Suggestion:
    """The suggestion, tried: what a dry run refuses is settled, too. Raises TensorizeError for what cannot be settled."""
    return made if made.tried else attempt(made, run, pipeline.Output(dry_run=True))[0]


def attempt(made: Suggestion, run: pipeline.RunOptions, output: pipeline.Output) -> tuple[Suggestion, pipeline.Result]:
    """Prepare as it is suggested; what is refused on the way is settled as the error says, and becomes a choice.

    Returns the suggestion that worked, and the result.
    """
    for turn in range(MOST_FIXES):
        try:
            result = pipeline.prepare(made.kind, made.source, dict(made.options), run, output)
            return replace(made, facts=result.facts, tried=True), result
        except DataError as error:
            more = fixes(error, made.options)
            if not more or turn == MOST_FIXES - 1:
                raise
            made = replace(made, choices=(*_still(made.choices, more), *more))
    raise AssertionError


def _still(choices: Sequence[Choice], more: Sequence[Choice]) -> list[Choice]:
    """The choices that stand beside newer ones: of a column that is dropped nothing else is made."""
    dropped = [[name] for choice in more if choice.option == "drop" for name in choice.value]
    return [choice for choice in choices if choice.value not in dropped]
