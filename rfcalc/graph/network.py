"""A network: a named, immutable DAG of layers, made from an expression of the algebra.

`Network(expr)` lays an expression out as nodes in topological order, names them, and checks names, references and
arity. Nothing is computed here: shapes, costs and receptive fields are the walks' business. Compiling is linear in
nodes and edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from rfcalc.core.errors import NetworkError, RfcalcError, UnknownName, suggestion
from rfcalc.core.expr import Block, Expr, Named, Parallel, Ref, Repeat, Series, Shared, Side, Stage
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph import uncollected


class Naming(NamedTuple):
    """A second name for every node, by rules: the first pattern that is the whole of a node's name gives its path.

    In a path, ``\\1`` or ``\\g<name>`` stand for a group of the pattern. A part ``#`` is a count from 0 of what comes
    under the same parent; ``#name`` gives all nodes with the same group one number, ``layer#name+1`` counts from 1 and
    puts a word before it. A node that no rule fits keeps its name. `rfcalc.graph.naming` follows the rules.

    Args:
        model: the model that is called so, in ``torchvision.models``; with its arguments where it needs them.
        rules: (pattern, path) pairs.
        eps: what its normalisation adds to the variance, where that is not PyTorch's default.
    """

    model: str
    rules: tuple[tuple[str, str], ...] = ()
    eps: float | None = None


class Node(NamedTuple):
    """One layer in its place.

    `inputs` are the names of the nodes (or network inputs) that it reads, `stage` the heading it stands under, `group`
    its weight group if it shares weights, `repeat` the repetition it came from (a number for each, and the copy).
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    stage: str = ""
    group: str = ""
    repeat: tuple[int, int] | None = None


