"""Integers that an ONNX file computes have the values that the reference implementation computes.

Sizes, amounts of padding and indices are often the result of a dozen operators on shapes and constants.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_files import Array, File, evaluated, told

from rfcalc.readers.onnx import from_onnx
from rfcalc.report import Report


class Computed(File):
    """Integers computed in a file, one of which (by its first values) says how far the input is padded."""

    def __init__(self, random: Random, opset: int) -> None:
        super().__init__(random, (1, 2, 3, 3, 3), opset)
        self.known: list[str] = []
        self.arrays: dict[str, Array] = {}

    def array(self, name: str) -> Array:
        """Its value, by the reference."""
        if name not in self.arrays:
            self.arrays[name] = self._array(name)
        return self.arrays[name]

    def _array(self, name: str) -> Array:
        y = helper.make_tensor_value_info(name, TensorProto.INT64, None)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.given)
        graph = helper.make_graph(self.nodes, "g", [x], [y], self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return evaluated(ReferenceEvaluator(made), np.zeros(self.given, np.float32))

    def pick(self, most: int = 12) -> str:
        return self.random.choice([n for n in self.known if self.array(n).size <= most])

    def step(self) -> None:
        r = self.random
        name = self.pick()
        value = self.array(name)
        rank, size = value.ndim, value.size
        flat = self.add("Reshape", name, self.whole(-1))[0]
        kind = r.choice(STEPS)
        if kind == "shape":
            about: dict[str, Any] = (
                {"start": self.maybe(r.randrange(-2, 2)), "end": self.maybe(r.choice([-1, 3, 9]))}
                if self.opset >= 15
                else {}
            )
            made = self.add("Shape", r.choice(["x", name]), **about)
        elif kind == "size":
            made = self.add("Size", r.choice(["x", name]))
        elif kind == "gather":
            index = [r.randrange(-size, size) for _ in range(r.randrange(1, 4))]
            made = self.add(
                "Gather", flat, self.constant(index[0] if r.random() < 0.3 else index, np.int64), axis=self.maybe(0)
            )
        elif kind == "gather axis" and rank:
            axis = r.randrange(-rank, rank)
            made = self.add("Gather", name, self.whole(*(r.randrange(value.shape[axis]) for _ in range(2))), axis=axis)
        elif kind == "slice":
            step = r.choice([1, 1, 2, -1, -2])
            low, high = r.randrange(size), r.randrange(size)
            end = high + 1 if step > 0 else r.choice([high - 1, -size - 5])
            inputs = [
                flat,
                self.whole(low),
                self.whole(max(end, low + 1) if step > 0 else min(end, low - 1) if low else -size - 5),
            ]
            made = self.add("Slice", *inputs, self.whole(r.choice([0, -1])), self.whole(step))
        elif kind == "concat":
            other = self.add("Reshape", self.pick(), self.whole(-1))[0]
            made = self.add("Concat", flat, other, flat, axis=r.choice([0, -1]))
        elif kind in ("Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"):
            other = self.whole(*(r.choice([1, 2, 3, 5]) for _ in range(r.choice([1, size]))))
            pair = [flat, other]
            if kind in ("Add", "Sub", "Mul") and r.random() < 0.4:
                pair.reverse()
            made = self.add(kind, *pair)
        elif kind == "outer":
            a, b = (
                self.add("Reshape", name, self.whole(-1, 1))[0],
                self.add("Reshape", self.pick(4), self.whole(1, -1))[0],
            )
            made = self.add(r.choice(["Add", "Mul", "Sub"]), a, b)
        elif kind in ("Neg", "Abs", "Identity", "Sign"):
            made = self.add(kind, name)
        elif kind == "float":
            number = self.add("Cast", name, to=TensorProto.FLOAT)[0]
            half = self.add(r.choice(["Mul", "Div"]), number, self.constant(r.choice([0.5, 1.5, 2.5]), np.float32))[0]
            whole = self.add(r.choice(["Floor", "Ceil", "Identity"]), half)[0]
            made = self.add("Cast", whole, to=TensorProto.INT64)
        elif kind == "clip" and self.opset >= 12:
            ends = [self.maybe(self.constant(n, np.int64), 0.7) or "" for n in (r.randrange(-3, 2), r.randrange(2, 9))]
            while ends and not ends[-1]:
                ends.pop()
            made = self.add("Clip", name, *ends)
        elif kind == "reduce":
            op = r.choice(["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"])
            made = self.add(op, flat, keepdims=self.maybe(r.choice([0, 1])))
        elif kind == "range" and size > 0:
            last = self.add(
                "Min",
                self.add("Abs", self.add("Gather", flat, self.constant(0, np.int64))[0])[0],
                self.constant(9, np.int64),
            )[0]
            begin, by = self.constant(r.randrange(-2, 2), np.int64), self.constant(r.choice([1, 2, 3]), np.int64)
            made = self.add("Range", begin, self.add("Add", last, self.constant(3, np.int64))[0], by)
        elif kind == "where":
            op = r.choice(
                ["Equal", "Less", "Greater", *(["LessOrEqual", "GreaterOrEqual"] if self.opset >= 12 else [])]
            )
            test = self.add(op, flat, self.whole(r.randrange(-1, 4)))[0]
            if r.random() < 0.3:
                test = self.add("Not", test)[0]
            if r.random() < 0.3:
                more = self.add("Greater", flat, self.whole(0))[0]
                test = self.add(r.choice(["And", "Or", "Xor"]), test, more)[0]
            made = self.add("Where", test, flat, self.whole(r.randrange(5)))
        elif kind == "expand":
            made = self.add(
                "Expand", name, self.whole(2, *value.shape) if r.random() < 0.5 else self.whole(*([1] * rank or [1]))
            )
        elif kind == "tile" and rank:
            made = self.add("Tile", name, self.whole(*(r.choice([1, 2]) for _ in value.shape)))
        elif kind == "fill":
            shape = self.whole(r.randrange(1, 4), r.randrange(1, 3))
            fill = helper.make_tensor("", TensorProto.INT64, [1], [r.randrange(1, 6)])
            made = self.add("ConstantOfShape", shape, value=fill)
        elif kind == "split" and size > 1:
            parts = [1, size - 1]
            told = [self.whole(*parts)] if self.opset >= 13 else []
            made = self.add("Split", flat, *told, outputs=2, split=None if told else parts, axis=self.maybe(0))
        elif kind == "nonzero":
            made = self.add("NonZero", flat)
        elif kind == "transpose" and rank > 1:
            order = list(range(rank))
            r.shuffle(order)
            made = self.add("Transpose", name, perm=self.maybe(order))
        elif kind == "flatten" and rank > 1:
            made = self.add("Flatten", name, axis=self.maybe(r.randrange(-rank if self.opset >= 11 else 0, rank + 1)))
        elif kind == "ones":
            axis = r.choice([0, rank, *([-1] if self.opset >= 11 else [])])
            made = self.unsqueeze(name, axis)
            if r.random() < 0.5:
                made = self.squeeze(made[0], self.maybe(axis))
        elif kind == "constant":
            about = r.choice([{"value_int": r.randrange(9)}, {"value_ints": [r.randrange(9) for _ in range(3)]}])
            if self.opset < 12:
                about = {"value": helper.make_tensor("", TensorProto.INT64, [2], [3, r.randrange(5)])}
            made = self.add("Constant", **about)
        else:
            made = self.add("Identity", name)
        for name in made:
            value = self.array(name)
            if 0 < value.size <= 30 and abs(value).max() < 10**6:
                self.known.append(name)

    def unsqueeze(self, name: str, axis: int) -> list[str]:
        if self.opset < 13:
            return self.add("Unsqueeze", name, axes=[axis])
        return self.add("Unsqueeze", name, self.whole(axis))

    def squeeze(self, name: str, axis: int | None) -> list[str]:
        if axis is None:
            return self.add("Squeeze", name)
        if self.opset < 13:
            return self.add("Squeeze", name, axes=[axis])
        return self.add("Squeeze", name, self.whole(axis))


STEPS = (
    *("shape", "size", "gather", "gather axis", "slice", "concat", "Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"),
    *("outer", "Neg", "Abs", "Identity", "Sign", "float", "clip", "reduce", "range", "where", "expand", "tile", "fill"),
    *("split", "nonzero", "transpose", "flatten", "ones", "constant"),
)


def computed(seed: int, steps: int = 8) -> tuple[Computed, tuple[int, ...]]:
    """A file whose padding is computed, and the shape that the reference gives the result."""
    r = Random(f"computed {seed}")
    f = Computed(r, r.choice([11, 12, 13, 15, 17, 18]))
    f.known = [
        f.whole(*(r.randrange(-6, 9) for _ in range(4))),
        f.add("Shape", "x")[0],
        f.constant(r.randrange(1, 5), np.int64),
    ]
    for _ in range(steps):
        f.step()
    last = f.add("Reshape", f.known[-1], f.whole(-1))[0]
    size = f.array(last).size
    padded = f.add("Concat", *[last] * -(-6 // size), axis=0)[0]
    start = r.randrange(f.array(padded).size - 5)
    six = f.add("Slice", padded, f.whole(start), f.whole(start + 6))[0]
    small = f.add("Mod", f.add("Abs", six)[0], f.whole(7))[0]
    ones, sevens = (f.add("Slice", small, f.whole(i), f.whole(i + 3))[0] for i in (0, 3))
    three = f.add("Add", ones, f.add("Mul", sevens, f.whole(7))[0])[0]
    f.add("Concat", f.whole(0, 0, 0, 0, 0, 0, 0), three, axis=0)
    amounts = f.array(f.last)
    f.add("Pad", "x", f.last)
    return f, tuple(int(3 + n) for n in amounts[-3:])


@pytest.mark.parametrize("part", range(3))
def test_integers_that_a_file_computes(part: int) -> None:
    for seed in range(part * 40, part * 40 + 40):
        f, expected = computed(seed)
        read = from_onnx(f.model().SerializeToString())
        assert read.complete, (seed, read.notes, told(f))
        assert Report(read.network).rows[-1].output_shape == (2, *expected), (seed, told(f))


@pytest.mark.exhaustive
def test_many_integers_that_a_file_computes() -> None:
    for seed in range(120, 2000):
        f, expected = computed(seed)
        assert Report(from_onnx(f.model().SerializeToString()).network).rows[-1].output_shape == (2, *expected), seed
