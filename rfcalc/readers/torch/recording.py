"""Run a module's own `forward` on tensors without data, and record every ATen operator that it calls.

The recorder stands where `torch.export` stands (before composite operators are decomposed, tensors faked), so that a
convolution, a linear layer, an attention product is one step; it makes no graph of its own and is several times faster.
The module is not changed: parameters are recognised by identity, the mode and what `forward` sets are put back, hooks
are the process's and are removed again; nothing is allocated and nothing computed.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy, deepcopy
from typing import Any, NamedTuple, TypeAlias

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
from torch.nn.modules import module as hooks
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.builder.values import Frame

Given: TypeAlias = "Mapping[str, tuple[tuple[int, ...], torch.dtype]]"


class Step(NamedTuple):
    """One operator that was called: its name (``conv2d``), its arguments by their names, what came out, and where."""

    name: str
    overload: str
    args: Mapping[str, Any]
    out: Any
    frame: Frame
    views: bool  # whether its result shares memory with its first argument
    writes: bool  # whether it writes over its first argument

    @property
    def operator(self) -> str:
        return f"aten.{self.name}" if self.overload != "" else self.name


class Recording(NamedTuple):
    """What a run gave: steps in order, the inputs by name, the outputs (with names where the module gives them), and
    whether the module made parameters of its own while it ran."""

    steps: list[Step]
    inputs: dict[str, torch.Tensor]
    outputs: list[tuple[str, torch.Tensor]]
    grown: bool


class Recorder(ProxyTorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode at the key that `torch.export` records at. Only its place is inherited, no behaviour."""

    def __init__(self, mode: FakeTensorMode) -> None:
        TorchDispatchMode.__init__(self, torch._C.DispatchKey.PreDispatch)  # type: ignore[no-untyped-call]
        self.pre_dispatch = True
        self.mode = mode
        self.steps: list[Step] = []
        self.stack: list[Frame] = [Frame("", False)]

    def __enter__(self) -> Any:
        return TorchDispatchMode.__enter__(self)  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> Any:
        return TorchDispatchMode.__exit__(self, *error)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        schema = getattr(func, "_schema", None)
        if schema is not None and _known(func, schema).writes and not isinstance(args[0], FakeTensor):
            args = (self.mode.from_tensor(args[0]), *args[1:])  # the module's own memory is not written to
        out = _walked(schema, args) or func(*args, **kwargs)
        if schema is None:  # a higher-order operator
            given = {str(i): a for i, a in enumerate(args)} | dict(kwargs)
            self.steps.append(Step(str(func), "", given, out, self.stack[-1], False, False))
            return out
        known = _known(func, schema)
        bound = dict(known.defaults)
        bound.update(zip(known.names, args, strict=False))
        bound.update(kwargs)
        self.steps.append(Step(known.name, known.overload, bound, out, self.stack[-1], known.views, known.writes))
        return out


def _walked(schema: Any, args: Any) -> Any:
    """What a recurrent layer gives, without the many steps that it is decomposed into; None for everything else.

    It gives the states at all positions, and for each layer and direction the last one (of an LSTM, the cells too).
    """
    if schema is None or schema.name not in _RECURRENT or schema.overload_name != "input":
        return None
    x, _, params, biases, layers, _, _, both, batch_first = args
    ways = 2 if both else 1
    if len(params) != (4 if biases else 2) * ways * layers:
        return None  # with a projection
    hidden = params[1].shape[1]
    rows = x.shape[0 if batch_first else 1]
    state = x.new_empty(ways * layers, rows, hidden)
    out = x.new_empty(*x.shape[:2], ways * hidden)
    return (out, state, x.new_empty(state.shape)) if schema.name == "aten::lstm" else (out, state)


_RECURRENT = ("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu")


class _Known(NamedTuple):
    """What is asked of an operator's schema, once for each operator."""

    name: str
    overload: str
    names: tuple[str, ...]
    defaults: dict[str, Any]
    views: bool
    writes: bool


_OPERATORS: dict[Any, _Known] = {}


def _known(func: Any, schema: Any) -> _Known:
    found = _OPERATORS.get(func)
    if found is None:
        namespace, _, name = schema.name.partition("::")
        returned = [r.alias_info for r in schema.returns]
        names = tuple(a.name for a in schema.arguments)
        defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        written = any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)
        seen = any(a is not None and not a.is_write for a in returned)
        full = name if namespace == "aten" else f"{namespace}.{name}"
        found = _OPERATORS[func] = _Known(full, func._overloadname, names, defaults, seen, written)
    return found


