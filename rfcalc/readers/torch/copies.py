"""Copies that a module makes of a map.

They change nothing (`clone`, `contiguous`, `torch.cat` of one tensor, padding by nothing), or pick positions by an
index where a slice would do.

No node stands for them: the network is what it computes. They take memory, and so it is told which node reads a copy
instead of the map itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch

from rfcalc.core.layer import VIEW
from rfcalc.graph.network import Network
from rfcalc.graph.strides import Copy
from rfcalc.readers.builder.values import Value
from rfcalc.readers.torch.recorder import memory_of
from rfcalc.readers.torch.recording import Recording
from rfcalc.readers.torch.tensors import TensorBuilder

PICKING = frozenset(("index", "index_select"))
AS_NEEDED = ("contiguous", "to")  # they copy only what does not lie as it is asked for


def copied(
    graph: TensorBuilder, recording: Recording, network: Network, named: Mapping[int, str], steps: Mapping[str, int]
) -> dict[tuple[str, int], Copy]:
    """The nodes and the number of their input that is a copy. Of a view that is read by such a copy alone the
    number is −1: it makes its result so itself. Another copy that several nodes read is left out."""
    nodes: dict[int, list[str]] = {}
    for name, number in steps.items():
        nodes.setdefault(number, []).append(name)
    held: dict[int, tuple[str, Copy]] = {}  # by the memory of a copy: the map, and how it is copied
    found: dict[int, list[tuple[str, int]]] = {}
    picked: dict[tuple[str, int], Copy] = {}
    for number, step in enumerate(recording.steps):
        read = step.given
        looked_up = step.name == "embedding" and graph.is_static(step.args["indices"])
        if (
            (step.name in PICKING or looked_up)
            and isinstance(step.out, torch.Tensor)
            and memory_of(step.out) != memory_of(read[0])
        ):
            views = [n for n in nodes.get(number, ()) if network.node(n).layer.memory == VIEW]
            picked.update({(name, 0): Copy(False, True) for name in views[:1]})
            continue
        source = _copied(graph, read, step.out)
        if source is not None and source.node in named:
            how = Copy(_innermost(step.out), step.name not in AS_NEEDED, _at(graph, source))
            held[memory_of(step.out)] = (named[source.node], how)
            continue
        for memory in {memory_of(t) for t in read} & held.keys() if held else ():
            of, _ = held[memory]
            for name in nodes.get(number, ()):
                inputs = network.node(name).inputs
                found.setdefault(memory, []).extend((name, i) for i, one in enumerate(inputs) if one == of)
    told = {readers[0]: held[memory][1] for memory, readers in found.items() if len(readers) == 1}
    uses = Counter(name for node in network.nodes for name in node.inputs)
    for memory, readers in found.items():
        of, how = held[memory]
        if len(readers) > 1 and uses[of] == len(readers) and of not in network.outputs and of not in network.inputs:
            told |= {(of, -1): how} if network.node(of).layer.memory == VIEW else {}
    return picked | told


def _copied(graph: TensorBuilder, read: tuple[torch.Tensor, ...], out: object) -> Value | None:
    """The map of which a step makes a copy."""
    if len(read) != 1 or not isinstance(out, torch.Tensor):
        return None
    (x,) = read
    entry = graph.entry(out)
    same = x.shape == out.shape and x.dtype == out.dtype and memory_of(x) != memory_of(out)
    return entry if same and isinstance(entry, Value) and graph.entry(x) == entry else None


def _at(graph: TensorBuilder, value: Value) -> int:
    """The axis along which the items of a tensor lie."""
    return value.batch if value.batch and len(graph.shape(value).dims) + 1 == len(value.dims) else 0


def _innermost(tensor: torch.Tensor) -> bool:
    return tensor.dim() in (4, 5) and not tensor.is_contiguous() and tensor.stride(1) == 1
