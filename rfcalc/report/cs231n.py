"""The lecture's listing (CS231n notes): each layer's map, the memory of it, its weights, with their arithmetic.

Channels stand last, weights are counted without biases, as in the lecture; the totals below say what is counted. What
the lecture printed for a network stands beside the right figure, with a word on the difference.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rfcalc.core.cost import Evaluated, recording
from rfcalc.core.errors import noun
from rfcalc.core.shape import Shape
from rfcalc.core.size import is_number, prod
from rfcalc.report import Report, Row
from rfcalc.report.document import Listing
from rfcalc.report.table import View
from rfcalc.report.units import binary, exact, megabytes


class LectureTotal(NamedTuple):
    """What the lecture printed as a total: so many values, so many bytes each, so many megabytes."""

    values: int
    itemsize: int
    megabytes: int


LECTURE = {"vgg16": LectureTotal(values=24 * 10**6, itemsize=4, megabytes=93)}
NAMES = {"maxpool": ("POOL", "maxpool"), "linear": ("FC", None)}  # the lecture's word for a kind, and what it replaces
COUNTED = 10_000  # numbers below are printed in full


def listing(report: Report, view: View) -> Listing:
    """The listing, as wide as it needs."""
    lines = [("INPUT:", _map(s), _memory(s, s.values), "0") for s in report.inputs.values()]
    lines += [line for row in ([report[view.at]] if view.at else report) if (line := _line(report, row))]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    found = [
        f"{name.ljust(widths[0])} {shape.ljust(widths[1])}  memory:  {memory.ljust(widths[2])}  weights: {weights}"
        for name, shape, memory, weights in lines
    ]
    return Listing("\n".join([*found, "", *_totals(report)]))


def _line(report: Report, row: Row) -> tuple[str, str, str, str] | None:
    """A row of the listing; None for what takes neither memory nor weights and changes nothing (ReLU, dropout)."""
    new = report.new_values[row.position]
    if row.node.layer.folds and not row.params and not new:
        return None
    return f"{_name(row)}:", _map(row.shape), _memory(row.shape, new), _weights(report, row)


def _name(row: Row) -> str:
    word, *options = row.notation.split(" ")
    name, replaced = NAMES.get(row.kind, ("", None))
    if name:
        word = name + word.removeprefix(replaced) if replaced else name
    return " ".join([word.upper(), *options])


def _last(shape: Shape) -> list[Any]:
    """The extents with the channels last; a flat vector as 1x1xC."""
    dims = [*shape.spatial, shape.channels]
    return dims if len(dims) > 1 else [1, 1, *dims]


def _map(shape: Shape) -> str:
    return f"[{'x'.join(map(str, _last(shape)))}]"


def _memory(shape: Shape, new: Any) -> str:
    """``224*224*64=3.2M``; the count alone for a vector, 0 for what needs no memory of its own."""
    if is_number(new) and new == 0:
        return "0"
    if shape.rank == 0:
        return str(shape.values)
    return f"{'*'.join(map(str, _last(shape)))}={rounded(shape.values)}"


def rounded(value: Any) -> str:
    """Two significant digits, as the lecture rounds: 150K, 3.2M (K = 1000); small numbers in full.

    >>> [rounded(n) for n in (150_528, 3_211_264, 802_816, 25_088, 4096, 999_999)]
    ['150K', '3.2M', '800K', '25K', '4096', '1M']
    """
    if not is_number(value) or value < COUNTED:
        return str(value)
    scale = 10 ** (len(str(int(value))) - 2)
    value = (2 * int(value) + scale) // (2 * scale) * scale
    for letter, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if value >= size:
            tenths = value * 10 // size
            return f"{tenths // 10}{f'.{tenths % 10}' if tenths % 10 else ''}{letter}"
    return str(value)


def _weights(report: Report, row: Row) -> str:
    """``(3*3*64)*64 = 36,864``: the weights' own formula with its operands put in."""
    if row.shared_with and report[row.shared_with].weights != 0:
        return f"those of {row.shared_with}"
    if not row.weights:
        return "0"
    shapes = report.shapes
    sources = report.network.sources[row.position - report.network.arity]
    with recording() as steps:
        row.node.layer.cost(tuple(shapes[s] for s in sources), row.shape)
    step = next((s for s in steps if s.formula.metric == "weights" and s.value == row.weights), None)
    text = _arithmetic(step, _flattened(report, sources)) if step else ""
    return f"{text} = {exact(row.weights)}" if text else exact(row.weights)


