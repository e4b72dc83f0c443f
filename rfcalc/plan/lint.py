"""What is odd about a design, with the figures that show it and a remedy that was computed.

A rule looks at a report and gives findings. Adding a rule is adding a function to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, UnknownName, plural
from rfcalc.core.shape import Shape
from rfcalc.core.size import is_number
from rfcalc.plan.variants import Draft, along, windowed, with_geometry
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine
from rfcalc.report.field_report import FieldReport, misaligned
from rfcalc.report.report import Report

MOST_CHANGES = 6  # of paddings, to put joins in step
MOST_BEFORE = 24  # layers before a join of which another padding is tried
MOST_PIXELS = 40  # by which an input is made smaller or larger to see all of it


class Finding(NamedTuple):
    """Something odd: the rule, the node, what was found (with figures), and what helps."""

    rule: str
    node: str
    what: str
    remedy: str


Rule = Callable[[Report], Iterator[tuple[str, str, str]]]


def unproductive(report: Report) -> Iterator[tuple[str, str, str]]:
    """Layers that read a map whose units see the whole image already (Richter et al. 2021)."""
    found = sorted(report.unproductive)
    if not found:
        return
    nodes, arity = report.network.nodes, report.network.arity
    names = [nodes[p - arity].name for p in found]
    image = _by(next(iter(report.inputs.values())).spatial)
    seen = report[nodes[found[0] - arity].inputs[0]].receptive_field.size
    yield (
        names[0],
        f"{plural(len(names), 'layer')} from here on only combine what is seen: {_by(seen)} of {image} pixels",
        f"leave them out, or give images of more than {_by(seen)} pixels",
    )


def gridding(report: Report) -> Iterator[tuple[str, str, str]]:
    """Holes in what a unit sees: dilations without a factor in between."""
    for row in report.outputs:
        found = FieldReport(report, row.name)
        if not found.sized or not row.shape.rank:
            continue
        gap = found.gridding
        if gap is not None and max(gap[1]) > 0:
            node, holes = gap
            yield (
                node,
                f"units of {row.name} see with holes of up to {plural(max(holes), 'pixel')} from here on",
                _denser(report, node),
            )


def _denser(report: Report, node: str) -> str:
    """The largest dilation of a layer without holes: neighbouring taps are at most a field of its input apart."""
    row = report[node]
    source = row.inputs[0]
    if source in report.inputs:
        return "a dilation of 1 leaves none"
    field = report[source].receptive_field
    pairs = [(s, j) for s, j in zip(field.size, field.stride, strict=True) if s is not None and j]
    most = min((int(s // j) for s, j in pairs), default=1)
    return (
        f"{node} reads units of {_by(field.size)} pixels, {_by(field.stride)} apart: a dilation of {most} leaves none"
    )


def joins(report: Report) -> Iterator[tuple[str, str, str]]:
    """Maps that meet although their units do not lie over the same pixels."""
    found = list(misaligned(report))
    if found:
        _, name, _ = found[0]
        most = max(max(offset) for *_, offset in found)
        where = (
            f"{plural(len(found), 'join')} from here on read maps that are"
            if len(found) > 1
            else "it reads maps that are"
        )
        remedy = _in_step(report) or "no other padding of one layer before the first of them, with as much in all, does"
        yield (
            name,
            f"{where} out of step by up to {most} {'pixel' if most == 1 else 'pixels'}",
            remedy,
        )


def _in_step(report: Report) -> str:
    """Other paddings of single layers, with as much in all, after which no join is out of step; tried one by one."""
    changed: list[str] = []
    left = list(misaligned(report))
    while left and len(changed) < MOST_CHANGES:
        found = _nearer(report, left)
        if found is None:
            break
        told, report, left = found
        changed.append(told)
    if not changed:
        return ""
    rest = f"; {plural(len(left), 'join')} left" if left else ""
    verb = "puts" if len(changed) == 1 else "put"
    return f"{', '.join(changed)} (before:after) {verb} them in step{rest}"


def _nearer(report: Report, found: list[Any]) -> tuple[str, Report, list[Any]] | None:
    """One layer before the first join that is out of step with another padding, after which fewer joins are."""
    network, arity = report.network, report.network.arity
    before: set[int] = set()
    waiting = [found[0][0]]
    while waiting and len(before) < MOST_BEFORE:
        for s in network.sources[waiting.pop(0) - arity]:
            if s >= arity and s not in before:
                before.add(s)
                waiting.append(s)
    for position in sorted(before):
        row = report[network.nodes[position - arity].name]
        layer: Any = row.node.layer
        pads = getattr(layer, "padding", None)
        if not row.shape.rank or len(row.inputs) != 1 or not windowed(report, position):
            continue
        rank = row.shape.rank
        kernel, dilation = along(layer.kernel, rank), along(getattr(layer, "dilation", (1,)), rank)
        sides = [tuple(p) for p in along(pads, rank)] if isinstance(pads, tuple) else []
        if not sides and pads == "same":
            sides = [
                ((d * (k - 1)) // 2, d * (k - 1) - (d * (k - 1)) // 2) for k, d in zip(kernel, dilation, strict=True)
            ]
        for by in (1, -1, 2, -2):
            moved = tuple((a + by, b - by) for a, b in sides)
            if not sides or min(min(pair) for pair in moved) < 0:
                continue
            draft = Draft(report)
            try:
                draft.replace(row.name, with_geometry(layer, padding=moved))
                made = Report(draft.network(), report.inputs)
                left = list(misaligned(made))
            except RfcalcError:
                continue
            if len(left) < len(found):
                return f"{row.name} with padding {_by([f'{a}:{b}' for a, b in moved])}", made, left
    return None


def unseen(report: Report) -> Iterator[tuple[str, str, str]]:
    """Pixels that reach no output: floors cut them off."""
    for row in report.outputs:
        found = FieldReport(report, row.name)
        if not found.sized or not row.shape.rank:
            continue
        lost = found.unseen
        if lost:
            total = 1
            for n in next(iter(report.inputs.values())).spatial:
                total *= int(n)
            yield (
                row.name,
                f"{plural(lost, 'pixel')} of {total:,} reach no unit of it",
                _seeing(report, row.name),
            )


def _seeing(report: Report, node: str) -> str:
    """The nearest sizes of the input, smaller and larger, of which no pixel is lost, axis by axis.

    What is seen is a product over the axes, so that the part of an axis that is seen is largest where all of it is.
    """
    name, shape = next(iter(report.inputs.items()))
    whole = prod(int(n) for n in shape.spatial)

    def part(axis: int, size: int) -> Fraction | None:
        """Which part of the pixels is seen where one axis has another size."""
        other = Shape(*(size if a == axis else n for a, n in enumerate(shape.dims)), channel=shape.channel)
        try:
            again = Report(report.network, {**report.inputs, name: other})
        except RfcalcError:
            return None
        if again.totals.params != report.totals.params:
            return None
        pixels = whole // int(shape.dims[axis]) * size
        return 1 - Fraction(FieldReport(again, node).unseen or 0, pixels)

    nearest: dict[int, list[int]] = {-1: [], 1: []}
    for axis in shape.axes:
        n = int(shape.dims[axis])
        near = range(max(1, n - MOST_PIXELS), n + MOST_PIXELS + 1)
        parts = {size: p for size in near if (p := part(axis, size)) is not None}
        full = [size for size, p in parts.items() if p == max(parts.values())]
        for sign, sizes in nearest.items():
            fitting = [size for size in full if sign * (size - n) >= 0]
            sizes += [min(fitting, key=lambda size: abs(size - n))] if fitting else []
    told = []
    for sizes in nearest.values():
        if len(sizes) == shape.rank:
            by_axis = dict(zip(shape.axes, sizes, strict=True))
            other = Shape(*(by_axis.get(a, n) for a, n in enumerate(shape.dims)), channel=shape.channel)
            if not FieldReport(Report(report.network, {**report.inputs, name: other}), node).unseen:
                told.append(_by(sizes))
    if not told:
        return "no size near sees all: its windows leave gaps, or padding on the right has to bring the rest in"
    return f"of {' or '.join(dict.fromkeys(told))} pixels all are seen"


def needless_bias(report: Report) -> Iterator[tuple[str, str, str]]:
    """A bias before a normalisation that takes the mean away again."""
    network, arity = report.network, report.network.arity
    readers: dict[int, list[int]] = {}
    for position, sources in enumerate(network.sources, arity):
        for s in sources:
            readers.setdefault(s, []).append(position)
    for position, node in enumerate(network.nodes, arity):
        if not report[node.name].cost.biases or not node.layer.weight_layers:
            continue
        after = readers.get(position, [])
        if after and all(network.nodes[p - arity].layer.takes_mean_away for p in after):
            biases = int(report[node.name].cost.biases)
            norm = network.nodes[after[0] - arity].name
            told = f"{plural(biases, 'bias', 'biases')} before {norm}, which takes the mean away"
            yield node.name, told, f"without them (nobias) there are {plural(biases, 'parameter')} fewer"


def odd_channels(report: Report) -> Iterator[tuple[str, str, str]]:
    """Channels that no group divides well: a prime number, or not a multiple of 8 above 16."""
    for row in report:
        if not row.node.layer.weight_layers or row is report.outputs[-1] or row.name in report.network.outputs:
            continue
        n = row.shape.channels
        if is_number(n) and n > 16 and n % 8:
            more = -(-int(n) // 8) * 8
            yield row.name, f"{n} channels are no multiple of 8", f"{more} channels are the next that are"


def reach(report: Report) -> Iterator[tuple[str, str, str]]:
    """A receptive field far below the image, so that no unit sees what lies apart, or far above it."""
    for row in report.outputs:
        field = row.receptive_field
        image = [n for n in next(iter(report.inputs.values())).spatial if is_number(n)]
        size = [s for s in field.size if s is not None]
        if not size or len(size) != len(image) or field.status in ("global", "unknown", "none"):
            continue
        small = [(s, n) for s, n in zip(size, image, strict=True) if 4 * s < n]
        large = [(s, n) for s, n in zip(size, image, strict=True) if s > 4 * n]
        if small:
            s, n = small[0]
            yield row.name, f"its units see {s} of {n} pixels", _wider(field, int(s), int(n))
        if large:
            s, n = large[0]
            first = next((r.name for r in report if max(r.receptive_field.size or (0,), key=_known) >= n), row.name)
            yield (
                row.name,
                f"its units could see {s} pixels, the image has {n}",
                f"fields reach {n} pixels at {first}: an output there sees all of the image",
            )


def _known(value: Any) -> Any:
    return value if value is not None else 0


def _wider(field: ReceptiveField, size: int, image: int) -> str:
    """How many layers at the output would see the whole image."""
    stride = field.stride[0]
    if stride is None or not is_number(stride) or stride <= 0:
        return f'rfcalc design "rf >= {image}" lists what sees all of them'
    layers = -(-(image - size) // int(2 * stride)) if stride >= 1 else image - size
    dilated = next(k for k in range(1, 64) if size + 2 * stride * (2**k - 1) >= image)
    return (
        f"{layers} more 3 × 3 layers at its stride of {stride} see all of them, or {dilated} with dilations 1, 2, 4, …"
    )


def even_kernels(report: Report) -> Iterator[tuple[str, str, str]]:
    """Kernels of even size at stride 1: the map moves by half a pixel."""
    for row in report:
        kernel, stride = getattr(row.node.layer, "kernel", None), getattr(row.node.layer, "stride", None)
        if not isinstance(kernel, tuple) or not isinstance(stride, tuple) or not row.node.layer.weight_layers:
            continue
        sides = [
            k for k, s in zip(kernel, stride * len(kernel), strict=False) if is_number(k) and s == 1 and k % 2 == 0
        ]
        if sides:
            k = int(sides[0])
            yield (
                row.name,
                f"a kernel of {k} at stride 1 moves the map by half a pixel of its own grid",
                f"kernels of {k - 1} or {k + 1} have a centre",
            )


RULES: dict[str, Rule] = {
    "unproductive": unproductive,
    "gridding": gridding,
    "joins": joins,
    "unseen": unseen,
    "bias": needless_bias,
    "channels": odd_channels,
    "reach": reach,
    "even": even_kernels,
}


@dataclass(frozen=True)
class Lint:
    """What the rules found in a network."""

    report: Report
    rules: tuple[str, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/lint/1)."""
        return {
            "schema": "rfcalc/lint/1",
            "network": self.report.target,
            "input": {name: list(shape.dims) for name, shape in self.report.inputs.items()},
            "rules": list(self.rules),
            "findings": [f._asdict() for f in self.findings],
        }

    _repr_html_ = displayed

    def document(self) -> Document:
        """What `rfcalc design --lint` shows."""
        told = ", ".join(self.rules)
        if not self.findings:
            return Document(
                "design of " + self.report.target,
                (Sentences((f"Nothing odd was found ({told}).",)),),
                data=self.to_dict,
            )
        columns = (
            Column("rule"),
            Column("node", least=10),
            Column("found", "what", least=30, wraps=True),
            Column("remedy", least=30, wraps=True),
        )
        lines = tuple(TableLine(tuple(Cell(t) for t in finding)) for finding in self.findings)
        return Document(
            "design of " + self.report.target, (Table(columns, lines),), notes=(f"rules: {told}",), data=self.to_dict
        )


def lint(report: Report, rules: Sequence[str] | None = None) -> Lint:
    """Read a design.

    Args:
        report: the network at its input, with sizes in numbers.
        rules: names of `RULES`; all if left out.

    Raises:
        UnknownName: a rule that there is not.
        RfcalcError: sizes that are symbols.
    """
    chosen = tuple(rules) if rules else tuple(RULES)
    for name in chosen:
        if name not in RULES:
            raise UnknownName("rule", name, list(RULES))
    if not all(is_number(n) for shape in report.inputs.values() for n in shape.dims):
        raise RfcalcError("rules need sizes in numbers", fix="give an input such as 3x224x224")
    found = [Finding(name, *one) for name in chosen for one in RULES[name](report)]
    return Lint(report, chosen, tuple(found))


def _by(values: Any) -> str:
    if not isinstance(values, (tuple, list)):
        return str(values)
    shown = [str(v) for v in values]
    return shown[0] if len(set(shown)) == 1 else " x ".join(shown)
