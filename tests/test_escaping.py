"""Names come from files: in no format are they markup, a formula, a terminal's command or more than one line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from shown import render as table

import rfcalc
from rfcalc import Conv, Network, ReLU
from rfcalc.comparison.comparison import compare
from rfcalc.comparison.tables import document as comparison
from rfcalc.core.errors import RfcalcError
from rfcalc.derivation.blackboard import document as explanation
from rfcalc.derivation.deriving import derive
from rfcalc.render import FORMATS, Look, render
from rfcalc.render.csv import escape
from rfcalc.report.document import (
    Cell,
    Column,
    Derivation,
    DerivationLine,
    Document,
    Grid,
    Listing,
    Runs,
    Sentences,
    Span,
    Table,
    TableLine,
)

EVIL = (
    "a\n\\input{/etc/passwd}",
    "\x1b[31mred\x1b]0;title\x07",
    "\x9b2J\u202eabc",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "<script>alert(1)</script>",
    "a|b`c*d_[x](http://y)",
    "\u2028% \\end{document}",
    "```\n# heading",
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def everywhere(name: str) -> Document:
    """A document with a name in every place that a document has."""
    text = (name, Span(name, "bad"))
    lines = (
        TableLine((Cell(name), Cell("")), "group"),
        TableLine((Cell(text), Cell("-3", -3))),
        TableLine((Cell(name), Cell()), "total"),
    )
    sections = (
        Table((Column(name), Column("n", right=True, unit="exact")), lines, ((name, name),), name, name),
        Sentences((name, text), name),
        Derivation((DerivationLine(name, name, (text,), name),), ((Span(name), name),), name, (name,)),
        Listing(name, "", name),
        Grid((3, 3), ((0, 3), (0, 3)), (Runs((((0, 1),), ((0, 2),))),), name),
    )
    return Document(name, sections, (name, text), data={"schema": "test/1", "name": name}, about=(name,), titled=True)


def test_the_names_are_evil() -> None:
    """The control: as they are, they would be obeyed."""
    assert any(CONTROLS.search(name) for name in EVIL)
    assert any(name.startswith(("=", "@")) for name in EVIL)


def check(form: str, text: str, name: str) -> None:
    assert not CONTROLS.search(text), form
    if form == "latex":
        for line in text.split("\n"):
            live = line.partition("%")[0] if not line.startswith("%") else ""
            assert "\\input" not in live or "verbatim" in text, line
        outside = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.S)
        assert "\\input" not in re.sub(r"(?m)^%.*$", "", outside)
        assert "\\end{document}" not in re.sub(r"(?m)^%.*$", "", outside)
    if form == "html":
        page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
        assert not list(page.iter("script"))
    if form == "markdown":
        rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        assert "<script" not in rendered
        assert "href" not in rendered
        assert rendered.count("<h1>") == 0
    if form == "csv":
        for row in csv.reader(io.StringIO(text)):
            assert all(cell[:1] not in ("=", "@", "\t", "\r", "+") for cell in row), row
    if form == "json":
        assert json.loads(text)["name"] == name


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
def test_every_place_of_a_document(form: str, name: str) -> None:
    check(form, render(everywhere(name), form, Look(60)), name)


@pytest.mark.parametrize("form", [f for f in FORMATS if f not in ("json", "html")])
@settings(deadline=None, max_examples=60)
@given(name=st.text(st.characters(exclude_categories=("Cs",)), max_size=12))
def test_any_name(form: str, name: str) -> None:
    assert not CONTROLS.search(render(everywhere(name), form).replace("\t", ""))
    one = render(Document("t", (Sentences((f"-{name}-",), listed=False),), data={"a": name}), form)
    lines = {"csv": 2, "latex": 1, "markdown": 1, "plain": 1, "terminal": 1}
    assert len(one.split("\n")) == lines[form]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
def test_names_of_nodes(form: str, name: str) -> None:
    network = Network(Conv(4, 3).named(name) >> ReLU(), "3x8x8", title=name)
    report = rfcalc.analyze(network)
    makers: tuple[Callable[[], str], ...] = (
        lambda: table(report, form),
        lambda: render(comparison(compare(network, "conv5-4", input="3x8x8")), form),
        lambda: render(explanation(derive(report, name, "rf")), form),
    )
    for make in makers:
        text = make()
        assert not CONTROLS.search(text)
        if form == "latex":
            assert "\\input" not in re.sub(r"(?m)^%.*$", "", text)
        if form == "csv":
            assert all(c[:1] not in ("=", "@") for row in csv.reader(io.StringIO(text)) for c in row)


def test_numbers_stay_numbers_in_csv() -> None:
    for value in (-3, "-3", "+0.5", "-1/2", "-1x-2", "1e-3", "-12.5 ".strip(), "-3%"):
        assert escape(value) == value
    for text in ("=1", "+cmd", "-cmd|x", "@x", "\tx", "\rx", "|x", "-C + 9*C**2", " =1"):
        assert escape(text).startswith("'")


def test_messages_are_printable() -> None:
    assert "\x1b" not in str(RfcalcError("bad \x1b[31m", where="a\x07", why="b\x9b", fix="c\u202e"))
