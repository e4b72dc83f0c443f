"""A plan of tiles as a document and as JSON: `rfcalc tile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import plural
from rfcalc.plan.judging import Judged
from rfcalc.plan.tools import TOOLS, settings
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine
from rfcalc.report.units import bytes_short, short

if TYPE_CHECKING:
    from rfcalc.plan.passes import PassPlan
    from rfcalc.plan.tile import Tile, TilePlan

SCHEMA = "rfcalc/tile/1"
MOST_SHOWN = 12
GATHERED = "its statistics can be gathered tile by tile in a pass of their own: --passes"
NO_PASSES = {  # what takes all positions and is no sum of them
    "self_attention": "attention to every position needs the whole map: limit it to windows",
    "attention_product": "attention to every position needs the whole map: limit it to windows",
    "matmul": "it joins places from all over the image: limit it to windows of neighbouring positions",
    "softmax": "it is taken over all positions: take it over the channels, or over windows",
    "position_table": "its numbers belong to places: give positions relative to a unit instead",
    "roll": "it moves the end to the beginning: pad or crop instead",
    "upsample": "its factor depends on the size: resize by a whole factor",
    "adaptive_pool": "its windows depend on the size: use a pool with a fixed window, or one for the whole map",
    "batchnorm": "in training it takes the statistics of the batch: in evaluation mode it has its own (module.eval())",
    "layernorm": "it takes in all positions: normalise over the channels, or use group normalisation of one group",
    "reduce": "it is no sum of positions: compute it once, on a small copy of the image, and give it as a number",
    "along": "it runs along all positions: run it on the joined output, behind the tiles",
    "number": "give it a number that is the same for every tile: a buffer or an argument, for the whole image",
    "recurrent": "its state goes through all positions: run it as a stream (rfcalc stream)",
}


def to_dict(plan: TilePlan) -> dict[str, Any]:
    """The JSON: schema rfcalc/tile/1."""
    whole, tiled = plan.macs
    all_bytes, tile_bytes = plan.peak_bytes
    return {
        "schema": SCHEMA,
        "network": {"name": plan.report.network.name, "target": plan.report.target},
        "input": {name: list(x.dims) for name, x in zip(plan.network.inputs, plan.inputs, strict=True)},
        "outputs": list(plan.network.outputs),
        "status": plan.status,
        "axes": [
            {
                "axis": a.axis,
                "period": a.period,
                "advance": a.advance,
                "reach": None if a.reach is None else list(a.reach),
                "need": list(a.need),
                "halo": list(a.halo),
                "align": a.align,
                "step": a.step,
            }
            for a in plan.axes
        ],
        "tiles": [_tile(plan, t) for t in plan.tiles],
        "count": plan.count,
        "macs": {"whole": whole, "tiled": tiled, "ratio": tiled / whole if whole else None},
        "peak_bytes": {"whole": all_bytes, "tile": tile_bytes},
        "barriers": [b._asdict() for b in plan.barriers],
        "as": {} if plan.barriers else {tool: settings(plan, tool) for tool in TOOLS},
        "assumptions": list(plan.report.assumptions),
    }


def _tile(plan: TilePlan, tile: Tile) -> dict[str, Any]:
    reads = {name: [list(r) for r in ranges] for name, ranges in plan.reads(tile).items()}
    write = {name: [list(r) for r in ranges] for name, ranges in tile.write.items()}
    crop = {name: [list(r) for r in ranges] for name, ranges in tile.crop.items()}
    single = len(write) == 1
    return {
        "read": next(iter(reads.values())) if len(reads) == 1 else reads,
        "write": next(iter(write.values())) if single else write,
        "crop": next(iter(crop.values())) if single else crop,
    }


def _setting(value: Any) -> str:
    """A setting as JSON, which YAML reads too."""
    return value if isinstance(value, str) else json.dumps(value)


def document(
    plan: TilePlan, tool: str | None = None, judged: Judged | None = None, verified: dict[str, Any] | None = None
) -> Document:
    """What `rfcalc tile` shows: the axes, the tiles, what they cost; or what stands in the way."""

    def data() -> dict[str, Any]:
        found = to_dict(plan)
        if judged is not None:
            found["overlap"] = judged._asdict()
        if verified is not None:
            found["verified"] = verified
        return found

    notes = [
        "need: how far a tile must read before + after the place of what it writes, so that it holds every position of "
        "every map that is needed; halo: the same, for tiles that begin on multiples of align and have valid sizes",
        "reach: how far one unit sees from its own place; it is no halo. At the image's border there is no halo.",
        *plan.report.assumptions,
    ]
    title = f"tiles of {plan.report.target}"
    if plan.barriers:
        return Document(title, tuple(_barriers(plan)), tuple(plan.report.assumptions), data)
    sections: list[Any] = []
    if judged is not None:
        sections.append(Sentences((judged.text + ".",), title="The overlap that is given"))
    sections += [_axes(plan), *_tiles(plan), _costs(plan)]
    if tool is not None:
        lines = [f"{key}: {_setting(value)}" for key, value in settings(plan, tool).items()]
        sections.append(Sentences(tuple(lines), title=f"For {tool}"))
    if verified is not None:
        sections.append(Sentences(tuple(verified["sentences"]), title="Run in whole numbers"))
    return Document(title, tuple(sections), tuple(notes), data)


def _axes(plan: TilePlan) -> Table:
    columns = (
        Column("axis", right=True),
        Column("reach"),
        Column("need"),
        Column("halo"),
        Column("align", right=True),
        Column("writes begin on multiples of", "step", right=True),
        Column("tiles", right=True),
    )
    lines = []
    for a, parts in zip(plan.axes, plan.parts, strict=True):
        if plan.shown not in (None, a.axis):
            continue
        reach = "–" if a.reach is None else f"{a.reach[0]} + {a.reach[1]}"
        pairs = [reach, f"{a.need[0]} + {a.need[1]}", f"{a.halo[0]} + {a.halo[1]}"]
        numbers = [a.align, a.step, len(parts)]
        lines.append(TableLine((Cell(str(a.axis), a.axis), *map(Cell, pairs), *[Cell(str(n), n) for n in numbers])))
    image = "x".join(str(line.size) for line in plan.lines)
    title = f"{plural(plan.count, 'exact tile')} of {plan.report.target}, image {image}"
    return Table(columns, tuple(lines), title=title)


def _tiles(plan: TilePlan) -> list[Table | Sentences]:
    if plan.count == 1:
        return []
    name = plan.network.outputs[0]
    several = len(plan.reads(plan.tile(0))) > 1
    reads = f"reads of {list(plan.network.inputs)[plan.lines[0].together.image]}" if several else "reads"
    columns = (
        Column("tile", right=True),
        Column(reads, "reads"),
        Column(f"writes of {name}", "writes"),
        Column("crop"),
    )
    lines = []
    for i in range(min(plan.count, MOST_SHOWN)):
        tile = plan.tile(i)
        lines.append(
            TableLine(
                (Cell(str(i), i), Cell(_box(tile.read)), Cell(_box(tile.write[name])), Cell(_box(tile.crop[name])))
            )
        )
    listed = Table(columns, tuple(lines), title="Tiles, half-open ranges on each axis")
    left = plan.count - len(lines)
    told = [f"{plural(left, 'more tile')}: --format json lists all."] if left else []
    told += _beside(plan)
    return [listed, Sentences(tuple(told))] if told else [listed]


def _beside(plan: TilePlan) -> list[str]:
    """What is read of inputs whose sizes are not the image's."""
    names, found = list(plan.network.inputs), []
    image = plan.lines[0].together.image
    for i, name in enumerate(names):
        sizes = plan.related(i)
        if any(size.text() != "n" for size in sizes):
            told = ", ".join(f"{size.text()} on axis {axis}" for axis, size in enumerate(sizes))
            found.append(f"Where a tile reads n positions of {names[image]}, it reads of {name}: {told}.")
    return found


