"""What a node's channels, and the branches that are stacked along an axis of it, see apart from one another.

A `Field` speaks of positions over all channels. Where maps are joined along the channels, or stacked along an axis that
no position of the source lies along, a node holds several fields side by side: a *part* is a field and where on the
node's axes it is present. Reading an axis as a whole joins its parts; choosing from it, or reading it in groups, leaves
some out. Parts are worked out only where a layer reads some channels and not all, or where an axis of branches is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rfcalc.core.layer import POINTWISE, Alternatives, Layer, Reads
from rfcalc.core.shape import Shape, axis_groups, numbers
from rfcalc.core.window import STEP, All, Border, Index, Scattered, Slide, Unsized
from rfcalc.graph.forward import Shaped, reads_of, tells_channels_apart
from rfcalc.receptive.field import Field, Join, followed, gaps, join, of_positions, through

Mask = int
MOST_PARTS = 64


class FieldPart(NamedTuple):
    """A field, and the positions of the node's axes at which it is present (all of those that are not named)."""

    present: tuple[tuple[int, Mask], ...]
    field: Field


def chosen(index: Index, mask: Mask, extent: int, units: int) -> Mask:
    """Which of so many units read some of the positions in a set."""
    if type(index) is Slide and index.kernel == 1 and index.stride == 1 and index.border == Border.ZEROS:
        moved: Mask = mask >> index.first if index.first >= 0 else mask << -index.first
        return moved & ((1 << units) - 1)
    from rfcalc.core.window import taps

    found = 0
    for u in range(units):
        if any(mask >> t & 1 for t in taps(index, u, extent)):
            found |= 1 << u
    return found


class ChannelsApart:
    """The parts of nodes, by position; worked out on demand, back to where all channels see the same."""

    def __init__(self, walked: Shaped, source: int, found: Sequence[Field | None]) -> None:
        self.walked, self.source, self.found = walked, source, found
        self.memo: dict[int, tuple[FieldPart, ...]] = {}

    def joined(self, position: int, whole: Field | None, branched: set[int]) -> Field | None:
        """The field of a node whose inputs have parts; `whole`, which knows nothing of parts, where they make no
        difference or a branch has to be told from another. `branched` takes up the positions with parts along another
        axis than the channels."""
        node, sources, _, y = self.walked.at(position)
        if not numbers(y):
            return whole
        parts = self.of(position, whole)
        if any(axis != y.channel for part in parts for axis, _ in part.present):
            branched.add(position)
            if whole is None or gaps(whole, node.name):
                return whole
            return whole._replace(bounded=(*whole.bounded, node.name))
        if gaps(whole, node.name) and len(parts) == 1 and trivial(parts):
            return parts[0].field  # branches that see the same
        if all(trivial(self.memo.get(s, ())) for s in sources):
            return whole
        result: Field | None = None
        for part in parts:
            result = part.field if result is None else join(result, part.field, node.name, y.dims)
        return None if result is None else _told(result, whole)

    def of(self, position: int, whole: Field | None) -> tuple[FieldPart, ...]:
        """The parts of a node; `whole` is its field as far as positions say it."""
        stack, needed = [position], set()
        arity = self.walked.network.arity
        while stack:
            p = stack.pop()
            if p in self.memo or p in needed:
                continue
            field = whole if p == position else self.found[p]
            alike = p == self.source or p < arity or (p != position and not tells_channels_apart(self.walked, p))
            if field is None or alike:
                self.memo[p] = () if field is None else (FieldPart((), field),)
                continue
            needed.add(p)
            stack += self.walked.network.sources[p - arity]
        for p in sorted(needed):
            self.memo[p] = self._made(p, whole if p == position else self.found[p])
        return self.memo[position]

    def _made(self, position: int, whole: Field | None) -> tuple[FieldPart, ...]:
        node, sources, xs, y = self.walked.at(position)
        layer = node.layer
        plain = all(trivial(self.memo[s]) for s in sources)
        relation = None if layer.opaque or (plain and layer.selective) else layer.apart(xs, y)
        split = whole is not None and any(j.node == node.name and j.why == "gaps" for j in whole.joins)
        if layer.opaque or (plain and relation is None and not split):
            return () if whole is None else (FieldPart((), whole),)
        relation = relation or reads_of(node, xs, y)
        found: list[FieldPart] = []
        for s, x, alternatives in zip(sources, xs, relation, strict=True):
            for part in self.memo[s]:
                found += _passed(part, alternatives, x, y, layer, node.name)
        return tuple(FieldPart(p, _told(f, whole)) for p, f in _merged(found, node.name, y.dims))


def _told(field: Field, whole: Field | None) -> Field:
    """Where parts of different strides meet, the paths that were told where they were joined."""
    if all(all(name for name, _ in join.paths) for join in field.joins):
        return field
    known = {(j.axis, j.why): j for j in (whole.joins if whole is not None else ()) if all(n for n, _ in j.paths)}
    found: list[Join] = []
    for made in field.joins:
        if not all(name for name, _ in made.paths):
            made = known.get((made.axis, made.why), made._replace(paths=tuple((made.node, s) for _, s in made.paths)))
        if made not in found:
            found.append(made)
    return field._replace(joins=tuple(found))


