"""Valid sizes of PyTorch modules: code is read at several sizes, and every size is run on tensors without data."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run

torch = pytest.importorskip("torch")
from vision import models as vision_models  # noqa: E402

nn, F = torch.nn, torch.nn.functional


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.c = nn.Conv2d(8, 4, 3, padding=1)


class ToSize(Base):
    def forward(self, x: Any) -> Any:
        y = self.a(x)
        z = F.interpolate(self.b(y), size=y.shape[-2:])
        return self.c(torch.cat([y, z], 1))


class ByFactor(Base):
    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return self.c(torch.cat([y, F.interpolate(self.b(y), scale_factor=2)], 1))


class Padded(Base):
    """The difference of two maps is padded, half on each side."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        z = F.interpolate(self.b(y), scale_factor=2)
        h, w = y.shape[-2] - z.shape[-2], y.shape[-1] - z.shape[-1]
        return self.c(torch.cat([y, F.pad(z, [w // 2, w - w // 2, h // 2, h - h // 2])], 1))


class Views(Base):
    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        return self.b(y.flatten(2).transpose(1, 2).transpose(1, 2).reshape(b, c, h, w))


class ToMultiples(Base):
    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        if h % 16 or w % 16:
            x = F.pad(x, [0, -w % 16, 0, -h % 16])
        return self.b(self.a(x))


class Back(Base):
    """As segmentation heads do: the output has the input's size."""

    def forward(self, x: Any) -> Any:
        return F.interpolate(self.b(self.a(x)), size=x.shape[-2:], mode="bilinear")


class Fixed(Base):
    def forward(self, x: Any) -> Any:
        assert x.shape[-1] == 64, "the size is 64"
        return self.a(x)


class Looped(Base):
    """An assertion in a loop: what it compared in other turns is not known."""

    def forward(self, x: Any) -> Any:
        for side in x.shape[-2:]:
            assert side % 8 == 0
        return self.a(x)


class Inner(Base):
    """A condition on an inner map, before a view of one size: its own layers would refuse the same readings."""

    def forward(self, x: Any) -> Any:
        y = F.max_pool2d(self.a(x), 8)
        assert y.shape[-2] % 2 == 0
        return y.reshape(-1, y.shape[1], y.shape[2] // 2, 2, y.shape[3]).flatten(2)


class Whole(Base):
    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        torch._assert(h % 16 == 0, f"a height of {h}")
        if w < 20 or w > 80:
            raise ValueError("too narrow or too wide")
        return self.c(torch.cat([self.a(x), F.interpolate(self.b(self.a(x)), size=(h // 2, (w + 1) // 2))], 1))


class Least(Base):
    def forward(self, x: Any) -> Any:
        y = self.a(x)
        assert x.shape[2] >= 20 and x.shape[3] > 9, "too small"
        return self.b(y)


class Square(Base):
    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        if h != w:
            raise ValueError("square only")
        assert min(x.shape[-2:]) >= 16
        return self.a(x)


class Short(Base):
    def forward(self, x: Any) -> Any:
        assert min(x.shape[-2:]) >= 16 and max(x.shape[-2:]) <= 90
        return self.a(x)


class Grid(Base):
    sides, patch = (64, 48), 4

    def forward(self, x: Any) -> Any:
        grid = x.size(2) // self.patch
        assert (grid, x.shape[3]) == (self.sides[0] // self.patch, self.sides[1]), "another grid"
        return self.b(self.a(x))


class Nested(nn.Module):
    """The assertion is in a module inside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 3, 3, padding=1), Fixed()

    def forward(self, x: Any) -> Any:
        return self.body(self.stem(x))


class Odd(Base):
    """What no rule of the maps gives; the code itself says it."""

    def forward(self, x: Any) -> Any:
        return F.interpolate(self.a(x), size=(x.shape[-1] * 7 // 5, 9))


class Windows(Base):
    """Windows of 4, padded where they do not fit, and a shift that is left out where the map is no larger."""

    def forward(self, x: Any) -> Any:
        y = self.a(x).permute(0, 2, 3, 1)
        b, h, w, c = y.shape
        right, below = (4 - w % 4) % 4, (4 - h % 4) % 4
        if right or below:
            y = F.pad(y, (0, 0, 0, right, 0, below))
        _, ph, pw, _ = y.shape
        shift = 0 if ph <= 4 else 2
        if shift:
            y = torch.roll(y, (-shift, -shift), (1, 2))
        y = y.view(b, ph // 4, 4, pw // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        y = y.view(b, ph // 4, pw // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b, ph, pw, c)
        if shift:
            y = torch.roll(y, (shift, shift), (1, 2))
        return self.b(y[:, :h, :w, :].permute(0, 3, 1, 2))


class Larger(Base):
    """Other layers for large maps, and for odd ones."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        if y.shape[2] > 21:
            y = F.max_pool2d(y, 2)
        if x.shape[3] % 2:
            y = F.interpolate(y, scale_factor=2)
        return self.b(y)


class Root(Base):
    """A condition on something else than a whole number."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return F.max_pool2d(y, 2) if int(x.shape[2] ** 0.5) > 9 else self.b(F.relu(y))


class Halves(Base):
    """A condition that the readings around its size do not meet, asked of what is not followed."""

    def forward(self, x: Any) -> Any:
        y = self.b(self.a(x)) if x.shape[2] > 40 else self.a(x)
        return y[:, :, ::3] if float(x.shape[2]) == 77 else y


class Flat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.l = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(4 * 16 * 16, 10)

    def forward(self, x: Any) -> Any:
        return self.l(self.a(x).flatten(1))


def against_torch(module: Any, shape: tuple[int, ...], sizes: Any) -> Any:
    """Compare what is told of a module with what it does, at some sizes of every axis alone; no value is refused."""
    found = rfcalc.sizes(module, shape)
    run = copy.deepcopy(module).to("meta").eval()
    for axis, solved in enumerate(found.axes):
        formulas = [found.output(axis)[name] for name in found.network.outputs]
        for n in sizes:
            dims = list(shape)
            dims[axis + 1] = n
            try:
                with torch.no_grad():
                    y = run(torch.empty(1, *dims, device="meta"))
            except (RuntimeError, ValueError, AssertionError, IndexError, torch.jit.Error):
                y = None
            if isinstance(y, torch.Tensor) and not y.numel():
                y = None
            assert (n in solved.valid) == (y is not None), (type(module).__name__, axis, n)
            for formula, one in zip(formulas, y if isinstance(y, tuple) else (y,), strict=False):
                if one is not None and formula is not None and one.dim() == len(shape) + 1:
                    assert eval(formula, {}, {"n": n}) == one.shape[axis + 2], (type(module).__name__, axis, n, formula)
    return found


@pytest.mark.parametrize("kind", [ToSize, ByFactor, Padded, Views, ToMultiples, Back])
def test_code_at_every_size(kind: Any) -> None:
    against_torch(kind(), (3, 64, 48), range(1, 100))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Fixed, "x.shape[-1] == 64; x.shape[-1] is 1"),
        (Whole, "h % 16 == 0; h is 1"),
        (Least, "x.shape[2] >= 20"),
        (Square, "h != w"),
        (Short, "min(x.shape[-2:]) >= 16"),
        (Grid, "self.sides[1] is 48"),
        (Nested, "the code demands"),
    ],
)
def test_sizes_that_code_refuses_by_itself(kind: Any, told: str) -> None:
    shape = (3, 64, 48 if kind in (Whole, Grid) else 64)
    against_torch(kind(), shape, range(1, 130))
    found = rfcalc.sizes(kind(), shape)
    assert told in str([found.refused(0), found.refused(1)]) and found.joint is None


def test_weights_fit_one_size() -> None:
    against_torch(Flat(), (3, 32, 32), range(1, 80))


@pytest.mark.parametrize("kind", [Windows, Larger, Odd, Looped, Inner])
def test_code_that_takes_other_ways_at_other_sizes(kind: Any) -> None:
    against_torch(kind(), (3, 64, 48), range(1, 150))


def test_what_cannot_be_told_is_said() -> None:
    for kind in (Root, Halves):
        with pytest.raises(RfcalcError, match="cannot be told") as told:
            rfcalc.sizes(kind(), (3, 64, 48))
        assert "what it makes of a length at test_sizes_of_code.py, line" in str(told.value), told.value


@pytest.mark.parametrize(
    "name", ["resnet18", "segmentation.fcn_resnet50", pytest.param("densenet121", marks=pytest.mark.exhaustive)]
)
def test_torchvision(name: str) -> None:
    models: Any = vision_models()
    for part in name.split(".")[:-1]:
        models = getattr(models, part)
    given = {"weights_backbone": None} if "." in name else {}
    module = getattr(models, name.split(".")[-1])(weights=None, **given)
    found = rfcalc.sizes(module, (3, 64, 96))
    run = module.to("meta").eval()
    for n in (1, 5, 17, 31, 32, 33, 61, 64, 90, 127):
        try:
            with torch.no_grad():
                run(torch.empty(1, 3, n, 96, device="meta"))
            taken = True
        except (RuntimeError, ValueError):
            taken = False
        assert (n in found.axes[0].valid) == taken, (name, n)


def test_a_size_that_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a, self.b = torch.nn.Conv2d(3, 4, 2, 2), torch.nn.ConvTranspose2d(4, 3, 2, 2)\n"
        "    def forward(self, x):\n"
        "        return x + self.b(self.a(x))\n"
    )
    assert run(["table", f"{tmp_path / 'net.py'}:Net", "--input", "3x33x40"]) == 2
    assert "valid sizes: multiples of 2; nearest 34x40 or 32x40" in capsys.readouterr().err
    assert run(["table", "unet-padded", "--input", "1x350x525"]) == 2
    assert "multiples of 16; nearest 352x528 or 336x512" in capsys.readouterr().err


def test_the_tool_for_every_size_finds_mistakes() -> None:
    """`sizes_everywhere.py` agrees with what is true; it sees an answer, and an output, that are not."""
    from sizes_everywhere import Against

    module = ByFactor().eval()
    found = rfcalc.sizes(module, (3, 64, 48))
    right = Against("right", found, copy.deepcopy(module))
    assert right.every(70) == 2 * 34
    assert not right.wrong
    valid = found.axes[1].valid
    found.axes = (found.axes[0], found.axes[1]._replace(valid=valid._replace(rests=(0,))))
    wrong = Against("wrong", found, copy.deepcopy(module))
    wrong.every(70)
    assert {axis for axis, _ in wrong.wrong} == {1}
    assert (1, 63) in wrong.wrong
    found.axes = (found.axes[0], found.axes[1]._replace(valid=valid))
    other = Against("other", found, copy.deepcopy(module))
    other.formulas[0] = compile("n // 2", "other", "eval")  # of odd sizes it is one more
    other.every(70)
    assert {axis for axis, _ in other.wrong} == {0}


class Branch(Base):
    """Asks no tensor, but for how many pieces there are."""

    def forward(self, x: Any) -> Any:
        for row in self.a(x).split(8, 2):
            x = row
        return self.b(x)


class Counted(Base):
    def forward(self, x: Any) -> Any:
        return self.a(x) if x.numel() % 2 else self.b(self.a(x))


@pytest.mark.parametrize(
    ("kind", "asked"),
    [(ByFactor, False), (ToSize, True), (Views, True), (ToMultiples, True), (Branch, True), (Counted, True)],
)
def test_whether_code_asks_for_sizes(kind: Any, asked: bool) -> None:
    assert rfcalc.from_torch(kind(), (3, 64, 64)).network.source.sizes_asked is asked


def test_how_often_code_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from rfcalc.readers import rereading

    count: list[Any] = []
    read = rereading.read
    monkeypatch.setattr(rereading, "read", lambda *given: count.append(given) or read(*given))

    def times(kind: Any, shape: tuple[int, ...] = (3, 64, 48)) -> tuple[str, int]:
        count.clear()
        return (rfcalc.sizes(kind(), shape).assumptions or ("",))[-1], len(count)

    told, often = times(lambda: nn.Conv2d(3, 4, 3))
    assert "asks for no size" in told and often == 1
    told, often = times(ByFactor)
    assert "2 further sizes" in told and often == 2
    for kind in (ToSize, Back, Padded, Views):  # every number is the code's own: no other is inferred
        told, often = times(kind)
        assert f"{often} further sizes, which agree" in told and often <= 5, (kind, told)
    for kind in (Fixed, Whole, Least, Short):  # it refuses sizes by what it compares
        told, often = times(kind, (3, 64, 64))
        assert "further sizes, which agree" in told and often <= 9, (kind, told)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_with_open_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    path = str(tmp_path / "net.onnx")
    given: dict[str, Any] = {"input_names": ["x"], "opset_version": 17, "dynamo": False}
    torch.onnx.export(ToSize().eval(), torch.zeros(1, 3, 64, 64), path, dynamic_axes={"x": {2: "h", 3: "w"}}, **given)
    found = rfcalc.sizes(path, (3, 64, 64))
    assert found.axes[0].valid == rfcalc.sizes(ToSize(), (3, 64, 64)).axes[0].valid
    torch.onnx.export(ToSize().eval(), torch.zeros(1, 3, 64, 64), path, **given)  # the sizes are constants in it
    assert rfcalc.sizes(path, (3, 64, 64)).axes[0].valid.below == (63, 64)
    torch.onnx.export(ByFactor().eval(), torch.zeros(1, 3, 64, 64), path, **given)
    assert run(["rf", path, "--input", "3x61x70"]) == 2  # a reader, not a walk, refuses the size
    assert "valid sizes: n mod 4 in 0, 3, from 3 on; nearest 63x71 or 60x68" in capsys.readouterr().err


class PaddedBefore(nn.Module):
    """Odd sizes are padded at the beginning, which moves what later units read."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1, 3)

    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        return self.a(F.pad(x, [w % 2, 0, h % 2, 0]))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.m = nn.Conv2d(3, 16, 4, 4), nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        t = y.flatten(2).transpose(1, 2)
        return self.m(t, t, t, need_weights=False)[0].transpose(1, 2).reshape(y.shape)


class CausalSignal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv1d(3, 8, 4, 4)

    def forward(self, x: Any) -> Any:
        t = self.a(x).transpose(1, 2)
        return F.scaled_dot_product_attention(t, t, t, is_causal=True)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(Attending, (3, 32, 32)), (CausalSignal, (3, 64)), (Back, (3, 64, 48)), (PaddedBefore, (3, 64, 64))],
)
def test_unseen_behind_attention_and_resizing(kind: Any, shape: tuple[int, ...]) -> None:
    """The formula against gradients: positions that change nothing at some sizes."""
    module = kind().double().eval()
    found = rfcalc.sizes(module, shape)
    formula = found.unseen(0)[found.network.outputs[0]]
    assert formula is not None
    for n in (8, 9, 10, 11, 17, 30):
        x = torch.rand(1, 3, n, *shape[2:], dtype=torch.float64, requires_grad=True)
        (module(x) * torch.rand(1, dtype=torch.float64)).pow(2).sum().backward()
        seen = (x.grad.abs().amax([0, 1, *range(3, x.dim())]) > 0).sum()
        assert eval(formula, {}, {"n": n}) == n - int(seen), (kind, n, formula)


class Stood(nn.Module):
    """Adds values that do not depend on the input, as many as its map has."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 4, 2)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        rows = torch.arange(y.shape[-2], dtype=y.dtype)[:, None].expand(y.shape[-2:])
        return y + rows.to(y.device)


class PaddedSame(nn.Module):
    """As TensorFlow pads, in Python (timm's ``tf_`` models)."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, kernel, stride)

    def forward(self, x: Any) -> Any:
        (k, _), (s, _) = self.a.kernel_size, self.a.stride
        h, w = (max((-(-n // s) - 1) * s + k - n, 0) for n in x.shape[-2:])
        return self.a(F.pad(x, [w // 2, w - w // 2, h // 2, h - h // 2]))


class Halved(nn.Module):
    """Three pools that round down, and the way back to each size."""

    def forward(self, x: Any) -> Any:
        maps = [x]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 2))
        y = maps.pop()
        while maps:
            y = F.interpolate(y, size=maps[-1].shape[-2:]) + maps.pop()
        return y


class Quarter(nn.Module):
    """Takes multiples of 16 only; a quarter of its map has two rows at many of them."""

    def forward(self, x: Any) -> Any:
        if x.shape[-2] % 16 or x.shape[-1] % 16:
            raise ValueError("multiples of 16")
        y = F.avg_pool2d(x, 16)
        h, w = y.shape[-2:]
        small = F.max_pool2d(F.max_pool2d(y, 2), 2)
        return y + F.interpolate(small + F.interpolate(F.max_pool2d(small, 2), size=(h // 4, w // 4)), size=(h, w))


@pytest.mark.parametrize(
    "module", [PaddedSame(3, 2), PaddedSame(5, 2), PaddedSame(7, 4), Halved(), PaddedBefore(), Stood()]
)
def test_padding_and_resizing_in_python(module: Any) -> None:
    against_torch(module, (3, 64, 48), range(8, 100))


class AtMost(Base):
    """Two lengths that are bounded alike: readings at which one of them is small tell which one is whose."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        h, w = y.shape[-2:]
        y = F.adaptive_avg_pool2d(y, (min(h, 7), min(7, w)))
        p, q = max(0, 10 - h), max(0, 10 - w)
        return F.max_pool2d(F.pad(y, (q, q, p, p)), 2)


class Recurrent(Base):
    """Columns as a sequence, from a state that the code makes of lengths; PyTorch's own code compares them."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        rows = y.permute(0, 2, 3, 1).reshape(b, h * w, c)
        state = torch.zeros(1, rows.shape[0], 4, device=x.device), rows.new_zeros(1, rows.size(0), 4)
        return self.b(self.cells(rows, state)[0].reshape(b, h, w, c).permute(0, 3, 1, 2))


def test_lengths_that_are_bounded_alike() -> None:
    against_torch(AtMost(), (3, 64, 48), range(1, 200))


def test_tensors_that_are_made_of_lengths_tell_these() -> None:
    against_torch(Recurrent(), (3, 8, 6), (1, 2, 5, 8))


def test_what_is_the_same_at_all_sizes_that_were_read_is_asked_for_on_both_sides() -> None:
    against_torch(Quarter(), (3, 128, 128), range(8, 400))
