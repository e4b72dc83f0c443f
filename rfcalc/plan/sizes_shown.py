"""Valid sizes as a document: `rfcalc sizes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import plural
from rfcalc.core.layer import Layer
from rfcalc.graph.forward import forward
from rfcalc.plan.nearest import near_told, runs_told, told
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine

if TYPE_CHECKING:
    from rfcalc.plan.sizes import Refused, Sizes, Trained
    from rfcalc.plan.solving import Axis

MOST_REFUSED = 8  # nodes that refuse
MOST_NAMED = 3  # nodes that refuse in training


def document(found: Sizes) -> Document:
    """What `rfcalc sizes` shows: a line for the axes that are alike."""
    single = len(found.outputs) == 1
    axes, valid = Column("axes"), Column("valid sizes", "valid", least=20, wraps=True)
    output = Column("output" if single else "size", least=12, wraps=True)
    unseen = Column("pixels that reach no output" if single else "reach no unit", "unseen", least=16, wraps=True)
    lines: dict[tuple[str, ...], list[int]] = {}
    several: dict[str, dict[tuple[str, ...], list[int]]] = {name: {} for name in found.network.outputs}
    refused: dict[tuple[str, str], tuple[Refused, list[int]]] = {}
    for i, solved in enumerate(found.axes):
        lengths, counts = found.output(i), found.unseen(i)
        kept = {name for name, p in zip(lengths, found.outputs, strict=True) if _kept(found, solved, p)}
        for name, length in lengths.items():
            figures = (length or ("not told" if name in kept else "–"), counts[name] or "not told")
            several[name].setdefault(figures, []).append(i)
        lines.setdefault((told(solved.valid), *(figures if single else ())), []).append(i)
        for r in found.refused(i):
            refused.setdefault((r.node, r.sizes), (r, []))[1].append(i)
    columns = (axes, valid, *((output, unseen) if single else ()))
    title = f"Valid input sizes n of {found.target}"
    sections: list[Any] = [Table(columns, _lines(lines), title=title)]
    if not single:
        rows = tuple([line for name, mine in several.items() for line in _lines(mine, name)])
        sections.append(Table((Column("output"), axes, output, unseen), rows, title="Outputs"))
    if found.joint is not None:
        sections.append(Sentences((f"Together: {found.joint.text}.",)))
    if found.asked_near is not None:
        sections.append(Sentences(tuple(near_told(found.asked_near, found.near)), title="Nearest"))
    if refused:
        sections += _refusals(refused)
    if found.training:
        sections.append(Sentences(tuple(_training(found.training)), title="In training only"))
    at = ", ".join(map(str, found.inputs))
    proven = "For every n ≥ 1, of the layers as they were read" if found.read else "Proven for every n ≥ 1"
    notes = [f"Each axis alone, the other axes as in {at}. {proven}."]
    if len(found.inputs) > 1:
        notes.append(_varied(found))
    if found.inputs != found.asked:
        notes.append(f"The input {', '.join(map(str, found.asked))} does not run.")
    if not found.read and (fixed := [*_fixed(found)]):
        more = f" and {plural(len(fixed) - MOST_NAMED, 'more node')}" if len(fixed) > MOST_NAMED else ""
        listed = ", ".join(fixed[:MOST_NAMED])
        notes.append(f"Sizes written into the network as numbers, whatever the input: {listed}{more}.")
    return Document(f"valid sizes of {found.target}", tuple(sections), (*notes, *found.assumptions), found.to_dict)


def _varied(found: Sizes) -> str:
    """Of which inputs n is the size."""
    names = list(found.network.inputs)
    axes: dict[tuple[str, ...], list[int]] = {}
    for axis in range(found.inputs[0].rank):
        axes.setdefault(found.varied(axis), []).append(axis)
    parts = []
    for together, mine in axes.items():
        at = "" if len(axes) == 1 else f" on axis {_listed(mine)}"
        others = ", ".join(name for name in names if name not in together)
        fixed = f", while {others} {'stays' if len(names) - len(together) == 1 else 'stay'} as given" if others else ""
        told_ = f"the size of {' and '.join(together)}{' together' if len(together) > 1 else ''}"
        parts.append(f"{told_}{at}{fixed}")
    return f"n is {'; '.join(parts)}."


def _kept(found: Sizes, solved: Axis, position: int) -> bool:
    """Whether an output has the axes of the input."""
    return any(c.shapes[position].rank == found.inputs[0].rank for c in solved.taken)


def _fixed(found: Sizes) -> Iterator[str]:
    """The nodes whose layers say the size of their map in numbers, with that size."""
    walked = forward(found.network, found.inputs)
    for node, y in zip(found.network.nodes, walked.shapes[found.network.arity :], strict=True):
        layer = node.layer
        told = type(layer).sized is not Layer.sized and y.rank == found.inputs[0].rank
        if told and layer.sized(y) == layer:
            yield f"{node.name} {'x'.join(map(str, y.spatial))}"


def _lines(rows: Mapping[tuple[str, ...], Iterable[int]], *before: str) -> tuple[TableLine, ...]:
    """A line for each row, with the axes that have it."""
    return tuple([TableLine(tuple(map(Cell, (*before, _listed(axes), *row)))) for row, axes in rows.items()])


def _listed(axes: Iterable[int]) -> str:
    return ", ".join(map(str, axes))


def _refusals(refused: Mapping[tuple[str, str], tuple[Refused, list[int]]]) -> Iterator[Table | Sentences]:
    """Which node refuses which sizes, those that nothing larger mends first."""
    columns = (
        Column("node"),
        Column("axes"),
        Column("refuses", least=16, wraps=True),
        Column("for example", "size", right=True),
        Column("why", least=24, wraps=True),
    )
    rows = []
    for r, axes in list(refused.values())[:MOST_REFUSED]:
        told = (r.node, _listed(axes), r.sizes)
        rows.append(TableLine((*map(Cell, told), Cell(str(r.size), r.size), Cell(r.brief))))
    yield Table(columns, tuple(rows), title="What refuses the others")
    if left := len(refused) - len(rows):
        more = f"{plural(left, 'more node')} {'refuses' if left == 1 else 'refuse'} other sizes"
        yield Sentences((f"{more} (--format json lists all).",))


def _training(refused: Iterable[Trained]) -> Iterator[str]:
    """What training refuses: a sentence for the nodes that refuse the same sizes."""
    sizes: dict[str, list[int]] = {}
    for t in refused:
        sizes.setdefault(t.node, []).extend([] if t.size is None else [t.size])
    nodes: dict[tuple[int, ...], list[str]] = {}
    for node, mine in sizes.items():
        nodes.setdefault(tuple(sorted(set(mine))), []).append(node)
    for same, names in nodes.items():
        more = f" and {plural(len(names) - MOST_NAMED, 'more node')}" if len(names) > MOST_NAMED else ""
        has = "has" if len(names) == 1 else "have"
        at = f"n = {runs_told(same)}" if same else "every size"
        named = ", ".join(names[:MOST_NAMED])
        yield f"{at}: {named}{more} {has} one value for each channel: training needs more, or a batch of at least 2"
