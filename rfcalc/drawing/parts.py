"""What a picture shows of a report: boxes, each with the nodes that it stands for, and the links between them.

1. Every input and every node belongs to exactly one box.
2. Copies of a repetition are drawn once: the boxes of the first copy stand for those of all copies.
3. Links go forward only. What one copy hands to the next is said by the repetition, not drawn.
4. At a depth, a block is one box, and equal blocks of which each reads the one before it are one box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.drawing.options import NONE, Options
from rfcalc.layers import WHERE
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.report import Report, Row
from rfcalc.report.document import words
from rfcalc.report.folding import folded
from rfcalc.report.metrics import Metric, metric, size_text
from rfcalc.report.table import Shown, cell, shown_rows, span, subtotal
from rfcalc.report.tree import paths
from rfcalc.report.units import exact

MOST = 3000  # boxes of one picture
METRICS = ("receptive_field", "params", "macs")
Hull = tuple[tuple[int, int], ...]


class DrawnPart(NamedTuple):
    """One box: the nodes that it stands for, the texts of its figures, the family of its layer.

    `params` and `macs` are those of all `times` copies, as in the table; `output` and `rf` are the last copy's, and
    `seen` is what the highlighted node's middle unit reads of that map, where a node is highlighted: first and last
    position of each axis. `figures` are those of the metrics chosen.
    """

    nodes: tuple[str, ...]
    name: str
    notation: str
    output: str
    rf: str
    params: str
    macs: str
    family: str
    stage: str
    times: int = 1
    figures: tuple[str, ...] = ()
    seen: Hull | None = None

    @property
    def copies(self) -> str:
        """The copies that it stands for, behind its name."""
        return f" ×{self.times}" if self.times > 1 else ""

    @property
    def told(self) -> str:
        """What a pointer on the box says."""
        copies = f", {self.times} copies" if self.times > 1 else ""
        figures = [f"output {self.output}"]
        figures += [f"receptive field {self.rf}"] if self.rf else []
        figures += [f"{self.params} parameters"] if self.params else []
        figures += [f"{self.macs} multiply-adds"] if self.macs else []
        figures += [f"seen: {', '.join(f'{a} … {b}' for a, b in self.seen)}"] if self.seen else []
        return f"{self.name}: {self.notation}{copies}; {', '.join(figures)}"


class Repetition(NamedTuple):
    """Boxes from `first` up to `end` that stand for `times` copies."""

    first: int
    end: int
    times: int


class DrawnParts(NamedTuple):
    """The boxes in the network's order, the links between them by their numbers, the repetitions; the titles of the
    parts' figures; what is told of the choice."""

    parts: tuple[DrawnPart, ...]
    links: tuple[tuple[int, int], ...]
    repetitions: tuple[Repetition, ...]
    heads: tuple[str, ...] = ()
    about: tuple[str, ...] = ()


def parts(report: Report, options: Options = NONE, metrics: Sequence[str] = METRICS) -> DrawnParts:
    """The boxes of a picture of this report.

    Args:
        metrics: the figures of a box, where the options name none.

    Raises:
        RfcalcError: more boxes than a picture can show; a depth below 1; a figure of the whole network only.
        UnknownName: a metric or a node to highlight that there is not.

    >>> import rfcalc
    >>> found = parts(rfcalc.analyze("conv3-8 > conv3-8 x3 > maxpool2"))
    >>> [(part.name, part.times) for part in found.parts]
    [('input', 1), ('conv1', 1), ('conv2–4', 3), ('maxpool1', 1)]
    """
    chosen = [_chosen(name) for name in options.metrics or metrics]
    shown = shown_rows(list(report), every=False)
    repetitions: list[Repetition] = []
    if options.depth is None:
        merged = folded(shown)
        _few(len(merged), report)
        made = _inputs(report, len(chosen))
        for first, members, repetition in _groups(shown, merged, len(made)):
            made.append(_part(report, first, members, chosen))
            if repetition is not None:
                repetitions.append(repetition)
    else:
        made = [*_inputs(report, len(chosen)), *_blocks(report, shown, options.depth, chosen)]
        _few(len(made), report)
        repetitions = [Repetition(i, i + 1, part.times) for i, part in enumerate(made) if part.times > 1]
    about: tuple[str, ...] = ()
    if options.highlight is not None:
        made, about = _highlighted(report, made, options.highlight)
    return DrawnParts(
        tuple(made), tuple(_links(report, made)), tuple(repetitions), tuple(m.title for m in chosen), about
    )


def _few(count: int, report: Report) -> None:
    if count > MOST:
        raise RfcalcError(
            f"a picture of {count:,} boxes cannot be read",
            where=report.target,
            why=f"at most {MOST:,} are drawn",
            fix="draw its blocks (--depth 1), or show it as text: rfcalc table TARGET --depth 1",
        )


def _chosen(name: str) -> Metric:
    found = metric(name)
    if found.row is None:
        raise RfcalcError(
            f"{found.name} is a figure of the whole network", fix="choose figures of layers: rfcalc columns"
        )
    return found


def _inputs(report: Report, figures: int) -> list[DrawnPart]:
    return [
        DrawnPart((name,), name, "input", "x".join(map(str, shape.dims)), "", "", "", "input", "", 1, ("",) * figures)
        for name, shape in report.inputs.items()
    ]


def _groups(
    shown: list[Shown], merged: list[Shown], offset: int
) -> Iterator[tuple[Shown, list[Shown], Repetition | None]]:
    """Each merged line with the lines that it stands for; the repetition, where one begins."""
    at = {id(one.rows[0]): i for i, one in enumerate(shown)}
    i = start = 0
    while i < len(merged):
        one = merged[i]
        if one.times == 1 or one.last is None:
            yield one, [shown[start]], None
            i, start = i + 1, start + 1
            continue
        length = (at[id(one.last.rows[0])] - start) // (one.times - 1)
        for k in range(length):
            copies = [shown[start + k + length * c] for c in range(one.times)]
            repetition = Repetition(offset + i, offset + i + length, one.times)
            yield merged[i + k], copies, repetition if k == 0 else None
        i, start = i + length, start + length * one.times


