"""A changed byte anywhere in any file of ours: `verify` finds it, and no reader crashes, hangs, or believes a size."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import FAILED, TRIED
from test_faults import KILLS

import tensorize
from tensorize.core import registry

FLIPS = 10 * KILLS
"""2,000 for each format in a full run."""
OPTIONS = {"npy": {"tensor": "train/features"}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A whole file of each format, small, so that a flip hits what is not a number."""
    folder = tmp_path_factory.mktemp("flips")
    rng = np.random.default_rng(0)
    table = {
        "a": rng.normal(size=40),
        "b": ["x", "y", "z", "u"] * 10,
        "c": rng.normal(size=40),
        "d": [f"n{n}" for n in range(40)],
    }
    made = {}
    for name in registry.EXPORTERS:
        exporter = registry.load("exporters", name)(**OPTIONS.get(name, {}))
        made[name] = folder / f"x{exporter.suffixes[0]}"
        tensorize.prepare("table", table, target="c", id="d", split="0.6,0.2,0.2", out=made[name], format=exporter)
    made["recipe"] = tensorize.Recipe.read(made["hdf5"]).save(folder / "x.json")
    from tensorize.train import fit

    fit("mlp", made["hdf5"], epochs=1, out=folder / "model.pt")
    made["checkpoint"] = folder / "model.pt"
    return made


@pytest.mark.parametrize("name", [*registry.EXPORTERS, "recipe", "checkpoint"])
def test_every_change_is_found_and_no_reader_crashes(files, name):
    script = Path(__file__).with_name("flipped.py")
    done = subprocess.run(
        [sys.executable, script, files[name], "1", str(FLIPS)],
        env={**os.environ, "PYTHONPATH": str(script.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    said = done.stdout.split()
    TRIED[name, "a changed byte"] += said.count("found") + said.count("missed")
    FAILED[name, "a changed byte"] += said.count("missed") + (done.returncode != 0)
    assert done.returncode == 0, f"after {len(said)}: {done.stderr[-3000:]}"
    assert len(said) == FLIPS
    assert "missed" not in said
