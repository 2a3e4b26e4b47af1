"""The trainer: from a prepared set to a model."""

from __future__ import annotations

import pytest
import torch
from conftest import Command
from torch import nn

import tensorize as tz
from tensorize.errors import DataError
from tensorize.train import Checkpoint, fit

CELSIUS = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
UNKNOWN = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
DESCENT = {"batch_size": 11, "lr": 1e-2, "optimizer": "SGD", "schedule": "constant", "target_scale": "none", "split": "1"}


class Thermometer(nn.Module):
    """w·t + b."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        return self.w * t + self.b


def thermometer(scale: float) -> tz.TensorSet:
    rows = {"unknown": [scale * value for value in UNKNOWN], "celsius": CELSIUS}
    return tz.prepare("table", rows, target="celsius", scale="none")


def test_a_module_of_ones_own_is_trained_in_place_to_the_tutorials_loss() -> None:
    model = Thermometer()
    history = fit(model, thermometer(0.1), epochs=5000, **DESCENT)
    assert history[-1].loss == pytest.approx(2.927645, abs=2e-6)
    assert model.w.item() == pytest.approx(5.3671, abs=1e-3)


def test_a_loss_that_is_no_number_stops_the_run_and_says_where() -> None:
    with pytest.raises(DataError, match=r"the loss is inf in step 1 of epoch \d+; the largest input there is 81.9"):
        fit(Thermometer(), thermometer(1.0), epochs=5000, **DESCENT)


def test_a_checkpoint_holds_the_model_and_the_recipe(tensorize: Command, samples: object, tmp_path: object) -> None:
    assert tensorize("wine", f"{samples}/wine-synthetic.csv", "--split", "0.8,0.1,0.1", "-o", "wine.h5").returncode == 0
    done = tensorize("train", "wine.h5", "--model", "mlp", "--hidden", "32", "--epochs", "2", "-o", "model.pt")
    assert done.returncode == 0, done.stderr
    found = Checkpoint.load(f"{tmp_path}/model.pt")
    assert found.build()(torch.zeros(3, *found.inputs)).shape == (3, 10)
    assert found.recipe.kind == "wine"
