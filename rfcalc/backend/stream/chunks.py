"""What comes to a stream from outside: chunks, and parameters; written streams carry this source."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from rfcalc.backend.stream.reads import StreamedMap


def unfit(line: StreamedMap, chunk: Any, length: int, block: int, batch: int, kind: Any) -> tuple[str, str, str] | None:
    """Why a chunk is not taken: what it is, what the stream takes, and what to give; None where it fits.

    Args:
        length: how many positions it must have, 0 where any whole number of blocks is right.
        block: positions of one block, 0 for an input without the axis.
        batch, kind: those that the stream began with; -1 and None where it has not begun.
    """
    name = "chunk" if line.how == "window" else f"chunk of {line.name}"
    if not isinstance(chunk, Tensor):
        what = f"a {name} is a tensor, not {type(chunk).__name__}"
        return what, "it runs through PyTorch's layers", "give torch.as_tensor(…)"
    given, wanted, axis = tuple(chunk.shape[1:]), line.shape, line.axis
    fits = chunk.dim() == len(wanted) + 1
    if not fits or any(a != b for i, (a, b) in enumerate(zip(given, wanted, strict=True)) if i + 1 != axis):
        told = "×".join("…" if i + 1 == axis else str(n) for i, n in enumerate(wanted))
        what = f"the {name} is {'×'.join(map(str, chunk.shape))}"
        return what, f"the stream takes N×{told}", "give the batch first, then the channels"
    count = chunk.shape[axis] if axis else 0
    if not chunk.shape[0] or (axis and (not count or count % block)):
        what = f"the {name} has {count} positions" if chunk.shape[0] and count else f"the {name} is empty"
        return what, f"one block is {block}", f"give chunks of a whole number of blocks of {block}"
    if axis and length and count != length:
        return f"the {name} has {count} positions", f"{length} come with those of the first input", f"give {length}"
    if batch not in (-1, chunk.shape[0]):
        what = f"the {name} has a batch of {chunk.shape[0]}"
        return what, f"the stream began with {batch}", "call reset() to begin another"
    if kind is not None and chunk.dtype != kind:
        what, told = f"the {name} is {chunk.dtype}", str(kind).removeprefix("torch.")
        return what, f"the stream is {kind}", f"give chunk.to(torch.{told})"
    return None


def hang(root: nn.Module, path: str, leaf: nn.Module | nn.Parameter) -> None:
    """Put a module or a parameter at a dotted path."""
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in root._modules:
            root.add_module(folder, nn.Module())
        root = root.get_submodule(folder)
    if isinstance(leaf, nn.Parameter):
        root.register_parameter(name, leaf)
    else:
        root.add_module(name, leaf)
