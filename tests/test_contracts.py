"""The promises, over every registered loader and exporter: a new one is tested by adding its case here."""

import csv
import io
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outputs import bytes_of
from PIL import Image

from tensorize import Recipe, prepare, read
from tensorize.core import registry
from tensorize.core.contracts import Plan, Run
from tensorize.core.errors import RecipeError, UsageError
from tensorize.engine.threads import ThreadEngine

RNG = np.random.default_rng(7)
SPLIT = "0.6,0.2,0.2"


@dataclass(frozen=True)
class Case:
    """A small source of a kind, and how to prepare it."""

    kind: str
    name: str
    write: Any
    options: dict[str, Any] = field(default_factory=dict)


def table_text(folder: Path) -> Path:
    path = folder / "table.csv"
    rows = []
    for n in range(400):
        gap, colour = "" if n % 11 == 0 else n % 5, ("red", "green", "blue")[n * n % 3]
        rows.append(f'{n},{RNG.normal(1.7e9, 3):.6f},{n % 7},{colour},{gap},{n % 2},"a,\nb{n}"')
    path.write_text("id,stamp,kind,colour,gap,flag,note\n" + "\n".join(rows) + "\n")
    return path


def wine_text(folder: Path) -> Path:
    path = folder / "wine.csv"
    names = ["fixed acidity", "pH", "alcohol"]
    rows = [";".join([*(f"{value:.4f}" for value in RNG.normal(5, 2, 3)), str(3 + n % 6)]) for n in range(300)]
    path.write_text(";".join(f'"{name}"' for name in [*names, "quality"]) + "\n" + "\n".join(rows) + "\n")
    return path


def series_text(folder: Path) -> Path:
    path = folder / "meter.csv"
    kept = [hour for hour in range(24 * 30) if hour % 37]
    rows = [f"2024-01-{hour // 24 + 1:02} {hour % 24:02}:00:00,{RNG.normal():.5f},{hour % 3}" for hour in [0, *kept]]
    path.write_text("at,kwh,state\n" + "\n".join(rows) + "\n")
    return path


def bikes_text(folder: Path) -> Path:
    path = folder / "hour.csv"
    lines = (Path(__file__).parent.parent / "samples/bikes-synthetic.csv").read_text().splitlines()
    path.write_text("\n".join(lines[: 24 * 20]) + "\n")
    return path


def book_text(folder: Path) -> Path:
    path = folder / "book.txt"
    words = np.array(["The", "quick,", "brown", "“fox”", "jumps", "over", "naïve", "dogs", "--", "and", "runs;", "away!"])
    path.write_text("\n".join(" ".join(words[RNG.integers(0, len(words), n % 9)]) for n in range(120)) + "\n", "utf-8")
    return path


