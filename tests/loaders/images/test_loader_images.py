"""Images: folders of pictures become (row, channel, height, width) tensors."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tensorize import pipeline, prepare
from tensorize.core import registry
from tensorize.core.errors import DataError, RecipeError, TensorizeError, UsageError
from tensorize.core.recipe import Recipe
from tensorize.loaders.images.decode import decode
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.header import read_file, read_header
from tensorize.loaders.images.options import ImagesOptions

Pixels = np.ndarray[Any, Any]


def noise(height: int, width: int, channels: int = 3, seed: int = 0, top: int = 256) -> Pixels:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, top, shape).astype(np.uint8 if top == 256 else np.uint16)


def save(path: Path, pixels: Pixels, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def fails(error: type[TensorizeError], source: Any, **options: Any) -> str:
    """Prepare, expect the error with its exit code, and return the whole message."""
    with pytest.raises(error) as caught:
        prepare("images", source, **options)
    assert caught.value.exit_code == (2 if issubclass(error, UsageError) else 1)
    return str(caught.value)


def raw(source: Any, **options: Any) -> Pixels:
    """The finished pixels (row, channel, height, width)."""
    return prepare("images", source, normalize="none", dtype="uint8", **options).numpy("images")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three images of 6×8."""
    for seed in range(6):
        save(tmp_path / "set" / ("cat", "dog")[seed % 2] / f"{seed}.png", noise(6, 8, seed=seed))
    return tmp_path / "set"


# The real files


def test_cats_have_mean_0_and_std_1(data: Path) -> None:
    ts = prepare("images", data / "images/cats")
    images = ts.numpy("images").astype(np.float64)
    assert images.shape == (3, 3, 256, 256)
    assert ts.spec("images").axes == ("row", "channel", "height", "width")
    assert ts.labels("images", "channel") == ("red", "green", "blue")
    assert images.mean((0, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-6)
    assert images.std((0, 2, 3), ddof=1) == pytest.approx([1, 1, 1], abs=1e-6)
    state = ts.recipe.learned[-1].state
    assert [round(value, 5) for value in state["mean"]] == [0.57993, 0.44932, 0.35544]
    assert [round(value, 5) for value in state["std"]] == [0.22118, 0.20676, 0.19308]
    assert list(ts.meta["paths"]) == ["cat1.png", "cat2.png", "cat3.png"]


def test_cats_come_back_as_pixels(data: Path) -> None:
    ts = prepare("images", data / "images/cats")
    files = sorted((data / "images/cats").glob("*.png"))
    expected = np.stack([np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) for path in files])
    assert (ts.recipe.inverse(ts) == expected).all()


def test_a_jpeg_equals_pillow(data: Path) -> None:
    path = data / "images/dog/bobby.jpg"
    with Image.open(path) as image:
        expected = np.asarray(image).transpose(2, 0, 1)
    assert (raw(path)[0] == expected).all()


def test_cifar10_is_two_splits_of_ten_classes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("cifar10")
    subprocess.run(["tar", "-xf", data / "cifar10/cifar10-images.tar.xz", "-C", root], check=True)
    ts = prepare("images", root, dtype="uint8")
    assert ts.spec("train/images").shape == (50000, 3, 32, 32)
    assert ts.spec("test/images").shape == (10000, 3, 32, 32)
    names = sorted(path.name for path in (root / "train").iterdir())
    assert ts.recipe.learned[0].state == {"classes": names}
    labels = ts.numpy("train/labels")
    assert (np.bincount(labels) == 5000).all()
    assert [path.split("/")[1] for path in ts.meta["train/paths"]] == [names[label] for label in labels]
    pixels = ts.numpy("train/images")
    mean = pixels.mean((0, 2, 3), dtype=np.float64) / 255
    assert ts.recipe.learned[-1].state["mean"] == pytest.approx(list(mean), rel=1e-12)


