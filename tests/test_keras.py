"""Keras models read by their configuration alone, against Keras itself: parameters, shapes, what a unit sees."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from time import process_time
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import pytest
import torch
from keras import layers as L  # noqa: N812
from keras import ops
from seen import Straightened
from torch.utils.flop_counter import FlopCounterMode

from rfcalc import Report, RfcalcError, analyze, from_keras, from_text, spec
from rfcalc.cli import run
from rfcalc.notation import parse, write
from rfcalc.readers.keras.archive import LARGEST
from rfcalc.receptive.region_walk import regions
from rfcalc.report.field_report import FieldReport

torch.set_num_threads(1)

# One of each family of keras.applications, but NASNet and InceptionResNetV2, which take as long as all others together;
# the exhaustive tier has all of them.
FAMILIES = (
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "ResNet50", "ResNet50V2", "VGG16", "Xception",
)  # fmt: skip
NOT_BUILT = ("NASNetMobile",)  # Keras 3.15 refuses it with the torch backend
REST = sorted(
    n for n in dir(keras.applications) if n[0].isupper() and n not in FAMILIES and n not in NOT_BUILT
)  # fmt: skip


def check_application(name: str) -> None:
    """Parameters, buffers and the shape of every layer, as the model has them."""
    with keras.device("meta"):
        model = getattr(keras.applications, name)(weights=None)
    found = from_keras(model)
    report = Report(found.network)
    counted = sum(prod(w.shape) for w in model.trainable_weights)
    assert found.complete
    assert report.totals.params == counted
    with keras.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(_batch(report), device="meta"))
    assert counter.get_total_flops() == 2 * report.totals.macs
    counters = sum(w.name == "count" for w in model.non_trainable_weights)
    assert report.totals.params + report.totals.buffers + counters == model.count_params()
    rows = {row.name: row for row in report}
    for layer in model.layers:
        parts = [row for n, row in rows.items() if n == layer.name or n.startswith(f"{layer.name}.")]
        shapes = [o.shape for o in (layer.output if isinstance(layer.output, list) else [layer.output])]
        weights = sum(prod(w.shape) for w in layer.trainable_weights)
        assert sum(row.params for row in parts) == weights, layer.name
        if parts:
            sizes = [n if n is not None else m for n, m in zip(shapes[0][1:], _plain(parts), strict=False)]
            assert any(_agrees(row.shape.dims, sizes) for row in parts), (layer.name, shapes)


def _plain(parts: list[Any]) -> list[int]:
    dims = parts[-1].shape.dims
    return [*dims[1:], dims[0]]


def _agrees(dims: tuple[int, ...], sizes: list[int]) -> bool:
    """Whether dims are Keras' sizes, as they are or channels first."""
    return list(dims) == sizes or list(dims) == [sizes[-1], *sizes[:-1]]


@contextmanager
def double() -> Iterator[None]:
    """Layers that are made here, and what runs here, are in double precision."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def check_sight(name: str) -> None:
    """Two units of four layers all over the model, pixel by pixel, against the gradient of the model itself.

    As in `seen` for PyTorch: positive weights, activations without flat pieces, means for maxima.
    """
    with double():
        model = getattr(keras.applications, name)(weights=None)
    report = Report(from_keras(model).network)
    chance = torch.Generator().manual_seed(1)
    for w in model.trainable_weights:
        drawn = torch.rand(tuple(w.shape), generator=chance, dtype=torch.float64)
        depthwise = len(w.shape) == 4 and (w.shape[-1] == 1 or "depthwise" in w.path)
        fan = prod(w.shape[:2] if depthwise else w.shape[:-1])
        w.assign((drawn + 0.5) / fan if len(w.shape) > 1 else drawn * 0.5 + 0.75)
    layers = {layer.name for layer in model.layers}
    rows = [row for row in report if row.name in layers and row.shape.rank and max(row.shape.spatial) > 1]
    chosen = [rows[(len(rows) - 1) * k // 4] for k in (1, 2, 3, 4)]
    until = keras.Model(model.inputs, [model.get_layer(row.name).output for row in chosen])
    x = torch.rand(_batch(report), dtype=torch.float64, generator=chance).requires_grad_()
    with double(), Straightened():
        maps = until(x)
    assert all(y.dtype == torch.float64 for y in maps)
    for row, y in zip(chosen, maps, strict=True):
        assert tuple(y[0].movedim(-1, row.shape.channel).shape) == row.shape.dims
        mixed = (y[0] * torch.rand(y.shape[-1], dtype=y.dtype, generator=chance)).sum(-1)
        told = regions(report, row.name)
        for unit in ((0, 0), tuple(n // 2 for n in row.shape.spatial)):
            (gradient,) = torch.autograd.grad(mixed[unit], x, retain_graph=True)
            assert torch.isfinite(gradient).all()
            found = set(map(tuple, (gradient[0] != 0).any(-1).nonzero().tolist()))
            assert found == set(told.unit(unit).pixels()), (row.name, unit)


def _batch(report: Report) -> tuple[int, ...]:
    """The input's shape with a batch of one, as Keras has it."""
    channels, *extents = report.shapes[0].dims
    return (1, *extents, channels)


