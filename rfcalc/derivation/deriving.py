"""From a report, a node and a metric to the explanation: which sections, and the answer in a sentence.

Every metric of the vocabulary has a deriver or is a sum over nodes; one that is added later and adds up is explained
without more code.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from rfcalc.core.cost import Formula
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.size import Size, is_number, walking_with
from rfcalc.derivation import backward, maps, totals
from rfcalc.derivation.answer import finish
from rfcalc.derivation.model import DerivationSection, Equation, Explanation, Statement
from rfcalc.derivation.rules import described
from rfcalc.derivation.symbols import analyzed
from rfcalc.report import Report, Row
from rfcalc.report.metrics import METRICS, SHARES, Metric, metric, part

if TYPE_CHECKING:
    from rfcalc.formulas.result import Symbolic

DIRECTIONS = ("backward", "forward", "both")
SEEN = ("receptive_field", "stride", "padding", "center", "seen", "status")
COSTS = ("weights", "biases", "buffers", "params", "macs", "flops")


def find(report: Report, name: str, node: str | None) -> tuple[Metric, int | None]:
    """The metric, and the position of the node (None for the whole network).

    Raises:
        UnknownName: of a metric or a node, with the nearest names.
        RfcalcError: a metric that is a figure of nodes only, or of the whole network only.
    """
    chosen = METRICS.get(name)
    if chosen is None:
        if _is_node(report, name) and node is not None and METRICS.get(node) is not None:
            raise RfcalcError(f"{node} is a metric, and {name} a node", fix=f"the node comes first: {name} {node}")
        if _is_node(report, name):
            raise RfcalcError(
                f"{name} is a node: which figure of it?", fix=f"name a metric after it: {name} receptive-field"
            )
        chosen = metric(name)  # says which there are
    if node is None:
        if chosen.whole is None:
            raise RfcalcError(
                f"{chosen.name} is a figure of one node, not of the whole network",
                fix=f"name a node before it: {report.outputs[0].name} {chosen.name}",
            )
        return chosen, None
    position = report.network.position(node)
    if chosen.row is None:
        raise RfcalcError(f"{chosen.name} is a figure of the whole network", fix=f"leave out the node {node}")
    return chosen, position


def _is_node(report: Report, name: str) -> bool:
    try:
        report.network.position(name)
    except UnknownName:
        return False
    return True


def explain(
    target: Any,
    *what: str,
    input: Any = None,  # noqa: A002
    batch: Size = 1,
    dtype: str = "float32",
    direction: str = "backward",
    source: str | None = None,
    unit: tuple[int, ...] | None = None,
) -> Explanation:
    """How a figure of a network comes about: each formula, with its numbers and its source.

    Args:
        target: a report, or what `rfcalc.analyze` takes; in notation, names may stand for sizes: ``conv3-C x3``.
        what: a node and a metric (``"pool5", "rf"``), or a metric alone for the whole network (``"params"``).
        input, batch, dtype: as for `rfcalc.analyze`.
        direction, source, unit: as for `derive`.

    Raises:
        RfcalcError: an unknown target, metric, node or direction; a metric that has no value there.

    >>> import rfcalc
    >>> print(rfcalc.explain("conv3-8 > conv3-8", "params", input="3x8x8").result)
    params of conv3-8 > conv3-8: 808
    """
    if not 1 <= len(what) <= 2:
        raise RfcalcError(
            f"{' '.join(what) or 'nothing'!r} is not a metric, or a node and a metric",
            fix='write explain("vgg16", "pool5", "rf"), or explain("vgg16", "params")',
        )
    report = target if isinstance(target, Report) else analyzed(target, input, batch=batch, dtype=dtype)
    node = what[0] if len(what) == 2 else None
    return derive(report, node, what[-1], direction=direction, source=source, unit=unit)


def derive(
    report: Report | Symbolic,
    node: str | None,
    name: str,
    *,
    direction: str = "backward",
    source: str | None = None,
    unit: tuple[int, ...] | None = None,
) -> Explanation:
    """How a figure comes about.

    Args:
        report: the network, analysed; its formulas where it has a repetition of unknown count.
        node: a node (a stage or block means its last), or an input; None for the whole network.
        name: a metric of the vocabulary, or an alias.
        direction: of receptive fields: ``backward`` as in the lesson, ``forward`` with jumps, ``both`` and why.
        source: where receptive fields are counted from: an input or an earlier node; the first input if left out.
        unit: for a receptive field also what this unit really sees, its padding cut away.

    Raises:
        RfcalcError: an unknown metric, node or direction; a metric that has no value there.

    >>> import rfcalc
    >>> report = rfcalc.analyze("conv3-8 x3", "3x7x7")
    >>> [(e.operands["F"], e.value) for e in derive(report, None, "rf").equations]
    [(1, 3), (3, 5), (5, 7)]
    """
    if direction not in DIRECTIONS:
        raise UnknownName("direction", direction, list(DIRECTIONS))
    if not isinstance(report, Report):
        from rfcalc.derivation.repeated import explained

        return explained(report, node, name)
    with nullcontext() if report.algebra is None else walking_with(report.algebra):
        return _derived(report, node, name, direction, source, unit)


def _derived(
    report: Report, node: str | None, name: str, direction: str, source: str | None, unit: tuple[int, ...] | None
) -> Explanation:
    chosen, position = find(report, name, node)
    if chosen.name in SEEN:
        from rfcalc.derivation.fields import explained

        at = report.network.position(report.network.outputs[0]) if position is None else position
        return explained(report, at, chosen, direction, source, unit)
    if source is not None or unit is not None:
        option = "--from" if source is not None else "--unit"
        raise RfcalcError(f"{option} goes with receptive fields, not with {chosen.name}", fix=f"leave out {option}")
    if position is None:
        assert chosen.whole is not None
        value = chosen.whole(report)
        sections = _whole(report, chosen, value)
        return finish(report, chosen, "", value, sections)
    inside = report.inside(node or "") if chosen.together else []
    if inside:
        value = chosen.over(inside)
        return finish(report, chosen, node or "", value, _together(report, chosen, inside, value))
    value, sections = _at(report, chosen, position)
    return finish(report, chosen, maps._name(report, position), value, sections)


def _whole(report: Report, chosen: Metric, value: Any) -> tuple[DerivationSection, ...]:
    name = chosen.name
    if name == "output_shape":
        return maps.shape_sections(report, report.network.position(report.network.outputs[0]))
    if name in ("values", "bytes"):
        return maps.total_values_sections(report, name)
    if name == "peak_bytes":
        return maps.peak_sections(report)
    if name == "saved_bytes":
        from rfcalc.derivation.saved import total_sections

        return total_sections(report)
    if name in COSTS or name in report.totals.ops:
        return totals.total_sections(report, chosen, value)
    if name == "weight_layers":
        owners = report.owners
        found = [(r, 0 if r.position in owners else chosen.row(r), _counted(r)) for r in report if chosen.row]
        return totals.summed(report, name, found, value)
    if name == "nodes":
        kinds: dict[str, int] = {}
        for row in report:
            kinds[row.kind] = kinds.get(row.kind, 0) + 1
        listed = sorted(kinds.items(), key=lambda k: -k[1])
        lines = [Statement(kind, text=f"{count}") for kind, count in listed]
        whole = Equation("nodes", totals.TOTAL, {"x": tuple(count for _, count in listed)}, value, ("x",))
        return (DerivationSection("nodes by kind", (*lines, Statement(equations=(whole,)))),)
    if name in SHARES:
        told = "the network has none" if value is None else "the whole network: all of it"
        return (DerivationSection("", (Statement(text=told),)),)
    if chosen.adds and chosen.row is not None:
        return totals.summed(report, name, [(r, chosen.row(r), _plainly(r, chosen)) for r in report], value)
    return (DerivationSection("", (Statement(text=chosen.meaning),)),)


def _together(report: Report, chosen: Metric, rows: Sequence[Row], value: Any) -> tuple[DerivationSection, ...]:
    """The sum over the nodes of a stage or block."""
    of = METRICS[SHARES.get(chosen.name, chosen.name)]
    total = value if of is chosen else of.over(rows)
    if of.name in ("values", "bytes"):
        sections = maps.live_sections(report, rows, of.name, total)
    elif of.name in COSTS or of.name in report.totals.ops:
        sections = totals.summed(report, of.name, [(r, *totals.node_line(r, of.name)) for r in rows], total)
    elif of.name == "saved_bytes":
        from rfcalc.derivation.saved import total_sections

        sections = total_sections(report, [row.position for row in rows])
    else:
        line = _counted if of.name == "weight_layers" else partial(_plainly, chosen=of)
        sections = totals.summed(report, of.name, [(r, of.row(r), line(r)) for r in rows if of.row], total)
    return (
        sections if of is chosen else (*sections, DerivationSection("", (_share("", "", report, chosen.name, total),)))
    )


def _counted(row: Row) -> Statement:
    owner = row.shared_with
    count = row.node.layer.weight_layers
    has = "has weights" if count == 1 else f"counts as {count} layers with weights"
    text = f"shares the weights of {owner}" if owner else has
    return Statement(row.name, row.notation, text=text)


def _plainly(row: Row, chosen: Metric) -> Statement:
    assert chosen.row is not None
    value = chosen.row(row)
    if chosen.name in backward.NAMES:
        return backward.line(row, chosen.name)
    if chosen.name in ("trainable", "frozen"):
        other = "frozen" if chosen.name == "trainable" else "trainable"
        rule = Formula(chosen.name, f"params - {other}", "what the source says")
        given = {"params": row.params, other: row.params - value}
        return Statement(row.name, row.notation, (Equation(chosen.name, rule, given, value),))
    return Statement(row.name, row.notation, text=f"{chosen.full(value)}")


def _share(node: str, notation: str, report: Report, name: str, amount: Any) -> Statement:
    """A part of the network's total."""
    of = METRICS[SHARES[name]]
    assert of.whole is not None
    whole = of.whole(report)
    value = part(amount, whole)
    if value is None:
        return Statement(node, notation, text="the network has none")
    rule = Formula(name, "x / total", f"{of.title}, of the whole network's")
    given = {"x": Fraction(int(amount)) if is_number(amount) and is_number(whole) else amount, "total": whole}
    return Statement(node, notation, (Equation("share", rule, given, value),))


