"""The counting conventions against what the tools themselves say (data/counts.json, measured once)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import counting_modules
import jsonschema
import pytest
import torch

import rfcalc
from rfcalc.backend.counters import modules, tallies
from rfcalc.claims.counting import CONVENTIONS, convention, count, count_row, counts, terms
from rfcalc.cli import run
from rfcalc.core.errors import UnknownName
from rfcalc.report import schemas

MEASURED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "counts.json").read_text())
OF_MODULES: dict[str, Any] = json.loads(counting_modules.RECORD.read_text(encoding="utf-8"))

# What a tool says beyond its convention, and why.
KNOWN = {
    ("mobilenet-v2", "thop"): (-(62_720 + 1_280), "the pool is a function call there, which thop does not see"),
    ("mobilenet-v2", "torchscan"): (
        -(62_720 + 1_280),
        "the pool is a function call there, which torchscan does not see",
    ),
    ("mobilenet-v2", "ptflops"): (-62_720, "the pool is a function call there, which ptflops sees once, not twice"),
    ("vit-b-16", "onnx-tool"): (942, "arithmetic on shapes in the exported graph"),
}


@pytest.mark.parametrize("tool", sorted(CONVENTIONS))
@pytest.mark.parametrize("network", sorted(MEASURED))
def test_like_the_tool(network: str, tool: str) -> None:
    how = CONVENTIONS[tool]
    measured = MEASURED[network][tool]
    assert measured["version"].startswith(how.version)
    beyond, _ = KNOWN.get((network, tool), (0, ""))
    assert count(rfcalc.analyze(network), how) + beyond == measured[how.figure]


def test_all_tools_were_measured_on_all_networks() -> None:
    assert set(MEASURED) == {"vgg16-torchvision", "resnet50", "mobilenet-v2", "vit-b-16"}
    assert all(set(tools) == set(CONVENTIONS) for tools in MEASURED.values())


def test_the_comparison_can_fail() -> None:
    """The control: no two tools agree on every network, so that one convention could not stand for another."""
    figures = {t: tuple(MEASURED[n][t][CONVENTIONS[t].figure] for n in sorted(MEASURED)) for t in CONVENTIONS}
    assert len(set(figures.values())) == len(figures)


@pytest.mark.parametrize("network", ["resnet50", "swin-t", "googlenet", "convnext-t", "lenet5"])
@pytest.mark.parametrize("tool", sorted(CONVENTIONS))
def test_rows_and_terms_sum_to_the_count(network: str, tool: str) -> None:
    report, how = rfcalc.analyze(network), CONVENTIONS[tool]
    assert sum(count_row(row, how) for row in report) == count(report, how) == sum(terms(report, how).values())


def test_published_formulas_on_vgg16() -> None:
    """The sums of published_numbers.md, measured there on torchvision's VGG-16."""
    o = rfcalc.analyze("vgg16-torchvision").totals.ops
    m, bc, bl, r = o["macs"], o["conv_bias_adds"], o["linear_bias_adds"], o["activation"]
    pi, po, a = o["pool_inputs"], o["pool_outputs"], o["adaptive_pool_inputs"]
    report = rfcalc.analyze("vgg16-torchvision")
    assert {t: count(report, h) for t, h in CONVENTIONS.items()} == {
        "torch": 2 * m,
        "calflops": 2 * m + bc + r + pi + a,
        "fvcore": m + a,
        "thop": m + 2 * a,
        "torchinfo": m + bc + bl,
        "onnx-tool": m + bc + bl + r + pi + a,
        "torchscan": m + po + 2 * a,
        "ptflops": m + bc + bl + 2 * (r + pi + a),
    }


@pytest.mark.parametrize("name", sorted(OF_MODULES["modules"]))
def test_a_module_counts_as_the_tools_print(name: str) -> None:
    """Six tools on 35 modules, measured with the tools themselves (counting_modules.py)."""
    torch.set_num_threads(1)
    shape = "x".join(map(str, counting_modules.MODULES[name][1]))
    found = counts(rfcalc.analyze(rfcalc.from_torch(counting_modules.made(name), shape)), tallies)
    printed = OF_MODULES["modules"][name]
    assert {tool: found[tool].total for tool in printed} == printed


def test_what_was_measured_of_modules() -> None:
    figures = OF_MODULES["modules"]
    assert set(figures) == set(counting_modules.MODULES)
    assert len(figures) >= 30
    assert all(isinstance(n, int) for tools in figures.values() for n in tools.values())
    assert figures["multi-head attention"]["thop"] == 0
    assert figures["u-net of the docs"]["thop"] == 111_869_952
    assert all(OF_MODULES["versions"][t].startswith(CONVENTIONS[t].version) for t in OF_MODULES["versions"])
    pinned = counting_modules.TOOLS.read_text(encoding="utf-8")
    assert all(f"{t}==" in pinned for t in OF_MODULES["versions"] if t != "torch")


