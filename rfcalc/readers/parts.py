"""Sizes of an axis in parts, and what was read at them: helpers of `rfcalc.readers.ways`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import Condition, Watched, atoms, watched_again, written
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import forward
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading, Unfollowed, plan
from rfcalc.plan.asked import nothing_lost
from rfcalc.plan.classes import Range
from rfcalc.plan.sizes_of_ways import Way, parted, turns
from rfcalc.plan.solving import Part
from rfcalc.readers.guards import raised
from rfcalc.readers.rereading import brief

LARGE = 700
NEARBY = 512  # up to which new ways are looked for
DOUBLED = 4  # times
MANY = 1 << 20
SEVERAL = 4  # sizes that are refused alike
MOST_EMPTIED = 24  # sizes at which nothing is left
FURTHER = (1, 2, 3, 5, 8, 13, 31, 64)  # of a class whose least size is refused before it takes its way
FAR = ((5, 8, 0), (2, 1, 1), (3, 1, 5), (5, 1, 2))  # shares of a size, and more
AROUND = (1, 32, 13, 64, 27, 4, 2, 7, 95, 3, 16, 46, 128, 224, 5, 6, 9, 11, 14, 20, 25, 28, 77, 191)


class Left(NamedTuple):
    """Sizes whose way is not known yet; the way on which they were refused, its position and why, if there is one."""

    part: Part
    way: Way | None = None
    position: int | None = None
    error: RfcalcError | None = None


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


def difference(network: Network, told: Any, read: Reading | RfcalcError, at: Shape) -> str:
    """What a reading does that was not told of it; empty where it gives back the same maps, and makes the same parts of
    maps. Where a map has one position, it may lie before or behind the items, of which there is one, too.

    Args:
        told: the shapes of the network's maps, or the error that refuses them.
    """
    mine = None if isinstance(told, RfcalcError) else _outputs(network, told)
    theirs = None if isinstance(read, RfcalcError) else _outputs(read.network, read.shapes)
    pairs = zip(mine or [], theirs or [], strict=False)
    if len(mine or []) == len(theirs or []) and all(a == b or (1, *a) == b or a == (1, *b) for a, b in pairs):
        return _parts_apart(network, told, read, at)
    said = told.what if mine is None else _dims_told(mine)
    does = brief(read) if isinstance(read, RfcalcError) else _dims_told(theirs or [])
    return "" if said == does else f"at {at} its layers as they were read say: {said}; it does: {does}"


def _parts_apart(network: Network, told: Any, read: Reading | RfcalcError, at: Shape) -> str:
    """The same of parts of maps, where the nodes are the same: what is given back may be alike by chance."""
    if isinstance(told, RfcalcError) or isinstance(read, RfcalcError) or plan(read.network) != plan(network):
        return ""
    for p, node in enumerate(network.nodes, network.arity):
        if node.layer.kind == "slice" and told[p].dims != read.shapes[p].dims:
            return f"at {at} {node.name} makes {read.shapes[p]}, and was told to make {told[p]}"
    return ""


def _outputs(network: Network, shapes: Sequence[Shape]) -> list[tuple[Any, ...]]:
    return [shapes[network.position(name)].dims for name in network.outputs]


def _dims_told(outputs: Sequence[tuple[Any, ...]]) -> str:
    """The extents of maps in words."""
    return ", ".join(["x".join(map(str, dims)) for dims in outputs])


def holds(part: Part, n: int) -> bool:
    t, rest = divmod(n - part.rest, part.modulus)
    return not rest and t >= part.values.first and (part.values.last is None or t <= part.values.last)


def ever_more(least: int, doubled: set[int]) -> bool:
    """Whether sizes doubled several times with new ways each time, so that others are expected behind them.

    Args:
        doubled: the powers of 2 between which ways began.
    """
    return least > NEARBY and all(least.bit_length() - i in doubled for i in range(DOUBLED))


def size_at(part: Part, t: int) -> int:
    return part.modulus * t + part.rest


def refused_there(
    number: int,
    taken: Sequence[Condition],
    parts: Sequence[Part],
    n: int,
    read: Callable[[int], Any],
    asked: Mapping[int, Watched],
) -> bool:
    """Whether code refuses the sizes of some parts, which answer one of its conditions otherwise: at once, or after
    further questions, which have the same answers, about the same lengths, at several sizes; where it runs, and nothing
    is left of what it makes, each of the sizes."""
    counts = [MANY if p.values.last is None else p.values.last - p.values.first + 1 for p in parts]
    if emptied := getattr(read(n), "emptied", False):
        if sum(counts) > MOST_EMPTIED:
            return False
        sizes = [size_at(p, p.values.first + i) for p, count in zip(parts, counts, strict=True) for i in range(count)]
    else:
        sizes = spread_of(parts)
    found: list[Any] = []
    for m in dict.fromkeys((n, *sizes)):
        refused, conditions = read(m), asked[m].conditions
        if not (isinstance(refused, RfcalcError) and raised(refused)) or parted(taken, conditions) != number:
            return False
        rest = conditions[number + 1 :]
        found.append([(c.where, c.holds, written(c.asked), *[a.value for a in atoms(c.asked)]) for c in rest])
        if not (rest or emptied):
            break
    several = len(found) >= min(SEVERAL - 1, sum([min(count, SEVERAL) for count in counts]))
    return bool(emptied or not found[0] or (several and all(rest == found[0] for rest in found)))


def unending(
    left: Sequence[Part], size: int, read: Callable[[int], Any], asked: Mapping[int, Watched]
) -> Unfollowed | None:
    """Why sizes that are left take ways without an end: at two of them that are larger, code makes something else of a
    length than a number that is followed (a loop over positions)."""
    part = next((part for part in left if part.values.last is None), None)
    if part is None:
        return None
    t = max(part.values.first, (size - part.rest) // part.modulus)
    larger = [size_at(part, times * t + 1) for times in (2, 3)]
    if any(isinstance(read(n), RfcalcError) for n in larger):
        return None
    try:
        nothing_lost([asked[n] for n in larger])
    except Unfollowed as unfollowed:
        return unfollowed
    return None


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


def around(n: int, mine: Part, like: Sequence[int]) -> Iterator[int]:
    """Sizes around one, after those that are like it: the next one, some far away (what is rounded up differs there),
    those of its own part; then the nearest."""
    far = [n * above // below + more for above, below, more in FAR if n < LARGE]
    near = [other for more in AROUND for other in (n - more, n + more)]
    t = (n - mine.rest) // mine.modulus
    part = [size_at(mine, t + more) for k in FURTHER for more in (k, -k) if holds(mine, size_at(mine, t + more))]
    yield from (m for m in dict.fromkeys((*like, *near[:1], *far, *near[1:4], *part[:8], *near[4:])) if 0 < m != n)
