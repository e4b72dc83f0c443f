"""Modules that PyTorch does not have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Scale(nn.Module):
    """A learned factor for each channel, and a learned offset; `axes` axes follow the channels."""

    def __init__(self, channels: int, axes: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, *[1] * axes))
        self.bias = nn.Parameter(torch.zeros(channels, *[1] * axes)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.weight * x
        return x if self.bias is None else x + self.bias


class RBF(nn.Module):
    """Euclidean radial basis units: y_j = Σ_i (x_i − w_ij)²; the centres are ±1 bitmaps unless they are trained."""

    def __init__(self, features: int, units: int, trainable: bool = False) -> None:
        super().__init__()
        centres = torch.randint(0, 2, (units, features)) * 2.0 - 1.0
        if trainable:
            self.centres = nn.Parameter(centres)
        else:
            self.register_buffer("centres", centres)

    def forward(self, x: Tensor) -> Tensor:
        return ((x.unsqueeze(-2) - self.centres) ** 2).sum(-1)


class Gather(nn.Module):
    """Listed positions of an axis, in their order."""

    positions: Tensor

    def __init__(self, axis: int, positions: Sequence[int]) -> None:
        super().__init__()
        self.axis = axis
        # they are values that it cannot do without, wherever weights are made
        self.register_buffer("positions", torch.tensor(positions, device="cpu"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x[(slice(None),) * self.axis + (self.positions,)]

    def extra_repr(self) -> str:
        return f"axis={self.axis}, {len(self.positions)} positions"


class Flip(nn.Module):
    """All positions of an axis, from the last to the first."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class IndexSum(nn.Module):
    """Sums of listed positions of an axis."""

    positions: Tensor

    def __init__(self, axis: int, rows: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.axis = axis
        most = max(1, *map(len, rows))
        # -1 is a position of zeros that is put behind the last
        listed = [[*row, *[-1] * (most - len(row))] for row in rows]
        self.register_buffer("positions", torch.tensor(listed, device="cpu"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(self.axis, -1)
        x = torch.cat([x, torch.zeros_like(x[..., :1])], -1)
        return x[..., self.positions].sum(-1).movedim(-1, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}, {len(self.positions)} positions"


def ruled(x: Tensor, axis: int, rows: Sequence[Sequence[int]], by: int) -> Tensor:
    """Unit u of an axis is the sum of positions by·(u // P) + t, t in rows[u % P] of P rows; outside stand zeros."""
    first, last = min(t for row in rows for t in row), max(t for row in rows for t in row)
    x = x.movedim(axis, -1)
    turns = (x.shape[-1] - 1 - min(first, 0)) // by + 1
    before, after = max(0, -first), max(0, (turns - 1) * by + last + 1 - x.shape[-1])
    x = F.pad(x, (before, after))
    if all(len(row) == 1 for row in rows) and [row[0] for row in rows] == list(range(first, last + 1)):
        return (
            x.narrow(-1, first + before, x.shape[-1] - first - before)
            .unfold(-1, len(rows), by)
            .narrow(-2, 0, turns)
            .flatten(-2)
            .movedim(-1, axis)
        )
    made = []
    for row in rows:
        parts = [x.narrow(-1, t + before, (turns - 1) * by + 1)[..., ::by] for t in row]
        made.append(sum(parts[1:], parts[0]) if parts else torch.zeros_like(x[..., :turns]))
    return torch.stack(made, -1).flatten(-2).movedim(-1, axis)


class StochasticDepth(nn.Module):
    """In training, drops all of an item of the batch with probability p and scales the others up (Huang 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p) if self.p < 1 else kept)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class PartialConv(nn.Module):
    """A convolution in which each output map sees some input maps only (LeNet-5's C3): no weights but those in use.

    Output maps that see equally many input maps are computed together, as a grouped convolution. The weights stand in
    the order of the table: for each output map its input maps in ascending order.
    """

    def __init__(
        self,
        channels: int,
        table: Sequence[Sequence[int]],
        kernel: Sequence[int],
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.table = table
        self.stride = stride
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(sum(map(len, table)), *kernel))
        self.bias = nn.Parameter(torch.zeros(len(table))) if bias else None
        bound = (channels * math.prod(kernel)) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        starts = [sum(map(len, table[:row])) for row in range(len(table))]
        self.rows = {size: [i for i, r in enumerate(table) if len(r) == size] for size in sorted(set(map(len, table)))}
        for size, rows in self.rows.items():
            maps = torch.tensor([channel for i in rows for channel in table[i]], dtype=torch.long)
            places = torch.tensor([starts[i] + j for i in rows for j in range(size)], dtype=torch.long)
            self.register_buffer(f"maps_{size}", maps, persistent=False)
            self.register_buffer(f"places_{size}", places, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
        found: dict[int, Tensor] = {}
        for size, rows in self.rows.items():
            if size == 0:  # nothing is connected: zeros, of the size that the others have
                y = x.new_zeros(len(x), len(rows), *self._sizes(x))
            else:
                kernels = self.weight.index_select(0, self.get_buffer(f"places_{size}"))
                kernels = kernels.reshape(len(rows), size, *self.weight.shape[1:])
                maps = x.index_select(1, self.get_buffer(f"maps_{size}"))
                y = convolve(maps, kernels, None, self.stride, 0, self.dilation, len(rows))
            found.update(zip(rows, y.unbind(1), strict=True))
        y = torch.stack([found[i] for i in range(len(self.table))], dim=1)
        return y if self.bias is None else y + self.bias.reshape(-1, *[1] * (x.dim() - 2))

    def _sizes(self, x: Tensor) -> list[int]:
        steps, spread = ([v] * (x.dim() - 2) if isinstance(v, int) else v for v in (self.stride, self.dilation))
        sizes = zip(x.shape[2:], self.weight.shape[1:], steps, spread, strict=True)
        return [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes]

    def extra_repr(self) -> str:
        return f"{len(self.table)} maps, {len(self.weight)} connections, kernel_size={tuple(self.weight.shape[1:])}"


class PointInstanceNorm(nn.InstanceNorm1d):
    """Instance normalisation of maps of any size; PyTorch's refuses maps of one position, of which nothing is left."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.instance_norm(x.flatten(2), self.weight, self.bias, None, None, True, 0.0, self.eps, False)
        return y.reshape(x.shape)


class AlwaysBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation that uses the batch's statistics in evaluation too."""

    def train(self, mode: bool = True) -> AlwaysBatchNorm1d:
        return super().train(True)


class AlwaysBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that uses the batch's statistics in evaluation too."""

    def train(self, mode: bool = True) -> AlwaysBatchNorm2d:
        return super().train(True)


class AlwaysBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation that uses the batch's statistics in evaluation too."""

    def train(self, mode: bool = True) -> AlwaysBatchNorm3d:
        return super().train(True)


class PartialBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation with γ alone, or β alone; `always`: with the batch's statistics in evaluation too."""

    def __init__(
        self, channels: int, without: str, always: bool = False, eps: float = 1e-5, track_running_stats: bool = True
    ) -> None:
        super().__init__(channels, eps=eps, track_running_stats=track_running_stats)
        self.always = always
        self.register_parameter(without, None)

    def train(self, mode: bool = True) -> PartialBatchNorm1d:
        return super().train(mode or self.always)


class PartialBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with γ alone, or β alone; `always`: with the batch's statistics in evaluation too."""

    def __init__(
        self, channels: int, without: str, always: bool = False, eps: float = 1e-5, track_running_stats: bool = True
    ) -> None:
        super().__init__(channels, eps=eps, track_running_stats=track_running_stats)
        self.always = always
        self.register_parameter(without, None)

    def train(self, mode: bool = True) -> PartialBatchNorm2d:
        return super().train(mode or self.always)


class PartialBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation with γ alone, or β alone; `always`: with the batch's statistics in evaluation too."""

    def __init__(
        self, channels: int, without: str, always: bool = False, eps: float = 1e-5, track_running_stats: bool = True
    ) -> None:
        super().__init__(channels, eps=eps, track_running_stats=track_running_stats)
        self.always = always
        self.register_parameter(without, None)

    def train(self, mode: bool = True) -> PartialBatchNorm3d:
        return super().train(mode or self.always)


class PartialLayerNorm(nn.LayerNorm):
    """Layer normalisation with β alone."""

    def __init__(self, sizes: int | tuple[int, ...], eps: float = 1e-5) -> None:
        super().__init__(sizes, eps=eps)
        self.register_parameter("weight", None)


class PartialGroupNorm(nn.GroupNorm):
    """Group normalisation with γ alone, or β alone."""

    def __init__(self, groups: int, channels: int, without: str, eps: float = 1e-5) -> None:
        super().__init__(groups, channels, eps=eps)
        self.register_parameter(without, None)
