"""Keras' layers against Keras itself: parameters, and what every unit sees when one position of the input changes."""

# ruff: noqa: PLW0108  layers are made where the precision is set

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import pytest
import torch
from keras import layers as L  # noqa: N812
from keras_seen import compared
from test_keras import double

torch.set_num_threads(1)
TD = L.TimeDistributed


def seq(x: Any, *layers: Any) -> Any:
    for layer in layers:
        x = layer(x)
    return x


CASES: dict[str, tuple[tuple[int, ...], Any]] = {
    "td conv": ((4, 6, 5, 2), lambda x: TD(L.Conv2D(3, 3, padding="same"))(x)),
    "td conv same2": ((4, 6, 5, 2), lambda x: TD(L.Conv2D(3, (3, 2), strides=2, padding="same", activation="relu"))(x)),
    "td chain": (
        (4, 6, 5, 2),
        lambda x: seq(
            x,
            TD(L.Conv2D(3, 3)),
            TD(L.BatchNormalization()),
            TD(L.MaxPooling2D(2)),
            TD(L.Flatten()),
            TD(L.Dense(3)),
            L.LSTM(3, return_sequences=True),
        ),
    ),
    "td gap": ((4, 6, 5, 2), lambda x: seq(x, TD(L.Conv2D(3, 3)), TD(L.GlobalAveragePooling2D()), L.Conv1D(3, 2))),
    "td dense": ((5, 4), lambda x: seq(x, TD(L.Dense(3)), L.Conv1D(2, 3))),
    "td model": (
        (4, 6, 5, 2),
        lambda x: TD(keras.Sequential([keras.Input((6, 5, 2)), L.Conv2D(3, 3), L.ReLU(), L.GlobalAveragePooling2D()]))(
            x
        ),
    ),
    "td one": ((1, 6, 5, 2), lambda x: seq(x, TD(L.Conv2D(3, 3)))),
    "td lstm": ((3, 5, 4), lambda x: TD(L.LSTM(3, return_sequences=True))(x)),
    "td lstm last": ((3, 5, 4), lambda x: TD(L.LSTM(3))(x)),
    "td up": ((3, 4, 5, 2), lambda x: TD(L.UpSampling2D((2, 1)))(TD(L.ZeroPadding2D(((1, 0), (0, 2))))(x))),
    "td transposed": ((3, 4, 5, 2), lambda x: TD(L.Conv2DTranspose(3, 3, strides=2, padding="same"))(x)),
    "td dw": ((3, 6, 5, 2), lambda x: TD(L.SeparableConv2D(3, 3))(TD(L.DepthwiseConv2D(2))(x))),
    "td reshape": ((3, 6, 4), lambda x: TD(L.Reshape((2, 3, 4)))(x)),
    "td ln": ((3, 6, 4), lambda x: TD(L.LayerNormalization())(x)),
    "td permute": ((3, 6, 4), lambda x: TD(L.Permute((2, 1)))(x)),
    "td channels first": ((4, 2, 6, 5), lambda x: TD(L.Conv2D(3, 3, padding="same", data_format="channels_first"))(x)),
    "convlstm": ((4, 6, 5, 2), lambda x: L.ConvLSTM2D(3, 3, padding="same")(x)),
    "convlstm seq": (
        (4, 6, 5, 2),
        lambda x: L.ConvLSTM2D(3, 3, padding="valid", strides=(2, 1), return_sequences=True)(x),
    ),
    "convlstm back": ((3, 6, 6, 2), lambda x: L.ConvLSTM2D(2, (2, 3), return_sequences=True, go_backwards=True)(x)),
    "convlstm1": ((3, 7, 2), lambda x: L.ConvLSTM1D(2, 3, return_sequences=True, use_bias=False)(x)),
    "convlstm channels first": (
        (4, 2, 7, 5),
        lambda x: L.ConvLSTM2D(2, 3, return_sequences=True, data_format="channels_first")(x),
    ),
    "rnn": ((7, 3), lambda x: L.RNN(L.LSTMCell(4), return_sequences=True)(x)),
    "rnn stacked": ((7, 3), lambda x: L.RNN([L.LSTMCell(4), L.GRUCell(2)], return_sequences=True)(x)),
    "rnn back": ((7, 3), lambda x: L.RNN(L.GRUCell(4, reset_after=False), return_sequences=True, go_backwards=True)(x)),
    "bi rnn": ((7, 3), lambda x: L.Bidirectional(L.RNN(L.LSTMCell(4), return_sequences=True), merge_mode="ave")(x)),
    "bi none": (
        (7, 3),
        lambda x: L.Concatenate()(L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=None)(x)),
    ),
    "bi state": ((7, 3), lambda x: L.Concatenate()(L.Bidirectional(L.LSTM(4, return_state=True))(x))),
    "lstm state": (
        (7, 3),
        lambda x: (lambda o: L.LSTM(4, return_sequences=True)(L.Conv1D(2, 3)(x), initial_state=o[1:]))(
            L.LSTM(4, return_state=True)(x)
        ),
    ),
    "spectral": ((6, 5, 3), lambda x: L.SpectralNormalization(L.Conv2D(2, 3))(x)),
    "bi gru": ((7, 3), lambda x: L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="sum")(x)),
}


@pytest.mark.parametrize("name", CASES)
def test_units_of_layers(name: str) -> None:
    shape, body = CASES[name]
    keras.utils.set_random_seed(0)
    with double():
        i = keras.Input(shape)
        model = keras.Model(i, body(i))
        last = 1 if name.endswith("first") and len(shape) > 3 else 0 if name.endswith("first") else len(shape) - 1
        assert compared(model, last) == ""
