"""Max unpooling: what is read of PyTorch's indices, what runs, and what a unit sees."""

from __future__ import annotations

import itertools
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

import rfcalc
from rfcalc import MaxPool, MaxUnpool, RfcalcError
from rfcalc.cli import run
from rfcalc.receptive.region_walk import regions


class Unpooled(nn.Module):
    """A pool, and back to where its maxima were."""

    def __init__(self, kernel: int, stride: int, padding: int, ceil: bool, sized: bool = True) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(kernel, stride, padding, return_indices=True, ceil_mode=ceil)
        self.back, self.sized = nn.MaxUnpool2d(kernel, stride, padding), sized

    def forward(self, x: Tensor) -> Tensor:
        y, places = self.pool(x)
        out: Tensor = self.back(2 * y, places, x.size() if self.sized else None)
        return out


@pytest.mark.parametrize(
    "window", [(2, 2, 0, False), (2, 2, 0, True), (3, 2, 1, True), (3, 3, 0, False), (3, 1, 1, False)]
)
@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_it_runs_as_pytorch_does(window: tuple[int, int, int, bool], size: tuple[int, int]) -> None:
    module = Unpooled(*window)
    network = rfcalc.from_torch(module, (3, *size)).network
    assert [n.layer.kind for n in network.nodes if n.layer.kind != "elementwise"] == ["maxpool", "max_unpool"]
    x = torch.randn(2, 3, *size)
    assert torch.equal(rfcalc.to_torch(network)(x), module(x))


def test_indices_that_are_not_a_pools_are_not_understood() -> None:
    """Without the size the indices of an odd map mean other places: it is no unpooling of that map."""
    kinds = [n.layer.kind for n in rfcalc.from_torch(Unpooled(2, 2, 0, False, sized=False), "3x9x9").network.nodes]
    assert kinds[-1] == "unknown"


def test_what_a_unit_sees() -> None:
    """A position sees the values of its window and all that was pooled there; beyond the last window nothing."""
    network = rfcalc.load("{maxpool2, identity} maxunpool2")
    report = rfcalc.Report(network, "1x7x6")
    found = regions(report, report.outputs[0].name)
    assert set(found.unit((3, 4)).pixels()) == {(2, 4), (2, 5), (3, 4), (3, 5)}
    assert not list(found.unit((6, 4)).pixels())


def test_values_and_windows_must_fit() -> None:
    with pytest.raises(RfcalcError, match="windows of the map that was pooled"):
        rfcalc.analyze("{maxpool3, identity} maxunpool2", "1x8x8")
    assert MaxUnpool(3, 2).geometry == MaxPool(3, 2).geometry


