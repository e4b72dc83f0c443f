"""A sliding window over N axes as one geometry value: its output length and its pull-back, stated once.

The notation, readers and users make a `Sliding`; convolution, pooling and their kin hold it; the walks read it. None of
them repeats its arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rfcalc.core.cost import KEEPS_INPUT, Formula, Saved
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, agree, ceildiv, decide, holds, is_number, is_size, more
from rfcalc.core.window import Border, Choice, Slide, Unsized

Padding: TypeAlias = "str | tuple[tuple[Size, Size], ...]"


class Rounding(Choice):
    """How the number of windows is made whole: `CEIL` as in PyTorch (a last window that would start in the right
    padding is dropped), `CEIL_ONNX` as ONNX did before opset 19's correction (it is kept)."""

    FLOOR = "floor"
    CEIL = "ceil"
    CEIL_ONNX = "ceil-onnx"


OUT = Formula(
    "output_size",
    "(n + a + b - d * (k - 1) - 1) // s + 1",
    "Out = (In − k + 2p)/s + 1, rounded down; Dumoulin & Visin 2016, with dilation d and padding a, b per side",
)
OUT_EQUAL = Formula(
    "output_size",
    "(n - k + 2 * p) // s + 1",
    "Out = (In − k + 2p)/s + 1, rounded down; Dumoulin & Visin 2016, relationship 6",
)
OUT_CEIL = Formula(
    "output_size",
    "ceildiv(n + a + b - d * (k - 1) - 1, s) + 1",
    "as above, rounded up (ceil mode)",
)
OUT_DROPPED = Formula(
    "output_size",
    "ceildiv(n + a + b - d * (k - 1) - 1, s)",
    "rounded up, without the last window: it would start in the right padding (PyTorch)",
)
OUT_SAME = Formula("output_size", "ceildiv(n, s)", "TensorFlow's SAME: Out = ⌈In / s⌉")
PADDED = Formula("saved", "c * prod(n)", "a padded copy of the input")
PAD_SAME = Formula(
    "padding",
    "max((ceildiv(n, s) - 1) * s + d * (k - 1) + 1 - n, 0)",
    "TensorFlow's SAME: total padding, the smaller half on the left",
)


def axes(name: str, value: Any, least: int = 1) -> tuple[Size, ...]:
    """One size for every axis, as a tuple; a single number stays a tuple of one, that fits any rank.

    Raises:
        LayerError: for anything that is not a size ≥ `least`.
    """
    values: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not values:
        raise LayerError(f"{name} is empty", fix="give one number, or one for each axis")
    for v in values:
        if not is_size(v):
            raise LayerError(f"{name} {v!r} is not a whole number")
        if not holds(v >= least, f"{name} ≥ {least}"):
            raise LayerError(f"{name} {v} is too small", why=f"it must be at least {least}")
    return values


def pads(value: Any, least: int | None = 0) -> Padding:
    """Padding as pairs (before, after) per axis, or a named mode (`same`, `SAME`; `valid` is zero).

    Raises:
        LayerError: for an unknown mode, or anything that is not a size (≥ `least`, unless that is None).

    >>> pads(1), pads((0, 2)), pads(((0, 1), (2, 3)))
    (((1, 1),), ((0, 0), (2, 2)), ((0, 1), (2, 3)))
    """
    if isinstance(value, str):
        if value in ("same", "SAME"):
            return value
        if value in ("valid", "VALID"):
            return ((0, 0),)
        raise LayerError(
            f"padding {value!r} is not a mode", fix='use numbers, "valid", "same" (PyTorch) or "SAME" (TensorFlow)'
        )
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    pairs = tuple(tuple(v) if isinstance(v, (tuple, list)) else (v, v) for v in values)
    if not pairs:
        raise LayerError("padding is empty", fix="give one number, or a pair for each axis")
    for pair in pairs:
        if len(pair) != 2:
            raise LayerError(f"padding {pair!r} is not a pair (before, after)")
        for p in pair:
            if not is_size(p):
                raise LayerError(f"padding {p!r} is not a whole number")
            if least is not None and not holds(p >= least, f"padding ≥ {least}"):
                raise LayerError(f"padding {p} is negative", fix="a layer of its own crops: Pad(-1)")
    return pairs