def test_exif_orientations_all_stand_upright(corpora: Path) -> None:
    source = corpora / "exif-orientation"
    for series, shape in (("Landscape", (1200, 1800)), ("Portrait", (1800, 1200))):
        images = raw(str(source / f"{series}_*.jpg")).astype(np.float64)
        assert images.shape == (9, 3, *shape)
        assert np.abs(images - images[0]).mean((1, 2, 3)).max() < 6


def test_pngsuite_is_exact_or_rejected_by_name(corpora: Path) -> None:
    good, broken = 0, []
    for path in sorted((corpora / "pngsuite/png").glob("*.png")):
        try:
            header, _, _ = read_header(str(path), ImagesOptions().limits)
            pixels = decode(read_file(str(path), 1 << 20)[0], header).astype(np.int64)
        except ImageError:
            broken.append(path.name)
            continue
        expected = json.loads((corpora / f"pngsuite/json/{path.stem}.json").read_text())
        good += rgba(pixels, header.bits).ravel().tolist() == expected
    assert good == 161
    assert len(broken) == 14
    assert all(name.startswith("x") for name in broken)
    with pytest.raises(DataError) as caught:
        prepare("images", corpora / "pngsuite/png", size=8)
    assert caught.value.what == "14 images cannot be read"
    assert [line.split()[0] for line in caught.value.details] == broken


def rgba(pixels: Pixels, bits: int) -> Pixels:
    """1 to 4 channels → 4, as the JSON files have them."""
    if pixels.shape[2] < 3:
        pixels = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2)
    opaque = np.full((*pixels.shape[:2], 4 - pixels.shape[2]), (1 << bits) - 1)
    return np.concatenate([pixels, opaque], axis=2)


# Folders


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    for seed, name in enumerate(["b.png", "B.png", "a/../c.bmp"]):
        save(tmp_path / "a" / "x.png", noise(2, 2)).unlink()
        save(tmp_path / name, noise(4, 5, seed=seed))
    ts = prepare("images", tmp_path)
    assert ts.keys() == ("images", "row")
    assert list(ts.meta["paths"]) == ["B.png", "b.png", "c.bmp"]
    assert ts.numpy("row").tolist() == [0, 1, 2]


def test_class_folders_are_labels_in_sorted_order(folder: Path) -> None:
    ts = prepare("images", folder)
    assert ts.numpy("labels").tolist() == [0, 0, 0, 1, 1, 1]
    assert ts.spec("labels").role == "target"
    assert ts.recipe.learned[0].state == {"classes": ["cat", "dog"]}
    assert list(ts.meta["paths"]) == ["cat/0.png", "cat/2.png", "cat/4.png", "dog/1.png", "dog/3.png", "dog/5.png"]


