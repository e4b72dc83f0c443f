"""What a node sees: sentences, phases, holes, joins, influence, pictures, JSON; published values."""

from __future__ import annotations

import json
from math import isclose, sqrt

import jsonschema
import pytest

import rfcalc
from rfcalc import (
    Add,
    Conv,
    ConvTranspose,
    Flatten,
    GlobalPool,
    Identity,
    Linear,
    MaxPool,
    Network,
    Pad,
    Parameter,
    ReLU,
    RfcalcError,
    Unknown,
    Upsample,
    Var,
    parallel,
    receptive_field,
    ref,
    repeat,
)
from rfcalc.cli import run
from rfcalc.render.raster import raster, scaled
from rfcalc.report import schemas
from rfcalc.report.field_document import grid
from rfcalc.report.field_report import FieldReport


def sees(expr: rfcalc.Expr, shape: str, **options: str) -> FieldReport:
    return receptive_field(Network(expr, shape), **options)


def said(field_report: FieldReport) -> str:
    return "\n".join(field_report.sentences)


def test_a_plain_answer() -> None:
    text = said(receptive_field("vgg16", "pool5"))
    assert "212 x 212 pixels of the input, padding counted; neighbours are 32 pixels apart" in text
    assert "1 of the 7 x 7 units sees all of it in real pixels; the smallest region is 122 x 122" in text


def test_towards_an_earlier_node() -> None:
    field_report = receptive_field("vgg16", "conv5_3", source="pool4")
    assert (field_report.field.size, field_report.field.stride) == ((7, 7), (1, 1))
    with pytest.raises(RfcalcError, match="does not come after"):
        receptive_field("vgg16", "pool4", source="conv5_3")


def test_phases_have_sizes_units_and_reaches() -> None:
    # kernel 3, stride 2: even outputs read one position, odd ones two (or the other way round, by padding)
    field_report = sees(Conv(1, 3) >> ConvTranspose(1, 3, stride=2), "1x9")
    (phases,) = field_report.phases
    assert phases is not None
    assert [(p.size, p.units) for p in phases] == [(4, 8), (3, 7)]
    assert phases[1].ends == (0, 2)
    assert "the size depends on the position with period 2: 4 (8 units), 3 (7 units)" in said(field_report)


def test_the_papers_unet_has_phases_and_an_alignment() -> None:
    down = (Conv(4, 3) >> ReLU()) * 2
    inner = MaxPool(2) >> Conv(8, 3) * 2 >> ConvTranspose(4, 2, stride=2).named("up")
    field_report = sees(down.named("skip") >> inner >> parallel([ref("skip") >> Pad(-4), ref("up")], Add()), "1x44x44")
    assert field_report.field.status == "periodic"
    assert field_report.alignments[0][0] == "add1"
    assert "apart in their centres" in said(field_report)


def test_different_strides_are_told_with_both_paths() -> None:
    field_report = sees((MaxPool(2) >> Pad(((0, 8),))) + Identity(), "1x16")
    assert field_report.field.status == "shift_variant"
    assert "at add1 paths of different strides meet, pad1 with stride 2 and identity1 with stride 1" in said(
        field_report
    )
    assert field_report.unit((3,)).hull == ((3, 7),)


def test_holes_name_the_layer() -> None:
    field_report = sees(Conv(1, 3, padding=1) >> Conv(1, 3, dilation=4, padding=4).named("wide") >> ReLU(), "1x40x40")
    assert field_report.gridding is not None
    assert field_report.gridding[0] == "wide"
    assert "since wide (gridding)" in said(field_report)
    assert sees(Conv(1, 3, padding=1) * 3, "1x20x20").gridding is None


