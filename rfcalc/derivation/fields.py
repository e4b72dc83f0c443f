"""Receptive fields derived: backward as in the lesson, forward with jumps, by both ends where branches part them.

Global paths, joins of unequal strides and what is not known are told with their reasons. Imports `steps`, `paths`.
"""

from __future__ import annotations

from typing import Any

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.size import decide
from rfcalc.core.window import All, Slide, Window
from rfcalc.derivation.answer import finish
from rfcalc.derivation.model import DerivationSection, Equation, Explanation, Statement
from rfcalc.derivation.paths import EndPath, Hop, way
from rfcalc.derivation.steps import ALL, MIDDLE, PADDING, SIZE, PathStatements, affine, labelled, passes, plainly
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report import Report
from rfcalc.report.field_report import FieldReport
from rfcalc.report.metrics import Metric

AGREE = (
    "Both walks add the same numbers: a layer adds d × (k − 1) positions of the map that it reads, each worth as many "
    "pixels as the strides before it multiply to. Backward, the sum so far is multiplied by each stride on the way; "
    "forward, that product is S already."
)
AGREE_ENDS = (
    "Both walks find the same ends: a first (last) position is the smallest (largest) over all paths, and along a path "
    "each layer moves it by the same number of pixels, counted from either side."
)


def explained(
    report: Report, at: int, chosen: Metric, direction: str, source: str | None, unit: tuple[int, ...] | None
) -> Explanation:
    """A receptive field, its stride, padding, centre or status; F of a map seen from the last spatial layer."""
    name = labelled(report, at)[0]
    if chosen.name == "seen":
        return _seen(report, at, chosen, direction, source, unit)
    if at < report.network.arity:
        raise RfcalcError(
            f"{name} is an input, and has no {chosen.name}",
            why="an input has output_shape, values, bytes, saved_bytes and seen",
            fix="name a node after it",
        )
    field_report = FieldReport(report, name, source)
    return _of(field_report, chosen, direction, unit, name, getattr(field_report.field, _FIELD[chosen.name]))


_FIELD = {
    "receptive_field": "size",
    "seen": "size",
    "stride": "stride",
    "padding": "padding",
    "center": "center",
    "status": "status",
}


def _seen(
    report: Report, at: int, chosen: Metric, direction: str, source: str | None, unit: tuple[int, ...] | None
) -> Explanation:
    """F of a map: what one unit of the last spatial layer depends on of it."""
    if source is not None or unit is not None:
        raise RfcalcError("F is counted from the last spatial layer to this map", fix="leave out --from, --unit")
    last, name = report.last_spatial, labelled(report, at)[0]
    value = report.seen(at)
    if at >= last or all(v is None for v in value):
        why = "is the last spatial layer: one unit of it" if at == last else "does not feed the last spatial layer"
        return _finish(report, chosen, name, value, (DerivationSection("", (Statement(name, text=why),)),), name)
    field_report = FieldReport(report, labelled(report, last)[0], name)
    return _of(field_report, chosen, direction, None, name, value)


def _of(
    field_report: FieldReport, chosen: Metric, direction: str, unit: tuple[int, ...] | None, name: str, value: Any
) -> Explanation:
    report = field_report.report
    sections: list[DerivationSection] = []
    status = field_report.field.status
    if status in ("none", "unknown", "needs_input_size") or chosen.name == "status" or not field_report.source_shape:
        sections = [
            DerivationSection(
                "", tuple(Statement(text=t) for t in field_report.summary or ("it has no position in space",))
            )
        ]
    else:
        told: dict[Any, list[int]] = {}
        for axis in range(len(field_report.source_shape)):
            made = tuple(_axis(field_report, chosen.name, direction, axis))
            told.setdefault(_key(made), []).append(axis)
            if len(told[_key(made)]) == 1:
                sections += made
        sections = _headed(sections, told, len(field_report.source_shape))
    if unit is not None:
        from rfcalc.derivation.clip import unit_sections

        sections += unit_sections(field_report, unit)
    return _finish(report, chosen, name, value, tuple(sections), field_report.source_name, field_report)


def _key(sections: tuple[DerivationSection, ...]) -> Any:
    return tuple((s.heading, tuple(map(_line_key, s.lines))) for s in sections)


def _line_key(line: Statement) -> Any:
    return line.node, line.text, tuple((e.subject, str(dict(e.operands)), str(e.value)) for e in line.equations)


