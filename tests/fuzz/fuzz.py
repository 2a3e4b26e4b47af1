"""Fuzz one reader, guided by coverage: python tests/fuzz/fuzz.py TARGET SECONDS

What was learned stays in build/fuzz/TARGET, so that the next run goes on from there; an input that breaks the reader is
written to build/fuzz, and belongs into tests/fuzz/found once the reader is mended.
"""

import hashlib
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tensorize", "tensorize_cli"]):
    from targets import TARGETS


def main(name: str, seconds: str) -> None:
    target, build = TARGETS[name], Path("build/fuzz")
    corpus = build / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    warnings.simplefilter("ignore")
    settings = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=6144", "-max_len=65536", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *settings, f"-artifact_prefix={build}/{name}-", str(corpus)], target.read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
