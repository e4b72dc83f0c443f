"""Draws the networks of docs/beside-others.md with torchview and visualkeras; run by hand.

pip install --no-deps --target peers torchview visualkeras graphviz aggdraw    # and Graphviz's `dot`
KERAS_BACKEND=torch PYTHONPATH=peers:tests:. python benchmarks/peer_pictures.py FOLDER
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import torch
import visualkeras
from keras import layers
from torchview import draw_graph
from vision import models

import rfcalc

PADDED = {"padding": "same", "activation": "relu"}


def fpn_of_torchvision() -> Any:
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    return resnet_fpn_backbone(backbone_name="resnet50", weights=None)


def unet_of_the_docs() -> Any:
    sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "examples"))
    from unet import UNet

    return UNet()


def googlenet_of_torchvision() -> Any:
    return models().googlenet(init_weights=False, aux_logits=False)


TORCH = {
    "vgg16": (lambda: models().vgg16(), (1, 3, 224, 224)),
    "resnet50": (lambda: models().resnet50(), (1, 3, 224, 224)),
    "googlenet": (googlenet_of_torchvision, (1, 3, 224, 224)),
    "unet": (unet_of_the_docs, (1, 1, 576, 576)),
    "fpn": (fpn_of_torchvision, (1, 3, 800, 1312)),
    "swin": (lambda: models().swin_t(), (1, 3, 224, 224)),
    "wavenet": (lambda: rfcalc.to_torch(rfcalc.load("wavenet")), (1, 256, 16000)),
}


def with_torchview(folder: Path) -> None:
    """Boxes, links and size of each picture."""
    for name, (make, size) in TORCH.items():
        graph = draw_graph(make().eval(), input_size=size, device="meta", expand_nested=True, graph_name=name)
        source, file = graph.visual_graph.source, folder / f"{name}-torchview.svg"
        subprocess.run(["dot", "-Tsvg", "-o", str(file)], input=source, text=True, check=True)
        points = re.search(r'width="(\d+)pt" height="(\d+)pt"', file.read_text(encoding="utf-8"))
        boxes = len(re.findall(r"^\s*\d+ \[label=", source, re.MULTILINE))
        print(name, "torchview", boxes, "boxes", source.count("->"), "links", points and points.groups(), "points")


def unet() -> Any:
    x = first = keras.Input((576, 576, 1))
    skips = []
    for c in (64, 128, 256, 512):
        x = layers.Conv2D(c, 3, **PADDED)(layers.Conv2D(c, 3, **PADDED)(x))
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(1024, 3, **PADDED)(layers.Conv2D(1024, 3, **PADDED)(x))
    for c in (512, 256, 128, 64):
        x = layers.Concatenate()([skips.pop(), layers.Conv2DTranspose(c, 2, 2)(x)])
        x = layers.Conv2D(c, 3, **PADDED)(layers.Conv2D(c, 3, **PADDED)(x))
    return keras.Model(first, layers.Conv2D(2, 1)(x))


def inception(x: Any, a: int, b1: int, b: int, c1: int, c: int, d: int) -> Any:
    second = layers.Conv2D(b, 3, **PADDED)(layers.Conv2D(b1, 1, **PADDED)(x))
    third = layers.Conv2D(c, 5, **PADDED)(layers.Conv2D(c1, 1, **PADDED)(x))
    fourth = layers.Conv2D(d, 1, **PADDED)(layers.MaxPooling2D(3, 1, padding="same")(x))
    return layers.Concatenate()([layers.Conv2D(a, 1, **PADDED)(x), second, third, fourth])


def googlenet() -> Any:
    def pool(x: Any) -> Any:
        return layers.MaxPooling2D(3, 2, padding="same")(x)

    x = first = keras.Input((224, 224, 3))
    x = layers.Conv2D(64, 1, **PADDED)(pool(layers.Conv2D(64, 7, 2, **PADDED)(x)))
    x = pool(layers.Conv2D(192, 3, **PADDED)(x))
    x = pool(inception(inception(x, 64, 96, 128, 16, 32, 32), 128, 128, 192, 32, 96, 64))
    for widths in ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64)):
        x = inception(x, *widths)
    x = pool(inception(inception(x, 112, 144, 288, 32, 64, 64), 256, 160, 320, 32, 128, 128))
    x = inception(inception(x, 256, 160, 320, 32, 128, 128), 384, 192, 384, 48, 128, 128)
    return keras.Model(first, layers.Dense(1000)(layers.GlobalAveragePooling2D()(x)))


def fpn() -> Any:
    trunk = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(800, 1312, 3))
    names = ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
    *lower, top = (trunk.get_layer(name).output for name in names)
    x = layers.Conv2D(256, 1)(top)
    outputs = [layers.Conv2D(256, 3, padding="same")(x)]
    for y in reversed(lower):
        x = layers.Add()([layers.UpSampling2D()(x), layers.Conv2D(256, 1)(y)])
        outputs.append(layers.Conv2D(256, 3, padding="same")(x))
    return keras.Model(trunk.input, outputs)


def wavenet() -> Any:
    first = keras.Input((16000, 256))
    x, skips = layers.Conv1D(32, 1)(first), []
    for dilation in [2**d for d in range(10)] * 3:
        halves = (
            layers.Conv1D(32, 2, padding="causal", dilation_rate=dilation, activation=a)(x) for a in ("tanh", "sigmoid")
        )
        gated = layers.Multiply()([*halves])
        skips.append(layers.Conv1D(512, 1)(gated))
        x = layers.Add()([x, layers.Conv1D(32, 1)(gated)])
    return keras.Model(first, layers.Conv1D(256, 1)(layers.ReLU()(layers.Add()(skips))))


KERAS = {
    "vgg16": lambda: keras.applications.VGG16(weights=None),
    "resnet50": lambda: keras.applications.ResNet50(weights=None),
    "googlenet": googlenet,
    "unet": unet,
    "fpn": fpn,
    "wavenet": wavenet,
}


def _output_shape(layer: Any) -> Any:
    found = layer.output
    return [tuple(o.shape) for o in found] if isinstance(found, list | tuple) else tuple(found.shape)


def with_visualkeras(folder: Path) -> None:
    """The size of each picture."""
    keras.layers.Layer.output_shape = property(_output_shape)  # Keras 3 has it no more
    for name, make in KERAS.items():
        image = visualkeras.layered_view(make(), to_file=str(folder / f"{name}-visualkeras.png"))
        print(name, "visualkeras", *image.size, "pixels")


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    with_torchview(where)
    with_visualkeras(where)
