"""Rules for what tools hook by the class of a module: thop, torchinfo, ptflops, and calflops' recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

import torch
from torch import nn

Rule = Callable[[Any, Any, Any], float]
CELLS = ("RNNCell", "GRUCell", "LSTMCell")
RECURRENT = ("RNN", "GRU", "LSTM", *CELLS)


def each(names: str, rule: Rule) -> dict[str, Rule]:
    """A rule for several classes; ``d`` stands for one, two and three dimensions."""
    found = {}
    for name in names.split():
        for full in [f"{name[:-1]}{n}d" for n in (1, 2, 3)] if name.endswith("#") else [name]:
            found[full] = rule
    return found


def nothing(m: Any, args: Any, out: Any) -> float:
    return 0


def thop_conv(m: Any, args: Any, out: Any) -> float:
    """Outputs × the input's channels in a group × the kernel, also where the convolution is transposed."""
    return float(out.numel() * (args[0].shape[1] // m.groups) * prod(m.weight.shape[2:]))


def thop_norm(m: Any, args: Any, out: Any) -> float:
    affine = getattr(m, "affine", False) or getattr(m, "elementwise_affine", False)
    return float(args[0].numel() * (4 if affine else 2))


def thop_softmax(m: Any, args: Any, out: Any) -> float:
    features = args[0].size()[m.dim]
    return float(args[0].numel() // features * (3 * features - 1))


def thop_adaptive(m: Any, args: Any, out: Any) -> float:
    window = prod(a / b for a, b in zip(args[0].shape[2:], out.shape[2:], strict=True))
    return int((window + 1) * out.numel())


def thop_upsample(m: Any, args: Any, out: Any) -> float:
    return float(out.numel() * {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}.get(m.mode, 0))


def thop_cell(kind: str, inputs: int, hidden: int, bias: bool) -> int:
    """One step of one recurrent cell."""
    gate = (inputs + hidden) * hidden + hidden + (2 * hidden if bias else 0)
    if kind.startswith("LSTM"):
        return 4 * gate + 4 * hidden
    return 3 * gate + 4 * hidden if kind.startswith("GRU") else gate


def thop_recurrent(m: Any, args: Any, out: Any) -> float:
    kind, x = type(m).__name__, args[0]
    if kind in CELLS:
        return float(x.size(0) * thop_cell(kind, m.input_size, m.hidden_size, m.bias))
    ways = 2 if m.bidirectional else 1
    total = ways * thop_cell(kind, m.input_size, m.hidden_size, m.bias)
    total += (m.num_layers - 1) * ways * thop_cell(kind, ways * m.hidden_size, m.hidden_size, m.bias)
    return float(total * x.size(0) * x.size(1))


THOP: dict[str, Rule] = {
    **each("ZeroPad2d ReLU ReLU6 LeakyReLU MaxPool# AdaptiveMaxPool# Dropout Sequential PixelShuffle", nothing),
    **each("Conv# ConvTranspose#", thop_conv),
    **each("BatchNorm# LayerNorm InstanceNorm# SyncBatchNorm", thop_norm),
    **each("PReLU", lambda m, args, out: 0 if m.training else args[0].numel()),
    **each("Softmax", thop_softmax),
    **each("AvgPool#", lambda m, args, out: out.numel()),
    **each("AdaptiveAvgPool#", thop_adaptive),
    **each("Linear", lambda m, args, out: m.in_features * out.numel()),
    **each("Upsample UpsamplingBilinear2d UpsamplingNearest2d", thop_upsample),
    **each(" ".join(RECURRENT), thop_recurrent),
}


def conv_of_ptflops(m: Any, args: Any, out: Any) -> float:
    x = args[0]
    transposed = type(m).__name__.startswith("ConvTranspose")
    positions = x.shape[0] * prod((x if transposed else out).shape[2:])
    found = prod(m.kernel_size) * m.in_channels * (m.out_channels // m.groups) * positions
    return float(found + (0 if m.bias is None else x.shape[0] * prod(out.shape[1:])))


def deformable_of_ptflops(m: Any, args: Any, out: Any) -> float:
    """Interpolation (20) and coordinates (4) at every tap, and the modulation."""
    more = 24 + (len(args) == 3 and args[2] is not None)
    each_position = prod(m.kernel_size) * (m.in_channels * (m.out_channels // m.groups) + more)
    bias = 0 if m.bias is None else args[0].shape[0] * prod(out.shape[1:])
    return float(each_position * args[0].shape[0] * prod(out.shape[2:]) + bias)


def linear_of_ptflops(m: Any, args: Any, out: Any) -> float:
    width = out.shape[-1]
    return float((args[0].shape[-1] * width + (0 if m.bias is None else width)) * prod(args[0].shape[:-1]))


def upsampled_of_ptflops(m: Any, args: Any, out: Any) -> float:
    return float(out[0].shape[0] * prod(out[0].shape[1:]))


def recurrent_of_ptflops(m: Any, args: Any, out: Any) -> float:
    return _recurrent(m, args, lambda w: w.shape[0] * w.shape[1])


def recurrent_flops(m: Any, args: Any) -> float:
    """calflops: a matrix product takes two operations a weight, less one a row."""
    return _recurrent(m, args, lambda w: 2 * w.shape[0] * w.shape[1] - w.shape[0])


def _recurrent(m: Any, args: Any, product: Callable[[Any], int]) -> float:
    """Every layer as if in one direction; twice where there are two."""
    kind, x = type(m).__name__, args[0]
    gates = {"R": 1, "G": 7, "L": 10}[kind[0]] * m.hidden_size
    ends = [""] if kind in CELLS else [f"_l{i}" for i in range(m.num_layers)]
    found = 0
    for end in ends:
        found += product(getattr(m, f"weight_ih{end}")) + product(getattr(m, f"weight_hh{end}")) + gates
        if m.bias:
            found += getattr(m, f"bias_ih{end}").shape[0] + getattr(m, f"bias_hh{end}").shape[0]
    if kind in CELLS:
        return float(found * x.shape[0])
    return float(found * x.shape[0] * x.shape[1] * (2 if m.bidirectional else 1))


def attention_of_ptflops(m: Any, args: Any, out: Any) -> float:
    q, k, v = args
    items, along = (q.shape[0], 1) if m.batch_first else (q.shape[1], 0)
    (qn, kn, vn), (qd, kd, vd) = ([t.shape[along] for t in (q, k, v)], [t.shape[2] for t in (q, k, v)])
    found = qn * qd + qn * qd * qd + kn * kd * kd + vn * vd * vd
    if m.in_proj_bias is not None:
        found += (qn + kn + vn) * qd
    found += m.num_heads * (qn * kn * (qd // m.num_heads) + qn * kn + qn * kn * (vd // m.num_heads))
    return float(items * (found + qn * vd * (vd + 1)))


def attention_of_timm(m: Any, args: Any, out: Any) -> float:
    items, n, _ = args[0].shape
    heads, each_head = m.num_heads, m.head_dim
    return float(items * (n * each_head * heads + heads * (2 * n * n * each_head + n * n)))


PTFLOPS: dict[str, Rule] = {
    **each("Conv# ConvTranspose#", conv_of_ptflops),
    **each("ReLU PReLU ELU LeakyReLU ReLU6 GELU", lambda m, args, out: out.numel()),
    **each("MaxPool# AvgPool# AdaptiveMaxPool# AdaptiveAvgPool#", lambda m, args, out: args[0].numel()),
    **each(
        "BatchNorm# InstanceNorm# GroupNorm LayerNorm",
        lambda m, args, out: args[0].numel() * (2 if getattr(m, "affine", False) else 1),
    ),
    **each("Linear", linear_of_ptflops),
    **each("Upsample", upsampled_of_ptflops),
    **each(" ".join(RECURRENT), recurrent_of_ptflops),
    **each("MultiheadAttention", attention_of_ptflops),
    "torchvision.ops.deform_conv.DeformConv2d": deformable_of_ptflops,
    "timm.layers.attention.Attention": attention_of_timm,
}


def rule_of(rules: Mapping[str, Rule], m: nn.Module) -> Rule | None:
    """The rule for exactly this class: what is derived from it is not hooked."""
    kind = type(m)
    if getattr(nn, kind.__name__, None) is kind:
        return rules.get(kind.__name__)
    return rules.get(f"{kind.__module__}.{kind.__name__}")


def recurrent(m: nn.Module) -> bool:
    return type(m).__name__ in RECURRENT and getattr(nn, type(m).__name__, None) is type(m)


def is_leaf(m: nn.Module) -> bool:
    """Whether torchinfo takes it for a layer; an empty container is none of its children."""
    return not any(m.children())


def by_parameters(m: nn.Module, out: Any) -> float:
    """torchinfo: parameters × the positions of the output in a convolution, × the batch elsewhere."""
    size = _size(out)
    total = 0
    for name, p in m.named_parameters():
        count = p.numel()
        if name.endswith("_orig") and hasattr(m, f"{name[:-5]}_mask"):  # pruned
            name = name[:-5]
            count = int(torch.sum(getattr(m, f"{name}_mask")))
        if name in ("weight", "bias"):
            total += count * (_product([*size[:1], *size[2:]]) if "Conv" in type(m).__name__ else size[0])
        elif "weight" in name or "bias" in name:
            total += _product(size[:2]) * count
    return total


def _size(out: Any) -> list[Any]:
    if isinstance(out, (list, tuple)) and out and hasattr(getattr(out[0], "data", None), "size"):
        return list(out[0].data.size())
    if isinstance(out, Mapping):
        return _nested(list(out.values())[-1])
    return list(out.size()) if isinstance(out, torch.Tensor) else _nested(out)


def _nested(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return list(value.size())
    if not hasattr(value, "__getitem__") or not value:
        return []
    return _nested(list(value.values()) if isinstance(value, dict) else value[0])


def _product(values: Iterable[Any]) -> int:
    return prod(_product(v) if isinstance(v, (list, tuple)) else int(v) for v in values)


def held(module: nn.Module) -> dict[str, int]:
    """How often `apply` comes to each module: thop puts a hook on it each time."""
    paths = {id(m): path for path, m in module.named_modules()}
    found: dict[str, int] = {}
    module.apply(lambda m: found.update({paths[id(m)]: found.get(paths[id(m)], 0) + 1}))
    return found


def visits(module: nn.Module, rules: Mapping[str, Rule]) -> dict[str, int]:
    """How often a tool's walk from the root comes to each module, by its first path; it does not look into what it has
    a rule for (but for thop's containers)."""
    paths = {id(m): path for path, m in module.named_modules()}
    found: dict[str, int] = {}
    waiting = [module]
    while waiting:
        m = waiting.pop()
        path = paths[id(m)]
        found[path] = found.get(path, 0) + 1
        if rule_of(rules, m) is None or isinstance(m, nn.Sequential) or (m is module and rules is THOP):
            waiting.extend(m.children())
    return found
