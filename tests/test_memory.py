"""Memory of training and running: against what lives in PyTorch, against brute force, and executed in one buffer."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from devices import ITEM, Parts, in_arena
from live import kept, training_peak
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.checkpoint import checkpoint
from vision import models

import rfcalc
from rfcalc import Conv, Network, Report, RfcalcError, from_torch, to_torch
from rfcalc.cli import run
from rfcalc.plan.arena import _bound, _first_fit, _height, _Search, arena, layout, live
from rfcalc.plan.checkpoint import Search
from rfcalc.plan.cuts import cuts
from rfcalc.plan.memory import OPTIMIZERS, Memory
from rfcalc.plan.patch import boxes, patched
from rfcalc.receptive.region_walk import regions
from rfcalc.report import schemas

SCHEMA = schemas.schema("memory")


def step_peak(memory: Memory) -> int:
    """The predicted peak of forward and backward, without the optimizer."""
    fixed = memory.constant["weights"] + memory.constant["buffers"]
    return fixed + max(m.amount.at(memory.batch) for m in memory.moments)


def input_shapes(report: Report) -> list[torch.Tensor]:
    return [torch.randn(report.batch, *shape.dims) for shape in report.inputs.values()]


SMALL = [
    ("resnet18", "3x48x48", 1),
    ("resnet18", "3x48x48", 4),
    ("mobilenet-v2", "3x48x48", 2),
    ("squeezenet1.1", "3x64x64", 2),
    ("unet-padded", "1x64x64", 2),
    ("tcn", None, 3),
]
LARGE = [
    ("resnet50", "3x64x64", 2),
    ("densenet121", "3x64x64", 2),
    ("googlenet-torchvision", "3x96x96", 2),
    ("shufflenet-v2", "3x64x64", 2),
    ("inception-v3", "3x299x299", 2),
    ("resnext50", "3x64x64", 2),
    ("deeplabv3-resnet50", "3x65x65", 2),
    ("xception", "3x96x96", 2),
]


@pytest.mark.parametrize(
    ("name", "shape", "batch"), [*SMALL, *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in LARGE)]
)
def test_the_peak_of_a_step_is_what_lives_in_pytorch(name: str, shape: str | None, batch: int) -> None:
    report = rfcalc.analyze(name, shape, batch=batch)
    module = to_torch(
        report.network, dict(zip(report.network.inputs, report.inputs.values(), strict=True)), in_place=True
    )
    assert step_peak(Memory(report)) == training_peak(module, *input_shapes(report))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


class Net(nn.Module):
    def __init__(self, blocks: int = 4, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


@pytest.mark.parametrize("frozen", [(), ("stem",), ("stem", "blocks.0"), ("blocks.1", "blocks.2"), ("blocks",)])
def test_frozen_parts(frozen: tuple[str, ...]) -> None:
    module = Net()
    report = Report(from_torch(module, "3x16x16").network, batch=2)
    memory = Memory(report, freeze=frozen)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not any(name.startswith(f"{part}.") for part in frozen))
    x = torch.randn(2, 3, 16, 16)
    assert memory.trainable == sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert memory.kept == kept(module, x)
    assert step_peak(memory) == training_peak(module, x)


class Mixed(nn.Module):
    """Kinds whose backward makes or keeps more than gradients of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.norm = nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.LayerNorm(6)
        self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 6, bias=False)
        self.slopes, self.wider = nn.PReLU(), nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.group, self.head = nn.GroupNorm(2, 4), nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn(self.conv1(x)))
        x = self.conv2(x) + x
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        x = self.down(nn.functional.gelu(self.up(tokens))).transpose(1, 2).reshape(x.shape)
        return self.head(self.group(self.wider(self.slopes(x)))).mean((2, 3))


def same_step(module: nn.Module, shape: tuple[int, ...], batch: int = 2) -> None:
    """What is trained, what is kept and the peak of a step are PyTorch's."""
    memory = Memory(Report(from_torch(module, shape, training=True).network, batch=batch))
    x = torch.randn(batch, *shape)
    assert memory.trainable == sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert memory.kept == kept(module, x)
    assert step_peak(memory) == training_peak(module, x)


@pytest.mark.parametrize("seed", range(16))
def test_parameters_without_gradients_are_those_of_the_module(seed: int) -> None:
    draw, module = random.Random(seed), Mixed()
    for parameter in list(module.parameters())[:-1]:
        parameter.requires_grad_(draw.random() > (0, 0.2, 0.5, 0.8)[seed % 4])
    same_step(module, (3, 8, 8))


class Apart(nn.Module):
    """A function of the input and of modules."""

    def __init__(self, function: Callable[..., torch.Tensor], *held: nn.Module) -> None:
        super().__init__()
        self.function, self.held = function, nn.ModuleList(held)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.held)


