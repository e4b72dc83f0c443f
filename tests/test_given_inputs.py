"""Inputs of every sort: integers, values for each item, numbers, dictionaries, lists, raw signals, other dtypes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_from_torch import Of
from torch import Tensor, nn

import rfcalc
from rfcalc import RfcalcError, analyze, from_torch
from rfcalc.cli import run


class Timed(nn.Module):
    """A convolution that is told the time, one for each item."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.e = nn.Conv2d(3, 4, 3), nn.Embedding(10, 4)

    def forward(self, x: Tensor, t: Tensor, scale: float = 1.0, *, y: Tensor | None = None) -> Tensor:
        assert t.dim() == 1
        z: Tensor = self.c(x) + self.e(t)[:, :, None, None]
        return z * scale if y is None else z * scale + y


def shape(read: Any) -> tuple[Any, ...]:
    return analyze(read).rows[-1].output_shape


def test_a_value_for_each_item() -> None:
    for given in (
        {"x": "3x8x8", "t": "7"},
        {"x": (3, 8, 8), "t": 7},
        {"x": "3x8x8", "t": 1},
        ("3x8x8", 7),
        (torch.rand(5, 3, 8, 8), torch.arange(5)),
        {"x": torch.rand(5, 3, 8, 8), "t": torch.arange(5)},
        {"t": 7, "x": "3x8x8", "scale": 2.5},
        {"x": "3x8x8", "t": 7, "y": "4x6x6"},
    ):
        read = from_torch(Timed(), given)
        assert shape(read) == (4, 6, 6)
        assert "t" in read.network.inputs
    read = from_torch(Timed(), {"x": "3x8x8", "t": 1})
    assert "t is a value for each item of the batch: 1" in read.notes
    assert read.network.inputs["t"].dims == (1,)


def test_integers() -> None:
    module = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 4))
    read = from_torch(module, "int64:16")
    assert shape(read) == (16, 4)
    assert analyze(read).totals.macs == 16 * 8 * 4
    with pytest.raises(RfcalcError) as caught:
        from_torch(module, (16,))
    assert "--input int64:16" in str(caught.value)
    with pytest.raises(RfcalcError, match="unknown dtype 'int7'"):
        from_torch(module, "int7:16")


def test_numbers_are_axes_where_all_are() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 4), nn.Linear(5, 4)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.a(a) + self.b(b)  # type: ignore[no-any-return]

    for given in ({"a": 6, "b": 5}, {"a": "6", "b": "5"}, (torch.rand(2, 6), torch.rand(2, 5)), ((6,), (5,))):
        assert shape(from_torch(Pair(), given)) == (4,)
    assert shape(from_torch(nn.Linear(6, 4), 6)) == (4,)
    assert shape(from_torch(nn.Linear(6, 4), {"input": "6"})) == (4,)


@pytest.mark.parametrize("given", [-3, 0, 0.5, "0", "-3", "٣", "int64:", {"input": -3}])
def test_what_is_no_shape_is_refused(given: Any) -> None:
    with pytest.raises(RfcalcError, match="is not a shape"):
        from_torch(nn.ReLU(), given)


def test_an_axis_beside_a_map_where_it_is_no_value() -> None:
    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.l = nn.Conv2d(3, 4, 3), nn.Linear(6, 4)

        def forward(self, x: Tensor, v: Tensor) -> Tensor:
            return self.c(x) + self.l(v)[:, :, None, None]  # type: ignore[no-any-return]

    read = from_torch(Told(), {"x": "3x8x8", "v": "6"})
    assert (shape(read), read.network.inputs["v"].dims) == ((4, 6, 6), (6,))


def test_a_number_that_is_no_tensor() -> None:
    read = from_torch(Of(lambda m, x: m.c(x)[..., :2], c=nn.Conv2d(3, 4, 3)), "3x8x8")
    assert shape(read) == (4, 6, 2)

    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor, n: int) -> Tensor:
            return self.c(x)[..., : n + 1] if isinstance(n, int) else self.c(x).expand(int(n))  # type: ignore[no-any-return]

    read = from_torch(Cut(), {"x": "3x8x8", "n": 2})
    assert shape(read) == (4, 6, 3)
    assert "n is the number 2" in read.notes


