"""Run the examples of the pages, in order, from a folder in which samples/ lies: python docs/examples.py

A `console` block holds commands after `$ ` and what they print; a `python` block has to run without an error. Running
this file writes what the commands print now into the pages; tests/test_docs.py compares it with what stands there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("files", "sources", "tables", "databases", "recipes", "training", "export", "json", "bad-input")
PAGES = (ROOT / "README.md", *(ROOT / f"docs/{name}.md" for name in NAMES))

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TIME = re.compile(r'\d+(\.\d+)? (ms|s)\b|(?<="seconds": )[\d.e-]+|(?<=difference from torch )[\d.e-]+')
_SCORES = re.compile(r"^(  (?:loss|accuracy|macro_f1|mae|rmse|r2) ).*$|(?<= best )\d+   loss .*$", re.MULTILINE)

_LAST = re.compile(r"^  note: the last epoch is the best on val: .*\n", re.MULTILINE)


def masked(text: str) -> str:
    """The text with what no two machines have in common replaced: durations, rounding errors, and the scores of trained
    models, since the last bits of their weights go by the processor, and with them the best epoch.
    """
    return _LAST.sub("", _SCORES.sub(r"\1…", _TIME.sub("0.0 s", text)))


def printed(command: str, folder: str) -> str:
    """What a command prints, in a folder; its errors too."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONUTF8": "1"}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, text=True, check=False, **streams).stdout


def renewed(page: str, printed: Callable[[str, str], str] = printed) -> str:
    """The text of a page with every console block as it comes out now; `printed` runs a command.

    Raises RuntimeError where a python block fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "samples").symlink_to(ROOT / "samples")

        def run(block: re.Match[str]) -> str:
            if block[1] == "python":
                _python(block[2], folder)
                return block[0]
            commands = re.findall(r"^\$ (.*(?:\\\n.*)*)$", block[2], re.MULTILINE)
            return "```console\n" + "".join(f"$ {command}\n{printed(command, folder)}" for command in commands) + "```"

        return _BLOCK.sub(run, page)


def _python(text: str, folder: str) -> None:
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{text}\n{done.stderr}")


if __name__ == "__main__":
    for path in PAGES:
        old = path.read_text("utf-8")
        new = renewed(old)
        if masked(new) != masked(old):
            path.write_text(new, "utf-8")
            print(f"renewed {path.relative_to(ROOT)}")
