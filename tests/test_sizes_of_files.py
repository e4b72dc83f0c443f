"""Valid sizes of ONNX files that compute with lengths: at every size the answer is what the onnx package's own
evaluator does, or it is said that the sizes cannot be told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SHAPE = (2, 20, 24)
SIZES = range(1, 41)


class Graph:
    """Writes a file: each operator is a method that gives the name of what it makes; numbers are constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.prefix = "v"

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64) if array.dtype.kind != "b" else array
        name = f"{self.prefix}c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def __getattr__(self, operator: str) -> Any:
        def add(*given: Any, outs: int = 1, **attributes: Any) -> Any:
            names = [f"{self.prefix}{len(self.nodes)}_{i}" for i in range(outs)]
            read = ["" if g is None else g if isinstance(g, str) else self.constant(g) for g in given]
            self.nodes.append(helper.make_node(operator, read, names, **attributes))
            return names[0] if outs == 1 else names

        return add

    def conv(self, x: str, kernel: int = 3, **attributes: Any) -> str:
        made: str = self.Conv(x, np.ones((2, 2, kernel, kernel)) / 8, **attributes)
        return made

    def sides(self, x: str) -> str:
        made: str = self.Slice(self.Shape(x), [2], [4], [0])
        return made

    def side(self, x: str, axis: int) -> str:
        made: str = self.Gather(self.Shape(x), [axis], axis=0)
        return made

    def join(self, *parts: Any) -> str:
        made: str = self.Concat(*[p if isinstance(p, str) else self.constant(p) for p in parts], axis=0)
        return made

    def branch(self, condition: str, then: Callable[[Graph], str], other: Callable[[Graph], str]) -> str:
        bodies = {}
        for name, make in (("then_branch", then), ("else_branch", other)):
            body = Graph()
            body.prefix = name
            made = make(body)
            out = helper.make_tensor_value_info(made, TensorProto.FLOAT, None)
            bodies[name] = helper.make_graph(body.nodes, name, [], [out], body.tensors)
        chosen: str = self.If(condition, **bodies)
        return chosen

    def saved(self, path: Path, out: str) -> Any:
        infos = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, "h", "w"]),
            helper.make_tensor_value_info(out, TensorProto.FLOAT, None),
        ]
        graph = helper.make_graph(self.nodes, "g", infos[:1], infos[1:], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, path)
        return model


def padded_to_least(g: Graph) -> str:
    more = g.Max(g.Sub([30], g.sides("x")), [0])
    return g.conv(g.Pad("x", g.join([0, 0, 0, 0, 0, 0], more)), strides=[2, 2])


def padded_to_multiple(g: Graph) -> str:
    sides = g.sides("x")
    more = g.Sub(g.Mul(g.Div(g.Add(sides, [6]), [7]), [7]), sides)
    before = g.Div(more, [2])
    return g.conv(g.Pad("x", g.join([0, 0], before, [0, 0], g.Sub(more, before))), 7, strides=[7, 7])


def in_windows(g: Graph) -> str:
    sides = g.sides("x")
    x = g.Pad("x", g.join([0, 0, 0, 0, 0, 0], g.Mod(g.Sub([5], g.Mod(sides, [5])), [5])))
    rows, columns = (g.Div(g.side(x, axis), [5]) for axis in (2, 3))
    parts = g.Transpose(g.Reshape(x, g.join([1, 2], rows, [5], columns, [5])), perm=[0, 2, 4, 1, 3, 5])
    y = g.Relu(g.Reshape(parts, [-1, 2, 5, 5]))
    y = g.Transpose(g.Reshape(y, g.join([1], rows, columns, [2, 5, 5])), perm=[0, 3, 1, 4, 2, 5])
    return g.Slice(g.Reshape(y, g.join([1, 2], g.Mul(rows, [5]), g.Mul(columns, [5]))), [0, 0], sides, [2, 3])


def cut_from_the_end(g: Graph) -> str:
    return g.conv(g.Slice("x", [-12, 2], [-1, 1000], [2, 3]), pads=[1, 1, 1, 1])


def cut_to_fixed(g: Graph) -> str:
    return g.conv(g.Slice("x", [5], [17], [2]), pads=[1, 1, 1, 1], strides=[2, 2])


def cut_to_a_square(g: Graph) -> str:
    side = g.Min(g.side("x", 2), g.side("x", 3))
    return g.Slice("x", [0, 0], g.join(side, side), [2, 3])


