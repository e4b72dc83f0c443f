"""The counting conventions against what the tools themselves say (data/counts.json, measured once)."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rfcalc
from rfcalc.claims.counting import CONVENTIONS, convention, count, count_row, terms
from rfcalc.cli import run
from rfcalc.core.errors import UnknownName

MEASURED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "counts.json").read_text())

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


def test_unknown_tool() -> None:
    with pytest.raises(UnknownName, match="unknown counting tool 'thopp'") as caught:
        convention("thopp")
    assert "thop" in str(caught.value)


def test_command(capsys) -> None:
    assert run(["counts", "resnet50"]) == 0
    out = capsys.readouterr().out
    assert "8,178,368,512" in out
    assert "+2 × 11,113,984" in out
    assert run(["counts", "resnet50", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads((files("rfcalc.report") / "schemas" / "counts-1.json").read_text()))
    assert run(["counts", "resnet50", "--format", "xml"]) == 2


def test_column_of_a_table(capsys) -> None:
    assert run(["table", "vgg16-torchvision", "--counts", "thop", "--format", "plain"]) == 0
    out = capsys.readouterr().out
    assert "thop macs" in out
    (row,) = [line for line in out.splitlines() if line.startswith("avgpool")]
    assert row.split()[-2:] == ["-", "50.2K"]
    assert run(["table", "vgg16", "--counts", "nothing"]) == 2
