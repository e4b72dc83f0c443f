"""Models of other packages, read again and compared with what rfcalc recorded of them (`rfcalc/claims/readings`)."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import vision

from rfcalc.claims.recorded import packages
from rfcalc.readers.torch.importer import from_torch
from rfcalc.report import Report

FRAMES = ("fcn", "deeplabv3", "lraspp")


def recorded(package: str) -> dict[str, Any]:
    """The record of a package."""
    data: dict[str, Any] = json.loads(packages()[package].read_text(encoding="utf-8"))
    return data


def module(package: str, name: str, shape: str) -> Any:
    """The module that was recorded; None where the package is not installed, or the name is that of a part."""
    if (
        package == "torchvision"
        and "rcnn" not in name
        and not name.startswith(("retinanet", "fcos", "ssd"))
        and "." not in name
    ):
        options: dict[str, Any] = {}
        if name.startswith("vit") and not shape.endswith("x224"):
            options["image_size"] = int(shape.rpartition("x")[2])
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        if name.startswith(FRAMES):
            options["weights_backbone"] = None
        if name.startswith(FRAMES[:2]):
            options["aux_loss"] = True
        return vision.models().get_model(name, **options).eval()
    if package == "timm" and find_spec("timm"):
        vision.models()  # timm imports torchvision, which wants its operators declared
        import timm

        size = tuple(map(int, shape.split("x")[1:]))
        usual = timm.get_pretrained_cfg(name, allow_unregistered=True)
        sized = usual is not None and usual.fixed_input_size and usual.input_size[1:] != size
        return timm.create_model(name, num_classes=1000, **({"img_size": size} if sized else {})).eval()
    if package == "pytorchcv" and find_spec("pytorchcv"):
        from inspect import signature

        from pytorchcv.model_provider import _models  # type: ignore[import-not-found]

        make = _models[name]
        return make(**({"aux": False} if "aux" in signature(make).parameters else {})).eval()
    return None


def figures(made: Any, shape: str) -> dict[str, int]:
    """What a module comes to, under the names of the record."""
    report = Report(from_torch(made, tuple(map(int, shape.split("x")))).network)
    assert report.complete
    totals = report.totals
    plain = ("weights", "biases", "buffers", "macs", "values", "weight_layers")
    return {name: int(getattr(totals, name)) for name in plain} | {n: int(totals.ops[n]) for n in totals.ops}
