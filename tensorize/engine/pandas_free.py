"""Keep pyarrow from importing pandas in our own process: that is half of the time of a short command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType

from tensorize.core import registry


def no_plugins() -> bool:
    """Whether every part that can run in a loader's command is of this distribution."""
    groups = ("loaders", "readers", "transforms", "exporters", "engines")
    return all(entry.distribution == "tensorize" for group in groups for entry in registry.table(group).values())


def refuse_pandas() -> None:
    """Import pandas in this process only for code that names it."""
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder):
    """Pyarrow imports pandas for the first value that it is given, to see whether it is one of pandas'.

    That takes longer than many a file. Here no value is; where there is no pandas, pyarrow does without. Code that itself
    asks for pandas gets it, and pyarrow is told.
    """

    def __init__(self) -> None:
        self._refused = False

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name != "pandas":
            return None
        if not _is_named():
            self._refused = True
            raise ModuleNotFoundError("pandas is not needed here", name=name)
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name)
        if self._refused and spec is not None and spec.loader is not None:
            spec.loader.exec_module = partial(_execute, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


def _is_named() -> bool:
    """Whether the Python code that an import comes from names pandas; what pyarrow imports, its caller does not name."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename == "<frozen importlib._bootstrap>":
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") == "importlib":
        return True
    return any(name in ("pandas", "to_pandas") or name.startswith("pandas.") for name in frame.f_code.co_names)


def _execute(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Execute pandas, and have pyarrow look for it again, so that it knows a Series from a list."""
    run(module)
    _ = sys.modules["pyarrow.lib"]._pandas_api.pd
