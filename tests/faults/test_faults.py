"""Faults in the middle of a run: afterwards the target is the old complete file, the new complete file, or absent.

`make test-faults` kills 200 times for each writer, `make test` 8 times (TENSORIZE_KILLS says how often), and writes what
was tried into docs/reliability.md (TENSORIZE_RELIABILITY names the page).
"""

import errno
import os
import random
import signal
from itertools import product

import pytest
from harness import CALLS, LIMITS, WITH_WORKERS, WRITERS, Harness, code_of

KILLS = int(os.environ.get("TENSORIZE_KILLS", "8"))
FULL = KILLS >= 200
EACH = pytest.mark.parametrize("writer", WRITERS)


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    made = Harness(tmp_path_factory.mktemp("faults"))
    yield made
    made.close()


@EACH
@pytest.mark.parametrize("call", CALLS)
def test_the_nth_call_of_the_system_fails(harness, writer, call):
    if harness.shim is None:
        pytest.skip("there is no C compiler")
    for old, ever in product((False, True), repeat=2) if FULL else ((False, True), (True, False)):
        for nth in range(1, 200 if FULL else 3):
            code = code_of(nth)
            what = f"`{call}` fails {'from then on' if ever else 'once'}"
            found = harness.hurt(writer, what, os.strerror(code), old=old, fault=[call, nth, ever, code])
            if found.calls < nth:
                assert found.codes == [0]
                break
        else:
            assert not FULL


@EACH
@pytest.mark.parametrize("call", CALLS)
def test_killed_as_it_makes_the_nth_call(harness, writer, call):
    if harness.shim is None:
        pytest.skip("there is no C compiler")
    for old in (False, True) if FULL else (True,):
        for nth in range(1, 200 if FULL else 3):
            fault = [call, nth, False, -signal.SIGKILL]
            found = harness.hurt(writer, f"kill -9 at a `{call}`", None, old=old, killed=True, fault=fault)
            if found.calls < nth:
                break


@EACH
def test_kill_minus_9_at_any_moment(harness, writer):
    rng, seen = random.Random(0), set()
    longest = harness.clean[writer][0] * 1.05
    for turn in range(KILLS):
        delay = rng.uniform(0, longest)
        kill = [signal.SIGKILL, delay]
        found = harness.hurt(writer, "kill -9 at a random moment", None, old=bool(turn % 2), killed=True, kill=kill)
        seen.add(found.codes[0])
        if found.codes[0] == 0:  # done before it was killed: the clean run was slower, as other work went on beside it
            longest = min(longest, max(delay, found.seconds))
    assert -signal.SIGKILL in seen


@EACH
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_at_any_moment(harness, writer, number):
    rng = random.Random(1)
    for turn in range(max(KILLS // 4, 3)):
        delay = rng.uniform(0, harness.clean[writer][0] * 1.05)
        what = f"{number.name} at a random moment"
        harness.hurt(writer, what, None, old=bool(turn % 2), killed=True, kill=[number, delay])


@pytest.mark.parametrize("writer", WITH_WORKERS)
@pytest.mark.parametrize("memory", [None, 1 << 20], ids=["killed", "starved"])
def test_a_worker_is_hurt(harness, writer, memory):
    """One of them is replaced, and the output is what it would have been; where it is every one, the run says so."""
    if not harness.has_children:
        pytest.skip("the system does not tell which processes a run has started")
    rng, codes = random.Random(2), set()
    cause = "memory" if memory else "was killed"
    for turn in range(max(KILLS // 4, 5)):
        delay, every = rng.uniform(0, harness.clean[writer][0] / 2) if turn > 1 else 0, turn % 2 == 0
        workers = {"number": signal.SIGKILL, "count": 99 if every else 1, "delay": delay, "memory": memory}
        what = f"{'every worker' if every else 'a worker'} {'lacks memory' if memory else 'is killed'}"
        codes.add((every, harness.hurt(writer, what, cause, old=bool(turn // 2 % 2), workers=workers).codes[0]))
    assert (True, 1) in codes
    assert memory or (False, 1) not in codes


@EACH
def test_several_writers_leave_one_whole_winner(harness, writer):
    for turn in range(10 if FULL else 1):
        found = harness.hurt(writer, "three writers at once", None, old=bool(turn % 2), runs=3)
        assert found.state == "new"
        assert 0 in found.codes
        for code, said in zip(found.codes, found.said, strict=True):
            assert code == 0 or "another run is writing" in said or "exists" in said


@EACH
@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_of_the_system(harness, writer, what):
    limits = LIMITS[what]
    cause = os.strerror(errno.EFBIG) if "file" in limits else "memory"
    for old in (False, True):
        harness.hurt(writer, what, cause, old=old, limits=limits)


@pytest.fixture
def disk(harness):
    """The harness, where a file system of 2 MB may be mounted."""
    if not harness.has_disk:
        pytest.skip("no file system may be mounted here (unshare -rm)")
    return harness


@EACH
@pytest.mark.parametrize("room", [0, 40_000, 400_000, 1_100_000])
def test_a_full_disk(disk, writer, room):
    for old in (False, True):
        disk.hurt(writer, "a disk of 2 MB that is full", os.strerror(errno.ENOSPC), old=old, room=room)


@EACH
def test_a_read_only_folder(disk, writer):
    for old in (False, True):
        found = disk.hurt(writer, "a read-only folder", os.strerror(errno.EROFS), old=old, read_only=True)
        assert found.codes[0] > 0
