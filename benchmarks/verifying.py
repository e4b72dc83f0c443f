"""Checking on meta tensors against flop_counter's own time, in one process: `python benchmarks/verifying.py`.

Exit code 1 where checking VGG-16's shapes, parameters and multiply-adds takes more than 3 × flop_counter's run of it,
or where analysing ResNet-152 is less than 10 × faster than counting its operations with flop_counter.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import process_time

import torch
from torch.utils.flop_counter import FlopCounterMode

import rfcalc
from rfcalc import to_torch
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.verify import counted

RUNS = 7


def seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(RUNS):
        start = process_time()
        work()
        times.append(process_time() - start)
    return median(times)


def flops(graph: NetworkModule, side: int = 224) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        graph(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops()


def checked(report: rfcalc.Report, graph: NetworkModule) -> int:
    what = frozenset(("shapes", "macs"))
    return len([*counted.shapes_and_macs(report, graph, what, lambda _: None), *counted.parameters(report, graph)])


def main() -> int:
    torch.set_num_threads(1)
    vgg, resnet = rfcalc.load("vgg16"), rfcalc.load("resnet152")
    vgg_graph, resnet_graph = (to_torch(n, device="meta").eval() for n in (vgg, resnet))
    report = rfcalc.analyze(vgg)
    ratio = seconds(lambda: checked(report, vgg_graph)) / seconds(lambda: flops(vgg_graph))
    print(f"{'checking VGG-16 on meta / flop_counter alone':52} {ratio:7.2f}  bound 3")
    faster = seconds(lambda: flops(resnet_graph)) / seconds(lambda: rfcalc.analyze(resnet).totals.macs)
    print(f"{'flop_counter on ResNet-152 / rfcalc, all figures':52} {faster:7.2f}  at least 10")
    return 0 if ratio <= 3 and faster >= 10 else 1


if __name__ == "__main__":
    raise SystemExit(main())
