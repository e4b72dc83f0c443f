"""Every classification and segmentation model of torchvision through ONNX, against PyTorch's own counts.

    python benchmarks/onnx_models.py docs/onnx-models.md [--most-params 100000000]

Goes on where an earlier run of the same file stopped. Writes a dated table: model, side of the image, parameters and
multiply-adds counted here, and how they compare with PyTorch's (or which operators were not understood). Models are
exported with batch normalisation as it is. Needs torch, torchvision and onnx.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

SIDES = {"alexnet": 224, "vgg": 224, "vit": 224, "maxvit": 224, "inception": 96}
MOST_IN_SINGLE = 500_000_000  # parameters: a file may have 2 GB, so larger models are exported in half precision
OWN = {"vit_l_16": 224, "vit_h_14": 224}


def side_of(name: str) -> int:
    if name in OWN:
        return OWN[name]
    return next((side for start, side in SIDES.items() if name.startswith(start)), 64)


def row(name: str, side: int) -> tuple[str, bool]:
    import onnx_models as models
    import torch

    from rfcalc.readers.onnx import from_onnx
    from rfcalc.report import Report

    model = models.build(name)
    if sum(p.numel() for p in model.parameters()) > MOST_IN_SINGLE:
        model = model.half()
    real = models.counted(model, 3, side, side)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(models.exported(model, 3, side, side))
        started = time.perf_counter()
        read = from_onnx(path)
        taken = time.perf_counter() - started
    totals = Report(read.network).totals
    exact = read.complete and totals.params == real.params and totals.macs == real.macs
    verdict = "exact" if exact else "differs"
    if not read.complete:
        verdict = "incomplete: " + ", ".join(sorted({u.operator for u in read.unknown}))
    elif totals.params == real.params and totals.macs != real.macs:
        verdict = f"params exact, macs {totals.macs - real.macs:+,}"
    del model
    gc.collect()
    print(torch.__version__, name, verdict, f"{taken:.2f} s", flush=True, file=sys.stderr)
    return f"| {name} | {side} | {totals.params:,} | {totals.macs:,} | {verdict} |", exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--most-params", type=int, default=100_000_000)
    parser.add_argument("--minutes", type=float, default=600)
    given = parser.parse_args()
    import onnx
    import onnx_models as models
    import torch

    tv = models.torchvision
    names = tv.models.list_models(tv.models) + tv.models.list_models(tv.models.segmentation)
    size = {n: tv.models.get_model_weights(n).DEFAULT.meta["num_params"] for n in names}
    names.sort(key=lambda n: size[n])
    known = given.output.read_text().splitlines() if given.output.exists() else []
    rows = [line for line in known if line.startswith("| ") and line.split()[1] in names]
    count = sum(line.endswith("| exact |") for line in rows)
    done = {line.split()[1] for line in rows}
    left: list[str] = []
    started = time.time()
    for name in names:
        if name in done:
            continue
        if size[name] > given.most_params or time.time() - started > 60 * given.minutes:
            left.append(name)
            continue
        try:
            text, exact = row(name, side_of(name))
        except Exception as error:  # an export that fails is a row too
            traceback.print_exc()
            text, exact = f"| {name} | {side_of(name)} | – | – | {type(error).__name__} |", False
        rows.append(text)
        count += exact
        given.output.write_text(page(rows, left, count, torch.__version__, tv.__version__, onnx.__version__))
    given.output.write_text(page(rows, left, count, torch.__version__, tv.__version__, onnx.__version__))


def page(rows: list[str], left: list[str], count: int, *versions: str) -> str:
    torch, torchvision, onnx = versions
    head = [
        "# ONNX: all of torchvision",
        "",
        f"Written by `benchmarks/onnx_models.py` on {datetime.date.today()}: torch {torch}, torchvision {torchvision}, "
        f"onnx {onnx}. Each model is exported by `torch.onnx.export(dynamo=False, training=PRESERVE, "
        "do_constant_folding=False)`, read by `from_onnx`, and compared with `sum(p.numel())` and PyTorch's "
        "`FlopCounterMode`. Side is that of the image. Models of more than 500 million parameters are exported in half "
        "precision: a file may have 2 GB.",
        "",
        f"**{count} of {len(rows)} models are exact in parameters and multiply-adds.**"
        + (f" Not run, for their size or for time: {', '.join(left)}." if left else ""),
        "",
        "| model | side | params | macs | against PyTorch |",
        "|---|---:|---:|---:|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


if __name__ == "__main__":
    main()
