"""Exact splits in bounded memory: which row goes where, found by ranks and not by holding the rows.

Rows are ranked by a 64-bit key (a hash of seed and source position, or a value) and, among equal keys, by position.
A split is a cut at a rank; the key at a rank is found by a radix histogram, 16 bits a pass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

SPLITS = ("train", "val", "test")
_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""Words for the splits, in any case. Source: Hugging Face datasets, "Structure your repository"."""
_DIGIT = 16
_BINS = 1 << _DIGIT


def sizes(total: int, ratios: Sequence[float]) -> list[int]:
    """Share out `total` rows by ratio: exact, by the largest remainder, the earlier part first where they tie.

    >>> sizes(4898, [0.8, 0.1, 0.1])
    [3918, 490, 490]
    """
    quotas = [total * ratio for ratio in ratios]
    counts = [int(quota + 1e-9) for quota in quotas]
    order = sorted(range(len(ratios)), key=lambda part: (-round(quotas[part] - counts[part], 9), part))
    for part in order[: total - sum(counts)]:
        counts[part] += 1
    return counts


def hash_keys(seed: int, positions: Ints) -> Keys:
    """Hash source positions to 64 bits, (row) → (row): splitmix64's finaliser, a bijection, so no two rows tie.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    start = int.from_bytes(hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=8).digest(), "little")
    z = positions.astype(np.uint64) + np.uint64(start)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def value_keys(values: npt.NDArray[np.float64] | Ints) -> Keys:
    """Map numbers to uint64 keys of the same order, (row) → (row). int64 and float64; NaN must not occur."""
    bits = values.view(np.uint64)
    top = np.uint64(1 << 63)
    if values.dtype == np.int64:
        return bits ^ top
    bits = np.where(values == 0, np.uint64(0), bits)
    return np.where(bits & top, ~bits, bits | top)


@dataclass(frozen=True)
class Ranked:
    """One block of rows to be split: their keys, source positions and classes, each (row)."""

    keys: Keys
    positions: Ints
    classes: Ints


@dataclass(frozen=True)
class Cuts:
    """The cuts of every class: `keys[c, i]`, `positions[c, i]` is the first row that is no longer in part i.

    (class, cut) uint64 and int64. A row is left of a cut where (key, position) < (cut key, cut position).
    """

    keys: Keys
    positions: Ints

    def parts(self, block: Ranked) -> npt.NDArray[np.int8]:
        """(row) int8: the part each row belongs to."""
        part = np.zeros(len(block.keys), dtype=np.int8)
        for cut in range(self.keys.shape[1]):
            key, position = self.keys[block.classes, cut], self.positions[block.classes, cut]
            part += (block.keys > key) | ((block.keys == key) & (block.positions >= position))
        return part


def find_cuts(blocks: Callable[[], Iterable[Ranked]], counts: Mapping[int, Sequence[int]]) -> Cuts:
    """Find where the parts of each class end.

    `counts[c]` are the sizes of class c's parts; classes are 0, 1, …; `blocks()` starts a pass over the rows.
    Memory: 65,536 counters for each cut, whatever the number of rows.
    """
    classes, width = len(counts), len(next(iter(counts.values()))) - 1
    ranks = np.array([np.cumsum(counts[c])[:-1] for c in range(classes)], dtype=np.int64).reshape(classes, width)
    beyond = np.array([sum(counts[c]) for c in range(classes)])[:, None] <= ranks
    prefix = np.zeros((classes, width), dtype=np.uint64)
    for digit in range(64 // _DIGIT):
        prefix, ranks = _refine(blocks, prefix, ranks, digit)
    positions = _tied_positions(blocks, prefix, ranks)
    positions[beyond] = np.iinfo(np.int64).max
    prefix[beyond] = np.iinfo(np.uint64).max
    return Cuts(prefix, positions)


def _refine(blocks: Callable[[], Iterable[Ranked]], prefix: Keys, ranks: Ints, digit: int) -> tuple[Keys, Ints]:
    """One pass: the next 16 bits of every cut's key, and its rank among the keys that share them."""
    classes, width = prefix.shape
    counters = np.zeros((classes, width, _BINS), dtype=np.int64)
    shift = np.uint64(64 - _DIGIT * (digit + 1))
    for block in blocks():
        digits = (block.keys >> shift).astype(np.int64) & (_BINS - 1)
        above = block.keys >> np.uint64(64 - _DIGIT * digit) if digit else np.zeros_like(block.keys)
        for cut in range(width):
            hit = above == prefix[block.classes, cut]
            flat = block.classes[hit] * _BINS + digits[hit]
            counters[:, cut] += np.bincount(flat, minlength=classes * _BINS).reshape(classes, _BINS)
    upto = counters.cumsum(axis=2)
    found = np.minimum((upto <= ranks[:, :, None]).sum(axis=2), _BINS - 1)
    below = np.take_along_axis(upto - counters, found[:, :, None], axis=2)[:, :, 0]
    return (prefix << np.uint64(_DIGIT)) | found.astype(np.uint64), ranks - below


