"""What the walks return, for people and programs: rows, totals, conventions, assumptions.

Every output format, check, comparison and picture reads the report and nothing else. Rows and receptive fields are made
when they are asked for.
"""

# mypy: no-warn-return-any
# Within the core a size may be a symbol, so that its type is Any; a report's figures are told to be whole numbers.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfcalc.core.cost import Cost, Counted, total
from rfcalc.core.errors import UnknownName, plural
from rfcalc.core.layer import VIEW
from rfcalc.core.shape import Shape
from rfcalc.core.size import Figure, Size, algebra_in_use, decide
from rfcalc.graph.forward import Walked, batch_of, forward, owners, shapes_of_inputs
from rfcalc.graph.memory import new_values, overwriting, peak, storages
from rfcalc.graph.network import Network, Node
from rfcalc.receptive import fields
from rfcalc.receptive.field import Field
from rfcalc.receptive.receptive_field import ReceptiveField, plain, unproductive

if TYPE_CHECKING:
    from rfcalc.graph.autograd import Kept
    from rfcalc.graph.gradients import Gradient
    from rfcalc.receptive.backward import CountedBack
    from rfcalc.report.document import Document


class Row(Counted):
    """One node of the report: every figure of it, for the report's batch and dtype.

    Attributes are those of the JSON layer: `name`, `kind`, `notation`, `stage`, `inputs`, `output_shape`, `values`,
    `bytes`, `weights`, `biases`, `buffers`, `params`, `macs`, `ops`, `shared_with`, `in_place`, `receptive_field` (of
    the first input), `receptive_fields` (by input).
    """

    __slots__ = ("position", "report")
    report: Report

    def __init__(self, report: Report, position: int) -> None:
        self.report = report
        self.position = position

    @property
    def node(self) -> Node:
        return self.report.network.nodes[self.position - self.report.network.arity]

    @property
    def cost(self) -> Cost:
        """Parameters, and operations for one item of the batch."""
        return self.report.costs[self.position]

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def kind(self) -> str:
        return self.node.layer.kind

    @property
    def notation(self) -> str:
        return self.node.layer.notation()

    @property
    def stage(self) -> str:
        return self.node.stage

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.node.inputs

    @property
    def shape(self) -> Shape:
        return self.report.shapes[self.position]

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shapes that it reads."""
        return self.report.input_shapes(self.position)

    @property
    def output_shape(self) -> tuple[Figure, ...]:
        scale = self.report.scales.get(self.name)
        return self.shape.dims if scale is None or scale.shape is None else scale.shape

    @property
    def items(self) -> Figure:
        """How often its map is there: once an item of the batch, or once whatever the batch."""
        return self.report.items[self.position] if self.report.items else self.report.batch

    @property
    def values(self) -> Figure:
        return self.shape.values * self.items

    @property
    def bytes(self) -> Figure:
        return self.values * self.report.itemsize

    @property
    def new_values(self) -> Figure:
        """What this node adds to the total of values: 0 for views and in-place results."""
        return self.report.new_values[self.position] * self.items

    @property
    def saved_bytes(self) -> Figure:
        """What this position adds to what autograd keeps."""
        return self.report.kept[self.position].total(self.report.itemsize, self.items)

    @property
    def frozen(self) -> Figure:
        """Parameters that get no gradient."""
        return self.report.frozen.get(self.name, 0)

    @property
    def input_gradient_macs(self) -> Figure:
        """Multiply-adds of backward for the gradients of its inputs."""
        return self._scaled(self.report.gradients[self.position].inputs, "macs")

    @property
    def weight_gradient_macs(self) -> Figure:
        """Multiply-adds of backward for the gradient of its weights."""
        return self._scaled(self.report.gradients[self.position].weights, "macs")

    def op(self, name: str) -> Figure:
        """Operations of one sort, by their name in `ops`."""
        return self._scaled(getattr(self.cost, name), name)

    def _scaled(self, count: Figure, name: str) -> Figure:
        """Operations of one sort for the batch, from those for one item."""
        if not count:
            return count
        scale = self.report.scales.get(self.name)
        return count * (self.report.batch if scale is None else scale.macs if name == "macs" else scale.values)

    @property
    def shared_with(self) -> str | None:
        """The node that holds this node's weights, if it is another one."""
        return self.report.owners.get(self.position)

    @property
    def in_place(self) -> bool:
        """Whether it is written over its input."""
        return self.position in self.report.overwriting

    @property
    def view(self) -> bool:
        return self.node.layer.memory == VIEW

    @property
    def receptive_field(self) -> ReceptiveField:
        """What its units see of the first input."""
        return self.report.receptive_field(self.position)

    @property
    def receptive_fields(self) -> dict[str, ReceptiveField]:
        """What its units see of every input, by the input's name."""
        return self.report.receptive_fields(self.position)

    def to_dict(self) -> dict[str, Any]:
        """The layer as JSON has it; `receptive_fields` is there where the network has several inputs."""
        return dict(import_module("rfcalc.report.data").of_row(self))

    def __repr__(self) -> str:
        return f"Row({self.name}, {self.notation}, {self.shape})"


