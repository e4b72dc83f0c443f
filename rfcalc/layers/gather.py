"""Listed positions of an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.layer import SAME_UNIT, Alternatives, Layer, layer, on_axis, store
from rfcalc.core.shape import Shape, axis_of
from rfcalc.core.size import Size, holds, is_number
from rfcalc.core.syntax import Spelling, Word, split
from rfcalc.core.window import Index, Listed, Slide, Unsized

MOST_TAKEN = 1_000_000


@layer("gather")
class Gather(Layer):
    """Listed positions of one axis, in their order: a permutation, a choice; one may be listed several times. Without a
    list all of them, from the last to the first: a flip.

    >>> from rfcalc import Shape, Gather
    >>> Gather(1, (2, 0, 0)).output(Shape(3, 4, 5))
    Shape(3, 3, 5)
    >>> Gather(1).notation()
    'gather axis1 reversed'

    Args:
        axis: an axis of the map, channels included.
        positions: from 0; position i of the result is position positions[i] of the input.
    """

    lies = "rows"
    picks = True
    axis: int
    positions: Any = None

    spelling = Spelling(
        ("gather",),
        "gather axis1 at7:0,9",
        ("reversed",),
        ("axis", "at"),
        "axis 0; 7:0: 7, 6, … 0; reversed: all, from the last to the first",
    )

    def __post_init__(self) -> None:
        if self.positions is None:
            return
        given = (self.positions,) if is_number(self.positions) else tuple(self.positions)
        whole = set(map(type, given)) <= {int} or all(map(is_number, given))
        if not given or not whole or min(given) < 0:
            raise LayerError(f"{self.positions!r} are not positions", why="they are whole numbers, counted from 0")
        store(self, positions=tuple(map(int, given)))

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis = axis_of(x, self.axis)
        if self.positions is None:
            return x
        in_place(x, axis, max(self.positions))
        return Shape(*x.dims[:axis], len(self.positions), *x.dims[axis + 1 :], channel=x.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis, at = axis_of(x, self.axis), self.positions
        if axis == x.channel:
            return (SAME_UNIT,)
        if at is None:
            return (on_axis(x, axis, self._reversed(x.dims[axis])),)
        step = at[1] - at[0] if len(at) > 1 else 1
        even = step > 0 and at == tuple(range(at[0], at[-1] + 1, step))
        index: Index = Slide(step, at[0]) if even else Listed([[p] for p in at])
        return (on_axis(x, axis, index),)

    @staticmethod
    def _reversed(n: Size) -> Index:
        return (
            Listed([[p] for p in range(n - 1, -1, -1)]) if is_number(n) else Unsized("where a flip begins is its size")
        )

    def unlisted(self) -> Layer | None:
        return None if self.positions is None else Picked(self.axis, len(self.positions), max(self.positions))

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        axis = axis_of(x, self.axis)
        at = self.positions
        chosen = self._reversed(x.dims[axis]) if at is None else Listed([[p] for p in at])
        return (on_axis(x, axis, chosen),) if axis == x.channel else None

    def notation(self, exact: bool = False) -> str:
        return f"gather axis{self.axis} " + (
            "reversed" if self.positions is None else "at" + ",".join(_runs(self.positions))
        )

    @classmethod
    def from_word(cls, word: Word) -> Gather:
        if word.flag("reversed"):
            return cls(word.number("axis", 0))
        found: list[int] = []
        for part in split(word.value("at") or "", ","):
            ends = [word.end(e, "at") for e in split(part, ":")]
            if len(ends) > 2 or not all(is_number(e) for e in ends):
                word.culprit = "at"
                raise LayerError(f"{part or 'nothing'} does not say positions", fix="write at0,2,7:4")
            first, last = int(ends[0]), int(ends[-1])
            if abs(last - first) >= MOST_TAKEN:
                raise LayerError(f"{part} are too many positions", why=f"the limit is {MOST_TAKEN}")
            found += range(first, last + 1) if first <= last else range(first, last - 1, -1)
        return cls(word.number("axis", 0), tuple(found))


@dataclass(slots=True, repr=False, eq=False)
class Picked(Layer):
    """So many positions of an axis, the last of which lies there: a `Gather` of which only sizes are asked."""

    kind: ClassVar[str] = "gather"
    axis: int
    many: int
    last: int

    compared: ClassVar[tuple[str, ...]] = ("axis", "many", "last")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis = axis_of(x, self.axis)
        in_place(x, axis, self.last)
        return Shape(*x.dims[:axis], self.many, *x.dims[axis + 1 :], channel=x.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis = axis_of(x, self.axis)
        return (
            SAME_UNIT if axis == x.channel else on_axis(x, axis, Unsized("which positions it picks hangs on sizes")),
        )

    def notation(self, exact: bool = False) -> str:
        return f"gather axis{self.axis}, {self.many} positions up to {self.last}"


def in_place(x: Shape, axis: int, last: Size) -> None:
    """Refuse a map that lacks a position."""
    if not holds(last < x.dims[axis], "{} < {}", last, x.dims[axis]):
        raise ShapeError(f"axis {axis} of {x} has no position {last}", why=f"it has {x.dims[axis]}, from 0")


def _runs(positions: tuple[int, ...]) -> list[str]:
    """Positions as they are written: ``7:4`` for 7, 6, 5, 4."""
    found: list[str] = []
    i = 0
    while i < len(positions):
        j = i + 1
        step = positions[j] - positions[i] if j < len(positions) else 0
        while step in (1, -1) and j < len(positions) and positions[j] - positions[j - 1] == step:
            j += 1
        if j - i > 2:
            found.append(f"{positions[i]}:{positions[j - 1]}")
        else:
            j = i + 1
            found.append(str(positions[i]))
        i = j
    return found
