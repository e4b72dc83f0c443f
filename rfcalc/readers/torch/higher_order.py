"""Operators that run code of their own (`torch.cond`, `flex_attention`, `torch.vmap`), by plain operators instead.

1. A branch that no input reaches is taken; one that the input decides cannot be read.
2. `vmap` applies its function to one slice after another and stacks what comes out.
3. Flexible attention is attention with a mask: what its mask, and scores of −∞, leave out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _pytree as pytree

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.torch.recorder import MOST_MADE, ValuesAsked

MOST_SLICES = 1024
_CAPTURED = ("torch._higher_order_ops", "torch.nn.attention")  # what compiles such operators, unless it is compiled

Blank = Callable[[Any], bool]


@contextmanager
def plainly(blank: Blank) -> Iterator[None]:
    """Such operators are not compiled, and `vmap` of what has no data goes slice by slice."""
    import torch._functorch.apis as functorch

    apis: Any = functorch
    compiler: Any = torch.compiler
    compiling, batched = compiler.is_dynamo_compiling, apis.vmap_impl

    def captured() -> bool:
        return str(sys._getframe(1).f_globals.get("__name__", "")).startswith(_CAPTURED) or compiling()

    def vmap(func: Any, in_dims: Any, out_dims: Any, randomness: str, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunction():
            without = any(blank(t) for t in pytree.tree_leaves((args, kwargs)))
        if without:
            return by_slices(func, in_dims, out_dims, *args, **kwargs)
        return batched(func, in_dims, out_dims, randomness, chunk, *args, **kwargs)

    compiler.is_dynamo_compiling, apis.vmap_impl = captured, vmap
    try:
        yield
    finally:
        compiler.is_dynamo_compiling, apis.vmap_impl = compiling, batched


def by_slices(func: Any, in_dims: Any, out_dims: Any, *args: Any, **kwargs: Any) -> Any:
    """What `torch.vmap` gives, one slice after another.

    Raises:
        RfcalcError: there are very many slices.
    """
    leaves, spec = pytree.tree_flatten(args)
    dims = pytree._broadcast_to_and_flatten(in_dims if not isinstance(in_dims, list) else tuple(in_dims), spec)
    assert dims is not None
    count = next(t.shape[d] for t, d in zip(leaves, dims, strict=True) if d is not None)
    if count > MOST_SLICES:
        raise RfcalcError(f"vmap over {count:,} slices", fix="give an input with fewer of them")
    results = []
    for i in range(count):
        cut = [t if d is None else t.select(d, i) for t, d in zip(leaves, dims, strict=True)]
        results.append(func(*pytree.tree_unflatten(cut, spec), **kwargs))
    flat = [pytree.tree_flatten(r) for r in results]
    shape = flat[0][1]
    places = pytree._broadcast_to_and_flatten(out_dims, shape)
    assert places is not None
    stacked = [torch.stack(list(parts), place) for *parts, place in zip(*[f for f, _ in flat], places, strict=True)]
    return pytree.tree_unflatten(stacked, shape)


def plain(blank: Blank, operator: Any, args: Any, kwargs: Any) -> Any:
    """The result of a higher-order operator, by operators that are recorded one by one.

    Raises:
        ValuesAsked: the input decides which branch is taken.
        RfcalcError: an operator that is not known.
    """
    name = operator.name()
    if name == "cond":
        condition, yes, no, *operands = args
        if blank(condition):
            raise ValuesAsked("the condition of torch.cond")
        return (yes if bool(condition) else no)(*(operands[0] if operands else ()))
    if name == "while_loop":
        going, body, carried, *more = args
        extra = tuple(more[0]) if more else ()
        for _ in range(MOST_SLICES):
            on = going(*carried, *extra)
            if blank(on):
                raise ValuesAsked("the condition of a while loop")
            if not bool(on):
                return carried
            carried = body(*carried, *extra)
        raise RfcalcError(f"a while loop runs more than {MOST_SLICES} times")
    if name == "flex_attention":
        return attention(blank, *args, **kwargs)
    raise RfcalcError(
        f"{name} runs code that is not seen from outside",
        fix="read the module with plain operators in its place, or its parts by themselves",
    )


def attention(blank: Blank, q: Any, k: Any, v: Any, score: Any, blocks: Any, scale: Any, *_: Any, **__: Any) -> Any:
    """Flexible attention as attention with a mask. Its other results (logarithms, maxima) are empty."""
    seen = marked(q.shape[-2], k.shape[-2], score, blocks[-1] if blocks is not None else None)
    if q.shape[1] != k.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)
    empty = q.new_empty(q.shape[:-1])
    return out, empty, empty


def marked(rows: int, columns: int, score: Any, mask: Any) -> torch.Tensor | None:
    """Which keys a query may see; None where all, or where it cannot be told (then none is left out)."""
    if rows * columns > MOST_MADE:
        return None
    i, j = torch.arange(rows)[:, None], torch.arange(columns)[None]
    zero = torch.zeros((), dtype=torch.int64)
    seen = torch.ones(rows, columns, dtype=torch.bool)
    try:
        if mask is not None:
            seen = seen & mask(zero, zero, i, j)
        if score is not None:
            seen = seen & (score(torch.zeros(rows, columns), zero, zero, i, j) > -torch.inf)
    except Exception:  # a function that takes no grids, or that hangs on the input
        return None
    return None if seen.is_meta or bool(seen.all()) else seen
