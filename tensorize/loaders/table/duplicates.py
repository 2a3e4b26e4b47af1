"""Rows that equal an earlier one in every feature and target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tensorize.columns.reader import Rows
from tensorize.columns.selection import KeptBlocks, SelectedRows
from tensorize.columns.splits import Assignment
from tensorize.core.contracts import Run
from tensorize.core.errors import SHOWN, DataError, plural, some
from tensorize.core.splits import Ints, Keys, hash_keys

_LANES = (1, 2)
"""Rows are compared by two hashes of 64 bits: of 2⁴⁰ rows, two unlike ones are taken as equal with a chance of 10⁻¹⁵."""

_NONE = "no row equals an earlier one in all features and targets"


@dataclass(frozen=True)
class RepeatedRows:
    """Source rows that equal an earlier one, and the first row that each equals: (repeat) int64, sorted by `rows`."""

    rows: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    firsts: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class _Hashes:
    """The hashes of the kept rows of a block, by its number: (source rows, hashes), each (row)."""

    kept: KeptBlocks
    columns: tuple[str, ...]
    lane: int

    def __call__(self, index: int) -> tuple[Ints, Keys]:
        block, mask = self.kept(index)
        batch = block.picked(mask)
        found: Keys = np.zeros(batch.num_rows, dtype=np.uint64)
        for name in self.columns:
            found = hash_keys(self.lane, (found + _hashed(batch.column(name), self.lane)).view(np.int64))
        return np.flatnonzero(mask) + block.start, found


def repeats_of(kept: SelectedRows, run: Run) -> RepeatedRows:
    """The kept rows that equal an earlier one in all features and targets.

    Needs 41 bytes of memory a row where none does, up to 120 where most do (measured).
    """
    roles = kept.rows.needs.roles
    columns = tuple(name for name in roles.names if name in kept.rows.schema and name in (*roles.inputs, *roles.targets))
    return find_repeats(kept.of(columns), columns, run)


def repeats_error(found: RepeatedRows, rows: Rows) -> DataError:
    """The error for rows that equal an earlier one: the first of them, and which they equal."""
    pairs = zip(rows.place(found.rows[:SHOWN].tolist()), rows.place(found.firsts[:SHOWN].tolist()), strict=True)
    return DataError(
        _said(found),
        some([f"{row} equals {first}" for row, first in pairs], len(found)),
        "leave them out: --duplicate-rows drop",
        {"duplicate_rows": "drop"},
    )


def dropped_notes(found: RepeatedRows) -> Iterator[str]:
    """How many rows are left out."""
    yield f"{plural(len(found), 'row')} left out, equal to an earlier one in all features and targets" if len(found) else _NONE


def _said(found: RepeatedRows) -> str:
    return f"{plural(len(found), 'row equals', 'rows equal')} an earlier one in all features and targets"


def repeats_notes(found: RepeatedRows, kept: KeptBlocks, assignment: Assignment) -> Iterator[str]:
    """How many rows equal an earlier one; and of each split but train, how many equal one of train."""
    if not len(found):
        yield _NONE
        return
    yield _said(found)
    at = np.unique(np.concatenate([found.rows, found.firsts]))
    parts: list[Ints] = []
    for block, mask in kept if assignment.names else ():
        first, stop = np.searchsorted(at, [block.start, block.start + len(block)])
        parts.append(assignment.parts(block, mask)[at[first:stop] - block.start].astype(np.int64))
    if not parts:
        return
    part, group = np.concatenate(parts), at.copy()
    group[np.searchsorted(at, found.rows)] = found.firsts
    of_train = np.isin(group, group[part == 0])
    for number, name in enumerate(assignment.names[1:], start=1):
        if count := int((of_train & (part == number)).sum()):
            yield f"{count:,} of {plural(assignment.counts[number], 'row')} of {name} equal one of train"


def find_repeats(kept: KeptBlocks, columns: Sequence[str], run: Run) -> RepeatedRows:
    """The kept rows that equal an earlier one in these columns: a missing cell equals a missing one, and 0 equals −0."""
    rows, keys = _all(kept, columns, run, _LANES[0])
    order = np.argsort(keys, kind="stable")
    alike = keys[order][1:] == keys[order][:-1]
    doubtful = np.zeros(len(rows), dtype=bool)
    doubtful[order[1:][alike]] = doubtful[order[:-1][alike]] = True
    if not doubtful.any():
        return RepeatedRows()
    others = _all(kept, columns, run, _LANES[1])[1][doubtful]
    pairs = np.stack([keys[doubtful], others], axis=1)
    _, first, group = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    firsts = first[group.reshape(-1)]
    later = firsts != np.arange(len(firsts))
    at = rows[doubtful]
    return RepeatedRows(at[later], at[firsts[later]])


def _all(kept: KeptBlocks, columns: Sequence[str], run: Run, lane: int) -> tuple[Ints, Keys]:
    """The source rows that are kept, and their hashes, each (row)."""
    found = list(run.engine.map(_Hashes(kept, tuple(columns), lane), range(len(kept))))
    return np.concatenate([rows for rows, _ in found]), np.concatenate([keys for _, keys in found])


def _hashed(cells: pa.Array, lane: int) -> Keys:
    """The hash of each cell of a column (row)."""
    if pa.types.is_string(cells.type) or pa.types.is_timestamp(cells.type):
        return _hashed_words(cells.cast(pa.string()), lane)
    there = cells.is_valid().to_numpy(zero_copy_only=False)
    numbers = cells.cast(pa.int64() if pa.types.is_boolean(cells.type) else cells.type)
    values: npt.NDArray[np.float64] = np.ascontiguousarray(numbers.fill_null(0).to_numpy(zero_copy_only=False))
    bits = (values + 0.0 if values.dtype == np.float64 else values).view(np.int64)
    return np.where(there, hash_keys(lane, bits), np.uint64(lane))


def _hashed_words(cells: pa.Array, lane: int) -> Keys:
    encoded = cells.dictionary_encode()
    key = lane.to_bytes(1, "little")
    words = [hashlib.blake2b(word.encode(), digest_size=8, key=key).digest() for word in encoded.dictionary.to_pylist()]
    table: Keys = np.append(np.frombuffer(b"".join(words), dtype="<u8"), np.uint64(lane)).astype(np.uint64)
    found: Keys = table[encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]
    return found