def one(values: tuple[Any, ...], i: int) -> Any:
    """The value for axis i; a tuple of one serves every axis."""
    return values[i] if len(values) > 1 else values[0]


def choice(name: str, value: str, allowed: Iterable[str]) -> str:
    """Refuse a word that is not among the allowed ones."""
    options = tuple(allowed)
    if value not in options:
        raise LayerError(f"{name} {value!r} does not exist", fix=f"use one of: {', '.join(options)}")
    return value


def keeping_size(kernel: tuple[Size, ...], dilation: tuple[Size, ...]) -> Padding:
    """The padding that keeps the size at stride 1: d(k − 1) in all, the smaller half before.

    >>> keeping_size((3, 4), (1,))
    ((1, 1), (1, 2))
    """
    totals = [one(dilation, i) * (one(kernel, i) - 1) for i in range(max(len(kernel), len(dilation)))]
    return tuple((t // 2, t - t // 2) for t in totals)


@dataclass(frozen=True, slots=True)
class Sliding:
    """Kernel, stride, padding, dilation, rounding and border of a sliding window, one entry an axis (or one for all).

    Numbers become tuples, and padding becomes pairs (before, after), when it is made.

    >>> Sliding(3, 2, 1).stride, Sliding(3, 2, 1).padding
    ((2,), ((1, 1),))

    Raises:
        LayerError: a geometry that no layer can have.
    """

    kernel: tuple[Size, ...]
    stride: tuple[Size, ...] = (1,)
    padding: Padding = ((0, 0),)
    dilation: tuple[Size, ...] = (1,)
    rounding: Rounding = Rounding.FLOOR
    border: Border = Border.ZEROS

    def __init__(
        self,
        kernel: Any,
        stride: Any = (1,),
        padding: Any = ((0, 0),),
        dilation: Any = (1,),
        rounding: str = Rounding.FLOOR,
        border: str = Border.ZEROS,
    ) -> None:
        store = object.__setattr__
        store(self, "kernel", axes("kernel", kernel))
        store(self, "stride", axes("stride", stride))
        store(self, "dilation", axes("dilation", dilation))
        store(self, "padding", pads(padding))
        store(self, "rounding", Rounding(choice("rounding", rounding, Rounding)))
        store(self, "border", Border(choice("border", border, Border)))
        self._check()

    @classmethod
    def of(cls, kernel: Any, stride: Any, *given: Any) -> Sliding:
        """The geometry of a layer with these parameters; `kernel` may be the geometry itself.

        Raises:
            LayerError: the geometry is given, and parameters beside it that are its own business.
        """
        if not isinstance(kernel, Sliding):
            return cls(kernel, kernel if stride is None else stride, *given)
        if stride not in (None, (1,)) or given != _NOTHING_SAID[: len(given)]:
            raise LayerError(f"the geometry {kernel} says stride, padding and dilation", fix="give none beside it")
        return kernel

    def held_by(self, layer: Any) -> None:
        """Store this geometry in a layer that is being made, and what it says in the layer's own parameters.

        Raises:
            LayerError: it says something that the layer has no parameter for.
        """
        store = object.__setattr__
        store(layer, "geometry", self)
        for name, usual in _USUAL.items():
            value = getattr(self, name)
            if hasattr(layer, name):
                store(layer, name, value)
            elif value != usual:
                raise LayerError(f"there is no parameter {name!r}, and the geometry says {name} {value}")

    def _check(self) -> None:
        """Refuse a geometry that no layer can have."""
        ranks = {len(v) for v in (self.kernel, self.stride, self.dilation, self.padding) if len(v) > 1}
        if isinstance(self.padding, str):
            ranks = {len(v) for v in (self.kernel, self.stride, self.dilation) if len(v) > 1}
        if len(ranks) > 1:
            raise LayerError(
                "kernel, stride, padding and dilation have different numbers of axes",
                why=f"kernel {self.kernel}, stride {self.stride}, padding {self.padding}, dilation {self.dilation}",
            )
        if self.padding == "same" and any(decide(s == 1) is False for s in self.stride):
            raise LayerError(
                'padding "same" needs stride 1, as in PyTorch',
                why=f"stride is {'x'.join(map(str, self.stride))}",
                fix='give the padding in numbers, or "SAME" for TensorFlow\'s rule',
            )

    def kernel_axes(self, rank: int) -> tuple[Size, ...]:
        """The kernel with one entry for each of `rank` axes.

        Raises:
            ShapeError: the geometry is written for another number of axes.
        """
        for name, value in (("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)):
            if len(value) > 1 and len(value) != rank:
                raise ShapeError(
                    f"the {name} has {plural(len(value), 'axis', 'axes')}, the map has {rank} spatial",
                    fix=f"give one number, or {rank}" if rank else "a flat vector has no spatial axes",
                )
        if not isinstance(self.padding, str) and len(self.padding) > 1 and len(self.padding) != rank:
            raise ShapeError(
                f"the padding has {plural(len(self.padding), 'axis', 'axes')}, the map has {rank} spatial",
                fix=f"give one, or {rank}",
            )
        return self.kernel if len(self.kernel) == rank else self.kernel * rank

    def around(self, n: Size, i: int) -> tuple[Size, Size]:
        """Padding (before, after) on axis i for an input of n positions."""
        padding = self.padding
        if not isinstance(padding, str):
            return padding[i] if len(padding) > 1 else padding[0]
        k, s, d = one(self.kernel, i), one(self.stride, i), one(self.dilation, i)
        total = d * (k - 1) if padding == "same" else PAD_SAME(n=n, s=s, d=d, k=k)
        return total // 2, total - total // 2

    def length(self, n: Size, i: int) -> Size:
        """Output length on axis i.

        Raises:
            ShapeError: the window does not fit into the padded map.

        >>> Sliding(11, 4).length(227, 0), Sliding(11, 4).length(224, 0)
        (55, 54)
        """
        k, s, d = one(self.kernel, i), one(self.stride, i), one(self.dilation, i)
        a, b = self.around(n, i)
        if self.border != Border.ZEROS:
            borders(self.border, n, a, b)
        if self.padding == "SAME":
            return OUT_SAME(n=n, s=s)
        if self.rounding == Rounding.FLOOR:
            if not holds(more(n + a + b, d * (k - 1)), "{} ≥ {}", n, d * (k - 1) + 1 - a - b):
                raise _misfit(OUT, n, a, b, d, k, s)
            if decide(d == 1) is True and decide(a == b) is True:
                return OUT_EQUAL(n=n, k=k, p=a, s=s)  # the same, as it is usually written
            return OUT(n=n, a=a, b=b, d=d, k=k, s=s)
        last = ceildiv(n + a + b - d * (k - 1) - 1, s)  # the number of the last window
        dropped = self.rounding == Rounding.CEIL and decide(last * s >= n + a)
        length = (OUT_DROPPED if dropped else OUT_CEIL)(n=n, a=a, b=b, d=d, k=k, s=s)
        if not holds(more(length, 0), "{} ≥ 1", length):
            raise _misfit(OUT_CEIL, n, a, b, d, k, s)
        return length

    def slide(self, n: Size, i: int) -> Slide | Unsized:
        """What unit u of axis i reads of an input of n positions."""
        if self.padding == "SAME" and not is_number(n):
            if decide(one(self.stride, i) == 1) is True:
                total = one(self.dilation, i) * (one(self.kernel, i) - 1)
                a, b = total // 2, total - total // 2
            else:
                a, b = self.around(n, i)
                if not (is_number(a) and is_number(b)):  # known where the remainder of n by the stride is
                    return Unsized("TensorFlow's SAME pads by the input size")
        else:
            a, b = self.around(n, i)
        slide = Slide(one(self.stride, i), -a, one(self.kernel, i), one(self.dilation, i))
        if self.border == Border.ZEROS or (decide(a == 0) is True and decide(b == 0) is True):
            return slide
        if is_number(n) and decide(a == 0) is True and slide.taps(self.length(n, i) - 1)[-1] < n:
            return slide  # no window reaches the padding
        return Slide(slide.stride, slide.first, slide.kernel, slide.dilation, self.border)

    def lengths(self, spatial: tuple[Size, ...]) -> tuple[Size, ...]:
        """Output lengths on all axes."""
        self.kernel_axes(len(spatial))
        if self._alike(spatial):
            return (self.length(spatial[0], 0),) * len(spatial)
        return tuple(self.length(n, i) for i, n in enumerate(spatial))

    def slides(self, spatial: tuple[Size, ...]) -> tuple[Slide | Unsized, ...]:
        """What a unit reads, on all axes."""
        if self._alike(spatial if self.border != Border.ZEROS else spatial[:1]):  # zeros: whatever the extents
            return (self.slide(spatial[0], 0),) * len(spatial)
        return tuple(self.slide(n, i) for i, n in enumerate(spatial))

    def _alike(self, spatial: tuple[Size, ...]) -> bool:
        """Whether all axes are as long and slid over alike."""
        given = (self.kernel, self.stride, self.padding, self.dilation)
        return all(len(v) == 1 for v in given) and all(n is spatial[0] for n in spatial)


_USUAL: dict[str, Any] = {
    "kernel": None,
    "stride": (1,),
    "padding": ((0, 0),),
    "dilation": (1,),
    "rounding": Rounding.FLOOR,
    "border": Border.ZEROS,
}
_NOTHING_SAID = tuple(_USUAL.values())[2:]


def _misfit(rule: Formula, n: Size, a: Size, b: Size, d: Size, k: Size, s: Size) -> ShapeError:
    wide = f"{d} * ({k} - 1) + 1 = {d * (k - 1) + 1}" if decide(d == 1) is False else f"{k}"
    unpadded = all(type(p) is int and p == 0 for p in (a, b))
    return ShapeError(
        f"the kernel is larger than the {'' if unpadded else 'padded '}map",
        why=f"kernel {wide}, map {n if unpadded else f'{n} + {a} + {b} = {n + a + b}'}\n"
        f"{rule.expression} = {rule.filled(n=n, a=a, b=b, d=d, k=k, s=s)} < 1",
        fix=f"use an input of at least {d * (k - 1) + 1 - a - b} here, a smaller kernel, or more padding",
    )


def keeps(geometry: Sliding, x: Shape) -> Saved:
    """What PyTorch keeps of a sliding layer's input: the input itself, or the padded copy that it makes first where
    its kernels cannot pad by themselves (unequal sides; borders other than zeros, which also keep what they copy)."""
    sides = [geometry.around(n, i) for i, n in enumerate(x.dims[1:])]
    zeros = geometry.border == Border.ZEROS
    if zeros and all(agree(a, b, "equal padding on both sides: {} = {}") for a, b in sides):
        return KEEPS_INPUT
    if zeros and geometry.padding == "same":  # only the odd position is added, the rest is the kernel's own padding
        lengths = [n + b - a for n, (a, b) in zip(x.dims[1:], sides, strict=True)]
    else:
        lengths = [n + a + b for n, (a, b) in zip(x.dims[1:], sides, strict=True)]
    copied = geometry.border in (Border.REFLECT, Border.REPLICATE)
    return Saved(inputs=(0,) if copied else (), extra_values=PADDED(c=x.dims[0], n=tuple(lengths)))


MOST_PHASES = 1 << 20


def check_phases(count: int) -> None:
    """Refuse a factor whose phases would not fit.

    Raises:
        ShapeError: more than a million.
    """
    if count > MOST_PHASES:
        raise ShapeError(f"{count:,} phases are too many to tell apart", why=f"the limit is {MOST_PHASES:,}")


def borders(mode: Border, n: Size, a: Size, b: Size) -> None:
    """Refuse padding that its border rule cannot fill.

    Raises:
        ShapeError: reflection needs less than the map's size, circular padding at most that.
    """
    for p in (a, b):
        if mode == Border.REFLECT and not holds(p < n, "{} < {}", p, n):
            raise ShapeError(
                f"cannot reflect {plural(p, 'position')} of a map of {n}", why="reflection needs padding < size"
            )
        if mode == Border.CIRCULAR and not holds(p <= n, "{} ≤ {}", p, n):
            raise ShapeError(
                f"cannot wrap {plural(p, 'position')} of a map of {n}", why="circular padding needs padding ≤ size"
            )
