"""How long a run is where nobody has said it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorize as tz
from tensorize.core.tensorset import TensorSet
from tensorize.train import evaluate, fit


def line(rows: int, split: str = "0.8,0.1,0.1", **options: Any) -> TensorSet:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    y = 100 * (x @ [1.0, -2.0, 0.5]) + 20 * rng.normal(size=rows)
    columns = {name: list(x[:, at]) for at, name in enumerate("abc")}
    return tz.prepare("table", {**columns, "y": list(y)}, target="y", split=split, **options)


@pytest.mark.parametrize("rows", [60, 400])
def test_a_small_table_is_learned_by_default(rows: int) -> None:
    data = line(rows)
    history = fit("linear", data, device="cpu")
    assert history.checkpoint.settings.epochs == {60: 300, 400: 200}[rows]
    assert history.checkpoint.settings.lr == 0.03
    assert evaluate(history.checkpoint, data, device="cpu").metrics["r2"] > 0.9
    assert any("(--epochs N for another number)" in note for note in history.notes)


def test_a_large_table_has_20_epochs_as_ever() -> None:
    history = fit("linear", line(4000), device="cpu")
    assert (history.checkpoint.settings.epochs, history.checkpoint.settings.lr) == (20, 3e-3)
    assert not any("--epochs N" in note for note in history.notes)


def test_what_is_said_holds() -> None:
    data = line(60)
    found = fit("linear", data, epochs=20, device="cpu").checkpoint.settings
    assert (found.epochs, found.lr) == (20, 3e-3)
    assert fit("linear", data, lr=0.001, device="cpu").checkpoint.settings.lr == 0.001
    assert fit("linear", data, optimizer="SGD", device="cpu").checkpoint.settings.lr == 3e-3


def test_without_val_only_a_model_that_cannot_learn_too_well_runs_longer() -> None:
    data = line(60, split="0.8,0.2")
    assert len(fit("mlp", data, device="cpu")) == 20
    assert len(fit("linear", data, device="cpu")) == 300


def test_a_model_whose_steps_are_long_has_20_epochs() -> None:
    assert fit("mlp", line(60), options={"hidden": [2048, 2048]}, device="cpu").checkpoint.settings.epochs == 20


def test_a_run_that_could_go_on_says_so(tmp_path: Any) -> None:
    data = line(400)
    found = fit("linear", data, epochs=3, device="cpu", out=tmp_path / "m.pt")
    assert found.notes[-1] == "the last epoch is the best on val: more may be better (--epochs 6)"
    assert fit("linear", data, device="cpu", out=tmp_path / "n.pt").best.number < 200
    again = fit("linear", data, resume=True, device="cpu", out=tmp_path / "n.pt")
    assert again.checkpoint.settings.epochs == 200
    alone = fit("linear", line(60, split="0.8,0.2"), epochs=2, device="cpu")
    assert not any("--epochs" in note for note in alone.notes)
