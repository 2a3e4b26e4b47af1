"""Images that want to do harm, each kind made here: one shape and dtype, or a reject with a name; never the process."""

from __future__ import annotations

import gc
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command
from PIL import Image

from tensorize import pipeline, prepare
from tensorize.core.errors import DataError, RunError
from tensorize.core.rejects import TooManyBadError
from tensorize.loaders.images import pool
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.pool import Decoder, is_progressive

SIDE = 16


# Makers of files


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(height: int, width: int, depth: int, colour: int, data: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def gray(height: int = SIDE, width: int = SIDE) -> bytes:
    """The pixel data of a black gray PNG."""
    return zlib.compress(bytes(height * (width + 1)), 9)


def tiff(height: int, width: int, data: bytes, tags: dict[int, tuple[int, int, Any]], following: int = 0) -> bytes:
    """A little-endian TIFF of one gray page; a tag is (type, count, value), and "data" as a value is where the data lie."""
    usual = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 8), 262: (3, 1, 1), 277: (3, 1, 1)}
    found = {**usual, **tags}
    start = 8 + 2 + 12 * len(found) + 4
    page = struct.pack("<H", len(found))
    for tag, (kind, count, value) in sorted(found.items()):
        at = start if value == "data" else value
        page += struct.pack("<HHI", tag, kind, count) + struct.pack(
            "<HH" if kind == 3 else "<I", *([at, 0] if kind == 3 else [at])
        )
    return b"II*\0" + struct.pack("<I", 8) + page + struct.pack("<I", following) + data


def strips(data: bytes, rows: int = SIDE) -> dict[int, tuple[int, int, Any]]:
    return {273: (4, 1, "data"), 278: (4, 1, rows), 279: (4, 1, len(data))}


def tiles(data: bytes, side: int) -> dict[int, tuple[int, int, Any]]:
    return {322: (4, 1, side), 323: (4, 1, side), 324: (4, 1, "data"), 325: (4, 1, len(data))}


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def scans(side: int, count: int) -> bytes:
    """A gray progressive JPEG whose second scan comes again and again: a few bytes that go over all pixels each time."""
    data = saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    at, found = 2, []
    while data[at + 1] != 0xD9:
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        marker = data[at + 1]
        while marker == 0xDA and (data[end] != 0xFF or data[end + 1] == 0):
            end += 1
        found.append((marker, data[at:end]))
        at = end
    second = [index for index, (marker, _) in enumerate(found) if marker == 0xDA][1]
    scan = bytearray(found[second][1])
    head = 2 + struct.unpack_from(">H", scan, 2)[0]
    scan[head - 3 : head] = bytes([1, 63, 0])
    return data[:2] + b"".join(part for _, part in found[:second]) + bytes(scan) * count + b"\xff\xd9"


def webp(canvas: int) -> bytes:
    """An animated WebP of one small frame on a large canvas."""
    frame = saved(Image.new("RGB", (SIDE, SIDE)), "WEBP", lossless=True)[12:]
    size = struct.pack("<I", canvas - 1)[:3]
    small = struct.pack("<I", SIDE - 1)[:3]
    body = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + size + size + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += b"ANMF" + struct.pack("<I", 16 + len(frame)) + bytes(6) + small + small + b"\x64\0\0\0" + frame
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def bmp(height: int, width: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 104, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *([0] * 6))
        + bytes(50)
    )


def small_screen() -> bytes:
    """A GIF that says it is 1×1, and holds a frame of 3000×3000."""
    data = bytearray(saved(Image.new("P", (3000, 3000)), "GIF"))
    data[6:10] = struct.pack("<HH", 1, 1)
    return bytes(data)


def frames(count: int, kind: str) -> bytes:
    images = [Image.new("L", (SIDE, SIDE), shade * 6) for shade in range(count)]
    return saved(images[0], kind, save_all=True, append_images=images[1:], lossless=True)


