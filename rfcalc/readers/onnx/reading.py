"""The reader: walks a graph in topological order, asks the rule of each operator, and collects what they place.

The contract of a rule: a function of the reader and a node, registered under the operator's name. It

1. takes its inputs with `const` and `map`; a rule that cannot do with them raises `NotUnderstoodError` with the reason,
   and the operator becomes `Unknown`;
2. places layers with `place`, which computes their shapes at once, and hands the result to `give`;
3. tells which tensors are its parameters with `uses`, so that they can be counted and compared;
4. never passes a value on as if nothing happened, except where only the batch axis moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from rfcalc.core.errors import LayerError, LimitError, RfcalcError, ShapeError
from rfcalc.core.layer import Layer
from rfcalc.layers.reshape import Reshape
from rfcalc.readers.imported import UnknownOperator
from rfcalc.readers.onnx.constants import NotFoldedError
from rfcalc.readers.onnx.folding import folds
from rfcalc.readers.onnx.graphs import isolated, ordered
from rfcalc.readers.onnx.model import Info, Model, Node, Subgraph
from rfcalc.readers.onnx.names import Names, function_of
from rfcalc.readers.onnx.parsing import read_graph
from rfcalc.readers.onnx.unknowns import lost, opaque
from rfcalc.readers.onnx.values import Const, Map, Missing, NotUnderstoodError, checked, constant, sample, visible

Value = Const | Map | Missing
Rule = Callable[["Reader", Node], None]

RULES: dict[str, Rule] = {}
DEEPEST = 20
MASK = -100.0  # what is added to forbid attention is 0 or at most this
_WHERE = (
    "sliding",
    "norms",
    "functions",
    "arithmetic",
    "products",
    "layout",
    "parts",
    "resizing",
    "reductions",
    "attention",
    "control",
)


class BatchMixedError(Exception):
    """A batch of several items is mixed with other axes."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators."""

    def put(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return put


def load_rules() -> None:
    for module in _WHERE:
        import_module(f"rfcalc.readers.onnx.rules.{module}")


class Reader:
    """What is known while a graph is read."""

    def __init__(self, model: Model, nodes: list[Node], folder: str, batch: int) -> None:
        load_rules()
        self.model = model
        self.nodes = nodes
        self.folder = folder
        self.batch = batch
        self.values: dict[str, Value] = {}
        self.placed: dict[str, tuple[Layer, tuple[str, ...]]] = {}
        self.used: dict[str, list[tuple[str, Const]]] = {}  # node → (role, tensor)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.unknown: list[UnknownOperator] = []
        self.notes: Counter[str] = Counter()  # sentence → how often
        self.lost: Counter[str] = Counter()  # unknown node → operators that are left out after it
        self.folded: list[str] = []  # convolutions that hold a normalisation
        self.parameters: dict[str, Map] = {}
        self.readers: Counter[str] = Counter(name for node in nodes for name in node.inputs)
        self.readers.update(info.name for info in model.graph.outputs)
        self.infos: dict[str, Info] = {**model.graph.infos, **{i.name: i for i in model.graph.outputs}}
        self.compare = True
        self.constants: set[str] = set()
        self.uniform: dict[str, bool] = {}
        self.fixed: set[str] = set()  # nodes that depend on no input
        self.masks: dict[str, bool] = {}
        self.depth = 0
        self.names = Names(nodes, (), model.graph.tensors)
        self.node = Node("", (), ())

    # What a rule asks for

    @property
    def opset(self) -> int:
        return self.model.opset

    def value(self, name: str) -> Value | None:
        """The value of this name; None for an input that is left out."""
        if not name:
            return None
        found = self.values.get(name)
        if found is None:
            tensor = self.model.graph.tensors.get(name)
            if tensor is None:
                raise RfcalcError(
                    f"the value {name[:80]!r} does not exist", where=self.where, why="no node, input or tensor makes it"
                )
            found = self.values[name] = constant(tensor, self.model.wire, self.folder)
        return found

    def inputs(self, node: Node) -> list[Value | None]:
        return [self.value(name) for name in node.inputs]

    def const(self, node: Node, i: int) -> Const | None:
        """Input i as a constant; None if it is left out.

        Raises:
            NotUnderstoodError: it depends on the network's input.
        """
        found = self.value(node.inputs[i]) if i < len(node.inputs) else None
        if found is not None and not isinstance(found, Const):
            raise NotUnderstoodError(f"its input {i + 1} is computed, not constant")
        return found

    def known(self, node: Node, i: int) -> tuple[Any, ...] | None:
        """The values of constant input i; None if it is left out.

        Raises:
            NotUnderstoodError: they are not in the file.
        """
        found = self.const(node, i)
        if found is None:
            return None
        if found.values is None:
            raise NotUnderstoodError(f"the values of its input {i + 1} are not in the file")
        return found.values

    def map(self, node: Node, i: int = 0) -> Map:
        """Input i as a map.

        Raises:
            NotUnderstoodError: it is a constant, or left out.
        """
        found = self.value(node.inputs[i]) if i < len(node.inputs) else None
        if not isinstance(found, Map):
            raise NotUnderstoodError(f"its input {i + 1} is {'missing' if found is None else 'a constant'}")
        return found

    @property
    def where(self) -> str:
        """How messages call the operator that is being read."""
        node = self.node
        name = "".join(c if c.isprintable() else "?" for c in node.name)[:100]
        return (
            f"{node.called[:60]} {name!r}" if name else f"{node.called[:60]} (makes {', '.join(node.outputs)[:80]!r})"
        )

    # What a rule does

    def place(
        self,
        layer: Layer,
        sources: Sequence[Map],
        *,
        batch: int | None = None,
        dims: tuple[int, ...] | None = None,
        weight: str = "",
        name: str = "",
        stem: str = "",
    ) -> Map:
        """Put a layer into the network; the map that it makes.

        Args:
            batch: where the batch axis stands in the result; None: nowhere.
            dims: the extents with the batch, where they are not the shape's (a single value).
            weight: the name of its weight tensor, after which it is called.
            name, stem: what it is called instead, or without any other name.
        """
        shape = layer.output(*(m.shape for m in sources))
        if dims is None:
            dims = shape.dims if batch is None else (*shape.dims[:batch], self.batch, *shape.dims[batch:])
        checked(dims)
        if not name:
            own = stem or function_of(self.node)
            if weight and self.readers[weight] > 1 and self.names.scopes.get(id(self.node)):
                weight = "."  # a tensor that the exporter stores once for several modules has one module's name
            name = self.names.of(self.node, own, weight)
        else:
            name = self.names.fresh(name)
        self.placed[name] = (layer, tuple(m.node for m in sources))
        if all(m.node in self.fixed for m in sources) and not layer.opaque:
            self.fixed.add(name)
        return Map(name, shape, dims, batch, sources[0].dtype if sources else 1)

    def uses(self, node: str, role: str, const: Const | None) -> None:
        """Tell that a node's parameters (`weight`, `bias`) or statistics (`buffer`) are this constant."""
        if const is not None:
            self.used.setdefault(node, []).append((role, const))

    def give(self, node: Node, result: Value, i: int = 0) -> None:
        """Make a value the node's output i, after comparing it with what the file says of it."""
        if i >= len(node.outputs) or not node.outputs[i]:
            return
        name = node.outputs[i]
        info = self.infos.get(name)
        if isinstance(result, Map) and self.compare and info is not None and info.dims is not None:
            self._agrees(name, info.dims, result)
            if isinstance(result, Map) and all(isinstance(n, int) for n in info.dims):
                self.shapes.setdefault(result.node, result.shape.dims)
        self.values[name] = result

    def _agrees(self, name: str, told: tuple[int | str | None, ...], result: Map) -> None:
        fits = len(told) == len(result.dims)
        if fits:
            fits = all(not isinstance(t, int) or t == n for t, n in zip(told, result.dims, strict=True))
        if not fits:
            from rfcalc.readers.imported import REPORT_TO

            raise ShapeError(
                f"the file says {_dims(told)} here, rfcalc {_dims(result.dims)}",
                where=self.where,
                why="either the shapes in the file are wrong, or the operator was translated wrongly",
                fix=f"compare with onnx.shape_inference, and report it with the model to {REPORT_TO}",
            )

    def written(self, tensor: str) -> bool:
        """Whether a tensor stands in a Constant node."""
        return tensor in self.constants

    def equal(self, tensor: str) -> bool:
        """Whether all values of a tensor are equal, so that two layers may have it by chance."""
        if tensor not in self.uniform:
            found = self.model.graph.tensors[tensor]
            values = sample(found, self.model.wire, self.folder)
            self.uniform[tensor] = len(found.dims) < 2 if values is None else len(set(values)) <= 1
        return self.uniform[tensor]

    def mask(self, tensor: str) -> bool:
        """Whether a tensor holds zeros and very negative numbers only: it forbids attention, and is no parameter."""
        if tensor not in self.masks:
            values = sample(self.model.graph.tensors[tensor], self.model.wire, self.folder, 1 << 16)
            least = min(values) if values else 0
            self.masks[tensor] = bool(values) and least <= MASK and set(values) <= {0.0, least}  # type: ignore[arg-type]
        return self.masks[tensor]

    def own_name(self) -> str:
        """What nodes are called that stand beside the operator that is being read."""
        scope = self.names.scopes.get(id(self.node), "")
        own = function_of(self.node)
        return f"{scope}.{own}" if scope else own

    def inline(self, node: Node, chosen: Subgraph) -> None:
        """Read a branch in place of the node that holds it; its names are kept apart from the graph's.

        Raises:
            LimitError: branches in branches, deeper than 20.
        """
        if self.depth >= DEEPEST:
            raise LimitError("branches are nested too deeply", why=f"the limit is {DEEPEST}")
        graph = read_graph(self.model.wire, chosen.span)
        inside, renamed = isolated(graph, f"{node.outputs[0] if node.outputs else node.name}/")
        self.model.graph.tensors.update(inside.tensors)
        self.infos.update(inside.infos)
        self.readers.update(name for n in inside.nodes for name in n.inputs)
        self.readers.update(renamed)
        self.depth += 1
        for inner in ordered(inside.nodes):
            self.node = inner
            self._one(inner)
        self.depth -= 1
        self.node = node
        for i, name in enumerate(renamed):
            found = self.value(name)
            if found is not None:
                self.give(node, found, i)

    # The batch and the channels

    def untracked(self, m: Map) -> Map:
        """The map with its batch of one as an axis of its own.

        Raises:
            BatchMixedError: the batch has several items.
        """
        if m.batch is None:
            return m
        if self.batch != 1:
            raise BatchMixedError
        return self.reshaped(m, m.dims, None, m.outer(m.shape.channel))

    def tracked(self, m: Map, axis: int = 0) -> Map:
        """The map with this axis as the batch.

        Raises:
            NotUnderstoodError: the axis is no batch.
        """
        if m.batch == axis:
            return m
        if m.batch is not None:
            m = self.untracked(m)
        if len(m.dims) < 2 or m.dims[axis] != 1 or self.batch != 1:
            raise NotUnderstoodError("the batch is mixed with other axes")
        channel = m.shape.channel
        return self.reshaped(m, m.dims, axis, 0 if channel == axis else channel - (channel > axis))

    def features(self, m: Map) -> Map:
        """The map as batch × channels × space, which convolutions, pools and their kin need."""
        m = self.tracked(m)
        if m.shape.channel != 0:
            m = self.reshaped(m, m.dims, 0, 0)
        return m

    def reshaped(self, m: Map, dims: tuple[int, ...], batch: int | None, channel: int) -> Map:
        """The same values in other extents; the map itself where nothing changes."""
        seen = visible(dims, batch)
        if seen == m.shape.dims and channel == m.shape.channel:
            return Map(m.node, m.shape, dims, batch, m.dtype)
        layer = Reshape(seen, channel)
        made = self.place(layer, [m], batch=batch, dims=dims, stem="view")
        return Map(made.node, made.shape, dims, batch, m.dtype)

    # The walk

    def read(self) -> None:
        """Read every node."""
        for node in self.nodes:
            self.node = node
            self._one(node)

    def _one(self, node: Node) -> None:
        given = self.inputs(node)
        missing = next((g for g in given if isinstance(g, Missing)), None)
        if missing is not None:
            lost(self, node, missing)
            return
        if folds(self, node, given):
            return
        function = RULES.get(node.called)
        try:
            if function is None:
                raise NotUnderstoodError("no layer kind stands for it")
            function(self, node)
        except NotUnderstoodError as error:
            opaque(self, node, str(error))
        except NotFoldedError:
            opaque(self, node, "it depends on values that are not constant")
        except LayerError as error:
            opaque(self, node, error.what)
        except RfcalcError as error:
            raise error.at(self.where, self._reads(given)) from None

    def _reads(self, given: Sequence[Value | None]) -> str | None:
        told = [_dims(g.dims) for g in given[:4] if isinstance(g, (Map, Const))]
        return f"it reads {', '.join(told)}" if told else None


def _dims(dims: Sequence[object]) -> str:
    return "x".join("?" if n is None else str(n) for n in dims) or "a single value"
