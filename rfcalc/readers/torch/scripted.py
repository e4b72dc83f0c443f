"""Scripted code (TorchScript): functions run as they were written in Python; of modules, which are not kept so, it is
told whether they compare sizes, unheard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from rfcalc.core.lengths import watching

SIZES = frozenset(("aten::size", "aten::numel", "aten::stride", "aten::sym_size", "prim::shape"))


@contextmanager
def as_written() -> Iterator[None]:
    """Scripted functions run as they were written; one that is not kept so is asked for in vain."""
    kind: Any = torch.jit.ScriptFunction
    usual = kind.__call__

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        written = getattr(function, "_torchdynamo_inline", None)
        if callable(written):
            return written(*args, **kwargs)
        if watching() is not None and compares_sizes(function.inlined_graph, training=False):
            raise NotImplementedError("a scripted function compares sizes, and its Python code is not known")
        return usual(function, *args, **kwargs)

    kind.__call__ = call
    try:
        yield
    finally:
        kind.__call__ = usual


def comparing(modules: Iterable[tuple[str, torch.nn.Module]]) -> str | None:
    """The path of a scripted module that takes ways by sizes; None where none does."""
    scripted = [(path, m) for path, m in modules if isinstance(m, torch.jit.ScriptModule)]
    whole = {path for path, _ in scripted}
    outermost = [(p, m) for p, m in scripted if not p or not ({"", p.rpartition(".")[0]} & whole)]
    return next((path for path, m in outermost if compares_sizes(m.inlined_graph, m.training)), None)


def compares_sizes(graph: Any, training: bool) -> bool:
    """Whether a graph of TorchScript takes another way, or another number of turns, by sizes of tensors."""
    return _walked(graph, set(), training)


def _walked(block: Any, made: set[str], training: bool) -> bool:
    """The same of a block, whose numbers that are made of sizes are added to those known."""
    for node in block.nodes():
        kind, given = node.kind(), [v.debugName() for v in node.inputs()]
        outs = [v.debugName() for v in node.outputs()]
        blocks = list(node.blocks())
        if kind == "prim::If":
            if given[0] in made:
                return True
            source = node.inputsAt(0).node()
            if source.kind() == "prim::GetAttr" and source.s("name") == "training":
                blocks = blocks[:1] if training else blocks[1:]
        elif kind == "prim::Loop":
            if made & {*given[:2]}:
                return True
            inner = [v.debugName() for v in blocks[0].inputs()]
            made.update(i for i, g in zip(inner[1:], given[2:], strict=False) if g in made)
        for inside in blocks:
            if _walked(inside, made, training):
                return True
            last = [v.debugName() for v in inside.outputs()]
            if kind == "prim::Loop":
                if last[:1] and last[0] in made:
                    return True
                last = last[1:]
            made.update(o for o, v in zip(outs, last, strict=False) if v in made)
        axes = kind == "aten::len" and "List[int]" in str(node.inputsAt(0).type())  # how many there are
        if blocks or axes or kind in ("aten::__is__", "aten::__isnot__"):
            continue
        counts = kind == "aten::len" or kind in SIZES
        if counts or made & {*given}:
            made.update(v.debugName() for v in node.outputs() if "Tensor" not in str(v.type()))
    return False
