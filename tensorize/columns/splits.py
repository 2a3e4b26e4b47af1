"""Which row goes to which split: exact sizes, in bounded memory, the same for the same seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.text import to_instants
from tensorize.columns.rows import RowBlock
from tensorize.columns.selection import KeptBlocks
from tensorize.core.contracts import Engine, Mask
from tensorize.core.errors import DataError, UsageError, plural, quoted, some
from tensorize.core.splits import (
    SPLITS,
    Cuts,
    Ints,
    Keys,
    Ranked,
    find_cuts,
    grouped,
    hash_keys,
    plain_split_of,
    sizes,
    split_of,
    stratified,
    value_keys,
)

Parts = npt.NDArray[np.int8]
MAX_CLASSES = 1000


@dataclass(frozen=True)
class SplitBy:
    """The flags that say how rows are shared out."""

    names: tuple[str, ...]
    ratios: tuple[float, ...]
    seed: int
    stratify: str | None = None
    group: str | None = None
    order: str | None = None

    def __post_init__(self) -> None:
        ways = [f"--{way}" for way in ("stratify", "group", "order") if getattr(self, way)]
        if len(ways) > 1:
            raise UsageError(f"{' and '.join(ways)} exclude each other", hint="choose one of them")


class _Rule(Protocol):
    """Says of the kept rows of a block which split each belongs to: (kept row) int8. Picklable."""

    def __call__(self, block: RowBlock, mask: Mask) -> Parts: ...


@dataclass(frozen=True)
class Assignment:
    """The finished split: names and sizes, and the part of every row. Without a split: no name, one part. Picklable."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    rule: _Rule
    notes: tuple[str, ...] = ()
    """What the summary says of it."""

    def parts(self, block: RowBlock, kept: Mask) -> Parts:
        """(row) int8: the index of the split, −1 if the row is not kept."""
        parts: Parts = np.full(len(block), -1, dtype=np.int8)
        parts[kept] = self.rule(block, kept)
        return parts


@dataclass(frozen=True)
class _Whole:
    """No split: every row belongs to the one part."""

    def __call__(self, block: RowBlock, mask: Mask) -> Parts:
        del block
        return np.zeros(int(mask.sum()), dtype=np.int8)


@dataclass(frozen=True)
class _Ranking:
    """The keys, source positions and classes that rows are ranked by."""

    by: SplitBy
    classes: _Classes

    def __call__(self, block: RowBlock, mask: Mask) -> Ranked:
        rows = np.flatnonzero(mask) + block.start
        keys = _order_keys(block, mask, self.by.order) if self.by.order else hash_keys(self.by.seed, rows)
        return Ranked(keys, rows, self.classes.of(block, mask))


@dataclass(frozen=True)
class _RankedBlock:
    """The ranking of one block, by its number."""

    kept: KeptBlocks
    ranking: _Ranking

    def __call__(self, index: int) -> Ranked:
        return self.ranking(*self.kept(index))


@dataclass(frozen=True)
class _Cut:
    """Rows by their rank."""

    ranking: _Ranking
    cuts: Cuts

    def __call__(self, block: RowBlock, mask: Mask) -> Parts:
        return self.cuts.parts(self.ranking(block, mask))


@dataclass(frozen=True)
class _Grouped:
    """Rows by the group they belong to."""

    column: str
    part: Mapping[str, int]

    def __call__(self, block: RowBlock, mask: Mask) -> Parts:
        values = block.batch.column(self.column).filter(pa.array(mask)).to_pylist()
        return np.array([self.part[str(value)] for value in values], dtype=np.int8)


def assign(by: SplitBy, kept: KeptBlocks, count: int, engine: Engine) -> Assignment:
    """Find the split of the `count` rows that are kept."""
    if not by.names:
        return Assignment((), (count,), _Whole())
    if by.group:
        return _by_group(by, by.group, kept)
    classes = _classes(by.stratify, kept)
    counts = stratified(list(classes.counts.values()), by.ratios) if by.stratify else [sizes(count, by.ratios)]
    ranking = _Ranking(by, classes)

    def blocks() -> Iterator[Ranked]:
        return engine.map(_RankedBlock(kept, ranking), range(len(kept)))

    cuts: Cuts = find_cuts(blocks, dict(enumerate(counts)))
    totals = tuple(sum(row[part] for row in counts) for part in range(len(by.names)))
    return Assignment(by.names, totals, _Cut(ranking, cuts), _lacking(by, list(classes.counts), counts) if by.stratify else ())


def assign_by(column: str, kept: KeptBlocks) -> Assignment:
    """The split that a column says. Raises DataError for values that are not the name of one, and where none is train."""
    counts = {str(value) if value is not None else "(missing)": rows for value, rows in _count(column, kept).items()}
    found = {value: _split_of_cell(value) for value in counts}
    wrong = [f"{value}   {plural(counts[value], 'row')}" for value, name in found.items() if name is None]
    known = [value for value, name in found.items() if name is not None]
    if wrong:
        condition = f"{column} in ({', '.join(_where_value(value) for value in known)})"
        raise DataError(
            f'--split-by: "{column}" holds what is not train, val or test',
            some(wrong),
            f"keep the rows of a split: --where {quoted(condition)}"
            if known
            else "name another column, or share out by --split",
        )
    names = tuple(name for name in SPLITS if name in found.values())
    if names[:1] != ("train",):
        raise DataError(f'--split-by: "{column}" says of no row that it is train', hint="share out by ratios: --split 0.8,0.2")
    part = {value: names.index(name) for value, name in found.items() if name is not None}
    totals = tuple(sum(counts[value] for value in counts if part[value] == at) for at in range(len(names)))
    return Assignment(names, totals, _Grouped(column, part))


