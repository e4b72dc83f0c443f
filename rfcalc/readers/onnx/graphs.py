"""Graphs as lists of nodes: order, what outputs need, functions put in place of their calls, branches kept apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rfcalc.core.errors import LimitError, NetworkError
from rfcalc.readers.onnx.model import MOST_NODES, Graph, Model, Node, Subgraph

DEEPEST = 30


def ordered(nodes: Sequence[Node], known: Iterable[str] = ()) -> list[Node]:
    """The nodes so that each stands after what it reads; linear in the edges, without recursion.

    Raises:
        NetworkError: a cycle, or two nodes that make one value.
    """
    makers: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            if name and makers.setdefault(name, i) != i:
                raise NetworkError(f"two nodes make the value {name[:80]!r}", fix="export the model again")
    waiting = [0] * len(nodes)
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        for maker in {makers[name] for name in node.inputs if name in makers}:
            waiting[i] += 1
            readers.setdefault(maker, []).append(i)
    if not any(makers.get(name, -1) >= i for i, node in enumerate(nodes) for name in node.inputs):
        return list(nodes)  # as ONNX demands
    ready = [i for i in range(len(nodes) - 1, -1, -1) if not waiting[i]]
    found = []
    while ready:
        i = ready.pop()
        found.append(nodes[i])
        for reader in reversed(readers.get(i, ())):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(found) < len(nodes):
        raise NetworkError("the graph has a cycle", why=" → ".join(_cycle(nodes, makers, waiting)))
    return found


def _cycle(nodes: Sequence[Node], makers: dict[str, int], waiting: Sequence[int]) -> list[str]:
    """The values around one cycle, at most ten of them."""
    i = next(i for i, count in enumerate(waiting) if count)
    seen: dict[int, None] = {}
    while i not in seen:
        seen[i] = None
        i = next(makers[name] for name in nodes[i].inputs if name in makers and waiting[makers[name]])
    path = list(seen)
    path = [*path[path.index(i) :], i][::-1]
    return [(nodes[k].outputs or ("?",))[0][:40] for k in path[:10]]


def needed(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """The nodes that the outputs need, in order."""
    makers = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    wanted = [makers[name] for name in outputs if name in makers]
    seen = set(wanted)
    while wanted:
        node = nodes[wanted.pop()]
        subgraphs = any(type(v).__name__ == "Subgraph" for v in node.attributes.values())
        if subgraphs:  # a branch may read anything before it
            return list(nodes)
        for name in node.inputs:
            maker = makers.get(name)
            if maker is not None and maker not in seen:
                seen.add(maker)
                wanted.append(maker)
    return [node for i, node in enumerate(nodes) if i in seen]


def inlined(model: Model) -> list[Node]:
    """The graph's nodes, with the operators that the model defines itself replaced by their definitions.

    Raises:
        LimitError: definitions within definitions, deeper than 30 or more than 250,000 nodes.
    """
    if not model.functions:
        return model.graph.nodes
    known: dict[tuple[str, str], int] = {}
    if sum(_sizes(model, node, known, 0) for node in model.graph.nodes) > MOST_NODES:
        raise LimitError("the graph has too many nodes", why=f"the limit is {MOST_NODES:,}")
    return list(_expanded(model, model.graph.nodes, ""))


def _sizes(model: Model, node: Node, known: dict[tuple[str, str], int], depth: int) -> int:
    """How many nodes stand for a node once all definitions are put in."""
    key = (node.domain, node.op)
    function = model.functions.get(key)
    if function is None:
        return 1
    if depth >= DEEPEST:
        raise LimitError("functions call one another too deeply", why=f"the limit is {DEEPEST}")
    if key not in known:
        known[key] = sum(_sizes(model, inner, known, depth + 1) for inner in function.nodes)
    return known[key]


def _expanded(model: Model, nodes: Iterable[Node], prefix: str) -> Iterable[Node]:
    for i, node in enumerate(nodes):
        function = model.functions.get((node.domain, node.op))
        if function is None:
            yield node
            continue
        inside = f"{prefix}{node.name or node.op}#{i}/"
        names = dict(zip(function.inputs, node.inputs, strict=False))
        names.update(dict.fromkeys(function.inputs[len(node.inputs) :], ""))
        names.update(dict(zip(function.outputs, node.outputs, strict=False)))
        given = {**function.defaults, **node.attributes}
        body = [renamed(inner, names, inside, given, node) for inner in function.nodes]
        yield from _expanded(model, body, inside)


def renamed(node: Node, names: dict[str, str], prefix: str, given: dict[str, object], call: Node) -> Node:
    """A node of a definition, for one call of it."""

    def name(value: str) -> str:
        return names.get(value, f"{prefix}{value}") if value else ""

    attributes = dict(node.attributes)
    attributes.update({key: given[told] for key, told in node.references.items() if given.get(told) is not None})
    return replace(
        node,
        inputs=tuple(name(v) for v in node.inputs),
        outputs=tuple(name(v) for v in node.outputs),
        attributes=attributes,
        scope=node.scope or call.scope,
        references={},
    )


def isolated(graph: Graph, prefix: str, around: Mapping[str, str]) -> tuple[Graph, list[str]]:
    """A branch with names of its own; and what its outputs are called then.

    Args:
        around: what values of the graphs around it are called now.
    """
    own = {name for node in graph.nodes for name in node.outputs if name} | set(graph.tensors)
    names = {**around, **{name: f"{prefix}{name}" for name in own}}

    def name(value: str) -> str:
        return names.get(value, value)

    def attribute(value: object) -> object:
        return value._replace(names={**names, **value.names}) if isinstance(value, Subgraph) else value

    nodes = [
        replace(
            n,
            inputs=tuple(map(name, n.inputs)),
            outputs=tuple(map(name, n.outputs)),
            attributes={k: attribute(v) for k, v in n.attributes.items()},
        )
        for n in graph.nodes
    ]
    found = Graph(
        graph.name,
        nodes,
        {name(k): t._replace(name=name(k)) for k, t in graph.tensors.items()},
        [],
        [],
        {name(k): v for k, v in graph.infos.items()},
    )
    return found, [name(o.name) for o in graph.outputs]
