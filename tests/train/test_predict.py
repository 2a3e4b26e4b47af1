"""From raw data to predictions: what `predict` says of a file is what `evaluate` has judged, bit for bit."""

from __future__ import annotations

import datetime
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from conftest import Command

import tensorize as tz
from tensorize.core.tensorset import TensorSet
from tensorize.train import evaluate, fit, predict
from tensorize.train.metrics import ClassMeter, NumberMeter

WINE, HOUSES = "samples/wine-synthetic.csv", "samples/houses-synthetic.csv"


@pytest.fixture(scope="module")
def wine() -> TensorSet:
    return tz.prepare("wine", WINE, split="0.8,0.1,0.1")


@pytest.fixture(scope="module")
def houses() -> TensorSet:
    options = {"id": "id", "ordinal": "condition:bad<ok<good", "missing": "median", "encode": "ids", "zscore": "price"}
    return tz.prepare("table", HOUSES, target="price", split="0.8,0.1,0.1", **options)


# the same as the evaluation -----------------------------------------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray[Any, Any]]:
    """The predictions that the model was judged by, in the order of the part; the trivial predictor's come after."""
    seen: list[np.ndarray[Any, Any]] = []

    def watch(meter: type[ClassMeter] | type[NumberMeter]) -> None:
        update = meter.update

        def watched(self: Any, predicted: Any, truth: Any) -> None:
            units = getattr(self, "_units", None)
            seen.append((predicted if units is None else units.original(predicted)).numpy())
            update(self, predicted, truth)

        monkeypatch.setattr(meter, "update", watched)

    watch(ClassMeter)
    watch(NumberMeter)
    return seen


def by_row(predicted: pa.Table, rows: list[int], first: int) -> pa.Table:
    """The lines of these source rows, in their order, from the column `first` on."""
    at = {row: index for index, row in enumerate(predicted["row"].to_pylist())}
    return predicted.take([at[row] for row in rows]).select(predicted.column_names[first:])


def evaluated(model: Path, file: Path, judged: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """(row, …) what the evaluation of the test part has seen."""
    judged.clear()
    rows = evaluate(model, file, device="cpu").rows
    found = np.concatenate(judged)
    assert len(found) == 2 * rows
    return found[:rows]


def test_every_wine_has_the_prediction_of_the_evaluation(
    data: Path, warm: Command, tmp_path: Path, judged: list[np.ndarray[Any, Any]]
) -> None:
    raw = data / "wine/winequality-white.csv"
    split = ("--split", "0.8,0.1,0.1", "--stratify", "quality")
    assert warm("wine", raw, *split, "-o", "wine.h5").returncode == 0
    trained = warm("train", "wine.h5", "--model", "mlp", "--epochs", 3, "--device", "cpu", "-o", "model.pt")
    assert trained.returncode == 0, trained.stderr
    told = json.loads(warm("evaluate", "model.pt", "wine.h5", "--device", "cpu", "--json").stdout)
    for name in ("pred.csv", "pred.parquet"):
        assert warm("predict", "model.pt", raw, "--device", "cpu", "-o", name).returncode == 0
    from_csv = pc.read_csv(tmp_path / "pred.csv", convert_options=pc.ConvertOptions(column_types={"quality": pa.string()}))
    found = pq.read_table(tmp_path / "pred.parquet")
    assert found.num_rows == 4898
    assert from_csv.cast(found.schema) == found

    with tz.read(tmp_path / "wine.h5") as prepared:
        rows, truth = prepared["test/row"].tolist(), prepared["test/target"].numpy()
    lines = by_row(found, rows, 1)
    classes = np.array(lines["quality"].to_pylist(), int)
    chances = np.stack([lines[name].to_numpy() for name in lines.column_names[1:]], axis=1)
    expected = evaluated(tmp_path / "model.pt", tmp_path / "wine.h5", judged)
    assert chances.dtype == np.float32
    assert np.array_equal(chances, expected)
    assert np.array_equal(classes, expected.argmax(axis=1))
    assert told["rows"] == len(rows) == 490
    assert told["metrics"]["accuracy"] == (classes == truth).mean()
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (truth, classes), 1)
    assert confusion.tolist() == told["confusion"]


