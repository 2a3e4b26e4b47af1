"""What every engine owes: order, a bounded look-ahead, errors in their place, scratch; and what processes owe beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tensorize.core import registry
from tensorize.core.contracts import Engine
from tensorize.core.errors import DataError, RunError, UsageError
from tensorize.engine.packed import Packed, pack
from tensorize.engine.pickling import Codec, UnpicklableError
from tensorize.engine.processes import ProcessEngine
from tensorize.engine.shared_scratch import SharedStore
from tensorize.loaders.images.errors import ImageError

Make = Callable[[], Engine]
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="no /proc to look into")


def square(value: int) -> int:
    return value * value


def slow_first(value: int) -> int:
    time.sleep(0.05 if value == 0 else 0)
    return value


def fails_at(place: int, value: int) -> int:
    if value >= place:
        raise DataError(f"item {value} is invalid", [f"d.csv:{value}"], "fix it")
    return value


def counted(value: int) -> tuple[int, dict[str, np.ndarray]]:
    return value, {"ids": np.arange(value), "halves": np.full((value, 2), 0.5, np.float32)}


def packed(value: int) -> tuple[str, Packed]:
    hours = pa.array(range(value, value + 3600 * 5000, 3600), pa.int64())
    return f"block {value}", pack({"hour": hours, "wind": pa.array(np.arange(5000) / 7), "none": pa.nulls(5000)})


@dataclass(frozen=True)
class Total:
    """A function that has a store as a field, as a loader's has."""

    store: Any
    names: tuple[str, ...] | None = None

    def __call__(self, ref: Any) -> float:
        return float(sum(array.sum() for array in self.store.load(ref, self.names).values()))


@dataclass(frozen=True)
class Doubled:
    store: Any

    def __call__(self, ref: Any) -> Any:
        return self.store.keep({name: array * 2 for name, array in self.store.load(ref).items()})


