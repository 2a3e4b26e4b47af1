"""The pickle of a torch file, read without a pickle machine: dense tensors and plain data, and nothing can be called.

A pickle is a program. Of its instructions only those are known here that `torch.save` needs for a dict of dense tensors,
dicts, lists, strings and numbers; a call is interpreted, never executed. Everything else is refused by name: sparse and
quantised tensors, subclasses, views, shared containers (which can unfold to any size), and depth without end.
Opcodes: `pickletools`; what torch writes: `torch/serialization.py`, `torch/_utils.py`.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any

from tensorize.exporters.pt.dense import (
    HOOKS,
    KNOWN,
    ORDERED,
    REBUILD,
    REBUILD_BYTES,
    STORED,
    Dense,
    Global,
    NotPlainError,
    Storage,
    check_plain,
    dense,
    refuse_value,
)
from tensorize.exporters.pt.pickled import PROTOCOL

DEPTH = 64
"""Containers within one another; our own files need less than ten."""
_NAMES = {op.code: op.name for op in pickletools.opcodes}


_MARK = object()


def unpickled(data: bytes, *, views: bool = False) -> Any:
    """Dicts, lists, tuples, strings, numbers and `Dense` tensors. Raises NotPlainError for everything else.

    With `views` a tensor may be a part of its storage, in any order, as the weights of a model can be.

    >>> import pickle
    >>> unpickled(pickle.dumps({"a": [1, 2.5, None, True]}, 2))
    {'a': [1, 2.5, None, True]}
    >>> unpickled(pickle.dumps(print, 2))
    Traceback (most recent call last):
    tensorize.exporters.pt.dense.NotPlainError: it names __builtin__ print, and only dense tensors and plain data are read
    """
    try:
        return _Reader(data, views).run()
    except NotPlainError:
        raise
    except (struct.error, IndexError, KeyError, TypeError, ValueError) as error:
        raise NotPlainError(f"its pickle is broken ({type(error).__name__}: {error})") from None


class _Reader:
    """Goes through the opcodes once; values are on a stack, as the format has it."""

    def __init__(self, data: bytes, views: bool) -> None:
        self._data, self._at, self._views = data, 0, views
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._heights: dict[int, int] = {}
        """Of each container on the stack: how many are within one another in it. By id, which is its own while it is there."""

    def run(self) -> Any:
        stop = ord(".")
        while (code := self._data[self._at]) != stop:
            self._at += 1
            step = _STEPS.get(code)
            if step is None:
                raise NotPlainError(f"it uses the instruction {_NAMES.get(chr(code), hex(code))}, which plain data do not need")
            step(self)
        (value,) = self._stack
        if not isinstance(value, list | dict):
            check_plain(value)
        return value

    # bytes ------------------------------------------------------------------------------------------------------

    def _take(self, layout: struct.Struct) -> Any:
        (value,) = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return value

    def _bytes(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise NotPlainError("its pickle is cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def _line(self) -> str:
        end = self._data.index(b"\n", self._at)
        return self._bytes(end + 1 - self._at)[:-1].decode()

    # scalars ----------------------------------------------------------------------------------------------------

    def protocol(self) -> None:
        if self._take(_BYTE) != PROTOCOL:
            raise NotPlainError(f"its pickle has another protocol than {PROTOCOL}")

    def integer(self, layout: struct.Struct) -> None:
        self._stack.append(self._take(layout))

    def long(self) -> None:
        size = self._take(_BYTE)
        if size > 8:
            raise NotPlainError("it holds a number of more than 64 bits")
        self._stack.append(int.from_bytes(self._bytes(size), "little", signed=True))

    def text(self) -> None:
        self._stack.append(self._bytes(self._take(_UINT)).decode("utf-8", "surrogatepass"))

    def name(self) -> None:
        name = f"{self._line()} {self._line()}"
        if name not in KNOWN:
            raise NotPlainError(f"it names {name[:200]}, and only dense tensors and plain data are read")
        self._stack.append(Global(name))

    # the memo ---------------------------------------------------------------------------------------------------

    def put(self, layout: struct.Struct) -> None:
        self._memo[self._take(layout)] = self._stack[-1]

    def get(self, layout: struct.Struct) -> None:
        value = self._memo[self._take(layout)]
        if not isinstance(value, str | Global) and value is not HOOKS:
            raise NotPlainError("it holds one list, dict or tensor in several places")
        self._stack.append(value)

    # containers -------------------------------------------------------------------------------------------------

    def open(self, made: type[list[Any]] | type[dict[str, Any]]) -> None:
        self._stack.append(made())
        self._heights[id(self._stack[-1])] = 1

    def mark(self) -> None:
        self._stack.append(_MARK)

    def _since_mark(self) -> list[Any]:
        """Pop what lies above the last mark, and the mark."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise NotPlainError("its pickle is broken (no mark)")
        found = self._stack[at + 1 :]
        del self._stack[at:]
        return found

    def _popped(self, count: int) -> list[Any]:
        found = self._stack[-count:] if count else []
        if len(found) < count or any(item is _MARK for item in found):
            raise NotPlainError("its pickle is broken (an empty stack)")
        del self._stack[len(self._stack) - count :]
        return found

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise NotPlainError("its pickle is broken (no list)")
        target.extend(self._closed(value, target) for value in values)

    def set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise NotPlainError("its pickle is broken (no dict)")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, int) or key in target:
                raise NotPlainError("a dict has a key twice, or one that is neither a string nor a number")
            target[key] = self._closed(value, target)

    def _closed(self, value: Any, target: list[Any] | dict[Any, Any]) -> Any:
        """A value that goes into a container: plain, a tensor, or a container that is complete, since none is read twice."""
        if not isinstance(value, list | dict):
            check_plain(value)
            return value
        height = self._heights.pop(id(value)) + 1
        if height > DEPTH:
            raise NotPlainError(f"it is nested more than {DEPTH} deep")
        self._heights[id(target)] = max(height, self._heights[id(target)])
        return value

    # tensors ----------------------------------------------------------------------------------------------------

    def tuple(self, items: list[Any]) -> None:
        """The arguments of a call, and shapes: no tuple of ours holds a container, or a tuple that holds one."""
        for item in items:
            inner = item if isinstance(item, tuple) else (item,)
            if any(isinstance(part, list | dict | Dense) or (isinstance(part, tuple) and part is not item) for part in inner):
                raise NotPlainError("it holds a tuple of containers")
        self._stack.append(tuple(items))

    def storage(self) -> None:
        (told,) = self._popped(1)
        word, kind, key, place, count = told if isinstance(told, tuple) and len(told) == 5 else (None,) * 5
        if word != "storage" or not isinstance(kind, Global) or kind.name not in STORED or not isinstance(key, str):
            raise NotPlainError("it holds a storage of another kind than torch's own")
        if place != "cpu" or type(count) is not int or count < 0:
            raise NotPlainError("it holds a storage on a device, or of no size")
        self._stack.append(Storage(key, STORED[kind.name], count))

    def call(self) -> None:
        what, arguments = self._popped(2)
        if what == Global(ORDERED) and arguments == ():
            self._stack.append(HOOKS)
        elif what in (Global(REBUILD), Global(REBUILD_BYTES)) and isinstance(arguments, tuple):
            self._stack.append(dense(arguments, what == Global(REBUILD_BYTES), self._views))
        else:
            refuse_value(what)


