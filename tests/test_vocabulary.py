"""One function has one name, whatever it was read from."""

from __future__ import annotations

from rfcalc.readers.builder.vocabulary import ONNX, ONNX_SEVERAL, SEVERAL, UNARY


def test_other_formats_use_the_same_names() -> None:
    assert set(ONNX.values()) <= set(UNARY)
    assert set(ONNX_SEVERAL.values()) <= set(SEVERAL)


def test_names_stand_once() -> None:
    assert len({*UNARY, *SEVERAL}) == len(UNARY) + len(SEVERAL)
