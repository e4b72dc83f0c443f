"""Exact arithmetic for networks that packages publish.

Weights and signals are small multiples of 1/8. After every function that does not leave such numbers (activations,
normalisation, quotients, products of maps) and after sums of maps the value is rounded to a multiple of 1/16 and held
within ±32. Then every sum is exact in float64, in any order, and equality is `==`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode

EXACT = """  # sums, and what moves values or picks some
    add sub neg sum cumsum mm bmm addmm baddbmm mv addmv dot max min col2im relu clamp_min view _unsafe_view as_strided
    expand permute transpose t slice select split split_with_sizes detach squeeze unsqueeze clone narrow alias empty
    zeros ones full arange unbind lift lift_fresh new_zeros new_full new_empty new_ones empty_like zeros_like repeat
    unfold _to_copy _reshape_alias scalar_tensor empty_strided chunk zero
"""
PARTS = (
    "conv",
    "pad",
    "pool",
    "copy",
    "im2col",
    "embedding",
    "index",
    "scatter",
    "flip",
    "cat",
    "stack",
    "where",
    "fill",
)


class Rounded(TorchDispatchMode):
    """Rounds what operators make that are neither sums nor moves; `wrong`: leaves it as it is."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.wrong = wrong

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2].rstrip("_")
        plain = name in EXACT.split() or any(part in name for part in PARTS)
        if name == "add" and all(isinstance(x, Tensor) for x in args[:2]):
            plain = args[0].dim() != args[1].dim()  # maps are added (a bias has fewer axes)
        first = out[0] if isinstance(out, tuple) else out
        if not plain and not self.wrong and isinstance(first, Tensor) and first.is_floating_point() and first.dim() > 1:
            first.mul_(16).round_().div_(16).clamp_(-32, 32)
        return out


def whole(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with multiples of 1/8 for weights; weights that are computed become plain ones first."""
    for part in module.modules():
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):
                parametrize.remove_parametrizations(part, name)
        with suppress(ValueError):
            nn.utils.remove_weight_norm(part)
    made = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = torch.randint(-4, 5, p.shape, generator=made).double() / 8
    return module.double().eval()


def signal(shape: Any, seed: int) -> Tensor:
    return torch.randint(-16, 17, shape, generator=torch.Generator().manual_seed(seed)).double() / 8
