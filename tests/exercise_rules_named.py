"""Networks that an item only names: rules for `exercise_prose`, a sentence each."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from exercise_page import Page
from exercise_rules import BYTES, both, conv, decimals, option, rule, seen, size
from exercise_text import Unreadable, which_mistake
from exercise_zoo import VGG, named

MEASURED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "networks.json").read_text())
# --- networks by name -------------------------------------------------------------------------------------------------

NAMES = {
    "AlexNet (torchvision)": "alexnet-torchvision",
    "AlexNet as published (two towers)": "alexnet",
    "AlexNet as published": "alexnet",
    "ResNet-50 (v1.5)": "resnet50",
    "GoogLeNet": "googlenet",
    "GoogLeNet as published, without auxiliary heads": "googlenet",
}


def vgg(depth: str) -> list[tuple[str, str, int, int]]:
    """Simonyan & Zisserman's Table 1: name, kind, channels in and out of each layer; pools halve."""
    found, c = [], 3
    for block, (times, width) in enumerate(zip(VGG[depth], (64, 128, 256, 512, 512), strict=True), 1):
        for i in range(1, times + 1):
            found.append((f"conv{block}_{i}", "conv", c, width))
            c = width
        found.append((f"pool{block}", "pool", c, c))
    return [*found, ("fc6", "fc", 25088, 4096), ("fc7", "fc", 4096, 4096), ("fc8", "fc", 4096, 1000)]


def vgg_params(depth: str) -> dict[str, int]:
    return {name: conv(c, m, 3 if kind == "conv" else 1) for name, kind, c, m in vgg(depth) if kind in ("conv", "fc")}


def measured(name: str) -> dict[str, Any]:
    plain = re.sub(r" \(as published\)| as published$", "", name)
    found = NAMES.get(name) or NAMES.get(plain) or plain.split(" (")[0].lower().replace("-", "")
    if found not in MEASURED:
        raise Unreadable(name)
    return MEASURED[found]


@rule(
    r"The network is (.*?) (?:for 1000 classes|on [\dx]+, 1000 classes); its layers .*How many (trainable parameters|multiply-adds|FLOPs) does the network"
)
def _named(_: Page, name: str, figure_: str) -> str:
    real = measured(name)
    return str(
        {"trainable parameters": real["params"], "multiply-adds": real["macs"], "FLOPs": 2 * real["macs"]}[figure_]
    )


def mistaken(item: Page, name: str, column: str, wrong: str, right: str) -> str:
    """The option whose mistake makes the wrong number of a network by name."""
    side = 227 if name.startswith("AlexNet as published") else 224
    return which_mistake(item, named(name, (3, side, side)), column, "", wrong, right)


BIASES = {
    "alexnet-torchvision": 64 + 192 + 384 + 256 + 256,
    "alexnet": 96 + 256 + 384 + 384 + 256,
}  # of the convolutions


