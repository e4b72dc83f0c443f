"""What is asserted of one explanation: every number in it is the walk's, the report's, or follows by its formula."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rfcalc.core.cost import OPERATIONS
from rfcalc.derivation.deriving import derive
from rfcalc.derivation.model import Explanation, Statement
from rfcalc.graph.autograd import kept
from rfcalc.receptive.backward import backward
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report import Report
from rfcalc.report.field_report import FieldReport
from rfcalc.report.metrics import METRICS

AXES = ("both axes alike", "all axes alike")
PARAMS = ("weights", "biases", "buffers", "params")


def check(report: Report, node: str | None, metric: str, **how: Any) -> Explanation:
    """Derive a figure and check everything that is said about it."""
    found = derive(report, node, metric, **how)
    chosen = METRICS[metric]
    if not how.get("source"):
        read = chosen.whole if node is None else chosen.row
        assert read is not None
        expected = read(report if node is None else report[node])  # type: ignore[arg-type]
        assert found.value == expected, (found.result, expected)
    results: list[Any] = [0, 1]
    for equation in found.equations:
        assert equation.formula(**equation.operands) == equation.value, equation
        for name in equation.carried:
            value = equation.operands.get(name)
            parts = value if isinstance(value, tuple) else (value,)
            for part in parts:
                assert value is None or part in results or _is_end(found, part), (found.result, equation)
        results.append(equation.value)
    checked = _METRICS.get(chosen.name)
    if checked is not None:
        checked(report, found, node)
    elif chosen.name in (*PARAMS, "macs", "flops", *OPERATIONS):
        _costs(report, found, node)
    return found


def _is_end(found: Explanation, value: Any) -> bool:
    """Ends of an interval come from the window; `_field` compares them."""
    return found.metric in ("receptive_field", "seen", "center", "padding", "weight_layers", "nodes")


def _lines(found: Explanation) -> list[Statement]:
    return [line for section in found.sections for line in section.lines]


def _costs(report: Report, found: Explanation, node: str | None) -> None:
    """Each node's own figures, each count of alike nodes, and the sum."""
    for line in _lines(found):
        if not line.node:
            continue
        for name in line.nodes or (line.node,):
            row = report[name]
            for e in line.equations:
                told = e.subject.replace(" ", "_")
                if e.formula.metric in ("times", "batch"):
                    continue
                if row.shared_with and told in PARAMS and found.metric not in PARAMS:
                    continue  # the operations use weights that another node counts
                own = row.ops[told] if told in OPERATIONS else getattr(row, told)
                alone = own // report.batch if told in (*OPERATIONS, "macs") and report.batch > 1 else own
                assert e.value in (own, alone), (found.result, line.node, e, own)
    if node is None:
        named = {name for line in _lines(found) for name in (line.nodes or (line.node,)) if name}
        for row in report:
            value = METRICS[found.metric].row(row)  # type: ignore[misc]
            assert (value != 0) == (row.name in named), (found.result, row.name)
        assert found.equations[-1].value == found.value
    elif found.equations:
        assert found.equations[-1].value == found.value or report[node].shared_with, found.result


def _shapes(report: Report, found: Explanation, node: str | None) -> None:
    for line in _lines(found):
        for e in line.equations:
            if e.subject == "Out":
                assert e.value in report[line.node].output_shape, (found.result, line)


def _values(report: Report, found: Explanation, node: str | None) -> None:
    named: dict[str, int] = {}
    for line in _lines(found):
        for name in line.nodes or (line.node,):
            for e in line.equations:
                if name and e.subject in ("values", "bytes") and e.formula.metric not in ("times", "batch", "total"):
                    shape = report.shapes[report.network.position(name)]
                    size = 1 if e.subject == "values" else report.itemsize
                    assert e.value == shape.values * report.batch * size, (found.result, line)
                    named[name] = e.value
    if node is None and found.metric == "values":
        assert sum(named.values()) == found.value
    assert found.equations[-1].value == found.value


def _saved(report: Report, found: Explanation, node: str | None) -> None:
    amounts = kept(report)
    names = [*report.inputs, *(row.name for row in report)]
    told: dict[str, int] = {}
    for line in _lines(found):
        if line.node and line.equations:
            equations = [e for e in line.equations if e.formula.metric != "times"]
            for name in line.nodes or (line.node,):
                told[name] = told.get(name, 0) + equations[-1].value
    for position, amount in enumerate(amounts):
        if node is None or names[position] == node:
            total = amount.total(report.itemsize, report.batch)
            assert told.get(names[position], 0) == total, (found.result, names[position])


def _peak(report: Report, found: Explanation, node: str | None) -> None:
    assert found.equations[-1].value == report.totals.peak_bytes
    live = [report.shapes[report.network.position(line.node)].values for line in _lines(found) if line.node]
    beside = found.equations[-1].operands.get("indices", 0)
    assert found.equations[-2].value == sum(live) * report.batch
    assert report.itemsize * sum(live) * report.batch + 8 * beside == found.equations[-1].value


