"""Statistics: right to the last bits that float64 can hold, the same however they are merged, and plain JSON."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorize.core.contracts import BLOCK_ROWS
from tensorize.engine.gather import gather
from tensorize.engine.threads import ThreadEngine
from tensorize.statistics.categories import Categories
from tensorize.statistics.extremes import Extremes
from tensorize.statistics.histograms import Histogram
from tensorize.statistics.moments import Moments
from tensorize.statistics.nulls import Nulls
from tensorize.statistics.quantiles import Quantiles
from tensorize.statistics.vocabulary import VocabularyCounts

RNG = np.random.default_rng(20261123)
NUMBERS = st.floats(-1e9, 1e9).map(lambda value: value if abs(value) > 1e-100 else 0.0)
FLOATS = st.floats(-1e300, 1e300, allow_nan=False, allow_subnormal=False)


def gathered(statistic, values, size=BLOCK_ROWS):
    """One statistic over values, a block at a time, in as many passes as it wants."""
    return gather(
        ThreadEngine(2),
        {"x": statistic},
        lambda: (values[at : at + size] for at in range(0, max(len(values), 1), size)),
        lambda block, keys: dict.fromkeys(keys, block),
    )["x"]


def exact(values, ddof=1):
    """Mean and standard deviation in float128, with compensation for the mean."""
    wide = values.astype(np.longdouble)
    mean = wide.mean()
    mean += (wide - mean).mean()
    return mean, np.sqrt(((wide - mean) ** 2).sum() / (len(values) - ddof))


HOSTILE = {
    "time stamps": 1.7e9 + RNG.normal(size=300_000),
    "time stamps, narrow": 1.7e9 + RNG.integers(0, 2, 300_000).astype(float),
    "tiny": 1e-30 * RNG.normal(size=100_000),
    "huge": 1e30 * RNG.normal(size=100_000),
    "mixed signs": RNG.normal(size=200_000) * 10.0 ** RNG.integers(-10, 10, 200_000),
    "an outlier first": np.concatenate([[1e6], RNG.normal(size=200_000)]),
    "an outlier last": np.concatenate([RNG.normal(size=200_000), [1e6]]),
    "sorted": np.sort(RNG.normal(5, 1, size=200_000)),
    "a step in the middle": np.concatenate([np.zeros(100_000), np.full(100_000, 1e5)]) + RNG.normal(size=200_000),
    "two values": np.array([1.0, 2.0]),
    "spread at the limit": 1e10 + RNG.normal(size=100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_mean_and_std_meet_the_promised_bound(name):
    values = HOSTILE[name]
    mean, std = exact(values)
    found = gathered(Moments(), values)
    assert found.count == len(values)
    assert abs(found.mean - mean) <= max(1e-12 * max(std, np.spacing(abs(float(mean)))), np.spacing(abs(float(mean))) / 2)
    assert abs(found.std() - std) <= 1e-12 * std
    assert abs(found.std(0) - exact(values, 0)[1]) <= 1e-12 * std


@settings(max_examples=80, deadline=None)
@given(hnp.arrays(np.float64, st.integers(2, 300), elements=NUMBERS), st.integers(1, 50))
def test_moments_of_any_numbers_in_any_blocks(values, size):
    mean, std = exact(values)
    found = gathered(Moments(), values, size)
    assert abs(found.mean - mean) <= 1e-12 * max(std, abs(mean) * 1e-3)
    if std > 1e-10 * abs(mean):
        assert abs(found.std() - std) <= 1e-10 * std


def test_a_constant_column_has_a_std_of_exactly_zero():
    for value in (0.1, 1.7e9 + 0.3, -1e-300, 3.0):
        assert gathered(Moments(), np.full(200_000, value)).std() == 0
        assert gathered(Moments(), np.full(200_000, value)).mean == value


def test_too_few_values_have_no_spread():
    assert (Moments().mean, Moments().std()) == (0.0, 0.0)
    one = Moments().update(np.array([5.0]))
    assert (one.mean, one.std(), one.std(0)) == (5.0, 0.0, 0.0)


def blocks_of(statistic):
    """Blocks that a statistic takes."""
    if isinstance(statistic, Categories):
        return [pa.array(part) for part in (["b", "a"], ["a"], ["c", "a", "b"])]
    if isinstance(statistic, VocabularyCounts):
        return [{"b": 2, "a": 1}, {"a": 4}, {"c": 1}]
    if isinstance(statistic, Histogram):
        return [RNG.integers(0, 256, (count, 3, 4, 5), dtype=np.uint8) for count in (2, 1, 3)]
    return [RNG.normal(size=count) for count in (1000, 1, 77)]


STATISTICS = [Moments(), Extremes(), Quantiles(), Categories(), VocabularyCounts(), Histogram.empty(3, 256)]


@pytest.mark.parametrize("empty", STATISTICS, ids=lambda item: type(item).__name__)
def test_update_is_a_merge_and_json_is_the_whole_state(empty):
    blocks = blocks_of(empty)
    sequential = empty
    for block in blocks:
        sequential = sequential.update(block)
    merged = empty
    for block in blocks:
        merged = merged.merge(merged.fresh().update(block))
    text = json.dumps(sequential.to_json(), allow_nan=False)
    assert json.dumps(merged.to_json()) == text
    back = type(empty).from_json(json.loads(text))
    assert json.dumps(back.to_json()) == text
    assert json.dumps(back.update(blocks[0]).to_json()) == json.dumps(sequential.update(blocks[0]).to_json())
    assert json.dumps(empty.to_json()) == json.dumps(type(empty).from_json(empty.to_json()).to_json())


@pytest.mark.parametrize("empty", STATISTICS, ids=lambda item: type(item).__name__)
def test_a_statistic_is_frozen(empty):
    before = json.dumps(empty.to_json())
    empty.update(blocks_of(empty)[0])
    assert json.dumps(empty.to_json()) == before
    with pytest.raises(AttributeError):
        empty.anything = 1


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 40), elements=FLOATS), st.integers(1, 9))
def test_the_median_is_exact(values, size):
    found = gathered(Quantiles(), values, size)
    low, high = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]]
    assert found.median == low + (high - low) / 2 or found.median == (low + high) / 2


def test_the_median_of_many_equal_and_signed_zeros():
    assert gathered(Quantiles(), np.array([-0.0, 0.0, 0.0])).median == 0
    assert gathered(Quantiles(), np.array([5.0] * 100_000 + [1.0])).median == 5
    assert math.isnan(gathered(Quantiles(), np.empty(0)).median)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 40), elements=FLOATS), st.integers(1, 9))
def test_extremes(values, size):
    found = gathered(Extremes(), values, size)
    assert (found.count, found.minimum, found.maximum) == (len(values), values.min(), values.max())


def test_categories_are_sorted_as_what_they_are_and_stop_at_the_limit():
    numbers = Categories().update(pa.array([10, 9, 100, 9]))
    assert numbers.values == (9, 10, 100)
    assert numbers.mode == 9
    words = Categories(limit=2).update(pa.array(["b", "a", "b"]))
    assert (words.values, words.mode, words.overflowed) == (("a", "b"), "b", False)
    assert words.update(pa.array(["c"])).overflowed
    assert words.update(pa.array(["c"])).update(pa.array(["a"])).overflowed


def test_a_tie_of_modes_goes_to_the_smallest():
    assert Categories().update(pa.array([3, 1, 3, 1, 2])).mode == 1


def test_histograms_give_the_exact_mean_and_std_of_pixels():
    images = RNG.integers(0, 256, (50, 3, 9, 7), dtype=np.uint8)
    found = Histogram.empty(3, 256).update(images[:20]).update(images[20:])
    pixels = images.swapaxes(0, 1).reshape(3, -1) / 255
    np.testing.assert_allclose(found.mean(255), pixels.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(found.std(255), pixels.std(axis=1, ddof=1), rtol=1e-13)


def test_histograms_of_sixteen_bits():
    images = RNG.integers(0, 65536, (5, 1, 30, 30), dtype=np.uint16)
    found = Histogram.empty(1, 65536).update(images)
    np.testing.assert_allclose(found.mean(65535), [images.mean() / 65535], rtol=1e-14)


def test_a_vocabulary_keeps_the_most_frequent_the_first_where_they_tie():
    found = VocabularyCounts().update({"d": 3, "c": 2, "b": 2, "a": 1})
    assert found.words(max_size=2) == ("b", "d")
    assert found.words(min_count=2) == ("b", "c", "d")
    assert VocabularyCounts().update(pa.array(["x", "y", "x"])).counts == {"x": 2, "y": 1}


@given(st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=60), st.integers(1, 7))
def test_nulls_are_counted_in_any_blocks(values, size):
    found = gathered(Nulls(), pa.array(values, pa.int64()), size)
    assert found.count == values.count(None)
    assert Nulls.from_json(found.to_json()) == found
