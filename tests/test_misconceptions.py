"""Misconceptions: each makes the wrong numbers that people write, and says nothing where it makes no difference."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

import rfcalc
from rfcalc import Shape
from rfcalc.core.errors import UnknownName
from rfcalc.teaching.case import FIGURES, Case, Seen, cases, right
from rfcalc.teaching.misconceptions import MISCONCEPTIONS, fill, likely, ordered, wrong, wrong_totals

HALF = Fraction(15, 2)
# misconception, layer, input, what is seen before (size, stride), figure, right number, wrong number
EXAMPLES = [
    ("bias-forgotten", "conv3-8", "3x16x16", (1, 1), "params", 224, 216),
    ("bias-at-every-position", "conv3-8", "3x16x16", (1, 1), "params", 224, 216 + 8 * 256),
    ("bias-counted-anyway", "conv3-8 nobias", "3x16x16", (1, 1), "params", 216, 224),
    ("bias-per-input-channel", "conv3-8", "3x16x16", (1, 1), "biases", 8, 3),
    ("channels-forgotten", "conv3-8", "3x16x16", (1, 1), "params", 224, 80),
    ("channels-forgotten", "flatten", "8x5x5", (1, 1), "output_shape", (200,), (25,)),
    ("params-grow-with-image", "conv3-8", "3x16x16", (1, 1), "params", 224, 216 * 256 + 8),
    ("weights-used-once", "conv3-8", "3x16x16", (1, 1), "macs", 216 * 256, 216),
    ("padding-once", "conv5-8 p2", "3x16x16", (1, 1), "output_shape", (8, 16, 16), (8, 14, 14)),
    ("padding-once", "pad2", "8x15x15", (1, 1), "output_shape", (8, 19, 19), (8, 17, 17)),
    ("padding-of-depth", "pad2", "8x15x15", (1, 1), "output_shape", (8, 19, 19), (12, 19, 19)),
    ("padding-forgotten", "conv5-8 p2", "3x16x16", (1, 1), "output_shape", (8, 16, 16), (8, 12, 12)),
    ("padding-in-field", "conv3-8 p1", "3x16x16", (3, 1), "receptive_field", (5, 5), (7, 7)),
    ("depth-kept", "conv3-8", "3x16x16", (1, 1), "output_shape", (8, 16, 16), (3, 16, 16)),
    ("stride-ignored", "conv3-8/2 p1", "3x16x16", (1, 1), "output_shape", (8, 8, 8), (8, 16, 16)),
    ("stride-ignored", "conv3-8/2 p1", "3x16x16", (1, 1), "stride", (2, 2), (1, 1)),
    ("rounded-up", "maxpool3/2", "8x16x16", (1, 1), "output_shape", (8, 7, 7), (8, 8, 8)),
    ("rounded-down", "maxpool3/2 ceil", "8x16x16", (1, 1), "output_shape", (8, 8, 8), (8, 7, 7)),
    ("not-rounded", "maxpool3/2", "8x16x16", (1, 1), "output_shape", (8, 7, 7), (8, HALF, HALF)),
    ("own-stride-in-growth", "conv3-8/2", "3x16x16", (5, 2), "receptive_field", (9, 9), (13, 13)),
    ("fields-added", "conv3-8", "3x16x16", (5, 1), "receptive_field", (7, 7), (8, 8)),
    ("fields-multiplied", "conv3-8", "3x16x16", (5, 1), "receptive_field", (7, 7), (15, 15)),
    ("off-by-one-layer", "conv3-8", "3x16x16", (5, 2), "receptive_field", (9, 9), (5, 5)),
    ("kernel-not-widened", "conv3-8 d2", "3x16x16", (5, 1), "receptive_field", (9, 9), (7, 7)),
    ("dilation-from-zero", "conv3-8 d2", "3x16x16", (5, 1), "receptive_field", (9, 9), (11, 11)),
    ("dilation-from-zero", "conv3-8 p0 d2", "3x16x16", (1, 1), "output_shape", (8, 12, 12), (8, 10, 10)),
    ("side-as-radius", "conv3-8", "3x16x16", (5, 2), "receptive_field", (9, 9), (4, 4)),
    ("kernel-not-squared", "conv3-8", "3x16x16", (1, 1), "params", 224, 80),
    ("pooling-changes-depth", "maxpool2", "8x16x16", (1, 1), "output_shape", (8, 8, 8), (4, 8, 8)),
    ("pooling-has-parameters", "maxpool2", "8x16x16", (1, 1), "params", 0, 4),
    ("pooling-not-seen", "maxpool2", "8x16x16", (5, 2), "receptive_field", (7, 7), (5, 5)),
    ("statistics-as-parameters", "bn", "8x16x16", (1, 1), "params", 16, 32),
    ("flops-for-macs", "conv3-8", "3x16x16", (1, 1), "macs", 55296, 110592),
    ("values-for-bytes", "conv3-8", "3x16x16", (1, 1), "bytes", 8192, 2048),
    ("bits-for-bytes", "conv3-8", "3x16x16", (1, 1), "bytes", 8192, 65536),
    ("kernel-as-field", "conv3-8", "3x16x16", (5, 2), "receptive_field", (9, 9), (3, 3)),
    ("image-as-field", "conv3-8", "3x16x16", (5, 2), "receptive_field", (9, 9), (64, 64)),
    ("one-forgotten", "conv3-8/2 p1", "3x16x16", (1, 1), "output_shape", (8, 8, 8), (8, 7, 7)),
    ("strides-before-ignored", "conv3-8", "3x16x16", (5, 2), "receptive_field", (9, 9), (7, 7)),
    ("strides-added", "conv3-8/3", "3x16x16", (5, 2), "stride", (6, 6), (5, 5)),
    ("own-stride-as-effective", "conv3-8/3", "3x16x16", (5, 2), "stride", (6, 6), (3, 3)),
    ("transposed-as-convolution", "convT4-8/2", "3x16x16", (1, 1), "output_shape", (8, 34, 34), (8, 7, 7)),
    ("only-times-stride", "convT3-8/2", "3x16x16", (1, 1), "output_shape", (8, 33, 33), (8, 32, 32)),
    ("crop-added", "convT4-8/2 p1", "3x16x16", (1, 1), "output_shape", (8, 32, 32), (8, 36, 36)),
    ("one-filter-only", "conv3-8", "3x16x16", (1, 1), "params", 224, 28),
    ("positions-of-the-input", "conv3-8/2", "3x16x16", (1, 1), "macs", 216 * 64, 216 * 256),
    ("groups-ignored", "conv3-8 g4", "4x16x16", (1, 1), "params", 80, 296),
    ("bias-as-multiply-add", "conv3-8", "3x16x16", (1, 1), "macs", 55296, 57344),
    ("pairs-added", "fc10", "64", (), "weights", 640, 74),
    ("one-weight-an-input", "fc10", "64", (), "weights", 640, 64),
]


def case(notation: str, shape: str, before: tuple[int, ...]) -> Case:
    (node,) = rfcalc.load(notation).nodes
    x = Shape.parse(shape)
    seen = Seen((before[0],) * x.rank, (before[1],) * x.rank) if before else None
    return Case(node.layer, (x,), (seen,), (64, 64))


@pytest.mark.parametrize(("name", "notation", "shape", "before", "figure", "key", "value"), EXAMPLES)
def test_what_each_writes(name, notation, shape, before, figure, key, value) -> None:  # type: ignore[no-untyped-def]
    found = case(notation, shape, before)
    assert right(found, figure) == key
    assert value in MISCONCEPTIONS[name].wrong(found, figure)
    assert any(m.name == name for m in likely(found, figure, value))


def test_every_rule_of_a_layer_has_an_example() -> None:
    told = {e[0] for e in EXAMPLES}
    joins = {"depths-not-summed", "depths-summed", "paths-added", "shortest-path"}
    untold = {m.name for m in ordered() if m.rules} - told - joins - {"batch-forgotten"}
    assert not untold


def test_joins() -> None:
    report = rfcalc.analyze("conv3-8 > (conv1-4 | conv5-6) > (conv3-10 + identity)", "3x32x32")
    by_name = dict(zip((n.name for n in report.network.nodes), cases(report), strict=True))
    assert MISCONCEPTIONS["depths-not-summed"].wrong(by_name["concat1"], "output_shape") == ((6, 32, 32), (4, 32, 32))
    fields = {w.name: w.value[0] for w in wrong(by_name["concat1"], "receptive_field")}
    assert right(by_name["concat1"], "receptive_field") == (7, 7)
    assert (fields["paths-added"], fields["shortest-path"]) == (10, 3)
    assert {w.name: w.value for w in wrong(by_name["add1"], "output_shape")}["depths-summed"] == (20, 32, 32)


def test_the_list_of_codes_is_complete() -> None:
    codes = {m.code for m in ordered()}
    assert {f"M{i}" for i in range(1, 19)} <= codes
    names = [m.name for m in ordered()]
    assert len(set(names)) == len(names)
    for m in ordered():
        assert re.fullmatch(r"[MN]\d+", m.code) and m.title and m.feedback.endswith(".")
        assert m.rules or m.whole or m.name == "one-convolution-a-block"
        assert set(m.rules) <= set(FIGURES)


def test_wrong_numbers_differ_from_the_right_one_and_from_each_other() -> None:
    for target, shape in (("vgg11", "3x224x224"), ("resnet18", "3x64x64"), ("lenet5-modern", "1x32x32")):
        report = rfcalc.analyze(target, shape)
        for found in cases(report):
            for figure in FIGURES:
                values = [w.value for w in wrong(found, figure)]
                assert right(found, figure) not in values
                assert len(set(values)) == len(values)


def test_totals() -> None:
    report = rfcalc.analyze("conv3-8 bn relu > maxpool2 > conv3-16", "3x16x16", batch=2)
    found = {f: {w.name: w.value for w in wrong_totals(report, f)} for f in ("params", "values", "bytes", "peak_bytes")}
    assert found["params"]["bias-forgotten"] == report.totals.params - 8 - 16
    assert found["params"]["statistics-as-parameters"] == report.totals.params + 16
    assert found["peak_bytes"]["sum-as-peak"] == report.totals.bytes
    assert found["values"]["batch-forgotten"] * 2 == report.totals.values
    assert found["values"]["in-place-counted"] == report.totals.values + 2 * 8 * 16 * 16
    assert found["bytes"]["input-forgotten"] == report.totals.bytes - 2 * 3 * 256 * 4


def test_a_table_carries_a_mistake_forward() -> None:
    report = rfcalc.analyze("conv3-8/2 > maxpool2 > conv3-16", "3x32x32")
    rows = fill(report, {2: MISCONCEPTIONS["own-stride-in-growth"]})
    assert [r.seen and r.seen.size[0] for r in rows] == [3, 7, 15]
    rows = fill(report, {1: MISCONCEPTIONS["stride-ignored"]})
    assert [r.figure("output_shape") for r in rows] == [(8, 32, 32), (8, 16, 16), (16, 16, 16)]
    assert [r.figure("macs") for r in rows][2] == 9 * 8 * 16 * 256
    assert [s.figure("params") for s in fill(report, {})] == [r.params for r in report]


def test_the_right_table_is_the_report() -> None:
    for target in ("vgg16", "resnet18", "googlenet", "mobilenet-v1"):
        report = rfcalc.analyze(target)
        for row, sheet in zip(report, fill(report, {}), strict=True):
            assert sheet.shape == row.shape
            if sheet.seen is not None and row.receptive_field.status == "exact":
                assert (sheet.seen.size, sheet.seen.stride) == (row.receptive_field.size, row.receptive_field.stride)


def test_unknown_figure() -> None:
    with pytest.raises(UnknownName, match="did you mean params"):
        wrong(case("conv3-8", "3x16x16", (1, 1)), "param")


def test_the_page_lists_them() -> None:
    page = (Path(__file__).parent.parent / "docs" / "teaching.md").read_text(encoding="utf-8")
    rows = [f"| {m.code} | `{m.name}` | {m.title} |" for m in ordered()]
    assert "\n".join(rows) in page
