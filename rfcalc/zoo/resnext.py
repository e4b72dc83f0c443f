"""ResNeXt (Xie, Girshick, Dollár, Tu & He 2016, arXiv:1611.05431): a bottleneck's 3×3 in groups ("cardinality")."""

from __future__ import annotations

from functools import partial

from rfcalc.zoo import Entry, Family
from rfcalc.zoo.resnet import ResidualStyle, build

CITATION = "Xie, Girshick, Dollár, Tu & He, Aggregated Residual Transformations for Deep Networks, arXiv:1611.05431"

# Depth, groups, channels of a group in the first stage.
NETWORKS = {"resnext50": (50, 32, 4), "resnext101": (101, 32, 8)}


def _entry(name: str, depth: int, groups: int, each: int) -> Entry:
    title = f"ResNeXt-{depth}, {groups}×{each}d"
    style = ResidualStyle(groups=groups, width=each / 64)
    return Entry(name, title, CITATION, partial(build, depth, style, name=name, title=title, citation=CITATION))


FAMILY = Family("ResNeXt", tuple(_entry(name, *data) for name, data in NETWORKS.items()))
