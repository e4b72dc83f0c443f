"""Operators that frameworks have and papers leave unnamed: arithmetic, reductions, constants, products of attention."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, field, replace
from math import isfinite
from typing import Any, ClassVar

from rfcalc.core.cost import KEEPS_NOTHING, NOTHING_PASSING, Cost, Formula, Passing, Saved
from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.layer import VIEW, Alternatives, Layer, Reads, layer, store
from rfcalc.core.masks import CAUSAL, Placed, Several, checked, from_word, keyed, mask_of, of_axis, seeing, written
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, agree, decide, holds, prod
from rfcalc.core.sliding import choice
from rfcalc.core.syntax import Spelling, Word, flags, sizes
from rfcalc.core.window import STEP, All, Index
from rfcalc.layers.merge import broadcast, stretched
from rfcalc.layers.pool import Mean

REDUCED = Formula("adaptive_pool_inputs", "prod(x)", "every value that goes in")
MACS = Formula(
    "macs", "prod(l) * n * m * (d + e)", "queries·keys, and weights·values: n queries, m keys, for each head"
)
SOFTMAX = Formula("activation", "prod(l) * n * m", "softmax over m keys for each of n queries and each head")

MASKED = "masked"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
# What autograd keeps of common functions; of others all inputs are taken to be kept.
_NOTHING = [
    "add",
    "sub",
    "rsub",
    "neg",
    "plus",
    "times",
    "floor",
    "ceil",
    "round",
    "sign",
    "trunc",
    "cast",
    "copy",
    "cell_state",
    MASKED,
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    *("logical_not", "logical_and", "logical_or", "logical_xor"),
    *("bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor"),
]
_OUTPUT = ["exp", "expm1", "sqrt", "rsqrt", "reciprocal"]
# Maps, and masks of a byte a value, that live for a moment in backward where the last input has a gradient.
_PASSING = {"div": (2, 0), "maximum": (1, 2), "minimum": (1, 2), "pow": (1, 0), "square": (1, 0), "sqrt": (1, 0)}


@layer("elementwise")
class Elementwise(Layer):
    """A fixed function of the values that stand at one place in its inputs; axes of size 1 are stretched.

    Arithmetic, comparisons, roots: everything pointwise that is no activation. No parameters; its operations are not
    counted, like those of additions. ``plus`` and ``times`` are an addition of and a multiplication by a number,
    ``rsub`` and ``rdiv`` a number less the value, and divided by it; ``masked`` keeps values of which some depend on
    nothing (a mask has put fixed ones there), so that units see at most what is told.

    Args:
        function: its name.
        by: the number that a function of one map works with, two for ``clamp``; () where it is not known, and then
            the layer cannot be built.

    >>> from rfcalc import Elementwise, Shape
    >>> Elementwise("sub").output(Shape(8, 5, 5), Shape(8, 1, 1))
    Shape(8, 5, 5)
    >>> print(Elementwise("times", 0.125).notation())
    elementwise fn:times by0.125
    """

    function: str
    by: Any = ()

    spelling = Spelling(("elementwise",), "elementwise fn:times by0.125", values=("fn", "by"))
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def __post_init__(self) -> None:
        if not isinstance(self.function, str) or not _NAME.fullmatch(self.function):
            raise LayerError(f"{self.function!r} is not the name of a function", fix='name it: Elementwise("sub")')
        given = self.by if isinstance(self.by, (tuple, list)) else (self.by,)
        if len(given) > 2 or not all(isinstance(n, (int, float)) and isfinite(n) for n in given):
            raise LayerError(f"by {self.by!r} is not a number, or two", fix='write one: Elementwise("times", 0.125)')
        store(self, by=tuple(map(float, given)))

    @property
    def stem(self) -> str:
        return self.function.rpartition(".")[2]

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        return self.function in _PRECISE.get(device, ())

    @property
    def repeats(self) -> bool:  # type: ignore[override]  # of this kind not all do
        return self.function == "expand"

    @property
    def operands(self) -> tuple[float, ...]:
        return self.by  # type: ignore[no-any-return]

    def unvalued(self) -> Elementwise:
        return Elementwise(self.function) if self.by else self

    @property
    def multiplies_by(self) -> float | None:
        return self.by[0] if self.function == "times" and self.by else None

    def output(self, *xs: Shape) -> Shape:
        return broadcast(self.function, xs)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return tuple([stretched(x, y) for x in xs])

    @property
    def at_most(self) -> bool:
        return self.function == MASKED

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        if self.function in _NOTHING or self.repeats:
            return KEEPS_NOTHING
        return Saved(output=True) if self.function in _OUTPUT else Saved(inputs=tuple(range(len(xs))))

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """Steps of the derivative, and gradients of what was stretched at full size, before they are summed."""
        if self.repeats:
            return NOTHING_PASSING
        full = sum(gets and x.values != y.values for x, gets in zip(xs, has, strict=True))
        maps, masks = _PASSING.get(self.function, (0, 0)) if has[-1] else (0, 0)
        return Passing(y.values * (maps + full), y.values * masks)

    def notation(self, exact: bool = False) -> str:
        numbers = ":".join(repr(n).removesuffix(".0").replace("+", "") for n in self.by)  # 1e16: + joins in notation
        return f"elementwise fn:{self.function}" + (f" by{numbers}" if numbers else "")

    @classmethod
    def from_word(cls, word: Word) -> Elementwise:
        told, by = word.value("fn"), word.value("by")
        if told is None:
            raise LayerError("nothing says which function", fix="write elementwise fn:sqrt")
        numbers = []
        for part in by.split(":") if by is not None else ():
            word.culprit = "by"
            try:
                numbers.append(float(part))
            except ValueError:
                raise LayerError(f"by{by} is not a number, or two", fix="write them: by0.125, by-1:1") from None
        word.culprit = "fn" if not numbers else None
        return cls(told.removeprefix(":"), tuple(numbers))


# Functions that mixed precision computes in float32, by device (PyTorch's documentation of autocast).
_PRECISE = {
    "cpu": ("prod",),
    "cuda": (
        *("exp", "expm1", "log", "log10", "log1p", "log2", "pow", "square", "reciprocal", "rsqrt", "rdiv", "acos"),
        *("asin", "cosh", "sinh", "tan", "erfinv", "sum", "prod", "norm", "logsumexp"),
    ),
}


# What autograd keeps of each reduction: the input, the output, int64 indices.
REDUCTIONS: dict[str, tuple[bool, bool, bool]] = {
    "sum": (False, False, False),
    "max": (False, False, True),
    "min": (False, False, True),
    "amax": (True, True, False),
    "amin": (True, True, False),
    "prod": (True, True, False),
    "var": (True, False, False),
    "std": (True, True, False),
    "norm": (True, True, False),
    "logsumexp": (True, True, False),
    "argmax": (False, False, False),
    "argmin": (False, False, False),
    "any": (False, False, False),
    "all": (False, False, False),
}


GATHERED = ("sum", "amax", "amin", "var", "std", "norm")  # from sums, sums of squares and extremes of pieces
EXTREMES = ("max", "min")  # of all values; along some axes they have places, too


@layer("reduce")
class Reduce(Layer):
    """Like `Mean`, with another operation: sum, max, min, amax, var, std, norm, prod, argmax, … over axes.

    Args:
        op: the operation, one of `REDUCTIONS`.
        axes: indices among the map's axes, channels included; None: all spatial.
        keep: whether the axes stay, with size 1.
    """

    lies = "rows"
    op: str
    axes: Any = None
    _: KW_ONLY
    keep: bool = False
    shape: Mean = field(init=False, compare=False)

    unstreamed = ("it is taken over all positions", "use a pool with a fixed window")
    spelling = Spelling(
        ("reduce",), "reduce op:sum axes1x2 keep", ("keep",), ("op", "axes"), "all spatial axes, which are removed"
    )

    def __post_init__(self) -> None:
        choice("op", self.op, REDUCTIONS)
        mean = Mean(self.axes, keep=self.keep)
        store(self, axes=mean.axes, shape=mean)

    def output(self, *xs: Shape) -> Shape:
        return self.shape.output(*xs)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return self.shape.reads(xs, y)

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        return self.op in _PRECISE.get(device, ())

    def gathers(self, x: Shape) -> str:
        extreme = self.op in EXTREMES and self.shape.takes_all(x)
        return self.shape.gathers(x) if self.op in GATHERED or extreme else ""

    def is_met(self, x: Shape) -> bool:
        return self.op in GATHERED or bool(self.gathers(x))

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(adaptive_pool_inputs=REDUCED(x=xs[0].dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        given, made, indices = REDUCTIONS[self.op]
        return Saved(inputs=(0,) if given else (), output=made, indices=y.values if indices else 0)

    def hands_on(self, x: Shape, y: Shape) -> bool:
        return self.op == "sum"  # each value of the sum's, stretched

    def notation(self, exact: bool = False) -> str:
        where = "" if self.axes is None else f" axes{sizes(self.axes)}"
        return f"reduce op:{self.op}{where}" + flags(keep=self.keep)

    @classmethod
    def from_word(cls, word: Word) -> Reduce:
        told = word.value("op")
        if told is None:
            raise LayerError("nothing says which operation", fix="write reduce op:sum")
        return cls(told.removeprefix(":"), word.numbers("axes", ()) or None, keep=word.flag("keep"))


@layer("constant")
class Constant(Layer):
    """Values that do not depend on the network's input: fixed ones, or ones computed from learned maps.

    It has no parameters itself; what it is computed from (a table of position biases that is picked from) are its
    inputs, which are read as a whole. `uniform`: every value is the same (zeros, ones), so that no position differs.
    """

    dims: Any
    channel: int = 0
    uniform: bool = False

    spelling = Spelling(
        ("constant",), "constant49x49 channel1", ("uniform",), values=("channel",), defaults="channels on axis 0"
    )
    arity: ClassVar[tuple[int, int | None]] = (0, None)
    memory = VIEW
    stored = "fixed"

    def __post_init__(self) -> None:
        store(self, dims=Shape(*self.dims).dims if isinstance(self.dims, tuple) else Shape.of(self.dims).dims)
        channel_of(self.dims, self.channel)

    @property
    def level(self) -> bool:
        return self.uniform

    def output(self, *xs: Shape) -> Shape:
        for n in self.dims:
            if not holds(n >= 1, "{} ≥ 1", n):
                raise ShapeError("nothing is left of a table", why=f"it is {'x'.join(map(str, self.dims))}")
        return Shape(*self.dims, channel=self.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        found: list[Alternatives] = []
        for x in xs:
            found.append((tuple((None, All(n)) for n in x.dims),))
        return tuple(found)

    def notation(self, exact: bool = False) -> str:
        text = "constant" + sizes(self.dims) + (f" channel{self.channel}" if self.channel else "")
        return text + flags(uniform=self.uniform)

    @classmethod
    def from_word(cls, word: Word) -> Constant:
        return cls(word.need_size(), word.number("channel", 0), word.flag("uniform"))


def channel_of(dims: tuple[Any, ...], channel: int) -> None:
    """Refuse a channel axis that is not there."""
    if not 0 <= channel < len(dims):
        raise LayerError(f"there is no axis {channel} for the channels in {dims}")


@layer("attention_product")
class AttentionProduct(Layer):
    """The products of attention: softmax(q·kᵀ/√d + bias)·v of given queries, keys and values, without projections.

    Queries … n×d, keys … m×d, values … m×e with equal leading axes (heads, windows); a fourth input is added to the
    products, its axes of size 1 are stretched. Each query reads all keys and values, or those that a mask leaves it.
    Multiply-adds n·m·(d + e) a head, masked or not.

    >>> from rfcalc import AttentionProduct, Shape
    >>> q = Shape(12, 197, 64, channel=2)
    >>> AttentionProduct().output(q, q, q), AttentionProduct().cost((q, q, q), q).macs
    (Shape(12, 197, 64, channel=2), 59610624)

    Args:
        mask: which keys each query sees: ``"causal"`` (query i sees keys 0 … i), a list of positions for each query, or
            `Several` where heads or windows differ.
        scale: by what products are multiplied; None: 1/√d.
        offsets: (first, last, heads) where a bias is added that depends on query − key alone: one number for each of
            these differences and each head, and beyond them in a straight line. They are given with the weights, and
            not counted.
    """

    _: KW_ONLY
    mask: Any = None
    scale: float | None = None
    offsets: tuple[int, int, int] | None = None

    unstreamed = ("every position attends to all others", "limit it to a window, or mask what comes later")
    in_attention = "all"
    spelling = Spelling(
        ("attentionproduct", "sdpa"),
        "{fc64, fc64, fc64} attentionproduct causal scale0.125",
        ("causal",),
        ("keys", "over", "scale", "offsets"),
        "every query sees all keys, products divided by √d",
    )
    arity: ClassVar[tuple[int, int | None]] = (3, 4)

    def __post_init__(self) -> None:
        if self.scale is not None and not (isinstance(self.scale, (int, float)) and isfinite(self.scale)):
            raise LayerError(f"scale {self.scale!r} is not a number", fix="write one: scale0.125")
        store(
            self,
            mask=mask_of(self.mask),
            scale=None if self.scale is None else float(self.scale),
            offsets=_offsets(self.offsets),
        )

    def output(self, *xs: Shape) -> Shape:
        q, k, v = xs[:3]
        rank = len(q.dims)
        told = f"queries {q}, keys {k}, values {v}"
        if rank < 2 or any(len(x.dims) != rank for x in xs):
            raise ShapeError(f"attention needs maps with the same number (≥ 2) of axes, and gets {told}")
        if not agree(q.dims[-1], k.dims[-1]) or not agree(k.dims[-2], v.dims[-2]):
            raise ShapeError(f"{told} do not fit", why="queries and keys need the same features, a value for each key")
        if any(not agree(a, b) for x in (k, v) for a, b in zip(q.dims[:-2], x.dims[:-2], strict=True)):
            raise ShapeError(f"{told} do not fit", why="the leading axes differ")
        wanted = (*q.dims[:-1], k.dims[-2])
        for x in xs[3:]:
            if any(decide(n == 1) is not True and not agree(n, m) for n, m in zip(x.dims, wanted, strict=True)):
                raise ShapeError(f"the bias {x} does not fit", why=f"the products are {'x'.join(map(str, wanted))}")
        heads = 1 if self.offsets is None else self.offsets[2]
        if heads > 1 and (rank < 3 or not agree(heads, q.dims[-3])):
            raise ShapeError(f"a bias for each of {heads} heads does not fit", why=told)
        checked(self.mask, wanted)
        return Shape(*q.dims[:-1], v.dims[-1], channel=q.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        last = len(y.dims) - 1
        masks = keyed(self.mask, xs[0].dims[-2], xs[1].dims[-2]) if self.mask is not None else None

        def one(x: Shape, rows: bool, columns: bool, placed: Placed | None) -> Reads:
            axes: list[tuple[int | None, Index]] = []
            for i, n in enumerate(x.dims):
                if placed is not None and i == last - 1 and not rows:
                    axes.append((i, placed[2]))
                    continue
                own = i < last - 1 or (i == last - 1 and rows) or (i == last and columns)
                if rows and placed is not None and i == last - 1 and (some := seeing(placed[2])) is not None:
                    axes.append((i, some))
                    continue
                as_it_is = (i, STEP) if placed is None or i >= last - 1 else of_axis(i, placed)
                axes.append(as_it_is if own and agree(n, y.dims[i]) else (None, All(n)))
            return tuple(axes)

        def of(x: Shape, rows: bool, columns: bool) -> Alternatives:
            if masks is None or (rows and all(seeing(placed[2]) is None for placed in masks)):
                return (one(x, rows, columns, None),)
            return tuple([one(x, rows, columns, placed) for placed in masks])

        found = [of(xs[0], True, False), of(xs[1], False, False), of(xs[2], False, True)]
        return tuple(found + [of(x, True, False) for x in xs[3:]])

    @property
    def at_most(self) -> bool:
        return isinstance(self.mask, Several)

    def any_length(self) -> AttentionProduct | None:
        return None if self.mask is None else replace(self, mask=None, offsets=None)

    def covers(self, xs: tuple[Shape, ...], y: Shape) -> bool:
        """Query i of a causal mask sees keys 0 … i: all are seen where there are at least as many queries."""
        return self.mask == CAUSAL and len(xs) == 3 and bool(xs[0].dims[-2] >= xs[1].dims[-2])

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        q, k, v = xs[:3]
        heads, n, m = q.dims[:-2], q.dims[-2], k.dims[-2]
        return Cost(macs=MACS(l=heads, n=n, m=m, d=q.dims[-1], e=v.dims[-1]), activation=SOFTMAX(l=heads, n=n, m=m))

    def gradient_macs(self, xs: tuple[Shape, ...], y: Shape, macs: Size, has: tuple[bool, ...]) -> Size:
        """Queries and keys: the products of queries and keys again; values, and the weights that these need: the other
        products again."""
        d, e = xs[0].dims[-1], xs[2].dims[-1]
        first = macs * d // (d + e)
        return first * (has[0] + has[1]) + (macs - first) * (has[2] + (has[0] or has[1] or any(has[3:])))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        q, k, v = xs[:3]
        if len(xs) == 3 and len(q.dims) == 3 and agree(q.dims[-1], v.dims[-1]):
            # the fused kernel: queries, keys, values, the result and a log-sum-exp for each query and head
            return Saved(inputs=(0, 1, 2), output=True, extra_values=prod(y.dims[:-1]), statistics=prod(y.dims[:-1]))
        # else scaled copies of queries and keys, the values, and the weights of all pairs
        return Saved(inputs=(2,), extra_values=q.values + k.values + prod(q.dims[:-1]) * k.dims[-2])

    def notation(self, exact: bool = False) -> str:
        told = "" if self.scale is None else f" scale{repr(self.scale).removesuffix('.0').replace('+', '')}"
        if self.offsets is not None:
            first, last, heads = self.offsets
            told += f" offsets{first}:{last}:{heads}"
        return "attentionproduct" + written(self.mask, exact) + told

    @classmethod
    def from_word(cls, word: Word) -> AttentionProduct:
        scale, offsets = word.value("scale"), word.value("offsets")
        made = cls(mask=from_word(word))
        if scale is not None:
            word.culprit = "scale"
            made = replace(made, scale=_numbers(scale, float, 1)[0])
        if offsets is not None:
            word.culprit = "offsets"
            made = replace(made, offsets=_numbers(offsets, int, 3))
        word.culprit = None
        return made


def _numbers(told: str, kind: Any, count: int) -> Any:
    """So many numbers between colons.

    Raises:
        LayerError: something else.
    """
    try:
        found = tuple([kind(part) for part in told.split(":")])
    except ValueError:
        found = ()
    if len(found) != count:
        raise LayerError(f"{told} is not {'a number' if count == 1 else f'{count} whole numbers'}")
    return found


def _offsets(given: Any) -> tuple[int, int, int] | None:
    """Differences of a bias, and its heads.

    Raises:
        LayerError: they are none.
    """
    if given is None:
        return None
    found = tuple(given) if isinstance(given, (tuple, list)) else ()
    if len(found) != 3 or not all(type(n) is int for n in found) or found[0] > found[1] or found[2] < 1:
        raise LayerError(f"offsets {given!r} are not a first and last difference and a number of heads")
    return found
