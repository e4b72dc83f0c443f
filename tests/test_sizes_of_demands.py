"""What operators demand of the lengths that they are given beside what their layers say, and loops that have no end."""

from __future__ import annotations

import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import rfcalc
from rfcalc import RfcalcError

sys.path.insert(0, str(Path(__file__).parent))
from test_sizes_of_code import Base, against_torch


class OneValue(Base):
    """Statistics of one value are refused, in evaluation, too; those of a track record are not."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.tracked = nn.InstanceNorm2d(4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)

    def forward(self, x: Any) -> Any:
        return self.norm(functional.adaptive_avg_pool2d(self.tracked(self.a(x)), (1, None)))


class Halves(Base):
    def forward(self, x: Any) -> Any:
        return functional.glu(self.a(x), 3), nn.GLU(2)(x)


class Recurrent(Base):
    """As CRNN does: columns of a map are frames, of a fixed number of features, which PyTorch's own layer demands."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(4 * 4, 6)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        return self.recurrent(y.view(b, c * h, w).permute(2, 0, 1))[0]


@pytest.mark.parametrize("kind", [OneValue, Halves, Recurrent])
def test_what_functions_demand(kind: Any) -> None:
    against_torch(kind(), (3, 8 if kind is Recurrent else 24, 20), range(1, 60))


