"""One file or folder for each file format; the classes are here, too: `from tensorize.exporters import ParquetSamples`."""

from typing import Any

from tensorize.core import registry


def _classes() -> dict[str, str]:
    """Class → the name that its exporter is registered under."""
    return {entry.where.rpartition(":")[2]: name for name, entry in registry.table("exporters").items()}


def __getattr__(name: str) -> Any:
    found = _classes()
    if name in found:
        return registry.load("exporters", found[name])
    raise AttributeError(f"module 'tensorize.exporters' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_classes()})