def test_images_below_a_class_folder_belong_to_it(folder: Path) -> None:
    save(folder / "cat" / "more" / "z.png", noise(6, 8))
    ts = prepare("images", folder)
    assert ts.numpy("labels").tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_train_and_test_folders_are_the_split(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "both"
    root.mkdir()
    folder.rename(root / "train")
    save(root / "test" / "dog" / "9.png", noise(6, 8, seed=9))
    ts = prepare("images", root)
    assert ts.splits == ("train", "test")
    assert ts.numpy("test/labels").tolist() == [1]
    assert ts.numpy("test/row").tolist() == [0]
    assert ts.numpy("train/row").tolist() == [1, 2, 3, 4, 5, 6]
    assert list(ts.meta["test/paths"]) == ["test/dog/9.png"]
    assert "is split already" in fails(UsageError, root, split="0.5,0.5")


def test_a_class_only_in_test_is_refused(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "both"
    root.mkdir()
    folder.rename(root / "train")
    save(root / "test" / "horse" / "9.png", noise(6, 8))
    assert "test/horse" in fails(DataError, root)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        save(tmp_path / name / "1.png", noise(3, 3))
    assert prepare("images", tmp_path).recipe.learned[0].state == {"classes": ["bus", "train"]}


def test_other_files_are_skipped_and_counted(folder: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store", "cat/notes.txt", "cat/.hidden.png"):
        (folder / name).write_bytes(b"x")
    result = pipeline.prepare("images", folder, {}, pipeline.RunOptions(), pipeline.Output())
    assert result.facts.shape == "6 images of 6×8, 2 classes"
    assert result.facts.notes == ("skipped 4 files that are no images: 1 .DS_Store, 1 .db, 1 .hidden.png, 1 .txt",)


def test_a_list_keeps_its_order_and_a_glob_is_sorted(folder: Path) -> None:
    listed = [folder / "dog/5.png", folder / "cat/0.png"]
    assert list(prepare("images", listed).meta["paths"]) == ["dog/5.png", "cat/0.png"]
    assert list(prepare("images", str(folder / "*" / "[01].png")).meta["paths"]) == ["cat/0.png", "dog/1.png"]


@pytest.mark.parametrize("make", [np.stack, list, lambda arrays: torch.from_numpy(np.stack(arrays))])
def test_arrays_are_images_too(make: Callable[[list[Pixels]], Any]) -> None:
    arrays = [noise(4, 5, seed=seed) for seed in range(3)]
    ts = prepare("images", make(arrays), normalize="none", dtype="uint8")
    assert (ts.numpy("images") == np.stack(arrays).transpose(0, 3, 1, 2)).all()
    assert not ts.meta


# What the pixels become


def test_formats_decode_by_content_not_by_name(tmp_path: Path) -> None:
    pixels = noise(5, 7)
    for name, kind in (("a.jpg", "png"), ("b.png", "bmp"), ("c.gif", "tiff"), ("d.tif", "webp")):
        save(tmp_path / name, pixels, format=kind, **({"lossless": True} if kind == "webp" else {}))
    assert (raw(tmp_path) == pixels.transpose(2, 0, 1)).all()


def test_only_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("P", (4, 3), color) for color in (0, 1))
    for frame in (first, second):
        frame.putpalette([10, 20, 30, 200, 210, 220])
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    result = pipeline.prepare(
        "images", tmp_path, {"normalize": "none", "dtype": "uint8"}, pipeline.RunOptions(), pipeline.Output()
    )
    assert result.tensors.numpy("images")[0, :, 0, 0].tolist() == [10, 20, 30]
    assert result.facts.notes == ("1 image with several frames or pages: the first one is taken",)


def test_gray_is_repeated_and_colour_becomes_luma(tmp_path: Path) -> None:
    gray, colour = noise(4, 5, 1), noise(4, 5, 3)
    save(tmp_path / "g.png", gray)
    save(tmp_path / "h.png", colour)
    rgb = raw(tmp_path)
    assert (rgb[0] == gray).all()
    assert (rgb[1] == colour.transpose(2, 0, 1)).all()
    luma = raw(tmp_path, channels="gray")
    assert luma.shape == (2, 1, 4, 5)
    assert (luma[0, 0] == gray).all()
    assert (luma[1, 0] == np.asarray(Image.fromarray(colour).convert("L"))).all()


def test_a_cmyk_jpeg_is_turned_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path, quality=95)
    result = pipeline.prepare("images", path, {"normalize": "none", "dtype": "uint8"}, pipeline.RunOptions(), pipeline.Output())
    assert result.tensors.numpy("images")[0, :, 4, 4] == pytest.approx([255, 0, 0], abs=2)
    assert result.facts.notes == ("1 CMYK image turned to RGB without a colour profile",)
    path.write_bytes(path.read_bytes()[:-30])
    assert "1 image cannot be read" in fails(DataError, path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, kind: str) -> None:
    pixels = noise(5, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a.{kind}", pixels, exif=exif, **({"lossless": True} if kind == "webp" else {}))
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: np.rot90(pixels, 2),
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels.swapaxes(0, 1), 2),
        8: np.rot90(pixels),
    }[orientation]
    assert (raw(tmp_path)[0] == turned.transpose(2, 0, 1)).all()


