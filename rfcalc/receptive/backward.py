"""The backward walk: what one unit reads of every earlier map, F(i) = (F(i+1) − 1) × stride + k."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from rfcalc.core.layer import POINTWISE, Reads
from rfcalc.core.size import Size
from rfcalc.core.window import START, STEP, All, Slide, Table, Window
from rfcalc.graph.forward import Shaped, relation
from rfcalc.receptive import fields
from rfcalc.receptive.field import Field
from rfcalc.receptive.receptive_field import ReceptiveField


def backward(walked: Shaped, at: int) -> tuple[dict[int, Window] | None, ...]:
    """What one unit of position `at` reads of every earlier map: F(i) = (F(i+1) − 1) × stride + k, from there back.

    For each position a window by axis of its map, in units of `at`; an empty dict where that position does not feed it;
    None where paths of different strides (or re-arranged positions) leave no window.
    """
    network = walked.network
    arity = network.arity
    found: list[dict[int, Window] | None] = [{} for _ in walked.shapes]
    shape = walked.shapes[at]
    found[at] = dict.fromkeys(shape.axes, START) | {shape.channel: Window(0, ((0, shape.channels - 1),))}
    for position in range(at, arity - 1, -1):
        mine = found[position]
        sources = network.sources[position - arity]
        if mine == {}:
            continue
        if mine is not None:  # a unit is a position over all channels, of every map on the way
            shape = walked.shapes[position]
            mine = mine | {shape.channel: Window(0, ((0, shape.channels - 1),))}
        if mine is None or network.nodes[position - arity].layer.opaque:
            for s in sources:
                found[s] = None
            continue
        for s, alternatives in zip(sources, relation(walked, position), strict=True):
            for reads in alternatives:
                found[s] = _meet(found[s], _back(mine, reads))
    return tuple(found)


def _back(mine: dict[int, Window], reads: Reads) -> dict[int, Window] | None:
    """The windows on a layer's input, from those on its output."""
    if reads is POINTWISE:
        return mine
    seen: dict[int, Window] = {}
    alike: dict[tuple[Window, object], Window] = {}  # axes are often read alike
    for axis, (out, index) in enumerate(reads):
        if isinstance(index, All):
            if out is None or out in mine:
                seen[axis] = Window(0, ((0, index.extent - 1),))
            continue
        if out is None or out not in mine:
            continue
        window = mine[out]
        if index is STEP:
            seen[axis] = window
            continue
        if not isinstance(index, (Slide, Table)):
            return None
        known = alike.get((window, index))
        if known is not None:
            seen[axis] = known
            continue
        layer = START.pull(index)
        if window.period == 1 and layer.period == 1:
            first, last = window.ends[0] or (0, 0)
            found = layer.pull(Slide(window.advance, first, 2, last - first))
        elif not layer.regular or window.sparse:
            return None
        else:
            found = layer.pull(Table(window.advance, [e for e in window.ends if e is not None]))
        seen[axis] = alike[window, index] = found
    return seen


def _meet(a: dict[int, Window] | None, b: dict[int, Window] | None) -> dict[int, Window] | None:
    """The union of what two readers of one map see."""
    if a is None or b is None or not a or not b:
        return b if a == {} else a if b == {} else None
    if any(axis in a and axis in b and not a[axis].same_stride(b[axis]) for axis in a):
        return None
    joined: dict[int, Window] = {}
    alike: dict[tuple[Window, Window], Window] = {}
    for axis in {**a, **b}:
        if axis in a and axis in b:
            pair = (a[axis], b[axis])
            joined[axis] = alike[pair] = alike[pair] if pair in alike else pair[0] | pair[1]
        else:
            joined[axis] = a.get(axis) or b[axis]
    return joined


class CountedBack:
    """F of every map of a network: how much of it one unit of the last spatial layer depends on."""

    def __init__(self, walked: Shaped, fields: Sequence[Field | None]) -> None:
        """`fields` are those of the first input."""
        self.walked, self.fields = walked, fields

    @cached_property
    def last(self) -> int:
        """The last position that still has local windows on all axes."""
        shapes = self.walked.shapes
        for position in range(len(shapes) - 1, 0, -1):
            field = ReceptiveField(self.fields[position], shapes[0], shapes[position])
            if shapes[position].rank and field.windows and None not in field.windows:
                return position
        return 0

    @cached_property
    def windows(self) -> tuple[dict[int, Window] | None, ...]:
        return backward(self.walked, self.last)

    def seen(self, position: int) -> tuple[Size | None, ...]:
        """F of a position's map, one entry an axis."""
        windows, shapes = self.windows[position], self.walked.shapes
        if windows is None:  # a hull of hulls would not be exact here: walk from this map to the last instead
            return ReceptiveField(fields(self.walked, position)[self.last], shapes[position], shapes[self.last]).size
        return tuple(windows[axis].size if axis in windows else None for axis in shapes[position].axes)
