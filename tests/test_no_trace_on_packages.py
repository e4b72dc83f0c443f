"""Reading leaves no trace on models of packages that people use: all that they hold, and the state of the process.

`RFCALC_PACKAGES=FOLDER` names where the packages are (see package_models.py); others are skipped.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from package_models import SMALL_PACKAGES, Model
from test_packages import MODELS, built
from torch import nn
from traces import changed, everything

from rfcalc import RfcalcError, from_torch

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")


def several(small: bool) -> list[Any]:
    found: dict[str, list[Model]] = {}
    for m in MODELS:
        found.setdefault(m.package, []).append(m)
    chosen = [m for package, each in found.items() for m in (each[:1] if small else each)]
    return [pytest.param(m, id=f"{m.package}-{m.name}") for m in chosen if (m.package in SMALL_PACKAGES) or not small]


class Failing(nn.Module):
    """Fails after the module has run."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.module(*args, **kwargs)
        raise ValueError("after all")


def check(m: Model) -> None:
    module = Failing(built(m).train())
    before = everything(module)
    from_torch(module.module, m.shape)
    assert not changed(before, everything(module))
    with pytest.raises(RfcalcError, match="after all"):
        from_torch(module, m.shape)
    assert not changed(before, everything(module))


@pytest.mark.parametrize("m", several(small=True))
def test_no_trace_on_small_packages(m: Model) -> None:
    check(m)


@pytest.mark.exhaustive
@pytest.mark.parametrize("m", several(small=False))
def test_no_trace_on_packages(m: Model) -> None:
    check(m)
