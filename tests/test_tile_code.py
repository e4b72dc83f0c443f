"""Tiles of networks as people write them in PyTorch: each run whole and in tiles, in whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rfcalc

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from rfcalc.backend.tiling import verified  # noqa: E402
from rfcalc.render import render  # noqa: E402


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


def attended(t: Any) -> Any:
    q, k, v = t.chunk(3, -1)
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v


def windows(size: int) -> Callable[..., Any]:
    """Attention within windows, partitioned by hand."""

    def function(m: Any, x: Any) -> Any:
        n, _, h, w = x.shape
        t = m[0](x).permute(0, 2, 3, 1).view(n, h // size, size, w // size, size, -1)
        t = attended(m[1](t.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, size * size, 2)))
        t = t.view(n, h // size, w // size, size, size, -1).permute(0, 1, 3, 2, 4, 5).contiguous()
        return m[2](t.view(n, h, w, -1).permute(0, 3, 1, 2))

    return function


def patches(m: Any, x: Any) -> Any:
    """Patches of 6 as tokens, a linear map, and back."""
    n, c, h, w = x.shape
    t = x.view(n, c, h // 6, 6, w // 6, 6).permute(0, 2, 4, 1, 3, 5).reshape(n, h // 6 * (w // 6), c * 36)
    return m[0](t).view(n, h // 6, w // 6, 1, 6, 6).permute(0, 3, 1, 4, 2, 5).reshape(n, 1, h, w)


def tokens(m: Any, x: Any) -> Any:
    y = m[0](x)
    return m[2](m[1](y.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(y.shape))


def finer(m: Any, x: Any) -> Any:
    """A pixel shuffle by hand."""
    y = m[0](x)
    n, _, h, w = y.shape
    return m[1](y.view(n, 2, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, 2, 2 * h, 2 * w))


def coarser(m: Any, x: Any) -> Any:
    y = m[0](x)
    n, c, h, w = y.shape
    return m[1](y.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2))


def frames(m: Any, x: Any) -> Any:
    """A signal in frames of 12, and back."""
    return m[1](m[0](x.view(1, -1, 12)).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


def augmented(m: Any, x: Any) -> Any:
    """The mean with mirror images (test-time augmentation), of a network whose windows are not alike on both sides."""

    def network(x: Any) -> Any:
        return m[1](m[0](x))

    return network(x) + network(x.flip(-1)).flip(-1) + network(x.flip((-2, -1))).flip((-2, -1))


def items(m: Any, x: Any) -> Any:
    """Windows of 8; one of them alone is laid out as it was."""
    h, w = x.shape[2] // 8, x.shape[3] // 8
    t = m[0](x.view(1, 1, h, 8, w, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 1, 8, 8))
    return t.view(1, h, w, 1, 8, 8).permute(0, 3, 1, 4, 2, 5).reshape(x.shape)


LAYERS = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.ConvTranspose2d(2, 2, 2, 2)
CASES: dict[str, tuple[nn.Module, Any]] = {
    "valid U-Net, cropped in the middle": (Code(cropped_skip, *LAYERS), (1, 46, 54)),
    "half the size": (resized(0.5), (1, 40, 64)),
    "one and a half": (resized(1.5), (1, 40, 64)),
    "another kernel for some sizes": (
        Code(lambda m, x: m[x.shape[-1] % 8 != 0](x), conv(1, 2), conv(1, 2, 5)),
        (1, 48, 64),
    ),
    "another kernel for small images": (
        Code(lambda m, x: m[x.shape[-1] > 24](x), conv(1, 2, 5), conv(1, 2)),
        (1, 32, 40),
    ),
    "another layer of the same kind for small images": (
        Code(lambda m, x: m[x.shape[-1] > 24](x), conv(1, 2), conv(1, 2)),
        (1, 32, 40),
    ),
    "layers by turns": (Code(lambda m, x: m[x.shape[-1] % 3](x), *(conv(1, 2) for _ in range(3))), (1, 32, 60)),
    "windows as items of a batch": (Code(items, conv(1, 1)), (1, 32, 40)),
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
    "attention in windows of 4": (Code(windows(4), conv(1, 2), nn.Linear(2, 6), conv(2, 1)), (1, 24, 32)),
    "attention in windows of 7": (Code(windows(7), conv(1, 2), nn.Linear(2, 6), conv(2, 1)), (1, 42, 56)),
    "patches to tokens and back": (Code(patches, nn.Linear(36, 36)), (1, 48, 36)),
    "tokens and back": (Code(tokens, nn.Conv2d(1, 4, 4, 4), nn.Linear(4, 4), conv(4, 1)), (1, 48, 64)),
    "finer by hand": (Code(finer, conv(1, 8), conv(2, 1)), (1, 24, 32)),
    "coarser by hand": (Code(coarser, conv(1, 2), conv(8, 1)), (1, 32, 40)),
    "frames": (Code(frames, nn.Linear(12, 12), nn.Conv1d(12, 12, 3, padding=1)), (1, 240)),
    "mirrored and back": (Code(augmented, conv(1, 2, 3, 2), nn.ConvTranspose2d(2, 1, 3, 2, 1, 1)), (1, 32, 48)),
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


def rows_apart(m: Any, x: Any) -> Any:
    """Even rows above, odd ones below."""
    n, c, h, w = x.shape
    return m[0](x).view(n, c, h // 2, 2, w).transpose(2, 3).reshape(n, c, h, w)


@pytest.mark.parametrize(
    ("function", "why", "ready"),
    [
        (rows_apart, "several axes lie along one", "permute"),
        (lambda m, x: m[0](x).flatten(2).transpose(1, 2), "as tokens", "layers.0"),
        (lambda m, x: m[0](x).flip(-1), "mirror image", "layers.0"),
        (lambda m, x: m[0](x).flip(-1) + m[0](x), "mirror image", "layers.0"),
    ],
)
def test_layouts_that_are_tied_to_the_size(function: Any, why: str, ready: str) -> None:
    plan = rfcalc.tile(Code(function, conv(1, 1)).eval(), (1, 32, 40))
    assert plan.status == "barrier" and why in plan.barriers[0].why, plan.barriers
    assert f"--at {ready}" in render(plan.document())


def test_windows_side_by_side_have_tiles() -> None:
    """Their sizes had no formula: they were counted through."""
    module = Code(lambda m, x: m[0](F.unfold(x, 3, padding=1).amax(1, True).view(x.shape)), conv(1, 2)).double().eval()
    plan = rfcalc.tile(module, (1, 33, 40), tiles="2x2")
    assert [a.halo for a in plan.axes] == [(2, 2), (2, 2)], plan.barriers
    image = torch.randint(-50, 50, (1, 1, 33, 40)).double()
    with torch.no_grad():
        assert torch.allclose(plan.run(module, image), module(image), rtol=0, atol=1e-12)


def test_a_size_without_a_formula_is_told_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rfcalc.IndexSum, "_read_of", lambda self, extent: int(extent) > 0)  # it is counted through
    module = Code(lambda m, x: m[0](F.unfold(x, 3, padding=1).amax(1, True).view(x.shape)), conv(1, 2))
    plan = rfcalc.tile(module.eval(), (1, 32, 40))
    assert plan.barriers[0].node != "layers.0" and "no formula tells its sizes" in plan.barriers[0].why, plan.barriers


def test_attention_is_named() -> None:
    """Also where what lays the image out as tokens stands in the way before it."""
    assert "encoder.0.self_attention" in [barrier.node for barrier in rfcalc.tile("vit_b_16").barriers]


def test_code_that_follows_no_rule_is_a_barrier() -> None:
    """No plan is called exact where the code was seen to do something else at every other size."""
    module = Code(lambda m, x: m[0](x) if x.shape[-1] == 48 else m[1](x), conv(1, 2), conv(1, 2, 5))
    plan = rfcalc.tile(module.eval(), (1, 40, 48))
    assert plan.status == "barrier" and "as they were read" in plan.barriers[0].why, plan.barriers


def test_code_is_read_at_the_sizes_of_the_tiles() -> None:
    """What it does to small images only is found there, also where it does not ask for lengths as whole numbers."""

    def function(m: Any, x: Any) -> Any:
        return m[0](x.flip(-1) if math.sqrt(x.shape[-1]) < 5.5 else x)

    module = Code(function, conv(1, 2, 4, 2)).eval()
    plan = rfcalc.tile(module, (1, 32, 40), tiles="1x3")
    assert plan.barriers and "something else to a tile of 1x32x" in plan.barriers[0].why, plan.barriers


class Given(torch.nn.Module):
    """Code that gives an operator a number which it computes from the size of its input."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.conv, self.function = torch.nn.Conv2d(1, 2, 3, padding=1), function

    def forward(self, x: Any) -> Any:
        return self.function(self.conv(x))


