"""A loader of a plug-in whose samples have two inputs, `features` and `image`, and two targets, `kind` and `size`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from tensorize.core.contracts import Facts, Learned, Piece, Plan, Run, TensorSpec
from tensorize.core.errors import UsageError
from tensorize.core.options import Options
from tensorize.core.recipe import Recipe
from tensorize.core.schema import Schema
from tensorize.core.tensorset import TensorSet

KINDS = ("round", "square")
SPLITS = ("train", "val", "test")


class PairsOptions(Options):
    """What to make of pairs."""

    split: bool = Field(False, description="Cut the rows into train, val and test, 2:1:1, in source order.")

    def for_apply(self) -> PairsOptions:
        return self.model_copy(update={"split": False})


@dataclass(frozen=True)
class PairsRows:
    """`x` (row, feature), `image` (row, height, width), `kind` (row) and `size` (row); targets may be missing."""

    columns: Mapping[str, np.ndarray]
    schema: Schema = field(default_factory=Schema)

    @property
    def facts(self) -> Facts:
        return Facts("pairs", shape=f"{len(self.columns['x'])} pairs")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


class Pairs:
    """A mapping, or a .json file that holds one: numbers and a picture for each row."""

    Options: ClassVar[type[Options]] = PairsOptions

    def open(self, source: Any, options: PairsOptions, run: Run, schema: Schema | None = None) -> PairsRows:
        raw = json.loads(Path(source).read_text()) if isinstance(source, str | Path) else source
        return PairsRows({name: np.asarray(values) for name, values in raw.items()})

    def learn(self, rows: PairsRows, options: PairsOptions, run: Run) -> Plan:
        """The mean and std of each feature of the train rows, and the two kinds."""
        train = rows.columns["x"][next(iter(cut(len(rows.columns["x"]), options.split).values()))]
        state = {"mean": train.mean(axis=0).tolist(), "std": train.std(axis=0, ddof=1).tolist()}
        classes = Learned("classes", "kind", {"classes": list(KINDS)}, "target")
        return self.plan(rows, options, run, (Learned("scale", "features", state), classes))

    def plan(self, rows: PairsRows, options: PairsOptions, run: Run, learned: Sequence[Learned]) -> Plan:
        split = cut(len(rows.columns["x"]), options.split)
        specs = [spec for name, at in split.items() for spec in specs_of(rows, name, at)]
        return Plan(tuple(learned), tuple(specs), state=(split, learned[0].state))

    def apply(self, plan: Plan, rows: PairsRows, run: Run) -> Iterator[Piece]:
        split, scale = plan.state
        for name, at in split.items():
            x = (rows.columns["x"][at] - np.array(scale["mean"])) / np.array(scale["std"])
            values = {"features": x.astype(np.float32), "image": rows.columns["image"][at, None].astype(np.uint8)}
            if "kind" in rows.columns:
                values |= {"kind": np.searchsorted(KINDS, rows.columns["kind"][at]).astype(np.int64)}
                values |= {"size": rows.columns["size"][at].astype(np.float32)}
            yield Piece(name or None, {**values, "row": np.arange(at.start, at.stop)})

    def finish(self, plan: Plan, found: Any) -> Plan:
        return plan

    def batch(self, recipe: Recipe, stored: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """`features` as stored, `image` as float32 from 0 to 1; `kind` and `size`."""
        inputs = {"features": stored["features"], "image": stored["image"].float() / 255}
        return inputs, {name: stored[name] for name in ("kind", "size") if name in stored}

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        raise UsageError("pairs have no inverse")


def cut(rows: int, split: bool) -> dict[str, slice]:
    """Split name → its rows; "" for all of them where there is no split."""
    edges = [0, rows // 2, rows * 3 // 4, rows]
    return {name: slice(*edges[i : i + 2]) for i, name in enumerate(SPLITS)} if split else {"": slice(0, rows)}


def specs_of(rows: PairsRows, split: str, at: slice) -> list[TensorSpec]:
    count, features = at.stop - at.start, rows.columns["x"].shape[1]
    axes = ("row", "channel", "height", "width")
    names = {"feature": tuple(f"x{i}" for i in range(features))}
    specs = [
        TensorSpec("features", (count, features), "float32", ("row", "feature"), "input", names, split or None),
        TensorSpec("image", (count, 1, *rows.columns["image"].shape[1:]), "uint8", axes, "input", {}, split or None),
    ]
    if "kind" in rows.columns:
        specs.append(TensorSpec("kind", (count,), "int64", ("row",), "target", {}, split or None))
        specs.append(TensorSpec("size", (count,), "float32", ("row",), "target", {}, split or None))
    return [*specs, TensorSpec("row", (count,), "int64", ("row",), "meta", {}, split or None)]


class Both(nn.Module):
    """Takes both inputs by name, gives both targets by name. Built from shapes by name."""

    def __init__(self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, int], width: int = 16) -> None:
        super().__init__()
        channels, height, width_ = inputs["image"]
        self.features = nn.Linear(inputs["features"][0], width)
        self.image = nn.Linear(channels * height * width_, width)
        self.heads = nn.ModuleDict({name: nn.Linear(width, count) for name, count in outputs.items()})

    def forward(self, features: Tensor, image: Tensor) -> dict[str, Tensor]:
        """(row, feature) and (row, channel, height, width) → a tensor (row, output) for each target."""
        hidden = (self.features(features) + self.image(image.flatten(1))).relu()
        return {name: head(hidden) for name, head in self.heads.items()}


class InOrder(Both):
    """The same, with the targets as a tuple in order."""

    def forward(self, features: Tensor, image: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return tuple(super().forward(features, image).values())


def raw(rows: int = 64) -> dict[str, Any]:
    """`kind` follows from the picture, `size` from the numbers."""
    draws = np.random.default_rng(0)
    x, image = draws.normal(size=(rows, 3)) * [1, 10, 100], draws.integers(0, 256, (rows, 4, 4))
    kind = np.where(image[:, :2].mean(axis=(1, 2)) > image[:, 2:].mean(axis=(1, 2)), *KINDS)
    size = 1000 + x @ np.array([30.0, 2.0, 0.1])
    return {"x": x.tolist(), "image": image.tolist(), "kind": kind.tolist(), "size": size.tolist()}
