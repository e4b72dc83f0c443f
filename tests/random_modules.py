"""Random PyTorch modules, and the fields in which the readers of a module and of its files must agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfcalc.readers.imported import Imported
from rfcalc.report import Report
from rfcalc.report.field_report import FieldReport

# The fields that `told` gives, by name: what a module and its files must agree in.
FIELDS = (
    "complete",  # every operator was understood
    "output_shape",  # without the batch
    "params",  # parameters that are used
    "weight_layers",
    "macs",  # multiply-adds of convolutions, linear layers and matrix products
    "status",  # of the last layer's receptive field
    "size",
    "stride",
    "padding",
    "regions",  # the pixels that the first, the middle and the last unit see
)


class Step(nn.Module):
    """One operation: a function of the map and of modules that it holds."""

    def __init__(self, function: Callable[..., Tensor], *held: nn.Module) -> None:
        super().__init__()
        self.held = nn.ModuleList(held)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.held)


class Branch(nn.Module):
    """Two ways for one map, joined."""

    def __init__(self, left: nn.Module, right: nn.Module, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.left, self.right, self.join = left, right, join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.left(x), self.right(x))


def _shuffled(x: Tensor) -> Tensor:
    b, c, *space = x.shape
    return x.view(b, 2, c // 2, *space).transpose(1, 2).reshape(b, c, *space)


def _spread(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // 4, h * 2, w * 2)


def _packed(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, c * 4, h // 2, w // 2)


def _rows(x: Tensor, conv: nn.Module) -> Tensor:
    b, c, h, w = x.shape
    y = conv(x.permute(0, 2, 1, 3).reshape(b * h, c, w))
    return y.view(b, h, y.shape[1], y.shape[2]).permute(0, 2, 1, 3)


def _tokens(x: Tensor, linear: nn.Module, norm: nn.Module) -> Tensor:
    b, _, h, w = x.shape
    y = norm(linear(x.flatten(2).transpose(1, 2)))
    return y.transpose(1, 2).reshape(b, y.shape[2], h, w)


def _attention(x: Tensor, q: nn.Module, k: nn.Module, v: nn.Module) -> Tensor:
    b, c, h, w = x.shape
    one, two, three = (m(x).flatten(2) for m in (q, k, v))
    weights = (one.transpose(1, 2) @ two).softmax(-1)
    return (three @ weights.transpose(1, 2)).view(b, c, h, w)


def _gate(x: Tensor, down: nn.Module, up: nn.Module) -> Tensor:
    return x * up(down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


def _recurrent(x: Tensor, cell: nn.Module) -> Tensor:
    b, c, h, w = x.shape
    y = cell(x.permute(0, 2, 3, 1).reshape(b * h, w, c))[0]
    return y.reshape(b, h, w, y.shape[2]).permute(0, 3, 1, 2)


def _halves(x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return a * torch.sigmoid(b)


def _in_place(x: Tensor) -> Tensor:
    y = x * 2
    y += 1
    y.mul_(x)
    return y.clamp_(-1, 1)


def _written_over(x: Tensor) -> Tensor:
    if x.shape[2] < 3:  # nothing is written, of which the older exporter dies (a division by zero)
        raise ValueError
    y = x.clone()
    y[:, :, 1:-1] = x[:, :, 2:] * 2
    return y + x


def _written_apart(x: Tensor) -> Tensor:
    y = x * 3
    y[..., ::2] *= 0.5
    y[:, 0] = x[:, -1]
    return y


class Maker:
    """Draws operations that fit a map of so many channels and such a size."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rank = self.chance.choice((1, 2, 2, 2))
        self.channels = self.chance.choice((2, 4, 8))
        self.size = [self.chance.choice((8, 9, 12, 13)) for _ in range(self.rank)]

    def of(self, one: type[nn.Module], two: type[nn.Module]) -> Any:
        return one if self.rank == 1 else two

    def step(self) -> nn.Module:
        """An operation that was tried on a map of this size; the size afterwards is kept."""
        while True:
            made = self.chance.choice(OPERATIONS)(self)
            if made is None:
                continue
            x = torch.zeros(1, self.channels, *self.size, device="meta")
            try:
                with torch.no_grad():
                    y = made.to("meta").eval()(x)
            except (RuntimeError, ValueError):
                continue
            wrong = y.dim() != self.rank + 2 or min(y.shape) < 1 or y.shape[1] > 16 or max(y.shape[2:]) > 30
            if wrong:
                continue
            self.channels, self.size = int(y.shape[1]), [int(n) for n in y.shape[2:]]
            return made

    def conv(self) -> nn.Module:
        c, chance = self.channels, self.chance
        groups = chance.choice([1, 1, 1, c])
        out = chance.choice([n for n in (1, 2, 4, 8, 16) if n % groups == 0] or [groups])
        kernel = tuple(chance.choice((1, 2, 3, 5)) for _ in range(self.rank))
        return self.of(nn.Conv1d, nn.Conv2d)(  # type: ignore[no-any-return]
            c,
            out,
            kernel,
            stride=tuple(chance.choice((1, 1, 2, 3)) for _ in kernel),
            padding=tuple(chance.choice((0, 1, 2)) for _ in kernel),
            dilation=tuple(chance.choice((1, 1, 2)) for _ in kernel),
            groups=groups,
            bias=chance.random() < 0.6,
        )

    def transposed(self) -> nn.Module:
        stride = self.chance.choice((1, 2, 3))
        kernel = self.chance.choice((1, 2, 3, 4))
        extra = self.chance.choice(range(min(stride, 2)))
        more = {"stride": stride, "padding": self.chance.choice((0, 1)), "output_padding": extra}
        return self.of(nn.ConvTranspose1d, nn.ConvTranspose2d)(self.channels, 4, kernel, **more)  # type: ignore[no-any-return]

    def pool(self) -> nn.Module:
        kernel = self.chance.choice((2, 3))
        stride, padding = self.chance.choice((1, 2, 3)), self.chance.choice((0, 1))
        ceil = self.chance.random() < 0.5
        ceil &= padding == 0 and kernel >= stride  # else the old exporter writes sizes into the file that do not hold
        if self.chance.random() < 0.5:
            return self.of(nn.MaxPool1d, nn.MaxPool2d)(kernel, stride, padding, ceil_mode=ceil)  # type: ignore[no-any-return]
        counted = self.chance.random() < 0.5
        return self.of(nn.AvgPool1d, nn.AvgPool2d)(kernel, stride, padding, ceil, counted)  # type: ignore[no-any-return]

    def activation(self) -> nn.Module:
        kinds = (nn.ReLU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Hardswish, nn.Mish, nn.ELU, nn.PReLU)
        return self.chance.choice(kinds)()

    def norm(self) -> nn.Module:
        c = self.channels
        kinds: list[Callable[[], nn.Module]] = [
            lambda: self.of(nn.BatchNorm1d, nn.BatchNorm2d)(c),
            lambda: self.of(nn.InstanceNorm1d, nn.InstanceNorm2d)(c, affine=True),
            lambda: nn.GroupNorm(2 if c % 2 == 0 else 1, c),
        ]
        return self.chance.choice(kinds)()

    def padding(self) -> nn.Module:
        mode = self.chance.choice(("constant", "reflect", "replicate"))
        amounts = [self.chance.choice((0, 1, 2)) for _ in range(2 * self.rank)]
        return Step(lambda x: F.pad(x, amounts, mode=mode))

    def resized(self) -> nn.Module:
        mode = self.chance.choice(("nearest", "linear" if self.rank == 1 else "bilinear"))
        return nn.Upsample(scale_factor=2, mode=mode)

    def slices(self) -> nn.Module:
        start, stop, step = self.chance.choice((0, 1, 2)), self.chance.choice((0, 1)), self.chance.choice((1, 2))
        return Step(lambda x: x[..., start : x.shape[-1] - stop : step])

    def adaptive(self) -> nn.Module:
        out = self.chance.choice([n for n in (1, 2, 3, 4) if all(s % n == 0 for s in self.size)])
        return self.of(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)(out)  # type: ignore[no-any-return]

    def moved(self) -> nn.Module | None:
        if self.rank == 1:
            return Step(_shuffled)
        return self.chance.choice((Step(_shuffled), Step(_spread), Step(_packed), nn.PixelShuffle(2)))

    def rows(self) -> nn.Module | None:
        if self.rank == 1:
            return None
        padding = self.chance.choice((0, 1))
        return Step(_rows, nn.Conv1d(self.channels, 4, 3, padding=padding))

    def tokens(self) -> nn.Module | None:
        if self.rank == 1:
            return None
        return Step(_tokens, nn.Linear(self.channels, 8), nn.LayerNorm(8))

    def attended(self) -> nn.Module | None:
        if self.rank == 1:
            return None
        c = self.channels
        return Step(_attention, nn.Conv2d(c, 4, 1), nn.Conv2d(c, 4, 1), nn.Conv2d(c, c, 1))

    def gated(self) -> nn.Module | None:
        if self.rank == 1:
            return None
        return Step(_gate, nn.Conv2d(self.channels, 2, 1), nn.Conv2d(2, self.channels, 1))

    def walked(self) -> nn.Module | None:
        if self.rank == 1:
            return None
        cell = self.chance.choice((nn.LSTM, nn.GRU))
        return Step(_recurrent, cell(self.channels, 4, batch_first=True, bidirectional=self.chance.random() < 0.5))

    def branched(self) -> nn.Module | None:
        chance = self.chance
        k = chance.choice((1, 3, 5))
        kind = self.of(nn.Conv1d, nn.Conv2d)
        left = kind(self.channels, self.channels, k, padding=k // 2)
        right = chance.choice((nn.Identity(), kind(self.channels, self.channels, 3, padding=2, dilation=2)))
        joins: list[Callable[[Tensor, Tensor], Tensor]] = [
            lambda a, b: a + b,
            lambda a, b: a * b,
            lambda a, b: torch.cat([a, b], 1),
            torch.maximum,
            lambda a, b: a - b,
        ]
        return Branch(left, right, chance.choice(joins))

    def halves(self) -> nn.Module | None:
        return Step(_halves) if self.channels % 2 == 0 else None

    def written(self) -> nn.Module:
        return Step(self.chance.choice((_in_place, _in_place, _written_over, _written_apart)))


OPERATIONS: tuple[Callable[[Maker], nn.Module | None], ...] = (
    *[Maker.conv] * 4,
    Maker.transposed,
    *[Maker.pool] * 2,
    *[Maker.activation] * 2,
    Maker.norm,
    Maker.padding,
    Maker.resized,
    Maker.slices,
    Maker.adaptive,
    Maker.moved,
    Maker.rows,
    Maker.tokens,
    Maker.attended,
    Maker.gated,
    Maker.walked,
    *[Maker.branched] * 2,
    Maker.halves,
    Maker.written,
)


def drawn(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """A module of two to four operations in evaluation mode, with values that no exporter takes for equal or absent;
    its input's shape."""
    maker, length = Maker(seed), 2 + seed % 3
    shape = (maker.channels, *maker.size)
    module = nn.Sequential(*(maker.step() for _ in range(length))).to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5, generator=generator)
    return module, shape


def told(read: Imported) -> dict[str, Any]:
    """What a reader says, field by field."""
    report = Report(read.network)
    last = report.rows[-1]
    field = last.receptive_field
    spatial = FieldReport(report).shape
    return {
        "complete": read.complete,
        "output_shape": last.output_shape,
        "params": report.totals.params,
        "weight_layers": report.totals.weight_layers,
        "macs": report.totals.macs,
        "status": field.status,
        "size": field.size,
        "stride": _strides(field.stride, spatial),
        "padding": field.padding,
        "regions": _regions(report),
    }


def _strides(stride: tuple[Any, ...], spatial: tuple[int, ...]) -> tuple[Any, ...]:
    """The strides along axes of several units: a single one has no neighbours."""
    if prod(spatial) == 1:
        return ()
    if len(stride) != len(spatial):
        return stride
    return tuple(None if n == 1 else s for s, n in zip(stride, spatial, strict=True))


def _regions(report: Report) -> Any:
    field_report = FieldReport(report)
    if not field_report.shape or report.rows[-1].receptive_field.status == "unknown":
        return ()
    units = {tuple(n * k // 2 - (k == 2) for n in field_report.shape) for k in (0, 1, 2)}
    return {unit: sorted(field_report.unit(unit).pixels()) for unit in units}
