"""Published numbers against the layers: what was printed, verdicts, explanations, files, formats, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rfcalc
from rfcalc.claims.document import CI, document
from rfcalc.claims.expression import Setting, parse
from rfcalc.claims.files import ClaimError, read, shipped
from rfcalc.claims.judging import Reports, judge
from rfcalc.claims.printed import read as printed
from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError
from rfcalc.render import FORMATS
from rfcalc.report.schemas import schema

REPORTS = Reports()
HEAD = 'schema = "rfcalc/claims/1"\nnetwork = "vgg16"\n'


def made(text: str, head: str = HEAD) -> list:
    return judge(read("own.rfclaims.toml", f"{head}\n[[claim]]\n{text}\n"), REPORTS)


@pytest.fixture(scope="module")
def everything() -> list:
    return judge(shipped(), REPORTS)


def test_every_shipped_claim_is_as_expected(everything) -> None:
    assert [f"{r.claim.where}: {r.computed}: {r.told}" for r in everything if not r.passed] == []
    assert len(everything) > 200


def test_shipped_files_follow_the_schema() -> None:
    paths = sorted((Path(str(files("rfcalc"))) / "claims" / "shipped").glob("*.toml"))
    assert len(paths) > 10
    for path in paths:
        jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), schema("claims"))


def test_the_schema_can_refuse() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": "rfcalc/claims/1", "claim": [{"what": "params"}]}, schema("claims"))


@pytest.mark.parametrize(
    ("name", "claim", "why"),
    [
        ("vgg16", "total memory in values", "unexplained"),
        ("vgg16", "total memory in bytes", "unexplained"),
        ("inception-module-reduced", "operations with reductions", "counted twice"),
        ("googlenet", "params of conv1", "separable"),
        ("googlenet", "params of 4a", "unexplained"),
        ("alexnet", "neurons of the first layer, Figure 2", "55·48·96"),
        ("googlenet", "params of 3b", "biases"),
        ("inception-v3", "multiply-adds", "truncation"),
    ],
)
def test_known_errata(everything, name: str, claim: str, why: str) -> None:
    (found,) = [r for r in everything if (r.claim.network, r.claim.name) == (name, claim)]
    assert found.verdict == "mismatch"
    assert found.passed
    assert found.explanation is not None
    assert why in str(found.explanation)
    assert found.explanation.tried > 0


@pytest.mark.parametrize(
    ("text", "options", "fits", "fails"),
    [
        ("138M", {}, (137_500_000, 138_499_999), (137_499_999, 138_500_000)),
        ("60 million", {"rounding": "truncated"}, (60_000_000, 60_999_999), (59_999_999, 61_000_000)),
        ("150K", {"digits": 2}, (145_000, 154_999), (144_999, 155_000)),
        ("2.7K", {"k": 1024}, (2714, 2815), (2713, 2816)),
        ("1,728", {}, (1728,), (1727, 1729)),
        ("0.551", {}, (Fraction(27, 49),), (Fraction(5516, 10000),)),
        ("81 %", {}, (Fraction(81, 100),), (Fraction(22, 27) + Fraction(1, 100),)),
        ("3.8×10^9", {}, (3_800_000_000,), (3_857_973_248,)),
        ("1.8×10⁹", {}, (1_814_073_344,), (1_900_000_000,)),
        ("58.1MiB", {}, (60_950_432,), (58_100_000,)),
        ("-3", {}, (-3,), (3,)),
    ],
)
def test_digits_decide(text: str, options: dict, fits: tuple, fails: tuple) -> None:
    value = printed(text, **options)
    assert all(value.holds(Fraction(v)) for v in fits)
    assert not any(value.holds(Fraction(v)) for v in fails)


@given(st.integers(1, 10**12), st.integers(1, 6))
def test_a_rounded_number_holds_what_it_was_rounded_from(number: int, digits: int) -> None:
    """Printing with any number of digits and reading it back: the value prints so, and one step away does not."""
    step = 10 ** max(0, len(str(number)) - digits)
    nearest = (number + step // 2) // step * step
    shown = min(digits, len(str(nearest)))
    for text, rounding in ((f"{nearest:,}", "nearest"), (f"{number // step * step:,}", "truncated")):
        value = printed(text, digits=len(text.replace(",", "")) - len(str(step)) + 1, rounding=rounding)
        assert value.step == step
        assert value.holds(Fraction(number))
        assert not value.holds(Fraction(number + 2 * step))
    assert shown


@pytest.mark.parametrize("text", ["", "M", "13 8M", "138X", "1.2.3", "12 apples", "K12"])
def test_unreadable_values(text: str) -> None:
    with pytest.raises(RfcalcError, match="not a printed value"):
        printed(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("params", 138_357_544),
        ("2 * 3 + 4 / 2 - 1", 7),
        ("2 * (3 + 4)", 14),
        ("-2 + 5", 3),
        ("24M * 4", 96_000_000),
        ("params@conv1_1 - weights@conv1_1", 64),
        ("sum(params@'block 1')", 38_720),
        ("sum(params@conv1_*)", 38_720),
        ("count(weights@conv*)", 13),
        ("max(values@*)", 3_211_264),
        ("output_shape[0]@conv1_1 + output_shape[2]@pool5", 71),
        ("rf@pool5 / stride@pool5", Fraction(212, 32)),
        ("'vgg19':weight_layers - weight_layers", 3),
    ],
)
def test_expressions(text: str, value: Fraction) -> None:
    assert parse(text).evaluate(Setting("vgg16"), REPORTS) == value


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.lists(st.sampled_from("+-*"), min_size=5, max_size=5))
def test_arithmetic_like_python(numbers: list[int], signs: list[str]) -> None:
    text = str(numbers[0]) + "".join(f" {s} {n}" for s, n in zip(signs, numbers[1:], strict=False))
    assert parse(text).evaluate(Setting("vgg16"), REPORTS) == eval(text)


BAD = {
    "metric": ('what = "parms"\nprinted = "1"', "unknown metric 'parms'", "params"),
    "layer": ('what = "params@conv9_1"\nprinted = "1"', "unknown node 'conv9_1'", "did you mean"),
    "stage": ('what = "sum(params@blok)"\nprinted = "1"', "unknown node or stage 'blok'", "block"),
    "network": ('network = "vgg61"\nwhat = "params"\nprinted = "1"', "unknown network 'vgg61'", "vgg"),
    "no input": (
        'network = "conv3-64 > pool2"\nwhat = "params"\nprinted = "1"',
        "gives no input for",
        "input =",
    ),
    "units": ('what = "params"\nprinted = "138 apples"', "is not a printed value", "138M"),
    "zero": ('what = "params / (3 - 3)"\nprinted = "1"', "divides by zero", "138357544"),
    "twice": (
        'name = "a"\nwhat = "params"\nprinted = "138M"\n[[claim]]\nname = "a"\nwhat = "macs"\nprinted = "1"',
        "twice: first in line 4",
        "name",
    ),
    "same": (
        'name = "a"\nwhat = "params"\nprinted = "1"\n[[claim]]\nname = "b"\nwhat = "params"\nprinted = "1"',
        "twice",
        "",
    ),
    "key": ('what = "params"\nprintd = "1"', "'printd' that is not known", "printed"),
    "nothing": ('what = "params"', "claims nothing", "printed"),
    "number": ('what = "params"\nprinted = 138', "has printed = 138", "quotes"),
    "grammar": ('what = "params +"\nprinted = "1"', "cannot read the expression", "at its end"),
    "code": ('what = "__import__(\'os\')"\nprinted = "1"', "unknown metric '__import__'", ""),
    "import": ('network = "py:os:system"\nwhat = "params"\nprinted = "1"', "claims run no code", ""),
    "axis": ('what = "output_shape@conv1_1"\nprinted = "1"', "has an axis each: 64x224x224", "output_shape[0]"),
    "whole": ('what = "peak_bytes@conv1_1"\nprinted = "1"', "belongs to the whole network", ""),
    "rule": ('rule = "params <"', "cannot read the constraint", ""),
    "no note": ('what = "params"\nprinted = "1"\nexpect = "mismatch"', "does not say why", "note"),
    "K": ('what = "params"\nprinted = "1"\nconventions = { K = 1 }', "K = 1", "1024"),
    "digits": ('what = "params"\nprinted = "138M"\ndigits = 4', "has 3 digits", ""),
    "digits that stand": ('what = "params"\nprinted = "149M"\ndigits = 1', "beyond 1 are not zeros", "trailing zeros"),
    "bytes of parameters": ('what = "params"\nprinted = "138 MB"', "no figure in that unit", 'what = "bytes"'),
    "FLOPs of multiply-adds": ('what = "macs"\nprinted = "15.5 GFLOPs"', "no figure in that unit", "operations"),
    "multiply-adds of FLOPs": ('what = "flops"\nprinted = "15.5 GMACs"', "no figure in that unit", 'what = "macs"'),
    "parameters of maps": ('what = "peak_bytes"\nprinted = "138M params"', "no figure in that unit", ""),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_files_name_file_line_and_claim(case: str) -> None:
    text, what, fix = BAD[case]
    with pytest.raises(ClaimError) as caught:
        made(text)
    told = str(caught.value)
    assert "own.rfclaims.toml:" in told
    assert "claim" in told
    assert what in told
    assert fix in told
    line = 8 if case in ("twice", "same") else 4
    assert f"own.rfclaims.toml:{line}" in told


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("what?", "is not TOML"),
        ("a = 1", "is not known"),
        ('schema = "x"', "is not a claims file"),
        (HEAD, "has no claims"),
    ],
)
def test_bad_files(text: str, what: str) -> None:
    with pytest.raises(ClaimError, match=what):
        read("own.rfclaims.toml", text)


def test_an_erratum_that_starts_to_match_turns_red() -> None:
    (result,) = made('what = "params"\nprinted = "138M"\nexpect = "mismatch"\nnote = "was wrong"')
    assert result.verdict == "match"
    assert not result.passed
    assert "expected" in result.told


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        ('what = "macs"\nprinted = "30.9G"', ("FLOPs = 2 × macs",)),
        ('what = "macs"\nprinted = "15.4G"', ("truncation",)),
        ('what = "params"\nprinted = "138,344,128"', ("no biases",)),
        ('what = "params"\nprinted = "132M"', ("K = 1024",)),
        ('what = "bytes"\nprinted = "58.1MB"', ("MiB",)),
        ('what = "params"\nprinted = "138,365,992"', ("vgg16-bn",)),
        ('what = "macs"\nprinted = "19.6G"\n[[claim]]\nwhat="nodes"\nprinted="39"', ()),
    ],
)
def test_explanations(text: str, explained: tuple[str, ...]) -> None:
    result = made(text)[0]
    assert result.verdict == "mismatch"
    assert not result.passed
    assert result.explanation.changes == explained
    assert result.explanation.tried >= 1


def test_explaining_pairs_and_inputs() -> None:
    head = HEAD + 'inputs = ["3x256x256"]\n'
    (result,) = made('network = "vgg16-dense"\nwhat = "macs"\nprinted = "20,508,180,480"', head)
    assert len(result.explanation.changes) <= 2
    truth = rfcalc.analyze("vgg16-dense", "3x256x256").totals.macs
    (result,) = made(f'network = "vgg16-dense"\nwhat = "macs"\nprinted = "{2 * truth}"', head)
    assert result.explanation.changes == ("FLOPs = 2 × macs", "input 3x256x256")


def test_two_changes_explain_only_with_a_neighbour_or_with_many_digits() -> None:
    """2.1M at K = 1024 with no biases is a chance hit, unless a neighbour is made true by the same two changes."""
    params, weights = (
        getattr(rfcalc.analyze("conv3-64 > conv3-64 x3", "3x8x8").totals, n) for n in ("params", "weights")
    )
    text = f"{weights / 1024:.1f}K"
    assert abs(params / 1024 - weights / 1024) > 0.1 and abs(weights / 1000 - weights / 1024) > 0.1
    alone = f'network = "conv3-64 > conv3-64 x3"\ninput = "3x8x8"\nwhat = "params"\nprinted = "{text}"'
    (result,) = made(alone)
    assert result.explanation.changes == ()
    one = rfcalc.analyze("conv3-64 > conv3-64 x3", "3x8x8")["conv2"].weights
    neighbour = alone.replace('"params"', '"params@conv2"').replace(text, f"{one / 1024:.1f}K")
    first, second = made(f"{alone}\n[[claim]]\n{neighbour}")
    assert set(first.explanation.changes) == set(second.explanation.changes) == {"no biases", "K = 1024"}


def test_printed_and_derived_are_two_kinds() -> None:
    head = 'network = "vgg16"\nwhat = "params"\n'
    (found,) = made(f'{head}derived = "138,357,544"')
    assert found.passed and found.claim.derived and found.claim.source.startswith("derived")
    with pytest.raises(RfcalcError, match="printed and derived"):
        made(f'{head}derived = "138M"\nprinted = "138M"')


def test_a_slip_is_explained_by_its_note() -> None:
    """A note that explains is not called unexplained; a slip that is told without need is refused."""
    head = 'network = "mobilenet-v1"\nwhat = "params"\nprinted = "2.4M"\nslip = true\n'
    (found,) = made(f'{head}expect = "mismatch"\nnote = "The digits of 4.2M stand in the wrong order."')
    assert found.passed and str(found.explanation) == "The digits of 4.2M stand in the wrong order"
    with pytest.raises(RfcalcError, match="where no slip is told"):
        made(head)
    results = judge([c for c in shipped() if c.slip], Reports())
    assert len(results) >= 12 and all("unexplained" not in r.told for r in results)


def test_what_gives_a_wrong_figure_is_checked() -> None:
    head = 'network = "alexnet"\nwhat = "values@conv1"\nprinted = "253,440"\nexpect = "mismatch"\nnote = "48 maps"\n'
    (found,) = made(f'{head}gives = "55*48*96"')
    assert found.passed and str(found.explanation) == "48 maps"
    with pytest.raises(RfcalcError, match="what it gives is 253,4"):
        made(f'{head}gives = "55*48*96 + 1"')
    with pytest.raises(RfcalcError, match="should not explain"):
        made('network = "alexnet"\nwhat = "params"\nprinted = "60.97M"\ngives = "params"')


def test_auxiliary_heads_explain() -> None:
    (result,) = made('network = "googlenet"\nwhat = "params"\nprinted = "13.4M"')
    assert result.explanation.changes == ("auxiliary heads (googlenet-aux)",)


def test_rules_and_bounds() -> None:
    good = 'rule = "params < 140M, rf@pool5 >= 200"\n[[claim]]\nwhat = "params"\nmin = "138M"\nmax = "139M"'
    assert all(r.passed for r in made(good))
    bad = 'rule = "params < 138M"\n[[claim]]\nwhat = "params"\nmax = "138M"'
    assert not any(r.passed for r in made(bad))
    assert "138,357,544" in made(bad)[0].computed


def test_conventions() -> None:
    both = 'network = "googlenet"\nwhat = "macs@fc"\nprinted = "2M"\nconventions = { operations = "flops" }'
    assert made(both)[0].passed


# the command line


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(["check", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


OWN = HEAD + '\n[[claim]]\nname = "good"\nwhat = "params"\nprinted = "138M"\n'
RED = OWN + '\n[[claim]]\nname = "bad: 1, 2"\nwhat = "params"\nprinted = "139M"\n'


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "own.rfclaims.toml"
    path.write_text(RED, encoding="utf-8")
    return path


def test_a_broken_file_does_not_silence_the_others(capsys, tmp_path: Path, red: Path) -> None:
    broken = tmp_path / "a-broken.rfclaims.toml"
    broken.write_text("broken\n", encoding="utf-8")
    code, out, err = call(capsys, str(broken), str(red))
    assert (code, "139M" in out, "a-broken.rfclaims.toml:1" in err) == (2, True, True)
    code, out, err = call(capsys, str(tmp_path))
    assert (code, "139M" in out, "a-broken" in err) == (2, True, True)
    red.write_text(RED + '\n[[claim]]\nname = "ugly"\nwhat = "params@pool9"\nprinted = "1"\n', encoding="utf-8")
    code, out, err = call(capsys, str(red))
    assert (code, "139M" in out, "pool9" in err) == (2, True, True)


def test_folders(capsys, tmp_path: Path) -> None:
    assert "no claims file in this folder" in call(capsys, str(tmp_path))[2]
    for place in (".venv", "deep/er"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "x.rfclaims.toml").write_text(OWN if place != ".venv" else "broken", encoding="utf-8")
    assert call(capsys, str(tmp_path))[0] == 0


def test_a_badge(capsys, red: Path) -> None:
    code, out, _ = call(capsys, str(red), "--format", "badge")
    assert code == 1
    assert json.loads(out) == {"schemaVersion": 1, "label": "rfcalc", "message": "1 of 2 claims red", "color": "red"}


def test_exit_codes(capsys, tmp_path: Path, red: Path) -> None:
    assert call(capsys, "vgg16")[0] == 0
    assert call(capsys, "--claims", str(red))[0] == 1
    code, _, err = call(capsys, "--claims", str(tmp_path / "none.toml"))
    assert (code, "cannot read" in err) == (2, True)
    assert call(capsys)[0] == 2
    assert call(capsys, "vgg16", "--all")[0] == 2
    code, _, err = call(capsys, "vgg61")
    assert (code, "did you mean" in err) == (2, True)
    assert call(capsys, "vgg16", "--format", "xml")[0] == 2
    assert call(capsys, str(red), str(red))[0] == 1
    assert call(capsys, "vgg16", "--claims", str(red))[0] == 1
    assert call(capsys, "lenet5", "--claims", str(red))[0] == 2


@pytest.mark.parametrize("form", sorted({*FORMATS, *CI} - {"badge"}))
def test_formats_tell_the_same(capsys, red: Path, form: str) -> None:
    code, out, _ = call(capsys, "--claims", str(red), "--format", form)
    assert code == 1
    assert "139M" in out
    assert "138.36M" in out
    if form == "json":
        document = json.loads(out)
        jsonschema.validate(document, schema("check"))
        assert [c["passed"] for c in document["claims"]] == [True, False]
        assert document["claims"][1]["line"] == 9
    if form == "junit":
        suite = ElementTree.fromstring(out)
        assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    if form == "github":
        assert out.startswith(f"::error file={red},line=9,title=bad%3A 1%2C 2::vgg16: ")
    if form == "markdown":
        assert re.match(r"\| network +\| claim +\| printed +\| computed +\| verdict +\| source +\|", out)


def test_json_of_everything_follows_its_schema(everything) -> None:
    jsonschema.validate(document(everything).to_dict(), schema("check"))


def test_lock_holds_and_notices(capsys, tmp_path: Path) -> None:
    path = tmp_path / "locked.rfclaims.toml"
    assert run(["lock", "googlenet-torchvision-aux", "--output", str(path)]) == 0
    assert call(capsys, "--claims", str(path))[0] == 0
    path.write_text(path.read_text().replace('"13,004,888"', '"13,004,889"'))
    assert call(capsys, "--claims", str(path))[0] == 1
    assert run(["lock", "conv3-8 > pool2", "--input", "3x32x32", "--output", str(path)]) == 0
    assert call(capsys, "--claims", str(path))[0] == 0


def test_pytest_plugin(tmp_path: Path, red: Path) -> None:
    (tmp_path / "broken.rfclaims.toml").write_text(OWN.replace("params", "parms"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "rfcalc.claims.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        "--co",
    ]
    quick = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    listed = subprocess.run(command, cwd=tmp_path, env=quick, capture_output=True, text=True, check=False).stdout
    assert "own.rfclaims.toml::good" in listed
    assert "broken.rfclaims.toml::unreadable-1" in listed
    broken = subprocess.run(
        [*command[:-1], "broken.rfclaims.toml"], cwd=tmp_path, env=quick, capture_output=True, text=True, check=False
    )
    assert "unknown metric 'parms'" in broken.stdout
    assert broken.returncode == 1
    ran = subprocess.run(
        [*command[:-1], str(red)], cwd=tmp_path, env=quick, capture_output=True, text=True, check=False
    )
    assert "1 failed, 1 passed" in ran.stdout
    assert "printed 139M, computed 138.36M" in ran.stdout
    assert ran.returncode == 1


def test_the_plugin_costs_nothing_where_there_are_no_claims() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import rfcalc.claims.pytest_plugin; "
        "print(sorted(m for m in set(sys.modules) - before if m.startswith('rfcalc')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert eval(out) == ["rfcalc", "rfcalc.claims", "rfcalc.claims.pytest_plugin"]


def test_checking_everything_is_fast() -> None:
    """`rfcalc check --all` takes less than 20 times what `rfcalc table vgg16` takes, and needs no torch."""

    def seconds(*arguments: str) -> float:
        start = time.process_time()
        subprocess.run([sys.executable, "-m", "rfcalc", *arguments], stdout=subprocess.DEVNULL, check=True)
        return time.process_time() - start

    assert min(seconds("check", "--all") for _ in range(2)) < 20 * min(seconds("table", "vgg16") for _ in range(2))


@pytest.mark.parametrize(
    ("what", "value"),
    [("rf@pool5", "212 bytes"), ("rf@pool5", "212 FLOPs"), ("values@pool5", "25088 params"),
     ("values@pool5", "25088 px"), ("values@pool5", "25088 bytes"), ("params", "138M px"), ("params", "138 MB")],
)  # fmt: skip
def test_a_unit_that_counts_something_else_is_refused(tmp_path: Path, what: str, value: str) -> None:
    def claim(what: str, value: str) -> Path:
        path = tmp_path / "x.rfclaims.toml"
        head = 'schema = "rfcalc/claims/1"\nsource = "a paper"\nnetwork = "vgg16"'
        path.write_text(f'{head}\n[[claim]]\nwhat = "{what}"\nprinted = "{value}"\n')
        return path

    with pytest.raises(ClaimError, match="no figure in that unit"):
        list(read(claim(what, value)))
    for right in (("rf@pool5", "212 px"), ("4 * values@pool5", "100352 bytes"), ("bytes@pool5", "100 kB")):
        assert len(list(read(claim(*right)))) == 1


@pytest.mark.parametrize("text", ["1,38M", "4,1G", "13,8357,544", ",138", "138,", "1,2345"])
def test_a_comma_stands_between_thousands_only(text: str) -> None:
    with pytest.raises(RfcalcError, match="is not a printed value"):
        printed(text)


def test_one_claim_that_cannot_be_read_does_not_silence_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does a row of a table that is too short: the others are judged, the errors told, and the exit code is 2."""
    claim = '[[claim]]\nnetwork = "vgg16"\nwhat = "{}"\nprinted = "{}"\n'
    table = (
        '[[table]]\nnetwork = "*"\ncolumns = ["name", "params"]\nrows = [\n ["resnet18", "11.7M"],\n ["resnet34"],\n]\n'
    )
    text = 'schema = "rfcalc/claims/1"\n' + claim.format("params", "138M") + claim.format("params@", "1")
    path = tmp_path / "mixed.rfclaims.toml"
    path.write_text(text + claim.format("macs", "15.5Gfoo") + table)
    code, out, err = call(capsys, str(path), "--format", "plain")
    assert (code, "2 claims: 2 match" in out) == (2, True)
    assert [f"{path}:{line}: " in err for line in (6, 10, 19)] == [True] * 3
