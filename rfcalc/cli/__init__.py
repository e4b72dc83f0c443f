"""The command line: one file a command, loaded when it is called.

A command parses, calls the library, picks an output. An `RfcalcError` becomes one message on stderr and exit code 2 (1
where a check said no); an interrupt 130; a closed pipe is silent.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import typer
import typer.core

# Command → its help; the file that holds it has its name.
COMMANDS = {
    "table": "Show a network layer by layer: shapes, receptive fields, parameters, memory, multiply-adds.",
    "rf": "Say what a node sees: receptive field, real pixels of a unit, phases, holes, joins, with a picture.",
    "symbolic": "Show a network's figures as formulas: in H, W, C, or in any symbol of the notation.",
    "compare": "Compare networks: exact ratios of every figure, what differs layer by layer, by how much.",
    "equivalents": "List the stacks of smaller kernels that see as much as a layer, by what they cost.",
    "export": "Write a network down: as notation, as a spec file (TOML), as JSON, as PyTorch source.",
    "explain": "Derive a figure step by step, as on a blackboard: rfcalc explain vgg16 pool5 rf.",
    "list": "List the networks of the literature that can be named.",
    "check": "Check what was published about a network.",
    "lock": "Write a network's figures as claims, so that a change of it is noticed.",
    "verify": "Run a network in PyTorch, and put what it shows beside every computed figure.",
    "exercise": "Make exercises with checked keys, for paper and for courses.",
    "quiz": "Answer exercises in the terminal, one after another, with explanations and a score.",
    "grade": "Mark students' tables from their own numbers, and designs against bounds.",
    "counts": "Show how counting tools would count a network, and which terms make the difference.",
}


class Commands(typer.core.TyperGroup):
    """The group of commands; each is imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        told = COMMANDS[cmd_name]
        app = typer.Typer(add_completion=False)
        function = import_module(f"rfcalc.cli.{cmd_name}").command
        app.command(name=cmd_name, help=f"{told}\n\n{function.__doc__ or ''}")(function)
        return typer.main.get_command(app)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            from rfcalc.core.errors import UnknownName

            raise UnknownName("command", name, [*COMMANDS], fix="rfcalc --help shows what there is")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    add_completion=True,
    no_args_is_help=True,
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
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Receptive fields, parameters, memory and operations of convolutional networks: exact, instant, explained.

    A network is named (rfcalc list), written in notation, or read from a file. Code is run only for model.py:build and
    py:package.module:Net.

    Example: rfcalc table vgg16
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; the exit code."""
    from rfcalc.core.errors import ConstraintFailed, RfcalcError

    try:
        code = typer.main.get_command(app).main(arguments, prog_name="rfcalc", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except RfcalcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, ConstraintFailed) else 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except typer.Exit as done:
        return done.exit_code
    except Exception as error:
        # typer's own complaints about the command line know how to show themselves
        show = getattr(error, "format_message", None)
        if show is None:
            raise
        print(f"error: {show()}\n  fix: rfcalc --help", file=sys.stderr)
        return 2
