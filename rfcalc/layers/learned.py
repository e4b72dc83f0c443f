"""What is learned and reads no map: class tokens, position tables, parameters."""

from __future__ import annotations

from typing import Any, ClassVar

from rfcalc.core.cost import Cost, Formula
from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.layer import VIEW, Alternatives, Layer, layer, store
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, is_number
from rfcalc.core.sliding import axes
from rfcalc.core.syntax import Spelling, Word, number, sizes
from rfcalc.core.window import STEP, Listed, Unsized
from rfcalc.layers.merge import broadcast, stretched

TOKENS = Formula("weights", "t * c", "t learned vectors of c features")
POSITIONS = Formula("weights", "prod(x)", "one learned number for each value")
PARAMETER = Formula("weights", "prod(y)", "every value is learned")


@layer("class_token")
class ClassToken(Layer):
    """Puts `count` learned vectors before the tokens (axis 0 of a tokens × features map)."""

    widens = True
    lies = "rows"
    count: Size = 1

    spelling = Spelling(("classtoken",), "classtoken", defaults="one token")

    def __post_init__(self) -> None:
        axes("count", self.count)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if len(x.dims) != 2 or x.channel != 1:
            raise ShapeError(
                f"class tokens need a tokens × features map, and get {x}", fix="Flatten(1) >> Permute((1, 0))"
            )
        return Shape(x.dims[0] + self.count, x.dims[1], channel=1)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        t, n = self.count, xs[0].dims[0]
        if not (is_number(t) and is_number(n)):
            return ((((0, Unsized("the place of the tokens depends on the sizes")), (1, STEP)),),)
        return ((((0, Listed([[]] * t + [[u] for u in range(n)])), (1, STEP)),),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=TOKENS(t=self.count, c=y.dims[1]))

    def notation(self, exact: bool = False) -> str:
        return "classtoken" + ("" if self.count == 1 else number(self.count))

    @classmethod
    def from_word(cls, word: Word) -> ClassToken:
        return cls(word.one_size(1))


@layer("position_table")
class PositionTable(Layer):
    """Adds a learned number to every value (a table of position embeddings)."""

    widens = True
    unstreamed = ("it has a parameter of its own for each position", "use relative positions")
    spelling = Spelling(("positions",), "positions")

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (stretched(xs[0], y),)

    def fitted(self, y: Shape, made: Shape) -> Shape | None:
        """A map of one position is stretched to the table, or the table to the map."""
        try:
            return broadcast(self.kind, (y, made))
        except ShapeError:
            return None

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=POSITIONS(x=y.dims))

    def notation(self, exact: bool = False) -> str:
        return "positions"

    @classmethod
    def from_word(cls, word: Word) -> PositionTable:
        return cls()


@layer("parameter")
class Parameter(Layer):
    """A learned map that depends on no input; `channel` is its channel axis."""

    dims: Any
    channel: int = 0

    spelling = Spelling(("parameter",), "parameter1x768 channel1", values=("channel",), defaults="channels on axis 0")
    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    memory = VIEW
    stored = "learned"

    def __post_init__(self) -> None:
        store(self, dims=Shape.of(self.dims).dims)
        if not 0 <= self.channel < len(self.dims):
            raise LayerError(f"there is no axis {self.channel} for the channels in {self.dims}")

    def output(self, *xs: Shape) -> Shape:
        return Shape(*self.dims, channel=self.channel)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=PARAMETER(y=y.dims))

    def notation(self, exact: bool = False) -> str:
        return "parameter" + sizes(self.dims) + (f" channel{self.channel}" if self.channel else "")

    @classmethod
    def from_word(cls, word: Word) -> Parameter:
        return cls(word.need_size(), word.number("channel", 0))
