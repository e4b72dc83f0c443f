"""Modules read by running them on tensors without data: names, operators, sharing, honesty, messages."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pixels import check
from reading import counted, verdict
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode
from vision import models

import rfcalc
from rfcalc import Conv, Gather, RfcalcError, analyze, from_torch, receptive_field
from rfcalc.cli import run
from rfcalc.core.errors import ShapeError
from rfcalc.readers.torch import translate


class Of(nn.Module):
    """A module from a function, with the modules and parameters that it uses."""

    def __init__(self, function: Any, **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def conv(a: int, b: int, k: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, padding=k // 2, **options)


# --- names and structure ---------------------------------------------------------------------------------------


def test_names_are_module_paths_as_torch_fx_has_them() -> None:
    module = models().resnet18().eval()
    from torchvision.models.feature_extraction import get_graph_node_names

    read = from_torch(module)
    theirs = [n for n in get_graph_node_names(module)[1] if n != "x"]
    assert [n.name for n in read.network.nodes] == theirs
    report = analyze(read)
    assert report["layer3.0"].name == "layer3.0.relu_1"  # a block's name means its last node
    assert report["layer4"].output_shape == (512, 7, 7)
    assert list(read.network.stages) == ["layer1", "layer2", "layer3", "layer4", "avgpool … fc"]


def test_blocks_that_repeat_fold_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    from shown import View, render

    with torch.device("meta"):
        module = models().resnet50()
    table = render(analyze(from_torch(module)), "plain", View())
    assert "layer3.{1-5}.conv1" in table
    assert len(table.splitlines()) < 75


def of_layers(report: rfcalc.Report) -> list[tuple[Any, ...]]:
    """Shape, parameters, buffers, multiply-adds and receptive field of every layer with weights."""
    rows = [r for r in report if r.node.layer.weight_layers]
    return sorted((str(r.shape), r.params, r.buffers, r.macs, str(r.receptive_field)) for r in rows)


ZOO = ["resnet50", "vgg16-torchvision", "squeezenet-1.1", "mobilenet-v2", "densenet-121", "alexnet-torchvision"]


VISION = {"squeezenet-1.1": "squeezenet1_1", "mobilenet-v2": "mobilenet_v2", "densenet-121": "densenet121"}


@pytest.mark.parametrize("name", ZOO)
def test_the_zoos_networks_and_torchvisions_agree(name: str) -> None:
    """Totals, every layer with weights, receptive fields at the outputs, and the bytes kept for backward."""
    with torch.device("meta"):
        module = getattr(models(), VISION.get(name, name.removesuffix("-torchvision")))()
    ours, read = analyze(name), analyze(from_torch(module))
    assert of_layers(ours) == of_layers(read)
    for field in ("weights", "biases", "buffers", "macs", "saved_bytes"):
        assert getattr(ours.totals, field) == getattr(read.totals, field), field
    assert str(ours.outputs[0].receptive_field) == str(read.outputs[0].receptive_field)


# --- operators -------------------------------------------------------------------------------------------------


def attention(m: Any, x: Tensor) -> Tensor:
    b, n, c = x.shape
    q, k, v = m.qkv(x).reshape(b, n, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
    x = F.scaled_dot_product_attention(q, k, v)
    return m.out(x.transpose(1, 2).reshape(b, n, c))


def by_einsum(m: Any, x: Tensor) -> Tensor:
    b, n, c = x.shape
    q, k, v = m.qkv(x).chunk(3, dim=-1)
    q, k, v = (t.view(b, n, 4, c // 4) for t in (q, k, v))
    weights = (torch.einsum("bnhd,bmhd->bhnm", q, k) / 4).softmax(dim=-1)
    return m.out(torch.einsum("bhnm,bmhd->bnhd", weights, v).flatten(2))


def written_into(m: Any, x: Tensor) -> Tensor:
    y = m.a(x)
    out = torch.zeros_like(y)
    out[:, :, :4] = y[:, :, 4:8]
    out[:, :, 4:] = m.b(y)[:, :, 4:]
    return out


def shift(m: Any, x: Tensor) -> Tensor:
    x = m.a(x)
    left, right = x[:, :4, :, 1:], x[:, 4:, :, :-1]
    return torch.cat([F.pad(left, (0, 1)), F.pad(right, (1, 0))], 1)


def shuffled(m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return m.a(x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w))


def pixels(m: Any, x: Tensor) -> Tensor:
    b, _, h, w = x.shape
    y = m.a(x).view(b, 2, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, 2, 2 * h, 2 * w)
    return m.b(y)


def gate(m: Any, x: Tensor) -> Tensor:
    x = m.a(x)
    s = m.two(F.relu(m.one(x.mean((2, 3), keepdim=True))))
    return x * s.sigmoid()


def frames(m: Any, x: Tensor) -> Tensor:
    """Four frames in the channels, each through the same convolution."""
    b, c, h, w = x.shape
    y = F.max_pool2d(m.a(x.view(b * 4, c // 4, h, w)), 2)
    return y.view(b, -1, h // 2, w // 2)


def spread(m: Any, x: Tensor) -> Tensor:
    mean = x.mean(1)  # the channels are gone
    grey = (0.3 * x[:, 0] + 0.6 * x[:, 1] - x[:, 2]).unsqueeze(1)
    return m.a(torch.cat([grey, mean[:, None]], 1))


def patches(m: Any, x: Tensor) -> Tensor:
    """MobileViT: attention over the positions at the same place in all patches; channels and rows lie side by side
    for a moment, both ways."""
    x = m.a(x)
    b, c, h, w = x.shape
    rows, columns = h // 2, w // 3
    t = x.reshape(b * c * rows, 2, columns, 3).transpose(1, 2)
    t = t.reshape(b, c, rows * columns, 6).transpose(1, 3).reshape(b * 6, rows * columns, c)
    q, k, v = m.qkv(t).chunk(3, dim=-1)
    t = t + F.scaled_dot_product_attention(q, k, v)
    t = t.contiguous().view(b, 6, rows * columns, c)
    t = t.transpose(1, 3).reshape(b * c * rows, columns, 2, 3)
    return m.b(t.transpose(1, 2).reshape(b, c, h, w))


def heads_of_places(m: Any, x: Tensor) -> Tensor:
    """A head at a time over flattened positions, which are taken apart again: nothing moves."""
    b, _, h, w = x.shape
    t = m.a(x).reshape(b * 2, -1, h * w).transpose(-1, -2).reshape(b * 2, h, w, -1)
    return m.b(t.permute(0, 3, 1, 2).reshape(b, -1, h, w))


def repeated(m: Any, x: Tensor) -> Tensor:
    """Every row three times, every channel twice."""
    return m.b(m.a(x).repeat_interleave(3, dim=-2).repeat_interleave(2, 1))


def global_query(m: Any, x: Tensor) -> Tensor:
    """GCViT: one query of the whole image for each window, which attends inside."""
    b, c, h, w = x.shape
    q = F.adaptive_max_pool2d(m.a(x), (2, 3)).flatten(2).transpose(1, 2)
    t = x.view(b, c, h // 2, 2, w // 3, 3).permute(0, 2, 4, 3, 5, 1).reshape(-1, 6, c)
    k, v = m.kv(t).chunk(2, dim=-1)
    q = q.repeat_interleave(t.shape[0] // b, dim=0)
    t = (q @ k.transpose(1, 2)).softmax(-1) @ v
    return t.view(b, h // 2, w // 3, 2, 3, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)


def crnn(m: Any, x: Tensor) -> Tensor:
    """Columns of a picture as a sequence, time first, through two stacked bidirectional layers."""
    x = m.a(x).mean(2).permute(2, 0, 1)
    return m.b(m.rnn(x)[0]).transpose(0, 1)


def classified(m: Any, x: Tensor) -> Tensor:
    """Everything with the last state of a sequence."""
    _, (h, _) = m.rnn(x)
    return x + m.b(h[-1]).unsqueeze(1)


def rows_and_columns(m: Any, x: Tensor) -> Tensor:
    """Sequencer: rows as sequences side by side, and columns."""
    b, h, w, c = x.shape
    along = m.along(x.reshape(-1, w, c))[0].view(b, h, w, -1)
    down = m.down(x.permute(0, 2, 1, 3).reshape(-1, h, c))[0].view(b, w, h, -1).permute(0, 2, 1, 3)
    return m.b(torch.cat([along, down], -1))


def patch_tokens(m: Any, x: Tensor) -> Tensor:
    """Patches unfolded into channels, and folded back."""
    t = m.b(m.unfold(m.a(x)).transpose(1, 2)).transpose(1, 2)
    return F.fold(t, x.shape[-2:], 2, stride=2)


def inside_patches(m: Any, x: Tensor) -> Tensor:
    """TNT: what was unfolded into channels is mapped patch by patch, then patches as tokens."""
    b, _, h, w = x.shape
    t = m.unfold(m.a(x)).transpose(1, 2).reshape(b * h * w // 4, -1, 2, 2)
    t = m.inner(t).flatten(2).transpose(1, 2)
    return m.b(t.reshape(b, h * w // 4, -1)).transpose(1, 2).reshape(b, -1, h // 2, w // 2)


def by_tensor_unfold(m: Any, x: Tensor) -> Tensor:
    """Patches of 2 × 3, as features: a last row that fills no patch is left out."""
    t = m.a(x).unfold(2, 2, 2).unfold(3, 3, 3)
    return m.b(t.permute(0, 2, 3, 1, 4, 5).mean(-1).flatten(3))


class Picked(nn.Module):
    """Positions from a list, from a buffer, from the end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 4), conv(4, 2)
        self.register_buffer("rows", torch.tensor([5, 0, 2, 2]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)[:, [3, 1, 0, 2]].index_select(-2, self.rows)
        return self.b(x[..., [1, 3, 5]].flip(-1) + x[:, :, :, torch.tensor([0, -1, 2])])


TOKENS, IMAGE = (9, 16), (3, 12, 12)
KINDS: list[tuple[str, nn.Module, tuple[int, ...]]] = [
    ("attention", Of(attention, qkv=nn.Linear(16, 48), out=nn.Linear(16, 16)), TOKENS),
    ("einsum", Of(by_einsum, qkv=nn.Linear(16, 48, bias=False), out=nn.Linear(16, 16)), TOKENS),
    ("written into", Of(written_into, a=conv(3, 8), b=conv(8, 8)), IMAGE),
    ("shift", Of(shift, a=conv(3, 8)), IMAGE),
    ("shuffle", Of(shuffled, a=conv(4, 8, groups=4)), (4, 12, 12)),
    ("pixel shuffle by hand", Of(pixels, a=conv(3, 8, 1), b=conv(2, 4)), IMAGE),
    ("gate", Of(gate, a=conv(3, 8), one=nn.Conv2d(8, 2, 1), two=nn.Conv2d(2, 8, 1)), IMAGE),
    ("frames", Of(frames, a=conv(1, 5)), (4, 12, 12)),
    ("channels gone and back", Of(spread, a=conv(2, 4)), IMAGE),
    ("patches", Of(patches, a=nn.Conv2d(3, 4, 1), qkv=nn.Linear(4, 12), b=nn.Conv2d(4, 2, 1)), (3, 4, 6)),
    ("patches of more", Of(patches, a=conv(3, 4), qkv=nn.Linear(4, 12), b=conv(4, 2)), (3, 8, 12)),
    (
        "global query",
        Of(global_query, a=conv(3, 3), kv=nn.Linear(3, 6)),
        (3, 6, 9),
    ),
    ("lstm", Of(lambda m, x: m.rnn(x)[0], rnn=nn.LSTM(16, 5, batch_first=True)), TOKENS),
    ("gru both ways", Of(lambda m, x: m.rnn(x)[0], rnn=nn.GRU(16, 3, 2, False, True, 0.1, True)), TOKENS),
    ("crnn", Of(crnn, a=conv(3, 4), rnn=nn.LSTM(4, 6, 2, bidirectional=True), b=nn.Linear(12, 5)), (3, 5, 7)),
    ("last state", Of(classified, rnn=nn.LSTM(16, 6, 2, batch_first=True), b=nn.Linear(6, 16)), TOKENS),
    ("last states", Of(lambda m, x: m.rnn(x)[1].movedim(1, 0), rnn=nn.RNN(16, 6, 2, "relu", True, True)), TOKENS),
    (
        "rows and columns",
        Of(
            rows_and_columns,
            along=nn.LSTM(4, 3, bidirectional=True, batch_first=True),
            down=nn.LSTM(4, 3, batch_first=True),
            b=nn.Linear(9, 4),
        ),
        (3, 5, 4),
    ),
    ("patch tokens", Of(patch_tokens, a=conv(3, 2), unfold=nn.Unfold(2, stride=2), b=nn.Linear(8, 12)), (3, 6, 8)),
    (
        "inside patches",
        Of(inside_patches, a=conv(3, 2), unfold=nn.Unfold(2, stride=2), inner=nn.Conv2d(2, 3, 1), b=nn.Linear(12, 2)),
        (3, 6, 8),
    ),
    ("by tensor.unfold", Of(by_tensor_unfold, a=conv(3, 2), b=nn.Linear(4, 3)), (3, 7, 9)),
    ("picked", Picked(), (3, 6, 7)),
    ("repeated", Of(repeated, a=conv(3, 2), b=conv(4, 2)), (3, 5, 4)),
    ("heads of places", Of(heads_of_places, a=conv(3, 8), b=conv(8, 2)), (3, 5, 7)),
    ("unequal padding", Of(lambda m, x: m.a(F.pad(x, (0, 3, 1, 0), mode="reflect")), a=conv(3, 4)), IMAGE),
    ("up", Of(lambda m, x: F.interpolate(m.a(x), scale_factor=2, mode="bilinear"), a=conv(3, 4, stride=2)), IMAGE),
    ("to a size", Of(lambda m, x: F.interpolate(m.a(x), (17, 12)), a=conv(3, 4, dilation=1)), IMAGE),
    ("adaptive", Of(lambda m, x: F.adaptive_avg_pool2d(m.a(x), (5, 4)), a=conv(3, 4)), IMAGE),
    ("ceil", Of(lambda m, x: F.max_pool2d(m.a(x), 3, 2, 1, ceil_mode=True), a=conv(3, 4)), IMAGE),
    (
        "by parameter",
        Of(lambda m, x: x @ m.w + m.b, w=nn.Parameter(torch.randn(16, 5)), b=nn.Parameter(torch.randn(5))),
        TOKENS,
    ),
    ("mixer", Of(lambda m, x: m.a(x.transpose(1, 2)).transpose(1, 2) + x, a=nn.Linear(9, 9)), TOKENS),
    ("encoder", nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), TOKENS),
    ("attention layer", Of(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(16, 4, batch_first=True)), TOKENS),
    ("normed", Of(lambda m, x: m.n(m.a(x)).mul_(2).add_(1).clamp_(0, 6), a=conv(3, 8), n=nn.GroupNorm(4, 8)), IMAGE),
    ("weight norm", nn.utils.parametrizations.weight_norm(conv(3, 8)), IMAGE),
    ("one axis", nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.PReLU(4), nn.AvgPool1d(2)), (3, 20)),
    (
        "three axes",
        nn.Sequential(nn.Conv3d(2, 4, 3), nn.ConvTranspose3d(4, 2, 2, 2), nn.InstanceNorm3d(2)),
        (2, 5, 6, 7),
    ),
]


