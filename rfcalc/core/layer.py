"""What a layer kind is: an immutable value that owns all of its rules side by side.

The contract of the seam between kinds and everything else. A kind gives

1. `output(*xs)`: the shape that it makes of its inputs' shapes; raises `ShapeError` with the bare cause.
2. `reads(xs, y)`: its index relation. For each input, the alternatives (usually one) of what output unit u reads; one
   alternative is `POINTWISE`, or for every axis of that input which output axis decides and by what `Index`.
   Receptive fields, clipping, holes and phases all come from this one statement. A unit is a position over all channels
   there; where channels differ in what they see, `apart(xs, y)` is the same relation with the channel axis told as
   exactly as the others (None: `reads` tells it, and an element-wise layer keeps the channels), and `selective` says
   that a unit does not read all channels.
3. `cost(xs, y)`: parameters and operations, computed with formulas, so that they explain themselves.
4. `saved(xs, y)`: what autograd keeps of it in training mode; `gradient_macs`: what backward takes for its inputs.
5. `notation()`: how the papers write it; `spelling` declares its words, `from_word` reads it back.

and the constants `memory`, `weight_layers`, `arity`. Rules use `+ - * //` and the functions of `size` only, so that
they also walk symbols. The walks never ask for a kind by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, fields
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, dataclass_transform

from rfcalc.core.cost import KEEPS_NOTHING, NOTHING, NOTHING_PASSING, Cost, Library, Passing, Saved
from rfcalc.core.errors import RfcalcError, ShapeError
from rfcalc.core.expr import LAYERS, Expr
from rfcalc.core.shape import Shape
from rfcalc.core.size import Size, decide, native
from rfcalc.core.window import STEP, All, Index

if TYPE_CHECKING:
    from rfcalc.core.syntax import Spelling

Reads: TypeAlias = "tuple[tuple[int | None, Index], ...]"
Alternatives: TypeAlias = "tuple[Reads, ...]"

POINTWISE: Reads = ()
SAME_UNIT: Alternatives = (POINTWISE,)

NEW, VIEW, IN_PLACE = "new", "view", "in_place"

L = TypeVar("L", bound="Layer")


class Layer(Expr):
    """Base of all kinds; a kind overrides what differs from an element-wise layer without parameters."""

    __slots__ = ()
    kind: ClassVar[str]
    memory: ClassVar[str] = NEW  # NEW: an output of its own; VIEW: none; IN_PLACE: written over its input
    lends: ClassVar[bool] = False  # where it changes nothing, a framework may give its input's memory as its output
    hands_gradient_on: ClassVar[bool] = False  # its inputs' gradients are its output's, or parts of it: no new memory
    lies: ClassVar[str] = "input"  # how PyTorch lays its output out: its axes in the order in which those of its input
    # lie ("input"), that only where channels lie innermost ("channels"), row by row ("rows"), position by position of
    # all items ("positions")
    repeats: ClassVar[bool] = False  # its output is a view in which values of the input stand several times (stride 0)
    complex_runs: ClassVar[int] = 1  # how often PyTorch runs it with real numbers for complex ones
    stays_precise: ClassVar[tuple[str, ...]] = ()  # the devices on which mixed precision computes it in float32
    lowers_again: ClassVar[bool] = False  # what it then computed in float32 is given in the precision of its input
    widens: ClassVar[bool] = False  # its learned values, which mixed precision leaves in float32, make its output so
    joins_copies: ClassVar[bool] = False  # it copies those of its inputs that are less precise than others
    makes_weights_too: ClassVar[bool] = False  # its weights' gradient is made even where only its biases are trained
    workspace: ClassVar[str] = ""  # why what training takes of memory for it cannot be told to the byte
    adds_biases_first: ClassVar[bool] = False  # gradients of its biases at several uses, before those of its weights
    takes_mean_away: ClassVar[bool] = False  # of every channel, so that a bias before it changes nothing
    weight_layers: ClassVar[int] = 0  # how many weight layers it counts as ("VGG-16" counts these)
    arity: ClassVar[tuple[int, int | None]] = (1, 1)  # least and most inputs
    folds: ClassVar[bool] = False  # shown in the row of the weight layer before it
    opaque: ClassVar[bool] = False  # an operator that was not understood
    row_major: ClassVar[bool] = False  # the same values in the same order, in other extents
    rearranges: ClassVar[bool] = False  # it moves values on and changes none, although in new memory
    picks: ClassVar[bool] = False  # its values are chosen ones of its input's, although in new memory
    packs: ClassVar[str] = ""  # patches into channels ("in"), or channels into patches ("out")
    stored: ClassVar[str] = ""  # its map is no input's, and is the same for all: "learned", or "fixed" for good
    outside: ClassVar[float] = 0.0  # what stands beyond the borders of its input
    passes_on: ClassVar[bool] = False  # it does nothing at all
    in_attention: ClassVar[str] = ""  # what it is where attention is written by hand: a "product" of matrices, the
    # "softmax" between two of them, or "all" three
    unstreamed: ClassVar[tuple[str, str]] = ("", "")  # why no stream passes it where it reads all positions, and what
    # to use instead
    from_the_input: ClassVar[slice | None] = None  # what PyTorch's call names that comes from the input here
    trains_on: ClassVar[int] = 1  # how many values of a channel training needs at least (statistics need two)
    compared: ClassVar[tuple[str, ...]] = ()  # the parameters in which equal layers agree
    spelling: ClassVar[Spelling | None] = None  # the words that it is written with

    @property
    def assumes(self) -> str:
        """What is taken for granted about it; told with every answer."""
        return ""

    @property
    def assumes_of_memory(self) -> str:
        """What is taken for granted about the memory that it takes; told with what says how much that is."""
        return ""

    @property
    def assumes_evaluation(self) -> str:
        """What is taken for granted about it but where it is trained."""
        return ""

    @property
    def stem(self) -> str:
        """What its nodes are called, with a number, unless they are named."""
        return self.kind

    def output(self, *xs: Shape) -> Shape:
        return xs[0]

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        return (SAME_UNIT,) * len(xs)

    @property
    def at_most(self) -> bool:
        """Whether the windows of its units, which no axis decides alone, hold more than some of them see."""
        return False

    @property
    def level(self) -> bool:
        """Whether it gives the same number everywhere, so that no position of its map differs from another."""
        return False

    def even(self, axis: int) -> bool:
        """Whether all positions along an axis of its map are alike, whatever it reads."""
        return self.level

    @property
    def selective(self) -> bool:
        """Whether units read some channels of the input only, so that it matters which channel sees what."""
        return False

    def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
        """`reads`, with the channels told apart; None where `reads` does. Asked only where sizes are numbers."""
        return None

    def joins_channels(self, x: Shape) -> bool:
        """Whether each channel of its output is made of all channels of its input x."""
        return self.opaque

    @property
    def multiplies_by(self) -> float | None:
        """The number that it multiplies every value by (1: it passes values on); None where it does anything else."""
        return None

    def joins_along(self, y: Shape) -> int | None:
        """The axis of its output y along which its inputs stand one after another; None where they do not."""
        return None

    @property
    def moves_axes(self) -> tuple[int, ...] | None:
        """The axes of its input in the order in which its output has them, where it does nothing else."""
        return None

    @property
    def by_position(self) -> bool:
        """Whether it multiplies the features of each position by the same weights, and reads no other position."""
        return False

    def source(self, unit: tuple[int, ...], xs: tuple[Shape, ...], y: Shape) -> Iterable[tuple[int, ...]]:
        """The positions (on the axes but the channels) that a unit reads, where `reads` says ``Scattered``."""
        raise NotImplementedError(f"{self.kind} does not say where its scattered units come from")

    def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
        return NOTHING

    def carried(self, xs: tuple[Shape, ...], y: Shape) -> Size | None:
        """How many values it hands from one position of a sequence to the next; None where it is no recurrence."""
        return None

    def stretched(self: L, axis: int, length: Size) -> L:
        """The same layer for a map whose axis `axis` comes out with this length (it says its sizes in numbers)."""
        return self

    def in_proportion(self: L, before: tuple[Shape, ...], xs: tuple[Shape, ...]) -> L:
        """The same layer where axes of its inputs are longer or shorter than before: positions that it names on such an
        axis, and the parts into which it cuts it, in proportion.

        Raises:
            ShapeError: they would be no whole numbers.
        """
        return self

    def sized(self: L, y: Shape) -> L:
        """The same layer in the form that says the sizes of its output in numbers, where it has one."""
        return self

    def any_length(self: L) -> L | None:
        """The same layer without its list of masked positions, where such a list is all that ties it to a length."""
        return None

    def unlisted(self) -> Layer | None:
        """The same layer without a list that says which positions are read, as far as sizes go (what is masked, what
        is picked); None where it has none."""
        given = self.given
        return None if given.get("mask") is None else type(self)(**{**given, "mask": None})

    def unvalued(self: L) -> L:
        """The same layer without its operands."""
        return self

    @property
    def operands(self) -> tuple[float, ...]:
        """The numbers that it works with value by value, which no size hangs on."""
        return ()

    def stated(self: L, x: Shape, like: Layer) -> L:
        """The same layer behind a map, with what it leaves open (the end of a slice, the step of a slice of one) as
        `like` has it, a layer of the same kind behind a larger map."""
        return self

    def fitted(self, y: Shape, made: Shape) -> Shape | None:
        """The output where y is what its own parameters are for, which were made for the output `made`; None: it needs
        as many as are counted."""
        return None

    def nothing(self: L, x: Shape) -> L | None:
        """The same layer such that it leaves a map as it is (padding by 0, a slice of everything), where code leaves it
        out at sizes where it comes to nothing; None where there is no such layer."""
        return None

    def ended(self: L, x: Shape, axis: int) -> L:
        """The same layer, with an end beyond the middle of an axis counted from the axis' end, as for other lengths."""
        return self

    def covers(self, xs: tuple[Shape, ...], y: Shape) -> bool:
        """Whether all units together read every position of the inputs, for layers whose windows cannot be told at an
        unknown size."""
        return False

    def gathers(self, x: Shape) -> str:
        """What sums (or extremes) over all positions, gathered piece by piece, make of it: ``map`` (with them known, it
        changes every value by itself), ``value`` (it is made of them alone); empty where it is neither."""
        return ""

    def is_met(self, x: Shape) -> bool:
        """Whether the calls that this kind is read from are met where statistics are gathered, be it of them or not."""
        return type(self).gathers is not Layer.gathers

    def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
        return KEEPS_NOTHING

    def needs(self, i: int, has: tuple[bool, ...], trained: bool) -> bool:
        """Whether its backward reads input i, which it keeps: not where only what has no gradient would be told by it.

        Args:
            has: which inputs have a gradient.
            trained: whether its weights are trained.
        """
        return True

    def spared(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Size:
        """How many of the extra values of `saved` are not kept, as only what has no gradient would be told by them.

        Args:
            has, trained: as for `needs`.
        """
        return 0

    def library(
        self, xs: tuple[Shape, ...], items: int, has: tuple[bool, ...], laid: bool, trained: bool
    ) -> Library | None:
        """What it takes on a CPU in float32 as a whole, in a library or step by step, for so many items, if
        these inputs have gradients; `laid`: whether its input lies as its output does; `trained`: whether any of its
        parameters are. None: nothing that is not said elsewhere, or it is not known."""
        return None

    def stays_precise_on(self, device: str, xs: tuple[Shape, ...]) -> bool:
        """Whether mixed precision computes it in float32 on ``cpu`` or ``cuda``, for inputs of these shapes."""
        return device in self.stays_precise

    def strides(self, x: Shape, given: tuple[int, ...]) -> tuple[int, ...] | None:
        """Of a view: the strides of its output, the batch first, given those of its input; None: row by row."""
        return given if len(given) == len(x.dims) + 1 else None

    def strides_back(self, given: tuple[int, ...]) -> tuple[int, ...] | None:
        """Of a view: the strides of its input's gradient, which is a view of its output's; None: it is none."""
        return None

    def hands_on(self, x: Shape, y: Shape) -> bool:
        """Whether the gradient of an input x is that of its output, or a part of it: no new memory."""
        return self.hands_gradient_on

    def read_as(self, i: int, dims: tuple[int, ...]) -> tuple[int, ...] | None:
        """The extents in which PyTorch reads input i, a copy of it where it cannot be viewed so; None: as it lies.

        Args:
            dims: the input's, the batch first.
        """
        return None

    def needs_weights(self, has: tuple[bool, ...]) -> bool:
        """Whether its backward keeps a copy of its weights that mixed precision made.

        Args:
            has: which inputs have a gradient.
        """
        return True

    def copies_gradient(self, x: Shape) -> bool:
        """Whether PyTorch copies the gradient of its weights where the channels of its input x lie innermost: it lies
        so too then, and the weights do not."""
        return False

    def temporary(self, xs: tuple[Shape, ...], y: Shape, has: tuple[bool, ...], trained: bool) -> Passing:
        """What PyTorch makes for a moment while its backward runs, beside the gradients that it hands on."""
        return NOTHING_PASSING

    def gradient_macs(self, xs: tuple[Shape, ...], y: Shape, macs: Size, has: tuple[bool, ...]) -> Size:
        """The multiply-adds of the gradients of its inputs, where forward takes `macs`: as many for each input that
        has one. Those of its weights' gradient are `macs` again."""
        return macs * sum(has)

    def notation(self, exact: bool = False) -> str:
        """How the papers write it; `exact` adds what they leave out, so that it reads back as an equal layer."""
        return self.kind

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError(f"{type(self).__name__} does not change: {name}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} does not change: {name}")

    def _key(self) -> tuple[Any, ...]:
        return (self.kind, *[getattr(self, name) for name in self.compared])

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self._key() == other._key())

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that it is made with, by name.

        >>> from rfcalc import MaxPool
        >>> MaxPool(3, 2).given
        {'kernel': (3,), 'stride': (2,), 'padding': ((0, 0),), 'dilation': (1,), 'rounding': 'floor'}
        """
        return {f.name: getattr(self, f.name) for f in parameters(type(self))}

    def changed(self: L, **values: Any) -> L:
        """The same layer with other values for these parameters."""
        return type(self)(**{**self.given, **values})

    def bind(self: L, values: dict[str, int]) -> L:
        from rfcalc.core.index import bind, is_open

        given = self.given
        if not any(is_open(v) for v in given.values()):
            return self
        return type(self)(**{n: bind(v, values) for n, v in given.items()})

    def __repr__(self) -> str:
        told = []
        positional = True
        for f in parameters(type(self)):
            value = getattr(self, f.name)
            like = f.metadata.get("like")
            if f.kw_only or f.metadata.get("word"):
                positional = False
            usual = value in (f.default, (f.default,)) and type(value) in (type(f.default), tuple)
            if usual or (like and value == getattr(self, like)):
                positional = False
                continue
            shown = _source(value)
            told.append(shown if positional else f"{f.name}={shown}")
        return f"{type(self).__name__}({', '.join(told)})"


def _source(value: Any) -> str:
    """A parameter as it may be typed: one number for a tuple of one, one number for an equal pair."""
    if isinstance(value, tuple):
        if len(value) == 1 and isinstance(value[0], tuple):
            inner = value[0]
            if len(inner) == 2 and inner[0] == inner[1] and not isinstance(inner[0], tuple):
                return _source(inner[0])
            return repr(value)
        if len(value) == 1 and not isinstance(value[0], str):
            return _source(value[0])
    return repr(value)


_PARAMETERS: dict[Any, tuple[Field[Any], ...]] = {}  # by kind


def parameters(kind: type[Layer]) -> tuple[Field[Any], ...]:
    """What a layer of a kind is made with, in order; not what is worked out from it."""
    if kind not in _PARAMETERS:
        _PARAMETERS[kind] = tuple(f for f in fields(kind) if f.init)  # type: ignore[arg-type]  # it is a dataclass
    return _PARAMETERS[kind]


def store(layer: Layer, **values: Any) -> None:
    """Store normalised parameters while a layer is being made; afterwards it does not change."""
    for name, value in values.items():
        object.__setattr__(layer, name, value)


def _checked(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Name the layer in whatever its own check refuses."""

    def checked(self: Any) -> None:
        try:
            check(self)
        except RfcalcError as error:
            raise error.at(type(self).__name__) from None

    return checked


