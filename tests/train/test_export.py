"""ONNX: the preprocessing inside the graph gives the bits of the prepared file; onnxruntime alone predicts from raw data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from conftest import Command
from torch import Tensor, nn

import tensorize as tz
from tensorize.core.errors import RunError, UsageError
from tensorize.loaders.table import read_table
from tensorize.train import fit
from tensorize.train.export import export_onnx
from tensorize.train.export.graph import preprocessing
from tensorize.train.export.ports import Port
from tensorize.train.export.trace import traced
from tensorize.transforms.calendar import Calendar

ALONE = Path(__file__).with_name("onnx_alone.py")


def in_onnx(module: nn.Module, given: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    """What onnxruntime makes of the module's graph, which was traced with two rows."""
    program = traced(module, tuple(x[:2] for x in given), "the module")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {port.name: x.numpy() for port, x in zip(session.get_inputs(), given, strict=True)})[0]


def column(table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    """Cells as float64, NaN where one is empty."""
    words = {"true": "1", "false": "0", "": "nan"}
    return np.array([float(words.get(cell, cell)) for cell in table[name].to_pylist()])


def raw(ports: Sequence[Port], table: pa.Table) -> list[Tensor]:
    """The cells of a file as what the ports want."""
    found = []
    for port in ports:
        if port.kind == "numbers":
            found.append(torch.from_numpy(np.stack([column(table, name) for name in port.labels], axis=1)))
        elif port.kind == "time":
            stamps = pc.cast(pc.cast(table[port.name], pa.timestamp("us")), pa.int64())
            found.append(torch.from_numpy(stamps.to_numpy().copy()))
        else:
            place = {"": -2, **{value: index for index, value in enumerate(port.labels)}}
            found.append(torch.tensor([place.get(cell, -1) for cell in table[port.name].to_pylist()]))
    return found


TABLES = {
    "houses": {
        "target": "price",
        "id": "id",
        "ordinal": "condition:bad<ok<good",
        "missing": ("mode", "median"),
        "indicator": True,
    },
    "one-hot numbers": {
        "drop": ("id", "price"),
        "onehot": "rooms:1..9",
        "keep": "rooms",
        "minmax": "area",
        "missing": ("area=0", "rooms=mode"),
        "indicator": True,
    },
    "transforms": {"drop": ("id", "price", "rooms", "condition"), "step": "MinMax:area", "missing": "mean", "encode": "ids"},
}


@pytest.mark.parametrize("options", TABLES.values(), ids=TABLES)
def test_a_table_inside_the_graph_has_the_bits_of_the_file(samples: Path, options: dict[str, Any]) -> None:
    path = samples / "houses-synthetic.csv"
    ts = tz.prepare("table", path, **options)
    expected, _ = ts.batch(slice(None))
    module = preprocessing(ts.recipe, tuple(expected.shape[1:]))
    given = raw(module.ports, read_table(path))
    assert torch.equal(module(*given), expected)
    np.testing.assert_array_equal(in_onnx(module, given), expected.numpy())


def test_the_public_wines_inside_the_graph_have_the_bits_of_the_file(data: Path) -> None:
    path = data / "wine/winequality-white.csv"
    ts = tz.prepare("wine", path, split="0.8,0.1,0.1")
    whole = ts.recipe.apply(path)["features"]
    module = preprocessing(ts.recipe, tuple(whole.shape[1:]))
    np.testing.assert_array_equal(in_onnx(module, raw(module.ports, read_table(path))), whole.numpy())


def test_days_of_bikes_inside_the_graph_have_the_bits_of_the_file(samples: Path) -> None:
    path = samples / "bikes-synthetic.csv"
    ts = tz.prepare("bikes", path, onehot="weathersit", keep="weathersit", minmax="temp", gaps="drop")
    expected = ts["series"]
    module = preprocessing(ts.recipe, tuple(expected.shape[1:]))
    hours = raw(module.ports, read_table(path))
    places = ts["row"][:, None] + torch.arange(24)
    given = [x[places].transpose(1, 2).contiguous() if x.ndim == 2 else x[places] for x in hours]
    assert [port.kind for port in module.ports] == ["numbers", "time"]
    np.testing.assert_array_equal(in_onnx(module, given), expected.numpy())


@pytest.mark.parametrize("normalize", ["dataset", "imagenet", "none"])
def test_pixels_inside_the_graph_have_the_bits_of_the_file(samples: Path, normalize: str) -> None:
    ts = tz.prepare("images", samples / "shapes-synthetic", normalize=normalize)
    module = preprocessing(ts.recipe, (3, 32, 32))
    np.testing.assert_array_equal(in_onnx(module, [torch.from_numpy(ts.recipe.inverse(ts))]), ts["images"].numpy())


def test_16_bit_pixels_inside_the_graph_have_the_bits_of_the_file() -> None:
    pictures = np.random.default_rng(0).integers(0, 1 << 16, (3, 6, 6, 1), dtype=np.uint16)
    ts = tz.prepare("images", list(pictures[..., 0]), channels="gray")
    module = preprocessing(ts.recipe, (1, 6, 6))
    np.testing.assert_array_equal(in_onnx(module, [torch.from_numpy(ts.recipe.inverse(ts))]), ts["images"].numpy())


def test_calendar_parts_are_those_of_the_recipe_from_the_year_1_to_9999() -> None:
    parts = ("year", "month", "day", "weekday", "dayofyear", "hour", "minute")
    first, last = (int(np.datetime64(day, "us").astype(np.int64)) for day in ("0001-01-01", "9999-12-31"))
    stamps = np.random.default_rng(0).integers(first, last, 20_000)
    ends = [f"{year}-{day}T23:59:59.999999" for year in (1900, 1969, 2000, 2023, 2024) for day in ("02-28", "12-31", "03-01")]
    stamps = np.concatenate([stamps, np.array(ends, "datetime64[us]").astype(np.int64), [first, last, -1, 0]])
    step = Calendar(parts=parts)
    expected = step.encode(pa.array(stamps).cast(pa.timestamp("us")))
    given = torch.from_numpy(stamps)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = step.module()

        def forward(self, *given: Tensor) -> Tensor:
            return self.parts(given[0][:, None])

    np.testing.assert_array_equal(step.module()(given[:, None]).numpy(), expected)
    np.testing.assert_array_equal(in_onnx(Whole(), [given]), expected)


def cells(unseen: str, missing: str | tuple[str, ...] = "error") -> nn.Module:
    table = {"area": [1.0, 2.0, 3.0, 4.0], "city": ["a", "b", "a", "b"], "y": [0.1, 0.2, 0.3, 0.4]}
    ts = tz.prepare("table", table, target="y", unseen=unseen, missing=missing)
    return preprocessing(ts.recipe, (3,))


def test_what_the_recipe_refuses_is_nan_and_what_it_fills_is_filled() -> None:
    nan, given = float("nan"), [torch.tensor([[1.0], [torch.nan], [4.0], [4.0], [4.0], [torch.inf]], dtype=torch.float64)]
    given.append(torch.tensor([0, 1, -1, -2, 7, 0]))  # a, b, unseen, missing, out of range, a
    area = [-1.1619, nan, 1.1619, 1.1619, 1.1619]
    strict = [[area[0], 1, 0], [nan, 0, 1], *([value, nan, nan] for value in area[2:]), [nan, 1, 0]]
    np.testing.assert_allclose(in_onnx(cells("error"), given), strict, atol=1e-4)
    lenient = [[area[0], 1, 0], [0, 0, 1], [area[2], 0, 0], [area[3], 1, 0], [area[4], nan, nan], [nan, 1, 0]]
    np.testing.assert_allclose(in_onnx(cells("unknown", ("mode", "mean")), given), lenient, atol=1e-4)


def test_a_refused_row_has_no_prediction_and_the_others_do(tmp_path: Path) -> None:
    table = {"x": [0.0, 1.0, 2.0, 3.0] * 8, "y": [0, 1, 0, 1] * 8}
    history = fit("mlp", tz.prepare("table", table, target="y", split="0.5,0.5"), epochs=1, device="cpu")
    export_onnx(history.checkpoint, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    found = session.run(None, {"numbers": np.array([[1.0], [np.nan], [np.inf], [2.0]])})[0]
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, False]
    np.testing.assert_allclose(found[[0, 3]].sum(axis=1), 1, rtol=1e-6)


def predicted(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    table = read_table(path)
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def alone(*args: object) -> dict[str, Any]:
    """What the script prints that knows nothing but numpy, Pillow and onnxruntime."""
    done = subprocess.run([sys.executable, "-I", ALONE, *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def trained(tensorize: Command, *prepare: object, model: str, **options: str) -> None:
    """Prepare, train and export: `d.h5`, `m.pt`, `m.onnx`."""
    flags = [part for key, value in options.items() for part in (f"--{key}", value)]
    for command in (
        ("--max-size", "1GB", "-o", "d.h5"),
        ("train", "d.h5", "--model", model, *flags, "--device", "cpu", "-o", "m.pt"),
        ("export", "m.pt", "m.onnx"),
    ):
        done = tensorize(*(prepare if command[0] == "--max-size" else ()), *command)
        assert done.returncode == 0, done.stderr


def test_onnxruntime_alone_predicts_the_public_wines_as_the_command_does(data: Path, warm: Command, tmp_path: Path) -> None:
    path = data / "wine/winequality-white.csv"
    trained(warm, "wine", path, "--split", "0.8,0.1,0.1", "--stratify", "quality", model="mlp", epochs="3")
    assert warm("predict", "m.pt", path, "-o", "p.csv").returncode == 0
    expected = predicted(tmp_path / "p.csv")
    found = alone("table", tmp_path / "m.onnx", path, ";")
    assert found["classes"] == [str(score) for score in range(10)]
    wanted = np.stack([expected[f"p({name})"].astype(float) for name in found["classes"]], axis=1)
    np.testing.assert_allclose(found["values"], wanted, atol=1e-5)
    chosen = np.array(found["classes"])[np.argmax(found["values"], axis=1)]
    assert (chosen == expected["quality"]).mean() > 0.9999


def test_onnxruntime_alone_predicts_houses_with_missing_and_unseen_cells(samples: Path, warm: Command, tmp_path: Path) -> None:
    path = samples / "houses-synthetic.csv"
    how = ["--ordinal", "condition:bad<ok<good", "--missing", "mode", "--missing", "median", "--indicator"]
    how += ["--unseen", "unknown", "--zscore", "price", "--split", "0.8,0.1,0.1"]
    trained(warm, "table", path, "--target", "price", "--id", "id", *how, model="mlp", epochs="5")
    odd = tmp_path / "odd.csv"
    odd.write_text("id,rooms,area,city,condition,garden\n1,3,,Atlantis,ok,true\n2,,80.5,Millbrook,,false\n3,4,90,,bad,true\n")
    for source in (path, odd):
        assert warm("predict", "m.pt", source, "-o", "p.csv", "--force").returncode == 0
        found = alone("table", tmp_path / "m.onnx", source, ",")
        expected = predicted(tmp_path / "p.csv")["price"].astype(float)
        np.testing.assert_allclose(found["values"], expected, rtol=1e-5)


def test_onnxruntime_alone_predicts_windows_of_the_meter(samples: Path, warm: Command, tmp_path: Path) -> None:
    path = samples / "meter-synthetic.csv"
    how = ["--time", "stamp", "--window", "48", "--horizon", "12", "--target", "kwh", "--gaps", "drop"]
    trained(warm, "series", path, *how, "--split", "0.7,0.15,0.15", model="conv1d", epochs="1")
    assert warm("predict", "m.pt", path, "-o", "p.csv").returncode == 0
    expected = predicted(tmp_path / "p.csv")
    found = alone("windows", tmp_path / "m.onnx", path, ",", *expected["row"].tolist()[::7])
    wanted = np.stack([expected[f"kwh+{step}"].astype(float) for step in range(1, 13)], axis=1)[::7]
    np.testing.assert_allclose(np.array(found["values"])[:, 0], wanted, atol=1e-5)


def test_onnxruntime_alone_predicts_pictures(samples: Path, warm: Command, tmp_path: Path) -> None:
    folder = samples / "shapes-synthetic"
    trained(warm, "images", folder, "--split", "0.7,0.3", model="cnn", epochs="2")
    assert warm("predict", "m.pt", folder, "-o", "p.csv").returncode == 0
    expected = predicted(tmp_path / "p.csv")
    found = alone("images", tmp_path / "m.onnx", folder)
    assert sorted(found["paths"]) == sorted(expected["path"])
    found["values"] = [found["values"][found["paths"].index(path)] for path in expected["path"]]
    wanted = np.stack([expected[f"p({name})"].astype(float) for name in found["classes"]], axis=1)
    np.testing.assert_allclose(found["values"], wanted, atol=1e-5)


def test_a_residual_net_is_checked_on_as_many_pictures_as_the_memory_for_it_holds(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = tz.prepare("images", samples / "shapes-synthetic", split="0.7,0.3")
    history = fit("resnet", shapes, options={"width": 8}, epochs=1, device="cpu", workers=1)
    monkeypatch.setattr("tensorize.train.export.onnx.CHECK_BYTES", 10 * 8 * 3 * 32 * 32)
    made = export_onnx(history.checkpoint, tmp_path / "m.onnx")
    assert made.batches == (1, 10)
    assert made.difference <= 1e-5


class Noisy(nn.Linear):
    """Draws random numbers in use, too: no two runs say the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randn_like(x)


def test_a_graph_that_says_something_else_than_torch_is_not_written(tmp_path: Path) -> None:
    data = tz.prepare("table", {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.5, 3.5, 4.5, 5.5]}, target="y", split="0.5,0.5")
    history = fit(Noisy(1, 1), data, epochs=1, device="cpu")
    with pytest.raises(RunError, match="the graph and torch differ by"):
        export_onnx(history.checkpoint, tmp_path / "m.onnx", module=Noisy(1, 1))
    assert list(tmp_path.iterdir()) == []


class Sign(nn.Module):
    """Goes another way for other data: no graph holds that."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Halves(nn.Module):
    """Takes the number of rows for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), 1) * 0.5


@pytest.mark.parametrize(("model", "said"), [(Sign(), "cannot make a graph of Sign"), (Halves(), "cannot run the graph")])
def test_a_model_without_a_graph_for_any_number_of_rows_is_refused(model: nn.Module, said: str, tmp_path: Path) -> None:
    data = tz.prepare("table", {"x": [1.0, 2.0, 3.0], "y": [2.5, 3.5, 4.5]}, target="y", split="0.5,0.5")
    with torch.no_grad():
        model.register_parameter("w", nn.Parameter(torch.ones(1)))
    history = fit(
        model, data, epochs=1, device="cpu", loss=lambda output, target: ((output - target) ** 2).mean() + model.w.sum()
    )
    with pytest.raises(UsageError, match=said):
        export_onnx(history.checkpoint, tmp_path / "m.onnx", module=model)
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_was_handed_in_is_exported_with_it_and_named_without_it(tmp_path: Path) -> None:
    data = tz.prepare("table", {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.5, 3.5, 4.5, 5.5]}, target="y", split="0.5,0.5")
    model = nn.Linear(1, 1)
    history = fit(model, data, epochs=1, device="cpu")
    with pytest.raises(UsageError, match="handed to fit"):
        export_onnx(history.checkpoint, tmp_path / "m.onnx")
    assert export_onnx(history.checkpoint, tmp_path / "m.onnx", module=nn.Linear(1, 1)).difference <= 1e-5


def test_columns_may_be_called_what_the_graph_calls_its_own(tmp_path: Path) -> None:
    names = ["numbers", "probabilities", "val_0", "linear", "naïve, column", "model.1.weight"]
    table = {name: ["a", "b"] * 10 for name in names} | {"x": [1.0, 2.0] * 10, "y": ["yes", "no"] * 10}
    history = fit("mlp", tz.prepare("table", table, target="y", split="0.5,0.5"), epochs=1, device="cpu")
    made = export_onnx(history.checkpoint, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(made.path)
    assert [port.name for port in session.get_inputs()] == [port["name"] for port in made.inputs]
    assert [port.get("column") for port in made.inputs] == [None, *names]
    assert json.loads(session.get_modelmeta().custom_metadata_map["tensorize.inputs"]) == list(made.inputs)
    assert session.get_modelmeta().custom_metadata_map["tensorize.recipe"] == history.checkpoint.recipe_json


def test_the_same_model_makes_the_same_bytes_without_a_trace_of_where(tmp_path: Path) -> None:
    table = {"x": [1.0, 2.0] * 10, "city": ["a", "b"] * 10, "y": ["yes", "no"] * 10}
    history = fit("mlp", tz.prepare("table", table, target="y", split="0.5,0.5"), epochs=1, device="cpu")
    for name in ("a.onnx", "b.onnx"):
        export_onnx(history.checkpoint, tmp_path / name)
    found = (tmp_path / "a.onnx").read_bytes()
    assert found == (tmp_path / "b.onnx").read_bytes()
    assert b"site-packages" not in found
    assert str(Path(tz.__file__).parent).encode() not in found


def test_text_has_no_graph_and_says_so(samples: Path) -> None:
    ts = tz.prepare("text", samples / "text-synthetic.txt", level="word", encode="ids")
    with pytest.raises(UsageError, match="a model of text cannot be exported"):
        preprocessing(ts.recipe, (10,))


def test_an_existing_file_and_another_suffix_are_refused(
    tensorize: Command, warm: Command, samples: Path, tmp_path: Path
) -> None:
    trained(warm, "wine", samples / "wine-synthetic.csv", "--split", "0.8,0.2", model="linear", epochs="1")
    before = (tmp_path / "m.onnx").read_bytes()
    again = tensorize("export", "m.pt", "m.onnx")
    assert (again.returncode, (tmp_path / "m.onnx").read_bytes() == before) == (2, True)
    assert "--force" in again.stderr
    assert "m.onnx" in warm("export", "m.pt", "m.tflite").stderr
    said = json.loads(tensorize("export", "m.pt", "m.onnx", "--force", "--json").stdout)
    assert said["check"]["batches"] == [1, 1000]
    assert said["check"]["difference"] <= 1e-5
    assert said["inputs"][0]["columns"][0] == "fixed acidity"


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tz.prepare("table", {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.5, 3.5, 4.5, 5.5]}, target="y", split="0.5,0.5")
    checkpoint = fit("linear", data, epochs=1, device="cpu").checkpoint
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(RunError, match=r"tensorize\[onnx\]"):
        export_onnx(checkpoint, tmp_path / "m.onnx")
