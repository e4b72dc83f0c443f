"""PyTorch's own run of a step, on tensors without data: against the running module, and against what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import torch
from live import kept, training_peak
from torch import Tensor, nn

import rfcalc
from rfcalc.cli import run
from rfcalc.core.cost import KEEPS_NOTHING
from rfcalc.layers.pointwise import Activation
from rfcalc.render import render
from rfcalc.report import schemas

pytestmark = pytest.mark.filterwarnings("ignore")


SCHEMA = schemas.schema("memory")


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * torch.sigmoid(x)


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = Swish.apply(x)
        return made


class Relative(nn.Module):
    """Relative positions, looked up in a table by positions that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.query = nn.Embedding(31, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        at = torch.arange(x.shape[1])
        return torch.einsum("bnd,nrd->bnr", self.query(x), self.table(at[:, None] - at[None] + 15))


class Queries(nn.Module):
    """Learned queries, repeated for every item, and numbers that are computed for every item."""

    def __init__(self) -> None:
        super().__init__()
        self.learned, self.norm = nn.Parameter(torch.randn(4, 8)), nn.LayerNorm(8)
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        given = self.norm(self.learned.unsqueeze(0).expand(len(x), -1, -1))
        at = torch.ones(len(x), x.shape[1], 8).cumsum(1).sin()
        made: Tensor = (self.query(given) @ self.key(x + at).transpose(1, 2)).softmax(-1) @ (x * at) + given
        return made


class Attends(nn.Module):
    """Attention whose weights nobody asks for."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, dropout=dropout, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return made


class Asks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


class Recurrent(nn.Module):
    def __init__(self, cell: str, layers: int) -> None:
        super().__init__()
        self.cell, self.out = getattr(nn, cell)(8, 16, layers, batch_first=True), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.out(self.cell(x)[0])
        return made


def conv(features: int) -> nn.Module:
    return nn.Conv2d(features, 4, 3)


class Classed(nn.Module):
    """A learned token that is put before those of the input, and a learned table of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.table = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 11, 16))
        self.embed, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.norm(torch.cat([self.token.expand(len(x), -1, -1), self.embed(x)], 1) + self.table)
        return made


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "plain": (lambda: nn.Sequential(conv(3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), conv(4)), (3, 12, 12)),
    "dropped maps": (lambda: nn.Sequential(conv(3), nn.Dropout2d(), conv(4), nn.FeatureAlphaDropout()), (3, 12, 12)),
    "weight norm": (lambda: nn.Sequential(conv(3), nn.utils.parametrizations.weight_norm(conv(4))), (3, 12, 12)),
    "older weight norm": (lambda: nn.Sequential(conv(3), nn.utils.weight_norm(conv(4)), nn.ReLU()), (3, 12, 12)),
    "older spectral norm": (lambda: nn.Sequential(conv(3), nn.utils.spectral_norm(conv(4)), nn.ReLU()), (3, 12, 12)),
    "derivative of its own": (lambda: nn.Sequential(conv(3), Own(), conv(4)), (3, 12, 12)),
    "relative positions": (lambda: nn.Sequential(nn.Linear(8, 8), Relative()), (16, 8)),
    "repeated": (lambda: nn.Sequential(nn.Linear(8, 8), Queries()), (16, 8)),
    "two GRUs": (lambda: Recurrent("GRU", 2), (10, 8)),
    "LSTM": (lambda: Recurrent("LSTM", 1), (10, 8)),
    "transformer": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (10, 16)),
    "transformer, norm first": (
        lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True),
        (10, 32),
    ),
    "transformer without dropout": (lambda: nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), (10, 32)),
    "transformers": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2),
        (10, 32),
    ),
    "attention": (lambda: Attends(0.0), (10, 32)),
    "attention with dropout": (lambda: Attends(0.1), (10, 32)),
}


