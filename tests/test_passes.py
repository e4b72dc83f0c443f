"""Tiles in several passes: statistics gathered tile by tile give what the whole gives."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run as cli
from rfcalc.render import render
from rfcalc.report import schemas

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from rfcalc.backend.passes import InPasses  # noqa: E402
from rfcalc.backend.tiling import verified_passes  # noqa: E402

SCHEMA = schemas.schema("tile")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Norms(nn.Module):
    """Two normalisations one behind the other, a third beside the first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((1, 8), (8, 8), (8, 2)))
        self.group, self.beside = nn.GroupNorm(2, 8), nn.GroupNorm(4, 8)
        self.instance = nn.InstanceNorm2d(8, affine=True)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return self.c(F.relu(self.instance(self.b(F.relu(self.group(y) + self.beside(F.max_pool2d(y, 3, 1, 1)))))))


class Excited(nn.Module):
    """Squeeze-and-excitation, behind a stride; and a map that is put back to the input's size."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.down = nn.Conv2d(1, 6, 3, 2, 1), nn.AdaptiveAvgPool2d(1)
        self.f, self.g, self.last = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 3, padding=1)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        y = y * torch.sigmoid(self.g(F.relu(self.f(self.down(y)))))
        return self.last(F.interpolate(y, size=x.shape[-2:]))


class Statistics(nn.Module):
    """Every statistic that can be gathered, of the image itself too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.most = nn.Conv2d(3, 4, 5, padding=2), nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Any) -> Any:
        x = x - x.mean((2, 3), keepdim=True)
        y = self.a(x)
        z = y + self.most(y) + y.mean((-2, -1))[..., None, None] + y.amax((2, 3), keepdim=True)
        z = z + y.sum(dim=(2, 3), keepdim=True) / 64 + y.std((2, 3), keepdim=True) + y.amin((2, 3), keepdim=True)
        z = z + torch.var(y, (2, 3), False, True) + y.norm(p=2, dim=(2, 3), keepdim=True)
        return z - z.mean(1, keepdim=True) + y.mean((1, 2, 3), keepdim=True)


class Sound(nn.Module):
    """Conv-TasNet's global normalisation, in one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = (
            nn.Conv1d(1, 8, 16, 8),
            nn.GroupNorm(1, 8),
            nn.Conv1d(8, 8, 3, padding=2, dilation=2),
        )
        self.back = nn.ConvTranspose1d(8, 1, 16, 8)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return self.back(y * torch.sigmoid(self.b(self.norm(y))))


CASES: list[tuple[Any, Any, Any, int]] = [
    (Norms, (1, 40, 36), "2x3", 3),
    (Excited, (1, 48, 40), "3x2", 2),
    (Statistics, (3, 30, 26), "2x2", 3),
    (Sound, (1, 328), "3", 2),
]


@pytest.mark.parametrize(("kind", "shape", "tiles", "count"), CASES)
def test_passes_equal_the_whole(kind: Any, shape: Any, tiles: str, count: int) -> None:
    torch.manual_seed(0)
    module = kind().eval()
    plan = rfcalc.tile(module, shape, tiles=tiles, passes=True)
    assert plan.status == "barrier" and not plan.barriers and len(plan.plans) == count
    found = verified_passes(plan, module)
    assert found["passed"] and found["differing"] == 0 and found["error"] < 1e-11, found
    x = torch.randn(2, *shape)  # a batch, in float32
    with torch.no_grad():
        whole = module(x)
    tiled = plan.run(rfcalc.in_passes(module), x)
    assert torch.allclose(whole, tiled, rtol=1e-4, atol=1e-4 * float(whole.abs().max()))
    jsonschema.validate(plan.to_dict(), SCHEMA)


def test_statistics_of_single_tiles_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the sums of the last tile alone differ."""
    module = Norms().eval()
    plan = rfcalc.tile(module, (1, 40, 36), tiles="2x3", passes=True)
    monkeypatch.setattr(InPasses, "merged", staticmethod(lambda one, other: other))
    assert not verified_passes(plan, module)["passed"]


def test_a_classifier_follows_from_one_tile() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    module.double().eval()
    plan = rfcalc.tile(module, (3, 64, 64), tiles="3x2", passes=True)
    assert plan.last is None and len(plan.passes) == 1
    x = torch.rand(1, 3, 64, 64).double()
    with torch.no_grad():
        assert torch.allclose(plan.run(rfcalc.in_passes(module), x), module(x), rtol=0, atol=1e-13)
    jsonschema.validate(plan.to_dict(), SCHEMA)


