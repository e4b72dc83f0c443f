"""GIFT, Moodle's text format. A table becomes one question for each cell: GIFT has no fill-in tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._html import body, conventions, derivation, said, spans
from rfcalc.teaching.exercises.formats._html import text as html
from rfcalc.teaching.exercises.formats._xml import element, fragment
from rfcalc.teaching.exercises.item import AnswerOption, Blank, ExerciseItem

_SIGNS = str.maketrans({**{c: f"\\{c}" for c in "\\~=#{}:"}, "\n": "\\n"})


def escape(text: str) -> str:
    """The text with GIFT's own signs behind a backslash.

    >>> escape("{a = b}: 5 ~ #")
    '\\\\{a \\\\= b\\\\}\\\\: 5 \\\\~ \\\\#'
    """
    return text.translate(_SIGNS)


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The questions, under one category."""
    found = [f"// {paper.heading}", f"$CATEGORY: {_category(paper)}"]
    for item in items:
        found += ["", *_item(item)]
    return "\n".join(found) + "\n"


def _category(paper: PaperHeading) -> str:
    return paper.heading.replace("/", "//").replace("\\", "")


def _item(item: ExerciseItem) -> list[str]:
    single = item.single
    if single is not None:
        return [_question(item, single, f"{item.title} ({item.id[-6:]})", body(item, show=said))]
    found = []
    for blank in item.blanks:
        asked = body(item, lambda b, at=blank: element("strong", "?") if b is at else "…", said)  # type: ignore[misc]
        asked += fragment(element("p", "Which value stands at the question mark (", *spans(blank.label), ")?"))
        found += [_question(item, blank, f"{item.title} ({item.id[-6:]}), {blank.label}", asked), ""]
    return found[:-1]


def _question(item: ExerciseItem, blank: Blank, name: str, asked: str) -> str:
    text = escape(asked + conventions(item))
    general = escape(derivation(item, said))
    return (
        f"// {item.id}\n// [id:{item.id}] [tag:{'] [tag:'.join(item.question.tags)}]\n"
        f"::{escape(name)}::[html]{text}{{{_answers(blank)}####{general}\n}}"
    )


def _answers(blank: Blank) -> str:
    if blank.kind == "choice":
        return "".join(_choice(o) for o in blank.options) + "\n"
    numbers = blank.kind in ("integer", "decimal")
    ordered = sorted(blank.options, key=lambda o: not o.right)
    lines = [_typed(o, text, blank, numbers) for o in ordered for text in blank.typed(o)]
    return ("#" if numbers else "") + "".join(lines) + "\n"


def _choice(option: AnswerOption) -> str:
    return f"\n{'=' if option.right else '~'}{escape(html(option.text))}#{escape(html(option.feedback))}"


def _typed(option: AnswerOption, text: str, blank: Blank, number: bool) -> str:
    share = "" if option.right else "%0%"
    tolerance = f":{blank.tolerance or '0'}" if number else ""
    return f"\n={share}{escape(text)}{tolerance}#{escape(html(option.feedback))}"


def read(text: str) -> list[dict[str, Any]]:
    """What a GIFT text holds: name, text, and answers as (fraction, answer, feedback). For tests and for the curious.

    >>> read("::a::[html]b {#\\n=5:0#yes\\n}")
    [{'name': 'a', 'text': 'b', 'numeric': True, 'answers': [(100, '5:0', 'yes')]}]
    """
    import re

    def plain(part: str) -> str:
        return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], part)

    found = []
    pattern = r"::((?:\\.|[^:\\])*)::\[html\]((?:\\.|[^{\\])*)\{((?:\\.|[^}\\])*)\}"
    for name, asked, inside in re.findall(pattern, text, re.S):
        inside = re.split(r"(?<!\\)####", inside)[0]
        numeric = inside.startswith("#")
        answers = []
        for sign, answer in re.findall(r"(?<!\\)([=~])((?:\\.|[^=~\\])*)", inside[numeric:], re.S):
            share = re.match(r"%(-?\d+)%", answer)
            answer = answer[share.end() :] if share else answer
            given, _, feedback = re.sub(r"(?<!\\)#", "\0", answer).partition("\0")
            value = int(share[1]) if share else 100 if sign == "=" else 0
            answers.append((value, plain(given).strip(), plain(feedback).strip()))
        found.append({"name": plain(name), "text": plain(asked).strip(), "numeric": numeric, "answers": answers})
    return found
