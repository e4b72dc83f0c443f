"""Layers of several inputs."""

from __future__ import annotations

from rfcalc.backend.twin import At, Twin, kept_keys, measuring, text_only, twin


def coupled(at: At, inner: str) -> str:
    """A value with the mean of its channels added: afterwards every channel depends on what any of them did."""
    return inner if at.y.channels == 1 else f"coupled({inner}, {at.y.channel + 1})"


@twin("add")
@measuring("multiply")
@measuring("add")
def add(at: At) -> Twin:
    return text_only(" + ".join(f"{{{i}}}" for i in range(len(at.xs))))


@twin("multiply")
def multiply(at: At) -> Twin:
    return text_only(" * ".join(f"{{{i}}}" for i in range(len(at.xs))))


@twin("concat")
def concat(at: At) -> Twin:
    axis = (at.x.channel if at.layer.axis is None else at.layer.axis) % len(at.x.dims)
    return text_only(f"torch.cat([{', '.join(f'{{{i}}}' for i in range(len(at.xs)))}], dim={axis + 1})")


@twin("matmul")
def matmul(at: At) -> Twin:
    first = "{0}" if at.layer.mask is None else f"({{0}} * {_kept(at)})"
    return text_only(f"{first} @ {{1}}" + (".transpose(-2, -1)" if at.layer.transpose else ""))


def _kept(at: At) -> str:
    return kept_keys(at.layer.mask, at.x.dims)


@measuring("matmul")
def rows_and_columns(at: At) -> Twin:
    """The sum of a row of the first and a column of the second: what their product reads, without multiplying."""
    if at.layer.mask is not None:
        kept, second = _kept(at), "{1}.transpose(-2, -1)" if at.layer.transpose else "{1}"
        own = f"({{0}} * {kept}).mean(-1, keepdim=True)"
        return text_only(coupled(at, f"({own} + {kept}.to({{1}}.dtype) @ {second})"))
    rows = "{1}.mean(-1, keepdim=True).transpose(-2, -1)" if at.layer.transpose else "{1}.mean(-2, keepdim=True)"
    return text_only(coupled(at, f"({{0}}.mean(-1, keepdim=True) + {rows})"))
