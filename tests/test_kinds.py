"""Every layer kind, by figures that can be checked by hand: output, weights, biases, multiply-adds, source."""

from __future__ import annotations

import pytest

import rfcalc
from rfcalc import (
    GLU,
    LRN,
    RBF,
    Activation,
    AdaptivePool,
    Add,
    Along,
    AttentionProduct,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    ClassToken,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Depthwise,
    Dropout,
    Elementwise,
    Flatten,
    Gather,
    GroupNorm,
    Identity,
    IndexSum,
    InstanceNorm,
    LayerNorm,
    Linear,
    LpPool,
    MatMul,
    MaxPool,
    MaxUnpool,
    Mean,
    Multiply,
    Pad,
    Parameter,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PositionTable,
    PReLU,
    Recurrent,
    Reduce,
    Reshape,
    RMSNorm,
    Roll,
    Scale,
    SelfAttention,
    Shape,
    Slice,
    Softmax,
    Split,
    StochasticDepth,
    Unknown,
    Upsample,
    WindowAttention,
    WindowPartition,
)
from rfcalc.core.expr import LAYERS
from rfcalc.layers import WHERE

TOKENS = Shape(197, 768, channel=1)
C3 = [(i, (i + 1) % 6, (i + 2) % 6) for i in range(6)] + [
    *[(i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)],
    *[(i, (i + 1) % 6, (i + 3) % 6, (i + 4) % 6) for i in range(3)],
    (0, 1, 2, 3, 4, 5),
]

