"""Flags that many commands share, and flags made from a loader's options."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from tensorize.core import registry
from tensorize.core.limits import allow_header, allow_pipe, allow_timeout
from tensorize.core.options import OWN, Options
from tensorize.core.units import parse_size

if TYPE_CHECKING:
    from tensorize.core.recipe import Recipe

NEW = "What only new data can bring (recorded in the output)"
WRITTEN = "How the new data are written, if not as the recipe says"
LIMITS = "Limits, if not those of the recipe"
OUTPUT, HOW, TELL = "Output", "How to run (never changes a bit of the result)", "What is said"

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A trained model.")]
Source = Annotated[
    list[str], typer.Argument(metavar="SOURCE…", help="What to read: files, a glob, a folder, or - for standard input.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="The file to write; its suffix names the format. - is standard output.",
        rich_help_panel=OUTPUT,
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="The format, where the suffix does not tell.", rich_help_panel=OUTPUT),
]
Columns = Annotated[
    bool,
    typer.Option("--columns", help="Parquet and Arrow: a column for each feature, under its own name.", rich_help_panel=OUTPUT),
]
Tensor = Annotated[
    str | None,
    typer.Option(
        "--tensor", metavar="NAME", help="NumPy (.npy): the tensor to write, such as train/features.", rich_help_panel=OUTPUT
    ),
]
Pictures = Annotated[
    str | None,
    typer.Option(
        "--pictures",
        metavar="FORMAT",
        help="WebDataset (.tar): how pictures of 8 bits are stored, npy or png. \\[default: npy]",
        rich_help_panel=OUTPUT,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.", rich_help_panel=OUTPUT)]
MaxSize = Annotated[
    str | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        help=r"Allow an output of up to this size, such as 10GB. \[default: 2 GiB, or 4 × the input]",
        rich_help_panel=OUTPUT,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.", rich_help_panel=OUTPUT)
]
OnBad = Annotated[
    Literal["error", "skip"] | None,
    typer.Option("--on-bad", help="What is done with what is bad, if not what the recipe says.", rich_help_panel=OUTPUT),
]
MaxBad = Annotated[
    str | None,
    typer.Option("--max-bad", metavar="N|N%", help="How much may be bad, if not what the recipe says.", rich_help_panel=OUTPUT),
]
Unseen = Annotated[
    Literal["error", "unknown"] | None,
    typer.Option(
        "--unseen",
        help="A category that train has not: an error, or an all-zero block; if not what the recipe says.",
        rich_help_panel=NEW,
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="POLICY",
        help="Missing values where the recipe has no policy: error, drop or a VALUE; COL=POLICY for one column.",
        rich_help_panel=NEW,
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects",
        metavar="FILE",
        help="With --on-bad skip: list what is left out, as JSON lines; - is standard output.",
        rich_help_panel=OUTPUT,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=f"What runs the work: {', '.join(registry.ENGINES)}, or a plug-in's engine.",
        rich_help_panel=HOW,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help=r"Threads or worker processes; --threads is the same. \[default: one for each CPU]",
        rich_help_panel=HOW,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help=r"Threads. \[default: one for each CPU]", rich_help_panel=HOW),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel="Where to run")
]
ChunkBytes = Annotated[
    str | None,
    typer.Option("--chunk-bytes", metavar="SIZE", help=r"How much is read at a time. \[default: 4MiB]", rich_help_panel=HOW),
]
Scratch = Annotated[
    Path | None,
    typer.Option(
        "--scratch",
        metavar="DIR",
        help=r"Where to keep what does not fit in memory. \[default: beside the output]",
        rich_help_panel=HOW,
    ),
]


def _sets(limit: Callable[[int], None]) -> Callable[[str | None], str | None]:
    """A callback that sets a limit to a size."""

    def callback(value: str | None) -> str | None:
        if value is not None:
            limit(parse_size(value))
        return value

    return callback


MaxHeader = Annotated[
    str | None,
    typer.Option(
        "--max-header",
        metavar="SIZE",
        callback=_sets(allow_header),
        help=r"Read a file that holds more than this beside its tensors. \[default: 256MiB]",
        rich_help_panel=HOW,
    ),
]


MaxPipe = Annotated[
    str | None,
    typer.Option(
        "--max-pipe",
        metavar="SIZE",
        callback=_sets(allow_pipe),
        help=r"Keep more than this of a pipe. \[default: 4GiB]",
        rich_help_panel=HOW,
    ),
]


def _allow_timeout(value: float | None) -> float | None:
    if value is not None:
        allow_timeout(value)
    return value


Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.1,
        callback=_allow_timeout,
        help=r"End the run where a server sends nothing for so long, all new tries included. \[default: 60]",
        rich_help_panel=HOW,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of words.", rich_help_panel=TELL)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing unless something is wrong.", rich_help_panel=TELL)]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more: the schema, every tensor.", rich_help_panel=TELL)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=TELL)]


def option_parameters(model: type[Options], own: str = OWN) -> Iterator[inspect.Parameter]:
    """Yield one keyword parameter for each option of a model, by panel; its own have the title `own`."""
    for panel, fields in model.panels().items():
        for name, info in fields.items():
            yield _option_parameter(name, info, own if panel == OWN else panel)


def _option_parameter(name: str, info: FieldInfo, panel: str, *, with_default: bool = True) -> inspect.Parameter:
    """A keyword whose default is None, for "not given"."""
    flag, kind = "--" + name.replace("_", "-"), _flag_type(info)
    option = typer.Option(flag, help=_help(info, with_default), metavar=_metavar(info), rich_help_panel=panel)
    default = False if kind is bool else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def new_data_parameters() -> list[inspect.Parameter]:
    """A keyword parameter for each option that a built-in loader takes for new data: how they are written, and limits.

    `--max-header` is not among them: it is there already, and means the header of a table, too.
    """
    written: dict[str, inspect.Parameter] = {}
    limits: dict[str, inspect.Parameter] = {}
    for kind in registry.LOADERS:
        options = registry.load("loaders", kind).Options
        fields = options.fields()
        for found, names, panel in ((written, options.written_names(), WRITTEN), (limits, options.limit_names(), LIMITS)):
            for name in names:
                if name not in found and name != "max_header":
                    found[name] = _option_parameter(name, fields[name], panel, with_default=panel == LIMITS)
    return [*written.values(), *limits.values()]


def changes(recipe: Recipe, policy: dict[str, Any], others: dict[str, Any], max_header: str | None) -> dict[str, Any]:
    """The options that were given to hold instead of the recipe's."""
    header = {"max_header": max_header if "max_header" in recipe.loader.Options.limit_names() else None}
    return given({**policy, **others, **header})


