"""The effective receptive field in closed form: how the gradient of one unit spreads over the source.

Under stated assumptions (uniform positive weights, max pooling taken as uniform, branches weighted equally at joins,
no non-linearity, padding counted) the share of the gradient that each position gets along an axis is a distribution
that passes through the graph exactly: every layer spreads a unit's share evenly over what it reads. For a chain its
variance is Σ J²·d²·(k² − 1)/12, with J the stride of the way so far (Luo et al. 2016 give the same growth). Floating
point is used here and nowhere else in the core.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from operator import mul
from typing import NamedTuple, TypeAlias

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE, Alternatives
from rfcalc.core.window import STEP, All, Slide, Table
from rfcalc.graph.forward import Shaped, relation

ASSUMPTIONS = (
    "weights are uniform and positive, max pooling is taken as uniform, activations as linear",
    "branches are weighted equally where they join; padding is counted",
)


WIDE = 64  # positions; what spreads wider distributions is put off, and done for all layers of a kind at once
MOST_KINDS = 8  # of layers that are put off
LEAST = 1e-24  # of the largest share: smaller ones are left out


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


def effective(walked: Shaped, at: int, unit: tuple[int, ...], source: int = 0) -> tuple[Spread | None, ...]:
    """The effective receptive field of one unit, for each axis of the source; None where no gradient arrives.

    Behind n layers the shares lie on about √n positions, each of which is carried through every join: the time of a
    chain of residual blocks grows as n·√n (16,000 nodes: some seconds). All else that is said of a node is linear.

    Raises:
        RfcalcError: positions are re-arranged on the way, a size is missing, or an operator was not understood.
    """
    network = walked.network
    arity = network.arity
    shape = walked.shapes[at]
    # For each position: its share of the gradient, and how that lies along each of its axes.
    weight: dict[int, float] = {at: 1.0}
    along: dict[int, dict[int, Shares]] = {at: {axis: {u: 1.0} for axis, u in zip(shape.axes, unit, strict=True)}}
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
        shares = _settled(along[source], axis)
        arrived = sum(shares.values())
        found.append(Spread({p: m / arrived for p, m in shares.items()}) if arrived > total * 1e-12 else None)
    return tuple(found)


class SpreadLater(NamedTuple):
    """A distribution, and the layers of stride 1 that it is still to be spread by: how many of which kernel and
    dilation. It moves by `first` positions, and counts `factor` times."""

    shares: dict[int, float]
    layers: dict[tuple[int, int], int]
    first: int
    factor: float

    def done(self) -> dict[int, float]:
        """The distribution behind all of the layers.

        Shares below `LEAST` of the largest are left out, so that the width grows with the standard deviation and not
        with the receptive field: of 10,000 layers of kernel 3 it is 1,700 positions, not 20,001.
        """
        low, high = min(self.shares), max(self.shares)
        line = [self.shares.get(p, 0.0) for p in range(low, high + 1)]
        low += self.first
        for (kernel, dilation), times in self.layers.items():
            start, even = _repeated(kernel, times)
            if dilation > 1:
                even = [m for share in even for m in (share, *[0.0] * (dilation - 1))]
            low += start * dilation
            start, line = _cut(_spread(line, even))
            low += start
        return {p: m * self.factor for p, m in enumerate(line, low) if m}


Shares: TypeAlias = "dict[int, float] | SpreadLater"


def _wide(shares: Shares) -> bool:
    return isinstance(shares, SpreadLater) or len(shares) > WIDE


def _settled(along: dict[int, Shares], axis: int) -> dict[int, float]:
    """The distribution along an axis, with nothing put off; an empty one where there is none."""
    found = along.setdefault(axis, {})
    if isinstance(found, SpreadLater):
        found = along[axis] = found.done()
    return found


def _add(
    into: dict[int, Shares],
    alternatives: Alternatives,
    mine: dict[int, Shares],
    share: float,
    part: float,
    node: str,
) -> None:
    """Add to what a layer's input gets, axis by axis."""
    for reads in alternatives:
        if reads is POINTWISE:
            for axis in mine:
                _pour(into, axis, mine[axis], part)
            continue
        for axis, (out, index) in enumerate(reads):
            if isinstance(index, All):
                even = share * part / index.extent
                _pour(into, axis, dict.fromkeys(range(index.extent), even), 1.0)
            elif out is None or out not in mine:
                continue
            elif index is STEP:
                _pour(into, axis, mine[out], part)
            elif isinstance(index, Slide) and index.stride == 1 and _wide(mine[out]):
                _pour(into, axis, _put_off(mine, out, index), part)
            elif isinstance(index, (Slide, Table)):
                kept = _settled(into, axis)
                for u, m in _settled(mine, out).items():
                    read = index.taps(u)
                    for p in read:
                        kept[p] = kept.get(p, 0.0) + m * part / len(read)
            else:
                raise RfcalcError("positions are re-arranged, so shares do not add up axis by axis", where=node)


def _pour(into: dict[int, Shares], axis: int, shares: Shares, part: float) -> None:
    """Add a part of a distribution to the one along an axis."""
    if axis not in into and isinstance(shares, SpreadLater):
        into[axis] = shares._replace(factor=shares.factor * part)
        return
    kept = _settled(into, axis)
    for p, m in (shares.done() if isinstance(shares, SpreadLater) else shares).items():
        kept[p] = kept.get(p, 0.0) + m * part


def _put_off(along: dict[int, Shares], axis: int, index: Slide) -> SpreadLater:
    """A wide distribution, to be spread by one more layer of stride 1."""
    shares = along[axis]
    if isinstance(shares, SpreadLater) and len(shares.layers) >= MOST_KINDS:
        shares = _settled(along, axis)
    before = shares if isinstance(shares, SpreadLater) else SpreadLater(shares, {}, 0, 1.0)
    kind = (index.kernel, index.dilation)
    layers = before.layers | {kind: before.layers.get(kind, 0) + 1}
    return before._replace(layers=layers, first=before.first + index.first)


@lru_cache(maxsize=64)
def _repeated(kernel: int, times: int) -> tuple[int, list[float]]:
    """The even distribution over so many positions, spread by itself so many times, by squaring; where it begins."""
    if times == 1:
        return 0, [1.0 / kernel] * kernel
    start, half = _repeated(kernel, times // 2)
    cut, line = _cut(_spread(half, half))
    start = 2 * start + cut
    if times % 2:
        cut, line = _cut(_spread(line, [1.0 / kernel] * kernel))
        start += cut
    return start, line


def _spread(a: list[float], b: list[float]) -> list[float]:
    """Every share of one distribution spread like the other: the distribution of the sum."""
    if len(a) < len(b):
        a, b = b, a
    beside = [0.0] * (len(b) - 1)
    padded, turned = beside + a + beside, b[::-1]
    return [sum(map(mul, padded[i : i + len(b)], turned)) for i in range(len(a) + len(b) - 1)]


def _cut(line: list[float]) -> tuple[int, list[float]]:
    """Without the ends that are too small to matter: how many positions go at the beginning, and what is left."""
    least = LEAST * max(line)
    first, last = 0, len(line)
    while line[first] <= least:
        first += 1
    while line[last - 1] <= least:
        last -= 1
    return first, line[first:last]
