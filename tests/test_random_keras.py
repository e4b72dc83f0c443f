"""The same network by PyTorch, by an ONNX file and by a Keras archive: random chains of layers that all three have."""

from __future__ import annotations

import os
import random
import warnings
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import pytest

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
pytest.importorskip("onnx")

from keras import layers as L  # noqa: E402, N812
from onnx_models import exported  # noqa: E402
from random_modules import FIELDS, Step, told  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from rfcalc import from_keras, from_torch  # noqa: E402
from rfcalc.readers.onnx import from_onnx  # noqa: E402
from rfcalc.report import Report  # noqa: E402
from rfcalc.report.field_report import FieldReport  # noqa: E402


class Pair:
    """A chain of layers, in Keras (channels last) and in PyTorch (channels first)."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.channels, self.height, self.width = self.chance.choice((2, 3, 4)), 14, 13
        self.shape = (self.channels, self.height, self.width)
        self.keras: list[Any] = [keras.Input((self.height, self.width, self.channels))]
        self.torch: list[nn.Module] = []
        for _ in range(5):
            self.chance.choice((self.conv, self.conv, self.pool, self.norm, self.function, self.pad, self.resize))()
        if self.chance.random() < 0.3:
            self.whole()
        elif self.chance.random() < 0.4:
            self.walk()

    def put(self, mine: Any, theirs: nn.Module) -> None:
        self.keras.append(mine)
        self.torch.append(theirs)

    def conv(self) -> None:
        kernel = [self.chance.choice((1, 2, 3)) for _ in range(2)]
        stride, bias = self.chance.choice((1, 1, 2)), self.chance.random() < 0.6
        if min(self.height - kernel[0], self.width - kernel[1]) < 1:
            return
        if self.chance.random() < 0.3:
            mine = L.DepthwiseConv2D(kernel, stride, use_bias=bias)
            theirs = nn.Conv2d(self.channels, self.channels, kernel, stride, groups=self.channels, bias=bias)
        else:
            out = self.chance.choice((2, 4, 6))
            mine = L.Conv2D(out, kernel, stride, use_bias=bias)
            theirs = nn.Conv2d(self.channels, out, kernel, stride, bias=bias)
            self.channels = out
        self.height, self.width = (
            (n - k) // stride + 1 for n, k in zip((self.height, self.width), kernel, strict=True)
        )
        self.put(mine, theirs)

    def pool(self) -> None:
        size, stride = self.chance.choice((2, 3)), self.chance.choice((1, 2))
        if min(self.height, self.width) <= size:
            return
        kinds = ((L.MaxPooling2D, nn.MaxPool2d), (L.AveragePooling2D, nn.AvgPool2d))
        mine, theirs = self.chance.choice(kinds)
        self.height, self.width = ((n - size) // stride + 1 for n in (self.height, self.width))
        self.put(mine(size, stride), theirs(size, stride))

    def norm(self) -> None:
        self.put(L.BatchNormalization(), nn.BatchNorm2d(self.channels))

    def function(self) -> None:
        mine, theirs = self.chance.choice(
            (("relu", nn.ReLU), ("sigmoid", nn.Sigmoid), ("elu", nn.ELU), ("gelu", nn.GELU))
        )
        self.put(L.Activation(mine), theirs())

    def pad(self) -> None:
        top, bottom, left, right = (self.chance.choice((0, 1, 2)) for _ in range(4))
        self.height, self.width = self.height + top + bottom, self.width + left + right
        self.put(L.ZeroPadding2D(((top, bottom), (left, right))), Step(lambda x: F.pad(x, (left, right, top, bottom))))

    def resize(self) -> None:
        if max(self.height, self.width) < 16:
            self.height, self.width = 2 * self.height, 2 * self.width
            self.put(L.UpSampling2D(2), nn.Upsample(scale_factor=2))

    def whole(self) -> None:
        self.put(L.GlobalAveragePooling2D(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        self.put(L.Dense(5), nn.Linear(self.channels, 5))

    def walk(self) -> None:
        """A GRU along all positions, row by row."""
        count, both = self.height * self.width, self.chance.random() < 0.5
        self.keras.append(L.Reshape((count, self.channels)))
        self.torch.append(Step(lambda x: x.flatten(2).transpose(1, 2)))
        mine = L.GRU(4, return_sequences=True)
        cell = nn.GRU(self.channels, 4, batch_first=True, bidirectional=both)
        self.put(L.Bidirectional(mine) if both else mine, Step(lambda x, m: m(x)[0].transpose(1, 2), cell))


def compared(seeds: range, folder: Path) -> None:
    for seed in seeds:
        pair = Pair(seed)
        if not pair.torch:
            continue
        model = keras.Sequential(pair.keras)
        with warnings.catch_warnings():  # Keras reads PyTorch's tensors as NumPy does not like
            warnings.simplefilter("ignore", DeprecationWarning)
            model.save(folder / f"m{seed}.keras")
        module = nn.Sequential(*pair.torch).eval()
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5)
        by_keras = told(from_keras(folder / f"m{seed}.keras"))
        by_torch = told(from_torch(module, pair.shape))
        by_onnx = told(from_onnx(exported(module, *pair.shape)))
        for name in FIELDS:
            left = by_keras[name]
            if name == "output_shape" and len(left) == 2:  # positions × features there, features × positions here
                left = left if left == by_torch[name] else left[::-1]
            assert (seed, name, left) == (seed, name, by_torch[name])
            assert (seed, name, by_torch[name]) == (seed, name, by_onnx[name])


def test_the_same_by_three_roads(tmp_path: Path) -> None:
    compared(range(60), tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", range(100, 700, 100))
def test_many_by_three_roads(start: int, tmp_path: Path) -> None:
    compared(range(start, start + 100), tmp_path)


CELLS = (
    L.LSTM(6),
    L.GRU(6, return_sequences=True),
    L.GRU(6, reset_after=False),
    L.SimpleRNN(6, use_bias=False),
    L.Bidirectional(L.LSTM(6, return_sequences=True)),
    L.Bidirectional(L.GRU(6), merge_mode="sum"),
)


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_recurrent_layers_of_keras(cell: Any) -> None:
    """Parameters and shapes as Keras has them, with its one bias vector a gate."""
    i = keras.Input((7, 4))
    model = keras.Model(i, cell(i))
    read = from_keras(model)
    report = Report(read.network)
    assert read.complete
    assert report.totals.params == model.count_params()
    shape = tuple(model.output.shape[1:])
    assert report.rows[-1].output_shape == shape
    forward = cell.name.startswith("gru") and len(shape) == 2
    seen = sorted(FieldReport(report).unit((2,)).pixels()) if len(shape) == 2 else []
    assert seen == ([] if len(shape) == 1 else [(k,) for k in (range(3) if forward else range(7))])


def test_models_within_models() -> None:
    """Keras counts the uses of a layer in other models too: its making, and each model that it stands in."""
    i, j, k = (keras.Input((10,)) for _ in range(3))
    inner = keras.Model(i, L.Dense(10)(i))
    once = Report(from_keras(keras.Model(j, inner(j)).to_json()).network)
    assert (once.totals.params, once.totals.macs) == (110, 100)
    first = inner(k)
    both = from_keras(keras.Model(k, [first, inner(first)]).to_json()).network
    assert (Report(both).totals.params, Report(both).totals.macs, len(both.outputs)) == (110, 200, 2)


def test_channels_first_without_a_convolution_that_says_so() -> None:
    i = keras.Input((3, 8, 8))
    model = keras.Model(i, L.ReLU()(L.BatchNormalization(axis=1)(i)))
    report = Report(from_keras(model).network)
    assert report.rows[-1].output_shape == (3, 8, 8)
    assert report.totals.params == 6
