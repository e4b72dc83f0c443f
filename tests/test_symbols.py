"""The same rules walk symbols: the formulas, with numbers put in, are the integer walk."""

from __future__ import annotations

import pytest
import sympy

import rfcalc
from rfcalc import AdaptivePool, AvgPool, Conv, Depthwise, Linear, MaxPool, Network, ReLU, Shape, Upsample
from rfcalc.core.size import assumptions

H, W, C, N = sympy.symbols("H W C N", positive=True, integer=True)


def at(value: object, **numbers: int) -> int:
    return int(sympy.sympify(value).subs({sympy.Symbol(n, positive=True, integer=True): v for n, v in numbers.items()}))


@pytest.mark.parametrize(("height", "width"), [(224, 224), (384, 256), (225, 301)])
def test_vgg16_dense_in_height_width_and_channels(height, width) -> None:
    symbolic = rfcalc.analyze("vgg16-dense", (C, H, W))
    numeric = rfcalc.analyze("vgg16-dense", (4, height, width))
    for row, exact in zip(symbolic, numeric, strict=True):
        given = {"H": height, "W": width, "C": 4}
        assert tuple(at(n, **given) for n in row.output_shape) == exact.output_shape
        assert at(row.params, **given) == exact.params
        assert at(row.macs, **given) == exact.macs
        assert row.receptive_field.size == exact.receptive_field.size
    assert at(symbolic.totals.params, C=4) == numeric.totals.params


def test_three_small_kernels_against_a_large_one() -> None:
    three = rfcalc.analyze(Network(Conv(C, 3, padding=1, bias=False) * 3), (C, H, W))
    seven = rfcalc.analyze(Network(Conv(C, 7, padding=3, bias=False)), (C, H, W))
    assert (sympy.expand(three.totals.weights), sympy.expand(seven.totals.weights)) == (27 * C**2, 49 * C**2)
    assert three.rows[-1].receptive_field.size == seven.rows[-1].receptive_field.size == (7, 7)


def test_a_symbolic_kernel_and_its_receptive_field() -> None:
    k = sympy.Symbol("k", positive=True, integer=True)
    row = rfcalc.analyze(Network(Conv(8, k, stride=2) >> MaxPool(2)), (3, 64, 64)).rows[-1]
    assert sympy.simplify(row.receptive_field.size[0] - (k + 2)) == 0
    assert row.receptive_field.stride == (4, 4)


def test_what_is_taken_for_granted_is_told() -> None:
    with assumptions() as heard:
        rfcalc.analyze(Network(Conv(8, 3)), (3, H, W))
    assert heard
    assert all("H" in text or "W" in text for text in heard)


def test_what_needs_the_input_size_says_so() -> None:
    field = (
        rfcalc.analyze(Network(Conv(8, 3, stride=2, padding="SAME") >> Conv(8, 3)), (3, H, W)).rows[-1].receptive_field
    )
    assert field.status == "needs_input_size"
    assert field.needs[0][0] == "conv1"
    assert rfcalc.analyze(Network(Conv(8, 3, padding="SAME")), (3, H, W)).rows[-1].receptive_field.status == "exact"
    assert rfcalc.analyze(Network(AdaptivePool(7)), (3, H, W)).rows[-1].receptive_field.status == "needs_input_size"
    assert rfcalc.analyze(Network(AdaptivePool(1)), (3, H, W)).rows[-1].receptive_field.status == "global"


def test_mixed_kinds_agree_with_numbers() -> None:
    network = Network(
        Conv(N, 5, stride=2, padding=2)
        >> ReLU()
        >> Depthwise(3, padding=1)
        >> Upsample(2)
        >> AvgPool(3, 2)
        >> Linear(7)
    )
    symbolic, numeric = rfcalc.analyze(network, (3, H, W)), rfcalc.analyze(network_with(16), (3, 31, 40))
    for row, exact in zip(symbolic, numeric, strict=True):
        assert tuple(at(n, H=31, W=40, N=16) for n in row.output_shape) == exact.output_shape
        for figure in ("params", "macs", "values"):
            assert at(getattr(row, figure), H=31, W=40, N=16) == getattr(exact, figure)


def network_with(channels: int) -> Network:
    return Network(
        Conv(channels, 5, stride=2, padding=2)
        >> ReLU()
        >> Depthwise(3, padding=1)
        >> Upsample(2)
        >> AvgPool(3, 2)
        >> Linear(7)
    )


def test_shapes_take_symbols() -> None:
    assert Shape(C, H, W).values == C * H * W
