"""Write docs/reference.md from the registry and the options' models: python docs/make_reference.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo
from tensorize_cli.group import COMMANDS

from tensorize.core import registry
from tensorize.core.options import OWN

HEAD = """# Reference

Made by `python docs/make_reference.py` from the registry and the options themselves; `tensorize KIND --help` shows the
same. A list of columns may be given once with commas or by repeating the flag. In Python every option is a keyword of
`tensorize.prepare`, with `_` for `-`.
"""
TITLES = {
    "loaders": "Kinds of raw data",
    "readers": "Readers",
    "transforms": "Transforms: steps of `--step NAME:COLS`",
    "exporters": "Formats",
    "models": "Models",
    "engines": "Engines",
}


def reference() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_tables(), *_commands(), *_options()]) + "\n"


def _tables() -> Iterator[str]:
    for group, parts in registry.BUILT_IN.items():
        yield f"## {TITLES[group]}\n"
        yield "| name | what it is |\n|---|---|"
        yield from (f"| `{name}` | {_cell(summary)} |" for name, (_, summary) in parts.items())
        yield ""


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    yield "Besides one for each kind of raw data. `--help` has their options.\n"
    yield "| command | |\n|---|---|"
    yield from (f"| `tensorize {name}` | {_cell(summary)} |" for name, summary in COMMANDS.items())
    yield ""


def _options() -> Iterator[str]:
    for name in registry.LOADERS:
        yield f"## Options of `{name}`\n"
        for panel, fields in registry.load("loaders", name).Options.panels().items():
            yield f"| {'option' if panel == OWN else panel} | default | |\n|---|---|---|"
            yield from (_option(field_name, field) for field_name, field in fields.items())
            yield ""


def _option(name: str, field: FieldInfo) -> str:
    """One row: `--flag`, its default, its help."""
    default = field.get_default(call_default_factory=True)
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    plain = "" if default in (None, ()) else f"`{shown}`"
    return f"| `--{name.replace('_', '-')}` | {plain} | {_cell(field.description or '')} |"


def _cell(text: str) -> str:
    """Text that cannot break a table."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    Path(__file__).with_name("reference.md").write_text(reference(), "utf-8")
