"""Transforms by the names that recipes and `--step` give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tensorize.core import registry
from tensorize.core.errors import RecipeError, UsageError
from tensorize.transforms.base import Transform
from tensorize.transforms.former import FORMER


def find(name: str) -> type[Transform]:
    """Return the transform of this name. Raises UsageError, with the near name, if there is none."""
    if name in FORMER:
        return FORMER[name]
    found = registry.load("transforms", name)
    if not (isinstance(found, type) and issubclass(found, Transform)):
        origin = registry.table("transforms")[name].distribution
        raise UsageError(
            f'the step "{name}" of {origin} is not a tensorize.transforms.base.Transform',
            hint=f"update the plug-in: pip install --upgrade {origin}",
        )
    return found


def build(name: str, state: Mapping[str, Any]) -> Transform:
    """Return the transform that a recipe holds. Raises RecipeError if the state does not fit it."""
    try:
        return find(name).model_validate(state)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f'the recipe\'s step "{name}" is wrong', lines) from None
