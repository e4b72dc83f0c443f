"""Every network of the zoo against a source other than itself: the real models, measured once (data/networks.json)."""

from __future__ import annotations

import json
from collections import Counter
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc import zoo
from rfcalc.core.shape import Shape
from rfcalc.report import Report

MEASURED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "networks.json").read_text())
OPTIONS = {"tcn": {"top": False}, "tcn-1": {"top": False}}
COUNTED = ("conv", "depthwise", "conv_transpose", "linear")
NAMES = zoo.networks()

# Not measured: what checks them instead.
ELSEWHERE = {
    "lenet5": "the paper's own counts of parameters and connections, layer by layer (claims)",
    "mobilenet-layer-conv": "the paper's Table 3 (claims)",
    "mobilenet-layer-separable": "the paper's Table 3 (claims)",
}


def report_of(name: str) -> Report:
    return Report(zoo.build(name, **OPTIONS.get(name, {})), Shape(*MEASURED[name]["input"]))


def flat(dims: Any) -> tuple[int, ...]:
    """A shape without the ones at its end: 1000x1x1 is 1000."""
    found = list(dims)
    while len(found) > 1 and found[-1] == 1:
        found.pop()
    return tuple(found)


def layers_of(report: Report) -> Counter[tuple[int, tuple[int, ...]]]:
    own = {row.name: row.params for row in report}
    # weights that are shared count where they are first; the real model's hooks see them at each use
    params = {row.name: own[row.shared_with] if row.shared_with else row.params for row in report}
    return Counter((params[row.name], flat(row.output_shape)) for row in report if row.kind in COUNTED)


def measured_layers(name: str) -> Counter[tuple[int, tuple[int, ...]]]:
    found: Counter[tuple[int, tuple[int, ...]]] = Counter()
    for text, times in MEASURED[name]["layers"].items():
        params, shape = text.split()
        found[int(params), flat(map(int, shape.split("x")))] += times
    return found


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_like_the_real_model(name: str) -> None:
    """Parameters, running statistics, multiply-adds, and the parameters and shape of every layer that has weights."""
    real = MEASURED[name]
    report = report_of(name)
    assert report.totals.params == real["params"]
    assert report.totals.buffers == real["buffers"]
    assert report.totals.macs == real["macs"]
    if "layers" in real:
        assert layers_of(report) == measured_layers(name)
    if "output" in real:
        assert sorted(flat(row.output_shape) for row in report.outputs) == sorted(map(flat, real["output"]))


def test_every_network_is_checked() -> None:
    assert set(NAMES) == set(MEASURED) | set(ELSEWHERE)
    assert not set(MEASURED) & set(ELSEWHERE)


def test_the_comparison_can_fail() -> None:
    """The control: one layer of another width is noticed."""
    other = Report(zoo.build("lenet5-modern", classes=11), "1x32x32")
    assert layers_of(other) != measured_layers("lenet5-modern")
    assert other.totals.macs != MEASURED["lenet5-modern"]["macs"]


@pytest.mark.parametrize("name", NAMES)
def test_entry(name: str) -> None:
    """Stages, a title, a citation; printed source that rebuilds it; names that follow the name."""
    entry = zoo.find(name)
    assert entry is not None
    network = entry.build()
    assert (network.name, network.title, network.citation) == (name, entry.title, entry.citation)
    assert entry.title
    assert any(where in entry.citation for where in ("arXiv", "IEEE", "NIPS", "Cell", "PLOS"))
    if not name.endswith(("-module", "-reduced", "-conv", "-separable")):
        assert all(node.stage for node in network.nodes)


@pytest.mark.parametrize("name", NAMES)
def test_options_of_every_builder(name: str) -> None:
    """Classes, channels and the missing top do what they say, wherever a builder has them."""
    entry = zoo.find(name)
    assert entry is not None
    known = signature(entry.build).parameters
    if "classes" in known:
        top = {"top": True} if "top" in known else {}
        assert {row.shape.channels for row in Report(entry.build(classes=7, **top)).outputs} == {7}
    if "channels" in known:
        network = entry.build(channels=8)
        assert {shape.dims[0] for shape in network.inputs.values() if shape} == {8}
        assert Report(network).totals.params != Report(entry.build()).totals.params
    if "top" in known:
        assert len(entry.build(top=False).nodes) < len(entry.build(top=True).nodes)


def test_names_are_told_apart_without_their_dashes() -> None:
    plain = [name.replace("-", "").replace(".", "") for name in NAMES]
    assert len(set(plain)) == len(plain)
    assert zoo.build("ViT_B/16").name == "vit-b-16"
    assert zoo.build("wide_resnet50_2").name == "wide-resnet50-2"


