"""What an exercise is: written once, shown by many renderers. The JSON bank is this, field by field.

An item's `body` is paragraphs, code and grids; a cell of a grid may hold a `AnswerSlot`, a place for an answer.
Texts are plain Unicode; words between backticks are code. No renderer writes a sentence of its own. Imports nothing of
the project but `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

VERSION = 6  # of the patterns: an item's id names it, and regrades by it
FAMILIES = {
    "output-size": "sizes of maps",
    "parameters": "weights, biases, buffers",
    "receptive-field": "what a unit sees, and how far apart neighbours look",
    "memory": "values, bytes, peaks, gradients, optimizer state",
    "operations": "multiply-adds and FLOPs",
    "design": "a network or a number of layers for a goal",
    "concepts": "a statement, decided by two networks that the item shows",
}
FORMS = {
    "one-layer": "one figure of one layer, or of one place in a network",
    "table": "fill in a table",
    "setting": "which setting gives this figure?",
    "compare": "two designs: which has more, and how much?",
    "error": "find the first wrong row of a table",
    "summary": "why does this summary disagree?",
    "statement": "true or false, with the witness in the explanation",
}
LEVELS = {
    1: "one rule, small numbers: by hand, in a minute",
    2: "several steps, or a rule turned round: by hand, with a sheet of paper",
    3: "networks of the literature, branches, large numbers: a calculator helps",
}


class Text(NamedTuple):
    """A paragraph."""

    text: str


class Code(NamedTuple):
    """Lines to be shown as they are."""

    code: str


class AnswerSlot(NamedTuple):
    """A place for the answer called `blank`."""

    blank: str


class ExerciseTable(NamedTuple):
    """A table: a header, and rows of texts and slots."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | AnswerSlot, ...], ...]


Block: TypeAlias = "Text | Code | ExerciseTable"


class AnswerOption(NamedTuple):
    """One possible answer: what it says, whether it is right, what to say about it, the misconception that makes it."""

    text: str
    right: bool
    feedback: str
    misconception: str = ""


class Ask(NamedTuple):
    """What the key is a figure of, so that anybody can compute it again: `rfcalc table TARGET --input INPUT`."""

    figure: str
    target: str
    input: str
    at: str = ""
    batch: int = 1
    dtype: str = "float32"


class Blank(NamedTuple):
    """One answer. `kind`: ``integer`` (exact), ``decimal`` (within `tolerance`), ``shape`` (a text like 64x55x55),
    ``choice`` (one of the options). `key` is the right answer as it is typed (for a choice, the right option's text).

    Of a number or shape, the options are the key and what misconceptions make of it.
    """

    name: str
    kind: str
    label: str
    key: str
    options: tuple[AnswerOption, ...]
    unit: str = ""
    tolerance: str = ""
    ask: Ask | None = None

    @property
    def right(self) -> AnswerOption:
        return next(o for o in self.options if o.right)

    def typed(self, option: AnswerOption) -> tuple[str, ...]:
        """How an answer may be typed where letters are compared: the right shape in its usual spellings."""
        return spellings(option.text) if self.kind == "shape" and option.right else (option.text,)


def spellings(shape: str) -> tuple[str, ...]:
    """The usual spellings of a shape, its own first. (None has a star: to course systems it stands for any text.)

    >>> spellings("16x32")
    ('16x32', '16 x 32', '16×32', '16 × 32', '16,32', '16, 32', '(16,32)', '(16, 32)', '[16,32]', '[16, 32]')
    """
    sizes = shape.split("x")
    plain = [sign.join(sizes) for sign in ("x", " x ", "×", " × ", ",", ", ")]
    ends = ("(%s)", "[%s]") if len(sizes) > 1 else ("(%s)", "(%s,)", "[%s]")
    return tuple(dict.fromkeys([*plain, *(end % text for end in ends for text in plain[4:])]))


