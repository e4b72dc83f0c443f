"""Fully connected layers: linear, and LeNet's radial basis output."""

from __future__ import annotations

from dataclasses import KW_ONLY

from rfcalc.core.cost import KEEPS_INPUT, Cost, Formula, Saved
from rfcalc.core.errors import ShapeError, plural
from rfcalc.core.layer import Alternatives, Layer, layer
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, agree, prod
from rfcalc.core.sliding import axes
from rfcalc.core.syntax import Spelling, Word, flags, number
from rfcalc.core.window import STEP, All

WEIGHTS = Formula("weights", "c * m", "every input feature to every output feature")
BIASES = Formula("biases", "m", "one for each output feature")
MACS = Formula("macs", "c * m * r", "every weight is used once for each of r vectors")
MACS_ONE = Formula("macs", "c * m", "every weight is used once")
DIFFERENCES = Formula("saved", "prod(y) * c", "the difference to each centre, squared in the next step")
BIAS_ADDS = Formula("linear_bias_adds", "m * r", "one addition for each output value")


def _features(x: Shape, out: Size, expected: Size | None) -> Shape:
    last = x.dims[-1]
    if expected is not None and not agree(last, expected, "{} = {}, the features that are expected"):
        raise ShapeError(
            f"expects {expected} features, its input {x} has {last} on the last axis",
            why=f"{x} = {plural(x.values, 'value')}" if len(x.dims) > 1 else None,
            fix="flatten the map first, use the input size it was made for, or pool adaptively before it",
        )
    return Shape(*x.dims[:-1], out, channel=x.channel)


@layer("linear")
class Linear(Layer):
    """A fully connected layer on the last axis of a map of any rank; every other axis is kept.

    >>> from rfcalc import Linear, Shape
    >>> Linear(10).output(Shape(84)), Linear(768).output(Shape(197, 3072, channel=1))
    (Shape(10), Shape(197, 768, channel=1))

    Args:
        out_features: size of the last axis afterwards.
        bias: whether each feature adds a bias.
        in_features: if given, the last axis must have this size before.
    """

    adds_biases_first = True
    lies = "rows"
    out_features: Size
    _: KW_ONLY
    bias: bool = True
    in_features: Size | None = None

    from_the_input = slice(0, 1)
    weight_layers = 1
    unstreamed = (
        "it mixes all positions",
        "use a convolution along this axis; where time comes first (T×C), stream the module behind x.transpose(1, 2)",
    )
    spelling = Spelling(
        ("fc", "linear"), "fc4096", ("nobias",), ("from",), "any number of features before (from25088 checks it)"
    )

    def __post_init__(self) -> None:
        axes("out_features", self.out_features)
        if self.in_features is not None:
            axes("in_features", self.in_features)

    @property
    def by_position(self) -> bool:
        return True

    def joins_channels(self, x: Shape) -> bool:
        return x.channel == len(x.dims) - 1

    def output(self, *xs: Shape) -> Shape:
        return _features(xs[0], self.out_features, self.in_features)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        last = len(y.dims) - 1
        return ((tuple((i, All(n) if i == last else STEP) for i, n in enumerate(xs[0].dims)),),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c, m = xs[0].dims[-1], self.out_features
        rows = xs[0].values // c if len(xs[0].dims) > 1 else None
        cost = Cost(weights=WEIGHTS(c=c, m=m), macs=MACS_ONE(c=c, m=m) if rows is None else MACS(c=c, m=m, r=rows))
        rows = 1 if rows is None else rows
        return cost + Cost(biases=BIASES(m=m), linear_bias_adds=BIAS_ADDS(m=m, r=rows)) if self.bias else cost

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_INPUT._replace(learning=True)

    def read_as(self, i: int, dims: tuple[int, ...]) -> tuple[int, ...]:
        return prod(dims[:-1]), dims[-1]

    def needs_weights(self, has: tuple[bool, ...]) -> bool:
        return has[0]

    def needs(self, i: int, has: tuple[bool, ...], trained: bool) -> bool:
        return trained

    def notation(self, exact: bool = False) -> str:
        checked = f" from{number(self.in_features)}" if exact and self.in_features is not None else ""
        return f"fc{number(self.out_features)}{checked}" + flags(nobias=not self.bias)

    @classmethod
    def from_word(cls, word: Word) -> Linear:
        out = word.channels
        return cls(
            word.one_size() if out is None else out, bias=not word.flag("nobias"), in_features=word.number("from", None)
        )


@layer("rbf")
class RBF(Layer):
    """Euclidean radial basis units on a flat vector: y_j = Σ_i (x_i − w_ij)² (LeNet-5's output).

    In LeNet-5 the w_ij are fixed bitmaps, no parameters. One squared difference accumulated is counted as one
    multiply-add (a *connection* of the paper).

    Args:
        out_features: number of units.
        trainable: whether the centres are parameters.
    """

    lies = "rows"
    out_features: Size
    _: KW_ONLY
    trainable: bool = False

    weight_layers = 1
    spelling = Spelling(("rbf",), "rbf10", ("trainable",), defaults="fixed centres, no parameters")

    def __post_init__(self) -> None:
        axes("out_features", self.out_features)

    def output(self, *xs: Shape) -> Shape:
        return _features(xs[0], self.out_features, None)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        last = len(y.dims) - 1
        return ((tuple((i, All(n) if i == last else STEP) for i, n in enumerate(xs[0].dims)),),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c, m = xs[0].dims[-1], self.out_features
        macs = MACS(c=c, m=m, r=xs[0].values // c)
        return Cost(weights=WEIGHTS(c=c, m=m), macs=macs) if self.trainable else Cost(macs=macs)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(extra_values=DIFFERENCES(y=y.dims, c=xs[0].dims[-1]))

    def notation(self, exact: bool = False) -> str:
        return f"rbf{number(self.out_features)}" + flags(trainable=self.trainable)

    @classmethod
    def from_word(cls, word: Word) -> RBF:
        return cls(word.one_size(), trainable=word.flag("trainable"))
