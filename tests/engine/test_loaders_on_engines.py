"""Every loader on every engine: one file, whatever the workers and the partitions, and also when a worker is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from outputs import digest_of
from test_contracts import CASES, SPLIT, Case, exporter_of

from tensorize import pipeline
from tensorize.core import registry
from tensorize.engine.processes import ProcessEngine

SUFFIXES = [registry.load("exporters", name).suffixes[0] for name in registry.table("exporters")]
IDLE = {("images", "uint8", "learn")}  # mean and std are counted as the pixels are written
RUNS = [("threads", 1, 300), ("threads", 2, 4 << 20), ("threads", 5, 700), ("processes", 1, 700), ("processes", 2, 300)]


def working() -> list[Any]:
    """Of each loader one case for each stage, at which it gives the engine work."""
    pairs = [(case, stage) for case in CASES for stage in ("learn", "apply") if (case.kind, case.name, stage) not in IDLE]
    pairs = list({(case.kind, stage): (case, stage) for case, stage in reversed(pairs)}.values())
    return [pytest.param(case, stage, id=f"{stage}-{case.kind}-{case.name}") for case, stage in pairs]


def made(
    case: Case, source: Path, out: Path, exporter: Any, engine: str, workers: int, size: int
) -> tuple[str, tuple[str, ...]]:
    """The digest of a prepared file, and the notes."""
    run = pipeline.make_run(engine=engine, workers=workers, chunk_bytes=size)
    output = pipeline.make_output(out, exporter, force=True)
    result = pipeline.prepare(case.kind, str(source), {**case.options, "split": SPLIT}, run, output)
    return digest_of(out), result.notes


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.kind}-{case.name}") for case in CASES])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_file_whatever_the_engine(tmp_path, case, suffix):
    source = case.write(tmp_path)
    exporter = exporter_of(case, source, suffix)
    if exporter is not None:
        assert len({made(case, source, tmp_path / f"out{suffix}", exporter, *run) for run in RUNS}) == 1


@dataclass(frozen=True)
class DiesOnce:
    """A function whose worker process is killed the first time, once the work is done and before it is told."""

    function: Callable[[Any], Any]
    mark: Path

    def __call__(self, item: Any) -> Any:
        result = self.function(item)
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return result
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


@pytest.mark.parametrize(("case", "stage"), working())
def test_a_killed_worker_changes_nothing(tmp_path, monkeypatch, case, stage):
    source, stages = case.write(tmp_path), ["learn"]
    wanted, notes = made(case, source, tmp_path / "wanted.h5", None, "threads", 1, 300)
    loader, send = registry.load("loaders", case.kind), ProcessEngine.map
    apply = loader.apply

    def begin(*given: Any) -> Any:
        stages.append("apply")
        return apply(*given)

    def deadly(engine: ProcessEngine, function: Any, items: Any) -> Any:
        return send(engine, DiesOnce(function, tmp_path / "mark") if stages[-1] == stage else function, items)

    monkeypatch.setattr(loader, "apply", begin)
    monkeypatch.setattr(ProcessEngine, "map", deadly)
    found, told = made(case, source, tmp_path / "found.h5", None, "processes", 2, 300)
    assert told == (*notes, "1 worker process was killed and replaced")
    assert found == wanted
