"""Networks pasted as text: every format against figures that do not come from here, what each assumes, what it refuses.

Darknet's are the sizes of the published weight files and the BFLOPs that darknet prints; timm's were computed once with
timm 1.0.31 (EfficientNetBuilder with ReLU, BatchNorm2d and SqueezeExcite on 32 channels); torchvision's models are
published with their parameters.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch_prints import PRINTS, everything, resnet

from rfcalc import Report, RfcalcError, analyze, from_text, from_torch, sizes, spec
from rfcalc.cli import run
from rfcalc.notation import parse, write
from rfcalc.readers.text import format_of


def section(kind: str, **options: object) -> str:
    """A section of a darknet file."""
    return f"[{kind}]\n" + "".join(f"{k.rstrip('_')}={v}\n" for k, v in options.items()) + "\n"


def conv(filters: int, size: int = 3, stride: int = 1, bn: int = 1, act: str = "leaky") -> str:
    return section(
        "convolutional", batch_normalize=bn, filters=filters, size=size, stride=stride, pad=1, activation=act
    )


def net(side: int) -> str:
    return "# a comment\n" + section("net", batch=1, width=side, height=side, channels=3, learning_rate=0.001)


def pool(size: int = 2, stride: int = 2) -> str:
    return section("maxpool", size=size, stride=stride)


def up(channels: int, route: str) -> str:
    return (
        section("route", layers=-4) + conv(channels, 1) + section("upsample", stride=2) + section("route", layers=route)
    )


def head() -> str:
    return conv(255, 1, bn=0, act="linear") + section("yolo", mask="0,1,2", classes=80)


def darknet53() -> str:
    """The 52 convolutions of Darknet-53 with their shortcuts."""
    text = conv(32)
    for i, times in enumerate((1, 2, 8, 8, 4)):
        c = 64 * 2**i
        text += conv(c, 3, 2) + (conv(c // 2, 1) + conv(c) + section("shortcut", from_=-3, activation="linear")) * times
    return text


def yolov3() -> str:
    def five(c: int) -> str:
        return (conv(c, 1) + conv(2 * c)) * 3 + head()

    return net(416) + darknet53() + five(512) + up(256, "-1, 61") + five(256) + up(128, "-1, 36") + five(128)


def yolov3_tiny() -> str:
    text = net(416) + "".join(conv(c) + pool() for c in (16, 32, 64, 128, 256)) + conv(512) + pool(2, 1)
    text += conv(1024) + conv(256, 1) + conv(512) + head()
    return text + up(128, "-1, 8") + conv(256) + head()


def yolov2() -> str:
    text = net(608) + conv(32) + pool() + conv(64) + pool()
    for c in (128, 256):
        text += conv(c) + conv(c // 2, 1) + conv(c) + pool()
    text += conv(512) + (conv(256, 1) + conv(512)) * 2 + pool() + conv(1024) + (conv(512, 1) + conv(1024)) * 2
    text += conv(1024) * 2 + section("route", layers=-9) + conv(64, 1) + section("reorg", stride=2)
    text += section("route", layers="-1,-4") + conv(1024) + conv(425, 1, bn=0, act="linear")
    return text + section("region", classes=80)


@pytest.mark.parametrize(
    ("text", "weights_file", "header", "bflops", "outputs"),
    [
        (yolov3(), 248_007_048, 20, 65.864, [(255, 13, 13), (255, 26, 26), (255, 52, 52)]),
        (yolov3_tiny(), 35_434_956, 20, 5.565, [(255, 13, 13), (255, 26, 26)]),
        (yolov2(), 203_934_260, 16, 62.938, [(425, 19, 19)]),
    ],
    ids=["yolov3", "yolov3-tiny", "yolov2"],
)
def test_darknet(text: str, weights_file: int, header: int, bflops: float, outputs: list[tuple[int, int, int]]) -> None:
    """A weight file has a header and each parameter and running statistic in four bytes."""
    report = Report(from_text(text).network)
    assert 4 * (report.totals.params + report.totals.buffers) + header == weights_file
    assert round(report.totals.flops / 1e9, 3) == bflops
    assert [report[name].shape.dims for name in report.network.outputs] == outputs


def test_darknet_rules() -> None:
    text = net(33) + section("convolutional", filters=4, size=4, stride=2, pad=1, padding=0) + pool(3, 2)
    report = Report(from_text(text).network)
    # pad=1: half of 4 on each side; an activation that is not written is the sigmoid; the pool pads 1 on each side
    assert [row.output_shape for row in report] == [(4, 17, 17), (4, 17, 17), (4, 9, 9)]
    assert report.network.nodes[1].layer.notation() == "sigmoid"
    even = Report(from_text(net(9) + pool(2, 2)).network)
    assert even["maxpool_0"].output_shape == (3, 5, 5)  # padded by one after, so rounded up
    bilinear = section("upsample", stride=2)
    assert Report(from_text(net(9) + bilinear).network)["upsample_0"].output_shape == (3, 18, 18)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (section("route", layers=-3), "there is no layer -3"),
        (section("route", layers="a"), "not a list"),
        (section("lstm", output=3), r"\[lstm\] is not understood"),
        (section("convolutional", filters="x"), "not a number"),
        (section("convolutional", filters=4, activation="wild"), "wild"),
        ("filters=3", "filters=3"),
        ("nonsense\n", "neither a section nor key=value"),
    ],
)
def test_darknet_refuses(body: str, told: str) -> None:
    text = net(8) + body if not body.startswith("filters") else "[convolutional]\n" + body
    with pytest.raises(RfcalcError, match=told if not body.startswith("filters") else "first section"):
        from_text(text)


# Published receptive fields: PatchGAN's 70, the DQN of Mnih 2015, SSD's pool5 and fc6.
WINDOWS = {
    "4,2,1,VALID;4,2,1,VALID;4,2,1,VALID;4,1,1,VALID;4,1,1,VALID": (70, 8),
    "8,4,1,VALID;4,2,1,VALID;3,1,1,VALID": (36, 8),
    "https://fomoro.com/research/article/receptive-field-calculator#3,1,1,SAME;2,2,1,SAME;3,1,2,VALID;": (12, 2),
    ";".join(["3,1,1,SAME;3,1,1,SAME;2,2,1,SAME"] * 2 + ["3,1,1,SAME;3,1,1,SAME;3,1,1,SAME;2,2,1,SAME"] * 3): (212, 32),
}


@pytest.mark.parametrize("text", WINDOWS)
def test_windows(text: str) -> None:
    found = from_text(text, "1x256x256")
    field = Report(found.network)[found.network.outputs[0]].receptive_field
    assert (field.size[0], field.stride[0]) == WINDOWS[text]
    assert any("not known" in note for note in found.notes)


B0 = (
    "[['ds_r1_k3_s1_e1_c16_se0.25'],['ir_r2_k3_s2_e6_c24_se0.25'],['ir_r2_k5_s2_e6_c40_se0.25'],"
    "['ir_r3_k3_s2_e6_c80_se0.25'],['ir_r3_k5_s1_e6_c112_se0.25'],['ir_r4_k5_s2_e6_c192_se0.25'],"
    "['ir_r1_k3_s1_e6_c320_se0.25']]"
)
BLOCKS = {
    "ds_r1_k3_s1_e1_c16_se0.25": (1448, 96, (16, 56, 56)),
    B0: (3594460, 39392, (320, 4, 4)),
    "[['cn_r2_k3_s1_e1_c24_skip'],['er_r4_k3_s2_e4_c48'],['ir_r6_k3_s2_e4_c128_se0.25']]": (
        1213580,
        14368,
        (128, 14, 14),
    ),
    "[['cn_r1_k3_s2_e1_c32','cn_r1_k1_s1_e1_c32'],['uir_r1_a5_k5_s2_e3_c96','uir_r2_a0_k3_s1_e2_c96',"
    "'uir_r1_a3_k0_s1_e4_c96'],['uir_r1_a0_k0_p5_s2_e4_c128_noskip']]": (271840, 5120, (128, 7, 7)),
    "dsa_r2_k3_s2_c12 ir_r2_k3_s1_e3_c24_gs8 er_r1_k3_s2_e8_c32_fc24_noskip": (64016, 1184, (32, 14, 14)),
}


@pytest.mark.parametrize("text", BLOCKS)
def test_timm_blocks(text: str) -> None:
    params, buffers, shape = BLOCKS[text]
    found = from_text(text, "32x56x56")
    report = Report(found.network)
    assert (report.totals.params, report.totals.buffers) == (params, buffers)
    assert report[found.network.outputs[0]].shape.dims == shape


@pytest.mark.parametrize(
    "text",
    [
        "ir_r1_k3.5_s1_e1_c16",
        "ir_r1_k3_s1_e1",
        "mha_r1_k3_h8_d64_s1_c96",
        "ir_r1_k3_s3_e1_c16",
        "ir_r99999999_k3_s1_e1_c8",
    ],
)
def test_timm_refuses(text: str) -> None:
    with pytest.raises(RfcalcError):
        from_text(text, "32x56x56")


def test_lists() -> None:
    found = from_text("cfg = [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512, 'M']")
    report, vgg = Report(found.network), analyze("vgg16")
    for name in ("conv1_1", "conv3_3", "pool5"):
        assert report[name].params == vgg[name].params
        assert str(report[name].receptive_field) == str(vgg[name].receptive_field)
    assert Report(from_text("[8, 'C']", "3x5x5").network)["pool1"].output_shape == (8, 3, 3)


SOURCE = """
import torch.nn as nn
from collections import OrderedDict

