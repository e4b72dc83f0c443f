"""Names of the network's nodes, from the operators and tensors of the file that they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rfcalc.readers.onnx.names import function_of
from rfcalc.readers.onnx.reading import Reader


def node_names(reader: Reader, kept: Sequence[int]) -> dict[int, str]:
    """A name for every position: of its weight, its module, its operator; what only lays out comes last."""
    graph, names = reader.graph, reader.names
    arity = len(graph.inputs)
    found = dict(enumerate(graph.inputs))
    last: dict[int, int] = {}
    for position in kept:
        made = graph.nodes[position - arity]
        if not made.label and not made.helper:
            last[made.step] = position
    later = []
    for position in kept:
        made = graph.nodes[position - arity]
        node = reader.steps[made.step]
        weight = reader.weights.get(position, "")
        if made.label:
            found[position] = names.fresh(made.label)
        elif weight or last.get(made.step) == position:
            if reader.readers[weight] > 1 and names.scopes.get(id(node)):
                weight = "."  # a tensor that the exporter stores once for several modules has one module's name
            found[position] = names.of(node, function_of(node), weight)
        else:
            later.append(position)
    for position in later:
        made = graph.nodes[position - arity]
        scope, stem = names.scopes.get(id(reader.steps[made.step]), ""), made.stem or made.layer.stem
        found[position] = names.fresh(f"{scope}.{stem}" if scope else "", stem)
    return found


def paths(reader: Reader, kept: Sequence[int], named: Mapping[int, str]) -> dict[int, str]:
    """The module that each node is in, by its name."""
    return {p: named[p].rpartition(".")[0] for p in kept}
