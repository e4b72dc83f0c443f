"""ONNX files of unusual kinds, written by hand: recurrences, quantised graphs, nested branches, sequences, signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from onnx_bytes import Branch, chain, graph, model, node, tensor, value

from rfcalc.readers.imported import Imported
from rfcalc.readers.onnx import from_onnx
from rfcalc.receptive.receptive_field import ReceptiveField, Status
from rfcalc.report import Report
from rfcalc.report.field_report import FieldReport

KERNEL = tensor("w", [1, 3, 3, 3])


def kinds(read: Imported) -> list[str]:
    return [n.layer.notation() for n in read.network.nodes]


def whole(name: str, values: Sequence[int], dims: Sequence[int] | None = None) -> bytes:
    return tensor(name, [len(values)] if dims is None else dims, values, 7)


def seen(read: Imported, *unit: int) -> list[tuple[int, ...]]:
    """The pixels that a unit of the output sees."""
    return sorted(FieldReport(Report(read.network)).unit(unit).pixels())


@pytest.mark.parametrize("dims", [[1], [1, 1, 1], [1, 1, 1, 1]])
def test_a_bias_of_one_channel_written_as_an_addition(dims: list[int]) -> None:
    nodes = [node("Conv", "x w", "c"), node("Add", "c b", "y")]
    read = from_onnx(chain(*nodes, tensors=[KERNEL, tensor("b", dims, [0.5])]))
    assert kinds(read) == ["conv3-1 p0"]
    assert Report(read.network).totals.params == 28


def test_a_number_stays_a_number() -> None:
    """Of a constant in the graph, or one that is read twice, nobody can say that it is a bias."""
    written = node("Constant", "", "b", value=tensor("", [1], [0.5]))
    read = from_onnx(chain(node("Conv", "x w", "c"), written, node("Add", "c b", "y"), tensors=[KERNEL]))
    assert Report(read.network).totals.params == 27
    twice = [node("Conv", "x w", "c"), node("Add", "c b", "d"), node("Add", "d b", "y")]
    assert Report(from_onnx(chain(*twice, tensors=[KERNEL, tensor("b", [1], [0.5])])).network).totals.params == 27


def test_axes_counted_from_the_end() -> None:
    assert kinds(from_onnx(chain(node("Transpose", "x", "y", perm=[0, 2, 3, -3])))) == ["permute1x2x0"]


def test_groups_of_positions_become_channels() -> None:
    """Split, exchanged and merged, which is no channel shuffle: unit u of 3 sees the positions u, u + 3, …"""
    nodes = [node("Reshape", "x a", "r"), node("Transpose", "r", "t", perm=[0, 2, 1, 3]), node("Reshape", "t b", "y")]
    read = from_onnx(chain(*nodes, given=(1, 2, 12), tensors=[whole("a", [1, 2, 4, 3]), whole("b", [1, 8, 3])]))
    assert read.complete
    assert Report(read.network).rows[-1].output_shape == (8, 3)
    assert seen(read, 1) == [(1,), (4,), (7,), (10,)]


def test_what_does_nothing_is_no_row() -> None:
    nodes = [node("Identity", "x", "a"), node("Conv", "a w", "b"), node("Identity", "b", "c"), node("Relu", "c", "y")]
    assert kinds(from_onnx(chain(*nodes, tensors=[KERNEL]))) == ["conv3-1 p0 nobias", "relu"]
    assert kinds(from_onnx(chain(node("Identity", "x", "y")))) == ["identity"]  # an output needs a row


# Control flow


def test_a_branch_in_a_branch_reads_the_outer_one() -> None:
    inner = graph([node("Sigmoid", "r", "z")], outputs=[value("z", None)])
    known = node("Constant", "", "k2", value=tensor("", [], [True], 9))
    deep = node("If", "k2", "z", then_branch=Branch(inner), else_branch=Branch(inner))
    outer = graph([node("Relu", "c", "r"), known, deep], outputs=[value("z", None)])
    first = node("Constant", "", "k", value=tensor("", [], [True], 9))
    nodes = [node("Tanh", "x", "c"), first, node("If", "k", "y", then_branch=Branch(outer), else_branch=Branch(outer))]
    assert kinds(from_onnx(chain(*nodes))) == ["tanh", "relu", "sigmoid"]


def test_an_undecided_branch_reads_every_input() -> None:
    """What it reads inside is not followed: it counts as reading all, never nothing."""
    inner = graph([node("Relu", "b", "z")], outputs=[value("z", None)])
    source = model(
        [node("If", "a", "y", then_branch=Branch(inner), else_branch=Branch(inner))],
        [value("a", [1, 4]), value("b", [1, 3, 8, 8])],
        [value("y", [1, 3, 8, 8])],
    )
    read = from_onnx(source)
    assert read.network.nodes[0].inputs == ("a", "b")
    assert Report(read.network).rows[-1].receptive_field.status == "unknown"


def test_a_loop_of_known_length() -> None:
    """Three turns of a 3 x 3 convolution with one kernel, and what every turn gives, stacked."""
    body = graph(
        [node("Identity", "go", "again"), node("Conv", "v w", "u", pads=[1] * 4), node("ReduceMean", "u", "m")],
        [value("i", [], 7), value("go", [], 9), value("v", None)],
        [value("again", [], 9), value("u", None), value("m", None)],
    )
    loop = node("Loop", "n k x", "y s", body=Branch(body))
    tensors = [
        tensor("w", [3, 3, 3, 3], [float(i) for i in range(81)]),
        whole("n", [3], []),
        tensor("k", [], [True], 9),
    ]
    read = from_onnx(chain(loop, given=(1, 3, 9, 9), tensors=tensors))
    report = Report(read.network)
    assert read.complete
    assert (report.totals.params, report.totals.macs) == (81, 3 * 81 * 81)
    assert report[read.network.outputs[0]].receptive_field.size == (7, 7)
    endless = node("Loop", "x k x", "y s", body=Branch(body))
    assert not from_onnx(chain(endless, given=(1, 3, 9, 9), tensors=tensors)).complete


def test_stale_declarations_are_notes() -> None:
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "y")]
    infos = [value("c", [1, 1, 9, 9])]
    read = from_onnx(model(nodes, [value("x", [1, 3, 32, 32])], [value("y", [1, 1, 9, 9])], [KERNEL], infos))
    assert Report(read.network).rows[-1].output_shape == (1, 30, 30)
    assert read.notes == (
        "the file declares 1x1x9x9 for Conv (makes 'c'), which makes 1x1x30x30, and 1 more: the operators are "
        "believed, what the file declares is stale",
    )


# Quantised


def test_dynamic_quantisation() -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("ConvInteger", "q w z", "c", pads=[1] * 4),
        node("Cast", "c", "f", to=1),
        node("Mul", "s k", "m"),
        node("Mul", "f m", "y"),
    ]
    read = from_onnx(chain(*nodes, tensors=[tensor("w", [8, 3, 3, 3], None, 3), tensor("k", [], [0.1])]))
    report = Report(read.network)
    assert read.complete
    assert (report.totals.params, report.totals.macs) == (216, 216 * 32 * 32)
    found = report.rows[-1].receptive_field
    assert (found.status, found.size) == (Status.GLOBAL, (3, 3))  # all, through the scale; 3 pixels without it
    assert any("scales of dynamic quantization" in note for note in read.notes)


@pytest.mark.parametrize("output", ["q", "s", "z"])
def test_what_dynamic_quantisation_makes_depends_on_everything(output: str) -> None:
    """As a map divided by its own maximum does: the scale and the zero point too, and where no convolution follows."""
    last = [] if output == "q" else [node("Cast", output, "f", to=1), node("Add", "r f", "y")]
    made = node("DynamicQuantizeLinear", "x", "y s z" if output == "q" else "q s z")
    read = from_onnx(chain(made, node("Relu", "x", "r"), *last))
    by_hand = from_onnx(chain(node("ReduceMax", "x", "m", keepdims=0), node("Div", "x m", "y")))
    for network in (read.network, by_hand.network):
        found = Report(network)[network.outputs[0]].receptive_field
        assert (found.status, found.size) == (Status.GLOBAL, (1, 1))


def test_dynamic_quantisation_within_a_product() -> None:
    tensors = [tensor("w", [16, 8], None, 3), tensor("s", [], [0.5]), tensor("z", [], None, 3)]
    product = node("DynamicQuantizeMatMul", "x w s z", "y", domain="com.microsoft")
    read = from_onnx(chain(product, given=(1, 5, 16), tensors=tensors))
    report = Report(read.network)
    assert read.complete
    assert (report.totals.params, report.totals.macs) == (128, 640)
    found = report[read.network.outputs[0]].receptive_field
    assert (found.status, found.size) == (
        Status.GLOBAL,
        (1,),
    )  # features last: without the scale each token is by itself


def test_quantised_products() -> None:
    scales = [tensor("s", [], [0.5]), tensor("z", [], None, 2), tensor("v", [16, 8], None, 3)]
    read = from_onnx(chain(node("QLinearMatMul", "x s z v s z s z", "y"), given=(1, 16), tensors=scales))
    assert kinds(read) == ["fc8 nobias"]
    assert Report(read.network).totals.params == 128


# Recurrent layers


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_recurrent_layers(op: str, gates: int, direction: str) -> None:
    """7 positions of 4 features, 6 hidden values: weights, multiply-adds, and what each position sees."""
    ways = 1 + (direction == "bidirectional")
    tensors = [
        tensor("w", [ways, gates * 6, 4]),
        tensor("r", [ways, gates * 6, 6]),
        tensor("b", [ways, 2 * gates * 6]),
        whole("t", [0, 0, -1]),
    ]
    nodes = [
        node("Transpose", "x", "s", perm=[2, 0, 1]),  # batch × features × positions comes in
        node(op, "s w r b", "h", hidden_size=6, direction=direction),
        node("Transpose", "h", "a", perm=[0, 2, 1, 3]),
        node("Reshape", "a t", "f"),
        node("Transpose", "f", "y", perm=[1, 2, 0]),
    ]
    read = from_onnx(chain(*nodes, given=(1, 4, 7), tensors=tensors))
    report = Report(read.network)
    assert read.complete
    assert report.totals.params == ways * gates * 6 * (4 + 6 + 2)
    assert report.totals.macs == ways * gates * 6 * (4 + 6) * 7
    assert report.rows[-1].output_shape == (6 * ways, 7)
    wanted = {"forward": range(3), "reverse": range(2, 7), "bidirectional": range(7)}[direction]
    assert seen(read, 2) == [(i,) for i in wanted]


def test_the_last_state_and_a_first_one() -> None:
    """The state after the last position sees all; a first state that is an input is seen by every position."""
    tensors = [tensor("w", [1, 24, 4]), tensor("r", [1, 24, 6])]
    lstm = node("LSTM", "x w r - - h c", "y h1", hidden_size=6)
    source = model(
        [lstm],
        [value("x", [7, "n", 4]), value("h", [1, "n", 6]), value("c", [1, "n", 6])],
        [value("y", None), value("h1", None)],
        tensors,
    )
    read = from_onnx(source)
    assert read.complete
    assert Report(read.network).totals.params == 24 * (4 + 6)


def test_sequences() -> None:
    nodes = [
        node("SplitToSequence", "x k", "s", axis=1),
        node("SequenceAt", "s i", "a"),
        node("SequenceAt", "s j", "b"),
        node("SequenceConstruct", "a b", "t"),
        node("ConcatFromSequence", "t", "y", axis=1),
    ]
    tensors = [whole("k", [1], []), whole("i", [2], []), whole("j", [0], [])]
    read = from_onnx(chain(*nodes, given=(1, 3, 8), tensors=tensors))
    assert read.complete
    assert Report(read.network).rows[-1].output_shape == (2, 8)


def test_written_over_at_fixed_positions() -> None:
    """Positions 2 and 5 of 8 are what the convolution makes of them, the others what came in."""
    index = [0, 0, 2, 0, 0, 5]
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1]),
        node("Gather", "c g", "p", axis=2),
        node("Reshape", "p t", "u"),
        node("ScatterND", "x i u", "y"),
    ]
    tensors = [tensor("w", [1, 1, 3]), whole("g", [2, 5]), whole("t", [1, 1, 2]), whole("i", index, [1, 1, 2, 3])]
    read = from_onnx(chain(*nodes, given=(1, 1, 8), tensors=tensors))
    assert read.complete
    assert seen(read, 2) == [(1,), (2,), (3,)]
    assert seen(read, 3) == [(3,)]


def test_signals_keep_their_positions() -> None:
    """Batch × samples: an axis for channels is put in front of the samples before the first convolution."""
    nodes = [
        node("Pad", "x p", "a", mode="reflect"),
        node("Unsqueeze", "a k", "b"),
        node("Conv", "b w", "y", strides=[4]),
    ]
    tensors = [whole("p", [0, 2, 0, 2]), whole("k", [1]), tensor("w", [8, 1, 5])]
    read = from_onnx(chain(*nodes, given=("n", "t"), tensors=tensors), "64")
    field = Report(read.network).rows[-1].receptive_field
    assert read.complete
    assert (field.size, field.stride) == ((5,), (4,))
    assert read.network.inputs["x"].dims == (1, 64)  # type: ignore[union-attr]


def test_parameters_of_what_is_not_understood_are_counted() -> None:
    read = from_onnx(chain(node("Twist", "x w", "y", domain="acme"), tensors=[KERNEL]))
    assert not read.complete
    assert Report(read.network).totals.params == 27
    assert Report(read.network).rows[-1].receptive_field.status == "unknown"


def told(nodes: list[bytes], tensors: list[bytes]) -> tuple[int, tuple[str, ...]]:
    read = from_onnx(chain(*nodes, given=(1, 4, 8), tensors=tensors))
    return Report(read.network).totals.params, read.notes


def test_copies_are_not_called_tied() -> None:
    """Modules that a number tells apart may be untrained copies; one module that runs twice, or two names, is tied."""
    weights: list[Any] = [tensor("w", [4, 4, 1], [float(i) for i in range(16)])]
    copies = [
        node("Conv", "x w", "a", "/layers/layers.0/conv/Conv"),
        node("Conv", "a w", "y", "/layers/layers.1/conv/Conv"),
    ]
    params, notes = told(copies, weights)
    assert params == 32
    assert any("does not tell tied weights from copies" in n and "16 parameters fewer" in n for n in notes)
    again = [node("Conv", "x w", "a", "/conv/Conv"), node("Conv", "a w", "y", "/conv/Conv_1")]
    assert told(again, weights)[0] == 16
    names = [node("Conv", "x w", "a", "/embed/Conv"), node("Conv", "a w", "y", "/head/Conv")]
    assert told(names, weights)[0] == 16


FLAGS = tensor("f", [1, 1, 6], [1, 0, 1, 0, 1, 0], 9)
ZERO = tensor("z", [1], [0.0])


def status(read: Imported) -> str:
    assert read.complete
    report = Report(read.network)
    return str(ReceptiveField(report.fields[0][-1], report.shapes[0], report.shapes[-1]).status)


def test_units_where_a_fixed_condition_takes_a_number_see_at_most_what_is_told() -> None:
    """Every second unit is 0: exact would be false."""
    assert status(from_onnx(chain(node("Where", "f x z", "y"), given=(1, 2, 6), tensors=[FLAGS, ZERO]))) == "bounded"
    table = tensor("t", [1, 1, 6], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    assert status(from_onnx(chain(node("Mul", "x t", "y"), given=(1, 2, 6), tensors=[table]))) == "bounded"
    written = node("Constant", "", "t", value=tensor("", [1, 1, 6], [0.0, 0.25, 0.75, 1.0, 0.75, 0.25]))
    window = chain(written, node("Mul", "x t", "y"), given=(1, 2, 6), producer="pytorch")
    assert status(from_onnx(window)) == "bounded"
    factors = tensor("t", [1, 2, 1], [0.0, 0.0])
    assert status(from_onnx(chain(node("Mul", "x t", "y"), given=(1, 2, 6), tensors=[factors]))) == "exact"


def test_a_fixed_condition_chooses_between_two_values() -> None:
    back = whole("i", [5, 4, 3, 2, 1, 0])
    nodes = [node("Gather", "x i", "r", axis=2), node("Where", "f x r", "y")]
    read = from_onnx(chain(*nodes, given=(1, 2, 6), tensors=[back, FLAGS]))
    assert [seen(read, u) for u in range(6)] == [[(0,)], [(4,)], [(2,)], [(2,)], [(4,)], [(0,)]]


def test_elements_gathered_from_the_same_positions_everywhere() -> None:
    at = whole("i", [5, -6, 1, 5, -6, 1], [1, 2, 3])
    read = from_onnx(chain(node("GatherElements", "x i", "y", axis=2), given=(1, 2, 6), tensors=[at]))
    assert [seen(read, u) for u in range(3)] == [[(5,)], [(0,)], [(1,)]]
    apart = whole("i", [5, 0, 1, 4, 0, 1], [1, 2, 3])
    told = from_onnx(chain(node("GatherElements", "x i", "y", axis=2), given=(1, 2, 6), tensors=[apart]))
    assert "differ from place to place" in told.unknown[0].why
