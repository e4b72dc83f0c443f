"""Layers that change the size without weights: padding and cropping, upsampling, pixel shuffles."""

from __future__ import annotations

from itertools import product
from math import gcd
from typing import Any

from rfcalc.core.cost import KEEPS_INPUT, KEEPS_NOTHING, Formula, Saved
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import Alternatives, Layer, channelwise, layer, over_space, spatial_rank, store
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, decide, divides, holds, is_number, maximum, minimum, prod
from rfcalc.core.sliding import MOST_PHASES, axes, borders, check_phases, choice, one, pads
from rfcalc.core.syntax import Spelling, Word, flags, number, pairs, sizes
from rfcalc.core.window import STEP, All, Border, Index, Listed, Slide, Table, Unsized

PADDED = Formula("output_size", "n + a + b", "padding before and after; negative crops")
SCALED = Formula("output_size", "n * f", "every position becomes f")

MODES = ("nearest", "nearest-exact", "linear", "cubic")
NAMES = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


@layer("pad")
class Pad(Layer):
    """Padding (or, negative, cropping) on each side: zeros, reflected, replicated or circular.

    >>> from rfcalc import Pad, Shape
    >>> Pad(((1, 2), (-1, 0))).output(Shape(3, 8, 8))
    Shape(3, 11, 7)
    """

    lies = "channels"
    padding: Any
    mode: str = Border.ZEROS

    spelling = Spelling(("pad",), "pad by0:1x2:-2", tuple(Border), ("by",), "zeros; negative numbers crop")

    def __post_init__(self) -> None:
        mode = Border(choice("mode", self.mode, Border))
        given = pads(self.padding, least=None)
        if isinstance(given, str):
            raise LayerError(f"a Pad layer needs numbers, not {given!r}")
        store(self, padding=given, mode=mode)

    def nothing(self, x: Shape) -> Pad | None:
        return Pad(((0, 0),) * len(self.padding), self.mode)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        rank, mode = spatial_rank(x, self), Border(self.mode)
        if len(self.padding) not in (1, rank):
            raise ShapeError(f"the padding has {plural(len(self.padding), 'axis', 'axes')}, the map {rank}")
        lengths = []
        for i, n in enumerate(x.dims[1:]):
            a, b = one(self.padding, i)
            cropped = n + minimum(a, 0) + minimum(b, 0)  # before zeros or a circle are put around what is left
            least = {Border.ZEROS: 0, Border.CIRCULAR: 1}.get(mode)
            if least is not None and not holds(cropped >= least, "{} ≥ 1", cropped):
                raise ShapeError(f"nothing is left of axis {i + 1}", why=f"{n} cropped by {a}, {b}", fix="crop less")
            if decide(a > 0) is not False or decide(b > 0) is not False:
                borders(mode, cropped if mode == Border.CIRCULAR else n, maximum(a, 0), maximum(b, 0))
            length = PADDED(n=n, a=a, b=b)
            if not holds(length >= 1, "{} ≥ 1", length):
                raise ShapeError(f"nothing is left of axis {i + 1}", why=f"{n} + {a} + {b} = {length}", fix="crop less")
            lengths.append(length)
        return Shape(x.dims[0], *lengths)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        return (over_space(x, tuple(self._index(n, *one(self.padding, i)) for i, n in enumerate(x.dims[1:]))),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return (channelwise(self.reads(xs, y)[0]),)

    def _index(self, n: Size, a: Size, b: Size) -> Index:
        inside = decide(a <= 0) is True and decide(b <= 0) is True
        cropped = decide(a < 0) is True or decide(b < 0) is True
        if self.mode == Border.CIRCULAR and cropped and not inside and is_number(n):
            # one side is cropped first, and the other wraps around what is left
            start, left = max(-a, 0), n - max(-a, 0) - max(-b, 0)
            return Listed([[start + (u - max(a, 0)) % left] for u in range(n + a + b)])
        return Slide(1, -a, border=Border.ZEROS if inside else Border(self.mode))

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        alone = self.mode == Border.REPLICATE or (self.mode == Border.REFLECT and xs[0].rank < 3)
        return device == "cpu" and alone

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_INPUT if self.mode in (Border.REFLECT, Border.REPLICATE) else KEEPS_NOTHING

    def notation(self, exact: bool = False) -> str:
        return f"pad by{pairs(self.padding)}" + ("" if self.mode == Border.ZEROS else f" {self.mode}")

    @classmethod
    def from_word(cls, word: Word) -> Pad:
        text = word.value("by") or word.size_text
        if not text:
            raise LayerError("nothing says how much is padded", fix="write pad by1, pad by0x2 or pad by1:2")
        return cls(word.pairs(text, "by"), word.choice(tuple(Border), Border.ZEROS))


@layer("upsample")
class Upsample(Layer):
    """Resizing by a whole factor or to a size: ``nearest``, ``nearest-exact``, ``linear`` (bilinear, …), ``cubic``.

    Position u of m reads n positions at u·n/m (nearest), or around (u + ½)·n/m − ½ (linear: 2, cubic: 4 neighbours,
    one where it falls on a position), or around u·(n − 1)/(m − 1) with `align_corners`. Beyond the border the outermost
    position stands.

    >>> from rfcalc import Shape, Upsample
    >>> Upsample(2).output(Shape(64, 7, 9)), Upsample(size=(13, 20), mode="linear").output(Shape(64, 7, 9))
    (Shape(64, 14, 18), Shape(64, 13, 20))
    """

    lies = "channels"
    factor: Any = None
    size: Any = None
    mode: str = "nearest"
    align_corners: bool = False

    unstreamed = ("its factor depends on the length", "resize by a whole factor")
    spelling = Spelling(
        ("up", "upsample", "resize"),
        "up2 linear",
        (*MODES, *NAMES, "corners"),
        defaults="nearest; up2: twice the size; resize13x20: to a size",
    )

    def __post_init__(self) -> None:
        mode = NAMES.get(self.mode, self.mode)
        choice("mode", mode, MODES)
        if (self.factor is None) == (self.size is None):
            raise LayerError("give either a factor or a size")
        if self.align_corners and mode.startswith("nearest"):
            raise LayerError("align_corners is for linear and cubic interpolation only")
        store(
            self,
            mode=mode,
            factor=None if self.factor is None else axes("factor", self.factor),
            size=None if self.size is None else axes("size", self.size),
        )

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        rank = spatial_rank(x, self)
        given = self.factor or self.size
        if len(given) not in (1, rank):
            raise ShapeError(
                f"the {'factor' if self.factor else 'size'} has {plural(len(given), 'axis', 'axes')}, the map {rank}"
            )
        if self.factor is not None:
            return Shape(x.dims[0], *(SCALED(n=n, f=one(self.factor, i)) for i, n in enumerate(x.dims[1:])))
        return Shape(x.dims[0], *(one(self.size, i) for i in range(rank)))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        found = []
        for i, (n, m) in enumerate(zip(xs[0].dims[1:], y.dims[1:], strict=True)):
            if self.factor is not None and not self.align_corners:
                f = one(self.factor, i)
                found.append(self._index(1, f) if is_number(f) else Unsized("the phases need a number for the factor"))
            elif is_number(n) and is_number(m):
                many = type(m) is int and n != m > MOST_PHASES
                found.append(Unsized("its phases are too many to tell apart") if many else self._index(n, m))
            else:
                found.append(Unsized("what resizing reads depends on the sizes"))
        return (over_space(xs[0], tuple(found)),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return (channelwise(self.reads(xs, y)[0]),)

    def covers(self, xs: tuple[Shape, ...], y: Shape) -> bool:
        return all(decide(m >= n) for n, m in zip(xs[0].dims[1:], y.dims[1:], strict=True))  # steps of one at most

    def sized(self, y: Shape) -> Upsample:
        return Upsample(None, y.spatial, self.mode, self.align_corners)

    def _index(self, n: int, m: int) -> Index:
        if self.align_corners:
            if m == 1 or n == 1:
                return All(1) if n == 1 and m > 1 else STEP if n == 1 else Slide()  # position 0 alone
            top, bottom, offset = n - 1, m - 1, 0  # source position (u·top + offset) / bottom
        elif self.mode == "nearest":
            top, bottom, offset = n, m, 0
        elif self.mode == "nearest-exact":
            top, bottom, offset = 2 * n, 2 * m, n
        else:
            top, bottom, offset = 2 * n, 2 * m, n - m
        steps = bottom // gcd(top, bottom)
        if steps == 1 and top == bottom:
            return STEP
        before, after = {"linear": (0, 1), "cubic": (1, 2)}.get(self.mode, (0, 0))
        check_phases(steps)
        phases = []
        for u in range(steps):
            at, between = divmod(u * top + offset, bottom)
            phases.append(range(at - before, at + after + 1) if between else (at,))
        table = Table(top // gcd(top, bottom), phases, Border.REPLICATE)
        outside = table.taps(0)[0] < 0 or table.taps(m - 1)[-1] >= n
        return table if outside else Table(table.advance, phases)

    def notation(self, exact: bool = False) -> str:
        text = "up" + sizes(self.factor) if self.factor else "resize" + sizes(self.size)
        text += "" if self.mode == "nearest" else f" {self.mode}"
        return text + flags(corners=self.align_corners)

    @classmethod
    def from_word(cls, word: Word) -> Upsample:
        mode = word.choice((*MODES, *NAMES), "nearest")
        size = word.need_size()
        corners = word.flag("corners")
        return cls(None, size, mode, corners) if word.name == "resize" else cls(size, None, mode, corners)


@layer("pixel_shuffle")
class PixelShuffle(Layer):
    """Moves groups of r² channels into r × r positions (any number of axes): C·r² × H × W → C × H·r × W·r."""

    lies = "channels"
    packs = "out"
    factor: Size

    lends = True
    spelling = Spelling(("pixelshuffle",), "pixelshuffle2")

    def __post_init__(self) -> None:
        axes("factor", self.factor)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        group = prod([self.factor] * spatial_rank(x, self))
        if not divides(group, x.dims[0]):
            raise ShapeError(f"{plural(x.dims[0], 'channel')} cannot be spread over {plural(group, 'position')} each")
        return Shape(x.dims[0] // group, *(n * self.factor for n in x.dims[1:]))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        r = self.factor
        index: Index = Table(1, [[0]] * r) if is_number(r) else Unsized("the phases need a number for the factor")
        return (over_space(xs[0], (index,) * xs[0].rank),)

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        r, found = self.factor, []
        for at, phase in enumerate(product(range(r), repeat=xs[0].rank)):
            axes: list[tuple[int | None, Index]] = [(0, Slide(r ** xs[0].rank, at))]
            axes += [(i, Table(1, [[0] if p == own else [] for p in range(r)])) for i, own in enumerate(phase, 1)]
            found.append(tuple(axes))
        return (tuple(found),)

    def notation(self, exact: bool = False) -> str:
        return f"pixelshuffle{number(self.factor)}"

    @classmethod
    def from_word(cls, word: Word) -> PixelShuffle:
        return cls(word.one_size())


@layer("pixel_unshuffle")
class PixelUnshuffle(Layer):
    """The reverse: r × r positions become r² channels (space to depth)."""

    lies = "channels"
    packs = "in"
    factor: Size

    lends = True
    spelling = Spelling(("pixelunshuffle", "spacetodepth"), "pixelunshuffle2")

    def __post_init__(self) -> None:
        axes("factor", self.factor)

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        rank = spatial_rank(x, self)
        for i, n in enumerate(x.dims[1:]):
            if not divides(self.factor, n):
                raise ShapeError(f"axis {i + 1} of {x} is not divisible by {self.factor}")
        return Shape(x.dims[0] * prod([self.factor] * rank), *(n // self.factor for n in x.dims[1:]))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (over_space(xs[0], (Slide(self.factor, 0, self.factor),) * xs[0].rank),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        r, found = self.factor, []
        count = r ** xs[0].rank
        for at, phase in enumerate(product(range(r), repeat=xs[0].rank)):
            axes: list[tuple[int | None, Index]] = [(0, Table(1, [[0] if p == at else [] for p in range(count)]))]
            found.append((*axes, *((i, Slide(r, own)) for i, own in enumerate(phase, 1))))
        return (tuple(found),)

    def notation(self, exact: bool = False) -> str:
        return f"pixelunshuffle{number(self.factor)}"

    @classmethod
    def from_word(cls, word: Word) -> PixelUnshuffle:
        return cls(word.one_size())
