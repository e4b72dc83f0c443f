"""Edges of layer kinds that mutants showed, against PyTorch and against figures by hand."""

from __future__ import annotations

import itertools
import math
import random
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rfcalc
from rfcalc import (
    Activation,
    AttentionProduct,
    BatchNorm,
    Conv,
    ConvTranspose,
    Flatten,
    Gather,
    GroupNorm,
    InstanceNorm,
    Linear,
    Pad,
    Recurrent,
    Reduce,
    Reshape,
    RMSNorm,
    SelfAttention,
    Shape,
    Slice,
    Split,
    Upsample,
    WindowAttention,
)
from rfcalc.core.errors import LayerError, RfcalcError, ShapeError
from rfcalc.core.shape import corrected
from rfcalc.core.window import STEP, Slide, taps
from rfcalc.graph.strides import layout
from rfcalc.layers.conv import reduced
from rfcalc.plan.memory import Memory

# a kind, PyTorch's class, the first parameters in PyTorch's order, and the same call here by hand
TWINS: list[tuple[Any, Any, tuple[Any, ...], str]] = [
    (Conv, nn.Conv2d, (3, 64, 5, 2), "Conv(64, 5, stride=2)"),
    (ConvTranspose, nn.ConvTranspose2d, (3, 64, 5, 2), "ConvTranspose(64, 5, stride=2)"),
    (Linear, nn.Linear, (10, 20, False), "Linear(20, bias=False)"),
    (BatchNorm, nn.BatchNorm2d, (64,), "BatchNorm()"),
    (InstanceNorm, nn.InstanceNorm2d, (64,), "InstanceNorm()"),
    (RMSNorm, nn.RMSNorm, (64,), "RMSNorm()"),
    (GroupNorm, nn.GroupNorm, (4, 64), "GroupNorm(4)"),
    (SelfAttention, nn.MultiheadAttention, (64, 8), "SelfAttention(8)"),
]


@pytest.mark.parametrize(("kind", "twin", "given", "here"), TWINS)
def test_pytorchs_order_is_recognised(kind: Any, twin: Any, given: tuple[Any, ...], here: str) -> None:
    """What is proposed is the same call without the channels of the input, which come from the input here."""
    twin(*given)
    with pytest.raises(LayerError, match="PyTorch's order") as caught:
        kind(*given)
    assert str(caught.value.fix).startswith(f"write {here}")


@pytest.mark.parametrize(("start", "end"), [(0, 0), (1, 1), (2, 2), (-1, -1), (0, 1), (1, 2), (0, -1), (-2, -1)])
def test_flattening_as_pytorch_does_it(start: int, end: int) -> None:
    x = torch.zeros(3, 4, 5)
    assert Flatten(start, end).output(Shape(3, 4, 5)).dims == tuple(x.flatten(start, end).shape)


@pytest.mark.parametrize(("start", "end"), [(1, 0), (2, 1), (-1, 1)])
def test_flattening_backwards_is_refused_as_by_pytorch(start: int, end: int) -> None:
    with pytest.raises(RuntimeError):
        torch.zeros(3, 4, 5).flatten(start, end)
    with pytest.raises(ShapeError):
        Flatten(start, end).output(Shape(3, 4, 5))


PADS = [(a, b) for a in range(-2, 3) for b in range(-2, 3)]


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_brings_in_what_pytorch_brings_in(mode: str) -> None:
    """Values say which position they come from; of zeros none."""
    labels = torch.arange(1.0, 6.0)[None, None]
    for a, b in PADS:
        made = nn.functional.pad(labels, (a, b), "constant" if mode == "zeros" else mode)[0, 0]
        layer, x = Pad(((a, b),), mode), Shape(1, 5)
        y = layer.output(x)
        assert y.dims == (1, len(made))
        ((_, (out, index)),) = layer.reads((x,), y)[0]
        assert out == 1
        assert [list(taps(index, u, 5)) for u in range(len(made))] == [[int(v) - 1] if v else [] for v in made], (a, b)
        if (a <= 0 and b <= 0) or (a >= 0 and b >= 0):  # the same rule for every length
            assert isinstance(index, Slide), (a, b)


@pytest.mark.parametrize(("stride", "dilation"), [*itertools.product((1, 2, 3), repeat=2)])
def test_output_padding_is_refused_where_pytorch_refuses_it(stride: int, dilation: int) -> None:
    for extra in range(5):
        try:
            nn.ConvTranspose1d(1, 1, 3, stride, 0, extra, dilation=dilation)(torch.zeros(1, 1, 6))
        except RuntimeError:
            with pytest.raises(LayerError):
                ConvTranspose(1, 3, stride=stride, output_padding=extra, dilation=dilation)
        else:
            ConvTranspose(1, 3, stride=stride, output_padding=extra, dilation=dilation)


