"""The parts that PyTorch does not have, by value: against its own where they overlap, else written out by hand."""

from __future__ import annotations

import random
from importlib.util import find_spec
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc import LRN, AvgPool, Conv, MaxPool, Network, Permute, Shape, Upsample, to_torch
from rfcalc.backend.parts import NAMES
from rfcalc.core.errors import RfcalcError
from rfcalc.report import Report

torch.set_num_threads(1)
Axis = tuple[int, int, tuple[int, int], int]


def by_hand(x: Tensor, axes: list[Axis], counts: tuple[int, ...], how: str, count_padding: bool = True) -> Tensor:
    """Each window of one channel, position by position."""
    sizes = x.shape[2:]
    y = torch.zeros(1, 1, *counts, dtype=x.dtype)
    for unit in product(*map(range, counts)):
        reads = [[u * s - a + t * d for t in range(k)] for u, (k, s, (a, _), d) in zip(unit, axes, strict=True)]
        inside = [p for p in product(*reads) if all(0 <= v < n for v, n in zip(p, sizes, strict=True))]
        padded = [
            p
            for p in product(*reads)
            if all(-a <= v < n + b for v, n, (_, _, (a, b), _) in zip(p, sizes, axes, strict=True))
        ]
        values = [x[(0, 0, *p)] for p in inside]
        if how == "max":
            y[(0, 0, *unit)] = max(values) if values else -torch.inf
        else:
            count = len(padded) if count_padding else len(inside)
            y[(0, 0, *unit)] = sum(values) / (1 if how == "sum" else max(count, 1))
    return y


@pytest.mark.parametrize("how", ["max", "mean", "sum"])
def test_pooling_by_hand(how: str) -> None:
    rng = random.Random(5)
    done = native = 0
    while done < 150:
        rank = rng.choice((1, 1, 2, 3))
        x = torch.rand(1, 1, *(rng.randint(2, 6) for _ in range(rank)), dtype=torch.float64)
        axes: list[Axis] = []
        for _ in range(rank):
            k = rng.randint(1, 4)
            d = rng.choice((1, 1, 1, 2))
            a, b = (rng.randint(0, d * (k - 1)) for _ in range(2))
            axes.append((k, rng.randint(1, 3), (a, a) if rng.random() < 0.5 else (a, b), d))
        kernel, stride, sides, dilation = zip(*axes, strict=True)
        rounding, counted = rng.choice(("floor", "ceil", "ceil-onnx")), rng.random() < 0.5
        try:
            if how == "max":
                layer = MaxPool(kernel, stride, sides, dilation=dilation, rounding=rounding)
            else:
                layer = AvgPool(
                    kernel, stride, sides, dilation=dilation, rounding=rounding, count_padding=counted,
                    trainable=how == "sum",
                )  # fmt: skip
            shape = layer.output(Shape(*x.shape[1:]))
        except RfcalcError:
            continue
        graph = to_torch(Network(layer, Shape(*x.shape[1:]))).double()
        expected = by_hand(x, axes, shape.dims[1:], how, counted)
        torch.testing.assert_close(graph(x), expected)
        native += "Pool" in str(graph)
        done += 1
    assert how == "sum" or 20 < native < 130  # both PyTorch's layers and ours came up


