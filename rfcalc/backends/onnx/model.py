"""What an ONNX file says, as values: model, graph, nodes, tensors; the tensors' bytes stay in the file.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Fields that this project
does not use are skipped. Imports `errors`, `wire`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rfcalc.backends.onnx.wire import BYTES, VARINT, Span, Wire, broken, number_of, span_of
from rfcalc.errors import LimitError

MOST_NODES = 250_000
MOST_RANK = 64
LARGEST_EXTENT = 1 << 48
ONNX_DOMAINS = ("", "ai.onnx")

# TensorProto.DataType → (name, bits)
DTYPES = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("string", 0),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8", 8),
    18: ("float8", 8),
    19: ("float8", 8),
    20: ("float8", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4", 4),
}
FLOATING = frozenset({1, 10, 11, 16, 17, 18, 19, 20, 23})


class Tensor(NamedTuple):
    """A tensor: its name, type and extents, and where its values stand.

    `parts` are (field, wire type, value) of the data in the file; `external` are location, offset and length.
    """

    name: str
    dtype: int
    dims: tuple[int, ...]
    parts: tuple[tuple[int, int, Any], ...] = ()
    external: tuple[tuple[str, str], ...] = ()
    text: bool = False

    @property
    def size(self) -> int:
        result = 1
        for n in self.dims:
            result *= n
        return result


class Attribute(NamedTuple):
    """One attribute of a node: whatever of its fields is set."""

    name: str
    value: Any = None
    reference: str = ""  # in a function's body: the attribute of the call that it stands for


class Subgraph(NamedTuple):
    """A graph inside an attribute, not read yet."""

    span: Span


@dataclass(frozen=True, slots=True)
class Node:
    """One operator in the graph."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    domain: str = ""
    scope: str = ""  # the module that it came from, where the exporter says so
    references: dict[str, str] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """The operator, with its domain if it is not ONNX's own."""
        return self.op if self.domain in ONNX_DOMAINS else f"{self.domain}::{self.op}"


class Info(NamedTuple):
    """What the file says of a value: its type, and its extents: a number, a symbol, or None; None for no rank."""

    name: str
    dtype: int = 0
    dims: tuple[int | str | None, ...] | None = None
    tensor: bool = True


@dataclass(slots=True)
class Graph:
    """A graph: nodes in the file's order, tensors, inputs, outputs, and what it says of values."""

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[Info] = field(default_factory=list)
    outputs: list[Info] = field(default_factory=list)
    infos: dict[str, Info] = field(default_factory=dict)


class Function(NamedTuple):
    """An operator that the model defines by other operators."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    defaults: dict[str, Any]


@dataclass(slots=True)
class Model:
    """A file."""

    wire: Wire
    ir: int = 0
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    graph: Graph = field(default_factory=Graph)
    functions: dict[tuple[str, str], Function] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        return self.opsets.get("", self.opsets.get("ai.onnx", 1))


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
            if len(graph.nodes) > MOST_NODES:
                raise LimitError("the graph has too many nodes", why=f"the limit is {MOST_NODES:,}")
        elif number == 2:
            graph.name = wire.text(span_of(kind, value))
        elif number == 5:
            tensor = read_tensor(wire, span_of(kind, value))
            graph.tensors[tensor.name] = tensor
        elif number == 11:
            graph.inputs.append(_info(wire, span_of(kind, value)))
        elif number == 12:
            graph.outputs.append(_info(wire, span_of(kind, value)))
        elif number == 13:
            info = _info(wire, span_of(kind, value))
            graph.infos[info.name] = info
        elif number == 15:
            tensor = _sparse(wire, span_of(kind, value))
            graph.tensors[tensor.name] = tensor
    return graph


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