PARTS = {
    "the middle": lambda y, n: y.narrow(3, n // 4, n // 2 + 1),
    "a part that must be there": lambda y, n: y.narrow(3, 3, 5) + y.narrow(dim=-1, start=0, length=5),
    "from behind": lambda y, n: y[:, :, :, -(n // 3) - 1 :],
    "one position": lambda y, n: y[:, :, :, n // 2, None] + y.select(3, n - 5)[..., None],
    "lists": lambda y, n: torch.split(y, [n // 4, n - 2 * (n // 4), n // 4], 3)[1],
    "a third": lambda y, n: y.chunk(3, 3)[1],
    "a third, by names": lambda y, n: torch.chunk(dim=3, chunks=3, input=y)[1],
    "pieces, by names": lambda y, n: torch.split(tensor=y, dim=3, split_size_or_sections=[n // 3, n - n // 3])[1],
    "a half": lambda y, n: y.split(n - n // 2, 3)[0],
    "a third, as even as can be": lambda y, n: functional.pad(y, (0, 2)).tensor_split(3, 3)[1],
    "a quarter": lambda y, n: functional.interpolate(functional.pad(y, (0, 3)), scale_factor=0.25, mode="bilinear"),
    "three quarters": lambda y, n: functional.interpolate(y, scale_factor=(1.25, 1.75)),
    "frequencies": lambda y, n: torch.fft.irfft(torch.fft.rfft(y)),
    "frequencies of a padded map": lambda y, n: torch.fft.rfft2(y, s=(9, n + 2)).abs(),
    "named arguments": lambda y, n: functional.glu(input=torch.narrow(input=y, dim=3, start=1, length=n - 1), dim=1),
    "padding of a signal without axes": lambda y, n: functional.pad(y.flatten(1), (0, n)).view(1, -1, 1, 1),
}


class Part(Base):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.part = PARTS[name]

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return self.part(y, y.shape[3])


@pytest.mark.parametrize("name", PARTS)
def test_parts_by_lengths(name: str) -> None:
    """Where they begin and end is computed by operators from what code gives them."""
    against_torch(Part(name), (3, 16, 42), range(1, 80))


class Frequencies(Base):
    """As LaMa does: a convolution of frequencies, whose real and imaginary parts are channels meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed = nn.Conv2d(8, 8, 1)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        f = torch.fft.rfftn(y, dim=(-2, -1), norm="ortho")
        f = torch.stack((f.real, f.imag), -1).permute(0, 1, 4, 2, 3).contiguous()
        f = self.mixed(f.view((1, -1, *f.size()[3:])))
        f = f.view((1, -1, 2, *f.size()[2:])).permute(0, 1, 3, 4, 2).contiguous()
        back = torch.fft.irfftn(torch.complex(f[..., 0], f[..., 1]), s=y.shape[-2:], dim=(-2, -1), norm="ortho")
        return back, y + back


def test_convolutions_of_frequencies() -> None:
    against_torch(Frequencies(), (3, 16, 42), range(1, 60))


class Filtered(nn.Module):
    """A filter of frequencies, whose complex weights fit two lengths; the input is real."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(4, 11, dtype=torch.cfloat))

    def forward(self, x: Any) -> Any:
        return torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=x.shape[-1])


def test_filters_of_frequencies() -> None:
    found = rfcalc.sizes(Filtered(), (4, 20))
    assert [n for n in range(1, 60) if n in found.axes[0].valid] == [1, 20, 21]


def shifted(x: Any, n: int) -> Any:
    y = torch.zeros_like(x)
    y[..., 3:] = x[..., :-3]
    return y


CROPS = {
    "from behind": lambda x, n: x[..., 1:-4],
    "by a length": lambda x, n: x[..., 1 : n - 4],  # of 3, one is left
    "to a length": lambda x, n: x[..., 5:n],
    "two parts": lambda x, n: x[..., 10:] + x[..., :10],
    "parts that must be there": lambda x, n: functional.max_pool2d(x.narrow(3, 1, 2) + x.narrow(3, 0, 2), 2),
    "moved": shifted,
    "all of it, at some lengths": lambda x, n: functional.max_pool2d(x, 2, ceil_mode=True).narrow(3, 0, n // 2),
}


class Cropped(Base):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.crop = CROPS[name]

    def forward(self, x: Any) -> Any:
        return self.crop(x, x.shape[3])


@pytest.mark.parametrize("name", CROPS)
def test_sizes_at_which_nothing_is_left(name: str) -> None:
    against_torch(Cropped(name), (3, 8, 20), range(4 if name == "moved" else 2, 50))


class Strided(Base):
    """A view of a part of a map, whose strides go together at some sizes only."""

    def forward(self, x: Any) -> Any:
        return x[:, :, :, ::2].view(1, -1)


class Hidden(Base):
    """An operator that demands more than the layers before it."""

    def forward(self, x: Any) -> Any:
        return functional.avg_pool2d(x, 4).kthvalue(2, 3)[0]


class Values(Base):
    """An operator that is not understood, whose output is shorter where its input is short."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.svdvals(x[:, 0])


@pytest.mark.parametrize("kind", [Strided, Hidden, Values])
def test_demands_that_are_not_known_are_not_passed_over(kind: Any) -> None:
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(kind(), (3, 24, 20))


class Guessed(Base):
    """A part of what an operator makes that is not understood: which of its axes holds channels is a guess."""

    def forward(self, x: Any) -> Any:
        y = functional.interpolate(x, scale_factor=1.25).transpose(1, 2).tensor_split(4, 1)[0]
        return self.signal(y.transpose(1, 2)), y

    def __init__(self) -> None:
        super().__init__()
        self.signal = nn.Conv1d(2, 2, 3, padding=1)


def test_outputs_whose_axes_are_guessed_have_no_length() -> None:
    found = rfcalc.sizes(Guessed(), (2, 45))
    assert any(node.layer.opaque for node in found.network.nodes)
    assert found.output(0) == {"signal": "(5 * n + 12) // 16", "tensor_split": None}


class WithoutAxes(nn.Module):
    """Values of a map that has no axes left, beside a table that has."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3))

    def forward(self, x: Any) -> Any:
        return x[:, 0, 0] * self.table


def test_pixels_that_reach_what_is_not_understood_are_not_counted() -> None:
    assert rfcalc.sizes(WithoutAxes(), (4, 20)).to_dict()["axes"][0]["unseen"] is None


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.cell = nn.Conv1d(1, 4, 8, 4), nn.GRUCell(4, 6)

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        state, out = torch.zeros(x.shape[0], 6), []
        for t in range(y.shape[-1]):
            state = self.cell(y[..., t], state)
            out.append(state)
        return torch.stack(out, -1)


class Pieces(Steps):
    def forward(self, x: Any) -> Any:
        return torch.stack([2 * frame for frame in self.conv(x).unbind(-1)], -1)


class Bounded(Steps):
    """A loop over positions that has an end: sizes are told one by one."""

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        assert 3 <= y.shape[-1] <= 6, "3 to 6 frames"
        return torch.stack([y[..., t] for t in range(y.shape[-1])], -1)


@pytest.mark.parametrize("kind", [Steps, Pieces])
def test_loops_without_an_end_are_refused_soon(kind: Any) -> None:
    began = time.process_time()
    with pytest.raises(RfcalcError, match=r"makes of a length at test_sizes_of_demands.py, line \d+ is not followed"):
        rfcalc.sizes(kind(), (1, 48))
    assert time.process_time() - began < 20  # it took two minutes


def test_loops_that_have_an_end_are_told() -> None:
    found = rfcalc.sizes(Bounded(), (1, 24))
    assert [n for n in range(1, 60) if n in found.axes[0].valid] == list(range(16, 32))


class Drawn(nn.Module):
    def forward(self, x: Any) -> Any:
        first = random.randint(0, x.shape[2] - 16)
        return x[:, :, first : first + 16]


def test_lines_that_are_named_are_the_users() -> None:
    with pytest.raises(RfcalcError, match=r"at test_sizes_of_demands.py, line \d+ is not followed"):
        rfcalc.sizes(Drawn(), (4, 40))


def grid_pool(x: Any, cells: int = 4) -> Any:
    """As SPP-net divides a map: a kernel and a padding that are computed; this must be at most half of that."""
    h, w = x.shape[2:]
    kernel = math.ceil(h / cells), math.ceil(w / cells)
    padding = [(k * cells - n + 1) // 2 for k, n in zip(kernel, (h, w), strict=True)]
    return functional.max_pool2d(x, kernel, kernel, tuple(padding))


POOLED = {
    "halves behind a transform": lambda x: functional.glu(torch.fft.irfft(torch.fft.rfft(x, dim=2), dim=2), 2),
    "a grid": grid_pool,
    "averages, rounded up": lambda x: functional.avg_pool2d(
        x, (-(-x.shape[2] // 5), 1), None, ((-(-x.shape[2] // 5) * 5 - x.shape[2]) // 2, 0), True
    ),
    "what is left of a multiple": lambda x: functional.max_pool2d(x, (4, 1), (4, 1), (x.shape[2] % 4, 0)),
    "equal halves": lambda x: math.prod(torch.vsplit(x[0], 1)[0].hsplit(2)),
    "equal parts of depth": lambda x: math.prod(torch.dsplit(x, 2)),
    "nothing to join": lambda x: torch.cat(
        [functional.adaptive_avg_pool2d(x, 1) for k in (4, 8) if x.shape[3] >= k], 1
    ),
}


class By(Base):
    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return POOLED[self.function](self.a(x))


@pytest.mark.parametrize("function", POOLED)
def test_what_functions_demand_of_what_code_computes(function: str) -> None:
    against_torch(By(function), (3, 32, 40), range(1, 70))


class Filled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(40))

    def forward(self, x: Any) -> Any:
        return x.masked_scatter(torch.ones_like(x, dtype=torch.bool), self.values)


def test_what_values_of_a_mask_say_is_not_told() -> None:
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(Filled(), (4, 10))
    with pytest.raises(RfcalcError, match="draws 5 of 4"):
        rfcalc.from_torch(Draws(), (4, 4))


class Draws(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.multinomial(x.mean(1).softmax(-1), 5)


class Written(nn.Module):
    """What people write around their layers, by name; with values, not without data, where PyTorch compares values."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(self.layer, 1, enable_nested_tensor=False)
        self.norm, self.head = nn.BatchNorm1d(80), nn.Linear(80, 3)
        self.scale, self.first = nn.RMSNorm(12), nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        return WRITTEN[self.what](self, x, x.shape[2])


def frames_first(net: Any, x: Any, n: int) -> Any:
    x = x.permute(2, 0, 1)
    t, b, _ = x.shape
    return net.first(x.reshape(t * b, -1)).view(t, b, -1)


def written_in_part(net: Any, x: Any, n: int) -> Any:
    whole = torch.zeros(1, 8, 12)
    whole[:, :, :n] = x
    return whole


def one_written(net: Any, x: Any, n: int) -> Any:
    x = x.clone()
    x[:, :, 3] = 0
    return x


def resized_flow(net: Any, x: Any, n: int) -> Any:
    flow = functional.interpolate(x.new_zeros(x.shape[0], 2, n // 2), scale_factor=2.0)
    return torch.cat([x, functional.pad(flow, (0, 1)) if flow.shape[2] != n else flow], 1)


def two_halves(net: Any, x: Any, n: int) -> Any:
    one, other = torch.split(x, n // 2, 2)
    return one * other


WRITTEN = {
    "a transformer behind a map": lambda net, x, n: net.layer(x.transpose(1, 2)),
    "a causal mask": lambda net, x, n: net.encoder(x.transpose(1, 2), torch.triu(torch.full((n, n), float("-inf")), 1)),
    "frames first": frames_first,
    "statistics of features": lambda net, x, n: net.head(net.norm(x.flatten(1))),
    "the last axis": lambda net, x, n: net.scale(x),
    "an axis put in": lambda net, x, n: x.unsqueeze(3).squeeze(3),
    "the kind of a tensor": lambda net, x, n: x + torch.zeros(1, 1, 1).type(x.type()),
    "a part of a whole": written_in_part,
    "one position": one_written,
    "a flow": resized_flow,
    "two halves": two_halves,
}


@pytest.mark.parametrize("what", WRITTEN)
def test_what_people_write_around_layers(what: str) -> None:
    module = Written(what).eval()
    found = rfcalc.sizes(module, (8, 10 if "features" in what else 12))
    formula = found.output(0)[found.network.outputs[0]]
    for n in range(1, 40):
        try:
            with torch.no_grad():
                y = module(torch.zeros(1, 8, n))
        except (RuntimeError, IndexError, ValueError):
            y = None
        assert (n in found.axes[0].valid) == (y is not None), n
        if y is not None and formula is not None:
            assert eval(formula, {}, {"n": n}) in y.shape, n


def put_apart(net: Any, x: Any, n: int) -> Any:
    y = torch.zeros(1, 8, 24)
    y[:, :, 2 * torch.arange(12)] = x
    return y


NOT_COMPARED = {
    "values at positions": put_apart,
    "a product with a vector": lambda net, x, n: x[..., ::2] @ functional.avg_pool1d(x, 2)[0, 0],
    "a part that is put in": lambda net, x, n: torch.select_scatter(torch.zeros(1, 8, 40), x[:, :, -1], 2, n),
    "a table by a fraction": lambda net, x, n: (
        x + functional.interpolate(net.first.weight[None].repeat(1, 2, 2)[:, :8, :14], scale_factor=n / 14)
    ),
    "a module that is made": lambda net, x, n: x + nn.Upsample(scale_factor=n / 14)(torch.ones(1, 8, 14)),
    "fewer classes than positions": lambda net, x, n: (
        x * functional.cross_entropy(x[..., None], torch.zeros(1, n // 2 * 2, 1, dtype=torch.long))
    ),
}


@pytest.mark.parametrize("what", NOT_COMPARED)
def test_what_pytorch_compares_with_data_only_is_not_told(what: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(WRITTEN, what, NOT_COMPARED[what])
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(Written(what).eval(), (8, 12))


def test_values_are_as_many_as_the_positions_where_they_are_put() -> None:
    for n, positions in ((12, 12), (1, 12), (12, 1)):
        rfcalc.from_torch(Puts(positions), (3, n))
    with pytest.raises(RfcalcError, match="puts 3x13 values at 1x3x12 positions"):
        rfcalc.from_torch(Puts(12), (3, 13))


AT_ONE_SIZE = {
    "select_scatter": lambda net, x, n: torch.select_scatter(torch.zeros(1, 8, 40), x[:, :, 0], 2, n + 27),
    "slice_scatter": lambda net, x, n: torch.slice_scatter(torch.zeros(1, 8, 40), x, 2, 0, 12),
    "diagonal_scatter": lambda net, x, n: torch.diagonal_scatter(torch.zeros(8, 12, 12), x[0], 0, 1, 2)[None],
    "put": lambda net, x, n: torch.zeros(1, 8, 12).put(torch.arange(96), x),
    "index_reduce": lambda net, x, n: torch.zeros(1, 8, 40).index_reduce(2, torch.arange(12), x, "mean"),
}


@pytest.mark.filterwarnings("ignore:.*in beta")
@pytest.mark.parametrize("what", AT_ONE_SIZE)
def test_what_pytorch_compares_with_data_only_is_compared_at_one_size(what: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(WRITTEN, what, AT_ONE_SIZE[what])
    module = Written(what).eval()
    module(torch.zeros(1, 8, 12))
    rfcalc.from_torch(module, (8, 12))
    with pytest.raises((RuntimeError, IndexError)):
        module(torch.zeros(1, 8, 13))
    with pytest.raises(RfcalcError, match="PyTorch refuses it with data"):
        rfcalc.from_torch(module, (8, 13))


class Puts(nn.Module):
    def __init__(self, positions: int) -> None:
        super().__init__()
        self.positions = positions

    def forward(self, x: Any) -> Any:
        y = torch.zeros(1, 3, 24)
        y[:, :, 2 * torch.arange(self.positions)] = x if self.positions > 1 else x.mean(-1, keepdim=True)
        return y


def test_products_that_become_one_number_are_read(monkeypatch: Any) -> None:
    monkeypatch.setitem(WRITTEN, "one number", lambda net, x, n: x * torch.einsum("i,i->", x[0, 0], x[0, 1]))
    assert rfcalc.from_torch(Written("one number"), (8, 12)).network.nodes


class Halving(nn.Module):
    """It halves a map until little is left: ever more ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        while x.shape[2] > 2:
            x = functional.max_pool1d(functional.pad(x, (0, 1)), 3, 2)
            x = x + self.conv(x)
        return x.squeeze(2) if x.shape[2] == 1 else x


def test_ever_more_ways_are_refused_soon() -> None:
    began = time.process_time()
    with pytest.raises(RfcalcError, match="ever more ways"):
        rfcalc.sizes(Halving(), (4, 32))
    assert time.process_time() - began < 30  # it took more than a minute
