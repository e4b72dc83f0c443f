"""ResNet (He, Zhang, Ren & Sun 2015, arXiv:1512.03385): Table 1's networks, their plain twins, and the CIFAR ones.

Three readings of the bottleneck differ in where its stride is: on the first 1×1 (the paper, ``-v1``), on the 3×3
(torchvision, "v1.5", no suffix), or in the last unit of a stage instead of the first (TensorFlow-Slim, ``-slim``).

Shortcuts where the shape changes (§3.3, Table 3): A pads with zero maps and has no parameters, B projects, C projects
in every block. Adding a map padded with zeros changes the first channels only, and so it is written: the sum of the
first channels, concatenated with the rest.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Add, Concat
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.pool import GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.layers.slice import Slice
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, excite, residual, shortcut, unit

CITATION = "He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition, arXiv:1512.03385"

# Table 1: how many blocks stand in conv2_x … conv5_x, of two 3×3 layers or of a bottleneck of three.
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
STAGES = ("conv2_x", "conv3_x", "conv4_x", "conv5_x")
CIFAR_DEPTHS = (20, 32, 44, 56, 110)


class ResidualStyle(NamedTuple):
    """What the readings of a residual block differ in.

    `reading`: ``torchvision``, ``v1`` or ``slim``. `option`: shortcut A, B, C; none for a plain network. `groups` and
    `width`: cardinality and inner width of a bottleneck (ResNeXt, wide ResNet). `squeeze`: reduction of a
    squeeze-and-excitation gate on the branch.
    """

    reading: str = "torchvision"
    option: str | None = "B"
    groups: int = 1
    width: float = 1
    squeeze: int | None = None


def conv(out: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> Conv:
    """A convolution without bias that keeps the size at stride 1."""
    return Conv(
        out, kernel, stride=stride, padding=dilation * (kernel // 2), dilation=dilation if kernel > 1 else 1,
        groups=groups, bias=False,
    )  # fmt: skip


def block(
    kind: str, c_in: int, width: int, stride: int, style: ResidualStyle, dilations: tuple[int, int] = (1, 1)
) -> Expr:
    """One residual (or plain) block. `dilations`: of its first and its second 3×3 layer."""
    first, second = dilations
    if kind == "basic":
        out = width
        branch = unit("conv1", conv(width, 3, stride, first)) >> unit("conv2", conv(out, 3, 1, second), act=None)
    else:
        out = 4 * width
        inner = int(width * style.width) * style.groups
        s1, s2 = (stride, 1) if style.reading == "v1" else (1, stride)
        branch = (
            unit("conv1", conv(inner, 1, s1))
            >> unit("conv2", conv(inner, 3, s2, first, style.groups))
            >> unit("conv3", conv(out, 1), act=None)
        )
    if style.option is None:
        return branch >> RELU.named("relu_out")
    if style.squeeze:
        branch = branch >> excite(out, out // style.squeeze)
    if style.option != "C" and c_in == out:
        passed: Expr = shortcut() if stride == 1 else MaxPool(1, stride).named("shortcut")
    elif style.option == "A":
        return _zero_padded(branch, c_in, stride)
    else:
        passed = series([conv(out, 1, stride).named("downsample.0"), BatchNorm().named("downsample.1")])
    return residual(branch, passed)


def _zero_padded(branch: Expr, c_in: int, stride: int) -> Expr:
    """Option A: the shortcut's zero maps add nothing to the channels from `c_in` on."""
    passed = ref("begin") >> MaxPool(1, stride).named("shortcut") if stride > 1 else ref("begin")
    low = parallel([Slice(0, None, c_in).named("low"), passed], Add()).named("add")
    merged = parallel([low, Slice(0, c_in).named("high")], Concat()).named("concat")
    return series([shortcut().named("begin"), branch, merged, RELU.named("relu_out")])


def stem(width: int = 64, reading: str = "torchvision") -> Expr:
    """conv1 and the pool, which divide the size by four."""
    pool = MaxPool(3, 2, padding="SAME" if reading == "slim" else 1)
    return series([unit("conv1", conv(width, 7, 2)), pool.named("maxpool")]).stage("conv1")


def head(classes: int) -> Expr:
    """Global average pooling and the classifier."""
    parts = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("fc")]
    return series(parts).stage("classifier")


def stages(
    kind: str, counts: tuple[int, ...], style: ResidualStyle, width: int = 64, dilated: tuple[bool, ...] = (False,) * 4
) -> list[Expr]:
    """conv2_x … conv5_x. A stage that is `dilated` keeps its size, and dilates instead (twice as much each time)."""
    found: list[Expr] = []
    expansion = 1 if kind == "basic" else 4
    c_in, dilation = width, 1
    for i, times in enumerate(counts):
        w = width * 2**i
        before = dilation
        if dilated[i]:
            dilation *= 2
        strides = [1] * times
        if style.reading == "slim":
            strides[-1] = 2 if i < len(counts) - 1 else 1
        elif i and not dilated[i]:
            strides[0] = 2
        parts = []
        for n, s in enumerate(strides):
            name = f"layer{i + 1}.{n}" if style.reading == "torchvision" else f"conv{i + 2}_{n + 1}"
            if style.reading == "slim":
                name = f"block{i + 1}.unit_{n + 1}"
            rates = (before if n == 0 else dilation, dilation)
            parts.append(block(kind, c_in, w, s, style, rates).block(name))
            c_in = w * expansion
        found.append(series(parts).stage(STAGES[i]))
    return found


