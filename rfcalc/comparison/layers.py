"""Two networks layer by layer: which correspond, what differs between them, by how much.

A *step* is a weight layer with the activations and normalisation that follow it, as the table shows it. Steps
correspond by name and notation, then by notation, by name, by kind and channels, by kind and kernel (see `align`). What
differs is said in the layer's own parameters; what differs only because of what goes in (maps, channels) is said as
that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rfcalc.comparison.align import align
from rfcalc.core.size import Size, same
from rfcalc.core.sliding import keeping_size
from rfcalc.core.syntax import pairs, sizes
from rfcalc.report import Report, Row

if TYPE_CHECKING:
    from rfcalc.report.schemas.compare import MatchStatus

SAME: Final = "same"
INPUT: Final = "input"  # the same layer on another input
CHANGED: Final = "changed"
REPLACED: Final = "replaced"
FIRST: Final = "only_first"
OTHER: Final = "only_other"

_NAME = re.compile(r"-\(([^\W\d]\w*)\)")  # a symbol as channels needs its parentheses only where it is read back


class WeightLayer(NamedTuple):
    """A layer with what is folded into it."""

    rows: tuple[Row, ...]

    @property
    def head(self) -> Row:
        return self.rows[0]

    @property
    def name(self) -> str:
        return self.head.name

    @property
    def words(self) -> str:
        return _NAME.sub(r"-\1", " ".join(row.notation for row in self.rows))

    def total(self, figure: str) -> Size:
        """A figure that adds, over its rows."""
        return sum(getattr(row, figure) for row in self.rows)


class Difference(NamedTuple):
    """One thing that differs: what, in the first network, in the other."""

    what: str
    first: str
    other: str

    def __str__(self) -> str:
        if not self.first:
            return f"+ {self.other}"
        if not self.other:
            return f"− {self.first}"
        told = f"{self.first} → {self.other}"
        return f"{self.what} {told}" if self.what else told


class LayerMatch(NamedTuple):
    """Two steps that correspond, or one without a counterpart."""

    first: WeightLayer | None
    other: WeightLayer | None
    status: MatchStatus
    differences: tuple[Difference, ...]

    @property
    def names(self) -> str:
        """Its name, or both."""
        found = [s.name for s in (self.first, self.other) if s is not None]
        return found[0] if len(set(found)) == 1 else " / ".join(found)

    @property
    def told(self) -> str:
        """What differs, in words."""
        return ", ".join(map(str, self.differences))

    def figures(self, name: str) -> tuple[Size | None, Size | None]:
        """A figure that adds, of both."""
        return tuple(None if s is None else s.total(name) for s in (self.first, self.other))  # type: ignore[return-value]


def steps(report: Report, every: bool = False) -> list[WeightLayer]:
    """The network's steps; with `every`, each node is one."""
    found: list[list[Row]] = []
    for row in report:
        follows = bool(found) and row.inputs == (found[-1][-1].name,) and row.stage == found[-1][0].stage
        if row.node.layer.folds and follows and not every and row.shape == found[-1][0].shape:
            found[-1].append(row)
        else:
            found.append([row])
    return [WeightLayer(tuple(rows)) for rows in found]


def matches(first: Report, other: Report, every: bool = False) -> list[LayerMatch]:
    """Both networks' steps in order, matched."""
    a, b = steps(first, every), steps(other, every)
    found = []
    for i, j in align([_keys(s) for s in a], [_keys(s) for s in b]):
        found.append(_match(None if i is None else a[i], None if j is None else b[j]))
    return found


def _keys(step: WeightLayer) -> tuple[Any, ...]:
    words, head = step.words, step.head
    kind, channels = head.kind, str(head.shape.channels)
    number = step.name.removeprefix(head.node.layer.stem)
    name = channels if number.isdecimal() else step.name  # a name that is only a number says nothing
    named = (kind, channels) if number.isdecimal() else step.name
    first = head.notation.split()[0]
    kernel = first.split("-")[0] if "-" in first else ""
    return ((step.name, words), words, (name, kind), named, (kind, channels), (kind, kernel))


def _stem(row: Row) -> str:
    """The notation without channels and stride: ``conv3``."""
    return row.notation.split()[0].split("-")[0].split("/")[0]


