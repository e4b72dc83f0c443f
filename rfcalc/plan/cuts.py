"""Where a network can be cut: the positions whose map is all that is read of what is before them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.graph.forward import Shaped
from rfcalc.plan.arena import given


def cuts(walked: Shaped, own: Sequence[int]) -> list[int]:
    """Positions whose map is all that later positions read of what is before them: there a network can be cut.

    Args:
        own: for each position the position whose memory it lives in.
    """
    network, arity, count = walked.network, walked.network.arity, len(walked.shapes)
    last = list(range(count))  # the last position that reads each memory
    for p, sources in enumerate(network.sources, arity):
        for s in (p, *sources):
            last[own[s]] = max(last[own[s]], p)
    for name in network.outputs:
        last[own[network.position(name)]] = count
    found = []
    longest = other = (-1, -1)  # the two memories that are read the longest: (until when, which)
    for p in range(count - 1):
        if not given(walked, own[p]):
            pair = (last[own[p]], own[p])
            if pair[1] == longest[1]:
                longest = max(longest, pair)
            elif pair > longest:
                longest, other = pair, longest
            else:
                other = max(other, pair)
        until = (other if longest[1] == own[p] else longest)[0]
        if p >= arity and until <= p and not given(walked, p):
            found.append(p)
    return found