def test_the_comparison_of_modules_can_fail() -> None:
    """The controls: a wrong rule at a hook changes figures that were measured."""
    report = rfcalc.analyze(rfcalc.from_torch(counting_modules.made("u-net of the docs"), "1x64x64"))
    rules = {"thop": modules.THOP, "ptflops": modules.PTFLOPS}
    for tool, table in rules.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(table, "ConvTranspose2d", modules.nothing)
            assert counts(report, tallies)[tool].total != OF_MODULES["modules"]["u-net of the docs"][tool]
    assert counts(report, tallies)["thop"].total == 111_869_952


def test_what_runs_leaves_functions_and_module_as_they_were() -> None:
    module = counting_modules.made("attention, functions")
    before = (torch.matmul, torch.Tensor.mul, torch.nn.functional.softmax, dict(module.state_dict()))
    assert counts(rfcalc.analyze(rfcalc.from_torch(module, "9x16")), tallies)["ptflops"].total
    assert (torch.matmul, torch.Tensor.mul, torch.nn.functional.softmax) == before[:3]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), before[3].values(), strict=True))


@pytest.mark.exhaustive
def test_the_tools_still_print_this(tmp_path: Path) -> None:
    """Installs the tools (counting-tools.txt) and asks them again."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*pip, "-r", str(counting_modules.TOOLS)], check=True)
    script = "import counting_modules as c, sys, json; print(json.dumps(c.everything(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == OF_MODULES["modules"]


@pytest.mark.parametrize(
    ("network", "tools"),
    [
        ("googlenet", {"ptflops", "calflops", "onnx-tool", "torchscan"}),
        ("unet", {"calflops", "onnx-tool", "torchscan"}),
        ("conv3-8 > bn > relu > upsample2", {"fvcore", "thop", "ptflops", "calflops", "onnx-tool", "torchscan"}),
        ("resnet50", set()),
    ],
)
def test_a_tool_is_not_known_where_the_layers_do_not_say(network: str, tools: set[str], capsys: Any) -> None:
    found = counts(rfcalc.analyze(network))
    assert {tool for tool, c in found.items() if c.total is None} == tools
    assert all(bool(c.why) == (tool in tools) for tool, c in found.items())
    assert run(["counts", network, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schemas.schema("counts"))
    assert {t["tool"] for t in document["tools"] if t["count"] is None} == tools


@pytest.mark.parametrize("network", ["unet", "conv3-8 > groupnorm2 > relu > avgpool2 > conv3-4", "densenet121"])
def test_the_conventions_say_what_is_hooked_in_the_module_that_is_built(network: str) -> None:
    """Two roads: terms of the layers; the tools' rules at the hooks of the module that rfcalc builds of them."""
    torch.set_num_threads(1)
    small = rfcalc.analyze(network, {"unet": "1x188x188", "densenet121": "3x64x64"}.get(network, "3x20x20"))
    shape = str(next(iter(small.inputs.values())))
    built = rfcalc.to_torch(small.network, shape)
    of_module = counts(rfcalc.analyze(rfcalc.from_torch(built, shape)), tallies)
    for tool, mine in counts(small).items():
        if mine.total is not None and tool in ("torch", "fvcore", "thop", "torchinfo"):
            assert mine.total == of_module[tool].total, tool


def test_unknown_tool() -> None:
    with pytest.raises(UnknownName, match="unknown counting tool 'thopp'") as caught:
        convention("thopp")
    assert "thop" in str(caught.value)


def test_command(capsys) -> None:
    assert run(["counts", "resnet50"]) == 0
    out = capsys.readouterr().out
    assert "8,178,368,512" in out
    assert "2 × batch norm" in out and "11,113,984" in out
    assert run(["counts", "resnet50", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schemas.schema("counts"))
    assert run(["counts", "resnet50", "--format", "xml"]) == 2


def test_column_of_a_table(capsys) -> None:
    assert run(["table", "vgg16-torchvision", "--counts", "thop", "--format", "plain"]) == 0
    out = capsys.readouterr().out
    assert "thop macs" in out
    (row,) = [line for line in out.splitlines() if line.startswith("avgpool")]
    assert row.split()[-2:] == ["-", "50.2K"]
    assert run(["table", "vgg16", "--counts", "nothing"]) == 2


def test_column_of_a_module(capsys) -> None:
    unet = "docs/examples/unet.py:UNet(depth=2, width=16)"
    assert run(["table", unet, "--input", "1x64x64", "--counts", "ptflops", "--format", "plain"]) == 0
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if line.startswith("up.0 ")]
    assert run(["table", "googlenet", "--counts", "ptflops"]) == 2
    assert "how lrn is written decides" in capsys.readouterr().err
    assert row.split()[-1] == "2.13M"  # its biases too; the pools, which are functions, in no row