def _headed(sections: list[DerivationSection], told: dict[Any, list[int]], rank: int) -> list[DerivationSection]:
    """Say which axes a derivation is for: nothing on one axis, all alike, or each its own."""
    if rank == 1:
        return sections
    found = []
    it = iter(sections)
    for key, axes in told.items():
        for _ in key:
            section = next(it)
            which = (
                "all axes alike" if len(axes) == rank and rank > 2 else "both axes alike" if len(axes) == rank else ""
            )
            which = which or f"axis {', '.join(map(str, axes))}"
            found.append(section._replace(heading=f"{section.heading} ({which})"))
    return found


def _axis(field_report: FieldReport, metric: str, direction: str, axis: int) -> list[DerivationSection]:
    """Everything about one axis of the source."""
    field = field_report.field
    window = field.windows[axis]
    found: list[DerivationSection] = []
    if field.spans[axis] is not None:
        found.append(_global(field_report, axis))
    if window is None:
        if field.spans[axis] is None:
            found.append(_varies(field_report, axis))
        return found
    unit = _unit(window) if metric in ("receptive_field", "seen") else 0
    path = way(field_report.report, field_report.fields, field_report.position, field_report.origin, axis, unit)
    if path is None:
        return [
            *found,
            DerivationSection("the path", (Statement(text=f"the hull of all paths has {window.size} positions"),)),
        ]
    steps = PathStatements(field_report, path, axis)
    if metric == "stride" and field.stride[axis] is None:
        told = f"{field_report.name} is one position here: it has no neighbours, and no stride"
        return [*found, DerivationSection("no stride", (Statement(text=told),))]
    if metric == "stride":
        lines = tuple(steps.jumps()) or (Statement(text="no layer on the way has a stride: neighbours are 1 apart"),)
        return [*found, DerivationSection(f"the strides on the way, from {field_report.source_name} on", lines)]
    if metric in ("padding", "center"):
        return [*found, *_offset(field_report, steps, metric, window)]
    if affine(path):
        return [*found, *_chain(field_report, steps, direction)]
    return [*found, *_ends(field_report, steps, window, unit, direction)]


def _unit(window: Window) -> int:
    """The first unit of the largest phase."""
    if window.period == 1:
        return 0
    return next(i for i, n in enumerate(window.sizes) if decide(n == window.size) is True)


def _chain(field_report: FieldReport, steps: PathStatements, direction: str) -> list[DerivationSection]:
    """One path of sliding windows: sizes alone."""
    found = []
    start, goal = field_report.name, field_report.source_name
    if direction != "forward":
        lines = steps.backward() or [Statement(text=f"a unit of {start} sees one position of {goal}")]
        found.append(
            DerivationSection(f"backward, from one unit of {start} (F = 1) to {goal}", tuple(lines), steps.notes)
        )
    if direction != "backward":
        steps.skipped = 0
        lines = steps.forward() or [Statement(text=f"a unit of {start} sees one position of {goal}")]
        found.append(
            DerivationSection(
                f"forward, from one position of {goal} (r = 1, S = 1) to {start}", tuple(lines), steps.notes
            )
        )
    if direction == "both":
        found.append(DerivationSection("why they agree", (Statement(text=AGREE), Statement(equations=(steps.sum(),)))))
    return found


def _ends(
    field_report: FieldReport, steps: PathStatements, window: Window, unit: Any, direction: str
) -> list[DerivationSection]:
    """Both ends of one unit, along the path of each."""
    goal = field_report.source_name
    plain_windows = all(passes(h) or type(h.rule) is Slide for h in (*steps.way.first, *steps.way.last))
    found = []
    if window.period > 1:
        found.append(_phases(field_report, window, unit))
    if direction != "forward" or not plain_windows:
        found += _ends_back(field_report, steps, unit)
    if direction != "backward" and plain_windows:
        for which in ("first", "last"):
            steps.skipped = 0
            lines = tuple(steps.ends_forward(which))
            found.append(
                DerivationSection(f"forward, the {which} position that unit 0 sees, from {goal} on", lines, steps.notes)
            )
    elif direction != "backward":
        found.append(_windows(field_report, steps))
    ends = window.unit(unit)
    assert ends is not None
    if plain_windows and direction == "forward":
        ends = window.unit(0)
        assert ends is not None
    operands = {"last": ends[1], "first": ends[0]}
    size = Equation("size", SIZE, operands, ends[1] - ends[0] + 1, ("last", "first"))
    found.append(DerivationSection("the size", (Statement(equations=(size,)),)))
    if direction == "both":
        found.append(DerivationSection("why they agree", (Statement(text=AGREE_ENDS),)))
    return found


