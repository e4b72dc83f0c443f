"""Convolution: full, grouped, depthwise, with a partial connection table."""

from __future__ import annotations

from dataclasses import KW_ONLY, field
from typing import Any

from rfcalc.core.cost import Cost, Formula, Saved
from rfcalc.core.errors import LayerError, ShapeError, noun, plural
from rfcalc.core.layer import Alternatives, Layer, Reads, channelwise, layer, over_space, spatial_rank, store
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, agree, decide, divides, is_number, prod
from rfcalc.core.sliding import Rounding, Sliding, axes, keeps
from rfcalc.core.syntax import BORDERS, PADDINGS, Spelling, Word, flags, number, spell
from rfcalc.core.window import Border, Index, Listed, Slide, Table, Unsized

WEIGHTS_ALL = Formula("weights", "prod(k) * c * m", "kernel × input channels × output channels")
WEIGHTS = Formula("weights", "prod(k) * (c // g) * m", "kernel × input channels of a group × output channels")
WEIGHTS_APART = Formula("weights", "prod(k) * m", "one kernel for each output channel")
WEIGHTS_TABLE = Formula("weights", "prod(k) * connections", "kernel × connected pairs of input and output maps")
BIASES = Formula("biases", "m", "one for each output channel")
MACS = Formula("macs", "w * prod(o)", "every weight is used once at every output position")
BIAS_ADDS = Formula("conv_bias_adds", "m * prod(o)", "one addition for each output value")


def boxes_of(taps: str, kernel: tuple[int, ...]) -> list[tuple[tuple[int, ...], ...]]:
    """The taps that are used as boxes, each the product of a list of offsets for each axis.

    >>> boxes_of("111100000", (3, 3))
    [((0,), (0, 1, 2)), ((1,), (0,))]
    """
    if len(kernel) == 1:
        offsets = tuple(t for t, on in enumerate(taps) if on == "1")
        return [(offsets,)] if offsets else []
    below = len(taps) // kernel[0]
    slices: dict[str, list[int]] = {}
    for t in range(kernel[0]):
        slices.setdefault(taps[t * below : (t + 1) * below], []).append(t)
    return [(tuple(first), *rest) for part, first in slices.items() for rest in boxes_of(part, kernel[1:])]


def reduced(slide: Slide, taps: tuple[int, ...]) -> Index:
    """A window of which some taps are used only."""
    step = taps[1] - taps[0] if len(taps) > 1 else 1
    if taps == tuple(range(taps[0], taps[-1] + 1, step)):
        first = slide.first + slide.dilation * taps[0]
        return Slide(slide.stride, first, len(taps), slide.dilation * step, slide.border)
    return Table(int(slide.stride), [[slide.first + slide.dilation * t for t in taps]], slide.border)


