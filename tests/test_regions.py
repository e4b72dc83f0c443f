"""Regions of units, in real pixels: every unit of every node against brute force, and by hand."""

from __future__ import annotations

import pytest
from graphs import Case, graphs
from hypothesis import HealthCheck, Phase, given, seed, settings
from oracle import Oracle

import rfcalc
from rfcalc import (
    AdaptivePool,
    ClassToken,
    Conv,
    ConvTranspose,
    Flatten,
    Identity,
    MaxPool,
    Network,
    Pad,
    Permute,
    ReLU,
    Reshape,
    RfcalcError,
    Roll,
    SelfAttention,
    Shape,
    Slice,
    Unknown,
    WindowAttention,
    WindowPartition,
)
from rfcalc.core.window import resolve
from rfcalc.receptive.region import Region
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.report import Report

DEFAULT, EXHAUSTIVE = 1250, 12500
# no shrinking: a failing network is printed as drawn, and shrinking a graph takes minutes
QUIET = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)


def compare(case: Case) -> None:
    """All units of all nodes, and what one pixel reaches."""
    network = case.network
    report = Report(network)
    walked = report
    for source in range(network.arity):
        oracle = Oracle(network, source)
        for position in range(network.arity, len(walked.shapes)):
            if oracle.unknown[position]:
                try:
                    found = regions(walked, position, source)
                except RfcalcError:
                    continue
                assert not any(  # what was not understood reads only what sees no pixel
                    pixels or not sources
                    for node, sources in zip(network.nodes, network.sources, strict=True)
                    if node.layer.opaque
                    for s in sources
                    if not oracle.unknown[s]
                    for pixels in oracle.clipped(s).values()
                )
                continue
            found = regions(walked, position, source)
            clipped = oracle.clipped(position)
            field = report.fields[source][position]
            bounded = found.bounded or (
                field is not None and bool(field.bounded)
            )  # what is seen is within what is told
            where = (network, network.nodes[position - network.arity].name)
            assert set(found.units()) == set(clipped), where
            for unit, pixels in clipped.items():
                region = found.unit(unit)
                if bounded:
                    assert set(region.pixels()) >= pixels, (where, unit)
                    continue
                assert set(region.pixels()) == pixels, (where, unit)
                assert region.count == len(pixels), (where, unit)
                if pixels:
                    hull = tuple((min(p), max(p)) for p in zip(*pixels, strict=True))
                    assert region.hull == hull, (where, unit)
        last = len(walked.shapes) - 1
        if not oracle.unknown[last]:
            found = regions(walked, last, source)
            clipped = oracle.clipped(last)
            field = report.fields[source][last]
            if found.bounded or (field is not None and field.bounded):
                continue
            pixel = tuple(n // 2 for n in walked.shapes[source].spatial)
            assert set(found.reached_by(pixel)) == {u for u, pixels in clipped.items() if pixel in pixels}
            everything = frozenset().union(*clipped.values())
            assert set(found.all.pixels()) == everything
            sizes: dict[tuple[int, ...], int] = {}
            for pixels in clipped.values():
                axes = list(zip(*pixels, strict=True)) or [()] * len(pixel)
                size = tuple(max(p) - min(p) + 1 if p else 0 for p in axes)
                sizes[size] = sizes.get(size, 0) + 1
            assert found.sizes() == sizes


@pytest.mark.parametrize("part", range(4))
def test_every_unit_of_random_networks(part: int) -> None:
    @seed(20140904 + part)
    @settings(QUIET, max_examples=DEFAULT)
    @given(graphs())
    def check(case: Case) -> None:
        compare(case)

    check()


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(4))
def test_every_unit_of_very_many_networks(part: int) -> None:
    @seed(20150904 + part)
    @settings(QUIET, max_examples=EXHAUSTIVE)
    @given(graphs())
    def check(case: Case) -> None:
        compare(case)

    check()


def of(expr: rfcalc.Expr, shape: object, unit: tuple[int, ...] = (), at: str | None = None) -> Region:
    network = Network(expr, shape)
    return regions(Report(network), at or network.outputs[0]).unit(unit)


def test_one_of_vgg16s_pool5_units_sees_all_of_its_field() -> None:
    pool5 = regions(rfcalc.analyze("vgg16"), "pool5")
    assert [pool5.unit((i, 3)).size for i in range(7)] == [(n, 212) for n in (122, 154, 186, 212, 186, 154, 122)]
    assert sum(pool5.unit(u).size == (212, 212) for u in pool5.units()) == 1
    assert pool5.unit((0, 6)).hull == ((0, 121), (102, 223))


def test_a_vector_that_becomes_positions_again_tells_them_apart() -> None:
    """Channel i·10 + j of the vector is channel i at position j: laid out as 20 positions, each sees one pixel."""
    for shape, layers in (("1x10", "flatten > reshape10x1x1 channel2"), ("2x10", "flatten > reshape20x1 channel1")):
        report = rfcalc.analyze(layers, shape)
        found = regions(report, len(report.shapes) - 1)
        for unit in found.units():
            assert list(found.unit(unit).pixels()) == [(unit[0] % 10,)]
            assert UnitWalk(report, len(report.shapes) - 1, unit).region.count == 1


