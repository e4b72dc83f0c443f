"""What a streamed block costs: blocks of a second, as a share of the whole run of ten seconds (a ratio of CPU times).

    python benchmarks/streams.py

Each line: the streamed blocks against the whole run, and against the module itself on the same blocks (which gives
wrong values at their borders). One thread; the least of seven tries.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

import rfcalc

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import stream_networks as nets

SECONDS = 10
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


def main() -> None:
    torch.set_num_threads(1)
    for name, (build, channels, rate) in NETWORKS.items():
        module = build().eval()
        stream = rfcalc.to_stream(module, (channels, 2 * rate))
        size = -(-rate // stream.block["in"]) * stream.block["in"]
        x = torch.randn(1, channels, SECONDS * size)
        chunks = x.split(size, -1)

        def streamed(stream: nn.Module = stream, chunks: tuple[torch.Tensor, ...] = chunks) -> None:
            stream.reset()
            for chunk in chunks:
                stream(chunk)

        def alone(module: nn.Module = module, chunks: tuple[torch.Tensor, ...] = chunks) -> None:
            for chunk in chunks:
                module(chunk)

        with torch.no_grad():
            streamed()
            tries = [(spent(streamed), spent(lambda m=module, v=x: m(v)), spent(alone)) for _ in range(7)]
        ours, whole, own = (min(column) for column in zip(*tries, strict=True))
        print(
            f"{name:45} {ours / whole:5.2f} of the whole, {ours / own:5.2f} of the module on the same blocks "
            f"({1000 * whole / SECONDS:.1f} ms a second of signal)",
            flush=True,
        )


if __name__ == "__main__":
    main()
