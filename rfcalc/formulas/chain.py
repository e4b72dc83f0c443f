"""Chains with repetitions of unknown count: every figure from the structure, never by unrolling.

A chain is cut into fixed pieces, which the core walks as networks of their own, and repetitions. A repetition's body is
walked once, for sizes before copy i; recurrences (`sums.course`) say how sizes run through the copies, and sums over i
give the figures. What a chain amounts to is a `ChainSum`; accounts are put together one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rfcalc.core.cost import NOTHING, Cost
from rfcalc.core.errors import NetworkError
from rfcalc.core.expr import LAYERS, Block, Expr, Named, Parallel, Repeat, Series, Stage
from rfcalc.core.layer import IN_PLACE, VIEW
from rfcalc.core.shape import Shape
from rfcalc.core.size import maximum, minimum, same
from rfcalc.formulas.account import ChainSum, Seeing, ShownRow, lasting, of_field, start, then
from rfcalc.formulas.repetition import repeated
from rfcalc.formulas.sums import Unclosed
from rfcalc.graph.autograd import Kept, saving
from rfcalc.graph.memory import storages
from rfcalc.graph.network import Network
from rfcalc.receptive.field import Aligned, Field
from rfcalc.report import Report


def account(expr: Expr, dims: tuple[Any, ...], label: str = "", stage: str = "") -> ChainSum:
    """What an expression amounts to for an input of these extents, channels first.

    Raises:
        Unclosed: a repetition of unknown count stands where no closed form is known.
    """
    found = start(dims)
    numbers: dict[str, int] = {}
    for piece, name, heading in _pieces(expr, label, stage):
        if isinstance(piece, Repeat) and lasting(piece):
            part = repeated(piece, found.dims, name, heading, account)
        elif isinstance(piece, Parallel) and lasting(piece):
            part = _branches(piece, found.dims, name, heading)
        elif lasting(piece):
            raise Unclosed(
                f"a repetition of unknown count inside {type(piece).__name__.lower()} has no closed form here"
            )
        else:
            part = _fixed(piece, found.dims, heading)
        found = then(found, part._replace(rows=_named(part.rows, numbers)))
    return found


def _named(rows: tuple[ShownRow, ...], numbers: dict[str, int]) -> tuple[ShownRow, ...]:
    """Rows whose names go on counting: conv1 of a second piece is conv2."""
    found = []
    moved: dict[str, str] = {}
    for row in rows:
        if row.kind == "repeat":
            found.append(row)
            continue
        head, sign, tail = row.name.partition("[")
        stem = head.rstrip("0123456789")
        if stem == head or "_" in head or "." in head:
            found.append(row)
            continue
        if head not in moved:
            numbers[stem] = numbers.get(stem, 0) + 1
            moved[head] = f"{stem}{numbers[stem]}"
        found.append(row._replace(name=f"{moved[head]}{sign}{tail}"))
    return tuple(found)


def _pieces(expr: Expr, label: str, stage: str) -> Iterator[tuple[Expr, str, str]]:
    """Maximal fixed pieces and repetitions, in order, with the name and stage around them."""
    if isinstance(expr, Stage) and lasting(expr):
        yield from _pieces(expr.body, label, expr.label)
        return
    if isinstance(expr, (Named, Block)) and lasting(expr):
        yield from _pieces(expr.body, expr.label if not label else f"{label}.{expr.label}", stage)
        return
    if not isinstance(expr, Series):
        yield expr, label, stage
        return
    waiting: list[Expr] = []
    for item in expr.items:
        if not lasting(item):
            waiting.append(item)
            continue
        if waiting:
            yield Series(tuple(waiting)), "", stage
            waiting = []
        yield from _pieces(item, label, stage)
    if waiting:
        yield Series(tuple(waiting)), "", stage


def _fixed(expr: Expr, dims: tuple[Any, ...], stage: str) -> ChainSum:
    """A piece with a definite number of nodes: the core's walks over it."""
    try:
        network = Network(expr)
    except NetworkError as error:
        raise Unclosed(error.what, why="it stands beside a repetition of unknown count", fix=error.fix) from None
    report = Report(network, Shape(*dims))
    last = len(report.shapes) - 1
    shape = report.shapes[network.position(network.outputs[0])]
    if shape.channel != 0:
        raise Unclosed("a repetition of unknown count needs maps with the channels first")
    own = storages(report, over=())
    said, _ = saving(report)
    maps: set[int] = set()
    once: dict[str, tuple[Cost, Any]] = {}
    layers = 0
    cost = NOTHING
    rows = []
    gone = {} if len(network.outputs) == 1 else {"peak_bytes": "several outputs"}
    if saving(report, stays=False)[0] != said:
        gone["saved_bytes"] = "whether activations can write over what comes before a repetition is not followed"
    for position in range(1, last + 1):
        node, each = network.nodes[position - 1], report.costs[position]
        maps.update(own[network.sources[position - 1][i]] for i in said[position].inputs)
        if said[position].output:
            maps.add(own[position])
        if node.group and each.params != 0:
            once[node.group] = Cost(each.weights, each.biases, each.buffers), node.layer.weight_layers
            each = Cost(0, 0, 0, *(getattr(each, n) for n in Cost.__slots__[3:]))
        elif position not in report.owners:
            layers += node.layer.weight_layers
        cost = cost + each
        rows.append(_row(report, position, stage))
    output = network.position(network.outputs[0])
    kept = [k if p else Kept() for p, k in enumerate(report.kept)]
    return ChainSum(
        tuple(shape.dims),
        cost,
        once,
        sum(report.new_values[1:]),
        tuple(sum(getattr(k, name) for k in kept) for name in Kept._fields),
        0 in maps,
        own[output] in maps,
        layers,
        _span(report.fields[0][output]),
        tuple(rows),
        gone,
    )


