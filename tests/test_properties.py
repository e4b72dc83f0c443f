"""Random layers and random graphs against the oracle, at every node and every unit.

The seed is fixed (set RFCALC_SEED for another); what was drawn is printed at the end of the run, and its quotas are
asserted here. ``-m exhaustive`` runs ten times as many other cases.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from checks import check, check_shapes
from graphs import Case, Distribution, graphs, parts
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from oracle import Box, Oracle, Undefined, bounds
from oracle_figures import COSTS, FREE
from oracle_rules import RULES, units
from strategies import JOINS, LAYERS, SOURCES, layers

from rfcalc import (
    Add,
    BatchNorm,
    ClassToken,
    Conv,
    ConvTranspose,
    Flatten,
    GlobalPool,
    GroupNorm,
    Identity,
    LayerNorm,
    MaxPool,
    Network,
    Pad,
    Permute,
    Report,
    Shape,
    Unknown,
    WindowAttention,
    series,
)
from rfcalc.core.expr import LAYERS as REGISTERED
from rfcalc.core.layer import Layer

SEED = int(os.environ.get("RFCALC_SEED", "20140904"))
PARTS = 4
CASES = 1_300  # of each part
PLAIN = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    print_blob=False,
)


def against_the_oracle(distribution: Distribution, cases: int, first: int) -> None:
    """Check `cases` random graphs, and that they were what they should be."""
    mine = Distribution()
    distinct: set[int] = set()

    @seed(first)
    @settings(PLAIN, max_examples=cases)
    @given(case=graphs(), source=st.integers(0, 45))
    def agrees(case: Case, source: int) -> None:
        assert {n: case.network.node(n).inputs for n, *_ in case.listed} == {n: r for n, _, r in case.listed}
        try:
            oracle = check(case.network, mine.checked, source)
        except AssertionError as error:
            raise AssertionError(smallest(case)) from error
        known = hash(repr(case.network))
        if known not in distinct:
            distinct.add(known)
            mine.add(case, oracle)

    agrees()
    distribution.merge(mine)
    assert mine.cases >= cases * 0.98
    mine.check(least_of_a_kind=-(-50 * cases // (CASES * PARTS)))


def smallest(case: Case) -> str:
    """The smallest part of a failing graph that fails, and what is wrong with it."""
    for part in parts(case):
        try:
            check(part.network, Counter())
        except AssertionError as error:
            return f"{part.network!r}\n{error}"
    return repr(case.network)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_unit_of_every_node_of_random_graphs(distribution: Distribution, part: int) -> None:
    against_the_oracle(distribution, CASES, SEED + part)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(10 * PARTS))
def test_ten_times_more_random_graphs(distribution: Distribution, part: int) -> None:
    against_the_oracle(distribution, CASES, SEED + 1000 + part)


def test_borders_that_bring_in_what_no_window_reaches() -> None:
    """Every window of the last map lies in gaps of the transposed convolution; the border before it sees pixels."""
    gaps = ConvTranspose(2, 2, stride=2, padding=((2, 0),), dilation=2, bias=False) >> Pad(
        ((1, 0), (3, 3)), "replicate"
    )
    network = Network(gaps >> Conv(1, 1, stride=(2, 1), padding="SAME", bias=False, border="reflect"), "1x2x2")
    check(network, Counter())
    field = Report(network).rows[-1].receptive_field
    assert field.status == "shift_variant"
    assert field.hull == ((0, 1), (0, 1))


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_each_kind_by_itself(kind: str) -> None:
    @seed(SEED)
    @settings(PLAIN, max_examples=60)
    @given(drawn=layers(kind), through_padding=st.booleans())
    def agrees(drawn: tuple[Layer, Shape], through_padding: bool) -> None:
        layer, x = drawn
        assert layer.kind == kind
        nodes: list[tuple[str, Layer, list[str]]] = [("layer", layer, ["input"])]
        y = layer.output(x)
        if through_padding and y.channel == 0 and y.rank:
            nodes.append(("after", Conv(1, 3, padding=2), ["layer"]))
        check(Network.from_nodes(nodes, x), Counter())

    agrees()


def test_global_paths_leave_the_local_windows_as_they_are() -> None:
    """Normalisation over space makes a node global; the local receptive field beside it is that without it."""

    @seed(SEED)
    @settings(PLAIN, max_examples=300)
    @given(case=graphs(flavours=("local", "decoder", "windows"), two_inputs=0), which=st.integers(0, 3))
    def agrees(case: Case, which: int) -> None:
        over_space = (GroupNorm(1), LayerNorm("all"), BatchNorm(training=True), GroupNorm(1, affine=False))[which]
        quiet = ("activation", "batchnorm", "scale", "dropout", "identity", "lrn", "position_table")
        changed = {name for name, layer, _ in case.listed if layer.kind in quiet}
        shape = case.network.inputs["input"]
        reports = [
            Report(Network.from_nodes([(n, new if n in changed else v, r) for n, v, r in case.listed], shape))
            for new in (Identity(), over_space)
        ]
        for name, *_ in case.listed:
            local, wide = (report[name].receptive_field for report in reports)
            if local.status not in ("exact", "periodic"):
                continue
            assert wide.windows == local.windows, (name, local, wide)
            assert wide.status in (local.status, "global")
            assert set(wide.through) <= changed
            assert (wide.status == "global") == bool(wide.through)

    agrees()


# --- the oracle itself -----------------------------------------------------------------------------------------


def test_boxes_are_hulls_of_sets() -> None:
    """The oracle's two ways, by sets and by hulls, agree; where padding plays no part, so do its real pixels."""

    @seed(SEED)
    @settings(PLAIN, max_examples=150)
    @given(case=graphs(most=10))
    def agrees(case: Case) -> None:
        oracle = Oracle(case.network)
        for position, shape in enumerate(oracle.shapes):
            real = oracle.clipped(position)
            for unit in units(shape)[:12]:
                box, points = oracle.box(position, unit), oracle.points(position, unit)
                if isinstance(box, Undefined) or isinstance(points, Undefined) or not shape.rank:
                    continue
                assert bounds(points) == box or not oracle.shapes[0].rank
                if oracle.snug[position]:
                    assert real[unit] == points

    agrees()


