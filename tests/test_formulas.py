"""Formulas of networks: numbers put in give the integer walk, over the zoo and over notation."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from symbolic_walks import agree

import rfcalc
from rfcalc import symbolic, zoo
from rfcalc.formulas.writing import show

SAMPLE = (
    *(
        "alexnet",
        "segnet-basic",
        "bn-inception",
        "convnext-t",
        "deeplab-resnet50",
        "densenet-40-k12-cifar",
        "efficientnet-b0",
    ),
    *(
        "fpn-resnet18",
        "googlenet",
        "inception-v2",
        "inception-module-reduced",
        "lenet5",
        "mobilenet-v1",
        "mobilenet-v2",
        "nasnet-a-mobile",
    ),
    *("nin", "patchgan-70", "resnet18", "resnext50", "se-resnet50", "shufflenet-v2", "squeezenet1.1", "swin-t", "tcn"),
    *("unet", "vgg16", "vit-b-32", "wavenet-block", "wide-resnet50-2", "xception", "zfnet", "deit-ti", "fcn-resnet50"),
    *("ghostnet", "mnasnet", "mobilenet-v3-small", "mobilenet-v4-small", "regnet-y-400mf", "inception-v4", "fsrcnn-s"),
    *("dcgan-discriminator", "r3d-18", "hrnet-w18", "vnet", "hifigan-v2", "deeplab-v1-largefov", "ssd300-vgg16"),
)


def check(name: str) -> None:
    """The formulas against the integer walk at the network's own size, and further on in the class of each symbol."""
    entry, found = zoo.find(name), symbolic(name)
    network = entry.build()
    shape = next(iter(network.inputs.values()))
    sides = dict(zip({1: "L", 2: "HW", 3: "DHW"}.get(shape.rank, ""), shape.spatial, strict=True))
    for more in (0, 1):
        given: dict[str, object] = {
            "C": shape.channels,
            "B": 3,
            "N": 7,
            "α": Fraction(3, 4),
            "ρ": Fraction(6, 7),
        }
        for side, size in sides.items():
            if side in found.symbols:
                given[side] = size + more * found.declared[side].modulus * (2 if side == "W" else 1)
        given = {n: v for n, v in given.items() if n in found.symbols}
        options = {"classes": 7} if "N" in given else {}
        spatial = tuple(given.get(side, size) for side, size in sides.items())
        if "α" in given:
            options, spatial = {"width": 0.75}, (192, 192)
        try:
            exact = rfcalc.analyze(
                entry.build(**options), shape.with_spatial(shape.channels, spatial), batch=given.get("B", 1)
            )
        except rfcalc.RfcalcError:  # it refuses the size: then the formulas say what they take for granted
            assert more
            assert any(re.search(r"(= \d+|^\d+ =)", text) for text in found.assumptions)
            continue
        agree(found, given, exact)


@pytest.mark.parametrize("name", SAMPLE)
def test_numbers_put_in_give_the_integer_walk(name: str) -> None:
    check(name)


def test_the_sample_has_every_family() -> None:
    families = {zoo.relatives(name) for name in SAMPLE}
    assert not [e.name for e in zoo.entries() if zoo.relatives(e.name) not in families]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_the_whole_zoo(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["vgg16-dense", "alexnet", "resnet18", "googlenet", "unet"])
@pytest.mark.parametrize("size", [(225, 301), (260, 231)])
def test_floors_stay_where_nothing_is_assumed(name: str, size: tuple[int, int]) -> None:
    entry = zoo.find(name)
    found = symbolic(name, symbols="H,W,B", general=True)
    network = entry.build()
    try:
        exact = rfcalc.analyze(network, (next(iter(network.inputs.values())).channels, *size), batch=2)
    except rfcalc.RfcalcError:
        return
    agree(found, {"H": size[0], "W": size[1], "B": 2}, exact, peak=False)


NOTATION = (
    ("convK-C/S pP dD > maxpoolM/T", {"K": 3, "C": 8, "S": 2, "P": 1, "D": 2, "M": 3, "T": 2}),
    ("convK-C relu x2 > maxpool2", {"K": 5, "C": 6}),
    ("conv3-(G*8) gG nobias > bn relu > flatten > fcF", {"G": 4, "F": 10}),
    ("dwconvK mM > conv1-C > globalavgpool > fcF", {"K": 3, "M": 2, "C": 12, "F": 7}),
    ("(convK-C relu convK-C) + identity > relu > avgpool2", {"K": 3, "C": 8}),
    ("conv1-A | conv3-B | (maxpool3/1 p1 > conv1-C)", {"A": 4, "B": 6, "C": 5}),
    ("convKx1-C conv1xK-C > up2 > convT2-C/2", {"K": 7, "C": 4}),
    ("conv3-C > ln channels > gnG > attentionA", {"C": 8, "G": 4, "A": 2}),
)  # fmt: skip