def lab() -> bytes:
    return saved(Image.new("LAB", (SIDE, SIDE), (90, 128, 128)), "TIFF")


def early_end() -> bytes:
    """A GIF whose one block of pixel data holds the codes "clear" and "end", and no pixel."""
    data = saved(Image.new("P", (SIDE, SIDE)), "GIF")
    start = data.index(b"\x2c", 13) + 10
    size = data[start]
    codes = (1 << size) | ((1 << size) + 1) << (size + 1)
    return data[: start + 1] + b"\3" + codes.to_bytes(3, "little") + b"\0;"


PIXELS = bytes(SIDE * SIDE)
NOISE = saved(Image.effect_noise((64, 64), 90), "JPEG")
PACKED = zlib.compress(PIXELS)
BOMB = zlib.compress(bytes(64 << 20), 9)

BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "empty"),
    "words.jpg": (b"hello, world", "format"),
    "pixels.png": (png(50_000, 50_000, 8, 0, gray()), "pixels"),
    "pixels.tif": (tiff(60_000, 60_000, PACKED, strips(PACKED, 60_000)), "pixels"),
    "pixels.bmp": (bmp(60_000, 60_000), "pixels"),
    "pixels.jpg": (saved(Image.new("L", (8, 8)), "JPEG").replace(b"\0\x08\0\x08", b"\xff\xff\xff\xff", 1), "pixels"),
    "screen.gif": (small_screen(), "pixels"),
    "canvas.webp": (webp(16_383), "pixels"),
    "canvas-2.webp": (webp(9000), "pixels"),
    "tile.tif": (tiff(SIDE, SIDE, PACKED, tiles(PACKED, 16_384)), "memory"),
    "huge-tile.tif": (tiff(SIDE, SIDE, PACKED, tiles(PACKED, 49_152)), "memory"),
    "scans.jpg": (scans(2048, 40_000), "time"),
    "pages.tif": (tiff(SIDE, SIDE, PIXELS, {**strips(PIXELS), 259: (3, 1, 1)}, following=8), "damaged"),
    "frames.gif": (frames(40, "GIF"), "frames"),
    "frames.tif": (frames(40, "TIFF"), "frames"),
    "frames.webp": (frames(40, "WEBP"), "frames"),
    "frames.png": (frames(40, "PNG"), "frames"),
    "profile.png": (png(SIDE, SIDE, 8, 0, gray(), chunk(b"iCCP", b"x\0\0" + BOMB)), "damaged"),
    "text.png": (png(SIDE, SIDE, 8, 0, gray(), chunk(b"zTXt", b"x\0\0" + BOMB)), "damaged"),
    "cut.png": (png(SIDE, SIDE, 8, 0, gray())[:-20], "damaged"),
    "little.png": (png(SIDE, SIDE, 8, 0, gray(4)), "damaged"),
    "little.bmp": (bmp(100, 100), "damaged"),
    "cut.jpg": (saved(Image.effect_noise((SIDE, SIDE), 90), "JPEG")[:-40], "damaged"),
    "cut.gif": (saved(Image.effect_noise((64, 64), 90).convert("P"), "GIF")[:-500], "damaged"),
    "cut.webp": (saved(Image.effect_noise((64, 64), 90).convert("RGB"), "WEBP")[:-200], "damaged"),
    "little.tif": (tiff(SIDE, SIDE, PACKED[:-6], strips(PACKED[:-6])), "damaged"),
    "few-strips.tif": (tiff(SIDE, SIDE, PIXELS[:64], {**strips(PIXELS[:64], 4), 259: (3, 1, 1)}), "damaged"),
    "early-end.jpg": (NOISE[: len(NOISE) // 2] + b"\xff\xd9", "damaged"),
    "early-end.gif": (early_end(), "damaged"),
    "palette.png": (png(SIDE, SIDE, 8, 3, zlib.compress((b"\0" + b"\7" * SIDE) * SIDE), chunk(b"PLTE", bytes(9))), "damaged"),
    "lab.tif": (lab(), "unsupported"),
    "float.tif": (saved(Image.new("F", (SIDE, SIDE)), "TIFF"), "unsupported"),
    "deep.png": (png(SIDE, SIDE, 16, 0, zlib.compress(bytes(SIDE * (2 * SIDE + 1)))), "depth"),
    "clear.png": (saved(Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 4)), "PNG"), "transparent"),
}

