"""What is read again at other sizes: what code and files freeze into layers becomes rules, which readings confirm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm
from typing import Any

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.lengths import Watched, watched, written
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, forward
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading, Unfollowed
from rfcalc.plan.asked import nothing_lost
from rfcalc.plan.classes import Undecided
from rfcalc.plan.following import Following, OtherWay, follow, unanswered
from rfcalc.plan.solving import Class, Weights, classes, with_size
from rfcalc.plan.together import MOST_PARTS, first_of
from rfcalc.readers.guards import Guard, Refusal, deliberate, guard, refusal_of
from rfcalc.readers.target import Target, named, resolve

# By how much the spatial axes are longer in further readings: with multiples of what networks divide by, and without.
EVEN = ((32, 64, 96), (64, 128, 192))
ODD = ((1, 3, 2), (6, 13, 9), (31, 63, 95))  # the last one rounds at every stride
LAST = ((11, 2, 5), (39, 74, 49), (15, 47, 23))  # these must only confirm; code may refuse what layers take
OWN = ((1, 2, 3), (2, 1, 2), (3, 4, 5))  # times its own size, where code takes no other than multiples of a part of it
MOST_WATCHED = 3  # readings that are watched for what the code asks
MOST_ANSWERS = 12  # questions of code whose other answer is read
MOST_TRIED = 300  # sizes, to find one that code lets pass
STEPS = (2, 4, 8, 16, 32, 64)  # sizes that differ by multiples of one, where others are read otherwise


class Known:
    """A target with what was read of it, so that no size is read twice."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.readings: dict[Any, Reading | RfcalcError] = {}

    def at(self, network: Network, inputs: Sequence[Shape]) -> Reading | RfcalcError:
        """The reading at some sizes, or why there is none."""
        sizes = _dims(inputs)
        if sizes not in self.readings:
            try:
                self.readings[sizes] = read(self.target, network, inputs)
            except RfcalcError as error:
                self.readings[sizes] = error
        return self.readings[sizes]


def followed_in_steps(target: Any, first: Target) -> tuple[Following, tuple[str, ...], int]:
    """The same for sizes that differ from the first one by multiples of a step: the least one for which rules are
    found, 1 if they hold for every size.

    Raises:
        RfcalcError: as `followed`, for each step.
    """
    target = target if isinstance(target, Known) else Known(target)
    try:
        return *followed(target, first), 1
    except RfcalcError as error:
        unfollowed = error
    try:
        found = followed(target, first, STEPS[-1])  # what follows no rule here does so for no smaller step
    except RfcalcError:
        raise unfollowed from None
    for step in STEPS[:-1]:
        try:
            return *followed(target, first, step), step
        except RfcalcError:
            continue
    return *found, STEPS[-1]


