"""Random layers of every registered kind, and random graphs of them, as hypothesis strategies.

A graph grows node by node: a layer on an earlier value, a join of two values that are first made to fit, or a motif
(residual, gate, decoder, unequal strides, 1×3 beside 3×1, attention over tokens). A *flavour* says which kinds are
likely, so that long exact paths are as common as global ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st
from oracle_rules import space

from rfcalc import (
    GLU,
    LRN,
    RBF,
    Activation,
    AdaptivePool,
    Along,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    ClassToken,
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
    MaxPool,
    Mean,
    Pad,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PositionTable,
    PReLU,
    Recurrent,
    Reduce,
    Reshape,
    RfcalcError,
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
from rfcalc.core.errors import LayerError
from rfcalc.core.layer import Layer

T = TypeVar("T")
MOST_UNITS = 150
MOST_VALUES = 900


class Pick:
    """Choices read from a tape of bytes; an exhausted tape takes the first option, so that zeros are the simplest."""

    def __init__(self, tape: bytes) -> None:
        self._tape = tape
        self._at = 0

    def int(self, low: int, high: int) -> int:
        if high <= low:
            return low
        at = self._at
        self._at += 1
        return low + self._tape[at] * (high - low + 1) // 256 if at < len(self._tape) else low

    def one(self, options: Sequence[T]) -> T:
        return options[self.int(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.int(1, 100) > 100 - percent

    def divisor(self, n: int) -> int:
        return self.one([d for d in range(1, n + 1) if n % d == 0])


def fits(layer: Layer, *xs: Shape) -> Shape | None:
    """The shape that comes out, None if the layer refuses or the map gets too large for brute force."""
    try:
        y = layer.output(*xs)
    except RfcalcError:
        return None
    count = 1
    for n in space(y):
        count *= n
    return y if count <= MOST_UNITS and y.values <= MOST_VALUES else None


# --- one layer of each kind ------------------------------------------------------------------------------------


def _map(x: Shape) -> bool:
    return x.channel == 0 and x.rank >= 1


class Windowed(NamedTuple):
    kernel: Any
    stride: Any
    padding: Any
    dilation: Any


def _axis(pick: Pick, n: int, pool: bool) -> tuple[int, int, tuple[int, int], int]:
    k = pick.one((1, 2, 2, 3, 3, 3, 4, 5))
    d = pick.one((1, 1, 1, 2, 3)) if not pool or pick.chance(30) else 1
    s = pick.one((1, 1, 1, 2, 2, 3, 4))
    most = min(3, d * (k - 1)) if pool else 3
    a, b = pick.int(0, most), pick.int(0, most)
    if pick.chance(60):
        a = b = min(a, d * (k - 1) // 2)
    if pool and pick.chance(8):
        return n + a + b + pick.int(0, 2), s, (a, b), 1  # in ceil mode a window may be larger than the map
    if n + a + b < d * (k - 1) + 1:
        d = 1
    if n + a + b < k:
        k = n + a + b
    if pool:  # no window may lie in the padding alone
        a, b = min(a, d * (k - 1)), min(b, d * (k - 1))
    return min(k, n + a + b) if d == 1 else k, s, (a, b), d


def windowed(pick: Pick, x: Shape, pool: bool = False) -> Windowed:
    """Kernel, stride, padding and dilation: one number for all axes, or one for each; named padding at times."""
    extents = space(x)
    alike = pick.chance(50)
    axes = [_axis(pick, min(extents), pool)] if alike else [_axis(pick, n, pool) for n in extents]
    kernel, stride, padding, dilation = (tuple(column) for column in zip(*axes, strict=True))
    how = pick.int(1, 20)
    if how == 1:
        return Windowed(kernel, stride, "SAME", dilation)
    if how == 2:
        return Windowed(kernel, 1, "same", dilation)
    if alike and pick.chance(50):
        return Windowed(kernel[0], stride[0], padding, dilation[0])
    return Windowed(kernel, stride, padding, dilation)


def conv(pick: Pick, x: Shape) -> Layer | None:
    if not _map(x):
        return None
    c = x.dims[0]
    w = windowed(pick, x)
    bias = pick.chance(60)
    border = "zeros" if pick.chance(85) else pick.one(("reflect", "replicate", "circular"))
    if pick.chance(8):
        out = pick.int(1, 4)
        table = tuple(tuple(i for i in range(c) if pick.chance(60)) for _ in range(out))
        return Conv(out, w.kernel, stride=w.stride, padding=w.padding, dilation=w.dilation, bias=bias, table=table)
    groups = pick.divisor(c) if pick.chance(25) else 1
    return Conv(
        groups * pick.int(1, 3),
        w.kernel,
        stride=w.stride,
        padding=w.padding,
        dilation=w.dilation,
        groups=groups,
        bias=bias,
        border=border,
    )


def depthwise(pick: Pick, x: Shape) -> Layer | None:
    if not _map(x):
        return None
    w = windowed(pick, x)
    border = "zeros" if pick.chance(85) else pick.one(("reflect", "replicate", "circular"))
    return Depthwise(
        w.kernel,
        stride=w.stride,
        padding=w.padding,
        dilation=w.dilation,
        multiplier=pick.one((1, 1, 2)),
        bias=pick.chance(50),
        border=border,
    )


def conv_transpose(pick: Pick, x: Shape) -> Layer | None:
    if not _map(x):
        return None
    axes = []
    for _ in range(x.rank if pick.chance(40) else 1):
        k, s, d = pick.one((1, 2, 2, 3, 3, 4)), pick.one((1, 2, 2, 3, 4)), pick.one((1, 1, 1, 2))
        room = d * (k - 1)
        e = pick.int(0, max(s, d) - 1) if pick.chance(40) else 0
        axes.append((k, s, (pick.int(0, min(room, 2)), pick.int(0, min(room, 2))), e, d))
    kernel, stride, padding, extra, dilation = (tuple(column) for column in zip(*axes, strict=True))
    groups = pick.divisor(x.dims[0]) if pick.chance(20) else 1
    return ConvTranspose(
        groups * pick.int(1, 2),
        kernel,
        stride=stride,
        padding=padding,
        output_padding=extra,
        dilation=dilation,
        groups=groups,
        bias=pick.chance(50),
    )


def _pool(kind: str) -> Callable[[Pick, Shape], Layer | None]:
    def make(pick: Pick, x: Shape) -> Layer | None:
        if not _map(x):
            return None
        w = windowed(pick, x, pool=True)
        rounding = pick.one(("floor", "floor", "ceil", "ceil", "ceil-onnx"))
        stride = None if pick.chance(40) and w.padding != "same" else w.stride
        if kind == "maxpool":
            return MaxPool(w.kernel, stride, padding=w.padding, dilation=w.dilation, rounding=rounding)
        if kind == "lppool":
            return LpPool(pick.int(1, 3), w.kernel, stride, rounding=rounding)
        counted, trainable = pick.chance(70), pick.chance(20)
        return AvgPool(
            w.kernel, stride, w.padding, dilation=w.dilation, rounding=rounding, count_padding=counted,
            trainable=trainable,
        )  # fmt: skip

    return make


def adaptive_pool(pick: Pick, x: Shape) -> Layer | None:
    if not _map(x):
        return None
    sizes = tuple(None if pick.chance(10) else pick.int(1, 7) for _ in range(x.rank if pick.chance(60) else 1))
    return AdaptivePool(1 if pick.chance(20) else sizes, pick.one(("avg", "max")))


def mean(pick: Pick, x: Shape) -> Layer | None:
    if pick.chance(50):
        return Mean(None, keep=pick.chance(70)) if x.rank else None
    return Mean(tuple(i for i in range(len(x.dims)) if pick.chance(40)) or (len(x.dims) - 1,), keep=pick.chance(60))


def reduce(pick: Pick, x: Shape) -> Layer | None:
    like = mean(pick, x)
    return like and Reduce(pick.one(("sum", "amax", "var")), like.axes, keep=like.keep)  # type: ignore[attr-defined]


def layernorm(pick: Pick, x: Shape) -> Layer:
    over = pick.one(("channels", "all", *range(1, len(x.dims) + 1)))
    return LayerNorm(over, affine=pick.chance(70), bias=pick.chance(70), gamma=pick.chance(80))


def flatten(pick: Pick, x: Shape) -> Layer:
    if x.channel == 0 and x.rank > 1 and pick.chance(50):
        return Flatten(1)
    start = pick.int(0, len(x.dims) - 1)
    return Flatten(start, pick.int(start, len(x.dims) - 1)) if pick.chance(60) else Flatten()


def reshape(pick: Pick, x: Shape) -> Layer:
    """Merge or split axes, insert axes of one position, or any factors of the number of values."""
    dims = list(x.dims)
    channel = x.channel
    how = pick.int(1, 4)
    at = pick.int(0, len(dims) - 1)
    if how == 1:
        dims.insert(at, 1)
        channel += at <= channel
    elif how == 2 and len(dims) > 1:
        at = min(at, len(dims) - 2)
        dims[at : at + 2] = [dims[at] * dims[at + 1]]
        channel -= at < channel
    elif how == 3:
        f = pick.divisor(dims[at])
        dims[at : at + 1] = [f, dims[at] // f]
        channel += at < channel
    else:
        rest, dims = x.values, []
        for _ in range(pick.int(1, 2)):
            dims.append(pick.divisor(rest))
            rest //= dims[-1]
        dims.append(rest)
        channel = pick.int(0, len(dims) - 1)
    if pick.chance(20):
        dims[pick.int(0, len(dims) - 1)] = -1
    return Reshape(tuple(dims), channel)


def permute(pick: Pick, x: Shape) -> Layer:
    left = list(range(len(x.dims)))
    return Permute(tuple(left.pop(pick.int(0, len(left) - 1)) for _ in range(len(left))))


def cut(pick: Pick, x: Shape) -> Layer:
    axis = pick.int(0, len(x.dims) - 1)
    n = x.dims[axis]
    start = pick.int(0, n - 1)
    stop = pick.int(start + 1, n)
    how = pick.int(1, 4)
    first = None if how == 1 else start - n if how == 2 and start else start
    last = None if stop == n else stop - n if how == 2 else stop
    return Slice(axis - len(x.dims) if pick.chance(15) else axis, first, last, pick.one((1, 1, 2, 3)))


def split(pick: Pick, x: Shape) -> Layer:
    axis = None if pick.chance(30) else pick.int(0, len(x.dims) - 1)
    n = x.dims[x.channel if axis is None else axis]
    if pick.chance(50):
        parts = pick.divisor(n)
        return Split(parts, pick.int(0, parts - 1), axis)
    first = pick.int(1, n)
    sizes = (first, n - first) if n > first else (n,)
    return Split(sizes, pick.int(0, len(sizes) - 1), axis)


def pad(pick: Pick, x: Shape) -> Layer | None:
    if not _map(x):
        return None
    mode = pick.one(("zeros", "zeros", "reflect", "replicate", "circular"))
    low = -1 if mode == "zeros" or pick.chance(30) else 0
    most = min(min(space(x)) - 1, 3) if mode in ("reflect", "circular") else 3
    pairs = tuple((pick.int(low, most), pick.int(low, most)) for _ in range(x.rank if pick.chance(60) else 1))
    return Pad(pairs, mode)


def upsample(pick: Pick, x: Shape) -> Layer | None:
    if not _map(x):
        return None
    mode = pick.one(("nearest", "nearest", "linear", "linear", "nearest-exact", "cubic"))
    corners = mode in ("linear", "cubic") and pick.chance(40)
    count = x.rank if pick.chance(50) else 1
    if pick.chance(60):
        return Upsample(tuple(pick.int(1, 3) for _ in range(count)), None, mode, corners)
    return Upsample(None, tuple(pick.int(1, 8) for _ in range(count)), mode, corners)


def pixel_shuffle(pick: Pick, x: Shape) -> Layer | None:
    factors = [r for r in (1, 2, 3) if x.channel == 0 and x.rank and x.dims[0] % r**x.rank == 0]
    return PixelShuffle(factors[-1] if pick.chance(90) else pick.one(factors)) if factors else None


def pixel_unshuffle(pick: Pick, x: Shape) -> Layer | None:
    factors = [r for r in (1, 2, 3) if _map(x) and all(n % r == 0 for n in space(x))]
    return PixelUnshuffle(factors[-1] if pick.chance(90) else pick.one(factors)) if factors else None


def window_partition(pick: Pick, x: Shape) -> Layer | None:
    return WindowPartition(tuple(pick.divisor(n) for n in space(x))) if _map(x) else None


def window_attention(pick: Pick, x: Shape) -> Layer | None:
    if not x.rank:
        return None
    windows = tuple(pick.int(1, 4) for _ in range(x.rank if pick.chance(50) else 1))
    shifts = tuple(pick.int(0, w - 1) if pick.chance(60) else 0 for w in windows)
    masked, relative, bias, out_bias = (pick.chance(75), *(pick.chance(60) for _ in range(3)))
    flags = {"masked": masked, "relative": relative, "bias": bias, "out_bias": out_bias}
    return WindowAttention(
        pick.divisor(x.channels), windows, shifts, **flags, cosine=pick.int(1, 5) if pick.chance(30) else 0
    )


def gather(pick: Pick, x: Shape) -> Layer:
    axis = pick.int(0, len(x.dims) - 1)
    n = x.dims[axis]
    count = pick.int(1, n + 1)
    listed = [pick.int(0, n - 1) for _ in range(count)]
    if pick.chance(30):
        listed = list(range(n))[:: pick.one((-1, 1, 2))]
    return Gather(axis - len(x.dims) if pick.chance(20) else axis, None if pick.chance(20) else tuple(listed))


def index_sum(pick: Pick, x: Shape) -> Layer:
    axis = pick.int(0, len(x.dims) - 1)
    n = x.dims[axis]
    if pick.chance(50):
        rows = [[pick.int(0, n - 1) for _ in range(pick.int(0, 2))] for _ in range(pick.int(1, n + 1))]
        return _reading(IndexSum(axis - len(x.dims) * pick.chance(20), rows), n)
    size, step = pick.int(1, 3), pick.int(1, 3)
    first = pick.int(-1, 0)
    if pick.chance(60):  # frames
        frames = pick.int(1, n // step + 1)
        rows = [[t + first] for t in range(size)]
        return _reading(IndexSum(axis, rows, by=step, length=frames * size, view=pick.chance(50)), n)
    phases = [[pick.int(-2, 3) for _ in range(pick.int(1, 2))] for _ in range(step)]
    return _reading(IndexSum(axis, phases, by=size, length=pick.int(1, 9)), n)


def _reading(layer: IndexSum, n: int) -> Layer:
    return layer if any(layer.listed(n)) else IndexSum(layer.axis, [[0]])


def roll(pick: Pick, x: Shape) -> Layer | None:
    return Roll(tuple(pick.int(-4, 4) for _ in range(x.rank if pick.chance(50) else 1))) if x.rank else None


def recurrent(pick: Pick, x: Shape) -> Layer | None:
    if len(x.dims) < 2:
        return None
    return Recurrent(
        pick.one(("lstm", "gru", "rnn")), pick.int(1, 4), bidirectional=pick.chance(50), bias=pick.chance(60)
    )


def along(pick: Pick, x: Shape) -> Layer:
    axis = pick.int(0, len(x.dims) - 1)
    if pick.chance(30):
        return Along("topk", axis, keep=pick.int(1, x.dims[axis]))
    return Along(
        pick.one(("cumsum", "cumprod", "cummax", "logcumsumexp", "sort")), axis - len(x.dims) * pick.chance(50)
    )


def unknown(pick: Pick, x: Shape) -> Layer:
    return Unknown(tuple(pick.int(1, 4) for _ in range(len(x.dims))) if pick.chance(50) else x.dims, "strange")


LAYERS: dict[str, Callable[[Pick, Shape], Layer | None]] = {
    "conv": conv,
    "depthwise": depthwise,
    "conv_transpose": conv_transpose,
    "maxpool": _pool("maxpool"),
    "avgpool": _pool("avgpool"),
    "lppool": _pool("lppool"),
    "adaptive_pool": adaptive_pool,
    "mean": mean,
    "reduce": reduce,
    "elementwise": lambda pick, x: pick.one(
        (Elementwise("square"), Elementwise("clamp", (-0.25, 4)), Elementwise("times", -0.25))
    ),
    "linear": lambda pick, x: Linear(
        pick.int(1, 6), bias=pick.chance(60), in_features=x.dims[-1] if pick.chance(20) else None
    ),
    "recurrent": recurrent,
    "along": along,
    "rbf": lambda pick, x: RBF(pick.int(1, 5), trainable=pick.chance(40)),
    "activation": lambda pick, x: Activation(pick.one(("relu", "gelu", "swish", "tanh", "hardswish"))),
    "prelu": lambda pick, x: PReLU(per_channel=pick.chance(60)),
    "softmax": lambda pick, x: Softmax(None if pick.chance(40) else pick.int(0, len(x.dims) - 1), log=pick.chance(30)),
    "glu": lambda pick, x: GLU() if x.channels % 2 == 0 else None,
    "dropout": lambda pick, x: Dropout(pick.one((0.5, 0.2)), maps=pick.one((False, True))),
    "stochastic_depth": lambda pick, x: StochasticDepth(pick.one((0.5, 0.1))),
    "scale": lambda pick, x: Scale(bias=pick.chance(40)),
    "identity": lambda pick, x: Identity(),
    "batchnorm": lambda pick, x: BatchNorm(
        affine=pick.chance(70),
        track=pick.chance(70),
        training=pick.chance(15),
        gamma=pick.chance(80),
        bias=pick.chance(80),
    ),
    "layernorm": layernorm,
    "groupnorm": lambda pick, x: GroupNorm(
        pick.divisor(x.channels), affine=pick.chance(60), gamma=pick.chance(80), bias=pick.chance(80)
    ),
    "instancenorm": lambda pick, x: InstanceNorm(affine=pick.chance(50), track=pick.chance(50)) if _map(x) else None,
    "rmsnorm": lambda pick, x: RMSNorm(affine=pick.chance(60)),
    "lrn": lambda pick, x: LRN(pick.int(1, 5)),
    "flatten": flatten,
    "reshape": reshape,
    "permute": permute,
    "class_token": lambda pick, x: ClassToken(pick.int(1, 2)) if len(x.dims) == 2 and x.channel == 1 else None,
    "position_table": lambda pick, x: PositionTable(),
    "slice": cut,
    "split": split,
    "channel_shuffle": lambda pick, x: ChannelShuffle(pick.divisor(x.channels)),
    "gather": gather,
    "index_sum": index_sum,
    "roll": roll,
    "window_partition": window_partition,
    "pad": pad,
    "upsample": upsample,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "self_attention": lambda pick, x: SelfAttention(
        pick.divisor(x.channels), bias=pick.chance(60), out_bias=pick.chance(60)
    ),
    "window_attention": window_attention,
    "unknown": unknown,
}
JOINS = ("add", "multiply", "concat", "matmul", "attention_product", "max_unpool")  # built in `graphs`
SOURCES = ("parameter", "constant")


def layer_for(pick: Pick, x: Shape, kinds: Sequence[str]) -> tuple[Layer, Shape] | None:
    """A layer of one of the kinds that takes the map, and its output's shape; after a few vain tries None."""
    for _ in range(4):
        try:
            made = LAYERS[pick.one(kinds)](pick, x)
        except LayerError:
            continue
        y = None if made is None else fits(made, x)
        if made is not None and y is not None:
            return made, y
    return None


