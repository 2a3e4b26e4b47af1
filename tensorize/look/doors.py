"""Wrong door, right sign: what a file is, whatever command it was handed to, and the command that takes it."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorize.core import registry
from tensorize.core.errors import DataError, TensorizeError, UsageError, quoted
from tensorize.look.kinds import kind_of
from tensorize.readers.open import is_path
from tensorize.sources.addresses import shown_source
from tensorize.sources.files import STDIN

MODEL = "a trained model"
_MODEL_KEY = b"tensorize_model"
_RECIPE_KEYS = {"tensorize", "kind", "schema"}
_RECIPE_BYTES = 64 << 20
_HEAD_BYTES = 64
"""A recipe begins with its version."""
_PICKLE_BYTES = 1 << 20
"""So does what a model holds: no more of it is unpacked."""
HELD = {"table": "a table", "text": "text", "images": "images"}
"""What a source of a kind holds; a series is a table."""


@dataclass(frozen=True)
class Sign:
    """What a file is, and the way on: a command that takes it, or a few words."""

    what: str
    way: str
    command: str = ""

    def error(self, name: str) -> DataError:
        """The error for a command that does not take the file."""
        found = DataError(f"{name} is {self.what}", hint=self.way)
        found.command = self.command
        return found


def made_by_us(path: str | os.PathLike[str]) -> Sign | None:
    """The sign for what tensorize wrote: a prepared file, a model, a recipe; None for anything else."""
    file = Path(path)
    name = quoted(os.fspath(path))
    if file.suffix.lower() in registry.suffixes() and _is_prepared(registry.suffixes()[file.suffix.lower()], file):
        return _prepared(name)
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith(b"{") and b'"tensorize"' in head and _is_recipe(file):
        return Sign("a recipe, which holds no rows", f"apply it to new data: tensorize apply {name} DATA -o new.h5")
    if head.startswith(b"\x89HDF") and _is_prepared("hdf5", file):
        return _prepared(name)
    if head.startswith(b"PK\x03\x04"):
        return _of_torch(file, name)
    return None


def _prepared(name: str) -> Sign:
    return Sign("a prepared file", "its tensors, labels and recipe:", f"tensorize inspect {name}")


def _of_torch(file: Path, name: str) -> Sign | None:
    """The sign for a torch file: ours, a model of ours, or another."""
    try:
        with zipfile.ZipFile(file) as archive:
            pickled = next((item for item in archive.namelist() if item.endswith("data.pkl")), None)
            if pickled is None:
                return None
            with archive.open(pickled) as stream:
                is_model = _MODEL_KEY in stream.read(_PICKLE_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        return None
    if is_model:
        return Sign(MODEL, f"use it on raw data: tensorize predict {name} DATA")
    if _is_prepared("pt", file):
        return _prepared(name)
    return Sign("a torch file that tensorize did not write", "write its tensors as CSV or Parquet first")


def _is_prepared(exporter: str, file: Path) -> bool:
    with suppress(TensorizeError, OSError):
        found = registry.load("exporters", exporter)
        if getattr(found, "reads", True):
            found().open(file).close()
            return True
    return False


def _is_recipe(file: Path) -> bool:
    if file.stat().st_size > _RECIPE_BYTES:
        return False
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= _RECIPE_KEYS


def other_door(kind: str, source: Any) -> Sign | str | None:
    """What a source is that a command of `kind` was handed in vain: a sign, or the kind that raw data are of.

    None if they are of this kind, or of none.
    """
    if not is_path(source) or STDIN in (source if isinstance(source, list | tuple) else [source]):
        return None
    first = source[0] if isinstance(source, list | tuple) else source
    if (sign := made_by_us(first)) is not None:
        return sign
    with suppress(TensorizeError):
        found, _ = kind_of(source)
        return found if found != (kind if kind in HELD else "table") else None
    return None


def shown_names(source: Any) -> str:
    """What messages call a source."""
    first = source[0] if isinstance(source, list | tuple) else source
    return str(shown_source(first))


def a_model(path: str | os.PathLike[str]) -> DataError | None:
    """The error for a model where a prepared file is asked for; None for anything else."""
    sign = made_by_us(path)
    return sign.error(os.fspath(path)) if sign is not None and sign.what == MODEL else None


def not_prepared(path: str | os.PathLike[str]) -> DataError | UsageError | None:
    """The error for a command that takes prepared files and was handed something else; None if it cannot tell."""
    sign = made_by_us(path)
    if sign is not None:
        return sign.error(os.fspath(path)) if not sign.command else None
    if not Path(path).exists():
        return None
    with suppress(TensorizeError):
        kind_of(os.fspath(path))
        error = UsageError(f"{path} is raw data, not a prepared file", hint="prepare it first:")
        out = Path(path).resolve().with_suffix(".h5").name
        error.command = f"tensorize auto {quoted(os.fspath(path))} -o {quoted(out)}"
        return error
    return None