def _field(report: Report, found: Explanation, node: str | None) -> None:
    """Every line of either walk against that walk, run by itself; every end against the unit's window."""
    if found.metric == "seen":
        field_report = (
            FieldReport(report, report[node].name and _name(report, report.last_spatial), node)
            if _counts(report, node)
            else None
        )
    else:
        field_report = FieldReport(report, found.node, found.source)
    if field_report is None:
        return
    back = backward(report, field_report.position)
    shape = report.shapes[field_report.origin]
    for section in found.sections:
        axes = _axes(section.heading, len(field_report.source_shape))
        for axis in axes:
            here = {"F": 1}
            for line in section.lines:
                for e in line.equations:
                    if e.subject == "F":
                        _counted_back(report, back, line.node, axis, shape, e.value)
                        assert e.operands["F"] == here["F"]
                        here["F"] = e.value
                    elif e.subject in ("r", "S", "P", "c") and line.node:
                        _counted_on(report, field_report, line.node, axis, e.subject, e.value, found.metric)
            if "real pixels" not in section.heading:
                _whole(field_report, section, axis, found)


def _counts(report: Report, node: str | None) -> bool:
    position = report.network.position(node or "")
    return position < report.last_spatial and any(v is not None for v in report.seen(position))


def _name(report: Report, position: int) -> str:
    return report.network.nodes[position - report.network.arity].name


def _axes(heading: str, rank: int) -> list[int]:
    if rank == 1 or any(word in heading for word in AXES):
        return list(range(rank))
    return [int(a) for a in heading.rpartition("(axis ")[2].rstrip(")").split(",")] if "(axis " in heading else []


def _counted_back(report: Report, back: Any, node: str, axis: int, source: Any, value: int) -> None:
    """F of the map that the node reads, as the backward walk has it."""
    position = report.network.position(node)
    sizes = []
    for s in report.network.sources[position - report.network.arity]:
        windows = back[s]
        if windows is None:
            return
        at = report.shapes[s].axes
        turned = any(node.layer.kind in ("permute", "matmul", "reshape", "flatten") for node in report.network.nodes)
        sizes += [windows[a].size for i, a in enumerate(at) if a in windows and (i == axis or turned)]
    assert value in sizes or any(n > value for n in sizes), (node, value, sizes)


def _counted_on(
    report: Report, field_report: FieldReport, node: str, axis: int, subject: str, value: Any, metric: str
) -> None:
    """r, S, P or c of a node, as the forward walk has it."""
    position = report.network.position(node)
    field = ReceptiveField(field_report.fields[position], report.shapes[field_report.origin], report.shapes[position])
    window = field.windows[axis]
    assert window is not None
    ends = window.unit(0)
    if ends is None:  # unit 0 reads nothing: it has no padding and no centre
        assert subject in ("r", "S")
        ends = (0, 0)
    if field.stride[axis] is None and subject == "S":  # one position: no neighbours
        return
    read = {"r": window.size, "S": Fraction(*window.stride), "P": -ends[0], "c": Fraction(ends[0] + ends[1], 2)}
    assert value == read[subject], (node, subject, value, read)


def _whole(field_report: FieldReport, section: Any, axis: int, found: Explanation) -> None:
    """What a section comes to is the window's."""
    window = field_report.field.windows[axis]
    equations = [e for line in section.lines for e in line.equations]
    if window is None or not equations:
        return
    last = equations[-1]
    if last.subject in ("F", "r") or (last.subject == "size" and last.formula.metric == "receptive_field"):
        assert last.value == window.size, (found.result, last)
    if last.subject == "S" and field_report.field.stride[axis] is not None:
        assert last.value == Fraction(*window.stride), (found.result, last)
    read = {last.subject: last.value, **{e.subject: e.value for e in equations[-2:]}}
    if "backward, from unit" in section.heading:
        unit = int(section.heading.partition("unit ")[2].partition(" ")[0])
        ends = window.unit(unit)
        assert ends is not None
        for e in equations:
            if e.subject in ("first", "last"):
                read[e.subject] = e.value
        for which, end in zip(("first", "last"), ends, strict=True):
            if which in read:
                assert read[which] == end, (found.result, section.heading, which, read, ends)
    ends = window.unit(0)
    if section.heading.startswith("forward, the") and ends is not None:
        which = "first" if "the first" in section.heading else "last"
        assert read[which] == ends[0 if which == "first" else 1], (found.result, section.heading)


_METRICS = {
    "output_shape": _shapes,
    "values": _values,
    "bytes": _values,
    "saved_bytes": _saved,
    "peak_bytes": _peak,
    "receptive_field": _field,
    "stride": _field,
    "padding": _field,
    "center": _field,
    "seen": _field,
}