@pytest.mark.parametrize(("name", "module", "shape"), KINDS, ids=[k[0] for k in KINDS])
def test_written_by_hand(name: str, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Parameters, multiply-adds, and the region of units by the gradient."""
    module = module.eval()
    read = from_torch(module, shape)
    assert read.complete, read.unknown
    assert not [n for n in read.notes if "parameter" in n]
    assert seen_by_gradient(module, read, shape) >= 3
    totals = analyze(read).totals
    assert (totals.params, totals.macs) == counted(copy.deepcopy(module), shape)


def test_what_is_fixed_reads_nothing() -> None:
    """Zeros and ones in the middle of a network do not read the node before them."""
    for fixed in (
        lambda m, x: m.b(torch.cat([m.a(x), torch.zeros(1, 2, 5, 4)], 1)),
        lambda m, x: m.b(F.pad(m.a(x), (0, 0, 0, 0, 0, 2))),
        lambda m, x: m.b(F.relu(m.a(x)).repeat(1, 2, 1, 1) + torch.ones(4, 5, 4)),
    ):
        report = analyze(from_torch(Of(fixed, a=conv(3, 2), b=conv(4, 2)), (3, 5, 4)))
        constants = [r for r in report if r.kind == "constant"]
        assert constants
        assert all(not r.node.inputs and r.receptive_field.status == "none" for r in constants)
        assert (report["b"].receptive_field.status, report["b"].receptive_field.size) == ("exact", (5, 5))


def test_patches_in_channels_keep_their_windows() -> None:
    module = Of(patch_tokens, a=conv(3, 2), unfold=nn.Unfold(2, stride=2), b=nn.Linear(8, 12))
    report = analyze(from_torch(module, (3, 6, 8)))
    assert report["unfold"].receptive_field.size == (4, 4)
    assert (report["b"].kind, report["b"].macs, report["b"].receptive_field.size) == ("linear", 12 * 8 * 12, (4, 4))
    # tokens that come apart into rows and columns again
    field = report.outputs[0].receptive_field
    assert (field.status, field.size, field.hull) == ("periodic", (4, 4), ((0, 5), (0, 7)))
    assert check(module.double(), "3x6x8").size == (4, 4)
    inner = Of(
        inside_patches, a=conv(3, 2), unfold=nn.Unfold(2, stride=2), inner=nn.Conv2d(2, 3, 1), b=nn.Linear(12, 2)
    )
    network = from_torch(inner, (3, 6, 8)).network
    assert "pixel_unshuffle" not in [n.layer.kind for n in network.nodes]
    assert {s for n in network.nodes for s in n.inputs} >= {n.name for n in network.nodes[:-1]}  # all is read
    overlapping = from_torch(Of(lambda m, x: m.u(x), u=nn.Unfold(3, padding=1)), (3, 6, 8))
    assert not overlapping.unknown
    assert rfcalc.analyze(overlapping)["u.pixel_unshuffle"].receptive_field.size == (3, 3)


def test_lists_keep_their_values_on_the_meta_device() -> None:
    """What is picked by a buffer there is not known, and said so."""
    with torch.device("meta"):
        listed = Of(lambda m, x: m.a(x[:, :, [3, 0, 1]]), a=conv(3, 4))
        module = Picked()
    (take, _) = from_torch(listed, (3, 6, 7)).network.nodes
    assert take.layer == Gather(1, (3, 0, 1))
    read = from_torch(module, (3, 6, 7))
    assert [u.operator for u in read.unknown] == ["aten.index_select"]
    assert "positions" in read.unknown[0].why
    learned = Of(lambda m, x: m.a(x[:, :, x[0, 0, :3, 0].long()]), a=conv(3, 4))
    assert "aten.select" in [u.operator for u in from_torch(learned, (3, 6, 7)).unknown]


def test_attention_along_the_batch_by_mistake() -> None:
    """CSATv2's attention multiplies batch × positions: a single product of whole maps for a batch of one."""

    def mistaken(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.qkv(m.a(x).flatten(2).transpose(1, 2)).unbind(-1)
        y = (q @ k.transpose(-1, -2)).softmax(-1) @ v
        return m.b(y.unsqueeze(-1).transpose(1, 2).reshape(x.shape[0], 1, *x.shape[2:]))

    module = Of(mistaken, a=conv(3, 1), qkv=nn.Linear(1, 3), b=conv(1, 2)).eval()
    read = from_torch(module, (3, 4, 5))
    totals = analyze(read).totals
    assert read.complete
    assert (totals.params, totals.macs) == counted(module, (3, 4, 5))
    assert analyze(read)["b"].receptive_field.status == "global"


def test_views_are_read_together() -> None:
    """Patches are split off, moved and merged; what is merged and split again is left alone."""
    module = Of(patches, a=nn.Conv2d(3, 4, 1), qkv=nn.Linear(4, 12), b=nn.Conv2d(4, 2, 1))
    read = from_torch(module, (3, 4, 6))
    report = analyze(read)
    moves = [r.notation for r in report if r.kind in ("reshape", "permute", "flatten")]
    assert moves[:2] == ["reshape4x2x2x2x3", "permute0x1x3x2x4"]  # channels by themselves throughout
    field = report["qkv"].receptive_field
    assert (field.status, field.hull) == ("shift_variant", ((0, 3), (0, 5)))
    seen = receptive_field(read, at="b").unit((1, 4))
    assert sorted(seen.pixels()) == [(1, 1), (1, 4), (3, 1), (3, 4)]
    module = Of(heads_of_places, a=conv(3, 8), b=conv(8, 2))
    report = analyze(from_torch(module, (3, 5, 7)))
    assert (report["b"].receptive_field.status, report["b"].receptive_field.size) == ("exact", (5, 5))


def seen_by_gradient(module: nn.Module, read: Any, shape: tuple[int, ...], trials: int = 6) -> int:
    """Compare what units of the output depend on; how many were compared."""
    field_report = receptive_field(read)
    y = field_report.report.shapes[field_report.position]
    extents = y.spatial
    units = {tuple(0 for _ in extents), tuple(n - 1 for n in extents), tuple(n // 2 for n in extents)}
    units.add(tuple(min(1, n - 1) for n in extents))
    channel = y.channel
    torch.manual_seed(0)
    found: dict[tuple[int, ...], Tensor] = {u: torch.zeros(shape, dtype=torch.bool) for u in units}
    module = copy.deepcopy(module).double()
    for _ in range(trials):
        for p in module.requires_grad_(False).parameters():
            p.data = torch.rand_like(p) + 0.1
        x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
        out = module(x)
        out = out.reshape(y.dims)
        out = (out * torch.rand_like(out)).movedim(channel, 0).sum(0)
        for u in units:
            (g,) = torch.autograd.grad(out[u], x, retain_graph=True)
            found[u] |= g[0] != 0
    x_channel = field_report.report.shapes[0].channel
    for u in units:
        pixels = found[u].any(x_channel)
        hull = None
        if pixels.any():
            at = pixels.nonzero()
            hull = tuple((int(a), int(b)) for a, b in zip(at.min(0).values, at.max(0).values, strict=True))
        assert field_report.unit(u).hull == hull, (u, field_report.unit(u).hull, hull)
    return len(units)


def test_receptive_fields_of_real_models_by_gradient() -> None:
    resnet, shuffle = models().resnet18(), models().shufflenet_v2_x0_5()
    # only the largest value of a window has a gradient: averages over the same windows stand in
    pool = nn.AvgPool2d(3, 2, 1)
    for module in (
        nn.Sequential(resnet.conv1, resnet.bn1, nn.ReLU(), pool, resnet.layer1, resnet.layer2),
        nn.Sequential(shuffle.conv1, pool, shuffle.stage2),
    ):
        module = module.eval()
        shape = (3, 65, 65)
        assert seen_by_gradient(module, from_torch(module, shape), shape, trials=1) == 4


def test_constants_read_nothing() -> None:
    """A mask that is computed from sizes alone, as Swin's: adding it makes no field larger."""

    def masked(m: Any, x: Tensor) -> Tensor:
        x = m.a(x)
        mask = x.new_zeros(x.shape[-2:])
        mask[2:, :] = 1
        return m.b(x + (mask.unsqueeze(0) - mask.unsqueeze(1)).sum(0))

    module = Of(masked, a=conv(3, 4), b=conv(4, 2)).eval()
    read = from_torch(module, (3, 12, 12))
    assert not [n for n in read.network.nodes if n.layer.kind == "constant" and n.inputs]
    assert analyze(read)["b"].receptive_field.size == (5, 5)
    assert seen_by_gradient(module, read, (3, 12, 12)) == 4


# --- sharing ---------------------------------------------------------------------------------------------------


def test_tied_weights_count_once() -> None:
    shared = conv(4, 4)
    module = Of(lambda m, x: m.b(F.relu(m.a(F.relu(m.a(x))))), a=shared, b=shared)
    report = analyze(from_torch(module, (4, 8, 8)))
    assert report.totals.params == sum(p.numel() for p in module.parameters()) == 4 * 4 * 9 + 4
    assert report.totals.macs == 3 * 4 * 4 * 9 * 64
    assert [r.shared_with for r in report if r.kind == "conv"] == [None, "a", "a"]
    tied = Of(lambda m, x: m.b(m.a(x)), a=nn.Linear(6, 6, bias=False), b=nn.Linear(6, 6, bias=False))
    tied.b.weight = tied.a.weight
    assert analyze(from_torch(tied, (6,))).totals.params == 36


def test_unused_parameters_are_told() -> None:
    module = Of(lambda m, x: m.a(x), a=conv(3, 4), b=conv(3, 4))
    read = from_torch(module, (3, 8, 8))
    assert read.unused == {"b.weight": 108, "b.bias": 4}
    assert "112 of 224 parameters are not used and not counted: b.weight, b.bias" in read.notes


# --- the module is left alone ----------------------------------------------------------------------------------


def test_the_module_is_not_changed() -> None:
    module = models().resnet18().train()
    calls: list[str] = []
    module.layer1.register_forward_hook(lambda *a: calls.append("hook"))
    module.bn1.eval()
    before = {n: (p, p._version, p.data_ptr(), p.device) for n, p in module.state_dict(keep_vars=True).items()}
    modes = {n: m.training for n, m in module.named_modules()}
    hooks = {n: len(m._forward_hooks) + len(m._forward_pre_hooks) for n, m in module.named_modules()}
    seed = torch.get_rng_state()
    fast = torch.backends.mha.get_fastpath_enabled()
    from_torch(module, training=True)
    read = from_torch(module)
    assert "the module is read in evaluation mode" in read.notes
    after = {n: (p, p._version, p.data_ptr(), p.device) for n, p in module.state_dict(keep_vars=True).items()}
    assert all(after[n][0] is before[n][0] and after[n][1:] == before[n][1:] for n in before)
    assert modes == {n: m.training for n, m in module.named_modules()}
    assert hooks == {n: len(m._forward_hooks) + len(m._forward_pre_hooks) for n, m in module.named_modules()}
    assert torch.equal(seed, torch.get_rng_state())
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert not torch.nn.modules.module._global_forward_hooks
    with pytest.raises(RfcalcError):
        from_torch(module, (4, 8, 8))
    assert not torch.nn.modules.module._global_forward_hooks
    assert modes == {n: m.training for n, m in module.named_modules()}


class Caching(nn.Module):
    """Keeps what it computes: as attributes, in containers, in a buffer, on its own modules; and a copy of a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.utils.spectral_norm(nn.Conv2d(3, 4, 3))
        self.grid: Tensor | None = None
        self.maps: list[Tensor] = []
        self.cache: dict[Any, Tensor] = {}
        self.register_buffer("at", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c(x)
        self.grid = torch.arange(y.shape[-1])
        self.maps.append(y)
        self.cache[tuple(y.shape)] = y
        self.at = torch.ones(3)
        self.at.add_(1)
        self.c.last = y  # type: ignore[assignment]
        return y + self.grid


@pytest.mark.parametrize("shape", ["3x8x8", "4x8x8"])
def test_what_forward_keeps_is_put_back(shape: str) -> None:
    """No tensor without data stays behind, also where the run fails."""
    module = Caching()
    before = {n: set(vars(m)) for n, m in module.named_modules()}
    at, weight = module.at, module.c.weight
    if shape == "3x8x8":
        from_torch(module, shape)
    else:
        with pytest.raises(RfcalcError):
            from_torch(module, shape)
    assert (module.grid, module.maps, module.cache) == (None, [], {})
    assert module.at is at
    assert module.c.weight is weight
    assert before == {n: set(vars(m)) for n, m in module.named_modules()}
    assert copy.deepcopy(module)(torch.rand(1, 3, 8, 8)).shape == (1, 4, 6, 6)


def test_parameters_that_are_not_registered_are_told() -> None:
    hidden = [conv(3, 4), conv(4, 4)]
    read = from_torch(Of(lambda s, x: s.last(hidden[1](hidden[0](x))), last=conv(4, 2)), "3x8x8")
    assert analyze(read).totals.params == 74
    assert any(note.startswith("260 values of parameters that the module does not register") for note in read.notes)


class Grows(nn.Module):
    """Makes a layer when it first runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 4)
        self.second: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.second is None:
            self.second = nn.Conv2d(x.shape[1], 8, 3)
        return self.second(x)  # type: ignore[no-any-return]


def test_layers_made_in_the_first_run_are_counted() -> None:
    module = Grows()
    report = analyze(from_torch(module, "3x8x8"))
    assert [(r.name, r.params) for r in report] == [("first", 112), ("second", 296)]
    assert module.second is None
    module(torch.rand(1, 3, 8, 8))
    again = analyze(from_torch(module, "3x8x8"))
    assert (again.network, again.shapes, again.costs) == (report.network, report.shapes, report.costs)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_modules_are_read_as_they_are_written() -> None:
    """The whole, a part of it, in place, and functions; with the names of the modules that were compiled."""

    def net() -> nn.Sequential:
        return nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.Sequential(conv(4, 4), nn.ReLU()))

    plain, part, inside = net(), net(), net()
    part[2] = torch.compile(part[2])  # type: ignore[assignment]
    inside[0].compile()
    right = analyze(from_torch(plain, "3x8x8"))
    for module in (torch.compile(plain), part, inside):
        report = analyze(from_torch(module, "3x8x8"))  # type: ignore[arg-type]
        assert (report.network, report.shapes, report.costs) == (right.network, right.shapes, right.costs)
        assert report.network.name == "Sequential"
    function = torch.compile(lambda s, x: F.conv2d(x, s.w))
    report = analyze(from_torch(Of(function, w=nn.Parameter(torch.rand(4, 3, 3, 3))), "3x8x8"))
    assert (report.totals.params, report.rows[-1].receptive_field.size) == (108, (3, 3))


def test_lazy_modules_are_read_and_stay_lazy() -> None:
    module = nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(4), nn.Linear(4, 2))
    own = module[4].weight
    report = analyze(from_torch(module, "3x8x8"))
    assert report.totals.params == 8 * 28 + 16 + 4 * 289 + 10
    assert [type(m) for m in module[:2]] == [nn.LazyConv2d, nn.LazyBatchNorm2d]
    assert all(m.training for m in module.modules())
    assert module[4].weight is own
    assert module(torch.rand(2, 3, 8, 8)).shape == (2, 2)  # it still takes its first input
    with pytest.raises(RfcalcError, match="does not run on input 3x2x2"):
        from_torch(nn.Sequential(nn.LazyConv2d(8, 3)), "3x2x2")


def test_training_mode_is_read_as_it_is() -> None:
    module = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.Dropout(0.1)).train()
    report = analyze(from_torch(module, (3, 8, 8), training=True))
    assert report["1"].receptive_field.status == "global"
    assert analyze(from_torch(module, (3, 8, 8)))["1"].receptive_field.size == (3, 3)


