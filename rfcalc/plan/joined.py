"""Maps that meet out of step, and the paddings that put them in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rfcalc.core.errors import plural
from rfcalc.core.layer import Layer
from rfcalc.core.window import Window
from rfcalc.plan.remedies import Remedy, by, replaced
from rfcalc.plan.variants import along, readers_of, windowed, with_geometry
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report import Report

MOST_TOLD = 6  # layers with another padding that are named
MOST_CHANGES = 6  # of paddings that are tried one after another
MOST_BEFORE = 24  # layers before a join of which another padding is tried
MOST_WALKED = 60_000  # nodes of networks with another padding

Join = tuple[int, str, Fraction]  # its position, its name, how far its maps are out of step at most


def out_of_step(report: Report) -> list[Join]:
    """Joins at which maps of equal stride meet half a pixel or more apart: position, node, how far at most; not those
    whose units end at the same pixel (causal networks).

    Where units see other pixels from one to the next in a period (behind a transposed convolution), the mean of their
    centres counts, each less its own place: it is the same wherever the period is taken to begin.
    """
    network, rank = report.network, report.shapes[0].rank
    found = []
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), network.arity):
        places: list[list[tuple[Fraction, int]]] = [[] for _ in range(rank)]
        strides = set()
        for s in dict.fromkeys(sources) if len(sources) > 1 else ():
            field = ReceptiveField(report.fields[0][s], report.shapes[0], report.shapes[s])
            windows = field.windows
            if field.status not in ("exact", "periodic") or any(w is None or w.empty for w in windows):
                continue
            strides.add(field.stride)
            for axis, window in enumerate(windows):
                assert window is not None
                places[axis].append((_centre(window), max(e[1] for e in window.ends if e is not None)))
        apart = max(
            (max(at)[0] - min(at)[0] for at in places if len({last for _, last in at}) > 1), default=Fraction(0)
        )
        if len(strides) == 1 and apart >= Fraction(1, 2):
            found.append((position, node.name, apart))
    return found


def _centre(window: Window) -> Fraction:
    """The mean over a period of where units are centred, less stride · u: that of unit 0 where all see alike.

    In the U-Net of the paper, units 0 … 7 of upconv1 see 0 … 187 and units 8 … 15 see 0 … 203: 97.5 − 7.5 = 90, as its
    skip has it.
    """
    steps = [(p, end) for p, end in enumerate(window.ends) if end is not None]
    places = [Fraction(a + b, 2) - Fraction(window.advance * p, window.period) for p, (a, b) in steps]
    return sum(places, Fraction(0)) / len(places)


def in_step(report: Report, found: Sequence[Join]) -> Remedy:
    """Other paddings of layers, with as much in all, after which fewer joins are out of step, or none.

    A branch that nothing else reads is moved by the padding of a layer in it, whatever the other branches do: all joins
    are put in step at once, and one walk proves it. What is left is tried one layer after another.
    """
    told: list[str] = []
    left = list(found)
    moved = _moved_branches(report, left)
    made = replaced(report, moved) if moved else None
    if made is not None and len(after := out_of_step(made)) < len(left):
        told = [_told(name, layer, report) for name, layer in moved.items()]
        report, left = made, after
    budget = [MOST_WALKED]
    while left and len(told) < MOST_CHANGES:
        one = _nearer(report, left, budget)
        if one is None:
            break
        told.append(one[0])
        report, left = one[1:]
    if not told:
        tried = "" if budget[0] > 0 else " that was tried"
        return Remedy(f"no other padding{tried} of one layer before the first of them, with as much in all, does")
    rest = f"; {plural(len(left), 'join')} left" if left else ""
    verb = "puts" if len(told) == 1 else "put"
    more = f" and {plural(len(told) - MOST_TOLD, 'layer')} more" if len(told) > MOST_TOLD else ""
    return Remedy(f"{', '.join(told[:MOST_TOLD])}{more} (before:after) {verb} them in step{rest}", report)


def _told(name: str, layer: Any, report: Report) -> str:
    sides = along(layer.padding, report[name].shape.rank)
    return f"{name} with padding {by([f'{a}:{b}' for a, b in sides])}"


def _moved_branches(report: Report, found: Sequence[Join]) -> dict[str, Layer]:
    """For each join a layer of one of its branches, padded so that the branch lies as another; of those of which there
    is one."""
    readers, moved = readers_of(report), {}
    for position, *_ in found:
        sources = list(dict.fromkeys(report.network.sources[position - report.network.arity]))
        centres = [_centres(report, s) for s in sources]
        options: list[tuple[str, Layer]] = []
        for at, mine in enumerate(centres):
            for goal in dict.fromkeys(centres):
                if mine is not None and goal is not None and mine != goal:
                    apart = [c - g for c, g in zip(mine, goal, strict=True)]
                    options += _moving(report, readers, sources[at], apart)
        options = [option for option in options if option[0] not in moved]
        if options:
            name, layer = min(options, key=lambda option: _uneven(option[1]))
            moved[name] = layer
    return moved


def _uneven(layer: Any) -> int:
    """By how much the sides of its padding differ."""
    return sum(abs(a - b) for a, b in layer.padding)


def _centres(report: Report, position: int) -> tuple[Fraction, ...] | None:
    """Where the units of a map are centred, an entry an axis; None where that is not known."""
    field = ReceptiveField(report.fields[0][position], report.shapes[0], report.shapes[position])
    if field.status not in ("exact", "periodic") or any(w is None or w.empty for w in field.windows):
        return None
    return tuple([_centre(w) for w in field.windows if w is not None])


def _moving(
    report: Report, readers: Mapping[int, Sequence[int]], position: int, apart: Sequence[Fraction]
) -> Iterator[tuple[str, Layer]]:
    """Layers of a branch, from its end back to where something else reads it, padded so much more before and less after
    that the branch's centres are so many pixels nearer to the image's beginning."""
    arity = report.network.arity
    while position >= arity and len(readers.get(position, ())) == 1:
        node, sources = report.network.nodes[position - arity], report.network.sources[position - arity]
        if len(sources) != 1:
            return
        layer: Any = node.layer
        sides = _sides(report, position)
        stride = ReceptiveField(report.fields[0][sources[0]], report.shapes[0], report.shapes[sources[0]]).stride
        if sides and not node.group and all(s is not None for s in stride):
            steps = [a / Fraction(s) for a, s in zip(apart, stride, strict=True) if s is not None]
            padded = tuple([(a + int(n), b - int(n)) for (a, b), n in zip(sides, steps, strict=True)])
            if all(n.denominator == 1 for n in steps) and min(min(pair) for pair in padded) >= 0:
                yield node.name, with_geometry(layer, padding=padded)
        position = sources[0]


def _sides(report: Report, position: int) -> list[tuple[int, int]]:
    """The padding of a layer with a window, before and after on each axis; empty where it has none that can change."""
    row = report[report.network.nodes[position - report.network.arity].name]
    layer: Any = row.node.layer
    pads = getattr(layer, "padding", None)
    if not row.shape.rank or len(row.inputs) != 1 or not windowed(report, position):
        return []
    rank = row.shape.rank
    if isinstance(pads, tuple):
        return [tuple(p) for p in along(pads, rank)]
    if pads != "same":
        return []
    kernel, dilation = along(layer.kernel, rank), along(getattr(layer, "dilation", (1,)), rank)
    return [((d * (k - 1)) // 2, d * (k - 1) - (d * (k - 1)) // 2) for k, d in zip(kernel, dilation, strict=True)]


def _nearer(report: Report, found: list[Join], budget: list[int]) -> tuple[str, Report, list[Join]] | None:
    """One layer before the first join that is out of step with another padding, after which fewer joins are."""
    network, arity = report.network, report.network.arity
    before: set[int] = set()
    waiting = [found[0][0]]
    while waiting and len(before) < MOST_BEFORE:
        for s in network.sources[waiting.pop(0) - arity]:
            if s >= arity and s not in before:
                before.add(s)
                waiting.append(s)
    for position in sorted(before):
        name, sides = network.nodes[position - arity].name, _sides(report, position)
        for step in (1, -1, 2, -2) if sides else ():
            padded = tuple([(a + step, b - step) for a, b in sides])
            if min(min(pair) for pair in padded) < 0:
                continue
            if budget[0] <= 0:
                return None
            budget[0] -= len(network.nodes)
            layer = with_geometry(network.nodes[position - arity].layer, padding=padded)
            made = replaced(report, {name: layer})
            left = found if made is None else out_of_step(made)
            if made is not None and len(left) < len(found):
                return _told(name, layer, report), made, left
    return None
