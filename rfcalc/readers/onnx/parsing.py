"""Reads an ONNX file's messages into the values of `model`; tensors' bytes stay where they are.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Fields that this project
does not use are skipped.
"""

from __future__ import annotations

from typing import Any

from rfcalc.core.errors import LimitError
from rfcalc.readers.onnx import model as limits
from rfcalc.readers.onnx.model import (
    LARGEST_EXTENT,
    MOST_RANK,
    Attribute,
    Function,
    Graph,
    Info,
    Model,
    Node,
    Subgraph,
    Tensor,
)
from rfcalc.readers.onnx.wire import BYTES, VARINT, Span, Wire, broken, number_of, span_of


def read_model(wire: Wire, span: Span) -> Model:
    """The model that a file holds.

    Raises:
        RfcalcError: it is not an ONNX file, or damaged; too large.
    """
    model = Model(wire)
    version = ""
    found = False
    functions: list[Span] = []
    for number, kind, value in wire.fields(span):
        if number == 1:
            model.ir = number_of(kind, value)
        elif number == 2:
            model.producer = wire.text(span_of(kind, value))
        elif number == 3:
            version = wire.text(span_of(kind, value))
        elif number == 7:
            found = True
            read_graph(wire, span_of(kind, value), model.graph)
        elif number == 8:
            domain, opset = _opset(wire, span_of(kind, value))
            model.opsets[domain] = opset
        elif number == 25:
            functions.append(span_of(kind, value))
    if not found:
        raise broken("there is no graph in it", 0)
    model.producer = f"{model.producer} {version}".strip()
    for place in functions:
        name, function = _function(wire, place)
        model.functions[name] = function
    return model


def _opset(wire: Wire, span: Span) -> tuple[str, int]:
    domain, version = "", 0
    for number, kind, value in wire.fields(span):
        if number == 1:
            domain = wire.text(span_of(kind, value))
        elif number == 2:
            version = number_of(kind, value)
    return domain, version


def read_graph(wire: Wire, span: Span, graph: Graph | None = None) -> Graph:
    """A graph; into the given one where a file has several parts of it."""
    graph = Graph() if graph is None else graph
    for number, kind, value in wire.fields(span):
        if number == 1:
            graph.nodes.append(_node(wire, span_of(kind, value)))
            if len(graph.nodes) > limits.MOST_NODES:
                raise LimitError("the graph has too many nodes", why=f"the limit is {limits.MOST_NODES:,}")
        elif number == 2:
            graph.name = wire.text(span_of(kind, value))
        elif number == 5:
            tensor = read_tensor(wire, span_of(kind, value))
            graph.tensors[tensor.name] = tensor
            _bounded(graph)
        elif number == 11:
            graph.inputs.append(_info(wire, span_of(kind, value)))
        elif number == 12:
            graph.outputs.append(_info(wire, span_of(kind, value)))
        elif number == 13:
            info = _info(wire, span_of(kind, value))
            graph.infos[info.name] = info
            _bounded(graph)
        elif number == 15:
            tensor = _sparse(wire, span_of(kind, value))
            graph.tensors[tensor.name] = tensor
    return graph


def _bounded(graph: Graph) -> None:
    """Refuse more than 600,000 tensors and described values."""
    if len(graph.tensors) + len(graph.infos) > limits.MOST_ENTRIES:
        raise LimitError("the graph has too many tensors and values", why=f"the limit is {limits.MOST_ENTRIES:,}")


def _node(wire: Wire, span: Span) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Any] = {}
    references: dict[str, str] = {}
    op = name = domain = scope = ""
    for number, kind, value in wire.fields(span):
        if kind != BYTES:
            if number <= 9:
                raise broken("a node's field has another wire type", 0)
            continue
        if number == 1:
            inputs.append(wire.text(value))
        elif number == 2:
            outputs.append(wire.text(value))
        elif number == 3:
            name = wire.text(value)
        elif number == 4:
            op = wire.text(value)
        elif number == 5:
            attribute = _attribute(wire, value)
            if attribute.reference:
                references[attribute.name] = attribute.reference
            else:
                attributes[attribute.name] = attribute.value
        elif number == 7:
            domain = wire.text(value)
        elif number == 9:
            scope = _scope(wire, value) or scope
    return Node(op, tuple(inputs), tuple(outputs), attributes, name, domain, scope, references)


def _scope(wire: Wire, span: Span) -> str:
    """The module path that PyTorch's exporter writes beside a node: ``['', 'layer1', 'layer1.0', 'conv2d']``."""
    key = text = ""
    for number, kind, value in wire.fields(span):
        start, end = span_of(kind, value)
        if number == 1:
            key = wire.text((start, end)) if end - start < 100 else ""
        elif number == 2 and end - start < 4000:
            text = wire.text((start, end))
    return text if key == "pkg.torch.onnx.name_scopes" else ""


def _attribute(wire: Wire, span: Span) -> Attribute:
    name = reference = ""
    single: Any = None
    listed: list[Any] | None = None
    numbers: list[int] = []
    reals: list[float] = []
    for number, kind, value in wire.fields(span):
        if number == 1:
            name = wire.text(span_of(kind, value))
        elif number == 2:
            one: list[float] = []
            wire.floats(kind, value, one)
            single = one[-1] if one else None
        elif number == 3:
            single = number_of(kind, value)
        elif number == 4:
            single = _bytes(wire, span_of(kind, value))
        elif number == 5:
            single = read_tensor(wire, span_of(kind, value))
        elif number == 6:
            single = Subgraph(span_of(kind, value))
        elif number == 7:
            wire.floats(kind, value, reals)
        elif number == 8:
            wire.integers(kind, value, numbers)
        elif number == 9:
            listed = [] if listed is None else listed
            listed.append(_bytes(wire, span_of(kind, value)))
        elif number == 20 and kind == VARINT and value in (6, 7, 8) and single is None:
            listed = [] if listed is None else listed  # a list, perhaps empty
        elif number == 21:
            reference = wire.text(span_of(kind, value))
        elif number == 22:
            single = _sparse(wire, span_of(kind, value))
    if numbers:
        return Attribute(name, numbers, reference)
    if reals:
        return Attribute(name, reals, reference)
    if single is not None:
        return Attribute(name, single, reference)
    return Attribute(name, listed, reference)


