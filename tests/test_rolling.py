"""Plans for the first part of a network, executed in one array of the bytes that they announce."""

from __future__ import annotations

import random
from math import prod

import pytest
import torch
from torch import Tensor, nn

import rfcalc
from rfcalc import Network, Report, to_torch
from rfcalc.plan.arena import Layout, layout
from rfcalc.plan.cuts import cuts
from rfcalc.plan.rolling import best_rolled, held, owners, rolled, steps

torch.set_num_threads(1)


class Store:
    """One array, in which memories lie one after another; what is not said to live is filled with NaN at once."""

    def __init__(self, values: int) -> None:
        self.array = torch.full((values,), torch.nan, dtype=torch.float64)
        self.places: dict[int, tuple[int, tuple[int, int], int]] = {}  # where, its rows, values of a row

    def live(self, wanted: dict[int, tuple[tuple[int, int], int]]) -> None:
        """Only these memories live from now on: their rows, and the values of a row."""
        old = {m: self.rows(m, rows).clone() for m, (_, rows, _) in self.places.items()}
        before = {m: rows for m, (_, rows, _) in self.places.items()}
        self.array.fill_(torch.nan)
        self.places, at = {}, 0
        for m, ((first, last), row) in wanted.items():
            size = (last - first) * row
            assert at + size <= len(self.array), "the array is too small"
            self.places[m] = (at, (first, last), row)
            at += size
            low, high = max(first, before.get(m, (0, 0))[0]), min(last, before.get(m, (0, 0))[1])
            if low < high:
                self.rows(m, (low, high))[:] = old[m][low - before[m][0] : high - before[m][0]]

    def rows(self, memory: int, rows: tuple[int, int]) -> Tensor:
        assert memory in self.places, "it is dead"
        at, (first, last), row = self.places[memory]
        assert first <= rows[0] <= rows[1] <= last, "rows that are dead are read"
        return self.array[at + (rows[0] - first) * row : at + (rows[1] - first) * row].view(-1, row)


class Parts:
    """Every node of a network as a module of its own, with whole-number weights."""

    def __init__(self, report: Report, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.report, self.modules = report, {}
        arity = report.network.arity
        for p, node in enumerate(report.network.nodes, arity):
            shapes = {f"x{i}": report.shapes[s] for i, s in enumerate(report.network.sources[p - arity])}
            one: nn.Module = to_torch(Network.from_nodes([(node.name, node.layer, tuple(shapes))], shapes), shapes)
            for value in one.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randint(-2, 3, value.shape, generator=generator))
            self.modules[p] = one.double().eval()
        self.input = torch.randint(-3, 4, report.shapes[0].dims, generator=generator).double()

    def run(self, position: int, given: list[Tensor]) -> Tensor:
        with torch.no_grad():
            made: Tensor = self.modules[position](*[g[None] for g in given])[0]
        return made

    def whole(self) -> list[Tensor]:
        found = [self.input]
        for p, sources in enumerate(self.report.network.sources, 1):
            found.append(self.run(p, [found[s] for s in sources]))
        return found


def upright(value: Tensor) -> Tensor:
    """Rows first."""
    return value.movedim(1, 0).reshape(value.shape[1], -1)