def test_networks_by_name() -> None:
    network = rfcalc.load("conv3-4 > gn2 > relu > conv3-4/2 p1 > in > conv3-2")
    module = rfcalc.to_torch(network, "1x40x40", seed=1).double().eval()
    plan = rfcalc.tile(network, "1x40x40", tiles="2x2", passes=True)
    x = torch.rand(1, 1, 40, 40).double()
    seen: list[tuple[int, int]] = []
    found = plan.run(rfcalc.in_passes(module), x, progress=lambda done, of: seen.append((done, of)))
    with torch.no_grad():
        assert torch.allclose(found, module(x), rtol=0, atol=1e-12)
    assert seen == [(i, 12) for i in range(1, 13)]


def test_nothing_to_gather() -> None:
    plan = rfcalc.tile("conv3-4", "1x32x32", tiles="2x2", passes=True)
    assert plan.status == "exact" and plan.passes == () and plan.count == 4


def test_what_no_pass_gathers(capsys: pytest.CaptureFixture[str]) -> None:
    plan = rfcalc.tile("conv3-4 > gn2 > conv3-4 > adaptiveavgpool8 > conv3-4", "1x64x64", passes=True)
    assert plan.status == "impossible" and plan.barriers[0].node == "adaptive_pool1"
    jsonschema.validate(plan.to_dict(), SCHEMA)
    with pytest.raises(RfcalcError, match="no tiles"):
        plan.run(rfcalc.in_passes(nn.Identity()), torch.zeros(1, 1, 64, 64))
    assert cli(["tile", "conv3-4 > adaptiveavgpool8", "-i", "1x64x64", "--passes"]) == 1
    assert "cannot be computed" in capsys.readouterr().out


def test_bad_input() -> None:
    module = Norms().eval()
    plan = rfcalc.tile(module, (1, 40, 36), tiles="2x2", passes=True)
    x = torch.zeros(1, 1, 40, 36)
    with pytest.raises(RfcalcError, match="gathers no statistics"):
        plan.run(module, x)
    with pytest.raises(RfcalcError, match="source of input has the shape"):
        plan.run(rfcalc.in_passes(module), x[..., :30])
    out = torch.full((1, 2, 40, 30), 7.0)
    with pytest.raises(RfcalcError, match="out of c has the shape"):
        plan.run(rfcalc.in_passes(module), x, out)
    assert bool((out == 7).all())
    with pytest.raises(RfcalcError, match="not those of the plan"):
        plan.run(rfcalc.in_passes(nn.Conv2d(1, 2, 3, padding=1)), x)
    with pytest.raises(RfcalcError, match="no torch module"):
        rfcalc.in_passes(lambda t: t)  # type: ignore[arg-type]


def test_work_can_be_sent() -> None:
    function = rfcalc.in_passes(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.InstanceNorm2d(2)).eval())
    assert isinstance(pickle.loads(pickle.dumps(function)), InPasses)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3, 2, 1))\n"
    )
    code = f"{tmp_path / 'net.py'}:net"
    assert cli(["tile", code, "-i", "1x32x32", "--tiles", "2x2"]) == 1
    assert "--passes" in capsys.readouterr().out
    assert cli(["tile", code, "-i", "1x32x32", "--tiles", "2x2", "--passes", "--run", code]) == 0
    told = capsys.readouterr().out
    assert "8 tiles in 2 passes and the whole equal" in told and "differs, as it must" in told
    assert cli(["tile", code, "-i", "1x32x32", "--passes", "--check-overlap", "8"]) == 2


