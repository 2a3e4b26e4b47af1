"""What the trainer refuses, and what it says: at the command line and in Python."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv as pc
import pytest
import torch
from conftest import Command
from torch import nn

import tensorize as tz
from tensorize.core.errors import DataError, RunError, TensorizeError, UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.train import Checkpoint, checkpoint, evaluate, fit, predict
from tensorize.train.plot import plot

WINE, HOUSES = "samples/wine-synthetic.csv", "samples/houses-synthetic.csv"
HOUSE_OPTIONS = {"target": "price", "id": "id", "ordinal": "condition:bad<ok<good", "missing": "median", "split": "0.8,0.1,0.1"}


@pytest.fixture(scope="module")
def wine() -> TensorSet:
    return tz.prepare("wine", WINE, split="0.8,0.1,0.1")


@pytest.fixture(scope="module")
def houses() -> TensorSet:
    return tz.prepare("table", HOUSES, **HOUSE_OPTIONS)


@pytest.fixture
def prepared(wine: TensorSet, tmp_path: Path) -> Path:
    return wine.save(tmp_path / "wine.h5")


def refused(message: str, kind: type[TensorizeError] = UsageError) -> Any:
    return pytest.raises(kind, match=message)


@pytest.mark.parametrize(
    ("kind", "source", "options", "way_out"),
    [
        ("table", HOUSES, {"missing": "drop", "onehot": "condition"}, "--target COL"),
        ("text", "samples/text-synthetic.txt", {}, "text alone has none"),
        ("images", "samples/shapes-synthetic/disc", {}, "one folder for each class"),
        ("bikes", "samples/bikes-synthetic.csv", {}, "--window 168 --horizon 24 --target cnt"),
    ],
)
def test_a_set_without_a_target(kind: str, source: str, options: dict[str, str], way_out: str) -> None:
    with refused(rf"(?s)this file of {kind} has no target to train for.*{way_out}"):
        fit("linear", tz.prepare(kind, source, **options))


def test_a_loss_of_the_wrong_kind_for_the_target(wine: TensorSet, houses: TensorSet) -> None:
    with refused('MSELoss compares numbers, and the target "quality" is a class index'):
        fit("mlp", wine, loss="MSELoss")
    with refused("CrossEntropyLoss tells classes apart, and the target price is numbers"):
        fit("mlp", houses, loss=nn.CrossEntropyLoss())
    with refused("--class-weights weighs classes, and MSELoss on numbers has none"):
        fit("mlp", houses, class_weights=True)


def test_a_model_whose_shapes_do_not_fit(wine: TensorSet) -> None:
    with refused(r"(?s)has 3 outputs for each row, and the target has 10 classes.*axis output: 3, not 10"):
        fit(nn.Linear(11, 3), wine)
    with refused(
        r"the model Linear does not take rows of feature 11: mat1 and mat2 shapes cannot be multiplied \(2x11 and 12x10\)"
    ):
        fit(nn.Linear(12, 10), wine)
    with refused(r"cnn takes images \(row, channel, height, width\), not 2 axes"):
        fit("cnn", wine)
    with refused("--flip and --shift are for images"):
        fit("mlp", wine, flip=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "mpl"}, 'there is no model "mpl"; did you mean "mlp"'),
        ({"options": {"hiden": 3}}, 'the model mlp has no option "hiden"; did you mean "hidden"'),
        ({"optimizer": "AdamX"}, 'there is no "AdamX" in torch.optim; did you mean "Adam'),
        ({"optimizer": "SGD:momentun=0.9"}, "torch.optim.SGD cannot be built"),
        ({"loss": "CrossEntropy"}, 'there is no "CrossEntropy" in torch.nn; did you mean "CrossEntropyLoss"'),
        ({"epoch": 3}, 'there is no option "epoch"; did you mean "epochs"'),
        ({"epochs": 0, "lr": -1}, r"(?s)some options are wrong.*--epochs 0.*--lr -1"),
        ({"device": "cuda:7"}, 'the device "cuda:7" was asked for, and this machine'),
        ({"device": "gpu"}, 'there is no device "gpu"'),
        ({"model": "no.such:Net"}, 'the model "no.such:Net" cannot be loaded'),
        ({"model": None}, "there is no model to train"),
    ],
)
def test_a_wrong_call(wine: TensorSet, given: dict[str, Any], message: str) -> None:
    with refused(message):
        fit(given.pop("model", "mlp"), wine, **given)


def test_too_little_memory_of_a_device_is_told_with_the_way_out(wine: TensorSet) -> None:
    class Large(nn.Linear):
        free = 64

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > self.free:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 1 GiB")
            return super().forward(x)

    model, message = Large(11, 10), r"memory of cpu is too small: CUDA out of memory. Tried to allocate 2.00 GiB\n  say "
    with refused(message + "a --batch-size below 65, or --device cpu", RunError):
        fit(model, wine, epochs=1, batch_size=65, device="cpu")
    trained = fit(model, wine.split("train"), epochs=1, split="1", device="cpu").checkpoint
    with refused(message + "--device cpu", RunError):
        evaluate(trained, wine, model=model, device="cpu")
    with refused(message + "--device cpu", RunError):
        predict(trained, "samples/wine-synthetic.csv", model=model, device="cpu")


def test_one_class_is_none_to_tell_apart() -> None:
    data = tz.prepare("table", {"x": [1.0, 2.0, 3.0], "kind": ["a", "a", "a"]}, target="kind", task="classes")
    with refused('there is one class, "a"'):
        fit("linear", data, split="1")


def test_val_that_becomes_no_number_is_a_failed_run() -> None:
    rows = {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, 3.0, 4.0]}
    with refused("the loss on val is (nan|-?inf) after epoch 1", DataError):
        fit(
            "linear",
            tz.prepare("table", rows, target="y"),
            split="0.5,0.25,0.25",
            loss=lambda a, b: (a - b).mean() / (len(b) - 1),
        )


# checkpoints --------------------------------------------------------------------------------------------------------------


def test_checkpoints_that_are_none(tmp_path: Path, wine: TensorSet, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    fit("linear", wine, epochs=1, out=path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with refused("is no model of tensorize, or is damaged", DataError):
        Checkpoint.load(path)
    with refused("is a prepared file, not a model", DataError):
        Checkpoint.load(wine.save(tmp_path / "wine.pt"))
    monkeypatch.setattr(checkpoint, "FIRST", 99)
    fit("linear", wine, epochs=1, out=path, force=True)
    monkeypatch.undo()
    with refused("has version 99; this tensorize reads up to version 3"):
        Checkpoint.load(path)
    with refused("there is no file"):
        Checkpoint.load(tmp_path / "modle.pt")


def test_a_checkpoint_executes_nothing(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path}/executed",)

    torch.save({"tensorize_model": 1, "model": Bad()}, tmp_path / "bad.pt")
    with refused("is no model of tensorize, or is damaged", DataError):
        Checkpoint.load(tmp_path / "bad.pt")
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_model(wine: TensorSet) -> None:
    found = fit(nn.Linear(11, 10), wine, epochs=1).checkpoint
    with refused("this checkpoint is of a module that was handed to fit"):
        found.build()
    with refused(r"(?s)the weights are those of another model than Linear.*size mismatch for weight"):
        found.build(nn.Linear(12, 10))
    assert evaluate(found, wine, model=nn.Linear(11, 10)).rows == 100


def test_a_file_of_another_recipe_is_not_evaluated(wine: TensorSet) -> None:
    other = tz.prepare("wine", WINE, split="0.8,0.2")
    with refused("prepared by another recipe"):
        evaluate(fit("linear", wine, epochs=1).checkpoint, other)
    with refused('there is no part "tset"; did you mean "test"'):
        evaluate(fit("linear", wine, epochs=1).checkpoint, wine, split="tset")


def test_resume_names_everything_that_is_not_as_it_was(tmp_path: Path, wine: TensorSet) -> None:
    path = tmp_path / "model.pt"
    with refused("to go on from"):
        fit("mlp", wine, out=path, resume=True)
    fit("mlp", wine, out=path, epochs=1, options={"hidden": [8]})
    with refused(r"(?s)comes from another run.*the model is mlp, not linear.*lr is 0.003, not 0.1"):
        fit("linear", wine, out=path, resume=True, lr=0.1)
    with refused("prepared by another recipe"):
        fit("mlp", tz.prepare("wine", WINE, split="0.5,0.5"), out=path, resume=True)
    with refused("exists"):
        fit("mlp", wine, out=path)
    assert len(fit(None, wine, out=path, resume=True)) == 1


# prediction ---------------------------------------------------------------------------------------------------------------


def test_predicting_from_columns_that_are_missing_or_hold_unseen_categories(houses: TensorSet) -> None:
    found = fit("linear", houses, epochs=1).checkpoint
    rows = pc.read_csv(HOUSES)
    with refused('columns that the recipe needs are missing: "area"', DataError):
        predict(found, rows.drop_columns("area"))
    unseen = rows.set_column(rows.column_names.index("city"), "city", [["Nowhere"] * 400])
    with refused("(?s)Nowhere", DataError):
        predict(found, unseen)


# the command line ---------------------------------------------------------------------------------------------------------


def test_the_whole_way_by_command(tensorize: Command, warm: Command, prepared: Path, tmp_path: Path) -> None:
    done = tensorize("train", "wine.h5", "--model", "mlp", "--hidden", "16", "--epochs", "2", "-o", "model.pt")
    assert done.returncode == 0, done.stderr
    assert "always" in done.stdout
    assert "next: tensorize evaluate model.pt wine.h5" in done.stdout
    assert done.stderr == ""
    assert warm("train", "wine.h5", "--model", "mlp", "-o", "model.pt").returncode == 2
    judged = tensorize("evaluate", "model.pt", "wine.h5", "--json")
    assert '"split": "test"' in judged.stdout
    assert {"metrics", "per_class", "trivial"} <= set(json.loads(judged.stdout))
    raw = Path(WINE).resolve()
    for run, out in ((tensorize, "pred.csv"), (warm, "pred.parquet")):
        assert "1,000 rows" in run("predict", "model.pt", raw, "-o", out).stdout
    piped = tensorize("predict", "model.pt", raw, "-o", "-")
    assert piped.stdout == (tmp_path / "pred.csv").read_text()
    assert warm("predict", "model.pt", raw, "-o", "pred.csv").returncode == 2
    assert warm("predict", "model.pt", raw, "-o", "pred.xls").returncode == 2
    assert tensorize("plot", "model.pt", "wine.h5", "-o", "curves.png").returncode == 0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_of_ones_own_beside_the_data(warm: Command, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, inputs, outputs, width=4):\n"
        "        super().__init__(nn.Linear(inputs[0], width), nn.Tanh(), nn.Linear(width, outputs))\n"
    )
    done = warm("train", "wine.h5", "--model", "nets:Net", "--set", "width=6", "--epochs", "1", "-o", "model.pt")
    assert done.returncode == 0, done.stderr
    assert warm("evaluate", "model.pt", "wine.h5").returncode == 0
    assert Checkpoint.load(tmp_path / "model.pt").options == {"width": 6}


def test_no_cuda_where_it_was_asked_for(warm: Command, prepared: Path) -> None:
    done = warm("train", "wine.h5", "--model", "linear", "--device", "cuda:9")
    assert done.returncode == 2
    assert 'the device "cuda:9" was asked for' in done.stderr
    assert "--device cpu" in done.stderr


@pytest.mark.parametrize(("library", "extra", "args"), [("torchmetrics", "train", ()), ("matplotlib", "plot", ("plot",))])
def test_a_missing_extra_is_named(
    tensorize: Command, prepared: Path, tmp_path: Path, library: str, extra: str, args: tuple[str, ...], wine: TensorSet
) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / f"{library}.py").write_text("raise ImportError\n")
    fit("linear", wine, epochs=1, out=tmp_path / "model.pt")
    command = ("plot", "model.pt") if args else ("evaluate", "model.pt", "wine.h5")
    done = tensorize(*command, env={"PYTHONPATH": str(tmp_path / "gone")})
    assert done.returncode == 2
    assert f"pip install 'tensorize[{extra}]'" in done.stderr


def started(folder: Path, out: str, *more: str, **options: Any) -> subprocess.Popen[bytes]:
    command = Path(sys.executable).with_name("tensorize")
    args = ("train", "wine.h5", "--model", "mlp", "--dropout", "0.2", "--epochs", "4", "-o", out)
    return subprocess.Popen([command, *args, *more], cwd=folder, **options)


ENDING = """
import os
from torch import nn
class Net(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(nn.Linear(inputs[0], 16), nn.Dropout(0.2), nn.Linear(16, outputs))
        self.steps = 0
    def forward(self, x):
        self.steps += self.training
        if f"{self.steps}" == os.environ.get("END_AT"):
            os.kill(os.getpid(), int(os.environ["END_BY"]))
        return super().forward(x)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_at_some_step_goes_on_to_the_very_weights(
    tensorize: Command, warm: Command, prepared: Path, tmp_path: Path, how: signal.Signals
) -> None:
    (tmp_path / "nets.py").write_text(ENDING)
    run = ("train", "wine.h5", "--model", "nets:Net", "--epochs", 4, "--patience", 0, "-o")
    step = random.randrange(14, 53)  # of 13 in each epoch
    ended = tensorize(*run, "ended.pt", env={"END_AT": str(step), "END_BY": str(int(how))})
    done = len(Checkpoint.load(tmp_path / "ended.pt").epochs)
    if how is signal.SIGINT:
        assert ended.returncode == 130
        assert done == (step - 1) // 13
        assert f"ended.pt holds epoch {done} of 4; go on with the same command and --resume" in ended.stderr
    assert 0 < done < 4
    assert warm(*run, "ended.pt", "--resume").returncode == 0
    assert warm(*run, "whole.pt").returncode == 0
    whole, resumed = (Checkpoint.load(tmp_path / name) for name in ("whole.pt", "ended.pt"))
    assert all(torch.equal(value, resumed.resume["model"][name]) for name, value in whole.resume["model"].items()), step
    assert [epoch.loss for epoch in resumed.epochs] == [epoch.loss for epoch in whole.epochs]


def test_a_terminal_sees_the_epochs_as_they_come(prepared: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    run = started(tmp_path, "model.pt", stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    assert run.wait() == 0
    assert b"val accuracy" in seen
    assert b"steps" in seen


def test_curves_are_drawn_for_numbers_too(houses: TensorSet, tmp_path: Path) -> None:
    found = fit("linear", houses, epochs=2).checkpoint
    path = plot(found, tmp_path / "curves.svg", evaluation=evaluate(found, houses))
    assert "mae" in path.read_text() or path.stat().st_size > 5000
    with refused("exists"):
        plot(found, path)
    with refused('cannot be written as ".doc"'):
        plot(found, tmp_path / "curves.doc")
