"""HRNet (Wang et al. 2019, arXiv:1908.07919) for classification: four resolutions side by side, summed again and again.

Stage 1 has four bottlenecks at a quarter of the image's sides; every later stage adds a branch of half the sides and
twice the channels. A module is four basic blocks in each branch, and then each branch gets the sum of all: finer
ones through 3×3 convolutions of stride 2, coarser ones through a 1×1 and nearest enlarging. The head widens the
branches to 128 … 1024 channels, adds them from fine to coarse, and ends in 2048.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.resample import Upsample
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, top_of, unit
from rfcalc.zoo.resnet import ResidualStyle, block

CITATION = "Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, arXiv:1908.07919"
WIDTHS = (18, 32, 48)
MODULES = (1, 4, 3)  # of stages 2, 3, 4
HEAD = (32, 64, 128, 256)  # inner width of the head's bottlenecks
STYLE = ResidualStyle()


def down(name: str, out: int, act: bool = True) -> Expr:
    """A 3×3 of stride 2 with normalisation."""
    return unit(name, Conv(out, 3, stride=2, padding=1, bias=False), act=RELU if act else None)


def fused(widths: list[int], source: int, target: int, name: str) -> Expr:
    """The way from one branch to another: enlarged, as it is, or convolved down."""
    if source > target:
        up = unit(f"{name}_conv", Conv(widths[target], 1, bias=False), act=None)
        return up >> Upsample(2 ** (source - target)).named(f"{name}_up")
    steps = []
    for k in range(target - source):
        last = k == target - source - 1
        steps.append(down(f"{name}_down{k + 1}", widths[target] if last else widths[source], not last))
    return series(steps)


def module(widths: list[int], inputs: list[str], name: str) -> tuple[list[Expr], list[str]]:
    """One module: its parts, and the names of the nodes that it ends in, a branch each."""
    parts: list[Expr] = []
    ends = []
    for b, (width, start) in enumerate(zip(widths, inputs, strict=True)):
        blocks = [block("basic", width, width, 1, STYLE).block(f"{name}.branch{b}.{i}") for i in range(4)]
        parts.append(series([ref(start) >> blocks[0], *blocks[1:]]))
        ends.append(f"{name}.branch{b}.3.relu_out")
    outputs = []
    for target in range(len(widths)):
        ways = []
        for source, end in enumerate(ends):
            way = fused(widths, source, target, f"{name}_{source}to{target}")
            ways.append(ref(end) if source == target else ref(end) >> way)
        out = f"{name}_relu{target}"
        parts.append(parallel(ways, Add()).named(f"{name}_sum{target}") >> RELU.named(out))
        outputs.append(out)
    return parts, outputs


def build(width: int = 18, *, classes: int = 1000, channels: int = 3) -> Network:
    """An HRNet classifier for images whose sides divide by 32.

    Args:
        width: channels of the finest branch.
        classes: outputs of the last layer.
        channels: channels of the input image.
    """
    stem = [down("conv1", 64), down("conv2", 64)]
    stem += [block("bottleneck", 64 if i == 0 else 256, 64, 1, STYLE).block(f"layer1.{i}") for i in range(4)]
    parts: list[Expr] = [series(stem).stage("stage 1")]
    names = ["layer1.3.relu_out"]
    widths = [256]
    for stage, modules in enumerate(MODULES, 2):
        wanted = [width * 2**i for i in range(stage)]
        made: list[Expr] = []
        starts = []
        for i, w in enumerate(wanted):
            name = f"transition{stage - 1}_{i}"
            if i < len(names) and w == widths[i]:
                starts.append(names[i])
                continue
            layer = unit(name, Conv(w, 3, padding=1, bias=False)) if i < len(names) else down(name, w)
            made.append(ref(names[min(i, len(names) - 1)]) >> layer)
            starts.append(f"{name}_relu")
        for m in range(modules):
            more, starts = module(wanted, starts, f"stage{stage}.{m}")
            made += more
        parts.append(series(made).stage(f"stage {stage}"))
        names, widths = starts, wanted
    head: list[Expr] = []
    for i, (name, w, inner) in enumerate(zip(names, widths, HEAD, strict=True)):
        wide = ref(name) >> block("bottleneck", w, inner, 1, STYLE).block(f"incre{i}")
        if i == 0:
            head.append(wide)
            continue
        lower = Conv(4 * inner, 3, stride=2, padding=1).named(f"down{i}") >> BatchNorm().named(f"down{i}_bn")
        before = "incre0.relu_out" if i == 1 else f"head_sum{i - 1}"
        head.append(parallel([ref(before) >> lower >> RELU.named(f"down{i}_relu"), wide], Add()).named(f"head_sum{i}"))
    head.append(unit("final", Conv(2048, 1)))
    parts += [series(head).stage("head"), top_of(classes).stage("classifier")]
    name, title = _named(width)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION)


def _named(width: int) -> tuple[str, str]:
    return f"hrnet-w{width}", f"HRNet-W{width}-C"


FAMILY = Family("HRNet", tuple(Entry(*_named(w), CITATION, partial(build, w)) for w in WIDTHS))
