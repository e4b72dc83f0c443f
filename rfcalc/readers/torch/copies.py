"""Copies that a module makes of a map.

They change nothing (`clone`, `contiguous`, `torch.cat` of one tensor, padding by nothing), or pick positions by an
index where a slice would do.

No node stands for them: the network is what it computes. They take memory, and so it is told which node reads a copy
instead of the map itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rfcalc.core.layer import VIEW
from rfcalc.graph.network import Network
from rfcalc.readers.builder.values import Value
from rfcalc.readers.torch.recorder import memory_of
from rfcalc.readers.torch.recording import Recording, tensors
from rfcalc.readers.torch.tensors import TensorBuilder

PICKING = frozenset(("index", "index_select"))
AS_NEEDED = ("contiguous", "to")  # they copy only what does not lie as it is asked for


def copied(
    graph: TensorBuilder, recording: Recording, network: Network, named: Mapping[int, str], steps: Mapping[str, int]
) -> dict[tuple[str, int], tuple[bool, bool]]:
    """The nodes and the number of their input that is a copy; whether channels lie innermost in it, and whether it is
    made even of what lies so already. A copy that several nodes read is left out."""
    nodes: dict[int, list[str]] = {}
    for name, number in steps.items():
        nodes.setdefault(number, []).append(name)
    held: dict[int, tuple[str, tuple[bool, bool]]] = {}  # by the memory of a copy: the map, and how it is copied
    found: dict[int, list[tuple[str, int]]] = {}
    picked: dict[tuple[str, int], tuple[bool, bool]] = {}
    for number, step in enumerate(recording.steps):
        read = [t for value in step.args.values() for t in tensors(value)]
        looked_up = step.name == "embedding" and graph.is_static(step.args["indices"])
        if (
            (step.name in PICKING or looked_up)
            and isinstance(step.out, torch.Tensor)
            and memory_of(step.out) != memory_of(read[0])
        ):
            views = [n for n in nodes.get(number, ()) if network.node(n).layer.memory == VIEW]
            picked.update({(name, 0): (False, True) for name in views[:1]})
            continue
        source = _copied(graph, read, step.out)
        if source is not None and source.node in named:
            how = (_innermost(step.out), step.name not in AS_NEEDED)
            held[memory_of(step.out)] = (named[source.node], how)
            continue
        for memory in {memory_of(t) for t in read} & held.keys():
            of, _ = held[memory]
            for name in nodes.get(number, ()):
                inputs = network.node(name).inputs
                found.setdefault(memory, []).extend((name, i) for i, one in enumerate(inputs) if one == of)
    return picked | {readers[0]: held[memory][1] for memory, readers in found.items() if len(readers) == 1}


def _copied(graph: TensorBuilder, read: list[torch.Tensor], out: object) -> Value | None:
    """The map of which a step makes a copy."""
    if len(read) != 1 or not isinstance(out, torch.Tensor):
        return None
    (x,) = read
    entry = graph.entry(out)
    same = x.shape == out.shape and x.dtype == out.dtype and memory_of(x) != memory_of(out)
    return entry if same and isinstance(entry, Value) and graph.entry(x) == entry else None


def _innermost(tensor: torch.Tensor) -> bool:
    return tensor.dim() in (4, 5) and not tensor.is_contiguous() and tensor.stride(1) == 1
