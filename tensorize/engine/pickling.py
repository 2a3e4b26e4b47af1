"""Pickles between our own processes: a store becomes the receiver's own, and a slice of an Arrow array travels alone."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import packages_distributions
from types import FunctionType, MethodType
from typing import Any

from tensorize.core.errors import TensorizeError

MAIN = "__main__"
DEPTH = 20


class UnpicklableError(TensorizeError):
    """A function or an item that cannot be sent to another process."""


class Codec:
    """Pickles values for another process of the same engine, and unpickles those that come from one.

    `store` itself is not sent: where it is met, the other process puts its own.

    >>> codec = Codec()
    >>> codec.loads(codec.dumps({"rows": 3}))
    {'rows': 3}
    """

    def __init__(self, store: Any = None) -> None:
        self._store = store

    def dumps(self, value: Any, name: str = "a value", owner: Any = None) -> bytes:
        """Pickle `value`. Raises UnpicklableError, which calls it `name` and blames the package of the function `owner`."""
        try:
            return self._dumps(value)
        except MemoryError:
            raise
        except Exception as error:
            raise self._refusal(value, name, owner, error) from error

    def loads(self, data: bytes) -> Any:
        """Unpickle what `dumps` of another process of the same engine has made."""
        return _Unpickler(data, self._store).load()

    def _dumps(self, value: Any) -> bytes:
        file = io.BytesIO()
        _Pickler(file, self._store).dump(value)
        return file.getvalue()

    def _refusal(self, value: Any, name: str, owner: Any, error: Exception) -> UnpicklableError:
        path, reason = self._culprit(value, "", error)
        return UnpicklableError(f"{name}{path} cannot be sent to a worker process: {reason}", hint=_way_out(owner))

    def _culprit(self, value: Any, path: str, error: Exception) -> tuple[str, Exception]:
        """The path of the innermost part that cannot be pickled, and why not."""
        for step, part in _parts(value) if path.count(".") + path.count("[") < DEPTH else ():
            try:
                self._dumps(part)
            except Exception as inner:
                return self._culprit(part, path + step, inner)
        return path, error


def name_of(function: Any) -> str:
    """What a message calls a function: `pack`, or the class of an object that can be called.

    >>> name_of(partial(sorted, reverse=True))
    'sorted'
    """
    called = _innermost(function)
    return str(getattr(called, "__qualname__", type(called).__qualname__))


def _innermost(function: Any) -> Any:
    while isinstance(function, partial) or hasattr(function, "__wrapped__"):
        function = function.func if isinstance(function, partial) else function.__wrapped__
    return function


def _way_out(owner: Any) -> str:
    called = _innermost(owner)
    module = str(getattr(called, "__module__", None) or type(called).__module__)
    if module == MAIN:
        return "define it in a module that can be imported, or say --engine threads"
    package = module.partition(".")[0]
    return f"this is a fault of {packages_distributions().get(package, [package])[0]}; --engine threads does without"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, with the path of each part."""
    if isinstance(value, partial):
        yield from [("", value.func), *((f"[{at}]", part) for at, part in enumerate(value.args)), *_named(value.keywords)]
    elif isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{at}]", part) for at, part in enumerate(value))
    elif isinstance(value, MethodType):
        yield "", value.__self__
    elif hasattr(value, "__wrapped__"):
        yield "", value.__wrapped__
    elif not isinstance(value, FunctionType | type):
        yield from _named(_state(value))


def _named(parts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(f".{name}", part) for name, part in parts.items()]


def _state(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(value, name)]
    return {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}


class _Pickler(pickle.Pickler):
    """Protocol 5. Python is asked only about objects of classes, so that lists of numbers and text go at full speed."""

    def __init__(self, file: io.BytesIO, store: Any) -> None:
        super().__init__(file, 5)
        self._store = store

    def reducer_override(self, obj: Any) -> Any:
        """How an object is pickled: `NotImplemented` for the usual way."""
        if obj is self._store:
            return _store, ()
        if isinstance(obj, FunctionType | type):
            return _importable(obj)
        if isinstance(obj, BaseException):
            return _reduced_error(obj)
        return _reduced_arrow(obj) if type(obj).__module__ == "pyarrow.lib" else NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, store: Any) -> None:
        super().__init__(io.BytesIO(data))
        self._store = store

    def find_class(self, module: str, name: str) -> Any:
        """A class or function by name; the mark of a store stands for the store of this process."""
        import_module(module)  # by name, so that a process that does without pandas lets it in
        found = super().find_class(module, name)
        return (lambda: self._store) if found is _store else found


def _store() -> Any:
    """The mark of a store in a pickle."""
    raise pickle.UnpicklingError("a store that was sent without its engine")


def _importable(obj: Any) -> Any:
    """Raises PicklingError for what another process cannot import: it does not run the script again."""
    if obj.__module__ == MAIN:
        raise pickle.PicklingError(f"{obj.__qualname__} is defined in the script itself")
    return NotImplemented


def _reduced_error(error: BaseException) -> Any:
    """An exception without a call of its `__init__`, where that is Python's and may want more than `args`."""
    if not isinstance(type(error).__init__, FunctionType):
        return NotImplemented
    return _error, (type(error), error.args, vars(error))


def _error(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


def _reduced_arrow(obj: Any) -> Any:
    """A slice of an array as an array of its own, and a batch without columns with its rows; Arrow's pickles do neither."""
    pa = sys.modules["pyarrow"]
    if isinstance(obj, pa.Array) and obj.get_total_buffer_size() > obj.nbytes:
        return pa.concat_arrays([obj]).__reduce__()
    if isinstance(obj, pa.RecordBatch) and not obj.num_columns:
        from tensorize.engine.packed import batch_of

        return batch_of, ({}, obj.num_rows)
    return NotImplemented
