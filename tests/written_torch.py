"""Written PyTorch source, imported from its file as a module of its own that has never heard of rfcalc."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from rfcalc import Network, to_torch
from rfcalc.backend import to_source


def imported(path: Path) -> type[nn.Module]:
    """The last class of a file."""
    module = ModuleType("written")
    module.__dict__["__file__"] = str(path)
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "rfcalc"}
    try:
        exec(code, module.__dict__)
        assert not [name for name in sys.modules if name.partition(".")[0] == "rfcalc"]
    finally:
        sys.modules.update(before)
    classes = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, nn.Module)]
    return [c for c in classes if c.__module__ == module.__dict__.get("__name__", "written")][-1]


def written(network: Network, folder: Path) -> type[nn.Module]:
    path = folder / "network.py"
    path.write_text(to_source(network), encoding="utf-8")
    return imported(path)


def results(module: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    found = module(*inputs)
    return found if isinstance(found, tuple) else (found,)


def compared(network: Network, folder: Path, device: str = "cpu", batch: int = 2) -> None:
    """Names and shapes of the weights, shapes of the outputs; on a real device, equal outputs from equal weights."""
    with torch.device(device):
        theirs = written(network, folder)()
    ours = to_torch(network, device=device)
    mine = {k: tuple(v.shape) for k, v in ours.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in theirs.state_dict().items()} == mine
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    theirs.load_state_dict(ours.state_dict())
    shapes = [s for s in network.inputs.values() if s is not None]
    inputs = [torch.rand(batch, *s.dims, device=device) for s in shapes]
    with torch.no_grad():
        expected, found = results(ours.eval(), inputs), results(theirs.eval(), inputs)
    assert [t.shape for t in found] == [t.shape for t in expected]
    if device != "meta":
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, equal_nan=True)
