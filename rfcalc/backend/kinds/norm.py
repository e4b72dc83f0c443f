"""Normalisation."""

from __future__ import annotations

from math import prod

from rfcalc.backend.twin import At, Twin, call, measuring, moved, text_only, twin


def _left_out(at: At) -> str | None:
    """PyTorch's name of the factor that is left out, where one of two is."""
    layer = at.layer
    if not layer.affine or (layer.gamma and layer.bias):
        return None
    return "bias" if layer.gamma else "weight"


@twin("batchnorm")
def batchnorm(at: At) -> Twin:
    layer, rank = at.layer, at.x.rank
    direct = at.x.channel == 0 and rank <= 3
    axes = max(rank, 1) if direct else 1
    without = _left_out(at)
    usual = f"AlwaysBatchNorm{axes}d" if layer.training else f"nn.BatchNorm{axes}d"
    made = call(
        usual if without is None else f"PartialBatchNorm{axes}d",
        at.x.channels,
        without=without,
        always=True if without and layer.training else None,
        eps=at.eps,
        affine=None if layer.affine else False,
        track_running_stats=None if layer.track else False,
    )
    if direct:
        return Twin(made)
    spread = f".unflatten(2, {at.x.spatial})" if rank > 1 else ""
    joined = ".flatten(2)" if rank > 1 else ""
    channel = at.x.channel + 1
    first, back = (f".movedim({channel}, 1)", f".movedim(1, {channel})") if channel != 1 else ("", "")
    return Twin(made, f"{{m}}({{0}}{first}{joined}){spread}{back}")


def _shared(axes: tuple[int, ...]) -> Twin:
    """A value and the mean of all that its normalisation looks at."""
    if not axes:
        return text_only("{0}")
    return text_only(f"{{0}} + {{0}}.mean({tuple(a + 1 for a in axes)}, keepdim=True)")


@measuring("batchnorm")
def batch_coupled(at: At) -> Twin:
    return _shared(tuple(range(len(at.x.dims))) if at.layer.of_batch else ())


@twin("layernorm")
def layernorm(at: At) -> Twin:
    layer, x = at.layer, at.x
    axes = layer.axes(x)
    options = {
        "eps": at.eps,
        "elementwise_affine": None if layer.affine else False,
        "bias": None if layer.bias or not layer.affine else False,
    }
    kind = "PartialLayerNorm" if layer.affine and not layer.gamma else "nn.LayerNorm"
    if axes != tuple(range(len(x.dims)))[-len(axes) :]:  # over the channels, which are not last
        made = call(kind, x.channels, **options)
        channel = x.channel + 1
        return Twin(made, f"{{m}}({{0}}.movedim({channel}, -1)).movedim(-1, {channel})")
    sizes = tuple(x.dims[i] for i in axes)
    return Twin(call(kind, sizes[0] if len(sizes) == 1 else sizes, **options))


@measuring("layernorm")
def layer_coupled(at: At) -> Twin:
    return _shared(at.layer.axes(at.x))


@twin("groupnorm")
def groupnorm(at: At) -> Twin:
    without = _left_out(at)
    made = call(
        "nn.GroupNorm" if without is None else "PartialGroupNorm",
        at.layer.groups,
        at.x.channels,
        without=without,
        eps=at.eps,
        affine=None if at.layer.affine else False,
    )
    return Twin(made, moved(at))


@measuring("groupnorm")
def group_coupled(at: At) -> Twin:
    return _shared(tuple(range(len(at.x.dims))))


@twin("instancenorm")
def instancenorm(at: At) -> Twin:
    layer, rank = at.layer, at.x.rank
    if not layer.track and prod(at.x.spatial) == 1:
        return Twin(call("PointInstanceNorm", at.x.channels, eps=at.eps, affine=True if layer.affine else None))
    made = call(
        f"nn.InstanceNorm{rank if rank <= 3 else 1}d",
        at.x.channels,
        eps=at.eps,
        affine=True if layer.affine else None,
        track_running_stats=True if layer.track else None,
    )
    if rank > 3:
        return Twin(made, f"{{m}}({{0}}.flatten(2)).unflatten(2, {at.x.spatial})")
    return Twin(made)


@measuring("instancenorm")
def instance_coupled(at: At) -> Twin:
    return _shared(() if at.layer.track else at.x.axes)


@twin("rmsnorm")
def rmsnorm(at: At) -> Twin:
    made = call("nn.RMSNorm", at.x.dims[-1], eps=at.eps, elementwise_affine=None if at.layer.affine else False)
    return Twin(made)


@measuring("rmsnorm")
def square_coupled(at: At) -> Twin:
    return _shared((len(at.x.dims) - 1,))


@twin("lrn")
def lrn(at: At) -> Twin:
    made = call("nn.LocalResponseNorm", at.layer.size)
    if at.x.rank == 0:
        return Twin(made, "{m}({0}.unsqueeze(2)).squeeze(2)")
    # PyTorch views a map that is not flat or an image in another shape, for which it must lie in order
    if at.x.channel == 0:
        return Twin(made, "{m}({0})" if at.x.rank < 3 else "{m}({0}.contiguous())")
    channel = at.x.channel + 1
    return Twin(made, f"{{m}}({{0}}.movedim({channel}, 1).contiguous()).movedim(1, {channel})")


@measuring("lrn")
def neighbours(at: At) -> Twin:
    """All of it lies in the unit, which is all channels of a position."""
    return text_only("{0}")
