"""What every unit sees, against PyTorch's autograd: the gradient of a linear stand-in with positive weights.

This oracle shares nothing with the walks but the description of the layers, and nothing with the index sets of
`oracle`: PyTorch runs the network in float64, in evaluation mode, with sums for maxima and no activations, and a pixel
belongs to a unit's region where the unit's derivative by that pixel is not zero. ``-m exhaustive`` runs ten times as
many graphs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

import pytest
import torch
from graphs import ORDER, Distribution, grow
from oracle import Oracle
from oracle_rules import Unit, units
from strategies import Pick
from torch import Tensor

import rfcalc
from rfcalc import Add, Conv, ConvTranspose, MaxPool, Network, Shape, parallel, to_torch, zoo
from rfcalc.backend.twin import MEASURES, Twin
from rfcalc.core.errors import Unsupported
from rfcalc.graph.forward import Walked
from rfcalc.receptive.region_walk import regions

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
PARTS, CASES = 4, 135  # random graphs: 540, of which more than 500 can be built in PyTorch
MOST = 4  # nodes looked at in each graph: the outputs, and others


def gradients(walked: Walked, chosen: Mapping[str, Sequence[Unit]]) -> dict[str, dict[Unit, set[Unit]]]:
    """For each of these units of each of these nodes, the pixels of the first input with a derivative."""
    network = walked.network
    shapes = walked.shapes[: network.arity]
    copies = max(map(len, chosen.values()))
    inputs = [torch.ones(copies, *s.dims, dtype=torch.float64) for s in shapes]
    inputs[0].requires_grad_()
    values = to_torch(network, dict(zip(network.inputs, shapes, strict=True)), measuring=True).run(
        *inputs, keep=tuple(chosen)
    )
    return {
        name: _of_units(values[name], inputs[0], walked.shapes[network.position(name)], shapes[0], places)
        for name, places in chosen.items()
    }


def _of_units(value: Tensor, x: Tensor, shape: Shape, source: Shape, places: Sequence[Unit]) -> dict[Unit, set[Unit]]:
    """One backward pass: copy i of the input is asked for the derivative of the i-th unit."""
    if not value.requires_grad:
        return {unit: set() for unit in places}
    maps = value.movedim(shape.channel + 1, 1).sum(1)
    asked = sum(maps[(i, *unit)] for i, unit in enumerate(places))
    assert isinstance(asked, Tensor)
    (found,) = torch.autograd.grad(asked, x, retain_graph=True, allow_unused=True)
    if found is None:
        return {unit: set() for unit in places}
    size = found.movedim(source.channel + 1, 1).abs().sum(1)
    seen = size > 0  # sums of products of positive numbers: nothing cancels, and what is not reached is zero exactly
    return {unit: {tuple(p) for p in seen[i].nonzero().tolist()} for i, unit in enumerate(places)}


def compare(
    network: Network, names: Sequence[str], chosen: Sequence[Unit] | None = None, shape: str | None = None
) -> Counter[str]:
    """These units (or every unit) of these nodes: the walk's exact region and the gradient's."""
    walked = rfcalc.analyze(network, shape)
    found: Counter[str] = Counter()
    places = {name: chosen or units(walked.shapes[network.position(name)]) for name in names}
    for name, measured in gradients(walked, places).items():
        walk = regions(walked, name)
        for unit, pixels in measured.items():
            region = walk.unit(unit)
            seen = set(region.pixels())
            assert seen >= pixels if walk.bounded else seen == pixels, (name, unit, network)
            found["units"] += 1
            found["units with holes"] += len(pixels) < region.density[1]
            found["units that see no product of sets"] += len(pixels) < prod(m.bit_count() for m in region.shadow)
    return found


def of_random_graphs(part: int, cases: int) -> tuple[Counter[str], Distribution]:
    found: Counter[str] = Counter()
    drawn = Distribution()
    pick = random.Random(part)
    for seed in range(cases):
        case = grow(Pick(random.Random(7_000_000 + 10_000 * part + seed).randbytes(400)), ORDER, 15, 8)
        inner = [n.name for n in case.network.nodes if n.name not in case.network.outputs]
        names = [*case.network.outputs, *pick.sample(inner, min(len(inner), MOST))][:MOST]
        try:
            found += compare(case.network, names)
        except Unsupported:
            found["not in PyTorch"] += 1
            continue
        found["graphs"] += 1
        drawn.add(case, Oracle(case.network))
    return found, drawn


def enough(found: Counter[str], drawn: Distribution, graphs: int) -> None:
    assert found["graphs"] >= graphs, found
    assert found["units"] > 30 * graphs, found
    assert found["units with holes"] > graphs, found
    assert found["units that see no product of sets"] > graphs / 5, found
    for name in ("joins", "upsampling", "unequal strides at a join"):
        assert drawn.share(name) >= 0.2, (name, drawn.share(name))
    assert drawn.share("attention windows") >= 0.02, drawn.share("attention windows")


@pytest.mark.parametrize("part", range(PARTS))
def test_every_unit_of_random_graphs(part: int) -> None:
    enough(*of_random_graphs(part, CASES), 500 // PARTS)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(PARTS, 11 * PARTS))
def test_every_unit_of_very_many_graphs(part: int) -> None:
    enough(*of_random_graphs(part, CASES), 400 // PARTS)  # parts differ in what they draw


def test_two_axes_that_do_not_factor() -> None:
    cross = Network(parallel([Conv(1, (1, 3), padding="same"), Conv(1, (3, 1), padding="same")], Add()), "1x7x7")
    (name,) = cross.outputs
    assert len(gradients(rfcalc.analyze(cross), {name: [(3, 3)]})[name][(3, 3)]) == 5
    assert compare(cross, [name])["units that see no product of sets"] == 49


def narrow(name: str, **options: int) -> Network:
    """A network of the literature with few channels, which receptive fields do not depend on."""
    return zoo.build(name, **options)


@pytest.mark.parametrize(
    ("network", "shape", "largest"),
    [
        # valid: of 16 phases the largest; padded: 204 would be seen of an image larger than 64
        (narrow("unet", width=1), "1x236x236", 204),
        (narrow("unet-padded", width=1), "1x64x64", 64),
        (narrow("wavenet-block", residual=1, gate=1, skip=1, classes=1, channels=1), "1x2100", 1024),
        (narrow("patchgan-70", width=8, channels=1), "1x182x182", 70),
    ],
    ids=["unet", "unet-padded", "wavenet", "patchgan"],
)
def test_networks_of_the_literature(network: Network, shape: str, largest: int) -> None:
    """Units of all phases, at the border and in the middle."""
    report = rfcalc.analyze(network, shape)
    out = report[network.outputs[0]].shape
    n = out.spatial[0]
    diagonal = [(i,) * out.rank for i in sorted({0, *range(n // 2 - 8, n // 2 + 8), n - 1}) if 0 <= i < n]
    assert compare(network, network.outputs[:1], diagonal, shape)["units"] == len(diagonal)
    walk = regions(report, network.outputs[0])
    assert max(walk.unit(u).size[0] for u in diagonal) == largest


def test_control_a_wrong_stand_in_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(Conv(1, 3, padding=1) >> ConvTranspose(1, 2, stride=2) >> MaxPool(3, 2), "1x9")
    assert compare(network, list(network.outputs))["units"] == 8
    monkeypatch.setitem(MEASURES._values, "maxpool", lambda at: Twin(None, "{0}[:, :, 1:-1:2]"))
    with pytest.raises(AssertionError):
        compare(network, list(network.outputs))
