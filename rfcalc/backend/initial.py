"""Initial weights by name, reproducible from a seed."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import TypeAlias

import torch
from torch import Generator, Tensor, nn

from rfcalc.backend.graph import NetworkModule
from rfcalc.core.errors import RfcalcError
from rfcalc.core.sliding import choice

Rule: TypeAlias = Callable[[Tensor, Generator | None], object]


def xavier_uniform(weight: Tensor, generator: Generator | None) -> None:
    """Uniform in ±√(6 / (fan in + fan out)) (Glorot & Bengio 2010)."""
    nn.init.xavier_uniform_(weight, generator=generator)


def kaiming_fan_out(weight: Tensor, generator: Generator | None) -> None:
    """Normal with variance 2 / fan out (He 2015; torchvision's)."""
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu", generator=generator)


def kaiming_fan_in(weight: Tensor, generator: Generator | None) -> None:
    """Normal with variance 2 / fan in (He 2015, equation 10)."""
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu", generator=generator)


def normal(std: float) -> Rule:
    """Normal with a fixed standard deviation."""
    return lambda weight, generator: nn.init.normal_(weight, 0.0, std, generator=generator)


def lecun(weight: Tensor, generator: Generator | None) -> None:
    """Uniform in ±2.4 / fan in (LeCun 1998, appendix A)."""
    bound = 2.4 / max(prod(weight.shape[1:]), 1)
    nn.init.uniform_(weight, -bound, bound, generator=generator)


RULES: dict[str, Rule] = {
    "xavier-uniform": xavier_uniform,
    "kaiming-fan-out": kaiming_fan_out,
    "kaiming-fan-in": kaiming_fan_in,
    "normal-0.01": normal(0.01),
}
PAPERS: dict[str, Rule] = {  # by the beginning of a network's name
    "vgg": normal(sqrt(1e-2)),  # §3.1: variance 10⁻²
    "alexnet": normal(0.01),  # §5; biases of ones besides
    "resnet": kaiming_fan_in,  # §3.4: as in He 2015
    "densenet": kaiming_fan_in,  # §4.2: the same
    "lenet": lecun,
}
ONES = ("conv2", "conv4", "conv5", "fc6", "fc7")  # AlexNet's layers whose biases begin with 1


def initialise(graph: NetworkModule, how: str, seed: int | None = None) -> None:
    """Give every kernel and matrix new weights; biases become 0, normalisation the identity.

    Learned tokens and tables are left alone. `how` is a key of `RULES`, or ``"paper"``: what the network's own paper
    used.

    >>> from rfcalc import Conv, Network, to_torch
    >>> graph = to_torch(Network(Conv(2, 3), "1x8x8"))
    >>> initialise(graph, "xavier-uniform", seed=1)
    >>> bool(graph.module("conv1").weight.abs().max() <= (6 / (9 + 18)) ** 0.5)
    True

    Raises:
        LayerError: there is no such rule.
        RfcalcError: "paper", and it is not known what the network's paper used.
    """
    choice("initialisation", how, (*RULES, "paper"))
    name = graph.network.name
    rule = RULES.get(how) or next((r for begin, r in PAPERS.items() if name.startswith(begin)), None)
    if rule is None:
        raise RfcalcError(
            f"it is not known how the paper initialised {name or 'this network'}", fix=f"use one of: {', '.join(RULES)}"
        )
    done: set[int] = set()
    generators: dict[torch.device, Generator] = {}
    for node in graph.network.nodes:
        path = graph.paths.get(node.name)
        if path is None:
            continue
        for key, tensor in graph.get_submodule(path).named_parameters():
            if id(tensor) in done or tensor.is_meta:
                continue
            done.add(id(tensor))
            if tensor.dim() >= 2:
                if seed is not None and tensor.device not in generators:
                    generators[tensor.device] = Generator(tensor.device).manual_seed(seed)
                rule(tensor, generators.get(tensor.device))
            elif key.endswith("bias"):
                ones = how == "paper" and name.startswith("alexnet") and node.name in ONES
                nn.init.constant_(tensor, 1.0 if ones else 0.0)
            elif node.layer.kind != "prelu":
                nn.init.ones_(tensor)
