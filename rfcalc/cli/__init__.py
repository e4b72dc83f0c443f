"""The command line: one file a command, loaded when it is called.

A command parses, calls the library, picks an output. An `RfcalcError` becomes one message on stderr and exit code 2 (1
where a check said no); an interrupt 130; a closed pipe is silent.
"""

from __future__ import annotations

import codecs
import errno
import gc
import io
import os
import stat
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import typer
import typer.core

# Command → the panel of the help that shows it, and its help. The file that holds it has its name (`list` is a name of
# Python, which a file that is loaded would hide in this package: its file is `list_`).
COMMANDS = {
    "table": ("look", "Show a network layer by layer: shapes, receptive fields, parameters, memory, multiply-adds."),
    "rf": (
        "look",
        "Say what a node sees: receptive field, real pixels of a unit, phases, holes, joins, as a picture.",
    ),
    "draw": ("look", "Draw a network as a picture: SVG or HTML, light or dark; repetitions once, skips at the side."),
    "symbolic": ("look", "Show a network's figures as formulas: in H, W, C, or in any symbol of the notation."),
    "explain": ("look", "Derive a figure step by step, as on a blackboard: rfcalc explain vgg16 pool5 rf."),
    "compare": ("look", "Compare networks: exact ratios of every figure, what differs layer by layer, by how much."),
    "equivalents": ("look", "List the stacks of smaller kernels that see as much as a layer, by what they cost."),
    "counts": ("look", "Show how counting tools would count a network, and which terms make the difference."),
    "list": ("look", "List the networks of the literature that can be named."),
    "columns": ("look", "List the figures that can be columns, by name, with what each means."),
    "stream": ("plan", "Say how a network runs along one axis, block by block: look-ahead, latency, caches, blockers."),
    "sizes": (
        "plan",
        "List all valid sizes of a network's input, and the nearest ones: divisible by 32, or what it is.",
    ),
    "tile": (
        "plan",
        "Plan exact tiles: halo (overlap), reads, writes, crops, extra work, memory; or why there are none.",
    ),
    "memory": (
        "plan",
        "Say what fits: memory of training or running, the worst moment, the largest batch, how to make it fit.",
    ),
    "grid": ("plan", "Say where the units of maps lie in the image: stride, offset, anchors, levels out of step."),
    "design": ("plan", "Find networks that hold constraints, or read a design: holes, layers that see nothing new."),
    "check": ("check", "Check what was published about a network."),
    "lock": ("check", "Write a network's figures as claims, so that a change of it is noticed."),
    "verify": ("check", "Run a network in PyTorch, and put what it shows beside every computed figure."),
    "export": ("write", "Write a network down: as notation, as a spec file (TOML), as JSON, as PyTorch source."),
    "exercise": ("teach", "Make exercises with checked keys, for paper and for courses."),
    "quiz": ("teach", "Answer exercises in the terminal, one after another, with explanations and a score."),
    "grade": ("teach", "Mark students' tables from their own numbers, and designs against bounds."),
}

_FILES = {"list": "list_"}
DOUBTFUL = "“”„‟‘’‚«»\"'`–—−*×;,"  # a single word with one of these may be meant otherwise
SPELLED = "rfcalc.spelled"  # how a stream that knows few letters treats the others


class Commands(typer.core.TyperGroup):
    """The group of commands; each is imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        panel, told = COMMANDS[cmd_name]
        app = typer.Typer(add_completion=False)
        function = import_module(f"rfcalc.cli.{_FILES.get(cmd_name, cmd_name)}").command
        text = f"{told}\n\n{function.__doc__ or ''}"
        app.command(name=cmd_name, help=_literal(text), cls=ForgivingCommand, rich_help_panel=panel)(function)
        found = typer.main.get_command(app)
        for parameter in found.params:
            parameter.help = _literal(getattr(parameter, "help", None) or "")  # type: ignore[attr-defined]
        return found


class ForgivingCommand(typer.core.TyperCommand):
    """A command that reads its arguments as people type them; one word that is no option stands for itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if len(args) != 1 or args[0].startswith("-") or args[0].isdecimal() or set(args[0]) & set(DOUBTFUL):
            from rfcalc.cli.forgiving import Understood
            from rfcalc.core.errors import RfcalcError

            try:
                args = Understood(self).meant(list(args))
            except RfcalcError:
                if not ctx.resilient_parsing:  # a line that is not finished is completed, not judged
                    raise
        return list(super().parse_args(ctx, args))


def _literal(text: str) -> str:
    """Help in which brackets are brackets, not markup, and whose letters the terminal has."""
    from rfcalc.cli.common import unicode

    return text.replace("[", r"\[").replace("…", "…" if unicode() else "...")


