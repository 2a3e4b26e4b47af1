"""Parts that are called by name, with keywords: `SGD:momentum=0.9`, `mlp`, `package.module:Class`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from tensorize.core import registry
from tensorize.core.errors import UsageError, near


def value_of(text: str) -> Any:
    """A keyword's value as it is written in a shell: a number, true, false, null, a list with commas, or a word.

    >>> [value_of(text) for text in ("0.9", "true", "128,64", "sum")]
    [0.9, True, [128, 64], 'sum']
    """
    if "," in text:
        return [value_of(part) for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def call_of(text: str) -> tuple[str, dict[str, Any]]:
    """Take `NAME:key=value:key=value` apart.

    >>> call_of("SGD:momentum=0.9:nesterov=true")
    ('SGD', {'momentum': 0.9, 'nesterov': True})
    """
    name, *rest = text.split(":")
    return name, keywords(rest, text)


def keywords(parts: list[str], where: str) -> dict[str, Any]:
    """`["key=value", …]` as a dict. Raises UsageError for a part that is none."""
    wrong = [part for part in parts if "=" not in part]
    if wrong:
        raise UsageError(f'"{wrong[0]}" is no key=value  ({where})')
    pairs = (part.split("=", 1) for part in parts)
    return {key: value_of(value) for key, value in pairs}


def part_of(module: ModuleType, text: str, *args: Any, **given: Any) -> Any:
    """Build `NAME:key=value` of a module, `torch.optim` or `torch.nn`. `given` are keywords that it gets where it has them.

    Raises UsageError, with the near name, where there is none, or its keywords are wrong.
    """
    name, options = call_of(text)
    known = [key for key, part in vars(module).items() if inspect.isclass(part)]
    if name not in known:
        raise UsageError(f'there is no "{name}" in {module.__name__}{near(name, known)}')
    made = getattr(module, name)
    accepted = inspect.signature(made).parameters
    suited = {key: value for key, value in given.items() if key in accepted}
    try:
        return made(*args, **{**suited, **options})
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{module.__name__}.{name} cannot be built: {error}", hint="its keywords: " + ", ".join(accepted)
        ) from error


def model_class(name: str) -> type[nn.Module]:
    """A registered model, or the class at `package.module:Class`, which may lie in the folder one is in.

    Raises UsageError if there is none, or it is not an `nn.Module`.
    """
    if ":" not in name:
        found: type[nn.Module] = registry.load("models", name)
        return found
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        made = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f'the model "{name}" cannot be loaded: {error}', hint="write it as package.module:Class") from error
    finally:
        sys.path.remove(here)
    if not (inspect.isclass(made) and issubclass(made, nn.Module)):
        raise UsageError(f'"{name}" is no class of torch.nn.Module')
    return made


def keywords_of(name: str) -> list[str]:
    """The keywords of a model besides its shapes."""
    return [key for key in inspect.signature(model_class(name)).parameters if key not in ("inputs", "outputs")]


def build_model(name: str, inputs: Any, outputs: Any, options: Mapping[str, Any]) -> nn.Module:
    """Build a model by name for rows of shape `inputs`, with its own keywords; `outputs` is the number of them.

    Both are mappings by name where a row has several inputs or targets, which the built-in models do not take.

    Raises UsageError for a keyword that it does not know, with the near one.
    """
    made = model_class(name)
    several = [part for part in (inputs, outputs) if isinstance(part, Mapping)]
    if several and name in registry.MODELS:
        raise UsageError(
            f"the model {name} has one input and one target, and this file has {', '.join(several[0])}",
            hint="write a model that takes them by name, and give it as package.module:Class",
        )
    accepted = inspect.signature(made).parameters
    known = keywords_of(name)
    anything = any(part.kind is part.VAR_KEYWORD for part in accepted.values())
    unknown = [key for key in options if key not in known and not anything]
    if unknown:
        said = "; ".join(f'"{key}"{near(key, known)}' for key in unknown)
        raise UsageError(f"the model {name} has no option {said}", hint="its options: " + (", ".join(known) or "none"))
    suited = {key: _suited(value, accepted.get(key)) for key, value in options.items()}
    try:
        return made(inputs=inputs, outputs=outputs, **suited)
    except TypeError as error:
        raise UsageError(f"the model {name} cannot be built: {error}") from error


def _suited(value: Any, parameter: inspect.Parameter | None) -> Any:
    """One number where a sequence is wanted is a sequence of one: `hidden=32`."""
    wants = str(parameter.annotation) if parameter is not None else ""
    return [value] if wants.startswith("Sequence") and isinstance(value, int | float) else value
