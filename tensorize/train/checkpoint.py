"""A trained model as one file of plain data and tensors, which appears whole or not at all; and what happened in training."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from tensorize.core.errors import DataError, UsageError
from tensorize.core.recipe import Recipe
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.pt.objects import load_objects, save_objects
from tensorize.look.doors import MODEL, made_by_us
from tensorize.train.named import build_model
from tensorize.train.parts import Shape, mapped
from tensorize.train.settings import Settings
from tensorize.train.task import TASKS, Task


@dataclass(frozen=True)
class Epoch:
    """One epoch: the mean loss over its steps, the learning rate at its end, and what val said.

    `val` holds `loss` and the metrics of the task; it is empty where there is no validation part.
    """

    number: int
    loss: float
    lr: float
    seconds: float
    val: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return the epoch that `to_json` wrote."""
        return cls(**state)


@dataclass(frozen=True)
class TrainingFacts:
    """What was trained on what, for a summary. `trivial` are the scores of a trivial predictor on val."""

    model: str
    parameters: int
    device: str
    rows: Mapping[str, int]
    trivial: Mapping[str, float | None] = field(default_factory=dict)
    trivial_is: str = ""


@dataclass(frozen=True)
class History(Sequence[Epoch]):
    """The epochs of a run, those before a `--resume` included; the notes; and the checkpoint that came of it."""

    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]
    facts: TrainingFacts
    checkpoint: Checkpoint = field(repr=False)

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, index: Any) -> Any:
        return self.epochs[index]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept: the best on val, by the loss or the metric; the last one where there is no val."""
        return best_of(self.epochs, self.checkpoint.settings.best_by)


def best_of(epochs: Sequence[Epoch], by: str) -> Epoch:
    """The epoch whose weights are kept: the first of those with the lowest loss, or the best metric."""
    judged = [epoch for epoch in epochs if epoch.val]
    return min(judged, key=lambda epoch: _badness(epoch.val, by)) if judged else epochs[-1]


def _badness(val: Mapping[str, float], by: str) -> float:
    if by == "loss":
        return val["loss"]
    return -val["accuracy"] if "accuracy" in val else val["mae"]


VERSION, SEVERAL, FIRST = 3, 2, 1
"""The newest format, of outputs with a link of their own; that of several inputs or targets; and that of one of each."""
_FROM = "a model comes from: tensorize train FILE -o model.pt"
KEY = "tensorize_model"


@dataclass(frozen=True)
class Checkpoint:
    """A model and everything that is needed to use it on raw data, or to train it on.

    `model` is a registered name or `package.module:Class`, None for a module that was handed to `fit`; `options` are its
    keywords. `inputs` is the shape of one row (axis sizes without the row's), `outputs` the number of outputs; both are by
    name where there are several.
    `state` are the weights to use: those of the best epoch. `resume` holds the last weights, the optimiser's and the random
    state, and `epochs` what happened. `split_rows` is the number of rows that `fit` split itself, 0 if the file had a split.
    """

    model: str | None
    options: Mapping[str, Any]
    inputs: Shape
    outputs: int | Mapping[str, int]
    task: Task
    settings: Settings
    recipe_json: str
    split_rows: int
    state: Mapping[str, Any]
    epochs: tuple[Epoch, ...] = ()
    resume: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def recipe(self) -> Recipe:
        """How raw data become this model's input."""
        return Recipe.from_json(self.recipe_json)

    def build(self, module: nn.Module | None = None) -> nn.Module:
        """The model with its weights, ready to predict; into `module`, where it was one that `fit` was handed.

        Raises UsageError if that is needed, or the weights do not fit it.
        """
        if module is not None:
            made = module
        elif self.model is not None:
            made = build_model(self.model, self.inputs, self.outputs, self.options)
        else:
            raise UsageError("this checkpoint is of a module that was handed to fit", hint="say checkpoint.build(module)")
        try:
            made.load_state_dict(self.state)
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines()[1:]]
            raise UsageError(f"the weights are those of another model than {type(made).__name__}", lines[:5]) from None
        return made.eval()

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the file. Raises UsageError if it exists, unless `force`; RunError if it cannot be written."""
        save_objects(Path(path), self._to_plain(), force=force)
        return Path(path)

    @property
    def _version(self) -> int:
        if self.task.linked:
            return VERSION
        return SEVERAL if isinstance(self.inputs, Mapping) or isinstance(self.outputs, Mapping) else FIRST

    def _to_plain(self) -> dict[str, Any]:
        """Only what `torch.load(weights_only=True)` opens, on a machine without the device too."""
        return {
            KEY: self._version,
            "model": self.model,
            "options": _plain(self.options),
            "inputs": mapped(list, self.inputs) if isinstance(self.inputs, Mapping) else list(self.inputs),
            "outputs": dict(self.outputs) if isinstance(self.outputs, Mapping) else self.outputs,
            "task": {"kind": self.task.kind, **self.task.to_json()},
            "settings": _plain(self.settings.model_dump(mode="json")),
            "recipe": self.recipe_json,
            "split_rows": self.split_rows,
            "state": _on_cpu(self.state),
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "resume": _on_cpu(self.resume),
        }

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a checkpoint, onto the CPU. Raises DataError for a file that is none, UsageError for a newer version."""
        raw = _read(Path(path))
        if raw[KEY] > VERSION:
            raise UsageError(
                f"{path} has version {raw[KEY]}; this tensorize reads up to version {VERSION}",
                hint="update it: pip install --upgrade tensorize",
            )
        try:
            task = dict(raw["task"])
            kind = TASKS[task.pop("kind")]
            return cls(
                raw["model"],
                raw["options"],
                mapped(tuple, raw["inputs"]),
                raw["outputs"],
                kind.from_json(task),
                Settings.parse(raw["settings"]),
                raw["recipe"],
                raw["split_rows"],
                raw["state"],
                tuple(Epoch.from_json(epoch) for epoch in raw["epochs"]),
                raw["resume"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged: {error}") from None


def _read(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        from tensorize.sources.files import missing_file

        raise missing_file(path)
    try:
        raw = load_objects(path)
    except DataError:
        raise
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise _not_a_model(path, f", or is damaged: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get(KEY), int):
        raise _not_a_model(path)
    return raw


def _not_a_model(path: Path, said: str = "") -> DataError:
    """The error for a file that is something else of ours, or no model that can be read."""
    sign = made_by_us(path)
    if sign is not None and sign.what != MODEL:
        return DataError(f"{path} is {sign.what}, not a model", hint=_FROM)
    return DataError(f"{path} is no model of tensorize{said}", hint=_FROM)


def _plain(value: Any) -> Any:
    """Tuples as lists, so that what is read back is what was written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _on_cpu(value: Any) -> Any:
    """The tensors of a state moved to the CPU, wherever they stand in it; one that is there is not copied."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: _on_cpu(part) for key, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value


def resumed(
    path: Path | None,
    data: TensorSet,
    model: str | nn.Module | None,
    options: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> Checkpoint:
    """The checkpoint at `path`. What was given beside it has to be what it was made with.

    Raises UsageError that names everything that is not.
    """
    if path is None or not path.exists():
        raise UsageError(f"there is no checkpoint {path or ''} to go on from", hint="leave --resume away to start one")
    found = Checkpoint.load(path)
    differ = [*_model_differs(found, model, options), *_settings_differ(found.settings, settings)]
    if found.recipe != data.recipe:
        differ.append("the file was prepared by another recipe")
    if differ:
        raise UsageError(f"{path} comes from another run", differ, "say what it was made with, or train anew without --resume")
    return found


def _model_differs(found: Checkpoint, model: str | nn.Module | None, options: Mapping[str, Any] | None) -> list[str]:
    given = model if isinstance(model, str) or model is None else type(model).__name__
    lines = []
    if found.model is None and not isinstance(model, nn.Module):
        lines.append("its model is a module that was handed to fit: hand it in again")
    if found.model is not None and given is not None and given != found.model:
        lines.append(f"the model is {found.model}, not {given}")
    lines += [
        f"{key} is {found.options.get(key)}, not {value}"
        for key, value in (options or {}).items()
        if found.options.get(key) != value
    ]
    return lines


def _settings_differ(found: Settings, given: Mapping[str, Any]) -> list[str]:
    wanted = Settings.parse({**found.model_dump(), **given})
    before, now = found.model_dump(), wanted.model_dump()
    return [f"{key.replace('_', '-')} is {before[key]}, not {now[key]}" for key in before if before[key] != now[key]]
