"""Operators of PyTorch with random arguments, beside PyTorch itself.

1. Shapes are those that PyTorch gives, parameters those that it registers.
2. A unit depends on a position exactly where PyTorch's result there changes when the position does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfcalc import from_torch
from rfcalc.core.errors import RfcalcError
from rfcalc.receptive.region_walk import regions
from rfcalc.report import Report

torch.set_num_threads(1)
COUNT = 50  # modules of each operator
Run = Callable[[Tensor], Tensor]


class Net(nn.Module):
    """An operator behind a convolution, or not, and what it needs of parameters."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        rank = random.choice([1, 2, 2])
        self.dims = (random.choice([2, 4]), *(random.randrange(4, 7 if rank == 2 else 12) for _ in range(rank)))
        self.first: nn.Module = nn.Identity()
        if random.random() < 0.6:
            conv: Any = nn.Conv1d if rank == 1 else nn.Conv2d
            self.first = conv(self.dims[0], self.dims[0], 3, padding=1)
        self.layers = nn.ModuleList()
        self.weights = nn.ParameterList()
        self.run: Run = lambda x: x
        self.written = ""

    def forward(self, x: Tensor) -> Tensor:
        y = self.run(self.first(x))
        return F.leaky_relu(y, 0.5) if self.written.endswith("+") else y

    def layer(self, made: nn.Module) -> nn.Module:
        self.layers.append(made)
        return made

    def weight(self, *dims: int) -> Tensor:
        made = nn.Parameter(torch.rand(dims))
        self.weights.append(made)
        return made

    def axis(self, first: int = 1) -> int:
        """One of the axes of a batch, counted from either end."""
        rank = len(self.dims) + 1
        axis = self.random.randrange(first, rank)
        return axis - rank if self.random.random() < 0.5 else axis

    def size(self, axis: int) -> int:
        return self.dims[axis - 1 if axis > 0 else axis]

    def nd(self, name: str) -> Any:
        return getattr(nn, f"{name}{len(self.dims) - 1}d")


