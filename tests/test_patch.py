"""Arenas and patches run in one array of bytes; the best patches are those of brute force."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from math import prod
from time import perf_counter

import pytest
import torch
from devices import ITEM, TEXTS, Parts, drawn, in_arena, in_patches, lopsided

import rfcalc
from rfcalc import Report
from rfcalc.plan.arena import arena, layout
from rfcalc.plan.cuts import cuts
from rfcalc.plan.patch import Patches, Unpatchable, boxes, divided, patched
from rfcalc.plan.patch_search import search

torch.set_num_threads(1)


def run_in_bytes(seed: int, draws: Callable[[int], Report | None] = drawn) -> int:
    """A random network in its arena, and its first part in patches: how many divisions ran."""
    report = draws(seed)
    if report is None:
        return 0
    laid, parts, draw = layout(report, fold_bn=False), Parts(report, seed), random.Random(seed)
    whole = parts.whole()
    placed = arena(report, laid, ITEM, align=ITEM, seconds=0.2)
    assert torch.equal(in_arena(report, laid, placed, parts), whole[-1]), seed
    ran = 0
    for cut in [c for c in cuts(report, laid.own) if report.shapes[c].rank]:
        grid = tuple(draw.randint(1, min(3, int(n))) for n in report.shapes[cut].spatial)
        try:
            said = patched(report, laid, cut, grid, ITEM)
        except Unpatchable:
            continue
        made, work = in_patches(report, laid, cut, grid, parts, said.patch_bytes)
        assert torch.equal(made, whole[cut]), (seed, cut, grid)
        assert said.patched_macs == work + sum(int(c.macs) for c in report.costs[cut + 1 :])
        with pytest.raises(AssertionError, match="too small"):
            in_patches(report, laid, cut, grid, parts, said.patch_bytes - ITEM)
        ran += 1
    return ran


def test_arenas_and_patches_run_in_one_array_of_bytes() -> None:
    ran = [run_in_bytes(seed) for seed in range(60)]
    assert sum(n > 0 for n in ran) >= 30


def test_lopsided_depthwise_layers_run_in_one_array_of_bytes() -> None:
    """Their part of a patch may be larger than what it reads and is written over."""
    assert sum(larger_than_read(lopsided(seed)) for seed in range(40)) >= 5
    assert sum(run_in_bytes(seed, lopsided) > 0 for seed in range(40)) >= 20


def larger_than_read(report: Report) -> bool:
    """Whether in some patch of a division in two by two a depthwise layer makes more than it reads."""
    found = False
    laid, cut = layout(report, fold_bn=False), len(report.shapes) - 1
    for rows, columns in product(*(divided(int(n), 2) for n in report.shapes[cut].spatial)):
        try:
            read = boxes(report, cut, ((0, int(report.shapes[cut].channels)), rows, columns))
        except Unpatchable:
            continue
        for p in [p for p in range(cut + 1) if laid.beside[p]]:
            made, given = (prod(b - a for a, b in read[q] or ()) for q in (p, p - 1))
            found |= made > given
    return found


@pytest.mark.exhaustive
def test_many_arenas_and_patches_run_in_one_array_of_bytes() -> None:
    ran = [run_in_bytes(seed) for seed in range(1000, 1600)]
    assert sum(n > 0 for n in ran) >= 300


@pytest.mark.parametrize("text", [t for t in TEXTS if "1x15" not in t])
def test_patches_run_in_one_array_of_bytes(text: str) -> None:
    report = rfcalc.analyze(text)
    laid, parts = layout(report, fold_bn=False), Parts(report, 1)
    whole = parts.whole()
    for cut in [c for c in cuts(report, laid.own) if c >= 1][-3:]:
        for grid in ((2, 2), (3, 1), (3, 4)):
            try:
                said = patched(report, laid, cut, grid, ITEM)
            except Unpatchable:  # more patches than positions; a patch that reads nothing
                continue
            made, _ = in_patches(report, laid, cut, grid, parts, said.patch_bytes)
            assert torch.equal(made, whole[cut])


CONTROL = "input: 2x12x12; conv3-3 > conv3-4/2 > dwconv3 > conv1-2"


def test_a_map_that_is_dropped_too_early_is_seen() -> None:
    """A control: read all the same, it is poison."""
    report = rfcalc.analyze(CONTROL)
    laid, parts = layout(report), Parts(report, 1)
    said = patched(report, laid, 4, (2, 2), ITEM)
    assert torch.equal(in_patches(report, laid, 4, (2, 2), parts, said.patch_bytes)[0], parts.whole()[4])
    with pytest.raises(AssertionError, match="reads what is not there"):
        in_patches(report, laid, 4, (2, 2), parts, said.patch_bytes, careless=True)
    placed = arena(report, laid, ITEM, align=ITEM)
    early = [p._replace(last=p.first) if p.node == report.network.nodes[1].name else p for p in placed.placed]
    wrong = rfcalc.plan.arena.Arena(placed.bytes, placed.bound, True, tuple(early))
    with pytest.raises(AssertionError, match="it is dead"):
        in_arena(report, laid, wrong, parts)
    with pytest.raises(AssertionError, match="reads what is not there"):
        in_arena(report, laid, wrong, parts, refuses=False)
    low = tuple(p._replace(offset=0) for p in placed.placed)
    with pytest.raises(AssertionError, match="overlap"):
        in_arena(report, laid, rfcalc.plan.arena.Arena(placed.bytes, placed.bound, True, low), parts)


def compared(seed: int) -> bool:
    """The best of all grids of all cuts, each planned by itself, against what the search finds."""
    report, draw = drawn(seed, small=True), random.Random(seed)
    if report is None:
        return False
    laid, count_input = layout(report), draw.random() < 0.5
    places = cuts(report, laid.own)
    if not places:
        return False
    plans: list[tuple[Patches, int, int, tuple[int, ...]]] = []
    for cut in places:
        for grid in product(*(range(1, int(n) + 1) for n in report.shapes[cut].spatial)):
            if grid and prod(grid) > 1:
                try:
                    plan = patched(report, laid, cut, grid, 1, count_input=count_input)
                except Unpatchable:
                    continue
                plans.append((plan, prod(grid), cut, grid))
    for most_work in (1.0, 1.05, 1.3, None):
        can = [p for p in plans if most_work is None or p[0].ratio <= most_work]
        best = min(can, key=lambda p: (p[0].peak_bytes, p[0].patched_macs, *p[1:]), default=(None,))[0]
        assert search(report, laid, places, 1, count_input=count_input, most_work=most_work) == best, seed
    for budget in sorted({p[0].peak_bytes for p in plans})[::4]:
        for most_work in (None, 1.1):
            can = [p for p in plans if p[0].peak_bytes <= budget and (most_work is None or p[0].ratio <= most_work)]
            best = min(can, key=lambda p: (p[0].patched_macs, p[0].peak_bytes, *p[1:]), default=(None,))[0]
            given = search(report, laid, places, 1, count_input=count_input, most_work=most_work, budget=budget)
            assert given == best, (seed, budget)
    return bool(plans)


def test_the_best_patches_are_those_of_brute_force() -> None:
    assert sum(compared(seed) for seed in range(10)) >= 6


@pytest.mark.exhaustive
def test_the_best_patches_are_those_of_brute_force_on_many_networks() -> None:
    assert sum(compared(seed) for seed in range(100, 500)) >= 150


def test_a_grid_need_not_be_square() -> None:
    report = rfcalc.analyze("input: 2x20x10; conv3-8 > relu > conv3-8 > maxpool2 > conv3-4")
    laid = layout(report)
    places = cuts(report, laid.own)
    plan = search(report, laid, places, 1, most_work=1.1)
    assert plan is not None
    assert plan.grid == (5, 1)
    for side in range(2, 9):
        for cut in places:
            try:
                square = patched(report, laid, cut, (side, side), 1)
            except Unpatchable:
                continue
            assert square.ratio > 1.1 or square.peak_bytes > plan.peak_bytes


def test_a_long_search_stays_short() -> None:
    report = rfcalc.analyze("mobilenet-v2", dtype="int8")
    laid = layout(report)
    start = perf_counter()
    plan = search(report, laid, cuts(report, laid.own), 1, most_work=1.3)
    assert perf_counter() - start < 8  # half a second, on a machine that does nothing else
    assert plan is not None
    assert plan.peak_bytes < 238_016, "what the best square grid needs"


@pytest.mark.parametrize("rolling", [False, True])
def test_patches_are_given_only_where_they_are_needed(rolling: bool) -> None:
    """Not where the whole network fits, to the byte, and not where they lower no peak."""
    text = "input: 2x20x10; conv3-8 > relu > conv3-8 > maxpool2 > conv3-4"
    whole = rfcalc.memory(text, infer=True, patch=True).live_bytes
    for budget, needed in ((whole, False), (whole - 1, True)):
        plan = rfcalc.memory(text, infer=True, patch=True, rolling=rolling, budget=budget)
        assert plan.found
        assert (plan.patches is not None) == needed == plan.to_dict()["patch"]["needed"]
        assert plan.to_dict()["patch"]["found"]
        assert ("without patches, so none are needed" in str(plan.document().sections)) != needed
    none = rfcalc.memory("input: 2x3x3; conv3-4 > conv3-4 > conv3-4", infer=True, patch=True, rolling=rolling)
    assert not none.found
    assert not none.to_dict()["patch"]["found"]
    assert "No division" in str(none.document().sections)
