"""Sizes of an axis in parts, and what was read at them: helpers of `rfcalc.readers.ways`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import Watched, watched_again
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import forward
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading
from rfcalc.plan.classes import Range
from rfcalc.plan.sizes_of_ways import turns
from rfcalc.plan.solving import Part

LARGE = 700


def ran(refused: RfcalcError, asked: Watched, inputs: Sequence[Shape]) -> Reading | None:
    """What code ran until it was refused, as a network that was read; None where it is not known why it was."""
    if not callable(refused.ran) or not asked.refusal:
        return None
    try:
        with watched_again(asked):
            network = refused.ran()
        return None if network.source.heard is None else Reading(network, forward(network, list(inputs)).shapes)
    except RfcalcError:
        return None


def ends(known: Reading | RfcalcError, asked: Watched) -> str:
    """Where code is refused at a size; empty where it is taken."""
    if isinstance(known, Reading):
        return ""
    return asked.refusal[-1].where if asked.refusal else "why is not known"


def outputs_told(network: Network, shapes: Sequence[Shape]) -> str:
    """The extents of a network's outputs in words."""
    outputs = [shapes[network.position(name)] for name in network.outputs]
    return ", ".join(["x".join(map(str, y.dims)) for y in outputs])


def holds(part: Part, n: int) -> bool:
    t, rest = divmod(n - part.rest, part.modulus)
    return not rest and t >= part.values.first and (part.values.last is None or t <= part.values.last)


def size_at(part: Part, t: int) -> int:
    return part.modulus * t + part.rest


def spread_of(parts: Sequence[Part]) -> list[int]:
    """Sizes of several parts: the least, the greatest (one far away, where there is none), and others between."""
    order = sorted(parts, key=lambda p: size_at(p, p.values.first))
    far = [max(p.values.first + turns(p.modulus), LARGE // p.modulus) for p in order]
    ends = [size_at(p, t if p.values.last is None else p.values.last) for p, t in zip(order, far, strict=True)]
    if not order:
        return []
    middle = order[len(order) // 2]
    quarter = ends[len(order) // 4]
    return [
        *dict.fromkeys(
            (size_at(middle, middle.values.first), max(ends), size_at(order[0], order[0].values.first), quarter)
        )
    ]


def without(part: Part, n: int) -> Iterator[Part]:
    """Sizes without one of them."""
    if not holds(part, n):
        yield part
        return
    t = (n - part.rest) // part.modulus
    first, last = part.values
    if first < t:
        yield part._replace(values=Range(first, t - 1))
    if last is None or t < last:
        yield part._replace(values=Range(t + 1, last))
