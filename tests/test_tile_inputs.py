"""Tiles of networks with two inputs of different sizes: an image and a guide of half its size, one that is cut, …"""

from __future__ import annotations

from random import Random
from typing import Any

import jsonschema
import pytest

import rfcalc
from rfcalc import Add, Concat, Conv, Network, RfcalcError, parallel, ref, series
from rfcalc.graph.forward import forward

torch = pytest.importorskip("torch")

from test_tile import SCHEMA  # noqa: E402
from tile_least import Oracle, not_least  # noqa: E402
from tiling import exact_of, image, layer  # noqa: E402


def branches(pick: Random) -> Network | None:
    """Two inputs that meet: the second one has any size at which the maps fit together."""
    rank, border = pick.choice([1, 1, 2]), pick.choice(["zeros", "zeros", "reflect"])
    size = pick.randrange(24, 64) if rank == 1 else pick.randrange(16, 32)
    first = series([layer(pick, rank, border) for _ in range(pick.randrange(1, 4))])
    second = series([layer(pick, rank, border) for _ in range(pick.randrange(0, 3))] or [Conv(2, 1)])
    tail = series([layer(pick, rank, border) for _ in range(pick.randrange(1, 3))])
    sizes = [m for m in range(3, 4 * size) if m != size]
    pick.shuffle(sizes)
    for other in sizes:
        joined = parallel([ref("a") >> first, ref("b") >> second], pick.choice([Add(), Concat()])) >> tail
        try:
            network = Network(joined, {"a": (4, *[size] * rank), "b": (4, *[other] * rank)})
            walked = forward(network, [s for s in network.inputs.values() if s])
            rfcalc.to_torch(network)
        except RfcalcError:
            continue
        return network if all(x.values < 100_000 for x in walked.shapes) else None
    return None


def checked(seeds: range) -> int:
    """How many networks of these seeds have tiles: equal to the whole, and the least."""
    found = 0
    for seed in seeds:
        pick = Random(seed)
        network = branches(pick)
        if network is None:
            continue
        try:
            whole = rfcalc.tile(network)
        except RfcalcError as error:
            if "different sizes" not in error.what:
                raise
            continue
        if whole.barriers:
            continue
        plan = rfcalc.tile(network, tiles=[min(pick.choice([2, 3]), line.extent) for line in whole.lines])
        source = {name: image(x, seed + i) for i, (name, x) in enumerate(zip("ab", plan.inputs, strict=True))}
        run = exact_of(network, seed)
        assert torch.equal(plan.run(run, source), run(source)), (seed, network)
        for line, parts in zip(plan.lines, plan.parts, strict=True):
            oracle = Oracle(line)
            for part in parts:
                assert oracle.right(*part.read, part), (seed, line.axis, part, network)
                smaller = not_least(oracle, part, pick)
                assert smaller is None or not oracle.right(*smaller, part, chance=False), (seed, part, smaller, network)
        found += any(len(parts) > 1 for parts in plan.parts)
    return found


def test_random_networks_of_two_inputs() -> None:
    torch.set_num_threads(1)
    assert checked(range(150)) > 20


@pytest.mark.exhaustive
def test_many_random_networks_of_two_inputs() -> None:
    assert checked(range(150, 4000)) > 500


def test_an_image_and_a_guide_of_half_its_size() -> None:
    joined = parallel([ref("x") >> Conv(4, 3, stride=2, padding=1), ref("g") >> Conv(4, 3, padding=1)], Add())
    network = Network(joined >> Conv(1, 3, padding=1), {"x": "3x64x48", "g": "1x32x24"})
    plan = rfcalc.tile(network, tiles="2x2")
    assert plan.axes[0].need == plan.axes[0].halo == (4, 4) and plan.axes[0].align == 2
    found = plan.to_dict()
    jsonschema.validate(found, SCHEMA)
    assert found["tiles"][3]["read"] == {"x": [[28, 64], [20, 48]], "g": [[14, 32], [10, 24]]}
    from rfcalc.render import render

    told = render(plan.document())
    assert "reads of x" in told and "it reads of g: n/2 on axis 0, n/2 on axis 1" in told
    with pytest.raises(RfcalcError, match="source of g has the shape"):
        plan.run(lambda t: t, {"x": torch.zeros(3, 64, 48), "g": torch.zeros(1, 64, 48)})


class Beside(torch.nn.Module):
    """Code with two inputs of different sizes, and a vector first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(1, 2, 3, 2, 1), torch.nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, scale: Any, x: Any, guide: Any) -> Any:
        return self.a(x) * scale[:, :, None, None] + self.b(guide)


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_code_with_inputs_of_different_sizes(size: tuple[int, int]) -> None:
    from rfcalc.backend.tiling import verified

    module, half = Beside().eval(), [(n + 1) // 2 for n in size]
    plan = rfcalc.tile(module, {"scale": (2,), "x": (1, *size), "guide": (1, *half)}, tiles="2x2")
    assert plan.status == "exact" and plan.count == 4, plan.barriers
    found = verified(plan, module)
    assert found["passed"], found["sentences"]
