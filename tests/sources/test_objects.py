"""Objects of S3, from a real server (moto) on this machine: patterns, folders, changes, and faults between us and it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Web, bucket, moto

from tensorize.core import limits
from tensorize.core.errors import DataError, RunError, UsageError
from tensorize.sources.files import InputFile, resolve
from tensorize.sources.places import retries

pytest.importorskip("moto", reason="moto is not installed")
DATA = b"".join(b"%09d\n" % number for number in range(900_000))  # 9 MB: several ranges


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as address:
        yield address


@pytest.fixture(scope="module")
def filled(endpoint: str) -> Any:
    store = bucket(endpoint, "sales")
    for key in ("2024/a.csv", "2024/b.csv", "2024/.hidden.csv", "2025/q1/c.csv", "2025/q1/d.txt", "odd[1].csv"):
        with store.open_output_stream(f"sales/{key}") as stream:
            stream.write(key.encode())
    with store.open_output_stream("sales/large.csv") as stream:
        stream.write(DATA)
    return store


@pytest.fixture(autouse=True)
def surroundings(endpoint: str, filled: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    token = limits._TIMEOUT.set(3.0)
    yield
    limits._TIMEOUT.reset(token)


def names(pattern: str) -> list[str]:
    return [file.name.removeprefix("s3://sales/") for file in resolve(pattern)]


def read(file: InputFile) -> bytes:
    with file.open() as stream:
        return stream.read()


def test_an_object_is_read_from_start_to_end_and_anywhere() -> None:
    (file,) = resolve("s3://sales/large.csv")
    assert file.name == "s3://sales/large.csv"
    assert file.size == len(DATA)
    assert file.head(9) == DATA[:9]
    assert read(file) == DATA
    with file.random() as raw:
        raw.seek(-10, os.SEEK_END)
        assert raw.read() == DATA[-10:]
    file.check()
    assert file.readable.read_bytes() == DATA


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("s3://sales/2024/*.csv", ["2024/a.csv", "2024/b.csv"]),
        ("s3://sales/2024/[!a].csv", ["2024/b.csv"]),
        ("s3://sales/2024/?.csv", ["2024/a.csv", "2024/b.csv"]),
        ("s3://sales/*/*.csv", ["2024/a.csv", "2024/b.csv"]),
        ("s3://sales/**/*.csv", ["2024/a.csv", "2024/b.csv", "2025/q1/c.csv", "large.csv", "odd[1].csv"]),
        ("s3://sales/odd[1].csv", ["odd[1].csv"]),
        ("s3://sales/2024", ["2024/a.csv", "2024/b.csv"]),
        ("s3://sales/2024/", ["2024/a.csv", "2024/b.csv"]),
        ("s3://sales/2025/**", ["2025/q1/c.csv", "2025/q1/d.txt"]),
    ],
)
def test_patterns(pattern: str, found: list[str]) -> None:
    assert names(pattern) == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3://sales/2024/aa.csv", r's3://sales/2024/aa.csv; did you mean "a.csv"'),
        ("s3://sales/x*.csv", "no object matches"),
        ("s3://nobucket/a.csv", "there is no (bucket|file)"),
        ("s3://*/a.csv", "pattern of buckets"),
        ("s3://", "is not an address|there is no file"),
    ],
)
def test_what_is_not_there(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(name)


def test_an_object_that_is_replaced_in_mid_read_ends_the_run(filled: Any) -> None:
    with filled.open_output_stream("sales/moving.csv") as stream:
        stream.write(DATA)
    (file,) = resolve("s3://sales/moving.csv")
    with file.open() as stream:
        assert stream.read(1000) == DATA[:1000]
        with filled.open_output_stream("sales/moving.csv") as other:
            other.write(DATA[::-1])
        with pytest.raises(DataError, match=r"moving\.csv has changed while it was read"):
            stream.read()
    with pytest.raises(DataError, match="has changed"):
        file.check()
    filled.delete_file("sales/moving.csv")
    with pytest.raises(DataError, match="has changed"):
        read(file)


def test_a_server_that_is_not_there_is_told_at_once_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(RunError, match="cannot be read") as error:
        resolve("s3://sales/large.csv")
    assert time.monotonic() - began < 3
    assert "hidden-secret" not in str(error.value)


def test_keys_in_an_address_are_used_and_never_shown() -> None:
    (file,) = resolve("s3://mykey:mysecret@sales/2024/a.csv")
    assert file.name == "s3://sales/2024/a.csv"
    assert "mysecret" not in repr(file)
    assert read(file) == b"2024/a.csv"


def test_many_objects_are_looked_at_at_once(tmp_path: Path, filled: Any) -> None:
    for number in range(30):
        with filled.open_output_stream(f"sales/many/{number:02}.csv") as stream:
            stream.write(b"a\n")
    assert names("s3://sales/many/*") == [f"many/{number:02}.csv" for number in range(30)]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server that answers as S3 does, with faults; `/sales/…` are its objects."""
    with Web() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
        server.put("/sales/d.csv", DATA)
        server.modified = "Sat, 28 Nov 2026 10:00:00 GMT"
        yield server


@pytest.mark.parametrize("faults", [["status 503", "status 503"], ["drop"], ["reset"], ["stall"]])
def test_what_passes_is_tried_again(web: Web, faults: list[str]) -> None:
    limits._TIMEOUT.set(17.0)  # a stall is noticed after seven seconds
    (file,) = resolve("s3://sales/d.csv")
    web.faults = list(faults)
    assert read(file) == DATA
    assert not web.faults


@pytest.mark.parametrize("fault", ["status 503", "stall", "drop"])
def test_what_does_not_pass_ends_in_time(web: Web, fault: str) -> None:
    (file,) = resolve("s3://sales/d.csv")
    web.faults = [fault] * 1000
    began = time.monotonic()
    with pytest.raises(RunError, match=r"s3://sales/d\.csv cannot be read") as error:
        read(file)
    assert time.monotonic() - began < 12
    assert "--timeout" in error.value.hint


def test_an_object_without_a_sign_of_its_version_is_told_by_its_time(web: Web) -> None:
    web.etag = False
    (file,) = resolve("s3://sales/d.csv")
    assert read(file) == DATA
    web.modified = "Sat, 28 Nov 2026 10:00:01 GMT"
    with pytest.raises(DataError, match="has changed"):
        read(file)


def test_access_that_is_denied_is_told_at_once(web: Web) -> None:
    web.faults = ["status 403"]
    with pytest.raises(RunError, match="access is denied"):
        resolve("s3://sales/d.csv")