def _at(report: Report, chosen: Metric, position: int) -> tuple[Any, tuple[DerivationSection, ...]]:
    name = chosen.name
    if position < report.network.arity:
        return _of_input(report, chosen, position)
    row = Row(report, position)
    assert chosen.row is not None
    value = chosen.row(row)
    if name == "output_shape":
        return value, maps.shape_sections(report, position)
    if name in ("values", "bytes"):
        return value, maps.values_sections(report, position, name)
    if name == "saved_bytes":
        from rfcalc.derivation.saved import node_sections

        return value, node_sections(report, position)
    if name in COSTS or name in row.ops:
        return value, totals.node_sections(row, chosen)
    if name in SHARES:
        of = METRICS[SHARES[name]]
        amount = of.row(row) if of.row else 0
        return value, (DerivationSection("", (_share(row.name, row.notation, report, name, amount),)),)
    if name in ("trainable", "frozen", *backward.NAMES):
        return value, (DerivationSection("", (_plainly(row, chosen),)),)
    if name == "weight_layers":
        return value, (
            DerivationSection(
                "", (_counted(row) if value else Statement(row.name, row.notation, text="has no weights"),)
            ),
        )
    return value, (DerivationSection("", (Statement(row.name, row.notation, text=_text(row, name, chosen)),)),)


