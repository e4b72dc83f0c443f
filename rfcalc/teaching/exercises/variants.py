"""Forms that change one parameter of a network: which setting gives N, which of two designs has more."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.graph.network import Network
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.forms import conventions, lines, place, shown
from rfcalc.teaching.exercises.item import Blank, Block, ExerciseTable, Question, Text
from rfcalc.teaching.exercises.recount import KeyMismatch
from rfcalc.teaching.exercises.subject import (
    Subject,
    Unfit,
    again,
    choice_blank,
    confirmed,
    mistaken,
    written,
)
from rfcalc.teaching.exercises.words import amount, say

CANDIDATES: dict[str, tuple[int, ...]] = {
    "kernel": (1, 2, 3, 4, 5, 7, 9, 11),
    "stride": (1, 2, 3, 4, 5),
    "padding": (0, 1, 2, 3, 4, 5),
    "dilation": (1, 2, 3, 4, 6, 8),
    "out_channels": (4, 8, 10, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256),
    "out_features": (10, 50, 64, 84, 100, 120, 128, 256, 512),
    "groups": (1, 2, 4, 8, 16),
}
NAMES = {
    "kernel": "kernel size",
    "stride": "stride",
    "padding": "padding (on every side)",
    "dilation": "dilation",
    "out_channels": "number of filters",
    "out_features": "number of units",
    "groups": "number of groups",
}


class ParameterChange(NamedTuple):
    """One parameter of one node."""

    node: str
    parameter: str

    @property
    def words(self) -> str:
        return f"the {NAMES[self.parameter]} of `{self.node}`"


def parameters(layer: Layer) -> list[str]:
    """The parameters of a layer that questions may change: numbers, equal on all axes."""
    found = []
    for name in layer.given:
        if name not in CANDIDATES:
            continue
        if name in ("dilation", "padding") and not hasattr(layer, "groups"):
            continue  # courses change these of convolutions only
        if current(layer, name) is not None:
            found.append(name)
    return found


def candidates(layer: Layer, parameter: str) -> Sequence[int]:
    """The numbers that a parameter may be given: no pool has a window of one position."""
    found = CANDIDATES[parameter]
    return found[1:] if parameter == "kernel" and not hasattr(layer, "groups") else found


def current(layer: Layer, parameter: str) -> int | None:
    """The number that the parameter has; None where it is no single number."""
    have: Any = getattr(layer, parameter)
    while isinstance(have, tuple) and len(set(have)) == 1:
        have = have[0]
    return have if isinstance(have, int) else None


def changed(network: Network, change: ParameterChange, to: int) -> Network:
    """The network with another number for the parameter.

    Raises:
        RfcalcError: the layer cannot have it.
    """

    def layer_of(node: Any) -> Layer:
        layer: Layer = node.layer
        return layer if node.name != change.node else layer.changed(**{change.parameter: to})

    nodes = [(node.name, layer_of(node), node.inputs) for node in network.nodes]
    return Network.from_nodes(nodes, dict(network.inputs))


def _target(network: Network) -> str:
    from rfcalc.notation import write

    return write(network.expr)


def _changes(subject: Subject, draw: Draw) -> list[ParameterChange]:
    """The parameters on the way to the place, in a drawn order."""
    network = subject.report.network
    if len(network.nodes) > 30:
        raise Unfit
    last = subject.position or len(network.nodes)
    upto = network.nodes[: last - network.arity + 1]
    found = [ParameterChange(node.name, name) for node in upto for name in parameters(node.layer)]
    if subject.vary:
        found = [c for c in found if c.parameter in subject.vary or f"{c.node}.{c.parameter}" in subject.vary]
    return draw.shuffled(found)


def _tried(subject: Subject, change: ParameterChange, to: int) -> tuple[Subject, Any] | None:
    """The subject with the change, and its key; None where it cannot be."""
    network = subject.report.network
    try:
        other = subject.other(_target(changed(network, change, to)))
        return other, other.key
    except (RfcalcError, Unfit):
        return None


def _named(change: ParameterChange, subject: Subject) -> str:
    return f"the {NAMES[change.parameter]}" if subject.single else change.words


def setting(subject: Subject, draw: Draw) -> Question:
    """Which setting gives this figure? Every option is evaluated, and exactly one gives it."""
    key = confirmed(subject)
    for change in _changes(subject, draw)[:6]:
        node = subject.report.network.node(change.node)
        now = current(node.layer, change.parameter)
        others: list[tuple[int, Subject, Any]] = []
        near = [c for c in candidates(node.layer, change.parameter) if c != now]
        near.sort(key=lambda c: abs(c - (now or 0)))
        for to in near[:5]:
            tried = _tried(subject, change, to)
            if tried is not None and tried[1] != key:
                others.append((to, *tried))
            elif tried is not None:
                break  # two settings would be right
        else:
            if len(others) >= 2 and now is not None:
                return _setting(subject, draw, change, now, key, others)
    raise Unfit


def _setting(
    subject: Subject, draw: Draw, change: ParameterChange, now: int, key: Any, others: list[tuple[int, Subject, Any]]
) -> Question:
    chosen = draw.some(others, 3)
    name = amount(subject.figure)
    wrongs = []
    for to, other, found in chosen:
        _agree(other, found)
        wrongs.append((str(to), f"With {to} it is {written('', found)}.", ""))
    blank = choice_blank(draw, str(now), wrongs, least=2, label=NAMES[change.parameter], ask=subject.ask)
    blank = blank._replace(options=tuple(sorted(blank.options, key=lambda o: int(o.text))))
    hidden = _hidden(subject, change)
    at = place(subject)[0]
    what = f"the {name}" if subject.position is None or subject.single else f"the {name} of {at}"
    text = f"Which value of `?`, {_named(change, subject)}, makes {what} {written('', key)}?"
    told = [f"With {now}:", *lines(subject)]
    told += [f"With {to} it is {written('', found)}." for to, _, found in chosen]
    return Question(
        f"{subject.title}: which setting?",
        (*hidden, Text(text)),
        (blank,),
        conventions(subject),
        tuple(told),
        subject.tags,
    )


def _agree(subject: Subject, found: Any) -> None:
    """The second road has to lead to an option's number too."""
    other = again(subject)
    if other != found:
        raise KeyMismatch(f"{subject.figure} is {found} by the rules and {other} by counting", where=subject.target)


