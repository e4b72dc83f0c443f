"""Every size from 1 to 1,024 of every axis of every model that is read, against PyTorch on tensors without data.

    python tests/sizes_everywhere.py zoo|torchvision|timm|packages [--log FILE] [NAME …]

prints one line for each model: how many sizes agree, how many are valid, how long the answer took beyond the reading.
With `--log`, the answers are appended to a file (one JSON object a line), and models that it has are left out.

No size is left out.

1. Where a size is told to be valid on every axis, all axes have it at once: one run shows that each of them takes it.
   Where an axis refuses it, where that run fails or gives another size than told, every axis is run alone. So are the
   sizes up to 32, and a sample of the others. That the axes do not meet is shown by a sample of unequal pairs; where
   they do (a product of them is fixed, one of the pairs does something else), every axis is run alone, at all sizes.
2. A module inside of a model, or a function of PyTorch, that is called again with tensors of the same shapes and
   strides is not run again: what it gave, or the error it raised, is given again. Activations and dropout give what
   they get, sums of maps of the same shape and strides one of them; so do batch and layer normalisation, once run on
   maps of as many channels and axes. That this changes nothing is shown by a sample of sizes that are run without it.
3. Weights are not drawn when a model is built: they say nothing of sizes.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, NamedTuple

import torch
import torch.overrides

import rfcalc
from rfcalc import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.readers.rereading import as_called

MOST = 1024
SMALL = 32  # up to here every axis is run alone
SAMPLE = 48
PLAIN = (int, float, str, bool, type(None))


class Case(NamedTuple):
    """A model: what it is called, what rfcalc is asked about, the module that runs, its input without the batch."""

    name: str
    build: Callable[[], tuple[Any, Any]]
    shape: Any


def key_of(value: Any) -> Any:
    """What a result depends on, as a hashable value; TypeError for anything else than tensors and plain values."""
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        key = value.__dict__.get("_key")
        if key is None:
            with torch._C.DisableTorchFunction():
                key = value._key = (value.shape, value.stride(), value.dtype)
        return key
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
            if name != "__get__" and type(args[0]) is torch.Tensor:
                args[0].__dict__.pop("_key", None)
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


def runs(module: Any, dims: tuple[tuple[int, ...], ...], device: str = "meta") -> tuple[int, ...] | str:
    """The shape of the (first) output, or the error."""
    with torch.no_grad():
        try:
            return shapes_of(module(*(torch.zeros(1, *d, device=device) for d in dims)))[0]
        except Exception as error:
            return f"{type(error).__name__}: {error}"


class Unmade(torch.overrides.TorchFunctionMode):
    """Builds models without drawing their weights."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        drawn = getattr(func, "__name__", "") in ("normal_", "uniform_", "erfinv_", "trunc_normal_")
        if drawn and args and isinstance(args[0], torch.nn.Parameter) and args[0].numel() > 4096:
            return args[0]
        return func(*args, **(kwargs or {}))


Dims = tuple[tuple[int, ...], ...]


