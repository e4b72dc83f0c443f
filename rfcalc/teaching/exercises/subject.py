"""What forms ask about: a network, a place in it, a figure. Keys are computed twice, and must agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.report import Report
from rfcalc.teaching.case import cases, right
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import AnswerOption, Ask, Blank
from rfcalc.teaching.exercises.recount import KeyMismatch, Second
from rfcalc.teaching.exercises.words import SHORT, dims, number
from rfcalc.teaching.misconceptions import Misconception, Wrong, fill, touching, wrong, wrong_totals


class Unfit(Exception):
    """These numbers make no good question; others are to be drawn."""


@dataclass(frozen=True)
class Subject:
    """A figure of a place in a network.

    Attributes:
        title: of the question.
        target: a network of the zoo, or notation.
        input: its input shape.
        figure: a metric, or ``side`` for the side of a square map.
        at: the node; empty for the last node (shapes, fields) or the whole network (everything else).
        story: sentences before the question.
        listed: whether the network is shown as a table of its layers.
        vary: parameters that may be asked for or changed ("conv1.kernel"); all, if empty.
        whole: whether `at` is the whole network.
    """

    title: str
    target: str
    input: str
    figure: str
    at: str = ""
    story: str = ""
    listed: bool = True
    batch: int = 1
    dtype: str = "float32"
    vary: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    whole: bool = False
    tags: tuple[str, ...] = ()

    @cached_property
    def report(self) -> Report:
        return report_of(self.target, self.input, self.batch, self.dtype)

    @cached_property
    def position(self) -> int | None:
        """Where the place stands; None for the whole network."""
        if self.whole:
            return None
        return self.report.network.position(self.at or self.report.network.outputs[0])

    @property
    def node(self) -> str:
        """The name of the place."""
        position = self.position
        return "" if position is None else self.report.network.nodes[position - self.report.network.arity].name

    @property
    def single(self) -> bool:
        """Whether the network is one layer."""
        return len(self.report.network.nodes) == 1

    @property
    def key(self) -> Any:
        return value(self.report, self.figure, self.position)

    @property
    def ask(self) -> Ask:
        return Ask(self.figure, self.target, self.input, self.node, self.batch, self.dtype)

    def other(self, target: str) -> Subject:
        """The same question of another network."""
        return replace(self, target=target)


@lru_cache(maxsize=64)
def network_of(target: str) -> Network:
    """The network that a text names; kept, because items of one paper ask about the same ones."""
    from rfcalc.readers.target import resolve

    return resolve(target).network


@lru_cache(maxsize=64)
def report_of(target: str, shape: str, batch: int = 1, dtype: str = "float32") -> Report:
    """The report on a target."""
    return Report(network_of(target), shape, batch=batch, dtype=dtype, target=target)


@lru_cache(maxsize=64)
def second_of(target: str, shape: str) -> Second:
    """The second road through a target."""
    network = network_of(target)
    return Second(network, {name: Shape.of(shape).dims for name in network.inputs})


def _square(values: Sequence[Any]) -> Any:
    """One number where all axes agree, else all of them."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def value(report: Report, figure: str, position: int | None) -> Any:
    """A figure by the project's rules: of a node, or of the whole network.

    Raises:
        Unfit: it has no single number there.
    """
    if position is None:
        return getattr(report.totals, figure)
    shape = report.shapes[position]
    if figure in ("output_shape", "side"):
        return shape.dims if figure == "output_shape" else _side(shape.dims)
    if figure in ("receptive_field", "stride"):
        field = report.receptive_field(position)
        found = field.size if figure == "receptive_field" else field.stride
        if field.status not in ("exact", "periodic"):
            raise Unfit
        if any(f is None or Fraction(f).denominator != 1 for f in found):
            raise Unfit
        return _square(found)
    if figure in ("values", "bytes"):
        return shape.values * report.batch * (report.itemsize if figure == "bytes" else 1)
    cost = report.costs[position]
    if figure in ("macs", "flops"):
        return cost.macs * report.batch * (2 if figure == "flops" else 1)
    return getattr(cost, figure)


def _side(shape: Sequence[Any]) -> Any:
    if len(shape) < 2 or len(set(shape[1:])) != 1:
        raise Unfit
    return shape[1]


def again(subject: Subject, figure: str | None = None, node: str | None = None) -> Any:
    """The figure by the second road.

    Raises:
        KeyMismatch: it cannot be counted there.
    """
    second = second_of(subject.target, subject.input)
    asked = figure or subject.figure
    at = subject.node if node is None else node
    return recounted(second, asked, at, subject.batch, subject.report.itemsize)


def recounted(second: Second, asked: str, at: str, batch: int, size: int) -> Any:
    """The figure of a node, or of the whole network (no node), by counting.

    Raises:
        KeyMismatch: it cannot be counted there.
    """
    if not at:
        if asked in ("values", "bytes"):
            return second.values * batch * (size if asked == "bytes" else 1)
        if asked == "peak_bytes":
            return second.peak(size) * batch
        name = "macs" if asked == "flops" else asked
        parts = ("weights", "biases") if name == "params" else (name,)
        total = sum(getattr(c, part) for c in second.counts.values() for part in parts)
        return total * (2 if asked == "flops" else 1) * (batch if name == "macs" else 1)
    if asked == "output_shape":
        return second.shapes[at]
    if asked == "side":
        return _side(second.shapes[at])
    if asked in ("receptive_field", "stride"):
        seen = second.sees(at)
        return _square([s[0 if asked == "receptive_field" else 1] for s in seen])
    if asked in ("values", "bytes"):
        total = 1
        for n in second.shapes[at]:
            total *= n
        return total * batch * (size if asked == "bytes" else 1)
    counts = second.counts[at]
    if asked == "params":
        return counts.weights + counts.biases
    if asked in ("macs", "flops"):
        return counts.macs * batch * (2 if asked == "flops" else 1)
    return getattr(counts, asked)


