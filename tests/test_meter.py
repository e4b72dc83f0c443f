"""What a terminal is told while work takes long; a pipe is told nothing, and nothing of it is left."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

MODEL = """
import time
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.ReLU() for _ in range(40)))

    def forward(self, x):
        for layer in self.layers:
            time.sleep(0.06)
            x = layer(x)
        return x
"""


def told(file: str, **options: str) -> tuple[str, str]:
    """What is written to standard error, which is a terminal, and to standard output."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parent.parent), **options}
    command = [sys.executable, "-m", "rfcalc", "table", f"{file}:Slow", "-i", "3x8x8", "--no-notes"]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=env, text=True)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(ours)
    out = done.communicate()[0]
    assert done.returncode == 0
    return seen.decode(), out


def test_long_work_is_told_on_a_terminal_only(tmp_path: Path) -> None:
    file = tmp_path / "slow.py"
    file.write_text(MODEL, encoding="utf-8")
    error, out = told(str(file))
    assert "rfcalc table: running the module without data: operators " in error
    assert error.endswith("\r\x1b[K"), "the line is taken away"
    assert "running the module" not in out
    assert told(str(file), TERM="dumb")[0] == ""
    command = [sys.executable, "-m", "rfcalc", "table", f"{file}:Slow", "-i", "3x8x8"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    piped = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert piped.stderr == ""
