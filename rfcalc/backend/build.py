"""From a network to a module: twins in their places, names, shared weights, stages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn

from rfcalc.backend.graph import Expression, GraphScope, Instruction, NetworkModule
from rfcalc.backend.parts import NAMES
from rfcalc.backend.twin import At, ConstructorCall, Learned, Twin, concrete, twin_of
from rfcalc.core.errors import RfcalcError, Unsupported
from rfcalc.core.layer import VIEW
from rfcalc.core.sliding import choice
from rfcalc.graph.autograd import saving
from rfcalc.graph.forward import Shaped, forward, shapes_of_inputs
from rfcalc.graph.naming import paths
from rfcalc.graph.network import Network


class Placed(NamedTuple):
    """A node's twin and where it stands; `shares` is the path of an equal module that it is one with."""

    twin: Twin
    path: str
    shares: str = ""
    tied: str = ""  # the path of another module whose weights it has


def to_torch(
    network: Any,
    inputs: Any = None,
    *,
    measuring: bool = False,
    in_place: bool = False,
    dropout: float | None = None,
    eps: float | None = None,
    names: Mapping[str, str] | str | None = None,
    init: str | None = None,
    seed: int | None = None,
    device: Any = None,
    dtype: Any = None,
) -> NetworkModule:
    """The network as a PyTorch module.

    >>> import torch
    >>> from rfcalc import load, to_torch
    >>> vgg = to_torch(load("vgg16"), device="meta")
    >>> sum(p.numel() for p in vgg.parameters()), vgg(torch.empty(1, 3, 224, 224, device="meta")).shape
    (138357544, torch.Size([1, 1000]))

    Args:
        network: any network of numbers (not of symbols), or anything that names one, as for `rfcalc.analyze`.
        inputs: input shapes (without the batch) that weights are made for; the network's own if left out.
        measuring: the stand-in whose gradients show receptive fields: every layer becomes a sum with positive weights
            of exactly what its units depend on (maxima become sums, activations the identity, attention a mean over
            all that it attends to, products sums), a unit being a position over all channels. float64, evaluation
            mode, no weights to set; batch normalisation and the like couple what they look at.
        in_place: activations and dropout write over their input where nothing else needs it.
        dropout: a rate for every dropout layer, instead of their own.
        eps: what normalisation adds to the variance; by default torchvision's for the networks that it has, else
            PyTorch's.
        names: attribute paths by node name (``{"conv1_1": "features.0"}``), or ``"own"`` for the nodes' own; by default
            torchvision's for the networks that it has, so that its checkpoints load.
        init: how its weights begin: ``xavier-uniform``, ``kaiming-fan-out``, ``kaiming-fan-in``, ``normal-0.01``, or
            ``paper`` (what the network's own paper used); PyTorch's defaults if left out.
        seed: makes the weights reproducible.
        device: where it is made; ``"meta"`` allocates nothing.
        dtype: floating type of the weights.

    Raises:
        Unsupported: a kind without a twin, a map of more axes than PyTorch's layers take, or a symbol; the node is
            named.
        UnknownName: `names` has a node that the network does not have.
        ShapeError: a layer cannot take what it gets.
    """
    if not isinstance(network, Network):
        from rfcalc.readers.target import resolve

        found = resolve(network, inputs)
        network, inputs = found.network, None if found.bound else inputs or found.inputs
    shapes = shapes_of_inputs(network, inputs)
    walked = forward(network, shapes)
    if network.torch is not None:
        names = paths(network.torch, [node.name for node in network.nodes]) if names is None else names
        eps = network.torch.eps if eps is None else eps
    if isinstance(names, str):
        choice("names", names, ("own",))
        names = None
    for name in names or ():
        network.node(name)
    placed = place(walked, measuring, in_place, dropout, eps, names)
    graph = NetworkModule(
        network, _steps(walked, placed), _paths(network, placed), dict(zip(network.inputs, shapes, strict=True)), eps
    )
    with torch.device(device) if device is not None else nullcontext(), _seeded(seed):
        _assemble(graph, walked, placed)
    if measuring:
        _make_positive(graph)
        graph.requires_grad_(False).eval()
        return graph.to(torch.float64 if dtype is None else dtype)
    if init is not None:
        from rfcalc.backend.initial import initialise

        initialise(graph, init, seed)
    return graph if dtype is None else graph.to(dtype)


