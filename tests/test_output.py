"""The table in every form: folding, columns, widths, colour, notes; the JSON against its schema."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import torch
from shown import View, render
from torch import nn

import rfcalc
from rfcalc import Conv, GlobalPool, Identity, Linear, MaxPool, Network, ReLU, RfcalcError, Unknown, Upsample
from rfcalc.cli import run
from rfcalc.render import FORMATS
from rfcalc.report import table
from rfcalc.report.metrics import METRICS
from rfcalc.report.schemas import schema

NETWORKS = {
    "vgg16": "vgg16",
    "gate": Network(Conv(8, 3, padding=1) >> (Identity() * (GlobalPool() >> Conv(8, 1))), "3x16x16"),
    "phases": Network(MaxPool(2) >> Upsample(3) >> Conv(4, 2), "3x16x16"),
    "varies": Network((MaxPool(2) >> rfcalc.Pad(((0, 8),))) + Identity(), "3x16x16"),
    "unknown": Network(Conv(8, 3) >> Unknown((8, 5, 5), "einsum") >> ReLU(), "3x16x16"),
    "two": Network(
        rfcalc.parallel([rfcalc.ref("a") >> Conv(4, 3), rfcalc.ref("b")], rfcalc.Add()), {"a": "1x9x9", "b": "4x7x7"}
    ),
    "constant": Network(rfcalc.Parameter((4, 5)) >> Linear(3), "3x4x4"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_json_follows_its_schema(name) -> None:
    document = json.loads(render(rfcalc.analyze(NETWORKS[name]), "json"))
    jsonschema.validate(document, schema("report"))
    assert [layer["name"] for layer in document["layers"]] == [n.name for n in rfcalc.load(NETWORKS[name]).nodes]
    for figure in ("weights", "biases", "buffers", "macs"):
        assert document["totals"][figure] == sum(layer[figure] for layer in document["layers"])


def test_json_statuses() -> None:
    found = {n: render(rfcalc.analyze(t), "json") for n, t in NETWORKS.items() if n != "two"}
    last = {n: json.loads(text)["layers"][-1]["receptive_field"]["status"] for n, text in found.items()}
    assert last == {
        "vgg16": "global",
        "gate": "global",
        "phases": "periodic",
        "varies": "shift_variant",
        "unknown": "unknown",
        "constant": "none",
    }
    assert json.loads(found["unknown"])["complete"] is False


def test_json_of_vgg16_has_the_contracts_values() -> None:
    document = json.loads(render(rfcalc.analyze("vgg16"), "json"))
    pool5 = next(layer for layer in document["layers"] if layer["name"] == "pool5")
    assert pool5["receptive_field"] | {"reach": 0, "hull": 0} == {
        "status": "exact",
        "size": [212, 212],
        "stride": [32, 32],
        "padding": [90, 90],
        "center": ["31/2", "31/2"],
        "phases": None,
        "reach": 0,
        "through": [],
        "hull": 0,
        "joins": [],
    }
    relu = document["layers"][1]
    assert (relu["name"], relu["in_place"], relu["ops"]["activation"]) == ("relu1_1", True, 64 * 224 * 224)


def lines(target: object, **view: object) -> list[str]:
    return render(rfcalc.analyze(target), "rich", View(**view)).split("\n")


def test_the_default_table_fits_eighty_columns_and_says_its_totals() -> None:
    shown = lines("vgg16", width=80)
    assert max(map(len, shown)) <= 80
    text = "\n".join(shown)
    for said in ("138,357,544", "15,470,264,320", "15,237,608", "60.95 MB", "58.13 MiB", "212", "196"):
        assert said in text
    assert sum(1 for line in shown if line.startswith(("conv", "fc", "pool"))) == 21
    assert "block 5" in text


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_every_width_keeps_its_lines_short_and_says_what_is_left_out(width) -> None:
    shown = lines("vgg16", width=width)
    assert max(map(len, shown)) <= width
    assert ("not shown in" in "\n".join(shown)) == (width < 78)


def test_colour_only_when_asked_for() -> None:
    assert "\x1b[" in "\n".join(lines("vgg16", width=80, color=True))
    assert "\x1b" not in "\n".join(lines("vgg16", width=80))


def test_columns_by_choice_and_order() -> None:
    shown = render(rfcalc.analyze("vgg16"), "plain", View(columns=("f", "rf", "layer", "params"))).split("\n")
    assert shown[0].split() == ["F", "rf", "layer", "params"]
    row = next(line for line in shown if "conv5_3" in line)
    assert row.split() == ["2", "196", "conv5_3", "2,359,808"]


def test_all_shows_every_node_and_fold_shows_counts() -> None:
    every = render(rfcalc.analyze("vgg16"), "plain", View(every=True))
    assert "relu5_3" in every
    assert "drop6" in every
    folded = render(rfcalc.analyze("vgg16"), "rich", View(fold=True))
    assert "conv3_2–3" in folded
    assert re.search(r"conv3_2–3 +×2  conv3-256 relu +256x56x56 +40 +4 +1,180,160 +6.42 MB +3.70G", folded)
    long = Network((Conv(8, 3, padding=1) >> ReLU() >> MaxPool(3, 1, padding=1)) * 40, "8x9x9")
    assert "×40" in render(rfcalc.analyze(long), "rich")
    assert "×40" not in render(rfcalc.analyze(long), "rich", View(fold=False))


def test_totals_do_not_depend_on_folding() -> None:
    report = rfcalc.analyze("vgg19")
    pick = [
        render(report, "plain", View(fold=f, every=e)).split("\nparams  ")[1]
        for f in (False, True)
        for e in (False, True)
    ]
    assert len(set(pick)) == 1


def test_plain_is_ascii() -> None:
    for target in NETWORKS.values():
        render(rfcalc.analyze(target), "plain").encode("ascii")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gate", "rf 'all': the whole input, through adaptive_pool1"),
        ("phases", "rf '≤'"),
        ("varies", "at add1 paths of different strides meet: pad1 (stride 2) and identity1 (stride 1)"),
        ("unknown", "not understood: unknown1 (unknown8x5x5 op:einsum); totals are lower bounds"),
        ("unknown", "at least 224"),
    ],
)
def test_notes_say_what_kind_of_answer_it_is(name, said) -> None:
    assert said in render(rfcalc.analyze(NETWORKS[name]), "rich", View(width=200))


def test_assumptions_are_told() -> None:
    text = render(rfcalc.analyze("conv3-64 > maxpool2"), "plain")
    assert "assumed: the input is 3x224x224" in text
    assert "conv: stride 1, padding that keeps the size at stride 1" in text
    assert "running statistics" in render(rfcalc.analyze("vgg16-bn"), "plain")


def test_print_and_notebook() -> None:
    report = rfcalc.analyze("vgg16")
    assert str(report) == render(report, "plain")
    assert "<table" in report._repr_html_() and "<style" not in report._repr_html_()  # notebooks drop style sheets
    assert "138,357,544" in repr(report)


@pytest.mark.parametrize(
    ("view", "form", "words"),
    [
        (View(columns=("parms",)), "plain", ["parms", "did you mean params"]),
        (View(at="pool6"), "plain", ["pool6", "did you mean pool"]),
        (View(), "pdf", ["pdf", *FORMATS]),
    ],
)
def test_unknown_names_suggest(view, form, words) -> None:
    with pytest.raises(RfcalcError) as caught:
        render(rfcalc.analyze("vgg16"), form, view)
    assert all(word in str(caught.value) for word in words)


# --- colour -----------------------------------------------------------------------------------------------------------


def luminance(color: str) -> float:
    """Relative luminance of ``rgb(r,g,b)`` (WCAG 2)."""
    channels = [int(c) / 255 for c in re.findall(r"\d+", color)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def test_colours_are_readable_on_light_and_dark() -> None:
    from rfcalc.render import terminal

    styles = [*terminal.STYLES.values(), *terminal.MARKS.values(), terminal.HEADING, terminal.SOFT]
    colors = {c for style in styles for c in re.findall(r"rgb\([\d,]+\)", style)}
    assert len(colors) > 4
    assert all(min(contrast(luminance(c), 0), contrast(luminance(c), 1)) >= 4.5 for c in colors)
    assert not any(re.search("green|red|cyan|yellow|dim|blue", style) for style in styles)
    ink, paper = re.findall(r"rgb\([\d,]+\)", terminal.BAR)
    assert contrast(luminance(ink), luminance(paper)) >= 4.5
    assert contrast(luminance("rgb(0,128,0)"), 0) < 4.5  # the control: plain green on black


def test_whole_numbers_stay_whole_in_data_frames() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    report = rfcalc.analyze("resnet18")
    frame, other = report.to_pandas(), report.to_polars()
    assert frame["params"].isna()[0]  # the input has none
    for name in ("receptive_field", "stride", "params", "macs", "bytes"):
        assert pandas.api.types.is_integer_dtype(frame[name].dtype), name
        assert other.schema[name] == polars.Int64, name
    assert int(frame["params"].sum()) == other["params"].sum() == report.totals.params
    shares = report.to_pandas(["name", "macs_share"])["macs_share"]
    assert abs(shares.sum() - 1) < 1e-12
    assert report.to_polars(["macs_share"]).schema["macs_share"] == polars.Float64


def of_256(number: int) -> str:
    """A colour of the 256: a cube of 6 levels, then greys."""
    if number >= 232:
        return f"rgb({8 + 10 * (number - 232)},{8 + 10 * (number - 232)},{8 + 10 * (number - 232)})"
    levels = (0, 95, 135, 175, 215, 255)
    return "rgb({},{},{})".format(*(levels[(number - 16) // step % 6] for step in (36, 6, 1)))


def test_256_colours_are_readable_on_light_and_dark(monkeypatch, capsys) -> None:
    from rfcalc.render import terminal

    styles = [*terminal.STYLES.values(), *terminal.MARKS.values(), terminal.HEADING, terminal.SOFT]
    texts = {";".join(re.findall(r"\d+", c)) for style in styles for c in re.findall(r"rgb\([\d,]+\)", style)}
    for text in texts:
        shown = luminance(of_256(terminal.OF_256[text]))
        assert min(contrast(shown, 0), contrast(shown, 1)) >= 4.5
    ink, paper = ("255;255;255", "38;70;110")
    assert contrast(*(luminance(of_256(terminal.OF_256[c])) for c in (ink, paper))) >= 4.5
    assert contrast(luminance(of_256(242)), 0) < 4.5  # the control: the grey that is nearest to ours
    monkeypatch.setenv("FORCE_COLOR", "1")
    for given, sign in (("truecolor", "8;2;"), ("", "8;5;")):
        monkeypatch.setenv("COLORTERM", given)
        for line in (
            ["table", "vgg11"],
            ["rf", "vgg11", "pool3"],
            ["explain", "vgg11", "pool3", "rf"],
            ["table", "vgg111"],
        ):
            run(line)
            said = capsys.readouterr()
            found = set(re.findall(r"[34](8;[25];)", said.out + said.err))
            assert found == {sign}, line


@pytest.mark.parametrize(
    ("environment", "colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_where_it_is_asked_for(environment, colored, monkeypatch, capsys) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(["table", "vgg11"]) == 0
    assert ("\x1b[" in capsys.readouterr().out) is colored
    assert run(["table", "vgg111"]) == 2
    assert ("\x1b[" in capsys.readouterr().err) is colored


def test_the_columns_there_are(capsys) -> None:
    assert run(["columns", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, schema("columns"))
    assert [m["name"] for m in found["metrics"]] == [m.name for m in METRICS.values()]
    for metric in found["metrics"]:
        if "layers" in metric["of"]:
            assert run(["table", "conv3-8", "--columns", metric["name"]]) == 0


# --- trees, order, shares -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
@pytest.mark.parametrize("name", ["vgg16", "resnet50", "googlenet", "unet", "densenet121"])
def test_every_level_of_a_tree_sums_to_the_totals(name: str, depth: int) -> None:
    report = rfcalc.analyze(name)
    for fold in (None, False):
        view = table.View(("name", "params", "macs", "params_share"), depth=depth, fold=fold)
        found = table.table(report, view)
        column = [c.name or c.title for c in found.columns].index("params")
        tops = [line for line in found.lines if not str(line.cells[0].text).startswith(" ")]
        assert sum(line.cells[column].value or 0 for line in tops) == report.totals.params
        assert sum(line.cells[column + 1].value or 0 for line in tops) == report.totals.macs
        assert sum(line.cells[column + 2].value or 0 for line in tops) == pytest.approx(1)
        if depth == 9:  # everything is there: the innermost rows sum to the totals too
            leaves = [line for line in found.lines if not line.role]
            assert sum(line.cells[column].value or 0 for line in leaves) == report.totals.params


class Outer(nn.Module):
    """Blocks whose sums stand outside of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)) for _ in range(5)
        )
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        out: torch.Tensor = self.head(x.mean((2, 3)))
        return out