def conv(channels: int = 4, out: int = 4, kernel: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, padding=kernel // 2)


STEPS: dict[str, tuple[Callable[..., torch.Tensor], Sequence[nn.Module]]] = {
    "a factor that has no gradient": (lambda x, c: c(x) * x, [conv(3, 3)]),
    "a gate": (
        lambda x, c, g, d: d(c(x) * torch.sigmoid(g(c(x).mean((2, 3), keepdim=True)))),
        [conv(3), conv(), conv(4, 4, 3)],
    ),
    "local response": (lambda x, c, n, d: d(n(c(x))), [conv(3, 8), nn.LocalResponseNorm(5), conv(8, 4, 3)]),
    "instances": (lambda x, c, n: n(c(x)), [conv(3), nn.InstanceNorm2d(4, affine=True)]),
    "slopes below nought, apart": (
        lambda x, c, n, d: d(nn.functional.leaky_relu(n(c(x)))),
        [conv(3), nn.InstanceNorm2d(4), conv(4, 4, 3)],
    ),
    "slopes below nought, in place": (
        lambda x, c, n, d: d(nn.functional.leaky_relu(n(c(x)), inplace=True)),
        [conv(3), nn.InstanceNorm2d(4), conv(4, 4, 3)],
    ),
    "slopes": (lambda x, c, n: n(c(x)), [conv(3), nn.PReLU(4)]),
    "the larger, shared weights": (lambda x, c, d: d(torch.maximum(c(x), d(x))), [conv(3, 3), conv(3, 3, 3)]),
    "a quotient": (lambda x, c, d: c(x) / (1 + d(x).square()), [conv(3), conv(3)]),
    "chunks": (lambda x, c, d: d(torch.cat(c(x).chunk(2, 1)[::-1], 1)), [conv(3), conv(4, 3, 3)]),
    "a learned factor": (lambda x, c, f, d: d(c(x) * f.weight), [conv(3), nn.PReLU(), conv(4, 3, 3)]),
    "attention": (
        lambda x, c, a, d: d(a(*[c(x).flatten(2).transpose(1, 2)] * 3, need_weights=False)[0]),
        [conv(3, 8), nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 4)],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_backward_makes_for_a_moment(name: str) -> None:
    function, held = STEPS[name]
    same_step(Apart(function, *held), (3, 8, 8))


class Holding(nn.Module):
    """Buffers of all sorts, one of them twice, and parameters that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.unused = conv(3), nn.BatchNorm2d(4), nn.Linear(20, 30)
        self.register_buffer("table", torch.randn(7, 9))
        self.register_buffer("part", self.table[:3], persistent=False)
        self.register_buffer("mask", torch.ones(50, dtype=torch.bool))
        self.register_buffer("wide", torch.randn(1, 5).expand(40, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


def test_the_largest_batch_where_a_library_rounds_to_pages() -> None:
    network, budget = rfcalc.load("lstm16 > linear4", "10x8"), 200_000
    batch = Memory(Report(network, "10x8")).largest_batch(budget).batch
    peaks = [Memory(Report(network, "10x8", batch=b)).peak.bytes for b in (batch, batch + 1)]
    assert peaks[0] <= budget < peaks[1]


def test_every_buffer_and_every_parameter_of_a_module_is_counted() -> None:
    module, x = Holding(), torch.randn(2, 3, 8, 8)
    memory = Memory(Report(from_torch(module, (3, 8, 8), training=True).network, batch=2))
    assert memory.constant["buffers"] == 2 * 4 * 4 + 8 + 7 * 9 * 4 + 50 + 5 * 4
    assert memory.constant["weights"] == sum(4 * p.numel() for p in module.parameters())
    assert sum(live.bytes for live in memory.peak.live) == memory.peak.bytes
    assert step_peak(memory) == training_peak(module, x)
    half = rfcalc.memory(Holding(), "3x8x8", dtype="float16", infer=True).memory
    assert half.constant["buffers"] == 2 * 4 * 2 + 8 + 7 * 9 * 2 + 50 + 5 * 2


def test_a_notation_has_the_counters_that_its_module_has() -> None:
    notation, module = rfcalc.memory("resnet18").memory, rfcalc.memory(models().resnet18(), "3x224x224").memory
    assert notation.constant["buffers"] == module.constant["buffers"] == 4 * 9_600 + 8 * 20
    assert notation.peak.bytes == module.peak.bytes


def test_whole_numbers_as_inputs_take_their_own_bytes() -> None:
    module = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5))
    memory = Memory(Report(from_torch(module, "int64:12", training=True).network, batch=3))
    x = torch.randint(0, 50, (3, 12))
    assert memory.kept == kept(module, x)
    module.zero_grad()
    assert step_peak(memory) == training_peak(module, x)


class Placed(nn.Module):
    """A learned map that is put beside each item's, or a map of which a part is written over."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.table, self.whole = conv(3), nn.Parameter(torch.zeros(1, 4, 8, 8)), True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if self.whole:
            return torch.cat([self.table.expand(len(x), -1, -1, -1), x], 1)
        x[:, :, 1:] += x.sigmoid().mean()
        return x


def test_what_is_not_told_to_the_byte_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["memory", "lstm16 > linear4", "--input", "10x8"]) == 0
    assert "not to the byte" not in capsys.readouterr().out
    assert run(["memory", "gru16 > gru8 > linear4", "--input", "10x8"]) == 0
    assert "not to the byte: gru1, gru2" in " ".join(capsys.readouterr().out.split())
    found = rfcalc.memory("lstm16 > gru8 > linear4", "10x8").to_dict()
    jsonschema.validate(found, SCHEMA)
    assert [one["nodes"] for one in found["inexact"]] == [["lstm1", "gru1"]]
    assert not rfcalc.memory("gru16 > linear4", "10x8").memory.inexact
    part = nn.GRU(8, 4, batch_first=True)
    part.weight_hh_l0.requires_grad_(False)
    assert "parameters are frozen" in rfcalc.memory(part, "10x8").memory.inexact[0][0]
    assert rfcalc.memory("lstm16 > linear4", "10x8", amp="bf16").memory.inexact
    computed = Apart(lambda x, c, d: c(x) + d(torch.arange(24.0).view(1, 3, 8, 1).sin()), conv(3), conv(3))
    assert not rfcalc.memory(computed, "3x8x8").memory.inexact  # PyTorch's own run takes the same
    (told,) = rfcalc.memory(computed, "3x8x8", round_blocks=True).memory.inexact  # of which it knows nothing
    assert "computed in every step" in told[0]
    normed = nn.Sequential(conv(3), nn.utils.parametrizations.weight_norm(conv(4)))
    assert [nodes for _, nodes in rfcalc.memory(normed, "3x8x8").memory.inexact] == [("1",)]
    assert not rfcalc.memory("resnet18").memory.inexact
    placed = Placed()
    assert not rfcalc.memory(placed, "3x8x8").memory.inexact  # PyTorch's own run comes to the same bytes
    assert [nodes for _, nodes in rfcalc.memory(placed, "3x8x8", device="cuda").memory.inexact] == [("table",)]
    assert not rfcalc.memory(placed, "3x8x8", batch=2).memory.inexact
    placed.whole = False
    (parts,) = rfcalc.memory(placed, "3x8x8", batch=2).memory.inexact
    assert "a part of a map" in parts[0]
    biased = nn.Sequential(conv(3), conv(4))
    assert not rfcalc.memory(biased, "3x8x8").memory.inexact
    biased[1].weight.requires_grad_(False)
    assert "only its biases" in rfcalc.memory(biased, "3x8x8").memory.inexact[0][0]
    assert not rfcalc.memory("lstm16 > linear4", "10x8", infer=True).memory.inexact


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"optimizer": None}, "unknown optimizer 'none'"),
        ({"optimizer": ""}, "unknown optimizer ''"),
        ({"amp": True}, "unknown mixed precision 'true'"),
        ({"device": None}, "unknown device 'none'"),
        ({"largest": None}, "unknown largest 'none'"),
        ({"freeze": "relu1"}, "--freeze relu1 freezes nothing"),
        ({"freeze": [3]}, "--freeze 3 freezes nothing"),
        ({"budget": "0 B"}, "'0 B' is no budget"),
        ({"budget": 0.5}, "0.5 is no budget"),
        ({"patch": True, "most_work": "x"}, "most work x bounds nothing"),
    ],
    ids=str,
)
def test_what_is_no_answer_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(RfcalcError, match=told.replace("(", r"\(")):
        rfcalc.memory("conv3-4 > relu", "3x8x8", **given)