class Totals(Counted):
    """Sums over the network: `weights, biases, buffers, params, macs, flops, ops, values, bytes, peak_bytes,
    saved_bytes, weight_layers`. With an operator that was not understood they are lower bounds."""

    def __init__(self, report: Report) -> None:
        self.report = report

    @cached_property
    def cost(self) -> Cost:
        return total(self.report.costs)

    @property
    def frozen(self) -> Figure:
        """Parameters that get no gradient."""
        return sum(self.report.frozen.values())

    @cached_property
    def input_gradient_macs(self) -> Figure:
        """Multiply-adds of backward for the gradients of maps."""
        return sum(row.input_gradient_macs for row in self.report)

    @cached_property
    def weight_gradient_macs(self) -> Figure:
        """Multiply-adds of backward for the gradients of weights."""
        return sum(row.weight_gradient_macs for row in self.report)

    def op(self, name: str) -> Figure:
        """Operations of one sort, by their name in `ops`."""
        if self.report.scales:
            return sum(row.op(name) for row in self.report)
        count: Figure = getattr(self.cost, name)
        return count and count * self.report.batch

    @cached_property
    def values(self) -> Figure:
        if self.report.items:
            return sum(n and n * k for n, k in zip(self.report.new_values, self.report.items, strict=True))
        return sum(self.report.new_values) * self.report.batch

    @property
    def bytes(self) -> Figure:
        return self.values * self.report.itemsize

    @property
    def peak_bytes(self) -> Figure:
        if self.report.items:
            return peak(self.report, self.report.itemsize, self.report.items)[0]
        return self.report.peak[0] * self.report.batch

    @cached_property
    def saved_bytes(self) -> Figure:
        itemsize, batch = self.report.itemsize, self.report.batch
        items = self.report.items or [batch] * len(self.report.kept)
        return sum(k.total(itemsize, n) for k, n in zip(self.report.kept, items, strict=True))

    @cached_property
    def weight_layers(self) -> int:
        owners = self.report.owners
        arity = self.report.network.arity
        return sum(n.layer.weight_layers for p, n in enumerate(self.report.network.nodes, arity) if p not in owners)

    def to_dict(self) -> dict[str, Any]:
        """The totals as JSON has them."""
        return dict(import_module("rfcalc.report.data").of_totals(self))

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={getattr(self, name)}" for name in ("params", "macs", "values", "weight_layers"))
        return f"Totals({told})"


