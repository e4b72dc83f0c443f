"""How counting tools count: each convention is a named sum of terms, so that what they disagree on can be seen.

Read from the tools and measured with them (tests/data/counts.json). All agree on convolutions and linear layers in two
dimensions. On the rest they differ:

- **normalisation**: nothing (torch), its parameters once (torchinfo), 1, 2, 4, 5 or 7 operations for each value;
  onnx-tool sees it folded into the convolution before it, as a bias.
- **activations**: nothing (torch, fvcore, thop, torchinfo, torchscan), one for each value (calflops, but not for
  ReLU6), two (ptflops sees the module and the function in it), or what the operator's formula says (onnx-tool).
- **attention**: all of it (torch, ptflops, onnx-tool), all but the products of queries, keys and values (fvcore,
  calflops), nothing at all (thop, torchinfo, torchscan).

How a module is written decides what a tool sees of it: one hooks classes, another replaces functions, a third reads
operators. For a module of the user's own each tool's rules are therefore applied to what it hooks
(`rfcalc.backend.counters`). The conventions here are for networks without a module, as if torchvision had written them;
`unknown` names the kinds of layers for which they do not say what a tool prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.size import prod
from rfcalc.report import Report, Row
from rfcalc.report.document import Cell, Column, Document, Section, Sentences, Table, TableLine
from rfcalc.report.metrics import METRICS, Metric

if TYPE_CHECKING:
    from rfcalc.report.schemas.counts import CountsJson

SCHEMA: Final = "rfcalc/counts/1"
ATTENTION = ("self_attention", "window_attention")


def _ops(name: str, *kinds: str) -> Callable[[Row], int]:
    return lambda row: row.ops[name] if not kinds or row.kind in kinds else 0


def _activated(*functions: str) -> Callable[[Row], int]:
    def term(row: Row) -> int:
        return int(row.ops["activation"]) if getattr(row.node.layer, "function", "") in functions else 0

    return term


def _products(row: Row) -> int:
    """Queries·keys and weights·values: 2·n·m·c, where the softmax has n·m values for each head."""
    if row.kind not in ATTENTION:
        return 0
    heads = getattr(row.node.layer, "heads", 1)
    return int(2 * row.shape.channels * row.ops["activation"] // heads)


def _pools(row: Row, extra: int) -> int:
    """Outputs of a max pool, times its kernel (one side of it if given as one number) plus `extra`."""
    if row.kind != "maxpool":
        return 0
    return int(row.ops["pool_outputs"] * (row.node.layer.kernel[0] + extra))  # type: ignore[attr-defined]


def _window(row: Row) -> int:
    if row.kind != "maxpool":
        return 0
    kernel = row.node.layer.kernel  # type: ignore[attr-defined]
    rank = row.shape.rank
    sides = kernel if len(kernel) == rank else kernel * rank
    return int(row.ops["pool_outputs"] * prod(sides))


def _adaptive_outputs(row: Row) -> int:
    return int(row.values) if row.kind == "adaptive_pool" else 0


def _global_outputs(row: Row) -> int:
    whole = row.kind == "adaptive_pool" and all(n == 1 for n in row.shape.spatial)
    return int(row.values) if whole else 0


def _linear_rows(row: Row) -> int:
    """What a linear layer costs beyond its first row."""
    return int(row.macs + row.ops["linear_bias_adds"] - row.params) if row.kind == "linear" else 0


def _transposed(row: Row) -> int:
    """A transposed convolution counted at the positions of its output: what that is beyond its multiply-adds."""
    if row.kind != "conv_transpose":
        return 0
    x = row.report.input_shapes(row.position)[0]
    return int(row.macs * prod(row.shape.spatial) // prod(x.spatial) - row.macs)


def _sums(row: Row) -> int:
    if row.kind == "position_table":
        return int(row.values)
    return int(row.values * (len(row.inputs) - 1)) if row.kind == "add" else 0


def _groups(row: Row) -> int:
    return int(row.values // row.shape.dims[-1]) if row.kind == "layernorm" else 0


# What can be in a convention: its name in the table, and what it is of a row.
TERMS: dict[str, Callable[[Row], int]] = {
    "macs": lambda row: row.macs,
    "attention": lambda row: row.macs if row.kind in ATTENTION else 0,
    "attention products": _products,
    "softmax": lambda row: row.ops["activation"] if row.kind in ATTENTION else 0,
    "query scaling": lambda row: row.values if row.kind in ATTENTION else 0,
    "conv biases": _ops("conv_bias_adds"),
    "linear biases": _ops("linear_bias_adds"),
    "attention biases": _ops("linear_bias_adds", *ATTENTION),
    "linear rows": _linear_rows,
    "batch norm": _ops("norm", "batchnorm"),
    "layer norm": _ops("norm", "layernorm"),
    "layer norm groups": _groups,
    "group norm": _ops("norm", "groupnorm"),
    "norm params": lambda row: row.params if row.kind in ("batchnorm", "layernorm", "groupnorm") else 0,
    "relu": _activated("relu"),
    "relu6": _activated("relu6"),
    "gelu": _activated("gelu"),
    "silu, leaky relu": _activated("silu", "leaky_relu"),
    "transposed outputs": _transposed,
    "average-pool inputs": _ops("pool_inputs", "avgpool"),
    "average-pool outputs": lambda row: row.values if row.kind == "avgpool" else 0,
    "max-pool inputs": _ops("pool_inputs", "maxpool"),
    "max-pool outputs × (k − 1)": lambda row: _pools(row, -1),
    "max-pool outputs × window": _window,
    "adaptive inputs": _ops("adaptive_pool_inputs"),
    "adaptive outputs": _adaptive_outputs,
    "global outputs": _global_outputs,
    "sums": _sums,
}


class Convention(NamedTuple):
    """How a tool counts: what it calls the figure, and how often each term is in it."""

    tool: str
    figure: Literal["flops", "macs", "mult_adds"]
    version: str
    terms: dict[str, int]


CONVENTIONS = {
    c.tool: c
    for c in (
        Convention("torch", "flops", "2.13.0", {"macs": 2}),
        Convention(
            "fvcore",
            "flops",
            "0.1.5",
            {
                "macs": 1,
                "attention products": -1,
                "batch norm": 2,
                "layer norm": 5,
                "adaptive inputs": 1,
                "group norm": 5,
            },
        ),
        Convention(
            "thop",
            "macs",
            "0.1.1",
            {
                "macs": 1,
                "attention": -1,
                "batch norm": 4,
                "layer norm": 4,
                "adaptive inputs": 1,
                "adaptive outputs": 1,
                "average-pool outputs": 1,
                "transposed outputs": 1,
            },
        ),
        Convention(
            "torchinfo",
            "mult_adds",
            "1.8.0",
            {
                "macs": 1,
                "attention": -1,
                "conv biases": 1,
                "linear biases": 1,
                "attention biases": -1,
                "linear rows": -1,
                "norm params": 1,
                "transposed outputs": 1,
            },
        ),
        Convention(
            "calflops",
            "flops",
            "0.3.2",
            {
                "macs": 2,
                "attention products": -2,
                "conv biases": 1,
                "batch norm": 2,
                "layer norm": 5,
                "relu": 1,
                "gelu": 1,
                "max-pool inputs": 1,
                "adaptive inputs": 1,
                "silu, leaky relu": 1,
                "group norm": 5,
                "average-pool inputs": 1,
            },
        ),
        Convention(
            "ptflops",
            "macs",
            "0.7.5",
            {
                "macs": 1,
                "softmax": 1,
                "query scaling": 1,
                "conv biases": 1,
                "linear biases": 1,
                "batch norm": 2,
                "layer norm": 1,
                "relu": 2,
                "relu6": 1,
                "gelu": 2,
                "max-pool inputs": 2,
                "adaptive inputs": 2,
                "silu, leaky relu": 1,
                "group norm": 2,
                "average-pool inputs": 2,
            },
        ),
        Convention(
            "onnx-tool",
            "macs",
            "1.0.1",
            {
                "macs": 1,
                "softmax": 36,
                "query scaling": 2,
                "conv biases": 1,
                "linear biases": 1,
                "batch norm": 1,
                "layer norm": 7,
                "layer norm groups": 29,
                "relu": 1,
                "relu6": 2,
                "gelu": 7,
                "max-pool outputs × window": 1,
                "adaptive inputs": 1,
                "global outputs": 4,
                "sums": 1,
            },
        ),
        Convention(
            "torchscan",
            "macs",
            "0.2.0",
            {
                "macs": 1,
                "attention": -1,
                "batch norm": 2,
                "max-pool outputs × (k − 1)": 1,
                "adaptive inputs": 1,
                "adaptive outputs": 1,
            },
        ),
    )
}


# Kinds of layers (and activations) that the conventions were compared on: with all tools, with some.
COMPARED = frozenset(
    [
        *("conv", "depthwise", "linear", "batchnorm", "layernorm", "maxpool", "adaptive_pool", "self_attention"),
        *("position_table", "class_token", "add", "concat", "identity", "flatten", "reshape", "permute", "slice"),
        *("split", "dropout", "stochastic_depth", "relu", "relu6", "gelu"),
    ]
)
_PLAIN = ("multiply", "scale", "lrn", "channel_shuffle", "pad", "sigmoid", "tanh", "silu", "leaky_relu", "avgpool")
ALSO = {
    "torch": (*_PLAIN, "groupnorm", "instancenorm", "conv_transpose", "upsample", "window_attention"),
    "fvcore": (*_PLAIN, "groupnorm", "conv_transpose"),
    "thop": (*_PLAIN, "groupnorm", "conv_transpose"),
    "torchinfo": (*(kind for kind in _PLAIN if kind != "scale"), "groupnorm", "conv_transpose", "upsample"),
    "ptflops": (
        "channel_shuffle",
        "pad",
        "sigmoid",
        "tanh",
        "silu",
        "leaky_relu",
        "avgpool",
        "groupnorm",
        "conv_transpose",
    ),
    "calflops": ("channel_shuffle", "pad", "sigmoid", "tanh", "silu", "leaky_relu", "avgpool", "groupnorm"),
}
NORMS = ("batchnorm", "layernorm", "groupnorm")


def unknown(report: Report, how: Convention) -> tuple[str, ...]:
    """The kinds of layers of a network for which a tool's convention does not say what it counts.

    >>> import rfcalc
    >>> unknown(rfcalc.analyze("conv3-8 > upsample2"), CONVENTIONS["thop"])
    ('upsample',)
    """
    known = COMPARED.union(ALSO.get(how.tool, ()))
    found = []
    for row in report:
        kind = getattr(row.node.layer, "function", row.kind) if row.kind == "activation" else row.kind
        if row.kind in NORMS and not row.params and how.tool != "torch":
            found.append(f"{kind} without a scale")
        elif kind not in known or (kind == "avgpool" and row.params):
            found.append(kind)
    return tuple(dict.fromkeys(found))


# What each tool hooks in the module of a report: its `amounts` by path and what was hooked, its `terms()`, its `why`.
Hooked = Callable[[Report], Mapping[str, Any] | None]


class ToolCount(NamedTuple):
    """What a tool prints for a network: the sums by term, and why it is not known (then there are none)."""

    how: Convention
    terms: dict[str, int]
    by_node: dict[str, int]
    why: str = ""

    @property
    def total(self) -> int | None:
        return None if self.why else sum(self.terms.values())


def counts(report: Report, hooked: Hooked | None = None) -> dict[str, ToolCount]:
    """What every tool prints for a network: for a module by what the tool hooks in it, else by the conventions.

    Args:
        hooked: what runs a module and tells what each tool hooks: `rfcalc.backend.counters.tallies`.
    """
    found = {}
    tallies = hooked(report) if hooked is not None else None
    for tool, how in CONVENTIONS.items():
        if tallies is not None:
            seen = tallies[tool]
            by_node: dict[str, int] = {}
            for (path, _), amount in seen.amounts.items():
                by_node[path] = by_node.get(path, 0) + amount
            found[tool] = ToolCount(how, seen.terms(), by_node, seen.why)
            continue
        kinds = unknown(report, how)
        why = (
            f"how {', '.join(kinds)} {'is' if len(kinds) == 1 else 'are'} written decides what it sees" if kinds else ""
        )
        by_node = {row.name: count_row(row, how) for row in report}
        found[tool] = ToolCount(how, {} if kinds else terms(report, how), {} if kinds else by_node, why)
    return found


def convention(tool: str) -> Convention:
    """The convention of a tool.

    Raises:
        UnknownName: with the nearest names.
    """
    found = CONVENTIONS.get(tool.lower().replace("_", "-"))
    if found is None:
        raise UnknownName("counting tool", tool, list(CONVENTIONS))
    return found


def count_row(row: Row, how: Convention) -> int:
    """What a tool counts for one node."""
    return sum(times * TERMS[name](row) for name, times in how.terms.items())


def terms(report: Report, how: Convention) -> dict[str, int]:
    """The terms of a tool's count that are in a network, with their factors put in."""
    sums = {name: times * sum(TERMS[name](row) for row in report) for name, times in how.terms.items()}
    return {name: value for name, value in sums.items() if value}


