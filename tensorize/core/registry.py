"""The tables of what there is: name → where it lives and what it is, in one line each.

Nothing is imported before it is asked for: names and summaries come from here, those of plug-ins from their entry
points and distributions. Outsiders add to a table through the entry-point groups `tensorize.loaders`, `.readers`,
`.transforms`, `.exporters`, `.models` and `.engines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tensorize.core.errors import UsageError, near


@dataclass(frozen=True)
class Entry:
    """One registered part: `where` is `module:Class`."""

    name: str
    where: str
    summary: str
    distribution: str = "tensorize"

    def load(self) -> Any:
        """Import the module and return the class. Raises UsageError if a plug-in cannot be imported."""
        module, _, attribute = self.where.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            if self.distribution == "tensorize":
                raise
            raise UsageError(
                f'the plug-in "{self.name}" of {self.distribution} cannot be loaded: {error}',
                hint=f"update it, or remove it: pip uninstall {self.distribution}",
            ) from error


LOADERS = {
    "table": ("tensorize.loaders.table:Table", "A CSV or TSV table: rows become feature vectors."),
    "wine": ("tensorize.loaders.wine:Wine", "The wine quality files: a table with target quality, scores 0 to 9."),
    "series": ("tensorize.loaders.series:Series", "A time series: steps become days, periods or windows."),
    "bikes": ("tensorize.loaders.bikes:Bikes", "The hourly bike-sharing file: days of 17 channels × 24 hours."),
    "text": ("tensorize.loaders.text:Text", "Plain text: characters or words become one-hot rows or ids."),
    "images": ("tensorize.loaders.images:Images", "A folder of images, or class folders: pixels become float tensors."),
}

READERS = {
    "csv": ("tensorize.readers.csv:Csv", "Delimited text, such as CSV and TSV: every cell is checked."),
    "parquet": ("tensorize.readers.parquet:Parquet", "Parquet files, a row group at a time."),
    "arrow": ("tensorize.readers.arrow:Arrow", "Arrow IPC files and Feather, a record batch at a time."),
    "excel": ("tensorize.readers.excel:Excel", "Workbooks: .xlsx, .xlsm, .xlsb, .xls and .ods."),
    "jsonl": ("tensorize.readers.jsonl:Jsonl", "JSON Lines: an object on each line; objects in objects become columns."),
    "json": ("tensorize.readers.json:Json", "JSON: an array of objects, read record by record."),
    "sql": ("tensorize.readers.sql:Sql", "A query or a table of PostgreSQL, or of an SQLite file."),
    "memory": ("tensorize.readers.memory:Memory", "What Python holds: data frames, Arrow tables, mappings, rows, arrays."),
}

TRANSFORMS = {
    "zscore": ("tensorize.transforms.zscore:ZScore", "(x − mean) / std, the sample standard deviation of train."),
    "minmax": ("tensorize.transforms.minmax:MinMax", "(x − min) / (max − min) of train; values outside are not clipped."),
    "raw": ("tensorize.transforms.raw:Raw", "The number as it is."),
    "onehot": ("tensorize.transforms.onehot:OneHot", "One channel for each category."),
    "ordinal": ("tensorize.transforms.ordinal:Ordinal", "The rank in a declared order, 0 for the lowest."),
    "calendar": ("tensorize.transforms.calendar:Calendar", "Parts of a time stamp: month, day, weekday, hour, minute."),
    "impute": ("tensorize.transforms.impute:Impute", "A value for what is missing, with an indicator on request."),
    "vocabulary": ("tensorize.transforms.vocabulary:Vocabulary", "Tokens to ids and back, in scripts."),
    "fold": ("tensorize.transforms.fold:Fold", "Rows × C to N × C × L, by position, in scripts."),
    "windows": ("tensorize.transforms.windows:Windows", "Sliding windows with length, horizon and stride, in scripts."),
}

EXPORTERS = {
    "hdf5": (
        "tensorize.exporters.hdf5.exporter:Hdf5",
        "HDF5: one contiguous dataset for each tensor (.h5, .hdf5).",
        (".h5", ".hdf5"),
    ),
    "pt": (
        "tensorize.exporters.pt.exporter:Pt",
        "A torch file that opens with weights_only=True (.pt, .pth).",
        (".pt", ".pth"),
    ),
    "safetensors": (
        "tensorize.exporters.safetensors:Safetensors",
        "Safetensors: one header, then the numbers (.safetensors).",
        (".safetensors",),
    ),
    "npz": (
        "tensorize.exporters.npz:Npz",
        "A NumPy archive: one array for each tensor (.npz).",
        (".npz",),
    ),
    "parquet": (
        "tensorize.exporters.parquet.exporter:ParquetSamples",
        "Parquet: one row per sample, a column for each tensor (.parquet, .pq).",
        (".parquet", ".pq"),
    ),
    "arrow": (
        "tensorize.exporters.arrow.exporter:ArrowSamples",
        "Arrow IPC and Feather: one row per sample, a column for each tensor (.arrow, .feather).",
        (".arrow", ".feather"),
    ),
    "zarr": (
        "tensorize.exporters.zarr.exporter:Zarr",
        "Zarr version 3: a folder of uncompressed shards (.zarr).",
        (".zarr",),
    ),
    "npy": (
        "tensorize.exporters.npy:Npy",
        "A NumPy array: one tensor, written only (.npy).",
        (".npy",),
    ),
    "webdataset": (
        "tensorize.exporters.webdataset:WebDataset",
        "WebDataset: a tar archive of samples, written only (.tar).",
        (".tar",),
    ),
}
"""With the suffixes, so that looking one up imports no exporter."""

MODELS = {
    "linear": ("tensorize.train.models.linear:Linear", "One linear layer: linear and logistic regression."),
    "mlp": ("tensorize.train.models.mlp:Mlp", "Linear layers with ReLU between them: hidden=128,128 dropout=0."),
    "cnn": ("tensorize.train.models.cnn:Cnn", "Three padded convolutions, for images of any size."),
    "resnet": ("tensorize.train.models.resnet:Resnet", "A small residual net that learns fast, for images: width=64."),
    "conv1d": ("tensorize.train.models.conv1d:Conv1d", "Convolutions over time, for series."),
}

ENGINES = {
    "threads": ("tensorize.engine.threads:ThreadEngine", "Threads of one process."),
    "processes": (
        "tensorize.engine.processes:ProcessEngine",
        "Worker processes of this machine; one that is killed is replaced.",
    ),
}

BUILT_IN: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "loaders": LOADERS,
    "readers": READERS,
    "transforms": TRANSFORMS,
    "exporters": {name: (where, summary) for name, (where, summary, _) in EXPORTERS.items()},
    "models": MODELS,
    "engines": ENGINES,
}


@cache
def table(group: str) -> Mapping[str, Entry]:
    """Return name → entry for a group, such as `loaders` or `readers`: built-in ones first.

    A plug-in never takes the name of a built-in part.
    """
    built_in = {name: Entry(name, where, summary) for name, (where, summary) in BUILT_IN.get(group, {}).items()}
    plugged = {point.name: _plugged(point) for point in entry_points(group=f"tensorize.{group}")}
    return built_in | {name: entry for name, entry in plugged.items() if name not in built_in}


def _plugged(point: EntryPoint) -> Entry:
    """An entry from another distribution; its summary is the distribution's."""
    dist = point.dist
    summary = (dist.metadata["Summary"] if dist is not None else None) or "(no summary)"
    return Entry(point.name, point.value, summary, dist.name if dist is not None else "?")


