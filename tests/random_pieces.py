"""Modules of pieces drawn at random, of maps of one to three axes, and what they do at every size, run without data.

A piece is a few lines of code as models have them, whose numbers are computed from lengths: it gets the module, a map,
a number, and the axis that it works on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from random import Random
from typing import Any

import rfcalc
from rfcalc import RfcalcError

torch: Any = __import__("torch")
nn: Any = torch.nn
F: Any = nn.functional
CHANNELS, ROWS = 2, 30
Piece = Callable[[Any, Any, int, int], Any]
Step = tuple[Piece, int, int]
ERRORS = (
    *(RuntimeError, ValueError, AssertionError, IndexError, TypeError, KeyError, ZeroDivisionError, AttributeError),
    OverflowError,
)


def along(table: Any, x: Any, d: int) -> Any:
    """A table of one axis, such that it meets axis d of a map."""
    return table.view(-1, *[1] * (x.dim() - 1 - d))


def pool(x: Any, k: int, ceil: bool = False) -> Any:
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3](x, k, ceil_mode=ceil)


def padded(x: Any, d: int, before: Any, after: Any) -> Any:
    return F.pad(x, [*[0] * (2 * (x.dim() - 1 - d)), before, after])


def resized(x: Any, **given: Any) -> Any:
    smooth = {"mode": ("linear", "bilinear", "trilinear")[x.dim() - 3]} if "align_corners" in given else {}
    return F.interpolate(x, **smooth, **given)


def ranks(x: Any, d: int) -> Any:
    """The order of the positions along axis d by their means."""
    return x.mean([i for i in range(x.dim()) if i != d]).argsort()


# --- parts of maps, and of tables


def chunked(net: Any, x: Any, k: int, d: int) -> Any:
    return torch.cat(x.chunk(k % 3 + 2, d)[::-1], d)


def halves(net: Any, x: Any, k: int, d: int) -> Any:
    a, b = x.chunk(2, d)
    return a + b


def split_by_lengths(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    a, b = x.split([n // 2, n - n // 2], d)
    return torch.cat([b, a], d) if k % 2 else b


def split_in_pieces(net: Any, x: Any, k: int, d: int) -> Any:
    return x.split(3 * k, d)[-1 if k % 2 else 0]


def narrowed(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    return x.narrow(d, n // (k + 1), n - n // k if k > 1 else n // 2)


def must_be_there(net: Any, x: Any, k: int, d: int) -> Any:
    return x.narrow(d, 1, 2 * k) + torch.narrow(x, dim=d, start=0, length=2 * k)


def one_of(net: Any, x: Any, k: int, d: int) -> Any:
    return x + x.select(d, x.shape[d] // (k + 1)).unsqueeze(d)


def evenly(net: Any, x: Any, k: int, d: int) -> Any:
    return x.tensor_split(k % 3 + 2, d)[k % 2]


def third(net: Any, x: Any, k: int, d: int) -> Any:
    return x.chunk(k % 3 + 2, d)[1]


def from_behind(net: Any, x: Any, k: int, d: int) -> Any:
    at = [slice(None)] * x.dim()
    at[d] = slice(-2 * k, -1) if k % 2 else slice(k, -k)
    return x[tuple(at)]


def to_a_length(net: Any, x: Any, k: int, d: int) -> Any:
    at = [slice(None)] * x.dim()
    at[d] = slice(k, x.shape[d] - k - 1)
    return x[tuple(at)]


def frequencies(net: Any, x: Any, k: int, d: int) -> Any:
    f = torch.fft.rfft(x, dim=d)
    return f.abs() if k % 3 == 0 else torch.fft.irfft(f, dim=d) if k % 3 == 1 else torch.fft.irfft(f, x.shape[d], d)


def by_a_share(net: Any, x: Any, k: int, d: int) -> Any:
    return resized(x, scale_factor=(0.25, 0.5, 0.75, 1.25, 0.125)[k % 5])


def half_of_it(net: Any, x: Any, k: int, d: int) -> Any:
    return F.glu(x, d)


def table_first(net: Any, x: Any, k: int, d: int) -> Any:
    return x + along(net.table[: x.shape[d]], x, d)


def table_last(net: Any, x: Any, k: int, d: int) -> Any:
    return x + along(net.table[ROWS - x.size(d) :], x, d)


def table_between(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    return x + along(net.table[k : k + n] if k % 2 else net.table[n // 4 : n // 4 + n], x, d)


def table_halves(net: Any, x: Any, k: int, d: int) -> Any:
    cos, sin = net.table[: 2 * x.shape[d]].chunk(2)
    return x * along(cos, x, d) + x.flip(d) * along(sin, x, d)


def table_of_all(net: Any, x: Any, k: int, d: int) -> Any:
    return x + net.place[(slice(None), slice(None), *[slice(n) for n in x.shape[2:]])]


def table_resized(net: Any, x: Any, k: int, d: int) -> Any:
    table = net.place
    if x.shape[2:] != table.shape[2:]:
        table = resized(table, size=tuple(x.shape[2:]), align_corners=k % 2 == 0)
    return x + table


def rotary(net: Any, x: Any, k: int, d: int) -> Any:
    t = torch.arange(x.shape[d], device=x.device).float()
    angles = torch.outer(t, torch.ones(2, device=x.device) / k)
    cos, sin = angles.cos()[:, 0], angles.sin()[:, -1]
    a, b = x.chunk(2, 1)
    return torch.cat([a * along(cos, x, d) - b * along(sin, x, d), a * along(sin, x, d) + b * along(cos, x, d)], 1)


def rotary_kept(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    if net.angles is None or n > net.angles.shape[0]:
        net.angles = torch.arange(max(n, 4 * k), device=x.device).cos()
    return x * along(net.angles[:n], x, d)


def relative(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    near = torch.arange(n, device=x.device)
    bias = (near[:, None] - near[None, :]).clamp(-k, k).float()
    return x + along(bias.sum(1), x, d)


# --- padding, windows, resizing


def to_multiple(net: Any, x: Any, k: int, d: int) -> Any:
    more = -x.shape[d] % k
    return padded(x, d, more // 2, more - more // 2) if more or k % 2 else x


def to_more(net: Any, x: Any, k: int, d: int) -> Any:
    return padded(x, d, 0, k - x.shape[d] % k)


def padded_and_cut(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    y = pool(padded(x, d, 0, (k - n % k) % k), 2, True)
    return y.narrow(d, 0, n // 2)


def beside_padded(net: Any, x: Any, k: int, d: int) -> Any:
    y = resized(pool(x, 2), scale_factor=2)
    for axis in range(2, x.dim()):
        more = x.shape[axis] - y.shape[axis]
        y = padded(y, axis, more // 2, more - more // 2)
    return torch.cat([x, y], 1)[:, ::2] if k % 2 else torch.stack([x, y]).mean(0)


def windows_by_view(net: Any, x: Any, k: int, d: int) -> Any:
    y = padded(x, d, 0, -x.shape[d] % k) if k % 2 else x
    n = y.shape[d]
    y = y.reshape(*y.shape[:d], n // k, k, *y.shape[d + 1 :]).transpose(d, d + 1)
    y = y.reshape(*y.shape[:d], n, *y.shape[d + 2 :])
    return y.narrow(d, 0, x.shape[d])


def windows_by_unfold(net: Any, x: Any, k: int, d: int) -> Any:
    return x.unfold(d, k, max(1, k // 2)).mean(-1)


def by_a_size(net: Any, x: Any, k: int, d: int) -> Any:
    size = [n * k // 4 if axis == d else n for axis, n in enumerate(x.shape)]
    return resized(x, size=size[2:])


def by_a_scale(net: Any, x: Any, k: int, d: int) -> Any:
    return resized(x, scale_factor=(0.5, 1.5, 2, 0.75, 1.25)[k % 5])


def by_a_scale_again(net: Any, x: Any, k: int, d: int) -> Any:
    return resized(x, scale_factor=(0.5, 1.5, 2, 0.7)[k % 4], recompute_scale_factor=True)


def with_corners(net: Any, x: Any, k: int, d: int) -> Any:
    given: Any = {"scale_factor": k % 3 + 1} if k % 2 else {"size": [2 * n - 1 for n in x.shape[2:]]}
    return resized(x, align_corners=True, **given)


def adaptive(net: Any, x: Any, k: int, d: int) -> Any:
    size = [max(1, n // k) if axis == d else (None if k % 2 else n) for axis, n in enumerate(x.shape)]
    return (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[x.dim() - 3](
        x, size[2:] if x.dim() > 3 else size[2] or x.shape[2]
    )


def down_and_up(net: Any, x: Any, k: int, d: int) -> Any:
    y = net.down(x)
    up = net.up
    return x + (up(y, output_size=x.shape[2:]) if k % 2 else up(y, output_size=[2 * n for n in y.shape[2:]]))


# --- slices


def even(net: Any, x: Any, k: int, d: int) -> Any:
    return x.transpose(d, -1)[..., : x.shape[d] // 2 * 2].transpose(d, -1)


def every_other(net: Any, x: Any, k: int, d: int) -> Any:
    y = x.transpose(d, -1)
    a, b = y[..., ::2], y[..., 1::2]
    return (a + b if k % 2 else a[..., : b.shape[-1]] * b).transpose(d, -1)


def without_ends(net: Any, x: Any, k: int, d: int) -> Any:
    return x.transpose(d, -1)[..., k:-k].transpose(d, -1)


def behind_a_rest(net: Any, x: Any, k: int, d: int) -> Any:
    return x.transpose(d, -1)[..., x.shape[d] % k :].transpose(d, -1)


def the_middle(net: Any, x: Any, k: int, d: int) -> Any:
    first = (x.shape[d] - 3 * k) // 2
    return x.transpose(d, -1)[..., first : first + 3 * k].transpose(d, -1)


# --- numbers that are made of lengths


def quotient(net: Any, x: Any, k: int, d: int) -> Any:
    return x.narrow(d, 0, max(1, x.shape[d] // x.shape[-1])) if k % 2 else x.narrow(d, 0, x.shape[2] * k // x.shape[-1])


def divided(net: Any, x: Any, k: int, d: int) -> Any:
    turns, rest = divmod(x.shape[d], k)
    return padded(x, d, rest, turns % 2)


def difference(net: Any, x: Any, k: int, d: int) -> Any:
    return padded(x, d, 0, abs(x.shape[2] - x.shape[-1]) // k)


def rounded(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    size = (round(n / k), math.ceil(n / k), math.floor(n * 0.5), int(n / 4) * 4, round(n * 0.75))[k % 5]
    return x.narrow(d, 0, size)


def extremes(net: Any, x: Any, k: int, d: int) -> Any:
    return x.narrow(d, 0, min(x.shape[d], max(x.shape[-1] // 2, k)))


def logarithm(net: Any, x: Any, k: int, d: int) -> Any:
    return padded(x, d, 0, x.shape[d].bit_length() if k % 2 else int(math.log2(x.shape[d])))


def to_square(net: Any, x: Any, k: int, d: int) -> Any:
    side = max(x.shape[2:])
    for axis in range(2, x.dim()):
        x = padded(x, axis, 0, side - x.shape[axis])
    return x


# --- conditions


def chained(net: Any, x: Any, k: int, d: int) -> Any:
    return pool(x, 2) if 3 * k < x.shape[d] <= 6 * k else x


def several(net: Any, x: Any, k: int, d: int) -> Any:
    n, m = x.shape[d], x.shape[-1]
    return pool(x, 2) if (n % 2 and n > 2 * k) or not (n != 5 * k and m >= k) else x


def falsy(net: Any, x: Any, k: int, d: int) -> Any:
    more = x.shape[d] % k
    return padded(x, d, *((more and k - more, 0) if x.shape[d] // k > 3 else (more or k, 1)))


def halved_until(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    while n > 2 * k:
        n //= 2
    return x.narrow(d, 0, n)


def pooled_until(net: Any, x: Any, k: int, d: int) -> Any:
    while x.shape[d] % 2 == 0 and x.shape[d] > k:
        x = pool(x, 2)
    return x


def as_often(net: Any, x: Any, k: int, d: int) -> Any:
    for _ in range(x.shape[d] // (4 * k)):
        x = net.same(padded(x, d, 0, 1))
    return x


def by_kind(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    return pool(x, 2) if (type(n) is int) == (k % 2 == 0) else x


def by_identity(net: Any, x: Any, k: int, d: int) -> Any:
    return pool(x, 2) if x.shape[2] is x.shape[-1] else x


def fits_or_padded(net: Any, x: Any, k: int, d: int) -> Any:
    try:
        y = x.unflatten(d, (-1, k))
    except RuntimeError:
        y = padded(x, d, 0, k - x.shape[d] % k).unflatten(d, (-1, k))
    return y.mean(d + 1)


def refused_or_passed(net: Any, x: Any, k: int, d: int) -> Any:
    try:
        if x.shape[d] % k == 1:
            raise ValueError("a rest")
        return x + net.table.view(-1, *[1] * (x.dim() - 1 - d))
    except ValueError:
        return pool(x, 2)
    except RuntimeError:
        return x


def kept_by_size(net: Any, x: Any, k: int, d: int) -> Any:
    n = x.shape[d]
    if net.kept.get("n") != n:
        net.kept = {"n": n, "mask": torch.ones(n // k * k, device=x.device)}
    return x.narrow(d, 0, n // k * k) * along(net.kept["mask"], x, d)


# --- mixing


def attention(net: Any, x: Any, k: int, d: int) -> Any:
    y = x.flatten(2).transpose(1, 2)
    y = torch.einsum("bnm,bmc->bnc", torch.einsum("bnc,bmc->bnm", y, y), y)
    return y.transpose(1, 2).view(*x.shape)


def summed(net: Any, x: Any, k: int, d: int) -> Any:
    y = x.transpose(d, -1)
    return torch.einsum("...n,nm->...m", y, net.mix[: y.shape[-1]]).transpose(d, -1)


def rolled(net: Any, x: Any, k: int, d: int) -> Any:
    return torch.roll(x, x.shape[d] // 2 if k % 2 else -k, d) if x.shape[d] > k else x


def squeezed(net: Any, x: Any, k: int, d: int) -> Any:
    y = x.squeeze(d)
    return y.unsqueeze(d) if y.dim() < x.dim() else pool(x, 2)


def in_order(net: Any, x: Any, k: int, d: int) -> Any:
    return x.index_select(d, ranks(x, d)) if k % 2 else x.gather(d, x.argsort(d))


def best(net: Any, x: Any, k: int, d: int) -> Any:
    return x.gather(d, x.topk(k, dim=d)[1])


def by_rank(net: Any, x: Any, k: int, d: int) -> Any:
    at = ranks(x, d)
    return x + along(net.table[at // k % ROWS if k % 2 else (k * at).clamp(max=ROWS - 1)], x, d)


def of_halves(net: Any, x: Any, k: int, d: int) -> Any:
    return x.gather(d, 2 * pool(x, 2).argsort(d) + k % 2)


def counted(net: Any, x: Any, k: int, d: int) -> Any:
    return padded(x, d, k % 2, 0).gather(d, (x > 0).cumsum(d).clamp(min=1) - 1)


def pooled_beside(net: Any, x: Any, k: int, d: int) -> Any:
    mean = x.mean(d).unsqueeze(d)
    return torch.cat([x, mean.expand(*[k if axis == d else -1 for axis in range(x.dim())])], d)


PIECES: tuple[Piece, ...] = (
    narrowed, must_be_there, one_of, evenly, third, from_behind, to_a_length, frequencies, by_a_share, half_of_it,
    chunked, halves, split_by_lengths, split_in_pieces, table_first, table_last, table_between, table_halves,
    table_of_all, table_resized, rotary, rotary_kept, relative, to_multiple, to_more, padded_and_cut, beside_padded,
    windows_by_view, windows_by_unfold, by_a_size, by_a_scale, by_a_scale_again, with_corners, adaptive, down_and_up,
    even, every_other, without_ends, behind_a_rest, the_middle, quotient, divided, difference, rounded, extremes,
    logarithm, to_square, chained, several, falsy, halved_until, pooled_until, as_often, by_kind, by_identity,
    fits_or_padded, refused_or_passed, kept_by_size, attention, summed, rolled, squeezed, in_order, best, by_rank,
    of_halves, counted, pooled_beside,
)  # fmt: skip


class Pieces(nn.Module):  # type: ignore[misc]
    """Pieces one after the other, of maps of so many axes; `ends`: what it gives back beside the last map."""

    def __init__(self, steps: Sequence[Step], ends: int, rank: int) -> None:
        super().__init__()
        self.steps, self.ends = steps, ends
        conv, up = (
            *((nn.Conv1d, nn.ConvTranspose1d), (nn.Conv2d, nn.ConvTranspose2d), (nn.Conv3d, nn.ConvTranspose3d)),
        )[rank - 1]
        self.same, self.down = conv(CHANNELS, CHANNELS, 3, 1, 1), conv(CHANNELS, CHANNELS, 3, 2, 1)
        self.up = up(CHANNELS, CHANNELS, 3, 2, 1)
        self.register_buffer("table", torch.zeros(ROWS))
        self.register_buffer("mix", torch.zeros(ROWS, 6))
        self.place = nn.Parameter(torch.zeros(1, 1, *[(40, 24, 12)[rank - 1]] * rank))
        self.forget()

    def forget(self) -> None:
        """Be as before the first run."""
        self.angles, self.kept = None, {}

    def forward(self, x: Any) -> Any:
        for piece, k, d in self.steps:
            x = piece(self, x, k, d)
        y = self.same(x)
        return ((y,), (y, x), {"one": y, "two": pool(y, 2)})[self.ends] if self.ends else y


def drawn(seed: int) -> tuple[list[Step], int, tuple[int, ...]]:
    """Pieces that run one after the other on maps of a shape, what comes out beside the last map, and the shape."""
    pick = Random(seed)
    rank = pick.choice((1, 2, 2, 2, 3))
    sides = ((24, 40, 45, 60), (12, 16, 24, 30, 33), (8, 10, 12))[rank - 1]
    side = pick.choice(sides)
    shape = (CHANNELS, *[side if pick.random() < 0.5 else pick.choice(sides) for _ in range(rank)])
    steps: list[Step] = []
    run = Run([], 0, rank)
    for _ in range(pick.choice((1, 1, 2, 2, 3))):
        for _ in range(8):
            one = pick.choice(PIECES), pick.choice((1, 2, 3, 4, 5, 7, 8)), 2 + pick.randrange(rank)
            run.module.steps = [*steps, one]
            if run.at(shape, full=True) is not None:
                steps.append(one)
                break
    return steps, pick.choice((0, 0, 1, 2)), shape


class Run:
    """A module without data, run at other sizes."""

    def __init__(self, steps: Sequence[Step], ends: int, rank: int) -> None:
        with torch.device("meta"):
            self.module = Pieces(steps, ends, rank)

    def at(self, dims: Sequence[int], full: bool = False) -> list[tuple[int, ...]] | None:
        """The shapes that it gives when it has not run yet; None where it refuses, `full`: or makes a map without
        values."""
        self.module.forget()
        with torch.no_grad(), Full() if full else nullcontext():
            try:
                y = self.module(torch.empty(1, *dims, device="meta"))
            except (*ERRORS, Empty):
                return None
        shapes = [tuple(t.shape) for t in (y.values() if isinstance(y, dict) else y if isinstance(y, tuple) else (y,))]
        return None if any(0 in shape for shape in shapes) else shapes


class Empty(Exception):
    """A map without values, which is refused."""


class Full(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
    """Refuses maps without values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(t, torch.Tensor) and not t.numel():
                raise Empty
        return out


