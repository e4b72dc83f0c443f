"""`rfcalc quiz`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rfcalc.cli.common import Difficulty, Family, Form


def command(
    family: Family = None,
    form: Form = None,
    difficulty: Difficulty = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many.")] = 5,
    seed: Annotated[str | None, typer.Option(help="The same seed asks the same questions; drawn if left out.")] = None,
) -> None:
    """Example: rfcalc quiz --family receptive-field --difficulty 1 --count 3

    Type numbers as you like: 3.2M, 1,728, 64x112x112; a letter for a choice; nothing to see the answer; q to stop.
    """
    from rfcalc.teaching.exercises.bank import exercises
    from rfcalc.teaching.exercises.quiz import run

    if seed is None:
        from secrets import randbelow

        seed = str(randbelow(100_000))
    items = exercises(count, seed, family=family, form=form, difficulty=difficulty)
    _tell(f"seed {seed}: {count} question{'' if count == 1 else 's'}; an empty line shows the answer, q stops")
    _tell("")
    run(items, _ask, _tell)


def _tell(line: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    print(line.encode(encoding, "replace").decode(encoding))


def _ask(prompt: str) -> str | None:
    """A line of the input; None at its end. What is piped in is shown too, so that the output can be read."""
    print(prompt, end="", flush=True)
    line = sys.stdin.readline()
    if not line:
        print()
        return None
    if not sys.stdin.isatty():
        _tell(line.rstrip("\n"))
    return line