def load(group: str, name: str) -> Any:
    """Import and return the class registered as `name`.

    Raises UsageError, with the near name, where there is none.
    """
    entries = table(group)
    if name not in entries:
        noun = group.removesuffix("s")
        raise UsageError(f'there is no {noun} "{name}"{near(name, entries)}', hint=f"{group}: " + ", ".join(entries))
    return entries[name].load()


def late(where: str) -> Any:
    """Return what `module:name` names, imported now: the way up for what the core offers and does not know.

    >>> late("math:pi") > 3
    True
    """
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def plugins() -> Iterator[tuple[str, Entry]]:
    """Yield (group, entry) for everything there is."""
    for group in BUILT_IN:
        for entry in table(group).values():
            yield group, entry


def suffixes() -> Mapping[str, str]:
    """Return suffix → exporter name, those of plug-ins included."""
    found = {suffix: name for name, (_, _, own) in EXPORTERS.items() for suffix in own}
    for name, entry in table("exporters").items():
        if name not in EXPORTERS:
            found.update({suffix: name for suffix in entry.load().suffixes if suffix not in found})
    return found


def exporter_for(path: Any, format: Any = None, **options: Any) -> Any:
    """Return the exporter for a path by its suffix, or the one that `format` names; an exporter is returned as it is.

    options: those of the exporter, such as `columns=True`; None counts as not given.

    Raises UsageError that lists the suffixes, the near one first, where the suffix is unknown; for an option that the format
    has not; and for a value that is none of its own.
    """
    if format is not None and not isinstance(format, str):
        if options:
            raise UsageError(
                f"an exporter has its options already: --{next(iter(options))} comes too late",
                hint=f"say them to {type(format).__name__}",
            )
        return format
    exporter = load("exporters", format) if format is not None else _by_suffix(path)
    given = {name: value for name, value in options.items() if value is not None}
    for option in given:
        if option not in _options(exporter):
            own = [suffix for suffix, name in suffixes().items() if option in _options(load("exporters", name))]
            raise UsageError(
                f"{exporter.suffixes[0]} files have no --{option}",
                hint=f"it is for {', '.join(own)}" if own else f"omit --{option}",
            )
    return exporter(**given)


def _options(exporter: Any) -> list[str]:
    """The options of an exporter."""
    return [field.name for field in fields(exporter)] if is_dataclass(exporter) else []


def _by_suffix(path: Any) -> Any:
    from pathlib import Path

    suffix, known = Path(path).suffix.lower(), suffixes()
    if suffix not in known:
        said = f'the suffix "{suffix}"' if suffix else "a name without a suffix"
        raise UsageError(f"{said} ({path}) names no format{near(suffix, known)}", hint="suffixes: " + ", ".join(sorted(known)))
    return load("exporters", known[suffix])
