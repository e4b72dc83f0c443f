"""The weights of a user's module in the network that was read from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from rfcalc.backend.build import to_torch
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.stream.still import with_values
from rfcalc.core.errors import RfcalcError, Unsupported
from rfcalc.graph.forward import Walked, forward, shapes_of_inputs
from rfcalc.graph.network import Network
from rfcalc.plan.even import with_length
from rfcalc.plan.timeline import Timeline
from rfcalc.readers.imported import Imported

# attributes of PyTorch's modules that are arguments of the operators: ours, theirs
NUMBERS = {
    "eps": "eps",
    "negative_slope": "negative_slope",
    "alpha": "alpha",
    "beta": "beta",
    "threshold": "threshold",
    "min_val": "min_val",
    "max_val": "max_val",
    "approximate": "approximate",
}


def read_blocks(module: nn.Module, given: Any, axis: int = -1) -> tuple[Imported, Walked]:
    """A module read with a length of whole blocks, and its walk."""
    from rfcalc.readers.streaming import whole_blocks
    from rfcalc.readers.torch.importer import from_torch

    read = from_torch(module, given, exact=True)
    walked = forward(read.network, shapes_of_inputs(read.network))
    more = whole_blocks(walked, axis)
    if more is not None:  # code may decide by its length: it is read at whole blocks
        read = from_torch(module, more, exact=True)
    return with_values(read)


def same_frames(module: nn.Module, line: Timeline) -> None:
    """Read the module at another length, where it cuts the axis into frames: which extent is fixed, and which follows
    the length, is seen there only.

    Raises:
        Unsupported: the number of frames is fixed, or the module does not take that length.
    """
    cut = [p for p, at in enumerate(line.lines) if at.framed]
    if not cut:
        return
    from rfcalc.readers.torch.importer import from_torch

    network, axis = line.walked.network, line.lines[0].axis
    assert axis is not None
    n = line.length + 3 * line.block[0]
    shapes = dict(zip(network.inputs, line.walked.shapes, strict=False))
    for (name, shape), at in zip(list(shapes.items()), line.lines, strict=False):
        if at.axis is not None:
            shapes[name] = with_length(shape, at.axis, int(n * at.rate))
    fix = "leave the number of frames open, and say their length: x.view(len(x), -1, n)"
    try:
        again = from_torch(module, shapes if len(shapes) > 1 else next(iter(shapes.values())), exact=True).network
        made = dict(
            zip(
                (node.name for node in again.nodes),
                forward(again, shapes_of_inputs(again)).shapes[again.arity :],
                strict=True,
            )
        )
    except RfcalcError as error:
        raise Unsupported(
            f"it does not take other lengths: {error.what}", where=line.lines[cut[0]].name, fix=fix
        ) from None
    for position in cut:
        at, wanted = line.lines[position], line.lengths(n)[position]
        found = made.get(at.name)
        if found is None or at.axis is None or found.dims[at.axis] != wanted:
            told = (
                f"for an input of {n} it makes {found}" if found is not None else f"it is not there for an input of {n}"
            )
            raise Unsupported("the frames that it cuts depend on the length", where=at.name, why=told, fix=fix)


def own_weights(
    module: nn.Module, read: Imported, network: Network | None = None, tables: Mapping[str, torch.Tensor] | None = None
) -> tuple[NetworkModule, dict[str, torch.dtype]]:
    """What was read of a module as a network that runs with the module's own parameters, and the types of those of its
    maps that have another type than the parameters.

    Parameters are those that the module's operators were called with when it was read. The two are run beside each
    other once, on small random numbers, so that a wrong weight cannot go unseen.

    Args:
        network: what stands for what was read, where attention was gathered; `tables` are the biases that it adds.

    Raises:
        Unsupported: parameters that cannot be found, an operator without a counterpart, or different values.
    """
    network, tables = network or read.network, tables or {}
    graph = to_torch(network, names="own").eval()
    kind = _first(module).dtype
    constants = {name: _in(kind, t) for name, t in read.constants.items() if t is not None}
    tensors = {**constants, **dict(module.named_parameters())}
    with torch.no_grad():
        for node in network.nodes:
            if node.name in tables:
                _table(graph, node.name, tables[node.name], module)
            elif node.name in read.origins:  # what gathering has added has no weights
                _node(graph, node.name, read, tensors)
    return graph, _compare(module, graph, read)


def _node(graph: NetworkModule, name: str, read: Imported, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give one node of the network what its operator was called with."""
    path, step = graph.paths.get(name), read.origins.get(name)
    if path is None:
        _learned(graph, name, tensors)
        return
    mine = graph.get_submodule(path)
    made = {f"{p}.{n}" if p else n for p, m in mine.named_modules() for n in m._non_persistent_buffers_set}
    held = [n for n, _ in (*mine.named_parameters(), *mine.named_buffers()) if n not in made]
    wanted = [n for n in held if not n.endswith("num_batches_tracked")]
    if step is None:
        if wanted:
            raise Unsupported("the weights of this node were not found in the module", where=name)
        return
    for ours, theirs in NUMBERS.items():
        if hasattr(mine, ours) and isinstance(step.args.get(theirs), (int, float, str)):
            setattr(mine, ours, step.args[theirs])
    for wish in wanted:
        found = _argument(step, wish, name)
        tensor = dict((*mine.named_parameters(), *mine.named_buffers()))[wish]
        if found is None or found.is_meta:
            raise Unsupported(f"the {wish} of this node was not found in the module", where=name)
        if found.shape != tensor.shape:
            if found.numel() != tensor.numel():
                told = f"{tuple(found.shape)} in the module, {tuple(tensor.shape)} as it was read"
                raise Unsupported(f"the {wish} of this node does not fit", where=name, why=told)
            found = found.reshape(tensor.shape)
        inner, _, last = wish.rpartition(".")
        holder = mine.get_submodule(inner)
        if last in holder._buffers:
            holder._buffers[last] = found
        else:  # a weight that is computed (weight normalisation) is taken as it is now
            kept = found if isinstance(found, nn.Parameter) else nn.Parameter(found.detach(), requires_grad=False)
            holder._parameters[last] = kept