def a_shape(pick: Pick, ranks: Sequence[int] = (1, 2, 1, 2, 2, 3)) -> Shape:
    """A small map, channels first."""
    rank = pick.one(ranks)
    most = {0: 0, 1: 12, 2: 8, 3: 4}[rank]
    return Shape(pick.int(1, 4), *(1 if pick.chance(5) else pick.int(2, most) for _ in range(rank)))


def a_layer(pick: Pick, kind: str) -> tuple[Layer, Shape] | None:
    x = a_shape(pick)
    if kind == "class_token":
        x = Shape(x.dims[-1], x.dims[0], channel=1)
    elif x.rank == 1 and pick.chance(15):
        x = Shape(x.dims[1], x.dims[0], channel=1)
    found = layer_for(pick, x, (kind,))
    return None if found is None else (found[0], x)


def tapes(length: int) -> st.SearchStrategy[Pick]:
    """Hypothesis draws all choices of a case at once: quick, without near copies, and it shrinks to zeros."""
    return st.binary(min_size=length, max_size=length).map(Pick)


def layers(kind: str) -> st.SearchStrategy[tuple[Layer, Shape]]:
    """A layer of the kind (not of a join) and a map that it takes."""
    return tapes(120).map(lambda pick: a_layer(pick, kind)).filter(lambda found: found is not None)  # type: ignore[return-value]
