"""Transforms: one file each, which holds the step over a column of a recipe and the same as an `nn.Module`.

The modules are for scripts and models. `ZScore(mean, std)` is ready for use; `ZScore().fit(x)` learns the state from `x`
first, and starts afresh each time. Statistics come from `tensorize.statistics`, in float64, so that a module gives what
the step of the same name gives in a recipe. Torch is imported when the first of them is asked for.

>>> import torch
>>> from tensorize.transforms import ZScore
>>> ZScore().fit(torch.tensor([1.0, 2.0, 3.0]))(torch.tensor([3.0]))
tensor([1.])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensorize.transforms.base import Transform

if TYPE_CHECKING:
    from tensorize.transforms.module import Module
    from tensorize.transforms.onehot import one_hot

    Fold: type[Module]
    Impute: type[Module]
    MinMax: type[Module]
    OneHot: type[Module]
    Ordinal: type[Module]
    Vocabulary: type[Module]
    Windows: type[Module]
    ZScore: type[Module]

__all__ = ["Fold", "Impute", "MinMax", "OneHot", "Ordinal", "Transform", "Vocabulary", "Windows", "ZScore", "one_hot"]

_MODULES = {
    "CalendarParts": "calendar:module_class",
    "Fold": "fold:module_class",
    "Impute": "impute:module_class",
    "Match": "onehot:match_class",
    "MinMax": "minmax:module_class",
    "OneHot": "onehot:module_class",
    "Ordinal": "ordinal:module_class",
    "Rank": "ordinal:rank_class",
    "Vocabulary": "vocabulary:module_class",
    "Windows": "windows:module_class",
    "ZScore": "zscore:module_class",
}
"""Class → the function that makes it. Those that are not public can be pickled by their names."""


def __getattr__(name: str) -> Any:
    """Import a module class, and torch with it, on first use."""
    if name == "one_hot":
        return import_module("tensorize.transforms.onehot").one_hot
    if name not in _MODULES:
        raise AttributeError(f"module 'tensorize.transforms' has no attribute '{name}'")
    file, _, function = _MODULES[name].partition(":")
    return getattr(import_module(f"tensorize.transforms.{file}"), function)()
