"""What several families are written with: a convolution with what follows it, and residual sums."""

from __future__ import annotations

from collections.abc import Iterable

from rfcalc.core.expr import Expr, Series, series
from rfcalc.core.layer import Layer
from rfcalc.layers.merge import Add
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.pointwise import Activation, ReLU

RELU = ReLU()
NORM = BatchNorm()


def unit(name: str, layer: Layer, *, norm: Layer | None = NORM, act: Layer | None = RELU) -> Series:
    """A convolution, its normalisation and its activation: conv1, bn1, relu1; or reduce, reduce_bn, reduce_relu.

    >>> from rfcalc.layers.conv import Conv
    >>> unit("conv1", Conv(64, 3))
    Conv(64, 3).named('conv1') >> BatchNorm().named('bn1') >> Activation('relu').named('relu1')
    """
    number = name.removeprefix("conv")
    items: list[Expr] = [layer.named(name)]
    for after in (norm, act):
        if after is not None:
            stem = {"batchnorm": "bn", "layernorm": "ln"}.get(after.stem, after.stem)
            items.append(after.named(f"{name}_{stem}" if number == name else f"{stem}{number}"))
    return series(items)


def residual(*branches: Expr, act: Layer | None = RELU, name: str = "add") -> Expr:
    """The sum of branches (`shortcut()` is the value itself), and the activation after it."""
    from rfcalc.core.expr import parallel

    merged = parallel(branches, Add()).named(name)
    return merged if act is None else merged >> act.named(f"{act.stem}_out")


def shortcut() -> Expr:
    """The plain shortcut of a residual block: the value itself, no node."""
    return series([])


def joined(parts: Iterable[Expr | None]) -> Series:
    """A series of the parts that are there."""
    return series(p for p in parts if p is not None)


def activation(name: str) -> Activation:
    """An activation by name."""
    return Activation(name)


def divisible(value: float, by: int = 8) -> int:
    """A channel count rounded to a multiple of `by`, at most a tenth below `value` (MobileNet's rule).

    >>> divisible(32 * 0.75), divisible(16 * 0.35), divisible(320)
    (24, 8, 320)
    """
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded
