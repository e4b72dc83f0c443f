"""A comparison: two or more networks, their figures against the first one's, and what differs layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from rfcalc.comparison.figures import ComparedFigure, figures, place, usual
from rfcalc.comparison.layers import Change, LayerMatch, changes, joined_alike, matches
from rfcalc.comparison.ratio import more
from rfcalc.comparison.subject import ComparedNetwork, at_least_two, letters, read
from rfcalc.core.displayed import displayed
from rfcalc.core.size import Size, same
from rfcalc.receptive.receptive_field import plain

if TYPE_CHECKING:
    from rfcalc.report.document import Document
    from rfcalc.report.schemas.compare import (
        CompareChangeJson,
        CompareFigureJson,
        CompareFiguresJson,
        CompareLayerJson,
        CompareNetworkJson,
        CompareNetworksJson,
    )

SCHEMA: Final = "rfcalc/compare/1"


class Comparison:
    """Networks side by side. The first one is what the others are measured against.

    Args:
        subjects: what is compared.
        names: figures by name, in order; the usual ones if left out.
        at: the node whose receptive field is compared; the last with a place in the image if left out.
        biases: biases and parameters too, where only weights are usual.
    """

    def __init__(
        self,
        subjects: Sequence[ComparedNetwork],
        names: Sequence[str] | None = None,
        at: str | None = None,
        biases: bool = False,
    ) -> None:
        at_least_two([s.name for s in subjects])
        self.subjects = tuple(subjects)
        self.at = at
        self.figures: tuple[ComparedFigure, ...] = figures(self.subjects, names or usual(self.subjects, biases), at)

    def lettered(self) -> Comparison:
        """The same, the networks called A, B, …"""
        found = copy(self)
        found.subjects = tuple(
            s._replace(label=label)
            for s, label in zip(self.subjects, letters(len(self.subjects), self.subjects[0].symbols), strict=True)
        )
        return found

    def __getitem__(self, name: str) -> ComparedFigure:
        """The figure of this name (one of those that are compared)."""
        return next(f for f in self.figures if f.name == name)

    @cached_property
    def matched(self) -> tuple[tuple[LayerMatch, ...], ...]:
        """For each network but the first: its layers and the first one's, matched."""
        first, *others = self.subjects
        return tuple(tuple(matches(first.report, s.report)) for s in others)

    @cached_property
    def changes(self) -> tuple[tuple[Change, ...], ...]:
        """For each network but the first: what differs."""
        return tuple(tuple(changes(list(m))) for m in self.matched)

    @property
    def counted(self) -> str:
        """What a layer's size is told in: parameters where they are compared, else weights."""
        return "params" if any(f.name == "params" for f in self.figures) else "weights"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is worth saying, a sentence each."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        first, *others = self.subjects
        for figure in self.figures:
            if figure.name == "receptive_field":
                yield from self._seen(figure)
        for number, other in enumerate(others):
            for name, noun in ((self.counted, self.counted.replace("params", "parameters")), ("macs", "multiply-adds")):
                against = next((f.against[number] for f in self.figures if f.name == name), None)
                if against is not None and isinstance(against.change, Fraction):
                    yield f"{other.label} has {more(against.change, noun, first.label)}"
        yield from self._depth()
        for other, found in zip(others, self.changes, strict=True):
            if not found:
                how = "" if joined_alike(first.report, other.report) else ", joined differently"
                yield f"{first.label} and {other.label} have the same layers{how}"

    def _seen(self, figure: ComparedFigure) -> Iterator[str]:
        """What units see, where it is one number for each."""
        if not all(text.isdecimal() for text in figure.texts):
            return
        told = ["×".join([text] * self._rank) for text in figure.texts]
        others = self.subjects[1:]
        if len(set(told)) == 1:
            yield f"{'both' if len(told) == 2 else f'all {len(told)}'} see {told[0]}"
        else:
            yield from (f"{o.label} sees {t} against {told[0]}" for o, t in zip(others, told[1:], strict=True))

    @property
    def _rank(self) -> int:
        return next(iter(self.subjects[0].report.inputs.values())).rank

    def _depth(self) -> Iterator[str]:
        """How many weight layers, and the non-linearities that could follow them where none is written."""
        found = {f.name: f for f in self.figures}
        if not {"weight_layers", "non_linearities"} <= found.keys():
            return
        layers, others = found["weight_layers"], found["non_linearities"]
        if layers.equal or any(v != 0 for v in others.values):
            return
        one, *more_ = layers.texts
        rest = f" against {', '.join(more_)}"
        noun, what = ("layer", "non-linearity") if one == "1" else ("layers", "non-linearities")
        yield f"{one} weight {noun}{rest}: {one} {what}{rest}, when each is followed by one"

    @property
    def notes(self) -> tuple[str, ...]:
        """Conventions and assumptions, in sentences."""
        first = self.subjects[0]
        found = [f"ratio: {first.label} divided by the other; change: in % of {first.label}"]
        if len({s.input for s in self.subjects}) == 1:
            found.append(f"input {first.input}" + (f", batch of {first.report.batch}" if self._batched else ""))
        else:
            found.append("inputs: " + ", ".join(f"{s.label} {s.input}" for s in self.subjects))
        names = {f.name for f in self.figures}
        rows = [place(s, self.at) for s in self.subjects]
        if names & {"receptive_field", "stride"} and any(rows):
            where = dict.fromkeys("no node" if row is None else row.name for row in rows)
            ends = all(row is not None and row.name in row.report.network.outputs for row in rows)
            if not ends:
                every = (
                    next(iter(where))
                    if len(where) == 1
                    else ", ".join(
                        f"{s.label} {'no node' if r is None else r.name}"
                        for s, r in zip(self.subjects, rows, strict=True)
                    )
                )
                last = "" if self.at else "the last with a place in the image: "
                found.append(f"receptive field and stride at {last}{every}; padding counted")
            else:
                found.append("receptive field: side of the input region that an output depends on, padding counted")
        if "weights" in names and "biases" not in names:
            found.append("weights: without biases; --biases adds them")
        if "macs" in names:
            found.append("macs: multiply-adds of convolutions, linear and attention layers (FLOPs = 2 × macs)")
        if "bytes" in names:
            found.append(
                f"memory: forward, {first.report.dtype}; views and in-place activations add nothing; MB = 10^6 bytes"
            )
        for s in self.subjects:
            if not s.report.complete:
                found.append(f"{s.label}: an operator was not understood, its figures are lower bounds")
        if any(a.change is None and a.ratio is not None for f in self.figures for a in f.against):
            found.append(
                "depends: on the symbols; rfcalc symbolic A --cheaper-than B says for which values A costs less"
            )
        assumed = dict.fromkeys(a for s in self.subjects for a in s.assumptions)
        return (*found, *(f"assumed: {a}" for a in assumed))

    @property
    def _batched(self) -> bool:
        return not same(self.subjects[0].report.batch, 1)

    def to_dict(self) -> CompareNetworksJson:
        """The comparison as JSON has it (schema rfcalc/compare/1)."""
        return {"schema": SCHEMA, **self.body()}

    def body(self) -> CompareFiguresJson:
        """What JSON has, without the schema's name."""
        first = self.subjects[0].report
        return {
            "networks": [_network(s) for s in self.subjects],
            "conventions": {**first.conventions, "ratio": "first / other", "percent": "(other − first) in % of first"},
            "figures": [_figure(f) for f in self.figures],
            "comparisons": [
                {
                    "network": i,
                    "changes": [_change(c) for c in found],
                    "layers": [_layer(m) for m in matched],
                }
                for i, (found, matched) in enumerate(zip(self.changes, self.matched, strict=True), 1)
            ],
            "sentences": list(self.sentences),
        }

    _repr_html_ = displayed

    def document(self) -> Document:
        """The comparison as a document that every format renders."""
        made: Document = import_module("rfcalc.comparison.tables").document(self)
        return made

    def __repr__(self) -> str:
        return f"<comparison of {', '.join(s.name for s in self.subjects)}>"