def _arithmetic(step: Evaluated, flattened: tuple[Any, ...]) -> str:
    """The formula's products, written out as the lecture does."""
    given = dict(step.operands)
    kernel = given.pop("k", None)
    if isinstance(kernel, tuple) and set(given) == {"c", "g", "m"}:
        part = (
            given["c"] // given["g"] if step.value == prod(kernel) * (given["c"] // given["g"]) * given["m"] else None
        )
        if part is None:  # a transposed convolution splits its outputs into groups
            return f"({'*'.join(map(str, kernel))}*{given['c']})*{given['m'] // given['g']}"
        return f"({'*'.join(map(str, kernel))}*{part})*{given['m']}"
    if isinstance(kernel, tuple) and set(given) in ({"c", "m"}, {"m"}):  # all input channels, or a kernel a channel
        return f"({'*'.join(map(str, (*kernel, given.get('c', 1))))})*{given['m']}"
    if set(given) == {"c", "m"} and kernel is None:
        wide = flattened if prod(flattened) == given["c"] else (given["c"],)
        return f"{'*'.join(map(str, wide))}*{given['m']}"
    return ""


def _flattened(report: Report, sources: tuple[int, ...]) -> tuple[Any, ...]:
    """The map (channels last) that a vector was flattened from, if it was."""
    arity = report.network.arity
    shapes = report.shapes
    while len(sources) == 1 and sources[0] >= arity and shapes[sources[0]].rank == 0:
        position = sources[0]
        if report.new_values[position]:
            return (shapes[position].values,)
        sources = report.network.sources[position - arity]
    if len(sources) != 1:
        return ()
    return tuple(_last(shapes[sources[0]])) if shapes[sources[0]].rank else (shapes[sources[0]].values,)


def _totals(report: Report) -> list[str]:
    totals = report.totals
    least = "" if report.complete else "at least "
    many = "image" if report.batch == 1 else f"batch of {report.batch}"
    kept = megabytes(totals.saved_bytes)
    biases = f"{exact(totals.biases)} {noun(totals.biases, 'bias', 'biases')}"
    parts = f"{exact(totals.weights)} {noun(totals.weights, 'weight')} + {biases}"
    values = f"{least}{exact(totals.values)} * {report.itemsize} bytes"
    found = [
        f"TOTAL memory: {values} = {megabytes(totals.bytes)} = {binary(totals.bytes)} / {many}"
        " (only forward! ~*2 for bwd)",
        f"  for bwd: twice that is {megabytes(2 * totals.bytes)}; what PyTorch keeps is {kept}",
        f"TOTAL params: {least}{exact(totals.params)} = {parts}",
    ]
    printed = LECTURE.get(report.network.name)
    if printed is not None:
        found += ["", *_erratum(printed)]
    found += [
        "",
        "memory: values, K = 1000, two digits; MB = 10^6 bytes, MiB = 2^20; ReLU and dropout are written in place",
    ]
    return [*found, *(f"assumed: {a}" for a in report.assumptions_of_memory)]


def _erratum(printed: LectureTotal) -> list[str]:
    """The lecture's total, and why it cannot be right."""
    product = printed.values * printed.itemsize
    short = f"{printed.values // 10**6}M * {printed.itemsize} bytes"
    return [
        f'The lecture prints "{short} ~= {printed.megabytes}MB": an erratum. Its own rows sum to the total above, and'
        f" {short}",
        f"is {megabytes(product)} or {binary(product)}, not {printed.megabytes}MB in either unit; where"
        f" {printed.values // 10**6}M came from is not known (cs231n.github.io issue 88).",
    ]