def pictures(folder: Path) -> Path:
    root = folder / "pictures"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for n in range(10):
            Image.fromarray(RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(root / name / f"{n}.png")
    return root


CASES = [
    Case(
        "table",
        "one-hot",
        table_text,
        {"drop": "note", "onehot": "kind", "missing": "median", "indicator": True, "target": "flag", "id": "id"},
    ),
    Case(
        "table",
        "ids",
        table_text,
        {"drop": "note,stamp", "missing": "mode", "encode": "ids", "onehot": "kind:10", "stratify": "colour"},
    ),
    Case("wine", "one-hot", wine_text, {"onehot": "quality"}),
    Case("series", "days", series_text, {"time": "at", "period": "day", "gaps": "ffill", "onehot": "state"}),
    Case("series", "windows", series_text, {"time": "at", "window": 12, "horizon": 3, "target": "kwh", "gaps": "interpolate"}),
    Case("series", "fold", series_text, {"time": "at", "fold": 10, "gaps": "drop"}),
    Case("bikes", "days", bikes_text, {"onehot": "weathersit"}),
    Case("text", "words", book_text, {"level": "word"}),
    Case("text", "lines", book_text, {"charset": "corpus", "per": "line", "length": 70, "encode": "ids"}),
    Case("images", "float32", pictures, {}),
    Case("images", "uint8", pictures, {"dtype": "uint8", "size": "4x5"}),
]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
SUFFIX = pytest.mark.parametrize("suffix", [registry.load("exporters", name).suffixes[0] for name in registry.EXPORTERS])


READ = [registry.load("exporters", name).suffixes[0] for name in registry.EXPORTERS if registry.load("exporters", name).reads]


def test_every_loader_has_a_case():
    assert {case.kind for case in CASES} == set(registry.LOADERS)


def exporter_of(case: Case, source: Path, suffix: str) -> Any:
    """The exporter of a suffix, for one tensor if it holds one; None if it refuses the set, such as documents as samples.

    Where it refuses, it says so before anything is written.
    """
    made = prepare(case.kind, str(source), **case.options, split=SPLIT)
    exporter = registry.exporter_for(f"x{suffix}")
    if hasattr(exporter, "tensor"):
        exporter = replace(exporter, tensor=made.layout.tensors[0].key)
    refusal = exporter.refusal(made.layout)
    if not refusal:
        return exporter
    out = source.parent / f"refused{suffix}"
    with pytest.raises(UsageError) as caught:
        prepare(case.kind, str(source), **case.options, split=SPLIT, out=out, format=exporter)
    assert str(caught.value).startswith(refusal)
    with pytest.raises(UsageError):
        made.save(out, format=exporter)
    assert not out.exists()
    return None


@EACH
@SUFFIX
def test_same_bits_whatever_the_threads_and_the_chunks(tmp_path, case, suffix):
    source, made = case.write(tmp_path), set()
    exporter = exporter_of(case, source, suffix)
    if exporter is None:
        return
    for number, (threads, size) in enumerate([(1, None), (2, 700), (5, 4096), (1, 301)]):
        out = tmp_path / f"{number}{suffix}"
        settings = {"out": out, "format": exporter, "threads": threads, "chunk_bytes": size}
        prepare(case.kind, str(source), **case.options, split=SPLIT, **settings)
        made.add(bytes_of(out))
    assert len(made) == 1


@EACH
@pytest.mark.parametrize("split", [SPLIT, None])
def test_every_format_converts_into_every_other_without_a_change(tmp_path, case, split):
    """The same bits, recipe, labels and texts; and the same file, from whichever format it was converted."""
    made = prepare(case.kind, str(case.write(tmp_path)), **case.options, split=split)
    able = [suffix for suffix in READ if not registry.exporter_for(f"x{suffix}").refusal(made.layout)]
    assert len(able) >= 5
    direct = {suffix: bytes_of(made.save(tmp_path / f"direct{suffix}")) for suffix in able}
    for first in able:
        with read(tmp_path / f"direct{first}") as ts:
            assert ts.equals(made)
            for second in able:
                assert bytes_of(ts.save(tmp_path / f"again{second}", force=True)) == direct[second], (first, second)


class Sending(ThreadEngine):
    """Threads that pickle functions, items and results, as if they went to another process and came back."""

    def map(self, function: Any, items: Any) -> Iterator[Any]:
        function = self.sent(function)
        return super().map(lambda item: self.sent(function(self.sent(item))), items)

    def sent(self, value: Any) -> Any:
        """A copy by way of a pickle. The store is no copy: every process has its own view of it."""
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream)
        pickler.persistent_id = lambda found: "store" if found is self.store else None
        pickler.dump(value)
        unpickler = pickle.Unpickler(io.BytesIO(stream.getvalue()))
        unpickler.persistent_load = lambda _: self.store
        return unpickler.load()


def made(loader: Any, plan: Plan, rows: Any, run: Run) -> tuple[Plan, list[tuple[str, bytes]]]:
    """The finished plan, and every piece of every tensor: its key, and its values as bytes."""
    found, values = None, []
    for piece in loader.apply(plan, rows, run):
        if piece.found is not None:
            found = piece.found if found is None else found.merge(piece.found)
        values += [(f"{piece.split}/{name}", array.tobytes()) for name, array in piece.values.items()]
    return loader.finish(plan, found), values


@EACH
@pytest.mark.parametrize("size", [300, 4 << 20])
def test_a_loader_works_in_other_processes(tmp_path, case, size):
    """What it sends to workers, its plan and its rows survive a pickle, and the same pieces come of them."""
    loader = registry.load("loaders", case.kind)()
    source, results = str(case.write(tmp_path)), []
    options = loader.Options.parse(case.options | {"split": SPLIT})
    for engine in (ThreadEngine(2), Sending(2)):
        run, sent = Run(engine, size), getattr(engine, "sent", lambda value: value)
        with loader.open(source, options, run) as rows:
            plan = loader.learn(rows, options, run)
            results.append(made(loader, sent(plan), sent(rows), run))
            again = loader.plan(sent(rows), options, run, results[-1][0].learned)
            assert again.specs == plan.specs
        engine.close()
    assert results[0][1] == results[1][1]
    assert results[0][0].learned == results[1][0].learned
    assert results[0][0].notes == results[1][0].notes


