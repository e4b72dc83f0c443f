"""`rfcalc grade`: synthetic students, the ways people write tables, designs, and what strangers may hand in."""

from __future__ import annotations

import csv
import io
import json
from fractions import Fraction
from pathlib import Path
from random import Random

import jsonschema
import pytest

import rfcalc
from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError
from rfcalc.report import schemas
from rfcalc.teaching.case import right
from rfcalc.teaching.cells import numbers, sizes
from rfcalc.teaching.exercises.words import dims, number
from rfcalc.teaching.grading.marking import ADDED, Key
from rfcalc.teaching.grading.reading import LARGEST, decoded, grid
from rfcalc.teaching.misconceptions import MISCONCEPTIONS, Misconception, fill, ordered

FIGURES = ("output_shape", "receptive_field", "stride", "params", "weights", "macs", "values")
CHAINS = {
    "plain": ("conv5-8 p0 > maxpool3/2 > conv3-16/2 > conv3-16 d2 > avgpool2 > conv1-32 > conv3-8 p0", "3x96x96"),
    "net": ("conv7-16/2 > maxpool3/2 p1 > conv3-32 p0 > conv3-32 g4 > maxpool2 > conv3-64/2 p1", "3x129x129"),
    "lenet": ("conv5-6 p0 > avgpool2 > conv5-16 p0 > avgpool2 > flatten > fc120 > fc84 > fc10", "1x32x32"),
    "branch": ("conv3-8 > (conv1-8 | conv3-4 > conv3-8 d2 | maxpool3/1 p1) > maxpool2 > conv3-16", "3x32x32"),
}


def written(value: object) -> str:
    """A figure as a student types it."""
    if isinstance(value, tuple):
        return dims(value)
    return number(value)


def sheet(
    report: rfcalc.Report, mistakes: dict[int, dict[str, object]], carried: dict[int, Misconception]
) -> list[list[str]]:
    """A student's table: mistakes of maps and fields are carried forward, numbers of single cells are put in."""
    rows = [["layer", *FIGURES]]
    for position, (row, made) in enumerate(zip(report, fill(report, carried), strict=True), report.network.arity):
        cells = []
        for figure in FIGURES:
            value = made.figure(figure) if figure not in mistakes.get(position, {}) else mistakes[position][figure]
            cells.append("" if value is None else written(value))
        rows.append([row.name, *cells])
    return rows


