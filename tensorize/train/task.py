"""What is predicted: classes or numbers, told from the targets of the train rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from tensorize.core import registry
from tensorize.core.contracts import BLOCK_ROWS, Array, TensorSpec, traits_of
from tensorize.core.errors import UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.statistics.moments import Moments
from tensorize.transforms.lookup import build


def on_simplex(values: Tensor) -> Tensor:
    """The probabilities (row, class) that are nearest to numbers (row, class), in squared distance.

    Source: Duchi et al., "Efficient projections onto the l1-ball", 2008.

    >>> on_simplex(torch.tensor([[0.25, 0.75], [1.5, 0.5]])).tolist()
    [[0.25, 0.75], [1.0, 0.0]]
    """
    ordered = values.sort(dim=1, descending=True).values
    count = torch.arange(1, values.shape[1] + 1, device=values.device, dtype=values.dtype)
    taken = (ordered.cumsum(dim=1) - 1) / count
    above = (ordered > taken).sum(dim=1, keepdim=True) - 1
    return (values - taken.gather(1, above)).clamp(min=0)


CLASS_LINKS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda scores: scores.softmax(dim=1),
    "sigmoid": lambda scores: torch.nn.functional.normalize(scores.sigmoid(), p=1.0, dim=1),
    "identity": on_simplex,
}
"""How the scores of a model (row, class) become probabilities: by what its loss takes them for."""
NUMBER_LINKS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda output: output,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "margin": lambda output: torch.tanh(output / 2),
}
"""How the outputs of a model (row, …) become predictions: by what its loss takes them for."""


@dataclass(frozen=True)
class Classes:
    """One of several classes; the model gives a score for each. `counts` are their train rows.

    `one_hot` tells how the target is stored: (row, class) float32, or (row) int64. `as_numbers` is for a loss that
    compares every output with a number: it gets the one-hot target. `link` is one of `CLASS_LINKS`.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    column: str = "class"
    one_hot: bool = False
    as_numbers: bool = False
    link: str = "softmax"

    kind: ClassVar[str] = "classes"
    loss: ClassVar[str] = "CrossEntropyLoss"

    @property
    def outputs(self) -> int:
        """The number of classes: outputs of the model."""
        return len(self.names)

    @property
    def linked(self) -> bool:
        """Whether the outputs have another link than the default."""
        return self.link != type(self).link

    def ready(self, target: Tensor) -> Tensor:
        """The stored target as the loss takes it: (row) int64, or (row, class) float32."""
        return target if self.as_numbers else self.truth(target)

    def truth(self, target: Tensor) -> Tensor:
        """The stored target as a class index, (row) int64."""
        return target.argmax(dim=1) if self.one_hot else target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, class) of any float type → float32, as the loss takes it."""
        return output.float()

    def read(self, output: Tensor) -> Tensor:
        """(row, class) → probabilities (row, class) float32."""
        return CLASS_LINKS[self.link](output.float())

    @property
    def weights(self) -> Tensor:
        """(class) float32: rows / (classes × rows of the class), over the classes that train has; 0 for the others."""
        counts = torch.tensor(self.counts, dtype=torch.float64)
        there = counts > 0
        return torch.where(there, counts.sum() / (there.sum() * counts.clamp(min=1)), 0.0).float()

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return _without_default_link(self, {**asdict(self), "names": list(self.names), "counts": list(self.counts)})

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return the task that `to_json` wrote."""
        _check_link(state, CLASS_LINKS)
        return cls(**{**state, "names": tuple(state["names"]), "counts": tuple(state["counts"])})


