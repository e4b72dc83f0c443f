"""Notebooks as data (nbformat 4.5), and items as cells of them."""

from __future__ import annotations

from json import dumps
from typing import Any

from rfcalc.teaching.exercises.draw import seed_of, text_of
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._text import LETTERS
from rfcalc.teaching.exercises.formats.markdown import _body, escape
from rfcalc.teaching.exercises.item import Blank, ExerciseItem


def notebook(cells: list[dict[str, Any]]) -> str:
    """The file; cells get ids that stay."""
    for i, cell in enumerate(cells):
        cell["id"] = text_of(seed_of(i, cell["source"]))
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    about = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False)


def cell(kind: str, source: str, **metadata: Any) -> dict[str, Any]:
    """One cell: ``markdown``, ``code`` or ``raw``."""
    return {"cell_type": kind, "metadata": metadata, "source": source}


def heading(paper: PaperHeading) -> str:
    """The first cell's text."""
    return f"# {escape(paper.heading)}"


def question(item: ExerciseItem, number: int, names: dict[str, str]) -> str:
    """The question as Markdown, and which names to give to the answers."""
    lines = [f"## {number}. {escape(item.title)}", "", *_body(item)]
    single = item.single
    if single is not None and single.kind == "choice":
        lines += ["", *[f"- ({LETTERS[i]}) {escape(o.text)}" for i, o in enumerate(single.options)]]
        lines += ["", f"Assign the letter of your answer to `{names[single.name]}`, as a text."]
    elif single is not None:
        what = {"shape": "as a text like `'64x55x55'`"}.get(single.kind, f"as a number{_unit(single)}")
        lines += ["", f"Assign your answer to `{names[single.name]}`, {what}."]
    else:
        lines += ["", "Assign your answers (shapes as texts like `'64x55x55'`):", ""]
        lines += [f"- `{names[b.name]}`: {escape(b.label)}" for b in item.blanks]
    return "\n".join([*lines, "", f"*{escape(item.question.conventions)}*"])


def _unit(blank: Blank) -> str:
    return f" (in {blank.unit})" if blank.unit else ""


def names(item: ExerciseItem, number: int) -> dict[str, str]:
    """The variables of an item's answers."""
    if item.single is not None:
        return {item.single.name: f"answer_{number}"}
    return {b.name: f"answer_{number}_{i}" for i, b in enumerate(item.blanks, 1)}


def literal(blank: Blank) -> str:
    """The key as Python source."""
    if blank.kind == "choice":
        return repr(LETTERS[blank.options.index(blank.right)])
    return repr(blank.key) if blank.kind == "shape" else blank.key


def test(blank: Blank, name: str) -> str:
    """An expression that is true for a right answer."""
    if blank.kind == "choice":
        return f"str({name}).strip().lower() == {literal(blank)}"
    if blank.kind == "shape":
        sizes = r"[\sx×X*,]+".join(blank.key.split("x"))  # 16x32, (16, 32), torch.Size([16, 32])
        return f"__import__('re').fullmatch(r'(torch\\.Size)?[\\s(\\[]*{sizes}[\\s,)\\]]*', str({name})) is not None"
    if blank.kind == "decimal":
        return f"abs({name} - {blank.key}) <= {blank.tolerance} + 1e-9"
    return f"{name} == {blank.key}"
