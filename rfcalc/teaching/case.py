"""One layer where a student meets it: what is before it, what is right about it.

A table is filled in row by row. A `Case` is one row together with what the rows before it say (whoever wrote them), so
that the same rules serve keys, wrong options and marking with the student's own numbers carried forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from rfcalc.core.cost import Cost
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import SAME_UNIT, Layer
from rfcalc.core.shape import Shape
from rfcalc.core.sliding import Sliding, one
from rfcalc.core.window import STEP, All, Slide
from rfcalc.report import Report


class Seen(NamedTuple):
    """What a unit of a map sees of the image, an entry an axis: the side, and the distance between neighbours."""

    size: tuple[int, ...]
    stride: tuple[int, ...]


class SlidingAxis(NamedTuple):
    """One axis of a sliding layer: map size n, kernel k, stride s, padding before and after, dilation d."""

    n: int
    k: int
    s: int
    a: int
    b: int
    d: int

    @property
    def wide(self) -> int:
        """The positions that the dilated kernel spans: d(k − 1) + 1."""
        return self.d * (self.k - 1) + 1


@dataclass(frozen=True)
class Case:
    """A layer, the shapes that it reads, what their units see, and the image that all began with.

    >>> from rfcalc import Conv, Shape
    >>> case = Case(Conv(96, 11, stride=4), (Shape(3, 227, 227),), (Seen((1, 1), (1, 1)),), (227, 227))
    >>> right(case, "output_shape"), right(case, "receptive_field"), right(case, "params")
    ((96, 55, 55), (11, 11), 34944)
    """

    layer: Layer
    xs: tuple[Shape, ...]
    seen: tuple[Seen | None, ...] = ()
    image: tuple[int, ...] = ()
    batch: int = 1
    itemsize: int = 4

    @property
    def x(self) -> Shape:
        return self.xs[0]

    @cached_property
    def y(self) -> Shape:
        """The output shape that follows from the input shapes.

        Raises:
            ShapeError: the layer cannot take them.
        """
        return self.layer.output(*self.xs)

    @property
    def before(self) -> Seen | None:
        return self.seen[0] if self.seen else None

    @cached_property
    def cost(self) -> Cost:
        return self.layer.cost(self.xs, self.y)

    @cached_property
    def grown(self) -> Seen | None:
        """What the layer's units see; None where no one number says it."""
        return grown(self)

    @property
    def geometry(self) -> Sliding | None:
        """The sliding window, if the layer is one."""
        return getattr(self.layer, "geometry", None)

    @cached_property
    def axes(self) -> tuple[SlidingAxis, ...]:
        """The sliding window on every axis of the input map; none for another layer."""
        g = self.geometry
        if g is None or self.x.channel != 0:
            return ()
        found = []
        for i, n in enumerate(self.x.dims[1:]):
            a, b = g.around(n, i)
            found.append(SlidingAxis(n, one(g.kernel, i), one(g.stride, i), a, b, one(g.dilation, i)))
        return tuple(found)


def placed(
    report: Report, position: int, sources: Sequence[int], shapes: Sequence[Shape], seen: Sequence[Seen | None]
) -> Case:
    """The case of a position behind these ones, whose shapes and fields may be somebody's own."""
    layer = report.network.nodes[position - report.network.arity].layer
    before = tuple(shapes[s] for s in sources), tuple(seen[s] for s in sources)
    case = Case(layer, *before, report.shapes[0].spatial, report.batch, report.itemsize)
    if case.grown is None:
        case.__dict__["grown"] = _beyond(report, position, sources, case.seen)
    return case


def _beyond(report: Report, position: int, sources: Sequence[int], mine: Sequence[Seen | None]) -> Seen | None:
    """What is seen behind a layer whose units differ (upsampling, a transposed convolution), by the right table: it
    grows as there, counted in steps of the map before it."""
    here, before = _reported(report, position), [_reported(report, s) for s in sources]
    if here is None or None in before or None in mine or not before:
        return None
    if list(mine) == before:
        return here
    if len(sources) > 1 or mine[0] is None or before[0] is None:
        return None
    size, stride = [], []
    for r, j, right_r, right_j, r_here, j_here in zip(*mine[0], *before[0], *here, strict=True):
        scale = Fraction(j, right_j)
        size.append(r + (r_here - right_r) * scale)
        stride.append(j_here * scale)
    if any(f.denominator > 1 or f < 1 for f in map(Fraction, (*size, *stride))):
        return None
    return Seen(tuple(map(int, size)), tuple(map(int, stride)))