def in_strips(report: Report, laid: Layout, cut: int, strips: int, parts: Parts, less: int = 0) -> Tensor:
    """The map at a cut, made in an array of as many values as the plan says (`less`: fewer, a control)."""
    plan = steps(report, cut, strips)
    shapes, own = report.shapes, owners(report, laid, cut)
    row = [prod(s.dims) // s.spatial[0] for s in shapes[: cut + 1]]
    said = rolled(report, laid, cut, strips, 1)
    store = Store(said.patch_bytes - less)
    always = {m: ((0, int(shapes[m].spatial[0])), row[m]) for m in (0,)} | {
        own[cut]: ((0, int(shapes[cut].spatial[0])), row[cut])
    }
    store.live(always)
    store.rows(0, always[0][0])[:] = upright(parts.input)
    for step, mine in zip(plan, held(report, laid, cut, plan), strict=True):
        store.live(always | {m: (rows, row[m]) for m, rows in mine.items()})
        given = []
        reads: dict[int, tuple[int, int]] = {}
        for s, (a, b) in step.reads:
            c, d = reads.get(s, (a, b))
            reads[s] = (min(a, c), max(b, d))
        for s in report.network.sources[step.position - 1]:
            full = torch.full((shapes[s].spatial[0], row[s]), torch.nan, dtype=torch.float64)
            full[slice(*reads[s])] = store.rows(own[s], reads[s])
            dims = shapes[s].dims
            given.append(full.view(dims[1], dims[0], *dims[2:]).movedim(0, 1))
        made = upright(parts.run(step.position, given))[slice(*step.makes)]
        assert not made.isnan().any(), "it reads what is not there"
        store.rows(own[step.position], step.makes)[:] = made
    return store.rows(own[cut], always[own[cut]][0]).clone()


TEXTS = [
    "input: 2x17x19; conv3-4/2 > relu > conv3-4 > maxpool3/2 p1 > conv5-4",
    "input: 2x16x16; conv3-4 > ((conv3-4 > relu > conv3-4) + identity) > relu > conv3-4/2 > conv3-2",
    "input: 3x20x14; conv3-4/2 > dwconv3 > relu > conv1-6 > dwconv3/2 > conv1-3",
    "input: 1x15; conv3-4 > (conv5-2 | conv1-3) > relu > maxpool2 > conv3-2 d2",
    "input: 2x16x16; conv3-4/2 > convt4-4/2 p1 > conv3-4",
    "input: 2x13x12; a=conv3-4 > conv3-4 p0 > up2 > conv3-2/2",
    "input: 2x24x9; conv1-2/3 > conv2-3/2 p0 > relu",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("high", [1, 3])
def test_strips_run_in_one_array(text: str, high: int) -> None:
    """Equal to the whole run; with a value less there is no room; nothing is computed twice."""
    report = rfcalc.analyze(text)
    laid = layout(report, fold_bn=False)
    parts = Parts(report, high)
    whole = parts.whole()
    for cut in cuts(report, laid.own):
        if cut < 1 or not report.shapes[cut].rank:
            continue
        strips = -(-int(report.shapes[cut].spatial[0]) // high)
        assert torch.equal(in_strips(report, laid, cut, strips, parts), upright(whole[cut])), cut
        said = rolled(report, laid, cut, strips, 1)
        assert said.ratio <= 1
        with pytest.raises(AssertionError, match="too small"):
            in_strips(report, laid, cut, strips, parts, less=1)


@pytest.mark.exhaustive
def test_random_networks_run_in_strips() -> None:
    ran = 0
    for seed in range(300):
        draw = random.Random(seed)
        steps_ = []
        for _ in range(draw.randint(2, 6)):
            k, s = draw.choice([1, 2, 3, 5]), draw.choice([1, 1, 2, 3])
            steps_.append(draw.choice([
                f"conv{k}-{draw.randint(1, 4)}/{s} relu", f"maxpool{max(k, 2)}/{s} p{max(k, 2) // 2}", f"dwconv3/{s}",
                f"conv{k}-3 p0", "((conv3-3 > relu > conv1-3) + conv1-3) relu", "(conv3-2 | conv1-1)", "up2",
            ]))  # fmt: skip
        try:
            report = rfcalc.analyze(f"input: 2x{draw.randint(9, 30)}x{draw.randint(9, 20)}; {' > '.join(steps_)}")
        except rfcalc.RfcalcError:
            continue
        laid, parts = layout(report, fold_bn=False), Parts(report, seed)
        cut = draw.choice([c for c in cuts(report, laid.own) if c >= 1])
        strips = draw.randint(1, int(report.shapes[cut].spatial[0]))
        assert torch.equal(in_strips(report, laid, cut, strips, parts), upright(parts.whole()[cut])), seed
        ran += 1
    assert ran > 200


def test_rolling_needs_less_than_patches_for_mobilenet() -> None:
    """Up to the same map as MCUNetV2's patches, without the image: fewer bytes, and no more work."""
    report = rfcalc.analyze("mobilenet-v2", dtype="int8")
    laid = layout(report)
    plan = best_rolled(report, laid, cuts(report, laid.own), 1, count_input=False)
    assert plan is not None
    assert plan.cut == "block4.project"
    assert (plan.patch_bytes, plan.peak_bytes) == (122_304, 200_704)
    assert plan.ratio == 1
