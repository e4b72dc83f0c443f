"""Code that takes other ways at other sizes, followed along one axis: a reading says what the code asked on its way.

1. A size is read while the code is watched (`rfcalc.core.lengths`): what it asked of lengths, and the answers, are its
   way. Sizes around it that take the same way tell the rules of its layers, and what the conditions compare.
2. The sizes that take this way are solved; the others are left for the next one, until none is left.
3. Of each way further sizes are read: they must take it, and give the maps that are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any

from rfcalc.core.errors import RfcalcError, UnknownSize
from rfcalc.core.lengths import Watched, answers, watched
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, forward
from rfcalc.plan.aligning import Reading, Unfollowed, plan
from rfcalc.plan.asked import Certainty
from rfcalc.plan.classes import Range, Undecided
from rfcalc.plan.following import Following, OtherWay, follow
from rfcalc.plan.sizes_of_ways import Way, unequal
from rfcalc.plan.solving import EVERY, Class, Part, classes, with_size
from rfcalc.readers.confirming import spread
from rfcalc.readers.parts import (
    FURTHER,
    Left,
    around,
    difference,
    ends,
    ever_more,
    holds,
    ran,
    refused_there,
    size_at,
    spread_of,
    unending,
    without,
)
from rfcalc.readers.rereading import brief, called, predicted, ran_past, read, unknown, untold
from rfcalc.readers.target import Target

MOST_READ = 240  # readings of an axis
MOST_WAYS = 64
ENOUGH = {Certainty.OWN: 2, Certainty.EQUAL: 3, Certainty.INFERRED: 4}  # readings that tell a way; fewer are told alone
MOST_OF_WAY = 12
MOST_REFUSED = 24  # sizes of an axis whose refusal says nothing of others
MOST_MISSED = 6  # readings that take other ways, before a size is told alone
CONFIRMED = {Certainty.OWN: 2, Certainty.EQUAL: 3, Certainty.INFERRED: 3}  # further readings of each way
MOST_WEIGHED = 24  # sizes, of which the one is read that tells most
MOST_UNREAD = 6  # classes of sizes of a way, none of which was read, one of each of which is
MOST_FAR = 8192  # a size that takes a way of its own
COMPARED = 2048  # sizes below it are compared between axes
MULTIPLES = (4, 1, 6)  # of half of the size of the inputs: views that are no rules of lengths may take these


class Ways:
    """The ways along one axis, the others as they are.

    Args:
        like: those of an axis that is as long: its sizes are tried first, and what turns out alike is confirmed once.
    """

    def __init__(self, target: Any, first: Target, base: Sequence[Shape], axis: int, like: Ways | None) -> None:
        self.target, self.network, self.base, self.axis = target, first.network, base, axis
        self.what = called(first.network)
        size, rank = int(base[0].spatial[axis]), base[0].rank
        self.size: int = size
        self.varied = [(i, axis) for i, x in enumerate(base) if x.rank == rank and x.spatial[axis] == size]
        self.known: dict[int, Reading | RfcalcError] = {}
        self.asked: dict[int, Watched] = {}
        self.ran: dict[int, Reading | None] = {}  # what ran at sizes that are refused
        self.refused_alone = 0
        self.nodes: Any = None  # those that sizes must have to be told together, if any
        self.left = [Left(EVERY)]
        self.followed: dict[tuple[int, ...], Following] = {}
        self.telling: dict[Any, list[int]] = {}  # by way: sizes of which its rules were told
        self.taking: dict[Any, set[int]] = {}  # by way: sizes up to a large one that take it
        self.like = like
        self.count = 0
        if like is not None:
            self.known[size], self.asked[size] = like.known[size], like.asked[size]

    def inputs(self, n: int) -> list[Shape]:
        changed = {i for i, _ in self.varied}
        return [with_size(x, self.axis, n) if i in changed else x for i, x in enumerate(self.base)]

    def read(self, n: int) -> Reading | RfcalcError:
        if n not in self.known:
            if self.count >= MOST_READ:
                raise untold(self.what, f"it takes more ways than {MOST_READ} readings tell apart")
            self.count += 1
            inputs = self.inputs(n)
            with watched("torch", as_written=True, sized=True) as asked:
                try:
                    self.known[n] = read(self.target, self.network, inputs)
                except UnknownSize as error:
                    raise unknown(self.what, error, inputs) from None
                except RfcalcError as error:
                    self.known[n] = error
            self.asked[n] = asked
        return self.known[n]

    def told(self, n: int) -> Reading | None:
        """What was read at a size; where it is refused by conditions that are known, what ran by then."""
        known = self.read(n)
        if isinstance(known, RfcalcError) and n not in self.ran:
            self.ran[n] = ran(known, self.asked[n], self.inputs(n))
        return known if isinstance(known, Reading) else self.ran[n]

    def heard(self, n: int) -> Watched:
        """What code asked at a size, up to what refused it."""
        asked = self.asked[n]
        return asked._replace(conditions=[*asked.conditions, *asked.refusal])

    def way(self, n: int) -> tuple[Any, ...]:
        return answers(self.heard(n).conditions)

    def takes(self, n: int, way: tuple[Any, ...]) -> bool:
        self.read(n)
        if self.way(n) != way or (told := self.told(n)) is None:
            return False
        return self.nodes is None or plan(told.network) == self.nodes

    def is_left(self, n: int) -> bool:
        return any(holds(left.part, n) for left in self.left)

    def all(self) -> list[Way]:
        found: list[Way] = []
        doubled = set[int]()
        while self.left:
            if len(found) > MOST_WAYS:
                raise untold(self.what, f"it takes more than {MOST_WAYS} ways")
            n = self._first()
            least = min([size_at(part, part.values.first) for part, *_ in self.left if holds(part, n)])
            if least > self.size:
                doubled.add(least.bit_length())
            if least > MOST_FAR or ever_more(least, doubled):
                raise untold(self.what, f"it takes ever more ways at larger sizes, another one at {least:,} still")
            found.append(self._refusing(n) if isinstance(self.read(n), RfcalcError) else self._next(n))
        return found

    def _first(self) -> int:
        """A size that is left: the one of the inputs first, then one whose way most readings took, then the least."""
        mirrored = self.like.telling.values() if self.like is not None else ()
        for n in (self.size, *[n for group in mirrored for n in group]):
            if self.is_left(n):
                return n
        taken: dict[Any, list[int]] = {}
        for n, known in self.known.items():
            if isinstance(known, Reading) and self.is_left(n):
                taken.setdefault(self.way(n), []).append(n)
        if taken:
            return max(taken.values(), key=len)[0]
        return min([size_at(left.part, left.part.values.first) for left in self.left])

    def _refusing(self, n: int) -> Way:
        """The sizes that are left with one that is refused: as a way before says it; else all that come to its refusal
        by the same answers, and meet its conditions; else this one alone."""
        try:
            return self._as_told(n)
        except RfcalcError:
            error = self.known[n]
            assert isinstance(error, RfcalcError)
            if (error.ran is None and not error.emptied) or self.count >= MOST_READ:
                raise
            if self.told(n) is not None:
                with suppress(RfcalcError, Undecided):
                    return self._next(n)
            self.refused_alone += 1
            if self.refused_alone > MOST_REFUSED:
                raise
            return self._alone(n)

    def _as_told(self, n: int) -> Way:
        """The same, as a way before says it, and why.

        Raises:
            RfcalcError: none does.
        """
        mine = next(left for left in self.left if holds(left.part, n))
        error = self.known[n]
        assert isinstance(error, RfcalcError)
        if mine.way is None or mine.error is None:
            for more in FURTHER:
                other = size_at(mine.part, mine.part.values.first + more)
                if holds(mine.part, other) and not isinstance(self.read(other), RfcalcError):
                    return self._next(other)
            size = self.inputs(n)[0]
            raise untold(self.what, f"{size} is refused by a condition that is not followed: {brief(error)}")
        alike = [left for left in self.left if left.way is mine.way and left.position == mine.position]
        multiples = [times * self.size // 2 for times in MULTIPLES]
        tried = dict.fromkeys((n, *spread_of([left.part for left in alike]), *multiples))
        for other in tried:
            if any(holds(left.part, other) for left in alike):
                refused = self.read(other)
                if not isinstance(refused, RfcalcError):
                    return self._next(other)
                if other not in multiples:
                    self._at_its_node(mine.way, mine.position, refused, other)
        self.left = [left for left in self.left if left not in alike]
        return mine.way._replace(found=tuple([Class(*x.part, (), x.position, x.error) for x in alike]))

    def _at_its_node(self, way: Way, position: int | None, error: RfcalcError, n: int) -> None:
        """Refuse to tell where code that is refused had run operators behind the node that is told to refuse it."""
        taken = self.known[way.inputs[self.varied[0][0]].spatial[self.axis]]
        if position is not None and isinstance(taken, Reading):
            name = way.following.network.nodes[position - way.following.network.arity].name
            if ran_past(taken.network, error, name):
                size = self.inputs(n)[0]
                raise untold(self.what, f"it refuses {size} later than its layers do: {brief(error)}", name)

    def _next(self, n: int) -> Way:
        """The way that a size takes, with the sizes that take it and run: told with those that told this way before,
        and did not say what it does here; else by those that are left (windows where there was one); else by those that
        have the same nodes."""
        if self.asked[n].lost and (lost := unending([x.part for x in self.left], self.size, self.read, self.asked)):
            raise untold(self.what, lost.why, lost.node)
        before = self.telling.get(self.way(n), ())
        for group in (before, ()) if before else ((),):
            with suppress(RfcalcError):
                return self._next_with(n, group)
        read = self.told(n)
        assert read is not None
        try:
            self.nodes = plan(read.network)
            return self._next_with(n, ())
        finally:
            self.nodes = None

    def _next_with(self, n: int, before: Sequence[int]) -> Way:
        mine = self.way(n)
        mirrored = len(self.like.telling[way]) if self.like is not None and (way := self._mirrored(n)) else 0
        group = self._gathered([*before, n], max(ENOUGH[Certainty.OWN], mirrored, len(before) + 1))
        while len(group) < (enough := ENOUGH[self._certainty(group)]):
            fewer, group = group, self._gathered(group, enough)
            if len(group) == len(fewer):
                return self._alone(n)
        while True:
            following = self._followed(group)
            made = self._made_by(following, group)
            found = self._solved(following, made, [left.part for left in self.left])
            taking = [c for c in found if c.error is None]
            further = self._telling_more(found, group, following) if len(group) < MOST_OF_WAY else None
            if further is not None:
                group.append(further)
                continue
            wrong = self._wrong(taking, following, made, group)
            if wrong is None:
                break
            at, why = wrong
            if at in group:  # its nodes are not those of others, so that they told less: more like it do
                more = self._gathered([at, *(m for m in group if m != at)], len(group) + 1)
            else:
                more = [*group, at] if self.takes(at, mine) else self._gathered(group, len(group) + 1)
            if len(more) == len(group) or len(more) > MOST_OF_WAY:
                raise untold(self.what, why)
            group = more
        if not any(holds(Part(*c[:3]), n) for c in taking):
            raise untold(self.what, f"its way at {self.inputs(n)[0]} is not followed")
        self.telling[mine] = group
        return self._taken(n, following, found, taking)

    def _certainty(self, group: Sequence[int]) -> Certainty:
        """How the rules that readings tell are told."""
        with suppress(RfcalcError):
            return self._followed(group).certainty
        return Certainty.INFERRED

    def _telling_more(self, found: Sequence[Class], group: Sequence[int], following: Following) -> int | None:
        """A size that takes the way of a group with other numbers than are the same in all of it: the one, as far as
        its rules say, with most of them."""
        mine = self.way(group[0])
        numbers: dict[int, list[int]] = {}
        for c in found:
            number = c.error.number if isinstance(c.error, OtherWay) else -1
            if number >= len(mine):
                known = [n for n in self.known if holds(Part(*c[:3]), n)]
                numbers.setdefault(number, []).extend(known or spread(c))
        unasked = Following(following.network, following.rules, following.guards)

        def told(n: int) -> int:
            with suppress(RfcalcError, ArithmeticError):
                others = following.answered_otherwise(self._made(unasked, n).shapes)
                return len(others) if min(others, default=-1) >= len(mine) else 0
            return 0

        sizes = [n for each in zip_longest(*numbers.values()) for n in each if n is not None and n not in group]
        weighed = sorted(dict.fromkeys(sizes[:MOST_WEIGHED]), key=lambda n: -told(n))
        return next((n for n in weighed[: len(numbers)] if self.takes(n, mine)), None)

    def _taken(self, n: int, following: Following, found: Sequence[Class], taking: Sequence[Class]) -> Way:
        error = self.known[n]
        self.taking.setdefault(self.way(n), set()).update(m for c in taking for m in c.sizes(COMPARED))
        if isinstance(error, RfcalcError):  # all of them come to where it is refused
            taking = [c._replace(shapes=(), error=error) for c in taking]
        way = Way(following, tuple(self.inputs(n)), tuple(taking), ends(self.known[n], self.asked[n]))
        others = [c for c in found if c.error is not None]
        self.left = self._before(others) if way.ends else self._still(others, way)
        return way

    def _before(self, others: Sequence[Class]) -> list[Left]:
        """Sizes of which no more is known than before."""
        known = [next(left for left in self.left if holds(left.part, c.first)) for c in others]
        return [left._replace(part=Part(*c[:3])) for left, c in zip(known, others, strict=True)]

    def _gathered(self, group: list[int], enough: int) -> list[int]:
        """More sizes that take the way of a group: those that were read; those that its rules, as far as they are
        known, do not say to take another one; where these are too few, those where maps are as they were, and others.
        """
        mine = self.way(group[0])
        apart = () if any(n in group for n in self.telling.get(mine, ())) else self.telling.get(mine, ())
        known = [n for n in self.known if n not in group and n not in apart and self.takes(n, mine)]
        group = [*group, *known][: max(enough, len(group))]
        alike: list[int] = []
        others: list[int] = []
        missed = 0
        if len(group) >= enough or (len(group) == 1 and all(self._unequal(group[0], group[0] + d) for d in (-1, 1))):
            return group
        likely = self._likely(group)
        for other in self._around(group[0]):
            if len(group) >= enough or missed == MOST_MISSED:
                break
            if other in self.known:
                continue
            told = likely(other)
            if told is not None:
                (alike if told else others).append(other)
            elif self.takes(other, mine):
                group.append(other)
                likely = self._likely(group) if len(group) < enough else likely
            else:
                missed += 1
        for other in (*alike, *others[:MOST_MISSED]):
            if len(group) < enough and self.takes(other, mine):
                group.append(other)
        return group

    def _unequal(self, n: int, other: int) -> bool:
        """Whether another size takes another way by a length that is not what it is equal to at this one."""
        if other < 1 or not self.is_left(other):
            return False
        self.read(other)
        return unequal(self.heard(n).conditions, self.heard(other).conditions)

    def _likely(self, group: Sequence[int]) -> Any:
        """Whether maps are as they were at a size of a group (True), or another way is taken (False), as far as these
        readings tell; None where this one tells more."""
        try:
            following = self._followed(group)
            made = self._made(following, group[0])
        except RfcalcError:
            return lambda n: None
        seen = [predicted(following, self.inputs(n), made) for n in group]
        arity = following.network.arity

        def likely(n: int) -> bool | None:
            told = predicted(following, self.inputs(n), made)
            if isinstance(told, RfcalcError):
                return False if isinstance(told, OtherWay) and told.number < len(self.way(group[0])) else None
            return True if any(not isinstance(x, RfcalcError) and x[arity:] == told[arity:] for x in seen) else None

        return likely

    def _still(self, others: Sequence[Class], way: Way) -> list[Left]:
        """Sizes that do not take a way, or are refused on it: what it says of them, else what one before said.

        From the first condition that is answered otherwise on, all of them do the same up to the next condition: one
        reading says whether the code refuses them there.
        """
        refusing: dict[int, Way | None] = {}  # by the number of the condition
        found: list[Left] = []
        for c in others:
            if isinstance(c.error, OtherWay) and c.error.number not in refusing:
                number = c.error.number
                alike = [x for x in others if isinstance(x.error, OtherWay) and x.error.number == number]
                n = next((n for n in self.known if any(holds(Part(*x[:3]), n) for x in alike)), c.first)
                refusing[number] = self._refused_by(number, way, [Part(*x[:3]) for x in alike], n)
            if isinstance(c.error, OtherWay) and refusing[c.error.number] is None and (left := self._layers(way, c)):
                found += left
                continue
            by = refusing[c.error.number] if isinstance(c.error, OtherWay) else way if c.error is not None else None
            if by is not None:
                found.append(Left(Part(*c[:3]), by, c.position, c.error))
            else:
                found += self._before([c])
        return found

    def _refused_by(self, number: int, way: Way, parts: Sequence[Part], n: int) -> Way | None:
        """A way with the refusal of what answers one of its conditions otherwise, if the code refuses a size there."""
        taken = self.asked[way.inputs[self.varied[0][0]].spatial[self.axis]].conditions
        if number >= len(taken):  # a number that it computes, which is no question
            return None
        refused = refused_there(number, taken, parts, n, self.read, self.asked)
        return way._replace(following=way.following.refusing(number)) if refused else None

    def _layers(self, way: Way, c: Class) -> list[Left]:
        """What the layers of a way say of sizes for which a table is too short, whose parts they follow, if they refuse
        all of these sizes."""
        asked = self.asked[way.inputs[self.varied[0][0]].spatial[self.axis]]
        assert isinstance(c.error, OtherWay)
        number = c.error.number - len(asked.conditions) - len(asked.given)
        if not (0 <= number < len(asked.whole) and asked.whole[number].made.how == "<="):
            return []
        known = way.following
        unasked = Following(known.network, known.rules, known.guards)
        with suppress(RfcalcError, Undecided):
            found = self._solved(unasked, forward(unasked.at(way.inputs), way.inputs), [Part(*c[:3])])
            if all(x.error is not None for x in found):
                return [Left(Part(*x[:3]), way._replace(following=unasked), x.position, x.error) for x in found]
        return []

    def _followed(self, group: Sequence[int]) -> Following:
        readings: Any = [self.told(n) for n in group]
        try:
            if tuple(group) not in self.followed:
                found = follow(readings, [self.heard(n) for n in group])
                found.checks = found.questions  # what is no question must hold of a way, too
                self.followed[tuple(group)] = found
            return self.followed[tuple(group)]
        except Unfollowed as unfollowed:
            raise untold(self.what, unfollowed.why, unfollowed.node) from None

    def _made(self, following: Following, n: int) -> Shaped:
        inputs = self.inputs(n)
        return forward(following.at(inputs), inputs)

    def _made_by(self, following: Following, group: Sequence[int]) -> Shaped:
        """What is made at the first size of a group that these rules are told from."""
        for n in group[:-1]:
            with suppress(RfcalcError):
                return self._made(following, n)
        return self._made(following, group[-1])

    def _solved(self, following: Following, made: Shaped, among: Sequence[Part]) -> list[Class]:
        more: dict[str, Any] = {"made": made, "following": following}
        return classes(following.network, self.base, self.varied, among=among, **more)

    def _alone(self, n: int) -> Way:
        """A size that takes a way of its own, or is refused."""
        read = self.known[n]
        one, inputs = Part(1, n, Range(0, 0)), tuple(self.inputs(n))
        self.left = [left._replace(part=part) for left in self.left for part in without(left.part, n)]
        if isinstance(read, RfcalcError):
            return Way(Following(self.network, {}), inputs, (Class(*one, (), None, read),), ends(read, self.asked[n]))
        following = Following(read.network, {})
        return Way(following, inputs, tuple(self._solved(following, self._made(following, n), [one])))

    def _wrong(
        self, taking: Sequence[Class], following: Following, made: Shaped, group: Sequence[int]
    ) -> tuple[int, str] | None:
        """A size that does not do what was told of it, and how; None if all that were read do, and further ones."""
        mine = self.way(group[0])
        read_before = [n for n in self.known if n in group or self.is_left(n)]
        for n in dict.fromkeys((*read_before, *self._confirming(group, taking))):
            why = self._differs(n, following, made, group[0])
            if why and (n in group or self.takes(n, mine) or any(holds(Part(*c[:3]), n) for c in taking)):
                return n, why  # else it is left for the way that it takes
        return None

    def _differs(self, n: int, following: Following, made: Shaped, of: int) -> str:
        """What a size does that was not told of it, by the way of another one; empty where it does as it was told."""
        read = self.read(n)
        told = predicted(following, self.inputs(n), made)
        if isinstance(refused := self.known[of], RfcalcError):
            alike = isinstance(told, list) == self.takes(n, self.way(of))
            return "" if alike else f"{self.inputs(n)[0]} is not refused as it is told: {brief(refused)}"
        if isinstance(told, RfcalcError) and isinstance(read, RfcalcError):
            return ""
        return difference(following.network, told, read, self.inputs(n)[0])

    def _confirming(self, group: Sequence[int], taking: Sequence[Class]) -> list[int]:
        """Sizes that take the way of a group by what was told, to be confirmed: the least, the greatest, one between;
        one of them only where just these take it along an axis like this one; the more, the less certain its rules.
        """
        way = self._mirrored(group[0])
        known = self.like.taking[way] if self.like is not None and way else None
        alike = known is not None and known == {m for c in taking for m in c.sizes(COMPARED)}
        certainty = self._certainty(group)
        parts = [Part(*c[:3]) for c in taking]
        found = spread_of(parts)[: 1 if alike else CONFIRMED[certainty]]
        unread = [p for p in parts if not any(holds(p, m) for m in (*self.known, *found))]
        apart = max(1, len(unread) // MOST_UNREAD)
        rest = () if alike or certainty else [size_at(p, p.values.first) for p in unread[::apart]][:MOST_UNREAD]
        return [*found, *rest]

    def _mirrored(self, n: int) -> Any:
        """The way of which this size tells along an axis that is like this one; None if there is none."""
        told = self.like.telling if self.like is not None else {}
        return next((way for way, group in told.items() if n in group), None)

    def _around(self, n: int) -> Iterator[int]:
        """Sizes that are left, those first that took the way of this one along an axis like this."""
        way = self._mirrored(n)
        like = self.like.telling[way] if self.like is not None and way else ()
        mine = next((left.part for left in self.left if holds(left.part, n)), EVERY)
        return (other for other in around(n, mine, like) if self.is_left(other))
