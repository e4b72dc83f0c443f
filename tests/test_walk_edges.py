"""Edges of the walks that mutants showed: each against sets of positions counted one by one, or by hand."""

from __future__ import annotations

import itertools
import os
import random
import stat
from collections import Counter
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rfcalc
from rfcalc import Constant, Conv, Elementwise, Network, Permute, Recurrent, Report, Shape, Slice, ref, series
from rfcalc.core.atomic import draft
from rfcalc.core.window import Listed, Window
from rfcalc.graph.memory import new_values, overwriting
from rfcalc.receptive import fields
from rfcalc.receptive.backward import CountedBack, backward
from rfcalc.receptive.effective import effective
from rfcalc.receptive.receptive_field import ReceptiveField, fraction
from rfcalc.receptive.region import Region
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.receptive.within import banded

# branches whose windows differ, strides, gaps, positions that all units see, positions laid anew
TEXTS = [
    ("(conv3-2 | conv3-2 d3) > maxpool2", "1x12"),
    ("conv3-2 p0 > (conv1-2 | conv5-2 d2) > conv3-2/2", "1x11x9"),
    ("convT2-2/3 > conv3-2", "1x6"),
    ("conv3-2/2 > up2 > conv3-2", "1x9"),
    ("conv3-4 > reshape4x2x6 > conv3-2", "1x12"),
    ("conv3-2 > (globalavgpool > conv1-2 sigmoid) * identity", "1x7"),
    ("conv3-4/2 > flatten axes1", "1x8x6"),
    ("adaptiveavgpool3 > conv2-1 p0", "1x7x8"),
]


@pytest.mark.parametrize(("text", "shape"), TEXTS)
def test_regions_of_all_units_in_every_way_they_are_asked_for(text: str, shape: str) -> None:
    """Unit by unit, counted by size, together, from one pixel, walked back from one unit; from every earlier map."""
    report = rfcalc.analyze(text, shape)
    last = len(report.shapes) - 1
    for source, at in itertools.combinations(range(last + 1), 2):
        found = regions(report, at, source)
        seen = {u: set(found.unit(u).pixels()) for u in found.units()}
        assert found.sizes() == Counter(found.unit(u).size for u in found.units())
        assert set(found.all.pixels()) == set().union(*seen.values())
        for pixel in itertools.product(*map(range, found.source)):
            assert set(found.reached_by(pixel)) == {u for u, pixels in seen.items() if pixel in pixels}
        for unit, pixels in seen.items():
            assert set(UnitWalk(report, at, unit, source).region.pixels()) == pixels, (source, at, unit)


@pytest.mark.parametrize("name", ["resnet18", "unet", "densenet121"])
def test_what_is_counted_back_is_what_is_counted_forward(name: str) -> None:
    """Also where several nodes read one map; and a window is found wherever the strides of the readers agree."""
    report = rfcalc.analyze(name)
    at = CountedBack(report, fields(report)).last
    found = backward(report, at)
    for position in range(0, at, max(1, at // 12)):
        windows = found[position]
        assert windows is not None
        forward = ReceptiveField(fields(report, position)[at], report.shapes[position], report.shapes[at])
        assert tuple(windows[axis].size for axis in report.shapes[position].axes) == forward.size


@pytest.mark.parametrize(("kernel", "dilation", "count"), [(3, 2, 70), (2, 3, 90), (3, 1, 120), (5, 4, 1)])
def test_spreading_by_many_layers_at_once_is_spreading_by_one_after_the_other(
    kernel: int, dilation: int, count: int
) -> None:
    chain = series([*[Conv(1, kernel, dilation=dilation)] * count, Conv(1, 67)])
    length = 67 + count * dilation * (kernel - 1)
    report = Report(Network(chain, f"1x{length}"))
    (spread,) = effective(report, len(report.shapes) - 1, (0,))
    assert spread is not None
    even = np.zeros(dilation * (kernel - 1) + 1)
    even[::dilation] = 1 / kernel
    line = np.full(67, 1 / 67)
    for _ in range(count):
        line = np.convolve(line, even)
    told = np.array([spread.shares.get(p, 0.0) for p in range(length)])
    assert len(line) == length
    assert min(spread.shares) >= 0
    assert np.abs(told - line).max() < 1e-15


def test_what_units_see_at_most_is_a_bound_from_the_first_node_on() -> None:
    for made in (Elementwise("masked"), Elementwise("masked") >> Conv(2, 3), Conv(2, 3) >> Elementwise("masked")):
        report = Report(Network(made, "2x8"))
        assert report.rows[-1].receptive_field.status == "bounded"
    report = Report(Network(Conv(2, 3) >> Elementwise("double"), "2x8"))
    assert report.rows[-1].receptive_field.status == "exact"


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_a_recurrence_sees_what_is_before_and_its_own_position(length: int) -> None:
    report = Report(Network(Recurrent("gru", 4), Shape(length, 5, channel=1)))
    found = regions(report, 1)
    assert [set(found.unit((u,)).pixels()) for u in range(length)] == [
        {(p,) for p in range(u + 1)} for u in range(length)
    ]
    assert report.rows[-1].receptive_field.status == ("exact" if length == 1 else "shift_variant")
    both = regions(Report(Network(Recurrent("gru", 4, bidirectional=True), Shape(length, 5, channel=1))), 1)
    assert all(both.unit((u,)).count == length for u in range(length))


@pytest.mark.parametrize("first", [True, False])
def test_constants_take_no_memory_of_their_own_wherever_they_stand(first: bool) -> None:
    """They lie with the weights; the copy and the sum take 2·5 each."""
    nodes: list[Any] = [("fixed", Constant((2, 5)), ()), ("copy", Conv(2, 1), ("input",))]
    nodes = nodes if first else nodes[::-1]
    report = Report(Network.from_nodes([*nodes, ("sum", rfcalc.Add(), ("copy", "fixed"))], "2x5"))
    at = dict(zip((n.name for n in report.network.nodes), new_values(report)[1:], strict=True))
    assert at == {"fixed": 0, "copy": 10, "sum": 10}


def test_strides_of_views_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 3, 4, 5)
    shape = Shape(3, 4, 5)
    for order in itertools.permutations(range(3)):
        given = x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)  # laid out in another order
        there = given.permute(0, *(1 + i for i in order))
        layer = Permute(order)
        assert layer.strides(shape, given.stride()) == there.stride()
        assert layer.strides_back(there.stride()) == given.stride()
    for axis, step in itertools.product(range(3), (1, 2, 3)):
        cut = [slice(None)] * 4
        cut[1 + axis] = slice(None, None, step)
        assert Slice(axis, step=step).strides(shape, x.stride()) == x[tuple(cut)].stride()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027])
