"""Run a module's own `forward` on inputs without data, and record every ATen operator that it calls (`recorder`).

The module is not changed (`untouched`): parameters are recognised by identity, hooks are the process's and are removed
again. What no input reaches is computed, and code may ask for its values; what hangs on the input has no values
(`disguise`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch.nn.modules import module as hooks
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from rfcalc.core import progress
from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import watching
from rfcalc.core.stand_ins import learned, standing_in
from rfcalc.readers.builder.values import Frame
from rfcalc.readers.torch.asserting import told
from rfcalc.readers.torch.checkpoints import Checkpoints
from rfcalc.readers.torch.disguise import Disguise
from rfcalc.readers.torch.given import ForwardCall, Leaf
from rfcalc.readers.torch.higher_order import plainly
from rfcalc.readers.torch.recorder import Operation as Operation
from rfcalc.readers.torch.recorder import Recorder, ValuesAsked, memory_of
from rfcalc.readers.torch.recorder import tensors as tensors
from rfcalc.readers.torch.refused import (
    at_fault,
    first_reader,
    other_axis,
    reads_sequences,
    size_that_runs,
    wrong_shape,
)
from rfcalc.readers.torch.refusing import caught, refusing
from rfcalc.readers.torch.scripted import as_written
from rfcalc.readers.torch.unchecked import cannot_run
from rfcalc.readers.torch.untouched import untouched


class Parts(NamedTuple):
    """The modules of a module by their paths, its parameters and buffers by their names: each walk goes through all
    modules, so they are looked for once."""

    modules: tuple[tuple[str, torch.nn.Module], ...]
    parameters: tuple[tuple[str, torch.nn.Parameter], ...]
    buffers: tuple[tuple[str, torch.Tensor], ...]

    @classmethod
    def of(cls, module: torch.nn.Module) -> Parts:
        return cls(tuple(module.named_modules()), tuple(module.named_parameters()), tuple(module.named_buffers()))

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        return tuple([t for _, t in (*self.parameters, *self.buffers)])


class Recording(NamedTuple):
    """What a run gave: steps in order, the inputs by name, the outputs, whether the module made parameters of its own
    while it ran, memory that was written to, assertions taken to hold, the steps (from, up to) that are computed again
    in the backward pass, the functions that define a derivative of their own, and the parts of the module."""

    steps: list[Operation]
    inputs: dict[str, torch.Tensor]
    outputs: list[torch.Tensor]
    grown: bool
    parts: Parts
    written: frozenset[int] = frozenset()
    assumed: tuple[str, ...] = ()
    once: frozenset[int] = frozenset()  # memory that holds what its only write left there
    sizes_asked: bool = True  # whether the code may have seen a size of what hangs on the input
    catches: bool = False  # whether the code may do something else where a layer refuses
    again: tuple[tuple[int, int], ...] = ()
    derived: tuple[str, ...] = ()


def record(module: torch.nn.Module, call: ForwardCall, training: bool, exact: bool = False) -> Recording:
    """Run `module` once on inputs of these shapes (with the batch) and dtypes; `exact`: everything that no input
    reaches is computed.

    Raises:
        RfcalcError: the module cannot be run without data, or not with these inputs; with torch's reason in a line.
    """
    if watching() is None:
        return _run(module, call, training, exact)
    for _ in range(MOST_STAND_INS):
        with standing_in() as found:
            try:
                recorded = _run(module, call, training, exact)
            except RfcalcError:
                if not learned(found):
                    raise
                continue
            if not learned(found):
                return recorded
    return recorded


MOST_STAND_INS = 4  # runs in which code is found to hide lengths


def _run(module: torch.nn.Module, call: ForwardCall, training: bool, exact: bool) -> Recording:
    try:
        return _recorded(module, call, training, exact)
    except NoValues:  # perhaps of something large that no input reaches
        try:
            return _recorded(module, call, training, exact=True)
        except NoValues as asked:
            raise asked.told from asked


class NoValues(Exception):
    """Values were asked for that are not there; `told` is what is said of it."""

    def __init__(self, told: RfcalcError) -> None:
        super().__init__(str(told))
        self.told = told


def _recorded(module: torch.nn.Module, call: ForwardCall, training: bool, exact: bool) -> Recording:
    parts = Parts.of(module)
    home = next((t.device for t in parts.tensors if not t.is_meta), torch.device("cpu"))
    recorder = Recorder(home, frozenset([memory_of(p) for _, p in parts.parameters]), exact, training)
    disguise = Disguise(recorder, caught)
    with ExitStack() as stack:
        stack.enter_context(untouched(module))
        stack.callback(recorder.restore)
        if not training:
            for _, m in parts.modules:  # by the flag alone: eval() may be overridden
                if getattr(m, "training", False):
                    m.training = False
        stack.enter_context(_paths(parts.modules, recorder))
        stack.enter_context(uncompiled())
        stack.enter_context(_plain_attention())
        stack.enter_context(plainly(disguise.blank))
        stack.enter_context(torch.no_grad())
        given: dict[str, torch.Tensor] = {}

        def make(leaf: Leaf) -> torch.Tensor:
            given[leaf.name] = torch.empty(leaf.shape, dtype=leaf.dtype, device="meta")
            return given[leaf.name]

        args, kwargs = call.filled(make)
        checkpoints = stack.enter_context(Checkpoints(plain=True, now=lambda: len(recorder.steps)))
        try:
            stack.enter_context(_python_dispatcher())
            disguise.given = {id(tensor): name for name, tensor in given.items()}
            stack.enter_context(_called_at_once())
            stack.enter_context(as_written())
            with recorder, disguise:
                result = module(*args, **kwargs)
            disguise.goes_on()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a forward may even leave, or raise what is no Exception
            failed = _failed(error, recorder, given, module, call)
            failed.reached, failed.looking = len(recorder.steps), disguise
            if isinstance(error, ValuesAsked) or type(error).__name__ in _DYNAMIC:
                raise NoValues(failed) from error
            refuses = isinstance(error, Exception) and not isinstance(error, (MemoryError, RecursionError))
            if disguise.watched is not None and refuses:
                refusing(disguise, error)
                failed.ran = Recording(
                    recorder.steps, given, [], False, parts, frozenset(recorder.written), once=recorder.once
                )
            raise failed from error
        reader = first_reader(recorder.steps, given, call)
        mistake = wrong_shape(reader, call) if reader is not None and reader.axes else None
        for i, step in enumerate(recorder.steps):  # without data, PyTorch lets some pass
            if mistake is None and (wrong := cannot_run(step, recorder.written)) is not None:
                mistake = other_axis(recorder.steps[: i + 1], given, call) or wrong
        if mistake is not None:
            raise mistake.at(type(module).__name__)
        grown = len(list(module.parameters())) > len(parts.parameters)
    outputs = list(outputs_of(result))
    if not outputs:
        raise RfcalcError(
            "the module returns no tensor", why=f"it returns {type(result).__name__}", fix="wrap it so that it does"
        )
    return Recording(
        recorder.steps,
        given,
        outputs,
        grown,
        parts,
        frozenset(recorder.written),
        tuple(disguise.assumed),
        recorder.once,
        disguise.sizes_asked
        or disguise.catching
        or any(isinstance(m, torch.jit.ScriptModule) for _, m in parts.modules),
        disguise.catching,
        tuple(checkpoints.runs),
        tuple(checkpoints.derived),
    )


def _python_dispatcher() -> Any:
    from torch._dispatch.python import enable_python_dispatcher

    return enable_python_dispatcher()


@contextmanager
def _called_at_once() -> Iterator[None]:
    """Meanwhile a recorder is called with an operator's arguments as they are: before it calls a mode, PyTorch takes
    all of them apart, to tell the types of tensors that have a mode of their own, which a recorder does not ask for.
    That costs as much as what the recorder does itself."""
    utils: Any = torch._library.utils
    usual = getattr(utils, "handle_dispatch_mode", None)
    if usual is None:  # another version of PyTorch
        yield
        return

    def handle_dispatch_mode(mode: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        if type(mode) is Recorder:
            return mode.__torch_dispatch__(func, (), args, kwargs)
        return usual(mode, func, *args, **kwargs)

    utils.handle_dispatch_mode = handle_dispatch_mode
    try:
        yield
    finally:
        utils.handle_dispatch_mode = usual


def lazy(module: torch.nn.Module) -> bool:
    """Whether it has parameters or buffers whose shape is not known yet."""
    return any(is_lazy(t) for t in (*module.parameters(), *module.buffers()))


def materialized(module: torch.nn.Module, call: ForwardCall) -> torch.nn.Module:
    """A copy without data that has run once on inputs of these shapes, and so has all of its parameters.

    >>> lazy = torch.nn.LazyConv2d(8, 3)
    >>> materialized(lazy, ForwardCall((Leaf("input", (1, 3, 32, 32), torch.float32),), {})).weight.shape, lazy
    (torch.Size([8, 3, 3, 3]), LazyConv2d(0, 8, kernel_size=(3, 3), stride=(1, 1)))
    """
    held = [*module.parameters(), *module.buffers()]
    given = {leaf.name: torch.empty(leaf.shape, dtype=leaf.dtype, device="meta") for leaf in call.leaves}
    args, kwargs = call.filled(lambda leaf: given[leaf.name])
    recorder = Recorder(torch.device("meta"), frozenset(), exact=False)
    try:
        made = deepcopy(module, {id(t): _bare(t) for t in held})
        for m in made.modules():
            m.training = False
        with (
            _paths(made.named_modules(), recorder),
            torch.no_grad(),
            torch.device("meta"),
            _python_dispatcher(),
            recorder,
        ):
            made(*args, **kwargs)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise _failed(error, recorder, given, module, call) from error
    modes = {path: m.training for path, m in module.named_modules()}
    for path, m in made.named_modules():
        m.training = modes.get(path, module.training)
    return made


def _bare(t: Any) -> torch.Tensor:
    """The same parameter or buffer without data."""
    parameter = isinstance(t, torch.nn.Parameter)
    if is_lazy(t):
        kind: Any = UninitializedParameter if parameter else UninitializedBuffer
        return kind(requires_grad=t.requires_grad, device="meta", dtype=t.dtype)  # type: ignore[no-any-return]
    bare = torch.empty_like(t, device="meta")
    return torch.nn.Parameter(bare, t.requires_grad) if parameter else bare


@contextmanager
def _paths(modules: Iterable[tuple[str, torch.nn.Module]], recorder: Recorder) -> Iterator[None]:
    """Keep the path of the module that is running, with hooks of the process, not of the module."""
    known = {id(m): (written(path), next(m.children(), None) is None) for path, m in modules}

    def before(m: torch.nn.Module, args: Any) -> None:
        progress.at("running the module without data: operators", len(recorder.steps))
        found = known.get(id(m))
        recorder.stack.append(recorder.stack[-1] if found is None else Frame(*found))

    def after(m: torch.nn.Module, args: Any, result: Any) -> None:
        recorder.stack.pop()

    handles = [hooks.register_module_forward_pre_hook(before), hooks.register_module_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def uncompiled() -> Iterator[None]:
    """Modules and functions under `torch.compile` run as they are written."""
    stance = getattr(torch.compiler, "set_stance", None)  # from PyTorch 2.6
    if stance is None or "torch._dynamo" not in sys.modules:  # nothing is compiled
        yield
        return
    with stance("force_eager"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using `torch.compile")  # it does not like hooks of the process
        yield


def written(path: str) -> str:
    """A module's or a parameter's path without what `torch.compile` puts around modules.

    >>> written("_orig_mod.layer1._orig_mod.conv")
    'layer1.conv'
    """
    return ".".join(part for part in path.split(".") if part != "_orig_mod")


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without the fused kernels of nn.MultiheadAttention, which hide what they do."""
    mha = getattr(torch.backends, "mha", None)
    if mha is None:
        yield
        return
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def outputs_of(result: Any) -> Iterator[torch.Tensor]:
    """The tensors of what a module returns."""
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from outputs_of(value)
    elif isinstance(result, (list, tuple)):
        for value in result:
            yield from outputs_of(value)
    elif hasattr(result, "__dataclass_fields__"):
        for key in result.__dataclass_fields__:
            yield from outputs_of(getattr(result, key))


