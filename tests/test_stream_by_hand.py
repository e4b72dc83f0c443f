"""Attention as people write it (products, a factor, a mask or a bias, a softmax, products) as a stream."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import rfcalc
from rfcalc import RfcalcError, to_stream

torch.set_num_threads(1)
HEADS, WIDTH = 2, 8
SLOPES = torch.tensor([0.5, 0.25])


def distances(n: int) -> Tensor:
    i = torch.arange(n)
    return i[:, None] - i


def seen(n: int, back: int | None) -> Tensor:
    d = distances(n)
    return (d >= 0) if back is None else (d >= 0) & (d <= back)


def low(q: Tensor, back: int | None) -> Tensor:
    n = q.shape[-2]
    return torch.zeros(n, n).to(q).masked_fill(~seen(n, back), -torch.inf)


class Attention(nn.Module):
    """Heads around a function of queries, keys and values (batch × heads × positions × features)."""

    def __init__(self, function: Any, back: int | None) -> None:
        super().__init__()
        self.function, self.back = function, back
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.table = nn.Embedding(16, HEADS)
        self.drop = nn.Dropout(0.2)
        self.register_buffer("tril", torch.tril(torch.ones(128, 128)).view(1, 1, 128, 128))

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        b, n, c = x.shape
        q, k, v = (t.view(b, n, HEADS, c // HEADS).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        made = self.function(self, q, k, v, self.back)
        return self.out(made.transpose(1, 2).reshape(b, n, c)).transpose(1, 2)


def filled(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    scores = (q @ k.transpose(-2, -1)) * (1 / sqrt(q.shape[-1]))
    return net.drop(scores.masked_fill(~seen(q.shape[-2], back), -torch.inf).softmax(-1)) @ v


def buffered(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    n = q.shape[-2]
    scores = torch.matmul(q, k.transpose(-2, -1)) / sqrt(q.shape[-1])
    scores = scores.masked_fill(net.tril[:, :, :n, :n] == 0, float("-inf"))
    return torch.matmul(functional.softmax(scores, dim=-1), v)


def added(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    return torch.softmax((q * 0.3) @ k.mT + low(q, back), -1) @ v


def where(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    scores = torch.where(seen(q.shape[-2], back), q @ k.mT, torch.tensor(-1e9).to(q))
    return scores.softmax(-1) @ v


def summed(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    scores = torch.einsum("bhid,bhjd->bhij", q, k) * 0.5 + low(q, back)
    return torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), v)


def in_batch(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    b, h, n, d = q.shape
    q, k, v = (t.reshape(b * h, n, d) for t in (q, k, v))
    scores = torch.bmm(q, k.transpose(1, 2)) / sqrt(d) + low(q, back)
    return torch.bmm(scores.softmax(-1), v).view(b, h, n, d)


def in_place(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    scores = q @ k.mT
    scores.mul_(0.4).masked_fill_(~seen(q.shape[-2], back), -1e10)
    return scores.softmax(-1) @ v


def sloped(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    bias = -distances(q.shape[-2]).abs() * SLOPES.to(q)[:, None, None] + low(q, back)
    return (q @ k.mT * 0.5 + bias).softmax(-1) @ v


def sloped_operator(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    bias = -distances(q.shape[-2]).abs() * SLOPES.to(q)[:, None, None] + low(q, back)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=0.3)


def learned(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    near = distances(q.shape[-2]).clamp(0, 7)  # beyond it all are alike, as in T5
    bias = net.table(near).permute(2, 0, 1)
    return (q @ k.mT + bias + low(q, back)).softmax(-1) @ v


def scaled(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    mask = seen(q.shape[-2], back)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.37)


def grouped(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    mask = seen(q.shape[-2], back)
    return functional.scaled_dot_product_attention(q, k[:, :1], v[:, :1], attn_mask=mask, enable_gqa=True)


def repeated(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    k, v = (t[:, :1].repeat_interleave(HEADS, 1) for t in (k, v))
    return filled(net, q, k, v, back)


def expanded(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    b, _, n, d = k.shape
    k, v = (t[:, :1, None].expand(b, 1, HEADS, n, d).reshape(b, HEADS, n, d) for t in (k, v))
    return filled(net, q, k, v, back)


FORMS = [filled, added, where, summed, in_batch, in_place, sloped, sloped_operator, learned, scaled, grouped]
FORMS += [repeated, expanded]


def module(function: Any, back: int | None, dtype: torch.dtype = torch.float64) -> Attention:
    torch.manual_seed(0)
    return Attention(function, back).to(dtype).eval()


def streamed(net: Any, x: Tensor, r: Random) -> Tensor:
    net.reset()
    ends = sorted({0, x.shape[-1], *(r.randint(1, x.shape[-1] - 1) for _ in range(r.randint(0, 6)))})
    parts = [net(x[..., a:b]) for a, b in pairwise(ends)]
    return torch.cat([*parts, net.flush()], -1)[..., net.latency :]


@pytest.mark.parametrize("back", [3, None])
@pytest.mark.parametrize("form", [*FORMS, buffered], ids=lambda f: f.__name__)
def test_as_people_write_it(form: Any, back: int | None) -> None:
    whole = module(form, back)
    plan = rfcalc.stream(whole, "8x24")
    back = None if form is buffered else back
    assert plan.possible, plan.blockers
    assert (plan.lookback, plan.lookahead, plan.latency) == (back, 0, 0)
    net = to_stream(whole, "8x24")
    assert (net.plan.growth is None) == (back is not None)
    for seed, length in enumerate((9, 24, 61)):
        x = torch.randn(2, WIDTH, length, dtype=torch.float64)
        with torch.no_grad():
            assert torch.allclose(streamed(net, x, Random(seed)), whole(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", [filled, sloped, grouped], ids=lambda f: f.__name__)
def test_in_single_precision(form: Any) -> None:
    whole = module(form, None, torch.float32)
    net = to_stream(whole, "8x24")
    x = torch.randn(1, WIDTH, 80)
    with torch.no_grad():
        assert torch.allclose(streamed(net, x, Random(0)), whole(x), rtol=0, atol=1e-5)


def test_a_bias_that_is_left_out_would_be_seen() -> None:
    net = to_stream(module(sloped, 3), "8x24")
    (path,) = [line.learned for line in net.lines if line.learned]
    net.get_parameter(path).data.zero_()
    x = torch.randn(1, WIDTH, 24, dtype=torch.float64)
    with torch.no_grad():
        assert not torch.allclose(streamed(net, x, Random(0)), module(sloped, 3)(x), rtol=0, atol=1e-6)


def test_the_written_stream_has_the_bias(tmp_path: Any) -> None:
    from runpy import run_path

    from rfcalc.backend.stream.source import to_source

    whole = module(sloped, None)
    net = to_stream(whole, "8x24")
    (tmp_path / "written.py").write_text(text := to_source(net))
    assert "import rfcalc" not in text and "from rfcalc" not in text
    made = run_path(str(tmp_path / "written.py"))[text.split("\nclass ")[-1].split("(")[0]]().double()
    made.load_state_dict(net.state_dict())
    x = torch.randn(1, WIDTH, 40, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(streamed(made, x, Random(0)), whole(x), rtol=0, atol=1e-12)


def capped(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    return (torch.tanh(q @ k.mT / 5) * 5 + low(q, back)).softmax(-1) @ v


def placed(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    bias = torch.arange(q.shape[-2]).to(q) * 0.1
    return (q @ k.mT + bias + low(q, back)).softmax(-1) @ v


def open_to_all(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    return (q @ k.mT).softmax(-1) @ v


def unnormalised(net: Attention, q: Tensor, k: Tensor, v: Tensor, back: int | None) -> Tensor:
    return ((q @ k.mT) * seen(q.shape[-2], back)) @ v


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (capped, "more than a factor and a bias"),
        (placed, "different biases"),
        (open_to_all, "attends to all others"),
        (unnormalised, "scaled_dot_product_attention"),
    ],
    ids=lambda f: f.__name__ if callable(f) else "",
)
def test_what_cannot_be_run_in_pieces_is_named_with_what_would_remove_it(form: Any, told: str) -> None:
    with pytest.raises(RfcalcError, match=told) as caught:
        to_stream(module(form, 3), "8x24")
    assert caught.value.fix
    plan = rfcalc.stream(module(form, 3), "8x24")  # the plan says the same
    assert not plan.possible
    assert all(blocker.fix for blocker in plan.blockers)


class Rotary(nn.Module):
    """Windowed attention whose queries and keys are turned by their places: cosines and sines are made inside, or come
    as further channels of the input."""

    def __init__(self, inside: bool) -> None:
        super().__init__()
        self.inside, self.qkv = inside, nn.Linear(WIDTH, 3 * WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x, half = x.transpose(1, 2), WIDTH // 2
        if self.inside:
            angles = torch.arange(x.shape[1]).to(x)[:, None] * 10.0 ** -(torch.arange(half) / half)
            cos, sin = angles.cos(), angles.sin()
        else:
            x, cos, sin = x.split([WIDTH, half, half], -1)

        def turned(u: Tensor) -> Tensor:
            a, b = u.chunk(2, -1)
            return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

        q, k, v = self.qkv(x).chunk(3, -1)
        mask = seen(x.shape[1], 3)
        return functional.scaled_dot_product_attention(turned(q), turned(k), v, attn_mask=mask).transpose(1, 2)


def test_the_advice_for_rotary_positions_helps() -> None:
    with pytest.raises(RfcalcError, match="tied to positions") as caught:
        to_stream(Rotary(inside=True).double(), f"{WIDTH}x24")
    assert "further channels of every position" in str(caught.value.fix)
    whole = Rotary(inside=False).double().eval()
    x = torch.randn(1, 2 * WIDTH, 61, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(streamed(to_stream(whole, f"{2 * WIDTH}x24"), x, Random(0)), whole(x), rtol=0, atol=1e-12)


def test_scores_without_numbers_are_a_blocker_of_the_plan_too() -> None:
    text = "permute1x0 > {{fc4, fc4 > permute1x0} matmul > tanh > softmax axis1, fc4} matmul causal > permute1x0"
    plan = rfcalc.stream(text, "8x6")
    assert not plan.possible
    with pytest.raises(RfcalcError, match="no stream exists"):
        to_stream(text, "8x6")