def test_what_is_written_has_the_rights_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        plain, mine = tmp_path / "plain", tmp_path / "mine"
        plain.write_text("")
        with draft(mine) as made:
            made.write_text("")
    finally:
        os.umask(before)
    assert stat.S_IMODE(mine.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_volumes_of_boxes_that_overlap() -> None:
    drawn = random.Random(6)
    for _ in range(200):
        extents = tuple(drawn.randint(1, 5) for _ in range(drawn.randint(1, 3)))
        boxes = [tuple(drawn.randrange(1, 1 << n) for n in extents) for _ in range(drawn.randint(1, 4))]
        region = Region(boxes, extents)
        held = {
            p
            for box in boxes
            for p in itertools.product(
                *([i for i in range(n) if m >> i & 1] for m, n in zip(box, extents, strict=True))
            )
        }
        assert set(region.pixels()) == held
        assert region.count == len(held)
        assert all((p in region) == (p in held) for p in itertools.product(*map(range, extents)))


@pytest.mark.parametrize(
    ("units", "window", "why"),
    [  # before its own position and after it; how far, where it has an end
        ([[0], [0, 1], [0, 1, 2]], (-inf, 0), "before"),
        ([[0, 1, 2], [1, 2], [2]], (0, inf), "after"),
        ([[0], [0, 1], [1, 2]], (-1, 0), "listed"),
        ([[0, 1], [0, 2], [1, 2]], (-1, 1), "listed"),
        ([[1], [2], [0]], (-inf, 1), "rearranged"),
    ],
)
def test_what_no_unit_sees_beyond(units: list[list[int]], window: tuple[float, float], why: str) -> None:
    assert banded(Listed(units), 3) == (Window(1, (window,)), why)  # type: ignore[arg-type]


def test_figures_are_whole_numbers_where_they_are_whole() -> None:
    assert (fraction(6, 3), fraction(5, 2)) == (2, Fraction(5, 2))
    assert isinstance(fraction(6, 3), int)


def test_the_hull_of_what_all_units_see() -> None:
    """Single positions too, and the first and the last one."""
    for text, hull in [("slice axis1 at3:4", (3, 3)), ("slice axis1 at0:1", (0, 0)), ("conv3-1", (0, 7))]:
        assert rfcalc.analyze(text, "1x8").rows[-1].receptive_field.hull == (hull,)


@pytest.mark.parametrize("keys", [4, 5])
@pytest.mark.parametrize("mask", [None, "causal", [[0, 1], [1], [0, 3], [2, 3]], [[0], [], [3], []]])
def test_queries_see_what_the_mask_lets_them_see(keys: int, mask: Any) -> None:
    """2 heads, 4 queries: of queries their own row, of keys and values the rows that are seen; never another head."""
    allowed: Any = mask
    if not isinstance(mask, list):
        allowed = [range(keys if mask is None else u + 1) for u in range(4)]
    inputs = {name: Shape(2, n, 3, channel=2) for name, n in (("q", 4), ("k", keys), ("v", keys))}
    product = rfcalc.AttentionProduct(mask=mask)
    network = Network(rfcalc.parallel([ref("q"), ref("k"), ref("v")], product), inputs)
    report = Report(network)
    for source in range(3):
        found = regions(report, len(report.shapes) - 1, source)
        for head, query in itertools.product(range(2), range(4)):
            right = {(head, query) for _ in allowed[query][:1]} if source == 0 else {(head, k) for k in allowed[query]}
            assert set(found.unit((head, query)).pixels()) == right


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 3), (1, 2)])
def test_unpooling_of_windows_that_do_not_overlap_is_the_same_at_every_length(kernel: int, stride: int) -> None:
    for count in (2, 3, 7):
        pooled, before = Shape(1, count), Shape(1, (count - 1) * stride + kernel)
        layer = rfcalc.MaxUnpool(kernel, stride=stride)
        xs = (pooled, before)
        for reads in layer.reads(xs, layer.output(*xs)):
            assert not any(isinstance(index, Listed) for one in reads for _, index in one)


