"""Which layers of two networks correspond: by name and notation first, then by what is weaker, in order.

Patience matching: keys that occur once in both stretches are matched along their longest common order, the gaps are
matched again, then by the next weaker key. Each level costs n log n, and nothing is recursive, so that networks of
100,000 layers are no trouble.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise

Keys = tuple[Hashable, ...]  # of one layer, the most telling first
Pair = tuple[int | None, int | None]
DEEPEST = 24  # how often one level is tried again in its own gaps


def align(a: Sequence[Keys], b: Sequence[Keys]) -> list[Pair]:
    """Pairs of positions in both orders; None where a layer has no counterpart.

    Args:
        a, b: for each layer its keys, as many for all; layers match by the first key, what is left by the second, …

    >>> align([("x",), ("y",), ("z",)], [("x",), ("z",), ("q",)])
    [(0, 0), (1, None), (2, 1), (None, 2)]
    """
    levels = len(a[0]) if a else len(b[0]) if b else 0
    matched: dict[int, int] = {}
    waiting = [(0, len(a), 0, len(b), 0, 0)]
    while waiting:
        a0, a1, b0, b1, level, tries = waiting.pop()
        while a0 < a1 and b0 < b1 and a[a0][level] == b[b0][level]:
            matched[a0] = b0
            a0, b0 = a0 + 1, b0 + 1
        ends = 0
        while a0 < a1 - ends and b0 < b1 - ends and a[a1 - ends - 1][level] == b[b1 - ends - 1][level]:
            matched[a1 - ends - 1] = b1 - ends - 1
            ends += 1
        a1, b1 = a1 - ends, b1 - ends
        if a0 == a1 or b0 == b1:
            continue
        anchors = _anchors(a, b, a0, a1, b0, b1, level) if tries < DEEPEST else []
        matched.update(anchors)
        if not anchors:
            if level + 1 < levels:
                waiting.append((a0, a1, b0, b1, level + 1, 0))
            continue
        stops = [(a0 - 1, b0 - 1), *anchors, (a1, b1)]
        for (p, q), (r, s) in pairwise(stops):
            if p + 1 < r and q + 1 < s:
                waiting.append((p + 1, r, q + 1, s, level, tries + 1))
    return _merged(matched, len(a), len(b))


def _anchors(
    a: Sequence[Keys], b: Sequence[Keys], a0: int, a1: int, b0: int, b1: int, level: int
) -> list[tuple[int, int]]:
    """Matches inside a stretch: keys that stand once in both; without any, the n-th of a key with the n-th."""
    counts = Counter(a[i][level] for i in range(a0, a1)), Counter(b[j][level] for j in range(b0, b1))
    places = {b[j][level]: j for j in range(b0, b1) if counts[1][b[j][level]] == 1}
    pairs = [(i, places[a[i][level]]) for i in range(a0, a1) if counts[0][a[i][level]] == 1 and a[i][level] in places]
    if not pairs:
        seen: dict[Hashable, list[int]] = {}
        for j in range(b1 - 1, b0 - 1, -1):
            seen.setdefault(b[j][level], []).append(j)
        pairs = [(i, where.pop()) for i in range(a0, a1) if (where := seen.get(a[i][level]))]
    return _longest(pairs)


def _longest(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs that rises in both."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        before.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(j)
            ends.append(index)
        else:
            tails[at], ends[at] = j, index
    found = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]


def _merged(matched: dict[int, int], m: int, n: int) -> list[Pair]:
    found: list[Pair] = []
    j = 0
    for i in range(m):
        partner = matched.get(i)
        if partner is None:
            found.append((i, None))
            continue
        found += [(None, k) for k in range(j, partner)]
        found.append((i, partner))
        j = partner + 1
    return [*found, *((None, k) for k in range(j, n))]
