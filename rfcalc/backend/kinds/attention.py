"""Self-attention over the whole map, or in windows."""

from __future__ import annotations

from rfcalc.backend.twin import At, Twin, call, measuring, text_only, twin
from rfcalc.core.sliding import one


@twin("self_attention")
def self_attention(at: At) -> Twin:
    layer, x = at.layer, at.x
    made = call(
        "SelfAttention",
        x.channels,
        layer.heads,
        bias=None if layer.bias else False,
        out_bias=None if layer.out_bias else False,
    )
    if x.rank == 0:
        return Twin(made, "{m}({0}.unsqueeze(1)).squeeze(1)")
    first, back = _channels_last(at)
    if x.rank == 1:
        return Twin(made, f"{{m}}({{0}}{first}){back}")
    return Twin(made, f"{{m}}({{0}}{first}.flatten(1, -2)).unflatten(1, {x.spatial}){back}")


def _channels_last(at: At) -> tuple[str, str]:
    channel = at.x.channel + 1
    if channel == len(at.x.dims):
        return "", ""
    return f".movedim({channel}, -1)", f".movedim(-1, {channel})"


@measuring("self_attention")
def all_positions(at: At) -> Twin:
    axes = tuple(i + 1 for i in range(len(at.x.dims)))
    return text_only(f"{{0}} + {{0}}.mean({axes}, keepdim=True)")


def _geometry(at: At) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = at.x.rank
    return tuple(one(at.layer.window, i) for i in range(rank)), tuple(one(at.layer.shift, i) for i in range(rank))


@twin("window_attention")
def window_attention(at: At) -> Twin:
    layer = at.layer
    window, shift = _geometry(at)
    made = call(
        "WindowAttention",
        at.x.channels,
        layer.heads,
        window,
        shift,
        masked=None if layer.masked else False,
        relative=None if layer.relative else False,
        bias=None if layer.bias else False,
        out_bias=None if layer.out_bias else False,
        cosine=layer.cosine or None,
    )
    first, back = _channels_last(at)
    return Twin(made, f"{{m}}({{0}}{first}){back}")


@measuring("window_attention")
def window_means(at: At) -> Twin:
    window, shift = _geometry(at)
    first, back = _channels_last(at)
    return text_only(f"window_mean({{0}}{first}, {window}, {shift}, {at.layer.masked}){back}")