def text(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {name: Key(rfcalc.analyze(target, shape)) for name, (target, shape) in CHAINS.items()}


def statuses(key: Key, rows: list[list[str]]) -> dict[str, object]:
    return {row.node: row for row in key.mark(text(rows)).rows}


@pytest.mark.parametrize("name", CHAINS)
def test_a_right_table_gets_all_marks(keys: dict[str, Key], name: str) -> None:
    key = keys[name]
    grade = key.mark(text(sheet(key.report, {}, {})))
    assert grade.strict == grade.carried == grade.cells > 10
    assert {row.status for row in grade.rows} == {"right"}
    assert grade.first_wrong is None


@pytest.mark.parametrize("target", ["vgg16", "resnet18", "googlenet", "mobilenet-v2", "densenet121", "lenet5", "unet"])
def test_what_rfcalc_prints_gets_all_marks(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns = "name,output,rf,stride,params,weights,biases,macs,values,bytes"
    assert run(["table", target, "--format", "csv", "--columns", columns]) == 0
    grade = Key(rfcalc.analyze(target)).mark(capsys.readouterr().out)
    assert grade.strict == grade.cells > 50, [r for r in grade.rows if r.status != "right"][:2]


def injections(key: Key, draw: Random) -> tuple[int, Misconception, str, object] | None:
    """A row, a misconception and a figure for which it makes a difference there."""
    report = key.report
    made = fill(report, {})
    positions = list(range(report.network.arity, len(report.shapes)))
    position = draw.choice(positions)
    case = made[position - report.network.arity].case
    one = draw.choice(ordered())
    figures = [f for f in FIGURES if one.wrong(case, f) and key.truth(position, f) is not None]
    if not figures:
        return None
    figure = draw.choice(figures)
    return position, one, figure, one.wrong(case, figure)[0]


CARRIED = ("output_shape", "receptive_field", "stride")


def student(key: Key, found: list[tuple[int, Misconception, str, object]]) -> list[list[str]] | None:
    """The table of a student who makes these mistakes; None if it cannot be filled in further."""
    carried = {p: one for p, one, figure, _ in found if figure in CARRIED}
    single = {p: {figure: value} for p, one, figure, value in found if figure not in CARRIED}
    try:
        made = fill(key.report, carried)
        for p, one, figure, _ in found:
            if figure not in CARRIED:
                case = made[p - key.report.network.arity].case
                values = one.wrong(case, figure)
                if not values or values[0] == right(case, figure):
                    return None
                single[p] = {figure: values[0]}
        return sheet(key.report, single, carried)
    except RfcalcError:
        return None


def test_misconceptions_at_random_rows_are_found_and_named(keys: dict[str, Key]) -> None:
    draw = Random(20240611)
    seen: set[str] = set()
    two = 0
    for turn in range(700):
        key = keys[draw.choice(sorted(CHAINS))]
        found = [x for x in (injections(key, draw) for _ in range(1 + turn % 2)) if x is not None]
        if not found or len({p for p, *_ in found}) < len(found):
            continue
        found.sort(key=lambda x: x[0])
        rows = student(key, found)
        if rows is None or any("." in c or "/" in c for row in rows[1:] for c in row[1:]):
            continue
        grade = key.mark(text(rows))
        names = {row.node: row for row in grade.rows}
        nodes = key.report.network.nodes
        first = nodes[found[0][0] - key.report.network.arity].name
        told = f"{turn}: {[(p, m.name, f) for p, m, f, _ in found]}"
        # a mistake that the student's own numbers hide (it gives what is right again) is none to be found
        wrong = {row.node for row in grade.rows if row.status == "wrong"}
        assert grade.first_wrong is not None, told
        assert grade.first_wrong.node == first, told
        injected = {nodes[p - key.report.network.arity].name for p, *_ in found}
        assert wrong <= injected, told
        for p, one, _figure, _ in found:
            row = names[nodes[p - key.report.network.arity].name]
            if row.status == "wrong":
                assert one in row.by, told
                seen.add(one.name)
        two += len(wrong) == 2
    assert len(seen) > 25
    assert two > 20


FOLDED = {  # rows with an activation, normalisation or dropout behind them; those are no rows of a student's table
    "folded": ("conv5-8 bn relu > maxpool2 > conv3-16/2 relu > conv3-16 d2 bn > avgpool2 > conv1-8 relu", "3x64x64"),
    "folded-dense": ("conv3-8 p0 relu > maxpool2 > conv5-12 bn relu > flatten > fc20 relu dropout > fc10", "1x32x32"),
    "folded-deep": (
        "conv3-8 relu > dwconv3 bn relu > conv1-16 bn > maxpool3/2 p1 > conv3-16 g2 relu > conv3-8",
        "3x48x48",
    ),
    "up": ("conv3-8 relu > maxpool2 > conv3-16 relu > up2 > conv3-8 relu", "3x32x32"),
    "transposed": ("conv3-8/2 relu > conv3-16/2 bn relu > convT2-8/2 relu > convT4-4/2 p1 > conv1-2", "1x32x32"),
    "signal": ("conv9-8/2 relu > maxpool2 > conv5-16 d2 bn relu > conv3-16 d4 relu > avgpool4", "1x400"),
    "volume": ("conv3-8 relu > maxpool2 > conv3-16/2 bn relu > conv1-4", "1x16x24x24"),
    "global": ("conv7-16/2 bn relu > maxpool3/2 p1 > conv1-32 bn relu > globalavgpool > flatten > fc10", "3x64x64"),
}


def test_students_with_up_to_three_mistakes_in_every_kind_of_row_are_read() -> None:
    """300 students, folded rows too: no crash, the first wrong row is named, and the misconception behind each."""
    tables = {name: Key(rfcalc.analyze(*network)) for name, network in (CHAINS | FOLDED).items()}
    draw = Random(20251129)
    students, kinds, several = 0, set(), 0
    while students < 300:
        key = tables[draw.choice(sorted(tables))]
        arity, nodes = key.report.network.arity, key.report.network.nodes
        shown = [n.name for n in nodes if not (n.layer.folds or n.layer.stem in ("relu", "dropout"))]
        found = [x for x in (injections(key, draw) for _ in range(1 + students % 3)) if x is not None]
        found = sorted((x for x in found if nodes[x[0] - arity].name in shown), key=lambda x: x[0])
        if not found or len({p for p, *_ in found}) < len(found):
            continue
        rows = student(key, found)
        if rows is None or any("." in c or "/" in c for row in rows[1:] for c in row[1:]):
            continue
        right_rows = sheet(key.report, {}, {})
        if rows == right_rows:  # a size that is not rounded cannot be gone on from
            continue
        if any(
            not a and b for mine, right in zip(rows, right_rows, strict=True) for a, b in zip(mine, right, strict=True)
        ):
            continue  # half a pixel, behind an upsampling, cannot be gone on from
        rows = [row for row in rows if row[0] == "layer" or row[0] in shown]
        grade = key.mark(text(rows))
        told = f"{students}: {[(nodes[p - arity].name, m.name, f) for p, m, f, _ in found]}"
        assert grade.first_wrong is not None, told
        assert grade.first_wrong.node == nodes[found[0][0] - arity].name, told
        marked = {row.node: row for row in grade.rows}
        wrong = {row.node for row in grade.rows if row.status == "wrong"}
        assert wrong <= {nodes[p - arity].name for p, *_ in found}, told
        for p, one, _figure, _ in found:
            row = marked[nodes[p - arity].name]
            assert row.status != "wrong" or one in row.by, told
        students += 1
        several += len(wrong) > 1
        kinds |= {nodes[p - arity].layer.stem for p, *_ in found}
    assert kinds >= {"conv", "depthwise", "maxpool", "avgpool", "linear", "concat"} and several > 25, kinds
    assert kinds >= {"upsample", "conv_transpose"}, kinds


@pytest.mark.parametrize("network", ["up", "transposed"])
def test_a_wrong_field_is_carried_through_upsampling(network: str) -> None:
    """Rows behind an upsampling or a transposed convolution follow from the student's own numbers, as others do."""
    key = Key(rfcalc.analyze(*FOLDED[network]))
    own = MISCONCEPTIONS["own-stride-in-growth"]
    rows = sheet(key.report, {}, {3 if network == "up" else 1: own})
    assert [c for row in rows[1:] for c in row[1:4] if not c] == []
    grade = key.mark(text(rows))
    first = 2 if network == "up" else 0
    statuses = [r.status for r in grade.rows]
    assert statuses[:first] == ["right"] * first and statuses[first] == "wrong" and own in grade.rows[first].by
    assert set(statuses[first + 1 :]) == {"consistent"}


def test_control_a_student_who_does_not_go_on_from_the_mistake_is_not_consistent(keys: dict[str, Key]) -> None:
    key = keys["plain"]
    own = MISCONCEPTIONS["own-stride-in-growth"]
    rows = sheet(key.report, {}, {2: own})
    assert [r.status for r in key.mark(text(rows)).rows][:3] == ["right", "wrong", "consistent"]
    rows[3][2] = number(int(rows[3][2].split("x")[0]) + 1)
    assert [r.status for r in key.mark(text(rows)).rows][:3] == ["right", "wrong", "wrong"]


def test_a_table_that_goes_wrong_twice_and_is_consistent_in_between() -> None:
    """The case of a public GoogLeNet table: 13 for 11 in row 2, carried on."""
    report = rfcalc.analyze(
        "conv7-8/2 > maxpool3/2 p1 > conv1-8 > conv3-8 > maxpool3/2 p1 > conv3-8 > conv3-8", "3x224x224"
    )
    key = Key(report)
    table = "layer,rf\nconv1,7\nmaxpool1,13\nconv2,13\nconv3,21\nmaxpool2,29\nconv4,49\nconv5,65"
    grade = key.mark(table)
    assert [r.status for r in grade.rows] == [
        "right",
        "wrong",
        "consistent",
        "consistent",
        "consistent",
        "wrong",
        "consistent",
    ]
    assert (grade.strict, grade.carried, grade.cells) == (1, 5, 7)


def test_totals_of_the_students_own_numbers_follow() -> None:
    key = Key(rfcalc.analyze("conv3-8 > conv3-8", "3x32x32"))
    grade = key.mark("layer,params\nconv1,216\nconv2,584\ntotal,800")
    assert [r.status for r in grade.rows] == ["wrong", "right", "consistent"]
    assert grade.rows[0].by[0].name == "bias-forgotten"
    assert key.mark("layer,params\nconv1,224\nconv2,584\ntotal,808").strict == 3


def test_a_wrong_map_is_carried_into_params_and_multiply_adds() -> None:
    key = Key(rfcalc.analyze("conv3-8 > flatten > fc10", "3x8x8"))
    grade = key.mark("layer,output,params,macs\nconv1,8x6x6,224,7776\nflatten,288,0,\nfc1,10,2890,2880\n")
    assert [[c.status for c in r.cells] for r in grade.rows] == [
        ["wrong", "right", "consistent"],
        ["consistent", "right", "right"],
        ["right", "consistent", "consistent"],
    ]


@pytest.mark.parametrize(
    ("written_as", "value", "fits"),
    [
        ("1,728", 1728, True),
        ("1.728", 1728, True),
        ("1 728", 1728, True),
        ("138.357.544", 138357544, True),
        ("3.2M", 3211264, True),
        ("3,2M", 3211264, True),
        ("3.2M", 3300000, False),
        ("3.21 million", 3211264, False),
        ("14.7K", 14714, True),
        ("1.85G", 1849688064, True),
        ("12.8 MB", 12845056, True),
        ("12.25 MiB", 12845056, True),
        ("12.25 MB", 12845056, False),
        ("1.8e9", 1849688064, True),
        ("1.8e3", 1790, True),
        ("1.8 x 10^3", 1790, True),
        ("=1728", 1728, False),
        ("-5", 5, False),
        ("9" * 5000, 9, False),
    ],
)
def test_numbers_as_people_write_them(written_as: str, value: int, fits: bool) -> None:
    assert any(n.fits(value) for n in numbers(written_as)) == fits


def test_a_unit_in_the_head_of_a_column() -> None:
    key = Key(rfcalc.analyze("conv3-64 > conv3-64", "3x224x224"))
    grade = key.mark("Layer;Params (K);Memory [MiB]\nconv1;1,8;12,25\nconv2;36.9;12.25")
    assert grade.strict == grade.cells == 4
    grade = key.mark("Layer;Memory (MB)\nconv1;12,25\nconv2;12.8")
    assert grade.rows[0].by[0].name == "mebibytes-for-megabytes"


@pytest.mark.parametrize(
    "shape",
    ["64x112x112", "112x112x64", "(64, 112, 112)", "[1, 64, 112, 112]", "(None, 112, 112, 64)", "64@112×112",
     "112 x 112", "112"],
)  # fmt: skip
def test_shapes_as_people_write_them(shape: str) -> None:
    key = Key(rfcalc.analyze("conv7-64/2", "3x224x224"))
    assert key.mark(f"layer\toutput\nconv1\t{shape}").strict == 1
    assert key.mark(f"layer\toutput\nconv1\t{shape.replace('112', '113')}").strict == 0


def test_shapes_in_columns_of_their_own() -> None:
    key = Key(rfcalc.analyze("conv7-64/2 > maxpool2", "3x224x224"))
    grade = key.mark("layer,height,width,channels\nconv1,112,112,64\nmaxpool1,56,56,32")
    assert [c.status for c in grade.rows[1].cells] == ["right", "right", "wrong"]
    assert grade.rows[1].by[0].name == "pooling-changes-depth"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    table = "layer;output;rf\r\nconv1;64×112×112;7\r\nmaxpool1;64×56×56;9\r\n"
    (tmp_path / "größe.csv").write_bytes(table.encode(encoding))
    assert run(["grade", str(tmp_path / "größe.csv"), "--network", "conv7-64/2 > maxpool2"]) == 0


def test_markdown_around_a_table_is_left_out() -> None:
    key = Key(rfcalc.analyze("conv3-8 > maxpool2", "3x32x32"))
    page = (
        "# Homework\n\nby Ada\n\n| Layer | **RF** |\n|:--|--:|\n| `conv1` | 3 |\n| maxpool_1 | 4 |\n\nDone | really.\n"
    )
    assert key.mark(page).strict == 2


def test_rows_without_names_are_taken_in_order_and_it_is_said() -> None:
    key = Key(rfcalc.analyze("conv3-8 relu > maxpool2", "3x32x32"))
    grade = key.mark("#,rf\n1,3\n2,4")
    assert grade.strict == 2
    assert "in order" in " ".join(grade.notes)
    with pytest.raises(RfcalcError, match="which layers"):
        key.mark("layer,rf\na,3\nb,4\nc,5\nd,6")


def test_missing_rows_and_columns_cost_marks() -> None:
    report = rfcalc.analyze("conv3-8 > maxpool2 > conv3-8", "3x32x32")
    grade = Key(report).mark("layer,rf\nconv1,3")
    assert (grade.strict, grade.cells, grade.missing) == (1, 3, ("maxpool1", "conv2"))
    assert Key(report, "given").mark("layer,rf\nconv1,3").cells == 1
    assert Key(report, "conv1", ("receptive_field", "params")).mark("layer,rf\nconv1,3").cells == 2


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04rest", "not a text"),
        (b"", "no table"),
        (b"\x00\x01\x02" * 50, "not a text"),
        (b"layer,rf\n", "no table"),
        (b"layer,colour\nconv1,red\n", "no column"),
        (b"a" * (LARGEST + 1), "too large"),
        (b"x,rf\n" + b"1,2\n" * 90_000, "too long"),
        (b"rf," * 300 + b"\n" + b"1," * 300, "too wide"),
        (b"layer,rf,receptive field\nconv1,3,3", "two columns"),
        (b'layer,rf\n"' + b"x" * 200_000, "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(
    data: bytes, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    assert run(["grade", str(tmp_path / "t.csv"), "--network", "vgg16"]) == 2
    assert what in capsys.readouterr().err


def test_thousands_of_rows() -> None:
    key = Key(rfcalc.analyze("conv3-8 x3000", "8x9x9"))
    grade = key.mark("layer,rf,output\n" + "\n".join(f"conv{i},{2 * i + 3},8x9x9" for i in range(1, 3001)))
    assert (grade.strict, grade.carried, grade.cells) == (3000, 5999, 6000)


def test_nothing_a_student_writes_is_markup_or_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = tmp_path / "=cmd<b>.csv"
    evil.write_text('layer,rf\nconv1,"=HYPERLINK(""http://x"",""y"")"\nmaxpool1,<script>alert(1)</script>|\x1b[31m\n')
    for form in ("csv", "markdown", "text", "json"):
        assert run(["grade", str(evil), "--network", "conv3-8 > maxpool2", "--format", form]) == 1
        out = capsys.readouterr().out
        assert "\x1b" not in out
        if form == "markdown":
            assert "<script>" not in out.replace("\\<", "")
            assert "\\<script\\>" in out
        if form == "csv":
            assert all(not cell.startswith("=") for row in csv.reader(io.StringIO(out)) for cell in row)
    assert run(["grade", str(tmp_path), "--network", "conv3-8 > maxpool2", "--format", "csv"]) == 1
    assert "\n'=cmd<b>.csv," in capsys.readouterr().out


def test_a_folder_of_students(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ada.csv").write_text("layer,rf\nconv1,3\nmaxpool1,4\n")
    (tmp_path / "bob.md").write_text("| layer | rf |\n|--|--|\n| conv1 | 3 |\n| maxpool1 | 5 |\n")
    (tmp_path / "eve.csv").write_bytes(b"PK\x03\x04")
    (tmp_path / ".hidden.csv").write_text("x")
    args = ["grade", str(tmp_path), "--network", "conv3-8 > maxpool2"]
    assert run([*args, "--format", "json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [r["student"] for r in found["results"]] == ["ada.csv", "bob.md", "eve.csv"]
    assert [bool(r["error"]) for r in found["results"]] == [False, False, True]
    (tmp_path / "eve.csv").unlink()
    assert run(args) == 1
    assert run([*args, "--pass", "50"]) == 0
    assert "\r" not in capsys.readouterr().err
    (tmp_path / "bob.md").unlink()
    assert run(args) == 0


def test_the_json_follows_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = schemas.schema("grade")
    (tmp_path / "a.csv").write_text("layer,rf,note\nconv1,3,x\nmaxpool1,5,y\n")
    documents = []
    for args in (["--network", "conv3-8 > maxpool2 > conv3-8"], ["--require", "rf > 8, some(pool)"]):
        given = str(tmp_path / "a.csv") if "--network" in args else "conv3-8 > conv3-8"
        assert run(["grade", given, *args, "--format", "json"]) == 1
        documents.append(json.loads(capsys.readouterr().out))
        jsonschema.validate(documents[-1], schema)
    documents[0]["results"][0]["table"]["rows"][0]["status"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(documents[0], schema)


DESIGN = "rf > 44, params < 200k, none(pool), count(conv stride=2) = 3, some(conv dilation>1)"


def test_a_design_passes_or_fails_with_the_nearest_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "design.toml"
    good.write_text('layers = "conv3-16/2 relu > conv3-32/2 relu > conv3-64/2 relu > conv3-64 d2 relu > conv3-64"\n')
    assert run(["grade", str(good), "--require", DESIGN, "--input", "3x32x32"]) == 0
    assert "pass" in capsys.readouterr().out
    bad = "conv3-16/2 > maxpool2 > conv3-64"
    assert run(["grade", bad, "--require", DESIGN, "--input", "3x32x32", "--format", "csv"]) == 1
    found = {row["constraint"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert {k: r["nearest"] for k, r in found.items()} == {
        "rf > 44": "rf > 12",
        "params < 200k": "",
        "none(pool)": "count(pool) = 1",
        "count(conv stride=2) = 3": "count(conv stride=2) = 1",
        "some(conv dilation>1)": "none(conv dilation>1)",
    }
    nearest = ", ".join(r["nearest"] for r in found.values() if r["nearest"])
    assert run(["grade", bad, "--require", nearest, "--input", "3x32x32"]) == 0


def test_the_nearest_bounds_hold_and_are_the_nearest() -> None:
    from rfcalc.report.constraints import parse
    from rfcalc.teaching.grading.designs import judge

    design = "conv3x5-8/2 > conv3-8"
    for bound in ("rf < 2", "rf <= 2", "rf > 99", "rf >= 99", "rf = 3", "rf@conv1 > 9", "params = 3", "output = 1x2x3"):
        (one,) = judge(design, parse(bound), "3x32x32").bounds
        assert not one.holds
        assert one.nearest
        assert judge(design, parse(one.nearest), "3x32x32").passed, one.nearest
    (low,) = judge(design, parse("rf > 99"), "3x32x32").bounds
    stricter = low.nearest.replace(low.nearest.split()[-1], str(int(low.nearest.split()[-1]) + 1))
    assert not judge(design, parse(stricter), "3x32x32").passed
    assert "unknown node" in judge(design, parse("rf@conv7 > 3")).bounds[0].figure


@pytest.mark.parametrize(
    "given", ["py:os:getcwd", "evil.py:net", "evil.py", "model.onnx", "model.keras", " py:os:name"]
)
def test_a_design_is_never_code(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w')\nnet = None\n")
    (tmp_path / "d.txt").write_text("py:evil:net")
    (tmp_path / "d.toml").write_text('layers = "evil.py:net"\n')
    for one in (given, "d.txt", "d.toml"):
        assert run(["grade", one, "--require", "params < 1"]) == 2
    assert not (tmp_path / "ran").exists()


def test_bad_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("layer,rf\nconv1_1,3\n")
    table = str(tmp_path / "a.csv")
    for args, what in (
        ([table], "--network"),
        ([table, "--network", "vgg16", "--require", "rf > 3"], "not both"),
        ([table, "--network", "vgg61"], "vgg16"),
        ([table, "--network", "vgg16", "--rows", "conv9"], "unknown row"),
        ([table, "--network", "vgg16", "--columns", "colour"], "unknown column"),
        ([table, "--network", "vgg16", "--format", "pdf"], "unknown format"),
        (["conv3-8", "--require", "rf ~ 3"], "constraint"),
        (["conv3-8", "--require", "some(convv)"], "conv"),
        (["none.csv", "--network", "vgg16"], "no such file"),
        (["none.toml", "--require", "rf > 1"], "no such file"),
    ):
        assert run(["grade", *args]) == 2, args
        assert what in capsys.readouterr().err


def test_sizes_and_text_of_strangers() -> None:
    assert sizes("4.5x4.5") == (Fraction(9, 2), Fraction(9, 2))
    assert sizes("x" * 1000) == sizes("1e9x3") == sizes("__import__('os')") == ()
    assert decoded("é".encode()) == decoded(b"\xe9") == "é"
    assert grid("sep=;\nlayer;rf\nconv1;3").lines[0].cells == ("conv1", "3")
    assert set(ADDED) <= {"weights", "biases", "params", "buffers", "macs", "flops"}


def test_what_is_asked_for() -> None:
    key = Key(rfcalc.analyze("conv3-8 > flatten > fc10", "3x8x8"))
    assert key.mark("layer,params\nconv1,224\nlinear1,5130").cells == 2  # a flatten is asked of nobody
    key = Key(rfcalc.analyze("googlenet"))
    block = sum(row.params for row in key.report if row.name.startswith("3a."))
    grade = key.mark(f"layer,output,params\ninception (3a),28x28x256,{block}\nconv1,112x112x64,9472")
    assert [r.status for r in grade.rows if r.line] == ["right", "right"]
    assert not any(name.startswith("3a.") for name in grade.missing)
    assert "3b.1x1" in grade.missing


@pytest.mark.parametrize("figure", ["rf", "stride", "output", "params", "weights", "biases", "macs", "values", "bytes"])
@pytest.mark.parametrize("network", ["conv3-8 relu", "conv3-8 bn relu dropout > maxpool2 > conv3-8/2 relu"])
def test_a_wrong_number_in_a_row_with_folded_layers_is_marked(network: str, figure: str) -> None:
    key = Key(rfcalc.analyze(network, "3x32x32"))
    for value in ("4", "7", "8x16x16", "1x1", "100", "64x32x32"):
        grade = key.mark(f"layer,{figure}\nconv1,{value}\n")
        assert grade.cells
        assert next(row for row in grade.rows if row.node == "conv1").status in ("right", "wrong", "consistent")


# --- heads in other languages, shapes and units as frameworks print them, the class as a whole ------------------------

SHORT = "conv5-8 p0 > maxpool2 > conv3-8 p0"
SPOKEN = {
    "de": "Schicht;Ausgabegröße;Rezeptives Feld;Schrittweite;Anzahl Parameter",
    "fr": "couche;taille de sortie;champ réceptif;pas;paramètres",
    "es": "capa;tamaño de salida;campo receptivo;paso;parámetros",
    "it": "strato;dimensione;campo recettivo;passo;parametri",
    "pt": "camada;saída;campo receptivo;passo;parâmetros",
    "ru": "слой;размер выхода;рецептивное поле;шаг;параметры",
    "zh": "层;输出尺寸;感受野;步长;参数量",
    "ja": "レイヤー;出力サイズ;受容野;ストライド;パラメータ数",
    "ko": "레이어;출력 크기;수용 영역;스트라이드;파라미터",
}


@pytest.mark.parametrize("language", SPOKEN)
def test_heads_in_other_languages(language: str) -> None:
    key = Key(rfcalc.analyze(SHORT, "3x32x32"))
    rows = "conv1;28x28x8;5 px;1;608\nmaxpool1;torch.Size([1, 8, 14, 14]);6 pixels;2;0\nconv2;(8, 12, 12);10px;2;584"
    grade = key.mark(f"{SPOKEN[language]}\n{rows}")
    assert grade.strict == grade.cells == 12, [c for r in grade.rows for c in r.cells if c.status != "right"]


def test_a_map_of_columns_says_which_is_which() -> None:
    table = "What;See;R\nconv1;5;99\nmaxpool1;6;99\nconv2;10;99\n"
    report = rfcalc.analyze(SHORT, "3x32x32")
    grade = Key(report, heads={"name": "What", "receptive_field": "see"}).mark(table)
    assert (grade.strict, grade.cells, [c.figure for c in grade.columns]) == (3, 3, ["receptive_field"])
    with pytest.raises(RfcalcError, match="no column has the head 'Sight'"):
        Key(report, heads={"receptive_field": "Sight"}).mark(table)


def test_the_same_mistake_costs_once_or_each_time() -> None:
    report = rfcalc.analyze("conv3-8 > conv3-8 > conv3-8", "3x32x32")
    table = "layer,params\nconv1,216\nconv2,576\nconv3,576\n"  # the biases are forgotten three times
    each, once = Key(report).mark(table), Key(report, once=True).mark(table)
    assert (each.strict, each.carried, once.strict, once.carried) == (0, 0, 0, 2)
    assert [r.status for r in once.rows] == ["wrong", "repeated", "repeated"]


def test_a_class_is_reported_by_mistake_and_by_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rf in {"ada": (5, 6, 10), "bob": (5, 7, 11), "cleo": (5, 7, 11), "dan": (4, 5, 9)}.items():
        lines = "\n".join(f"{n},{r}" for n, r in zip(("conv1", "maxpool1", "conv2"), rf, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"layer,rf\n{lines}\n")
    (tmp_path / "eve.csv").write_bytes(b"PK\x03\x04")
    assert run(["grade", str(tmp_path), "--network", SHORT, "--input", "3x32x32", "--format", "json"]) == 2
    found = json.loads(capsys.readouterr().out)
    schema = schemas.schema("grade")
    jsonschema.validate(found, schema)
    first = found["class"]["mistakes"][0]
    assert (first["name"], first["students"], first["rows"]) == (
        "own-stride-in-growth",
        ["bob.csv", "cleo.csv"],
        {"maxpool1": 2},
    )
    rows = {r["row"]: r for r in found["class"]["rows"]}
    assert [rows[n]["right"] for n in ("conv1", "maxpool1", "conv2")] == [3, 1, 1]
    assert rows["maxpool1"]["commonest"].startswith("a layer's own stride")


@pytest.mark.parametrize(
    "shape", ["torch.Size([1, 64, 112, 112])", "tf.TensorShape([None, 112, 112, 64])", "(64,112,112)"]
)
def test_a_shape_without_quotes_in_a_table_with_commas_is_one_cell(shape: str) -> None:
    key = Key(rfcalc.analyze("conv7-64/2", "3x224x224"))
    assert key.mark(f"layer,output,rf\nconv1,{shape},7").strict == 2
    assert key.mark(f"layer,output,rf\nconv1,{shape},6").strict == 1
    assert key.mark("layer,note,rf,stride\nconv1,:(,7,:)").strict == 1  # brackets of no shape
    assert key.mark(f"layer,output (C, H, W),rf\nconv1,{shape},7").strict == 2
    assert key.mark(f"layer,output,rf\nconv1,{shape.rstrip(')]')},7").strict == 0  # never closed: as it stands


@pytest.mark.parametrize(
    "written_as", ["1507", "1,507", "1.507", "1 507 px", "1'507", "1507,0", "1507.0", "≈1507", "(1507, 1507)"]
)
def test_long_receptive_fields_as_people_write_them(written_as: str) -> None:
    key = Key(rfcalc.analyze("conv1507-1", "1x8x8"))
    assert key.mark(f"layer;rf\nconv1;{written_as}").strict == 1
    assert key.mark(f"layer;rf\nconv1;{written_as.replace('7', '8', 1)}").strict == 0


def test_a_batch_of_one_does_not_hide_that_a_table_writes_channels_last() -> None:
    key = Key(rfcalc.analyze("conv3-8 > maxpool2 > conv3-16", "3x32x32"))
    grade = key.mark("layer;output\nconv1;[1, 30, 30, 8]\nmaxpool1;[1, 15, 15, 8]\nconv2;[1, 15, 15, 16]")
    assert [row.cells[0].status for row in grade.rows] == ["wrong", "consistent", "consistent"]


def test_why_there_is_no_grade_is_told_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "eve.csv").write_text("nonsense")
    for form in ("csv", "markdown", "json"):
        assert run(["grade", str(tmp_path), "--network", SHORT, "--input", "3x32x32", "--format", form]) == 2
        assert "there is no table; why: a table is" in capsys.readouterr().out
