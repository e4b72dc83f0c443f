"""The memory of torchvision's models: what is predicted against what lives while the module itself trains.

``python tests/memory_models.py steps`` (or ``plans``, ``half``) writes a table of all models. Differences are in bytes,
what is predicted less what is measured.
"""

from __future__ import annotations

import copy
import gc
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

import torch
from live import kept, training_peak
from torch import nn
from vision import models

from rfcalc import Network, Report, from_torch
from rfcalc.plan.checkpoint import Search
from rfcalc.plan.memory import Memory

MOST = 90_000_000  # parameters of a model that is run
LOW = {False: None, True: "bf16", torch.float16: "fp16"}
WIDE = ("vit_", "swin", "maxvit")  # whose size of image is fixed, or is padded a lot


class Difference(NamedTuple):
    """What is kept, and the peak: predicted less measured; the peak as it is measured."""

    kept: int
    peak: int
    measured: int


def names() -> list[str]:
    """torchvision's models of classification and segmentation."""
    found = [n for n in models().list_models() if "." not in n and "/" not in n and not n.startswith("quantized")]
    # DeepLab normalises one position of its pooled branch, which PyTorch refuses to train on a single item
    other = ("deeplab", "raft", "rcnn", "fcos", "retina", "ssd", "mc3", "mvit", "r3d", "r2plus1d", "s3d", "swin3d")
    return [n for n in found if not any(part in n for part in other) and count(n) <= MOST]


def count(name: str) -> int:
    """The parameters that torchvision documents."""
    return int(models().get_model_weights(name).DEFAULT.meta["num_params"])


def made(name: str) -> nn.Module:
    """The model with random weights, without heads that only train."""
    more: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        more = {"aux_logits": False, "init_weights": False}
    if any(part in name for part in ("fcn", "lraspp")):
        more = {"weights_backbone": None}
    torch.manual_seed(0)
    return models().get_model(name, weights=None, **more)


def size_of(name: str) -> int:
    """The side of the image that a model is run on."""
    if name == "inception_v3":
        return 299
    return 256 if "swin_v2" in name else 224 if name.startswith(WIDE) else 64


def freeze(module: nn.Module) -> None:
    """The first half of the parameters gets no gradient."""
    parameters = list(module.parameters())
    for parameter in parameters[: len(parameters) // 2]:
        parameter.requires_grad_(False)


def step_peak(memory: Memory) -> int:
    """The predicted peak of forward and backward, without the optimizer."""
    fixed = memory.constant["weights"] + memory.constant["buffers"]
    return fixed + max(m.amount.at(memory.batch) for m in memory.moments)


def compared(
    module: nn.Module, size: int, batch: int, amp: bool | torch.dtype = False, network: Network | None = None
) -> Difference:
    """One step of a module against the prediction."""
    for parameter in module.parameters():
        parameter.grad = None
    network = network or from_torch(module, (3, size, size), training=True).network
    memory = Memory(Report(network, batch=batch), amp=LOW[amp])
    x = torch.randn(batch, 3, size, size)
    lived = training_peak(module, x, amp=amp)
    return Difference(memory.kept - kept(module, x, amp=amp), step_peak(memory) - lived, lived)


class Applied(NamedTuple):
    """A plan of recomputation that was applied: its runs, the peak predicted less measured, whether gradients are equal
    bit for bit."""

    runs: int
    peak: int
    equal: bool


def recomputed(module: nn.Module, size: int, batch: int = 2) -> Applied:
    """A plan half-way between the peak and the least there is, applied by the code that is emitted."""
    network = from_torch(module, (3, size, size), training=True).network
    memory = Memory(Report(network, batch=batch), optimizer="sgd")
    search = Search(memory)
    least = min(search.curve(), key=lambda plan: plan.peak)
    plan = search.plan((memory.peak.bytes + least.peak) // 2) or least
    scope: dict[str, Any] = {}
    exec(plan.source(), scope)
    x = torch.randn(batch, 3, size, size)
    lived = training_peak(scope["recompute"](copy.deepcopy(module)), x)
    gradients = []
    for one in (copy.deepcopy(module), scope["recompute"](copy.deepcopy(module))):
        torch.manual_seed(1)
        made = one.double().train()(x.double())
        (made["out"] if isinstance(made, dict) else made).square().sum().backward()
        gradients.append([p.grad for p in one.parameters()])
    equal = all((a is None and b is None) or torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    return Applied(len(plan.runs), plan.peak - lived, equal)


def signed(number: int) -> str:
    """With its sign, but for 0."""
    return f"{number:+,}" if number else "0"


def line(name: str) -> str:
    """A line of the table of steps."""
    module, size = made(name), size_of(name)
    network = from_torch(module, (3, size, size), training=True).network
    found = [compared(module, size, batch, amp, network) for amp in (False, True) for batch in (1, 4)]
    peak = found[1].measured
    freeze(module)
    found += [compared(module, size, 4)]
    cells = [name, str(size), *(f"{signed(d.kept)} / {signed(d.peak)}" for d in found), f"{peak:,}"]
    return "| " + " | ".join(cells) + " |"


def half(name: str) -> str:
    """A line of the table of autocast in float16."""
    module, size = made(name), size_of(name)
    network = from_torch(module, (3, size, size), training=True).network
    found = [compared(module, size, batch, torch.float16, network) for batch in (1, 4)]
    return f"| {name} | {size} | " + " | ".join(f"{signed(d.kept)} / {signed(d.peak)}" for d in found) + " |"


def plan(name: str) -> str:
    """A line of the table of plans of recomputation."""
    applied = recomputed(made(name), size_of(name))
    cells = [name, str(applied.runs), signed(applied.peak), "yes" if applied.equal else "no"]
    return "| " + " | ".join(cells) + " |"


HEADS = {
    line: (
        *("model", "pixels", "float32, batch 1", "float32, batch 4", "bf16, batch 1", "bf16, batch 4"),
        *("half frozen, batch 4", "peak, batch 4"),
    ),
    half: ("model", "pixels", "fp16, batch 1", "fp16, batch 4"),
    plan: ("model", "modules computed again", "peak", "gradients equal"),
}


def main(kind: str, wanted: list[str]) -> None:
    """Write a table, the smallest model first."""
    write = {"plans": plan, "half": half}.get(kind, line)
    print(f"{datetime.now(UTC):%d %B %Y}, torch {torch.__version__}\n", flush=True)
    print("| " + " | ".join(HEADS[write]) + " |\n|" + "---|" * len(HEADS[write]), flush=True)
    for name in sorted(wanted or names(), key=count):
        print(write(name), flush=True)
        gc.collect()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "steps", sys.argv[2:])