def _split_of_cell(value: str) -> str | None:
    """The split that a cell says: by a word for it, or by one among the parts of a path."""
    if "." not in value and "/" not in value:
        return plain_split_of(value.strip())
    found = {split for part in re.split(r"[\\/.]", value) if (split := split_of(part))}
    return found.pop() if len(found) == 1 else None


def _where_value(value: str) -> str:
    """A value as `--where` takes it."""
    return value if value.isalnum() else f'"{value}"'


def _lacking(by: SplitBy, classes: Sequence[Any], counts: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Say which splits have no row of which values: those that have fewer rows than there are splits."""
    found: dict[tuple[str, ...], list[str]] = {}
    for value, row in zip(classes, counts, strict=True):
        lacking = tuple(name for name, count in zip(by.names, row, strict=True) if not count)
        if lacking:
            found.setdefault(lacking, []).append("(missing)" if value is None else str(value))
    return tuple(
        f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} no row of {', '.join(values[:5])}"
        + (f" and {len(values) - 5} more" if len(values) > 5 else "")
        + f": too few rows of {'it' if len(values) == 1 else 'them'} for --stratify {by.stratify}"
        for names, values in found.items()
    )


@dataclass(frozen=True)
class _Classes:
    """The classes of a stratified split, in the order of their first row; one class where there is none."""

    column: str | None
    counts: Mapping[Any, int]

    def of(self, block: RowBlock, mask: Mask) -> Ints:
        if self.column is None:
            return np.zeros(int(mask.sum()), dtype=np.int64)
        values = block.batch.column(self.column).filter(pa.array(mask))
        index = {value: position for position, value in enumerate(self.counts)}
        encoded = values.dictionary_encode(null_encoding="encode")
        table = np.array([index[value] for value in encoded.dictionary.to_pylist()], dtype=np.int64)
        return table[encoded.indices.to_numpy()] if len(table) else np.zeros(0, dtype=np.int64)


def _classes(column: str | None, kept: KeptBlocks) -> _Classes:
    counts: Counter[Any] = Counter()
    if column is not None:
        counts = _count(column, kept)
        if len(counts) > MAX_CLASSES:
            raise UsageError(f'--stratify: "{column}" has {len(counts):,} values', hint="stratify by a column of few values")
    return _Classes(column, counts)


def _count(column: str, kept: KeptBlocks) -> Counter[Any]:
    """Value → rows, in the order of first rows."""
    counts: Counter[Any] = Counter()
    for block, mask in kept:
        values = block.batch.column(column).filter(pa.array(mask))
        for item in pc.value_counts(values).to_pylist():
            counts[item["values"]] += item["counts"]
    return counts


def _by_group(by: SplitBy, column: str, kept: KeptBlocks) -> Assignment:
    counts = {str(value): rows for value, rows in _count(column, kept).items()}
    part = grouped(counts, by.ratios, by.seed)
    totals = [sum(rows for name, rows in counts.items() if part[name] == index) for index in range(len(by.names))]
    if counts and not all(totals):
        raise _group_error(by, column, counts, totals)
    return Assignment(by.names, tuple(totals), _Grouped(column, part))


_OTHER_RATIOS = ((0.7, 0.15, 0.15), (0.6, 0.2, 0.2), (0.5, 0.25, 0.25), (0.4, 0.3, 0.3), (0.8, 0.2), (0.6, 0.4), (0.5, 0.5))


def _group_error(by: SplitBy, column: str, counts: Mapping[str, int], totals: Sequence[int]) -> DataError:
    """The error for a split without a group, with ratios that leave none empty, if there are any."""
    empty = [name for name, total in zip(by.names, totals, strict=True) if not total]
    other = next((ratios for ratios in _OTHER_RATIOS if _shares_out(counts, ratios, by.seed)), None)
    hint = f"say --split {','.join(f'{ratio:g}' for ratio in other)}, or " if other else "omit --split, or "
    said = ",".join(f"{ratio:g}" for ratio in by.ratios)
    return DataError(
        f'no row is left for {" and ".join(empty)}: "{column}" has {plural(len(counts), "group")} to share out {said}',
        hint=hint + "--group a column of more values",
    )


def _shares_out(counts: Mapping[str, int], ratios: Sequence[float], seed: int) -> bool:
    return len(set(grouped(counts, ratios, seed).values())) == len(ratios)


def _order_keys(block: RowBlock, mask: Mask, column: str) -> Keys:
    """Keys of the same order as the column's values. Raises DataError for a missing one."""
    values = block.batch.column(column)
    if values.null_count:
        raise DataError(
            f'--order: "{column}" lacks values', hint=f'keep the rows that have one: --where "{column} is not missing"'
        )
    if pa.types.is_string(values.type):
        values = pc.cast(to_instants(values, column), pa.int64())
    return value_keys(np.ascontiguousarray(values.to_numpy(zero_copy_only=False)[mask]))
