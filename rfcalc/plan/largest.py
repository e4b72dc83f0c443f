"""The largest input within a budget of bytes, the batch as it is and the axes in proportion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import gcd, prod
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.plan.memory import Memory
from rfcalc.plan.solving import with_size
from rfcalc.report import Report

MOST_VALUES = 10**13  # of an input; beyond, nothing is tried


class LargestInput(NamedTuple):
    """The largest inputs, by name, whose peak is within a budget; None where not even the smallest is.

    `next`: the peak of the next larger ones that run, None where no larger ones do.
    """

    budget: int
    shapes: dict[str, Shape] | None
    next: int | None


def largest_input(memory: Memory, budget: int, at: Callable[[Sequence[Shape]], Network]) -> LargestInput:
    """The largest input whose peak is within a budget, of those on which the network runs with the same weights.

    All spatial axes grow in proportion (by one where they are alike). A larger input never needs less, so that sizes
    are found by halving; between two, those on which the network does not run are passed over.

    Args:
        memory: at some input on which the network runs.
        budget: bytes.
        at: the network for inputs of these shapes.

    Raises:
        RfcalcError: the input has no axis that could grow.
    """
    base = list(memory.report.inputs.values())
    sizes = [int(n) for x in base for n in x.spatial]
    if not sizes:
        raise RfcalcError("the input has no axis that could grow", fix="ask for the largest batch: --largest batch")
    step = gcd(*sizes)
    given = memory.report.totals.params

    def scaled(k: int) -> list[Shape]:
        found = []
        for x in base:
            for axis, n in enumerate(x.spatial):
                x = with_size(x, axis, int(n) // step * k)
            found.append(x)
        return found

    known: dict[int, int | None] = {}

    def peak(k: int) -> int | None:
        """None where the network does not run on it, or has other weights there."""
        if k not in known:
            shapes, old = scaled(k), memory.report
            known[k] = None
            if sum(prod(x.dims) for x in shapes) <= MOST_VALUES:
                try:
                    named = dict(zip(old.network.inputs, shapes, strict=True))
                    report = Report(at(shapes), named, batch=old.batch, dtype=old.dtype, target=old.target)
                    if report.totals.params == given:
                        known[k] = replace(memory, report=report).peak_bytes
                except RfcalcError:
                    pass
        return known[k]

    def among(sizes: range) -> int | None:
        """The first of these sizes on which the network runs."""
        return next((k for k in sizes if peak(k) is not None), None)

    low, high = 0, step  # the largest size known to fit, the least one known not to (or not tried)
    while (needed := peak(high)) is not None and needed <= budget:
        low = high
        further = among(range(2 * low, low, -1))
        if further is None:
            return LargestInput(budget, dict(zip(memory.report.inputs, scaled(low), strict=True)), None)
        high = further
    while (middle := _between(low, high, among)) is not None:
        needed = peak(middle)
        assert needed is not None
        low, high = (middle, high) if needed <= budget else (low, middle)
    fits = dict(zip(memory.report.inputs, scaled(low), strict=True)) if low else None
    return LargestInput(budget, fits, peak(high))


def _between(low: int, high: int, among: Callable[[range], int | None]) -> int | None:
    """A size between two, near the middle, on which the network runs."""
    middle = (low + high) // 2
    found = among(range(middle, low, -1))
    return found if found is not None else among(range(middle + 1, high))