def weights(name: str) -> int:
    """Parameters without biases: of convolutions and fully connected layers, and the shifts of normalisation."""
    if depth := re.match(r"VGG-(\d+)", name):
        return sum(c * m * (9 if kind == "conv" else 1) for _, kind, c, m in vgg(depth[1]) if kind != "pool")
    real = measured(name)
    if name.startswith("ResNet"):
        return int(real["params"] - real["buffers"] // 2 - 1000)
    if name.startswith("GoogLeNet"):
        return named(name, (3, 224, 224)).total("weights")
    if NAMES.get(name) not in BIASES:
        raise Unreadable(name)
    return int(real["params"] - BIASES[NAMES[name]] - 4096 - 4096 - 1000)


@rule(r"The network is (.*?) for 1000 classes; .*How many weights does the network have, biases not counted")
def _weights(_: Page, name: str) -> str:
    return str(weights(name))


@rule(r"The network is (.*?) for 1000 classes; .*summary says (\d+) weights .*it is (\d+)\. Which")
def _summary_weights(item: Page, name: str, wrong: str, right: str) -> str:
    return mistaken(item, name, "weights", wrong, right)


RESNET = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
ALEXNET = {  # the first layers: kernel, stride, padding, channels; torchvision's, and the paper's
    "AlexNet (torchvision)": (("conv1", 11, 4, 2, 64), ("pool1", 3, 2, 0, 64), ("conv2", 5, 1, 2, 192)),
    "AlexNet as published": (("conv1", 11, 4, 0, 96), ("pool1", 3, 2, 0, 96), ("conv2", 5, 1, 2, 256)),
}


def chain(name: str) -> list[tuple[str, int, int, int, int]]:
    """The longest way through a network: name, kernel, stride, padding, channels of each layer before the classifier."""
    if depth := re.match(r"VGG-(\d+)", name):
        kinds = {"conv": (3, 1, 1), "pool": (2, 2, 0)}
        return [(n, *kinds[kind], m) for n, kind, _c, m in vgg(depth[1]) if kind != "fc"]
    if depth := re.match(r"ResNet-(\d+)", name):
        found = [("conv1", 7, 2, 3, 64), ("pool1", 3, 2, 1, 64)]
        for stage, times in enumerate(RESNET[depth[1]], 2):
            width = 64 * 2 ** (stage - 2)
            for i in range(times):
                stride = 2 if i == 0 and stage > 2 else 1
                last = f"conv{stage}_x" if i == times - 1 else ""
                if int(depth[1]) >= 50:
                    one, three = (stride, 1) if "(v1:" in name else (1, stride)  # v1.5 has it on the 3×3
                    found += [("", 1, one, 0, width), ("", 3, three, 1, width), (last, 1, 1, 0, 4 * width)]
                else:
                    found += [("", 3, stride, 1, width), (last, 3, 1, 1, width)]
        return found
    if name == "AlexNet (TensorFlow-Slim's v2)":  # the receptive field and strides of torchvision's, padding apart
        return chain("AlexNet (torchvision)")
    for known, first in ALEXNET.items():
        if name.startswith(known):
            c = 384 if known == "AlexNet as published" else 256
            rest = [("conv3", 3, 1, 1, 384), ("conv4", 3, 1, 1, c), ("conv5", 3, 1, 1, 256), ("pool5", 3, 2, 0, 256)]
            return [*first, ("pool2", 3, 2, 0, first[2][4]), *rest]
    raise Unreadable(name)


@rule(r"The network is (.*?); its layers .*The input is 3x(\d+)x\d+\. What is the shape of the output of `(\w+)`")
def _shape(_: Page, name: str, n: str, at: str) -> str:
    side = int(n)
    if name == "GoogLeNet":
        return str(named(name, (3, side, side)).figure("output_shape", at, 1, 4))
    for layer, k, s, p, m in chain(name):
        side = size(side, k, s, p)
        if layer == at:
            return f"{m}x{side}x{side}"
    raise Unreadable(at)


@rule(r"The network is (.*?); .*(How large is the receptive field of one unit|What is the effective stride) of `(\w+)`")
def _field(_: Page, name: str, asked: str, at: str) -> str:
    layers, step = [], 1
    if name == "GoogLeNet":
        what = "receptive_field" if asked.startswith("How large") else "stride"
        return str(named(name, (3, 224, 224)).figure(what, at, 1, 4))
    for layer, k, s, _p, _m in chain(name):
        layers.append((k, s, 1))
        step *= s
        if layer == at:
            return str(seen(*layers) if asked.startswith("How large") else step)
    raise Unreadable(at)


@rule(
    r"The network is (.*?) (?:for 1000 classes|on [\dx]+, 1000 classes); .*summary says (\d+) (parameters|multiply-adds|FLOPs) .*it is (\d+)\. Which"
)
def _summary_named(item: Page, name: str, wrong: str, figure_: str, right: str) -> str:
    column = {"parameters": "params", "multiply-adds": "macs", "FLOPs": "flops"}[figure_]
    assert str(measured(name)["params" if column == "params" else "macs"] * (1 + (column == "flops"))) == right
    return mistaken(item, name, column, wrong, right)


@rule(r"Two networks for 1000 classes, on \S+ and \S+\. A: (.*?)\. B: (.*?)\. What is the number of multiply-adds")
def _two_networks(_: Page, a: str, b: str) -> str:
    return both(measured(a)["macs"], measured(b)["macs"])


@rule(r"How many GFLOPs does (.*?) take for one image")
def _gigaflops(_: Page, name: str) -> str:
    return decimals(Fraction(2 * measured(name)["macs"], 10**9), 2)


@rule(r"How many per cent of the parameters of VGG-(\d+) .* fully connected layer, (fc\d)\?")
def _share(_: Page, depth: str, layer: str) -> str:
    params = vgg_params(depth)
    return decimals(Fraction(100 * params[layer], sum(params.values())), 1)


@rule(r"Three networks are called AlexNet\. .* has the one (as published|as in torchvision|in one tower)")
def _alexnets(_: Page, which: str) -> str:
    dense = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    if which == "as in torchvision":
        convs = ((3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3))
        return str(dense + sum(conv(*one) for one in convs))
    g = 2 if which == "as published" else 1
    convs = ((3, 96, 11, 1), (96, 256, 5, g), (256, 384, 3, 1), (384, 384, 3, g), (384, 256, 3, g))
    return str(dense + sum(conv(c, m, k, True, groups) for c, m, k, groups in convs))


@rule(r"How many multiply-adds do the (convolutions|fully connected layers) of VGG-(\d+)")
def _vgg_part(_: Page, part: str, depth: str) -> str:
    side, total = 224, 0
    for _name, kind, c, m in vgg(depth):
        side = side // 2 if kind == "pool" else side
        total += 9 * c * m * side * side if kind == "conv" and part == "convolutions" else 0
        total += c * m if kind == "fc" and part != "convolutions" else 0
    return str(total)


@rule(r"VGG-(\d+) as published .* is given an image of 3×(\d+)×\d+\. Where does it fail first")
def _too_small(item: Page, _depth: str, side: str) -> str:
    last = int(side) // 32
    return option(item, lambda t: t == f"fc6: it expects 25088 values and gets {512 * last * last}")


@rule(r"^(.*?) is trained in (\w+) with (Adam|SGD with momentum|plain SGD)")
def _optimizer(_: Page, name: str, kind: str, optimizer: str) -> str:
    copies = {"Adam": 4, "SGD with momentum": 3, "plain SGD": 2}[optimizer]
    told = re.fullmatch(r"A network with (\d+) parameters", name)
    return str((int(told[1]) if told else measured(name)["params"]) * BYTES[kind] * copies)


@rule(r"VGG-(\d+) as published runs on (?:a batch of (\d+) images|one image) of 3x224x224; .*How many (values|bytes)")
def _vgg_values(_: Page, depth: str, batch: str | None, what: str) -> str:
    return str(vgg_values(depth) * int(batch or 1) * (4 if what == "bytes" else 1))


@rule(
    r"VGG-(\d+) as published runs on (?:a batch of (\d+) images|one image) of 3x224x224; "
    r".*summary says (\d+) (values|bytes) .*it is (\d+)\. Which"
)
def _summary_values(item: Page, depth: str, batch: str | None, wrong: str, what: str, right: str) -> str:
    assert str(vgg_values(depth) * int(batch or 1) * (4 if what == "bytes" else 1)) == right
    return mistaken(item, f"VGG-{depth}", what, wrong, right)


def vgg_values(depth: str) -> int:
    """Values of the image and of every map of VGG."""
    side, total = 224, 3 * 224 * 224
    for _name, kind, _c, m in vgg(depth):
        side = side // 2 if kind == "pool" else side
        total += m if kind == "fc" else m * side * side
    return total
