"""Losses and the targets that they are made for: what a model is trained on, and what its predictions are."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Command
from torch import nn
from torch.nn import functional

import tensorize as tz
from tensorize import TensorizeError, UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.train import Checkpoint, History, evaluate, fit, predict
from tensorize.train.task import on_simplex

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
YES = X[:, 0] + 0.3 * RNG.normal(size=120) > 0
TARGETS = {
    "binary": YES.astype(float),
    "counts": RNG.poisson(np.exp(X[:, 0])).astype(float),
    "real": 3 * X[:, 0] - 5,
    "sign": np.where(YES, 1.0, -1.0),
}
LOSSES = sorted(name for name in vars(nn) if name.endswith("Loss"))


def prepared(values: Any, **options: Any) -> TensorSet:
    rows = {"a": list(X[:, 0]), "b": list(X[:, 1]), "y": list(values)}
    return tz.prepare("table", rows, target="y", split="0.6,0.2,0.2", **options)


def numbers(kind: str, **options: Any) -> TensorSet:
    return prepared(TARGETS[kind], task="numbers", **options)


def trained(data: TensorSet, loss: Any, epochs: int = 40, **more: Any) -> History:
    return fit("linear", data, loss=loss, epochs=epochs, lr=0.05, device="cpu", **more)


def predictions(history: History) -> torch.Tensor:
    """(row, 1) of two rows far apart."""
    found = predict(history.checkpoint, {"a": [-1.5, 1.5], "b": [0.0, 0.0]})
    return torch.tensor([list(row.values())[1:] for row in found.to_pylist()])


def test_targets_of_bce_stay_0_and_1_and_predictions_are_probabilities() -> None:
    data = numbers("binary")
    history = trained(data, "BCEWithLogitsLoss")
    assert not history.checkpoint.task.scaled
    assert all(epoch.loss > 0 for epoch in history)
    low, high = predictions(history)[:, 0].tolist()
    assert 0 < low < 0.5 < high < 1
    assert any("predictions are probabilities" in note for note in history.notes)
    with torch.no_grad():
        logits = history.checkpoint.build()(data["test/features"])[:, 0]
    found = evaluate(history.checkpoint, data, device="cpu")
    assert found.metrics["loss"] == pytest.approx(
        functional.binary_cross_entropy_with_logits(logits, data["test/target"]).item()
    )
    assert found.metrics["mae"] == pytest.approx((logits.sigmoid() - data["test/target"]).abs().mean().item())


@pytest.mark.parametrize(
    ("loss", "kind", "low", "high"),
    [
        ("PoissonNLLLoss", "counts", 0.0, 1.0),
        ("SoftMarginLoss", "sign", -1.0, -0.5),
        ("MultiLabelSoftMarginLoss", "binary", 0.0, 0.2),
        (nn.BCEWithLogitsLoss(), "binary", 0.0, 0.2),
        (functional.binary_cross_entropy_with_logits, "binary", 0.0, 0.2),
        (functional.poisson_nll_loss, "counts", 0.0, 1.0),
    ],
)
def test_predictions_are_in_the_targets_units(loss: Any, kind: str, low: float, high: float) -> None:
    if loss == "MultiLabelSoftMarginLoss":
        rows = {"a": list(X[:, 0]), "b": list(X[:, 1]), "y": list(YES * 1.0), "z": list(1.0 - YES)}
        history = trained(tz.prepare("table", rows, target="y,z", task="numbers", split="0.6,0.2,0.2"), loss)
    else:
        history = trained(numbers(kind), loss)
    assert low < predictions(history)[0, 0] < high < predictions(history)[1, 0]


@pytest.mark.parametrize(
    ("loss", "kind", "said", "hint"),
    [
        ("BCEWithLogitsLoss", "real", 'takes targets from 0 to 1, and "y" goes from -', "omit --loss"),
        ("PoissonNLLLoss", "real", 'takes targets of 0 or more, and "y" goes from -', "omit --loss"),
        ("SoftMarginLoss", "binary", 'takes targets -1 or 1, and "y" goes from 0 to 1', "say --loss BCEWithLogitsLoss"),
        ("BCELoss", "binary", "takes probabilities for outputs", "say --loss BCEWithLogitsLoss"),
        ("KLDivLoss", "binary", "takes logarithms of probabilities for outputs", "omit --loss"),
        ("PoissonNLLLoss:log_input=false", "counts", "takes rates of 0 or more for outputs", "say --loss PoissonNLLLoss"),
        ("HingeEmbeddingLoss", "sign", "takes distances for outputs", "omit --loss"),
        ("MSELoss:reduction=none", "real", "is no single number", "omit its reduction, or say reduction=mean"),
    ],
)
def test_targets_and_outputs_that_a_loss_is_not_made_for_are_refused(loss: str, kind: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        trained(numbers(kind), loss)
    assert f"{loss.partition(':')[0]} {said}" in caught.value.what
    assert caught.value.hint == hint


def test_a_target_that_the_file_has_scaled_is_named() -> None:
    with pytest.raises(UsageError, match="takes targets from 0 to 1") as caught:
        trained(numbers("binary", zscore="y"), "BCEWithLogitsLoss")
    assert caught.value.hint == "prepare the file again without scaling the target, or omit --loss"
    low, high = predictions(trained(numbers("binary", minmax="y"), "BCEWithLogitsLoss"))[:, 0].tolist()
    assert 0 < low < 0.5 < high < 1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", [*TARGETS, "classes", "one-hot"])
def test_every_loss_of_torch_is_trained_or_refused(loss: str, kind: str) -> None:
    classes = np.where(YES, "yes", "no")
    data = numbers(kind) if kind in TARGETS else prepared(classes, **({"onehot": "y"} if kind == "one-hot" else {}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = trained(data, loss, epochs=2)
    except TensorizeError:
        return
    assert all(math.isfinite(epoch.loss) for epoch in history)
    assert evaluate(history.checkpoint, data, device="cpu").rows == 24
    found = predict(history.checkpoint, {"a": [-1.5, 1.5], "b": [0.0, 0.0]}).to_pylist()
    if kind not in TARGETS:
        assert [row["p(no)"] + row["p(yes)"] for row in found] == pytest.approx([1, 1])


@pytest.mark.parametrize("loss", ["MSELoss", "BCEWithLogitsLoss", "L1Loss", "CrossEntropyLoss"])
def test_probabilities_of_one_hot_targets_are_what_the_loss_makes_of_the_outputs(loss: str) -> None:
    history = trained(prepared(np.where(YES, "yes", "no"), onehot="y"), loss)
    no, yes = predict(history.checkpoint, {"a": [-1.5, 1.5], "b": [0.0, 0.0]}).column("p(yes)").to_pylist()
    assert no < 0.5 < yes


def test_outputs_become_the_nearest_probabilities() -> None:
    values = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) * 2
    found = on_simplex(values)
    torch.testing.assert_close(found.sum(1), torch.ones(200))
    assert (found >= 0).all()
    assert torch.equal(found.argmax(1), values.argmax(1))
    shift = values - found
    inside = found > 0
    assert all(row[keep].std(correction=0) < 1e-5 for row, keep in zip(shift, inside, strict=True))


def test_windows_of_counts(tmp_path: Path) -> None:
    days = [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(200)]
    rows = {"t": days, "n": RNG.poisson(4, 200).astype(float)}
    data = tz.prepare("series", rows, time="t", step="1d", window=4, horizon=2, target="n", gaps="ffill", split="0.6,0.2,0.2")
    history = fit("conv1d", data, loss="PoissonNLLLoss", epochs=3, device="cpu", out=tmp_path / "m.pt")
    assert not history.checkpoint.task.scaled
    found = predict(tmp_path / "m.pt", rows)
    assert all(value > 0 for value in found.column("n+1").to_pylist())


def test_the_link_is_kept_in_the_file_and_in_the_graph(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from tensorize.train.export import export_onnx

    history = trained(numbers("binary"), "BCEWithLogitsLoss", out=tmp_path / "m.pt")
    again = Checkpoint.load(tmp_path / "m.pt")
    assert again.task == history.checkpoint.task
    assert torch.equal(predictions(history), torch.tensor([[row["y"]] for row in _two(again)]))
    assert export_onnx(again, tmp_path / "m.onnx").difference < 1e-5
    one_hot = trained(prepared(np.where(YES, "yes", "no"), onehot="y"), "MSELoss")
    assert export_onnx(one_hot.checkpoint, tmp_path / "c.onnx").difference < 1e-5


def _two(checkpoint: Checkpoint) -> list[dict[str, float]]:
    found: list[dict[str, float]] = predict(checkpoint, {"a": [-1.5, 1.5], "b": [0.0, 0.0]}).to_pylist()
    return found


def test_a_model_with_the_usual_outputs_reads_as_before() -> None:
    plain = trained(numbers("real"), None, epochs=1).checkpoint._to_plain()
    assert plain["tensorize_model"] == 1
    assert "link" not in plain["task"]
    linked = trained(numbers("binary"), "BCEWithLogitsLoss", epochs=1).checkpoint._to_plain()
    assert linked["tensorize_model"] == 3
    assert linked["task"]["link"] == "sigmoid"


def test_the_command_says_what_predictions_are(warm: Command, tmp_path: Path) -> None:
    numbers("binary", out=tmp_path / "a.h5")
    said = warm("train", "a.h5", "--model", "linear", "--loss", "BCEWithLogitsLoss", "--epochs", "2", "-o", "m.pt")
    assert said.returncode == 0, said.stderr
    assert "note: BCEWithLogitsLoss: the target is not scaled (--target-scale none)" in said.stdout
    refused = warm("train", "a.h5", "--model", "linear", "--loss", "SoftMarginLoss", "-o", "n.pt")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].strip() == "say --loss BCEWithLogitsLoss"
