"""What readers of text add to the common builder: names, and the node that what comes next reads.

Imports nothing of the formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import watching
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.heard import gives, lengths_of, source_of
from rfcalc.readers.builder.values import Value
from rfcalc.readers.configuration import bounded
from rfcalc.readers.imported import Imported, imported, input_shapes

MOST_LAYERS = 100_000
INPUT = "input"
SIDE = 224


class TextChain:
    """The network that is being built; `at` is the node that what comes next reads.

    Args:
        given: the input shape that the user gave, or None.
        default: the one to take then.
        told: whether the text itself says so; else the default is noted as an assumption.
    """

    def __init__(self, given: Any, default: Sequence[int], told: bool = False) -> None:
        wanted = input_shapes(given, [INPUT]).get(INPUT)
        self.graph = Builder()
        self.values: dict[str, Value] = {}
        self.at = INPUT
        self.notes: dict[str, None] = {}
        self.outputs: list[str] = []
        self._counts: dict[str, int] = {}
        self.given: dict[str, tuple[int, ...]] = {}  # by module, what its layers are given that hangs on sizes
        shape = Shape.of(tuple(default)) if wanted is None else wanted
        self.values[INPUT] = self.graph.input(INPUT, shape, (1, *shape.dims), 0)
        if wanted is None and not told:
            self.notes[f"the input is {shape}: none was given"] = None

    @property
    def shape(self) -> Shape:
        """The shape of what the next layer reads."""
        return self.shape_of(self.at)

    def shape_of(self, name: str) -> Shape:
        return self.graph.shape(self.values[name])

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
            if name not in self.values:
                return name

    def add(self, layer: Layer, name: str = "", inputs: Sequence[str] | None = None) -> str:
        """Put a layer after the current node, or after the given ones.

        Raises:
            RfcalcError: it cannot take what it reads, or its name is taken.
        """
        self._new(name)
        name = name or self.numbered(layer.stem)
        reads = (self.at,) if inputs is None else tuple(inputs)
        try:
            shape = bounded(layer.output(*(self.shape_of(r) for r in reads)))
        except RfcalcError as error:
            told = ", ".join(f"{r} {self.shape_of(r)}" for r in reads[:6])
            raise error.at(f"{name} ({layer.notation()})", f"it reads {told}") from None
        sources = [self.values[r].node for r in reads]
        self.values[name] = self.graph.add(layer, sources, (1, *shape.dims), 0, label=name)
        self.at = name
        return name

    def begin(self, name: str) -> None:
        """Say which module is read now."""
        self.graph.step += 1
        if (watched := watching()) is not None:
            watched.standing[:] = [name]

    def sized(self, make: Callable[[list[Any], Callable[[Iterable[Any]], Any]], list[Layer]], name: str) -> list[Layer]:
        """Layers of a module that hang on the lengths of the current map."""

        def plain(values: Iterable[Any]) -> tuple[int, ...]:
            found = tuple(gives(self.graph, values))
            self.given[name] = (*self.given.get(name, ()), *found)
            return found

        return make(lengths_of(self.graph, self.values[self.at])[1:], plain)

    def _new(self, name: str) -> None:
        if len(self.graph.nodes) >= MOST_LAYERS:
            raise LimitError("the text has too many layers", why=f"the limit is {MOST_LAYERS:,}")
        if name in self.values:
            raise RfcalcError(f"two layers are called {name!r}"[:200])

    def not_understood(self, operator: str, dims: Sequence[int], name: str, inputs: Sequence[str] | None = None) -> str:
        """Put a layer of which only the shape is known."""
        self._new(name)
        name = name or self.numbered(Unknown(tuple(dims), operator).stem)
        sources = [self.values[r].node for r in ((self.at,) if inputs is None else inputs)]
        self.values[name] = self.graph.not_understood(operator, "", sources, (1, *dims), 0, label=name)
        self.at = name
        return name

    def finish(self, name: str = "") -> Imported:
        """The importer's result."""
        graph = self.graph
        if not graph.nodes:
            raise RfcalcError("there is no layer in the text")
        outputs = [o for o in self.outputs if o != self.at] + [self.at] if self.outputs else []
        named = {0: INPUT, **{p: made.label for p, made in enumerate(graph.nodes, 1)}}
        nodes = [(made.label, made.layer, tuple(named[i] for i in made.inputs)) for made in graph.nodes]
        source = source_of(graph, named, range(1, len(graph.nodes) + 1), "text") if self.given else None
        network = Network.from_nodes(nodes, {INPUT: graph.shapes[0]}, outputs=outputs, name=name, source=source)
        return imported(network, notes=list(self.notes), unknown=graph.report(named), given=self.given)
