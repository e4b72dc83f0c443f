"""DeiT (Touvron et al. 2020, arXiv:2012.12877): vision transformers of 192, 384 and 768 channels on patches of 16.

A distilled one has a second token and a second classifier; the two are averaged.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.learned import ClassToken, PositionTable
from rfcalc.layers.merge import Add
from rfcalc.layers.reshape import Flatten, Permute
from rfcalc.layers.slice import Slice
from rfcalc.zoo import Entry, Family
from rfcalc.zoo.vit import NORM, layer

CITATION = (
    "Touvron et al., Training data-efficient image transformers & distillation through attention, arXiv:2012.12877"
)

# Table 1: hidden size and heads; twelve layers, an MLP of ratio 4.
SIZES = {"ti": ("tiny", 192, 3), "s": ("small", 384, 6), "b": ("base", 768, 12)}
LAYERS, PATCH = 12, 16


def build(
    size: str = "ti", distilled: bool = False, *, classes: int = 1000, channels: int = 3, top: bool = True
) -> Network:
    """A DeiT for images of 224×224; the position table grows with the image.

    Args:
        size: a key of `SIZES`.
        distilled: whether it has the distillation token and its classifier.
        classes: outputs of each classifier.
        channels: channels of the input image.
        top: whether the classifiers are there.
    """
    _, width, heads = SIZES[size]
    embed = [
        Conv(width, PATCH, stride=PATCH).named("conv_proj"),
        Flatten(1).named("patches"),
        Permute((1, 0)).named("tokens"),
        ClassToken(2 if distilled else 1).named("class_token"),
        PositionTable().named("pos_embedding"),
    ]
    encoder = Repeat(layer(width, 4 * width, heads), LAYERS).block("encoder") >> NORM.named("ln")
    parts: list[Expr] = [series(embed).stage("embedding"), encoder.stage("encoder")]
    if top:
        first: Expr = Slice(0, 0, 1).named("class") >> Flatten().named("flatten") >> Linear(classes).named("head")
        if distilled:
            second = ref("ln") >> Slice(0, 1, 2).named("distillation") >> Flatten().named("flatten_dist")
            first = parallel([first, second >> Linear(classes).named("head_dist")], Add()).named("mean")
        parts.append(first.stage("classifier"))
    name, title = _named(size, distilled)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION)


def _named(size: str, distilled: bool) -> tuple[str, str]:
    more = ("-distilled", ", distilled") if distilled else ("", "")
    return f"deit-{size}{more[0]}", f"DeiT-{SIZES[size][0]}{more[1]}"


FAMILY = Family(
    "DeiT", tuple(Entry(*_named(s, d), CITATION, partial(build, s, d)) for d in (False, True) for s in SIZES)
)