GOOD: dict[str, bytes] = {
    "plain.png": png(SIDE, SIDE, 8, 0, gray()),
    "wrong-suffix.jpg": png(SIDE, SIDE, 8, 0, gray()),
    "more-data.png": png(SIDE, SIDE, 8, 0, BOMB),
    "large-strip.tif": tiff(SIDE, SIDE, PACKED, strips(PACKED, 0xFFFFFFFF)),
    "wild-count.tif": tiff(SIDE, SIDE, PIXELS, {**strips(PIXELS), 259: (3, 1, 1), 700: (1, 0xFFFFFFF0, 10)}),
    "cmyk.jpg": saved(Image.new("CMYK", (SIDE, SIDE)), "JPEG"),
    "palette.png": saved(Image.new("P", (SIDE, SIDE)), "PNG"),
    "one-bit.tif": saved(Image.new("1", (SIDE, SIDE)), "TIFF"),
    "animated.gif": frames(3, "GIF"),
    "pages.tif": frames(3, "TIFF"),
    "opaque.webp": saved(Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 255)), "WEBP"),
    "progressive.jpg": saved(Image.new("L", (SIDE, SIDE)), "JPEG", progressive=True),
}

LIMITS = {"max_pixels": 5_000_000, "max_frames": 39, "max_seconds": 1, "max_memory": "100MB"}
SKIP = {"on_bad": "skip", "max_bad": "100%"}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name, data in GOOD.items():
        (folder / f"good-{name}").write_bytes(data)
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data)
    return folder


# What becomes of them


def test_each_kind_comes_out_in_one_shape_or_is_rejected_by_name(hostile: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    ts = prepare("images", hostile, size=SIDE, dtype="uint8", rejects=rejects, **SKIP, **LIMITS)
    assert ts.spec("images").shape == (len(GOOD), 3, SIDE, SIDE)
    assert sorted(ts.meta["paths"]) == sorted(f"good-{name}" for name in GOOD)
    names = sorted(path.name for path in hostile.iterdir())
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert {Path(item["path"]).name: item["kind"] for item in found} == {name: kind for name, (_, kind) in BAD.items()}
    assert [names[item["row"]] for item in found] == [Path(item["path"]).name for item in found]
    assert [names[row] for row in ts["row"]] == list(ts.meta["paths"])


def test_the_limits_are_named_by_the_errors(hostile: Path) -> None:
    with pytest.raises(DataError) as error:
        prepare("images", hostile, size=SIDE, **LIMITS)
    said = str(error.value)
    assert all(f"(--max-{limit})" in said for limit in ("pixels", "frames", "memory", "seconds"))
    assert len(error.value.details) == len([kind for _, kind in BAD.values() if kind not in ("depth", "transparent")])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of a process by itself")
def test_a_hostile_file_takes_neither_the_process_nor_its_time(tmp_path: Path) -> None:
    """A 146-byte TIFF that wants 1 GB, and a JPEG that would take minutes: measured on the process that runs."""
    (tmp_path / "tile.tif").write_bytes(tiff(SIDE, SIDE, PACKED, tiles(PACKED, 32_768)))
    (tmp_path / "scans.jpg").write_bytes(scans(4096, 100_000))
    code = (
        "import pathlib, resource, tensorize\n"
        "try: tensorize.prepare('images', '.', size=8, max_seconds=2, max_memory='200MB')\n"
        "except tensorize.core.errors.DataError as error: print(len(error.details))\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert time.monotonic() - started < 60
    count, *peaks = map(int, done.stdout.split())
    assert count == 2
    assert max(peaks) < 400 << 10, "kilobytes"


def test_a_pipe_and_a_device_among_the_images_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "itself.png").symlink_to("itself.png")
    with (tmp_path / "sparse.png").open("wb") as file:
        file.write(GOOD["plain.png"][:8])
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="4 images cannot be read") as error:
        prepare("images", tmp_path)
    said = dict(line.split("  ", 1) for line in error.value.details)
    assert said["pipe.png"] == said["zero.png"] == "it is no regular file"
    assert "symbolic links" in said["itself.png"]
    assert "(--max-memory)" in said["sparse.png"]


