"""Follows the hints of messages: where a command fails and its last line is a command, that is run, in a copy of its folder.

Set TENSORIZE_HINTS to a file, and run any tests: each line of it is a hint that was followed, as JSON. `make test-hints` does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LARGEST = 50 << 20
"""A larger folder is not copied."""
HOPS = 3
"""How many hints in a row may lead to the end: each settles what the one before has brought to light."""


def last_line(said: str | None) -> str:
    """The command in which a message ends, or an empty string."""
    lines = (said or "").rstrip().splitlines()
    return lines[-1].strip() if lines and lines[-1].strip().startswith("tensorize ") else ""


def follow(line: str, folder: Path, env: Mapping[str, str] | None = None) -> tuple[bool, list[str]]:
    """Run a hint as a shell would, and those that it leads to: whether the last one works, and all that was said."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, "COLUMNS": "120", "PYTHONUTF8": "1", **(env or {}), "NO_COLOR": "1", "PATH": path}
    said = []
    for _ in range(HOPS):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=300,
            check=False,
        )
        said += [line, done.stderr]
        if done.returncode == 0:
            return True, said
        further = last_line(done.stderr)
        if not further or further == line:
            break
        line = further
    return False, said


def following(run: Callable[..., Any], folder: Path, file: str) -> Callable[..., Any]:
    """A runner of commands that follows the hints of those that fail, and notes in `file` how that went."""

    def watched(*args: object, **options: Any) -> Any:
        done = run(*args, **options)
        line = last_line(done.stderr) if isinstance(done.stderr, str) else ""
        if done.returncode == 1 and not line:
            noted(file, args, None, [str(done.stderr)])
        if done.returncode in (1, 2) and line and "input" not in options:
            at = Path(options.get("cwd") or folder)
            with tempfile.TemporaryDirectory() as made:
                copy = Path(made) / "copy"
                if sum(path.stat().st_size for path in at.rglob("*") if path.is_file()) < LARGEST:
                    shutil.copytree(at, copy, symlinks=True, ignore_dangling_symlinks=True)
                    works, said = follow(line.replace(str(at), str(copy)), copy, options.get("env"))
                    noted(file, args, works, said)
        return done

    return watched


def noted(file: str, call: Sequence[object], works: bool | None, said: Sequence[str]) -> None:
    """Note one failed call: whether its hint works, None if it ends in no command."""
    note = {"test": os.environ["PYTEST_CURRENT_TEST"], "call": [*map(str, call)], "works": works, "said": said}
    with Path(file).open("a") as notes:
        notes.write(json.dumps(note) + "\n")


def main(file: str) -> None:
    """Print how many hints were followed, and each that does not work; exit with 1 if there is one."""
    notes = [json.loads(line) for line in Path(file).read_text().splitlines()]
    followed = [note for note in notes if note["works"] is not None]
    broken = [note for note in followed if not note["works"]]
    for note in broken:
        print(note["test"], " ".join(note["call"]), *note["said"], sep="\n  ")
    without = len(notes) - len(followed)
    print(f"{len(followed)} hints followed, {len(broken)} do not work; {without} failures of data end in no command")
    sys.exit(bool(broken) or not followed)


if __name__ == "__main__":
    main(sys.argv[1])
