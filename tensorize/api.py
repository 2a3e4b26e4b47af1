"""The front doors: from raw data to tensors and a recipe, the recipe applied to new data, and prepared files opened."""

from __future__ import annotations

import hashlib
import re
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize import pipeline
from tensorize.core import registry
from tensorize.core.contracts import Facts
from tensorize.core.errors import DataError, RecipeError, TensorizeWarning, UsageError
from tensorize.core.limits import check_header
from tensorize.core.recipe import DIGEST, Recipe
from tensorize.sources.addresses import is_address
from tensorize.sources.files import missing_file
from tensorize.storage.digest import DIGEST_SIZE, check_digest
from tensorize.storage.partfile import PartFile

if TYPE_CHECKING:
    from tensorize.core.tensorset import TensorSet


def prepare(
    kind: str,
    source: Any,
    *,
    out: str | Path | None = None,
    format: Any = None,
    force: bool = False,
    max_size: int | None = None,
    rejects: str | Path | None = None,
    engine: str = "threads",
    workers: int | None = None,
    threads: int | None = None,
    chunk_bytes: int | None = None,
    scratch: str | Path | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    **options: Any,
) -> TensorSet:
    """Turn raw data into tensors, and keep the recipe.

    kind: a registered loader: `table`, `wine`, `series`, `bikes`, `text`, `images`, or a plug-in's.
    source: a path, a glob, a folder, `-`, an address (`s3://`, `gs://`, `az://`, `https://`), a list of those; for tables also
        a DataFrame, an Arrow table, a mapping of columns, or rows.
    out: a file to stream to, or an address in an object store; the set that comes back is then lazy. Without it the tensors
        are held in memory.
    format: the name of a format where the suffix does not tell, or an exporter with options, such as
        `tensorize.exporters.ParquetSamples(columns=True)`.
    max_size: bytes that the output may take; by default 2 GiB or 4 × the input, whichever is more.
    rejects: with `on_bad="skip"`, a file to list in what is left out, one JSON object a line.
    engine: what runs the work: `threads`, `processes`, or a plug-in's engine.
    workers: how many threads or worker processes it uses, by default one for each CPU; `threads` is the same.
    chunk_bytes, scratch: bytes that are read at a time, and the folder for what does not fit in memory. None of these five
        changes a bit of the result.
    options: those of the kind, as on the command line with underscores: `onehot="quality"`, `split="0.8,0.1,0.1"`.

    Raises DataError for invalid data, UsageError for an invalid call, RunError if the machine fails.

    >>> ts = prepare("table", {"area": [1.0, 2.0, 3.0], "city": ["a", "b", "a"]})
    >>> ts["features"].shape, ts.labels("features", "feature")
    (torch.Size([3, 3]), ('area', 'city=a', 'city=b'))
    """
    run = pipeline.make_run(threads, chunk_bytes, scratch, progress, engine=engine, workers=workers)

    def made(path: str | Path | None) -> TensorSet:
        output = pipeline.make_output(path, format, force=force, max_size=max_size, rejects=rejects)
        result = pipeline.prepare(kind, source, options, run, output)
        _warn_of_unlabelled(result.facts)
        return result.tensors

    return _placed(made, out, force=force)


def apply(
    recipe: Recipe,
    source: Any,
    *,
    out: str | Path | None = None,
    format: Any = None,
    force: bool = False,
    max_size: int | None = None,
    on_bad: str | None = None,
    max_bad: str | int | None = None,
    unseen: str | None = None,
    missing: str | Sequence[str] | None = None,
    rejects: str | Path | None = None,
    limits: Mapping[str, Any] | None = None,
    **others: Any,
) -> TensorSet:
    """Apply a recipe to new data: a path, a table, or one row as a mapping. Nothing is learned, nothing is split.

    `out` and the other keywords are those of `prepare`: engine, workers, threads, chunk_bytes, scratch, progress. So are those
    that say how the new data are written (`encoding`, `delimiter`, `decimal`, `header`, `names`, `na`, …), which is no part
    of a recipe, and the `limits` of what is read, such as `{"max_cell": "64MB"}`: they are the recipe's where they are not
    given, and recorded nowhere. The policies `on_bad`, `max_bad`, `unseen` and `missing` are the recipe's, too; `missing` is
    `drop`, a value, or `COL=…` for a column that the recipe has no policy for. Policies are recorded in the recipe of the
    result; this one stays as it is. A row has the same bits as in the file.

    Raises UsageError for a policy that would have to learn (a mean), that the recipe has settled, or that would shift
    its ids.
    """
    policies = {"on_bad": on_bad, "max_bad": max_bad, "unseen": unseen, "missing": missing}
    run, written = pipeline.split_run(others)
    changed = {name: value for name, value in policies.items() if value is not None} | written | dict(limits or {})

    def made(path: str | Path | None) -> TensorSet:
        output = pipeline.make_output(path, format, force=force, max_size=max_size, rejects=rejects)
        result = pipeline.apply(recipe, source, run, output, changed)
        _warn_of_unlabelled(result.facts)
        return result.tensors

    return _placed(made, out, force=force)