def _match(first: WeightLayer | None, other: WeightLayer | None) -> LayerMatch:
    if first is None or other is None:
        return LayerMatch(first, other, OTHER if first is None else FIRST, ())
    a, b = first.head, other.head
    if a.kind != b.kind:
        return LayerMatch(first, other, REPLACED, (Difference("", first.words, other.words),))
    own = (*_parameters(a, b), *_followers(first, other), *_sharing(a, b))
    if own:
        return LayerMatch(first, other, CHANGED, own)
    came = tuple(_came(a, b))
    return LayerMatch(first, other, INPUT if came else SAME, came)


def _parameters(a: Row, b: Row) -> Iterator[Difference]:
    """The parameters of two layers of one kind that differ; padding goes with a kernel that keeps the same map."""
    one, two = a.node.layer, b.node.layer
    if one == two:
        return
    differing = [name for name in one.compared if getattr(one, name) != getattr(two, name)]
    for name in differing:
        if name == "padding" and len(differing) > 1 and (_keeps(one) and _keeps(two)):
            continue
        yield Difference(name.replace("_", " "), _value(getattr(one, name)), _value(getattr(two, name)))


def _keeps(layer: Any) -> bool:
    """Whether a layer's padding is the one that keeps the size at stride 1, so that it follows from the kernel."""
    geometry = getattr(layer, "geometry", None)
    return geometry is not None and geometry.padding == keeping_size(geometry.kernel, geometry.dilation)


def _value(value: Any) -> str:
    """A parameter as the notation writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, tuple) and value and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        return pairs(value)
    if isinstance(value, tuple):
        text = sizes(value)
        return text if len(text) <= 24 else text[:23] + "…"
    return str(value)


def _followers(first: WeightLayer, other: WeightLayer) -> Iterator[Difference]:
    """What follows the layers, activations and normalisation, where it differs."""
    a = Counter(row.notation for row in first.rows[1:])
    b = Counter(row.notation for row in other.rows[1:])
    gone, new = (a - b).elements(), (b - a).elements()
    if a != b:
        yield Difference("", " ".join(gone), " ".join(new))


def _sharing(a: Row, b: Row) -> Iterator[Difference]:
    """Whether the layers have weights of their own, where that differs."""
    told = ["own" if row.shared_with is None else "shared" for row in (a, b)]
    if told[0] != told[1]:
        yield Difference("weights", *told)


def joined_alike(first: Report, other: Report) -> bool:
    """Whether networks of the same layers in the same order also read the same ones, and give the same results."""
    one, two = first.network, other.network
    return one.sources == two.sources and [one.position(n) for n in one.outputs] == [
        two.position(n) for n in two.outputs
    ]


def _came(a: Row, b: Row) -> Iterator[Difference]:
    """What differs of two equal layers because of what goes in."""
    xs, ys = (row.input_shapes for row in (a, b))
    if len(xs) != len(ys):
        yield Difference("inputs", str(len(xs)), str(len(ys)))
        return
    for x, y in zip(xs, ys, strict=True):
        if x.dims == y.dims:
            continue
        if not same(x.channels, y.channels):
            yield Difference("input channels", str(x.channels), str(y.channels))
        if x.spatial != y.spatial:
            yield Difference("input map", "x".join(map(str, x.spatial)), "x".join(map(str, y.spatial)))
        return


class Change(NamedTuple):
    """The same difference at several layers: how it reads, where, and what it adds."""

    told: str
    status: MatchStatus
    matches: tuple[LayerMatch, ...]

    def added(self, name: str) -> Size:
        """How much more of a figure the other network has at these layers."""
        return sum((b or 0) - (a or 0) for a, b in (m.figures(name) for m in self.matches))

    @property
    def where(self) -> tuple[str, ...]:
        return tuple(m.names for m in self.matches)


def changes(matched: list[LayerMatch]) -> list[Change]:
    """What differs, each difference once, in the order of its first place; last what only follows from it."""
    found: dict[tuple[str, MatchStatus], list[LayerMatch]] = {}
    for m in matched:
        step = m.first or m.other
        assert step is not None
        if m.status == CHANGED:
            found.setdefault((f"{_stem(step.head)}: {m.told}", m.status), []).append(m)
        elif m.status == REPLACED:
            found.setdefault((m.told, m.status), []).append(m)
        elif m.status in (FIRST, OTHER):
            found.setdefault((f"{'−' if m.status == FIRST else '+'} {step.words}", m.status), []).append(m)
    told = [Change(text, status, tuple(group)) for (text, status), group in found.items()]
    came = tuple(m for m in matched if m.status == INPUT)
    return [*told, Change("the same layer on another input", INPUT, came)] if came else told
