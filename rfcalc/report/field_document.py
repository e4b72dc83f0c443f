"""What one node sees as a document: sentences, one unit with a picture of its region, what one pixel reaches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.size import is_number
from rfcalc.receptive.region import Region, runs
from rfcalc.report.document import Document, Grid, Runs, Section, Sentences
from rfcalc.report.field_report import FieldReport
from rfcalc.report.field_sentences import effective_sentences


def document(
    field: FieldReport,
    unit: Sequence[int] | None = None,
    pixel: Sequence[int] | None = None,
    effective: bool = False,
    picture: bool = True,
) -> Document:
    """The answer as a document (JSON: schema rfcalc/rf/1).

    Args:
        field: what a node sees.
        unit: the unit whose real pixels are shown; the middle one if left out.
        pixel: an input pixel; which units it can reach is told.
        effective: the effective receptive field in closed form too.
        picture: whether the region is drawn.

    Raises:
        RfcalcError: a unit or pixel that cannot be shown.
    """
    lines = field.sentences
    sections: list[Section] = [Sentences(lines, listed=False)]
    known = field.field.status not in ("none", "unknown", "needs_input_size") and bool(field.source_shape)
    if not known and (unit is not None or pixel is not None):
        raise RfcalcError(f"units of {field.name} cannot be shown", why=" ".join(lines))
    if known and field.sized and (field.shape or field.field.status == "global"):
        chosen = tuple(unit) if unit is not None else field.centre_unit
        try:
            sections.append(_unit(field, chosen, picture))
        except RfcalcError:
            if unit is not None:
                raise
    elif known and unit is not None:
        raise RfcalcError("real pixels need sizes in numbers", fix="give --input")
    if pixel is not None:
        sections.append(Sentences((_reached(field, tuple(pixel)),), listed=False))
    if effective and known:
        sections.append(Sentences(effective_sentences(field, unit), listed=False))
    return Document(
        f"what a unit of {field.name} sees of {field.source_name}",
        tuple(sections),
        tuple(f"assumed: {a}" for a in field.report.assumptions) if known else (),
        data=partial(field.to_dict, unit),
    )


def _unit(field: FieldReport, unit: tuple[int, ...], picture: bool) -> Section:
    """One unit: its interval and real pixels in words, over a picture of them where the source has axes."""
    words = told(field, unit)
    extents = field.source_shape
    if not picture or not extents or not all(is_number(n) for n in extents):
        return Sentences((words,), listed=False)
    return grid(field, unit, words)


def grid(field: FieldReport, unit: tuple[int, ...], title: str = "") -> Grid:
    """The source with the unit's region on it; the padding that is clipped away is marked too.

    Three and more axes show the last two, through the middle of the region.
    """
    shape = tuple(int(n) for n in field.source_shape)
    interval = field.interval(unit)
    frame = tuple(
        (0, n) if e is None else (min(0, int(e[0])), max(n, int(e[1]) + 1))
        for n, e in zip(shape, interval, strict=True)
    )
    seen = [Runs(tuple(_half_open(mask) for mask in box)) for box in _slice(field.unit(unit), len(shape))]
    if any(e is not None and (e[0] < 0 or e[1] >= n) for e, n in zip(interval, shape, strict=True)):
        box = tuple(((f if e is None else (int(e[0]), int(e[1]) + 1)),) for f, e in zip(frame, interval, strict=True))
        seen.append(Runs(box[-2:], "clipped"))
    return Grid(shape[-2:], frame[-2:], tuple(seen), title)


def _half_open(mask: int) -> tuple[tuple[int, int], ...]:
    return tuple((a, b + 1) for a, b in runs(mask))


def _slice(region: Region, rank: int) -> list[tuple[int, ...]]:
    """The boxes on the last two axes, through the middle of the region on the others."""
    hull = region.hull
    if rank <= 2 or hull is None:
        return list(region.boxes)
    middle = [(a + b) // 2 for a, b in hull[:-2]]
    inside = [b for b in region.boxes if all(m >> p & 1 for m, p in zip(b[:-2], middle, strict=True))]
    return [b[-2:] for b in inside]


def told(field: FieldReport, unit: tuple[int, ...]) -> str:
    """What a unit sees in words: its interval with padding, and its real pixels."""
    region = field.unit(unit)
    of = f"unit {','.join(map(str, unit))}" if unit else "the unit"
    interval = field.interval(unit)
    told = [f"{e[0]} … {e[1]}" for e in interval if e is not None]
    counted = f"{', '.join(told)} with padding; " if len(told) == len(interval) else ""
    if region.hull is None:
        return f"{of}: {counted}no real pixel"
    real = ", ".join(f"{a} … {b}" for a, b in region.hull)
    size = " x ".join(map(str, region.size))
    count, hull = region.density
    holes = "" if count == hull else f", {count} of {hull} matter"
    return f"{of}: {counted}real pixels {real} ({size}{holes})"


def _reached(field: FieldReport, pixel: tuple[int, ...]) -> str:
    units = field.reached_by(pixel)
    of = f"pixel {','.join(map(str, pixel))}"
    if not units:
        return f"{of} reaches no unit of {field.name}"
    ends = [(min(u[i] for u in units), max(u[i] for u in units)) for i in range(len(units[0]))]
    where = ", ".join(f"{a} … {b}" for a, b in ends)
    total = prod(int(n) for n in field.shape)
    return f"{of} reaches {len(units)} of {plural(total, 'unit')} of {field.name}" + (f": {where}" if where else "")
