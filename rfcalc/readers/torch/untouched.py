"""Everything is as it was after a run of the user's code: modules and what they hold, and the state of the process.

1. Only plain containers are touched, with the methods of the built-in classes, and only what has changed.
2. Modules, their hooks, and objects that they hold are looked at; containers and objects inside those too; and
   the names of the files that their classes and functions are written in.
3. Values of memory that operators wrote to are the recorder's to put back; where none records, `values` asks for it.
"""

from __future__ import annotations

import builtins
import gc
import logging
import sys
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
import torch.utils._device

from rfcalc.core.aside import printed_aside
from rfcalc.readers.process import python_as_now

_MOST = 100_000  # objects that are looked at
_MOST_OF_FILES = 2000  # those under the names of files
_PLAIN = frozenset(
    [int, float, complex, bool, str, bytes, type(None), type, ModuleType, torch.dtype, torch.device, torch.Size]
)
_CONTAINERS = (dict, list, set, deque, OrderedDict)
_TORCHS = frozenset({"torch", "torchvision", "numpy", "rfcalc"} | sys.stdlib_module_names) - {"__main__"}
_DEFINED = (ModuleType, type, FunctionType)
_LARGE = 64  # entries of a container of a file, from which on they are taken for a list of models or the like


class Before:
    """What modules held before a run; `restore` puts it back."""

    def __init__(self, module: torch.nn.Module, values: bool = False) -> None:
        self._held: list[tuple[Any, Any]] = []  # containers that hold something
        self._idle: list[Any] = []  # containers that hold nothing
        self._tensors: list[tuple[torch.Tensor, torch.Tensor, bool, Any]] = []
        self._kinds: list[tuple[Any, type]] = []
        self._classes: dict[type, dict[str, Any]] = {}
        self._files: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}  # the names of files, and a copy
        self._modes = [(m, m.training) for m in module.modules() if hasattr(m, "training")]
        seen: set[int] = set()
        self._walk([module], seen, _MOST)
        files, self._files = self._files, {}
        named: list[Any] = []
        for file, (names, _) in files.items():
            self._files[file] = names, names.copy()
            named += _states(names)
        kept = self._files.copy()
        self._walk(named, seen, _MOST_OF_FILES)
        self._files = kept  # of those alone that the module's own classes and functions are written in
        self._memory: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for tensor in [data for _, data, *_ in self._tensors] if values else []:
            if tensor.layout == torch.strided and not tensor.is_meta and tensor.untyped_storage().nbytes():
                where = tensor.untyped_storage()
                if where._cdata not in self._memory:
                    held = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(where)
                    self._memory[where._cdata] = held, held.clone()

    def _walk(self, stack: list[Any], seen: set[int], most: int) -> None:
        most += len(seen)
        while stack and len(seen) < most:
            value = stack.pop()
            if type(value) in _PLAIN or id(value) in seen:
                continue
            seen.add(id(value))
            self._look(value, stack)

    def _file(self, name: Any) -> None:
        """Keep in mind that code of this file may be run."""
        if isinstance(name, str) and name not in self._files and name.partition(".")[0] not in _TORCHS:
            self._files[name] = getattr(sys.modules.get(name), "__dict__", {}), {}

    def _look(self, value: Any, stack: list[Any]) -> None:
        if not tells_its_class(value):
            return
        if isinstance(value, torch.Tensor):
            self._tensors.append((value, value.data, value.requires_grad, value.grad if value.is_leaf else None))
            return
        if isinstance(value, dict):
            if not value:
                self._idle.append(value)
            else:
                items = dict(dict.items(value))
                self._held.append((value, items))
                stack += items.values()
        elif isinstance(value, (list, set, deque)):
            if not value:
                self._idle.append(value)
            else:
                content: Any = set(value) if isinstance(value, set) else list(value)
                self._held.append((value, content))
                stack += content
        elif isinstance(value, tuple):
            stack += tuple.__iter__(value)
            return
        elif isinstance(value, FunctionType):
            self._file(value.__module__)
            stack += [c.cell_contents for c in value.__closure__ or () if _filled(c)]
            return
        elif isinstance(value, MethodType):
            stack.append(value.__self__)
            return
        own = getattr(value, "__dict__", None)
        if type(own) is dict:
            kind = type(value)
            self._kinds.append((value, kind))
            self._held.append((own, own.copy()))
            for held in own.values():
                if type(held) in _PLAIN:
                    continue
                if type(held) not in _CONTAINERS or held:
                    stack.append(held)
                else:
                    self._idle.append(held)
            if kind not in self._classes:
                for base in kind.__mro__:
                    theirs = base.__module__.partition(".")[0] in _TORCHS
                    if base not in self._classes:
                        self._classes[base] = own = {} if theirs else dict(vars(base))
                        stack += [v for v in own.values() if isinstance(v, _CONTAINERS)]
                    self._file(base.__module__)
        elif hasattr(value, "func") and hasattr(value, "keywords"):  # functools.partial
            stack += [value.func, *value.args, *value.keywords.values()]

    def restore(self) -> None:
        """Put back what has changed."""
        for value, kind in self._kinds:
            if type(value) is not kind:
                value.__class__ = kind
        for container in self._idle:
            if container:
                _refilled(container, _none(container))
        for container, content in self._held:
            _refilled(container, content)
        for names, content in self._files.values():
            for name in names.keys() - content.keys():
                if not isinstance(names[name], _DEFINED):  # what was imported meanwhile stays
                    del names[name]
            names.update((name, old) for name, old in content.items() if names.get(name, _refilled) is not old)
        for base, content in self._classes.items():
            if not content:
                continue
            now = dict(vars(base))
            for name in now.keys() - content.keys():
                if not name.startswith("__"):
                    delattr(base, name)
            for name, old in content.items():
                if now.get(name, _refilled) is not old and not name.startswith("__"):
                    setattr(base, name, old)
        for tensor, data, learned, gradient in self._tensors:
            here = tensor.data
            if not _same(here, data):
                tensor.data = data
            if tensor.requires_grad != learned and tensor.is_leaf:
                tensor.requires_grad_(learned)
            if tensor.is_leaf and tensor.grad is not gradient:
                tensor.grad = gradient
        for held, values in self._memory.values():
            if not torch.equal(held, values):  # what was not written to may not be writable
                held.copy_(values)
        for m, training in self._modes:
            if m.training != training:
                m.training = training


