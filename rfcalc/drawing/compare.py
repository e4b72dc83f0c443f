"""The chart ``compare``: a bubble for each network, placed by two figures, as large as a third."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import cos, log10, pi, sin, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.drawing.axes import EDGE, powers, title_lines
from rfcalc.drawing.letters import HEIGHT, cut, width
from rfcalc.drawing.options import NONE, Options
from rfcalc.report.document import Area, Box, Cell, Column, Label, Picture, Sentences, Stroke, Table, TableLine
from rfcalc.report.metrics import Metric, metric
from rfcalc.report.units import short

if TYPE_CHECKING:
    from rfcalc.report import Report

METRICS = ("macs", "receptive_field", "params")
WIDE, HIGH = 560.0, 380.0
LARGEST = 34.0  # radius of the largest bubble
SIDES = 48  # corners of a bubble


class _Bubble(NamedTuple):
    name: str
    x: float
    y: float
    radius: float
    told: str


def picture(report: Report, options: Options = NONE) -> Picture:
    """The networks by three figures: across, upwards (both logarithmic), and the area of the bubble.

    Raises:
        RfcalcError: not three figures, or none of whole networks; no network has all of them.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("vgg16"), Options(others=(rfcalc.analyze("resnet50"),)))
    >>> [text.text for text in found.texts if text.text in ("vgg16", "resnet50")]
    ['resnet50', 'vgg16']
    """
    chosen = [_chosen(name) for name in options.metrics or METRICS]
    if len(chosen) != 3:
        raise RfcalcError(
            f"compare shows three figures, not {len(chosen)}", fix="name them: --metrics macs,receptive_field,params"
        )
    reports = (report, *options.others)
    names = _names(reports)
    figures = [[_number(m, r) for m in chosen] for r in reports]
    placed = [i for i, row in enumerate(figures) if all(row)]
    heads = [m.name.replace("_", " ") for m in chosen]
    if not placed:
        raise RfcalcError(f"no network has all of {', '.join(heads)} as positive numbers", fix="choose other --metrics")
    left_out = [
        f"{names[i]}: no {', no '.join(h for h, v in zip(heads, row, strict=True) if not v)}"
        for i, row in enumerate(figures)
        if i not in placed
    ]
    about = (
        f"across: {heads[0]}; upwards: {heads[1]} (both logarithmic); area: {heads[2]}",
        *(f"not placed: {t}" for t in left_out),
    )
    title = cut(" and ".join(names) if len(names) < 4 else f"{len(names)} networks", 60)
    texts, wide, top = title_lines(title, about)
    across, up = powers([figures[i][0] for i in placed]), powers([figures[i][1] for i in placed])
    left, bottom = EDGE + 56.0, top + 34 + HIGH
    top += 34
    lines = [Stroke(((left, top), (left, bottom), (left + WIDE, bottom)), "axis")]
    for value in across.marks:
        x = round(left + WIDE * across.place(value), 2)
        lines.append(Stroke(((x, top), (x, bottom)), "grid"))
        texts.append(Label(x, bottom + 18, short(value), "soft", "middle"))
    for value in up.marks:
        y = round(bottom - HIGH * up.place(value), 2)
        lines.append(Stroke(((left, y), (left + WIDE, y)), "grid"))
        texts.append(Label(left - 6, y + 4, short(value), "soft", "end"))
    texts += [Label(left, top - 12, heads[1], "strong"), Label(left + WIDE, bottom + 40, heads[0], "strong", "end")]
    largest = max(figures[i][2] for i in placed)
    bubbles = []
    for i in placed:
        a, b, size = figures[i]
        told = ", ".join(f"{h} {m.full(_whole(m, reports[i]))}" for h, m in zip(heads, chosen, strict=True))
        radius = max(3.0, LARGEST * sqrt(size / largest))
        bubbles.append(
            _Bubble(names[i], left + WIDE * across.place(a), bottom - HIGH * up.place(b), radius, f"{names[i]}: {told}")
        )
    bubbles.sort(key=lambda b: -b.radius)
    areas = [Area(_circle(b), "bubble", b.told) for b in bubbles]
    frame = (left + 2, top, left + WIDE + 24, bottom)
    for label, leader in _labels(bubbles, frame):
        texts.append(label)
        if leader:
            lines.append(Stroke(leader, "leader"))
    rows = [TableLine((Cell(names[i]), *(Cell(m.full(_whole(m, reports[i]))) for m in chosen))) for i in placed]
    table = Table((Column("network", "name", least=16), *(Column(head, right=True) for head in heads)), tuple(rows))
    told = f"{title}: {len(bubbles)} bubbles by {heads[0]}, {heads[1]} and {heads[2]}."
    legend = [*_legend(largest, heads[2], left + WIDE + 70, bottom)]
    texts += [label for label in legend if isinstance(label, Label)]
    areas += [area for area in legend if isinstance(area, Area)]
    ends = [width(t.text) * 1.1 + t.x for t in texts if t.anchor == "start"]
    boxes: tuple[Box, ...] = ()
    return Picture(
        max(wide, left + WIDE + 150, *ends) + EDGE,
        bottom + 50,
        tuple(areas),
        tuple(lines),
        boxes,
        tuple(texts),
        title,
        told,
        (table, Sentences(tuple(about), listed=False)),
    )


def _chosen(name: str) -> Metric:
    found = metric(name)
    if found.whole is None:
        raise RfcalcError(f"{found.name} is no figure of a whole network", fix="see rfcalc columns")
    return found


def _names(reports: Sequence[Report]) -> list[str]:
    found: list[str] = []
    for report in reports:
        name = cut(report.network.name or report.target, 30)
        same = sum(n == name or n.startswith(f"{name} (") for n in found)
        found.append(f"{name} ({same + 1})" if same else name)
    return found


def _whole(found: Metric, report: Report) -> Any:
    """The figure of a network; its receptive field is that of the last map which has positions."""
    if found.name == "receptive_field":
        return report.receptive_field(report.last_spatial).size
    assert found.whole is not None
    return found.whole(report)


def _number(found: Metric, report: Report) -> float:
    """The figure, the larger side where it has several; 0 where there is none."""
    value = _whole(found, report)
    values = [v for v in (value if isinstance(value, tuple | list) else (value,)) if v is not None and is_number(v)]
    return float(max(values, default=0))


def _circle(bubble: _Bubble) -> tuple[tuple[float, float], ...]:
    turn = 2 * pi / SIDES
    points = (
        (bubble.x + bubble.radius * cos(turn * i), bubble.y + bubble.radius * sin(turn * i)) for i in range(SIDES)
    )
    return tuple((round(x, 2), round(y, 2)) for x, y in points)


_Rect = tuple[float, float, float, float]


def _labels(bubbles: Sequence[_Bubble], frame: _Rect) -> Iterator[tuple[Label, tuple[tuple[float, float], ...]]]:
    """The names beside their bubbles, where they meet no other name and no bubble; farther ones with a line."""
    taken: list[_Rect] = [(b.x - b.radius, b.y - b.radius, b.x + b.radius, b.y + b.radius) for b in bubbles]
    for bubble in sorted(bubbles, key=lambda b: b.radius):
        size = width(bubble.name)
        for distance, turn in ((d, t) for d in range(0, 400, 8) for t in range(16)):
            angle = 2 * pi * turn / 16
            reach = bubble.radius + 5 + distance
            x, y = bubble.x + reach * cos(angle), bubble.y + reach * sin(angle)
            left = x if cos(angle) > 0.3 else x - size if cos(angle) < -0.3 else x - size / 2
            upper = y - HEIGHT / 2 + sin(angle) * HEIGHT / 2
            rect = (left, upper, left + size, upper + HEIGHT)
            inside = frame[0] <= rect[0] and frame[1] <= rect[1] and rect[2] <= frame[2] and rect[3] <= frame[3] - 2
            if inside and not any(
                rect[0] < t[2] and t[0] < rect[2] and rect[1] < t[3] and t[1] < rect[3] for t in taken
            ):
                break
        taken.append(rect)
        label = Label(round(left, 2), round(upper + 12, 2), bubble.name)
        start = (round(bubble.x + bubble.radius * cos(angle), 2), round(bubble.y + bubble.radius * sin(angle), 2))
        yield label, ((start, (round(x, 2), round(y, 2))) if distance > 8 else ())


def _legend(largest: float, head: str, x: float, bottom: float) -> Iterator[Label | Area]:
    """What the areas stand for: the largest one, and a tenth of it."""
    y = bottom - 16
    for share in (1.0, 0.1):
        value = largest * share
        digit = 10 ** int(log10(value)) if value >= 1 else 1
        value = max(1, value // digit * digit)
        radius = LARGEST * sqrt(value / largest)
        y -= radius
        yield Area(_circle(_Bubble("", x, y, radius, "")), "key", f"{head} {short(int(value))}")
        yield Label(x + LARGEST + 8, y + 4, short(int(value)), "soft")
        y -= radius + 12
    yield Label(x - LARGEST / 2, y - 4, head, "soft")
