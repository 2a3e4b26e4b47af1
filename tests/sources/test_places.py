"""Every kind of source from S3 and the web: the same file as from the disk, and no secret in anything that comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from PIL import Image
from servers import Web, bucket, moto

from tensorize import prepare, suggest
from tensorize.core.errors import DataError
from tensorize.sources.folders import files_below, is_folder

SECRETS = ("s3cr3t", "t0ken", "hidden-key")
TABLE = b"a,b,when,city\n" + b"".join(
    b"%d,%s,2024-01-%02d,%s\n" % (row, b"" if row % 7 == 0 else b"%d.5" % row, row % 28 + 1, b"xyz"[row % 3 : row % 3 + 1])
    for row in range(500)
)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, Any]]:
    pytest.importorskip("moto", reason="moto is not installed")
    with moto() as endpoint:
        yield endpoint, bucket(endpoint, "places")


@pytest.fixture
def s3(store: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    endpoint, files = store
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hidden-key",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return files


def put(files: Any, key: str, data: bytes) -> str:
    with files.open_output_stream(f"places/{key}") as stream:
        stream.write(data)
    return f"s3://places/{key}"


def secret(address: str) -> str:
    """An address with a password and a token in it."""
    return address.replace("//", "//ada:s3cr3t@") + "?X-Amz-Signature=t0ken"


def same(kind: str, path: Path, others: list[str], tmp_path: Path, **options: Any) -> None:
    """Prepare from the disk and from elsewhere, by threads and by processes: byte for byte the same file."""
    prepare(kind, path, out=tmp_path / "disk.h5", **options).close()
    for at, other in enumerate(others):
        for engine in ("threads", "processes")[: 2 if at == 0 else 1]:
            prepare(kind, other, out=tmp_path / "other.h5", force=True, engine=engine, workers=2, **options).close()
            assert (tmp_path / "other.h5").read_bytes() == (tmp_path / "disk.h5").read_bytes(), other


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("wine", "wine/winequality-white.csv", {}),
        ("bikes", "bikes/hour-fixed.csv", {}),
        ("text", "text/1342-0.txt", {"encode": "ids"}),
    ],
)
def test_the_public_files_come_out_the_same(
    kind: str, name: str, options: dict[str, Any], data: Path, web: Web, s3: Any, tmp_path: Path
) -> None:
    raw = (data / name).read_bytes()
    same(kind, data / name, [secret(web.put(f"/{name}", raw)), put(s3, name, raw)], tmp_path, **options)
    assert not any(word.encode() in (tmp_path / "other.h5").read_bytes() for word in SECRETS)


def test_a_mixed_table_comes_out_the_same(web: Web, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(TABLE)
    options = {"missing": "median", "onehot": "city", "drop": "when"}
    same(
        "table",
        tmp_path / "d.csv",
        [web.put("/d.csv", TABLE), put(s3, "d.csv", TABLE), put(s3, "d[1].csv", TABLE)],
        tmp_path,
        **options,
    )


def test_several_objects_are_one_table(s3: Any, tmp_path: Path) -> None:
    for month in (1, 2, 3):
        (tmp_path / f"{month}.csv").write_bytes(TABLE)
        put(s3, f"months/{month}.csv", TABLE)
    options = {"missing": "median", "onehot": "city", "drop": "when"}
    prepare("table", tmp_path / "*.csv", out=tmp_path / "disk.h5", **options).close()
    prepare("table", "s3://places/months/*.csv", out=tmp_path / "s3.h5", **options).close()
    assert (tmp_path / "s3.h5").read_bytes() == (tmp_path / "disk.h5").read_bytes()


def pictures(folder: Path) -> dict[str, bytes]:
    for number, name in enumerate(("cat/1.png", "cat/2.png", "dog/1.png", "dog/notes.txt")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("png"):
            Image.new("RGB", (8, 6), (40 * number, 10, 20)).save(folder / name)
        else:
            (folder / name).write_text("a note")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_of_images_is_read_with_its_classes(s3: Any, web: Web, tmp_path: Path) -> None:
    for name, raw in pictures(tmp_path / "pets").items():
        put(s3, f"pets/{name}", raw)
    found = {
        name: prepare("images", source, size=4)
        for name, source in {"disk": tmp_path / "pets", "s3": "s3://places/pets", "slash": "s3://places/pets/"}.items()
    }
    for name in ("s3", "slash"):
        assert (found[name].numpy("images") == found["disk"].numpy("images")).all()
        assert list(found[name].meta["paths"]) == list(found["disk"].meta["paths"])
    one = web.put("/one.png", (tmp_path / "pets/dog/1.png").read_bytes())
    assert prepare("images", one).numpy("images").shape == (1, 3, 6, 8)
    globbed = prepare("images", "s3://places/pets/**/*.png", size=4)
    assert (globbed.numpy("images") == found["disk"].numpy("images")).all()


def test_an_error_on_an_image_names_its_address(s3: Any) -> None:
    put(s3, "broken/a.png", b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(DataError) as error:
        prepare("images", "s3://places/broken")
    assert "tensorize-copy" not in str(error.value)
    put(s3, "words/a.txt", b"words")
    with pytest.raises(DataError, match="s3://places/words holds no images"):
        prepare("images", "s3://places/words")


def test_a_source_elsewhere_is_looked_at(s3: Any, web: Web, tmp_path: Path) -> None:
    for name, raw in pictures(tmp_path / "pets").items():
        put(s3, f"pets/{name}", raw)
    put(s3, "tables/a/d.csv", TABLE)
    assert suggest("s3://places/pets").kind == "images"
    found = suggest("s3://places/tables", target="a")
    assert (found.kind, found.source) == ("table", "s3://places/tables")
    assert suggest(secret(web.put("/d.csv", TABLE)), target="a").command.split()[2] == f"http://{web.host}/d.csv"
    assert is_folder("s3://places/tables/") and not is_folder("s3://places/tables/a/d.csv")  # noqa: PT018
    assert list(files_below("s3://places/tables")) == ["a/d.csv"]


def test_a_recipe_is_applied_to_what_lies_elsewhere(web: Web, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(TABLE)
    learned = prepare("table", tmp_path / "d.csv", missing="median", onehot="city", drop="when")
    for source in (web.put("/d.csv", TABLE), put(s3, "d.csv", TABLE)):
        found = learned.recipe.apply(source)
        assert (found.numpy("features") == learned.numpy("features")).all()


CALLS = (
    ("table", "-o", "d.h5", "--missing", "median"),
    ("table", "-o", "d.h5", "--missing", "median", "--debug", "--target", "nothing"),
    ("table", "-o", "e.h5", "--json", "--missing", "median", "-v"),
    ("table", "-o", "f.h5"),
    ("suggest",),
    ("suggest", "--json"),
    ("auto", "-o", "g.h5", "--target", "a"),
    ("images", "-o", "h.h5", "--debug"),
    ("text", "-o", "i.h5"),
    ("inspect", "--debug"),
    ("table", "-o"),
    ("fetch",),
)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["/d.csv", "/none.csv"])
def test_no_secret_comes_out_anywhere(warm: Command, web: Web, tmp_path: Path, call: tuple[str, ...], path: str) -> None:
    web.put("/d.csv", TABLE)
    done = warm(call[0], secret(f"http://{web.host}{path}"), *call[1:])
    said = done.stdout + done.stderr
    assert "Traceback" in said or "--debug" not in call or not done.returncode
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert not [word for word in SECRETS if word in said or word.encode() in written], said


def test_nothing_is_left_of_copies(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    put(s3, "one/a.png", next(iter(pictures(tmp_path / "pets").values())))
    assert prepare("images", "s3://places/one").numpy("images").shape == (1, 3, 6, 8)
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_the_time_limit_is_no_part_of_the_recipe(warm: Command, web: Web, tmp_path: Path) -> None:
    address = web.put("/d.csv", b"a,b\n1,2\n3,4\n")
    assert warm("table", address, "-o", "d.h5", "--timeout", "5").returncode == 0
    assert warm("table", address, "-o", "e.h5").returncode == 0
    assert (tmp_path / "d.h5").read_bytes() == (tmp_path / "e.h5").read_bytes()
    web.faults = ["stall"] * 20
    done = warm("table", address, "-o", "f.h5", "--timeout", "1", "--json", timeout=20)
    assert done.returncode == 1
    assert "--timeout 2" in json.loads(done.stdout)["error"]["hint"]
    web.faults.clear()


@pytest.mark.parametrize(
    "command", ["inspect", "verify", "convert", "apply", "auto", "train", "evaluate", "predict", "export", "plot"]
)
def test_every_command_that_reads_from_elsewhere_has_a_timeout(warm: Command, command: str) -> None:
    assert "--timeout" in warm(command, "--help").stdout
