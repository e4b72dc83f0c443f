"""One axis of a receptive field: what a unit reads, and the interval of the source that it sees.

Two things live here. An **index** (`Slide`, `Table`, `All`) is a layer's own statement: which positions of its input
unit *u* of its output reads, on one axis. A **window** is what a whole path amounts to: the interval of the *source*
that unit *u* depends on, padding counted.

Both are *affine up to a period*: ``x(u + P) = x(u) + A``, with period P and advance A, so that convolutions (P = 1,
A = stride), transposed convolutions and upsampling (P = stride, A = 1), adaptive pooling and resizing by any ratio are
one thing. The effective stride is A / P.

Laws (tests/test_window.py checks them on random values):

1. `Window.unit` is the definition: everything else agrees with it at every unit, negative ones included.
2. Composition: ``w.pull(i).unit(u)`` is the hull of ``w.unit(m)`` over every m that index i reads at u.
3. Join is commutative, associative, idempotent: the hull of the union, for windows of equal stride.
4. Pull-back distributes over join: ``(v | w).pull(i) == v.pull(i) | w.pull(i)``.
5. Windows are stored at their smallest period, so equal maps compare equal.

A unit that reads nothing (the gaps of a transposed convolution whose kernel is smaller than its stride) has no
interval: None. For chains of `Slide` everything stays affine and also works on symbols. Imports `size` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from math import gcd
from typing import TypeAlias

from rfcalc.core.size import Size, decide, is_number, maximum, minimum

Ends: TypeAlias = "tuple[Size, Size] | None"

LONGEST_PERIOD = 1 << 16


class Choice(StrEnum):
    """One of a few words; as text, in files and in source it is the word."""

    def __repr__(self) -> str:
        return repr(self.value)


class Border(Choice):
    """What a position outside of a map stands for."""

    ZEROS = "zeros"
    REFLECT = "reflect"
    REPLICATE = "replicate"
    CIRCULAR = "circular"


class PeriodTooLong(ArithmeticError):
    """The common period of two maps is beyond what is tabulated; the walk turns it into a typed result."""


class Slide:
    """Unit u reads ``stride·u + first + dilation·t`` for t in 0 … kernel − 1 (convolution, pooling, slicing, padding).

    >>> list(Slide(2, -1, 3).taps(4))
    [7, 8, 9]
    """

    __slots__ = ("border", "dilation", "first", "kernel", "stride")
    period = 1

    def __init__(
        self, stride: Size = 1, first: Size = 0, kernel: Size = 1, dilation: Size = 1, border: Border = Border.ZEROS
    ) -> None:
        self.stride, self.first, self.kernel, self.dilation, self.border = stride, first, kernel, dilation, border

    @property
    def advance(self) -> Size:
        return self.stride

    @property
    def counted(self) -> bool:
        """Whether it is all in numbers, so that what each unit reads can be listed."""
        return all(is_number(v) for v in (self.stride, self.first, self.kernel, self.dilation))

    def taps(self, unit: int) -> Sequence[int]:
        start = self.stride * unit + self.first
        return range(start, start + self.dilation * (self.kernel - 1) + 1, self.dilation)

    def key(self) -> tuple[object, ...]:
        return (self.stride, self.first, self.kernel, self.dilation, self.border)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slide) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def __repr__(self) -> str:
        return f"Slide{self.key()}"


class Table:
    """Unit u reads ``advance·(u // period) + t`` for the t listed for its phase ``u % period``.

    Transposed convolution, upsampling, adaptive pooling, strided layouts: everything affine up to a period.

    >>> double = Table(1, [[0], [0]])  # nearest upsampling by two
    >>> [list(double.taps(u)) for u in range(4)]
    [[0], [0], [1], [1]]
    """

    __slots__ = ("advance", "border", "period", "phases")

    def __init__(self, advance: int, phases: Iterable[Iterable[int]], border: Border = Border.ZEROS) -> None:
        self.advance = advance
        self.phases = tuple(tuple(sorted(set(p))) for p in phases)
        self.period = len(self.phases)
        self.border = border

    def taps(self, unit: int) -> Sequence[int]:
        turn, phase = divmod(unit, self.period)
        return [turn * self.advance + t for t in self.phases[phase]]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Table)
            and self.advance == other.advance
            and self.phases == other.phases
            and self.border == other.border
        )

    def __hash__(self) -> int:
        return hash((self.advance, self.phases, self.border))

    def __repr__(self) -> str:
        return f"Table({self.advance}, {[list(p) for p in self.phases]}, {self.border!r})"


class All:
    """Every unit reads the whole axis of `extent` positions (global pooling, attention, a flattened map)."""

    __slots__ = ("extent",)
    border = Border.ZEROS

    def __init__(self, extent: Size) -> None:
        self.extent = extent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, All) and self.extent == other.extent

    def __hash__(self) -> int:
        return hash(self.extent)

    def __repr__(self) -> str:
        return f"All({self.extent})"


class Listed:
    """Unit u reads exactly the positions listed for it: maps tied to their extent (rolling, joining end to end).

    >>> Listed([[2], [0], [1]]).taps(1)  # rolled by one
    (0,)
    """

    __slots__ = ("units",)
    border = Border.ZEROS

    def __init__(self, units: Iterable[Iterable[int]]) -> None:
        self.units: tuple[Sequence[int], ...] = tuple([_in_order(u) for u in units])

    def taps(self, unit: int) -> Sequence[int]:
        return self.units[unit] if 0 <= unit < len(self.units) else ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listed) and self.units == other.units

    def __hash__(self) -> int:
        return hash(self.units)

    def __repr__(self) -> str:
        return f"Listed({[list(u) for u in self.units]})"


def _in_order(units: Iterable[int]) -> Sequence[int]:
    """Positions in order, each once: a run of them as a range, which takes no room."""
    if type(units) is range and units.step == 1:
        return units
    found = tuple(sorted(set(units)))
    whole = len(found) > 2 and found[-1] - found[0] + 1 == len(found)
    return range(found[0], found[-1] + 1) if whole else found


class Unsized:
    """What is read depends on a size that is not a number (TensorFlow's SAME, adaptive pooling of a symbolic map)."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why

    def __repr__(self) -> str:
        return f"Unsized({self.why!r})"


class Scattered:
    """Positions are re-arranged so that several output axes decide together where they come from (window partition).

    `split`: the extents of these axes, where they are the row-major split of the one axis that is read: of 8 × 8, unit
    (i, j) reads position 8·i + j.
    """

    __slots__ = ("axes", "split")

    def __init__(self, axes: Iterable[int], split: Sequence[int] | None = None) -> None:
        self.axes = tuple(axes)
        self.split = split and tuple(split)

    def __repr__(self) -> str:
        return f"Scattered({self.axes}{f', {self.split}' if self.split else ''})"


Index: TypeAlias = "Slide | Table | All | Listed | Unsized | Scattered"

STEP = Slide()


class Window:
    """The interval of the source that unit u sees: ``ends[u % period]`` moved by ``advance·(u // period)``.

    >>> pool5 = Window(32, [(-90, 121)])
    >>> pool5.size, pool5.stride, pool5.unit(3)
    (212, (32, 1), (6, 217))
    """

    __slots__ = ("_regular", "advance", "ends", "period")

    def __init__(self, advance: Size, ends: Sequence[Ends]) -> None:
        self.advance = advance
        self.ends = tuple(ends)
        self.period = len(self.ends)
        self._regular: bool | None = True if self.period == 1 and self.ends[0] is not None else None
        if self._regular is None:
            self._reduce()

    def _reduce(self) -> None:
        """Bring to the smallest period (law 5): try to divide it by each of its prime factors."""
        if self.empty:  # nothing is seen: one value for all such windows
            self.advance, self.ends, self.period = 0, (None,), 1
            return
        factor = 2
        rest = self.period
        while rest > 1:
            while rest % factor == 0:
                rest //= factor
                shorter = self.period // factor
                if self.advance % factor == 0 and self._repeats(shorter, self.advance // factor):
                    self.advance //= factor
                    self.ends = self.ends[:shorter]
                    self.period = shorter
            factor += 1

    def _repeats(self, period: int, advance: int) -> bool:
        ends = self.ends
        for here, there in zip(ends, ends[period:], strict=False):
            if (here is None) != (there is None):
                return False
            if here and there and (here[0] + advance != there[0] or here[1] + advance != there[1]):
                return False
        return True

    def unit(self, u: Size) -> Ends:
        """The interval (first, last) that unit u sees, or None if it sees nothing."""
        if self.period == 1:
            ends, moved = self.ends[0], self.advance * u
        else:
            turn, phase = divmod(u, self.period)
            ends, moved = self.ends[phase], self.advance * turn
        return None if ends is None else (ends[0] + moved, ends[1] + moved)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Positions seen, for each phase (0 where nothing is)."""
        return tuple(0 if e is None else e[1] - e[0] + 1 for e in self.ends)

    @property
    def size(self) -> Size:
        """The largest phase's size."""
        sizes = self.sizes
        most = sizes[0]
        for size in sizes[1:]:
            most = maximum(most, size)
        return most

    @property
    def stride(self) -> tuple[Size, int]:
        """The effective stride A / P as a reduced fraction (numerator, denominator)."""
        if self.period == 1 or not is_number(self.advance):
            return self.advance, self.period
        common = gcd(self.advance, self.period)
        return self.advance // common, self.period // common

    @property
    def empty(self) -> bool:
        """Whether no unit sees anything."""
        return all(e is None for e in self.ends)

    @property
    def sparse(self) -> bool:
        """Whether some unit sees nothing."""
        return None in self.ends

    @property
    def regular(self) -> bool:
        """Whether every unit sees something and neither end ever moves backwards: then hulls follow from their ends."""
        if self._regular is None:
            self._regular = not self.sparse and self._rises()
        return self._regular

    def _rises(self) -> bool:
        ends = [e for e in self.ends if e is not None]
        first = ends[0]
        ends.append((first[0] + self.advance, first[1] + self.advance))
        return all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(ends))

    def pull(self, index: Slide | Table) -> Window:
        """This window seen through a layer: for each of its units the hull over the positions that `index` reads.

        For two affine maps the result is affine: stride S·s, first end ``a + S·first``. Else over the common period.

        Raises:
            PeriodTooLong: when that period exceeds `LONGEST_PERIOD`.

        >>> Window(1, [(0, 0)]).pull(Slide(2, -1, 3)).pull(Slide(2, 0, 2))
        Window(4, [(-1, 3)])
        """
        if self.period == 1 and index.period == 1 and isinstance(index, Slide):
            ends = self.ends[0]
            step = self.advance
            if ends is None:
                return self
            first = index.first
            if step == 1:
                last = first + index.dilation * (index.kernel - 1)
                return Window(index.stride, ((ends[0] + first, ends[1] + last),))
            last = first + index.dilation * (index.kernel - 1)
            return Window(step * index.stride, ((ends[0] + step * first, ends[1] + step * last),))
        turns = self.period // gcd(self.period, index.advance)
        period = index.period * turns
        if period > LONGEST_PERIOD:
            raise PeriodTooLong(period)
        advance = self.advance * (index.advance * turns // self.period)
        regular = self.regular
        found: list[Ends] = []
        for u in range(period):
            taps = index.taps(u)
            if regular and len(taps) > 0:  # the ends rise: the first position begins it, the last one ends it
                first, last = self.unit(taps[0]), self.unit(taps[-1])
                found.append((first[0], last[1]))  # type: ignore[index]
            else:
                found.append(hull(self.unit(t) for t in taps))
        return Window(advance, found)

    def parted(self, extents: Sequence[int]) -> tuple[int, Window] | None:
        """This window on an axis that is split, row-major, into axes of these extents, where one of them decides alone:
        which, and the window along it. None where several decide, or the one goes by no rule.

        A map of 8 × 8 positions laid out as 64 has the window ``u // 8`` on its rows and ``u % 8`` on its columns; as
        8 × 8 again, rows follow the first axis alone and columns the second.

        >>> rows, columns = Window(1, [(0, 0)] * 8), Window(0, [(x, x) for x in range(8)])
        >>> rows.parted((8, 8)), columns.parted((8, 8)), Window(1, [(0, 0)]).parted((8, 8))
        ((0, Window(1, [(0, 0)])), (1, Window(1, [(0, 0)])), None)
        """
        count = 1
        for n in extents:
            count *= n
        if count > LONGEST_PERIOD or not is_number(self.advance):
            return None
        seen = [self.unit(u) for u in range(count)]
        below = count
        for k, n in enumerate(extents):
            below //= n
            if all(seen[u] == seen[u // below % n * below] for u in range(count)):
                window = _by_rule(seen[: n * below : below])
                return None if window is None else (k, window)
        return None

    def over(self, extent: Size) -> Ends:
        """The hull of what units 0 … extent − 1 see."""
        if self.period == 1:
            ends = self.ends[0]
            return None if ends is None else (ends[0], ends[1] + self.advance * (extent - 1))
        if not is_number(extent):  # the first and the last unit of each phase
            parts: list[Ends] = []
            for phase, ends in enumerate(self.ends):
                if ends is not None:
                    moved = self.advance * ((extent - 1 - phase) // self.period)
                    parts += [ends, (ends[0] + moved, ends[1] + moved)]
            return hull(parts)
        units: set[int] = set(range(min(self.period, extent)))
        units |= set(range(max(0, extent - self.period), extent))
        return hull(self.unit(u) for u in units)

    def same_stride(self, other: Window) -> bool:
        if self.empty or other.empty:
            return True
        return decide(self.advance * other.period == other.advance * self.period) is True

    def __or__(self, other: Window) -> Window:
        """The hull of the union, unit by unit, of two windows of the same stride.

        >>> Window(2, [(0, 4)]) | Window(2, [(-1, 2)])
        Window(2, [(-1, 4)])
        """
        if self is other:
            return self
        if self.period == 1 and other.period == 1:
            a, b = self.ends[0], other.ends[0]
            if a is None or b is None:
                return other if a is None else self
            low, high = minimum(a[0], b[0]), maximum(a[1], b[1])
            if low is a[0] and high is a[1]:
                return self
            return Window(self.advance, ((low, high),))
        if other.empty:
            return self
        if self.empty:
            return other
        period = self.period * other.period // gcd(self.period, other.period)
        if period > LONGEST_PERIOD:
            raise PeriodTooLong(period)
        ends = [hull((self.unit(u), other.unit(u))) for u in range(period)]
        return Window(self.advance * period // self.period, ends)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Window) and self.advance == other.advance and self.ends == other.ends

    def __hash__(self) -> int:
        return hash((self.advance, self.ends))

    def __repr__(self) -> str:
        return f"Window({self.advance}, [{', '.join(map(str, self.ends))}])"


def _by_rule(units: Sequence[Ends]) -> Window | None:
    """The window of the least period that says what all of these units see and repeats at least once among them."""
    for period in range(1, len(units) // 2 + 1):
        moved = {b[0] - a[0] for a, b in zip(units, units[period:], strict=False) if a and b} or {0}
        if len(moved) == 1:
            window = Window(moved.pop(), units[:period])
            if all(window.unit(u) == ends for u, ends in enumerate(units)):
                return window
    return None


def hull(parts: Iterable[Ends]) -> Ends:
    """The smallest interval that holds them all; None for nothing.

    >>> hull([(3, 4), None, (1, 2)])
    (1, 4)
    """
    result: Ends = None
    for part in parts:
        if part is None:
            continue
        if result is None:
            result = part
        else:
            result = (minimum(result[0], part[0]), maximum(result[1], part[1]))
    return result


START = Window(1, ((0, 0),))


def resolve(position: int, extent: int, border: Border) -> int | None:
    """The real position that an index stands for; None for nothing.

    >>> [resolve(-2, 5, border) for border in Border]
    [None, 2, 0, 3]
    """
    if 0 <= position < extent:
        return position
    if border == Border.ZEROS:
        return None
    if border == Border.REPLICATE:
        return 0 if position < 0 else extent - 1
    if border == Border.CIRCULAR:
        return position % extent
    period = 2 * (extent - 1)
    position %= period
    return position if position < extent else period - position


def taps(index: Index, unit: int, extent: int) -> Sequence[int]:
    """The real positions that a unit reads, in order."""
    if isinstance(index, All):
        return range(index.extent)
    if isinstance(index, (Unsized, Scattered)):
        raise TypeError(f"{index} has no taps on one axis")
    found = (resolve(t, extent, index.border) for t in index.taps(unit))
    return sorted({t for t in found if t is not None})
