"""What units of modules depend on: the summary and regions of the module read, against the module itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pixels import Module, check
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc

Conv1, Conv2 = nn.Conv1d, nn.Conv2d


def size(module: nn.Module, shape: str) -> Any:
    return check(module, shape).size


def tower(dim: int, choose: Callable[[Tensor], Tensor]) -> Module:
    """Two convolutions of a signal, one after the other, as branches along an axis."""

    def run(m: Any, x: Tensor) -> Tensor:
        first = m.a(x)
        return choose(torch.stack([first, m.b(first)], dim))

    return Module(run, a=Conv1(4, 4, 3, padding=1), b=Conv1(4, 4, 3, padding=1))


BRANCHES = {
    "sum": (1, lambda t: t.sum(1), 5),
    "mean": (1, lambda t: t.mean(1), 5),
    "amax": (1, lambda t: t.amax(1), 5),
    "max": (1, lambda t: t.max(1)[0], 5),
    "last": (1, lambda t: t[:, -1], 5),
    "first": (1, lambda t: t[:, 0], 3),
    "front": (0, lambda t: t[0], 3),
    "behind": (-1, lambda t: t.sum(-1), 5),
    "middle": (2, lambda t: t.sum(2), 5),
    "flat": (1, lambda t: t.flatten(1, 2)[:, :4], 3),
    "unbound": (1, lambda t: t.unbind(1)[1], 5),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_an_axis_of_branches(name: str) -> None:
    dim, choose, right = BRANCHES[name]
    found = check(tower(dim, choose), "4x24")
    assert (found.status, found.size) == ("exact", (right,))


def forked(choose: Callable[[Any, Tensor], Tensor], **more: nn.Module) -> Module:
    """A 1 × 1 and a 5 × 5 convolution side by side in the channels."""

    def run(m: Any, x: Tensor) -> Tensor:
        return choose(m, torch.cat([m.narrow(x), m.wide(x)], 1))

    return Module(run, narrow=Conv2(2, 4, 1), wide=Conv2(2, 4, 5, padding=2), **more)


ALIKE = {
    "a map and itself": (lambda m, x: torch.stack([x, 2 * x], 1).sum(1), 1),
    "two of one kernel": (lambda m, x: torch.stack([m.a(x), m.b(x)], 1).sum(1), 3),
    "weighted": (lambda m, x: torch.einsum("bkcl,k->bcl", torch.stack([m.a(x), m.b(x)], 1), m.w), 3),
    "a product": (lambda m, x: torch.stack([m.a(x), m.b(x)], -1) @ m.w, 3),
}


@pytest.mark.parametrize("name", ALIKE)
def test_branches_that_see_the_same(name: str) -> None:
    run, right = ALIKE[name]
    parts = {k: Conv1(4, 4, 3, padding=1) for k in "ab"}
    found = check(Module(run, **parts, w=nn.Parameter(torch.rand(2))), "4x12")  # type: ignore[arg-type]
    assert (found.status, found.size) == ("exact", (right,))


def test_what_every_unit_sees_stays_so() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        return (x * x.mean((2, 3), keepdim=True)).flip(2).roll(1, 3)

    assert check(Module(run), "2x5x5").status == "global"


CHANNELS = {
    "unflattened": (forked(lambda m, y: y.unflatten(1, (2, 4))[:, 0]), 1),
    "unflattened, mean": (forked(lambda m, y: y.unflatten(1, (2, 4)).mean(2)[:, 1:]), 5),
    "by weights": (forked(lambda m, y: torch.einsum("bchw,c->bchw", y, torch.ones(8).to(y))[:, :4]), 1),
    "slice": (forked(lambda m, y: y[:, :4]), 1),
    "other": (forked(lambda m, y: y[:, 4:]), 5),
    "seam": (forked(lambda m, y: y[:, 3:5]), 5),
    "chunk": (forked(lambda m, y: y.relu().chunk(2, 1)[0]), 1),
    "split": (forked(lambda m, y: y.split([4, 4], 1)[0]), 1),
    "groups": (forked(lambda m, y: m.g(y)[:, :2], g=Conv2(8, 4, 3, padding=1, groups=2)), 3),
    "depthwise": (forked(lambda m, y: m.g(y)[:, 1:3], g=Conv2(8, 8, 3, padding=1, groups=8)), 3),
    "shuffle": (forked(lambda m, y: F.channel_shuffle(y, 2)[:, ::2]), 1),
    "by hand": (forked(lambda m, y: y.view(-1, 2, 4, 9, 9).transpose(1, 2).reshape(-1, 8, 9, 9)[:, ::2]), 1),
    "index": (forked(lambda m, y: y[:, [0, 2]]), 1),
    "mixed": (forked(lambda m, y: m.g(y)[:, :2], g=Conv2(8, 4, 1)), 5),
    "pool": (forked(lambda m, y: F.avg_pool2d(y, 3, 1, 1)[:, :2]), 3),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_of_a_concat(name: str) -> None:
    module, right = CHANNELS[name]
    found = check(module, "2x9x9")
    assert (found.status, found.size) == ("exact", (right, right))


def spread(m: Any, x: Tensor) -> Tensor:
    h = torch.zeros(1, 2, 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
    h[:, :, 0::2, 0::2] = m.a(x)
    return m.b(h) + F.interpolate(m.skip(x), scale_factor=2)  # type: ignore[no-any-return]


def inside(m: Any, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :, 1:-1, ::2] += m.b(x)[:, :, 1:-1, ::2]
    return y


def halved(m: Any, x: Tensor) -> Tensor:
    y = m.a(x)
    y[:, :, ::2].mul_(0.5)
    return m.b(y) + m.skip(x)  # type: ignore[no-any-return]


def turned(m: Any, x: Tensor) -> Tensor:
    y = m.skip(x)
    y.transpose(2, 3)[:, :, ::2].add_(m.b(x).transpose(2, 3)[:, :, ::2])
    return y  # type: ignore[no-any-return]


def square(k: int, c: int = 2) -> Conv2:
    return Conv2(2, c, k, padding=k // 2)


WRITTEN = {
    "every second": (Module(spread, a=square(5), b=square(3), skip=square(1)), "2x8x8", "periodic", (6, 6)),
    "inside": (Module(inside, b=square(5)), "2x8x8", "bounded", (5, 5)),
    "in place": (Module(halved, a=square(5), b=square(3), skip=square(1)), "2x8x8", "exact", (7, 7)),
    "transposed": (Module(turned, b=square(3), skip=square(1)), "2x8x8", "periodic", (3, 3)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_writing_into_a_part(name: str) -> None:
    module, shape, status, right = WRITTEN[name]
    found = check(module, shape)
    assert (found.status, found.size) == (status, right)


def unshuffled(order: tuple[int, ...]) -> Module:
    def run(m: Any, x: Tensor) -> Tensor:
        y = m.a(x).view(1, 2, 4, 2, 4, 2).permute(*order).reshape(1, 8, 4, 4)
        return m.b(y)  # type: ignore[no-any-return]

    return Module(run, a=square(3), b=Conv2(8, 2, 3, padding=1))


def gated(m: Any, x: Tensor) -> Tensor:
    y, z = m.l(m.a(x).flatten(2).transpose(1, 2)).chunk(2, -1)
    return (y * z.sigmoid()).transpose(1, 2).unflatten(2, (6, 6))  # type: ignore[no-any-return]


def in_turns(m: Any, x: Tensor) -> Tensor:
    """Residual blocks of tokens that go back to a map inside (SegFormer's Mix-FFN)."""
    y = m.a(x).flatten(2).transpose(1, 2)
    for _ in range(2):
        y = y + m.d(m.l(y).transpose(1, 2).unflatten(2, (6, 5))).flatten(2).transpose(1, 2)
    return y.transpose(1, 2).unflatten(2, (6, 5))  # type: ignore[no-any-return]


def through_tokens(m: Any, x: Tensor) -> Tensor:
    """Layers on tokens, one of them with a skip, and back to a map."""
    tokens = m.a(x).flatten(2).transpose(1, 2)
    tokens = tokens + m.c(m.n(tokens))
    return m.b(tokens.view(1, 8, 8, 2).permute(0, 3, 1, 2))  # type: ignore[no-any-return]


DETOURS = {
    "layers on tokens": (
        Module(through_tokens, a=square(3), b=square(3), c=nn.Linear(2, 2), n=nn.LayerNorm(2)),
        "2x8x8",
        (5, 5),
        (1, 1),
    ),
    "layers on tokens of patches": (
        Module(
            lambda m, x: m.b(m.c(m.a(x).permute(0, 2, 3, 1).reshape(1, 12, 4)).reshape(1, 4, 3, 4).permute(0, 3, 1, 2)),
            a=Conv2(2, 4, (4, 2), stride=(4, 2)),
            b=Conv2(4, 2, 3, padding=1),
            c=nn.Linear(4, 4),
        ),
        "2x16x6",
        (12, 6),
        (4, 2),
    ),
    "patches, channels first": (unshuffled((0, 1, 3, 5, 2, 4)), "2x8x8", (8, 8), (2, 2)),
    "patches, places first": (unshuffled((0, 3, 5, 1, 2, 4)), "2x8x8", (8, 8), (2, 2)),
    "tokens": (
        Module(lambda m, x: m.a(x).reshape(1, 2, 64).relu().reshape(1, 2, 8, 8), a=square(3)),
        "2x8x8",
        (3, 3),
        (1, 1),
    ),
    "tokens last": (
        Module(
            lambda m, x: m.b(m.a(x).flatten(2).transpose(1, 2).transpose(1, 2).view(1, 2, 8, 8)),
            a=square(3),
            b=square(3),
        ),
        "2x8x8",
        (5, 5),
        (1, 1),
    ),
    "zeros before": (
        Module(lambda m, x: m.a(torch.cat([x.new_zeros(1, 4, 2), x], -1)), a=Conv1(4, 4, 3)),
        "4x12",
        (3,),
        (1,),
    ),
    "the first again": (
        Module(lambda m, x: m.a(torch.cat([x[:, :, :1], x[:, :, :1], x], -1)), a=Conv1(4, 4, 3)),
        "4x12",
        (3,),
        (1,),
    ),
    "tokens of two branches": (
        Module(lambda m, x: (m.a(x).flatten(2) + m.b(x).flatten(2)).view(1, 2, 6, 6), a=square(3), b=square(1)),
        "2x6x6",
        (3, 3),
        (1, 1),
    ),
    "tokens side by side": (
        Module(
            lambda m, x: torch.cat([m.a(x).flatten(2), m.b(x).flatten(2)], 1).view(1, 4, 6, 6), a=square(3), b=square(5)
        ),
        "2x6x6",
        (5, 5),
        (1, 1),
    ),
    "tokens gated by each other": (Module(gated, a=square(3), l=nn.Linear(2, 4)), "2x6x6", (3, 3), (1, 1)),
    "tokens and maps in turns": (
        Module(in_turns, a=square(3), l=nn.Linear(2, 2), d=square(3)),
        "2x6x5",
        (7, 7),
        (1, 1),
    ),
    "a contraction of channels": (
        Module(
            lambda m, x: torch.tensordot(m.a(x), m.b.weight, ([1], [1])).movedim(-1, 1), a=square(3), b=nn.Linear(2, 3)
        ),
        "2x6x6",
        (3, 3),
        (1, 1),
    ),
}


@pytest.mark.parametrize("name", DETOURS)
def test_detours(name: str) -> None:
    module, shape, right, stride = DETOURS[name]
    found = check(module, shape)
    assert (found.status, found.size, found.stride) == ("exact", right, stride)


class Weighted(nn.Module):
    """A module with parameters of its own, from a function."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **held: Tensor | nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, value in held.items():
            setattr(self, name, value if isinstance(value, nn.Module) else nn.Parameter(value))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def both(w: Tensor, x: Tensor) -> Tensor:
    a, b = w.chunk(2)
    return F.linear(x, a) + F.linear(x + 1, b)


LAYOUTS = {
    "scalar": (Weighted(lambda m, x: m.w * m.a(x) + (1 - m.w) * x, w=torch.rand(()), a=Conv1(4, 4, 3, padding=1)), 3),
    "snake": (Weighted(lambda m, x: x + 1 / (m.p + 1e-9) * torch.sin(m.p * x) ** 2, p=torch.rand(1, 4, 1)), 1),
    "exp": (Weighted(lambda m, x: m.p * x + m.p.exp() * x, p=torch.rand(1, 4, 1)), 1),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_parameter_in_several_layouts(name: str) -> None:
    module, right = LAYOUTS[name]
    report = rfcalc.analyze(rfcalc.from_torch(module, "4x12"))
    field = report.outputs[0].receptive_field
    assert (field.status, field.size) == ("exact", (right,))
    assert report.totals.params == sum(p.numel() for p in module.parameters())


class Crossed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        return self.m(q, k, k)[0]  # type: ignore[no-any-return]


def test_parts_of_parameters_and_products_of_them_are_weights() -> None:
    crossed = rfcalc.analyze(rfcalc.from_torch(Crossed(), {"q": "10x16", "k": "10x16"}))
    assert crossed.totals.macs == 13_440
    halves = Weighted(lambda m, x: both(m.w, x), w=torch.rand(16, 8))
    assert rfcalc.analyze(rfcalc.from_torch(halves, "10x8")).totals.macs == 2 * 10 * 8 * 8
    held = {"w": torch.rand(64, 64), "b": torch.rand(64, 4), "a": torch.rand(4, 64)}
    merged = Weighted(lambda m, x: F.linear(x, m.w + m.b @ m.a), **held)
    assert rfcalc.analyze(rfcalc.from_torch(merged, "1x64")).totals.macs == 20_480


EINSUMS: dict[str, tuple[Callable[[Any, Tensor], Tensor], tuple[int, ...], str, Any]] = {
    "graph": (
        lambda m, x: torch.einsum("nkctv,kvw->nctw", m.a(x).view(1, 2, 2, 6, 4), m.w),
        (2, 4, 4),
        "global",
        (3, None),
    ),
    "three": (lambda m, x: torch.einsum("nct,cd,de->net", m.a(x), m.w, m.w), (4, 4), "exact", (3,)),
    "dots": (lambda m, x: torch.einsum("...ct,cd->...dt", m.a(x), m.w), (4, 5), "exact", (3,)),
    "no arrow": (lambda m, x: torch.einsum("nct,cd", m.a(x), m.w), (4, 5), "exact", (3,)),
    "summed": (lambda m, x: torch.einsum("nct,ck->nk", m.a(x), m.w), (4, 5), "global", (None,)),
}


@pytest.mark.parametrize("name", EINSUMS)
def test_einsum_of_any_letters(name: str) -> None:
    run, sides, status, size = EINSUMS[name]
    parts: dict[str, Any] = {"w": nn.Parameter(torch.rand(*sides, dtype=torch.float64))}
    parts["a"] = nn.Conv2d(2, 4, (3, 1), padding=(1, 0)) if name == "graph" else Conv1(4, 4, 3, padding=1)
    found = check(Module(run, **parts).double(), "2x6x4" if name == "graph" else "4x12")
    assert (found.status, found.size) == (status, size)


def halves(x: Tensor) -> Tensor:
    """Both halves of a signal, as two channels."""
    return torch.cat([x[..., :4], x[..., 4:]], 1)


def interleaved(m: Any, x: Tensor) -> Tensor:
    """Channels by hand position by position side by side, so that each position has one of them."""
    made: Tensor = m.a(m.first(x).transpose(1, 2).reshape(-1, 1, 8))
    return made


def rows_become_positions(m: Any, x: Tensor) -> Tensor:
    """Each position of the result reads one channel, which holds two neighbours."""
    made: Tensor = m.a(F.max_pool1d(x[..., :4], 2)) @ x.reshape(-1, 3, 2).transpose(1, 2)
    return made


class Halves(nn.Module):
    """Halves of a signal as channels, and what is done to them there."""

    def __init__(self, then: nn.Module) -> None:
        super().__init__()
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.then(halves(x))
        return made


APART = {
    "as they are": nn.Identity(),
    "normalised over themselves": nn.InstanceNorm1d(2),
    "normalised over the batch": nn.BatchNorm1d(2, track_running_stats=False),
    "convolved apart": Conv1(2, 2, 3, padding=1, groups=2),
}


@pytest.mark.parametrize("name", APART)
def test_channels_that_hold_different_positions_become_positions(name: str) -> None:
    """A position has one of the channels: what all of them see is a bound, in the summary and in the regions."""
    module = Module(interleaved, first=Halves(APART[name]), a=Conv1(1, 1, 1))
    assert check(module, "1x8").status == "bounded"
    alike = Module(interleaved, first=Halves(Conv1(2, 2, 3, padding=1)), a=Conv1(1, 1, 1))  # all read all
    assert check(alike, "1x8").status == "periodic"


def test_rows_of_a_product_that_are_channels_become_positions() -> None:
    module = Module(rows_become_positions, a=Conv1(1, 1, 1))
    assert check(module, "1x6").status == "bounded"
    units = rfcalc.receptive_field(rfcalc.from_torch(module, "1x6"))
    assert [units.unit((u,)).hull for u in range(3)] == [((0, 3),), ((0, 3),), ((0, 5),)]
