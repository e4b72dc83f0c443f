"""What an ONNX file says, as values: model, graph, nodes, tensors; the tensors' bytes stay in the file.

`parsing` reads them. Imports `wire` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rfcalc.readers.onnx.wire import Span, Wire

MOST_NODES = 250_000
MOST_ENTRIES = 600_000  # tensors and described values of a graph
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
    """A graph inside an attribute, not read yet; what names of the graph around it are called now."""

    span: Span
    names: Mapping[str, str] = {}


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
