"""Files on web servers: the same bytes as on disk, or an error that names what went wrong; never a hang."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import time
from collections.abc import Iterator

import pytest
from servers import Web

from tensorize.core import limits
from tensorize.core.errors import DataError, RunError, TensorizeError, UsageError
from tensorize.sources.files import InputFile, resolve
from tensorize.sources.places import retries

DATA = b"".join(b"%09d\n" % number for number in range(300_000))  # 3 MB: several ranges
SMALL = b"a,b\n1,2\n"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    token = limits._TIMEOUT.set(2.0)
    with Web() as server:
        yield server
    limits._TIMEOUT.reset(token)


def one(address: str) -> InputFile:
    (file,) = resolve(address)
    return file


def read(file: InputFile) -> bytes:
    with file.open() as stream:
        return stream.read()


@pytest.mark.parametrize("data", [DATA, SMALL, b"", DATA[: 256 << 10], DATA[: (1 << 20) + (256 << 10) + 1]])
@pytest.mark.parametrize("ranges", [True, False])
def test_the_bytes_are_those_of_the_server(web: Web, data: bytes, ranges: bool) -> None:
    web.ranges = ranges
    file = one(web.put("/d.csv", data))
    assert file.name == f"http://{web.host}/d.csv"
    assert file.size == len(data)
    assert file.head(4) == data[:4]
    assert read(file) == data
    assert read(file) == data
    file.check()
    with file.random() as raw:
        assert raw.seek(-3, os.SEEK_END) == max(0, len(data) - 3)
        assert raw.read() == data[-3:]
        raw.seek(5)
        assert raw.read(2_000_000) == data[5:2_000_005]


def test_what_is_found_is_read_by_another_process_as_well(web: Web) -> None:
    file = pickle.loads(pickle.dumps(one(web.put("/d.csv", DATA))))
    assert read(file) == DATA


def test_the_path_of_a_copy_is_given_to_those_who_need_one(web: Web) -> None:
    file = one(web.put("/d.csv", DATA))
    assert file.readable.read_bytes() == DATA


def test_compressed_files_are_read_as_those_on_disk(web: Web) -> None:
    assert read(one(web.put("/d.csv.gz", gzip.compress(DATA)))) == DATA


@pytest.mark.parametrize("faults", [["status 503", "status 503"], ["status 429 0"], ["drop"], ["", "drop", "reset"], ["reset"]])
@pytest.mark.parametrize("ranges", [True, False])
def test_what_passes_is_tried_again(web: Web, faults: list[str], ranges: bool) -> None:
    web.ranges, web.faults = ranges, list(faults)
    assert read(one(web.put("/d.csv", DATA))) == DATA
    assert not web.faults or not ranges


@pytest.mark.parametrize("faults", [["stall"], ["", "stall"], ["", "", "stall", "stall"]])
def test_a_stalled_answer_is_asked_for_again(web: Web, faults: list[str]) -> None:
    web.faults = list(faults)
    assert read(one(web.put("/d.csv", DATA))) == DATA


@pytest.mark.parametrize("fault", ["stall", "status 503", "trickle", "reset"])
@pytest.mark.parametrize("found", [True, False])
def test_what_does_not_pass_ends_in_time(web: Web, fault: str, found: bool) -> None:
    address = web.put("/d.csv", DATA)
    file = one(address) if found else None
    web.faults = [fault] * 1000
    began = time.monotonic()
    with pytest.raises(RunError, match=r"d\.csv cannot be read") as error:
        read(file or one(address))
    assert time.monotonic() - began < 5
    assert "--timeout 4" in error.value.hint or fault == "reset"


def test_a_server_that_asks_for_more_patience_than_there_is(web: Web) -> None:
    web.faults = ["status 429 100"]
    with pytest.raises(RunError, match="answers 429") as error:
        one(web.put("/d.csv", DATA))
    assert "--timeout 200" in error.value.hint


@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_is_replaced_in_mid_read_ends_the_run(web: Web, etag: bool) -> None:
    web.etag, web.modified = etag, "Sat, 28 Nov 2026 10:00:00 GMT"
    file = one(web.put("/d.csv", DATA))
    with file.open() as stream:
        assert stream.read(1000) == DATA[:1000]
        web.put("/d.csv", DATA[:-2] + b"7\n")
        web.modified = "Sat, 28 Nov 2026 10:00:01 GMT"
        with pytest.raises(DataError, match=r"d\.csv has changed while it was read"):
            stream.read()
    with pytest.raises(DataError, match="has changed"):
        file.check()
    with file.random() as raw:
        raw.seek(1_000_000)
        with pytest.raises(DataError, match="has changed"):
            raw.read(10)


def test_without_a_sign_of_the_version_a_file_is_read_once(web: Web) -> None:
    web.etag = False
    file = one(web.put("/d.csv", DATA))
    web.put("/d.csv", DATA.replace(b"0", b"1"))
    assert read(file) == DATA


def test_a_file_that_vanishes_has_changed(web: Web) -> None:
    file = one(web.put("/d.csv", DATA))
    web.files.clear()
    with pytest.raises(DataError, match="has changed"):
        read(file)


def test_a_server_that_promises_more_than_it_has(web: Web) -> None:
    web.lies = True
    with pytest.raises(
        TensorizeError, match=r"d\.csv (has changed while it was read|cannot be read: only|comes from a server)"
    ):
        read(one(web.put("/d.csv", DATA)))


def test_an_answer_without_a_length_ends_with_the_connection(web: Web) -> None:
    web.ranges = web.lengths = False
    assert read(one(web.put("/d.csv", DATA))) == DATA


def test_redirects_are_followed(web: Web) -> None:
    web.put("/d.csv", DATA)
    web.redirects = {"/old": "/older", "/older": f"http://{web.host}/d.csv?sig=a%20b"}
    assert read(one(f"http://{web.host}/old")) == DATA
    assert "/d.csv?sig=a%20b" in [path for path, _ in web.log]
    web.redirects = {"/old": "/old"}
    with pytest.raises(RunError, match="without an end"):
        one(f"http://{web.host}/old")
    web.redirects = {"/old": "file:///etc/passwd"}
    with pytest.raises(RunError, match="not on the web"):
        one(f"http://{web.host}/old")


def test_user_and_password_go_to_their_server_and_into_no_message(web: Web) -> None:
    web.password = "Basic YWRhOnMzY3JldA=="
    address = web.put("/d.csv", DATA).replace("//", "//ada:s3cret@")
    file = one(address)
    assert read(file) == DATA
    assert "s3cret" not in repr(file) + file.name
    with Web() as other:
        other.put("/d.csv", DATA)
        web.redirects = {"/away": f"http://{other.host}/d.csv"}
        assert read(one(address.replace("d.csv", "away"))) == DATA
        assert not [headers for _, headers in other.log if "Authorization" in headers]
    with pytest.raises(RunError, match="answers 401") as error:
        one(address.replace("s3cret", "guess"))
    assert "guess" not in str(error.value)


def test_a_token_is_sent_and_never_shown(web: Web) -> None:
    address = web.put("/d.csv", DATA) + "?X-Amz-Signature=s3cret"
    assert "s3cret" not in repr(one(address)) + one(address).name
    assert web.log[0][0] == "/d.csv?X-Amz-Signature=s3cret"
    with pytest.raises(UsageError, match="there is no file") as error:
        one(address.replace("d.csv", "e.csv"))
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("path", ["/", "", "/folder/"])
def test_a_folder_cannot_be_listed(web: Web, path: str) -> None:
    with pytest.raises(UsageError, match="cannot be listed"):
        one(f"http://{web.host}{path}")


def test_no_server_is_told_at_once() -> None:
    with pytest.raises(RunError, match="refuses the connection"):
        one("http://127.0.0.1:9/d.csv")


def test_a_proxy_of_the_environment_is_asked(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["http://data.invalid/d.csv"] = DATA
    monkeypatch.setenv("http_proxy", f"http://{web.host}")
    monkeypatch.setenv("no_proxy", "")
    assert read(one("http://data.invalid/d.csv")) == DATA


def test_a_stream_that_is_left_early_leaves_nothing_running(web: Web) -> None:
    import threading

    with one(web.put("/d.csv", DATA * 10)).open() as stream:
        assert isinstance(stream, io.BufferedReader)
        stream.read(3_000_000)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tensorize-fetch")]
