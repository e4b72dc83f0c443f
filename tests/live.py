"""What really lives while a module runs: the storages that its operators make, counted after every one of them."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

torch.set_num_threads(1)


class Live(TorchDispatchMode):
    """The bytes of the distinct storages that are alive, and the largest sum so far."""

    def __init__(self, given: list[Tensor], block: int = 1) -> None:
        super().__init__()
        self.block = block  # what an allocator rounds every storage up to
        self.held: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0
        for tensor in given:
            self.see(tensor)

    def see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        known = self.held.get(storage._cdata)
        if known is None or known[0].expired():
            self.held[storage._cdata] = (StorageWeakRef(storage), -(-storage.nbytes() // self.block) * self.block)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor):
                self.see(value)
        self.held = {key: pair for key, pair in self.held.items() if not pair[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.held.values()))
        return made


def autocast(amp: bool | torch.dtype) -> Any:
    """Mixed precision on the CPU, where it is asked for: in bfloat16, or in the type that is given."""
    low = amp if isinstance(amp, torch.dtype) else torch.bfloat16
    return torch.autocast("cpu", dtype=low) if amp else nullcontext()


def training_peak(module: nn.Module, *inputs: Tensor, block: int = 1, amp: bool | torch.dtype = False) -> int:
    """The most bytes that live in a step of training, weights and buffers included, the optimizer's state not; forward
    in mixed precision, if `amp`."""
    given = [*module.parameters(), *module.buffers(), *inputs]
    with Live(given, block) as live:
        with autocast(amp):
            made = module.train()(*inputs)
        if isinstance(made, dict):
            made = list(made.values())
        outputs = list(made) if isinstance(made, (tuple, list)) else [made]
        torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])
    return live.peak


def kept(module: nn.Module, *inputs: Tensor, amp: bool | torch.dtype = False) -> int:
    """The bytes that autograd keeps of a forward pass, parameters and buffers left out."""
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found.setdefault(storage.data_ptr(), storage.nbytes())
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast(amp):
        module.train()(*inputs)
    return sum(found.values())
