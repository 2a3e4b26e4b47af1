"""The trainer: from a prepared set to a model, judged by rows that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import tensorize as tz
from tensorize.core import registry
from tensorize.core.errors import DataError, TensorizeError
from tensorize.core.tensorset import MemoryStore, TensorSet
from tensorize.train import Callback, Checkpoint, evaluate, fit, predict
from tensorize.train import plan as planning
from tensorize.train.loop import Trainer
from tensorize.train.metrics import ClassMeter, torchmetrics
from tensorize.train.parts import flipped, shifted
from tensorize.train.task import Classes, task_of

CELSIUS = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
UNKNOWN = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
DESCENT = {"batch_size": 11, "lr": 1e-2, "optimizer": "SGD", "schedule": "constant", "target_scale": "none", "split": "1"}
SHAPES = {"linear": (4,), "mlp": (4,), "cnn": (3, 8, 8), "resnet": (3, 8, 8), "conv1d": (2, 24)}


class Thermometer(nn.Module):
    """w·t + b."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        return self.w * t + self.b


def thermometer(scale: float) -> TensorSet:
    rows = {"unknown": [scale * value for value in UNKNOWN], "celsius": CELSIUS}
    return tz.prepare("table", rows, target="celsius", scale="none")


@pytest.fixture(scope="module")
def wine() -> TensorSet:
    """The synthetic wine: classes as an index."""
    return tz.prepare("wine", "samples/wine-synthetic.csv", split="0.8,0.1,0.1")


@pytest.fixture(scope="module")
def houses() -> TensorSet:
    """Numbers to be predicted, themselves scaled, and ids that are expanded on the device."""
    options = {"id": "id", "ordinal": "condition:bad<ok<good", "missing": "median", "encode": "ids", "zscore": "price"}
    return tz.prepare("table", "samples/houses-synthetic.csv", target="price", split="0.8,0.1,0.1", **options)


@pytest.fixture(scope="module")
def meter() -> TensorSet:
    options = {"time": "stamp", "step": "1h", "gaps": "interpolate", "window": 48, "horizon": 12, "encode": "index"}
    return tz.prepare("series", "samples/meter-synthetic.csv", target="kwh", split="0.7,0.15,0.15", **options)