@dataclass(frozen=True)
class Numbers:
    """Numbers of the shape `shape` for each row: () one, (target), or (target, step) for windows.

    `mean` and `std` are those of the train rows, one for each target; with `scaled` the model is trained on
    (target − mean) / std, and read back. `link` is one of `NUMBER_LINKS`.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scaled: bool = True
    link: str = "identity"

    kind: ClassVar[str] = "numbers"
    loss: ClassVar[str] = "MSELoss"

    @property
    def outputs(self) -> int:
        """The number of outputs of the model: targets × steps."""
        return math.prod(self.shape)

    @property
    def linked(self) -> bool:
        """Whether the outputs have another link than the default."""
        return self.link != type(self).link

    def ready(self, target: Tensor) -> Tensor:
        """The stored target (row, …) as the loss takes it: float32, scaled."""
        if not self.scaled:
            return target
        mean, std = self._moments(target)
        return ((target - mean) / std).float()

    def truth(self, target: Tensor) -> Tensor:
        """The stored target (row, …), unchanged."""
        return target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) of the target's shape, float32."""
        return output.float().reshape(-1, *self.shape)

    def read(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) float32 in the file's numbers."""
        shaped = NUMBER_LINKS[self.link](self.shaped(output))
        if not self.scaled:
            return shaped
        mean, std = self._moments(shaped)
        return (shaped * std + mean).float()

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std that broadcast over (row, …): float64, float32 on devices that have nothing wider."""
        dtype = torch.float32 if values.device.type == "mps" else torch.float64
        shape = (len(self.mean), *(1 for _ in self.shape[1:])) if self.shape else ()
        mean, std = (torch.tensor(part, dtype=dtype, device=values.device).reshape(shape) for part in (self.mean, self.std))
        return mean, std

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        state = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return _without_default_link(self, state)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return the task that `to_json` wrote."""
        _check_link(state, NUMBER_LINKS)
        lists = {key: tuple(value) for key, value in state.items() if key not in ("scaled", "link")}
        return cls(**lists, scaled=bool(state["scaled"]), link=state.get("link", cls.link))


def _without_default_link(task: Classes | Numbers, state: dict[str, Any]) -> dict[str, Any]:
    """A model whose link is the default reads as before there were links."""
    return {key: value for key, value in state.items() if key != "link" or value != type(task).link}


def _check_link(state: Mapping[str, Any], links: Mapping[str, Any]) -> None:
    if "link" in state and state["link"] not in links:
        raise ValueError(f"there is no link {state['link']!r}")


One = Classes | Numbers
Loss = Callable[[Any, Any], Tensor]
"""(output, target) as the task shapes them → (); dicts by name where there are several targets."""