def test_alpha_is_refused_laid_on_a_ground_or_dropped(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[..., 0], pixels[..., 3] = 200, [[255, 0], [51, 255]]
    save(tmp_path / "a.png", pixels)
    message = fails(DataError, tmp_path)
    assert "1 image is transparent" in message
    assert "a.png  2 of 4 pixels are transparent" in message
    assert "--alpha white | black" in message
    red = {policy: raw(tmp_path, alpha=policy)[0, 0].tolist() for policy in ("white", "black", "drop")}
    assert red == {"white": [[200, 255], [244, 200]], "black": [[200, 0], [40, 200]], "drop": [[200, 200], [200, 200]]}
    result = pipeline.prepare(
        "images", tmp_path, {"alpha": "white", "normalize": "half"}, pipeline.RunOptions(), pipeline.Output()
    )
    assert result.notes == ("1 transparent image, laid on white",)


def test_opaque_alpha_is_no_error(tmp_path: Path) -> None:
    pixels = np.dstack([noise(3, 4), np.full((3, 4), 255, np.uint8)])
    save(tmp_path / "a.png", pixels)
    assert (raw(tmp_path)[0] == pixels[..., :3].transpose(2, 0, 1)).all()


def test_a_transparent_palette_entry_counts_only_where_it_is_used(tmp_path: Path) -> None:
    image = Image.new("P", (3, 2), 0)
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.save(tmp_path / "a.png", transparency=1)
    assert raw(tmp_path)[0, :, 0, 0].tolist() == [1, 2, 3]
    image.save(tmp_path / "a.png", transparency=0)
    assert "6 of 6 pixels are transparent" in fails(DataError, tmp_path)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_size_and_fit(tmp_path: Path, fit: str) -> None:
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, :20] = 255
    pixels[:, 20:] = 100
    save(tmp_path / "a.png", pixels)
    row = raw(tmp_path, size="20x20", fit=fit)[0, 0, 10].tolist()
    column = raw(tmp_path, size="20x20", fit=fit)[0, 0, :, 10].tolist()
    if fit == "crop":
        assert row == pytest.approx([100] * 20, abs=30)
        assert row[2:] == [100] * 18
    elif fit == "pad":
        assert column[:5] == column[15:] == [0] * 5
        assert column[5:15] == [100] * 10
    else:
        assert row[:4] == [255] * 4
        assert row[6:] == [100] * 14


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    save(tmp_path / "a.png", stripes)
    inner = raw(tmp_path, size=8)[0, :, 1:-1, 1:-1]
    assert inner.min() >= 120
    assert inner.max() <= 135


def test_images_of_unlike_sizes_need_a_size(folder: Path) -> None:
    save(folder / "cat" / "7.png", noise(9, 4))
    message = fails(DataError, folder)
    assert "the images have 2 sizes" in message
    assert "6×8  6 images, such as cat/0.png" in message
    assert "9×4  1 image, such as cat/7.png" in message
    assert "--size" in message
    assert raw(folder, size="4x6").shape == (7, 3, 4, 6)


def test_16_bits_are_kept_exactly(tmp_path: Path) -> None:
    gray = noise(6, 7, 1, top=65536)
    save(tmp_path / "a.png", gray)
    save(tmp_path / "b.tiff", noise(6, 7, 1, seed=1, top=65536))
    ts = prepare("images", tmp_path, channels="gray", normalize="none")
    assert (ts.numpy("images")[0, 0] == (gray / 65535).astype(np.float32)).all()
    assert ts.recipe.inverse(ts).dtype == np.uint16
    scaled = prepare("images", tmp_path, channels="gray")
    assert (scaled.recipe.inverse(scaled)[0, 0] == gray).all()
    assert scaled.numpy("images").astype(np.float64).std(ddof=1) == pytest.approx(1, abs=1e-6)
    assert "uint8 cannot hold" in fails(DataError, tmp_path, dtype="uint8")


