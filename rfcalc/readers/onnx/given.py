"""What operators are given beside maps that the file computes from the sizes of maps: numbers, kernels, tables.

No layer holds it; readings at several sizes tell by it that a part of the image would be computed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rfcalc.readers.builder.values import Value
from rfcalc.readers.onnx.reading import Reader
from rfcalc.readers.onnx.values import Const

SIZES = ("Shape", "Size")
LENGTHS = ("Resize", "Upsample")  # of their fractions, too, only lengths hang
DEEP = 16  # operators back from a constant without values


def computed(reader: Reader, named: Mapping[int, str]) -> dict[str, tuple[Any, ...]]:
    """By node: of what it is given, the smallest and the largest values, or those of what it is computed from."""
    sized: set[str] = set()
    by_step: dict[int, tuple[Any, ...]] = {}
    for step, node in enumerate(reader.steps):
        from_sizes = [name for name in node.inputs if name in sized]
        made = [reader.values.get(name) for name in node.outputs if name]
        if node.op in SIZES or (from_sizes and all(isinstance(v, Const) for v in made)):
            sized.update(node.outputs)
        elif node.op not in LENGTHS:
            found = tuple(v for name in from_sizes if _real(reader, name) for v in _values(reader, name, sized, DEEP))
            if found:
                by_step[step] = found
    nodes = reader.graph.nodes
    arity = len(reader.graph.inputs)
    return {name: by_step[s] for p, name in named.items() if p >= arity and (s := nodes[p - arity].step) in by_step}


def _real(reader: Reader, name: str) -> bool:
    value = reader.values.get(name)
    return isinstance(value, Const) and value.floating


def _values(reader: Reader, name: str, sized: set[str], deep: int) -> Iterator[Any]:
    value = reader.values.get(name)
    if isinstance(value, Const) and value.values:
        yield from (min(value.values), max(value.values))
    elif not isinstance(value, Value) and deep and name in reader.makers:
        for source in reader.makers[name].inputs:
            if source in sized:
                yield from _values(reader, source, sized, deep - 1)
