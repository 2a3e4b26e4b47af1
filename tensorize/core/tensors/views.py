"""Sets made of other sets: some rows, some tensors, one split, several one after the other. Nothing is read for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from tensorize.core.errors import UsageError
from tensorize.core.layout import SHARED, Array, Layout, Store, TensorSpec
from tensorize.core.tensors.joined import Joined, JoinedStore


def split_of(layout: Layout, store: Store, name: str) -> tuple[Layout, Store]:
    """One split; its tensors lose the prefix."""
    specs = tuple(replace(spec, split=None) for spec in layout.tensors if spec.split == name)
    prefix = f"{name}/"
    texts = {key.removeprefix(prefix): value for key, value in layout.texts.items() if key.startswith(prefix)}
    return Layout(layout.kind, specs, layout.recipe, texts), Prefixed(store, prefix)


def rows_of(layout: Layout, store: Store, count: int, rows: Array) -> tuple[Layout, Store]:
    """Some of the `count` rows, (row) int64 positions, of a set without a split.

    What belongs to all rows stays whole. Meta tensors with another number of rows, such as the `lengths` of the lines of a
    text whose samples are tokens, are left out.
    """
    shared = frozenset(spec.name for spec in layout.tensors if spec.axes[0] in SHARED)
    kept = [spec for spec in layout.tensors if spec.name in shared or spec.shape[0] == count or spec.role != "meta"]
    specs = tuple(spec if spec.name in shared else replace(spec, shape=(len(rows), *spec.shape[1:])) for spec in kept)
    texts = {
        key: tuple(values[row] for row in rows) if len(values) == count else values for key, values in layout.texts.items()
    }
    return Layout(layout.kind, specs, layout.recipe, texts), Picked(store, rows, shared)


def concatenated(layouts: Sequence[Layout], stores: Sequence[Store]) -> tuple[Layout, Store]:
    """The rows of several sets, one after the other. Raises UsageError where their tensors or recipes differ."""
    first = layouts[0]
    for layout in layouts[1:]:
        if layout.recipe != first.recipe:
            raise UsageError(
                "the sets have different recipes, so their numbers mean different things",
                hint="apply one recipe to all of the sources: tensorize apply FILE DATA -o new.h5",
            )
        if [_without_rows(spec) for spec in layout.tensors] != [_without_rows(spec) for spec in first.tensors]:
            raise UsageError(f"the sets hold different tensors: {_told(first)}; and {_told(layout)}")
    shared = [spec.key for spec in first.tensors if spec.axes[0] in SHARED]
    if shared and len(layouts) > 1:
        raise UsageError(
            f"{shared[0]} belongs to all rows of its set, so that sets cannot follow one another",
            hint="prepare them without --encode index",
        )
    columns = list(zip(*(layout.tensors for layout in layouts), strict=True))
    specs = tuple(replace(parts[0], shape=(sum(part.shape[0] for part in parts), *parts[0].shape[1:])) for parts in columns)
    texts = {key: tuple(text for layout in layouts for text in layout.texts[key]) for key in first.texts}
    joined = {parts[0].key: Joined(parts[0].key, stores, [part.shape[0] for part in parts]) for parts in columns}
    return Layout(first.kind, specs, first.recipe, texts), JoinedStore(joined)


def _without_rows(spec: TensorSpec) -> TensorSpec:
    return replace(spec, shape=(0, *spec.shape[1:]))


def _told(layout: Layout) -> str:
    return ", ".join(f"{spec.key} {spec.dtype} {'×'.join(map(str, ('N', *spec.shape[1:])))}" for spec in layout.tensors)


@dataclass(frozen=True)
class Prefixed:
    """A store whose keys all start with a split's name. See `Store`."""

    store: Store
    prefix: str

    def read(self, key: str, start: int, stop: int) -> Array:
        """See `Store.read`."""
        return self.store.read(self.prefix + key, start, stop)

    def take(self, key: str, rows: Array) -> Array:
        """See `Store.take`."""
        return self.store.take(self.prefix + key, rows)

    def expect(self, key: str, rows: Array) -> None:
        """See `Store.expect`."""
        self.store.expect(self.prefix + key, rows)

    def close(self) -> None:
        """See `Store.close`."""
        self.store.close()


@dataclass(frozen=True)
class Picked:
    """Some rows of a store; `whole` are the tensors that belong to all rows. See `Store`."""

    store: Store
    rows: Array
    whole: frozenset[str]

    def read(self, key: str, start: int, stop: int) -> Array:
        """See `Store.read`."""
        return self.store.read(key, start, stop) if key in self.whole else self.store.take(key, self.rows[start:stop])

    def take(self, key: str, rows: Array) -> Array:
        """See `Store.take`."""
        return self.store.take(key, rows if key in self.whole else self.rows[rows])

    def expect(self, key: str, rows: Array) -> None:
        """See `Store.expect`."""
        self.store.expect(key, rows if key in self.whole else self.rows[rows])

    def close(self) -> None:
        """See `Store.close`."""
        self.store.close()


@dataclass(frozen=True)
class WrittenStore:
    """The tensors of a file that is in a format which is only written: nothing of them can be read."""

    path: Path

    def read(self, key: str, start: int, stop: int) -> Array:
        """Raise UsageError."""
        self._refuse(key)

    def take(self, key: str, rows: Array) -> Array:
        """Raise UsageError."""
        self._refuse(key)

    def expect(self, key: str, rows: Array) -> None:
        """Nothing to prepare: nothing is read."""

    def close(self) -> None:
        """Nothing to close."""

    def _refuse(self, key: str) -> NoReturn:
        raise UsageError(
            f"{key} cannot be read back: {self.path.suffix} files are only written", hint="write an .h5 file, and convert that"
        )
