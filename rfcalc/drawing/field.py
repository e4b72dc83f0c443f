"""The chart ``field``: what a unit reads of a map, over an image or none, and how its gradient spreads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.drawing.axes import EDGE, title_lines
from rfcalc.drawing.letters import width
from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.outline import outlines
from rfcalc.report.document import Area, Image, Label, Picture, Runs, Sentences, Stroke
from rfcalc.report.field_document import grid, told
from rfcalc.report.field_report import FieldReport

if TYPE_CHECKING:
    from rfcalc.receptive.effective import Spread
    from rfcalc.report import Report

LARGE = 460.0  # the longer side of the map
FLAT = 46.0  # the height of a signal
MOST = 6000  # rectangles
CELLS = 160  # of a contour, along an axis
SHARES = (0.5, 0.95)
SIGNS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}


class _Place(NamedTuple):
    """Where positions of the map lie on paper."""

    left: float
    top: float
    scale: float
    high: float  # of a position of a signal; 0 where the map has two axes

    def x(self, position: float) -> float:
        return round(self.left + position * self.scale, 2)

    def y(self, position: float) -> float:
        return round(self.top + position * (self.high or self.scale), 2)


def picture(report: Report, options: Options = NONE) -> Picture:
    """The region of a unit (the middle one), padding, holes, and the smallest sets of pixels that hold 50 % and 95 % of
    its gradient.

    Raises:
        RfcalcError: no such unit; sizes that are symbols; an operator that was not understood; no image.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-8 x2", "3x9x9"), Options(unit=(0, 0)))
    >>> [area.title for area in found.areas if area.role == "seen"]
    ['0 … 2, 0 … 2']
    """
    at = options.at or report.network.nodes[report.last_spatial - report.network.arity].name
    field = FieldReport(report, at, options.source)
    unit = options.unit if options.unit is not None else field.centre_unit
    if not field.sized:
        raise RfcalcError("a picture of real pixels needs sizes in numbers", fix="give --input")
    if not field.source_shape:
        raise RfcalcError(f"{field.source_name} has no axes to draw", fix="name another node with --from")
    found = grid(field, unit)
    region = field.unit(unit)
    title = f"what unit {','.join(map(str, unit))} of {field.name} sees of {field.source_name}"
    about = [f"{report.network.name or report.target}, {field.source_name} {'x'.join(map(str, field.source_shape))}"]
    about.append(told(field, unit).partition(": ")[2])
    rows, columns = found.frame if len(found.frame) > 1 else ((0, 1), found.frame[0])
    scale = LARGE / max(rows[1] - rows[0], columns[1] - columns[0])
    flat = len(found.shape) == 1
    boxes = [*_rectangles(found.layers, "seen")]
    if len(boxes) > MOST:
        hull = region.hull or ()
        boxes = [tuple((a, b + 1) for a, b in hull[-2:])]
        about.append("the region has too many parts to draw: its hull is drawn")
    contours, lines_told = _contours(field, unit)
    about += lines_told
    texts, wide, top = title_lines(title, about)
    left, top = EDGE + 44.0, top + 34.0
    place = _Place(left - columns[0] * scale, top if flat else top - rows[0] * scale, scale, FLAT if flat else 0.0)
    shape = (1, *found.shape) if flat else found.shape
    areas = [
        Area(
            _corners(place, ((0, shape[0]), (0, shape[1]))),
            "map",
            f"{field.source_name}: {'x'.join(map(str, found.shape))}",
        )
    ]
    areas += [Area(_corners(place, _two(box)), "padding", "padding") for box in _rectangles(found.layers, "clipped")]
    areas += [Area(_corners(place, _two(box)), "seen", ", ".join(f"{a} … {b - 1}" for a, b in box)) for box in boxes]
    lines, extra = [], 0.0
    bottom = place.y(rows[1])
    if flat and contours and contours[0].curve:
        extra = 90.0
        base = bottom + extra
        most = max(v for _, v in contours[0].curve)
        points = [(place.x(x + 0.5), round(base - 74 * v / most, 2)) for x, v in contours[0].curve]
        lines.append(Stroke(tuple(points), "contour", title="the gradient's share of each position"))
        lines.append(Stroke(((place.x(columns[0]), base), (place.x(columns[1]), base)), "axis"))
    marks = []
    for contour in contours:
        for loop in contour.loops:
            points = [(place.x(x), place.y(y)) for x, y in loop]
            points.append(points[0])
            if options.image is not None:  # seen on whatever the image shows
                marks.append(Stroke(tuple(points), "casing"))
            marks.append(Stroke(tuple(points), contour.role, title=contour.told))
    lines += marks
    texts += _ticks(place, found.shape, region.hull, left, bottom + extra)
    image = None
    if options.image is not None:
        kind, data = _image(options.image)
        image = Image(
            place.x(0),
            place.y(0),
            round(shape[1] * scale, 2),
            round(shape[0] * (FLAT if flat else scale), 2),
            kind,
            data,
        )
    right = max(wide, place.x(columns[1]) + 30)
    return Picture(
        right + EDGE,
        bottom + extra + 34,
        tuple(areas),
        tuple(lines),
        (),
        tuple(texts),
        title,
        ". ".join([title, *about]) + ".",
        (Sentences((title, *about), listed=False),),
        (),
        image,
    )


def _rectangles(layers: Sequence[Runs], role: str) -> Iterator[tuple[tuple[int, int], ...]]:
    for layer in layers:
        if layer.role == role:
            if len(layer.axes) == 1:
                yield from ((run,) for run in layer.axes[0])
            else:
                yield from ((y, x) for y in layer.axes[0] for x in layer.axes[1])


def _two(box: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(box) if len(box) > 1 else ((0, 1), *box)


def _corners(place: _Place, box: Sequence[tuple[int, int]]) -> tuple[tuple[float, float], ...]:
    (top, bottom), (left, right) = box
    x0, x1, y0, y1 = place.x(left), place.x(right), place.y(top), place.y(bottom)
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


class _Contour(NamedTuple):
    """The outline of the smallest set of positions that holds a share; along a signal, its curve."""

    role: str
    told: str
    loops: tuple[tuple[tuple[float, float], ...], ...]
    curve: tuple[tuple[int, float], ...] = ()


def _contours(field: FieldReport, unit: Sequence[int]) -> tuple[list[_Contour], list[str]]:
    try:
        spreads = field.effective_field(tuple(unit))
    except RfcalcError as error:
        return [], [f"no effective field is drawn: {error.what}"]
    if any(s is None for s in spreads):
        return [], []
    last = [s for s in spreads if s is not None][-2:]
    if len(last) == 1:
        curve = tuple(sorted(last[0].shares.items()))
        loops = [_Contour("contour", "", (), curve)]
        told = f"curve: the gradient's share of each position, σ {last[0].sigma:.1f}; uniform weights assumed"
        return loops, [told]
    (rows, tall), (columns, broad) = _cells(last[0]), _cells(last[1])
    products = sorted(((a * b, y, x) for y, a in rows.items() for x, b in columns.items()), reverse=True)
    found = []
    for share, role in zip(SHARES, ("contour", "contour-outer"), strict=True):
        held, least, cells = 0.0, 0.0, set()
        for value, y, x in products:
            if held >= share - 1e-9 and value < least * (1 - 1e-9):  # equals go together
                break
            held, least = held + value, value
            cells.add((y, x))
        loops_ = tuple(tuple((x * broad, y * tall) for x, y in loop) for loop in outlines(cells))
        found.append(_Contour(role, f"{share:.0%} of the gradient", loops_))
    sigma = " x ".join(f"{s.sigma:.1f}" for s in last)
    coarse = f", in cells of {tall} x {broad}" if max(tall, broad) > 1 else ""
    lines = f"lines: the fewest pixels that hold 50 % (inner) and 95 % of the gradient{coarse}; σ {sigma}"
    return found, [f"{lines}; uniform weights assumed"]


def _cells(spread: Spread) -> tuple[dict[int, float], int]:
    """The shares in cells of equal size, few enough to draw."""
    first, last = min(spread.shares), max(spread.shares)
    size = ceil((last - first + 1) / CELLS)
    found: dict[int, float] = {}
    for position, share in spread.shares.items():
        found[position // size] = found.get(position // size, 0.0) + share
    return found, size


def _ticks(
    place: _Place, shape: Sequence[int], hull: Sequence[tuple[int, int]] | None, left: float, bottom: float
) -> Iterator[Label]:
    """Positions at the edges of the map: its ends, and the region's where they do not stand too near."""
    wide = shape[-1]
    taken: list[tuple[float, float]] = []
    ends = hull[-1] if hull else ()
    for position, role in (*((e, "strong") for e in ends), (0, "soft"), (wide - 1, "soft")):
        x, size = place.x(position + 0.5), width(str(position)) * 1.1
        if not any(x - size / 2 < b + 4 and a - 4 < x + size / 2 for a, b in taken):
            taken.append((x - size / 2, x + size / 2))
            yield Label(x, bottom + 18, str(position), role, "middle")
    if len(shape) < 2:
        return
    taken = []
    ends = hull[-2] if hull else ()
    for position, role in (*((e, "strong") for e in ends), (0, "soft"), (shape[-2] - 1, "soft")):
        y = place.y(position + 0.5)
        if not any(abs(y - other) < 16 for other, _ in taken):
            taken.append((y, 0.0))
            yield Label(left - 6, round(y + 4, 2), str(position), role, "end")


def _image(file: Path) -> tuple[str, bytes]:
    """The kind and the bytes of an image.

    Raises:
        RfcalcError: there is no such file, or it is neither PNG nor JPEG.
    """
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise RfcalcError(f"{file} cannot be read", why=str(error.strerror or error)) from None
    for sign, kind in SIGNS.items():
        if data.startswith(sign):
            return kind, data
    raise RfcalcError(
        f"{file} is no image that can be shown", why="it is neither PNG nor JPEG", fix="convert it to PNG"
    )