def compare(
    *targets: Any,
    input: Any = None,  # noqa: A002
    numbers: Mapping[str, int] | None = None,
    own_inputs: bool = False,
    figures: Sequence[str] | None = None,
    at: str | None = None,
    biases: bool = False,
    batch: Size = 1,
    dtype: str | None = None,
) -> Comparison:
    """Compare two networks or more: their figures with exact ratios, and what differs layer by layer.

    Args:
        targets: names, notation (with names for sizes too: ``conv3-C x3``), `Network` values, files.
        input: one for all: ``"3x224x224"``, ``"CxHxW"``; else the one that the networks bring, which must be equal.
        numbers: numbers for symbols: ``{"C": 64}``.
        own_inputs: each at its own default input.
        figures: which figures, by name.
        at: the node whose receptive field is compared.
        biases: biases and parameters too.
        batch, dtype: as for `rfcalc.analyze`.

    Raises:
        RfcalcError: fewer than two networks, inputs that clash, an unknown figure, node or symbol.

    >>> found = compare("conv3-64 x3", "conv7-64", input="64x32x32")
    >>> found["weights"].values, found["weights"].against[0].ratio
    ((110592, 200704), Fraction(27, 49))
    >>> found.sentences[1]
    'conv7-64 has 81 % more weights than conv3-64 x3'
    """
    at_least_two(targets)
    subjects = read(targets, input, numbers=numbers, own_inputs=own_inputs, batch=batch, dtype=dtype)
    return Comparison(subjects, figures, at, biases)