def _named_after(most: int, init: Callable[..., None]) -> Callable[..., None]:
    """`init`, which refuses more than `most` positional arguments with a message that holds the right call; numbers and
    arrays of other libraries become Python's own."""

    @wraps(init)
    def made(self: Any, *given: Any, **named: Any) -> None:
        if len(given) > most:
            raise import_module("rfcalc.core.misnamed").misordered(type(self), given, named, most)
        try:
            init(self, *map(native, given), **{name: native(value) for name, value in named.items()})
        except TypeError:
            import_module("rfcalc.core.misnamed").check_names(type(self), len(given), named)
            raise

    return made


@dataclass_transform(frozen_default=True)
def layer(kind: str) -> Callable[[type[L]], type[L]]:
    """Make a class a layer kind: slotted, registered under `kind`; `Layer` makes it immutable, comparable, hashable.

    The decorator stands outside the dataclass, because ``slots=True`` makes the class twice. What `Layer` can do once
    for all kinds is not generated for each: that keeps starting up fast.
    """

    def wrap(cls: type[L]) -> type[L]:
        made = dataclass(slots=True, repr=False, eq=False)(cls)
        made.kind = kind
        made.compared = tuple(f.name for f in parameters(made) if f.compare)
        check = made.__dict__.get("__post_init__")
        if check is not None:
            made.__post_init__ = _checked(check)  # type: ignore[attr-defined]
        free = [f.kw_only for f in parameters(made)]
        if free:
            most = free.index(True) if True in free else len(free)
            made.__init__ = _named_after(most, made.__init__)  # type: ignore[method-assign]
        LAYERS.add(kind, made)
        return made

    return wrap


