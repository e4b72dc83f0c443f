"""What PyTorch itself takes in a step of training: the module runs, forward and backward, on tensors without data.

`FakeTensorMode` stands for the CPU: operators are chosen as they are there, and every storage has its size, but nothing
is allocated and nothing computed. Storages are counted after each operator, and those that autograd keeps by its hooks.
This shares nothing with the rules of the kinds, and so is a second road to the same figures.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rfcalc.core import progress
from rfcalc.layers.recurrent_memory import workspace
from rfcalc.readers.torch.given import ForwardCall, Leaf
from rfcalc.readers.torch.recording import outputs_of, uncompiled, written
from rfcalc.readers.torch.untouched import untouched

_NORMS = (torch.ops.aten.native_batch_norm.default, torch.ops.aten._native_batch_norm_legit.default)


class Lived(NamedTuple):
    """Bytes: what autograd keeps when forward has run, and the most that lived, weights and buffers included (0: not
    known, where a library makes memory for a moment of which PyTorch is not told); or why it could not be run; what is
    kept by the module inside of which it is kept first."""

    kept: int = 0
    peak: int = 0
    why: str = ""
    inside: tuple[tuple[str, int], ...] = ()


class Storages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all storages that live, after every operator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = self.operators = 0
        self.hidden = False  # whether a library ran that makes memory of its own
        self._held: dict[int, tuple[Any, int]] = {}

    def see(self, tensor: torch.Tensor) -> None:
        """Count the storage of a tensor, if it is not known yet, until it goes."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        known = self._held.get(key)
        if known is not None and known[0]() is not None:
            return

        def gone(ref: Any) -> None:
            if self._held.get(key, (None,))[0] is ref:
                del self._held[key]
            self.now -= size

        self._held[key] = (weakref.ref(storage, gone), size)
        self.now += size

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.mkldnn_rnn_layer.default:
            self.hidden = True
            positions, sequences, features = map(int, args[0].shape)
            space = workspace(positions, sequences, features, int(args[10]))
            made = (*made[:3], made[3].new_empty(space))
        elif function in _NORMS and len(made) > 2 and (scale := args[1]) is not None and scale.dtype != args[0].dtype:
            # its rule for shapes gives statistics in the type of the map; the kernel gives them in that of the scale
            made = (made[0], *(s.new_empty(s.shape, dtype=scale.dtype) for s in made[1:3]), *made[3:])
        for value in tree_leaves(made):
            if isinstance(value, torch.Tensor):
                self.see(value)
        self.peak = max(self.peak, self.now)
        self.operators += 1
        progress.at("running a step without data: operators", self.operators)
        return made


def lived(module: torch.nn.Module, call: ForwardCall, training: bool, amp: str | None) -> Lived:
    """A step of training of a module on these inputs, in mixed precision if `amp` names a type.

    The module is not changed. Where it cannot run so (it asks for values), the reason is told. What was read as it is
    evaluated (``training`` is false) may train on this batch all the same, and is evaluated where it does not.
    """
    found = _ran(module, call, amp, evaluated=False)
    return _ran(module, call, amp, evaluated=True) if found.why and not training else found


def _ran(module: torch.nn.Module, call: ForwardCall, amp: str | None, evaluated: bool) -> Lived:
    try:
        with untouched(module), uncompiled(), torch.enable_grad():
            for part in module.modules() if evaluated else ():  # by the flag alone: eval() may be overridden
                part.training = False
            return _step(module, call, amp)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # whatever the user's code, or an operator without a rule for shapes, raises
        told = str(error).strip().splitlines()
        return Lived(why=f"{type(error).__name__}: {told[0][:120]}" if told else type(error).__name__)


def _step(module: torch.nn.Module, call: ForwardCall, amp: str | None) -> Lived:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.func import functional_call

    low = torch.autocast("cpu", dtype=getattr(torch, amp)) if amp else nullcontext()
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        twins: dict[int, torch.Tensor] = {}
        held = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
        for _, t in held:
            if id(t) not in twins:
                bare = torch.empty_strided(t.shape, t.stride(), dtype=t.dtype)
                parameter = isinstance(t, torch.nn.Parameter)
                twins[id(t)] = torch.nn.Parameter(bare, t.requires_grad) if parameter else bare
        state = {name: twins[id(t)] for name, t in held}
        given: list[torch.Tensor] = []

        def make(leaf: Leaf) -> torch.Tensor:
            given.append(torch.zeros(leaf.shape, dtype=leaf.dtype))
            return given[-1]

        args, kwargs = call.filled(make)
        own = {t.untyped_storage()._cdata for t in twins.values()}
        packed: list[tuple[weakref.ref[Any], str]] = []
        paths = stack.enter_context(_inside(module))

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            packed.append((weakref.ref(tensor.untyped_storage()), paths[-1]))
            return tensor

        storages = Storages()
        for t in (*twins.values(), *given):
            storages.see(t)
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t))
        with storages:
            with low:
                made = functional_call(module, state, args, kwargs)
            kept = _kept(packed, own)
            outputs = list({id(t): t for t in outputs_of(made) if t.requires_grad}.values())
            if outputs:
                torch.autograd.backward(outputs, [torch.ones_like(t) for t in outputs])
        return Lived(sum(kept.values()), 0 if storages.hidden else storages.peak, inside=tuple(kept.items()))


def _kept(packed: list[tuple[weakref.ref[Any], str]], own: set[int]) -> dict[str, int]:
    """The bytes of the storages that are still there, without parameters and buffers, by the module that keeps them."""
    alive = [(storage, path) for ref, path in packed if (storage := ref()) is not None]
    found: dict[str, int] = {}
    for storage, path in alive:
        if storage._cdata not in own:
            own.add(storage._cdata)
            found[path] = found.get(path, 0) + storage.nbytes()
    return found


@contextmanager
def _inside(module: torch.nn.Module) -> Iterator[list[str]]:
    """The paths of the modules that are running, the innermost last."""
    known = {id(m): written(path) for path, m in module.named_modules()}
    paths = [""]

    def before(m: torch.nn.Module, args: Any) -> None:
        paths.append(known.get(id(m), paths[-1]))

    def after(m: torch.nn.Module, args: Any, result: Any) -> None:
        paths.pop()

    handles = [hooks.register_module_forward_pre_hook(before), hooks.register_module_forward_hook(after)]
    try:
        yield paths
    finally:
        for handle in handles:
            handle.remove()
