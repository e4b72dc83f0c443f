"""What a layer is in PyTorch: a constructor call and an expression, which are both run and printed.

The contract between the kinds and what uses their twins (the running module, the written source):

1. A kind registers one function ``(At) -> Twin`` under its name with `twin`, and one with `measuring` where a gradient
   would not show all that a unit depends on (or would need weights to show it).
2. A twin is text: the call that makes its module, if it has one, and an expression over ``{m}`` (that module), ``{w}``
   (its learned tensor) and ``{0}``, ``{1}``, … (its inputs, batch axis first). `NetworkModule` compiles it and
   `source` prints it, so that what runs and what is written are one.
3. Expressions use ``torch``, ``nn``, ``F`` (`torch.nn.functional`) and the names of `parts`, nothing else.

Imports nothing of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from rfcalc.core import Registry
from rfcalc.core.errors import Unsupported
from rfcalc.core.layer import Layer
from rfcalc.core.masks import Mask, Several
from rfcalc.core.shape import Shape


class At(NamedTuple):
    """A layer in its place: its input shapes, its output's, and what was asked for."""

    layer: Any
    xs: tuple[Shape, ...]
    y: Shape
    in_place: bool = False  # whether it may write over its input
    dropout: float | None = None  # a rate for every dropout layer
    eps: float | None = None  # what normalisation adds to the variance, where it is not PyTorch's default

    @property
    def x(self) -> Shape:
        return self.xs[0]


class BareText(str):
    """Text that is printed without quotation marks: a default that is no literal."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class ConstructorCall:
    """A constructor call: ``nn.Conv2d(3, 64, 3, padding=1)``.

    >>> print(call("nn.Conv2d", 3, 64, 3, padding=1))
    nn.Conv2d(3, 64, 3, padding=1)
    """

    target: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        told = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.options)]
        return f"{self.target}({', '.join(told)})"


def call(target: str, *args: Any, **options: Any) -> ConstructorCall:
    """A call; options that are None are left out."""
    return ConstructorCall(target, args, tuple((name, value) for name, value in options.items() if value is not None))


@dataclass(frozen=True, slots=True)
class Learned:
    """A tensor that is learned and stands by itself (a class token): its shape, and what it begins with."""

    shape: tuple[int, ...]
    mean: float = 0.0
    std: float = 0.0

    def __str__(self) -> str:
        size = ", ".join(map(str, self.shape))
        if self.std:
            return f"nn.Parameter(torch.randn({size}) * {self.std})"
        made = {0.0: f"torch.zeros({size})", 1.0: f"torch.ones({size})"}
        return f"nn.Parameter({made.get(self.mean, f'torch.full(({size},), {self.mean})')})"


@dataclass(frozen=True, slots=True)
class Twin:
    """What a layer is in PyTorch."""

    module: ConstructorCall | None = None
    text: str = "{m}({0})"
    learned: Learned | None = None
    composed: bool = False  # several operations, or a library's workspace, keep more than one layer would
    plain: bool = field(init=False)  # the module applied to its only input

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", self.module is not None and self.text == "{m}({0})")


Maker: TypeAlias = Callable[[At], Twin]


def _load() -> None:
    import_module("rfcalc.backend.kinds").load()


TWINS: Registry[Maker] = Registry("PyTorch twin", _load)
MEASURES: Registry[Maker] = Registry("measuring twin", _load)


def kept_keys(mask: Mask, dims: Sequence[Any]) -> str:
    """The expression of a table of flags: which keys each query sees; `dims`: of the scores (… queries × keys)."""
    queries, keys = dims[-2:]
    kind = "dtype=torch.bool, device={0}.device"
    if isinstance(mask, Several):
        tables = [[[int(k in row) for k in range(keys)] for row in map(set, one)] for one in mask.masks]
        ones = "1, " * (len(dims) - 3 - mask.axis)
        return f"torch.tensor({tables}, {kind}).view({len(tables)}, {ones}{queries}, {keys})"
    if isinstance(mask, str):
        return f"torch.ones({queries}, {keys}, {kind}).tril()"
    rows = [[int(k in row) for k in range(keys)] for row in map(set, mask or ())]
    return f"torch.tensor({rows}, {kind})"


def twin(*kinds: str) -> Callable[[Maker], Maker]:
    """Register the function that says what layers of these kinds are in PyTorch."""

    def wrap(maker: Maker) -> Maker:
        for kind in kinds:
            TWINS.add(kind, maker)
        return maker

    return wrap


def measuring(*kinds: str) -> Callable[[Maker], Maker]:
    """Register the positive, linear stand-in that depends on exactly what layers of these kinds depend on."""

    def wrap(maker: Maker) -> Maker:
        for kind in kinds:
            MEASURES.add(kind, maker)
        return maker

    return wrap


def twin_of(at: At, measure: bool = False) -> Twin:
    """The twin of a layer in its place.

    Raises:
        Unsupported: there is none, or PyTorch cannot do it at this rank.
    """
    maker = MEASURES.get(at.layer.kind) if measure else None
    maker = maker or TWINS.get(at.layer.kind)
    if maker is None:
        raise Unsupported(
            f"PyTorch has no twin for the kind {at.layer.kind!r}",
            fix="register one: rfcalc.backend.twin(kind)",
        )
    return maker(at)


def spatial(at: At, what: str = "") -> int:
    """The number of spatial axes, which PyTorch's layers are written for.

    Raises:
        Unsupported: it is not 1, 2 or 3.
    """
    rank = at.x.rank
    if not 1 <= rank <= 3:
        raise Unsupported(
            f"PyTorch's {what or at.layer.kind} works on 1 to 3 spatial axes, the map {at.x} has {rank}",
            fix="reshape the map before it",
        )
    return rank


def text_only(text: str, composed: bool = False) -> Twin:
    """A twin without a module."""
    return Twin(None, text, composed=composed)


def moved(at: At, inner: str = "{m}({0})") -> str:
    """An expression that wants channels on axis 1, around whatever layout the map has."""
    channel = at.x.channel + 1
    if channel == 1:
        return inner
    return inner.replace("{0}", f"{{0}}.movedim({channel}, 1)") + f".movedim(1, {channel})"


def same_everywhere(values: tuple[Any, ...]) -> Any:
    """One number where all axes are alike, as it is usually typed; else the tuple."""
    return values[0] if all(v == values[0] for v in values) else tuple(values)


def concrete(layer: Layer, *shapes: Shape) -> None:
    """Refuse symbols: a module is made of numbers.

    Raises:
        Unsupported: a size is a symbol.
    """
    for shape in shapes:
        for n in shape.dims:
            if not isinstance(n, int):
                raise Unsupported(f"the size {n} is a symbol", fix="give numbers: --input 3x224x224")
