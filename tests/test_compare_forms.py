"""Comparisons and equivalents as a user meets them: every format read back, narrow terminals, messages."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from fractions import Fraction

import jsonschema
import pytest

from rfcalc import RfcalcError
from rfcalc.cli import run
from rfcalc.comparison.comparison import compare
from rfcalc.render import FORMATS
from rfcalc.report import schemas


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


# --- formats ----------------------------------------------------------------------------------------------------------

CALLS = [
    ("compare", "conv3-C x3", "conv7-C"),
    ("compare", "conv3-C x3", "conv7-C", "--input", "MxHxW", "--biases"),
    ("compare", "resnet50", "resnet50-v1", "vgg16", "--all"),
    ("compare", "--family", "vgg"),
    ("equivalents", "conv7-C", "--separable", "--dilated"),
    ("equivalents", "conv7-64"),
]


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
@pytest.mark.parametrize("form", FORMATS)
def test_formats(capsys, arguments: tuple[str, ...], form: str) -> None:
    code, out, err = call(capsys, *arguments, "--format", form)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "\ue000" not in out
    if form == "plain":
        assert out.isascii()
    elif form == "json":
        document = json.loads(out)
        name = document["schema"].split("/")[1]
        schema = schemas.schema(name)
        jsonschema.validate(document, schema)
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(out)))
        assert len({len(row) for row in rows}) == 1
    elif form == "markdown":
        parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
        assert any(t.type == "table_open" for t in parser.parse(out))
    elif form == "html":
        html5lib = pytest.importorskip("html5lib")
        document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(out)
        assert list(document.iter("tr"))
        assert not re.search(r"(src|href)=|@import|url\(", out)
    elif form == "latex":
        walker = pytest.importorskip("pylatexenc.latexwalker")
        _, _, length = walker.LatexWalker(out, tolerant_parsing=False).get_latex_nodes()
        assert length == len(out)
        assert all(ord(c) < 128 for line in out.split("\n") if not line.startswith("%") for c in line), out


def test_formulas_in_latex(capsys) -> None:
    out = call(capsys, "compare", "conv3-C x3", "conv7-C", "--format", "latex")[1]
    assert "weights & $27 C^{2}$ & $49 C^{2}$ & 27/49 = 0.551 &" in out


def test_csv_adds_up(capsys) -> None:
    out = call(capsys, "compare", "vgg16", "vgg19", "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    total = next(r for r in rows if r["part"] == "total" and r["figure"] == "macs")
    layers = [r for r in rows if r["part"] == "layer" and r["figure"] == "macs"]
    assert sum(int(r["first"] or 0) for r in layers) == int(total["first"])
    assert sum(int(r["other"] or 0) for r in layers) == int(total["other"])
    assert Fraction(total["ratio"]) == Fraction(int(total["first"]), int(total["other"]))


def test_a_narrow_terminal_gets_letters(monkeypatch, capsys) -> None:
    monkeypatch.setattr("rfcalc.cli.common.terminal", lambda: (50, True))
    monkeypatch.setattr("rfcalc.cli.common.unicode", lambda: True)
    code, out, _ = call(capsys, "compare", "conv3-C relu x3", "conv7-C relu")
    text = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert code == 0
    assert max(map(len, text.split("\n"))) <= 50
    assert "A: conv3-C relu x3" in text
    assert "B has 81 % more weights than A" in text


def test_figures_by_name(capsys) -> None:
    code, out, _ = call(capsys, "compare", "vgg16", "vgg19", "--what", "params,peak,non-linearities")
    assert code == 0
    assert [line.split("  ")[0] for line in out.split("\n")[2:5]] == ["params", "peak memory", "non-linearities"]


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vgg16"], ["nothing to compare vgg16 with", "two networks"]),
        ([], ["nothing to compare", "--family"]),
        (["vgg16", "vgg61"], ["unknown network 'vgg61'", "did you mean vgg"]),
        (["lenet5", "vgg16"], ["unequal inputs", "lenet5 1x32x32", "vgg16 3x224x224", "--own-inputs"]),
        (["vgg16", "vgg19", "--input", "3x16x16"], ["vgg16: pool5", "fix"]),
        (["vgg16", "conv3-64 > flatten > conv3-3"], ["conv3-64 > flatten > conv3-3: conv2", "flat vector"]),
        (["conv3-C xN", "conv7-C"], ["number of repetitions N", "--set N=3", "rfcalc symbolic"]),
        (["conv3-C", "conv3-N"], ["C or N", "--input CxHxW"]),
        (["conv3-H", "conv5-H"], ["the text uses H already", "side of the input"]),
        (["conv3-C", "conv5-C", "--set", "D=3"], ["unknown symbol 'D'", "C"]),
        (["conv3-64", "conv5-64", "--set", "C=3"], ["unknown symbol 'C'", "no symbols"]),
        (["conv3-C", "conv5-C", "--set", "C"], ["does not give a symbol a number", "--set C=64"]),
        (["conv3-C", "conv5-C", "--set", "C=3,C=4"], ["two numbers", "3 and 4"]),
        (["conv3-C", "conv5-C", "--input", "3x2y4!"], ["not a shape", "CxHxW"]),
        (["vgg16", "vgg19", "--family", "vgg"], ["--family takes no other networks"]),
        (["--family", "vgg", "--set", "C=3"], ["--family", "--set"]),
        (["--family", "vg"], ["unknown family 'vg'", "did you mean vgg"]),
        (["vgg16", "vgg19", "--what", "wieghts"], ["unknown figure 'wieghts'", "weights"]),
        (["vgg16", "vgg19", "--what", ","], ["no figures"]),
        (["vgg16", "vgg19", "--format", "xml"], ["unknown format"]),
        (["vgg16", "vgg19", "--at", "pool9"], ["vgg16", "pool9"]),
        (["vgg16", "vgg19", "--batch", "0"], ["batch of 0"]),
        (["vgg16", "vgg19", "--output", "/no/such/folder/x"], ["/no/such/folder"]),
    ],
)
def test_bad_input(capsys, arguments: list[str], words: list[str]) -> None:
    code, out, err = call(capsys, "compare", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert all(word.lower() in err.lower() for word in words), err


def test_each_at_its_own_input(capsys) -> None:
    code, out, _ = call(capsys, "compare", "lenet5", "vgg16", "--own-inputs")
    assert code == 0
    assert "inputs: lenet5 1x32x32, vgg16 3x224x224" in out


def test_errors_of_the_library() -> None:
    with pytest.raises(RfcalcError, match="unequal inputs"):
        compare("lenet5", "vgg16")
    with pytest.raises(RfcalcError, match="nothing to compare"):
        compare("vgg16")


@pytest.mark.parametrize("pair", [("conv3-64 x3", "conv7-64"), ("vgg16", "vgg19"), ("conv3-C x3", "conv7-C")])
def test_comparing_numbers_loads_no_sympy(pair: tuple[str, str]) -> None:
    code = (
        f"import sys; from rfcalc.cli import run; run(['compare', *{pair!r}, '--output', '/dev/null']);"
        "print('sympy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str("C" in pair[0])]


def test_completion_of_families(capsys, monkeypatch) -> None:
    monkeypatch.setenv("_RFCALC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "rfcalc compare --family v")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out.split() == ["vgg"]