def _box(ranges: Any) -> str:
    return " × ".join(f"[{a}, {b})" for a, b in ranges)


def _costs(plan: TilePlan | PassPlan) -> Sentences:
    whole, tiled = plan.macs
    all_bytes, tile_bytes = plan.peak_bytes
    extra = f" ({tiled / whole:.3f} times the whole)" if whole else ""
    return Sentences(
        (
            f"Multiply-adds: {short(tiled)} in tiles, {short(whole)} in one piece{extra}.",
            f"Peak memory of maps: {bytes_short(tile_bytes)} for the largest tile, {bytes_short(all_bytes)} for the "
            f"whole image ({plan.report.dtype}; weights not counted).",
        ),
        title="Cost",
    )


def _barriers(plan: TilePlan) -> list[Any]:
    lines = list(dict.fromkeys(f"{b.node} ({b.kind}): {b.why}." for b in plan.barriers))
    done = [f"{node}: {GATHERED}." for node in _can_be_gathered(plan)]
    done += [f"{b.node}: {NO_PASSES[b.kind]}." for b in plan.barriers if b.kind in NO_PASSES and not done]
    first = plan.barriers[0].node
    ready = _ready(plan, first)
    if ready is not None:
        done.append(f"Up to {ready} the network can be tiled: --at {ready}.")
    sections = [Sentences(tuple(lines), title=f"{plan.report.target} cannot be computed in exact tiles")]
    if done:
        sections.append(Sentences(tuple(done), title="What can be done"))
    return sections


