"""CONTRIBUTING.md, carried out: its examples are added as it says, and then they work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Command

GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
RULE, PACKAGE = "## The ten-second rule", "## A package of your own"


def section(heading: str) -> str:
    return re.split(r"^## ", GUIDE.split(heading, 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def files(heading: str) -> dict[str, str]:
    """Name → text of every code block of a section that follows a line with just a name in backquotes."""
    return dict(re.findall(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)^```", section(heading), flags=re.MULTILINE | re.DOTALL))


def lines(heading: str) -> list[tuple[str, str, str]]:
    """(table, file, line) of every line that a section adds to a table."""
    pattern = r"`([A-Z]+)` in `([\w./]+)`[^`]*:\n\n```python\n(.*?\n)```"
    return re.findall(pattern, section(heading), flags=re.MULTILINE)


def run(*command: object, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the examples of the ten-second rule were added: one file and one line each."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "tensorize", root / "tensorize")
    shutil.copytree(ROOT / "cli", root / "tensorize_cli")
    assert (len(files(RULE)), len(lines(RULE))) == (5, 5)
    for name, text in files(RULE).items():
        (root / name.replace("cli/", "tensorize_cli/")).write_text(text, "utf-8")
    for table, name, line in lines(RULE):
        path = root / name.replace("cli/", "tensorize_cli/")
        before = path.read_text("utf-8")
        (start,) = re.findall(rf"^{table} = {{", before, flags=re.MULTILINE)
        path.write_text(before.replace(start, f"{start}\n{line}"), "utf-8")
    return root


def test_the_doctests_of_the_examples_hold(project: Path) -> None:
    modules = [name.removesuffix(".py").replace("/", ".") for name, text in files(RULE).items() if ">>>" in text]
    assert len(modules) >= 2
    for module in modules:
        code = f"import doctest, {module} as m; found = doctest.testmod(m); assert found.attempted and not found.failed, found"
        run(sys.executable, "-c", code, cwd=project)


def test_the_examples_work_from_the_shell(project: Path, samples: Path) -> None:
    tensorize = [sys.executable, "-m", "tensorize"]
    houses = samples / "houses-synthetic.csv"
    arff(houses, project / "houses.arff")
    steps = ["--step", "log1p:area"]
    said = run(*tensorize, "table", "houses.arff", "--target", "price", *steps, "-o", "houses.rawzip", cwd=project)
    assert "log1p" in said
    assert "Millbrook" in run(*tensorize, "names", "houses.rawzip", cwd=project)
    run(*tensorize, "convert", "houses.rawzip", "houses.h5", cwd=project)
    code = (
        "import tensorize; a, b = tensorize.read('houses.rawzip'), tensorize.read('houses.h5'); assert a.equals(b);"
        "x = a['features']; print(x[:, a.labels('features', 'feature').index('area')].expm1().round().int().tolist()[:3])"
    )
    assert run(sys.executable, "-c", code, cwd=project) == "[139, 169, 45]\n"


TABLE = "area,rooms,price\n" + "".join(f"{20 + 3 * n},{1 + n % 5},{1000 * n * n + 5}\n" for n in range(60))


@pytest.fixture(scope="module")
def prices(project: Path) -> Path:
    """A table whose input and target are logarithms."""
    (project / "prices.csv").write_text(TABLE)
    how = ["--target", "price", "--step", "log1p:area,price", "--split", "0.8,0.2", "-o", "prices.h5"]
    run(sys.executable, "-m", "tensorize", "table", "prices.csv", *how, cwd=project)
    return project


def test_the_transform_of_the_examples_refuses_a_new_value_by_its_place(prices: Path) -> None:
    (prices / "new.csv").write_text("area,rooms\n50,2\n-3,1\n")
    command = [sys.executable, "-m", "tensorize", "apply", "prices.h5", "new.csv", "-o", "new.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=prices)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: 1 value is refused by the step of the column"
    assert "new.csv:3  area  -3" in done.stderr
    assert '"area": a value is below 0' in done.stderr


def test_the_transform_of_the_examples_is_undone_and_exported(prices: Path) -> None:
    tensorize = [sys.executable, "-m", "tensorize"]
    code = "import tensorize as t; s = t.read('prices.h5'); print(s.recipe.inverse(s)['test']['area'].to_pylist()[0])"
    area = float(run(sys.executable, "-c", code, cwd=prices))
    assert area == pytest.approx(round(area), rel=1e-6)
    run(*tensorize, "train", "prices.h5", "--model", "linear", "--epochs", "3", "--device", "cpu", "-o", "m.pt", cwd=prices)
    run(*tensorize, "export", "m.pt", "m.onnx", cwd=prices)
    (prices / "some.csv").write_text("area,rooms\n50,2\n80,1\n")
    run(*tensorize, "predict", "m.pt", "some.csv", "-o", "p.csv", cwd=prices)
    predicted = [float(line.split(",")[-1]) for line in (prices / "p.csv").read_text().splitlines()[1:]]
    code = (
        "import onnxruntime as o, numpy as n; s = o.InferenceSession('m.onnx');"
        "print(s.run(None, {'numbers': n.array([[50., 2.], [80., 1.], [-3., 1.]])})[0].tolist())"
    )
    found = json.loads(run(sys.executable, "-c", code, cwd=prices).replace("nan", "null"))
    assert found[2] is None
    assert found[:2] == pytest.approx(predicted, rel=1e-5)


def test_the_transform_of_the_examples_works_in_a_series(project: Path) -> None:
    rows = "".join(f"2024-01-{1 + n // 24:02} {n % 24:02}:00:00,{n * n}\n" for n in range(96) if n % 7)
    (project / "hours.csv").write_text("at,kwh\n2024-01-01 00:00:00,0\n" + rows)
    how = ["--time", "at", "--period", "day", "--step", "log1p:kwh"]
    command = [sys.executable, "-m", "tensorize", "series", "hours.csv", *how, "-o", "hours.h5", "--gaps"]
    run(*command, "ffill", cwd=project)
    done = subprocess.run([*command, "-1", "--force"], capture_output=True, text=True, check=False, cwd=project)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: --gaps kwh=-1: the value is below 0")


def test_the_transform_of_the_examples_keeps_the_contract(project: Path) -> None:
    code = (
        "from tensorize.testing import TransformContract; from tensorize.transforms.log1p import Log1p\n"
        "class Test(TransformContract):\n    transform, ulps = Log1p, 1\n"
        "tests = [getattr(Test(), name) for name in dir(Test) if name.startswith('test_')]\n"
        "print(len([test() for test in tests]))"
    )
    assert int(run(sys.executable, "-c", code, cwd=project)) >= 10


def arff(source: Path, path: Path, number: str = "real") -> None:
    """The rows of a CSV file, those without missing cells, as ARFF; columns whose first cell is a number are numeric."""
    header, *rows = source.read_text("utf-8").splitlines()
    rows = [row for row in rows if all(row.split(","))]
    kinds = [number if cell.replace(".", "", 1).isdigit() else "string" for cell in rows[0].split(",")]
    attributes = [f"@attribute '{name}' {kind}" for name, kind in zip(header.split(","), kinds, strict=True)]
    path.write_text("\n".join(["% made for a test", "@relation x", *attributes, "@DATA", *rows]) + "\n", "utf-8")


def test_the_reader_of_the_examples_works_for_every_loader_of_rows(project: Path, samples: Path) -> None:
    """Its tensors are those of the CSV file, in table, series and apply; its option is shown, refused and recorded."""
    tensorize = [sys.executable, "-m", "tensorize"]
    arff(samples / "meter-synthetic.csv", project / "meter.arff")
    header, *rows = (samples / "meter-synthetic.csv").read_text().splitlines()
    (project / "meter.csv").write_text("\n".join([header, *(row for row in rows if all(row.split(",")))]) + "\n")
    how = ["--time", "stamp", "--step", "1h", "--gaps", "interpolate", "--window", "24"]
    for name in ("meter.arff", "meter.csv"):
        run(*tensorize, "series", name, *how, "-o", f"{name}.h5", cwd=project)
    run(*tensorize, "apply", "meter.csv.h5", "meter.arff", "-o", "applied.h5", cwd=project)
    code = (
        "from tensorize import read; a = read('meter.csv.h5'); assert a.equals(read('meter.arff.h5'));"
        "assert a.equals(read('applied.h5')); print(len(a['series']) > 100)"
    )
    assert run(sys.executable, "-c", code, cwd=project) == "True\n"
    (project / "d.arff").write_text("@attribute a real\n@attribute b string\n@data\n1,x\n-,y\n3,'x, y'\n")
    run(*tensorize, "table", "d.arff", "--missing-mark", "-", "--missing", "drop", "-o", "d.h5", cwd=project)
    code = "from tensorize import Recipe; print(Recipe.read('d.h5').options)"
    assert run(sys.executable, "-c", code, cwd=project) == "{'missing_mark': '-', 'missing': ['drop']}\n"
    assert "Reading ARFF" in run(*tensorize, "series", "--help", cwd=project)
    for flags, said in (([], 'd.arff:2: column "a" is real, and holds -'), (["--delimiter", ";"], "d.arff is read by arff")):
        done = subprocess.run(
            [*tensorize, "table", "d.arff", *flags, "-o", "e.h5"], cwd=project, capture_output=True, text=True, check=False
        )
        assert said in done.stderr
        assert done.returncode == (2 if flags else 1)


def test_the_exporter_of_the_examples_keeps_what_is_learned_as_it_is_written(project: Path, samples: Path) -> None:
    """uint8 images are counted for mean and std on the way to the file."""
    tensorize = [sys.executable, "-m", "tensorize"]
    for name in ("shapes.rawzip", "shapes.h5"):
        run(*tensorize, "images", samples / "shapes-synthetic", "--dtype", "uint8", "-o", name, cwd=project)
    run(*tensorize, "verify", "shapes.rawzip", cwd=project)
    with zipfile.ZipFile(project / "shapes.rawzip") as archive:
        assert len(archive.read("images")) == 24 * 3 * 32 * 32
        assert len(np.frombuffer(archive.read("labels"), "<i8")) == 24
    code = (
        "import tensorize; a, b = tensorize.read('shapes.rawzip'), tensorize.read('shapes.h5');"
        "assert a.equals(b) and a.recipe == b.recipe; print(a.recipe.learned[-1].state['mean'])"
    )
    assert run(sys.executable, "-c", code, cwd=project).startswith("[0.212279316")


def test_the_model_of_the_examples_is_trained_by_name(project: Path, samples: Path) -> None:
    tensorize = [sys.executable, "-m", "tensorize"]
    how = ["--time", "stamp", "--step", "1h", "--gaps", "interpolate", "--window", "24", "--horizon", "6", "--target", "kwh"]
    meter = samples / "meter-synthetic.csv"
    run(*tensorize, "series", meter, *how, "--split", "0.7,0.15,0.15", "-o", "meter.h5", cwd=project)
    said = run(*tensorize, "train", "meter.h5", "--model", "gru", "--set", "width=8", "--epochs", "1", cwd=project)
    assert "6 numbers of kwh" in said


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the plug-in package is installed."""
    folder = tmp_path_factory.mktemp("plugged")
    source, site = folder / "plug-in", folder / "site"
    source.mkdir()
    for name, text in files(PACKAGE).items():
        (source / name).write_text(text, "utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index"]
    run(*pip, "--target", site, source)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))}


