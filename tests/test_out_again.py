"""Imported models written down again, as notation, spec and PyTorch source, and read back: the same figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

os.environ["KERAS_BACKEND"] = "torch"

import torch
from test_from_torch import KINDS
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from written_torch import imported

import rfcalc
from rfcalc import Network, from_torch, spec
from rfcalc.backend import to_source
from rfcalc.cli import run
from rfcalc.core.errors import Unsupported
from rfcalc.notation import parse, write
from rfcalc.report import Report

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, LAYERS = "rows", "layers"  # what the PyTorch source keeps: every row, or what a node computes and sees
MOVED = "moved"  # every row but views, in order
NAMED = ("through", "joins")  # what a receptive field says by the names of nodes


def figures(row: Any) -> tuple[Any, ...]:
    """What a node makes, holds, costs and sees; without the names."""
    told = row.to_dict()
    keys = ("output_shape", "weights", "biases", "buffers", "macs")
    return (*(str(told[key]) for key in keys), str(seen(told["receptive_field"])))


def seen(field: dict[str, Any]) -> Any:
    if "status" not in field:  # of several inputs
        return [seen(each) for each in field.values()]
    return {key: value for key, value in field.items() if key not in NAMED}


def lossless(network: Network) -> None:
    """Notation and spec keep everything, names too."""
    report = Report(network).to_dict()
    assert Report(parse(write(network)).network()).to_dict() == report
    for form in ("toml", "json"):
        assert Report(spec.loads(spec.write(network, form), form).network).to_dict() == report


def through_source(network: Network, folder: Path) -> tuple[Report, int]:
    """The report on the PyTorch source of a network, run from its file and read like any user's module; and how many
    parameters nothing in it reads."""
    path = folder / "network.py"
    path.write_text(to_source(network), encoding="utf-8")
    with torch.device("meta"):
        module = imported(path)().eval()
    shapes = tuple(shape.dims for shape in network.inputs.values() if shape is not None)
    read = from_torch(module, shapes[0] if len(shapes) == 1 else shapes)
    assert read.complete, read.unknown
    return Report(read.network), sum(read.unused.values())


def kept(network: Network, folder: Path, keeps: str = ROWS) -> None:
    """Compare a network with what is read from its PyTorch source."""
    before = Report(network)
    after, unread = through_source(network, folder)
    read = {name for row in before for name in row.inputs} | {row.name for row in before.outputs}
    rows = [row for row in before if row.name in read or row.kind != "parameter"]  # weight normalisation's own
    assert before.totals.params == after.totals.params + unread
    assert unread == sum(row.params for row in before) - sum(row.params for row in rows)
    for total in ("macs", "buffers"):
        assert getattr(before.totals, total) == getattr(after.totals, total), total
    mine, theirs = [figures(row) for row in rows], [figures(row) for row in after]
    if keeps == MOVED:
        assert [figures(r) for r in rows if not r.view] == [figures(r) for r in after if not r.view]
        return
    if keeps == ROWS:
        assert mine == theirs
        return
    assert [f for f, r in zip(mine, rows, strict=True) if r.params] == [
        f for f, r in zip(theirs, after, strict=True) if r.params
    ]
    assert set(mine) <= set(theirs)
    assert [figures(row) for row in before.outputs] == [figures(row) for row in after.outputs]


def checked(network: Network, folder: Path, keeps: str) -> None:
    lossless(network)
    if keeps in (ROWS, MOVED, LAYERS):
        kept(network, folder, keeps)
        return
    with pytest.raises(Unsupported) as caught:  # said clearly, with the node
        to_source(network)
    assert keeps in str(caught.value)
    assert caught.value.where and caught.value.why and caught.value.fix


# --- PyTorch -----------------------------------------------------------------------------------------------------


class UNet(nn.Module):
    def __init__(self, base: int = 8, depth: int = 3) -> None:
        super().__init__()
        widths = [base * 2**i for i in range(depth)]
        self.down = nn.ModuleList([self.block(a, b) for a, b in zip([3, *widths], widths, strict=False)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1])])
        self.join = nn.ModuleList([self.block(2 * w, w) for w in reversed(widths[:-1])])
        self.head = nn.Conv2d(base, 2, 1)

    @staticmethod
    def block(a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU())

    def forward(self, x: Tensor) -> Tensor:
        held = []
        for i, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if i else x)
            held.append(x)
        for up, join, skip in zip(self.up, self.join, reversed(held[:-1]), strict=True):
            x = join(torch.cat([skip, up(x)], 1))
        return self.head(x)


class Numbers(nn.Module):
    """Arithmetic with numbers, which the written source must have too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a((x - 0.5) / 0.25)
        x = self.b(1 - x * 2).clamp(min=-1.5) ** 2 + 1
        x = (3 / (x + 1.5)).clamp(-0.25, 4)
        return torch.maximum(x, (0.5 - x).clamp(max=3e-5))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(3)])
        self.norm, self.head = nn.BatchNorm2d(15), nn.Linear(15, 5)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = torch.cat([x, F.relu(part(x))], 1)
        return self.head(self.norm(x).mean((2, 3)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared, self.head = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(12, 2, 1)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.shared(left), self.shared(right)
        return self.head(torch.cat([a, b], 1)), a * b


OWN: dict[str, tuple[Callable[[], nn.Module], Any, str]] = {
    "unet": (UNet, (3, 32, 40), ROWS),
    "numbers": (Numbers, (3, 9, 11), ROWS),
    "dense": (Dense, (3, 8, 8), ROWS),
    "two inputs": (TwoInputs, ((3, 9, 9), (3, 9, 9)), ROWS),
}


@pytest.mark.parametrize("name", OWN)
def test_own_modules(name: str, tmp_path: Path) -> None:
    make, shape, keeps = OWN[name]
    checked(from_torch(make().eval(), shape).network, tmp_path, keeps)


def test_the_source_computes_what_the_module_does(tmp_path: Path) -> None:
    """With its weights, of a module whose function hangs on the numbers in it; read from PyTorch and through ONNX."""
    module, x = Numbers().eval(), torch.rand(2, 3, 9, 11)
    networks = [from_torch(module, (3, 9, 11)).network]
    if find_spec("torchvision") is not None and find_spec("onnx") is not None:
        from onnx_models import exported

        networks.append(rfcalc.from_onnx(exported(module, 3, 9, 11)).network)
    for network in networks:
        path = tmp_path / "network.py"
        path.write_text(to_source(network), encoding="utf-8")
        again = imported(path)().eval()
        again.load_state_dict(dict(zip(again.state_dict(), module.state_dict().values(), strict=True)))
        with torch.no_grad():
            torch.testing.assert_close(again(x), module(x))


def test_control_another_layer_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = from_torch(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)), (3, 8, 8)).network
    checked(network, tmp_path, ROWS)
    text = to_source(network)
    for wrong in (
        ("3, padding=1", "5, padding=2"),
        ("3, padding=1", "3, padding=2, dilation=2"),
        ("4, 2, 1", "4, 3, 1"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{__name__}.to_source", lambda n, wrong=wrong: text.replace(*wrong))
            with pytest.raises(AssertionError):
                kept(network, tmp_path, LAYERS)


OTHERWISE = {
    "global query": "a constant cannot be built",
    "repeated": "a constant cannot be built",
    "frames": MOVED,
}


@pytest.mark.parametrize(("name", "module", "shape"), KINDS, ids=[k[0] for k in KINDS])
def test_modules_written_by_hand(name: str, module: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    checked(from_torch(module.eval(), shape).network, tmp_path, OTHERWISE.get(name, ROWS))


# --- ONNX --------------------------------------------------------------------------------------------------------

ONNX: dict[str, tuple[str, str]] = {  # as exported with normalisation as it is, and by default
    "resnet18": (ROWS, ROWS),
    "mobilenet_v3_small": (ROWS, ROWS),
    "shufflenet_v2_x0_5": (LAYERS, LAYERS),  # a shuffle comes back as reshape, permute, flatten
    "squeezenet1_1": (ROWS, ROWS),
    "lraspp_mobilenet_v3_large": (ROWS, ROWS),
    "mnasnet0_5": (ROWS, ROWS),
    "googlenet": (ROWS, ROWS),
    "densenet121": (LAYERS, LAYERS),  # the first block joins one map with nothing
    "regnet_y_400mf": (ROWS, ROWS),
    "efficientnet_b0": (ROWS, ROWS),
    "vgg": (ROWS, ROWS),
    "vit": (ROWS, MOVED),  # an axis of 1 that the file puts in leaves no row
    "convnext": (ROWS, ROWS),
    "swin": ("a constant cannot be built", "a constant cannot be built"),
    "maxvit": ("a constant cannot be built", LAYERS),
    "unet": (ROWS, ROWS),
    "dense": (ROWS, ROWS),
    "numbers": (ROWS, ROWS),
}
QUICK = ("unet", "numbers")
QUICK_BY_DEFAULT = (*QUICK, "mobilenet_v3_small", "shufflenet_v2_x0_5", "vit", "convnext", "swin", "dense")
FILES = [
    pytest.param(name, folded, marks=() if name in quick else pytest.mark.exhaustive)
    for name in ONNX
    for folded, quick in ((False, QUICK), (True, QUICK_BY_DEFAULT))
]


@pytest.mark.parametrize(("name", "folded"), FILES)
def test_onnx(name: str, folded: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    if find_spec("torchvision") is None:
        pytest.skip("could not import 'torchvision'")
    from onnx_models import build, exported, randomised
    from test_onnx_models import FAMILIES, small

    if name in OWN:
        make, (_, height, width), _ = OWN[name]
        model = randomised(make())
    else:
        model, height = small(name) if name in FAMILIES else (build(name), 64)
        width = height
    network = rfcalc.from_onnx(exported(model, 3, height, width, folded=folded)).network
    checked(network, tmp_path, ONNX[name][folded])


# --- Keras -------------------------------------------------------------------------------------------------------

KERAS = {
    "MobileNet": LAYERS,  # TensorFlow's same is a padding of its own in PyTorch
    "MobileNetV3Small": LAYERS,
    "DenseNet121": ROWS,
    "ResNet50V2": ROWS,
    "VGG16": ROWS,
    "InceptionV3": ROWS,
    "Xception": LAYERS,
    "EfficientNetB0": LAYERS,  # stochastic depth is nothing in evaluation
    "EfficientNetV2B0": "standardize",
    "ConvNeXtTiny": "standardize",
}
FAST = ("VGG16", "ConvNeXtTiny")


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.exhaustive) for n in KERAS])
def test_keras(name: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    with keras.device("meta"):
        model = getattr(keras.applications, name)(weights=None)
    checked(rfcalc.from_keras(model).network, tmp_path, KERAS[name])


# --- the command line --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an ONNX file, one with open axes, a Keras archive, and what is none."""
    pytest.importorskip("onnx")
    keras = pytest.importorskip("keras")
    if find_spec("torchvision") is None:
        pytest.skip("could not import 'torchvision'")
    from onnx_models import exported, randomised

    folder = tmp_path_factory.mktemp("models")
    unet, axes = randomised(UNet()), {"input_names": ["x"], "dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}}}
    (folder / "net.onnx").write_bytes(exported(unet, 3, 32, 32))
    (folder / "open.onnx").write_bytes(exported(unet, 3, 32, 32, **axes))
    x = keras.Input((32, 32, 3))
    y = keras.layers.Conv2D(4, 3, padding="same", strides=2)(keras.layers.Rescaling(1 / 255, -0.5)(x))
    keras.Model(x, y).save(folder / "net.keras")
    for ending in (".onnx", ".keras"):
        whole = (folder / f"net{ending}").read_bytes()
        (folder / f"cut{ending}").write_bytes(whole[: len(whole) // 2])
        (folder / f"empty{ending}").write_bytes(b"")
        (folder / f"text{ending}").write_text("hello")
        (folder / f"folder{ending}").mkdir()
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0, arguments
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["net.onnx", "open.onnx", "net.keras"])
@pytest.mark.parametrize("form", ["spec", "notation", "json", "torch"])
def test_exported_files(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, form: str) -> None:
    """What is written is a target too, with the same rows."""
    import json

    ending = {"spec": ".toml", "notation": ".txt", "json": ".json", "torch": ".py"}[form]
    written = tmp_path / f"written{ending}"
    target = [str(files / name), "--input", "3x48x48"]
    said(capsys, "export", *target, "--to", form, "--output", str(written))
    again = [str(written)]
    if form == "torch":
        main = [line for line in written.read_text().split("\n") if line.startswith("class ")][-1]
        again = [f"{written}:{main.removeprefix('class ').partition('(')[0]}", "--input", "3x48x48"]
    before, after = (json.loads(said(capsys, "table", *given, "--format", "json")) for given in (target, again))
    keys = ["output_shape", "params", "macs", "values"] + ([] if form == "torch" else ["name", "receptive_field"])
    if form == "torch" and name.endswith(".keras"):  # padding is a row of its own
        assert before["totals"]["params"] == after["totals"]["params"]
        assert before["layers"][-1]["output_shape"] == after["layers"][-1]["output_shape"]
        return
    assert [[row[k] for k in keys] for row in before["layers"]] == [[row[k] for k in keys] for row in after["layers"]]


@pytest.mark.parametrize("name", ["net.onnx", "open.onnx", "net.keras"])
def test_commands_that_take_the_input(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Every command reads the model with the input that is given, also one whose axes are open."""
    target, size = str(files / name), ("--input", "3x48x48")
    claims = tmp_path / "net.rfclaims.toml"
    for command in ("table", "rf", "counts", "symbolic"):
        assert said(capsys, command, target, *size)
    assert "params" in said(capsys, "explain", target, "params", *size)
    assert "48x48" in said(capsys, "compare", target, str(files / "net.onnx"), *size)
    said(capsys, "verify", target, *size, "--what", "shapes,params,macs,receptive_field")
    said(capsys, "lock", target, *size, "--output", str(claims))
    said(capsys, "check", str(claims))


@pytest.mark.parametrize("ending", [".onnx", ".keras"])
@pytest.mark.parametrize("name", ["cut", "empty", "text", "folder", "missing"])
def test_what_is_no_model(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, ending: str
) -> None:
    """One message that names the file, what is the matter and what to do; exit code 2, and nothing is written."""
    target = str(files / f"{name}{ending}")
    words = {"empty": "it is empty", "folder": "this is a folder", "missing": "there is no such file"}
    for command in ("table", "rf", "counts", "symbolic", "verify", "lock", "export", "compare", "explain"):
        more = {"compare": ["vgg11"], "explain": ["params"], "export": ["--to", "torch"]}.get(command, [])
        assert run([command, target, *more, "--output", str(tmp_path / "out")]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"error: {target}: ") and "\n  fix: " in told
        assert words.get(name, "damaged") in told
    assert not list(tmp_path.iterdir())


def test_a_network_without_claims_is_locked_first(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(files / "net.onnx")]) == 2
    assert "rfcalc lock" in capsys.readouterr().err
    assert run(["check", "vgg61"]) == 2
    assert "did you mean" in capsys.readouterr().err
