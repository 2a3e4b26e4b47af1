"""Samples with several inputs and targets: dicts by name from the file to the model and back."""

from __future__ import annotations

import re
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
from tensorize.core.errors import UsageError
from tensorize.train import Callback, Checkpoint, evaluate, fit, predict

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


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.LOADERS, "pairs", ("pairs:Pairs", "Numbers beside a picture."))
        registry.table.cache_clear()
        path = tmp_path_factory.mktemp("several") / "pairs.h5"
        tensorize.prepare("pairs", pairs.raw(400), out=path, split=True)
        yield path


SETTINGS: dict[str, Any] = {"device": "cpu", "epochs": 15, "lr": 0.02, "batch_size": 20}


@pytest.mark.parametrize("model", ["pairs:Both", "pairs:InOrder"])
def test_a_model_takes_inputs_and_gives_targets_by_name(prepared: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "model.pt"
    history = fit(model, prepared, out=out, **SETTINGS)
    assert history[-1].loss < history[0].loss
    assert set(history[-1].val) == {"loss", "kind_accuracy", "kind_macro_f1", "size_mae", "size_rmse", "size_r2"}
    assert set(history.facts.trivial) == set(history[-1].val) - {"loss"}
    assert history.facts.trivial_is.startswith("kind: always")
    found = evaluate(out, prepared, device="cpu")
    assert found.metrics["size_mae"] < found.trivial["size_mae"] / 2
    assert found.metrics["kind_accuracy"] > found.trivial["kind_accuracy"]
    assert set(found.per_class) == {"kind=round", "kind=square"}
    assert found.confusion == ()


def test_predictions_have_the_columns_of_each_target(prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    fit("pairs:Both", prepared, out=out, **SETTINGS)
    new = pairs.raw(400)
    found = predict(out, {name: new[name][300:] for name in ("x", "image")}, device="cpu")
    assert found.column_names == ["row", "kind", "p(kind=round)", "p(kind=square)", "size"]
    right = np.mean(np.array(found["kind"]) == np.array(new["kind"][300:]))
    assert right == evaluate(out, prepared, device="cpu").metrics["kind_accuracy"]
    assert abs(np.array(found["size"]) - np.array(new["size"][300:])).mean() < 20


def test_a_module_of_ones_own_and_a_loss_of_ones_own(prepared: Path) -> None:
    module = pairs.Both({"features": (3,), "image": (1, 4, 4)}, {"kind": 2, "size": 1})
    seen = []

    def loss(output: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append((output.keys(), target.keys()))
        return ((output["size"] - target["size"]) ** 2).mean()

    history = fit(module, prepared, loss=loss, **SETTINGS | {"epochs": 2})
    assert seen[0] == ({"kind": 0, "size": 0}.keys(), {"kind": 0, "size": 0}.keys())
    assert history.checkpoint.inputs == {"features": (3,), "image": (1, 4, 4)}
    assert history.checkpoint.outputs == {"kind": 2, "size": 1}


def test_a_checkpoint_is_read_and_resumed(prepared: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.pt", tmp_path / "model.pt"
    fit("pairs:Both", prepared, out=whole, **SETTINGS | {"epochs": 4})
    with pytest.raises(KeyboardInterrupt):
        fit("pairs:Both", prepared, out=out, callbacks=[Stop(2)], **SETTINGS | {"epochs": 4})
    history = fit("pairs:Both", prepared, out=out, resume=True, **SETTINGS | {"epochs": 4})
    expected, found = Checkpoint.load(whole), history.checkpoint
    assert Checkpoint.load(out).inputs == {"features": (3,), "image": (1, 4, 4)}
    assert Checkpoint.load(out).task == expected.task
    assert all(torch.equal(found.state[name], value) for name, value in expected.state.items())


class Stop(Callback):
    """Stands for Ctrl-C after so many epochs."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_epoch_begin(self, trainer: Any) -> None:
        if trainer.epoch == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("budget", [0, 10_000])
def test_streamed_and_compact_rows_train_to_the_same_weights(
    prepared: Path, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit("pairs:Both", prepared, **SETTINGS | {"epochs": 2}).checkpoint
    monkeypatch.setattr("tensorize.train.plan.resident_bytes", lambda device: budget)
    found = fit("pairs:Both", prepared, **SETTINGS | {"epochs": 2}).checkpoint
    assert all(torch.equal(found.state[name], value) for name, value in expected.state.items())


class Features(pairs.Both):
    """Takes one of the two inputs."""

    def forward(self, features: torch.Tensor) -> Any:
        return {"size": features[:, :1]}


class Half(pairs.Both):
    """Gives one of the two targets."""

    def forward(self, features: torch.Tensor, image: torch.Tensor) -> Any:
        return {"size": features[:, :1]}


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        ("mlp", {}, "the model mlp has one input and one target, and this file has features, image"),
        ("pairs:Both", {"best_by": "metric"}, "--best-by metric needs one target, and there are 2"),
        ("pairs:Both", {"flip": True}, "--flip and --shift are for images alone"),
        ("pairs:Both", {"loss": "MSELoss"}, 'MSELoss compares numbers, and the target "kind" is a class index'),
        (Features, {}, "does not take features: rows of feature 3; image: rows of channel 1, height 4, width 4"),
        (Half, {}, "does not give one output for each of the targets kind, size"),
    ],
)
def test_what_does_not_fit_is_refused(prepared: Path, model: Any, settings: dict[str, Any], words: str) -> None:
    made = model if isinstance(model, str) else model({"features": (3,), "image": (1, 4, 4)}, {"kind": 2, "size": 1})
    with pytest.raises(UsageError, match=re.escape(words)):
        fit(made, prepared, **SETTINGS | settings)


def test_several_targets_have_no_graph(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from tensorize.train.export import export_onnx

    checkpoint = fit("pairs:Both", prepared, **SETTINGS | {"epochs": 1}).checkpoint
    with pytest.raises(UsageError, match="several targets"):
        export_onnx(checkpoint, tmp_path / "model.onnx")
