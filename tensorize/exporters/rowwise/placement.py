"""Where groups of rows lie in a file, gathered group by group, and the plan of the file that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from tensorize.core.contracts import TensorSpec
from tensorize.exporters.rowwise.index import RowIndex, TensorPlaces, TextPart
from tensorize.exporters.rowwise.table import SampleTable, text_key
from tensorize.storage.digest import DIGEST_SIZE
from tensorize.storage.groups import Form, GroupSlot
from tensorize.storage.layout import FORMAT, Plain, padded
from tensorize.storage.plan import FilePlan, Patch

Split = str | None


@dataclass
class RowPlacement:
    """Where the columns lie. In all groups of a split with as many rows, the numbers lie at the same places."""

    table: SampleTable
    form_of: Callable[[str], Form]
    """How the format stores the numbers of a type."""
    text: Literal["lengths", "offsets"]
    """How it stores strings."""
    starts: dict[Split, list[int]] = field(default_factory=dict)
    inner: dict[Split, Sequence[int]] = field(default_factory=dict)
    last: dict[Split, Sequence[int]] = field(default_factory=dict)
    texts: dict[str, list[TextPart]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.starts = {split: [] for split in self.table.splits}
        self.texts = {text_key(split, name): [] for split in self.table.splits for name in self.table.texts.values()}

    def add(self, split: Split, start: int, inner: Sequence[int]) -> None:
        """Note the next group of a split: where it begins, and where in it the numbers of each column begin."""
        self.starts[split].append(start)
        self.inner.setdefault(split, inner)
        self.last[split] = inner

    def _columns(self, spec: TensorSpec, places: Mapping[Split, Sequence[int]]) -> list[int]:
        """The places of the columns of a tensor."""
        found = places.get(spec.split, [0] * len(self.table.columns))
        return [at for at, column in zip(found, self.table.columns, strict=True) if column.spec.name == spec.name]

    def _slot(self, spec: TensorSpec) -> GroupSlot:
        inner, last = self._columns(spec, self.inner), self._columns(spec, self.last)
        return GroupSlot(spec, self.table.group, self.starts[spec.split], inner, last, self.form_of(spec.dtype))

    def _index(self, slots: Mapping[str, GroupSlot], recipe: tuple[int, int], header: int) -> RowIndex:
        return RowIndex(
            format=FORMAT,
            layout=Plain.of(self.table.layout),
            header=header,
            recipe=recipe,
            rows=self.table.group,
            groups={split or "": starts for split, starts in self.starts.items()},
            tensors={
                key: TensorPlaces(form=slot.form, inner=list(slot.inner), last=list(slot.last)) for key, slot in slots.items()
            },
            text=self.text,
            texts=self.texts,
            loose=self.table.loose,
        )

    def plan(
        self, early: Iterable[Patch], end: int, footer: bytes, recipe_at: int, recipe_first: int | None = None
    ) -> FilePlan:
        """The plan of a file whose groups end at byte `end`.

        footer: its end, as it is but for the recipe, which lies in it at `recipe_at`; and also, in some formats, at byte
        `recipe_first` of the file: what comes before the end of that is hashed last.
        """
        layout, at = self.table.layout, end + -end % 8
        recipe = padded(layout.recipe).encode()
        header = 0 if recipe_first is None else recipe_first + len(recipe)
        slots = {spec.key: self._slot(spec) for spec in layout.tensors}
        index = self._index(slots, (recipe_at, len(recipe)), header).packed()
        after = at + len(index)
        places = [after + recipe_at, *([] if recipe_first is None else [recipe_first])]

        def late(recipe: str, checksums: Mapping[str, int]) -> list[Patch]:
            del checksums
            return [(place, padded(recipe).encode()) for place in places]

        ends = chain(early, [(at, index), (after, footer)])
        return FilePlan(after + len(footer), slots, after - DIGEST_SIZE, layout.recipe, ends, late, header=header)
