"""Whether code, and a framework's file, computes a part of the image as it computes the whole.

That the maps have the sizes that were told is enough for `rfcalc sizes`. Tiles need more: the same layers, and the same
numbers beside them. So what was read at other sizes is compared layer by layer, a plan takes no size at which the code
was seen to take another way, and at the end the code is read once more at the sizes of the plan's own tiles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from rfcalc.core.cost import Cost
from rfcalc.core.errors import RfcalcError, ShapeError
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import Watched, watched
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import forward
from rfcalc.plan.aligning import Reading, Unfollowed, aligned
from rfcalc.plan.asked import Check
from rfcalc.plan.following import Following, unanswered
from rfcalc.plan.lines import Barrier, view
from rfcalc.plan.passes import PassPlan
from rfcalc.plan.run import leading
from rfcalc.plan.tile import TilePlan
from rfcalc.plan.together import first_of
from rfcalc.readers.rereading import Known, read
from rfcalc.readers.target import Target, resolve

NUMBER = "it is given a number that depends on the size of the map"
MOST_WATCHED = 3  # readings that are watched for what the code asks
MOST_SIZES = 12  # of tiles at which the code is read once more
MOST_PLANS = 6  # that are tried, where the code does something else at sizes of their tiles


def sized_number(known: Known, first: Target, following: Following) -> Barrier | None:
    """A node whose operator is given a number that code, or a file, computes from the size of its input."""
    if following.valued:
        return Barrier(following.valued, "number", NUMBER)
    for one in known.readings.values():
        for name, kind in _given_others(first.network, one.network) if isinstance(one, Reading) else ():
            if kind == "number":
                return Barrier(name, kind, NUMBER)
    if first.given:
        for one in known.readings.values():
            if isinstance(one, Reading):
                theirs = resolve(known.target, dict(zip(first.network.inputs, one.shapes, strict=False))).given
                for name, values in first.given.items():
                    if values != theirs.get(name, values):
                        return Barrier(name, "number", NUMBER)
    return None


def _given_others(first: Any, other: Any) -> Iterator[tuple[str, str]]:
    """The nodes that are given other parameters (``size``) or numbers (``number``) in another reading: of the same
    places, or where there are other nodes, of the same names."""
    mine, theirs = (getattr(n.source, "amounts", {}) for n in (first, other))
    names, others = ([node.name for node in n.nodes] for n in (first, other))
    both = set(others)
    pairs = zip(names, others, strict=True) if len(names) == len(others) else ((n, n) for n in names if n in both)
    for a, b in pairs:
        one, two = mine.get(a, ()), theirs.get(b, ())
        if [p for p in one if isinstance(p, str)] != [p for p in two if isinstance(p, str)]:
            yield a, "size"
        elif repr(one) != repr(two):  # not equal numbers are nan, too
            yield a, "number"


def in_one_way(known: Known, first: Any, following: Following, step: int) -> Following:
    """The same rules, for sizes only at which the code goes the way on which the whole goes, as far as it was seen to
    compute something else on another one.

    Args:
        first: the reading of the whole.
        step: only sizes are asked about that differ from its own by multiples of it.
    """
    base = [s for s in first.network.inputs.values() if s is not None]
    alike: list[Reading] = []
    others: list[Reading] = []
    for one in known.readings.values():
        if not isinstance(one, Reading) or not _in_steps(one, base, step):
            continue
        unlike = any(kind != "number" for _, kind, _ in _unlike(first.network, following, one))
        (others if unlike else alike).append(one)
    if not others:
        return following
    own = Reading(first.network, forward(first.network, base).shapes)
    longest = [own, *sorted(alike, key=lambda r: -sum(x.values for x in r.shapes[: len(base)]))]
    found: dict[int, list[Check]] = {}
    for position, check in _asked(known, following, longest[:MOST_WATCHED]):
        fails = [_fails(check, following, one) for one in (*others, *alike)]
        if any(fails[: len(others)]) and not any(fails[len(others) :]):
            found.setdefault(position, []).append(check)
    given: dict[str, Any] = {"checks": found, "masked": following.masked, "valued": following.valued}
    return Following(following.network, following.rules, following.guards, **given)


def _asked(known: Known, following: Following, readings: Sequence[Reading]) -> Iterator[tuple[int, Check]]:
    """What the code asked of lengths, with the answer that it got in all of these readings, and the position where."""
    heard: list[tuple[Reading, Watched]] = []
    for reading in readings:
        with watched("torch") as found, suppress(RfcalcError):
            one = read(known.target, reading.network, list(reading.shapes[: reading.network.arity]))
            if len(one.network.nodes) == len(following.network.nodes):  # positions are those of the rules
                heard.append((one, found))
    same = [(r, w) for r, w in heard if [c.where for c in w.conditions] == [c.where for c in heard[0][1].conditions]]
    if len(same) > 1:
        with suppress(Unfollowed):
            checks = unanswered([r for r, _ in same], [w for _, w in same])
            yield from ((position, check) for position, asked in checks.items() for check in asked)


def _fails(check: Check, following: Following, one: Reading) -> bool:
    inputs = list(one.shapes[: following.network.arity])
    try:
        return bool(check.rule.value(forward(following.at(inputs), inputs).shapes)) != check.holds
    except RfcalcError:
        return False


def _in_steps(one: Reading, base: Sequence[Shape], step: int) -> bool:
    pairs = zip(one.shapes[: len(base)], base, strict=True)
    return all((n - m) % step == 0 for x, y in pairs for n, m in zip(x.spatial, y.spatial, strict=True))


class Avoided(NamedTuple):
    """Sizes of an axis at which the code was seen to do something else than to the whole."""

    image: int  # which input
    axis: int
    size: int

    def check(self, shapes: Sequence[Shape], /) -> None:
        """Refuse the size.

        Raises:
            ShapeError: it is this one.
        """
        if shapes[self.image].spatial[self.axis] == self.size:
            raise ShapeError("the code does something else at this size")


class Unlike(NamedTuple):
    """What stands in the way of a plan, and the sizes of an axis that another plan may avoid."""

    barrier: Barrier
    avoided: tuple[Avoided, ...]


def unlike_at_tiles(known: Known, first: Any, following: Following, plan: TilePlan | PassPlan) -> Unlike | None:
    """What the code, read once more at the sizes of a plan's tiles, does otherwise there than it was told to do."""
    whole = [s for s in first.network.inputs.values() if s is not None]
    image = first_of(whole)
    seen = 0
    for one in plan.plans if isinstance(plan, PassPlan) else (plan,):
        mine = {n.name for n in one.network.nodes}
        for tile in map(one.tile, leading(one)):
            inputs = one.shape_of(tile.read)
            if len(inputs) != len(whole) or seen == MOST_SIZES:
                continue
            seen += 1
            barrier = _barrier(known, first, following, inputs, mine)
            if barrier is None:
                continue
            both, alone = [], []
            for axis, (a, b) in enumerate(tile.read):
                if b - a == one.lines[axis].size:
                    continue
                both.append(Avoided(image, axis, b - a))
                others = one.shape_of([(a, b) if k == axis else (0, line.size) for k, line in enumerate(one.lines)])
                if _barrier(known, first, following, others, mine) is not None:
                    alone.append(both[-1])
            return Unlike(barrier, tuple(alone or both))
    return None