@pytest.mark.parametrize(
    ("mode", "corners"),
    [("nearest", False), ("nearest-exact", False), ("linear", False), ("linear", True), ("cubic", False)],
)
def test_resizing_reads_what_has_a_weight_in_pytorch(mode: str, corners: bool) -> None:
    """Every length to every length: the positions whose derivative is not zero; a cubic at a whole position has one."""
    for n, m in itertools.product(range(1, 7), repeat=2):
        x = torch.eye(n, dtype=torch.float64)[:, None]
        if mode == "cubic":
            made = nn.functional.interpolate(x[:, :, None], (1, m), mode="bicubic")[:, 0, 0]
        else:
            made = nn.functional.interpolate(x, m, mode=mode, align_corners=corners if mode == "linear" else None)[:, 0]
        right = [[p for p in range(n) if abs(made[p, u]) > 1e-12] for u in range(m)]
        for layer in [Upsample(size=m, mode=mode, align_corners=corners)] + (
            [Upsample(m // n, mode=mode, align_corners=corners)] if m % n == 0 else []
        ):
            ((_, (_, index)),) = layer.reads((Shape(1, n),), Shape(1, m))[0]
            assert [list(taps(index, u, n)) for u in range(m)] == right, (n, m, layer)
            assert index is STEP or n != m


def test_what_lies_where_after_a_reshape() -> None:
    """Labels of positions, laid out anew by NumPy; a unit holds all of its channels."""
    drawn = random.Random(3)
    for _ in range(150):
        x = Shape(*(drawn.randint(1, 4) for _ in range(drawn.randint(1, 3))), channel=0)
        x = Shape(*x.dims, channel=drawn.randrange(len(x.dims)))
        factors = [p for n in x.dims for p in {1: (), 2: (2,), 3: (3,), 4: (2, 2)}[n]]
        drawn.shuffle(factors)
        dims = [1] * drawn.randint(1, 4)
        for p in factors:
            dims[drawn.randrange(len(dims))] *= p
        channel = drawn.randrange(len(dims))
        layer = Reshape(tuple(dims), channel)
        y = layer.output(x)
        places = np.arange(math.prod(x.spatial)).reshape(x.spatial or (1,)[:0])
        labels = np.broadcast_to(np.expand_dims(places, x.channel), x.dims).reshape(dims)
        for unit in itertools.product(*(range(dims[i]) for i in y.axes)):
            held = np.moveaxis(labels, channel, -1)[unit].ravel()
            right = {tuple(int(i) for i in np.unravel_index(int(p), x.spatial)) if x.spatial else () for p in held}
            assert layer.source(unit, (x,), y) == right, (x, y, unit)


def test_positions_are_written_in_runs() -> None:
    assert [str(Gather(0, at).notation()) for at in ((7, 6, 5, 4), (0, 2, 4, 6), (1, 2), (3, 3, 3))] == [
        "gather axis0 at7:4",
        "gather axis0 at0,2,4,6",
        "gather axis0 at1,2",
        "gather axis0 at3,3,3",
    ]
    drawn = random.Random(4)
    for _ in range(200):
        at, p = [], drawn.randrange(9)
        for _ in range(drawn.randint(1, 9)):
            at.append(p)
            p = min(8, max(0, p + drawn.choice((-2, -1, -1, 0, 1, 1, 2))))
        text = Gather(1, tuple(at)).notation()
        assert rfcalc.analyze(text, "1x9").network.nodes[0].layer == Gather(1, tuple(at)), text


@pytest.mark.parametrize(("start", "told"), [(-4, -4), (-5, -5), (-6, 4), (-10, 0), (-12, 0), (3, 3), (8, 8)])
def test_a_start_near_the_beginning_is_counted_from_there(start: int, told: int) -> None:
    assert Slice(1, start).ended(Shape(2, 10), 1).start == told
    assert Slice(1, start).ended(Shape(2, 10), 0).start == start


@pytest.mark.parametrize("has", list(itertools.product((False, True), repeat=3)))
def test_gradients_of_products_of_attention_by_hand(has: tuple[bool, bool, bool]) -> None:
    """2 heads, 5 queries of 3, 7 keys, values of 4: the weights are 2·5·7; each gradient is a product of matrices."""
    q, k, v = (Shape(2, n, c, channel=2) for n, c in ((5, 3), (7, 3), (7, 4)))
    layer = AttentionProduct()
    y = layer.output(q, k, v)
    scores, mixed = 2 * 5 * 7 * 3, 2 * 5 * 7 * 4
    assert layer.cost((q, k, v), y).macs == scores + mixed
    of_weights = mixed if has[0] or has[1] else 0
    right = scores * has[0] + scores * has[1] + mixed * has[2] + of_weights
    assert layer.gradient_macs((q, k, v), y, scores + mixed, has) == right


@pytest.mark.parametrize("wide", [3, 4])
def test_what_attention_keeps_by_pytorch(wide: int) -> None:
    """The fused kernel takes queries and values of one width only."""
    given = [torch.randn(1, 2, n, c, requires_grad=True) for n, c in ((5, 3), (7, 3), (7, wide))]
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        made = nn.functional.scaled_dot_product_attention(*given)
    shapes = tuple(Shape(*t.shape[1:], channel=2) for t in given)
    saved = AttentionProduct().saved(shapes, AttentionProduct().output(*shapes))
    right = sum(given[i].numel() for i in saved.inputs) + saved.extra_values + saved.output * made.numel()
    assert right == sum(size for size in storages.values() if size > 2)  # but for the state of dropout


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_padding_and_cropping_go_as_far_as_pytorch_goes(n: int, mode: str) -> None:
    """And bring in what it brings in; where nothing is left to go around a circle, PyTorch gives what is in memory."""
    labels = torch.arange(1.0, n + 1)[None, None]
    for a, b in itertools.product(range(-6, 7), repeat=2):
        try:
            made = nn.functional.pad(labels, (a, b), "constant" if mode == "zeros" else mode)[0, 0]
        except RuntimeError:
            made = torch.zeros(0)
        layer, x = Pad(((a, b),), mode), Shape(1, n)
        try:
            y = layer.output(x)
        except ShapeError:
            assert not len(made) or (mode == "circular" and n + min(a, 0) + min(b, 0) < max(1, a, b)), (a, b)
            continue
        assert y.dims[1] == len(made), (a, b)
        ((_, (_, index)),) = layer.reads((x,), y)[0]
        assert [list(taps(index, u, n)) for u in range(len(made))] == [[int(v) - 1] if v else [] for v in made], (a, b)


def test_taps_of_a_kernel_that_is_used_in_part() -> None:
    drawn = random.Random(5)
    for _ in range(200):
        slide = Slide(drawn.randint(1, 3), drawn.randint(-2, 2), 6, drawn.randint(1, 3))
        used = tuple(sorted(drawn.sample(range(6), drawn.randint(1, 6))))
        for unit in range(4):
            all_taps = list(slide.taps(unit))
            assert list(reduced(slide, used).taps(unit)) == [all_taps[t] for t in used]
        if len(used) < 3 or len({b - a for a, b in itertools.pairwise(used)}) == 1:
            assert isinstance(reduced(slide, used), Slide)  # evenly spaced


KEPT_BY: dict[str, Any] = {
    "sum": lambda t: t.sum(1),
    "max": lambda t: t.max(1).values,
    "min": lambda t: t.min(1).values,
    "amax": lambda t: t.amax(1),
    "amin": lambda t: t.amin(1),
    "prod": lambda t: t.prod(1),
    "var": lambda t: t.var(1),
    "std": lambda t: t.std(1),
    "norm": lambda t: t.norm(dim=1),
    "logsumexp": lambda t: t.logsumexp(1),
}


@pytest.mark.parametrize("op", sorted(KEPT_BY))
def test_what_reductions_keep_by_pytorch(op: str) -> None:
    x = torch.rand(3, 4, 5, requires_grad=True)
    kept: list[tuple[tuple[int, ...], bool]] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append((tuple(t.shape), t.is_floating_point())) or t, lambda t: t
    ):
        KEPT_BY[op](x)
    layer, shape = Reduce(op, (1,)), Shape(3, 4, 5)
    saved = layer.saved((shape,), layer.output(shape))
    assert bool(saved.inputs) == any(s == (3, 4, 5) for s, _ in kept)
    assert saved.output == any(math.prod(s) == 15 and real for s, real in kept)
    assert saved.indices == sum(math.prod(s) for s, real in kept if not real)


@pytest.mark.parametrize("scale", [math.inf, math.nan, "0.1"])
def test_scales_that_are_no_numbers_are_refused(scale: Any) -> None:
    with pytest.raises(LayerError, match="scale"):
        AttentionProduct(scale=scale)


def test_a_list_of_one_size_is_written_with_a_cross() -> None:
    for layer in (Split((8,)), Split((3, 5)), Split(2)):
        assert rfcalc.analyze(layer.notation(), "8x4").network.nodes[0].layer == layer
    assert rfcalc.analyze("split8x", "8x4").network.nodes[0].layer == Split(1)


@pytest.mark.parametrize(
    ("given", "wanted", "meant"),
    [  # by the sentences: channels first, no batch, as many numbers as the network has axes
        ((3, 5), (3, 8, 8, 8), (3, 5, 5, 5)),
        ((7, 5, 6), (3, 8, 8, 8), (3, 7, 5, 6)),
        ((3, 5, 6), (3, 8, 8, 8), (3, 5, 6, 6)),
        ((1, 9), (9,), (9,)),
        ((4, 5, 3), (3, 8, 8), (3, 4, 5)),
        ((4, 5), (3, 8, 8), (3, 4, 5)),
        ((2, 4, 5, 3), (3, 8, 8), (3, 4, 5)),
        ((2, 3, 4, 5), (3, 8, 8), (3, 4, 5)),
        ((2, 3, 3), (3,), (18,)),
        ((6,), (3, 8), (3, 6)),
        ((4, 3, 3), (3, 8, 8), (3, 4, 3)),
        ((2, 3), (3,), (3,)),
    ],
)
def test_shapes_that_were_meant(given: tuple[int, ...], wanted: tuple[int, ...], meant: tuple[int, ...]) -> None:
    found = corrected(Shape(*given), Shape(*wanted))
    assert found is not None
    assert found[1] == Shape(*meant)


@pytest.mark.parametrize("text", ["conv3x?-8", "conv3-8 d?", "conv3x3-8 d1x1x1", "conv3x3x3-8 d2x2", "conv?x3-8 d?x1"])
def test_kernels_and_dilations_that_do_not_fit(text: str) -> None:
    with pytest.raises(RfcalcError, match=r"do not fit|no number|needs a number"):
        rfcalc.analyze(text, "4x9x9")


def kept_by(module: nn.Module, x: torch.Tensor) -> int:
    """Bytes of the storages that autograd keeps, but for parameters and buffers."""
    owned = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    alive: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        module(x)
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in alive}
    return sum(size for at, size in storages.items() if at not in owned)


