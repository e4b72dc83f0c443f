"""What an importer hands back: a network, and an account of how faithful it is. Imports no framework.

The contract of the seam between importers and everything else. An importer

1. translates every operator, or puts an `Unknown` of the source's output shape in its place and lists it: nothing
   becomes the identity in silence;
2. tells the shape that the source has at every node (without the batch, laid out as the node is), so that `imported`
   can compare it with the algebra's: a difference is an error that shows both;
3. tells how many parameters the source holds and which of them no node uses; what is left over is told in a note;
4. notes in sentences what it assumed and what it recognised (folded normalisation, shared biases, evaluation mode).

A loader of files is a function ``load(path, inputs)``, where inputs are what the user gave with ``--input`` (a
shape, or shapes by name, or None); `target.IMPORTERS` names the module that has it by the file's ending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rfcalc.core.errors import ShapeError, UnknownName, plural
from rfcalc.core.shape import Shape, by_name
from rfcalc.graph.forward import forward, shapes_of_inputs
from rfcalc.graph.network import Network

REPORT_TO = "rfcalc's issue tracker"


@dataclass(frozen=True, slots=True)
class UnknownOperator:
    """An operator that was not understood: its name in the source, the node that stands for it, and why."""

    operator: str
    node: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.node}: the operator {self.operator} was not understood" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was read from a framework.

    Args:
        network: what was read; its inputs have the shapes that it was read with.
        notes: what was assumed or recognised, in sentences.
        unknown: the operators that were not understood; figures that depend on them are lower bounds.
        shapes: the source's shape of every node, by node name, without the batch.
        params: how many parameters the source holds; None if it cannot tell.
        unused: parameters of the source that no node uses, by name.
        origins: what each node was made of in the source, by node name, where the reader tells it.
        constants: the tensors behind nodes that no input reaches, by node name, where the reader has them.
        dtype: what the source computes in.
        given: by node name, what its operator is given that is computed from the sizes of maps.
    """

    network: Network
    notes: tuple[str, ...] = ()
    unknown: tuple[UnknownOperator, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    params: int | None = None
    unused: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    constants: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    dtype: str = "float32"
    given: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, compare=False, repr=False)

    def __repr__(self) -> str:
        unknown = f", {plural(len(self.unknown), 'operator')} not understood" if self.unknown else ""
        return f"Imported({self.network.name or 'network'}: {plural(len(self.network.nodes), 'node')}{unknown})"

    @property
    def complete(self) -> bool:
        """Whether every operator was understood."""
        return not self.unknown

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Notes, and what was not understood, for the report."""
        return (*self.notes, *summary(self.unknown))


def imported(
    network: Network,
    *,
    notes: Sequence[str] = (),
    unknown: Sequence[UnknownOperator] = (),
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    params: int | None = None,
    unused: Mapping[str, int] | None = None,
    dtype: str = "float32",
    given: Mapping[str, tuple[Any, ...]] | None = None,
) -> Imported:
    """An importer's result, after both checks: shapes must agree, parameters must add up or be told.

    Raises:
        ShapeError: the source and the algebra disagree about a shape; both are shown.
    """
    shapes, unused = dict(shapes or {}), dict(unused or {})
    walked = forward(network, shapes_of_inputs(network))
    for position, node in enumerate(network.nodes, network.arity):
        source = shapes.get(node.name)
        if source is not None and tuple(source) != walked.shapes[position].dims:  # else nothing is written out
            same_shape(node.name, source, walked.shapes[position], node.layer.notation(exact=True))
    found = sum(cost.params for cost in walked.costs)
    told = [*notes, *compared(params, int(found), unused, bool(unknown))]
    return Imported(network, tuple(told), tuple(unknown), shapes, params, unused, dtype=dtype, given=given or {})


def same_shape(node: str, source: tuple[int, ...], here: Shape, layer: str = "") -> None:
    """Refuse a node whose shape differs from the source's.

    Raises:
        ShapeError: with both shapes.

    >>> same_shape("conv1", (64, 112, 112), Shape(64, 112, 112))
    >>> same_shape("conv1", (64, 112, 112), Shape(64, 111, 111), "conv7-64/2")
    Traceback (most recent call last):
    rfcalc.core.errors.ShapeError: conv1 (conv7-64/2): the source makes 64x112x112 here, rfcalc 64x111x111
      why: the operator was translated wrongly, so no number from here on could be trusted
      fix: report it with the model to rfcalc's issue tracker
    """
    if tuple(source) != here.dims:
        raise ShapeError(
            f"the source makes {'x'.join(map(str, source))} here, rfcalc {here}",
            where=f"{node} ({layer})" if layer else node,
            why="the operator was translated wrongly, so no number from here on could be trusted",
            fix=f"report it with the model to {REPORT_TO}",
        )


def compared(params: int | None, found: int, unused: Mapping[str, int], incomplete: bool = False) -> list[str]:
    """Notes on the parameters of the source and those counted here; nothing to say where they agree.

    >>> compared(110, 100, {"aux.weight": 8, "aux.bias": 2})
    ['10 of 110 parameters are not used and not counted: aux.weight, aux.bias']
    """
    notes = []
    left = sum(unused.values())
    if left:
        names = list(unused)
        more = f" and {len(names) - 3} more" if len(names) > 4 else ""
        shown = names if len(names) <= 4 else names[:3]
        total = "" if params is None else f" of {params:,}"
        notes.append(f"{left:,}{total} parameters are not used and not counted: {', '.join(shown)}{more}")
    if params is not None and found + left != params:
        why = "operators that were not understood hold the rest" if incomplete and found + left < params else ""
        notes.append(
            f"the source holds {params:,} parameters, {found:,} are counted here"
            + (f" and {left:,} are unused" if left else "")
            + (
                f": {why}"
                if why
                else f": the difference of {params - found - left:,} is unexplained, report it to {REPORT_TO}"
            )
        )
    return notes


def summary(unknown: Iterable[UnknownOperator], most: int = 4) -> list[str]:
    """Sentences on what was not understood: each operator once, with its first nodes and where to report it."""
    by_operator: dict[str, list[UnknownOperator]] = {}
    for entry in unknown:
        by_operator.setdefault(entry.operator, []).append(entry)
    told = []
    for operator, entries in by_operator.items():
        nodes = ", ".join(e.node for e in entries[:most])
        more = f" and {len(entries) - most} more" if len(entries) > most else ""
        why = f" ({entries[0].why})" if entries[0].why else ""
        told.append(f"{operator}{why} is not understood, at {nodes}{more}: please report it to {REPORT_TO}")
    return told


def input_shapes(given: Any, names: Sequence[str]) -> dict[str, Shape]:
    """What the user gave with ``--input`` (or in a call), by input name; a single shape is the first input's.

    Raises:
        UnknownName: a name that is no input.
        RfcalcError: one shape without a name for several inputs.

    >>> input_shapes("3x8x8", ["x"]), input_shapes({"b": (4,)}, ["a", "b"])
    ({'x': Shape(3, 8, 8)}, {'b': Shape(4)})
    """
    given = by_name(given, names)
    for name in given:
        if name not in names:
            only = (
                f"the only input is {names[0]}: --input {names[0]}={Shape.of(given[name])}" if len(names) == 1 else None
            )
            raise UnknownName("input", name, [] if only else list(names), fix=only)
    return {name: Shape.of(shape) for name, shape in given.items()}
