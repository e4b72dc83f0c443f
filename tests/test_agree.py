"""The summary of a receptive field and the pixels of its units never contradict each other.

Here on every network of the zoo, on random graphs, and on the modules of other tests; the models of torchvision and
timm are compared where they are read (`test_models_of_others.py`).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import torch
from agree import agree
from graphs import ORDER, grow
from strategies import Pick
from test_dependence import BRANCHES, CHANNELS, WRITTEN, tower
from test_from_torch import KINDS
from test_masks import CAUSAL, L
from test_zoo import NAMES

import rfcalc
from rfcalc.core.errors import RfcalcError
from rfcalc.core.window import Window
from rfcalc.report import Report

torch.set_num_threads(1)
PLAIN = ("fill", "fill, heads", "fused", "encoder")  # the others run in float64 only
MODULES: dict[str, tuple[Any, Any]] = {
    **{f"channels: {name}": (module, "2x9x9") for name, (module, _) in CHANNELS.items()},
    **{f"written: {name}": (entry[0], entry[1]) for name, entry in WRITTEN.items()},
    **{f"branches: {name}": (tower(dim, choose), "4x24") for name, (dim, choose, _) in BRANCHES.items()},
    **{f"masks: {name}": (module, f"8x{L}") for name, module in CAUSAL.items() if name in PLAIN},
    **{f"kinds: {name}": (module, shape) for name, module, shape in KINDS},
}


def of_zoo(name: str) -> Report:
    try:
        return rfcalc.analyze(name)
    except RfcalcError:  # drawn for any size
        return rfcalc.analyze(name, "3x64x64")


@pytest.mark.parametrize("name", NAMES)
def test_networks_of_the_zoo(name: str) -> None:
    found: Counter[str] = Counter()
    agree(of_zoo(name), found)
    assert found


def of_graphs(count: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for number in range(count):
        case = grow(Pick(random.Random(number).randbytes(400)), ORDER, 12, 8)
        agree(Report(case.network), found, nodes=20, units=3)
    return found


def test_random_graphs() -> None:
    found = of_graphs(400)
    assert found["units that no end cuts, equal"] > 5000
    assert min(found[f"units of status {s}"] for s in ("exact", "periodic", "global", "shift_variant", "none")) > 500


def test_what_a_gather_leaves_out_is_not_seen_by_what_is_global_behind_it() -> None:
    gathered = rfcalc.Network(rfcalc.Gather(2, (0, 0, 1, 0)) >> rfcalc.BatchNorm(affine=False, track=False), "1x4x3x4")
    assert rfcalc.analyze(gathered).rows[-1].receptive_field.spans == ((0, 3), (0, 1), (0, 3))


@pytest.mark.exhaustive
def test_many_random_graphs() -> None:
    of_graphs(4000)


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    module, shape = MODULES[name]
    agree(rfcalc.analyze(rfcalc.from_torch(module, shape)), Counter(), nodes=20)


def test_control_a_wrong_summary_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Window.pull

    def wider(self: Window, index: Any) -> Window:
        pulled = right(self, index)
        if pulled.period != 1 or pulled.ends[0] is None:
            return pulled
        return Window(pulled.advance, ((pulled.ends[0][0], pulled.ends[0][1] + 1),))

    monkeypatch.setattr(Window, "pull", wider)
    with pytest.raises(AssertionError):
        agree(rfcalc.analyze("conv3-8 > maxpool2 > conv3-8", "3x32x32"), Counter())


def test_control_what_depends_on_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    report = rfcalc.analyze("conv3-8 > conv3-8", "3x32x32")
    monkeypatch.setattr(Report, "fields", ((report.fields[0][0], None, None),))
    with pytest.raises(AssertionError, match="nothing is seen"):
        agree(rfcalc.analyze("conv3-8 > conv3-8", "3x32x32"), Counter())
