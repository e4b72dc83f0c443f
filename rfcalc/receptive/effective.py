"""The effective receptive field in closed form: how the gradient of one unit spreads over the source.

Under stated assumptions (uniform positive weights, max pooling taken as uniform, branches weighted equally at joins,
no non-linearity, padding counted) the share of the gradient that each position gets along an axis is a distribution
that passes through the graph exactly: every layer spreads a unit's share evenly over what it reads. For a chain its
variance is Σ J²·d²·(k² − 1)/12, with J the stride of the way so far (Luo et al. 2016 give the same growth). Floating
point is used here and nowhere else in the core.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE, Alternatives
from rfcalc.core.window import STEP, All, Slide, Table
from rfcalc.graph.forward import Walked, relation

ASSUMPTIONS = (
    "weights are uniform and positive, max pooling is taken as uniform, activations as linear",
    "branches are weighted equally where they join; padding is counted",
)


WIDE = 64  # positions; wider distributions are spread line by line
LEAST = 1e-24


class Spread(NamedTuple):
    """The gradient's share along one axis of the source: positions and shares, which sum to 1.

    >>> spread = Spread({-1: 0.25, 0: 0.5, 1: 0.25})
    >>> spread.mean, round(spread.sigma, 3), spread.interval(0.95)
    (0.0, 0.707, (-1, 1))
    """

    shares: dict[int, float]

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"Spread(mean {self.mean:.2f}, sigma {self.sigma:.2f}, 95 % within {low} to {high})"

    @property
    def mean(self) -> float:
        return sum(p * m for p, m in self.shares.items())

    @property
    def sigma(self) -> float:
        """Standard deviation, in positions of the source."""
        mean = self.mean
        return sqrt(max(0.0, sum(m * (p - mean) ** 2 for p, m in self.shares.items())))

    def interval(self, share: float = 0.95) -> tuple[int, int]:
        """First and last position of the smallest interval centred on the mean that holds this share."""
        mean = self.mean
        held = 0.0
        low = high = round(mean)
        for position in sorted(self.shares, key=lambda p: (abs(p - mean), p)):
            held += self.shares[position]
            reach = abs(position - mean) + 1e-9
            low, high = _ceil(mean - reach), int((mean + reach) // 1)
            if held >= share - 1e-12:
                break
        return low, high


def _ceil(value: float) -> int:
    return -int(-value // 1)


def effective(walked: Walked, at: int, unit: tuple[int, ...], source: int = 0) -> tuple[Spread | None, ...]:
    """The effective receptive field of one unit, for each axis of the source; None where no gradient arrives.

    Raises:
        RfcalcError: positions are re-arranged on the way, a size is missing, or an operator was not understood.
    """
    network = walked.network
    arity = network.arity
    shape = walked.shapes[at]
    # For each position: its share of the gradient, and how that lies along each of its axes.
    weight: dict[int, float] = {at: 1.0}
    along: dict[int, dict[int, dict[int, float]]] = {
        at: {axis: {u: 1.0} for axis, u in zip(shape.axes, unit, strict=True)}
    }
    for position in range(at, max(arity, source + 1) - 1, -1):
        share = weight.pop(position, 0.0)
        mine = along.pop(position, {})
        if not share:
            continue
        node = network.nodes[position - arity]
        if node.layer.opaque:
            raise RfcalcError("an operator was not understood", where=node.name)
        sources = network.sources[position - arity]
        for s, alternatives in zip(sources, relation(walked, position), strict=True):
            part = 1.0 / (len(sources) * len(alternatives))
            weight[s] = weight.get(s, 0.0) + share / len(sources)
            _add(along.setdefault(s, {}), alternatives, mine, share, part, node.name)
    if not weight.get(source):
        return (None,) * walked.shapes[source].rank
    total = weight[source]
    found: list[Spread | None] = []
    for axis in walked.shapes[source].axes:
        shares = along[source].get(axis, {})
        arrived = sum(shares.values())
        found.append(Spread({p: m / arrived for p, m in shares.items()}) if arrived > total * 1e-12 else None)
    return tuple(found)


def _add(
    into: dict[int, dict[int, float]],
    alternatives: Alternatives,
    mine: dict[int, dict[int, float]],
    share: float,
    part: float,
    node: str,
) -> None:
    """Add to what a layer's input gets, axis by axis."""
    alike: list[tuple[dict[int, float], Slide, dict[int, float]]] = []  # axes often spread alike
    for reads in alternatives:
        if reads is POINTWISE:
            for axis, shares in mine.items():
                _pour(into.setdefault(axis, {}), shares, part)
            continue
        for axis, (out, index) in enumerate(reads):
            kept = into.setdefault(axis, {})
            if isinstance(index, All):
                even = share * part / index.extent
                for p in range(index.extent):
                    kept[p] = kept.get(p, 0.0) + even
            elif out is None or out not in mine:
                continue
            elif index is STEP:
                _pour(kept, mine[out], part)
            elif isinstance(index, Slide) and index.stride == 1 and len(mine[out]) > WIDE:
                known = next((w for s, i, w in alike if i == index and (s is mine[out] or s == mine[out])), None)
                if known is None:
                    known = _wide(mine[out], index)
                    alike.append((mine[out], index, known))
                _pour(kept, known, part)
            elif isinstance(index, (Slide, Table)):
                for u, m in mine[out].items():
                    read = index.taps(u)
                    for p in read:
                        kept[p] = kept.get(p, 0.0) + m * part / len(read)
            else:
                raise RfcalcError("positions are re-arranged, so shares do not add up axis by axis", where=node)


def _wide(shares: dict[int, float], index: Slide) -> dict[int, float]:
    """What a layer of stride 1 makes of a wide distribution: the mean of as many copies as the kernel has positions,
    each moved. Shares below `LEAST` of the largest are left out, so that the width grows with the standard deviation
    and not with the receptive field: of 10,000 layers it is 1,700 positions, not 20,001.
    """
    low, high = min(shares), max(shares)
    line = [shares.get(p, 0.0) for p in range(low, high + 1)]
    kernel, dilation = index.kernel, index.dilation
    copies = [[0.0] * (dilation * t) + line + [0.0] * (dilation * (kernel - 1 - t)) for t in range(kernel)]
    spread = [sum(values) / kernel for values in zip(*copies, strict=True)]
    least = LEAST * max(spread)
    return {p: m for p, m in enumerate(spread, low + index.first) if m > least}


def _pour(into: dict[int, float], shares: dict[int, float], part: float) -> None:
    for p, m in shares.items():
        into[p] = into.get(p, 0.0) + m * part
