"""Positions that are laid side by side along an axis and picked from: what joining, slicing and listing amount to.

Writing into a part of a map (every second row, all but the border) is read as joining the old map and the new part and
picking from both. Read one by one, such steps tie each unit to a position of its own; together they often are affine up
to a period again: every unit keeps its place, in one of several maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from rfcalc.core.layer import Alternatives
from rfcalc.core.window import STEP, Border, Index, Listed, Slide, Table, Window
from rfcalc.receptive.field import Field, Unaligned, followed, join, through

LONGEST = 16  # periods that are looked for
MOST_PIECES = 64

Map: TypeAlias = "tuple[int | None, ...]"  # the position that each unit holds; None: one of another piece


class Pieces(NamedTuple):
    """Along one axis of a node: which unit holds which position of which earlier position of the network."""

    axis: int
    parts: tuple[tuple[int, Map], ...]


def picked(
    sources: Sequence[int],
    relation: Sequence[Alternatives],
    known: dict[int, Pieces],
    found: Sequence[Field | None],
    dims: tuple[int, ...],
) -> Pieces | None:
    """The pieces of a node of these dims; None where it does more than laying positions side by side."""
    axis: int | None = None
    maps: list[tuple[int, Map]] = []
    for s, alternatives in zip(sources, relation, strict=True):
        if len(alternatives) != 1:
            return None
        for i, (out, index) in enumerate(alternatives[0]):
            if out != i:
                return None
            if index is STEP:
                continue
            if axis not in (None, i):
                return None
            axis = i
        if axis is None:
            return None
        made = _map(alternatives[0][axis][1], dims[axis])
        if made is None:
            return None
        maps.append((s, made))
    if axis is None:
        return None
    parts: list[tuple[int, Map]] = []
    for s, made in maps:
        field = found[s]
        if field is None:
            continue
        if axis not in followed(field):
            return None
        before = known.get(s)
        if before is None or before.axis != axis:
            parts.append((s, made))
        else:
            parts += [(root, tuple(None if p is None else old[p] for p in made)) for root, old in before.parts]
    return Pieces(axis, tuple(parts)) if len(parts) <= MOST_PIECES else None


def _map(index: Index, n: int) -> Map | None:
    if isinstance(index, Listed):
        return tuple(u[0] if u else None for u in index.units) if all(len(u) < 2 for u in index.units) else None
    if (
        type(index) is Slide
        and index.counted
        and index.kernel == 1
        and index.first >= 0
        and index.border == Border.ZEROS
    ):
        return tuple(index.first + index.stride * u for u in range(n))
    return None


def merged(
    pieces: Pieces,
    found: Sequence[Field | None],
    dims: tuple[int, ...],
    extents: dict[int, tuple[int, ...]],
    node: str,
) -> Field | None:
    """The field of a node, where its pieces are affine up to a period, or blocks that see the same."""
    seen: list[Field] = []
    blocks = False
    for root, places in pieces.parts:
        if all(p is None for p in places):
            continue
        made = _affine(places)
        field = found[root]
        if made is None or field is None:
            return None
        index, block = made
        blocks = blocks or block
        reads = tuple((i, index if i == pieces.axis else STEP) for i in range(len(dims)))
        part = through(field, (reads,), node, extents[root])
        if part is None:
            return None
        seen.append(part)
    if not seen or (blocks and len(seen) < 2):
        return None
    whole = seen[0]
    for part in seen[1:]:
        whole = part if part.terms == whole.terms else join(whole, part, node, dims)
    if any(j.node == node for j in whole.joins):
        return None
    if not blocks or all(part.terms == whole.terms for part in seen):
        return whole
    hulls = _hulls(whole)
    if hulls is not None and any(
        _hulls(part) == hulls for part in seen
    ):  # some units see what the widest sees, others less
        return whole._replace(bounded=(*whole.bounded, node))
    return None


def _affine(places: Map) -> tuple[Index, bool] | None:
    """What units read, affine up to a period; else where a block of them moves in step, and that it is a block."""
    n = len(places)
    for period in range(1, min(LONGEST, n // 2) + 1):
        advance: int | None = None
        for u in range(n - period):
            a, b = places[u], places[u + period]
            if (a is None) != (b is None):
                break
            if a is not None and b is not None:
                if advance is None:
                    advance = b - a
                if b - a != advance or advance <= 0:
                    break
        else:
            if advance is None:
                continue
            if period == 1:
                return Slide(advance, places[0] or 0), False
            return Table(advance, [[] if p is None else [p] for p in places[:period]]), False
    held = [(u, p) for u, p in enumerate(places) if p is not None]
    (u, p) = held[0]
    if all(a == p + i and b == u + i for i, (b, a) in enumerate(held)):
        return Slide(1, p - u), True
    return None


def _hulls(field: Field) -> tuple[object, ...] | None:
    """The window of each axis over all terms; None where there is no single one."""
    found: list[object] = []
    joined: Window | None
    for entries in zip(*field.terms, strict=True):
        first, joined = entries[0], None
        for entry in entries:
            if isinstance(entry, Unaligned) or isinstance(first, Unaligned) or entry.carrier != first.carrier:
                return None
            if not first.window.same_stride(entry.window):
                return None
            joined = entry.window if joined is None else joined | entry.window
        found.append((first.carrier, joined))
    return tuple(found)
