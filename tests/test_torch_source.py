"""`rfcalc export --to torch`: the written file against the running module, over the zoo and random networks."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from graphs import ORDER, grow
from strategies import LAYERS, Pick, a_layer
from written_torch import compared, imported, written

import rfcalc
from rfcalc import Add, Conv, Flatten, Identity, Linear, MaxPool, Network, Parameter, ReLU, parallel, ref, zoo
from rfcalc.backend import to_source
from rfcalc.cli import run
from rfcalc.core.errors import Unsupported

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
    pytest.mark.filterwarnings("ignore:var.*degrees of freedom is <= 0"),  # statistics of a map of one value
]
ZOO = ["lenet5", "vgg11", "resnet18", "googlenet-torchvision-aux", "squeezenet1.1", "swin-t", "wavenet", "unet-3d"]
SMALL = {"lenet5": None, "resnet20-cifar": None, "densenet-40-k12-cifar": None, "tcn": None, "squeezenet1.1": "3x64x64"}


@pytest.mark.parametrize("name", ZOO)
def test_zoo(name: str, tmp_path: Path) -> None:
    compared(rfcalc.load(name), tmp_path, "meta")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_whole_zoo(name: str, tmp_path: Path) -> None:
    compared(rfcalc.load(name), tmp_path, "meta")


@pytest.mark.parametrize("name", SMALL)
def test_equal_outputs(name: str, tmp_path: Path) -> None:
    from rfcalc.readers.target import with_inputs

    compared(with_inputs(rfcalc.load(name), SMALL[name]), tmp_path)


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - {"unknown"}))
def test_kinds(kind: str, tmp_path: Path) -> None:
    for seed in range(8):
        found = a_layer(Pick(random.Random(seed).randbytes(120)), kind)
        if found is not None:
            compared(Network.from_nodes([("node", found[0], ("input",))], found[1]), tmp_path)


def nested(seed: int) -> Network:
    """A random graph whose names are dotted at random, so that blocks of all kinds come up."""
    rng = random.Random(seed)
    case = grow(Pick(rng.randbytes(400)), ORDER, 15, 8)
    names: dict[str, str] = {}
    group = 1
    for name, _, _ in case.listed:
        group += rng.random() < 0.3
        names[name] = f"b{group // 3}.{group % 3}.{name}" if group % 4 else name
    nodes = [(names[name], made, tuple(names.get(r, r) for r in reads)) for name, made, reads in case.listed]
    inputs = case.network.inputs
    given = inputs["input"] if list(inputs) == ["input"] else inputs
    return Network.from_nodes(nodes, given, outputs=tuple(names[o] for o in case.network.outputs))


def random_graphs(cases: int, first: int, folder: Path) -> int:
    done = 0
    for seed in range(first, first + cases):
        network = nested(seed)
        try:
            to_source(network)
        except Unsupported:
            continue
        compared(network, folder)
        done += 1
    return done


@pytest.mark.filterwarnings("ignore:var")  # of a single value: no degree of freedom, in both alike
def test_random_graphs(tmp_path: Path) -> None:
    assert random_graphs(60, 500_000, tmp_path) >= 45


@pytest.mark.exhaustive
def test_many_random_graphs(tmp_path: Path) -> None:
    random_graphs(2_000, 600_000, tmp_path)


def test_what_is_shared_stays_shared(tmp_path: Path) -> None:
    one, two = Conv(4, 3, padding=1), Conv(4, 3, padding=2, dilation=2)
    tied = parallel([one.shared("k").named("a.conv"), two.shared("k").named("b.conv")], Add()).named("sum")
    compared(Network(tied, "4x8x8"), tmp_path)
    again = (Conv(4, 3, padding=1).named("conv") >> ReLU()).shared("w")
    compared(Network(again * 3, "4x8x8"), tmp_path)
    learned = parallel([Parameter((4, 3)).shared("p").named("x"), Parameter((4, 3)).shared("p").named("y")], Add())
    compared(Network(parallel([Identity(), learned], Add()), "4x3"), tmp_path)


def test_names_that_are_no_identifiers(tmp_path: Path) -> None:
    expr = Conv(2, 1).named("3x3") >> Conv(2, 1).named("a.class") >> Conv(2, 1).named("forward") >> MaxPool(2)
    compared(Network(expr, "1x8x8"), tmp_path)
    fork = parallel([ref("left in") >> Conv(2, 1).named("x.1"), ref("right") >> Conv(2, 1).named("x.0")], Add())
    compared(Network(fork, {"left in": "1x4", "right": "3x4"}, outputs=("x.1", "add1")), tmp_path)


def test_parts_that_are_called_by_numbers(tmp_path: Path) -> None:
    """A block whose part is called 1 and one whose part is called 2 are alike in nothing that may be an argument."""
    parts = [
        Conv(4, 3, padding=1).named(f"b{i}.{i}.conv")
        >> ReLU().named(f"b{i}.{i}.relu")
        >> Identity().named(f"b{i}.{i}.same")
        for i in (1, 2)
    ]
    heads = [
        parallel([part, Conv(4, 1).named(f"b{i}.side")], Add()).named(f"b{i}.add") for i, part in enumerate(parts, 1)
    ]
    compared(Network(heads[0] >> heads[1], "4x8x8"), tmp_path)


def test_blocks_that_differ_in_numbers_are_one_class() -> None:
    text = to_source(rfcalc.load("resnet50"))
    assert text.count("\nclass ") == 4
    assert "LayerB(conv1_in=2048, conv1_out=512)" in text
    assert len(text.split("\n")) < 160
    assert "import rfcalc" not in text


def test_the_command_writes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vgg.py"
    assert run(["export", "vgg11", "--to", "torch", "--output", str(path)]) == 0
    with torch.device("meta"):
        module = imported(path)()
    assert sum(p.numel() for p in module.parameters()) == rfcalc.analyze("vgg11").totals.params
    code = "import sys; sys.modules['rfcalc'] = None; exec(open(sys.argv[1]).read()); print(Vgg11.__name__)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Vgg11"


def test_what_cannot_be_written_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "conv3-8", "--to", "torch"]) == 0
    assert "Assumed: the input is 3x224x224: none was given." in capsys.readouterr().out
    path = tmp_path / "unknown.py"
    assert run(["export", 'conv3-8 > unknown8x4x4 op"aten::foo"', "--to", "torch", "-o", str(path)]) == 2
    assert "aten::foo" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_control_a_wrong_line_is_seen(tmp_path: Path) -> None:
    network = Network(Conv(2, 3) >> Flatten() >> Linear(3), "1x6x6")
    made = written(network, tmp_path)
    path = tmp_path / "network.py"
    path.write_text(path.read_text().replace("nn.Linear(32, 3)", "nn.Linear(32, 4)"))
    assert made().state_dict().keys() == imported(path)().state_dict().keys()
    with pytest.raises(AssertionError):
        torch.testing.assert_close(made()(torch.rand(1, 1, 6, 6)).shape, imported(path)()(torch.rand(1, 1, 6, 6)).shape)
