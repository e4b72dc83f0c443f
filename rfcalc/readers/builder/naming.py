"""From the graph that was read to a network: names from module paths, stages, shared weights, names of modules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rfcalc.core.expr import Expr, Named, Parallel, Ref, Series, Shared, Side, Stage
from rfcalc.core.layer import VIEW
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import Frame, Made, Origin

_RECURRENT = re.compile(r"(?:weight|bias)_(?:ih|hh|hr)_l(\d+)(?:_reverse)?")


def pruned(graph: Builder, outputs: Sequence[int]) -> set[int]:
    """Positions to leave out: views, patches, last states and operators that were not understood, where nobody reads
    them, and what is read by them alone."""
    arity = len(graph.inputs)
    read = Counter(s for node in graph.nodes for s in node.inputs)
    read.update(outputs)
    gone: set[int] = set()
    for position in range(len(graph.shapes) - 1, arity - 1, -1):
        node = graph.nodes[position - arity]
        given = node.layer.memory == VIEW or node.stem == "state" or node.layer.packs or node.layer.opaque
        if given and not read[position] and node.layer.stored != "learned":
            gone.add(position)
            read.subtract(node.inputs)
    return gone


def names(graph: Builder, steps: Sequence[Origin], gone: set[int]) -> dict[int, str]:
    """A name for every position: the module's path where a node is all that the module does, else path and operator;
    a second use of a module gets ``_1``, as in torch.fx."""
    arity = len(graph.inputs)
    last: dict[int, int] = {}
    in_call: dict[int, set[int]] = {}
    for position, node in enumerate(graph.nodes, arity):
        if position in gone:
            continue
        if not node.label and not node.helper:
            last[node.step] = position
    for step in last:
        in_call.setdefault(id(steps[step].frame), set()).add(step)
    holders = {position: owner for position, owner in _holders(graph).items() if position not in gone}
    found: dict[int, str] = dict(enumerate(graph.inputs))
    taken = set(graph.inputs)
    # what holds parameters, or has a label, has the first claim to its name
    wanted = {}
    for position, node in enumerate(graph.nodes, arity):
        if position not in gone:
            wanted[position] = _wanted(node, position, steps, last, in_call, holders)
    claims = [p for p, (_, firm) in wanted.items() if firm] + [p for p, (_, firm) in wanted.items() if not firm]
    count: Counter[str] = Counter()
    for position in claims:
        base = name = wanted[position][0]
        while name in taken:
            count[base] += 1
            name = f"{base}_{count[base]}"
        taken.add(name)
        found[position] = name
    return found


def _holders(graph: Builder) -> dict[int, str]:
    """Position → what the parameters it holds are called without their last part: the module that has them."""
    found: dict[int, str] = {}
    for parameter, position in graph.counted.items():
        owner, _, last = parameter.rpartition(".")
        if match := _RECURRENT.fullmatch(last):
            stacked = re.sub(r"_l\d+", "_l1", parameter) in graph.dims
            found.setdefault(position, f"{owner}.l{match[1]}".lstrip(".") if stacked else owner)
            continue
        own = owner if last in ("weight", "bias") else parameter.removesuffix("_weight").removesuffix("_bias")
        if position not in found or last.endswith("weight"):
            found[position] = own
    return found


def _wanted(
    node: Made,
    position: int,
    steps: Sequence[Origin],
    last: dict[int, int],
    in_call: dict[int, set[int]],
    holders: dict[int, str],
) -> tuple[str, bool]:
    """The name that a node should have, and whether it has the first claim to it."""
    frame: Frame = steps[node.step].frame
    path = frame.path
    if node.label:
        return node.label, True
    if holders.get(position):
        return holders[position], True
    main = last.get(node.step) == position
    if main and node.group:
        return (path or node.layer.stem), False
    if main and frame.leaf and path and len(in_call[id(frame)]) == 1:
        return path, False
    stem = steps[node.step].name.rstrip("_") if main else node.stem or node.layer.stem
    stem = stem.rpartition(".")[2]
    return (f"{path}.{stem}" if path else stem), False


def paths_of(graph: Builder, steps: Sequence[Origin], kept: Sequence[int]) -> dict[int, str]:
    """The path of the module that each node came from."""
    arity = len(graph.inputs)
    return {p: steps[graph.nodes[p - arity].step].frame.path for p in kept}


def stages(paths: Mapping[int, str], kept: Sequence[int], named: Mapping[int, str]) -> dict[int, str]:
    """The heading that each node stands under: the module below the root, or the one below that where the first holds
    most of the network, most of it in modules of its own. Only modules that run in one piece, and do more than one
    thing, are headings."""
    apart = {p: tuple(paths[p].split(".")) for p in kept}
    first = Counter(path[0] for path in apart.values())
    direct = Counter(path[0] for path in apart.values() if len(path) == 1)
    labels = {}
    for p, path in apart.items():
        holds = first[path[0]] > len(kept) / 2 and direct[path[0]] * 3 < first[path[0]]
        deep = 2 if holds and len(path) > 1 else 1
        labels[p] = ".".join(path[:deep])
    many = Counter(labels.values())
    closed: set[str] = set()
    broken: set[str] = set()
    before = ""
    for p in kept:
        label = labels[p]
        if label != before:
            closed.add(before)
            if label in closed:
                broken.add(label)
            before = label
    found = {p: "" if many[s] < 3 or s in broken else s for p, s in labels.items()}
    if sum(1 for s in found.values() if s) < len(kept) / 2:
        return dict.fromkeys(kept, "")
    return _rest_headed(found, kept, named)


def _rest_headed(found: dict[int, str], kept: Sequence[int], named: Mapping[int, str]) -> dict[int, str]:
    """What stands after a heading and not under it gets one of its own: the names of its first and last node."""
    run: list[int] = []
    headed = False
    for p in (*kept, -1):
        stage = found.get(p, "end")
        if not stage and headed:
            run.append(p)
            continue
        if run:
            first, last = named[run[0]], named[run[-1]]
            found.update(dict.fromkeys(run, first if first == last else f"{first} … {last}"))
            run = []
        headed = headed or bool(stage)
    return found


def expression(
    graph: Builder, kept: Sequence[int], named: Mapping[int, str], paths: Mapping[int, str], aliases: bool = True
) -> Expr:
    """The nodes as an expression, each under its name, under the headings of their modules.

    Args:
        paths: the module that each node came from.
        aliases: whether modules' names stand for their last node.
    """
    headings = stages(paths, kept, named)
    arity = len(graph.inputs)
    items: list[Expr] = []
    run: list[Expr] = []
    stage = ""
    before = 0 if arity == 1 else None
    for position in kept:
        node = graph.nodes[position - arity]
        if headings[position] != stage:
            items += _staged(run, stage)
            run, stage = [], headings[position]
        layer: Expr = Shared(node.layer, node.group) if node.group else node.layer
        reads = [named[s] for s in node.inputs]
        if len(reads) != 1 and node.layer.arity[1] != 0:  # what reads nothing does not read the node before it
            run.append(Named(Parallel(tuple(Ref(r) for r in reads), node.layer), named[position]))
        else:
            if reads and node.inputs[0] != before:
                run.append(Ref(reads[0]))
            run.append(Named(layer, named[position]))
        before = position
    items += _staged(run, stage)
    if not aliases:
        return Series(tuple(items))
    known = set(named.values()) | {s for s in headings.values() if s}
    return Series((*items, *modules(graph, kept, named, paths, known)))


def _staged(run: list[Expr], stage: str) -> list[Expr]:
    if not run:
        return []
    return [Stage(Series(tuple(run)), stage)] if stage else run


def modules(
    graph: Builder, kept: Sequence[int], named: Mapping[int, str], paths: Mapping[int, str], known: set[str]
) -> list[Expr]:
    """Names for modules that are no single node: each means its last node."""
    arity = len(graph.inputs)
    ends: dict[str, int] = {}
    for position in kept:
        node = graph.nodes[position - arity]
        path = paths[position]
        while path and not node.label:
            ends[path] = position
            path = path.rpartition(".")[0]
    return [Side(Named(Ref(named[p]), name)) for name, p in ends.items() if name not in known]
