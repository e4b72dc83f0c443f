"""What the tensors of a file were used for: which are tied, which are equal by the exporter's doing, which unused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rfcalc.core.errors import plural
from rfcalc.readers.builder.values import Made
from rfcalc.readers.onnx.model import FLOATING
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Reader

LEARNED = ("weight", "bias")
_NUMBER = re.compile(r"\d+")


def grouped(reader: Reader, named: Mapping[int, str]) -> dict[int, int]:
    """The nodes that share all of their weights with another node, by the first of their group.

    Weights are tied where two nodes of one kind read the very same tensors. PyTorch's exporters also store equal
    tensors once: biases of zeros, normalisations that were never trained, and all of a layer that was copied and not
    trained since. What has one value throughout is therefore not taken for tied, nor is what modules read that only
    a number in their path tells apart; both are counted for each use.
    """
    holders: dict[tuple[str, ...], list[int]] = {}
    for node, parts in reader.used.items():
        weights = tuple(name for role, const in parts if role == "weight" for name in const.origin)
        if weights:
            holders.setdefault(weights, []).append(node)
    groups: dict[int, int] = {}
    copies: list[int] = []
    for weights, nodes in holders.items():
        if len(nodes) < 2 or all(reader.equal(name) for name in weights if name in reader.model.graph.tensors):
            continue
        alike: dict[object, list[int]] = {}
        for node in nodes:
            read = tuple(c.origin for role, c in reader.used[node] if role in LEARNED)
            alike.setdefault((_node(reader, node).layer.kind, read), []).append(node)
        for tied in alike.values():
            for one in _modules(reader, tied, copies):
                groups.update(dict.fromkeys(one, one[0]) if len(one) > 1 else {})
        if len(alike) > 1:
            reader.notes[
                f"{_some(_names(nodes, named))} read the same weights in different ways: counted for each"
            ] += 1
    if copies:
        extra = sum(c.size for n in copies for role, c in reader.used[n] if role in LEARNED)
        reader.notes[
            f"{_some(_names(copies, named))} read the tensors of other modules of their kind. Exporters store equal "
            "tensors once, so the file does not tell tied weights from copies that were never trained: they are "
            f"counted for each; if they are tied, {plural(extra, 'parameter')} fewer"
        ] += 1
    return groups


def _node(reader: Reader, position: int) -> Made:
    return reader.graph.nodes[position - len(reader.graph.inputs)]


def _modules(reader: Reader, nodes: list[int], copies: list[int]) -> list[list[int]]:
    """Nodes that read the same tensors, apart where they are of modules that only numbers in their paths tell apart."""
    found: dict[str, list[int]] = {}
    for node in nodes:
        scope = reader.names.scopes.get(id(reader.steps[_node(reader, node).step]), "")
        found.setdefault(scope, []).append(node)
    plain = {scope: _NUMBER.sub("#", scope) for scope in found}
    if len(found) < 2 or len(set(plain.values())) == len(found):
        return [nodes]
    kinds: dict[str, list[list[int]]] = {}
    for scope, members in found.items():
        kinds.setdefault(plain[scope], []).append(members)
    result = []
    for alike in kinds.values():
        copies += [node for group in alike[1:] for node in group]
        result += alike
    return result


def notes_on(
    reader: Reader, groups: Mapping[int, int], named: Mapping[int, str]
) -> tuple[list[str], int, dict[str, int]]:
    """Notes on the reading; how many parameters its nodes should have by the tensors they use; unused tensors."""
    tensors = reader.model.graph.tensors
    notes = []
    firsts: set[int] = set()
    total = 0
    uses: dict[str, list[int]] = {}
    for node, parts in reader.used.items():
        if node not in named:
            continue
        tied = groups.get(node)
        if tied is not None and tied in firsts:
            continue
        if tied is not None:
            firsts.add(tied)
        for role, const in parts:
            if role in LEARNED:
                total += const.size
                for name in const.origin:
                    uses.setdefault(name, []).append(node)
    tied_nodes = [n for n in groups if groups[n] != n]
    if tied_nodes:
        notes.append(
            f"weights are tied, and counted once: {_some(_names(tied_nodes, named))} read the tensors of "
            f"{_some(_names(dict.fromkeys(groups.values()), named))}"
        )
    repeated = {name: nodes for name, nodes in uses.items() if len(nodes) > 1}
    if repeated:
        extra = sum((len(nodes) - 1) * tensors[name].size for name, nodes in repeated.items() if name in tensors)
        notes.append(
            f"{len(repeated)} tensors are stored once and used several times (exporters store equal ones once): "
            f"counted for each use, {plural(extra, 'parameter')} more than the file holds"
        )
    if reader.folded:
        notes.append(
            f"batch normalisation was folded by the exporter into the weights of "
            f"{_some(_names(reader.folded, named))}: its parameters are those weights and biases"
        )
    notes += _made_up(reader, named)
    for node, count in ((n, c) for n, c in reader.lost.items() if n in named):
        notes.append(
            f"{plural(count, 'operator')} after {named[node]} left out, because no shape of what they read is known"
        )
    if reader.stale:
        more = f", and {len(reader.stale) - 1} more" if len(reader.stale) > 1 else ""
        notes.append(
            f"the file declares {reader.stale[0]}{more}: the operators are believed, what the file declares is stale"
        )
    notes += list(reader.notes)
    return notes, total + sum(unused(reader).values()), unused(reader)


def _made_up(reader: Reader, named: Mapping[int, str]) -> list[str]:
    """Notes on parameters that no tensor of the model is: constants among maps, weights computed in the graph."""
    among: list[int] = []
    computed: list[int] = []
    for node, parts in reader.used.items():
        kind = _node(reader, node).layer.kind
        names = [name for role, const in parts if role in LEARNED for name in const.origin]
        if kind in ("parameter", "position_table", "scale"):
            if any(invented(name) or reader.written(name) for name in names):
                among.append(node)
        elif any(len(const.origin) > 1 for role, const in parts if role in LEARNED):
            computed.append(node)
    notes = []
    if among:
        notes.append(
            f"counted as parameters: {_some(_names(among, named))}, constants that the exporter computed or wrote in "
            "the graph"
        )
    if computed:
        notes.append(
            f"the weights of {_some(_names(computed, named))} are computed in the graph from several tensors (weight "
            "normalisation, say): counted as large as they are used"
        )
    return notes


def unused(reader: Reader) -> dict[str, int]:
    """Floating-point tensors beside the graph that nothing reads, by name."""
    read = {name for node in reader.model.graph.nodes for name in node.inputs}
    if any(v.__class__.__name__ == "Subgraph" for n in reader.model.graph.nodes for v in n.attributes.values()):
        return {}
    return {
        name: t.size
        for name, t in reader.model.graph.tensors.items()
        if name not in read and name not in reader.constants and t.dtype in FLOATING and t.size > 1
    }


def _names(nodes: Iterable[int], named: Mapping[int, str]) -> list[str]:
    return [named[n] for n in nodes if n in named]


def _some(names: Iterable[str], most: int = 3) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most + 1 else ""
    return ", ".join(listed if not more else listed[:most]) + more
