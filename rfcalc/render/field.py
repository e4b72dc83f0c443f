"""What one node sees, as text with a picture, or as JSON (schema rfcalc/rf/1)."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.errors import RfcalcError
from rfcalc.render.picture import draw
from rfcalc.report.field_report import FieldReport, effective_sentences

TO_ASCII = str.maketrans({"×": "x", "–": "-", "−": "-", "…": "..", "≥": ">="})


def text(
    sight: FieldReport,
    unit: Sequence[int] | None = None,
    pixel: Sequence[int] | None = None,
    effective: bool = False,
    plain: bool = False,
) -> str:
    """Sentences, then one unit: its interval, its real pixels, a picture; then what else was asked for."""
    lines = list(sight.sentences)
    if sight.field.status in ("none", "unknown", "needs_input_size"):
        if unit is not None or pixel is not None:
            raise RfcalcError(f"units of {sight.name} cannot be shown", why=" ".join(lines))
        return "\n".join(lines)
    if sight.sized and (sight.shape or sight.field.status == "global"):
        chosen = tuple(unit) if unit is not None else sight.centre_unit
        try:
            lines += ["", *_unit(sight, chosen), draw(sight, chosen, ascii_only=plain)]
        except RfcalcError:
            if unit is not None:
                raise
    elif unit is not None:
        raise RfcalcError("real pixels need sizes in numbers", fix="give --input")
    if pixel is not None:
        lines += ["", _reached(sight, tuple(pixel))]
    if effective:
        lines += ["", *effective_sentences(sight, unit)]
    lines += [f"assumed: {a}" for a in sight.report.assumptions]
    shown = "\n".join(lines).rstrip()
    return shown.translate(TO_ASCII) if plain else shown


def json(sight: FieldReport, unit: Sequence[int] | None = None) -> str:
    """The answer as JSON."""
    from json import dumps

    return dumps(sight.to_dict(unit), indent=1, ensure_ascii=False)


def _unit(sight: FieldReport, unit: tuple[int, ...]) -> list[str]:
    region = sight.unit(unit)
    of = f"unit {','.join(map(str, unit))}" if unit else "the unit"
    interval = sight.interval(unit)
    told = [f"{e[0]} … {e[1]}" for e in interval if e is not None]
    counted = f"{', '.join(told)} with padding; " if len(told) == len(interval) else ""
    if region.hull is None:
        return [f"{of}: {counted}no real pixel"]
    real = ", ".join(f"{a} … {b}" for a, b in region.hull)
    size = " x ".join(map(str, region.size))
    count, hull = region.density
    holes = "" if count == hull else f", {count} of {hull} matter"
    return [f"{of}: {counted}real pixels {real} ({size}{holes})"]


def _reached(sight: FieldReport, pixel: tuple[int, ...]) -> str:
    units = sight.regions.reached_by(pixel)
    of = f"pixel {','.join(map(str, pixel))}"
    if not units:
        return f"{of} reaches no unit of {sight.name}"
    ends = [(min(u[i] for u in units), max(u[i] for u in units)) for i in range(len(units[0]))]
    where = ", ".join(f"{a} … {b}" for a, b in ends)
    total = 1
    for n in sight.shape:
        total *= int(n)
    return f"{of} reaches {len(units)} of {total} units of {sight.name}" + (f": {where}" if where else "")