def case(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    make, shape = CASES[name]
    return make(), shape


UNTOLD = (
    "weight norm",
    "older weight norm",
    "older spectral norm",
    "derivative of its own",
    "two GRUs",
    "repeated",
)


@pytest.mark.parametrize("amp", [None, "bf16"])
@pytest.mark.parametrize("name", CASES)
def test_the_run_without_data_takes_what_the_module_takes(name: str, amp: str | None) -> None:
    module, shape = case(name)
    if amp and name in ("older spectral norm", "two GRUs", "LSTM"):
        pytest.skip("other kernels run in bfloat16")
    for batch in (1, 3):
        own = rfcalc.memory(module, shape, batch=batch, amp=amp).memory.compared
        assert own is not None
        assert not own.why
        for parameter in module.parameters():
            parameter.grad = None
        x = torch.randn(batch, *shape)
        assert own.own_kept == kept(module, x, amp=bool(amp))
        assert own.own_peak == (0 if name == "LSTM" else training_peak(module, x, amp=bool(amp)))
        if amp is None:
            assert own.equal == (name not in UNTOLD or (own.own_kept, own.own_peak) == (own.kept, own.peak))


def test_the_gradient_of_a_learned_token_of_a_single_item_is_a_part_of_another() -> None:
    module = Classed()
    memory = rfcalc.memory(module, (10, 16)).memory
    own = memory.compared
    assert own is not None
    assert own.equal
    assert own.peak == training_peak(module, torch.randn(1, 10, 16))
    assert not memory.inexact


def test_attention_that_drops_weights_is_the_same_network() -> None:
    for options in ({}, {"norm_first": True}):
        module = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, **options)  # type: ignore[arg-type]
        read = (rfcalc.from_torch(module, (10, 32), training=t).network for t in (False, True))
        as_evaluated, as_trained = (rfcalc.Report(network).totals for network in read)
        assert (as_trained.macs, as_trained.params) == (as_evaluated.macs, as_evaluated.params)


def test_other_bytes_are_said_with_the_module_that_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    for name in UNTOLD[:4]:
        module, shape = case(name)
        found = rfcalc.memory(module, shape, batch=2)
        own = found.memory.compared
        assert own is not None
        assert {path[:1] for path, _ in own.where} == {"1"}
        assert own.own_kept - own.kept == sum(more for _, more in own.where) != 0
        told = " ".join(render(found.document()).split())
        assert "not to the byte: PyTorch's own run of the step" in told
        assert f"{own.own_kept:,} B instead of {own.kept:,} B" in told
        assert "kept inside of 1" in told
        jsonschema.validate(found.to_dict(), SCHEMA)
    exact = rfcalc.memory(*case("relative positions"), batch=2)
    assert "comes to the same bytes: what is kept and the peak" in " ".join(render(exact.document()).split())
    assert not exact.memory.inexact
    assert json.loads(json.dumps(exact.to_dict()))["compared"]["where"] == []
    assert run(["memory", "resnet18", "--format", "json"]) == 0
    assert "compared" not in json.loads(capsys.readouterr().out)  # no module, no second road


@pytest.mark.parametrize("asked", [{"budget": "1MB"}, {"checkpoint": True}, {"budget": "1MB", "checkpoint": True}])
def test_what_is_planned_on_other_bytes_says_so(asked: dict[str, Any]) -> None:
    module, shape = case("older weight norm")
    found = rfcalc.memory(module, shape, batch=2, **asked)
    own = found.memory.compared
    assert own is not None
    told = " ".join(render(found.document()).split())
    more = own.own_peak - own.peak
    assert more > 0
    assert f"PyTorch's own run of the step needs {more:,} B more at its peak" in told
    assert "Leave room for it" in told
    assert "rests on figures" not in render(rfcalc.memory(module, shape, batch=2).document())  # nothing was asked
    module, shape = case("plain")
    assert "rests on figures" not in render(rfcalc.memory(module, shape, batch=2, **asked).document())


def test_control_a_wrong_rule_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    module, shape = nn.Sequential(conv(3), nn.Sigmoid(), conv(4), nn.Sigmoid()), (3, 12, 12)
    right = rfcalc.memory(module, shape, batch=2).memory.compared
    assert right is not None
    assert right.equal
    monkeypatch.setattr(Activation, "saved", lambda self, xs, y: KEEPS_NOTHING)
    wrong = rfcalc.memory(module, shape, batch=2).memory.compared
    assert wrong is not None
    assert not wrong.equal
    assert wrong.own_kept == right.own_kept > wrong.kept


def test_what_asks_for_values_is_not_compared() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    found = rfcalc.memory(module, (4,))
    module.forward = Asks()  # type: ignore[method-assign]
    told = " ".join(render(found.document()).split())
    assert "not compared with PyTorch's own run of the step: without data it stops at" in told


def test_the_module_is_as_before() -> None:
    module, shape = case("plain")
    module.train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = torch.get_rng_state()
    assert rfcalc.memory(module, shape, batch=2, freeze="0", round_blocks=True).memory.compared is not None
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None or not p.grad.is_meta for p in module.parameters())
    assert rfcalc.memory(module, shape, infer=True).memory.compared is None