def _ends_back(field_report: FieldReport, steps: PathStatements, unit: Any) -> list[DerivationSection]:
    start, goal = field_report.name, field_report.source_name
    heading = f"backward, from unit {unit} of {start} (u = {unit}) to {goal}"
    if steps.way.one:
        return [DerivationSection(f"{heading}, both ends", tuple(steps.ends()), steps.notes)]
    found = []
    for which in ("first", "last"):
        steps.skipped = 0
        lines = tuple(steps.end(which))
        found.append(DerivationSection(f"{heading}, the {which} position", lines, steps.notes))
    return found


def _positions(count: Any) -> str:
    return "1 position" if decide(count == 1) is True else f"{count} positions"


def _phases(field_report: FieldReport, window: Window, unit: Any) -> DerivationSection:
    lines = []
    for phase, (size, ends) in enumerate(zip(window.sizes, window.ends, strict=True)):
        if phase >= 8:
            lines.append(Statement(text=f"… and {plural(window.period - 8, 'phase')} more"))
            break
        told = "sees nothing" if ends is None else f"sees {ends[0]} … {ends[1]}: {_positions(size)}"
        lines.append(Statement(text=f"unit {phase} {told}" + (" (derived here)" if phase == unit else "")))
    if unit >= 8:
        lines.append(Statement(text=f"unit {unit} sees the most, {window.size} positions (derived here)"))
    moved = f"{window.period} units further it is the same, {_positions(window.advance)} further"
    return DerivationSection(f"what a unit of {field_report.name} sees depends on its position: {moved}", tuple(lines))


def _windows(field_report: FieldReport, steps: PathStatements) -> DerivationSection:
    """Forward where maps have phases: what the first units of each map on the way see."""
    report = field_report.report
    lines = []
    for hop in steps.way.first[::-1]:
        if passes(hop):
            continue
        shape = report.shapes[hop.position]
        window = ReceptiveField(field_report.fields[hop.position], report.shapes[field_report.origin], shape).windows[
            steps.axis
        ]
        if window is None:
            continue
        units = [f"unit {u} {'nothing' if e is None else f'{e[0]} … {e[1]}'}" for u, e in enumerate(window.ends[:4])]
        more = f", …; {window.period} units further {_positions(window.advance)} further" if window.period > 1 else ""
        name, notation = labelled(report, hop.position)
        lines.append(
            Statement(name, notation, text=", ".join(units) + (more or f"; neighbours {window.advance} apart"))
        )
    return DerivationSection(f"forward, what units see of {field_report.source_name}", tuple(lines))


def _offset(field_report: FieldReport, steps: PathStatements, metric: str, window: Window) -> list[DerivationSection]:
    """Effective padding or centre: from the input on where windows slide, else from unit 0 back."""
    if affine(steps.way):
        lines = tuple(steps.offsets(metric)) or (Statement(text=f"unit 0 of {field_report.name} is position 0"),)
        start = "P = 0, S = 1" if metric == "padding" else "c = 0, S = 1"
        return [
            DerivationSection(
                f"from position 0 of {field_report.source_name} ({start}) to unit 0 of {field_report.name}",
                lines,
                steps.notes,
            )
        ]
    ends = window.unit(0)
    if ends is None:
        return [DerivationSection("", (Statement(text=f"unit 0 of {field_report.name} sees nothing"),))]
    found = _ends_back(field_report, steps, 0)
    if metric == "padding":
        found = found[:1]
        made = Equation("padding", PADDING, {"first": ends[0]}, -ends[0], ("first",))
    else:
        from fractions import Fraction

        first = Fraction(ends[0]) if hasattr(ends[0], "__index__") else ends[0]
        operands = {"first": first, "last": ends[1]}
        made = Equation("centre", MIDDLE, operands, plainly(MIDDLE(**operands)), ("first", "last"))
    return [*found, DerivationSection("of unit 0", (Statement(equations=(made,)),))]


