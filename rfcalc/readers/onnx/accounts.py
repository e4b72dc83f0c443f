"""What the tensors of a file were used for: which are tied, which are equal by the exporter's doing, which unused."""

from __future__ import annotations

from collections.abc import Iterable

from rfcalc.readers.onnx.model import FLOATING
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Reader

LEARNED = ("weight", "bias")


def grouped(reader: Reader) -> dict[str, str]:
    """The nodes that share all of their weights with another node, by their group.

    Weights are tied where two nodes of one kind read the very same tensors. PyTorch's exporters also store equal
    tensors once: biases of zeros, normalisations that were never trained. What has one value throughout is therefore
    not taken for tied, and counted for each use.
    """
    holders: dict[tuple[str, ...], list[str]] = {}
    for node, parts in reader.used.items():
        weights = tuple(name for role, const in parts if role == "weight" for name in const.origin)
        if weights and node in reader.placed:
            holders.setdefault(weights, []).append(node)
    groups = {}
    for weights, nodes in holders.items():
        if len(nodes) < 2 or all(reader.equal(name) for name in weights if name in reader.model.graph.tensors):
            continue
        alike: dict[object, list[str]] = {}
        for node in nodes:
            read = tuple(c.origin for role, c in reader.used[node] if role in LEARNED)
            alike.setdefault((reader.placed[node][0].kind, read), []).append(node)
        for tied in alike.values():
            if len(tied) > 1:
                groups.update(dict.fromkeys(tied, tied[0]))
        if len(alike) > 1:
            reader.notes[f"{_some(nodes)} read the same weights in different ways: counted for each"] += 1
    return groups


def notes_on(reader: Reader, groups: dict[str, str]) -> tuple[list[str], int, dict[str, int]]:
    """Notes on the reading; how many parameters its nodes should have by the tensors they use; unused tensors."""
    tensors = reader.model.graph.tensors
    notes = []
    firsts: set[str] = set()
    total = 0
    uses: dict[str, list[str]] = {}
    for node, parts in reader.used.items():
        if node not in reader.placed:
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
            f"weights are tied, and counted once: {_some(tied_nodes)} read the tensors of "
            f"{_some(dict.fromkeys(groups.values()))}"
        )
    repeated = {name: nodes for name, nodes in uses.items() if len(nodes) > 1}
    if repeated:
        extra = sum((len(nodes) - 1) * tensors[name].size for name, nodes in repeated.items() if name in tensors)
        notes.append(
            f"{len(repeated)} tensors are stored once and used several times (exporters store equal ones once): "
            f"counted for each use, {extra:,} parameters more than the file holds"
        )
    if reader.folded:
        notes.append(
            f"batch normalisation was folded by the exporter into the weights of {_some(reader.folded)}: "
            "its parameters are those weights and biases"
        )
    notes += _made_up(reader)
    for node, count in reader.lost.items():
        notes.append(f"{count} operators after {node} are left out, because no shape of what they read is known")
    notes += list(reader.notes)
    return notes, total + sum(unused(reader).values()), unused(reader)


def _made_up(reader: Reader) -> list[str]:
    """Notes on parameters that no tensor of the model is: constants among maps, weights computed in the graph."""
    among: list[str] = []
    computed: list[str] = []
    for node, parts in reader.used.items():
        kind = reader.placed[node][0].kind if node in reader.placed else ""
        names = [name for role, const in parts if role in LEARNED for name in const.origin]
        if kind in ("parameter", "position_table", "scale"):
            if any(invented(name) or reader.written(name) for name in names):
                among.append(node)
        elif any(len(const.origin) > 1 for role, const in parts if role in LEARNED):
            computed.append(node)
    notes = []
    if among:
        notes.append(
            f"counted as parameters: {_some(among)}, constants that the exporter computed or wrote in the graph"
        )
    if computed:
        notes.append(
            f"the weights of {_some(computed)} are computed in the graph from several tensors (weight normalisation, "
            "say): counted as large as they are used"
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


def _some(names: Iterable[str], most: int = 3) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most + 1 else ""
    return ", ".join(listed if not more else listed[:most]) + more
