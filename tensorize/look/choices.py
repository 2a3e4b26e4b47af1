"""What is proposed for a source: options, each with its reason, and the command that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorize.core.errors import joined
from tensorize.core.options import as_list


@dataclass(frozen=True)
class Choice:
    """One option of a kind, and why it is chosen. The values of several choices of one option are put together."""

    option: str
    value: Any
    reason: str

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return joined(flags_of({self.option: self.value}))


def combined(given: Mapping[str, Any], choices: Iterable[Choice]) -> dict[str, Any]:
    """The options that were given, and those that were chosen: lists are put together, of single values the last one holds."""
    found: dict[str, Any] = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    for choice in choices:
        if isinstance(choice.value, list):
            held = list(as_list(found.get(choice.option)))
            found[choice.option] = held + [value for value in choice.value if value not in held]
        else:
            found[choice.option] = choice.value
    return {name: _joined(value) if name in JOINED else value for name, value in found.items()}


JOINED = ("drop", "onehot")
"""Options of several columns that are written as one flag, `--drop a,b`, where no name has a comma or a colon."""


def _joined(values: Any) -> Any:
    if (
        not isinstance(values, list)
        or len(values) < 2
        or any(set(",:") & set(value) or value != value.strip() for value in values)
    ):
        return values
    return [",".join(values)]


def flags_of(options: Mapping[str, Any]) -> list[str]:
    """Options as the arguments of a command."""
    found: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            found.append(flag)
        elif isinstance(value, list | tuple) and name != "split":
            found += [part for item in value for part in _pair(flag, str(item))]
        elif value is not None and value is not False:
            found += _pair(flag, ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
    return found


def _pair(flag: str, value: str) -> list[str]:
    """A flag and its value; one that looks like a flag itself stands behind `=`."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def command_of(kind: str, sources: Sequence[str], options: Mapping[str, Any], out: str, more: Sequence[str] = ()) -> list[str]:
    """The whole command, as the arguments of a shell."""
    flagged = [source for source in sources if source.startswith("-") and source != "-"]
    before, after = ([*sources], []) if not flagged else ([], ["--", *sources])
    return ["tensorize", kind, *before, *flags_of(options), *more, "-o", out, *after]
