"""The user's own module, beside what was read of it: no network is rebuilt.

1. It runs on a copy, on the CPU, in evaluation mode; the module that was given is left alone.
2. Shapes are those that PyTorch's own layers give (by hooks) and those of what the module returns; multiply-adds are
   those of PyTorch's counter, attention without fused kernels.
3. A unit depends on a pixel where it has a derivative by it: in float64, with positive weights, on random positive
   input. Where a derivative lies (activations that are off, losers of max pooling), a stand-in runs: it is told.
4. What is kept for backward, gradients and the state of optimizers are those of a step of training.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from rfcalc.backend.verify import gradient, saved
from rfcalc.backend.verify.checkpoints import Checkpoints
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding, compared
from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.receptive.region_walk import regions
from rfcalc.report.report import Report

Tick = Callable[[str], None]
# kinds whose multiply-adds are elementwise to PyTorch
ELEMENTWISE = ("rbf", "scale", "avgpool")


class Subject(NamedTuple):
    """A module that may be changed, and what it was called with when it was read."""

    module: nn.Module
    source: Any

    def inputs(self, report: Report, dtype: torch.dtype | None = None, positive: bool = False) -> tuple[Any, Any]:
        """Arguments with values: random numbers, zeros for integers, the values that were given."""
        generator = torch.Generator().manual_seed(0)

        def make(leaf: Any) -> Tensor:
            shape = (report.batch, *leaf.shape[1:])
            if leaf.value is not None:
                return torch.full(shape, leaf.value, dtype=leaf.dtype)
            if not (leaf.dtype.is_floating_point or leaf.dtype.is_complex):
                return torch.zeros(shape, dtype=leaf.dtype)
            x = torch.rand(shape, generator=generator) + 0.5 if positive else torch.randn(shape, generator=generator)
            return x.to(leaf.dtype if dtype is None or leaf.dtype.is_complex else dtype)

        args, kwargs = self.source.call.filled(make)
        return args, kwargs


def subject(report: Report) -> Subject | None:
    """A copy of the module that the report's network was read from, with values; None where there is none.

    Raises:
        RfcalcError: it cannot be copied.
    """
    source = report.network.source
    if source is None or isinstance(source.module, torch.jit.ScriptModule):
        return None
    module = source.module if source.make is None else source.make()
    try:
        module = deepcopy(module, _computed(module))
    except Exception as error:
        raise RfcalcError(
            "the module cannot be copied, so it is not measured",
            why=f"{type(error).__name__}: {str(error)[:200]}",
            fix="give a module whose attributes copy.deepcopy takes",
        ) from error
    for owner in module.modules():
        for name, p in list(owner._parameters.items()):
            if p is not None and p.is_meta:
                owner._parameters[name] = nn.Parameter(torch.randn(p.shape) * 0.05, p.requires_grad).to(p.dtype)
        for name, b in list(owner._buffers.items()):
            if b is not None and b.is_meta:
                owner._buffers[name] = torch.ones(b.shape, dtype=b.dtype)
    return Subject(module.train(source.training), source)


def _computed(module: nn.Module) -> dict[int, Any]:
    """Tensors that modules computed from parameters and keep, as `weight_norm` does: copy.deepcopy refuses them."""
    kept = [t for m in module.modules() for t in vars(m).values() if isinstance(t, Tensor) and t.grad_fn is not None]
    return {id(t): t.detach().clone() for t in kept}


# --- shapes, parameters, multiply-adds ----------------------------------------------------------------------------


class _Hooked:
    """The outputs of PyTorch's own layers, by the names of their nodes; a second call has a name of its own.

    A layer that is called more often than it has nodes (a call that no input reaches has none) is left out.
    """

    def __init__(self, module: nn.Module, names: set[str]) -> None:
        self._outs: dict[str, list[Any]] = {}
        self._names = names
        self._paths = {path for path, _ in module.named_modules()}
        self._handles = []
        for path, m in module.named_modules():
            if type(m).__module__.startswith("torch.nn.modules") and next(m.children(), None) is None:
                self._handles.append(m.register_forward_hook(self._of(path)))

    def _of(self, path: str) -> Callable[..., None]:
        def see(m: nn.Module, args: Any, out: Any) -> None:
            self._outs.setdefault(path, []).append(out)

        return see

    @property
    def found(self) -> dict[str, Tensor]:
        """The outputs by node."""
        found: dict[str, Tensor] = {}
        for path, outs in self._outs.items():
            more = [f"{path}_{i}" for i in range(1, len(outs) + 1)]
            own = [n for n in (path, *more) if n in self._names and (n == path or n not in self._paths)]
            if len(own) == len(outs):
                found.update((n, out) for n, out in zip(own, outs, strict=True) if isinstance(out, Tensor))
        return found

    def __enter__(self) -> _Hooked:
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()


def _returned(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _returned(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _returned(v)
    elif hasattr(value, "__dataclass_fields__"):
        for key in value.__dataclass_fields__:
            yield from _returned(getattr(value, key))


def outputs(it: Subject, result: Any) -> dict[str, Tensor]:
    """What the module returns, by the names of the nodes that make it, with the batch in front."""
    found: dict[str, Tensor] = {}
    for tensor, (name, batch) in zip(_returned(result), it.source.returned, strict=False):
        if name is not None:
            found[name] = tensor[None] if batch is None else tensor.movedim(batch, 0)
    return found


def counted(report: Report, it: Subject, what: frozenset[str], tick: Tick) -> Iterator[Finding]:
    """Shapes and multiply-adds of one run of the module, and its parameters."""
    if "params" in what:
        yield from _parameters(report, it)
    if not what & {"shapes", "macs"}:
        return
    tick("running the module")
    rows = {row.name: row for row in report}
    args, kwargs = it.inputs(report)
    counter = FlopCounterMode(display=False)
    before = {n for n, p in it.module.named_parameters() if p.requires_grad}
    it.module.requires_grad_(False)
    with _Hooked(it.module, set(rows)) as hooked, torch.no_grad(), _unfused(), counter:
        result = it.module(*args, **kwargs)
    for n, p in it.module.named_parameters():
        p.requires_grad_(n in before)
    if "shapes" in what:
        seen = hooked.found | outputs(it, result)
        for name, row in rows.items():
            if name in seen:
                yield compared("shapes", name, "output", tuple(row.shape.dims), _dims(seen[name], row.shape, report))
    if "macs" in what:
        root = type(it.module).__name__
        blind = sum(row.macs for row in report if row.kind in ELEMENTWISE)
        for path, m in it.module.named_modules():
            key = f"{root}.{path}" if path else root
            own = [row for row in report if row.name == path or row.name.startswith(f"{path}_")]
            if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd)) and path in rows and key in counter.flop_counts:
                measured = sum(counter.flop_counts[key].values()) // 2
                used = [r for r in own if r.name == path or r.shared_with == path]
                yield compared("macs", path, "multiply-adds", sum(r.macs for r in used), measured)
        total = sum(counter.flop_counts["Global"].values()) // 2
        note = f"{blind:,} more are elementwise to PyTorch" if blind else ""
        yield compared("macs", "", "multiply-adds that flop_counter sees", report.totals.macs - blind, total, note)


def _dims(tensor: Tensor, shape: Shape, report: Report) -> tuple[int, ...]:
    """The sizes of a tensor without its batch, as its node has them: with the axis of channels, with windows apart."""
    dims = tuple(tensor.shape)
    right = tuple(int(n) for n in shape.dims)
    if right[:1] == (1,) and dims[1:] == right[1:]:
        return right
    windows = dims[0] // report.batch  # a module may put windows, one axis or several, into its batch
    runs = ((i, j) for i in range(len(right)) for j in range(i + 1, len(right) + 1))
    if windows > 1 and any(prod(right[i:j]) == windows and right[:i] + right[j:] == dims[1:] for i, j in runs):
        return right
    return dims[1:]


def _parameters(report: Report, it: Subject) -> Iterator[Finding]:
    params = sum(p.numel() for p in it.module.parameters())
    learned = sum(p.numel() for p in it.module.parameters() if p.requires_grad)
    unused = dict(it.source.unused)
    idle = sum(p.numel() for n, p in it.module.named_parameters() if _written(n) in unused and p.requires_grad)
    note = f"{sum(unused.values()):,} more are not used" if unused else ""
    yield compared("params", "", "parameters", report.totals.params, params - sum(unused.values()), note)
    yield compared("params", "", "parameters that get a gradient", report.totals.trainable, learned - idle)


def _written(path: str) -> str:
    return ".".join(part for part in path.split(".") if part != "_orig_mod")


@contextmanager
def _unfused() -> Iterator[None]:
    """Attention and recurrent layers by their products, which the counter and derivatives see; without warnings of the
    module's own."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    mha: Any = torch.backends.mha
    fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with _quiet(), sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        mha.set_fastpath_enabled(fast)