def test_16_bit_arrays_are_resized_without_losing_depth() -> None:
    ramp = np.linspace(1000, 1100, 64).astype(np.uint16)[None, :, None].repeat(64, 0)
    ts = prepare("images", [ramp], channels="gray", size=32, normalize="none")
    back = ts.recipe.inverse(ts)[0, 0, 0]
    assert len(set(back.tolist())) > 25
    assert 1000 <= back.min() < back.max() <= 1100


def test_depths_do_not_mix(tmp_path: Path) -> None:
    save(tmp_path / "a.png", noise(6, 7, 1))
    save(tmp_path / "b.png", noise(6, 7, 1, top=65536))
    message = fails(DataError, tmp_path)
    assert "2 depths" in message
    assert "16 bits  1 image, such as b.png" in message


def test_a_float_tiff_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", np.ones((3, 4), dtype=np.float32))
    message = fails(DataError, tmp_path)
    assert "a.tif  a TIFF of 32 bits (F) cannot be read exactly; convert it to PNG" in message


# Normalisation


@pytest.mark.parametrize(("name", "mean", "std"), [("half", [0.5] * 3, [0.5] * 3), ("none", [0.0] * 3, [1.0] * 3)])
def test_constant_normalisation(folder: Path, name: str, mean: list[float], std: list[float]) -> None:
    pixels, images = raw(folder), prepare("images", folder, normalize=name).numpy("images")
    assert (images == ((pixels / 255 - mean[0]) / std[0]).astype(np.float32)).all()


def test_imagenet_normalisation_is_torchvisions(folder: Path) -> None:
    pixels, images = raw(folder), prepare("images", folder, normalize="imagenet").numpy("images")
    mean, std = np.array([0.485, 0.456, 0.406])[:, None, None], np.array([0.229, 0.224, 0.225])[:, None, None]
    assert (images == ((pixels / 255 - mean) / std).astype(np.float32)).all()
    assert "--normalize" in fails(UsageError, folder, normalize="imagenet", channels="gray")


def test_uint8_expands_to_the_same_bits(folder: Path) -> None:
    stored, normalised = prepare("images", folder, dtype="uint8"), prepare("images", folder)
    assert stored["images"].dtype == torch.uint8
    images, labels = stored.batch(slice(0, 6))
    assert torch.equal(images, normalised["images"])
    assert labels is not None
    assert torch.equal(labels, normalised["labels"])
    assert torch.equal(normalised.batch(slice(0, 6))[0], normalised["images"])
    assert (stored.recipe.inverse(stored) == stored.numpy("images")).all()


