"""Recurrent layers: a cell that walks along a sequence."""

from __future__ import annotations

from dataclasses import KW_ONLY

from rfcalc.core.cost import Cost, Formula, Library, Saved
from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.layer import Alternatives, Layer, layer
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, decide, is_number
from rfcalc.core.sliding import axes, choice
from rfcalc.core.syntax import Spelling, Word, flags, number
from rfcalc.core.window import STEP, All, Index, Listed, Unsized

# gates, and activations of each hidden value (of the gates and of the new state)
CELLS: dict[str, tuple[int, int]] = {"lstm": (4, 5), "gru": (3, 3), "rnn": (1, 1)}

WEIGHTS = Formula(
    "weights", "d * g * h * (c + h)", "for each direction and gate: from the features, and from the state"
)
PROJECTED = Formula(
    "weights", "d * (g * h * (c + p) + p * h)", "from the features, and from the projected state; and its projection"
)
BIASES = Formula("biases", "2 * d * g * h", "two for each gate and hidden value: beside the features and the state")
ONE_BIAS = Formula("biases", "d * g * h", "one for each gate and hidden value")
MACS = Formula("macs", "d * g * h * (c + h) * r", "every weight is used once at each of r positions")
MACS_PROJECTED = Formula(
    "macs", "d * (g * h * (c + p) + p * h) * r", "every weight is used once at each of r positions"
)
BIAS_ADDS = Formula("linear_bias_adds", "2 * d * g * h * r", "two additions for each gate and hidden value")
ONE_ADD = Formula("linear_bias_adds", "d * g * h * r", "one addition for each gate and hidden value")
ACTIVATION = Formula("activation", "d * h * a * r", "of the gates, and of the new state, at each of r positions")
KEPT = Formula(
    "saved", "7 * d * h * r", "for each hidden value and direction: the gates, the state and what is made of it"
)
KEPT_PLAIN = Formula(
    "saved", "d * h * (r + s)", "the state at each of r positions, and before the first of s sequences"
)
COPIED = Formula("saved", "d * c * r", "the input, laid out anew for each direction")