class Weighted(nn.Module):
    """A map times a number: the number is no value for each item, which would lie along the map's last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, k: float) -> Tensor:
        return self.c(x) * k + k  # type: ignore[no-any-return]


@pytest.mark.parametrize("given", [{"x": "3x8x8", "k": 2.5}, {"x": "3x8x8", "k": 2}, ("3x8x8", 0.5)])
def test_a_number_that_multiplies_a_map(given: Any) -> None:
    read = from_torch(Weighted(), given)
    assert (shape(read), list(read.network.inputs)) == ((4, 6, 6), ["input"])
    assert any(note.startswith("k is the number") for note in read.notes)


def test_a_number_that_is_compared_with_a_map() -> None:
    class Thresholded(nn.Module):
        def forward(self, x: Tensor, k: float) -> Tensor:
            return torch.where(x > k, torch.lerp(x, x * 2, k), k)

    assert shape(from_torch(Thresholded(), {"x": "3x8x8", "k": 2})) == (3, 8, 8)


class Dictionary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)

    def forward(self, batch: dict[str, Tensor], weight: float = 1.0) -> dict[str, Tensor]:
        return {"out": (self.a(batch["rgb"]) + self.b(batch["depth"])) * weight}


def test_dictionaries() -> None:
    for given in (
        {"batch.rgb": "3x8x8", "batch.depth": "1x8x8"},
        {"batch": {"rgb": "3x8x8", "depth": (1, 8, 8)}},
        {"rgb": torch.rand(1, 3, 8, 8), "depth": torch.rand(1, 1, 8, 8)},
        ({"rgb": torch.rand(2, 3, 8, 8), "depth": torch.rand(2, 1, 8, 8)},),
    ):
        read = from_torch(Dictionary(), given)
        assert list(read.network.inputs) == ["batch.rgb", "batch.depth"]
        assert analyze(read).totals.params == 112 + 40
    with pytest.raises(RfcalcError, match="there is no input 'bach'"):
        from_torch(Dictionary(), {"bach.rgb": "3x8x8", "batch.depth": "1x8x8"})


def test_lists_and_more_arguments_than_names() -> None:
    listed = Of(lambda m, xs: m.c(xs[0]) + m.c(xs[1]), c=nn.Conv2d(3, 4, 3))
    for given in (([torch.rand(1, 3, 8, 8)] * 2,), {"x.0": "3x8x8", "x.1": "3x8x8"}, {"x": ["3x8x8", "3x8x8"]}):
        assert len(from_torch(listed, given).network.inputs) == 2

    class Many(nn.Module):
        def forward(self, *maps: Tensor, **more: Tensor) -> Tensor:
            return torch.cat(maps, 1) + more.get("bias", 0)

    read = from_torch(Many(), ("3x8x8", "4x8x8", "5x8x8"))
    assert (shape(read), list(read.network.inputs)) == ((12, 8, 8), ["maps.0", "maps.1", "maps.2"])
    assert len(from_torch(Many(), {"maps.0": "3x8x8", "maps.1": "3x8x8", "bias": "6x1x1"}).network.inputs) == 3


class Raw(nn.Module):
    """The beginning of wav2vec2: raw samples, without an axis of channels."""

    def __init__(self) -> None:
        super().__init__()
        kernels = [(1, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2]
        self.layers = nn.Sequential(*[nn.Conv1d(c, 8, k, s, bias=False) for c, k, s in kernels])

    def forward(self, samples: Tensor) -> Tensor:
        samples = (samples - samples.new_tensor(0.1)) / 2
        return self.layers(samples[:, None])  # type: ignore[no-any-return]


@pytest.mark.parametrize("given", [16000, "16000", (16000,), torch.rand(2, 16000)])
def test_raw_signals(given: Any) -> None:
    report = analyze(from_torch(Raw(), given))
    field = report.rows[-1].receptive_field
    assert (field.status, field.size, field.stride) == ("exact", (400,), (320,))
    assert report.rows[-1].output_shape == (8, 49)


def test_control_features_are_no_signal() -> None:
    module = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Unflatten(1, (1, 16)), nn.Conv1d(1, 4, 3))
    assert from_torch(module, 16).network.inputs["input"].rank == 0


def test_dtypes_are_the_modules() -> None:
    for kind, size in ((torch.float16, 2), (torch.float64, 8), (torch.bfloat16, 2), (torch.float32, 4)):
        report = analyze(from_torch(nn.Conv2d(3, 8, 3).to(kind), "3x16x16"))
        assert (report.dtype, report.itemsize) == (str(kind).removeprefix("torch."), size)
    half = from_torch(nn.Conv2d(3, 8, 3).half(), "3x16x16")
    assert analyze(half, dtype="float32").totals.bytes == 2 * analyze(half).totals.bytes


def test_complex_convolutions_are_three_real_ones() -> None:
    """As PyTorch runs them; a value has 8 bytes."""
    from torch.utils.flop_counter import FlopCounterMode

    module = nn.Conv2d(3, 8, 3, dtype=torch.complex64)
    report = analyze(from_torch(module, "3x16x16"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.rand(1, 3, 16, 16, dtype=torch.complex64))
    assert report.totals.macs == counter.get_total_flops() // 2 == 3 * 42_336
    assert report.rows[0].bytes == 8 * 8 * 14 * 14


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Timed(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.c, self.e = nn.Conv2d(3, 4, 3), nn.Embedding(10, 4)\n"
        "    def forward(self, x, t):\n        return self.c(x['rgb']) + self.e(t)[:, :, None, None]\n"
        "def words():\n    return nn.Embedding(10, 4)\n"
        "def half():\n    return nn.Conv2d(3, 4, 3).half()\n"
    )
    given = ["--input", "x.rgb=3x8x8", "--input", "t=7"]
    assert run(["table", "net.py:Timed", *given, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"] == {"x.rgb": [3, 8, 8], "t": [1]}
    assert run(["rf", "net.py:words", "--input", "int64:16"]) == 0
    assert run(["table", "net.py:half", "--input", "3x8x8"]) == 0
    assert "float16" in capsys.readouterr().out
    assert run(["table", "net.py:words", "--input", "16"]) == 2
    assert "--input int64:16" in capsys.readouterr().err
    assert rfcalc.analyze("net.py:half", "3x8x8").dtype == "float16"
