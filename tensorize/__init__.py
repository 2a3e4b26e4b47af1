"""tensorize: turn raw data into training-ready tensors in one command, and keep the recipe.

    import tensorize

    ts = tensorize.prepare("wine", "winequality-white.csv", onehot="quality")
    ts["features"], ts["target"]

Names are resolved when they are first used, so that importing this package imports neither torch nor pyarrow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensorize.core.version import __version__

if TYPE_CHECKING:
    from tensorize.api import prepare, read, verify
    from tensorize.core.errors import DataError, RecipeError, RunError, TensorizeError, TensorizeWarning, UsageError
    from tensorize.core.recipe import Recipe
    from tensorize.core.tensorset import TensorSet, concat
    from tensorize.look.front import suggest
    from tensorize.sources.fetch import fetch

_WHERE = {
    "DataError": "tensorize.core.errors",
    "Recipe": "tensorize.core.recipe",
    "RecipeError": "tensorize.core.errors",
    "RunError": "tensorize.core.errors",
    "TensorSet": "tensorize.core.tensorset",
    "TensorizeError": "tensorize.core.errors",
    "TensorizeWarning": "tensorize.core.errors",
    "UsageError": "tensorize.core.errors",
    "concat": "tensorize.core.tensorset",
    "fetch": "tensorize.sources.fetch",
    "prepare": "tensorize.api",
    "read": "tensorize.api",
    "suggest": "tensorize.look.front",
    "verify": "tensorize.api",
}

__all__ = [
    "DataError",
    "Recipe",
    "RecipeError",
    "RunError",
    "TensorSet",
    "TensorizeError",
    "TensorizeWarning",
    "UsageError",
    "__version__",
    "concat",
    "fetch",
    "prepare",
    "read",
    "suggest",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'tensorize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