class Scaled(nn.Module):
    """A convolution, what a function makes of its map, and another convolution."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.a, self.b, self.function = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), function

    def forward(self, x: Any) -> Any:
        return self.b(self.function(self.a(x)))


def pooled_back(x: Any) -> Any:
    """What ASPP does with the pooled image."""
    y = F.adaptive_avg_pool2d(x, 1)
    return torch.cat([x[:, :2], F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)[:, :2]], 1)


def spread(x: Any) -> Any:
    deviation, mean = torch.std_mean(x, (2, 3), keepdim=True)
    return (x - mean) / deviation


SCALED: dict[str, Any] = {
    "the largest of all": lambda x: x / x.max(),
    "all values' mean": lambda x: x - x.mean(),
    "std_mean": spread,
    "the sum of sizes": lambda x: x / x.norm(p=1, dim=(2, 3), keepdim=True),
    "the largest size": lambda x: x / torch.linalg.vector_norm(x, ord=float("inf"), dim=(2, 3), keepdim=True),
    "tokens' mean": lambda x: x * x.flatten(2).mean(-1)[..., None, None],
    "tokens' norm": lambda x: F.normalize(x.flatten(2), dim=-1).reshape(x.shape),
    "tokens normalised": lambda x: F.group_norm(x.reshape(*x.shape[:2], -1), 2).reshape(x.shape),
    "ASPP": pooled_back,
    "one window for all": lambda x: x * F.avg_pool2d(x, 32),
    "how many are positive": lambda x: x / (x > 0).sum((2, 3), keepdim=True).clamp(min=1),
    "a sum of whole numbers": lambda x: x / (1 + (x * 4).int().abs().sum((2, 3), keepdim=True)),
    "a sum without what is no number": lambda x: x * torch.where(x > 0, x, float("nan")).nansum((2, 3), True),
    "a mask": lambda x: x * (x > 0).double().mean((2, 3), keepdim=True),
}


@pytest.mark.parametrize("name", SCALED)
def test_what_code_takes_of_a_whole_map(name: str) -> None:
    torch.manual_seed(0)
    module = Scaled(SCALED[name]).double().eval()
    plan = rfcalc.tile(module, "1x32x32", tiles="2x2", passes=True)
    x = torch.rand(2, 1, 32, 32).double() * torch.linspace(-1, 2, 32).double()
    if "all" in name and "one" not in name:
        x = x[:1]
    with torch.no_grad():
        found, whole = plan.run(rfcalc.in_passes(module), x), module(x)
    assert len(plan.passes) == 1
    assert torch.allclose(found, whole, rtol=0, atol=1e-12 * float(whole.abs().max()))


REFUSED: dict[str, tuple[Any, str, str]] = {
    "softmax over rows": (lambda x: x.softmax(-1), "softmax", "over the channels, or over windows"),
    "a quantile": (lambda x: x / torch.quantile(x.flatten(2), 0.9, dim=-1)[..., None, None], "quantile", "small copy"),
    "sorted": (lambda x: x.flatten(2).sort(-1).values.reshape(x.shape), "sort", "behind the tiles"),
    "a layer of positions": (lambda x: F.layer_norm(x, x.shape[1:]), "layer_norm", "group normalisation of one group"),
    "training": (lambda x: F.batch_norm(x, None, None, training=True), "batch_norm", "evaluation mode"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_sum_tells_is_refused_by_name(name: str) -> None:
    function, node, done = REFUSED[name]
    plan = rfcalc.tile(Scaled(function).eval(), "1x32x32", passes=True)
    assert plan.barriers[0].node == node
    told = render(rfcalc.tile(Scaled(function).eval(), "1x32x32").document(), "plain")
    assert node in told and done in told


SUMS: dict[str, Any] = {
    "a sum": lambda x: x * torch.einsum("bchw->bc", x)[..., None, None],
    "dots, and a sum beside it": lambda x: x * torch.einsum("bc...->cb", x).T[..., None, None] + x.sum((2, 3), True),
    "one that only moves": lambda x: x.sum((2, 3), True) * torch.einsum("bchw->bhwc", x).permute(0, 3, 1, 2),
    "an operand in a list": lambda x: x * torch.einsum("bchw->bc", [x])[..., None, None],
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_that_einsum_writes_are_gathered(name: str) -> None:
    module = Scaled(SUMS[name]).double().eval()
    plan = rfcalc.tile(module, "1x32x32", tiles="2x2", passes=True)
    x = torch.rand(1, 1, 32, 32).double()
    with torch.no_grad():
        assert plan.count == 8 and torch.allclose(plan.run(rfcalc.in_passes(module), x), module(x), rtol=1e-12)


def test_a_sum_of_products_is_no_plan() -> None:
    """`einsum` sums before it multiplies, as it is read: no call of the code takes this sum."""
    weight = torch.rand(4, 4).double()
    module = Scaled(lambda x: x * torch.einsum("bchw,dc->bd", x, weight.to(x))[..., None, None]).double().eval()
    plan = rfcalc.tile(module, "1x32x32", tiles="2x2", passes=True)
    assert plan.status == "impossible" and "reads all 32" in plan.barriers[0].why, plan.barriers


def test_a_call_that_is_not_met_is_named() -> None:
    """The plan is of another module than is run."""
    module = Scaled(lambda x: x * x.sum((2, 3), True)).double().eval()
    plan = rfcalc.tile(module, "1x32x32", tiles="2x2", passes=True)
    module.function = lambda x: x * torch.tensordot(x, torch.ones(x.shape[2:]).double(), 2)[..., None, None]
    with pytest.raises(RfcalcError, match="sum") as caught:
        plan.run(rfcalc.in_passes(module), torch.rand(1, 1, 32, 32).double())
    assert "make it by one of them" in str(caught.value)
