"""Explanations: the lesson's derivations as on the blackboard, and every number in them against the walks."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import jsonschema
import pytest
import sympy
from explained import check
from graphs import Case, graphs
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import rfcalc
from rfcalc import Add, Concat, Conv, ConvTranspose, MaxPool, Network, ReLU, Upsample, parallel, ref, zoo
from rfcalc.cli import run
from rfcalc.core.cost import KEEPS_NOTHING, Cost, Formula
from rfcalc.core.errors import RfcalcError
from rfcalc.core.expr import LAYERS
from rfcalc.core.layer import Layer, layer, over_space, spatial_rank, store
from rfcalc.core.shape import Shape
from rfcalc.core.sliding import Sliding, axes, pads
from rfcalc.derivation import steps as rules
from rfcalc.derivation.blackboard import document
from rfcalc.derivation.deriving import derive
from rfcalc.derivation.model import Explanation
from rfcalc.derivation.symbols import analyzed
from rfcalc.render import FORMATS, Look, render
from rfcalc.report import Report, schemas
from rfcalc.report.field_report import FieldReport
from rfcalc.report.metrics import METRICS

SCHEMA = schemas.schema("explain")
VALID = jsonschema.Draft202012Validator(SCHEMA)
SAMPLE = ("alexnet", "googlenet", "resnet18", "unet", "swin-t", "wavenet", "lenet5")


def explained(target: str, node: str | None, metric: str, input: Any = None, **how: Any) -> Explanation:  # noqa: A002
    return derive(analyzed(target, input), node, metric, **how)


def write(found: Explanation, form: str = "terminal", **look: Any) -> str:
    return render(document(found), form, Look(**look))


LESSON = {  # golden file → target, input, node, metric, direction, format
    "three-3x3": ("conv3-8 p0 x3", "3x7x7", None, "rf", "both", "terminal"),
    "toy-9x9": ("conv3-1/2 p0 > maxpool2", "1x9x9", "maxpool1", "receptive-field", "both", "terminal"),
    "27c2": ("conv3-C nobias x3", None, None, "weights", "backward", "terminal"),
    "49c2": ("conv7-C nobias", None, None, "weights", "backward", "terminal"),
    "alexnet-conv1": ("alexnet", None, "conv1", "params", "backward", "plain"),
    "alexnet-pool1": ("alexnet", None, "pool1", "output_shape", "backward", "markdown"),
    "rounded-down": ("conv11-96/4 p0", "3x224x224", "conv1", "shape", "backward", "latex"),
    "vgg16-pool5": ("vgg16", None, "pool5", "rf", "backward", "markdown"),
    "vgg16-corner": ("vgg16", None, "pool2", "rf", "forward", "plain"),
    "vgg16-peak": ("vgg16", None, None, "peak", "backward", "terminal"),
    "two-branches": ("(conv3-8 p2:0 | conv3-8 p0:2) > conv3-8/2", "3x32x32", "conv3", "rf", "both", "terminal"),
    "phases": ("conv3-8 > convT3-8/2 > conv3-8", "3x16x16", "conv2", "rf", "both", "terminal"),
    "global": ("vgg16", None, "fc6", "rf", "backward", "latex"),
    "toy-json": ("conv3-1/2 p0 > maxpool2", "1x9x9", "maxpool1", "center", "backward", "json"),
}


@pytest.mark.parametrize("name", list(LESSON))
def test_golden_derivations(name: str, golden: Callable[[str, str], None]) -> None:
    target, shape, node, metric, direction, form = LESSON[name]
    unit = (0, 0) if name == "vgg16-corner" else None
    found = explained(target, node, metric, shape, direction=direction, unit=unit)
    golden(f"explain-{name}.{form}", write(found, form))


def values(found: Explanation, subject: str) -> list[Any]:
    return [e.value for e in found.equations if e.subject == subject]


def test_the_lessons_numbers() -> None:
    """What the goldens must say, from data: the goldens can be written anew, these cannot."""
    assert values(explained("conv3-8 x3", None, "rf", "3x7x7"), "F") == [3, 5, 7]
    assert values(explained("conv3-8 x3", None, "rf", "3x7x7", direction="forward"), "r") == [3, 5, 7]
    toy = explained("conv3-1/2 p0 > maxpool2", "maxpool1", "rf", "1x9x9")
    assert values(toy, "F") == [2, 5]
    pool5 = write(explained("vgg16", "pool5", "rf"))
    assert "F = (1 − 1) × 2 + 2 = 2" in pool5
    assert "F = (2 − 1) × 1 + 3 = 4" in pool5
    assert "F(i) = (F(i+1) − 1) × s + k" in pool5
    assert explained("vgg16", "pool5", "rf").value == (212, 212)
    assert write(explained("conv3-C nobias x3", None, "weights")).split("\n")[0].endswith("27C²")
    assert write(explained("conv7-C nobias", None, "weights")).split("\n")[0].endswith("49C²")
    assert write(explained("conv3-C nobias x3", None, "macs")).split("\n")[0].endswith("27C²HW")
    assert explained("alexnet", "conv1", "params").value == 34_944
    assert "weights = 11 × 11 × 3 × 96 = 34,848" in write(explained("alexnet", "conv1", "params"))
    assert values(explained("alexnet", "pool1", "shape"), "Out") == [55, 27]
    assert "Out = (227 − 11 + 2 × 0) / 4 + 1 = 55" in write(explained("alexnet", "pool1", "shape"))
    rounded = write(explained("conv11-96/4 p0", "conv1", "shape", "3x224x224"))
    assert "Out = ⌊(224 − 11 + 2 × 0) / 4⌋ + 1 = ⌊213 / 4⌋ + 1 = 54" in rounded


# Every number against the walk that it comes from


def everything(report: Report, nodes: list[str]) -> Iterator[tuple[str | None, str, str]]:
    for chosen in METRICS.values():
        places = ([None] if chosen.whole else []) + (nodes if chosen.row else [])
        for node in places:
            for direction in ("backward", "both") if chosen.name == "receptive_field" else ("backward",):
                yield node, chosen.name, direction


@pytest.mark.parametrize("name", SAMPLE)
def test_every_number_is_the_walks(name: str) -> None:
    report = Report(zoo.build(name))
    rows = [row.name for row in report]
    nodes = random.Random(name).sample(rows, min(6, len(rows)))
    for node, metric, direction in everything(report, nodes):
        found = check(report, node, metric, direction=direction)
        if node == nodes[0]:
            VALID.validate(found.to_dict())
            for form in FORMATS:
                assert write(found, form)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_every_number_of_the_zoo_is_the_walks(name: str) -> None:
    report = Report(zoo.build(name))
    for node, metric, direction in everything(report, [row.name for row in report]):
        check(report, node, metric, direction=direction)


@pytest.mark.parametrize(("batch", "dtype"), [(4, "float16"), (3, "float64")])
def test_batches_and_dtypes(batch: int, dtype: str) -> None:
    report = rfcalc.analyze(
        "resnet18-cifar" if "resnet18-cifar" in zoo.networks() else "lenet5", batch=batch, dtype=dtype
    )
    for node, metric, direction in everything(report, [row.name for row in report][:4]):
        check(report, node, metric, direction=direction)


BRANCHED = {
    "ends from two branches": Network(
        parallel([Conv(8, 3, padding=((2, 0),)), Conv(8, 3, padding=((0, 2),))], Concat()) >> Conv(8, 3, stride=2),
        "3x32x32",
    ),
    "phases": Network(
        Conv(8, 3) >> ConvTranspose(8, 3, stride=2) >> Conv(8, 3) >> Upsample(3) >> MaxPool(2), "3x16x16"
    ),
    "gaps": Network(Conv(8, 3) >> ConvTranspose(8, 1, stride=2) >> Conv(8, 3), "3x16x16"),
    "dilations": Network(Conv(8, 3, dilation=2) >> Conv(8, 3, stride=2, dilation=4, padding=4), "3x32x32"),
    "unequal axes": Network(Conv(8, (3, 5), stride=(1, 2)) >> MaxPool((2, 3)), "3x32x64"),
    "three axes": Network(Conv(8, 3, stride=2, padding=1) >> Conv(8, 3), "1x9x17x33"),
    "a signal": Network(Conv(8, 9, stride=4) >> Conv(8, 3, dilation=2), "1x400"),
    "skip over a pool": Network(
        Conv(8, 3, padding=1).named("a") >> MaxPool(2) >> Conv(8, 3, padding=1) >> Upsample(2) >> _add("a"), "3x16x16"
    )
    if (_add := lambda name: parallel([ReLU(), ref(name)], Add()))
    else None,
    "different strides": Network(
        parallel([Conv(8, 3, stride=2, padding=1), Conv(8, 3) >> Upsample(size=16)], Add()) >> Conv(8, 3), "3x32x32"
    ),
    "two inputs": Network(
        parallel([ref("left") >> Conv(4, 3), ref("right") >> Conv(4, 3)], Concat()) >> Conv(4, 3, stride=2),
        {"left": "3x16x16", "right": "1x16x16"},
    ),
    "shared": Network(Conv(4, 3, padding=1).shared("w") >> ReLU() >> Conv(4, 3, padding=1).shared("w"), "4x16x16"),
}


@pytest.mark.parametrize("name", list(BRANCHED))
def test_branches_phases_axes_inputs(name: str) -> None:
    network = BRANCHED[name]
    assert network is not None
    report = Report(network)
    for node, metric, direction in everything(report, [row.name for row in report]):
        found = check(report, node, metric, direction=direction)
        if node is None:
            VALID.validate(found.to_dict())


def test_each_end_has_its_own_path() -> None:
    found = derive(Report(BRANCHED["ends from two branches"]), None, "rf")  # type: ignore[arg-type]
    first, last = (s for s in found.sections if s.heading.startswith("backward"))
    assert [line.node for line in first.lines] == ["conv3", "concat1", "conv1"]
    assert [line.node for line in last.lines] == ["conv3", "concat1", "conv2"]
    assert found.equations[-1].operands == {"first": -2, "last": 4} or found.value == (7, 7)


def test_paths_of_different_strides_are_told() -> None:
    found = derive(Report(BRANCHED["different strides"]), None, "rf")  # type: ignore[arg-type]
    assert "no common size" in found.result
    assert any(
        "stride 2" in line.text and "paths of different strides meet" in line.text for line in found.sections[0].lines
    )


def test_a_global_path_names_its_node() -> None:
    found = explained("vgg16", "fc8", "rf")
    assert "all of the input" in found.result
    assert found.sections[0].lines[0].node == "flatten"
    assert found.sections[0].lines[2].equations[0].value == 313


def test_texts_and_counts_have_explanations_too() -> None:
    told = write(explained("lenet5", None, "nodes"))
    assert re.search(r"conv +\d", told)
    assert told.split("\n")[0] == f"nodes of lenet5: {len(rfcalc.analyze('lenet5'))}"
    for name in ("name", "kind", "notation", "stage", "inputs", "status"):
        assert "C3" in write(explained("lenet5", "C3", name)), name


def test_from_another_node() -> None:
    found = explained("vgg16", "pool5", "rf", source="pool4")
    assert found.value == (8, 8)
    assert found.source == "pool4"
    assert values(found, "F") == [2, 4, 6, 8]


@pytest.mark.parametrize("unit", [(0, 0), (3, 3), (6, 0)])
@pytest.mark.parametrize(("target", "node"), [("vgg16", "pool5"), ("resnet18", "layer1.1"), ("googlenet", "pool3")])
def test_real_pixels_are_the_regions(target: str, node: str, unit: tuple[int, int]) -> None:
    report = rfcalc.analyze(target)
    name = node if target != "googlenet" else report.rows[40].name
    hull = rfcalc.receptive_field(target, name).unit(unit).hull
    sections = [s for s in derive(report, name, "rf", unit=unit).sections if "real pixels" in s.heading]
    assert hull is not None
    for axis, (low, high) in enumerate(hull):
        section = sections[0] if len(sections) == 1 else sections[axis]
        size = section.lines[-1].equations[-1]
        assert (size.operands["first"], size.operands["last"], size.value) == (low, high, high - low + 1)
        ends = {e.subject: e.value for line in section.lines[:-1] for e in line.equations}
        assert ends == {"first": low, "last": high}


def test_a_last_window_that_is_dropped() -> None:
    """PyTorch's ceil mode: ⌈(2 − 1) / 2⌉ + 1 = 2 windows, of which the last would start in the padding."""
    found = explained("maxpool1/2 ceil", None, "shape", "1x2x2")
    assert values(found, "Out") == [1]
    assert "right padding" in write(found)


