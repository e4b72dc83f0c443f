"""PrairieLearn: a folder for each pattern. Its `server.py` makes a variant with rfcalc for each student.

`question.html` is the same for all: what a variant says is in its parameters, which `variant` fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.teaching.exercises.draw import seed_of
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats import _html as html
from rfcalc.teaching.exercises.formats._xml import fragment
from rfcalc.teaching.exercises.item import AnswerSlot, Code, ExerciseItem, ExerciseTable, Text, spellings

SERVER = '''"""Variants of {name}, made by rfcalc: `pip install rfcalc` in the course's image."""

from rfcalc.teaching.exercises.formats.prairielearn import spelled, variant


def generate(data):
    variant(data, {pattern!r}, {difficulty})


def parse(data):
    spelled(data)
'''
QUESTION = """<pl-question-panel>
{{#params.blocks}}
  {{#text}}<p>{{{text}}}</p>{{/text}}
  {{#code}}<pre>{{code}}</pre>{{/code}}
  {{#table}}
  <table class="table table-sm">
    <thead><tr>{{#header}}<th>{{{.}}}</th>{{/header}}</tr></thead>
    <tbody>
    {{#rows}}
      <tr>
      {{#cells}}
        <td>{{#text}}{{{text}}}{{/text}}{{#integer}}<pl-integer-input answers-name="{{integer}}" display="inline" \
size="12"></pl-integer-input>{{/integer}}{{#shape}}<pl-string-input answers-name="{{shape}}" display="inline" \
size="12" remove-spaces="true" ignore-case="true"></pl-string-input>{{/shape}}</td>
      {{/cells}}
      </tr>
    {{/rows}}
    </tbody>
  </table>
  {{/table}}
{{/params.blocks}}
  <p><em>{{{params.conventions}}}</em></p>
</pl-question-panel>
{{#params.integer}}<pl-integer-input answers-name="answer" label="answer" suffix="{{params.unit}}"></pl-integer-input>\
{{/params.integer}}
{{#params.decimal}}<pl-number-input answers-name="answer" label="answer" suffix="{{params.unit}}" comparison="relabs" \
rtol="0" atol="{{params.tolerance}}"></pl-number-input>{{/params.decimal}}
{{#params.choice}}<pl-multiple-choice answers-name="answer" fixed-order="true">
{{#options}}<pl-answer correct="{{correct}}" feedback="{{feedback}}">{{{text}}}</pl-answer>
{{/options}}</pl-multiple-choice>{{/params.choice}}
<pl-answer-panel>
<ol>{{#params.derivation}}<li>{{{.}}}</li>{{/params.derivation}}</ol>
</pl-answer-panel>
"""


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> dict[str, str]:
    """The files by their path: three for each pattern that the items have."""
    files: dict[str, str] = {}
    for item in items:
        if item.pattern.endswith(".own-network.table"):
            raise RfcalcError(
                "PrairieLearn's questions make variants of a pattern, and this is a table of one network",
                where=item.title,
                fix="choose another format: --format moodle, qti, gift, nbgrader …",
            )
        folder = f"questions/{item.pattern}-{item.difficulty}"
        if f"{folder}/info.json" in files:
            continue
        about = {
            "uuid": _uuid(item.pattern, item.difficulty),
            "title": item.title,
            "topic": item.family,
            "tags": [item.form, f"difficulty-{item.difficulty}"],
            "type": "v3",
        }
        files[f"{folder}/info.json"] = dumps(about, indent=2, ensure_ascii=False)
        files[f"{folder}/question.html"] = QUESTION
        files[f"{folder}/server.py"] = SERVER.format(
            name=item.pattern, pattern=item.pattern, difficulty=item.difficulty
        )
    return files


def _uuid(*parts: object) -> str:
    """A version-4 UUID that stays the same for the same pattern."""
    text = f"{seed_of('uuid', 1, *parts):016x}{seed_of('uuid', 2, *parts):016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:]}"


def variant(data: dict[str, Any], pattern: str, difficulty: int) -> ExerciseItem:
    """Fill PrairieLearn's `data` with a variant: `params` for question.html, `correct_answers` for its inputs.

    Raises:
        UnknownName: there is no such pattern.
    """
    from rfcalc.teaching.exercises.bank import variant as make

    item = make(pattern, data["variant_seed"], difficulty)
    params, answers = data["params"], data["correct_answers"]
    params["id"] = item.id
    params["blocks"] = [_block(item, block) for block in item.body]
    if item.question.picture is not None:
        image = fragment(html.inside(item.question.picture))
        params["blocks"].append({"text": image[3:-4], "code": False, "table": False})  # in a paragraph of its own
    params["conventions"] = html.text(item.question.conventions)
    params["derivation"] = [html.text(line) for line in item.question.derivation]
    if item.question.solution is not None:
        params["derivation"].append(fragment(html.inside(item.question.solution)))
    single = item.single
    for kind in ("integer", "decimal", "choice"):
        params[kind] = False
    if single is None:
        for blank in item.blanks:
            answers[blank.name] = int(blank.key) if blank.kind == "integer" else blank.key
        return item
    params["unit"] = single.unit
    if single.kind == "choice":
        options = [
            {"correct": str(o.right).lower(), "text": html.text(o.text), "feedback": o.feedback.replace("`", "")}
            for o in single.options
        ]
        params["choice"] = {"options": options}
    else:
        params[single.kind] = True
        params["tolerance"] = single.tolerance or "0"
        answers["answer"] = int(single.key) if single.kind == "integer" else float(single.key)
    return item


def spelled(data: dict[str, Any]) -> None:
    """Give what was typed for a shape the key's spelling, where it is one of its usual ones: ``(16, 32)`` is 16x32."""
    for name, key in data["correct_answers"].items():
        typed = data["submitted_answers"].get(name)
        if isinstance(key, str) and isinstance(typed, str):
            known = {one.replace(" ", "") for one in spellings(key)}
            if "".join(typed.lower().split()) in known:
                data["submitted_answers"][name] = key


def _block(item: ExerciseItem, block: Text | Code | ExerciseTable) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"text": html.text(block.text), "code": False, "table": False}
    if isinstance(block, Code):
        return {"text": False, "code": block.code, "table": False}
    kinds = {b.name: b.kind for b in item.blanks}
    rows = [{"cells": [_cell(c, kinds) for c in row]} for row in block.rows]
    header = [html.text(h) for h in block.header]
    return {"text": False, "code": False, "table": {"header": header, "rows": rows}}


def _cell(found: str | AnswerSlot, kinds: dict[str, str]) -> dict[str, Any]:
    empty: dict[str, Any] = {"text": False, "integer": False, "shape": False}
    if isinstance(found, AnswerSlot):
        return empty | {kinds[found.blank]: found.blank}
    return empty | {"text": html.text(found)}
