"""What is said of a module that does not run on its input: the shape that was meant, a size that it takes, or where
the module itself is at fault.

1. The first layer with weights that reads the input (through what keeps its axes) says how many channels it takes and
   how many axes: a shape of another rank, order or number of channels is answered with the corrected one.
2. Where axes are moved first (channels last), the axis that the convolution reads as channels is told.
3. Where that layer is content and a later convolution is not, no input helps: the fault is in the module.
4. Where a linear layer or a join gets a wrong number, the size is at fault: other sizes are run until one is taken.
   This is done only when the message is told (`RfcalcError.advice`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isqrt, prod
from time import thread_time
from typing import Any, NamedTuple

import torch

from rfcalc.core.errors import Advice, RfcalcError, plural
from rfcalc.core.shape import USUAL, Shape, mistaken
from rfcalc.readers.close import MULTIPLES, SIDES
from rfcalc.readers.torch.entrance import channels_read
from rfcalc.readers.torch.given import ForwardCall, Leaf
from rfcalc.readers.torch.recorder import Operation

SECONDS = 4.0  # for sizes that are tried


class Reader(NamedTuple):
    """The first layer with weights that reads an input."""

    path: str
    what: str  # convolution, linear layer
    takes: int  # channels or features
    axes: int  # spatial ones; 0 of a linear layer
    leaf: Leaf
    gets: tuple[int, ...]  # the shape that arrives, with the batch


def first_reader(steps: Sequence[Operation], given: Mapping[str, torch.Tensor], call: ForwardCall) -> Reader | None:
    """The first layer with weights that reads an input, through steps that keep its axes and channels."""
    held = {id(tensor): name for name, tensor in given.items()}
    leaves = {leaf.name: leaf for leaf in call.leaves}
    for step in steps:
        x = next((t for t in step.given if id(t) in held), None)
        if x is None:
            continue
        name, weight = held[id(x)], step.args.get("weight")
        read = _weighted(step, x, weight)
        if read is not None:
            what, takes, axes = read
            return Reader(step.frame.path, what, takes, axes, leaves[name], tuple(x.shape))
        for t in step.outs:
            flat = t.dim() == 2 and t.numel() == x.numel()
            if flat or (t.dim() == x.dim() and t.shape[:2] == x.shape[:2]):
                held[id(t)] = name
    return None


def _read(step: Operation | None) -> torch.Tensor | None:
    """The map that a step works on."""
    x = None if step is None else step.args.get("input", step.args.get("self"))
    return x if isinstance(x, torch.Tensor) else None


def _weighted(step: Operation, x: torch.Tensor, weight: Any) -> tuple[str, int, int] | None:
    if not isinstance(weight, torch.Tensor) or _read(step) is not x:
        return None
    if step.name.startswith("conv_transpose"):
        return "transposed convolution", int(weight.shape[0]), weight.dim() - 2
    if step.name.startswith("conv"):
        return "convolution", int(weight.shape[1]) * int(step.args.get("groups") or 1), weight.dim() - 2
    return ("linear layer", int(weight.shape[1]), 0) if step.name == "linear" and weight.dim() == 2 else None


def wrong_shape(reader: Reader | None, call: ForwardCall) -> RfcalcError | None:
    """What is wrong with the shape that was given, if the first layer that reads it shows it."""
    if reader is None:
        return None
    mine = Shape(*reader.leaf.shape[1:]) if len(reader.leaf.shape) > 1 else None
    if mine is None or (fault := _fault(reader, mine)) is None:
        return None
    why, meant = fault
    name = "" if reader.leaf.name == "input" else f"{reader.leaf.name}="
    none = any("none was given" in note for note in call.notes)
    takes = f"the first {reader.what}{f' ({reader.path})' if reader.path else ''} takes {_channels(reader)}"
    if none and reader.axes:
        meant = (Shape(reader.takes, *USUAL[reader.axes]),)
    options = [f"{name}{shape}" for shape in meant]
    return RfcalcError(
        f"it does not run on {call.told}",
        why=f"no input was given, and {takes}" if none else f"{why}; {takes}" if why else takes,
        fix=" or ".join(f"--input {o}" for o in options) if none else f"did you mean {' or '.join(options)}?",
    )


def reads_sequences(module: Any, call: ForwardCall) -> RfcalcError | None:
    """What is wrong with the shape that was given where a recurrent layer or attention stopped at it: these read
    positions of so many features."""
    features = getattr(module, "input_size", None) if isinstance(module, torch.nn.RNNBase) else None
    if isinstance(module, torch.nn.MultiheadAttention):
        features = module.embed_dim
    elif isinstance(module, torch.nn.TransformerEncoderLayer):
        features = module.self_attn.embed_dim
    leaf = next(iter(call.leaves), None)
    if features is None or leaf is None or len(call.leaves) != 1 or leaf.shape[1:][1:] == (features,):
        return None
    mine = leaf.shape[1:]
    length = next((n for n in mine if n != features), 100) if len(mine) == 2 else 100
    meant = Shape(length, features)
    none = any("none was given" in note for note in call.notes)
    return RfcalcError(
        f"it does not run on {call.told}",
        why=f"it reads positions of {plural(features, 'feature')}, the features last",
        fix=f"--input {meant}" if none else f"did you mean {meant}?",
    )


def _channels(reader: Reader) -> str:
    if not reader.axes:
        return plural(reader.takes, "feature")
    return f"{plural(reader.takes, 'channel')} ({reader.axes}-D)"


def _fault(reader: Reader, mine: Shape) -> tuple[str, tuple[Shape, ...]] | None:
    """Why a shape is none that the layer takes, and those that may be meant."""
    if reader.axes:
        found = mistaken(mine, reader.takes, reader.axes)
        return None if found is None else (found[0], (found[1],))
    if reader.gets[-1] == reader.takes:
        return None
    if len(reader.gets) == 2 and len(mine.dims) > 1:  # a picture that is laid out flat
        sides = ((c, isqrt(reader.takes // c)) for c in dict.fromkeys((int(mine.dims[0]), 1, 3)))
        square = [Shape(c, n, n) for c, n in sides if c * n * n == reader.takes and n > 1]
        return "", (*square[:1], Shape(reader.takes))
    if prod(mine.dims) == reader.takes:
        return "it reads one row of values", (Shape(reader.takes),)
    return "", (Shape(*mine.dims[:-1], reader.takes) if len(mine.dims) < 3 else Shape(reader.takes),)


def other_axis(steps: Sequence[Operation], given: Mapping[str, torch.Tensor], call: ForwardCall) -> RfcalcError | None:
    """What is wrong with the shape that was given where the last step, a convolution, reads another axis of an input
    than the first as channels, and that axis has not as many."""
    stopped = steps[-1]
    x = _read(stopped)
    read = None if x is None else _weighted(stopped, x, stopped.args.get("weight"))
    if read is None:
        return None
    what, takes, axes = read
    for leaf in call.leaves:
        found = channels_read(steps, given[leaf.name]) if leaf.name in given else None
        dims = list(leaf.shape[1:])
        if found is None or found[0] is not stopped or found[1] < 1 or len(dims) != axes + 1:
            continue
        axis = found[1]
        if dims[axis] == takes:
            continue
        none = any("none was given" in note for note in call.notes)
        dims.pop(dims.index(takes) if takes in dims else 0 if none else axis)
        dims.insert(axis, takes)
        meant = f"{'' if leaf.name == 'input' else f'{leaf.name}='}{Shape(*dims)}"
        reads = f"the first {what}{f' ({stopped.frame.path})' if stopped.frame.path else ''} takes axis {axis} of it"
        return RfcalcError(
            f"it does not run on {call.told}",
            why=f"{'no input was given, and ' if none else ''}{reads} as its {plural(takes, 'channel')}",
            fix=f"--input {meant}" if none else f"did you mean {meant}?",
        )
    return None


def at_fault(step: Operation | None) -> RfcalcError | None:
    """A convolution inside of the module that gets other channels than it takes: no input helps."""
    x = _read(step)
    if step is None or x is None or (read := _weighted(step, x, step.args.get("weight"))) is None:
        return None
    what, takes, axes = read
    if not axes or x.dim() != axes + 2 or x.shape[1] == takes:
        return None
    return RfcalcError(
        f"it takes {plural(takes, 'channel')} and gets {int(x.shape[1])}",
        why=f"the {what} has weights of {'x'.join(map(str, step.args['weight'].shape))}, whatever the input",
        fix=f"the fault is in the module: mend {step.frame.path or 'it'}, or what comes before it",
    )


def size_that_runs(
    reader: Reader | None, call: ForwardCall, stopped: Operation | None, run: Callable[[ForwardCall], bool]
) -> Advice | None:
    """What to say of other sizes, from running them; several inputs are all rounded up to the same multiples.

    Args:
        stopped: the step that could not be taken.
        run: whether a call runs.

    Returns:
        A size that the module takes, or that there was none; None where sizes are not what it is about.
    """
    leaves = call.leaves
    first = reader.leaf if reader is not None else next(iter(leaves), None)
    if first is None or any(len(leaf.shape) < 3 or not leaf.dtype.is_floating_point for leaf in leaves):
        return None
    one = len(leaves) == 1
    begun, tried = thread_time(), 0
    alone = ((n,) for n in _others(first.shape[2:], _too_large(stopped)))
    for spatial in alone if one else _multiples(leaves):
        if thread_time() - begun > SECONDS:
            break
        tried += 1
        shapes = [(*leaf.shape[:2], *n) for leaf, n in zip(leaves, spatial, strict=True)]
        in_order = iter(shapes)
        if run(call.mapped(lambda leaf, shapes=in_order: leaf._replace(shape=next(shapes)))):  # type: ignore[misc]
            found = {leaf.name: Shape(*shape[1:]) for leaf, shape in zip(leaves, shapes, strict=True)}
            told = [f"{'' if one else f'{name}='}{shape}" for name, shape in found.items()]
            options = " ".join(f"--input {t}" for t in told)
            text = f"it runs on {', '.join(told)}: {options}"
            return Advice(text, found[leaves[0].name] if one else found)
    where = f", at {stopped.frame.path}" if stopped is not None and stopped.frame.path else ""
    vain = f"it ran on none of {plural(tried, 'other size')} either, without data"
    fault = f"the fault may be in the module itself{where}, or it asks for values of its input"
    return Advice(f"{vain}: {fault}") if one else None


def _too_large(step: Operation | None) -> float | None:
    """How many times more features arrive at a linear layer than it takes."""
    x = _read(step)
    if step is None or x is None or step.name != "linear":
        return None
    return float(x.shape[-1] / step.args["weight"].shape[1])


def _multiples(leaves: Sequence[Leaf]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The sizes of several inputs, all rounded up to multiples."""
    for m in MULTIPLES:
        yield tuple([tuple(-(-n // m) * m for n in leaf.shape[2:]) for leaf in leaves])


def _others(spatial: Sequence[int], times: float | None) -> Iterator[tuple[int, ...]]:
    """Sizes to try: the given one up to the next multiples; then squares, the likeliest and usual ones first."""
    given = tuple(int(n) for n in spatial)
    seen = {given}
    axes = len(given)
    rounded = [tuple(-(-n // m) * m for n in given) for m in MULTIPLES] if times is None else []
    likely = given[0] if times is None else given[0] / times ** (1 / axes)
    usual = sorted(SIDES, key=lambda n: abs(n - likely))
    near = sorted(range(max(1, round(likely) - 8), round(likely) + 9), key=lambda n: abs(n - likely))
    close = [n for n in usual if abs(n - likely) <= likely / 10]
    for other in (*rounded, *((n,) * axes for n in (*close, *(near if times is not None else ()), *usual))):
        if other not in seen:
            seen.add(other)
            yield other
