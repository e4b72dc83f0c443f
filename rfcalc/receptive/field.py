"""What one node sees of one source, on all axes: windows while they hold, and a typed account of where they do not.

A field is a union of *terms*; a term is a product over the source's axes. Each entry says which axis of the node
decides and by what: a window (`Aligned`), or a hull where the positions follow no common stride (`Unaligned`). Usually
there is one term. There are more where they differ in kind (a local path beside a global one, whose window does not
move) or where units see nothing on one axis (so that hulls do not factor).

Laws: `join` is commutative, associative, idempotent; `through` distributes over it; a field passes element-wise layers
unchanged, as the same object.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeVar

from rfcalc.core.layer import POINTWISE, Alternatives, Reads
from rfcalc.core.size import Size, decide, is_number
from rfcalc.core.window import (
    START,
    STEP,
    All,
    Border,
    Ends,
    Index,
    Listed,
    PeriodTooLong,
    Scattered,
    Slide,
    Table,
    Unsized,
    Window,
    hull,
)


class Aligned(NamedTuple):
    """A window on one axis of the source: unit u of the node's axis `carrier` sees ``window.unit(u)``. Without a
    carrier every unit sees ``window.unit(0)``: the axis that decided has been read as a whole, or has one position."""

    carrier: int | None
    window: Window

    @property
    def carriers(self) -> frozenset[int]:
        """The axes of the node that decide."""
        return frozenset() if self.carrier is None else frozenset((self.carrier,))

    @property
    def constant(self) -> bool:
        """Whether it is the same for every unit: a global path, not a local one."""
        window = self.window
        if window.advance != 0:
            return False
        return window.period == 1 or len({e for e in window.ends if e is not None}) == 1

    @property
    def sparse(self) -> bool:
        """Whether some units see nothing."""
        return None in self.window.ends

    def over(self, extents: tuple[Size, ...]) -> Ends:
        """The hull over all units of a node of these extents."""
        return self.window.unit(0) if self.carrier is None else self.window.over(extents[self.carrier])


class Unaligned(NamedTuple):
    """The hull over all units where no window says which unit sees what; the node's axes that decide.

    `within`: a window that no unit sees beyond, where there is one; an end that has no bound is infinite (causal
    attention: nothing after the unit's own place).
    """

    ends: Ends
    carriers: frozenset[int]
    within: Window | None = None

    @property
    def constant(self) -> bool:
        """It is no global path: it may become one."""
        return False

    @property
    def sparse(self) -> bool:
        """Which units see nothing is not told."""
        return False

    def over(self, extents: tuple[Size, ...]) -> Ends:
        """The hull over all units."""
        return self.ends


Entry: TypeAlias = "Aligned | Unaligned"
Term: TypeAlias = "tuple[Entry, ...]"

MOST_TERMS = 32


class Join(NamedTuple):
    """Why an axis has no window: ``strides`` (two paths of different strides meet), ``layout`` (two paths lay it out
    along different axes), ``rearranged`` (positions are), ``before`` and ``after`` (units see all positions up to, or
    from, their own), ``listed`` (each unit has a list of its own), ``gaps`` (units that see nothing are not told by one
    axis), ``period`` (the common period is too long)."""

    node: str
    axis: int
    why: str
    paths: tuple[tuple[str, tuple[Size, int] | None], ...] = ()  # (node, its effective stride)


class Field(NamedTuple):
    """Terms, and notes on them.

    `through`: the nodes that made it global, the first on each path. `joins`: where windows ended. `unsized`: (node,
    why) where the input size is needed. `unknown`: operators that were not understood. `mirrored`: (axis, ends) that
    borders of real pixels (reflected, replicated, circular) may bring in. `bounded`: nodes behind which only an upper
    bound is known, because some of their units, or of their channels, may see less than the window says. `blurred`:
    positions of the source lie side by side in the channels, which the terms do not tell.
    """

    terms: tuple[Term, ...]
    through: tuple[str, ...] = ()
    joins: tuple[Join, ...] = ()
    unsized: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    mirrored: tuple[tuple[int, Ends], ...] = ()
    bounded: tuple[str, ...] = ()
    blurred: bool = False


def start(axes: tuple[int, ...]) -> Field:
    """The field of the source itself: every unit sees itself."""
    return Field((tuple(Aligned(i, START) for i in axes),))


def through(field: Field, alternatives: Alternatives, node: str, extents: tuple[Size, ...]) -> Field | None:
    """What a layer's output sees, from what its input sees and the layer's index relation; None if nothing.

    Args:
        extents: the input's extents, for hulls over all of its units.
    """
    if len(alternatives) == 1:
        reads = alternatives[0]
        return field if reads is POINTWISE else _apply(field, reads, node, extents)
    result: Field | None = None
    for reads in alternatives:
        part = field if reads is POINTWISE else _apply(field, reads, node, extents)
        if part is not None:
            result = part if result is None else join(result, part, node, extents)
    return result


def _apply(field: Field, reads: Reads, node: str, extents: tuple[Size, ...]) -> Field | None:
    step = _AxisWalk(field, node, extents)
    terms: list[Term] = []
    for term in field.terms:
        if step.inseparable(term, reads):
            terms.append(step.unaligned(term, reads))
            continue
        entries: list[Entry] = []
        for axis, entry in enumerate(term):
            if isinstance(entry, Unaligned):
                entries.append(step.kept(axis, entry, reads))
                continue
            carrier = entry.carrier
            if carrier is None:
                entries.append(entry)
                continue
            out, index = reads[carrier]
            if index is STEP:
                entries.append(entry if out == carrier else Aligned(out, entry.window))
                continue
            seen = step.see(axis, carrier, entry.window, out, index)
            if isinstance(seen, Aligned) and seen.window is NOTHING_SEEN:
                if field.mirrored or step.mirrored:  # a border may bring in real pixels that no window reaches
                    terms.append(step.unaligned(term, reads))
                break
            entries.append(seen)
        else:
            terms.append(tuple(entries))
    if not terms and not field.unknown:
        return None
    notes = step.notes(field, bool(terms))
    return notes._replace(terms=tuple(terms) if len(terms) < 2 else _tidy(terms))


NOTHING_SEEN = Window(0, (None,))


class _AxisWalk:
    """One layer's index relation, applied axis by axis, and what is to be noted about it."""

    __slots__ = ("extents", "field", "joins", "mirrored", "node", "unsized", "wide")

    def __init__(self, field: Field, node: str, extents: tuple[Size, ...]) -> None:
        self.field, self.node, self.extents = field, node, extents
        self.joins: list[Join] = []
        self.unsized: list[tuple[str, str]] = []
        self.mirrored: list[tuple[int, Ends]] = []
        self.wide = False

    def inseparable(self, term: Term, reads: Reads) -> bool:
        """Whether which units see anything cannot be told axis by axis: units of an axis that no window follows read
        nothing, or several windows with gaps follow one axis of which more than one position is read."""
        followed: list[int] = []
        gaps: set[int] = set()
        for entry in term:
            followed += entry.carriers
            if entry.sparse:
                gaps |= entry.carriers
        for axis, (out, index) in enumerate(reads):
            if axis not in followed:
                units = index.units if isinstance(index, Listed) else index.phases if isinstance(index, Table) else ()
                if out is not None and not all(units):
                    return True
            elif axis in gaps and index is not STEP and followed.count(axis) > 1:
                return True
        return False

    def unaligned(self, term: Term, reads: Reads) -> Term:
        """The hull of each axis, and that no window says which unit sees what."""
        outs = frozenset(
            out for out, index in reads if out is not None and index is not STEP and type(index) is not All
        )
        self.joins += [Join(self.node, axis, "gaps") for axis in range(len(term))]
        return tuple(Unaligned(entry.over(self.extents), outs) for entry in term)

    def see(self, axis: int, carrier: int, window: Window, out: int | None, index: Index) -> Entry:
        """What the layer's units see through one index of its relation.

        The window ``32·u − 90 … 32·u + 121`` (pool5 of VGG-16), read by a convolution of three positions beside one
        another (positions u − 1, u, u + 1), is the window ``32·u − 122 … 32·u + 153``: 212 + 2 · 32 = 276 pixels.
        """
        outs = frozenset(() if out is None else (out,))
        if isinstance(index, (Slide, Table)):
            if index.border != Border.ZEROS:
                self.mirrored.append((axis, window.over(self.extents[carrier])))
            if isinstance(index, Slide) and window.period > 1 and not index.counted:
                self.unsized.append((self.node, "phases need numbers for kernel, stride, padding and dilation"))
                return Unaligned(None, outs)
            try:
                window = window.pull(index)
            except PeriodTooLong:
                self.joins.append(Join(self.node, axis, "period"))
                return Unaligned(window.over(self.extents[carrier]), outs)
            return Aligned(out, NOTHING_SEEN if window.ends == (None,) else window)
        if isinstance(index, All):
            if out is None and decide(index.extent == 1):  # one unit is left: it has no stride; what is global stays so
                ends = window.unit(0)
                moves = 0 if Aligned(0, window).constant else 1
                return Aligned(None, NOTHING_SEEN if ends is None else Window(moves, (ends,)))
            self.widens(axis)
            ends = window.over(index.extent)
            return Aligned(out, NOTHING_SEEN if ends is None else Window(0, (ends,)))
        if isinstance(index, Unsized):
            self.unsized.append((self.node, index.why))
            return Unaligned(None, outs)
        within, why, extent = None, "rearranged", self.extents[carrier]
        ends = window.over(extent)
        if Aligned(carrier, window).constant and not window.sparse and all(getattr(index, "units", ())):
            return Aligned(out, Window(0, (ends,)))  # what every unit sees stays so, however they are re-arranged
        if isinstance(index, Scattered):
            parted = None if index.split is None else window.parted(index.split)
            if parted is not None:
                return Aligned(index.axes[parted[0]], parted[1])
            outs = frozenset(index.axes)
        else:
            from rfcalc.receptive.within import followed_within

            within, why = followed_within(window, index, extent)
            if is_number(extent):  # what no unit reads, as rows that a gather leaves out, is not seen
                ends = (
                    hull(window.unit(p) for p in {p for unit in index.units for p in unit if 0 <= p < extent}) or ends
                )
        self.joins.append(Join(self.node, axis, why))
        return Unaligned(ends, outs, within)

    def kept(self, axis: int, entry: Unaligned, reads: Reads) -> Entry:
        """A hull that no window follows stays, until every axis that decides has been read as a whole: then it is
        global."""
        outs: set[int] = set()
        last: int | None = None
        for carrier in entry.carriers:
            out, index = reads[carrier]
            last = out
            if isinstance(index, Scattered):
                outs.update(index.axes)
            elif not isinstance(index, All) and out is not None:
                outs.add(out)
        if outs or entry.ends is None:
            within = None  # what no unit sees beyond, after the layer
            if entry.within is not None and len(entry.carriers) == 1:
                from rfcalc.receptive.within import followed_within

                within, _ = followed_within(entry.within, index, self.extents[carrier])
            return Unaligned(entry.ends, frozenset(outs), within)
        self.widens(axis)
        return Aligned(last, Window(0, (entry.ends,)))

    def widens(self, axis: int) -> None:
        """Note that this layer makes the axis global, unless an earlier one has."""
        if not any(term[axis].constant for term in self.field.terms):
            self.wide = True

    def notes(self, field: Field, seen: bool) -> Field:
        if self.wide and seen:
            field = field._replace(through=merged(field.through, (self.node,)))
        if self.joins:
            field = field._replace(joins=merged(field.joins, tuple(self.joins)))
        if self.mirrored:
            field = field._replace(mirrored=_widest((*field.mirrored, *self.mirrored)))
        if self.unsized:
            field = field._replace(unsized=merged(field.unsized, tuple(self.unsized)))
        return field


def _widest(ends: tuple[tuple[int, Ends], ...]) -> tuple[tuple[int, Ends], ...]:
    """One hull for each axis."""
    axes = sorted({axis for axis, _ in ends})
    return tuple((axis, hull(e for a, e in ends if a == axis)) for axis in axes)


T = TypeVar("T")


def merged(a: tuple[T, ...], b: tuple[T, ...]) -> tuple[T, ...]:
    """The union of two lists of notes, in order."""
    if a is b or not b:
        return a
    if not a:
        return b
    return (*a, *(x for x in b if x not in a))


def _signature(term: Term) -> tuple[object, ...]:
    return tuple((isinstance(e, Unaligned), e.carrier if isinstance(e, Aligned) else None, e.constant) for e in term)


def _tidy(terms: list[Term]) -> tuple[Term, ...]:
    """Merge the dense terms of one kind (their hulls add up axis by axis), and terms that differ in one axis only."""
    kept: list[Term] = []
    for term in terms:
        for i, other in enumerate(kept):
            if other == term:
                break
            if _mergeable(other, term):
                kept[i] = tuple(_both(a, b) for a, b in zip(other, term, strict=True))
                break
        else:
            kept.append(term)
    return tuple(kept)


def _mergeable(a: Term, b: Term) -> bool:
    if _signature(a) != _signature(b):
        return False
    return not any(e.sparse for e in (*a, *b)) or sum(p != q for p, q in zip(a, b, strict=True)) <= 1


def _both(a: Entry, b: Entry) -> Entry:
    """The union of two entries of one kind: their windows' unit by unit, or the hull of their hulls."""
    if isinstance(a, Aligned) and isinstance(b, Aligned):
        return Aligned(a.carrier, a.window | b.window)
    from rfcalc.receptive.within import widened

    ends = [e.ends if isinstance(e, Unaligned) else None for e in (a, b)]
    return Unaligned(hull(ends), a.carriers | b.carriers, widened((_within(a), _within(b))))


def _within(entry: Entry) -> Window | None:
    """What no unit sees beyond: a window itself, if an axis of the node moves it."""
    if isinstance(entry, Unaligned):
        return entry.within
    return None if entry.carrier is None or entry.constant else entry.window


def join(a: Field, b: Field, node: str, extents: tuple[Size, ...], names: tuple[str, str] = ("", "")) -> Field:
    """What a layer sees whose inputs see `a` and `b` at the same unit: the union; where the two have different strides
    on an axis, a common hull and a note.

    A path of stride 2 that sees 2·u … 2·u + 4 and one that sees 2·u − 1 … 2·u + 2 have 2·u − 1 … 2·u + 4 together, six
    pixels. With a path of stride 1 beside it (u … u + 2, in a map of 10 units) there is no such rule: what is left is
    the hull over all units, −1 … 22, and the note that strides 2 and 1 met here.

    Args:
        extents: the node's own extents, for hulls over all of its units.
        names: the nodes that a and b come from.
    """
    if a is b:
        return a
    if len(a.terms) == 1 and len(b.terms) == 1 and a[1:] == b[1:]:
        term = _affine(a.terms[0], b.terms[0])
        if term is not None:
            return a if term is a.terms[0] else a._replace(terms=(term,))
    joins = list(merged(a.joins, b.joins))
    tidy = terms = (*a.terms, *b.terms)
    rank = len(terms[0]) if terms else 0
    unaligned = {axis for axis in range(rank) if any(isinstance(t[axis], Unaligned) for t in terms)}
    met = {axis: why for axis in range(rank) if axis not in unaligned and (why := _conflict(terms, axis))}
    joins += [Join(node, axis, why[0], tuple(zip(names, why[1:], strict=True))) for axis, why in met.items()]
    unaligned |= met.keys()
    bounded = merged(a.bounded, b.bounded)
    try:
        tidy = _tidy(_unaligned([*terms], unaligned, extents))
    except PeriodTooLong:
        tidy = ((),) * (MOST_TERMS + 1)
    if len(tidy) > MOST_TERMS:
        joins += [Join(node, axis, "period") for axis in range(rank) if axis not in unaligned]
        tidy = _tidy(_unaligned([*terms], set(range(rank)), extents))
    elif any(_conflict(tidy, axis) for axis in range(rank)):
        from rfcalc.receptive.within import leveled

        tidy, bounded = _tidy(leveled(tidy, extents)), merged(bounded, (node,))
    return Field(
        tidy,
        merged(a.through, b.through),
        tuple(joins),
        merged(a.unsized, b.unsized),
        merged(a.unknown, b.unknown),
        _widest((*a.mirrored, *b.mirrored)) if a.mirrored or b.mirrored else (),
        bounded,
        a.blurred or b.blurred,
    )


def _affine(a: Term, b: Term) -> Term | None:
    """The union of two terms whose windows are affine and move by the same stride, the usual case; else None."""
    entries: list[Entry] = []
    same = True
    for p, q in zip(a, b, strict=True):
        if isinstance(p, Unaligned) or isinstance(q, Unaligned) or p.carrier != q.carrier:
            return None
        v, w = p.window, q.window
        if v.advance != w.advance or v.advance == 0:
            return None
        if v is w or v.ends == w.ends:
            entries.append(p)
            continue
        if v.period > 1 or w.period > 1 or v.ends[0] is None or w.ends[0] is None:
            return None
        joined = v | w
        same = same and joined is v
        entries.append(Aligned(p.carrier, joined))
    return a if same else tuple(entries)


def _unaligned(terms: list[Term], axes: set[int], extents: tuple[Size, ...]) -> list[Term]:
    """The terms with one common hull on each of these axes, in place of windows that move."""
    if not axes:
        return terms
    from rfcalc.receptive.within import widened

    for axis in axes:
        moving = [t[axis] for t in terms if not t[axis].constant]
        ends = hull(e.over(extents) for e in moving)
        carriers: frozenset[int] = frozenset().union(*(e.carriers for e in moving))
        common = Unaligned(ends, carriers, widened(map(_within, moving)) if len(carriers) == 1 else None)
        terms = [t if t[axis].constant else (*t[:axis], common, *t[axis + 1 :]) for t in terms]
    return terms


def _conflict(terms: tuple[Term, ...], axis: int) -> tuple[str, tuple[Size, int], tuple[Size, int]] | None:
    """How local windows disagree on an axis: by stride, or by the node's axis that decides."""
    for i, p in enumerate(terms):
        for q in terms[i + 1 :]:
            one, two = p[axis], q[axis]
            if one is two or isinstance(one, Unaligned) or isinstance(two, Unaligned) or one.constant or two.constant:
                continue
            v, w = one.window, two.window
            if one.carrier != two.carrier:
                return "layout", v.stride, w.stride
            if not v.same_stride(w):
                return "strides", v.stride, w.stride
    return None


def of_positions(field: Field, channel: int, extents: tuple[Size, ...], node: str) -> Field:
    """The field of a node's positions over all of its channels: where the channel axis decides, the union over it."""
    if all(isinstance(e, Unaligned) or e.carrier != channel or e.constant for t in field.terms for e in t):
        along = any(isinstance(e, Unaligned) and channel in e.carriers for t in field.terms for e in t)
        return field._replace(blurred=True) if along and not field.blurred else field
    terms = [tuple(_over_channels(e, channel, extents) for e in term) for term in field.terms]
    if decide(extents[channel] == 1) is not True:
        field = field._replace(through=merged(field.through, (node,)), blurred=True)
    return field._replace(terms=_tidy(terms))


def _over_channels(entry: Entry, channel: int, extents: tuple[Size, ...]) -> Entry:
    if isinstance(entry, Unaligned) or entry.carrier != channel or entry.constant:
        return entry
    return Aligned(None, Window(1 if decide(extents[channel] == 1) else 0, (entry.over(extents),)))


def followed(field: Field) -> set[int]:
    """The axes of a node that positions of the source lie along."""
    return {axis for term in field.terms for entry in term for axis in entry.carriers}


def gaps(field: Field | None, node: str) -> bool:
    """Whether a node has made units of an axis that no window follows see nothing."""
    return field is not None and bool(field.joins) and field.joins[-1].node == node and field.joins[-1].why == "gaps"
