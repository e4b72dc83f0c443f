"""Masks that are fixed are structure: attention, matrices and kernels, against the gradient of the module itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pixels import Module, check
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc import AttentionProduct, MatMul, Shape, Softmax
from rfcalc.core.masks import Several, pattern
from rfcalc.notation import parse
from rfcalc.readers.builder.facts import masked, of_values
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk

torch.set_num_threads(1)
L = 8
TRIL = torch.ones(L, L, dtype=torch.bool).tril()
NEAR = (torch.arange(L)[:, None] - torch.arange(L)[None]).abs() < 3
Masking = Callable[[Tensor], Tensor]


def lows(value: float) -> Tensor:
    return torch.zeros(L, L, dtype=torch.float64).masked_fill(~TRIL, value)


def by_hand(masking: Masking, heads: int = 0) -> nn.Module:
    """Attention written out, over L positions of 8 channels."""

    def run(m: Any, x: Tensor) -> Tensor:
        t = x.transpose(1, 2)
        q, k, v = m.q(t), m.k(t), m.v(t)
        if heads:
            q, k, v = (a.view(1, L, heads, -1).transpose(1, 2) for a in (q, k, v))
        y = masking(q @ k.transpose(-2, -1) / 2) @ v
        y = y.transpose(1, 2).reshape(1, L, -1) if heads else y
        return m.o(y).transpose(1, 2)  # type: ignore[no-any-return]

    return Module(run, **{name: nn.Linear(8, 8) for name in "qkvo"})


def fused(**options: Any) -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        t = x.transpose(1, 2)
        q, k, v = (f(t)[:, None] for f in (m.q, m.k, m.v))
        return F.scaled_dot_product_attention(q, k, v, **options)[:, 0].transpose(1, 2)

    return Module(run, **{name: nn.Linear(8, 8) for name in "qkv"})


def put(scores: Tensor) -> Tensor:
    scores = scores.clone()
    scores[:, ~TRIL] = -torch.inf
    return scores.softmax(-1)


def grouped(m: Any, x: Tensor) -> Tensor:
    t = x.transpose(1, 2)
    q = m.q(t).view(1, L, 4, 2).transpose(1, 2)
    k, v = (f(t).view(1, L, 2, 2).transpose(1, 2) for f in (m.k, m.v))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return y.transpose(1, 2).flatten(2).transpose(1, 2)


class Heads(nn.Module):
    def __init__(self, first: bool, need: bool, mask: Tensor) -> None:
        super().__init__()
        self.attention, self.first, self.need = nn.MultiheadAttention(8, 2, batch_first=first), first, need
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        t = x.transpose(1, 2) if self.first else x.permute(2, 0, 1)
        y: Tensor = self.attention(t, t, t, attn_mask=self.mask, need_weights=self.need)[0]
        return y.transpose(1, 2) if self.first else y.permute(1, 2, 0)


class Encoder(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(L, dtype=x.dtype)
        y: Tensor = self.body(x.transpose(1, 2), mask=mask, is_causal=True)
        return y.transpose(1, 2)


INF = -torch.inf
CAUSAL: dict[str, nn.Module] = {
    "fill": by_hand(lambda s: s.masked_fill(~TRIL, INF).softmax(-1)),
    "fill, heads": by_hand(lambda s: s.masked_fill(~TRIL, INF).softmax(-1), 2),
    "fill with a number": by_hand(lambda s: s.masked_fill(~TRIL, -1e9).softmax(-1), 2),
    "added": by_hand(lambda s: (s + lows(INF)).softmax(-1), 2),
    "added number": by_hand(lambda s: (s + lows(-1e9)).softmax(-1)),
    "taken away": by_hand(lambda s: (s - 1e9 * (~TRIL)).softmax(-1), 2),
    "multiple taken away": by_hand(lambda s: torch.sub(s, (~TRIL).to(s.dtype), alpha=1e9).softmax(-1)),
    "multiple added": by_hand(lambda s: torch.add(s, (~TRIL).to(s.dtype), alpha=-1e9).softmax(-1)),
    "where": by_hand(lambda s: torch.where(TRIL, s, torch.tensor(INF, dtype=s.dtype)).softmax(-1)),
    "put": by_hand(put),
    "without softmax": by_hand(lambda s: s.tril() / 3),
    "multiplied": by_hand(lambda s: s * TRIL),
    "fused": fused(is_causal=True),
    "fused, flags": fused(attn_mask=TRIL),
    "fused, numbers": fused(attn_mask=lows(INF)),
    "fused, bias too": fused(attn_mask=lows(INF) + torch.arange(L)),
    "grouped queries": Module(grouped, q=nn.Linear(8, 8), k=nn.Linear(8, 4), v=nn.Linear(8, 4)),
    "encoder": Encoder(1),
    "deep encoder": Encoder(2),
    **{f"heads {f} {n}": Heads(f, n, ~TRIL) for f in (True, False) for n in (True, False)},
    "heads, numbers": Heads(True, False, lows(INF)),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_attention(name: str) -> None:
    found = check(CAUSAL[name].double(), f"8x{L}")
    assert (found.status, found.reach, found.lookahead) == ("shift_variant", ((None, 0),), (0,))


OTHER: dict[str, tuple[nn.Module, Any]] = {
    "near": (by_hand(lambda s: s.masked_fill(~NEAR, INF).softmax(-1), 2), ((2, 2),)),
    "near, fused": (fused(attn_mask=NEAR), ((2, 2),)),
    "behind": (by_hand(lambda s: s.masked_fill(~TRIL.T, INF).softmax(-1)), ((0, None),)),
    "after the softmax": (by_hand(lambda s: s.softmax(-1) * TRIL), (None,)),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_masks(name: str) -> None:
    module, reach = OTHER[name]
    assert check(module.double(), f"8x{L}").reach == reach


class Masked(nn.Conv2d):
    """PixelCNN's: what comes before in raster order, with or without the centre."""

    def __init__(self, centre: bool, style: str, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.style, (h, w) = style, self.kernel_size
        mask = torch.ones_like(self.weight)
        mask[:, :, h // 2, w // 2 + centre :] = 0
        mask[:, :, h // 2 + 1 :] = 0
        self.register_buffer("mask", mask)
        self.mask: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if self.style == "data":
            self.weight.data *= self.mask
            return super().forward(x)
        weight = self.weight * self.mask if self.style == "times" else self.weight.masked_fill(self.mask == 0, 0.0)
        return F.conv2d(x, weight, self.bias, padding=self.padding)


@pytest.mark.parametrize("style", ["data", "times", "fill"])
def test_masked_kernels(style: str) -> None:
    first, second = Masked(False, style, 2, 4, 5, padding=2), Masked(True, style, 4, 4, 3, padding=1)
    module = nn.Sequential(first, second).double()
    before = first.weight.clone()
    found = check(module, "2x9x9")
    assert (found.status, found.size, found.reach) == ("exact", (4, 7), ((3, 0), (3, 3)))
    assert rfcalc.from_torch(module, "2x9x9").params == sum(p.numel() for p in module.parameters())
    assert style == "data" or torch.equal(first.weight, before)


MATRICES: dict[str, tuple[Callable[[Any, Tensor], Tensor], Any]] = {
    "linear": (lambda m, x: F.linear(x, m.w * torch.ones(8, 8, dtype=x.dtype).tril()), ((None, 0),)),
    "second factor": (lambda m, x: x @ (m.w * torch.ones(8, 8, dtype=x.dtype).triu()), ((None, 0),)),
    "neighbours": (lambda m, x: x @ (torch.eye(8).roll(1, 1).triu() + torch.eye(8)).to(x.dtype), ((1, 0),)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_masked_matrices(name: str) -> None:
    run, reach = MATRICES[name]
    found = check(Module(run, w=nn.Parameter(torch.rand(8, 8))).double(), "4x8")
    assert found.reach == reach


def test_what_counts_as_a_mask_is_told() -> None:
    swin = by_hand(lambda s: (s + lows(-100.0)).softmax(-1)).double()
    read = rfcalc.from_torch(swin, f"8x{L}")
    assert any("count as a mask" in note for note in read.notes)
    assert rfcalc.analyze(read).rows[-1].receptive_field.reach == ((None, 0),)
    falls = -torch.arange(200.0)[:, None].sub(torch.arange(200.0)).abs()  # ALiBi's: no mask
    alibi = Module(lambda m, x: (x.transpose(1, 2) @ x + falls).softmax(-1) @ x.transpose(1, 2))
    assert rfcalc.analyze(rfcalc.from_torch(alibi, "4x200")).rows[-1].receptive_field.status == "global"


def test_layers_by_hand() -> None:
    """Both walks of units agree with the list of keys, layer by layer."""
    rows = [[0], [0, 2], [], [1, 3]]
    x = Shape(4, 8, channel=1)
    texts = {
        "{@input, @input, @input} attentionproduct keys0/0,2/-/1,3": {0: {0}, 1: {0, 1, 2}, 2: set(), 3: {1, 3}},
        "{@input, @input} matmul transpose > softmax keys0/0,2/-/1,3 > {identity, @input} matmul keys0/0,2/-/1,3": {
            0: {0},
            1: {0, 1, 2},
            2: set(),
            3: {1, 3},
        },
    }
    for text, told in texts.items():
        report = rfcalc.analyze(text, x)
        last = len(report.shapes) - 1
        found = regions(report, last)
        for unit, pixels in told.items():
            assert {p for (p,) in found.unit((unit,)).pixels()} == pixels, (text, unit)
            assert {p for (p,) in UnitWalk(report, last, (unit,)).region.pixels()} == pixels
    assert Softmax(mask=rows).mask == MatMul(mask=rows).mask == AttentionProduct(mask=rows).mask


class Heads(nn.Module):
    """Two heads, one that looks back and one that looks around itself; `only`: the head that is given, None: both."""

    def __init__(self, only: int | None) -> None:
        super().__init__()
        self.qkv, self.only = nn.Linear(8, 24), only
        self.register_buffer(
            "mask",
            torch.stack([torch.ones(6, 6).tril().bool(), (torch.arange(6)[:, None] - torch.arange(6)).abs() < 2]),
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(2, (2, 4)).transpose(1, 2) for t in self.qkv(x.transpose(1, 2)).chunk(3, 2))
        made = (q @ k.transpose(-1, -2)).masked_fill(~self.mask, -1e9).softmax(-1) @ v
        return made.transpose(1, 2).flatten(2).transpose(1, 2) if self.only is None else made[:, self.only].mT


def windows(m: Any, x: Tensor) -> Tensor:
    """Attention within windows of four positions, each with a mask of its own."""
    parts = x.view(1, 4, 3, 4).permute(0, 2, 3, 1)[0]
    mask = torch.ones(3, 4, 4)
    mask[0], mask[2] = mask[0].tril(), torch.eye(4)
    made = (parts @ parts.transpose(1, 2)).masked_fill(mask == 0, -1e9).softmax(-1) @ parts
    return made.permute(2, 0, 1).reshape(1, 4, 12)


@pytest.mark.parametrize("module", [Heads(None), Heads(0), Module(windows)], ids=["heads", "one head", "windows"])
def test_masks_that_differ(module: nn.Module) -> None:
    """Unit by unit exact; the summary of a single head says at most."""
    found = check(module, "4x12" if isinstance(module, Module) else "8x6")
    assert found.status in ("shift_variant", "bounded")


def both(m: Any, x: Tensor) -> Tensor:
    """Attention of two heads within three windows of four positions, each head of each window with its own mask."""
    parts = x.view(1, 2, 2, 3, 4).permute(0, 3, 1, 4, 2)[0]
    mask = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    for window in range(3):
        for head in range(2):
            for query in range(4):
                mask[window, head, query, : 1 + (query + window * head) % 3] = True
    made = (parts @ parts.transpose(2, 3)).masked_fill(~mask, -1e9).softmax(-1) @ parts
    return made.permute(1, 3, 0, 2).reshape(1, 4, 12)


def test_masks_that_differ_along_two_axes_are_bounds() -> None:
    """What each pixel moves, by gradients, lies in what is told, which is more, and the summary names the nodes."""
    module = Module(both).double()
    report = rfcalc.analyze(rfcalc.from_torch(module, "4x12"), "4x12")
    field = rfcalc.receptive_field(report, at=report.rows[-1].name)
    assert report.rows[-1].receptive_field.bounded  # the nodes of which units see at most what is told
    x = torch.randn(1, 4, 12, dtype=torch.float64, requires_grad=True)
    told = less = 0
    for unit in range(12):
        (grads,) = torch.autograd.grad(module(x)[0, :, unit].sum(), x)
        moved = {int(p) for p in grads[0].abs().sum(0).nonzero()}
        region = {p for (p,) in field.unit((unit,)).pixels()}
        assert moved <= region
        told, less = told + len(region), less + len(moved)
    assert less < told


def test_masks_that_differ_as_text() -> None:
    rows = (((0,), (0, 1)), ((0, 1), ()))
    for layer in (MatMul(mask=Several(0, rows)), AttentionProduct(mask=Several(1, rows))):
        assert parse(layer.notation(exact=True)).expr == layer
    with pytest.raises(rfcalc.RfcalcError, match="axis"):
        parse("matmul keys0/1//0/0:1")


def test_a_query_without_a_key_sees_nothing() -> None:
    q = Shape(3, 4, channel=1)
    layer = AttentionProduct(mask=[[], [0], [0, 2]])
    (reads,) = layer.reads((q, q, q), q)[0]
    assert reads[0][1].units == ((), (1,), (2,))


def test_a_rule_of_a_mask_gives_its_rows_again() -> None:
    """Random rules: their rows, cut off at both ends, show a rule that gives every row; a changed row shows none."""
    draw = random.Random(7)
    found = 0
    for _ in range(3000):
        period, keys = draw.randint(1, 4), draw.randint(24, 40)
        is_open = draw.random() < 0.3
        ends = [sorted((p + draw.randint(-4, 3), p + draw.randint(-3, 4))) for p in range(period)]
        rows = [
            [t for t in range(0 if is_open else first + at, last + at + 1) if 0 <= t < keys]
            for u in range(keys)
            for first, last in [ends[u % period]]
            for at in [u // period * period]
        ]
        rule = pattern(rows, keys)
        if rule is None:
            continue
        found += 1
        for u, row in enumerate(rows):
            taps = [t for t in rule.index.taps(u) if 0 <= t < keys]
            assert ([*range(taps[-1] + 1)] if rule.open else taps) == row, (rows, rule, u)
        broken = [*rows]
        middle = keys // 2
        broken[middle] = sorted({*rows[middle], next(t for t in range(keys - 1, -1, -1) if t not in rows[middle])})
        assert pattern(broken, keys) is None
    assert found > 1000


@pytest.mark.parametrize("high", [0.0, -60.0])
def test_two_values_are_a_mask_where_one_is_not_low(high: float) -> None:
    """Swin adds -100 and 0; of -100 and -60 both are low, and which of them a softmax leaves out is not known."""
    values = torch.tensor([[high, -100.0], [-100.0, high]])
    low = of_values(values).low
    assert (low.tolist() if low is not None else None) == ([[False, True], [True, False]] if high == 0 else None)


def test_windows_of_one_form_share_their_mask() -> None:
    """Each form is looked at once, however many windows have it."""
    rows = [[0, 1], [1, 0]]
    gone = torch.tensor([[[False, False], [False, False]], *[[[False, True], [True, False]]] * 9])
    mask, less = masked(gone)
    assert isinstance(mask, Several) and not less
    assert mask.masks == (((0, 1), (0, 1)), *[((0,), (1,))] * 9)
    assert len({id(one) for one in mask.masks}) == 2
    kept = MatMul(mask=Several(0, (rows, rows, [[0], [1]]))).mask  # type: ignore[arg-type]
    assert isinstance(kept, Several)
    assert kept.masks == (((0, 1), (0, 1)), ((0, 1), (0, 1)), ((0,), (1,)))
    assert kept.masks[0] is kept.masks[1]