def build(
    depth: int,
    style: ResidualStyle = ResidualStyle(),  # noqa: B008 (an immutable value)
    *,
    name: str = "",
    title: str = "",
    citation: str = CITATION,
    classes: int = 1000,
    channels: int = 3,
    width: int = 64,
    top: bool = True,
) -> Network:
    """A residual or plain network for images of 224×224 (any size fits).

    Args:
        depth: a row of `DEPTHS`.
        style: which reading of the block.
        name, title, citation: what it is called.
        classes: outputs of the last layer.
        channels: channels of the input image.
        width: channels of the first stage.
        top: whether pooling and classifier are there.
    """
    kind, counts = DEPTHS[depth]
    parts = [stem(width, style.reading), *stages(kind, counts, style, width)]
    if top:
        parts.append(head(classes))
    torch = _naming(depth, style)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=citation, torch=torch)


def _naming(depth: int, style: ResidualStyle) -> Naming | None:
    """Ours are torchvision's names; which of its models it is."""
    if style._replace(groups=1, width=1) != ResidualStyle():
        return None
    if style.groups > 1:
        return Naming(f"resnext{depth}_{style.groups}x{int(style.width * 64)}d")
    return Naming(f"resnet{depth}" if style.width == 1 else f"wide_resnet{depth}_{int(style.width)}")


def cifar(
    depth: int,
    option: str | None = "A",
    *,
    name: str = "",
    title: str = "",
    classes: int = 10,
    channels: int = 3,
    width: int = 16,
    top: bool = True,
) -> Network:
    """§4.2: 6n + 2 layers for CIFAR's images of 32×32, n blocks of two in each of three stages of 16, 32, 64 maps."""
    style = ResidualStyle("v1", option)
    parts: list[Expr] = [unit("conv1", conv(width, 3)).stage("conv1")]
    c_in = width
    times = (depth - 2) // 6
    for i in range(3):
        w = width * 2**i
        first = block("basic", c_in, w, 1 if i == 0 else 2, style).block(f"conv{i + 2}_1")
        parts.append(series([first, *_others(w, style, i, times)]).stage(f"conv{i + 2}_x"))
        c_in = w
    if top:
        parts.append(head(classes))
    return Network(series(parts), f"{channels}x32x32", name=name, title=title, citation=CITATION)


def _others(width: int, style: ResidualStyle, stage: int, times: int) -> list[Expr]:
    return [block("basic", width, width, 1, style).block(f"conv{stage + 2}_{n}") for n in range(2, times + 1)]


def _variants() -> dict[str, tuple[int, ResidualStyle, str]]:
    found = {}
    for depth, (kind, _) in DEPTHS.items():
        name = f"resnet{depth}"
        found[name] = (depth, ResidualStyle(), "torchvision's (v1.5: a bottleneck's stride on its 3×3; projections)")
        option = "A" if kind == "basic" else "B"
        told = f"as published (a bottleneck's stride on its first 1×1; shortcut option {option})"
        found[f"{name}-v1"] = (depth, ResidualStyle("v1", option), told)
        for letter, how in (("A", "zero-padded"), ("B", "projected where the shape changes"), ("C", "all projected")):
            found[f"{name}-{letter.lower()}"] = (depth, ResidualStyle("v1", letter), f"shortcut option {letter}: {how}")
        if kind == "bottleneck":
            found[f"{name}-slim"] = (
                depth,
                ResidualStyle("slim"),
                "TensorFlow-Slim's (the stride in a stage's last unit)",
            )
    for depth in (18, 34):
        found[f"plain-{depth}"] = (depth, ResidualStyle("v1", None), "the plain network beside it: no shortcuts")
    return found


def _entry(name: str, depth: int, style: ResidualStyle, told: str) -> Entry:
    title = f"{'ResNet' if style.option else 'Plain'}-{depth}, {told}"
    return Entry(name, title, CITATION, partial(build, depth, style, name=name, title=title))


def _cifar_entry(depth: int, option: str | None) -> Entry:
    name = f"{'resnet' if option else 'plain'}{depth}-cifar"
    title = f"{'ResNet' if option else 'Plain'}-{depth} for CIFAR" + (", shortcut option A" if option else "")
    return Entry(name, title, CITATION, partial(cifar, depth, option, name=name, title=title))


FAMILY = Family(
    "ResNet",
    (
        *(_entry(name, *variant) for name, variant in _variants().items()),
        *(_cifar_entry(depth, option) for option in ("A", None) for depth in CIFAR_DEPTHS),
    ),
)
