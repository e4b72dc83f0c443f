"""Errors of sizes tell the valid ones: of code, files, pasted text and every command, in a time one can wait for."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc.cli import run

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

REFUSING = """
import torch
from torch import nn

class Even(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3, 2, 1)
    def forward(self, x):
        if x.shape[2] % 32 or x.shape[3] % 32:
            raise ValueError("sides must be divisible by 32")
        return self.c(x)

class Tall(Even):
    def forward(self, x):
        assert x.shape[2] == 128
        return self.c(x)

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 2, 2), nn.ConvTranspose2d(4, 1, 2, 2)
    def forward(self, image, guide):
        return self.b(self.a(image)) + guide

class Flat(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(4 * 16 * 16, 2))
"""


PADDED = """
import torch
from torch import nn
from torch.nn import functional as F

class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool, self.up, self.c = nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Conv2d(6, 1, 1)
        self.deeper = nn.MaxPool2d(4)
    def forward(self, x):
        y = self.up(self.pool(x))
        for axis in (-1, -2):
            if y.shape[axis] != x.shape[axis]:
                missing = [0, x.shape[axis] - y.shape[axis]]
                y = F.pad(y, [*missing, 0, 0] if axis == -1 else [0, 0, *missing], mode="replicate")
        return self.c(torch.cat([x, y], 1)), self.deeper(self.pool(x))
"""


def test_sizes_that_are_refused_on_several_ways_are_told_at_once(tmp_path: Path, capsys: Any) -> None:
    """MONAI's UNet++ told "4 only; 5 only; 6 only; 7 only", a size for each way."""
    (tmp_path / "net.py").write_text(PADDED)
    assert run(["sizes", f"{tmp_path / 'net.py'}:Padded", "--input", "3x32x32"]) == 0
    told = capsys.readouterr().out
    assert "every size from 8 on" in told and "2 … 7 only" in told and "only;" not in told


def test_errors_of_code_tell_the_valid_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(REFUSING)
    target = f"{tmp_path / 'net.py'}:"
    written = tmp_path / "drawn.svg"
    assert run(["draw", f"{target}Even", "--input", "3x350x525", "--output", str(written)]) == 2
    told = capsys.readouterr().err
    assert "valid sizes: multiples of 32; nearest 352x544 or 320x512" in told and not written.exists()
    assert run(["table", f"{target}Tall", "--input", "3x150x90"]) == 2
    told = capsys.readouterr().err
    assert "valid sizes: axis 0: 128 only; axis 1: every size from 1 on; nearest 128x90 (rfcalc" in told
    assert run(["table", f"{target}Two", "--input", "image=3x33x40", "--input", "guide=1x34x40"]) == 2
    told = capsys.readouterr().err
    assert "valid sizes: multiples of 2; nearest 34x40 or 32x40" in told
    assert "it runs on image=3x34x40, guide=1x34x40: --input image=3x34x40 --input guide=1x34x40" in told
    assert run(["table", f"{target}Flat", "--input", "3x64x64"]) == 2
    assert "valid sizes: 31, 32 only; nearest 32x32" in capsys.readouterr().err


def test_sizes_are_told_from_an_input_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(REFUSING)
    assert run(["sizes", f"{tmp_path / 'net.py'}:Even", "--input", "3x350x525"]) == 0
    told = capsys.readouterr().out
    assert "350x525 → 352x544: pad axis 0: 1 + 1, axis 1: 9 + 10" in told
    assert "the input 3x350x525 does not run: it was read at 3x352x544" in told
    assert [n.valid for n in rfcalc.sizes("unet-padded", "1x350x525").near] == [(352, 528), (336, 512)]


