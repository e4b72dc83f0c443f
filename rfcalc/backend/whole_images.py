"""Dense evaluation (Simonyan & Zisserman 2014, §3.2; Sermanet 2014): fully connected layers as convolutions, and back.

A fully connected layer on a C×H×W map is a convolution with an H×W kernel; those after it are 1×1 convolutions. The
weights are the same numbers, and larger images give a map of scores.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rfcalc.backend.build import to_torch
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.twin import same_everywhere
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.graph.forward import forward, shapes_of_inputs
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.reshape import Flatten


class ImageScores(NamedTuple):
    """N×classes×H×W scores, their mean over space, and class probabilities (averaged with the mirrored image's)."""

    map: Tensor
    mean: Tensor
    probabilities: Tensor


def dense_network(network: Network, inputs: Any = None) -> Network:
    """The network with its fully connected layers as convolutions; nodes keep their names.

    An adaptive pool that does nothing at this size, and the flatten, are left out.

    >>> from rfcalc import load
    >>> vgg = dense_network(load("vgg16"))
    >>> vgg.node("fc6").layer, vgg.node("fc7").layer
    (Conv(4096, 7), Conv(4096, 1))

    Raises:
        RfcalcError: the network does not end in fully connected layers on a flattened map.
    """
    shapes = forward(network, shapes_of_inputs(network, inputs)).shapes
    first = _flatten(network)
    x = shapes[network.sources[first][0]]
    if x.channel != 0 or x.rank == 0:
        raise RfcalcError(f"the map {x} before the flatten does not have its channels first")
    kept: list[tuple[str, Layer, tuple[str, ...]]] = []
    stands = {name: name for name in network.inputs}
    kernel: tuple[Any, ...] = x.dims[1:]
    for i, node in enumerate(network.nodes):
        reads = tuple(stands[r] for r in node.inputs)
        before = shapes[network.sources[i][0]] if network.sources[i] else None
        y = shapes[network.arity + i]
        idle = node.layer.kind == "adaptive_pool" and before == y and node.name == network.nodes[first].inputs[0]
        if idle or i == first:
            stands[node.name] = reads[0]
            continue
        layer: Layer = node.layer
        if i > first and node.layer.kind == "linear":
            layer = Conv(node.layer.out_features, same_everywhere(kernel), bias=node.layer.bias)  # type: ignore[attr-defined]
            kernel = (1,) * x.rank
        stands[node.name] = node.name
        kept.append((node.name, layer, reads))
    about: dict[str, Any] = {"name": network.name, "title": network.title, "citation": network.citation}
    outputs = tuple(stands[o] for o in network.outputs)
    return Network.from_nodes(kept, dict(zip(network.inputs, shapes, strict=False)), outputs=outputs, **about)


def _flatten(network: Network) -> int:
    """Which node flattens the map for the classifier: the chain behind it holds only what works on a dense map too.

    Raises:
        RfcalcError: there is none.
    """
    nodes = network.nodes
    at = next((i for i in range(len(nodes) - 1, -1, -1) if nodes[i].layer.kind == "flatten"), None)
    allowed = ("linear", "activation", "dropout", "batchnorm", "identity", "prelu")
    if at is None or nodes[at].layer != Flatten() or not any(n.layer.kind == "linear" for n in nodes[at:]):
        raise RfcalcError(
            "the network does not end in fully connected layers on a flattened map",
            fix="dense evaluation is for networks such as VGG and AlexNet",
        )
    for i in range(at + 1, len(nodes)):
        if nodes[i].layer.kind not in allowed or network.sources[i] != (network.arity + i - 1,):
            told = f"{nodes[i].name} ({nodes[i].layer.notation()})"
            raise RfcalcError(f"{told} stands behind the flatten, and is no fully connected layer")
    return at


def dense(graph: NetworkModule) -> NetworkModule:
    """The same module with its fully connected layers as convolutions: equal scores, for images of any size.

    Weights are shared with `graph`, not copied; names in the state dict stay.

    Raises:
        RfcalcError: the network does not end in fully connected layers on a flattened map.
    """
    network = dense_network(graph.network, graph.shapes)
    return _with(network, graph)


def flat(graph: NetworkModule, network: Network) -> NetworkModule:
    """Back: the network with fully connected layers, with the weights of its dense form.

    Raises:
        RfcalcError: they are not the same network.
    """
    return _with(network, graph)


def _with(network: Network, graph: NetworkModule) -> NetworkModule:
    """A module of the network with the graph's tensors, seen in the shapes that it needs."""
    names = {node.name: graph.paths[node.name] for node in network.nodes if node.name in graph.paths}
    made = to_torch(network, names=names, eps=graph.eps, device="meta")
    state = graph.state_dict(keep_vars=True)
    wanted = made.state_dict()
    if set(state) != set(wanted) or any(state[k].numel() != v.numel() for k, v in wanted.items()):
        raise RfcalcError("the weights are of another network")
    views = {name: state[name].detach().view(tensor.shape) for name, tensor in wanted.items()}
    made.load_state_dict(views, assign=True)
    return made.train(graph.training)


def scores(graph: NetworkModule, images: Tensor, *, mirror: bool = True) -> ImageScores:
    """The paper's evaluation of whole images (§3.2) by a dense module: the map of scores, its mean over space, and the
    soft-max probabilities, averaged with those of the mirrored images.

    Args:
        graph: a dense module with one output.
        images: N×C×H×W, at least of the network's input size.
        mirror: whether the horizontally mirrored images are evaluated too.

    Raises:
        RfcalcError: the module gives no map of scores.
    """
    with torch.no_grad():
        found = graph(images)
        if not isinstance(found, Tensor) or found.dim() < 3:
            raise RfcalcError("the module gives no map of scores", fix="make it dense first: dense(graph)")
        space = tuple(range(2, found.dim()))
        mean = found.mean(space)
        probabilities = mean.softmax(1)
        if mirror:
            flipped = graph(images.flip(-1))
            probabilities = (probabilities + flipped.mean(space).softmax(1)) / 2
    return ImageScores(found, mean, probabilities)
