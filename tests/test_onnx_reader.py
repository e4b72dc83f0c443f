"""The ONNX reader on files written by hand: what it understands, what it says, what it refuses."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from onnx_bytes import (
    Branch,
    chain,
    function,
    graph,
    message,
    model,
    node,
    number,
    shapes,
    tensor,
    text,
    value,
    varint,
)

from rfcalc.cli import run
from rfcalc.core.errors import LimitError, NetworkError, RfcalcError
from rfcalc.readers.imported import Imported
from rfcalc.readers.onnx import from_onnx
from rfcalc.report import Report

CONV = node("Conv", "x w b", "c", "/stem/conv/Conv", pads=[1, 1, 1, 1], strides=[2, 2])
WEIGHTS = [tensor("w", [8, 3, 3, 3]), tensor("b", [8])]
SMALL = chain(CONV, node("Relu", "c", "y", "/stem/act/Relu"), tensors=WEIGHTS)


def told(source: bytes, inputs: Any = None) -> list[str]:
    """The layers, as notation."""
    return [n.layer.notation() for n in from_onnx(source, inputs).network.nodes]


def figures(read: Imported) -> tuple[int, int]:
    totals = Report(read.network).totals
    return totals.params, totals.macs


def test_a_small_network() -> None:
    read = from_onnx(SMALL)
    assert repr(read.network) == (
        "Network(Conv(8, 3, stride=2, padding=1).named('stem.conv') >> Activation('relu').named('stem.act'), "
        "{'x': '3x32x32'}, name='model')"
    )
    assert figures(read) == (8 * 27 + 8, 8 * 27 * 256)
    assert read.complete
    assert read.notes == ()
    assert read.params == 224


@pytest.mark.parametrize(
    ("batch", "given", "shape"),
    [
        ("n", None, "3x32x32"),
        (1, None, "3x32x32"),
        (4, None, "3x32x32"),
        (None, None, "3x32x32"),
        ("n", "3x8x8", "3x8x8"),
    ],
)
def test_the_batch_is_left_out(batch: Any, given: Any, shape: str) -> None:
    read = from_onnx(chain(CONV, node("Relu", "c", "y"), tensors=WEIGHTS, given=(batch, 3, 32, 32)), given)
    assert str(read.network.inputs["x"]) == shape
    assert ("the file has a batch of 4: figures are for one of its items" in read.notes) == (batch == 4)


def test_open_axes_are_bound_by_the_input() -> None:
    source = chain(CONV, node("Relu", "c", "y"), tensors=WEIGHTS, given=("n", 3, "h", "w"))
    with pytest.raises(NetworkError, match="open axes: 3xhxw") as caught:
        from_onnx(source)
    assert caught.value.fix == "give them, without the batch: --input 3x224x224"
    assert Report(from_onnx(source, "3x64x48").network)["relu1"].output_shape == (8, 32, 24)
    with pytest.raises(NetworkError, match="shapes are without the batch"):
        from_onnx(source, "1x3x64x48")


def test_a_size_that_the_file_was_not_made_for() -> None:
    """Shapes in the file are compared, unless the user asks for others; then that is said."""
    outputs = [value("y", [1, 8, 16, 16])]
    source = model([CONV, node("Relu", "c", "y")], [value("x", [1, 3, 32, 32])], outputs, WEIGHTS)
    assert Report(from_onnx(source).network)["relu1"].output_shape == (8, 16, 16)
    read = from_onnx(source, "3x20x20")
    assert read.notes == ("the file was made for x = 1x3x32x32: its own shapes are not compared",)
    wrong = model([CONV, node("Relu", "c", "y")], [value("x", [1, 3, 32, 32])], [value("y", [1, 8, 15, 16])], WEIGHTS)
    assert Report(from_onnx(wrong).network)["relu1"].output_shape == (8, 16, 16)
    assert from_onnx(wrong).notes == (
        "the file declares 1x8x15x16 for Relu (makes 'y'), which makes 1x8x16x16: the operators are believed, "
        "what the file declares is stale",
    )


def test_constants_are_folded() -> None:
    """The usual chain of a flatten: Shape, Gather, Unsqueeze, Concat, Reshape."""
    nodes = [
        CONV,
        node("Shape", "c", "s"),
        node("Constant", "", "zero", value=tensor("", [], [0], 7)),
        node("Gather", "s zero", "n", axis=0),
        node("Constant", "", "axes", value=shapes(0)),
        node("Unsqueeze", "n axes", "n1"),
        node("Constant", "", "rest", value=shapes(-1)),
        node("Concat", "n1 rest", "target", axis=0),
        node("Reshape", "c target", "y"),
    ]
    assert told(chain(*nodes, tensors=WEIGHTS)) == ["conv3-8/2", "flatten"]


def test_weights_in_constant_nodes() -> None:
    nodes = [node("Constant", "", "w", value=tensor("", [8, 3, 3, 3])), node("Conv", "x w", "y")]
    read = from_onnx(chain(*nodes))
    assert figures(read)[0] == 216


@pytest.mark.parametrize("outside", ["missing.bin", "../secret", "/etc/passwd", "a\0b"])
def test_weights_outside_need_not_be_there(outside: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 1000)
    folder = tmp_path / "models"
    folder.mkdir()
    file = folder / "m.onnx"
    file.write_bytes(
        chain(CONV, node("Relu", "c", "y"), tensors=[tensor("w", [8, 3, 3, 3], outside=outside), WEIGHTS[1]])
    )
    assert figures(from_onnx(file))[0] == 224


def test_small_tensors_outside_are_read_from_the_folder_alone(tmp_path: Path) -> None:
    """A Reshape's target in a file beside the model is needed; outside of the model's folder nothing is opened."""
    from struct import pack

    inside, outside = tmp_path / "m", tmp_path
    inside.mkdir()
    for place in (inside, outside):
        (place / "d.bin").write_bytes(pack("<2q", 1, -1))
    (inside / "link.bin").symlink_to(outside / "d.bin")
    for location, fine in (("d.bin", True), ("../d.bin", False), ("link.bin", False)):
        source = chain(node("Reshape", "x t", "y"), tensors=[tensor("t", [2], None, 7, location)])
        (inside / "m.onnx").write_bytes(source)
        read = from_onnx(inside / "m.onnx")
        assert read.complete is fine, location


def test_an_operator_that_is_not_understood() -> None:
    """With the file's shape it is a node of its own; what follows is read, and totals say at least."""
    nodes = [CONV, node("Twist", "c", "t", "twist", "acme"), node("Conv", "t v", "y", "/head/Conv")]
    tensors = [*WEIGHTS, tensor("v", [4, 8, 1, 1])]
    read = from_onnx(chain(*nodes, tensors=tensors, infos=[value("t", [1, 8, 16, 16])]))
    assert [n.layer.notation() for n in read.network.nodes][1] == "unknown8x16x16 op:acme::Twist"
    assert not read.complete
    assert figures(read)[0] == 224 + 32
    assert "acme::Twist (no layer kind stands for it) is not understood" in read.assumptions[-1]
    assert "report it" in read.assumptions[-1]