def box_of(network: Network, unit: tuple[int, ...]) -> Box:
    box = Oracle(network).box(len(network.nodes), unit)
    assert box is not None
    assert not isinstance(box, Undefined)
    return box


def test_the_oracle_knows_published_values() -> None:
    """Three 3-convolutions see 7; VGG-16's pool5 sees 212, 32 apart, 90 before; WaveNet's dilations see 1,024."""
    assert box_of(Network(Conv(1, 3) * 3, "1x20"), (2,)) == ((2, 8),)
    stages = [[Conv(1, 3, padding=1)] * count + [MaxPool(2)] for count in (2, 2, 3, 3, 3)]
    vgg = Network(series([layer for stage in stages for layer in stage]), "1x224")
    assert box_of(vgg, (0,)) == ((-90, 121),)
    assert box_of(vgg, (3,)) == ((6, 217),)
    wavenet = Network(series([Conv(1, 2, dilation=2**i) for i in range(10)]), "1x1100")
    assert box_of(wavenet, (0,)) == ((0, 1023),)
    assert len(Oracle(wavenet).points(10, (0,))) == 1024  # type: ignore[arg-type]


def test_the_oracle_does_not_merge_axes() -> None:
    """1×3 beside 3×1 touches 5 pixels, not 9."""
    plus = Network(Conv(1, (1, 3), padding=((0, 0), (1, 1))) + Conv(1, (3, 1), padding=((1, 1), (0, 0))), "1x5x5")
    oracle = Oracle(plus)
    assert oracle.clipped(3)[2, 2] == {(2, 2), (1, 2), (3, 2), (2, 1), (2, 3)}
    assert oracle.box(3, (2, 2)) == ((1, 3), (1, 3))


