"""Measures what the counting tools say of four networks, once, by hand: writes tests/data/counts.json.

Not run by the tests: it needs torch, torchvision, fvcore, thop, torchinfo, calflops, ptflops, onnx-tool and torchscan.
Run: python benchmarks/measure_counts.py [network or tool …]
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from measure_networks import declare_operators  # noqa: F401 (declares what torchvision lacks)

OUT = Path(__file__).parent.parent / "tests" / "data" / "counts.json"
NETWORKS = {
    "vgg16-torchvision": "vgg16",
    "resnet50": "resnet50",
    "mobilenet-v2": "mobilenet_v2",
    "vit-b-16": "vit_b_16",
}
SHAPE = (1, 3, 224, 224)


def torch_(model: torch.nn.Module) -> dict[str, int]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta")(torch.zeros(SHAPE, device="meta"))
    return {"flops": counter.get_total_flops()}


def fvcore(model: torch.nn.Module) -> dict[str, int]:
    from fvcore.nn import FlopCountAnalysis

    found = (
        FlopCountAnalysis(model, torch.zeros(SHAPE)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    )
    return {"flops": int(found.total())}


def thop(model: torch.nn.Module) -> dict[str, int]:
    from thop import profile

    return {"macs": int(profile(model, (torch.zeros(SHAPE),), verbose=False)[0])}


def torchinfo(model: torch.nn.Module) -> dict[str, int]:
    from torchinfo import summary

    return {"mult_adds": int(summary(model, SHAPE, verbose=0).total_mult_adds)}


def calflops(model: torch.nn.Module) -> dict[str, int]:
    from unittest.mock import MagicMock

    for name in ("transformers", "huggingface_hub", "huggingface_hub.utils", "accelerate", "accelerate.utils"):
        sys.modules.setdefault(name, MagicMock())  # imported there for language models only
    from calflops import calculate_flops

    flops, macs, _ = calculate_flops(model, SHAPE, output_as_string=False, print_results=False, print_detailed=False)
    return {"flops": int(flops), "macs": int(macs)}


def ptflops(model: torch.nn.Module) -> dict[str, int]:
    from ptflops import get_model_complexity_info

    macs, _ = get_model_complexity_info(
        model, SHAPE[1:], as_strings=False, print_per_layer_stat=False, backend="pytorch", verbose=False
    )
    return {"macs": int(macs)}


def onnx_tool(model: torch.nn.Module) -> dict[str, int]:
    import onnx_tool as tool

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        torch.onnx.export(model, torch.zeros(SHAPE), path, dynamo=False, opset_version=17, do_constant_folding=True)
        loaded = tool.Model(path)
        loaded.graph.shape_infer(None)
        loaded.graph.profile()
        macs = loaded.graph.macs
    return {"macs": int(macs[0] if isinstance(macs, (list, tuple)) else macs)}


def torchscan(model: torch.nn.Module) -> dict[str, int]:
    from torchscan import crawl_module

    totals = crawl_module(model, SHAPE[1:])["totals"]
    return {"macs": int(totals["macs"]["known_value"]), "flops": int(totals["module_flops"]["known_value"])}


TOOLS: dict[str, tuple[str, Callable[[torch.nn.Module], dict[str, int]]]] = {
    "torch": ("torch", torch_),
    "fvcore": ("fvcore", fvcore),
    "thop": ("thop", thop),
    "torchinfo": ("torchinfo", torchinfo),
    "calflops": ("calflops", calflops),
    "ptflops": ("ptflops", ptflops),
    "onnx-tool": ("onnx-tool", onnx_tool),
    "torchscan": ("torchscan", torchscan),
}


def main(chosen: list[str]) -> None:
    """Measure the networks or tools that are named; all if none is."""
    import torchvision

    warnings.simplefilter("ignore")
    found: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    networks = [n for n in NETWORKS if n in chosen] or list(NETWORKS)
    tools = [t for t in TOOLS if t in chosen] or list(TOOLS)
    for name in networks:
        for tool in tools:
            package, count = TOOLS[tool]
            model = getattr(torchvision.models, NETWORKS[name])(weights=None).eval()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    figures = count(model)
            except Exception as error:
                print(name, tool, type(error).__name__, str(error)[:300])
                continue
            version = metadata.version(package).split("+")[0]
            entry = {"version": version, "measured": date.today().isoformat(), **figures}
            found.setdefault(name, {})[tool] = entry
            print(name, tool, figures, flush=True)
            OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
