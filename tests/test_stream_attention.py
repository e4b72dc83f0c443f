"""Attention with a causal mask, a window or chunks, and running sums, as streams: equal to the user's own module.

Softmax is a sum of numbers that are not whole, whose order PyTorch chooses: there 1e-12 in float64 is asked for. With
a stand-in of whole numbers in its place (the same keys, no exponentials), equality is exact.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random
from runpy import run_path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rfcalc import RfcalcError, to_stream
from rfcalc.backend.stream.source import to_source

torch.set_num_threads(1)


def mask(n: int, back: int | None, ahead: int = 0, chunk: int = 1) -> Tensor:
    """Which keys queries see: so many chunks back (None: all), so many ahead."""
    i = torch.arange(n) // chunk
    d = i[:, None] - i
    return (d >= -ahead) if back is None else (d >= -ahead) & (d <= back)


class Products(nn.Module):
    def __init__(self, rule: tuple[Any, ...], form: str = "flags", heads: int = 2, width: int = 8) -> None:
        super().__init__()
        self.rule, self.form, self.heads = rule, form, heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        if self.form == "causal":
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            seen = mask(n, *self.rule)
            given = seen if self.form == "flags" else torch.zeros(n, n).to(x).masked_fill(~seen, -torch.inf)
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=given)
        return y.transpose(1, 2).flatten(2)


class Heads(nn.Module):
    def __init__(self, rule: tuple[Any, ...]) -> None:
        super().__init__()
        self.rule, self.inner = rule, nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.inner(x, x, x, attn_mask=~mask(x.shape[1], *self.rule), need_weights=False)[0]
        return made


class Encoder(nn.Module):
    def __init__(self, count: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            seen = nn.Transformer.generate_square_subsequent_mask(x.shape[1]).to(x)
            x = layer(x, src_mask=seen, is_causal=True)
        return x


class Running(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1) + x.cummax(1)[0] - x.cummin(1)[0] * 2


class InTime(nn.Module):
    """Channels before time, convolutions around it."""

    def __init__(self, inner: nn.Module, around: bool) -> None:
        super().__init__()
        self.inner = inner
        self.before = nn.Conv1d(8, 8, 5, padding=2, bias=False) if around else nn.Identity()
        self.after = nn.Conv1d(8, 8, 3, padding=1, bias=False) if around else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.after(self.inner(self.before(x).transpose(1, 2)).transpose(1, 2))
        return made


CASES: dict[str, tuple[nn.Module, int | None, int, int]] = {  # module, look-back, look-ahead, block
    "is_causal": (Products((), "causal"), None, 0, 1),
    "causal": (Products((None,)), None, 0, 1),
    "window": (Products((3,)), 3, 0, 1),
    "both sides": (Products((4, 2), "numbers"), 4, 2, 1),
    "chunks": (Products((1, 0, 4)), 7, 3, 4),
    "chunks from the beginning": (Products((None, 0, 3), "numbers"), None, 2, 3),
    "heads": (Heads((2, 1)), 2, 1, 1),
    "causal heads": (Heads((None,)), None, 0, 1),
    "encoder": (Encoder(), None, 0, 1),
    "running": (Running(), None, 0, 1),
}


def streamed(net: Any, x: Tensor, r: Random) -> Tensor:
    """The output of random chunks without the latency."""
    size, at, parts = net.block["in"], 0, list[Tensor]()
    net.reset()
    while at < x.shape[-1]:
        count = min(size * r.randint(1, 6), x.shape[-1] - at)
        parts.append(net(x[..., at : at + count]))
        at += count
    return torch.cat([*parts, net.flush()], -1)[..., net.latency :]


def products(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
    """A stand-in of whole numbers for attention: the same keys, without exponentials."""
    n, m = q.shape[-2], k.shape[-2]
    seen = torch.ones(n, m, dtype=torch.bool).tril() if is_causal else attn_mask
    assert seen is not None
    if seen.dtype != torch.bool:
        seen = seen == 0
    return (((q @ k.transpose(-2, -1)) % 7 * seen) @ v) % 251


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_chunks_give_what_the_module_gives(name: str, around: bool) -> None:
    inner, back, ahead, block = CASES[name]
    torch.manual_seed(0)
    whole = InTime(inner, around).double().eval()
    net = to_stream(whole, "8x24")
    plan, more = net.plan, 3 if around else 0
    assert (plan.lookback, plan.lookahead) == (None if back is None else back + more, ahead + more)
    assert net.block == {"in": block, "out": block}
    for seed in range(6):
        r = Random(seed)
        x = torch.randn(2, 8, block * r.choice([1, 2, 5, 8, 21]), dtype=torch.float64)
        with torch.no_grad():
            expected, found = whole(x), streamed(net, x, r)
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("heads", "causal heads", "encoder")])
def test_with_whole_numbers_the_values_are_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, *_, block = CASES[name]
    r = torch.Generator().manual_seed(1)
    whole = InTime(inner, True).double().eval()
    for p in whole.parameters():
        p.data = torch.randint(-2, 3, p.shape, generator=r).double()
    net = to_stream(whole, "8x24")
    monkeypatch.setattr(functional, "scaled_dot_product_attention", products)
    for seed in range(8):
        chunks = Random(seed)
        x = torch.randint(-3, 4, (1, 8, block * chunks.randint(1, 15)), generator=r).double()
        with torch.no_grad():
            assert torch.equal(streamed(net, x, chunks), whole(x))
    if net.plan.growth is None and name == "window":  # a control: one key less
        line = next(i for i, at in enumerate(net.lines) if at.how == "attention")
        at = net.lines[line]
        reads = tuple(x._replace(first=x.first + 1, kernel=x.kernel - 1) if x.first else x for x in at.reads)
        net.lines = (*net.lines[:line], at._replace(reads=reads), *net.lines[line + 1 :])
        net.tapes.clear()
        with torch.no_grad():
            assert not torch.equal(streamed(net, x, chunks), whole(x))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CASES)
def test_a_thousand_chunkings(name: str) -> None:
    inner, *_, block = CASES[name]
    torch.manual_seed(3)
    whole = InTime(inner, True).double().eval()
    net = to_stream(whole, "8x24")
    x = torch.randn(1, 8, 12 * block, dtype=torch.float64)
    with torch.no_grad():
        expected = whole(x)
        for seed in range(1000):
            assert torch.allclose(streamed(net, x, Random(seed)), expected, rtol=0, atol=1e-12), seed


def test_the_state_is_as_large_as_announced() -> None:
    for name, (inner, *_, block) in CASES.items():
        whole = InTime(inner, True).double().eval()
        net = to_stream(whole, "8x24")
        growth = net.plan.growth["bytes"] if net.plan.growth else 0
        sizes = []
        net.reset()
        for _ in range(12):
            net(torch.randn(1, 8, block, dtype=torch.float64))
            sizes.append(net.held_bytes())
        assert [b - a for a, b in pairwise(sizes[7:])] == [growth] * 4, name
        if not growth and name != "running":
            assert sizes[-1] == net.state_bytes, name
        assert (net.plan.to_dict()["growth"] is None) == (not growth)


@pytest.mark.parametrize("name", ["is_causal", "chunks", "running"])
def test_the_written_stream_needs_nothing_of_ours(name: str, tmp_path: Path) -> None:
    whole = InTime(CASES[name][0], True).double().eval()
    net = to_stream(whole, "8x24")
    text = to_source(net)
    assert "import rfcalc" not in text
    assert "from rfcalc" not in text
    (tmp_path / "written.py").write_text(text)
    made = next(
        v for k, v in run_path(str(tmp_path / "written.py")).items() if k == text.split("class ")[-1].split("(")[0]
    )
    again = made().double()
    again.load_state_dict(net.state_dict())
    x = torch.randn(1, 8, 36, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(streamed(again, x, Random(0)), whole(x), rtol=0, atol=1e-12)


def test_a_mask_without_a_rule_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            i = torch.arange(x.shape[1])
            seen = (i[:, None] ** 2 + 3 * i) % 7 < 3
            return functional.scaled_dot_product_attention(
                x, x, x, attn_mask=seen | torch.eye(x.shape[1], dtype=torch.bool)
            )

    with pytest.raises(RfcalcError, match=r"no rule|tied to positions"):
        to_stream(InTime(Odd(), False).double(), "8x24")
    with pytest.raises(RfcalcError, match="all others"):
        to_stream(InTime(Products((23, 23)), False).double(), "8x24")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_causal_mask_is_known_at_any_length(n: int) -> None:
    whole = InTime(CASES["is_causal"][0], False).double().eval()
    x = torch.randn(1, 8, 9, dtype=torch.float64)
    with torch.no_grad():
        found = streamed(to_stream(whole, f"8x{n}"), x, Random(0))
        assert torch.allclose(found, whole(x), rtol=0, atol=1e-12)