def _hidden(subject: Subject, change: ParameterChange) -> tuple[Block, ...]:
    """The network with a question mark for the parameter."""
    marker = 983040000  # any groups divide it
    layer = subject.report.network.node(change.node).layer
    if change.parameter == "groups" and layer.groups == 1:  # type: ignore[attr-defined]
        raise Unfit
    if change.parameter == "padding" and not hasattr(layer, "groups"):
        raise Unfit
    rank = subject.report.shapes[0].rank
    values = {change.parameter: marker}
    if change.parameter == "groups":
        values["out_channels"] = marker
    text = say(layer.changed(**values), max(rank, 1))
    if change.parameter == "groups":
        text = text.replace(str(marker), str(layer.out_channels), 1)  # type: ignore[attr-defined]
    text = text.replace(str(marker), "?")
    if "?" not in text:
        raise Unfit
    plain = say(layer, max(rank, 1))
    body: list[Block] = []
    for block in shown(subject):
        if isinstance(block, Text):
            body.append(Text(block.text.replace(plain, text)))
        elif isinstance(block, ExerciseTable):
            rows = tuple(
                tuple(text if i == 1 and row[0] == change.node else c for i, c in enumerate(row)) for row in block.rows
            )
            body.append(ExerciseTable(block.header, rows))
        else:
            raise Unfit
    return tuple(body)


