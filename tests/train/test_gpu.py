"""The same work on a GPU, where there is one: what is moved there keeps its values, what is trained there works anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tensorize as tz
from tensorize.core.errors import RunError, UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.train import Checkpoint, evaluate, fit, predict
from tensorize.train import plan as planning

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
SETS = ["wine", "houses", "meter", "shapes"]


def made(name: str, **run: Any) -> TensorSet:
    """A sample of each kind, kept compact, so that it is expanded on the device."""
    houses = {"target": "price", "id": "id", "ordinal": "condition:bad<ok<good", "missing": "median", "encode": "ids"}
    meter = {"target": "kwh", "time": "stamp", "step": "1h", "gaps": "interpolate", "window": 48, "horizon": 12}
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "wine": ("wine", "samples/wine-synthetic.csv", {"split": "0.8,0.1,0.1"}),
        "houses": ("table", "samples/houses-synthetic.csv", {**houses, "split": "0.8,0.1,0.1"}),
        "meter": ("series", "samples/meter-synthetic.csv", {**meter, "encode": "index", "split": "0.7,0.15,0.15"}),
        "shapes": ("images", "samples/shapes-synthetic", {"dtype": "uint8", "split": "0.6,0.2,0.2"}),
    }
    kind, source, options = kinds[name]
    return tz.prepare(kind, source, **options, **run)


@pytest.mark.parametrize("name", SETS)
def test_batches_are_expanded_on_the_device_to_the_values_of_the_cpu(name: str, tmp_path: Path) -> None:
    made(name, out=tmp_path / "x.h5")
    with tz.read(tmp_path / "x.h5") as data:
        here, there = (data.batches(7, split="train", shuffle=True, seed=1, device=device) for device in ("cpu", "cuda"))
        for (x, y), (moved, target) in zip(here, there, strict=True):
            assert moved.is_cuda
            assert target.is_cuda
            torch.testing.assert_close(moved.cpu(), x, rtol=1e-6, atol=1e-6)
            assert torch.equal(target.cpu(), y)


@pytest.mark.parametrize(("name", "model"), [("wine", "mlp"), ("houses", "linear"), ("meter", "conv1d"), ("shapes", "resnet")])
def test_what_is_trained_on_the_device_predicts_on_the_cpu(name: str, model: str, tmp_path: Path) -> None:
    data = made(name)
    given = {"precision": "float32", "epochs": 2, "seed": 3}
    history = fit(model, data, device="cuda", out=tmp_path / "m.pt", **given)
    assert history.facts.device.startswith("cuda")
    assert all(np.isfinite(epoch.loss) for epoch in history)
    saved = Checkpoint.load(tmp_path / "m.pt")
    assert not any(value.is_cuda for value in saved.state.values())
    found = [evaluate(saved, data, device=device).metrics for device in ("cuda", "cpu")]
    assert found[0] == pytest.approx(found[1], rel=1e-2, abs=1e-3)


def test_predictions_are_those_of_the_cpu(tmp_path: Path) -> None:
    fit("mlp", made("houses"), device="cuda", epochs=2, precision="float32", out=tmp_path / "m.pt")
    there, here = (predict(tmp_path / "m.pt", "samples/houses-synthetic.csv", device=device) for device in ("cuda", "cpu"))
    assert there.schema == here.schema
    columns = [column for column in here.column_names if column not in ("row", "id")]
    for column in columns:
        np.testing.assert_allclose(there[column].to_numpy(), here[column].to_numpy(), rtol=1e-3)


@pytest.mark.parametrize("budget", [0, 20_000])
def test_what_does_not_fit_the_device_is_streamed_or_kept_as_it_is_stored(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data, given = made("shapes"), {"device": "cuda", "epochs": 2, "precision": "float32", "batch_size": 8}
    resident = fit("cnn", data, **given)
    monkeypatch.setattr(planning, "resident_bytes", lambda device: budget)
    other = fit("cnn", data, **given)
    assert [epoch.loss for epoch in other] == pytest.approx([epoch.loss for epoch in resident], rel=1e-2)


def test_layers_work_in_bfloat16_unless_told_otherwise() -> None:
    seen: list[torch.dtype] = []

    class Seeing(torch.nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            made = super().forward(x)
            seen.append(made.dtype)
            return made

    for precision in ("auto", "float32"):
        seen.clear()
        fit(Seeing(11, 10), made("wine"), device="cuda", epochs=1, precision=precision)
        half = precision == "auto" and torch.cuda.is_bf16_supported()
        assert seen[-1] == (torch.bfloat16 if half else torch.float32)


def test_a_run_goes_on_where_it_was_stopped_on_another_device_too(tmp_path: Path) -> None:
    data, path = made("wine"), tmp_path / "m.pt"
    whole = fit("mlp", data, device="cuda", epochs=4, schedule="constant", precision="float32")

    class Stop(tz.train.Callback):
        def on_epoch_end(self, trainer: Any, epoch: Any) -> None:
            trainer.stopped = epoch.number == 2

    for device in ("cuda", "cpu"):
        given = {"epochs": 4, "schedule": "constant", "precision": "float32", "out": path}
        fit("mlp", data, device="cuda", callbacks=[Stop()], force=True, **given)
        rest = fit("mlp", data, device=device, resume=True, **given)
        assert len(rest) == 4
        assert [epoch.loss for epoch in rest] == pytest.approx([epoch.loss for epoch in whole], rel=1e-2)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=f"this machine has {torch.cuda.device_count()} of that type"):
        fit("linear", made("wine"), device=f"cuda:{torch.cuda.device_count()}")


def test_a_memory_that_is_too_small_is_told_with_the_way_out() -> None:
    data = made("shapes")
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(64 * 2**20 / torch.cuda.mem_get_info()[1])
    try:
        with pytest.raises(RunError, match=r"the memory of cuda is too small(?s:.)*--batch-size below 512"):
            fit("resnet", data, device="cuda", options={"width": 2048}, epochs=1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_training_on_the_cpu_starts_no_gpu() -> None:
    script = """
import torch, tensorize
from tensorize.train import fit
data = tensorize.prepare("wine", "samples/wine-synthetic.csv", split="0.8,0.1,0.1")
fit("linear", data, epochs=1, device="cpu")
assert not torch.cuda.is_initialized()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_training_leaves_the_random_numbers_of_the_device_alone_and_takes_them_from_the_seed() -> None:
    given = {"device": "cuda", "epochs": 1, "precision": "float32", "options": {"dropout": 0.5}}
    losses = []
    for before in (1, 2):
        torch.manual_seed(before)
        state = torch.cuda.get_rng_state()
        losses.append(fit("mlp", made("wine"), **given)[-1].loss)
        assert torch.equal(torch.cuda.get_rng_state(), state)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
