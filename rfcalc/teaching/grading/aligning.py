"""Which row of a student's table is about which node of the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, UnknownName, plural
from rfcalc.report import Report
from rfcalc.teaching.grading.reading import TableRow

TOTAL = -1
_TOTALS = frozenset({"total", "totals", "sum", "all", "network", "overall"})
_INPUTS = frozenset({"input", "image", "inputimage", "inputlayer", "data", "img"})


_NUMBERED = re.compile(r"\s*#?\d{1,4}\s*[.):]\s*(?=\D)")  # before a row's name


class RowPlace(NamedTuple):
    """A row of the table: where its map stands (`TOTAL` for the totals), and the positions that it sums up.

    `folded` are activations and normalisation that belong to the row's layer, unless they have rows of their own.
    """

    name: str
    position: int
    inside: tuple[int, ...] = ()
    folded: tuple[int, ...] = ()


def usual(report: Report) -> list[RowPlace]:
    """The rows that a table has when activations, normalisation and dropout are part of the layer before them."""
    found: list[list[int]] = []
    rows = list(report)
    for row in rows:
        before = found[-1] if found else None
        last = None if before is None else rows[before[-1] - report.network.arity]
        follows = last is not None and row.inputs == (last.name,) and row.stage == last.stage
        if before is not None and last is not None and follows and row.node.layer.folds and row.shape == last.shape:
            before.append(row.position)
        else:
            found.append([row.position])
    arity = report.network.arity
    return [RowPlace(rows[g[0] - arity].name, g[0], (g[0],), tuple(g[1:])) for g in found]


class WrittenNames:
    """The places of a network by the names that people write."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.usual = usual(report)
        network = report.network
        self.known: dict[str, RowPlace] = {}
        inner: dict[str, list[int]] = {}
        for position, node in enumerate(network.nodes, network.arity):
            parts = node.name.split(".")
            owners = {".".join(parts[:i]) for i in range(1, len(parts))} | ({node.stage} if node.stage else set())
            for owner in owners:
                inner.setdefault(owner, []).append(position)
        for name, positions in inner.items():
            self.known[_fold(name)] = RowPlace(name, positions[-1], tuple(positions))
        for position, node in enumerate(network.nodes, network.arity):
            self.known[_fold(node.name)] = RowPlace(node.name, position, (position,))
        for place in self.usual:
            self.known[_fold(place.name)] = place
        for position, name in enumerate(network.inputs):
            self.known[_fold(name)] = RowPlace(name, position)

    def find(self, text: str) -> RowPlace | None:
        """The place that a cell names: as rfcalc names it, however it is spaced and capitalised."""
        name = _fold(text)
        found = self.known.get(name) or self.known.get(re.sub("^(inception|module|block|stage)", "", name))
        if found is None and (numbered := _NUMBERED.match(text)):
            return self.find(text[numbered.end() :])
        if found is None and name in _TOTALS:
            return RowPlace("total", TOTAL)
        if found is None and name in _INPUTS and self.report.network.arity == 1:
            return RowPlace(next(iter(self.report.network.inputs)), 0)
        return found

    def chosen(self, text: str) -> list[RowPlace]:
        """Places by name, separated by commas.

        Raises:
            UnknownName: one that the network does not have.
        """
        found = []
        for word in filter(None, (w.strip() for w in text.split(","))):
            place = self.find(word)
            if place is None:
                raise UnknownName("row", word, [p.name for p in self.usual])
            found.append(place)
        return found

    def align(self, lines: Sequence[TableRow], index: int | None, where: str) -> tuple[list[RowPlace | None], bool]:
        """The place of every row, by its name; in order, where names say nothing. Whether it was the order.

        Raises:
            RfcalcError: neither names nor order say which row is which.
        """
        texts = [line.cells[index] if index is not None and index < len(line.cells) else "" for line in lines]
        found = [self.find(text) for text in texts]
        nodes = [p for p in found if p is not None and p.position >= self.report.network.arity]
        if nodes and 2 * len([p for p in found if p]) >= len(found):
            return _separate(found), False
        free = [i for i, p in enumerate(found) if p is None or p.position >= self.report.network.arity]
        every = [RowPlace(r.name, r.position, (r.position,)) for r in self.report]
        for places in (self.usual, every):
            if len(places) == len(free):
                for i, place in zip(free, places, strict=True):
                    found[i] = place
                return _separate(found), True
        raise RfcalcError(
            "the rows do not say which layers they are about",
            where=where,
            why=f"no names that {self.report.target} has, and {plural(len(free), 'row')}"
            f" for {plural(len(self.usual), 'layer')}",
            fix="name the rows " + ", ".join(p.name for p in self.usual[:6]) + (" …" if len(self.usual) > 6 else ""),
        )


def _separate(found: list[RowPlace | None]) -> list[RowPlace | None]:
    """What has a row of its own is no part of another row's layer."""
    own = {p.position for p in found if p is not None}
    return [p and p._replace(folded=tuple(q for q in p.folded if q not in own)) for p in found]


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