def _placed(make: Callable[[str | Path | None], TensorSet], out: str | Path | None, *, force: bool) -> TensorSet:
    """What is made at a path; where that is an address, it is made here and uploaded, and the set reads the copy."""
    if not is_address(out):
        return make(out)
    from tensorize.sources.copies import LocalCopy

    copy = LocalCopy()
    tensors = make(copy.write(str(out), force))
    copy.deliver(str(out))
    weakref.finalize(tensors, copy.close)
    return tensors


def _warn_of_unlabelled(facts: Facts) -> None:
    """What is left out is never left out in silence."""
    for path, count in facts.unlabelled:
        said = f"{count:,} of {path} left out, for want of a label: ts.recipe.apply({path!r}) prepares them"
        warnings.warn(said, TensorizeWarning, stacklevel=3)


def read(path: str | Path, format: str | None = None) -> TensorSet:
    """Open a prepared file lazily. Raises UsageError for an unknown suffix or a missing file, DataError for a damaged one."""
    if is_address(path):
        from tensorize.sources.copies import LocalCopy

        copy = LocalCopy()
        tensors = read(copy.read(path), format)
        weakref.finalize(tensors, copy.close)
        return tensors
    exporter = _exporter_for(path, format)
    try:
        opened: TensorSet = exporter.open(Path(path))
    except DataError as error:
        from tensorize.look.doors import a_model

        raise a_model(path) or error from None
    return opened


def _exporter_for(path: str | Path, format: str | None) -> Any:
    """The exporter of a file that is there. Raises UsageError that says what it is, if its suffix is that of no format."""
    try:
        exporter = registry.exporter_for(path, format)
    except UsageError as error:
        from tensorize.look.doors import not_prepared

        raise not_prepared(path) or error from None
    _check_there(path)
    return exporter


def verify(path: str | Path, format: str | None = None) -> None:
    """Recompute the digest of a prepared file, or of a recipe that was saved as `.json`.

    Raises DataError if any byte has changed, or the file is not ours; UsageError for an unknown suffix and a
    missing file.
    """
    if format is None and Path(path).suffix.lower() == ".json":
        _check_there(path)
        verify_recipe(Path(path))
        return
    _exporter_for(path, format).verify(Path(path))


def _check_there(path: str | Path) -> None:
    if not Path(path).exists():
        raise missing_file(path)


def recipe_json(path: str | Path) -> str:
    """The JSON of the recipe of a prepared file (`wine.h5`), or of a recipe alone (`wine.json`).

    Raises RecipeError for a `.json` file that cannot be read, else what `read` raises.
    """
    if Path(path).suffix.lower() == ".json":
        try:
            check_header(path, Path(path).stat().st_size)
            return Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: {error}") from None
    with read(path) as tensors:
        return tensors.recipe_json


def save_recipe(recipe: Recipe, path: str | Path, *, force: bool = False) -> Path:
    """Write the recipe alone, as JSON with a digest that `tensorize verify` checks; whole or not at all.

    Raises UsageError if the file exists, unless `force`, RunError if it cannot be written.
    """
    head = f'{recipe.to_json(indent=2)[:-2]},\n  "{DIGEST}": "'.encode()
    tail = b'"\n}\n'
    whole = hashlib.sha256(head + b"\0" * DIGEST_SIZE + tail).hexdigest()
    part = PartFile(Path(path), force=force)
    try:
        part.reserve(len(head) + DIGEST_SIZE + len(tail))
        part.write(0, head + whole.encode() + tail)
        part.commit()
    finally:
        part.abort()
    return Path(path)


def verify_recipe(path: Path) -> None:
    """Raise DataError if a byte of a recipe file has changed or its digest is missing, RecipeError if it is not a recipe."""
    Recipe.read(path)
    end = re.search(rb'"%s": "([0-9a-f]{64})"\n}\n\Z' % DIGEST.encode(), path.read_bytes())
    if end is None:
        raise DataError(
            f"{path} carries no digest, so that a change cannot be found",
            hint="write it anew from the prepared file: tensorize inspect FILE --recipe -o recipe.json",
        )
    check_digest(path, end.start(1))
