"""Plans for the first part of a network in strips, executed in one array of the bytes that they announce."""

from __future__ import annotations

import random

import pytest
import torch
from devices import ITEM, TEXTS, Parts, drawn, in_strips

import rfcalc
from rfcalc.plan.arena import layout
from rfcalc.plan.cuts import cuts
from rfcalc.plan.patch import Unpatchable
from rfcalc.plan.rolling import best_rolled, rolled

torch.set_num_threads(1)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("high", [1, 3])
def test_strips_run_in_one_array(text: str, high: int) -> None:
    """Equal to the whole run; with a value less there is no room; nothing is computed twice."""
    report = rfcalc.analyze(text)
    laid = layout(report, fold_bn=False)
    parts = Parts(report, high)
    whole = parts.whole()
    for cut in cuts(report, laid.own):
        strips = -(-int(report.shapes[cut].spatial[0]) // high)
        said = rolled(report, laid, cut, strips, ITEM)
        assert torch.equal(in_strips(report, laid, cut, strips, parts, said.patch_bytes), whole[cut]), cut
        assert said.ratio <= 1
        with pytest.raises(AssertionError, match="too small"):
            in_strips(report, laid, cut, strips, parts, said.patch_bytes - ITEM)


def run_in_strips(seed: int) -> int:
    """A random network cut everywhere, in strips: how many plans ran."""
    report = drawn(seed)
    if report is None:
        return 0
    laid, parts, draw = layout(report, fold_bn=False), Parts(report, seed), random.Random(seed)
    whole, ran = parts.whole(), 0
    for cut in [c for c in cuts(report, laid.own) if report.shapes[c].rank]:
        strips = draw.randint(1, int(report.shapes[cut].spatial[0]))
        try:
            said = rolled(report, laid, cut, strips, ITEM)
        except Unpatchable:
            continue
        made = in_strips(report, laid, cut, strips, parts, said.patch_bytes)
        assert torch.equal(made, whole[cut]), (seed, cut, strips)
        with pytest.raises(AssertionError, match="too small"):
            in_strips(report, laid, cut, strips, parts, said.patch_bytes - ITEM)
        ran += 1
    return ran


def test_random_networks_run_in_strips() -> None:
    assert sum(run_in_strips(seed) > 0 for seed in range(40)) >= 20


@pytest.mark.exhaustive
def test_many_random_networks_run_in_strips() -> None:
    assert sum(run_in_strips(seed) > 0 for seed in range(2000, 2500)) >= 250


@pytest.mark.parametrize("strips", [3, 12])
def test_rows_that_are_overwritten_or_dropped_too_early_are_seen(strips: int) -> None:
    """Controls: additions over rows that the next strip reads, and rows that go a step too early."""
    report = rfcalc.analyze("input: 2x12x12; conv3-4 > (identity + (conv3-4 > relu)) > conv1-3")
    laid, parts = layout(report), Parts(report, 1)
    cut = report.network.position("add1")
    whole = parts.whole()[cut]
    said = rolled(report, laid, cut, strips, ITEM)
    assert torch.equal(in_strips(report, laid, cut, strips, parts, said.patch_bytes), whole)
    assert not torch.equal(in_strips(report, laid, cut, strips, parts, said.patch_bytes, own=list(laid.own)), whole)
    with pytest.raises(AssertionError, match="reads what is not there"):
        in_strips(report, laid, cut, strips, parts, said.patch_bytes, careless=True)


def test_rolling_needs_less_than_patches_for_mobilenet() -> None:
    """Up to the same map as MCUNetV2's patches, without the image: fewer bytes, and no more work."""
    report = rfcalc.analyze("mobilenet-v2", dtype="int8")
    laid = layout(report)
    plan = best_rolled(report, laid, cuts(report, laid.own), 1, count_input=False)
    assert plan is not None
    assert plan.cut == "block4.project"
    assert (plan.patch_bytes, plan.peak_bytes) == (122_304, 200_704)
    assert plan.ratio == 1