def test_clipping_is_at_every_map() -> None:
    """n = 10, conv k3 s2, then conv k3 p1: the last unit sees 4 … 8; clipping the unclipped hull says 4 … 9."""
    found = explained("conv3-4/2 p0 > conv3-4", "conv2", "rf", "3x10x10", unit=(3, 3))
    size = found.sections[-1].lines[-1].equations[0]
    assert size.operands == {"first": 4, "last": 8}


def random_graphs(cases: int, first: int) -> None:
    """Every metric of random graphs, at their last node and another; what a unit of the last really sees."""

    @seed(first)
    @settings(deadline=None, database=None, max_examples=cases, suppress_health_check=list(HealthCheck))
    @given(case=graphs(), pick=st.integers(0, 10**6))
    def agrees(case: Case, pick: int) -> None:
        report = Report(case.network)
        rows = [row.name for row in report]
        for node, metric, direction in everything(report, [rows[-1], rows[pick % len(rows)]]):
            check(report, node, metric, direction=direction)
        field_report = FieldReport(report, rows[-1])
        if field_report.field.status in ("none", "unknown", "needs_input_size") or not field_report.shape:
            return
        unit = tuple(pick % int(n) for n in field_report.shape)
        hull = field_report.unit(unit).hull
        for section in check(report, rows[-1], "rf", unit=unit).sections:
            if "real pixels" in section.heading and hull is not None:
                size = section.lines[-1].equations[-1]
                ends = (size.operands["first"], size.operands["last"])
                assert ends in hull
                steps = [e for line in section.lines[:-1] for e in line.equations]
                assert all(e.formula(**e.operands) == e.value for e in steps)

    agrees()