def _part(report: Report, one: Shown, members: list[Shown], chosen: Sequence[Metric]) -> DrawnPart:
    def text(found: Metric) -> str:
        assert found.row is not None
        if not found.adds:
            return words(cell(one, found, report).text)
        value = sum(found.row(row) for row in one.rows) * one.times
        return exact(value) if value != 0 else ""

    nodes = tuple(row.name for copy in members for row in copy.rows)
    output, rf, params, macs = (text(metric(name)) for name in ("output_shape", *METRICS))
    own = tuple(map(text, chosen))
    notation, family = text(metric("notation")), _family(one.head)
    return DrawnPart(nodes, one.name, notation, output, rf, params, macs, family, one.stage, one.times, own)


def _family(row: Row) -> str:
    return "unknown" if row.node.layer.opaque else WHERE.get(type(row.node.layer).__name__, "")


def _blocks(report: Report, shown: Sequence[Shown], depth: int, chosen: Sequence[Metric]) -> Iterator[DrawnPart]:
    """The blocks of a level as parts, equal ones that follow one another as one; rows that stand in none as they are.

    Raises:
        RfcalcError: a depth below 1.
    """
    if depth < 1:
        raise RfcalcError(f"--depth {depth} shows nothing", fix="give 1 or more: --depth 1")
    keyed = [
        (path[:depth] if len(path) >= depth else i, one)
        for i, (path, one) in enumerate(zip(paths(shown), shown, strict=True))
    ]
    groups = [(key, [row for _, one in run for row in one.rows]) for key, run in groupby(keyed, lambda pair: pair[0])]
    i = 0
    while i < len(groups):
        key = groups[i][0]
        times = 1
        while i + times < len(groups) and _copies(groups[i + times - 1], groups[i + times]):
            times += 1
        copies = groups[i : i + times]
        if isinstance(key, int):
            yield _part(report, keyed[key][1], [keyed[key][1]], chosen)
        else:
            last = copies[-1][0]
            name = span(".".join(key), ".".join(last)) if isinstance(last, tuple) else ".".join(key)
            yield _block(report, name, [run for _, run in copies], chosen)
        i += times


_Group = tuple["int | tuple[str, ...]", list[Row]]


def _copies(one: _Group, other: _Group) -> bool:
    """Whether two blocks are equal, and the second reads the first."""
    if isinstance(one[0], int) or isinstance(other[0], int) or one[0][:-1] != other[0][:-1]:
        return False
    alike = [[(row.notation, row.shape.dims, row.cost) for row in rows] for _, rows in (one, other)]
    names = {row.name for row in one[1]}
    return alike[0] == alike[1] and any(name in names for row in other[1] for name in row.inputs)


def _block(report: Report, name: str, copies: Sequence[list[Row]], chosen: Sequence[Metric]) -> DrawnPart:
    rows = [row for copy in copies for row in copy]

    def text(found: Metric) -> str:
        assert found.row is not None
        if found.name == "receptive_field":
            return size_text(rows[-1])
        if found.adds:
            value = sum(found.row(row) for row in rows)
            return exact(value) if value != 0 else ""
        if found.name in ("output_shape", "stride", "padding", "center", "status", "seen"):
            return words(cell(Shown((rows[-1],)), found, report).text)
        return words(subtotal(found, rows, report).text)

    heaviest = max(copies[0], key=lambda row: int(row.macs) if isinstance(row.macs, int) else 0)
    idle = "*" if all(row.position in report.unproductive for row in rows) else ""
    output, rf, params, macs = (text(metric(name)) for name in ("output_shape", *METRICS))
    told = plural(len(copies[0]), "node")
    nodes = tuple(row.name for row in rows)
    return DrawnPart(
        nodes,
        name,
        told,
        output,
        rf + idle,
        params,
        macs,
        _family(heaviest),
        rows[0].stage,
        len(copies),
        tuple(map(text, chosen)),
    )


def _highlighted(report: Report, made: Sequence[DrawnPart], node: str) -> tuple[list[DrawnPart], tuple[str, ...]]:
    """What the middle unit of a node reads of every map.

    Raises:
        UnknownName: no such node.
        RfcalcError: an operator on the way was not understood; sizes that are symbols.
    """
    network, walked = report.network, report
    at = network.position(node)
    unit = tuple(int(n) // 2 for n in walked.shapes[at].spatial)
    found = []
    for part in made:
        position = network.position(part.nodes[-1])
        hull: Hull | None = None
        if position < at:
            hull = UnitWalk(walked, at, unit, position).region.hull or None
        elif position == at:
            hull = tuple((u, u) for u in unit) or None
        found.append(part._replace(seen=hull))
    where = f" ({','.join(map(str, unit))})" if unit else ""
    name = [*network.inputs, *(n.name for n in network.nodes)][at]
    return found, (f"marked: what the middle unit{where} of {name} sees of each map",)


def _links(report: Report, made: Sequence[DrawnPart]) -> Iterator[tuple[int, int]]:
    """Which boxes read which, each pair once, in order of the reader."""
    box = {name: i for i, part in enumerate(made) for name in part.nodes}
    found: dict[tuple[int, int], None] = {}
    for row in report:
        to = box[row.name]
        for name in row.inputs:
            if box[name] < to:
                found[box[name], to] = None
    yield from sorted(found, key=lambda pair: (pair[1], pair[0]))
