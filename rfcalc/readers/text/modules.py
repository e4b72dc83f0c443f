"""torch.nn's modules as text: a name with arguments, as source writes it or ``print(model)`` shows it, as a layer.

Nothing is evaluated: arguments are literals, and whole-number arithmetic on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError, ShapeError, plural
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import watching
from rfcalc.core.size import prod
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.index_sum import IndexSum
from rfcalc.layers.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from rfcalc.layers.pointwise import GLU, Activation, Dropout, Identity, PReLU, Softmax, StochasticDepth
from rfcalc.layers.pool import AdaptivePool, AvgPool, LpPool, MaxPool
from rfcalc.layers.resample import Pad, PixelShuffle, PixelUnshuffle, Upsample
from rfcalc.layers.reshape import Flatten, Permute, Reshape
from rfcalc.layers.slice import ChannelShuffle
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.configuration import NO_DEFAULT, Fields, integer, malformed, shown


class Module(NamedTuple):
    """A module with its arguments, and where it stands."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    where: str


Sized = Callable[[list[Any], Callable[[Iterable[Any]], Any]], list[Layer]]


class WrittenLayer(NamedTuple):
    """A layer, and what its text says that it reads: channels (or features), and how many spatial axes.

    `layer` may be a function that makes layers for the lengths of the map before it (`TextChain.sized`); its second
    argument makes numbers of what it computes with them.
    """

    layer: Layer | Sized
    reads: int | None = None
    rank: int | None = None


class _Known(NamedTuple):
    parameters: tuple[str, ...]
    make: Callable[[Fields, int], WrittenLayer]


CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode")
TRANSPOSE = (*CONV[:5], "output_padding", "groups", "bias", "dilation", "padding_mode")
POOL = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")
AVGPOOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
FACTORS = 64  # the largest factor of a map, and the largest denominator of one
NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats", "device", "dtype", "bias")


def _size(f: Fields, name: str, rank: int, default: Any) -> Any:
    """One number for all axes, or one for each."""
    value = f.get(name)
    if value is None:
        value = default
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if not isinstance(value, (list, tuple)):
        return integer(value, f"{f.where}: {name}")
    found = f.sizes(name, rank)
    return found[0] if len(set(found)) == 1 else found


def _border(f: Fields) -> str:
    return f.word("padding_mode", "zeros")


def _conv(f: Fields, rank: int) -> WrittenLayer:
    padding = f.get("padding", 0)
    if isinstance(padding, str):
        padding = {"same": "same", "valid": 0}.get(padding, padding)
    else:
        padding = _size(f, "padding", rank, 0)
    made = Conv(
        f.integer("out_channels"), _size(f, "kernel_size", rank, 1), stride=_size(f, "stride", rank, 1),
        padding=padding, dilation=_size(f, "dilation", rank, 1), groups=f.integer("groups", 1),
        bias=f.flag("bias", True), border=_border(f),
    )  # fmt: skip
    return WrittenLayer(made, f.integer("in_channels"), rank)


def _same(f: Fields, rank: int) -> WrittenLayer:
    """timm's Conv2dSame: TensorFlow's padding."""
    made, reads, rank_ = _conv(Fields({**f.data, "padding": 0}, f.where), rank)
    assert isinstance(made, Conv)
    return WrittenLayer(
        Conv(
            made.out_channels, made.kernel, stride=made.stride, padding="SAME", dilation=made.dilation,
            groups=made.groups, bias=made.bias,
        ), reads, rank_,
    )  # fmt: skip


def _transpose(f: Fields, rank: int) -> WrittenLayer:
    made = ConvTranspose(
        f.integer("out_channels"), _size(f, "kernel_size", rank, 1), stride=_size(f, "stride", rank, 1),
        padding=_size(f, "padding", rank, 0), output_padding=_size(f, "output_padding", rank, 0),
        dilation=_size(f, "dilation", rank, 1), groups=f.integer("groups", 1), bias=f.flag("bias", True),
    )  # fmt: skip
    return WrittenLayer(made, f.integer("in_channels"), rank)


def _maxpool(f: Fields, rank: int) -> WrittenLayer:
    kernel = _size(f, "kernel_size", rank, 1)
    made = MaxPool(
        kernel, _size(f, "stride", rank, kernel) if f.get("stride") is not None else None,
        padding=_size(f, "padding", rank, 0), dilation=_size(f, "dilation", rank, 1),
        rounding="ceil" if f.flag("ceil_mode", False) else "floor",
    )  # fmt: skip
    if f.flag("return_indices", False):
        raise RfcalcError("a pool that returns its indices is not understood", where=f.where)
    return WrittenLayer(made, None, rank)


