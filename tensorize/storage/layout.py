"""A layout as plain data, the same in every format: what a reader needs to return exactly what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tensorize.core.contracts import Layout, Role, TensorSpec
from tensorize.core.errors import DataError, UsageError

FORMAT = 1
_ESCAPED = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LONGEST = len("-2.2250738585072014e-308")
Model = TypeVar("Model", bound=BaseModel)


class Tensor(BaseModel):
    """One tensor; `labels` maps an axis to a position in `Plain.names`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    shape: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=8)]
    dtype: Annotated[str, Field(pattern=r"^(float16|float32|float64|u?int(8|16|32|64)|bool)$")]
    axes: tuple[str, ...]
    role: Role
    labels: dict[str, Annotated[int, Field(ge=0)]]
    split: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] | None

    @model_validator(mode="after")
    def _axes_fit(self) -> Self:
        if len(self.axes) != len(self.shape) or not set(self.labels) <= set(self.axes):
            raise ValueError("the axes do not fit the shape or the labels")
        return self


class Plain(BaseModel):
    """A layout without its recipe and texts. Names that several tensors share are stored once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    names: tuple[tuple[str, ...], ...]
    tensors: tuple[Tensor, ...]
    texts: tuple[str, ...]

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        for tensor in self.tensors:
            for axis, at in tensor.labels.items():
                if at >= len(self.names) or len(self.names[at]) not in (0, tensor.shape[tensor.axes.index(axis)]):
                    raise ValueError(f"the labels of {tensor.name} do not fit its axes")
        if len({(tensor.split, tensor.name) for tensor in self.tensors}) < len(self.tensors):
            raise ValueError("a tensor appears twice")
        return self

    @classmethod
    def of(cls, layout: Layout) -> Plain:
        """Return a layout as plain data; lists of labels that tensors share are held once."""
        names = list(dict.fromkeys(labels for spec in layout.tensors for labels in spec.labels.values()))
        at = {labels: index for index, labels in enumerate(names)}
        tensors = [
            Tensor(
                name=spec.name,
                shape=spec.shape,
                dtype=spec.dtype,
                axes=spec.axes,
                role=spec.role,
                labels={axis: at[labels] for axis, labels in spec.labels.items()},
                split=spec.split,
            )
            for spec in layout.tensors
        ]
        return cls(kind=layout.kind, names=tuple(names), tensors=tuple(tensors), texts=tuple(layout.texts))

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors as `TensorSpec`s, in the order of the file."""
        return tuple(
            TensorSpec(
                t.name, t.shape, t.dtype, t.axes, t.role, {axis: self.names[at] for axis, at in t.labels.items()}, t.split
            )
            for t in self.tensors
        )

    def layout(self, recipe: str, texts: Mapping[str, tuple[str, ...]]) -> Layout:
        """The layout that this came from."""
        return Layout(self.kind, self.specs, recipe, texts)


class About(BaseModel):
    """A whole layout as plain data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: str
    recipe: str
    layout: Plain
    texts: dict[str, list[str]]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kind != self.layout.kind or set(self.texts) != set(self.layout.texts):
            raise ValueError("it does not agree with its own layout")
        return self


def to_plain(layout: Layout) -> dict[str, Any]:
    """A whole layout as JSON, for `from_plain`: as long, whatever numbers are in its recipe."""
    texts = {key: [escape(value) for value in values] for key, values in layout.texts.items()}
    plain = Plain.of(layout).model_dump()
    return {"format": FORMAT, "kind": layout.kind, "recipe": padded(layout.recipe), "layout": plain, "texts": texts}


def from_plain(state: Any, path: Any) -> Layout:
    """The layout that `to_plain` was given. Raises DataError that names what does not fit, UsageError for a newer format."""
    about = checked(About, state, path)
    texts = {key: tuple(map(unescape, values)) for key, values in about.texts.items()}
    return about.layout.layout(about.recipe.rstrip(" "), texts)


def padded(recipe: str, least: int = 0) -> str:
    """A recipe followed by blanks, at least `least` characters in all: its length does not depend on its numbers.

    So a file can be laid out and written before the last numbers of its recipe are known.

    >>> len(padded('{"mean":[0.5]}')) == len(padded('{"mean":[0.4829176291]}'))
    True
    """
    blanks = sum(max(_LONGEST - len(found[0]), 0) for found in _NUMBER.finditer(recipe))
    return recipe.ljust(max(len(recipe) + blanks, least))


def parse_json(state: str | bytes, path: Any, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """JSON out of a file; `pairs` makes an object of its names and values. Raises DataError if it is not JSON."""
    try:
        return json.loads(state, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}", hint="see tensorize verify") from None


def checked(model: type[Model], state: Any, path: Any) -> Model:
    """Validated plain data out of a file, with a number `format` if the model has one.

    Raises DataError that names what does not fit, UsageError for a newer format.
    """
    version = state.get("format") if isinstance(state, dict) else None
    if "format" in model.model_fields and type(version) is int and version > FORMAT:
        raise UsageError(
            f"{path} has format {version}; this tensorize reads up to {FORMAT}",
            hint="update it: pip install --upgrade tensorize",
        )
    try:
        return model.model_validate(state)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or model.__name__.lower()
        raise DataError(
            f"{path} was not written by tensorize, or it is damaged: {where}: {first['msg']}", hint="see tensorize verify"
        ) from None


def escape(text: str) -> str:
    r"""Text without control characters and lone surrogates, and back by `unescape`.

    >>> escape("a\x00b"), unescape(escape("a\x00\\b")) == "a\x00\\b"
    ('a\\x00b', True)
    """
    return _ESCAPED.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return r"\\" if char == "\\" else f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def unescape(text: str) -> str:
    """Undo `escape`."""
    return _ESCAPE.sub(lambda match: "\\" if match[0] == r"\\" else chr(int(match[1] or match[2], 16)), text)