def _tied_positions(blocks: Callable[[], Iterable[Ranked]], keys: Keys, ranks: Ints) -> Ints:
    """Among the rows whose key equals the cut's, the position of the one at the remaining rank."""
    positions = np.zeros(keys.shape, dtype=np.int64)
    left = ranks.copy()
    for block in blocks():
        for (group, cut), key in np.ndenumerate(keys):
            if left[group, cut] < 0:
                continue
            tied = block.positions[(block.keys == key) & (block.classes == group)]
            if len(tied) > left[group, cut]:
                positions[group, cut] = tied[left[group, cut]]
            left[group, cut] -= len(tied)
    return positions


def stratified(counts: Sequence[int], ratios: Sequence[float]) -> list[list[int]]:
    """Share out every class: each cell within 1 of its quota, every class and every part total exact.

    Controlled rounding: cells start at the floor of their quota; the rows still to be given are a flow from classes
    to parts, which has a whole-number solution wherever it has a fractional one.

    >>> stratified([20, 163, 5], [0.8, 0.1, 0.1])
    [[16, 2, 2], [130, 16, 17], [4, 1, 0]]
    """
    totals = sizes(sum(counts), ratios)
    share = [total / max(sum(counts), 1) for total in totals]
    rounding = _Rounding([[count * part for part in share] for count in counts], totals)
    for group, count in enumerate(counts):
        for _ in range(count - sum(rounding.floors[group])):
            rounding.give(group, set())
    return rounding.cells()


class _Rounding:
    """Quotas (class, part) on their way to whole numbers: each cell its floor, and perhaps one more."""

    def __init__(self, quotas: list[list[float]], totals: Sequence[int]) -> None:
        self._quotas = quotas
        self.floors = [[int(quota + 1e-9) for quota in row] for row in quotas]
        self._need = [total - sum(row[part] for row in self.floors) for part, total in enumerate(totals)]
        self._more: set[tuple[int, int]] = set()

    def cells(self) -> list[list[int]]:
        return [
            [floor + ((group, part) in self._more) for part, floor in enumerate(row)] for group, row in enumerate(self.floors)
        ]

    def give(self, group: int, seen: set[int]) -> bool:
        """Give one more row of a class to some part, moving another class's extra row where that makes room."""
        rests = [quota - floor for quota, floor in zip(self._quotas[group], self.floors[group], strict=True)]
        for part in sorted(range(len(rests)), key=lambda part: -rests[part]):
            if part in seen or (group, part) in self._more or rests[part] <= 1e-9:
                continue
            seen.add(part)
            if self._need[part] > 0 or self._make_room(group, part, seen):
                self._need[part] -= 1
                self._more.add((group, part))
                return True
        return False

    def _make_room(self, group: int, part: int, seen: set[int]) -> bool:
        """Move the extra row of another class out of a part that is full."""
        for other in sorted(g for g, p in self._more if p == part and g != group):
            self._more.discard((other, part))
            if self.give(other, seen):
                self._need[part] += 1
                return True
            self._more.add((other, part))
        return False


def grouped(counts: Mapping[str, int], ratios: Sequence[float], seed: int) -> dict[str, int]:
    """Give every group whole to one part, the part totals nearest to the ratios in a random order of the groups.

    >>> sorted(grouped({"a": 5, "b": 5, "c": 5, "d": 5}, [0.5, 0.5], seed=0).values())
    [0, 0, 1, 1]
    """
    salt = seed.to_bytes(8, "little")
    order = sorted(counts, key=lambda name: hashlib.blake2b(name.encode(), key=salt).digest())
    ends = np.cumsum([counts[name] for name in order])
    total = int(ends[-1]) if len(ends) else 0
    targets = np.cumsum(sizes(total, ratios))[:-1]
    borders = [int(np.abs(np.concatenate([[0], ends]) - target).argmin()) for target in targets]
    return {name: sum(index >= border for border in borders) for index, name in enumerate(order)}


def split_of(name: str) -> str | None:
    """The split that a name says, with other words or a number beside it or without.

    >>> split_of("Train"), split_of("valid"), split_of("test_images"), split_of("trainA"), split_of("trains")
    ('train', 'val', 'test', 'train', None)
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    found = {split for word in words if (split := plain_split_of(word))}
    return found.pop() if len(found) == 1 else None


def plain_split_of(name: str) -> str | None:
    """The split that a name is a word for."""
    return _SPLIT_WORDS.get(name.lower())
