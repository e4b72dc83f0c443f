"""What is odd about a design, with the figures that show it and a remedy that was computed.

A rule looks at a report and gives findings; their remedies were applied and walked (`rfcalc.plan.remedies`). Adding a
rule is adding a function to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, UnknownName, plural
from rfcalc.core.size import is_number
from rfcalc.notation.write import write
from rfcalc.plan.joined import in_step, out_of_step
from rfcalc.plan.remedies import (
    Remedy,
    at_size,
    by,
    larger_images,
    more_channels,
    more_layers,
    odd_kernels,
    smaller_dilation,
    walked,
    without_biases,
)
from rfcalc.plan.variants import NetworkDraft, along, readers_of, windowed
from rfcalc.plan.variants.width import Ties
from rfcalc.report import Report, Row
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine
from rfcalc.report.field_report import FieldReport

if TYPE_CHECKING:
    from rfcalc.report.schemas.lint import LintJson, LintMendedJson

MOST_PIXELS = 40  # by which an input is made smaller or larger to see all of it


class LintFinding(NamedTuple):
    """Something odd: the rule, the node, what was found (with figures), what helps, and the report of the network after
    that was done; None where nothing is known to help."""

    rule: str
    node: str
    what: str
    remedy: str
    mended: Report | None = None


def _written(mended: Report) -> LintMendedJson:
    """A network after a remedy."""
    inputs = {name: list(shape.dims) for name, shape in mended.inputs.items()}
    return {"notation": write(mended.network, None), "input": inputs}


Found = tuple[str, str, Remedy]
Rule = Callable[[Report], Iterator[Found]]


def unproductive(report: Report) -> Iterator[Found]:
    """Layers that read a map whose units see the whole image already (Richter et al. 2021)."""
    found = sorted(report.unproductive)
    if not found:
        return
    nodes, arity = report.network.nodes, report.network.arity
    names = [nodes[p - arity].name for p in found]
    image = by(next(iter(report.inputs.values())).spatial)
    seen = report[nodes[found[0] - arity].inputs[0]].receptive_field.size
    params = sum(int(report[name].params) for name in names)
    yield (
        names[0],
        f"{plural(len(names), 'layer')} from here on only combine what is seen, {by(seen)} of {image} pixels: "
        f"{params:,} of {int(report.totals.params):,} parameters",
        larger_images(report),
    )


def gridding(report: Report) -> Iterator[Found]:
    """Holes in what a unit sees: dilations without a factor in between."""
    for row in report.outputs:
        gap = _gap(report, row.name)
        if gap is not None:
            node, holes = gap
            yield (
                node,
                f"units of {row.name} see with holes of up to {plural(holes, 'pixel')} from here on",
                _denser(report, node, row.name),
            )


def _gap(report: Report, name: str) -> tuple[str, int] | None:
    """The layer from which on units of a node see with holes, and how large these are."""
    found = FieldReport(report, name)
    gap = found.gridding if found.sized and report[name].shape.rank else None
    return (gap[0], max(gap[1])) if gap is not None and max(gap[1]) > 0 else None


def _denser(report: Report, node: str, output: str) -> Remedy:
    """The largest dilation of a layer without holes: neighbouring taps are at most a field of its input apart."""
    row = report[node]
    source = row.inputs[0]
    dilation = max(getattr(row.node.layer, "dilation", (1,)))
    field = None if source in report.inputs else report[source].receptive_field
    most = 1
    if field is not None:
        pairs = [(s, j) for s, j in zip(field.size, field.stride, strict=True) if s is not None and j]
        most = min((int(s // j) for s, j in pairs), default=1)
    for d in range(min(most, dilation - 1), 0, -1):
        made = smaller_dilation(report, node, d)
        if made is None:
            break
        gap = _gap(made, output)
        if gap is None or (made.network.position(gap[0]) > made.network.position(node)):
            rest = f"; then there are holes from {gap[0]} on" if gap is not None else ""
            if field is None:
                return Remedy(f"a dilation of {d} leaves none{rest}", made)
            return Remedy(
                f"{node} reads units of {by(field.size)} pixels, {by(field.stride)} apart: a dilation of {d} leaves "
                f"none{rest}",
                made,
            )
    return Remedy("no smaller dilation of it leaves none: larger kernels, or layers before it, have to fill them")


def joins(report: Report) -> Iterator[Found]:
    """Maps that meet although their units do not lie over the same pixels."""
    found = out_of_step(report)
    if found:
        _, name, _ = found[0]
        most = max(offset for *_, offset in found)
        where = (
            f"{plural(len(found), 'join')} from here on read maps that are"
            if len(found) > 1
            else "it reads maps that are"
        )
        told = f"{where} out of step by up to {most} {'pixel' if most == 1 else 'pixels'}"
        yield name, told, in_step(report, found)


def unseen(report: Report) -> Iterator[Found]:
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


def _seeing(report: Report, node: str) -> Remedy:
    """The nearest sizes of the input, smaller and larger, of which no pixel is lost, axis by axis.

    What is seen is a product over the axes, so that the part of an axis that is seen is largest where all of it is.
    """
    shape = next(iter(report.inputs.values()))
    whole = prod(int(n) for n in shape.spatial)

    def part(axis: int, size: int) -> Fraction | None:
        """Which part of the pixels is seen where one axis has another size."""
        again = at_size(report, [size if a == axis else shape.dims[a] for a in shape.axes])
        if again is None:
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
    told: dict[str, Report] = {}
    for sizes in nearest.values():
        made = at_size(report, sizes) if len(sizes) == shape.rank else None
        if made is not None and not FieldReport(made, node).unseen:
            told.setdefault(by(sizes), made)
    if not told:
        return Remedy("no size near sees all: its windows leave gaps, or padding on the right has to bring the rest in")
    return Remedy(f"of {' or '.join(told)} pixels all are seen", next(iter(told.values())))


def needless_bias(report: Report) -> Iterator[Found]:
    """A bias before a normalisation that takes the mean away again."""
    network, arity = report.network, report.network.arity
    readers = readers_of(report)
    found: dict[str, tuple[int, str]] = {}
    for position, node in enumerate(network.nodes, arity):
        if not report[node.name].cost.biases or not node.layer.weight_layers or node.name in network.outputs:
            continue
        after = readers.get(position, [])
        if after and all(network.nodes[p - arity].layer.takes_mean_away for p in after):
            found[node.name] = int(report[node.name].cost.biases), network.nodes[after[0] - arity].name
    remedies = without_biases(report, {name: biases for name, (biases, _) in found.items()})
    for name, (biases, norm) in found.items():
        yield name, f"{plural(biases, 'bias', 'biases')} before {norm}, which takes the mean away", remedies[name]


def odd_channels(report: Report) -> Iterator[Found]:
    """Channels that no group divides well: not a multiple of 8, above 16; of those that are added, the first."""
    ties = Ties(report)
    found: dict[str, Row] = {}
    for row in report:
        if not row.node.layer.weight_layers or row.name not in ties or row.name in ties.stay:
            continue
        n = row.shape.channels
        if is_number(n) and n > 16 and n % 8:
            found.setdefault(ties.first(row.name), row)
    remedies = more_channels(report, [*found.values()], ties)
    for row in found.values():
        yield row.name, f"{row.shape.channels} channels are no multiple of 8", remedies[row.name]


def reach(report: Report) -> Iterator[Found]:
    """A receptive field far below the image, so that no unit sees what lies apart, or far above it."""
    for row in report.outputs:
        field = row.receptive_field
        image = [int(n) for n in next(iter(report.inputs.values())).spatial if is_number(n)]
        size = [s for s in field.size if s is not None]
        if not size or len(size) != len(image) or field.status in ("global", "unknown", "none"):
            continue
        small = [(s, n) for s, n in zip(size, image, strict=True) if 4 * s < n]
        large = [axis for axis, (s, n) in enumerate(zip(size, image, strict=True)) if s > 4 * n]
        if small:
            s, n = small[0]
            yield row.name, f"its units see {s} of {n} pixels", _wider(report, row, image)
        if large:
            s, n = size[large[0]], image[large[0]]
            first = next(r.name for r in report if _covers(r, image, large))
            told = f"fields reach {n} pixels at {first}: an output there sees all of the image"
            yield row.name, f"its units could see {s} pixels, the image has {n}", Remedy(told, _until(report, first))


def _covers(row: Row, image: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether units see as much as the image has on these axes."""
    sizes = row.receptive_field.size
    return len(sizes) == len(image) and all((s := sizes[a]) is not None and s >= image[a] for a in axes)


