"""Every format and style: golden texts, foreign parsers that read them back, totals from the data, units."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import types
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from shown import View, render

import rfcalc
from rfcalc import Conv, Network, ReLU, RfcalcError, zoo
from rfcalc.cli import COMMANDS, run
from rfcalc.core.errors import UnknownName
from rfcalc.core.integers import read
from rfcalc.render import FORMATS, Look
from rfcalc.render import render as output
from rfcalc.report.cs231n import rounded
from rfcalc.report.document import words
from rfcalc.report.metrics import PRESETS
from rfcalc.report.records import records, to_pandas, to_polars
from rfcalc.report.table import STYLES, document

ROOT = Path(__file__).parent.parent
ODD = Network(
    Conv(8, 3, padding=1).named("a|b_c*<d>&e") >> (ReLU() * 2).stage("sta$ge #1 {x}"), "3x8x8", title="50% ~ ^\\"
)
TOY = "stem[conv3-8 bn relu] > body{conv3-8 relu x2} > maxpool2 > flatten > fc10"


def toy(**how: object) -> rfcalc.Report:
    return rfcalc.analyze(TOY, "3x16x16", **how)


@pytest.mark.parametrize("form", FORMATS)
def test_golden_formats(form: str, golden) -> None:
    golden(f"toy.{form}", render(toy(), form, View(width=100)))


@pytest.mark.parametrize("style", [s for s in STYLES if s != "table"])
@pytest.mark.parametrize("name", ["toy", "vgg16"])
def test_golden_styles(style: str, name: str, golden) -> None:
    report = toy() if name == "toy" else rfcalc.analyze(name)
    golden(f"{name}.{style}", render(report, "plain", style=style))


# --- the lecture's listing -------------------------------------------------------------------------------------------


def listing(target: object, **how: object) -> list[str]:
    return render(rfcalc.analyze(target, **how), "plain", style="cs231n").split("\n")


# From the published listing: name, output, memory, weights; ×n are n equal lines.
PUBLISHED = """
INPUT | 224x224x3 | 150K | 0
CONV3-64 | 224x224x64 | 3.2M | (3*3*3)*64 = 1,728
CONV3-64 | 224x224x64 | 3.2M | (3*3*64)*64 = 36,864
POOL2 | 112x112x64 | 800K | 0
CONV3-128 | 112x112x128 | 1.6M | (3*3*64)*128 = 73,728
CONV3-128 | 112x112x128 | 1.6M | (3*3*128)*128 = 147,456
POOL2 | 56x56x128 | 400K | 0
CONV3-256 | 56x56x256 | 800K | (3*3*128)*256 = 294,912
CONV3-256 | 56x56x256 | 800K | (3*3*256)*256 = 589,824
CONV3-256 | 56x56x256 | 800K | (3*3*256)*256 = 589,824
POOL2 | 28x28x256 | 200K | 0
CONV3-512 | 28x28x512 | 400K | (3*3*256)*512 = 1,179,648
CONV3-512 | 28x28x512 | 400K | (3*3*512)*512 = 2,359,296
CONV3-512 | 28x28x512 | 400K | (3*3*512)*512 = 2,359,296
POOL2 | 14x14x512 | 100K | 0
CONV3-512 | 14x14x512 | 100K | (3*3*512)*512 = 2,359,296
CONV3-512 | 14x14x512 | 100K | (3*3*512)*512 = 2,359,296
CONV3-512 | 14x14x512 | 100K | (3*3*512)*512 = 2,359,296
POOL2 | 7x7x512 | 25K | 0
FC | 1x1x4096 | 4096 | 7*7*512*4096 = 102,760,448
FC | 1x1x4096 | 4096 | 4096*4096 = 16,777,216
FC | 1x1x1000 | 1000 | 4096*1000 = 4,096,000
""".strip().split("\n")


def test_the_lecture_line_for_line() -> None:
    lines = listing("vgg16")
    assert "CONV3-64:  [224x224x64]   memory:  224*224*64=3.2M   weights: (3*3*64)*64 = 36,864" in lines
    found = []
    for line in lines[: lines.index("")]:
        name, shape, memory, weights = re.fullmatch(
            r"(\S+): +\[(\S+)\] +memory:  (?:\S+=)?(\S+) +weights: (.+)", line
        ).groups()
        found.append(f"{name} | {shape} | {memory} | {weights}")
    assert found == PUBLISHED
    told = "\n".join(lines)
    for said in ("15,237,608 * 4 bytes = 60.95 MB = 58.13 MiB", "~*2 for bwd", "138,357,544", "24M * 4 bytes ~= 93MB"):
        assert said in told
    assert "96.00 MB or 91.55 MiB" in told
    assert "erratum" not in "\n".join(listing("vgg19"))


@pytest.mark.parametrize("name", zoo.networks())
def test_listing_arithmetic_adds_up(name: str) -> None:
    report = rfcalc.analyze(name)
    values = weights = 0
    for line in listing(name):
        match = re.fullmatch(r".+?: +\[\S+\] +memory:  (\S+) +weights: (.+)", line)
        if match is None:
            continue
        product, _, short = match[1].partition("=")
        values += read(product)
        assert not short or rounded(read(product)) == short
        if match[2].startswith("those of "):  # shared weights are counted where they stand first
            continue
        sides = match[2].split(" = ")
        weights += int(sides[-1].replace(",", ""))
        if len(sides) > 1:
            assert read(sides[0]) == int(sides[1].replace(",", "")), line
    assert (values, weights) == (report.totals.values, report.totals.weights)


def test_listing_of_other_layers() -> None:
    told = "\n".join(listing("dwconv3 > convT2-8/2 nobias > avgpool2 > unknown4x2x2", input="4x6x6"))
    assert re.search(r"^DWCONV3: +\[6x6x4\]", told, re.MULTILINE)
    assert "(3*3*1)*4 = 36" in told
    assert "(2*2*4)*8 = 128" in told
    assert "at least" in told


# --- foreign parsers -------------------------------------------------------------------------------------------------


def test_csv_reads_back_and_adds_up() -> None:
    report = toy(batch=3)
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    assert [r["name"] for r in rows] == ["input", *(r.name for r in report)]
    assert sum(int(r["params"] or 0) for r in rows) == report.totals.params
    assert sum(int(r["macs"] or 0) for r in rows) == report.totals.macs
    assert int(rows[1]["bytes"]) == 3 * 8 * 16 * 16 * 4
    odd = list(csv.reader(io.StringIO(render(rfcalc.analyze(ODD), "csv", View(columns=("name", "stage"))))))
    assert odd == [
        ["name", "stage"],
        ["input", ""],
        ["a|b_c*<d>&e", ""],
        *[[f"relu{i}", "sta$ge #1 {x}"] for i in (1, 2)],
    ]


def test_markdown_reads_back() -> None:
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    for report in (toy(), rfcalc.analyze(ODD)):
        tokens = parser.parse(render(report, "markdown"))
        pairs = pairwise(tokens)
        cells = [inline.children for opened, inline in pairs if opened.type in ("th_open", "td_open")]
        texts = ["".join(c.content for c in found if c.type in ("text", "text_special")) for found in cells]
        assert report.rows[0].name in texts
        assert sum(t.type == "table_open" for t in tokens) == 1
        plain = render(report, "plain", View())
        missing = [text for text in texts if text.translate({0x2013: "-", 0xD7: "x"}) not in plain]
        assert not missing


def test_html_reads_back_and_needs_nothing_else() -> None:
    html5lib = pytest.importorskip("html5lib")
    for report in (toy(), rfcalc.analyze(ODD)):
        text = render(report, "html")
        document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
        rows = [["".join(c.itertext()) for c in row] for row in document.iter("tr")]
        assert {len(r) for r in rows} == {8}
        assert report.rows[0].name in {r[0] for r in rows}
        assert not re.search(r"(src|href)=|@import|url\(", text)
        assert "prefers-color-scheme: dark" in text
    fragment = toy()._repr_html_()
    assert "<html" not in fragment
    assert "<table" in fragment


def test_latex_reads_back() -> None:
    walker = pytest.importorskip("pylatexenc.latexwalker")
    for report in (toy(), rfcalc.analyze(ODD), rfcalc.analyze("conv3-8 relu x50", "3x8x8")):
        text = render(report, "latex", View(every=True, fold=False))
        nodes, _, length = walker.LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
        assert length == len(text)
        names = {n.environmentname for n in nodes if n.isNodeType(walker.LatexEnvironmentNode)}
        assert names == {"longtable" if len(report) > 45 else "table"}
        body = text.split(r"\midrule")[-1].split(r"\bottomrule")[0]
        for line in body.strip().split("\n"):
            assert line in (r"\addlinespace", r"\endhead") or len(re.split(r"(?<!\\)&", line)) == 8, line


PAGE = r"""\documentclass{article}
\usepackage{booktabs,siunitx,longtable,array,amsmath}
\begin{document}
%s
\end{document}
"""


def overfull(folder: Path, tables: dict[str, str], runs: int = 4) -> list[str]:
    """What LaTeX says of boxes that run over, with the table; a longtable needs some runs until its columns fit."""
    parts = (f"\\typeout{{TABLE {name}}}\n{text}\n\\clearpage" for name, text in tables.items())
    (folder / "page.tex").write_text(PAGE % "\n".join(parts), encoding="utf-8")
    for _ in range(runs):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    found, table = [], ""
    for line in done.stdout.splitlines():
        table = line if line.startswith("TABLE ") else table
        if line.startswith("Overfull"):
            found.append(f"{table}: {line}")
    return found


@pytest.mark.system
def test_latex_compiles_and_nothing_runs_over(tmp_path: Path) -> None:
    odd = {"toy": render(toy(), "latex"), "odd": render(rfcalc.analyze(ODD), "latex")}
    every = {name: render(rfcalc.analyze(name), "latex") for name in rfcalc.networks()}
    assert overfull(tmp_path, {**odd, **every}) == []


@pytest.mark.system
@pytest.mark.parametrize(
    ("view", "style"), [({"columns": ("paper",)}, "table"), ({}, "stages"), ({"depth": 2}, "table")]
)
def test_latex_of_presets_and_stages_compiles(tmp_path: Path, view: dict[str, Any], style: str) -> None:
    names = [name for i, name in enumerate(rfcalc.networks()) if i % 7 == 0]
    tables = {n: output(document(rfcalc.analyze(n), View(**view)[0], style), "latex", Look()) for n in names}
    assert overfull(tmp_path, tables) == []


@pytest.mark.system
def test_a_wide_table_would_run_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the fitting, LaTeX complains."""
    monkeypatch.setattr("rfcalc.render.latex.PAGE", 10_000.0)
    assert overfull(tmp_path, {"resnet50": render(rfcalc.analyze("resnet50"), "latex")}) != []


