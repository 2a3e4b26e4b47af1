"""What the names of folders mean: splits, classes, and images without a label."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from conftest import Command
from PIL import Image

import tensorize
from tensorize import pipeline
from tensorize.core.errors import DataError, TensorizeError, TensorizeWarning, UsageError


def tree(root: Path, *paths: str) -> Path:
    """A folder with an image of 3×4 at each path."""
    for seed, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / path)
    return root


def pets(*folders: str) -> list[str]:
    return [f"{folder}/{name}/{row}.png" for folder in folders for name in ("cat", "dog") for row in (1, 2)]


def made(root: Path, **options: str) -> pipeline.Result:
    return pipeline.prepare("images", root, options, pipeline.RunOptions(), pipeline.Output())


def classes(result: pipeline.Result) -> list[str]:
    return next((item.state["classes"] for item in result.recipe.learned if item.step == "classes"), [])


def refusal(root: Path, error: type[TensorizeError] = DataError, **options: str) -> str:
    with pytest.raises(error) as caught:
        made(root, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("folders", "splits", "note"),
    [
        (("train", "valid", "test"), ("train", "val", "test"), "valid is val"),
        (("train", "dev", "eval"), ("train", "val", "test"), "dev is val, eval is test"),
        (("Train", "TEST"), ("train", "test"), "Train is train, TEST is test"),
        (("training", "Validation"), ("train", "val"), "training is train, Validation is val"),
        (("training_set", "testSet"), ("train", "test"), "training_set is train, testSet is test"),
        (("train2017", "val2017"), ("train", "val"), "train2017 is train, val2017 is val"),
        (("seg_train/seg_train", "seg_test/seg_test"), ("train", "test"), "seg_train is train, seg_test is test"),
        (("a/images/train", "a/images/test"), ("train", "test"), "a/images/train is train, a/images/test is test"),
        (("train/images", "valid/images"), ("train", "val"), "valid is val"),
    ],
)
def test_split_folders_have_many_names(tmp_path: Path, folders: tuple[str, ...], splits: tuple[str, ...], note: str) -> None:
    result = made(tree(tmp_path, *pets(*folders)))
    assert result.tensors.splits == splits
    assert classes(result) == ["cat", "dog"]
    assert all(result.tensors.numpy(f"{name}/labels").tolist() == [0, 0, 1, 1] for name in splits)
    assert result.notes == (f"splits by folder: {note}",)


def test_plain_split_folders_need_no_note(tmp_path: Path) -> None:
    assert made(tree(tmp_path, *pets("train", "val", "test"))).notes == ()


def test_each_class_may_be_split(tmp_path: Path) -> None:
    result = made(tree(tmp_path, *(f"{name}/{split}/1.png" for name in ("cat", "dog") for split in ("Train", "test"))))
    assert result.tensors.splits == ("train", "test")
    assert classes(result) == ["cat", "dog"]
    assert result.notes == ("the folders train, test in each class folder are the splits",)


def test_folders_without_images_are_no_splits_and_no_classes(tmp_path: Path) -> None:
    tree(tmp_path, "images/train/1.png", "images/val/2.png")
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "labels" / "train" / "1.txt").write_text("0")
    result = made(tmp_path)
    assert result.tensors.splits == ("train", "val")
    assert classes(result) == []


@pytest.mark.parametrize("names", [("bus", "train"), ("good", "test"), ("train_bus", "train_car"), ("valid", "invalid")])
def test_classes_may_be_called_like_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    assert classes(made(tree(tmp_path, *(f"{name}/1.png" for name in names)))) == sorted(names)


def test_a_class_in_the_splits_may_be_called_test(tmp_path: Path) -> None:
    result = made(tree(tmp_path, "train/cat/1.png", "train/test/1.png", "test/test/1.png"))
    assert classes(result) == ["cat", "test"]
    assert result.tensors.numpy("test/labels").tolist() == [1]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("train", "test", "extra"), "holds split folders beside others"),
        (("seg_train", "seg_test", "seg_pred"), "holds split folders beside others"),
        (("train", "val", "dev"), "several folders for one split"),
        (("trainA", "trainB", "testA"), "several folders for one split"),
        (("val", "test"), "without a train folder"),
        (("test",), "without a train folder"),
    ],
)
def test_what_is_not_certain_is_asked(tmp_path: Path, folders: tuple[str, ...], said: str) -> None:
    assert said in refusal(tree(tmp_path, *pets(*folders)))


def test_split_flags_and_split_folders_exclude_each_other(tmp_path: Path) -> None:
    root = tree(tmp_path, *pets("Train", "valid"))
    assert "is split already, into the folders train, val" in refusal(root, UsageError, split="0.5,0.5")


def test_a_train_folder_alone_may_be_shared_out(tmp_path: Path) -> None:
    result = made(tree(tmp_path, *pets("train")), split="0.5,0.5")
    assert [result.tensors.spec(f"{name}/images").shape[0] for name in ("train", "test")] == [2, 2]


@pytest.mark.parametrize("test", ["test", "Test", "test/test", "test/unknown"])
def test_test_images_without_labels_are_for_the_recipe(tensorize: Command, tmp_path: Path, test: str) -> None:
    root = tree(tmp_path / "my set", *pets("train"), f"{test}/a.png", f"{test}/b.png")
    done = tensorize("images", root, "-o", tmp_path / "a.h5", "--split", "0.5,0.5", "--stratify")
    assert f"note: 2 images of {root / test} left out, which are in no class folder" in done.stdout
    command = done.stdout.splitlines()[-1].strip()
    assert command.startswith("tensorize apply ")
    again = tensorize(*shlex.split(command)[1:])
    assert "2 images" in again.stdout
    assert "there are no class folders: the output has no labels" in again.stdout


def test_python_warns_of_images_without_labels(tmp_path: Path) -> None:
    root = tree(tmp_path, *pets("train"), "test/a.png")
    with pytest.warns(TensorizeWarning, match="1 of .*test left out, for want of a label"):
        ts = tensorize.prepare("images", root)
    assert ts.splits == ("train",)
    assert ts.recipe.apply(root / "test")["images"].shape == (1, 3, 3, 4)


def test_train_images_need_labels_where_others_have_them(tmp_path: Path) -> None:
    assert "train/a.png" in refusal(tree(tmp_path, "train/a.png", *pets("test")))


def test_a_folder_that_is_no_class_is_told_how_to_go_without_labels(tmp_path: Path) -> None:
    recipe = made(tree(tmp_path / "a", *pets("train"))).recipe
    root = tree(tmp_path / "b", "unknown/1.png", "unknown/2.png")
    with pytest.raises(DataError) as caught:
        recipe.apply(root)
    (pattern,) = shlex.split(caught.value.hint.rsplit(": ", 1)[1])
    assert recipe.apply(pattern)["images"].shape == (2, 3, 3, 4)


def test_apply_takes_the_folders_of_any_split(tmp_path: Path) -> None:
    recipe = made(tree(tmp_path / "a", *pets("train", "valid"))).recipe
    assert recipe.apply(tree(tmp_path / "b", *pets("Testing")))["labels"].tolist() == [0, 0, 1, 1]


def test_one_class_of_folders_is_noted(tmp_path: Path) -> None:
    (note,) = made(tree(tmp_path, *pets("PetImages"))).notes
    assert note.startswith("one class, PetImages: its 2 folders are no classes")
    (named,) = shlex.split(note.rsplit("name ", 1)[1])
    assert classes(made(Path(named))) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("names", "label", "first"),
    [(("0", "1", "2", "10"), 2, "10"), (("class_1", "class_2", "class_10"), 1, "class_10"), (("9", "11", "100"), 0, "100")],
)
def test_classes_out_of_the_order_of_their_numbers_are_noted(
    tmp_path: Path, names: tuple[str, ...], label: int, first: str
) -> None:
    result = made(tree(tmp_path, *(f"{name}/1.png" for name in names)))
    assert f'classes are in the order of their names, not of their numbers: label {label} is "{first}"' in result.notes
    assert classes(result)[label] == first


@pytest.mark.parametrize("names", [("0", "1", "9"), ("01", "02", "10"), ("2", "10", "cat"), ("v1", "w2", "w10")])
def test_the_order_of_other_classes_is_plain(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert not any("order" in note for note in made(tree(tmp_path, *(f"{name}/1.png" for name in names))).notes)
