"""Layers that work on each value by itself: activations, dropout, learned scales, identity."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

from rfcalc.core.cost import KEEPS_EITHER, KEEPS_INPUT, KEEPS_OUTPUT, Cost, Formula, Passing, Saved
from rfcalc.core.errors import LayerError, ShapeError, plural
from rfcalc.core.layer import IN_PLACE, VIEW, Alternatives, Layer, layer, on_axis, store, whole_axes
from rfcalc.core.shape import Shape, axis_of
from rfcalc.core.size import divides
from rfcalc.core.sliding import choice
from rfcalc.core.syntax import Spelling, Word, flags
from rfcalc.core.window import Slide

ACTIVATED = Formula("activation", "prod(y)", "one evaluation for each value")
MASK = Formula("saved", "prod(y)", "what was dropped, value by value")
MASK_OF_MAPS = Formula("saved", "c", "which of the c maps were dropped")
SLOPES = Formula("weights", "c", "one slope for each channel (or one in all)")
GAINS = Formula("weights", "c", "one factor for each channel")
SHIFTS = Formula("biases", "c", "one offset for each channel")
SCALED = Formula("norm", "prod(y)", "one scale and shift for each value")

# What PyTorch keeps of each for the backward pass, written in place where that can be. Some in-place functions (relu6,
# hardtanh, silu, …) keep a copy of their input: the sum is that of keeping the input.
ACTIVATIONS: dict[str, Saved] = {
    "relu": KEEPS_OUTPUT,
    "relu6": KEEPS_INPUT,
    "leaky_relu": KEEPS_EITHER,
    "elu": KEEPS_EITHER,
    "selu": KEEPS_EITHER,
    "celu": KEEPS_EITHER,
    "hardtanh": KEEPS_INPUT,
    "sigmoid": KEEPS_OUTPUT,
    "tanh": KEEPS_OUTPUT,
    "gelu": KEEPS_INPUT,
    "gelu_tanh": KEEPS_INPUT,
    "silu": KEEPS_INPUT,
    "mish": KEEPS_INPUT,
    "softplus": KEEPS_INPUT,
    "hardsigmoid": KEEPS_INPUT,
    "hardswish": KEEPS_INPUT,
}
ALIASES = {"swish": "silu", "leakyrelu": "leaky_relu", "hswish": "hardswish", "hsigmoid": "hardsigmoid"}


@layer("activation")
class Activation(Layer):
    """A fixed function of each value: relu, relu6, leaky_relu, elu, selu, celu, gelu, silu, mish, sigmoid, tanh, …

    It has no parameters and, by default, writes over its input.

    >>> from rfcalc import Activation, ReLU
    >>> Activation("relu") == ReLU()
    True
    """

    function: str

    spelling = Spelling((*ACTIVATIONS, *ALIASES), "relu")
    memory = IN_PLACE
    folds = True

    def __post_init__(self) -> None:
        name = self.function.lower()
        object.__setattr__(self, "function", choice("function", ALIASES.get(name, name), ACTIVATIONS))

    @property
    def stem(self) -> str:
        return self.function

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(activation=ACTIVATED(y=y.dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return ACTIVATIONS[self.function]

    def notation(self, exact: bool = False) -> str:
        return self.function

    @classmethod
    def from_word(cls, word: Word) -> Activation:
        return cls(word.name)


def ReLU() -> Activation:  # noqa: N802 (reads like the other kinds)
    """max(x, 0)."""
    return Activation("relu")


@layer("prelu")
class PReLU(Layer):
    """max(x, 0) + a·min(x, 0) with a learned slope for each channel, or one in all (He 2015)."""

    _: KW_ONLY
    per_channel: bool = True

    spelling = Spelling(("prelu",), "prelu single", ("single",), defaults="a slope for each channel")
    folds = True

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(weights=SLOPES(c=y.channels if self.per_channel else 1), activation=ACTIVATED(y=y.dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_INPUT

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """The slopes' gradient at every position, before it is summed; PyTorch makes that of the input anyway."""
        return Passing(y.values if has[0] else 2 * y.values)

    def notation(self, exact: bool = False) -> str:
        return "prelu" + flags(single=not self.per_channel)

    @classmethod
    def from_word(cls, word: Word) -> PReLU:
        return cls(per_channel=not word.flag("single"))


