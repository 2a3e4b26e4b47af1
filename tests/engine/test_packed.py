"""Columns that repeat themselves come back as they were, through memory and through scratch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorize.engine.packed import Packed, repeats
from tensorize.engine.packed import pack as pack_columns
from tensorize.engine.scratch import Spool

ROWS = 5000
LARGEST = np.iinfo(np.int64).max
RNG = np.random.default_rng(3)

SMALL = {
    "hours": pa.array(np.arange(ROWS) * 3_600_000_000).view(pa.timestamp("us")),
    "constant": pa.array([7] * ROWS, pa.int64()),
    "jumps": pa.array(np.where(np.arange(ROWS) < 2000, LARGEST, -LARGEST)),
    "groups": pa.array([f"m{row // 500}" for row in range(ROWS)]),
    "lacking": pa.array([None if row // 1000 % 2 else "" for row in range(ROWS)]),
}
PLAIN = {
    "random": pa.array(RNG.integers(-LARGEST, LARGEST, ROWS)),
    "words": pa.array([f"w{row % 7}" for row in range(ROWS)]),
    "fractions": pa.array(np.zeros(ROWS)),
    "holes": pa.array([None if row == 4000 else row for row in range(ROWS)], pa.int64()),
    "late": pa.array(np.concatenate([np.arange(1024), RNG.integers(0, 9, ROWS - 1024)])),
}


def pack(batch: pa.RecordBatch) -> Packed:
    return pack_columns(dict(zip(batch.schema.names, batch.columns, strict=True)))


@pytest.mark.parametrize("name", SMALL | PLAIN)
def test_a_column_comes_back(name):
    column = (SMALL | PLAIN)[name]
    batch = pa.record_batch({name: column})
    packed = pack(batch)
    assert (name in packed.small) == (name in SMALL)
    assert packed.unpacked().equals(batch)


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_few_rows(rows):
    batch = pa.record_batch(SMALL | PLAIN).slice(5, rows)
    assert pack(batch).unpacked().equals(batch)


cell_runs = st.lists(st.tuples(st.sampled_from(["", "a", "b", "ab", "ba", "aba", "é", None]), st.integers(1, 60)), max_size=6)


@given(cell_runs, st.integers(0, 30))
def test_runs_of_text_are_those_of_arrow(drawn, first):
    cells = pa.array([cell for cell, count in drawn for _ in range(count)], pa.string())[first:]
    expected, found = pc.run_end_encode(cells), repeats(cells)
    assert found.ends.to_pylist() == expected.run_ends.to_pylist()
    assert found.cells.equals(expected.values)


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_a_spool_gives_back_all_columns_or_some(memory):
    batches = [pa.record_batch(SMALL | PLAIN), pa.record_batch(PLAIN).slice(7, 100), pa.record_batch(SMALL)]
    spool = Spool(memory=memory)
    for batch in batches:
        spool.append(pack(batch))
    assert all(found.equals(batch) for found, batch in zip(spool, batches, strict=True))
    assert spool.get(0, {"hours", "words"}).equals(batches[0].select(["hours", "words"]))
    assert spool.get(2, {"groups"}).equals(batches[2].select(["groups"]))
    spool.close()


def test_what_is_packed_takes_bounded_memory():
    batch = pa.record_batch({"groups": pa.array([f"{row // 20:06}" for row in range(ROWS)])})
    assert pack(batch).small
    spool = Spool(memory=3 * pack(batch).nbytes)
    for _ in range(10):
        spool.append(pack(batch))
    assert sum(bool(packed.small) for packed, _ in spool._items) == 3
    assert all(found.equals(batch) for found in spool)
    spool.close()
