"""An image larger than the memory that may be taken, in exact tiles: `python tests/larger_than_memory.py FOLDER`.

A child process that may take so many bytes of memory of its own (RLIMIT_DATA: a whole copy of the image is refused)
writes an image, runs a network on it in tiles, and compares what it has written with the network on other blocks.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import numpy

import rfcalc

NETWORK = "conv3-1 > conv3-1 > slice axis1 step2 > slice axis2 step2"


def network(tile: Any) -> Any:
    """Two sums over 3 × 3, then every other position."""
    for _ in range(2):
        padded = numpy.pad(tile, ((0, 0), (1, 1), (1, 1)))
        h, w = tile.shape[1:]
        tile = sum(padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3))
    return tile[:, ::2, ::2]


def arrays(kind: str, folder: Path, size: int) -> tuple[Any, Any]:
    shapes = (1, size, size), (1, size // 2, size // 2)
    if kind == "memory maps":
        return tuple(
            numpy.memmap(folder / name, "int32", "w+", shape=shape)
            for name, shape in zip(("in", "out"), shapes, strict=True)
        )  # type: ignore[return-value]
    import zarr

    return tuple(
        zarr.open_array(f"{folder}/{name}.zarr", mode="w", shape=shape, chunks=(1, 512, 512), dtype="i4")
        for name, shape in zip(("in", "out"), shapes, strict=True)
    )  # type: ignore[return-value]


def measured(kind: str, folder: Path, size: int, limit: int) -> str:
    """What a run took, in words.

    Raises:
        AssertionError: a whole copy was not refused, or something differs.
    """
    source, out = arrays(kind, folder, size)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        numpy.ones((1, size, size), "int32")
    except MemoryError:
        pass
    else:
        raise AssertionError("a copy of the image would fit")
    pick = numpy.random.default_rng(0)
    for row in range(0, size, 512):
        for column in range(0, size, 2048):
            source[:, row : row + 512, column : column + 2048] = pick.integers(0, 251, (1, 512, 2048), "int32")
    plan = rfcalc.tile(NETWORK, (1, size, size), tile=1024)
    begun = monotonic()
    plan.run(network, source, out)
    took = monotonic() - begun
    block = 2048
    for row in range(0, size, block):
        for column in range(0, size, block):
            a, b = max(row - 2, 0), max(column - 2, 0)
            whole = network(source[:, a : row + block + 2, b : column + block + 2])
            whole = whole[:, (row - a) // 2 :, (column - b) // 2 :][:, : block // 2, : block // 2]
            written = out[:, row // 2 : (row + block) // 2, column // 2 : (column + block) // 2]
            assert (whole == written).all(), (row, column)
    image = size * size * 4
    return (
        f"{kind}: an image of {image:,} bytes in {plan.count} tiles with {limit:,} bytes of memory "
        f"({image / limit:.1f} times as much): equal, {took:.0f} s"
    )


def main() -> None:
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        print(measured(sys.argv[2], folder, int(sys.argv[3]), int(sys.argv[4])), flush=True)
        return
    for kind in ("memory maps", "zarr arrays"):
        command = [sys.executable, __file__, str(folder), kind, "16384", str(250_000_000)]
        subprocess.run(command, check=True, env={**os.environ, "MALLOC_ARENA_MAX": "2"})  # one heap for all threads


if __name__ == "__main__":
    main()
