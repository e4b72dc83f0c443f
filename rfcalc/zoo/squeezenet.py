"""SqueezeNet 1.0 and 1.1 (Iandola et al. 2016, arXiv:1602.07360): fire modules, a 1×1 squeeze before 1×1 and 3×3."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import unit

CITATION = "Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, arXiv:1602.07360"

# Table 1: squeeze, expand 1×1 (and as many 3×3), of fire2 … fire9; then what differs between the versions:
# channels and kernel of conv1, and after which layers a pool stands.
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
VERSIONS = {"1.0": (96, 7, ("conv1", "fire4", "fire8")), "1.1": (64, 3, ("conv1", "fire3", "fire5"))}


TORCH = (
    (r"(?P<fire>fire\d)\.(squeeze|expand[13]x[13])_relu", r"features.#fire.\2_activation"),
    (r"(?P<fire>fire\d)\.(.*)", r"features.#fire.\2"),
    (r"conv1|relu1|maxpool\d", "features.#"),
    (r"dropout|conv10|relu10|avgpool10", "classifier.#"),
)


def fire(squeeze: int, expand: int) -> Expr:
    """A fire module."""
    arms = [unit(f"expand{k}x{k}", Conv(expand, k, padding=k // 2), norm=None) for k in (1, 3)]
    return unit("squeeze", Conv(squeeze, 1), norm=None) >> parallel(arms, Concat()).named("output")


def build(version: str, *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A SqueezeNet for images of 224×224 (any size fits).

    Args:
        version: ``1.0`` or ``1.1``.
        classes: maps of the last convolution.
        channels: channels of the input image.
        top: whether conv10 and the global average are there.
    """
    width, kernel, pools = VERSIONS[version]
    layers: list[tuple[str, Expr]] = [("conv1", unit("conv1", Conv(width, kernel, stride=2), norm=None))]
    layers += [(f"fire{i}", fire(*widths).block(f"fire{i}")) for i, widths in enumerate(FIRES, 2)]
    parts: list[Expr] = []
    for label, made in layers:
        if label in pools:
            number = label.removeprefix("conv").removeprefix("fire")
            made = made >> MaxPool(3, 2, rounding="ceil").named(f"maxpool{number}")
        parts.append(made.stage(label))
    if top:
        head = [Dropout(0.5).named("dropout"), unit("conv10", Conv(classes, 1), norm=None)]
        parts.append(series([*head, GlobalPool().named("avgpool10"), Flatten().named("flatten")]).stage("conv10"))
    name, title = f"squeezenet{version}", f"SqueezeNet {version}"
    torch = Naming(f"squeezenet{version.replace('.', '_')}", TORCH)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION, torch=torch)


FAMILY = Family(
    "SqueezeNet", tuple(Entry(f"squeezenet{v}", f"SqueezeNet {v}", CITATION, partial(build, v)) for v in VERSIONS)
)
