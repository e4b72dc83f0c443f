"""Multiply-adds of backward: against PyTorch's counter while the module's own backward runs, without data."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from random_modules import drawn
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_backward_flop
from vision import models

import rfcalc
from rfcalc import Report, from_torch
from rfcalc.cli import run

torch.set_num_threads(1)


def _convolution(grad: Any, x: Any, w: Any, *rest: Any, out_shape: Any = None, **more: Any) -> int:
    """PyTorch's count, with the gradient of a grouped convolution's weights counted by its groups: its formula takes
    every channel with every other there."""
    groups, mask = rest[6], rest[7]

    def one(which: int) -> int:
        chosen = [m and i == which for i, m in enumerate(mask)]
        return conv_backward_flop(grad, x, w, *rest[:7], chosen, out_val=out_shape, **more)

    return one(0) + one(1) // groups


def counted(module: nn.Module, *inputs: torch.Tensor) -> tuple[int, int]:
    """FLOPs of forward, and of backward."""
    formula = {torch.ops.aten.convolution_backward: _convolution}
    with FlopCounterMode(display=False, custom_mapping=formula) as forward:
        made = module.train()(*inputs)
    made = list(made.values()) if isinstance(made, dict) else list(made) if isinstance(made, tuple) else [made]
    made = [y for y in made if isinstance(y, torch.Tensor) and y.requires_grad]
    with FlopCounterMode(display=False, custom_mapping=formula) as backward:
        torch.autograd.backward(made, [torch.ones_like(y) for y in made])
    return forward.get_total_flops(), backward.get_total_flops()


def same(module: nn.Module, shape: tuple[int, ...], batch: int = 2) -> Report:
    network = from_torch(module, shape, training=True).network
    report = Report(network, batch=batch)
    forward, backward = counted(copy.deepcopy(module).to("meta"), torch.empty(batch, *shape, device="meta"))
    totals = report.totals
    assert (2 * totals.macs, 2 * totals.backward_macs) == (forward, backward)
    assert totals.training_flops == forward + backward
    return report


MODELS = ("resnet18", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "mnasnet0_5")
MORE = (
    *("alexnet", "vgg11_bn", "densenet121", "resnext50_32x4d", "wide_resnet50_2", "efficientnet_b0", "convnext_tiny"),
    *("regnet_y_400mf", "vit_b_16", "mobilenet_v3_large", "googlenet", "inception_v3", "swin_t", "swin_v2_t"),
)


@pytest.mark.parametrize("name", [*MODELS, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in MORE)])
def test_torchvision(name: str) -> None:
    more = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    side = 299 if name == "inception_v3" else 224
    same(models().get_model(name, weights=None, **more), (3, side, side))


@pytest.mark.parametrize("seed", range(25))
def test_random_modules(seed: int) -> None:
    module, shape = drawn(seed)
    if not any(isinstance(m, nn.RNNBase) for m in module.modules()):  # one operator to PyTorch's counter
        same(module, shape)


class Tower(nn.Module):
    """Two images through one encoder, a head on both."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2))
        self.middle, self.head = nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.encoder(x), self.encoder(x.flip(3))
        return self.head(self.middle(left * right).mean((2, 3)))


@pytest.mark.parametrize("frozen", [(), ("encoder",), ("encoder", "middle"), ("middle",), ("encoder.2.weight", "head")])
def test_frozen_parts(frozen: tuple[str, ...]) -> None:
    module = Tower()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not any(f"{name}.".startswith(f"{part}.") for part in frozen))
    same(module, (3, 12, 12))


def test_recurrence_and_attention_by_hand() -> None:
    """Operators that PyTorch's counter has no formula for: the products written out."""
    lstm = rfcalc.analyze("input: 10x6; lstm4")  # 4 gates of 4 from 6 features and 4 of the state, at 10 positions
    assert (lstm.totals.macs, lstm.totals.weight_gradient_macs) == (1600, 1600)
    assert lstm.totals.input_gradient_macs == 10 * 4 * 4 * 4, "the state has a gradient, the input has none"
    twice = rfcalc.analyze("input: 10x6; fc6 > lstm4")
    assert twice["lstm1"].input_gradient_macs == 1600
    one = rfcalc.analyze("input: 8x4x4; attention2")  # 16 tokens of 8: 4 projections, two products
    assert one.totals.macs == 4 * 16 * 64 + 2 * 16 * 16 * 8
    assert one.totals.input_gradient_macs == 16 * 64 + 4 * 16 * 16 * 8


def test_the_check_sees_a_gradient_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rfcalc.Conv, "gradient_macs", lambda self, xs, y, macs, has: 0)
    with pytest.raises(AssertionError):
        same(Tower(), (3, 12, 12))


def test_for_the_batch_and_in_constraints(capsys: pytest.CaptureFixture[str]) -> None:
    one, four = rfcalc.analyze("lenet5"), rfcalc.analyze("lenet5", batch=4)
    assert 4 * one.totals.training_flops == four.totals.training_flops
    assert sum(row.backward_macs for row in four) == four.totals.backward_macs
    rfcalc.require("lenet5", f"training_flops = {one.totals.training_flops}, backward_macs@C1 = 117600")
    assert (
        run(["table", "lenet5", "--columns", "name,input_gradient_macs,weight_gradient_macs", "--format", "csv"]) == 0
    )
    assert "C3,150000,150000" in capsys.readouterr().out