class Seg(nn.Module):
    """Convolution, pool, convolution, back, convolution: one level of a hand-written SegNet."""

    def __init__(self, rank: int, window: tuple[int, int, int], ceil: bool = False, sized: bool = True) -> None:
        super().__init__()
        conv, pool = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1], (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[rank - 1]
        self.first, self.low, self.last = conv(1, 2, 3, padding=1), conv(2, 2, 1), conv(2, 1, 1)
        self.pool = pool(*window, return_indices=True, ceil_mode=ceil)
        self.back, self.sized = (nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d)[rank - 1](*window), sized

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y, places = self.pool(x)
        made: Tensor = self.last(self.back(self.low(y), places, x.shape[2:] if self.sized else None))
        return made


def moved(module: nn.Module, shape: tuple[int, ...], unit: tuple[int, ...], tries: int = 40) -> set[tuple[int, ...]]:
    """The pixels that change a unit of the output, tried with random images and large changes."""
    module, found = module.double(), set()
    pixels = list(itertools.product(*map(range, shape)))
    for _ in range(tries):
        x = torch.randn(1, 1, *shape, dtype=torch.double)
        images = x.repeat(1 + 2 * len(pixels), 1, *[1] * len(shape))
        for i, p in enumerate(pixels):
            images[(1 + 2 * i, 0, *p)] += 20
            images[(2 + 2 * i, 0, *p)] -= 20
        with torch.no_grad():
            y = module(images)[(slice(None), 0, *unit)]
        found |= {p for i, p in enumerate(pixels) if y[1 + 2 * i] != y[0] or y[2 + 2 * i] != y[0]}
    return found


@pytest.mark.parametrize(
    ("rank", "window", "size", "ceil", "sized"),
    [
        (1, (2, 2, 0), (9,), False, True),
        (1, (2, 2, 0), (9,), True, True),
        (1, (2, 2, 0), (9,), False, False),
        (1, (3, 2, 1), (8,), False, True),
        (2, (2, 2, 0), (7, 6), False, False),
        (2, (2, 2, 0), (5, 5), False, True),
        (2, (3, 2, 1), (7, 7), False, True),
        (3, (2, 2, 0), (4, 5, 4), True, True),
    ],
)
def test_fields_are_those_of_moved_pixels(
    rank: int, window: tuple[int, int, int], size: tuple[int, ...], ceil: bool, sized: bool
) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = Seg(rank, window, ceil, sized)
    shape = "x".join(map(str, (1, *size)))
    network = rfcalc.from_torch(module, shape).network
    kinds = [n.layer.kind for n in network.nodes]
    assert "max_unpool" in kinds and "unknown" not in kinds
    x = torch.randn(1, 1, *size)
    with torch.no_grad():
        wide = module(x).shape[2:]
        assert tuple(wide) == rfcalc.Report(network).outputs[0].shape.dims[1:]
        for unit in {tuple(n // 2 for n in wide), tuple(0 for _ in wide), tuple(n - 1 for n in wide)}:
            field = set(regions(rfcalc.Report(network), network.outputs[0]).unit(unit).pixels())
            assert moved(module, size, unit, 30 if rank == 3 else 40) <= field, unit
            if window[2] == 0:
                assert moved(module, size, unit, 30 if rank == 3 else 40) == field, unit


def test_the_indices_are_counted_once_and_nothing_is_learned() -> None:
    """Parameters and multiply-adds are those of the convolutions; the indices are 8 bytes each, kept until then."""
    module = Seg(2, (2, 2, 0))
    report = rfcalc.analyze(rfcalc.from_torch(module, "1x8x8").network)
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.macs == 64 * 9 * 2 + 16 * 4 + 64 * 2
    assert any("keeps the indices of its maxima" in told for told in report.assumptions_of_memory)


def test_indices_of_another_rank_are_not_taken_for_positions() -> None:
    """The indices of rows mean other places on a map of the same values."""

    class Rows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y, places = nn.functional.max_pool1d(x, 2, return_indices=True)
            return nn.functional.max_unpool2d(y, places, (1, 2), (1, 2), output_size=x.shape[1:])

    assert "unknown" in [n.layer.kind for n in rfcalc.from_torch(Rows(), "4x8").network.nodes]


@pytest.mark.parametrize("known", [True, False])
def test_onnx(known: bool, tmp_path: Path) -> None:
    """The indices of a pool of the file; another size than that of the map is not defined by ONNX, and said."""
    n = 8 if known else 9
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, size, size])
        for name, size in (("x", n), ("y", 8))
    )
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p", "i"], **window),
        helper.make_node("Relu", ["p"], ["r"]),
        helper.make_node("MaxUnpool", ["r", "i"], ["y"], **window),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [given], [made]))
    onnx.save(model, str(tmp_path / "m.onnx"))
    network = rfcalc.load(str(tmp_path / "m.onnx"))
    kinds = [n.layer.kind for n in network.nodes]
    assert kinds[-1] == ("max_unpool" if known else "unknown")
    if known:
        x = torch.randn(1, 2, n, n)
        (wanted,) = ReferenceEvaluator(model).run(None, {"x": x.numpy()})
        assert torch.equal(rfcalc.to_torch(network)(x), torch.from_numpy(wanted))


def test_what_memory_takes_for_granted_is_said() -> None:
    """The map that is pooled counts until it is unpooled, in training too; statistics are of evaluation only."""
    for infer in (False, True):
        found = rfcalc.memory("conv3-4 bn {maxpool2, identity} maxunpool2", "3x8x8", infer=infer)
        text = " ".join(found.document().notes)
        assert "the map that was pooled is kept until then" in text
        assert ("running statistics" in text) is infer


def test_what_only_memory_takes_for_granted_is_not_said_of_fields(capsys: pytest.CaptureFixture[str]) -> None:
    target, given = "conv3-4 {maxpool2, identity} maxunpool2", ["--input", "3x8x8"]
    assert run(["rf", target, *given]) == 0
    assert "is kept until then" not in capsys.readouterr().out
    for command in ("table", "memory"):
        assert run([command, target, *given]) == 0
        assert "is kept until then" in " ".join(capsys.readouterr().out.split())
