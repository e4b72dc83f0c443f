"""Misconceptions about parameters, operations and memory of one layer."""

from __future__ import annotations

from typing import Any

from rfcalc.core.size import prod
from rfcalc.teaching.case import Case
from rfcalc.teaching.misconceptions import misconception
from rfcalc.teaching.misconceptions.fields import off_by_one_layer
from rfcalc.teaching.misconceptions.sizes import flat_without_channels as channels_forgotten


def _kernel(case: Case) -> Any:
    """Weights of one filter on one channel; 1 for a fully connected layer."""
    return prod([x.k for x in case.axes])


def _positions(case: Case) -> Any:
    return prod(case.y.spatial) if case.y.rank else 1


def _convolves(case: Case) -> bool:
    return bool(case.axes) and case.cost.weights > 0 and case.y.rank > 0


bias_forgotten = misconception(
    "M1",
    "bias-forgotten",
    "bias forgotten",
    "The biases are missing: there is one for each output channel (or unit).",
)


@bias_forgotten.gives("params")
def _(case: Case) -> Any:
    return case.cost.weights if case.layer.weight_layers and case.cost.biases else None


@bias_forgotten.gives("biases")
def _(case: Case) -> Any:
    return 0 if case.layer.weight_layers else None


bias_everywhere = misconception(
    "M1",
    "bias-at-every-position",
    "bias counted at each position",
    "A bias belongs to a channel and is used at all of its positions: one for each output channel.",
)


@bias_everywhere.gives("params")
def _(case: Case) -> Any:
    return case.cost.weights + case.cost.biases * _positions(case) if _convolves(case) else None


@bias_everywhere.gives("biases")
def _(case: Case) -> Any:
    return case.cost.biases * _positions(case) if _convolves(case) else None


bias_counted = misconception(
    "M1",
    "bias-counted-anyway",
    "bias counted although there is none",
    "This layer has no bias; only its weights count.",
)


@bias_counted.gives("params")
def _(case: Case) -> Any:
    if getattr(case.layer, "bias", True) or not case.layer.weight_layers:
        return None
    return case.cost.params + case.y.channels


@bias_counted.gives("biases")
def _(case: Case) -> Any:
    return case.y.channels if not getattr(case.layer, "bias", True) and case.layer.weight_layers else None


bias_per_input = misconception(
    "M1",
    "bias-per-input-channel",
    "one bias for each input channel",
    "The bias is added to an output channel: there is one for each filter, not for each input channel.",
)


@bias_per_input.gives("params")
def _(case: Case) -> Any:
    return case.cost.weights + case.x.channels if _convolves(case) and case.cost.biases else None


@bias_per_input.gives("biases")
def _(case: Case) -> Any:
    return case.x.channels if _convolves(case) and case.cost.biases else None


@channels_forgotten.gives("params")
def _(case: Case) -> Any:
    return _without_channels(case) + (case.cost.params - case.cost.weights) if _convolves(case) else None


@channels_forgotten.gives("weights")
def _(case: Case) -> Any:
    return _without_channels(case) if _convolves(case) else None


def _without_channels(case: Case) -> Any:
    return _kernel(case) * case.y.channels


@channels_forgotten.gives("macs")
def _(case: Case) -> Any:
    return _without_channels(case) * _used(case) * case.batch if _convolves(case) else None


@channels_forgotten.gives("values")
def _(case: Case) -> Any:
    return prod(case.y.spatial) * case.batch if case.y.rank else None


@channels_forgotten.gives("bytes")
def _(case: Case) -> Any:
    return prod(case.y.spatial) * case.batch * case.itemsize if case.y.rank else None


def _used(case: Case) -> Any:
    """How often each weight is used."""
    return case.cost.macs // case.cost.weights


filters_forgotten = misconception(
    "N12",
    "one-filter-only",
    "one filter counted instead of all",
    "This counts a single filter; the layer has one for each output channel.",
)


@filters_forgotten.gives("params")
def _(case: Case) -> Any:
    if not _convolves(case) or not hasattr(case.layer, "out_channels"):
        return None
    return (case.cost.weights + case.cost.biases) // case.layer.out_channels


@filters_forgotten.gives("weights")
def _(case: Case) -> Any:
    if not _convolves(case) or not hasattr(case.layer, "out_channels"):
        return None
    return case.cost.weights // case.layer.out_channels


@filters_forgotten.gives("macs")
def _(case: Case) -> Any:
    if not _convolves(case) or not hasattr(case.layer, "out_channels"):
        return None
    return case.cost.macs // case.layer.out_channels * case.batch


grows_with_image = misconception(
    "M3",
    "params-grow-with-image",
    "parameters grow with the image",
    "The same filters are used at every position: parameters do not depend on the size of the map.",
)


@grows_with_image.gives("params")
def _(case: Case) -> Any:
    return case.cost.weights * _positions(case) + case.cost.biases if _convolves(case) else None


@grows_with_image.gives("weights")
def _(case: Case) -> Any:
    return case.cost.weights * _positions(case) if _convolves(case) else None


operations_once = misconception(
    "M3",
    "weights-used-once",
    "operations counted at one position only",
    "Every weight is used again wherever the kernel is placed: at each position of the output, or of the input for a "
    "transposed convolution.",
)


@operations_once.gives("macs")
def _(case: Case) -> Any:
    return case.cost.weights * case.batch if _convolves(case) else None


