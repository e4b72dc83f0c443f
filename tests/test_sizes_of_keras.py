"""Valid sizes of Keras models: at every size the answer is what Keras itself does, layer by layer on zeros, or it is
said that the sizes cannot be told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
L = keras.layers
SIZES = range(1, 41)


def start(sides: tuple[int | None, int | None] = (None, None)) -> Any:
    return keras.Input((*sides, 3))


def u_net(x: Any) -> Any:
    a = L.Conv2D(4, 3, padding="same")(x)
    b = L.MaxPooling2D(2)(a)
    up = L.UpSampling2D(2)(L.Conv2D(4, 3, 2, padding="same")(b))
    return L.Concatenate()([L.Conv2DTranspose(2, 2, 2)(L.Concatenate()([up, b])), a])


def cropped_skip(x: Any) -> Any:
    a = L.Conv2D(3, 5)(x)
    return L.Add()([L.ZeroPadding2D(((1, 0), (0, 1)))(a), L.Cropping2D(((2, 1), (1, 2)))(x)])


def transposed(x: Any) -> Any:
    return L.Conv2DTranspose(4, 5, 3, padding="same", output_padding=1)(L.Conv2D(4, 3, 2)(x))


def transposed_small(x: Any) -> Any:
    return L.Conv2DTranspose(2, 2, 3)(x)


def cut_in_the_middle(x: Any) -> Any:
    return L.Conv2D(4, 3, padding="same")(L.CenterCrop(12, 20)(x))


def fully_connected(x: Any) -> Any:
    return L.Dense(5)(L.Flatten()(L.MaxPooling2D(4)(x)))


def pooled(x: Any) -> Any:
    return L.Dense(5)(L.GlobalAveragePooling2D()(x))


def what_remains(x: Any) -> Any:
    return L.Reshape((-1, 8, 6))(x)


def sliced(x: Any) -> Any:
    return L.Conv2D(4, 3, 2, padding="same")(x[:, 2:-3, :15])


def every_other(x: Any) -> Any:
    return L.Concatenate()([x[:, ::2, ::2], x[:, 1::2, 1::2]])


def behind_a_split(x: Any) -> Any:
    _, two = keras.ops.split(x, [8], axis=1)
    return L.ReLU()(two)


def normalised(x: Any) -> Any:
    return L.LayerNormalization(axis=[1, 2, 3])(x)


OPEN = (u_net, cropped_skip, transposed, transposed_small, cut_in_the_middle)
FIXED = (fully_connected, pooled, what_remains, sliced, every_other, behind_a_split, normalised)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These maps are so small that threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def runs(model: Any, dims: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of the output; None where there is none, or nothing is in it."""
    try:
        with torch.no_grad():
            y = model._run_through_graph(torch.zeros(1, *dims), operation_fn=lambda layer: layer)
    except Exception:
        return None
    shape = tuple(y.shape)
    return None if 0 in shape else shape


@pytest.mark.parametrize("make", [*OPEN, *FIXED], ids=lambda f: f.__name__)
def test_every_size(make: Callable[[Any], Any]) -> None:
    x = start() if make in OPEN else start((16, 24))
    model = keras.Model(x, make(x))
    found = rfcalc.sizes(model, (3, 16, 24))
    assert str(found.document())
    for layer in model.layers:
        layer.input_spec = None  # which only says what it was built for
    for axis in (0, 1):
        (formula,) = found.output(axis).values()
        for n in SIZES:
            shape = runs(model, (n, 24, 3) if axis == 0 else (16, n, 3))
            assert (n in found.axes[axis].valid) == (shape is not None), (axis, n, shape)
            if shape is not None and formula is not None:
                assert eval(formula, {}, {"n": n}) == shape[axis + 1], (axis, n, shape)


def test_a_layer_of_code_is_not_told() -> None:
    x = start((16, 24))
    model = keras.Model(x, L.Lambda(lambda t: t[:, : t.shape[1] // 2])(x))
    with pytest.raises(RfcalcError, match="at other sizes is not known"):
        rfcalc.sizes(model)
