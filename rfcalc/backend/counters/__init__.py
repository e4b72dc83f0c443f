"""What counting tools print for a module: each tool's own rules, at what it really hooks.

1. thop and torchinfo hook modules by their class: the module runs once without gradients, in evaluation mode.
2. ptflops hooks modules by their class and replaces functions of `torch.nn.functional` and `torch`; calflops replaces
   more functions, and hooks recurrent layers: the module runs once with gradients, as it does in them. They do not see
   what is imported by name (``from torch.nn.functional import relu``) or written as an operator (``x + y``, ``a @ b``).
3. fvcore reads the operators of a trace; torch's own counter sees what PyTorch dispatches to in that second run.
4. A module that is reached on two paths counts as often as the tool walks over it.

The module runs on a copy. A rule that the tool itself would stop at (an argument it does not know) stops the tool here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rfcalc.backend.counters import functions, modules, operators
from rfcalc.backend.verify.itself import MeasuredModule, subject
from rfcalc.readers.torch.recording import record
from rfcalc.report import Report

NOT_KNOWN = {
    "onnx-tool": "it counts the operators of the exported file",
    "torchscan": "its figures are partial wherever it does not know a layer",
}


class Tally(NamedTuple):
    """What a tool prints: amounts by the module's path and what was hooked (a class, a function, an operator).

    `why`: why nothing is known of it; then `amounts` is empty.
    """

    amounts: dict[tuple[str, str], int]
    why: str = ""

    @property
    def total(self) -> int:
        return sum(self.amounts.values())

    def terms(self) -> dict[str, int]:
        """The sums by what was hooked, largest first."""
        found: dict[str, int] = {}
        for (_, term), amount in self.amounts.items():
            found[term] = found.get(term, 0) + amount
        return dict(sorted(((k, v) for k, v in found.items() if v), key=lambda pair: -pair[1]))


class Counting:
    """Amounts of one tool as they come in; it stops at the first rule that fails, as the tool does."""

    def __init__(self) -> None:
        self.amounts: dict[tuple[str, str], float] = {}
        self.why = ""

    def add(self, path: str, term: str, rule: Callable[[], float]) -> None:
        if self.why:
            return
        try:
            self.amounts[path, term] = self.amounts.get((path, term), 0) + rule()
        except Exception as error:
            self.why = f"it stops at {term} of {path or 'the module'}: {type(error).__name__}"

    def tally(self, times: dict[str, int] | None = None) -> Tally:
        if self.why:
            return Tally({}, self.why)
        found = {}
        for (path, term), amount in self.amounts.items():
            found[path, term] = int(amount) * (1 if times is None else times.get(path, 0))
        return Tally(found)


def tallies(report: Report) -> dict[str, Tally] | None:
    """What each tool prints for the module that a report's network was read from; None where there is none."""
    it = subject(report)
    if it is None:
        return None
    it.module.eval()
    found = {name: Tally({}, why) for name, why in NOT_KNOWN.items()}
    for run in (_by_classes, _by_functions):
        names = ("thop", "torchinfo") if run is _by_classes else ("torch", "ptflops", "calflops")
        try:
            found.update(run(it, report))
        except Exception as error:
            why = f"the module does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
            found.update({name: Tally({}, why) for name in names})
    found["fvcore"] = _by_operators(it)
    return found


def _by_classes(it: MeasuredModule, report: Report) -> dict[str, Tally]:
    thop, torchinfo = Counting(), Counting()

    def see(path: str, m: nn.Module, args: Any, out: Any) -> None:
        term = type(m).__name__
        rule = modules.rule_of(modules.THOP, m)
        if rule is not None:
            thop.add(path, term, lambda: rule(m, args, out))
        if modules.is_leaf(m):
            torchinfo.add(path, term, lambda: modules.by_parameters(m, out))

    with torch.no_grad(), _hooked(it.module, see):
        _run(it, report)
    hooks = modules.held(it.module)
    times = {path: n * hooks[path] for path, n in modules.visits(it.module, modules.THOP).items()}
    return {"thop": thop.tally(times), "torchinfo": torchinfo.tally()}


def _by_functions(it: MeasuredModule, report: Report) -> dict[str, Tally]:
    ptflops, calflops = Counting(), Counting()
    inside: list[str] = []

    def before(path: str, m: nn.Module) -> None:
        if not modules.recurrent(m):
            inside.append(path)

    def see(path: str, m: nn.Module, args: Any, out: Any) -> None:
        term = type(m).__name__
        rule = modules.rule_of(modules.PTFLOPS, m)
        if rule is not None:
            ptflops.add(path, term, lambda: rule(m, args, out))
        if modules.recurrent(m):
            calflops.add(path, term, lambda: modules.recurrent_flops(m, args))
        elif inside:
            inside.pop()

    def called(tool: str, name: str, rule: Callable[..., float], args: Any, kwargs: Any) -> None:
        if tool == "ptflops":
            ptflops.add("", name, lambda: rule(*args, **kwargs))
        elif inside:
            calflops.add(inside[-1], name, lambda: rule(*args, **kwargs))

    counter = FlopCounterMode(display=False)
    with torch.enable_grad(), _hooked(it.module, see, before), functions.replaced(called), counter:
        _run(it, report)
    seen = {(("", str(op).removeprefix("aten."))): n for op, n in counter.flop_counts["Global"].items()}
    times = {"": 1, **modules.visits(it.module, modules.PTFLOPS)}
    return {
        "torch": Tally(seen),
        "ptflops": ptflops.tally(times),
        "calflops": calflops.tally(modules.visits(it.module, {})),
    }


def _by_operators(it: MeasuredModule) -> Tally:
    fvcore = Counting()
    for step in record(it.source.module, it.source.call, False).steps:
        rule = operators.FVCORE.get(step.name)
        if rule is not None:
            fvcore.add(step.frame.path, step.name, lambda rule=rule, step=step: rule(step.args, step.out))  # type: ignore[misc]
    return fvcore.tally()


def _run(it: MeasuredModule, report: Report) -> None:
    args, kwargs = it.inputs(report)
    it.module(*args, **kwargs)


@contextmanager
def _hooked(
    module: nn.Module,
    see: Callable[[str, nn.Module, Any, Any], None],
    before: Callable[[str, nn.Module], None] | None = None,
) -> Iterator[None]:
    """Hooks on every module, a module on its first path."""
    with ExitStack() as stack:
        for path, m in module.named_modules():
            if before is not None:
                start = m.register_forward_pre_hook(lambda m, args, path=path: before(path, m))
                stack.callback(start.remove)
            end = m.register_forward_hook(lambda m, args, out, path=path: see(path, m, args, out))
            stack.callback(end.remove)
        yield
