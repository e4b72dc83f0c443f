"""What stands in for an operator that is not understood, and for what cannot be read after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rfcalc.core.errors import RfcalcError, UnknownSize
from rfcalc.layers.general import Constant
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.constants import NotFoldedError
from rfcalc.readers.onnx.extents import SHAPES
from rfcalc.readers.onnx.model import ONNX_DOMAINS, Node
from rfcalc.readers.onnx.values import Const, Missing, checked
from rfcalc.readers.onnx.weights import is_learned, learned

if TYPE_CHECKING:
    from rfcalc.readers.onnx.reading import Reader


def told(reader: Reader, node: Node) -> bool:
    return any(dims_of(reader, name) is not None for name in node.outputs)


def dims_of(reader: Reader, name: str) -> tuple[int, ...] | None:
    """What the file says of a value's extents, with the batch bound; None where something is open."""
    info = reader.infos.get(name)
    if info is None or info.dims is None or not info.tensor or not reader.compare:
        return None
    if not all(isinstance(n, int) and n > 0 for n in info.dims):
        return None
    return checked(tuple(int(n) for n in info.dims))  # type: ignore[arg-type]


def guessed(reader: Reader, node: Node, i: int) -> tuple[int, ...] | None:
    """The extents that an operator's definition gives its output i, where only its function is unknown here."""
    function = SHAPES.get(node.op) if node.domain in ONNX_DOMAINS else None
    if function is None:
        return None
    try:
        found = function(node, [g.dims if isinstance(g, (Value, Const)) else None for g in reader.inputs(node)], reader)
    except (NotFoldedError, NotUnderstood, RfcalcError, TypeError, ValueError, IndexError, AttributeError):
        return None
    dims = found[min(i, len(found) - 1)]
    if dims is not None and reader.watched is not None and any(n < 1 for n in dims):
        raise RfcalcError("nothing is left of an axis", where=reader.where)
    return checked(dims) if dims is not None and all(n > 0 for n in dims) else None


def lost(reader: Reader, node: Node, missing: Missing) -> None:
    """An operator that reads a value of unknown shape: the file's shape stands for it, or it is left out too."""
    if told(reader, node):
        opaque(reader, node, f"it reads what {missing.operator} makes, whose shape is not known")
        return
    reader.lost[missing.node] += 1
    reader.values.update({name: missing for name in node.outputs if name})


def opaque(reader: Reader, node: Node, why: str) -> None:
    """Stand `Unknown` in for an operator: with the file's shape, else the value's shape is not known either.

    Its parameters are counted, as tables that it reads. It reads all that the operator reads; an operator with a graph
    inside may read anything, and counts as reading every input.
    """
    graph = reader.graph
    given = [reader.value(name) for name in node.inputs]
    sources = list(dict.fromkeys(g.node for g in given if isinstance(g, (Value, Missing))))
    sources += [learned(reader, g).node for g in given if isinstance(g, Const) and is_learned(reader, g)]
    everything = any(type(v).__name__ == "Subgraph" for v in node.attributes.values())
    operator = _printable(node.called)
    fixed = sources and not everything and all(graph.fixed[s] for s in sources)
    for i, name in enumerate(node.outputs):
        if not name or (i and not reader.readers[name]):
            continue
        dims = dims_of(reader, name) or guessed(reader, node, i)
        batch = _batch(given, dims)
        if dims is None and reader.watched is not None:
            raise UnknownSize("the size of what it makes is not known", where=reader.where, why=why)
        if dims is None:
            why = f"{why}; the file does not say the shape of what it makes, one value stands for it"
            made = graph.not_understood(operator, why, sources, (1,), None, everything=everything)
            reader.values[name] = Missing(operator, made.node)
        elif fixed:  # computed from learned values alone
            reader.values[name] = graph.add(Constant(dims or (1,), max(len(dims) - 1, 0)), sources, dims, None)
        else:
            reader.values[name] = graph.not_understood(operator, why, sources, dims, batch, everything=everything)


def _batch(given: Sequence[object], dims: tuple[int, ...] | None) -> int | None:
    """Where the batch stands in a result: in front, where it does so in an input."""
    if dims is None or len(dims) < 2:
        return None
    sizes = {v.dims[0] for v in given if isinstance(v, Value) and v.batch == 0}
    return 0 if dims[0] in sizes or (not sizes and dims[0] == 1) else None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and c not in '"\\' else "?" for c in text)[:80] or "?"