def over_space(x: Shape, indices: tuple[Index, ...]) -> Alternatives:
    """The relation of a channels-first layer that slides over the spatial axes and reads all channels."""
    return (((0, All(x.dims[0])), *enumerate(indices, 1)),)


def channelwise(relation: Alternatives, channel: tuple[int | None, Index] = (0, STEP)) -> Alternatives:
    """A channels-first relation with another statement about the channels; by default each reads its own."""
    return tuple((channel, *reads[1:]) if reads is not POINTWISE else reads for reads in relation)


def whole_axes(x: Shape, axes: tuple[int, ...] | None = None) -> Alternatives:
    """The relation of a layer that keeps the axes: a unit reads all of the given (default: all), its own of others."""
    chosen = range(len(x.dims)) if axes is None else axes
    return (tuple((i, STEP) if i not in chosen or decide(n == 1) else (i, All(n)) for i, n in enumerate(x.dims)),)


def on_axis(x: Shape, axis: int, index: Index) -> Alternatives:
    """The relation of a layer that keeps the axes: along one a unit reads by an index, of others its own position."""
    return (tuple((i, index if i == axis else STEP) for i in range(len(x.dims))),)


def spatial_rank(x: Shape, layer: Layer) -> int:
    """The number of spatial axes of a channels-first map.

    Raises:
        ShapeError: for a flat vector or another layout.
    """
    if x.channel != 0:
        raise ShapeError(
            f"{layer.kind} needs channels first, the map {x} has them on axis {x.channel}", fix="add a Permute before"
        )
    if len(x.dims) < 2:
        raise ShapeError(
            f"{layer.kind} needs a map with spatial axes, and gets the flat vector {x}",
            fix=f"put it before the flatten, or Reshape; an image as the input is 3x{x}x{x}, a signal 1x{x}",
        )
    return len(x.dims) - 1