def table(rows: int, columns: int = 4, classes: int = 3, **options: Any) -> TensorSet:
    """Noise, and a class that can be told from it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    values = {f"x{index}": x[:, index] for index in range(columns)}
    kind = np.digitize(x[:, 0], np.linspace(-0.7, 0.7, classes - 1))
    return tz.prepare("table", pa.table({**values, "kind": kind}), target="kind", **options)


def changed(data: TensorSet, **arrays: Any) -> TensorSet:
    """The set with some tensors replaced: `test__features` stands for `test/features`."""
    replaced = {key.replace("__", "/"): value for key, value in arrays.items()}
    return TensorSet(data.layout, MemoryStore({key: replaced.get(key, data.numpy(key)) for key in data}))


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return all(torch.equal(value, other.state[name]) for name, value in one.state.items())


# the loop ---------------------------------------------------------------------------------------------------------------


def test_a_module_of_ones_own_is_trained_in_place_to_the_tutorials_loss() -> None:
    model = Thermometer()
    history = fit(model, thermometer(0.1), epochs=5000, device="cpu", **DESCENT)
    assert history[-1].loss == pytest.approx(2.927645, abs=2e-6)
    assert model.w.item() == pytest.approx(5.3671, abs=1e-3)


def test_a_loss_that_is_no_number_stops_the_run_and_says_where() -> None:
    with pytest.raises(DataError, match=r"the loss is inf in step 1 of epoch \d+; the largest input there is 81.9"):
        fit(Thermometer(), thermometer(1.0), epochs=5000, **DESCENT)


def test_after_a_loss_that_is_no_number_the_last_good_checkpoint_is_there(wine: TensorSet, tmp_path: Path) -> None:
    class Ruin(Callback):
        def on_epoch_begin(self, trainer: Trainer) -> None:
            if trainer.epoch == 2:
                nn.init.constant_(next(trainer.model.parameters()), float("nan"))

    with pytest.raises(DataError, match=r"nan in step 1 of epoch 3(?s:.)*model.pt holds epoch 2, the last good one"):
        fit("linear", wine, epochs=3, out=tmp_path / "model.pt", callbacks=[Ruin()])
    kept = Checkpoint.load(tmp_path / "model.pt")
    assert len(kept.epochs) == 2
    assert all(value.isfinite().all() for value in kept.state.values())


def test_every_hook_is_called_in_its_turn(wine: TensorSet) -> None:
    class Log(list, Callback):  # type: ignore[type-arg]
        on_train_begin = on_epoch_begin = on_train_end = lambda self, trainer: self.append(trainer.epoch)
        on_batch_end = on_epoch_end = lambda self, trainer, what: self.append(type(what).__name__)

    log = Log()
    fit("linear", wine, epochs=2, batch_size=400, callbacks=[log])
    epoch = ["Tensor", "Tensor", "Epoch"]
    assert log == [0, 0, *epoch, 1, *epoch, 2]


def test_the_same_seed_gives_the_same_weights_and_another_one_others(wine: TensorSet) -> None:
    one, again, other = (
        fit("mlp", wine, epochs=1, seed=seed, options={"hidden": [8], "dropout": 0.5}).checkpoint for seed in (1, 1, 2)
    )
    assert same(one, again)
    assert not same(one, other)


def test_training_leaves_torchs_random_numbers_and_threads_alone(wine: TensorSet) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    fit("linear", wine, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_best_epoch_on_val_is_kept_and_patience_ends_the_run(wine: TensorSet) -> None:
    history = fit("mlp", wine, epochs=60, patience=3, lr=0.02, schedule="constant")
    losses = [epoch.val["loss"] for epoch in history]
    assert history.best.number == 1 + int(np.argmin(losses))
    assert len(history) == history.best.number + 3 < 60
    assert evaluate(history.checkpoint, wine, split="val").metrics["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_the_best_epoch_may_go_by_the_metric(wine: TensorSet) -> None:
    history = fit("mlp", wine, epochs=12, patience=0, best_by="metric")
    assert history.best.val["accuracy"] == max(epoch.val["accuracy"] for epoch in history)


def test_the_test_part_is_never_looked_at_not_even_without_val() -> None:
    data = table(60, split="0.5,0.5")
    poisoned = changed(data, test__features=np.full((30, 4), np.nan, np.float32), test__target=np.full(30, 99))
    history = fit("linear", poisoned, epochs=3, patience=1)
    assert len(history) == 3
    assert same(history.checkpoint, fit("linear", data, epochs=3).checkpoint)
    assert history.notes == ("no validation part: every epoch is run, and the last weights are kept",)


def test_a_set_without_a_split_is_split_by_seed_and_evaluated_on_its_own_test_rows() -> None:
    data = table(100)
    history = fit("linear", data, epochs=1)
    assert history.facts.rows == {"train": 80, "val": 10}
    assert "its statistics were learned on all rows" in history.notes[1]
    found = evaluate(history.checkpoint, data)
    assert (found.split, found.rows) == ("test", 10)
    assert (
        evaluate(
            history.checkpoint, data.recipe.apply({f"x{index}": [0.0, 1.0] for index in range(4)} | {"kind": [0, 1]})
        ).split
        == "all"
    )


def test_windows_are_not_split_by_rows(meter: TensorSet) -> None:
    options = meter.recipe.model_dump()["options"] | {"split": ()}
    whole = tz.prepare("series", "samples/meter-synthetic.csv", **options)
    with pytest.raises(TensorizeError, match="windows overlap"):
        fit("conv1d", whole)


@pytest.mark.parametrize("data", ["wine", "houses", "meter"])
@pytest.mark.parametrize("budget", [0, 40_000])
def test_what_does_not_fit_the_device_is_streamed_or_kept_as_it_is_stored_to_the_same_bits(
    data: str, budget: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = request.getfixturevalue(data)
    resident = fit("mlp", tensors, epochs=2)
    monkeypatch.setattr(planning, "resident_bytes", lambda device: budget)
    other = fit("mlp", tensors, epochs=2)
    assert same(resident.checkpoint, other.checkpoint)
    assert [epoch.val for epoch in resident] == [epoch.val for epoch in other]


def test_a_row_that_is_left_over_joins_the_last_batch() -> None:
    data = tz.prepare("images", "samples/shapes-synthetic", dtype="uint8", size=8)
    assert fit("cnn", data, batch_size=23, epochs=1, split="1").checkpoint.epochs[0].loss > 0


def test_layers_may_work_in_bfloat16(wine: TensorSet) -> None:
    half, whole = (fit("mlp", wine, epochs=2, precision=precision) for precision in ("bfloat16", "float32"))
    assert half[-1].loss == pytest.approx(whole[-1].loss, rel=0.05)
    assert half[-1].loss != whole[-1].loss
    assert all(value.dtype == torch.float32 for value in half.checkpoint.state.values())


def test_gradients_are_clipped(wine: TensorSet) -> None:
    class Norm(Callback):
        largest = 0.0

        def on_batch_end(self, trainer: Trainer, loss: torch.Tensor) -> None:
            gradients = [parameter.grad.norm() for parameter in trainer.model.parameters() if parameter.grad is not None]
            self.largest = max(self.largest, float(torch.stack(gradients).norm()))

    norm = Norm()
    fit("linear", wine, epochs=1, clip=0.01, callbacks=[norm])
    assert norm.largest == pytest.approx(0.01, rel=1e-3)


# models -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.MODELS)
def test_every_model_is_built_from_shapes_and_learns(name: str) -> None:
    torch.manual_seed(0)
    model = registry.load("models", name)(inputs=SHAPES[name], outputs=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    inputs, target = torch.randn(32, *SHAPES[name]), torch.arange(32) % 3
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("name", ["cnn", "resnet"])
@pytest.mark.parametrize("size", [(1, 2, 3), (3, 33, 20)])
def test_image_models_take_any_size(name: str, size: tuple[int, ...]) -> None:
    assert registry.load("models", name)(inputs=size, outputs=7)(torch.zeros(2, *size)).shape == (2, 7)


def test_the_first_layer_of_resnet_whitens_the_train_images() -> None:
    torch.manual_seed(0)
    images = torch.randn(64, 3, 8, 8).cumsum(3)
    model = registry.load("models", "resnet")(inputs=(3, 8, 8), outputs=2, width=8)
    model.look(images)
    found = nn.functional.conv2d(images, model.whiten.weight[:12]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(found @ found.T / found.shape[1], torch.eye(12), atol=0.05, rtol=0)


def test_a_model_of_resnet_is_trained_by_its_own_settings_unless_others_are_said() -> None:
    data = tz.prepare("images", "samples/shapes-synthetic", dtype="uint8", split="0.75,0.25", stratify=True)
    history = fit("resnet", data, options={"width": 4}, epochs=2)
    assert history.checkpoint.settings.batch_size == 512
    assert history.checkpoint.settings.flip
    assert history.checkpoint.settings.epochs == 2


# targets, losses and metrics ----------------------------------------------------------------------------------------------


def test_one_hot_and_index_targets_train_alike(wine: TensorSet) -> None:
    one_hot = tz.prepare("wine", "samples/wine-synthetic.csv", onehot="quality", split="0.8,0.1,0.1")
    one, other = fit("linear", wine, epochs=1), fit("linear", one_hot, epochs=1)
    assert one.checkpoint.task.names == other.checkpoint.task.names == tuple("0123456789")
    assert same(one.checkpoint, other.checkpoint)


def test_a_loss_that_compares_numbers_gets_the_one_hot_target() -> None:
    one_hot = tz.prepare("wine", "samples/wine-synthetic.csv", onehot="quality", split="0.8,0.1,0.1")
    history = fit("mlp", one_hot, epochs=5, loss="BCEWithLogitsLoss")
    assert history[-1].val["accuracy"] > history.facts.trivial["accuracy"]


def test_class_weights_are_by_rarity_and_zero_for_classes_that_train_lacks() -> None:
    task = Classes(("a", "b", "c"), (6, 2, 0))
    assert task.weights.tolist() == pytest.approx([8 / 12, 8 / 4, 0.0])
    data = table(90, classes=3, split="0.8,0.2")
    plain, weighted = (fit("linear", data, epochs=1, class_weights=on).checkpoint for on in (False, True))
    assert not same(plain, weighted)


def test_a_class_without_a_train_row_is_told(wine: TensorSet) -> None:
    counts = np.bincount(wine["train/target"].numpy(), minlength=10)
    absent = [str(score) for score in range(10) if not counts[score]]
    assert f"cannot be learned: {', '.join(absent)}" in fit("linear", wine, epochs=1).notes[0]


def test_the_metrics_of_classes_are_those_of_the_predictions(wine: TensorSet) -> None:
    checkpoint = fit("mlp", wine, epochs=3, device="cpu").checkpoint
    found = evaluate(checkpoint, wine, device="cpu")
    with torch.no_grad():
        predicted = checkpoint.build()(wine["test/features"]).argmax(1)
    target = wine["test/target"]
    assert found.metrics["accuracy"] == (predicted == target).double().mean().item()
    assert found.per_class["6"] == pytest.approx((predicted[target == 6] == 6).float().mean().item())
    assert np.array(found.confusion).sum() == 100
    most = wine["train/target"].bincount().argmax()
    assert found.trivial["accuracy"] == (target == most).double().mean().item()
    assert found.trivial_is == f'always "{most}"'


def test_scores_of_classes_are_those_of_torchmetrics_in_float64():
    generator = torch.Generator().manual_seed(3)
    predicted, truth = torch.rand(997, 5, generator=generator), torch.randint(0, 4, (997,), generator=generator)
    predicted[:, 2] = 0
    meter = ClassMeter(Classes("quality", ("a", "b", "c", "d", "e"), (1, 1, 1, 1, 1)), torch.device("cpu"))
    meter.update(predicted, truth)
    scores, kinds = meter.compute(), torchmetrics().classification
    assert scores.values["accuracy"] == int((predicted.argmax(1) == truth).sum()) / 997
    wanted = kinds.MulticlassF1Score(5, average="macro")(predicted, truth).item()
    assert scores.values["macro_f1"] == pytest.approx(wanted, abs=1e-6)
    assert scores.values["macro_f1"] != wanted


def test_errors_of_numbers_are_in_the_units_of_the_raw_data(houses: TensorSet) -> None:
    checkpoint = fit("mlp", houses, epochs=3).checkpoint
    found = evaluate(checkpoint, houses)
    price = houses.recipe.inverse(houses.split("test"))["price"].to_numpy()
    predicted = predict(checkpoint, "samples/houses-synthetic.csv")
    by_row = dict(zip(predicted["row"].to_pylist(), predicted["price"].to_pylist(), strict=True))
    errors = np.array([by_row[row] for row in houses["test/row"].tolist()]) - price
    assert found.metrics["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    assert found.metrics["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
    train = houses.recipe.inverse(houses.split("train"))["price"].to_numpy()
    assert found.trivial["mae"] == pytest.approx(np.abs(train.mean() - price).mean(), rel=1e-5)


def test_windows_are_judged_beside_the_value_one_window_before(meter: TensorSet) -> None:
    checkpoint = fit("conv1d", meter, epochs=1).checkpoint
    found = evaluate(checkpoint, meter)
    test = meter.split("test")
    inputs, target = test.batch(slice(0, test.num_rows))
    column = meter.recipe.inverse(test)["kwh"].to_numpy()
    start = test["start"].numpy()
    before = np.stack([column[at : at + 12] for at in start])
    assert target is not None
    assert found.trivial_is == "the value 48 steps before"
    assert found.trivial["mae"] == pytest.approx(np.abs(before - target[:, 0].numpy()).mean(), rel=1e-5)
    names = ["row", "time", *(f"kwh+{step}" for step in range(1, 13))]
    assert predict(checkpoint, "samples/meter-synthetic.csv").column_names == names
    assert inputs.shape[2] == 48


HOURS = {"time": "stamp", "step": "1h", "gaps": "interpolate", "split": "0.7,0.15,0.15", "stride": 3}


@pytest.mark.parametrize(
    "scales",
    [
        {},
        {"scale": "none"},
        {"zscore": "kwh"},
        {"minmax": "kwh,temperature", "target": "temperature,kwh"},
        {"target": "kwh,temperature", "encode": "index"},
    ],
)
@pytest.mark.parametrize("target_scale", ["zscore", "none"])
def test_before_its_first_step_conv1d_says_what_was_one_window_before(scales: dict[str, str], target_scale: str) -> None:
    options = {**HOURS, "window": 48, "horizon": 12, "target": "kwh", **scales}
    data = tz.prepare("series", "samples/meter-synthetic.csv", **options)
    checkpoint = fit("conv1d", data, epochs=1, lr=1e-12, target_scale=target_scale, device="cpu").checkpoint
    found = evaluate(checkpoint, data, device="cpu")
    assert found.trivial_is == "the value 48 steps before"
    assert found.metrics["mae"] == pytest.approx(found.trivial["mae"], rel=1e-5)


def test_conv1d_goes_without_the_past_where_there_is_none_or_it_is_told_to(meter: TensorSet, tmp_path: Path) -> None:
    far = tz.prepare("series", "samples/meter-synthetic.csv", **HOURS, window=12, horizon=24, target="kwh")
    assert fit("conv1d", far, epochs=1).checkpoint.options == {"past": None}
    told = fit("conv1d", meter, epochs=1, options={"past": None}, out=tmp_path / "model.pt").checkpoint
    assert not any(name.startswith("ahead") for name in told.state)
    assert any(name.startswith("ahead") for name in fit("conv1d", meter, epochs=1).checkpoint.state)
    assert len(fit("conv1d", meter, options={"past": None}, out=tmp_path / "model.pt", resume=True)) == 1


def test_mean_and_std_of_the_target_are_those_of_train(houses: TensorSet) -> None:
    task = task_of(houses.split("train"), "zscore")
    target = houses["train/target"].double()
    assert task.mean == pytest.approx((target.mean().item(),))
    assert task.std == pytest.approx((target.std().item(),))


# augmentation -------------------------------------------------------------------------------------------------------------


def test_flipping_mirrors_about_half_of_the_images() -> None:
    torch.manual_seed(0)
    images = torch.arange(4000.0).reshape(1000, 1, 2, 2)
    found = flipped(images)
    mirrored = (found == images.flip(3)).all(dim=(1, 2, 3))
    assert ((found == images).all(dim=(1, 2, 3)) | mirrored).all()
    assert 400 < int(mirrored.sum()) < 600


def test_shifting_moves_images_with_a_reflected_border() -> None:
    torch.manual_seed(0)
    images = torch.arange(25.0).reshape(1, 1, 5, 5).repeat(200, 3, 1, 1)
    found = shifted(images, 1)
    padded = nn.functional.pad(images[:1], (1, 1, 1, 1), mode="reflect")[0]
    crops = {padded[:, y : y + 5, x : x + 5].numpy().tobytes() for y in range(3) for x in range(3)}
    assert {image.contiguous().numpy().tobytes() for image in found} == crops