def cut_out_of_the_middle(g: Graph) -> str:
    start = g.Div(g.Sub(g.sides("x"), [14, 14]), [2])
    return g.Relu(g.Slice("x", start, g.Add(start, [14, 14]), [2, 3]))


def rolled(g: Graph) -> str:
    return g.Concat(g.Slice("x", [3], [1 << 40], [2]), g.Slice("x", [0], [3], [2]), axis=2)


def halves(g: Graph) -> str:
    half = g.Div(g.side("x", 2), [2])
    return g.Add(g.Slice("x", [0], half, [2]), g.Slice("x", half, g.side("x", 2), [2]))


def split_evenly(g: Graph) -> str:
    one, two = g.Split("x", axis=2, num_outputs=2, outs=2)
    return g.Concat(one, two, axis=1)


def one_of_two(g: Graph) -> str:
    larger = g.Greater(g.Gather(g.Shape("x"), np.int64(2), axis=0), np.int64(13))
    y = g.branch(larger, lambda b: b.Slice("x", [1], [1 << 40], [2], [2]), lambda b: b.Identity("x"))
    return g.Relu(y)


def to_even(g: Graph) -> str:
    odd = g.Equal(g.Mod(g.Gather(g.Shape("x"), np.int64(2), axis=0), np.int64(2)), np.int64(1))
    y = g.branch(odd, lambda b: b.Pad("x", [0, 0, 0, 0, 0, 0, 1, 0]), lambda b: b.Identity("x"))
    return g.conv(y, 2, strides=[2, 2])


def resized_by_a_fraction(g: Graph) -> str:
    sides = g.Cast(g.Floor(g.Mul(g.Cast(g.sides("x"), to=1), [0.7])), to=7)
    return g.Resize("x", None, None, g.join([1, 2], sides), mode="nearest")


def resized_where_small(g: Graph) -> str:
    sides = g.sides("x")
    wanted = g.Where(g.Less(sides, [16]), [32, 32], sides)
    return g.Resize("x", None, None, g.join([1, 2], wanted), mode="nearest")


def picked_from_both_ends(g: Graph) -> str:
    return g.Concat(g.Gather("x", [2, 6], axis=2), g.Gather("x", [-7, -1], axis=2), axis=3)


def three_times_to_least(g: Graph) -> str:
    y = "x"
    for least in (9, 25, 14):
        more = g.Max(g.Sub([least], g.sides(y)), [0])
        y = g.Relu(g.Pad(y, g.join([0, 0, 0, 0, 0, 0], more)))
    return y


def same_lower(g: Graph) -> str:
    return g.MaxPool(g.conv("x", 4, auto_pad="SAME_LOWER", strides=[3, 3]), kernel_shape=[1, 1])


def rounded_up(g: Graph) -> str:
    sides = g.Cast(g.Ceil(g.Div(g.Cast(g.sides("x"), to=1), [7.0])), to=7)
    return g.Resize("x", None, None, g.join([1, 2], sides), mode="linear")


def rolled_by_a_rest(g: Graph) -> str:
    rows = g.side("x", 2)
    start = g.Mod([-3], rows)
    return g.Concat(g.Slice("x", start, rows, [2]), g.Slice("x", [0], start, [2]), axis=2)


def cut_at_few_sizes(g: Graph) -> str:
    """At 6, 7 and 11 columns something is cut off, so that they are multiples of 5."""
    x = g.Slice("x", [0], g.Mul(g.Div(g.side("x", 3), [4]), [5]), [3])
    rows, columns = (g.Div(g.side(x, axis), [5]) for axis in (2, 3))
    parts = g.Transpose(g.Reshape(x, g.join([1, 2], rows, [5], columns, [5])), perm=[0, 2, 4, 3, 5, 1])
    y = g.Transpose(g.Reshape(g.Relu(parts), g.join([1], rows, columns, [5, 5, 2])), perm=[0, 5, 1, 3, 2, 4])
    return g.Reshape(y, g.join([1, 2], g.Mul(rows, [5]), g.Mul(columns, [5])))


def with_its_rows(g: Graph) -> str:
    count = g.Gather(g.Shape("x"), np.int64(2), axis=0)
    rows = g.Reshape(g.Cast(g.Range(np.int64(0), count, np.int64(1)), to=1), [1, 1, -1, 1])
    return g.Concat("x", g.Expand(rows, g.join([1, 1], g.sides("x"))), axis=1)


def normalised_at_one_size(g: Graph) -> str:
    y = g.conv("x", pads=[1, 1, 1, 1], strides=[2, 2])
    return g.LayerNormalization(y, np.ones((2, 10, 12)), axis=1)


