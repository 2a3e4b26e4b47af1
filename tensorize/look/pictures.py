"""The pictures of all columns of a table, and which columns are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tensorize.columns.reader import Rows
from tensorize.columns.rows import Blocks
from tensorize.core.contracts import Run
from tensorize.look.picture import Picture, picture_of


@dataclass(frozen=True)
class _Look:
    """Looks at one block; `counted` are the columns whose values are counted."""

    blocks: Blocks
    decimal: str
    counted: frozenset[str]
    first: bool = False

    def __call__(self, index: int) -> list[Picture]:
        block = self.blocks.read(index)
        batch = block.batch if block.bad is None else block.picked(~block.bad)
        return [
            picture_of(
                batch.column(item.name),
                item,
                self.decimal,
                counts=item.name in self.counted,
                first=self.first,
                alone=len(self.blocks) == 1,
            )
            for item in self.blocks.rows.schema.columns
        ]


def pictures_of(rows: Rows, run: Run) -> dict[str, Picture]:
    """Column → its picture, from one pass over all rows."""
    blocks, decimal = Blocks(rows), getattr(rows, "decimal", ".")
    found = _Look(blocks, decimal, frozenset(rows.schema.names), first=True)(0)
    counted = frozenset(picture.name for picture in found if picture.distinct is not None)
    rest = range(1, len(blocks))
    for done, more in enumerate(run.engine.map(_Look(blocks, decimal, counted), rest), start=2):
        found = [before.merge(after) for before, after in zip(found, more, strict=True)]
        run.report("look", done, len(blocks))
    return {picture.name: picture for picture in found}


def twins(rows: Rows, pictures: Mapping[str, Picture]) -> dict[str, str]:
    """Column → an earlier column that holds the same in every row."""
    pairs = dict(_alike(list(pictures.values())))
    for block in islice(Blocks(rows), len(Blocks(rows)) if pairs else 0):
        for name, other in list(pairs.items()):
            if not block.batch.column(name).equals(block.batch.column(other)):
                del pairs[name]
    return pairs


def _alike(pictures: Sequence[Picture]) -> Iterator[tuple[str, str]]:
    """(column, earlier column) that have the same picture."""
    seen: dict[object, str] = {}
    for item in pictures:
        if not item.there:
            continue
        counts = tuple(sorted(item.values.counts.items(), key=str))
        key = (item.column.storage, item.kind, item.missing, item.low, item.high, item.bars, counts)
        if key in seen:
            yield item.name, seen[key]
        seen.setdefault(key, item.name)
