"""Masks before a softmax, running sums, largest values and borders by hand: ONNX files say what the module says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pixels import Module
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc.readers.onnx import from_onnx
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.receptive.region_walk import regions

pytest.importorskip("onnx")
from onnx_models import exported

torch.set_num_threads(1)
N = 8
CAUSAL = torch.ones(N, N, dtype=torch.bool).tril()
NEAR = (torch.arange(N)[:, None] - torch.arange(N)).abs() <= 1


def attending(how: str, mask: Tensor) -> Module:
    def run(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.l(x.transpose(1, 2)).chunk(3, -1)
        if how == "causal":
            return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        scores = q @ k.transpose(1, 2) * 0.5
        if how == "add":
            scores = scores + torch.zeros(N, N).masked_fill(~mask, float("-inf"))
        elif how == "sub":
            scores = scores - torch.zeros(N, N).masked_fill(~mask, 1e9)
        elif how == "raised":
            scores = scores + mask * 1e9
        elif how == "where":
            scores = torch.where(mask, scores, torch.tensor(-1e9))
        else:
            scores = scores.masked_fill(~mask, float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2)  # type: ignore[no-any-return]

    return Module(run, l=nn.Linear(4, 12))


def of_heads(m: Any, x: Tensor) -> Tensor:
    q, k, v = (t.view(1, N, 2, 2).transpose(1, 2) for t in m.l(x.transpose(1, 2)).chunk(3, -1))
    made = F.scaled_dot_product_attention(q, k, v, attn_mask=NEAR)
    return made.transpose(1, 2).reshape(1, N, 4).transpose(1, 2)


def of_each_head(m: Any, x: Tensor) -> Tensor:
    q, k, v = (t.view(1, N, 2, 2).transpose(1, 2) for t in m.l(x.transpose(1, 2)).chunk(3, -1))
    scores = q @ k.transpose(2, 3) + torch.zeros(1, 2, N, N).masked_fill(~torch.stack([NEAR, CAUSAL])[None], -1e4)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(1, N, 4).transpose(1, 2)


def of_windows(m: Any, x: Tensor) -> Tensor:
    """Two windows of four positions; the second one is masked, as shifted windows are."""
    q, k, v = (t.view(2, 4, 4) for t in m.l(x.transpose(1, 2)).chunk(3, -1))
    masks = torch.zeros(2, 4, 4)
    masks[1, :2, 2:] = masks[1, 2:, :2] = -100.0
    scores = (q @ k.transpose(1, 2)).view(1, 2, 4, 4) + masks
    return (scores.softmax(-1) @ v.view(1, 2, 4, 4)).reshape(1, N, 4).transpose(1, 2)


def conv(run: Any, kernel: int = 3, padding: int = 0) -> Module:
    return Module(run, c=nn.Conv1d(4, 4, kernel, padding=padding))


CASES = {
    "causal": attending("causal", CAUSAL),
    **{
        f"{how}, {name}": attending(how, m)
        for how in ("add", "sub", "where", "fill", "raised")
        for name, m in (("causal", CAUSAL), ("near", NEAR))
    },
    "heads": Module(of_heads, l=nn.Linear(4, 12)),
    "heads that differ": Module(of_each_head, l=nn.Linear(4, 12)),
    "windows that differ": Module(of_windows, l=nn.Linear(4, 12)),
    "running sum": conv(lambda m, x: m.c(x).cumsum(2)),
    "largest": conv(lambda m, x: m.c(x).topk(2, 2)[0]),
    "largest of channels": conv(lambda m, x: m.c(x).topk(2, 1)[0]),
    "zeros before": conv(lambda m, x: m.c(torch.cat([torch.zeros(1, 4, 2), x], -1))),
    "the first again": conv(lambda m, x: m.c(torch.cat([x[..., :1], x[..., :1], x], -1))),
}


@pytest.mark.parametrize("name", CASES)
def test_files_say_what_the_module_says(name: str) -> None:
    module = CASES[name].eval()
    read = from_onnx(exported(module, 4, N))
    assert read.complete
    found = []
    for report in (rfcalc.analyze(rfcalc.from_torch(module, (4, N))), rfcalc.analyze(read)):
        at = report.network.position(report.network.outputs[0])
        field = ReceptiveField(report.fields[0][at], report.shapes[0], report.shapes[at])
        seen = regions(report, at)
        units = [sorted(seen.unit((u,)).pixels()) for u in range(report.shapes[at].spatial[0])]
        found.append((str(field.status), field.size, field.reach, units, report.totals.macs))
    assert found[0] == found[1]


def test_masks_of_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are kept of other constants."""
    n = 80
    flags = (torch.arange(n)[:, None] - torch.arange(n)).abs() <= 1
    for how in ("add", "where"):
        with monkeypatch.context() as changed:
            changed.setitem(globals(), "N", n)
            report = rfcalc.analyze(from_onnx(exported(attending(how, flags).eval(), 4, n)))
        seen = regions(report, report.network.position(report.network.outputs[0]))
        assert [len(list(seen.unit((u,)).pixels())) for u in (0, 40, 79)] == [2, 3, 2]