def counts(module: nn.Module) -> tuple[int, int]:
    """Parameters and buffers of a module as rfcalc counts them: buffers are running means and variances; step counters,
    index tables and fixed centres are not counted.

    >>> from torch import nn
    >>> counts(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    (240, 16)
    """
    running = ("running_mean", "running_var")
    buffers = sum(b.numel() for name, b in module.named_buffers() if name.rpartition(".")[2] in running)
    return sum(p.numel() for p in module.parameters()), buffers


def _make_positive(graph: NetworkModule) -> None:
    """Kernels of one positive number, so that nothing cancels; it neither grows nor shrinks fast with depth."""
    for module in graph.modules():
        kernel = getattr(module, "kernel_size", None)
        weight = getattr(module, "weight", None)
        if kernel is not None and weight is not None:
            nn.init.constant_(weight, prod(kernel) ** -0.5)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Random numbers from a seed, without touching those of the caller."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def place(
    walked: Shaped,
    measuring: bool = False,
    in_place: bool = False,
    dropout: float | None = None,
    eps: float | None = None,
    names: Mapping[str, str] | None = None,
) -> tuple[Placed, ...]:
    """The twin of every node, and its place among the attributes."""
    network = walked.network
    concrete(network.nodes[0].layer, *walked.shapes)
    over = saving(walked)[1] if in_place else frozenset()
    paths = attribute_paths(network, names)
    groups: dict[str, tuple[Twin, str]] = {}
    found = []
    for position, node in enumerate(network.nodes, network.arity):
        at = At(node.layer, walked.input_shapes(position), walked.shapes[position], position in over, dropout, eps)
        try:
            made = twin_of(at, measuring)
        except RfcalcError as error:
            raise error.at(f"{node.name} ({node.layer.notation()})") from None
        path = paths[node.name]
        weighted = made.learned is not None or (made.module is not None and _has_weights(at))
        if not node.group or not weighted:
            found.append(Placed(made, path))
            continue
        first, where = groups.setdefault(node.group, (made, path))
        if where == path:
            found.append(Placed(made, path))
        elif (first.module, first.learned) == (made.module, made.learned):
            found.append(Placed(made, path, shares=where))
        else:
            found.append(Placed(made, path, tied=where))
    return tuple(found)


def _has_weights(at: At) -> bool:
    cost = at.layer.cost(at.xs, at.y)
    return bool(cost.params or cost.buffers)


