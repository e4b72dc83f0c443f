"""Functions along one axis: running sums and extremes, orders, transforms."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar, NamedTuple

from rfcalc.core.cost import Saved
from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.layer import SAME_UNIT, Alternatives, Layer, layer, on_axis
from rfcalc.core.shape import Shape, axis_of
from rfcalc.core.size import Size, decide, holds, is_number
from rfcalc.core.sliding import axes, choice
from rfcalc.core.syntax import Spelling, Word
from rfcalc.core.window import STEP, All, Index, Listed, Unsized


class AlongFunction(NamedTuple):
    """What a function along an axis reads, and what autograd keeps of it: input, output, int64 indices."""

    before: bool  # position u reads 0 … u; else all
    given: bool = False
    made: bool = False
    indices: bool = False
    shortens: bool = False  # the number of results is chosen
    resizes: bool = False  # it may be larger than that of values


FUNCTIONS: dict[str, AlongFunction] = {
    "cumsum": AlongFunction(True),
    "cumprod": AlongFunction(True, given=True, made=True),
    "cummax": AlongFunction(True, indices=True),
    "cummin": AlongFunction(True, indices=True),
    "logcumsumexp": AlongFunction(True, given=True, made=True),
    "sort": AlongFunction(False, indices=True),
    "argsort": AlongFunction(False),
    "topk": AlongFunction(False, indices=True, shortens=True),
    "transform": AlongFunction(False, resizes=True),
}


@layer("along")
class Along(Layer):
    """A function along one axis: of a running sum or extreme, position u reads 0 … u; of an order, all positions.

    No parameters; its operations are not counted, like those of other arithmetic.

    >>> from rfcalc import Along, Shape
    >>> Along("topk", 1, keep=2).output(Shape(3, 4, 5))
    Shape(3, 2, 5)

    Args:
        function: ``cumsum``, ``cumprod``, ``cummax``, ``cummin``, ``logcumsumexp``, ``sort``, ``argsort``, ``topk`` or
            ``transform`` (Fourier's and others: every result is made of all positions).
        axis: an axis of the map, channels included.
        keep: how many positions stay, of the largest values; how many a transform makes, where it is another number.
    """

    lies = "rows"
    function: str
    axis: int = -1
    _: KW_ONLY
    keep: Size | None = None

    spelling = Spelling(
        ("along",), "along fn:cumsum axis1", values=("fn", "axis", "keep"), defaults="the last axis; all positions stay"
    )
    arity: ClassVar[tuple[int, int | None]] = (1, 1)

    def __post_init__(self) -> None:
        choice("function", self.function, tuple(FUNCTIONS))
        if not is_number(self.axis):
            raise LayerError(f"{self.axis!r} is not the index of an axis")
        if self.keep is not None:
            axes("keep", self.keep)
        said = FUNCTIONS[self.function]
        if said.shortens != (self.keep is not None) and not said.resizes:
            many = "how many it keeps is missing" if self.keep is None else f"it keeps all positions, not {self.keep}"
            raise LayerError(f"{self.function}: {many}", fix='write Along("topk", 1, keep=5), Along("cumsum", 1)')

    @property
    def stem(self) -> str:
        return self.function

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis = axis_of(x, self.axis)
        if self.keep is None:
            return x
        if not FUNCTIONS[self.function].resizes and not holds(
            self.keep <= x.dims[axis], "{} ≤ {}", self.keep, x.dims[axis]
        ):
            raise ShapeError(f"axis {axis} of {x} has no {self.keep} positions", why=f"it has {x.dims[axis]}")
        return Shape(*x.dims[:axis], self.keep, *x.dims[axis + 1 :], channel=x.channel)

    def _index(self, n: Size) -> Index:
        if decide(n == 1) and not FUNCTIONS[self.function].resizes:
            return STEP
        if not FUNCTIONS[self.function].before:
            return All(n)
        if not is_number(n):
            return Unsized("what is before a position depends on the length")
        return Listed([range(u + 1) for u in range(n)])

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis = axis_of(x, self.axis)
        if axis == x.channel:
            return (SAME_UNIT,)
        return (on_axis(x, axis, self._index(x.dims[axis])),)

    def carried(self, xs: tuple[Shape, ...], y: Shape) -> Size | None:
        """The result so far, for each value of a position."""
        axis = axis_of(xs[0], self.axis)
        return y.values // y.dims[axis] if FUNCTIONS[self.function].before and axis != xs[0].channel else None

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """Along the channels, channel c reads 0 … c, or all; along another axis its own."""
        (x,) = xs
        axis = axis_of(x, self.axis)
        return (on_axis(x, axis, self._index(x.dims[axis])),)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        said = FUNCTIONS[self.function]
        return Saved(inputs=(0,) if said.given else (), output=said.made, indices=y.values if said.indices else 0)

    def notation(self, exact: bool = False) -> str:
        kept = "" if self.keep is None else f" keep{self.keep}"
        return f"along fn:{self.function}" + ("" if self.axis == -1 else f" axis{self.axis}") + kept

    @classmethod
    def from_word(cls, word: Word) -> Along:
        told = word.value("fn")
        if told is None:
            raise LayerError("nothing says which function", fix="write along fn:cumsum axis1")
        return cls(told.removeprefix(":"), word.number("axis", -1), keep=word.number("keep", None))