def test_an_operator_of_unknown_shape_ends_what_can_be_read() -> None:
    nodes = [CONV, node("Twist", "c", "t", domain="acme"), node("Conv", "t v", "d"), node("Relu", "d", "y")]
    read = from_onnx(chain(*nodes, tensors=[*WEIGHTS, tensor("v", [4, 8, 1, 1])]))
    assert [n.layer.kind for n in read.network.nodes] == ["conv", "unknown"]
    assert "the file does not say the shape of what it makes" in read.unknown[0].why
    assert any("2 operators after" in note for note in read.notes)


@pytest.mark.parametrize("op", ["Loop", "Scan", "NonMaxSuppression", "If"])
def test_what_the_data_decides_is_unknown(op: str) -> None:
    nodes = [CONV, node(op, "c", "t", then_branch=Branch(graph([])), body=Branch(graph([]))), node("Relu", "t", "y")]
    read = from_onnx(chain(*nodes, tensors=WEIGHTS, infos=[value("t", [1, 8, 4, 4])]))
    assert [n.layer.kind for n in read.network.nodes] == ["conv", "unknown", "activation"]
    assert read.unknown[0].operator == op


def test_a_branch_that_is_decided_is_read() -> None:
    inner = graph([node("Relu", "c", "r"), node("Sigmoid", "r", "z")], outputs=[value("z", None)])
    other = graph([node("Tanh", "c", "z")], outputs=[value("z", None)])
    cond = node("Constant", "", "k", value=tensor("", [], [True], 9))
    nodes = [CONV, cond, node("If", "k", "y", then_branch=Branch(inner), else_branch=Branch(other))]
    assert told(chain(*nodes, tensors=WEIGHTS)) == ["conv3-8/2", "relu", "sigmoid"]


