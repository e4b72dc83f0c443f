"""What a table shows as one row: attention written by hand, computed weights, runs of moves; and what it does not."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import vision
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

import rfcalc
from rfcalc.render import render
from rfcalc.report.document import words
from rfcalc.report.table import View, table

torch.set_num_threads(1)


class Separate(nn.Module):
    """Queries, keys and values by three layers."""

    def __init__(self, width: int = 16, heads: int = 2, out: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj = nn.Linear(width, width) if out else nn.Identity()

    def split(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        return x.reshape(b, n, self.heads, c // self.heads).transpose(1, 2)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        return self.proj((self.scores(q, k) @ v).transpose(1, 2).reshape(x.shape))


class Together(Separate):
    """Queries, keys and values by one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        del self.q, self.k, self.v

    def forward(self, x: Tensor) -> Any:
        q, k, v = map(self.split, self.qkv(x).chunk(3, dim=-1))
        return self.proj((self.scores(q, k) @ v).transpose(1, 2).reshape(x.shape))


class Biased(Separate):
    """With a learned table of positions, a norm of queries and keys, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2 * 9 - 1, 2))
        where = torch.arange(9)
        self.register_buffer("index", (where[:, None] - where[None] + 8).flatten())
        self.norm = nn.LayerNorm(8)
        self.drop = nn.Dropout(0.1)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        assert isinstance(self.index, Tensor)
        bias = self.table[self.index].reshape(9, 9, 2).permute(2, 0, 1)
        scores = self.norm(q) @ self.norm(k).transpose(-2, -1) + bias
        return torch.as_tensor(self.drop(scores.softmax(-1)))


class Fused(Separate):
    """PyTorch's own product of queries, keys and values."""

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        made = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(made.transpose(1, 2).reshape(x.shape))


class Causal(Separate):
    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        n = q.shape[-2]
        scores = q @ k.transpose(-2, -1)
        return scores.masked_fill(~torch.ones(n, n, dtype=torch.bool).tril(), float("-inf")).softmax(-1)


class Exposed(Separate):
    """The weights of attention are an output too: its rows are no inner affair."""

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        weights = self.scores(q, k)
        return self.proj((weights @ v).transpose(1, 2).reshape(x.shape)), weights


class Inline(nn.Module):
    """Attention in the block's own code, beside its other layers."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o, self.up, self.down = (nn.Linear(16, 16) for _ in range(6))

    def forward(self, x: Tensor) -> Any:
        weights = (self.q(x) @ self.k(x).transpose(1, 2)).softmax(-1)
        x = x + self.o(weights @ self.v(x))
        return x + self.down(self.up(x).relu())


class NonLocal(nn.Module):
    """Attention over pixels, with 1×1 convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(16, 8, 1) for _ in range(3))
        self.out = nn.Conv2d(8, 16, 1)

    def forward(self, x: Tensor) -> Any:
        q, k, v = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        weights = (q.transpose(1, 2) @ k).softmax(-1)
        return x + self.out((weights @ v.transpose(1, 2)).transpose(1, 2).reshape(len(x), 8, *x.shape[2:]))


class Net(nn.Module):
    """A layer before, attention in a module of its own, and the sum behind it."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 16)
        self.attn = attention

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        made = self.attn(x)
        return (x + made[0], *made[1:]) if isinstance(made, tuple) else x + made


def shown(module: nn.Module, input: str, view: View | None = None) -> list[dict[str, Any]]:  # noqa: A002
    """The lines of the module's table, each as its figures by column."""
    report = rfcalc.analyze(rfcalc.from_torch(module, input))
    found = table(report, view or View())
    heads = [column.name for column in found.columns]
    lines = [line for line in found.lines if not line.heading]
    told = [{h: c.value if c.value is not None else words(c.text) for h, c in zip(heads, line.cells, strict=True)}
            for line in lines]  # fmt: skip
    for name in ("params", "macs"):  # whatever is put together, nothing is lost
        assert sum(line[name] for line in told if isinstance(line[name], int)) == getattr(report.totals, name)
    return told