READY = "import os, sys; sys.stdin.buffer.readline(); print('{}', flush=True)"
"""A process that takes the options, and says that it waits for images."""


@pytest.fixture
def tiffs(tmp_path: Path) -> Path:
    """Three images, each of which is decoded in a process apart."""
    folder = tmp_path / "tiffs"
    folder.mkdir()
    for name, colour in zip("abc", [10, 20, 30], strict=True):
        Image.new("RGB", (4, 4), (colour, 0, 0)).save(folder / f"{name}.tif")
    return folder


def dying(monkeypatch: pytest.MonkeyPatch, number: int, mark: Path, times: int, *, waiting: bool = False) -> None:
    """The first processes, so many of them, are ended by a signal: as an image comes, or once they have decoded one."""
    count = "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1))"
    die = f"import os, pathlib; p = pathlib.Path({str(mark)!r}); {count}"
    real = "from tensorize.loaders.images import worker"
    how = f"os.kill(os.getpid(), {int(number)})"
    if waiting:
        later = f"send = worker._send; worker._send = lambda *a: (send(*a), n < {times} and 'shape' in a[1] and {how})"
        code = f"{die}; {real}; {later}; worker.main()"
    else:
        code = f"{die}; {real}; work = worker.work; worker.work = lambda *a: {how} if n < {times} else work(*a); worker.main()"
    monkeypatch.setattr(pool, "_MAIN", code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("waiting", [False, True], ids=["decoding", "waiting"])
@pytest.mark.parametrize("options", [{}, SKIP])
def test_a_process_that_is_killed_from_outside_is_replaced(
    tiffs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, waiting: bool, options: dict[str, str]
) -> None:
    whole = prepare("images", tiffs, **options)
    dying(monkeypatch, number, tmp_path / "mark", 1, waiting=waiting)
    assert prepare("images", tiffs, threads=1, **options).equals(whole)
    assert (tmp_path / "mark").read_text() == "xx"


@pytest.mark.parametrize("options", [{}, SKIP])
def test_one_that_is_killed_again_fails_the_run_and_rejects_no_image(
    tiffs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    dying(monkeypatch, signal.SIGKILL, tmp_path / "mark", 99)
    with pytest.raises(RunError, match=r"a\.tif cannot be decoded: the process that does it was killed, 2 times"):
        prepare("images", tiffs, threads=1, out=tmp_path / "x.h5", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mark", "tiffs"]


def test_one_that_does_not_start_fails_the_run(tiffs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_MAIN", "import no_such_module")
    with pytest.raises(RunError, match=r"a\.tif cannot be decoded: .* does not start \(exit code 1\)"):
        prepare("images", tiffs, threads=1, **SKIP)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space so")
def test_memory_that_the_system_lacks_is_no_fault_of_an_image(tiffs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address space may grow by 8 MB, where one image may take 1 GiB, and one of 48 MB comes."""
    Image.new("RGB", (4000, 4000)).save(tiffs / "d.tif", compression="tiff_lzw")
    limit = "resource.setrlimit(resource.RLIMIT_AS, (memory_limit.pages(0) + (8 << 20),) * 2)"
    late = f"send = worker._send; worker._send = lambda *a: (send(*a), 'ready' in a[1] and {limit})"
    needed = "import resource; from tensorize.engine import memory_limit; from tensorize.loaders.images import worker"
    monkeypatch.setattr(pool, "_MAIN", f"{needed}; {late}; worker.main()")
    with pytest.raises(RunError, match=r"d\.tif cannot be decoded: there is not enough memory"):
        prepare("images", tiffs, size=4, threads=1, **SKIP)
    with pytest.raises(DataError, match=r"d\.tif  decoding it takes more than 1\.05 MB of memory \(--max-memory\)"):
        prepare("images", tiffs, size=4, threads=1, max_memory="1MiB")


@pytest.mark.parametrize("options", [{}, {"dtype": "uint8"}, SKIP])
def test_workers_of_an_engine_have_processes_of_their_own(tiffs: Path, options: dict[str, str]) -> None:
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tiffs / "d.png")
    whole = prepare("images", tiffs, **options)
    run = pipeline.make_run(engine="processes", workers=2)
    assert pipeline.prepare("images", tiffs, options, run, pipeline.Output()).tensors.equals(whole)


def test_a_decoder_that_was_sent_ends_its_processes_once_it_is_dropped(tiffs: Path) -> None:
    with Decoder(ImagesOptions()) as first:
        sent = pickle.loads(pickle.dumps(first))
        header, data = Header("TIFF", 4, 4), (tiffs / "b.tif").read_bytes()
        assert sent.finished(data, header, "b.tif").pixels[0, 0].tolist() == [20, 0, 0]
        assert not first._pool._idle
    (process,) = sent._pool._idle
    assert process.poll() is None
    del sent
    gc.collect()
    assert process.poll() is not None


def test_a_decoder_that_crashes_is_told_of_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = f"{READY}; sys.stdin.buffer.readline(); os.kill(os.getpid(), 11)"
    monkeypatch.setattr(pool, "_MAIN", crash)
    (tmp_path / "a.png").write_bytes(GOOD["plain.png"])
    (tmp_path / "b.tif").write_bytes(GOOD["pages.tif"])
    with pytest.raises(DataError, match=r"b\.tif  its decoder crashed \(SIGSEGV\)"):
        prepare("images", tmp_path)
    assert prepare("images", tmp_path, **SKIP)["row"].tolist() == [0]


def wild(orientation: bytes) -> bytes:
    """EXIF data whose one tag is an orientation of this type, count and value."""
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<H", 0x112) + orientation + struct.pack("<I", 8)


WILD = {
    "nine": struct.pack("<HIHH", 3, 1, 9, 0),
    "zero": struct.pack("<HIHH", 3, 1, 0, 0),
    "word": struct.pack("<HI4s", 2, 4, b"six\0"),
    "many": struct.pack("<HIHH", 3, 2, 9, 9),
    "endless": struct.pack("<HII", 3, 0xFFFFFFFF, 8),
    "none": struct.pack("<HII", 3, 0, 0),
    "float": struct.pack("<HIf", 11, 1, 6.5),
    "no type": struct.pack("<HII", 999, 1, 6),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", WILD)
def test_an_orientation_that_is_none_says_nothing_or_the_image_is_named(tmp_path: Path, name: str, kind: str) -> None:
    image = Image.new("RGB", (SIDE, 2 * SIDE), (9, 9, 9))
    (tmp_path / "a.img.png").write_bytes(saved(image, kind, exif=wild(WILD[name])))
    (tmp_path / "b.png").write_bytes(saved(image, "PNG"))
    ts = prepare("images", tmp_path, **SKIP)
    assert ts["images"].shape[1:] == (3, 2 * SIDE, SIDE)


# What is left


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """40 images of two classes, every seventh of which is bad in one way or another."""
    rng = np.random.default_rng(0)
    for row in range(40):
        path = tmp_path / "spoiled" / "ab"[row % 2] / f"{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = saved(Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)), "PNG")
        path.write_bytes(data if row % 7 else [b"", data[:50], data[:-30]][row % 3])
    return tmp_path / "spoiled"


def kept(folder: Path) -> Iterator[tuple[int, Path]]:
    """(row, path) of the good images."""
    for row, path in enumerate(sorted(folder.rglob("*.png"))):
        if int(path.stem) % 7:
            yield row, path


def test_rows_keep_their_place_and_labels_and_statistics_come_from_what_is_left(spoiled: Path) -> None:
    ts = prepare("images", spoiled, split="0.5,0.5", stratify=True, dtype="uint8", **SKIP)
    rows = np.concatenate([ts.numpy(f"{split}/row") for split in ts.splits])
    assert sorted(rows) == [row for row, _ in kept(spoiled)]
    assert len(ts.numpy("train/row")) == 17
    paths = dict(kept(spoiled))
    train = np.stack([np.asarray(Image.open(paths[row])) for row in ts.numpy("train/row")])
    assert (ts.numpy("train/images") == train.transpose(0, 3, 1, 2)).all()
    assert ts.numpy("train/labels").tolist() == ["ab".index(paths[row].parent.name) for row in ts.numpy("train/row")]
    expected = train.mean((0, 1, 2), dtype=np.float64) / 255
    assert ts.recipe.learned[-1].state["mean"] == pytest.approx(list(expected), rel=1e-12)


def test_a_row_goes_to_the_split_of_its_place_in_the_source(spoiled: Path) -> None:
    """The rank of a row is that of its source position: the same as when the bad images were good."""
    few = prepare("images", spoiled, split="0.5,0.5", **SKIP)
    for path in spoiled.rglob("*.png"):
        if int(path.stem) % 7 == 0:
            path.write_bytes(saved(Image.new("RGB", (SIDE, SIDE)), "PNG"))
    all_ = prepare("images", spoiled, split="0.5,0.5")
    moved = set(few.numpy("train/row")) - set(all_.numpy("train/row"))
    assert len(moved) <= 6, "only as many as the sizes ask for"


@pytest.mark.parametrize("normalize", ["dataset", "none"])
def test_neither_threads_nor_chunks_change_a_bit(spoiled: Path, tmp_path: Path, normalize: str) -> None:
    outputs = []
    for threads, size in ((1, 1), (2, 100_000), (5, 1 << 22)):
        out, rejects = tmp_path / f"{threads}.h5", tmp_path / f"{threads}.jsonl"
        options = {"out": out, "rejects": rejects, "normalize": normalize, "split": "0.8,0.2", **SKIP}
        prepare("images", spoiled, threads=threads, chunk_bytes=size, **options)
        outputs.append((out.read_bytes(), rejects.read_bytes()))
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(outputs[0][1].splitlines()) == 6


def test_apply_leaves_out_what_the_recipe_says_or_the_call(spoiled: Path) -> None:
    ts = prepare("images", spoiled, **SKIP)
    assert ts.recipe.apply(spoiled).equals(ts)
    with pytest.raises(DataError, match="6 images cannot be read"):
        ts.recipe.apply(spoiled, on_bad="error")
    clean = prepare("images", [path for _, path in kept(spoiled)])
    again = clean.recipe.apply(spoiled, on_bad="skip", max_bad=6)
    assert (again.numpy("images") == clean.numpy("images")).all()
    with pytest.raises(TooManyBadError, match="6 of 40 images"):
        clean.recipe.apply(spoiled, on_bad="skip", max_bad=5)


def test_what_a_process_apart_decodes_has_the_same_bits(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"size": "12x20", "dtype": "uint8", "scaled_decode": True, "fit": "pad"}
    files = [hostile / f"good-{name}" for name in GOOD]
    here = prepare("images", files, **options)
    monkeypatch.setattr(pool, "_PILLOW_PIXELS", 0)
    monkeypatch.setattr(pool, "_TURBO_PIXELS", 0)
    assert prepare("images", files, **options).equals(here)


def test_the_exit_code_tells_whether_too_much_was_bad(tensorize: Command, spoiled: Path, tmp_path: Path) -> None:
    flags = ["images", spoiled, "--on-bad", "skip", "--rejects", "bad.jsonl", "-o", "x.h5"]
    above = tensorize(*flags)
    assert (above.returncode, above.stderr.splitlines()[0]) == (1, "error: 6 of 40 images (15%) are bad, and --max-bad is 0.5%")
    assert not (tmp_path / "x.h5").exists()
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 6
    within = tensorize(*flags, "--max-bad", "15%", "--force", "--json")
    assert within.returncode == 0, within.stderr
    told = json.loads(within.stdout)["rejects"]
    assert (told["count"], told["seen"], told["path"]) == (6, 40, "bad.jsonl")
    assert sum(told["kinds"].values()) == 6
    shown = tensorize(*flags, "--max-bad", "6", "--force").stdout
    assert "skipped: 6 of 40 images (15%) are bad: " in shown


def test_a_class_of_which_no_image_is_left_is_told_of(spoiled: Path) -> None:
    for path in (spoiled / "b").iterdir():
        path.write_bytes(b"")
    run, output = pipeline.make_run(), pipeline.Output()
    result = pipeline.prepare("images", str(spoiled), SKIP, run, output)
    assert any("no image is left of the 1 class b" in note for note in result.facts.notes)
    for path in (spoiled / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="none of 40 images is left"):
        prepare("images", spoiled, **SKIP)


# Change


def overwrite(path: Path) -> None:
    path.write_bytes(saved(Image.new("RGB", (1200, 1200), (1, 2, 3)), "BMP"))


def take_away(path: Path) -> None:
    path.unlink()


def recolour(path: Path) -> None:
    """Other pixels, of the same size and at the same time: what a writer does within a tick of the clock."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff" * 1000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [overwrite, take_away, recolour])
@pytest.mark.parametrize("options", [{}, SKIP])
def test_an_image_that_changes_after_its_header_was_read(
    tmp_path: Path, change: Callable[[Path], None], options: dict[str, str]
) -> None:
    for name in "abcd":
        Image.new("RGB", (1200, 1200)).save(tmp_path / f"{name}.bmp")
    done = []

    def progress(stage: str, count: int, total: int | None) -> None:
        if stage == "decode" and not done:
            done.append(count)
            change(tmp_path / "d.bmp")

    with pytest.raises(DataError, match=r"d\.bmp has changed while it was read"):
        prepare("images", tmp_path, threads=1, progress=progress, **options)
    assert done


# What is asked of a JPEG before it is decoded


def test_a_progressive_jpeg_is_told_from_a_baseline_one() -> None:
    image = Image.effect_noise((64, 64), 50)
    assert is_progressive(saved(image, "JPEG", progressive=True))
    assert not is_progressive(saved(image, "JPEG"))
    assert not is_progressive(saved(image, "JPEG", exif=wild(WILD["nine"]), comment=b"\xff\xc2"))
    assert is_progressive(b"\xff\xd8\xff\xe0\0\x04"), "what cannot be followed is taken for the worse"


# The corpora


def test_what_pngsuite_holds_is_kept_or_rejected_by_name(corpora: Path, tmp_path: Path) -> None:
    """14 files are broken; those of 16 bits do not fit what was declared, uint8."""
    folder, rejects = corpora / "pngsuite/png", tmp_path / "bad.jsonl"
    ts = prepare("images", folder, size=8, dtype="uint8", alpha="white", rejects=rejects, **SKIP)
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    names = sorted(path.name for path in folder.glob("*.png"))
    broken = [Path(item["path"]).name for item in found if item["kind"] != "depth"]
    deep = [Path(item["path"]).name for item in found if item["kind"] == "depth"]
    assert (len(names), len(broken), len(ts["row"])) == (175, 14, 161 - len(deep))
    assert all(name.startswith("x") for name in broken)
    assert all(name[6:8] == "16" for name in deep)
    assert [names[item["row"]] for item in found] == [Path(item["path"]).name for item in found]
    assert [names[row] for row in ts["row"]] == list(ts.meta["paths"])
