"""What the command may do because the process is its own, and a library must leave alone."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from tensorize.core import registry
from tensorize.engine.allocator import keep_freed
from tensorize.engine.pandas_free import no_plugins, refuse_pandas


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
        refuse_pandas()


def leave(code: int) -> NoReturn:
    """End the process at once: memory goes back with it, and is not taken apart object by object before."""
    if "tensorize.sources.temporary" in sys.modules:
        from tensorize.sources.temporary import remove_all

        remove_all()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _is_ours(given: Sequence[str]) -> bool:
    """Whether the command reads raw data, and no part of anyone else can run in it."""
    command = next((word for word in given if not word.startswith("-")), None)
    return "--help" not in given and (command == "apply" or command in registry.LOADERS) and no_plugins()
