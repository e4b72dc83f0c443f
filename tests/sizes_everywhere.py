"""Every size from 1 to 1,024 of every axis of every model that is read, against PyTorch on tensors without data.

    python tests/sizes_everywhere.py zoo|torchvision|timm|packages [NAME …]

prints one line for each model: how many sizes agree, how many are valid, how long the answer took beyond the reading.

No size is left out. A module inside of a model, or a function of PyTorch, that is called again with tensors of the same
shapes and strides is not run again: what it gave, or the error it raised, is given again. Activations and dropout give
what they get, sums of maps of the same shape and strides one of them; so do batch and layer normalisation, once run on
maps of as many channels and axes. That this changes nothing is shown by a sample of sizes that are run without it.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from random import Random
from time import perf_counter
from typing import Any, NamedTuple

import torch
import torch.overrides

import rfcalc
from rfcalc import RfcalcError

MOST = 1024
PLAIN = (int, float, str, bool, type(None))


class Case(NamedTuple):
    """A model: what it is called, what rfcalc is asked about, the module that runs, its input without the batch."""

    name: str
    build: Callable[[], tuple[Any, Any]]
    shape: Any


def key_of(value: Any) -> Any:
    """What a result depends on, as a hashable value; TypeError for anything else than tensors and plain values."""
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        return (value.shape, value.stride(), value.dtype)
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, tuple):
        return tuple(map(key_of, value))
    if isinstance(value, (torch.dtype, torch.device, torch.memory_format)):
        return value
    raise TypeError


def kept(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, tuple) and all(map(kept, value)))


ACTIVATIONS = {"ReLU", "ReLU6", "Tanh", "Sigmoid", "SiLU", "GELU", "Hardswish", "Hardsigmoid", "Mish", "ELU", "Dropout"}
ACTIVATIONS |= {"LeakyReLU", "Identity"}


def once(module: Any) -> None:
    """Let each module inside of one run once for the same shapes."""
    for inner in module.modules():
        if type(inner).__name__ in ACTIVATIONS:
            inner.forward = lambda x: x
        elif inner is not module and type(inner).forward is not torch.nn.Module.forward:
            inner.forward = remembering(inner.forward)


def remembering(forward: Any) -> Any:
    known: dict[Any, Any] = {}

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            key = (key_of(args), *((k, key_of(v)) for k, v in kwargs.items()))
        except TypeError:
            return forward(*args, **kwargs)
        if key in known:
            found = known[key]
            if isinstance(found, Exception):
                raise found.with_traceback(None)
            return found
        try:
            found = forward(*args, **kwargs)
        except Exception as error:
            known[key] = error
            raise
        if kept(found):
            known[key] = found
        return found

    return run


ALIKE = {
    "relu",
    "relu_",
    "relu6",
    "tanh",
    "sigmoid",
    "silu",
    "gelu",
    "hardswish",
    "hardsigmoid",
    "mish",
    "elu",
    "dropout",
}
ALIKE |= {"leaky_relu", "softplus"}
SUMS = {"add", "mul", "__add__", "__iadd__", "add_", "__mul__", "__imul__", "__radd__"}
INPLACE = {"add_", "mul_", "relu_", "__iadd__", "__imul__"}  # which change no shape


class Functions(torch.overrides.TorchFunctionMode):
    """Lets each function run once for the same shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[Any, Any] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ALIKE:
            return args[0]
        kwargs = kwargs or {}
        if name in SUMS and len(args) == 2 and not kwargs and type(args[0]) is type(args[1]) is torch.Tensor:  # noqa: SIM102
            if args[0].shape == args[1].shape and args[0].stride() == args[1].stride():
                return args[0]
        if name in ("batch_norm", "layer_norm") and type(args[0]) is torch.Tensor and args[0].is_contiguous():
            x, sized = args[0], name == "layer_norm"
            alike = (name, x.dim(), x.shape[-len(args[1]) :] if sized else x.shape[1])
            if self.known.get(alike):
                return x
            found = func(*args, **kwargs)
            self.known[alike] = found.shape == x.shape and found.stride() == x.stride()
            return found
        if name == "__get__" or (name.endswith("_") and name not in INPLACE and not name.endswith("__")):
            return func(*args, **kwargs)
        try:
            listed = (tuple(a) if type(a) is list else a for a in args)
            key = (func, *map(key_of, listed), *((k, key_of(v)) for k, v in kwargs.items()))
            if key in self.known:
                found = self.known[key]
                if isinstance(found, Exception):
                    raise _Again(found)
                return found
        except TypeError:
            return func(*args, **kwargs)
        except _Again as again:
            raise again.error.with_traceback(None) from None
        try:
            found = func(*args, **kwargs)
        except Exception as error:
            self.known[key] = error
            raise
        if kept(found):
            self.known[key] = found
        return found


class _Again(Exception):
    def __init__(self, error: Exception) -> None:
        self.error = error