def _row(report: Report, position: int, stage: str) -> ShownRow:
    node, shape = report.network.nodes[position - 1], report.shapes[position]
    layer = node.layer
    return ShownRow(
        node.name,
        layer.kind,
        layer.notation(),
        node.stage or stage,
        tuple(shape.dims),
        _span(report.fields[0][position]),
        of_field(report.receptive_field(position)),
        report.costs[position],
        shape.values,
        report.new_values[position],
        layer.folds,
    )


def _span(field: Field | None) -> Seeing | None:
    """The windows of a field where there is one an axis, and each axis has its own."""
    if field is None or len(field.terms) != 1 or field.unknown or field.unsized or field.mirrored:
        return None
    found = []
    for axis, entry in enumerate(field.terms[0], 1):
        if not isinstance(entry, Aligned) or entry.carrier != axis:
            return None
        window = entry.window
        if window.period != 1 or window.ends[0] is None:
            return None
        first, last = window.ends[0]
        if same(window.advance, 0):
            return None
        found.append((window.advance, first, last - first + 1))
    return Seeing(*(tuple(x) for x in zip(*found, strict=True))) if found else Seeing((), (), ())


def _branches(expr: Parallel, dims: tuple[Any, ...], label: str, stage: str) -> ChainSum:
    """Branches of which at least one holds a repetition of unknown count."""
    parts = _apart([account(branch, dims, label, stage) for branch in expr.branches])
    xs = tuple(Shape(*p.dims) for p in parts)
    y = expr.merge.output(*xs)
    found = start(dims)
    cost = expr.merge.cost(xs, y)
    for p in parts:
        cost = cost + p.cost
    span: Seeing | None = parts[0].span
    for p in parts[1:]:
        span = _joined(span, p.span)
    once = {g: c for p in reversed(parts) for g, c in p.once.items()}
    own = ShownRow(
        expr.merge.kind + "1", expr.merge.kind, expr.merge.notation(), stage, tuple(y.dims), span, {},
        expr.merge.cost(xs, y), y.values, y.values, expr.merge.folds,
    )  # fmt: skip
    gone = {"saved_bytes": "which maps of parallel branches are kept is not followed through repetitions"}
    return found._replace(
        dims=tuple(y.dims),
        cost=cost,
        once=once,
        new=sum(p.new for p in parts) + y.values,
        layers=sum(p.layers for p in parts) + expr.merge.weight_layers,
        span=span,
        rows=(*(r for p in parts for r in p.rows), own),
        gone={**gone, **{k: v for p in parts for k, v in p.gone.items()}},
    )


def _apart(parts: list[ChainSum]) -> list[ChainSum]:
    """Branches of one map: an activation that begins one has memory of its own while another still needs the map."""
    found = []
    for i, part in enumerate(parts):
        first = next((r for r in part.rows if LAYERS[r.kind].memory != VIEW), None)
        needed = i + 1 < len(parts) or any(not p.rows for p in parts)
        if first is not None and needed and LAYERS[first.kind].memory == IN_PLACE:
            rows = tuple(r._replace(new=r.values) if r is first else r for r in part.rows)
            part = part._replace(new=part.new + first.values, rows=rows)
        found.append(part)
    return found


def _joined(a: Seeing | None, b: Seeing | None) -> Seeing | None:
    """The hull of two spans of equal strides."""
    if a is None or b is None or a.stride != b.stride:
        return None
    found: list[tuple[Any, Any, Any]] = []
    for i, stride in enumerate(a.stride):
        p, q = a.first[i], b.first[i]
        if p is None or q is None:
            return None
        low, high = minimum(p, q), maximum(p + a.size[i], q + b.size[i])
        found.append((stride, low, high - low))
    return Seeing(*(tuple(x) for x in zip(*found, strict=True))) if found else a