app = typer.Typer(
    cls=Commands,
    add_completion=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(shown: bool) -> None:
    if shown:
        from rfcalc import __version__

        typer.echo(f"rfcalc {__version__}")
        raise typer.Exit


@app.callback()
def rfcalc(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Receptive fields, parameters, memory and operations of convolutional networks: exact, instant, explained.

    A network is named (rfcalc list), written in notation, or read from a file. Code is run only for model.py:build and
    py:package.module:Net.

    Example: rfcalc table vgg16
    """
    if context.invoked_subcommand is None:
        typer.echo(START)


START = """\
rfcalc table vgg16                        a network, layer by layer
rfcalc rf "conv3-64 x2, maxpool2"         what a unit sees, with a picture
rfcalc table model.py:Net -i 3x224x224    your own model

rfcalc list shows the networks that can be named, rfcalc --help all commands."""


SELDOM = (20_000, 10, 10)  # Python's collector of cyclic garbage, in a process that lives for one command


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(*SELDOM)  # a framework that is imported makes many objects that stay: looking through them costs
    if arguments is None:
        arguments = sys.argv[1:]
        del sys.argv[1:]  # they are rfcalc's, not those of a module that is read
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; the exit code."""
    _streams()
    try:
        code = _run(arguments)
        quiet()
        sys.stdout.flush()
    except OSError as error:
        code = _broken(error)
    except SystemExit as left:  # typer leaves with 1 where a pipe was closed
        context = left.__context__
        if not isinstance(context, OSError):
            raise
        code = _broken(context)
    return code


def _run(arguments: list[str]) -> int:
    from rfcalc.core.errors import ConstraintFailed, NamesCode, RfcalcError

    try:
        if arguments and arguments[0] not in COMMANDS:
            from rfcalc.cli.forgiving import whole_line

            arguments = whole_line(arguments, list(COMMANDS))
        if _watched(arguments):
            import_module("rfcalc.cli.meter").start(arguments[0])
        code = typer.main.get_command(app).main(arguments, prog_name="rfcalc", standalone_mode=False)
        if _into_a_file():
            from rfcalc.cli.forgiving import eaten_by_the_shell

            told = eaten_by_the_shell()
            if told:
                print(told, file=sys.stderr)
        return code if isinstance(code, int) else 0
    except RfcalcError as error:
        if isinstance(error, NamesCode):
            import_module("rfcalc.cli.forgiving").recorded(error)
        told = str(error)  # which may take a while
        quiet()
        print(f"{_error()} {told}", file=sys.stderr)
        return 1 if isinstance(error, ConstraintFailed) else 2
    except (KeyboardInterrupt, typer.Abort):
        quiet()
        return 130
    except typer.Exit as done:
        return done.exit_code
    except OSError:
        raise
    except Exception as error:
        # typer's own complaints about the command line know how to show themselves
        show = getattr(error, "format_message", None)
        if show is None:
            raise
        from rfcalc.cli.forgiving import example

        quiet()
        print(f"{_error()} {show()}\n  fix: {example(error)}", file=sys.stderr)
        return 2


def _watched(arguments: list[str]) -> bool:
    """Whether a terminal is told what long work is at; never what talks itself, or a pipe."""
    if not arguments or arguments[0] not in COMMANDS or arguments[0] == "quiz" or os.environ.get("TERM") == "dumb":
        return False
    try:
        return sys.stderr.isatty()
    except ValueError:
        return False


def quiet() -> None:
    """Take the line away that tells what long work is at: something else is written."""
    meter = sys.modules.get("rfcalc.cli.meter")
    if meter is not None:
        meter.stop()


def _into_a_file() -> bool:
    """Whether standard output is a regular file."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False


def _error() -> str:
    """What stands before a message, in colour where the terminal has it."""
    from rfcalc.cli.common import colored

    if not colored(sys.stderr.isatty()):
        return "error:"
    many = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    return f"\x1b[1;{'38;2;226;41;41' if many else '38;5;131'}merror:\x1b[0m"


class _Closed(io.TextIOBase):
    """Stands for a standard stream that was closed before the program began: nothing can be read or written."""

    encoding = "utf-8"

    def __init__(self, name: str) -> None:
        self.name = name

    def _refuse(self, *_: Any) -> Any:
        raise OSError(errno.EBADF, "it is closed", self.name)

    write = read = readline = _refuse

    @property
    def buffer(self) -> Any:
        return self


def _streams() -> None:
    """Python leaves None where a standard stream is closed: what uses it is told so."""
    for name, told in (("stdin", "standard input"), ("stdout", "standard output")):
        if getattr(sys, name) is None:
            setattr(sys, name, _Closed(told))
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            codecs.register_error(SPELLED, _spelled)
            stream.reconfigure(errors=SPELLED)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that a stream cannot write: ``->`` for an arrow, one sign where a word was cut."""
    assert isinstance(error, UnicodeEncodeError)
    from rfcalc.render.plain import ASCII

    lost = error.object[error.start : error.end]
    cut = lost == "…" and not error.object[: error.start][-1:].isspace()
    return "~" if cut else lost.translate(ASCII).encode("ascii", "replace").decode("ascii"), error.end


def _broken(error: OSError) -> int:
    """What cannot be written any more: a closed pipe is silent, anything else is one line."""
    with suppress(OSError):  # so that Python's own last flush finds nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if error.errno == errno.EPIPE:
        return 0
    told = f"error: {error.filename or 'standard output'}: {error.strerror or error}"
    print(told, file=sys.stderr)
    return 2
