"""A dict of tensors and plain data as the pickle that `torch.load(weights_only=True)` reads, written without torch.

Importing torch takes longer than most files take to write. What torch's own `torch.save` writes for a dense tensor is a
call of `torch._utils._rebuild_tensor_v2` with a storage that the archive holds under `data/NUMBER`; the opcodes below are
the same. Everything plain goes through `pickle` itself. Formats: `torch/serialization.py`, and `pickletools` for the opcodes.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from tensorize.core.contracts import TensorSpec

STORAGES = {
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "int8": "CharStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
"""The types that have a storage of their own; the others are bytes that say their type."""
PROTOCOL = 2


def pickled(tensors: Sequence[TensorSpec], key: str, about: Any) -> bytes:
    """`{spec.key: tensor, …, key: about}`; the numbers of tensor `i` are expected in the member `data/i`.

    `about` is JSON: dicts, lists, strings, numbers.
    """
    items = b"".join(_plain(spec.key) + _tensor(spec, index) for index, spec in enumerate(tensors))
    # Through JSON, since pickle writes a string that is met twice as a reference: equal files need equal identities.
    last = _plain(key) + _plain(json.loads(json.dumps(about)))
    return pickle.PROTO + bytes([PROTOCOL]) + pickle.EMPTY_DICT + pickle.MARK + items + last + pickle.SETITEMS + pickle.STOP


def _plain(value: Any) -> bytes:
    """Plain data, without the opcodes that start and end a pickle."""
    return pickle.dumps(value, PROTOCOL)[2:-1]


def _tensor(spec: TensorSpec, index: int) -> bytes:
    """`_rebuild_tensor(storage, offset, shape, stride, requires_grad, hooks[, dtype])`."""
    own = STORAGES.get(spec.dtype)
    kind = _global("torch", own) if own else _global("torch.storage", "UntypedStorage")
    count = math.prod(spec.shape) if own else spec.nbytes
    storage = _tuple(_plain("storage"), kind, _plain(str(index)), _plain("cpu"), _plain(count)) + pickle.BINPERSID
    strides = tuple(accumulate([1, *[max(size, 1) for size in spec.shape[:0:-1]]], lambda left, right: left * right))[::-1]
    no_hooks = _global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    arguments = [storage, _plain(0), _plain(spec.shape), _plain(strides), _plain(False), no_hooks]
    if own:
        return _global("torch._utils", "_rebuild_tensor_v2") + _tuple(*arguments) + pickle.REDUCE
    return _global("torch._utils", "_rebuild_tensor_v3") + _tuple(*arguments, _global("torch", spec.dtype)) + pickle.REDUCE


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _tuple(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE
