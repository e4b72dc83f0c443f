"""What code asked of lengths, and what it gave to operators, as functions of the lengths of the maps of a network.

A reading that is watched says which map was asked, and on which axis: that is the length a rule reads. Where this is
not known, the nearest map is taken that has these lengths in all readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from rfcalc.core.layer import Layer
from rfcalc.core.lengths import Asked, Given, Watched, atoms, evaluated, written
from rfcalc.core.shape import Shape
from rfcalc.plan.aligning import Reading, Unfollowed

HIDDEN = 1 << 20  # numbers of checks on layers that show none
UNKNOWN = 1 << 21  # numbers of checks on lengths of which code makes something that is not followed


class Rule(NamedTuple):
    """A number as a function of the shapes of earlier positions, and which ones."""

    value: Callable[[Sequence[Shape]], Any]
    positions: tuple[int, ...]


class Certainty(IntEnum):
    """How rules were told: by what gives such numbers, by what is equal everywhere, by what the code itself did."""

    INFERRED = 0
    EQUAL = 1
    OWN = 2


class Check(NamedTuple):
    """What code asked on its way, as a function of the shapes of earlier positions, and the answer that it got."""

    rule: Rule
    holds: bool
    where: str
    number: int  # among all that it asked
    refuses: bool = False  # whether the code refuses what answers otherwise


class Lengths:
    """The lengths of maps that differ between readings, by position and axis."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.varied: list[dict[int, tuple[int, ...]]] = []
        self.shapes = [*zip(*(r.shapes for r in readings), strict=True)]
        for shapes in self.shapes:
            dims = enumerate(zip(*(x.dims for x in shapes), strict=False))
            self.varied.append({i: tuple(map(int, d)) for i, d in dims if len(set(d)) > 1})

    def of(self, position: int, axis: int) -> tuple[int, ...] | None:
        """The lengths of an axis in all readings."""
        shapes = self.shapes[position]
        return tuple(int(x.dims[axis]) for x in shapes) if all(axis < len(x.dims) for x in shapes) else None

    def has(self, told: Sequence[Any], before: int) -> bool:
        """Whether a map before a position has these lengths."""
        return any(dims == tuple(told) for varied in self.varied[:before] for dims in varied.values())

    def fixed(self, position: int, axis: int) -> bool:
        """Whether an axis holds channels, whose number is the same at all sizes that were read."""
        return axis == self.shapes[position][0].channel and axis not in self.varied[position]