def test_nothing_unknown_and_missing_sizes() -> None:
    assert said(sees(Parameter((1, 4)) >> Conv(1, 3), "1x9")) == "conv1 depends on nothing of the input."
    assert "unknown1 was not understood" in said(sees(Unknown((1, 9)) >> Conv(1, 3), "1x9"))
    import sympy

    n = sympy.Symbol("n", positive=True, integer=True)
    field_report = receptive_field(Network(Conv(1, 3, stride=2, padding="SAME")), input=(1, n))
    assert "depends on the input size" in said(field_report)


def test_units_without_pixels_and_pixels_without_units() -> None:
    assert "3 of 7 units see no pixel at all" in said(sees(ConvTranspose(1, 1, stride=2), "1x4"))
    assert "4 pixels of the input reach no unit" in said(sees(Conv(1, 1, stride=2), "1x9"))


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 1, 1)] * 5,
        [(3, 1, 1), (2, 2, 1), (3, 1, 2), (5, 2, 1), (3, 1, 4)],
        [(7, 2, 1), (3, 2, 1), (1, 1, 1), (3, 1, 1)],
    ],
)
def test_the_effective_field_of_a_chain_has_the_known_variance(layers) -> None:
    expr: rfcalc.Expr = Identity()
    variance, jump = 0.0, 1
    for kernel, stride, dilation in layers:
        expr = expr >> Conv(1, kernel, stride=stride, dilation=dilation)
        variance += jump**2 * dilation**2 * (kernel**2 - 1) / 12
        jump *= stride
    (spread,) = sees(expr, "1x300").effective_field()
    assert spread is not None
    assert isclose(spread.sigma, sqrt(variance), rel_tol=1e-9)
    assert isclose(sum(spread.shares.values()), 1)


def test_the_effective_field_weighs_branches_equally() -> None:
    (spread,) = sees(Identity() + Conv(1, 3, padding=1), "1x9").effective_field()
    assert spread is not None
    assert {p: round(m, 9) for p, m in spread.shares.items()} == {
        3: round(1 / 6, 9),
        4: round(2 / 3, 9),
        5: round(1 / 6, 9),
    }
    assert spread.interval(0.6) == (4, 4)


def test_published_receptive_fields() -> None:
    assert sees(Conv(1, 3) * 3, "1x9x9").field.size == (7, 7)
    i = Var("i")
    block = repeat(Conv(8, 2, dilation=2**i), 10, i)
    assert sees(block, "8x1100").field.size == (1024,)
    assert sees(block * 3, "8x3100").field.size == (3070,)
    patch = Conv(64, 4, stride=2, padding=1) >> Conv(128, 4, stride=2, padding=1) >> Conv(256, 4, stride=2, padding=1)
    assert sees(patch >> Conv(512, 4, padding=1) >> Conv(1, 4, padding=1), "3x256x256").field.size == (70, 70)


def test_flattening_one_position_changes_nothing_about_being_global() -> None:
    pooled = Conv(4, 3) >> GlobalPool() >> Flatten() >> Linear(3)
    assert [row.receptive_field.status for row in rfcalc.analyze(Network(pooled, "1x9x9"))] == [
        "exact",
        "global",
        "global",
        "global",
    ]
    small = Conv(4, 3) >> Flatten() >> Linear(3)
    assert [row.receptive_field.size for row in rfcalc.analyze(Network(small, "1x3x3"))] == [(3, 3)] * 3
    assert rfcalc.analyze("resnet50")["fc"].receptive_field.status == "global"


@pytest.mark.parametrize(
    "field_report",
    [
        receptive_field("vgg16", "pool5"),
        receptive_field("vgg16"),
        sees((MaxPool(2) >> Pad(((0, 8),))) + Identity(), "1x16"),
        sees(Conv(1, 3) >> Upsample(2), "1x5x6x7"),
        sees(Unknown((1, 9)) >> Conv(1, 3), "1x9"),
    ],
    ids=lambda s: s.name,
)
def test_json_follows_its_schema(field_report) -> None:
    schema = schemas.schema("rf")
    jsonschema.validate(json.loads(json.dumps(field_report.to_dict())), schema)


