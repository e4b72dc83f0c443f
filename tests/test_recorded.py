"""Figures of other packages' models: tables of claims, and what was recorded of the models against the models."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import readings
import torch

from rfcalc.claims.files import SHIPPED, ClaimError, read, shipped
from rfcalc.claims.foreign import claims_of
from rfcalc.claims.judging import Reports, judge
from rfcalc.claims.recorded import packages, record
from rfcalc.core.errors import RfcalcError
from rfcalc.report.schemas import schema

torch.set_num_threads(1)
HEAD = 'schema = "rfcalc/claims/1"\n[[table]]\n'
SMALL = ("squeezenet1_1", "mnasnet0_5", "regnet_y_400mf", "mobilenet_v3_small")


def all_recorded() -> list[Any]:
    return [
        pytest.param(package, name, shape, marks=() if name in SMALL else pytest.mark.exhaustive)
        for package in packages()
        for name, inputs in readings.recorded(package)["models"].items()
        for shape in inputs
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("package", "name", "shape"), all_recorded())
def test_a_model_still_comes_to_what_was_recorded(package: str, name: str, shape: str) -> None:
    module = readings.module(package, name, shape)
    if module is None:
        pytest.skip(f"{package} is not installed, or {name} is a part of a model")
    found = readings.figures(module, shape)
    kept = record(f"{package}:{name}", shape).totals.ops
    assert {key: found[key] for key in kept} == kept
    if name not in ("googlenet", "inception_v3"):  # their auxiliary heads run in training only
        assert found["weights"] + found["biases"] == sum(p.numel() for p in module.parameters())


def test_the_record_holds_many_printed_figures() -> None:
    printed = [claim for claim in shipped() if claim.printed is not None and not claim.derived]
    assert len(printed) >= 2400
    assert len({claim.source for claim in printed}) > 500
    assert {c.network.partition(":")[0] for c in printed} >= set(packages())


def test_the_record_holds_the_papers_of_releases() -> None:
    """Each row says whose paper it is and where its release prints it; what does not follow has a cause, or is open."""
    claims = read(SHIPPED / "papers.rfclaims.toml").claims
    papers = {claim.source.partition(";")[0] for claim in claims}
    assert len(papers) >= 43
    assert all(re.search(r"arXiv:\d{4}\.\d{5}$", paper) for paper in papers)
    assert all(re.search(r"the authors' release, [\w./-]+/[\w.-]+, .+ at [0-9a-f]{8}", c.source) for c in claims)
    wrong = [claim for claim in claims if claim.expect == "mismatch"]
    assert len(wrong) < len(claims) / 3
    assert all(result.passed for result in judge(claims, Reports()))


def test_a_table_is_claims() -> None:
    text = HEAD + (
        'network = "*"\nwhere = "Table 9"\ncolumns = ["name", "input", "params", "macs"]\nrows = [\n'
        '  ["vgg16", "3x224x224", "138M", ""],\n  ["vgg19", "", "144M", "18G"],\n]\n'
    )
    results = judge(read("t.rfclaims.toml", text), Reports())
    assert [(r.claim.name, r.claim.line, r.claim.source, str(r.verdict)) for r in results] == [
        ("parameters of vgg16", 7, "Table 9", "match"),
        ("parameters of vgg19", 8, "Table 9", "match"),
        ("multiply-adds of vgg19", 8, "Table 9", "mismatch"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('columns = ["params"]\nrows = [["1"]]', "one of them name"),
        ('columns = ["name", "params"]\nrows = []', "and rows"),
        ('columns = ["name", "params"]\nrows = [\n  ["a", "1"],\n  ["b"],\n]', "does not fill its 2 columns"),
        ('columns = ["name", "params"]\nrows = [["a", 1]]', "with texts"),
        ('columns = ["name", "parms"]\nrows = [["vgg16", "1"]]\nnetwork = "*"', "parms"),
        ('columns = ["name", "params"]\nrows = [["vgg16", "1"]]\nnetwrk = "*"', "netwrk"),
        ('columns = ["name", "params"]\nrows = [["vgg16", "1"]]', "names no network"),
    ],
)
def test_tables_that_cannot_be_read(text: str, told: str) -> None:
    with pytest.raises(ClaimError, match=told):
        read("t.rfclaims.toml", HEAD + text)


def test_the_schema_knows_tables() -> None:
    data = {"schema": "rfcalc/claims/1", "table": [{"columns": ["name", "params"], "rows": [["a", "1"]]}]}
    jsonschema.validate(data, schema("claims"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": "rfcalc/claims/1"}, schema("claims"))


@pytest.mark.parametrize(
    ("network", "more", "told"),
    [
        ("torchvision:alexnett", 'what = "params"', "alexnet"),
        ("torchvision:alexnet", 'what = "params@conv1"', "only the whole network's figures"),
        ("torchvision:alexnet", 'what = "peak_bytes"', "peak_bytes"),
        ("torchvision:alexnet", 'what = "params"\ninput = "3x9x9"', "was not read at 3x9x9"),
    ],
)
def test_what_is_not_recorded_is_said(network: str, more: str, told: str) -> None:
    text = f'schema = "rfcalc/claims/1"\n[[claim]]\nnetwork = "{network}"\n{more}\nprinted = "1"\n'
    with pytest.raises(RfcalcError, match=told):
        judge(read("t.rfclaims.toml", text), Reports())


def test_files_of_others_may_name_recorded_models(tmp_path: Any) -> None:
    path = tmp_path / "t.csv"
    path.write_text("model,params,GMACs\nmaxvit_t,30.9M,5.56\nresnet18,11.7M,1.8\nnobody,1,2\n")
    found = claims_of(path)
    assert [c.network for c in found.claims] == ["torchvision:maxvit_t"] * 2 + ["resnet18"] * 2
    assert found.unknown == ("nobody",)
