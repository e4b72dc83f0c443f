"""The forms that any subject can take: asked, inverted, compared, tabulated, with an error in it, disagreeing.

Each takes a subject and a stream of choices and makes a question, or raises `Unfit`.
"""

from __future__ import annotations

from rfcalc.teaching.exercises.derive import derivation
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import Block, Question, Text
from rfcalc.teaching.exercises.subject import (
    Subject,
    Unfit,
    choice_blank,
    confirmed,
    figure_name,
    mistaken,
    number_blank,
    written,
)
from rfcalc.teaching.exercises.words import ASKED, ASKED_TOTAL, axes, convention, dims, listing, say


def place(subject: Subject) -> tuple[str, str]:
    """The place in words, and its output in words."""
    if subject.position is None:
        return "the network", "the output of the network"
    if subject.single:
        return "the layer", "the output"
    name = subject.at or subject.node
    return f"`{name}`", f"the output of `{name}`"


def shown(subject: Subject) -> tuple[Block, ...]:
    """The story and the network, as an item shows them."""
    story = (Text(subject.story),) if subject.story else ()
    report = subject.report
    if subject.single and subject.listed:
        layer = report.network.nodes[0].layer
        shape = report.shapes[0]
        which = "map" if shape.rank > 1 else "signal" if shape.rank else "vector of"
        unit = f"{which} {dims(shape.dims)}"
        order = f" ({axes(shape.rank)})" if shape.rank else " values"
        return (*story, Text(f"A {unit}{order} goes through one layer: {say(layer, max(shape.rank, 1))}."))
    if not subject.listed:
        return story
    upto = subject.position
    return (*story, listing(report, upto=upto))


def conventions(subject: Subject, *figures: str) -> str:
    """The sentence that every item carries."""
    report = subject.report
    told = figures or (subject.figure,)
    return convention(told, subject.batch, subject.dtype, report.itemsize, subject.whole, report.shapes[0].rank or 2)


def question(subject: Subject) -> str:
    """What is asked, in words."""
    at, output = place(subject)
    asked = ASKED_TOTAL.get(subject.figure) if subject.position is None else None
    text = asked or ASKED[subject.figure]
    text = text.replace("{axes}", axes(subject.report.shapes[0].rank or 2))
    return text.replace("{the output}", output).replace("{at}", at)


def lines(subject: Subject) -> tuple[str, ...]:
    """The derivation of the key."""
    return derivation(subject.report, subject.figure, subject.position)


def one_layer(subject: Subject, draw: Draw) -> Question:
    """The figure is asked for: a number to be typed, a shape to be chosen."""
    key = confirmed(subject)
    wrongs = mistaken(subject)
    label = figure_name(subject.figure)
    if isinstance(key, tuple) and subject.figure == "output_shape":
        blank = choice_blank(
            draw,
            written("", key),
            [(written("", w.value), w.feedback, w.name) for w in wrongs],
            label=label,
            least=2,
            ask=subject.ask,
        )
    else:
        blank = number_blank(draw, key, wrongs, label=label, ask=subject.ask)
    body = (*shown(subject), Text(question(subject)))
    return Question(subject.title, body, (blank,), conventions(subject), lines(subject), subject.tags)


def summary(subject: Subject, draw: Draw) -> Question:
    """A summary prints another total: which misconception makes it?"""
    key = confirmed(subject)
    wrongs = {w.value: w for w in reversed(mistaken(subject)) if isinstance(w.value, int) and w.value > 0}
    if len(wrongs) < 3 or isinstance(key, tuple):
        raise Unfit
    chosen = draw.some(list(wrongs.values()), 4)
    said = draw.pick(chosen)
    name = figure_name(subject.figure)
    at = place(subject)[0]
    text = (
        f"A student's summary says {said.value} {name} for {at}. By the conventions below it is {key}. "
        "Which mistake leads to the summary's number?"
    )
    blank = choice_blank(
        draw,
        _sentence(said.by.title),
        [(_sentence(w.by.title), f"That would give {w.value}. {w.feedback}", w.name) for w in chosen if w is not said],
        most=3,
        least=2,
        label="mistake",
        ask=subject.ask,
    )
    end = f"{_sentence(said.by.title)}: {said.value} instead of {key}. {said.feedback}"
    body = (*shown(subject), Text(text))
    tags = (*subject.tags, said.name)
    return Question(
        f"{subject.title}: why the summary disagrees",
        body,
        (blank,),
        conventions(subject),
        (*lines(subject), end),
        tags,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
