"""The columns of a student's table by their usual names: which figure each holds, and in which unit."""

from __future__ import annotations

import re
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.report.metrics import METRICS

# What people write over a column, besides the names of the metrics.
ALIASES = {
    "name": "layer name node module layername operation op",
    "output_shape": "output outputshape outputsize outputvolume outputdim outputdims outputdimensions outshape outsize "
    "shape size volume activationshape featuremap featuremapsize mapsize dims dimensions dimension activationvolume "
    "out side outputside resolution",
    "channels": "channels depth filters outchannels cout outputchannels outputdepth c",
    "height": "height h hout outputheight",
    "width": "width w wout outputwidth",
    "receptive_field": "rf receptivefield receptivefieldsize rfsize fieldofview fov field receptive r",
    "stride": "stride effectivestride jump totalstride cumulativestride j",
    "params": "params parameters param numparams nparams numberofparameters parametercount trainableparams "
    "trainableparameters totalparams",
    "weights": "weights numweights numberofweights kernelparams",
    "biases": "biases bias numbiases",
    "buffers": "buffers nontrainable nontrainableparams runningstatistics",
    "macs": "macs mac multadds multiplyadds mults multiplications maccs madds multadd",
    "flops": "flops flop operations ops",
    "values": "values activations activation elements numactivations outputvalues activationvalues neurons",
    "bytes": "bytes memory mem activationmemory memorybytes outputbytes",
}
_KNOWN = {alias: figure for figure, names in ALIASES.items() for alias in (figure.replace("_", ""), *names.split())}
_UNITS = {
    "k": 10**3, "m": 10**6, "g": 10**9, "million": 10**6, "millions": 10**6, "mio": 10**6, "thousand": 10**3,
    "thousands": 10**3, "billion": 10**9, "billions": 10**9, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10,
    "mib": 2**20, "gib": 2**30, "gmac": 10**9, "gmacs": 10**9, "mmac": 10**6, "mmacs": 10**6, "gflops": 10**9,
    "mflops": 10**6,
}  # fmt: skip
PARTS = ("channels", "height", "width")  # of the output shape, each in a column of its own
ADDED = ("weights", "biases", "params", "buffers", "macs", "flops")  # of a row, with the layers that are folded into it
MARKED = ("output_shape", *PARTS, "receptive_field", "stride", "weights", "biases", "params", "buffers", "macs",
          "flops", "values", "bytes")  # fmt: skip


class Column(NamedTuple):
    """Where a column stands, what its head says, the figure, and what its unit multiplies with."""

    at: int
    head: str
    figure: str
    scale: int = 1


def column(head: str, index: int = 0) -> Column | None:
    """The column with this head; None if it holds no figure that is marked.

    >>> column("Params (M)"), column("Output size"), column("# parameters").figure
    (Column(at=0, head='Params (M)', figure='params', scale=1000000), Column(at=0, head='Output size', \
figure='output_shape', scale=1), 'params')
    """
    inside = re.search(r"[(\[/]\s*(?:in\s+)?([A-Za-z]+)\s*[)\]]?\s*$", head)
    scale = _UNITS.get(inside[1].lower(), 1) if inside else 1
    for text in (head, re.sub(r"[(\[].*", "", head)):
        name = re.sub(r"[^a-z]", "", text.lower())
        figure = _KNOWN.get(name)
        if figure is None:
            found = METRICS.get(text.strip().replace(" ", "_"))
            figure = found.name if found is not None and found.name in MARKED else None
        if figure is not None:
            return Column(index, head, figure, scale)
    word = re.fullmatch(
        r"([kmg])\s*(params|parameters|macs?|flops?)|(gflops|gmacs?|mflops|mmacs?)", head.strip().lower()
    )
    if word:
        short = word[3] or ""
        unit = _UNITS[word[1] or short[0]]
        return Column(index, head, _KNOWN[word[2] or short[1:]], unit)
    return None


def columns(heads: tuple[str, ...], where: str) -> tuple[Column | None, tuple[Column, ...], tuple[str, ...]]:
    """The column of names, the columns that are marked, and the heads of the others.

    Raises:
        RfcalcError: nothing can be marked, or a figure stands in two columns.
    """
    name: Column | None = None
    found: dict[str, Column] = {}
    others = []
    for index, head in enumerate(heads):
        one = column(head, index)
        if one is None:
            if head:
                others.append(head)
        elif one.figure == "name":
            if name is None:
                name = one
            else:
                others.append(head)
        elif one.figure in found:
            raise RfcalcError(
                f"two columns hold the same figure ({one.figure}): {found[one.figure].head!r} and {head!r}",
                where=where,
                fix="leave one out, or rename it",
            )
        else:
            found[one.figure] = one
    if not found:
        raise RfcalcError(
            "no column holds a figure that can be marked",
            where=where,
            why="the heads are: " + ", ".join(repr(h) for h in heads[:12]),
            fix="name columns as usual: layer, output, rf, stride, params, weights, biases, macs, memory",
        )
    return name, tuple(found.values()), tuple(others)


def asked(text: str) -> tuple[str, ...]:
    """Figures by name, separated by commas.

    Raises:
        UnknownName: one that is not marked.
    """
    found = []
    for word in filter(None, (w.strip() for w in text.split(","))):
        one = column(word)
        if one is None or one.figure == "name":
            raise UnknownName("column", word, MARKED)
        found.append(one.figure)
    return tuple(dict.fromkeys(found))
