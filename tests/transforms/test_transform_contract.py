"""Every registered transform keeps the contract: they are found in the registry, and so is a new one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tensorize import prepare
from tensorize.core import registry
from tensorize.core.errors import RecipeError, UsageError
from tensorize.testing import COLUMNS, TransformContract, learned
from tensorize.transforms.former import FORMER
from tensorize.transforms.lookup import build, find

for name in registry.TRANSFORMS:
    made = type(f"Test{find(name).__name__}", (TransformContract,), {"transform": find(name)})
    globals()[made.__name__] = made


@pytest.mark.parametrize("name", FORMER)
def test_a_step_of_an_older_recipe_is_found_by_the_name_of_its_module(name: str) -> None:
    params = {"Ordinal": {"order": "1<2<3"}}.get(name, {})
    column = COLUMNS["number"]
    statistic = FORMER[name].statistic(params)
    while statistic is not None:
        done = statistic.update(FORMER[name].observe(column))
        statistic = done.again()
    step = FORMER[name].learn(None if name == "Ordinal" else done, params)
    again = build(name, {"name": name, "state": step.state})
    assert again == step
    assert again.encode(column).tolist() == step.encode(column).tolist()
    assert name not in registry.table("transforms")


def test_zscore_and_minmax_of_older_recipes_have_the_bits_of_todays() -> None:
    column = COLUMNS["number"]
    for former, name in (("ZScore", "zscore"), ("MinMax", "minmax")):
        statistic = FORMER[former].statistic({}).update(FORMER[former].observe(column))
        today = learned(find(name), column, "number").encode(column)
        assert FORMER[former].learn(statistic, {}).encode(column).tolist() == today.tolist()


@pytest.mark.parametrize("name", ["fold", "windows", "vocabulary"])
def test_a_transform_of_tensors_is_no_step_of_a_column(name: str) -> None:
    with pytest.raises(UsageError, match="a step does not fit its column") as caught:
        prepare("table", {"a": [1.0, 2.0]}, step=f"{name}:a")
    assert "whole tensors, in scripts" in caught.value.details[0]


def test_a_step_that_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match='there is no transform "clip"'):
        build("clip", {"low": 0})
    with pytest.raises(RecipeError, match='step "zscore" is wrong'):
        build("zscore", {"low": 0})


class OfAnotherVersion:
    """What a plug-in registered for an earlier version."""


def test_a_plug_in_of_another_version_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, known = registry.Entry("old", f"{__name__}:OfAnotherVersion", "", "somebody"), registry.table
    monkeypatch.setattr(registry, "table", lambda group: {**known(group), "old": entry})
    with pytest.raises(UsageError, match='"old" of somebody is not') as caught:
        find("old")
    assert caught.value.hint == "update the plug-in: pip install --upgrade somebody"


def test_columns_are_encoded_without_torch() -> None:
    code = (
        "import sys; from tensorize.transforms.lookup import build; import tensorize.columns.learning, pyarrow as pa;"
        "build('zscore', {'mean': 1, 'std': 2}).encode(pa.array([1.0])); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
