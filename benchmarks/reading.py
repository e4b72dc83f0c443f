"""Reading a module against torch.export of it, as ratios of processor time in one run: `python benchmarks/reading.py`.

The bound is 1.2. Both run in this process, in turn, on the same module without data; the first run of each, which loads
what it needs, is not counted. Exit code 1 if the bound is broken.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from vision import models

from rfcalc import from_torch

BOUND = 1.2
RUNS = 5
NAMES = ("resnet50", "densenet121", "efficientnet_b0", "vit_b_16", "swin_t", "convnext_tiny")


def timed(call: Callable[[], object]) -> float:
    gc.collect()
    start = process_time()
    call()
    return process_time() - start


def main() -> int:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    worst = 0.0
    print(f"{'module':<18}{'from_torch':>12}{'torch.export':>14}{'ratio':>8}")
    for name in NAMES:
        with torch.device("meta"):
            module = getattr(models(), name)().eval()
            x = torch.empty(1, 3, 224, 224)

        def read(module: torch.nn.Module = module) -> object:
            return from_torch(module)

        def export(module: torch.nn.Module = module, x: torch.Tensor = x) -> object:
            return torch.export.export(module, (x,))

        read(), export()
        pairs = [(timed(read), timed(export)) for _ in range(RUNS)]
        ratio = median(a / b for a, b in pairs)
        worst = max(worst, ratio)
        mine, theirs = (median(column) for column in zip(*pairs, strict=True))
        print(f"{name:<18}{mine:>10.2f} s{theirs:>12.2f} s{ratio:>8.2f}")
    print(f"\nthe bound is {BOUND}: {'kept' if worst <= BOUND else 'broken'}")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