def count(report: Report, how: Convention) -> int:
    """What a tool counts for a network.

    >>> import rfcalc
    >>> count(rfcalc.analyze("vgg16-torchvision"), CONVENTIONS["thop"])
    15470314496
    """
    return sum(terms(report, how).values())


def metric_of(tool: str, hooked: Hooked) -> str:
    """Make a tool's count a metric, so that a table can have it as a column; its name."""
    how = convention(tool)

    def counted(report: Report) -> ToolCount:
        if report not in known:
            known[report] = counts(report, hooked)[how.tool]
        if known[report].why:
            what = f"what {how.tool} prints for {report.target} is not known"
            raise RfcalcError(what, why=known[report].why, fix="rfcalc counts shows the tools of which it is known")
        return known[report]

    known: WeakKeyDictionary[Report, ToolCount] = WeakKeyDictionary()
    if how.tool not in METRICS:
        METRICS.add(
            how.tool,
            Metric(
                how.tool,
                f"{how.tool} {how.figure}",
                f"{how.figure} as {how.tool} {how.version} counts them",
                lambda row: counted(row.report).by_node.get(row.name, 0),
                lambda report: counted(report).total,
                adds=True,
            ),
        )
    return how.tool


def document(report: Report, hooked: Hooked | None = None) -> Document:
    """A tool a line: its figure, and the terms that it is the sum of; then what each term is."""
    found = counts(report, hooked)
    lines = []
    for tool, c in found.items():
        total = "not known" if c.total is None else f"{c.total:,}"
        made = " + ".join(_told(c, name, value) for name, value in c.terms.items()).replace("+ −", "− ")
        lines.append(TableLine((Cell(tool), Cell(c.how.figure), Cell(total, c.total), Cell(made))))
    heads = (Column("tool"), Column("prints"), Column("total", right=True), Column("made of", least=20, wraps=True))
    title = f"what counting tools print for {report.target}"
    said = [f"{tool} is not known: {c.why}" for tool, c in found.items() if c.why]
    if hooked is not None and report.network.source is not None:
        said.insert(0, "counted on the module itself: at the classes, functions and operators that each tool hooks")
    sections: list[Section] = [Table(heads, tuple(lines))]
    values = {name: sum(TERMS[name](row) for row in report) for name in TERMS if _in_use(name, found)}
    if values:
        terms = tuple(TableLine((Cell(name), Cell(f"{value:,}", value))) for name, value in values.items())
        sections.append(Table((Column("term"), Column("operations", right=True)), terms))
    if said:
        sections.append(Sentences(tuple(said)))
    return Document(title, tuple(sections), data=partial(to_dict, report, found), records=partial(_records, found))


