"""The weights of a user's module in the network that was read from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rfcalc.backend.build import to_torch
from rfcalc.backend.graph import Graph
from rfcalc.core.errors import RfcalcError, Unsupported
from rfcalc.graph.forward import Walked, forward, shapes_of_inputs


def own_weights(module: nn.Module, given: Any) -> tuple[Graph, Walked, tuple[str, ...]]:
    """A module as a network that runs with the module's own parameters; its walk; what was assumed.

    Parameters are found by the module's path that names each node. The two are run beside each other once, on small
    random numbers, so that a wrong weight cannot go unseen.

    Raises:
        Unsupported: parameters that cannot be found, an operator without a counterpart, or different values.
    """
    from rfcalc.readers.torch.importer import from_torch

    read = from_torch(module, given)
    network = read.network
    graph = to_torch(network, names="own").eval()
    held = dict(module.named_modules())
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for node in network.nodes:
            path = graph.paths.get(node.name)
            if path is None:
                _learned(graph, node.name, parameters)
                continue
            mine = graph.get_submodule(path)
            theirs = held.get(node.name) or held.get(node.name.rpartition("_")[0])
            wanted = [*mine.named_parameters(), *mine.named_buffers()]
            if theirs is None:
                if any(True for name, _ in wanted if not name.endswith("num_batches_tracked")):
                    raise Unsupported("the weights of this node were not found in the module", where=node.name)
                continue
            _attributes(mine, theirs)
            for name, tensor in wanted:
                _take(mine, name, tensor, theirs, node.name)
    graph = graph.to(next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32))
    _compare(module, graph)
    return graph, forward(network, shapes_of_inputs(network)), read.assumptions


def _take(mine: nn.Module, name: str, tensor: torch.Tensor, theirs: nn.Module, node: str) -> None:
    """Give a module the parameter (or buffer) of this name of another: the same tensor, not a copy."""
    inner, _, last = name.rpartition(".")
    try:
        found = getattr(theirs.get_submodule(inner), last)
    except AttributeError:
        if last == "num_batches_tracked":
            return
        raise Unsupported(f"the module has no {name} for this node", where=node) from None
    if not isinstance(found, torch.Tensor) or found.shape != tensor.shape:
        shape = tuple(getattr(found, "shape", ()))
        raise Unsupported(f"its {name} is {shape} in the module, and {tuple(tensor.shape)} as it was read", where=node)
    holder = mine.get_submodule(inner)
    if last in holder._buffers:
        holder._buffers[last] = found
    else:  # a weight that is computed (weight normalisation) is taken as it is now
        kept = found if isinstance(found, nn.Parameter) else nn.Parameter(found.detach(), requires_grad=False)
        holder._parameters[last] = kept


def _attributes(mine: nn.Module, theirs: nn.Module) -> None:
    """Numbers that are no parameters: what is added to variances, slopes."""
    for name in ("eps", "negative_slope", "alpha", "beta", "threshold", "approximate", "lambd"):
        if hasattr(mine, name) and isinstance(getattr(theirs, name, None), (int, float, str)):
            setattr(mine, name, getattr(theirs, name))


def _learned(graph: Graph, node: str, parameters: dict[str, nn.Parameter]) -> None:
    """A tensor that is learned by itself: it is called as its parameter is."""
    step = next((s for s in graph.steps if s.name == node), None)
    if step is None or not step.learned:
        return
    found = parameters.get(node)
    mine = graph.get_parameter(step.learned)
    if found is None or found.numel() != mine.numel():
        raise Unsupported("this parameter was not found in the module", where=node)
    owner, _, last = step.learned.rpartition(".")
    kept = found if found.shape == mine.shape else nn.Parameter(found.detach().reshape(mine.shape), requires_grad=False)
    graph.get_submodule(owner)._parameters[last] = kept


def _compare(module: nn.Module, graph: Graph) -> None:
    """Run both once on the same numbers.

    Raises:
        Unsupported: they differ.
    """
    kind = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    made = torch.Generator().manual_seed(0)
    xs = [torch.randn(1, *s.dims, generator=made).to(device, kind) for s in graph.shapes.values()]
    modes = {m: m.training for m in module.modules()}
    try:
        for m in modes:
            m.training = False
        with torch.no_grad():
            first, second = module(*xs), graph(*xs)
    except RfcalcError:
        raise
    except Exception as error:
        raise Unsupported("the network that was read does not run", why=str(error).split("\n")[0]) from error
    finally:
        for m, mode in modes.items():
            m.training = mode
    a, b = (next(_tensors(v)) for v in (first, second))
    if a.numel() != b.numel() or not torch.allclose(
        a.reshape(-1), b.reshape(-1), rtol=1e-3, atol=1e-4 * float(a.abs().max() + 1)
    ):
        raise Unsupported(
            "the network that was read gives other values than the module",
            why="a constant, a function or a weight of it is not what it was read as",
            fix="stream a part of it: to_stream(module.encoder, …)",
        )


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from _tensors(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)
