"""What importing rfcalc loads, in a process of its own; with a control that shows the test can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "sympy", "rich", "typer", "numpy", "onnx", "keras")


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_rfcalc_loads_nothing_foreign() -> None:
    assert loaded("import rfcalc") == set()


def test_analysing_loads_nothing_foreign() -> None:
    assert loaded("import rfcalc; rfcalc.analyze('vgg16').to_dict(); rfcalc.require('conv3-8', 'params > 1')") == set()


COMMANDS = (
    ["table", "vgg16"],
    ["table", "resnet152", "--format", "json"],
    ["rf", "vgg16", "pool5"],
    ["list"],
    ["explain", "vgg16", "pool5", "receptive-field"],
    ["explain", "vgg16", "peak_bytes"],
    ["compare", "vgg16", "resnet50"],
    ["compare", "conv3-64 x3", "conv7-64"],
    ["equivalents", "conv7-64"],
)


def ran(command: list[str]) -> set[str]:
    return loaded(f"from rfcalc.cli import run; assert run({[*command, '--output', '/dev/null']!r}) == 0")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_numbers_load_no_sympy(command: list[str]) -> None:
    assert "sympy" not in ran(command)


@pytest.mark.parametrize(
    "command",
    [
        ["symbolic", "conv3-C"],
        ["explain", "conv3-C x3", "weights"],
        ["compare", "conv3-C x3", "conv7-C"],
        ["equivalents", "conv7-C"],
    ],
    ids=" ".join,
)
def test_control_symbols_load_sympy(command: list[str]) -> None:
    assert "sympy" in ran(command)


def test_control_the_check_sees_an_import() -> None:
    assert loaded("import rfcalc.cli") == {"typer"}
    assert "rich" in loaded("import rfcalc, rich")
