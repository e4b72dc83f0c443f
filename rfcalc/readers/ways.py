"""Code that takes other ways at other sizes, followed along one axis: a reading says what the code asked on its way.

1. A size is read while the code is watched (`rfcalc.core.lengths`): what it asked of lengths, and the answers, are its
   way. Sizes around it that take the same way tell the rules of its layers, and what the conditions compare.
2. The sizes that take this way are solved; the others are left for the next one, until none is left.
3. Of each way further sizes are read: they must take it, and give the maps that are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.lengths import Condition, Watched, watched, written
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, forward
from rfcalc.plan.aligning import Reading, Unfollowed
from rfcalc.plan.classes import Range, Undecided
from rfcalc.plan.following import Following, OtherWay, follow
from rfcalc.plan.sizes_of_ways import SizesOfWays, Way
from rfcalc.plan.solving import EVERY, Class, Part, classes, with_size
from rfcalc.readers.guards import deliberate
from rfcalc.readers.rereading import predicted, ran_past, read, untold
from rfcalc.readers.target import Target

FURTHER = (1, 2, 3, 5, 8, 13, 31, 64)  # of a class whose least size is refused before it takes its way
MOST_READ = 240  # readings of an axis
MOST_WAYS = 64
ENOUGH = 4  # readings of a way that tell its rules; a way of fewer sizes is told for these alone
MOST_OF_WAY = 8
FAR = ((2, 1), (3, 5), (5, 2))  # times a size, and more
LARGE = 700
AROUND = (1, 32, 13, 4, 64, 27, 2, 7, 95, 3, 16, 46, 128, 224, 5, 6, 9, 11, 14, 20, 25, 28, 77, 191)


def ways(target: Any, first: Target, base: Sequence[Shape]) -> tuple[list[list[Way]], int]:
    """The ways of every axis, and how many readings it took.

    Raises:
        RfcalcError: what the code asks is not followed; the message says where.
    """
    found = [_Ways(target, first, base, axis) for axis in range(base[0].rank)]
    return [ways.all() for ways in found], sum(len(ways.known) for ways in found)


def sizes_of_ways(
    target: Any, first: Target, inputs: Sequence[Shape], near: Sequence[int] | None, assumptions: Sequence[str],
    unfollowed: RfcalcError,
) -> SizesOfWays:  # fmt: skip
    """The valid sizes of code, whose one way that was followed does not hold at all sizes.

    Raises:
        RfcalcError: `unfollowed`, or what more is known of why.
    """
    network = first.network
    if not hasattr(network.source, "sizes_asked"):  # no code
        raise unfollowed
    try:
        found, count = ways(target, first, inputs)
    except Undecided as undecided:
        raise untold("code", str(undecided)) from None
    several = max(map(len, found))
    told = f"the code was read at {plural(count, 'size')}; it takes up to {plural(several, 'way')} along an axis"
    told += ", by what it asks of lengths; each was told from what it asked, and confirmed"
    return SizesOfWays(network, inputs, near, target=first.name, assumptions=(*assumptions, told), ways=found)


class Left(NamedTuple):
    """Sizes whose way is not known yet; the way on which they were refused, its position and why, if there is one."""

    part: Part
    way: Way | None = None
    position: int | None = None
    error: RfcalcError | None = None


class _Ways:
    """The ways along one axis, the others as they are."""

    def __init__(self, target: Any, first: Target, base: Sequence[Shape], axis: int) -> None:
        self.target, self.network, self.base, self.axis = target, first.network, base, axis
        size, rank = int(base[0].spatial[axis]), base[0].rank
        self.size: int = size
        self.varied = [(i, axis) for i, x in enumerate(base) if x.rank == rank and x.spatial[axis] == size]
        self.known: dict[int, Reading | RfcalcError] = {}
        self.asked: dict[int, Watched] = {}
        self.left = [Left(EVERY)]

    def inputs(self, n: int) -> list[Shape]:
        changed = {i for i, _ in self.varied}
        return [with_size(x, self.axis, n) if i in changed else x for i, x in enumerate(self.base)]

    def read(self, n: int) -> Reading | RfcalcError:
        if n not in self.known:
            if len(self.known) >= MOST_READ:
                raise untold("code", f"it takes more ways than {MOST_READ} readings tell apart")
            inputs = self.inputs(n)
            with watched("torch") as asked:
                try:
                    self.known[n] = read(self.target, self.network, inputs)
                except RfcalcError as error:
                    self.known[n] = error
            self.asked[n] = asked
        return self.known[n]

    def way(self, n: int) -> tuple[Any, ...]:
        return tuple([(c.where, c.holds, written(c.asked)) for c in self.asked[n].conditions])

    def all(self) -> list[Way]:
        found: list[Way] = []
        while self.left:
            if len(found) > MOST_WAYS:
                raise untold("code", f"it takes more than {MOST_WAYS} ways")
            n = self._first()
            found.append(self._refusing(n) if isinstance(self.read(n), RfcalcError) else self._next(n))
        first, *others = [_given_back(way) for way in found if any(c.error is None for c in way.found)] or [()]
        if any(other != first for other in others):
            raise untold("code", "at some sizes it gives back more maps, or maps of more axes, than at others")
        return found

    def _first(self) -> int:
        """A size that is left: the one of the inputs first, then the least one."""
        if any(_holds(left.part, self.size) for left in self.left):
            return self.size
        return min([_size(left.part, left.part.values.first) for left in self.left])

    def _refusing(self, n: int) -> Way:
        """The sizes that are left with one that is refused, as a way before says it, and why."""
        mine = next(left for left in self.left if _holds(left.part, n))
        error = self.known[n]
        assert isinstance(error, RfcalcError)
        if mine.way is None or mine.error is None:
            for more in FURTHER:
                other = _size(mine.part, mine.part.values.first + more)
                if _holds(mine.part, other) and not isinstance(self.read(other), RfcalcError):
                    return self._next(other)
            raise untold("code", f"{self.inputs(n)[0]} is refused by a condition that is not followed: {_brief(error)}")
        values = mine.part.values
        further = _size(mine.part, values.first + _turns(mine.part.modulus) if values.last is None else values.last)
        if not isinstance(self.read(further), RfcalcError):
            return self._next(further)
        self._at_its_node(mine.way, mine.position, error, n)
        self.left.remove(mine)
        return mine.way._replace(found=(Class(*mine.part, (), mine.position, mine.error),))

    def _at_its_node(self, way: Way, position: int | None, error: RfcalcError, n: int) -> None:
        """Refuse to tell where code that is refused had run operators behind the node that is told to refuse it."""
        taken = self.known[way.inputs[self.varied[0][0]].spatial[self.axis]]
        if position is not None and isinstance(taken, Reading):
            name = way.following.network.nodes[position - way.following.network.arity].name
            if ran_past(taken.network, error, name):
                raise untold("code", f"it refuses {self.inputs(n)[0]} later than its layers do: {_brief(error)}", name)

    def _next(self, n: int) -> Way:
        """The way that a size takes, with the sizes that take it and run."""
        group = [n]
        mine = self.way(n)
        for other in self._around(n):
            if len(group) == MOST_OF_WAY:
                break
            if isinstance(self.read(other), Reading) and self.way(other) == mine:
                group.append(other)
        if len(group) < ENOUGH:
            return self._alone(n)
        while True:
            following = self._followed(group)
            made = self._made(following, group[0])
            found = self._solved(following, made, [left.part for left in self.left])
            taking = [c for c in found if c.error is None]
            wrong = self._wrong(taking, following, made, mine, group)
            if wrong is None:
                break
            group.append(wrong)
        if not any(_holds(Part(*c[:3]), n) for c in taking):
            raise untold("code", f"its way at {self.inputs(n)[0]} is not followed")
        way = Way(following, tuple(self.inputs(n)), tuple(taking))
        self.left = [self._still(c, way) for c in found if c.error is not None]
        return way

    def _still(self, c: Class, way: Way) -> Left:
        """Sizes that do not take a way, or are refused on it: what it says of them, else what one before said."""
        part = Part(*c[:3])
        if not isinstance(c.error, OtherWay):
            return Left(part, way, c.position, c.error)
        number = c.error.number
        taken = self.asked[way.inputs[self.varied[0][0]].spatial[self.axis]].conditions
        read = self.known.get(c.first) or self.read(c.first)
        asked = self.asked[c.first].conditions
        if (
            isinstance(read, RfcalcError)
            and deliberate(read)
            and len(asked) == number + 1
            and _parts(taken, asked) == number
        ):
            return Left(part, way._replace(following=way.following.refusing(number)), c.position, c.error)
        before = next(left for left in self.left if _holds(left.part, c.first))
        return before._replace(part=part)

    def _followed(self, group: Sequence[int]) -> Following:
        readings: Any = [self.known[n] for n in group]
        try:
            return follow(readings, [self.asked[n] for n in group])
        except Unfollowed as unfollowed:
            raise untold("code", unfollowed.why, unfollowed.node) from None

    def _made(self, following: Following, n: int) -> Shaped:
        inputs = self.inputs(n)
        return forward(following.at(inputs), inputs)

    def _solved(self, following: Following, made: Shaped, among: Sequence[Part]) -> list[Class]:
        more: dict[str, Any] = {"made": made, "following": following}
        return classes(following.network, self.base, self.varied, among=among, **more)

    def _alone(self, n: int) -> Way:
        """A size that takes a way of its own."""
        read = self.known[n]
        assert isinstance(read, Reading)
        following = Following(read.network, {})
        one = Part(1, n, Range(0, 0))
        self.left = [left._replace(part=part) for left in self.left for part in _without(left.part, n)]
        return Way(following, tuple(self.inputs(n)), tuple(self._solved(following, self._made(following, n), [one])))

    def _wrong(
        self, taking: Sequence[Class], following: Following, made: Shaped, mine: Any, group: Sequence[int]
    ) -> int | None:
        """A size that tells more of the way, because it does not do what was told of it; None if all do."""
        tried = dict.fromkeys(group)
        for c in taking:
            last = c.first + _turns(c.modulus) * c.modulus if c.last is None else c.last
            tried.update(dict.fromkeys((c.first, last) if len(tried) < 2 * MOST_OF_WAY else ()))
        for n in tried:
            read = self.read(n)
            told = predicted(following, self.inputs(n), made)
            if isinstance(read, RfcalcError) != isinstance(told, RfcalcError) or (
                isinstance(read, Reading) and not isinstance(told, RfcalcError) and not _alike(following, told, read)
            ):
                if isinstance(read, Reading) and n not in group and self.way(n) == mine:
                    return n
                said = told.what if isinstance(told, RfcalcError) else "it is taken"
                does = _brief(read) if isinstance(read, RfcalcError) else "it is taken"
                raise untold(
                    "code", f"at {self.inputs(n)[0]} its layers as they were read say: {said}; it does: {does}"
                )
        return None

    def _around(self, n: int) -> Iterator[int]:
        """Sizes that are left: the next one, some far away (what is rounded up differs there), then the nearest."""
        far = [times * n + more for times, more in FAR if n < LARGE]
        near = [other for more in AROUND for other in (n + more, n - more)]
        for other in (*near[:1], *far, *near[1:]):
            if other > 0 and any(_holds(left.part, other) for left in self.left):
                yield other


def _given_back(way: Way) -> tuple[int, ...]:
    """Of each output how many axes it has."""
    network = way.following.network
    shapes = next(c.shapes for c in way.found if c.error is None)
    return tuple(shapes[network.position(name)].rank for name in network.outputs)


def _parts(one: Sequence[Condition], other: Sequence[Condition]) -> int:
    """The first condition that two ways answer otherwise; -1 if they ask something else before."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if (a.where, written(a.asked)) != (b.where, written(b.asked)):
            return -1
        if a.holds != b.holds:
            return i
    return -1


