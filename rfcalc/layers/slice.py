"""Layers that pick positions and keep them as they are: slices, splits, shuffles, rolls."""

from __future__ import annotations

from typing import Any

from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import SAME_UNIT, VIEW, Alternatives, Layer, layer, on_axis, store
from rfcalc.core.shape import Shape, axis_of
from rfcalc.core.size import Size, agree, ceildiv, decide, divides, holds, is_number, is_size
from rfcalc.core.sliding import axes, one
from rfcalc.core.syntax import Spelling, Word, number, sizes
from rfcalc.core.window import STEP, Index, Listed, Slide, Unsized


def part_of(position: Size, old: Size, new: Size, told: str) -> Size:
    """Where a position of an axis lies when the axis has another length.

    >>> part_of(32, 64, 48, "slice axis0 at32:")
    24

    Raises:
        ShapeError: between two positions.
    """
    if not divides(old, position * new):
        raise ShapeError(f"{told} cuts {old} channels at {position}, which {new} channels cannot be in proportion")
    return position * new // old


@layer("slice")
class Slice(Layer):
    """Positions start, start + step, … before `stop` of one axis (Python's meaning; step ≥ 1)."""

    axis: int
    start: int | None = None
    stop: int | None = None
    step: int = 1

    spelling = Spelling(
        ("slice",), "slice axis1 at0:8 step2", values=("axis", "at", "step"), defaults="axis 0, everything, step 1"
    )
    memory = VIEW

    def __post_init__(self) -> None:
        axes("step", self.step)

    def _bounds(self, x: Shape) -> tuple[int, Size, Size]:
        axis = axis_of(x, self.axis)
        n = x.dims[axis]
        start, stop = 0 if self.start is None else self.start, n if self.stop is None else self.stop
        start = n + start if decide(start < 0) else start
        stop = n + stop if decide(stop < 0) else stop
        stop = n if decide(stop > n) else stop
        start = 0 if decide(start < 0) else start
        if not holds(start < stop, "{} < {}", start, stop):
            ends = [("" if end is None else str(end)) for end in (self.start, self.stop)]
            raise ShapeError(f"the slice {':'.join(ends)}:{self.step} of axis {axis} of {x} is empty")
        return axis, start, ceildiv(stop - start, self.step)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis, _, length = self._bounds(x)
        return Shape(*x.dims[:axis], length, *x.dims[axis + 1 :], channel=x.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis, start, _ = self._bounds(x)
        if axis == x.channel:
            return (SAME_UNIT,)
        return (on_axis(x, axis, Slide(self.step, start)),)

    def stated(self, x: Shape, like: Layer) -> Slice:
        axis, start, count = self._bounds(x)
        step = like.step if isinstance(like, Slice) and holds(count == 1, "{} = 1", count) else self.step
        return Slice(self.axis, start, min(x.dims[axis], start + count * step), step)

    def nothing(self, x: Shape) -> Slice | None:
        n = x.dims[axis_of(x, self.axis)]
        return (
            Slice(self.axis, self.start and 0, None if self.stop is None else n, self.step) if self.step == 1 else None
        )

    def in_proportion(self, before: tuple[Shape, ...], xs: tuple[Shape, ...]) -> Slice:
        axis = axis_of(before[0], self.axis)
        old, new = before[0].dims[axis], xs[0].dims[axis]
        if old == new or self.step != 1:
            return self
        _, start, length = self._bounds(before[0])
        first, last = (part_of(n, old, new, self.notation()) for n in (start, start + length))
        return Slice(self.axis, first or None, None if last == new else last)

    def ended(self, x: Shape, axis: int) -> Slice:
        n = x.dims[axis]
        if self.axis % len(x.dims) != axis or not is_number(n):
            return self
        start, stop = self.start, self.stop
        if stop is not None and stop > 0 and 2 * stop > n:
            stop = None if stop >= n else stop - n
        if start is not None and start < 0 and -2 * start > n:
            start = max(n + start, 0)
        return Slice(self.axis, start, stop, self.step)

    def strides(self, x: Shape, given: tuple[int, ...]) -> tuple[int, ...]:
        at = axis_of(x, self.axis) + 1
        return (*given[:at], given[at] * self.step, *given[at + 1 :])

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        axis, start, _ = self._bounds(x)
        return (on_axis(x, axis, Slide(self.step, start)),)

    def notation(self, exact: bool = False) -> str:
        ends = [("" if v is None else number(v)) for v in (self.start, self.stop)]
        return f"slice axis{self.axis} at{':'.join(ends)}" + (f" step{number(self.step)}" if self.step != 1 else "")

    @classmethod
    def from_word(cls, word: Word) -> Slice:
        start, stop = word.bounds("at", 2)
        return cls(word.number("axis", 0), start, stop, word.number("step", 1))


@layer("split")
class Split(Layer):
    """One part of an axis that is split: part number `part` of `parts` equal ones, or of the sizes listed."""

    parts: Any
    part: int = 0
    axis: int | None = None

    spelling = Spelling(
        ("split",), "split2 part1", values=("part", "axis"), defaults="part 0, of the channels; split64x32: these sizes"
    )
    memory = VIEW

    def __post_init__(self) -> None:
        parts = tuple(self.parts) if isinstance(self.parts, (tuple, list)) else self.parts
        axes("parts", parts)
        if isinstance(parts, tuple) and len(parts) == 1:  # one part is the whole
            parts = 1
        store(self, parts=parts)
        count = len(parts) if isinstance(parts, tuple) else parts
        if not hasattr(self.part, "__index__") or decide(self.part < 0) or decide(self.part >= count):
            raise LayerError(f"there is no part {self.part}", why=f"the parts are 0 … {count - 1}")

    def in_proportion(self, before: tuple[Shape, ...], xs: tuple[Shape, ...]) -> Split:
        axis, _, _ = self.place(before[0])
        old, new = before[0].dims[axis], xs[0].dims[axis]
        if old == new or not isinstance(self.parts, tuple):
            return self
        return Split(tuple(part_of(n, old, new, self.notation()) for n in self.parts), self.part, self.axis)

    def place(self, x: Shape) -> tuple[int, Size, Size]:
        """The axis of a map, where the part begins on it, how long it is."""
        axis = x.channel if self.axis is None else axis_of(x, self.axis)
        n = x.dims[axis]
        if isinstance(self.parts, tuple):
            if not agree(sum(self.parts), n):
                raise ShapeError(f"the parts {self.parts} sum to {sum(self.parts)}, axis {axis} of {x} has {n}")
            return axis, sum(self.parts[: self.part]), self.parts[self.part]
        if not divides(self.parts, n):
            raise ShapeError(f"axis {axis} of {x} cannot be split into {self.parts} equal parts")
        return axis, n // self.parts * self.part, n // self.parts

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis, _, length = self.place(x)
        return Shape(*x.dims[:axis], length, *x.dims[axis + 1 :], channel=x.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis, start, _ = self.place(x)
        if axis == x.channel:
            return (SAME_UNIT,)
        return (on_axis(x, axis, Slide(1, start)),)

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        axis, start, _ = self.place(x)
        return (on_axis(x, axis, Slide(1, start)),)

    def notation(self, exact: bool = False) -> str:
        listed = isinstance(self.parts, tuple)
        parts = sizes(self.parts if listed else (self.parts,)) + ("x" if listed and len(self.parts) == 1 else "")
        return f"split{parts} part{self.part}" + ("" if self.axis is None else f" axis{self.axis}")

    @classmethod
    def from_word(cls, word: Word) -> Split:
        size = word.need_size()
        parts = size if len(size) > 1 or word.size_text.endswith("x") else size[0]
        return cls(parts, word.number("part", 0), word.number("axis", None))


@layer("channel_shuffle")
class ChannelShuffle(Layer):
    """Interleaves the channels of `groups` groups (ShuffleNet)."""

    lies = "channels"
    groups: Size

    lends = True
    spelling = Spelling(("shuffle", "channelshuffle"), "shuffle4")

    def __post_init__(self) -> None:
        axes("groups", self.groups)

    def output(self, *xs: Shape) -> Shape:
        c = xs[0].channels
        if not divides(self.groups, c):
            raise ShapeError(f"{plural(c, 'channel')} cannot be split into {plural(self.groups, 'group')}")
        return xs[0]

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        each = x.channels // self.groups
        mixed = Listed([[c % self.groups * each + c // self.groups] for c in range(x.channels)])
        return (on_axis(x, x.channel, mixed),)

    def notation(self, exact: bool = False) -> str:
        return f"shuffle{number(self.groups)}"

    @classmethod
    def from_word(cls, word: Word) -> ChannelShuffle:
        return cls(word.one_size())


@layer("roll")
class Roll(Layer):
    """Rolls the spatial axes: position u of the result is position u − shift, around the end."""

    lies = "rows"
    shift: Any

    unstreamed = ("it moves the end to the beginning", "pad or crop instead")
    rearranges = True
    spelling = Spelling(("roll",), "roll by-3", values=("by",))

    def __post_init__(self) -> None:
        shift = tuple(self.shift) if isinstance(self.shift, (tuple, list)) else (self.shift,)
        if not shift or not all(is_size(s) for s in shift):
            raise LayerError(f"shift {self.shift!r} is not a whole number")
        store(self, shift=shift)

    def output(self, *xs: Shape) -> Shape:
        rank = xs[0].rank
        if rank == 0 or len(self.shift) not in (1, rank):
            raise ShapeError(f"the shift has {plural(len(self.shift), 'axis', 'axes')}, the map {xs[0]} {rank} spatial")
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        found: list[tuple[int | None, Index]] = [(i, STEP) for i in range(len(x.dims))]
        for k, i in enumerate(x.axes):
            n, shift = x.dims[i], one(self.shift, k)
            if not (is_number(n) and is_number(shift)):
                found[i] = (i, Unsized("where a rolled map wraps depends on its size"))
            elif shift % n:
                found[i] = (i, Listed([[(u - shift) % n] for u in range(n)]))
        return ((tuple(found),),)

    def notation(self, exact: bool = False) -> str:
        return "roll by" + sizes(self.shift)

    @classmethod
    def from_word(cls, word: Word) -> Roll:
        by = word.numbers("by", ()) or word.size
        if by is None:
            raise LayerError("nothing says how far it rolls", fix="write roll by3")
        return cls(by)