@pytest.mark.parametrize("how", ["add", "where", "scaled"])
def test_masks_that_are_too_large_are_said(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They count as full attention, which is a bound, and both readers say so; smaller ones are looked at."""
    n = 80
    flags = (torch.arange(n)[:, None] - torch.arange(n)).abs() <= 1
    told, wide = [], []
    for most in (1 << 14, 1 << 12):
        with monkeypatch.context() as changed:
            changed.setitem(globals(), "N", n)
            for where in ("onnx.values.MOST_OF_MASKS", "torch.facts.MOST", "torch.products.MOST"):
                changed.setattr(f"rfcalc.readers.{where}", most)
            module = attending(how, flags).eval()
            for read in (rfcalc.from_torch(module, (4, n)), from_onnx(exported(module, 4, n))):
                report = rfcalc.analyze(read)
                told.append(any("not looked at" in note for note in read.notes))
                seen = regions(report, report.network.position(report.network.outputs[0]))
                wide.append(len(list(seen.unit((40,)).pixels())))
    assert told == [False, False, True, True]
    assert wide == [3, 3, n, n]


def test_learned_tables_are_no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large learned table that is added to scores forbids nothing: no sentence is due."""

    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(80, 80))

        def forward(self, x: Tensor) -> Tensor:
            x = x.transpose(1, 2)
            return (x @ x.transpose(1, 2) + self.table).softmax(-1) @ x

    monkeypatch.setattr("rfcalc.readers.torch.facts.MOST", 1 << 12)
    for read in (rfcalc.from_torch(Biased(), (4, 80)), from_onnx(exported(Biased().eval(), 4, 80))):
        assert not any("not looked at" in note for note in read.notes)


@pytest.mark.parametrize("heads", [2, 1])
def test_attention_as_one_operator_that_is_causal(heads: int) -> None:
    from onnx import TensorProto, helper

    q, kv = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, h, 5, 4]) for n, h in (("q", 2), ("k", heads)))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Attention", ["q", "k", "k"], ["y"], is_causal=1)
    graph = helper.make_graph([node], "g", [q, kv], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    read = from_onnx(model.SerializeToString())
    assert read.complete, read.unknown
    report = rfcalc.analyze(read)
    assert report.network.nodes[-1].layer.mask == "causal"
    assert report.rows[-1].output_shape == (2, 5, 4)


def test_control_another_mask_is_seen() -> None:
    one, two = (rfcalc.analyze(from_onnx(exported(CASES[f"add, {n}"].eval(), 4, N))) for n in ("causal", "near"))
    at = one.network.position(one.network.outputs[0])
    assert regions(one, at).unit((3,)).pixels() != regions(two, at).unit((3,)).pixels()


TABLE = torch.rand(N, N).tril() + torch.eye(N)
TABLES = {
    "a table before": (lambda m, x: (m.t @ m.c(x).transpose(1, 2)).transpose(1, 2), "shift_variant"),
    "a table behind": (lambda m, x: m.c(x) @ m.t, "bounded"),
    "flags behind": (lambda m, x: m.c(x) @ (m.t > 0).float(), "bounded"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_with_zeros_do_not_read_what_they_meet(name: str) -> None:
    """A file does not say whether a triangular table is learned: its zeros read nothing all the same."""
    run, status = TABLES[name]
    module = conv(run)
    module.c = nn.Conv1d(4, 4, 3, padding=1)
    module.register_buffer("t", TABLE)
    found = {}
    for read in (rfcalc.from_torch(module.eval(), (4, N)), from_onnx(exported(module.eval(), 4, N))):
        report = rfcalc.analyze(read)
        at = report.network.position(report.network.outputs[0])
        told = regions(report, at)
        field = ReceptiveField(report.fields[0][at], report.shapes[0], report.shapes[at])
        found[str(field.status)] = [frozenset(told.unit((u,)).pixels()) for u in range(N)]
    right = found["shift_variant"]
    assert len(right[0]) != len(right[-1])
    assert status in found
    assert all(seen <= more for seen, more in zip(right, found[status], strict=True))


@pytest.mark.parametrize(("equation", "dims"), [("bcl->bl", (1, N)), ("bcl->lb", (N, 1)), ("bcl->bc", (1, 4))])
def test_sums_of_one_tensor_by_letters(equation: str, dims: tuple[int, ...]) -> None:
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, N])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Einsum", ["x"], ["y"], equation=equation)
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]))
    read = from_onnx(model.SerializeToString())
    assert read.complete
    assert rfcalc.analyze(read).rows[-1].output_shape in (dims, dims[1:])