def test_the_oracle_clips_at_every_map() -> None:
    """n = 10, conv k3 s2, then conv k3 p1: the last unit really sees pixels 4–8."""
    oracle = Oracle(Network(Conv(1, 3, stride=2) >> Conv(1, 3, padding=1), "1x10"))
    assert oracle.clipped(2)[(3,)] == {(4,), (5,), (6,), (7,), (8,)}
    assert oracle.box(2, (3,)) == ((4, 10),)


def test_the_oracle_sees_nothing_in_gaps() -> None:
    oracle = Oracle(Network(ConvTranspose(1, 1, stride=3), "1x3"))
    assert [oracle.box(1, (u,)) for u in range(4)] == [((0, 0),), None, None, ((1, 1),)]


def test_the_oracle_shifts_windows() -> None:
    """Six positions, windows of 4 shifted by 2: padded to 8; the mask keeps the rolled end apart."""
    masked = Oracle(Network(WindowAttention(1, 4, 2), "1x6")).clipped(1)
    assert [sorted(p for (p,) in masked[u,]) for u in range(6)] == [[0, 1]] * 2 + [[2, 3, 4, 5]] * 4
    unmasked = Oracle(Network(WindowAttention(1, 4, 2, masked=False), "1x8")).clipped(1)
    assert sorted(p for (p,) in unmasked[0,]) == [0, 1, 6, 7]


# --- what the oracle leaves open, or random graphs seldom hold ---------------------------------------------------


@pytest.mark.parametrize("shape", ["2x1x5", "2x5x1", "2x1x5x1"])
def test_a_flattened_row_is_a_signal(shape: str) -> None:
    """Merging axes of one position with another changes nothing: three taps see three positions, one apart."""
    rf = Report(Network(Flatten(1) >> Conv(1, 3, padding=1), shape))["conv1"].receptive_field
    at = shape.split("x").index("5") - 1
    assert (rf.status, rf.size[at], rf.stride[at], rf.padding[at]) == ("exact", 3, 1, 1)


def test_a_node_without_inputs_stays_without_inputs() -> None:
    nodes = [("a", Identity(), ["input"]), ("b", Unknown((3, 4)), []), ("c", Add(), ["a", "b"])]
    assert Network.from_nodes(nodes, "3x4").node("b").inputs == ()


def test_one_unit_has_no_stride_that_could_differ() -> None:
    """Two paths of unequal strides to one position: its hull is exact."""
    network = Network((Conv(1, 2, stride=2) >> Flatten()) + (Conv(1, 2) >> Flatten()), "1x2")
    rf = Report(network)["add1"].receptive_field
    assert rf.status == "exact"
    assert rf.size == (2,)


def test_a_class_token_sees_nothing() -> None:
    network = Network(GlobalPool() >> Flatten(1) >> Permute((1, 0)) >> ClassToken(), "2x3x3")
    check(network, Counter())


# --- nothing is left out ---------------------------------------------------------------------------------------


def covered(kinds: set[str]) -> None:
    assert kinds == {*LAYERS, *JOINS, *SOURCES}
    assert kinds == set(RULES)
    assert kinds == {*COSTS, *FREE}


def test_every_registered_kind_is_drawn_and_known_to_the_oracle() -> None:
    kinds = {kind.kind for kind in REGISTERED.values()}
    covered(kinds)
    with pytest.raises(AssertionError):
        covered(kinds | {"a new kind"})


def test_the_quotas_can_fail() -> None:
    network = Network(Conv(1, 3), "1x8")
    counted = Distribution()
    counted.add(Case(network, "local", ()), Oracle(network))
    with pytest.raises(AssertionError):
        counted.check(1)


def test_a_wrong_shape_is_seen() -> None:
    network = Network(Conv(1, 3), "1x8")
    oracle = Oracle(network)
    check_shapes(Report(network), oracle)
    oracle.shapes[1] = Shape(1, 7)
    with pytest.raises(AssertionError):
        check_shapes(Report(network), oracle)
