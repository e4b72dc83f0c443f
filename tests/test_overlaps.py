"""An overlap that is given: what `judge` counts by dependence is what differs in whole numbers."""

from __future__ import annotations

from itertools import product
from math import ceil
from random import Random
from typing import Any

import pytest

import rfcalc
from rfcalc import Shape
from rfcalc.plan.tools import judge

torch = pytest.importorskip("torch")

from tiling import exact, image, random_network  # noqa: E402


def test_overlaps_are_judged() -> None:
    plan = rfcalc.tile("unet-padded", "1x512x512", tile=384)
    assert judge(plan, 192, 384).exact
    bad = judge(plan, 100, 384)
    assert bad.side == 50 and bad.differing > 0 and "94 are needed" in bad.text
    small = rfcalc.tile("conv3-4 > conv3-4", "1x64x64", tile=16)
    assert judge(small, 4, 16).exact and not judge(small, 2, 16).exact


def test_judged_values_are_those_that_differ() -> None:
    """What may differ, counted by dependence, against a run in whole numbers."""
    network = rfcalc.load("conv5-1 > conv5-1")
    plan = rfcalc.tile(network, "1x60", tile=24)
    run, x = exact(plan.network), image(plan.inputs[0])
    whole, wrong = run(x), set()
    for start in (0, 20, 36):  # an overlap of 4: 2 on each side
        made = run(x[..., start : start + 24])
        first, last = (0 if start == 0 else 2), (24 if start == 36 else 22)
        for u in range(first, last):
            same = bool((made[..., u] == whole[..., start + u]).all())
            wrong = wrong - {start + u} if same else wrong | {start + u}
    assert judge(plan, 4, 24).differing == len(wrong) > 0


def test_an_overlap_in_use_is_measured() -> None:
    from overlaps import Bilinear, differing

    from rfcalc.backend.tiling import exact as whole_numbers

    torch.manual_seed(0)
    run, _ = whole_numbers(Bilinear().eval(), ("x",))
    picture = image(Shape(1, 96, 96))
    assert differing(run, picture, 48, 28, 1)[0] == 0 and differing(run, picture, 48, 24, 1)[0] > 0


def cuts(line: Any, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """The tiles of an axis as the common tools put them: start, end, and what is kept of the output of each."""
    density, length = line.view.densities[line.outputs[0]], line.view.lengths[line.outputs[0]]
    starts = list(range(0, max(line.size - size, 0) + 1, max(size - overlap, 1)))
    starts += [line.size - size] if starts[-1] + size < line.size else []
    side = overlap // 2
    return [
        (
            a,
            a + size,
            0 if a == 0 else ceil((a + side) * density),
            length if a + size == line.size else min(length, ceil((a + size - side) * density)),
        )
        for a in starts
    ]


def measured(plan: Any, run: Any, x: Any, overlap: int, size: int) -> int:
    """How many values differ if the network really runs on such tiles."""
    whole = run(x)
    got = torch.full_like(whole, -1)
    for tile in product(*[cuts(line, min(size, line.size), overlap) for line in plan.lines]):
        kept = tuple(slice(first, last) for _, _, first, last in tile)
        got[:, *kept] = -1
        try:
            made = run(x[:, *[slice(a, b) for a, b, _, _ in tile]])
        except RuntimeError:
            continue  # the network refuses the size
        origins = [a * line.view.densities[line.outputs[0]] for (a, *_), line in zip(tile, plan.lines, strict=True)]
        if any(o.denominator != 1 for o in origins):
            continue  # positions of the output lie between those of the whole
        from_, to = [], []
        for k, ((_, _, first, last), origin) in enumerate(zip(tile, map(int, origins), strict=True)):
            a, b = max(first, origin), max(min(last, origin + made.shape[1 + k]), first, origin)
            to.append(slice(a, b))
            from_.append(slice(a - origin, b - origin))
        got[:, *to] = made[:, *from_]
    return int((got != whole).sum())


def test_what_is_judged_is_what_differs() -> None:
    """On random graphs: never fewer than differ, and as many but for maxima, which may be the same by chance."""
    torch.set_num_threads(1)
    compared, wrong = 0, 0
    for seed in range(120):
        pick = Random(seed)
        network = random_network(pick, mixed=bool(seed % 2))
        plan = None if network is None else rfcalc.tile(network)
        if network is None or plan is None or plan.barriers or min(line.size for line in plan.lines) < 6:
            continue
        size = pick.randrange(4, max(line.size for line in plan.lines))
        overlap = pick.randrange(size)
        if any(overlap >= min(size, line.size) < line.size for line in plan.lines):
            continue
        found = judge(plan, overlap, size)
        differing = measured(plan, exact(plan.network, seed), image(plan.inputs[0], seed), overlap, size)
        assert differing <= found.differing, (seed, network)
        if not any("pool" in node.layer.kind for node in network.nodes):
            assert differing >= 0.97 * found.differing - 3, (seed, network)  # values below 251 may be alike by chance
        compared += 1
        wrong += differing > 0
    assert compared > 30 and wrong > 20
