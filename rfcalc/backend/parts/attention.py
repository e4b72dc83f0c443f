"""Self-attention: over all positions, and in (shifted) windows for any number of axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class SelfAttention(nn.MultiheadAttention):
    """Multi-head self-attention over N × tokens × features, with its four projections."""

    def __init__(self, features: int, heads: int, bias: bool = True, out_bias: bool = True) -> None:
        super().__init__(features, heads, bias=bias, batch_first=True)
        if out_bias is not bias:
            self.out_proj = nn.modules.linear.NonDynamicallyQuantizableLinear(features, features, bias=out_bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x = x.transpose(0, 1)
        y, _ = F.multi_head_attention_forward(
            x,
            x,
            x,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            0.0,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            need_weights=False,
        )
        return y.transpose(0, 1)


def to_windows(x: Tensor, window: Sequence[int], shift: Sequence[int]) -> tuple[Tensor, list[int], list[int]]:
    """A map with the channels last, filled up to whole windows and rolled back by the shift, as (N·windows) × places
    × channels; with the filled-up sizes and the shifts in force (a window as large as the map is not shifted)."""
    sizes = x.shape[1:-1]
    fill = [-n % w for n, w in zip(sizes, window, strict=True)]
    x = F.pad(x, (0, 0, *[p for f in reversed(fill) for p in (0, f)]))
    full = [n + f for n, f in zip(sizes, fill, strict=True)]
    rolled = [0 if w >= n else s for n, w, s in zip(full, window, shift, strict=True)]
    if any(rolled):
        x = torch.roll(x, [-s for s in rolled], tuple(range(1, 1 + len(full))))
    cut = [size for n, w in zip(full, window, strict=True) for size in (n // w, w)]
    order = [*range(1, 1 + len(cut), 2), *range(2, 2 + len(cut), 2)]
    x = x.reshape(x.shape[0], *cut, x.shape[-1]).permute(0, *order, 1 + len(cut))
    return x.reshape(-1, math.prod(window), x.shape[-1]), full, rolled


def from_windows(
    x: Tensor, window: Sequence[int], full: Sequence[int], rolled: Sequence[int], sizes: Sequence[int]
) -> Tensor:
    """The reverse of `to_windows`, for a map of these sizes."""
    counts = [n // w for n, w in zip(full, window, strict=True)]
    d = len(counts)
    x = x.reshape(-1, *counts, *window, x.shape[-1])
    x = x.permute(0, *[axis for i in range(d) for axis in (1 + i, 1 + d + i)], 1 + 2 * d)
    x = x.reshape(x.shape[0], *full, x.shape[-1])
    if any(rolled):
        x = torch.roll(x, list(rolled), tuple(range(1, 1 + d)))
    for axis, n in enumerate(sizes, 1):
        x = x.narrow(axis, 0, n)
    return x.contiguous()


def kept_apart(x: Tensor, window: Sequence[int], full: Sequence[int], rolled: Sequence[int]) -> Tensor:
    """windows × places × places: −∞ where the roll brought two places together that do not belong together, else 0."""
    regions = x.new_zeros(1, *full, 1)
    for axis, (w, s) in enumerate(zip(window, rolled, strict=True), 1):
        if s:
            n = full[axis - 1]
            ids = torch.tensor(
                [float(u >= n - w) + float(u >= n - s) for u in range(n)], dtype=x.dtype, device=x.device
            )
            regions = regions * 3 + ids.reshape(-1, *[1] * (len(full) + 1 - axis))
    ids, _, _ = to_windows(regions, window, [0] * len(full))
    ids = ids.squeeze(-1)
    apart = ids.unsqueeze(1) != ids.unsqueeze(2)
    return torch.zeros_like(apart, dtype=x.dtype).masked_fill(apart, -math.inf)


class WindowAttention(nn.Module):
    """Self-attention inside windows, which may be shifted (Swin Transformer); channels last, any number of axes.

    With `cosine` hidden units it is Swin Transformer V2's, as torchvision has it: its keys have no bias in effect.
    """

    relative_position_index: Tensor
    relative_coords_table: Tensor

    def __init__(
        self,
        features: int,
        heads: int,
        window: Sequence[int],
        shift: Sequence[int],
        masked: bool = True,
        relative: bool = True,
        bias: bool = True,
        out_bias: bool = True,
        cosine: int = 0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.cosine = cosine
        self.window = tuple(window)
        self.shift = tuple(shift)
        self.masked = masked
        self.relative = relative
        self.qkv = nn.Linear(features, 3 * features, bias=bias)
        self.proj = nn.Linear(features, features, bias=out_bias)
        if cosine:
            self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        if cosine and relative:
            self.cpb_mlp = nn.Sequential(
                nn.Linear(len(self.window), cosine), nn.ReLU(inplace=True), nn.Linear(cosine, heads, bias=False)
            )
            offset = [8 * torch.arange(1.0 - w, w) / max(1, w - 1) for w in window]
            table = torch.stack(torch.meshgrid(*offset, indexing="ij"), -1).unsqueeze(0)
            self.register_buffer("relative_coords_table", torch.sign(table) * torch.log2(table.abs() + 1.0) / 3.0)
        elif relative:
            offsets = math.prod(2 * w - 1 for w in window)
            self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets, heads))
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        if relative:
            places = list(itertools.product(*map(range, window)))
            index = []
            for a in places:
                for b in places:
                    at = 0
                    for i, w in enumerate(window):
                        at = at * (2 * w - 1) + a[i] - b[i] + w - 1
                    index.append(at)
            self.register_buffer("relative_position_index", torch.tensor(index))

    def forward(self, x: Tensor) -> Tensor:
        sizes = x.shape[1:-1]
        x, full, rolled = to_windows(x, self.window, self.shift)
        n, c = x.shape[1:]
        bias: Tensor | None = self.qkv.bias
        if self.cosine and bias is not None:
            bias = bias.clone()
            bias[c : 2 * c].zero_()
        qkv = F.linear(x, self.qkv.weight, bias).reshape(-1, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        if self.cosine:
            attention = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
            attention = attention * torch.clamp(self.logit_scale, max=math.log(100.0)).exp()
        else:
            attention = (q * (c // self.heads) ** -0.5).matmul(k.transpose(-2, -1))
        if self.relative:
            attention = attention + self.biases(n)
        if self.masked and any(rolled):
            mask = kept_apart(x, self.window, full, rolled)
            attention = attention.reshape(-1, len(mask), self.heads, n, n) + mask.unsqueeze(1).unsqueeze(0)
            attention = attention.reshape(-1, self.heads, n, n)
        attention = F.softmax(attention, dim=-1)
        x = attention.matmul(v).transpose(1, 2).reshape(-1, n, c)
        return from_windows(self.proj(x), self.window, full, rolled, sizes)

    def biases(self, n: int) -> Tensor:
        """1 × heads × places × places: what is added for each pair of places."""
        table = self.cpb_mlp(self.relative_coords_table) if self.cosine else self.relative_position_bias_table
        pairs: Tensor = table.reshape(-1, self.heads)[self.relative_position_index]
        pairs = pairs.reshape(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        return 16 * torch.sigmoid(pairs) if self.cosine else pairs

    def extra_repr(self) -> str:
        return f"heads={self.heads}, window={self.window}, shift={self.shift}"


def window_mean(x: Tensor, window: Sequence[int], shift: Sequence[int], masked: bool = True) -> Tensor:
    """The mean over what `WindowAttention` would attend to."""
    sizes = x.shape[1:-1]
    x, full, rolled = to_windows(x, window, shift)
    n = x.shape[1]
    weights = x.new_zeros(1, n, n)
    if masked and any(rolled):
        weights = kept_apart(x, window, full, rolled)
    weights = weights.softmax(-1)
    mixed = weights.unsqueeze(0).matmul(x.reshape(-1, len(weights), n, x.shape[-1])).flatten(0, 1)
    return from_windows(mixed, window, full, rolled, sizes)


def by_offset(table: Tensor, first: int, queries: int, keys: int, query: int = 0, key: int = 0) -> Tensor:
    """heads × queries × keys: the bias of each pair by its difference query − key, counted from `query` and `key` on.

    `table` (heads × differences) holds it from the difference `first` on; beyond its ends it goes on in a straight
    line, as steep as its last (or first) half.
    """
    size = table.shape[1]
    place = torch.arange(query, query + queries, device=table.device)[:, None] - first
    place = place - torch.arange(key, key + keys, device=table.device)
    inside = place.clamp(0, size - 1)
    bias = table[:, inside]
    if size > 1:
        half = size // 2
        beyond = place - inside
        up = (table[:, -1] - table[:, -1 - half]) / half
        down = (table[:, half] - table[:, 0]) / half
        slope = torch.where(beyond > 0, up[:, None, None], down[:, None, None])
        bias = torch.where(beyond == 0, bias, bias + beyond * slope)
    return bias
