"""Activations, dropout, learned scales."""

from __future__ import annotations

from rfcalc.backend.twin import At, Learned, Twin, call, kept_keys, measuring, moved, text_only, twin

CLASSES = {  # function: class, whether it can write over its input
    "relu": ("ReLU", True),
    "relu6": ("ReLU6", True),
    "leaky_relu": ("LeakyReLU", True),
    "elu": ("ELU", True),
    "selu": ("SELU", True),
    "celu": ("CELU", True),
    "hardtanh": ("Hardtanh", True),
    "sigmoid": ("Sigmoid", False),
    "tanh": ("Tanh", False),
    "gelu": ("GELU", False),
    "gelu_tanh": ("GELU", False),
    "silu": ("SiLU", True),
    "mish": ("Mish", True),
    "softplus": ("Softplus", False),
    "hardsigmoid": ("Hardsigmoid", True),
    "hardswish": ("Hardswish", True),
}


@twin("activation")
def activation(at: At) -> Twin:
    name, overwrites = CLASSES[at.layer.function]
    return Twin(
        call(
            f"nn.{name}",
            approximate="tanh" if at.layer.function == "gelu_tanh" else None,
            inplace=True if at.in_place and overwrites else None,
        )
    )


@twin("prelu")
def prelu(at: At) -> Twin:
    if not at.layer.per_channel:
        return Twin(call("nn.PReLU"))
    return Twin(call("nn.PReLU", at.x.channels), moved(at))


@twin("softmax")
def softmax(at: At) -> Twin:
    if at.layer.mask is not None:
        kept = kept_keys(at.layer.mask, at.x.dims)
        return text_only(f"{{0}}.masked_fill(~{kept}, float('-inf')).{'log_' * at.layer.log}softmax(-1)")
    return Twin(call("nn.LogSoftmax" if at.layer.log else "nn.Softmax", dim=_axis(at)))


def _axis(at: At) -> int:
    axis = at.x.channel if at.layer.axis is None else at.layer.axis
    return int(axis % len(at.x.dims)) + 1


@measuring("softmax")
def coupled(at: At) -> Twin:
    if at.layer.mask is not None:
        kept = kept_keys(at.layer.mask, at.x.dims)
        return text_only(f"({{0}} + ({{0}} * {kept}).mean(-1, keepdim=True)) * {kept}")
    return text_only(f"{{0}} + {{0}}.mean({_axis(at)}, keepdim=True)")


@twin("glu")
def glu(at: At) -> Twin:
    return Twin(call("nn.GLU", dim=at.x.channel + 1))


@measuring("glu")
def halves(at: At) -> Twin:
    return text_only(f"sum({{0}}.chunk(2, dim={at.x.channel + 1}))")


@twin("dropout")
def dropout(at: At) -> Twin:
    rate = at.layer.p if at.dropout is None else at.dropout
    rank = len(at.x.dims) - 1
    kind = f"nn.Dropout{rank}d" if at.layer.maps and at.x.channel == 0 and rank in (1, 2, 3) else "nn.Dropout"
    return Twin(call(kind, rate, inplace=True if at.in_place else None))


@twin("stochastic_depth")
def stochastic_depth(at: At) -> Twin:
    return Twin(call("StochasticDepth", at.layer.p))


@twin("scale")
def scale(at: At) -> Twin:
    after = len(at.x.dims) - 1 - at.x.channel
    if at.layer.bias:
        return Twin(call("Scale", at.x.channels, after, bias=True))
    return Twin(None, "{w} * {0}", Learned((at.x.channels, *[1] * after), mean=1.0))


@twin("identity")
def identity(at: At) -> Twin:
    return text_only("{0}")


@measuring("activation", "prelu", "dropout", "stochastic_depth", "scale")
def passed_on(at: At) -> Twin:
    return text_only("{0}")
