"""The module that runs a network: its DAG, node by node."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfcalc.backend.parts import NAMES
from rfcalc.core.errors import NetworkError, UnknownName
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network


class Instruction(NamedTuple):
    """One node: its expression, where its module or tensor stands, what it reads, and what dies after it."""

    name: str
    text: str  # empty: the module is called on what it reads
    module: str  # path of its module, or empty
    learned: str  # path of its learned tensor, or empty
    sources: tuple[int, ...]
    dead: tuple[int, ...]


@cache
def compiled(text: str, count: int) -> Callable[..., Tensor]:
    """The expression of a twin as a function of module, learned tensor and inputs.

    Twins are the project's own text, with nothing in them but names and numbers of layers.
    """
    names = [f"x{i}" for i in range(count)]
    source = f"lambda m, w, {', '.join(names)}: {text.format(*names, m='m', w='w')}"
    return eval(source, {"torch": torch, "nn": nn, "F": F, **NAMES})  # type: ignore[no-any-return]


class Expression(nn.Module):
    """A layer that is an expression: a sum, a permutation, a slice."""

    def __init__(self, text: str, count: int) -> None:
        super().__init__()
        self.text = text
        self.count = count

    def forward(self, *xs: Tensor) -> Tensor:
        return compiled(self.text, self.count)(None, None, *xs)

    def extra_repr(self) -> str:
        names = ["x"] if self.count == 1 else [f"x{i}" for i in range(self.count)]
        return self.text.format(*names)


class GraphScope(nn.Module):
    """What stands together under one name but is no chain; the graph runs it."""


class NetworkModule(nn.Module):
    """A network as a PyTorch module.

    ``forward`` takes the inputs in their order (or by name) and gives the output, or a tuple of several; `run` gives
    every node's value by its name. Submodules are looked up by their place while running, so that replacing one
    (another classifier) takes effect.
    """

    signals: frozenset[str] = frozenset()  # the inputs whose only channel the module that was read does not have

    def __init__(
        self,
        network: Network,
        steps: tuple[Instruction, ...],
        paths: dict[str, str],
        shapes: dict[str, Shape],
        eps: float | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.shapes = shapes  # of its inputs, by name
        self.eps = eps
        self.steps = steps
        self.paths = paths
        self._outputs = tuple(network.position(name) for name in network.outputs)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor | tuple[Tensor, ...]:
        values = self._run(self._given(inputs, named), frozenset(self._outputs), None)
        found = tuple(values[p] for p in self._outputs)
        return found[0] if len(found) == 1 else found  # type: ignore[return-value]

    def run(
        self,
        *inputs: Tensor,
        keep: Collection[str] | None = None,
        see: Callable[[str, Tensor], object] | None = None,
        **named: Tensor,
    ) -> dict[str, Tensor]:
        """Run the network and give values by the names of their nodes (inputs too).

        A value is freed once its last reader has run, unless it is kept.

        Args:
            inputs, named: the network's inputs, batch axis first.
            keep: names of the nodes (or stages and blocks: their last) that are wanted; None for all of them.
            see: called with each node's name and value as soon as it is there.

        Raises:
            NetworkError: an input is missing, or there is one too many.
            UnknownName: a name in `keep` that nothing carries.
        """
        network = self.network
        names = [*network.inputs, *(node.name for node in network.nodes)]
        wanted = dict(zip(names, range(len(names)), strict=True))
        if keep is not None:
            wanted = {name: network.position(name) for name in keep}
        values = self._run(self._given(inputs, named), frozenset(wanted.values()), see)
        return {name: values[p] for name, p in wanted.items()}  # type: ignore[misc]

    def module(self, name: str) -> nn.Module:
        """The module of a node.

        Raises:
            UnknownName: no such node, or one that has no module of its own.
        """
        node = self.network.node(name)
        if node.name not in self.paths:
            raise UnknownName("module", name, list(self.paths))
        return self.get_submodule(self.paths[node.name])

    def _given(self, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> list[Tensor]:
        names = list(self.network.inputs)
        given = {**dict(zip(names, inputs, strict=False)), **named}
        if len(inputs) > len(names) or set(given) != set(names) or len(given) != len(inputs) + len(named):
            told = [f"{len(inputs)} in order"] * bool(inputs) + list(named)
            raise NetworkError(
                f"the network takes the inputs {', '.join(names)}", why=f"given: {', '.join(told) or 'nothing'}"
            )
        return [given[name] for name in names]

    def _run(
        self, inputs: list[Tensor], wanted: frozenset[int], see: Callable[[str, Tensor], object] | None
    ) -> list[Tensor | None]:
        values: list[Tensor | None] = [*inputs]
        alone = any(not step.sources for step in self.steps)
        first = inputs[0].new_empty(inputs[0].shape[0], 0) if alone else None  # what says the batch's size
        inputs.clear()  # so that they too are freed once they have been read
        for step in self.steps:
            xs = [values[s] for s in step.sources] or [first]
            if not step.text:
                y = self.get_submodule(step.module)(*xs)
            else:
                module = self.get_submodule(step.module) if step.module else None
                learned = self.get_parameter(step.learned) if step.learned else None
                y = compiled(step.text, len(xs))(module, learned, *xs)
            del xs
            values.append(y)
            if see is not None:
                see(step.name, y)
            for position in step.dead:
                if position not in wanted:
                    values[position] = None
        return values
