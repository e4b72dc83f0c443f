"""Which maps code asked for lengths: the node that a tensor stood for when it was asked, and where its axes lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfcalc.core.lengths import Watched, watching
from rfcalc.readers.builder.heard import named_places
from rfcalc.readers.builder.values import Value
from rfcalc.readers.torch.recorder import memory_of
from rfcalc.readers.torch.tensors import Static, TensorBuilder


class Heard:
    """The maps that code asked, found while the steps of its run become nodes."""

    def __init__(self, graph: TensorBuilder) -> None:
        self.graph = graph
        self.watched: Watched | None = watching()
        self.left = list(enumerate(self.watched.maps))[::-1] if self.watched is not None else []
        self.values: dict[int, Value] = {}

    def before(self, step: int) -> None:
        """Look up the maps that were asked before a step ran: what it writes over stands for another node later."""
        while self.left and self.left[-1][1][0] <= step:
            number, (_, tensor) = self.left.pop()
            found = self.graph.env.get(id(tensor))
            if isinstance(found, Value):
                self.values[number] = found
            elif isinstance(found, Static) and self.watched is not None and not self._hangs(tensor, self.watched):
                self.watched.alive.add(number)  # made of parameters alone: it is as long at all sizes

    def _hangs(self, tensor: Any, watched: Watched) -> bool:
        return memory_of(tensor) in watched.hanging or id(tensor) in watched.hanging

    def named(self, names: Mapping[int, str]) -> Watched | None:
        """What was heard, with the places of the maps by the names of their nodes."""
        if self.watched is None:
            return None
        named_places(self.watched, self.values, self.graph, names)
        return self.watched
