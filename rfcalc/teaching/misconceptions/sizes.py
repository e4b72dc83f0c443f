"""Misconceptions about output sizes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rfcalc.teaching.case import Case, SlidingAxis, right
from rfcalc.teaching.misconceptions import misconception


def _sized(case: Case, length: Callable[[SlidingAxis], Any], channels: Any = None) -> Any:
    """The shape with another rule for the length of each axis; None for a layer that is no plain sliding window."""
    if not case.axes or case.layer.kind == "conv_transpose":
        return None
    return (case.y.channels if channels is None else channels, *map(length, case.axes))


def _slid(n: int, wide: int, s: int) -> int:
    return (n - wide) // s + 1


padding_once = misconception(
    "M4",
    "padding-once",
    "padding added on one side only",
    "Padding p is added on both sides of an axis: the padded map has n + 2p positions, not n + p.",
)


@padding_once.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind == "pad":
        return (case.x.channels, *[n + (m - n) // 2 for n, m in zip(case.x.spatial, case.y.spatial, strict=True)])
    return _sized(case, lambda x: _slid(x.n + x.a, x.wide, x.s))


padding_forgotten = misconception(
    "M4", "padding-forgotten", "padding forgotten", "The padding is missing: the window slides over n + 2p positions."
)


@padding_forgotten.gives("output_shape")
def _(case: Case) -> Any:
    return _sized(case, lambda x: _slid(x.n, x.wide, x.s))


padding_of_depth = misconception(
    "M4",
    "padding-of-depth",
    "padding added to the depth",
    "Padding surrounds each channel; it adds no channels.",
)


@padding_of_depth.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind == "pad":
        return (case.y.channels + case.y.dims[1] - case.x.dims[1], *case.y.spatial)
    pads = [x.a + x.b for x in case.axes]
    return (case.y.channels + pads[0], *case.y.spatial) if pads and pads[0] else None


depth_kept = misconception(
    "M5",
    "depth-kept",
    "output depth = input depth",
    "A convolution has one output channel for each of its filters, whatever the depth of its input.",
)


@depth_kept.gives("output_shape")
def _(case: Case) -> Any:
    return (case.x.channels, *case.y.spatial) if hasattr(case.layer, "out_channels") else None


stride_ignored = misconception(
    "M6",
    "stride-ignored",
    "stride ignored",
    "The window moves by its stride: neighbouring outputs stand s positions apart, so divide by s before adding 1.",
)


@stride_ignored.gives("output_shape")
def _(case: Case) -> Any:
    return _sized(case, lambda x: _slid(x.n + x.a + x.b, x.wide, 1))


rounded_up = misconception(
    "M6",
    "rounded-up",
    "rounded up instead of down",
    "A window that does not fit any more gives no output: round down.",
)


@rounded_up.gives("output_shape")
def _(case: Case) -> Any:
    if case.geometry is None or case.geometry.rounding != "floor" or case.geometry.padding == "SAME":
        return None
    return _sized(case, lambda x: -(-(x.n + x.a + x.b - x.wide) // x.s) + 1)


rounded_down = misconception(
    "M6",
    "rounded-down",
    "rounded down in ceil mode",
    "In ceil mode a last window that only partly fits still gives an output: round up.",
)


@rounded_down.gives("output_shape")
def _(case: Case) -> Any:
    if case.geometry is None or case.geometry.rounding == "floor":
        return None
    return _sized(case, lambda x: _slid(x.n + x.a + x.b, x.wide, x.s))


not_rounded = misconception(
    "M6",
    "not-rounded",
    "not rounded",
    "A map has a whole number of positions: where the division is not exact, round down.",
)


@not_rounded.gives("output_shape")
def _(case: Case) -> Any:
    if case.geometry is None or case.geometry.padding == "SAME":
        return None
    found = _sized(case, lambda x: Fraction(x.n + x.a + x.b - x.wide, x.s) + 1)
    return found and tuple(int(n) if n == int(n) else n for n in found)


one_forgotten = misconception(
    "N1",
    "one-forgotten",
    "the + 1 forgotten",
    "The first window stands without a step: there is one output more than there are steps.",
)


@one_forgotten.gives("output_shape")
def _(case: Case) -> Any:
    return _sized(case, lambda x: (x.n + x.a + x.b - x.wide) // x.s)


kernel_not_widened = misconception(
    "M10",
    "kernel-not-widened",
    "dilation ignored",
    "A dilated kernel spans d(k − 1) + 1 positions, not k.",
)


@kernel_not_widened.gives("output_shape")
def _(case: Case) -> Any:
    return _sized(case, lambda x: _slid(x.n + x.a + x.b, x.k, x.s))


dilation_from_zero = misconception(
    "M10",
    "dilation-from-zero",
    "dilation counted from 0",
    "Dilation 1 is the ordinary convolution: the kernel spans d(k − 1) + 1 positions, not (d + 1)(k − 1) + 1.",
)


@dilation_from_zero.gives("output_shape")
def _(case: Case) -> Any:
    if case.axes and not hasattr(case.layer, "groups"):
        return None  # pooling is not dilated in courses
    return _sized(case, lambda x: _slid(x.n + x.a + x.b, (x.d + 1) * (x.k - 1) + 1, x.s) if x.d > 1 else x_length(x))


def x_length(x: SlidingAxis) -> int:
    """The right length of an axis, rounding down."""
    return _slid(x.n + x.a + x.b, x.wide, x.s)


pooling_changes_depth = misconception(
    "M12",
    "pooling-changes-depth",
    "pooling changes the depth",
    "Pooling works on each channel alone: the depth stays.",
)


@pooling_changes_depth.gives("output_shape")
def _(case: Case) -> Any:
    if not case.layer.kind.endswith("pool") or not case.axes:
        return None
    s = case.axes[0].s
    return (case.x.channels // s, *case.y.spatial) if case.x.channels % s == 0 else None


transposed_as_convolution = misconception(
    "N2",
    "transposed-as-convolution",
    "transposed convolution sized like a convolution",
    "A transposed convolution goes the other way: (n − 1)·s + d(k − 1) + 1 − 2p, which enlarges the map.",
)


@transposed_as_convolution.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind != "conv_transpose":
        return None
    return (case.y.channels, *map(x_length, case.axes))


only_times_stride = misconception(
    "N3",
    "only-times-stride",
    "output = input × stride",
    "The last input position still spreads over the whole kernel: (n − 1)·s + d(k − 1) + 1 − 2p.",
)


@only_times_stride.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind != "conv_transpose":
        return None
    return (case.y.channels, *[x.n * x.s for x in case.axes])


crop_added = misconception(
    "N4",
    "crop-added",
    "padding of a transposed convolution added",
    "The padding of a transposed convolution is cut off from its result: it makes the map smaller by 2p.",
)


@crop_added.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind != "conv_transpose":
        return None
    return (case.y.channels, *[n + 2 * (x.a + x.b) for n, x in zip(case.y.spatial, case.axes, strict=True)])


flat_without_channels = misconception(
    "M2",
    "channels-forgotten",
    "input channels forgotten",
    "Every channel counts: a filter spans all input channels, and a map has height × width × channels values.",
)


@flat_without_channels.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind != "flatten" or case.x.rank == 0 or len(case.y.dims) > 1:
        return None
    return (case.x.values // case.x.channels,)


joined_not_stacked = misconception(
    "N5",
    "depths-not-summed",
    "depths of concatenated branches not summed",
    "Concatenation stacks the branches: their depths add.",
)


@joined_not_stacked.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind != "concat" or case.x.channel != 0 or case.x.rank == 0:
        return None
    return [(max(x.channels for x in case.xs), *case.y.spatial), (case.x.channels, *case.y.spatial)]


added_stacked = misconception(
    "N6",
    "depths-summed",
    "depths of added branches summed",
    "Addition needs equal maps and keeps their depth; only concatenation stacks them.",
)


@added_stacked.gives("output_shape")
def _(case: Case) -> Any:
    if case.layer.kind != "add" or case.x.rank == 0 or case.x.channel != 0 or len(case.xs) < 2:
        return None
    return (sum(x.channels for x in case.xs), *right(case, "output_shape")[1:])
