"""Splits: exact sizes, the same rows for the same seed, whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorize import UsageError, prepare
from tensorize.core.splits import Ranked, find_cuts, grouped, hash_keys, sizes, stratified, value_keys

RATIOS = st.lists(st.integers(1, 100), min_size=2, max_size=3).map(lambda parts: [part / sum(parts) for part in parts])


def parts_of(keys, classes, counts, block):
    rows = np.arange(len(keys))

    def blocks():
        for start in range(0, len(keys), block):
            part = slice(start, start + block)
            yield Ranked(keys[part], rows[part], classes[part])

    cuts = find_cuts(blocks, counts)
    return np.concatenate([cuts.parts(block) for block in blocks()])


def test_sizes_are_exact_and_share_the_remainder():
    assert sizes(4898, [0.8, 0.1, 0.1]) == [3918, 490, 490]
    assert sizes(3, [0.5, 0.5]) == [2, 1]


@given(st.integers(0, 10_000), RATIOS)
def test_sizes_sum_to_the_total_and_stay_within_one(total, ratios):
    counts = sizes(total, ratios)
    assert sum(counts) == total
    assert all(abs(count - total * ratio) < 1 + 1e-6 for count, ratio in zip(counts, ratios, strict=True))


def test_a_hash_split_has_exact_sizes_and_does_not_depend_on_the_blocks():
    rows = np.arange(10_000)
    keys, classes = hash_keys(7, rows), np.zeros(len(rows), dtype=np.int64)
    whole = parts_of(keys, classes, {0: [8000, 1000, 1000]}, len(rows))
    assert np.bincount(whole).tolist() == [8000, 1000, 1000]
    assert (parts_of(keys, classes, {0: [8000, 1000, 1000]}, 77) == whole).all()
    assert not (parts_of(hash_keys(8, rows), classes, {0: [8000, 1000, 1000]}, 77) == whole).all()


def test_train_is_the_rows_of_the_smallest_hashes():
    rows = np.arange(1000)
    keys = hash_keys(0, rows)
    part = parts_of(keys, np.zeros(1000, dtype=np.int64), {0: [800, 200]}, 100)
    assert set(np.argsort(keys)[:800]) == set(np.flatnonzero(part == 0))


def test_hashes_never_tie():
    assert len(np.unique(hash_keys(3, np.arange(1_000_000)))) == 1_000_000


@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=200))
def test_value_keys_keep_the_order_of_floats(values):
    array = np.array(values)
    keys = value_keys(array)
    order = np.argsort(array, kind="stable")
    assert (np.diff(keys[order].astype(object)) >= 0).all()
    assert (keys[array == 0] == value_keys(np.zeros(1))[0]).all()


def test_ties_by_value_go_in_source_order():
    values = np.array([5, 1, 5, 5, 1, 5, 9], dtype=np.int64)
    part = parts_of(value_keys(values), np.zeros(7, dtype=np.int64), {0: [4, 3]}, 2)
    assert part.tolist() == [0, 0, 0, 1, 0, 1, 1]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), RATIOS)
def test_stratified_counts_are_exact_and_within_one_of_their_quota(counts, ratios):
    cells = stratified(counts, ratios)
    totals = sizes(sum(counts), ratios)
    assert [sum(row) for row in cells] == counts
    assert [sum(column) for column in zip(*cells, strict=True)] == totals
    share = [total / max(sum(counts), 1) for total in totals]
    for row, count in zip(cells, counts, strict=True):
        assert all(abs(cell - count * part) < 1 + 1e-6 for cell, part in zip(row, share, strict=True))


def test_stratified_cuts_hold_in_every_class():
    rows = np.arange(5000)
    classes = (rows % 3 == 0).astype(np.int64)
    cells = stratified(np.bincount(classes).tolist(), [0.8, 0.1, 0.1])
    part = parts_of(hash_keys(1, rows), classes, dict(enumerate(cells)), 640)
    assert [np.bincount(part[classes == index], minlength=3).tolist() for index in (0, 1)] == cells


def test_groups_stay_whole_and_near_the_ratio():
    counts = {f"g{index}": index % 7 + 1 for index in range(200)}
    part = grouped(counts, [0.8, 0.1, 0.1], seed=0)
    totals = [sum(rows for name, rows in counts.items() if part[name] == index) for index in range(3)]
    goal = sizes(sum(counts.values()), [0.8, 0.1, 0.1])
    assert all(abs(total - wanted) <= 7 for total, wanted in zip(totals, goal, strict=True))


@pytest.mark.parametrize("counts", [{0: [3, 0]}, {0: [0, 3]}])
def test_an_empty_part_is_possible(counts):
    keys = hash_keys(0, np.arange(3))
    assert np.bincount(parts_of(keys, np.zeros(3, dtype=np.int64), counts, 3), minlength=2).tolist() == counts[0]


def test_a_single_number_is_no_split_and_the_error_says_what_is() -> None:
    with pytest.raises(UsageError, match="two ratios"):
        prepare("table", {"x": [1.0, 2.0]}, split=0.5)
