"""What units of somebody's own module depend on, by the gradient of that module itself.

The module runs as it is written, with three things changed so that a gradient shows every dependence: weights are
redrawn (positive, small enough for the depth), activations that can be flat are straight, means stand for maxima.
`seen` uses nothing of rfcalc; double precision. `fields` compares it with what rfcalc says of the module read.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

import rfcalc
from rfcalc.core.errors import LimitError
from rfcalc.receptive.region_walk import regions

Unit = tuple[int, ...]
Pixels = frozenset[tuple[int, ...]]


def gate(x: Tensor) -> Tensor:
    """Between 0 and 1, and never flat: a sigmoid's derivative is zero in double precision from 37 on."""
    return 0.5 + 0.5 * F.softsign(x.asinh())


def shares(x: Tensor, dim: int) -> Tensor:
    """Add up to 1, and all count: of large scores a softmax gives everything to the largest."""
    masked = x < -1e4  # scores that a mask has taken so far down come out as 0
    weights = gate(x.masked_fill(masked, 0.0)).masked_fill(masked, 0.0)
    return weights / weights.sum(dim, keepdim=True)


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention with `shares`."""
    if is_causal:
        attn_mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    if enable_gqa:
        k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if masked else scores + attn_mask
    return shares(scores, -1) @ v


def affine(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Batch normalisation with its running figures, as arithmetic.

    PyTorch's own (2.13, CPU) gives a wrong gradient by its input where the map is row-major and the gradient comes back
    channels last with a batch of one, as behind ``flatten(2).permute(0, 2, 1)``: SwiftFormer.
    """
    over = (-1, *[1] * (x.dim() - 2))
    scale = (1.0 if weight is None else weight) / (var + eps).sqrt()
    return x * scale.view(over) + ((0.0 if bias is None else bias) - mean * scale).view(over)


# what has flat pieces, and what stands for it
GATES = dict.fromkeys(("sigmoid", "hardsigmoid"), gate)
BOUNDED = ("tanh", "relu6", "hardtanh", "clamp", "clip", "clamp_min", "clamp_max")
HALVES = ("relu", "leaky_relu", "rrelu", "threshold", "hardshrink", "softshrink")
SMOOTH: dict[str, Any] = {**GATES, **dict.fromkeys(BOUNDED, torch.asinh), **dict.fromkeys(HALVES, torch.clone)}
SMOOTH["hardswish"] = F.silu
MEANS = {"max_pool1d": F.avg_pool1d, "max_pool2d": F.avg_pool2d, "max_pool3d": F.avg_pool3d}
ADAPTIVE = {"adaptive_max_pool1d": F.adaptive_avg_pool1d, "adaptive_max_pool2d": F.adaptive_avg_pool2d}


