"""Stacks of smaller kernels that see as much: which there are, what they cost, how many more.

Layers of stride 1 add their reach, so the stacks with a receptive field of 2m + 1 are the partitions of m (see
`partitions`). Order does not matter to the receptive field; the stacks are unordered, the largest kernel stands first.
What each costs is not the partition's business: every stack that is shown is built and walked like any network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from rfcalc.comparison.figures import size
from rfcalc.comparison.layers import steps
from rfcalc.comparison.ratio import change, ratio, ratio_text
from rfcalc.comparison.subject import Subject, read
from rfcalc.comparison.tables import arranged
from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.expr import Series
from rfcalc.core.layer import Layer
from rfcalc.core.size import Size, is_number, same
from rfcalc.graph.network import Network
from rfcalc.plan.partitions import Part, Stack, cheapest, count
from rfcalc.plan.variants.stacks import kernel_of, layer_of
from rfcalc.receptive.receptive_field import plain
from rfcalc.report.document import Cell, Column, Document, Table, TableLine
from rfcalc.report.report import Report

SCHEMA = "rfcalc/equivalents/1"
LARGEST = 257  # receptive field
LIMIT, MOST = 10, 1000
ORDERS = {"weights": "weights, then depth", "macs": "multiply-adds, then depth", "depth": "depth, then weights"}
HEAD = (*("stack", "depth", "weights", "biases", "params", "macs", "ratio", "percent", "seen", "hull", "itself"),)


class Equivalent(NamedTuple):
    """One stack: its kernels, the network, its figures from a walk of its own.

    `seen`: how many positions of the receptive field it depends on; fewer than all where dilation leaves holes.
    """

    parts: tuple[Part, ...]
    notation: str
    report: Report
    seen: int
    itself: bool

    @property
    def weights(self) -> Size:
        return self.report.totals.weights

    @property
    def macs(self) -> Size:
        return self.report.totals.macs


class Equivalents(NamedTuple):
    """The stacks that see as much as a network: the first `limit` of `total`, in the order of `by`."""

    subject: Subject
    field: tuple[int, ...]
    found: tuple[Equivalent, ...]
    total: int
    separable: bool
    dilated: bool
    by: str

    def document(self) -> Document:
        """What is told, as a document that every format renders."""
        return document(self)

    def _repr_html_(self) -> str:
        return displayed(self)

    @property
    def more(self) -> int:
        """How many there are beyond those that are listed."""
        return self.total - len(self.found)

    @property
    def told(self) -> str:
        """The receptive field as text."""
        return "×".join(map(str, self.field))

    @property
    def sentence(self) -> str:
        """How many there are, and of what."""
        kinds = "square" if len(self.field) == 2 else ""
        if self.separable and len(self.field) > 1:
            kinds = "square, 1×k and k×1" if len(self.field) == 2 else "cubic and one-axis"
        what = " ".join(w for w in ("smaller odd", kinds, "kernels") if w) + (", dilated too," if self.dilated else "")
        if not self.total:
            more = "; --separable adds 1×k and k×1" if len(set(self.field)) > 1 and not self.separable else ""
            return f"no stack of {what.rstrip(',')} sees {self.told}{more}"
        verb = "stack sees" if self.total == 1 else "stacks see"
        end = "" if not self.more else f"; the first {len(self.found)} by {ORDERS[self.by]}, {self.more:,} more"
        return f"{self.total:,} {verb} {self.told} with {what.rstrip(',')}{end}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/equivalents/1)."""
        report = self.subject.report
        totals = report.totals
        return {
            "schema": SCHEMA,
            "network": {
                "target": self.subject.name,
                "inputs": {name: plain(shape.dims) for name, shape in report.inputs.items()},
                "receptive_field": list(self.field),
                "depth": plain(totals.weight_layers),
                **{name: plain(getattr(totals, name)) for name in ("weights", "biases", "params", "macs")},
            },
            "conventions": {
                **report.conventions,
                "ratio": "stack / network, of weights",
                "percent": "weights (stack − network) in % of the network",
            },
            "assumptions": list(self.subject.assumptions),
            "kernels": {"square": True, "separable": self.separable, "dilated": self.dilated},
            "by": self.by,
            "count": self.total,
            "more": self.more,
            "stacks": [self._stack(e) for e in self.found],
        }

    def _stack(self, e: Equivalent) -> dict[str, Any]:
        quotient = ratio(e.weights, self.subject.report.totals.weights)
        changed = change(self.subject.report.totals.weights, e.weights)
        totals = e.report.totals
        return {
            "stack": e.notation,
            "layers": [{"kernel": list(kernel_of(p, len(self.field))), "dilation": p.d} for p in e.parts],
            "depth": len(e.parts),
            **{name: plain(getattr(totals, name)) for name in ("weights", "biases", "params", "macs")},
            "ratio": None if quotient is None else str(quotient),
            "percent": None if changed is None else float(changed),
            "seen": e.seen,
            "hull": prod(self.field),
            "itself": e.itself,
        }

    def records(self) -> Iterator[tuple[Any, ...]]:
        """The lines under `HEAD`."""
        for e in self.found:
            told = self._stack(e)
            yield tuple(told[name] for name in HEAD)


