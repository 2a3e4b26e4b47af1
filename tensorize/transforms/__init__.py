"""Transforms: tensor → tensor, as `nn.Module`s built from finished state.

`ZScore(mean, std)` is ready for use, in a script, in a model or in an exported graph; `ZScore().fit(x)` learns the state
from `x` first, and starts afresh each time. Statistics come from `tensorize.statistics`, in float64, so that a transform
gives what the step of the same name gives in a recipe.

>>> import torch
>>> from tensorize.transforms import ZScore
>>> ZScore().fit(torch.tensor([1.0, 2.0, 3.0]))(torch.tensor([3.0]))
tensor([1.])
"""

from tensorize.transforms.base import Transform
from tensorize.transforms.fold import Fold
from tensorize.transforms.impute import Impute
from tensorize.transforms.one_hot import OneHot, one_hot
from tensorize.transforms.ordinal import Ordinal
from tensorize.transforms.scale import MinMax, ZScore
from tensorize.transforms.vocabulary import Vocabulary
from tensorize.transforms.windows import Windows

__all__ = ["Fold", "Impute", "MinMax", "OneHot", "Ordinal", "Transform", "Vocabulary", "Windows", "ZScore", "one_hot"]