@dataclass(frozen=True)
class Targets:
    """Several targets of a row by name, each a task of its own. Targets are dicts by name.

    A model gives its outputs as a mapping by name, or as a tuple in this order.
    """

    parts: Mapping[str, One]

    kind: ClassVar[str] = "targets"

    @property
    def outputs(self) -> dict[str, int]:
        """The number of outputs for each target."""
        return {name: part.outputs for name, part in self.parts.items()}

    def by_name(self, output: Any) -> dict[str, Tensor]:
        """What a model gave, (row, output) for each target. Raises KeyError, TypeError or ValueError where one lacks."""
        named = output if isinstance(output, Mapping) else dict(zip(self.parts, output, strict=True))
        return {name: named[name] for name in self.parts}

    def ready(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each stored target (row, …) as its loss takes it."""
        return {name: part.ready(targets[name]) for name, part in self.parts.items()}

    def truth(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each stored target (row, …) as its metrics take it."""
        return {name: part.truth(targets[name]) for name, part in self.parts.items()}

    def shaped(self, output: Any) -> dict[str, Tensor]:
        """Each output (row, …) as its loss takes it."""
        found = self.by_name(output)
        return {name: part.shaped(found[name]) for name, part in self.parts.items()}

    def read(self, output: Any) -> dict[str, Tensor]:
        """Each output as probabilities (row, class), or (row, …) in the file's numbers."""
        found = self.by_name(output)
        return {name: part.read(found[name]) for name, part in self.parts.items()}

    @property
    def linked(self) -> bool:
        """Whether an output has another link than the default."""
        return any(part.linked for part in self.parts.values())

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor, each part with its kind."""
        return {"parts": {name: {"kind": part.kind, **part.to_json()} for name, part in self.parts.items()}}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises KeyError if a kind is not known."""
        parts = {name: dict(part) for name, part in state["parts"].items()}
        return cls({name: ONES[part.pop("kind")].from_json(part) for name, part in parts.items()})


Task = One | Targets
ONES: Mapping[str, type[Classes] | type[Numbers]] = {"classes": Classes, "numbers": Numbers}
TASKS: Mapping[str, type[Classes] | type[Numbers] | type[Targets]] = {**ONES, "targets": Targets}


def task_of(train: TensorSet, target_scale: str) -> Task:
    """The task of the train rows, told from the targets alone. Raises UsageError if the set has none."""
    specs = train.by_role("target")
    if not specs:
        raise _no_target(train)
    target: Any = train.batch(slice(0, 1))[1]
    scaled = target_scale == "zscore"
    if not isinstance(target, Mapping):
        return _task_of_one(train, specs[0], tuple(target.shape[1:]), scaled)
    return Targets(
        {name: _task_of_one(train, train.spec(name), tuple(x.shape[1:]), scaled, name) for name, x in target.items()}
    )


def _task_of_one(train: TensorSet, spec: TensorSpec, shape: tuple[int, ...], scaled: bool, of: str | None = None) -> One:
    """The task of a target; `of` is its name where there are several. `shape` is that of one row as it is trained."""
    if spec.axes[-1] == "class" or np.dtype(spec.dtype).kind == "i":
        return _classes(train, spec, of)
    return _numbers(train, spec, shape, scaled, of)


def _no_target(train: TensorSet) -> UsageError:
    """The error for a set with nothing to predict, with the way to make one for its kind."""
    hint = traits_of(train.recipe.loader).target_hint
    return UsageError(f"this file of {train.kind} has no target to train for", hint=hint)


def _classes(train: TensorSet, spec: TensorSpec, of: str | None) -> Classes:
    one_hot = spec.axes[-1] == "class"
    counts = np.zeros(spec.shape[1] if one_hot else 0, dtype=np.int64)
    for block in stored_blocks(train, spec):
        found = block.sum(axis=0).astype(np.int64) if one_hot else np.bincount(block)
        counts = np.pad(counts, (0, max(0, len(found) - len(counts))))
        counts[: len(found)] += found
    column, names = _class_names(train, of)
    names = names or tuple(map(str, range(len(counts))))
    if len(names) < 2:
        raise UsageError(f'there is one class, "{names[0]}", and nothing to tell it from', hint="a model needs two classes")
    return Classes(names, tuple(np.pad(counts, (0, len(names) - len(counts))).tolist()), column, one_hot)


def _class_names(train: TensorSet, of: str | None) -> tuple[str, tuple[str, ...]]:
    """The column and its categories, as the recipe has them; empty if it has none."""
    for step in train.recipe.learned:
        if of not in (None, step.of):
            continue
        if step.role == "target" and "classes" in step.state:
            return of or "class", tuple(map(str, step.state["classes"]))
        if step.role == "target" and step.step in registry.table("transforms"):
            transform = build(step.step, step.state)
            if transform.categorical:
                return step.of, tuple(map(str, transform.values() or ()))
    return of or "class", ()


def _numbers(train: TensorSet, spec: TensorSpec, shape: tuple[int, ...], scaled: bool, of: str | None) -> Numbers:
    learned = tuple(step.of for step in train.recipe.learned if step.role == "target" and of in (None, step.of))
    names = spec.labels.get("target") or learned or (spec.name,)
    moments = [Moments() for _ in names]
    for block in stored_blocks(train, spec):
        flat = by_target(block, spec).astype(np.float64)
        moments = [found.update(flat[:, index]) for index, found in enumerate(moments)]
    return Numbers(names, shape, tuple(found.mean for found in moments), tuple(found.std() or 1.0 for found in moments), scaled)


def by_target(block: Array, spec: TensorSpec) -> Array:
    """(row), (row, target), (row, target, step) or (step, target) → (value, target)."""
    if "target" not in spec.axes:
        return block.reshape(-1, 1)
    at = spec.axes.index("target")
    return np.moveaxis(block, at, -1).reshape(-1, spec.shape[at])


def stored_blocks(tensors: TensorSet, spec: TensorSpec) -> Iterator[Array]:
    """Yield the stored values of a tensor, (row, …) in its dtype, at most `BLOCK_ROWS` rows at a time."""
    for start in range(0, spec.shape[0], BLOCK_ROWS):
        yield tensors.store.read(spec.key, start, min(start + BLOCK_ROWS, spec.shape[0]))
