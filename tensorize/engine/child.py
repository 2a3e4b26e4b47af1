"""How a process of Python that serves this one is started: by its main, able to import what this process imports from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_IO_THREADS")
ONE_THREAD: Mapping[str, str] = MappingProxyType(dict.fromkeys(_POOLS, "1"))
"""The environment in which libraries start no threads of their own."""


def child_command(main: str, *arguments: str) -> list[str]:
    """The command that runs some code in a new interpreter; the current folder is not imported from."""
    return [sys.executable, "-P", "-c", main, *arguments]


def child_environment(without: tuple[str, ...] = ()) -> dict[str, str]:
    """This environment for one thread, and the folder of this package to import from; without names of some beginnings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), own.get("PYTHONPATH")]))
    return {**own, **ONE_THREAD, "PYTHONPATH": path}