def _avgpool(f: Fields, rank: int) -> WrittenLayer:
    kernel = _size(f, "kernel_size", rank, 1)
    made = AvgPool(
        kernel, _size(f, "stride", rank, kernel) if f.get("stride") is not None else None,
        padding=_size(f, "padding", rank, 0), rounding="ceil" if f.flag("ceil_mode", False) else "floor",
        count_padding=f.flag("count_include_pad", True),
    )  # fmt: skip
    return WrittenLayer(made, None, rank)


def _lppool(f: Fields, rank: int) -> WrittenLayer:
    kernel = _size(f, "kernel_size", rank, 1)
    stride = _size(f, "stride", rank, kernel) if f.get("stride") is not None else None
    rounding = "ceil" if f.flag("ceil_mode", False) else "floor"
    return WrittenLayer(LpPool(f.integer("norm_type"), kernel, stride, rounding=rounding), None, rank)


def _adaptive(op: str) -> Callable[[Fields, int], WrittenLayer]:
    def make(f: Fields, rank: int) -> WrittenLayer:
        told = f.get("output_size")
        sizes = told if isinstance(told, (list, tuple)) else (told,)
        found = tuple(None if n is None else integer(n, f.where) for n in sizes)
        return WrittenLayer(AdaptivePool(found[0] if len(set(found)) == 1 else found, op), None, rank)

    return make


def _batchnorm(f: Fields, rank: int) -> WrittenLayer:
    made = BatchNorm(
        affine=f.flag("affine", True), track=f.flag("track_running_stats", True), bias=f.flag("bias", True)
    )
    return WrittenLayer(made, f.integer("num_features"))


def _instancenorm(f: Fields, rank: int) -> WrittenLayer:
    if not f.flag("bias", True) and f.flag("affine", False):
        raise RfcalcError("instance normalisation with γ alone is not understood", where=f.where)
    made = InstanceNorm(affine=f.flag("affine", False), track=f.flag("track_running_stats", False))
    return WrittenLayer(made, f.integer("num_features"), rank)


def _groupnorm(f: Fields, rank: int) -> WrittenLayer:
    made = GroupNorm(f.integer("num_groups"), affine=f.flag("affine", True), bias=f.flag("bias", True))
    return WrittenLayer(made, f.integer("num_channels"))


def _layernorm(f: Fields, rank: int) -> WrittenLayer:
    shape = f.get("normalized_shape")
    count = len(shape) if isinstance(shape, (list, tuple)) else 1
    return WrittenLayer(LayerNorm(count, affine=f.flag("elementwise_affine", True), bias=f.flag("bias", True)))


def _linear(f: Fields, rank: int) -> WrittenLayer:
    made = Linear(f.integer("out_features"), bias=f.flag("bias", True), in_features=f.integer("in_features"))
    return WrittenLayer(made)


def _upsample(f: Fields, rank: int) -> WrittenLayer:
    factor, size = f.get("scale_factor"), f.get("size")
    mode = f.word("mode", "nearest")
    corners = bool(f.get("align_corners"))

    def axes(value: Any) -> Any:
        found = tuple(integer(n, f"{f.where}: a factor or size") for n in _listed_axes(value))
        return found[0] if len(set(found)) == 1 else found

    if size is not None:
        return WrittenLayer(Upsample(size=axes(size), mode=mode, align_corners=corners))
    if factor is None:
        raise malformed(f.where, "neither a size nor a scale_factor is given")
    if any(isinstance(n, float) and not n.is_integer() for n in _listed_axes(factor)):
        return WrittenLayer(_scaled([_fraction(n, f.where) for n in _listed_axes(factor)], mode, corners))
    return WrittenLayer(Upsample(axes(factor), mode=mode, align_corners=corners))