@pytest.mark.parametrize("suffix", [".h5", ".pt", None])
def test_uint8_is_learned_from_as_it_is_written(
    folder: Path, tmp_path: Path, suffix: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass: nothing is kept in scratch, and mean, std, bits of the file are what two passes make."""
    floats = prepare("images", folder, split="0.5,0.5", seed=3)
    monkeypatch.setattr("tensorize.engine.scratch.Scratch.append", None)
    out = tmp_path / f"a{suffix}" if suffix else None
    ts = prepare("images", folder, dtype="uint8", split="0.5,0.5", seed=3, out=out)
    assert ts.recipe.learned == floats.recipe.learned
    assert ts.layout.recipe == ts.recipe.to_json()
    if out is not None:
        saved = prepare("images", folder, dtype="uint8", split="0.5,0.5", seed=3).save(tmp_path / f"b{suffix}")
        assert saved.read_bytes() == out.read_bytes()
        registry.exporter_for(out).verify(out)


def test_a_constant_channel_becomes_0_with_a_note(tmp_path: Path) -> None:
    pixels = noise(4, 4)
    pixels[..., 1] = 77
    save(tmp_path / "a.png", pixels)
    result = pipeline.prepare("images", tmp_path, {}, pipeline.RunOptions(), pipeline.Output())
    assert (result.tensors.numpy("images")[0, 1] == 0).all()
    assert result.notes == ("the green channel is constant in train: it is divided by 1, not by its std of 0",)
    assert (result.recipe.inverse(result.tensors)[0] == pixels.transpose(2, 0, 1)).all()


# Splits, and the same bits


def test_a_split_is_exact_and_in_source_order(folder: Path) -> None:
    for seed in range(20):
        save(folder / "cat" / f"more{seed}.png", noise(6, 8, seed=seed))
    ts = prepare("images", folder, split="0.5,0.25,0.25", seed=3)
    assert [ts.spec(f"{name}/images").shape[0] for name in ts.splits] == [13, 7, 6]
    rows = [ts.numpy(f"{name}/row") for name in ts.splits]
    assert sorted(np.concatenate(rows).tolist()) == list(range(26))
    assert all((np.diff(part) > 0).all() for part in rows)
    everything = raw(folder)
    assert (ts.recipe.inverse(ts)["val"] == everything[rows[1]]).all()
    assert not (ts.numpy("val/row") == prepare("images", folder, split="0.5,0.25,0.25", seed=4).numpy("val/row")).all()


def test_stratified_classes_keep_their_shares(folder: Path, tmp_path: Path) -> None:
    for seed in range(17):
        save(folder / "cat" / f"more{seed}.png", noise(6, 8, seed=seed))
    ts = prepare("images", folder, split="0.7,0.3", stratify=True)
    assert np.bincount(ts.numpy("train/labels")).tolist() == [14, 2]
    assert np.bincount(ts.numpy("test/labels")).tolist() == [6, 1]
    assert "--split" in fails(UsageError, folder, stratify=True)
    assert "class folder" in fails(UsageError, folder / "cat", stratify=True, split="0.5,0.5")


def test_statistics_come_from_train_pixels_only(folder: Path) -> None:
    ts = prepare("images", folder, split="0.5,0.5")
    before = ts.recipe_json
    for path in ts.meta["test/paths"]:
        save(folder / path, np.zeros((6, 8, 3), dtype=np.uint8))
    assert prepare("images", folder, split="0.5,0.5").recipe_json == before


def test_threads_and_chunks_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(9):
        save(tmp_path / f"{seed}.jpg", noise(40, 50, seed=seed))
    expected = prepare("images", tmp_path, split="0.6,0.4", size="20x30", threads=1)
    monkeypatch.setattr("tensorize.loaders.images.spans.SPAN_BYTES", 4000)
    for threads in (1, 3):
        found = prepare("images", tmp_path, split="0.6,0.4", size="20x30", threads=threads, chunk_bytes=500)
        assert found.equals(expected)


def test_a_part_without_images_is_refused(folder: Path) -> None:
    assert "6 images are too few" in fails(UsageError, folder, split="0.98,0.01,0.01")


# Recipes


def test_apply_repeats_the_same_bits(folder: Path) -> None:
    ts = prepare("images", folder, size="4x5")
    again = Recipe.from_json(ts.recipe_json).apply(folder)
    assert again.equals(ts)
    one = ts.recipe.apply(folder / "dog" / "3.png")
    assert one.keys() == ("images", "row")
    assert (one.numpy("images")[0] == ts.numpy("images")[4]).all()


def test_apply_takes_classes_and_shape_from_the_recipe(folder: Path, tmp_path: Path) -> None:
    recipe = prepare("images", folder).recipe
    save(tmp_path / "new" / "dog" / "1.png", noise(6, 8))
    assert recipe.apply(tmp_path / "new").numpy("labels").tolist() == [1]
    save(tmp_path / "new" / "dgo" / "1.png", noise(6, 8))
    with pytest.raises(DataError, match=r"1 class of these names\n  dgo; did you mean \"dog\"\?"):
        recipe.apply(tmp_path / "new")
    save(tmp_path / "large" / "1.png", noise(12, 16))
    with pytest.raises(DataError, match="12×16 of 8 bits, the recipe was made with 6×8 of 8 bits"):
        recipe.apply(tmp_path / "large")


def test_apply_makes_one_set_of_train_and_test_folders(folder: Path, tmp_path: Path) -> None:
    recipe = prepare("images", folder, split="0.5,0.5").recipe
    for split in ("train", "test"):
        save(tmp_path / "new" / split / "dog" / "1.png", noise(6, 8))
    ts = recipe.apply(tmp_path / "new")
    assert ts.splits == ()
    assert ts.numpy("labels").tolist() == [1, 1]


def test_apply_to_a_flat_folder_says_that_there_are_no_labels(folder: Path) -> None:
    recipe = prepare("images", folder).recipe
    result = pipeline.apply(recipe, folder / "cat", pipeline.RunOptions(), pipeline.Output())
    assert result.layout.tensors[-1].name == "row"
    assert result.notes == ("there are no class folders: the output has no labels",)


def test_a_damaged_recipe_is_refused(folder: Path) -> None:
    recipe = prepare("images", folder).recipe
    broken = recipe.to_json().replace('"height":6', '"height":-6')
    with pytest.raises(RecipeError, match="shape step is wrong"):
        Recipe.from_json(broken).apply(folder)
    gray = recipe.model_copy(update={"options": {"channels": "gray"}})
    with pytest.raises(RecipeError, match="normalises 3 channels, its images have 1"):
        gray.apply(folder)
    short = recipe.model_copy(update={"steps": recipe.steps[:2]})
    with pytest.raises(RecipeError, match='lacks the step "normalize"'):
        short.apply(folder)


# Bad input


def test_every_broken_image_is_named_at_once(folder: Path) -> None:
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "words.jpg").write_text("not an image")
    whole = io.BytesIO()
    Image.fromarray(noise(6, 8)).save(whole, "jpeg")
    (folder / "dog" / "cut.jpg").write_bytes(whole.getvalue()[:-20])
    png = (folder / "dog" / "1.png").read_bytes()
    (folder / "dog" / "cut.png").write_bytes(png[: len(png) // 2])
    message = fails(DataError, folder)
    assert "4 images cannot be read" in message
    assert "cat/empty.png  the file is empty" in message
    assert "cat/words.jpg  its first bytes are those of no known image format" in message
    assert "dog/cut.jpg  Premature end of JPEG file" in message
    assert "dog/cut.png  the file is truncated in its IDAT chunk" in message


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar"])
def test_an_archive_is_to_be_unpacked_first(folder: Path, tmp_path: Path, kind: str) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "pictures"), kind, folder))
    message = fails(DataError, archive)
    assert f"{archive} is an archive" in message
    assert "unpack it, and name its folder" in message


def test_a_broken_image_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    data = save(folder / "cat" / "9.jpg", noise(6, 8)).read_bytes()
    (folder / "cat" / "9.jpg").write_bytes(data[:-20])
    before = sorted(tmp_path.rglob("*"))
    for normalize in ("dataset", "none"):
        assert "cat/9.jpg" in fails(DataError, folder, out=tmp_path / "x.pt", normalize=normalize)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["bmp", "gif", "jpeg", "png", "tiff", "webp"])
def test_a_truncated_file_is_an_error_in_every_format(tmp_path: Path, kind: str) -> None:
    whole = save(tmp_path / f"a.{kind}", noise(30, 30)).read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(whole[: len(whole) * 3 // 4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f"a.{kind}" in fails(DataError, tmp_path)


def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path) -> None:
    data = bytearray(save(tmp_path / "a.png", noise(6, 8)).read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    assert "the checksum of its IDAT chunk is wrong" in fails(DataError, tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    message = fails(DataError, tmp_path)
    assert "bomb.png  20000×20000 is more than 89,478,485 pixels (--max-pixels)" in message
    save(tmp_path / "bomb.png", noise(5, 5))
    assert "more than 24 pixels" in fails(DataError, tmp_path, max_pixels=24)
    assert raw(tmp_path, max_pixels=25).shape == (1, 3, 5, 5)


def test_an_empty_class_folder_is_named(folder: Path) -> None:
    (folder / "horse").mkdir()
    (folder / "zebra").mkdir()
    message = fails(DataError, folder)
    assert "2 folders hold no images" in message
    assert str(folder / "horse") in message
    assert str(folder / "zebra") in message


def test_a_folder_without_images_says_what_is_in_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    message = fails(DataError, tmp_path)
    assert "holds no images" in message
    assert "found: 1 .txt" in message
    assert "holds no images" in fails(DataError, str(tmp_path / "*.txt"))


def test_images_beside_class_folders_are_refused(folder: Path) -> None:
    save(folder / "lost.png", noise(6, 8))
    message = fails(DataError, folder)
    assert "images beside folders of images" in message
    assert "lost.png" in message


def test_a_missing_folder_names_the_near_one(folder: Path) -> None:
    assert 'did you mean "set"?' in fails(UsageError, folder.parent / "sets")


def test_a_link_in_a_circle_is_refused(folder: Path) -> None:
    (folder / "cat" / "again").symlink_to(folder)
    assert "is a link to a folder that it lies in" in fails(DataError, folder)


@pytest.mark.parametrize("source", [np.zeros((2, 3), np.uint8), [np.zeros((2, 2), np.uint8), "a.png"]])
def test_arrays_of_a_wrong_kind_are_a_wrong_call(source: Any) -> None:
    fails(UsageError, source)


def test_arrays_of_a_wrong_dtype_or_shape_are_wrong_data() -> None:
    assert "array 0 is float64" in fails(DataError, [np.zeros((2, 2))])
    assert "is no image" in fails(DataError, [np.zeros((2, 2, 7), np.uint8)])


@pytest.mark.parametrize("size", ["0", "12x", "x", "-3", "3x4x5"])
def test_a_size_that_is_none_is_a_wrong_call(folder: Path, size: str) -> None:
    assert f"--size '{size}'" in fails(UsageError, folder, size=size)


# scaled decoding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_scaled_decoding_differs_little_and_is_part_of_the_recipe(tmp_path: Path, fit: str, orientation: int) -> None:
    ramp = np.linspace(0, 255, 640)
    pixels = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:480, None], 128.0), axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, exif=exif)
    options = {"size": "60x50", "fit": fit, "dtype": "uint8"}
    plain = prepare("images", tmp_path, **options)
    scaled = prepare("images", tmp_path, **options, scaled_decode=True)
    difference = np.abs(plain.numpy("images").astype(int) - scaled.numpy("images").astype(int))
    assert 0 < difference.max() <= 8
    assert scaled.recipe.options["scaled_decode"] is True
    assert scaled.recipe.apply(str(tmp_path)).equals(scaled)


def test_scaled_decoding_does_nothing_above_half_the_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    made = [prepare("images", tmp_path, size="60", scaled_decode=way)["images"] for way in (True, False)]
    assert bool((made[0] == made[1]).all())


@pytest.mark.parametrize(
    ("options", "prepared", "applied"),
    [
        ({}, "z-score of each channel, learned from all images", "z-score of each channel, as the recipe says"),
        ({"split": "0.75,0.25"}, "z-score of each channel, learned from train", "z-score of each channel, as the recipe says"),
        (
            {"dtype": "uint8"},
            "z-score of each channel on reading, learned from all images",
            "z-score of each channel on reading, as the recipe says",
        ),
        ({"normalize": "half"}, "normalised by mean 0.5 and std 0.5", "normalised by mean 0.5 and std 0.5"),
    ],
    ids=str,
)
def test_the_summary_says_what_was_learned_and_from_which_images(
    samples: Path, options: dict[str, Any], prepared: str, applied: str
) -> None:
    made = pipeline.prepare("images", samples / "shapes-synthetic", options, pipeline.RunOptions(), pipeline.Output())
    again = pipeline.apply(made.recipe, samples / "shapes-synthetic", pipeline.RunOptions(), pipeline.Output())
    assert (made.made["images"], again.made["images"]) == (prepared, applied)