def equivalents(
    target: Any,
    *,
    separable: bool = False,
    dilated: bool = False,
    limit: int = LIMIT,
    by: str = "weights",
    input: Any = None,  # noqa: A002
    numbers: Mapping[str, int] | None = None,
) -> Equivalents:
    """Stacks of smaller odd kernels with the receptive field of a network.

    Args:
        target: a layer or stack of stride 1: ``conv7-C``, ``conv3-64 x3``.
        separable: 1×k and k×1 too.
        dilated: dilated kernels too; with holes, the hull is what is the same.
        limit: how many are listed; all are counted.
        by: what comes first: fewest ``weights``, ``macs``, or least ``depth``.
        input, numbers: as for `rfcalc.comparison.compare`.

    Raises:
        RfcalcError: strides, an even or unknown receptive field, or one that is too large.

    >>> found = equivalents("conv7-64", input="64x32x32")
    >>> [(e.notation, e.weights) for e in found.found], found.more
    ([('conv3-64 x3', 110592), ('conv5-64 > conv3-64', 139264)], 0)
    """
    if by not in ORDERS:
        raise UnknownName("order", by, list(ORDERS))
    if not 1 <= limit <= MOST:
        raise RfcalcError(f"{limit} is not a possible limit", fix=f"give 1 to {MOST}")
    (subject,) = read([target], input, numbers=numbers)
    field = _field(subject)
    reaches = tuple((n - 1) // 2 for n in field)
    brick = _Brick(subject)
    if by == "macs" and not brick.keeps:
        raise RfcalcError(
            f"the stacks of {subject.name} cannot be ranked by multiply-adds",
            why="without padding they depend on the order of the layers",
            fix="rank them by weights",
        )
    separable = separable and len(field) > 1
    stacks = cheapest(reaches, separable, dilated, limit, *brick.channels, by_depth=by == "depth")
    own = sorted(s.words for s in steps(subject.report))
    found = [brick.build(stack, field, own) for stack in stacks]
    total = count(reaches, separable, dilated)
    return Equivalents(subject, field, tuple(found), total, separable, dilated, by)


def _field(subject: Subject) -> tuple[int, ...]:
    """The receptive field of the output, if stacks can have it.

    Raises:
        RfcalcError: they cannot.
    """
    report = subject.report
    if report.network.arity > 1:
        raise RfcalcError(f"{subject.name} has several inputs", fix="name a stack with one")
    row = report.outputs[0]
    seen = row.receptive_field
    if seen.status != "exact":
        raise RfcalcError(
            f"the receptive field of {subject.name} is {seen.status}", fix="name a layer or a stack of layers: conv7-C"
        )
    if any(not same(s, 1) for s in seen.stride):
        strides = "×".join(map(str, seen.stride))
        raise RfcalcError(
            f"{subject.name} has stride {strides}",
            why="a stack of layers with stride 1 keeps the stride at 1",
            fix="leave the strides out",
        )
    field = tuple(int(n) for n in seen.size if n is not None and is_number(n))
    if len(field) < len(seen.size):
        raise RfcalcError(
            f"the receptive field of {subject.name} is {'×'.join(map(str, seen.size))}",
            why="partitions are counted for numbers",
            fix="give the kernel as a number, or --set its symbol",
        )
    told = "×".join(map(str, field))
    if any(n % 2 == 0 for n in field):
        raise RfcalcError(
            f"{subject.name} sees {told}, and that is even",
            why="a stack of odd kernels sees 1 + Σ(k − 1), which is odd",
            fix="name a layer with an odd kernel",
        )
    if max(field) > LARGEST:
        raise RfcalcError(f"a receptive field of {told} is too large to list stacks for", why=f"the limit is {LARGEST}")
    return field


class _Brick:
    """What stacks are built of: the network's own layer with other kernels, where it is one; else convolutions."""

    def __init__(self, subject: Subject) -> None:
        report = self.report = subject.report
        self.subject = subject
        heads = [s.head.node.layer for s in steps(report) if s.head.node.layer.weight_layers]
        out, into = report.outputs[0].shape, report.shapes[0]
        if not heads or out.rank != into.rank:
            raise RfcalcError(f"{subject.name} has no layer with weights to build stacks of", fix="name one: conv7-C")
        layer = heads[0]
        slides = {"kernel", "padding", "dilation"} <= {*layer.given} and not getattr(layer, "table", None)
        single = len(heads) == 1 and slides
        if not single:
            from rfcalc.layers.conv import Conv

            layer = Conv(out.channels, 1, bias=getattr(layer, "bias", True))
        self.layer: Layer = layer
        self.keeps = all(same(a, b) for a, b in zip(into.spatial, out.spatial, strict=True))
        if not self.keeps and any(not same(p, 0) for p in report.outputs[0].receptive_field.padding):
            raise RfcalcError(
                f"{subject.name} has padding that neither keeps the size nor is 0",
                why="it could be split over the layers in many ways",
                fix="write it without p, or with p0",
            )
        again = layer.changed(kernel=(1,), padding=((0, 0),), dilation=(1,)).output(out)
        if not same(again.channels, out.channels):
            raise RfcalcError(
                f"{subject.name} multiplies its channels, and a stack of such layers would do so again",
                fix="name a layer that keeps its channels",
            )

    @property
    def channels(self) -> tuple[int, int]:
        """Input channels of the first layer and of the others, as far as they matter to the order.

        Raises:
            RfcalcError: symbols leave open which is more.
        """
        c = self.report.shapes[0].channels
        m = self.report.outputs[0].shape.channels
        if same(c, m):
            return (1, 1)
        if not is_number(c) or not is_number(m):
            raise RfcalcError(
                f"the stacks of {self.subject.name} cannot be ranked",
                why=f"the first layer has {size(c)} input channels, the others {size(m)}",
                fix="put numbers in (--set), or give an input with as many channels",
            )
        return (int(c), int(m))

    def build(self, stack: Stack, field: tuple[int, ...], own: Sequence[str]) -> Equivalent:
        """The stack as a network, walked."""
        parts = list(stack.parts)
        first, rest = self.channels
        if first == rest:
            parts.sort(key=lambda p: _order(p, len(field)))
        else:
            parts[1:] = sorted(parts[1:], key=lambda p: _order(p, len(field)))
        layers = [self._layer(p, len(field)) for p in parts]
        report = self.subject.like(Network(Series(tuple(layers))))
        words = [s.words for s in steps(report)]
        seen = prod(_seen([p for p in parts if p.axis in (None, i)]) for i in range(len(field)))
        return Equivalent(tuple(parts), _folded(words), report, seen, sorted(words) == own)

    def _layer(self, part: Part, rank: int) -> Layer:
        return layer_of(self.layer, part, rank, self.keeps)


def _order(part: Part, rank: int) -> tuple[int, int, int]:
    """Largest first, squares before lines."""
    return (-part.area(rank), -part.reach, -1 if part.axis is None else part.axis)


def _seen(parts: Sequence[Part]) -> int:
    """How many positions of an axis a stack depends on: the sums of one tap of each layer."""
    mask = 1
    for part in parts:
        taps = 0
        for tap in range(part.kernel):
            taps |= mask << (tap * part.d)
        mask = taps
    return mask.bit_count()


def _folded(words: Sequence[str]) -> str:
    """The stack in the notation, equal neighbours once: ``conv5-C > conv3-C x2``."""
    found: list[list[Any]] = []
    for word in words:
        if found and found[-1][0] == word:
            found[-1][1] += 1
        else:
            found.append([word, 1])
    return " > ".join(word if n == 1 else f"{word} x{n}" for word, n in found)


def document(found: Equivalents) -> Document:
    """The stacks as a table, the network itself first."""
    totals = found.subject.report.totals
    name = found.subject.name
    columns = [Column("stack", least=16), Column("layers", right=True), Column("weights", right=True)]
    columns += [Column(f"of {name}", right=True), Column("macs", right=True, spare=2)]
    head = [Cell(name), Cell(size(totals.weight_layers)), Cell(size(totals.weights)), Cell(""), Cell(size(totals.macs))]
    whole = prod(found.field)
    if found.dilated:
        columns.append(Column("sees", right=True))
        head.append(Cell(""))
    lines = [TableLine(tuple(head), "group")]
    for e in found.found:
        cells = [e.notation + (" (itself)" if e.itself else ""), str(len(e.parts)), size(e.weights)]
        cells += [ratio_text(ratio(e.weights, totals.weights)), size(e.macs)]
        if found.dilated:
            cells.append("all" if e.seen == whole else f"{e.seen} of {whole}")
        lines.append(TableLine(tuple(map(Cell, cells))))
    notes = [f"of {name}: weights divided by those of {name}", f"input {found.subject.input}; stride 1; unordered"]
    first, rest = _channels(found.subject)
    if not same(first, rest):
        notes.append(
            f"the first layer reads {size(first)} channels, the others {size(rest)}: cheapest first layer shown"
        )
    notes.append(f"every layer of a stack has {size(rest)} channels")
    if found.dilated:
        notes.append("sees: positions of the receptive field that it depends on; dilation leaves holes")
    notes.append("weights: without biases; macs: multiply-adds")
    notes += [f"assumed: {a}" for a in found.subject.assumptions]
    return arranged(
        found.sentence,
        (Table(tuple(columns), tuple(lines)),),
        (found.sentence,),
        notes,
        found.to_dict,
        lambda: (HEAD, found.records()),
    )


def _channels(subject: Subject) -> tuple[Size, Size]:
    return subject.report.shapes[0].channels, subject.report.outputs[0].shape.channels