class Network:
    """A network over named inputs.

    >>> from rfcalc import Conv, MaxPool, Network
    >>> toy = Network(Conv(1, 3, stride=2) >> MaxPool(2), "1x9x9")
    >>> toy
    Network(Conv(1, 3, stride=2) >> MaxPool(2), '1x9x9')
    >>> [node.name for node in toy.nodes]
    ['conv1', 'maxpool1']

    Args:
        expr: what the network computes; it starts from the input (with several inputs, from ``ref(name)``).
        inputs: a default input shape, or shapes by name; None where a shape is to be given later.
        outputs: names of its outputs; the last value if left out.
        name, title, citation: what it is called, a line about it, where it was published.
        torch: what its nodes are called in PyTorch's own model of it; no part of what it computes.
        source: what it was read from, where that can be measured; no part of what it computes. Its `frozen` says how
            many parameters of a node get no gradient.

    Raises:
        NetworkError: nothing in it, a name twice, a reference to nothing, a layer with too few or too many inputs.
    """

    __slots__ = (
        "_ends",
        "_last",
        "_walked",
        "citation",
        "expr",
        "inputs",
        "name",
        "nodes",
        "outputs",
        "positions",
        "source",
        "sources",
        "stages",
        "title",
        "torch",
    )

    expr: Expr
    inputs: dict[str, Shape | None]
    outputs: tuple[str, ...]
    name: str
    title: str
    citation: str
    torch: Naming | None
    source: Any
    nodes: tuple[Node, ...]
    sources: tuple[tuple[int, ...], ...]
    positions: dict[str, int]
    stages: tuple[str, ...]
    _ends: dict[str, int]
    _last: str
    _walked: tuple[Any, ...]  # what the forward walk gave last, and for which inputs

    @uncollected
    def __init__(
        self,
        expr: Expr,
        inputs: Any = None,
        *,
        outputs: Sequence[str] = (),
        name: str = "",
        title: str = "",
        citation: str = "",
        torch: Naming | None = None,
        source: Any = None,
    ) -> None:
        if not isinstance(expr, Expr):
            raise NetworkError(
                f"a network is made from layers, not from {type(expr).__name__} {expr!r}", fix="Network(Conv(64, 3))"
            )
        if isinstance(inputs, Mapping):
            shapes = {n: None if s is None else Shape.of(s) for n, s in inputs.items()}
        else:
            shapes = {"input": None if inputs is None else Shape.of(inputs)}
        if not shapes:
            raise NetworkError("the network has no inputs", fix="name at least one")
        made = _Compiler(tuple(shapes))
        last = made.place(expr, 0 if len(shapes) == 1 else None, _Place(), "")
        if not made.nodes:
            raise NetworkError("the network is empty", fix="put at least one layer into it")
        put = object.__setattr__
        put(self, "expr", expr)
        put(self, "inputs", shapes)
        put(self, "name", name)
        put(self, "title", title)
        put(self, "citation", citation)
        put(self, "torch", torch)
        put(self, "source", source)
        put(self, "nodes", tuple(made.nodes))
        put(self, "sources", tuple(made.sources))
        put(self, "positions", made.positions)
        put(self, "stages", tuple(made.stages))
        put(self, "_ends", made.ends)
        put(self, "_walked", ())
        put(self, "_last", "" if last is None else made.name(last))
        if outputs:
            put(self, "outputs", tuple(outputs))
            for output in outputs:
                self.position(output)
        elif last is None:
            raise NetworkError("the network has no output", fix="end it with a value, or name its outputs")
        else:
            put(self, "outputs", (self._last,))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a network does not change: {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        about = (self.name, self.title, self.citation, self.torch)
        return (_again, (self.expr, dict(self.inputs), self.outputs, *about))

    @classmethod
    def from_nodes(
        cls,
        nodes: Iterable[tuple[str, Layer, Sequence[str]]],
        inputs: Any = None,
        groups: Mapping[str, str] | None = None,
        **about: Any,
    ) -> Network:
        """A network from (name, layer, input names), in any order.

        Args:
            groups: the weight groups of nodes that share weights, by name.

        Raises:
            NetworkError: a cycle, an unknown input, a name twice.
        """
        from rfcalc.graph.ordering import ordered

        listed = list(nodes)
        known = set(inputs) if isinstance(inputs, Mapping) else {"input"}
        items: list[Expr] = []
        before = None if len(known) > 1 else next(iter(known))
        shared = groups or {}
        for name, layer, reads in ordered(listed, known):
            node: Expr = layer
            if len(reads) != 1 and layer.arity[1] != 0:
                node = Parallel(tuple(Ref(r) for r in reads), layer)
            elif reads and reads[0] != before:
                items.append(Ref(reads[0]))
            items.append(Shared(Named(node, name), shared[name]) if name in shared else Named(node, name))
            before = name
        return cls(Series(tuple(items)), inputs, **about)

    def position(self, name: str) -> int:
        """Where a node (or input) stands; the name of a stage or block means its last node.

        Raises:
            UnknownName: with the nearest names.
        """
        found = self.positions.get(name)
        if found is None:
            found = self._ends.get(name)
        if found is None:
            inside = self.inside(name) if isinstance(name, str) else ()
            if not inside:
                raise UnknownName("node", str(name), [*self.positions, *self._ends, *self.blocks])
            found = inside[-1]
        return found

    @property
    def blocks(self) -> tuple[str, ...]:
        """What nodes' names begin with, dot by dot: ``layer1`` and ``layer1.0`` of ``layer1.0.conv1``."""
        found: dict[str, None] = {}
        for node in self.nodes:
            at = node.name.find(".")
            while at > 0:
                found[node.name[:at]] = None
                at = node.name.find(".", at + 1)
        return tuple(found)

    def inside(self, name: str) -> tuple[int, ...]:
        """The positions of all nodes of a stage or block: ``layer1`` holds ``layer1.0.conv1``.

        Empty where the name is a node's or an input's, or nothing is called so.

        >>> from rfcalc import zoo
        >>> network = zoo.build("resnet18")
        >>> len(network.inside("layer1")), len(network.inside("conv2_x")), network.inside("conv1")
        (14, 14, ())
        """
        if name in self.positions:
            return ()
        within = f"{name}."
        return tuple(
            position
            for position, node in enumerate(self.nodes, self.arity)
            if node.stage == name or node.name.startswith(within) or node.stage.startswith(within)
        )

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            UnknownName: there is none, or it is an input.
        """
        position = self.position(name) - len(self.inputs)
        if position < 0:
            raise UnknownName("node", name, [n.name for n in self.nodes])
        return self.nodes[position]

    @property
    def arity(self) -> int:
        """Number of inputs; positions below it are inputs, the others nodes."""
        return len(self.inputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and (self.expr, self.inputs, self.outputs, self.name) == (
            other.expr,
            other.inputs,
            other.outputs,
            other.name,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.outputs, len(self.nodes)))

    def _repr_html_(self) -> str | None:
        """Its picture, for notebooks, on paper of its own; its table where its input is open."""
        known = all(shape is not None for shape in self.inputs.values())
        home, name = ("drawing", "draw") if known else ("target", "analyze")
        try:
            made = getattr(import_module(f"rfcalc.readers.{home}"), name)(self)
            return str(import_module("rfcalc.render").fragment(made.document()))
        except RfcalcError:
            return None

    def _repr_svg_(self) -> str | None:
        """Its picture, for notebooks; None where no input is known, or where there is too much to draw."""
        if any(shape is None for shape in self.inputs.values()):
            return None
        try:
            return str(import_module("rfcalc.readers.drawing").draw(self).svg())
        except RfcalcError:
            return None

    def __repr__(self) -> str:
        told = [repr(self.expr)]
        if list(self.inputs) != ["input"]:
            told.append("{" + ", ".join(f"{n!r}: {s and _shape(s)}" for n, s in self.inputs.items()) + "}")
        elif (shape := self.inputs["input"]) is not None:
            told.append(_shape(shape))
        if self.outputs != (self._last,):
            told.append(f"outputs={self.outputs!r}")
        told += [f"{n}={v!r}" for n in ("name", "title", "citation") if (v := getattr(self, n))]
        return f"Network({', '.join(told)})"


def _shape(shape: Shape) -> str:
    return repr(str(shape)) if shape.channel == 0 else repr(shape)


def _again(
    expr: Expr, inputs: Any, outputs: Any, name: str, title: str, citation: str, torch: Naming | None
) -> Network:
    return Network(expr, inputs, outputs=outputs, name=name, title=title, citation=citation, torch=torch)


class _Place(NamedTuple):
    """Where in the expression the compiler is."""

    scope: str = ""  # "layer1.0."
    copy: str = ""  # "_2": appended to names inside a repetition
    stage: str = ""
    group: str = ""
    numbered: bool = False  # directly inside a block: a repetition here numbers scopes, not names
    repeat: tuple[int, int] | None = None


class _Compiler:
    """Lays an expression out as nodes. `place` puts one expression after position `at` and returns its result's.

    `name` is the full name for the last node of what is placed, or empty.
    """

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.inputs = inputs
        self.positions: dict[str, int] = {name: i for i, name in enumerate(inputs)}
        self.nodes: list[Node] = []
        self.sources: list[tuple[int, ...]] = []
        self.ends: dict[str, int] = {}
        self.stages: dict[str, None] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.shared: dict[str, int] = {}
        self.repeats = 0
        self.ways: dict[type, Callable[[Any, int | None, _Place, str], int | None]] = {
            Series: self._series,
            Parallel: self._parallel,
            Repeat: self._repeat,
            Named: self._named,
            Block: self._block,
            Stage: self._stage,
            Shared: self._shared,
            Side: self._side,
            Ref: self._ref,
        }

    def place(self, expr: Expr, at: int | None, where: _Place, name: str) -> int | None:
        way = self.ways.get(type(expr))
        if way is not None:
            return way(expr, at, where, name)
        if not isinstance(expr, Layer):
            raise NetworkError(f"{expr!r} cannot stand in a network")
        if expr.arity[1] == 0:
            return self._add(expr, (), where, name)
        if at is None:
            raise NetworkError(
                f"{expr!r} has no input",
                why=f"the network has the inputs {', '.join(self.inputs)}",
                fix=f"begin with ref({self.inputs[0]!r})",
            )
        return self._add(expr, (at,), where, name)

    def name(self, position: int) -> str:
        count = len(self.inputs)
        return self.inputs[position] if position < count else self.nodes[position - count].name

    def _add(self, layer: Layer, sources: tuple[int, ...], where: _Place, name: str) -> int:
        least, most = layer.arity
        if len(sources) < least or (most is not None and len(sources) > most):
            wanted = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            raise NetworkError(
                f"{layer!r} takes {wanted} inputs and gets {len(sources)}",
                fix="join branches with parallel([...], layer)" if least > 1 else "join the branches first",
            )
        full = name or self._number(layer.stem, where)
        if full in self.positions:
            raise NetworkError(
                f"the name {full!r} stands for two nodes",
                why=f"{self._described(self.positions[full])} and {layer!r}",
                fix="give one of them another name",
                label=full,
            )
        group = where.group
        if group:
            count = self.shared[group] = self.shared.get(group, -1) + 1
            group = f"{group}.{count}"
        position = len(self.inputs) + len(self.nodes)
        self.positions[full] = position
        reads = tuple([self.name(s) for s in sources])
        self.nodes.append(Node(full, layer, reads, where.stage, group, where.repeat))
        self.sources.append(sources)
        return position

    def _described(self, position: int) -> str:
        count = len(self.inputs)
        return "an input" if position < count else repr(self.nodes[position - count].layer)

    def _number(self, stem: str, where: _Place) -> str:
        while True:
            count = self.counts[where.scope, stem] = self.counts.get((where.scope, stem), 0) + 1
            name = f"{where.scope}{stem}{count}"
            if name not in self.positions:
                return name

    def _series(self, expr: Series, at: int | None, where: _Place, name: str) -> int | None:
        inside = where._replace(numbered=False)
        last = len(expr.items) - 1
        for i, item in enumerate(expr.items):
            at = self.place(item, at, inside, name if i == last else "")
        return at

    def _parallel(self, expr: Parallel, at: int | None, where: _Place, name: str) -> int | None:
        inside = where._replace(numbered=False)
        ends = []
        for branch in expr.branches:
            end = self.place(branch, at, inside, "")
            if end is None:
                raise NetworkError(f"the branch {branch!r} has no value", fix="begin it with ref(name)")
            ends.append(end)
        return self._add(expr.merge, tuple(ends), inside, name)

    def _repeat(self, expr: Repeat, at: int | None, where: _Place, name: str) -> int | None:
        self.repeats += 1
        number = self.repeats
        last = expr.times - 1
        for i, copy in enumerate(expr.copies()):
            if where.numbered:
                inside = where._replace(scope=f"{where.scope}{i}.", copy="", numbered=False, repeat=(number, i))
            else:
                inside = where._replace(copy=f"{where.copy}_{i + 1}", numbered=False, repeat=(number, i))
            at = self.place(copy, at, inside, name if i == last else "")
        return at

    def _named(self, expr: Named, at: int | None, where: _Place, name: str) -> int | None:
        full = f"{where.scope}{expr.label}{where.copy}"
        end = self.place(expr.body, at, where, full)
        if end is not None and full not in self.positions:  # a reference, or a node that has a name of its own inside
            self.positions[full] = end
        return end

    def _block(self, expr: Block, at: int | None, where: _Place, name: str) -> int | None:
        label = f"{where.scope}{expr.label}{where.copy}"
        if label in self.ends:
            raise NetworkError(f"the block {label!r} stands twice", fix="give one of them another name", label=label)
        end = self.place(expr.body, at, where._replace(scope=f"{label}.", copy="", numbered=True), name)
        if end is not None:
            self.ends[label] = end
        return end

    def _stage(self, expr: Stage, at: int | None, where: _Place, name: str) -> int | None:
        label = f"{expr.label}{where.copy}"
        self.stages[label] = None
        end = self.place(expr.body, at, where._replace(stage=label), name)
        if end is not None:
            self.ends.setdefault(label, end)
        return end

    def _shared(self, expr: Shared, at: int | None, where: _Place, name: str) -> int | None:
        self.shared[expr.label] = -1
        return self.place(expr.body, at, where._replace(group=expr.label), name)

    def _side(self, expr: Side, at: int | None, where: _Place, name: str) -> int | None:
        self.place(expr.body, at, where._replace(numbered=False), "")
        return at

    def _ref(self, expr: Ref, at: int | None, where: _Place, name: str) -> int | None:
        scope = where.scope
        while True:
            for candidate in (f"{scope}{expr.target}{where.copy}", f"{scope}{expr.target}"):
                found = self.positions.get(candidate)
                if found is None:
                    found = self.ends.get(candidate)
                if found is not None:
                    return found
            if not scope:
                break
            scope = scope[: scope.rstrip(".").rfind(".") + 1]
        raise NetworkError(
            f"ref({expr.target!r}) names nothing that stands before it",
            fix=suggestion(expr.target, [*self.positions, *self.ends]) or None,
            label=expr.target,
        )
