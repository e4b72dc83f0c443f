"""Valid sizes as a document: `rfcalc sizes`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import plural
from rfcalc.plan.nearest import near_told, runs_told, told
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine

if TYPE_CHECKING:
    from rfcalc.plan.sizes import Refused, Sizes

MOST_REFUSED = 8  # nodes that refuse


def document(found: Sizes) -> Document:
    """What `rfcalc sizes` shows."""
    columns = [Column("axis", right=True), Column("valid sizes", "valid", least=20, wraps=True)]
    single = len(found.outputs) == 1
    columns += (
        [
            Column("output", least=12, wraps=True),
            Column("pixels that reach no output", "unseen", least=16, wraps=True),
        ]
        if single
        else []
    )
    lines: list[TableLine] = []
    several: list[TableLine] = []
    refused: dict[tuple[str, str], tuple[Refused, list[int]]] = {}
    for i, solved in enumerate(found.axes):
        output, unseen = found.output(i), found.unseen(i)
        cells = [Cell(str(i), i), Cell(told(solved.valid))]
        for name, formula in output.items():
            figures = [Cell(formula or "–"), Cell(unseen[name] or "–")]
            if single:
                cells += figures
            else:
                several.append(TableLine((Cell(name), Cell(str(i), i), *figures)))
        lines.append(TableLine(tuple(cells)))
        for r in found.refused(i):
            refused.setdefault((r.node, r.sizes), (r, []))[1].append(i)
    sections: list[Any] = [Table(tuple(columns), tuple(lines), title=f"Valid input sizes n of {found.target}")]
    if several:
        heads = (
            Column("output"),
            Column("axis", right=True),
            Column("size", least=12, wraps=True),
            Column("reach no unit", "unseen", least=12, wraps=True),
        )
        sections.append(Table(heads, tuple(several), title="Outputs"))
    if found.joint is not None:
        sections.append(Sentences((f"Together: {found.joint.text}.",)))
    if found.asked_near is not None:
        sections.append(Sentences(tuple(near_told(found.asked_near, found.near)), title="Nearest"))
    if refused:
        sections += _refusals(refused)
    if found.training:
        refusing: dict[str, list[int]] = {}
        for t in found.training:
            refusing.setdefault(t.why, []).extend([] if t.size is None else [t.size])
        trained = [f"{f'n = {runs_told(n)}' if n else 'every size'}: {why}" for why, n in refusing.items()]
        sections.append(Sentences(tuple(trained), title="In training only"))
    at = ", ".join(map(str, found.inputs))
    proven = "For every n ≥ 1, of the layers as they were read" if found.read else "Proven for every n ≥ 1"
    notes = [f"Each axis alone, the other axes as in {at}. {proven}."]
    if found.inputs != found.asked:
        notes.append(f"The input {', '.join(map(str, found.asked))} does not run.")
    return Document(f"valid sizes of {found.target}", tuple(sections), (*notes, *found.assumptions), found.to_dict)


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
        told = (r.node, ", ".join(map(str, axes)), r.sizes)
        rows.append(TableLine((*map(Cell, told), Cell(str(r.size), r.size), Cell(r.brief))))
    yield Table(columns, tuple(rows), title="What refuses the others")
    if left := len(refused) - len(rows):
        yield Sentences((f"{plural(left, 'more node')} {'refuses' if left == 1 else 'refuse'} other sizes.",))
