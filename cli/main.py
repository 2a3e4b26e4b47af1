"""The entry point: run a command, and turn every failure into a message and an exit code.

0 done; 1 the data or the run failed; 2 the call is wrong; 130 interrupted.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import NoReturn

from typer.exceptions import Abort, TyperException

from tensorize.core.errors import RunError, TensorizeError
from tensorize.sources.addresses import secrets_of

from .group import root
from .process import leave, take_over
from .show import noting, print_error, print_traceback
from .text import any_encoding

INTERRUPTED = 130
NO_ARGUMENTS = "NoArgsIsHelpError"
"""What typer raises for a call without arguments, with the help as its message; it has no public name."""
STARVED = ("Resource temporarily unavailable", "start new thread", "allocate memory", "bad_alloc", "not enough memory")
"""How libraries say that the system gave no memory, in errors of many types."""


def main(args: Sequence[str] | None = None) -> None:
    """Run `tensorize` with the arguments of the shell, or with `args`; end the process with its exit code."""
    given = list(sys.argv[1:] if args is None else args)
    interrupt = _Interrupt()
    any_encoding()
    try:
        signal.signal(signal.SIGTERM, interrupt)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        if args is None:
            take_over(given)
        code = _run(given, interrupt)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more to say, and nothing for Python to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    if args is None:
        leave(code)
    sys.exit(code)


class _Interrupt:
    """A signal handler that ends the run as Ctrl-C does, so that nothing unfinished stays behind."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: object) -> NoReturn:
        self.came = True
        raise KeyboardInterrupt


def _run(given: list[str], interrupt: _Interrupt) -> int:
    debug, as_json = "--debug" in given, "--json" in given
    try:
        with noting():
            code = int(root().main(_as_flag(given), prog_name="tensorize", standalone_mode=False) or 0)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return code
    except TyperException as error:
        if type(error).__name__ == NO_ARGUMENTS:
            print(error.format_message(), file=sys.stderr)
            return int(getattr(error, "exit_code", 2))
        told = _hidden(TensorizeError(error.format_message(), hint=_help_hint(error)), given)
        print_error(told, as_json, getattr(error, "exit_code", 2))
        return int(getattr(error, "exit_code", 2))
    except (Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        # A library may lose the interrupt, and fail because of what it left undone.
        if interrupt.came or _follows_interrupt(error):
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        told = _hidden(error if isinstance(error, TensorizeError) else _unexpected(error, given), given)
        if debug:
            print_traceback(told.with_traceback(error.__traceback__) if secrets_of(given) else error)
        else:
            print_error(told, as_json, told.exit_code)
        return told.exit_code


def _hidden(error: TensorizeError, given: list[str]) -> TensorizeError:
    """The error without the passwords and tokens of the addresses that were given, whoever put them in."""
    for secret in secrets_of(given):
        plain = partial(re.compile(re.escape(secret), re.IGNORECASE).sub, "…")
        error.what, error.hint, error.command = plain(error.what), plain(error.hint), plain(error.command)
        error.details = tuple(map(plain, error.details))
    return error


def _as_flag(given: list[str]) -> list[str]:
    """`help COMMAND` as `COMMAND --help`."""
    return [*given[1:2], "--help"] if given[:1] == ["help"] else given


def _follows_interrupt(error: BaseException | None) -> bool:
    """Whether an error was raised while an interrupt was being handled."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _unexpected(error: Exception, given: list[str]) -> TensorizeError:
    """The message for an error that nobody has foreseen: what lacks is memory, or a fault of ours."""
    said = f"{type(error).__name__}: {error}".strip(": ")
    if isinstance(error, MemoryError) or any(word in said for word in STARVED):
        targets = [value for flag, value in pairwise(given) if flag in ("-o", "--out")]
        what = f"{targets[-1]} cannot be written" if targets else "the run failed"
        hint = "free some, or try --threads 1 and a smaller --chunk-bytes"
        return RunError(f"{what}: there is not enough memory ({said})", hint=hint)
    return TensorizeError(f"unexpected: {said}", hint="this is a fault of tensorize; --debug shows where")


def _help_hint(error: TyperException) -> str:
    """Where to read on: the help of the command that was called wrongly."""
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context is not None else "see tensorize --help"


if __name__ == "__main__":
    main()
