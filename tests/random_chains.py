"""Random chains of what PyTorch code does with a map of channels and positions: moves, windows, masks, in-place writes,
sums by index, attention, products; each step a function of a tensor (batch, channels, positions)."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Step = Callable[[Tensor], Tensor]
MOST = 200  # values of a map


def positions(x: Tensor) -> Tensor:
    return torch.arange(x.shape[2])


def square(x: Tensor) -> Tensor:
    return torch.ones(x.shape[2], x.shape[2]).to(x)


def even(axis: int, step: Step) -> Step:
    """The step where an axis has pairs, else nothing."""
    return lambda x: step(x) if x.shape[axis] % 2 == 0 else x


def longer(axis: int, than: int, step: Step) -> Step:
    return lambda x: step(x) if x.shape[axis] > than else x


def _swapped(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


def _windowed(x: Tensor) -> Tensor:
    y = x.reshape(x.shape[0], x.shape[1], -1, 2).permute(0, 2, 3, 1)
    return F.scaled_dot_product_attention(y, y, y).permute(0, 3, 1, 2).flatten(2)


def _attended(x: Tensor) -> Tensor:
    y = _swapped(x)
    return _swapped(F.scaled_dot_product_attention(y, y, y, is_causal=True))


def _by_scores(x: Tensor) -> Tensor:
    scores = (_swapped(x) @ x).masked_fill(square(x).triu(1).bool(), -torch.inf)
    return scores.softmax(-1) @ _swapped(x)


def _halves(axis: int) -> Step:
    def step(x: Tensor) -> Tensor:
        a, b = x.chunk(2, axis)
        return a + b.roll(1, 2) if axis == 1 else a * b

    return step


# --- writes in place --------------------------------------------------------------------------------------------


def written(write: Callable[[Tensor, Tensor], object]) -> Step:
    """A copy of the map that is written to."""

    def step(x: Tensor) -> Tensor:
        y = x.clone()
        write(y, x)
        return y

    return step


def _shifted_in(y: Tensor, x: Tensor) -> None:
    y[..., 1:] = y[..., 1:].clone() + x[..., :-1]


def _twice(y: Tensor, x: Tensor) -> None:
    y[..., ::2].mul_(2)
    y[:, :1].add_(x[:, :1].roll(1, 2))


def _even_to_zero(y: Tensor, x: Tensor) -> None:
    y[..., positions(x) % 2 == 0] = 0


def _nothing_to_zero(y: Tensor, x: Tensor) -> None:
    y[:, :, torch.zeros(x.shape[2], dtype=torch.bool)] = 0


def _turned_in(y: Tensor, x: Tensor) -> None:
    flags = positions(x) > 0
    y[..., flags] = x[..., 1:].flip(-1).reshape(y[..., flags].shape)


def _every_second(y: Tensor, x: Tensor) -> None:
    y[..., torch.arange(0, x.shape[2], 2)] = x[..., ::2].flip(-1)


def _last(y: Tensor, x: Tensor) -> None:
    y[..., -1] = x[..., 0]


def _first_channel(y: Tensor, x: Tensor) -> None:
    y[:, 0] = y[:, -1]


def _flat(y: Tensor, x: Tensor) -> None:
    y.view(-1)[::2].mul_(0.5)


def _swapped_rows(y: Tensor, x: Tensor) -> None:
    v = y.transpose(1, 2)
    v[:, 0] = v[:, -1].clone()


def _half_of_channels(y: Tensor, x: Tensor) -> None:
    half = max(1, x.shape[1] // 2)  # parts of `chunk` may not be written to where a gradient is wanted
    a = y[:, :half]
    a += y[:, -half:].roll(1, 2)


def _between(y: Tensor, x: Tensor) -> None:
    odd = y[..., 1::2]
    odd += y[..., ::2][..., : odd.shape[2]]


def _beyond(y: Tensor, x: Tensor) -> None:
    y[..., x.shape[2] :] = 1


def _copied(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[..., 1:].copy_(x[..., :-1])
    y[..., :1].add_(x[..., -1:])
    return y


WRITES = (
    _shifted_in, _twice, _even_to_zero, _nothing_to_zero, _turned_in, _every_second, _last, _first_channel, _flat,
    _swapped_rows, _half_of_channels, _between, _beyond,
)  # fmt: skip


def _strided(x: Tensor) -> Tensor:
    x = x.contiguous()
    return x.as_strided((x.shape[0], x.shape[1], max(1, x.shape[2] - 1)), x.stride())


def _of_lists(x: Tensor) -> Tensor:
    return torch.stack([x[..., i : x.shape[2] - 2 + i] for i in range(3)], -1).mean(-1)


STEPS: dict[str, Step] = {
    "relu": lambda x: F.leaky_relu(x, 0.3),
    # moves
    "roll": lambda x: x.roll(2, 2),
    "roll of channels": lambda x: x.roll(1, 1),
    "flip": lambda x: x.flip(-1),
    "gather": lambda x: x.gather(2, positions(x).flip(0).expand_as(x)),
    "select": lambda x: x.index_select(2, torch.arange(0, x.shape[2], 2)),
    "take": longer(2, 2, lambda x: x[:, :, torch.tensor([0, 2, 1])]),
    "take several": longer(2, 1, lambda x: x[:, :, torch.tensor([[0, 1], [1, 0]])].flatten(2)),
    "all but one": longer(2, 2, lambda x: x[:, :, positions(x) != 1]),
    "narrow": longer(2, 1, lambda x: x.narrow(2, 1, x.shape[2] - 1)),
    "crop": longer(2, 1, lambda x: F.pad(x, (-1, 0))),
    "beside": lambda x: torch.cat([x, x.roll(1, 2)], 1),
    "odd before even": lambda x: torch.cat([x[..., 1::2], x[..., ::2]], -1),
    "nothing beside": lambda x: torch.cat([x[..., :0], x, x[..., x.shape[2] :]], -1),
    "split with nothing": lambda x: x.split([x.shape[2], 0], 2)[0],
    "interleave": lambda x: x.repeat_interleave(2, 2),
    "repeat": lambda x: x.repeat(1, 1, 2),
    "stack by turns": lambda x: torch.stack([x, x.flip(2)], 3).flatten(2),
    "unbind and turn": lambda x: torch.stack(x.unbind(2)[::-1], 2),
    "transpose": _swapped,
    "by letters": lambda x: torch.einsum("bcl->blc", x),
    "pairs of channels": even(1, lambda x: x.reshape(x.shape[0], -1, x.shape[2] * 2)),
    "channels of pairs": even(2, lambda x: x.reshape(x.shape[0], x.shape[1] * 2, -1)),
    "deal": even(2, lambda x: x.reshape(x.shape[0], x.shape[1], -1, 2).transpose(2, 3).flatten(2)),
    "deal back": even(2, lambda x: x.reshape(x.shape[0], x.shape[1], 2, -1).transpose(2, 3).flatten(2)),
    "unshuffle": even(2, lambda x: x.reshape(*x.shape[:2], -1, 2).permute(0, 3, 1, 2).flatten(1, 2)),
    "shuffle": even(1, lambda x: x.reshape(x.shape[0], 2, -1, x.shape[2]).permute(0, 2, 3, 1).flatten(2)),
    "pixel shuffle": lambda x: F.pixel_shuffle(x[:, :, None].expand(-1, -1, 2, -1).repeat(1, 4, 1, 1), 2).mean(2),
    "strided": longer(2, 1, _strided),
    # windows
    "windows": longer(2, 1, lambda x: x.unfold(2, 2, 1).mean(-1)),
    "windows, apart": longer(2, 2, lambda x: x.unfold(2, 3, 2) @ torch.tensor([0.5, 1.0, 0.7]).to(x)),
    "windows of channels": longer(1, 1, lambda x: x.unfold(1, 2, 1).movedim(-1, 1).flatten(1, 2)),
    "largest of windows": longer(2, 2, lambda x: x.unfold(2, 3, 1).max(-1)[0]),
    "windows by hand": longer(2, 2, _of_lists),
    "fold": even(1, lambda x: F.fold(x, (1, x.shape[2] + 1), (1, 2)).squeeze(2)),
    "average": longer(2, 1, lambda x: F.avg_pool1d(x, 2, 1)),
    "maximum": lambda x: F.max_pool1d(x, 3, 2, 1),
    "norm pool": longer(2, 1, lambda x: F.lp_pool1d(x, 2, 2)),
    "adaptive": lambda x: F.adaptive_avg_pool1d(x, 3),
    "pool of images": longer(2, 1, lambda x: F.avg_pool2d(x.unsqueeze(1), (1, 2)).squeeze(1)),
    "pool of channels": longer(1, 1, lambda x: F.max_pool2d(x.unsqueeze(1), (2, 1), (1, 1)).squeeze(1)),
    "kernel": longer(2, 1, lambda x: F.conv2d(x.unsqueeze(1), torch.ones(1, 1, 1, 2).to(x)).squeeze(1)),
    "kernel over channels": lambda x: F.conv2d(x.unsqueeze(1), torch.ones(1, 1, 2, 2).to(x), padding=1).squeeze(1),
    "depthwise": longer(2, 1, lambda x: F.conv1d(x, torch.ones(x.shape[1], 1, 2).to(x), groups=x.shape[1])),
    "transposed": lambda x: F.conv_transpose1d(x, torch.ones(x.shape[1], 2, 3).to(x), stride=2, padding=1),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "linear": lambda x: F.interpolate(x, size=5, mode="linear"),
    # masks
    "tril": lambda x: x @ square(x).tril(),
    "band": lambda x: x @ square(x).tril(1).triu(-1),
    "diagonal": lambda x: x @ torch.diag(square(x)[0])[:, : max(1, x.shape[2] - 1)],
    "by letters, triu": lambda x: torch.einsum("bcl,lm->bcm", x, square(x).triu()),
    "fill": lambda x: x.masked_fill(positions(x) % 2 == 0, 0),
    "fill a triangle": lambda x: x.masked_fill(torch.ones_like(x).tril().bool().logical_not(), 0),
    "where": lambda x: torch.where(positions(x) > 1, x, x.flip(-1)),
    "where or zero": lambda x: torch.where(positions(x) > 1, x, torch.zeros(())),
    "times a mask": lambda x: x * (positions(x) > 1),
    # by index
    "scatter": lambda x: torch.zeros_like(x).scatter(2, positions(x).flip(0).expand_as(x), x),
    "scatter and add": lambda x: torch.zeros_like(x).scatter_add(2, (positions(x) // 2).expand_as(x), x),
    "add by index": lambda x: x.index_add(2, torch.tensor([0]), x[..., -1:]),
    "slice scatter": lambda x: torch.slice_scatter(x, x[..., :1], 2, x.shape[2] - 1, x.shape[2]),
    "select scatter": lambda x: torch.select_scatter(x, x[..., 0], 2, x.shape[2] - 1),
    # joins, gates, norms, attention
    "gate": lambda x: x * x[..., :1].sigmoid(),
    "gate of channels": lambda x: x * x[:, :1].sigmoid(),
    "glu": even(1, lambda x: F.glu(x, 1)),
    "glu of positions": even(2, lambda x: F.glu(x, 2)),
    "halves": even(2, _halves(2)),
    "halves of channels": even(1, _halves(1)),
    "stack": lambda x: torch.stack([x, x.roll(1, 2)], 1).amax(1),
    "broadcast": lambda x: torch.stack(torch.broadcast_tensors(x[..., :1], x), 1).sum(1),  # type: ignore[no-untyped-call]
    "sum of channels": lambda x: torch.stack(x.unbind(1)).sum(0).unsqueeze(1),
    "plus the mean": lambda x: x + x.mean((1, 2), keepdim=True),
    "plus a number each": lambda x: x + positions(x),
    "largest of all": lambda x: x.logsumexp(2, keepdim=True) + x,
    "running sum": lambda x: x.cumsum(2),
    "running product of channels": lambda x: x.cumprod(1),
    "softmax": lambda x: x.softmax(2),
    "softmax of channels": longer(1, 1, lambda x: x.softmax(1)),  # of one channel it is constant
    "group norm": lambda x: F.group_norm(x, 1),
    "instance norm": longer(2, 1, F.instance_norm),
    "layer norm": lambda x: F.layer_norm(x, x.shape[2:]),
    "layer norm of channels": longer(1, 2, lambda x: _swapped(F.layer_norm(_swapped(x), x.shape[1:2]))),
    "outer": lambda x: torch.einsum("bcl,bdl->bcdl", x, x).flatten(1, 2)[:, :4],
    "product": lambda x: torch.bmm(_swapped(x), x),
    "Kronecker": lambda x: torch.kron(x[0], torch.ones(1, 2).to(x))[None],
    "distances": lambda x: torch.cdist(_swapped(x), 2 * _swapped(x)[:, :2] + 1),
    "each item": torch.vmap(lambda t: t.roll(1, -1) * 2),
    "causal attention": _attended,
    "attention in windows": even(2, _windowed),
    "attention by hand": _by_scores,
    "copied": _copied,
    **{write.__name__.strip("_").replace("_", " "): written(write) for write in WRITES},
}


class Chain(nn.Module):
    """One to four steps, convolutions and linear layers among them, that ran on a map of `shape`."""

    def __init__(self, seed: int, steps: dict[str, Step] = STEPS) -> None:
        super().__init__()
        chance = random.Random(seed)
        torch.manual_seed(seed)
        self.layers = nn.ModuleList()
        self.steps: list[tuple[str, int | Step]] = []
        self.shape = chance.choice([(2, 8), (4, 6), (1, 9), (2, 12), (3, 8)])
        x = torch.rand(1, *self.shape)
        for _ in range(chance.randrange(1, 5)):
            name, step = self._drawn(chance, x, steps)
            try:
                y = self.layers[step](x) if isinstance(step, int) else step(x)
            except (RuntimeError, ValueError):  # a map that is too short
                continue
            if y.dim() == 3 and 0 < y.numel() <= MOST:
                self.steps.append((name, step))
                x = y

    def _drawn(self, chance: random.Random, x: Tensor, steps: dict[str, Step]) -> tuple[str, int | Step]:
        kind = chance.random()
        if kind > 0.36:
            name = chance.choice(list(steps))
            return name, steps[name]
        if kind > 0.3:
            self.layers.append(nn.Linear(x.shape[2], chance.choice([2, 6])))
            return "linear layer", len(self.layers) - 1
        k = min(chance.choice([1, 2, 3]), x.shape[2])
        padding, stride = chance.choice([0, 0, k // 2]), chance.choice([1, 1, 2])
        self.layers.append(nn.Conv1d(x.shape[1], chance.choice([2, 4]), k, stride, padding))
        return "convolution", len(self.layers) - 1

    def forward(self, x: Tensor) -> Tensor:
        for _, step in self.steps:
            x = self.layers[step](x) if isinstance(step, int) else step(x)
        return x
