"""From stored ids to what a model wants, and back to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorize.core.contracts import Array
from tensorize.loaders.text.options import TextOptions
from tensorize.loaders.text.state import TextState

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.tensorset import TensorSet


def expand(recipe: Recipe, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """`onehot` as it is, `ids` ([row,] token) scattered → ([row,] token, symbol) float32."""
    import torch

    if "onehot" in batch:
        return batch["onehot"].to(torch.float32)
    ids = batch["ids"].long().unsqueeze(-1)
    width = _state(recipe)[1].width
    return torch.zeros((*ids.shape[:-1], width), device=ids.device).scatter_(-1, ids, 1.0)


def inverse(recipe: Recipe, tensors: TensorSet) -> Any:
    """The text of a document, or the list of its words; with `--per line` a list of those; a dict of splits on a split set.

    Case, and what was stripped off the words, are gone; what was outside the vocabulary is `<unk>` (a NUL in ASCII).
    """
    if tensors.splits:
        return {name: inverse(recipe, tensors.split(name)) for name in tensors.splits}
    options, state = _state(recipe)
    ids = tensors.numpy("ids") if "ids" in tensors else tensors.numpy("onehot").argmax(axis=-1)
    if options.per == "document":
        return _text(ids, options, state)
    lengths = tensors.numpy("lengths")
    return [_text(row[:length], options, state) for row, length in zip(ids, lengths, strict=True)]


def _text(ids: Array, options: TextOptions, state: TextState) -> Any:
    found = [state.symbols[index] for index in ids.tolist()]
    return "".join(found) if options.level == "char" else found


def _state(recipe: Recipe) -> tuple[TextOptions, TextState]:
    options = recipe.parsed_options()
    return options, TextState.of(recipe.learned, options)
