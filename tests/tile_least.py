"""Tiles of random graphs: in whole numbers equal to the whole, and the least, on every axis.

That a tile is the least is seen by a second way to tiles, which knows no halo: every unit of every map is numbered by
what it computes, the numbers of the units that it reads. A unit of a tile is right if it has the number of the unit of
the whole in whose place it is written. In every smaller tile (one align or more less before, one position or more less
after) some unit has another number or is missing, or the network refuses the size. Sizes of maps come from the layers
themselves, not from the plan.

`nice python tests/tile_least.py FIRST LAST` tries the seeds FIRST … LAST − 1 and says what it has found.
"""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

import torch
from tiling import exact, image, random_network

import rfcalc
from rfcalc import Network, RfcalcError
from rfcalc.core.window import STEP, Border
from rfcalc.plan.axis_tiles import AxisTiles, Part
from rfcalc.plan.lines import LineView, view
from rfcalc.plan.tile import TilePlan

NOTHING = -1  # the number of what lies outside of a map, in a border of zeros


def standing(q: int, n: int, border: str) -> int:
    """The position of a map of n that stands for q."""
    if 0 <= q < n:
        return q
    if border == Border.REFLECT:
        q = -q if q < 0 else 2 * (n - 1) - q
        return q if 0 <= q < n else NOTHING
    if border == Border.REPLICATE:
        return 0 if q < 0 else n - 1
    return q % n if border == Border.CIRCULAR else NOTHING


class Oracle:
    """What the units of one axis compute, in the whole and in tiles, whatever the weights."""

    def __init__(self, line: AxisTiles) -> None:
        self.line, self.whole = line, line.view
        self.wraps = bool(line.view.wraps)
        self._views: dict[int, LineView | None] = {}
        self._numbers: dict[object, int] = {}
        self._whole = Units(self, 0, line.size)

    def view(self, size: int) -> LineView | None:
        """The axis of an image of this size; None if the network refuses it."""
        if size not in self._views:
            line = self.line
            inputs, factors = line.together.at(size), line.together.factors
            if (size - line.size) % line.together.step:  # the other inputs have no whole size there
                self._views[size] = None
                return None
            try:
                self._views[size] = view(line.following.at(inputs), inputs, line.axis, line.view, factors)
            except RfcalcError:
                self._views[size] = None
        return self._views[size]

    def number(self, computed: object) -> int:
        return self._numbers.setdefault(computed, len(self._numbers))

    def right(self, start: int, end: int, part: Part, chance: bool = True) -> bool:
        """Whether a tile that reads [start, end) holds what it writes, and computes it as the whole does.

        `chance`: also where a border of the tile itself, in the midst of the image, happens to stand for the right
        position (reflected or circular).
        """
        tile = self.view(end - start) if end > start else None
        if tile is None or tile.places != self.whole.places or tile.barriers:
            return False
        pairs = []
        for p, (a, b) in zip(self.line.outputs, part.write, strict=True):
            origin = int(start * self.whole.densities[p])
            if a < b and not (origin <= a and b <= origin + (tile.lengths[p] or 0)):
                return False
            units = [b - 1, *range(a, b - 1)] if a < b else []  # the last one first: it fails most often
            pairs += [(p, u - origin, u) for u in units]
        mine = Units(self, start, end - start, chance)
        return all(mine.of(p, unit) == self._whole.of(p, place) for p, unit, place in pairs)


