"""torchvision's names and shapes, its weights in our modules, and equal scores."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from vision import models

import rfcalc
from rfcalc import Network, to_torch, zoo
from rfcalc.backends.torch import counts

torch.set_num_threads(1)
NAMED = [entry.name for entry in zoo.entries() if entry.build().torch is not None]


def theirs(network: Network, device: str = "meta") -> nn.Module:
    """torchvision's model of a network, by the name that its table gives."""
    assert network.torch is not None
    name, _, arguments = network.torch.model.partition("(")
    given: dict[str, Any] = dict(a.split("=") for a in arguments.rstrip(")").split(",") if a)
    given = {k: {"False": False}.get(v, None if v == "None" else v) for k, v in given.items()}
    given = {k: v if v is False else float(v) for k, v in given.items()}
    made: Any = models()
    for part in name.split("."):
        made = getattr(made, part)
    if name in ("googlenet", "inception_v3"):
        given |= {"init_weights": False}
    if name.startswith("segmentation"):
        given |= {"weights_backbone": None}
    with torch.device(device):
        return made(**given)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMED)
def test_state_dicts_are_torchvisions(name: str) -> None:
    network = rfcalc.load(name)
    ours = to_torch(network, device="meta")
    reference = theirs(network)
    mine = {k: tuple(v.shape) for k, v in ours.state_dict().items()}
    assert mine == {k: tuple(v.shape) for k, v in reference.state_dict().items()}
    totals = rfcalc.analyze(network).totals
    assert counts(ours) == counts(reference) == (totals.params, totals.buffers)