@pytest.mark.parametrize("name", ["DenseNet121", "EfficientNetV2B0", "InceptionV3", "MobileNetV2", "ResNet50V2"])
def test_units_of_applications(name: str) -> None:
    check_sight(name)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [*FAMILIES, *REST])
def test_units_of_every_application(name: str) -> None:
    check_sight(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_applications(name: str) -> None:
    check_application(name)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", REST)
def test_every_application(name: str) -> None:
    check_application(name)


# What a unit sees, by the gradient of the running model: (input, layers, random draws; max pooling needs several).
def _shared(x: Any) -> Any:
    conv = L.Conv2D(2, 3, padding="same", activation="relu", name="twice")
    return conv(conv(x))


def _nested(x: Any) -> Any:
    i = keras.Input((8, 8, 2))
    inner = keras.Model(i, L.BatchNormalization(name="b")(L.Conv2D(2, 3, padding="same", name="c")(i)), name="enc")
    row = keras.Sequential([L.Conv2D(2, 3, padding="same"), L.ReLU()], name="row")
    return L.Add()([row(inner(inner(x))), x])


def _transposed(k: int, s: int, d: int, mode: str, extra: int | None) -> Callable[[Any], Any]:
    return L.Conv2DTranspose(3, k, strides=s, dilation_rate=d, padding=mode, output_padding=extra)


def _windows(kind: str, k: int, s: int, mode: str) -> Any:
    if kind == "conv":
        return L.Conv2D(4, k, strides=s, padding=mode)
    if kind == "separable":
        return L.SeparableConv2D(5, k, strides=s, padding=mode, depth_multiplier=2, activation="relu")
    if kind == "depthwise":
        return L.DepthwiseConv2D(k, strides=s, padding=mode, depth_multiplier=2)
    return L.AveragePooling2D(k, s, padding=mode) if kind == "average" else L.MaxPooling2D(k, s, padding=mode)


GEOMETRIES = [(3, 2, "same"), (4, 2, "same"), (2, 3, "valid"), (7, 2, "same")]
SIGHTS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any], int]] = {
    **{
        f"transposed {case}": ((6, 7, 2), _transposed(*case), 1)
        for case in [
            (3, 2, 1, "same", None), (4, 2, 1, "same", None), (2, 3, 1, "valid", None), (5, 2, 1, "valid", None),
            (3, 1, 2, "same", None), (3, 2, 1, "same", 1), (3, 2, 1, "valid", 1), (5, 3, 1, "same", None),
            (1, 2, 1, "same", None), (4, 3, 1, "same", None), (3, 1, 3, "valid", None),
        ]
    },
    **{
        f"{kind} {case}": ((11, 12, 2), _windows(kind, *case), 25 if kind == "max" else 1)
        for kind in ("conv", "separable", "depthwise", "average", "max")
        for case in GEOMETRIES
    },
    "causal": ((20, 3), L.Conv1D(4, 3, dilation_rate=2, padding="causal"), 1),
    "three axes": ((5, 6, 7, 2), lambda x: L.AveragePooling3D(2)(L.Conv3D(4, 3, padding="same")(x)), 1),
    "pads and crops": (
        (6, 7, 2),
        lambda x: L.Cropping2D(((1, 0), (2, 1)))(L.ZeroPadding2D(((0, 2), (1, 1)))(L.UpSampling2D((2, 3))(x))),
        1,
    ),
    "bilinear": ((6, 7, 2), L.UpSampling2D(2, interpolation="bilinear"), 1),
    "resizing": ((6, 7, 4), L.Resizing(9, 5), 1),
    "flattened and back": ((6, 7, 2), lambda x: L.Reshape((6, 7, 2))(L.Flatten()(x)), 1),
    "reshape": ((6, 7, 2), L.Reshape((42, 2)), 1),
    "permute": ((6, 7, 4), lambda x: L.Conv2D(3, (3, 1))(L.Permute((3, 1, 2))(x)), 1),
    "dense on a map": ((6, 7, 2), L.Dense(5, activation="softmax"), 1),
    "squeeze": (
        (6, 7, 2),
        lambda x: L.Multiply()([x, L.Dense(2, activation="sigmoid")(L.GlobalAveragePooling2D()(x))]),
        1,
    ),
    "joined rows": ((6, 7, 2), lambda x: L.Concatenate(axis=1)([x, L.Conv2D(2, 3, padding="same")(x)]), 1),
    "mean of rows": ((6, 7, 2), lambda x: ops.mean(L.Conv2D(4, 3)(x), axis=1), 1),
    "slices": ((6, 7, 2), lambda x: L.Conv2D(4, 3)(x)[:, 1:, ::2], 1),
    "one row": ((6, 7, 2), lambda x: L.Conv2D(4, 3)(x)[:, 1], 1),
    "padded": ((6, 7, 2), lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))), 1),
    "split and stacked": ((6, 8, 2), lambda x: ops.stack(ops.split(x, 2, axis=2), axis=1), 1),
    "attention": ((6, 8), lambda x: L.MultiHeadAttention(2, 4)(x, x), 1),
    "narrow attention": ((6, 8), lambda x: L.MultiHeadAttention(2, 3)(x, x), 1),
    "group norm": ((6, 7, 4), lambda x: L.GroupNormalization(2, scale=False)(L.Conv2D(4, 1)(x)), 1),
    "slopes": ((6, 7, 4), lambda x: L.PReLU()(L.Conv2D(4, 3)(x)), 1),
    "adaptive": ((6, 7, 4), L.AdaptiveAveragePooling2D((3, 2)), 1),
    "shared": ((8, 8, 2), _shared, 1),
    "nested": ((8, 8, 2), _nested, 1),
}  # fmt: skip


