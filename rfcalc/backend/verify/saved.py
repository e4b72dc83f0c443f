"""Bytes that autograd keeps, of gradients and of optimizer state, by a real step of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from rfcalc.backend.build import place
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding, compared
from rfcalc.graph.autograd import saving
from rfcalc.graph.memory import storages
from rfcalc.report import Report

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def examples(report: Report, device: str, seed: int = 0) -> list[Tensor]:
    """Random inputs of the report's shapes."""
    generator = torch.Generator().manual_seed(seed)
    shapes = report.shapes[: report.network.arity]
    made = [torch.randn(report.batch, *s.dims, generator=generator) for s in shapes]
    return [x.to(device=device, dtype=DTYPES[report.dtype]) for x in made]


@contextmanager
def keeping(module: torch.nn.Module) -> Iterator[dict[int, int]]:
    """The bytes of each storage that autograd keeps for backward in what is run here, the module's own left out."""
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage gets the place of one that is gone

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found.setdefault(storage.data_ptr(), storage.nbytes())
            alive.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def kept_bytes(graph: NetworkModule, inputs: list[Tensor]) -> tuple[int, list[Tensor]]:
    """Bytes of the distinct tensors that autograd keeps for backward, parameters and buffers left out; the outputs."""
    with keeping(graph) as found:
        y = graph(*[x.requires_grad_() for x in inputs])
    return sum(found.values()), list(y) if isinstance(y, tuple) else [y]


def refused(error: ValueError) -> bool:
    """Whether PyTorch would not take statistics of a single value. It raises a plain ValueError for several layers, in
    training or always, by rules of its own: its text is all that tells this error from others."""
    return "Expected more than 1" in str(error)


def refusal(error: ValueError) -> str:
    """What to do about it."""
    return f"PyTorch takes no statistics of a single value ({error}): take a larger --batch or --input"


def kept_by_map(report: Report, graph: NetworkModule, inputs: list[Tensor]) -> dict[int, int]:
    """What `kept_bytes` adds up, by the position whose map (or whose own copies and statistics) it is.

    Everything stays alive meanwhile.
    """
    own = {t.untyped_storage().data_ptr() for t in (*graph.parameters(), *graph.buffers())}
    owner = {x.untyped_storage().data_ptr(): position for position, x in enumerate(inputs)}
    alive: list[Tensor] = list(inputs)
    packed: list[Tensor] = []
    found: dict[int, int] = {}
    seen: set[int] = set(own)

    def pack(tensor: Tensor) -> Tensor:
        packed.append(tensor.detach())
        return tensor

    def see(name: str, value: Tensor) -> None:
        position = report.network.position(name)
        owner.setdefault(value.untyped_storage().data_ptr(), position)
        alive.extend((value, *packed))
        for tensor in packed:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in seen:
                seen.add(storage.data_ptr())
                at = owner.get(storage.data_ptr(), position)
                found[at] = found.get(at, 0) + storage.nbytes()
        packed.clear()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        graph.run(*[x.requires_grad_() for x in inputs], keep=report.network.outputs, see=see)
    return found


def difference(report: Report, graph: NetworkModule, device: str) -> tuple[bool, str]:
    """Where what is kept differs from what was predicted: whether only around nodes where PyTorch keeps more than one
    layer needs (it has none, or a library's workspace is kept too); in words."""
    walked, network = report, report.network
    arity = network.arity
    measured = kept_by_map(report, graph, examples(report, device))
    own = storages(walked, saving(walked)[1])
    composed = {p for p, put in enumerate(place(walked), arity) if put.twin.composed}
    around = {own[s] for p in composed for s in (p, *network.sources[p - arity])}
    around |= {own[q] for q, sources in enumerate(network.sources, arity) if composed.intersection(sources)}  # copies
    told: dict[int, list[int]] = {}
    for position, kept in enumerate(report.kept):
        pair = told.setdefault(own[position], [0, 0])
        pair[0] += kept.total(report.itemsize, report.batch, torch.device(device).type)
        pair[1] += measured.get(position, 0)
    names = [*network.inputs, *(node.name for node in network.nodes)]
    apart = {p: pair for p, pair in told.items() if pair[0] != pair[1]}
    where = [f"{names[p]} {a:,} predicted, {b:,} kept" for p, (a, b) in apart.items()]
    text = "; ".join(where[:3]) + (f"; and {len(where) - 3} more" if len(where) > 3 else "")
    if not apart or not around.issuperset(apart):
        return False, text
    made = ", ".join(names[p] for p in sorted(composed)[:3]) + (" …" if len(composed) > 3 else "")
    return True, f"PyTorch has no layer for {made} or keeps a library's workspace there: {text}"


def training(report: Report, graph: NetworkModule, device: str, tick: Callable[[str], None]) -> Iterator[Finding]:
    """One step of training: what is kept, gradients, the state of two optimizers."""
    tick("one forward pass in training mode")
    graph = graph.to(device=device, dtype=DTYPES[report.dtype]).train()
    itemsize, params = report.itemsize, report.totals.params
    kind = "cpu" if device == "cpu" else device.partition(":")[0]
    predicted = sum(k.total(itemsize, report.batch, kind) for k in report.kept)
    figure = f"kept for backward, training mode, batch {report.batch}"
    try:
        measured, outputs = kept_bytes(graph, examples(report, device))
    except ValueError as error:
        if not refused(error):
            raise
        yield Finding("saved_bytes", "", figure, predicted, None, UNSEEN, "", refusal(error))
        return
    if predicted == measured:
        yield compared("saved_bytes", "", figure, predicted, measured)
    else:
        tick("where the difference is")
        excused, note = difference(report, graph, device)
        verdict, bound = (BOUNDED, "only where PyTorch keeps more than one layer needs") if excused else (DISAGREES, "")
        yield Finding("saved_bytes", "", figure, predicted, measured, verdict, bound, note)
    tick("the backward pass")
    sum((y.float().sum() for y in outputs), torch.zeros((), device=device)).backward()  # type: ignore[no-untyped-call]
    del outputs
    learned = [p for p in graph.parameters() if p.grad is not None]
    gradients = sum(p.grad.numel() * p.grad.element_size() for p in learned if p.grad is not None)
    idle = sum(p.numel() * p.element_size() for p in graph.parameters() if p.grad is None)
    note = f"{idle:,} bytes of parameters that no output depends on have none" if idle else ""
    yield compared("saved_bytes", "", "gradients", params * itemsize - idle, gradients, note)
    yield from optimizers(learned, params * itemsize - idle, tick)


def optimizers(learned: Sequence[Tensor], size: int, tick: Callable[[str], None]) -> Iterator[Finding]:
    """The state of two optimizers after a step; `size` is that of what they learn, in bytes."""
    if not learned:  # nothing to learn, and no optimizer takes that
        return
    tick("a step of each optimizer")
    for name, copies, optimizer in (
        ("SGD with momentum", 1, torch.optim.SGD(learned, lr=0.0, momentum=0.9)),
        ("Adam", 2, torch.optim.Adam(learned, lr=0.0)),
    ):
        optimizer.step()
        held = [t for state in optimizer.state.values() for t in dict(state).values() if isinstance(t, Tensor)]
        counters = [t for t in held if t.dim() == 0]
        held_bytes = sum(t.numel() * t.element_size() for t in held if t.dim())
        more = sum(t.element_size() for t in counters)
        note = f"and {more} bytes of step counters, one for each tensor" if counters else ""
        yield compared("saved_bytes", "", f"state of {name}", copies * size, held_bytes, note)
        del optimizer, held