def _global(field_report: FieldReport, axis: int) -> DerivationSection:
    """The path that every unit sees the same through, and the node that makes it global."""
    span = field_report.field.spans[axis]
    assert span is not None
    report = field_report.report
    path: EndPath | None = way(
        report, field_report.fields, field_report.position, field_report.origin, axis, 0, local=False
    )
    lines = []
    for hop in path.first if path is not None else ():
        if type(hop.rule) is All and not passes(hop):
            lines += _whole_map(field_report, hop, axis, span)
            break
    else:
        lines.append(Statement(text=f"every unit sees {span[0]} … {span[1]}, padding counted"))
    n = field_report.source_shape[axis]
    whole = decide(span[0] <= 0) is True and decide(span[1] >= n - 1) is True
    real = f"all {n} positions" if whole else f"positions {max(span[0], 0)} … {min(span[1], n - 1)} of {n}"
    lines.append(Statement(text=f"cut to {field_report.source_name}: {real}"))
    through = ", ".join(field_report.field.through[:3]) + (" …" if len(field_report.field.through) > 3 else "")
    return DerivationSection(f"global, through {through}", tuple(lines))


def _whole_map(field_report: FieldReport, hop: Hop, axis: int, span: tuple[Any, Any]) -> list[Statement]:
    """The node that reads a whole map, and what all units of that map see together."""
    report = field_report.report
    name, notation = labelled(report, hop.position)
    before = labelled(report, hop.source)[0]
    n = hop.rule.extent
    shape = report.shapes[hop.source]
    field = ReceptiveField(field_report.fields[hop.source], report.shapes[field_report.origin], shape)
    window = field.windows[axis]
    text = f"reads all {n} positions of {before}; together they see {span[0]} … {span[1]}"
    if window is None or window.period > 1 or window.ends[0] is None:
        return [Statement(name, notation, text=text)]
    first, last = window.ends[0]
    operands = {"B": last, "S": window.advance, "n": n}
    made = Equation("last", ALL, operands, ALL(**operands))
    if decide(made.value == span[1]) is not True or decide(first == span[0]) is not True:
        return [Statement(name, notation, text=text)]
    told = f"unit 0 of {before} sees {first} … {last}, and neighbours are {window.advance} apart"
    return [
        Statement(name, notation, text=f"reads all {n} positions of {before}"),
        Statement(text=told),
        Statement(equations=(made,)),
    ]


def _varies(field_report: FieldReport, axis: int) -> DerivationSection:
    """Why no size holds for all units, and the strides of the paths that meet."""
    said = (t.removeprefix(f"Axis {axis}: ") for t in field_report.summary if t.startswith(f"Axis {axis}: "))
    lines = [Statement(text=t[:1].upper() + t[1:]) for t in said]
    for join in field_report.field.joins:
        if join["axis"] != axis:
            continue
        for path in join["paths"]:
            if path["stride"] is None:
                continue
            position = field_report.report.network.position(path["node"])
            found = way(field_report.report, field_report.fields, position, field_report.origin, axis, 0)
            if found is not None:
                lines += PathStatements(field_report, found, axis).jumps()
    return DerivationSection(
        "no common size", tuple(lines) or (Statement(text="what a unit sees depends on its position"),)
    )


def _finish(
    report: Report,
    chosen: Metric,
    name: str,
    value: Any,
    sections: tuple[DerivationSection, ...],
    source: str,
    field_report: FieldReport | None = None,
) -> Explanation:
    said = _said(chosen, value, field_report)
    return finish(report, chosen, name, value, sections, source, said)


def _said(chosen: Metric, value: Any, field_report: FieldReport | None) -> str:
    """The answer: a size, what kind of size, or why there is none."""
    from rfcalc.derivation.algebra import UNICODE, number

    if isinstance(value, str):
        return value
    by = " x ".join(number(v, UNICODE) for v in value) if value else ""
    if field_report is None or chosen.name not in ("receptive_field", "seen"):
        return chosen.full(value) if value and chosen.name in ("stride", "padding", "center") else by or "none"
    status = field_report.field.status
    if status == "exact":
        return by
    if status == "periodic":
        varies = any(len(set(w.sizes)) > 1 for w in field_report.field.windows if w is not None)
        return f"at most {by}, depending on the position" if varies else by
    told = field_report.summary[0] if field_report.summary else status
    local = f" Local paths alone: {by}." if status == "global" and None not in value and value else ""
    return told + local