def test_inputs_by_name_as_tensors_and_in_half_precision() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = conv(3, 4), conv(1, 4)

        def forward(self, image: Tensor, mask: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
            return {"sum": self.a(image) + self.b(mask), "mask": self.b(mask)}

    read = from_torch(Two(), {"image": (3, 8, 8), "mask": (1, 8, 8)})
    assert list(read.network.inputs) == ["image", "mask"]
    assert len(read.network.outputs) == 2
    assert analyze(read)["add"].receptive_fields["mask"].size == (3, 3)
    assert from_torch(Two(), (torch.rand(5, 3, 8, 8), torch.rand(5, 1, 8, 8))).network == read.network
    assert from_torch(Two().half(), {"image": (3, 8, 8), "mask": (1, 8, 8)}).network == read.network
    with pytest.raises(RfcalcError, match="2 inputs"):
        from_torch(Two())
    with pytest.raises(RfcalcError, match="no input 'masks'"):
        from_torch(Two(), {"image": (3, 8, 8), "masks": (1, 8, 8)})


# --- honesty ---------------------------------------------------------------------------------------------------


def factored(m: Any, x: Tensor) -> Tensor:
    return m.b(torch.linalg.lu_factor(m.a(x))[0])


def test_what_is_not_understood_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = from_torch(Of(factored, a=conv(3, 4), b=conv(4, 5)), (3, 8, 8))
    assert not read.complete
    assert [(u.operator, u.node) for u in read.unknown] == [("aten.linalg_lu_factor", "linalg_lu_factor")]
    assert any("issue tracker" in a for a in read.assumptions)
    report = analyze(read)
    assert not report.complete
    assert report["a"].receptive_field.status == "exact"
    assert report["b"].receptive_field.status == "unknown"
    assert report.totals.params == 3 * 4 * 9 + 4 + 4 * 5 * 9 + 5
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.linalg.lu_factor(x)[0]\n"
    )
    assert run(["table", f"{path}:Net", "-i", "3x8x8", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is False
    assert run(["table", f"{path}:Net", "-i", "3x8x8", "--strict"]) == 1
    said = capsys.readouterr()
    assert "at least" in said.out
    assert "linalg_lu_factor: aten.linalg_lu_factor" in said.err
    assert run(["rf", f"{path}:Net", "-i", "3x8x8", "--strict"]) == 1


def dynamic(m: Any, x: Tensor) -> Tensor:
    return F.conv2d(x, m.a(x).mean((2, 3)).view(1, 3, 1, 1), m.bias)


@pytest.mark.parametrize("bias", [None, nn.Parameter(torch.ones(1))])
def test_weights_that_depend_on_the_input_are_what_that_depends_on(bias: nn.Parameter | None) -> None:
    """A kernel that is made of means over the image: every unit sees all of it, beside its own pixel."""
    module = Of(dynamic, a=conv(3, 3), bias=bias)
    read = from_torch(module, (3, 8, 8))
    assert read.complete
    report = analyze(read)
    assert (str(report.rows[-1].receptive_field.status), report.rows[-1].output_shape) == ("global", (1, 8, 8))
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    with FlopCounterMode(display=False) as counter:
        module(torch.rand(1, 3, 8, 8))
    assert 2 * report.totals.macs == counter.get_total_flops()


def test_what_is_laid_flat_and_back_is_where_it_was() -> None:
    read = from_torch(Of(lambda m, x: m.a(x.flatten(1).view(1, 3, 8, 8)), a=conv(3, 3)), (3, 8, 8))
    assert read.complete
    assert [n.layer.kind for n in read.network.nodes] == ["conv"]
    assert analyze(read)["a"].receptive_field.size == (3, 3)


def test_positions_merged_into_channels_do_not_come_apart_in_silence() -> None:
    read = from_torch(Of(lambda m, x: m.a(x.flatten(1).relu().view(1, 3, 8, 8)), a=conv(3, 3)), (3, 8, 8))
    assert [u.why for u in read.unknown] == ["positions that were merged into channels come apart"]


def test_control_a_wrong_translation_is_an_error_with_both_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    translate.load()

    def wrong(call: Any) -> Any:
        return call.graph.add(Conv(4, 3), (call.x.node,), call.dims, 0)

    monkeypatch.setitem(translate.HANDLERS, "conv2d", wrong)
    with pytest.raises(ShapeError, match="the source makes 4x8x8 here, rfcalc 4x6x6"):
        from_torch(conv(3, 4), (3, 8, 8))


def test_control_wrong_counts_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    translate.load()
    good = translate.HANDLERS["linear"]

    def skipped(call: Any) -> Any:
        return call.x if call.dims == call.x.dims else good(call)

    monkeypatch.setitem(translate.HANDLERS, "linear", skipped)
    found = verdict(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4)), (8,))
    assert not found.exact or found.read.unused


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() if x.sum() > 0 else x


