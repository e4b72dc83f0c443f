"""What all columns of the table cost beyond the plain one: a 3-D U-Net of depth 8, and ResNet-152.

`python benchmarks/all_columns.py`: processor seconds of whole commands, in turn, medians. Exit code 1 where the
columns of the receptive field add more than a tenth of a second.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from ratios import RFCALC, child

from rfcalc import Concat, Conv, ConvTranspose, Expr, MaxPool, Network, ReLU, parallel, ref, spec
from rfcalc.report.metrics import METRICS

BOUND = 0.1
RUNS = 9
PLAIN = "name,notation,output,params,macs,values"
EVERY = ",".join(METRICS.names())


def unet(depth: int, width: int = 4) -> Network:
    """A padded 3-D U-Net with `depth` poolings on 256³ voxels."""

    def double(level: int, name: str) -> Expr:
        wide = width * 2 ** min(level, 5)
        return Conv(wide, 3, padding=1) >> ReLU() >> Conv(wide, 3, padding=1) >> ReLU().named(name)

    net = double(0, "down0")
    for level in range(1, depth + 1):
        net = net >> MaxPool(2) >> double(level, f"down{level}")
    for level in reversed(range(depth)):
        up = ConvTranspose(width * 2 ** min(level, 5), 2, stride=2).named(f"up{level}")
        net = net >> up >> parallel([ref(f"down{level}"), ref(f"up{level}")], Concat()) >> double(level, f"out{level}")
    return Network(net, "1x256x256x256")


def main() -> int:
    fields = "receptive_field,stride,padding,center,status,seen"
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "unet.json"
        file.write_text(spec.write(unet(8), "json"), encoding="utf-8")
        for name, target in (("3-D U-Net of depth 8", str(file)), ("ResNet-152", "resnet152")):
            plain = [RFCALC, "table", target, "--columns", PLAIN]
            for told, columns, bound in (("receptive fields", f"{PLAIN},{fields}", BOUND), ("everything", EVERY, None)):
                full = [RFCALC, "table", target, "--columns", columns]
                more = median(child(full) - child(plain) for _ in range(RUNS))
                broken += bound is not None and more > bound
                print(f"{name:24} {told:18} {more:+.3f} s" + ("" if bound is None else f"  bound {bound}"))
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
