"""An item as it stands on paper: what a student sees of the JSON bank, and nothing of rfcalc.

The key, which option is right, the feedback, the derivation and what the key is a figure of are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias


class Text(NamedTuple):
    text: str


class Code(NamedTuple):
    code: str


class Slot(NamedTuple):
    blank: str


class Grid(NamedTuple):
    header: tuple[str, ...]
    rows: tuple[tuple[str | Slot, ...], ...]


Block: TypeAlias = "Text | Code | Grid"


class Option(NamedTuple):
    text: str


class Blank(NamedTuple):
    name: str
    kind: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Page:
    form: str
    body: tuple[Block, ...]
    blanks: tuple[Blank, ...]
    conventions: str


def page(item: dict[str, Any]) -> Page:
    """The page of an item of the bank."""
    body: list[Block] = []
    for block in item["body"]:
        if "text" in block:
            body.append(Text(block["text"]))
        elif "code" in block:
            body.append(Code(block["code"]))
        else:
            rows = tuple(tuple(Slot(c["answer"]) if isinstance(c, dict) else c for c in r) for r in block["rows"])
            body.append(Grid(tuple(block["header"]), rows))
    blanks = []
    for answer in item["answers"]:
        options = answer["options"] if answer["kind"] == "choice" else ()
        blanks.append(Blank(answer["name"], answer["kind"], tuple(Option(o["text"]) for o in options)))
    return Page(item["form"], tuple(body), tuple(blanks), item["conventions"])