def _alike(following: Following, told: Sequence[Shape], read: Reading) -> bool:
    """Whether a reading gives the outputs that were told."""
    if len(following.network.outputs) != len(read.network.outputs):
        return False
    outputs = zip(following.network.outputs, read.network.outputs, strict=True)
    return all(
        told[following.network.position(a)].dims == read.shapes[read.network.position(b)].dims for a, b in outputs
    )


def _turns(modulus: int) -> int:
    """How many times a modulus a further size of a class is larger: far away, but no map so large that it is slow."""
    return max(2, min(16, 512 // modulus))


def _holds(part: Part, n: int) -> bool:
    t, rest = divmod(n - part.rest, part.modulus)
    return not rest and t >= part.values.first and (part.values.last is None or t <= part.values.last)


def _size(part: Part, t: int) -> int:
    return part.modulus * t + part.rest


def _without(part: Part, n: int) -> Iterator[Part]:
    """Sizes without one of them."""
    if not _holds(part, n):
        yield part
        return
    t = (n - part.rest) // part.modulus
    first, last = part.values
    if first < t:
        yield part._replace(values=Range(first, t - 1))
    if last is None or t < last:
        yield part._replace(values=Range(t + 1, last))


def _brief(error: RfcalcError) -> str:
    return (error.why or error.what).split("\n")[0]