def record(module: torch.nn.Module, inputs: Given, training: bool) -> Recording:
    """Run `module` once on inputs of these shapes (with the batch) and dtypes.

    Raises:
        RfcalcError: the module cannot be run without data, or not with these inputs; with torch's reason in a line.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise RfcalcError(
            "a scripted module cannot be read", why="its code runs outside Python", fix="give the module it was made of"
        )
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = Recorder(mode)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    count = len(list(module.parameters()))
    with ExitStack() as stack:
        stack.enter_context(_as_it_was(module))
        if not training:
            for m in module.modules():  # by the flag alone: eval() may be overridden
                m.training = False
        stack.enter_context(_paths(module, recorder))
        stack.enter_context(_uncompiled())
        stack.enter_context(_plain_attention())
        stack.enter_context(_quiet())
        stack.enter_context(torch.no_grad())
        stack.enter_context(mode)
        given = {n: torch.empty(s, dtype=d, device=device) for n, (s, d) in inputs.items()}
        try:
            stack.enter_context(_python_dispatcher())
            with recorder, _Lists():
                result = module(*given.values())
        except Exception as error:
            raise _failed(error, recorder.stack[-1].path, module, inputs) from error
        grown = len(list(module.parameters())) > count
    outputs = [(name, value) for name, value in _named(result) if isinstance(value, torch.Tensor)]
    if not outputs:
        raise RfcalcError(
            "the module returns no tensor", why=f"it returns {type(result).__name__}", fix="wrap it so that it does"
        )
    return Recording(recorder.steps, given, outputs, grown)


class _Lists(TorchFunctionMode):
    """Lists that code picks by (``x[:, [2, 0, 1]]``) keep their values where the map is on the meta device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.__getitem__ and args[0].is_meta:
            x, at = args
            if isinstance(at, list):
                at = (at,)
            if isinstance(at, tuple) and any(isinstance(i, list) for i in at):
                at = tuple(torch.tensor(i, device="cpu").to(x.device) if isinstance(i, list) else i for i in at)
            return func(x, at)
        return func(*args, **(kwargs or {}))


def _python_dispatcher() -> Any:
    from torch._dispatch.python import enable_python_dispatcher

    return enable_python_dispatcher()


@contextmanager
def _as_it_was(module: torch.nn.Module) -> Iterator[None]:
    """Put back what `forward` and hooks set on modules and in their lists and dictionaries: caches, buffers, modes."""
    before = []
    for m in module.modules():
        own = dict(vars(m))
        held = [(v, copy(v)) for v in own.values() if isinstance(v, (dict, list, set))]
        before.append((m, type(m), own, held))
    try:
        yield
    finally:
        for m, kind, own, held in before:
            m.__class__ = kind
            vars(m).clear()
            vars(m).update(own)
            for container, content in held:
                container.clear()
                container.extend(content) if isinstance(container, list) else container.update(content)


def lazy(module: torch.nn.Module) -> bool:
    """Whether it has parameters or buffers whose shape is not known yet."""
    return any(is_lazy(t) for t in (*module.parameters(), *module.buffers()))


def materialized(module: torch.nn.Module, inputs: Given) -> torch.nn.Module:
    """A copy without data that has run once on inputs of these shapes, and so has all of its parameters.

    >>> lazy = torch.nn.LazyConv2d(8, 3)
    >>> materialized(lazy, {"input": ((1, 3, 32, 32), torch.float32)}).weight.shape, lazy
    (torch.Size([8, 3, 3, 3]), LazyConv2d(0, 8, kernel_size=(3, 3), stride=(1, 1)))
    """
    held = [*module.parameters(), *module.buffers()]
    given = [torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in inputs.values()]
    try:
        made = deepcopy(module, {id(t): _bare(t) for t in held})
        for m in made.modules():
            m.training = False
        with torch.no_grad(), torch.device("meta"):
            made(*given)
    except Exception as error:
        raise _failed(error, "", module, inputs) from error
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
def _paths(module: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Keep the path of the module that is running, with hooks of the process, not of the module."""
    known = {id(m): (written(path), next(m.children(), None) is None) for path, m in module.named_modules()}

    def before(m: torch.nn.Module, args: Any) -> None:
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
def _uncompiled() -> Iterator[None]:
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's own account of what failed: the error tells it in a line."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _named(result: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors of a result, with the keys that lead to them."""
    if isinstance(result, torch.Tensor):
        yield name, result
    elif isinstance(result, Mapping):
        for key, value in result.items():
            yield from _named(value, f"{name}.{key}" if name else str(key))
    elif isinstance(result, (list, tuple)):
        for i, value in enumerate(result):
            yield from _named(value, f"{name}.{i}" if name else "")
    elif hasattr(result, "__dataclass_fields__"):
        for key in result.__dataclass_fields__:
            yield from _named(getattr(result, key), f"{name}.{key}" if name else key)


_DYNAMIC = ("DataDependentOutputException", "DynamicOutputShapeException", "GuardOnDataDependentSymNode")


def _failed(error: Exception, path: str, module: torch.nn.Module, inputs: Mapping[str, Any]) -> RfcalcError:
    """One message for whatever stopped the run: torch's reason in a line, and what to do."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:300]
    where = f"{type(module).__name__}" + (f" at {path}" if path else "")
    told = ", ".join(f"{n} {'x'.join(map(str, s[1:]))}" for n, (s, _) in inputs.items())
    if type(error).__name__ in _DYNAMIC:
        return RfcalcError(
            "what it does depends on the values of its input, not on their shapes alone",
            where=where,
            why=reason,
            fix="read the parts on either side of it by themselves: from_torch(module.backbone, …)",
        )
    if isinstance(error, RfcalcError):
        return error
    training = "Expected more than 1 value per channel" in reason
    return RfcalcError(
        f"it does not run on {told}",
        where=where,
        why=reason,
        fix="read it in evaluation mode, which is the default"
        if training
        else "give the input that it was made for:"
        " --input 3x224x224, channels first, without the batch; name=… for several",
    )


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in an argument or result."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for v in value:
            yield from tensors(v)