def first_of(y: Any) -> Any:
    while isinstance(y, (dict, list, tuple)):
        y = next(iter(y.values())) if isinstance(y, dict) else y[0]
    return y


def shapes_of(y: Any) -> list[tuple[int, ...]]:
    return [] if first_of(y) is None else [tuple(first_of(y).shape)]


def runs(module: Any, dims: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | str:
    """The shape of the (first) output, or the error."""
    with torch.no_grad():
        try:
            return shapes_of(module(*(torch.empty(1, *d, device="meta") for d in dims)))[0]
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def compared(case: Case, most: int = MOST, log: bool = True) -> str:
    """How many sizes agree, or what differs."""
    target, module = case.build()
    start = perf_counter()
    rfcalc.from_torch(target, case.shape) if isinstance(target, torch.nn.Module) else rfcalc.load(target)
    reading = perf_counter() - start
    start = perf_counter()
    found = rfcalc.sizes(target, case.shape)
    document = str(found.document())
    seconds = perf_counter() - start
    assert document
    module = module.eval().to("meta")
    pick = Random(case.name)
    told, wrong, valid, again = 0, [], 0, {}
    cases: list[tuple[int, int, tuple[tuple[int, ...], ...]]] = []
    for axis in range(len(found.axes)):
        for n in range(1, most + 1):
            cases.append((axis, n, tuple(tuple(map(int, x.dims)) for x in found.concrete(axis, n))))
    for one in pick.sample(range(len(cases)), 12):
        again[one] = runs(module, cases[one][2])
    once(module)
    formulas = [
        (compile(f, case.name, "eval") if (f := found.output(axis)[found.network.outputs[0]]) else None)
        for axis in range(len(found.axes))
    ]
    out = found._walked.shapes[found.outputs[0]]
    functions = Functions()
    for i, (axis, n, dims) in enumerate(cases):
        with functions:
            y = runs(module, dims)
        if i in again and again[i] != y and not (isinstance(y, str) and isinstance(again[i], str)):
            wrong.append(f"axis {axis}, {n}: a module is no function of shapes ({y}, {again[i]})")
        takes = n in found.axes[axis].valid
        if takes != (not isinstance(y, str)):
            wrong.append(f"axis {axis}, {n}: told {'valid' if takes else 'refused'}, PyTorch gives {y}")
        elif takes and (formula := formulas[axis]) is not None:
            length = eval(formula, {}, {"n": n})
            if len(y) != len(out.dims) + 1 or y[out.axes[axis] + 1] != length:
                wrong.append(f"axis {axis}, {n}: the output is told to be {length} long, PyTorch gives {y}")
        valid += takes
        told += 1
    if wrong:
        return f"DIFFERS at {len(wrong)} of {told} sizes: {'; '.join(w[:160] for w in wrong[:3])}"
    return f"{told} sizes agree, {valid} of them valid; read in {reading:.2f} s, answered in {seconds:.2f} s"


def zoo(names: list[str]) -> Iterator[Case]:
    from rfcalc.zoo import networks

    for name in names or networks():
        yield Case(name, lambda name=name: (name, rfcalc.to_torch(rfcalc.load(name))), None)  # type: ignore[misc]


def torchvision(names: list[str]) -> Iterator[Case]:
    from model_lists import torchvision_model, torchvision_names

    for name in names or torchvision_names():
        build, shape = torchvision_model(name)
        yield Case(name, lambda build=build: (m := build().eval(), m), shape)  # type: ignore[misc]


def timm(names: list[str]) -> Iterator[Case]:
    from model_lists import timm_model, timm_sample

    for name in names or timm_sample(1):
        build, shape = timm_model(name)
        yield Case(name, lambda build=build: (m := build().eval(), m), shape)  # type: ignore[misc]


def packages(names: list[str]) -> Iterator[Case]:
    from package_models import MODELS

    for model in MODELS:
        if (not names or model.package in names) and isinstance(model.shape, tuple):
            made = lambda model=model: (m := model.make().eval(), m)  # noqa: E731
            yield Case(f"{model.package} {model.name}", made, model.shape)


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    which, *names = sys.argv[1:]
    counted: Counter[str] = Counter()
    for case in {"zoo": zoo, "torchvision": torchvision, "timm": timm, "packages": packages}[which](names):
        start = perf_counter()
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                told = compared(case)
            counted["differ" if told.startswith("DIFFERS") else "agree"] += 1
        except RfcalcError as error:
            told = f"not told: {error.where or ''} {str(error.why).splitlines()[0] if error.why else error.what}"
            counted["not told"] += 1
        except Exception as error:
            told = f"ERROR {type(error).__name__} {str(error)[:200]}"
            counted["errors"] += 1
        print(f"{case.name}: {told} [{perf_counter() - start:.0f} s]", flush=True)
    print(f"{which}: {dict(counted)}", flush=True)


if __name__ == "__main__":
    main()