@layer("softmax")
class Softmax(Layer):
    """Softmax over the channels, or another axis (by its index in the map); `log` for its logarithm.

    Args:
        axis: an axis of the map; None: the channels.
        log: whether it is the logarithm.
        mask: which keys (positions of the last axis, over which it must go) each query (of the axis before it) sees:
            ``"causal"`` (query i sees keys 0 … i), a list of positions for each query, or `Several` where heads or
            windows differ. The others come out as 0.
    """

    lies = "rows"
    axis: int | None = None
    _: KW_ONLY
    log: bool = False
    mask: Any = None

    stays_precise = ("cuda",)
    unstreamed = ("it is taken over all positions", "take it over the channels, or over a window")
    in_attention = "softmax"
    spelling = Spelling(
        ("softmax", "logsoftmax", "soft-max"),
        "softmax axis-1 causal",
        ("causal",),
        ("axis", "keys", "over"),
        "over the channels, no mask",
    )
    folds = True

    def __post_init__(self) -> None:
        if self.mask is not None:
            from rfcalc.core.masks import mask_of

            store(self, mask=mask_of(self.mask))

    def _axis(self, x: Shape) -> int:
        return x.channel if self.axis is None else axis_of(x, self.axis)

    def joins_channels(self, x: Shape) -> bool:
        return self._axis(x) == x.channel

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        axis = self._axis(x)
        if self.mask is not None:
            from rfcalc.core.masks import checked

            if axis != len(x.dims) - 1 or len(x.dims) < 2 or x.channel == axis - 1:
                raise ShapeError(f"a masked softmax goes over the last axis (keys), queries before it, and gets {x}")
            checked(self.mask, x.dims)
        return x

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        (x,) = xs
        axis = self._axis(x)
        if self.mask is not None and axis != x.channel:
            return self._masked(x, axis)
        return (whole_axes(x, (axis,)),)

    @property
    def selective(self) -> bool:
        return self.mask is not None

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        return None if self.mask is None else self._masked(xs[0], self._axis(xs[0]))

    @property
    def at_most(self) -> bool:
        return isinstance(self.mask, tuple) and hasattr(self.mask, "masks")

    def _masked(self, x: Shape, axis: int) -> tuple[Alternatives, ...]:
        from rfcalc.core.masks import keyed, of_axis

        told = keyed(self.mask, x.dims[-2], x.dims[-1])
        return (tuple((*[of_axis(i, one) for i in range(axis)], (axis - 1, one[2])) for one in told),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(activation=ACTIVATED(y=y.dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_OUTPUT

    def notation(self, exact: bool = False) -> str:
        text = ("logsoftmax" if self.log else "softmax") + ("" if self.axis is None else f" axis{self.axis}")
        if self.mask is None:
            return text
        from rfcalc.core.masks import written

        return text + written(self.mask, exact)

    @classmethod
    def from_word(cls, word: Word) -> Softmax:
        from rfcalc.core.masks import from_word

        return cls(word.number("axis", None), log=word.name == "logsoftmax", mask=from_word(word))


@layer("glu")
class GLU(Layer):
    """Gated linear unit: the first half of the channels times the sigmoid of the second (Dauphin 2017)."""

    spelling = Spelling(("glu",), "glu")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if not divides(2, x.channels):
            raise ShapeError(f"{plural(x.channels, 'channel')} cannot be halved")
        return x.with_spatial(x.channels // 2, x.spatial)

    @property
    def selective(self) -> bool:
        return True

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """Channel c reads c and its gate c + C/2."""
        (x,) = xs
        pair = Slide(1, 0, 2, y.channels)
        return (on_axis(x, x.channel, pair),)

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return Cost(activation=ACTIVATED(y=y.dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_INPUT

    def notation(self, exact: bool = False) -> str:
        return "glu"

    @classmethod
    def from_word(cls, word: Word) -> GLU:
        return cls()


def _probability(p: float) -> None:
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise LayerError(f"the probability {p!r} is not between 0 and 1")


def _rate(word: Word) -> float:
    """A probability, as an option or as the size: ``dropout rate0.2``, ``dropout0.2``."""
    text = word.value("rate") or word.size_text or "0.5"
    word.culprit = "rate"
    try:
        return float(text)
    except ValueError:
        raise LayerError(f"{text!r} is not a probability", fix="write it like rate0.5") from None


@layer("dropout")
class Dropout(Layer):
    """Dropout: nothing at inference; a mask in training. Writes over its input by default.

    Args:
        p: the share that is dropped.
        maps: whether whole maps, channel by channel, are dropped (``nn.Dropout2d``).
    """

    p: float = 0.5
    _: KW_ONLY
    maps: bool = False

    lends = True
    spelling = Spelling(("dropout",), "dropout rate0.2 maps", ("maps",), ("rate",), "rate 0.5, value by value")
    memory = IN_PLACE
    folds = True

    def __post_init__(self) -> None:
        _probability(self.p)

    @property
    def multiplies_by(self) -> float:  # in evaluation
        return 1.0

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        if self.p in (0, 1):  # PyTorch passes the input on, or multiplies by a single zero
            return Saved(batch_values=int(self.p))
        return Saved(masks=MASK_OF_MAPS(c=y.channels) if self.maps else MASK(y=y.dims))

    def notation(self, exact: bool = False) -> str:
        return "dropout" + ("" if self.p == 0.5 else f" rate{self.p}") + flags(maps=self.maps)

    @classmethod
    def from_word(cls, word: Word) -> Dropout:
        return cls(_rate(word), maps=word.flag("maps"))


@layer("stochastic_depth")
class StochasticDepth(Layer):
    """Drops a whole residual branch for an image of the batch, in training only (Huang 2016)."""

    p: float = 0.5

    lends = True
    spelling = Spelling(("droppath",), "droppath rate0.1", values=("rate",), defaults="rate 0.5")
    memory = IN_PLACE
    folds = True

    def __post_init__(self) -> None:
        _probability(self.p)

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return Saved(extra_values=1 if self.p else 0)

    def notation(self, exact: bool = False) -> str:
        return f"droppath rate{self.p}"

    @classmethod
    def from_word(cls, word: Word) -> StochasticDepth:
        return cls(_rate(word))


@layer("scale")
class Scale(Layer):
    """A learned factor for each channel (layer scale), with a learned offset if `bias`."""

    widens = True
    _: KW_ONLY
    bias: bool = False

    spelling = Spelling(("scale",), "scale bias", ("bias",), defaults="a factor for each channel, no offset")

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        c = y.channels
        return Cost(weights=GAINS(c=c), biases=SHIFTS(c=c) if self.bias else 0, norm=SCALED(y=y.dims))

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_INPUT

    def needs(self, i: int, has: tuple[bool, ...], trained: bool) -> bool:
        return trained

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """The factors' gradient at every position, before it is summed."""
        return Passing(y.values if trained else 0)

    def notation(self, exact: bool = False) -> str:
        return "scale" + flags(bias=self.bias)

    @classmethod
    def from_word(cls, word: Word) -> Scale:
        return cls(bias=word.flag("bias"))


@layer("identity")
class Identity(Layer):
    """Passes its input on."""

    hands_gradient_on = True
    passes_on = True
    spelling = Spelling(("identity", "skip"), "identity")
    memory = VIEW
    folds = True

    @property
    def multiplies_by(self) -> float:
        return 1.0

    def notation(self, exact: bool = False) -> str:
        return "identity"

    @classmethod
    def from_word(cls, word: Word) -> Identity:
        return cls()