def trivial(parts: tuple[FieldPart, ...]) -> bool:
    """Whether all that a node sees is seen everywhere."""
    return len(parts) < 2 and not any(part.present for part in parts)


def _passed(
    part: FieldPart, alternatives: Alternatives, x: Shape, y: Shape, layer: Layer, node: str
) -> list[FieldPart]:
    """A part of a layer's input, on its output."""
    found = []
    for reads in alternatives:
        if reads is POINTWISE:
            found.append(part)
        elif layer.row_major:
            found += _regrouped(part, reads, x, y, node)
        else:
            found += _read(part, reads, x, y, node)
    return found


def _read(part: FieldPart, reads: Reads, x: Shape, y: Shape, node: str) -> list[FieldPart]:
    masks = dict(part.present)
    along = followed(part.field)
    present: dict[int, Mask] = {}
    plain: list[tuple[int | None, Index]] = list(reads)
    lost = False
    for axis, (out, index) in enumerate(reads):
        if axis in along and axis not in masks:
            continue
        full = (1 << x.dims[axis]) - 1
        mask = masks.get(axis, full)
        if isinstance(index, (Scattered, Unsized)):
            lost = lost or axis in masks
        elif type(index) is All or out is None:
            plain[axis] = (out, index)
        elif index is STEP:
            if mask != full:
                present[out] = present.get(out, -1) & mask
        elif axis in masks or axis == x.channel or not isinstance(index, Slide):
            units = y.dims[out]
            seen = chosen(index, mask, x.dims[axis], units)
            if not seen:
                return []
            plain[axis] = (out, STEP)
            if seen != (1 << units) - 1:
                present[out] = present.get(out, -1) & seen
    field = through(part.field, (tuple(plain),), node, x.dims)
    return _placed(field, present, lost, y, node)


def _placed(field: Field | None, present: dict[int, Mask], lost: bool, y: Shape, node: str) -> list[FieldPart]:
    if field is None or not all(present.values()):
        return []
    field = of_positions(field, y.channel, y.dims, node)
    if lost:
        field = field._replace(bounded=(*field.bounded, node))
    return [FieldPart(tuple(sorted(present.items())), field)]


def _regrouped(part: FieldPart, reads: Reads, x: Shape, y: Shape, node: str) -> list[FieldPart]:
    """Through a row-major reshape: where a part is present, on the axes that its axes are merged into or split into."""
    from rfcalc.receptive.unit_sets import boxes, flattened

    masks = dict(part.present)
    along = {axis for axis in followed(part.field) if x.dims[axis] != 1}
    found: list[dict[int, Mask]] = [{}]
    lost = False
    for before, after in axis_groups(x.dims, y.dims):
        if not any(axis in masks for axis in before):
            continue
        if any(axis in along for axis in before):
            lost = True
            continue
        inside, outside = tuple(x.dims[i] for i in before), tuple(y.dims[j] for j in after)
        start, bits = flattened(tuple(masks.get(i, (1 << x.dims[i]) - 1) for i in before), inside)
        split = boxes(bits << start, outside) if outside else [()]
        found = [
            {**one, **{j: m for j, m, n in zip(after, box, outside, strict=True) if m != (1 << n) - 1}}
            for one in found
            for box in split
        ]
        if len(found) > MOST_PARTS:
            found, lost = [{}], True
    field = through(part.field, (reads,), node, x.dims)
    return [made for present in found for made in _placed(field, present, lost, y, node)]


def _merged(parts: list[FieldPart], node: str, dims: tuple[int, ...]) -> tuple[FieldPart, ...]:
    """Fields at one place joined, places of one field joined."""
    at: dict[tuple[tuple[int, Mask], ...], Field] = {}
    for present, field in parts:
        at[present] = field if present not in at else join(at[present], field, node, dims)
    kept: list[FieldPart] = []
    for present, field in at.items():
        part = FieldPart(present, field)
        again = True
        while again:
            again = False
            for i, other in enumerate(kept):
                if other.field is part.field or other.field == part.field:
                    union = _both(dict(other.present), dict(part.present), dims)
                    if union is not None:
                        kept.pop(i)
                        part, again = FieldPart(union, part.field), True
                        break
        kept.append(part)
    if len(kept) > MOST_PARTS:
        whole = kept[0].field
        for part in kept[1:]:
            whole = join(whole, part.field, node, dims)
        return (FieldPart((), whole._replace(bounded=(*whole.bounded, node))),)
    return tuple(kept)


def _both(a: dict[int, Mask], b: dict[int, Mask], dims: tuple[int, ...]) -> tuple[tuple[int, Mask], ...] | None:
    """The union of two places, where they differ along one axis or one lies within the other."""
    axes = sorted({*a, *b})
    pairs = [(axis, a.get(axis, (1 << dims[axis]) - 1), b.get(axis, (1 << dims[axis]) - 1)) for axis in axes]
    if all(m | n == m for _, m, n in pairs):
        return tuple(sorted(a.items()))
    if all(m | n == n for _, m, n in pairs):
        return tuple(sorted(b.items()))
    different = [axis for axis, m, n in pairs if m != n]
    if len(different) != 1:
        return None
    union = [(axis, m | n) for axis, m, n in pairs]
    return tuple((axis, m) for axis, m in union if m != (1 << dims[axis]) - 1)