def test_a_pattern_may_stand_alone_and_bytes_have_no_prefix() -> None:
    assert rfcalc.memory("lenet5", freeze="C1").memory.freeze == ("C1",)
    assert [rfcalc.memory("lenet5", budget=b).budget for b in ("320 B", "320bytes", 2e9)] == [320, 320, 2_000_000_000]


EXACT = [
    *("resnet18", "mobilenet_v2", "densenet121", "shufflenet_v2_x1_0", "squeezenet1_1", "mnasnet1_0", "regnet_y_400mf"),
    *("googlenet", "resnext50_32x4d", "mobilenet_v3_small"),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", EXACT)
def test_torchvision_models(name: str, batch: int) -> None:
    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    module = models().get_model(name, weights=None, **more)
    network = from_torch(module, (3, 64, 64), training=True).network
    memory, x = Memory(Report(network, batch=batch)), torch.randn(batch, 3, 64, 64)
    assert memory.kept == kept(module, x)
    assert step_peak(memory) == training_peak(module, x)
    assert Memory(Report(network, batch=batch), amp="bf16").kept == kept(module, x, amp=True)


@pytest.mark.exhaustive
def test_the_tracker_of_pytorch_agrees() -> None:
    """MemTracker on fake tensors: the same peak without the input, which it does not see."""
    with FakeTensorMode():
        module, x = models().resnet18(), torch.randn(4, 3, 64, 64)
        tracker = MemTracker()
        tracker.track_external(module)
        with tracker:
            y = module(x)
            torch.autograd.backward([y], [torch.ones_like(y)])
        (told,) = tracker.get_tracker_snapshot("peak").values()
    memory = Memory(Report(from_torch(models().resnet18(), (3, 64, 64), training=True).network, batch=4))
    assert step_peak(memory) == told["Total"] + x.numel() * 4


def test_mixed_precision_keeps_what_pytorch_keeps() -> None:
    report = rfcalc.analyze("resnet18", batch=4)
    memory = Memory(report, amp="bf16")
    assert memory.kept == 70_967_168
    module = to_torch(report.network, in_place=True)
    assert memory.kept == kept(module, *input_shapes(report), amp=True)


def random_network(seed: int) -> Network:
    """Convolutions, normalisation, activations, pools, skips and concatenations, some inside others."""
    draw = random.Random(seed)

    def chain(width: int, depth: int) -> tuple[str, int]:
        steps: list[str] = []
        for _ in range(draw.randint(1, 3)):
            kind = draw.choice(["conv", "conv", "bn", "relu", "relu6", "sigmoid", "add", "concat", "pool", "gelu"])
            if kind == "conv":
                width = draw.choice([2, 4, 6])
                steps.append(f"conv{draw.choice([1, 3])}-{width}")
            elif kind == "pool":
                steps.append(draw.choice(["maxpool3/1 p1", "avgpool3/1 p1"]))
            elif kind == "add" and depth:
                inner, _ = chain(width, depth - 1)
                steps.append(f"(({inner} > conv1-{width}) + identity)")
            elif kind == "concat" and depth:
                inner, made = chain(width, depth - 1)
                steps.append(f"(({inner}) | conv1-2)")
                width = made + 2
            elif kind in ("bn", "relu", "relu6", "sigmoid", "gelu"):
                steps.append(kind)
        return " > ".join(steps or ["relu"]), width

    return rfcalc.load(f"input: 3x6x6; conv3-4 > {chain(4, 2)[0]} > conv1-2")


def check_random(seeds: range) -> None:
    for seed in seeds:
        network = random_network(seed)
        report = Report(network, batch=2)
        module = to_torch(network, in_place=True)
        memory = Memory(report)
        assert memory.kept == report.totals.saved_bytes, network
        assert step_peak(memory) == training_peak(module, *input_shapes(report)), network


def test_random_networks() -> None:
    check_random(range(60))


@pytest.mark.exhaustive
def test_many_random_networks() -> None:
    check_random(range(1000, 4000))


def test_the_check_sees_a_map_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rfcalc.Concat, "hands_gradient_on", False)
    with pytest.raises(AssertionError):
        check_random(range(60))


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1.0", "unet", "lenet5", "fpn-resnet18"])
def test_sums(name: str) -> None:
    report = rfcalc.analyze(name)
    memory, running = Memory(report), Memory(report, infer=True)
    assert memory.peak.bytes == sum(x.bytes for x in memory.peak.live)
    assert memory.kept == report.totals.saved_bytes
    assert running.peak.bytes == sum(running.constant.values()) + report.totals.peak_bytes
    if name == "squeezenet1.0":  # with the indices of max pooling, as `table` has them
        assert report.totals.peak_bytes == 7_921_536
    assert sum(s["kept"] for s in memory.stages().values()) <= memory.kept
    assert memory.terms["optimizer"] == 2 * memory.terms["gradients"] == 8 * report.totals.params


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_hold_what_pytorch_holds(optimizer: str) -> None:
    module = nn.Linear(8, 8, bias=False)
    kinds = {
        "sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "adamw": torch.optim.AdamW,
        "amsgrad": lambda p: torch.optim.Adam(p, amsgrad=True),
        "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam,
        "rmsprop": torch.optim.RMSprop,
    }
    if optimizer == "lion":  # one average; PyTorch has none
        return
    made = kinds.get(optimizer) or getattr(torch.optim, optimizer.capitalize())
    one = made(module.parameters())
    module(torch.ones(1, 8)).sum().backward()
    one.step()
    state = [t for s in one.state.values() for t in s.values() if isinstance(t, torch.Tensor) and t.dim() > 0]
    assert sum(t.numel() for t in state) == OPTIMIZERS[optimizer] * 64