def seen(model: Any, unit: tuple[int, ...], draws: int) -> tuple[tuple[int, int], ...] | None:
    """First and last input position with a gradient, on each axis; None where there is none."""
    total: Any = 0
    for _ in range(draws):
        x = torch.rand([1, *model.inputs[0].shape[1:]], requires_grad=True)
        y = model(x)
        at = y[(0, *unit, slice(None))] if y.ndim > 2 else y
        (gradient,) = torch.autograd.grad((at * torch.rand(at.shape)).sum(), x)
        total = total + gradient.abs().sum(dim=-1)[0]
    found = torch.nonzero(total, as_tuple=True)
    return tuple((int(a.min()), int(a.max())) for a in found) if len(found[0]) else None


@pytest.mark.parametrize("name", SIGHTS)
def test_units_see_what_the_gradient_says(name: str) -> None:
    torch.manual_seed(0)
    shape, body, draws = SIGHTS[name]
    i = keras.Input(shape)
    model = keras.Model(i, body(i))
    for weight in model.weights:
        if "moving" not in weight.path:
            weight.assign(torch.rand(tuple(weight.shape)) * 0.2 + 0.1)
    found = from_keras(model)
    report = Report(found.network)
    assert found.complete
    assert report.totals.params == sum(prod(w.shape) for w in model.trainable_weights)
    assert parse(write(found.network)).network() == found.network
    field_report = FieldReport(report)
    extents = [n for i, n in enumerate(report[found.network.outputs[0]].shape.dims)]
    extents.pop(report[found.network.outputs[0]].shape.channel)
    for unit in product(*[sorted({0, min(1, n - 1), n // 2, n - 1}) for n in extents]):
        assert field_report.unit(unit).hull == seen(model, unit, draws), unit


def test_control_the_gradient_sees_a_wrong_padding() -> None:
    i = keras.Input((6, 7, 2))
    model = keras.Model(i, L.Conv2D(3, 4, strides=2, padding="same", kernel_initializer="ones")(i))
    right, wrong = (FieldReport(analyze(f"conv4-3/2 {p}", input="2x6x7")) for p in ("SAME", "p2:1x2:1"))
    assert right.unit((2, 3)).hull == seen(model, (2, 3), 1) != wrong.unit((2, 3)).hull


def test_shared_layers_hold_their_weights_once() -> None:
    i = keras.Input((8, 8, 2))
    report = Report(from_keras(keras.Model(i, _shared(i))).network)
    assert (report["twice"].params, report["twice_2"].params, report["twice_2"].shared_with) == (38, 0, "twice")
    j = keras.Input((8, 8, 2))
    report = Report(from_keras(keras.Model(j, _nested(j))).network)
    assert report["enc_2.c"].shared_with == "enc.c"
    assert report["enc_2.c"].macs == report["enc.c"].macs > 0
    assert report.network.position("enc_2") == report.network.position("enc_2.b")


def test_one_layer_in_two_models_is_one_layer() -> None:
    conv = L.Conv2D(2, 3, padding="same", name="c")
    i, j = keras.Input((8, 8, 2)), keras.Input((8, 8, 2))
    inner = keras.Model(i, conv(i), name="inner")
    model = keras.Model(j, conv(inner(j)))
    assert Report(from_keras(model).network).totals.params == model.count_params() == 38


class Mine(L.Layer):
    """A layer of the user's own: twice the channels."""

    def call(self, x: Any) -> Any:
        return ops.concatenate([x, x], axis=-1)


def test_what_is_not_understood_is_said() -> None:
    i = keras.Input((8, 8, 2))
    model = keras.Model(i, L.Conv2D(3, 3, name="last")(Mine(name="mine")(L.Conv2D(2, 3, name="first")(i))))
    for source in (model, model.to_json()):
        found = from_keras(source)
        report = Report(found.network, assumptions=found.assumptions)
        assert not found.complete and not report.complete
        assert report["mine"].kind == "unknown" and report["mine"].output_shape == (4, 6, 6)
        assert report["last"].receptive_field.status == "unknown"
        assert "Mine" in " ".join(found.assumptions) and "mine" in " ".join(found.assumptions)
    last = keras.Model(i, Mine(name="mine")(i))
    assert Report(from_keras(last).network)["mine"].output_shape == (4, 8, 8)
    with pytest.raises(RfcalcError, match="nothing tells the shape"):
        from_keras(last.to_json())  # no layer reads it, so the configuration does not tell its shape


def test_a_shape_that_differs_is_an_error_with_both() -> None:
    i = keras.Input((8, 8, 2))
    text = keras.Model(i, L.ReLU()(L.Conv2D(3, 3, name="c")(i))).to_json()
    assert from_keras(text).complete
    with pytest.raises(RfcalcError, match="makes 3x7x6 here, rfcalc 3x6x6"):
        from_keras(text.replace('"shape": [null, 6, 6, 3]', '"shape": [null, 7, 6, 3]'))


def test_parameters_of_what_is_not_understood_are_told() -> None:
    i = keras.Input((10,))
    model = keras.Model(i, L.Dense(2)(L.LSTM(4)(L.Embedding(100, 8)(i))))
    found = from_keras(model)
    assert [u.operator for u in found.unknown] == ["Embedding"]
    assert any(f"the source holds {model.count_params():,} parameters, 218 are counted" in n for n in found.notes)


def test_a_layer_of_the_same_name_is_another_layer() -> None:
    class Conv2D(Mine):
        pass

    i = keras.Input((8, 8, 2))
    found = from_keras(keras.Model(i, L.ReLU()(Conv2D(name="mine")(i))))
    assert [u.operator for u in found.unknown] == ["Conv2D"]


def test_subclassed_models_are_refused() -> None:
    class Net(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(RfcalcError, match="code"):
        from_keras(Net())


def test_channels_first_and_last_agree() -> None:
    def network(form: str) -> Any:
        shape, axis = ((3, 12, 10), 1) if form == "channels_first" else ((12, 10, 3), -1)
        i = keras.Input(shape)
        x = L.Conv2D(4, 3, strides=2, padding="same", data_format=form, name="c")(i)
        x = L.MaxPooling2D(data_format=form, name="p")(L.BatchNormalization(axis=axis, name="b")(x))
        return from_keras(keras.Model(i, L.GlobalAveragePooling2D(data_format=form, name="g")(x))).network

    first, last = (Report(network(f"channels_{where}")) for where in ("first", "last"))
    assert [(r.name, r.shape, r.params, r.macs) for r in first] == [(r.name, r.shape, r.params, r.macs) for r in last]
    assert str(first["p"].receptive_field) == str(last["p"].receptive_field)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as an archive."""
    path = tmp_path_factory.mktemp("keras") / "small.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own, of the libraries that write the weights
        keras.applications.MobileNet(weights=None, alpha=0.25).save(path)
    return path


def test_an_archive_is_read_without_keras(archive: Path) -> None:
    code = (
        "import sys, rfcalc\n"
        f"report = rfcalc.analyze({str(archive)!r})\n"
        "print(report.totals.params, *[m for m in ('keras', 'torch', 'tensorflow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    model = keras.applications.MobileNet(weights=None, alpha=0.25)
    assert done.stdout.split() == [str(sum(prod(w.shape) for w in model.trainable_weights))]


def test_weights_are_not_touched(archive: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.keras"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(bare, "w") as file:
        file.writestr("config.json", whole.read("config.json"))
        file.writestr("model.weights.h5", b"nothing of use")
    assert from_keras(bare) == from_keras(archive)


def test_every_command_takes_an_archive(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["table", str(archive)],
        ["rf", str(archive), "--at", "conv_pw_3"],
        ["counts", str(archive)],
        ["table", str(archive), "--input", "3x96x96", "--format", "json"],
    ):
        assert run(arguments) == 0, arguments
    assert "3x96x96" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["notation", "spec"])
def test_export_gives_the_same_report(archive: Path, form: str) -> None:
    network = from_keras(archive).network
    text = write(network) if form == "notation" else spec.write(network)
    again = parse(text).network() if form == "notation" else spec.loads(text).network
    assert again == network
    first, second = Report(network).to_dict(), Report(again).to_dict()
    assert first == second


def test_sizes_are_the_models_or_those_given(archive: Path) -> None:
    with pytest.raises(RfcalcError, match="channels first"):
        from_keras(archive, "224x224x3")
    found = from_keras(archive, "3x96x96")
    assert Report(found.network)["conv1"].output_shape == (8, 48, 48)
    assert any("made for 3x224x224" in note for note in found.notes)
    i = keras.Input((8, 8, 2))
    fixed = keras.Model(i, L.Dense(4, name="d")(L.Flatten()(i)))
    with pytest.raises(RfcalcError, match="expects 128 features"):
        from_keras(fixed, "2x9x9")
    free = keras.Input((None, None, 3))
    found = from_keras(keras.Model(free, L.Conv2D(4, 3)(free)))
    assert any("leaves its size free" in note for note in found.notes)


# The same network by every road: what must agree.
FIGURES = (
    "params", "weights", "biases", "buffers", "macs", "flops", "ops", "values", "bytes", "peak_bytes", "weight_layers",
)  # fmt: skip
VGG = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]


def test_vgg16_by_every_road(tmp_path: Path) -> None:
    with keras.device("meta"):
        full = keras.applications.VGG16(weights=None, classifier_activation=None)
        features = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    zoo = analyze("vgg16")
    network = from_keras(full).network
    plain = [layer for layer in zoo.network.nodes if layer.layer.kind != "dropout"]  # Keras' VGG16 has no dropout
    again = Report(parse(write(network)).network())
    for road in (Report(network), again):
        assert len(road.network.nodes) == len(plain)
        assert [row.output_shape for row in road] == [zoo[node.name].output_shape for node in plain]
        for figure in FIGURES:
            assert getattr(road.totals, figure) == getattr(zoo.totals, figure), figure
        assert str(road["block5_pool"].receptive_field) == str(zoo["pool5"].receptive_field)

    rows = "".join(
        "[maxpool]\nsize=2\nstride=2\n" if c == "M" else
        f"[convolutional]\nfilters={c}\nsize=3\npad=1\nactivation=relu\n" for c in VGG
    )  # fmt: skip
    source, before = [], 3
    for c in VGG:
        source.append("nn.MaxPool2d(2)" if c == "M" else f"nn.Conv2d({before}, {c}, 3, padding=1), nn.ReLU()")
        before = before if c == "M" else int(c)
    notation = " > ".join("maxpool2" if c == "M" else f"conv3-{c} relu" for c in VGG)
    roads = {
        "keras": Report(from_keras(features).network),
        "notation": analyze(notation),
        "list": Report(from_text(str(VGG)).network),
        "darknet": Report(from_text(f"[net]\nwidth=224\nheight=224\n{rows}").network),
        "source": Report(from_text(f"nn.Sequential({', '.join(source)})").network),
        "spec": Report(spec.loads(spec.write(from_keras(features).network)).network),
    }
    first = roads["notation"]
    for name, road in roads.items():
        assert [row.output_shape for row in road] == [row.output_shape for row in first], name
        assert [str(r.receptive_field) for r in road] == [str(r.receptive_field) for r in first], name
        for figure in FIGURES:
            assert getattr(road.totals, figure) == getattr(first.totals, figure), (name, figure)


def test_old_configurations() -> None:
    """Keras 2 wrote connections and shapes in another way."""
    layers = [
        {
            "class_name": "InputLayer",
            "name": "i",
            "config": {"batch_input_shape": [None, 8, 8, 3]},
            "inbound_nodes": [],
        },
        {
            "class_name": "Conv2D",
            "name": "c",
            "config": {"filters": 3, "kernel_size": [3, 3], "padding": "same"},
            "inbound_nodes": [[["i", 0, 0, {}]]],
        },
        {"class_name": "Add", "name": "a", "config": {}, "inbound_nodes": [[["i", 0, 0, {}], ["c", 0, 0, {}]]]},
    ]
    config = {"name": "old", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["a", 0, 0]]}
    network = from_keras(json.dumps({"class_name": "Functional", "config": config})).network
    assert network.node("a").inputs == ("i", "c")
    assert Report(network).totals.params == 84


def _zipped(text: bytes, name: str = "config.json") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, text)
    return made.getvalue()


def _many_files() -> bytes:
    """An archive whose end says that its directory has 100 MB."""
    made = bytearray(_zipped(b"{}"))
    at = made.rfind(b"PK\x05\x06")
    made[at + 12 : at + 16] = (100_000_000).to_bytes(4, "little")
    return bytes(made)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: _zipped(b" " * (LARGEST * 3) + b"{}"),
    "many files": _many_files,
    "deep": lambda: _zipped(b'{"a":' * 100_000),
    "deep but closed": lambda: _zipped(b"[" * 900 + b"]" * 900),
    "many values": lambda: _zipped(b"[" + b"[]," * 1_500_000 + b"[]]"),
    "no config": lambda: _zipped(b"{}", "other.json"),
    "cut off": lambda: _zipped(b"{}")[:60],
    "no archive": lambda: b"PK nothing",
    "empty": lambda: b"",
    "HDF5": lambda: b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
    "no JSON": lambda: _zipped(b"model = 1"),
    "no text": lambda: _zipped(b"\xff\xfe\x00"),
    "digits": lambda: _zipped(b'{"class_name": ' + b"9" * 10_000 + b"}"),
    "no model": lambda: _zipped(b'{"class_name": "Optimizer", "config": {}}'),
    "an empty model": lambda: _zipped(b'{"class_name": "Sequential", "config": {"layers": []}}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_quickly(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.keras"
    path.write_bytes(HOSTILE[name]())
    start = process_time()
    with pytest.raises(RfcalcError) as caught:
        from_keras(path)
    assert process_time() - start < 5
    assert len(str(caught.value)) < 1500


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """In a process of its own with a limit on memory."""
    path = tmp_path / "bomb.keras"
    path.write_bytes(_zipped(b" " * 200_000_000))
    code = (
        "import resource, rfcalc; resource.setrlimit(resource.RLIMIT_AS, (250_000_000,) * 2)\n"
        f"try:\n rfcalc.from_keras({str(path)!r})\nexcept rfcalc.RfcalcError as e:\n print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.strip() == "refused", done.stderr[-500:]


def test_cycles_and_loose_ends_are_refused() -> None:
    def model(*nodes: tuple[str, str]) -> str:
        layers: list[dict[str, Any]] = [
            {"class_name": "InputLayer", "name": "i", "config": {"name": "i", "batch_shape": [None, 8, 8, 3]}}
        ]
        for name, reads in nodes:
            layers.append(
                {"class_name": "ReLU", "name": name, "config": {"name": name}, "inbound_nodes": [[[reads, 0, 0, {}]]]}
            )
        ends = {"input_layers": [["i", 0, 0]], "output_layers": [[nodes[-1][0], 0, 0]]}
        return json.dumps({"class_name": "Functional", "config": {"layers": layers, **ends}})

    with pytest.raises(RfcalcError, match="cycle"):
        from_keras(model(("a", "b"), ("b", "a")))
    with pytest.raises(RfcalcError, match="nothing makes it"):
        from_keras(model(("a", "missing")))
    assert len(from_keras(model(*[(f"n{i}", f"n{i - 1}" if i else "i") for i in range(5_000)])).network.nodes) == 5_000