def test_a_plug_in_package_is_listed_with_its_distribution(tensorize: Command, plugged: dict[str, str]) -> None:
    (line,) = [line for line in tensorize("plugins", env=plugged).stdout.splitlines() if " dna " in line]
    assert "DNA reads, one a line, become one-hot tensors." in line
    assert "tensorize-dna" in line
    assert "dna" in tensorize("--help", env=plugged).stdout


def test_the_loader_of_a_plug_in_is_a_command_with_its_options_and_help(
    tensorize: Command, plugged: dict[str, str], tmp_path: Path
) -> None:
    shown = tensorize("dna", "--help", env=plugged).stdout
    assert "--length" in shown
    assert "Bases in a read" in shown
    (tmp_path / "reads.txt").write_text("ACGT\nTTAG\nNCCA\n")
    done = tensorize("dna", "reads.txt", "--length", 4, "-o", "reads.h5", env=plugged)
    assert done.returncode == 0, done.stderr
    assert "3×4×4" in done.stdout
    again = tensorize("apply", "reads.h5", "reads.txt", "-o", "again.h5", env=plugged)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "reads.h5").read_bytes()


def test_the_mistakes_of_a_call_of_a_plug_in_are_those_of_a_built_in_command(
    tensorize: Command, plugged: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "reads.txt").write_text("ACGT\nTTAGA\nNCXA\n")
    wrong = tensorize("dna", "reads.txt", "--length", 4, "-o", "x.h5", env=plugged)
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (1, "error: 2 reads are not 4 of ACGTN")
    assert "reads.txt:2" in wrong.stderr
    assert tensorize("dna", "red.txt", "-o", "x.h5", env=plugged).returncode == 2
    assert "--length" in tensorize("dna", "reads.txt", "--lenght", 4, "-o", "x.h5", env=plugged).stderr
    assert not (tmp_path / "x.h5").exists()