@layer("recurrent")
class Recurrent(Layer):
    """A recurrent layer (LSTM, GRU, plain RNN) along the second-last axis of a map, over the features on the last.

    Other axes are sequences side by side. A position of the result depends on all positions up to its own; with
    `bidirectional`, which puts the states of both directions side by side, on all. Weights D·g·h·(c + h) for g gates
    (LSTM 4, GRU 3, RNN 1) in D directions, and two bias vectors a gate, as PyTorch and cuDNN have them (Hochreiter &
    Schmidhuber 1997; Cho et al. 2014).

    >>> from rfcalc import Recurrent, Shape
    >>> lstm, x = Recurrent("lstm", 256), Shape(50, 128, channel=1)
    >>> lstm.output(x), lstm.cost((x,), lstm.output(x)).weights
    (Shape(50, 256, channel=1), 393216)

    Args:
        cell: ``lstm``, ``gru`` or ``rnn``.
        hidden: values of the state, in each direction.
        bidirectional: whether a second cell walks backwards.
        projection: values that an LSTM's state is projected to before anything reads it (Sak et al. 2014).
        bias: whether the gates have biases; ``"one"``: one vector a gate, as Keras has them.
    """

    workspace = "PyTorch runs it step by step, or in a library that keeps memory of its own for backward"
    lies = "positions"
    cell: str
    hidden: Size
    _: KW_ONLY
    bidirectional: bool = False
    bias: bool | str = True
    projection: Size | None = None

    weight_layers = 1
    unstreamed = ("both directions are read", "use one direction")
    spelling = Spelling(
        ("lstm", "gru", "rnn"),
        "lstm256 bidirectional",
        ("bidirectional", "nobias", "onebias"),
        ("proj",),
        "one direction, biases, no projection",
    )

    def __post_init__(self) -> None:
        choice("cell", self.cell, tuple(CELLS))
        axes("hidden", self.hidden)
        if isinstance(self.bias, str):
            choice("bias", self.bias, ("one",))
        if self.projection is not None:
            axes("projection", self.projection)
            if self.cell != "lstm":
                raise LayerError(f"the state of {self.cell} is not projected", why="only an LSTM's is")

    @property
    def stem(self) -> str:
        return self.cell

    @property
    def state(self) -> Size:
        """How many values of each direction come out."""
        return self.hidden if self.projection is None else self.projection

    def _gates(self) -> dict[str, Size]:
        return {"d": 2 if self.bidirectional else 1, "g": CELLS[self.cell][0], "h": self.hidden}

    def joins_channels(self, x: Shape) -> bool:
        return x.channel == len(x.dims) - 1

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if len(x.dims) < 2:
            raise ShapeError(
                f"{self.cell} walks along a sequence, and gets the flat vector {x}",
                why="it needs positions × features",
                fix="Reshape((positions, features), channel=1) before it",
            )
        return Shape(*x.dims[:-1], self.state * (2 if self.bidirectional else 1), channel=x.channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        last = len(x.dims) - 1
        found: list[tuple[int | None, Index]] = [(i, STEP) for i in range(last)]
        n = x.dims[last - 1]
        if self.bidirectional or x.channel == last - 1:
            found[last - 1] = (last - 1, STEP if decide(n == 1) else All(n))
        elif not is_number(n):
            found[last - 1] = (last - 1, Unsized("what is before a position depends on the length"))
        elif n > 1:
            found[last - 1] = (last - 1, Listed([range(u + 1) for u in range(n)]))
        return (((*found, (last, All(x.dims[last]))),),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        (x,) = xs
        gates, c = self._gates(), x.dims[-1]
        r = x.values // c
        p = self.projection
        cost = Cost(
            weights=WEIGHTS(**gates, c=c) if p is None else PROJECTED(**gates, c=c, p=p),
            macs=MACS(**gates, c=c, r=r) if p is None else MACS_PROJECTED(**gates, c=c, p=p, r=r),
            activation=ACTIVATION(d=gates["d"], h=self.hidden, a=CELLS[self.cell][1], r=r),
        )
        if self.bias == "one":
            return cost + Cost(biases=ONE_BIAS(**gates), linear_bias_adds=ONE_ADD(**gates, r=r))
        return cost + Cost(biases=BIASES(**gates), linear_bias_adds=BIAS_ADDS(**gates, r=r)) if self.bias else cost

    def gradient_macs(self, xs: tuple[Shape, ...], y: Shape, macs: Size, has: tuple[bool, ...]) -> Size:
        """The state's share is there anyway; the features' where the input has a gradient."""
        gates = self._gates()
        return macs if has[0] else macs - gates["d"] * gates["g"] * self.hidden * xs[0].values

    def carried(self, xs: tuple[Shape, ...], y: Shape) -> Size | None:
        """The state of every sequence; of an LSTM the cell too."""
        (x,) = xs
        if self.bidirectional or x.channel == len(x.dims) - 2:
            return None
        each = self.state + (self.hidden if self.cell == "lstm" else 0)
        return each * (x.values // (x.dims[-1] * x.dims[-2]))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        (x,) = xs
        d, h, c = 2 if self.bidirectional else 1, self.hidden, x.dims[-1]
        r = x.values // c
        s = r // x.dims[-2]
        extra = KEPT_PLAIN(d=d, h=h, r=r, s=s) if self.cell == "rnn" else KEPT(d=d, h=h, r=r)
        if self.projection is not None:  # what is projected, and what comes of it
            extra = extra + d * self.projection * r
        if decide(s == 1) or decide(x.dims[-2] == 1):
            return Saved(inputs=(0,), extra_values=extra)
        return Saved(extra_values=extra + COPIED(d=d, c=c, r=r))  # sequences side by side: positions come first

    def library(
        self, xs: tuple[Shape, ...], items: int, has: tuple[bool, ...], laid: bool, trained: bool
    ) -> Library | None:
        """What PyTorch takes for it on a CPU in float32: of an LSTM what oneDNN takes, a direction at a time; of others
        what is there step by step."""
        if self.projection is not None or self.bias == "one":
            return None
        from rfcalc.layers.recurrent_memory import Sizes, in_onednn, step_by_step

        (x,) = xs
        r, c = int(x.dims[-2]), int(x.dims[-1])
        n = items * int(x.values) // (r * c)
        size = Sizes(
            r, n, c, int(self.hidden), CELLS[self.cell][0], 2 if self.bidirectional else 1, bool(self.bias), trained
        )
        copied = n > 1 and r > 1 and not laid  # sequences side by side are laid out position by position
        return (in_onednn if self.cell == "lstm" else step_by_step)(size, has[0], copied)

    def notation(self, exact: bool = False) -> str:
        projected = "" if self.projection is None else f" proj{number(self.projection)}"
        return f"{self.cell}{number(self.hidden)}{projected}" + flags(
            bidirectional=self.bidirectional, nobias=not self.bias, onebias=self.bias == "one"
        )

    @classmethod
    def from_word(cls, word: Word) -> Recurrent:
        one = word.flag("onebias")
        return cls(
            word.name,
            word.one_size(),
            bidirectional=word.flag("bidirectional"),
            bias="one" if one else not word.flag("nobias"),
            projection=word.number("proj", None),
        )