def gaussian(sigma: float) -> Any:
    g = torch.exp(-((torch.arange(3.0) - 1) ** 2) / (2 * sigma**2))
    return (g[:, None] * g / g.sum() ** 2).expand(2, 2, 3, 3).double()


SIZED: dict[str, Any] = {
    "divided by the size": lambda x: x / x.shape[-1],
    "a tensor of the size": lambda x: x / torch.tensor(float(x.shape[-1])),
    "the size added": lambda x: x + x.shape[-2],
    "filled with the size": lambda x: x + torch.full((1, 1, 1, 1), float(x.shape[-1])),
    "the mean of all positions": lambda x: x + torch.arange(x.shape[-1]).to(x).mean(),
    "the count of all positions": lambda x: x * torch.ones(x.shape[-2:]).to(x).sum(),
    "a slope": lambda x: torch.nn.functional.leaky_relu(x, x.shape[-1] / 100),
    "a bound": lambda x: x.clamp(max=float(x.shape[-1]) / 100),
    "a kernel of the size": lambda x: torch.nn.functional.conv2d(
        x, torch.ones(2, 2, 3, 3).to(x) / x.shape[2], padding=1
    ),
    "a kernel as wide as the map": lambda x: torch.nn.functional.conv2d(x, gaussian(x.shape[2] / 9), padding=1),
    "a table that holds the size": lambda x: x * torch.tensor([1.0, x.shape[3]]).to(x)[:, None, None],
    "a kernel that is filled with the size": lambda x: F.conv2d(x, torch.full((2, 2, 1, 1), float(x.shape[2])).to(x)),
    "a weighted mean": lambda x: torch.lerp(x, x * x, torch.tensor(1 / x.shape[3]).to(x)),
    "whole numbers": lambda x: torch.sub(F.elu(x, alpha=x.shape[3]), x),
    "a whole number, twice": lambda x: torch.sub(x, x * x, alpha=x.shape[3]),
    "what masked values become": lambda x: x.masked_fill(x > 0.5, x.shape[3]),
    "a share, up to one": lambda x: x * min(1, x.shape[-1] / 24),
}