class Code:
    """What code computed from lengths, as functions of the lengths of maps.

    Args:
        watched: of each reading.
        asked: of each reading, the position and axis of each axis of the maps that were asked.
        made: the steps of the first one that made each position.
    """

    def __init__(
        self, watched: Sequence[Watched], asked: Sequence[Asking], made: Sequence[int], arity: int, lengths: Lengths
    ) -> None:
        self.watched, self.asked, self.made, self.lengths, self.arity = watched, asked, made, lengths, arity
        self.certainty = Certainty.OWN
        self.hidden: list[tuple[int, Rule]] = []  # by position, what must hold of a layer that shows no numbers, or of
        # several lengths that code gave it, of which it shows one
        counts = {len(w.given) for w in watched}
        self.given = list(zip(*(w.given for w in watched), strict=True)) if len(counts) == 1 else []
        counts = {len(w.whole) for w in watched}
        self.whole = list(zip(*(w.whole for w in watched), strict=True)) if len(counts) == 1 else []
        self.by_values: dict[tuple[int, ...], list[int]] = {}
        for i, given in enumerate(self.given):
            self.by_values.setdefault(tuple(g.value for g in given), []).append(i)

    def rule(self, position: int, told: Sequence[Any]) -> Rule | None:
        """The expression with these values that code gave to an operator by then, which may be another one."""
        return self._given(position, [g for g in self._with(told) if g[0].steps <= self.made[position]])

    def of_call(self, position: int, told: Sequence[Any]) -> Rule | None:
        """The expression with these values that code gave in the call that ran the operator of a position."""
        found = [g for g in self._with(told) if g[0].steps <= self.made[position] < g[0].until]
        if (rule := self._given(position, found)) is not None:
            others = [g for g in found if not _same(g, found[-1])]
            self.at_most(Certainty.EQUAL if others else Certainty.OWN)
            for other in [r for g in others if (r := self._rule([x.made for x in g])) is not None]:
                positions = (*rule.positions, *other.positions)
                if all(p < position for p in positions):
                    self.hidden.append((position, Rule(partial(_agree, rule, other), positions)))
        return rule

    def alike(self, position: int, layer: Layer, sources: Sequence[int]) -> None:
        """Note what code gave to the operator of a layer that is the same in all readings, where that is a length of
        its map: the layer must give this length at all sizes."""
        for axis, told in self.lengths.varied[position].items():
            if (rule := self.of_call(position, told)) is not None:
                given = partial(_gives, layer, tuple(sources), axis, rule)
                self.hidden.append((position, Rule(given, (*sources, *rule.positions))))

    def at_most(self, certainty: Certainty) -> None:
        self.certainty = min(self.certainty, certainty)

    def _with(self, told: Sequence[Any]) -> Iterator[Sequence[Given]]:
        return (self.given[i] for i in self.by_values.get(tuple(told), ()))

    def _given(self, position: int, found: Sequence[Sequence[Given]]) -> Rule | None:
        for given in reversed(found):
            if (rule := self._rule([g.made for g in given])) is not None:
                return rule if all(p < position for p in rule.positions) else None
        return None

    def _rule(self, made: Sequence[Any]) -> Rule | None:
        """Expressions of all readings as one function of lengths; None where they are none."""
        if len({written(m) for m in made}) > 1:
            return None
        rules: list[Rule] = []
        for found in zip(*map(atoms, made), strict=True):
            values = tuple(a.value for a in found)
            place = self._asked(found)
            if len(set(values)) == 1 and (self._alive(found) if place is None else self.lengths.fixed(*place)):
                rules.append(Rule(partial(_constant, values[0]), ()))
                continue
            if place is None:
                place = self._place(values, found[0].steps)
                self.at_most(Certainty.EQUAL)
            if place is None:
                return None
            rules.append(Rule(partial(_length, *place), (place[0],)))
        return Rule(partial(_evaluated, made[0], rules), tuple(p for rule in rules for p in rule.positions))

    def _asked(self, found: Sequence[Asked]) -> tuple[int, int] | None:
        """The position of the map that was asked, and its axis, where it has these lengths in all readings."""
        values = tuple(a.value for a in found)
        for a, asked in zip(found, self.asked, strict=True):
            place = asked.get((a.map, a.axis))
            if place is not None and self.lengths.of(*place) == values:
                return place
        return None

    def _alive(self, found: Sequence[Asked]) -> bool:
        """Whether a map of the network was asked in each reading; of one that nothing reads, no more is known."""
        return all(a.map in w.alive for a, w in zip(found, self.watched, strict=True))

    def _place(self, values: tuple[int, ...], steps: int) -> tuple[int, int] | None:
        """The nearest map made by then, and its axis, that has these lengths."""
        for p in range(len(self.made) - 1, -1, -1):
            if (p < self.arity or self.made[p] >= 0) and self.made[p] < steps:
                for i, dims in self.lengths.varied[p].items():
                    if dims == values:
                        return p, i
        return None

    def checks(self, strict: bool = True) -> dict[int, list[Check]]:
        """What code asked, by the position before which it is known (behind the last one: of what is given back).

        Args:
            strict: each of it; else what got one answer in all readings, as far as it follows lengths of maps.

        Raises:
            Unfollowed: something that it compared follows no length of a map; not strict, it makes something that is
                not followed of a length.
        """
        found: dict[int, list[Check]] = {}
        for number, conditions in enumerate(zip(*(w.conditions for w in self.watched), strict=True)):
            first = conditions[0]
            rule = self._rule([c.asked for c in conditions])
            if not strict and any(c.holds != first.holds for c in conditions):
                continue
            if rule is None:
                raise Unfollowed(first.where, "what is compared there follows no length of a map")
            if rule.positions:
                at = max(max(rule.positions) + 1, self.arity)
                found.setdefault(at, []).append(Check(rule, first.holds, first.where, number))
        for number, (rule, where) in enumerate(self._lost(), UNKNOWN):
            at = max(max(rule.positions) + 1, self.arity)
            if not strict:
                raise Unfollowed(where, f"what it makes of a length at {where} is not followed")
            if at < len(self.made):
                found.setdefault(at, []).append(Check(rule, True, where, number))
        return found

    def implied(self) -> dict[int, list[Check]]:
        """What must hold at all sizes, where the same layers do at those that were read, by position: that a number is
        what it was, that a layer which shows none gives the length that the code gave."""
        found: dict[int, list[Check]] = {}
        for number, rule in self._constants():
            at = max([self.arity, *[p + 1 for p in rule.positions]])
            if rule.positions:
                found.setdefault(at, []).append(Check(rule, True, "a number that it computes", number))
        for number, (position, rule) in enumerate(self.hidden, HIDDEN):
            found.setdefault(position, []).append(Check(rule, True, "a length that it gives", number))
        return found

    def _lost(self) -> Iterator[tuple[Rule, str]]:
        """What code made something else of than a whole number: these lengths must be as they were read."""
        known: set[tuple[int, int]] = set()
        for lost in zip(*(w.lost for w in self.watched), strict=False):
            for found in zip(*(atoms(x.made) for x in lost), strict=False):
                place = self._asked(found)
                if place is None or place in known or self.lengths.fixed(*place):
                    continue
                known.add(place)
                length = Rule(partial(_length, *place), place[:1])
                yield Rule(partial(_equals, length, found[0].value), place[:1]), lost[0].where

    def _constants(self) -> Iterator[tuple[int, Rule]]:
        """What is the same in all readings, once for each: numbers that code computes from lengths, and whether slices
        take everything."""
        known: set[Any] = set()
        for number, given in enumerate([*self.given, *self.whole], len(self.watched[0].conditions)):
            if len({g.value for g in given}) > 1:
                continue
            first = given[0].made
            key = written(first), tuple([(a.map, a.axis) for a in atoms(first)])
            if key in known:
                continue
            known.add(key)
            if (rule := self._rule([g.made for g in given])) is not None:
                yield number, Rule(partial(_equals, rule, given[0].value), rule.positions)