class Against:
    """What is told of a model's sizes, against what PyTorch does."""

    def __init__(self, name: str, found: Any, module: Any, source: Any = None) -> None:
        few = sum(p.numel() for p in module.parameters()) < 1e8
        try:
            self.real = deepcopy(module) if few else None
        except RuntimeError:  # weights that are computed when the module is called cannot be copied
            self.real = None
        self.found, self.module = found, module.to("meta")
        self.source = source  # of the network: how its code is called
        self.pick = Random(name)
        self.rank = len(found.axes)
        self.functions = Functions()
        output = found.network.outputs[0]
        self.formulas = [
            compile(f, name, "eval") if (f := found.output(axis)[output]) else None for axis in range(self.rank)
        ]
        self.out = found._walked.shapes[found.outputs[0]]
        self.wrong: dict[tuple[int, int], str] = {}

    def dims(self, sizes: dict[int, int]) -> Dims:
        """The inputs with these sizes of axes."""
        found, first = self.found, self.found.inputs[0]
        inputs = [list(map(int, x.dims)) for x in found.inputs]
        for axis, n in sizes.items():
            for x, given in zip(found.inputs, inputs, strict=True):
                if x.rank == first.rank and x.spatial[axis] == first.spatial[axis]:
                    given[x.axes[axis]] = n
        called = as_called(
            self.source,
            [Shape(*given, channel=x.channel) for x, given in zip(found.inputs, inputs, strict=True)],
        )
        return tuple(tuple(x.dims) for x in called)

    def run(self, sizes: dict[int, int]) -> tuple[int, ...] | str:
        with self.functions:
            return runs(self.module, self.dims(sizes))

    def fault(self, sizes: dict[int, int], y: tuple[int, ...] | str) -> str | None:
        """What is told otherwise than PyTorch does it, if something is."""
        takes = all(n in self.found.axes[axis].valid for axis, n in sizes.items())
        if takes != (not isinstance(y, str)):
            return f"told {'valid' if takes else 'refused'}, PyTorch gives {y}"
        for axis, n in sizes.items() if takes else ():
            formula = self.formulas[axis]
            if formula is None:
                continue
            length = eval(formula, {}, {"n": n})
            if len(y) == len(self.out.dims) and self.out.channels == 1:  # a map that is given back without its channel
                y = (*y[: self.out.channel + 1], 1, *y[self.out.channel + 1 :])
            if len(y) != len(self.out.dims) + 1 or y[self.out.axes[axis] + 1] != length:
                return f"the output is told to be {length} long, PyTorch gives {y}"
        return None

    def alone(self, axis: int, n: int) -> None:
        y = self.run({axis: n})
        if isinstance(y, str) and "item() cannot be called on meta" in y and self.real is not None:
            y = runs(self.real, self.dims({axis: n}), "cpu")  # it asks for a value: it runs for real
        fault = self.fault({axis: n}, y)
        if fault:
            self.wrong[axis, n] = f"axis {axis}, {n}: {fault}"

    def pairs(self, most: int) -> bool:
        """Whether axes do not meet, in a sample of unequal sizes."""
        if self.rank < 2 or self.found.joint is not None:
            return False
        valid = [[n for n in range(1, most + 1) if n in a.valid] for a in self.found.axes]
        for _ in range(SAMPLE if all(valid) else 0):
            sizes = {axis: self.pick.choice(v) for axis, v in enumerate(valid)}
            if self.fault(sizes, self.run(sizes)):
                return False
        return True

    def every(self, most: int = MOST) -> int:
        """Run every size of every axis; how many are valid."""
        axes = range(self.rank)
        sample = [({a: self.pick.randint(1, most)}) for a in axes for _ in range(12 // self.rank)]
        plain = [runs(self.module, self.dims(s)) for s in sample]
        once(self.module)
        for sizes, y in zip(sample, plain, strict=True):
            z = self.run(sizes)
            if z != y and not (isinstance(y, str) and isinstance(z, str)):
                ((axis, n),) = sizes.items()
                self.wrong[axis, n] = f"axis {axis}, {n}: a module is no function of shapes ({z}, {y})"
        together = self.pairs(most)
        for n in range(1, most + 1):
            at_once = dict.fromkeys(axes, n)
            told = together and n > SMALL and all(n in self.found.axes[axis].valid for axis in axes)
            if not told or self.fault(at_once, self.run(at_once)):
                for axis in axes:
                    self.alone(axis, n)
        for _ in range(SAMPLE):
            self.alone(self.pick.choice(axes), self.pick.randint(1, most))
        return sum(n in a.valid for a in self.found.axes for n in range(1, most + 1))


def compared(case: Case, most: int = MOST, kept: dict[str, Any] | None = None) -> str:
    """How many sizes agree, or what differs."""
    with Unmade():
        target, module = case.build()
    start = perf_counter()
    read = rfcalc.from_torch(target, case.shape) if isinstance(target, torch.nn.Module) else rfcalc.load(target)
    reading = perf_counter() - start
    start = perf_counter()
    found = rfcalc.sizes(target, case.shape)
    assert str(found.document())
    seconds = perf_counter() - start
    if kept is not None:
        kept.update(answer=found.to_dict(), reading=reading, seconds=seconds)
    against = Against(
        case.name, found, module.eval(), read.network.source if isinstance(target, torch.nn.Module) else None
    )
    valid = against.every(most)
    told, wrong = most * len(found.axes), list(against.wrong.values())
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
    from vision import models

    models()  # torchvision, which packages import, is made importable
    for model in MODELS:
        if (not names or model.package in names) and isinstance(model.shape, tuple):
            made = lambda model=model: (m := model.make().eval(), m)  # noqa: E731
            yield Case(f"{model.package} {model.name}", made, model.shape)


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    which, *names = sys.argv[1:]
    log: Path | None = None
    if "--log" in names:
        at = names.index("--log")
        log = Path(names[at + 1])
        names = names[:at] + names[at + 2 :]
    known = {json.loads(line)["name"] for line in log.read_text().splitlines()} if log and log.exists() else set()
    counted: Counter[str] = Counter()
    for case in {"zoo": zoo, "torchvision": torchvision, "timm": timm, "packages": packages}[which](names):
        if f"{which} {case.name}" in known:
            continue
        start = perf_counter()
        kept: dict[str, Any] = {}
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                told = compared(case, kept=kept)
            result = "differs" if told.startswith("DIFFERS") else "agrees"
        except RfcalcError as error:
            told = f"not told: {error.where or ''} {str(error.why).splitlines()[0] if error.why else error.what}"
            result = "not told"
        except Exception as error:
            told = f"ERROR {type(error).__name__} {str(error)[:200]}"
            result = "error"
        counted[result] += 1
        took = perf_counter() - start
        print(f"{case.name}: {told} [{took:.0f} s]", flush=True)
        if log is not None:
            line = {"name": f"{which} {case.name}", "result": result, "told": told, "took": round(took, 1), **kept}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
    print(f"{which}: {dict(counted)}", flush=True)


if __name__ == "__main__":
    main()
