"""VGG (Simonyan & Zisserman 2014, arXiv:1409.1556): Table 1's configurations A, A-LRN, B, C, D, E, and their variants.

Every convolution is 3×3 with stride 1 and padding 1 (C's three extra ones 1×1 without padding), every pool 2×2 with
stride 2; a ReLU follows every weight layer but the last; dropout 0.5 after the first two fully connected layers. The
networks end at the logits.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, Series, series
from rfcalc.core.layer import Layer
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.pointwise import Dropout, ReLU
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family

CITATION = "Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556"
CHANNELS = (64, 128, 256, 512, 512)

# Table 1, block by block: how many conv3 layers; "1" marks C's conv1, "L" the LRN of A-LRN.
CONFIGURATIONS = {
    "vgg11": ("A", "3 3 33 33 33"),
    "vgg11-lrn": ("A-LRN", "3L 3 33 33 33"),
    "vgg13": ("B", "33 33 33 33 33"),
    "vgg16-c": ("C", "33 33 331 331 331"),
    "vgg16": ("D", "33 33 333 333 333"),
    "vgg19": ("E", "33 33 3333 3333 3333"),
}
VARIANTS = {
    "": "as published",
    "-bn": "with batch normalisation after every convolution (not in the paper)",
    "-torchvision": "with torchvision's adaptive pool before the classifier",
    "-dense": "fully connected layers as convolutions, for dense evaluation at any image size (§3.2)",
}

TORCH = (  # features and classifier count all their layers
    (r"(conv|batchnorm|relu|pool)[1-5].*", "features.#"),
    (r"(fc|relu|drop)[6-8]", "classifier.#"),
)


def _naming(name: str, variant: str) -> Naming | None:
    """torchvision's names, for the configurations that it has; its adaptive pool holds no weights."""
    if name not in ("vgg11", "vgg13", "vgg16", "vgg19") or variant == "-dense":
        return None
    return Naming(name + ("_bn" if variant == "-bn" else ""), TORCH)


def _block(number: int, kernels: str, channels: int, norm: bool) -> Expr:
    """One block: its convolutions, named conv1_1, conv1_2, …, and the pool that ends it."""
    after: dict[str, list[Layer]] = {"3": [ReLU()], "1": [ReLU()], "L": []}
    if norm:
        from rfcalc.layers.norm import BatchNorm

        after = {key: [BatchNorm(), *layers] for key, layers in after.items()}
    items: list[Expr] = []
    runs = [(k, len(list(run))) for k, run in _runs(kernels)]
    done = 0
    for kernel, times in runs:
        if kernel == "L":
            from rfcalc.layers.norm import LRN

            items.append(LRN(5).named(f"lrn{number}"))
            continue
        conv = Conv(channels, 3, padding=1) if kernel == "3" else Conv(channels, 1)
        body = [conv.named(f"conv{number}"), *(a.named(f"{a.stem}{number}") for a in after[kernel])]
        if done:  # C's conv1 continues the count: conv3_3 after conv3_1, conv3_2
            names = [f"conv{number}_{done + 1}", *(f"{a.stem}{number}_{done + 1}" for a in after[kernel])]
            items += [layer.named(name) for layer, name in zip((conv, *after[kernel]), names, strict=True)]
        else:
            items.append(Repeat(Series(tuple(body)), times))
        done += times
    items.append(MaxPool(2).named(f"pool{number}"))
    return series(items).stage(f"block {number}")


def _runs(text: str) -> list[tuple[str, str]]:
    from itertools import groupby

    return [(key, "".join(group)) for key, group in groupby(text)]


def _head(variant: str, classes: int) -> Expr:
    """The classifier: fc6, fc7, fc8, as fully connected layers or, for dense evaluation, as convolutions."""
    if variant == "-dense":
        layers: list[Layer] = [Conv(4096, 7), Conv(4096, 1), Conv(classes, 1)]
        items: list[Expr] = []
    else:
        layers = [Linear(4096, in_features=512 * 7 * 7), Linear(4096), Linear(classes)]
        items = [Flatten().named("flatten")]
        if variant == "-torchvision":
            from rfcalc.layers.pool import AdaptivePool

            items.insert(0, AdaptivePool(7).named("avgpool"))
    for number, layer in enumerate(layers, 6):
        items.append(layer.named(f"fc{number}"))
        if number < 8:
            items += [ReLU().named(f"relu{number}"), Dropout(0.5).named(f"drop{number}")]
    return series(items).stage("classifier")


def build(name: str, variant: str = "", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A VGG network.

    Args:
        name: a row of Table 1 (``vgg16`` is D).
        variant: a key of `VARIANTS`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether the classifier is there.
    """
    letter, blocks = CONFIGURATIONS[name]
    parts = [
        _block(i, kernels, c, variant == "-bn")
        for i, (kernels, c) in enumerate(zip(blocks.split(), CHANNELS, strict=True), 1)
    ]
    if top:
        parts.append(_head(variant, classes))
    return Network(
        series(parts),
        f"{channels}x224x224",
        name=name + variant,
        title=f"VGG configuration {letter}, {VARIANTS[variant]}",
        citation=CITATION,
        torch=_naming(name, variant),
    )


FAMILY = Family(
    "VGG",
    tuple(
        Entry(name + variant, f"VGG configuration {letter}, {told}", CITATION, partial(build, name, variant))
        for name, (letter, _) in CONFIGURATIONS.items()
        for variant, told in VARIANTS.items()
    ),
)
