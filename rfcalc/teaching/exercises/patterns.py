"""The patterns of questions, by name: what makes a question from a stream of choices.

A family's file declares subjects (which take forms) and patterns of their own. A pattern's name is the family, its own
name and the form: ``output-size.alexnet-conv1.setting``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from rfcalc.core.errors import UnknownName
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.forms import one_layer, summary
from rfcalc.teaching.exercises.item import FAMILIES, FORMS, AnswerOption, Block, ExerciseTable, Question, Text
from rfcalc.teaching.exercises.pictures import asked, solved
from rfcalc.teaching.exercises.recount import KeyMismatch
from rfcalc.teaching.exercises.subject import Subject, Unfit, choice_blank, number_blank
from rfcalc.teaching.exercises.tables import error, table
from rfcalc.teaching.exercises.variants import compare, setting
from rfcalc.teaching.exercises.words import convention
from rfcalc.teaching.misconceptions import MISCONCEPTIONS

Make: TypeAlias = Callable[[Draw, int], Question]

FILES: dict[str, tuple[str, ...]] = {
    "output-size": ("sizes", "sizes_more", "sizes_pools"),
    "parameters": ("parameters", "parameters_more"),
    "receptive-field": ("fields", "fields_more", "fields_dilated"),
    "memory": ("memory",),
    "operations": ("operations",),
    "design": ("design",),
    "concepts": ("concepts", "concepts_more"),
}

FORMS_OF_SUBJECTS = {  # the forms that any subject can take, by name
    "one-layer": one_layer,
    "table": table,
    "setting": setting,
    "compare": compare,
    "error": error,
    "summary": summary,
}


class QuestionPattern(NamedTuple):
    """One way to make questions, at these levels of difficulty."""

    name: str
    family: str
    form: str
    levels: tuple[int, ...]
    make: Make
    file: str


_PATTERNS: dict[str, QuestionPattern] = {}
_loaded: set[str] = set()


def patterns(family: str | None = None) -> list[QuestionPattern]:
    """All patterns, or those of a family, in the order of their files, whatever was loaded before.

    Raises:
        UnknownName: no such family.
    """
    if family is not None and family not in FAMILIES:
        raise UnknownName("family", family, list(FAMILIES))
    found = []
    for name in FAMILIES if family is None else (family,):
        if name not in _loaded:
            for file in FILES[name]:
                import_module(f"rfcalc.teaching.exercises.families.{file}")
            _loaded.add(name)
        files = FILES[name]
        mine = [p for p in _PATTERNS.values() if p.family == name]
        # A file may have been loaded before the others of its family, because another family borrows from it.
        found += sorted(mine, key=lambda p: files.index(p.file) if p.file in files else len(files))
    return found


def pattern_of(name: str) -> QuestionPattern:
    """The pattern of this name.

    Raises:
        UnknownName: with the nearest names.
    """
    family = name.partition(".")[0]
    every = patterns(family if family in FAMILIES else None)
    if name not in _PATTERNS:
        raise UnknownName("pattern", name, [p.name for p in every])
    return _PATTERNS[name]


def _file(made: Callable[..., Any]) -> str:
    return made.__module__.rpartition(".")[2]


def _add(found: QuestionPattern) -> None:
    if found.name in _PATTERNS:
        raise ValueError(f"the pattern {found.name} stands twice")
    assert found.form in FORMS, found.form
    _PATTERNS[found.name] = found


def pattern(family: str, name: str, form: str, levels: Sequence[int] = (1, 2)) -> Callable[[Make], Make]:
    """Declare a pattern of its own."""

    def add(make: Make) -> Make:
        _add(QuestionPattern(f"{family}.{name}.{form}", family, form, tuple(levels), make, _file(make)))
        return make

    return add


def subject(
    family: str, name: str, forms_of: Mapping[str, Sequence[int]]
) -> Callable[[Callable[[Draw, int], Subject]], Callable[[Draw, int], Subject]]:
    """Declare a subject, and the forms that it takes with their levels."""

    def add(draw_subject: Callable[[Draw, int], Subject]) -> Callable[[Draw, int], Subject]:
        for form, levels in forms_of.items():

            def make(draw: Draw, level: int, form: str = form) -> Question:
                drawn = draw_subject(draw, level)
                question = FORMS_OF_SUBJECTS[form](drawn, draw)
                return replace(question, picture=asked(drawn, form), solution=solved(drawn, form))

            _add(QuestionPattern(f"{family}.{name}.{form}", family, form, tuple(levels), make, _file(draw_subject)))
        return draw_subject

    return add


# --- questions that are not about one figure of one network ------------------------------------------------------

MOST_TIMES = 100_000  # of the key: what is larger nobody would write
Mistake: TypeAlias = "tuple[Any, str] | tuple[Any, str, str]"


def mistakes(found: Iterable[Mistake]) -> list[tuple[Any, str, str]]:
    """Wrong answers as (answer, feedback, misconception); a misconception's name alone brings its feedback."""
    made = []
    for answer, said, *name in found:
        if not name and said in MISCONCEPTIONS:
            made.append((answer, MISCONCEPTIONS[said].feedback, said))
        else:
            made.append((answer, said, name[0] if name else ""))
    return made