at_input_positions = misconception(
    "N13",
    "positions-of-the-input",
    "positions of the input and of the output confused",
    "A convolution is evaluated once for each output position, a transposed one once for each input position; padding "
    "and stride decide how many there are.",
)


@at_input_positions.gives("macs")
def _(case: Case) -> Any:
    if not _convolves(case):
        return None
    chosen = case.y if case.layer.kind == "conv_transpose" else case.x
    return case.cost.weights * prod(chosen.spatial) * case.batch


kernel_side = misconception(
    "M11",
    "kernel-not-squared",
    "side against area of the kernel",
    "A k×k filter has k² weights for each channel, not k.",
)


@kernel_side.gives("params")
def _(case: Case) -> Any:
    return case.cost.weights // case.axes[0].k + case.cost.biases if _convolves(case) and len(case.axes) > 1 else None


@kernel_side.gives("weights")
def _(case: Case) -> Any:
    return case.cost.weights // case.axes[0].k if _convolves(case) and len(case.axes) > 1 else None


pooling_has_weights = misconception(
    "M12",
    "pooling-has-parameters",
    "pooling has parameters",
    "Pooling takes a maximum or a mean: there is nothing to train.",
)


@pooling_has_weights.gives("params", "weights")
def _(case: Case) -> Any:
    return _kernel(case) if case.layer.kind.endswith("pool") and case.axes and not case.cost.params else None


statistics_trained = misconception(
    "M13",
    "statistics-as-parameters",
    "running statistics counted as trainable",
    "The running mean and variance are buffers: they are averaged, not trained. γ and β are the 2C parameters.",
)


@statistics_trained.gives("params")
def _(case: Case) -> Any:
    return case.cost.params + case.cost.buffers if case.cost.buffers else None


groups_ignored = misconception(
    "N14",
    "groups-ignored",
    "groups ignored",
    "In g groups each filter sees only C_in / g input channels.",
)


def _groups(case: Case) -> int:
    if case.layer.kind == "depthwise":
        return int(case.x.channels)
    return int(getattr(case.layer, "groups", 1)) if _convolves(case) else 1


@groups_ignored.gives("params")
def _(case: Case) -> Any:
    return case.cost.weights * _groups(case) + case.cost.biases if _groups(case) > 1 else None


@groups_ignored.gives("weights")
def _(case: Case) -> Any:
    return case.cost.weights * _groups(case) if _groups(case) > 1 else None


@groups_ignored.gives("macs")
def _(case: Case) -> Any:
    return case.cost.macs * _groups(case) * case.batch if _groups(case) > 1 else None


flops_for_macs = misconception(
    "M14",
    "flops-for-macs",
    "multiply-adds against FLOPs",
    "One multiply-add is two floating-point operations: FLOPs = 2 × multiply-adds.",
)


@flops_for_macs.gives("macs")
def _(case: Case) -> Any:
    return 2 * case.cost.macs * case.batch


@flops_for_macs.gives("flops")
def _(case: Case) -> Any:
    return case.cost.macs * case.batch


bias_as_mac = misconception(
    "M1",
    "bias-as-multiply-add",
    "bias counted as a multiply-add",
    "Adding a bias is one addition, not a multiply-add; by this convention it is not counted.",
)


@bias_as_mac.gives("macs")
def _(case: Case) -> Any:
    return (case.cost.macs + case.cost.conv_bias_adds + case.cost.linear_bias_adds) * case.batch


bytes_forgotten = misconception(
    "M14",
    "values-for-bytes",
    "values given as bytes",
    "These are values: a value takes several bytes, 4 in float32, 2 in float16, 8 in float64.",
)


@bytes_forgotten.gives("bytes")
def _(case: Case) -> Any:
    return case.y.values * case.batch


bits_for_bytes = misconception(
    "M14",
    "bits-for-bytes",
    "bits given as bytes",
    "These are bits: a byte has 8 of them.",
)


@bits_for_bytes.gives("bytes")
def _(case: Case) -> Any:
    return case.y.values * case.batch * case.itemsize * 8


batch_forgotten = misconception(
    "N15",
    "batch-forgotten",
    "the batch forgotten",
    "Every image of the batch has maps (and operations) of its own; only parameters are shared.",
)


@batch_forgotten.gives("values")
def _(case: Case) -> Any:
    return case.y.values


@batch_forgotten.gives("bytes")
def _(case: Case) -> Any:
    return case.y.values * case.itemsize


@batch_forgotten.gives("macs")
def _(case: Case) -> Any:
    return case.cost.macs


@off_by_one_layer.gives("values")
def _(case: Case) -> Any:
    return case.x.values * case.batch


@off_by_one_layer.gives("bytes")
def _(case: Case) -> Any:
    return case.x.values * case.batch * case.itemsize


pairs_added = misconception(
    "N19",
    "pairs-added",
    "inputs and outputs added instead of multiplied",
    "A fully connected layer has one weight for every pair of an input and a unit: multiply, do not add.",
)


@pairs_added.gives("params", "weights", "macs")
def _(case: Case) -> Any:
    return case.x.dims[-1] + case.y.dims[-1] if case.layer.kind == "linear" else None


one_weight_an_input = misconception(
    "N20",
    "one-weight-an-input",
    "one weight for each input",
    "Every unit has weights of its own for all inputs: multiply by the number of units.",
)


@one_weight_an_input.gives("weights", "params", "macs")
def _(case: Case) -> Any:
    return case.x.dims[-1] if case.layer.kind == "linear" else None
