"""Layers of several inputs: addition, multiplication with broadcasting, concatenation, matrix product."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any, ClassVar

from rfcalc.core.cost import KEEPS_NOTHING, Cost, Formula, Passing, Saved
from rfcalc.core.errors import ShapeError
from rfcalc.core.layer import SAME_UNIT, Alternatives, Layer, Reads, layer, on_axis, store
from rfcalc.core.masks import Placed, Several, checked, from_word, keyed, mask_of, of_axis, written
from rfcalc.core.shape import Shape, axis_of
from rfcalc.core.size import Size, agree, decide, is_number, prod
from rfcalc.core.syntax import Spelling, Word, flags
from rfcalc.core.window import STEP, All, Index, Listed, Slide, Unsized

MACS = Formula("macs", "prod(r) * k", "k multiply-adds for each value of the product")


def broadcast(kind: str, xs: tuple[Shape, ...]) -> Shape:
    """The common shape; axes of size 1 stretch.

    Raises:
        ShapeError: the maps are unequal on an axis.
    """
    first = xs[0]
    if all(x is first or x == first for x in xs):
        return first
    rank = len(first.dims)
    dims = list(first.dims)
    for x in xs[1:]:
        if len(x.dims) != rank or x.channel != first.channel:
            raise _unequal(kind, xs, "the maps have different axes")
        for i, n in enumerate(x.dims):
            if decide(dims[i] == 1):
                dims[i] = n
            elif not decide(n == 1) and not agree(n, dims[i]):
                raise _unequal(kind, xs, f"{dims[i]} against {n}")
    return Shape(*dims, channel=first.channel)


def _unequal(kind: str, xs: tuple[Shape, ...], why: str) -> ShapeError:
    told = ", ".join(map(str, xs[:6])) + (" …" if len(xs) > 6 else "")
    return ShapeError(
        f"{kind} needs equal maps, and gets {told}", why=why, fix="project, crop, pad or resample one of the branches"
    )


def stretched(x: Shape, y: Shape) -> Alternatives:
    """The relation of an input whose axes of size 1 are stretched to y's."""
    if x is y or x.dims == y.dims:
        return SAME_UNIT
    axes: list[tuple[int | None, Index]] = []
    for i, (n, m) in enumerate(zip(x.dims, y.dims, strict=True)):
        axes.append((i, All(n)) if decide(n == 1) and not decide(m == 1) else (i, STEP))
    return (tuple(axes),)


@layer("add")
class Add(Layer):
    """The sum of its inputs; axes of size 1 are stretched."""

    hands_gradient_on = True
    spelling = Spelling(("add",), "conv3-64 + identity")
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def output(self, *xs: Shape) -> Shape:
        return broadcast("add", xs)

    def hands_on(self, x: Shape, y: Shape) -> bool:
        return x.dims == y.dims  # that of what was stretched is summed

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return tuple([stretched(x, y) for x in xs])

    def notation(self, exact: bool = False) -> str:
        return "add"

    @classmethod
    def from_word(cls, word: Word) -> Add:
        return cls()


@layer("multiply")
class Multiply(Layer):
    """The product of its inputs, value by value; axes of size 1 are stretched (gates)."""

    spelling = Spelling(("multiply",), "(globalavgpool > conv1-64 sigmoid) * identity")
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def output(self, *xs: Shape) -> Shape:
        return broadcast("multiply", xs)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return tuple([stretched(x, y) for x in xs])

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        if len(xs) == 1:
            return KEEPS_NOTHING
        between = sum(broadcast("multiply", xs[:i]).values for i in range(2, len(xs)))  # a·b of a·b·c
        return Saved(inputs=tuple(range(len(xs))), extra_values=between)

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """The gradient of what was stretched is made at full size, and then summed."""
        return Passing(y.values * sum(gets and x.values != y.values for x, gets in zip(xs, has, strict=True)))

    def needs(self, i: int, has: tuple[bool, ...], trained: bool) -> bool:
        return any(has[:i]) or any(has[i + 1 :])

    def notation(self, exact: bool = False) -> str:
        return "multiply"

    @classmethod
    def from_word(cls, word: Word) -> Multiply:
        return cls()


