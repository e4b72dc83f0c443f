"""From placed layers to an expression: names, weight groups, and stages where nodes of one module stand together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rfcalc.core.expr import Expr, Named, Parallel, Ref, Series, Shared, Stage
from rfcalc.core.layer import Layer

FEWEST = 3  # nodes of a stage


def expression(placed: Mapping[str, tuple[Layer, Sequence[str]]], groups: Mapping[str, str], inputs: list[str]) -> Expr:
    """The nodes as an expression, each under its name, with its weight group if it shares.

    Args:
        placed: layer and sources by name, in topological order.
        groups: weight groups by name.
        inputs: the network's inputs.
    """
    headings = stages(list(placed))
    items: list[Expr] = []
    run: list[Expr] = []
    stage = ""
    before = None if len(inputs) != 1 else inputs[0]
    for name, (layer, sources) in placed.items():
        if headings[name] != stage:
            items += _staged(run, stage)
            run, stage = [], headings[name]
        if len(sources) != 1 and layer.arity[1] != 0:
            expr: Expr = Parallel(tuple(Ref(s) for s in sources), layer)
        else:
            if sources and sources[0] != before:
                run.append(Ref(sources[0]))
            expr = Shared(layer, groups[name]) if name in groups else layer
        run.append(Named(expr, name))
        before = name
    return Series((*items, *_staged(run, stage)))


def _staged(run: list[Expr], stage: str) -> list[Expr]:
    if not run or not stage:
        return run
    return [Stage(Series(tuple(run)), stage)]


def stages(names: Sequence[str]) -> dict[str, str]:
    """The heading of each node: the module that it is in, if at least three nodes are there and no others between.

    >>> stages(["stem", "a.0", "a.1", "a.2", "head"])["a.1"]
    'a'
    """
    paths = {name: name.split(".")[:-1] for name in names}
    first = Counter(path[0] for path in paths.values() if path)
    labels = {}
    for name, path in paths.items():
        deep = 2 if path and first[path[0]] > len(names) / 2 and len(path) > 1 else 1
        labels[name] = ".".join(path[:deep])
    many = Counter(labels.values())
    closed: set[str] = set()
    broken: set[str] = set()
    before = ""
    for label in labels.values():
        if label != before:
            closed.add(before)
            if label in closed:
                broken.add(label)
            before = label
    return {name: "" if many[s] < FEWEST or s in broken else s for name, s in labels.items()}
