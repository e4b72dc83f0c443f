"""Read models of other packages and write down what they come to: the files of `rfcalc/claims/readings`.

    python benchmarks/record_readings.py timm timm.json resnet26 convnext_tiny@3x384x384

A model is read by rfcalc at its usual input, or at the one behind its `@`; what the file holds already is kept, so that
a run which was stopped goes on. A model that is not read completely is told on stderr, and left out. How a package's
models are made stands in `tests/readings.py`, which the tests read them again with.
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import torch
from readings import figures, module

FIGURES = (
    *("weights", "biases", "buffers", "macs", "values", "weight_layers", "conv_bias_adds", "linear_bias_adds"),
    *("norm", "activation", "pool_inputs", "pool_outputs", "adaptive_pool_inputs"),
)


def usual_input(package: str, name: str) -> str:
    """The input that a package gives a model by default."""
    if package == "timm":
        import vision

        vision.models()  # timm imports torchvision, which wants its operators declared
        import timm

        found = timm.get_pretrained_cfg(name, allow_unregistered=True)
        return "x".join(map(str, found.input_size if found is not None else (3, 224, 224)))
    return "3x224x224"


def main(package: str, out: Path, names: list[str]) -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    data: dict[str, Any] = {"package": package, "version": version(package), "read": str(date.today())}
    data |= {"how": "rfcalc.from_torch", "figures": FIGURES, "models": {}}
    if out.exists():
        data |= json.loads(out.read_text())
    left_out = 0
    for given in names:
        name, _, shape = given.partition("@")
        try:
            shape = shape or usual_input(package, name)
            if shape in data["models"].get(name, {}):
                continue
            with torch.device("meta"):
                made = module(package, name, shape)
            found = figures(made, shape)
        except Exception as error:  # whatever a package's own code raises
            left_out += 1
            print(f"{given}: {type(error).__name__} {str(error)[:200]}", file=sys.stderr, flush=True)
            continue
        data["models"].setdefault(name, {})[shape] = [found[key] for key in FIGURES]
        write(out, data)
        print(f"{given} {shape}: {found['weights'] + found['biases']:,} {found['macs']:,}", flush=True)
    return 1 if left_out else 0


def write(out: Path, data: dict[str, Any]) -> None:
    """The record as a file: a line for each model, so that changes can be read."""
    models = ",\n".join(f"  {json.dumps(n)}: {json.dumps(m)}" for n, m in sorted(data["models"].items()))
    head = json.dumps({k: v for k, v in data.items() if k != "models"}, indent=1)[:-2]
    out.write_text(f'{head},\n "models": {{\n{models}\n }}\n}}\n')


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
