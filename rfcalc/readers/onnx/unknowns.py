"""What stands in for an operator that is not understood, and for what cannot be read after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.general import Constant
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.imported import UnknownOperator
from rfcalc.readers.onnx.constants import NotFoldedError
from rfcalc.readers.onnx.extents import SHAPES
from rfcalc.readers.onnx.model import ONNX_DOMAINS, Node
from rfcalc.readers.onnx.values import Const, Map, Missing, NotUnderstoodError, checked, visible

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
        found = function(node, [g.dims if isinstance(g, (Map, Const)) else None for g in reader.inputs(node)], reader)
    except (NotFoldedError, NotUnderstoodError, RfcalcError, TypeError, ValueError, IndexError, AttributeError):
        return None
    dims = found[min(i, len(found) - 1)]
    return checked(dims) if dims is not None and all(n > 0 for n in dims) else None


def lost(reader: Reader, node: Node, missing: Missing) -> None:
    """An operator that reads a value of unknown shape: the file's shape stands for it, or it is left out too."""
    if told(reader, node):
        opaque(reader, node, f"it reads what {missing.operator} makes, whose shape is not known")
        return
    reader.lost[missing.node] += 1
    reader.values.update({name: missing for name in node.outputs if name})


def opaque(reader: Reader, node: Node, why: str) -> None:
    """Stand `Unknown` in for an operator: with the file's shape, else the value's shape is not known either."""
    sources = [g for g in (reader.value(name) for name in node.inputs) if isinstance(g, Map)]
    distinct = list({m.node: m for m in sources}.values())
    operator = _printable(node.called)
    for i, name in enumerate(node.outputs):
        if not name or (i and not reader.readers[name]):
            continue
        dims = dims_of(reader, name) or guessed(reader, node, i)
        batch = 0 if dims is not None and len(dims) > 1 and dims[0] == reader.batch else None
        if dims is None:
            made = reader.place(Unknown((1,), operator), distinct, dims=(1,))
            reader.values[name] = Missing(operator, made.node)
            why = f"{why}; the file does not say the shape of what it makes, one value stands for it"
        elif distinct and all(m.node in reader.fixed for m in distinct):  # computed from learned values alone
            reader.values[name] = reader.place(Constant(dims or (1,), max(len(dims) - 1, 0)), distinct, dims=dims)
            continue
        else:
            made = reader.place(Unknown(visible(dims, batch), operator), distinct, batch=batch, dims=dims)
            reader.values[name] = made
        reader.unknown.append(UnknownOperator(operator, made.node, why))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and c not in '"\\' else "?" for c in text)[:80] or "?"
