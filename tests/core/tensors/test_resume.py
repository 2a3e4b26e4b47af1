"""Passes that stop anywhere and go on: every sample once, in the order that was promised, whatever the ranks and workers."""

import json
import random

import pytest
import torch
from torch.utils.data import DataLoader

from tensorize import prepare, read
from tensorize.core.errors import UsageError
from tensorize.core.tensors.batches import Share
from tensorize.core.tensors.order import BLOCK, WINDOW, order_of

ROWS = 211
ORDERS = [False, True, "block"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("resume") / "t.h5"
    prepare("table", {"x": list(range(ROWS)), "y": list(range(ROWS))}, target="y", task="numbers", scale="none", out=out)
    return out


def seen(batches):
    return [int(row) for _, y in batches for row in y]


def ranks_of(ts, count, state=None, **how):
    made = [
        ts.batches(how.get("size", 7), rank=rank, world_size=count, seed=5, **{k: v for k, v in how.items() if k != "size"})
        for rank in range(count)
    ]
    for batches in made if state is not None else []:
        batches.load_state_dict(json.loads(json.dumps(state)))
    return made


def steps(made, most=None):
    """The rows of each step, of all ranks in their order; and the state after the last."""
    rows, turns = [], [iter(batches) for batches in made]
    while most is None or most > 0:
        got = [next(turn, None) for turn in turns]
        if all(batch is None for batch in got):
            return rows, made[0].state_dict()
        rows.append([int(row) for batch in got if batch is not None for row in batch[1]])
        most = most - 1 if most is not None else None
    return rows, made[0].state_dict()


@pytest.mark.parametrize("shuffle", ORDERS)
def test_a_pass_goes_on_with_the_very_next_sample_on_any_number_of_ranks(path, shuffle):
    rng = random.Random(0)
    with read(path) as ts:
        whole = [seen(ts.batches(7, shuffle=shuffle, seed=5))]
        both = ts.batches(7, shuffle=shuffle, seed=5)
        assert seen(both) == whole[0]
        whole.append(seen(both))
        assert sorted(whole[0]) == sorted(whole[1]) == list(range(ROWS))
        assert (whole[0] == whole[1]) == (shuffle is False)
        for _ in range(50):
            done, state, number = [], None, 0
            while len(done) < ROWS:
                ranks, size = rng.randint(1, 3), rng.randint(1, 40)
                made = ranks_of(ts, ranks, state, shuffle=shuffle, size=size)
                rows, state = steps(made, rng.randint(0, 12))
                done += [row for step in rows for row in step]
                number = state["pass"]
            assert done == whole[0]
            after = ranks_of(ts, rng.randint(1, 3), state, shuffle=shuffle)
            rest, _ = steps(after)
            if number == 1:
                assert rest == []  # all rows are given out, and nobody has asked for the end of the pass
                rest, _ = steps(after)
            assert [row for step in rest for row in step] == whole[1]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("shuffle", ORDERS)
def test_a_pass_goes_on_with_any_number_of_workers(path, shuffle):
    ts = read(path)
    whole = seen(ts.batches(7, shuffle=shuffle, seed=5))
    done, state = [], None
    for workers, most in ((0, 3), (2, 4), (0, 5), (4, 6), (1, 99)):
        batches = ts.batches(7, shuffle=shuffle, seed=5, workers=workers)
        if state is not None:
            batches.load_state_dict(state)
        for _, (_, y) in zip(range(most), batches, strict=False):
            done += y.tolist()
            state = batches.state_dict()
    assert done == whole


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [0, 1, 5, 20, 21, 22, 41, 42, 43])
def test_ranks_cut_what_is_left_evenly(rows, ranks):
    found = [list(Share(7, rank, ranks).steps(0, rows)) for rank in range(ranks)]
    places = sorted(place for each in found for first, stop, _ in each for place in range(first, stop))
    assert places == list(range(rows))
    assert [len(each) for each in found] == [Share(7, rank, ranks).batches(rows) for rank in range(ranks)]
    assert max(map(len, found)) - min(map(len, found)) <= 1
    for number in range(max(map(len, found))):
        sizes = [stop - first for first, stop, _ in (each[number] for each in found if number < len(each))]
        assert max(sizes) - min(sizes) <= 1
    even = [list(Share(7, rank, ranks, drop_last=True).steps(0, rows)) for rank in range(ranks)]
    assert {len(each) for each in even} == {rows // (7 * ranks)}
    assert {stop - first for each in even for first, stop, _ in each} <= {7}


def test_the_state_counts_passes(path):
    with read(path) as ts:
        batches = ts.batches(100, shuffle=True)
        assert (batches.state_dict()["pass"], batches.state_dict()["rows"]) == (1, 0)
        turn = iter(batches)
        next(turn)
        assert (batches.state_dict()["pass"], batches.state_dict()["rows"]) == (1, 100)
        assert len(list(turn)) == 2
        assert (batches.state_dict()["pass"], batches.state_dict()["rows"]) == (2, 0)
        next(iter(batches))
        assert (batches.state_dict()["pass"], batches.state_dict()["rows"]) == (2, 100)
        next(iter(batches))  # a pass that is left alone is not gone on with, unless its state is loaded
        assert (batches.state_dict()["pass"], batches.state_dict()["rows"]) == (3, 100)


@pytest.mark.parametrize(("name", "value"), [("seed", 1), ("shuffle", True), ("num_rows", 5), ("version", 9)])
def test_a_state_of_other_samples_is_refused(path, name, value):
    with read(path) as ts:
        batches = ts.batches(4)
        with pytest.raises(UsageError, match=f"the state has {name} {value}"):
            batches.load_state_dict({**batches.state_dict(), name: value})


@pytest.mark.parametrize(
    ("how", "said"), [({"rank": 2, "world_size": 2}, "no rank 2"), ({"shuffle": "rows"}, "shuffle is 'rows'")]
)
def test_what_makes_no_sense_is_refused(path, how, said):
    with read(path) as ts, pytest.raises(UsageError, match=said):
        ts.batches(4, **how)


def test_a_plain_loader_does_not_repeat_the_rest_of_a_pass_for_ever(path):
    ts = read(path)
    batches = ts.batches(7, shuffle=True)
    batches.load_state_dict({**batches.state_dict(), "rows": 70})
    with pytest.raises(UsageError, match="workers=N"):
        list(DataLoader(batches, batch_size=None, num_workers=1))


@pytest.mark.parametrize("shuffle", ORDERS)
@pytest.mark.filterwarnings("ignore:.set_vital. is deprecated")
@pytest.mark.parametrize("workers", [0, 2])
def test_the_stateful_loader_of_torchdata_goes_on(path, shuffle, workers):
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    ts = read(path)

    def loader():
        torch.manual_seed(3)
        return stateful(ts.batches(7, shuffle=shuffle), batch_size=None, num_workers=workers)

    whole = seen(loader())
    for most in (0, 1, 4, 11, 30):
        first = loader()
        done = [row for _, (_, y) in zip(range(most), first, strict=False) for row in y.tolist()]
        state = first.state_dict()
        after = loader()
        after.load_state_dict(state)
        assert done + seen(after) == whole


@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, BLOCK * WINDOW, BLOCK * WINDOW + 3, 3 * BLOCK * WINDOW - 5])
def test_blocks_are_mixed_and_any_stretch_of_the_order_can_be_had(count):
    order = order_of(count, "block", 7, 2)
    whole = order.rows(0, count)
    assert sorted(whole.tolist()) == list(range(count))
    assert order_of(count, "block", 7, 2).rows(0, count).tolist() == whole.tolist()
    rng = random.Random(count)
    for _ in range(20):
        start = rng.randrange(count + 1)
        stop = rng.randrange(start, count + 1)
        assert order.rows(start, stop).tolist() == whole[start:stop].tolist()
    if count > BLOCK:
        assert order_of(count, "block", 8, 2).rows(0, count).tolist() != whole.tolist()
        assert order_of(count, "block", 7, 3).rows(0, count).tolist() != whole.tolist()
        assert len({int(row) // BLOCK for row in whole[:BLOCK]}) > 1
