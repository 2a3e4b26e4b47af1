"""A checkpoint of a long run, and of many parameters, is read back."""

import pytest
import torch

import tensorize
from tensorize.train import Checkpoint, evaluate, fit


@pytest.fixture(scope="module")
def rows() -> tensorize.TensorSet:
    columns = {"x": [n / 7 for n in range(40)], "y": [n % 2 for n in range(40)]}
    return tensorize.prepare("table", columns, target="y", task="classes", split="0.8,0.1,0.1")


def test_many_epochs_are_read_back(rows, tmp_path) -> None:
    for resume in (False, True):
        fit("linear", rows, epochs=70, patience=0, out=tmp_path / "m.pt", resume=resume, device="cpu", batch_size=32)
        assert len(Checkpoint.load(tmp_path / "m.pt").epochs) == 70
    assert evaluate(tmp_path / "m.pt", rows).metrics["loss"] > 0


def test_many_parameters_are_read_back(rows, tmp_path) -> None:
    layers = [torch.nn.Linear(1, 4), *(torch.nn.Linear(4, 4) for _ in range(60)), torch.nn.Linear(4, 2)]
    model = torch.nn.Sequential(*layers)
    fit(model, rows, epochs=2, out=tmp_path / "deep.pt", device="cpu")
    assert evaluate(tmp_path / "deep.pt", rows, model=model).metrics["loss"] > 0
