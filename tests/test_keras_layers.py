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
from keras import ops
from keras_seen import compared
from test_keras import double

import rfcalc

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
    "mha": ((6, 8), lambda x: L.MultiHeadAttention(2, 3)(x, x)),
    "mha causal": ((6, 8), lambda x: L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)),
    "mha window": ((6, 8), lambda x: L.MultiHeadAttention(2, 4, sliding_window=2)(x, x)),
    "mha window causal": ((6, 8), lambda x: L.MultiHeadAttention(2, 4, sliding_window=3)(x, x, use_causal_mask=True)),
    "mha gate": ((6, 8), lambda x: L.MultiHeadAttention(2, 4, use_gate=True, value_dim=3)(x, x)),
    "mha cross": ((6, 8), lambda x: L.MultiHeadAttention(2, 3)(x, L.Conv1D(4, 3)(x), use_causal_mask=True)),
    "mha out": ((6, 8), lambda x: L.MultiHeadAttention(2, 3, output_shape=5)(x, x)),
    "gqa": ((6, 8), lambda x: L.GroupQueryAttention(3, 4, 2)(x, x)),
    "gqa causal": ((6, 8), lambda x: L.GroupQueryAttention(3, 4, 2)(x, x, use_causal_mask=True)),
    "attention": ((6, 4), lambda x: L.Attention()([x, L.Conv1D(4, 2)(x)])),
    "attention causal": ((6, 4), lambda x: L.Attention(use_scale=True)([x, x], use_causal_mask=True)),
    "additive": ((6, 4), lambda x: L.AdditiveAttention()([x, x])),
    "dot": ((6, 4), lambda x: L.Dot((1, 1))([x, L.Conv1D(3, 3, padding="same")(x)])),
    "dot2": ((6, 4), lambda x: L.Dot((2, 2))([x, L.Conv1D(4, 3)(x)])),
    "dot3": ((4, 5, 3), lambda x: L.Dot((3, 1))([x, L.GlobalAveragePooling2D()(x)])),
    "dot vec": ((4, 3), lambda x: L.Dot(1)([L.Flatten()(x), L.Flatten()(x)])),
    "einsum": ((6, 4), lambda x: ops.einsum("bij,bkj->bik", x, L.Conv1D(4, 3)(x))),
    "einsum4": ((6, 5, 4), lambda x: ops.einsum("bhwc,bc->bhw", x, L.GlobalAveragePooling2D()(x))),
    "gn axis first": ((4, 6, 5), lambda x: L.GroupNormalization(2, axis=1)(x)),
    "bn axis": ((4, 6, 5), lambda x: L.BatchNormalization(axis=2)(L.Conv2D(3, 2)(x))),
    "unit norm": ((4, 6, 5), lambda x: L.UnitNormalization()(x)),
    "permute all": ((4, 6, 5), lambda x: L.Permute((2, 3, 1))(L.Conv2D(3, 3)(x))),
    "permute first": ((3, 6, 5), lambda x: L.Permute((2, 3, 1))(L.Conv2D(2, 3, data_format="channels_first")(x))),
    "reshape tokens": ((4, 6, 5), lambda x: L.Conv1D(3, 2)(L.Reshape((24, 5))(x))),
    "reshape back": ((4, 6, 5), lambda x: L.Conv2D(3, 2)(L.Reshape((4, 6, 3))(L.Dense(3)(L.Reshape((24, 5))(x))))),
    "flatten first": (
        (3, 4, 5),
        lambda x: L.Reshape((2, 4, 5))(L.Flatten()(L.Conv2D(2, 1, data_format="channels_first")(x))),
    ),
    "reshape split": ((4, 6, 5), lambda x: L.Reshape((4, 3, 2, 5))(x)),
    "reshape mix": ((4, 6, 4), lambda x: L.Reshape((4, 12, 2))(x)),
    "crop first": ((2, 6, 7), lambda x: L.Cropping2D(((1, 0), (2, 1)), data_format="channels_first")(x)),
    "up first": ((2, 3, 4), lambda x: L.UpSampling2D((2, 3), data_format="channels_first")(x)),
    "sep first": (
        (2, 6, 7),
        lambda x: L.SeparableConv2D(3, 3, strides=2, padding="same", data_format="channels_first")(x),
    ),
    "causal": ((9, 3), lambda x: L.Conv1D(2, 3, strides=2, padding="causal")(x)),
    "sepcausal": ((9, 3), lambda x: L.SeparableConv1D(2, 3, padding="same", dilation_rate=2)(x)),
    "pad3": ((3, 4, 5, 2), lambda x: L.Conv3D(2, 2)(L.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))(x))),
    "flip": ((4, 6, 3), lambda x: ops.flip(L.Conv2D(2, 2)(x), axis=1)),
    "roll": ((7, 3), lambda x: ops.roll(L.Conv1D(2, 2)(x), 2, axis=1)),
    "repeat": ((5, 3), lambda x: L.Conv1D(2, 2)(ops.repeat(x, 3, axis=1))),
    "tile": ((5, 3), lambda x: L.Conv1D(2, 2)(ops.tile(x, (1, 2, 1)))),
    "take": ((5, 3), lambda x: L.Conv1D(2, 2)(ops.take(x, [0, 3, 4], axis=1))),
    "swap": ((4, 5, 3), lambda x: ops.swapaxes(L.Conv2D(2, 2)(x), 1, 2)),
    "move": ((4, 5, 3), lambda x: ops.moveaxis(L.Conv2D(2, 2)(x), -1, 1)),
    "cumsum": ((5, 3), lambda x: ops.cumsum(L.Conv1D(2, 2)(x), axis=1)),
    "diff": ((6, 3), lambda x: ops.diff(L.Conv1D(2, 2)(x), axis=1)),
    "unstack": ((4, 3), lambda x: ops.add(*ops.unstack(L.Conv1D(2, 2)(x), axis=1)[:2])),
    "maxpool": ((6, 7, 3), lambda x: ops.average_pool(x, 2, strides=1, padding="same")),
    "masking": ((7, 3), lambda x: L.LSTM(4, return_sequences=True)(L.Masking(0.5)(x))),
    "masked bi": ((7, 3), lambda x: L.Bidirectional(L.GRU(4, return_sequences=True))(L.Masking(0.5)(x))),
    "where": ((5, 6, 3), lambda x: ops.where(x > 0.5, x, 0.0)),
    "newaxis": ((6, 3), lambda x: L.Conv2D(2, (2, 1))(x[:, :, None, :])),
    "ellipsis": ((6, 5, 3), lambda x: x[..., 1:]),
    "int": ((6, 5, 3), lambda x: L.Conv2D(2, 2)(x)[:, 1]),
    "mean chan": ((5, 6, 3), lambda x: ops.multiply(ops.mean(x, axis=-1, keepdims=True), x)),
    "mean chan gone": ((5, 6, 3), lambda x: ops.mean(x, axis=-1)),
    "max rows": ((5, 6, 3), lambda x: ops.sum(L.Conv2D(2, 2)(x), axis=(1,))),
    "mean chan conv": ((5, 6, 3), lambda x: L.Conv1D(4, 2)(ops.mean(x, axis=-1))),
    "squeeze": ((5, 1, 3), lambda x: L.Conv1D(2, 2)(ops.squeeze(x, 2))),
    "stack": ((5, 3), lambda x: ops.stack([x, L.Conv1D(3, 3, padding="same")(x)], axis=2)),
    "stack max": ((5, 3), lambda x: ops.sum(ops.stack([x, L.Conv1D(3, 3, padding="same")(x)], axis=1), axis=1)),
    "concat ch": ((5, 6, 3), lambda x: ops.concatenate([x, L.Conv2D(2, 3, padding="same")(x)], axis=-1)),
    "slice ch": ((5, 6, 3), lambda x: ops.concatenate([x, L.Conv2D(2, 3, padding="same")(x)], axis=-1)[..., :2]),
    "pad ch": ((5, 6, 3), lambda x: L.Conv2D(2, 2)(ops.pad(x, ((0, 0), (1, 0), (0, 2), (0, 1))))),
    "pad reflect": ((5, 6, 3), lambda x: L.Conv2D(2, 3)(ops.pad(x, ((0, 0), (1, 1), (0, 2), (0, 0)), mode="reflect"))),
    "matmul": ((5, 4), lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1)))),
    "prelu": ((5, 6, 3), lambda x: L.PReLU(shared_axes=[1])(x)),
    "shuffle": (
        (4, 6, 4),
        lambda x: ops.reshape(ops.transpose(ops.reshape(x, (-1, 4, 6, 2, 2)), (0, 1, 3, 2, 4)), (-1, 8, 12, 1)),
    ),
    "unshuffle": (
        (4, 6, 3),
        lambda x: ops.reshape(ops.transpose(ops.reshape(x, (-1, 2, 2, 3, 2, 3)), (0, 1, 3, 2, 4, 5)), (-1, 2, 3, 12)),
    ),
    "windows": (
        (4, 6, 3),
        lambda x: ops.reshape(
            ops.transpose(
                ops.reshape(
                    ops.flip(ops.transpose(ops.reshape(x, (-1, 2, 2, 3, 2, 3)), (0, 1, 3, 2, 4, 5)), axis=3),
                    (-1, 2, 3, 2, 2, 3),
                ),
                (0, 1, 3, 2, 4, 5),
            ),
            (-1, 4, 6, 3),
        ),
    ),
    "gelu": ((5, 6, 3), lambda x: ops.gelu(ops.log_softmax(x, axis=-1))),
    "dense after mean": ((5, 6, 3), lambda x: L.Dense(4)(ops.mean(x, axis=(2, 3)))),
}


