"""The valid input sizes of a network, told: congruences, what refuses the others, the nearest valid sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import LimitError, RfcalcError, plural
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, forward, relation
from rfcalc.graph.network import Network
from rfcalc.plan.classes import Split, Undecided
from rfcalc.plan.following import Following
from rfcalc.plan.formulas import of_each, with_exceptions, written
from rfcalc.plan.nearest import Near, nearest, told
from rfcalc.plan.solving import (
    Axis,
    Class,
    Cut,
    Weights,
    axis_of,
    classes,
    congruence,
    cuts,
    key_of,
    parts,
    substituted,
    with_size,
)
from rfcalc.plan.unseen import Backward, Piece, Unclear, axes_from, count, is_behind_unknown, unseen_told

if TYPE_CHECKING:
    from rfcalc.report.document import Document

SCHEMA = "rfcalc/sizes/1"
MOST_PIECES = 4096


class Refused(NamedTuple):
    """The smallest size that a node refuses, and why."""

    size: int
    node: str
    why: str
    sizes: str
    brief: str


class Trained(NamedTuple):
    """A size that only training refuses (None: every size), at a batch of one."""

    size: int | None
    node: str
    why: str


class Joint(NamedTuple):
    """A product of lengths that is fixed, because a flattened map goes into a fully connected layer."""

    text: str
    product: int
    terms: tuple[str, ...]


class Sizes:
    """The valid sizes of every axis of a network's input.

    >>> import rfcalc
    >>> found = rfcalc.sizes("unet", near="350x525")
    >>> found.axes[0].valid.start, found.axes[0].valid.modulus, found.axes[0].valid.rests
    (188, 16, (12,))
    >>> [near.valid for near in found.near]
    [(364, 540), (348, 524)]
    >>> found.to_dict()["axes"][0]["output"]
    'n - 184'

    Args:
        network: what is asked about.
        inputs: its input shapes; where they are not valid, valid ones close to them are found first.
        near: sizes of the spatial axes, to which the nearest valid ones are looked for.
        target: how the user named the network.
        seconds: when to give up.
        following: rules of the sizes that code has frozen into layers.

    Raises:
        RfcalcError: there are no axes to vary, or a rule does not say what it does with an unknown size.
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[Shape],
        near: Sequence[int] | None = None,
        *,
        target: str = "",
        assumptions: Sequence[str] = (),
        seconds: float | None = None,
        following: Following | None = None,
    ) -> None:
        self.read = following is not None
        self.following = following or Following(network, {})
        self.network = self.following.network
        self.target = target or network.name or "network"
        self.assumptions = tuple(assumptions)
        self.seconds = seconds
        self.asked = tuple(inputs)
        rank = inputs[0].rank
        if rank == 0:
            raise RfcalcError(f"the input {inputs[0]} has no spatial axes", fix="a flat vector has one size only")
        if near is not None and len(near) != rank:
            meant = "x".join(map(str, _meant(near, inputs[0])))
            raise RfcalcError(
                f"--near {'x'.join(map(str, near))} has {plural(len(near), 'size')}",
                why=f"the input {inputs[0]} has {plural(rank, 'spatial axis', 'spatial axes')}",
                fix=f"write {meant}, without the channels",
            )
        self.asked_near = None if near is None else tuple(near)
        self._told: dict[int, dict[str, str | None]] = {}  # what `unseen` has found
        self.inputs: tuple[Shape, ...] = self.asked
        self.axes: tuple[Axis, ...] = ()
        self._solve()
        if near is None and self.inputs != self.asked:
            self.asked_near = inputs[0].spatial

    def _solve(self) -> None:
        self.inputs = self._base(self.asked)
        self._walked = forward(self.following.at(self.inputs), self.inputs)
        self.axes = tuple([self._axis(axis) for axis in range(self.inputs[0].rank)])

    def _axis(self, axis: int) -> Axis:
        try:
            more: dict[str, Any] = {"made": self._walked, "following": self.following}
            more["known"] = self.following.solved.get((axis, tuple(x.dims for x in self.inputs)))
            return axis_of(self.network, self.inputs, axis, seconds=self.seconds, **more)
        except Undecided as error:
            raise RfcalcError(
                "the valid sizes cannot be told for all n",
                why=str(error),
                fix="read it at the size in question with --input",
            ) from None

    def _base(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Shapes that run, so that one axis can be varied while the others stay: those given, the network's own, or
        equal sides that do."""
        for tried in (inputs, tuple(d or x for d, x in zip(self.network.inputs.values(), inputs, strict=True))):
            if _runs(self.following, tried):
                return tried
        rank = inputs[0].rank
        varied = [(i, axis) for i, x in enumerate(inputs) if x.rank == rank for axis in range(rank)]
        side = max(inputs[0].spatial)
        found = congruence(classes(self.network, inputs, varied, seconds=self.seconds, following=self.following))
        size = found.up(side) or found.down(side)
        if size is None:
            _refuse(self.following, inputs)
        for source, axis in varied:
            inputs = (*inputs[:source], with_size(inputs[source], axis, size), *inputs[source + 1 :])
        return inputs

    def varied(self, axis: int) -> tuple[str, ...]:
        """The inputs of which n is the size on an axis: those of the first one's size; the others stay as given."""
        first = self.inputs[0]
        alike = [x.rank == first.rank and x.spatial[axis] == first.spatial[axis] for x in self.inputs]
        return tuple(compress(self.network.inputs, alike))

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        return tuple(self.network.position(name) for name in self.network.outputs)

    @cached_property
    def _cuts(self) -> list[Cut]:
        return cuts(self.network, self.following)

    @cached_property
    def _normalised(self) -> tuple[int, ...]:
        """Positions whose maps are normalised over the batch: training needs more than one value of each channel."""
        arity = self.network.arity
        return tuple(p for p, node in enumerate(self.network.nodes, arity) if node.layer.trains_on > 1)

    def concrete(self, axis: int, size: int) -> tuple[Shape, ...]:
        """The input shapes with this size on an axis."""
        size_of = self.inputs[0].spatial[axis]
        rank = self.inputs[0].rank
        return tuple(
            with_size(x, axis, size) if x.rank == rank and x.spatial[axis] == size_of else x for x in self.inputs
        )

    def refused(self, axis: int) -> tuple[Refused, ...]:
        """Each node that refuses sizes of an axis, with the smallest one, and why; first those without a largest."""
        by_node: dict[int, list[Class]] = {}
        for c in self.axes[axis].found:
            if c.position is not None:
                by_node.setdefault(c.position, []).append(c)
        found: list[tuple[bool, Refused]] = []
        for position, refusing in by_node.items():
            least = min(c.first for c in refusing)
            name, what, why = _why(self.following, self.concrete(axis, least), position, self._walked)
            endless = any(c.last is None for c in refusing)
            told = f"{what} ({why})" if why else what
            found.append((not endless, Refused(least, name, told, classes_told(refusing), why or what)))
        return tuple(refused for _, refused in sorted(found))

    def output(self, axis: int) -> dict[str, str | None]:
        """The size of an axis of each output as a formula in n; None where the output does not have it."""
        found: dict[str, str | None] = {}
        for name, position in zip(self.network.outputs, self.outputs, strict=True):
            found[name] = self._length(axis, position)
        return found

    def _length(self, axis: int, position: int) -> str | None:
        solved = self.axes[axis]
        shape = next((c.shapes[position] for c in solved.taken), None)
        if shape is None or shape.rank != self.inputs[0].rank:
            return None
        name = self.network.outputs[self.outputs.index(position)]
        if shape.channel != self.inputs[0].channel and is_behind_unknown(self.network, name):
            return None  # which axis is which is not known
        of = shape.axes[axis]
        if solved.valid.start is None:
            values = {n: solved.length(position, of, n) for n in solved.valid.below}
            return of_each({n: v for n, v in values.items() if v is not None})
        lines = solved.lines(position, of)
        if not lines:
            return None
        bound = max([1, *[c.first if c.last is None else c.last + 1 for c in solved.found]])
        small = [n for c in solved.taken for n in c.sizes(bound)]  # for which classes of their own were found
        return with_exceptions(lines, {n: solved.length(position, of, n) for n in small})

    def unseen(self, axis: int) -> dict[str, str | None]:
        """How many positions of an axis reach no unit of an output, as a formula in n; None where it is not told."""
        if axis in self._told:
            return self._told[axis]
        first = self._alike(axis)
        found = self._told[axis] = {}
        if first < axis:
            found.update(self.unseen(first))
            return found
        for name, position in zip(self.network.outputs, self.outputs, strict=True):
            try:
                found[name] = self._unseen(axis, position)
            except (Unclear, Undecided, RfcalcError):
                found[name] = None
        return found

    def _alike(self, axis: int) -> int:
        """The first axis that the network treats like this one: equal lengths at every map, equal reads."""
        return next((first for first in range(axis) if self._mirrored(first, axis)), axis)

    def _mirrored(self, first: int, second: int) -> bool:
        """Whether two axes have the same classes, whose maps are the same with these axes exchanged, and the same is
        read along them."""
        if self.network.arity > 1 or self.inputs[0].channel != 0:
            return False
        a, b = self.inputs[0].axes[first], self.inputs[0].axes[second]
        rank = self.inputs[0].rank
        known: set[tuple[int, int]] = set()  # of shapes that are alike
        mine, others = self.axes[first].found, self.axes[second].found
        if [c[:3] + c[4:5] for c in mine] != [c[:3] + c[4:5] for c in others]:
            return False
        for c, d in zip(mine, others, strict=True):
            for x, y in zip(c.shapes, d.shapes, strict=True):
                if (id(x), id(y)) in known:
                    continue
                key, other = key_of(x), [*key_of(y)]
                if x.rank == rank and x.channel == 0:
                    other[a + 1], other[b + 1] = other[b + 1], other[a + 1]
                if key != tuple(other):
                    return False
                known.add((id(x), id(y)))
        for position in range(1, len(self._walked.shapes)):
            for alternatives in relation(self._walked, position):
                for reads in alternatives:
                    if len(reads) == rank + 1:
                        mine_, other_ = reads[a], reads[b]
                        if mine_[1] != other_[1] or (mine_[0], other_[0]) not in ((a, b), (None, None)):
                            return False
                    elif len(reads) > 1:
                        return False
        return True

    def _unseen(self, axis: int, position: int) -> str | None:
        return unseen_told(self._reaching_nothing(axis, position))

    def _reaching_nothing(self, axis: int, position: int) -> list[Piece]:
        """How many positions of an axis reach no unit of a map, over its sizes."""
        solved = self.axes[axis]
        of = self.inputs[0].axes[axis]
        every = range(len(self._walked.shapes))
        along = Backward(self.following, position, along=axes_from(self.network, self._walked, 0, of), cuts=self._cuts)
        whole = Backward(self.following, position, cuts=self._cuts)

        def left(shapes: Sequence[Shape]) -> Any:
            try:
                parts = along.read(shapes)
            except Unclear:  # at some sizes the axes of a map may lie in another order
                parts = whole.read(shapes)
            return shapes[0].dims[of] - count(parts.get(of, []))

        return [piece for c in solved.taken for piece in _pieces(c, left, every)]

    @cached_property
    def joint(self) -> Joint | None:
        """Where a product of axes is fixed: every axis alone takes few sizes, and one node refuses the others."""
        if len(self.axes) < 2 or any(a.valid.start is not None for a in self.axes):
            return None
        refusing = [{c.position for c in a.found if c.position is not None and c.last is None} for a in self.axes]
        common = set.intersection(*refusing)
        for position in sorted(p for p in common if p is not None):
            before = self._before_flattening(position)
            if before is None or before < self.network.arity:
                continue
            lengths = self._walked.shapes[before].spatial
            terms = []
            for axis in range(len(self.axes)):
                solved = self.axes[axis]
                terms.append(self._every(solved, before, axis) or f"length {axis}")
            product = 1
            for n in lengths:
                product *= n
            name = self.network.nodes[position - self.network.arity].name
            put_in = [re.sub(r"\bn\b", f"n{i}", t) for i, t in enumerate(terms)]
            text = " · ".join(f"({t})" for t in put_in) + f" = {product}, for {name}"
            return Joint(text, product, tuple(terms))
        return None

    @staticmethod
    def _every(solved: Axis, position: int, axis: int) -> str | None:
        """The length of a map as a formula, for all sizes that reach it, whether they are taken or not."""
        reaching = [c._replace(error=None) for c in solved.found if position < len(c.shapes)]
        whole = solved._replace(found=tuple(reaching))
        shape = next((c.shapes[position] for c in reaching), None)
        lines = None if shape is None else whole.lines(position, shape.axes[axis])
        return written(lines) if lines else None

    def _before_flattening(self, position: int) -> int | None:
        """The last map with the input's axes on the way to a node, if there is only one way."""
        walked = self._walked
        while position >= self.network.arity:
            sources = self.network.sources[position - self.network.arity]
            if len(sources) != 1:
                return None
            position = sources[0]
            if walked.shapes[position].rank == self.inputs[0].rank:
                return position
        return None

    @cached_property
    def training(self) -> tuple[Trained, ...]:
        """Sizes that run and that training refuses at a batch of one: a normalised channel has a single value."""
        found = []
        arity = self.network.arity
        known: dict[Any, list[Piece]] = {}  # pieces of t, by map

        def single(shapes: Sequence[Shape]) -> bool:
            return bool(shapes[0].values == shapes[0].channels)

        def of(c: Class, position: int) -> list[Piece]:
            key = (key_of(c.shapes[position]), c.values)
            if key not in known:
                known[key] = _pieces(c._replace(modulus=1, rest=0), single, [position])
            return known[key]

        for position in self._normalised:
            node = self.network.nodes[position - arity]
            told = f"{node.name} has one value for each channel: training needs more, or a batch of at least 2"
            seen: set[int] = set()
            for solved in self.axes:
                pieces = [(c, piece) for c in solved.taken for piece in of(c, position)]
                if all(one for _, (*_, one) in pieces):
                    found.append(Trained(None, node.name, told))
                    break
                for c, (modulus, rest, values, one) in pieces:
                    if one and values.last is not None:
                        ts = (modulus * t + rest for t in range(values.first, values.last + 1))
                        seen.update(c.modulus * t + c.rest for t in ts)
            else:
                found += [Trained(size, node.name, told) for size in sorted(seen)]
        return tuple(found)

    @cached_property
    def near(self) -> tuple[Near, ...]:
        """The nearest valid sizes: by fewest added, then by fewest removed."""
        asked = self.asked_near
        if asked is None:
            return ()
        return nearest(asked, [a.valid for a in self.axes])

    def __repr__(self) -> str:
        told = (f"from {a.valid.start} by {a.valid.modulus}" if a.valid.rests else "a few" for a in self.axes)
        return f"<valid sizes of {self.target}: {', '.join(told)}>"

    def to_dict(self) -> dict[str, Any]:
        """The JSON: schema rfcalc/sizes/1."""
        return {
            "schema": SCHEMA,
            "network": {"name": self.network.name, "target": self.target},
            "input": {name: list(x.dims) for name, x in zip(self.network.inputs, self.inputs, strict=True)},
            "axes": [self._axis_dict(i, solved) for i, solved in enumerate(self.axes)],
            "joint": None
            if self.joint is None
            else {"text": self.joint.text, "product": self.joint.product, "terms": list(self.joint.terms)},
            "training": [t._asdict() for t in self.training],
            "near": [
                {
                    "asked": list(n.asked),
                    "valid": list(n.valid),
                    "pad": [list(p) for p in n.pad],
                    "crop": [list(p) for p in n.crop],
                }
                for n in self.near
            ],
            "assumptions": list(self.assumptions),
        }

    def _axis_dict(self, axis: int, solved: Axis) -> dict[str, Any]:
        valid = solved.valid
        return {
            "axis": axis,
            "inputs": list(self.varied(axis)),
            "from": valid.start,
            "modulus": valid.modulus,
            "residues": list(valid.rests),
            "below": list(valid.below),
            "output": _one(self.output(axis)),
            "refused": [{"size": r.size, "node": r.node, "why": r.why} for r in self.refused(axis)],
            "unseen": _one(self.unseen(axis)),
        }

    _repr_html_ = displayed

    def document(self) -> Document:
        """What `rfcalc sizes` shows."""
        from rfcalc.plan.sizes_shown import document

        return document(self)


def _meant(near: Sequence[int], x: Shape) -> Sequence[int]:
    """What sizes of too many or too few axes are likely to mean: without the channels, or all sides alike."""
    if len(near) > x.rank:
        return near[-x.rank :] if near[0] in (1, 3, x.channels) else near[: x.rank]
    return (near[0],) * x.rank


def _one(values: dict[str, str | None]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else values


def _runs(following: Following, inputs: Sequence[Shape]) -> bool:
    try:
        forward(following.at(inputs), inputs)
    except RfcalcError:
        return False
    return True


def _refuse(following: Following, inputs: Sequence[Shape]) -> None:
    """Raise what the walk says of these inputs."""
    forward(following.at(inputs), inputs)
    raise LimitError("no size of equal sides runs")


def _why(following: Following, inputs: Sequence[Shape], position: int, made: Shaped) -> tuple[str, str, str]:
    """The node that refuses these inputs, and why, with the numbers put in."""
    network = following.network
    name = network.nodes[position - network.arity].name
    shapes = list(inputs)
    weights = Weights(network, made, following)
    try:
        for p in range(network.arity, position + 1):
            shapes.append(weights.output(p, shapes))
    except RfcalcError as error:
        return name, error.what, (error.why or "").split("\n")[0]
    return name, "it is refused", ""


def classes_told(refusing: Sequence[Class]) -> str:
    """The sizes that are refused, in words."""
    return told(congruence([c._replace(error=None) for c in refusing]))


def _pieces(c: Class, value_of: Callable[[Sequence[Shape]], Any], positions: Sequence[int]) -> list[Piece]:
    """A function of the shapes of some positions, over the sizes of a class: split until each part has one answer."""
    todo = [(c.modulus, c.rest, c.values, [c.shapes[p] for p in positions])]
    done: list[Piece] = []
    while todo:
        modulus, rest, values, shapes = todo.pop()
        if len(done) + len(todo) > MOST_PIECES:
            raise Unclear("many classes")
        try:
            done.append((modulus, rest, values, value_of(shapes)))
        except Split as split:
            for count_, more, part in parts(values, split):
                changed = substituted(shapes, count_, more, part)
                todo.append((modulus * count_, rest + modulus * more, part, changed))
    return done
