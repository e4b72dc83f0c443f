"""Inception-v2 and v3 (Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015, arXiv:1512.00567).

v3 is the released graph: a 5×5 branch is kept in its 35×35 modules. v2 is the paper's Table 1: two 3×3 for every 5×5
(Figure 5), 7×7 as 1×7 and 7×1 (Figure 6), 1×3 and 3×1 side by side (Figure 7). The table does not say how wide the
branches are, leaves out the grid reductions, and has one row whose sizes need a padding that it does not mark
(35×35×192 to 35×35×288): here the branches are as wide as the released graph's, the reductions are its own, and that
row is padded. Every convolution has batch normalisation and no bias.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series, side
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import unit

CITATION = "Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, Rethinking the Inception Architecture, arXiv:1512.00567"
TITLES = {
    "inception-v2": "Inception-v2, Table 1 of the paper",
    "inception-v3": "Inception-v3, the released graph, without its auxiliary head",
    "inception-v3-aux": "Inception-v3, the released graph, with its auxiliary head",
}

Branch = list[tuple[str, int, "int | tuple[int, int]"]]

# Each branch: (name, channels, kernel) one after another. A number alone is the projection after an average pool.
SEVEN = ((1, 7), (7, 1))


UNITS = (("", "conv"), ("_bn", "bn"), ("_relu", "relu"))  # a convolution and what follows it
STEM = {"1a": "1a_3x3", "2a": "2a_3x3", "2b": "2b_3x3", "3b": "3b_1x1", "4a": "4a_3x3"}
ARMS = {  # of each module: our layers and torchvision's
    "5.": {
        "1x1": "1x1",
        "5x5_reduce": "5x5_1",
        "5x5": "5x5_2",
        "double3x3_reduce": "3x3dbl_1",
        "double3x3_1": "3x3dbl_2",
        "double3x3_2": "3x3dbl_3",
    },
    "6a": {
        "3x3": "3x3",
        "double3x3_reduce": "3x3dbl_1",
        "double3x3_1": "3x3dbl_2",
        "double3x3_2": "3x3dbl_3",
    },
    "6[b-e]": {
        "1x1": "1x1",
        "7x7_reduce": "7x7_1",
        "7x7_1": "7x7_2",
        "7x7_2": "7x7_3",
        "double7x7_reduce": "7x7dbl_1",
        "double7x7_1": "7x7dbl_2",
        "double7x7_2": "7x7dbl_3",
        "double7x7_3": "7x7dbl_4",
        "double7x7_4": "7x7dbl_5",
    },
    "7a": {
        "3x3_reduce": "3x3_1",
        "3x3": "3x3_2",
        "7x7_reduce": "7x7x3_1",
        "7x7_1": "7x7x3_2",
        "7x7_2": "7x7x3_3",
        "7x7_3": "7x7x3_4",
    },
    "7[bc]": {
        "1x1": "1x1",
        "3x3_reduce": "3x3_1",
        "3x3_a": "3x3_2a",
        "3x3_b": "3x3_2b",
        "double3x3_reduce": "3x3dbl_1",
        "double3x3_1": "3x3dbl_2",
        "double3x3_2_a": "3x3dbl_3a",
        "double3x3_2_b": "3x3dbl_3b",
    },
}
TORCH = (
    *((rf"(conv|bn|relu){ours}", rf"Conv2d_{theirs}.\1") for ours, theirs in STEM.items()),
    *(
        (rf"({modules})\.{ours}{end}", rf"Mixed_\1.branch{theirs}.{kind}")
        for modules, arms in ARMS.items()
        for ours, theirs in arms.items()
        for end, kind in UNITS
    ),
    *((rf"(\d.)\.pool_proj{end}", rf"Mixed_\1.branch_pool.{kind}") for end, kind in UNITS),
    (r"([567].)\.(.*)", r"Mixed_\1.\2"),
    (r"aux\.(conv|bn|relu)([01])", r"AuxLogits.conv\2.\1"),
    (r"aux\.(.*)", r"AuxLogits.\1"),
)


def conv(name: str, out: int, kernel: int | tuple[int, int], stride: int = 1, padding: bool = True) -> Expr:
    """A convolution, its normalisation and ReLU; padded to keep its size unless the stride is 2."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    pad = tuple(k // 2 for k in sides) if padding and stride == 1 else 0
    return unit(name, Conv(out, kernel, stride=stride, padding=pad, bias=False))


def _chain(branch: Branch, stride: int = 1) -> Expr:
    last = len(branch) - 1
    return series(conv(name, out, k, stride if i == last else 1) for i, (name, out, k) in enumerate(branch))


def _joined(branches: list[Expr], label: str) -> Expr:
    return parallel(branches, Concat()).named("output").block(label)


def _pooled(channels: int) -> Expr:
    return AvgPool(3, 1, padding=1).named("pool") >> conv("pool_proj", channels, 1)


