"""Dilations for strides: the same weights give every position of an output (Chen et al. 2018, DeepLab; "à trous").

Without its stride s a layer's map is s times finer; whoever reads the finer map dilates its window and its padding by
as much; a padding that depends on the size (`SAME`), and the last window of a pool that rounds up, are written in
numbers. Unit u of the strided network is unit s·u of the dense one, and the units between are those of the strided
network on shifted images, exactly where their fields touch no padding: at a border the one pads a finer map than the
other.

A transposed convolution of stride t reads a map that is m times finer: output v of the network whose image is shifted
by r units of that map stands at m·v + t·r. Where t and m have no factor in common every position is one such pair, and
dilating its kernel by m gives all of them; else g = gcd(t, m) shifts claim one position, each with the taps of another
phase, and no single map holds their values.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from math import gcd, prod
from typing import Any

from rfcalc.core.layer import POINTWISE, Layer
from rfcalc.core.sliding import Rounding
from rfcalc.core.window import STEP, All
from rfcalc.graph.forward import relation
from rfcalc.plan.variants import (
    STAYS,
    CannotChange,
    Move,
    MoveRequest,
    NetworkDraft,
    VariantChoice,
    VariantOption,
    along,
    windowed,
    with_geometry,
)
from rfcalc.report import Report


def _factors(report: Report) -> list[tuple[Fraction, ...] | None]:
    """The effective stride of every position's map, an entry an axis; None where it has none."""
    found: list[tuple[Fraction, ...] | None] = [
        (Fraction(1),) * shape.rank for shape in report.shapes[: report.network.arity]
    ]
    for row in report:
        stride = row.receptive_field.stride
        known = row.shape.rank and all(s is not None for s in stride)
        found.append(tuple(Fraction(s) for s in stride if s is not None) if known else None)
    return found