@pytest.mark.parametrize(("border", "pixel"), [("replicate", 2), ("reflect", 0), ("circular", 1)])
def test_a_window_in_a_border_of_real_pixels_on_one_axis_only(border: str, pixel: int) -> None:
    """Positions 0 and 4 of both axes: the second lies on the map of six, in the border of the map of three."""
    layer = Conv(1, 1, stride=4, padding=((0, 2),), border=border)
    assert list(of(layer, "1x6x3", (1, 1)).pixels()) == [(4, pixel)]
    assert Report(Network(layer, "1x6x3"))["conv1"].receptive_field.hull == ((0, 4), (0, 2))


def test_clipping_happens_at_every_map() -> None:
    assert of(Conv(1, 3, stride=2) >> Conv(1, 3, padding=1), "1x10", (3,)).hull == ((4, 8),)


def test_padding_that_is_not_zero_brings_real_pixels() -> None:
    assert of(Pad(3, "reflect") >> Conv(1, 1), "1x8", (0,)).hull == ((3, 3),)
    assert of(Conv(1, 3, padding=1, border="circular"), "1x8", (0,)).pixels().__next__() == (0,)
    assert list(of(Conv(1, 3, padding=1, border="circular"), "1x8", (0,)).pixels()) == [(0,), (1,), (7,)]
    assert [resolve(i, 4, "reflect") for i in range(-3, 7)] == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]


def test_support_is_not_the_product_of_the_axes() -> None:
    wide, tall = Conv(1, (1, 3), padding=((0, 0), (1, 1))), Conv(1, (3, 1), padding=((1, 1), (0, 0)))
    region = of(wide + tall, "1x9x9", (4, 4))
    assert (region.count, region.size, region.density) == (5, (3, 3), (5, 9))
    assert ((4, 3) in region, (3, 3) in region) == (True, False)


def test_holes_of_dilation() -> None:
    region = of(Conv(1, 3, dilation=2) >> Conv(1, 3, dilation=4), "1x40", (3,))
    assert (region.count, region.size, region.gaps) == (7, (13,), (1,))


def test_units_that_see_nothing() -> None:
    gaps = Network(ConvTranspose(1, 1, stride=2), "1x4")
    found = regions(Report(gaps), "conv_transpose1")
    assert [found.unit((u,)).count for u in range(7)] == [1, 0, 1, 0, 1, 0, 1]
    padded = Network(Conv(1, 1, padding=1), "1x4")
    assert regions(Report(padded), "conv1").unit((0,)).empty


def test_different_strides_meet_exactly() -> None:
    join = (MaxPool(2) >> Pad(((0, 4),))) + Identity()
    found = regions(Report(Network(join, "1x8")), "add1")
    assert [list(found.unit((u,)).pixels()) for u in (0, 3, 7)] == [[(0,), (1,)], [(3,), (6,), (7,)], [(7,)]]


def test_masked_and_unmasked_windows() -> None:
    shape = Shape(8, 2, channel=1)
    masked = of(WindowAttention(1, 4, 2), shape, (0,))
    unmasked = of(WindowAttention(1, 4, 2, masked=False), shape, (0,))
    assert list(masked.pixels()) == [(0,), (1,)]
    assert list(unmasked.pixels()) == [(0,), (1,), (6,), (7,)]


def test_positions_that_are_rearranged() -> None:
    assert list(of(Roll(1) >> Conv(1, 3, padding=1), "1x6", (1,)).pixels()) == [(0,), (1,), (5,)]
    cut = WindowPartition(2) >> Conv(1, (1, 2))
    assert list(of(cut, "1x4x4", (1, 1)).pixels()) == [(0, 3), (1, 2)]
    assert list(of(Reshape((1, 2, 6)) >> Slice(1, 0, 1), "1x12", (0, 5)).pixels()) == [(5,)]
    tokens = Conv(2, 2, stride=2) >> Flatten(1) >> Permute((1, 0)) >> ClassToken()
    assert of(tokens, "1x4x4", (0,)).empty
    assert of(tokens, "1x4x4", (2,)).hull == ((0, 1), (2, 3))
    assert of(tokens >> SelfAttention(1), "1x4x4", (0,)).count == 16


def test_unequal_windows_of_adaptive_pooling() -> None:
    assert [of(AdaptivePool(3), "1x5", (u,)).hull for u in range(3)] == [((0, 1),), ((1, 3),), ((3, 4),)]


def test_what_one_pixel_reaches() -> None:
    found = regions(Report(Network(Conv(1, 3, stride=2), "1x3x9")), "conv1")
    assert found.reached_by((0, 4)) == ((0, 1), (0, 2))
    assert found.all.count == 27


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: of(Conv(1, 3), "1x9", (7,)), ["no unit 7", "the units are 7"]),
        (lambda: of(Conv(1, 3), "1x9x9", (1,)), ["no unit 1"]),
        (lambda: of(Unknown((1, 9)) >> ReLU(), "1x9", (0,)), ["unknown1", "not understood"]),
        (lambda: regions(Report(Network(Conv(1, 3), "1x9")), "conv1").reached_by((9,)), ["no pixel 9"]),
    ],
)
def test_what_cannot_be_told(made, words) -> None:
    with pytest.raises(RfcalcError) as caught:
        made()
    assert all(word in str(caught.value) for word in words), str(caught.value)
