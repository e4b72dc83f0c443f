"""Self-attention as one layer: over the whole map, or inside (shifted) windows."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any, ClassVar

from rfcalc.core.cost import Cost, Formula, Saved
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import Alternatives, Layer, layer, store, whole_axes
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, ceildiv, decide, divides, holds, is_number, prod
from rfcalc.core.sliding import axes, one
from rfcalc.core.syntax import Spelling, Word, flags, number, sizes
from rfcalc.core.window import STEP, All, Index, Listed, Table, Unsized

WEIGHTS = Formula("weights", "3 * c * c + c * c", "query, key and value projections, and the output projection")
WEIGHTS_TABLE = Formula(
    "weights", "4 * c * c + prod(t) * h", "the four projections, and a relative position table for each head"
)
WEIGHTS_COSINE = Formula(
    "weights",
    "4 * c * c + h + u * (d + h) * r",
    "the four projections, a scale for each head, and two layers of u units that make the position biases of d axes",
)
BIASES = Formula("biases", "3 * c * q + c * o", "of the query, key, value and output projections")
BIASES_COSINE = Formula(
    "biases", "3 * c * q + c * o + u * r", "of the four projections, and of the first layer that makes position biases"
)
MACS = Formula(
    "macs",
    "4 * n * c * c + 2 * n * m * c",
    "four projections of n tokens; each attends to m: queries·keys, weights·values",
)
BIAS_ADDS = Formula("linear_bias_adds", "n * (3 * c * q + c * o)", "one addition for each projected value")
KEPT = Formula(
    "saved",
    "4 * n * c + h * n",
    "queries, keys, values and the result of n tokens; a log-sum-exp for each head and token",
)
KEPT_WINDOWS = Formula(
    "saved",
    "5 * n * c + n * m * h",
    "the windowed input, queries, keys, values and the result of n tokens; the attention of each to m, for each head",
)
KEPT_ONE_HEAD = Formula("saved", "6 * n * c + n * m", "as with several heads, but keys and values stay views of more")
KEPT_COSINE = Formula(
    "saved",
    "(7 + v) * n * c + 4 * n * h + 2 * n * m * h",
    "the windowed input, the projections, normalised queries and keys, v copies of the values and the result of n "
    "tokens; the norms, and both the products and the attention of each to m, for each head",
)
KEPT_ONCE = Formula(
    "saved", "h + (t * u + m * m * h) * r", "once a batch: the heads' scales; hidden units, and biases of m by m pairs"
)
SOFTMAX = Formula("activation", "n * m * h", "softmax over m for each of n tokens and h heads")


def _check(x: Shape, heads: Size) -> None:
    if not divides(heads, x.channels):
        fix = None
        if isinstance(x.channels, int) and isinstance(heads, int):
            fix = f"give {max(n for n in range(1, min(heads, x.channels) + 1) if x.channels % n == 0)} heads"
        raise ShapeError(f"{x.channels} features cannot be split into {heads} heads", fix=fix)


def _gradient_macs(n: Size, c: Size, macs: Size, has: bool) -> Size:
    """Each product of attention gives two; the output projection's input has a gradient anyway, that of the three
    others where the layer's input has one. The last take a quarter each of the 4·n·c² of the projections."""
    products = macs - 4 * n * c * c
    return 2 * products + n * c * c * (4 if has else 1)


