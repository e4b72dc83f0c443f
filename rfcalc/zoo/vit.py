"""Vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929): patches as tokens, learned positions."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.attention import SelfAttention
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.learned import ClassToken, PositionTable
from rfcalc.layers.norm import LayerNorm
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.reshape import Flatten, Permute
from rfcalc.layers.slice import Slice
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import residual, shortcut

CITATION = "Dosovitskiy et al., An Image is Worth 16x16 Words, arXiv:2010.11929"

# Table 1: layers, hidden size D, MLP size, heads.
SIZES = {"b": ("Base", 12, 768, 3072, 12), "l": ("Large", 24, 1024, 4096, 16), "h": ("Huge", 32, 1280, 5120, 16)}
NETWORKS = (("b", 16), ("b", 32), ("l", 16), ("l", 32), ("h", 14))
NORM = LayerNorm()


TORCH = (
    (r"pos_embedding|ln", r"encoder.\g<0>"),
    (r"encoder\.(\d+)\.mlp1", r"encoder.layers.encoder_layer_\1.mlp.0"),
    (r"encoder\.(\d+)\.gelu", r"encoder.layers.encoder_layer_\1.mlp.1"),
    (r"encoder\.(\d+)\.mlp2", r"encoder.layers.encoder_layer_\1.mlp.3"),
    (r"encoder\.(\d+)\.(.*)", r"encoder.layers.encoder_layer_\1.\2"),
    (r"head", "heads.head"),
)


def layer(width: int, mlp: int, heads: int) -> Expr:
    """A transformer encoder layer, normalised before each part."""
    attend = NORM.named("ln_1") >> SelfAttention(heads).named("self_attention")
    think = [
        NORM.named("ln_2"),
        Linear(mlp).named("mlp1"),
        Activation("gelu").named("gelu"),
        Linear(width).named("mlp2"),
    ]
    first = residual(attend, shortcut(), act=None, name="add_1")
    return first >> residual(series(think), shortcut(), act=None, name="add_2")


def build(size: str, patch: int, *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A Vision Transformer for images of 224×224; the position table grows with the image.

    Args:
        size: a key of `SIZES`.
        patch: side of a patch.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether the classifier on the class token is there.
    """
    label, layers, width, mlp, heads = SIZES[size]
    embed = [
        Conv(width, patch, stride=patch).named("conv_proj"),
        Flatten(1).named("patches"),
        Permute((1, 0)).named("tokens"),
        ClassToken().named("class_token"),
        PositionTable().named("pos_embedding"),
    ]
    encoder = Repeat(layer(width, mlp, heads), layers).block("encoder") >> NORM.named("ln")
    parts: list[Expr] = [series(embed).stage("embedding"), encoder.stage("encoder")]
    if top:
        head = [Slice(0, 0, 1).named("class"), Flatten().named("flatten"), Linear(classes).named("head")]
        parts.append(series(head).stage("classifier"))
    shape = f"{channels}x224x224"
    about = {"name": f"vit-{size}-{patch}", "title": f"ViT-{label}/{patch}", "citation": CITATION}
    return Network(series(parts), shape, **about, torch=Naming(f"vit_{size}_{patch}", TORCH, eps=1e-6))


FAMILY = Family(
    "Vision Transformer",
    tuple(Entry(f"vit-{s}-{p}", f"ViT-{SIZES[s][0]}/{p}", CITATION, partial(build, s, p)) for s, p in NETWORKS),
)
