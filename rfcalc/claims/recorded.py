"""Figures of networks of other packages, recorded when rfcalc read them: ``torchvision:regnet_y_400mf``.

A record is a JSON file in ``readings``: the package, its version, the day, and for each model and input what the layers
came to. Claims run no code, and reading a thousand modules takes a quarter of an hour: so the claims about them are
judged by the record, and a test that has the package reads its modules again and compares (`tests/readings.py`).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rfcalc.core.errors import RfcalcError, UnknownName

READINGS = Path(__file__).parent / "readings"
CODE = {  # how a model of a package is named as code, so that it is read anew, with all its rows
    "keras": "py:keras.applications:{0}(weights=None)",
    "mmpretrain": "py:mmpretrain:get_model('{0}')",
    "pytorchcv": "py:pytorchcv.model_provider:get_model('{0}')",
    "timm": "py:timm:create_model('{0}')",
    "torchvision": "py:torchvision.models:get_model('{0}', weights=None)",
}
PARTS = ("rcnn", "retinanet", "ssd", "fcos", "deeplab", "fcn", "lraspp")  # torchvision's models with a backbone


class _Totals(SimpleNamespace):
    def __getattr__(self, name: str) -> Any:
        raise RfcalcError(f"{name} of models of other packages is not recorded", fix=f"it is {', '.join(self.ops)}")


class Record:
    """What one model came to at one input: the whole network's figures, as a report has them; it has no rows."""

    complete = True

    def __init__(self, target: str, figures: dict[str, int]) -> None:
        self.target = target
        counted = {**figures, "params": figures["weights"] + figures["biases"], "flops": 2 * figures["macs"]}
        self.totals = _Totals(**counted, ops=figures, op=lambda name: figures[name])

    def __getattr__(self, name: str) -> Any:
        raise RfcalcError(f"of {self.target} only the whole network's figures are recorded", why=f"{name} is asked for")


def packages() -> dict[str, Path]:
    """The packages whose models are recorded, by name.

    >>> sorted(packages())[-1]
    'torchvision'
    """
    return {path.stem: path for path in sorted(READINGS.glob("*.json"))}


def is_recorded(target: str) -> bool:
    """Whether a target is a model of a package whose models are recorded."""
    return target.partition(":")[0] in packages() and ":" in target


def record(target: str, shape: str | None = None) -> Record:
    """The record of a model.

    Args:
        target: ``package:model``.
        shape: the input; if left out, the one that was recorded first.

    Raises:
        UnknownName: the package has no such model, or it was not read.
        RfcalcError: it was read at other inputs only.

    >>> record("torchvision:alexnet").totals.params
    61100840
    """
    package, _, name = target.partition(":")
    data = _data(package)
    known: dict[str, dict[str, Any]] = data["models"]
    if name not in known:
        raise UnknownName(f"model of {package} {data['version']}", name, list(known))
    inputs = known[name]
    if shape is not None and shape not in inputs:
        raise RfcalcError(f"{target} was not read at {shape}", fix=f"it was at {', '.join(inputs)}")
    found = inputs[shape or next(iter(inputs))]
    return Record(target, dict(zip(data["figures"], found, strict=True)))


@cache
def _data(package: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(packages()[package].read_text(encoding="utf-8"))
    return found


def as_code(target: str) -> str | None:
    """How the model is named as code; None where no such model is recorded.

    >>> as_code("torchvision:alexnet"), as_code("timm:convnextv2_small")
    ("py:torchvision.models:get_model('alexnet', weights=None)", "py:timm:create_model('convnextv2_small')")
    """
    package, _, name = target.partition(":")
    if not is_recorded(target) or name not in _data(package)["models"]:
        return None
    name = name.partition(".")[0] if package == "torchvision" else name  # .box, .aux: a part of it
    code = CODE[package].format(name)
    if package == "torchvision" and any(part in name for part in PARTS):
        return code.replace("weights=None", "weights=None, weights_backbone=None")
    return code


def in_zoo(target: str) -> str | None:
    """The network of the literature that is this recorded model: of its family, of the same figures at its input.

    >>> in_zoo("torchvision:alexnet"), in_zoo("torchvision:convnext_tiny"), in_zoo("timm:convnextv2_small")
    ('alexnet-torchvision', 'convnext-t', None)
    """
    from rfcalc import zoo
    from rfcalc.readers.target import analyze

    package, _, name = target.partition(":")
    if as_code(target) is None:
        return None
    shape = next(iter(_data(package)["models"][name]))
    own = record(target).totals
    family = name.lower().split("_")[0].rstrip("0123456789")
    named = [entry.name for entry in (zoo.find(f"{name}-{package}"), zoo.find(name)) if entry is not None]
    for network in dict.fromkeys([*named, *(n for n in zoo.networks() if n.startswith(family))]):
        try:
            totals = analyze(network, shape).totals
        except RfcalcError:  # it does not take that input
            continue
        if all(getattr(totals, figure) == getattr(own, figure) for figure in ("weights", "biases", "buffers", "macs")):
            return network
    return None


def recorded_as(name: str) -> str | None:
    """The recorded model of a package that has exactly this name, where only one has it.

    >>> recorded_as("regnet_y_400mf"), recorded_as("no such model")
    ('torchvision:regnet_y_400mf', None)
    """
    # names of configurations ("looked_up": false) are no names of networks
    kept = {package: _data(package) for package in packages()}
    found = [f"{p}:{name}" for p, data in kept.items() if data.get("looked_up", True) and name in data["models"]]
    return found[0] if len(found) == 1 else None
