"""`tensorize plugins`: everything that is registered, built-in or plugged in."""

from __future__ import annotations

from tensorize.core import registry

from . import flags
from .show import print_json, say


def command(as_json: flags.AsJson = False, debug: flags.Debug = False) -> None:
    """List what there is: loaders, transforms and exporters, and the distribution each comes from."""
    del debug
    entries = list(registry.plugins())
    if as_json:
        parts = [{"group": group, "name": e.name, "summary": e.summary, "distribution": e.distribution} for group, e in entries]
        print_json("plugins", {"parts": parts})
        return
    width = max(len(entry.name) for _, entry in entries)
    for group in dict.fromkeys(group for group, _ in entries):
        say(group)
        for entry in (entry for part, entry in entries if part == group):
            origin = "" if entry.distribution == "tensorize" else f"   ({entry.distribution})"
            say(f"  {entry.name:<{width}}  {entry.summary}{origin}")
