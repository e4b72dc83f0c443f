"""Sums over a network."""

# mypy: no-warn-return-any
# Within the core a size may be a symbol, so that its type is Any; a report's figures are told to be whole numbers.

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfcalc.core.cost import Cost, Counted, total
from rfcalc.core.size import Figure
from rfcalc.graph.memory import peak

if TYPE_CHECKING:
    from rfcalc.report import Report


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
