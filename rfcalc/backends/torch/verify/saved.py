"""Bytes that autograd keeps, of gradients and of optimizer state, by a real step of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rfcalc.backends.torch.build import to_torch
from rfcalc.backends.torch.graph import Graph
from rfcalc.backends.torch.verify.finding import BOUNDED, Finding, compared
from rfcalc.network import Network
from rfcalc.report import Report

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def examples(report: Report, device: str, seed: int = 0) -> list[Tensor]:
    """Random inputs of the report's shapes."""
    generator = torch.Generator().manual_seed(seed)
    shapes = report.walked.shapes[: report.network.arity]
    made = [torch.randn(report.batch, *s.dims, generator=generator) for s in shapes]
    return [x.to(device=device, dtype=DTYPES[report.dtype]) for x in made]


def kept_bytes(graph: Graph, inputs: list[Tensor]) -> tuple[int, list[Tensor]]:
    """Bytes of the distinct tensors that autograd keeps for backward, parameters and buffers left out; the outputs."""
    own = {t.untyped_storage().data_ptr() for t in (*graph.parameters(), *graph.buffers())}
    found: dict[int, int] = {}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found.setdefault(storage.data_ptr(), storage.nbytes())
            alive.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = graph(*[x.requires_grad_() for x in inputs])
    return sum(found.values()), list(y) if isinstance(y, tuple) else [y]


def composed(report: Report, device: str) -> dict[str, tuple[int, int]]:
    """Partial connections, of which PyTorch has no layer, only gathers and groups: bytes of the copies that they keep,
    and of the input map that they keep no longer."""
    found = {}
    for row in report:
        if getattr(row.node.layer, "table", None) is None:
            continue
        alone = Report(Network(row.node.layer, report.walked.inputs_of(row.position)[0]), batch=report.batch)
        graph = to_torch(alone.network).to(device=device, dtype=DTYPES[report.dtype]).train()
        found[row.name] = (kept_bytes(graph, examples(alone, device))[0], int(alone.totals.saved_bytes))
    return found


def training(report: Report, graph: Graph, device: str, tick: Callable[[str], None]) -> Iterator[Finding]:
    """One step of training: what is kept, gradients, the state of two optimizers."""
    tick("one forward pass in training mode")
    graph = graph.to(device=device, dtype=DTYPES[report.dtype]).train()
    itemsize, params = report.itemsize, report.totals.params
    kind = "cpu" if device == "cpu" else device.partition(":")[0]
    predicted = sum(k.total(itemsize, report.batch, kind) for k in report.kept)
    measured, outputs = kept_bytes(graph, examples(report, device))
    figure = f"kept for backward, training mode, batch {report.batch}"
    pieces = composed(report, device) if measured != predicted else {}
    copies, maps = sum(c for c, _ in pieces.values()), sum(m for _, m in pieces.values())
    if pieces and measured - predicted in (copies, copies - maps):
        told = ", ".join(f"{name} {more:,} B" for name, (more, _) in pieces.items())
        bound = "equal, once the copies of layers that PyTorch has operators for, but no layer, are left out"
        yield Finding("saved_bytes", "", figure, predicted, measured, BOUNDED, bound, told)
    else:
        yield compared("saved_bytes", "", figure, predicted, measured)
    tick("the backward pass")
    sum((y.float().sum() for y in outputs), torch.zeros((), device=device)).backward()  # type: ignore[no-untyped-call]
    del outputs
    learned = [p for p in graph.parameters() if p.grad is not None]
    gradients = sum(p.grad.numel() * p.grad.element_size() for p in learned if p.grad is not None)
    idle = sum(p.numel() * p.element_size() for p in graph.parameters() if p.grad is None)
    note = f"{idle:,} bytes of parameters that no output depends on have none" if idle else ""
    yield compared("saved_bytes", "", "gradients", params * itemsize - idle, gradients, note)
    tick("a step of each optimizer")
    for name, copies, optimizer in (
        ("SGD with momentum", 1, torch.optim.SGD(learned, lr=0.0, momentum=0.9)),
        ("Adam", 2, torch.optim.Adam(learned, lr=0.0)),
    ):
        optimizer.step()
        held = [t for state in optimizer.state.values() for t in dict(state).values() if isinstance(t, Tensor)]
        counters = [t for t in held if t.dim() == 0]
        size = sum(t.numel() * t.element_size() for t in held if t.dim())
        more = sum(t.element_size() for t in counters)
        note = f"and {more} bytes of step counters, one for each tensor" if counters else ""
        yield compared("saved_bytes", "", f"state of {name}", copies * (params * itemsize - idle), size, note)
        del optimizer, held