@pytest.mark.parametrize(
    ("text", "size"),
    [  # crosses: what one branch sees of the rows, another of the columns
        ("(conv3x1-2 + conv1x5-2) + identity", (3, 5)),
        ("identity + (conv3x1-2 + conv1x5-2)", (3, 5)),
        ("(conv3x1-2 + conv1x5-2) + (conv1x3-2 + conv7x1-2)", (7, 5)),
        ("(conv3x1-2 + conv1x5-2) + conv3-2", (3, 5)),
        ("(conv3x1-2 | conv1x5-2) > conv1-2", (3, 5)),
    ],
)
def test_branches_that_see_crosses(text: str, size: tuple[int, int]) -> None:
    report = rfcalc.analyze(text, "2x9x9")
    field, last = report.rows[-1].receptive_field, len(report.shapes) - 1
    assert (field.status, field.size) == ("exact", size)
    assert regions(report, last).unit((4, 4)).hull == tuple((4 - n // 2, 4 + n // 2) for n in size)


def test_a_sum_with_what_sees_only_what_is_before_looks_no_further_ahead() -> None:
    """A recurrence sees 0 … u; beside it stands a position itself."""
    walk = Recurrent("gru", 4)
    for made in (walk, walk + rfcalc.Identity(), walk >> (rfcalc.Identity() + walk) >> walk):
        field = Report(Network(made, Shape(6, 4, channel=1))).rows[-1].receptive_field
        assert field.lookahead == (0,)
        assert field.reach == ((None, 0),)


@pytest.mark.parametrize("transpose", [False, True])
def test_products_of_matrices_read_rows_and_columns(transpose: bool) -> None:
    """2 channels of 3 × 4 and 4 × 5 (or 5 × 4, transposed): row i of the first, column j of the second."""
    inputs = {"a": Shape(2, 3, 4), "b": Shape(2, 5, 4) if transpose else Shape(2, 4, 5)}
    network = Network(rfcalc.parallel([ref("a"), ref("b")], rfcalc.MatMul(transpose=transpose)), inputs)
    report = Report(network)
    for i, j in itertools.product(range(3), range(5)):
        rows, columns = (set(regions(report, 2, source).unit((i, j)).pixels()) for source in (0, 1))
        assert rows == {(i, k) for k in range(4)}
        assert columns == {(j, k) if transpose else (k, j) for k in range(4)}


def test_nothing_is_written_over_what_is_fixed() -> None:
    """An activation of fixed values makes a map of its own: the values are there again in the next run."""
    nodes: list[Any] = [("fixed", Constant((2, 5)), ()), ("relu", rfcalc.ReLU(), ("fixed",))]
    report = Report(Network.from_nodes([*nodes, ("sum", rfcalc.Add(), ("relu", "input"))], "2x5"))
    assert not overwriting(report)
    nodes = [("copy", Conv(2, 1), ("input",)), ("relu", rfcalc.ReLU(), ("copy",))]
    assert overwriting(Report(Network.from_nodes(nodes, "2x5"))) == {2}


@pytest.mark.parametrize(
    "made", [Conv(2, 3, padding=1), Conv(3, 3, stride=2), rfcalc.Reshape((8, 2, 2), 1), rfcalc.Upsample(2)]
)
def test_an_axis_that_is_cut_and_joined_again_is_as_it_was(made: Any) -> None:
    """Whatever units see, moving windows or places of their own."""
    plain = Report(Network(made, "2x4x4"))
    y, before = plain.shapes[-1], plain.rows[-1].receptive_field
    for axis in y.axes:
        for cut in range(1, y.dims[axis]):
            parts = [Slice(axis, 0, cut), Slice(axis, cut, y.dims[axis])]
            after = (
                Report(Network(made >> rfcalc.parallel(parts, rfcalc.Concat(axis)), "2x4x4")).rows[-1].receptive_field
            )
            assert (after.status, after.size, after.reach) == (before.status, before.size, before.reach), (axis, cut)
            assert after.joins == before.joins