@pytest.mark.parametrize(
    "name", ["resnet50", "mobilenet-v2", "vit-b-16", "swin-t", "inception-v3-aux", "densenet121", "unet", "wavenet"]
)
def test_source_rebuilds_it(name: str) -> None:
    network = zoo.build(name)
    scope = {n: getattr(rfcalc, n) for n in dir(rfcalc) if not n.startswith("_")}
    assert eval(repr(network.expr), scope) == network.expr


ANY_SIZE = [
    ("resnet50", "3x97x131"),
    ("googlenet", "3x160x321"),
    ("inception-v3", "3x200x333"),
    ("densenet121", "3x65x97"),
    ("mobilenet-v1", "3x97x131"),
    ("shufflenet-v2", "3x97x131"),
    ("efficientnet-b0", "3x97x131"),
    ("convnext-t", "3x97x131"),
    ("vit-b-16", "3x96x160"),
    ("swin-t", "3x256x320"),
    ("fpn-resnet50", "3x256x320"),
    ("wavenet", "256x999"),
    ("patchgan-70", "6x300x200"),
]


@pytest.mark.parametrize(("name", "shape"), ANY_SIZE)
def test_any_input_size(name: str, shape: str) -> None:
    assert rfcalc.analyze(name, shape).totals.macs > 0


# Araujo, Norris & Sim 2019 (Distill), TensorFlow-Slim's networks: size, stride, effective padding of the last map.
ARAUJO = {
    "alexnet-slim": ("pool5", 195, 32, 64),
    "vgg16": ("pool5", 212, 32, 90),
    "resnet50-slim": ("conv5_x", 483, 32, 239),
    "resnet101-slim": ("conv5_x", 1027, 32, 511),
    "resnet152-slim": ("conv5_x", 1507, 32, 751),
    "mobilenet-v1": ("features", 315, 32, 126),
}


@pytest.mark.parametrize("name", sorted(ARAUJO))
def test_receptive_fields_of_araujo(name: str) -> None:
    node, size, stride, padding = ARAUJO[name]
    field = rfcalc.analyze(name)[node].receptive_field
    assert (field.size, field.stride, field.padding) == ((size,) * 2, (stride,) * 2, (padding,) * 2)


@pytest.mark.parametrize(
    ("name", "node", "size"),
    [
        ("resnet50", "layer4", 427),
        ("resnet50-v1", "conv5_x", 483),
        ("bn-inception", "5b.output", 699),  # Araujo et al., from memory
        ("inception-v3", "7c.output", 1311),  # the same
        ("wavenet-block", "end2", 1024),
        ("wavenet", "end2", 3070),
        ("patchgan-16", "conv3", 16),
        ("patchgan-70", "conv5", 70),
        ("patchgan-286", "conv7", 286),
        ("tcn", "block7", 1 + 2 * 6 * 255),
        ("tcn-1", "block7", 1 + 6 * 255),
    ],
)
def test_receptive_field(name: str, node: str, size: int) -> None:
    report = rfcalc.analyze(name)
    row = report["conv5_x"] if node == "layer4" else report[node]
    assert set(row.receptive_field.size) == {size}


def test_slim_counts() -> None:
    """TensorFlow-Slim's own tests: model variables of the bases, three for each normalised channel (no γ there).

    Inception-v3: 21,802,784; Inception-v2: 10,173,112, where the separable first layer has 64 biases and no
    normalisation (the test's arg scope covers plain convolutions only).
    """

    def variables(name: str) -> int:
        report = Report(zoo.build(name, top=False))
        weights = sum(row.weights for row in report if row.kind != "batchnorm")
        return weights + 3 * sum(row.biases for row in report if row.kind == "batchnorm")

    assert variables("inception-v3") == 21_802_784
    assert variables("bn-inception") - 3 * 64 + 64 == 10_173_112


def test_anchors_of_the_pyramid() -> None:
    """Each level of the pyramid has an anchor of twice the size of the level below, and a stride of half of it."""
    from rfcalc.zoo.fpn import ANCHORS

    report = rfcalc.analyze("fpn-resnet50")
    assert [row.name for row in report.outputs] == list(ANCHORS)
    for row in report.outputs:
        assert set(row.receptive_field.stride) == {ANCHORS[row.name] // 8}


@pytest.mark.parametrize(
    ("name", "options", "params"),
    [
        # conv1 of 1 channel: 2·7·7·64 weights less; 10 classes: 990 rows of 2048 + 1 less
        ("resnet50", {"channels": 1}, 25_557_032 - 2 * 49 * 64),
        ("resnet50", {"classes": 10}, 25_557_032 - 990 * 2049),
        ("resnet50", {"top": False}, 23_508_032),
        ("mobilenet-v2", {"top": False}, 2_223_872),
        ("vgg16", {"top": False}, 14_714_688),
    ],
)
def test_options(name: str, options: dict[str, Any], params: int) -> None:
    assert Report(zoo.build(name, **options)).totals.params == params