def attribute_paths(network: Network, names: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where each node's module stands: the names given; else its own name, whose dots nest.

    Where no name is dotted and the network has stages, its nodes stand under their stage, so that stages can be read
    and run by themselves. What PyTorch's modules call their own gets an underscore.
    """
    given = names or {}
    dotted = any("." in node.name for node in network.nodes)
    taken: dict[str, None] = {}
    folders: set[str] = set()
    found: dict[str, str] = {}
    whole = {node.name for node in network.nodes}
    for node in network.nodes:
        path = given.get(node.name)
        if path is None and "." in node.name and node.layer.memory == VIEW:  # a view below a node leaves it its name
            first, *rest = node.name.split(".")
            for part in rest:
                first += f"_{part}" if first in whole else f".{part}"
            path = first
        if path is None:
            staged = bool(node.stage) and not dotted and not given
            path = f"{_word(node.stage)}.{node.name}" if staged else node.name
        parts = [_free(part) for part in path.split(".")]
        path = ".".join(parts)
        while path in taken or path in folders or any(".".join(parts[:i]) in taken for i in range(1, len(parts))):
            blocked = next((i for i in range(1, len(parts)) if ".".join(parts[:i]) in taken), len(parts))
            parts[blocked - 1] += "_"
            path = ".".join(parts)
        taken[path] = None
        folders.update(".".join(parts[:i]) for i in range(1, len(parts)))
        found[node.name] = path
    return found


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_") or "stage"


def _free(part: str) -> str:
    """A name that no attribute of modules has."""
    part = part or "_"
    return f"{part}_" if hasattr(_PROBE, part) or part in _PROBE.__dict__ else part


_PROBE = NetworkModule.__new__(NetworkModule)
nn.Module.__init__(_PROBE)
_PROBE.__dict__.update(dict.fromkeys(("network", "steps", "paths", "shapes", "eps", "_outputs")))


def _steps(walked: Shaped, placed: tuple[Placed, ...]) -> tuple[Instruction, ...]:
    network, arity = walked.network, walked.network.arity
    last = list(range(len(walked.shapes)))
    for position, sources in enumerate(network.sources, arity):
        for s in sources:
            last[s] = position
    dies: dict[int, list[int]] = {}
    for position, when in enumerate(last):
        dies.setdefault(max(when, arity), []).append(position)
    steps = []
    for position, (node, sources, put) in enumerate(zip(network.nodes, network.sources, placed, strict=True), arity):
        made = put.twin
        direct = made.plain or (made.module is None and made.learned is None)
        steps.append(
            Instruction(
                node.name,
                "" if direct else made.text,
                (put.shares or put.path) if made.module is not None or direct else "",
                (put.shares or put.path) if made.learned is not None else "",
                sources,
                tuple(dies.get(position, ())),
            )
        )
    return tuple(steps)


def _paths(network: Network, placed: tuple[Placed, ...]) -> dict[str, str]:
    """Where each node's module is; learned tensors are no modules."""
    return {
        node.name: put.shares or put.path
        for node, put in zip(network.nodes, placed, strict=True)
        if put.twin.learned is None
    }


def make(made: ConstructorCall) -> nn.Module:
    """The module of a call."""
    prefix, _, name = made.target.rpartition(".")
    maker: Any = getattr(nn, name) if prefix == "nn" else NAMES[name]
    return maker(*made.args, **dict(made.options))  # type: ignore[no-any-return]


def learn(learned: Learned) -> nn.Parameter:
    """A learned tensor as it begins."""
    if learned.std:
        return nn.Parameter(torch.randn(learned.shape) * learned.std)
    return nn.Parameter(torch.full(learned.shape, learned.mean))


def _assemble(graph: NetworkModule, walked: Shaped, placed: tuple[Placed, ...]) -> None:
    """Make all modules and hang them into the tree; containers that are chains become Sequential."""
    leaves: dict[str, nn.Module | nn.Parameter] = {}
    network = walked.network
    for node, sources, put in zip(network.nodes, network.sources, placed, strict=True):
        if put.shares:
            continue
        made = put.twin
        if made.learned is not None:
            leaves[put.path] = learn(made.learned)
        elif made.module is not None:
            leaves[put.path] = make(made.module)
        else:
            leaves[put.path] = Expression(made.text, max(len(sources), 1))
        if put.tied:
            leaves[put.path] = _tie(node.name, leaves[put.path], leaves[put.tied])
    chains = chain_folders(network, placed)
    for path, leaf in leaves.items():
        *folder, name = path.split(".")
        at: nn.Module = graph
        for i, part in enumerate(folder):
            if part not in at._modules:
                at.add_module(part, nn.Sequential() if ".".join(folder[: i + 1]) in chains else GraphScope())
            at = at._modules[part]  # type: ignore[assignment]
        if isinstance(leaf, nn.Parameter):
            at.register_parameter(name, leaf)
        else:
            at.add_module(name, leaf)


def _tie(name: str, second: Any, first: Any) -> Any:
    """A module that has the first one's weights; they differ in geometry only."""
    if isinstance(second, nn.Parameter) or isinstance(first, nn.Parameter):
        if isinstance(first, nn.Parameter) and first.shape == second.shape:
            return first
        raise Unsupported("cannot share weights between different layers", where=name)
    theirs = dict(first.named_parameters())
    mine = dict(second.named_parameters())
    if {n: p.shape for n, p in theirs.items()} != {n: p.shape for n, p in mine.items()}:
        raise Unsupported("cannot share weights of different shapes", where=name, fix="share equal layers")
    for full, parameter in theirs.items():
        owner, _, last = full.rpartition(".")
        second.get_submodule(owner).register_parameter(last, parameter)
    return second


def chain_folders(network: Network, placed: tuple[Placed, ...]) -> set[str]:
    """The containers that are chains: consecutive nodes, each reading the one before only, every one a module."""
    members: dict[str, list[int]] = {}
    for position, put in enumerate(placed, network.arity):
        parts = put.path.split(".")
        for i in range(1, len(parts)):
            members.setdefault(".".join(parts[:i]), []).append(position)
    readers: dict[int, list[int]] = {}
    for position, sources in enumerate(network.sources, network.arity):
        for s in sources:
            readers.setdefault(s, []).append(position)
    outputs = {network.position(name) for name in network.outputs}
    found = set()
    for folder, positions in members.items():
        puts = [placed[p - network.arity] for p in positions]
        plain = all(
            not put.shares and not put.tied and (put.twin.plain or (put.twin.module is None and not put.twin.learned))
            for put in puts
        )
        one = all(len(network.sources[p - network.arity]) == 1 for p in positions)
        row = positions == list(range(positions[0], positions[-1] + 1)) and all(
            network.sources[p - network.arity] == (p - 1,) for p in positions[1:]
        )
        closed = all(readers.get(p) == [p + 1] and p not in outputs for p in positions[:-1])
        if plain and one and row and closed:
            found.add(folder)
    return found