def _barrier(
    known: Known, first: Any, following: Following, inputs: Sequence[Shape], mine: Collection[str]
) -> Barrier | None:
    """The first node, of those that count, that is another one at these sizes."""
    size = ", ".join("x".join(map(str, x.dims)) for x in inputs)
    theirs = known.at(first.network, inputs)
    if not isinstance(theirs, Reading):
        why = f"the code refuses a tile of {size}: {(theirs.why or theirs.what).splitlines()[0]}"
        return Barrier(theirs.where if theirs.where and theirs.where in mine else "", "size", why)
    for name, kind, why in _unlike(first.network, following, theirs):
        if name in mine or kind == "size":
            return Barrier(name if name in mine else "", kind, why.format(size=size))
    return None


def _unlike(first: Any, following: Following, theirs: Reading) -> Iterator[tuple[str, str, str]]:
    """The nodes of a reading that are not what they are told to be: the name, the kind of barrier, and why."""
    inputs = theirs.shapes[: following.network.arity]
    why = "the code does something else to a tile of {size} than to the whole"
    try:
        network = following.at(inputs)
        made = forward(network, inputs)
        (one, two) = aligned([Reading(network, made.shapes), theirs])[0]
    except Unfollowed as unfollowed:
        yield unfollowed.node, "size", why
        return
    except RfcalcError as error:
        yield error.where or "", "size", why
        return
    moved = False
    for position, (a, b) in enumerate(zip(one.network.nodes, two.network.nodes, strict=True), network.arity):
        y, z = one.shapes[position], two.shapes[position]
        if y.dims != z.dims or not (_same(a.layer, b.layer, y) or _moves(made, a, b)):
            yield a.name, "size", why
        elif a.layer.operands != b.layer.operands:
            yield a.name, "number", NUMBER
        moved = moved or not _same(a.layer, b.layer, y)
    if moved and not _moved_alike(following, one, two):
        yield "", "size", why
    for name, kind in _given_others(first, theirs.network):
        yield name, kind, why if kind == "size" else NUMBER


def _same(a: Layer, b: Layer, y: Shape) -> bool:
    """Whether two layers do the same to maps of one size, whatever number they work with value by value."""
    if a == b:
        return True
    forms: Iterable[Any] = (lambda x: x.unvalued(), lambda x: x.sized(y).unvalued())
    return any(form(a) == form(b) for form in forms)


def _moves(made: Any, a: Any, b: Any) -> bool:
    """Whether two nodes of one kind only move values, so that what they read says all about them."""
    if made.costs[made.network.position(a.name) - made.network.arity] != Cost() or type(a.layer) is not type(b.layer):
        return False
    mine, theirs = ({n: v for n, v in x.layer.given.items() if isinstance(v, (str, bool, float))} for x in (a, b))
    return mine == theirs


def _moved_alike(following: Following, one: Reading, two: Reading) -> bool:
    """Whether every unit reads the same positions on every axis: where an axis has a length of 1 in a tile, views of it
    can be written in several ways."""
    arity, base = following.network.arity, [s for s in following.network.inputs.values() if s is not None]
    inputs = list(one.shapes[:arity])
    if len(one.network.nodes) != len(following.network.nodes):
        return False
    for axis in range(max(x.rank for x in base)):
        whole = view(following.network, base, axis)
        mine, theirs = (view(r.network, inputs, axis, whole) for r in (one, two))
        apart = mine.apart(theirs)
        if apart is None or apart.within or apart.outside:
            return False
    return True
