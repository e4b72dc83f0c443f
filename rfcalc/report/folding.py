"""Rows shown as one: a weight layer with what follows it, and equal copies of a repetition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rfcalc.report.report import Row


class Shown(NamedTuple):
    """Rows shown as one: the weight layer with what follows it, or copies of a repetition."""

    rows: tuple[Row, ...]
    times: int = 1
    last: Row | None = None

    @property
    def head(self) -> Row:
        return self.rows[0]

    @property
    def name(self) -> str:
        if self.last is None or self.times == 1:
            return self.head.name
        return span(self.head.name, self.last.name)

    @property
    def stage(self) -> str:
        """The stage, or those of all copies."""
        return span(self.head.stage, self.end.stage)

    @property
    def end(self) -> Row:
        """The row that the shown output belongs to."""
        return (self.last or self.head) if self.times > 1 else self.head


def span(first: str, last: str) -> str:
    """The names of the first and the last copy as one; what differs is one number where it can be.

    >>> span("conv3_2", "conv3_3"), span("relu9", "relu12"), span("layer3.1.conv1", "layer3.35.conv1")
    ('conv3_2–3', 'relu9–12', 'layer3.{1–35}.conv1')
    """
    if first == last:
        return first
    stem = len(first.rstrip("0123456789"))
    if first[:stem] == last[:stem] and last[stem:].isdigit() and stem < len(first):
        return f"{first}–{last[stem:]}"
    one, other = first.split("."), last.split(".")
    apart = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) == len(other) and len(apart) == 1 and one[apart[0]].isdigit() and other[apart[0]].isdigit():
        i = apart[0]
        return ".".join([*one[:i], f"{{{one[i]}–{other[i]}}}", *one[i + 1 :]])
    return f"{first} … {last}"


def shown_rows(rows: Sequence[Row], every: bool) -> list[Shown]:
    """Rows with the activations, normalisation, dropout after a weight layer folded into it, unless all are shown."""
    found: list[list[Row]] = []
    for row in rows:
        layer = row.node.layer
        follows = bool(found) and row.inputs == (found[-1][-1].name,) and row.stage == found[-1][0].stage
        if layer.folds and follows and not every and row.shape == found[-1][0].shape:
            found[-1].append(row)
        else:
            found.append([row])
    return [Shown(tuple(group)) for group in found]


def folded(shown: list[Shown]) -> list[Shown]:
    """Equal neighbours as one line, and equal copies of a repetition as the first one's lines with their count."""
    found: list[Shown] = []
    i = 0
    while i < len(shown):
        length, times = _repetition(shown, i)
        last = shown[i + length * (times - 1) : i + length * times]
        for k in range(length):
            first = shown[i + k]
            found.append(Shown(first.rows, times, last[k].head) if times > 1 else first)
        i += length * times
    return found


def _repetition(shown: list[Shown], i: int) -> tuple[int, int]:
    """How many lines from i repeat, and how often: one line, or the lines of one copy."""
    first = shown[i]
    times = 1
    while i + times < len(shown) and _alike(first, shown[i + times]) and _follows(shown, i + times):
        times += 1
    if times > 1:
        return 1, times
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
    return (length, times) if times > 1 else (1, 1)


def _numbered(shown: list[Shown], i: int) -> tuple[int, int]:
    """The same, told by names with a number: the lines of layer3.1, layer3.2, … are copies if they are alike."""
    name = shown[i].head.name
    parts = name.split(".")
    for depth, part in enumerate(parts[:-1]):
        if not part.isdigit():
            continue
        before = ".".join(parts[:depth]) + "." if depth else ""

        def run(number: int, start: int, before: str = before) -> list[str]:
            """The names of the lines of one copy, from `start` on, without their beginning."""
            scope, found = f"{before}{number}.", []
            while start < len(shown) and shown[start].head.name.startswith(scope):
                found.append(shown[start].head.name[len(scope) :])
                start += 1
            return found

        first, own = int(part), f"{before}{part}."
        if i and shown[i - 1].head.name.startswith(own):
            continue
        names = run(first, i)
        times = 1
        while run(first + times, i + len(names) * times) == names and all(
            _alike(shown[i + k], shown[i + len(names) * times + k], own[:-1], f"{before}{first + times}")
            for k in range(len(names))
        ):
            times += 1
        if times > 1:
            return len(names), times
    return 1, 1


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