class Turned(nn.Module):
    """A layer that reads a map whose channels lie innermost."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 8), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).permute(0, 3, 1, 2))


@pytest.mark.parametrize("kernel", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("kind", [nn.ConvTranspose2d, nn.Conv2d])
def test_gradients_of_kernels_that_pytorch_copies(kind: Any, groups: int, kernel: tuple[int, int]) -> None:
    """Where channels lie innermost, the gradient of a kernel of more than one tap is laid out anew."""
    from live import training_peak
    from memory_models import step_peak

    module = Turned(kind(8, 32, kernel, groups=groups, bias=False))
    network = rfcalc.from_torch(module, (4, 3, 3), training=True).network
    assert step_peak(Memory(rfcalc.Report(network))) == training_peak(module, torch.randn(1, 4, 3, 3))


@pytest.mark.parametrize("cosine", [0, 512])
@pytest.mark.parametrize(("heads", "size", "batch"), [*itertools.product((1, 2), (4, 8), (1, 2))])
def test_what_attention_in_windows_keeps_by_pytorch(cosine: int, heads: int, size: int, batch: int) -> None:
    """One window or four, one head or two, one item or two: copies are spared differently in each."""
    if find_spec("torchvision") is None:
        pytest.skip("not installed: torchvision")
    from vision import models

    swin = models().swin_transformer
    module = (swin.ShiftedWindowAttentionV2 if cosine else swin.ShiftedWindowAttention)(8, [4, 4], [0, 0], heads)
    x = torch.randn(batch, size, size, 8, requires_grad=True)
    network = rfcalc.Network(WindowAttention(heads, 4, cosine=cosine), Shape(size, size, 8, channel=2))
    kept = rfcalc.Report(network, batch=batch).totals.saved_bytes
    assert kept == kept_by(module, x)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
@pytest.mark.parametrize(("sequences", "length"), [*itertools.product((1, 2, 3), repeat=2)])
def test_what_recurrences_keep_by_pytorch(cell: str, sequences: int, length: int) -> None:
    """Several sequences of several positions are laid out position by position; one of either is not copied."""
    walk = {"gru": nn.GRU, "rnn": nn.RNN}[cell](7, 3, batch_first=True)
    module = nn.Sequential(nn.ReLU(), walk)  # keeps its output, which the recurrence may keep as well
    network = rfcalc.Network(Activation("relu") >> Recurrent(cell, 3), Shape(sequences, length, 7, channel=2))
    x = torch.randn(sequences, length, 7, requires_grad=True)
    assert rfcalc.Report(network).totals.saved_bytes == kept_by(module, x)


LAYERS_OF_MAPS: list[tuple[Any, int]] = [  # and the number of axes of their map, beside the batch
    *[(nn.LayerNorm(8), 2), (nn.GELU(), 2), (nn.Linear(8, 6), 2), (nn.Conv1d(6, 8, 1), 2), (nn.BatchNorm1d(6), 2)],
    *[(nn.Softmax(-1), 2), (nn.Upsample(scale_factor=2), 2)],
    *[(nn.Conv2d(6, 8, 3), 3), (nn.Conv2d(6, 8, 1), 3), (nn.BatchNorm2d(6), 3), (nn.ReLU(), 3), (nn.MaxPool2d(2), 3)],
    *[(nn.AvgPool2d(2), 3), (nn.AdaptiveAvgPool2d(2), 3), (nn.Upsample(scale_factor=2), 3), (nn.GroupNorm(2, 6), 3)],
    *[(nn.PixelUnshuffle(2), 3), (nn.ConvTranspose2d(6, 4, 2), 3), (nn.Conv2d(6, 6, 3, groups=6), 3), (nn.PReLU(), 3)],
    *[(nn.LayerNorm(8), 3), (nn.Linear(8, 4), 3), (nn.Softmax(1), 3), (nn.Dropout(0.1), 3)],
    *[(nn.InstanceNorm2d(6), 3), (nn.GroupNorm(2, 6), 2), (nn.LPPool2d(2, 2), 3), (nn.GLU(1), 3)],
    *[(nn.ReflectionPad2d(1), 3), (nn.LocalResponseNorm(3), 3), (nn.ChannelShuffle(2), 3)],
    *[(nn.AdaptiveMaxPool2d(2), 3), (nn.Upsample(scale_factor=2, mode="bilinear"), 3), (nn.PixelShuffle(1), 3)],
]


class Inner(nn.Module):
    """A layer on a map whose channels lie innermost: features that were moved to the front."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.features, self.layer = nn.Linear(6, 6), layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.features(x).movedim(-1, 1))