class Units:
    """The numbers of the units of a tile, found when they are asked for."""

    def __init__(self, oracle: Oracle, start: int, size: int, chance: bool = True) -> None:
        found = oracle.view(size)
        assert found is not None
        self.oracle, self.view, self.start = oracle, found, start
        self.chance = chance or size == oracle.line.size
        self._known: dict[tuple[int, int], int] = {}

    def of(self, p: int, unit: int) -> int:
        known = self._known.get((p, unit))
        if known is None:
            known = self._known[p, unit] = self.oracle.number(self._computed(p, unit))
        return known

    def _computed(self, p: int, unit: int) -> object:
        network = self.oracle.line.network
        if p < network.arity:
            place = unit + int(self.start * self.view.densities[p])
            return p, place % self.oracle.line.size if self.oracle.wraps else place
        pool = network.nodes[p - network.arity].layer.kind in ("maxpool", "avgpool")
        read: list[object] = [p]
        for source, reads in self.view.edges[p]:
            if reads is STEP:
                read.append(self.of(source, unit))
                continue
            n = self.view.lengths[source] or 0
            taps = list(reads.taps(unit))
            stands = [standing(q, n, reads.border) for q in taps]
            if not self.chance:
                stands = [
                    q if q == t or self.at_the_border(source, t) else NOTHING for q, t in zip(stands, taps, strict=True)
                ]
            numbers = [q if q == NOTHING else self.of(source, q) for q in stands]
            read += [unit % reads.period, *(sorted(numbers) if pool else numbers)]
        return tuple(read)

    def at_the_border(self, source: int, q: int) -> bool:
        """Whether what lies outside of a map of the tile also lies outside of the whole map, to the same side."""
        whole = self.oracle.whole
        place = q + self.start * whole.densities[source]
        return not self.oracle.wraps and not 0 <= place < (whole.lengths[source] or 0)


def not_least(oracle: Oracle, part: Part, pick: Random, most: int = 40) -> tuple[int, int] | None:
    """A smaller tile that does as well; all that begin one align later, or end up to `most` positions sooner, are
    tried, and as many others at random."""
    line, (a, b) = oracle.line, part.read
    last = a + line.size if oracle.wraps else line.size
    smaller = [(a + line.align, end) for end in range(a + line.align + 1, last + 1)]
    smaller += [(a, end) for end in range(max(a + 1, b - most), b)]
    starts = range(a, last, line.align)
    for _ in range(most if len(starts) > 1 else 0):
        start = pick.choice(starts[1:])
        smaller.append((start, pick.randrange(start + 1, last + 1)))
    return next((found for found in smaller if found[1] - found[0] < b - a and oracle.right(*found, part)), None)


def cut(network: Network, pick: Random) -> TilePlan | None:
    """A random plan of a random network; None where there is none."""
    whole = rfcalc.tile(network)
    if whole.barriers:
        return None
    return rfcalc.tile(network, tiles=[min(pick.choice([2, 3, 4]), line.extent) for line in whole.lines])


def checked(seeds: range, running: bool = True) -> Counter[str]:
    """How many graphs of these seeds were compared, in each number of dimensions, and how many tiles of axes.

    Raises:
        AssertionError: a value differs; a tile is wrong by the second oracle, or is not the least.
    """
    found: Counter[str] = Counter()
    for seed in seeds:
        pick = Random(seed)
        network = random_network(pick, mixed=bool(seed % 2))
        plan = None if network is None else cut(network, pick)
        if network is None or plan is None:
            continue
        if running:
            x, run = image(plan.inputs[0], seed), exact(network, seed)
            whole = run(x)
            assert torch.equal(plan.run(run, x), whole), (seed, network)
            found["values"] += whole.numel()
        for line, parts in zip(plan.lines, plan.parts, strict=True):
            oracle = Oracle(line)
            for part in parts:
                assert oracle.right(*part.read, part), (seed, line.axis, part, network)
                smaller = not_least(oracle, part, pick)
                if smaller is not None and not oracle.right(*smaller, part, chance=False):
                    found["smaller by chance"] += 1
                    smaller = None
                assert smaller is None, (seed, line.axis, part, smaller, network)
                found["tiles of an axis"] += 1
                found["of these smaller than the axis"] += part.read[1] - part.read[0] < line.size
        found["graphs"] += 1
        found[f"graphs of {plan.rank} dimensions"] += 1
    return found


def main() -> None:
    torch.set_num_threads(1)
    first, last = map(int, sys.argv[1:])
    total: Counter[str] = Counter()
    for begin in range(first, last, 500):
        total += checked(range(begin, min(begin + 500, last)))
        print(begin + 500, dict(total), flush=True)


if __name__ == "__main__":
    main()