def test_a_file_of_a_plug_in_that_is_gone_says_so(tensorize: Command, plugged: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "reads.txt").write_text("ACGT\n")
    tensorize("dna", "reads.txt", "--length", 4, "-o", "reads.h5", env=plugged)
    done = tensorize("apply", "reads.h5", "reads.txt", "-o", "again.h5")
    assert done.returncode == 2
    assert 'there is no loader "dna"' in done.stderr


def test_a_plug_in_leaves_out_what_is_bad_by_the_same_flags(
    tensorize: Command, plugged: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "reads.txt").write_text("ACGT\nTTAGA\nNCCA\nA\x1b[2J\n")
    flags = ["--length", 4, "--on-bad", "skip", "--rejects", "bad.jsonl"]
    few = tensorize("dna", "reads.txt", *flags, "--max-bad", 1, "-o", "x.h5", env=plugged)
    assert (few.returncode, few.stderr.splitlines()[0]) == (1, "error: 2 of 4 reads (50%) are bad, and --max-bad is 1")
    assert sorted(path.name for path in tmp_path.glob("*[5l]")) == ["bad.jsonl"]
    done = tensorize("dna", "reads.txt", *flags, "--max-bad", "50%", "-o", "x.h5", "--force", env=plugged)
    assert done.returncode == 0, done.stderr
    assert "skipped: 2 of 4 reads (50%) are bad: 2 read; see bad.jsonl" in done.stdout
    listed = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(item["path"], item["line"], item["row"], item["raw"]) for item in listed] == [
        ("reads.txt", 2, 1, "TTAGA"),
        ("reads.txt", 4, 3, "A\x1b[2J"),
    ]
    code = "import tensorize; print(tensorize.read('x.h5')['row'].tolist())"
    assert run(sys.executable, "-c", code, cwd=tmp_path, env={**os.environ, **plugged}) == "[0, 2]\n"
