"""Wide ResNet (Zagoruyko & Komodakis 2016, arXiv:1605.07146): the inner 3×3 of every bottleneck twice as wide."""

from __future__ import annotations

from functools import partial

from rfcalc.zoo import Entry, Family
from rfcalc.zoo.resnet import ResidualStyle, build

CITATION = "Zagoruyko & Komodakis, Wide Residual Networks, arXiv:1605.07146"
FACTOR = 2


def _entry(depth: int) -> Entry:
    name, title = f"wide-resnet{depth}-{FACTOR}", f"Wide ResNet-{depth}-{FACTOR}: inner layers {FACTOR} times as wide"
    style = ResidualStyle(width=FACTOR)
    return Entry(name, title, CITATION, partial(build, depth, style, name=name, title=title, citation=CITATION))


FAMILY = Family("Wide ResNet", (_entry(50), _entry(101)))