ATTENTION = {
    "separate": (Separate, "attention2 (fc16 ×4)"),
    "together": (Together, "attention2 (fc48, fc16)"),
    "biased": (Biased, "attention2 (fc16 ×4)"),
    "fused": (Fused, "attention2 (fc16 ×4)"),
    "causal": (Causal, "attention2 (fc16 ×4)"),
    "without a layer behind": (lambda: Separate(out=False), "attention2 (fc16 ×3)"),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_written_by_hand_is_one_row(name: str) -> None:
    make, notation = ATTENTION[name]
    module = Net(make())
    lines = shown(module, "9x16")
    assert [line["name"] for line in lines] == ["input", "stem", "attn", "add"]
    row = lines[2]
    assert row["notation"] == notation
    assert row["params"] == sum(p.numel() for p in module.attn.parameters())
    assert row["output_shape"] == "9x16"
    report = rfcalc.analyze(rfcalc.from_torch(module, "9x16"))
    inside = [r for r in report if r.name.startswith("attn")]
    assert row["macs"] == sum(r.macs for r in inside)
    assert row["bytes"] == sum(r.new_values for r in inside) * 4
    assert len(shown(module, "9x16", View(every=True))) == len(report) + 1  # --all shows every node


def test_attention_whose_weights_are_used_elsewhere_is_shown_as_it_is() -> None:
    assert "attn.softmax" in " ".join(line["name"] for line in shown(Net(Exposed()), "9x16", View(every=True)))
    names = [line["name"] for line in shown(Net(Exposed()), "9x16")]
    assert "attn" not in names and "attn.q" in names


def test_a_classifier_with_a_softmax_is_no_attention() -> None:
    lines = shown(nn.Sequential(nn.Linear(8, 8), nn.Softmax(-1), nn.Linear(8, 4)), "8")
    assert [line["notation"] for line in lines] == ["", "fc8 softmax", "fc4"]


def test_attention_in_a_blocks_own_code_leaves_the_blocks_other_layers() -> None:
    lines = {line["name"]: line for line in shown(nn.Sequential(Inline(), Inline()), "9x16")}
    assert lines["0.q … o"]["notation"] == "attention1 (fc16 ×4)"
    assert {"0.up", "0.down", "1.q … o", "1.up"} < set(lines)


def test_attention_over_pixels() -> None:
    lines = {line["name"]: line for line in shown(Net2(), "3x6x6")}
    assert lines["block"]["notation"] == "attention1 (conv1-8 ×3, conv1-16)"
    assert lines["block"]["output_shape"] == "16x6x6"


class Net2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.block = NonLocal()
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Any:
        return self.last(self.block(self.stem(x)))


class Symmetric(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w.triu() + w.triu(1).transpose(-1, -2)


class LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(2, 8))
        self.b = nn.Parameter(torch.zeros(8, 2))

    def forward(self, w: Tensor) -> Tensor:
        return w + (self.b @ self.a).reshape(w.shape)


def parametrized(layer: nn.Module, how: nn.Module) -> nn.Module:
    parametrize.register_parametrization(layer, "weight", how)
    return layer


def old(norm: Any, layer: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return norm(layer)


COMPUTED = {
    "weight norm": lambda: weight_norm(nn.Linear(8, 8)),
    "spectral norm": lambda: spectral_norm(nn.Linear(8, 8)),
    "orthogonal": lambda: orthogonal(nn.Linear(8, 8)),
    "cayley": lambda: orthogonal(nn.Linear(8, 8, bias=False), "weight", "cayley"),
    "symmetric": lambda: parametrized(nn.Linear(8, 8), Symmetric()),
    "low rank": lambda: parametrized(nn.Linear(8, 8), LowRank()),
    "old weight norm": lambda: old(torch.nn.utils.weight_norm, nn.Linear(8, 8)),
    "old spectral norm": lambda: old(torch.nn.utils.spectral_norm, nn.Linear(8, 8)),
}
CONVOLUTIONS = {
    "weight norm": lambda: weight_norm(nn.Conv2d(8, 8, 1)),
    "spectral norm": lambda: spectral_norm(nn.Conv2d(8, 8, 1)),
    "orthogonal": lambda: orthogonal(nn.Conv2d(8, 8, 1)),
    "low rank": lambda: parametrized(nn.Conv2d(8, 8, 1), LowRank()),
    "old weight norm": lambda: old(torch.nn.utils.weight_norm, nn.Conv2d(8, 8, 1)),
    "transposed": lambda: weight_norm(nn.ConvTranspose2d(8, 8, 1), dim=1),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_a_computed_weight_stands_in_its_layers_row(name: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 8), COMPUTED[name](), nn.Linear(8, 4)).eval()
    lines = shown(module, "8")
    assert [line["name"] for line in lines] == ["input", "0", "1", "2"]
    assert str(lines[2]["notation"]).startswith("fc8")
    assert lines[2]["params"] == sum(p.numel() for p in module[1].parameters())


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_computed_kernel_stands_in_its_layers_row(name: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), CONVOLUTIONS[name](), nn.Conv2d(8, 4, 1)).eval()
    lines = shown(module, "3x8x8")
    assert [line["name"] for line in lines] == ["input", "0", "1", "2"]
    assert lines[2]["params"] == sum(p.numel() for p in module[1].parameters())


class Lora(nn.Module):
    """A convolution to whose kernel B @ A of low rank is added; `alone`: the kernel is nothing else."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.a, self.b = nn.Parameter(torch.zeros(2, 72)), nn.Parameter(torch.zeros(8, 2))
        if alone:
            del self.conv
            self.bias = nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        made = (self.b @ self.a).reshape(8, 8, 3, 3)
        if hasattr(self, "bias"):
            return nn.functional.conv2d(x, made, self.bias, padding=1)
        return self.conv._conv_forward(x, self.conv.weight + 0.5 * made, self.conv.bias)


@pytest.mark.parametrize("alone", [False, True])
def test_products_that_make_a_kernel_are_counted(alone: bool) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), Lora(alone), nn.Conv2d(8, 4, 1)).eval()
    report = rfcalc.analyze(rfcalc.from_torch(module, "3x8x8"))
    assert report.complete
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.macs == 36 * (27 * 8 + 72 * 8 + 8 * 4) + 8 * 2 * 72
    assert report["1" if alone else "1.conv"].receptive_field.size == (5, 5)
    lines = {line["name"]: line for line in shown(module, "3x8x8")}
    assert len(lines) == (6 if alone else 4)
    assert alone or lines["1.conv"]["macs"] == 36 * 72 * 8 + 8 * 2 * 72


def test_a_parameter_that_no_layer_owns_keeps_its_row() -> None:
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 16))
            self.fc = nn.Linear(16, 16)

        def forward(self, x: Tensor) -> Any:
            return self.fc(torch.cat([self.token.expand(len(x), -1, -1), x], 1))

    assert "token" in [line["name"] for line in shown(Loose(), "9x16")]


def test_long_models_stay_readable() -> None:
    resnet = rfcalc.analyze(rfcalc.from_torch(vision.models().resnet152(), "3x224x224"))
    text = render(resnet.document(), "plain")
    assert len(text.splitlines()) <= 80
    timm = pytest.importorskip("timm")
    swin = rfcalc.analyze(rfcalc.from_torch(timm.create_model("swin_tiny_patch4_window7_224"), "3x224x224"))
    found = table(swin, View())
    assert found.width <= 160
    copies = {words(line.cells[0].text): line.cells[1].value or 1 for line in found.lines}
    names = [*copies]
    assert sum(n for name, n in copies.items() if name.endswith(".attn")) == 12
    assert copies["layers.2.blocks.{0,2}.attn"] == copies["layers.2.blocks.{1,3}.attn"] == 2  # shifted in turns
    assert "layers.0.blocks.1.roll … view_2" in names
    assert table(swin, View(fold=False)).width <= 160
    assert len(table(swin, View(every=True, fold=False)).lines) > 500  # every node is there when asked for


class Turns(nn.Module):
    """Blocks of several kinds that take turns: each adds what its own layer makes of its own norm."""

    def __init__(self, kernels: tuple[int, ...], count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, kernels[i % len(kernels)], padding="same"))
            for i in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


@pytest.mark.parametrize(
    ("kernels", "count", "names", "copies"),
    [
        ((3,), 5, ["blocks.{0–4}"], [5]),
        ((3, 1), 6, ["blocks.{0,2,4}", "blocks.{1,3,5}"], [3, 3]),
        ((3, 1), 18, ["blocks.{0,2…16}", "blocks.{1,3…17}"], [9, 9]),
        ((3, 1, 5), 6, ["blocks.{0,3}", "blocks.{1,4}", "blocks.{2,5}"], [2, 2, 2]),
        ((3, 1), 5, ["blocks.{0,2}", "blocks.{1,3}", "blocks.4"], [2, 2, 1]),
        ((3, 3, 1), 6, ["blocks.{0–1}", "blocks.2", "blocks.{3–4}", "blocks.5"], [2, 1, 2, 1]),
    ],
)
def test_blocks_that_take_turns_fold_together(
    kernels: tuple[int, ...], count: int, names: list[str], copies: list[int]
) -> None:
    """`shown` holds that no figure is lost; a block's norm stands in its own block, the sum behind it with it."""
    told = [line for line in shown(Turns(kernels, count), "4x8x8", View(fold=True)) if "blocks" in str(line["name"])]
    layers = [(f"{name}.{part}", times) for name, times in zip(names, copies, strict=True) for part in (0, 1)]
    assert [(line["name"], line["copies"] or 1) for line in told] == layers


def test_a_tree_folds_blocks_that_take_turns_and_runs_of_moves() -> None:
    vision.models()
    timm = pytest.importorskip("timm")
    swin = rfcalc.analyze(rfcalc.from_torch(timm.create_model("swin_tiny_patch4_window7_224"), "3x224x224"))
    tree = table(swin, View(depth=4))
    found = {words(line.cells[0].text).strip(): line for line in tree.lines}
    assert [found[name].cells[1].value for name in ("{0,2}", "{1,3}")] == [2, 2]
    inside = [row for row in swin if row.name.startswith(("layers.2.blocks.0.", "layers.2.blocks.2."))]
    place = [column.name for column in tree.columns].index("params")
    assert found["{0,2}"].cells[place].value == sum(row.params for row in inside)
    names = [words(line.cells[0].text) for line in table(swin, View(sort="memory")).lines]
    assert "layers.0.blocks.1.roll … view_2" in names