def _bytes(wire: Wire, span: Span) -> str:
    """A string attribute: names and modes; long or binary ones are never used here."""
    start, end = span
    if end - start > 4096:
        return ""
    return bytes(wire.data[start:end]).decode("utf-8", "replace")


def read_tensor(wire: Wire, span: Span) -> Tensor:
    """A tensor without its values.

    Raises:
        RfcalcError: more than 64 axes, negative or gigantic extents.
    """
    name = ""
    dtype = 0
    dims: list[int] = []
    parts: list[tuple[int, int, Any]] = []
    external: list[tuple[str, str]] = []
    for number, kind, value in wire.fields(span):
        if number == 1:
            wire.integers(kind, value, dims)
        elif number == 2:
            dtype = number_of(kind, value)
        elif number == 8:
            name = wire.text(span_of(kind, value))
        elif number in (4, 5, 7, 9, 10, 11):
            if len(parts) < 10_000:  # unpacked values of a tensor that is small enough to be read
                parts.append((number, kind, value))
        elif number == 13:
            external.append(_pair(wire, span_of(kind, value)))
    _extents(dims, name)
    return Tensor(name, dtype, tuple(dims), tuple(parts), tuple(external), dtype == 8)


def _extents(dims: list[int], name: str) -> None:
    size = 1
    for n in dims:
        size *= n
        if n < 0:
            raise broken(f"the tensor {name!r} has the extent {n}", 0)
    if len(dims) > MOST_RANK or size > LARGEST_EXTENT:
        told = "x".join(map(str, dims[:8])) + (" …" if len(dims) > 8 else "")
        raise LimitError(f"the tensor {name!r} of {told} is too large", why="the limit is 2^48 values and 64 axes")


def _pair(wire: Wire, span: Span) -> tuple[str, str]:
    key = text = ""
    for number, kind, value in wire.fields(span):
        if number == 1:
            key = wire.text(span_of(kind, value))
        elif number == 2:
            text = wire.text(span_of(kind, value))
    return key, text


def _sparse(wire: Wire, span: Span) -> Tensor:
    """A sparse tensor, as a tensor of which only the extents are known."""
    name, dtype = "", 0
    dims: list[int] = []
    for number, kind, value in wire.fields(span):
        if number == 1:
            values = read_tensor(wire, span_of(kind, value))
            name, dtype = values.name, values.dtype
        elif number == 3:
            wire.integers(kind, value, dims)
    _extents(dims, name)
    return Tensor(name, dtype, tuple(dims))


def _info(wire: Wire, span: Span) -> Info:
    name = ""
    dtype, tensor = 0, True
    dims: tuple[int | str | None, ...] | None = None
    for number, kind, value in wire.fields(span):
        if number == 1:
            name = wire.text(span_of(kind, value))
        elif number == 2:
            for form, inner_kind, inner in wire.fields(span_of(kind, value)):
                if form == 1:
                    dtype, dims = _tensor_type(wire, span_of(inner_kind, inner))
                elif form in (4, 5, 8, 9):  # a sequence, map, sparse tensor, optional
                    tensor = False
    return Info(name, dtype, dims, tensor)


def _tensor_type(wire: Wire, span: Span) -> tuple[int, tuple[int | str | None, ...] | None]:
    dtype = 0
    dims: list[int | str | None] | None = None
    for number, kind, value in wire.fields(span):
        if number == 1:
            dtype = number_of(kind, value)
        elif number == 2:
            dims = []
            for _, dim_kind, dim in wire.fields(span_of(kind, value)):
                dims.append(_extent(wire, span_of(dim_kind, dim)))
                if len(dims) > MOST_RANK:
                    raise LimitError("a value has too many axes", why=f"the limit is {MOST_RANK}")
    return dtype, None if dims is None else tuple(dims)


def _extent(wire: Wire, span: Span) -> int | str | None:
    found: int | str | None = None
    for number, kind, value in wire.fields(span):
        if number == 1:
            extent = number_of(kind, value)
            found = None if extent < 0 or extent > LARGEST_EXTENT else extent
        elif number == 2:
            found = wire.text(span_of(kind, value)) or None
    return found


def _function(wire: Wire, span: Span) -> tuple[tuple[str, str], Function]:
    name = domain = ""
    inputs: list[str] = []
    outputs: list[str] = []
    nodes: list[Node] = []
    defaults: dict[str, Any] = {}
    for number, kind, value in wire.fields(span):
        if number == 1:
            name = wire.text(span_of(kind, value))
        elif number == 4:
            inputs.append(wire.text(span_of(kind, value)))
        elif number == 5:
            outputs.append(wire.text(span_of(kind, value)))
        elif number == 7:
            nodes.append(_node(wire, span_of(kind, value)))
        elif number == 10:
            domain = wire.text(span_of(kind, value))
        elif number == 11:
            attribute = _attribute(wire, span_of(kind, value))
            defaults[attribute.name] = attribute.value
    return (domain, name), Function(tuple(inputs), tuple(outputs), tuple(nodes), defaults)