def confirmed(subject: Subject) -> Any:
    """The key, after the second road has led to it too.

    Raises:
        KeyMismatch: the roads differ; this is a bug to report.
    """
    key = subject.key
    other = again(subject)
    if key != other:
        raise KeyMismatch(
            f"{subject.figure} of {subject.node or 'the network'} is {key} by the rules and {other} by counting",
            where=f"{subject.target} on {subject.input}",
            fix="please report this",
        )
    return key


def written(figure: str, found: Any) -> str:
    """A figure as it is typed."""
    return dims(found) if isinstance(found, tuple) else number(found)


AT_ONE_PLACE = ("M9", "M11", "M17", "M18")  # what nobody writes into every row and goes on from
MANY_TIMES = 100  # the right field: larger ones are no wrong options


def mistaken(subject: Subject) -> list[Wrong]:
    """What misconceptions make of the figure: carried through the whole network, and at the place alone."""
    position = subject.position
    if position is None:
        return wrong_totals(subject.report, subject.figure)
    figure = "output_shape" if subject.figure == "side" else subject.figure
    arity = subject.report.network.arity
    found: list[Wrong] = []
    case = cases(subject.report)[position - arity]
    if figure in ("output_shape", "receptive_field", "stride") and not subject.single:
        for one in touching(figure):
            through = None if one.code in AT_ONE_PLACE else _through(subject.report, one, position - arity)
            if through is not None:
                found.append(Wrong(through.figure(figure), one))
    key = right(case, figure)
    found += wrong(case, figure)
    if figure == "receptive_field" and key is not None:
        found = [w for w in found if not _absurd(w.value, key)]
    return _as_asked(subject.figure, found)


def _absurd(value: Any, key: Any) -> bool:
    """A side that nobody would write: many times the right one (fields multiplied through a long network)."""
    return value is not None and any(v > MANY_TIMES * k for v, k in zip(value, key, strict=False))


def _through(report: Report, one: Misconception, row: int) -> Any:
    try:
        return fill(report, one)[row]
    except RfcalcError:
        return None


def _as_asked(figure: str, found: Iterable[Wrong]) -> list[Wrong]:
    """Sides for shapes, one number for a square; without what is no number."""
    kept = []
    for w in found:
        v = w.value
        if v is None:
            continue
        if figure == "side":
            if len(v) < 2 or len(set(v[1:])) != 1:
                continue
            v = v[1]
        elif figure in ("receptive_field", "stride"):
            v = _square(v)
        kept.append(Wrong(v, w.by))
    return kept


def kind_of(key: Any) -> str:
    """How a key is typed."""
    return "shape" if isinstance(key, tuple) else "integer" if Fraction(key).denominator == 1 else "decimal"


def number_blank(
    draw: Draw,
    key: Any,
    wrongs: Iterable[Wrong | tuple[Any, str]],
    *,
    name: str = "answer",
    label: str = "answer",
    unit: str = "",
    ask: Ask | None = None,
    most: int = 4,
) -> Blank:
    """A number or shape to be typed, with feedback for the numbers that misconceptions give."""
    kind = kind_of(key)
    text = written("", key)
    seen = {text}
    options = []
    for w in wrongs:
        found, feedback, by = (w.value, w.feedback, w.name) if isinstance(w, Wrong) else (w[0], w[1], "")
        if kind_of(found) != kind:
            continue
        shown = written("", found)
        if shown not in seen:
            seen.add(shown)
            options.append(AnswerOption(shown, False, feedback, by))
    chosen = draw.some(options, most) if len(options) > most else options
    return Blank(
        name, kind, label, text, tuple(draw.shuffled([*chosen, AnswerOption(text, True, "Right.")])), unit, "", ask
    )


def choice_blank(
    draw: Draw,
    right_text: str,
    wrongs: Iterable[tuple[str, str, str]],
    *,
    most: int = 3,
    least: int = 1,
    label: str = "answer",
    ask: Ask | None = None,
    keep_order: bool = False,
) -> Blank:
    """One of several: the right text, and wrong ones as (text, feedback, misconception).

    Raises:
        Unfit: fewer than `least` different wrong ones.
    """
    found: dict[str, AnswerOption] = {}
    for text, feedback, by in wrongs:
        if text != right_text:
            found.setdefault(text, AnswerOption(text, False, feedback, by))
    if len(found) < least:
        raise Unfit
    options = list(found.values())
    chosen = draw.some(options, most) if len(options) > most else options
    shown = [*chosen, AnswerOption(right_text, True, "Right.")]
    if not keep_order:
        shown = draw.shuffled(shown)
    return Blank("answer", "choice", label, right_text, tuple(shown), "", "", ask)


def figure_name(figure: str) -> str:
    """What a figure is called in a sentence."""
    return SHORT[figure]
