"""The samples: made by their script, byte for byte; and every script that shows a loader."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Command
from PIL import Image

Run = Callable[..., str]

SCRIPTS = [
    "bikes_days",
    "cifar10",
    "custom_layer",
    "digits",
    "houses_table",
    "images_folder",
    "lenet",
    "meter_windows",
    "text_lines",
    "thermometer",
    "transforms_by_hand",
    "two_layer_net",
    "wine_scores",
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module")
def run(forked: Command) -> Run:
    """What a script prints."""

    def run(script: Path, *args: object) -> str:
        done = forked(script, *args, cwd=Path.cwd())
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def remade(run: Run, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("remade")
    run(folder / "make_samples.py", "--folder", made)
    return made


def test_every_script_is_tested(folder: Path) -> None:
    assert sorted(path.stem for path in folder.glob("*.py")) == sorted([*SCRIPTS, "make_samples"])
    page = (folder / "README.md").read_text("utf-8")
    assert [name for name in SCRIPTS if f"`{name}.py`" not in page] == []


@pytest.mark.parametrize("name", ["wine", "bikes", "meter", "houses", "text"])
def test_the_script_makes_the_same_bytes_again(folder: Path, remade: Path, name: str) -> None:
    (path,) = folder.glob(f"{name}-synthetic.*")
    assert (remade / path.name).read_bytes() == path.read_bytes()


def test_the_script_makes_the_same_pictures_again(folder: Path, remade: Path) -> None:
    here = {path.relative_to(folder): path for path in sorted(folder.glob("shapes-synthetic/*/*"))}
    assert len(here) == 24
    assert {path.parent.name for path in here} == {"cross", "disc", "square"}
    for name, path in here.items():
        np.testing.assert_array_equal(np.asarray(Image.open(remade / name)), np.asarray(Image.open(path)), str(name))


def test_fewer_rows_are_the_beginning_of_more_and_another_seed_is_another_file(run: Run, folder: Path, tmp_path: Path) -> None:
    few, many, other = tmp_path / "few", tmp_path / "many", tmp_path / "other"
    run(folder / "make_samples.py", "wine", "--rows", 3, "--folder", few)
    run(folder / "make_samples.py", "wine", "--rows", 70_000, "--folder", many)
    run(folder / "make_samples.py", "wine", "--rows", 3, "--seed", 1, "--folder", other)
    first, long, third = ((path / "wine-synthetic.csv").read_bytes() for path in (few, many, other))
    assert first.count(b"\n") == 4
    assert long.count(b"\n") == 70_001
    assert long.startswith(first)
    assert third.splitlines()[0] == first.splitlines()[0]
    assert third != first


@pytest.mark.parametrize(("sample", "real"), [("wine", "wine/winequality-white.csv"), ("bikes", "bikes/hour.csv")])
def test_the_synthetic_files_have_the_header_of_the_public_ones(folder: Path, data: Path, sample: str, real: str) -> None:
    with (folder / f"{sample}-synthetic.csv").open("rb") as synthetic, (data / real).open("rb") as public:
        assert synthetic.readline() == public.readline()


def test_the_synthetic_bikes_keep_the_rules_of_the_public_file(folder: Path) -> None:
    with (folder / "bikes-synthetic.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    hours = [(row["dteday"], int(row["hr"])) for row in rows]
    assert hours == sorted(set(hours))
    assert 0 < 60 * 24 - len(hours) < 30
    assert [int(row["instant"]) for row in rows] == list(range(1, len(rows) + 1))
    assert all(int(row["cnt"]) == int(row["casual"]) + int(row["registered"]) for row in rows)
    assert all((row["workingday"] == "1") == (row["weekday"] in "12345" and row["holiday"] == "0") for row in rows)


def test_houses_scale_encode_and_apply(run: Run, folder: Path) -> None:
    said = run(folder / "houses_table.py")
    assert "train (320," in said
    assert "test (80," in said
    assert "one new row:" in said


def test_the_wine_exercise_on_the_sample(run: Run, folder: Path) -> None:
    with (folder / "wine-synthetic.csv").open(newline="") as file:
        scores = [int(row["quality"]) for row in csv.DictReader(file, delimiter=";")]
    said = run(folder / "wine_scores.py")
    assert "1000 wines, 11 measurements" in said
    assert f"bad  {sum(score <= 3 for score in scores):5} rows" in said
    assert f"actual {sum(score > 5 for score in scores)}," in said


def test_the_wine_exercise_on_the_public_file(run: Run, folder: Path, data: Path) -> None:
    said = run(folder / "wine_scores.py", data / "wine/winequality-white.csv")
    groups = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert (groups["bad"][0], groups["mid"][0], groups["good"][0]) == ("20", "3818", "1060")
    (sulfur,) = [line for line in said.splitlines() if line.startswith("total sulfur dioxide")]
    assert sulfur.split()[3:] == ["170.60", "141.83", "125.25"]
    assert "predicted 2727, actual 3258, right 2018" in said
    assert "precision 0.7400, recall 0.6194" in said


def test_the_meter_becomes_windows_that_stay_inside_their_split(run: Run, folder: Path) -> None:
    said = run(folder / "meter_windows.py")
    hours = 60 * 24
    train = round(hours * 0.7)
    assert f"train: series ({train - 168 - 24 + 1}, 2, 168), target ({train - 168 - 24 + 1}, 1, 24)" in said
    assert f"test: series ({hours - train - 168 - 24 + 1}, 2, 168)" in said
    assert "one batch: (32, 2, 168) → (32, 1, 24)" in said


def test_the_bikes_become_days_on_the_sample(run: Run, folder: Path) -> None:
    with (folder / "bikes-synthetic.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    said = run(folder / "bikes_days.py")
    assert "days × channels × hours: 60 21 24" in said
    assert f"hours filled: {60 * 24 - len(rows)}" in said
    assert f"bikes hired: {sum(int(row['cnt']) for row in rows)}," in said


def test_the_bikes_become_days_on_the_public_file(run: Run, folder: Path, data: Path) -> None:
    said = run(folder / "bikes_days.py", data / "bikes/hour.csv")
    assert "days × channels × hours: 731 21 24" in said
    assert "hours filled: 165" in said
    assert "bikes hired: 3292679, most at 17 o'clock" in said


def test_a_line_of_text_becomes_characters_and_words_and_comes_back(run: Run, folder: Path) -> None:
    line = (folder / "text-synthetic.txt").read_text("utf-8").splitlines()[5]
    said = run(folder / "text_lines.py")
    assert f"characters × codes: {len(line)} 128" in said
    assert "back: a grey cat forgets the morning" in said


def test_a_line_of_the_public_text_has_its_known_ids(run: Run, folder: Path, data: Path) -> None:
    said = run(folder / "text_lines.py", data / "text/1342-0.txt", 201)
    assert "characters × codes: 70 128" in said
    assert "words × vocabulary: 11 7260" in said
    assert "ids: 3394 4305 813 3394 7078 3315 415 4436 239 7148 3215" in said
    assert "back: impossible mr bennet impossible when i am not acquainted with him" in said


def test_pictures_become_normalised_batches(run: Run, folder: Path) -> None:
    said = run(folder / "images_folder.py")
    assert "images × channels × height × width: 24 3 32 32" in said
    assert "pictures of each class: 8 8 8" in said


def test_the_public_pictures_become_normalised_batches(run: Run, folder: Path, data: Path) -> None:
    said = run(folder / "images_folder.py", data / "images/cats")
    assert "images × channels × height × width: 3 3 256 256" in said
    assert "means: 0.0000 0.0000 0.0000" in said
    assert "stds: 1.0000 1.0000 1.0000" in said
    assert "pictures of each class" not in said


def test_the_transforms_by_hand_run_to_their_end(run: Run, folder: Path) -> None:
    said = run(folder / "transforms_by_hand.py")
    for name in ("one-hot", "z-score", "min-max", "ordinal", "impute", "vocabulary", "fold", "windows"):
        assert f"{name}: " in said


def test_the_thermometer_comes_to_the_same_loss_in_three_ways_and_diverges_on_raw_readings(run: Run, folder: Path) -> None:
    said = run(folder / "thermometer.py")
    losses = re.findall(r"^by (?:hand|autograd|an optimiser): loss ([\d.]+)$", said, re.MULTILINE)
    assert len(losses) == 3
    assert set(losses) == {f"{2.927645:.6g}"}
    assert re.search(r"with the raw readings: the loss is inf in step 1 of epoch \d+; the largest input there is 81.9", said)


def test_the_two_layer_net_comes_to_the_same_loss_by_hand_and_by_autograd(run: Run, folder: Path) -> None:
    said = dict(re.findall(r"^(\w+): loss ([\d.e-]+) after 500 steps$", run(folder / "two_layer_net.py"), re.MULTILINE))
    by_hand = [float(said.pop(way)) for way in ("in_numpy", "in_tensors", "in_autograd", "with_own_relu")]
    assert by_hand == pytest.approx([by_hand[0]] * 4, rel=1e-4)
    assert by_hand[0] < 1e-5
    assert said.keys() == {"as_sequential", "with_optimiser", "as_module", "as_dynamic_net"}
    assert float(said.pop("as_dynamic_net")) < 50
    assert all(float(loss) < 1e-3 for loss in said.values())


def test_the_custom_layer_finds_its_parameters_again(run: Run, folder: Path) -> None:
    w, b = re.findall(r"found w ([\d.]+), b ([\d.]+),", run(folder / "custom_layer.py"))[0]
    assert (float(w), float(b)) == pytest.approx((2.0, 0.5), abs=0.03)


def test_lenet_has_the_shapes_of_the_tutorial_and_a_step_lowers_its_loss(run: Run, folder: Path) -> None:
    said = run(folder / "lenet.py")
    assert said.startswith("10 parameters, 61,706 numbers: (6, 1, 5, 5) (6,) (16, 6, 5, 5)")
    first, second = re.findall(r"loss ([\d.]+)", said)
    assert float(second) < float(first)


@pytest.mark.long
def test_digits_are_told_apart_by_four_models(run: Run, folder: Path, tmp_path: Path) -> None:
    said = run(folder / "digits.py", tmp_path)
    assert len(list(tmp_path.glob("?/*.png"))) == 1797
    right = {name: float(share) for name, share in re.findall(r"^(.+): ([\d.]+)% of 359 test digits$", said, re.MULTILINE)}
    assert right.keys() == {"logistic regression", "three convolutions", "cnn, at 16×16", "LeNet, at 32×32"}
    assert right["cnn, at 16×16"] >= 98
    assert min(right.values()) > 92


@pytest.mark.long
def test_lenet_on_a_share_of_cifar10_runs_by_the_settings_of_the_tutorial(run: Run, folder: Path, data: Path) -> None:
    said = run(folder / "cifar10.py", data / "cifar10/cifar10-images.tar.xz", "--share", 0.1)
    assert "pictures: train 5,000 test 1,000" in said
    first, second = (float(loss) for loss in re.findall(r"^epoch \d: loss ([\d.]+)$", said, re.MULTILINE))
    assert second < first < 2.31
    assert float(re.findall(r"accuracy on 1,000 test pictures: ([\d.]+)%", said)[0]) > 15
    assert said.count("%") == 11
