"""Computes operators on constants, and on shapes, while a graph is read; keeps what Constant nodes hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.builder.values import Value
from rfcalc.readers.onnx import evaluation, lengths
from rfcalc.readers.onnx.constants import FOLDS, NotFoldedError, shape_of
from rfcalc.readers.onnx.model import Node, Tensor
from rfcalc.readers.onnx.values import Const, Parts, constant
from rfcalc.readers.onnx.wire import Wire

if TYPE_CHECKING:
    from rfcalc.readers.onnx.reading import Entry, Reader

assert evaluation.PAIRS  # its rules are registered


def folds(reader: Reader, node: Node, given: Sequence[Entry | None]) -> bool:
    """Compute an operator on constants (or on shapes); whether that was possible."""
    if node.op in ("Shape", "Size") and node.called == node.op and isinstance(given[0] if given else None, Value):
        dims = given[0].dims  # type: ignore[union-attr]
        size = 1
        for n in dims:
            size *= n
        told = shape_of(dims, node) if node.op == "Shape" else Const((), 7, (size,))
        reader.values[node.outputs[0]] = lengths.told(reader, node, given[0], told)  # type: ignore[arg-type]
        return True
    if any(isinstance(g, (Value, Parts)) for g in given):
        return False
    if node.op == "Constant":
        reader.values[node.outputs[0]] = constant_node(reader, node)
        return True
    if _is_layer(given) and node.op == "MatMul":
        return False
    function = FOLDS.get(node.called)
    if function is None or not node.outputs:
        return False
    try:
        made = lengths.followed(reader, node, given, function(resolved(reader, node), given, reader.opset))  # type: ignore[arg-type]
    except NotFoldedError:
        return False
    except RfcalcError as error:
        raise error.at(reader.where) from None
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError, KeyError):
        raise RfcalcError("its attributes or inputs are malformed", where=reader.where) from None
    for name, const in zip(node.outputs, made, strict=False):
        if name and node.op == "ConstantOfShape" and any(n.endswith("__SHAPE") for n in _origins(given)):
            # the onnx package's light models keep the weights' shapes and make the weights up
            reader.model.graph.tensors[name] = Tensor(name, const.dtype, const.dims)
            reader.uniform[name] = False
            reader.values[name] = Const(const.dims, const.dtype, None, (name,))
        elif name:
            reader.values[name] = const
    return True


def resolved(reader: Reader, node: Node) -> Node:
    """The node with tensors among its attributes as constants."""
    if not any(isinstance(v, Tensor) for v in node.attributes.values()):
        return node
    wire = reader.model.wire
    attributes = {
        k: constant(v, wire, reader.folder, made=True) if isinstance(v, Tensor) else v
        for k, v in node.attributes.items()
    }
    return Node(node.op, node.inputs, node.outputs, attributes, node.name, node.domain, node.scope)


def constant_node(reader: Reader, node: Node) -> Const:
    """The value of a Constant node, which may be a parameter."""
    for value in node.attributes.values():
        if isinstance(value, Tensor):
            named = value._replace(name=node.outputs[0])
            reader.model.graph.tensors.setdefault(node.outputs[0], named)
            reader.constants.add(node.outputs[0])
    return written(node, reader.model.wire, reader.folder)


def written(node: Node, wire: Wire, folder: str) -> Const:
    """What a Constant node says."""
    for key, value in node.attributes.items():
        if isinstance(value, Tensor):
            found = constant(value, wire, folder, made=True)
            return Const(found.dims, found.dtype, found.values, (node.outputs[0],))
        dtype = 7 if key.startswith("value_int") else 1
        if key in ("value_int", "value_float"):
            return Const((), dtype, (value,))
        if key in ("value_ints", "value_floats"):
            return Const((len(value or ()),), dtype, tuple(value or ()))
    return Const((), 8, None)


def _is_layer(given: Sequence[Entry | None]) -> bool:
    """Whether a product of constants is a layer that works on a table (of coordinates, say), not on two weights."""
    a, b = given[:2] if len(given) == 2 else (None, None)
    return isinstance(a, Const) and isinstance(b, Const) and len(a.dims) > 2 == len(b.dims) and bool(b.origin)


def _origins(given: Sequence[Entry | None]) -> tuple[str, ...]:
    """The tensors that constants come from."""
    return tuple(name for g in given if isinstance(g, Const) for name in g.origin)