def test_tensorflows_same() -> None:
    """By the rule written out: the output is ⌈n/s⌉, the smaller half of the padding comes before."""
    for n, k, s, d in product(range(1, 9), (1, 2, 3), (1, 2, 3), (1, 2)):
        graph = to_torch(Network(Conv(1, k, stride=s, padding="SAME", dilation=d, bias=False), Shape(1, 5)))
        x = torch.rand(1, 1, n)
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        padded = F.pad(x, (total // 2, total - total // 2))
        expected = F.conv1d(padded, graph.module("conv1").weight, None, s, 0, d)
        torch.testing.assert_close(graph(x), expected)
        assert expected.shape[-1] == -(-n // s)


def test_resizing_and_shuffling_any_number_of_axes() -> None:
    x = torch.rand(2, 3, 5, 4)
    for corners in (False, True):
        mine = NAMES["cubic"](x, (7, 9), corners)
        torch.testing.assert_close(mine, F.interpolate(x, (7, 9), mode="bicubic", align_corners=corners))
    line = to_torch(Network(Upsample(2, mode="cubic"), "3x5"))(x[..., 0])
    plane = F.interpolate(x[..., 0].unsqueeze(2).expand(2, 3, 4, 5), (4, 10), mode="bicubic")
    torch.testing.assert_close(line, plane[:, :, 0])
    image = torch.rand(2, 12, 3, 5)
    torch.testing.assert_close(NAMES["pixel_shuffle"](image, 2), nn.PixelShuffle(2)(image))
    back = NAMES["pixel_unshuffle"](NAMES["pixel_shuffle"](image, 2), 2)
    assert torch.equal(back, image)
    for sizes in ((8,), (3, 2, 4)):
        volume = torch.rand(2, 2 ** len(sizes), *sizes)
        assert torch.equal(NAMES["pixel_unshuffle"](NAMES["pixel_shuffle"](volume, 2), 2), volume)
    torch.testing.assert_close(
        NAMES["pixel_unshuffle"](torch.rand(1, 1, 4, 6, generator=torch.Generator().manual_seed(1)), 2),
        nn.PixelUnshuffle(2)(torch.rand(1, 1, 4, 6, generator=torch.Generator().manual_seed(1))),
    )


def test_attention_is_pytorchs() -> None:
    x = torch.rand(2, 5, 8)
    mine = NAMES["SelfAttention"](8, 2)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(mine.state_dict())
    torch.testing.assert_close(mine(x), theirs(x, x, x)[0])
    for bias, out_bias in ((True, False), (False, True), (False, False)):
        part = NAMES["SelfAttention"](8, 2, bias=bias, out_bias=out_bias)
        assert sum(p.numel() for p in part.parameters()) == 4 * 64 + 24 * bias + 8 * out_bias
        assert part(x).shape == x.shape


def test_attention_in_windows_keeps_places_apart() -> None:
    """A place changes nothing outside its window, shifted or not, in one to three dimensions."""
    for sizes, window, shift in (((9,), (4,), (1,)), ((6, 5), (3, 2), (1, 1)), ((4, 4, 2), (2, 2, 2), (1, 0, 1))):
        part = NAMES["WindowAttention"](4, 2, window, shift).double()
        nn.init.normal_(part.relative_position_bias_table)
        x = torch.rand(1, *sizes, 4, dtype=torch.float64)
        changed = x.clone()
        changed[(0, *[0] * len(sizes))] += 1
        moved = (part(changed) - part(x)).abs().sum(-1)[0] > 0
        expected = torch.zeros(sizes, dtype=torch.bool)
        ends = [s if s and w < n else w for n, w, s in zip(sizes, window, shift, strict=True)]
        expected[tuple(slice(0, end) for end in ends)] = True  # a window as large as the map is not shifted
        assert torch.equal(moved, expected)


def test_stochastic_depth_and_fixed_centres() -> None:
    part = NAMES["StochasticDepth"](0.25)
    torch.manual_seed(0)
    y = part(torch.ones(4000, 1, 2))
    assert sorted(y.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert (y[:, 0, 0] == y[:, 0, 1]).all()
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(part.eval()(y), y)
    rbf = NAMES["RBF"](6, 3)
    x = torch.rand(2, 6)
    torch.testing.assert_close(rbf(x), torch.cdist(x, rbf.centres) ** 2)
    assert not list(rbf.parameters())
    assert set(rbf.centres.unique().tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize("rounding", ["floor", "ceil", "ceil-onnx"])
@pytest.mark.parametrize("extent", range(1, 11))
def test_tensorflows_padding_says_the_size(rounding: str, extent: int) -> None:
    """⌈n/s⌉, whatever the rounding, for kernels smaller than the stride too."""
    for kernel, stride in ((2, 3), (1, 4), (3, 2), (2, 2)):
        pool = Network(MaxPool(kernel, stride, padding="SAME", rounding=rounding), f"1x{extent}")
        assert to_torch(pool)(torch.rand(1, 1, extent)).shape[-1] == -(-extent // stride)
        assert rfcalc.analyze(pool)["maxpool1"].shape.spatial == (-(-extent // stride),)


def test_local_response_normalisation_of_permuted_volumes() -> None:
    for shape, order in (("3x4x5x6", (0, 3, 1, 2)), ("3x4x5", (0, 2, 1)), ("3x4", (1, 0))):
        network = Network(Permute(order) >> LRN(3), shape)
        x = torch.rand(2, *network.inputs["input"].dims)  # type: ignore[union-attr]
        want = nn.LocalResponseNorm(3)(x.permute(0, *(a + 1 for a in order)).contiguous())
        if order[0] == 0:
            torch.testing.assert_close(to_torch(network)(x), want)
        else:
            assert to_torch(network)(x).shape == want.shape


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("window", [(4, 4), (3, 5), (8, 8), (9, 2)])
def test_cosine_attention_keeps_what_is_counted(heads: int, window: tuple[int, int]) -> None:
    """Swin V2's: what the report says is kept for backward, against the storages that the module is seen to keep."""
    for batch, relative, bias, shift in product((1, 2), (True, False), (True, False), (0, 1)):
        options = {"cosine": 6, "relative": relative, "bias": bias}
        part = NAMES["WindowAttention"](12, heads, window, (shift, shift), **options)
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor, kept: dict[int, torch.UntypedStorage] = kept) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            part(torch.rand(batch, 8, 8, 12))
        own = {t.untyped_storage().data_ptr() for t in (*part.parameters(), *part.buffers())}
        layer = rfcalc.WindowAttention(heads, window, (shift, shift), **options)
        report = Report(Network(layer, Shape(8, 8, 12, channel=2)), batch=batch)
        assert report.totals.saved_bytes == sum(s.nbytes() for at, s in kept.items() if at not in own), (options, batch)
        assert report.totals.params == sum(p.numel() for p in part.parameters())


def test_cosine_attention_is_torchvisions() -> None:
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    from vision import models

    theirs = models().swin_transformer.ShiftedWindowAttentionV2(12, [4, 4], [2, 2], 3)
    mine = NAMES["WindowAttention"](12, 3, (4, 4), (2, 2), cosine=512)
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)
    mine.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 10, 8, 12)
    torch.testing.assert_close(mine(x), theirs(x))
    with torch.no_grad():
        mine.logit_scale += 1
    assert not torch.allclose(mine(x), theirs(x))


def test_one_channel_goes_into_a_convolution_over_a_new_axis() -> None:
    """`unsqueeze(1)` of a signal of one channel: no positions lie along the axis of one."""

    class Plane(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 4, (1, 5), (1, 2))

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.unsqueeze(1))

    found = rfcalc.from_torch(Plane(), (1, 40))
    assert not found.unknown and found.network.nodes[-1].layer.kind == "conv"