# layer, its inputs, output, weights, biases, macs
CASES = [
    (Conv(96, 11, stride=4), "3x227x227", "96x55x55", 11 * 11 * 3 * 96, 96, 34848 * 55 * 55),
    (Conv(256, 5, padding=2, groups=2), "96x27x27", "256x27x27", 25 * 48 * 256, 256, 25 * 48 * 256 * 729),
    (Conv(16, 5, table=C3), "6x14x14", "16x10x10", 1500, 16, 150000),
    (Conv(8, 3, stride=2, padding="SAME"), "3x8x7", "8x4x4", 216, 8, 216 * 16),
    (Conv(8, 4, padding="same", bias=False), "3x9", "8x9", 96, 0, 96 * 9),
    (Conv(8, (3, 5), padding=((0, 1), (2, 2)), dilation=(2, 1)), "1x9x9", "8x6x9", 120, 8, 120 * 54),
    (Conv(8, 3, stride=2, padding=1, groups=8, bias=False, fixed=True), "8x9x9", "8x5x5", 0, 0, 9 * 8 * 25),
    (Depthwise(3, padding=1, multiplier=2), "32x8x8", "64x8x8", 9 * 64, 64, 9 * 64 * 64),
    (ConvTranspose(64, 2, stride=2), "128x28x28", "64x56x56", 4 * 128 * 64, 64, 4 * 128 * 64 * 784),
    (ConvTranspose(4, 3, stride=2, padding=1, output_padding=1), "8x5", "4x10", 96, 4, 480),
    (MaxPool(3, 2), "96x55x55", "96x27x27", 0, 0, 0),
    (MaxPool(2, 2, rounding="ceil"), "4x5x7", "4x3x4", 0, 0, 0),
    (MaxPool(2, 3, padding=1, rounding="ceil"), "1x3", "1x2", 0, 0, 0),
    (MaxPool(2, 3, padding=1, rounding="ceil-onnx"), "1x3", "1x2", 0, 0, 0),
    (MaxPool(1, 2, rounding="ceil-onnx"), "1x4", "1x3", 0, 0, 0),
    (MaxPool(1, 2, rounding="ceil"), "1x4", "1x2", 0, 0, 0),
    (MaxPool(3, 1, dilation=2), "1x9", "1x5", 0, 0, 0),
    (AvgPool(2, trainable=True), "6x28x28", "6x14x14", 6, 6, 0),
    (AvgPool(5, 3, count_padding=False), "512x14x14", "512x4x4", 0, 0, 0),
    (LpPool(2, 3), "4x9x9", "4x3x3", 0, 0, 0),
    (AdaptivePool(7), "512x10x13", "512x7x7", 0, 0, 0),
    (AdaptivePool((None, 1), "max"), "5x6x7", "5x6x1", 0, 0, 0),
    (Mean(), "5x6x7", "5", 0, 0, 0),
    (Mean((1,), keep=True), "5x6x7", "5x1x7", 0, 0, 0),
    (Linear(4096, in_features=25088), "25088", "4096", 102760448, 4096, 102760448),
    (Recurrent("lstm", 256), TOKENS, "197x256", 4 * 256 * (768 + 256), 2 * 4 * 256, 197 * 4 * 256 * (768 + 256)),
    (Recurrent("gru", 64, bidirectional=True, bias=False), "5x9x32", "5x9x128", 6 * 64 * 96, 0, 45 * 6 * 64 * 96),
    (Recurrent("rnn", 8), "9x32", "9x8", 8 * 40, 16, 9 * 8 * 40),
    (Linear(3072), TOKENS, "197x3072", 768 * 3072, 3072, 197 * 768 * 3072),
    (RBF(10), "84", "10", 0, 0, 840),
    (Activation("gelu"), "4x5", "4x5", 0, 0, 0),
    (PReLU(), "4x5", "4x5", 4, 0, 0),
    (Softmax(), "10", "10", 0, 0, 0),
    (GLU(), "8x5", "4x5", 0, 0, 0),
    (Dropout(0.3), "8x5", "8x5", 0, 0, 0),
    (StochasticDepth(0.1), "8x5", "8x5", 0, 0, 0),
    (Scale(bias=True), "8x5x5", "8x5x5", 8, 8, 0),
    (Identity(), "8x5x5", "8x5x5", 0, 0, 0),
    (BatchNorm(), "8x5x5", "8x5x5", 8, 8, 0),
    (BatchNorm(gamma=False), "8x5x5", "8x5x5", 0, 8, 0),
    (GroupNorm(2, bias=False), "8x5x5", "8x5x5", 8, 0, 0),
    (LayerNorm("channels", gamma=False), "96x56x56", "96x56x56", 0, 96, 0),
    (LayerNorm(), TOKENS, "197x768", 768, 768, 0),
    (LayerNorm("channels"), "96x56x56", "96x56x56", 96, 96, 0),
    (LayerNorm("all"), "2x3x4", "2x3x4", 24, 24, 0),
    (GroupNorm(2), "8x5x5", "8x5x5", 8, 8, 0),
    (InstanceNorm(affine=True), "8x5x5", "8x5x5", 8, 8, 0),
    (RMSNorm(), TOKENS, "197x768", 768, 0, 0),
    (LRN(5), "96x55x55", "96x55x55", 0, 0, 0),
    (Pad(((1, 2), (-1, 0)), "reflect"), "3x8x8", "3x11x7", 0, 0, 0),
    (Upsample(2), "64x7x9", "64x14x18", 0, 0, 0),
    (Upsample(size=(13, 20), mode="linear", align_corners=True), "64x7x9", "64x13x20", 0, 0, 0),
    (PixelShuffle(3), "18x4x5", "2x12x15", 0, 0, 0),
    (PixelUnshuffle(2), "3x4x6", "12x2x3", 0, 0, 0),
    (Flatten(), "512x7x7", "25088", 0, 0, 0),
    (Flatten(1), "768x14x14", "768x196", 0, 0, 0),
    (Reshape((256, 6, -1)), "9216", "256x6x6", 0, 0, 0),
    (Permute((1, 0)), "768x196", "196x768", 0, 0, 0),
    (ClassToken(), Shape(196, 768, channel=1), "197x768", 768, 0, 0),
    (PositionTable(), TOKENS, "197x768", 197 * 768, 0, 0),
    (Slice(1, 1, None, 2), "3x8x8", "3x4x8", 0, 0, 0),
    (Split((24, 8), 1), "32x8x8", "8x8x8", 0, 0, 0),
    (Split(2, 0), "32x8x8", "16x8x8", 0, 0, 0),
    (Gather(1, (7, 6, 5, 0, 0)), "3x8x8", "3x5x8", 0, 0, 0),
    (Gather(0, (2, 0)), "3x8x8", "2x8x8", 0, 0, 0),
    (Gather(2), "3x8x7", "3x8x7", 0, 0, 0),
    (Along("cumsum", 2), "3x8x9", "3x8x9", 0, 0, 0),
    (Along("topk", 1, keep=3), "3x8x9", "3x3x9", 0, 0, 0),
    (Along("transform", 2, keep=5), "3x8x9", "3x8x5", 0, 0, 0),
    (IndexSum(1, [[0, 1], [], [7]]), "3x8x9", "3x3x9", 0, 0, 0),
    (IndexSum(2, [[-1], [0], [1]], by=2, length=12, view=True), "3x8x9", "3x8x12", 0, 0, 0),
    (ChannelShuffle(4), "32x8x8", "32x8x8", 0, 0, 0),
    (Roll((-3, 2)), "3x8x8", "3x8x8", 0, 0, 0),
    (WindowPartition(4), "3x8x12", "3x6x16", 0, 0, 0),
    (SelfAttention(12), TOKENS, "197x768", 4 * 768**2, 4 * 768, 197 * 4 * 768**2 + 2 * 197**2 * 768),
    (
        WindowAttention(3, 7, 3),
        Shape(56, 56, 96, channel=2),
        "56x56x96",
        4 * 96**2 + 169 * 3,
        4 * 96,
        56**2 * 4 * 96**2 + 2 * 56**2 * 49 * 96,
    ),
    (Unknown((5, 6, 7), "einsum"), "3x8x8", "5x6x7", 0, 0, 0),
    (Add(), ("8x5x5", "8x1x1"), "8x5x5", 0, 0, 0),
    (Multiply(), ("8x5x5", "8x1x1"), "8x5x5", 0, 0, 0),
    (Concat(), ("8x5x5", "3x5x5"), "11x5x5", 0, 0, 0),
    (Concat(1), ("8x5x5", "8x2x5"), "8x7x5", 0, 0, 0),
    (MaxUnpool(3, 2, padding=1), ("8x5x4", "8x9x8"), "8x9x8", 0, 0, 0),
    (MatMul(), (Shape(2, 5, 7), Shape(2, 7, 3)), "2x5x3", 0, 0, 2 * 5 * 7 * 3),
    (MatMul(transpose=True), (Shape(2, 5, 7), Shape(2, 3, 7)), "2x5x3", 0, 0, 2 * 5 * 7 * 3),
    (MatMul(mask=[[0], [], [1, 3, 4]]), (Shape(2, 3, 5), Shape(2, 5, 3)), "2x3x3", 0, 0, 2 * 3 * 5 * 3),
    (Softmax(-1, mask="causal"), "2x5x5", "2x5x5", 0, 0, 0),
    (Conv(4, 3, taps="111100000"), "2x5x5", "4x3x3", 72, 4, 72 * 9),
    (AttentionProduct(mask="causal"), (TOKENS, TOKENS, TOKENS), "197x768", 0, 0, 2 * 197 * 197 * 768),
    (Parameter((4, 5), 1), (), "4x5", 20, 0, 0),
    (Constant((4, 5), 1), (), "4x5", 0, 0, 0),
    (Elementwise("sub"), ("8x5x5", "8x1x5"), "8x5x5", 0, 0, 0),
    (Reduce("sum", (1, 2), keep=True), "8x5x6", "8x1x1", 0, 0, 0),
    (AttentionProduct(), (TOKENS, TOKENS, TOKENS), "197x768", 0, 0, 2 * 197 * 197 * 768),
    (AttentionProduct(), ("2x5x7", "2x3x7", "2x3x4", "1x5x3"), "2x5x4", 0, 0, 2 * 5 * 3 * 11),
]


