"""tensorize: raw data to training-ready tensors in one command, and the recipe that did it is kept.

    import tensorize

    ts = tensorize.prepare("wine", "winequality-white.csv", onehot="quality")
    ts["features"], ts["target"]

Names are resolved when they are first used, so that importing this package imports neither torch nor pyarrow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensorize.version import __version__

if TYPE_CHECKING:
    from tensorize.api import prepare
    from tensorize.errors import DataError, RecipeError, RunError, TensorizeError, UsageError
    from tensorize.fetch import fetch
    from tensorize.recipe import Recipe
    from tensorize.tensorset import TensorSet, read, verify

_WHERE = {
    "DataError": "tensorize.errors",
    "Recipe": "tensorize.recipe",
    "RecipeError": "tensorize.errors",
    "RunError": "tensorize.errors",
    "TensorSet": "tensorize.tensorset",
    "TensorizeError": "tensorize.errors",
    "UsageError": "tensorize.errors",
    "fetch": "tensorize.fetch",
    "prepare": "tensorize.api",
    "read": "tensorize.tensorset",
    "verify": "tensorize.tensorset",
}

__all__ = [
    "DataError",
    "Recipe",
    "RecipeError",
    "RunError",
    "TensorSet",
    "TensorizeError",
    "UsageError",
    "__version__",
    "fetch",
    "prepare",
    "read",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'tensorize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
