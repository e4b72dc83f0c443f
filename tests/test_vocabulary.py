"""One function has one name, whatever it was read from."""

from __future__ import annotations

from rfcalc.layers.pointwise import Activation
from rfcalc.readers.builder.vocabulary import (
    KERAS,
    KERAS_ACTIVATIONS,
    KERAS_FUNCTIONS,
    KERAS_SEVERAL,
    ONNX,
    ONNX_SEVERAL,
    OTHERS,
    SEVERAL,
    UNARY,
)


def test_other_formats_use_the_same_names() -> None:
    assert {*ONNX.values(), *KERAS.values(), *KERAS_FUNCTIONS.values()} <= {*UNARY, *OTHERS}
    assert {*ONNX_SEVERAL.values(), *KERAS_SEVERAL.values()} <= set(SEVERAL)
    assert {Activation(name).function for name in KERAS_ACTIVATIONS.values()} == set(KERAS_ACTIVATIONS.values())


def test_names_stand_once() -> None:
    assert len({*UNARY, *OTHERS, *SEVERAL}) == len(UNARY) + len(OTHERS) + len(SEVERAL)
