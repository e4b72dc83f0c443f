"""Reading a module against counting its operations with PyTorch, as ratios of processor time in one run.

`python benchmarks/reading.py`: `from_torch` beside `torch.utils.flop_counter` on the same module and tensors without
data, in turn in this process; the first run of each, which loads what it needs, is not counted. The bound is 2 for the
median of the modules, and 3 with a second reading at another batch. Exit code 1 if a bound is broken.
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
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from vision import models

from rfcalc import from_torch

ONCE, TWICE = 2.0, 3.0
RUNS = 5
NAMES = (
    *("vgg16", "resnet50", "densenet121", "mobilenet_v3_large", "efficientnet_b0"),
    *("vit_b_16", "swin_t", "convnext_tiny", "googlenet", "shufflenet_v2_x1_0"),
)


def timed(call: Callable[[], object]) -> float:
    gc.collect()
    start = process_time()
    call()
    return process_time() - start


def main() -> int:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    once, twice = [], []
    print(f"{'module':<20}{'flop_counter':>14}{'from_torch':>12}{'ratio':>8}{'with a batch':>14}")
    for name in NAMES:
        options = {"init_weights": False} if name == "googlenet" else {}
        with torch.device("meta"):
            module = getattr(models(), name)(**options).eval()
            x = torch.empty(1, 3, 224, 224)

        def read(module: torch.nn.Module = module) -> object:
            return from_torch(module)

        def again(module: torch.nn.Module = module) -> object:
            read = from_torch(module)
            return read.network.source.scales(2)

        def count(module: torch.nn.Module = module, x: torch.Tensor = x) -> object:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                module(x)
            return counter

        read(), count(), again()
        rows = [(timed(count), timed(read), timed(again)) for _ in range(RUNS)]
        theirs, mine, both = (min(column) for column in zip(*rows, strict=True))
        once.append(mine / theirs)
        twice.append(both / theirs)
        print(f"{name:<20}{theirs * 1e3:>11.1f} ms{mine * 1e3:>9.1f} ms{once[-1]:>8.2f}{twice[-1]:>14.2f}")
    kept = median(once) <= ONCE and median(twice) <= TWICE
    told = "kept" if kept else "broken"
    print(f"\nmedians {median(once):.2f} and {median(twice):.2f}, bounds {ONCE:g} and {TWICE:g}: {told}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
