"""Convolutions and transposed convolutions.

Padding that PyTorch's layers know is theirs (numbers equal on both sides, ``"same"``, borders); unequal sides are
padded before; TensorFlow's ``SAME`` with a stride depends on the input's size and is found while running.
"""

from __future__ import annotations

from math import prod
from typing import Any

from rfcalc.backend.twin import At, ConstructorCall, Twin, call, measuring, same_everywhere, spatial, twin
from rfcalc.core.errors import Unsupported
from rfcalc.core.sliding import Sliding, one

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


def each(values: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """An entry for every axis."""
    return tuple(one(values, i) for i in range(rank))


def sides_of(geometry: Sliding, spatial_sizes: tuple[Any, ...]) -> tuple[tuple[int, int], ...]:
    """Padding before and after on every axis."""
    return tuple(geometry.around(n, i) for i, n in enumerate(spatial_sizes))


def depends_on_size(geometry: Sliding, rank: int) -> bool:
    """Whether padding has to be found for each input size."""
    return geometry.padding == "SAME" and any(s != 1 for s in each(geometry.stride, rank))


def padded(x: str, sides: tuple[tuple[int, int], ...], mode: str = "zeros", value: str = "") -> str:
    """The expression of a padded map; F.pad counts from the last axis."""
    flat = tuple(p for pair in reversed(sides) for p in pair)
    if mode != "zeros":
        return f"F.pad({x}, {flat}, mode={MODES[mode]!r})"
    return f"F.pad({x}, {flat}{', value=' + value if value else ''})"


def _conv(at: At, c: int, out: int, groups: int) -> Twin:
    rank = spatial(at, "convolution")
    layer, g = at.layer, at.layer.geometry
    kernel, stride, dilation = (each(v, rank) for v in (g.kernel, g.stride, g.dilation))
    sides = sides_of(g, at.x.dims[1:])
    options: dict[str, Any] = {
        "stride": same_everywhere(stride) if any(s != 1 for s in stride) else None,
        "padding": None,
        "dilation": same_everywhere(dilation) if any(d != 1 for d in dilation) else None,
        "groups": groups if groups != 1 else None,
        "bias": None if layer.bias else False,
        "padding_mode": None,
    }
    before = "{0}"
    border = g.border
    table = getattr(layer, "table", None)
    text = "{m}({0})"
    if depends_on_size(g, rank):
        if border == "zeros" and table is None:
            text = "same_conv({m}, {0})"
        else:
            before = f"same_pad({{0}}, {kernel}, {stride}, {dilation}, {MODES[border]!r})"
    elif all(a == b == 0 for a, b in sides):
        options["padding_mode"] = None if border == "zeros" or table is not None else border
    elif table is not None:
        before = padded("{0}", sides, border)
    elif all(a == b for a, b in sides):
        options["padding"] = same_everywhere(tuple(a for a, _ in sides))
        options["padding_mode"] = None if border == "zeros" else border
    elif g.padding == "same":
        options["padding"] = "same"
        options["padding_mode"] = None if border == "zeros" else border
    else:
        before = padded("{0}", sides, border)
    taps = getattr(layer, "taps", None)
    if taps is not None:
        if text != "{m}({0})" or table is not None:
            raise Unsupported("a masked kernel cannot be built with this padding", why="it depends on the input's size")
        text = f"masked_conv({{m}}, {{0}}, {taps!r})"
    text = text.replace("{0}", before)
    if table is None:
        return Twin(call(f"nn.Conv{rank}d", c, out, same_everywhere(kernel), **options), text)
    made = call("PartialConv", c, table, kernel, stride=options["stride"], dilation=options["dilation"])
    return Twin(
        ConstructorCall(made.target, made.args, (*made.options, *(() if layer.bias else (("bias", False),)))), text
    )


@twin("conv")
def conv(at: At) -> Twin:
    """
    Raises:
        Unsupported: a fixed kernel, whose values are not kept.
    """
    _learned(at)
    return _conv(at, at.x.dims[0], at.layer.out_channels, at.layer.groups)


def _learned(at: At) -> None:
    if at.layer.fixed:
        raise Unsupported("a convolution with a fixed kernel cannot be built", why="its values are not kept")


@twin("depthwise")
def depthwise(at: At) -> Twin:
    c = at.x.dims[0]
    return _conv(at, c, c * at.layer.multiplier, c)


def collapsed(at: At, inner: str) -> str:
    """An expression on the mean of the channels, given to every output channel: a unit is all of a position's."""
    ones = ", -1" * at.y.rank
    return f"{inner.replace('{0}', '{0}.mean(1, keepdim=True)')}.expand(-1, {at.y.dims[0]}{ones})"


@measuring("conv")
def window(at: At) -> Twin:
    """The layer's own geometry on one channel."""
    layer = at.layer
    if getattr(layer, "table", None) is not None:
        layer = type(layer)(
            1,
            layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            bias=False,
            border=layer.border,
        )
    made = _conv(at._replace(layer=layer), 1, 1, 1)
    return Twin(_without_bias(made.module), collapsed(at, made.text))


@measuring("depthwise")
def apart(at: At) -> Twin:
    """The layer's own geometry, channel by channel."""
    made = depthwise(at)
    return Twin(_without_bias(made.module), made.text)


def _without_bias(made: ConstructorCall | None) -> ConstructorCall:
    assert made is not None
    return ConstructorCall(made.target, made.args, (*(o for o in made.options if o[0] != "bias"), ("bias", False)))


def _transposed(at: At, c: int, out: int, groups: int) -> Twin:
    rank = spatial(at, "transposed convolution")
    layer, g = at.layer, at.layer.geometry
    kernel, stride, dilation = (each(v, rank) for v in (g.kernel, g.stride, g.dilation))
    extra = each(layer.output_padding, rank)
    sides = sides_of(g, at.x.dims[1:])
    cut = tuple(min(pair) for pair in sides)
    made = call(
        f"nn.ConvTranspose{rank}d",
        c,
        out,
        same_everywhere(kernel),
        stride=same_everywhere(stride) if prod(stride) != 1 else None,
        padding=same_everywhere(cut) if any(cut) else None,
        output_padding=same_everywhere(extra) if any(extra) else None,
        groups=groups if groups != 1 else None,
        bias=None if layer.bias else False,
        dilation=same_everywhere(dilation) if prod(dilation) != 1 else None,
    )
    text, uneven = "{m}({0})", any(a != b for a, b in sides)
    if uneven:  # PyTorch cuts equally; what is more on one side is cut off afterwards
        slices = ", ".join(f"{a - p or ''}:{-(b - p) or ''}" for (a, b), p in zip(sides, cut, strict=True))
        text += f"[:, :, {slices}]"
    return Twin(made, text, composed=uneven)


@twin("conv_transpose")
def conv_transpose(at: At) -> Twin:
    """
    Raises:
        Unsupported: a fixed kernel, whose values are not kept.
    """
    _learned(at)
    return _transposed(at, at.x.dims[0], at.layer.out_channels, at.layer.groups)


@measuring("conv_transpose")
def transposed_window(at: At) -> Twin:
    made = _transposed(at, 1, 1, 1)
    return Twin(_without_bias(made.module), collapsed(at, made.text))