WIDTH = 64  # a number with a name
features = nn.Sequential(
    nn.Conv2d(3, WIDTH, kernel_size=7, stride=2, padding=3, bias=False),
    nn.BatchNorm2d(WIDTH),
    nn.ReLU(inplace=True),
    nn.Sequential(OrderedDict([
        ("pool", nn.MaxPool2d(3, 2, 1)),
        ("conv", nn.Conv2d(WIDTH, 2 * WIDTH, (3, 1), padding="same")),
    ])),
    nn.AdaptiveAvgPool2d((1, 1)),
    nn.Flatten(),
    nn.Linear(in_features=128, out_features=10),
)
"""


def test_source() -> None:
    found = from_text(SOURCE)
    report = Report(found.network)
    assert [row.name for row in report] == ["0", "1", "2", "3.pool", "3.conv", "4", "5", "6"]
    assert report.totals.params == 64 * 3 * 49 + 128 + 128 * 64 * 3 + 128 + 1290
    assert found.notes == ("the input is 3x224x224: none was given",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(9, 8, 3))", "reads 9 channels, and 0 makes 8"),
        ("nn.Sequential(nn.Conv2d(3, 8, 3), Mine())", "'Mine' is not understood"),
        ("nn.Sequential(*[nn.ReLU() for _ in range(3)])", "not run"),
        ("nn.Sequential(nn.Conv2d(3, open('x'), 3))", "code is not run"),
        ("nn.Sequential(nn.Conv2d(3, n, 3))", "nothing says what 'n' is"),
        ("nn.Sequential(nn.Conv2d(3, 8, 3, color=1))", "no argument 'color'"),
        ("nn.Sequential(nn.Conv2d(3, 8, 3)", "not Python"),
        ("class Net:\n    x = nn.Sequential(nn.ReLU())", "code, which is not run"),
        ("__import__('os').system('true'); nn.Sequential(nn.ReLU())", "neither a number nor a literal"),
        ("nn.Sequential(nn.Conv2d(3, 9**9**9, 3))", "not computed"),
        ("nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 3))", "expects 8 features"),
        ("nn.Sequential()", "empty"),
    ],
)
def test_source_refuses(text: str, told: str) -> None:
    with pytest.raises(RfcalcError, match=told):
        from_text(text)


def test_source_agrees_with_the_module() -> None:
    """The module itself, made by running the source here, holds the same parameters."""
    namespace: dict[str, object] = {}
    exec(SOURCE, namespace)
    module = namespace["features"]
    assert isinstance(module, nn.Module)
    assert Report(from_text(SOURCE).network).totals.params == sum(p.numel() for p in module.parameters())
    printed = from_text(str(module))
    assert printed.network == from_text(SOURCE).network


@pytest.mark.parametrize("name", PRINTS)
def test_printed_models(name: str) -> None:
    """Models in torchvision's shape, made and printed here by PyTorch itself."""
    module, shape = PRINTS[name]()
    found = from_text(str(module), shape)
    report = Report(found.network)
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    buffers = sum(b.numel() for n, b in module.named_buffers() if "num_batches" not in n)
    assert report.totals.buffers == buffers
    assert any("print" in note for note in found.notes)


