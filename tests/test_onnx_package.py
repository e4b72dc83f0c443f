"""The onnx package's own models: sample networks and a test of every operator, with shapes as ONNX infers them."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("onnx")

import torch
from onnx_cases import networks, operators, stored
from onnx_run import run

from rfcalc.core.errors import RfcalcError, ShapeError
from rfcalc.readers.onnx import from_onnx
from rfcalc.receptive.region_walk import regions
from rfcalc.report import Report

# What the networks are known to have, from their papers and Caffe's model files; buffers are not parameters.
KNOWN = {
    "light_bvlc_alexnet": (60_965_224, 654_560_384),
    "light_densenet121": (8_062_504, 2_834_161_664),
    "light_inception_v1": (6_998_552, 1_431_556_352),
    "light_resnet50": (25_557_032, 4_089_184_256),
    "light_squeezenet": (1_235_496, 349_151_936),
    "light_vgg19": (143_667_240, 19_632_062_464),
}


@pytest.mark.parametrize("path", networks(), ids=lambda p: p.stem)
def test_networks(path: Path) -> None:
    """Complete, and every shape is that of ONNX's own inference."""
    import onnx

    read = from_onnx(path)
    assert read.complete
    report = Report(read.network)
    if path.stem in KNOWN:
        assert (report.totals.params, report.totals.macs) == KNOWN[path.stem]
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path))
    told = from_onnx(inferred.SerializeToString())
    assert len(told.shapes) > 0.9 * len([n for n in told.network.nodes if n.layer.kind != "parameter"])
    assert Report(told.network).totals.macs == report.totals.macs


def differing(read: Path | bytes, path: Path) -> list[str]:
    """Units whose region in the network that was read is not what the gradient of the file's operators shows: three
    units of four nodes all over the network, pixel by pixel."""
    report = Report(from_onnx(read).network)
    x, maps = run(path)
    rows = [r for r in report if r.shape.rank and max(r.shape.spatial) > 1 and r.name in maps]
    assert len(rows) > 10
    found = []
    for row in (rows[(len(rows) - 1) * k // 4] for k in (1, 2, 3, 4)):
        y = maps[row.name][0]
        assert tuple(y.shape) == row.shape.dims
        mixed = (y * torch.rand(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))).sum(0)
        told = regions(report, row.name)
        height, width = row.shape.spatial
        for unit in ((0, 0), (height // 2, width // 2), (height - 1, width - 1)):
            (gradient,) = torch.autograd.grad(mixed[unit], x, retain_graph=True)
            assert torch.isfinite(gradient).all()
            seen = set(map(tuple, (gradient[0] != 0).any(0).nonzero().tolist()))
            if seen != set(told.unit(unit).pixels()):
                found.append(f"{row.name} {unit}")
    return found


@pytest.mark.parametrize("path", networks(), ids=lambda p: p.stem)
def test_units_of_networks_see_what_the_gradient_shows(path: Path) -> None:
    assert not differing(path, path)


def test_control_a_shifted_border_is_seen() -> None:
    """The same shapes, one convolution's borders moved by one."""
    import onnx

    (path,) = (p for p in networks() if p.stem == "light_bvlc_alexnet")
    model = onnx.load(path)
    second = [n for n in model.graph.node if n.op_type == "Conv"][1]
    (pads,) = (a for a in second.attribute if a.name == "pads")
    assert list(pads.ints) == [2, 2, 2, 2]
    pads.ints[:] = [1, 1, 3, 3]
    assert len(differing(model.SerializeToString(), path)) >= 4


def outcome(source: bytes | Path) -> str:
    """How a model is read; a shape that differs from the file's, or a traceback, fails the test."""
    try:
        read = from_onnx(source)
    except ShapeError as error:
        if "the file says" in error.what:
            raise
        return "refused"
    except RfcalcError:
        return "refused"
    return "complete" if read.complete else "unknown"


def checked() -> Counter[str]:
    """Every operator's model, with what ONNX infers of all values written into it."""
    import onnx

    found: Counter[str] = Counter()
    for name, model in operators():
        try:
            source = onnx.shape_inference.infer_shapes(model).SerializeToString()
        except Exception:  # some of the package's models cannot be inferred
            source = model.SerializeToString()
        started = time.process_time()
        found[outcome(source)] += 1
        assert time.process_time() - started < 5, name
    return found


@pytest.mark.exhaustive
def test_operators() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = checked()
    assert found["complete"] > 950


def test_stored_models() -> None:
    """Operators as an older PyTorch exported them (opset 6), and small graphs."""
    found = Counter(outcome(path) for path in stored())
    assert found["complete"] > 90
    assert found["refused"] < 20, found
