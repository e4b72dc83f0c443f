"""What modules are read as, node by node: functions and their numbers, tables of parameters, axes, names of outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc

torch.set_num_threads(1)
Run = Callable[[Any, Tensor], Any]


class Module(nn.Module):
    """A function of itself and the input, with parameters, buffers and layers."""

    def __init__(self, run: Run, **held: Any) -> None:
        super().__init__()
        self.run = run
        for name, value in held.items():
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def table(*dims: int) -> nn.Parameter:
    return nn.Parameter(torch.rand(*dims) + 0.5)


def read_as(run: Run, dims: tuple[int, ...], held: dict[str, Any]) -> str:
    """Each node: its layer, and what it reads where that is not the node before."""
    found = rfcalc.from_torch(Module(run, **held), dims)
    told, before = [], "input"
    for node in found.network.nodes:
        read = "" if node.inputs == (before,) else f"({', '.join(node.inputs)})"
        told.append(f"{node.name}: {node.layer}{read}")
        before = node.name
    told += [f"not read: {unknown.why}" for unknown in found.unknown]
    return "; ".join(told)


def unshuffled(m: Any, x: Tensor) -> Tensor:
    """A shuffle of pixels, undone by hand."""
    y = F.pixel_shuffle(x, 2).reshape(1, 1, 4, 2, 4, 2)
    return y.permute(0, 1, 3, 5, 2, 4).reshape(1, 4, 4, 4)


def written_at(write: Callable[[Tensor], Any]) -> Run:
    """A copy of the input that is written to."""

    def run(_: Any, x: Tensor) -> Tensor:
        y = x.clone()
        write(y)
        return y

    return run


Case = tuple[Run, tuple[int, ...], dict[str, Any]]
READ: list[Case] = [
    (lambda m, x: F.hardtanh(x, -2, 3), (2, 8), {}),
    (lambda m, x: F.hardtanh(x, 0, 6), (2, 8), {}),
    (lambda m, x: x.clamp(-2, 3), (2, 8), {}),
    (lambda m, x: x.clamp(0, 6), (2, 8), {}),
    (lambda m, x: x.clamp(-1, 1), (2, 8), {}),
    (lambda m, x: x.clamp(min=3), (2, 8), {}),
    (lambda m, x: x.clamp(max=3), (2, 8), {}),
    (lambda m, x: x / 4, (2, 8), {}),
    (lambda m, x: x / m.t, (2, 8), {"t": torch.tensor(4.0)}),
    (lambda m, x: m.t / x, (2, 8), {"t": torch.tensor(4.0)}),
    (lambda m, x: torch.true_divide(x, 4), (2, 8), {}),
    (lambda m, x: torch.floor_divide(x, 4), (2, 8), {}),
    (lambda m, x: torch.remainder(x, 4), (2, 8), {}),
    (lambda m, x: torch.div(x, 2, rounding_mode="floor"), (2, 8), {}),
    (lambda m, x: 4 / x, (2, 8), {}),
    (lambda m, x: torch.add(x, 3, alpha=2), (2, 8), {}),
    (lambda m, x: torch.sub(x, 3, alpha=2), (2, 8), {}),
    (lambda m, x: torch.sub(x, 3), (2, 8), {}),
    (lambda m, x: 3 - x, (2, 8), {}),
    (lambda m, x: torch.add(m.t, x), (2, 8), {"t": torch.tensor(4.0)}),
    (lambda m, x: x * m.w, (2, 8), {"w": table(2, 1)}),
    (lambda m, x: x * m.w, (2, 8), {"w": table(2, 8)}),
    (lambda m, x: x * m.w, (2, 8), {"w": table(1, 8)}),
    (lambda m, x: x * m.w, (2, 8), {"w": table(1)}),
    (lambda m, x: m.c(x) * m.w + x * m.w, (2, 8), {"w": table(2, 1), "c": nn.Conv1d(2, 2, 1)}),
    (lambda m, x: F.conv1d(x, m.w, groups=2) * m.w[:, 0], (2, 8), {"w": table(2, 1, 1)}),
    (lambda m, x: F.batch_norm(x, m.r, m.r, m.f), (2, 8), {"r": torch.ones(2), "f": torch.ones(2)}),
    (lambda m, x: F.batch_norm(x, m.r, m.r, m.w), (2, 8), {"r": torch.ones(2), "w": table(2)}),
    (lambda m, x: F.layer_norm(x, (8,), m.f, m.f), (2, 8), {"f": torch.ones(8)}),
    (lambda m, x: F.layer_norm(x, (2, 8), m.f, m.f), (2, 8), {"f": torch.ones(2, 8)}),
    (lambda m, x: F.rms_norm(x, (8,), m.f), (2, 8), {"f": torch.ones(8)}),
    (lambda m, x: F.rms_norm(x, (8,), m.w), (2, 8), {"w": table(8)}),
    (lambda m, x: F.group_norm(x, 2, m.f), (4, 8), {"f": torch.ones(4)}),
    (lambda m, x: F.group_norm(x[0], 2, m.w), (3, 4, 8), {"w": table(4)}),
    (lambda m, x: F.group_norm(x[0], 4, m.w), (3, 4, 8), {"w": table(4)}),
    (lambda m, x: F.group_norm(x[0], 2, m.w), (1, 4, 8), {"w": table(4)}),
    (lambda m, x: F.instance_norm(x[0]), (3, 4, 8), {}),
    (lambda m, x: F.instance_norm(x[0]), (1, 4, 8), {}),
    (lambda m, x: x.unfold(2, 3, 3), (2, 8), {}),
    (lambda m, x: x.unfold(1, 2, 1), (3, 8), {}),
    (lambda m, x: x[0].unfold(1, 3, 2), (2, 8), {}),
    (lambda m, x: x.unfold(0, 1, 1), (2, 8), {}),
    (lambda m, x: torch.roll(x, (2, -2), (2, 2)), (2, 8), {}),
    (lambda m, x: torch.roll(x, 3, 2), (2, 8), {}),
    (lambda m, x: torch.roll(x, 1, 1), (2, 8), {}),
    (lambda m, x: torch.roll(x, 1, 0), (2, 8), {}),
    (lambda m, x: x[:, [1, 0]], (2, 8), {}),
    (lambda m, x: x[..., 0 : 0 + 8][..., -8:], (2, 8), {}),
    (lambda m, x: x[..., :-1], (2, 8), {}),
    (lambda m, x: F.interpolate(x, scale_factor=2), (2, 8), {}),
    (lambda m, x: F.interpolate(x, size=12), (2, 8), {}),
    (lambda m, x: F.interpolate(x, size=16), (2, 8), {}),
    (lambda m, x: F.interpolate(x, size=16, mode="linear", align_corners=True), (2, 8), {}),
    (lambda m, x: torch.gather(x, 2, torch.tensor([[[2, 0, 2]]])), (2, 8), {}),
    (lambda m, x: torch.gather(x, 2, torch.tensor([[[2, 0, 2], [2, 0, 2]]])), (2, 8), {}),
    (lambda m, x: torch.einsum("bcl,cd->bdl", x, m.w), (2, 8), {"w": table(2, 3)}),
    (lambda m, x: torch.einsum("bcl,cd->ldb", x, m.w), (2, 8), {"w": table(2, 3)}),
    (lambda m, x: torch.einsum("bcl,bcm->blm", x, x), (2, 8), {}),
    (lambda m, x: x.transpose(1, 2) @ m.w, (2, 8), {"w": table(2)}),
    (lambda m, x: m.w @ x, (2, 8), {"w": table(2)}),
    (lambda m, x: m.w @ x, (2, 8), {"w": table(3, 2)}),
    (lambda m, x: m.f @ x, (2, 8), {"f": torch.rand(3, 2)}),
    (lambda m, x: x @ m.w, (2, 8), {"w": table(8, 3)}),
    (lambda m, x: m.w @ m.v @ x, (2, 8), {"w": table(3, 2), "v": table(2, 2)}),
    (lambda m, x: x[0] @ x[0].t(), (2, 8), {}),
    (lambda m, x: torch.cat([x[..., :1], x, x[..., -1:]], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x[..., 1:2], x, x[..., -2:-1]], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x[..., -1:], x, x[..., :1]], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x[..., :1].expand(-1, -1, 2), x], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x.new_zeros(1, 2, 3), x], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x, x[..., :1], x[..., :1]], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x, x[..., :3]], -1), (2, 8), {}),
    (lambda m, x: F.pad(x, (0, 0, 1, 1)), (2, 8), {}),
    (lambda m, x: F.pad(x, (1, 2), mode="reflect"), (2, 8), {}),
    (lambda m, x: x.reshape(1, 2, 4, 2).transpose(2, 3).reshape(1, 2, 8), (2, 8), {}),
    (lambda m, x: x.reshape(1, 2, 4, 2).permute(0, 1, 3, 2).reshape(1, 4, 4), (2, 8), {}),
    (lambda m, x: x.reshape(1, 2, 2, 2, 2).permute(0, 1, 3, 2, 4).reshape(1, 2, 4, 2), (2, 4, 2), {}),
    (lambda m, x: F.pixel_unshuffle(x, 2).reshape(1, 8, 2, 2), (2, 4, 4), {}),
    (lambda m, x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2), (2, 4, 4), {}),
    (lambda m, x: x.flatten(1).softmax(-1), (2, 8), {}),
    (lambda m, x: m.l(x.flatten(1)), (2, 8), {"l": nn.Linear(16, 3)}),
    (lambda m, x: x.reshape(1, 1, 2, 1, 8).squeeze(3).squeeze(1), (2, 8), {}),
    (lambda m, x: [x.relu(), {"a": x.tanh(), "b": (x.sigmoid(), x)}], (2, 8), {}),
    (lambda m, x: m.l(x)[0], (5, 4), {"l": nn.LSTM(4, 3, 2, batch_first=True)}),
    (lambda m, x: m.l(x)[0], (5, 4), {"l": nn.GRU(4, 3, 2, bidirectional=True, batch_first=True)}),
    (lambda m, x: m.l(x)[0], (5, 4), {"l": nn.RNN(4, 3, batch_first=True)}),
    (lambda m, x: m.l(x.transpose(0, 1))[0], (5, 4), {"l": nn.GRU(4, 3)}),
    (lambda m, x: x[:, m.f], (3, 8), {"f": torch.tensor([True, False, True])}),
    (lambda m, x: x.masked_fill(m.f, 0), (2, 8), {"f": torch.tensor([True, False] * 4)}),
    (lambda m, x: x.repeat_interleave(torch.tensor([1, 2, 3, 1, 1, 1, 1, 1]), 2), (2, 8), {}),
    (lambda m, x: x.repeat_interleave(torch.tensor([2]), 2), (2, 8), {}),
    (lambda m, x: x.squeeze(1), (1, 4, 8), {}),
    (unshuffled, (4, 4, 4), {}),
    (lambda m, x: torch.cat([x], 1), (2, 8), {}),
    (written_at(lambda y: y[..., 8:].mul_(2)), (2, 8), {}),
    (written_at(lambda y: y[..., 8:].copy_(y[..., :0])), (2, 8), {}),
    (written_at(lambda y: y[..., 8:].fill_(1)), (2, 8), {}),
    (written_at(lambda y: y.__setitem__((..., torch.arange(0)), 0)), (2, 8), {}),
    (lambda m, x: torch.cat([x[..., 8:], x, x[..., :0].relu()], -1), (2, 8), {}),
    (lambda m, x: x.split([8, 0], 2)[0] + x.tensor_split([8], 2)[0], (2, 8), {}),
    (lambda m, x: F.group_norm(x.transpose(0, 1), 1), (2, 8), {}),
    (lambda m, x: x[:, m.i.to(torch.int64)], (2, 8), {"i": torch.tensor([1, 0, 1], dtype=torch.int32)}),
    (lambda m, x: x[:, m.i.clamp(0, 1).long()], (2, 8), {"i": torch.tensor([5, -3, 1])}),
    (lambda m, x: torch.cat([x[..., -8:0], x], -1), (2, 8), {}),
    (lambda m, x: x.reshape(1, 2, 2, 4).reshape(1, 16), (2, 8), {}),
    (lambda m, x: m.g.reshape(1, 2, 1) * x + torch.arange(8)[None], (2, 8), {"g": table(2)}),
    (lambda m, x: (x @ x.transpose(1, 2) + m.f).softmax(-1), (2, 8), {"f": torch.tensor([[0, -1e4], [0, 0]])}),
    (lambda m, x: torch.matmul(x, m.f), (2, 8), {"f": torch.rand(1, 8, 3)}),
    (lambda m, x: torch.matmul(x[:, None], m.f), (2, 8), {"f": torch.rand(3, 1, 8, 3)}),
    (lambda m, x: x.to(m.t), (2, 8), {"t": torch.ones(1, dtype=torch.float64)}),
    (lambda m, x: m.t.to(x) * x, (2, 8), {"t": torch.tensor([[1.0], [2.0]], dtype=torch.float64)}),
    (lambda m, x: x.transpose(0, 1).unfold(0, 2, 2), (2, 8), {}),
    (lambda m, x: x.transpose(0, 1).unfold(0, 2, 1).relu(), (3, 8), {}),
    (lambda m, x: x.transpose(1, 2).unfold(1, 3, 1), (3, 8), {}),
    (lambda m, x: F.group_norm(x.transpose(0, 1), 1), (4, 8), {}),
    (lambda m, x: F.group_norm(x[:, 0].transpose(0, 1), 1), (1, 4, 8), {}),
    (lambda m, x: F.group_norm(x[0], 2), (1, 4, 8), {}),
    (lambda m, x: x[[0]], (2, 8), {}),
    (lambda m, x: x[np.array([0])][:, np.array([1, 0])], (2, 8), {}),
    (lambda m, x: x[..., np.int64(3)], (2, 8), {}),
    (lambda m, x: x[..., -20:3], (2, 8), {}),
    (lambda m, x: x[..., -3:-1], (2, 8), {}),
    (lambda m, x: x[..., 1:], (2, 8), {}),
    (lambda m, x: torch.cat([x[..., :0], x, x[..., :1]], -1), (2, 8), {}),
    (lambda m, x: torch.narrow(x, 2, 2, 3), (2, 8), {}),
    (lambda m, x: F.interpolate(x, scale_factor=0.5), (2, 8), {}),
    (lambda m, x: F.interpolate(x, scale_factor=0.5), (2, 7), {}),
    (lambda m, x: F.interpolate(x, scale_factor=1.5, mode="linear", recompute_scale_factor=True), (2, 7), {}),
    (lambda m, x: x.reshape(1, 4, 4).relu().reshape(1, 2, 2, 4).permute(0, 1, 3, 2).reshape(1, 2, 8), (2, 8), {}),
    (lambda m, x: m.l(x.permute(0, 2, 1)).permute(0, 2, 1), (2, 8), {"l": nn.Linear(2, 2)}),
    (lambda m, x: m.l(x.reshape(1, 4, 4)).softmax(1).reshape(1, 2, 8), (2, 8), {"l": nn.Linear(4, 4)}),
    (lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True), (2, 8), {}),
    (lambda m, x: m.a(*[x.transpose(1, 2)] * 3)[0], (4, 8), {"a": nn.MultiheadAttention(4, 2, batch_first=True)}),
    (lambda m, x: x.new_zeros(1, 2, 8) + x, (2, 8), {}),
    (lambda m, x: torch.zeros(2, 1) + x, (2, 8), {}),
    (lambda m, x: x + torch.linspace(0, 1, 8), (2, 8), {}),
    (lambda m, x: x * torch.rand(8), (2, 8), {}),
    (lambda m, x: F.dropout(x, 0.5, training=True), (2, 8), {}),
    (lambda m, x: x.masked_fill(torch.ones(8, 8).tril()[3] == 0, -1e9).softmax(-1), (2, 8), {}),
    (lambda m, x: torch.where(m.f, x, torch.zeros(())), (2, 8), {"f": torch.tensor([True, False] * 4)}),
    (lambda m, x: torch.where(x > 0, x, 0.1 * x), (2, 8), {}),
    (lambda m, x: (x @ x.transpose(1, 2) + m.f).softmax(-1) @ x, (2, 8), {"f": torch.tensor([[0, -1e9], [0, 0]])}),
    (lambda m, x: x.cumsum(-1), (2, 8), {}),
    (lambda m, x: x.sort(-1)[0], (2, 8), {}),
    (lambda m, x: x.flip(-1), (2, 8), {}),
    (lambda m, x: x.amax((1, 2)), (2, 8), {}),
    (lambda m, x: x.mean(2, keepdim=True), (2, 8), {}),
    (lambda m, x: x.max(2)[0], (2, 8), {}),
    (lambda m, x: x.std(1), (2, 8), {}),
    (lambda m, x: F.normalize(x, dim=1), (2, 8), {}),
    (lambda m, x: F.unfold(x, 3, padding=1), (2, 4, 4), {}),
    (lambda m, x: F.fold(F.unfold(x, 2, stride=2), (4, 4), 2, stride=2), (2, 4, 4), {}),
    (lambda m, x: torch.stack([x, x.relu()], 1).sum(1), (2, 8), {}),
    (lambda m, x: torch.chunk(x, 2, 1)[1], (4, 8), {}),
    (lambda m, x: x.unbind(1)[1], (4, 8), {}),
    (lambda m, x: torch.meshgrid(torch.arange(8.0), torch.arange(2.0), indexing="ij")[0].t() + x, (2, 8), {}),
    (lambda m, x: x.expand(-1, 3, -1), (1, 8), {}),
    (lambda m, x: torch.cat([torch.cat([x[..., 2:3], x[..., 1:2]], -1), x], -1), (2, 8), {}),
    (lambda m, x: torch.cat([x[:, :1], x], 1), (2, 8), {}),
    (lambda m, x: torch.cat([x.new_ones(1, 2, 3), x], -1), (2, 8), {}),
    (lambda m, x: torch.cat([m.f[:, :, 1:], x, m.f], -1), (2, 8), {"f": torch.zeros(1, 2, 3)}),
    (lambda m, x: torch.cat([x[..., 3:4], x, x[..., -1:]], -1), (2, 8), {}),
    (lambda m, x: torch.roll(x, (2, 1), (2, 3)), (2, 8, 8), {}),
    (lambda m, x: torch.roll(x, (2, -2, 1), (2, 2, 3)), (2, 8, 8), {}),
    (lambda m, x: x.reshape(1, 2, 4, 2).permute(0, 2, 1, 3).reshape(1, 4, 4), (2, 8), {}),
    (lambda m, x: x.permute(0, 2, 3, 1).reshape(1, 6, 2).permute(0, 2, 1).reshape(1, 2, 2, 3), (2, 2, 3), {}),
    (lambda m, x: torch.matmul(x, m.w), (8,), {"w": table(8)}),
    (lambda m, x: torch.matmul(m.w.t(), x[..., None]), (8,), {"w": table(8, 3)}),
    (lambda m, x: torch.matmul(x, x.transpose(1, 2)), (2, 8), {}),
    (lambda m, x: torch.matmul(x[:, None], x.transpose(1, 2)[:, None]), (2, 8), {}),
    (lambda m, x: torch.matmul(x[0], x[0].t()), (2, 8), {}),
    (lambda m, x: torch.matmul(x.unsqueeze(0), m.w), (2, 8), {"w": table(5, 1, 8, 3)}),
    (lambda m, x: torch.einsum("bcl,bcm,bcn->blmn", x, x, x), (2, 4), {}),
    (lambda m, x: torch.einsum("bcl->bl", x), (2, 4), {}),
    (lambda m, x: torch.einsum("bcl->blc", x), (2, 4), {}),
    (lambda m, x: torch.einsum("bcl->b", x), (2, 4), {}),
    (lambda m, x: torch.einsum("bcl,dc->bdl", x, m.w), (2, 4), {"w": table(3, 2)}),
    (lambda m, x: torch.einsum("bcl,bcl->bc", x, x.relu()), (2, 4), {}),
    (lambda m, x: m.l(x)[1][0], (5, 4), {"l": nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True)}),
    (lambda m, x: m.l(x)[0], (5, 4), {"l": nn.LSTM(4, 6, 2, batch_first=True, proj_size=3)}),
    (
        lambda m, x: m.l(m.c(x).transpose(1, 2))[0],
        (4, 5),
        {"l": nn.LSTM(4, 3, batch_first=True), "c": nn.Conv1d(4, 4, 3)},
    ),
    (lambda m, x: m.u(x.relu()), (2, 8), {"u": nn.Upsample(scale_factor=1.5)}),
    (lambda m, x: F.adaptive_max_pool1d(x, 3), (2, 8), {}),
    (lambda m, x: F.interpolate(x[:, None], size=(2, 16)), (2, 8), {}),
    (lambda m, x: F.interpolate(x[:, None], size=(3, 16), mode="bilinear"), (2, 8), {}),
    (lambda m, x: x.new_tensor([1.0, 2.0])[:, None] * x, (2, 8), {}),
    (lambda m, x: x[:, torch.tensor([1, 0])], (2, 8), {}),
    (lambda m, x: x[:, :, [3]], (2, 8), {}),
    (lambda m, x: torch.gather(x, 1, torch.zeros(1, 1, 5, dtype=torch.long)), (2, 8), {}),
    (lambda m, x: torch.take_along_dim(x, torch.tensor([[[1], [0]]]), 1), (2, 8), {}),
]


FAULTS: list[tuple[Run, dict[str, Any], str]] = [
    (lambda m, x: m.n(x), {"n": nn.BatchNorm1d(5)}, "it takes 5 channels and gets 4"),
    (lambda m, x: F.instance_norm(x, m.r, m.r, use_input_stats=False), {"r": torch.ones(3)}, "running_mean"),
    (lambda m, x: F.batch_norm(x, m.r, m.r, m.s), {"r": torch.ones(4), "s": torch.ones(2)}, "its weight has 2 values"),
    (lambda m, x: F.conv1d(x, m.w, m.b), {"w": table(3, 4, 3), "b": table(5)}, "its bias has 5 values"),
    (lambda m, x: F.conv_transpose1d(x, m.w, m.b), {"w": table(4, 3, 3), "b": table(5)}, "its bias has 5 values"),
    (lambda m, x: F.conv_transpose1d(x, m.w), {"w": table(5, 3, 3)}, "takes 5 channels"),
    (lambda m, x: x[:, [0, 4]], {}, "position 4, which is not there"),
    (lambda m, x: x[:, [0, -5]], {}, "position -5, which is not there"),
    (lambda m, x: x[:, :, torch.tensor([8])], {}, "axis 2 of its tensor (axis 0 is the batch) has 8 positions"),
    (lambda m, x: x[m.f, :, torch.tensor([8])], {"f": torch.tensor([True])}, "axis 2 of its tensor"),
    (lambda m, x: x.index_select(1, torch.tensor([4])), {}, "position 4"),
    (lambda m, x: x.index_select(1, torch.tensor([-1])), {}, "position -1"),
    (lambda m, x: x.gather(1, torch.full((1, 1, 8), 4)), {}, "position 4"),
    (lambda m, x: x.scatter(1, torch.full((1, 1, 8), 4), 1.0), {}, "position 4"),
    (lambda m, x: x.index_add(1, torch.tensor([4]), x[:, :1]), {}, "position 4"),
    (lambda m, x: x.take(torch.tensor([32])), {}, "laid out flat, has 32 positions"),
]


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_what_would_not_run_is_refused(number: int) -> None:
    """PyTorch's kernels refuse these, and its tensors without data do not."""
    run, held, words = FAULTS[number]
    module = Module(run, **held).eval()
    with pytest.raises((RuntimeError, IndexError)):
        module(torch.rand(1, 4, 8))
    with pytest.raises(rfcalc.RfcalcError) as refused:
        rfcalc.from_torch(module, (4, 8))
    assert words in str(refused.value)


