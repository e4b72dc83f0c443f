"""Parameters that must be named: PyTorch's order, with the input's channels in it, is no other layer in silence."""

from __future__ import annotations

import pytest

import rfcalc
from rfcalc.core.errors import LayerError
from tests.written import PARAMETERS

# what somebody who knows PyTorch types → what the message must hold
TYPED = {
    "Conv(3, 64, 3)": "Conv(64, 3)",
    "Conv(3, 64, 3, 2, 1)": "Conv(64, 3, stride=2, padding=1)",
    "Conv(3, 64, (1, 7), padding=1)": "Conv(64, (1, 7), padding=1)",
    "Conv(64, 3, 2)": "Conv(64, 3, stride=2)",
    "ConvTranspose(64, 32, 2, 2)": "ConvTranspose(32, 2, stride=2)",
    "ConvTranspose(64, 32, 3, 2, 1, 1, 4, False)": "output_padding=1, groups=4, bias=False)",
    "Depthwise(32, 3)": "Depthwise(3)",
    "Depthwise(8, 8, 5, 2)": "Depthwise(5, stride=2)",
    "Linear(512, 10)": "Linear(10)",
    "Linear(512, 10, False)": "Linear(10, bias=False)",
    "BatchNorm(64)": "BatchNorm()",
    "GroupNorm(32, 64)": "GroupNorm(32)",
    "InstanceNorm(64)": "InstanceNorm()",
    "SelfAttention(512, 8)": "SelfAttention(8)",
    "MaxPool(3, 2, 1, 1)": "MaxPool(3, 2, 1, dilation=1)",
    "AvgPool(3, 2, 1, True)": "AvgPool(3, 2, 1, rounding=True)",
}


@pytest.mark.parametrize("typed", TYPED)
def test_pytorchs_order_is_caught_with_the_right_call(typed: str) -> None:
    with pytest.raises(LayerError) as refused:
        eval(typed, vars(rfcalc) | {name: getattr(rfcalc, name) for name in PARAMETERS})
    assert f"write {TYPED[typed]}" in refused.value.fix or TYPED[typed] in refused.value.fix


@pytest.mark.parametrize("right", ["Conv(64, 3)", "Conv(64, 3, stride=2)", "MaxPool(3, 2, 1)", "LpPool(2, 3, 2)"])
def test_control_what_is_named_is_taken_and_printed_alike(right: str) -> None:
    assert repr(eval(right, {name: getattr(rfcalc, name) for name in PARAMETERS})) == right.replace(
        ", 1)", ", padding=1)"
    )


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("Conv(out_channels=64, kernel_size=3)", "did you mean kernel?"),
        ("Conv(in_channels=3, out_channels=64, kernel=3)", "the channels come from the input"),
        ("BatchNorm(num_features=64)", "the channels come from the input"),
        ("Conv(64)", "'kernel' is missing"),
        ("MaxPool(3, strid=2)", "did you mean stride?"),
    ],
)
def test_names_that_do_not_exist_and_what_is_missing(typed: str, told: str) -> None:
    with pytest.raises(LayerError) as refused:
        eval(typed, {name: getattr(rfcalc, name) for name in PARAMETERS})
    assert told in str(refused.value)
