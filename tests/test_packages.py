"""Models of packages that people use, read and measured by the modules themselves.

Parameters, multiply-adds and shapes by a run, receptive fields by gradients. `RFCALC_PACKAGES=FOLDER` names where the
packages are (see package_models.py); models of a package that is not installed are skipped.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib.util import find_spec
from typing import Any

import pytest
import torch
import vision
from more_package_models import MORE
from package_models import MODELS as FIRST
from package_models import SMALL_PACKAGES, Model
from seen import fields

import rfcalc
from rfcalc.backend.verify import verify
from rfcalc.backend.verify.finding import DISAGREES, EQUAL

if os.environ.get("RFCALC_PACKAGES"):
    sys.path.append(os.environ["RFCALC_PACKAGES"])
torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")

MODELS = [*FIRST, *MORE]
IMPORTED = {  # where a package has another name than its module
    "dynamic-network-architectures": "dynamic_network_architectures",
    "efficientnet-pytorch": "efficientnet_pytorch",
    "mlp-mixer-pytorch": "mlp_mixer_pytorch",
    "open-clip-torch": "open_clip",
    "perceiver-pytorch": "perceiver_pytorch",
    "pytorch-tcn": "pytorch_tcn",
    "segment-anything": "segment_anything",
    "vit-pytorch": "vit_pytorch",
}
# Where the module's counter says something else, and why.
OTHERWISE = {
    ("vit-pytorch", "CrossFormer"): "a contraction over one value, which PyTorch computes elementwise: 256",
}
# The module writes over what its gradient needs, or cuts it off.
WITHOUT_A_GRADIENT = {("spandrel", "PLKSR"), ("kornia", "XFeat")}
# What is not understood, by name.
INCOMPLETE: dict[tuple[str, str], set[str]] = {}


def models(small: bool) -> list[Any]:
    found = [m for m in MODELS if (m.package in SMALL_PACKAGES) == small]
    return [pytest.param(m, id=f"{m.package}-{m.name}") for m in found]


def built(m: Model) -> Any:
    if m.package != "none" and find_spec(IMPORTED.get(m.package, m.package)) is None:
        pytest.skip(f"{m.package} is not installed (RFCALC_PACKAGES=FOLDER names where packages are)")
    vision.models()
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return m.make().eval()


def check(m: Model) -> None:
    """Read completely (or with operators that are named); parameters, multiply-adds, shapes equal."""
    module = built(m)
    read = rfcalc.from_torch(module, m.shape)
    assert {u.operator for u in read.unknown} == INCOMPLETE.get((m.package, m.name), set())
    found = verify(rfcalc.analyze(read), what=("shapes", "params", "macs"), device="cpu")
    differ = [f for f in found.findings if f.verdict == DISAGREES]
    if (m.package, m.name) in OTHERWISE:
        assert {f.what for f in differ} == {"macs"}
        return
    assert not differ
    assert {f.what for f in found.findings if f.verdict == EQUAL} >= {"params", "macs", "shapes"}


@pytest.mark.parametrize("m", models(small=True))
def test_small_packages(m: Model) -> None:
    check(m)


@pytest.mark.exhaustive
@pytest.mark.parametrize("m", models(small=False))
def test_packages(m: Model) -> None:
    check(m)


# Models whose receptive fields are compared in the default run.
SEEN = ("TCN causal", "TCN not causal", "PlainConvUNet 2D", "ResidualEncoderUNet 2D")


@pytest.mark.parametrize("m", [p for p in models(small=True) if p.values[0].name in SEEN])
def test_fields_of_small_packages(m: Model) -> None:
    found = fields(built(m), m.shape)
    assert not found.differ
    assert found.units


@pytest.mark.exhaustive
@pytest.mark.parametrize("m", models(small=True) + models(small=False))
def test_fields_of_packages(m: Model) -> None:
    if isinstance(m.shape, str) or (m.package, m.name) in WITHOUT_A_GRADIENT:
        pytest.skip("nothing to take a gradient of")
    assert not fields(built(m), m.shape).differ


def test_the_list_is_long_enough() -> None:
    assert len(MODELS) >= 100
    assert len({m.package for m in MODELS}) >= 15
    assert {m.package for m in MODELS} >= set(SMALL_PACKAGES)
    assert len({(m.package, m.name) for m in MODELS}) == len(MODELS)


def test_control_a_wrong_reading_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that reads a convolution with another dilation: fields and shapes differ."""
    right = Model("none", "two convolutions", lambda: _chain(2), (1, 24))
    check(right)
    assert not fields(right.make().eval(), right.shape).differ
    wrong = rfcalc.from_torch(_chain(1), right.shape)
    monkeypatch.setattr(rfcalc, "from_torch", lambda module, inputs: wrong)
    assert fields(right.make().eval(), right.shape).differ


def _chain(dilation: int) -> torch.nn.Module:
    def conv() -> torch.nn.Module:
        return torch.nn.Conv1d(1, 1, 3, padding=dilation, dilation=dilation)

    return torch.nn.Sequential(conv(), torch.nn.ReLU(), conv())
