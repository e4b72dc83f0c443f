"""The valid sizes of code that takes other ways at other sizes: each way is solved for the sizes that take it.

A way is what a reading gave, with the conditions that the code asked on it and the answers that it got. The sizes that
answer otherwise are left for another way; in the end every size n ≥ 1 belongs to one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import Condition, Expression, written
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import forward
from rfcalc.graph.network import Network
from rfcalc.plan.classes import Undecided
from rfcalc.plan.following import Following
from rfcalc.plan.sizes import Joint, Refused, Sizes, Trained, classes_told
from rfcalc.plan.solving import Axis, Class, congruence
from rfcalc.plan.unseen import Piece, Unclear, unseen_told


class Way(NamedTuple):
    """A way through code along one axis: its layers, inputs that take it, the sizes that do; where it ends, if that is
    where the code is refused, so that its layers are those up to there."""

    following: Following
    inputs: tuple[Shape, ...]
    found: tuple[Class, ...]
    ends: str = ""


def given_back(way: Way) -> tuple[tuple[int, int | None], ...]:
    """Of each output how many spatial axes it has, and which axis holds its channels."""
    network = way.following.network
    shapes = next(c.shapes for c in way.found if c.error is None)
    outputs = [shapes[network.position(name)] for name in network.outputs]
    return tuple([(x.rank, x.channel) for x in outputs])


def turns(modulus: int) -> int:
    """How many times a modulus a further size of a class is larger: far away, but no map so large that it is slow."""
    return max(2, min(16, 512 // modulus))


def parted(one: Sequence[Condition], other: Sequence[Condition]) -> int:
    """The first condition that two ways answer otherwise; -1 if they ask something else before."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if (a.where, written(a.asked)) != (b.where, written(b.asked)):
            return -1
        if a.holds != b.holds:
            return i
    return -1


def unequal(one: Sequence[Condition], other: Sequence[Condition]) -> bool:
    """Whether another way is taken where a length is not what it is equal to on one; a rest is equal at many sizes."""
    at = parted(one, other)
    return at >= 0 and one[at].asked.how == ("==" if one[at].holds else "!=") and _straight(one[at].asked)


def _straight(made: Any) -> bool:
    """Whether an expression has no rests, parts, or the like."""
    if not isinstance(made, Expression):
        return True
    return made.how in ("+", "-", "*", "==", "!=") and _straight(made.left) and _straight(made.right)


class _Way(Sizes):
    """One way, of which only the sizes that take it are asked."""

    def __init__(self, way: Way, axis: int) -> None:
        self.way, self.axis = way, axis
        super().__init__(way.following.network, way.inputs, following=way.following)

    def _solve(self) -> None:
        self.inputs = self.asked
        self._walked = forward(self.following.at(self.inputs), self.inputs)
        nothing = Axis(self.axis, congruence(()), ())
        mine = Axis(self.axis, congruence(self.way.found), self.way.found)
        self.axes = tuple([mine if i == self.axis else nothing for i in range(self.inputs[0].rank)])

    def reaching_nothing(self, output: int) -> list[Piece]:
        return self._reaching_nothing(self.axis, self.outputs[output])

    def _alike(self, axis: int) -> int:
        return axis


def _ended(way: Way) -> Refused:
    """The smallest size of a way that ends where code is refused, and why it is."""
    least = min(way.found, key=lambda c: c.first)
    error = least.error
    assert error is not None
    why = (error.why or error.what).split("\n")[0]
    if ", line " in way.ends:
        why += f" ({way.ends})"
    module = (error.where or "").partition(" at ")[2] or error.where or way.following.network.name or "the code"
    return Refused(least.first, module, why, classes_told(way.found), why)


class _Shapes(NamedTuple):
    shapes: tuple[Shape, ...]


