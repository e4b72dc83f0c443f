"""What a network was read from: the module itself, and how it is called, so that it can be measured and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import Watched
from rfcalc.core.shape import Shape
from rfcalc.readers.torch.given import ForwardCall
from rfcalc.readers.torch.scripted import comparing

if TYPE_CHECKING:
    from rfcalc.graph.strides import Copy
    from rfcalc.readers.torch.by_itself import Ran
    from rfcalc.readers.torch.lived import Lived

_WHOLE = (torch.int8, torch.uint8, torch.int16, torch.int32)


class Buffer(NamedTuple):
    """The memory of a buffer: its bytes, and how many fractions these are (0: whole numbers or truths)."""

    bytes: int
    fractions: int = 0


class Returned(NamedTuple):
    """A tensor that the module returns: the node that makes it (None where no input reaches it), and its batch axis."""

    node: str | None
    batch: int | None = None


@dataclass(eq=False)
class Source:
    """The module that a network was read from.

    Attributes:
        module: it may be without weights.
        call: what it was called with.
        returned: the tensors that it returns, in order.
        frozen: parameters that get no gradient, by the node that holds them.
        unused: parameters that no node uses, by name.
        training: whether it was read in training mode.
        sizes: of the steps of one run: `batching.Size`.
        steps: the step of a run that made a node, by its number; -1 for what is given with the weights.
        make: builds it with weights; None where it has them.
        sizes_asked: whether its code may have seen the sizes of its maps, and so do something else at others.
        catches: whether its code catches errors, and so may do something else where a layer refuses.
        recomputed: the nodes of each part that is computed again in the backward pass (checkpointed).
        dtype: what it computes in.
        copied: the nodes that read a copy of what they read, by the number of the input (−1: that make such a copy
            of their result).
        indexed: the bytes of the index that a node keeps for backward, where code computes it in every step.
        frames: the path of the module inside of which a node is computed.
        computed: the bytes of what code computes in every step without its inputs, by node.
        in_place: the nodes that write over their input; the values of the map of which that is a view (0: none).
        batches: the axis along which the items lie in a node's result, where that is not the first; −1 where they are
            a part of one.
        amounts: what the operators of nodes are given beside maps: numbers, and the names of parameters.
        heard: what its code asked of lengths, where it was watched.
        ran: what its run did then.
    """

    module: torch.nn.Module
    call: ForwardCall
    returned: tuple[Returned, ...] = ()
    frozen: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    training: bool = False
    sizes: tuple[Any, ...] = ()
    steps: Mapping[str, int] = field(default_factory=dict)
    make: Callable[[], Any] | None = None
    sizes_asked: bool = True
    catches: bool = False
    recomputed: tuple[frozenset[str], ...] = ()
    dtype: str = "float32"
    copied: Mapping[tuple[str, int], Copy] = field(default_factory=dict)
    indexed: Mapping[str, int] = field(default_factory=dict)
    frames: Mapping[str, str] = field(default_factory=dict)
    in_place: Mapping[str, int] = field(default_factory=dict)
    computed: Mapping[str, int] = field(default_factory=dict)
    batches: Mapping[str, int] = field(default_factory=dict)
    amounts: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    heard: Watched | None = None
    ran: Ran | None = None

    @property
    def unheard(self) -> str | None:
        """The path of a scripted module that compares sizes unheard; None where there is none."""
        return comparing(self.module.named_modules())

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """The memory of all buffers of the module, once where several share it: running statistics, counters of
        batches, indices, masks, tables."""
        found = {}
        parts = (part for tensor in self.module.buffers() for part in _dense(tensor))
        for tensor in parts:
            storage = tensor.untyped_storage()
            fractions = storage.nbytes() // tensor.element_size() if tensor.is_floating_point() else 0
            found[storage._cdata] = Buffer(storage.nbytes(), fractions)
        return tuple(found.values())

    @property
    def stored(self) -> str:
        """A sentence on weights that buffers hold as whole numbers or fractions of 8 bits, perhaps several in one (of 4
        bits); empty where there are none. Flags and positions (64 bits) are no weights."""
        tables = [t for t in self.module.buffers() if t.dim() > 1 and t.layout == torch.strided]
        found = [t for t in tables if t.dtype in _WHOLE or (t.is_floating_point() and t.element_size() == 1)]
        if not found:
            return ""
        held = sum(t.numel() * t.element_size() for t in found)
        return (
            f"{held:,} bytes of whole or 8-bit numbers stand in buffers (weights that are kept so, or packed): they "
            "are no parameters and no running statistics here; `rfcalc memory` counts all buffers, "
            f"{sum(b.bytes for b in self.buffers):,} bytes"
        )

    @property
    def reparametrized(self) -> tuple[str, ...]:
        """The modules whose weights are computed from other parameters in every run (weight or spectral norm), by a
        parametrization or, as it was done before, by a hook."""
        from torch.nn.utils.parametrize import is_parametrized

        older = ("torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm")
        return tuple(
            name
            for name, m in self.module.named_modules()
            if is_parametrized(m) or any(type(hook).__module__ in older for hook in m._forward_pre_hooks.values())
        )

    @property
    def whole(self) -> dict[str, int]:
        """Bytes of a value of the inputs that are whole numbers or truths, by name."""
        plain = [leaf for leaf in self.call.leaves if not (leaf.dtype.is_floating_point or leaf.dtype.is_complex)]
        return {leaf.name: leaf.dtype.itemsize for leaf in plain}

    def lived(self, batch: int, amp: str | None) -> Lived:
        """What PyTorch itself takes in a step of training, run on tensors without data."""
        from rfcalc.readers.torch.lived import lived

        return lived(self.module, self.call.of_batch(batch), self.training, amp)

    def by_itself(self, base: Sequence[Shape], inputs: Sequence[Shape]) -> Ran | RfcalcError | None:
        """What the module does with plain numbers for lengths, at sizes as it is called (`base`: those that it was read
        at); the error where it is refused; None where that hangs on values."""
        from rfcalc.readers.torch.by_itself import by_itself

        return by_itself(self, base, inputs)

    def at_first(self) -> tuple[Ran | RfcalcError | None, list[str]]:
        """The same at the sizes that it was read at, and where its code looks at what a length is."""
        from rfcalc.readers.torch.by_itself import at_first

        return at_first(self)

    def scales(self, batch: Any) -> Mapping[str, Any]:
        """The nodes whose figures for a batch are not those of one item times the batch: `batching.Scale` by name."""
        from rfcalc.readers.torch.batching import scales

        return scales(self.module, self.call, self.training, self.sizes, self.steps, batch)


def _dense(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors in which a sparse one keeps its positions and values; another itself."""
    if tensor.layout == torch.strided:
        return (tensor,)
    if tensor.layout == torch.sparse_coo:
        return tensor._indices(), tensor._values()
    rows = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
    places = (tensor.crow_indices(), tensor.col_indices()) if rows else (tensor.ccol_indices(), tensor.row_indices())
    return *places, tensor.values()
