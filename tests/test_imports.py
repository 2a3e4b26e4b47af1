"""The walls of the house: what may import what, and how large a file, a folder and a function may be.

Imports inside functions and under TYPE_CHECKING count. What does not hold yet is listed as an expected failure; one that
holds by now fails until it is taken off the list.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from tensorize.core import registry

ROOT = Path(__file__).parent.parent

LAYERS = (
    "core",
    "sources",
    "storage",
    "engine",
    "statistics",
    "transforms",
    "columns",
    "readers",
    "loaders",
    "exporters",
    "pipeline",
    "api",
    "tensorize",
    "train",
    "testing",
    "cli",
    "__main__",
)
"""The folders and modules of `tensorize`, and `cli`: each may import from itself and from those before it."""

NO_TORCH = ("core.recipe", "sources", "storage", "engine", "statistics", "columns", "readers")
MAX_LINES, MAX_FILES, MAX_FUNCTION = 450, 15, 60
CROWDED = frozenset({"cli", "tensorize/transforms"})
"""Folders that may hold more files: one for each part."""

KNOWN: Mapping[str, frozenset[str]] = {
    "cycle": frozenset(),
    "upward": frozenset(),
    "files": frozenset(),
    "isinstance": frozenset(),
    "docstrings": frozenset(
        {
            "exporters",
            "loaders",
            "readers",
            "storage",
            "train",
        }
    ),
}


@dataclass(frozen=True)
class Module:
    """One source file: `name` is dotted, as it is imported."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text("utf-8"))

    @property
    def layer(self) -> str:
        first, _, rest = self.name.partition(".")
        return "cli" if first == "tensorize_cli" else rest.partition(".")[0] or "tensorize"

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imports(self, nodes: Iterable[ast.AST]) -> Iterator[str]:
        """The dotted names that import statements among `nodes` ask for: modules, or names in modules."""
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted([*ROOT.glob("tensorize/**/*.py"), *ROOT.glob("cli/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = ("tensorize_cli", *parts[1:]) if parts[0] == "cli" else parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def resolved(names: Iterable[str]) -> set[str]:
    """Those of our modules that `a.b.c` stands for: itself, or `a.b` where `c` is a name in it."""
    candidates = (part for name in names for part in (name, name.rpartition(".")[0]))
    both = [name for name in candidates if name in modules()]
    inner = {name.rpartition(".")[0] for name in names if name in modules()}
    return set(both) - (inner - set(names))


@cache
def graph() -> dict[str, set[str]]:
    """Module → the modules of ours that it imports anywhere."""
    return {name: resolved(list(module.imports(ast.walk(module.tree)))) - {name} for name, module in modules().items()}


def cases(known: str, items: Iterable[str]) -> list[Any]:
    """The items as parameters; those that are known not to hold are expected to fail, strictly."""
    mark = pytest.mark.xfail(strict=True, reason="known, and to be mended")
    return [pytest.param(item, marks=mark) if item in KNOWN[known] else pytest.param(item) for item in sorted(set(items))]


def layer_of(layer: str) -> list[Module]:
    return [module for module in modules().values() if module.layer == layer]


def folders() -> set[str]:
    return {str(module.path.parent.relative_to(ROOT)) for module in modules().values()}


@pytest.mark.parametrize("layer", cases("cycle", LAYERS))
def test_no_module_imports_itself_through_others(layer: str) -> None:
    """Inside of one layer; a cycle through several goes upward somewhere."""
    inside = {module.name for module in layer_of(layer)}
    try:
        TopologicalSorter({name: graph()[name] & inside for name in inside}).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_folder_has_its_place_in_the_order() -> None:
    assert {module.layer for module in modules().values()} == set(LAYERS)


@pytest.mark.parametrize("layer", cases("upward", LAYERS))
def test_nothing_is_imported_from_above(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    found = [(module.name, other) for module in layer_of(layer) for other in graph()[module.name]]
    assert [f"{name} imports {other}" for name, other in found if modules()[other].layer in above] == []


@pytest.mark.parametrize("part", NO_TORCH)
def test_torch_is_not_imported_before_it_is_used(part: str) -> None:
    todo = [name for name in modules() if f"{name}.".startswith(f"tensorize.{part}.")]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in modules() and name not in seen:
            seen.add(name)
            wanted = list(modules()[name].imports(at_once(modules()[name].tree)))
            assert not [other for other in wanted if other.partition(".")[0] == "torch"], name
            todo += resolved(wanted)
            todo.append(name.rpartition(".")[0])


def at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: nothing in functions or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from at_once(child)


def test_no_file_is_too_long() -> None:
    lines = {name: len(module.path.read_text("utf-8").splitlines()) for name, module in modules().items()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


@pytest.mark.parametrize("folder", cases("files", folders() - CROWDED))
def test_no_folder_holds_too_many_files(folder: str) -> None:
    assert len([path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]) <= MAX_FILES


@cache
def function_lines() -> dict[str, int]:
    """Function → its lines, with its docstring, its signature and its decorators."""
    return {
        f"{name}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, module in modules().items()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_functions_are_short() -> None:
    lines = sorted(function_lines().values())
    assert statistics.median(lines) <= 6
    assert lines[len(lines) * 9 // 10] <= 20
    assert {name: count for name, count in function_lines().items() if count > MAX_FUNCTION} == {}


def test_nothing_is_kept_in_globals() -> None:
    wrong = [name for name, module in modules().items() for node in ast.walk(module.tree) if isinstance(node, ast.Global)]
    assert not wrong


def step_classes() -> dict[str, str]:
    """Class of a step → the module that it lives in."""
    found = {where.partition(":")[2]: where.partition(":")[0] for where, _ in registry.TRANSFORMS.values()}
    return found | {"Former": "tensorize.transforms.former"}


def asked(module: Module) -> Iterator[str]:
    """The classes of steps that a module asks `isinstance` of, where it is not their own."""
    classes = step_classes()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            names = [part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)]
            yield from (name for name in names if classes.get(name, module.name) != module.name)


@pytest.mark.parametrize("layer", cases("isinstance", LAYERS))
def test_no_transform_is_asked_what_it_is(layer: str) -> None:
    assert {module.name: list(asked(module)) for module in layer_of(layer) if list(asked(module))} == {}


def undocumented(module: Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring; what Python itself calls, and overloads, need none."""
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            methods = [part for part in inner if isinstance(part, ast.FunctionDef) and not part.name.startswith(("_", "test_"))]
            yield from (f"{module.name}.{part.name}" for part in (node, *methods) if not ast.get_docstring(part))


@pytest.mark.parametrize("layer", cases("docstrings", LAYERS))
def test_public_names_are_documented(layer: str) -> None:
    assert [name for module in layer_of(layer) for name in undocumented(module)] == []


@pytest.mark.parametrize("known", KNOWN)
def test_what_is_known_is_still_there(known: str) -> None:
    assert KNOWN[known] <= folders() | set(LAYERS)
