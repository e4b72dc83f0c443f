"""What is read again at other sizes: what code and files freeze into layers becomes rules, which readings confirm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import forward
from rfcalc.plan.following import Following, Reading, Unfollowed, follow
from rfcalc.plan.solving import Weights, with_size
from rfcalc.readers.target import Target, named, resolve

# By how much the spatial axes are longer in further readings: with multiples of what networks divide by, and without.
EVEN = ((32, 64, 96), (64, 128, 192))
ODD = ((1, 3, 2), (6, 13, 9), (31, 63, 95))  # the last one rounds at every stride
LAST = ((11, 2, 5), (39, 74, 49), (15, 47, 23))  # these must only confirm; code may refuse what layers take


def followed(target: Any, first: Target) -> tuple[Following, tuple[str, ...]]:
    """The network of code, or of a framework's file, at any size, and what is to be told about it.

    Raises:
        RfcalcError: what it does at other sizes follows no rule; the message names the node.
    """
    network = first.network
    what = "file" if named(target).sort == "file" else "code"
    base = [s for s in network.inputs.values() if s is not None]
    known = Reading(network, forward(network, base).shapes)
    at = ", ".join("x".join(map(str, x.dims)) for x in base)
    if not getattr(network.source, "sizes_asked", True) and (count := _confirmed(target, known)):
        told = f"the code was read at {at} and {plural(count, 'further size')}: it asks for no size of a map"
        return Following(network, {}), (told,)
    readings: list[Reading] = [known]
    refused: list[tuple[list[Shape], RfcalcError]] = []
    for deltas in (*EVEN, *ODD):
        if deltas is EVEN[1] and len(readings) > 1:
            continue
        inputs = _longer(base, deltas)
        read = _read(target, network, inputs)
        if isinstance(read, Reading):
            readings.append(read)
        else:
            refused.append((inputs, read))
    try:
        found = follow(readings)
    except Unfollowed as unfollowed:
        raise _untold(what, unfollowed.why, unfollowed.node) from None
    params = [c.params for c in forward(found.at(base), base).costs]
    confirmed = [*refused]
    for deltas in LAST:
        inputs = _longer(base, deltas)
        read = _read(target, network, inputs)
        if isinstance(read, Reading):
            _agrees(what, found, read, inputs, params)
        else:
            confirmed.append((inputs, read))
    for one in readings:
        _agrees(what, found, one, list(one.shapes[: network.arity]), params)
    for inputs, error in confirmed:
        if not isinstance(_predicted(found, inputs, params), RfcalcError):
            size = ", ".join(map(str, inputs))
            raise _untold(what, f"the layers take {size}, and the {what} does not: {_brief(error)}")
    count = len(readings) + len(refused) + len(LAST)
    told = f"the {what} was read at {at} and {count - 1} further sizes, which agree"
    return found, (told,)


def _confirmed(target: Any, known: Reading) -> int:
    """How many further readings it took to find the same layers at another size; 0 where they are not the same."""
    base = list(known.shapes[: known.network.arity])
    mine, fixed = known.network, Following(known.network, {})
    params = [c.params for c in forward(mine, base).costs]
    for count, deltas in enumerate((ODD[1], *EVEN), 1):
        inputs = _longer(base, deltas)
        read = _read(target, mine, inputs)
        if isinstance(read, Reading):
            theirs = read.network
            same = [n.layer for n in mine.nodes] == [n.layer for n in theirs.nodes]
            return count if same and mine.sources == theirs.sources and mine.outputs == theirs.outputs else 0
        if not isinstance(_predicted(fixed, inputs, params), RfcalcError):
            return 0
    return 0


def multiple_of(target: Any, first: Target) -> int:
    """The least power of two by which code lets all axes be longer, up to 128; 1 where it is not one of them."""
    base = [s for s in first.network.inputs.values() if s is not None]
    for multiple in (1, 2, 4, 8, 16, 32, 64, 128):
        if isinstance(_read(target, first.network, _longer(base, (multiple,))), Reading):
            return multiple
    return 1


def _longer(base: Sequence[Shape], deltas: Sequence[int]) -> list[Shape]:
    found = []
    for x in base:
        for axis in range(x.rank):
            x = with_size(x, axis, x.spatial[axis] + deltas[axis % len(deltas)])
        found.append(x)
    return found


def _read(target: Any, network: Any, inputs: Sequence[Shape]) -> Reading | RfcalcError:
    """The reading at some sizes, or why there is none."""
    given = dict(zip(network.inputs, inputs, strict=True)) if len(inputs) > 1 else inputs[0]
    try:
        read = resolve(target, given).network
        return Reading(read, forward(read, list(inputs)).shapes)
    except RfcalcError as error:
        return error


def _predicted(found: Following, inputs: Sequence[Shape], params: Sequence[int]) -> list[Shape] | RfcalcError:
    shapes = list(inputs)
    weights = Weights(found.network, params, found)
    try:
        for position in range(found.network.arity, found.network.arity + len(found.network.nodes)):
            shapes.append(weights.output(position, shapes))
    except RfcalcError as error:
        return error
    return shapes


def _agrees(what: str, found: Following, read: Reading, inputs: Sequence[Shape], params: Sequence[int]) -> None:
    """Refuse rules that predict other outputs than a reading has."""
    shapes = _predicted(found, inputs, params)
    size = ", ".join(map(str, inputs))
    if isinstance(shapes, RfcalcError):
        raise _untold(
            what, f"the {what} takes {size}, and its layers as they were read do not: {shapes.what}", shapes.where
        )
    if len(shapes) == len(read.shapes):  # else padding that came to nothing is left out
        for p, (mine, theirs) in enumerate(zip(shapes, read.shapes, strict=True)):
            if mine.dims != theirs.dims:
                node = found.network.nodes[p - found.network.arity].name
                raise _untold(what, f"the {what} gives another map at {size} than its layers as they were read", node)
    for name, other in zip(found.network.outputs, read.network.outputs, strict=True):
        if shapes[found.network.position(name)].dims != read.shapes[read.network.position(other)].dims:
            raise _untold(what, f"the {what} gives another output at {size} than its layers as they were read", name)


def _untold(what: str, why: str, where: str | None = None) -> RfcalcError:
    mend = {
        "code": "write sizes in the code as expressions of the input's",
        "file": "write the file with open (dynamic) axes, where sizes are constants in it",
    }
    fix = f"read it at the size in question with --input; {mend[what]}"
    return RfcalcError(f"the valid sizes cannot be told from the {what}", where=where, why=why, fix=fix)


def _brief(error: RfcalcError) -> str:
    return (error.why or error.what).split("\n")[0]
