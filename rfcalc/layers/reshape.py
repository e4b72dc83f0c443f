"""Layers that re-arrange or cut: flatten, reshape, permute, tokens, slices, shuffles, windows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from rfcalc.core.cost import Cost
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.formula import Formula
from rfcalc.core.layer import SAME_UNIT, VIEW, Alternatives, Layer, layer, spatial_rank, store
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, agree, ceildiv, decide, divides, holds, is_number, is_size, prod, same
from rfcalc.core.sliding import axes, one
from rfcalc.core.syntax import Spelling, Word, number, sizes, split
from rfcalc.core.window import STEP, All, Index, Listed, Scattered, Slide, Table, Unsized

TOKENS = Formula("weights", "t * c", "t learned vectors of c features")
POSITIONS = Formula("weights", "prod(x)", "one learned number for each value")
PARAMETER = Formula("weights", "prod(y)", "every value is learned")


def axis_of(x: Shape, axis: int) -> int:
    """The axis of a map, counted from 0; negative ones count from the end.

    Raises:
        ShapeError: there is none.
    """
    if not hasattr(axis, "__index__") or not -len(x.dims) <= axis < len(x.dims):
        raise ShapeError(f"there is no axis {axis} in {x}", why=f"its axes are 0 … {len(x.dims) - 1}")
    return axis % len(x.dims)


def _merged(dims: tuple[Size, ...], into: int) -> list[tuple[int | None, Index]]:
    """What a unit of axis `into`, the row-major merge of several axes, reads of each of them."""
    found: list[tuple[int | None, Index]] = []
    for i, n in enumerate(dims):
        below = prod(dims[i + 1 :])
        if decide(prod(dims) == 1):
            found.append((into, STEP))
        elif decide(n == 1):
            found.append((None, All(1)))
        elif not (is_number(n) and is_number(below)):
            found.append((into, Unsized("merged axes need numbers")))
        elif decide(prod(dims[:i]) == 1):
            found.append((into, Table(1, [[0]] * below)))
        else:
            found.append((into, Table(0, [[u // below] for u in range(n * below)])))
    return found


@layer("flatten")
class Flatten(Layer):
    """Merges the axes `start` … `end` of the map, row-major; all of them by default.

    A unit is a position over all channels: where the channels are merged with space, the result is one position that
    holds everything, so that it depends on the whole map (of a 1×1 map: on its one position).

    >>> from rfcalc import Flatten, Shape
    >>> Flatten().output(Shape(512, 7, 7)), Flatten(1).output(Shape(768, 14, 14))
    (Shape(25088), Shape(768, 196))
    """

    hands_gradient_on = True
    start: int = 0
    end: int = -1

    spelling = Spelling(("flatten",), "flatten axes1", values=("axes",), defaults="all axes")
    memory = VIEW
    folds = True
    row_major = True

    def _range(self, x: Shape) -> tuple[int, int]:
        first, last = axis_of(x, self.start), axis_of(x, self.end)
        if first > last:
            raise ShapeError(f"cannot flatten axes {first} … {last} of {x}")
        return first, last

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        first, last = self._range(x)
        dims = (*x.dims[:first], prod(x.dims[first : last + 1]), *x.dims[last + 1 :])
        channel = x.channel if x.channel < first else first if x.channel <= last else x.channel - (last - first)
        return Shape(*dims, channel=channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        first, last = self._range(x)
        if first == last:
            return (SAME_UNIT,)
        merged: list[tuple[int | None, Index]]
        if first <= x.channel <= last:
            merged = [(None, All(n)) for n in x.dims[first : last + 1]]
        else:
            merged = _merged(x.dims[first : last + 1], first)
        before: list[tuple[int | None, Index]] = [(i, STEP) for i in range(first)]
        after: list[tuple[int | None, Index]] = [(i - last + first, STEP) for i in range(last + 1, len(x.dims))]
        return (((*before, *merged, *after),),)

    def notation(self, exact: bool = False) -> str:
        if (self.start, self.end) == (0, -1):
            return "flatten"
        return f"flatten axes{self.start}" + ("" if self.end == -1 else f":{self.end}")

    @classmethod
    def from_word(cls, word: Word) -> Flatten:
        start, end = _bounds(word, "axes", 2)
        return cls(0 if start is None else start, -1 if end is None else end)


@layer("reshape")
class Reshape(Layer):
    """The same values in other extents, row-major; one extent may be −1. `channel` is the new channel axis.

    >>> from rfcalc import Reshape, Shape
    >>> Reshape((256, 6, -1)).output(Shape(9216))
    Shape(256, 6, 6)
    """

    hands_gradient_on = True
    dims: Any
    channel: int = 0

    spelling = Spelling(
        ("reshape",), "reshape256x6x?", values=("channel",), defaults="channels on axis 0; ? is what remains"
    )
    memory = VIEW
    folds = True
    row_major = True

    def __post_init__(self) -> None:
        dims = tuple(self.dims) if isinstance(self.dims, (tuple, list)) else (self.dims,)
        if not dims or not all(is_size(d) for d in dims):
            raise LayerError(f"{self.dims!r} are not extents")
        if sum(1 for d in dims if decide(d == -1)) > 1 or any(decide(d < -1) or decide(d == 0) for d in dims):
            raise LayerError(f"{dims} are not extents", why="at most one may be -1, the others are at least 1")
        if not 0 <= self.channel < len(dims):
            raise LayerError(f"there is no axis {self.channel} for the channels in {dims}")
        store(self, dims=dims)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        known = prod(d for d in self.dims if not decide(d == -1))
        dims = tuple(x.values // known if decide(d == -1) else d for d in self.dims)
        if not agree(prod(dims), x.values):
            raise ShapeError(
                f"{x} has {plural(x.values, 'value')}, {'x'.join(map(str, self.dims))} has {prod(dims)}",
                fix="the number of values must stay the same",
            )
        return Shape(*dims, channel=self.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (reshaped(xs[0], y),)

    @property
    def selective(self) -> bool:
        return True  # channels may become positions

    def stretched(self, axis: int, length: Size) -> Reshape:
        return Reshape((*self.dims[:axis], length, *self.dims[axis + 1 :]), self.channel)

    def source(self, unit: tuple[int, ...], xs: tuple[Shape, ...], y: Shape) -> set[tuple[int, ...]]:
        """The positions whose values, in row-major order, lie in a unit of the new map (over all of its channels)."""
        (x,) = xs
        first = 0  # of the unit's values, in row-major order
        for p, n in zip((*unit[: y.channel], 0, *unit[y.channel :]), y.dims, strict=True):
            first = first * n + p
        step = prod(y.dims[y.channel + 1 :])
        inner = prod(x.dims[x.channel + 1 :])
        outer = inner * x.channels
        if step == 1 and inner == 1:  # channels last on both sides: neighbours
            numbers: Iterable[int] = range(first // outer, (first + y.channels - 1) // outer + 1)
        else:
            last = first + step * y.channels
            numbers = {at // outer * inner + at % inner for at in range(first, last, step)}
        found = set()
        for at in numbers:  # the number of the position among those of the input
            position = []
            for n in reversed(x.spatial):
                position.append(at % n)
                at //= n
            found.add(tuple(reversed(position)))
        return found

    def notation(self, exact: bool = False) -> str:
        text = sizes(tuple(None if decide(d == -1) else d for d in self.dims))
        return f"reshape{text}" + (f" channel{self.channel}" if self.channel else "")

    @classmethod
    def from_word(cls, word: Word) -> Reshape:
        return cls(tuple(-1 if d is None else d for d in word.need_size()), word.number("channel", 0))


def reshaped(x: Shape, y: Shape) -> Alternatives:
    """The relation of a row-major reshape: axes that stay, axes that are merged; a split axis has no single source."""
    found: list[tuple[int | None, Index]] = []
    i = j = 0
    while i < len(x.dims):
        i0, j0 = i, j
        a, b = x.dims[i], y.dims[j] if j < len(y.dims) else 1
        i, j = i + 1, j + 1
        while not same(a, b) and (i < len(x.dims) or j < len(y.dims)):
            grow_input = i < len(x.dims) and (decide(a < b) or j >= len(y.dims))
            if grow_input:
                a, i = a * x.dims[i], i + 1
            elif j < len(y.dims):
                b, j = b * y.dims[j], j + 1
            else:
                a, i = a * x.dims[i], i + 1
        inside, outside = x.dims[i0:i], [k for k in range(j0, min(j, len(y.dims))) if not decide(y.dims[k] == 1)]
        wide = [k for k in range(i0, i) if not decide(x.dims[k] == 1)]
        if len(outside) == 1 and outside[0] == y.channel and not (len(wide) == 1 and wide[0] == x.channel):
            found += [(None, All(n)) for n in inside]
        elif len(outside) == 1 and len(wide) == 1:
            found += [(outside[0], STEP) if k in wide else (None, All(1)) for k in range(i0, i)]
        elif len(outside) == 1:
            found += _merged(inside, outside[0])
        elif not outside:
            found += [(j0, STEP) if j0 < len(y.dims) else (None, All(n)) for n in inside]
        else:
            found += [(None, Scattered(outside)) for _ in inside]
    return (tuple(found),)


@layer("permute")
class Permute(Layer):
    """The axes in another order: axis i of the result is axis order[i] of the input; the channel axis moves along."""

    hands_gradient_on = True
    order: tuple[int, ...]

    spelling = Spelling(("permute",), "permute1x0")
    memory = VIEW
    folds = True

    def __post_init__(self) -> None:
        order = (self.order,) if isinstance(self.order, int) else tuple(self.order)
        if sorted(order) != list(range(len(order))):
            raise LayerError(f"{order} is not an order of axes", why=f"each of 0 … {len(order) - 1} must stand once")
        store(self, order=order)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if len(self.order) != len(x.dims):
            raise ShapeError(f"the order has {plural(len(self.order), 'axis', 'axes')}, the map {x} has {len(x.dims)}")
        return Shape(*(x.dims[i] for i in self.order), channel=self.order.index(x.channel))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return ((tuple((self.order.index(i), STEP) for i in range(len(self.order))),),)

    def notation(self, exact: bool = False) -> str:
        return "permute" + "x".join(map(str, self.order))

    @classmethod
    def from_word(cls, word: Word) -> Permute:
        return cls(word.need_size())


@layer("class_token")
class ClassToken(Layer):
    """Puts `count` learned vectors before the tokens (axis 0 of a tokens × features map)."""

    count: Size = 1

    spelling = Spelling(("classtoken",), "classtoken", defaults="one token")

    def __post_init__(self) -> None:
        axes("count", self.count)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if len(x.dims) != 2 or x.channel != 1:
            raise ShapeError(
                f"class tokens need a tokens × features map, and get {x}", fix="Flatten(1) >> Permute((1, 0))"
            )
        return Shape(x.dims[0] + self.count, x.dims[1], channel=1)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        t, n = self.count, xs[0].dims[0]
        if not (is_number(t) and is_number(n)):
            return ((((0, Unsized("the place of the tokens depends on the sizes")), (1, STEP)),),)
        return ((((0, Listed([[]] * t + [[u] for u in range(n)])), (1, STEP)),),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=TOKENS(t=self.count, c=y.dims[1]))

    def notation(self, exact: bool = False) -> str:
        return "classtoken" + ("" if self.count == 1 else number(self.count))

    @classmethod
    def from_word(cls, word: Word) -> ClassToken:
        return cls(word.one_size(1))


@layer("position_table")
class PositionTable(Layer):
    """Adds a learned number to every value (a table of position embeddings)."""

    spelling = Spelling(("positions",), "positions")

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=POSITIONS(x=y.dims))

    def notation(self, exact: bool = False) -> str:
        return "positions"

    @classmethod
    def from_word(cls, word: Word) -> PositionTable:
        return cls()


@layer("parameter")
class Parameter(Layer):
    """A learned map that depends on no input; `channel` is its channel axis."""

    dims: Any
    channel: int = 0

    spelling = Spelling(("parameter",), "parameter1x768 channel1", values=("channel",), defaults="channels on axis 0")
    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    memory = VIEW

    def __post_init__(self) -> None:
        store(self, dims=Shape.of(self.dims).dims)
        if not 0 <= self.channel < len(self.dims):
            raise LayerError(f"there is no axis {self.channel} for the channels in {self.dims}")

    def output(self, *xs: Shape) -> Shape:
        return Shape(*self.dims, channel=self.channel)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=PARAMETER(y=y.dims))

    def notation(self, exact: bool = False) -> str:
        return "parameter" + sizes(self.dims) + (f" channel{self.channel}" if self.channel else "")

    @classmethod
    def from_word(cls, word: Word) -> Parameter:
        return cls(word.need_size(), word.number("channel", 0))


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
            raise ShapeError(f"the slice {self.start}:{self.stop}:{self.step} of axis {axis} of {x} is empty")
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
        return ((tuple((i, Slide(self.step, start) if i == axis else STEP) for i in range(len(x.dims))),),)

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

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        axis, start, _ = self._bounds(x)
        return ((tuple((i, Slide(self.step, start) if i == axis else STEP) for i in range(len(x.dims))),),)

    def notation(self, exact: bool = False) -> str:
        ends = [("" if v is None else number(v)) for v in (self.start, self.stop)]
        return f"slice axis{self.axis} at{':'.join(ends)}" + (f" step{number(self.step)}" if self.step != 1 else "")

    @classmethod
    def from_word(cls, word: Word) -> Slice:
        start, stop = _bounds(word, "at", 2)
        return cls(word.number("axis", 0), start, stop, word.number("step", 1))


def _bounds(word: Word, name: str, most: int) -> tuple[Size | None, Size | None]:
    """The two ends of an option like ``at2:-1``; None where one is left out."""
    text = word.value(name)
    ends = split(text, ":") if text else []
    if len(ends) > most:
        word.culprit = name
        raise LayerError(f"{name}{text} has more than {most} ends", fix=f"write {name}0:8")
    found = [word.end(e, name) if e else None for e in ends]
    return (found[0] if found else None), (found[1] if len(found) > 1 else None)


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
        return ((tuple((i, Slide(1, start) if i == axis else STEP) for i in range(len(x.dims))),),)

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        (x,) = xs
        axis, start, _ = self.place(x)
        return ((tuple((i, Slide(1, start) if i == axis else STEP) for i in range(len(x.dims))),),)

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
        return ((tuple((i, mixed if i == x.channel else STEP) for i in range(len(x.dims))),),)

    def notation(self, exact: bool = False) -> str:
        return f"shuffle{number(self.groups)}"

    @classmethod
    def from_word(cls, word: Word) -> ChannelShuffle:
        return cls(word.one_size())


@layer("roll")
class Roll(Layer):
    """Rolls the spatial axes: position u of the result is position u − shift, around the end."""

    shift: Any

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


@layer("window_partition")
class WindowPartition(Layer):
    """Cuts a C×H×W map into windows: C × windows × positions in a window, row-major; sizes must divide.

    Both new axes decide together where a unit comes from.
    """

    window: Any

    lends = True
    spelling = Spelling(("windows",), "windows7")

    def __post_init__(self) -> None:
        store(self, window=axes("window", self.window))

    def windows(self, x: Shape) -> tuple[tuple[Size, Size], ...]:
        """(window, number of windows) on each axis."""
        rank = spatial_rank(x, self)
        if len(self.window) not in (1, rank):
            raise ShapeError(f"the window has {plural(len(self.window), 'axis', 'axes')}, the map {rank}")
        found = []
        for i, n in enumerate(x.dims[1:]):
            w = one(self.window, i)
            if not divides(w, n):
                raise ShapeError(f"axis {i + 1} of {x} cannot be cut into windows of {w}", fix="pad the map first")
            found.append((w, n // w))
        return tuple(found)

    def output(self, *xs: Shape) -> Shape:
        found = self.windows(xs[0])
        return Shape(xs[0].dims[0], prod(m for _, m in found), prod(w for w, _ in found))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        if all(decide(n == 1) for n in x.dims[1:]):
            return ((((0, STEP), *((None, All(1)) for _ in x.dims[1:])),),)
        return ((((0, STEP), *((None, Scattered((1, 2))) for _ in x.dims[1:])),),)

    def source(self, unit: tuple[int, ...], xs: tuple[Shape, ...], y: Shape) -> list[tuple[int, ...]]:
        """The position that unit (window, place) holds."""
        window, place = unit
        position = []
        for w, m in reversed(self.windows(xs[0])):
            position.append(window % m * w + place % w)
            window, place = window // m, place // w
        return [tuple(reversed(position))]

    def notation(self, exact: bool = False) -> str:
        return "windows" + sizes(self.window)

    @classmethod
    def from_word(cls, word: Word) -> WindowPartition:
        return cls(word.need_size())
