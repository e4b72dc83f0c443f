"""Where tensors are zero, or so low that a softmax makes them zero: fixed masks, through the operators of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from rfcalc.core.masks import Mask
from rfcalc.layers.general import MASKED, Constant, Elementwise
from rfcalc.readers.builder.facts import (
    LOW,
    NONE,
    PERHAPS,
    Facts,
    added,
    chosen,
    masked,
    multiplied,
    of_values,
    softmaxed,
)
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.recurrent import forgotten
from rfcalc.readers.builder.values import Value
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.recorder import Operation, memory_of, tensors
from rfcalc.readers.torch.tensors import Static, TensorBuilder

MOST = 1 << 24

_SAME = frozenset(
    [
        *("clone", "alias", "detach", "contiguous", "to", "_to_copy", "type_as", "lift_fresh", "positive", "dropout"),
        *("relu", "neg", "abs", "sign", "tanh", "sin", "square", "sqrt", "gelu", "silu", "hardtanh", "feature_dropout"),
        *("requires_grad", "expm1", "leaky_relu", "nan_to_num", "float", "view_as"),
    ]
)  # of 0 they make 0
_LOW_TOO = frozenset(
    ["clone", "alias", "detach", "contiguous", "to", "_to_copy", "type_as", "lift_fresh", "positive", "nan_to_num"]
)
_MOVES = frozenset(
    [
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "permute", "movedim", "transpose", "t", "mT"),
        *("unsqueeze", "squeeze", "expand", "slice", "select", "narrow", "split", "split_with_sizes", "chunk"),
        *("unbind", "repeat", "tile", "flip", "roll", "numpy_T", "swapaxes", "swapdims", "tensor_split", "diagonal"),
    ]
)


def facts(graph: TensorBuilder, tensor: Any) -> Facts:
    """What is known of a tensor as it is now."""
    if not isinstance(tensor, torch.Tensor):
        return of_number(tensor)
    found = graph.facts.get(id(tensor))
    if found is not None:
        return found
    entry = graph.entry(tensor)
    return _static(graph, entry, tensor, 30) if isinstance(entry, Static) else NONE


def of_number(value: Any) -> Facts:
    if isinstance(value, (int, float)):
        usual = value != 0 and PERHAPS < value < -LOW  # nothing is known of what such a number makes
        return NONE if usual else of_values(torch.tensor(float(value)))
    return NONE


def _static(graph: TensorBuilder, entry: Static, tensor: Any, left: int) -> Facts:
    """What is known of a tensor that depends on no input: its values, or what makes it of parameters."""
    made = graph.static_facts.get(id(entry))
    if made is None:
        graph.keep.append(entry)
        values = None if tensor.numel() > MOST else known(graph, tensor)
        if values is not None and not values.is_complex():
            made = of_values(values)
        elif entry.step is not None and left > 0 and tensor.numel() <= MOST:

            def of(given: Any) -> Facts:
                if not isinstance(given, torch.Tensor):
                    return of_number(given)
                source = entry.sources.get(id(given))
                return _static(graph, source, given, left - 1) if isinstance(source, Static) else NONE

            out = entry.step.out
            made = NONE
            if isinstance(out, torch.Tensor):
                made = _after(entry.step, of, partial(_flags, graph), partial(_multiple, graph, of))
            made = made if isinstance(made, Facts) else NONE
        else:
            made = NONE
        graph.static_facts[id(entry)] = made
    return made


def _flags(graph: TensorBuilder, tensor: Any) -> torch.Tensor | None:
    """The values of a mask that depends on no input."""
    if isinstance(tensor, torch.Tensor) and tensor.numel() > MOST and graph.is_static(tensor):
        passed_over(graph)
    values = known(graph, tensor) if isinstance(tensor, torch.Tensor) and tensor.numel() <= MOST else None
    return None if values is None else values.bool()


def passed_over(graph: TensorBuilder) -> None:
    graph.note(f"masks of more than {MOST:,} values are not looked at: all keys count, at most that is seen")


def _multiple(graph: TensorBuilder, of: Of, given: Any, factor: float) -> Facts:
    """What is known of `factor` times a summand: of fixed values, their multiple; a number is added to all alike."""
    fact = of(given)
    if factor == 1:
        return fact
    values = known(graph, given) if isinstance(given, torch.Tensor) and given.numel() <= MOST else None
    if values is None or values.is_complex() or values.dim() == 0:
        return Facts(fact.zero)
    return of_values(values * factor)


def left(graph: TensorBuilder, gone: Any, dims: Sequence[int]) -> Mask:
    """The mask of flags of a tensor of these dims (… queries × keys): which keys each query sees."""
    if gone is None or len(dims) < 2:
        return None
    key = (id(gone), *dims)
    if key not in graph.masks:
        flags = gone.reshape((1,) * max(len(dims) - gone.dim(), 0) + tuple(gone.shape))
        graph.masks[key] = (gone, *masked(flags.expand(*flags.shape[:-2], *dims[-2:])))
    _, mask, less = graph.masks[key]
    if less:
        graph.note(
            "a mask that differs along several axes (heads and windows), or has more than 64 forms, counts with all "
            "that one of them leaves: at most that is seen"
        )
    return mask


def _softmaxed(graph: TensorBuilder, x: Facts) -> Facts:
    """Over the last axis; of the same flags (those of the scores are asked for twice) the same."""
    key = (id(x.low), id(x.never))
    if key not in graph.softmaxes:
        graph.softmaxes[key] = (x, softmaxed(x))
    return graph.softmaxes[key][1]


def score_mask(graph: TensorBuilder, tensor: Any, dims: Sequence[int]) -> Mask:
    """The mask of scores before a softmax over the last axis."""
    fact = facts(graph, tensor)
    if fact.low is None or fact.low.dim() == 0:
        return None
    if fact.never is None or bool((fact.low & ~fact.never).any()):
        graph.note("scores of -50 and lower that are added before a softmax count as a mask")
    return left(graph, _softmaxed(graph, fact).zero, dims)


def follow(graph: TensorBuilder, step: Operation) -> None:
    """Note what is known of the results of a step that depends on the input."""
    out = step.out
    found: Any = NONE
    name = step.name[:-1] if step.name.endswith("_") and not step.name.startswith("_") else step.name
    if name in _MAKE or (graph.facts and any(id(t) in graph.facts for t in step.given)):
        try:
            found = _after(
                step,
                partial(facts, graph),
                partial(_flags, graph),
                partial(_multiple, graph, partial(facts, graph)),
                lambda t: not isinstance(t, torch.Tensor) or graph.is_static(t),
                partial(_softmaxed, graph),
            )
        except (RuntimeError, IndexError, KeyError, TypeError, ValueError):  # a shape that the rule does not foresee
            found = NONE
        _reveal(graph, step, name, found)
    _large(graph, step, name)
    if step.writes:
        for t in tensors(step.args.get("self")):
            gone = memory_of(t)
            for key in [k for k, (m, _) in graph.fact_memory.items() if m == gone]:
                if key != id(t):
                    blinded(graph, graph.fact_memory[key][1])
                graph.facts.pop(key, None)
    outs = list(tensors(out))
    results = list(found) if type(found) in (list, tuple) else [found]
    for t, fact in zip(outs, results, strict=False):
        if isinstance(fact, Facts) and fact:
            graph.facts[id(t)] = fact
            graph.fact_memory[id(t)] = (memory_of(t), t)


def _large(graph: TensorBuilder, step: Operation, name: str) -> None:
    """Follow sums with fixed numbers that are too large to be looked at, up to the softmax that reads them."""
    for t in step.given if name in _FOLLOWED else ():
        if name in _ADDS and t.numel() > MOST and graph.is_static(t) and not graph.leaves(t):
            graph.large.update(id(made) for made in step.outs)
        elif id(t) in graph.large and name in _SOFTMAX:
            passed_over(graph)
        elif id(t) in graph.large:
            graph.large.update(id(made) for made in step.outs)


_PRODUCTS = ("matmul", "mm", "bmm")
_SOFTMAX = ("softmax", "_softmax")


def _reveal(graph: TensorBuilder, step: Operation, name: str, found: Any) -> None:
    """Before a step that does not follow flags of its inputs: their nodes say that some values depend on no input."""
    kept = any(isinstance(f, Facts) and f.blind is not None for f in (found if type(found) is list else [found]))
    if kept and name != "copy":
        return
    for argument, given in step.args.items():
        for t in tensors(given):
            fact = graph.facts.get(id(t))
            if fact is None or fact.blind is None or (argument == "attn_mask" and name.startswith("scaled_dot")):
                continue
            if fact.low is not None and (name in _SUMS or (name in _SOFTMAX and _is_last(step, t))):
                continue
            if name in _PRODUCTS and fact.zero is not None and fact.fixed is None and _left_out(graph, step, t):
                continue
            blinded(graph, t)


def _is_last(step: Operation, t: torch.Tensor) -> bool:
    return int(step.args["dim"]) % t.dim() == t.dim() - 1


def _left_out(graph: TensorBuilder, step: Operation, t: torch.Tensor) -> bool:
    """Whether a product leaves out what it multiplies with the zeros of a factor: of the first that has any."""
    given = step.given
    if min(a.dim() for a in given) < 2:
        return False
    return t is next(a for a in given if facts(graph, a).zero is not None)


def blinded(graph: TensorBuilder, tensor: torch.Tensor) -> None:
    """Say of the node of a tensor that some of its values depend on no input, or that none does."""
    fact, value = graph.facts.get(id(tensor), NONE), graph.entry(tensor)
    if fact.blind is None or not isinstance(value, Value):
        return
    if bool(fact.blind.all()):
        shape = graph.shape(value)
        made = graph.add(
            Constant(shape.dims, shape.channel), (), value.dims, value.batch, stem="constant", extra=value.extra
        )
    else:
        made = alone(graph, value, Elementwise(MASKED))
    forgotten(graph)
    graph.env[id(tensor)] = made
    del graph.facts[id(tensor)]


Of = Callable[[Any], Facts]
Flags = Callable[[Any], "torch.Tensor | None"]
Times = Callable[[Any, float], Facts]  # what is known of a multiple of a tensor, or of a number
Settled = Callable[[Any], bool]  # whether a tensor, or a number, depends on no input
_SUMS = ("add", "sub", "subtract")
_ADDS = frozenset([*_SUMS, "addmm", "baddbmm"])
_FOLLOWED = _ADDS | _LOW_TOO | _MOVES | {*_SOFTMAX, "dropout"}
_MAKE = frozenset(
    [
        *("masked_fill", "where", "tril", "triu", "index_put", "_index_put_impl"),
        *(*_SUMS, "mul", "multiply", "addmm", "baddbmm"),
    ]
)


def _after(
    step: Operation,
    of: Of,
    flags: Flags,
    times: Times,
    settled: Settled = lambda given: False,
    soft: Callable[[Facts], Facts] = softmaxed,
) -> Any:
    """What is known of the result of an operator."""
    name, args = step.name, step.args
    name = name[:-1] if name.endswith("_") and not name.startswith("_") else name
    if name in _SAME:
        x = of(args.get("self", args.get("input")))
        return x if name in _LOW_TOO else Facts(x.zero, fixed=x.fixed)
    if name == "copy":
        return of(args["src"])
    if name in _MOVES:
        return _moved(step, of(args.get("self", args.get("input"))))
    if name in _SUMS:
        return added(of(args["self"]), times(args["other"], args.get("alpha", 1) * (1 if name == "add" else -1)))
    if name in ("mul", "multiply", "div", "true_divide", "divide"):
        a, b = of(args["self"]), of(args["other"])
        positive = _positive(args["other"])
        if "div" in name:
            return Facts(a.zero, a.low, a.never) if positive else Facts(a.zero)
        return multiplied(a, b, positive)
    if name in ("addmm", "baddbmm"):  # a mask to which scores are added
        x = of(args["self"])
        return Facts(None, x.low, x.never) if args["beta"] == 1 else NONE
    if name in ("masked_fill", "where"):
        return _picked(name, args, of, flags, settled)
    if name in ("tril", "triu"):
        size = tuple(args["self"].shape[-2:])
        kept = getattr(torch.ones(size, dtype=torch.bool), name)(args.get("diagonal", 0))
        x = of(args["self"])
        return Facts(~kept if x.zero is None else x.zero | ~kept)
    if name in ("block_diag", "diag_embed", "diag"):  # zero but for the blocks, or one diagonal
        ones = [torch.ones(t.shape, dtype=torch.bool) for t in tensors(args.get("tensors", args.get("self")))]
        if name == "diag" and ones[0].dim() != 1:
            return NONE
        places = [args[n] for n in ("offset", "dim1", "dim2", "diagonal") if n in args]
        if name == "block_diag":
            return Facts(~torch.block_diag(*ones))  # type: ignore[no-untyped-call]
        return Facts(~torch.diag_embed(ones[0], *places))
    if name in ("index_put", "_index_put_impl"):
        return _put(args, of, flags, settled)
    if name in _SOFTMAX:
        return soft(of(args["self"])) if _is_last(step, args["self"]) else NONE
    return NONE


def _positive(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.dim() == 0 and not value.is_meta and bool(value > 0)
    return isinstance(value, (int, float)) and value > 0


def _picked(name: str, args: Mapping[str, Any], of: Of, flags: Flags, settled: Settled) -> Facts:
    condition = flags(args["mask"] if name == "masked_fill" else args["condition"])
    if condition is None:
        return NONE
    new, old = ("value", "self") if name == "masked_fill" else ("self", "other")

    def told(given: Any) -> Facts:
        return of(given)._replace(fixed=torch.ones((), dtype=torch.bool)) if settled(given) else of(given)

    return chosen(condition, told(args[new]), told(args[old]))


def _put(args: Mapping[str, Any], of: Of, flags: Flags, settled: Settled) -> Facts:
    """``x[mask] = value`` with one mask of leading axes."""
    indices, values = args["indices"], args["values"]
    axis = next((i for i, index in enumerate(indices) if index is not None), 0)
    mask = indices[axis] if axis == len(indices) - 1 else None
    if mask is None or mask.dtype != torch.bool or values.numel() != 1 or args["accumulate"]:
        return NONE
    condition = flags(mask)
    if condition is None:
        return NONE
    behind = args["self"].dim() - axis - condition.dim()
    full = condition.reshape((1,) * axis + tuple(condition.shape) + (1,) * behind)
    new = of(values)
    return chosen(
        full, new._replace(fixed=torch.ones((), dtype=torch.bool)) if settled(values) else new, of(args["self"])
    )


def _moved(step: Operation, x: Facts) -> Any:
    """The same re-arrangement of the flags."""
    if not x:
        return NONE
    first = "self" if "self" in step.args else "input"
    given = step.args[first]
    operator = getattr(getattr(torch.ops.aten, step.name.rstrip("_")), step.overload or "default")
    schema = [a.name for a in operator._schema.arguments]
    found: list[Any] = []
    for flags in x:
        if flags is None:
            found.append(None)
            continue
        full = flags.expand(given.shape)
        found.append(operator(*[full if n == first else step.args[n] for n in schema]))
    if all(f is None or isinstance(f, torch.Tensor) for f in found):
        return Facts(*found)
    count = next(len(f) for f in found if f is not None)
    return [Facts(*(None if f is None else f[i] for f in found)) for i in range(count)]
