"""Pooling.

What PyTorch's layers cannot do (dilated averages, unequal padding, ONNX's ceil rule, TensorFlow's ``SAME``, padding
wider than half the kernel) pads first, so that plain windows cover the map.
"""

from __future__ import annotations

from math import prod

from rfcalc.backend.kinds.conv import each, padded, sides_of
from rfcalc.backend.twin import At, Twin, call, measuring, same_everywhere, spatial, text_only, twin


def native(at: At, rank: int, averages: bool = False, of: int = 0) -> bool:
    """Whether PyTorch's own layer does it, at any input size; `of`: which input is the map under the windows."""
    g = at.layer.geometry
    if g.padding == "SAME" and any(s != 1 for s in each(g.stride, rank)):
        return False
    sides = sides_of(g, at.xs[of].dims[1:])
    reach = each(g.kernel, rank)
    # PyTorch's one-dimensional max pooling has a ceil rule of its own where the window is larger than the map.
    fits = all(a == b and 2 * a <= k for (a, b), k in zip(sides, reach, strict=True))
    if averages and any(d != 1 for d in each(g.dilation, rank)):
        return False
    if averages and rank == 3 and any(n < k for n, k in zip(at.x.dims[1:], reach, strict=True)):
        return False  # PyTorch wants the map itself, without its padding, to be as large as the kernel here
    return fits and (g.rounding == "floor" or (g.rounding == "ceil" and (rank > 1 or averages)))


def described(at: At, rank: int, even: bool = False, of: int = 0) -> str:
    """The geometry, as the functions of `parts` take it; `even`: with the smaller of both sides; `of` as above."""
    g = at.layer.geometry
    dynamic = g.padding == "SAME" and any(s != 1 for s in each(g.stride, rank))
    sides = None if dynamic else sides_of(g, at.xs[of].dims[1:])
    if even and sides is not None:
        sides = tuple((min(pair), min(pair)) for pair in sides)
    rounding = "floor" if g.padding == "SAME" else g.rounding  # SAME says the output's size
    return f"{each(g.kernel, rank)}, {each(g.stride, rank)}, {sides}, {each(g.dilation, rank)}, {rounding!r}"


def odd_first(at: At, rank: int, value: str = "") -> tuple[str, bool]:
    """The map, with the odd position that ``"same"`` adds on one side, as PyTorch's convolutions do it; whether any."""
    if at.layer.geometry.padding != "same":
        return "{0}", False
    more = tuple((0, b - a) for a, b in sides_of(at.layer.geometry, at.x.dims[1:]))
    return padded("{0}", more, value=value), True


@twin("maxpool")
def maxpool(at: At) -> Twin:
    rank = spatial(at)
    g = at.layer.geometry
    kernel, stride, dilation = (each(v, rank) for v in (g.kernel, g.stride, g.dilation))
    if not native(at, rank):
        x, even = odd_first(at, rank, "-torch.inf")
        return text_only(f"max_pool({x}, {described(at, rank, even)})", composed=True)
    padding = tuple(a for a, _ in sides_of(g, at.x.dims[1:]))
    return Twin(
        call(
            f"nn.MaxPool{rank}d",
            same_everywhere(kernel),
            stride=same_everywhere(stride) if stride != kernel else None,
            padding=same_everywhere(padding) if any(padding) else None,
            dilation=same_everywhere(dilation) if prod(dilation) != 1 else None,
            ceil_mode=True if g.rounding == "ceil" else None,
        )
    )


@twin("avgpool")
def avgpool(at: At) -> Twin:
    rank = spatial(at)
    layer, g = at.layer, at.layer.geometry
    if layer.trainable:
        made = call("Scale", at.x.dims[0], rank, bias=True)
        return Twin(
            made, f"{{m}}(sum_pool({{0}}, {described(at, rank)}))", composed=not native(at, rank, averages=True)
        )
    if not native(at, rank, averages=True):
        x, even = odd_first(at, rank) if layer.count_padding else ("{0}", False)
        return text_only(f"mean_pool({x}, {described(at, rank, even)}, {layer.count_padding})", composed=True)
    kernel, stride = each(g.kernel, rank), each(g.stride, rank)
    padding = tuple(a for a, _ in sides_of(g, at.x.dims[1:]))
    return Twin(
        call(
            f"nn.AvgPool{rank}d",
            same_everywhere(kernel),
            stride=same_everywhere(stride) if stride != kernel else None,
            padding=same_everywhere(padding) if any(padding) else None,
            ceil_mode=True if g.rounding == "ceil" else None,
            count_include_pad=None if layer.count_padding else False,
        )
    )


@twin("lppool")
def lppool(at: At) -> Twin:
    rank = spatial(at)
    g = at.layer.geometry
    kernel, stride, power = each(g.kernel, rank), each(g.stride, rank), at.layer.power
    if not native(at, rank, averages=True):
        covered = f"covered({{0}}, {described(at, rank)})"
        told = f"{power}, {same_everywhere(kernel)}, {same_everywhere(stride)}"
        return text_only(f"F.lp_pool{rank}d({covered}, {told})", composed=True)
    return Twin(
        call(
            f"nn.LPPool{rank}d",
            power,
            same_everywhere(kernel),
            stride=same_everywhere(stride) if stride != kernel else None,
            ceil_mode=True if g.rounding == "ceil" else None,
        )
    )


@measuring("maxpool", "avgpool", "lppool")
def window(at: At) -> Twin:
    """The sum over the window, by a convolution with ones on each channel: it holds what any pooling reads."""
    rank = spatial(at)
    return text_only(f"box({{0}}, {described(at, rank)})")


@twin("adaptive_pool")
def adaptive_pool(at: At) -> Twin:
    rank = spatial(at)
    sizes = at.layer.size if len(at.layer.size) == rank else at.layer.size * rank
    if rank == 1 and sizes[0] is None:
        sizes = (at.x.dims[1],)
    op = {"avg": "Avg", "max": "Max"}[at.layer.op]
    return Twin(call(f"nn.Adaptive{op}Pool{rank}d", sizes if None in sizes else same_everywhere(sizes)))


@measuring("adaptive_pool")
def adaptive_average(at: At) -> Twin:
    rank = spatial(at)
    return text_only(f"F.adaptive_avg_pool{rank}d({{0}}, {at.y.dims[1:]})")


@twin("mean")
def mean(at: At) -> Twin:
    x = at.x
    gone = x.axes if at.layer.axes is None else sorted({a % len(x.dims) for a in at.layer.axes})
    axes = tuple(a + 1 for a in gone)
    if at.layer.keep:
        return text_only(f"{{0}}.mean({axes}, keepdim=True)")
    return text_only(f"{{0}}.mean({axes})" + (".unsqueeze(1)" if len(gone) == len(x.dims) else ""))