@layer("self_attention")
class SelfAttention(Layer):
    """Multi-head self-attention over all positions of a tokens × features map (or any layout), with its projections.

    Weights 4C²; multiply-adds 4NC² + 2N²C for N positions.

    Args:
        heads: number of heads; divides the features.
        bias: whether query, key and value projections have biases.
        out_bias: whether the output projection has one.
    """

    lies = "rows"
    heads: Size
    _: KW_ONLY
    bias: bool = True
    out_bias: bool = True

    from_the_input = slice(0, 1)
    unstreamed = ("every position attends to all others", "limit it to a window, or mask what comes later")
    spelling = Spelling(
        ("attention",), "attention12 nobias", ("nobias", "nooutbias"), defaults="biases in all four projections"
    )
    weight_layers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        axes("heads", self.heads)

    def output(self, *xs: Shape) -> Shape:
        _check(xs[0], self.heads)
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (whole_axes(xs[0]),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c = y.channels
        n = y.values // c
        q, o = int(self.bias), int(self.out_bias)
        return Cost(
            weights=WEIGHTS(c=c),
            biases=BIASES(c=c, q=q, o=o),
            macs=MACS(n=n, c=c, m=n),
            linear_bias_adds=BIAS_ADDS(n=n, c=c, q=q, o=o),
            activation=SOFTMAX(n=n, m=n, h=self.heads),
        )

    def gradient_macs(self, xs: tuple[Shape, ...], y: Shape, macs: Size, has: tuple[bool, ...]) -> Size:
        return _gradient_macs(y.values // y.channels, y.channels, macs, has[0])

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        # the heads of the result are put together in place
        n = y.values // y.channels
        return Saved(inputs=(0,), extra_values=KEPT(n=n, c=y.channels, h=self.heads))

    def notation(self, exact: bool = False) -> str:
        return f"attention{number(self.heads)}" + flags(nobias=not self.bias, nooutbias=not self.out_bias)

    @classmethod
    def from_word(cls, word: Word) -> SelfAttention:
        return cls(word.one_size(), bias=not word.flag("nobias"), out_bias=not word.flag("nooutbias"))


@layer("window_attention")
class WindowAttention(Layer):
    """Self-attention inside windows of the map, which may be shifted (Swin Transformer).

    The map is padded to whole windows. With a shift s the map is rolled by −s before and back after; `masked` keeps
    what the roll brought together apart. On an axis unit u then reads its window: positions s + ⌊(u − s)/w⌋·w and the
    w − 1 after it, clipped at the border: affine up to the period w. Unmasked, the border windows see both ends. A
    window as large as the map is not shifted.

    Args:
        heads: number of heads.
        window: window size, for all axes or one for each.
        shift: how far windows are shifted; 0 for none.
        masked: whether positions brought together by the roll are kept apart.
        relative: whether each head has a table of (2w − 1)² relative position biases.
        bias, out_bias: whether the projections have biases.
        cosine: 0, or as in Swin Transformer V2: queries and keys are normalised, their products scaled by a learned
            factor for each head, and the position biases come from a network with so many hidden units. It reads
            positions only, runs once for all windows and items, and is left out of the multiply-adds.
    """

    lies = "rows"
    heads: Size
    window: Any
    shift: Any = (0,)
    _: KW_ONLY
    masked: bool = True
    relative: bool = True
    bias: bool = True
    out_bias: bool = True
    cosine: Size = 0

    spelling = Spelling(
        ("winattention",),
        "winattention3 win7 shift3",
        ("unmasked", "norelative", "nobias", "nooutbias"),
        ("win", "shift", "cosine"),
        "windows of 7, not shifted, masked, relative position tables, biases in all four projections",
    )
    weight_layers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        axes("heads", self.heads)
        axes("cosine", self.cosine, least=0)
        window, shift = axes("window", self.window), axes("shift", self.shift, least=0)
        for i, s in enumerate(shift):
            if not holds(s < one(window, i), "shift < window"):
                raise LayerError(f"shift {s} is not smaller than the window {one(window, i)}")
        store(self, window=window, shift=shift)

    @property
    def _cosine(self) -> bool:
        return decide(self.cosine == 0) is not True

    @property
    def assumes(self) -> str:
        told = "The layers that make the position biases run once for all windows and are not in the multiply-adds."
        return told if self._cosine and self.relative else ""

    def _axes(self, x: Shape) -> list[tuple[int, Size, Size, Size, Size]]:
        """(axis, size, window, shift, padded size) of each spatial axis."""
        rank = x.rank
        if rank == 0 or len(self.window) not in (1, rank) or len(self.shift) not in (1, rank):
            raise ShapeError(f"the window has {plural(len(self.window), 'axis', 'axes')}, the map {x} {rank} spatial")
        found = []
        for k, i in enumerate(x.axes):
            n, w, s = x.dims[i], one(self.window, k), one(self.shift, k)
            padded = ceildiv(n, w) * w
            found.append((i, n, w, 0 if decide(w >= padded) else s, padded))
        return found

    def output(self, *xs: Shape) -> Shape:
        _check(xs[0], self.heads)
        self._axes(xs[0])
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        found: list[tuple[int | None, Index]] = [(i, STEP) for i in range(len(x.dims))]
        for i, n, w, s, padded in self._axes(x):
            if not all(is_number(v) for v in (n, w, s)):
                found[i] = (i, Unsized("where the windows lie depends on the sizes"))
            elif s and not self.masked:
                rolled = [(u - s) % padded // w * w for u in range(n)]
                found[i] = (i, Listed([[(v + t + s) % padded for t in range(w)] for v in rolled]))
            else:
                found[i] = (i, Table(w, [range(s - w, s) if u < s else range(s, s + w) for u in range(w)]))
        return ((tuple(found),),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """All channels go into the projections."""
        (x,) = xs
        whole = (x.channel, All(x.channels))
        return (tuple((*r[: x.channel], whole, *r[x.channel + 1 :]) for r in self.reads(xs, y)[0]),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c = y.channels
        geometry = self._axes(y)
        n = prod(padded for *_, padded in geometry)
        m = prod(w for _, _, w, _, _ in geometry)
        q, o = int(self.bias), int(self.out_bias)
        table = tuple(2 * w - 1 for _, _, w, _, _ in geometry)
        weights = WEIGHTS_TABLE(c=c, t=table, h=self.heads) if self.relative else WEIGHTS(c=c)
        biases = BIASES(c=c, q=q, o=o)
        if self._cosine:
            u, r = self.cosine, int(self.relative)
            weights = WEIGHTS_COSINE(c=c, h=self.heads, u=u, d=len(geometry), r=r)
            biases = BIASES_COSINE(c=c, q=q, o=o, u=u, r=r)
        return Cost(
            weights=weights,
            biases=biases,
            macs=MACS(n=n, c=c, m=m),
            linear_bias_adds=BIAS_ADDS(n=n, c=c, q=q, o=o),
            activation=SOFTMAX(n=n, m=m, h=self.heads),
        )

    def gradient_macs(self, xs: tuple[Shape, ...], y: Shape, macs: Size, has: tuple[bool, ...]) -> Size:
        return _gradient_macs(prod(padded for *_, padded in self._axes(y)), y.channels, macs, has[0])

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        geometry = self._axes(y)
        n, m = prod(padded for *_, padded in geometry), prod(w for _, _, w, _, _ in geometry)
        # the windowed input, queries, keys, values, the attention itself, the result; with one head (or one window in a
        # batch of one) keys and values stay views of all three projections, which are kept whole
        c = y.channels
        one_head = decide(self.heads == 1) is True
        one_window = not one_head and decide(n == m) is True
        if self._cosine:
            t = prod(2 * w - 1 for _, _, w, _, _ in geometry)
            return Saved(
                extra_values=KEPT_COSINE(n=n, c=c, m=m, h=self.heads, v=0 if one_head else 1),
                batch_values=KEPT_ONCE(m=m, h=self.heads, t=t, u=self.cosine, r=int(self.relative)),
                single_values=-n * c if one_window else 0,
            )
        extra = KEPT_ONE_HEAD(n=n, c=c, m=m) if one_head else KEPT_WINDOWS(n=n, c=c, m=m, h=self.heads)
        return Saved(extra_values=extra, single_values=n * c if one_window else 0)

    def notation(self, exact: bool = False) -> str:
        text = f"winattention{number(self.heads)} win{sizes(self.window)}"
        text += "" if self.shift == (0,) else f" shift{sizes(self.shift)}"
        text += f" cosine{number(self.cosine)}" if self._cosine else ""
        off = {"unmasked": self.masked, "norelative": self.relative, "nobias": self.bias, "nooutbias": self.out_bias}
        return text + flags(**{name: not on for name, on in off.items()})

    @classmethod
    def from_word(cls, word: Word) -> WindowAttention:
        off = {"masked": "unmasked", "relative": "norelative", "bias": "nobias", "out_bias": "nooutbias"}
        on = {name: not word.flag(flag) for name, flag in off.items()}
        return cls(
            word.one_size(),
            word.numbers("win", (7,)),
            word.numbers("shift", (0,)),
            **on,
            cosine=word.number("cosine", 0),
        )