def test_every_window_of_bikes_has_the_prediction_of_the_evaluation(
    data: Path, warm: Command, tmp_path: Path, judged: list[np.ndarray[Any, Any]]
) -> None:
    raw = data / "bikes/hour.csv"
    options = ("--window", 168, "--horizon", 24, "--target", "cnt", "--stride", 5, "--split", "0.7,0.15,0.15")
    assert warm("bikes", raw, *options, "-o", "bikes.h5").returncode == 0
    small = ("--set", "channels=8", "--hidden", 16, "--epochs", 1)
    assert warm("train", "bikes.h5", "--model", "conv1d", *small, "-o", "model.pt").returncode == 0
    told = json.loads(warm("evaluate", "model.pt", "bikes.h5", "--json").stdout)
    assert warm("predict", "model.pt", raw, "-o", "pred.parquet").returncode == 0

    with tz.read(tmp_path / "bikes.h5") as prepared:
        rows, truth = prepared["test/row"].numpy(), prepared["test/target"].numpy()[:, 0]
    found = pq.read_table(tmp_path / "pred.parquet")
    assert found.column_names == ["row", "time", *(f"cnt+{step}" for step in range(1, 25))]
    times = Counter(found["row"].to_pylist())
    alone = np.array([times[row] == 1 for row in rows.tolist()])  # one that starts in a gap has the row after it, as others
    assert alone.mean() > 0.98
    lines = by_row(found, rows[alone].tolist(), 2)
    numbers = np.stack([lines[name].to_numpy() for name in lines.column_names], axis=1)
    expected = evaluated(tmp_path / "model.pt", tmp_path / "bikes.h5", judged)[:, 0]
    assert np.array_equal(numbers, expected[alone])
    assert told["metrics"]["mae"] == pytest.approx(np.abs(expected - truth).mean(), rel=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_image_has_the_prediction_of_the_evaluation(
    samples: Path, warm: Command, tmp_path: Path, judged: list[np.ndarray[Any, Any]], dtype: str
) -> None:
    raw = samples / "shapes-synthetic"
    made = warm("images", raw, "--dtype", dtype, "--split", "0.5,0.5", "--stratify", "-o", "shapes.h5")
    assert made.returncode == 0, made.stderr
    assert warm("train", "shapes.h5", "--model", "cnn", "--epochs", 2, "-o", "model.pt").returncode == 0
    assert warm("predict", "model.pt", raw, "-o", "pred.parquet").returncode == 0
    with tz.read(tmp_path / "shapes.h5") as prepared:
        rows = prepared["test/row"].tolist()
    lines = by_row(pq.read_table(tmp_path / "pred.parquet"), rows, 3)
    chances = np.stack([lines[name].to_numpy() for name in lines.column_names], axis=1)
    assert np.array_equal(chances, evaluated(tmp_path / "model.pt", tmp_path / "shapes.h5", judged))


# raw data of other shapes -------------------------------------------------------------------------------------------------


def test_a_row_has_the_same_prediction_bit_for_bit_wherever_it_stands(wine: TensorSet) -> None:
    checkpoint = fit("mlp", wine, epochs=1).checkpoint
    columns = pc.read_csv(WINE, parse_options=pc.ParseOptions(delimiter=";"))
    whole = predict(checkpoint, columns).drop_columns("row")
    for rows in ([999], [3, 700, 256], list(range(1000))[::-1]):
        assert predict(checkpoint, columns.take(rows)).drop_columns("row") == whole.take(rows)


def test_columns_are_matched_by_name_and_more_of_them_do_no_harm(houses: TensorSet) -> None:
    checkpoint = fit("mlp", houses, epochs=1).checkpoint
    columns = pc.read_csv(HOUSES)
    shuffled = columns.select(columns.column_names[::-1]).append_column("more", pa.array(range(400)))
    assert predict(checkpoint, shuffled) == predict(checkpoint, columns)
    assert predict(checkpoint, columns.drop_columns("price")).column_names == ["row", "id", "price"]


def test_one_row_can_be_predicted(wine: TensorSet) -> None:
    checkpoint = fit("linear", wine, epochs=1).checkpoint
    row = pc.read_csv(WINE, parse_options=pc.ParseOptions(delimiter=";")).to_pylist()[0]
    assert predict(checkpoint, row) == predict(checkpoint, WINE).slice(0, 1)


def test_images_are_predicted_with_their_paths() -> None:
    data = tz.prepare("images", "samples/shapes-synthetic", dtype="uint8", split="0.75,0.25", stratify=True)
    found = predict(fit("cnn", data, epochs=2).checkpoint, "samples/shapes-synthetic")
    assert found.column_names == ["row", "path", "class", "p(cross)", "p(disc)", "p(square)"]
    assert found["path"][0].as_py().endswith(".png")
    assert sum(found[f"p({name})"][0].as_py() for name in ("cross", "disc", "square")) == pytest.approx(1)


def test_the_last_forecast_is_of_what_lies_behind_the_end_of_the_file() -> None:
    options = {"time": "stamp", "step": "1h", "gaps": "drop", "window": 48, "horizon": 12, "target": "kwh"}
    meter = pc.read_csv("samples/meter-synthetic.csv")
    data = tz.prepare("series", meter, **options, split="0.7,0.15,0.15")
    checkpoint = fit("conv1d", data, epochs=1, device="cpu").checkpoint
    found = predict(checkpoint, meter)
    assert found["row"][-1].as_py() == meter.num_rows - 48
    assert predict(checkpoint, meter.slice(meter.num_rows - 48)).drop_columns("row") == found.slice(
        found.num_rows - 1
    ).drop_columns("row")
    judged = data.recipe.apply(meter)["row"].tolist()
    assert set(judged) < set(found["row"].to_pylist())
    assert max(judged) == meter.num_rows - 48 - 12


def steps(start: str, unit: str, count: int, size: int = 1) -> list[str]:
    """Times of `count` steps, as ISO 8601."""
    return np.datetime_as_string(np.datetime64(start) + np.arange(count) * np.timedelta64(size, unit)).tolist()


HOURS = steps("2024-01-01T00", "h", 40)


@pytest.mark.parametrize(
    ("times", "options", "last"),
    [
        (steps("2024-01-01", "D", 40), {"time": "t"}, datetime.date(2024, 2, 10)),
        (steps("2024-01-01T00:30", "m", 40, 30), {"time": "t"}, datetime.datetime(2024, 1, 1, 20, 30)),
        (steps("2024-01-01T00:00:00.250", "ms", 40, 500), {"time": "t"}, datetime.datetime(2024, 1, 1, 0, 0, 20, 250_000)),
        (steps("2020-01", "M", 40), {"time": "t"}, datetime.date(2023, 5, 1)),
        (steps("1980", "Y", 40), {"time": "t"}, datetime.date(2020, 1, 1)),
        (np.busday_offset("2024-01-01", range(40)).astype(str).tolist(), {"time": "t"}, datetime.date(2024, 2, 26)),
        ([f"{at}:00Z" for at in HOURS], {"time": "t"}, datetime.datetime(2024, 1, 2, 16, tzinfo=datetime.UTC)),
        ([f"{at}:00+02:00" for at in HOURS], {"time": "t"}, datetime.datetime(2024, 1, 2, 14, tzinfo=datetime.UTC)),
        (
            steps("2024-03-30T00", "h", 26) + steps("2024-03-31T03", "h", 14),
            {"time": "t", "zone": "Europe/Berlin"},
            datetime.datetime(2024, 3, 31, 17, tzinfo=ZoneInfo("Europe/Berlin")),
        ),
        (list(range(40)), {}, None),
    ],
)
@pytest.mark.parametrize("encode", ["windows", "index"])
def test_each_forecast_has_the_time_of_its_first_step(
    times: list[Any], options: dict[str, str], last: Any, encode: str
) -> None:
    rows = {"t": times, "y": np.sin(np.arange(40.0))}
    made = tz.prepare("series", rows, **options, window=4, horizon=2, target="y", split="0.6,0.2,0.2", encode=encode)
    found = predict(fit("linear", made, epochs=1, device="cpu").checkpoint, rows)
    assert found.column_names == ["row", *(["time"] if last else []), "y+1", "y+2"]
    if last:
        assert found["time"][-1].as_py() == last
        assert len(set(found["time"].to_pylist())) == found.num_rows == 37


def test_each_forecast_has_its_group() -> None:
    days = steps("2024-01-01", "D", 30)
    rows = pa.table({"t": [*days, *days[:20]], "y": np.arange(50.0), "site": ["b"] * 30 + ["a"] * 20})
    options = {
        "time": "t",
        "group": "site",
        "window": 4,
        "horizon": 2,
        "target": "y",
        "unsorted": "sort",
        "split": "0.6,0.2,0.2",
    }
    made = tz.prepare("series", rows.slice(0, 40), **options)
    found = predict(fit("linear", made, epochs=1, device="cpu").checkpoint, rows)
    assert found.column_names == ["row", "group", "time", "y+1", "y+2"]
    ends = {row["group"]: row["time"] for row in found.to_pylist()}
    assert ends == {"a": datetime.date(2024, 1, 21), "b": datetime.date(2024, 1, 31)}
    stands = rows["site"].to_pylist()
    assert all(stands[row["row"]] == row["group"] for row in found.to_pylist())


@pytest.mark.parametrize("target", ["", "12", "many"])
def test_predictions_do_not_look_at_the_target(wine: TensorSet, tmp_path: Path, target: str) -> None:
    checkpoint = fit("linear", wine, epochs=1, device="cpu").checkpoint
    header, *lines = Path(WINE).read_text().splitlines()
    path = tmp_path / "new.csv"
    path.write_text("\n".join([header, *(line.rpartition(";")[0] + ";" + target for line in lines)]) + "\n")
    assert predict(checkpoint, str(path)) == predict(checkpoint, WINE)


def test_pictures_in_other_folders_or_in_none_are_predicted(samples: Path, tmp_path: Path) -> None:
    data = tz.prepare("images", str(samples / "shapes-synthetic"), dtype="uint8")
    checkpoint = fit("cnn", data, epochs=1, device="cpu").checkpoint
    known = predict(checkpoint, str(samples / "shapes-synthetic")).slice(0, 3).drop_columns(["row", "path"])
    for folder in ("", "new"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        for path in sorted((samples / "shapes-synthetic/cross").iterdir())[:3]:
            shutil.copy(path, tmp_path / "in" / folder)
        assert predict(checkpoint, str(tmp_path / "in")).drop_columns(["row", "path"]) == known
        shutil.rmtree(tmp_path / "in")


# what is bad --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(warm: Command, tmp_path: Path, wine: TensorSet) -> Path:
    """A model of wine, and raw wines of which the third has a word for a number, and the tenth too few cells."""
    fit("linear", wine, epochs=1, device="cpu", out=tmp_path / "model.pt")
    lines = Path(WINE).read_text().splitlines()
    lines[3] = "corked;" + lines[3].partition(";")[2]
    lines[10] = lines[10].rpartition(";")[0]
    path = tmp_path / "spoilt.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_bad_rows_are_an_error_unless_they_are_to_be_skipped(warm: Command, spoilt: Path, tmp_path: Path) -> None:
    refused = warm("predict", "model.pt", spoilt, "-o", "pred.csv")
    assert refused.returncode == 1
    assert "spoilt.csv:11" in refused.stderr
    assert "--on-bad skip" in refused.stderr
    assert not (tmp_path / "pred.csv").exists()

    skipping = ("--on-bad", "skip", "--rejects", "bad.jsonl")
    done = warm("predict", "model.pt", spoilt, "-o", "pred.csv", *skipping)
    assert done.returncode == 0, done.stderr
    assert "skipped: 2 of 1,000 rows" in done.stdout
    rows = pc.read_csv(tmp_path / "pred.csv")["row"].to_pylist()
    assert rows == [row for row in range(1000) if row not in (2, 9)]
    bad = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert sorted(item["row"] for item in bad) == [2, 9]

    told = json.loads(warm("predict", "model.pt", spoilt, "-o", "again.csv", "--on-bad", "skip", "--json").stdout)
    assert (told["rows"], told["rejects"]["count"]) == (998, 2)
    over = warm("predict", "model.pt", spoilt, "-o", "over.csv", "--on-bad", "skip", "--max-bad", "1")
    assert over.returncode == 1
    assert not (tmp_path / "over.csv").exists()


def test_what_was_skipped_is_told_beside_predictions_on_standard_output(warm: Command, spoilt: Path, tmp_path: Path) -> None:
    done = warm("predict", "model.pt", spoilt, "-o", "-", "--on-bad", "skip")
    assert done.stdout.count("\n") == 999
    assert "skipped: 2 of 1,000 rows" in done.stderr
    assert warm("predict", "model.pt", spoilt, "-o", "-", "--on-bad", "skip", "-q").stderr == ""
    assert warm("predict", "model.pt", spoilt, "-o", "-", "--json").returncode == 2


@pytest.mark.parametrize(
    ("kind", "options"),
    [("table", {"drop": "at"}), ("series", {"time": "at", "window": 3, "horizon": 1, "split": "0.7,0.15,0.15"})],
)
def test_nothing_is_printed_where_a_category_is_unseen(
    warm: Command, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    times = np.arange("2020-01-01", "2029-01-01", dtype="datetime64[h]").astype(str)
    columns = {"at": times.tolist(), "city": ["A", "B"] * (len(times) // 2), "y": [1.5, 2.5] * (len(times) // 2)}
    made = tz.prepare(kind, {name: values[:100] for name, values in columns.items()}, target="y", **options)
    fit("linear", made, epochs=1, device="cpu", out=tmp_path / "model.pt")
    columns["city"][-1] = "Z"
    pc.write_csv(pa.table(columns), tmp_path / "new.csv")
    done = warm("predict", "model.pt", "new.csv", "-o", "-")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"new.csv:{len(times) + 1}  city  Z" in done.stderr


@pytest.mark.parametrize("command", [("predict", WINE), ("evaluate", "wine.h5"), ("plot",), ("export", "model.onnx")])
def test_a_model_with_more_beside_its_weights_than_is_allowed(
    warm: Command, spoilt: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = warm(command[0], "model.pt", *command[1:], "--max-header", "1KB")
    assert done.returncode == 1
    assert "over the limit of 1 KB" in done.stderr
    assert "--max-header" in done.stderr