class SizesOfWays(Sizes):
    """The valid sizes of every axis, over all ways that code takes.

    Args:
        network, inputs, near, target, assumptions: as for `Sizes`.
        ways: of each axis; in the first one are the sizes of the inputs.
    """

    def __init__(
        self, network: Network, inputs: Sequence[Shape], near: Sequence[int] | None, *,
        target: str, assumptions: Sequence[str], ways: Sequence[Sequence[Way]],
    ) -> None:  # fmt: skip
        self.ways = [[_Way(way, axis) for way in found if not way.ends] for axis, found in enumerate(ways)]
        self.ending = [[way for way in found if way.ends] for found in ways]
        following = Following(network, {})
        super().__init__(network, inputs, near, target=target, assumptions=assumptions, following=following)

    def _solve(self) -> None:
        """Of each class only the shapes of the outputs are kept, which all ways have."""
        self.inputs = self.asked
        axes = []
        for axis, ways in enumerate(self.ways):
            found = [
                c._replace(shapes=[c.shapes[p] for p in way.outputs] if c.error is None else [], position=None)
                for way in ways
                for c in way.way.found
            ]
            found += [c for way in self.ending[axis] for c in way.found]
            axes.append(Axis(axis, congruence(found), tuple(sorted(found, key=lambda c: (c.first, c.modulus)))))
        self.axes = tuple(axes)
        shapes = forward(self.network, self.inputs).shapes
        self._walked: Any = _Shapes(tuple(shapes[self.network.position(name)] for name in self.network.outputs))

    @property
    def outputs(self) -> tuple[int, ...]:
        return tuple(range(len(self.network.outputs)))

    def _length(self, axis: int, position: int) -> str | None:
        held = {(x.rank, x.channel) for solved in self.axes for x in [c.shapes[position] for c in solved.taken]}
        return super()._length(axis, position) if len(held) == 1 else None

    def refused(self, axis: int) -> tuple[Refused, ...]:
        """Each node that refuses sizes of an axis, on any way, with the smallest one; first those without a largest."""
        found: dict[str, Refused] = {}
        refusing: dict[str, list[Class]] = {}
        told: list[tuple[str, Refused]] = []  # with what is one in all ways: the node, or where the code is refused
        for way in self.ways[axis]:
            network = way.following.network
            for c in way.axes[axis].found:
                if c.position is not None:
                    refusing.setdefault(network.nodes[c.position - network.arity].name, []).append(c)
            told += [(r.node, r) for r in way.refused(axis)]
        for ending in self.ending[axis]:
            r = _ended(ending)
            told.append((f"{r.node}, {ending.ends}", r))
            refusing.setdefault(told[-1][0], []).extend(ending.found)
        for place, r in told:
            found[place] = min(found.get(place, r), r, key=lambda x: x.size)
        endless = {place: all(c.last is not None for c in refusing[place]) for place in found}
        places = sorted(found, key=lambda place: (endless[place], found[place]))
        return tuple([found[place]._replace(sizes=classes_told(refusing[place])) for place in places])

    def unseen(self, axis: int) -> dict[str, str | None]:
        """How many positions of an axis reach no unit of an output, as a formula in n; None where it is not told."""
        if axis not in self._told:
            self._told[axis] = {}
            for output, name in enumerate(self.network.outputs):
                try:
                    if any(way.following.masked for way in self.ways[axis]):
                        raise Unclear("masks")
                    pieces = [piece for way in self.ways[axis] for piece in way.reaching_nothing(output)]
                    self._told[axis][name] = unseen_told(pieces)
                except (Unclear, Undecided, RfcalcError):
                    self._told[axis][name] = None
        return self._told[axis]

    @property
    def joint(self) -> Joint | None:
        return None

    @property
    def training(self) -> tuple[Trained, ...]:
        """Sizes that only training refuses: those of each way."""
        found = [t for ways in self.ways for way in ways if way.axes[way.axis].taken for t in way.training]
        return tuple(dict.fromkeys(t for t in found if t.size is not None))