def test_operators_that_the_file_defines() -> None:
    inner = function("Block", "a k", "r", [node("Conv", "a k", "t"), node("Relu", "t", "r")])
    nodes = [node("Block", "x w", "m", "b1", "own"), node("Block", "m v", "y", "b2", "own")]
    tensors = [tensor("w", [8, 3, 3, 3]), tensor("v", [8, 8, 3, 3])]
    assert told(chain(*nodes, tensors=tensors, functions=[inner])) == ["conv3-8 p0 nobias", "relu"] * 2


def test_what_does_nothing_is_no_row_and_nothing_else_is_left_out() -> None:
    nodes = [
        node("Identity", "x", "a"),
        node("Dropout", "a", "b"),
        node("Cast", "b", "c", to=10),
        node("Transpose", "c", "d", perm=[0, 1, 2, 3]),
        node("Reshape", "d t", "e"),
        node("DequantizeLinear", "e s", "y"),
    ]
    read = from_onnx(chain(*nodes, tensors=[tensor("t", [4], [1, 3, 32, 32], 7), tensor("s", [1], [0.5])]))
    assert [n.layer.notation() for n in read.network.nodes] == ["dropout", *["elementwise fn:cast"] * 2]
    assert "types change in the graph" in read.notes[0]


# Weights


def test_tied_weights_count_once() -> None:
    nodes = [node("Conv", "x w", "a", pads=[1] * 4), node("Conv", "a w", "y", pads=[1] * 4)]
    read = from_onnx(chain(*nodes, tensors=[tensor("w", [3, 3, 3, 3], list(range(81)))]))
    report = Report(read.network)
    assert report.totals.params == 81
    assert [row.shared_with for row in report] == [None, "conv1"]
    assert read.notes == ("weights are tied, and counted once: conv2 read the tensors of conv1",)


def test_equal_weights_are_not_taken_for_tied() -> None:
    """Exporters store equal tensors once: zeros and ones do not make two layers one."""
    nodes = [node("Conv", "x w b", "a", pads=[1] * 4), node("Conv", "a v b", "y", pads=[1] * 4)]
    tensors = [tensor(n, [3, 3, 3, 3], [float(i + k) for i in range(81)]) for k, n in enumerate("wv")]
    read = from_onnx(chain(*nodes, tensors=[*tensors, tensor("b", [3], [0.0] * 3)]))
    assert figures(read)[0] == 2 * 84
    assert read.notes == (
        "1 tensors are stored once and used several times (exporters store equal ones once): "
        "counted for each use, 3 parameters more than the file holds",
    )
    zeros = [node("Conv", "x w", "a", pads=[1] * 4), node("Conv", "a w", "y", pads=[1] * 4)]
    assert figures(from_onnx(chain(*zeros, tensors=[tensor("w", [3, 3, 3, 3], [0.0] * 81)])))[0] == 162


def test_unused_tensors_are_told() -> None:
    read = from_onnx(chain(CONV, node("Relu", "c", "y"), tensors=[*WEIGHTS, tensor("aux.weight", [10, 8])]))
    assert "80 of 304 parameters are not used and not counted: aux.weight" in read.assumptions


