"""The pages say what is so: every example comes out as printed, every part is named."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Command

from tensorize.core import registry

sys.path.insert(0, str(ROOT / "docs"))

from examples import PAGES, masked, printed, renewed
from make_reference import reference

HANDBOOK = "".join(path.read_text("utf-8") for path in [ROOT / "README.md", ROOT / "docs/reference.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_comes_out_as_the_page_shows(warm: Command, page: Path) -> None:
    def run(command: str, folder: str) -> str:
        program, *args = shlex.split(command)
        if program != "tensorize" or not {"|", ">"}.isdisjoint(args):
            return printed(command, folder)
        return warm(*args, cwd=folder, merged=True).stdout

    text = page.read_text("utf-8")
    assert masked(renewed(text, run)) == masked(text), "python docs/examples.py writes what comes out now"


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/reference.md").read_text("utf-8") == reference(), "python docs/make_reference.py renews it"


@pytest.mark.parametrize("group", registry.BUILT_IN)
def test_every_registered_part_is_named(group: str) -> None:
    missing = [name for name in registry.table(group) if registry.table(group)[name].distribution == "tensorize"]
    assert [name for name in missing if f"`{name}`" not in HANDBOOK] == []


def test_every_command_is_named(tensorize: Command) -> None:
    shown = tensorize("--help").stdout
    commands = re.findall(r"^[\s│]+([a-z][a-z-]*)  ", shown, re.MULTILINE)
    assert {"wine", "table", "apply", "inspect", "convert", "plugins"} <= set(commands)
    assert [name for name in commands if f"tensorize {name}" not in HANDBOOK] == []


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_page_asks_for_more_than_the_two_set_up_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "make demo" in readme
    assert "make test" in readme
