"""SE-ResNet (Hu, Shen & Sun 2017, arXiv:1709.01507): a squeeze-and-excitation gate on every residual branch."""

from __future__ import annotations

from functools import partial

from rfcalc.zoo import Entry, Family
from rfcalc.zoo.resnet import ResidualStyle, build

CITATION = "Hu, Shen & Sun, Squeeze-and-Excitation Networks, arXiv:1709.01507"
REDUCTION = 16


def _entry(depth: int, reading: str) -> Entry:
    name = f"se-resnet{depth}" + ("-v1" if reading == "v1" else "")
    told = "as published (a bottleneck's stride on its first 1×1)" if reading == "v1" else TIMMS
    title = f"SE-ResNet-{depth}, reduction {REDUCTION}: {told}"
    style = ResidualStyle(reading, squeeze=REDUCTION)
    return Entry(name, title, CITATION, partial(build, depth, style, name=name, title=title, citation=CITATION))


TIMMS = "timm's, with v1.5's stride on the 3×3 (the paper has it on the 1×1)"
FAMILY = Family("SE-ResNet", tuple(_entry(d, r) for r in ("torchvision", "v1") for d in (50, 101, 152)))