def test_every_module_makes_what_pytorch_makes() -> None:
    module = everything()
    report = Report(from_text(str(module), "4x15x15").network)
    x = torch.zeros(2, 4, 15, 15)
    for (name, part), row in zip(module.named_children(), report, strict=True):
        x = part(x)
        assert (row.name, row.shape.dims) == (name, tuple(x.shape[1:]))
        assert row.params == sum(p.numel() for p in part.parameters())


HANGING = (  # modules whose layers hang on the sizes of the map
    nn.Unflatten(1, (2, 4)),
    nn.Unflatten(1, torch.Size([2, -1])),
    nn.Unflatten(-1, (4, -1)),
    nn.ConstantPad2d((1, 2, 0, 1), 3.5),
    nn.Unfold(3, padding=1),
    nn.Unfold((2, 3), dilation=2, stride=2),
    nn.Upsample(scale_factor=1.5),
    nn.Upsample(scale_factor=(0.5, 2.0), mode="bilinear"),
    nn.UpsamplingNearest2d(scale_factor=2.5),
    nn.UpsamplingBilinear2d(scale_factor=2),
)


@pytest.mark.parametrize("part", HANGING, ids=str)
def test_modules_whose_layers_hang_on_sizes(part: nn.Module) -> None:
    """None was understood. Shapes are PyTorch's, fields those of the module itself, and so are the valid sizes."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), part).to("meta")
    printed, own = analyze(str(module), "3x8x12"), analyze(from_torch(module, "3x8x12"))
    assert (
        printed.shapes[-1].dims
        == own.shapes[-1].dims
        == tuple(module(torch.zeros(1, 3, 8, 12, device="meta")).shape[1:])
    )
    assert str(printed.rows[-1].receptive_field) == str(own.rows[-1].receptive_field)
    found = sizes(str(module), "3x8x12")
    for n in range(1, 33):
        try:
            made = tuple(module(torch.zeros(1, 3, 8, n, device="meta")).shape[1:])
        except RuntimeError:
            made = ()
        assert (n in found.axes[1].valid) == bool(made), n
        assert not made or analyze(str(module), f"3x8x{n}").shapes[-1].dims == made


def test_standard_input_is_read_at_several_sizes(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"nn.Sequential(nn.Conv2d(3, 8, 3), nn.Upsample(scale_factor=1.5))"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(["sizes", "-", "--input", "3x20x20"]) == 0
    assert "(3 * n - 6) // 2" in capsys.readouterr().out


def test_a_rounded_factor_is_told_as_a_shape_alone() -> None:
    found = analyze("nn.Sequential(nn.Conv2d(3, 8, 1), nn.Upsample(scale_factor=1.5))", "3x5x8")
    assert found.shapes[-1].dims == (8, 7, 12) and not found.complete
    with pytest.raises(RfcalcError, match=r"a factor of 0\.3 is not understood"):
        from_text("nn.Sequential(nn.Upsample(scale_factor=0.3))")


def test_a_printed_resnet_is_the_zoos() -> None:
    found, zoo = Report(from_text(str(resnet())).network), analyze("resnet18")
    for figure in ("params", "buffers", "macs", "values", "weight_layers"):
        assert getattr(found.totals, figure) == getattr(zoo.totals, figure), figure
    for node in ("layer1.1.bn2", "layer4.0.conv1", "layer4.1.conv2"):
        assert str(found[node].receptive_field) == str(zoo[node].receptive_field)


TUTORIAL = """Net(
  (conv1): Conv2d(3, 6, kernel_size=(5, 5), stride=(1, 1))
  (pool): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (conv2): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
  (fc1): Linear(in_features=400, out_features=120, bias=True)
)"""


def test_a_class_of_the_users_is_taken_in_order_or_refused() -> None:
    first = "(a): Conv2d(3, 6, kernel_size=(5, 5), stride=(1, 1))"
    plain = from_text(f"Net(\n  {first}\n  (fc): Linear(in_features=96, out_features=2, bias=True)\n)", "3x8x8")
    assert any("nothing in between" in note for note in plain.notes)
    assert any("flatten stands before fc" in note for note in plain.notes)
    with pytest.raises(RfcalcError, match="expects 400 features"):
        from_text(TUTORIAL, "3x32x32")  # the pool runs twice in forward, which its print does not show
    for body in ("(downsample): ReLU()", "(layers): ModuleList(\n    (0): ReLU()\n  )", "(branch1): ReLU()"):
        with pytest.raises(RfcalcError, match="does not run in one row"):
            from_text(f"Net(\n  (0): ReLU()\n  {body}\n)", "3x8x8")
    with pytest.raises(RfcalcError, match="is not known"):
        from_text("Sequential(\n  (0): Mine()\n)")
    with pytest.raises(RfcalcError, match="ends before the model does"):
        from_text(TUTORIAL[:-2])


def test_a_known_class_with_other_modules_is_not_taken_for_it() -> None:
    text = "BasicBlock(\n  (conv1): Conv2d(3, 3, kernel_size=(1, 1), stride=(1, 1))\n  (extra): ReLU()\n)"
    assert any("BasicBlock: its modules are taken" in note for note in from_text(text).notes)


def test_formats_are_told_apart() -> None:
    samples = {
        yolov3_tiny(): "Darknet configuration",
        "3,1,1,SAME;2,2,1,SAME": "fomoro string",
        B0: "timm block strings",
        "[64, 'M']": "torchvision list",
        TUTORIAL: "printed PyTorch model",
        SOURCE: "nn.Sequential source",
        "conv3-64 > maxpool2": None,
        "resnet50": None,
        "(conv3-64 | conv1-64) relu": None,
    }
    assert [format_of(text) for text in samples] == list(samples.values())


def test_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.cfg").write_text(yolov3_tiny(), encoding="utf-8")
    (tmp_path / "net.txt").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "notation.txt").write_text("conv3-8 > maxpool2\n", encoding="utf-8")
    for name in ("tiny.cfg", "net.txt", "notation.txt"):
        assert run(["table", str(tmp_path / name)]) == 0
    assert "8,852,366" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOURCE.encode())))
    assert run(["rf", "-", "--at", "3.conv"]) == 0
    assert "19 x 11 pixels" in capsys.readouterr().out
    assert run(["table", "7,2,1,SAME;3,2,1,SAME", "--input", "1x64x64"]) == 0
    assert run(["export", "[64, 'M']", "--to", "spec"]) == 0
    assert run(["table", str(tmp_path / "missing.cfg")]) == 2
    (tmp_path / "broken.txt").write_text("nn.Sequential(nn.Foo())", encoding="utf-8")
    assert run(["table", str(tmp_path / "broken.txt")]) == 2
    assert "broken.txt: line 1" in capsys.readouterr().err


@pytest.mark.parametrize("text", [yolov3_tiny(), yolov2(), B0, "[64, 'M']", SOURCE, "3,1,2,SAME;2,2,1,VALID"])
def test_export_gives_the_same_report(text: str) -> None:
    network = from_text(text).network
    for again in (parse(write(network)).network(), spec.loads(spec.write(network)).network):
        assert again == network
        assert Report(again).to_dict() == Report(network).to_dict()