def test_the_picture_marks_what_is_seen_and_what_is_clipped() -> None:
    lines = list(raster(grid(sees(Conv(1, 3, padding=1), "1x4x4"), (0, 0)), ascii_only=True))
    assert lines == ["---", "-##..", "-##..", " ....", " ....", "# seen  . not seen  - padding, clipped"]
    holes = next(raster(grid(sees(Conv(1, 3, dilation=2), "1x8"), (1,)), ascii_only=True))
    assert holes == ".#.#.#.."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "pool5", "--unit", "7,0"], ["no unit 7,0", "7x7"]),
        (["--at", "pool5", "--unit", "a"], ["'a' is not a position"]),
        (["--at", "pool5", "--pixel", "300,0"], ["no pixel 300,0"]),
        (["--at", "pool9"], ["did you mean pool"]),
        (["--at", "pool4", "--from", "pool5"], ["does not come after"]),
        (["--format", "pdf"], ["pdf"]),
    ],
)
def test_bad_questions(capsys, arguments, words) -> None:
    assert run(["rf", "vgg16", *arguments]) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in words), err


def test_a_source_without_positions_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for network in ("fc10", "reshape3x4 > relu"):
        assert run(["rf", network, "--input", "12", "--effective"]) == 0
        (told,) = capsys.readouterr().out.strip().splitlines()
        assert "depends on the input, which has no positions" in told
        for question in (["--unit", "0"], ["--pixel", "0"]):
            assert run(["rf", network, "--input", "12", *question]) == 2
            assert "has no positions" in capsys.readouterr().err


def test_sizes_are_those_of_units_that_there_are() -> None:
    """U-Net on 188 pixels has 4 units an axis, and the phases that see 204 are not among them."""
    found = rfcalc.receptive_field("unet", input="1x188x188")
    assert found.sentences[0].startswith("A unit of output sees 188 x 188 pixels")
    assert set(found.sizes) == {(188, 188)}
    assert "204" not in str(rfcalc.analyze("unet", "1x188x188"))
    whole = rfcalc.receptive_field("unet")
    assert whole.sentences[0].startswith("A unit of output sees at most 204 x 204 pixels")


def test_pictures_in_letters_name_their_positions() -> None:
    field = rfcalc.receptive_field("vgg16", at="pool4")
    head, *rows = scaled(grid(field, (2, 5)))
    assert head.split() == ["0", "38", "137", "223"] and rows[-1].endswith("a sign: 8 x 4 positions")
    plain = list(raster(grid(field, (2, 5))))
    gutter = len(rows[1]) - len(plain[1])
    assert [row[gutter:] for row in rows[:-1]] == plain[:-1]  # the same drawing, beside its positions
    first = [line.index("▒") if "▒" in line else None for line in plain[1:-1]]
    assert head.index("38") - gutter == first[0] and head.index("137") + 2 - gutter == plain[1].rindex("▒")
    sides = {row[:gutter].strip(): i for i, row in enumerate(rows) if row[:gutter].strip().isdigit()}
    assert list(sides) == ["0", "89", "223"]
    covered = [i for i, line in enumerate(plain) if "▒" in line or "█" in line][:-1]
    assert sides["0"] == covered[0] and sides["89"] == covered[-1]


def test_the_picture_of_a_high_map_has_few_lines() -> None:
    lines = list(scaled(grid(sees(Conv(1, 3, padding=1), "1x5000x3"), (2500, 1)), ascii_only=True))
    assert len(lines) <= 58 and lines[-1].endswith("a sign: 90 x 1 positions")
    assert [line for line in lines[:-1] if "+" in line] == ["2501 +++"]


def test_rf_without_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rf", "vgg16", "pool4", "--no-picture"]) == 0
    out = capsys.readouterr().out
    assert "real pixels" in out and "█" not in out
    assert run(["rf", "vgg16", "pool4", "--no-picture", "-f", "html"]) == 0
    assert "<svg" not in capsys.readouterr().out
