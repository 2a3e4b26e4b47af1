"""Calls in a torch file that make tensors: interpreted, never executed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Any, NoReturn

from tensorize.exporters.pt.pickled import STORAGES

AXES = 64
"""As many as torch allows."""
STORED = {f"torch {name}": dtype for dtype, name in STORAGES.items()} | {
    "torch.storage UntypedStorage": "",
    "torch BFloat16Storage": "bfloat16",
}
_TYPES = {f"torch {dtype}": dtype for dtype in ("uint16", "uint32", "uint64")}
REBUILD, REBUILD_BYTES = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3"
ORDERED = "collections OrderedDict"
KNOWN = {*STORED, *_TYPES, REBUILD, REBUILD_BYTES, ORDERED}
"""All names that are allowed."""


class NotPlainError(ValueError):
    """The pickle holds, or does, something that is refused."""


@dataclass(frozen=True)
class Dense:
    """A tensor, (axis, …) of `dtype`: the whole of the storage `data/NUMBER` in C order, unless views were allowed."""

    storage: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Global:
    """What is named: a class or a function, which is never looked up."""

    name: str


@dataclass(frozen=True)
class Storage:
    """The bytes that lie in `data/KEY`: `count` numbers of `dtype`; of bytes where that is empty."""

    key: str
    dtype: str
    count: int


HOOKS = object()
"""An empty OrderedDict: the hooks that no tensor of ours has."""


@dataclass(frozen=True)
class _Strided:
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def is_dense(self) -> bool:
        """Whether it starts with its storage and is in C order."""
        dense = tuple(accumulate((max(size, 1) for size in self.shape[:0:-1]), mul, initial=1))[::-1]
        return not self.offset and (not self.count or not self.shape or self.strides == dense)

    @property
    def stop(self) -> int:
        """The position after its last number in the storage."""
        reach = sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        return self.offset + reach + 1 if self.count else 0


def _told(has_type: bool, arguments: tuple[Any, ...]) -> tuple[Storage, _Strided, str]:
    """(storage, how it is gone through, dtype) of the call that makes a tensor."""
    storage, offset, shape, strides, gradient, hooks, *rest = arguments
    named = rest.pop(0) if has_type else None
    if not isinstance(storage, Storage) or hooks is not HOOKS or gradient is not False or rest:
        raise NotPlainError("it holds a tensor with a gradient or hooks")
    dtype = _TYPES[named.name] if isinstance(named, Global) else storage.dtype
    if not dtype or bool(storage.dtype) == has_type:
        raise NotPlainError("it holds a tensor of an unknown type")
    for sizes in ((offset,), shape, strides):
        if not isinstance(sizes, tuple) or len(sizes) > AXES or not all(type(n) is int and 0 <= n < 1 << 62 for n in sizes):
            raise NotPlainError("it holds a tensor whose shape is none")
    if len(shape) != len(strides):
        raise NotPlainError("it holds a tensor whose shape is none")
    return storage, _Strided(offset, shape, strides), dtype


def dense(arguments: tuple[Any, ...], has_type: bool, views: bool) -> Dense:
    """The tensor that a call with these arguments makes; `has_type` where one of them names its type.

    Raises NotPlainError if it exceeds its storage, or, unless `views`, is only a part of it.
    """
    storage, told, dtype = _told(has_type, arguments)
    there = storage.count if storage.dtype else storage.count // (int(dtype[4:]) // 8)
    if views and told.count <= there and told.stop <= there:
        return Dense(storage.key, dtype, told.shape)
    if told.count != there or not told.is_dense:
        raise NotPlainError("it holds a view: a tensor that is not its whole storage, row by row")
    return Dense(storage.key, dtype, told.shape)


def check_plain(value: Any) -> None:
    """Raise NotPlainError if it is not a value, such as a name to be called."""
    if isinstance(value, tuple):
        for part in value:
            check_plain(part)
    elif value is not None and not isinstance(value, str | int | float | Dense):
        refuse_value(value)


def refuse_value(value: Any) -> NoReturn:
    """Raise NotPlainError that names the type of `value`, or the pickled global."""
    said = value.name if isinstance(value, Global) else type(value).__name__.strip("_").lower()
    raise NotPlainError(f"it holds {said}, and only dense tensors and plain data are read")
