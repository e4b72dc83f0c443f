"""The notation: what it means, what it refuses and how, and that every network prints as notation that reads back."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import PARAMETERS, expressions, layers

import rfcalc
from rfcalc import (
    Activation,
    Conv,
    Identity,
    Linear,
    MatMul,
    MaxPool,
    Network,
    ReLU,
    RfcalcError,
    Shape,
    Var,
    parallel,
    ref,
    repeat,
    series,
    side,
    zoo,
)
from rfcalc.core.errors import NotationError
from rfcalc.core.expr import DEEPEST, LAYERS, Series
from rfcalc.notation import parse, write
from rfcalc.notation.lexicon import words

C = Conv(8, 3, padding=1)
I = Var("i")  # noqa: E741


def expr(text: str) -> rfcalc.Expr:
    return parse(text).expr


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("conv3-64 relu x2 > maxpool2", (Conv(64, 3, padding=1) >> ReLU()) * 2 >> MaxPool(2)),
        ("conv3-1/2 p0 > maxpool2", Conv(1, 3, stride=2) >> MaxPool(2)),
        ("CONV3-64 ReLU MaxPool", Conv(64, 3, padding=1) >> ReLU() >> MaxPool(2)),
        ("FC-4096 soft-max", Linear(4096) >> rfcalc.Softmax()),
        ("conv1x7-8", Conv(8, (1, 7), padding=((0, 0), (3, 3)))),
        ("conv3x3x3-8", Conv(8, (3, 3, 3), padding=((1, 1), (1, 1), (1, 1)))),
        (
            "conv3-8 s2 p0:1x2 d2 g4 nobias",
            Conv(8, 3, stride=2, padding=((0, 1), (2, 2)), dilation=2, groups=4, bias=False),
        ),
        ("conv3-8 valid reflect", Conv(8, 3, border="reflect")),
        ("conv4-8", Conv(8, 4, padding=((1, 2),))),
        ("conv4-8 same", Conv(8, 4, padding="same")),
        ("conv4-8/2 SAME", Conv(8, 4, stride=2, padding="SAME")),
        ("conv3-8 d4", Conv(8, 3, padding=4, dilation=4)),
        ("dwconv3/2 m2", rfcalc.Depthwise(3, stride=2, padding=1, multiplier=2)),
        ("deconv4-8/2 p1 op1", rfcalc.ConvTranspose(8, 4, stride=2, padding=1, output_padding=1)),
        ("maxpool3/2 p1 ceil", MaxPool(3, 2, 1, rounding="ceil")),
        ("avgpool2x3", rfcalc.AvgPool((2, 3))),
        ("up2 bilinear corners", rfcalc.Upsample(2, mode="linear", align_corners=True)),
        ("resize13x20", rfcalc.Upsample(size=(13, 20))),
        ("flatten dropout0.2", rfcalc.Flatten() >> rfcalc.Dropout(0.2)),
        ("attention12 nobias", rfcalc.SelfAttention(12, bias=False)),
        ("pad1 conv3-8 p0", rfcalc.Pad(1) >> Conv(8, 3)),
        ("conv3-8 relu | conv3-8 | identity", (C >> ReLU()) | C | Identity()),
        ("conv3-8 > conv3-8 + identity > relu", C >> (C + Identity()) >> ReLU()),
        ("conv3-8 * identity + identity | relu", (C * Identity() + Identity()) | ReLU()),
        ("(conv3-8 > relu) > relu", C >> ReLU() >> ReLU()),
        ("(conv3-8 | relu) | relu", parallel([C | ReLU(), ReLU()], rfcalc.Concat())),
        ("stem=conv3-8 > @stem | @input", C.named("stem") >> (ref("stem") | ref("input"))),
        ("b{conv3-8 x2} > s[relu]", (C * 2).block("b") >> ReLU().stage("s")),
        ('"block 1"[conv3-8] side(fc3)', C.stage("block 1") >> side(Linear(3))),
        ("conv3-8 ~w > conv3-8~w", C.shared("w") >> C.shared("w")),
        ("{@a, @b > relu} matmul transpose", parallel([ref("a"), ref("b") >> ReLU()], MatMul(transpose=True))),
        ("conv2-8 p(2**i):0 d(2**i) x3:i", repeat(Conv(8, 2, padding=((2**I, 0),), dilation=2**I), 3, "i")),
        ("conv3-(64*2**i) relu x4:i", repeat(Conv(64 * 2**I, 3, padding=1) >> ReLU(), 4, "i")),
        ("conv3-8 x2 x3", (C * 2) * 3),
        ("series(conv3-8) # a comment\n > relu", Series((Series((C,)), ReLU()))),
        ("conv3-8 → relu >> relu ×2", series([C, ReLU(), ReLU() * 2])),
    ],
)
def test_means(text: str, meant: rfcalc.Expr) -> None:
    assert expr(text) == meant
    assert expr(write(meant)) == meant


def test_the_lesson_s_toy() -> None:
    report = rfcalc.analyze("conv3-1/2 p0 > maxpool2", "1x9x9")
    assert [r.output_shape for r in report] == [(1, 4, 4), (1, 2, 2)]
    field = report.rows[-1].receptive_field
    assert (field.size, field.padding) == ((5, 5), (0, 0))


def test_header() -> None:
    text = 'name: two; title: "a; b"\ncitation: Somebody 2020, p. 3\n# both\n'
    text += 'inputs: left=3x8x8, "right one"=5x4 channel1\n'
    network = parse(text + 'outputs: a, b\n@left > conv3-8 flatten > side(@"right one" b=fc3) > a=fc2').network()
    assert network.inputs == {"left": Shape(3, 8, 8), "right one": Shape(5, 4, channel=1)}
    assert (network.name, network.title, network.citation) == ("two", "a; b", "Somebody 2020, p. 3")
    assert network.outputs == ("a", "b")
    assert parse(write(network)).network() == network


def test_assumptions_name_the_defaults() -> None:
    told = " ".join(rfcalc.analyze("conv3-8 > maxpool > conv3-8/1 p1").assumptions)
    assert "conv: stride 1, padding that keeps the size" in told
    assert "maxpool: kernel 2, stride = kernel, no padding" in told
    assert "input is 3x224x224" in told
    assert not parse("conv3-8/1 p1").assumptions


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("conv3-64 > cnov3-64", 12, ["'cnov3-64' is not a layer", "did you mean", "conv"]),
        ("conv3-64 > > relu", 12, ["a layer was expected here"]),
        ("conv3-64 >", 11, ["the text ends"]),
        ("", 1, ["a layer was expected"]),
        ("conv3-64 (relu", 10, ["'(' is never closed"]),
        ("conv3-64 relu)", 14, ["')' was not expected"]),
        ("conv3-64 dl2", 10, ["nor an option of conv", "d…"]),
        ("conv3-64 stride2", 10, ["write s2"]),
        ("conv3-64 stride=3", 17, ["write s3"]),
        ("conv3-64 padding=same", 18, ["write same"]),
        ("conv3-64 dilation(2)", 10, ["write d2"]),
        ("conv3-64 groups = 4", 19, ["write g4"]),
        ("conv3-64 bias=False", 15, ["write nobias"]),
        ("bn stride2", 4, ["write a layer like"]),
        ("conv3-64 d2 d3", 13, ["given twice"]),
        ("conv3", 1, ["no channels", "conv3-64"]),
        ("conv-64", 1, ["no size"]),
        ("relu5", 1, ["takes no size"]),
        ("conv3-64 p1:2:3", 10, ["not a padding"]),
        ("conv3-64 same p1", 15, ["exclude each other"]),
        ("conv3-64 d(2**)", 10, ["not a whole-number expression"]),
        ("conv3-64 d(2**i)", 1, ["i is not the index of a repetition", "x4:i"]),
        ("conv3-64 d(2**i) x4000:i", 1, ["grows too large"]),
        ("conv0-64", 1, ["kernel 0"]),
        ("permute(i)x0 x2:i", 1, ["cannot be read", "permute1x0"]),
        ("maxpool2xk", 1, ["'k' is not a number"]),
        ("x2", 1, ["nothing to repeat"]),
        ("conv3-64 x0", 10, ["0 times"]),
        ("conv3-64 x1000000000", 10, ["1,000,000,000 repetitions are too many"]),
        ("relu x1000 x1000 x1000", 18, ["too large"]),
        ("@nowhere > relu", 1, ["names nothing"]),
        ("relu > a=relu > a=relu", 17, ["'a' stands for two nodes"]),
        ("{relu, relu", 1, ["never closed"]),
        ("{relu, relu}", 13, ["joins the branches"]),
        ("[relu]", 1, ["needs a name"]),
        ('"a b" relu', 1, ["in quotes is a label"]),
        ('"a b', 1, ["does not end"]),
        ("a{relu, relu}", 7, ["no branches"]),
        ("input: 3x0x3; relu", 8, ["not a shape"]),
        ("name: a; name: b; relu", 10, ["said twice"]),
        ("relu > ? > relu", 8, ["'?' is not a layer"]),
        ("(" * 200 + "relu" + ")" * 200, 152, ["nested too deeply"]),
        ("a=" * 200 + "relu", None, ["nested too deeply"]),
    ],
)
def test_errors_point_at_the_place(text: str, column: int | None, said: list[str]) -> None:
    with pytest.raises(RfcalcError) as caught:
        parse(text).network()
    message = str(caught.value)
    assert all(s in message for s in said), message
    if column is not None:
        assert f"column {column}:" in message, message
        shown, caret = (caught.value.why or "").split("\n")[:2]
        assert caret.strip("^ ") == ""
        assert len(caret) <= len(shown) + 1


def test_errors_show_the_right_line() -> None:
    with pytest.raises(NotationError, match="line 3, column 3") as caught:
        parse("conv3-64 >\nrelu >\n  konv3-64\n> relu")
    assert "  konv3-64\n" in (caught.value.why or "")


def test_every_kind_declares_an_example_that_reads_back() -> None:
    for kind in LAYERS.values():
        spelling = kind.spelling
        assert spelling is not None, kind
        found = expr(spelling.example)
        assert kind.kind in repr([n.layer.kind for n in Network(found).nodes]), spelling.example
        for word in spelling.words:
            assert words()[word] is kind


def test_every_kind_is_drawn() -> None:
    assert {getattr(rfcalc, name) for name in PARAMETERS} == set(LAYERS.values())


@pytest.mark.parametrize("kind", sorted(PARAMETERS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_layers_read_back(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers(kind))
    text = layer.notation(exact=True)
    assert parse(text, symbols=True).expr == layer, text


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_expressions_read_back(tree: rfcalc.Expr) -> None:
    for width in (None, 40):
        assert expr(write(tree, width)) == tree


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_networks_read_back(data: st.DataObject) -> None:
    leaves = layers().filter(lambda e: e.arity[0] <= 1)
    tree = data.draw(expressions(leaves))
    names = data.draw(st.lists(st.text(min_size=1, max_size=4).filter(str.strip), max_size=2, unique=True))
    shapes = st.one_of(st.none(), st.just("3x8x8"), st.just(Shape(4, 5, channel=1)))
    inputs = {name: data.draw(shapes) for name in names} or data.draw(shapes)
    texts = st.one_of(st.just(""), st.text(max_size=12))
    about = {key: data.draw(texts) for key in ("name", "title", "citation")}
    whole = ref(names[0]) >> tree if names else tree
    try:
        network = Network(whole, inputs, **about)
        network = Network(whole, inputs, outputs=data.draw(st.lists(st.sampled_from(list(network.positions)))), **about)
    except (RfcalcError, ZeroDivisionError):
        return
    again = parse(write(network)).network()
    assert again == network
    assert again.nodes == network.nodes
    assert (again.title, again.citation) == (network.title, network.citation)


@pytest.mark.parametrize("name", zoo.networks())
def test_the_zoo_reads_back(name: str) -> None:
    network = zoo.build(name)
    text = write(network)
    again = parse(text).network()
    assert again == network
    assert again.nodes == network.nodes
    assert max(map(len, text.split("\n"))) <= 180


def test_the_control_fails_when_a_parameter_is_lost() -> None:
    assert expr(Conv(8, 3, padding=1, bias=False).notation(exact=True).replace(" nobias", "")) != Conv(
        8, 3, padding=1, bias=False
    )


def test_long_chains_are_fast_and_read_back() -> None:
    chain = series([Conv(8, 3, padding=1), Activation("relu")] * 50_000)
    start = process_time()
    text = write(chain)
    assert expr(text) == chain
    assert process_time() - start < 20
    with pytest.raises(NotationError, match="too long"):
        parse("relu " * 5_000_000)


def test_deep_expressions_read_back() -> None:
    tree: rfcalc.Expr = ReLU()
    for i in range(48):
        tree = (tree + Identity()) >> ReLU() if i % 2 else (tree | Identity()).named(f"n{i}")
    assert expr(write(tree)) == tree


@pytest.mark.parametrize(
    "deeper",
    [
        lambda t: t.named("a"),
        lambda t: t.block("b"),
        lambda t: Series((t,)),
        lambda t: parallel([t, ReLU()], rfcalc.Add()),
        lambda t: parallel([t], MatMul()),
        lambda t: repeat(t, 1),
        side,
    ],
)
def test_the_deepest_expressions_read_back(deeper) -> None:
    tree: rfcalc.Expr = ReLU()
    while tree.depth < DEEPEST:
        tree = deeper(tree)
    assert expr(write(tree)) == tree
    with pytest.raises(RfcalcError, match="nested too deeply"):
        deeper(tree)
