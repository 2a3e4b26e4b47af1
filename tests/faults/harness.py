"""The faults, as tables: a new writer or a new fault is one line. What must hold after each is `broken_rules`."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outputs import digest_of
from PIL import Image

import tensorize
from tensorize.core import registry

HERE = Path(__file__).parent
OLD = "the old file, whole\n" * 50


@dataclass(frozen=True)
class Writer:
    """Something that writes a file, or a folder: the command that does it, and whether every run makes the same bytes."""

    suffix: str
    command: tuple[str, ...]
    same: bool = True
    folder: bool = False


def _table(name: str) -> Writer:
    exporter = registry.load("exporters", name)
    command = ("table", "{data}/table.csv", "--threads", "1", "-o", "{target}")
    return Writer(exporter.suffixes[0], command, folder=exporter.folder)


SKIP = ("--on-bad", "skip", "--max-bad", "90%")
BESIDE = ("-o", "{beside}/y.h5")

WRITERS = {
    **{name: _table(name) for name in registry.EXPORTERS},
    "images": Writer(".h5", ("images", "{data}/pictures", *SKIP, "-o", "{target}")),
    "recipe": Writer(".json", ("inspect", "{data}/small.h5", "--recipe", "-o", "{target}")),
    "rejects of a table": Writer(".jsonl", ("table", "{data}/ragged.csv", *SKIP, "--rejects", "{target}", *BESIDE)),
    "rejects of images": Writer(".jsonl", ("images", "{data}/pictures", *SKIP, "--rejects", "{target}", *BESIDE)),
    "checkpoint": Writer(
        ".pt", ("train", "{data}/small.h5", "--model", "mlp", "--epochs", "2", "--device", "cpu", "-o", "{target}"), same=False
    ),
}

WITH_WORKERS = ("images", "rejects of images")
"""Those that decode in processes apart."""

CALLS = ("write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "rename", "link", "mkdir", "renameat2")
"""Each fails the first, second, … time: once, and from then on; and the process is killed as it makes it."""

LIMITS = {
    "a file of at most 1 KB": {"file": 1 << 10},
    "a file of at most 64 KB": {"file": 1 << 16},
    "a file of at most 1 MB": {"file": 1 << 20},
    "1 MB of memory more": {"memory": 1 << 20},
    "16 MB of memory more": {"memory": 16 << 20},
}


@dataclass(frozen=True)
class Outcome:
    """What came of one fault."""

    codes: list[int]
    said: list[str]
    seconds: float
    calls: int
    state: str
    left: list[str]


TRIED, FAILED = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
"""(writer, fault) → how often it was tried, and how often a rule was broken: what the page tells."""


class Harness:
    """A server to hurt, and the files it works on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.disk = folder / "plain/out", folder / "data", folder / "disk"
        self.beside = folder / "beside"
        for made in (self.folder, self.data, self.disk, self.beside, folder / "tmp"):
            made.mkdir(parents=True)
        self.shim = _compiled(folder)
        self.unshared = (
            bool(shutil.which("unshare"))
            and subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
        )
        self._make_data()
        preload = {"LD_PRELOAD": str(self.shim)} if self.shim else {}
        self._server = subprocess.Popen(
            [
                *(["unshare", "-rm"] if self.unshared else []),
                sys.executable,
                HERE / "server.py",
                self.shim or "",
                folder / "tmp",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **preload,
                "PYTHONPATH": str(HERE.parent),
                "OMP_NUM_THREADS": "1",
                "ARROW_DEFAULT_MEMORY_POOL": "system",
            },
        )
        assert self._server.stdout.readline() == "ready\n"
        self.has_disk = self.unshared and self._mount()
        self.has_children = Path(f"/proc/self/task/{os.getpid()}/children").exists()
        self.clean = {name: self._clean(name) for name in WRITERS}

    def _make_data(self) -> None:
        rows = "\n".join(f"{row},{row % 7}" for row in range(6_000))
        (self.data / "table.csv").write_text(f"a,b\n{rows}\n")
        (self.data / "ragged.csv").write_text(f"a,b\n{rows}\n" + "1,2,3\n" * 2_000)
        for number in range(8):
            picture = self.data / f"pictures/{number}.{'png' if number % 2 else 'tif'}"
            picture.parent.mkdir(exist_ok=True)
            Image.new("RGB", (5, 5), (number, 0, 0)).save(picture)
            if number % 2:
                picture.write_bytes(picture.read_bytes()[:40])
        small = {"a": [float(row) for row in range(60)], "b": [row * 2.0 for row in range(60)]}
        tensors = tensorize.prepare("table", small, target="b", split="0.6,0.2,0.2", out=self.data / "small.h5")
        (self.data / "old").write_text(OLD)
        for writer in WRITERS.values():
            if writer.folder:
                tensors.save(self.data / f"old{writer.suffix}")

    def _clean(self, name: str) -> tuple[float, str | None]:
        """(seconds, digest) of a run that nothing happens to."""
        self.ask(name, self.job(name, old=False, modules=str(self.data / "modules")))
        found = self.ask(name, self.job(name, old=False))
        assert found.codes == [0], found.said
        assert (found.state, found.left) == ("new" if not WRITERS[name].same else "broken", [])
        target = self.target(name)
        return found.seconds, digest_of(target) if WRITERS[name].same else None

    def target(self, name: str, fault: Mapping[str, object] | None = None) -> Path:
        on_disk = fault is not None and not fault.keys().isdisjoint({"room", "read_only"})
        return (self.disk / "out" if on_disk else self.folder) / f"x{WRITERS[name].suffix}"

    def job(self, name: str, *, old: bool, runs: int = 1, **fault: object) -> dict[str, object]:
        """A job for the server. With `old` there is a file already, which `--force` replaces."""
        target = self.target(name, fault)
        argv = [part.format(data=self.data, target=target, beside=self.beside) for part in WRITERS[name].command]
        if old or "{beside}/y.h5" in WRITERS[name].command:
            argv.append("--force")
        new = self.clean[name][1] if name in getattr(self, "clean", {}) else ("" if WRITERS[name].same else None)
        there = str(self.data / f"old{WRITERS[name].suffix if WRITERS[name].folder else ''}") if old else None
        return {"target": str(target), "old": there, "new": new, "runs": [argv] * runs, **fault}

    def ask(self, name: str, job: dict[str, object]) -> Outcome:
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return Outcome(**answer)

    def _mount(self) -> bool:
        """Put a file system of 2 MB at `disk`, in the name space of the server alone."""
        self._server.stdin.write(json.dumps({"mount": str(self.disk)}) + "\n")
        self._server.stdin.flush()
        return "error" not in json.loads(self._server.stdout.readline())

    def hurt(self, name: str, what: str, cause: str | None, *, old: bool, killed: bool = False, **fault: object) -> Outcome:
        """Run one fault; AssertionError where a rule is broken."""
        found = self.ask(name, self.job(name, old=old, **fault))
        TRIED[name, what] += 1
        broken = broken_rules(found, self.target(name, fault), old=old, cause=cause, killed=killed)
        if not broken and found.left:
            after = self.ask(name, {**self.job(name, old=True), "keep": True})
            broken = [f"the next run: {after}"] if (after.codes, after.state, after.left) != ([0], "new", []) else []
        if broken:
            FAILED[name, what] += 1
        assert not broken, (what, fault, broken, found)
        return found

    def close(self) -> None:
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()


