"""Differences, contractions, fixed indices, embeddings, recurrent cells: gradients and operations of the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pixels import Module, check
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

import rfcalc
from rfcalc.layers.slice import Slice
from rfcalc.receptive.region_walk import regions

torch.set_num_threads(1)
Run = Callable[[Any, Tensor], Any]
SOME = torch.tensor([2, 0, 1, 1])
GRID = torch.tensor([[0, 5], [3, 2]])


def table(*dims: int) -> nn.Parameter:
    return nn.Parameter(torch.rand(*dims) + 0.5)


def stepped(cell: nn.Module, given: bool = False, backwards: bool = False) -> nn.Module:
    """A cell along the positions of a sequence of 6 features."""

    def run(m: Any, x: Tensor) -> Tensor:
        state: Any = None
        if given:
            zero = x.new_zeros(x.shape[0], 5)
            state = (zero, zero) if isinstance(m.cell, nn.LSTMCell) else zero
        found = []
        for k in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
            state = m.cell(x[:, k], state)
            found.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(found, 1)

    return Module(run, cell=cell)


EVEN = torch.arange(8) % 2 == 0


def written_inside(m: Any, x: Tensor) -> Tensor:
    h = x.new_zeros(1, 2, 7, 8)
    h[:, :, 1:-1, 1:-1] = x
    return m.c(h)  # type: ignore[no-any-return]


# what stands for padding, and weights that are parts or sums of parameters: exact, with the size and multiply-adds
EXACT: dict[str, tuple[nn.Module, str, int]] = {
    "the first again, expanded": (
        Module(lambda m, x: m.c(torch.cat([x[..., :1].expand(-1, -1, 2), x], -1)), c=nn.Conv1d(2, 2, 3)),
        "2x9",
        3,
    ),
    "written into zeros": (Module(written_inside, c=nn.Conv2d(2, 2, 3)), "2x5x6", 3),
    "halves of a kernel's filters": (
        Module(lambda m, x: F.conv1d(x, m.w[:2], padding=1) + F.conv1d(x, m.w[2:], padding=1), w=table(4, 2, 3)),
        "2x9",
        3,
    ),
    "a kernel and its sum": (
        Module(lambda m, x: F.conv2d(x, m.w, padding=1) + F.conv2d(x, m.w.sum((2, 3), True)), w=table(2, 2, 3, 3)),
        "2x5x6",
        3,
    ),
    "a mixture of kernels": (
        Module(
            lambda m, x: F.conv1d(x, (m.s.softmax(0).view(3, 1, 1, 1) * m.w).sum(0), m.b, padding=1),
            w=table(3, 4, 2, 3),
            s=table(3),
            b=table(4),
        ),
        "2x9",
        3,
    ),
    "the middle of a kernel": (
        Module(lambda m, x: F.conv2d(x, m.w[:, :, 1:4, 1:4], padding=1), w=table(2, 2, 5, 5)),
        "2x5x6",
        3,
    ),
    "flags": (Module(lambda m, x: m.c(x)[:, :, EVEN], c=nn.Conv1d(2, 2, 3, padding=1)), "2x8", 3),
    "flags of channels": (Module(lambda m, x: m.c(x)[:, EVEN], c=nn.Conv1d(2, 8, 3, padding=1)), "2x6", 3),
    "side by side": (Module(lambda m, x: torch.hstack([m.c(x), x]), c=nn.Conv1d(2, 2, 3, padding=1)), "2x8", 3),
    "parts": (Module(lambda m, x: m.c(x).hsplit(2)[1], c=nn.Conv1d(2, 4, 3, padding=1)), "2x8", 3),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_has_an_exact_relation(name: str) -> None:
    module, shape, size = EXACT[name]
    found = check(module, shape)
    assert (found.status, set(found.size)) == ("exact", {size})
    counter = FlopCounterMode(display=False)
    with counter:
        module(torch.rand(1, *rfcalc.Shape.of(shape).dims))
    assert rfcalc.analyze(rfcalc.from_torch(module, shape)).totals.macs == counter.get_total_flops() // 2


BORDERS: dict[str, Run] = {
    "reflect": lambda m, x: torch.cat([x[..., 1:3].flip(-1), x, x[..., -3:-1].flip(-1)], -1),
    "circular": lambda m, x: torch.cat([x[..., -2:], x, x[..., :2]], -1),
    "replicate": lambda m, x: torch.cat([x[..., :1].repeat(1, 1, 2), x, x[..., -1:], x[..., -1:]], -1),
}


@pytest.mark.parametrize("mode", BORDERS)
def test_borders_by_hand_are_padding(mode: str) -> None:
    conv = nn.Conv1d(2, 2, 5)
    by_hand = Module(lambda m, x: m.c(BORDERS[mode](m, x)), c=conv)
    padded = Module(lambda m, x: m.c(F.pad(x, (2, 2), mode)), c=conv)
    one, two = (rfcalc.analyze(rfcalc.from_torch(m, "2x9")) for m in (by_hand, padded))
    assert two.network.nodes[0].layer in [node.layer for node in one.network.nodes]
    assert one.shapes[-1] == two.shapes[-1]
    last, again = one.fields[0][-1], two.fields[0][-1]
    assert last is not None and again is not None
    assert (last.terms, last.mirrored, one.totals.macs) == (again.terms, again.mirrored, two.totals.macs)


CASES: dict[str, tuple[nn.Module, str]] = {
    "flags of two axes": (Module(lambda m, x: m.c(x)[:, :, torch.eye(5).bool()], c=nn.Conv2d(2, 2, 3)), "2x7x7"),
    "as often as listed": (
        Module(lambda m, x: x.repeat_interleave(torch.tensor([1, 2, 1, 0, 1, 3]), dim=3)),
        "2x3x6",
    ),
    "kronecker": (Module(lambda m, x: torch.kron(m.c(x), m.k), c=nn.Conv2d(2, 2, 3), k=table(1, 1, 2, 2)), "2x5x6"),
    "blocks": (
        Module(
            lambda m, x: F.linear(x, torch.block_diag(m.a, m.b)),  # type: ignore[no-untyped-call]
            a=table(3, 3),
            b=table(4, 3),
        ),
        "5x6",
    ),
    "a diagonal": (Module(lambda m, x: x @ torch.diag(m.a), a=table(6)), "5x6"),
    "diff": (Module(lambda m, x: torch.diff(x)), "3x6x7"),
    "diff, rows": (Module(lambda m, x: torch.diff(m.c(x), dim=-2), c=nn.Conv2d(3, 4, 3)), "3x7x6"),
    "diff, twice": (Module(lambda m, x: torch.diff(m.c(x), n=2, dim=2), c=nn.Conv2d(3, 4, 3)), "3x8x6"),
    "diff, channels": (Module(lambda m, x: torch.diff(x, dim=1)), "3x5x4"),
    "diff, signal": (Module(lambda m, x: torch.diff(x, n=3)), "2x9"),
    "diff, not at all": (Module(lambda m, x: torch.diff(m.c(x), n=0), c=nn.Conv1d(2, 2, 3)), "2x9"),
    "diff, zeros before": (Module(lambda m, x: torch.diff(x, prepend=x.new_zeros(1, 2, 1))), "2x9"),
    "diff, zeros after": (Module(lambda m, x: torch.diff(x, n=2, append=x.new_zeros(1, 2, 2))), "2x9"),
    "diff, another before": (Module(lambda m, x: torch.diff(x, prepend=x[..., 3:5])), "2x9"),
    "tensordot": (Module(lambda m, x: torch.tensordot(x, m.w, dims=([1], [0])), w=table(3, 4)), "3x4x5"),
    "tensordot, negative": (Module(lambda m, x: torch.tensordot(x, m.w, dims=([-3], [-1])), w=table(4, 3)), "3x4x5"),
    "tensordot, last": (Module(lambda m, x: torch.tensordot(x, m.w, dims=1), w=table(6, 4)), "7x6"),
    "tensordot, two": (Module(lambda m, x: torch.tensordot(x, m.w, dims=2), w=table(4, 5, 2)), "3x4x5"),
    "tensordot, spatial": (Module(lambda m, x: torch.tensordot(x, m.w, ([2, 3], [1, 0])), w=table(5, 4, 2)), "3x4x5"),
    "tensordot, after a layer": (
        Module(
            lambda m, x: torch.tensordot(m.w, m.c(x), ([1], [1])).movedim(1, 0), c=nn.Conv1d(3, 4, 3), w=table(2, 4)
        ),
        "3x9",
    ),
    "inner": (Module(lambda m, x: torch.inner(x, m.w), w=table(4, 6)), "7x6"),
    "inner, vector": (Module(lambda m, x: torch.inner(x, m.w), w=table(6)), "3x4x6"),
    "outer": (Module(lambda m, x: torch.outer(x.view(-1), m.w).view(1, 6, 4), w=table(4)), "6"),
    "gather": (Module(lambda m, x: torch.gather(x, 2, SOME.expand(1, 3, 4))), "3x7"),
    "gather, rows": (Module(lambda m, x: x.gather(-2, SOME.view(4, 1).expand(1, 3, 4, 6))), "3x5x6"),
    "gather, less of the others": (Module(lambda m, x: x.gather(-1, SOME.expand(1, 3, 2, 4))), "3x5x6"),
    "gather, channels": (Module(lambda m, x: x.gather(1, SOME.view(1, 4, 1).expand(1, 4, 6))), "3x6"),
    "take along": (Module(lambda m, x: x.take_along_dim(SOME.view(1, 1, 4), dim=2)), "3x7"),
    "take along, broadcast": (Module(lambda m, x: x.take_along_dim(SOME.view(1, 1, 4, 1), dim=-2)), "3x5x6"),
    "select": (Module(lambda m, x: m.c(x).index_select(-1, SOME - 1 + 1), c=nn.Conv2d(3, 2, 3)), "3x5x7"),
    "index": (Module(lambda m, x: m.c(x)[..., SOME - 3], c=nn.Conv2d(3, 2, 3)), "3x5x7"),
    "index of two axes": (Module(lambda m, x: x[:, :, GRID]), "3x6"),
    "index of two axes, rows": (Module(lambda m, x: x[:, :, GRID]), "3x6x4"),
    "index of two axes, channels": (Module(lambda m, x: x[:, GRID % 3]), "3x6"),
    "grid": (Module(lambda m, x: m.c(x)[:, :, SOME[:, None], SOME[:2]], c=nn.Conv2d(3, 2, 3)), "3x6x7"),
    "grid, channels": (Module(lambda m, x: x[:, SOME[:, None], SOME]), "3x6x7"),
    "embedding of positions": (
        Module(lambda m, x: m.l(x + m.e(torch.arange(7))), e=nn.Embedding(9, 6), l=nn.Linear(6, 4)),
        "7x6",
    ),
    "lstm cell": (stepped(nn.LSTMCell(6, 5)), "4x6"),
    "lstm cell, given": (stepped(nn.LSTMCell(6, 5, bias=False), given=True), "4x6"),
    "gru cell": (stepped(nn.GRUCell(6, 5)), "4x6"),
    "gru cell, backwards": (stepped(nn.GRUCell(6, 5, bias=False), backwards=True), "4x6"),
    "rnn cell": (stepped(nn.RNNCell(6, 5), given=True), "4x6"),
    "rnn cell, relu": (stepped(nn.RNNCell(6, 5, nonlinearity="relu")), "4x6"),
}


@pytest.mark.parametrize("name", CASES)
def test_against_the_module(name: str) -> None:
    module, shape = CASES[name]
    dims = rfcalc.Shape.of(shape).dims
    read = rfcalc.from_torch(module.double(), dims)
    assert not [n for n in read.network.nodes if type(n.layer).__name__ == "Unknown"]
    report = rfcalc.analyze(read)
    x = torch.rand(1, *dims, dtype=torch.float64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        y = module(x)
    assert report.rows[-1].output_shape == tuple(y.shape[1:])
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.macs == counter.get_total_flops() // 2
    assert check(module, shape).status != "unknown"


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_cells_count_as_the_formula_says(cell: Any, gates: int) -> None:
    report = rfcalc.analyze(rfcalc.from_torch(stepped(cell(6, 5)), (4, 6)))
    assert report.totals.macs == 4 * gates * 5 * (6 + 5)


NUMBERS: dict[str, nn.Module] = {
    "linear": Module(lambda m, x: m.l(m.e(x)), e=nn.Embedding(9, 6), l=nn.Linear(6, 3)),
    "convolution": Module(
        lambda m, x: m.c(m.e(x).transpose(1, 2)).transpose(1, 2), e=nn.Embedding(9, 6), c=nn.Conv1d(6, 4, 3, stride=2)
    ),
    "positions": Module(lambda m, x: m.e(x) + m.p(torch.arange(8)), e=nn.Embedding(9, 6), p=nn.Embedding(8, 6)),
    "weights of the head": Module(lambda m, x: m.e(x) @ m.e.weight.t(), e=nn.Embedding(9, 6)),
    "the same twice": Module(lambda m, x: m.e(x) + m.e(x.flip(1)), e=nn.Embedding(9, 6)),
    "all but the last": Module(lambda m, x: m.e(x[:, :-1]), e=nn.Embedding(9, 6)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_embeddings_of_whole_numbers(name: str) -> None:
    """Each number is changed, and which positions of the result change is what they are told to see."""
    module = NUMBERS[name]
    report = rfcalc.analyze(rfcalc.from_torch(module, torch.zeros(1, 8).long()))
    assert not [n for n in report.network.nodes if type(n.layer).__name__ == "Unknown"]
    x = torch.tensor([[3, 1, 4, 1, 5, 2, 6, 5]])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        before = module(x)[0]
    assert report.rows[-1].output_shape == tuple(before.shape)
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.macs == counter.get_total_flops() // 2
    seen: list[set[int]] = [set() for _ in before]
    for k in range(8):
        other = x.clone()
        other[0, k] = 8
        for u in (module(other)[0] != before).any(1).nonzero().flatten().tolist():
            seen[u].add(k)
    told = regions(report, report.network.position(report.network.outputs[0]))
    assert [{p[0] for p in told.unit((u,)).pixels()} for u in range(len(before))] == seen


UNREAD: dict[str, Run] = {
    "axes that are not neighbours": lambda m, x: x[SOME[:3] * 0, :, SOME[:3]],
    "positions from the input, of several axes": lambda m, x: x[:, x[0, :, :3].argmax(0), SOME[:3]],
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_no_layer_states_is_said_to_be_unknown(name: str) -> None:
    read = rfcalc.from_torch(Module(UNREAD[name]), (3, 7))
    assert any(type(n.layer).__name__ == "Unknown" for n in read.network.nodes)


def test_a_wrong_reading_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference that reads one position twice would be noticed."""
    from rfcalc.readers.torch import joining

    def shifted(graph: Any, x: Any, axis: int, start: int, stop: int) -> Any:
        dims = (*x.dims[:axis], stop - start, *x.dims[axis + 1 :])
        return graph.add(Slice(graph.axis(x, axis), 0, stop - start), (x.node,), dims, x.batch)

    monkeypatch.setattr(joining, "sliced", shifted)
    with pytest.raises(AssertionError):
        check(CASES["diff"][0].double(), "3x6x7")
