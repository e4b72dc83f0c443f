"""The reader: walks a graph in topological order, asks the rule of each operator, and collects what they place.

The contract of a rule: a function of the reader and a node, registered under the operator's name. It

1. takes its inputs with `const` and `map`; a rule that cannot do with them raises `NotUnderstood` with the reason,
   and the operator becomes `Unknown`;
2. places layers with `place`, moves values with the builder's verbs, and hands the result to `give`;
3. tells which tensors are its parameters with `uses`, so that they can be counted and compared;
4. never passes a value on as if nothing happened, except where nothing does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from rfcalc.core.errors import LayerError, LimitError, RfcalcError, ShapeError
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import watching
from rfcalc.core.masks import Mask
from rfcalc.core.progress import at
from rfcalc.core.shape import Shape
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx import lengths
from rfcalc.readers.onnx.constants import NotFoldedError
from rfcalc.readers.onnx.folding import folds
from rfcalc.readers.onnx.graphs import isolated, ordered
from rfcalc.readers.onnx.model import Info, Model, Node, Subgraph
from rfcalc.readers.onnx.names import Names, function_of, scope_of
from rfcalc.readers.onnx.parsing import read_graph
from rfcalc.readers.onnx.unknowns import lost, opaque
from rfcalc.readers.onnx.values import Const, Missing, Parts, checked, constant, sample

Entry = Const | Value | Missing | Parts
Rule = Callable[["Reader", Node], None]

RULES: dict[str, Rule] = {}
DEEPEST = 20
MOST_INLINED = 50_000  # operators of branches and loops
LIFTED = re.compile(r"(?:.*\.)?(?:c_|_)?lifted_tensor_\d+")  # what torch.export calls tensors that are written in code
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
    "signals",
    "attention",
    "recurrent",
    "quantized",
    "control",
)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


def load_rules() -> None:
    for module in _WHERE:
        import_module(f"rfcalc.readers.onnx.rules.{module}")


class Use(NamedTuple):
    """A tensor that a node reads as its own."""

    role: str  # weight, bias, buffer
    const: Const


class Reader:
    """What is known while a graph is read."""

    def __init__(self, model: Model, nodes: list[Node], folder: str) -> None:
        load_rules()
        self.model = model
        self.nodes = nodes
        self.makers = {name: node for node in nodes for name in node.outputs if name}
        self.folder = folder
        self.graph = Builder()
        self.steps: list[Node] = []  # the operators, as nodes of the network tell them
        self.values: dict[str, Entry] = {}
        self.used: dict[int, list[Use]] = {}  # by node
        self.weights: dict[int, str] = {}  # node → the tensor that it is called after
        self.shapes: dict[int, tuple[int, ...]] = {}  # what the file says of nodes
        self.notes: Counter[str] = Counter()  # sentence → how often
        self.stale: list[str] = []  # declarations that are not what the operators make
        self.lost: Counter[int] = Counter()  # unknown node → operators that are left out after it
        self.folded: list[int] = []  # convolutions that hold a normalisation
        self.readers: Counter[str] = Counter(name for node in nodes for name in node.inputs)
        self.readers.update(info.name for info in model.graph.outputs)
        self.infos: dict[str, Info] = {**model.graph.infos, **{i.name: i for i in model.graph.outputs}}
        self.compare = True
        self.constants: set[str] = {name for name in model.graph.tensors if LIFTED.fullmatch(name)}
        self.uniform: dict[str, bool] = {}
        self.masks: dict[str, bool] = {}
        self.scored: dict[str, Mask] = {}  # which keys a softmax leaves, by its output
        self.pooled: dict[str, Layer] = {}  # indices of maxima → the pool; their value is the map that was pooled
        self.depth = 0
        self.inlined = 0
        self.names = Names(nodes, (), model.graph.tensors)
        self.node = Node("", (), ())
        self.watched = watching()
        if self.watched is not None:
            self.watched.clear()  # a file that is read once more

    # What a rule asks for

    @property
    def opset(self) -> int:
        return self.model.opset

    def value(self, name: str) -> Entry | None:
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

    def inputs(self, node: Node) -> list[Entry | None]:
        return [self.value(name) for name in node.inputs]

    def const(self, node: Node, i: int) -> Const | None:
        """Input i as a constant; None if it is left out.

        Raises:
            NotUnderstood: it depends on the network's input.
        """
        found = self.value(node.inputs[i]) if i < len(node.inputs) else None
        if found is not None and not isinstance(found, Const):
            raise NotUnderstood(f"its input {i + 1} is computed, not constant")
        return found

    def known(self, node: Node, i: int) -> tuple[Any, ...] | None:
        """The values of constant input i; None if it is left out.

        Raises:
            NotUnderstood: they are not in the file.
        """
        found = self.const(node, i)
        if found is None:
            return None
        if found.values is None:
            raise NotUnderstood(f"the values of its input {i + 1} are not in the file")
        return found.values

    def map(self, node: Node, i: int = 0) -> Value:
        """Input i as a value that depends on an input.

        Raises:
            NotUnderstood: it is a constant, or left out.
        """
        found = self.value(node.inputs[i]) if i < len(node.inputs) else None
        if not isinstance(found, Value):
            raise NotUnderstood(f"its input {i + 1} is {'missing' if found is None else 'a constant'}")
        return found

    def shape(self, value: Value) -> Shape:
        return self.graph.shape(value)

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
        sources: Sequence[Value],
        *,
        batch: int | None = None,
        dims: tuple[int, ...] | None = None,
        weight: str = "",
        label: str = "",
        helper: bool = False,
    ) -> Value:
        """Put a layer into the network; what it makes.

        Args:
            batch: where the batch axis stands in the result; None: nowhere.
            dims: the extents with the batch, where they are not the shape's (a single value).
            weight: the name of its weight tensor, after which it is called.
            label: what it is called instead.
            helper: it is not what the operator is called after.
        """
        shape = layer.output(*(self.shape(v) for v in sources))
        if dims is None:
            size = next((v.dims[v.batch] for v in sources if v.batch is not None), 1)
            dims = shape.dims if batch is None else (*shape.dims[:batch], size, *shape.dims[batch:])
        checked(dims)
        made = self.graph.add(layer, [v.node for v in sources], dims, batch, label=label, helper=helper)
        if weight:
            self.weights[made.node] = weight
        return made

    def uses(self, value: Value, role: str, const: Const | None) -> None:
        """Tell that a node's parameters (`weight`, `bias`) or statistics (`buffer`) are this constant."""
        if const is not None:
            self.used.setdefault(value.node, []).append(Use(role, const))

    def give(self, node: Node, result: Entry, i: int = 0) -> None:
        """Make a value the node's output i, after comparing it with what the file says of it."""
        if i >= len(node.outputs) or not node.outputs[i]:
            return
        name = node.outputs[i]
        info = self.infos.get(name)
        if isinstance(result, Value) and self.compare and info is not None and info.dims is not None:
            if not _fits(info.dims, result.dims):
                self.stale.append(f"{_dims(info.dims)} for {self.where}, which makes {_dims(result.dims)}")
            elif all(isinstance(n, int) for n in info.dims) and result.node >= len(self.graph.inputs):
                self.shapes.setdefault(result.node, self.shape(result).dims)
        self.values[name] = result

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

    def inline(self, node: Node, chosen: Subgraph, given: Sequence[str] = (), turn: str = "") -> list[str]:
        """Read a branch or a loop's body in place of the node that holds it; the names of its outputs.

        Its names are kept apart from the graph's.

        Args:
            given: the values that its inputs stand for.
            turn: which turn of a loop it is.

        Raises:
            LimitError: branches in branches, deeper than 20; loops in loops of too many operators.
        """
        if self.depth >= DEEPEST:
            raise LimitError("branches are nested too deeply", why=f"the limit is {DEEPEST}")
        graph = read_graph(self.model.wire, chosen.span)
        self.inlined += len(graph.nodes)
        if self.inlined > MOST_INLINED:
            raise LimitError("branches and loops have too many operators", why=f"the limit is {MOST_INLINED:,}")
        around = {**chosen.names, **{i.name: name for i, name in zip(graph.inputs, given, strict=False)}}
        prefix = f"{node.outputs[0] if node.outputs else node.name}/{turn}"
        inside, renamed = isolated(graph, prefix, around)
        self.model.graph.tensors.update(inside.tensors)
        self.infos.update(inside.infos)
        self.readers.update(name for n in inside.nodes for name in n.inputs)
        self.readers.update(renamed)
        self.depth += 1
        for inner in ordered(inside.nodes):
            self.names.scopes[id(inner)] = scope_of(inner)
            self._one(inner)
        self.depth -= 1
        self._at(node)
        return renamed

    # The walk

    def read(self) -> None:
        """Read every node."""
        for number, node in enumerate(self.nodes):
            at("reading operators", number, len(self.nodes))
            self._one(node)

    def _at(self, node: Node) -> None:
        self.node = node
        self.graph.step = len(self.steps)
        self.steps.append(node)
        if self.watched is not None:
            self.watched.standing[:] = [self.where]

    def _one(self, node: Node) -> None:
        self._at(node)
        given = self.inputs(node)
        missing = next((g for g in given if isinstance(g, Missing)), None)
        if missing is not None:
            lost(self, node, missing)
            return
        if folds(self, node, given):
            return
        lengths.given(self, node, given)
        function = RULES.get(node.called)
        before = len(self.graph.shapes)
        try:
            if function is None:
                raise NotUnderstood("no layer kind stands for it")
            function(self, node)
        except NotUnderstood as error:
            if self.watched is not None and isinstance(error.__cause__, ShapeError):
                raise error.__cause__.at(self.where, self._reads(given)) from None  # sizes are asked for: it is one
            self._back_to(before)
            opaque(self, node, str(error))
        except NotFoldedError:
            self._back_to(before)
            opaque(self, node, "it depends on values that are not constant")
        except LayerError as error:
            self._back_to(before)
            opaque(self, node, error.what)
        except RfcalcError as error:
            raise error.at(self.where, self._reads(given)) from None

    def _back_to(self, count: int) -> None:
        self.graph.back_to(count)
        for kept in (self.used, self.weights, self.shapes):
            for position in [p for p in kept if p >= count]:
                del kept[position]

    def _reads(self, given: Sequence[Entry | None]) -> str | None:
        told = [_dims(g.dims) for g in given[:4] if isinstance(g, (Value, Const))]
        return f"it reads {', '.join(told)}" if told else None


def _fits(told: tuple[int | str | None, ...], dims: tuple[int, ...]) -> bool:
    return len(told) == len(dims) and all(not isinstance(t, int) or t == n for t, n in zip(told, dims, strict=True))


def _dims(dims: Sequence[int | str | None]) -> str:
    return "x".join("?" if n is None else str(n) for n in dims) or "a single value"