Asking = Mapping[tuple[int, int], tuple[int, int]]  # a map that was asked, and its axis → its position, and its axis


def places_of(watched: Watched, reading: Reading) -> dict[tuple[int, int], tuple[int, int]]:
    network = reading.network
    at = {name: p for p, name in enumerate([*network.inputs, *(node.name for node in network.nodes)])}
    return {key: (at[name], axis) for key, (name, axis) in watched.places.items() if name in at}


def moved_to(asked: Sequence[Asking], places: Sequence[Sequence[int]]) -> list[Asking]:
    """The same, with the positions of the readings that were aligned."""
    return [{key: (now[p], axis) for key, (p, axis) in each.items()} for each, now in zip(asked, places, strict=True)]


def _same(one: Sequence[Given], other: Sequence[Given]) -> bool:
    """Whether code computed two lengths that it gave alike from the same lengths."""
    if written(one[0].made) != written(other[0].made):
        return False
    pairs = zip(atoms(one[0].made), atoms(other[0].made), strict=True)
    return all((a.map, a.axis, a.value) == (b.map, b.axis, b.value) for a, b in pairs)


def nothing_lost(watched: Sequence[Watched]) -> None:
    """What code made something else of than a whole number must be the same at all sizes, as counts of channels are.

    Raises:
        Unfollowed: it is not.
    """
    counts = [len(w.lost) for w in watched]
    for i in range(max(counts, default=0)):
        lost = [w.lost[i] for w in watched if i < len(w.lost)]
        made = {(x.where, written(x.made), tuple(a.value for a in atoms(x.made))) for x in lost}
        if len(lost) < len(counts) or len(made) > 1:
            raise Unfollowed(lost[0].where, f"what it makes of a length at {lost[0].where} is not followed")


def _evaluated(made: Any, rules: Sequence[Rule], shapes: Sequence[Shape]) -> Any:
    return evaluated(made, (rule.value(shapes) for rule in rules))


def _gives(layer: Layer, sources: Sequence[int], axis: int, rule: Rule, shapes: Sequence[Shape]) -> bool:
    return bool(layer.output(*[shapes[s] for s in sources]).dims[axis] == rule.value(shapes))


def _agree(one: Rule, other: Rule, shapes: Sequence[Shape]) -> bool:
    return bool(one.value(shapes) == other.value(shapes))


def _equals(rule: Rule, value: int, shapes: Sequence[Shape]) -> bool:
    return bool(rule.value(shapes) == value)


def _constant(value: int, shapes: Sequence[Shape]) -> Any:
    return value


def _length(position: int, axis: int, shapes: Sequence[Shape]) -> Any:
    return shapes[position].dims[axis]