# --- receptive fields -------------------------------------------------------------------------------------------

_SAME = frozenset(
    [
        *("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "hardswish_", "hardsigmoid", "clamp"),
        *("clamp_", "clip", "abs", "threshold", "softshrink", "hardshrink", "rrelu", "round", "floor", "ceil"),
        "clamp_min",
    ]
)
_POOLS = {"max_pool1d": "avg_pool1d", "max_pool2d": "avg_pool2d", "max_pool3d": "avg_pool3d"}
_ADAPTIVE = {f"adaptive_max_pool{n}d": f"adaptive_avg_pool{n}d" for n in (1, 2, 3)}
_BLIND = frozenset(["argmax", "argmin", "topk", "sort", "argsort", "max", "min", "gt", "lt", "ge", "le", "eq", "sign"])


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


def receptive(report: Report, it: Subject, tick: Tick) -> Iterator[Finding]:
    """Chosen units of the last maps, pixel by pixel, and what the summary claims of them."""
    first = next(iter(it.source.call.leaves))
    if not first.dtype.is_floating_point:
        yield Finding("receptive_field", "", "units", None, None, UNSEEN, "", "its first input is no real numbers")
        return
    for other in list(report.inputs)[1:]:
        why = f"gradients are taken by the first input, {next(iter(report.inputs))}, only"
        yield Finding("receptive_field", "", f"what is seen of {other}", None, None, UNSEEN, "", why)
    tick("gradients of the module")
    try:
        module = positive(deepcopy(it.module))
        args, kwargs = it.inputs(report, torch.float64, positive=True)
        x = next(_returned((*args, *kwargs.values()))).requires_grad_()
        names = {r.name for r in report}
        with Checkpoints(plain=True), StandIn() as mode, _Hooked(module, names) as hooked, _unfused():
            result = module(*args, **kwargs)
    except Exception as error:
        why = f"the module does not run in float64: {type(error).__name__}: {str(error).splitlines()[0][:120]}"
        yield Finding("receptive_field", "", "units", None, None, UNSEEN, "", why)
        return
    there = hooked.found | outputs(it, result)
    told = f"with {', '.join(sorted(mode.replaced))} replaced by what has a derivative" if mode.replaced else ""
    for name in gradient.chosen_nodes(report):
        field = report[name].receptive_field
        field = next(iter(field.values())) if isinstance(field, dict) else field
        shape = report[name].shape
        if name not in there or there[name].dim() != len(shape.dims) + 1:
            yield Finding("receptive_field", name, "units", None, None, UNSEEN, "", "no layer or output gives it")
            continue
        if field.status in ("unknown", "needs_input_size"):
            yield Finding("receptive_field", name, "units", None, None, UNSEEN, "", f"the answer is {field.status}")
            continue
        yield from _units(report, name, field, there[name], x, tuple(mode.blind), told)


def _units(
    report: Report, name: str, field: Any, value: Tensor, x: Tensor, blind: Sequence[str], told: str
) -> Iterator[Finding]:
    shape, source = report[name].shape, report.shapes[0]
    period = [1 if w is None else w.period for w in field.windows]
    units = gradient.chosen_units(shape.spatial, period)
    walk = regions(report, name)
    seen: dict[gradient.Unit, set[gradient.Unit]] = {}
    for unit, pixels in zip(units, gradient.derivatives(value, x, shape, source, units), strict=True):
        seen[unit] = pixels
        region = walk.unit(unit)
        right, found = set(region.pixels()), gradient.summary(pixels)
        finding = compared(
            "receptive_field",
            name,
            f"unit {','.join(map(str, unit))} on {source}",
            str(gradient.of_region(region)),
            str(found),
            told,
        )
        if right == pixels:
            yield finding
        elif pixels < right and (field.status == "bounded" or blind):
            why = "no unit sees more" if field.status == "bounded" else f"no derivative passes through {blind[0]}"
            yield finding._replace(verdict=BOUNDED, bound=why)
        else:
            lost, new = len(right - pixels), len(pixels - right)
            yield finding._replace(
                verdict=DISAGREES, note=f"{lost:,} pixels have no derivative, {new:,} others have one. {told}".strip()
            )
    yield from gradient.claims(report, name, field, seen, blind)


# --- training ----------------------------------------------------------------------------------------------------


def training(report: Report, it: Subject, tick: Tick) -> Iterator[Finding]:
    """One step of training of the module: what is kept, gradients, the state of two optimizers."""
    tick("one forward pass of the module in training mode")
    module = it.module.to(saved.DTYPES.get(report.dtype, torch.float32)).train()
    args, kwargs = it.inputs(report, saved.DTYPES.get(report.dtype))
    predicted = sum(k.total(report.itemsize, report.batch, "cpu") for k in report.kept)
    figure = f"kept for backward, training mode, batch {report.batch}"
    found: dict[int, int] = {}
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found.setdefault(storage.data_ptr(), storage.nbytes())
            alive.append(tensor.detach())
        return tensor

    for t in _returned((*args, *kwargs.values())):
        if t.is_floating_point():
            t.requires_grad_()
    again = Checkpoints()
    try:
        with again, _quiet(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            result = list(_returned(module(*args, **kwargs)))
    except ValueError as error:
        if not saved.refused(error):
            raise
        yield Finding("saved_bytes", "", figure, predicted, None, UNSEEN, "", saved.refusal(error))
        return
    measured = sum(found.values())
    excuse = "parts are computed again in the backward pass (checkpointed)" if again.used else ""
    if any(not p.requires_grad for p in module.parameters()):
        excuse = excuse or "frozen layers keep less"
    finding = compared("saved_bytes", "", figure, predicted, measured)
    if finding.verdict == DISAGREES:
        excuse = excuse if measured < predicted else ""
        bound = excuse or "how the module's own code composes its operators decides what each of them keeps"
        finding = finding._replace(verdict=BOUNDED, bound=bound)
    yield finding
    tick("the backward pass of the module")
    outs = [y for y in result if y.requires_grad]
    if not outs:
        return
    sum(((y.abs() if y.is_complex() else y).float().sum() for y in outs), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    learned = [p for p in module.parameters() if p.requires_grad and p.grad is not None]
    unused = dict(it.source.unused)
    idle = sum(
        p.numel()
        for n, p in module.named_parameters()
        if p.requires_grad and p.grad is None and _written(n) not in unused
    )
    size = (report.totals.trainable - idle) * report.itemsize
    gradients = sum(p.grad.numel() * p.grad.element_size() for p in learned if p.grad is not None)
    note = f"{idle * report.itemsize:,} bytes of parameters that no output depends on have none" if idle else ""
    yield compared("saved_bytes", "", "gradients", size, gradients, note)
    if learned:
        yield from saved.optimizers(learned, size, tick)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield
