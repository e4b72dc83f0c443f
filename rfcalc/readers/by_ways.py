"""The valid sizes of code that takes other ways at other sizes, along all axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.shape import Shape
from rfcalc.plan.classes import Undecided
from rfcalc.plan.sizes_of_ways import SizesOfWays, Way, given_back
from rfcalc.readers.rereading import called, untold
from rfcalc.readers.target import Target
from rfcalc.readers.ways import Ways


def ways(target: Any, first: Target, base: Sequence[Shape]) -> tuple[list[list[Way]], int]:
    """The ways of every axis, and how many readings it took.

    Raises:
        RfcalcError: what the code asks is not followed; the message says where.
    """
    found: list[Ways] = []
    told = []
    for axis in range(base[0].rank):
        like = next((ways for ways in found if ways.size == base[0].spatial[axis]), None)
        found.append(Ways(target, first, base, axis, like))
        told.append(found[-1].all())
    return told, sum(ways.count for ways in found)


def sizes_of_ways(
    target: Any, first: Target, inputs: Sequence[Shape], near: Sequence[int] | None, assumptions: Sequence[str],
    unfollowed: RfcalcError,
) -> SizesOfWays:  # fmt: skip
    """The valid sizes of code, whose one way that was followed does not hold at all sizes.

    Raises:
        RfcalcError: `unfollowed`, or what more is known of why.
    """
    network = first.network
    if not hasattr(network.source, "sizes_asked"):  # no code
        raise unfollowed
    try:
        found, count = ways(target, first, inputs)
    except Undecided as undecided:
        raise untold(called(network), str(undecided)) from None
    several = plural(max(map(len, found), default=1), "way")
    told = f"the {called(network)} was read at {plural(count, 'size')}; it takes up to {several} along an axis"
    told += ", by what it asks of lengths; each was told from what it asked, and confirmed"
    given = {given_back(way) for axis in found for way in axis if any(c.error is None for c in way.found)}
    if len(set(map(len, given))) > 1:
        raise untold(called(network), "at some sizes it gives back more maps than at others")
    if len(given) > 1:
        told += "; at some sizes an output has other axes than at others, of which no length is told"
    return SizesOfWays(network, inputs, near, target=first.name, assumptions=(*assumptions, told), ways=found)
