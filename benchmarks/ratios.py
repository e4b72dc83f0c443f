"""Benchmarks as ratios measured in one run: `python benchmarks/ratios.py`. Bounds are the project's promises.

Processes are timed in turn (A B A B …) by the processor time of the child, user and system together, and compared by
the median of the ratios, so that a machine's drift cancels. Exit code 1 if a bound is broken.
"""

from __future__ import annotations

import os
import pty
import resource
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import process_time

HERE = Path(__file__).parent
SYMPY = [sys.executable, "-c", "import sympy"]
RFCALC = str(Path(sysconfig.get_path("scripts")) / "rfcalc")


def child(command: Sequence[str], terminal: bool = False) -> float:
    """Processor seconds of a process whose output is read and dropped, in a pipe or a pseudo-terminal."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if terminal:
        main, follower = pty.openpty()
        process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, close_fds=True)
        os.close(follower)
        try:
            while os.read(main, 65536):
                pass
        except OSError:  # the other side is closed
            pass
        os.close(main)
        code = process.wait()
    else:
        code = subprocess.run(command, capture_output=True, check=False).returncode
    if code:
        raise SystemExit(f"{' '.join(command)} failed with exit code {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def paired(a: Callable[[], float], b: Callable[[], float], runs: int = 15) -> float:
    """The median ratio of a to b, measured in turn, after one run of each that is not counted."""
    a()
    b()
    return median(a() / b() for _ in range(runs))


def imports(statement: str) -> Callable[[], float]:
    """What a statement costs in a process of its own, less what the interpreter costs."""
    bare = min(child([sys.executable, "-c", "pass"]) for _ in range(5))
    return lambda: child([sys.executable, "-c", statement]) - bare


def walks(nodes: int) -> float:
    """Both walks over a residual network of so many nodes, every layer an object of its own, in this process."""
    from rfcalc import BatchNorm, Conv, Expr, Identity, Network, ReLU, Report, series

    def unit() -> Expr:
        body = Conv(64, 3, padding=1, bias=False) >> BatchNorm() >> ReLU() >> Conv(64, 3, padding=1) >> BatchNorm()
        return (Identity() + body) >> ReLU()

    network = Network(series([Conv(64, 7, stride=2, padding=3), *(unit() for _ in range(nodes // 8))]), "3x224x224")
    start = process_time()
    report = Report(network)
    done = len(report.fields[0]) + report.totals.params
    return (process_time() - start) * nodes / len(network.nodes) if done else 0.0


def exercises(count: int) -> float:
    """What one of so many exercises costs, in this process."""
    from rfcalc.teaching.exercises.bank import items

    start = process_time()
    made = sum(len(item.blanks) > 0 for item in items(count, "benchmark"))
    return (process_time() - start) / made


def sizes_of_code(blocks: int = 8) -> float:
    """The valid sizes of code that asks its maps for their size against one reading of it, in this process."""
    from torch import Tensor, nn

    import rfcalc

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)

        def forward(self, x: Tensor) -> Tensor:
            _, c, h, w = x.shape
            y = self.norm(x.flatten(2).transpose(1, 2))
            y = self.down(nn.functional.gelu(self.up(y)))
            return x + y.transpose(1, 2).reshape(-1, c, h, w)

    module = nn.Sequential(nn.Conv2d(3, 16, 4, 4), *(Block() for _ in range(blocks)))
    rfcalc.from_torch(module, "3x64x64")  # what the first reading of a process loads
    start = process_time()
    rfcalc.from_torch(module, "3x61x59")
    one = process_time() - start
    start = process_time()
    rfcalc.sizes(module, "3x64x64").to_dict()
    return (process_time() - start) / one


SYMBOLIC = {  # a command with symbols, and how many times the import of sympy it may take
    ("symbolic", "vgg16"): 2.5,
    ("symbolic", "densenet201"): 6.0,
    ("symbolic", "vgg16-dense", "--columns", "name"): 2.5,  # the peak is the largest of many terms
    ("symbolic", "resnet152", "--columns", "name"): 6.0,
    ("compare", "conv3-C x3", "conv7-C"): 2.5,
}


GROWTH = {  # a command on ten times the nodes, and how many times the processor time it may take, start-up left out
    ("rf",): 16,
    ("rf", "--format", "json"): 40,  # the effective field is told, which widens with the root of the depth
    ("memory",): 16,
    ("sizes",): 16,
    ("tile", "--tile", "9000"): 16,
    ("stream", "--axis", "-1"): 16,
    ("design", "--lint"): 16,
}


def growth() -> list[tuple[str, float, float]]:
    """Commands on a residual network of 10,000 nodes against one of 1,000, as whole processes less their start."""

    def command(told: Sequence[str], copies: int) -> list[str]:
        name, *options = told
        network = f"conv3-8 > (conv3-8 bn relu + identity) x{copies}"
        shape = "3x16384x16384" if name == "tile" else "3x64x64"
        return [RFCALC, name, *options, network, "--input", shape]

    found = []
    for told, most in GROWTH.items():
        start, small, large = (
            min(child(command(told, copies)) for _ in range(runs)) for copies, runs in ((1, 3), (200, 3), (2000, 2))
        )
        found.append((f"rfcalc {' '.join(told)}: 10,000 nodes / 1,000", (large - start) / (small - start), most))
    return found


def symbolic() -> list[tuple[str, float, float]]:
    """Commands with symbols against the import of sympy, as whole processes."""

    def against(command: list[str]) -> float:
        return paired(lambda: child(command), lambda: child(SYMPY), 7)

    return [
        (f"rfcalc {' '.join(told)} / import sympy", against([RFCALC, *told]), most) for told, most in SYMBOLIC.items()
    ]


def main() -> int:
    smallest = [sys.executable, str(HERE / "smallest.py"), "vgg16"]
    table = [RFCALC, "table", "vgg16"]
    exercise = [RFCALC, "exercise", "--count", "1"]
    memory = [RFCALC, "memory", "resnet152", "--batch", "32", "--budget", "24GB"]
    deep = [RFCALC, "table", "resnet152"]
    drawing = imports("import typer, rich.table")
    walks(500)
    figures = [
        (
            "rfcalc table vgg16 / smallest typer program, piped",
            paired(lambda: child(table), lambda: child(smallest)),
            1.3,
        ),
        (
            "rfcalc table vgg16 / smallest typer program, in a terminal",
            paired(lambda: child(table, True), lambda: child(smallest, True)),
            1.3,
        ),
        ("import rfcalc / import typer", paired(imports("import rfcalc"), imports("import typer")), 1.0),
        *symbolic(),
        *growth(),
        (
            "both walks over 500 nodes / import typer, rich.table",
            median(walks(500) for _ in range(9)) / median(drawing() for _ in range(9)),
            0.2,
        ),
        (
            "rfcalc exercise --count 1 / rfcalc table vgg16",
            paired(lambda: child(exercise), lambda: child(table)),
            1.5,
        ),
        (
            "rfcalc memory resnet152 --batch 32 --budget 24GB / its table",
            paired(lambda: child(memory), lambda: child(deep)),
            2.0,
        ),
        (
            "10,000 exercises / 600 times rfcalc table vgg16",
            10_000 * exercises(1000) / (600 * median(child(table) for _ in range(9))),
            1.0,
        ),
        ("the valid sizes of code / one reading of it", median(sizes_of_code() for _ in range(5)), 25.0),
    ]
    broken = 0
    for name, ratio, bound in figures:
        broken += ratio > bound
        print(f"{name:62} {ratio:6.3f}  bound {bound}{'  BROKEN' if ratio > bound else ''}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
