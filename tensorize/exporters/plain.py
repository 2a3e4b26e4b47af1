"""A layout as plain data, the same in every format: what a reader needs to give back exactly what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tensorize.errors import DataError
from tensorize.types import Layout, Role, TensorSpec

FORMAT = 1
_ESCAPED = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))")


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


class Plain(BaseModel):
    """A layout without its recipe and texts. Names that several tensors share stand once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    names: tuple[tuple[str, ...], ...]
    tensors: tuple[Tensor, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, layout: Layout) -> Plain:
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

    def layout(self, recipe: str, texts: Mapping[str, tuple[str, ...]]) -> Layout:
        """The layout that this came from."""
        specs = [
            TensorSpec(
                t.name, t.shape, t.dtype, t.axes, t.role, {axis: self.names[at] for axis, at in t.labels.items()}, t.split
            )
            for t in self.tensors
        ]
        return Layout(self.kind, tuple(specs), recipe, texts)


def parse(state: Any, path: Any) -> Plain:
    """Validate plain data out of a file. Raises DataError that names what does not fit."""
    try:
        plain = Plain.model_validate(json.loads(state) if isinstance(state, str | bytes) else state)
        for tensor in plain.tensors:
            if max(tensor.labels.values(), default=-1) >= len(plain.names) or len(tensor.axes) != len(tensor.shape):
                raise DataError(f"{path} is damaged: tensor {tensor.name} has labels or axes that do not fit")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path} is damaged: {where}: {first['msg']}", hint="see tensorize verify") from None
    return plain


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
