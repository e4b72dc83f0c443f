"""What a streamed block costs: blocks of a second, as a share of the whole run of ten seconds (a ratio of CPU times).

    python benchmarks/streams.py [part of a name …]
    python benchmarks/streams.py --kernels

Each line: the streamed blocks against the whole run, and against the module itself on the same blocks (which gives
wrong values at their borders). One thread; a block is the median of ten, each the least of 15 tries. The first block of
a stream (after `reset`) is told apart: it computes where every window lies. `--kernels` times the convolutions of the
smallest HiFi-GAN alone, each on its own: what PyTorch's kernels cost on a second, as a share of what they cost on ten.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import nn

import rfcalc
from rfcalc.backend.stream.tape import product

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import stream_networks as nets

SECONDS = 10
TRIES = 15
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {  # build, channels, positions a second
    "TCN, 8 levels of 64 channels": (
        lambda: nn.Sequential(*(nets.TemporalBlock(64 if i else 1, 64, 3, 2**i) for i in range(8))),
        1,
        16000,
    ),
    "WaveNet, 10 layers of 64 channels": (lambda: nets.WaveNet(64, 128, 10), 1, 16000),
    "amplifier: WaveNet, 10 layers of 8 channels": (lambda: nets.WaveNet(8, 8, 10), 1, 44100),
    "HiFi-GAN, 32 channels, 86 frames": (nets.HifiGan, 20, 86),
    **{f"HiFi-GAN, {n} channels, 86 frames": (partial(nets.HifiGan, n), 20, 86) for n in (128, 512)},
    **{f"Wave-U-Net, {n} channels": (partial(nets.UNet, n), 1, 16000) for n in (8, 32, 128)},
    **{f"Conv-TasNet, {n} channels": (partial(nets.Separator, width=n), 1, 16000) for n in (12, 128, 512)},
}


def spent(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def least(run: Callable[[], object], tries: int) -> float:
    return min(spent(run) for _ in range(tries))


def kernels() -> None:
    """Every convolution of a HiFi-GAN of 32 channels alone, on a second and on ten: PyTorch's own call, and the faster
    of that and of the products that a stream makes instead."""
    module, seen = nets.HifiGan().eval(), list[tuple[nn.Module, torch.Size]]()
    convolutions = [m for m in module.modules() if isinstance(m, (nn.Conv1d, nn.ConvTranspose1d))]
    for conv in convolutions:
        conv.register_forward_hook(lambda m, given, _: seen.append((m, given[0].shape)))
    block = whole = fastest = 0.0
    with torch.no_grad():
        for frames in (86, 860):
            module(torch.randn(1, 20, frames))
        for conv in convolutions:
            conv._forward_hooks.clear()
        pairs = list(zip(seen[: len(seen) // 2], seen[len(seen) // 2 :], strict=True))
        for (conv, short), (_, long) in pairs:
            x, bare = torch.randn(short), copy(conv)
            own = least(partial(conv, x), 60)
            if isinstance(bare, nn.Conv1d):  # a stream gives it the positions that are padded here
                bare.padding = (0,)
                x = torch.randn(*short[:2], short[2] + bare.dilation[0] * (bare.kernel_size[0] - 1))
            block, whole = block + own, whole + least(partial(conv, torch.randn(long)), 12) / SECONDS
            fastest += min(own, least(partial(product, bare, x), 60))
    print(
        f"{len(pairs)} convolutions on a second, of what they take for one of ten ({1e6 * whole:.0f} µs): "
        f"PyTorch's own {block / whole:.2f}, the faster of own and product {fastest / whole:.2f}"
    )


def main() -> None:
    torch.set_num_threads(1)
    if "--kernels" in sys.argv:
        kernels()
        return
    for name, (build, channels, rate) in NETWORKS.items():
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        module = build().eval()
        stream = rfcalc.to_stream(module, (channels, 2 * rate))
        size = -(-rate // stream.block["in"]) * stream.block["in"]
        x = torch.randn(1, channels, SECONDS * size)
        chunks = x.split(size, -1)
        blocks, whole, alone = [], [], []
        with torch.no_grad():
            for _ in range(TRIES):
                stream.reset()
                blocks.append([spent(lambda s=stream, c=c: s(c)) for c in chunks])
                whole.append(spent(lambda m=module, x=x: m(x)))
                alone.append(median(spent(lambda m=module, c=c: m(c)) for c in chunks))
        first, *later = (min(tries) for tries in zip(*blocks, strict=True))
        share, block, own = min(whole) / SECONDS, median(later), min(alone)
        print(
            f"{name:45} whole run {1000 * share:.1f} ms a second; a block {block / share:.2f} of it, "
            f"the first {first / share:.2f}; the module on a block {own / share:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
