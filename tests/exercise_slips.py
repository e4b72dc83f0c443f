"""What a mistake makes of a number, for the items that ask which mistake made it: a formula for each title.

Each is written from the title's English alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any

from exercise_sums import Sums, per


class Row(SimpleNamespace):
    """A layer with its costs, its map and what it reads."""

    x: tuple[int, ...]
    y: tuple[int, ...]
    weights: int
    biases: int
    params: int
    buffers: int
    macs: int

    @property
    def kernel(self) -> int:
        return prod(per(self.layer.kernel, i) for i in range(len(self.x) - 1))

    @property
    def slides(self) -> bool:
        return self.layer.kind in ("conv", "conv_transpose", "depthwise")

    @property
    def filters(self) -> int:
        return int(self.y[0])

    @property
    def used(self) -> int:
        """How often a weight is used."""
        return self.macs // self.weights


def rows(found: Sums) -> list[Row]:
    return [
        Row(layer=n.layer, x=found.shapes[n.inputs[0]], y=found.shapes[n.name], **found.cost(n.name))
        for n in found.network.nodes
    ]


def groups(row: Row) -> int:
    return row.x[0] if row.layer.kind == "depthwise" else int(getattr(row.layer, "groups", 1))


def changed(figure: str, row: Row, weights: int | None = None, biases: int | None = None) -> int:
    """The figure with other weights or biases: multiply-adds use each weight as often as before."""
    w, b = row.weights if weights is None else weights, row.biases if biases is None else biases
    return {"weights": w, "biases": b, "params": w + b}.get(figure, w * row.used if row.weights else 0)


def channels_forgotten(row: Row, figure: str) -> int:
    return changed(figure, row, weights=row.kernel * row.filters)


def one_filter(row: Row, figure: str) -> int | None:
    if not hasattr(row.layer, "out_channels"):
        return None
    return changed(figure, row, row.weights // row.filters, row.biases // row.filters)


def image(row: Row, figure: str) -> int:
    return changed(figure, row, weights=row.weights * prod(row.y[1:]))


def input_positions(row: Row, figure: str) -> int:
    return row.weights * prod((row.y if row.layer.kind == "conv_transpose" else row.x)[1:])


# of layers that slide: what each mistake makes of one layer's figure, by title
SLIDING: dict[str, Callable[[Row, str], int | None]] = {
    "Input channels forgotten": channels_forgotten,
    "One filter counted instead of all": one_filter,
    "Parameters grow with the image": image,
    "Bias counted at each position": lambda r, f: changed(f, r, biases=r.biases * prod(r.y[1:])),
    "One bias for each input channel": lambda r, f: changed(f, r, biases=r.x[0]) if r.biases else None,
    "Side against area of the kernel": lambda r, f: changed(f, r, weights=r.weights // per(r.layer.kernel, 0)),
    "Operations counted at one position only": lambda r, _: r.weights,
    "Positions of the input and of the output confused": input_positions,
    "Groups ignored": lambda r, f: changed(f, r, weights=r.weights * groups(r)),
}
# of layers with weights, of which a bias may be forgotten or added
WEIGHTED: dict[str, Callable[[Row, str], int | None]] = {
    "Bias forgotten": lambda r, f: changed(f, r, biases=0),
    "Bias counted although there is none": lambda r, f: changed(f, r, biases=r.y[0]) if not r.layer.bias else None,
    "Bias counted as a multiply-add": lambda r, _: r.macs + (prod(r.y) if r.layer.bias else 0),
}
DENSE: dict[str, Callable[[Row, str], int | None]] = {
    "Inputs and outputs added instead of multiplied": lambda r, _: r.x[0] + r.y[0],
    "One weight for each input": lambda r, _: r.x[0],
}


def layer_slip(title: str, row: Row, figure: str) -> int | None:
    """What the mistake makes of one layer's figure; None where it does not touch it."""
    kind = row.layer.kind
    if row.slides and title in SLIDING:
        return SLIDING[title](row, figure)
    if (row.slides or kind == "linear") and title in WEIGHTED:
        return WEIGHTED[title](row, figure)
    if kind == "linear" and title in DENSE:
        return DENSE[title](row, figure)
    if kind in ("maxpool", "avgpool") and title == "Pooling has parameters":
        return row.kernel
    if kind == "batchnorm" and title == "Running statistics counted as trainable":
        return row.params + row.buffers
    return None


def maps(found: Sums, batch: int, itemsize: int) -> dict[str, dict[str, int]]:
    """What mistakes make of the values, bytes and peak of all maps, by figure and title."""
    sizes = [prod(s) for s in found.shapes.values()]
    values, source = found.total("values"), prod(found.shapes[found.source])
    in_place = sum(prod(found.shapes[n.name]) for n in found.network.nodes if n.layer.kind in ("activation", "dropout"))
    one = {"The input forgotten": values - source, "Activations in place counted twice": values + in_place}
    several = {t: v * batch for t, v in one.items()} | {"The batch forgotten": values}
    return {
        "values": several,
        "bytes": {t: v * itemsize for t, v in several.items()}
        | {"Values given as bytes": values * batch, "Bits given as bytes": values * batch * itemsize * 8},
        "peak_bytes": {
            "Sum of activations used as peak memory": values * batch * itemsize,
            "The largest map used as peak memory": max(sizes) * batch * itemsize,
            "Values given as bytes": found.peak(itemsize) * batch // itemsize,
        },
    }


def made(found: Sums, title: str, figure: str, at: str, batch: int, itemsize: int) -> int | None:
    """The number that a mistake leads to; None where it makes no difference or no number."""
    right = found.figure(figure, at, batch, itemsize)
    value: Any = None
    if figure in ("values", "bytes", "peak_bytes") and not at:
        value = maps(found, batch, itemsize)[figure].get(title)
    elif title == "Multiply-adds against FLOPs":
        value = {"macs": 2 * right, "flops": right // 2}[figure]
    elif title == "Only the last layer counted":
        value = [v for r in rows(found) if (v := getattr(r, figure))][-1]
    else:
        chosen = [r for n, r in zip(found.network.nodes, rows(found), strict=True) if not at or n.name == at]
        slips = [(r, layer_slip(title, r, "macs" if figure == "flops" else figure)) for r in chosen]
        if any(v is not None for _, v in slips):
            value = sum(getattr(r, figure) if v is None else v for r, v in slips)
    return None if value is None or value == right else int(value)