def agree(key: Any, other: Any, what: str) -> Any:
    """The key, if the second road leads to it too.

    Raises:
        KeyMismatch: it does not.
    """
    if key != other:
        raise KeyMismatch(f"{what} is {key} by one road and {other} by the other", fix="please report this")
    return key


def _body(parts: Sequence[str | Block]) -> tuple[Block, ...]:
    return tuple(Text(p) if isinstance(p, str) else p for p in parts)


def numeric(
    draw: Draw,
    title: str,
    *parts: str | Block,
    key: Any,
    second: Any,
    wrongs: Iterable[Mistake] = (),
    conventions: str | tuple[str, ...],
    told: Sequence[str],
    label: str = "answer",
    unit: str = "",
    tags: tuple[str, ...] = (),
) -> Question:
    """A question with a whole number as its answer; `second` is the key by another road."""
    agree(key, second, title)
    found = mistakes(wrongs)
    blank = number_blank(draw, key, [], label=label, unit=unit)
    seen = {blank.key}
    options = list(blank.options)
    for value, feedback, name in found:
        if isinstance(value, int) and 0 <= value <= MOST_TIMES * max(key, 1) and str(value) not in seen:
            seen.add(str(value))
            options.append(AnswerOption(str(value), False, feedback, name))
    blank = blank._replace(options=tuple(draw.shuffled(options[:5])))
    return Question(title, _body(parts), (blank,), _conventions(conventions), tuple(told), tags)


def chosen(
    draw: Draw,
    title: str,
    *parts: str | Block,
    key: str,
    wrongs: Iterable[Mistake],
    conventions: str | tuple[str, ...],
    told: Sequence[str],
    label: str = "answer",
    least: int = 2,
    keep_order: bool = False,
    tags: tuple[str, ...] = (),
) -> Question:
    """A question with options; whoever calls it has evaluated each of them."""
    blank = choice_blank(draw, key, mistakes(wrongs), least=least, label=label, keep_order=keep_order)
    return Question(title, _body(parts), (blank,), _conventions(conventions), tuple(told), tags)


def decimal(
    draw: Draw,
    title: str,
    *parts: str | Block,
    key: Any,
    second: Any,
    places: int = 2,
    wrongs: Iterable[Mistake] = (),
    conventions: str | tuple[str, ...],
    told: Sequence[str],
    unit: str = "",
    tags: tuple[str, ...] = (),
) -> Question:
    """A question with a decimal number as its answer: a fraction, asked for to so many places.

    Any number within one unit of the last place is right, so that truncating is as good as rounding.
    """
    agree(key, second, title)
    text = rounded(key, places)
    seen = {text}
    options = [AnswerOption(text, True, "Right.")]
    for value, feedback, name in mistakes(wrongs):
        shown = rounded(value, places)
        if shown not in seen and (value == 0 or float(shown)) and abs(value - key) * 10**places > 2:
            seen.add(shown)
            options.append(AnswerOption(shown, False, feedback, name))
    blank = number_blank(draw, 0, [])._replace(
        kind="decimal",
        key=text,
        options=tuple(draw.shuffled(options[:5])),
        unit=unit,
        tolerance=rounded_unit(places),
    )
    return Question(title, _body(parts), (blank,), _conventions(conventions), tuple(told), tags)


def rounded(value: Any, places: int) -> str:
    """A fraction with so many places, half up.

    >>> from fractions import Fraction
    >>> rounded(Fraction(2, 3), 2), rounded(7, 1)
    ('0.67', '7.0')
    """
    scaled = (2 * value * 10**places + 1) // 2
    whole, part = divmod(int(scaled), 10**places)
    return f"{whole}.{part:0{places}d}"


def rounded_unit(places: int) -> str:
    """One unit of the last place."""
    return f"0.{'0' * (places - 1)}1"


def _conventions(given: str | tuple[str, ...]) -> str:
    return given if isinstance(given, str) else convention(given)


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> ExerciseTable:
    """A table of texts."""
    return ExerciseTable(tuple(header), tuple(tuple(row) for row in rows))


__all__ = [
    "Subject",
    "Unfit",
    "agree",
    "chosen",
    "decimal",
    "grid",
    "mistakes",
    "numeric",
    "pattern",
    "pattern_of",
    "patterns",
    "subject",
]