def test_captions_labels_and_presets() -> None:
    report = rfcalc.analyze("vgg16")
    text = output(
        document(report, View(columns=("paper",), caption="Configuration D", label="tab:d")[0]), "latex", Look()
    )
    assert r"\caption{Configuration D\label{tab:d}}" in text
    assert "layer & notation & output & rf & {params} & {macs (M)}" in text
    columns = document(report, View(columns=("costs", "rf"))[0]).sections[-1].columns
    assert [c.name for c in columns] == [*PRESETS["costs"], "receptive_field"]
    with pytest.raises(UnknownName):
        document(report, View(columns=("papers",))[0])


def test_stages_as_in_the_resnet_paper() -> None:
    report = rfcalc.analyze("resnet50")
    table = document(report, View()[0], "stages").sections[-1]
    told = {line.cells[0].text: words(line.cells[2].text) for line in table.lines}
    assert told["conv4_x"] == "[conv1-256, conv3-256, conv1-1024] ×6"
    assert told["conv2_x"] == "[conv1-64, conv3-64, conv1-256] ×3"
    for name in rfcalc.networks():
        one = rfcalc.analyze(name)
        shown = document(one, View()[0], "stages").sections[-1].lines
        for column, total in ((4, one.totals.params), (5, one.totals.macs)):
            assert sum(line.cells[column].value or 0 for line in shown[:-1]) == total == shown[-1].cells[column].value


