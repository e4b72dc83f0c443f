"""Formulas of code: with numbers put in they are the reading at other sizes, or the code is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from symbolic_walks import agree
from torch import nn
from torch.nn.functional import interpolate, pad, relu

import rfcalc
from rfcalc.cli import run

SOURCE = """
import torch
from torch import nn
from torch.nn import functional as F


class Signal(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv1d(1, 8, 9, stride=2, padding=4)
        self.b = nn.Conv1d(8, 4, 3, padding=1)

    def forward(self, x):
        return self.b(F.relu(self.a(x)))
"""


class Views(nn.Module):
    """Sizes of its input in views, transposes and resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.b = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = relu(self.a(x))
        b, c, h, w = y.shape
        y = self.b(y.view(b, c, h * w).transpose(1, 2))
        return interpolate(y.transpose(1, 2).reshape(b, 4, h, w), size=x.shape[-2:])


class Pads(nn.Module):
    """Pads to a multiple of 8 and crops again."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, w = x.shape[-2:]
        return self.a(pad(x, (0, -w % 8, 0, -h % 8)))[..., :h, :w]


class Branches(nn.Module):
    """Is another network for large inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x) if x.shape[-1] < 230 else self.a(self.a(x))


@pytest.mark.parametrize("kind", [Views, Pads])
@pytest.mark.parametrize("given", [None, "3xHxW"])
def test_code_is_fitted_and_agrees_at_sizes_that_were_not_read(kind: type[nn.Module], given: str | None) -> None:
    module = kind().eval()
    found = rfcalc.symbolic(module, given)
    for height, width in ((64, 96), (192, 128), (480, 64)):
        values = {"H": height, "W": width, "B": 2, "C": 3}
        exact = rfcalc.analyze(module, (3, height, width), batch=2)
        agree(found, {n: v for n, v in values.items() if n in found.symbols}, exact)


def test_a_class_is_told_where_code_was_read_in_one_only() -> None:
    found = rfcalc.symbolic(Pads().eval())
    assert found.declared["H"].modulus % 8 == 0
    with pytest.raises(rfcalc.RfcalcError, match="H = 225 does not fit"):
        found.put(H=225)
    assert rfcalc.symbolic(nn.Conv2d(3, 8, 3, padding=1).eval()).declared["H"].modulus == 1  # the control


def test_code_that_changes_with_its_input_is_refused_with_the_node() -> None:
    with pytest.raises(rfcalc.RfcalcError, match="does not follow the size of its input") as caught:
        rfcalc.symbolic(Branches().eval())
    assert "a" in (caught.value.where or "")


def test_signals_and_numbers_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert run(["symbolic", f"{path}:Signal", "--input", "1xL", "--columns", "name,output,macs"]) == 0
    out = capsys.readouterr().out
    assert "8×L/2" in out
    assert "36BL" in out
    assert run(["symbolic", f"{path}:Signal", "--input", "1x100"]) == 0
    assert "8×50" in capsys.readouterr().out