def test_blocks_with_sums_between_them_fold() -> None:
    report = rfcalc.analyze(rfcalc.from_torch(Outer(), "3x32x32").network)

    def rows(**view: Any) -> list[tuple[Any, ...]]:
        lines = table.table(report, table.View(("name", "params"), **view)).lines
        return [tuple(cell.text for cell in line.cells) for line in lines]

    assert [name for name, _ in rows(depth=1)] == ["stem", "blocks", "mean", "head"]
    assert rows(depth=2)[1:4] == [
        ("blocks", "", "11,760"),
        ("  0–4", "×5", "11,760"),
        ("  add … add_4", "×5", "–"),
    ]
    assert rows(depth=3)[3] == ("    0", "×5", "11,760")
    assert len(rows(depth=2, fold=False)) == len(rows(depth=2)) + 8


def test_copies_fold_at_every_level() -> None:
    """What a folded row shows is of all copies; nothing of it is shown twice."""
    report = rfcalc.analyze("resnet152")
    lines = table.table(report, table.View(("name", "params"), depth=3)).lines
    assert len(lines) < 60
    found = {line.cells[0].text: line for line in lines if line.cells[1].value == 35}
    assert set(found) == {"  1–35", *(f"    {name}" for name in ("conv1", "conv2", "conv3", "add"))}
    assert found["  1–35"].cells[2].value == sum(line.cells[2].value for name, line in found.items() if name[2] == " ")


