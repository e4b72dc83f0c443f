"""Items from a seed: which patterns, with which numbers, under which ids.

The same arguments give the same items, in the same order, everywhere. An item's id holds its pattern, the version of
the patterns and its own seed, so that `item(id)` makes it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rfcalc.core.errors import RfcalcError, ShapeError, UnknownName
from rfcalc.teaching.exercises.draw import Draw, seed_from, seed_of, text_of
from rfcalc.teaching.exercises.item import (
    FAMILIES,
    FORMS,
    LEVELS,
    VERSION,
    AnswerSlot,
    Code,
    ExerciseItem,
    ExerciseTable,
    Question,
    Text,
    from_dict,
)
from rfcalc.teaching.exercises.patterns import QuestionPattern, pattern_of, patterns
from rfcalc.teaching.exercises.pictures import checked
from rfcalc.teaching.exercises.subject import Unfit, network_of

SCHEMA = "rfcalc/exercises/1"
MOST = 100_000
TRIES = 40  # of numbers for one item
ATTEMPTS = 40  # at a question that was not asked yet


def exercises(
    count: int = 1,
    seed: int | str = 0,
    *,
    family: str | None = None,
    form: str | None = None,
    difficulty: int | None = None,
    student: str | None = None,
) -> list[ExerciseItem]:
    """Exercises with their keys: the same arguments give the same ones, in the same order, everywhere.

    Args:
        count: at most 100,000.
        seed: a number or text; one seed gives one paper.
        family, form, difficulty: only such items.
        student: a paper of one's own for each student, from the same seed.

    Raises:
        UnknownName: no such family or form.
        RfcalcError: a count or difficulty out of range, or nothing that fits.

    >>> a, b = exercises(2, 7, family="receptive-field", difficulty=1)
    >>> a.id == exercises(1, 7, family="receptive-field", difficulty=1)[0].id, a.id != b.id
    (True, True)
    """
    return list(items(count, seed, family=family, form=form, difficulty=difficulty, student=student))


def items(
    count: int = 1,
    seed: int | str = 0,
    *,
    family: str | None = None,
    form: str | None = None,
    difficulty: int | None = None,
    student: str | None = None,
) -> Iterator[ExerciseItem]:
    """As `exercises`, one after another."""
    if not 1 <= count <= MOST:
        raise RfcalcError(f"{count} items cannot be made", fix=f"ask for 1 to {MOST}")
    if difficulty is not None and difficulty not in LEVELS:
        raise RfcalcError(f"there is no difficulty {difficulty}", fix=f"choose one of {', '.join(map(str, LEVELS))}")
    if form is not None and form not in FORMS:
        raise UnknownName("form", form, list(FORMS))
    able = [p for p in patterns(family) if form in (None, p.form) and (difficulty is None or difficulty in p.levels)]
    if not able:
        wanted = " ".join(str(w) for w in (family, form, difficulty and f"difficulty {difficulty}") if w)
        raise RfcalcError(f"there are no exercises {wanted}", fix="leave one of --family, --form, --difficulty out")
    yield from _drawn(able, count, (VERSION, seed, student or "", family or "", form or "", difficulty or ""))


def _drawn(able: list[QuestionPattern], count: int, source: tuple[Any, ...]) -> Iterator[ExerciseItem]:
    """Items, family after family and pattern after pattern in a drawn order, no question twice: a pattern whose
    questions have all been asked is left out.

    Raises:
        RfcalcError: all of them have been asked.
    """
    order = Draw(seed_of("order", *source))
    queues: dict[str, list[QuestionPattern]] = {}
    seen: set[Any] = set()
    used_up: set[str] = set()
    made = 0
    while made < count:
        families = list(dict.fromkeys(p.family for p in able if p.name not in used_up))
        if not families:
            raise RfcalcError(
                f"there are only {made} different exercises like these, {count} are asked for",
                fix=f"ask for {made}, or for more families, forms or difficulties",
            )
        for family in order.shuffled(families):
            if made == count:
                return
            queue = queues.setdefault(family, [])
            item = None
            while item is None:
                queue[:] = [p for p in queue if p.name not in used_up]
                if not queue:
                    queue += order.shuffled([p for p in able if p.family == family and p.name not in used_up])
                if not queue:
                    break
                chosen = queue.pop()
                item = _unseen(chosen, seen, (*source, made), source[-1] or None)
                if item is None:
                    used_up.add(chosen.name)
            if item is not None:
                seen.add(_content(item))
                made += 1
                yield item


def _unseen(
    pattern: QuestionPattern, seen: set[Any], source: tuple[Any, ...], level: int | None
) -> ExerciseItem | None:
    """A question of the pattern that was not asked yet; None where so many draws bring none."""
    for attempt in range(ATTEMPTS):
        drawn = _item(pattern, seed_of("item", *source, attempt), level)
        if drawn is not None and _content(drawn) not in seen:
            return drawn
    return None


def _content(item: ExerciseItem) -> Any:
    return (item.pattern, item.question.body, item.question.blanks[0].key)


def _item(pattern: QuestionPattern, seed: int, level: int | None) -> ExerciseItem | None:
    """The item of a pattern and a seed; None where no numbers fit (then the seed is not used)."""
    draw = Draw(seed)
    wanted = draw.pick(pattern.levels)
    if level is not None and level != wanted:
        wanted = level
        seed = _for_level(pattern, seed, level)
        draw = Draw(seed)
        draw.pick(pattern.levels)
    question = _question(pattern, draw, wanted)
    return None if question is None else _labelled(pattern, seed, wanted, question)


def _for_level(pattern: QuestionPattern, seed: int, level: int) -> int:
    """The first seed after this one that draws the level: an id alone has to say everything."""
    while True:
        seed = seed_of("level", seed)
        if Draw(seed).pick(pattern.levels) == level:
            return seed


def _question(pattern: QuestionPattern, draw: Draw, level: int) -> Question | None:
    for _ in range(TRIES):
        try:
            question = pattern.make(draw, level)
        except (Unfit, ShapeError):  # numbers that do not suit, or a map that ends too early
            continue
        if pattern.form in ("error", "statement") or not _told(question):
            return question
    return None


def _told(question: Question) -> bool:
    """Whether the answer stands in the text: a number of three digits or more, or the only option that is there."""
    texts = [b.text if isinstance(b, Text) else b.code if isinstance(b, Code) else _cells(b) for b in question.body]
    text = " ".join(texts).replace("`", "")

    def stands(answer: str) -> bool:
        return re.search(rf"(?<![\w.×]){re.escape(answer.replace('`', ''))}(?![\w.×])", text) is not None

    for blank in question.blanks:
        if blank.kind != "choice":
            if len(question.blanks) == 1 and len(blank.key) > 2 and stands(blank.key):
                return True
        elif [o.right for o in blank.options if stands(o.text)] == [True]:
            return True
    return False


def _cells(grid: ExerciseTable) -> str:
    return " ".join(cell for row in (grid.header, *grid.rows) for cell in row if isinstance(cell, str))


def _labelled(pattern: QuestionPattern, seed: int, level: int, question: Question) -> ExerciseItem:
    text = text_of(seed)
    tags = tuple(dict.fromkeys((pattern.family, pattern.form, f"difficulty-{level}", *question.tags)))
    question = replace(question, tags=tags)
    identity = f"{pattern.name}.v{VERSION}-{text}"
    return ExerciseItem(identity, pattern.name, pattern.family, pattern.form, level, text, VERSION, question)


def item(identity: str) -> ExerciseItem:
    """The item of this id, made again.

    Raises:
        RfcalcError: no id, or one of another version of the patterns.

    >>> first = exercises(1, 7)[0]
    >>> item(first.id) == first
    True
    """
    name, sign, rest = identity.rpartition(".v")
    version, dash, text = rest.partition("-")
    if not sign or not dash or not version.isdecimal():
        raise RfcalcError(f"{identity!r} is not an exercise's id", fix="copy it from the bank or the paper")
    if int(version) != VERSION:
        raise RfcalcError(
            f"the id is of version {version} of the patterns, this is version {VERSION}",
            where=identity,
            fix="use the bank that was exported with it",
        )
    if name.endswith(".own-network.table"):
        raise RfcalcError(
            "this is a table of a network of one's own",
            where=identity,
            fix="make it again with the same --network, --blank and --rows",
        )
    pattern = pattern_of(name)
    try:
        seed = seed_from(text)
    except ValueError:
        raise RfcalcError(f"{identity!r} is not an exercise's id", why=f"{text!r} is not a seed") from None
    draw = Draw(seed)
    level = draw.pick(pattern.levels)
    question = _question(pattern, draw, level)
    if question is None:
        raise RfcalcError(f"{identity!r} makes no exercise", fix="copy the id from the bank or the paper")
    return _labelled(pattern, seed, level, question)


def variant(pattern: str, seed: int | str, difficulty: int | None = None) -> ExerciseItem:
    """The item that one pattern makes of a seed: for courses that give every student a variant.

    Raises:
        UnknownName: there is no such pattern.

    >>> variant("receptive-field.stacked.one-layer", 1).family
    'receptive-field'
    """
    chosen = pattern_of(pattern)
    for attempt in range(100):
        made = _item(chosen, seed_of("variant", VERSION, pattern, seed, attempt), difficulty)
        if made is not None:
            return made
    raise RfcalcError(f"{pattern} makes no exercise of difficulty {difficulty}", fix="leave the difficulty out")


SETTINGS = ("kernel", "stride", "padding", "dilation", "filters", "units", "groups", "input", "batch")
_ATTRIBUTES = {"filters": "out_channels", "units": "out_features"}
DRAWS = 3000  # of numbers, until those that were asked for are among them


def settings(text: str) -> dict[str, str]:
    """Numbers of one's own: ``"kernel=3, stride=2, input=3x32x32"``.

    Raises:
        UnknownName, RfcalcError: a setting that there is not, or one without a number.

    >>> settings("kernel=3, input=3x32x32")
    {'kernel': '3', 'input': '3x32x32'}
    """
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, sign, value = (p.strip() for p in part.partition("="))
        if name not in SETTINGS:
            raise UnknownName("number", name, SETTINGS)
        if not sign or not re.fullmatch(r"\d+(x\d+)*", value):
            raise RfcalcError(f"{part!r} gives no number", fix='write --numbers "kernel=3, stride=2, input=3x32x32"')
        found[name] = value
    return found


def fixed(pattern: str, seed: int | str, numbers: str = "", difficulty: int | None = None) -> ExerciseItem:
    """The item of a pattern with numbers of one's own: one of its layers has all of them.

    Raises:
        UnknownName: there is no such pattern, or no such number.
        RfcalcError: the pattern draws no such numbers.

    >>> fixed("output-size.window-on-square.one-layer", 1, "kernel=5, stride=2").single.label
    'output side'
    """
    wanted = settings(numbers)
    if not wanted:
        return variant(pattern, seed, difficulty)
    chosen = pattern_of(pattern)
    for attempt in range(DRAWS):
        made = _item(chosen, seed_of("fixed", VERSION, pattern, seed, attempt), difficulty)
        if made is not None and _has(made, wanted):
            return made
    said = ", ".join(f"{k} = {v}" for k, v in wanted.items())
    raise RfcalcError(f"{pattern} draws no numbers with {said}", fix="give fewer numbers, or --network with your own")


def _has(found: ExerciseItem, wanted: dict[str, str]) -> bool:
    """Whether one layer of the item's network has all the numbers."""
    ask = found.blanks[0].ask
    if ask is None:
        return False
    if wanted.get("input", ask.input) != ask.input or wanted.get("batch", str(ask.batch)) != str(ask.batch):
        return False
    inside = {_ATTRIBUTES.get(n, n): v for n, v in wanted.items() if n not in ("input", "batch")}

    def number(value: Any) -> str:
        while isinstance(value, tuple) and len(set(value)) == 1:
            value = value[0]
        return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)

    layers = [node.layer for node in network_of(ask.target).nodes]
    return any(all(number(getattr(layer, n, None)) == v for n, v in inside.items()) for layer in layers)


