"""What importing rfcalc loads, in a process of its own; with a control that shows the test can fail."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "sympy", "rich", "typer", "numpy", "onnx", "keras")


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_rfcalc_loads_nothing_foreign() -> None:
    assert loaded("import rfcalc") == set()


def test_analysing_loads_nothing_foreign() -> None:
    assert loaded("import rfcalc; rfcalc.analyze('vgg16').to_dict(); rfcalc.require('conv3-8', 'params > 1')") == set()


def test_formulas_load_no_sympy_until_roots_are_asked_for() -> None:
    assert loaded("from rfcalc.formulas import formulas; formulas('vgg16').totals") == set()
    design = "'conv1-64 > conv3-64 > conv1-C', 'conv3-C x2'"
    assert "sympy" in loaded(f"from rfcalc.formulas import cheaper; cheaper({design})")  # the control


def test_control_the_check_sees_an_import() -> None:
    assert loaded("import rfcalc.cli") == {"typer"}
    assert "rich" in loaded("import rfcalc, rich")


def test_the_table_needs_no_sympy() -> None:
    assert "sympy" not in loaded("from rfcalc.cli import run; run(['table', 'vgg16', '--output', '/dev/null'])")
