"""Fuzz one reader, guided by coverage: python tests/fuzz/fuzz.py TARGET SECONDS

What was learned stays in build/fuzz/TARGET, so that the next run goes on from there; an input that breaks the reader is
written to build/fuzz, and belongs into tests/fuzz/found once the reader is mended.
"""

import contextlib
import hashlib
import pkgutil
import random
import sys
import warnings
from importlib import import_module
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tensorize"]):  # all at once: what is imported on use would not be followed
    import tensorize

    for module in pkgutil.walk_packages(tensorize.__path__, "tensorize."):
        with contextlib.suppress(ImportError):  # an extra that is not installed
            import_module(module.name)

from targets import TARGETS


def main(name: str, seconds: str) -> None:
    target, build = TARGETS[name], Path("build/fuzz")
    corpus = build / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    warnings.simplefilter("ignore")
    settings = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=6144", "-max_len=65536", "-print_final_stats=1"]

    def mutated(data: bytes, size: int, seed: int) -> bytes:
        """What libFuzzer does, or, every other time, another shape of the JSON."""
        made = target.reshape(data, random.Random(seed)) if seed % 2 else data
        return atheris.Mutate(data, size) if made == data else made[:size]

    arguments = [sys.argv[0], *settings, f"-artifact_prefix={build}/{name}-", str(corpus)]
    atheris.Setup(arguments, target.read, custom_mutator=mutated if target.json is not None else None)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
