"""What goes wrong, by name: each misconception gives the numbers that a student who holds it writes, and its feedback.

A misconception has a rule for each figure that it touches (`output_shape`, `receptive_field`, `stride`, `weights`,
`biases`, `params`, `macs`, `flops`, `values`, `bytes`: of one layer, from a `Case`), and may have one for a whole
network (`peak_bytes`, totals: from a `Report`). A rule says nothing where the misconception makes no difference. The
rules are in the files of `_RULES`, loaded when they are asked for.

>>> from rfcalc import Conv, Shape
>>> case = Case(Conv(64, 3, padding=1), (Shape(3, 32, 32),), (Seen((1, 1), (1, 1)),), (32, 32))
>>> [(w.value, w.name) for w in wrong(case, "params")][:2]
[(1728, 'bias-forgotten'), (67264, 'bias-at-every-position')]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from rfcalc.core import Registry
from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.report import Report
from rfcalc.teaching.case import FIGURES, Case, Seen, cases, first_seen, placed, right

Rule: TypeAlias = Callable[[Case], Any]
WholeRule: TypeAlias = Callable[[Report], Any]

_RULES = ("sizes", "fields", "counts", "totals")


class Misconception:
    """A named mistake: its code in the list of misconceptions (M1 … M18, N1 … for further ones), a title, feedback.

    `rules[figure](case)` gives a wrong number for one layer, `whole[figure](report)` for a whole network; None where it
    makes no difference. Both may also give a list of numbers.
    """

    __slots__ = ("code", "feedback", "name", "rules", "title", "whole")

    def __init__(self, code: str, name: str, title: str, feedback: str) -> None:
        self.code = code
        self.name = name
        self.title = title
        self.feedback = feedback
        self.rules: dict[str, Rule] = {}
        self.whole: dict[str, WholeRule] = {}

    def gives(self, *figures: str) -> Callable[[Rule], Rule]:
        """Decorate the rule for these figures of a layer."""

        def add(rule: Rule) -> Rule:
            self.rules.update(dict.fromkeys(figures, rule))
            return rule

        return add

    def totals(self, *figures: str) -> Callable[[WholeRule], WholeRule]:
        """Decorate the rule for these figures of a network."""

        def add(rule: WholeRule) -> WholeRule:
            self.whole.update(dict.fromkeys(figures, rule))
            return rule

        return add

    def wrong(self, case: Case, figure: str) -> tuple[Any, ...]:
        """The wrong numbers for a figure of a layer, without the right one; none where it makes no difference."""
        if figure not in self.rules:
            return ()
        try:
            return self._beside(case, figure, right(case, figure))
        except RfcalcError:  # a map that the student's numbers do not allow
            return ()

    def _beside(self, case: Case, figure: str, key: Any) -> tuple[Any, ...]:
        """As `wrong`, where the right number is known."""
        return () if key is None else _different(self.rules[figure](case), key)

    def __repr__(self) -> str:
        return f"<{self.code} {self.name}>"


def _load() -> None:
    for file in _RULES:
        import_module(f"rfcalc.teaching.misconceptions.{file}")


MISCONCEPTIONS: Registry[Misconception] = Registry("misconception", _load)


@cache
def ordered() -> tuple[Misconception, ...]:
    """All of them: M1, M2, … before N1, N2, …; those of one code in the order of their files."""
    return tuple(sorted(MISCONCEPTIONS.values(), key=lambda m: (m.code[0], int(m.code[1:]))))


@cache
def touching(figure: str) -> tuple[Misconception, ...]:
    """Those with a rule for a figure of a layer, in order."""
    return tuple(m for m in ordered() if figure in m.rules)


def misconception(code: str, name: str, title: str, feedback: str) -> Misconception:
    """Make a misconception and register it."""
    return MISCONCEPTIONS.add(name, Misconception(code, name, title, feedback))


class Wrong(NamedTuple):
    """A wrong number and the misconception that makes it."""

    value: Any
    by: Misconception

    @property
    def name(self) -> str:
        return self.by.name

    @property
    def feedback(self) -> str:
        return self.by.feedback


def _different(found: Any, key: Any) -> tuple[Any, ...]:
    values = found if isinstance(found, list) else [found]
    return tuple(dict.fromkeys(v for v in values if v is not None and v != key and _sane(v)))


def _sane(value: Any) -> bool:
    """Whether anybody would write it: sizes and counts are not negative, and a map has at least one position."""
    if isinstance(value, tuple):
        return all(v >= 1 for v in value)
    return bool(value >= 0)


def wrong(case: Case, figure: str) -> list[Wrong]:
    """Every wrong number for a figure of a layer, each once, with the misconception that is listed first for it.

    Raises:
        UnknownName: no such figure.
    """
    _known(figure)
    found: dict[Any, Wrong] = {}
    try:
        key = right(case, figure)
    except RfcalcError:  # the layer cannot take such a map
        return []
    for one in touching(figure):
        for value in one._beside(case, figure, key):
            found.setdefault(value, Wrong(value, one))
    return list(found.values())


def likely(case: Case, figure: str, value: Any) -> list[Misconception]:
    """The misconceptions that reproduce a wrong number, those listed first before the others.

    Args:
        case: the row, with the student's own numbers before it.
        figure: what was asked.
        value: what the student wrote, a tuple for shapes, receptive fields and strides (one number serves all axes).
    """
    key = right(case, figure)
    if isinstance(key, tuple) and not isinstance(value, tuple):
        value = (value,) * len(key)
    return [m for m in touching(figure) if value in m.wrong(case, figure)]


def wrong_totals(report: Report, figure: str) -> list[Wrong]:
    """Wrong numbers for a figure of a whole network: rules for totals, and rules for layers summed over all of them."""
    totals = report.totals
    key = totals.ops[figure] if figure in totals.ops and not hasattr(totals, figure) else getattr(totals, figure)
    found: dict[Any, Wrong] = {}
    rows = cases(report)
    for one in ordered():
        values: list[Any] = []
        if figure in one.whole:
            values += _different(one.whole[figure](report), key)
        elif figure in one.rules and figure in ("weights", "biases", "params", "buffers", "macs", "flops"):
            shift = 0
            for case in rows:
                mistaken = one.wrong(case, figure)
                if mistaken:
                    shift += mistaken[0] - right(case, figure)
            values += _different(key + shift, key)
        for value in values:
            found.setdefault(value, Wrong(value, one))
    return list(found.values())


def _known(figure: str) -> None:
    if figure not in FIGURES:
        from rfcalc.core.errors import UnknownName

        raise UnknownName("figure", figure, FIGURES)


class Sheet(NamedTuple):
    """A row of a student's table: the shape and what is seen, None where it cannot be said."""

    case: Case
    shape: Shape
    seen: Seen | None

    def figure(self, name: str) -> Any:
        """Any figure of the row: the shape and what is seen as the student has them, the rest as it follows."""
        if name == "output_shape":
            return self.shape.dims
        if name in ("receptive_field", "stride"):
            return None if self.seen is None else getattr(self.seen, {"receptive_field": "size"}.get(name, name))
        return right(self.case, name)


