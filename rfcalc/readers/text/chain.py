"""Collects the nodes of a network while a text is read: each after what it reads, with its shape.

Imports nothing of the formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.configuration import bounded
from rfcalc.readers.imported import Imported, UnknownOperator, imported, input_shapes

MOST_LAYERS = 100_000
INPUT = "input"
SIDE = 224


class Chain:
    """The network that is being built; `at` is the node that what comes next reads.

    Args:
        given: the input shape that the user gave, or None.
        default: the one to take then.
        told: whether the text itself says so; else the default is noted as an assumption.
    """

    def __init__(self, given: Any, default: Sequence[int], told: bool = False) -> None:
        wanted = input_shapes(given, [INPUT]).get(INPUT)
        self.shapes: dict[str, Shape] = {INPUT: Shape.of(tuple(default)) if wanted is None else wanted}
        self.at = INPUT
        self.notes: dict[str, None] = {}
        self.nodes: list[tuple[str, Layer, tuple[str, ...]]] = []
        self.unknown: list[UnknownOperator] = []
        self.outputs: list[str] = []
        self._counts: dict[str, int] = {}
        if wanted is None and not told:
            self.notes[f"the input is {self.shapes[INPUT]}: none was given"] = None

    @property
    def shape(self) -> Shape:
        """The shape of what the next layer reads."""
        return self.shapes[self.at]

    def note(self, text: str) -> None:
        """Say what was assumed; once."""
        self.notes[text] = None

    @staticmethod
    def few(count: int) -> None:
        """Refuse at once what has too many parts."""
        if count > MOST_LAYERS:
            raise LimitError(f"{count:,} layers are too many for a text", why=f"the limit is {MOST_LAYERS:,}")

    def numbered(self, stem: str) -> str:
        """The next free name of this stem: conv1, conv2, …"""
        while True:
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}{self._counts[stem]}"
            if name not in self.shapes:
                return name

    def add(self, layer: Layer, name: str = "", inputs: Sequence[str] | None = None) -> str:
        """Put a layer after the current node, or after the given ones.

        Raises:
            RfcalcError: it cannot take what it reads, or its name is taken.
        """
        if len(self.nodes) >= MOST_LAYERS:
            raise LimitError("the text has too many layers", why=f"the limit is {MOST_LAYERS:,}")
        name = name or self.numbered(layer.stem)
        if name in self.shapes:
            raise RfcalcError(f"two layers are called {name!r}"[:200])
        reads = (self.at,) if inputs is None else tuple(inputs)
        try:
            shape = bounded(layer.output(*(self.shapes[r] for r in reads)))
        except RfcalcError as error:
            told = ", ".join(f"{r} {self.shapes[r]}" for r in reads[:6])
            raise error.at(f"{name} ({layer.notation()})", f"it reads {told}") from None
        self.nodes.append((name, layer, reads))
        self.shapes[name] = shape
        self.at = name
        return name

    def not_understood(self, operator: str, dims: Sequence[int], name: str, inputs: Sequence[str] | None = None) -> str:
        """Put a layer of which only the shape is known."""
        name = self.add(Unknown(tuple(dims), operator), name, inputs)
        self.unknown.append(UnknownOperator(operator, name))
        return name

    def finish(self, name: str = "") -> Imported:
        """The importer's result."""
        if not self.nodes:
            raise RfcalcError("there is no layer in the text")
        outputs = [o for o in self.outputs if o != self.at] + [self.at] if self.outputs else []
        network = Network.from_nodes(self.nodes, {INPUT: self.shapes[INPUT]}, outputs=outputs, name=name)
        return imported(network, notes=list(self.notes), unknown=self.unknown)
