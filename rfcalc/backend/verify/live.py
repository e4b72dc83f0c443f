"""The largest sum of live feature maps while running forward."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.verify.counted import blank
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding, compared
from rfcalc.backend.verify.saved import DTYPES, examples, refusal, refused
from rfcalc.core.errors import plural
from rfcalc.report import Report

ROUNDING = 512  # CUDA's allocator rounds every block up to this
WORKSPACE = 256 << 20  # cuBLAS (32 MiB on Hopper) and cuDNN take them from the same allocator
TRAINING = "a training step, beside weights: kept for backward and gradients"


class Living(NamedTuple):
    """A value that may still be alive: its storage, and the map whose memory rfcalc's conventions say it lives in."""

    ref: weakref.ref[Tensor]
    storage: int
    home: str


class Indices(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The bytes of what operators return beside a result: the int64 places of maxima. `taken` hands them out once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if isinstance(made, (tuple, list)):
            self.bytes += sum(t.nbytes for t in made if isinstance(t, Tensor) and t.dtype == torch.int64)
        return made

    def taken(self) -> int:
        found, self.bytes = self.bytes, 0
        return found


def peak_of_maps(report: Report, graph: NetworkModule) -> tuple[int, int, list[str]]:
    """Bytes of the distinct maps that are alive at once, at most, on meta tensors with activations in place.

    Indices of max pooling live while it runs.

    Returns:
        the bytes of the storages; the bytes if each value lived in the memory that the conventions say (activations
        over their input, views in it, everything else in its own); the nodes where PyTorch's memory is another.
    """
    learned = {_storage(t) for t in (*graph.parameters(), *graph.buffers())}
    inputs: list[Tensor] = blank(report, dtype=DTYPES[report.dtype])
    names = list(report.network.inputs)
    living = [Living(weakref.ref(x), _storage(x), name) for x, name in zip(inputs, names, strict=True)]
    where = {at.home: at for at in living}
    sizes = {name: x.untyped_storage().nbytes() for name, x in zip(names, inputs, strict=True)}
    most = should = sum(sizes.values())
    apart: list[str] = []

    indices = Indices()

    def see(name: str, value: Tensor) -> None:
        nonlocal most, should
        beside = indices.taken()
        row, storage = report[name], _storage(value)
        if storage not in learned:
            source = where.get(row.inputs[0]) if row.inputs else None
            shares = (row.view or row.in_place) and source is not None
            home = source.home if shares and source is not None else name
            sizes.setdefault(home, report.itemsize * row.values)
            where[name] = Living(weakref.ref(value), storage, home)
            if shares != (source is not None and storage == source.storage and source.ref() is not None) or (
                not shares and value.untyped_storage().nbytes() != sizes[home]
            ):
                apart.append(name)
            living.append(where[name])
        held: dict[int, int] = {}
        homes = set()
        for at in living:
            tensor = at.ref()
            if tensor is not None:
                held[at.storage] = tensor.untyped_storage().nbytes()
                homes.add(at.home)
        most = max(most, beside + sum(held.values()))
        should = max(should, beside + sum(sizes[home] for home in homes))
        living[:] = [at for at in living if at.ref() is not None]

    with torch.no_grad(), indices:
        graph._run(inputs, frozenset(graph._outputs), see)
    return most, should, apart


def _storage(x: Tensor) -> int:
    return int(x.untyped_storage()._cdata)


def peak(
    report: Report, build: Callable[[], NetworkModule], device: str, tick: Callable[[str], None]
) -> Iterator[Finding]:
    """Live maps on meta tensors; on a GPU what its allocator held too."""
    tick("live maps on meta tensors")
    predicted = report.totals.peak_bytes
    measured, should, apart = peak_of_maps(report, build())
    if measured != predicted == should:
        yield Finding(
            "peak_bytes",
            "",
            "largest sum of live maps",
            predicted,
            measured,
            BOUNDED,
            "equal, were every map in the memory that the conventions say",
            f"PyTorch has no in-place form of {plural(len(apart), 'node')}, makes larger maps there, or gives a view: "
            f"{', '.join(apart[:3])}{' …' if len(apart) > 3 else ''}",
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
