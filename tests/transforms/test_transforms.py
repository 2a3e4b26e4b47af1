"""Transforms on bare tensors: right, equal to the steps of recipes, and fit for models and exported graphs."""

import copy
import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorize import prepare, transforms
from tensorize.core.errors import UsageError
from tensorize.transforms import Fold, Impute, MinMax, OneHot, Ordinal, Vocabulary, Windows, ZScore, one_hot
from tensorize.transforms.impute import Impute as ImputeColumn
from tensorize.transforms.minmax import MinMax as MinMaxColumn
from tensorize.transforms.onehot import OneHot as OneHotColumn
from tensorize.transforms.ordinal import Ordinal as OrdinalColumn
from tensorize.transforms.zscore import ZScore as ZScoreColumn

READY = {
    "ZScore": (ZScore([1.0, 2.0], [3.0, 0.5]), torch.tensor([[1.0, 5.0], [2.0, -1.0]])),
    "MinMax": (MinMax([0.0, 1.0], [2.0, 1.0]), torch.tensor([[1.0, 5.0], [2.0, 1.0]])),
    "OneHot": (OneHot(4, dim=1), torch.tensor([[0, 3], [1, 1]])),
    "Ordinal": (Ordinal([5.0, 1.0, 9.0]), torch.tensor([1.0, 9.0, 5.0])),
    "Impute": (Impute([1.0, 2.0], indicator=True), torch.tensor([[float("nan"), 1.0], [3.0, float("nan")]])),
    "Vocabulary": (Vocabulary(["a", "b"]), ["b", "x", "a"]),
    "Fold": (Fold(2), torch.arange(12.0).reshape(6, 2)),
    "Windows": (Windows(2, horizon=1, stride=2), torch.arange(12.0).reshape(6, 2)),
}
COLUMNS = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6).map(lambda v: v if abs(v) > 1e-9 else 0.0))


def both(result):
    return result if isinstance(result, tuple) else (result,)


def test_every_public_module_is_tested():
    assert set(READY) == set(transforms.__all__) - {"Transform", "one_hot"}
    assert all(getattr(transforms, name).__name__ == name for name in READY)
    with pytest.raises(AttributeError, match="no attribute 'Zscore'"):
        _ = transforms.Zscore


