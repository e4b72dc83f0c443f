"""Layers that lay the same values out in other extents: flatten, reshape, permute, windows."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import SAME_UNIT, VIEW, Alternatives, Layer, layer, spatial_rank, store
from rfcalc.core.shape import Shape, axis_groups, axis_of
from rfcalc.core.size import Size, agree, decide, divides, is_number, is_size, prod, same
from rfcalc.core.sliding import MOST_PHASES, axes, one
from rfcalc.core.syntax import Spelling, Word, sizes
from rfcalc.core.window import STEP, All, Index, Scattered, Table, Unsized


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
        elif type(n) is type(below) is int and n * below > MOST_PHASES:
            found.append((into, Unsized("its positions are too many to tell apart")))
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
        return (self._relation(xs[0], False),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """Channel i·n + j of the vector is channel i at position j of n."""
        first, last = self._range(xs[0])
        return (self._relation(xs[0], True),) if first <= xs[0].channel <= last and first < last else None

    def _relation(self, x: Shape, apart: bool) -> Alternatives:
        first, last = self._range(x)
        if first == last:
            return SAME_UNIT
        merged: list[tuple[int | None, Index]]
        if first <= x.channel <= last and not apart:
            merged = [(None, All(n)) for n in x.dims[first : last + 1]]
        else:
            merged = _merged(x.dims[first : last + 1], first)
        before: list[tuple[int | None, Index]] = [(i, STEP) for i in range(first)]
        after: list[tuple[int | None, Index]] = [(i - last + first, STEP) for i in range(last + 1, len(x.dims))]
        return ((*before, *merged, *after),)

    def stated(self, x: Shape, like: Layer) -> Flatten:
        """Beside an axis of 1 there are several ways to say it."""
        same = isinstance(like, Flatten) and _gives(like, x, self.output(x))
        return like if same else self  # type: ignore[return-value]

    def sized(self, y: Shape) -> Any:
        return Reshape(y.dims, y.channel)

    def notation(self, exact: bool = False) -> str:
        if (self.start, self.end) == (0, -1):
            return "flatten"
        return f"flatten axes{self.start}" + ("" if self.end == -1 else f":{self.end}")

    @classmethod
    def from_word(cls, word: Word) -> Flatten:
        start, end = word.bounds("axes", 2)
        return cls(0 if start is None else start, -1 if end is None else end)


def _gives(layer: Layer, x: Shape, y: Shape) -> bool:
    try:
        return layer.output(x) == y
    except ShapeError:
        return False


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

    def in_proportion(self, before: tuple[Shape, ...], xs: tuple[Shape, ...]) -> Reshape:
        old, new, dims = before[0].dims, xs[0].dims, list(self.output(*before).dims)
        for inside, made in axis_groups(old, tuple(dims)):
            changed = [i for i in inside if old[i] != new[i]]
            if not changed:
                continue
            n, m = prod(old[i] for i in inside), prod(new[i] for i in inside)
            # the axis that stays as it is under another number, else the last: of heads the channels that each has
            kept = [j for j in made if len(changed) == 1 and dims[j] == old[changed[0]]]
            at = kept[0] if len(kept) == 1 else next((j for j in reversed(made) if dims[j] != 1), made[-1])
            if not divides(n, dims[at] * m):
                raise ShapeError(
                    f"the {dims[at]} channels on an axis of {self.notation()} cannot be {dims[at]} × {Fraction(m, n)}"
                )
            dims[at] = dims[at] * m // n
        return Reshape(tuple(dims), self.channel) if new != old else self

    def sized(self, y: Shape) -> Reshape:
        return Reshape(y.dims, y.channel)

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
            extents = [y.dims[k] for k in outside]
            split = extents if len(wide) == 1 and all(map(is_number, extents)) else None
            found += [
                (None, Scattered(outside, split)) if k in wide or not split else (None, All(1)) for k in range(i0, i)
            ]
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

    @property
    def moves_axes(self) -> tuple[int, ...]:
        return self.order

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return ((tuple((self.order.index(i), STEP) for i in range(len(self.order))),),)

    def strides(self, x: Shape, given: tuple[int, ...]) -> tuple[int, ...]:
        return (given[0], *(given[1 + i] for i in self.order))

    def strides_back(self, given: tuple[int, ...]) -> tuple[int, ...]:
        return (given[0], *(given[1 + self.order.index(i)] for i in range(len(self.order))))

    def notation(self, exact: bool = False) -> str:
        return "permute" + "x".join(map(str, self.order))

    @classmethod
    def from_word(cls, word: Word) -> Permute:
        return cls(word.need_size())


@layer("window_partition")
class WindowPartition(Layer):
    """Cuts a C×H×W map into windows: C × windows × positions in a window, row-major; sizes must divide.

    Both new axes decide together where a unit comes from.
    """

    lies = "rows"
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
