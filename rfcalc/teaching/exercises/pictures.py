"""Pictures of items: what they are of, and how they are drawn.

An item holds a `PictureRecipe`, so that a bank stays small and has no code: a kind, a network and a place in it.

- ``window``: the map that one layer reads (of a large one the corner), its padding, its window in the first place and,
  dashed, one step on. It is drawn from what the text says of the layer; the output is not in it.
- ``stack``: a chain of layers with windows, a strip for each: its window in the first place and, dashed, one step on.
- ``spread``: where a transposed convolution adds the first value of the map, and, dashed, the next one.
- ``graph``: the layers by name and what each reads, without a figure.
- ``taps``: which positions of a signal the first units read, as lines.
- ``field``: what a unit in the middle sees of the input. It is the answer, so it stands beside the derivation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.drawing.layers import layout
from rfcalc.drawing.letters import width
from rfcalc.report import Report
from rfcalc.report.document import Area, Box, Label, Picture, Stroke
from rfcalc.teaching.exercises.item import PictureRecipe
from rfcalc.teaching.exercises.subject import Subject, report_of

SAYS = {
    "window": "{part}the map that the layer reads{padding}, the window in its first place and, dashed, one step to the "
    "right",
    "stack": "a strip for each layer, with positions along one axis of what it reads, its window in the first place "
    "and, dashed, one step on; the strips go on to the right, and say nothing of sizes",
    "spread": "the corner of the output of the layer, before padding is cut off, with the square to which it adds the "
    "first value of its input and, dashed, that of the next value; it says nothing of sizes",
    "graph": "the layers as boxes, with an arrow from each to those that read it",
    "taps": "the positions of the signal and the first units of the layer, with a line from each unit to every "
    "position that it reads",
    "field": "what a unit in the middle of `{at}` sees of the input, and how its gradient spreads",
}
SORTS = ("zoo", "notation")  # of targets: what is drawn is data, never code
MOST_CELLS = 40  # along an axis of a window's map
CORNER = 14  # cells along an axis of the corner of a larger map, where the window and its step are not longer
MOST_STRIPS = 8
MOST_BOXES = 16
MOST_UNITS = 4
WINDOWED = ("output_shape", "side", "values", "macs")
STACKED = ("output_shape", "side", "receptive_field")
CELL, EDGE, BOX = 14.0, 14.0, 26.0


def asked(subject: Subject, form: str) -> PictureRecipe | None:
    """The picture that helps with a question, if there is one; it tells nothing that the text does not."""
    if not subject.listed or form not in ("one-layer", "table", "error", "summary"):
        return None
    if _windowed(subject):
        return figure("window", subject.target, subject.input)
    if subject.single and form == "one-layer" and _spread_of(subject.report) is not None and subject.figure in WINDOWED:
        return figure("spread", subject.target, subject.input)
    if form != "summary" and subject.figure in STACKED and _strips(subject.report, subject.node):
        return figure("stack", subject.target, subject.input, subject.node)
    return graph_of(subject.target, subject.input, subject.node if form != "summary" else "", subject.report)


def stack_of(target: str, shape: str, at: str) -> PictureRecipe | None:
    """The windows of a chain of layers up to a place, if it is one that can be drawn."""
    return figure("stack", target, shape, at) if _strips(report_of(target, shape), at) else None


def graph_of(target: str, shape: str, at: str, report: Report) -> PictureRecipe | None:
    """The graph of a network up to a place, where it has branches, and few enough layers to be looked at."""
    upto = report.network.position(at) if at else len(report.shapes) - 1
    arity = report.network.arity
    sources = report.network.sources[: upto + 1 - arity]
    if upto >= MOST_BOXES or all(s == (p - 1,) for p, s in enumerate(sources, arity)):
        return None
    return figure("graph", target, shape, at)


def solved(subject: Subject, form: str) -> PictureRecipe | None:
    """The picture that shows the answer, for the derivation."""
    if form != "one-layer" or subject.figure != "receptive_field" or subject.position is None:
        return None
    if subject.report.shapes[subject.position].rank not in (1, 2) or len(subject.report.network.inputs) != 1:
        return None
    return figure("field", subject.target, subject.input, subject.node)


def figure(kind: str, target: str, shape: str, at: str = "") -> PictureRecipe:
    """A figure and what it says in words."""
    padding = part = ""
    if kind == "window":
        axes = _window_of(report_of(target, shape))
        padding = ", its padding in grey" if axes and any(a or b for _, a, b, *_ in axes) else ""
        part = "the upper left corner of " if axes and any(_shown(a) < sum(a[:3]) for a in axes) else ""
    return PictureRecipe(kind, target, shape, at, SAYS[kind].format(at=at, padding=padding, part=part))


def _shown(axis: tuple[int, ...]) -> int:
    """How many cells of an axis are drawn: all, padding included, or so many that the next window fits."""
    n, before, after, k, d, s = axis
    whole = n + before + after
    return whole if whole <= MOST_CELLS else max(CORNER, (k - 1) * d + 1 + s + 2)


def _windowed(subject: Subject) -> bool:
    report = subject.report
    if not subject.single or len(report.shapes) != 2 or subject.figure not in WINDOWED or report.shapes[0].rank != 2:
        return False
    return _window_of(report) is not None


def _window_of(report: Report) -> tuple[tuple[int, ...], ...] | None:
    """Per axis: positions, padding before and after, kernel, dilation, stride; None where there is no such window."""
    return _window_at(report, 1)


def _window_at(report: Report, position: int) -> tuple[tuple[int, ...], ...] | None:
    """The same of the layer at a position, which reads the one before."""
    layer: Any = report.network.nodes[position - 1].layer
    if layer.kind not in ("conv", "depthwise", "maxpool", "avgpool") or report.shapes[position - 1].channel != 0:
        return None
    found = []
    for axis, n in enumerate(report.shapes[position - 1].dims[1:]):
        kernel, stride, padding = (getattr(layer, name, None) for name in ("kernel", "stride", "padding"))
        dilation = getattr(layer, "dilation", (1,))
        if not isinstance(padding, tuple) or not isinstance(kernel, tuple) or not isinstance(stride, tuple):
            return None
        before, after = padding[axis % len(padding)]
        k, s, d = kernel[axis % len(kernel)], stride[axis % len(stride)], dilation[axis % len(dilation)]
        if _shown((n, before, after, k, d, s)) > MOST_CELLS or (k == 1 and s == 1):
            return None
        found.append((n, before, after, k, d, s))
    return tuple(found)


def _strips(report: Report, at: str) -> list[tuple[str, tuple[int, ...]]]:
    """Of a chain up to a place: the name and the window of each layer that has one; nothing where it is no chain of
    windows, where one window is not like the other on its axes, or where there are too many or too few of them."""
    network = report.network
    upto = network.position(at) if at else len(report.shapes) - 1
    if network.arity != 1 or any(s != (p - 1,) for p, s in enumerate(network.sources[:upto], 1)):
        return []
    found = []
    for position in range(1, upto + 1):
        node = network.nodes[position - 1]
        if node.layer.folds:
            continue
        if getattr(node.layer, "kernel", None) in ((1,), (1, 1)) and getattr(node.layer, "stride", (1,)) == (1,):
            axes: Any = ((report.shapes[position - 1].dims[-1], 0, 0, 1, 1, 1),)
        else:
            axes = _window_at(report, position)
        if not axes or len({a[1:] for a in axes}) != 1:
            return []
        found.append((node.name, axes[0]))
    return found if 2 <= len(found) <= MOST_STRIPS else []


def _spread_of(report: Report) -> tuple[int, int] | None:
    """Kernel and stride of the only layer, if that is a transposed convolution on an image, alike on both axes."""
    layer: Any = report.network.nodes[0].layer
    if layer.kind != "conv_transpose" or report.shapes[0].rank != 2:
        return None
    if len({*layer.kernel}) != 1 or len({*layer.stride}) != 1 or {*layer.dilation} != {1}:
        return None
    k, s = layer.kernel[0], layer.stride[0]
    return (k, s) if k + s + 2 <= MOST_CELLS else None


def checked(found: PictureRecipe) -> str:
    """What is wrong with a figure that somebody may have edited; empty if nothing is."""
    try:
        drawn(found)
    except RfcalcError as error:
        return f"has a picture that cannot be drawn: {error.what}"
    except (TypeError, ValueError, IndexError, KeyError):
        return "has a picture that cannot be drawn"
    return ""


@lru_cache(maxsize=64)
def drawn(found: PictureRecipe) -> Picture:
    """The picture of a figure.

    Raises:
        UnknownName: no such kind.
        RfcalcError: its target is no network of the zoo and no notation, or cannot be read.

    >>> picture = drawn(figure("window", "conv3-8/2 p1", "1x7x7"))
    >>> picture.title, [area.role for area in picture.areas].count("seen")
    ('a map and a window on it', 9)
    """
    from rfcalc.readers.target import named

    if found.kind not in SAYS:
        raise UnknownName("picture", found.kind, list(SAYS))
    if named(found.target).sort not in SORTS:
        raise RfcalcError("a picture is drawn of a network of the zoo or of notation", where=found.target)
    report = report_of(found.target, found.input)
    if found.kind == "field":
        from rfcalc.drawing.field import picture
        from rfcalc.drawing.options import Options

        return picture(report, Options(at=found.at))
    drawers = {"window": window, "stack": stack, "spread": spread, "graph": graph, "taps": taps}
    return drawers[found.kind](report, found)


def _rectangle(x: float, y: float, wide: float, high: float, role: str) -> Area:
    return Area(((x, y), (x + wide, y), (x + wide, y + high), (x, y + high)), role)


def window(report: Report, found: PictureRecipe) -> Picture:
    """The map of the only layer, as cells, with its window.

    Raises:
        RfcalcError: the layer has no window that can be drawn.
    """
    axes = _window_of(report)
    if axes is None or len(axes) != 2:
        raise RfcalcError("the layer has no window to draw", where=found.target)
    (rows, top, bottom, kh, dh, _), (columns, left, right, kw, dw, step) = axes
    high, wide = map(_shown, axes)
    more_high, more_wide = high < top + rows + bottom, wide < left + columns + right
    rows, columns = min(rows, high - top), min(columns, wide - left)
    cell = min(CELL * 1.6, 420 / max(high, wide))

    def place(x: float, y: float, w: float, h: float, role: str) -> Area:
        return _rectangle(EDGE + x * cell, EDGE + y * cell, w * cell, h * cell, role)

    areas = [place(0, 0, wide, high, "padding")] if (left, right, top, bottom) != (0, 0, 0, 0) else []
    areas.append(place(left, top, columns, rows, "map"))
    areas += [place(x * dw, y * dh, 1, 1, "seen") for y in range(kh) for x in range(kw)]
    grid = [
        *(
            ((EDGE + x * cell, EDGE), (EDGE + x * cell, EDGE + (high + 0.5 * more_high) * cell))
            for x in range(wide + 1)
        ),
        *(
            ((EDGE, EDGE + y * cell), (EDGE + (wide + 0.5 * more_wide) * cell, EDGE + y * cell))
            for y in range(high + 1)
        ),
    ]
    span = ((kw - 1) * dw + 1, (kh - 1) * dh + 1)
    corners = place(step, 0, *span, "frame").points
    lines = [Stroke(points, "grid") for points in grid] + [Stroke((*corners, corners[0]), "contour-outer")]
    size = (
        max(wide + 0.5 * more_wide, step + span[0]) * cell + 2 * EDGE,
        max(high + 0.5 * more_high, span[1]) * cell + 2 * EDGE,
    )
    return Picture(*size, tuple(areas), tuple(lines), title="a map and a window on it", description=found.says)


def stack(report: Report, found: PictureRecipe) -> Picture:
    """A strip of positions for each layer of a chain, with its window and the next; every strip goes on.

    Raises:
        RfcalcError: it is no chain of layers with windows.
    """
    strips = _strips(report, found.at)
    if not strips:
        raise RfcalcError("it is no chain of layers with windows", where=found.target)
    count = max(CORNER, *((k - 1) * d + 1 + s + 2 for _, (_, _, _, k, d, s) in strips))
    cell = min(CELL * 1.3, 420 / count)
    left = EDGE + max(width(name) for name, _ in strips) + 10
    areas: list[Area] = []
    lines: list[Stroke] = []
    texts: list[Label] = []
    for row, (name, (_, before, _, k, d, s)) in enumerate(strips):
        top = EDGE + row * (cell + 16)
        texts.append(Label(left - 10, top + cell / 2 + 4, name, "soft", "end"))
        if before:
            areas.append(_rectangle(left, top, before * cell, cell, "padding"))
        areas.append(_rectangle(left + before * cell, top, (count - before) * cell, cell, "map"))
        areas += [_rectangle(left + tap * d * cell, top, cell, cell, "seen") for tap in range(k)]
        lines += [Stroke(((left + x * cell, top), (left + x * cell, top + cell)), "grid") for x in range(count + 1)]
        for y in (top, top + cell):
            lines.append(Stroke(((left, y), (left + (count + 0.5) * cell, y)), "grid"))
        frame = _rectangle(left + s * cell, top - 3, ((k - 1) * d + 1) * cell, cell + 6, "frame").points
        lines.append(Stroke((*frame, frame[0]), "contour-outer"))
    size = left + (count + 0.5) * cell + EDGE, len(strips) * (cell + 16) - 16 + 2 * EDGE
    return Picture(*size, tuple(areas), tuple(lines), (), tuple(texts), title="windows", description=found.says)


def spread(report: Report, found: PictureRecipe) -> Picture:
    """The corner of the output of a transposed convolution, before anything is cut off, and what the first two values
    are added to.

    Raises:
        RfcalcError: the layer is no transposed convolution that can be drawn.
    """
    given = _spread_of(report)
    if given is None:
        raise RfcalcError("the layer spreads nothing that can be drawn", where=found.target)
    k, s = given
    count = max(CORNER // 2, k + s + 2)
    cell = min(CELL * 1.6, 420 / count)
    end = EDGE + (count + 0.5) * cell
    areas = [_rectangle(EDGE, EDGE, count * cell, count * cell, "map")]
    areas += [_rectangle(EDGE + x * cell, EDGE + y * cell, cell, cell, "seen") for y in range(k) for x in range(k)]
    lines = [Stroke(((EDGE + i * cell, EDGE), (EDGE + i * cell, end)), "grid") for i in range(count + 1)]
    lines += [Stroke(((EDGE, EDGE + i * cell), (end, EDGE + i * cell)), "grid") for i in range(count + 1)]
    frame = _rectangle(EDGE + s * cell, EDGE, k * cell, k * cell, "frame").points
    lines.append(Stroke((*frame, frame[0]), "contour-outer"))
    size = end + EDGE
    return Picture(size, size, tuple(areas), tuple(lines), title="where values are added", description=found.says)


def graph(report: Report, found: PictureRecipe) -> Picture:
    """The layers by name, from the input down, and what each reads."""
    network = report.network
    upto = network.position(found.at) if found.at else len(report.shapes) - 1
    names = [*network.inputs, *(node.name for node in network.nodes)][: upto + 1]
    if len(names) > 4 * MOST_BOXES:
        raise RfcalcError("the network has too many layers for a picture", where=found.target)
    links = [(s, p) for p in range(network.arity, upto + 1) for s in dict.fromkeys(network.sources[p - network.arity])]
    widths = [width(name) + 18 for name in names]
    places = layout(widths, links)
    step = BOX + 22
    boxes: dict[int, Box] = {}
    for slot in (slot for row in places.rows for slot in row):
        if slot.box is not None:
            corner = round(EDGE + slot.x - slot.width / 2, 2), EDGE + slot.row * step
            boxes[slot.box] = Box(*corner, slot.width, BOX, _role(report, slot.box), names[slot.box])
    lines = []
    for (a, b), slots in places.paths.items():
        points = [(EDGE + slots[0].x, EDGE + slots[0].row * step + BOX)]
        for upper, lower in pairwise(slots):
            points += [(EDGE + upper.x, EDGE + upper.row * step + BOX), (EDGE + lower.x, EDGE + lower.row * step)]
        lines.append(Stroke(tuple(points), "link", True, f"{names[b]} reads {names[a]}", (a, b)))
    right = max(slot.x + slot.width / 2 for row in places.rows for slot in row)
    return Picture(
        right + 2 * EDGE,
        len(places.rows) * step - 22 + 2 * EDGE,
        (),
        tuple(lines),
        tuple(boxes[i] for i in sorted(boxes)),
        title="what reads what",
        description=found.says,
    )


def _role(report: Report, position: int) -> str:
    if position < report.network.arity:
        return "input"
    kind = report.network.nodes[position - report.network.arity].layer.kind
    for role in ("conv", "pool"):
        if role in kind:
            return role
    return {"add": "merge", "concat": "merge", "linear": "dense"}.get(kind, "other")


def reads(report: Report) -> Iterator[tuple[int, ...]]:
    """The positions that the first units of a layer on a signal read, padding not counted."""
    (n, before, _, k, d, s) = _along(report)
    units = report.shapes[1].dims[-1]
    for unit in range(min(MOST_UNITS, units)):
        places = (unit * s - before + tap * d for tap in range(k))
        yield tuple(p for p in places if 0 <= p < n)


def _along(report: Report) -> tuple[int, ...]:
    axes = _window_of(report)
    if axes is None or len(axes) != 1:
        raise RfcalcError("the layer does not go along a signal", where=report.target)
    return axes[0]


def taps(report: Report, found: PictureRecipe) -> Picture:
    """The positions of a signal above, the first units of the layer below, and who reads what."""
    positions = _along(report)[0]
    if positions > MOST_CELLS:
        raise RfcalcError("the signal is too long for a picture", where=found.target)
    units = list(reads(report))
    step, high = 24.0, 84.0
    x = [EDGE + step * (i + 0.5) for i in range(positions)]
    top, low = EDGE + 18, EDGE + 18 + high
    areas = [_rectangle(place - 8, top, 16, 16, "map") for place in x]
    texts = [Label(place, top - 5, str(i), "soft", "middle") for i, place in enumerate(x)]
    lines = []
    for unit, read in enumerate(units):
        middle = x[0] + (unit + 0.5) * (x[-1] - x[0]) / len(units)
        areas.append(_rectangle(middle - 8, low, 16, 16, "seen"))
        texts.append(Label(middle, low + 30, str(unit), "strong", "middle"))
        lines += [Stroke(((middle, low), (x[p], top + 16)), "leader") for p in read]
    size = 2 * EDGE + step * positions, low + 40
    return Picture(*size, tuple(areas), tuple(lines), (), tuple(texts), title="who reads what", description=found.says)