def _argument(step: Any, wish: str, node: str) -> torch.Tensor | None:
    """The tensor that an operator was called with under a name of PyTorch's modules."""
    params = step.args.get("params")
    if params is not None:  # of a recurrent layer: weights from the input and the state, then biases, for each layer
        match = re.fullmatch(r"(weight|bias)_(ih|hh|hr)_l0(_reverse)?", wish)
        if match is None:
            return None
        each, ways = 4 if step.args["has_biases"] else 2, 1 + bool(step.args["bidirectional"])
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][:each]
        if len(params) != each * ways * step.args["num_layers"]:
            names.append("weight_hr")  # of a projection
        layer = int(number[1]) if (number := re.search(r"\.?\bl(\d+)$", node)) else 0
        place = names.index(f"{match[1]}_{match[2]}")
        return params[(layer * ways + bool(match[3])) * len(names) + place]  # type: ignore[no-any-return]
    found = step.args.get(wish)
    return found if isinstance(found, torch.Tensor) else None


def _learned(graph: NetworkModule, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """A tensor that stands by itself: a parameter, by whose name it is called, or what is computed without input."""
    step = next((s for s in graph.steps if s.name == name), None)
    if step is None or not step.learned:
        return
    found = tensors.get(name)
    mine = graph.get_parameter(step.learned)
    if found is None or found.numel() != mine.numel():
        raise Unsupported("this parameter was not found in the module", where=name)
    owner, _, last = step.learned.rpartition(".")
    if found.shape != mine.shape or not isinstance(found, nn.Parameter):
        found = nn.Parameter(found.detach().reshape(mine.shape), requires_grad=False)
    graph.get_submodule(owner)._parameters[last] = found


def _table(graph: NetworkModule, name: str, table: torch.Tensor, module: nn.Module) -> None:
    """Give an attention the bias that it adds by the distance of a pair, as it is now."""
    like = _first(module)
    owner, _, last = next(s.learned for s in graph.steps if s.name == name).rpartition(".")
    kept = nn.Parameter(table.to(like.device, like.dtype), requires_grad=False)
    graph.get_submodule(owner)._parameters[last] = kept


def _numbers(read: Imported, graph: NetworkModule, first: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Small random numbers for each input, in the shapes that the module and that the network takes; whole ones where
    the module takes such, which are rows of every table that is looked up."""
    made, leaves = torch.Generator().manual_seed(0), getattr(read.network.source, "call", None)
    given = leaves.leaves if leaves is not None else ()
    rows = [s.args["weight"].shape[0] for s in read.origins.values() if s is not None and s.name == "embedding"]
    found = []
    for i, shape in enumerate(graph.shapes.values()):
        leaf = given[i] if len(given) == len(graph.shapes) else None
        size = (1, *shape.dims)
        if leaf is None or leaf.dtype.is_floating_point or leaf.dtype.is_complex:
            x = torch.randn(size, generator=made).to(first.device, first.dtype)
        else:
            x = torch.randint(0, min([*rows, 2 if leaf.dtype == torch.bool else 8]), size, generator=made)
            x = x.to(first.device, leaf.dtype)
        theirs = x if leaf is None or len(leaf.shape) == len(size) else x.reshape(1, *shape.dims[1:])
        if theirs.dim() < x.dim():
            graph.signals |= {list(graph.shapes)[i]}
        found.append((theirs, x))
    return found


def _compare(module: nn.Module, graph: NetworkModule, read: Imported) -> dict[str, torch.dtype]:
    """Run both on the same numbers, the module twice; afterwards it is as it was. What is given back are the types of
    the maps that have another than the parameters.

    Raises:
        Unsupported: they differ, or the module gives other values when it is called again.
    """
    from rfcalc.readers.torch.untouched import untouched

    first = _first(module)
    theirs_xs, xs = zip(*_numbers(read, graph, first), strict=True)
    kinds = {name: x.dtype for name, x in zip(graph.shapes, xs, strict=True)}
    outputs = graph.network.outputs
    try:
        with untouched(module, values=True), torch.no_grad():
            for m in module.modules():
                m.training = False
            theirs = next(_tensors(module(*theirs_xs))).clone()  # what it returns may be what it writes to
            ran = graph.run(*xs, keep=outputs, see=lambda name, y: kinds.__setitem__(name, y.dtype))
            ours = ran[outputs[0]].clone()
            again = next(_tensors(module(*theirs_xs)))
    except RfcalcError:
        raise
    except Exception as error:
        raise Unsupported("the network that was read does not run", why=str(error).split("\n")[0]) from error
    near = 1e-9 if first.dtype == torch.float64 else 1e-3
    if not _near(theirs, ours, near):
        raise Unsupported(
            "the network that was read gives other values than the module",
            why="a constant, a function or a weight of it is not what it was read as",
            fix="stream a part of it: to_stream(module.encoder, …)",
        )
    if not _near(theirs, again, near):
        raise Unsupported(
            "the module gives other values when it is called again",
            why="its forward changes what it computes with (a counter, a buffer), or draws random numbers",
            fix="stream a part of it that does not: to_stream(module.encoder, …)",
        )

    return {name: kind for name, kind in kinds.items() if kind != first.dtype}


def _in(kind: torch.dtype, constant: torch.Tensor) -> torch.Tensor:
    """A constant in the type that it takes on where it meets the module's numbers; a wider one keeps its own."""
    narrower = constant.is_floating_point() and torch.promote_types(constant.dtype, kind) == kind
    return constant.to(kind) if narrower else constant


def _first(module: nn.Module) -> torch.Tensor:
    """A tensor of the type that a module computes with."""
    return next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), torch.empty(0))


def _near(a: torch.Tensor, b: torch.Tensor, bound: float) -> bool:
    """Whether two results have the same values, but for what rounding makes."""
    if a.is_complex() and b.is_complex():
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    a, b = a.reshape(-1).double(), b.reshape(-1).double()
    return a.numel() == b.numel() and torch.allclose(a, b, rtol=bound, atol=bound * max(float(a.abs().max()), 1e-3))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from _tensors(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)