def compare(subject: Subject, draw: Draw) -> Question:
    """Two designs that differ in one parameter: the figure of both, and which has more."""
    key = confirmed(subject)
    for change in _changes(subject, draw)[:6]:
        layer = subject.report.network.node(change.node).layer
        now = current(layer, change.parameter)
        near = [c for c in candidates(layer, change.parameter) if c != now]
        near.sort(key=lambda c: abs(c - (now or 0)))
        for to in draw.shuffled(near[:3]):
            tried = _tried(subject, change, to)
            if tried is not None:
                question = _compared(subject, draw, change, (now or 0, to), key, tried)
                if question is not None:
                    return question
    raise Unfit


def _compared(
    subject: Subject,
    draw: Draw,
    change: ParameterChange,
    settings: tuple[int, int],
    key: Any,
    tried: tuple[Subject, Any],
) -> Question | None:
    other, found = tried
    _agree(other, found)
    before, after = settings
    text = (
        f"Design A is as described; in design B, {_named(change, subject)} is {after} instead of {before}. "
        f"What is the {amount(subject.figure)}{_of(subject)} of each?"
    )
    blank = _pair_blank(subject, other, (key, found), draw)
    if blank is None:
        return None
    told = ("Design A:", *lines(subject), "Design B:", *lines(other))
    body = (*shown(subject), Text(text))
    return Question(
        f"{subject.title}: two designs", body, (blank,), conventions(subject), told, (*subject.tags, "compare")
    )


def duel(a: Subject, b: Subject, text: str, names: tuple[str, str], draw: Draw) -> Question:
    """Two networks that are told in words: the figure of both, and which has more.

    Raises:
        Unfit: misconceptions make too few other answers.
    """
    key, found = confirmed(a), confirmed(b)
    blank = _pair_blank(a, b, (key, found), draw)
    if blank is None:
        raise Unfit
    told = (f"A, {names[0]}:", *lines(a), f"B, {names[1]}:", *lines(b))
    body = (Text(text), Text(f"A: {names[0]}."), Text(f"B: {names[1]}."))
    asked = Text(f"What is the {amount(a.figure)} of each?" if a.figure != "receptive_field" else _SEEN)
    return Question(a.title, (*body, asked), (blank,), conventions(a), told, (*a.tags, "compare"))


_SEEN = "What is the receptive field of one output of each?"


def _pair_blank(subject: Subject, other: Subject, keys: tuple[Any, Any], draw: Draw) -> Blank | None:
    """Both figures as one choice, with what misconceptions make of them."""
    key, found = keys
    pairs: dict[tuple[Any, Any], tuple[str, str]] = {}
    theirs = {w.name: w for w in reversed(mistaken(other))}
    for w in mistaken(subject):
        twin = theirs.get(w.name)
        pair = (w.value, found if twin is None else twin.value)
        if pair != (key, found) and all(_whole(v) for v in pair):
            pairs.setdefault(pair, (w.feedback, w.name))
    if key != found:
        pairs.setdefault((key, key), ("The change does matter here: work both out.", ""))
        pairs.setdefault((found, key), ("It is the other way round.", ""))
    if len(pairs) < 2:
        return None
    wrongs = [(_verdict(*p), f, m) for p, (f, m) in pairs.items()]
    return choice_blank(draw, _verdict(key, found), wrongs, least=2, ask=subject.ask)


def _of(subject: Subject) -> str:
    return "" if subject.position is None or subject.single else f" of {place(subject)[0]}"


def _whole(found: Any) -> bool:
    return all(Fraction(v).denominator == 1 for v in (found if isinstance(found, tuple) else (found,)))


def _verdict(a: Any, b: Any) -> str:
    if a == b:
        return f"A and B: {written('', a)} each"
    if isinstance(a, tuple) or isinstance(b, tuple):
        return f"A: {written('', a)}, B: {written('', b)}"
    more = "A" if a > b else "B"
    return f"A: {written('', a)}, B: {written('', b)}; {more} has {written('', abs(a - b))} more"
