"""Normalisation: batch, layer, group, instance, RMS, local response."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar

from rfcalc.core.cost import Cost, Formula, Passing, Saved
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import POINTWISE, Alternatives, Layer, layer, on_axis, spatial_rank, store, whole_axes
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, decide, divides, prod
from rfcalc.core.sliding import axes
from rfcalc.core.syntax import Spelling, Word, flags, number
from rfcalc.core.window import Slide, Table

GAMMA = Formula("weights", "prod(c)", "one factor γ for each normalised feature")
BETA = Formula("biases", "prod(c)", "one offset β for each normalised feature")
RUNNING = Formula("buffers", "2 * c", "running mean and variance of each channel (the step counter is not counted)")
STATISTICS = Formula("saved", "2 * g", "mean and inverse deviation of each of g groups")
COPIES = Formula("saved", "t * c", "for each channel: mean, inverse deviation, and what PyTorch repeats for each item")
ROOTS = Formula("saved", "r", "the inverse root of each of r vectors")
ROOTS_AND_VALUES = Formula("saved", "r + prod(y)", "the inverse root of each of r vectors, and the normalised values")
SQUARES = Formula(
    "saved",
    "p * (c + s - 1) + 2 * p * c",
    "the squares padded by s − 1 channels, the divisor before and after the power",
)
NORMED = Formula("norm", "prod(y)", "one normalisation for each value")


def _cost(
    features: tuple[Size, ...], y: Shape, affine: bool, bias: bool = True, buffers: Size = 0, gamma: bool = True
) -> Cost:
    return Cost(
        weights=GAMMA(c=features) if affine and gamma else 0,
        biases=BETA(c=features) if affine and bias else 0,
        buffers=buffers,
        norm=NORMED(y=y.dims),
    )


def _factors(layer: Layer, affine: bool, gamma: bool, bias: bool) -> None:
    """One way to write each: without γ and β it is not affine, and what is not affine has nothing to leave out."""
    if not affine or not (gamma or bias):
        store(layer, affine=False, gamma=True, bias=True)


@layer("batchnorm")
class BatchNorm(Layer):
    """Batch normalisation over everything but the channels (Ioffe & Szegedy 2015); γ, β, running mean and variance.

    At inference it is element-wise; in training each value depends on the whole batch, and the statistics are over
    space too: `training` says so to the receptive field, and so does having no running ones (`track` false). `gamma`
    and `bias` leave one of the two factors out (Keras' ``scale`` and ``center``).

    >>> from rfcalc import BatchNorm, Shape
    >>> BatchNorm(gamma=False).cost((Shape(32, 8, 8),), Shape(32, 8, 8)).params
    32
    """

    lies = "channels"
    takes_mean_away = True
    _: KW_ONLY
    affine: bool = True
    track: bool = True
    training: bool = False
    gamma: bool = True
    bias: bool = True

    from_the_input = slice(0, 1)
    unstreamed = ("its statistics are those of the batch", "use running statistics (evaluation mode)")
    spelling = Spelling(
        ("bn", "batchnorm"),
        "bn noaffine",
        ("noaffine", "notrack", "training", "nogamma", "nobias"),
        defaults="γ and β, running statistics, evaluation mode",
    )
    folds: ClassVar[bool] = True
    trains_on: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _factors(self, self.affine, self.gamma, self.bias)

    @property
    def of_batch(self) -> bool:
        """Whether it uses the statistics of the batch: in training, and where no running ones are kept."""
        return self.training or not self.track

    @property
    def assumes_evaluation(self) -> str:
        return "" if self.of_batch else "batch normalisation uses its running statistics (evaluation mode)"

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return ((POINTWISE, *whole_axes(xs[0])) if self.of_batch else (POINTWISE,),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return ((POINTWISE, *whole_axes(xs[0], xs[0].axes)),) if self.of_batch else None

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c = y.channels
        return _cost((c,), y, self.affine, self.bias, RUNNING(c=c) if self.track else 0, self.gamma)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(inputs=(0,), batch_values=STATISTICS(g=y.channels))

    def notation(self, exact: bool = False) -> str:
        return "bn" + flags(
            noaffine=not self.affine,
            notrack=not self.track,
            training=self.training,
            nogamma=not self.gamma,
            nobias=not self.bias,
        )

    @classmethod
    def from_word(cls, word: Word) -> BatchNorm:
        off = {name: not word.flag(f"no{name}") for name in ("affine", "track", "gamma", "bias")}
        return cls(**off, training=word.flag("training"))


@layer("layernorm")
class LayerNorm(Layer):
    """Layer normalisation (Ba 2016): over the last `axes` axes, ``"channels"``, or ``"all"`` axes of the map.

    Over the channels (or the last axis of tokens) each position stays by itself; over space every unit depends on the
    whole map.
    """

    lies = "rows"
    over: int | str = 1
    _: KW_ONLY
    affine: bool = True
    bias: bool = True
    gamma: bool = True

    stays_precise = ("cuda",)
    unstreamed = ("its statistics are taken over all positions", "normalise over the channels of each position")
    spelling = Spelling(
        ("ln", "layernorm"),
        "ln channels",
        ("channels", "all", "noaffine", "nobias", "nogamma"),
        defaults="the last axis (ln3: the last three); γ and β",
    )
    folds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _factors(self, self.affine, self.gamma, self.bias)
        if self.over not in ("channels", "all") and not (hasattr(self.over, "__index__") and self.over >= 1):  # type: ignore[operator]
            raise LayerError(f"over {self.over!r} does not exist", fix='give a number of axes, "channels" or "all"')

    def axes(self, x: Shape) -> tuple[int, ...]:
        """The axes that are normalised together."""
        if self.over == "channels":
            return (x.channel,)
        count = len(x.dims) if self.over == "all" else self.over
        if count > len(x.dims):  # type: ignore[operator]
            raise ShapeError(f"cannot normalise over {plural(count, 'axis', 'axes')} of {x}")
        return tuple(range(len(x.dims)))[-count:]  # type: ignore[operator]

    def output(self, *xs: Shape) -> Shape:
        self.axes(xs[0])
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (_local_and(xs[0], self.axes(xs[0])),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return ((POINTWISE, *whole_axes(xs[0], self.axes(xs[0]))),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return _cost(tuple(y.dims[i] for i in self.axes(y)), y, self.affine, self.bias, gamma=self.gamma)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        groups = y.values // prod(y.dims[i] for i in self.axes(y))
        return Saved(inputs=(0,), extra_values=STATISTICS(g=groups), statistics=2 * groups)

    def notation(self, exact: bool = False) -> str:
        where = "" if self.over == 1 else f" {self.over}" if isinstance(self.over, str) else number(self.over)
        return f"ln{where}" + flags(noaffine=not self.affine, nobias=not self.bias, nogamma=not self.gamma)

    @classmethod
    def from_word(cls, word: Word) -> LayerNorm:
        over = word.choice(("channels", "all"), "") or word.one_size(1)
        return cls(over, **{name: not word.flag(f"no{name}") for name in ("affine", "bias", "gamma")})


def _local_and(x: Shape, together: tuple[int, ...]) -> Alternatives:
    """The unit's own position, and for the statistics all positions of the axes that are normalised together."""
    if together == (x.channel,):
        return (POINTWISE,)
    return (POINTWISE, *whole_axes(x, together))


@layer("groupnorm")
class GroupNorm(Layer):
    """Group normalisation over space and the channels of each group (Wu & He 2018)."""

    stays_precise = ("cuda",)
    lies = "channels"
    groups: Size
    _: KW_ONLY
    affine: bool = True
    gamma: bool = True
    bias: bool = True

    from_the_input = slice(1, 2)
    unstreamed = (
        "its statistics are taken over all positions",
        "normalise over the channels of each position, or with running statistics",
    )
    spelling = Spelling(("gn", "groupnorm"), "gn32", ("noaffine", "nogamma", "nobias"), defaults="γ and β")
    folds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        axes("groups", self.groups)
        _factors(self, self.affine, self.gamma, self.bias)

    def output(self, *xs: Shape) -> Shape:
        c = xs[0].channels
        if not divides(self.groups, c):
            raise ShapeError(f"{plural(c, 'channel')} cannot be split into {plural(self.groups, 'group')}")
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return ((POINTWISE, *whole_axes(xs[0])),)

    def gathers(self, x: Shape) -> str:
        return "map"

    @property
    def selective(self) -> bool:
        return decide(self.groups == 1) is not True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """A group's channels, over all positions."""
        (x,) = xs
        if not self.selective:
            return None
        each = x.channels // self.groups
        own = Table(each, [range(each)] * each)
        return ((POINTWISE, *((*r[: x.channel], (x.channel, own), *r[x.channel + 1 :]) for r in whole_axes(x))),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return _cost((y.channels,), y, self.affine, self.bias, gamma=self.gamma)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(inputs=(0,), extra_values=STATISTICS(g=self.groups), statistics=2 * self.groups)

    def notation(self, exact: bool = False) -> str:
        without = flags(noaffine=not self.affine, nogamma=not self.gamma, nobias=not self.bias)
        return f"gn{number(self.groups)}" + without

    @classmethod
    def from_word(cls, word: Word) -> GroupNorm:
        return cls(word.one_size(), **{name: not word.flag(f"no{name}") for name in ("affine", "gamma", "bias")})


@layer("instancenorm")
class InstanceNorm(Layer):
    """Instance normalisation: each channel over its own space (Ulyanov 2016); without parameters by default."""

    lies = "rows"
    takes_mean_away = True
    _: KW_ONLY
    affine: bool = False
    track: bool = False

    from_the_input = slice(0, 1)
    unstreamed = ("its statistics are taken over all positions", "use running statistics (track)")
    spelling = Spelling(
        ("in", "instancenorm"), "in affine", ("affine", "track"), defaults="no γ and β, no running statistics"
    )
    folds: ClassVar[bool] = True
    trains_on: ClassVar[int] = 2

    def output(self, *xs: Shape) -> Shape:
        spatial_rank(xs[0], self)
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return ((POINTWISE,) if self.track else (POINTWISE, *whole_axes(xs[0], xs[0].axes)),)

    def gathers(self, x: Shape) -> str:
        return "" if self.track else "map"

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c = y.channels
        return _cost((c,), y, self.affine, buffers=RUNNING(c=c) if self.track else 0)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        # PyTorch repeats factors and running statistics for each item and normalises a batch of one
        return Saved(inputs=(0,), extra_values=COPIES(t=2 + int(self.affine) + 2 * int(self.track), c=y.channels))

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """The gradients of the repeated offsets."""
        return Passing(y.channels if self.affine else 0)

    def notation(self, exact: bool = False) -> str:
        return "in" + flags(affine=self.affine, track=self.track)

    @classmethod
    def from_word(cls, word: Word) -> InstanceNorm:
        return cls(affine=word.flag("affine"), track=word.flag("track"))


@layer("rmsnorm")
class RMSNorm(Layer):
    """Root-mean-square normalisation over the last axis; a gain, no offset (Zhang & Sennrich 2019)."""

    stays_precise = ("cpu",)
    lowers_again = True
    lies = "rows"
    _: KW_ONLY
    affine: bool = True

    from_the_input = slice(0, 1)
    spelling = Spelling(("rmsnorm",), "rmsnorm", ("noaffine",), defaults="a gain")
    folds: ClassVar[bool] = True

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (_local_and(xs[0], (len(xs[0].dims) - 1,)),)

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return ((POINTWISE, *whole_axes(xs[0], (len(xs[0].dims) - 1,))),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return _cost((y.dims[-1],), y, self.affine, bias=False)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        # on a CPU also the normalised values, which the gain multiplies
        rows = y.values // y.dims[-1]
        extra = ROOTS_AND_VALUES(r=rows, y=y.dims) if self.affine else ROOTS(r=rows)
        return Saved(inputs=(0,), extra_values=extra, statistics=rows + y.values * int(self.affine))

    def needs(self, i: int, has: tuple[bool, ...], trained: bool) -> bool:
        return has[0]

    def spared(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Size:
        """The normalised values where the gain is not trained, the roots where the input has no gradient."""
        roots = 0 if has[0] else y.values // y.dims[-1]
        return roots + (0 if trained or not self.affine else y.values)

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """PyTorch composes it on a CPU: when the square's gradient is made, its three steps and that of the mean live
        beside the input's gradient; that of the output, the roots and the normalised values have gone."""
        if not has[0]:
            return Passing(precise=y.values)
        kept = y.values // y.dims[-1] + (y.values if trained else 0)
        return Passing(precise=4 * y.values - kept, late=True)

    def notation(self, exact: bool = False) -> str:
        return "rmsnorm" + flags(noaffine=not self.affine)

    @classmethod
    def from_word(cls, word: Word) -> RMSNorm:
        return cls(affine=not word.flag("noaffine"))


@layer("lrn")
class LRN(Layer):
    """Local response normalisation over `size` neighbouring channels (Krizhevsky 2012); no parameters."""

    stays_precise = ("cpu",)
    lies = "rows"
    size: Size = 5

    spelling = Spelling(("lrn",), "lrn5", defaults="5 neighbouring channels")
    folds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        axes("size", self.size)

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """Channel c reads c − ⌊n/2⌋ up to c + ⌊(n − 1)/2⌋."""
        (x,) = xs
        near = Slide(1, -(self.size // 2), self.size)
        return (on_axis(x, x.channel, near),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(norm=NORMED(y=y.dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(inputs=(0,), extra_values=SQUARES(p=y.values // y.channels, c=y.channels, s=self.size))

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """PyTorch composes it: the gradients of the quotient's two sides live beside that of the power."""
        return Passing(2 * y.values)

    def notation(self, exact: bool = False) -> str:
        return "lrn" + ("" if self.size == 5 else number(self.size))

    @classmethod
    def from_word(cls, word: Word) -> LRN:
        return cls(word.one_size(5))