def _until(report: Report, name: str) -> Report | None:
    """The network that ends at a node."""
    draft = NetworkDraft(report)
    draft.outputs = [name]
    return walked(report, draft)


def _wider(report: Report, row: Row, image: Sequence[int]) -> Remedy:
    """How many layers at the output would see the whole image."""
    layers, made, doubling = more_layers(report, row, image)
    if made is None:
        return Remedy(f'rfcalc design "rf >= {by(image).replace(" ", "")}" lists what sees all of them')
    return Remedy(
        f"{layers} more 3 × 3 layers at its stride of {by(row.receptive_field.stride)} see all of them, or {doubling} "
        f"with dilations 1, 2, 4, …",
        made,
    )


def even_kernels(report: Report) -> Iterator[Found]:
    """Windows without a middle at stride 1: the map moves by half a pixel; not where it is padded before only (causal
    layers move theirs on purpose)."""
    found: list[tuple[Row, int]] = []
    for row in report:
        layer: Any = row.node.layer
        if not row.shape.rank or len(row.inputs) != 1 or not windowed(report, row.position):
            continue
        rank = row.shape.rank
        kernel, stride = along(layer.kernel, rank), along(layer.stride, rank)
        dilation = along(getattr(layer, "dilation", (1,)), rank)
        pads = [("",) * 2] * rank if isinstance(layer.padding, str) else along(layer.padding, rank)
        sides = [
            k for k, s, d, p in zip(kernel, stride, dilation, pads, strict=True)
            if s == 1 and (k - 1) * d % 2 and p != (d * (k - 1), 0)
        ]  # fmt: skip
        if sides:
            found.append((row, int(sides[0])))
    remedies = odd_kernels(report, [row for row, _ in found])
    for row, k in found:
        told, made = remedies[row.name]
        helps = Remedy("; ".join([f"kernels of {k - 1} or {k + 1} have a centre", *([told] if told else [])]), made)
        yield row.name, f"a kernel of {k} at stride 1 moves the map by half a pixel of its own grid", helps


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
    findings: tuple[LintFinding, ...]

    def to_dict(self) -> LintJson:
        """As JSON has it (schema rfcalc/lint/1): a network after a remedy stands once, findings say which of them."""
        mended = {id(f.mended): f.mended for f in self.findings if f.mended is not None}
        places = {key: place for place, key in enumerate(mended)}
        return {
            "schema": "rfcalc/lint/1",
            "network": self.report.target,
            "input": {name: list(shape.dims) for name, shape in self.report.inputs.items()},
            "rules": list(self.rules),
            "findings": [
                {
                    "rule": f.rule,
                    "node": f.node,
                    "what": f.what,
                    "remedy": f.remedy,
                    "mended": places.get(id(f.mended)),
                }
                for f in self.findings
            ],
            "mended": [_written(report) for report in mended.values()],
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
        lines = tuple(TableLine(tuple(Cell(t) for t in finding[:4])) for finding in self.findings)
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
    found = [
        LintFinding(name, node, what, remedy.told, remedy.report)
        for name in chosen
        for node, what, remedy in RULES[name](report)
    ]
    return Lint(report, chosen, tuple(found))
