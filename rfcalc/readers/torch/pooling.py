"""Pooling, resizing, reductions over axes."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, prod
from typing import Any

from rfcalc.core.errors import UnknownSize
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import watching
from rfcalc.layers.general import Elementwise
from rfcalc.layers.pool import AdaptivePool, AvgPool, MaxPool
from rfcalc.layers.resample import PixelShuffle, PixelUnshuffle, Upsample
from rfcalc.layers.unpool import MaxUnpool
from rfcalc.readers.builder.indexed import summed
from rfcalc.readers.builder.joining import padded
from rfcalc.readers.builder.maps import back, mapped, sized, tidy
from rfcalc.readers.builder.moves import batch_after, regrouped, sliced
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.handling import OperatorCall, handles


def _placed(call: OperatorCall, rank: int, make: Any, given: Value | None = None) -> Value:
    graph = call.graph
    x, leading = mapped(graph, call.x if given is None else given, rank)
    dims = call.dims
    if leading:
        dims = (dims[1], dims[0], *dims[2:])
    return back(graph, graph.add(make(leading), (x.node,), dims, x.batch), leading)


def _rank(call: OperatorCall) -> int:
    return int(next(c for c in call.step.name if c in "123"))


def _window(call: OperatorCall, rank: int, leading: bool) -> tuple[Any, Any, Any]:
    kernel = sized(call["kernel_size"], rank, leading)
    stride = sized(call["stride"] or call["kernel_size"], rank, leading)
    return tidy(kernel), None if stride == kernel else tidy(stride), tidy(sized(call["padding"], rank, leading, 0))


@handles("max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices")
@handles("max_pool3d_with_indices")
def max_pool(call: OperatorCall) -> list[Value | None]:
    rank, dilation = _rank(call), call["dilation"]
    rounding = "ceil" if call["ceil_mode"] else "floor"

    def make(leading: bool) -> MaxPool:
        kernel, stride, padding = _window(call, rank, leading)
        return MaxPool(kernel, stride, padding, dilation=tidy(sized(dilation, rank, leading)), rounding=rounding)

    made = _placed(call, rank, make)
    if "indices" not in call.step.name:
        return [made]
    call.graph.pooled[id(call.step.out[1])] = call.x, make(False), rank
    return [made, None]


@handles("max_unpool2d", "max_unpool3d")
def max_unpool(call: OperatorCall) -> Value:
    """Unpooling by the indices of a max pooling, to the size of the map that was pooled.

    `nn.MaxUnpool1d` runs the operator of two axes on a map that is one position wide; the pool's own axes count.
    """
    graph = call.graph
    found = graph.pooled.get(id(call["indices"]))
    if found is None:
        raise _unknown("its indices are not those that a max pooling gave")
    pooled, layer, rank = found
    lead, size = pooled.dims[:-rank], pooled.dims[-rank:]
    asked = _asked(call, size)
    if asked is None or _but_ones(call.dims) != _but_ones((*lead, *asked)):
        told = "x".join(map(str, size))
        why = f"its size is not that of the map that was pooled ({told}), where the indices mean positions"
        raise _unknown(why)
    x = call.x
    windows = (*lead, *layer.geometry.lengths(size))
    if x.dims != windows:
        x = regrouped(graph, x, windows, batch_after(x, windows))
    (x, leading), (pooled, other) = mapped(graph, x, rank), mapped(graph, pooled, rank)
    if leading or other or x.batch != pooled.batch:
        raise NotUnderstood("of a merged batch")
    unpool = MaxUnpool(layer.kernel, layer.stride, layer.padding, dilation=layer.dilation, rounding=layer.rounding)
    made = graph.add(unpool, (x.node, pooled.node), (*lead, *size), x.batch)
    more = asked[0] - size[0]
    if more > 0:
        made = padded(graph, made, [(0, more) if i == len(lead) else (0, 0) for i in range(len(made.dims))], "zeros")
    elif more < 0:
        made = sliced(graph, made, len(lead), 0, asked[0])
    return made if made.dims == call.dims else regrouped(graph, made, call.dims, batch_after(made, call.dims))


def _unknown(why: str) -> Exception:
    """Of what values say whether it runs: where sizes are asked for, nothing is told."""
    sized = (watched := watching()) is not None and watched.sized
    return UnknownSize("values say whether it runs", why=why) if sized else NotUnderstood(why)


def _asked(call: OperatorCall, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The size that is asked for, on the axes of the pool, if the indices mean the same places there: only the first
    axis may be longer or shorter (a place beyond it is refused by PyTorch)."""
    plane, row = prod(call.dims[-_rank(call) :]), prod(size[1:])
    return (plane // row, *size[1:]) if row and plane % row == 0 else None


def _but_ones(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The dims without axes of one position, which change no order."""
    return tuple(n for n in dims if n != 1)


@handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(call: OperatorCall) -> Value:
    rank = _rank(call)

    def make(leading: bool) -> Layer:
        kernel, stride, padding = _window(call, rank, leading)
        return AvgPool(
            kernel,
            stride,
            padding,
            rounding="ceil" if call["ceil_mode"] else "floor",
            count_padding=bool(call["count_include_pad"]),
        )

    return _placed(call, rank, make)


@handles("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
@handles("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_pool(call: OperatorCall) -> list[Value | None]:
    rank = _rank(call)
    op = "max" if "max" in call.step.name else "avg"

    def make(leading: bool) -> Layer:
        return AdaptivePool(tidy(sized(call["output_size"], rank, leading, None)), op)

    made = _placed(call, rank, make)
    return [made, None] if op == "max" else [made]


MODES = {"nearest": "nearest", "_nearest_exact": "nearest-exact", "linear": "linear", "bilinear": "linear"}
MODES |= {"trilinear": "linear", "bicubic": "cubic"}


def _resize(call: OperatorCall) -> Value:
    rank = _rank(call)
    mode = MODES[call.step.name.removeprefix("_upsample").removeprefix("upsample_").rstrip("123d")]
    x, m = call.x, call.dims[-rank:]
    factors = call.step.args.get("scale_factors") or [v for k, v in call.step.args.items() if k.startswith("scales")]
    corners = bool(call.step.args.get("align_corners"))
    for i, (a, b, f) in enumerate(zip(x.dims[-rank:], m, factors or [None] * rank, strict=False), len(x.dims) - rank):
        if f is None or corners or abs(a * f - b) <= 1e-6:
            continue
        every = round(1 / f)
        if abs(f * every - 1) > 1e-9 or mode == "cubic":
            raise NotUnderstood(f"a factor of {f:g}, which the sizes {a} and {b} do not have")
        x = sliced(call.graph, x, i, 0, b * every)  # no window reads what is left over
    n = x.dims[-rank:]

    def make(leading: bool) -> Layer:
        if all(b % a == 0 for a, b in zip(n, m, strict=True)) and (factors or not corners):
            by = tidy(sized([b // a for a, b in zip(n, m, strict=True)], rank, leading))
            return Upsample(by, None, mode, corners)
        size = (call.x.dims[0], *m) if leading else m
        return Upsample(None, tidy(size), mode, corners)

    return _placed(call, rank, make, x)


for _mode, _ranks in (("nearest", "123"), ("linear", "1"), ("bilinear", "2"), ("trilinear", "3"), ("bicubic", "2")):
    for _r in _ranks:
        handles(f"upsample_{_mode}{_r}d")(_resize)
for _r in "123":
    handles(f"_upsample_nearest_exact{_r}d")(_resize)


@handles("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def smooth_resize(call: OperatorCall) -> Value:
    """Resizing with a filter as wide as the step: a triangle, or a cubic, that is not 0 at these positions."""
    graph, x, args = call.graph, call.x, call.step.args
    if args.get("align_corners") or len(x.dims) != 4:
        raise NotUnderstood("with corners aligned")
    given = args.get("scale_factors") or [args.get("scales_h"), args.get("scales_w")]
    half = 1 if "bilinear" in call.step.name else 2
    for axis, factor in zip((2, 3), given, strict=True):
        n, m = x.dims[axis], call.dims[axis]
        if factor is not None and abs(n * factor - m) > 1e-6:
            raise NotUnderstood(f"a factor of {factor:g}, which the sizes {n} and {m} do not have")
        if n != m:
            step = Fraction(n, m)
            wide = max(step, Fraction(1))
            rows = []
            for unit in range(step.denominator):
                centre = step * (unit + Fraction(1, 2)) - Fraction(1, 2)
                near = range(floor(centre - half * wide), ceil(centre + half * wide) + 1)
                places = [(j, abs(j - centre) / wide) for j in near]
                rows.append([j for j, far in places if far < half and (far.denominator != 1 or not far)])
            x = summed(graph, x, axis, rows, step.numerator, m)
    return x


@handles("pixel_shuffle", "pixel_unshuffle")
def shuffle(call: OperatorCall) -> Value:
    down = call.step.name == "pixel_unshuffle"
    factor = call["downscale_factor"] if down else call["upscale_factor"]

    def make(leading: bool) -> Layer:
        if leading:
            raise NotUnderstood("of a merged batch")
        return PixelUnshuffle(factor) if down else PixelShuffle(factor)

    return _placed(call, 2, make)


@handles("mean", "sum", "amax", "amin", "logsumexp", "prod", "any", "all", "var", "std", "nanmean", "nansum")
def reduction(call: OperatorCall) -> Value:
    graph, args = call.graph, call.step.args
    axes = args.get("dim")
    axes = [] if axes is None else list(axes) if isinstance(axes, (list, tuple)) else [axes]
    return reduced(graph, call.x, axes, call.step.name.removeprefix("nan"), bool(args.get("keepdim")), call.dims)


@handles("norm", "linalg_vector_norm", "linalg_norm", "linalg_matrix_norm", "frobenius_norm", "nuclear_norm")
def norm(call: OperatorCall) -> Value:
    graph, args = call.graph, call.step.args
    axes = args.get("dim")
    axes = [] if axes is None else list(axes) if isinstance(axes, (list, tuple)) else [axes]
    return reduced(graph, call.x, axes, "norm", bool(args.get("keepdim")), call.dims)


@handles("var_mean", "std_mean")
def two(call: OperatorCall) -> list[Value]:
    graph, args = call.graph, call.step.args
    axes = list(args.get("dim") or [])
    keep = bool(args.get("keepdim"))
    return [reduced(graph, call.x, axes, op, keep, call.dims) for op in (call.step.name[:3], "mean")]


@handles("max", "min")
def extreme(call: OperatorCall) -> list[Value | None]:
    graph, args = call.graph, call.step.args
    if "other" in args:
        a, b = call.value("self"), call.value("other")
        nodes, batch, _ = graph.aligned((a, b), call.dims)
        return [graph.add(Elementwise(call.step.name), nodes, call.dims, batch)]
    axes = [args["dim"]] if "dim" in args else []
    made = reduced(graph, call.x, axes, call.step.name, bool(args.get("keepdim")), call.dims)
    if "dim" not in args:
        return [made]
    return [made, reduced(graph, call.x, axes, f"arg{call.step.name}", bool(args.get("keepdim")), call.dims)]


@handles("argmax", "argmin")
def where(call: OperatorCall) -> Value:
    axes = [] if call["dim"] is None else [call["dim"]]
    return reduced(call.graph, call.x, axes, call.step.name, bool(call["keepdim"]), call.dims)