def _change(most: int, draft: NetworkDraft) -> None:
    """No map before the outputs has a stride of more than `most`."""
    report = draft.report
    network = report.network
    names = [*network.inputs, *(n.name for n in network.nodes)]
    if set(draft.pieces) != set(names[network.arity :]):
        raise CannotChange("layers were put in before")
    strides = _factors(report)
    finer: dict[int, tuple[int, ...]] = {i: (1,) * report.shapes[i].rank for i in range(network.arity)}
    for position in range(network.arity, len(names)):
        node, sources = network.nodes[position - network.arity], network.sources[position - network.arity]
        layer: Any = draft.pieces[node.name].layer
        ranked = [s for s in sources if report.shapes[s].rank]
        if not ranked:
            finer[position] = (1,) * report.shapes[position].rank
            continue
        given = {finer[s] for s in ranked}
        if len(given) > 1:
            raise CannotChange(f"{node.name} joins maps of which one would be finer than the other")
        (mine,) = given
        rank = len(mine)
        if len(sources) == 1 and hasattr(layer, "output_padding"):
            if max(mine) > 1:
                draft.replace(node.name, _transposed(node.name, layer, mine))
            finer[position] = mine
        elif len(sources) == 1 and windowed(report, position):
            before = strides[sources[0]]
            if before is None:
                raise CannotChange(f"the stride before {node.name} is not known")
            stride = along(layer.stride, rank)
            kept = tuple(1 if s > 1 and b * s > most else s for s, b in zip(stride, before, strict=True))
            if kept != stride or max(mine) > 1:
                draft.replace(node.name, _denser(report, position, layer, mine, kept))
            finer[position] = tuple(m * (s // k) for m, s, k in zip(mine, stride, kept, strict=True))
        elif max(mine) == 1 or _pointwise(report, position):
            _keeps(report, position, strides, most)
            finer[position] = mine if report.shapes[position].rank == rank else (1,) * report.shapes[position].rank
        elif _whole(report, position):
            draft.notes.append(f"{node.name} reads {prod(mine)} times as many positions: not the same values behind it")
            finer[position] = (1,) * report.shapes[position].rank
        elif hasattr(layer, "kernel"):
            raise CannotChange(
                f"{node.name} ({layer.kind}) has no dilation: replace it by a convolution of stride "
                f"{_by(along(layer.stride, rank))}, or replace only strides that come after it"
            )
        else:
            raise CannotChange(
                f"{node.name} ({layer.kind}) does not follow a finer map: what it makes of a unit depends on the grid;"
                f" replace only strides that come after it"
            )
    ends = {finer[network.position(name)] for name in network.outputs}
    if len(ends) > 1:
        raise CannotChange("the outputs would be finer by different factors")
    (draft.finer,) = ends


def _keeps(report: Report, position: int, strides: list[tuple[Fraction, ...] | None], most: int) -> None:
    """Refuse a stride beyond `most` of a layer that has no window to be dilated after it.

    Raises:
        Unfit: naming the layer.
    """
    before, after = strides[report.network.sources[position - report.network.arity][0]], strides[position]
    if before is None or after is None or len(before) != len(after):
        return
    node = report.network.nodes[position - report.network.arity]
    if any(b < a and a > most for b, a in zip(before, after, strict=True)):
        raise CannotChange(f"{node.name} ({node.layer.kind}) has a stride that no dilation replaces")


def _denser(report: Report, position: int, layer: Any, mine: tuple[int, ...], stride: tuple[int, ...]) -> Layer:
    """A layer with a window for a map that is finer by `mine`, with another stride."""
    rank = len(mine)
    up = getattr(layer, "rounding", Rounding.FLOOR) != Rounding.FLOOR
    in_numbers = up or isinstance(layer.padding, str)
    pads = _padding(report, position) if in_numbers else along(layer.padding, rank)
    changed: dict[str, Any] = {
        "stride": stride,
        "padding": tuple((m * a, m * b) for m, (a, b) in zip(mine, pads, strict=True)),
    }
    if max(mine) > 1:
        changed["dilation"] = tuple(m * d for m, d in zip(mine, along(layer.dilation, rank), strict=True))
    if up:
        changed["rounding"] = Rounding.FLOOR
    return with_geometry(layer, **changed)


def _transposed(name: str, layer: Any, mine: tuple[int, ...]) -> Layer:
    """A transposed convolution for a map that is finer by `mine`.

    Raises:
        Unfit: its stride has a factor in common with that.
    """
    rank = len(mine)
    stride, dilation = along(layer.stride, rank), along(layer.dilation, rank)
    for t, m in zip(stride, mine, strict=True):
        if gcd(t, m) > 1:
            raise CannotChange(
                f"{name} ({layer.kind}) does not follow a map that is {m} times finer: its stride of {t} gives a "
                f"position other taps under one shift of the image than under another, so that no single map holds "
                f"both (it does where the two numbers have no factor in common); replace only strides that come after "
                f"it"
            )
    dilated = tuple(m * d for m, d in zip(mine, dilation, strict=True))
    extra = tuple(
        min(m * e, max(t, d) - 1)
        for m, e, t, d in zip(mine, along(layer.output_padding, rank), stride, dilated, strict=True)
    )
    pads = tuple((m * a, m * b) for m, (a, b) in zip(mine, along(layer.padding, rank), strict=True))
    return with_geometry(layer, dilation=dilated, padding=pads, output_padding=extra)


def _padding(report: Report, position: int) -> list[tuple[int, int]]:
    """The padding of a node in numbers, as it is at this size: so much before the first window, and after the last."""
    (alternatives,) = relation(report, position)
    x, y = report.shapes[report.network.sources[position - report.network.arity][0]], report.shapes[position]
    found = []
    for a, n, units in zip(x.axes, x.spatial, y.spatial, strict=True):
        slide: Any = alternatives[0][a][1]
        last = (units - 1) * slide.stride + slide.first + (slide.kernel - 1) * slide.dilation
        found.append((max(0, int(-slide.first)), max(0, int(last) + 1 - int(n))))
    return found


def _by(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values)) if len(set(values)) > 1 else str(values[0])


def _pointwise(report: Report, position: int) -> bool:
    """Whether it works on every position by itself."""
    for s, alternatives in zip(
        report.network.sources[position - report.network.arity], relation(report, position), strict=True
    ):
        x = report.shapes[s]
        for reads in alternatives:
            if reads != POINTWISE and any(reads[a][1] != STEP for a in x.axes):
                return False
    return True


def _whole(report: Report, position: int) -> bool:
    """Whether it reads all positions alike."""
    for s, alternatives in zip(
        report.network.sources[position - report.network.arity], relation(report, position), strict=True
    ):
        x = report.shapes[s]
        for reads in alternatives:
            if reads == POINTWISE or not all(isinstance(reads[a][1], All) for a in x.axes):
                return False
    return True


def choices(report: Report, asked: MoveRequest) -> list[VariantChoice]:
    """The largest stride that is left, of those that occur before the outputs."""
    found = {int(max(s)) for s in _factors(report) if s and max(s) == int(max(s)) >= 1}
    most = max(found, default=1)
    options = [
        VariantOption(
            f"dilations for strides beyond {n}" if n > 1 else "dilations for all strides", partial(_change, n)
        )
        for n in sorted(found, reverse=True)
        if n < most
    ]
    return [VariantChoice("dense", (STAYS, *options))] if options else []


MOVE = Move("dense", "dilations for strides: every position of the output, with the same weights", choices, 2, True)
