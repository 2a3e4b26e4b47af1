"""What to make of a text."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator

from tensorize.core.options import BadOptions, Bytes, SplitOptions, flag


def line_range(value: Any) -> Any:
    """`"201:201"`, `"10:"` or `"5"` → (first, last), 1-based and inclusive; `last` is None for the end."""
    if not isinstance(value, str):
        return value
    first, colon, last = value.partition(":")
    if not all(part.strip().isdecimal() or not part.strip() for part in (first, last)):
        raise ValueError("write FIRST:LAST, 1-based and inclusive, such as 201:300")
    start = int(first) if first.strip() else 1
    end = (int(last) if last.strip() else None) if colon else start
    if start < 1 or (end is not None and end < start):
        raise ValueError("lines count from 1, and the last one is not before the first")
    return start, end


Lines = Annotated[tuple[int, int | None] | None, BeforeValidator(line_range)]


class TextOptions(BadOptions, SplitOptions):
    """Options of `text`. Under a split the first lines are train."""

    limiting: ClassVar[tuple[str, ...]] = ("max_word", "max_distinct", "max_expansion")
    written: ClassVar[tuple[str, ...]] = ("encoding",)

    level: Literal["char", "word"] = flag("char", "What a token is: a character, or a word.")
    encode: Literal["onehot", "ids"] = flag("onehot", "Store one channel for each symbol, or ids that are expanded on read.")
    lines: Lines = flag(
        None, "Only these lines, 1-based and inclusive; the vocabulary is that of the whole text.", "FIRST:LAST"
    )
    per: Literal["document", "line"] = flag("document", "One run of tokens, or one padded row for each line.")
    length: int | None = flag(
        None, "Tokens in a row with --per line; longer lines are cut. [default: the longest train line]", "N", ge=1
    )
    case: Literal["lower", "keep"] = flag("lower", "Lower all letters, or keep them.")
    charset: Literal["ascii", "corpus"] = flag("ascii", "Characters: the 128 ASCII codes (others at 0), or those of the text.")
    min_count: int = flag(1, "Words that occur less often in train become <unk>.", "N", ge=1)
    max_vocab: int | None = flag(None, "Keep this many words, the most frequent ones; the others become <unk>.", "N", ge=1)
    encoding: str = flag("utf-8-sig", "The encoding of the text.", "NAME")
    max_word: Bytes = flag(64 << 20, "Refuse a word of more bytes; with --on-bad skip, a line.", "SIZE")
    max_distinct: int = flag(10_000_000, "Refuse a text of more distinct words, which are held in memory.", "N", ge=1)
    max_expansion: int = flag(200, "Refuse a compressed file that grows to more than this many times its size.", "N", ge=1)

    def for_apply(self) -> Self:
        """Return the options for new data: no split, and all lines."""
        return self.model_copy(update={"split": (), "lines": None})

    @property
    def is_ascii(self) -> bool:
        """Whether tokens are the 128 ASCII codes: there is no vocabulary to learn."""
        return self.level == "char" and self.charset == "ascii"
