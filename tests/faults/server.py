"""The process that is hurt: it imports everything once, and forks a child for each run that goes wrong.

Reads a job a line from stdin, as JSON, and answers with a line. Started with LD_PRELOAD=shim.so where there is one.
"""

import contextlib
import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import torch
from outputs import copy, digest_of, remove
from tensorize_cli.main import main

import tensorize
from tensorize.core.errors import TensorizeError

WARM = ("tensorize", "tensorize_cli", "torch", "torchmetrics", "pyarrow", "h5py", "numpy", "pandas", "typer", "pydantic")
"""What a run imports on its way is imported here once a first one has told of it, so that a child starts at once."""
PR_SET_CHILD_SUBREAPER = 36
"""What a run that was killed had started becomes a child of this process."""
SECONDS = 60
"""A run that takes longer hangs."""


def child(job: dict, argv: list[str], said: int) -> None:
    """Be the command: its streams, its limits, its exit code."""
    os.dup2(said, 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 0)
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(SECONDS - 5)
    limits = job.get("limits", {})
    if "memory" in limits:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits["memory"],) * 2)
    if "file" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"],) * 2)
    try:
        main(argv)
    finally:
        if "modules" in job:
            Path(job["modules"]).write_text(" ".join(name for name in sys.modules if name.split(".")[0] in WARM))


def forked(job: dict, argv: list[str]) -> tuple[int, int]:
    """(process, the file that its stderr goes to)."""
    said = os.memfd_create("stderr")
    process = os.fork()
    if process:
        return process, said
    code = 1
    try:
        child(job, argv, said)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:  # before the command has begun, or once it has ended
        code = 130
    except BaseException as error:
        print(f"Traceback: {error!r}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code or 0)


def ended(process: int, said: int) -> tuple[int, str]:
    """(exit code, negative for a signal, and what was said)."""
    until = time.monotonic() + SECONDS
    while not (found := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(process, signal.SIGKILL)
            return -999, "it hangs: " + os.pread(said, 1 << 16, 0).decode(errors="replace")
        time.sleep(0.002)
    text = os.pread(said, 1 << 16, 0).decode(errors="replace")
    os.close(said)
    return os.waitstatus_to_exitcode(found[1]), text


def run(job: dict, shim: ctypes.CDLL | None) -> dict:
    """One fault: run the command, hurt it, and look at what is left."""
    target = Path(job["target"])
    if not job.get("keep"):
        prepared(target, job)
    disk = str(target.parent.parent)
    if job.get("read_only"):
        mount(disk, "remount,ro")
    if job.get("fault") and shim is not None:
        call, nth, ever, code = job["fault"]
        shim.fault(call.encode(), nth, ever, code, str(target.parent).encode())
    began = time.perf_counter()
    running = [forked(job, argv) for argv in job["runs"]]
    hurt([process for process, _ in running], job)
    done = [ended(*each) for each in running]
    if "modules" in job:
        for name in Path(job["modules"]).read_text().split():
            with contextlib.suppress(ImportError):
                import_module(name)
    answer = {
        "codes": [code for code, _ in done],
        "said": [text for _, text in done],
        "seconds": time.perf_counter() - began,
        "calls": shim.calls() if shim is not None else 0,
        "state": state(target, job["old"], job.get("new")),
        "left": [*sorted(path.name for path in target.parent.iterdir() if path != target), *still_running()],
    }
    if shim is not None:
        shim.fault(b"", 0, 0, 0, b"")
    if job.get("read_only"):
        mount(disk, "remount,rw")
    return answer


def hurt(processes: list[int], job: dict) -> None:
    """Do to running processes, or to what they have started, what the job says."""
    if job.get("workers"):
        hurt_workers(processes[0], **job["workers"])
    if job.get("kill"):
        number, delay = job["kill"]
        time.sleep(delay)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def hurt_workers(process: int, number: int, count: int, delay: float, memory: int | None) -> None:
    """Send a signal to the first processes that a run starts, so many of them, or leave them little memory, until it ends."""
    hurt: set[int] = set()
    until = time.monotonic() + SECONDS
    while len(hurt) < count and time.monotonic() < until:
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        for worker in set(workers_of(process)) - hurt:
            hurt.add(worker)
            time.sleep(delay)
            with contextlib.suppress(OSError):  # it has ended by itself
                if memory is None:
                    os.kill(worker, number)
                else:
                    used = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * resource.getpagesize()
                    resource.prlimit(worker, resource.RLIMIT_AS, (used + memory,) * 2)
        time.sleep(0.001)


def workers_of(process: int) -> list[int]:
    """The processes that a run has started, whichever of its threads did."""
    found: list[str] = []
    with contextlib.suppress(OSError):  # it ends, or one of its threads does
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += (thread / "children").read_text().split()
    return [int(worker) for worker in found]


def still_running() -> list[str]:
    """What goes on where a run has ended; what it started is ours by then, and has a moment to see that it is alone."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.005)
        except ChildProcessError:
            return []
    return ["a process that goes on"]


def prepared(target: Path, job: dict) -> None:
    """An empty folder but for a copy of `old`, a file or a folder; `room` says how much is left on the disk that it is on."""
    target.parent.mkdir(exist_ok=True)
    for path in target.parent.iterdir():
        remove(path)
    ballast = target.parent.parent / "ballast"
    ballast.unlink(missing_ok=True)
    if job["old"] is not None:
        copy(Path(job["old"]), target)
    if "room" in job:
        disk = os.statvfs(target.parent)
        ballast.write_bytes(bytes(max(disk.f_bavail * disk.f_bsize - job["room"], 0)))


def state(target: Path, old: str | None, new: str | None) -> str:
    """`absent`, `old`, `new` or `broken`; where no two runs make the same bytes, `new` is what its own digest fits."""
    if not target.exists():
        return "absent"
    found = digest_of(target)
    if old is not None and found == digest_of(Path(old)):
        return "old"
    if new is not None:
        return "new" if found == new else "broken"
    try:
        tensorize.verify(target)
    except TensorizeError:
        return "broken"
    return "new"


def mount(folder: str, options: str) -> None:
    """A file system in memory at a folder; RuntimeError where that may not be done."""
    remount = options.startswith("remount")
    flags = 32 | (1 if options.endswith("ro") else 0) if remount else 0
    data = b"size=2m"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", folder.encode(), b"tmpfs", flags, data):
        raise RuntimeError(os.strerror(ctypes.get_errno()))


def answer(job: dict, shim: ctypes.CDLL | None) -> dict:
    try:
        if "mount" in job:
            mount(job["mount"], "")
            return {}
        return run(job, shim)
    except Exception as error:
        return {"error": repr(error)}


if __name__ == "__main__":
    os.environ["COLUMNS"] = "200"
    tempfile.tempdir = sys.argv[2]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    preloaded = ctypes.CDLL(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else None
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), preloaded)), flush=True)