def slid(n: Net, kernel: Sequence[int], dilated: bool = True) -> dict[str, Any]:
    r = n.random
    about: dict[str, Any] = {"stride": tuple(r.choice([1, 1, 2, 3]) for _ in kernel)}
    about["padding"] = tuple(r.randrange(k // 2 + 1) for k in kernel)
    if dilated and r.random() < 0.4:
        about["dilation"] = tuple(r.choice([1, 2]) for _ in kernel)
    return {k: v for k, v in about.items() if r.random() < 0.8}


def conv(n: Net) -> Run:
    r, c = n.random, n.dims[0]
    kernel = tuple(r.choice([1, 2, 3]) for _ in n.dims[1:])
    groups = r.choice([g for g in (1, 2, c) if c % g == 0])
    about = slid(n, kernel)
    if r.random() < 0.2 and about.get("stride", (1,)) in ((1,), (1, 1)):
        about["padding"] = r.choice(["same", "valid"])
    mode = r.choice(["zeros", "zeros", "circular", "replicate", "reflect"])
    return n.layer(
        n.nd("Conv")(c, 2 * groups, kernel, groups=groups, bias=r.random() < 0.5, padding_mode=mode, **about)
    )


def conv_transpose(n: Net) -> Run:
    r, c = n.random, n.dims[0]
    kernel = tuple(r.choice([1, 2, 3, 4]) for _ in n.dims[1:])
    stride = tuple(r.choice([1, 2, 3]) for _ in kernel)
    groups, more = r.choice([g for g in (1, 2) if c % g == 0]), tuple(r.randrange(s) for s in stride)
    pad = tuple(r.randrange(min(k, 3)) for k in kernel)
    return n.layer(n.nd("ConvTranspose")(c, 2 * groups, kernel, stride, pad, more, groups))


def pool(n: Net) -> Run:
    r = n.random
    kernel = tuple(r.choice([1, 2, 3]) for _ in n.dims[1:])
    if r.random() < 0.5:
        return n.layer(n.nd("MaxPool")(kernel, **slid(n, kernel), ceil_mode=r.random() < 0.4))
    about = slid(n, kernel, dilated=False)
    return n.layer(n.nd("AvgPool")(kernel, **about, ceil_mode=r.random() < 0.4, count_include_pad=r.random() < 0.5))


def adaptive(n: Net) -> Run:
    sizes = tuple(n.random.randrange(1, m + 2) for m in n.dims[1:])
    return n.layer(n.nd(n.random.choice(["AdaptiveAvgPool", "AdaptiveMaxPool"]))(sizes))


def norm(n: Net) -> Run:
    r, c = n.random, n.dims[0]
    kind = r.choice(["batch", "group", "instance", "layer", "layer", "local", "rms"])
    if kind == "batch":
        return n.layer(n.nd("BatchNorm")(c, affine=r.random() < 0.7))
    if kind == "group":
        return n.layer(nn.GroupNorm(r.choice([1, 2, c]), c, affine=r.random() < 0.7))
    if kind == "instance":
        return n.layer(n.nd("InstanceNorm")(c, affine=r.random() < 0.5))
    if kind == "local":
        return n.layer(nn.LocalResponseNorm(r.choice([1, 2, 3])))
    dims = n.dims[r.randrange(len(n.dims)) :]
    if kind == "rms":
        return n.layer(nn.RMSNorm(dims, elementwise_affine=r.random() < 0.7))
    return n.layer(nn.LayerNorm(dims, elementwise_affine=r.random() < 0.7, bias=r.random() < 0.5))


def reduced(n: Net) -> Run:
    r, rank = n.random, len(n.dims) + 1
    axes = tuple(r.choice([a, a - rank]) for a in sorted(r.sample(range(1, rank), r.randrange(1, rank))))
    keep = r.random() < 0.5
    some: list[Run] = [
        lambda x: x.mean(axes, keepdim=keep),
        lambda x: x.sum(axes, keepdim=keep),
        lambda x: x.amax(axes, keepdim=keep),
        lambda x: x.std(axes[0], keepdim=keep),
        lambda x: x.logsumexp(axes, keepdim=keep),
        lambda x: torch.linalg.vector_norm(x, dim=axes, keepdim=keep),
        lambda x: x.max(axes[0], keepdim=keep)[0],
        lambda x: x.prod(axes[0], keepdim=keep),
    ]
    return r.choice(some)


def along(n: Net) -> Run:
    r, axis = n.random, n.axis()
    shift = r.randrange(-3, 4)
    some: list[Run] = [
        lambda x: x.softmax(axis),
        lambda x: x.log_softmax(axis),
        lambda x: x.cumsum(axis),
        lambda x: x.flip(axis),
        lambda x: x.roll(shift, axis),
        lambda x: F.normalize(x, dim=axis),
        lambda x: x.diff(dim=axis),
        lambda x: torch.cat([x.narrow(axis, 0, 1) * 0, x], axis),
    ]
    return r.choice(some)


def moved(n: Net) -> Run:
    r, rank = n.random, len(n.dims) + 1
    order = [0, *r.sample(range(1, rank), rank - 1)]
    a, b = n.axis(), n.axis()
    some: list[Run] = [
        lambda x: x.permute(order),
        lambda x: x.transpose(a, b),
        lambda x: x.movedim(a, b),
        lambda x: x.unsqueeze(a),
        lambda x: x.unsqueeze(a).sin().squeeze(a),
        lambda x: x.swapaxes(a, b).contiguous().flatten(1, 2),
    ]
    return r.choice(some)


def reshaped(n: Net) -> Run:
    r = n.random
    dims = list(n.dims)
    if r.random() < 0.5 and len(dims) > 1:
        i = r.randrange(len(dims) - 1)
        dims[i : i + 2] = [dims[i] * dims[i + 1]]
    i = r.randrange(len(dims))
    part = r.choice([d for d in range(1, dims[i] + 1) if dims[i] % d == 0])
    dims[i : i + 1] = [part, dims[i] // part]
    open_ = [-1 if i == r.randrange(len(dims)) else d for i, d in enumerate(dims)]
    told = open_ if open_.count(-1) == 1 else dims
    a, b = r.randrange(1, len(dims) + 1), r.randrange(1, len(dims) + 1)
    some: list[Run] = [
        lambda x: x.reshape(len(x), *told),
        lambda x: x.view(len(x), *dims),
        lambda x: x.reshape(len(x), *told).transpose(a, b),
        lambda x: x.flatten(1),
        lambda x: x.flatten(-2),
    ]
    return r.choice(some)


def parts(n: Net) -> Run:
    r, axis = n.random, n.axis()
    size = n.size(axis)
    low = r.randrange(size)
    length = r.randrange(1, size - low + 1)
    index = torch.tensor([r.randrange(size) for _ in range(3)])
    step, which, cut = r.choice([1, 2, 3]), r.randrange(2), r.randrange(1, size) if size > 1 else 1
    places = torch.arange(low, size, step)
    some: list[Run] = [
        lambda x: x.narrow(axis, low, length),
        lambda x: x.index_select(axis, places),
        lambda x: x.select(axis, low),
        lambda x: x.index_select(axis, index),
        lambda x: x.chunk(2, axis)[which % len(x.chunk(2, axis))],
        lambda x: torch.split(x, [cut, size - cut], axis)[which] if size > 1 else x,
        lambda x: x.unbind(axis)[low],
        lambda x: x.transpose(axis, -1)[..., low::step],
        lambda x: x[:, :, low if x.shape[2] > low else 0 :: step],
    ]
    return r.choice(some)


def joined(n: Net) -> Run:
    r, axis = n.random, n.axis()
    rank = len(n.dims) - 1
    wide = n.layer(n.nd("AvgPool")(3, 1, 1))
    low, new = r.randrange(n.dims[0]), r.choice([1, -1, 2])
    some: list[Run] = [
        lambda x: torch.cat([x, wide(x)], axis),
        lambda x: torch.cat([x, wide(x)], 1)[:, low : low + 2],
        lambda x: torch.stack([x, wide(x), x], new),
        lambda x: torch.stack([x, wide(x)], new).amax(new),
        lambda x: torch.stack([x, wide(x)], 1)[:, 1],
        lambda x: torch.maximum(x, wide(x)) + x,
        lambda x: x * wide(x).mean(tuple(range(2, 2 + rank)), keepdim=True),
    ]
    return r.choice(some)


def copied(n: Net) -> Run:
    r, axis = n.random, n.axis()
    times = [1, *(r.choice([1, 1, 2, 3]) for _ in n.dims)]
    many = r.choice([2, 3])
    some: list[Run] = [
        lambda x: x.repeat(*times),
        lambda x: x.tile(*times[1:]),
        lambda x: x.repeat_interleave(many, axis),
        lambda x: x.unsqueeze(axis).expand(*[many if i == axis % (x.dim() + 1) else -1 for i in range(x.dim() + 1)]),
        lambda x: x.narrow(axis, 0, 1).expand_as(x),
    ]
    return r.choice(some)


def padded(n: Net) -> Run:
    r = n.random
    mode = r.choice(["constant", "constant", "reflect", "replicate", "circular"])
    amounts = [r.randrange(4 if mode == "constant" else 3) for _ in n.dims[1:] * 2]
    if mode == "constant" and r.random() < 0.4:
        amounts[r.randrange(len(amounts))] = -1
    return lambda x: F.pad(x, amounts, mode)


def resized(n: Net) -> Run:
    r = n.random
    mode = r.choice(["nearest", "nearest-exact", "linear" if len(n.dims) == 2 else "bilinear"])
    corners = r.choice([True, False]) if "linear" in mode else None
    if r.random() < 0.5:
        sizes = [r.randrange(1, 2 * m + 1) for m in n.dims[1:]]
        return lambda x: F.interpolate(x, size=sizes, mode=mode, align_corners=corners)
    factor = r.choice([2, 3, 0.5, 1.5])
    return lambda x: F.interpolate(x, scale_factor=factor, mode=mode, align_corners=corners)


def multiplied(n: Net) -> Run:
    r = n.random
    last, out = n.dims[-1], r.choice([2, 3])
    linear = n.layer(nn.Linear(last, out, bias=r.random() < 0.5))
    w, m, k = n.weight(last, out), n.weight(n.dims[-2], 3), n.weight(n.dims[0], 2)
    letters = "bcdef"[: len(n.dims) + 1]
    some: list[Run] = [
        linear,
        lambda x: x @ w,
        lambda x: m.t() @ x,
        lambda x: torch.einsum(f"{letters},cz->{letters.replace('c', 'z')}", x, k),
        lambda x: torch.tensordot(x, w, ([-1], [0])),
        lambda x: F.linear(x.transpose(1, -1), k.t()).transpose(1, -1),
    ]
    run = r.choice(some)
    used = {some[0]: 0, some[1]: 1, some[2]: 2, some[3]: 3, some[4]: 1, some[5]: 3}[run]
    if used:
        n.layers = nn.ModuleList()
    n.weights = nn.ParameterList([p for i, p in enumerate((w, m, k), 1) if i == used])
    return run


def elementwise(n: Net) -> Run:
    r = n.random
    dims = [m if r.random() < 0.5 else 1 for m in n.dims]
    w = n.weight(*dims[r.randrange(len(dims)) :] if r.random() < 0.3 else dims)
    some: list[Run] = [
        lambda x: x + w,
        lambda x: w - x,
        lambda x: x * w,
        lambda x: x / (w + 1),
        lambda x: torch.addcmul(x, x, w, value=0.5),
        lambda x: x.lerp(w.expand_as(x), 0.3),
        lambda x: torch.where(w > 2, x, x * w),
        lambda x: x.add(w, alpha=2),
        lambda x: F.silu(x) * w + w,
    ]
    return r.choice(some)


def shuffled(n: Net) -> Run:
    r = n.random
    if len(n.dims) == 3 and n.dims[0] % 4 == 0 and r.random() < 0.5:
        return n.layer(nn.PixelShuffle(2))
    if len(n.dims) == 3 and n.dims[1] % 2 == n.dims[2] % 2 == 0:
        return n.layer(nn.PixelUnshuffle(2))
    if r.random() < 0.5:
        return lambda x: F.glu(x, 1)
    return n.layer(nn.ChannelShuffle(2)) if len(n.dims) == 3 else n.layer(nn.PReLU(n.dims[0]))


def written(n: Net) -> Run:
    """In place, into parts of a copy."""
    r, axis = n.random, n.axis()
    size = n.size(axis)
    low, step = r.randrange(size), r.choice([1, 2])
    wide = n.layer(n.nd("AvgPool")(3, 1, 1))

    def part(y: Tensor) -> Tensor:
        return y.transpose(axis, -1)[..., low::step]

    def put(x: Tensor) -> Tensor:
        y = x.clone()
        part(y).copy_(part(wide(x)))
        return y

    def added(x: Tensor) -> Tensor:
        y = x * 1
        part(y).add_(part(wide(x)), alpha=0.5)
        return y

    def filled(x: Tensor) -> Tensor:
        y = x.clone()
        part(y).zero_()
        return wide(y) + x  # type: ignore[no-any-return]

    return r.choice([put, added, filled])


def recurrent(n: Net) -> Run:
    r, c = n.random, n.dims[0]
    kind: Any = r.choice([nn.LSTM, nn.GRU, nn.RNN])
    both, deep = r.random() < 0.4, r.choice([1, 2])
    layer = n.layer(kind(c, 3, deep, batch_first=True, bidirectional=both, bias=r.random() < 0.7))
    return lambda x: layer(x.flatten(2)[..., :8].transpose(1, 2))[0].transpose(1, 2)


MAKERS: list[Callable[[Net], Run]] = [
    *(conv, conv_transpose, pool, adaptive, norm, reduced, along, moved, reshaped, parts, joined, copied, padded),
    *(resized, multiplied, elementwise, shuffled, written, recurrent),
]


def drawn(make: Callable[[Net], Run], seed: int) -> Net:
    torch.manual_seed(seed)
    r = Random(f"{make.__name__} {seed}")
    net = Net(r)
    run = make(net)
    vars(net)["run"] = run  # a module is held in a list already
    net.written = f"{make.__name__} {seed}{'+' * (r.random() < 0.3)}"
    with torch.no_grad():
        for p in net.parameters():
            p.abs_().add_(0.1).mul_(0.2 if make is recurrent else 1)  # a state that is saturated hears nothing
    return net.double().eval()


def compared(net: Net, many: int = 10) -> str:
    """A module beside itself; what was compared. Nothing where PyTorch does not take these arguments."""
    x = torch.rand(1, *net.dims, dtype=torch.float64) + 0.5
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            plain = net(x)
        except (RuntimeError, ValueError, IndexError, AssertionError):
            return ""
        if not plain.numel():
            return ""
        read = from_torch(net, net.dims)
        report = Report(read.network)
        row, source = report[read.network.outputs[0]], report.shapes[0]
        assert report.totals.params + sum(dict(read.network.source.unused).values()) == sum(
            p.numel() for p in net.parameters()
        )
        without = row.output_shape[: row.shape.channel] + row.output_shape[row.shape.channel + 1 :]
        if tuple(row.output_shape) != plain.shape[1:]:  # an axis of channels is added where there is none
            assert (row.shape.dims[row.shape.channel], without) == (1, plain.shape[1:]), row.output_shape
            plain = plain.unsqueeze(1 + row.shape.channel)
        field = row.receptive_field
        if not row.shape.rank or field.status in ("unknown", "needs_input_size"):
            return str(field.status)
        walk = regions(report, row.name)
        units = list(product(*map(range, row.shape.spatial)))
        told = {unit: set(walk.unit(unit).pixels()) for unit in net.random.sample(units, min(len(units), 40))}
        pixels = list(product(*map(range, source.spatial)))
        for pixel in net.random.sample(pixels, min(len(pixels), many)):
            changed = torch.zeros(plain.shape[1:], dtype=torch.bool)
            for by in (0.01, 0.5, 3, 100, -100):
                y = x.clone()
                values = y[0].movedim(source.channel, -1)
                values[pixel] += by * torch.linspace(1, 1.3, values.shape[-1], dtype=torch.float64)
                now = net(y).reshape(plain.shape)
                changed |= ((now != plain) & ~(now.isnan() & plain.isnan()))[0]
            by_unit = changed.movedim(row.shape.channel, -1).any(-1)
            for unit, seen in told.items():
                if field.status == "bounded":
                    assert pixel in seen or not by_unit[unit], (unit, pixel, "is seen")
                else:
                    assert (pixel in seen) == bool(by_unit[unit]), (unit, pixel, bool(by_unit[unit]), field)
    return str(field.status)


def _one(make: Callable[[Net], Run], seed: int) -> str:
    net = drawn(make, seed)
    try:
        return compared(net)
    except (AssertionError, RfcalcError) as error:
        raise AssertionError(f"{make.__name__} {seed}, {net.dims}: {error}") from error


@pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
def test_an_operator_with_random_arguments(make: Callable[[Net], Run]) -> None:
    found = [_one(make, seed) for seed in range(COUNT)]
    assert len([s for s in found if s]) > COUNT / 3, "PyTorch takes few of them"
    assert set(found) - {"", "unknown"}, "none is understood"


@pytest.mark.exhaustive
@pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
def test_an_operator_with_many_random_arguments(make: Callable[[Net], Run]) -> None:
    for seed in range(COUNT, 10 * COUNT):
        _one(make, seed)


@pytest.mark.parametrize("width", [3, 7])
def test_control_another_module_is_told_from_this_one(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = drawn(conv, 0)
    net.dims, net.first, net.written = (2, 12), nn.Identity(), ""
    right, wrong = (nn.Conv1d(2, 2, k, padding=k // 2).double() for k in (5, width))
    net.layers = nn.ModuleList([right])
    vars(net)["run"] = right
    assert compared(net) == "exact"
    read = from_torch(nn.Sequential(wrong), (2, 12))
    monkeypatch.setattr("test_torch_operators.from_torch", lambda *_: read)
    with pytest.raises(AssertionError):
        compared(net)
    assert prod(net.dims) == 24


def test_a_factor_with_aligned_corners_is_read_as_a_factor() -> None:
    """A size in its place would stay as it is where the map before it is longer."""
    (given,) = from_torch(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (3, 8, 8)).network.nodes
    assert (given.layer.factor, given.layer.size, given.layer.align_corners) == ((2,), None, True)
    (sized,) = from_torch(nn.Upsample((16, 16), mode="bilinear", align_corners=True), (3, 8, 8)).network.nodes
    assert (sized.layer.factor, sized.layer.size) == (None, (16,))
