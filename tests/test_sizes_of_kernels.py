"""Valid sizes of code whose operators PyTorch lets pass without data: against PyTorch with values."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError, Shape
from rfcalc.graph.forward import forward

torch = pytest.importorskip("torch")
from test_sizes_of_positions import against_values  # noqa: E402

nn, F = torch.nn, torch.nn.functional
KEYS = torch.ones(1, 6, 4)
TWENTY, TABLE = torch.ones(20), torch.ones(64, 4)
Code = Callable[[Any, int], Any]


class Runs(nn.Module):
    def __init__(self, code: Code) -> None:
        super().__init__()
        self.code = code

    def forward(self, x: Any) -> Any:
        return self.code(x, x.shape[-1])


def padded(mode: str, *by: int) -> Code:
    return lambda x, n: F.pad(x, by, mode=mode)


NOTHING_LEFT: dict[str, Code] = {  # of one branch
    "max of a tail": lambda x, n: x + x[..., 6:].max(-1, keepdim=True)[0],
    "max of halves": lambda x, n: torch.stack([x[..., : n // 2].max(-1)[0], x[..., n // 2 :].max(-1)[0]], 2),
    "min of pieces": lambda x, n: torch.stack([t.min(-1)[0] for t in (x[..., :4], x[..., 4:16], x[..., 16:])], -1),
    "median": lambda x, n: x + x[..., 12:].median(-1, keepdim=True)[0],
    "mode": lambda x, n: x + x[..., 12:].mode(-1, keepdim=True)[0],
    "max of all": lambda x, n: x + x[..., 12:].max(),
    "pools of halves": lambda x, n: sum(F.adaptive_avg_pool1d(h, 2) for h in (x[..., : n // 2], x[..., n // 2 :])),
    "resized": lambda x, n: F.interpolate(x[..., 6:], size=5, mode="linear") + x.mean(),
    "sampled": lambda x, n: F.grid_sample(x[:, :, None, 6:], torch.zeros(1, 2, 2, 2), align_corners=False)[:, :, 0],
    "a mean runs": lambda x, n: x + x[..., 12:].mean(-1, keepdim=True),
    "joined": lambda x, n: torch.cat([x, x[..., 12:]], -1),
}
REFUSED: dict[str, Code] = {
    "strides": lambda x, n: x.as_strided((1, 4, 10), (80, 20, 2)),
    "strides from a place": lambda x, n: torch.as_strided(x, (10,), (3,), 20),
    "one of a table": lambda x, n: x * TABLE[:30].select(0, n - 5)[:, None],
    "one of a table, by name": lambda x, n: x * torch.select(TABLE[:30].mT, 1, index=n // 2)[:, None],
    "bags of a table": lambda x, n: x + F.embedding_bag(torch.arange(n)[None], TABLE[:30]).mT,
    "the end of a table": lambda x, n: x + TABLE[max(0, 64 - n) :].mT,
    "the end of a table, by itself": lambda x, n: x + TABLE[64 - n if n < 64 else 0 :].mT,
    "written, compared": lambda x, n: x.clone().ge_(TWENTY),
    "written, to a power": lambda x, n: x.clone().pow_(TWENTY),
    "written, divided": lambda x, n: x.clone().div_(TWENTY, rounding_mode="trunc"),
    "a mask of attention": lambda x, n: F.scaled_dot_product_attention(x.mT, KEYS, KEYS, torch.ones(20, 6)).mT,
    "a mask for all": lambda x, n: F.scaled_dot_product_attention(x.mT, KEYS, KEYS, torch.ones(1, 6)).mT,
    "copies": lambda x, n: x.repeat(1, 1, n // 4),
    "more copies": lambda x, n: x.repeat(1, 1, n - 7),
    "tiles": lambda x, n: x.tile((1, 1, n // 4)),
    "each copied": lambda x, n: x.repeat_interleave(n // 4, -1),
    "replicated, then cut": padded("replicate", 5, -9),
    "cut behind what is replicated": padded("replicate", -5, 9),
    "reflected, then cut": padded("reflect", -5, 4),
    "rests of a table": lambda x, n: x * torch.take_along_dim(TABLE.mT, torch.arange(n)[None], 1),
    "covariances": lambda x, n: torch.cov(x[0].mT),
    "correlations": lambda x, n: torch.corrcoef(x[0].mT),
    "a limit for each": lambda x, n: torch.clamp_max(torch.ones(7, 1), x[0, 0]),
    "two numbers": lambda x, n: torch.where(x > 0, 1, n),
    "complex": lambda x, n: torch.complex(x, torch.tensor(1.0)).abs(),
    "unpooled": lambda x, n: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2, output_size=x.size()),
}


@pytest.mark.parametrize("what", NOTHING_LEFT)
def test_branches_of_which_nothing_is_left(what: str) -> None:
    against_values(Runs(NOTHING_LEFT[what]), (4, 20), 30, torch.randn)


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_with_values_only(what: str) -> None:
    against_values(Runs(REFUSED[what]), (4, 20), 70, torch.randn)


def caught(code: Code) -> Code:
    def run(x: Any, n: int) -> Any:
        try:
            return code(x, n)
        except (IndexError, RuntimeError):
            return x[..., :1]

    return run


NOT_TOLD: dict[str, Code] = {
    "classes": lambda x, n: F.multi_margin_loss(x[0], torch.tensor([0, 5, 12, 3])),
    "several classes": lambda x, n: F.multilabel_margin_loss(x[0], F.pad(torch.full((4, 3), 7), (0, n - 3), value=-1)),
    "bags": lambda x, n: F.embedding_bag(torch.tensor([0, 5, 12, 3]), x[0].mT, torch.tensor([0, 2])),
    "reflections": lambda x, n: torch.geqrf(x.expand(2, -1, -1))[1],
    "bags that end": lambda x, n: x.sum() + F.embedding_bag(torch.arange(12), TABLE, torch.tensor([0, n]))[None].mT,
    "segments": lambda x, n: torch.segment_reduce(x[0, 0], "sum", lengths=torch.tensor([5, 7, 8]))[None, None],
    "taken flat": lambda x, n: torch.take_along_dim(x, torch.tensor([3, 17])),
    "unpooled": lambda x, n: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2, output_size=(21,)),
    "positions, caught": caught(lambda x, n: x.index_select(2, torch.tensor([3, 17]))),
    "a list, caught": caught(lambda x, n: x[..., [3, 17]]),
    "written, its rests": lambda x, n: x.clone().remainder_(TWENTY),
    "strides, written": lambda x, n: x.as_strided_((10,), (3,), 20),
    "a product, written": lambda x, n: x[0].clone().addmm_(torch.ones(4, 7), torch.ones(7, 20)),
    "masked": lambda x, n: x.masked_scatter(torch.ones(20) > 0, torch.ones(20, 5)),
    "masked, over it": lambda x, n: x[0].clone().masked_scatter_(torch.ones(20) > 0, torch.ones(20, 5)),
    "sparse": lambda x, n: torch.sparse.mm(torch.eye(20).to_sparse(), x[0].mT),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("what", NOT_TOLD)
def test_what_is_not_followed_is_not_told(what: str) -> None:
    with pytest.raises(RfcalcError):
        rfcalc.sizes(Runs(NOT_TOLD[what]), (4, 20))


def test_errors_that_are_caught_are_raised_where_pytorch_raises_them() -> None:
    for pick in (lambda x: x[..., [3, 17]], lambda x: x.gather(2, torch.tensor([3, 17]).expand(1, 4, 2))):
        module = Runs(caught(lambda x, n, pick=pick: pick(x)))
        for n, length in ((20, 2), (12, 1)):
            assert forward(rfcalc.from_torch(module, (4, n)).network, [Shape(4, n)]).shapes[-1] == Shape(4, length)


def test_copies_along_positions_are_one_axis_more() -> None:
    nodes = rfcalc.from_torch(Runs(lambda x, n: x.repeat(1, 1, 50)), (4, 20)).network.nodes
    assert max(len(node.inputs) for node in nodes) <= 2


def one_by_one(x: Any, n: int) -> Any:
    y = x.clone()
    for i in range(1, n):
        y[..., i] = y[..., i - 1] + x[..., i]
    return y


def test_positions_that_are_written_one_by_one_are_read_at_once() -> None:
    started = time.process_time()
    rfcalc.from_torch(Runs(one_by_one), (4, 40))
    assert time.process_time() - started < 20  # it doubled with each position


def halves_beside_a_table(x: Any, n: int) -> Any:
    x = F.adaptive_avg_pool2d(x, [None, max(1, n // 5)])
    return x[..., ::2] + x[..., 1::2] + TABLE[:30, 0][30 - x.size(2) :].view(-1, 1)


class Ends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(TABLE.clone())

    def forward(self, x: Any) -> Any:
        return x + self.table[max(0, 64 - x.shape[-1]) :].mT


def test_the_end_of_a_parameter() -> None:
    assert [n for n in range(1, 300) if n in rfcalc.sizes(Ends(), (4, 20)).axes[0].valid] == [*range(1, 65)]


def test_what_is_told_of_larger_sizes_is_run(monkeypatch: Any) -> None:
    """Where it is not noted where slices begin, 65 is told to be taken: the last row alone."""
    from rfcalc.readers.torch import disguise

    monkeypatch.setattr(disguise, "positions", lambda at: [])
    with pytest.raises(RfcalcError, match="4x65 is told to be taken"):
        rfcalc.sizes(Ends(), (4, 20))


def test_what_runs_on_zeros_needs_no_half_precision_and_no_device() -> None:
    half = Runs(lambda x, n: torch.select_scatter(torch.zeros(1, 4, 40, dtype=x.dtype), x[:, :, 0], 2, n)).half()
    assert rfcalc.from_torch(half, (4, 12)).network.nodes


def test_parts_that_are_alike_by_chance_are_compared() -> None:
    """Of two and of three positions every other one, from the second on, is one position."""
    module = Runs(halves_beside_a_table)
    found = rfcalc.sizes(module, (2, 30, 16))
    for n in range(10, 60):
        half, odd = divmod(n // 5, 2)
        assert (n in found.axes[1].valid) == (not odd or half <= 1), n
