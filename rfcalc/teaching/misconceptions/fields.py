"""Misconceptions about receptive fields and effective strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfcalc.teaching.case import Case, SlidingAxis
from rfcalc.teaching.misconceptions import misconception
from rfcalc.teaching.misconceptions.sizes import dilation_from_zero, kernel_not_widened, stride_ignored


def _grown(case: Case, rule: Callable[[SlidingAxis, int, int], Any]) -> Any:
    """A receptive field by another rule of each axis, from (axis, size before, stride before)."""
    if case.before is None or not case.axes or case.layer.kind == "conv_transpose":
        return None
    before = case.before
    if len(case.axes) != len(before.size):
        return None
    return tuple(rule(x, r, j) for x, r, j in zip(case.axes, before.size, before.stride, strict=True))


own_stride = misconception(
    "M7",
    "own-stride-in-growth",
    "a layer's own stride used in its receptive-field growth",
    "A layer's own stride spreads its outputs apart; it counts for the layers after it, not for its own growth: "
    "r + (k − 1)·j with the stride j before the layer.",
)


@own_stride.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r + (x.wide - 1) * j * x.s)


strides_before_ignored = misconception(
    "N7",
    "strides-before-ignored",
    "strides of earlier layers ignored",
    "After strides the kernel's taps are j input pixels apart: the growth is (k − 1)·j, not k − 1.",
)


@strides_before_ignored.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r + x.wide - 1)


@kernel_not_widened.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r + (x.k - 1) * j)


@dilation_from_zero.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r + (x.d + (x.d > 1)) * (x.k - 1) * j)


off_by_one_layer = misconception(
    "M9",
    "off-by-one-layer",
    "the number of the layer before",
    "This is the figure of the layer before: the layer itself still has to be counted.",
)


@off_by_one_layer.gives("receptive_field")
def _(case: Case) -> Any:
    return None if case.before is None or len(case.seen) > 1 else case.before.size


@off_by_one_layer.gives("stride")
def _(case: Case) -> Any:
    return None if case.before is None or len(case.seen) > 1 else case.before.stride


kernel_as_field = misconception(
    "M17",
    "kernel-as-field",
    "the kernel given as the receptive field",
    "The kernel is what the layer sees of the map before it; the receptive field is counted on the image.",
)


@kernel_as_field.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: x.wide)


fields_added = misconception(
    "M8",
    "fields-added",
    "receptive fields added",
    "Neighbouring windows overlap: a stride-1 layer adds k − 1, so B blocks of field R see B(R − 1) + 1, not B·R.",
)


@fields_added.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r + x.wide * j if r > 1 else x.wide)


fields_multiplied = misconception(
    "M8",
    "fields-multiplied",
    "receptive fields multiplied",
    "Receptive fields of layers in a row do not multiply: each layer adds (k − 1)·j.",
)


@fields_multiplied.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r * x.wide)


pooling_ignored = misconception(
    "M12",
    "pooling-not-seen",
    "pooling left out of the receptive field",
    "A pooling unit reads a window too: it grows the receptive field as a convolution of its kernel would.",
)


@pooling_ignored.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r) if case.layer.kind.endswith("pool") else None


padding_grows = misconception(
    "M4",
    "padding-in-field",
    "padding added to the receptive field",
    "Padding changes how many outputs there are, not how far one output sees.",
)


@padding_grows.gives("receptive_field")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: r + (x.wide - 1 + x.a + x.b) * j)


image_as_field = misconception(
    "M18",
    "image-as-field",
    "receptive field = image size",
    "The receptive field follows from the layers alone; it may be smaller than the image, or larger.",
)


@image_as_field.gives("receptive_field")
def _(case: Case) -> Any:
    return case.image or None


radius = misconception(
    "M11",
    "side-as-radius",
    "side against radius",
    "The receptive field is given as its side: reach on both sides and the centre, 2·radius + 1.",
)


@radius.gives("receptive_field")
def _(case: Case) -> Any:
    found = _grown(case, lambda x, r, j: (r + (x.wide - 1) * j - 1) // 2)
    return found if found and all(found) else None


strides_added = misconception(
    "N8",
    "strides-added",
    "strides added instead of multiplied",
    "Strides multiply: a step on this map is s steps on the map before it, each of which is j pixels.",
)


@strides_added.gives("stride")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: j + x.s if j > 1 and x.s > 1 else j * x.s)


own_stride_only = misconception(
    "N9",
    "own-stride-as-effective",
    "a layer's own stride given as the effective stride",
    "The effective stride is counted on the image: the product of all strides up to and including this layer.",
)


@own_stride_only.gives("stride")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: x.s)


@stride_ignored.gives("stride")
def _(case: Case) -> Any:
    return _grown(case, lambda x, r, j: j)


paths_added = misconception(
    "N10",
    "paths-added",
    "receptive fields of parallel paths added",
    "Parallel paths look at the same place: the unit sees the union of their windows, not their sum.",
)


@paths_added.gives("receptive_field")
def _(case: Case) -> Any:
    return _paths(case, sum)


shortest_path = misconception(
    "N11",
    "shortest-path",
    "the shortest path counted",
    "A unit depends on all that any path brings: where paths meet, the widest one counts.",
)


@shortest_path.gives("receptive_field")
def _(case: Case) -> Any:
    return _paths(case, min)


def _paths(case: Case, rule: Callable[[list[int]], int]) -> Any:
    if len(case.seen) < 2:
        return None
    seen = [s.size for s in case.seen if s is not None]
    return tuple(rule(list(sizes)) for sizes in zip(*seen, strict=True)) if len(seen) == len(case.seen) else None
