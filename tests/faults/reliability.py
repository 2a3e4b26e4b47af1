"""Write docs/reliability.md from what the harness tried: `make test-faults` does."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from harness import FAILED, TRIED

MARK = "<!-- made by make test-faults -->\n"
PARTS = ("h5py", "numpy", "pyarrow", "torch")


def table() -> str:
    """Fault by writer: how often it was tried, and how often a rule was broken."""
    writers = list(dict.fromkeys(writer for writer, _ in TRIED))
    faults = list(dict.fromkeys(fault for _, fault in TRIED))
    lines = ["| fault | " + " | ".join(writers) + " |", "|---|" + "---:|" * len(writers)]
    for fault in faults:
        cells = [_cell(writer, fault) for writer in writers]
        lines.append(f"| {fault} | " + " | ".join(cells) + " |")
    total, failed = TRIED.total(), FAILED.total()
    share = 100 * (total - failed) / total
    lines.append(f"\n{total:,} faults, {failed:,} against a rule: {share:.4g} % within the rules.\n")
    return "\n".join(lines)


def _cell(writer: str, fault: str) -> str:
    failed = FAILED[writer, fault]
    if (writer, fault) not in TRIED:
        return "–"
    return f"{TRIED[writer, fault]:,}" + (f" ({failed:,} failed)" if failed else "")


def machine() -> str:
    """What it ran on, without a name or a date."""
    parts = ", ".join(f"{part} {version(part)}" for part in PARTS)
    return f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {parts}.\n"


def write(page: str) -> None:
    """Replace what stands between the two marks of the page."""
    path = Path(page)
    head, _, rest = path.read_text("utf-8").partition(MARK)
    _, _, tail = rest.partition(MARK)
    path.write_text(f"{head}{MARK}\n{machine()}\n{table()}\n{MARK}{tail}", "utf-8")
