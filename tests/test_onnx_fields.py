"""Which pixels every unit sees, against the onnx package's reference implementation, one pixel at a time."""

from __future__ import annotations

from itertools import product

import pytest
from onnx_bytes import chain, node, tensor

numpy = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")

from rfcalc.readers.onnx import from_onnx  # noqa: E402
from rfcalc.report import Report  # noqa: E402
from rfcalc.report.field_report import FieldReport  # noqa: E402

KERNEL = [tensor("w", [2, 2, 3, 3], [1.0 + i % 7 for i in range(36)])]
SCALES = [tensor("s", [4], [1.0, 1.0, 2.0, 3.0])]
SIZES = [tensor("s", [4], [1, 2, 7, 3], 7)]
PADS = [tensor("p", [8], [0, 0, 1, 2, 0, 0, 3, 0], 7)]


def resize(mode: str, where: str, rounding: str = "floor", sizes: bool = False) -> bytes:
    names = "x - - s" if sizes else "x - s"
    told = {"mode": mode, "coordinate_transformation_mode": where, "nearest_mode": rounding}
    return chain(node("Resize", names, "y", **told), given=GIVEN, tensors=SIZES if sizes else SCALES)


GIVEN = (1, 2, 6, 5)
CASES: dict[str, bytes] = {
    "conv": chain(node("Conv", "x w", "y", pads=[1, 0, 2, 1], strides=[2, 1]), given=GIVEN, tensors=KERNEL),
    "dilated": chain(node("Conv", "x w", "y", pads=[2] * 4, dilations=[2, 1]), given=GIVEN, tensors=KERNEL),
    "SAME_UPPER": chain(node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 2]), given=GIVEN, tensors=KERNEL),
    "SAME_LOWER": chain(node("Conv", "x w", "y", auto_pad="SAME_LOWER", strides=[2, 2]), given=GIVEN, tensors=KERNEL),
    "transposed": chain(
        node("ConvTranspose", "x w", "y", strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 0]),
        given=GIVEN,
        tensors=KERNEL,
    ),
    "average": chain(
        node("AveragePool", "x", "y", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]), given=GIVEN
    ),
    "pad reflect": chain(node("Pad", "x p", "y", mode="reflect"), given=GIVEN, tensors=PADS),
    "pad edge": chain(node("Pad", "x p", "y", mode="edge"), given=GIVEN, tensors=PADS),
    "nearest": resize("nearest", "asymmetric"),
    "nearest half": resize("nearest", "half_pixel", "round_prefer_floor"),
    "nearest half to a size": resize("nearest", "half_pixel", "round_prefer_ceil", sizes=True),
    "linear": resize("linear", "half_pixel"),
    "linear to a size": resize("linear", "half_pixel", sizes=True),
    "linear corners": resize("linear", "align_corners"),
    "cubic": resize("cubic", "half_pixel"),
    "slice": chain(
        node("Slice", "x a b c d", "y"),
        given=GIVEN,
        tensors=[
            tensor("a", [2], [1, -4], 7),
            tensor("b", [2], [100, -1], 7),
            tensor("c", [2], [2, 3], 7),
            tensor("d", [2], [2, 1], 7),
        ],
    ),
    "space to depth": chain(node("SpaceToDepth", "x", "y", blocksize=2), given=(1, 2, 6, 4)),
    "depth to space": chain(node("DepthToSpace", "x", "y", blocksize=2), given=(1, 4, 3, 4)),
    "mean of rows": chain(node("ReduceMean", "x", "y", axes=[2]), given=GIVEN),
    "transpose": chain(node("Transpose", "x", "y", perm=[0, 1, 3, 2]), given=GIVEN),
    "gather": chain(node("Gather", "x i", "y", axis=3), given=GIVEN, tensors=[tensor("i", [2], [1, 3], 7)]),
    "beside each other": chain(
        node("Conv", "x w", "c", pads=[1] * 4), node("Concat", "x c", "y", axis=2), given=GIVEN, tensors=KERNEL
    ),
    "gate": chain(node("GlobalAveragePool", "x", "g"), node("Sigmoid", "g", "s"), node("Mul", "x s", "y"), given=GIVEN),
}


def measured(source: bytes) -> dict[tuple[int, ...], set[tuple[int, ...]]]:
    """For every unit (a position over all channels) the pixels whose change is seen."""
    from onnx.reference import ReferenceEvaluator

    run = ReferenceEvaluator(onnx.load_from_string(source))
    shape = tuple(d.dim_value for d in onnx.load_from_string(source).graph.input[0].type.tensor_type.shape.dim)
    chance = numpy.random.default_rng(0)
    x = chance.uniform(1, 2, shape).astype(numpy.float32)
    (before,) = run.run(None, {"x": x})
    found: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for pixel in product(*map(range, shape[2:])):
        changed = x.copy()
        changed[(slice(None), slice(None), *pixel)] += chance.uniform(50, 90, shape[:2]).astype(numpy.float32)
        (after,) = run.run(None, {"x": changed})
        moved = (abs(after - before) > 1e-3).any(axis=(0, 1))
        for unit in zip(*numpy.nonzero(moved), strict=True):
            found.setdefault(tuple(map(int, unit)), set()).add(pixel)
    return found


def told(source: bytes) -> dict[tuple[int, ...], set[tuple[int, ...]]]:
    """The pixels of every unit that sees any, as rfcalc has them."""
    field_report = FieldReport(Report(from_onnx(source).network))
    found = {unit: set(field_report.unit(unit).pixels()) for unit in product(*map(range, field_report.shape))}
    return {unit: pixels for unit, pixels in found.items() if pixels}


@pytest.mark.parametrize("name", CASES)
def test_every_unit_sees_what_the_reference_shows(name: str) -> None:
    source = CASES[name]
    assert from_onnx(source).complete
    assert told(source) == measured(source)


def test_control_another_padding_is_seen() -> None:
    assert told(CASES["SAME_UPPER"]) != measured(CASES["SAME_LOWER"])