def shapes(given: object) -> tuple[Shape, ...]:
    return tuple(Shape.of(g) for g in (given if isinstance(given, tuple) else (given,)))


@pytest.mark.parametrize(("layer", "given", "output", "weights", "biases", "macs"), CASES, ids=lambda v: str(v)[:40])
def test_figures(layer, given, output, weights, biases, macs) -> None:
    xs = shapes(given)
    y = layer.output(*xs)
    cost = layer.cost(xs, y)
    assert (str(y), cost.weights, cost.biases, cost.macs) == (output, weights, biases, macs)
    assert len(layer.reads(xs, y)) == len(xs)
    assert layer.saved(xs, y).extra_values >= 0


@pytest.mark.parametrize("layer", [case[0] for case in CASES], ids=str)
def test_prints_as_its_source(layer) -> None:
    scope = {name: getattr(rfcalc, name) for name in WHERE}
    assert eval(repr(layer), scope) == layer
    assert hash(eval(repr(layer), scope)) == hash(layer)


@pytest.mark.parametrize("layer", [case[0] for case in CASES], ids=str)
def test_does_not_change(layer) -> None:
    with pytest.raises(AttributeError):
        layer.kind = "other"
    for name in layer.__slots__:
        with pytest.raises(AttributeError):
            setattr(layer, name, 1)


