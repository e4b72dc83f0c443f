"""At which sizes code is read again, and whether it does there what is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import Watched, written
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading, Unfollowed
from rfcalc.plan.asked import UNKNOWN, nothing_lost
from rfcalc.plan.classes import Undecided
from rfcalc.plan.following import Following, OtherWay, Solved
from rfcalc.plan.regrouping import is_view, may_be_nothing
from rfcalc.plan.solving import Class, Part, classes, with_size
from rfcalc.plan.together import first_of
from rfcalc.readers.guards import Guard, deliberate
from rfcalc.readers.rereading import Known, agrees, brief, called, dims_of, predicted, ran_past, untold

SOLVING = 3.0  # seconds that the classes of an axis may take; inferring all from further readings takes longer
MOST_ANSWERS = 24  # questions of code whose other answer is read
MOST_TRIED = 300  # sizes, to find one that code lets pass

Read = list[tuple[list[Shape], Reading]]
Refused = list[tuple[list[Shape], RfcalcError]]


def other_answers(
    target: Known,
    network: Network,
    base: Sequence[Shape],
    following: Following,
    every: bool = False,
    made: Shaped | None = None,
    solved: Solved | None = None,
) -> Iterator[tuple[list[Shape], Reading | RfcalcError]]:
    """Readings at sizes that get another answer than one of the checks, for each of them and each axis: one that the
    layers take, and one that they refuse, above and below the size of the inputs, where there are such.

    Args:
        every: whether there must be one for all of them.
        made: the walk at the sizes that the network was read at.
        solved: to be filled with the classes of the axes of which all sizes get the same answers.

    Raises:
        RfcalcError: there are too many.
    """
    tried: set[tuple[int, int, bool, int]] = set()
    unasked = Following(following.network, following.rules, following.guards)
    image = first_of(base)
    for axis in range(base[image].rank) if following.checks else ():
        own = base[image].spatial[axis]
        varied = [(i, axis) for i, x in enumerate(base) if x.rank == base[image].rank and x.spatial[axis] == own]
        try:
            other = classes(following.network, base, varied, seconds=SOLVING, made=made, following=following)
        except (RfcalcError, Undecided):
            if every:
                raise untold(called(network), "the sizes that get other answers are not told apart") from None
            continue
        if solved is not None and not any(isinstance(c.error, OtherWay) for c in other):
            solved[axis, dims_of(base)] = other
        for c in sorted(other, key=lambda c: c.first):
            if not isinstance(c.error, OtherWay):
                continue
            try:
                n = _taken(unasked, base, varied, c)
            except (RfcalcError, Undecided):
                n = None
            if every and c.error.number >= UNKNOWN:
                raise untold(called(network), f"what it makes of a length is not followed: {c.error.what}")
            # what layers refuse may be taken on another way: of files every class is read, of code those with an end
            alone = n is None and (c.last is not None or called(network) != "code")
            which = c.first if alone else (c.first if n is None else n) > own
            key = axis, c.error.number, n is not None, which
            if key in tried:
                continue
            if len(tried) == MOST_ANSWERS:
                if every:
                    raise untold(called(network), f"it asks more than {MOST_ANSWERS} questions with another answer")
                return
            tried.add(key)
            for size in [n, *spread(c)] if n is not None else spread(c):
                inputs = [with_size(x, axis, size) if (i, axis) in varied else x for i, x in enumerate(base)]
                one = target.at(network, inputs)
                yield inputs, one
                if deliberate(one if isinstance(one, RfcalcError) else None):
                    break


def nothing_caught(target: Known, network: Network, base: Sequence[Shape], found: Following, made: Shaped) -> int:
    """How many sizes were read that layers refuse, one for each node that refuses some, above and below the size of the
    inputs, of code that catches errors: it must be refused there, too, and no later.

    Raises:
        RfcalcError: it is taken, or goes on behind the layer.
    """
    image = first_of(base)
    tried: set[tuple[int, int | None, bool]] = set()
    for axis in range(base[image].rank):
        own = base[image].spatial[axis]
        varied = [(i, axis) for i, x in enumerate(base) if x.rank == base[image].rank and x.spatial[axis] == own]
        try:
            solved = classes(found.network, base, varied, made=made, following=found)
        except Undecided as undecided:
            raise untold(called(network), str(undecided)) from None
        for c in sorted(solved, key=lambda c: c.first):
            key = axis, c.position, c.first > own
            if c.error is None or c.position is None or key in tried:
                continue
            tried.add(key)
            inputs = [with_size(x, axis, c.first) if (i, axis) in varied else x for i, x in enumerate(base)]
            one = target.at(network, inputs)
            confirm(called(network), found, inputs, one, made)
            name = found.network.nodes[c.position - found.network.arity].name
            if isinstance(one, RfcalcError) and ran_past(network, one, name):
                raise untold(called(network), f"it refuses {inputs[0]} later than its layers do: {brief(one)}", name)
    return len(tried)


def asks_alike(one: Watched, other: Watched) -> bool:
    """Whether code that got other answers asked nothing else, gave operators nothing else, and made nothing else of
    lengths that is not followed: it could decide by it at sizes that were not read, and what it did there may be what
    was told by chance (padding to an even length before padding to multiples of 7)."""
    if [(c.where, written(c.asked)) for c in one.conditions] != [(c.where, written(c.asked)) for c in other.conditions]:
        return False
    if [written(g.made) for g in one.given] != [written(g.made) for g in other.given]:
        return False
    try:
        nothing_lost([one, other])
    except Unfollowed:
        return False
    return True


def spread(c: Class) -> list[int]:
    """Two sizes of a class: what is refused at one may be taken at another."""
    first, last = c.values
    return sorted({c.first, c.first + c.modulus * (5 if last is None else (last - first) * 2 // 3)})


def _taken(following: Following, base: Sequence[Shape], varied: Sequence[tuple[int, int]], c: Class) -> int | None:
    """The least size of a class that the layers take, if they take one."""
    more: dict[str, Any] = {"seconds": 1.0, "following": following, "among": [Part(*c[:3])]}
    return min([d.first for d in classes(following.network, base, varied, **more) if d.error is None], default=None)


def confirm(what: str, found: Following, inputs: Sequence[Shape], one: Reading | RfcalcError, made: Shaped) -> None:
    """Refuse rules where a reading does something else than they tell.

    Raises:
        RfcalcError: it does.
    """
    if isinstance(one, Reading):
        agrees(what, found, one, inputs, made)
        if _layers(found, found.network, made.shapes) != _layers(found, one.network, one.shapes):
            raise untold(what, f"the layers at {inputs[0]} are not those that were read, though their maps are alike")
    elif not isinstance(predicted(found, inputs, made), RfcalcError):
        raise untold(what, f"the layers take {inputs[0]}, and the {what} does not: {brief(one)}")


def _layers(found: Following, network: Network, shapes: Sequence[Shape]) -> list[Layer]:
    """The layers of a network that are the same at all sizes: without the kinds that follow sizes, views, and what may
    come to nothing."""
    kinds = {found.network.nodes[p - found.network.arity].layer.kind for p in found.rules}
    first = [shapes[sources[0]] if sources else None for sources in network.sources]
    pairs = [(n.layer, x) for n, x in zip(network.nodes, first, strict=True) if n.layer.kind not in kinds]
    fixed = [(layer, x) for layer, x in pairs if not is_view(layer)]
    return [layer.unvalued() for layer, x in fixed if x is None or not may_be_nothing(layer, x)]


def explained(
    what: str,
    base: Sequence[Shape],
    guards: Sequence[Guard],
    taken: Sequence[Sequence[Shape]],
    refused: Refused,
    every: bool = False,
) -> None:
    """Refuse to tell where code refuses sizes for a reason that is not followed: what layers do there was not seen.

    Args:
        every: whether other sizes of each axis must have been read, where there are no conditions, too.

    Raises:
        RfcalcError: a refusal has no condition that explains it, or conditions let sizes of an axis pass, none of which
            was read.
    """
    for inputs, error in refused:
        if deliberate(error) and all(passes(g, inputs) for g in guards):
            size = ", ".join(map(str, inputs))
            raise untold(what, f"the {what} refuses {size} by a condition that is not followed: {brief(error)}")
    image = first_of(base)
    for axis in range(base[image].rank) if guards or every else ():
        own = base[image].spatial[axis]
        if any(i[image].spatial[axis] != own for i in taken):
            continue
        for n in range(1, own + MOST_TRIED):
            inputs = [with_size(x, axis, n) if axis < x.rank else x for x in base]
            if n != own and all(passes(g, inputs) for g in guards):
                why = f"the {what} was read at {own} only of axis {axis}, and its own conditions let {n} pass"
                raise untold(what, ": ".join([why, *[brief(error) for _, error in refused[:1]]]))


def longer(base: Sequence[Shape], deltas: Sequence[int], guards: Sequence[Guard] = (), step: int = 1) -> list[Shape]:
    """Longer axes; with conditions on sizes, the next longer one that they let pass, or the axis as it is."""
    found = [*base]
    for i in range(len(found)):
        for axis in range(found[i].rank):
            size, delta = base[i].spatial[axis], deltas[axis % len(deltas)]
            for more in range(delta, delta + step * MOST_TRIED if guards else delta + 1, step):
                longer = [*found[:i], with_size(found[i], axis, size + more), *found[i + 1 :]]
                if all(passes(g, longer) for g in guards):
                    found = longer
                    break
    return found


def passes(one: Guard, inputs: Sequence[Shape]) -> bool:
    try:
        one.check(inputs)
    except RfcalcError:
        return False
    return True
