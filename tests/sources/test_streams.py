"""Sources that may never end, and files that are no text: refused by what they are."""

import io
import os
import threading
from pathlib import Path

import pytest

from tensorize import prepare
from tensorize.core import limits
from tensorize.core.errors import DataError
from tensorize.sources import streams


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/urandom", "/proc/cpuinfo"])
@pytest.mark.parametrize("kind", ["table", "text", "images"])
def test_a_device_is_no_source(kind: str, path: str) -> None:
    with pytest.raises(DataError, match=r"is a device|is made by the system"):
        prepare(kind, path)


def test_a_named_pipe_waits_for_a_writer_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    monkeypatch.setattr(streams, "WRITER_SECONDS", 0.2)
    with pytest.raises(DataError, match="no program has written"):
        prepare("table", path)
    monkeypatch.setattr(streams, "WRITER_SECONDS", 20.0)
    writer = threading.Thread(target=lambda: path.write_text("a,b\n1,2\n3,4\n"))
    writer.start()
    with streams.open_stream("pipe.csv", path, path.stat()) as stream:
        assert stream.read() == b"a,b\n1,2\n3,4\n"
    writer.join()


def test_a_pipe_is_kept_up_to_a_limit() -> None:
    token = limits._PIPE.set(1000)
    try:
        with pytest.raises(DataError, match="--max-pipe 4000"):
            streams.spooled("<stdin>", io.BytesIO(b"1,2\n" * 1000))
        with streams.spooled("<stdin>", io.BytesIO(b"1,2\n" * 100)) as held:
            assert held.seek(0, 2) == 400
    finally:
        limits._PIPE.reset(token)


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("h.arrow", b"ARROW1\0\0", "an Arrow file"),
        ("h.npy", b"\x93NUMPY\x01\0", "an array of numpy"),
        ("h.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        ("h.xlsx", b"PK\x03\x04", "a workbook"),
        ("h.zip", b"PK\x03\x04", "cannot be unpacked"),
        ("h.db", b"SQLite format 3\0", "an SQLite database"),
        ("h.7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        ("h.png", b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        ("h.pkl", b"\x80\x04\x95", "a pickle"),
    ],
)
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path: Path, name: str, head: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(head + b"\0" * 100)
    with pytest.raises(DataError, match=said):
        prepare("table", path, reader="csv")


@pytest.mark.filterwarnings("ignore:Feather V1")
@pytest.mark.parametrize("name", ["h.arrow", """a "b" 'c' $(touch harmed) `d`.arrow""", "-x.arrow"])
def test_the_way_out_of_an_old_feather_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import subprocess

    import pyarrow as pa
    from pyarrow import feather

    monkeypatch.chdir(tmp_path)
    feather.write_feather(pa.table({"a": [1.0, 2.0], "b": [3.0, 5.0]}), name, version=1)
    with pytest.raises(DataError) as error:
        prepare("table", name)
    subprocess.run(str(error.value.hint).partition(": ")[2], shell=True, check=True, timeout=120)
    assert prepare("table", "out.parquet")["features"].shape == (2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.parquet"])
