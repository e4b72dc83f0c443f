"""What is read again at other sizes: what code and files freeze into layers becomes rules, which readings confirm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from math import lcm
from typing import Any

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.lengths import Watched, answers, atoms, written
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, forward
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading, Unfollowed
from rfcalc.plan.asked import Check, nothing_lost
from rfcalc.plan.following import Following, follow, unanswered
from rfcalc.plan.solving import with_size
from rfcalc.plan.together import MOST_PARTS, first_of
from rfcalc.readers.confirming import (
    Read,
    Refused,
    asks_alike,
    confirm,
    explained,
    longer,
    nothing_caught,
    other_answers,
    passes,
)
from rfcalc.readers.exactly import exactly
from rfcalc.readers.guards import Guard, Refusal, guard, refusal_of
from rfcalc.readers.rereading import Known, agrees, brief, called, dims_of, predicted, ran_past, untold
from rfcalc.readers.target import Target, named

# By how much the spatial axes are longer in further readings: with multiples of what networks divide by, and without.
EVEN = ((32, 64, 96), (64, 128, 192))
ODD = ((1, 3, 2), (6, 13, 9), (31, 63, 95))  # the last one rounds at every stride
LAST = ((11, 2, 5), (39, 74, 49), (15, 47, 23))  # these must only confirm; code may refuse what layers take
OWN = ((1, 2, 3), (2, 1, 2), (3, 4, 5))  # times its own size, where code takes no other than multiples of a part of it
MOST_WATCHED = 3  # readings that are watched for what the code asks
STEPS = (2, 4, 8, 16, 32, 64)  # sizes that differ by multiples of one, where others are read otherwise


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


def followed(target: Any, first: Target, step: int = 1, few: bool = False) -> tuple[Following, tuple[str, ...]]:
    """The network of code, or of a framework's file, at any size, and what is to be told about it.

    Args:
        target, first: what was read, and the reading of it.
        step: only sizes are asked about that differ from those of the reading by multiples of it.
        few: whether a few readings are enough where they tell all sizes; else layers are compared at several ones.

    Raises:
        RfcalcError: what it does at other sizes follows no rule; the message names the node.
    """
    network = first.network
    target = target if isinstance(target, Known) else Known(target, sized=few)
    what = "file" if named(target.target).sort in ("file", "text") else "code"
    asks = what == "code" or (few and getattr(network.source, "heard", None) is not None)
    base = [s for s in network.inputs.values() if s is not None]
    known = Reading(network, forward(network, base).shapes)
    at = ", ".join("x".join(map(str, x.dims)) for x in base)
    if step == 1 and not getattr(network.source, "sizes_asked", True) and (count := _confirmed(target, known)):
        told = (
            f"the {called(network)} was read at {at} and {plural(count, 'further size')}: it asks for no size of a map"
        )
        return Following(network, {}), (told,)
    target.has(known)
    if few and asks and (exact := exactly(target, known, base)) is not None:
        found, count = exact
        return found, (f"the {called(network)} was read at {at} and {plural(count, 'further size')}, which agree",)
    if few and what == "code":
        _same_answers(target, what)  # else no further reading changes it: ways tell them apart
    guards, tried, probed = _guards(target, network, base)
    readings, confirming, refused = _readings(target, known, base, guards, step)
    beyond = [i for i, error in refused if refusal_of(error) and all(passes(g, i) for g in guards)]
    if beyond:  # it refuses larger sizes: what it compares there is asked, too
        far = {x.spatial[a] - y.spatial[a] for i in beyond for x, y in zip(i, base, strict=True) for a in range(y.rank)}
        more, _, further = _guards(target, network, base, [d + e for d in sorted(far - {0}) for e in (0, 1, 7, 22)])
        guards += [g for g in more if g.where not in {g.where for g in guards}]
        probed += further
        readings, confirming, refused = _readings(target, known, base, guards, step)
    refused += [(i, e) for i, e in probed if _in_steps(i, base, step)]
    confirming += [(i, r) for i, r in tried if _in_steps(i, base, step)]
    taken = [i for i, _ in confirming] + [list(r.shapes[: len(base)]) for r in readings]
    explained(
        what, base, guards, taken, refused, every=few and called(network) == "code"
    )  # what was read at one size is frozen
    if what == "file" and asks and len(readings) == 1 and _computes(known):
        raise untold(what, f"it computes with lengths of maps, and of the sizes that were tried takes {at} only")
    while True:
        try:
            rules = _rules(target, readings, few and asks)
            found = Following(rules.network, rules.rules, guards, valued=rules.valued)
            made = forward(found.at(base), base)
        except Unfollowed as unfollowed:
            raise untold(what, unfollowed.why, unfollowed.node) from None
        try:
            for inputs, read in [(list(r.shapes[: network.arity]), r) for r in readings] + confirming:
                agrees(what, found, read, inputs, made)
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
            raise untold(what, f"the layers take {size}, and the {what} does not: {brief(error)}")
        if ran_past(network, error, refusal.where):
            raise untold(what, f"the {what} refuses {size} later than its layers do: {brief(error)}", refusal.where)
    if few and asks:
        _same_answers(target, what)
    if step == 1 and asks:
        confirming += _other_answers(target, network, base, readings, found, made, rules.questions)
    if step == 1 and getattr(network.source, "catches", False):
        nothing_caught(target, network, base, found, made)
    count = len(readings) + len(refused) + len(confirming) - 1
    said = f"the {what} was read at {at} and {plural(count, 'further size')}, which agree"
    said += f"; only sizes that differ by multiples of {step} are read alike" if step > 1 else ""
    return found, (said,)


def _computes(known: Reading) -> bool:
    """Whether a file gave operators what it computed from lengths that are no counts of channels."""
    heard: Watched = known.network.source.heard
    names = [*known.network.inputs, *(node.name for node in known.network.nodes)]
    channels = {name: x.channel for name, x in zip(names, known.shapes, strict=True)}
    found = [heard.places.get((a.map, a.axis)) for g in heard.given for a in atoms(g.made)]
    return any(place is None or channels[place[0]] != place[1] for place in found)


def _rules(target: Known, readings: Sequence[Reading], code: bool) -> Following:
    """The rules of readings: what their code computed itself, where all went one way and it explains everything; else
    what gives such numbers.

    Raises:
        Unfollowed: nothing does.
    """
    arity = readings[0].network.arity
    heard = [target.heard_at(r.network, r.shapes[:arity]) for r in readings] if code else []
    if code and len({answers(h.conditions) for h in heard}) == 1:
        with suppress(Unfollowed):
            rules = follow(readings, heard)
            if not rules.masked:
                return rules
    return follow(readings)


def _other_answers(
    target: Known, network: Network, base: Sequence[Shape], readings: Sequence[Reading], found: Following, made: Shaped,
    checks: Mapping[int, Sequence[Check]],
) -> Read:  # fmt: skip
    """Readings at sizes where code gets another answer to what it asks of lengths than in all readings so far: they
    must do what is told of them, too.

    Args:
        checks: what it asked, and what must hold besides, by position, where the rules are what the code computed.

    Raises:
        RfcalcError: one does something else.
    """
    asked = [(r, target.heard_at(network, r.shapes[: network.arity])) for r in readings[:MOST_WATCHED]]
    if not checks and not all(w.conditions or w.lost or w.whole for _, w in asked):
        return []
    if any(_questions(w) != _questions(asked[0][1]) for _, w in asked):
        raise untold(called(network), "it asks something else of lengths at other sizes")
    try:
        nothing_lost([w for _, w in asked])
        told = unanswered([r for r, _ in asked], [w for _, w in asked])
    except Unfollowed as unfollowed:
        raise untold(called(network), unfollowed.why, unfollowed.node) from None
    confirmed: Read = []
    for inputs, one in other_answers(
        target, network, base, Following(found.network, found.rules, found.guards, checks or told), every=True
    ):
        confirm(called(network), found, inputs, one, made)
        if isinstance(one, Reading):
            if not asks_alike(asked[0][1], target.heard_at(network, inputs)):
                raise untold(called(network), f"it asks something else of lengths at {inputs[0]}")
            confirmed.append((inputs, one))
    return confirmed


def _same_answers(target: Known, what: str) -> None:
    """Refuse to tell what got other answers in its readings.

    Raises:
        RfcalcError: it did.
    """
    if len({answers(heard.conditions) for heard in target.all_heard()}) > 1:
        raise untold(what, "it gets other answers to what it asks of lengths at other sizes")


def _questions(asked: Watched) -> list[Any]:
    return [(c.where, written(c.asked)) for c in asked.conditions]


def _readings(
    target: Known, known: Reading, base: Sequence[Shape], guards: Sequence[Guard], step: int
) -> tuple[list[Reading], Read, Refused]:
    """Readings at further sizes, from which rules are told; those that confirm them; what is refused."""
    readings, confirming, refused = [known], [], []
    tried = {dims_of(base)}
    for deltas in (*EVEN, *ODD, *LAST):
        if deltas is EVEN[1] and len(readings) > 1:
            continue
        more = deltas if step == 1 or (deltas in EVEN and deltas[0] % step == 0) else [d * step for d in deltas]
        for inputs in (longer(base, more, guards, step), *_in_proportion(base, more)):
            if dims_of(inputs) in tried:
                continue
            tried.add(dims_of(inputs))
            read = target.at(known.network, inputs)
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
        read = target.at(known.network, inputs)
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
            read = target.at(network, inputs)
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
        inputs = longer(base, deltas)
        read = target.at(mine, inputs)
        if isinstance(read, Reading):
            theirs = read.network
            if read.shapes[len(base) :] == known.shapes[len(base) :]:
                continue  # every map is as it was: this tells nothing
            same = [n.layer for n in mine.nodes] == [n.layer for n in theirs.nodes]
            return count if same and mine.sources == theirs.sources and mine.outputs == theirs.outputs else 0
        if not isinstance(predicted(fixed, inputs, made), RfcalcError):
            return 0
    return 0
