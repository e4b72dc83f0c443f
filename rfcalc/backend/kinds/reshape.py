"""Layers that re-arrange or cut: mostly expressions."""

from __future__ import annotations

from rfcalc.backend.kinds.merge import coupled
from rfcalc.backend.twin import At, Learned, Twin, call, measuring, text_only, twin
from rfcalc.core.sliding import one


@twin("flatten")
def flatten(at: At) -> Twin:
    rank = len(at.x.dims)
    start, end = at.layer.start % rank + 1, at.layer.end % rank + 1
    if end == rank:
        return Twin(call("nn.Flatten", *(() if start == 1 else (start,))))
    return Twin(call("nn.Flatten", start, end))


@twin("reshape")
def reshape(at: At) -> Twin:
    return text_only(f"{{0}}.reshape({{0}}.shape[0], {', '.join(map(str, at.layer.dims))})")


@measuring("reshape")
def reshape_coupled(at: At) -> Twin:
    return text_only(coupled(at, reshape(at).text))


@twin("permute")
def permute(at: At) -> Twin:
    return text_only(f"{{0}}.permute(0, {', '.join(str(i + 1) for i in at.layer.order)})")


@twin("class_token")
def class_token(at: At) -> Twin:
    return Twin(
        None, "torch.cat([{w}.expand({0}.shape[0], -1, -1), {0}], dim=1)", Learned((1, at.layer.count, at.x.dims[1]))
    )


@twin("position_table")
def position_table(at: At) -> Twin:
    return Twin(None, "{0} + {w}", Learned((1, *at.x.dims), std=0.02))


@twin("parameter")
def parameter(at: At) -> Twin:
    """Given to every item of the batch; ``{0}`` is the network's first input, for its batch size."""
    axes = ", -1" * len(at.y.dims)
    return Twin(None, f"{{w}}.expand({{0}}.shape[0]{axes})", Learned(at.y.dims, std=0.02))


@twin("slice")
def cut(at: At) -> Twin:
    layer = at.layer
    ends = "".join("" if v is None else str(v) for v in (layer.start,)) + ":"
    ends += "" if layer.stop is None else str(layer.stop)
    ends += "" if layer.step == 1 else f":{layer.step}"
    return text_only("{0}[" + ":, " * (layer.axis % len(at.x.dims) + 1) + ends + "]")


@twin("gather")
def take(at: At) -> Twin:
    axis, positions = at.layer.axis % len(at.x.dims) + 1, at.layer.positions
    return Twin(call("Flip", axis) if positions is None else call("Gather", axis, list(positions)))


@twin("index_sum")
def summed(at: At) -> Twin:
    axis = at.layer.axis % len(at.x.dims)
    rows = [list(row) for row in at.layer.listed(at.x.dims[axis])]
    return Twin(call("IndexSum", axis + 1, rows))


@twin("split")
def split(at: At) -> Twin:
    axis, start, length = at.layer.place(at.x)  # PyTorch's split and chunk give views that nothing may write over
    return text_only(f"{{0}}.narrow({axis + 1}, {start}, {length})")


@twin("channel_shuffle")
def channel_shuffle(at: At) -> Twin:
    d = at.x.channel + 1
    groups = (at.layer.groups, at.x.channels // at.layer.groups)
    return text_only(f"{{0}}.unflatten({d}, {groups}).transpose({d}, {d + 1}).flatten({d}, {d + 1})")


@twin("roll")
def roll(at: At) -> Twin:
    shifts = tuple(one(at.layer.shift, i) for i in range(at.x.rank))
    return text_only(f"{{0}}.roll({shifts}, dims={tuple(a + 1 for a in at.x.axes)})")


@twin("window_partition")
def window_partition(at: At) -> Twin:
    return text_only(f"windows({{0}}, {tuple(one(at.layer.window, i) for i in range(at.x.rank))})")
