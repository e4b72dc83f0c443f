"""Frames, folds, sums by index, transforms, and what values of the input pick: by the gradient of the module."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from pixels import Module, check, pixels
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc import IndexSum, RfcalcError, Shape
from rfcalc.receptive.region_walk import regions

torch.set_num_threads(1)
HANN = torch.hann_window(16).double()
PAIRS = torch.arange(8) // 2
ONE, THREE = torch.tensor([1, 3, 1]), torch.tensor([[[0, 1, 2], [3, 2, 1]]])


def square(k: int, c: int = 2) -> nn.Conv2d:
    return nn.Conv2d(2, c, k, padding=k // 2)


def image(run: Any, **parts: nn.Module) -> nn.Module:
    return Module(lambda m, x: run(m, m.a(x)), a=square(3), **parts)


def signal(run: Any) -> nn.Module:
    return Module(lambda m, x: run(x, m.a(x)), a=nn.Conv1d(2, 2, 3, padding=1))


def spectrum(x: Tensor, **options: Any) -> Tensor:
    return torch.stft(x.squeeze(1), 16, 4, return_complex=True, **options).abs()


def empty(n: int) -> Tensor:
    return torch.zeros(1, 2, n).double()


def pixelwise(m: Any, x: Tensor) -> Tensor:
    grid: Tensor = m.a(x).movedim(1, -1).tanh()
    return F.grid_sample(x, grid, align_corners=False)


def turned(m: Any, x: Tensor) -> Tensor:
    grid = F.affine_grid(m.l(x.mean((2, 3))).view(1, 2, 3), [1, 2, 6, 6], align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def filtered(m: Any, x: Tensor) -> Tensor:
    return torch.fft.irfft(torch.fft.rfft(x) * torch.view_as_complex(m.w), n=12)


def by_linear(m: Any, x: Tensor) -> Tensor:
    y: Tensor = m.l(F.unfold(x, 3, padding=1).mT).mT.view(1, 4, 6, 6)
    return y


FILTER = nn.Parameter(torch.rand(2, 7, 2) + 0.5)
CASES: dict[str, tuple[nn.Module, str, str, tuple[int | None, ...]]] = {
    "Fourier": (signal(lambda x, y: torch.fft.fft(y).abs()), "2x12", "global", (None,)),
    "Fourier, half": (image(lambda m, y: torch.fft.rfft2(y).abs()), "2x6x6", "global", (None, None)),
    "Fourier, one axis": (image(lambda m, y: torch.fft.fftn(y, dim=(2,)).real), "2x6x6", "global", (None, 3)),
    "Fourier and back": (Module(filtered, w=FILTER), "2x12", "global", (None,)),
    "Fourier, tokens": (Module(lambda m, x: torch.fft.fft2(x).real), "7x4", "global", (None,)),
    "Fourier, shifted": (image(lambda m, y: torch.fft.fftshift(y, dim=(2, 3))), "2x5x6", "shift_variant", (None, None)),
    "spectrogram": (Module(lambda m, x: spectrum(x, window=HANN, center=False)), "1x64", "exact", (15,)),
    "spectrogram, padded": (Module(lambda m, x: spectrum(x, pad_mode="constant")), "1x64", "exact", (16,)),
    "patches": (image(lambda m, y: F.unfold(y, 3, padding=1).view(1, 2, 9, 6, 6).sum(2)), "2x6x6", "exact", (5, 5)),
    "patches, every second": (
        image(lambda m, y: m.l(F.unfold(y, 3, stride=2, padding=1).mT).mT.view(1, 4, 4, 4), l=nn.Linear(18, 4)),
        "2x7x7",
        "exact",
        (5, 5),
    ),
    "patches, gaps": (Module(lambda m, x: F.unfold(x, 3, dilation=2)), "2x7x7", "periodic", (5, 5)),
    "patches, not square": (
        Module(lambda m, x: F.unfold(x, (3, 1), padding=(1, 0))),
        "2x5x4",
        "periodic",
        (3, 1),
    ),
    "patches, linear": (Module(by_linear, l=nn.Linear(18, 4)), "2x6x6", "exact", (3, 3)),
    "patches, folded": (
        image(lambda m, y: F.fold(F.unfold(y, 3, padding=1), 6, 3, padding=1)),
        "2x6x6",
        "exact",
        (3, 3),
    ),
    "folded": (
        Module(lambda m, x: F.fold(m.l(x), 8, 4, stride=2, padding=1), l=nn.Conv1d(4, 32, 1)),
        "4x16",
        "shift_variant",
        (None,),
    ),
    "folded image": (
        Module(lambda m, x: F.fold(m.l(x).flatten(2), 8, 4, stride=2, padding=1), l=nn.Conv2d(2, 32, 1)),
        "2x4x4",
        "periodic",
        (2, 2),
    ),
    "frames": (Module(lambda m, x: x.unfold(2, 4, 2).mean(-1)), "2x12", "exact", (4,)),
    "frames, linear": (Module(lambda m, x: m.l(x.unfold(2, 4, 2)), l=nn.Linear(4, 3)), "2x12", "exact", (4,)),
    "frames, two axes": (
        Module(lambda m, x: x.unfold(2, 3, 1).unfold(3, 3, 1).sum((-1, -2))),
        "2x6x6",
        "shift_variant",
        (None, None),
    ),
    "added by index": (signal(lambda x, y: empty(4).index_add(2, PAIRS, y)), "2x8", "shift_variant", (None,)),
    "added by index to the input": (
        signal(lambda x, y: x.index_add(2, ONE, y[:, :, :3])),
        "2x8",
        "shift_variant",
        (None,),
    ),
    "scattered and added": (
        signal(lambda x, y: empty(4).scatter_add(2, PAIRS.expand(1, 2, 8), y)),
        "2x8",
        "shift_variant",
        (None,),
    ),
    "scattered": (
        signal(lambda x, y: empty(9).scatter(2, torch.arange(8).expand(1, 2, 8), y)),
        "2x8",
        "shift_variant",
        (None,),
    ),
    "copied": (signal(lambda x, y: x.index_copy(2, ONE[:2], y[:, :, :2])), "2x8", "shift_variant", (None,)),
    "filled": (signal(lambda x, y: y.index_fill(2, ONE, 0.0)), "2x8", "shift_variant", (None,)),
    "scattered by values": (signal(lambda x, y: empty(8).scatter(2, x.argsort(2), y)), "2x8", "bounded", (None,)),
    "picked by values": (signal(lambda x, y: x.gather(2, y.argsort(2))), "2x8", "bounded", (None,)),
    "picked, each place its own": (Module(lambda m, x: x.gather(2, THREE)), "2x8", "shift_variant", (None,)),
    "sampled": (Module(pixelwise, a=square(3)), "2x6x6", "bounded", (None, None)),
    "sampled, turned": (Module(turned, l=nn.Linear(2, 6)), "2x6x6", "bounded", (None, None)),
    "time first": (
        Module(
            lambda m, x: torch.conv_tbc(x.permute(2, 0, 1), m.w, m.b, 1).permute(1, 2, 0),
            w=nn.Parameter(torch.rand(3, 2, 4)),
            b=nn.Parameter(torch.rand(4)),
        ),
        "2x9",
        "exact",
        (3,),
    ),
    "rolled channels": (
        Module(lambda m, x: torch.cat([x, m.a(x)], 1).roll(2, 1)[:, :2], a=square(5)),
        "2x7x7",
        "exact",
        (5, 5),
    ),
    "turned by 90 degrees": (image(lambda m, y: torch.rot90(y, 1, (2, 3))), "2x5x6", "shift_variant", (3, None)),
    "turned by 270 degrees": (image(lambda m, y: torch.rot90(y, 3, (-2, -1))), "2x5x6", "shift_variant", (None, 3)),
    "cosine": (image(lambda m, y: F.cosine_similarity(y, m.b(y), 1)[:, None], b=square(3)), "2x7x7", "exact", (5, 5)),
    "distance": (
        image(lambda m, y: F.pairwise_distance(y, m.b(y), keepdim=True), b=square(1)),
        "2x4x5",
        "global",
        (3, None),
    ),
    "bilinear": (
        Module(lambda m, x: m.b(m.a(x), x), a=nn.Linear(4, 3), b=nn.Bilinear(3, 4, 5)),
        "7x4",
        "global",
        (None,),
    ),
    "a letter twice": (image(lambda m, y: torch.einsum("bcii->bci", y)), "2x6x6", "periodic", (3, 3)),
    "trace": (image(lambda m, y: torch.einsum("bcii->bc", y)), "2x6x6", "global", (None, None)),
    "diagonal": (image(lambda m, y: torch.diagonal(y, 1, 2, 3)), "2x6x6", "periodic", (3, 3)),
    "as a diagonal": (signal(lambda x, y: torch.diag_embed(y)), "2x5", "shift_variant", (None,)),
    "smooth, smaller": (
        image(lambda m, y: F.interpolate(y, (5, 5), mode="bilinear", antialias=True)),
        "2x12x12",
        "periodic",
        (7, 7),
    ),
    "smooth, half": (
        Module(lambda m, x: F.interpolate(x, (6, 6), mode="bicubic", antialias=True)),
        "2x12x12",
        "exact",
        (8, 8),
    ),
    "smooth, larger": (
        Module(lambda m, x: F.interpolate(x, (9, 9), mode="bilinear", antialias=True)),
        "2x6x6",
        "periodic",
        (2, 2),
    ),
    "inverse": (image(lambda m, y: torch.linalg.inv(y + torch.eye(5))), "2x5x5", "global", (None, None)),
    "cross": (
        Module(lambda m, x: torch.cross(x, m.a(x), dim=1), a=nn.Conv2d(3, 3, 3, padding=1)),
        "3x5x5",
        "exact",
        (3, 3),
    ),
    "noise of its own": (
        Module(lambda m, x: m.a(x) + torch.rand(x.shape, generator=torch.Generator(), dtype=x.dtype), a=square(3)),
        "2x5x5",
        "exact",
        (3, 3),
    ),
}


def corner(run: Any) -> nn.Module:
    return image(lambda m, x: run(x[..., :4, :4]))


BAND = torch.ones(6, 6).tril(1).triu(-1)


def mixed_rows(m: Any, x: Tensor) -> Tensor:
    """Tokens of four features, mixed by a table that stands before them."""
    return BAND.to(x) @ m.l(x.transpose(1, 2))


def patches(step: int) -> nn.Module:
    """Windows of 2 x 2 (every other pixel), or of 3 x 3 that overlap, by steps in memory."""

    def run(m: Any, x: Tensor) -> Tensor:
        y = m.a(x).contiguous()
        b, c, h, w = y.shape
        size = (h // 2, w // 2, 2, 2) if step == 2 else (h - 2, w - 2, 3, 3)
        return y.as_strided((b, c, *size), (c * h * w, h * w, step * w, step, w, 1)).amax((-1, -2))

    return Module(run, a=square(3))


RISING, FALLING = torch.tensor([0, 1, 2]), torch.tensor([5, 3, 1])
CASES |= {
    "tokens mixed by a table": (Module(mixed_rows, l=nn.Linear(3, 4)), "3x6", "shift_variant", (None,)),
    "patches by steps in memory": (patches(2), "2x6x6", "exact", (4, 4)),
    "windows by steps in memory": (patches(1), "2x6x6", "shift_variant", (None, None)),
    "places of two axes": (image(lambda m, x: x[:, :, RISING, FALLING]), "2x6x6", "periodic", (3, 3)),
    "places of two axes, a table": (
        image(lambda m, x: x[:, :, THREE[0], THREE[0].flip(1)]),
        "2x6x6",
        "shift_variant",
        (None, None),
    ),
    "places of channels too": (
        image(lambda m, x: x[:, torch.tensor([0, 1, 0]), RISING]),
        "2x6x6",
        "bounded",
        (None, 3),
    ),
    "determinant": (corner(torch.linalg.det), "2x6x6", "global", (None, None)),
    "logarithm of it": (corner(lambda x: torch.linalg.slogdet(x)[1]), "2x6x6", "global", (None, None)),
    "singular values": (corner(torch.linalg.svdvals), "2x6x6", "global", (None, None)),
    "power of a matrix": (corner(lambda x: torch.linalg.matrix_power(x, 3)), "2x6x6", "global", (None, None)),
    "factors of a matrix": (corner(lambda x: torch.linalg.qr(x)[1]), "2x6x6", "bounded", (None, None)),
    "a system of equations": (corner(lambda x: torch.linalg.solve(x, x.flip(1))), "2x6x6", "global", (None, 3)),
    "Cholesky": (
        corner(lambda x: torch.linalg.cholesky(x @ x.mT + 9 * torch.eye(4).to(x))),
        "2x6x6",
        "bounded",
        (None, None),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_against_the_module(name: str) -> None:
    module, shape, status, size = CASES[name]
    torch.manual_seed(0)
    module = module.double()
    report = rfcalc.analyze(rfcalc.from_torch(module, Shape.of(shape).dims))
    with torch.no_grad():
        y = module(torch.rand(1, *Shape.of(shape).dims, dtype=torch.float64))
    assert report.rows[-1].output_shape == tuple(y.shape[1:])
    found = check(module, shape)
    assert (found.status, found.size) == (status, size)


def test_a_padded_spectrogram_reads_mirrored_samples() -> None:
    module = Module(lambda m, x: spectrum(x, window=HANN))
    report = rfcalc.analyze(rfcalc.from_torch(module, (1, 64)))
    told = regions(report, report.network.arity + len(report.network.nodes) - 1)
    for unit, seen in pixels(module, (1, 64), 0).items():
        assert frozenset(told.unit(unit).pixels()) == seen, unit


def test_patches_folded_back_are_what_they_were() -> None:
    module = Module(lambda m, x: F.fold(F.unfold(x, 3, padding=1), 6, 3, padding=1))
    report = rfcalc.analyze(rfcalc.from_torch(module, (2, 6, 6)))
    assert report.rows[-1].receptive_field.size == (1, 1)
    assert report.totals.macs == 0


def test_embedding_of_sums_by_index() -> None:
    rows = ((0, 3), (), (1,))
    layer = IndexSum(1, rows)
    assert layer.notation(exact=True) == "indexsum axis1 at0,3/-/1"
    ruled = IndexSum(1, [[-1, 0], [1]], by=2, length=7, view=True)
    assert ruled.notation(exact=True) == "indexsum axis1 at-1:0/1 by2 to7 view"
    assert ruled.listed(5) == [[0], [1], [1, 2], [3], [3, 4], [], []]
    module, source = rfcalc.to_torch(rfcalc.Network(layer, "2x4")), torch.arange(8.0).view(1, 2, 4)
    assert module(source).tolist() == [[[3, 0, 1], [11, 0, 5]]]


def test_whether_sums_by_index_read_anything_is_told_without_listing() -> None:
    """So that sizes are told of it in one step: "a size is counted through"."""
    for by, first, length, extent in product((0, 1, 3), (-7, -2, 0, 2, 6), (1, 2, 5), (1, 2, 4)):
        layer = IndexSum(1, [[first], [first + 1, first + 2]], by=by, length=length)
        assert layer._read_of(extent) == any(layer.listed(extent)), (by, first, length, extent)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: IndexSum(1, []), "not lists"),
        (lambda: IndexSum(1, [[0.5]]), "not positions"),
        (lambda: IndexSum(1, [[-1]]), "from 0"),
        (lambda: IndexSum(1, [[0]], by=2), "by and length"),
        (lambda: IndexSum(1, [[9]]).output(Shape(3, 5)), "nothing of axis 1"),
        (lambda: IndexSum(4, [[0]]).output(Shape(3, 5)), "axis 4"),
    ],
)
def test_what_is_refused(make: Any, told: str) -> None:
    with pytest.raises(RfcalcError, match=told):
        make()


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("ways", [False, True])
def test_projected_lstm(ways: bool) -> None:
    """Each direction: four gates of five values over the input and the projected state, and the projection."""
    module = nn.LSTM(6, 5, proj_size=3, batch_first=True, bidirectional=ways).double()
    report = rfcalc.analyze(rfcalc.from_torch(Module(lambda m, x: m.l(x)[0], l=module), (4, 6)))
    count = 2 if ways else 1
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    assert report.totals.macs == 4 * count * (4 * 5 * (6 + 3) + 3 * 5)
    assert report.rows[-1].output_shape == (4, 3 * count)
    assert report.rows[-1].node.layer.notation() == "lstm5 proj3" + (" bidirectional" if ways else "")
    built = rfcalc.to_torch(report.network)
    assert built(torch.rand(1, 4, 6)).shape == (1, 4, 3 * count)
    check(Module(lambda m, x: m.l(x)[0], l=module), "4x6")
    with pytest.raises(RfcalcError, match="not projected"):
        rfcalc.Recurrent("gru", 5, projection=3)


@pytest.mark.parametrize(("size", "step", "width", "centred"), [(16, 4, 16, True), (16, 8, 8, True), (16, 4, 12, True)])
def test_a_spectrum_and_back(size: int, step: int, width: int, centred: bool) -> None:
    """A network on a spectrum, as vocoders and separators are: every sample by its gradient."""
    window = torch.hann_window(width + 2).double()[1:-1]
    given = {"n_fft": size, "hop_length": step, "win_length": width, "window": window, "center": centred}

    def run(m: Any, x: Tensor) -> Tensor:
        found = torch.stft(x, return_complex=True, **given)
        return torch.istft(found * m.a(found.abs()), length=x.shape[-1], **given)

    module = Module(run, a=nn.Conv1d(9, 9, 3, padding=1)).double()
    read = rfcalc.from_torch(module, (64,))
    report = rfcalc.analyze(read)
    assert read.complete
    told = regions(report, report.network.position(report.network.outputs[0]))
    x = torch.rand(1, 64, dtype=torch.float64).requires_grad_()
    y = module(x)
    for unit in range(64):
        (moved,) = torch.autograd.grad(y[0, unit], x, retain_graph=True)
        seen = {int(i) for i in (moved[0].abs() > 1e-13).nonzero()}
        assert seen == {p for (p,) in told.unit((unit,)).pixels()}


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "repeat": lambda x: x.repeat(1, 1, 3),
    "tile": lambda x: x.tile(3),
    "repeat_interleave": lambda x: x.repeat_interleave(3, -1),
    "expand, merged": lambda x: x[:, :, None].expand(-1, -1, 3, -1).reshape(1, 3, -1),
    "two axes": lambda x: x[..., None].repeat(1, 1, 2, 2).flatten(2),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_along_positions(how: str) -> None:
    """Units see what autograd says; a copy takes memory, as a map that is joined to itself does."""
    copy = COPIES[how]
    module = Module(lambda m, x: m.b(copy(m.a(x))), a=nn.Conv1d(2, 3, 3, padding=1), b=nn.Conv1d(3, 2, 3, padding=1))
    report = rfcalc.analyze(rfcalc.from_torch(module, "2x8"))
    told = regions(report, report.network.position(report.network.outputs[0]))
    x = torch.rand(1, 2, 8, dtype=torch.float64).requires_grad_()
    y = module.double()(x)
    for unit in range(y.shape[-1]):
        (moved,) = torch.autograd.grad(y[0, 0, unit], x, retain_graph=True)
        seen = {int(i) for i in (moved[0].abs().sum(0) > 1e-13).nonzero()}
        assert seen == {p for (p,) in told.unit((unit,)).pixels()}
    times = y.shape[-1] // 8
    joined = Module(lambda m, x: m.b(torch.cat([m.a(x)] * times, -1)), a=module.a, b=module.b)
    for infer in (True, False):
        peaks = [rfcalc.memory(m.float(), "2x8", infer=infer).to_dict()["peak"]["bytes"] for m in (module, joined)]
        assert peaks[0] == peaks[1]


def test_control_what_depends_on_values_has_no_shape() -> None:
    with pytest.raises(RfcalcError, match="depends on the values"):
        rfcalc.from_torch(Module(lambda m, x: torch.linalg.lstsq(x, x)[0]), "1x4x4")


def test_steps_in_memory_that_leave_their_axis_are_not_read() -> None:
    skewed = Module(lambda m, x: x.as_strided((1, 1, 5, 5), (50, 25, 6, 1)))
    assert [u.why for u in rfcalc.from_torch(skewed, "2x5x5").unknown] == ["past the end of an axis"]


def test_steps_in_memory_that_leave_it_are_refused() -> None:
    skewed = Module(lambda m, x: x.as_strided((1, 2, 5, 5), (50, 25, 6, 1)))
    with pytest.raises(RuntimeError, match="out of bounds for storage"):
        skewed(torch.zeros(1, 2, 5, 5))
    with pytest.raises(RfcalcError, match="reads value 53 of 50"):
        rfcalc.from_torch(skewed, "2x5x5")


def test_complex_weights_may_meet_a_real_input() -> None:
    """Three real convolutions of twice as many parameters, as PyTorch runs a complex one."""
    module = Module(lambda m, x: m.c(torch.complex(x, x)).abs(), c=nn.Conv2d(2, 4, 3, dtype=torch.cfloat))
    read = rfcalc.from_torch(module, "2x8x8")
    assert read.complete
    row = rfcalc.analyze(read).rows[-1]
    assert (row.output_shape, row.receptive_field.size) == ((4, 6, 6), (3, 3))
