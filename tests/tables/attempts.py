"""Commands in this process: what they answer, and the command that a message proposes."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tensorize_cli.main import main


@dataclass(frozen=True)
class Answer:
    """What a command leaves behind: its exit code and what it prints."""

    code: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """The first line of the error, empty where there is none."""
        if not self.code:
            return ""
        if self.out.startswith("{"):
            return str(json.loads(self.out)["error"]["what"])
        lines = [line for line in self.err.splitlines() if line.strip()]
        return next((line for line in lines if line.startswith("error")), (lines or ["nothing is said"])[0]).removeprefix(
            "error: "
        )


def run(args: Sequence[str]) -> Answer:
    """What `tensorize ARGS` answers."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*args])
        except SystemExit as end:
            code = int(end.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def proposed(err: str) -> list[str]:
    """The arguments of the command in the last line of an error, none if it is not a command.

    >>> proposed("error: 3 values are missing\\n  tensorize table 'a b.csv' --missing mode -o d.h5\\n")
    ['table', 'a b.csv', '--missing', 'mode', '-o', 'd.h5']
    """
    last = next((line.strip() for line in reversed(err.splitlines()) if line.strip()), "")
    return shlex.split(last)[1:] if last.startswith("tensorize ") else []


def to(args: Sequence[str], out: str) -> list[str]:
    """The arguments with another output.

    >>> to(["table", "d.csv", "-o", "d.h5"], "e.h5")
    ['table', 'd.csv', '-o', 'e.h5', '--force']
    """
    kept = list(args)
    for flag in ("-o", "--out"):
        if flag in kept:
            del kept[kept.index(flag) : kept.index(flag) + 2]
    return [*(arg for arg in kept if arg != "--force"), "-o", out, "--force"]