class Counting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0]


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        (Deciding(), (3, 8, 8), ["depends on the values", "Deciding", "bool", "x.sum() > 0", "parts"]),
        (Counting(), (3, 8, 8), ["depends on the values", "Counting"]),
        (nn.Sequential(conv(3, 4), conv(5, 4)), (3, 8, 8), ["takes 5 channels", "Sequential at 1", "mend 1"]),
        (Of(lambda m, x: None), (3, 8, 8), ["returns no tensor", "NoneType"]),
        (Of(lambda m, x: torch.ones(3)), (3, 8, 8), ["depends on its input"]),
        (conv(3, 4), "3x8xa", ["'3x8xa' is not a shape"]),
        (conv(3, 4), torch.rand(8), ["no batch axis"]),
    ],
)
def test_one_message_with_the_reason(module: nn.Module, shape: Any, words: list[str]) -> None:
    with pytest.raises(RfcalcError) as caught:
        from_torch(module, shape)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert len(str(caught.value).splitlines()) <= 4


def test_what_is_trained_and_what_is_frozen() -> None:
    body, head = nn.Linear(64, 64), nn.Linear(64, 2)
    body.requires_grad_(False)
    report = analyze(from_torch(nn.Sequential(body, head), (64,)))
    assert [(row.trainable, row.frozen) for row in report] == [(0, 4160), (130, 0)]
    assert (report.totals.trainable, report.totals.frozen, report.totals.params) == (130, 4160, 4290)
    assert report.to_dict()["totals"]["trainable"] == 130
    assert analyze("conv3-8").totals.trainable == analyze("conv3-8").totals.params
    rfcalc.require(from_torch(nn.Sequential(body, head), (64,)), "trainable = 130, frozen = 4160")


@pytest.mark.parametrize("given", ["1x3x32x32", "32x32x3", "32x32", "1x32x32"])
def test_a_wrong_shape_for_a_module_with_lazy_layers_is_answered_with_the_right_one(given) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    with pytest.raises(RfcalcError, match="did you mean 3x32x32"):
        from_torch(module, given)