def _listed_axes(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _fraction(factor: Any, where: str) -> Fraction:
    """A factor such as 1.5, of which multiples are exact in PyTorch's floating point."""
    found = Fraction(factor) if isinstance(factor, (int, float)) and 0 < factor < FACTORS else Fraction(0)
    if not found or found.denominator > FACTORS:
        raise RfcalcError(f"a factor of {shown(factor)} is not understood", where=where, fix="give the size: size=…")
    return found


def _scaled(factors: Sequence[Fraction], mode: str, corners: bool) -> Sized:
    """Resizing by fractions, rounded down. Where a size is rounded, PyTorch takes positions by the factor, not by the
    sizes: no layer does that, and only the shape is told."""

    def make(dims: list[Any], plain: Callable[[Iterable[Any]], Any]) -> list[Layer]:
        each = factors if len(factors) > 1 else [*factors] * (len(dims) - 1)
        if len(each) != len(dims) - 1:
            raise ShapeError(f"the factor has {plural(len(each), 'axis', 'axes')}, the map {len(dims) - 1}")
        sizes = [n * f.numerator // f.denominator for n, f in zip(dims[1:], each, strict=True)]
        if any(n < 1 for n in sizes):
            raise ShapeError("nothing is left of the map").by_answer()
        watched = watching()
        if not (corners or (watched is not None and watched.sized)) and any(
            n * f.numerator % f.denominator != 0 for n, f in zip(dims[1:], each, strict=True)
        ):
            return [Unknown((dims[0], *sizes), f"upsample {'x'.join(map(str, factors))}, rounded")]
        return [Upsample(size=plain(sizes), mode=mode, align_corners=corners)]

    return make


def _unfold(f: Fields, rank: int) -> WrittenLayer:
    """Windows of a map, each in a column: its positions are taken apart as channels."""
    kernel, step, pad, gap = (
        f.sizes(name, 2, default) for name, default in
        (("kernel_size", NO_DEFAULT), ("stride", 1), ("padding", 0), ("dilation", 1))
    )  # fmt: skip

    def make(dims: list[Any], plain: Callable[[Iterable[Any]], Any]) -> list[Layer]:
        if len(dims) != 3:
            raise ShapeError(f"windows of maps, and gets {plural(len(dims) - 1, 'axis', 'axes')}")
        counts = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(dims[1:], kernel, step, pad, gap, strict=True)
        ]
        if any(n < 1 for n in counts):
            raise ShapeError(f"no window of {kernel[0]}x{kernel[1]} lies in the map").by_answer()
        lengths = plain([n * k for n, k in zip(counts, kernel, strict=True)])
        found: list[Layer] = [
            IndexSum(axis, [[d * t - p] for t in range(k)], by=s, length=length)
            for axis, (k, s, p, d, length) in enumerate(zip(kernel, step, pad, gap, lengths, strict=True), 1)
        ]
        if kernel[0] == kernel[1]:
            return [*found, PixelUnshuffle(kernel[0]), Flatten(1)]
        (c, h, w), (kh, kw) = plain([dims[0], *counts]), kernel
        apart = Reshape((c, h, kh, w, kw))
        return [*found, apart, Permute((0, 2, 4, 1, 3)), Reshape((c * kh * kw, h * w))]

    return WrittenLayer(make, None, 2)


def _fixed_mode(mode: str) -> Callable[[Fields, int], WrittenLayer]:
    def make(f: Fields, rank: int) -> WrittenLayer:
        factor = {"scale_factor": f.get("scale_factor"), "size": f.get("size")}
        return _upsample(Fields({**factor, "mode": mode, "align_corners": mode == "bilinear"}, f.where), rank)

    return make


def _pad(mode: str) -> Callable[[Fields, int], WrittenLayer]:
    """Sides are listed from the last axis on: left, right, top, bottom."""

    def make(f: Fields, rank: int) -> WrittenLayer:
        sides = f.sizes("padding", 2 * rank)
        pairs = tuple((sides[2 * i], sides[2 * i + 1]) for i in reversed(range(rank)))
        return WrittenLayer(Pad(pairs[0][0] if len({n for p in pairs for n in p}) == 1 else pairs, mode), None, rank)

    return make


def _flatten(f: Fields, rank: int) -> WrittenLayer:
    start, end = f.integer("start_dim", 1), f.integer("end_dim", -1)
    if start < 1 or end == 0:
        raise RfcalcError("a flatten that takes the batch in is not understood", where=f.where)
    return WrittenLayer(Flatten(start - 1, end if end < 0 else end - 1))


def _unflatten(f: Fields, rank: int) -> WrittenLayer:
    told, dim = f.get("unflattened_size"), f.integer("dim")
    if not isinstance(told, (list, tuple)) or not told:
        raise malformed(f.where, f"unflattened_size is {shown(told)}")
    if dim == 0:
        raise RfcalcError("the batch cannot be taken apart", where=f.where)
    parts = [integer(n, f.where) for n in told]

    def make(dims: list[Any], plain: Callable[[Iterable[Any]], Any]) -> list[Layer]:
        axis = dim - 1 if dim > 0 else len(dims) + dim
        if not 0 <= axis < len(dims):
            raise ShapeError(f"there is no axis {dim} in {plural(len(dims) + 1, 'axis', 'axes')}")
        rest = dims[axis] // prod(n for n in parts if n != -1)  # of the part that is -1
        sizes = plain([*dims[:axis], *(rest if n == -1 else n for n in parts), *dims[axis + 1 :]])
        return [Reshape(tuple(sizes))]

    return WrittenLayer(make)


def _softmax(f: Fields, rank: int, log: bool = False) -> WrittenLayer:
    axis = f.get("dim", 1)
    axis = 1 if axis is None else integer(axis, f.where)
    if axis == 0:
        raise RfcalcError("a softmax over the batch is not understood", where=f.where)
    return WrittenLayer(Softmax(None if axis == 1 else axis if axis < 0 else axis - 1, log=log))


def _made(layer: Layer) -> Callable[[Fields, int], WrittenLayer]:
    return lambda f, rank: WrittenLayer(layer)


def _prelu(f: Fields, rank: int) -> WrittenLayer:
    slopes = f.integer("num_parameters", 1)
    return WrittenLayer(PReLU(per_channel=slopes != 1), slopes if slopes != 1 else None)


def _lrn(f: Fields, rank: int) -> WrittenLayer:
    return WrittenLayer(LRN(f.integer("size")))


def _rmsnorm(f: Fields, rank: int) -> WrittenLayer:
    shape = f.get("normalized_shape")
    if isinstance(shape, (list, tuple)) and len(shape) != 1:
        raise RfcalcError("root mean squares over several axes are not understood", where=f.where)
    return WrittenLayer(RMSNorm(affine=f.flag("elementwise_affine", True)))


def _dropout(f: Fields, rank: int) -> WrittenLayer:
    return WrittenLayer(Dropout(f.real("p", 0.5), maps=rank > 0))


def _depth(f: Fields, rank: int) -> WrittenLayer:
    return WrittenLayer(StochasticDepth(f.real("p" if f.get("p") is not None else "drop_prob", 0.0)))


FUNCTIONS = {
    "ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "ELU": "elu", "SELU": "selu", "CELU": "celu",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "SiLU": "silu", "Mish": "mish", "Softplus": "softplus",
    "Hardsigmoid": "hardsigmoid", "Hardswish": "hardswish", "Hardtanh": "hardtanh", "Swish": "silu",
}  # fmt: skip


def _gelu(f: Fields, rank: int) -> WrittenLayer:
    return WrittenLayer(Activation("gelu_tanh" if f.get("approximate") == "tanh" else "gelu"))


def _ranked(name: str, parameters: tuple[str, ...], make: Callable[[Fields, int], WrittenLayer]) -> dict[str, _Known]:
    return {f"{name}{rank}d": _Known(parameters, make) for rank in (1, 2, 3)}


MODULES: dict[str, _Known] = {
    **_ranked("Conv", CONV, _conv),
    **_ranked("ConvTranspose", TRANSPOSE, _transpose),
    "Conv2dSame": _Known(CONV, _same),
    **_ranked("MaxPool", POOL, _maxpool),
    **_ranked("AvgPool", AVGPOOL, _avgpool),
    **_ranked("LPPool", ("norm_type", "kernel_size", "stride", "ceil_mode"), _lppool),
    **_ranked("AdaptiveAvgPool", ("output_size",), _adaptive("avg")),
    **_ranked("AdaptiveMaxPool", ("output_size",), _adaptive("max")),
    **_ranked("BatchNorm", NORM, _batchnorm),
    "SyncBatchNorm": _Known(NORM, _batchnorm),
    **_ranked("InstanceNorm", NORM, _instancenorm),
    "GroupNorm": _Known(("num_groups", "num_channels", "eps", "affine", "device", "dtype", "bias"), _groupnorm),
    "LayerNorm": _Known(("normalized_shape", "eps", "elementwise_affine", "bias"), _layernorm),
    "LayerNorm2d": _Known(
        ("normalized_shape", "eps", "elementwise_affine", "bias"),
        lambda f, rank: WrittenLayer(
            LayerNorm("channels", affine=f.flag("elementwise_affine", True), bias=f.flag("bias", True))
        ),
    ),
    "RMSNorm": _Known(("normalized_shape", "eps", "elementwise_affine"), _rmsnorm),
    "LocalResponseNorm": _Known(("size", "alpha", "beta", "k"), _lrn),
    "Linear": _Known(("in_features", "out_features", "bias"), _linear),
    "Flatten": _Known(("start_dim", "end_dim"), _flatten),
    "Unflatten": _Known(("dim", "unflattened_size"), _unflatten),
    "Upsample": _Known(("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"), _upsample),
    "UpsamplingNearest2d": _Known(("size", "scale_factor", "mode"), _fixed_mode("nearest")),
    "UpsamplingBilinear2d": _Known(("size", "scale_factor", "mode"), _fixed_mode("bilinear")),
    "Unfold": _Known(("kernel_size", "dilation", "padding", "stride"), _unfold),
    "PixelShuffle": _Known(
        ("upscale_factor",), lambda f, rank: WrittenLayer(PixelShuffle(f.integer("upscale_factor")))
    ),
    "PixelUnshuffle": _Known(
        ("downscale_factor",), lambda f, rank: WrittenLayer(PixelUnshuffle(f.integer("downscale_factor")))
    ),
    "ChannelShuffle": _Known(("groups",), lambda f, rank: WrittenLayer(ChannelShuffle(f.integer("groups")))),
    **_ranked("ZeroPad", ("padding",), _pad("zeros")),
    **_ranked("ConstantPad", ("padding", "value"), _pad("zeros")),
    **_ranked("ReflectionPad", ("padding",), _pad("reflect")),
    **_ranked("ReplicationPad", ("padding",), _pad("replicate")),
    **_ranked("CircularPad", ("padding",), _pad("circular")),
    "Identity": _Known((), _made(Identity())),
    **{name: _Known(("inplace",), _made(Activation(function))) for name, function in FUNCTIONS.items()},
    "GELU": _Known(("approximate",), _gelu),
    "PReLU": _Known(("num_parameters", "init"), _prelu),
    "Softmax": _Known(("dim",), _softmax),
    "LogSoftmax": _Known(("dim",), lambda f, rank: _softmax(f, rank, True)),
    "Softmax2d": _Known((), _made(Softmax())),
    "GLU": _Known(("dim",), lambda f, rank: _glu(f)),
    "Dropout": _Known(("p", "inplace"), _dropout),
    **_ranked("Dropout", ("p", "inplace"), _dropout),
    "AlphaDropout": _Known(("p", "inplace"), _dropout),
    "FeatureAlphaDropout": _Known(("p", "inplace"), _dropout),
    "StochasticDepth": _Known(("p", "mode"), _depth),
    "DropPath": _Known(("drop_prob", "scale_by_keep"), _depth),
}
_ANY_ARGUMENTS = (*FUNCTIONS, "Identity")  # slopes and thresholds do not matter here


def _glu(f: Fields) -> WrittenLayer:
    if f.get("dim", -1) != 1:
        raise RfcalcError("a gated linear unit over another axis than the channels is not understood", where=f.where)
    return WrittenLayer(GLU())


def layer_of(module: Module) -> WrittenLayer:
    """The layer of a module.

    Raises:
        RfcalcError: it is none of torch.nn's that are understood, or its arguments are wrong.

    >>> layer_of(Module("Conv2d", (3, 64, 3), {"padding": 1}, "line 1")).layer
    Conv(64, 3, padding=1)
    """
    known = MODULES.get(module.name)
    if known is None:
        from rfcalc.core.errors import suggestion

        raise RfcalcError(
            f"the module {shown(module.name)} is not understood",
            where=module.where,
            fix=suggestion(module.name[:60], list(MODULES), 6) or None,
        )
    rank = next((int(c) for c in module.name if c.isdecimal()), 0) if module.name[-1] == "d" else 2
    if module.name in _ANY_ARGUMENTS:
        return known.make(Fields({}, module.where), rank)
    if len(module.args) > len(known.parameters):
        raise RfcalcError(
            f"{module.name} takes at most {len(known.parameters)} arguments, and gets {len(module.args)}",
            where=module.where,
        )
    data = dict(zip(known.parameters, module.args, strict=False))
    for name, value in module.kwargs.items():
        if name in data:
            raise RfcalcError(f"{module.name} gets {name} twice", where=module.where)
        if name not in known.parameters and name not in ("device", "dtype", "eps", "momentum"):
            raise RfcalcError(
                f"{module.name} has no argument {shown(name)}", where=module.where, fix=_listed(known.parameters)
            )
        data[name] = value
    try:
        return known.make(Fields(data, f"{module.where}, {module.name}"), rank)
    except RfcalcError as error:
        raise error.at(f"{module.where}, {module.name}") from None


def _listed(names: Sequence[str]) -> str:
    return f"it has {', '.join(names)}" if names else "it has none"
