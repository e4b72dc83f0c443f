"""Random Keras models of every sort of layer against Keras itself: parameters, and what each unit sees when one
position of the input changes."""

from __future__ import annotations

import os
import random
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import pytest
import torch
from keras import layers as L  # noqa: N812
from keras import ops
from keras_seen import compared
from test_keras import double

torch.set_num_threads(1)


class Drawn:
    """A random model: images (channels last or first), sequences, or sequences of images."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.first = False
        sort = self.chance.choice(("image", "image", "first", "sequence", "sequence", "frames"))
        c = self.chance.choice((2, 3, 4))
        if sort == "frames":
            self.shape, self.channel = (3, 5, 6, c), 3
        elif sort == "sequence":
            self.shape, self.channel = (8, c), 1
        elif sort == "first":
            self.first, self.shape, self.channel = True, (c, 6, 7), 0
        else:
            self.shape, self.channel = (6, 7, c), 2
        self.input = x = keras.Input(self.shape)
        self.words: list[str] = []
        if self.first:  # what says that channels come first
            x = L.Conv2D(4, 1, data_format="channels_first")(x)
        for _ in range(4):
            kinds = {2: self.tokens, 3: self.images, 4: self.frames}
            x = kinds[len(x.shape) - 1](x) if len(x.shape) > 2 else x
        self.model = keras.Model(self.input, x)

    def put(self, x: Any, layer: Any, least: int = 1) -> Any:
        """The layer, if what it makes is not smaller than a position, nor too large."""
        try:
            shape = layer.compute_output_shape(x.shape)
        except (ValueError, RuntimeError):
            return x
        if any(n is not None and not least <= n <= 24 for n in shape[1:]):
            return x
        self.words.append(type(layer).__name__)
        return layer(x)

    def image_layer(self, form: str) -> Any:
        pick = self.chance.choice
        kernel, stride = (pick((1, 2, 3)), pick((1, 2, 3))), pick((1, 1, 2))
        pad, bias = pick(("same", "valid")), pick((True, False))
        own = {"data_format": form}
        made = (
            lambda: L.Conv2D(4, kernel, strides=stride, padding=pad, use_bias=bias, activation="tanh", **own),
            lambda: L.Conv2D(4, kernel, dilation_rate=2, padding=pad, **own),
            lambda: L.DepthwiseConv2D(pick((2, 3)), strides=stride, padding=pad, depth_multiplier=pick((1, 2)), **own),
            lambda: L.SeparableConv2D(3, pick((2, 3)), strides=stride, padding=pad, **own),
            lambda: L.Conv2DTranspose(3, pick((2, 3)), strides=stride, padding=pad, **own),
            lambda: L.AveragePooling2D(kernel, stride, padding=pad, **own),
            lambda: L.UpSampling2D((pick((1, 2)), pick((1, 2))), **own),
            lambda: L.ZeroPadding2D(((pick((0, 1)), pick((0, 2))), (pick((0, 1)), 1)), **own),
            lambda: L.Cropping2D(((pick((0, 1)), 0), (1, pick((0, 1)))), **own),
            lambda: L.BatchNormalization(axis=1 if form == "channels_first" else -1),
            lambda: L.LayerNormalization(axis=-1),
            lambda: L.Activation(pick(("sigmoid", "softplus", "gelu", "elu"))),
        )
        return pick(made)()

    def images(self, x: Any) -> Any:
        form = "channels_first" if self.first else "channels_last"
        h, w, c = x.shape[1:]
        other = self.chance.randrange(14)
        if other == 0:
            return self.put(
                x, L.Permute(self.chance.choice(((2, 1, 3), (1, 2, 3)) if not self.first else ((1, 3, 2),)))
            )
        if other == 1 and not self.first:
            return self.put(x, L.Reshape((h * w, c)))
        if other == 2 and not self.first and h % 2 == 0:
            return self.put(x, L.Reshape((h // 2, 2, w, c)))
        if other == 3:
            return ops.flip(x, axis=self.chance.choice((2, 3) if self.first else (1, 2)))
        if other == 4:
            self.words.append("skip")
            y = L.Conv2D(c if not self.first else h, 3, padding="same", data_format=form)(x)
            return self.chance.choice((L.Add, L.Multiply, L.Subtract))()([x, y])
        if other == 5 and not self.first:
            return ops.mean(x, axis=self.chance.choice((1, 2)))
        if other == 6:
            return ops.roll(x, 2, axis=2)
        return self.put(x, self.image_layer(form))

    def tokens(self, x: Any) -> Any:
        pick = self.chance.choice
        n, c = x.shape[1:]
        made = (
            lambda: L.Conv1D(4, pick((1, 2, 3)), strides=pick((1, 2)), padding=pick(("same", "valid"))),
            lambda: L.Conv1D(4, pick((2, 3)), padding="causal", dilation_rate=pick((1, 2))),
            lambda: L.SeparableConv1D(4, 2, padding="same"),
            lambda: L.Dense(pick((3, 4)), activation="sigmoid"),
            lambda: L.AveragePooling1D(2, padding=pick(("same", "valid"))),
            lambda: L.LSTM(3, return_sequences=True, go_backwards=pick((True, False))),
            lambda: L.GRU(3, return_sequences=True, reset_after=pick((True, False))),
            lambda: L.RNN([L.SimpleRNNCell(3), L.GRUCell(2)], return_sequences=True),
            lambda: L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode=pick(("concat", "sum", "ave"))),
            L.LayerNormalization,
            L.UpSampling1D,
            lambda: L.Cropping1D((1, 0)),
            lambda: L.ZeroPadding1D((0, 2)),
        )
        other = self.chance.randrange(16)
        if other == 0 and n % 2 == 0 and not self.first:
            return self.put(x, L.Reshape((n // 2, 2, c)))
        if other == 1:
            self.words.append("attention")
            layer = L.MultiHeadAttention(2, 2, sliding_window=pick((None, 2)), use_gate=pick((True, False)))
            return layer(x, x, use_causal_mask=pick((True, False)))
        # what is multiplied by zero is not seen, and large numbers leave sigmoids as they are
        if other == 2 and not {"ZeroPadding1D", "cumsum", "dot"} & set(self.words):
            self.words.append("dot")
            return L.Dot((2, 1))([L.Dot((2, 2))([x, L.Dense(c)(x)]), x])
        if other == 3:
            self.words.append("cumsum")
            return ops.cumsum(x, axis=1)
        if other == 4:
            return ops.concatenate([x, ops.flip(x, axis=1)], axis=pick((1, 2)))
        return self.put(x, pick(made)())

    def frames(self, x: Any) -> Any:
        pick = self.chance.choice
        t, h, w, c = x.shape[1:]
        pad = pick(("same", "valid"))
        made = (
            lambda: L.TimeDistributed(self.image_layer("channels_last")),
            lambda: L.TimeDistributed(self.image_layer("channels_last")),
            lambda: L.TimeDistributed(L.Flatten()),
            lambda: L.TimeDistributed(L.GlobalAveragePooling2D()),
            lambda: L.ConvLSTM2D(2, pick((1, 2, 3)), padding=pad, return_sequences=pick((True, False))),
            lambda: L.Conv3D(3, (1, 2, 2), padding=pick(("same", "valid"))),
            lambda: L.AveragePooling3D((1, 2, 2)),
            lambda: L.Permute((1, 3, 2, 4)),
            lambda: L.Reshape((t, h * w, c)),
        )
        return self.put(x, pick(made)())


def check(seeds: range) -> None:
    seen = set()
    for seed in seeds:
        with double():
            keras.utils.set_random_seed(seed)
            drawn = Drawn(seed)
            seen.update(drawn.words)
            assert (seed, drawn.words, compared(drawn.model, drawn.channel)) == (seed, drawn.words, "")
    assert len(seen) > min(10, len(seeds) // 3)


@pytest.mark.parametrize("start", range(0, 30, 10))
def test_random_models(start: int) -> None:
    check(range(start, start + 10))


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", range(100, 600, 50))
def test_many_random_models(start: int) -> None:
    check(range(start, start + 50))