@pytest.mark.parametrize(("layer", "rank"), LAYERS_OF_MAPS, ids=lambda v: str(v)[:30])
def test_how_maps_lie_is_how_they_lie_in_pytorch(layer: nn.Module, rank: int) -> None:
    """The strides of what a layer makes of a map that lies row by row, and of one whose channels lie innermost."""
    dims = (6, 8) if rank == 2 else (6, 4, 8)
    for module, given in ((layer, dims), (Inner(layer), (*dims[1:], 6))):
        made = module(torch.randn(2, *given))
        report = rfcalc.Report(rfcalc.from_torch(module, given, training=True).network)
        told = layout(report, 2).maps[-1]
        assert told.dims == tuple(made.shape)
        pairs = zip(told.strides, made.stride(), made.shape, strict=True)
        assert all(a == b for a, b, n in pairs if n > 1), (given, told, made.stride())


@pytest.mark.parametrize("name", ["leaky_relu", "elu"])
@pytest.mark.parametrize("written", [True, False])
def test_what_an_activation_keeps_where_it_writes_over_its_input(name: str, written: bool) -> None:
    """Its output, which the next layer keeps too; its input, where that is still needed by an addition."""
    kind = {"leaky_relu": nn.LeakyReLU, "elu": nn.ELU}[name]

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 4, 3), kind(inplace=written), nn.Conv2d(4, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            return self.c(self.b(y) if written else self.b(y) + y)

    first, act = Conv(4, 3).named("a"), Activation(name).named("b")
    body = first >> act if written else first >> act >> (rfcalc.ref("a") + rfcalc.ref("b"))
    report = rfcalc.Report(rfcalc.Network(body >> Conv(2, 1), "3x6x6"))
    assert report.totals.saved_bytes == kept_by(Block(), torch.randn(1, 3, 6, 6, requires_grad=True))


def test_reshapes_of_heads_in_other_widths() -> None:
    """Heads stay, the channels of each grow; nothing is touched where nothing has changed."""
    layer = Reshape((2, -1, 6))
    assert layer.in_proportion((Shape(4, 6),), (Shape(4, 6),)) is layer
    assert layer.in_proportion((Shape(4, 6),), (Shape(8, 6),)) == Reshape((2, 4, 6))
