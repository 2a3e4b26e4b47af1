"""What a recipe for text holds: the vocabulary, and how long a padded line is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tensorize.core.contracts import Learned
from tensorize.core.errors import RecipeError
from tensorize.core.options import LARGEST
from tensorize.loaders.text.options import TextOptions

PAD, UNKNOWN = "<pad>", "<unk>"
ASCII = 128


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


M = TypeVar("M", bound=_State)


class TextVocabulary(_State):
    """The words (or characters) of the train text, sorted by code point; specials come before them.

    `<pad>` is there only where something is padded; a word that is not here is `<unk>`.
    """

    words: tuple[str, ...]
    padded: bool = False

    @property
    def specials(self) -> tuple[str, ...]:
        """The tokens before the words, in the order of their ids: `<pad>` if padded, and `<unk>`."""
        return (PAD, UNKNOWN) if self.padded else (UNKNOWN,)

    @property
    def unknown(self) -> int:
        """The id of `<unk>`."""
        return len(self.specials) - 1

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbol of each id."""
        return self.specials + self.words

    @cached_property
    def ids(self) -> dict[str, int]:
        """Word → id. A word of the text that is called `<unk>` has an id of its own."""
        return {word: index for index, word in enumerate(self.words, len(self.specials))}


class Length(_State):
    """Tokens in a padded row."""

    length: int = Field(ge=1, le=LARGEST)


class TextState(NamedTuple):
    """Everything learned about a text. `vocabulary` is None for the ASCII codes, `length` for a document."""

    vocabulary: TextVocabulary | None
    length: Length | None

    def learned(self) -> tuple[Learned, ...]:
        """As the steps of a recipe."""
        words = [Learned("vocabulary", "text", self.vocabulary.model_dump(mode="json"))] if self.vocabulary else []
        length = [Learned("length", "text", self.length.model_dump(mode="json"), "meta")] if self.length else []
        return (*words, *length)

    @classmethod
    def of(cls, learned: Sequence[Learned], options: TextOptions) -> TextState:
        """Out of the steps of a recipe. Raises RecipeError if they do not fit the options."""
        states = {item.step: item.state for item in learned}
        try:
            vocabulary = None if options.is_ascii else _parse(TextVocabulary, "vocabulary", states)
            length = _parse(Length, "length", states) if options.per == "line" else None
            if vocabulary and options.level == "char" and any(len(word) != 1 for word in vocabulary.words):
                raise RecipeError("the recipe's vocabulary step is wrong", ["of characters each has to be one"])
        except KeyError as error:
            raise RecipeError(f'the recipe lacks the step "{error.args[0]}" of a text') from None
        return cls(vocabulary, length)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbol of each id: the 128 ASCII characters, or the vocabulary."""
        return self.vocabulary.symbols if self.vocabulary else tuple(map(chr, range(ASCII)))

    @property
    def width(self) -> int:
        """The number of ids: channels of one-hot text."""
        return len(self.vocabulary.symbols) if self.vocabulary else ASCII

    @property
    def id_dtype(self) -> str:
        """The smallest integer type that holds every id; torch knows no larger unsigned one than uint8."""
        return next(name for name in ("uint8", "int16", "int32", "int64") if self.width - 1 <= np.iinfo(name).max)


def _parse(model: type[M], step: str, states: Mapping[str, Any]) -> M:
    """Check the state of a step. Raises KeyError if there is none, RecipeError if it is wrong."""
    try:
        return model.model_validate(states[step])
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f"the recipe's {step} step is wrong", lines) from None
