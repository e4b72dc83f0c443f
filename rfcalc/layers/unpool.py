"""Max unpooling: values go back to where the maxima of a pool were (SegNet, deconvolution networks)."""

from __future__ import annotations

from dataclasses import KW_ONLY, field
from typing import Any

from rfcalc.core.cost import Formula, Saved, recording
from rfcalc.core.errors import ShapeError
from rfcalc.core.layer import Alternatives, Layer, channelwise, layer, over_space, spatial_rank
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, holds, is_number
from rfcalc.core.sliding import Rounding, check_phases, one
from rfcalc.core.syntax import PADDINGS, ROUNDINGS, Spelling, Word, spell
from rfcalc.core.window import Index, Listed, Table, Unsized
from rfcalc.layers.pool import INDICES, POOL_DEFAULTS, window_of

POOLED = Formula("output_size", "n", "as large as the map that was pooled")


@layer("max_unpool")
class MaxUnpool(Layer):
    """Max unpooling: each value goes back to where the maximum of its window was, all else is 0.

    The first input holds the values, one for each window; the second is *the map that was pooled*, which says where the
    maxima were (PyTorch hands on their indices instead). The output is as large as that map. Where windows overlap and
    share a maximum, the last value stands.

    Position o of the output is written by the windows that hold it: those units u of the values with u·s − a + d·t = o
    for a t in 0 … k − 1; and whether it is their maximum depends on everything in them.

    >>> from rfcalc import MaxUnpool, Shape
    >>> MaxUnpool(2).output(Shape(64, 3, 4), Shape(64, 7, 8))
    Shape(64, 7, 8)

    Args:
        kernel, stride, padding, dilation, rounding: those of the pool (see `MaxPool`).
    """

    lies = "rows"
    arity = (2, 2)
    kernel: Any
    stride: Any = field(default=None, metadata={"like": "kernel"})
    padding: Any = field(default=((0, 0),), metadata={"word": True})
    _: KW_ONLY
    dilation: Any = (1,)
    rounding: str = Rounding.FLOOR
    geometry: Any = field(init=False, compare=False)

    spelling = Spelling(
        ("maxunpool", "unpool"),
        "{maxpool2, identity} maxunpool2",
        (*PADDINGS, *ROUNDINGS),
        ("/", "p", "d"),
        POOL_DEFAULTS,
    )

    def __post_init__(self) -> None:
        window_of(self.kernel, self.stride, self.padding, self.dilation, self.rounding).held_by(self)

    @property
    def assumes_of_memory(self) -> str:
        return "maxunpool: the map that was pooled is kept until then (PyTorch keeps the indices of its maxima)"

    def output(self, *xs: Shape) -> Shape:
        values, pooled = xs
        spatial_rank(values, self)
        spatial_rank(pooled, self)
        with recording():  # how many windows there are is checked; it is no step to the output's size
            made = Shape(pooled.dims[0], *self.geometry.lengths(pooled.dims[1:]))
        alike = len(made.dims) == len(values.dims) and all(
            holds(a == b, "{} = {}", a, b) for a, b in zip(made.dims, values.dims, strict=True)
        )
        if not alike:
            raise ShapeError(
                f"the values are {values}, the windows of the map that was pooled {made}",
                why=f"each window of {pooled} gets one value",
                fix="name the map before the pool as the second input",
            )
        return Shape(pooled.dims[0], *(POOLED(n=n) for n in pooled.dims[1:]))

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        pairs = [self._indices(n, i) for i, n in enumerate(y.dims[1:])]
        values, pooled = xs
        return over_space(values, tuple(v for v, _ in pairs)), over_space(pooled, tuple(p for _, p in pairs))

    def _indices(self, n: Size, i: int) -> tuple[Index, Index]:
        """On one axis: the values that may stand at a position, and the positions of the map that decide on it."""
        g = self.geometry
        k, s, d, a = one(g.kernel, i), one(g.stride, i), one(g.dilation, i), g.around(n, i)[0]
        if not all(is_number(v) for v in (k, s, d, a)):
            unknown = Unsized("the phases of unpooling need numbers for kernel and stride")
            return unknown, unknown
        check_phases(s * k)

        def held(u: int) -> range:
            return range(u * s - a, u * s - a + d * (k - 1) + 1, d)

        units = [sorted((o + a - d * t) // s for t in range(k) if (o + a - d * t) % s == 0) for o in range(s)]
        values, map_ = Table(1, units), Table(s, [sorted({p for u in found for p in held(u)}) for found in units])
        if not is_number(n):
            return values, map_
        # beside the windows that there are, others would lie partly on the map: what only they hold is read by nobody
        count = g.length(n, i)
        rows = [sorted({p for u in values.taps(o) if 0 <= u < count for p in held(u) if 0 <= p < n}) for o in range(n)]
        exact = all(row == [p for p in map_.taps(o) if 0 <= p < n] for o, row in enumerate(rows))
        return values, map_ if exact else Listed(rows)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return tuple(channelwise(reads) for reads in self.reads(xs, y))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(indices=INDICES(y=xs[0].dims))  # where each value goes

    def notation(self, exact: bool = False) -> str:
        return spell("maxunpool", self.geometry, None, pad="zero", stride=self.kernel, exact=exact)

    @classmethod
    def from_word(cls, word: Word) -> MaxUnpool:
        return cls(word.geometry(pad="zero", stride="kernel"))
