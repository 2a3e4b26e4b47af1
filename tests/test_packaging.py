"""What is installed: the packages, the wheel with nothing but its declared dependencies, and someone else's plug-in."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from conftest import ROOT, Command
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NOT_SOURCE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCE)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "source")
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def needed(requirements: list[str], extra: str = "") -> Iterator[Distribution]:
    """The distributions that the requirements pull in, as they are installed here."""
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found = distribution(requirement.name)
            yield found
            for inner in requirement.extras or [""]:
                yield from needed(found.requires or [], inner)


def link(found: Distribution, site: Path) -> None:
    """Put an installed distribution into another environment, without copying it."""
    for name in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
        if not (site / name).exists():
            (site / name).symlink_to(Path(str(found.locate_file(name))))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment: the wheel and its declared dependencies, without extras."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python3.*/site-packages")
    for found in {found.name: found for found in needed(PROJECT["project"]["dependencies"])}.values():
        link(found, site)
    run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel)
    return folder / "bin/python"


def folders(package: str, root: Path) -> set[str]:
    """The packages in a source folder, named as they are installed."""
    inside = {path.parent.relative_to(root) for path in root.rglob("*.py") if "__pycache__" not in path.parts}
    return {".".join([package, *path.parts]) for path in inside}


def test_the_packages_of_pyproject_are_the_folders() -> None:
    declared = PROJECT["tool"]["setuptools"]["packages"]
    assert declared == sorted(folders("tensorize", ROOT / "tensorize") | folders("tensorize_cli", ROOT / "cli"))


def test_the_constraints_pin_torch_and_the_makefile_uses_them() -> None:
    assert "torch==" in (ROOT / "constraints.txt").read_text("utf-8")
    assert "--constraint constraints.txt" in (ROOT / "Makefile").read_text("utf-8")


def test_the_wheel_has_two_top_level_packages_and_the_type_marker(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"tensorize", "tensorize_cli"}
    assert "tensorize/py.typed" in names
    assert {Path(name).suffix for name in names if ".dist-info/" not in name} == {".py", ".typed"}


def test_the_sdist_builds_and_carries_what_is_needed_to_work_on_it(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    inside = run("tar", "tzf", sdist).stdout
    for name in ("Makefile", "constraints.txt", "LICENSE", "tests/conftest.py", "samples/wine-synthetic.csv", "docs/files.md"):
        assert f"/{name}\n" in inside


def test_the_wheel_without_extras_does_the_wine_job(python: Path, samples: Path, tmp_path: Path) -> None:
    tensorize = python.with_name("tensorize")
    wine = samples / "wine-synthetic.csv"
    for out in ("wine.h5", "wine.pt"):
        done = run(tensorize, "wine", wine, "--onehot", "quality", "--split", "0.8,0.1,0.1", "-o", out, cwd=tmp_path)
        assert "features" in done.stdout
        assert (tmp_path / out).stat().st_size > 40_000
    assert "800×11" in run(tensorize, "inspect", "wine.h5", cwd=tmp_path).stdout


def test_the_module_runs_like_the_command(python: Path) -> None:
    version = run(python, "-m", "tensorize", "--version").stdout
    assert version == run(python.with_name("tensorize"), "--version").stdout
    assert re.search(r"\d+\.\d+\.\d+", version)


def test_a_broken_plug_in_does_not_hide_the_rest(tensorize: Command, tmp_path: Path) -> None:
    info = tmp_path / "site/broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\nSummary: It cannot be imported.\n")
    (info / "entry_points.txt").write_text("[tensorize.loaders]\nbroken = no_such_module:Loader\n")
    env = {"PYTHONPATH": str(tmp_path / "site")}
    assert "It cannot be imported." in tensorize("plugins", env=env).stdout
    assert tensorize("--help", env=env).returncode == 0
    done = tensorize("broken", "x", "-o", "x.h5", env=env)
    assert done.returncode == 2
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr
