"""The way out that a message names leads out: its command works, and every flag that any message names is one."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command
from follow import follow, last_line

from tensorize.core import registry

ROOT = Path(__file__).parent.parent.parent
OTHERS = {"--upgrade"}
"""Flags of other programs, in messages that name their commands."""


def texts() -> Iterator[tuple[str, str]]:
    """(file, text) of every string in the code that is no docstring, with `{}` in place of what is put in."""
    for path in sorted([*ROOT.glob("tensorize/**/*.py"), *ROOT.glob("cli/*.py")]):
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield path.name, node.value


def known_flags(tensorize: Command) -> set[str]:
    """The flags of all commands, as their help shows them."""
    top = tensorize("--help").stdout
    pages = [top, *(tensorize(name, "--help").stdout for name in re.findall(r"^[\s│]+([a-z][a-z-]*)  ", top, re.MULTILINE))]
    found = {flag for page in pages for flag in re.findall(r"--[a-z][a-z-]*", page)}
    for kind in registry.LOADERS:
        found |= {"--" + name.replace("_", "-") for name in registry.load("loaders", kind).Options.fields()}
    return found


def test_every_flag_that_a_message_names_is_one(warm: Command) -> None:
    known = known_flags(warm) | OTHERS
    named = {(file, flag) for file, text in texts() for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)}
    assert len(named) > 100
    assert sorted((file, flag) for file, flag in named if flag not in known) == []


@pytest.mark.long
def test_the_commands_of_refused_files_work(warm: Command, corpora: Path, tmp_path: Path) -> None:
    """Files that nobody here made: of each that `table` refuses, the command in the last line of the error works at once."""
    refused, without, broken = 0, [], []
    for path in sorted(corpora.rglob("*.csv")):
        out = tmp_path / "out.h5"
        done = warm("table", path, "-o", out, "--force")
        if done.returncode == 0:
            continue
        refused += 1
        last = last_line(done.stderr)
        if not last:
            without.append((path.name, done.stderr.splitlines()[0]))
            continue
        works, said = follow(last, tmp_path)
        if not works:
            broken.append((path.name, said))
    assert broken == []
    assert refused > 10
    assert len(without) <= 0.2 * refused, without


@pytest.mark.parametrize("name", ["Bank\xa0Name", "it's\u200b", "tab\there", "back\\slash\u202e", "größe"])
def test_names_with_characters_that_no_terminal_prints_can_be_pasted(tensorize: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "d.csv").write_text(
        f"{name},y\n" + "".join(f"{'' if at == 3 else at * 7 % 13 / 2},{at % 2}\n" for at in range(40))
    )
    done = tensorize("table", "d.csv", "-o", "d.h5")
    assert done.returncode == 1
    works, said = follow(last_line(done.stderr), tmp_path)
    assert works, said
    assert any(
        name in column["name"]
        for column in json.loads(tensorize("inspect", "d.h5", "--json").stdout)["recipe"]["schema"]["columns"]
    )
