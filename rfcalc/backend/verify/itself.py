"""The user's own module, beside what was read of it: no network is rebuilt.

1. It runs on a copy, on the CPU, in evaluation mode; the module that was given is left alone.
2. Shapes are those that PyTorch's own layers give (by hooks) and those of what the module returns; multiply-adds are
   those of PyTorch's counter, attention without fused kernels.
3. What is kept for backward, gradients and the state of optimizers are those of a step of training.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rfcalc.backend.verify import saved
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding, compared
from rfcalc.core.aside import printed_aside
from rfcalc.core.errors import RfcalcError
from rfcalc.graph.autograd import kept
from rfcalc.report import Report, Row

Tick = Callable[[str], None]
# kinds whose multiply-adds are elementwise to PyTorch
ELEMENTWISE = ("rbf", "scale", "avgpool")


class MeasuredModule(NamedTuple):
    """A module that may be changed, and what it was called with when it was read."""

    module: nn.Module
    source: Any

    def inputs(
        self,
        report: Report,
        dtype: torch.dtype | None = None,
        positive: bool = False,
        seen: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> tuple[Any, Any]:
        """Arguments with values: random numbers, zeros for integers, the values that were given.

        `seen` is called with each tensor of random numbers, and gives the one that the module gets.
        """
        generator = torch.Generator().manual_seed(0)

        def make(leaf: Any) -> Tensor:
            shape = (report.batch, *leaf.shape[1:])
            if leaf.value is not None:
                return torch.full(shape, leaf.value, dtype=leaf.dtype)
            if not (leaf.dtype.is_floating_point or leaf.dtype.is_complex):
                return torch.zeros(shape, dtype=leaf.dtype)
            x = torch.rand(shape, generator=generator) + 0.5 if positive else torch.randn(shape, generator=generator)
            return seen(x.to(leaf.dtype if dtype is None or leaf.dtype.is_complex else dtype))

        args, kwargs = self.source.call.filled(make)
        return args, kwargs


def subject(report: Report) -> MeasuredModule | None:
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
    return MeasuredModule(module.train(source.training), source)


def _computed(module: nn.Module) -> dict[int, Any]:
    """Tensors that modules computed from parameters and keep, as `weight_norm` does: copy.deepcopy refuses them."""
    kept = [t for m in module.modules() for t in vars(m).values() if isinstance(t, Tensor) and t.grad_fn is not None]
    return {id(t): t.detach().clone() for t in kept}


# --- shapes, parameters, multiply-adds ----------------------------------------------------------------------------


class Hooked:
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

    def __enter__(self) -> Hooked:
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()


def returned(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from returned(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from returned(v)
    elif hasattr(value, "__dataclass_fields__"):
        for key in value.__dataclass_fields__:
            yield from returned(getattr(value, key))


def outputs(it: MeasuredModule, result: Any) -> dict[str, Tensor]:
    """What the module returns, by the names of the nodes that make it, with the batch in front."""
    found: dict[str, Tensor] = {}
    for tensor, (name, batch) in zip(returned(result), it.source.returned, strict=False):
        if name is not None:
            found[name] = tensor[None] if batch is None else tensor.movedim(batch, 0)
    return found


def counted(report: Report, it: MeasuredModule, what: frozenset[str], tick: Tick) -> Iterator[Finding]:
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
    try:
        with Hooked(it.module, set(rows)) as hooked, torch.no_grad(), unfused(), counter:
            result = it.module(*args, **kwargs)
    except Exception as error:
        raise RfcalcError(
            "the module runs without data, but not on values, so it is not measured",
            where=type(it.module).__name__,
            why=f"{reason(error)} (random numbers were given, and zeros for integers)",
            fix="give a value to an input that takes only some (--input name=7)",
        ) from error
    for n, p in it.module.named_parameters():
        p.requires_grad_(n in before)
    if "shapes" in what:
        seen = hooked.found | outputs(it, result)
        for name, row in rows.items():
            if name in seen:
                yield compared("shapes", name, "output", tuple(row.shape.dims), _dims(seen[name], row, report))
    if "macs" in what:
        root = type(it.module).__name__
        blind = sum(row.macs for row in report if row.kind in ELEMENTWISE)
        modules = dict(it.module.named_modules())
        used: Counter[str] = Counter()
        for row in report:
            for path in _modules(row, modules):
                used[path] += row.macs
        for path, m in modules.items():
            key = f"{root}.{path}" if path else root
            if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd)) and path in rows and key in counter.flop_counts:
                measured = sum(counter.flop_counts[key].values()) // 2
                yield compared("macs", path, "multiply-adds", used[path], measured)
        total = sum(counter.flop_counts["Global"].values()) // 2
        note = f"{blind:,} more are elementwise to PyTorch" if blind else ""
        yield compared("macs", "", "multiply-adds that flop_counter sees", report.totals.macs - blind, total, note)


def _modules(row: Row, modules: Container[str]) -> Iterator[str]:
    """The modules that a node is part of: ``fc`` of ``fc.matmul``, in every call (``fc_2``)."""
    if row.shared_with is not None and row.name.startswith(f"{row.shared_with}_"):
        yield row.shared_with
        return
    for end in (*(m.start() for m in re.finditer(r"\.", row.name)), len(row.name)):
        path = row.name[:end]
        yield path if path in modules else re.sub(r"_\d+$", "", path)


def _dims(tensor: Tensor, row: Row, report: Report) -> tuple[int, ...]:
    """The sizes of a tensor without its batch, as its node has them: with the axis of channels, with windows apart, and
    the axis that a linear layer works on as the last one (a 1 x 1 convolution over tokens has it first)."""
    dims = tuple(tensor.shape)
    right = tuple(int(n) for n in row.shape.dims)
    if row.kind == "linear" and right == (*dims[2:], dims[1]):
        return right
    if right[:1] == (1,) and dims[1:] == right[1:]:
        return right
    windows = dims[0] // report.batch  # a module may put windows, one axis or several, into its batch
    runs = ((i, j) for i in range(len(right)) for j in range(i + 1, len(right) + 1))
    wide = [n for n in dims[1:] if n != 1]
    if windows > 1 and any(
        prod(right[i:j]) == windows and [n for n in right[:i] + right[j:] if n != 1] == wide for i, j in runs
    ):
        return right
    return dims[1:]


def _parameters(report: Report, it: MeasuredModule) -> Iterator[Finding]:
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
def unfused() -> Iterator[None]:
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


# --- training ----------------------------------------------------------------------------------------------------


def training(report: Report, it: MeasuredModule, tick: Tick) -> Iterator[Finding]:
    """One step of training of the module: what is kept, gradients, the state of two optimizers."""
    tick("one forward pass of the module in training mode")
    dtype = saved.DTYPES.get(report.dtype)
    module = it.module.to(dtype or torch.float32).train()
    again, idle = it.source.recomputed, _idle(report, module)
    predicted = sum(k.total(report.itemsize, report.batch, "cpu") for k in kept(report, again, idle))
    figure = f"kept for backward, training mode, batch {report.batch}"
    why = ["parts are computed again in the backward pass (checkpointed)"] * bool(again)
    why += ["the inputs of frozen linear layers are not needed"] * bool(idle)
    # A module may write into what it is given: not into what gets a gradient itself.
    args, kwargs = it.inputs(report, dtype, seen=lambda x: x.requires_grad_() * 1)
    try:
        with torch.enable_grad(), _quiet(), saved.keeping(module) as found:
            result = list(returned(module(*args, **kwargs)))
    except Exception as error:
        told = f"the module does not run in training mode: {reason(error)}"
        if isinstance(error, ValueError) and saved.refused(error):
            told = saved.refusal(error)
        yield Finding("saved_bytes", "", figure, predicted, None, UNSEEN, "", told)
        return
    finding = compared("saved_bytes", "", figure, predicted, sum(found.values()), "; ".join(why))
    if finding.verdict == DISAGREES:
        bound = "how the module's own code composes its operators decides what each of them keeps"
        finding = finding._replace(verdict=BOUNDED, bound=bound)
    yield finding
    tick("the backward pass of the module")
    outs = [y for y in result if y.requires_grad]
    if not outs:
        return
    total = sum(((y.abs() if y.is_complex() else y).float().sum() for y in outs), torch.zeros(()))
    try:
        with _quiet():
            total.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        yield Finding("saved_bytes", "", "gradients", None, None, UNSEEN, "", f"backward fails: {reason(error)}")
        return
    learned = [p for p in module.parameters() if p.requires_grad and p.grad is not None]
    unused = dict(it.source.unused)
    without = sum(
        p.numel()
        for n, p in module.named_parameters()
        if p.requires_grad and p.grad is None and _written(n) not in unused
    )
    size = (report.totals.trainable - without) * report.itemsize
    gradients = sum(p.grad.numel() * p.grad.element_size() for p in learned if p.grad is not None)
    note = f"{without * report.itemsize:,} bytes of parameters that no output depends on have none" if without else ""
    yield compared("saved_bytes", "", "gradients", size, gradients, note)
    if learned:
        yield from saved.optimizers(learned, size, tick)


def _idle(report: Report, module: nn.Module) -> frozenset[str]:
    """The nodes of linear layers whose weights get no gradient."""
    frozen = {n for n, m in module.named_modules() if isinstance(m, nn.Linear) and not m.weight.requires_grad}
    return frozenset(row.name for row in report if row.name in frozen or row.shared_with in frozen)


def reason(error: Exception) -> str:
    """An error of the module in a line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:120]}"


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), printed_aside():
        warnings.simplefilter("ignore")
        yield
