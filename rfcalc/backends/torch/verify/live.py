"""The largest sum of live feature maps while running forward."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rfcalc.backends.torch.graph import Graph
from rfcalc.backends.torch.verify.counted import blank
from rfcalc.backends.torch.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding, compared
from rfcalc.backends.torch.verify.saved import DTYPES, examples, refusal, refused
from rfcalc.report import Report
from rfcalc.walk import storages

ROUNDING = 512  # CUDA's allocator rounds every block up to this
WORKSPACE = 256 << 20  # cuBLAS (32 MiB on Hopper) and cuDNN take them from the same allocator
TRAINING = "a training step, beside weights: kept for backward and gradients"


def peak_of_maps(report: Report, graph: Graph) -> tuple[int, int, list[str]]:
    """Bytes of the distinct maps that are alive at once, at most, on meta tensors with activations in place.

    Returns:
        the bytes; the same if the nodes that PyTorch has no in-place form of wrote over their input; these nodes.
    """
    inputs: list[Tensor] = blank(report, dtype=DTYPES[report.dtype])
    refs = [(weakref.ref(x), _storage(x)) for x in inputs]
    own: dict[int, int] = {}  # the storage of a node that should have been in place → its input's
    by_name = dict(zip(report.network.inputs, (_storage(x) for x in inputs), strict=True))
    most = should = 0
    late: list[str] = []

    def look() -> None:
        nonlocal most, should
        alive = {key: t.untyped_storage().nbytes() for t, key in ((r(), k) for r, k in refs) if t is not None}
        most = max(most, sum(alive.values()))
        should = max(should, sum({own.get(k, k): n for k, n in alive.items()}.values()))

    def see(name: str, value: Tensor) -> None:
        row, key = report[name], _storage(value)
        by_name[name] = key
        if row.in_place and key != by_name[row.inputs[0]] and row.position not in kept_apart:
            late.append(name)
            own[key] = own.get(by_name[row.inputs[0]], by_name[row.inputs[0]])
        refs.append((weakref.ref(value), key))
        look()

    kept_apart = {p for p, s in enumerate(storages(report.walked)) if p == s}
    look()
    with torch.no_grad():
        graph._run(inputs, frozenset(graph._outputs), see)
    return most, should, late


def _storage(x: Tensor) -> int:
    return int(x.untyped_storage()._cdata)


def peak(report: Report, build: Callable[[], Graph], device: str, tick: Callable[[str], None]) -> Iterator[Finding]:
    """Live maps on meta tensors; on a GPU what its allocator held too."""
    tick("live maps on meta tensors")
    predicted = report.totals.peak_bytes
    measured, should, late = peak_of_maps(report, build())
    if measured != predicted == should:
        yield Finding(
            "peak_bytes",
            "",
            "largest sum of live maps",
            predicted,
            measured,
            BOUNDED,
            "equal, once activations that PyTorch has no in-place form of write over their input",
            f"{len(late)} nodes: {', '.join(late[:3])}{' …' if len(late) > 3 else ''}",
        )
    else:
        yield compared("peak_bytes", "", "largest sum of live maps", predicted, measured)
    allocator = ALLOCATORS.get(torch.device(device).type)
    if allocator is None:
        return
    graph = build().to_empty(device=device).to(DTYPES[report.dtype])
    for tensor in (*graph.parameters(), *graph.buffers()):
        torch.nn.init.zeros_(tensor)
    inputs = examples(report, device)
    given = sum(x.numel() * x.element_size() for x in inputs)
    weights = sum(t.numel() * t.element_size() for t in graph.parameters())
    rounding = ROUNDING * len(report.network.nodes)
    tick(f"inference, with the allocator of {device}")

    def infer() -> None:
        with torch.no_grad():
            graph.eval()(*inputs)

    measured = allocator(infer) + given
    yield _held("inference, beside weights", predicted, predicted, measured, 2 * predicted + rounding)
    tick(f"a training step, with the allocator of {device}")

    def train() -> None:
        y = graph.train()(*[x.requires_grad_() for x in inputs])
        outputs = y if isinstance(y, tuple) else (y,)
        sum((o.float().sum() for o in outputs), torch.zeros((), device=device)).backward()

    kept = sum(k.total(report.itemsize, report.batch, torch.device(device).type) for k in report.kept)
    try:
        measured = allocator(train) + given
    except ValueError as error:
        if not refused(error):
            raise
        yield Finding("peak_bytes", "", TRAINING, kept + weights, None, UNSEEN, "", refusal(error))
        return
    # gradients of the maps live beside what is kept, two at a time
    yield _held(TRAINING, kept, kept + weights, measured, 2 * predicted + rounding)


def _held(figure: str, least: int, predicted: int, measured: int, slack: int) -> Finding:
    """What an allocator held at most, beside the prediction: no less than the maps need, and no more than a bound."""
    near = least <= measured + ROUNDING and measured <= predicted + slack + WORKSPACE
    bound = (
        f"at least {least:,}, at most predicted + {slack:,} for maps and rounding + {WORKSPACE >> 20} MiB of workspaces"
    )
    note = f"{measured - predicted:+,} B of workspaces, rounding, maps not in place"
    return Finding("peak_bytes", "", figure, predicted, measured, BOUNDED if near else DISAGREES, bound, note)


def _cuda(doing: Callable[[], None]) -> int:
    """The most that CUDA's allocator held while doing it, beyond what it held before."""
    torch.cuda.synchronize()
    base = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    doing()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - base


ALLOCATORS: dict[str, Callable[[Callable[[], None]], int]] = {"cuda": _cuda}
