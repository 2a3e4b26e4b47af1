"""Samples with several inputs and targets: dicts by name from the file to the model and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pairs
import pytest
import torch
from torch.utils.data import DataLoader

import tensorize
from tensorize.core import registry

ROWS = 64


@pytest.fixture(autouse=True)
def _plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(registry.LOADERS, "pairs", ("pairs:Pairs", "Numbers beside a picture."))
    registry.table.cache_clear()
    yield
    registry.table.cache_clear()


@pytest.fixture(params=["h5", "pt", "memory"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    out = None if request.param == "memory" else tmp_path / f"pairs.{request.param}"
    made = tensorize.prepare("pairs", pairs.raw(ROWS), out=out, split=True)
    return made if out is None else tensorize.read(out)


def test_batches_are_dicts_by_name(data: Any) -> None:
    train = data.split("train")
    inputs, targets = train.batch(slice(0, 4))
    assert {name: tuple(x.shape) for name, x in inputs.items()} == {"features": (4, 3), "image": (4, 1, 4, 4)}
    assert {name: x.dtype for name, x in targets.items()} == {"kind": torch.int64, "size": torch.float32}
    picked, _ = train.batch(np.array([3, 1]))
    assert all(torch.equal(picked[name], inputs[name][[3, 1]]) for name in inputs)
    batches = list(data.batches(5, split="train"))
    for name, whole in train.batch(slice(0, 32))[0].items():
        assert torch.equal(torch.cat([x[name] for x, _ in batches]), whole)
    assert torch.equal(torch.cat([y["size"] for _, y in batches]), data["train/size"])


def test_a_dataset_yields_dicts(data: Any) -> None:
    dataset = data.split("val").dataset()
    inputs, targets = dataset[2]
    assert inputs["image"].shape == (1, 4, 4)
    assert targets["size"] == data["val/size"][2]
    loader = DataLoader(dataset, batch_size=6, num_workers=2)
    found = [y["kind"] for _, y in loader]
    assert torch.equal(torch.cat(found), data["val/kind"])


def test_workers_share_batches_of_dicts_out(data: Any) -> None:
    batches = data.batches(4, split="train", shuffle=True)
    found = [y["size"] for _, y in DataLoader(batches, batch_size=None, num_workers=2)]
    assert sorted(torch.cat(found).tolist()) == sorted(data["train/size"].tolist())


def test_a_recipe_is_applied_to_new_rows_without_targets(data: Any) -> None:
    new = {name: values[:5] for name, values in pairs.raw(ROWS).items() if name not in ("kind", "size")}
    applied = data.recipe.apply(new)
    inputs, target = applied.batch(slice(0, 5))
    assert target is None
    assert torch.equal(inputs["features"], data["train/features"][:5])
    (sample,) = applied.dataset()[0]
    assert sample.keys() == {"features", "image"}
