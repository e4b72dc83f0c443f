"""What is told of code must hold of it as it runs by itself: with plain numbers for its lengths.

Code that is read at several sizes is given lengths that note what it asks (`rfcalc.core.lengths`). They pass for whole
numbers, and are none: where code looks at that, it does something else than it does by itself.

1. At the sizes that it was read at, it runs the same operators by itself, on maps of the same shapes.
2. Nothing in it looks at what a length is (`type(h) is int`, `h is w`).
3. Along every axis, a further size that is told to be taken, or one that is told to be refused, does what is told: both
   of them, unless another axis has the same sizes. So does the least size: it is read at larger ones only, and
   operators may demand more than the layers before them; and one of the last sizes that have no end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.plan.classes import Number
from rfcalc.plan.sizes import Sizes
from rfcalc.plan.solving import Class
from rfcalc.readers.rereading import as_called, brief, called, read, untold
from rfcalc.readers.target import Named

MOST = 2048  # a further size

Outputs = list[tuple[int, ...]]


def confirmed(target: Any, network: Network, found: Sizes) -> None:
    """Refuse to tell sizes of code that does something else by itself.

    Args:
        target, network: what was asked about, and the reading of it at the first sizes.

    Raises:
        RfcalcError: it does.
    """
    source: Any = network.source
    if getattr(source, "ran", None) is None:  # no code
        return
    base = as_called(source, [x for x in network.inputs.values() if x is not None])
    if len(base) != len(source.call.leaves):
        return
    if source.sizes_asked and not _as_read(source, called(network)):
        return
    places = [network.outputs.index(r.node) if r.node in network.outputs else None for r in source.returned]
    asked = (*_further(found), *_larger(found)) if source.sizes_asked else ()
    for axis, n in dict.fromkeys((*asked, *_least(found))):
        inputs = list(found.concrete(axis, n))
        told = _told(found, axis, n)
        one = source.by_itself(base, as_called(source, inputs))
        if one is None or _agree(told, one, places, source.returned):
            continue
        _confirm(target, network, inputs, told, one)


def _as_read(source: Any, what: str) -> bool:
    """Whether code does by itself, at the first sizes, what it was read to do; it says nothing where that hangs on
    values.

    Raises:
        RfcalcError: it does something else, or looks at what a length is.
    """
    does, looked = source.at_first()
    if looked:
        raise untold(what, f"it looks at what a length is, not at how much it is: {looked[0]}")
    if isinstance(does, RfcalcError):
        raise untold(what, f"it takes the lengths that it was read with, and no plain numbers: {brief(does)}")
    if does is not None and does[:2] != source.ran[:2]:
        raise untold(what, "it does something else with plain numbers for its lengths than as it was read")
    return does is not None


def takes_no_lengths(asked: Named, given: Any, error: RfcalcError) -> RfcalcError | None:
    """What is said of code that is refused with lengths that note what it asks, and runs with plain numbers; None where
    it is refused anyway."""
    if asked.sort not in ("code", "model"):
        return None
    try:
        network = asked.read(given).network
    except RfcalcError:
        return None
    return untold(called(network), f"it takes plain numbers only for the lengths of its maps: {brief(error)}")


def _confirm(target: Any, network: Network, inputs: Sequence[Shape], told: Outputs | None, one: Any) -> None:
    """Read once more, as it is, what does not do what is told: a reading refuses more than PyTorch without data.

    Raises:
        RfcalcError: it does something else.
    """
    try:
        again = read(target, network, inputs)
    except RfcalcError as error:
        if told is not None:
            why = (
                f"{inputs[0]} is told to be taken, and with plain numbers for its lengths it is refused: {brief(error)}"
            )
            raise untold(called(network), why) from None
        return
    made = [again.shapes[again.network.position(name)].dims for name in again.network.outputs]
    if told is None:
        raise untold(
            called(network), f"{inputs[0]} is told to be refused, and it runs with plain numbers for its lengths"
        )
    if made != told:
        raise untold(called(network), f"at {inputs[0]} it gives another output with plain numbers for its lengths")


def _further(found: Sizes) -> Iterator[tuple[int, int]]:
    """Axes and sizes: of each axis one that is taken, and one that is refused; of axes with the same sizes in turn."""
    sizes = [int(n) for n in found.inputs[0].spatial]
    kinds = [(own, solved.valid) for own, solved in zip(sizes, found.axes, strict=True)]
    for axis, solved in enumerate(found.axes):
        own = sizes[axis]
        taken = [n for n in sizes if n != own and n in solved.valid]  # as long as another axis is
        taken += _nearest([c for c in solved.found if c.error is None], own)
        refused = _nearest([c for c in solved.found if c.error is not None], own)
        both = [taken[:1], refused[:1]]
        turn = kinds[:axis].count(kinds[axis]) % 2
        for some in both if kinds.count(kinds[axis]) == 1 else both[turn : turn + 1]:
            yield from ((axis, n) for n in some)


def _least(found: Sizes) -> Iterator[tuple[int, int]]:
    """Axes and the least size that each of them takes; of axes with the same sizes, the first."""
    for axis, own in _unlike(found):
        least = min([c.first for c in found.axes[axis].taken], default=own)
        if least < own:
            yield axis, least


def _larger(found: Sizes) -> Iterator[tuple[int, int]]:
    """Axes and a size of the last ones that have no end, half as large again or more; of axes alike, the first."""
    for axis, own in _unlike(found):
        endless = [c for c in found.axes[axis].taken if c.last is None]
        if endless:
            last = max(endless, key=lambda c: c.first)
            n = last.first + last.modulus * max(0, -((last.first - own - own // 2) // last.modulus))
            if n <= MOST:
                yield axis, n


def _unlike(found: Sizes) -> Iterator[tuple[int, int]]:
    """The axes that take other sizes than those before, or make others, and their own size."""
    known = []
    for axis, (own, solved) in enumerate(zip(found.inputs[0].spatial, found.axes, strict=True)):
        alike = own, solved.valid, found.output(axis)
        if alike not in known:
            known.append(alike)
            yield axis, int(own)


def _nearest(classes: Sequence[Class], own: int) -> list[int]:
    """The size of some classes that is nearest to another one: of a class that does not hold that, if there is one."""
    near: list[tuple[bool, int, int]] = []
    for c in classes:
        t = (own - c.rest) // c.modulus
        for at in (t - 1, t, t + 1):
            at = max(c.values.first, at if c.values.last is None else min(at, c.values.last))
            n = c.modulus * at + c.rest
            if n != own and n <= MOST:
                near.append((_has(c, own), abs(n - own), n))
    return [min(near)[2]] if near else []


def _has(c: Class, n: int) -> bool:
    return n % c.modulus == c.rest % c.modulus and c.first <= n and (c.last is None or n <= c.last)


def _told(found: Sizes, axis: int, n: int) -> Outputs | None:
    """The shapes of the outputs that are told of a size; None where it is told to be refused."""
    c = next((c for c in found.axes[axis].taken if _has(c, n)), None)
    if c is None:
        return None
    t = (n - c.rest) // c.modulus
    dims = [c.shapes[position].dims for position in found.outputs]
    return [tuple([int(d.at(t)) if isinstance(d, Number) else int(d) for d in each]) for each in dims]


def _without_batch(dims: tuple[int, ...], batch: int | None) -> tuple[int, ...] | None:
    return None if batch is None or batch < 0 else (*dims[:batch], *dims[batch + 1 :])


def _agree(told: Outputs | None, one: Any, places: Sequence[int | None], returned: Sequence[Any]) -> bool:
    """Whether a run does what is told; outputs that are no nodes as they are say nothing of shapes."""
    if isinstance(one, RfcalcError) or told is None:
        return isinstance(one, RfcalcError) and told is None
    if one.empty or len(one.outputs) != len(returned):
        return False
    for dims, r, place in zip(one.outputs, returned, places, strict=True):
        mine = _without_batch(dims, r.batch)
        if place is None or mine is None:
            continue
        if len(mine) != len(told[place]):  # a signal, of which no axis counts channels, has one instead of its batch
            mine = dims
        if len(mine) == len(told[place]) and mine != told[place]:
            return False
    return True
