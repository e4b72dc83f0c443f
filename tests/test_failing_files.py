"""A file of the user's that fails leaves no trace: the state of the process, and what was imported beside it."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import rfcalc
from rfcalc import RfcalcError

CHANGES = """
import logging, os, random, sys, warnings
import torch
import beside_it
sys.path.insert(0, "/nonsense"), sys.argv.append("more")
warnings.simplefilter("error")
torch.set_default_dtype(torch.float64), torch.set_default_device("meta")
torch.set_grad_enabled(False), torch.use_deterministic_algorithms(True)
torch.manual_seed(3), random.seed(3)
torch.nn.functional.relu = torch.nn.functional.relu6
sys.setrecursionlimit(5000)
sys.excepthook = print
logging.root.setLevel(1)
os.environ["RFCALC_TEST"] = "1"
os.chdir("/")
"""
AT_IMPORT = CHANGES + "raise ValueError('no')\n"
WHEN_MADE = "def M():\n" + "".join(f"    {line}\n" for line in AT_IMPORT.strip().splitlines())
LEAVES = CHANGES.replace("import beside_it\n", "import beside_it\nsys.exit(2)\n")


def state() -> dict[str, Any]:
    """Of the process; the names of the user's files are those that `CHANGES` brings."""
    return {
        "path": sys.path[:],
        "argv": sys.argv[:],
        "filters": warnings.filters[:],
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "modes": torch.overrides._get_current_function_mode_stack(),  # type: ignore[no-untyped-call]
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "numbers": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "relu": torch.nn.functional.relu,
        "limit": sys.getrecursionlimit(),
        "hook": sys.excepthook,
        "level": logging.root.level,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "output": (sys.stdout, sys.stderr),
    }


@pytest.mark.parametrize("text", [AT_IMPORT, WHEN_MADE, LEAVES, "import beside_it, broken_one\n"])
@pytest.mark.parametrize("of_folder", [False, True])
def test_a_file_that_fails_leaves_no_trace(
    text: str, of_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run by its path, and imported from the current folder; the folder is a path of the caller's own already."""
    (tmp_path / "failing_one.py").write_text(text)
    (tmp_path / "beside_it.py").write_text("x = 1\n")
    (tmp_path / "broken_one.py").write_text("raise ImportError('half')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = state()
    with pytest.raises(RfcalcError) as caught:
        rfcalc.load("py:failing_one:M" if of_folder else "failing_one.py:M")
    assert "broken" in text or "no" in str(caught.value) or "SystemExit" in str(caught.value)
    after = state()
    assert {name for name in before if before[name] != after[name]} == set()
    own = {m for m in sys.modules if m in ("beside_it", "broken_one") or m.endswith("failing_one")}
    for module in own:  # a file that was read, and holds what fails when it is called, stays
        del sys.modules[module]
    assert own == ({"failing_one" if of_folder else "rfcalc_target_failing_one"} if text is WHEN_MADE else set())


def test_a_file_is_read_anew_where_it_was_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies beside it too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing_two.py").write_text("from beside_it import width\nimport rfcalc\nM = rfcalc.Conv(width, 3)\n")
    (tmp_path / "beside_it.py").write_text("wide = 4\n")
    with pytest.raises(RfcalcError, match="width"):
        rfcalc.load("failing_two.py:M")
    (tmp_path / "beside_it.py").write_text("width = 4 + 1 - 1\n")
    assert "beside_it" not in sys.modules
    assert rfcalc.load("failing_two.py:M") is not None


def test_torch_that_the_file_loads_has_its_defaults(tmp_path: Path) -> None:
    """Nobody could ask for them before: the process had no torch."""
    (tmp_path / "failing_one.py").write_text(AT_IMPORT)
    (tmp_path / "beside_it.py").write_text("")
    script = (
        "import sys, os, rfcalc\nbefore = sys.path[:], sys.argv[:], os.getcwd(), dict(os.environ)\n"
        "try:\n    rfcalc.load('failing_one.py:M')\nexcept rfcalc.RfcalcError:\n    pass\n"
        "assert before == (sys.path[:], sys.argv[:], os.getcwd(), dict(os.environ))\n"
        "import torch\nassert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32\n"
        "assert torch.zeros(1).device.type == 'cpu' and not torch.are_deterministic_algorithms_enabled()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