class EngineContract:
    """What every engine owes. A plug-in inherits this in a test of its own and gives the fixture `make`."""

    @pytest.fixture
    def engine(self, make: Make) -> Iterator[Engine]:
        engine = make()
        yield engine
        engine.close()

    def test_results_come_in_order(self, engine):
        assert list(engine.map(slow_first, range(20))) == list(range(20))
        assert list(engine.map(square, [])) == []

    def test_two_maps_take_turns(self, engine):
        assert list(engine.map(square, engine.map(slow_first, range(10)))) == [value * value for value in range(10)]

    def test_the_look_ahead_is_bounded(self, engine):
        asked = []
        results = engine.map(square, (asked.append(item) or item for item in range(1000)))
        assert [next(results) for _ in range(3)] == [0, 1, 4]
        assert len(asked) <= 3 + engine.workers + 1
        results.close()

    def test_the_first_error_in_order_is_raised_in_its_place(self, engine):
        results = engine.map(partial(fails_at, 3), range(10))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(DataError) as caught:
            next(results)
        assert (caught.value.what, caught.value.details, caught.value.hint) == ("item 3 is invalid", ("d.csv:3",), "fix it")
        assert list(engine.map(square, range(3))) == [0, 1, 4]

    def test_an_error_of_the_items_comes_through(self, engine):
        with pytest.raises(ZeroDivisionError):
            list(engine.map(square, (1 // (3 - n) for n in range(9))))

    def test_arrays_are_kept_and_loaded(self, engine):
        kept = list(engine.keep(counted, [3, 0, 5]))
        assert [facts for facts, _ in kept] == [3, 0, 5]
        for size, ref in reversed(kept):
            found = engine.store.load(ref)
            assert list(found) == ["ids", "halves"]
            assert np.array_equal(found["ids"], np.arange(size))
            assert found["halves"].dtype == np.float32
            assert found["halves"].shape == (size, 2)
            assert list(engine.store.load(ref, ["halves"])) == ["halves"]
            assert engine.store.load(ref, ()) == {}

    def test_batches_are_kept_and_loaded(self, engine):
        for number, (facts, ref) in enumerate(engine.keep(packed, range(4))):
            wanted = packed(number)[1]
            assert facts == f"block {number}"
            assert engine.store.load(ref).unpacked().equals(wanted.unpacked())
            some = engine.store.load(ref, ["hour"])
            assert list(some.columns) == ["hour"]
            assert some.rows == 5000
            assert engine.store.load(ref, ()).unpacked().num_rows == 5000

    def test_a_store_travels_with_a_function(self, engine):
        refs = [engine.store.keep({"a": np.arange(4), "b": np.ones(2)})]
        refs += [ref for _, ref in engine.keep(counted, [3, 5])]
        assert list(engine.map(Total(engine.store), refs)) == [8, 6, 15]
        assert list(engine.map(Total(engine.store, ("a", "ids")), refs)) == [6, 3, 10]
        doubled = list(engine.map(Doubled(engine.store), refs))
        assert engine.store.load(doubled[0])["a"].tolist() == [0, 2, 4, 6]
        assert list(engine.map(Total(engine.store), doubled)) == [16, 12, 30]

    def test_what_is_forgotten_takes_nothing_else_along(self, engine):
        refs = [ref for _, ref in engine.keep(counted, [9, 8, 7])]
        engine.store.forget(refs[0])
        engine.store.forget(refs[2])
        assert engine.store.load(refs[1])["ids"].tolist() == list(range(8))

    def test_nothing_to_tell_where_nothing_happened(self, engine):
        assert list(engine.map(square, range(3))) == [0, 1, 4]
        assert engine.notes() == ()

    def test_closing_twice_and_before_anything(self, make):
        for engine in (make(), make()):
            engine.close()
            engine.close()

    def test_closing_in_the_midst_of_a_map(self, make):
        engine = make()
        results = engine.map(square, range(100))
        assert next(results) == 0
        engine.close()

    @ON_LINUX
    def test_nothing_is_left(self, make, tmp_path):
        before = open_files(), children(os.getpid())
        engine = make()
        list(engine.keep(counted, range(20)))
        engine.store.keep({"a": np.arange(4)})
        engine.close()
        assert (open_files(), children(os.getpid())) == before
        assert list(tmp_path.iterdir()) == []


ENGINES = [(name, workers) for name in registry.table("engines") for workers in ((1, 2, 5) if name == "threads" else (1, 2))]


@pytest.mark.parametrize(("name", "workers"), ENGINES, ids=str)
class TestEveryEngine(EngineContract):
    @pytest.fixture
    def make(self, name: str, workers: int, tmp_path: Path) -> Make:
        return lambda: registry.load("engines", name)(workers, tmp_path)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def children(process: int) -> list[str]:
    """The child processes of all threads."""
    return [child for task in Path(f"/proc/{process}/task").iterdir() for child in (task / "children").read_text().split()]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ProcessEngine]:
    engine = ProcessEngine(2, tmp_path)
    yield engine
    engine.close()


def is_first(mark: Path) -> bool:
    """Whether nobody has asked before, in any process."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@dataclass(frozen=True)
class Killed:
    """A function whose worker process is killed once at an item, or always where there is no mark."""

    function: Callable[[Any], Any]
    at: Any
    mark: Path | None = None
    number: int = signal.SIGKILL

    def __call__(self, item: Any) -> Any:
        result = self.function(item)
        if item == self.at and (self.mark is None or is_first(self.mark)):
            os.kill(os.getpid(), self.number)
        return result


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_worker_is_replaced_and_its_item_done_again(engine, tmp_path, number):
    killed = Killed(square, 7, tmp_path / "mark", number)
    assert list(engine.map(killed, range(20))) == [value * value for value in range(20)]
    assert engine.notes() == ("1 worker process was killed and replaced",)


def test_what_a_killed_worker_has_kept_stays(engine, tmp_path):
    before = list(engine.keep(counted, range(10)))
    after = list(engine.keep(Killed(counted, 3, tmp_path / "mark"), range(10)))
    again = list(engine.keep(Killed(counted, 8, tmp_path / "other"), range(10)))
    for size, ref in [*before, *after, *again]:
        assert engine.store.load(ref)["ids"].tolist() == list(range(size))
    assert engine.notes() == ("2 worker processes were killed and replaced",)


def keeps_and_dies(store: Any, mark: Path, value: int) -> Any:
    ref = store.keep({"ids": np.arange(value)})
    if value == 5 and is_first(mark):
        os.kill(os.getpid(), signal.SIGKILL)
    return ref


def test_a_worker_killed_between_two_values(engine, tmp_path):
    refs = list(engine.map(partial(keeps_and_dies, engine.store, tmp_path / "mark"), range(10)))
    assert [len(engine.store.load(ref)["ids"]) for ref in refs] == list(range(10))


def test_an_item_that_kills_every_worker_is_an_error(engine):
    with pytest.raises(RunError, match="killed 3 times at the same item of Killed") as caught:
        list(engine.map(Killed(square, 2), range(5)))
    assert "SIGKILL" in str(caught.value)
    assert "--engine threads" in caught.value.hint
    assert "--workers" in caught.value.hint
    assert list(engine.map(square, range(3))) == [0, 1, 4]


def test_a_worker_that_does_not_start(engine, monkeypatch):
    monkeypatch.setattr("tensorize.engine.processes._MAIN", "raise SystemExit(3)")
    with pytest.raises(RunError, match=r"a worker process does not start \(exit code 3\)"):
        list(engine.map(square, range(5)))


def test_a_system_that_starts_no_process(engine, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", refuse)
    with pytest.raises(RunError, match="does not start: Resource temporarily unavailable"):
        list(engine.map(square, range(5)))


@dataclass(frozen=True)
class Source:
    name: str
    opened: Any


@dataclass(frozen=True)
class Reads:
    source: Source

    def __call__(self, item: Any) -> str:
        return self.source.name


def test_what_cannot_be_sent_is_named(engine, tmp_path):
    (tmp_path / "f").touch()
    with (tmp_path / "f").open() as file:
        reads = Reads(Source("f", {"file": [file]}))
        with pytest.raises(UnpicklableError) as caught:
            engine.map(reads, range(3))
        assert caught.value.what.startswith("Reads.source.opened['file'][0] cannot be sent to a worker process: cannot pickle")
        assert "this is a fault of test_engines; --engine threads" in caught.value.hint
        with pytest.raises(UnpicklableError, match=r"^Reads\.source\.opened"):
            engine.keep(reads, range(3))
        with pytest.raises(UnpicklableError, match=r"^fails_at\[0\]\.opened"):
            engine.map(partial(fails_at, Source("f", file)), range(3))
        with pytest.raises(UnpicklableError, match=r"^an item of square\.opened"):
            list(engine.map(square, [Source("f", file)]))
    with pytest.raises(UnpicklableError, match="lambda"):
        engine.map(lambda item: item, range(3))
    assert list(engine.map(square, range(3))) == [0, 1, 4]


def opened(path: Path) -> Any:
    return {"file": path.open()}


def test_a_result_that_cannot_be_sent_is_named(engine, tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(UnpicklableError, match=r"the result of opened.*\['file'\] cannot be sent"):
        list(engine.map(opened, [tmp_path / "f"]))


class OddError(Exception):
    def __init__(self, number: int, *, word: str) -> None:
        super().__init__(f"{number} {word}")
        self.word = word


def raises(error: BaseException) -> None:
    raise error


def raises_local(_: Any) -> None:
    class LocalError(Exception):
        pass

    raise LocalError("nobody can import it")


@pytest.mark.parametrize(
    "error",
    [
        OddError(3, word="odd"),
        ImageError("broken", "broken"),
        RunError("full", ["here"], "elsewhere"),
        OSError(28, "No space left on device", "name"),
        UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "invalid start byte"),
        KeyError("x"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_arrive_as_themselves(engine, error):
    with pytest.raises(type(error)) as caught:
        list(engine.map(raises, [error]))
    found = caught.value
    assert (type(found), str(found), found.args) == (type(error), str(error), error.args)
    state = dict(vars(found))
    assert "In a worker process:\nTraceback" in state.pop("__notes__")[-1]
    assert state == vars(error)


def test_an_error_that_cannot_be_sent_is_told(engine):
    with pytest.raises(RuntimeError, match="LocalError: nobody can import it"):
        list(engine.map(raises_local, [1]))


def test_a_slice_travels_without_the_rest():
    codec, whole = Codec(), pa.array([f"word {n}" for n in range(100_000)])
    for value in (whole[5:9], pa.record_batch({"a": whole}).slice(5, 4), pa.table({"a": whole}).slice(5, 4)):
        data = codec.dumps(value)
        assert len(data) < 2000
        assert codec.loads(data).equals(value)
    dictionary = whole.dictionary_encode()[5:9]
    assert codec.loads(codec.dumps(dictionary)).equals(dictionary)
    empty = pa.RecordBatch.from_struct_array(pa.Array.from_buffers(pa.struct([]), 7, [None], children=[]))
    assert codec.loads(codec.dumps(empty)).num_rows == 7


def settings(_: Any) -> tuple[int, str | None, int]:
    return pa.cpu_count(), os.environ.get("OMP_NUM_THREADS"), os.getpid()


def test_a_worker_imports_pandas_for_one_who_uses_it_alone(tmp_path):
    engine, has_pandas = ProcessEngine(1, tmp_path), "'pandas' in __import__('sys').modules"
    assert next(iter(engine.map(pa.array, [["a", "b"]]))).to_pylist() == ["a", "b"]
    assert list(engine.map(eval, [has_pandas])) == [False]
    assert list(engine.map(len, [pd.DataFrame({"a": [1, 2]})])) == [2]
    engine.close()


def test_a_worker_has_one_thread(engine):
    threads, omp, process = next(engine.map(settings, [0]))
    assert (threads, omp) == (1, "1")
    assert process != os.getpid()


def prints(value: int) -> int:
    print("printed")
    return value


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from test_engines import prints
from tensorize.engine.processes import ProcessEngine
engine = ProcessEngine(2)
print(list(engine.map(prints, range(4))), flush=True)
{then}
"""


def script(then: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT.format(tests=str(Path(__file__).parent), then=then)]


def test_a_script_needs_no_guard_and_its_output_is_its_own():
    done = subprocess.run(script("engine.close()"), capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[0, 1, 2, 3]\n"
    assert done.stderr == "printed\n" * 4


def test_what_a_script_defines_itself_is_refused():
    then = "def own(item): return item\nengine.map(own, [1])"
    done = subprocess.run(script(then), capture_output=True, text=True, check=False, timeout=60)
    assert "own cannot be sent to a worker process: own is defined in the script itself" in done.stderr
    assert "define it in a module that can be imported" in done.stderr


def gone(process: str) -> bool:
    status = Path(f"/proc/{process}/status")
    try:
        return "State:\tZ" in status.read_text()
    except OSError:
        return True


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_nothing(number, workers):
    then = f"""
import signal
signal.signal(signal.SIGTERM, signal.default_int_handler)
engine.close()
engine = ProcessEngine({workers})
try:
    for _ in engine.map(time.sleep, [0] * {workers} + [60] * 5):
        print("begun", flush=True)
finally:
    engine.close()
"""
    with subprocess.Popen(script(then), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert "begun\n" in iter(run.stdout.readline, "")
        while len(workers_left := children(run.pid)) < workers:
            assert run.poll() is None
        began = time.monotonic()
        run.send_signal(number)
        _, said = run.communicate(timeout=20)
        while not all(map(gone, workers_left)):
            assert time.monotonic() - began < 10
            time.sleep(0.01)
        assert time.monotonic() - began < 10
    assert number == signal.SIGKILL or said.rstrip().endswith("KeyboardInterrupt")


@ON_LINUX
def test_room_is_given_back(tmp_path):
    store = SharedStore(tmp_path)
    refs = [store.keep({"a": np.ones(1 << 17)}) for _ in range(4)]
    used = os.fstat(store.files[0]).st_blocks
    for ref in refs[:3]:
        store.forget(ref)
    left = os.fstat(store.files[0]).st_blocks
    assert left <= used // 2 or left == used  # a file system without holes keeps it
    assert store.load(refs[3])["a"].sum() == 1 << 17
    store.close()
    with pytest.raises(RunError, match="closed"):
        store.forget(refs[3])


def test_a_full_disk_is_told(engine, monkeypatch, tmp_path):
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(RunError, match=f"scratch space in {tmp_path}: No space left on device") as caught:
        engine.store.keep({"a": np.ones(3)})
    assert "--scratch" in caught.value.hint


def fill(store: Any, value: int) -> Any:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return store.keep({"a": np.ones(value)})


def test_a_full_disk_in_a_worker_is_told(engine, tmp_path):
    with pytest.raises(RunError, match=f"scratch space in {tmp_path}: File too large"):
        list(engine.map(partial(fill, engine.store), [1 << 18]))


def test_an_unknown_engine_is_a_wrong_call():
    with pytest.raises(UsageError, match=r'no engine "process".*did you mean "processes"'):
        registry.load("engines", "process")