def test_every_tensor_that_is_returned_is_an_output() -> None:
    module = Module(lambda m, x: {"a": x.relu(), "b": (x.tanh(), x), "c": [{"d": x.sigmoid()}]})
    found = rfcalc.from_torch(module, (2, 8))
    made = {n.name: n.layer for n in found.network.nodes}
    assert [str(made[name]) for name in found.network.outputs] == [
        "Activation('relu')", "Activation('tanh')", "Identity()", "Activation('sigmoid')",
    ]  # fmt: skip


def test_one_shape_is_of_the_only_input() -> None:
    class Named(nn.Module):
        def forward(self, image: Tensor, other: Tensor | None = None) -> Tensor:
            return image.relu()

    assert rfcalc.from_torch(Named(), {"input": (2, 8)}).complete
    with pytest.raises(rfcalc.RfcalcError, match="no batch axis"):
        rfcalc.from_torch(Named(), torch.rand(8))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_dropout_between_recurrent_layers(layers: int) -> None:
    module = nn.LSTM(4, 3, layers, batch_first=True, dropout=0.5 if layers > 1 else 0.0)
    found = rfcalc.from_torch(Module(lambda m, x: m.l(x)[0], l=module), (5, 4), training=True)
    assert [n.layer.kind for n in found.network.nodes] == ["recurrent", "dropout"] * (layers - 1) + ["recurrent"]