def test_data_frames() -> None:
    report = toy()
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = report.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert int(frame["params"].sum()) == report.totals.params
    frame = report.to_polars(["name", "rf", "params"])
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == ["name", "receptive_field", "params"]
    assert frame["params"].sum() == report.totals.params
    assert json.loads(json.dumps(report.to_dicts()))[0]["name"] == "conv1"


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, convert in (("pandas", to_pandas), ("polars", to_polars)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(RfcalcError, match=package) as caught:
            convert(toy())
        assert f"rfcalc[{package}]" in str(caught.value)


# --- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("batch", [1, 7])
def test_units_never_lie(dtype: str, batch: int) -> None:
    report = rfcalc.analyze("vgg16", dtype=dtype, batch=batch)
    for style in ("cs231n", "summary"):
        text = render(report, "plain", style=style)
        decimal, binary = f"{report.totals.bytes / 10**6:,.2f} MB", f"{report.totals.bytes / 2**20:.2f} MiB"
        assert decimal.replace(",", "") in text.replace(",", "")
        assert binary in text
    header = render(report, "csv").split("\n")[0]
    assert "bytes" in header.split(",")
    columns = View(columns=("name", "bytes", "macs"))
    latex = render(report, "latex", columns)
    units = [
        {"kB": 10**3, "K": 10**3, "M": 10**6, "MB": 10**6, "G": 10**9}[u] for u in re.findall(r"\((\w+)\)}", latex)
    ]
    values = re.findall(r"^conv1\\_1 & ([\d.]+) & ([\d.]+)", latex, re.MULTILINE)
    row = report["conv1_1"]
    assert [float(v) for v in values[0]] == [round(row.bytes / units[0], 2), round(row.macs / units[1], 2)]


def test_rounding_of_the_lecture() -> None:
    shown = [rounded(n) for n in (150_528, 3_211_264, 802_816, 25_088, 9_999, 10_000, 999_999, 1_249_999, 10**10)]
    assert shown == ["150K", "3.2M", "800K", "25K", "9999", "10K", "1M", "1.2M", "10G"]


# --- the command line ------------------------------------------------------------------------------------------------


def test_styles_are_documents_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "vgg16", "--style", "cs231n", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "rfcalc/report/1"
    assert run(["table", "vgg16", "--style", "cs231n", "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("```\nINPUT:")
    assert run(["table", "vgg16", "--style", "cs231m"]) == 2
    assert "did you mean cs231n" in capsys.readouterr().err
    with pytest.raises(RfcalcError, match="unknown format"):
        render(toy(), "pdf")


@pytest.mark.parametrize("form", FORMATS)
def test_output_is_written_whole(form: str, tmp_path: Path) -> None:
    path = tmp_path / "table.out"
    path.write_text("before")
    wrong = ["--columns", "name,nope"]
    assert run(["table", TOY, "--input", "3x16x16", "--format", form, "--output", str(path), *wrong]) == 2
    assert path.read_text() == "before"
    assert run(["table", TOY, "--input", "3x16x16", "--format", form, "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8").rstrip("\n") == render(toy(), form, View()).rstrip("\n")
    assert [p.name for p in tmp_path.iterdir()] == ["table.out"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_that_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"Example: rfcalc {command}" in told


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rfcalc ta", ["table"]),
        ("rfcalc table vgg16-", ["vgg16-bn", "vgg16-torchvision"]),
        ("rfcalc table vgg16 --columns name,recep", ["name,receptive_field"]),
        ("rfcalc table vgg16 --format m", ["markdown"]),
        ("rfcalc table vgg16 --style cs", ["cs231n"]),
        ("rfcalc table vgg16 --dtype bf", ["bfloat16"]),
    ],
)
def test_shell_completion(words: str, offered: list[str], capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("_RFCALC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        run([])
    shown = capsys.readouterr().out.split("\n")
    assert set(offered) <= set(shown), shown


def test_records_refuse_unknown_columns() -> None:
    with pytest.raises(RfcalcError, match="unknown metric"):
        records(toy(), ["name", "sise"])


def test_a_plain_table_loads_no_other_format() -> None:
    code = (
        "import sys; from rfcalc.cli import run; run(['table', 'vgg16', '--format', 'plain']);"
        "print(sorted(m for m in sys.modules if m.startswith(('rfcalc.notation', 'rfcalc.spec', 'rfcalc.render.'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().split("\n")[-1] == "['rfcalc.render.plain']"


# --- one registry of formats -----------------------------------------------------------------------------------------

SHOWN = {  # a command → arguments that make it say something
    "table": ["vgg16"],
    "list": [],
    "rf": ["vgg16", "pool5"],
    "symbolic": ["conv3-C xN"],
    "compare": ["conv3-C x3", "conv7-C"],
    "equivalents": ["conv7-C"],
    "explain": ["vgg16", "pool5", "rf"],
    "counts": ["vgg16"],
    "check": ["alexnet"],
    "sizes": ["vgg16"],
    "tile": ["conv3-4 x2"],
    "grid": ["vgg16"],
    "stream": ["conv5-4", "--input", "1x64"],
    "memory": ["vgg16"],
    "design": ["rf >= 9, params < 2k"],
    "grade": ["conv3-4", "--require", "params < 1G"],
    "columns": [],
    "verify": ["conv3-4 > relu", "--input", "1x8x8"],
}


def test_a_new_format_works_in_every_command(monkeypatch, capsys) -> None:
    """A format is one file and one line: no command knows formats by name."""
    new = types.ModuleType("rfcalc.render.counting")
    new.render = lambda document, look: f"counted {len(document.sections)} of {document.title}"
    monkeypatch.setitem(sys.modules, "rfcalc.render.counting", new)
    monkeypatch.setitem(FORMATS, "counting", "how many sections there are")
    others = {"lock", "export", "exercise", "quiz", "draw"}  # claims, sources, courses, a conversation, pictures
    assert set(SHOWN) | others == set(COMMANDS)
    for name, arguments in SHOWN.items():
        code = run([name, *arguments, "--format", "counting"])
        told = capsys.readouterr()
        assert (code, told.out.startswith("counted ")) == (0, True), (name, told)
