"""Real models through ONNX: exact parameters and multiply-adds, and receptive fields like the zoo's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
if find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed", allow_module_level=True)

from onnx_models import build, counted, exported, randomised, torchvision  # noqa: E402
from torch import nn  # noqa: E402

import rfcalc  # noqa: E402
from rfcalc import spec  # noqa: E402
from rfcalc.notation import parse, write  # noqa: E402
from rfcalc.readers.onnx import from_onnx  # noqa: E402
from rfcalc.report import Report  # noqa: E402

WEIGHTED = ("conv", "depthwise", "conv_transpose", "linear")

# One of every family, on small images; torchvision's name → (side, the zoo's name for the same network).
SAMPLE: dict[str, tuple[int, str]] = {
    "resnet18": (64, "resnet18"),
    "resnext50_32x4d": (32, "resnext50"),
    "mobilenet_v2": (64, "mobilenet-v2"),
    "mobilenet_v3_small": (64, ""),
    "squeezenet1_1": (64, "squeezenet1.1"),
    "densenet121": (32, "densenet121"),
    "googlenet": (64, "googlenet-torchvision"),
    "shufflenet_v2_x0_5": (64, ""),
    "mnasnet0_5": (64, ""),
    "efficientnet_b0": (64, "efficientnet-b0"),
    "regnet_y_400mf": (64, ""),
    "lraspp_mobilenet_v3_large": (64, ""),
    "deeplabv3_mobilenet_v3_large": (64, ""),
}

MORE = (
    "densenet121",
    "efficientnet_b0",
    "resnext50_32x4d",
    "mnasnet0_5",
    "deeplabv3_mobilenet_v3_large",
    "regnet_y_400mf",
)


FAMILIES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "vit": (lambda m: m.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10), 32),
    "swin": (lambda m: m.SwinTransformer([4, 4], 24, [2, 2], [3, 6], [4, 4], num_classes=10), 32),
    "maxvit": (lambda m: m.MaxVit((64, 64), 16, 2, [16, 32], [1, 1], 8, 0.2, num_classes=10), 64),
    "convnext": (lambda m: m.ConvNeXt([m.convnext.CNBlockConfig(24, 48, 2)], num_classes=10), 64),
    "vgg": (lambda m: m.VGG(m.vgg.make_layers([8, "M", 16, "M"], batch_norm=True), num_classes=10), 224),
}


def small(name: str) -> tuple[Any, int]:
    """A family whose smallest member is large, made small; with the side of its image."""
    made, side = FAMILIES[name]
    model = made(torchvision.models)
    if name == "vgg":
        head = nn.Sequential(nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
        model.avgpool, model.classifier, side = nn.AdaptiveAvgPool2d(4), head, 32
    return randomised(model), side


def checked(model: Any, side: int, **how: Any) -> Report:
    """The report on the model's file, its totals compared with PyTorch's."""
    read = from_onnx(exported(model, 3, side, side, **how))
    report = Report(read.network)
    real = counted(model, 3, side, side)
    assert read.complete, read.unknown
    assert report.totals.params == (real.folded if how.get("folded") else real.params), read.notes
    assert report.totals.macs == real.macs
    assert not any("unexplained" in note for note in read.notes)
    return report


def layers(report: Report) -> Counter[Any]:
    """Every layer with weights: its parameters, shape, multiply-adds, receptive field."""
    found: Counter[Any] = Counter()
    for row in report:
        if row.kind in WEIGHTED:
            rf = row.receptive_field
            local = (rf.size, rf.stride, rf.padding) if rf.status == "exact" else ()
            shape = tuple(n for n in row.output_shape if n != 1)
            found[row.params, shape, row.macs, rf.status, local] += 1
    return found


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.exhaustive) if n in MORE else n for n in SAMPLE])
def test_like_torchvision_and_the_zoo(name: str) -> None:
    side, zoo = SAMPLE[name]
    report = checked(build(name), side)
    if zoo:
        other = rfcalc.analyze(zoo, f"3x{side}x{side}")
        assert layers(report) == layers(other)
        for total in ("params", "macs", "weights", "biases", "buffers", "weight_layers"):
            assert getattr(report.totals, total) == getattr(other.totals, total), total


@pytest.mark.parametrize("name", FAMILIES)
def test_families_made_small(name: str) -> None:
    checked(*small(name))


def test_the_same_by_both_roads_from_pytorch() -> None:
    """Read from the module and from its file: every layer with weights alike, and the totals."""
    model = build("mobilenet_v3_small")
    left = checked(model, 64)
    right = rfcalc.analyze(rfcalc.from_torch(model, (3, 64, 64)))
    assert layers(left) == layers(right)
    for total in ("params", "macs", "weights", "biases", "buffers", "weight_layers"):
        assert getattr(left.totals, total) == getattr(right.totals, total), total


def test_control_a_wrong_count_is_seen() -> None:
    model = build("mobilenet_v3_small")
    report = Report(from_onnx(exported(model, 3, 64, 64)).network)
    assert report.totals.params != counted(model, 3, 64, 64).folded
    assert layers(report) != layers(rfcalc.analyze("mobilenet-v2", "3x64x64"))


@pytest.mark.parametrize(("name", "side"), [("mobilenet_v3_small", 64)])
def test_folded_normalisation_is_noted(name: str, side: int) -> None:
    """As exported by default: each convolution has taken its normalisation in, γ is gone and β is its bias."""
    model = build(name)
    checked(model, side, folded=True)
    read = from_onnx(exported(model, 3, side, side, folded=True))
    assert any(note.startswith("batch normalisation was folded by the exporter") for note in read.notes)


@pytest.mark.parametrize("folded", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_the_exporter_by_torch_export(folded: bool) -> None:
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten()]
    model = randomised(nn.Sequential(*layers, nn.Linear(128, 10), nn.GELU()))
    report = checked(model, 8, dynamo=True, folded=folded)
    names = ["0", "1", "2", "3", "4", "5", "6"]
    assert [row.name for row in report] == ([n for n in names if n != "1"] if folded else names)


@pytest.mark.parametrize("opset", [9, 13, 20])
def test_older_opsets_take_functions_apart(opset: int) -> None:
    """Norms and activations come out as one node each, whatever the opset had."""
    model = randomised(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.GroupNorm(4, 8),
            nn.LayerNorm([8, 8]),
            nn.InstanceNorm2d(8, affine=True),
            nn.InstanceNorm2d(8),
            nn.BatchNorm2d(8, affine=False),
            nn.PReLU(8),
            *(nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.Mish(), nn.GELU("tanh"), nn.Hardsigmoid(), nn.ReLU6()),
            nn.Linear(8, 16),
            nn.LayerNorm(16),
        )
    )
    read = from_onnx(exported(model, 3, 8, 8, folded=True, opset_version=opset))
    report = Report(read.network)
    expected = (
        "conv3-8 gn4 ln2 in_affine in bn_noaffine prelu gelu silu hardswish mish gelu_tanh hardsigmoid relu6 fc16 ln"
    )
    assert [
        row.notation.replace(" ", "_") if row.kind != "activation" else row.notation for row in report
    ] == expected.split()
    assert report.totals.params == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "swin"])
def test_out_again(name: str) -> None:
    """As notation, as a spec: read back, the same report."""
    model, side = small(name) if name == "swin" else (build(name), 64)
    network = from_onnx(exported(model, 3, side, side)).network
    report = Report(network).to_dict()
    assert Report(parse(write(network)).network()).to_dict() == report
    for form in ("toml", "json"):
        assert Report(spec.loads(spec.write(network, form), form).network).to_dict() == report


def test_open_axes() -> None:
    """Exported for one size with open axes: read for another, with that size's figures."""
    model = build("squeezenet1_1")
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    source = exported(model, 3, 64, 64, input_names=["x"], dynamic_axes=axes)
    for side in (64, 97):
        report = Report(from_onnx(source, (3, side, side)).network)
        assert report.totals.macs == counted(model, 3, side, side).macs


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [n for n in SAMPLE if SAMPLE[n][1]])
def test_the_default_export_too(name: str) -> None:
    checked(build(name), SAMPLE[name][0], folded=True)
