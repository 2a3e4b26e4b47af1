"""Whether a checkpoint is one that a run can go on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tensorize.core.errors import UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.settings import Settings


def resumed(
    path: Path | None,
    data: TensorSet,
    model: str | nn.Module | None,
    options: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> Checkpoint:
    """The checkpoint at `path`. What was given beside it has to be what it was made with.

    Raises UsageError that names everything that is not.
    """
    if path is None or not path.exists():
        raise UsageError(f"there is no checkpoint {path or ''} to go on from", hint="leave --resume away to start one")
    found = Checkpoint.load(path)
    differ = [*_model_differs(found, model, options), *_settings_differ(found.settings, settings)]
    if found.recipe != data.recipe:
        differ.append("the file was prepared by another recipe")
    if differ:
        raise UsageError(f"{path} comes from another run", differ, "say what it was made with, or train anew without --resume")
    return found


def _model_differs(found: Checkpoint, model: str | nn.Module | None, options: Mapping[str, Any] | None) -> list[str]:
    given = model if isinstance(model, str) or model is None else type(model).__name__
    lines = []
    if found.model is None and not isinstance(model, nn.Module):
        lines.append("its model is a module that was handed to fit: hand it in again")
    if found.model is not None and given is not None and given != found.model:
        lines.append(f"the model is {found.model}, not {given}")
    lines += [
        f"{key} is {found.options.get(key)}, not {value}"
        for key, value in (options or {}).items()
        if found.options.get(key) != value
    ]
    return lines


def _settings_differ(found: Settings, given: Mapping[str, Any]) -> list[str]:
    wanted = Settings.parse({**found.model_dump(), **given})
    before, now = found.model_dump(), wanted.model_dump()
    return [f"{key.replace('_', '-')} is {before[key]}, not {now[key]}" for key in before if before[key] != now[key]]
