"""Pooling: max, average, Lp; adaptive and global; means over axes."""

from __future__ import annotations

from dataclasses import KW_ONLY, field
from math import inf
from typing import Any

from rfcalc.core.cost import KEEPS_INPUT, KEEPS_NOTHING, Cost, Formula, Saved
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import Alternatives, Layer, channelwise, layer, over_space, spatial_rank, store, whole_axes
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, ceildiv, decide, holds, is_number, is_size
from rfcalc.core.sliding import Rounding, Sliding, axes, choice, keeps, one
from rfcalc.core.syntax import PADDINGS, ROUNDINGS, Spelling, Word, flags, number, sizes, spell
from rfcalc.core.window import STEP, All, Index, Table, Unsized

POOL_INPUTS = Formula("pool_inputs", "prod(x)", "every value that goes in")
POOL_OUTPUTS = Formula("pool_outputs", "prod(y)", "every value that comes out")
ADAPTIVE_INPUTS = Formula("adaptive_pool_inputs", "prod(x)", "every value that goes in")
COEFFICIENTS = Formula("weights", "c", "one trainable coefficient for each map (LeCun 1998)")
OFFSETS = Formula("biases", "c", "one trainable bias for each map (LeCun 1998)")
INDICES = Formula("saved", "prod(y)", "where each maximum was")
SUMS = Formula("saved", "prod(y)", "the window's sums, which the coefficients multiply")
POWERS = Formula(
    "saved",
    "prod(x) + 4 * prod(y)",
    "the powers of the inputs; of the outputs the average, sign, ReLU and their product",
)
SCALED = Formula("norm", "prod(y)", "one scale and shift for each output value")

POOL_DEFAULTS = "kernel 2; stride = kernel; no padding; rounded down"


def window_of(kernel: Any, stride: Any, padding: Any, dilation: Any, rounding: str) -> Sliding:
    """The window of a pool, none of which may lie in the padding alone."""
    geometry = Sliding.of(kernel, stride, padding, dilation, rounding)
    padding = geometry.padding
    if not isinstance(padding, str):
        for i in range(max(len(padding), len(geometry.kernel))):
            width = one(geometry.dilation, i) * (one(geometry.kernel, i) - 1) + 1
            for p in one(padding, i):
                if not holds(p < width, "padding smaller than the kernel"):
                    raise LayerError(
                        f"pool padding {p} is as wide as the kernel {width}",
                        why="a window would lie in the padding alone",
                        fix="use less padding",
                    )
    return geometry


# The rules that the pools with a window share: what they do differs inside the window only.


def _output(self: Any, *xs: Shape) -> Shape:
    (x,) = xs
    spatial_rank(x, self)
    return Shape(x.dims[0], *self.geometry.lengths(x.dims[1:]))


