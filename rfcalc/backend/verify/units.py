"""What units of the user's own module see, beside what was read.

1. A unit depends on a pixel where it has a derivative by it: in float64, with positive weights, on random positive
   input. Where a derivative lies (activations that are off, losers of max pooling), a stand-in runs: it is told.
2. Where a pixel of its region has none (``no_grad``, ``detach``), that pixel is moved: the unit must change.
3. All pixels that are not of its region are moved at once: the unit must not change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from itertools import product
from math import prod
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rfcalc.backend.verify import gradient
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding, compared
from rfcalc.backend.verify.gradient import Unit
from rfcalc.backend.verify.itself import Hooked, MeasuredModule, Tick, outputs, reason, unfused
from rfcalc.core.errors import plural
from rfcalc.readers.torch.checkpoints import Checkpoints
from rfcalc.receptive.region_walk import regions
from rfcalc.report import Report

MOST_MOVED = 64  # pixels of a unit that are moved one by one
MOST_PIXELS = 4_000_000  # of an input, to move all that are not of a region
_SAME = frozenset(
    [
        *("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "hardswish_", "hardsigmoid", "clamp"),
        *("clamp_", "clip", "abs", "threshold", "softshrink", "hardshrink", "rrelu", "round", "floor", "ceil"),
        "clamp_min",
    ]
)
_POOLS = {"max_pool1d": "avg_pool1d", "max_pool2d": "avg_pool2d", "max_pool3d": "avg_pool3d"}
_ADAPTIVE = {f"adaptive_max_pool{n}d": f"adaptive_avg_pool{n}d" for n in (1, 2, 3)}
_BLIND = frozenset(
    [
        *("argmax", "argmin", "topk", "sort", "argsort", "max", "min", "gt", "lt", "ge", "le", "eq", "sign"),
        *("max_unpool1d", "max_unpool2d", "max_unpool3d"),
    ]
)


class StandIn(TorchFunctionMode):
    """Activations that are never off, means for maxima; what was replaced, and through what no derivative passes."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced: dict[str, None] = {}
        self.blind: dict[str, None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        first = args[0] if args else kwargs.get("input")
        if isinstance(first, Tensor) and first.is_floating_point():
            if name in _SAME:
                self.replaced[name] = None
                return first * 1
            if name in _POOLS and kwargs.get("dilation", args[4] if len(args) > 4 else 1) in (1, (1, 1), [1, 1]):
                self.replaced[name] = None
                stride = args[2] if len(args) > 2 else kwargs.get("stride")
                padding = args[3] if len(args) > 3 else kwargs.get("padding", 0)
                kernel = args[1] if len(args) > 1 else kwargs["kernel_size"]
                ceil = args[5] if len(args) > 5 else kwargs.get("ceil_mode", False)
                pool = getattr(torch.nn.functional, _POOLS[name])
                return pool(first, kernel, stride or kernel, padding, bool(ceil))
            if name in _ADAPTIVE:
                self.replaced[name] = None
                return getattr(torch.nn.functional, _ADAPTIVE[name])(first, *args[1:2])
            if name == "amax":
                self.replaced[name] = None
                return first.mean(*args[1:], **kwargs)
            if name.strip("_") in _BLIND:
                self.blind[name.strip("_")] = None
        return func(*args, **kwargs)


def positive(module: nn.Module) -> nn.Module:
    """Weights of one sign, each row of them with sum one, in float64: nothing cancels and nothing grows."""
    module = module.double().eval()
    with torch.no_grad():
        for owner in module.modules():
            for name, p in owner.named_parameters(recurse=False):
                if not p.is_floating_point():
                    continue
                if "bias" in name:
                    p.zero_()
                    continue
                p.abs_().add_(1e-3)
                if p.dim() > 1:
                    p.div_(p.flatten(1).sum(1).view(-1, *[1] * (p.dim() - 1)))
                else:
                    p.clamp_(0.5, 1.5)
            for name, b in owner.named_buffers(recurse=False):
                if name == "running_mean":
                    b.zero_()
                elif name == "running_var":
                    b.fill_(1)
    return module


class _Runs:
    """Runs of the module with positive weights on one first input or another; random numbers are the same in each.

    Raises:
        Exception: whatever the module raises in float64.
    """

    def __init__(self, report: Report, it: MeasuredModule) -> None:
        self.mode = StandIn()
        self.report = report
        self._it, self._module = it, positive(deepcopy(it.module))
        with torch.enable_grad():
            self.x, self.there = self._run(lambda x: x.requires_grad_())

    def _run(self, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The first input, and the outputs of layers and of the module by their nodes, with the batch in front."""
        given: list[Tensor] = []

        def seen(x: Tensor) -> Tensor:
            if given:
                return x
            given.append(change(x))
            return given[0] * 1  # a module may write into what it is given

        args, kwargs = self._it.inputs(self.report, torch.float64, positive=True, seen=seen)
        torch.manual_seed(0)
        names = {r.name for r in self.report}
        with Checkpoints(plain=True), self.mode, Hooked(self._module, names) as hooked, unfused():
            result = self._module(*args, **kwargs)
        return given[0], hooked.found | outputs(self._it, result)

    def changes(self, name: str, unit: Unit, pixels: Collection[Unit], by: float = 1.0) -> bool:
        """Whether a unit changes where the first input is larger at some pixels."""
        source = self.report.shapes[0]
        mask = torch.zeros(source.spatial, dtype=torch.bool)
        mask[tuple(torch.tensor(sorted(pixels)).T)] = True
        dims = [n if i in source.axes else 1 for i, n in enumerate(source.dims)]

        def change(x: Tensor) -> Tensor:
            like = mask.reshape(dims) if x.dim() == len(dims) + 1 else mask
            return torch.where(like, x * 1.5 + by, x)

        with torch.no_grad():
            after = self._run(change)[1][name]
        channel = self.report[name].shape.channel
        a, b = (value[0].movedim(channel, -1)[unit] for value in (self.there[name], after))
        return not torch.equal(a, b)


class _Seen(NamedTuple):
    """The pixels that a unit depends on, how that is known, and whether all were looked at."""

    pixels: set[Unit]
    how: str
    sure: bool


def _seen(runs: _Runs, name: str, unit: Unit, pixels: set[Unit], right: set[Unit], exact: bool) -> _Seen:
    """What a unit depends on, when `pixels` have a derivative, and it should be `right` (or, if not `exact`, less)."""
    source = runs.report.shapes[0].spatial
    lost = sorted(right - pixels)
    found = set(pixels)
    tried = lost if len(lost) <= MOST_MOVED else Random(0).sample(lost, MOST_MOVED)
    if exact:
        felt = {p for p in tried if any(runs.changes(name, unit, [p], by) for by in (1.0, 1e9))}
        found |= set(lost) if felt and len(felt) == len(tried) else felt
    if pixels <= right and prod(source) <= MOST_PIXELS:
        others = set(product(*map(range, source))) - right
        if others and runs.changes(name, unit, others):
            few = Random(0).sample(sorted(others), min(len(others), MOST_MOVED))
            found |= {p for p in few if runs.changes(name, unit, [p])} or others  # one of them at least
    moved = len(found) - len(pixels)
    how = [f"{', '.join(sorted(runs.mode.replaced))} replaced by what has a derivative"] * bool(runs.mode.replaced)
    how += [f"{plural(moved, 'pixel')} moved, which {'has' if moved == 1 else 'have'} no derivative"] * bool(moved)
    return _Seen(found, f"with {' and '.join(how)}" if how else "", found != right or len(tried) == len(lost))


def receptive(report: Report, it: MeasuredModule, tick: Tick) -> Iterator[Finding]:
    """Chosen units of the last maps and of every output, pixel by pixel, and what the summary claims of them."""
    first = next(iter(it.source.call.leaves))
    if not first.dtype.is_floating_point:
        yield Finding("receptive_field", "", "units", None, None, UNSEEN, "", "its first input is no real numbers")
        return
    for other in list(report.inputs)[1:]:
        why = f"gradients are taken by the first input, {next(iter(report.inputs))}, only"
        yield Finding("receptive_field", "", f"what is seen of {other}", None, None, UNSEEN, "", why)
    tick("gradients of the module")
    try:
        runs = _Runs(report, it)
    except Exception as error:
        why = f"the module does not run in float64: {reason(error)}"
        yield Finding("receptive_field", "", "units", None, None, UNSEEN, "", why)
        return
    flat = [name for name in report.network.outputs if not report[name].shape.rank]
    nearest = [row.name for row in report if row.shape.rank and row.name in runs.there][
        -1:
    ]  # where the last has no layer
    chosen = gradient.chosen_nodes(report)
    if not any(name in runs.there for name in chosen):
        chosen += nearest
    for name in (*chosen, *flat):
        field = report[name].receptive_field
        field = next(iter(field.values())) if isinstance(field, dict) else field
        shape = report[name].shape
        if name not in runs.there or runs.there[name].dim() != len(shape.dims) + 1:
            yield Finding("receptive_field", name, "units", None, None, UNSEEN, "", "no layer or output gives it")
            continue
        if field.status in ("unknown", "needs_input_size"):
            yield Finding("receptive_field", name, "units", None, None, UNSEEN, "", f"the answer is {field.status}")
            continue
        tick(f"units of {name}")
        yield from _units(name, field, runs)


def _units(name: str, field: Any, runs: _Runs) -> Iterator[Finding]:
    report, value, blind = runs.report, runs.there[name], tuple(runs.mode.blind)
    shape, source = report[name].shape, report.shapes[0]
    period = [1 if w is None else w.period for w in field.windows]
    units = gradient.chosen_units(shape.spatial, period)
    walk = regions(report, name)
    exact = field.status != "bounded" and not blind
    seen: dict[Unit, set[Unit]] = {}
    for unit, pixels in zip(units, gradient.derivatives(value, runs.x, shape, source, units), strict=True):
        region = walk.unit(unit)
        right = set(region.pixels())
        found = _seen(runs, name, unit, pixels, right, exact)
        seen[unit] = found.pixels
        figure = f"unit {','.join(map(str, unit))} on {source}" if unit else f"output on {source}"
        told = str(gradient.of_region(region)), str(gradient.summary(found.pixels))
        finding = compared("receptive_field", name, figure, *told, found.how)
        if right == found.pixels:
            bound = f"{MOST_MOVED} of those that have no derivative were moved"
            yield finding if found.sure else finding._replace(verdict=BOUNDED, bound=bound)
        elif found.pixels < right and not exact:
            why = f"no derivative passes through {blind[0]}" if blind else "no unit sees more"
            yield finding._replace(verdict=BOUNDED, bound=why)
        else:
            lost, new = len(right - found.pixels), len(found.pixels - right)
            why = f"{lost:,} pixels have no influence, {new:,} others have. {found.how}"
            yield finding._replace(verdict=DISAGREES, note=why.strip())
    yield from gradient.claims(report, name, field, seen, blind)
