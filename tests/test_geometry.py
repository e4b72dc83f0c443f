"""The geometry of a sliding layer: made once, by the notation, a reader or a user, and held by the layer as it is."""

from __future__ import annotations

import json
import pickle

import pytest

from rfcalc import AvgPool, Conv, ConvTranspose, Depthwise, LpPool, MaxPool, Pad
from rfcalc.core import sliding
from rfcalc.core.errors import LayerError
from rfcalc.core.sliding import Rounding, Sliding
from rfcalc.core.window import Border
from rfcalc.notation import parse

KINDS = {
    "conv": lambda g: Conv(8, g),
    "depthwise": Depthwise,
    "conv_transpose": lambda g: ConvTranspose(8, g),
    "maxpool": MaxPool,
    "avgpool": AvgPool,
    "lppool": lambda g: LpPool(2, g),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_holds_the_geometry_that_it_is_given(kind: str) -> None:
    geometry = Sliding(3, 2)
    layer = KINDS[kind](geometry)
    assert layer.geometry is geometry
    assert (layer.kernel, layer.stride) == ((3,), (2,)) and layer.stride is geometry.stride
    assert layer == type(layer)(**{name: getattr(layer, name) for name in _parameters(layer)})


def _parameters(layer: object) -> list[str]:
    from dataclasses import fields

    return [f.name for f in fields(layer) if f.init]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["conv3-64/2 p1", "dwconv3/2", "convT2-64/2", "maxpool3/2 p1 ceil", "avgpool2"])
def test_the_notation_makes_one_geometry(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sliding] = []
    check = Sliding._check
    monkeypatch.setattr(sliding.Sliding, "_check", lambda self: (made.append(self), check(self))[1])
    (node,) = _nodes(text)
    assert len(made) == 1
    assert node.geometry is made[0]


def _nodes(text: str) -> list[object]:
    from rfcalc import load

    return [node.layer for node in load(text).nodes]


def test_control_a_second_geometry_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sliding] = []
    check = Sliding._check
    monkeypatch.setattr(sliding.Sliding, "_check", lambda self: (made.append(self), check(self))[1])
    Conv(8, 3), Conv(8, 3)
    assert len(made) == 2


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Conv(8, Sliding(3), stride=2), "says stride, padding and dilation"),
        (lambda: MaxPool(Sliding(3), rounding="ceil"), "says stride, padding and dilation"),
        (lambda: LpPool(2, Sliding(3, dilation=2)), "no parameter 'dilation'"),
        (lambda: Conv(8, Sliding(3, rounding="ceil")), "no parameter 'rounding'"),
        (lambda: Conv(8, 3, border="mirror"), "use one of: zeros, reflect, replicate, circular"),
        (lambda: MaxPool(3, 2, rounding="up"), "use one of: floor, ceil, ceil-onnx"),
    ],
)
def test_what_contradicts_the_geometry_is_refused(make: object, told: str) -> None:
    with pytest.raises(LayerError, match=told):
        make()  # type: ignore[operator]


def test_enumerations_are_their_words_in_files_and_source() -> None:
    conv = Conv(8, 3, border="reflect")
    assert conv.border is Border.REFLECT and conv == Conv(8, 3, border=Border.REFLECT)
    assert MaxPool(3, 2, rounding="ceil").rounding is Rounding.CEIL
    assert json.dumps([conv.border, Rounding.CEIL_ONNX]) == '["reflect", "ceil-onnx"]'
    assert repr(conv) == "Conv(8, 3, border='reflect')" and repr(Pad(1, "circular")) == "Pad(1, 'circular')"
    assert pickle.loads(pickle.dumps(conv)).border is Border.REFLECT
    assert parse("conv3-8 reflect").expr == Conv(8, 3, padding=1, border="reflect")