class PictureRecipe(NamedTuple):
    """A picture as a recipe (see `pictures`): its kind, the network, its input, the place; `says` tells it in words."""

    kind: str
    target: str
    input: str
    at: str
    says: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a pattern makes: everything of an item but where it comes from."""

    title: str
    body: tuple[Block, ...]
    blanks: tuple[Blank, ...]
    conventions: str
    derivation: tuple[str, ...]
    tags: tuple[str, ...] = ()
    picture: PictureRecipe | None = None  # beside the question: it tells nothing that the text does not
    solution: PictureRecipe | None = None  # beside the derivation


@dataclass(frozen=True, slots=True)
class ExerciseItem:
    """One exercise. `id` names pattern, version and seed: whoever has it can make the item again."""

    id: str
    pattern: str
    family: str
    form: str
    difficulty: int
    seed: str
    version: int
    question: Question

    def __repr__(self) -> str:
        return f"Item({self.id}: {self.title})"

    @property
    def title(self) -> str:
        return self.question.title

    @property
    def blanks(self) -> tuple[Blank, ...]:
        return self.question.blanks

    @property
    def body(self) -> tuple[Block, ...]:
        return self.question.body

    @property
    def single(self) -> Blank | None:
        """The blank, if there is just one and it stands after the body."""
        return self.blanks[0] if len(self.blanks) == 1 and not self.inline else None

    @property
    def inline(self) -> bool:
        """Whether answers stand in the body (in the cells of a table)."""
        return any(
            isinstance(cell, AnswerSlot)
            for b in self.body
            if isinstance(b, ExerciseTable)
            for row in b.rows
            for cell in row
        )

    def to_dict(self) -> dict[str, Any]:
        """The item as the JSON bank has it."""
        q = self.question
        return {
            "id": self.id,
            "pattern": self.pattern,
            "family": self.family,
            "form": self.form,
            "difficulty": self.difficulty,
            "seed": self.seed,
            "version": self.version,
            "title": q.title,
            "body": [_block(b) for b in q.body],
            "answers": [_blank(b) for b in q.blanks],
            "conventions": q.conventions,
            "derivation": list(q.derivation),
            "tags": list(q.tags),
            "picture": None if q.picture is None else q.picture._asdict(),
            "solution": None if q.solution is None else q.solution._asdict(),
        }


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"text": block.text}
    if isinstance(block, Code):
        return {"code": block.code}
    rows = [[{"answer": c.blank} if isinstance(c, AnswerSlot) else c for c in row] for row in block.rows]
    return {"header": list(block.header), "rows": rows}


def _blank(blank: Blank) -> dict[str, Any]:
    return {
        "name": blank.name,
        "kind": blank.kind,
        "label": blank.label,
        "key": blank.key,
        "unit": blank.unit,
        "tolerance": blank.tolerance,
        "options": [o._asdict() for o in blank.options],
        "ask": None if blank.ask is None else blank.ask._asdict(),
    }


def from_dict(found: dict[str, Any]) -> ExerciseItem:
    """The item of `Item.to_dict`; for what reads a bank."""
    body: list[Block] = []
    for block in found["body"]:
        if "text" in block:
            body.append(Text(block["text"]))
        elif "code" in block:
            body.append(Code(block["code"]))
        else:
            rows = tuple(tuple(AnswerSlot(c["answer"]) if isinstance(c, dict) else c for c in r) for r in block["rows"])
            body.append(ExerciseTable(tuple(block["header"]), rows))
    blanks = tuple(
        Blank(
            b["name"],
            b["kind"],
            b["label"],
            b["key"],
            tuple(AnswerOption(**o) for o in b["options"]),
            b["unit"],
            b["tolerance"],
            None if b["ask"] is None else Ask(**b["ask"]),
        )
        for b in found["answers"]
    )
    question = Question(
        found["title"],
        tuple(body),
        blanks,
        found["conventions"],
        tuple(found["derivation"]),
        tuple(found["tags"]),
        *(PictureRecipe(**found[name]) if found.get(name) else None for name in ("picture", "solution")),
    )
    about = {k: found[k] for k in ("id", "pattern", "family", "form", "difficulty", "seed", "version")}
    return ExerciseItem(**about, question=question)