def _states(names: dict[str, Any]) -> list[Any]:
    """The values under the names of a file that may hold a state: its objects and containers, unless they are large."""
    found: list[Any] = []
    for value in names.values():
        if type(value) in _PLAIN or isinstance(value, _DEFINED) or not tells_its_class(value):
            continue
        if isinstance(value, _CONTAINERS):
            found += [value] if len(value) <= _LARGE else []
        elif value.__class__.__module__.partition(".")[0] not in _TORCHS:
            found.append(value)
    return found


def _none(container: Any) -> Any:
    """The content of an empty container."""
    return {} if isinstance(container, dict) else set() if isinstance(container, set) else []


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are the same values in the same memory."""
    if a.layout != b.layout or a.dtype != b.dtype or a.device != b.device or a.shape != b.shape:
        return False
    if a.layout != torch.strided:
        return True
    same = a.untyped_storage()._cdata == b.untyped_storage()._cdata
    return same and a.stride() == b.stride() and a.storage_offset() == b.storage_offset()


def _refilled(container: Any, content: Any) -> None:
    """Give a container its content back, where it has another one."""
    if isinstance(container, dict):
        if (
            len(container) == len(content)
            and all(map(is_, dict.values(container), content.values()))
            and all(map(is_, dict.keys(container), content))
        ):
            return
        kind: Any = OrderedDict if isinstance(container, OrderedDict) else dict
        kind.clear(container)
        for key, value in content.items():
            kind.__setitem__(container, key, value)
    elif isinstance(container, list):
        if len(container) != len(content) or not all(map(is_, container, content)):
            list.__setitem__(container, slice(None), content)
    elif isinstance(container, set):
        if container != content:
            set.clear(container)
            set.update(container, content)
    elif len(container) != len(content) or not all(map(is_, container, content)):
        deque.clear(container)
        deque.extend(container, content)


@contextmanager
def untouched(module: torch.nn.Module, values: bool = False) -> Iterator[None]:
    """Run something that calls the module; afterwards, also after an error, everything is as it was (`values`: and so
    are the values of its tensors, of which a copy is held meanwhile)."""
    before = Before(module, values)
    with the_process():
        try:
            yield
        finally:
            before.restore()


@contextmanager
def the_process() -> Iterator[None]:
    """The state of the process is put back: random numbers, gradients, defaults, switches, hooks for all modules,
    functions of torch that were replaced, warnings, logging, arguments, the environment, the folder, output.

    What is printed meanwhile goes to stderr, so that what rfcalc prints can be piped.
    """
    again = as_now()
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    silent = logger.disabled
    logger.disabled = True  # torch's own account of what failed: the error tells it in a line
    try:
        with warnings.catch_warnings(), printed_aside():
            warnings.simplefilter("ignore")  # it is not run as it is meant to be: without gradients, on no values
            yield
    finally:
        logger.disabled = silent
        again()


def as_now() -> Callable[[], None]:
    """What puts the state of the process back, Python's and torch's."""
    undo: list[Callable[[], Any]] = [
        partial(_modes_again, _modes()),
        partial(torch.set_rng_state, torch.get_rng_state()),
    ]
    cuda: Any = torch.cuda
    if cuda.is_available() and cuda.is_initialized():
        undo.append(partial(cuda.set_rng_state_all, cuda.get_rng_state_all()))
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        undo.append(partial(numpy.set_state, numpy.get_state()))
        whole: Any = sys.modules["numpy"]
        undo += [partial(whole.seterr, **whole.geterr()), partial(whole.set_printoptions, **whole.get_printoptions())]
    undo += [partial(put, get()) for get, put in _SETTINGS]
    undo += [partial(_unpatched, owner, dict(vars(owner))) for owner in _PATCHED]
    undo += [partial(_refilled, hooks, hooks.copy()) for hooks in _HOOKS]
    undo.append(python_as_now())

    def again() -> None:
        for call in reversed(undo):
            call()

    return again


def as_started() -> None:
    """Torch's defaults where the user's code has loaded torch, so that nobody could ask for them before."""
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    _deterministic(False)
    _default_device(None)


def tells_its_class(value: Any) -> bool:
    """Whether `isinstance` can be asked: it reads ``__class__``, which an object may answer by an error."""
    try:
        return value.__class__ is not None
    except Exception:  # whatever it raises
        return False


def _default_context() -> Any:
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)


def _threads(count: int) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def _deterministic(on: bool) -> None:
    if torch.are_deterministic_algorithms_enabled() != on:
        torch.use_deterministic_algorithms(on)


def _default_device(context: Any) -> None:
    if _default_context() is not context:
        torch.set_default_device(None if context is None else context.device)


def _modes() -> list[Any]:
    found: list[Any] = torch.overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return found


def _modes_again(stack: list[Any]) -> None:
    """Put back what stands over torch's functions: a default device that is set within another leaves one behind."""
    if len(_modes()) != len(stack) or not all(map(is_, _modes(), stack)):
        while _modes():
            torch.overrides._pop_mode()  # type: ignore[no-untyped-call]
        for mode in stack:
            torch.overrides._push_mode(mode)  # type: ignore[no-untyped-call]