def test_the_largest_batch_fits_and_the_next_does_not() -> None:
    for name, budget in (("resnet18", 10**9), ("vgg16", 6 * 10**9), ("tcn", 10**8), ("mobilenet-v2", 3 * 10**8)):
        network = rfcalc.load(name)
        batch = Memory(Report(network)).largest_batch(budget).batch
        assert batch > 0
        assert Memory(Report(network, batch=batch)).peak.bytes <= budget
        assert Memory(Report(network, batch=batch + 1)).peak.bytes > budget
        one = Memory(Report(network))
        assert one.largest_batch(10**6).batch == 0
        assert one.single_peak == one.peak.bytes
        assert one.largest_batch(one.single_peak).batch == 1
        assert one.largest_batch(one.single_peak - 1).batch == 0


@pytest.mark.parametrize("seed", range(8))
def test_rounded_blocks(seed: int) -> None:
    """Every tensor as PyTorch's allocator rounds it, against the storages of the module, rounded one by one."""
    network = random_network(seed) if seed else rfcalc.load("resnet18")
    shapes = None if seed else "3x40x40"
    report = Report(network, shapes, batch=3)
    module = to_torch(network, None if seed else report.inputs, in_place=True)
    memory = Memory(report, block=512)
    assert step_peak(memory) == training_peak(module, *input_shapes(report), block=512)
    assert step_peak(memory) > step_peak(Memory(report))
    for budget in (memory.peak_bytes, memory.peak_bytes - 1, 3 * memory.peak_bytes):
        batch = memory.largest_batch(budget).batch
        peaks = [Memory(Report(network, shapes, batch=b), block=512).peak_bytes for b in (batch, batch + 1) if b]
        assert [p <= budget for p in peaks] == ([True, False] if batch else [False])


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("conv3-4 > conv3-4/2 > relu > conv3-4", "3x8x8"),
        ("conv3-4 p0 > maxpool2 > (conv3-4 > convt2-4/2 p0) > conv1-2", "3x12x12"),
        ("conv3-4 > (identity | (maxpool2 > maxpool2 > conv3-4 > up4)) > conv1-2", "1x8x16"),
        ("conv5-4/2 > conv3-4", "2x40"),
        ("conv3-4 > maxpool2 > flatten > fc10", "1x8x8"),
    ],
)
@pytest.mark.parametrize("infer", [False, True])
def test_the_largest_input_is_that_of_brute_force(text: str, base: str, infer: bool) -> None:
    network, given = rfcalc.load(text), rfcalc.Shape.parse(base)
    step = given.spatial if len(set(given.spatial)) > 1 else (1,) * given.rank
    step = tuple(n // math.gcd(*step) for n in step)
    params = Report(network, given).totals.params
    peaks = {}
    for k in range(1, 60):
        shape = rfcalc.Shape(given.channels, *(n * k for n in step))
        try:
            report = Report(network, shape)
        except RfcalcError:
            continue
        if report.totals.params == params:
            peaks[shape.dims] = Memory(report, infer).peak_bytes
    assert peaks
    for budget in sorted({*peaks.values(), *(p - 1 for p in peaks.values())})[:-1]:
        found = rfcalc.memory(text, base, infer=infer, budget=budget, largest="input").largest_input
        best = max((dims for dims, peak in peaks.items() if peak <= budget), default=None, key=lambda d: d[-1])
        assert (found.shapes and found.shapes["input"].dims) == best


# recomputation


@pytest.mark.parametrize("chosen", [(0,), (1, 2), (0, 1, 2, 3)])
def test_recomputation_is_simulated_exactly(chosen: tuple[int, ...]) -> None:
    module, plain = Net(), Net()
    plain.load_state_dict(module.state_dict())
    report = Report(from_torch(Net(), "3x16x16").network, batch=2)
    names = [node.name for node in report.network.nodes]
    spans = []
    for i in chosen:
        inside = [p for p, name in enumerate(names, 1) if name.startswith(f"blocks.{i}.")]
        spans.append((inside[0], inside[-1]))
        forward = module.blocks[i].forward
        module.blocks[i].forward = lambda x, forward=forward: checkpoint(forward, x, use_reentrant=False)
    memory = Memory(report)
    fixed = memory.constant["weights"] + memory.constant["buffers"]
    predicted = fixed + max(m.amount.at(2) for m in memory.run(spans).moments())
    x = torch.randn(2, 3, 16, 16)
    assert predicted == training_peak(module, x)
    plain.train()(x).sum().backward()
    for parameter in module.parameters():
        parameter.grad = None
    module.double()(x.double()).sum().backward()
    for one, other in zip(module.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one.grad.float(), other.grad, atol=1e-4)


def test_the_emitted_code_wraps_the_module_and_the_peak_is_as_planned() -> None:
    report = Report(from_torch(Net(6), "3x16x16").network, batch=2)
    memory = Memory(report, optimizer="sgd")
    search = Search(memory)
    plan = search.plan(memory.peak.bytes * 3 // 4)
    assert plan is not None
    scope: dict[str, object] = {}
    exec(plan.source(), scope)
    module = scope["recompute"](Net(6))  # type: ignore[operator]
    assert training_peak(module, torch.randn(2, 3, 16, 16)) == plan.peak <= memory.peak.bytes * 3 // 4


PLANNED = [*EXACT, "vgg11_bn", "efficientnet_b0", "mobilenet_v3_large", "resnet50", "densenet161", "shufflenet_v2_x0_5"]


def planned(name: str, batch: int = 2) -> tuple[int, int, int, int]:
    """A plan of recomputation within a budget, applied to one of torchvision's models by the code that is emitted: the
    plan's peak, the module's own, the peak without a plan, the modules that run again. Gradients must be equal."""
    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    module = models().get_model(name, weights=None, **more).train()
    memory = Memory(Report(from_torch(module, (3, 64, 64), training=True).network, batch=batch), optimizer="sgd")
    search = Search(memory)
    least = min(search.curve(), key=lambda plan: plan.peak)
    plan = search.plan((memory.peak.bytes + least.peak) // 2) or least
    x = torch.randn(batch, 3, 64, 64)
    scope: dict[str, Any] = {}
    exec(plan.source(), scope)
    again = scope["recompute"](copy.deepcopy(module))
    peak = training_peak(again, x)
    gradients = []
    for one in (copy.deepcopy(module), scope["recompute"](copy.deepcopy(module))):
        torch.manual_seed(1)
        one.double()(x.double()).square().sum().backward()
        gradients.append([p.grad for p in one.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert (a is None and b is None) or torch.equal(a, b), name
    return plan.peak, peak, memory.peak.bytes, len(plan.runs)


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_plans_applied_to_torchvision_models(name: str) -> None:
    told, real, whole, count = planned(name)
    assert told == real < whole
    assert count


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PLANNED)
def test_plans_applied_to_more_torchvision_models(name: str) -> None:
    told, real, whole, count = planned(name)
    print(f"{name}: {count} modules, {whole:,} -> {told:,} planned, {real:,} live")
    assert abs(told - real) <= (0 if name in EXACT and name != "densenet121" else real // 200)


def test_plans_equal_brute_force() -> None:
    report = Report(from_torch(Net(4), "3x12x12").network, batch=2)
    memory = Memory(report, optimizer="sgd")
    search = Search(memory)
    modules = sorted(search._modules)
    every = []
    for count in range(len(modules) + 1):
        for chosen in itertools.combinations(modules, count):
            if any(a[1] >= b[0] for a, b in itertools.pairwise(chosen)):
                continue
            peak = max(memory.bytes_at(m) for m in memory.run(chosen).moments())
            every.append((sum(sum(search.macs[a : b + 1]) for a, b in chosen), peak))
    peaks = sorted({peak for _, peak in every})
    assert len(peaks) > 3
    for budget in [*peaks, *(p - 1 for p in peaks)]:
        best = min((extra for extra, peak in every if peak <= budget), default=None)
        plan = search.plan(budget)
        assert (plan.extra_macs if plan else None) == best
        assert plan is None or (plan.optimal and plan.peak <= budget)


# devices


def test_known_peak_of_mobilenet() -> None:
    report = rfcalc.analyze("mobilenet-v2", dtype="int8")
    assert max(live(report, layout(report), 1)) == 96 * 112**2 + 96 * 56**2 == 1_505_280


def test_the_convention_behind_published_patches() -> None:
    """MCUNetV2 (Lin et al. 2021, table 1): 1,372 and 172 KiB, the image and the maps that skips keep left out."""
    report = rfcalc.analyze("mobilenet-v2", dtype="int8")
    laid = layout(report)
    plan = patched(report, laid, report.network.position("block4.project"), (4, 4), 1, count_input=False)
    assert report.shapes[report.network.position("block4.project")].dims == (32, 28, 28)
    assert plan.patch_bytes == 170_432 < 172 * 1024
    assert plan.rest_bytes == (192 + 32 + 32) * 28**2
    bytes_of = dict(zip([row.name for row in report], live(report, laid, 1, count_input=False)[1:], strict=True))
    assert bytes_of["block2.expand"] == (16 + 96) * 112**2 == 1372 * 1024
    assert bytes_of["block5.expand"] == (32 + 192) * 28**2 == 175_616
    assert round(175_616 / 1024) == 172
    assert bytes_of["block5.depthwise"] == 175_616 + 28**2, "in place, with a copy of one channel"


def test_arenas_equal_brute_force() -> None:
    draw = random.Random(7)
    for _ in range(150):
        wanted = []
        for i in range(draw.randint(3, 6)):
            first = draw.randint(0, 5)
            wanted.append((draw.randint(1, 9), first, first + draw.randint(0, 4), str(i)))
        best = min(_height(_first_fit(list(p)), list(p)) for p in itertools.permutations(wanted))
        search = _Search(wanted, _bound(wanted), _height(_first_fit(wanted), wanted) + 1, 10.0)
        offsets = search.run()
        assert offsets is not None
        assert search.exhausted
        assert _height(offsets, wanted) == best
        for (a, at), (b, to) in itertools.combinations(zip(wanted, offsets, strict=True), 2):
            together = a[1] <= b[2] and b[1] <= a[2]
            assert not together or at + a[0] <= to or to + b[0] <= at


def packed(draw: random.Random, count: int, seconds: float) -> bool:
    """An arena of a random graph with long skips: no two maps overlap; whether it is proven to be the least."""
    text, size = [], 1
    for i in range(count):
        size = draw.randint(1, 40)
        text.append((f"c{i}", Conv(size, 1), (f"c{i - 1}",) if i else ()))
    nodes = []
    for i, (name, layer, sources) in enumerate(text):
        nodes.append((name, layer, sources or ("input",)))
        if i > 1 and draw.random() < 0.3:
            name = f"j{i}"
            nodes.append((name, rfcalc.Concat(), (f"c{i}", f"c{draw.randrange(max(0, i - 9), i)}")))
    network = Network.from_nodes(nodes)
    report = Report(network, "3x4x4")
    found = arena(report, layout(report), 1, seconds=seconds)
    for a, b in itertools.combinations(found.placed, 2):
        together = a.first <= b.last and b.first <= a.last
        assert not together or a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
    assert found.bound <= found.bytes
    return found.optimal


def test_arenas_of_graphs_of_60_maps_are_the_least() -> None:
    draw = random.Random(20)
    assert all(packed(draw, draw.randint(10, 40), 10.0) for _ in range(40))


@pytest.mark.parametrize("name", ["unet", "unet-padded", "googlenet", "squeezenet1.0", "lenet5", "tcn"])
def test_arenas_of_the_zoo_are_the_least(name: str) -> None:
    report = rfcalc.analyze(name)
    assert arena(report, layout(report), 1).optimal


@pytest.mark.parametrize(
    "text",
    [
        "input: 3x12x12; conv3-8 > relu > conv3-8 > relu > maxpool2 > conv3-4",
        "input: 3x12x12; conv3-8 > ((conv3-8 > relu > conv3-8) + identity) > relu > conv1-4",
        "input: 3x12x12; conv3-8 > (conv1-4 | (conv1-2 > conv3-4) | maxpool3/1 p1) > relu > conv3-4 > maxpool2",
        "input: 3x12x12; conv1-8 > dwconv3 > conv1-4 > dwconv5 m2 > dwconv3/2",
        "input: 3x12x12; a=conv3-6 > maxpool2 > b=conv3-8 > up2 > (identity | @a) > conv3-4",
    ],
)
def test_a_network_runs_in_its_arena(text: str) -> None:
    """From what lies in its bytes; with every map at the bottom it does not (a control)."""
    report = rfcalc.analyze(text)
    laid, parts = layout(report, fold_bn=False), Parts(report, 1)
    placed = arena(report, laid, ITEM, align=ITEM)
    assert torch.equal(in_arena(report, laid, placed, parts), parts.whole()[-1])
    low = tuple(p._replace(offset=0) for p in placed.placed)
    with pytest.raises(AssertionError, match="overlap"):
        in_arena(report, laid, dataclasses.replace(placed, placed=low), parts)


@pytest.mark.parametrize(
    "text",
    [
        "input: 2x17x19; conv3-4/2 > conv3-4 > maxpool3/2 p1 > conv5-4",
        "input: 2x16x16; conv3-4 > ((conv3-4 > conv3-4) + identity) > conv3-4/2 > conv3-2",
        "input: 2x16x16; conv3-4/2 > convt4-4/2 p1 > conv3-4",
    ],
)
def test_patches_read_what_units_see(text: str) -> None:
    """The box that a patch needs of every map is the hull of the regions of its units, which come by another road."""
    report = rfcalc.analyze(text)
    walked = report
    cut = len(walked.shapes) - 1
    shape = walked.shapes[cut]
    draw = random.Random(3)
    for _ in range(12):
        box = [(0, int(shape.dims[0]))]
        for n in shape.dims[1:]:
            low = draw.randrange(n)
            box.append((low, draw.randint(low + 1, n)))
        found = boxes(walked, cut, tuple(box))
        for source in range(cut):
            seen = regions(walked, cut, source)
            hulls = [seen.unit((y, x)).hull for y in range(*box[1]) for x in range(*box[2])]
            for axis in (0, 1):
                ends = [h[axis] for h in hulls if h[axis] is not None]
                low, high = min(e[0] for e in ends), max(e[1] for e in ends) + 1
                assert found[source] is not None
                assert found[source][axis + 1][0] <= low
                assert found[source][axis + 1][1] >= high


def test_patches_of_one_map_cost_nothing_more() -> None:
    report = rfcalc.analyze("input: 3x16x16; conv1-8 > conv1-8 > maxpool2 > conv1-4", dtype="int8")
    laid = layout(report)
    for cut in cuts(report, laid.own):
        plan = patched(report, laid, cut, (2, 2), 1)
        assert plan.ratio == 1
    walked = rfcalc.analyze("input: 3x16x16; conv3-8 > conv3-8")
    plan = patched(walked, layout(walked), 2, (2, 2), 1)
    assert plan.patched_macs - plan.macs == 8 * 27 * (4 * 81 - 256), "each 8 x 8 patch computes 9 x 9 of the first map"


# the command line


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["memory", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["resnet18", "--batch", "4"], 0),
        (["resnet18", "--budget", "24GB"], 0),
        (["resnet18", "--budget", "24GB", "--amp", "bf16", "--optimizer", "AdamW", "--freeze", "layer1"], 0),
        (["resnet18", "--budget", "1MB"], 1),
        (["resnet18", "--budget", "1GB", "--round-blocks"], 0),
        (["resnet18", "--budget", "1GB", "--largest", "input"], 0),
        (["resnet18", "--budget", "1MB", "--largest", "input"], 1),
        (["resnet18", "--batch", "8", "--checkpoint"], 0),
        (["resnet18", "--batch", "8", "--checkpoint", "--budget", "100MB"], 1),
        (["mobilenet-v2", "--infer", "--dtype", "int8", "--arena"], 0),
        (["mobilenet-v2", "--patch", "--dtype", "int8", "--fold-bn"], 0),
        (["mobilenet-v2", "--patch", "--dtype", "int8", "--budget", "1KB"], 1),
        (["mobilenet-v2", "--patch", "--dtype", "int8", "--budget", "9MB"], 0),
        (["conv3-4 > conv3-4 > conv3-4", "--input", "2x3x3", "--patch", "--rolling"], 1),
        (["conv3-8 > relu", "--timeline"], 0),
    ],
)
def test_json_follows_its_schema(capsys, arguments: list[str], code: int) -> None:
    found, out, _ = call(capsys, *arguments, "--json")
    assert found == code
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    peak = document["peak"]
    assert peak["bytes"] == sum(x["bytes"] for x in peak["live"]) == max(m["bytes"] for m in document["timeline"])
    for form in ("plain", "markdown", "latex", "html", "csv"):
        assert call(capsys, *arguments, "--format", form)[0] == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet18", "--optimizer", "adm"], ["did you mean adam"]),
        (["resnet18", "--amp", "int4"], ["int4", "bf16"]),
        (["resnet18", "--freeze", "layr1"], ["--freeze layr1 freezes nothing", "did you mean"]),
        (["resnet18", "--freeze", "maxpool"], ["freezes nothing", "have no parameters"]),
        (["resnet18", "--budget", "many"], ["is no budget"]),
        (["resnet18", "--budget", "0"], ["is no budget"]),
        (["resnet18", "--device", "tpu"], ["tpu", "cpu"]),
        (["resnet18", "--infer", "--checkpoint"], ["in training only"]),
        (["resnet18", "--largest", "input"], ["which memory", "--budget 24GB"]),
        (["resnet18", "--largest", "image", "--budget", "1GB"], ["image", "batch", "input"]),
        (["fc10", "--input", "5", "--largest", "input", "--budget", "1GB"], ["no axis", "--largest batch"]),
        (["resnet18", "--arena", "--largest", "input", "--budget", "1GB"], ["leave --arena"]),
        (["conv3-C"], ["conv3-C"]),
        (["resnet18", "--dtype", "int8"], ["int8 has no gradients", "--infer"]),
        (["resnet18", "--dtype", "float16", "--amp", "bf16"], ["nothing to lower", "float16"]),
        (["resnet18", "--infer", "--freeze", "layer1"], ["no gradients to freeze", "leave"]),
        (["resnet18", "--infer", "--optimizer", "sgd"], ["no optimizer"]),
        (["resnet18", "--no-input"], ["is for devices", "--arena"]),
        (["resnet18", "--arena", "--timeline"], ["moment by moment", "leave --timeline out"]),
    ],
)
def test_bad_input(capsys, arguments: list[str], words: list[str]) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


def test_the_picture_of_a_step_is_written_by_its_ending(capsys, tmp_path: Path) -> None:
    for ending, begins in (("svg", b"<?xml"), ("tikz", b"% needs"), ("html", b"<!")):
        file = tmp_path / f"memory.{ending}"
        assert call(capsys, "lenet5", "--batch", "4", "-o", str(file))[0] == 0
        assert file.read_bytes().lower().startswith(begins.lower())
    code, _, err = call(capsys, "lenet5", "--infer", "--arena", "-o", str(tmp_path / "arena.svg"))
    assert code == 2
    assert "has no picture" in err
    code, _, err = call(capsys, "lenet5", "--infer", "--rolling")
    assert code == 2
    assert "--patch" in err


@pytest.mark.parametrize(
    ("more", "fix"), [("--patch 0.9", "1.1"), ("--patch --rolling nan", "1.1"), ("1.2", "--patch")]
)
def test_a_bound_on_work_that_bounds_nothing_is_refused(capsys, more: str, fix: str) -> None:
    *options, bound = more.split()
    code, out, err = call(capsys, "lenet5", "--infer", *options, "--most-work", bound)
    assert (code, out) == (2, "")
    assert fix in err


def test_python() -> None:
    found = rfcalc.memory(Conv(8, 3, padding=1), "3x8x8", batch=2, budget="1MB")
    assert found.largest is not None
    assert found.largest.batch > 2
    with pytest.raises(RfcalcError, match="is no budget"):
        rfcalc.memory("vgg16", budget=1.5)