class Straightened(TorchFunctionMode):
    """Runs flat activations as identities, maxima as means, and attention such that everything counts."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "").removesuffix("_with_indices")
        if name.removesuffix("_") in SMOOTH and args[0].requires_grad:  # not where positions are worked out
            return SMOOTH[name.removesuffix("_")](args[0])
        if name == "batch_norm":
            given = dict(zip(("weight", "bias", "training", "momentum", "eps"), args[3:], strict=False)) | kwargs
            if not given.pop("training", False):  # else weights are standardised by it
                given.pop("momentum", None)
                return affine(*args[:3], **given)
        if name == "layer_norm" and math.prod(args[1]) == 1:  # of a single value it is constant (CSATv2)
            return args[0].clone()
        if name == "softmax":
            return shares(args[0], kwargs["dim"] if "dim" in kwargs else args[1])
        if name == "scaled_dot_product_attention":
            return attention(*args, **kwargs)
        if name in MEANS:
            return _mean(MEANS[name], *args, **kwargs)
        if name in ADAPTIVE:
            return ADAPTIVE[name](*args[:2])
        if name in ("amax", "max") and len(args) + len(kwargs) > 1 and not isinstance(args[-1], Tensor):
            dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
            keep = kwargs.get("keepdim", args[2] if len(args) > 2 else False)
            mean = torch.mean(_graded(args[0], dims), dims, keep)
            return mean if name == "amax" else torch.return_types.max((mean, torch.zeros_like(mean, dtype=torch.long)))
        return func(*args, **kwargs)


def _graded(x: Tensor, dims: Any) -> Tensor:
    """Weighted along some axes, so that its mean there is another one than the plain mean that often stands beside."""
    for d in dims if isinstance(dims, (tuple, list)) else (dims,):
        weights = torch.linspace(0.5, 1.5, x.shape[d], dtype=x.dtype)
        x = x * weights.view([-1 if i == d % x.dim() else 1 for i in range(x.dim())])
    return x


def _mean(pool: Any, x: Tensor, kernel: Any, stride: Any = None, padding: Any = 0, *rest: Any, **more: Any) -> Tensor:
    dilation = more.get("dilation", rest[0] if rest else 1)
    if any(d != 1 for d in (dilation if isinstance(dilation, (tuple, list)) else (dilation,))):
        raise NotImplementedError("a dilated maximum")
    ceil = more.get("ceil_mode", rest[1] if len(rest) > 1 else False)
    x = x.masked_fill(x == -math.inf, 0.0)  # borders that code adds for a maximum
    return pool(x, kernel, stride, padding, bool(ceil))  # type: ignore[no-any-return]


def redrawn(module: nn.Module) -> nn.Module:
    """A copy with positive weights that neither vanish nor explode over many layers."""
    kept = [t for m in module.modules() for t in vars(m).values() if isinstance(t, Tensor) and t.grad_fn is not None]
    module = copy.deepcopy(module, {id(t): t.detach() for t in kept}).double().eval()  # computed, as by weight_norm
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.requires_grad_(False).parameters():
            drawn = torch.rand(p.shape, generator=generator, dtype=torch.float64)
            fan = math.prod(p.shape[1:]) if p.dim() > 1 else 1
            p.copy_((drawn + 0.5) / fan if p.dim() > 1 else drawn * 0.5 + 0.75)
    return module


def seen(
    module: nn.Module,
    shape: Sequence[int],
    wanted: Mapping[str, tuple[tuple[int, ...], int, Iterable[Unit]]],
    source: int = 0,
) -> dict[tuple[str, Unit], Pixels]:
    """The pixels that move units of the outputs of submodules.

    Args:
        module: with values for its weights (any).
        shape: of its input, without the batch.
        wanted: for each submodule's path its output's shape without the batch, which of its axes has the channels, and
            units; a submodule whose output is laid out in another way is left out.
        source: which axis of the input has the channels.

    Raises:
        FloatingPointError: the gradient is not finite.
    """
    module = redrawn(module)
    outputs: dict[str, Tensor] = {}

    def keeping(path: str) -> Any:
        def keep(module: nn.Module, given: Any, y: Tensor) -> None:  # what a hook returns would replace y
            outputs.setdefault(path, y)

        return keep

    handles = [module.get_submodule(path).register_forward_hook(keeping(path)) for path in wanted]
    x = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    with Straightened():
        module(x)
    for handle in handles:
        handle.remove()
    found: dict[tuple[str, Unit], Pixels] = {}
    for path, (dims, channel, units) in wanted.items():
        if path not in outputs:  # its weights are used, the module is not called
            continue
        y = outputs[path]
        if len(y) != 1 or y.shape[1:] != dims:  # called more than once, or with windows as the batch
            continue
        y = y[0].movedim(channel, 0)
        mixed = (y * torch.rand(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(3))).sum(0)
        for unit in units:
            (g,) = torch.autograd.grad(mixed[unit], x, retain_graph=True)
            if not torch.isfinite(g).all():
                raise FloatingPointError(f"the gradient of {path} is not finite")
            map_of = g[0] if len(shape) > 1 else g  # a raw signal is a map of one channel
            found[path, unit] = frozenset(map(tuple, (map_of != 0).any(source).nonzero().tolist()))
    return found


TOLD = ("exact", "periodic", "global")
NODES = 4


class Compared(NamedTuple):
    """How many units of how many nodes were compared; what differs; how many nodes were left out (`shift_variant`, or
    laid out in another way by the module)."""

    nodes: int
    units: int
    differ: list[str]
    left: int


def fields(module: nn.Module, shape: Any) -> Compared:
    """The first and the middle unit of nodes all over a module: the gradient's pixels, and rfcalc's region."""
    dims = rfcalc.Shape.of(shape).dims
    report = rfcalc.analyze(rfcalc.from_torch(module, dims))
    paths = dict(module.named_modules())
    rows = [r for r in report if r.name in paths and r.shape.rank and max(r.shape.spatial) > 1]
    told = [r for r in rows if r.receptive_field.status in TOLD] or rows
    count = len(told)
    chosen = [told[i] for i in sorted({(count - 1) * (k + 1) // NODES for k in range(NODES)})] if told else []
    wanted = {
        r.name: (
            r.shape.dims,
            r.shape.channel,
            list(dict.fromkeys([(0,) * r.shape.rank, tuple(n // 2 for n in r.shape.spatial)])),
        )
        for r in chosen
    }
    differ = []
    source = next(iter(report.inputs.values())).channel
    found = seen(module, dims, wanted, source) if wanted else {}
    compared = units = 0
    for name in wanted:
        measured = {unit: pixels for (n, unit), pixels in found.items() if n == name}
        if not measured:
            continue
        try:
            told_of = regions(report, name)
        except LimitError:
            continue
        compared += 1
        units += len(measured)
        for unit, pixels in measured.items():
            mine = frozenset(told_of.unit(unit).pixels())
            if mine != pixels:
                differ.append(f"{name} {unit}: {len(mine - pixels)} pixels too many, {len(pixels - mine)} too few")
    return Compared(compared, units, differ, len(rows) - len(told))