def number(value: Any) -> Any:
    """A value as JSON has it: fractions and formulas as text."""
    return plain(value)


def _network(subject: ComparedNetwork) -> CompareNetworkJson:
    report = subject.report
    return {
        "label": subject.label,
        "name": report.network.name,
        "target": subject.name,
        "title": report.network.title,
        "citation": report.network.citation,
        "inputs": {name: number(shape.dims) for name, shape in report.inputs.items()},
        "complete": report.complete,
        "assumptions": list(subject.assumptions),
    }


def _figure(figure: ComparedFigure) -> CompareFigureJson:
    found: CompareFigureJson = {
        "name": figure.name,
        "title": figure.title,
        "meaning": figure.meaning,
        "values": [number(v) for v in figure.values],
        "against": [],
    }
    if figure.counts:
        found["against"] = [
            {
                "network": i,
                "difference": number(a.difference),
                "ratio": None if a.ratio is None else str(a.ratio),
                "decimal": float(a.ratio) if isinstance(a.ratio, Fraction) else None,
                "percent": float(a.change) if isinstance(a.change, Fraction) else None,
            }
            for i, a in enumerate(figure.against, 1)
        ]
    return found


def _change(change: Change) -> CompareChangeJson:
    return {
        "difference": change.told,
        "status": change.status,
        "layers": list(change.where),
        "weights": number(change.added("weights")),
        "params": number(change.added("params")),
        "macs": number(change.added("macs")),
    }


def _layer(match: LayerMatch) -> CompareLayerJson:
    pair = (match.first, match.other)
    return {
        "status": match.status,
        "names": [None if s is None else s.name for s in pair],
        "notations": [None if s is None else s.words for s in pair],
        "differences": [{"what": d.what, "first": d.first, "other": d.other} for d in match.differences],
        "output_shapes": [None if s is None else number(s.rows[-1].output_shape) for s in pair],
        "weights": [number(v) for v in match.figures("weights")],
        "params": [number(v) for v in match.figures("params")],
        "macs": [number(v) for v in match.figures("macs")],
    }