def test_random_graphs() -> None:
    random_graphs(60, 20140904)


@pytest.mark.exhaustive
def test_many_random_graphs() -> None:
    random_graphs(1500, 20150410)


# One mechanism: a new kind is explained without more code


@pytest.fixture
def blur() -> Iterator[type[Layer]]:
    filtered = Formula("macs", "prod(k) * prod(y)", "the fixed filter at every output value")
    learned = Formula("weights", "c * prod(k)", "a filter for each channel")
    kept = Formula("saved", "3 * prod(y)", "three copies")

    @layer("blur_of_the_test")
    class Blur(Layer):
        """A blur with a stride, channel by channel."""

        kernel: Any = 3
        stride: Any = 2

        def __post_init__(self) -> None:
            store(self, kernel=axes("kernel", self.kernel), stride=axes("stride", self.stride))

        def geometry(self) -> Sliding:
            return Sliding(self.kernel, self.stride, pads(self.kernel[0] // 2))

        def output(self, *xs: Shape) -> Shape:
            spatial_rank(xs[0], self)
            return Shape(xs[0].dims[0], *self.geometry().lengths(xs[0].dims[1:]))

        def reads(self, xs: Any, y: Shape) -> Any:
            return (over_space(xs[0], self.geometry().slides(xs[0].dims[1:])),)

        def cost(self, xs: Any, y: Shape) -> Cost:
            kernel = self.geometry().kernel_axes(xs[0].rank)
            return Cost(weights=learned(c=y.dims[0], k=kernel), macs=filtered(k=kernel, y=y.dims))

        def saved(self, xs: Any, y: Shape) -> Any:
            return KEEPS_NOTHING._replace(extra_values=kept(y=y.dims))

        def notation(self, exact: bool = False) -> str:
            return "blur"

    yield Blur
    LAYERS.remove("blur_of_the_test")


def test_a_new_kind_is_explained_without_more_code(blur: Any) -> None:
    report = Report(Network(Conv(8, 3, padding=1) >> blur(5, 2).named("blur") >> Conv(8, 3, padding=1), "3x32x32"))
    for node, metric, direction in everything(report, [row.name for row in report]):
        check(report, node, metric, direction=direction)
    assert "weights = 8 × 5 × 5 = 200\n" in write(derive(report, "blur", "weights"))
    assert "macs = 5 × 5 × 8 × 16 × 16 = 51,200" in write(derive(report, "blur", "macs"))
    assert "a filter for each channel" in write(derive(report, None, "weights"))
    assert "Out = ⌊(32 − 5 + 2 × 2) / 2⌋ + 1 = ⌊31 / 2⌋ + 1 = 16" in write(derive(report, "blur", "output_shape"))
    assert "F = (3 − 1) × 2 + 5 = 9" in write(derive(report, None, "rf"))
    assert "v = 3 × 8 × 16 × 16 = 6,144" in write(derive(report, "blur", "saved_bytes"))


# Controls: a wrong formula is caught


@pytest.mark.parametrize(
    ("name", "expression", "metric"),
    [
        ("BACK", "(F - 1) * s + k + 1", "rf"),
        ("GROW", "r + k * S", "rf"),
        ("JUMP", "S * s * s", "stride"),
        ("PADS", "P + S * a + S", "padding"),
        ("CENTRES", "c + S * (k / 2 - a)", "center"),
    ],
)
def test_control_a_wrong_rule_is_caught(name: str, expression: str, metric: str, monkeypatch: Any) -> None:
    report = rfcalc.analyze("vgg16")
    check(report, "pool3", metric, direction="both")
    monkeypatch.setattr(rules, name, Formula("x", expression, ""))
    with pytest.raises(AssertionError):
        check(report, "pool3", metric, direction="both")


def test_control_a_wrong_count_is_caught(monkeypatch: Any) -> None:
    from rfcalc.layers import conv

    report = rfcalc.analyze("vgg16")
    monkeypatch.setattr(conv, "WEIGHTS_ALL", Formula("weights", "prod(k) * c * m + 1", ""))
    with pytest.raises(AssertionError):
        check(report, "conv1_1", "weights")


# The command


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["explain", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command(capsys) -> None:
    code, out, err = call(capsys, "vgg16", "pool5", "receptive-field")
    assert (code, err) == (0, "")
    assert "F = (210 − 1) × 1 + 3 = 212" in out
    assert "\x1b" not in out
    code, out, _ = call(capsys, "vgg16", "params", "--format", "json")
    assert code == 0
    document = json.loads(out)
    VALID.validate(document)
    assert document["value"] == 138_357_544
    assert call(capsys, "vgg16", "pool5", "rf", "--format", "plain")[1].isascii()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vgg16", "parms"], ["unknown metric 'parms'", "did you mean params"]),
        (["vgg16", "pool9", "rf"], ["unknown node 'pool9'", "did you mean pool"]),
        (["vgg16", "rf", "pool5"], ["rf is a metric, and pool5 a node", "pool5 rf"]),
        (["vgg16", "pool5"], ["pool5 is a node", "pool5 receptive-field"]),
        (["vgg16"], ["what"]),
        (["vgg16", "pool5", "rf", "params"], ["more than a node and a metric"]),
        (["vgg16", "pool5", "peak"], ["figure of the whole network", "leave out"]),
        (["vgg16", "seen"], ["figure of one node"]),
        (["vgg16", "input", "params"], ["input", "no params"]),
        (["vgg16", "input", "rf"], ["input", "no receptive_field"]),
        (["vgg16", "pool5", "rf", "--direction", "up"], ["unknown direction 'up'", "backward"]),
        (["vgg16", "pool5", "rf", "--format", "xml"], ["unknown format 'xml'", "latex"]),
        (["vgg16", "pool5", "params", "--from", "pool4"], ["--from", "receptive fields"]),
        (["vgg16", "pool5", "rf", "--unit", "9,9"], ["no unit 9,9", "7x7"]),
        (["vgg16", "pool5", "rf", "--unit", "a"], ["'a' is not a position"]),
        (["vgg16", "conv1_1", "rf", "--from", "pool5"], ["conv1_1 does not come after pool5"]),
        (["vgg61", "params"], ["unknown network 'vgg61'"]),
        (["conv3-C > conv3-C > maxpol2", "params"], ["maxpol2"]),
        (["conv3-C x3", "peak"], ["depends on the sizes", "numbers"]),
        (["vgg16", "params", "--output", "/no/such/folder/x.txt"], ["/no/such/folder"]),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(capsys, arguments, words) -> None:
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_colour_marks_what_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    colored = write(explained("conv3-8 x2", None, "rf", "3x7x7"), color=True)
    lines = [line for line in colored.split("\n") if "conv1" in line]
    carried, result, end = "\x1b[38;2;0;130;144m", "\x1b[1;38;2;0;137;34m", "\x1b[0m"
    assert f"({carried}3{end} − 1) × 1 + 3 = {result}5{end}" in lines[0]
    assert re.sub("\x1b\\[[0-9;]*m", "", colored) == write(explained("conv3-8 x2", None, "rf", "3x7x7"))


@pytest.mark.parametrize("width", [40, 60, 100])
def test_narrow_terminals(width: int) -> None:
    text = write(explained("vgg16", "pool5", "rf", direction="both"), width=width)
    long = [line for line in text.split("\n") if len(line) > width]
    assert not long, long


def test_only_symbols_load_sympy_and_only_colour_loads_rich() -> None:
    def loaded(*arguments: str) -> set[str]:
        code = (
            "import sys; from rfcalc.cli import run; run(sys.argv[1:]);"
            "print(*{'sympy', 'torch', 'numpy'} & set(sys.modules), 'rich' * ('rich.console' in sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "explain", *arguments], capture_output=True, text=True, check=True
        )
        return set(done.stdout.splitlines()[-1].split())

    assert loaded("vgg16", "pool5", "rf", "--direction", "both") - {"rich"} == set()
    assert "sympy" in loaded("conv3-C", "weights")


def test_floors_of_symbols_are_in_brackets() -> None:
    assert "⌊(H − 2) / 2⌋ + 1" in write(explained("conv3-C > maxpool2", None, "output"))
    assert "⌊(H − 1)/S⌋ + 1" in write(explained("conv3-C/S", None, "output"))
    assert "⌊(H − 1)/(S + 1)⌋ + 1" in write(explained("conv3-C/(S+1)", None, "output"))
    assert (
        write(explained("conv3-C/S", None, "output")).split("\n")[0].endswith("C×(⌊(H − 1)/S⌋ + 1)×(⌊(W − 1)/S⌋ + 1)")
    )


@pytest.mark.parametrize(
    ("text", "node", "metric", "answer"),
    [
        ("conv3-C nobias xN", None, "weights", "9NC²"),
        ("conv3-C xN > conv1-10", None, "params", "9NC² + NC + 10C + 10"),
        ("(conv3-C nobias x2 > maxpool2) xN", None, "macs", "24C²HW(4^N − 1)/4^N"),
        ("conv3-C xN", None, "rf", "(2N + 1) × (2N + 1)"),
        ("conv3-C nobias xN", "conv1[i]", "weights", "9C²"),
    ],
)
def test_repetitions_of_unknown_count(text: str, node: str | None, metric: str, answer: str) -> None:
    found = explained(text, node, metric)
    assert write(found).split("\n")[0].endswith(f": {answer}")
    formulas = rfcalc.symbolic(text)
    if node is None and metric != "rf":
        assert found.value == formulas.totals[found.metric]
    for e in found.equations:
        assert sympy.expand(e.formula(**e.operands) - e.value) == 0


def test_what_has_no_closed_form_is_said() -> None:
    with pytest.raises(rfcalc.RfcalcError, match="macs has no closed form"):
        explained("conv3-C/S xN", None, "macs")


def test_totals_of_symbols_are_the_numbers_with_numbers_put_in() -> None:
    symbolic = analyzed("conv3-C > relu > maxpool2 > conv5-M/2", None)
    numbers = {"C": 16, "M": 24, "H": 64, "W": 48}
    numeric = rfcalc.analyze("conv3-16 > relu > maxpool2 > conv5-24/2", (16, 64, 48))
    for metric in ("params", "weights", "macs", "values", "bytes", "saved_bytes"):
        found = derive(symbolic, None, metric).value
        put_in = {s: numbers[s.name] for s in sympy.sympify(found).free_symbols}
        assert sympy.sympify(found).subs(put_in) == METRICS[metric].whole(numeric), metric  # type: ignore[misc]


def test_fractions_are_whole_where_they_are() -> None:
    assert derive(rfcalc.analyze("vgg16"), "pool5", "center").value == (Fraction(31, 2), Fraction(31, 2))


def test_an_unknown_operator_is_said_aloud() -> None:
    report = Report(Network(Conv(8, 3) >> rfcalc.Unknown("8x14x14", "custom::op") >> Conv(8, 3), "3x16x16"))
    assert "not known" in derive(report, None, "rf").result
    assert any("lower bound" in note for s in derive(report, None, "params").sections for note in s.notes)


def test_the_library_refuses_too() -> None:
    with pytest.raises(RfcalcError, match="goes with receptive fields"):
        derive(rfcalc.analyze("lenet5"), None, "params", unit=(0, 0))


@pytest.mark.parametrize(
    "metric", ["macs", "params", "weights", "trainable", "bytes", "values", "saved_bytes", "flops"]
)
@pytest.mark.parametrize(("network", "group"), [("vgg16", "classifier"), ("vgg16", "block 2"), ("resnet18", "layer2")])
def test_a_stage_or_a_block_has_the_sum_of_its_nodes(network: str, group: str, metric: str) -> None:
    report = rfcalc.analyze(network)
    inside = [row for row in report if row.stage == group or row.name.startswith(f"{group}.")]
    assert len(inside) > 1
    wanted = sum(row.new_values * 4 if metric == "bytes" else row.new_values for row in inside)
    if metric not in ("bytes", "values"):
        wanted = sum(getattr(row, metric) for row in inside)
    explained = rfcalc.explain(report, group, metric)
    assert explained.value == wanted == explained.sections[-1].lines[-1].equations[-1].value
    if " " not in group:
        rfcalc.require(report, f"{metric}@{group} = {wanted}")


def test_what_does_not_add_up_is_that_of_the_last_node() -> None:
    report = rfcalc.analyze("resnet18")
    assert rfcalc.explain(report, "layer2", "rf").value == report["layer2.1.relu_out"].receptive_field.size
    share = rfcalc.explain(report, "layer2", "macs_share").value
    assert share == Fraction(411_041_792, 1_814_073_344)


def test_shares_with_symbols_are_formulas_and_not_nothing() -> None:
    """conv2 of conv3-64 > conv3-C has 577C of 577C + 1,792 parameters; of two equal layers each has half."""
    share = rfcalc.explain("conv3-64 > conv3-C", "conv2", "params_share", input="3x32x32")
    for c in (1, 7, 512):
        text = f"conv3-64 > conv3-{c}"
        (channels,) = share.value.free_symbols
        right = rfcalc.explain(text, "conv2", "params_share", input="3x32x32").value
        assert Fraction(str(share.value.subs(channels, c))) == right == Fraction(577 * c, 577 * c + 1792)
    assert rfcalc.explain("conv3-C > conv3-C", "conv2", "params_share", input="Cx8x8").value == Fraction(1, 2)
    nothing = rfcalc.explain("relu", "relu1", "params_share", input="3x8x8")
    assert nothing.sections[0].lines[0].text == "the network has none"


def test_a_learned_table_is_not_kept_beside_the_weights() -> None:
    """Both factors are kept: the input, 2x4x4 values of 4 bytes, and the table, which is there with the weights."""
    network = rfcalc.load("identity * parameter2x4x4", "2x4x4")
    report = rfcalc.analyze(network, "2x4x4")
    found = derive(report, None, "saved_bytes")
    told = [line.node for section in found.sections for line in section.lines if line.node]
    assert report.totals.saved_bytes == found.value == 128
    assert told == ["input"]
    assert "with the weights" in derive(report, "parameter1", "saved_bytes").sections[0].lines[0].text