def _reads(self: Any, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
    return (over_space(xs[0], self.geometry.slides(xs[0].dims[1:])),)


def _apart(self: Any, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
    return (channelwise(self.reads(xs, y)[0]),)


def _cost(self: Any, xs: tuple[Shape, ...], y: Shape) -> Cost:
    return Cost(pool_inputs=POOL_INPUTS(x=xs[0].dims), pool_outputs=POOL_OUTPUTS(y=y.dims))


def _precise(device: str, xs: tuple[Shape, ...]) -> bool:
    """Whether PyTorch's autocast pools in float32: on a CPU, over three axes."""
    return device == "cpu" and xs[0].rank == 3


@layer("maxpool")
class MaxPool(Layer):
    """Max pooling; the stride is the kernel unless given. No parameters; channels stay apart.

    >>> from rfcalc import MaxPool, Shape
    >>> MaxPool(2).output(Shape(64, 224, 224)), MaxPool(3, 2, rounding="ceil").output(Shape(64, 224, 224))
    (Shape(64, 112, 112), Shape(64, 112, 112))

    Args:
        kernel, stride, padding, dilation: as for `Conv`; stride None means the kernel.
        rounding: ``floor``, ``ceil`` (PyTorch: a last window that would start in the right padding is dropped) or
            ``ceil-onnx`` (it is kept).
    """

    lies = "channels"
    outside = -inf
    kernel: Any
    stride: Any = field(default=None, metadata={"like": "kernel"})
    padding: Any = field(default=((0, 0),), metadata={"word": True})
    _: KW_ONLY
    dilation: Any = (1,)
    rounding: str = Rounding.FLOOR
    geometry: Sliding = field(init=False, compare=False)

    output, reads, apart = _output, _reads, _apart
    cost = _cost
    spelling = Spelling(("maxpool", "pool"), "maxpool3/2 p1", (*PADDINGS, *ROUNDINGS), ("/", "p", "d"), POOL_DEFAULTS)

    def __post_init__(self) -> None:
        window_of(self.kernel, self.stride, self.padding, self.dilation, self.rounding).held_by(self)

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        return _precise(device, xs)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return keeps(self.geometry, xs[0])._replace(indices=INDICES(y=y.dims))

    def notation(self, exact: bool = False) -> str:
        return spell("maxpool", self.geometry, None, pad="zero", stride=self.kernel, exact=exact)

    @classmethod
    def from_word(cls, word: Word) -> MaxPool:
        return cls(word.geometry(pad="zero", stride="kernel"))


@layer("avgpool")
class AvgPool(Layer):
    """Average pooling; with `trainable`, LeNet-5's subsampling (a coefficient and a bias for each map).

    Args:
        kernel, stride, padding, dilation, rounding: as for `MaxPool`.
        count_padding: whether padded zeros are counted in the divisor.
        trainable: LeNet-5: the window's sum times a trainable coefficient, plus a trainable bias.
    """

    lies = "channels"
    kernel: Any
    stride: Any = field(default=None, metadata={"like": "kernel"})
    padding: Any = field(default=((0, 0),), metadata={"word": True})
    _: KW_ONLY
    rounding: str = Rounding.FLOOR  # then count_padding, as PyTorch orders them; it has no dilation
    count_padding: bool = True
    trainable: bool = False
    dilation: Any = (1,)
    geometry: Sliding = field(init=False, compare=False)

    output, reads, apart = _output, _reads, _apart
    spelling = Spelling(
        ("avgpool", "meanpool"),
        "avgpool3/2 p1 nopadcount",
        ("nopadcount", "trainable", *PADDINGS, *ROUNDINGS),
        ("/", "p", "d"),
        POOL_DEFAULTS + "; padded zeros are counted in the divisor",
    )

    def __post_init__(self) -> None:
        window_of(self.kernel, self.stride, self.padding, self.dilation, self.rounding).held_by(self)

    def gathers(self, x: Shape) -> str:
        whole = all(decide(n == one(self.geometry.kernel, i)) for i, n in enumerate(x.spatial))
        padded = any(decide(k == 0) is not True for i, n in enumerate(x.spatial) for k in self.geometry.around(n, i))
        return "value" if whole and not padded else ""

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        cost = _cost(self, xs, y)
        if not self.trainable:
            return cost
        c = y.dims[0]
        return cost + Cost(weights=COEFFICIENTS(c=c), biases=OFFSETS(c=c), norm=SCALED(y=y.dims))

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        return _precise(device, xs)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        kept = keeps(self.geometry, xs[0])
        return kept._replace(extra_values=kept.extra_values + SUMS(y=y.dims)) if self.trainable else kept

    def notation(self, exact: bool = False) -> str:
        text = spell("avgpool", self.geometry, None, pad="zero", stride=self.kernel, exact=exact)
        return text + flags(nopadcount=not self.count_padding, trainable=self.trainable)

    @classmethod
    def from_word(cls, word: Word) -> AvgPool:
        return cls(
            word.geometry(pad="zero", stride="kernel"),
            count_padding=not word.flag("nopadcount"),
            trainable=word.flag("trainable"),
        )


@layer("lppool")
class LpPool(Layer):
    """Lp pooling: the p-norm over each window, without padding."""

    lies = "rows"
    power: Size
    kernel: Any
    stride: Any = field(default=None, metadata={"like": "kernel"})
    _: KW_ONLY
    rounding: str = Rounding.FLOOR
    geometry: Sliding = field(init=False, compare=False)

    output, reads, apart = _output, _reads, _apart
    cost = _cost
    spelling = Spelling(("lppool",), "lppool3/2 power2", ROUNDINGS, ("/", "power"), POOL_DEFAULTS + "; power 2")

    def __post_init__(self) -> None:
        axes("power", self.power)
        window_of(self.kernel, self.stride, ((0, 0),), (1,), self.rounding).held_by(self)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        # pow keeps its input, average pooling the powers
        return Saved(inputs=(0,), extra_values=POWERS(x=xs[0].dims, y=y.dims))

    def notation(self, exact: bool = False) -> str:
        return spell("lppool", self.geometry, None, pad="zero", stride=self.kernel) + f" power{number(self.power)}"

    @classmethod
    def from_word(cls, word: Word) -> LpPool:
        return cls(word.number("power", 2), word.geometry(pad="zero", stride="kernel"))


@layer("adaptive_pool")
class AdaptivePool(Layer):
    """Pooling to a given size: unit u of m reads positions ⌊u·n/m⌋ … ⌈(u + 1)·n/m⌉ − 1 of n (PyTorch's rule).

    Where m divides n all windows are alike; else they are unequal and may overlap. Size 1 is global pooling.

    >>> from rfcalc import AdaptivePool, Shape
    >>> AdaptivePool(7).output(Shape(512, 10, 13))
    Shape(512, 7, 7)

    Args:
        size: output size for all axes, or one for each; None keeps an axis.
        op: ``avg`` or ``max``.
    """

    lies = "channels"
    size: Any
    op: str = "avg"

    unstreamed = ("it pools the whole axis", "pool with a fixed window")
    spelling = Spelling(
        ("adaptiveavgpool", "adaptivemaxpool", "globalavgpool", "globalmaxpool"),
        "adaptiveavgpool7x?",
        defaults="global: one value a channel; ? keeps an axis",
    )

    def __post_init__(self) -> None:
        choice("op", self.op, ("avg", "max"))
        size = tuple(self.size) if isinstance(self.size, (tuple, list)) else (self.size,)
        for s in size:
            if s is not None and not (is_size(s) and holds(s >= 1)):
                raise LayerError(f"size {s!r} is not a whole number ≥ 1")
        store(self, size=size)

    def _targets(self, x: Shape) -> tuple[Size, ...]:
        rank = spatial_rank(x, self)
        if len(self.size) not in (1, rank):
            raise ShapeError(f"the size has {plural(len(self.size), 'axis', 'axes')}, the map {rank}")
        sizes = self.size if len(self.size) == rank else self.size * rank
        return tuple(n if m is None else m for n, m in zip(x.dims[1:], sizes, strict=True))

    def output(self, *xs: Shape) -> Shape:
        return Shape(xs[0].dims[0], *self._targets(xs[0]))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        pairs = zip(xs[0].dims[1:], y.dims[1:], strict=True)
        return (over_space(xs[0], tuple(adaptive(n, m) for n, m in pairs)),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return (channelwise(self.reads(xs, y)[0]),)

    def covers(self, xs: tuple[Shape, ...], y: Shape) -> bool:
        return True  # the windows ⌊u·n/m⌋ … ⌈(u + 1)·n/m⌉ leave no gap

    def gathers(self, x: Shape) -> str:
        return "value" if all(size == 1 for size in self.size) else ""

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(adaptive_pool_inputs=ADAPTIVE_INPUTS(x=xs[0].dims))

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        return _precise(device, xs)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        if self.op == "max":
            return Saved(inputs=(0,), indices=INDICES(y=y.dims))
        # PyTorch computes the average over everything as a mean, which keeps nothing
        return KEEPS_NOTHING if all(decide(m == 1) for m in y.dims[1:]) else KEEPS_INPUT

    def notation(self, exact: bool = False) -> str:
        if self.size == (1,):
            return f"global{self.op}pool"
        return f"adaptive{self.op}pool{sizes(self.size)}"

    @classmethod
    def from_word(cls, word: Word) -> AdaptivePool:
        op = "max" if "max" in word.name else "avg"
        return cls((1,) if word.name.startswith("global") else word.need_size(), op)


def adaptive(n: Size, m: Size) -> Index:
    """What unit u of m reads of n positions."""
    if decide(m == 1):
        return STEP if decide(n == 1) else All(n)
    if decide(n == m):
        return STEP
    if not (is_number(n) and is_number(m)):
        return Unsized("the windows of adaptive pooling depend on the input size")
    from math import gcd

    common = gcd(n, m)
    period = m // common
    return Table(n // common, [range(u * n // m, ceildiv((u + 1) * n, m)) for u in range(period)])


def GlobalPool(op: str = "avg") -> AdaptivePool:  # noqa: N802 (reads like the other kinds)
    """Pooling of the whole map to one value a channel."""
    return AdaptivePool(1, op)


@layer("mean")
class Mean(Layer):
    """The mean over axes: the spatial ones unless given; they are removed unless `keep`.

    Args:
        axes: indices among the map's axes, channels included (0 is the channel axis of a map); None: all spatial.
        keep: whether the axes stay, with size 1.
    """

    lies = "rows"
    axes: tuple[int, ...] | None = None
    _: KW_ONLY
    keep: bool = False

    unstreamed = ("it is taken over all positions", "use a moving average (avgpool) or a running one")
    spelling = Spelling(("mean",), "mean axes1x2 keep", ("keep",), ("axes",), "all spatial axes, which are removed")

    def __post_init__(self) -> None:
        if self.axes is not None:
            chosen = (self.axes,) if isinstance(self.axes, int) else tuple(self.axes)
            if not chosen or not all(hasattr(a, "__index__") for a in chosen):
                raise LayerError(f"axes {self.axes!r} are not axis numbers")
            store(self, axes=tuple(sorted(chosen)))

    def _axes(self, x: Shape) -> tuple[int, ...]:
        if self.axes is None:
            return x.axes
        for a in self.axes:
            if not -len(x.dims) <= a < len(x.dims):
                raise ShapeError(f"there is no axis {a} in {x}")
        return tuple(sorted({a % len(x.dims) for a in self.axes}))

    def takes_all(self, x: Shape) -> bool:
        """Whether all values of a map are taken together."""
        return len(self._axes(x)) == len(x.dims)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        gone = self._axes(x)
        if self.keep:
            return Shape(*(1 if i in gone else n for i, n in enumerate(x.dims)), channel=x.channel)
        left = tuple(n for i, n in enumerate(x.dims) if i not in gone)
        channel = sum(1 for i in range(x.channel) if i not in gone)
        return Shape(*(left or (1,)), channel=min(channel, max(len(left) - 1, 0)) if x.channel not in gone else 0)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        gone = self._axes(x)
        if self.keep:
            return (whole_axes(x, gone),)
        stay = iter(range(len(x.dims)))
        return ((tuple((None, All(n)) if i in gone else (next(stay), STEP) for i, n in enumerate(x.dims)),),)

    def gathers(self, x: Shape) -> str:
        return "value" if set(self._axes(x)) >= set(x.axes) else ""

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(adaptive_pool_inputs=ADAPTIVE_INPUTS(x=xs[0].dims))

    def notation(self, exact: bool = False) -> str:
        where = "" if self.axes is None else f" axes{sizes(self.axes)}"
        return f"mean{where}" + flags(keep=self.keep)

    @classmethod
    def from_word(cls, word: Word) -> Mean:
        axes = word.numbers("axes", ()) or word.size
        return cls(axes, keep=word.flag("keep"))