@pytest.mark.parametrize("name", SIZED)
def test_numbers_that_depend_on_the_size_are_barriers(name: str) -> None:
    """No layer holds them, and a tile would be computed with others."""
    module = Given(SIZED[name]).double().eval()
    plan = rfcalc.tile(module, "1x32x32", tiles="2x2")
    assert plan.barriers and plan.barriers[0].kind == "number", plan.barriers
    assert "depends on the size" in plan.barriers[0].why and "a buffer or an argument" in render(
        plan.document(), "plain"
    )


def test_numbers_that_do_not_depend_on_the_size_are_none() -> None:
    def function(x: Any) -> Any:
        y = torch.nn.functional.leaky_relu(x / 7.5 + torch.tensor(0.25), 0.2).clamp(max=3.0)
        return y * torch.full_like(y, 0.5) + torch.zeros(1).to(x) + x.new_ones(x.shape[-2:])

    module = Given(function).double().eval()
    plan = rfcalc.tile(module, "1x32x32", tiles="2x2")
    x = torch.rand(1, 1, 32, 32).double()
    with torch.no_grad():
        assert plan.axes[0].halo == (1, 1) and torch.allclose(plan.run(module, x), module(x), rtol=0, atol=1e-12)


FILED: dict[str, tuple[Any, str]] = {
    "the mean of all positions": (lambda x: x * torch.arange(x.shape[-1]).to(x).mean(), "number"),
    "the count of all positions": (lambda x: x * torch.ones_like(x).sum(), "number"),
    "divided by the size": (lambda x: x / x.shape[-1], "number"),
    "a kernel of the size": (lambda x: F.conv2d(x, torch.ones(2, 2, 3, 3) / x.shape[2], padding=1), "number"),
    "a share of the channels": (lambda x: x * x.shape[1] ** -0.5, ""),
    "resized by a factor": (lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"), ""),
    "resized to another map": (lambda x: x + F.interpolate(F.max_pool2d(x, 2), size=x.shape[2:]), ""),
}


@pytest.mark.parametrize("name", FILED)
@pytest.mark.filterwarnings("ignore")
def test_numbers_that_a_file_computes_from_sizes_are_barriers(name: str, tmp_path: Path) -> None:
    """In ONNX they are operators on shapes, of which no layer holds the result."""
    pytest.importorskip("onnx")
    function, kind = FILED[name]
    path = str(tmp_path / "net.onnx")
    given: dict[str, Any] = {"input_names": ["x"], "dynamo": False, "dynamic_axes": {"x": {2: "h", 3: "w"}}}
    torch.onnx.export(Given(function).eval(), (torch.zeros(1, 1, 32, 40),), path, **given)
    plan = rfcalc.tile(path, "1x32x40", tiles="2x2")
    assert [b.kind for b in plan.barriers] == [kind] * bool(kind), plan.barriers


def test_sizes_are_told_where_only_values_depend_on_the_size() -> None:
    module = Given(lambda x: torch.nn.functional.avg_pool2d(x / x.shape[-1] + x.shape[-2], 2))
    assert "every size from 2 on" in render(rfcalc.sizes(module, "1x32x32").document(), "plain")
    assert rfcalc.tile(module, "1x32x32", at="conv", tiles="2x2").status == "exact"


def test_one_align_less_differs_in_some_image() -> None:
    """The largest of three values is, for all units at the seams of one image, seldom the one that lies outside."""
    module = (
        Code(lambda m, x: F.max_pool1d(m[0](x), 3, 2, 1, dilation=2), nn.Conv1d(1, 2, 3, padding=1)).double().eval()
    )
    plan = rfcalc.tile(module, "1x203", tiles="3")
    assert verified(plan, module)["passed"]


class Attending(nn.Module):
    """Attention among positions that lie apart by a part of the image (a grid, as MaxViT has), or among patches."""

    def __init__(self, grid: int, fused: bool, patch: int = 1) -> None:
        super().__init__()
        self.conv, self.qkv = nn.Conv2d(1, 8, patch, patch), nn.Linear(8, 24)
        self.grid, self.fused = grid, fused

    def forward(self, x: Any) -> Any:
        x = self.conv(x).permute(0, 2, 3, 1)
        (b, h, w, c), g = x.shape, self.grid
        if g:
            x = x.view(b, g, h // g, g, w // g, c).permute(0, 2, 4, 1, 3, 5)
        q, k, v = self.qkv(x.reshape(-1, g * g or h * w, c)).chunk(3, -1)
        y = F.scaled_dot_product_attention(q, k, v) if self.fused else torch.softmax(q @ k.transpose(1, 2), -1) @ v
        if g:
            y = y.view(b, h // g, w // g, g, g, c).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(b, h, w, c).permute(0, 3, 1, 2)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("grid", "patch", "told"),
    [
        (4, 1, "4 places over the whole axis, 8 positions apart"),
        (0, 8, "4 places over the whole axis, 8 positions apart"),
    ],
)
def test_attention_over_a_grid_is_told_as_such(fused: bool, grid: int, patch: int, told: str) -> None:
    plan = rfcalc.tile(Attending(grid, fused, patch).eval(), "1x32x32")
    assert told in plan.barriers[0].why, plan.barriers
    assert "limit it to windows" in render(plan.document(), "plain")
