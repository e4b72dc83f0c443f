"""Tiles of networks as people write them in PyTorch: each run whole and in tiles, in whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rfcalc

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from rfcalc.backend.tiling import verified  # noqa: E402


class Code(nn.Module):
    """A module whose forward is a function of its layers and its inputs."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, x: Any) -> Any:
        return self.function(self.layers, x)


class Conditioned(Code):
    def forward(self, x: Any, scale: Any) -> Any:
        return self.function(self.layers, x, scale)


def conv(a: int, b: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    return nn.Conv2d(a, b, kernel, stride, padding=kernel // 2)


def cropped_skip(layers: Any, x: Any) -> Any:
    """A valid U-Net whose skip is cropped to the middle, as most code does."""
    skip = layers[0](x)
    y = layers[2](layers[1](F.max_pool2d(skip, 2)))
    h, w = ((skip.shape[i] - y.shape[i]) // 2 for i in (2, 3))
    return torch.cat([skip[:, :, h : h + y.shape[2], w : w + y.shape[3]], y], 1)


def resized(scale: float) -> nn.Module:
    return Code(lambda m, x: m[0](F.interpolate(x, scale_factor=scale, mode="bilinear")), conv(1, 2))


def padded(layers: Any, x: Any) -> Any:
    h, w = x.shape[2:]
    return layers[0](F.pad(x, (0, -w % 8, 0, -h % 8)))[..., :h, :w]


def blurred(layers: Any, x: Any) -> Any:
    kernel = torch.ones(2, 1, 3, 3, dtype=x.dtype)
    return F.conv2d(F.pad(layers[0](x), (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=2)


def framed(layers: Any, x: Any) -> Any:
    """Samples without an axis of channels."""
    return layers[1](layers[0](x.unsqueeze(1)).unsqueeze(1))


def alternating(layers: Any, x: Any) -> Any:
    return layers[0](x[:, :, ::2, 1::2]) + layers[0](x[:, :, 1::2, ::2])


def named_outputs(layers: Any, x: Any) -> Any:
    return {"a": layers[0](x), "b": F.pixel_shuffle(layers[1](x), 2)}


LAYERS = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.ConvTranspose2d(2, 2, 2, 2)
CASES: dict[str, tuple[nn.Module, Any]] = {
    "valid U-Net, cropped in the middle": (Code(cropped_skip, *LAYERS), (1, 46, 54)),
    "half the size": (resized(0.5), (1, 40, 64)),
    "one and a half": (resized(1.5), (1, 40, 64)),
    "another kernel for some sizes": (
        Code(lambda m, x: m[x.shape[-1] % 8 != 0](x), conv(1, 2), conv(1, 2, 5)),
        (1, 48, 64),
    ),
    "samples without channels": (Code(framed, nn.Conv1d(1, 6, 16, 4), conv(1, 2)), (400,)),
    "outputs with names of their own": (Code(named_outputs, conv(1, 2), conv(1, 4, 5)), (1, 32, 40)),
    "padded to multiples": (Code(padded, conv(1, 2)), (1, 45, 51)),
    "every other position": (Code(alternating, conv(1, 2)), (1, 40, 60)),
    "blurred, then every other one": (Code(blurred, conv(1, 2)), (1, 40, 64)),
    "a shortcut with zeros for new channels": (
        Code(lambda m, x: m[0](x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)), conv(4, 8, 3, 2)),
        (4, 40, 48),
    ),
    "one everywhere": (Code(lambda m, x: m[0](x) + torch.ones_like(x), conv(1, 1)), (1, 32, 40)),
    "a vector beside the image": (
        Conditioned(lambda m, x, v: m[0](x) * v[:, :, None, None], conv(1, 2)),
        {"x": (1, 32, 40), "scale": (2,)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_code_in_tiles(name: str) -> None:
    torch.set_num_threads(1)
    module, shape = CASES[name]
    plan = rfcalc.tile(module.eval(), shape, tiles=3)
    assert plan.status == "exact" and plan.count > 2, plan.barriers
    found = verified(plan, module)
    assert found["passed"], found["sentences"]


def test_sizes_inside_of_code_at_a_node() -> None:
    """What `--at` leaves of the network follows its sizes, too."""
    module, shape = CASES["padded to multiples"]
    plan = rfcalc.tile(module, shape, at="layers.0", tiles="3x3")
    assert plan.status == "exact" and plan.count == 9, plan.barriers


def test_attention_is_named() -> None:
    """Also where what lays the image out as tokens stands in the way before it."""
    assert "encoder.0.self_attention" in [barrier.node for barrier in rfcalc.tile("vit_b_16").barriers]


def test_code_that_follows_no_rule_is_a_barrier() -> None:
    """No plan is called exact where the code was seen to do something else at every other size."""
    module = Code(lambda m, x: m[0](x) if x.shape[-1] == 48 else m[1](x), conv(1, 2), conv(1, 2, 5))
    plan = rfcalc.tile(module.eval(), (1, 40, 48))
    assert plan.status == "barrier" and "as they were read" in plan.barriers[0].why, plan.barriers