def test_every_kind_is_covered() -> None:
    assert {type(case[0]) for case in CASES} == set(LAYERS.values())


def test_every_kind_has_a_public_name() -> None:
    public = {getattr(rfcalc, name) for name in WHERE}
    assert set(LAYERS.values()) <= public
    with pytest.raises(AttributeError):
        rfcalc.NoSuchKind  # noqa: B018


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Conv(64, 0), ["kernel 0", "at least 1"]),
        (lambda: Conv(64, 3, stride=0), ["stride 0"]),
        (lambda: Conv(64, 2.5), ["kernel 2.5", "whole number"]),
        (lambda: Conv("64", 3), ["out_channels '64'"]),
        (lambda: Conv(True, 3), ["out_channels True"]),
        (lambda: Conv(64, 3, padding=-1), ["padding -1", "Pad(-1)"]),
        (lambda: Conv(64, 3, padding="half"), ["'half'", '"SAME"']),
        (lambda: Conv(64, 3, padding="same", stride=2), ["stride 1", "stride is 2"]),
        (lambda: Conv(10, 3, groups=3), ["10 output channels", "3 groups"]),
        (lambda: Conv(8, (3, 3), stride=(1, 1, 1)), ["different numbers of axes"]),
        (lambda: Conv(2, 3, table=[(0,)]), ["connection table", "1 row for 2"]),
        (lambda: MaxPool(2, padding=2), ["padding 2", "wide"]),
        (lambda: MaxPool(2, rounding="up"), ["'up'", "floor, ceil, ceil-onnx"]),
        (lambda: ConvTranspose(8, 3, stride=2, output_padding=2), ["output_padding 2"]),
        (lambda: ConvTranspose(8, 3, padding="same"), ["not defined"]),
        (lambda: AdaptivePool(0), ["size 0"]),
        (lambda: Activation("rleu"), ["'rleu'", "relu"]),
        (lambda: Dropout(2), ["probability 2"]),
        (Upsample, ["either a factor or a size"]),
        (lambda: Upsample(2, mode="area"), ["'area'"]),
        (lambda: Permute((0, 2)), ["not an order"]),
        (lambda: Split(2, 2), ["no part 2"]),
        (lambda: WindowAttention(3, 7, 7), ["shift 7"]),
        (lambda: LayerNorm("space"), ["'space'"]),
        (lambda: Reshape((-1, -1)), ["at most one"]),
        (lambda: Elementwise("a b"), ["'a b'", "Elementwise"]),
        (lambda: Elementwise("times", float("inf")), ["by inf", "not a number"]),
        (lambda: Elementwise("times", "2"), ["by '2'", "not a number"]),
        (lambda: Elementwise("clamp", (1, 2, 3)), ["(1, 2, 3)", "or two"]),
        (lambda: Reduce("mode"), ["'mode'", "sum"]),
        (lambda: Constant((3, 4), 2), ["no axis 2"]),
        (lambda: MatMul(mask="diagonal"), ["'diagonal' is no mask", "causal"]),
        (lambda: Softmax(mask=[[-1]]), ["no mask", "counted from 0"]),
        (lambda: Conv(4, 3, taps="1101"), ["4 taps", "the kernel has 3"]),
        (lambda: Conv(4, 3, taps="x"), ["'x'", "row by row"]),
    ],
)
def test_refuses_what_no_layer_can_be(made, words) -> None:
    with pytest.raises(rfcalc.RfcalcError) as caught:
        made()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.where