def counted_on(m: Any, x: Tensor) -> Tensor:
    at, found = torch.zeros(1, dtype=torch.long), []
    for _ in range(x.shape[2]):
        found.append(x.index_select(2, at))
        at += 1  # behind the last position at the end
    return torch.cat(found, 2)


def filled_later(m: Any, x: Tensor) -> Tensor:
    at = torch.empty(3, dtype=torch.long).fill_(10**6)
    at.copy_(x[0, 0, :3].argsort())
    return x.index_select(2, at)


@pytest.mark.parametrize("run", [counted_on, filled_later])
def test_positions_that_were_others_when_they_were_read_are_not_refused(run: Run) -> None:
    """Memory is looked at after the run, and what was written to it since says nothing."""
    Module(run)(torch.rand(1, 2, 4))
    rfcalc.from_torch(Module(run), (2, 4))


class Grouped(nn.Module):
    """Flexible attention whose queries have more heads than its keys."""

    def forward(self, x: Tensor) -> Tensor:
        from torch.nn.attention.flex_attention import flex_attention

        q = x.transpose(1, 2).reshape(1, -1, 4, 2).transpose(1, 2)
        return flex_attention(q, q[:, :2], q[:, 2:], enable_gqa=True)  # type: ignore[return-value]


def test_attention_whose_keys_have_fewer_heads() -> None:
    read = rfcalc.from_torch(Grouped(), (8, 6))
    assert read.complete
    assert [n.layer for n in read.network.nodes if n.layer.kind == "attention_product"]


def test_what_to_do_where_it_does_not_run() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    with pytest.raises(rfcalc.RfcalcError) as refused:
        rfcalc.from_torch(module, (3, 9, 9))
    assert refused.value.advice is not None and "it runs on 3x8x8" in str(refused.value.advice())
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))
    with pytest.raises(rfcalc.RfcalcError, match="read it in evaluation mode"):
        rfcalc.from_torch(pooled, (3, 9, 9), training=True)
    with pytest.raises(rfcalc.RfcalcError, match=r"did you mean 100x4\?"):
        rfcalc.from_torch(Module(lambda m, x: m.l(x)[0], l=nn.GRU(4, 3, batch_first=True)), (4, 8, 8))


def test_positions_from_the_end_are_there() -> None:
    for run in (lambda m, x: x[:, [-4, 3]], lambda m, x: x.take(torch.tensor([-32, 31]))):
        Module(run)(torch.rand(1, 4, 8))
        rfcalc.from_torch(Module(run), (4, 8))


def test_read_as(golden: Callable[[str, str], None]) -> None:
    golden("read_as.txt", "\n".join(f"{number:3} {read_as(*case)}" for number, case in enumerate(READ)))
