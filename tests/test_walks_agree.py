"""The walk back from one unit and the walk forward of all units tell the same pixels, also where channels differ."""

from __future__ import annotations

import pytest
import torch
from test_dependence import BRANCHES, CHANNELS, WRITTEN, tower
from test_masks import CAUSAL, L
from torch import nn

import rfcalc
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk

torch.set_num_threads(1)

MODULES: dict[str, tuple[nn.Module, str]] = {
    **{f"channels: {name}": (module, "2x9x9") for name, (module, _) in CHANNELS.items()},
    **{f"written: {name}": (given[0], given[1]) for name, given in WRITTEN.items()},
    **{f"branches: {name}": (tower(dim, choose), "4x24") for name, (dim, choose, _) in BRANCHES.items()},
    **{f"masks: {name}": (CAUSAL[name], f"8x{L}") for name in ("fill", "fill, heads", "fused", "encoder")},
}


@pytest.mark.parametrize("name", MODULES)
def test_both_walks_agree(name: str) -> None:
    module, shape = MODULES[name]
    report = rfcalc.analyze(rfcalc.from_torch(module, shape))
    for position in range(1, len(report.shapes)):
        found = regions(report, position)
        for unit in list(found.units())[::5][:20]:
            all_at_once = set(found.unit(unit).pixels())
            one = set(UnitWalk(report, position, unit).region.pixels())
            assert one <= all_at_once if found.bounded else all_at_once == one, (position, unit)


@pytest.mark.parametrize("name", MODULES)
def test_all_units_together_see_what_each_sees(name: str) -> None:
    """One walk back from the whole map against a walk of each unit."""
    module, shape = MODULES[name]
    report = rfcalc.analyze(rfcalc.from_torch(module, shape))
    for position in range(1, len(report.shapes)):
        every = regions(report, position)
        together = set(UnitWalk(report, position, None).region.pixels())
        each = [UnitWalk(report, position, unit).region for unit in every.units()]
        assert together == {pixel for region in each for pixel in region.pixels()}, position
        assert together <= set(every.all.pixels()), position
        assert every.bounded or together == set(every.all.pixels()), position