_DYNAMIC = ("DataDependentOutputException", "DynamicOutputShapeException", "GuardOnDataDependentSymNode")


def _failed(
    error: BaseException,
    recorder: Recorder | None,
    given: Mapping[str, torch.Tensor],
    module: torch.nn.Module,
    call: ForwardCall,
) -> RfcalcError:
    """One message for whatever stopped the run: torch's reason in a line, and what to do."""
    path = "" if recorder is None else recorder.stack[-1].path
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:300]
    where = f"{type(module).__name__}" + (f" at {path}" if path else "")
    if isinstance(error, ValuesAsked) or type(error).__name__ in _DYNAMIC:
        line = _line(error)
        return RfcalcError(
            "what it does depends on the values of its input, not on their shapes alone",
            where=where,
            why=f"it asks for {error} of them: {line}" if isinstance(error, ValuesAsked) else f"{reason}: {line}",
            fix="read the parts on either side of it by themselves: from_torch(module.backbone, …)",
        )
    if isinstance(error, RfcalcError):
        return error
    integers = next((leaf for leaf in call.leaves if leaf.dtype.is_floating_point), None)
    if "indices" in reason and "Long" in reason + str(error) and integers is not None:
        given_none = any("none was given" in note for note in call.notes)
        shape = "16" if given_none else "x".join(map(str, integers.shape[1:]))
        return RfcalcError(
            f"it does not run on {call.told}",
            where=where,
            why="it looks its input up in a table: these are integers",
            fix=f"--input int64:{shape}" if integers.name == "input" else f"--input {integers.name}=int64:{shape}",
        )
    training = "Expected more than 1 value per channel" in reason
    stopped = None if recorder is None else recorder.stopped
    reader = None
    if recorder is not None and stopped is not None:
        reader = first_reader([*recorder.steps, stopped], given, call)
        moved = other_axis([*recorder.steps, stopped], given, call)
        mistake = wrong_shape(reader, call) or moved or at_fault(stopped)
        if mistake is not None:
            return mistake.at(where)
    before = next(iter(recorder.steps if recorder is not None else ()), None)
    if reader is None and (before is None or before.frame.path.startswith(path)):  # nothing was done to the input
        mistake = reads_sequences(_submodule(module, path), call)
        if mistake is not None:
            return mistake.at(where)
    failed = RfcalcError(
        f"it does not run on {call.told}",
        where=where,
        why=reason,
        fix="read it in evaluation mode, which is the default"
        if training
        else "give the input that it was made for: --input CHANNELSxHEIGHTxWIDTH without the batch; name=… for several",
    )
    if not training:
        failed.asked = (module, call.shapes)
        failed.advice = lambda: size_that_runs(reader, call, stopped, lambda other: _runs(module, other))
    return failed


def _submodule(module: torch.nn.Module, path: str) -> torch.nn.Module:
    """The part of a module with this name; the module itself where there is none."""
    try:
        return module.get_submodule(path)
    except AttributeError:
        return module


def _runs(module: torch.nn.Module, call: ForwardCall) -> bool:
    try:
        record(module, call, training=False)
    except RfcalcError:
        return False
    return True


def _line(error: BaseException) -> str:
    """The line of the user's code that an error comes from: the innermost one that is not torch's or rfcalc's."""
    found = ""
    at = error.__traceback__
    while at is not None:
        name = at.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in ("torch", "rfcalc", "contextlib"):
            found = told(at.tb_frame, at.tb_lineno)
        at = at.tb_next
    return found or "in torch"