def document(found: list[ExerciseItem], about: dict[str, Any]) -> dict[str, Any]:
    """The JSON bank: what was asked for, and the items."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "request": about,
        "families": FAMILIES,
        "forms": FORMS,
        "difficulties": {str(k): v for k, v in LEVELS.items()},
        "items": [i.to_dict() for i in found],
    }


_ID = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+){2})\.v\d+-[0-9a-z]{13}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def read(text: str, where: str = "the bank") -> tuple[list[ExerciseItem], dict[str, Any]]:
    """The items of a JSON bank, as written or edited, and what had been asked for.

    Raises:
        RfcalcError: it is no bank, or an item of it is not whole: one right option, every answer with a place.
    """
    from json import JSONDecodeError, loads

    try:
        found = loads(text)
    except (JSONDecodeError, RecursionError) as error:
        raise RfcalcError(f"this is not JSON: {error}", where=where) from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise RfcalcError(f"this is no bank of exercises (schema {SCHEMA})", where=where)
    made = []
    items = found.get("items")
    for number, data in enumerate(items if isinstance(items, list) else [], 1):
        try:
            made.append(from_dict(data))
        except (KeyError, TypeError, AttributeError) as error:
            raise RfcalcError(f"item {number} is not whole: {error!r}", where=where) from None
        problem = _problem(made[-1])
        if problem:
            raise RfcalcError(f"item {number} {problem}", where=f"{where}, {made[-1].id}")
    if not made:
        raise RfcalcError("the bank is empty", where=where)
    request = found.get("request")
    return made, request if isinstance(request, dict) else {}


def _problem(item: ExerciseItem) -> str:
    """What is wrong with an item that somebody may have edited; empty if nothing is."""
    match = _ID.fullmatch(str(item.id))
    if match is None or match[1] != item.pattern:
        return "has no id of an exercise"
    if item.family not in FAMILIES or item.form not in FORMS or item.difficulty not in LEVELS:
        return "is of no family, form or difficulty"
    if not item.blanks or not item.body:
        return "has no question or no answer"
    slots = [
        c.blank
        for b in item.body
        if isinstance(b, ExerciseTable)
        for row in b.rows
        for c in row
        if isinstance(c, AnswerSlot)
    ]
    if (slots or len(item.blanks) > 1) and sorted(slots) != sorted(b.name for b in item.blanks):
        return "has answers without a place, or places without an answer"
    for blank in item.blanks:
        if blank.kind not in ("integer", "decimal", "shape", "choice") or not _NAME.fullmatch(str(blank.name)):
            return f"has an answer {blank.name!r} of kind {blank.kind!r}"
        if [o.text for o in blank.options if o.right] != [blank.key]:
            return f"has not one right option, equal to the key, in {blank.name!r}"
        number = {"integer": r"\d+", "decimal": r"\d+\.\d+", "shape": r"\d+(x\d+)*"}.get(blank.kind, r"(?s).+")
        if not all(re.fullmatch(number, o.text) for o in blank.options):
            return f"has an option that is no {blank.kind} in {blank.name!r}"
    pictures = (item.question.picture, item.question.solution)
    return next(filter(None, (checked(p) for p in pictures if p is not None)), "")