@pytest.mark.parametrize(("text", "values"), NOTATION)
@pytest.mark.parametrize("general", [False, True])
def test_any_parameter_can_be_a_symbol(text: str, values: dict[str, int], general: bool) -> None:
    found = symbolic(text, assume="K odd" if "K" in values else "", general=general)
    given = dict(values)
    for side in ("H", "W"):
        symbol = found.declared[side]
        given[side] = symbol.lowest + symbol.modulus * (40 if side == "H" else 53)
    channels = given.setdefault("C", 16)
    plain = text
    for name, value in values.items():
        plain = _put(plain, name, value)
    given = {n: v for n, v in given.items() if n in found.symbols}
    first = found.inputs["input"][0]
    if getattr(first, "free_symbols", None):
        channels = found.with_numbers(given).inputs["input"][0]
    exact = rfcalc.analyze(plain, (int(channels), given["H"], given["W"]))
    agree(found, given, exact, peak=not general)


def _put(text: str, name: str, value: int) -> str:
    """The text with a number for a name that stands alone: behind a word, a dash, a slash or an option's letter."""
    return re.sub(rf"(?<![A-Z]){name}(?![A-WYZa-wyz=])", str(value), text)


def test_the_lessons_formulas() -> None:
    three, seven = symbolic("conv3-C nobias x3"), symbolic("conv7-C nobias")
    assert (show(three.totals["weights"]), show(seven.totals["weights"])) == ("27C²", "49C²")
    assert (show(three.totals["macs"]), show(seven.totals["macs"])) == ("27C²HW", "49C²HW")
    assert three.last.field["size"] == seven.last.field["size"] == (7, 7)


def test_vgg16_as_on_the_blackboard() -> None:
    found = symbolic("vgg16")
    assert list(found.symbols) == ["H", "W", "C", "N", "B"]
    assert show(found.totals["macs"]) == "B(576CHW + 306,176HW + 4,096N + 16,777,216)"
    assert (
        found.totals.macs.subs({found.symbols[n]: v for n, v in zip("HWCNB", (224, 224, 3, 1000, 1), strict=True)})
        == 15_470_264_320
    )
    assert found.put(H=224, W=224, C=3, N=1000, B=1)["params"] == 138_357_544
    assert "H divisible by 32: H = 32m" in found.assumptions
    assert [show(d) for d in found["conv3_1"].output_shape] == ["256", "H/4", "W/4"]


def test_alexnets_sizes_lie_in_the_class_of_227() -> None:
    found = symbolic("alexnet", symbols="H,W")
    assert found.declared["H"].key[1:3] == (32, 3)
    assert any(text.startswith("H = 32m + 3") for text in found.assumptions)
    assert show(found["conv1"].output_shape[1]) == "(H − 7)/4"


def test_mobilenets_laws() -> None:
    """Howard et al.: cost and parameters fall roughly with α², cost with ρ²."""
    found = symbolic("mobilenet-v1")
    assert show(found.totals["macs"]) == "539,492,352α²ρ² + 28,224,000αρ² + 1,024,000α"
    assert show(found.totals["weights"]) == "3,139,584α² + 1,080,448α"
    for width in (1, 0.75, 0.5, 0.25):
        for side in (224, 192, 160, 128):
            network = zoo.find("mobilenet-v1").build(width=width)
            exact = rfcalc.analyze(network, (3, side, side)).totals
            put = found.put(alpha=Fraction(width), ρ=Fraction(side, 224))
            assert (put["macs"], put["params"], put["peak_bytes"]) == (exact.macs, exact.params, exact.peak_bytes)


def test_odd_and_even_kernels_are_declared() -> None:
    odd = symbolic("convK-C", assume="K odd")
    even = symbolic("convK-C", assume="K even")
    assert show(next(iter(odd)).field["padding"][0]) == "(K − 1)/2"
    assert show(next(iter(even)).field["padding"][0]) == "(K − 2)/2"
    assert show(next(iter(odd)).output_shape[1]) == show(next(iter(even)).output_shape[1]) == "H"
    open_ = symbolic("convK-C")
    assert any("equal padding on both sides" in text for text in open_.assumptions)
    for found, k in ((odd, 5), (even, 4), (open_, 5)):
        agree(found, {"K": k, "C": 3, "H": 9, "W": 11}, rfcalc.analyze(f"conv{k}-3", (3, 9, 11)))
    with pytest.raises(rfcalc.RfcalcError, match="K = 4 does not fit"):
        odd.put(K=4)


def test_inputs_may_have_names_and_numbers() -> None:
    found = symbolic("conv3-64 > maxpool2", input="3xHxW")
    assert list(found.symbols) == ["H", "W", "B"] or list(found.symbols) == ["H", "W"]
    assert show(found.totals["weights"]) == "1,728"
    twice = symbolic("conv3-64", input="3x(2*H)x(2*H)")
    assert show(next(iter(twice)).figures["values"]) == "256H²"


def test_a_number_that_breaks_what_is_assumed_is_told() -> None:
    """Of 2x2 pixels the pooled map is one position, of 2x4 along H alone, of 4x4 along neither axis."""
    found = rfcalc.symbolic("conv3-8 maxpool2/2 fcN", input="3xHxW")

    def told(height: int, width: int) -> list[str]:
        return [t for t in found.with_numbers({"H": height, "W": width}).assumptions if "> 1" in t]

    assert [t for t in found.assumptions if "> 1" in t] and not told(4, 4)
    (one,) = told(2, 4)
    assert one.startswith("H/2 > 1") and "here it is 1: along this axis" in one
    assert len(told(2, 2)) == 2
    assert rfcalc.receptive_field("conv3-8 maxpool2/2 fc10", input="3x2x4").field.size == (4, None)