def test_levels_of_a_tree_stand_further_in_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Leading spaces alone would be lost in a page, in Markdown and in LaTeX."""

    def line(form: str) -> str:
        assert run(["table", "resnet50", "--depth", "2", "--format", form]) == 0
        return next(x for x in capsys.readouterr().out.splitlines() if "maxpool" in x and "maxpool3" in x)

    assert "|  maxpool" not in line("markdown") and "| &emsp;maxpool " in line("markdown")
    assert line("latex").startswith(r"\quad maxpool &")
    assert '<th scope="row">  maxpool</th>' in line("html")
    assert run(["table", "resnet50", "--depth", "2", "--format", "html"]) == 0
    assert "white-space: pre;" in capsys.readouterr().out


def test_a_stages_subtotal_is_the_stages_whatever_is_shown() -> None:
    found = table.table(rfcalc.analyze("vgg16"), table.View(("name", "params"), at="fc6"))
    assert [line.cells[1].text for line in found.lines] == ["123,642,856", "102,764,544"]


def test_rows_by_a_metric() -> None:
    report = rfcalc.analyze("vgg16")

    def names(**view: object) -> list[object]:
        return [line.cells[0].text for line in table.table(report, table.View(("name",), **view)).lines]

    assert names(top=3) == ["fc6", "fc7", "fc8"]
    assert names(sort="-params")[-1] == "fc6"
    assert names(sort="memory", top=2) == ["conv1_1", "conv1_2"]
    assert names(sort="name")[:2] == ["conv1_1", "conv1_2"]
    assert names(sort="macs", depth=1)[:2] == ["block 3", "block 4"]
    for view in ({"depth": 0}, {"top": 0}, {"sort": "peak"}):
        with pytest.raises(RfcalcError):
            names(**view)
    with pytest.raises(RfcalcError, match="did you mean"):
        names(sort="parms")


def test_copies_in_one_line_are_summed() -> None:
    report = rfcalc.analyze("resnet152")
    for fold in (True, False):
        found = table.table(report, table.View(("name", "params", "macs"), fold=fold))
        at = [c.name or c.title for c in found.columns].index("params")
        lines = [line for line in found.lines if not line.heading]
        assert sum(line.cells[at].value or 0 for line in lines) == report.totals.params
    assert len(table.table(report, table.View()).lines) <= 80