def test_control_a_wrong_reading_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from rfcalc.readers.keras.layers import rearrange

    with double():
        i = keras.Input((6, 7, 2))
        model = keras.Model(i, L.Conv2D(2, 3)(L.Cropping2D(((1, 0), (0, 0)))(i)))
    with double():
        assert compared(model, 2) == ""
        own = rearrange._padded
        monkeypatch.setattr(rearrange, "_padded", lambda call, sides: own(call, tuple(s[::-1] for s in sides)))
        assert "not real" in compared(model, 2)


@pytest.mark.parametrize("name", CASES)
def test_units_of_layers(name: str) -> None:
    shape, body = CASES[name]
    keras.utils.set_random_seed(0)
    with double():
        i = keras.Input(shape)
        model = keras.Model(i, body(i))
        last = 1 if name.endswith("first") and len(shape) > 3 else 0 if name.endswith("first") else len(shape) - 1
        assert compared(model, last) == ""


def test_glu_as_a_layer_inside_a_model_that_keras_builds_wrongly() -> None:
    """Keras takes `Activation("glu")` to keep the channels, which it halves: such a model does not run there either."""
    layers = [L.Conv2D(8, 3), L.Activation("glu"), L.Conv2D(4, 1)]
    model = keras.Sequential([keras.Input((6, 6, 3)), *layers])
    with pytest.raises(ValueError, match="expected axis -1"):
        model(ops.zeros((1, 6, 6, 3)))
    with pytest.raises(rfcalc.RfcalcError, match="Keras takes glu to leave 8 channels, but it makes 4"):
        rfcalc.from_keras(model)
