"""Golden files: files and recipes of an earlier version still give the same bits, its models the same numbers.

The files and their expected results are in tests/golden; see its README. They are never regenerated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Command

import tensorize

GOLDEN = ROOT / "tests" / "golden"
MANIFEST = json.loads((GOLDEN / "manifest.json").read_text("utf-8"))
WITHOUT_DIGEST = ("README.md", "manifest.json")
EXPORTED_AGAIN = (
    "onnx/table-numbers-mlp.onnx",
    "onnx/table-time-linear.onnx",
    "onnx/table-step-transforms-linear.onnx",
    "onnx/table-ids-unknown-linear.onnx",
    "onnx/bikes-windows-conv1d.onnx",
    "onnx/images-uint8-cnn.onnx",
)


def cases(group: str, wanted: Iterable[str] | None = None) -> pytest.MarkDecorator:
    """One test for each entry of the manifest, named for its file."""
    entries = MANIFEST[group]
    chosen = list(entries if wanted is None else wanted)
    return pytest.mark.parametrize(("name", "entry"), [(name, entries[name]) for name in chosen], ids=chosen)


APPLIED = {
    f"{recipe}-{source}": (recipe, source) for recipe, entry in MANIFEST["recipes"].items() for source in entry["applied"]
}
REFUSED = [name for name, entry in MANIFEST["recipes"].items() if "refused" in entry]


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True, sort_keys=True).encode()).hexdigest()


def bits(values: Any) -> dict[str, Any]:
    array = np.ascontiguousarray(values)
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": hashlib.sha256(array.tobytes()).hexdigest()}


def described(tensors: tensorize.TensorSet) -> dict[str, Any]:
    """The bits, axes, role and labels of each tensor, and the digest of each list of texts."""
    found = {}
    for key in tensors:
        spec, values = tensors.spec(key), tensors.numpy(key)
        labels = {axis: digest(list(tensors.labels(key, axis))) for axis in spec.labels}
        first = [repr(value) for value in values.ravel()[:3].tolist()]
        found[key] = {**bits(values), "axes": list(spec.axes), "role": spec.role, "labels": labels, "first": first}
    return {"tensors": found, "meta": {name: digest(list(texts)) for name, texts in tensors.meta.items()}}


def batches(tensors: tensorize.TensorSet) -> dict[str, Any]:
    """The bits of the model inputs and targets of each split, with compact tensors expanded."""
    found = {}
    for split in tensors.splits or (None,):
        parts = zip(*tensors.batches(7, split=split), strict=True)
        found[split or "all"] = [bits(np.concatenate(part)) for part in parts if part[0] is not None]
    return found


def plain(value: Any) -> Any:
    """A result of `inverse` as JSON: tables as their columns, arrays as lists, times as ISO 8601."""
    if hasattr(value, "to_pydict"):
        return plain(value.to_pydict())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def inverse(recipe: tensorize.Recipe, tensors: tensorize.TensorSet) -> str | None:
    """The digest of the values in original units; None if a step has no inverse."""
    try:
        return digest(plain(recipe.inverse(tensors)))
    except tensorize.UsageError:
        return None


def unpacked(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.frombuffer(bytes.fromhex(item["hex"]), item["dtype"]).reshape(item["shape"]) for name, item in arrays.items()
    }


def assert_close(found: Any, expected: Any, where: str = "") -> None:
    """Numbers of a model agree to within float32 arithmetic on another machine; everything else exactly."""
    if isinstance(expected, float) and found is not None:
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6), where
        return
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name, value in expected.items():
            assert_close(found[name], value, f"{where} {name}")
        return
    if isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            assert_close(found[index], value, f"{where} {index}")
        return
    assert found == expected, where


def assert_runs(path: Path, entry: Mapping[str, Any]) -> None:
    """The graph has the inputs and outputs of the manifest, and its results agree to 1e-6."""
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["tensorize.inputs"]) == entry["inputs"]
    assert json.loads(metadata["tensorize.output"]) == entry["output"]
    expected = unpacked(entry["gave"])
    given = session.run(list(expected), unpacked(entry["fed"]))
    for found, (name, values) in zip(given, expected.items(), strict=True):
        assert found.dtype == values.dtype
        np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6, err_msg=name)


def test_no_golden_file_was_changed_added_or_lost() -> None:
    files = [path for path in GOLDEN.rglob("*") if path.is_file() and path.name not in WITHOUT_DIGEST]
    found = {path.relative_to(GOLDEN).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == MANIFEST["sha256"]
    listed = {name for group in ("files", "recipes", "models", "onnx") for name in MANIFEST[group]}
    assert listed == {"/".join(name.split("/")[:2]) for name in found if name.split("/")[0] not in ("new", "sources")}
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) <= 3_000_000


@cases("files")
def test_a_prepared_file_is_read_to_the_same_bits(name: str, entry: dict[str, Any]) -> None:
    tensorize.verify(GOLDEN / name)
    with tensorize.read(GOLDEN / name) as tensors:
        assert described(tensors) == {"tensors": entry["tensors"], "meta": entry["meta"]}
        assert batches(tensors) == entry["batches"]


@cases("files", [name for name, entry in MANIFEST["files"].items() if entry["recipe"] not in REFUSED])
def test_the_recipe_in_a_file_is_the_one_beside_it(name: str, entry: dict[str, Any]) -> None:
    tensorize.verify(GOLDEN / entry["recipe"])
    assert tensorize.Recipe.read(GOLDEN / name) == tensorize.Recipe.read(GOLDEN / entry["recipe"])


@pytest.mark.parametrize(("recipe", "source"), APPLIED.values(), ids=APPLIED)
def test_a_recipe_gives_new_rows_the_same_bits(recipe: str, source: str) -> None:
    expected = dict(MANIFEST["recipes"][recipe]["applied"][source])
    raw = expected.pop("inverse")
    found = tensorize.Recipe.read(GOLDEN / recipe)
    tensors = found.apply(str(GOLDEN / source))
    assert described(tensors) == expected
    assert inverse(found, tensors) == raw


@cases("recipes", REFUSED)
def test_a_recipe_with_a_step_of_a_missing_plug_in_is_refused_by_name(name: str, entry: dict[str, Any]) -> None:
    with pytest.raises(tensorize.UsageError, match=f'"{entry["refused"]}"'):
        tensorize.Recipe.read(GOLDEN / name).apply(str(GOLDEN / "new/mixed.csv"))


@cases("models")
def test_a_checkpoint_predicts_new_rows(name: str, entry: dict[str, Any]) -> None:
    from tensorize.train import predict

    table = predict(GOLDEN / name, str(GOLDEN / entry["new"]), device="cpu")
    assert set(table.column_names) - set(entry["predicted"]) <= {"time", "group"}, "columns that forecasts have had since"
    assert_close(table.select(list(entry["predicted"])).to_pydict(), entry["predicted"])


@cases("models")
def test_a_checkpoint_is_evaluated_to_the_same_metrics(name: str, entry: dict[str, Any]) -> None:
    pytest.importorskip("torchmetrics")
    from tensorize.train import evaluate

    found, expected = evaluate(GOLDEN / name, GOLDEN / entry["data"], device="cpu"), entry["evaluated"]
    assert (found.split, found.rows) == (expected["split"], expected["rows"])
    assert [list(row) for row in found.confusion] == expected["confusion"]
    for part in ("metrics", "per_class", "trivial"):
        assert_close(getattr(found, part), expected[part])


@cases("onnx")
def test_an_onnx_graph_gives_the_same_numbers(name: str, entry: dict[str, Any]) -> None:
    assert_runs(GOLDEN / name, entry)


@cases("onnx", EXPORTED_AGAIN)
def test_a_checkpoint_is_exported_as_the_same_function(name: str, entry: dict[str, Any], warm: Command, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    done = warm("export", GOLDEN / entry["model"], "again.onnx")
    assert done.returncode == 0, done.stderr
    assert_runs(tmp_path / "again.onnx", entry)
