"""Tokens to ids and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from tensorize.core.contracts import Json
from tensorize.core.errors import UsageError
from tensorize.statistics.vocabulary import VocabularyCounts
from tensorize.transforms.base import Transform, lazy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tensorize.transforms.module import Module

PAD, UNKNOWN = "<pad>", "<unk>"


class Vocabulary(Transform):
    """Tokens to ids: `words` are sorted; `<unk>` comes before them, and `<pad>` before that if `padded`."""

    kinds: ClassVar[frozenset[str]] = frozenset()

    words: tuple[str, ...] = ()
    padded: bool = False

    def values(self) -> tuple[str, ...]:
        """Return the values that the step knows, in order."""
        return ((PAD,) if self.padded else ()) + (UNKNOWN, *self.words)

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return module_class()(self.words, padded=self.padded)


@lazy("Vocabulary")
def module_class() -> type[Module]:
    """`tensorize.transforms.Vocabulary`, for scripts.

    >>> import torch
    >>> from tensorize.transforms import Vocabulary
    >>> vocabulary = Vocabulary().fit(["the", "cat", "the"])
    >>> vocabulary(["the", "dog"]), vocabulary.inverse(torch.tensor([2, 0]))
    (tensor([2, 0]), ['the', '<unk>'])
    """
    import torch

    from tensorize.transforms.module import Module

    class _Vocabulary(Module):
        """`words` are sorted; `<unk>` comes before them, and `<pad>` before that if `padded`."""

        invertible = True

        def __init__(self, words: Sequence[str] = (), *, padded: bool = False) -> None:
            super().__init__()
            self.words, self.padded = tuple(words), padded
            self.symbols = Vocabulary(words=self.words, padded=padded).values()
            self._ids = {word: index for index, word in enumerate(self.words, len(self.symbols) - len(self.words))}

        def __len__(self) -> int:
            """How many ids there are, those of the special ones included."""
            return len(self.symbols)

        def forward(self, tokens: Iterable[str]) -> Tensor:
            """Tokens → ids (token) int64."""
            unknown = int(self.padded)
            return torch.tensor([self._ids.get(token, unknown) for token in tokens], dtype=torch.int64)

        def inverse(self, x: Tensor) -> list[str]:
            """Ids (token) → tokens. Raises UsageError for ids that there are not."""
            ids = x.tolist()
            if any(not 0 <= index < len(self) for index in ids):
                raise UsageError(f"ids are 0 to {len(self) - 1}")
            return [self.symbols[index] for index in ids]

        def state(self) -> dict[str, Json]:
            return {"words": list(self.words), "padded": self.padded}

        def fit(self, x: Iterable[str], *, min_count: int = 1, max_size: int | None = None) -> Self:
            """Return a new vocabulary of the words that occur at least `min_count` times, the `max_size` most frequent."""
            return type(self)(VocabularyCounts(Counter(x)).words(min_count, max_size), padded=self.padded)

    return _Vocabulary