def json_of(capsys: Any, words: list[str]) -> Any:
    assert run([*words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)["axes"]


def test_of_which_inputs_the_sizes_are_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(REFUSING)
    target = ["sizes", f"{tmp_path / 'net.py'}:Two", "--input"]
    assert run([*target, "image=3x34x40", "--input", "guide=1x34x40"]) == 0
    assert "n is the size of image and guide together." in " ".join(capsys.readouterr().out.split())
    assert [axis["inputs"] for axis in json_of(capsys, [*target, "image=3x34x40", "--input", "guide=1x34x40"])] == [
        ["image", "guide"],
        ["image", "guide"],
    ]
    assert [axis["inputs"] for axis in json_of(capsys, [*target, "image=3x35x40", "--input", "guide=1x34x40"])] == [
        ["image"],
        ["image", "guide"],
    ]
    assert run([*target, "image=3x35x40", "--input", "guide=1x34x40"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "n is the size of image on axis 0, while guide stays as given; the size of image and guide together" in told


def test_an_error_waits_no_longer_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from rfcalc.readers import advised

    (tmp_path / "net.py").write_text(REFUSING)
    monkeypatch.setattr(advised, "LONGEST", 0.0)
    assert run(["table", f"{tmp_path / 'net.py'}:Even", "--input", "3x350x525"]) == 2
    told = capsys.readouterr().err
    assert "valid sizes:" not in told and "it runs on 3x352x544" in told and "rfcalc sizes TARGET" in told


def test_text_that_is_pasted_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "nn.Sequential(nn.Conv2d(3, 8, 11), nn.MaxPool2d(2))", "--input", "3x9x9"]) == 2
    assert "valid sizes: every size from 12 on; nearest 12x12" in capsys.readouterr().err
    written = tmp_path / "unet.toml"
    assert run(["export", "unet-padded", "--input", "1x350x525", "--output", str(written)]) == 2
    assert "multiples of 16; nearest 352x528" in capsys.readouterr().err and not written.exists()


class Halved(nn.Module):
    """A module of Python's, not of a file, that talks."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("forward", tuple(x.shape))
        return x + self.up(self.pool(x))


KERAS = """{"class_name": "Sequential", "config": {"layers": [
{"class_name": "Conv2D", "config":
{"name": "c", "filters": 8, "kernel_size": 12, "batch_input_shape": [null, 32, 32, 3]}}]}}"""
TEXT = "nn.Sequential(nn.Conv2d(3, 8, 11), nn.MaxPool2d(2))"
HALVED = "valid sizes: multiples of 2; nearest 34x40 or 32x40"
CALLS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "analyze": (lambda at: rfcalc.analyze("unet-padded", "1x350x525"), "multiples of 16; nearest 352x528"),
    "network": (lambda at: rfcalc.analyze(rfcalc.load("unet-padded"), "1x350x525"), "multiples of 16; nearest 352x528"),
    "symbolic": (lambda at: rfcalc.symbolic(TEXT, "3x9x9"), "every size from 12 on; nearest 12x12"),
    "grid": (lambda at: rfcalc.grid("unet-padded", input="1x350x525"), "multiples of 16; nearest 352x528"),
    "memory": (lambda at: rfcalc.memory(Halved(), "3x33x40"), HALVED),
    "tile": (lambda at: rfcalc.tile(Halved(), "3x33x40"), HALVED),
    "module": (lambda at: rfcalc.load(Halved(), input="3x33x40"), HALVED),
    "from_torch": (lambda at: rfcalc.from_torch(Halved(), torch.zeros(1, 3, 33, 40)), HALVED),
    "code": (lambda at: rfcalc.receptive_field(f"{at}/net.py:Flat", input="3x64x64"), "31, 32 only; nearest 32x32"),
    "from_text": (lambda at: rfcalc.from_text(TEXT, "3x9x9"), "every size from 12 on; nearest 12x12"),
    "pasted": (lambda at: rfcalc.analyze(TEXT, "3x9x9"), "every size from 12 on; nearest 12x12"),
    "keras": (lambda at: rfcalc.analyze(f"{at}/net.json", "3x9x9"), "every size from 12 on; nearest 12x12"),
    "from_keras": (lambda at: rfcalc.from_keras(f"{at}/net.json", "3x9x9"), "every size from 12 on; nearest 12x12"),
    "check": (lambda at: rfcalc.check(at / "a.rfclaims.toml"), "multiples of 16; nearest 352x528"),
}
CLAIM = """schema = "rfcalc/claims/1"
[[claim]]
network = "unet-padded"
input = "1x350x525"
what = "macs"
printed = "5"
"""


@pytest.mark.parametrize("call", CALLS)
def test_errors_of_functions_tell_the_valid_sizes(call: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "net.py").write_text(REFUSING)
    (tmp_path / "net.json").write_text(KERAS)
    (tmp_path / "a.rfclaims.toml").write_text(CLAIM)
    ask, sizes = CALLS[call]
    with pytest.raises(rfcalc.RfcalcError) as refused:
        ask(tmp_path)
    capsys.readouterr()
    assert sizes in str(refused.value) and sizes in str(refused.value.fix)
    assert capsys.readouterr() == ("", "")  # code that is read for it is silent


def test_an_error_that_is_caught_costs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from rfcalc.readers import advised, planning

    asked = []
    monkeypatch.setattr(planning, "sizes", lambda *a, **k: asked.append(a) or 1 / 0)
    told = advised.advised
    monkeypatch.setattr(advised, "advised", lambda error: asked.append(()) or told(error))
    with pytest.raises(rfcalc.RfcalcError) as refused:
        rfcalc.analyze(Halved(), "3x33x40")
    assert not asked
    once = str(refused.value)
    assert "it runs on 3x34x40" in once and "valid sizes:" not in once  # what goes wrong meanwhile is not raised
    assert len(asked) == 2 and str(refused.value) == once and len(asked) == 2


def test_an_error_is_pickled_and_copied_with_its_text() -> None:
    with pytest.raises(rfcalc.RfcalcError) as refused:
        rfcalc.analyze(Halved(), "3x33x40")
    copied, pickled = copy.copy(refused.value), pickle.loads(pickle.dumps(refused.value))
    assert str(pickled) == str(copied) == str(refused.value) and HALVED in str(pickled)
    with pytest.raises(rfcalc.RfcalcError) as unknown:
        rfcalc.analyze("vgg61")
    pickled = pickle.loads(pickle.dumps(unknown.value))
    assert type(pickled) is type(unknown.value) and str(pickled) == str(unknown.value)


@pytest.mark.parametrize(
    ("typed", "fix"),
    [
        ("unet --near 350", "write 350x350, without the channels"),
        ("unet --near 3x350x525", "write 350x525, without the channels"),
        ("unet --near 350x525x3", "write 350x525, without the channels"),
        ("wavenet --near 100x100", "write 100, without the channels"),
        ("unet --near 350 525", "write --near 350x525"),
        ("unet --near 0x5", 'near="350x525"'),
        ("unet --near axb", 'near="350x525"'),
    ],
)
def test_near_as_people_mistype_it(typed: str, fix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sizes", *typed.split()]) == 2
    told = capsys.readouterr()
    assert fix in told.err and not told.out


def test_near_pads_one_axis_and_crops_another_where_neither_does_for_all() -> None:
    found = rfcalc.sizes("lenet5", near="10x100")
    assert [(n.valid, n.pad, n.crop) for n in found.near] == [((32, 35), ((11, 11), (0, 0)), ((0, 0), (32, 33)))]
    assert "10x100 → 32x35: pad axis 0: 11 + 11; crop axis 1: 32 + 33 (before + after)." in found._repr_html_()