def _reported(report: Report, position: int) -> Seen | None:
    """What the right table says that a unit sees; None where it is no one whole number an axis."""
    if position < report.network.arity:
        return first_seen(report.shapes[position]) if position == 0 else None
    field = report.receptive_field(position)
    if field.status not in ("exact", "periodic") or not field.size:
        return None
    told = [f for part in (field.size, field.stride) for f in part]
    if any(f is None or Fraction(f).denominator > 1 for f in told):
        return None
    return Seen(
        tuple(int(f) for f in field.size if f is not None), tuple(int(f) for f in field.stride if f is not None)
    )


def cases(report: Report) -> tuple[Case, ...]:
    """The case of every node of a network, with the right numbers before it, in order."""
    network, shapes = report.network, report.shapes
    seen: list[Seen | None] = [first_seen(shape) if i == 0 else None for i, shape in enumerate(shapes[: network.arity])]
    found = []
    for position, sources in enumerate(network.sources, network.arity):
        case = placed(report, position, sources, shapes, seen)
        seen.append(case.grown)
        found.append(case)
    return tuple(found)


def first_seen(shape: Shape) -> Seen:
    """What the input's units see: themselves."""
    return Seen((1,) * shape.rank, (1,) * shape.rank)


def grown(case: Case) -> Seen | None:
    """What the layer's units see: size + (reach of the kernel) × stride on each axis; None where no one number says it.

    Paths that meet have to have one stride; the larger size counts, as it does where their centres agree.
    """
    try:
        relations = case.layer.reads(case.xs, case.y)
    except RfcalcError:
        return None
    result: Seen | None = None
    for before, alternatives in zip(case.seen, relations, strict=False):
        if before is None:
            return None
        part: Seen | None = before if alternatives == SAME_UNIT else _through(before, alternatives)
        if part is None:
            return None
        if result is not None and result.stride != part.stride:
            return None
        result = part if result is None else Seen(tuple(map(max, result.size, part.size)), part.stride)
    return result


def _through(before: Seen, alternatives: Any) -> Seen | None:
    if len(alternatives) != 1 or len(alternatives[0]) != len(before.size) + 1:
        return None
    size, stride = [], []
    (first, *others) = alternatives[0]
    if not isinstance(first[1], All) and first[1] is not STEP:
        return None
    for axis, (out, index) in enumerate(others):
        r, j = before.size[axis], before.stride[axis]
        if index is STEP:
            size.append(r)
            stride.append(j)
        elif isinstance(index, Slide) and out == axis + 1:
            size.append(r + index.dilation * (index.kernel - 1) * j)
            stride.append(j * index.stride)
        else:
            return None
    return Seen(tuple(size), tuple(stride))


COUNTED = ("weights", "biases", "params", "buffers", "macs", "flops", "values", "bytes")
FIGURES = ("output_shape", "receptive_field", "stride", *COUNTED)


def right(case: Case, figure: str) -> Any:
    """What follows for a figure of the layer from what is before it; None where it has no single number.

    Shapes and receptive fields are tuples (an entry an axis), everything else a whole number; operations, values and
    bytes are for the batch of the case.
    """
    if figure == "output_shape":
        return case.y.dims
    if figure in ("receptive_field", "stride"):
        seen = case.grown
        return None if seen is None else seen.size if figure == "receptive_field" else seen.stride
    if figure in ("values", "bytes"):
        return case.y.values * case.batch * (case.itemsize if figure == "bytes" else 1)
    cost = case.cost
    if figure in ("macs", "flops"):
        return cost.macs * case.batch * (2 if figure == "flops" else 1)
    return getattr(cost, figure)