@EACH
def test_the_file_and_the_memory_hold_the_same(tmp_path, case):
    source = str(case.write(tmp_path))
    held = prepare(case.kind, source, **case.options, split=SPLIT)
    assert held.equals(prepare(case.kind, source, **case.options, split=SPLIT, out=tmp_path / "x.h5"))
    held.save(tmp_path / "y.h5")
    assert (tmp_path / "y.h5").read_bytes() == (tmp_path / "x.h5").read_bytes()


@EACH
def test_apply_gives_the_same_bits_and_learns_nothing(tmp_path, case):
    source = str(case.write(tmp_path))
    first = prepare(case.kind, source, **case.options, out=tmp_path / "x.h5")
    recipe = Recipe.read(tmp_path / "x.h5")
    again = recipe.apply(source)
    assert again.recipe == recipe
    assert again.equals(first)


@EACH
def test_a_recipe_is_json_that_refuses_what_it_does_not_know(tmp_path, case):
    source = str(case.write(tmp_path))
    recipe = prepare(case.kind, source, **case.options).recipe
    text = recipe.to_json()
    assert Recipe.from_json(text) == recipe
    assert str(tmp_path) not in text
    plain = json.loads(text)
    assert plain["tensorize"] == 1
    wrong = [
        plain | {"extra": 1},
        plain | {"tensorize": 2},
        plain | {"options": plain["options"] | {"nonsense": 1}},
        plain | {"steps": [*plain["steps"][:-1], plain["steps"][-1] | {"state": {"nonsense": 1}}]},
    ]
    for bad in wrong:
        with pytest.raises(UsageError):
            Recipe.from_json(json.dumps(bad)).apply(source)
    with pytest.raises(RecipeError, match="twice"):
        Recipe.from_json(text.replace('"kind":', '"kind":"x","kind":', 1))


@EACH
def test_exactly_one_input_after_expansion_and_a_role_for_everything(tmp_path, case):
    ts = prepare(case.kind, str(case.write(tmp_path)), **case.options)
    assert {spec.role for spec in ts.layout.tensors} <= {"input", "target", "meta"}
    x, y = ts.batch(slice(0, 3))
    assert x.dtype == torch.float32
    assert len(x) == 3
    assert (y is not None) == bool(ts.by_role("target"))
    assert torch.equal(ts.batch(np.array([0, 1, 2]))[0], x)
    sample = ts.dataset()[1]
    assert torch.equal(sample[0], x[1])
    assert ts["row"].dtype == torch.int64
    assert all(len(spec.axes) == len(spec.shape) for spec in ts.layout.tensors)


@EACH
def test_splits_share_out_the_rows_and_keep_their_order(tmp_path, case):
    source = str(case.write(tmp_path))
    ts, whole = prepare(case.kind, source, **case.options, split=SPLIT), prepare(case.kind, source, **case.options)
    rows = [ts.split(name)["row"].tolist() for name in ts.splits]
    assert ts.splits == ("train", "val", "test")
    assert all(part == sorted(part) for part in rows)
    if "window" not in case.options:
        assert sorted(row for part in rows for row in part) == whole["row"].tolist()
    starts = [set(part) for part in rows]
    assert not starts[0] & starts[2]
    if case.kind not in ("series", "text"):
        assert len(set.union(*starts)) == sum(map(len, rows))


@EACH
def test_a_dry_run_leaves_nothing_and_tells_what_the_run_makes(tmp_path, case, tensorize):
    source = case.write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    flags = []
    for name, value in case.options.items():
        flags += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    done = tensorize(case.kind, source, *flags, "--dry-run", "--json", "-o", "x.h5")
    assert done.returncode == 0, done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    told = {item["key"]: (tuple(item["shape"]), item["dtype"]) for item in json.loads(done.stdout)["tensors"]}
    assert tensorize(case.kind, source, *flags, "-o", "x.h5").returncode == 0
    with read(tmp_path / "x.h5") as ts:
        assert told == {key: (spec.shape, spec.dtype) for key, spec in ts.specs.items()}


# no leak ----------------------------------------------------------------------------------------------------------


