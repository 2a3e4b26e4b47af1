"""Downloads: from a real server on this machine, checked by their sums."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tensorize.core.errors import DataError, RunError, UsageError
from tensorize.sources.fetch import ORIGINALS, fetch


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def mirror(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(site: Path, path: str, content: bytes) -> None:
    (site / path).parent.mkdir(parents=True, exist_ok=True)
    (site / path).write_bytes(content)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["wine", "bikes-fixed", "pride", "cats", "dog"])
def test_the_public_files_come_through_whole_with_the_sums_of_the_table(
    name: str, data: Path, mirror: str, site: Path, tmp_path: Path
) -> None:
    for file in ORIGINALS[name].files:
        publish(site, file.path, (data / file.path).read_bytes())
    found = fetch(name, tmp_path / "got", mirror=mirror)
    assert found.is_dir() == (len(ORIGINALS[name].files) > 1)
    for file in ORIGINALS[name].files:
        assert hashlib.sha256((tmp_path / "got" / file.path).read_bytes()).hexdigest() == file.sha256


def test_the_bikes_file_at_its_source_differs_from_ours_by_its_line_ends_only(data: Path) -> None:
    lines = (data / "bikes/hour.csv").read_bytes().replace(b"\n", b"\r\n")
    assert hashlib.sha256(lines).hexdigest() == ORIGINALS["bikes"].files[0].sha256


def test_a_file_that_is_there_is_not_downloaded_again(data: Path, mirror: str, site: Path, tmp_path: Path) -> None:
    publish(site, "images/dog/bobby.jpg", (data / "images/dog/bobby.jpg").read_bytes())
    found = fetch("dog", tmp_path / "got", mirror=mirror)
    (site / "images/dog/bobby.jpg").unlink()
    assert fetch("dog", tmp_path / "got", mirror=mirror) == found


def test_a_wrong_sum_is_an_error_that_names_both_and_leaves_nothing(mirror: str, site: Path, tmp_path: Path) -> None:
    publish(site, "wine/winequality-white.csv", b"not wine\n")
    with pytest.raises(DataError) as caught:
        fetch("wine", tmp_path / "got", mirror=mirror)
    assert ORIGINALS["wine"].files[0].sha256 in str(caught.value)
    assert hashlib.sha256(b"not wine\n").hexdigest() in str(caught.value)
    assert not (tmp_path / "got").exists()


def test_a_file_that_is_not_at_its_source_names_the_address_and_leaves_nothing(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"winequality-white\.csv cannot be downloaded: .* answers 404") as caught:
        fetch("wine", tmp_path / "got", mirror=mirror)
    assert "--mirror" in str(caught.value)
    assert not (tmp_path / "got").exists()


def test_no_server_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be downloaded") as caught:
        fetch("wine", tmp_path / "got", mirror="http://127.0.0.1:9")
    assert "check the network" in str(caught.value)
    assert everything(tmp_path) == []


def test_a_file_of_the_users_own_is_not_replaced_without_force(data: Path, mirror: str, site: Path, tmp_path: Path) -> None:
    publish(site, "images/dog/bobby.jpg", (data / "images/dog/bobby.jpg").read_bytes())
    publish(tmp_path / "got", "images/dog/bobby.jpg", b"my own dog")
    with pytest.raises(UsageError, match="is another file"):
        fetch("dog", tmp_path / "got", mirror=mirror)
    assert (tmp_path / "got/images/dog/bobby.jpg").read_bytes() == b"my own dog"
    assert fetch("dog", tmp_path / "got", mirror=mirror, force=True).stat().st_size == 75_801


def test_a_folder_that_cannot_be_made_is_named(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "got").write_text("a file")
    with pytest.raises(RunError, match=r"got.* cannot be written"):
        fetch("wine", tmp_path / "got", mirror=mirror)
    assert everything(tmp_path) == ["got", "site"]


def test_an_unknown_name_suggests_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='did you mean "wine"'):
        fetch("wines", tmp_path)