def followed(target: Any, first: Target, step: int = 1) -> tuple[Following, tuple[str, ...]]:
    """The network of code, or of a framework's file, at any size, and what is to be told about it.

    Args:
        target, first: what was read, and the reading of it.
        step: only sizes are asked about that differ from those of the reading by multiples of it.

    Raises:
        RfcalcError: what it does at other sizes follows no rule; the message names the node.
    """
    network = first.network
    target = target if isinstance(target, Known) else Known(target)
    what = "file" if named(target.target).sort == "file" else "code"
    base = [s for s in network.inputs.values() if s is not None]
    known = Reading(network, forward(network, base).shapes)
    at = ", ".join("x".join(map(str, x.dims)) for x in base)
    if step == 1 and not getattr(network.source, "sizes_asked", True) and (count := _confirmed(target, known)):
        told = f"the code was read at {at} and {plural(count, 'further size')}: it asks for no size of a map"
        return Following(network, {}), (told,)
    guards, tried, probed = _guards(target, network, base)
    readings, confirming, refused = _readings(target, known, base, guards, step)
    beyond = [i for i, error in refused if refusal_of(error) and all(_passes(g, i) for g in guards)]
    if beyond:  # it refuses larger sizes: what it compares there is asked, too
        far = {x.spatial[a] - y.spatial[a] for i in beyond for x, y in zip(i, base, strict=True) for a in range(y.rank)}
        more, _, further = _guards(target, network, base, [d + e for d in sorted(far - {0}) for e in (0, 1, 7, 22)])
        guards += [g for g in more if g.where not in {g.where for g in guards}]
        probed += further
        readings, confirming, refused = _readings(target, known, base, guards, step)
    refused += [(i, e) for i, e in probed if _in_steps(i, base, step)]
    confirming += [(i, r) for i, r in tried if _in_steps(i, base, step)]
    _explained(
        what, base, guards, [i for i, _ in confirming] + [list(r.shapes[: len(base)]) for r in readings], refused
    )
    while True:
        try:
            rules = follow(readings)
            found = Following(rules.network, rules.rules, guards, valued=rules.valued)
            made = forward(found.at(base), base)
        except Unfollowed as unfollowed:
            raise untold(what, unfollowed.why, unfollowed.node) from None
        try:
            for inputs, read in [(list(r.shapes[: network.arity]), r) for r in readings] + confirming:
                _agrees(what, found, read, inputs, made)
            break
        except RfcalcError:
            if len(confirming) < 2 or all(read is not r for _, r in confirming):
                raise
            readings.append(read)  # it tells more rules apart; the others must confirm
            confirming = [(i, r) for i, r in confirming if r is not read]
    for inputs, error in refused:
        refusal = predicted(found, inputs, made)
        size = ", ".join(map(str, inputs))
        if not isinstance(refusal, RfcalcError):
            raise untold(what, f"the layers take {size}, and the {what} does not: {_brief(error)}")
        if ran_past(network, error, refusal.where):
            raise untold(what, f"the {what} refuses {size} later than its layers do: {_brief(error)}", refusal.where)
    if step == 1 and what == "code":
        confirming += _other_answers(target, network, base, readings, found, made)
    count = len(readings) + len(refused) + len(confirming) - 1
    said = f"the {what} was read at {at} and {plural(count, 'further size')}, which agree"
    said += f"; only sizes that differ by multiples of {step} are read alike" if step > 1 else ""
    return found, (said,)


def _other_answers(
    target: Known, network: Network, base: Sequence[Shape], readings: Sequence[Reading], found: Following, made: Shaped
) -> Read:
    """Readings at sizes where code gets another answer to what it asks of lengths than in all readings so far: they
    must do what is told of them, too.

    Raises:
        RfcalcError: one does something else.
    """
    asked: list[tuple[Reading, Watched]] = []
    for reading in readings[:MOST_WATCHED]:
        with watched("torch") as heard:
            try:
                read(target.target, network, list(reading.shapes[: network.arity]))
            except RfcalcError as error:
                raise untold("code", f"it does not run with lengths that note what it asks: {_brief(error)}") from None
        asked.append((reading, heard))
        if not heard.conditions and not heard.lost:
            return []
    if any(_questions(w) != _questions(asked[0][1]) for _, w in asked):
        raise untold("code", "it asks something else of lengths at other sizes")
    try:
        nothing_lost([w for _, w in asked])
        checks = unanswered([r for r, _ in asked], [w for _, w in asked])
    except Unfollowed as unfollowed:
        raise untold("code", unfollowed.why, unfollowed.node) from None
    confirmed: Read = []
    tried: set[tuple[int, int]] = set()
    image = first_of(base)
    following = Following(found.network, found.rules, checks=checks)
    for axis in range(base[image].rank) if checks else ():
        own = base[image].spatial[axis]
        varied = [(i, axis) for i, x in enumerate(base) if x.rank == base[image].rank and x.spatial[axis] == own]
        try:
            other = classes(found.network, base, varied, seconds=1.0, following=following)
        except (RfcalcError, Undecided):
            raise untold("code", "what it asks of lengths cannot be solved for all sizes") from None
        for c in sorted(other, key=lambda c: c.first):
            if not isinstance(c.error, OtherWay) or (axis, c.error.number) in tried:
                continue
            if len(tried) == MOST_ANSWERS:
                raise untold("code", f"more than {MOST_ANSWERS} questions of it have another answer at other sizes")
            tried.add((axis, c.error.number))
            for n in _spread(c):
                inputs = [with_size(x, axis, n) if (i, axis) in varied else x for i, x in enumerate(base)]
                one = _read(target, network, inputs)
                if isinstance(one, Reading):
                    _agrees("code", found, one, inputs, made)
                    confirmed.append((inputs, one))
                elif not isinstance(predicted(found, inputs, made), RfcalcError):
                    raise untold("code", f"the layers take {inputs[0]}, and the code does not: {_brief(one)}")
    return confirmed