def judged(seed: int, largest: int = 100) -> str:
    """Whether the sizes of a module are told, and rightly: the first that is not."""
    steps, ends, shape = drawn(seed)
    rank = len(shape) - 1
    what = ", ".join(f"{piece.__name__} {k} {d}" for piece, k, d in steps) + f" of {shape}, {ends}"
    run = Run(steps, ends, rank)
    if run.at(shape, full=True) is None:
        return f"does not run: {what}"
    try:
        found = rfcalc.sizes(Pieces(steps, ends, rank).eval(), shape)
    except RfcalcError as error:
        return f"not told: {what}: {error.where} {error.what} {error.why}".replace("\n", " ")
    for axis, solved in enumerate(found.axes):
        formulas = [*found.output(axis).values()]
        for n in range(1, largest + 1):
            dims = (*shape[: axis + 1], n, *shape[axis + 2 :])
            wrong = compared(run.at(dims), n in solved.valid, formulas, axis, n)
            if wrong and compared(run.at(dims, full=True), n in solved.valid, formulas, axis, n):
                return f"WRONG {what}: axis {axis}, {n}: {wrong}"
    return f"told: {what}"


def compared(y: list[tuple[int, ...]] | None, takes: bool, formulas: Sequence[Any], axis: int, n: int) -> str:
    """How what a module gives at a size is not what is told of it; empty where it is."""
    if takes != (y is not None):
        return f"told {'valid' if takes else 'refused'}, PyTorch gives {y}"
    if y is not None and len(y) != len(formulas):
        return f"PyTorch gives {len(y)} maps"
    for formula, dims in zip(formulas, y or (), strict=False):
        if formula is not None and eval(formula, {}, {"n": n}) != dims[axis + 2]:
            return f"the output is told to be {formula}, PyTorch gives {dims}"
    return ""
