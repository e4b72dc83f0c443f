"""Figures in others' files: OpenMMLab's metafiles, model cards, tables; each judged, with the convention that fits."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import rfcalc
from rfcalc.claims.counting import CONVENTIONS, count
from rfcalc.claims.foreign import Foreign, claims_of, head, judged, network_of
from rfcalc.claims.judging import JudgedClaim, Reports
from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError
from rfcalc.report import schemas

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs" / "examples" / "record"


def results(path: Path, **targets: str) -> list[JudgedClaim]:
    found, broken = judged(claims_of(path, targets), Reports())
    assert not broken
    return found


def table(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_metafile_of_openmmlab() -> None:
    """The FLOPs of all five follow from one convention; one number of parameters lacks a digit."""
    found = results(RECORD / "metafile.yml")
    assert {r.claim.counted for r in found if "FLOPs" in r.claim.name} == {"mmcv's count"}
    assert [r.claim.name for r in found if not r.passed] == ["parameters of resnet34_8xb32_in1k"]
    unknown = claims_of(RECORD / "metafile.yml").unknown
    assert unknown == ("resnet18_8xb16_cifar10", "resnetv1d50_8xb32_in1k")


OF_MMPRETRAIN = {  # figures of mmpretrain 1.2.0's metafiles (in the package), and how they were counted
    "multiply-adds and the biases of convolutions without the classifier": {
        "convnext-tiny_32xb128_in1k": 4457472768,
        "convnext-small_32xb128_in1k": 8687008512,
        "convnext-base_32xb128_in1k": 15359124480,
    },
    "mmengine's count without the classifier": {
        "deit-small_4xb256_in1k": 4607954304,
        "deit-small-distilled_3rdparty_in1k": 4632876288,
        "deit-base_16xb64_in1k": 17581972224,
    },
    "mmcv's count without the classifier": {
        "densenet121_3rdparty_in1k": 2881695488,
        "densenet169_3rdparty_in1k": 3416860160,
        "densenet161_3rdparty_in1k": 7816363968,
    },
    "mmengine's count in training mode without the classifier": {
        "efficientnet-b0_3rdparty_8xb32_in1k": 420592480,
        "efficientnet-b1_3rdparty_8xb32_in1k": 744059920,
    },
}


@pytest.mark.parametrize("counted", OF_MMPRETRAIN)
def test_figures_of_openmmlab_to_the_last_digit(tmp_path: Path, counted: str) -> None:
    """Scripts that stop at the features leave the classifier out; then every digit follows. One more is noticed."""
    figures = OF_MMPRETRAIN[counted]
    lines = "".join(f"  - Name: {name}\n    Metadata:\n      FLOPs: {n}\n" for name, n in figures.items())
    found = results(table(tmp_path, f"Models:\n{lines}", "metafile.yml"))
    assert [r.claim.counted for r in found] == [counted] * len(figures) and all(r.passed for r in found)
    first = str(next(iter(figures.values())))
    more = results(table(tmp_path, f"Models:\n{lines}".replace(first, str(int(first) + 1)), "metafile.yml"))
    assert [r.passed for r in more] == [False] + [True] * (len(figures) - 1)


@pytest.mark.parametrize(
    "name",
    [
        *("efficientnetv2-s_3rdparty_in21k", "resnet50_8xb8_cub", "swin-base_3rdparty_in1k-384"),
        *("resnext101-32x4d_8xb32_in1k", "resnext152-32x4d_8xb32_in1k", "wide-resnet50_3rdparty_8xb32_in1k"),
    ],
)
def test_other_classes_images_and_groups_are_another_network(name: str) -> None:
    assert network_of(name) is None


def test_a_model_card() -> None:
    """The multiply-adds of a card are those of the image size of training: 176."""
    found = results(RECORD / "model-card.md")
    assert [(r.claim.told, r.passed, r.claim.input) for r in found] == [
        ("25.6M", True, "3x176x176"),
        ("2.6G", True, "3x176x176"),
    ]
    other, _ = judged(claims_of(RECORD / "model-card.md", {"": "resnet18"}), Reports())
    assert not other[0].passed
    none, broken = judged(claims_of(RECORD / "model-card.md", {"": "vgg16"}), Reports())
    assert not none and len(broken) == 2  # its fully connected layer takes 224 only


def test_a_table_whose_rows_count_otherwise(tmp_path: Path) -> None:
    text = (
        "Model,Top-1,Params (M),FLOPs (G),Input\nResNet-50,76.1,25.6,8.18,224\nvgg16,71.6,138.4,15.47,224\nx,1,2,3,\n"
    )
    found = claims_of(table(tmp_path, text))
    assert found.unknown == ("x",)
    told = {r.claim.name: (r.passed, r.claim.counted) for r in judged(found, Reports())[0]}
    assert told["FLOPs of ResNet-50"] == (True, "two FLOPs for each multiply-add")
    assert told["FLOPs of vgg16"] == (True, "multiply-adds")
    own = results(table(tmp_path, text), x="lenet5")
    assert [r.passed for r in own if r.claim.network == "lenet5"] == [False, False]


@pytest.mark.parametrize("tool", ["fvcore", "thop", "ptflops", "torchinfo"])
def test_the_tool_that_counted_is_found(tmp_path: Path, tool: str) -> None:
    names = ("resnet18", "resnet50", "densenet121", "vgg16-torchvision")
    lines = [f"{n};{count(rfcalc.analyze(n), CONVENTIONS[tool])}" for n in names]
    path = table(tmp_path, "\n".join(["model;flops", *lines]).replace(";", "\t"), "t.tsv")
    found = results(path)
    assert all(r.passed and r.claim.counted == f"{tool}'s count" for r in found) and len(found) == 4


def test_a_chance_hit_of_another_tool_is_told_and_stays_red(tmp_path: Path) -> None:
    thop = [f"{n},{count(rfcalc.analyze(n), CONVENTIONS['thop'])}" for n in ("resnet18", "resnet34", "resnet50")]
    odd = f"resnet101,{count(rfcalc.analyze('resnet101'), CONVENTIONS['ptflops'])}"
    found = results(table(tmp_path, "\n".join(["model,flops", *thop, odd])))
    assert [r.passed for r in found] == [True, True, True, False]
    assert "ptflops's count instead of thop's count" in found[-1].told


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("timm/vit_base_patch16_224.augreg_in21k", "vit-b-16"),
        ("densenet121_4xb256_in1k", "densenet121"),
        ("vgg11bn_8xb32_in1k", "vgg11-bn"),
        ("convnext-tiny_32xb128_in1k", "convnext-t"),
        ("seresnet50_8xb32_in1k", "se-resnet50"),
        ("efficientnet-b0_3rdparty_8xb32_in1k", "efficientnet-b0"),
        ("EfficientNet-B0", "efficientnet-b0"),
        ("resnet50d.ra2_in1k", None),
        ("resnet34_8xb16_cifar10", None),
        ("my-net", None),
        ("", None),
    ],
)
def test_names_of_others(name: str, network: str | None) -> None:
    assert network_of(name) == network


def test_heads_and_units() -> None:
    heads = ("Params", "#Params (M)", "MACs (G)", "GMACs", "FLOPs(G)", "Multi-Adds", "Parameters", "Name", "Backbone")
    told = [head(h) for h in heads]
    assert told[:5] == [("params", ""), ("params", "M"), ("macs", "G"), ("macs", "G"), ("flops", "G")]
    assert [k for k, _ in told[6:]] == ["params", "model", "model"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "a,b\n1,2\n", "the heads do not say"),
        ("t.csv", "", "the heads do not say"),
        ("t.csv", "model,params\nvgg16,\n", "no model with parameters"),
        ("t.yml", ":: [", "not YAML"),
        ("t.yml", "a: 1", "no metafile"),
        ("t.yml", "- hosts: all\n", "no model with parameters"),
        ("t.yml", "- 3\n- [4]", "no metafile"),
        ("t.md", "# hi\n", "no model with parameters"),
        ("t.csv", "\ud800", "UTF-8"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(RfcalcError, match=said):
        claims_of(path)


def test_code_is_run_only_where_the_line_names_it(tmp_path: Path) -> None:
    path = table(tmp_path, "model,params\nmine,1\n")
    with pytest.raises(RfcalcError, match="claims run no code"):
        claims_of(path, {"mine": "x.py:Net"})
    with pytest.raises(RfcalcError, match="unknown model"):
        claims_of(path, {"other": "vgg16"})
    assert isinstance(claims_of(path, {"mine": "x.py:Net"}, ["x.py:Net"]), Foreign)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(RECORD / "metafile.yml"), "--format", "json"]) == 1
    told = capsys.readouterr()
    found = json.loads(told.out)
    schema = schemas.schema("check")
    jsonschema.validate(found, schema)
    assert "resnetv1d50_8xb32_in1k" in told.err
    assert run(["check", str(RECORD / "model-card.md")]) == 0
    assert run(["check", "vgg16", "--target", "a=b"]) == 2
    assert run(["check", str(tmp_path / "no.csv")]) == 2


def test_semicolons_decimal_commas_and_units_of_others(tmp_path: Path) -> None:
    found = claims_of(table(tmp_path, "Model;Parameters;MACs\nresnet18;11,69 M;1.81 GMac\nvgg16;138,36M;15,5G\n"))
    results, broken = judged(found, Reports())
    assert (len(results), broken) == (4, [])
    assert all(result.verdict.value == "match" for result in results), results
    for cell in ("11.69 MB", "11.69 GFLOPs", "11.69M px"):
        (refused,) = claims_of(table(tmp_path, f"model,params\nresnet18,{cell}\n")).broken
        assert "no figure in that unit" in str(refused)


BROKEN = {
    "t.csv": "model,params (M),FLOPs (G)\nresnet18,11.69,1.82\nresnet34,many 9,3.67\nvgg16,138.36 MB,15.5\n",
    "t.yml": "Models:\n  - Name: resnet18\n    Metadata: {FLOPs: 1.82G, Parameters: ab9}\n"
    "  - Name: resnet34\n    Metadata: {FLOPs: [1, 2], Parameters: 21800000}\n",
    "t.md": "# Model card for resnet18\n- Params (M): 11.7\n- GMACs: 1.8.2\n",
}


@pytest.mark.parametrize(
    ("name", "judged_ones", "lines"), [("t.csv", 4, [3, 4]), ("t.yml", 2, [2, 4]), ("t.md", 1, [2])]
)
def test_one_figure_that_cannot_be_read_does_not_silence_the_others(
    tmp_path: Path, name: str, judged_ones: int, lines: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_text(BROKEN[name])
    results, broken = judged(claims_of(path), Reports())
    assert len(results) == judged_ones
    assert all(result.verdict.value == "match" for result in results), results
    assert [f":{line}: " in str(error) for line, error in zip(lines, broken, strict=True)] == [True] * len(lines)
    assert run(["check", str(path)]) == 2
    assert str(judged_ones) in capsys.readouterr().out


def test_a_figures_own_digits_and_unit_decide(tmp_path: Path) -> None:
    """Numbers of YAML are taken as they are written; an exponent is read; MACs under a head of FLOPs are MACs."""
    path = tmp_path / "t.yml"
    path.write_text(
        "one: &one\n  Parameters: 25.60e6\nModels:\n- Name: resnet50\n  Metadata: {<<: *one, FLOPs: 4.12e+09}\n"
        "- Name: vgg16\n  Metadata: {Parameters: 138.40M, FLOPs: null}\n"
    )
    told, broken = judged(claims_of(path), Reports())
    assert not broken
    assert [(r.claim.told, r.passed) for r in told] == [("25.60e6", False), ("4.12e+09", True), ("138.40M", False)]
    text = (
        "model,params,FLOPs\nvgg16,1.3836E+08,15.47G\nresnet50,2.56e7,4.09e9\n"
        "resnet18,1.2e7,1.82 GMACs\nresnet34,2e400,\n"
    )
    told, broken = judged(claims_of(table(tmp_path, text)), Reports())
    assert [r.passed for r in told] == [True, True, True, True, True, False] and len(broken) == 1
    assert told[-1].claim.name == "multiply-adds of resnet18"  # 1.814G; 1.82G is fvcore's count
    assert len(claims_of(table(tmp_path, "model,params (M)\nvgg16,1.384e2\n")).broken) == 1  # ten to which power?


def test_figures_without_a_name_are_told(tmp_path: Path) -> None:
    lines = "model,params (M)\nresnet18,11.7\n,25.6\n,\n\nvgg16,lots\nvgg19,n/a\n"
    found = claims_of(table(tmp_path, lines))
    assert [claim.network for claim in found.claims] == ["resnet18"]
    assert [str(error).splitlines()[0].partition(":")[2] for error in found.broken] == [
        "3: figures without the name of a model", "6: vgg16: 'lots' is not a printed value",
    ]  # fmt: skip
    found = claims_of(table(tmp_path, BROKEN["t.yml"] + "  - Metadata: {Parameters: 1}\n  - Name:\n  - 3\n", "t.yml"))
    assert len(found.claims) == 2
    assert ["entry 3 of Models: figures without" in str(e) for e in found.broken].count(True) == 1
    assert ["entry 5 of Models: this is no model" in str(e) for e in found.broken].count(True) == 1


def test_a_folder_of_files_in_several_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The good ones are judged beside the broken ones, which are told; what is no such file is no error. In a folder
    that has claims files these alone are judged, as the hook in a repository needs."""
    good = {"t.csv": "model,params\nvgg16,138.36M\n", "x.tsv": "model,params\nvgg19,143.67M\n"}
    good |= {"metafile.yml": "Models:\n- Name: resnet18\n  Metadata: {Parameters: 11.69M}\n"}
    good |= {"README.md": "# Model card for resnet34\n- Params (M): 21.8\n"}
    own = 'schema = "rfcalc/claims/1"\n[[claim]]\nnetwork = "resnet50"\nwhat = "params"\nprinted = "25.6M"\n'
    other = {"notes.md": "# Notes\n", "play.yml": "- hosts: all\n", "top.csv": "model,top1\nvgg16,71\n"}
    broken = {"a.yml": "Models: [\n", "z.csv": "model,params\nvgg16,\udc80\n"}
    below, hidden = tmp_path / "below", tmp_path / "node_modules"
    for folder in (below, hidden):
        folder.mkdir()
    for name, text in {**good, **other}.items():
        (tmp_path if name.endswith(".csv") else below).joinpath(name).write_text(text, encoding="utf-8")
    (hidden / "a.yml").write_text(broken["a.yml"], encoding="utf-8")
    assert run(["check", str(tmp_path), "--format", "json"]) == 0
    told = capsys.readouterr()
    networks = {claim["network"] for claim in json.loads(told.out)["claims"]}
    assert networks == {"vgg16", "vgg19", "resnet18", "resnet34"}
    assert all(name in told.err for name in other)
    for name, text in broken.items():
        (below / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert run(["check", str(tmp_path), str(tmp_path / "no.csv"), "resnet999", "--format", "json"]) == 2
    told = capsys.readouterr()
    found = {claim["network"] for claim in json.loads(told.out)["claims"]}
    assert found == networks
    errors = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 4
    assert all(any(name in error for error in errors) for name in (*broken, "no.csv", "resnet999"))
    (below / "own.rfclaims.toml").write_text(f'{own}source = "mine, row 1"\n', encoding="utf-8")
    assert run(["check", str(tmp_path), "--format", "json"]) == 0
    assert {claim["network"] for claim in json.loads(capsys.readouterr().out)["claims"]} == {"resnet50"}
    (below / "z.rfclaims.toml").write_text("[[claim\n", encoding="utf-8")
    assert run(["check", str(tmp_path), "--format", "json"]) == 2
    told = capsys.readouterr()
    assert "resnet50" in told.out and "z.rfclaims.toml" in told.err