def _spread(c: Class) -> list[int]:
    """A few sizes of a class: what is refused at one may be taken at another."""
    first, last = c.values
    turns = (0, 1, 5, 16) if last is None else {0, (last - first) // 3, (last - first) * 2 // 3, last - first}
    return [c.first + turn * c.modulus for turn in sorted(turns)]


def _questions(asked: Watched) -> list[Any]:
    return [(c.where, written(c.asked)) for c in asked.conditions]


def _explained(
    what: str, base: Sequence[Shape], guards: Sequence[Guard], taken: Sequence[Sequence[Shape]], refused: Refused
) -> None:
    """Refuse to tell where code refuses sizes for a reason that is not followed: what layers do there was not seen.

    Raises:
        RfcalcError: a refusal has no condition that explains it, or conditions let sizes of an axis pass, none of which
            was read.
    """
    for inputs, error in refused:
        if deliberate(error) and all(_passes(g, inputs) for g in guards):
            size = ", ".join(map(str, inputs))
            raise untold(what, f"the {what} refuses {size} by a condition that is not followed: {_brief(error)}")
    image = first_of(base)
    for axis in range(base[image].rank) if guards else ():
        own = base[image].spatial[axis]
        if any(i[image].spatial[axis] != own for i in taken):
            continue
        for n in range(1, own + MOST_TRIED):
            inputs = [with_size(x, axis, n) if axis < x.rank else x for x in base]
            if n != own and all(_passes(g, inputs) for g in guards):
                why = f"the {what} was read at {own} only of axis {axis}, and its own conditions let {n} pass"
                raise untold(what, f"{why}: {_brief(refused[0][1])}")


Read = list[tuple[list[Shape], Reading]]
Refused = list[tuple[list[Shape], RfcalcError]]


def _readings(
    target: Known, known: Reading, base: Sequence[Shape], guards: Sequence[Guard], step: int
) -> tuple[list[Reading], Read, Refused]:
    """Readings at further sizes, from which rules are told; those that confirm them; what is refused."""
    readings, confirming, refused = [known], [], []
    tried = {_dims(base)}
    for deltas in (*EVEN, *ODD, *LAST):
        if deltas is EVEN[1] and len(readings) > 1:
            continue
        longer = deltas if step == 1 or (deltas in EVEN and deltas[0] % step == 0) else [d * step for d in deltas]
        for inputs in (_longer(base, longer, guards, step), *_in_proportion(base, longer)):
            if _dims(inputs) in tried:
                continue
            tried.add(_dims(inputs))
            read = _read(target, known.network, inputs)
            if not isinstance(read, Reading):
                refused.append((inputs, read))
                continue
            if deltas in LAST:
                confirming.append((inputs, read))
            else:
                readings.append(read)
            break
    for times in OWN if step == 1 and len(readings) + len(confirming) == 1 else ():
        inputs = [x.with_spatial(x.channels, _times(x.spatial, times)) for x in base]
        read = _read(target, known.network, inputs)
        if not isinstance(read, Reading):
            refused.append((inputs, read))
        elif times == OWN[-1]:
            confirming.append((inputs, read))
        else:
            readings.append(read)
    return readings, confirming, refused


def _in_proportion(base: Sequence[Shape], deltas: Sequence[int]) -> Iterator[list[Shape]]:
    """Longer axes of inputs whose sizes differ, in proportion (an image, and a guide of half its size)."""
    image = base[first_of(base)]
    others = [x for x in base if x.rank == image.rank and x.spatial != image.spatial]
    if not others:
        return
    found = list(base)
    for axis in range(image.rank):
        ratios = [
            Fraction(int(x.spatial[axis]), int(image.spatial[axis])) if x.rank == image.rank else None for x in base
        ]
        unit = lcm(*(r.denominator for r in ratios if r is not None))
        if unit > MOST_PARTS:
            return
        delta = deltas[axis % len(deltas)]
        for i, r in enumerate(ratios):
            if r is not None:
                found[i] = with_size(found[i], axis, int(base[i].spatial[axis]) + int(r * unit) * delta)
    yield found


def _times(spatial: Sequence[Any], more: Sequence[int]) -> tuple[Any, ...]:
    return tuple(n * (1 + more[axis % len(more)]) for axis, n in enumerate(spatial))


def _in_steps(inputs: Sequence[Shape], base: Sequence[Shape], step: int) -> bool:
    pairs = [(n, m) for x, y in zip(inputs, base, strict=True) for n, m in zip(x.spatial, y.spatial, strict=True)]
    return all((n - m) % step == 0 for n, m in pairs)


def _dims(inputs: Sequence[Shape]) -> tuple[tuple[Any, ...], ...]:
    return tuple(x.dims for x in inputs)


PROBED = (13, 27, 32, 64)  # by how much one axis is longer, to see what code compares


def _guards(
    target: Known, network: Network, base: Sequence[Shape], deltas: Sequence[int] = ()
) -> tuple[list[Guard], Read, Refused]:
    """The conditions by which code refuses sizes itself, from readings with one axis changed; what was read, or not.

    Args:
        deltas: by how much an axis is longer; if left out, a few longer and shorter ones are tried, and more of them
            where the code refuses one.
    """
    by_statement: dict[str, list[tuple[Sequence[Shape], Refusal]]] = {}
    taken: Read = []
    refused: Refused = []
    if not hasattr(network.source, "sizes_asked"):  # no code
        return [], taken, refused
    for axis in range(base[first_of(base)].rank):
        size = base[first_of(base)].spatial[axis]
        few = [d - size for d in (size + 1, size // 2, 1) if d > 0]
        rest = [*PROBED, *(d - size for d in (2, 3, 5, size // 2 + 1) if 0 < d < size)]
        for delta in deltas or (*few, *rest):
            if not deltas and delta in rest and not by_statement:
                break
            inputs = [with_size(x, axis, x.spatial[axis] + delta) if axis < x.rank else x for x in base]
            if any(min(x.spatial, default=1) < 1 for x in inputs):
                continue
            read = _read(target, network, inputs)
            if isinstance(read, Reading):
                taken.append((inputs, read))
                continue
            refused.append((inputs, read))
            refusal = refusal_of(read)
            if refusal is not None:
                by_statement.setdefault(f"{refusal.where} {refusal.told}", []).append((inputs, refusal))
    return [g for told in by_statement.values() if (g := guard(told)) is not None], taken, refused


def _confirmed(target: Known, known: Reading) -> int:
    """How many further readings it took to find the same layers at another size, where maps have other sizes too; 0
    where they are not the same."""
    base = list(known.shapes[: known.network.arity])
    mine, fixed = known.network, Following(known.network, {})
    made = forward(mine, base)
    for count, deltas in enumerate((ODD[1], *EVEN), 1):
        inputs = _longer(base, deltas)
        read = _read(target, mine, inputs)
        if isinstance(read, Reading):
            theirs = read.network
            if read.shapes[len(base) :] == known.shapes[len(base) :]:
                continue  # every map is as it was: this tells nothing
            same = [n.layer for n in mine.nodes] == [n.layer for n in theirs.nodes]
            return count if same and mine.sources == theirs.sources and mine.outputs == theirs.outputs else 0
        if not isinstance(predicted(fixed, inputs, made), RfcalcError):
            return 0
    return 0


def _longer(base: Sequence[Shape], deltas: Sequence[int], guards: Sequence[Guard] = (), step: int = 1) -> list[Shape]:
    """Longer axes; with conditions on sizes, the next longer one that they let pass, or the axis as it is."""
    found = [*base]
    for i in range(len(found)):
        for axis in range(found[i].rank):
            size, delta = base[i].spatial[axis], deltas[axis % len(deltas)]
            for more in range(delta, delta + step * MOST_TRIED if guards else delta + 1, step):
                longer = [*found[:i], with_size(found[i], axis, size + more), *found[i + 1 :]]
                if all(_passes(g, longer) for g in guards):
                    found = longer
                    break
    return found


def _passes(one: Guard, inputs: Sequence[Shape]) -> bool:
    try:
        one.check(inputs)
    except RfcalcError:
        return False
    return True


def _read(known: Known, network: Any, inputs: Sequence[Shape]) -> Reading | RfcalcError:
    """The reading at some sizes, or why there is none."""
    return known.at(network, inputs)


def read(target: Any, network: Any, inputs: Sequence[Shape]) -> Reading:
    """A reading of the target of a network at some sizes.

    Raises:
        RfcalcError: it is refused.
    """
    own = as_called(network.source, inputs)
    given = dict(zip(network.inputs, own, strict=True)) if len(own) > 1 else own[0]
    found = resolve(target, given).network
    return Reading(found, forward(found, list(inputs)).shapes)


def as_called(source: Any, inputs: Sequence[Shape]) -> list[Shape]:
    """The shapes with which code (the `source` of a network) is called: a signal that it takes without channels has
    none."""
    leaves = getattr(getattr(source, "call", None), "leaves", ())
    if len(leaves) != len(inputs):
        return list(inputs)
    return [
        Shape(*x.dims[1:]) if len(leaf.shape) == len(x.dims) and x.dims[0] == 1 else x
        for leaf, x in zip(leaves, inputs, strict=True)
    ]


def predicted(found: Following, inputs: Sequence[Shape], made: Shaped) -> list[Shape] | RfcalcError:
    shapes = list(inputs)
    weights = Weights(found.network, made, found)
    try:
        for position in range(found.network.arity, found.network.arity + len(found.network.nodes)):
            shapes.append(weights.output(position, shapes))
    except RfcalcError as error:
        return error.at(found.network.nodes[len(shapes) - found.network.arity].name)
    return shapes


def ran_past(network: Network, error: RfcalcError, node: str | None) -> bool:
    """Whether code that was refused had run the operator of the node that is told to refuse it."""
    steps = getattr(network.source, "steps", {})
    mine = steps.get(node)
    ran = error.reached is not None and mine is not None and 0 <= mine < error.reached
    module = (error.where or "").partition(" at ")[2]
    inside = bool(module) and (node or "").startswith(f"{module}.")  # the same step of the code: a view, then its sum
    return ran and not inside and not deliberate(error)  # on purpose: told before the code compares it


def _agrees(what: str, found: Following, read: Reading, inputs: Sequence[Shape], made: Shaped) -> None:
    """Refuse rules that predict other outputs than a reading has."""
    shapes = predicted(found, inputs, made)
    size = ", ".join(map(str, inputs))
    if isinstance(shapes, RfcalcError):
        raise untold(
            what, f"the {what} takes {size}, and its layers as they were read do not: {shapes.what}", shapes.where
        )
    if len(shapes) == len(read.shapes):  # else padding that came to nothing is left out
        for p, (mine, theirs) in enumerate(zip(shapes, read.shapes, strict=True)):
            if mine.dims != theirs.dims:
                node = found.network.nodes[p - found.network.arity].name
                raise untold(what, f"the {what} gives another map at {size} than its layers as they were read", node)
    if len(found.network.outputs) != len(read.network.outputs):
        raise untold(
            what, f"the {what} gives back {len(read.network.outputs)} maps at {size}, not as many as elsewhere"
        )
    for name, other in zip(found.network.outputs, read.network.outputs, strict=True):
        if shapes[found.network.position(name)].dims != read.shapes[read.network.position(other)].dims:
            raise untold(what, f"the {what} gives another output at {size} than its layers as they were read", name)


def untold(what: str, why: str, where: str | None = None) -> RfcalcError:
    mend = {
        "code": "write sizes in the code as expressions of the input's",
        "file": "write the file with open (dynamic) axes, where sizes are constants in it",
    }
    fix = f"read it at the size in question with --input; {mend[what]}"
    return RfcalcError(f"the valid sizes cannot be told from the {what}", where=where, why=why, fix=fix)


def _brief(error: RfcalcError) -> str:
    return (error.why or error.what).split("\n")[0]
