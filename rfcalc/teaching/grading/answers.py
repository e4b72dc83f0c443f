"""A cell as an answer for one figure: its readings, whether one of them is this number, what to go on with."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from rfcalc.core.shape import Shape
from rfcalc.teaching.cells import RoundedNumber, empty, lengths, numbers, sizes
from rfcalc.teaching.grading.columns import GradedColumn

AXES = ("receptive_field", "stride")
Sizes: TypeAlias = "tuple[Fraction | None, ...]"  # None: the student does not say


class Answer(NamedTuple):
    """What a cell says. `counts` for a number, `shapes` for sizes; both empty if it cannot be read."""

    text: str
    blank: bool
    counts: tuple[RoundedNumber, ...] = ()
    shapes: tuple[Sizes, ...] = ()

    @property
    def readable(self) -> bool:
        return bool(self.counts or self.shapes)

    def fits(self, wanted: Any) -> bool:
        """Whether a reading of the cell is this figure."""
        if wanted is None:
            return False
        if isinstance(wanted, tuple):
            return any(_same(shape, wanted) for shape in self.shapes)
        return any(number.fits(wanted) for number in self.counts)


def _same(shape: Sizes, wanted: tuple[Any, ...]) -> bool:
    return len(shape) == len(wanted) and all(s is None or s == w for s, w in zip(shape, wanted, strict=True))


def read(text: str, column: GradedColumn, shape: Shape, last: bool, axes: int) -> Answer:
    """The answer in a cell.

    Args:
        shape: the right output shape, whose axes the student means.
        last: whether this table writes channels last.
        axes: how many axes the image has, for receptive fields and strides.
    """
    if empty(text):
        return Answer(text, True)
    if column.figure == "output_shape":
        return Answer(text, False, (), _shapes(sizes(text), shape, last))
    if column.figure in AXES:
        found = lengths(text)
        alone = tuple(one * max(axes, 1) for one in found if len(one) == 1)
        return Answer(text, False, (), (*alone, *(one for one in found if len(one) == axes > 1)))
    return Answer(text, False, numbers(text, column.scale))


def _shapes(found: tuple[Fraction, ...], shape: Shape, last: bool) -> tuple[Sizes, ...]:
    """Sizes as channels-first shapes, the likelier order first; without channels where none are written."""
    full = len(shape.dims)
    if not found:
        return ()
    if len(found) == full + 1 and found[0] == 1:
        found = found[1:]
    if full == 1:
        if len(found) > 1 and sum(n != 1 for n in found) <= 1:
            found = (max(found),)
        return (found,)
    if shape.channel != 0:
        return (found, found[::-1]) if len(found) == full else (found,)
    if len(found) == 1:
        return ((None, *found * shape.rank),)
    if len(found) == full - 1:
        return ((None, *found),)
    if len(found) != full:
        return (found,)
    swapped = (found[-1], *found[:-1])
    return (swapped, found) if last else (found, swapped)


def writes_last(answers: list[tuple[str, Shape]]) -> bool:
    """Whether most shapes that a table writes in full have the channels last."""
    last = first = 0
    for text, shape in answers:
        found = sizes(text)
        if len(found) == len(shape.dims) + 1 and found[0] == 1:
            found = found[1:]
        if len(found) == len(shape.dims) > 1 and shape.channel == 0:
            first += _near(found, shape)
            last += _near((found[-1], *found[:-1]), shape)
    return last > first


def _near(found: tuple[Fraction, ...], shape: Shape) -> int:
    """How many sizes agree."""
    return sum(a == b for a, b in zip(found, shape.dims, strict=True))
