"""Several inputs of a network along one axis: how the size of each follows that of the first (the image).

An image and a guide of half its size, a signal and its frames, two maps of which one is cut: where one has n positions,
the other has factor·n + more. The factor is the one at which the paths from both meet on one grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice, product
from math import ceil, lcm
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.plan.lines import LineView, view
from rfcalc.plan.solving import with_size

MOST_PARTS = 64  # numerator and denominator of a factor
MOST_TRIED = 64
USUAL = [Fraction(1), *(f for k in range(2, 33) for f in (Fraction(k), Fraction(1, k)))]


class Size(NamedTuple):
    """The size of an input: `factor`·n + `more`, where the image has n."""

    factor: Fraction
    more: Fraction

    def at(self, n: int) -> int:
        return int(self.factor * n + self.more)

    def part(self, read: tuple[int, int]) -> tuple[int, int]:
        """What is read of the input, where this range is read of the image."""
        begin = int(self.factor * read[0])
        return begin, begin + self.at(read[1] - read[0])

    def text(self) -> str:
        """As a formula.

        >>> Size(Fraction(1, 2), Fraction(1, 2)).text(), Size(Fraction(2), Fraction(-3)).text()
        ('(n + 1)/2', '2n - 3')
        """
        times, over = self.factor.numerator, self.factor.denominator
        more = self.more * over
        text = ("" if times == 1 else str(times)) + "n"
        text += "" if not more else f" {'+' if more > 0 else '-'} {abs(more)}"
        return text if over == 1 else f"{text}/{over}" if not more else f"({text})/{over}"

    def image(self, end: int) -> int:
        """The position of the image that a tile must read up to, so that this one of the input is read."""
        return ceil((end - self.more) / self.factor)


def first_of(inputs: Sequence[Shape]) -> int:
    """The image: the first input with the most spatial axes."""
    return max(range(len(inputs)), key=lambda i: (inputs[i].rank, -i))


class Together:
    """The inputs along one axis, and the network's view at the sizes that are given.

    Attributes:
        image: which input the sizes of the others follow.
        sizes: of each input, None for one without these axes.
        view: the axis.

    Raises:
        RfcalcError: sizes that go together by no rule.
    """

    def __init__(self, network: Network, inputs: Sequence[Shape], axis: int) -> None:
        self.inputs, self.axis = tuple(inputs), axis
        self.image = first_of(inputs)
        rank = inputs[self.image].rank
        self.size = int(inputs[self.image].spatial[axis])
        options = [_options(self.size, int(x.spatial[axis])) if x.rank == rank else [None] for x in inputs]
        others = sum(len(o) > 1 for o in options)
        options = [o[: round(MOST_TRIED ** (1 / max(others, 1)))] for o in options]
        for chosen in islice(product(*options), MOST_TRIED):
            self.sizes = chosen
            self.view: LineView = view(network, inputs, axis, factors=self.factors)
            if not self.view.unequal or not others:
                return
        told = ", ".join(
            f"{name} has {x.spatial[axis]}" for name, x in zip(network.inputs, inputs, strict=True) if x.rank == rank
        )
        meet = next(b for b in self.view.barriers)
        raise RfcalcError(
            f"the inputs have different sizes on axis {axis}",
            where=meet.node,
            why=f"{told}, and their paths do not meet on one grid",
            fix="give sizes of a fixed ratio, such as an image and a map of half its size",
        )

    @property
    def factors(self) -> list[Fraction | None]:
        return [None if size is None else size.factor for size in self.sizes]

    @property
    def step(self) -> int:
        """The image's size differs by multiples of it: only then the others have whole sizes."""
        return lcm(*(f.denominator for f in self.factors if f is not None))

    def at(self, n: int) -> list[Shape]:
        """The inputs' shapes where the image has n positions on this axis."""
        pairs = zip(self.inputs, self.sizes, strict=True)
        return [x if size is None else with_size(x, self.axis, size.at(n)) for x, size in pairs]

    def varied(self) -> dict[tuple[int, int], tuple[int, int]]:
        """a, b of the size a·t + b of every (input, axis), where the image has step·t + rest."""
        step, rest, found = self.step, self.size % self.step, {}
        for i, size in enumerate(self.sizes):
            if size is not None:
                found[i, self.axis] = int(size.factor * step), int(size.factor * rest + size.more)
        return found


def _options(n: int, size: int) -> list[Size | None]:
    """How the size of an input may follow the image's: in proportion; else by a usual factor, the nearest first."""
    ratio = Fraction(size, n)
    found = [ratio] if max(ratio.numerator, ratio.denominator) <= MOST_PARTS else []
    if ratio != 1:
        found += sorted(USUAL, key=lambda f: max(f / ratio, ratio / f))
    sizes = dict.fromkeys((f, size - f * n) for f in found)
    return [Size(f, Fraction(more)) for f, more in sizes]
