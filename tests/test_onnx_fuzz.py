"""The ONNX reader on damaged files: an answer or one clear error, quickly, and never a traceback."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_bytes import Branch, chain, function, graph, node, shapes, tensor, value

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.onnx import from_onnx
from rfcalc.report import Report

BRANCH = Branch(graph([node("Relu", "e", "z")], outputs=[value("z", None)]))
NODES = [
    node("Conv", "x w b", "a", "/a/Conv", pads=[1, 1, 1, 1], strides=[2, 2], group=1),
    node("BatchNormalization", "a g g g g", "c", epsilon=0.001),
    node("MaxPool", "c", "d", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, auto_pad="NOTSET"),
    node("Own", "d", "e", domain="own"),
    node("Constant", "", "k", value=tensor("", [], [True], 9)),
    node("If", "k", "f", then_branch=BRANCH, else_branch=BRANCH),
    node(
        "Resize", "f - scales", "u", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    node("Slice", "u zero two axes", "s"),
    node("Concat", "s s", "j", axis=1),
    node("Shape", "j", "n"),
    node("Gather", "n zero0", "m", axis=0),
    node("Unsqueeze", "m zero", "m1"),
    node("Constant", "", "rest", value=shapes(-1)),
    node("Concat", "m1 rest", "t", axis=0),
    node("Reshape", "j t", "r"),
    node("Gemm", "r v", "q", transB=1, alpha=1.0),
    node("Softmax", "q", "y", axis=-1),
]
TENSORS = [
    tensor("w", [8, 3, 3, 3]),
    tensor("b", [8], [0.5] * 8),
    tensor("g", [8], [1.0] * 8),
    tensor("scales", [4], [1.0, 1.0, 2.0, 2.0]),
    tensor("zero", [1], [0], 7),
    tensor("two", [1], [2], 7),
    tensor("axes", [1], [2], 7),
    tensor("zero0", [], [0], 7),
    tensor("v", [5, 16 * 2 * 8], outside="weights.bin"),
]
OWN = function("Own", "p", "q", [node("Sigmoid", "p", "h"), node("Mul", "p h", "q")])
WHOLE = chain(*NODES, given=(1, 3, 16, 16), tensors=TENSORS, functions=[OWN], infos=[value("a", [1, 8, 8, 8])])


def test_the_whole_file_is_fine() -> None:
    read = from_onnx(WHOLE)
    assert read.complete
    kinds = "conv batchnorm maxpool activation activation upsample slice concat flatten linear softmax"
    assert [n.layer.kind for n in read.network.nodes] == kinds.split()


def survives(source: bytes) -> bool:
    """Whether a file is read; an error must be one of ours, with a message of a few lines."""
    try:
        told = str(Report(from_onnx(source).network).totals.macs)
        fine = True
    except RfcalcError as error:
        told, fine = str(error), False
    assert 0 < len(told) < 3000
    return fine


def mutated(source: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, put in, taken out, repeated, or the end cut off."""
    data = bytearray(source)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        if not data:  # the end was cut off at the first byte, and that byte taken out
            break
        at = chance.randrange(len(data))
        kind = chance.random()
        if kind < 0.6:
            data[at] = chance.choice(
                (0, 1, 2, 0x7F, 0x80, 0xFF, data[at] ^ 1 << chance.randrange(8), chance.randrange(256))
            )
        elif kind < 0.75:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 12)))
        elif kind < 0.85:
            del data[at : at + chance.randrange(1, 30)]
        elif kind < 0.95:
            data[at:at] = data[at : at + chance.randrange(1, 200)]
        else:
            del data[at + 1 :]
    return bytes(data)


def bombarded(count: int, seed: int) -> tuple[int, float]:
    """How many of `count` damaged files could be read, and the longest time that one took."""
    chance = random.Random(seed)
    fine, longest = 0, 0.0
    for _ in range(count):
        source = mutated(WHOLE, chance)
        started = time.process_time()
        fine += survives(source)
        longest = max(longest, time.process_time() - started)
    return fine, longest


def test_damaged_files() -> None:
    tracemalloc.start()
    fine, longest = bombarded(250, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 15 < fine < 235  # the damage matters, and not all of it is caught at the first byte
    assert longest < 5
    assert peak < 200_000_000


def test_every_byte() -> None:
    """Every 3rd byte of the file, replaced by one that means much."""
    for at in range(0, len(WHOLE), 3):
        survives(WHOLE[:at] + b"\xff" + WHOLE[at + 1 :])


def test_every_length() -> None:
    for end in range(0, len(WHOLE), 7):
        survives(WHOLE[:end])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_any_bytes(source: bytes) -> None:
    survives(source)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_damaged_files(seed: int) -> None:
    fine, longest = bombarded(4000, seed)
    assert 100 < fine < 3900
    assert longest < 10