def _of_input(report: Report, chosen: Metric, position: int) -> tuple[Any, tuple[DerivationSection, ...]]:
    """What an input has: a shape, values, bytes, what is kept of it."""
    shape = report.shapes[position]
    name = maps._name(report, position)
    if chosen.name == "output_shape":
        return shape.dims, (DerivationSection("", (Statement(name, text=f"the input, {shape}, as it was given"),)),)
    if chosen.name in ("values", "bytes"):
        sections = maps.values_sections(report, position, chosen.name)
        return sections[0].lines[0].equations[-1].value, sections
    if chosen.name == "saved_bytes":
        from rfcalc.derivation.saved import node_sections

        return report.kept[position].total(report.itemsize, report.batch), node_sections(report, position)
    raise RfcalcError(
        f"{name} is an input, and has no {chosen.name}",
        why="an input has output_shape, values, bytes, saved_bytes and seen",
        fix="name a node after it",
    )


def _text(row: Row, name: str, chosen: Metric) -> str:
    """A figure that is not computed, in a sentence."""
    told = {
        "name": f"called {row.name}" + (f", in stage {row.stage}" if row.stage else ""),
        "kind": described(row.node.layer),
        "notation": f"{row.notation}: {described(row.node.layer)}",
        "stage": f"stands in stage {row.stage}" if row.stage else "stands in no stage",
        "inputs": f"reads {', '.join(row.inputs)}" if row.inputs else "reads nothing",
    }
    return told.get(name, chosen.meaning)
