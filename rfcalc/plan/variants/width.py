"""Channels scaled: every layer inside of the network with a part or a multiple of its channels, the outputs' stay.

One factor for the whole network, or one for each stage: the layers whose maps have the same size. Layers whose maps
meet in a sum have the same channels, so that they stand in one stage, the one of the larger map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, partial
from heapq import heapify, heappop, heappush
from itertools import product
from math import lcm
from typing import Any

from rfcalc.core.errors import LayerError, RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.core.size import is_number
from rfcalc.plan.variants import (
    STAYS,
    CannotChange,
    Move,
    MoveRequest,
    NetworkDraft,
    VariantChoice,
    VariantOption,
    with_geometry,
)
from rfcalc.report import Report

FACTORS = tuple(Fraction(n, 8) for n in (2, 3, 4, 5, 6, 7, 10, 12, 16))
OF_STAGES = tuple(tuple(Fraction(n, 4) for n in eighths) for eighths in ((1, 2, 3, 6), (2, 3, 6), (2, 3), (2,)))
MOST_OPTIONS = 20_000  # with factors that are given, of no other change
Rescaled = dict[Any, tuple[Layer, Shape, Shape, Layer]]  # a layer, its output before and after; what it was made of
MULTIPLE = 8  # of channels, where there are more than that


def scaled(channels: int, factor: Fraction, multiple: int = 1) -> int:
    """So many channels times a factor: a multiple of 8 (and of the groups) where there are enough.

    >>> scaled(64, Fraction(3, 8)), scaled(96, Fraction(1, 4)), scaled(6, Fraction(1, 2))
    (24, 24, 3)
    """
    wanted = channels * factor
    by = lcm(MULTIPLE, multiple) if channels >= 2 * MULTIPLE else multiple
    return max(by, int(wanted / by + Fraction(1, 2)) * by) if by > 1 else max(1, int(wanted))


def _out(layer: Layer) -> str | None:
    """The parameter that says how many channels come out."""
    return next((n for n in ("out_channels", "out_features") if is_number(getattr(layer, n, None))), None)


def _alone(layer: Layer) -> bool:
    """Whether it is a learned map of its own, which depends on no input."""
    return layer.arity[1] == 0 and hasattr(layer, "dims")


def ends(draft: NetworkDraft) -> set[str]:
    """The layers that make the channels of an output: none with weights of that kind stands behind them."""
    found: set[str] = set()
    waiting, seen = list(draft.outputs), set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in draft.pieces:
            continue
        seen.add(name)
        piece = draft.pieces[name]
        if _out(piece.layer) is not None and not _depthwise(draft, name):
            found.add(name)
        else:
            waiting += piece.reads
    return found


def _depthwise(draft: NetworkDraft, name: str) -> bool:
    groups = getattr(draft.pieces[name].layer, "groups", 1)
    if name not in draft.report.network.positions:
        return False
    xs = draft.report[name].input_shapes
    return bool(groups != 1 and xs and is_number(groups) and groups == xs[0].channels)


class Ties:
    """Which layers make the channels of a network's maps, and which of them have the same: their maps meet in a sum, or
    they share their weights. A learned map (a class token, say) has those of the maps that it meets."""

    def __init__(self, report: Report) -> None:
        self._towards: dict[str, str] = {}
        draft = NetworkDraft(report)
        shared: dict[str, str] = {}  # by group, the first layer of it
        makers: dict[str, tuple[str, ...]] = dict.fromkeys(report.inputs, ())  # of a map's channels
        for name, piece in draft.pieces.items():
            if _out(piece.layer) is not None and piece.layer.weight_layers and not _depthwise(draft, name):
                self._towards[name] = name
                makers[name] = (name,)
                if piece.group:
                    self._towards[name] = self.first(shared.setdefault(piece.group, name))
                continue
            row = report[name]
            if _alone(piece.layer):
                makers[name] = (name,)  # it has the channels of what it meets
                continue
            makers[name] = tuple(dict.fromkeys(m for r in piece.reads for m in makers[r]))
            if len(piece.reads) > 1 and all(x.channels == row.shape.channels for x in row.input_shapes):
                real = [one for one in makers[name] if one in self._towards]
                if not real:
                    continue
                alike = [one for one in makers[name] if one not in real and self._fits(report, one, real[0])]
                self._towards.update({one: one for one in alike})
                makers[name] = (*real, *alike)
                for one in makers[name][1:]:
                    self._towards[self.first(one)] = self.first(makers[name][0])
                makers[name] = (self.first(makers[name][0]),)  # it stands for all of them
        self.stay = ends(draft)

    @staticmethod
    def _fits(report: Report, one: str, other: str) -> bool:
        """Whether a learned map has as many channels as a layer makes: not one for each head, say."""
        return bool(report[one].shape.channels == report[other].shape.channels)

    def __iter__(self) -> Iterator[str]:
        return iter(self._towards)

    def __contains__(self, name: object) -> bool:
        return name in self._towards

    @property
    def classes(self) -> dict[str, list[str]]:
        """The layers with the same channels, by the one that stands for them; those of the outputs left out."""
        found: dict[str, list[str]] = {}
        for name in self:
            found.setdefault(self.first(name), []).append(name)
        return {first: names for first, names in found.items() if self.stay.isdisjoint(names)}

    def first(self, name: str) -> str:
        """The layer that stands for all with the same channels."""
        while self._towards[name] != name:
            self._towards[name] = self._towards[self._towards[name]]
            name = self._towards[name]
        return name


def stages(report: Report) -> dict[tuple[int, ...], list[str]]:
    """The layers whose channels can be scaled, by the size of their maps; the larger maps first.

    >>> from rfcalc import analyze
    >>> {size: len(names) for size, names in stages(analyze("resnet18")).items()}
    {(112, 112): 3, (56, 56): 2, (28, 28): 5, (14, 14): 5, (7, 7): 5}
    """
    ties = Ties(report)
    sizes: dict[str, tuple[int, ...]] = {}
    for name in ties:
        own = tuple(int(n) for n in report[name].shape.spatial)
        sizes[ties.first(name)] = max(sizes.get(ties.first(name), ()), own)
    found: dict[tuple[int, ...], list[str]] = {}
    for name in ties:
        if name not in ties.stay:
            found.setdefault(sizes[ties.first(name)], []).append(name)
    return dict(sorted(found.items(), reverse=True))


def rescaled(draft: NetworkDraft, factors: Mapping[str, Fraction], known: Rescaled | None = None) -> None:
    """Scale the channels of layers, each by its own factor; `known`: what came of a layer in other variants."""
    known = {} if known is None else known
    shapes = dict(draft.report.inputs)
    old = dict(draft.report.inputs)
    for name, piece in draft.pieces.items():
        xs = tuple([shapes[r] for r in piece.reads])
        before = tuple([old[r] for r in piece.reads])
        factor = factors.get(draft.parts.get(name, name))
        key = (id(piece.layer), before, xs, factor and factor.as_integer_ratio())
        if key not in known:
            try:
                layer = _scaled(piece.layer, before, xs, factor)
                known[key] = layer, piece.layer.output(*before), layer.output(*xs), piece.layer
            except RfcalcError as error:
                raise CannotChange(f"{name}: {error.what}") from None
        layer, old[name], shapes[name], _ = known[key]
        draft.replace(name, layer)


def _scaled(layer: Layer, before: Sequence[Shape], xs: Sequence[Shape], factor: Fraction | None) -> Layer:
    """A layer for inputs with other channels, its own scaled by a factor where there is one."""
    if factor is not None and _alone(layer):
        at = layer.output().channel
        dims = list(layer.dims)  # type: ignore[attr-defined]
        dims[at] = scaled(int(dims[at]), factor)
        return layer.changed(dims=tuple(dims))
    word = _out(layer)
    if word is None or not layer.weight_layers:
        return layer if xs == before else layer.in_proportion(tuple(before), tuple(xs))
    out, groups = int(getattr(layer, word)), int(getattr(layer, "groups", 1))
    changed: dict[str, int] = {}
    if groups != 1 and groups == before[0].channels:  # a depthwise layer has a group for each channel
        changed = {"groups": int(xs[0].channels), word: int(xs[0].channels) * (out // groups)}
    else:
        if groups != 1 and xs[0].channels % groups:  # as many channels in a group as before
            each = int(before[0].channels) // groups
            if xs[0].channels % each:
                raise LayerError(f"{xs[0].channels} channels are no groups of {each}")
            groups = int(xs[0].channels) // each
            changed = {"groups": groups}
        if factor is not None:
            changed[word] = scaled(out, factor, groups)
    if getattr(layer, "in_features", None) is not None:
        changed["in_features"] = int(xs[0].dims[-1])
    return _changed(layer, tuple(changed.items())) if changed else layer


@lru_cache(maxsize=4096)
def _changed(layer: Layer, values: tuple[tuple[str, int], ...]) -> Layer:
    """A layer with other numbers: variants share theirs."""
    return with_geometry(layer, **dict(values))


def parameters_added(report: Report, readers: Mapping[int, Sequence[int]], factors: Mapping[str, Fraction]) -> int:
    """How many parameters more there are where the channels of a few layers are scaled, from a walk of the nodes alone
    whose inputs or channels change.

    Args:
        readers: for each position those that read it.
        factors: by name, the layers whose channels are scaled.

    Raises:
        Unfit: a node does not take what it would get.
    """
    waiting = [report.network.position(name) for name in factors]
    heapify(waiting)
    changed: dict[int, Shape] = {}
    groups: set[str] = set()  # whose weights are counted already
    more, last = 0, -1
    while waiting:
        position = heappop(waiting)
        if position == last:
            continue
        last = position
        node, sources, before, y = report.at(position)
        xs = tuple([changed.get(s, x) for s, x in zip(sources, before, strict=True)])
        try:
            layer = _scaled(node.layer, before, xs, factors.get(node.name))
            out = layer.output(*xs)
            if not node.group or node.group not in groups:
                more += int(layer.cost(xs, out).params - node.layer.cost(before, y).params)
            groups.add(node.group)
        except RfcalcError as error:
            raise CannotChange(f"{node.name}: {error.what}") from None
        if out != y:
            changed[position] = out
            for reader in readers.get(position, ()):
                heappush(waiting, reader)
    return more


def choices(report: Report, asked: MoveRequest) -> list[VariantChoice]:
    """One factor for the whole network, or, as far as there is room, one for each stage."""
    there = stages(report)
    if not there:
        return []
    whole, known = asked.factors or FACTORS, Rescaled()
    options = [
        VariantOption(f"channels × {f}", partial(rescaled, factors=_of(there, f), known=known), away(f)) for f in whole
    ]
    options += _by_stage(there, asked, asked.room - len(options) - 1, known) if len(there) > 1 else ()
    return [VariantChoice("channels", (STAYS, *options))]


def _of(there: Mapping[tuple[int, ...], list[str]], factor: Fraction) -> dict[str, Fraction]:
    return {name: factor for names in there.values() for name in names}


def away(factor: Fraction) -> Fraction:
    """How far a factor leads away from 1."""
    return max(factor, 1 / factor) - 1


def _by_stage(
    there: Mapping[tuple[int, ...], list[str]], asked: MoveRequest, room: int, known: Rescaled
) -> Iterator[VariantOption]:
    """A factor for each stage: all combinations of as many factors as there is room for, else one stage at a time."""
    lists: Sequence[tuple[Fraction, ...]] = (asked.factors,) if asked.factors else OF_STAGES
    for factors in lists:
        size = (1 + len(factors)) ** len(there)
        if size <= room or (asked.factors and asked.alone and size <= MOST_OPTIONS):
            choices: Iterable[tuple[Fraction, ...]] = product((Fraction(1), *factors), repeat=len(there))
            break
    else:
        fits = next((f for f in lists if len(f) * len(there) <= room), ())
        choices = [
            tuple(f if i == at else Fraction(1) for i in range(len(there))) for at in range(len(there)) for f in fits
        ]
    for chosen in choices:
        changed = [(size, f) for size, f in zip(there, chosen, strict=True) if f != 1]
        if not changed or (len({f for _, f in changed}) == 1 and len(changed) == len(there)):
            continue  # the network itself, or one factor for all
        factors_of = {name: f for size, f in changed for name in there[size]}
        told = ", ".join(f"{'x'.join(map(str, size)) or 'vectors'} × {f}" for size, f in changed)
        amount = sum((away(f) for _, f in changed), Fraction(0)) / len(there)
        yield VariantOption(
            f"channels of {told}", partial(rescaled, factors=factors_of, known=known), amount, len(changed)
        )


MOVE = Move("width", "channels scaled, of all stages or of each, those of the outputs as they are", choices, 3)