_BYTE, _USHORT, _INT, _UINT, _DOUBLE = map(struct.Struct, ("B", "<H", "<i", "<I", ">d"))


def _push(value: Any) -> Callable[[_Reader], None]:
    return lambda reader: reader._stack.append(value)


_STEPS: dict[int, Callable[[_Reader], None]] = {
    ord(code): step
    for code, step in {
        "\x80": _Reader.protocol,
        "}": lambda r: r.open(dict),
        "]": lambda r: r.open(list),
        "(": _Reader.mark,
        "N": _push(None),
        "\x88": _push(True),
        "\x89": _push(False),
        "K": lambda r: r.integer(_BYTE),
        "M": lambda r: r.integer(_USHORT),
        "J": lambda r: r.integer(_INT),
        "G": lambda r: r.integer(_DOUBLE),
        "\x8a": _Reader.long,
        "X": _Reader.text,
        "c": _Reader.name,
        "q": lambda r: r.put(_BYTE),
        "r": lambda r: r.put(_UINT),
        "h": lambda r: r.get(_BYTE),
        "j": lambda r: r.get(_UINT),
        "a": lambda r: r.append(r._popped(1)),
        "e": lambda r: r.append(r._since_mark()),
        "s": lambda r: r.set_items(r._popped(2)),
        "u": lambda r: r.set_items(r._since_mark()),
        ")": _push(()),
        "t": lambda r: r.tuple(r._since_mark()),
        "\x85": lambda r: r.tuple(r._popped(1)),
        "\x86": lambda r: r.tuple(r._popped(2)),
        "\x87": lambda r: r.tuple(r._popped(3)),
        "Q": _Reader.storage,
        "R": _Reader.call,
    }.items()
}
"""Opcode → what it does. Whatever is not here is refused."""