def other(cell: str, row: int) -> str:
    """Another cell of the same kind: a number becomes another number, a word another word."""
    if cell in ("true", "false"):
        return "false" if cell == "true" else "true"
    try:
        float(cell)
    except ValueError:
        return cell[::-1] + "z" if cell else cell
    return str(int(cell) + 3 + row % 5) if cell.lstrip("-").isdigit() else f"{float(cell) * -3.7 + row:.4f}"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": "minmax"},
        {"missing": "mean"},
        {"missing": "median"},
        {"missing": "mode"},
        {"onehot": "kind,colour", "unseen": "unknown"},
        {"encode": "ids", "onehot": "kind", "unseen": "unknown"},
        {"step": "MinMax:stamp"},
    ],
)
def test_what_val_and_test_hold_teaches_nothing(tmp_path, options):
    given = {"drop": "note", "missing": "median", "indicator": True, "unseen": "unknown", "split": "0.8,0.1,0.1"} | options
    path = table_text(tmp_path)
    first = prepare("table", path, **given)
    held_out = {row for name in ("val", "test") for row in first.split(name)["row"].tolist()}
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    changed = [[other(cell, at) for cell in row] if at in held_out else row for at, row in enumerate(rows[1:])]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *changed])
    second = prepare("table", path, **given)
    assert second.recipe.to_json() == first.recipe.to_json()
    assert torch.equal(second["train/features"], first["train/features"])
    assert not torch.equal(second["val/features"], first["val/features"])


def test_pictures_of_val_and_test_teach_nothing(tmp_path):
    root = pictures(tmp_path)
    first = prepare("images", root, split=SPLIT)
    for name in ("val", "test"):
        for path in first.meta[f"{name}/paths"]:
            Image.fromarray(np.full((9, 7, 3), 255, np.uint8)).save(root / path)
    second = prepare("images", root, split=SPLIT)
    assert second.recipe.to_json() == first.recipe.to_json()
    assert torch.equal(second["train/images"], first["train/images"])


# the real wine ------------------------------------------------------------------------------------------------------

# In float128. Read as float32 first, the density 1.001 would give 2.33129.
FIRST = [0.17208, -0.08176, 0.21326, 2.82106, -0.03535, 0.56987, 0.74449, 2.33127, -1.24679, -0.34915, -1.39301]


def test_the_white_wines(data, tmp_path, tensorize):
    source = data / "wine/winequality-white.csv"
    done = tensorize("wine", source, "--onehot", "quality", "-o", "wine.h5")
    assert done.returncode == 0, done.stderr
    with read(tmp_path / "wine.h5") as ts:
        assert ts["features"].shape == (4898, 11)
        assert [round(value, 5) for value in ts["features"][0].tolist()] == FIRST
        assert ts["target"].sum(0).tolist() == [0, 0, 0, 20, 163, 1457, 2198, 880, 175, 5]
        assert tensorize("apply", "wine.h5", source, "-o", "again.h5").returncode == 0
        assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "wine.h5").read_bytes()
        lines = source.read_text().splitlines()
        row = dict(zip(lines[0].replace('"', "").split(";"), map(float, lines[4001].split(";")), strict=True))
        one = ts.recipe.apply({**row, "quality": int(row["quality"])})
        assert torch.equal(one["features"][0], ts["features"][4000])
        assert torch.equal(one["target"][0], ts["target"][4000])
    (tmp_path / "bare.csv").write_text("\n".join(line.rpartition(";")[0] for line in lines) + "\n")
    done = tensorize("apply", "wine.h5", "bare.csv", "-o", "bare.h5")
    assert done.returncode == 0
    assert done.stdout.count("no target") == 1
    with read(tmp_path / "bare.h5") as bare, read(tmp_path / "wine.h5") as ts:
        assert torch.equal(bare["features"], ts["features"])
        assert "target" not in bare


def test_no_cell_of_held_out_wines_changes_what_is_learned(data, tmp_path):
    source = data / "wine/winequality-white.csv"
    first = prepare("wine", source, split="0.8,0.1,0.1")
    assert [len(first.split(name)["row"]) for name in first.splits] == [3918, 490, 490]
    held_out = {row for name in ("val", "test") for row in first.split(name)["row"].tolist()}
    lines = source.read_text().splitlines()
    changed = [
        ";".join(f"{float(cell) * 2 + 1:.3f}" for cell in line.split(";")[:-1]) + ";" + str((int(line[-1]) + 1) % 10)
        for line in lines[1:]
    ]
    mixed = [changed[at] if at in held_out else line for at, line in enumerate(lines[1:])]
    (tmp_path / "wine.csv").write_text("\n".join([lines[0], *mixed]) + "\n")
    second = prepare("wine", tmp_path / "wine.csv", split="0.8,0.1,0.1")
    assert second.recipe.to_json() == first.recipe.to_json()
    assert torch.equal(second["train/features"], first["train/features"])