@pytest.mark.parametrize(
    ("op", "dims", "values", "expected", "params"),
    [
        ("Add", [8, 1, 1], [1.0, 2, 3, 4, 5, 6, 7, 8], ["conv3-8/2"], 216 + 8),  # its bias
        ("Mul", [8, 1, 1], None, ["conv3-8/2 nobias", "scale"], 216 + 8),
        ("Add", [8, 16, 16], None, ["conv3-8/2 nobias", "positions"], 216 + 2048),
        ("Add", [1, 16, 16], None, ["conv3-8/2 nobias", "parameter1x16x16", "add"], 216 + 256),
        ("Add", [1], [3.0], ["conv3-8/2 nobias", "elementwise fn:plus by3"], 216),
        ("Div", [1], [8.0], ["conv3-8/2 nobias", "elementwise fn:times by0.125"], 216),
        ("Sub", [1], [0.1], ["conv3-8/2 nobias", "elementwise fn:plus by-0.1"], 216),
        ("Max", [1], [-2.5e-7], ["conv3-8/2 nobias", "elementwise fn:maximum by-2.5e-07"], 216),
        ("Div", [1], [0.0], ["conv3-8/2 nobias", "elementwise fn:times"], 216),
        ("Add", [16, 16], [0.0, -1e9] * 128, ["conv3-8/2 nobias", "constant1x16x16", "add"], 216),  # a mask
        ("Sub", [8, 1, 1], None, ["conv3-8/2 nobias", "parameter8x1x1", "elementwise fn:sub"], 216 + 8),
    ],
)
def test_arithmetic_with_constants(op: str, dims: list[int], values: Any, expected: list[str], params: int) -> None:
    conv = node("Conv", "x w", "c", pads=[1, 1, 1, 1], strides=[2, 2])
    read = from_onnx(chain(conv, node(op, "c k", "y"), tensors=[WEIGHTS[0], tensor("k", dims, values)]))
    assert [n.layer.notation() for n in read.network.nodes] == expected
    assert figures(read)[0] == params


def test_parameters_that_are_no_tensors_of_the_model_are_noted() -> None:
    weight = node("Mul", "v g", "w")
    nodes = [
        weight,
        node("Conv", "x w", "c"),
        node("Constant", "", "k", value=tensor("", [8, 30, 30])),
        node("Add", "c k", "y"),
    ]
    read = from_onnx(chain(*nodes, tensors=[tensor("v", [8, 3, 3, 3]), tensor("g", [8, 1, 1, 1])]))
    assert read.notes == (
        "counted as parameters: add1, constants that the exporter computed or wrote in the graph",
        "the weights of conv1 are computed in the graph from several tensors (weight normalisation, say): "
        "counted as large as they are used",
    )
    assert figures(read)[0] == 216 + 7200


# Geometry


def size_of(source: bytes) -> tuple[int, ...]:
    report = Report(from_onnx(source).network)
    return report[report.network.nodes[-1].name].output_shape


@pytest.mark.parametrize(
    ("opset", "producer", "told_size", "expected", "rounding"),
    [
        (12, "hand", None, 4, "ceil-onnx"),
        (21, "hand", None, 4, "ceil-onnx"),
        (22, "hand", None, 3, "ceil"),
        (12, "pytorch", None, 3, "ceil"),
        (12, "hand", 3, 3, "ceil"),
        (22, "hand", 4, 4, "ceil-onnx"),
    ],
)
def test_ceil_mode(opset: int, producer: str, told_size: int | None, expected: int, rounding: str) -> None:
    """5 positions, kernel 1, stride 2, one padded on the right: a fourth window would start in the padding."""
    pool = node("MaxPool", "x", "y", kernel_shape=[2], strides=[2], pads=[1, 1], ceil_mode=1)
    outputs = [value("y", None if told_size is None else [1, 3, told_size])]
    source = model([pool], [value("x", [1, 3, 5])], outputs, opset=opset, producer=producer)
    read = from_onnx(source)
    assert read.network.nodes[0].layer.rounding == rounding
    assert size_of(source) == (3, expected)
    assert any("ceil mode" in note for note in read.notes) == (told_size is None)


@pytest.mark.parametrize(("mode", "padding"), [("SAME_UPPER", "SAME"), ("SAME_LOWER", ((1, 0),)), ("VALID", ((0, 0),))])
def test_auto_pad(mode: str, padding: Any) -> None:
    read = from_onnx(chain(node("Conv", "x w", "y", auto_pad=mode, strides=[2, 2]), tensors=[WEIGHTS[0]]))
    assert read.network.nodes[0].layer.padding == padding


def test_channels_last_inputs_are_recognised() -> None:
    """TensorFlow's converters put a Transpose first; a shape is given channels first all the same."""
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")]
    for given in ((1, 32, 24, 3), (1, "h", "w", 3)):
        for asked in ("3x32x24", "32x24x3"):
            read = from_onnx(chain(*nodes, tensors=[WEIGHTS[0]], given=given), asked)
            shape = read.network.inputs["x"]
            assert shape is not None
            assert (shape.dims, shape.channel) == ((32, 24, 3), 2)
            assert size_of(chain(*nodes, tensors=[WEIGHTS[0]], given=(1, 32, 24, 3))) == (8, 30, 22)


