"""Modules as people write them: hooks, scripts, parametrizations, functional calls, other outputs, loops, caches.

Every unit against the module's own gradient, parameters and multiply-adds against PyTorch's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from pixels import Module, check
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import rfcalc

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")


def conv(c: int = 2, kernel: int = 3, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(c, 4, kernel, padding=padding)


def by_a_hook(m: Any, x: Tensor) -> Tensor:
    """What a hook that is there for one call has seen."""
    found: list[Tensor] = []
    hook = m.c.register_forward_hook(lambda module, given, made: found.append(F.avg_pool2d(made, 2)))
    m.c(x)
    hook.remove()
    return found[0]


def hooked() -> nn.Module:
    module = Module(lambda m, x: m.d(m.c(x)), c=conv(), d=conv(4))
    module.c.register_forward_hook(lambda module, given, made: made[..., ::2, ::2])
    module.d.register_forward_pre_hook(lambda module, given: (F.pad(given[0], (1, 1, 1, 1)),))
    return module


class Mirrored(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w + w.flip(-1)


def mirrored() -> nn.Module:
    module = Module(lambda m, x: m.c(x), c=conv())
    parametrize.register_parametrization(module.c, "weight", Mirrored())
    return module


def tied() -> nn.Module:
    module = Module(lambda m, x: m.d(m.c(x)), c=conv(), d=nn.ConvTranspose2d(4, 2, 3))
    module.d.weight = module.c.weight
    return module


def loops(m: Any, x: Tensor) -> Tensor:
    while x.shape[-1] > 3:
        x = F.avg_pool2d(m.c(x), 2)
    return x


def with_coordinates(m: Any, x: Tensor) -> Tensor:
    line = torch.linspace(-1, 1, x.shape[-1], device=x.device, dtype=x.dtype)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    return m.c(torch.cat([x, torch.stack([rows, columns])[None].expand(len(x), -1, -1, -1)], 1))  # type: ignore[no-any-return]


def in_slices(m: Any, x: Tensor) -> Tensor:
    y = m.c(x)
    y[:, :2, 1:-1, 1:-1] = m.d(x)[:, 2:, 1:-1, 1:-1]
    y[:, 3].add_(y[:, 0])
    return y  # type: ignore[no-any-return]


def of_rows(m: Any, x: Tensor) -> Tensor:
    return m.f(m.c(x))  # type: ignore[no-any-return]


def doubled(m: Any, x: Tensor) -> Tensor:
    weights = {name: 2 * value for name, value in m.c.named_parameters()}
    return torch.func.functional_call(m.c, weights, (x,))


def each_channel(m: Any, x: Tensor) -> Tensor:
    return torch.func.vmap(lambda t: m.c(t[:, None]), in_dims=1, out_dims=1)(x).flatten(1, 2)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "a hook for one call": lambda: Module(by_a_hook, c=conv()),
    "hooks that change": hooked,
    "scripted": lambda: Module(lambda m, x: m.d(m.s(x)), s=torch.jit.script(nn.Sequential(conv())), d=conv(4)),
    "compiled": lambda: Module(lambda m, x: m.d(m.s(x)), s=torch.compile(conv(), backend="eager"), d=conv(4)),
    "weight normalisation": lambda: Module(lambda m, x: m.c(x), c=parametrizations.weight_norm(conv())),
    "spectral normalisation": lambda: Module(lambda m, x: m.c(x), c=parametrizations.spectral_norm(conv())),
    "a parametrization": mirrored,
    "tied weights": tied,
    "a functional call": lambda: Module(doubled, c=conv()),
    "vmap": lambda: Module(each_channel, c=conv(1)),
    "a partial function": lambda: Module(of_rows, c=conv(), f=functools.partial(F.avg_pool2d, kernel_size=2)),
    "checkpoint": lambda: Module(lambda m, x: checkpoint(m.c, x, use_reentrant=False), c=conv()),
    "a loop": lambda: Module(loops, c=nn.Conv2d(2, 2, 3, padding=1)),
    "coordinates": lambda: Module(with_coordinates, c=conv(4)),
    "slices": lambda: Module(in_slices, c=conv(), d=conv(2, 5, 1)),
    "halves of positions": lambda: Module(lambda m, x: F.glu(m.c(x), -1), c=conv()),
    "test time augmentation": lambda: Module(lambda m, x: m.c(x) + m.c(x.flip(-1)).flip(-1), c=conv()),
}


@pytest.mark.parametrize("name", MODULES)
def test_against_the_module(name: str) -> None:
    torch.manual_seed(0)
    module = MODULES[name]().eval()
    report = rfcalc.analyze(rfcalc.from_torch(module, "2x8x8"))
    with FlopCounterMode(display=False) as counter:
        y = module(torch.rand(1, 2, 8, 8))
    assert report.rows[-1].output_shape == tuple(y.shape[1:])
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert 2 * report.totals.macs == counter.get_total_flops()
    if name not in ("scripted", "compiled"):  # not to be copied in other numbers
        check(module, "2x8x8")


@dataclass
class Made:
    logits: Tensor
    hidden: Tensor | None = None


@pytest.mark.parametrize("form", [Made, lambda y: {"logits": y}, lambda y: (y, None), lambda y: [y]])
def test_outputs_of_other_forms(form: Callable[[Tensor], Any]) -> None:
    read = rfcalc.from_torch(Module(lambda m, x: form(m.c(x)), c=conv()), "2x8x8")
    assert rfcalc.analyze(read).rows[-1].receptive_field.size == (3, 3)


def test_control_a_hook_that_is_passed_over_is_seen() -> None:
    module, plain = hooked(), Module(lambda m, x: m.d(m.c(x)), c=conv(), d=conv(4))
    first, second = (rfcalc.analyze(rfcalc.from_torch(m, "2x8x8")).rows[-1] for m in (module, plain))
    assert first.output_shape != second.output_shape
    assert first.receptive_field.size != second.receptive_field.size