def for_new_data(run: Callable[..., None]) -> Callable[..., None]:
    """`run(options, …)` as a command that has its own parameters, and a flag for each option that new data may need."""
    made = new_data_parameters()

    def command(**values: Any) -> None:
        options = {item.name: values.pop(item.name) for item in made}
        run(options, **values)

    own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
    return as_command(command, [*own, *made], run.__doc__)


def as_command(
    command: Callable[..., None], parameters: Iterable[inspect.Parameter], summary: str | None
) -> Callable[..., None]:
    """Give a function that takes keywords the signature and the text that typer makes flags and help of."""
    named = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in parameters]
    command.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in named}
    command.__doc__ = summary
    return command


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out the options that were not given, so that the model's own defaults stand."""
    return {name: value for name, value in values.items() if value is not None and value is not False and value != []}


def _flag_type(info: FieldInfo) -> Any:
    """The type that a flag is parsed as: the model itself validates what comes out."""
    annotation: Any = info.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if annotation is bool:
        return bool
    if get_origin(annotation) is tuple:
        return list[str] | None if get_args(annotation)[0] is str else str | None
    if get_origin(annotation) is Literal:
        return (
            annotation if all(isinstance(value, str) for value in get_args(annotation)) else type(get_args(annotation)[0])
        ) | None
    is_written = any(isinstance(part, BeforeValidator) for part in info.metadata)  # a number in a notation of its own: 4MB
    return (annotation if annotation in (int, float) and not is_written else str) | None


def _metavar(info: FieldInfo) -> str | None:
    extra = info.json_schema_extra
    return str(extra["metavar"]) if isinstance(extra, dict) and "metavar" in extra else None


def _help(info: FieldInfo, with_default: bool) -> str:
    """The field's description and its default; square brackets are markup to the help's printer."""
    text = (info.description or "").replace("[", r"\[")
    default = info.default
    if not with_default or default is None or default is False or default in ((), ""):
        return text
    shown = ",".join(str(part) for part in default) if isinstance(default, tuple) else default
    return rf"{text} \[default: {shown}]"