# Refusals


def nested(depth: int) -> bytes:
    inner = graph([node("Relu", "c", "z")], outputs=[value("z", None)])
    for _ in range(depth):
        inner = graph([node("If", "k", "z", then_branch=Branch(inner))], outputs=[value("z", None)])
    cond = node("Constant", "", "k", value=tensor("", [], [True], 9))
    return chain(CONV, cond, node("If", "k", "y", then_branch=Branch(inner)), tensors=WEIGHTS)


def recursive() -> bytes:
    inner = function("F", "a", "r", [node("F", "a", "r", domain="own")])
    return chain(node("F", "x", "y", domain="own"), functions=[inner])


def exploding() -> bytes:
    """Each function calls the one before it a hundred times."""
    made = [function("F0", "a", "r", [node("Relu", "a", "r")])]
    for i in range(1, 6):
        calls = [node(f"F{i - 1}", "a" if k == 0 else f"t{k - 1}", f"t{k}", domain="own") for k in range(100)]
        made.append(function(f"F{i}", "a", "t99", calls))
    return chain(node("F5", "x", "y", domain="own"), functions=made)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "damaged"),
    "text": (b"this is not a model, it is a sentence", "damaged"),
    "zeros": (bytes(1000), "damaged"),
    "no graph": (number(1, 8), "there is no graph"),
    "length beyond the file": (varint(7 << 3 | 2) + varint(1 << 40) + b"abc", "beyond its message"),
    "endless number": (b"\x08" + b"\xff" * 30, "more than ten bytes"),
    "cut off": (SMALL[: len(SMALL) // 2], "damaged"),
    "giant tensor": (chain(CONV, node("Relu", "c", "y"), tensors=[tensor("w", [1 << 40, 1 << 40])]), "too large"),
    "negative extent": (chain(CONV, node("Relu", "c", "y"), tensors=[tensor("w", [8, -3, 3, 3])]), "extent -3"),
    "too many axes": (chain(node("Relu", "x", "y"), given=[1] * 100), "too many axes"),
    "giant input": (chain(node("Relu", "x", "y"), given=(1, 1 << 40, 1 << 40)), "too large"),
    "cycle": (chain(node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")), "cycle"),
    "two makers": (chain(node("Relu", "x", "y"), node("Tanh", "x", "y")), "two nodes make"),
    "missing value": (chain(node("Add", "x nothing", "y")), "does not exist"),
    "no input": (model([node("Relu", "x", "y")], [], [value("y", None)]), "no inputs"),
    "no output": (model([node("Relu", "x", "y")], [value("x", [1, 3])], []), "computes nothing"),
    "old opset": (chain(node("Relu", "x", "y"), opset=3), "opset 3"),
    "deep branches": (nested(100), "nested too deeply"),
    "function of itself": (recursive(), "too deeply"),
    "exploding functions": (exploding(), "too many nodes"),
    "wrong weights": (chain(node("Conv", "x w", "y"), tensors=[tensor("w", [8, 4, 3, 3])]), "do not fit 3 channels"),
    "kernel too large": (chain(node("Conv", "x w", "y"), tensors=[tensor("w", [8, 3, 99, 99])]), "larger than"),
    "bad reshape": (chain(node("Reshape", "x t", "y"), tensors=[tensor("t", [2], [7, 5], 7)]), "cannot reshape"),
    "bad attribute": (chain(node("Conv", "x w", "y", strides="two"), tensors=[tensor("w", [8, 3, 3, 3])]), "strides"),
    "giant expand": (chain(node("Expand", "x t", "y"), tensors=[tensor("t", [4], [1, 3 << 40, 32, 32], 7)]), "fit"),
    "giant constant": (
        chain(node("ConstantOfShape", "t", "k"), node("Add", "x k", "y"), tensors=[tensor("t", [2], [1 << 40] * 2, 7)]),
        "too large",
    ),
    "giant name": (chain(node("Relu", "x", "y" * 100_000)), "a name of"),
    "group": (b"\x0b" + SMALL, "wire type 3"),
    "not UTF-8": (message(7, message(1, b"\x0a\x02\xff\xfe")), "not UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_give_one_clear_error(name: str) -> None:
    source, words = HOSTILE[name]
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(RfcalcError) as caught:
        from_onnx(source)
    taken, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in str(caught.value)
    assert taken < 5
    assert peak < 150_000_000


def test_too_many_nodes_are_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused while they are read; at 250,000 in earnest."""
    monkeypatch.setattr("rfcalc.readers.onnx.model.MOST_NODES", 1000)
    with pytest.raises(LimitError, match="too many nodes"):
        from_onnx(message(7, message(1, b"") * 1001 + b"\xff"))


def test_names_cannot_reach_the_terminal() -> None:
    """Escape sequences in names are not printed."""
    read = from_onnx(chain(node("Relu", "x", "y", "/a\x1b[31m/b/Relu"), node("\x1b[2J", "y", "z")))
    assert "\x1b" not in repr(read.network)
    with pytest.raises(RfcalcError) as caught:
        from_onnx(chain(node("Add", "x nothing", "y", "\x1b[31m"), opset=17))
    assert "\x1b" not in str(caught.value)


def test_no_framework_is_imported(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(SMALL)
    code = (
        "import sys, rfcalc; rfcalc.analyze(sys.argv[1]).to_dict()\n"
        "print([m for m in ('onnx', 'numpy', 'torch', 'google') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx")], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


def test_huge_weights_are_not_read(tmp_path: Path) -> None:
    """600 MB of weights (a hole in the file): read at once, in little memory."""
    head = number(1, 8) + message(8, number(2, 17))
    big = number(1, 150_000_000 // 3) + number(1, 3) + number(2, 1) + text(8, "w")
    raw = 600_000_000
    opening = (
        varint(5 << 3 | 2) + varint(len(big) + 1 + len(varint(raw)) + raw) + big + varint(9 << 3 | 2) + varint(raw)
    )
    rest = graph([node("MatMul", "x w", "y")], [value("x", [1, 50_000_000])], [value("y", [1, 3])])
    with open(tmp_path / "big.onnx", "wb") as file:
        file.write(head + varint(7 << 3 | 2) + varint(len(opening) + raw + len(rest)) + opening)
        file.seek(raw, 1)
        file.write(rest)
    tracemalloc.start()
    started = time.process_time()
    read = from_onnx(tmp_path / "big.onnx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert figures(read)[0] == 150_000_000
    assert time.process_time() - started < 1
    assert peak < 20_000_000


# The command line


def test_table_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(chain(CONV, node("Relu", "c", "y"), tensors=WEIGHTS, given=("n", 3, "h", "w")))
    assert run(["table", str(file)]) == 2
    assert "give them, without the batch: --input 3x224x224" in capsys.readouterr().err
    assert run(["table", str(file), "--input", "3x64x64", "--format", "plain"]) == 0
    out = capsys.readouterr().out
    assert "conv3-8/2 relu" in out
    assert "params  224" in out
    assert run(["export", str(file), "--input", "3x64x64", "--to", "notation"]) == 0
    assert "stem.conv=conv3-8/2" in capsys.readouterr().out
    assert run(["table", str(tmp_path / "none.onnx")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert run(["rf", str(file), "--input", "x=3x64x64", "--at", "stem.conv"]) == 0


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(RfcalcError, match="no file"):
        from_onnx(tmp_path)


def test_an_incomplete_network_fails_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(chain(CONV, node("Twist", "c", "y", domain="acme"), tensors=WEIGHTS))
    assert run(["table", str(tmp_path / "m.onnx"), "--output", str(tmp_path / "o.txt")]) == 0
    assert "at least" in (tmp_path / "o.txt").read_text(encoding="utf-8")
    assert run(["table", str(tmp_path / "m.onnx"), "--strict", "--output", str(tmp_path / "p.txt")]) == 1


def test_many_small_tensors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfcalc.readers.onnx.model.MOST_ENTRIES", 100)
    with pytest.raises(LimitError, match="too many tensors"):
        from_onnx(chain(CONV, tensors=[tensor(f"t{i}", [2]) for i in range(101)]))


def test_attributes_of_every_kind() -> None:
    """Numbers, lists, texts, tensors, also empty lists and unknown fields."""
    strange = (
        node("Conv", "x w", "y", pads=[], dilations=[1, 1], group=1, auto_pad="") + message(99, b"abc") + number(88, 1)
    )
    assert told(chain(strange, tensors=[WEIGHTS[0]])) == ["conv3-8 p0 nobias"]