@layer("concat")
class Concat(Layer):
    """Its inputs one after another along the channels, or another axis (by its index in the map)."""

    joins_copies = True
    lies = "channels"
    hands_gradient_on = True
    axis: int | None = None

    spelling = Spelling(
        ("concat",), "{conv1-64, conv3-64} concat axis1", values=("axis",), defaults="along the channels"
    )
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def joins_along(self, y: Shape) -> int:
        return y.channel if self.axis is None else axis_of(y, self.axis)

    def output(self, *xs: Shape) -> Shape:
        first = xs[0]
        axis = self.joins_along(first)
        rank = len(first.dims)
        total: Size = 0
        for x in xs:
            dims = x.dims
            if dims is not first.dims:
                if len(dims) != rank or x.channel != first.channel:
                    raise _unequal("concat", xs, "the maps have different axes")
                for i in range(rank):
                    if i != axis and dims[i] is not first.dims[i] and not agree(dims[i], first.dims[i]):
                        raise _unequal("concat", xs, f"{first.dims[i]} against {dims[i]}")
            total = total + dims[axis]
        return Shape(*first.dims[:axis], total, *first.dims[axis + 1 :], channel=first.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        axis = self.joins_along(y)
        if axis == y.channel:
            return (SAME_UNIT,) * len(xs)
        # Position u of the result is position u − start of one of the inputs, and of no other.
        found: list[Alternatives] = []
        start: Size = 0
        for x in xs:
            placed = tuple((i, _placed(start, n, y.dims[i])) if i == axis else (i, STEP) for i, n in enumerate(x.dims))
            found.append((placed,))
            start = start + x.dims[axis]
        return tuple(found)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        axis, start = self.joins_along(y), 0
        if axis != y.channel:
            return None
        found: list[Alternatives] = []
        for x in xs:
            found.append(on_axis(x, axis, Slide(1, -start)))
            start += x.dims[axis]
        return tuple(found)

    def notation(self, exact: bool = False) -> str:
        return "concat" + ("" if self.axis is None else f" axis{self.axis}")

    @classmethod
    def from_word(cls, word: Word) -> Concat:
        return cls(word.number("axis", None))


def _placed(start: Size, n: Size, m: Size) -> Index:
    """What the m units of a joined axis read of the part of n positions that begins at `start`."""
    if not all(is_number(v) for v in (start, n, m)):
        return Unsized("where a part lies on a joined axis depends on the sizes")
    return Listed([[u - start] if 0 <= u - start < n else [] for u in range(m)])


@layer("matmul")
class MatMul(Layer):
    """The matrix product of the last two axes, A (… n×k) by B (… k×m); `transpose` takes B as m×k.

    Each row of the result reads its row of A and all of B's rows; where A is masked, those that the mask leaves it.

    Args:
        transpose: whether B is given as m×k.
        mask: where A is not zero: ``"causal"`` (row i: columns 0 … i), a list of columns for each row, or `Several`
            where the matrices differ.
    """

    lies = "rows"
    _: KW_ONLY
    transpose: bool = False
    mask: Any = None

    unstreamed = (
        "it multiplies all positions with all others",
        "write attention as scaled_dot_product_attention with its mask: causal or a window, it runs with a cache",
    )
    in_attention = "product"
    spelling = Spelling(
        ("matmul",),
        "{fc64, fc64} matmul transpose",
        ("transpose", "causal"),
        ("keys", "over"),
        "the second as k×m, no mask",
    )
    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def __post_init__(self) -> None:
        store(self, mask=mask_of(self.mask))

    def output(self, *xs: Shape) -> Shape:
        a, b = xs
        if len(a.dims) < 2 or len(b.dims) != len(a.dims):
            raise ShapeError(f"matmul needs two maps with the same number (≥ 2) of axes, and gets {a} and {b}")
        inner, outer = (b.dims[-1], b.dims[-2]) if self.transpose else (b.dims[-2], b.dims[-1])
        if not agree(a.dims[-1], inner):
            raise ShapeError(f"matmul of {a} and {b} does not fit", why=f"inner sizes {a.dims[-1]} and {inner}")
        if any(not agree(p, q) for p, q in zip(a.dims[:-2], b.dims[:-2], strict=True)):
            raise ShapeError(f"matmul of {a} and {b} does not fit", why="the leading axes differ")
        checked(self.mask, a.dims)
        return Shape(*a.dims[:-1], outer, channel=a.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        a, _ = xs
        return self._reads(xs, a.channel != len(a.dims) - 1)

    @property
    def at_most(self) -> bool:
        return isinstance(self.mask, Several)

    @property
    def selective(self) -> bool:
        return True  # channels of B may become positions, each of which reads one of them

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return self._reads(xs, True)

    def _reads(self, xs: tuple[Shape, ...], own: bool) -> tuple[Alternatives, ...]:
        """The relation; `own`: whether the columns of A that a row reads are told apart."""
        masks = [None] if self.mask is None else keyed(self.mask, xs[0].dims[-2], xs[0].dims[-1])
        return tuple(tuple(pair) for pair in zip(*(self._masked(xs, own, one) for one in masks), strict=True))

    def _masked(self, xs: tuple[Shape, ...], own: bool, placed: Placed | None) -> tuple[Reads, Reads]:
        a, b = xs
        last = len(a.dims) - 1
        lead = [(i, STEP) if placed is None else of_axis(i, placed) for i in range(last - 1)]
        columns = None if placed is None else placed[2]
        left: list[tuple[int | None, Index]] = [*lead, (last - 1, STEP)]
        left.append((last, All(a.dims[last])) if columns is None or not own else (last - 1, columns))
        rows: list[tuple[int | None, Index]] = [*lead]
        for i, n in enumerate(b.dims[last - 1 :], last - 1):
            if i == (last - 1 if self.transpose else last):
                rows.append((last, STEP))
            else:
                rows.append((None, All(n)) if columns is None else (last - 1, columns))
        return tuple(left), tuple(rows)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(macs=MACS(r=y.dims, k=xs[0].dims[-1]))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(inputs=(0, 1))

    def read_as(self, i: int, dims: tuple[int, ...]) -> tuple[int, ...]:
        return prod(dims[:-2]), *dims[-2:]

    def needs(self, i: int, has: tuple[bool, ...], trained: bool) -> bool:
        return any(has[:i]) or any(has[i + 1 :])

    def notation(self, exact: bool = False) -> str:
        return "matmul" + flags(transpose=self.transpose) + written(self.mask, exact)

    @classmethod
    def from_word(cls, word: Word) -> MatMul:
        return cls(transpose=word.flag("transpose"), mask=from_word(word))