def _ready(plan: TilePlan, node: str) -> str | None:
    """The last node before a barrier whose map can be computed in tiles: the axes of the image are axes of it."""
    network = plan.network
    names = {n.name for n in network.nodes}
    while node in names:
        before = [name for name in network.node(node).inputs if name not in network.inputs]
        if not before:
            return None
        node = before[0]
        position = network.position(node)
        if not any(line.view.mixed(position) or line.view.mirrored(position) for line in plan.lines):
            return node
    return None


def _can_be_gathered(plan: TilePlan) -> list[str]:
    """The barriers whose statistics a pass can gather."""
    network, found = plan.network, []
    for name in dict.fromkeys(b.node for b in plan.barriers):
        node = next((n for n in network.nodes if n.name == name), None)
        if node is not None and len(node.inputs) == 1:
            read = plan.walked.shapes[network.position(node.inputs[0])]
            found += [name] if node.layer.gathers(read) else []
    return found


# --- in passes --------------------------------------------------------------------------------------------------------


def passes_dict(plan: PassPlan) -> dict[str, Any]:
    """The JSON of a plan in passes: that of its last pass, and what is gathered before it."""
    whole, tiled = plan.macs
    all_bytes, tile_bytes = plan.peak_bytes
    shown = plan.plans[-1] if plan.plans else plan.first
    found = {
        **to_dict(shown),
        "status": plan.status,
        "outputs": list(plan.network.outputs),
        "count": plan.count,
        "macs": {"whole": whole, "tiled": tiled, "ratio": tiled / whole if whole else None},
        "peak_bytes": {"whole": all_bytes, "tile": tile_bytes},
        "barriers": [b._asdict() for b in plan.barriers],
        "passes": [_pass(one.nodes, one.plan) for one in plan.passes],
    }
    if plan.last is None and not plan.barriers:
        found["tiles"] = []
    return found


def _pass(nodes: tuple[str, ...], plan: TilePlan) -> dict[str, Any]:
    found = to_dict(plan)
    return {"gathers": list(nodes), **{key: found[key] for key in ("axes", "tiles", "count", "macs", "peak_bytes")}}


def passes_document(plan: PassPlan, verified: dict[str, Any] | None = None) -> Document:
    """What `rfcalc tile --passes` shows."""

    def data() -> dict[str, Any]:
        return {**passes_dict(plan), **({} if verified is None else {"verified": verified})}

    if plan.barriers:
        return Document(
            f"tiles of {plan.report.target}", tuple(_barriers(plan.first)), tuple(plan.report.assumptions), data
        )
    columns = (
        Column("pass", right=True),
        Column("gathers", least=12, wraps=True),
        Column("need"),
        Column("halo"),
        Column("align"),
        Column("tiles", right=True),
    )
    told = [(", ".join(one.nodes), one.plan) for one in plan.passes]
    told += [("writes " + ", ".join(plan.network.outputs), plan.last)] if plan.last is not None else []
    lines = []
    for i, (gathers, one) in enumerate(told, 1):
        pairs = [" × ".join(f"{a} + {b}" for a, b in (getattr(x, name) for x in one.axes)) for name in ("need", "halo")]
        align = "×".join(str(x.align) for x in one.axes)
        lines.append(
            TableLine((Cell(str(i), i), *map(Cell, (gathers, *pairs, align)), Cell(str(one.count), one.count)))
        )
    image = "x".join(str(line.size) for line in plan.plans[0].lines)
    title = f"{plural(len(told), 'pass', 'passes')} over tiles of {plan.report.target}, image {image}"
    sections: list[Any] = [Table(columns, tuple(lines), title=title), _costs(plan)]
    if plan.last is None:
        sections.append(Sentences(("The output has no positions: it follows from what the passes gather.",)))
    if verified is not None:
        sections.append(Sentences(tuple(verified["sentences"]), title="Run in whole numbers"))
    notes = (
        "each pass runs every tile up to the nodes whose statistics it gathers, with those before them known; sums are "
        "taken in float64, each position from one tile only",
        "need, halo (before + after) on each axis, align: as without passes",
        *plan.report.assumptions,
    )
    return Document(f"tiles of {plan.report.target} in passes", tuple(sections), notes, data)
