"""From steps to nodes: which function translates an operator, and what happens to memory that is written to."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.facts import blinded, follow
from rfcalc.readers.torch.handling import HANDLERS, OperatorCall
from rfcalc.readers.torch.joining import inserted
from rfcalc.readers.torch.recording import Operation
from rfcalc.readers.torch.tensors import Stale, Static, TensorBuilder, dims_of

FAMILIES = (
    "convolutions",
    "products",
    "norms",
    "pooling",
    "pointwise",
    "layouts",
    "joining",
    "recurrent",
    "windows",
    "indices",
)

# Made from a tensor's shape, not from its values.
CREATORS = frozenset(
    [
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
    ]
)
ALIASES = frozenset(
    ["alias", "detach", "detach_", "contiguous", "lift_fresh", "lift_fresh_copy", "lift", "positive", "resolve_conj"]
)
# What leaves the values of a tensor and their order as they are.
ORDERED = ALIASES | {"view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "clone", "_to_copy", "to"}


def load() -> None:
    """Load all translations."""
    for name in FAMILIES:
        import_module(f"rfcalc.readers.torch.{name}")


def translate(graph: TensorBuilder, step: Operation, forced: bool = False) -> None:
    """Read one step: its results become values (or stay static, where nothing of the input is in them).

    Args:
        forced: make nodes even of what depends on no input.

    Raises:
        NotUnderstood: only if forced; otherwise an `Unknown` stands for it.
        ShapeError: rfcalc's shape differs from the source's.
    """
    given = step.given
    entries = {id(t): graph.entry(t) for t in given}
    creates = step.name in CREATORS or all(t.numel() == 0 for t in step.outs)
    if not forced and (creates or all(isinstance(e, Static) for e in entries.values())):
        sources = {} if creates else entries
        for out in step.outs:
            graph.env[id(out)] = Static(dims_of(out), step=step, sources=sources, tensor=out)
            graph.keep.append(out)
            if step.views and given and out is not given[0]:
                graph.bases[id(out)] = (given[0], step)
        if step.writes and given and given[0].numel():  # other views are computed from what was written too
            at = given[0]
            while id(at) in graph.bases:
                at = graph.bases[id(at)][0]
                graph.env[id(at)] = Static(dims_of(at), "", step, {**sources, id(at): graph.entry(at)}, at)
        return
    if not forced:
        before = len(graph.shapes)
        follow(graph, step)
        if len(graph.shapes) > before:
            entries = {id(t): graph.entry(t) for t in given}
    if step.name in ORDERED and id(given[0]) in graph.pooled:  # indices of maxima, laid out anew
        graph.pooled[id(step.out)] = graph.pooled[id(given[0])]
        graph.env[id(step.out)] = entries[id(given[0])]
        graph.keep.append(step.out)
        return
    if step.name in ALIASES:
        if forced:
            graph.env[id(step.out)] = graph.get(given[0])
            return
        graph.env[id(step.out)] = entries[id(given[0])]
        graph.bases[id(step.out)] = (given[0], step)
        return
    before = len(graph.shapes)
    try:
        _run(graph, step)
    except NotUnderstood as error:
        graph.back_to(before)
        if forced:
            raise
        graph.put_unknown(step, str(error))
    if not forced:
        _memory(graph, step, given)


def _run(graph: TensorBuilder, step: Operation) -> None:
    name = step.name
    handler = HANDLERS.get(name) or (HANDLERS.get(name[:-1]) if name.endswith("_") else None)
    if handler is None:
        raise NotUnderstood("")
    result = handler(OperatorCall(graph, step))
    outs = step.outs
    values = [result] if isinstance(result, Value) else list(result)
    if len(outs) != len(values):
        raise NotUnderstood("it has several results")
    for out, value in zip(outs, values, strict=True):
        if out.numel() == 0:  # an empty part reads nothing
            graph.env[id(out)] = Static(dims_of(out), step=step, sources={}, tensor=out)
        elif value is None:
            graph.env[id(out)] = Stale(step.operator)
        else:
            graph.env[id(out)] = value
        graph.keep.append(out)


def _memory(graph: TensorBuilder, step: Operation, given: Sequence[Any]) -> None:
    """Follow views, and what is written through them."""
    if step.views and given:
        for out in step.outs:
            if out is not given[0]:
                graph.bases[id(out)] = (given[0], step)
    if not step.writes or not given:
        return
    written = given[0]
    if id(written) in graph.bases:
        blinded(graph, written)
    root = _root(graph, written)
    chain = {id(written)}
    at = written
    while id(at) in graph.bases:
        base, how = graph.bases[id(at)]
        value = _write_back(graph, graph.entry(base), how, graph.entry(at), at)
        graph.env[id(base)] = value
        chain.add(id(base))
        if isinstance(value, Stale):
            break
        at = base
    if root is written and id(written) not in graph.bases and not graph.bases:
        return
    for view in list(graph.bases):
        if view not in chain and view in graph.env and _root_of(graph, view) == id(root):
            graph.env[view] = Stale(step.operator)


def _root(graph: TensorBuilder, tensor: Any) -> Any:
    while id(tensor) in graph.bases:
        tensor = graph.bases[id(tensor)][0]
    return tensor


def _root_of(graph: TensorBuilder, key: int) -> int:
    while key in graph.bases:
        key = id(graph.bases[key][0])
    return key


def _write_back(graph: TensorBuilder, base: Any, how: Operation, new: Any, view: Any) -> Any:
    """The base of a view after the view was written to; `Stale` where that cannot be said."""
    if how.name in ALIASES:
        return new
    if isinstance(base, Stale) or not isinstance(new, Value):
        return Stale("an operator in place")
    before = len(graph.shapes)
    try:
        return inserted(graph, graph.solid(base) if isinstance(base, Static) else base, how, new, view)
    except NotUnderstood:
        graph.back_to(before)
        return Stale("an operator in place")
