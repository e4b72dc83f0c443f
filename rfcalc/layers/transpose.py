"""Transposed convolution (the backward pass of a convolution, used to upsample)."""

from __future__ import annotations

from dataclasses import KW_ONLY, field
from typing import Any

from rfcalc.core.cost import KEEPS_INPUT, Cost, Formula, Saved
from rfcalc.core.errors import LayerError, ShapeError, noun, plural
from rfcalc.core.layer import Alternatives, Layer, channelwise, layer, over_space, spatial_rank, store
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, decide, divides, holds, is_number, prod
from rfcalc.core.sliding import Sliding, axes, check_phases, one
from rfcalc.core.syntax import Spelling, Word, flags, number, sizes, spell
from rfcalc.core.window import Index, Table, Unsized
from rfcalc.layers.conv import BIAS_ADDS, BIASES, grouped

OUT = Formula(
    "output_size",
    "(n - 1) * s - a - b + d * (k - 1) + e + 1",
    "Dumoulin & Visin 2016, relationship 14, with dilation d, padding a, b per side and output padding e",
)
WEIGHTS = Formula("weights", "prod(k) * c * (m // g)", "kernel × input channels × output channels of a group")
WEIGHTS_ALL = Formula("weights", "prod(k) * c * m", "kernel × input channels × output channels")
MACS = Formula("macs", "w * prod(i)", "every weight is used once at every input position")


@layer("conv_transpose")
class ConvTranspose(Layer):
    """A transposed convolution: input position i feeds outputs i·s − a + d·t for t in 0 … k − 1.

    Output o therefore reads every i with i·s + d·t = o + a: a map that is affine up to the period s.

    >>> from rfcalc import ConvTranspose, Shape
    >>> ConvTranspose(64, 2, stride=2).output(Shape(128, 28, 28))
    Shape(64, 56, 56)

    Args:
        out_channels: C_out.
        kernel, stride, dilation: one number for all axes, or one for each.
        padding: cut off from the full result on each side (numbers or pairs).
        output_padding: added to the output's end (smaller than stride or dilation).
        groups, bias, fixed: as for `Conv`.
    """

    lies = "channels"
    out_channels: Size
    kernel: Any
    _: KW_ONLY
    stride: Any = (1,)
    padding: Any = ((0, 0),)
    output_padding: Any = (0,)
    groups: Size = 1
    bias: bool = True
    dilation: Any = (1,)
    fixed: bool = False
    geometry: Sliding = field(init=False, compare=False)

    from_the_input = slice(0, 1)
    weight_layers = 1
    makes_weights_too = True
    spelling = Spelling(
        ("convT", "deconv", "upconv"),
        "convT2-64/2",
        ("nobias", "fixed", "valid"),
        ("/", "p", "d", "g", "op"),
        "stride 1; nothing cut off (padding 0), no output padding",
    )

    def __post_init__(self) -> None:
        (out,) = axes("out_channels", self.out_channels)
        (groups,) = axes("groups", self.groups)
        geometry = Sliding.of(self.kernel, self.stride, self.padding, self.dilation)
        stride, dilation = geometry.stride, geometry.dilation
        if isinstance(geometry.padding, str):
            raise LayerError(
                f'padding "{geometry.padding}" is not defined for a transposed convolution', fix="give numbers"
            )
        extra = axes("output_padding", self.output_padding, least=0)
        for i, e in enumerate(extra):
            if not holds(e < one(stride, i), "output padding < stride") and not holds(e < one(dilation, i)):
                raise LayerError(
                    f"output_padding {e} is too large",
                    why=f"it must be smaller than stride {one(stride, i)} or dilation",
                )
        if not divides(groups, out):
            raise LayerError(f"{plural(out, 'output channel')} cannot be split into {plural(groups, 'group')}")
        if self.fixed and self.bias:
            raise LayerError("a fixed kernel has no bias", fix="add bias=False")
        geometry.held_by(self)
        store(self, output_padding=extra)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        g = self.geometry
        g.kernel_axes(spatial_rank(x, self))
        if not divides(self.groups, x.dims[0]):
            raise ShapeError(
                f"{x.dims[0]} input {noun(x.dims[0], 'channel')} cannot be split into {plural(self.groups, 'group')}"
            )
        lengths = []
        for i, n in enumerate(x.dims[1:]):
            a, b = g.around(n, i)
            k, s, d, e = one(g.kernel, i), one(g.stride, i), one(g.dilation, i), one(self.output_padding, i)
            length = OUT(n=n, s=s, a=a, b=b, d=d, k=k, e=e)
            if not holds(length >= 1, "{} ≥ 1", length):
                raise ShapeError(
                    "nothing is left of the map",
                    why=f"{OUT.expression} = {OUT.filled(n=n, s=s, a=a, b=b, d=d, k=k, e=e)} = {length}",
                    fix="use less padding",
                )
            lengths.append(length)
        return Shape(self.out_channels, *lengths)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        g = self.geometry
        found: list[Index] = []
        for i, n in enumerate(xs[0].dims[1:]):
            k, s, d, a = one(g.kernel, i), one(g.stride, i), one(g.dilation, i), g.around(n, i)[0]
            if not (all(is_number(v) for v in (k, s, d, a)) and isinstance(a, int)):  # `a` may follow the size
                found.append(Unsized("the phases of a transposed convolution need numbers for kernel and stride"))
                continue
            check_phases(s * k)
            phases = [[(o + a - d * t) // s for t in range(k) if (o + a - d * t) % s == 0] for o in range(s)]
            found.append(Table(1, phases))
        return (over_space(xs[0], tuple(found)),)

    @property
    def selective(self) -> bool:
        return decide(self.groups == 1) is not True

    def joins_channels(self, x: Shape) -> bool:
        return not self.selective

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        channel = grouped(xs[0].channels, y.channels, self.groups)
        return (channelwise(self.reads(xs, y)[0], (0, channel)),) if self.selective else None

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        (x,) = xs
        kernel, c, g = self.geometry.kernel_axes(x.rank), x.dims[0], self.groups
        if decide(g == 1) is True:
            weights = WEIGHTS_ALL(k=kernel, c=c, m=self.out_channels)
        else:
            weights = WEIGHTS(k=kernel, c=c, g=g, m=self.out_channels)
        macs = MACS(w=weights, i=x.dims[1:])
        if not self.bias:
            return Cost(0 if self.fixed else weights, macs=macs)
        m = self.out_channels
        return Cost(weights, BIASES(m=m), 0, macs, BIAS_ADDS(m=m, o=y.dims[1:]))

    def copies_gradient(self, x: Shape) -> bool:
        return bool(prod(self.geometry.kernel_axes(x.rank)) > 1 and self.out_channels != self.groups)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_INPUT

    def notation(self, exact: bool = False) -> str:
        text = spell("convT", self.geometry, self.out_channels, pad="zero", exact=exact)
        text += "" if self.output_padding == (0,) else f" op{sizes(self.output_padding)}"
        return (
            text
            + ("" if self.groups == 1 else f" g{number(self.groups)}")
            + flags(nobias=not self.bias, fixed=self.fixed)
        )

    @classmethod
    def from_word(cls, word: Word) -> ConvTranspose:
        return cls(
            word.need_channels(),
            word.geometry(pad="zero"),
            output_padding=word.numbers("op", (0,)),
            groups=word.number("g", 1),
            bias=not word.flag("nobias"),
            fixed=word.flag("fixed"),
        )
