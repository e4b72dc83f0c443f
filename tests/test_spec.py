"""Spec files: examples, every field, messages with path and line, the schema for editors, export and back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import expressions, layers

import rfcalc
from rfcalc import Conv, MaxPool, Network, ReLU, RfcalcError, Shape, spec, zoo
from rfcalc.cli import run
from rfcalc.core.expr import LAYERS
from rfcalc.notation import parse
from rfcalc.report import schemas

FILES = sorted((Path(__file__).parent.parent / "docs" / "examples").glob("*.toml"))
EXAMPLES = [p for p in FILES if "items" not in tomllib.loads(p.read_text(encoding="utf-8"))]  # lessons are no networks
SCHEMA = schemas.schema("spec")


def loads(text: str, form: str = "toml") -> Network:
    return spec.loads(text, form).network


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_are_valid_readable_and_come_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(tomllib.loads(text), SCHEMA)
    network = spec.load(path).network
    assert max(map(len, text.split("\n"))) <= 120
    assert len(text.split("\n")) < 50
    for form in ("toml", "json"):
        assert loads(spec.write(network, form), form) == network


def test_googlenet_has_the_papers_columns() -> None:
    report = rfcalc.analyze(str(EXAMPLES[0]))
    outputs = {name: report[name].output_shape for name in ("3a", "3b", "4a", "4e", "5b")}
    assert outputs["3a"] == (256, 28, 28)
    assert outputs["4e"] == (832, 14, 14)
    assert outputs["5b"] == (1024, 7, 7)
    assert sum(row.params for row in report if row.name.startswith("3a.")) == 163_696
    assert report.totals.params == 6_998_552  # the literature's 7 million, with biases


def test_unet_has_the_papers_sizes() -> None:
    report = rfcalc.analyze(str(EXAMPLES[1]))
    assert report["down4"].output_shape == (512, 64, 64)
    assert report.outputs[0].output_shape == (2, 388, 388)
    assert report.totals.params == 31_030_658


def test_tables_and_notation_mean_the_same() -> None:
    text = """
    layers = [
      {kind = "conv", out_channels = 64, kernel = 3, padding = "same", name = "a"},
      "relu",
      {notation = "conv3-64 relu", repeat = 2, stage = "body"},
      {kind = "conv", out_channels = 64, kernel = 2, dilation = "(2**i)", repeat = 3, index = "i", scope = "b"},
      {kind = "add", inputs = ["a", "relu1"], name = "sum"},
      {kind = "maxpool", kernel = [2, 3], input = "a", shared = "w"},
      {block = "double", with = {c = 32}, name = "end"},
    ]
    outputs = ["sum", "end"]
    [inputs]
    input = [3, 32, 32]
    [blocks.double]
    parameters = {c = 64, k = 3}
    layers = ["conv(k)-c relu", {kind = "conv", out_channels = "(2*c)", kernel = 1}]
    """
    written = """
    outputs: sum, end
    a=conv3-64 same relu body[conv3-64 relu x2] > b{conv2-64 p0 d(2**i) x3:i} > sum={@a, @relu1} add
    > @a (maxpool2x3) ~w > end=(conv3-32 relu conv1-64)
    """
    network = loads(text)
    jsonschema.validate(tomllib.loads(text), SCHEMA)
    assert network.inputs == {"input": Shape(3, 32, 32)}
    assert [n.layer.out_channels for n in network.nodes if n.layer.kind == "conv"][-2:] == [32, 64]
    assert network.nodes == parse(written).network().nodes


def test_blocks_take_parameters_by_position_name_and_default() -> None:
    text = """
    layers = "res(16) > res(32, stride=2) > b(i + 1) x2:i"
    [blocks.res]
    parameters = {c = 8, stride = 1}
    layers = "(conv3-c/stride relu last(c)) + conv1-c/stride > relu"
    [blocks.last]
    parameters = ["c"]
    layers = "conv3-c"
    [blocks.b]
    parameters = ["n"]
    layers = "conv3-(8*2**n)"
    """
    convs = [n.layer for n in loads(text).nodes if n.layer.kind == "conv"]
    assert [(c.out_channels, c.stride) for c in convs] == [
        *[(16, (1,))] * 3,
        *[(32, (2,)), (32, (1,)), (32, (2,))],
        *[(16, (1,)), (32, (1,))],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('layers = "conv3-64 >> mxpool2"', ["spec, line 1, layers, column 13", "did you mean maxpool", "^^^^^^^"]),
        ('name = "x"\n\nlayers = """\nconv3-8 >\n  konv3\n"""', ["line 5, layers, column 3"]),
        ('layers = """conv3-8 >\nkonv3"""', ["line 2, layers, column 1"]),
        ("layers = [\n", ["line 1, column 11"]),
        ('layers = "relu"\nlayers = "relu"', ["line 2"]),
        ('layer = "relu"', ["line 1, layer: unknown field 'layer'", "did you mean layers"]),
        ('name = "a"', ["there are no layers"]),
        ('name = 3\nlayers = "relu"', ["line 1, name: name is not a text"]),
        ('layers = "relu"\ninput = "3x0x3"', ["line 2, input", "is not a shape"]),
        ('layers = "relu"\ninput = "3x3"\ninputs = {a = "3"}', ["line 3, inputs", "already"]),
        ('layers = "relu"\noutputs = ["fc9"]', ["line 2, outputs", "unknown node 'fc9'"]),
        (
            '[[layers]]\nkind = "conv"\nout_channels = 8\nkernal = 3',
            ["line 4, layers[0].kernal", "did you mean kernel"],
        ),
        (
            '[[layers]]\nkind = "relu"\n[[layers]]\nkind = "covn"',
            ["line 2, layers[0].kind", "unknown layer kind 'relu'"],
        ),
        ('[[layers]]\nkind = "glu"\n[[layers]]\nkind = "covn"', ["line 4, layers[1].kind", "did you mean conv"]),
        ('layers = [{kind = "conv", out_channels = 8, kernel = 0}]', ["line 1, layers[0]", "kernel 0"]),
        ('layers = [{kind = "conv", kernel = 3}]', ["layers[0]", "out_channels"]),
        ('layers = [{kind = "activation", function = 3}]', ["layers[0]", "cannot be made"]),
        ('layers = [{kind = "conv", notation = "relu"}]', ["one of kind, notation and block"]),
        ("layers = [3]", ["layers[0]", "neither notation nor a table"]),
        ("layers = []", ["neither notation nor a list"]),
        ('layers = [{block = "b"}]\n[blocks.c]\nlayers="relu"', ["layers[0].block", "unknown block 'b'"]),
        ('layers = "b(1)"\n[blocks.b]\nlayers = "relu"', ["line 1, layers, column 1", "b takes 0 numbers"]),
        ('layers = "b"\n[blocks.b]\nparameters = ["c"]\nlayers = "conv3-c"', ["b needs c", "b(c)"]),
        ('layers = "b(d=1)"\n[blocks.b]\nparameters = ["c"]\nlayers = "conv3-c"', ["no parameter 'd'"]),
        ('layers = "relu"\n[blocks.b]\nlayers = "conv3-c"', ["line 3, blocks.b.layers", "c is not a parameter"]),
        ('layers = "relu"\n[blocks.conv]\nlayers = "relu"', ["line 2, blocks.conv", "a layer has this name"]),
        ('layers = "relu"\n[blocks.b]\nlayers = "name: x; relu"', ["a header has no place"]),
        ('layers = "a"\n[blocks.a]\nlayers = "b"\n[blocks.b]\nlayers = "relu a"', ["blocks.a", "part of itself"]),
        ('layers = [{notation = "relu", repeat = 0}]', ["layers[0].repeat", "cannot repeat 0 times"]),
        ('layers = [{notation = "relu", repeat = 2000000}]', ["layers[0].repeat", "too large"]),
        ('layers = [{kind="conv", out_channels=8, kernel=2, dilation="(2**i)", index="i", repeat=900}]', ["too large"]),
        ('layers = [{kind="conv", out_channels=8, kernel=2, dilation="(2**i)"}]', ["i is not the index"]),
        ('schema = "rfcalc/report/1"\nlayers = "relu"', ["line 1, schema", "not a spec"]),
        (f"layers = {'[' * 5000}{']' * 5000}", ["nested too deeply"]),
    ],
)
def test_errors_name_the_field_and_the_line(text: str, said: list[str]) -> None:
    with pytest.raises(RfcalcError) as caught:
        loads(text)
    message = str(caught.value)
    assert all(s in message for s in said), message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{\n "layers": [\n  "relu",\n  {"kind": "conv",\n   "kernel": 3,\n   "chanels": 3}\n ]\n}',
            ["line 6, layers[1].chanels"],
        ),
        ('{"layers": "relu", "layers": "relu"}', ["'layers' stands twice"]),
        ('{"layers": "relu",}', ["line 1, column 19"]),
        ('{"layers": [{"kind": "dropout", "p": NaN}]}', ["NaN is not a number"]),
        ("[1]", ["a spec is a table"]),
        ('{"layers": ' + "[" * 100_000, ["nested too deeply"]),
        ('{"layers": [{"kind": "conv", "out_channels": 1' + "0" * 5000 + "}]}", ["spec"]),
        ("", ["line 1, column 1"]),
    ],
)
def test_json_errors(text: str, said: list[str]) -> None:
    with pytest.raises(RfcalcError) as caught:
        loads(text, "json")
    assert all(s in str(caught.value) for s in said), str(caught.value)


def test_the_schema_knows_every_kind_and_refuses_what_the_reader_refuses() -> None:
    assert SCHEMA["$defs"]["kind"]["properties"]["kind"]["enum"] == sorted(LAYERS.names())
    for wrong in (
        {},
        {"layers": []},
        {"layers": "relu", "input": "3x0x?"},
        {"layers": [{"kind": "no"}]},
        {"layers": [3]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)
        with pytest.raises(RfcalcError):
            loads(json.dumps(wrong), "json")


@pytest.mark.parametrize("name", zoo.networks())
@pytest.mark.parametrize("form", ["toml", "json"])
def test_the_zoo_comes_back(name: str, form: str) -> None:
    network = zoo.build(name)
    text = spec.write(network, form)
    again = loads(text, form)
    assert again == network
    assert (again.title, again.citation) == (network.title, network.citation)
    jsonschema.validate(json.loads(text) if form == "json" else tomllib.loads(text), SCHEMA)


@settings(max_examples=60, deadline=None)
@given(expressions(layers().filter(lambda e: e.arity[0] <= 1)), st.text(max_size=8), st.sampled_from(["toml", "json"]))
def test_random_networks_come_back(tree: rfcalc.Expr, name: str, form: str) -> None:
    try:
        network = Network(tree, {"in put": "3x8x8"}, name=name, outputs=["in put"])
        text = spec.write(network, form)
        text.encode()
    except (RfcalcError, ZeroDivisionError, UnicodeEncodeError):
        return
    assert loads(text, form) == network


# --- targets and the command line ------------------------------------------------------------------------------------


def test_a_file_is_a_target(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my-net.toml").write_text('input = "1x9x9"\nlayers = "conv3-1/2 p0 > maxpool2"', encoding="utf-8-sig")
    assert run(["table", "my-net.toml", "--format", "csv", "--columns", "name,output,rf"]) == 0
    assert (
        capsys.readouterr().out == "name,output_shape,receptive_field\ninput,1x9x9,\nconv1,1x4x4,3\nmaxpool1,1x2x2,5\n"
    )
    Path("net.json").write_text('{"layers": "conv3-8"}')
    assert rfcalc.load("net.json").nodes[0].layer == Conv(8, 3, padding=1)
    Path("vgg16").write_text("not a network")
    assert rfcalc.load("vgg16").name == "vgg16"
    for text, said in (
        ("none.toml", "there is no such file"),
        ("conv3-64 > none.toml", "'none.toml' is not a layer"),
        ("py:nowhere", "names no object"),
        ("vgg61", "unknown network 'vgg61'"),
        ("conv3", "'conv3' has no channels"),
        ("py:nowhere:x", "cannot import nowhere"),
    ):
        with pytest.raises(RfcalcError, match=said):
            rfcalc.load(text)
    Path("broken.toml").write_bytes(b'layers = "\xff"')
    with pytest.raises(RfcalcError, match="UTF-8"):
        rfcalc.load("broken.toml")
    Path("folder.toml").mkdir()
    with pytest.raises(RfcalcError, match=r"folder\.toml"):
        rfcalc.load("folder.toml")


def test_python_objects_are_targets_only_when_they_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine.py").write_text(
        "from rfcalc import Conv, Network\nnet = Network(Conv(4, 3), '1x5x5')\ndef make(): return net\n"
    )
    for target in ("mine.py:net", "mine.py:make", "py:mine:net"):
        assert rfcalc.load(target).nodes[0].layer == Conv(4, 3)
    with pytest.raises(RfcalcError, match="unknown object 'nett'"):
        rfcalc.load("mine.py:nett")
    Path("evil.py").write_text("raise SystemExit('run')")
    Path("evil.toml").write_text('layers = "py:evil:x"')
    for text in ("evil:x", "evil.toml", "evil"):
        with pytest.raises(RfcalcError):
            rfcalc.load(text)


@pytest.mark.parametrize("form", ["notation", "spec", "json"])
def test_export_and_back(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ("net.json" if form == "json" else "net.toml")
    words = ["export", "conv3-8 relu x2 > maxpool2", "--input", "3x8x8", "--to", form]
    assert run([*words, "--output", str(path)]) == 0
    network = Network((Conv(8, 3, padding=1) >> ReLU()) * 2 >> MaxPool(2), "3x8x8")
    if form == "notation":
        assert path.read_text() == "input: 3x8x8\nconv3-8 relu x2 > maxpool2\n"
        assert rfcalc.load(path.read_text()) == network
    else:
        assert rfcalc.load(str(path)) == network
    assert run(words) == 0
    assert capsys.readouterr().out == path.read_text()
    assert run(["export", "vgg16", "--to", "tomll"]) == 2
    assert run(["export", "vgg16", "--input", "left=3x8x8"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "[" + ".".join(["a"] * 50_000) + "]\nx = 1",
        'input = "1x9x9"\n' + ".".join(["'a b'"] * 20_000) + " = 1",
        "with = {" + ".".join(["a"] * 20_000) + " = 1}",
    ],
    ids=["table", "field", "inline"],
)
def test_names_of_thousands_of_parts_are_refused_at_once(text: str, tmp_path: Path) -> None:
    from time import perf_counter

    from rfcalc.claims.files import read as claims_of

    begun = perf_counter()
    with pytest.raises(RfcalcError, match=r"line \d: the name of a table or field is nested too deeply"):
        spec.loads(text)
    (tmp_path / "deep.rfclaims.toml").write_text(text)
    with pytest.raises(RfcalcError, match="nested too deeply"):
        claims_of(tmp_path / "deep.rfclaims.toml")
    assert perf_counter() - begun < 2


@pytest.mark.parametrize(
    "text", ["a.b.c = 1", 's = "' + "a." * 5000 + '"', "# " + "a." * 5000, "x = [" + "1.0, " * 500 + "]"]
)
def test_control_other_dots_are_no_deep_names(text: str) -> None:
    from rfcalc.spec.toml import tables

    assert tables(text, "spec") == tomllib.loads(text)