def _in_use(name: str, found: Mapping[str, ToolCount]) -> bool:
    return any(name in c.terms and name in c.how.terms for c in found.values())


def _told(counted: ToolCount, name: str, value: int) -> str:
    """A term of a sum: how often it is in it, or what a tool saw of it in a module."""
    factor = counted.how.terms.get(name) if name in TERMS else None
    if factor is None:
        return f"{name} {value:,}"
    times = name if abs(factor) == 1 else f"{abs(factor)} × {name}"
    return f"−{times}" if factor < 0 else times


def _records(found: Mapping[str, ToolCount]) -> tuple[list[str], list[list[Any]]]:
    """A line a term and a column a tool, each with what the term adds."""
    names = [n for n in TERMS if any(n in c.terms for c in found.values())]
    names += [n for n in dict.fromkeys(n for c in found.values() for n in c.terms) if n not in TERMS]
    rows: list[list[Any]] = [[name, *(c.terms.get(name) for c in found.values())] for name in names]
    totals = ["not known" if c.total is None else c.total for c in found.values()]
    return ["term", *found], [*rows, ["total", *totals]]


def to_dict(report: Report, found: Mapping[str, ToolCount]) -> CountsJson:
    """The counts as JSON has them."""
    return {
        "schema": SCHEMA,
        "target": report.target,
        "inputs": {name: list(shape.dims) for name, shape in report.inputs.items()},
        "tools": [
            {
                "tool": tool,
                "version": c.how.version,
                "figure": c.how.figure,
                "count": c.total,
                "why": c.why or None,
                "terms": [
                    {"term": n, "factor": c.how.terms.get(n, 1) if n in TERMS else 1, "value": v}
                    for n, v in c.terms.items()
                ],
            }
            for tool, c in found.items()
        ],
    }
