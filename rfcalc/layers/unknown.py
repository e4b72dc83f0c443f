"""An operator of which only the output's shape is known."""

from __future__ import annotations

from typing import Any, ClassVar

from rfcalc.core.layer import Layer, layer, store
from rfcalc.core.shape import Shape
from rfcalc.core.syntax import Spelling, Word, sizes


@layer("unknown")
class Unknown(Layer):
    """Stands for an operator that was not understood: its output shape is known and nothing else.

    Everything that depends on it is marked, and totals become lower bounds.

    Args:
        dims: the shape of its output.
        operator: what it was called where it came from.
    """

    dims: Any
    operator: str = "unknown"

    arity: ClassVar[tuple[int, int | None]] = (0, None)
    spelling = Spelling(("unknown",), 'unknown64x7x7 op"aten::foo"', values=("op",))
    opaque: ClassVar[bool] = True

    def __post_init__(self) -> None:
        store(self, dims=Shape.of(self.dims).dims)

    def output(self, *xs: Shape) -> Shape:
        return Shape(*self.dims)

    def notation(self, exact: bool = False) -> str:
        text = f"unknown{sizes(self.dims)}"
        if self.operator == "unknown":
            return text
        if not exact:
            return f"{text} op:{self.operator}"
        from json import dumps

        return f"{text} op{dumps(self.operator)}"

    @classmethod
    def from_word(cls, word: Word) -> Unknown:
        told = word.value("op")
        if told is None:
            return cls(word.need_size())
        from json import loads

        return cls(word.need_size(), loads(told) if told.startswith('"') else told.removeprefix(":"))
