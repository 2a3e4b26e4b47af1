"""The walls of the house: what may import what, and how large a file, a folder and a function may be.

Imports inside functions and under TYPE_CHECKING count.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

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
    "look",
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

STATE = {
    "tensorize.core.registry table": "the registry reads the entry points once",
    "tensorize.transforms.base made": "a module class needs torch, so it is made on first use instead of on import",
    "tensorize.sources.temporary _held": "a command ends without a word to Python, and removes its folders before",
    "tensorize.core.limits _HEADER": "a context variable: each context has its own value",
    "tensorize.core.limits _PIPE": "a context variable: each context has its own value",
    "tensorize.core.limits _TIMEOUT": "a context variable: each context has its own value",
}
"""The only objects of modules that change while the program runs, and why."""


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


def layer_of(layer: str) -> list[Module]:
    return [module for module in modules().values() if module.layer == layer]


def folders() -> set[str]:
    return {str(module.path.parent.relative_to(ROOT)) for module in modules().values()}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_module_imports_itself_through_others(layer: str) -> None:
    """Inside of one layer; a cycle through several goes upward somewhere."""
    inside = {module.name for module in layer_of(layer)}
    try:
        TopologicalSorter({name: graph()[name] & inside for name in inside}).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_folder_has_its_place_in_the_order() -> None:
    assert {module.layer for module in modules().values()} == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
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


def at_once(node: ast.AST, classes: bool = True) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: nothing in functions or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ClassDef) and not classes:
            continue
        yield child
        yield from at_once(child, classes)


def test_no_file_is_too_long() -> None:
    lines = {name: len(module.path.read_text("utf-8").splitlines()) for name, module in modules().items()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


@pytest.mark.parametrize("folder", sorted(folders() - CROWDED))
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


CONTAINERS = frozenset({"Counter", "OrderedDict", "bytearray", "defaultdict", "deque", "dict", "list", "set"})
CHANGING = frozenset({"ContextVar", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary", "count", "iter", "local"})
LIST_MUTATORS = frozenset({"append", "appendleft", "extend", "insert", "popleft", "remove", "reverse", "sort"})
MUTATORS = LIST_MUTATORS | {"add", "clear", "discard", "pop", "popitem", "setdefault", "update"}


def called(node: ast.AST | None) -> str:
    """The last name of what a call calls: `deque` of `collections.deque()`, or a decorator's own; else an empty string."""
    node = node.func if isinstance(node, ast.Call) else node
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def bound(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """The names that a module binds as it is imported, and to what."""
    for node in at_once(module.tree, classes=False):
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def containers(module: Module) -> set[str]:
    """Those names that stand for lists, dicts, sets and the like."""
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return {
        name
        for name, value in bound(module)
        if isinstance(value, displays) or (isinstance(value, ast.Call) and called(value) in CONTAINERS)
    }


def changed(module: Module) -> Iterator[str]:
    """The names whose value something in a module changes in place: `x[…] =`, `del x[…]`, `x |=`, `x.append(…)`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield called(node.value)
        elif isinstance(node, ast.AugAssign):
            yield called(node.target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            yield called(node.func.value)


def state(module: Module) -> Iterator[str]:
    """What changes in a module while the program runs: globals, containers that are written to, caches, counters."""
    imported = {name.rpartition(".")[2] for name in module.imports(ast.walk(module.tree)) if name not in modules()}
    shared = {name for other in graph()[module.name] for name in containers(modules()[other])} & imported
    yield from sorted((containers(module) | shared) & set(changed(module)))
    yield from (name for name, value in bound(module) if isinstance(value, ast.Call) and called(value) in CHANGING)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, ast.FunctionDef) and {"cache", "lru_cache"} & set(map(called, node.decorator_list)):
            yield node.name
        elif isinstance(node, ast.Call) and called(node) in ("cache", "lru_cache"):
            yield ast.unparse(node)


def test_modules_hold_no_state() -> None:
    assert {f"{name} {item}" for name, module in modules().items() for item in state(module)} == set(STATE)


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


@pytest.mark.parametrize("layer", LAYERS)
def test_no_transform_is_asked_what_it_is(layer: str) -> None:
    assert {module.name: list(asked(module)) for module in layer_of(layer) if list(asked(module))} == {}


def undocumented(module: Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring; what Python itself calls, and overloads, need none."""
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            methods = [part for part in inner if isinstance(part, ast.FunctionDef) and not part.name.startswith(("_", "test_"))]
            yield from (f"{module.name}.{part.name}" for part in (node, *methods) if not ast.get_docstring(part))


@pytest.mark.parametrize("layer", LAYERS)
def test_public_names_are_documented(layer: str) -> None:
    assert [name for module in layer_of(layer) for name in undocumented(module)] == []


def test_a_public_class_has_a_name_of_its_own() -> None:
    where: dict[str, list[str]] = {}
    for name, module in modules().items():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(name)
    assert {name: found for name, found in where.items() if len(found) > 1} == {}
