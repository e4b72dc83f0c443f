"""Mixed precision as PyTorch's autocast does it: which maps are of two bytes, which of four, and what is cast.

1. Layers that multiply (convolutions, linear layers, products of matrices, attention) cast what they read, and their
   weights, to two bytes, and give two bytes.
2. Layers that stay precise (on a GPU normalisation over channels, softmax and others; on a CPU few) cast what they read
   to four bytes, and give four, or what they read (root-mean-square normalisation).
3. All others give the widest of what they read; learned values, and the network's inputs, are of four bytes.

A cast is a copy. Copies of weights and biases are made once, and live until forward has run; those of weights that
backward reads live until then.
"""

from __future__ import annotations

from typing import NamedTuple

from rfcalc.graph import uncollected
from rfcalc.graph.forward import Shaped

LOW, FULL = 2, 4  # bytes of a value


class Mixed(NamedTuple):
    """Bytes of a value of each map; the bytes to which a position casts an input (by position and its number)."""

    widths: tuple[int, ...]
    casts: dict[tuple[int, int], int]


@uncollected
def mixed(walked: Shaped, device: str) -> Mixed:
    """What autocast casts on a device (``cpu``, ``cuda``)."""
    network, arity = walked.network, walked.network.arity
    widths, casts = [FULL] * arity, dict[tuple[int, int], int]()
    drawn: set[int] = set()
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        layer = node.layer
        read = [widths[s] for s in (sources[:1] if layer.repeats else sources)]  # further ones only say how far
        precise = layer.stays_precise_on(device, walked.input_shapes(position))
        wanted = LOW if walked.costs[position].macs else FULL if precise else 0
        if wanted:
            casts.update({(position, i): wanted for i, width in enumerate(read) if width != wanted})
            width = read[0] if layer.lowers_again else wanted
        else:
            if not read and walked.shapes[position].values == 1 and not walked.costs[position].params:
                drawn.add(position)
            width = LOW if position in drawn else FULL if layer.widens or not read else max(read)
            if layer.joins_copies:
                casts.update({(position, i): width for i, one in enumerate(read) if one != width})
        widths.append(width)
    for sources in network.sources:  # drawn numbers are of the type of what they are combined with
        for s in sources:
            if s in drawn and len(sources) > 1:
                widths[s] = max([widths[o] for o in sources if o not in drawn], default=FULL)
    return Mixed(tuple(widths), casts)