def broken_rules(found: Outcome, target: Path, *, old: bool, cause: str | None, killed: bool) -> list[str]:
    """What is not as it must be after a fault; a part file may stay only where the process was killed.

    `cause` is what a message has to say where the run failed.
    """
    part = f".{target.name}.part"
    broken = []
    if found.state not in {"new", "old" if old else "absent"}:
        broken.append(f"the target is {found.state}")
    if set(found.left) - ({part} if killed else set()):
        broken.append(f"left: {found.left}")
    for code, said in zip(found.codes, found.said, strict=True):
        # Python itself says `Exception ignored` where an interrupt comes in the middle of its own tidying up, and goes on.
        swallowed = killed and said.startswith("Exception ignored in") and "KeyboardInterrupt" in said
        if ("Traceback" in said and not swallowed) or "unexpected" in said or code == -999:
            broken.append(f"a traceback, or it hangs: {said}")
        if code == 0 and found.state != "new":
            broken.append("it says that all is well")
        if code > 0 and cause is not None and not (cause in said and str(target.parents[2]) in said):
            broken.append(f"the message does not name path and cause: {said}")
    return broken


def _compiled(folder: Path) -> Path | None:
    """The library that makes calls fail, where there is a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    made = folder / "shim.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", made, HERE / "shim.c", "-ldl"], check=True)
    return made


def code_of(nth: int) -> int:
    """EIO or ENOSPC, by turns."""
    return random.Random(nth).choice([errno.EIO, errno.ENOSPC])
