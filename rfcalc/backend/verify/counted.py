"""Shapes, parameters and multiply-adds, on meta tensors: nothing is allocated, whatever the network's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rfcalc.backend.build import counts
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.verify.finding import UNSEEN, Finding, compared
from rfcalc.report import Report

# kinds whose products flop_counter has no formula for, and what checks their figure instead
BLIND = {
    "rbf": "squared distances are no matrix product to PyTorch; the oracle of the tests counts them one by one",
    "avgpool": "a trainable pool's factors are elementwise to PyTorch; the oracle of the tests counts them one by one",
    "scale": "elementwise to PyTorch; the oracle of the tests counts them one by one",
}

# modules inside a kind's that read no input and are left out of the multiply-adds, as the kind says
ONCE = ("cpb_mlp",)


def blank(report: Report, device: str = "meta", dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Inputs of the report's shapes without values."""
    shapes = report.shapes[: report.network.arity]
    return [torch.empty(report.batch, *s.dims, device=device, dtype=dtype) for s in shapes]


def run(report: Report, graph: NetworkModule, count: bool) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Every node's shape (batch left out) and, where asked for, its floating-point operations by flop_counter."""
    shapes: dict[str, tuple[int, ...]] = {}
    flops: dict[str, int] = {}
    so_far = 0
    counter = FlopCounterMode(display=False)

    def see(name: str, value: Tensor) -> None:
        nonlocal so_far
        shapes[name] = tuple(value.shape[1:])
        if count:
            parts = counter.flop_counts.items()
            once = sum(sum(n.values()) for key, n in parts if key.rpartition(".")[2] in ONCE)
            now = sum(counter.flop_counts["Global"].values()) - once
            flops[name], so_far = now - so_far, now

    graph.requires_grad_(False)  # the counter's hooks refuse views of what is learned where gradients are off
    with torch.no_grad():
        if count:
            with counter:
                graph.run(*blank(report), keep=(), see=see)
        else:
            graph.run(*blank(report), keep=(), see=see)
    return shapes, flops


def shapes_and_macs(
    report: Report, graph: NetworkModule, what: frozenset[str], tick: Callable[[str], None]
) -> Iterator[Finding]:
    """The findings of one run of the module on meta tensors."""
    tick("running on meta tensors")
    shapes, flops = run(report, graph.eval(), "macs" in what)
    if "shapes" in what:
        for row in report:
            yield compared("shapes", row.name, "output", tuple(row.shape.dims), shapes.get(row.name))
    if "macs" in what:
        seen = 0
        for row in report:
            measured = flops[row.name] // 2
            if measured != row.macs and not measured and row.kind in BLIND:
                yield Finding("macs", row.name, "multiply-adds", row.macs, None, UNSEEN, "", BLIND[row.kind])
                continue
            seen += row.macs
            if row.macs or measured:
                yield compared("macs", row.name, "multiply-adds", row.macs, measured)
        yield compared("macs", "", "multiply-adds that flop_counter sees", seen, sum(flops.values()) // 2)


def parameters(report: Report, graph: NetworkModule) -> Iterator[Finding]:
    """Parameters of every node that has a module of its own, and of the network; buffers."""
    for row in report:
        if row.name in graph.paths and row.shared_with is None and row.params:
            module = graph.module(row.name)
            yield compared("params", row.name, "parameters", row.params, counts(module)[0])
    params, buffers = counts(graph)
    yield compared("params", "", "parameters", report.totals.params, params)
    yield compared("params", "", "running means and variances", report.totals.buffers, buffers)
