"""Copies in a table: equal neighbours, and equal copies of a repetition, as one line with its count."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from rfcalc.report.table import Shown

DIGITS = "0123456789"
BETWEEN = 3  # so many lines between two blocks may belong to the first
TURNS = 4  # blocks of so many kinds may take turns
LONG = 40  # letters of notations beyond which a run of moves is told by its kinds


def folded(shown: list[Shown]) -> list[Shown]:
    """Equal neighbours as one line, and equal copies of a repetition as the first one's lines with their count."""
    found: list[Shown] = []
    i = 0
    while i < len(shown):
        length, times, period = _repetition(shown, i)
        last = shown[i + length * (times - 1) : i + length * times]
        for k in range(length):
            first = shown[i + k]
            found.append(first._replace(times=times, last=last[k], period=period) if times > 1 else first)
        i += length * times
    return found


def moves_in_one(shown: list[Shown]) -> list[Shown]:
    """Views and rolls that read one another alone as one line, with the output of the last."""
    readers = Counter(name for one in shown for row in one.rows for name in set(row.inputs))
    found: list[Shown] = []
    run: list[Shown] = []
    for one in shown:
        row = one.head
        last = run[-1].head if run else row
        moves = len(one.rows) == len(row.inputs) == 1 and (row.view or row.node.layer.rearranges)
        if not (moves and row.inputs == (last.name,) and readers[last.name] == 1 and row.stage == last.stage):
            found += _run(run)
            run = []
        (run if moves else found).append(one)
    return found + _run(run)


def _run(run: list[Shown]) -> list[Shown]:
    if len(run) < 2:
        return run
    rows = tuple(one.head for one in run)
    words = " ".join(row.notation for row in rows)
    if len(words) > LONG:
        kinds = [(kind, len([*same])) for kind, same in groupby(row.kind for row in rows)]
        words = " ".join(kind if n == 1 else f"{kind} ×{n}" for kind, n in kinds)
    return [Shown(rows, title=f"{rows[0].name} … {rows[-1].name.rpartition('.')[2]}", words=words)]


def _repetition(shown: list[Shown], i: int) -> tuple[int, int, int]:
    """How many lines from i repeat, how often, and how many numbers they stand for: one line, or one copy's."""
    first = shown[i]
    times = 1
    while i + times < len(shown) and _alike(first, shown[i + times]) and _follows(shown, i + times):
        times += 1
    if times > 1:
        return 1, times, 1
    here = first.head.node.repeat
    if here is None:
        return _numbered(shown, i)
    length = _copy_length(shown, i)
    times = 1
    while True:
        start = i + length * times
        if start + length > len(shown) or shown[start].head.node.repeat != (here[0], here[1] + times):
            break
        if not all(_alike(shown[i + k], shown[start + k]) for k in range(length)):
            break
        if _copy_length(shown, start) != length:
            break
        times += 1
    return (length, times, 1) if times > 1 else (1, 1, 1)


def _numbered(shown: list[Shown], i: int) -> tuple[int, int, int]:
    """The same, told by names with a number: the lines of layer3.1, layer3.2, … are copies if they are alike. Blocks of
    several kinds that take turns are copies together: how many of them is the last that is told."""
    name = shown[i].head.name
    parts = name.split(".")
    for depth, part in enumerate(parts[:-1]):
        if not part.isdecimal() or not part.isascii():
            continue
        before = ".".join(parts[:depth]) + "." if depth else ""
        if i and shown[i - 1].head.name.startswith(f"{before}{part}."):
            continue
        for period in range(1, TURNS + 1):
            length, times = _copies(shown, i, before, int(part), period)
            if times > 1:
                return length, times, period
    return 1, 1, 1


def _copies(shown: list[Shown], i: int, before: str, first: int, period: int) -> tuple[int, int]:
    """How many lines the `period` blocks from number `first` on have, and how often such blocks stand there.

    What stands between two blocks goes with the one before it: a sum that the code around them makes.
    """

    def blocks(start: int) -> list[tuple[int, int]]:
        """The lines of one copy from there on, each with its block; none if a block is missing."""
        found: list[tuple[int, int]] = []
        end = start
        for k in range(period):
            scope, after = f"{before}{first + k}.", f"{before}{first + k + 1}."
            while end < len(shown) and shown[end].head.name.startswith(scope):
                found.append((end, k))
                end += 1
            if not found or found[-1][1] != k:
                return []
            beside = next((n for n in range(BETWEEN + 1) if _named(shown, end + n, after)), 0)
            found += [(end + n, k) for n in range(beside)]
            end += beside
        return found

    def copy(one: int, other: int, k: int, number: int) -> bool:
        """Whether the line `other` is to the block `number` what `one` is to the block k."""
        scope, there = f"{before}{first + k}", f"{before}{number}"
        a, b = shown[one].head.name, shown[other].head.name
        inside = a.startswith(f"{scope}.")
        same = (
            b == there + a[len(scope) :]
            if inside
            else b.rstrip(DIGITS) == a.rstrip(DIGITS) or f"{a}_" == b.rstrip(DIGITS)
        )
        return same and _alike(shown[one], shown[other], scope, there)

    own = blocks(i)
    times = 1
    while (
        own
        and i + len(own) * (times + 1) <= len(shown)
        and all(copy(one, one + len(own) * times, k, first + period * times + k) for one, k in own)
    ):
        times += 1
    return len(own), times


def _named(shown: list[Shown], i: int, scope: str) -> bool:
    return i < len(shown) and shown[i].head.name.startswith(scope)


def _follows(shown: list[Shown], i: int) -> bool:
    """Whether a line reads what the line before it gives, and nothing else."""
    return shown[i].head.inputs == (shown[i - 1].rows[-1].name,)


def _copy_length(shown: list[Shown], i: int) -> int:
    here = shown[i].head.node.repeat
    end = i
    while end < len(shown) and shown[end].head.node.repeat == here:
        end += 1
    return end - i


def _alike(a: Shown, b: Shown, scope: str = "", other: str = "") -> bool:
    """Whether two lines are copies; `scope` and `other`: the names of the copies, which their stages may have."""
    return (
        len(a.rows) == len(b.rows)
        and (a.head.stage == b.head.stage or (a.head.stage == scope and b.head.stage == other))
        and all(
            p.notation == q.notation
            and p.shape == q.shape
            and p.cost == q.cost
            and p.node.layer == q.node.layer
            and len(p.inputs) == len(q.inputs)
            for p, q in zip(a.rows, b.rows, strict=True)
        )
    )
