"""The register of operators: which function translates which, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rfcalc.readers.builder.values import Value
from rfcalc.readers.torch.recording import Operation
from rfcalc.readers.torch.tensors import TensorBuilder, dims_of


@dataclass(frozen=True, slots=True)
class OperatorCall:
    """One step with the graph that it is read into."""

    graph: TensorBuilder
    step: Operation

    def __getitem__(self, key: str) -> Any:
        return self.step.args[key]

    def value(self, key: str) -> Value:
        """The tensor argument of this name."""
        return self.graph.get(self.step.args[key])

    @property
    def x(self) -> Value:
        """The first tensor, called ``self`` or ``input``."""
        args = self.step.args
        return self.graph.get(args["self"] if "self" in args else args["input"])

    @property
    def dims(self) -> tuple[int, ...]:
        """The dims of the (first) result."""
        out = self.step.out
        return dims_of(out[0] if isinstance(out, (tuple, list)) else out)


Handler = Callable[[OperatorCall], "Value | Sequence[Value | None]"]

HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a function as the translation of ATen operators."""

    def wrap(made: Handler) -> Handler:
        for name in names:
            assert name not in HANDLERS, name
            HANDLERS[name] = made
        return made

    return wrap
