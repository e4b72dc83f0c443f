"""Rows that are shown as one: a weight layer with what follows it, copies of a repetition, what is gathered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from rfcalc.report.report import Row

NUMBERED = re.compile(r"(?<![^.])[0-9]+\.")  # a number that is a part of a name with dots, not its last


class Shown(NamedTuple):
    """Rows shown as one: the weight layer with what follows it, copies of a repetition, or what is gathered.

    `times`, `last`: how many copies, and the last of them. `title`, `words`: the name and the notation of gathered
    rows, whose output is the last's. `together`: their memory is that of all of them.
    """

    rows: tuple[Row, ...]
    times: int = 1
    last: Shown | None = None
    title: str = ""
    words: str = ""
    together: bool = False
    period: int = 1  # copies stand so many numbers apart

    @property
    def head(self) -> Row:
        return self.rows[0]

    @property
    def own_name(self) -> str:
        return self.title or self.head.name

    @property
    def name(self) -> str:
        return self.own_name if self.last is None else span(self.own_name, self.last.own_name, self.period)

    @property
    def stage(self) -> str:
        """The stage, or those of all copies."""
        return span(self.head.stage, self.end.stage)

    @property
    def end(self) -> Row:
        """The row that the shown output belongs to."""
        rows = (self.last or self).rows
        return rows[-1] if self.words else rows[0]


def span(first: str, last: str, step: int = 1) -> str:
    """The names of the first and the last copy as one; what differs is one number where it can be.

    >>> span("conv3_2", "conv3_3"), span("relu9", "relu12"), span("layer3.1.conv1", "layer3.35.conv1")
    ('conv3_2–3', 'relu9–12', 'layer3.{1–35}.conv1')
    >>> span("blocks.0.fc", "blocks.4.fc", 2), span("blocks.1.fc", "blocks.17.fc", 2)
    ('blocks.{0,2,4}.fc', 'blocks.{1,3…17}.fc')
    """
    if first == last:
        return first
    stem = len(first.rstrip("0123456789"))
    if first[:stem] == last[:stem] and last[stem:].isdecimal() and stem < len(first):
        return first[:stem] + _numbers(first[stem:], last[stem:], step)
    one, other = first.split("."), last.split(".")
    apart = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) == len(other) and len(apart) == 1 and one[apart[0]].isdecimal() and other[apart[0]].isdecimal():
        i = apart[0]
        numbers = _numbers(one[i], other[i], step)
        return ".".join([*one[:i], numbers if step > 1 else f"{{{numbers}}}", *one[i + 1 :]])
    return f"{first} … {last}"


def _numbers(first: str, last: str, step: int) -> str:
    """The numbers of copies."""
    if step == 1:
        return f"{first}–{last}"
    copies = [str(n) for n in range(int(first), int(last) + 1, step)]
    return "{" + (",".join(copies) if len(copies) <= 3 else f"{copies[0]},{copies[1]}…{copies[-1]}") + "}"


def shown_rows(rows: Sequence[Row], every: bool) -> list[Shown]:
    """Rows with the activations, normalisation, dropout after a weight layer folded into it, unless all are shown; so
    is attention written by hand, and what weights are computed from."""
    places: dict[str, Any] = {}
    if not every and len(rows) > 1 and _gathers(rows):
        places = import_module("rfcalc.report.gathering").gathered(rows)
    inside = {row.name for group in places.values() for row in group.rows}
    found: list[list[Row]] = []
    about: list[Any] = []
    busy = {block for row in rows if not row.node.layer.folds for block in _blocks(row.name)}
    for row in rows:
        group = places.get(row.name)
        if group is None and row.name in inside:
            continue
        last = found[-1][-1] if found else None
        follows = last is not None and row.inputs == (last.name,) and row.stage == last.stage
        if (
            follows
            and group is None
            and (row.node.layer.folds or _inside(row, found[-1][0]))
            and not every
            and row.shape == _shape_of(found[-1], about)
            and all(f"{found[-1][0].name}.".startswith(block) for block in _blocks(row.name) if block in busy)
        ):
            found[-1].append(row)
        else:
            found.append([*group.rows] if group is not None and group.words else [row])
            about.append(group)
    return [_one(group, told) for group, told in zip(found, about, strict=True)]


def _inside(row: Row, layer: Row) -> bool:
    """Whether a row is a part of that layer which has no figures of its own: what a computed weight fixes."""
    return row.kind == "elementwise" and row.name.rpartition(".")[0] == layer.name and not row.params and not row.macs


def _blocks(name: str) -> Iterator[str]:
    """The numbered blocks that a name stands in: ``layers.0.`` and ``layers.0.blocks.1.``."""
    for found in NUMBERED.finditer(name):
        yield name[: found.end()]


def _gathers(rows: Sequence[Row]) -> bool:
    return any(row.kind in ("parameter", "softmax", "attention_product") for row in rows)


def _shape_of(group: list[Row], about: list[Any]) -> Any:
    """The shape that the group shows."""
    told = about[-1]
    return (told.rows[-1] if told is not None and told.words else group[0]).shape


def _one(rows: list[Row], told: Any) -> Shown:
    if told is None:
        return Shown(tuple(rows))
    if told.words:
        words = " ".join([told.words, *(row.notation for row in rows[len(told.rows) :])])
        return Shown(tuple(rows), title=told.name, words=words, together=True)
    return Shown((*rows, *told.rows[1:]), together=True)
