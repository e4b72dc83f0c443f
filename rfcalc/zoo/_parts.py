"""What several families are written with: a convolution with what follows it, and residual sums."""

from __future__ import annotations

from collections.abc import Iterable

from rfcalc.core.expr import Expr, Series, series
from rfcalc.core.layer import Layer
from rfcalc.core.size import Size
from rfcalc.layers.merge import Add
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.pointwise import Activation, Dropout, ReLU

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


def excite(wide: Size, middle: Size, *, act: Layer = RELU, gate: str = "sigmoid") -> Expr:
    """Squeeze and excitation: each channel times a gate that two 1×1 convolutions compute from all channels' means."""
    from rfcalc.core.expr import parallel
    from rfcalc.layers.conv import Conv
    from rfcalc.layers.merge import Multiply
    from rfcalc.layers.pool import GlobalPool

    steps: list[Expr] = [
        GlobalPool().named("se_pool"),
        Conv(middle, 1).named("se_fc1"),
        act.named(f"se_{act.stem}"),
        Conv(wide, 1).named("se_fc2"),
        Activation(gate).named(f"se_{gate}"),
    ]
    return parallel([shortcut(), series(steps)], Multiply()).named("se_scale")


def top_of(classes: int, *, dropout: float | None = None, name: str = "fc") -> Series:
    """The mean of each map, and the classifier."""
    from rfcalc.layers.dense import Linear
    from rfcalc.layers.pool import GlobalPool
    from rfcalc.layers.reshape import Flatten

    parts: list[Expr] = [GlobalPool().named("avgpool"), Flatten().named("flatten")]
    parts += [] if dropout is None else [Dropout(dropout).named("dropout")]
    return series([*parts, Linear(classes).named(name)])


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