def module35(label: str, project: int, v2: bool) -> Expr:
    """A 35×35 module: Figure 5, or with one 5×5 in the released graph."""
    single: Branch = [("3x3_reduce", 48, 1), ("3x3", 64, 3)] if v2 else [("5x5_reduce", 48, 1), ("5x5", 64, 5)]
    double: Branch = [("double3x3_reduce", 64, 1), ("double3x3_1", 96, 3), ("double3x3_2", 96, 3)]
    return _joined([conv("1x1", 64, 1), _chain(single), _chain(double), _pooled(project)], label)


def reduction17(label: str) -> Expr:
    """35×35 to 17×17."""
    double: Branch = [("double3x3_reduce", 64, 1), ("double3x3_1", 96, 3), ("double3x3_2", 96, 3)]
    return _joined([conv("3x3", 384, 3, 2), _chain(double, 2), MaxPool(3, 2).named("pool")], label)


def module17(label: str, width: int) -> Expr:
    """A 17×17 module (Figure 6, n = 7): 1×7 and 7×1 once, and twice."""
    c = width
    single: Branch = [("7x7_reduce", c, 1), ("7x7_1", c, SEVEN[0]), ("7x7_2", 192, SEVEN[1])]
    double: Branch = [("double7x7_reduce", c, 1), ("double7x7_1", c, SEVEN[1]), ("double7x7_2", c, SEVEN[0])]
    double += [("double7x7_3", c, SEVEN[1]), ("double7x7_4", 192, SEVEN[0])]
    return _joined([conv("1x1", 192, 1), _chain(single), _chain(double), _pooled(192)], label)


def reduction8(label: str) -> Expr:
    """17×17 to 8×8."""
    seven: Branch = [("7x7_reduce", 192, 1), ("7x7_1", 192, SEVEN[0]), ("7x7_2", 192, SEVEN[1]), ("7x7_3", 192, 3)]
    three: Branch = [("3x3_reduce", 192, 1), ("3x3", 320, 3)]
    return _joined([_chain(three, 2), _chain(seven, 2), MaxPool(3, 2).named("pool")], label)


def module8(label: str) -> Expr:
    """An 8×8 module (Figure 7): 1×3 and 3×1 side by side at the end of two branches."""

    def fork(name: str) -> Expr:
        arms = [conv(f"{name}_a", 384, (1, 3)), conv(f"{name}_b", 384, (3, 1))]
        return parallel(arms, Concat()).named(f"{name}_output")

    single = conv("3x3_reduce", 384, 1) >> fork("3x3")
    double = conv("double3x3_reduce", 448, 1) >> conv("double3x3_1", 384, 3) >> fork("double3x3_2")
    return _joined([conv("1x1", 320, 1), single, double, _pooled(192)], label)


def _auxiliary(classes: int) -> Expr:
    parts = [
        AvgPool(5, 3).named("pool"),
        conv("conv0", 128, 1),
        conv("conv1", 768, 5, padding=False),
        GlobalPool().named("avgpool"),
        Flatten().named("flatten"),
        Linear(classes).named("fc"),
    ]
    return side(series(parts).block("aux").stage("auxiliary head"))


def _stem(v2: bool) -> Expr:
    first = [
        conv("conv1a", 32, 3, 2),
        conv("conv2a", 32, 3, padding=False),
        conv("conv2b", 64, 3),
        MaxPool(3, 2).named("pool1"),
    ]
    if v2:
        second = [conv("conv3", 80, 3, padding=False), conv("conv4", 192, 3, 2), conv("conv5", 288, 3)]
    else:
        second = [conv("conv3b", 80, 1), conv("conv4a", 192, 3, padding=False), MaxPool(3, 2).named("pool2")]
    return series([*first, *second]).stage("stem")


def build(name: str, *, aux: bool | None = None, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """An Inception network for images of 299×299 (any size fits).

    Args:
        name: a key of `TITLES`.
        aux: whether the auxiliary head is there; as the name says if None.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    v2 = name == "inception-v2"
    head = (name.endswith("-aux") if aux is None else aux) and top
    at35 = [module35(n, 64 if v2 else p, v2) for n, p in (("5b", 32), ("5c", 64), ("5d", 64))]
    widths = (128, 128, 160, 160, 192) if v2 else (128, 160, 160, 192)
    at17 = [reduction17("6a"), *(module17(f"6{n}", w) for n, w in zip("bcdef", widths, strict=False))]
    at8 = [reduction8("7a"), module8("7b"), module8("7c")]
    parts: list[Expr] = [_stem(v2), series(at35).stage("35x35"), series(at17).stage("17x17")]
    if head:
        parts.append(_auxiliary(classes))
    parts.append(series(at8).stage("8x8"))
    if top:
        last = [GlobalPool().named("avgpool"), Dropout(0.5).named("dropout"), Flatten().named("flatten")]
        parts.append(series([*last, Linear(classes).named("fc")]).stage("classifier"))
    return Network(
        series(parts),
        f"{channels}x299x299",
        outputs=("fc", "aux.fc") if head else (),
        name=name,
        title=TITLES[name],
        citation=CITATION,
        torch=None if v2 else Naming("inception_v3" if head else "inception_v3(aux_logits=False)", TORCH, eps=1e-3),
    )


FAMILY = Family("Inception", tuple(Entry(n, t, CITATION, partial(build, n)) for n, t in TITLES.items()))
