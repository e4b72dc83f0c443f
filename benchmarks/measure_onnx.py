"""Reading a 550 MB ONNX file: rfcalc against `onnx.load`, in one process, and the memory of a process that only reads.

    python benchmarks/measure_onnx.py [--rounds 5]

The file is VGG-16 with its 138 million weights, written here. Both readers find it in the page cache. Ratios are of the
medians; the whole process is measured in a fresh interpreter, as the maximum resident set.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent / "tests")]

CODE = (  # not getrusage: its maximum is inherited from the parent
    "import sys, rfcalc\n"
    "report = rfcalc.analyze(sys.argv[1])\n"
    "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
    "print(report.totals.params, peak)"
)


def write(path: Path) -> None:
    """VGG-16 of torchvision's layout, with random bytes as weights."""
    import os

    import onnx_bytes as raw

    nodes, heads, sizes = [], [], []
    before, channels = "x", 3

    def weights(name: str, dims: list[int]) -> None:
        content = b"".join(raw.number(1, n) for n in dims) + raw.number(2, 1) + raw.text(8, name)
        size = 4
        for n in dims:
            size *= n
        content += raw.varint(9 << 3 | 2) + raw.varint(size)
        heads.append(raw.varint(5 << 3 | 2) + raw.varint(len(content) + size) + content)
        sizes.append(size)

    for i, letter in enumerate(
        [
            "64",
            "64",
            "M",
            "128",
            "128",
            "M",
            "256",
            "256",
            "256",
            "M",
            "512",
            "512",
            "512",
            "M",
            "512",
            "512",
            "512",
            "M",
        ]
    ):
        after = f"v{i}"
        if letter == "M":
            nodes.append(raw.node("MaxPool", before, after, kernel_shape=[2, 2], strides=[2, 2]))
        else:
            out = int(letter)
            weights(f"features.{i}.weight", [out, channels, 3, 3])
            weights(f"features.{i}.bias", [out])
            nodes.append(raw.node("Conv", f"{before} features.{i}.weight features.{i}.bias", f"c{i}", pads=[1] * 4))
            nodes.append(raw.node("Relu", f"c{i}", after))
            channels = out
        before = after
    nodes.append(raw.node("Flatten", before, "flat"))
    before, features = "flat", 25088
    for i, out in enumerate((4096, 4096, 1000)):
        weights(f"classifier.{i}.weight", [out, features])
        weights(f"classifier.{i}.bias", [out])
        after = f"f{i}" if i < 2 else "y"
        inputs = f"{before} classifier.{i}.weight classifier.{i}.bias"
        nodes.append(raw.node("Gemm", inputs, after, transB=1))
        before, features = after, out
    rest = raw.graph(nodes, [raw.value("x", [1, 3, 224, 224])], [raw.value("y", [1, 1000])])
    total = sum(len(h) + n for h, n in zip(heads, sizes, strict=True)) + len(rest)
    with open(path, "wb") as file:
        file.write(raw.number(1, 8) + raw.message(8, raw.number(2, 17)) + raw.varint(7 << 3 | 2) + raw.varint(total))
        for head, size in zip(heads, sizes, strict=True):
            file.write(head)
            for start in range(0, size, 1 << 24):
                file.write(os.urandom(min(1 << 24, size - start)))
        file.write(rest)


def median(function: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    import onnx

    from rfcalc.readers.onnx import from_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vgg16.onnx"
        write(path)
        print(f"file                {path.stat().st_size / 1e6:8.1f} MB")
        started = time.perf_counter()
        from_onnx(path)
        first = time.perf_counter() - started
        ours, theirs = median(lambda: from_onnx(path), rounds), median(lambda: onnx.load(path), rounds)
        print(f"from_onnx, first    {1e3 * first:8.1f} ms (with its modules)")
        print(f"from_onnx           {1e3 * ours:8.1f} ms")
        print(f"onnx.load           {1e3 * theirs:8.1f} ms, {theirs / ours:.0f} times as long")
        done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True)
        params, peak = map(int, done.stdout.split())
        print(f"whole process       {peak * 1024 / 1e6:8.1f} MB at most, {params:,} parameters")
        print(f"with onnx.load      {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6:8.1f} MB")
        fine = ours < theirs / 5 and first < theirs / 5 and peak * 1024 < 150e6 and params == 138_357_544
        print("within the bounds: a fifth of the time, 150 MB" if fine else "NOT within the bounds")
        sys.exit(not fine)


if __name__ == "__main__":
    main()