class Report:
    """The result of analysing one network for given inputs, batch and dtype.

    Rows iterate in order, and are found by place (``-1``: the last) or by node name (a stage means its last node).
    `shapes` and `costs` (parameters and operations, for one item of the batch) are by position, the inputs first.

    >>> import rfcalc
    >>> report = rfcalc.analyze("conv3-64 > maxpool2", input="3x32x32")
    >>> [row.name for row in report], report["maxpool1"].output_shape, report[-1].name
    (['conv1', 'maxpool1'], (64, 16, 16), 'maxpool1')
    >>> report.totals.params, report.shapes
    (1792, (Shape(3, 32, 32), Shape(64, 32, 32), Shape(64, 16, 16)))

    Args:
        network: what to analyse.
        inputs: shapes of its inputs (one shape, or by name); the network's defaults if left out.
        batch: items in a batch; multiplies values, bytes and operations, not parameters.
        dtype: of values and weights.
        target: how the user named the network.
        assumptions: what had to be assumed to read it.

    Raises:
        RfcalcError: an unknown dtype or a batch below 1; `ShapeError` where sizes do not fit.
    """

    def __init__(
        self,
        network: Network,
        inputs: Any = None,
        *,
        batch: Size = 1,
        dtype: str = "float32",
        target: str = "",
        assumptions: Sequence[str] = (),
    ) -> None:
        self.network = network
        self.batch = batch_of(batch)
        usual = dtype == "float32"
        self.dtype: str
        self.itemsize: int
        self.dtype, self.itemsize = ("float32", 4) if usual else import_module("rfcalc.core.dtypes").dtype_named(dtype)
        self.target = target or network.name or "network"
        self.algebra = algebra_in_use()  # what is worked out later is walked with the same
        self._assumed = tuple(assumptions)
        self._walked: Walked = forward(network, shapes_of_inputs(network, inputs))
        if self.dtype.startswith("complex"):
            self._walked = self._walked.in_complex_numbers()
        self._receptive: dict[int, dict[str, ReceptiveField]] = {}
        self.shapes: tuple[Shape, ...] = self._walked.shapes
        self.costs: tuple[Cost, ...] = self._walked.costs

    def along(self, via: str | None = None, without: str | None = None) -> Report:
        """The report of the same network with the paths through `via` only, and none through `without`.

        Raises:
            UnknownName: there is no such node.
            NetworkError: no path is left.
        """
        from rfcalc.receptive.paths import along

        ways = (("through", via), ("around", without))
        told = [f"only the paths {how} {node} are followed" for how, node in ways if node]
        about = {"batch": self.batch, "dtype": self.dtype, "target": self.target}
        return Report(along(self._walked, via, without), **about, assumptions=(*told, *self._assumed))

    def input_shapes(self, position: int) -> tuple[Shape, ...]:
        """The shapes that the node at a position reads."""
        return self._walked.input_shapes(position)

    def at(self, position: int) -> tuple[Node, tuple[int, ...], tuple[Shape, ...], Shape]:
        """The node at a position, the positions that it reads, their shapes, and its own."""
        return self._walked.at(position)

    @property
    def inputs(self) -> dict[str, Shape]:
        """The input shapes by name."""
        return dict(zip(self.network.inputs, self.shapes, strict=False))

    @cached_property
    def overwriting(self) -> frozenset[int]:
        return overwriting(self._walked)

    @cached_property
    def new_values(self) -> tuple[Size, ...]:
        return new_values(self._walked)

    @cached_property
    def storages(self) -> tuple[int, ...]:
        return storages(self._walked)

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        from rfcalc.graph.autograd import kept

        return kept(self._walked)

    @cached_property
    def gradients(self) -> tuple[Gradient, ...]:
        """Multiply-adds of backward, by position, for one item of the batch."""
        from rfcalc.graph.gradients import gradients

        nodes = enumerate(self.network.nodes, self.network.arity)
        return gradients(self._walked, {p: self.frozen[n.name] for p, n in nodes if n.name in self.frozen})

    @cached_property
    def peak(self) -> tuple[Size, int]:
        """The bytes of what lives at the peak, for one item of the batch, and the position that runs then."""
        return peak(self._walked, self.itemsize)

    @cached_property
    def fields(self) -> tuple[tuple[Field | None, ...], ...]:
        """For each input, what every position sees of it."""
        return tuple(fields(self._walked, i) for i in range(self.network.arity))

    @cached_property
    def owners(self) -> dict[int, str]:
        """Positions that use the weights of an earlier node, and that node's name."""
        return owners(self._walked)

    @cached_property
    def totals(self) -> Totals:
        return Totals(self)

    @cached_property
    def scales(self) -> Mapping[str, Any]:
        """Nodes whose figures for the batch are not those of one item times the batch, as their source says."""
        source = self.network.source
        return {} if source is None or decide(self.batch == 1) is True else source.scales(self.batch)

    @cached_property
    def items(self) -> tuple[Size, ...]:
        """How often each position's map is there; empty where all are there once an item."""
        if not self.scales:
            return ()
        nodes = [self.scales[n.name].values if n.name in self.scales else self.batch for n in self.network.nodes]
        return (*[self.batch] * self.network.arity, *nodes)

    @cached_property
    def frozen(self) -> Mapping[str, int]:
        """Parameters that get no gradient, by node; none where the network's source does not say."""
        return getattr(self.network.source, "frozen", {})

    @property
    def complete(self) -> bool:
        """Whether every operator was understood; otherwise totals are lower bounds."""
        return not any(node.layer.opaque for node in self.network.nodes)

    @property
    def conventions(self) -> dict[str, Any]:
        return {"batch": plain(self.batch), "dtype": self.dtype, **import_module("rfcalc.report.data").CONVENTIONS}

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What was taken for granted, in sentences."""
        said = dict.fromkeys(self._assumed)
        for node in self.network.nodes:
            said |= dict.fromkeys(filter(None, (node.layer.assumes, node.layer.assumes_evaluation)))
        return tuple(said)

    @property
    def assumptions_of_memory(self) -> tuple[str, ...]:
        """What was taken for granted, with what concerns memory alone."""
        told = (node.layer.assumes_of_memory for node in self.network.nodes)
        return tuple(dict.fromkeys((*self.assumptions, *filter(None, told))))

    def receptive_field(self, position: int) -> ReceptiveField:
        """What the units of a position see of the first input."""
        return next(iter(self.receptive_fields(position).values()))

    def receptive_fields(self, position: int) -> dict[str, ReceptiveField]:
        """What the units of a position see of every input, by the input's name."""
        known = self._receptive.get(position)
        if known is None:
            known = self._receptive[position] = {
                name: ReceptiveField(self.fields[i][position], self.shapes[i], self.shapes[position])
                for i, name in enumerate(self.network.inputs)
            }
        return known

    @cached_property
    def unproductive(self) -> frozenset[int]:
        """Positions of weight layers that read a map whose units see more than the whole image already, on every axis:
        they only combine what has been seen (Richter et al. 2021). Needs one input, with sizes in numbers."""
        return unproductive(self._walked, self.fields)

    @cached_property
    def last_spatial(self) -> int:
        """The last position that still has local windows on all axes: from here F is counted back."""
        return self._back.last

    @cached_property
    def _back(self) -> CountedBack:
        from rfcalc.receptive.backward import CountedBack

        return CountedBack(self, self.fields[0])

    def seen(self, position: int) -> tuple[Size | None, ...]:
        """F of a position's map, one entry an axis: how much of it one unit of the last spatial layer depends on."""
        return self._back.seen(position)

    def __iter__(self) -> Iterator[Row]:
        return (Row(self, p) for p in range(self.network.arity, len(self.shapes)))

    def __len__(self) -> int:
        return len(self.network.nodes)

    def __getitem__(self, name: str | int) -> Row:
        if isinstance(name, int):
            return Row(self, range(self.network.arity, len(self.shapes))[name])
        if (position := self.network.position(name)) < self.network.arity:
            raise UnknownName("node", name, [n.name for n in self.network.nodes])
        return Row(self, position)

    def inside(self, name: str) -> list[Row]:
        """The rows of all nodes of a stage or block; empty where the name is a node's, or nothing is called so."""
        return [Row(self, position) for position in self.network.inside(name)]

    @property
    def rows(self) -> list[Row]:
        return list(self)

    @property
    def outputs(self) -> tuple[Row, ...]:
        """The rows of the network's outputs."""
        return tuple(self[name] for name in self.network.outputs)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as plain dicts."""
        return [row.to_dict() for row in self]

    def _repr_html_(self) -> str:
        return str(import_module("rfcalc.render").fragment(self.document()))

    def document(self) -> Document:
        """The table of the report as a document, which every format renders."""
        made: Document = import_module("rfcalc.report.table").document(self)
        return made

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """The figures of every input and node as a pandas DataFrame; pandas is loaded now."""
        return import_module("rfcalc.report.records").to_pandas(self, columns)

    def to_polars(self, columns: Sequence[str] | None = None) -> Any:
        """The figures of every input and node as a polars DataFrame; polars is loaded now."""
        return import_module("rfcalc.report.records").to_polars(self, columns)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON has it (schema rfcalc/report/1)."""
        return dict(import_module("rfcalc.report.data").of_report(self))

    def __str__(self) -> str:
        return str(import_module("rfcalc.render").render(self.document()))

    def __repr__(self) -> str:
        return f"<report on {self.target}: {plural(len(self), 'node')}, {self.totals.params:,} params>"