def fill(report: Report, mistakes: Mapping[int, Misconception] | Misconception) -> list[Sheet]:
    """The table of a student who makes these mistakes and carries them forward, a row for each node.

    Args:
        report: the network.
        mistakes: by position of the node (the first node of a network with one input is 1), or one that is made
            wherever it makes a difference.

    Raises:
        ShapeError: the mistaken sizes end the table, because a layer cannot take them.

    >>> import rfcalc
    >>> report = rfcalc.analyze("conv3-8/2 > conv3-8 > conv3-8", "3x32x32")
    >>> [s.seen.size[0] for s in fill(report, MISCONCEPTIONS["own-stride-in-growth"])]
    [5, 9, 13]
    """
    network = report.network
    made = mistakes if isinstance(mistakes, Mapping) else None
    shapes: list[Shape] = list(report.shapes[: network.arity])
    seen: list[Seen | None] = [first_seen(shape) if i == 0 else None for i, shape in enumerate(shapes)]
    found = []
    for position, sources in enumerate(network.sources, network.arity):
        case = placed(report, position, sources, shapes, seen)
        mistake = made.get(position) if made is not None else mistakes
        shape, sees = case.y, _seen(case, None)
        if isinstance(mistake, Misconception):
            shapes_wrong = mistake.wrong(case, "output_shape")
            if shapes_wrong and all(isinstance(n, int) for n in shapes_wrong[0]):
                shape = Shape(*shapes_wrong[0])
            sees = _seen(case, mistake)
        shapes.append(shape)
        seen.append(sees)
        found.append(Sheet(case, shape, sees))
    return found


def _seen(case: Case, mistake: Misconception | None) -> Seen | None:
    size, stride = right(case, "receptive_field"), right(case, "stride")
    if size is None:
        return None
    if mistake is not None:
        size = next(iter(mistake.wrong(case, "receptive_field")), size)
        stride = next(iter(mistake.wrong(case, "stride")), stride)
    return Seen(size, stride)


def of(names: Iterable[str]) -> list[Misconception]:
    """Misconceptions by name."""
    return [MISCONCEPTIONS[name] for name in names]
