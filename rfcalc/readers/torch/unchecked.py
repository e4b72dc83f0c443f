"""Operators that PyTorch lets pass without data, and refuses when they run: channels, statistics, positions.

Tensors on the device ``meta`` have shapes only, and some operators compare less there than their kernels do: a
transposed convolution its channels, a normalisation its statistics, an index its positions with the axis it picks from.
Figures of what cannot run would be wrong, so these are compared here; rarer ones, and those that are given a tensor
without values, run once on zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import zip_longest
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.readers.torch.recorder import Operation, memory_of
from rfcalc.readers.torch.refused import at_fault


def cannot_run(step: Operation, written: Container[int]) -> RfcalcError | None:
    """What the kernel of an operator would refuse; None where it would run, or where positions are not known.

    Args:
        written: memory that the run has written to, whose values were others when the operator read them.
    """
    name = step.name.rstrip("_")
    if not all(t.numel() for t in step.given) and (wrong := _on_zeros(step)) is not None:
        return wrong
    if name in _PICKING:
        return _targets(step) or _flags(step) or _positions(step, written) or _values(step)
    check = _on_zeros if name in _SELDOM else _CHECKS.get(name)
    return None if check is None else check(step)


def _inside(step: Operation, message: str, why: str) -> RfcalcError:
    where = step.frame.path or "it"
    return RfcalcError(message, why=why, fix=f"the fault is in the module: mend {where}, or what comes before it")


def _convolution(step: Operation) -> RfcalcError | None:
    if step.name.startswith("conv_transpose") and (wrong := at_fault(step)) is not None:
        return wrong
    bias, axes = step.args.get("bias"), int(step.name[-2])
    made = step.out.shape[step.out.dim() - axes - 1]
    if bias is None or tuple(bias.shape) == (made,):
        return None
    dims = "x".join(map(str, bias.shape))
    return _inside(step, f"its bias has {plural(bias.numel(), 'value')}", f"it makes {plural(made, 'channel')}: {dims}")


def _normalisation(step: Operation) -> RfcalcError | None:
    x = step.args["input"]
    channels = int(x.shape[1])
    for name in ("running_mean", "running_var", "weight", "bias"):
        held = step.args.get(name)
        if held is not None and held.numel() != channels:
            told = f"it takes {plural(held.numel(), 'channel')} and gets {channels}"
            return _inside(step, told, f"its {name} has {plural(held.numel(), 'value')}, whatever the input")
    return None


def _positions(step: Operation, written: Container[int]) -> RfcalcError | None:
    for axis, size, index in _picked(step):
        if index is None or index.is_meta or index.is_floating_point() or not index.numel():
            continue
        if memory_of(index) in written:
            continue
        low, high = int(index.min()), int(index.max())
        least = -size if step.name.rstrip("_") in _FROM_THE_END else 0
        if low >= least and high < size:
            continue
        at = high if high >= size else low
        if axis is None:
            what = "its table" if step.name == "embedding" else "its tensor, laid out flat,"
        else:
            what = f"axis {axis} of its tensor (axis 0 is the batch)"
        return RfcalcError(
            f"it picks position {at}, which is not there",
            why=f"{what} has {plural(size, 'position')}",
            fix=f"give an input that it was made for, or mend {step.frame.path or 'it'}",
        )
    return None


def _on_zeros(step: Operation) -> RfcalcError | None:
    """What the operator itself refuses, given zeros of the same shapes and the positions that are there."""
    operator = getattr(getattr(torch.ops.aten, step.name, None), step.overload or "default", None)
    if operator is None or sum(t.numel() for t in step.given) > MOST:
        return None

    def zeros(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return [zeros(v) for v in value]
        if not isinstance(value, torch.Tensor):
            return value
        if not (value.is_meta or value.is_floating_point()):
            return value.detach().to("cpu", copy=True)
        kind = torch.float32 if value.is_floating_point() and value.itemsize < 4 else value.dtype  # some are not there
        return torch.zeros(value.shape, dtype=kind)

    with _disable_current_modes(), torch.no_grad():
        try:
            operator(**{name: zeros(value) for name, value in step.args.items()})
        except (NotImplementedError, TypeError):  # of kinds of numbers that are not there on this processor
            return None
        except (RuntimeError, IndexError) as error:
            told = str(error).split("\n")[0].strip()
            shapes = ", ".join("x".join(map(str, t.shape)) or "one value" for t in step.given)
            return RfcalcError(f"{step.name.rstrip('_')} of {shapes}: PyTorch refuses it with data", why=told)
    return None


def _strided(step: Operation) -> RfcalcError | None:
    """Values behind the end of the memory that a tensor lies in."""
    x, size = step.args["self"], step.args["size"]
    first = step.args.get("storage_offset")
    last = x.storage_offset() if first is None else first
    last += sum((n - 1) * by for n, by in zip(size, step.args["stride"], strict=True))
    there = x.untyped_storage().nbytes() // x.itemsize
    if 0 in size or last < there:
        return None
    return _inside(step, f"it reads value {last} of {there}", "strides and an offset say which one, counted from 0")


def _drawn(step: Operation) -> RfcalcError | None:
    """More positions than there are, without replacement."""
    count, there = step.args["num_samples"], int(step.args["self"].shape[-1])
    if step.args.get("replacement") or count <= there:
        return None
    told = plural(there, "position")
    return RfcalcError(
        f"it draws {count} of {told}", why="without replacement", fix="give a larger input, or draw fewer"
    )


def _filled(step: Operation) -> RfcalcError | None:
    """More values to fill in than there are."""
    mask, there = step.args["mask"], step.args["source"].numel()
    if mask.is_meta:
        return None
    try:
        count = int((mask & torch.ones_like(step.args["self"], dtype=torch.bool, device=mask.device)).sum())
    except RuntimeError:
        return None  # PyTorch refuses it without data, too
    if count <= there:
        return None
    return _inside(step, f"it fills in {plural(count, 'value')}", f"there are {there}")


def _targets(step: Operation) -> RfcalcError | None:
    """Classes of a loss for other positions than there are."""
    if step.name not in _LOSSES:
        return None
    x, target = step.args["self"], step.args["target"]
    if target.dim() != x.dim() - 1 or tuple(target.shape[1:]) == tuple(x.shape[2:]):
        return None
    told = ("x".join(map(str, dims)) for dims in (target.shape[1:], x.shape[2:]))
    return RfcalcError("its classes are those of {} positions, and there are {}".format(*told))


def _flags(step: Operation) -> RfcalcError | None:
    """Flags of another size than the axes that they pick from."""
    axis = 0
    for index in step.args["indices"] if step.name.rstrip("_") in ("index", "index_put") else ():
        flags = index is not None and index.dtype in (torch.bool, torch.uint8)
        count = index.dim() if flags else 1
        theirs = tuple(step.args["self"].shape[axis : axis + count])
        if flags and tuple(index.shape) != theirs:
            here, there = ("x".join(map(str, dims)) for dims in (index.shape, theirs))
            return RfcalcError(f"it picks by {here} flags", why=f"there are {there} positions from axis {axis} on")
        axis += count
    return None


def _values(step: Operation) -> RfcalcError | None:
    """Values that do not go to the positions where they are put."""
    if step.name.rstrip("_") != "index_put":
        return None
    x, at, values = (step.args[name] for name in ("self", "indices", "values"))
    if any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in at):
        return None
    listed = [axis for axis, i in enumerate(at) if i is not None]
    places = tuple(torch.broadcast_shapes(*[at[axis].shape for axis in listed]))  # type: ignore[no-untyped-call]
    left = [n for axis, n in enumerate(x.shape) if axis not in listed]
    first = listed[0] if listed == list(range(listed[0], listed[-1] + 1)) else 0  # where they stand together
    theirs = (*left[:first], *places, *left[first:])
    mine = tuple(values.shape)[::-1]
    if all(m in (1, n) for n, m in zip_longest(theirs[::-1], mine, fillvalue=1)):
        return None
    told = ("x".join(map(str, dims)) for dims in (values.shape, theirs))
    return RfcalcError("it puts {} values at {} positions".format(*told), why="they must be as many, or 1")


def _picked(step: Operation) -> Iterator[tuple[int | None, int, Any]]:
    """The axes that positions are picked from, how long these are, and the positions."""
    args = step.args
    if step.name == "embedding":
        yield None, int(args["weight"].shape[0]), args["indices"]
        return
    if step.name in _LOSSES:
        target, axis = args["target"], min(1, args["self"].dim() - 1)
        counted = None if target.is_meta else target[target != args["ignore_index"]]
        yield axis, int(args["self"].shape[axis]), counted
        return
    x = args["self"]
    if step.name == "take_along_dim":  # along an axis it takes rests of what is given
        args = {**args, "index": args["indices"] if args.get("dim") is None else None}
    elif "indices" in args:  # x[..., index], x[..., index] = value
        axis = 0
        for index in args["indices"]:
            mask = index is not None and index.dtype in (torch.bool, torch.uint8)
            if index is not None and not mask:
                yield axis, int(x.shape[axis]), index
            axis += index.dim() if mask else 1
        return
    if args.get("dim") is None:
        yield None, x.numel(), args["index"]
    elif x.dim():
        axis = args["dim"] % x.dim()
        yield axis, int(x.shape[axis]), args["index"]


_LOSSES = ("cross_entropy_loss", "nll_loss", "nll_loss_nd", "nll_loss2d", "nll_loss_forward", "nll_loss2d_forward")
_PICKING = frozenset(
    [
        *("embedding", "index", "index_put", "index_select", "index_add", "index_copy", "index_fill"),
        *("gather", "scatter", "scatter_add", "scatter_reduce", "take", "take_along_dim"),
        *_LOSSES,
    ]
)
MOST = 1 << 22  # values, of which an operator is run on zeros
_SELDOM = frozenset(
    ("select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter", "put", "index_reduce")
)
RAISING_INDEX_ERROR = frozenset(  # others raise a RuntimeError
    ("index", "index_put", "index_select", "index_copy", "index_fill", "take", "embedding", *_LOSSES)
)
_FROM_THE_END = ("index", "index_put", "take")  # these take positions from -n on
NORMALISING = ("batch_norm", "instance_norm")
_CHECKS: dict[str, Callable[[Operation], RfcalcError | None]] = {
    **dict.fromkeys((f"conv{kind}{rank}d" for kind in ("", "_transpose") for rank in (1, 2, 3)), _convolution),
    **dict.fromkeys(NORMALISING, _normalisation),
    **dict.fromkeys(("as_strided", "as_strided_copy"), _strided),
    "multinomial": _drawn,
    "masked_scatter": _filled,
}