def by_a_quotient(g: Graph) -> str:
    return g.Resize("x", None, None, g.join([1, 2], g.Div([480], g.sides("x"))), mode="nearest")


FILES = (
    padded_to_least, padded_to_multiple, in_windows, cut_from_the_end, cut_to_fixed, cut_to_a_square,
    cut_out_of_the_middle, rolled, halves, split_evenly, one_of_two, to_even, resized_by_a_fraction,
    resized_where_small, with_its_rows, picked_from_both_ends, three_times_to_least, same_lower, rounded_up,
    rolled_by_a_rest, by_a_quotient,
)  # fmt: skip


def runs(evaluator: Any, dims: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of the output; None where there is none, or nothing is in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (y,) = evaluator.run(None, {"x": np.zeros((1, *dims), np.float32)})
        except Exception:
            return None
    return None if 0 in y.shape else y.shape


@pytest.mark.parametrize("write", FILES, ids=lambda f: f.__name__)
def test_every_size(write: Callable[[Graph], str], tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    graph = Graph()
    path = tmp_path / "net.onnx"
    model = graph.saved(path, write(graph))
    found = rfcalc.sizes(str(path), SHAPE if write is not cut_at_few_sizes else (2, 20, 20))
    evaluator = ReferenceEvaluator(model)
    assert str(found.document())
    for axis in (0, 1):
        (formula,) = found.output(axis).values()
        for n in SIZES:
            dims = tuple(n if i == axis + 1 else m for i, m in enumerate(found.inputs[0].dims))
            shape = runs(evaluator, dims)
            assert (n in found.axes[axis].valid) == (shape is not None), (axis, n)
            if shape is not None:
                assert eval(str(formula), {}, {"n": n}) == shape[axis + 2], (axis, n)


def with_a_part_of_a_table(g: Graph) -> str:
    y = g.conv("x", 4, strides=[4, 4])
    table = g.Slice(np.ones((1, 2, 30, 1)) * np.arange(30.0)[:, None], [0], g.side(y, 2), [2])
    return g.Add(y, table)


def with_a_table_picked_by_rows(g: Graph) -> str:
    y = g.conv("x", 4, strides=[4, 4])
    rows = g.Range(np.int64(0), g.Gather(g.Shape(y), np.int64(2), axis=0), np.int64(1))
    return g.Add(y, g.Gather(np.ones((2, 50, 1)) * np.arange(50.0)[:, None], rows, axis=1))


DOUBTFUL = (with_a_part_of_a_table, with_a_table_picked_by_rows, cut_at_few_sizes)


@pytest.mark.parametrize("write", DOUBTFUL, ids=lambda f: f.__name__)
def test_told_rightly_or_not_at_all(write: Callable[[Graph], str], tmp_path: Path) -> None:
    """Other parts of a table at other sizes; another way at sizes that the layers of the first one refuse."""
    with suppress(RfcalcError):
        test_every_size(write, tmp_path)


def by_as_many_turns(g: Graph) -> str:
    body = Graph()
    body.prefix = "body"
    goes, made = body.Identity("goes"), body.Pad("y", [0, 0, 0, 0, 0, 0, 1, 0])
    given = [("i", TensorProto.INT64), ("goes", TensorProto.BOOL), ("y", TensorProto.FLOAT)]
    infos = [helper.make_tensor_value_info(name, kind, [] if name != "y" else None) for name, kind in given]
    outs = [
        helper.make_tensor_value_info(goes, TensorProto.BOOL, []),
        helper.make_tensor_value_info(made, TensorProto.FLOAT, None),
    ]
    turns = g.Div(g.Gather(g.Shape("x"), np.int64(2), axis=0), np.int64(8))
    loop = helper.make_graph(body.nodes, "body", infos, outs, body.tensors)
    made_: str = g.Loop(turns, np.asarray(True), "x", body=loop)
    return made_


def test_what_is_not_followed_is_not_told(tmp_path: Path) -> None:
    graph = Graph()
    path = tmp_path / "net.onnx"
    graph.saved(path, by_as_many_turns(graph))
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(str(path), SHAPE)


def test_a_normalisation_fits_one_size(tmp_path: Path) -> None:
    graph = Graph()
    graph.saved(tmp_path / "net.onnx", normalised_at_one_size(graph))
    found = rfcalc.sizes(str(tmp_path / "net.onnx"), SHAPE)
    assert [a.valid.below for a in found.axes] == [(19, 20), (23, 24)]