def grouped(c: int, m: int, groups: int) -> Index:
    """The channels that each of m output channels reads of c input channels in groups."""
    return Table(c // groups, [range(c // groups)] * (m // groups))


@layer("conv")
class Conv(Layer):
    """A convolution over any number of spatial axes, channels first.

    Output length (n + a + b − d(k − 1) − 1) // s + 1 on each axis; weights k₁·k₂…·(C_in/groups)·C_out; multiply-adds
    weights × output positions.

    >>> from rfcalc import Conv, Shape
    >>> Conv(96, 11, stride=4).output(Shape(3, 227, 227))
    Shape(96, 55, 55)

    Args:
        out_channels: C_out.
        kernel, stride, dilation: one number for all axes, or one for each; a `Sliding` as the kernel says them all.
        padding: a number, one for each axis, pairs (before, after), ``"valid"``, ``"same"`` (PyTorch, stride 1) or
            ``"SAME"`` (TensorFlow: depends on the input size).
        groups: channels are split into this many groups.
        bias: whether each output channel adds a bias.
        border: what padding holds: ``zeros``, ``reflect``, ``replicate``, ``circular``.
        table: for each output map the input maps that it is connected to (LeNet-5's C3); only these are counted.
        fixed: its kernel is a constant (a blur), not learned: no parameters.
        taps: which taps of the kernel are used, ``1`` or ``0`` for each, row by row (PixelCNN's masks): the others are
            kept at 0, count as parameters and are multiplied all the same.

    Raises:
        LayerError: for parameters that no convolution can have.
    """

    lies = "channels"
    out_channels: Size
    kernel: Any
    _: KW_ONLY
    stride: Any = (1,)
    padding: Any = ((0, 0),)
    dilation: Any = (1,)
    groups: Size = 1
    bias: bool = True
    border: str = Border.ZEROS
    table: tuple[tuple[int, ...], ...] | None = None
    fixed: bool = False
    taps: str | None = None
    geometry: Sliding = field(init=False, compare=False)

    from_the_input = slice(0, 1)
    weight_layers = 1
    makes_weights_too = True
    complex_runs = 3  # (a + bi)(c + di) by three products
    spelling = Spelling(
        ("conv",),
        "conv3-64/2 p1",
        ("nobias", "fixed", *PADDINGS, *BORDERS),
        ("/", "p", "d", "g", "table", "taps"),
        "stride 1; padding d(k − 1) in all, the smaller half before: it keeps the size at stride 1",
    )

    def __post_init__(self) -> None:
        (out,) = axes("out_channels", self.out_channels)
        (groups,) = axes("groups", self.groups)
        given = (self.padding, self.dilation, Rounding.FLOOR, self.border)
        Sliding.of(self.kernel, self.stride, *given).held_by(self)
        if not divides(groups, out):
            raise LayerError(
                f"{plural(out, 'output channel')} cannot be split into {plural(groups, 'group')}",
                fix="make one divide the other",
            )
        if self.fixed and self.bias:
            raise LayerError("a fixed kernel has no bias", fix="add bias=False")
        if self.table is not None:
            rows = tuple(tuple(sorted(set(row))) for row in self.table)
            if len(rows) != out or groups != 1:
                have = plural(len(rows), "row")
                raise LayerError(
                    f"the connection table has {have} for {plural(out, 'output map')} in {plural(groups, 'group')}",
                    fix="give one row for each output map, and groups=1",
                )
            store(self, table=rows)
        if self.taps is not None:
            self._check_taps(self.geometry.kernel)

    def _check_taps(self, kernel: tuple[Size, ...]) -> None:
        taps = self.taps
        if not isinstance(taps, str) or not taps or taps.strip("01"):
            raise LayerError(f"{taps!r} does not say taps", fix='write 1 or 0 for each tap, row by row: "110000"')
        whole = prod(kernel)
        fits = len(kernel) == 1 and is_number(whole) and len(taps) in (whole, whole**2, whole**3)
        if is_number(whole) and len(taps) != whole and not fits:
            raise LayerError(f"{len(taps)} taps are told, the kernel has {whole}")
        if "0" not in taps:
            store(self, taps=None)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        spatial_rank(x, self)
        c, g = x.dims[0], self.groups
        if g != 1 and not divides(g, c):
            raise ShapeError(
                f"{c} input {noun(c, 'channel')} cannot be split into {plural(g, 'group')}",
                why=f"{c} mod {g} = {c % g}",
            )
        if self.table is not None and max((m for row in self.table for m in row), default=0) >= c:
            raise ShapeError(f"the connection table names input map {max(map(max, self.table))}, there are {c}")
        if self.taps is not None and not agree(prod(self.geometry.kernel_axes(x.rank)), len(self.taps)):
            raise ShapeError(f"{len(self.taps)} taps are told, which do not fit a kernel over {x.rank} axes")
        return Shape(self.out_channels, *self.geometry.lengths(x.dims[1:]))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        slides = self.geometry.slides(x.dims[1:])
        kernel = self.geometry.kernel_axes(x.rank)
        if self.taps is None or any(isinstance(slide, Unsized) for slide in slides):
            return (over_space(x, slides),)
        if not all(is_number(v) for v in (*kernel, *(slide.first for slide in slides))):  # type: ignore[union-attr]
            return (over_space(x, tuple(Unsized("which taps are used") for _ in slides)),)
        found: list[Reads] = []
        for box in boxes_of(self.taps, tuple(map(int, kernel))):
            read = [reduced(slide, taps) for slide, taps in zip(slides, box, strict=True)]  # type: ignore[arg-type]
            found += over_space(x, tuple(read))
        return (tuple(found),)

    @property
    def by_position(self) -> bool:
        return {*self.kernel} == {1}

    @property
    def selective(self) -> bool:
        return self.table is not None or decide(self.groups == 1) is not True

    def joins_channels(self, x: Shape) -> bool:
        return not self.selective

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        if not self.selective or (self.table is not None and not all(self.table)):
            return None
        if self.table is not None:
            channel: Index = Listed(self.table)
        else:
            channel = grouped(xs[0].channels, y.channels, self.groups)
        return (channelwise(self.reads(xs, y)[0], (0, channel)),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        kernel = self.geometry.kernel_axes(len(y.dims) - 1)
        if self.table is None and decide(self.groups == 1) is True:
            weights = WEIGHTS_ALL(k=kernel, c=xs[0].dims[0], m=self.out_channels)
        elif self.table is None:
            weights = WEIGHTS(k=kernel, c=xs[0].dims[0], g=self.groups, m=self.out_channels)
        else:
            weights = WEIGHTS_TABLE(k=kernel, connections=sum(len(row) for row in self.table))
        macs = MACS(w=weights, o=y.dims[1:])
        if not self.bias:
            return Cost(0 if self.fixed else weights, macs=macs)
        return Cost(
            weights,
            BIASES(m=self.out_channels),
            0,
            macs,
            BIAS_ADDS(m=self.out_channels, o=y.dims[1:]),
        )

    def copies_gradient(self, x: Shape) -> bool:
        return bool(prod(self.geometry.kernel_axes(x.rank)) > 1 and x.dims[0] != self.groups)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        if self.table is None:
            return keeps(self.geometry, xs[0])
        # PyTorch has no such layer: the connected maps go side by side into a grouped convolution, with their kernels
        connections = sum(len(row) for row in self.table)
        sides = [self.geometry.around(n, i) for i, n in enumerate(xs[0].dims[1:])]
        lengths = [n + a + b for n, (a, b) in zip(xs[0].dims[1:], sides, strict=True)]
        kernel = self.geometry.kernel_axes(len(lengths))
        return Saved(extra_values=connections * prod(lengths), batch_values=connections * prod(kernel))

    def notation(self, exact: bool = False) -> str:
        text = spell("conv", self.geometry, self.out_channels, exact=exact)
        text += "" if self.groups == 1 else f" g{number(self.groups)}"
        if self.table is not None:
            text += f" table({';'.join(','.join(map(str, row)) for row in self.table)})" if exact else " table"
        if self.taps is not None:
            text += f" taps{self.taps}" if exact else " masked"
        return text + flags(nobias=not self.bias, fixed=self.fixed)

    @classmethod
    def from_word(cls, word: Word) -> Conv:
        return cls(
            word.need_channels(),
            word.geometry(pad="keep"),
            groups=word.number("g", 1),
            bias=not word.flag("nobias"),
            table=_table(word),
            fixed=word.flag("fixed"),
            taps=word.value("taps"),
        )


def _table(word: Word) -> tuple[tuple[int, ...], ...] | None:
    """A connection table, written ``table(0,1,2;1,2,3;…)``: a row for each output map."""
    text = word.value("table")
    if text is None:
        return None
    try:
        return tuple(tuple(int(m) for m in row.split(",") if m.strip()) for row in text[1:-1].split(";"))
    except ValueError:
        word.culprit = "table"
        raise LayerError("this is not a connection table", fix="write a row for each map: table(0,1,2;1,2,3)") from None


@layer("depthwise")
class Depthwise(Layer):
    """A convolution that keeps the channels apart: one kernel (or `multiplier` of them) for each input channel.

    The same as ``Conv(C·multiplier, kernel, groups=C)`` where C comes from the input.

    >>> from rfcalc import Depthwise, Shape
    >>> Depthwise(3, padding=1).cost((Shape(32, 8, 8),), Shape(32, 8, 8)).weights
    288
    """

    lies = "channels"
    kernel: Any
    _: KW_ONLY
    stride: Any = (1,)
    padding: Any = ((0, 0),)
    dilation: Any = (1,)
    multiplier: Size = 1
    bias: bool = True
    border: str = Border.ZEROS
    geometry: Sliding = field(init=False, compare=False)

    from_the_input = slice(0, 2)  # in_channels, out_channels
    weight_layers = 1
    complex_runs = 3  # (a + bi)(c + di) by three products
    spelling = Spelling(
        ("dwconv",),
        "dwconv3/2",
        ("nobias", *PADDINGS, *BORDERS),
        ("/", "p", "d", "m"),
        "stride 1; padding that keeps the size at stride 1; one kernel for each channel (m1)",
    )

    def __post_init__(self) -> None:
        given = (self.padding, self.dilation, Rounding.FLOOR, self.border)
        Sliding.of(self.kernel, self.stride, *given).held_by(self)
        axes("multiplier", self.multiplier)

    def output(self, *xs: Shape) -> Shape:
        spatial_rank(xs[0], self)
        return Shape(xs[0].dims[0] * self.multiplier, *self.geometry.lengths(xs[0].dims[1:]))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (over_space(xs[0], self.geometry.slides(xs[0].dims[1:])),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return (channelwise(self.reads(xs, y)[0], (0, Table(1, [[0]] * (y.channels // xs[0].channels)))),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        m = y.dims[0]
        weights = WEIGHTS_APART(k=self.geometry.kernel_axes(len(y.dims) - 1), m=m)
        macs = MACS(w=weights, o=y.dims[1:])
        if not self.bias:
            return Cost(weights, macs=macs)
        return Cost(weights, BIASES(m=m), 0, macs, BIAS_ADDS(m=m, o=y.dims[1:]))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return keeps(self.geometry, xs[0])

    def notation(self, exact: bool = False) -> str:
        text = spell("dwconv", self.geometry, None, exact=exact)
        return text + ("" if self.multiplier == 1 else f" m{number(self.multiplier)}") + flags(nobias=not self.bias)

    @classmethod
    def from_word(cls, word: Word) -> Depthwise:
        geometry = word.geometry(pad="keep")
        return cls(geometry, multiplier=word.number("m", 1), bias=not word.flag("nobias"))
