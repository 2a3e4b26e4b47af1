"""The columns of a source of JSON: every key in order of first appearance, those of one object together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tensorize.readers.csv.infer import Seen
from tensorize.readers.jsonl.cells import Leaf, Path


@dataclass
class JsonKey:
    """What the whole source holds under one key, or chain of keys."""

    path: Path
    seen: Seen = Seen.NOTHING
    text: Seen = Seen.NOTHING
    whole: int = 0
    """Rows of the blocks in which no value is missing or infinite."""
    nested: tuple[int, str] | None = None
    """(source row, what it is) of the first list, or object that is too deep."""
    is_object: bool = False
    inner: dict[str, JsonKey] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its column."""
        return ".".join(self.path)

    @property
    def is_column(self) -> bool:
        """Whether it is more than an object whose keys are columns."""
        return self.nested is not None or self.seen is not Seen.NOTHING or not self.is_object

    @property
    def refused(self) -> str:
        """Why no column can be made of it: it holds a list, say; empty if it can."""
        if self.nested is not None:
            return self.nested[1]
        return "an object, and a value elsewhere" if self.is_object else ""


class JsonKeys:
    """All keys of a source, block by block."""

    def __init__(self) -> None:
        self._root = JsonKey(())
        self.count = 0

    def add(self, leaves: Iterable[Leaf], start: int = 0, rows: int = 0) -> None:
        """Those of one block, in its order; it has so many rows from source row `start` on."""
        for leaf in leaves:
            key = self._at(leaf.path)
            key.seen |= leaf.seen
            key.text |= leaf.text
            key.whole += rows if leaf.whole else 0
            key.is_object |= leaf.is_object
            if leaf.nested is not None and key.nested is None:
                key.nested = start + leaf.nested[0], leaf.nested[1]

    def _at(self, path: Path) -> JsonKey:
        key = self._root
        for depth, name in enumerate(path, 1):
            if name not in key.inner:
                key.inner[name] = JsonKey(path[:depth])
                self.count += 1
            key = key.inner[name]
        return key

    def columns(self) -> list[JsonKey]:
        """The keys that are columns, in order."""
        return [key for key in _below(self._root) if key.is_column]


def _below(key: JsonKey) -> Iterator[JsonKey]:
    for inner in key.inner.values():
        yield inner
        yield from _below(inner)
