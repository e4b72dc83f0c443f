"""What `rfcalc stream` says: figures, caches, delays, blockers, as a document."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rfcalc.report.document import Cell, Column, Document, Section, Sentences, Span, Table, TableLine, Text

if TYPE_CHECKING:
    from rfcalc.plan.stream import Overlap, StreamPlan


def document(plan: StreamPlan, overlap: Overlap | None = None) -> Document:
    """The plan as a document; `overlap`: the answer to whether an overlap is enough, which then comes first."""
    sections: list[Section] = []
    if overlap is not None:
        sections.append(Sentences(((Span(overlap.sentence, "good" if overlap.enough else "bad"),),), listed=False))
    if plan.possible:
        sections.append(_figures(plan))
        if plan.caches:
            sections.append(_caches(plan))
        if plan.delays:
            sections.append(_delays(plan))
        sections.append(Sentences(tuple(_ends(plan)), "Beginning and end"))
    else:
        sections.append(_blockers(plan))
    data: dict[str, Any] = plan.to_dict()
    if overlap is not None:
        data["overlap"] = overlap._asdict()
    notes = [
        "positions are counted along the stream's axis; the own place of unit u is ⌊u·A/P⌋ for a block of A in, P out",
        f"bytes: {plan.dtype}, for a batch of one{_other_types(plan)}",
        *_calls(plan),
        *(f"assumed: {a}" for a in plan.assumptions),
    ]
    return Document(_title(plan), tuple(sections), tuple(notes), data)


def _other_types(plan: StreamPlan) -> str:
    """The maps that are kept in a type of their own."""
    kept = dict.fromkeys([*(c.of for c in plan.caches), *(d.input for d in plan.delays)])
    told = [f"{name} has {plan.sizes[name]} bytes a value" for name in kept if name in plan.sizes]
    return f"; {', '.join(told)}" if told else ""


def _calls(plan: StreamPlan) -> list[str]:
    """What a chunk costs beside its arithmetic."""
    ran = sum(bool(at.edges) for at in plan.timeline.lines) if plan.possible else 0
    short = "in short chunks and on small maps the calls cost more than the arithmetic"
    return [f"every chunk calls {count(ran, 'layer')} once: {short}"] if ran > 1 else []


def _title(plan: StreamPlan) -> str:
    start = "A stream" if plan.possible else "No stream"
    return f"{start} of {plan.name} along axis {plan.axis}"


def count(n: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _time(value: float | None) -> str:
    return "" if value is None else f" ({value:.4g} ms)"


def _figures(plan: StreamPlan) -> Table:
    assert plan.block is not None
    assert plan.latency is not None
    size, out = plan.block["in"], plan.block["out"]
    back = "without end" if plan.lookback is None else count(plan.lookback, "position") + _time(plan.lookback_ms)
    assert plan.lookahead is not None
    state = plan.state
    assert state is not None
    rows: list[tuple[str, str, str]] = [
        ("look-back", back, "how far a unit sees before its own place"),
        ("look-ahead", count(plan.lookahead, "position") + _time(plan.lookahead_ms), "and after it"),
        ("block", f"{size:,} in, {out:,} out", "what comes in and goes out at once"),
        (
            "latency",
            count(plan.latency, "output") + _time(plan.latency_ms),
            "by which the stream lags behind the whole run",
        ),
        ("state", f"{state['bytes']:,} bytes", f"{count(state['values'], 'value')} kept between two blocks"),
    ]
    if plan.growth is not None:
        grows = f"{count(plan.growth['values'], 'value')} more with every block, without end"
        rows.append(("growth", f"{plan.growth['bytes']:,} bytes", grows))
    if plan.rate is not None:
        block = Fraction(size * 1000) / plan.rate
        rows[2] = ("block", f"{size:,} in, {out:,} out ({float(block):.4g} ms)", rows[2][2])
    lines = [TableLine(tuple(map(Cell, row))) for row in rows]
    columns = (Column("figure"), Column("value"), Column("meaning", least=20, spare=1, wraps=True))
    return Table(columns, tuple(lines), title=_title(plan))


def _caches(plan: StreamPlan) -> Table:
    columns = (
        Column("cache", "node"),
        Column("of map", "of"),
        Column("positions", right=True),
        Column("channels", right=True),
        Column("bytes", right=True),
    )
    lines = [
        TableLine(
            (
                Cell(c.node),
                Cell("its state" if c.of == c.node else c.of),
                *(Cell(f"{n:,}", n) for n in (c.positions, c.channels, c.bytes)),
            )
        )
        for c in plan.caches
    ]
    return Table(columns, tuple(lines), title="Caches: what windows read again")


def _delays(plan: StreamPlan) -> Table:
    columns = (
        Column("before", "node"),
        Column("waits", "input"),
        Column("positions", right=True),
        Column("bytes", right=True),
    )
    lines = []
    for d in plan.delays:
        shown = f"{d.bytes:,}" if d.bytes else "kept anyway"
        where = "output" if d.node == d.input else d.node
        lines.append(
            TableLine((Cell(where), Cell(d.input), Cell(f"{d.positions:,}", d.positions), Cell(shown, d.bytes)))
        )
    return Table(columns, tuple(lines), title="Delays: what waits, so that joins meet and blocks are whole")


def _ends(plan: StreamPlan) -> list[Text]:
    """What happens at the beginning and at the end."""
    line, found = plan.timeline, list[Text]()
    assert plan.latency is not None
    if plan.latency:
        first = "The first output position" if plan.latency == 1 else f"The first {plan.latency:,} output positions"
        verb = "is" if plan.latency == 1 else "are"
        found.append(f"{first} of the stream {verb} empty; then comes the whole run's output, position by position.")
    else:
        found.append("The first output leaves with the first block.")
    mirrored, repeated = [], []
    for at in line.lines:
        for edge in at.edges:
            if edge.index is not None and edge.index.border == "reflect":
                mirrored.append(at.name)
            elif edge.index is not None and edge.index.border == "replicate":
                repeated.append(at.name)
    growing = [at.name for at in line.lines if at.before]
    if growing:
        told = ", ".join(growing)
        found.append(
            f"The cache of {told} grows: it sees everything from the beginning on. A mask that also leaves out what is "
            "long past makes the state constant."
        )
    if mirrored:
        told = ", ".join(dict.fromkeys(mirrored))
        found.append(f"The beginning is mirrored at {told}: it waits once for the positions that are mirrored.")
    if repeated:
        told = ", ".join(dict.fromkeys(repeated))
        found.append(f"The beginning is repeated at {told}: the first position stands for those before it.")
    if plan.at_start:
        told = "position is" if plan.at_start == 1 else "positions are"
        found.append(f"Of the latency, {plan.at_start:,} {told} needed at the beginning only.")
    if not mirrored and not repeated:
        found.append("Before the first position stand zeros, at every padded layer for itself.")
    found.append("At the end, flush() pads every layer where its own map ends, and gives what is left.")
    return found


def _blockers(plan: StreamPlan) -> Table:
    columns = (
        Column("blocked by", "node"),
        Column("why", least=24, wraps=True),
        Column("what would remove it", "fix", least=24, wraps=True),
    )
    lines = [TableLine((Cell(b.node, role="bad"), Cell(b.why), Cell(b.fix))) for b in plan.blockers]
    return Table(columns, tuple(lines), title=_title(plan))