def _unpatched(owner: Any, names: dict[str, Any]) -> None:
    """What was replaced under names of torch, put back."""
    now = vars(owner)
    for name, old in names.items():
        if now.get(name, _refilled) is not old:
            setattr(owner, name, old)


def _attribute(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    def put(value: Any) -> None:
        if getattr(owner, name) is not value:
            setattr(owner, name, value)

    return partial(getattr, owner, name), put


def _autocast(device: str) -> list[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    return [
        (partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)),
        (partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)),
    ]


def _contents(container: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    return container.copy, partial(_refilled, container)


def _collecting(on: bool) -> None:
    (gc.enable if on else gc.disable)()


_PATCHED = (torch, torch.nn.functional, torch.nn.init, torch.Tensor, torch.nn.Module, builtins)
_HOOKS = tuple(v for k, v in vars(torch.nn.modules.module).items() if k.startswith("_global_") and isinstance(v, dict))
_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.are_deterministic_algorithms_enabled, _deterministic),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    *_autocast("cpu"),
    *_autocast("cuda"),
    _attribute(torch.utils._device, "CURRENT_DEVICE"),
    (_default_context, _default_device),
    (torch.get_num_threads, _threads),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    *(_attribute(torch.backends.cudnn, name) for name in ("benchmark", "deterministic", "enabled")),
    _contents(vars(torch._tensor_str.PRINT_OPTS)),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (gc.isenabled, _collecting),
    _attribute(sys, "excepthook"),
    (lambda: logging.root.level, logging.root.setLevel),
    _contents(logging.root.handlers),
)
