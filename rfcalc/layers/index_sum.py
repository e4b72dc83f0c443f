"""Sums of listed positions of an axis: frames that overlap, what is folded back, sums by index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Any

from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.layer import NEW, SAME_UNIT, VIEW, Alternatives, Layer, layer, on_axis, store
from rfcalc.core.shape import Shape, axis_of
from rfcalc.core.size import Size, is_number
from rfcalc.core.syntax import Spelling, Word, ranges, split
from rfcalc.core.window import Listed, Slide, Table

MOST_LISTED = 4_000_000


@layer("index_sum")
class IndexSum(Layer):
    """Position u of an axis is the sum of listed positions of the input's axis; others, beside the map, hold nothing.

    Without `by`, ``rows[u]`` lists them: ``scatter``, ``index_add``. With it they follow a rule, P = len(rows):
    ``by·(u // P) + t`` for t in ``rows[u % P]``: frames of a signal (``unfold``), frames added up again (``fold``).
    No parameters, no multiply-adds.

    >>> from rfcalc import IndexSum, Shape
    >>> frames = IndexSum(1, [[0], [1], [2], [3]], by=2, length=16)  # 4 positions, every 2, four times
    >>> frames.output(Shape(3, 10))
    Shape(3, 16)

    Args:
        axis: an axis of the map, channels included.
        rows: positions, a list for each unit, or for each phase of the rule.
        by: how far the rule goes on from one period to the next.
        length: how many positions come out, where there is a rule.
        view: whether no memory is needed (``Tensor.unfold``).
    """

    axis: int
    rows: Any
    _: KW_ONLY
    by: int | None = None
    length: int | None = None
    view: bool = False

    spelling = Spelling(
        ("indexsum",),
        "indexsum axis1 at0,1/2/- by2 to12 view",
        ("view",),
        ("axis", "at", "by", "to"),
        "axis 0; a list for each position, - for none, or a rule: by, to",
    )

    def __post_init__(self) -> None:
        rows = tuple([_row(row) for row in self.rows]) if isinstance(self.rows, Iterable) else ()
        if not rows or not is_number(self.axis):
            raise LayerError(f"{self.rows!r:.60} are not lists of positions", fix="write IndexSum(1, [[0, 1], [2]])")
        ruled = (is_number(self.by), is_number(self.length))
        if ruled[1] and self.length < 1:  # type: ignore[operator]
            raise LayerError(f"its output would have {self.length} positions", fix="give a larger map, or length")
        if ruled not in ((True, True), (False, False)) or (ruled[0] and self.by < 0):  # type: ignore[operator]
            raise LayerError("a rule needs by and length, whole numbers from 0 and 1", fix="leave out both, or neither")
        if not ruled[0] and any(row and row[0] < 0 for row in rows):
            raise LayerError("listed positions are counted from 0", fix="give a rule with by and length for others")
        store(self, rows=rows)

    @property
    def memory(self) -> str:  # type: ignore[override]  # of each layer, not of the kind
        return VIEW if self.view else NEW

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis = axis_of(x, self.axis)
        length = len(self.rows) if self.length is None else self.length
        if is_number(x.dims[axis]) and not self._read_of(x.dims[axis]):
            raise ShapeError(f"nothing of axis {axis} of {x} is read", fix="a Constant depends on nothing")
        return Shape(*x.dims[:axis], length, *x.dims[axis + 1 :], channel=x.channel)

    def _read_of(self, extent: Size) -> bool:
        """Whether any position of an axis of this extent is read."""
        if self.by is None or self.length is None:
            return any(t < extent for row in self.rows for t in row)
        firsts = [  # of each phase and position of it, the first period in which that is not before the map
            (phase, t, max(0, -(t // self.by) if self.by else 0))
            for phase, row in enumerate(self.rows)
            for t in row
            if t >= 0 or self.by
        ]
        count = len(self.rows)
        return any(q * count + phase < self.length and self.by * q + t < extent for phase, t, q in firsts)

    def _index(self) -> Listed | Slide | Table:
        if self.by is None:
            return Listed(self.rows)
        (first, *others) = self.rows
        if not others and first:
            step = first[1] - first[0] if len(first) > 1 else 1
            if first == tuple(range(first[0], first[-1] + 1, step)):
                return Slide(self.by, first[0], len(first), step)
        return Table(self.by, self.rows)

    def listed(self, extent: int) -> list[list[int]]:
        """The positions of an axis of this extent that each unit adds up."""
        index = self._index()
        length = len(self.rows) if self.length is None else self.length
        return [[t for t in index.taps(u) if 0 <= t < extent] for u in range(length)]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis = axis_of(x, self.axis)
        return (SAME_UNIT,) if axis == x.channel else (on_axis(x, axis, self._index()),)

    def ended(self, x: Shape, axis: int) -> IndexSum:
        n = x.dims[axis]
        if not self.by or self.length is None or axis_of(x, self.axis) != axis or not is_number(n):
            return self
        return Ruled(self, int(n) // self.by * len(self.rows) - self.length)

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        axis = axis_of(x, self.axis)
        return (on_axis(x, axis, self._index()),) if axis == x.channel else None

    def notation(self, exact: bool = False) -> str:
        ruled = "" if self.by is None else f" by{self.by} to{self.length}"
        listed = "/".join(ranges(row) or "-" for row in self.rows)
        return f"indexsum axis{self.axis} at{listed}{ruled}" + (" view" if self.view else "")

    @classmethod
    def from_word(cls, word: Word) -> IndexSum:
        rows: list[list[int]] = []
        listed = 0
        for part in split(word.value("at") or "", "/"):
            row: list[int] = []
            for run in split(part, ",") if part != "-" else ():
                ends = [word.end(e, "at") for e in split(run, ":")]
                if len(ends) > 2 or not all(is_number(e) for e in ends):
                    word.culprit = "at"
                    raise LayerError(f"{run or 'nothing'} does not say positions", fix="write at0:2/1,3/-")
                first, last = int(ends[0]), int(ends[-1])
                listed += last - first + 1
                if last < first or listed > MOST_LISTED:
                    word.culprit = "at"
                    raise LayerError(f"{run} does not say positions", why=f"from the first to the last, {MOST_LISTED}")
                row += range(first, last + 1)
            rows.append(row)
        by, to = word.number("by", None), word.number("to", None)
        return cls(word.number("axis", 0), rows, by=by, length=to, view=word.flag("view"))


class Ruled(IndexSum):
    """The rule of an `IndexSum` at any length: whole periods, less `fewer` units."""

    __slots__ = ("fewer",)
    fewer: int

    def __init__(self, like: IndexSum, fewer: int) -> None:
        super().__init__(like.axis, like.rows, by=like.by, length=like.length, view=like.view)
        object.__setattr__(self, "fewer", fewer)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis = axis_of(x, self.axis)
        assert self.by
        length = x.dims[axis] // self.by * len(self.rows) - self.fewer
        return Shape(*x.dims[:axis], length, *x.dims[axis + 1 :], channel=x.channel)

    def notation(self, exact: bool = False) -> str:
        return f"a rule of {len(self.rows)} units every {self.by} positions"


def _row(given: Any) -> tuple[int, ...]:
    row = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if not all(is_number(p) for p in row):
        raise LayerError(f"{given!r:.60} are not positions", why="they are whole numbers")
    return tuple(sorted({int(p) for p in row}))
