"""Code that tells itself, read a few times: its numbers and its questions follow the lengths that it asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import Expression, Watched, answers, atoms
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, forward
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading, Unfollowed
from rfcalc.plan.asked import Certainty
from rfcalc.plan.following import Following, Solved, follow
from rfcalc.readers.confirming import (
    Read,
    Refused,
    asks_alike,
    confirm,
    explained,
    longer,
    nothing_caught,
    other_answers,
)
from rfcalc.readers.guards import Guard, deliberate, exact_guard, refusal_of
from rfcalc.readers.rereading import Known, agrees, called, dims_of, predicted, ran_past, stopped_before

# By how much the axes are longer; what rounds differs from axis to axis in the second one, at most strides.
LONGER = ((32, 64, 96), (31, 42, 53))
LONGEST = (64, 128, 192)  # where shorter ones are refused
FURTHER = ((6, 13, 9), (39, 74, 49))  # where rules are only equal to what is known
ALONE = ((0, 1, 1), (0, 2, 3), (0, 32, 64), (1, 0, 0), (2, 0, 0), (32, 0, 0))  # where some axes have one size
NEXT, STEPS = ((1, 1, 1), (2, 1, 1), (3, 2, 1), *ALONE), ((1, 2, 3), (2, 1, 1), (3, 2, 1))
LARGEST_STEP = 256
FEWEST = 3  # readings of one way
MOST_TURNS = 6


def exactly(target: Known, first: Reading, base: Sequence[Shape]) -> tuple[Following, int] | None:
    """The network of code whose every differing number, and every question, follows the lengths that it asked for, from
    a few readings; and how many further ones these are. None where something else is to be inferred or seen.

    A few readings of one way tell it: its numbers are what the code itself computes, and its questions get the same
    answers at all sizes, or one of each other answer is read, too. The first readings only have to confirm it.
    """
    if any(x.spatial != base[0].spatial for x in base) or getattr(first.network.source, "heard", None) is None:
        return None
    network = first.network
    taken: Read = [(list(base), first)]
    refused: Refused = []
    guards: list[Guard] = []
    tried = {dims_of(base)}

    def read_at(inputs: list[Shape]) -> None:
        tried.add(dims_of(inputs))
        read = target.at(network, inputs)
        if isinstance(read, Reading):
            taken.append((inputs, read))
        else:
            refused.append((inputs, read))

    sizes = base[0].spatial
    half = [min(n, n // 2 + 11 * axis) - n for axis, n in enumerate(sizes)]
    least = [min(n, 1 + axis) - n for axis, n in enumerate(sizes)]
    for deltas in (*LONGER, half, least, LONGEST):
        if deltas is LONGEST and len(taken) + len(target.fitted) > 2:
            break
        while dims_of(inputs := longer(base, deltas, guards)) not in tried:
            tried.add(dims_of(inputs))
            read = target.at(network, inputs)
            if isinstance(read, Reading):
                taken.append((inputs, read))
                break
            refused.append((inputs, read))
            if not deliberate(read):
                break
            if (one := _guard(target, network, inputs, read)) is None:
                return None
            guards.append(one)
    if len(taken) + len(target.fitted) < FEWEST and not guards:
        for inputs in _in_steps(network, base):
            if dims_of(inputs) not in tried:
                read_at(inputs)
    try:
        what = called(network)
        run = [i for i, r in taken + refused if isinstance(r, Reading) or dims_of(i) in target.fitted]
        explained(what, base, guards, run, refused, every=what == "code")
        for _ in range(MOST_TURNS):
            fitted = [(i, target.fitted[dims_of(i)]) for i, _ in refused if dims_of(i) in target.fitted]
            mine = [r for _, r in taken + fitted]
            if len({_way(r) for r in mine}) > 1 or (len(mine) < FEWEST and not (guards and len(mine) == 1)):
                return None
            rules = follow(mine, [r.network.source.heard for r in mine])
            if rules.certainty == Certainty.INFERRED or rules.masked:
                return None
            found = Following(rules.network, rules.rules, guards, valued=rules.valued)
            made = forward(found.at(base), base)
            for deltas in FURTHER if rules.certainty < Certainty.OWN else ():
                if dims_of(inputs := longer(base, deltas, guards)) not in tried:
                    read_at(inputs)
            try:
                for inputs, read in taken:
                    agrees(called(network), found, read, inputs, made)
            except RfcalcError:
                if len(taken) + len(fitted) == len(mine):
                    raise
                continue  # those that were read since tell more
            for inputs, read in fitted:
                agrees(called(network), found, read, inputs, forward(found.at(inputs), inputs))
            if any(_unlike(network, found, inputs, made, error) for inputs, error in refused):
                return None
            checked = Following(rules.network, rules.rules, guards, rules.questions)
            told, confirmed = True, 0
            solved: Solved = {}
            for inputs, answer in other_answers(target, network, base, checked, True, made, solved):
                if isinstance(answer, Reading) and _way(answer) == _way(mine[0]):
                    if any(answer is r for r in mine):
                        return None  # the rules do not say what it does there
                    taken.append((inputs, answer))  # it tells more of the way
                    told = False
                    continue
                try:
                    confirm(called(network), found, inputs, answer, made)
                    if isinstance(answer, Reading) and not asks_alike(_heard(mine[0]), _heard(answer)):
                        return None
                    confirmed += 1
                except RfcalcError:
                    if not isinstance(answer, Reading) and (one := _guard(target, network, inputs, answer)):
                        refused.append((inputs, answer))
                        guards.append(one)
                        told = False
                        break
                    else:
                        return None
            if told:
                if getattr(network.source, "catches", False):
                    confirmed += nothing_caught(target, network, base, found, made)
                found.solved = solved
                return found, len(taken) + len(refused) + confirmed - 1
    except (Unfollowed, RfcalcError):
        pass
    return None


def _in_steps(network: Network, base: Sequence[Shape]) -> Iterator[list[Shape]]:
    """Longer sizes, next to those of the inputs, and further by what lengths are divided by."""
    heard: Watched = network.source.heard
    step = 1
    for made in [*[c.asked for c in heard.conditions], *[g.made for g in heard.given]]:
        for whole, value in _divided(made):
            one = whole * max(1, round(max(base[0].spatial) / value))
            if one > 1 and lcm(step, one) <= LARGEST_STEP:
                step = lcm(step, one)
    yield from (longer(base, deltas) for deltas in NEXT)
    if step > 1:
        yield from (longer(base, [step * d for d in deltas]) for deltas in STEPS)


def _divided(made: Any) -> Iterator[tuple[int, int]]:
    """The whole numbers that lengths are divided by in an expression, and these lengths."""
    if isinstance(made, Expression):
        if made.how in ("//", "%") and type(made.right) is int and made.right > 1:
            yield from ((made.right, a.value) for a in atoms(made.left) if a.value > 0)
        yield from _divided(made.left)
        yield from _divided(made.right)


def _guard(target: Known, network: Network, inputs: Sequence[Shape], error: RfcalcError) -> Guard | None:
    """The condition by which code refused a size on purpose, if it compares what follows the inputs."""
    refusal = refusal_of(error) if deliberate(error) else None
    return None if refusal is None else exact_guard(refusal, target.heard_at(network, inputs), network)


def _heard(reading: Reading) -> Watched:
    heard: Watched = reading.network.source.heard
    return heard


def _way(reading: Reading) -> tuple[Any, ...]:
    return answers(_heard(reading).conditions)


def _unlike(network: Network, found: Following, inputs: Sequence[Shape], made: Shaped, error: RfcalcError) -> bool:
    """Whether sizes that are refused are told to be taken, or to be refused by a node behind which the code got, or to
    which it did not get."""
    refusal = predicted(found, inputs, made)
    if not isinstance(refusal, RfcalcError) or ran_past(network, error, refusal.where):
        return True
    return not deliberate(error) and stopped_before(network, error, refusal.where)
