"""`tensorize inspect FILE`: what is in a prepared file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorize.core.errors import UsageError
from tensorize.core.units import size
from tensorize.sources.targets import check_targets
from tensorize.storage.layout import escape

from . import flags
from .show import json_safe, print_json, print_schema, print_tensors, say, stored_bytes, tensors_body
from .stdout import to_stdout
from .text import encodable

if TYPE_CHECKING:
    from tensorize.core.tensorset import TensorSet

File = Annotated[Path, typer.Argument(metavar="FILE", help="A prepared file, such as wine.h5.")]
OnlyRecipe = Annotated[bool, typer.Option("--recipe", help="Print the recipe as JSON, and nothing else.")]
RecipeOut = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FILE", help="With --recipe: write it to a file, with a digest that verify checks."),
]


@to_stdout(out=".json")
def command(
    file: File,
    *,
    recipe: OnlyRecipe = False,
    out: RecipeOut = None,
    force: flags.Force = False,
    format: flags.Format = None,
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Show what is in a prepared file: tensors, channels, and how they were made."""
    from tensorize.api import read

    del debug, max_header, timeout
    check_targets([out], file)
    if out is not None and not recipe:
        raise UsageError("-o writes the recipe", hint="say --recipe, too")
    with read(file, format) as tensors:
        if out is not None:
            tensors.recipe.save(out, force=force)
        elif recipe:
            print(encodable(json_safe(tensors.recipe.to_json(indent=2)), sys.stdout))
        elif as_json:
            print_json("inspect", _body(file, tensors))
        else:
            _print(file, tensors, verbose)


def _print(file: Path, tensors: TensorSet, verbose: bool) -> None:
    say(f"{file}   {tensors.kind}   {size(stored_bytes(file))}")
    if verbose:
        print_schema(tensors.recipe.schema)
    print_tensors(tensors.layout, {}, verbose=True)
    shown: set[tuple[str, tuple[str, ...]]] = set()
    for spec in tensors.layout.tensors:
        for axis, names in spec.labels.items():
            if (axis, names) not in shown:
                shown.add((axis, names))
                say(
                    f"  {axis}: {', '.join(map(escape, names if verbose else names[:24]))}"
                    + ("" if verbose or len(names) <= 24 else f", … {len(names)} in all")
                )
    for key, values in tensors.meta.items():
        say(f"  {key}: {len(values):,} texts, such as {values[0] if len(values) else ''}")
    options = tensors.recipe.options
    if options:
        say("  options: " + "  ".join(f"{name}={_option(value)}" for name, value in options.items()))
    learned = [f"{step.step} of {step.of}" for step in tensors.recipe.steps]
    if learned:
        say(
            "  learned: "
            + ", ".join(learned if verbose else learned[:12])
            + ("" if verbose or len(learned) <= 12 else f", … {len(learned)} in all")
        )


def _option(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _body(file: Path, tensors: TensorSet) -> dict[str, Any]:
    return {
        "file": {"path": str(file), "bytes": stored_bytes(file)},
        "kind": tensors.kind,
        "splits": list(tensors.splits),
        "tensors": tensors_body(tensors.layout.tensors, {}),
        "texts": {key: len(values) for key, values in tensors.meta.items()},
        "recipe": tensors.recipe.model_dump(mode="json", by_alias=True),
    }
