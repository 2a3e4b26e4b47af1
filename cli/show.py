"""Print results and errors: words for people, one JSON object for programs.

What comes out of files (names, cells, paths) is escaped before it meets a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize.core import registry
from tensorize.core.contracts import Facts, Layout, TensorSpec
from tensorize.core.errors import TensorizeError, TensorizeWarning, joined, some
from tensorize.core.units import seconds, size
from tensorize.sources.addresses import with_addresses

from .stdout import is_stdout, with_dash

if TYPE_CHECKING:
    from tensorize.core.rejects import Rejects
    from tensorize.core.schema import Schema
    from tensorize.pipeline import Result

JSON_VERSION = 1


def safe(text: str) -> str:
    r"""Text in one line, without anything that a terminal would obey: line ends and control characters become escapes.

    >>> print(safe("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else _written(char) for char in text)


def _written(char: str) -> str:
    r"""A character as Python writes it: `\x1b`, `\n`, `\u202e`."""
    return char.encode("unicode_escape", "surrogatepass").decode()


def say(line: str = "") -> None:
    """Print one line of the result."""
    print(with_dash(safe(line)))


def json_safe(text: str) -> str:
    """JSON in which what a terminal would obey is written as an escape; it says the same."""
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _json(body: Mapping[str, Any]) -> str:
    return json_safe(with_addresses(json.dumps({"tensorize_json": JSON_VERSION, **body})))


def print_traceback(error: Exception) -> None:
    """Where an error was raised, and what it says, on stderr."""
    print("Traceback (most recent call last):", "".join(traceback.format_tb(error.__traceback__)), sep="\n", file=sys.stderr)
    lines = error.lines if isinstance(error, TensorizeError) else [str(error)]
    print(f"{type(error).__name__}: " + with_dash("\n".join(map(safe, lines))), file=sys.stderr)


def print_json(command: str, body: Mapping[str, Any]) -> None:
    """Print one object, with the version of its schema (see docs/json.md)."""
    print(_json({"command": command, **body}))


def print_error(error: TensorizeError, as_json: bool, code: int) -> None:
    """Print what is wrong, where, and the way out: on stderr, or as JSON on stdout."""
    if as_json:
        body = {
            "what": error.what,
            "details": list(error.details),
            "hint": error.hint,
            "command": error.command,
            "exit_code": code,
        }
        print(_json({"error": body}))
        return
    print(f"{_red('error')}: " + with_dash("\n".join(map(safe, error.lines))), file=sys.stderr)


@contextmanager
def noting() -> Iterator[None]:
    """Print each different warning of ours as one note on stderr, instead of as Python does."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", TensorizeWarning)
        show, told = warnings.showwarning, set[str]()

        def note(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, TensorizeWarning):
                show(message, category, *place, **more)
            elif str(message) not in told:
                told.add(str(message))
                print(f"note: {with_dash(safe(str(message)))}", file=sys.stderr)

        warnings.showwarning = note
        yield


def _colours() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _red(word: str) -> str:
    return f"\x1b[31m{word}\x1b[0m" if _colours() else word


def print_result(command: str, result: Result, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """The summary of a run."""
    if as_json:
        print_json(command, result_body(result))
        return
    if quiet:
        return
    facts = result.facts
    say("   ".join(part for part in (facts.source, facts.shape, *facts.notes, size(facts.size)) if part))
    if verbose or result.output.dry_run:
        print_schema(result.schema)
    print_tensors(result.layout, result.made, verbose=verbose or result.output.dry_run)
    for note in result.notes:
        say(f"  note: {note}")
    print_rejects(result.rejects)
    _print_output(result)


def print_rejects(rejects: Rejects) -> None:
    """What was left out: how much, of which kinds, and the first few unless a file lists them all."""
    if not rejects.count:
        return
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in rejects.kinds.most_common())
    say(f"  skipped: {rejects.said()} bad: {kinds}" + (f"; see {rejects.path}" if rejects.path else ""))
    for line in [] if rejects.path else some([str(reject) for reject in rejects.first], rejects.count):
        say(f"    {line}")


def _print_output(result: Result) -> None:
    path = result.output.path
    if path is None:
        return
    if result.output.dry_run:
        say(f"{path}   {size(result.layout.nbytes)}   would be written (dry run)")
        return
    say(f"{path}   {size(stored_bytes(path))}   {seconds(result.seconds)}")
    if is_stdout(path):
        return
    reads = getattr(registry.exporter_for(path, result.output.format), "reads", True)
    say(f"next: tensorize {joined(('inspect' if reads else 'verify', str(path)))}")
    for source, _ in result.facts.unlabelled if reads else ():
        new = path.with_stem(f"{path.stem}-{os.path.basename(os.path.normpath(source))}")
        say(f"      tensorize apply {joined((str(path), source, '-o', str(new)))}")


def print_schema(schema: Schema) -> None:
    """The columns as inferred."""
    if not schema.columns:
        return
    width = max(len(column.name) for column in schema.columns)
    say("schema")
    for column in schema.columns:
        say(f"  {column.name:<{width}}  {column.kind:<8}  {column.storage}")
    say("tensors")


def print_tensors(layout: Layout, made: Mapping[str, str], *, verbose: bool) -> None:
    """One line for each tensor, its splits side by side."""
    rows = [_tensor_row(specs, made, verbose) for specs in by_name(layout).values() if verbose or specs[0].role != "meta"]
    widths = [max(len(row[index]) for row in rows) for index in range(4)] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say(("  " + "  ".join([*cells, row[4]])).rstrip())


def by_name(layout: Layout) -> dict[str, list[TensorSpec]]:
    """Tensor name → its specs, one for each split."""
    found: dict[str, list[TensorSpec]] = {}
    for spec in layout.tensors:
        found.setdefault(spec.name, []).append(spec)
    return found


def _tensor_row(specs: Sequence[TensorSpec], made: Mapping[str, str], verbose: bool) -> tuple[str, str, str, str, str]:
    first = specs[0]
    shapes = "   ".join(f"{spec.split} {shape(spec)}" if spec.split else shape(spec) for spec in specs)
    if verbose:
        shapes += f"   {size(sum(spec.nbytes for spec in specs))}"
    return first.name, first.dtype, f"({', '.join(first.axes)})", shapes, made.get(first.name, "")


def shape(spec: TensorSpec) -> str:
    """`3918×11`."""
    return "×".join(map(str, spec.shape))


def result_body(result: Result) -> dict[str, Any]:
    """A run as JSON."""
    facts, output = result.facts, result.output
    return {
        "source": source_body(facts),
        "schema": [column.model_dump() for column in result.schema.columns],
        "tensors": tensors_body(result.layout.tensors, result.made),
        "notes": list(result.notes),
        "rejects": rejects_body(result.rejects),
        "output": None
        if output.path is None
        else {"path": str(output.path), "bytes": _bytes(result), "dry_run": output.dry_run},
        "seconds": round(result.seconds, 3),
    }


def source_body(facts: Facts) -> dict[str, Any]:
    """What is known of a source as JSON."""
    return {
        "name": facts.source,
        "files": facts.files,
        "bytes": facts.size,
        "shape": facts.shape,
        "notes": list(facts.notes),
    }


def rejects_body(rejects: Rejects) -> dict[str, Any] | None:
    """What was left out as JSON; None if nothing bad may be left out."""
    if not rejects.skip:
        return None
    return {
        "count": rejects.count,
        "seen": rejects.seen,
        "max_bad": rejects.limit,
        "kinds": dict(rejects.kinds),
        "first": [json.loads(reject.to_json()) for reject in rejects.first],
        "path": None if rejects.path is None else str(rejects.path),
    }


def _bytes(result: Result) -> int:
    path = result.output.path
    return result.layout.nbytes if result.output.dry_run or path is None else stored_bytes(path)


def stored_bytes(path: Path) -> int:
    """The size of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def tensors_body(specs: Iterable[TensorSpec], made: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tensors as JSON."""
    return [
        {
            "key": spec.key,
            "name": spec.name,
            "split": spec.split,
            "role": spec.role,
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "axes": list(spec.axes),
            "labels": {axis: list(names) for axis, names in spec.labels.items()},
            "bytes": spec.nbytes,
            "made": made.get(spec.name, ""),
        }
        for spec in specs
    ]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Lines of cells, each column as wide as its widest; the first column to the left, numbers to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        say("  " + "  ".join([first.ljust(widths[0]), *cells]).rstrip())


def number(value: float | None) -> str:
    """Four digits, or nothing where there is no number."""
    return "" if value is None else f"{value:.4g}"
