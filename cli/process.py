"""What the command may do because the process is its own, and a library must leave alone."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType
from typing import NoReturn

from tensorize.core import registry
from tensorize.engine.allocator import keep_freed


def take_over(given: Sequence[str]) -> None:
    """Settle the process for a command: memory that is freed is kept, and pandas is imported by nobody who does not need it.

    NumPy's threads for algebra, which nothing here uses, would take turns with ours as they wait for work. Modules make
    hundreds of thousands of objects that stay: to look through them for garbage is a tenth of a short command. Arrow's
    blocks are of some MB: in huge pages they take a tenth more memory, which a virtual machine is slow to give.
    """
    keep_freed()
    gc.set_threshold(50_000)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _is_ours(given):
        os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
        sys.meta_path.insert(0, _NoPandas())


def leave(code: int) -> NoReturn:
    """End the process at once: memory goes back with it, and is not taken apart object by object before."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _is_ours(given: Sequence[str]) -> bool:
    """Whether the command reads raw data, and no part of anyone else can run in it."""
    command = next((word for word in given if not word.startswith("-")), None)
    if "--help" in given or (command != "apply" and command not in registry.LOADERS):
        return False
    groups = ("loaders", "readers", "encoders", "transforms", "exporters")
    return all(entry.distribution == "tensorize" for group in groups for entry in registry.table(group).values())


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