@pytest.mark.parametrize("name", READY)
def test_a_module_is_pickled_and_copied_by_its_name(name):
    transform, x = READY[name]
    for again in (pickle.loads(pickle.dumps(transform)), copy.deepcopy(transform)):
        assert type(again) is getattr(transforms, name)
        for one, other in zip(both(transform(x)), both(again(x)), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", READY)
def test_state_is_json_and_makes_the_same_transform(name):
    transform, x = READY[name]
    again = getattr(transforms, name)(**json.loads(json.dumps(transform.state(), allow_nan=False)))
    assert again.state() == transform.state()
    for one, other in zip(both(transform(x)), both(again(x)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", [name for name, (transform, _) in READY.items() if transform.invertible])
def test_the_inverse_gives_back_what_went_in(name):
    transform, x = READY[name]
    back = transform.inverse(transform(x))
    if name == "Vocabulary":
        assert back == ["b", "<unk>", "a"]
    elif name == "MinMax":
        torch.testing.assert_close(back, x)
    else:
        torch.testing.assert_close(back, x)


@pytest.mark.parametrize("name", ["Impute", "Windows"])
def test_what_has_no_inverse_says_so(name):
    with pytest.raises(UsageError, match="cannot be undone"):
        READY[name][0].inverse(torch.zeros(1))


@pytest.mark.parametrize("name", [name for name in READY if name != "Vocabulary"])
def test_transforms_go_into_exported_graphs(name):
    transform, x = READY[name]
    program = torch.export.export(transform, (x,))
    for one, other in zip(both(program.module()(x)), both(transform(x)), strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)


@pytest.mark.parametrize("name", ["ZScore", "MinMax", "Impute", "Ordinal"])
def test_state_is_in_the_state_dict_and_follows_the_module(name):
    transform, _ = READY[name]
    assert all(value.dtype == torch.float64 for value in transform.state_dict().values())
    assert transform.state_dict()


# equal to the steps of recipes ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(COLUMNS, COLUMNS, st.sampled_from([0, 1]))
def test_zscore_and_minmax_are_those_of_recipes_bit_for_bit(train, other, ddof):
    pairs = [(ZScore(ddof=ddof), ZScoreColumn, {"ddof": str(ddof)}), (MinMax(), MinMaxColumn, {})]
    for transform, column, params in pairs:
        encoder = column.learn(column.statistic(params).update(train), params)
        fitted = transform.fit(torch.from_numpy(train))
        for values in (train, other):
            expected = encoder.encode(pa.array(values))[:, 0]
            np.testing.assert_array_equal(fitted(torch.from_numpy(values)).numpy(), expected)
            back = encoder.decode(expected[:, None]).to_numpy()
            np.testing.assert_array_equal(fitted.inverse(torch.from_numpy(expected)).numpy(), back)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.data())
def test_impute_ordinal_and_one_hot_are_those_of_recipes(values, data):
    holes = [data.draw(st.booleans()) for _ in values]
    if all(holes):
        return
    numbers = [None if hole else float(value) for value, hole in zip(values, holes, strict=True)]
    column, tensor = pa.array(numbers), torch.tensor([float("nan") if value is None else value for value in numbers])
    for policy in ("mean", "median", "mode"):
        params = {"policy": policy, "kind": "float64"}
        statistic = ImputeColumn.statistic(params)
        while statistic is not None:
            done = statistic.update(ImputeColumn.observe_as(column.drop_null(), policy))
            statistic = done.again()
        expected = ImputeColumn.learn(done, params).encode(column)[:, 0]
        np.testing.assert_array_equal(Impute(policy=policy).fit(tensor.double())(tensor.double()).numpy(), expected)
    order = sorted(set(values))
    ranks = OrdinalColumn(order=tuple(map(str, order))).encode(pa.array(list(map(str, values))))[:, 0]
    np.testing.assert_array_equal(Ordinal(order)(torch.tensor(values)).numpy(), ranks)
    np.testing.assert_array_equal(
        one_hot(torch.tensor(values), 10), OneHotColumn(categories=tuple(range(10))).encode(pa.array(values))
    )


def test_a_transform_is_a_step_of_a_recipe(tmp_path):
    table = {"a": [1.0, 2.0, 3.0, 10.0], "b": [0.0, 1.0, 0.0, 1.0]}
    ts = prepare("table", table, step="MinMax:a", raw="b", out=tmp_path / "t.h5")
    plain = prepare("table", table, minmax="a", raw="b")
    assert torch.equal(ts["features"], plain["features"])
    assert torch.equal(ts.recipe.apply(table)["features"], plain["features"])
    assert ts.recipe.inverse(ts).column("a").to_pylist() == pytest.approx(table["a"])
    wide = prepare("table", table, step=["OneHot:b", "Ordinal:a:order=1<2<3<10"])
    assert wide.labels("features", "feature") == ("a", "b=0", "b=1")
    assert wide["features"].tolist() == [[0, 1, 0], [1, 0, 1], [2, 1, 0], [3, 0, 1]]


# each by itself ---------------------------------------------------------------------------------------------------


def test_one_hot_along_any_axis():
    ids = torch.randint(0, 5, (3, 4))
    for dim in (-1, 0, 1, 2, -2):
        made = one_hot(ids, 5, dim=dim)
        assert torch.equal(made.argmax(dim), ids)
        assert made.sum() == ids.numel()
    assert one_hot(ids, 5, dim=1).shape == (3, 5, 4)
    assert one_hot(torch.tensor(2), 3).tolist() == [0, 0, 1]
    assert one_hot(torch.empty(0, dtype=torch.int64), 3).shape == (0, 3)
    assert one_hot(ids, 5, dtype=torch.uint8).dtype == torch.uint8


@pytest.mark.parametrize("ids", [torch.tensor([3]), torch.tensor([-1]), torch.tensor([0.5]), torch.tensor([True])])
def test_ids_that_do_not_fit_are_refused(ids):
    with pytest.raises(UsageError):
        one_hot(ids, 3)


def test_a_time_stamp_is_scaled_to_mean_0_and_std_1():
    x = 1.7e9 + torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scaled = ZScore().fit(x)(x)
    assert abs(scaled.mean()) < 1e-5
    assert abs(scaled.std() - 1) < 1e-5


def test_scaling_is_by_channel_along_axis_1():
    x = torch.randn(7, 3, 5, dtype=torch.float64) * torch.tensor([1.0, 10.0, 100.0])[:, None] + 4
    scaled = ZScore().fit(x)(x)
    torch.testing.assert_close(scaled.mean((0, 2)), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(scaled.transpose(0, 1).reshape(3, -1).std(1), torch.ones(3, dtype=torch.float64))
    with pytest.raises(UsageError, match="3 channels"):
        ZScore().fit(x)(x[:, :2])


def test_min_max_does_not_clip_and_a_constant_is_zero():
    minmax = MinMax().fit(torch.tensor([2.0, 4.0]))
    assert minmax(torch.tensor([1.0, 6.0])).tolist() == [-0.5, 2.0]
    assert MinMax().fit(torch.tensor([3.0, 3.0]))(torch.tensor([3.0, 5.0])).tolist() == [0.0, 2.0]
    assert ZScore().fit(torch.tensor([3.0, 3.0]))(torch.tensor([3.0])).tolist() == [0.0]


def test_integers_become_float32_and_floats_stay_what_they_are():
    assert ZScore(0.0, 1.0)(torch.tensor([1, 2])).dtype == torch.float32
    for dtype in (torch.float16, torch.float32, torch.float64, torch.bfloat16):
        assert ZScore(0.0, 1.0)(torch.tensor([1.0], dtype=dtype)).dtype == dtype


def test_fit_starts_afresh_and_leaves_the_old_one_alone():
    first = ZScore(ddof=0).fit(torch.tensor([0.0, 2.0]))
    second = first.fit(torch.tensor([10.0, 30.0]))
    assert first.state() == {"mean": [1.0], "std": [1.0], "ddof": 0}
    assert second.state() == {"mean": [20.0], "std": [10.0], "ddof": 0}


def test_missing_values_teach_nothing_and_stay_missing():
    x = torch.tensor([1.0, float("nan"), 3.0])
    assert ZScore().fit(x).state()["mean"] == [2.0]
    assert ZScore().fit(x)(x).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("transform", [ZScore(), MinMax(), OneHot(), Ordinal(), Impute()])
def test_what_has_learned_nothing_says_so(transform):
    with pytest.raises(UsageError):
        transform(torch.tensor([1.0]))


def test_impute_policies_and_indicator():
    x = torch.tensor([[1.0, 5.0], [float("nan"), 5.0], [3.0, float("nan")], [8.0, 7.0]])
    assert Impute(policy="mean").fit(x)(x)[1, 0] == 4
    assert Impute(policy="median").fit(x)(x)[1, 0] == 3
    assert Impute(policy="mode").fit(x)(x)[2, 1] == 5
    marked = Impute(policy="median", indicator=True).fit(x)(x)
    assert marked.shape == (4, 4)
    assert marked[:, 2:].tolist() == [[0, 0], [1, 0], [0, 1], [0, 0]]
    with pytest.raises(UsageError, match="without a value"):
        Impute().fit(torch.tensor([float("nan")]))
    with pytest.raises(UsageError, match="no policy"):
        Impute(policy="guess")


def test_a_value_outside_the_order_is_refused():
    with pytest.raises(UsageError, match=r"not in the order: 4\.0"):
        Ordinal([1, 5])(torch.tensor([1.0, 4.0]))
    assert Ordinal().fit(torch.tensor([5.0, 1.0, 5.0])).state() == {"order": [1.0, 5.0]}
    with pytest.raises(UsageError, match="once"):
        Ordinal([1, 1])


def test_a_vocabulary_is_sorted_and_knows_what_it_does_not_know():
    vocabulary = Vocabulary(padded=True).fit(["b", "a", "b", "c"], max_size=2)
    assert vocabulary.symbols == ("<pad>", "<unk>", "a", "b")
    assert vocabulary(["b", "c"]).tolist() == [3, 1]
    assert len(vocabulary) == 4
    with pytest.raises(UsageError):
        vocabulary.inverse(torch.tensor([4]))


def test_a_fold_that_is_not_filled_is_refused():
    with pytest.raises(UsageError, match="7 rows do not fill samples of 3: 1 are left over"):
        Fold(3)(torch.zeros(7, 1))
    with pytest.raises(UsageError):
        Fold(3)(torch.zeros(6))
    with pytest.raises(UsageError):
        Fold(0)


def test_windows_are_those_of_the_series_loader():
    hours = [f"2024-01-01 {hour:02}:00" for hour in range(24)]
    values = [float(hour * hour) for hour in range(24)]
    options = {"time": "at", "scale": "none", "window": 5, "horizon": 2, "stride": 3, "target": "v"}
    ts = prepare("series", {"at": hours, "v": values}, **options)
    x, y = Windows(5, horizon=2, stride=3)(torch.tensor(values)[:, None])
    assert torch.equal(ts["series"], x)
    assert torch.equal(ts["target"], y)
    with pytest.raises(UsageError):
        Windows(5)(torch.zeros(4, 1))


def test_the_fold_is_that_of_the_series_loader():
    values = torch.randn(12, 2)
    ts = prepare("series", {"a": values[:, 0].tolist(), "b": values[:, 1].tolist()}, fold=4, scale="none")
    assert torch.equal(ts["series"], Fold(4)(values))
