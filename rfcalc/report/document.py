"""What a command says, as data: a title, sections, notes. `rfcalc.render` turns a document into text, in any format.

1. A document is immutable and knows no format: nothing in it is escaped, coloured, wrapped or cut.
2. A section is a `Table`, `Sentences`, `Derivation` (a derivation), a `Listing` (preformatted text), a `Grid`
   (which positions of a map are meant) or a `Picture` (boxes, lines, texts, areas).
3. A `Text` is a plain string, or a tuple of strings and `Span`s where a part has a role (a verdict, a carried operand)
   or is a formula, which plain text, terminals and LaTeX spell differently.
4. `data` is what machines get (JSON), with its schema; `records` is what spreadsheets get (CSV). Both may be given as
   functions, which are called only when their format is asked for.

Imports nothing from the project, and nothing foreign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

# What a part of a document is for; every format maps a role to its own means (colour, weight, a class), or to nothing.
Role = Literal["", "good", "bad", "known", "unseen", "strong", "soft", "carried", "result"]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: its words, its role, and, for a formula, its spelling in ASCII and in LaTeX's math mode.

    `parts`: the words again, in pieces with a role each, where these differ within a formula.
    """

    text: str
    role: Role = ""
    plain: str = ""
    latex: str = ""
    parts: tuple[tuple[str, Role], ...] = ()


Text = str | tuple[str | Span, ...]
GAP = 2  # letters between two columns


def words(text: Text) -> str:
    """The text without roles, formulas in Unicode.

    >>> words(("F = ", Span("k²", "result", "k^2", "k^{2}")))
    'F = k²'
    """
    return text if isinstance(text, str) else "".join(p if isinstance(p, str) else p.text for p in text)


def indent(text: Text) -> int:
    """How many spaces a text begins with: a row of a tree stands two further in than the row above it.

    >>> indent("  conv1")
    2
    """
    told = words(text)
    return len(told) - len(told.lstrip(" "))


def pieces(text: Text) -> Iterator[tuple[str, Role]]:
    """The words of a text with their roles.

    >>> list(pieces(("F = ", Span("4", "result"))))
    [('F = ', ''), ('4', 'result')]
    """
    for part in (text,) if isinstance(text, str) else text:
        if isinstance(part, str):
            yield part, ""
        else:
            yield from part.parts or ((part.text, part.role),)


class Column(NamedTuple):
    """A column: its title, its name for machines (the title where empty), whether it is right-aligned.

    `unit`: ``"count"`` or ``"bytes"`` where cells hold figures that LaTeX may print in one decimal unit for the whole
    column; ``"exact"`` where it prints them digit by digit. `least`: the width to which a narrow terminal may cut the
    column's texts; None: they are not cut. `most`: the width at which columns of letters cut them anyway. `spare`: of
    the columns that a narrow terminal leaves out, those with the greatest number go first, then the last ones. `wraps`:
    a narrow terminal breaks its texts into several lines instead of cutting them.
    """

    title: str
    name: str = ""
    right: bool = False
    unit: Literal["", "exact", "count", "bytes"] = ""
    least: int | None = None
    spare: int = 0
    most: int | None = None
    wraps: bool = False


class Cell(NamedTuple):
    """A cell: its text, the figure behind it (`value`, exact), the share of the whole in thousandths, its role."""

    text: Text = ""
    value: Any = None
    share: int = 0
    role: Role = ""


class TableLine(NamedTuple):
    """A line of a table. `kind`: ``"group"`` opens a group of lines, ``"total"`` stands under a rule; `role` of all."""

    cells: tuple[Cell, ...]
    kind: Literal["", "group", "total"] = ""
    role: Role = ""

    @property
    def heading(self) -> bool:
        return self.kind == "group"

    @property
    def spans(self) -> bool:
        """Whether its first cell has the whole line to itself."""
        return self.kind == "group" and len(self.cells) > 1 and not any(cell.text for cell in self.cells[1:])


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and lines; `totals`: labelled figures below; `title`: a heading above; `caption`: where tables have one
    (LaTeX, HTML); `label`: its name in LaTeX; `narrow`: there it stands in one of two columns, if it can."""

    columns: tuple[Column, ...]
    lines: tuple[TableLine, ...]
    totals: tuple[tuple[str, Text], ...] = ()
    title: str = ""
    caption: str = ""
    label: str = ""
    narrow: bool = False

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each column in letters, when nothing is cut."""
        found = (
            max(len(column.title), *(len(words(line.cells[i].text)) for line in self.lines if not line.spans), 0)
            for i, column in enumerate(self.columns)
        )
        return tuple(min(n, c.most or n) for n, c in zip(found, self.columns, strict=True))

    @property
    def width(self) -> int:
        """The letters of a terminal's line that the table takes when nothing is cut."""
        return sum(self.widths) + GAP * (len(self.columns) - 1)


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences, one a line; `listed`: as a list, where a format has lists."""

    lines: tuple[Text, ...]
    title: str = ""
    listed: bool = True


class DerivationLine(NamedTuple):
    """One line of a derivation: what it is about, how that is written, the equations, a remark."""

    name: str = ""
    notation: str = ""
    equations: tuple[Text, ...] = ()
    text: Text = ""


@dataclass(frozen=True, slots=True)
class Derivation:
    """A derivation: the formulas that it uses, each with where it comes from, over the lines that use them; notes."""

    lines: tuple[DerivationLine, ...]
    formulas: tuple[tuple[Span, str], ...] = ()
    title: str = ""
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Preformatted text: source, a spec file, a drawing in letters."""

    text: str
    language: str = ""
    title: str = ""


class Runs(NamedTuple):
    """The positions of a product of runs, a tuple of half-open ranges for each axis, and what they are."""

    axes: tuple[tuple[tuple[int, int], ...], ...]
    role: Literal["seen", "clipped"] = "seen"


@dataclass(frozen=True, slots=True)
class Grid:
    """Positions of a map of one or two axes. `shape`: the map's; `frame`: the half-open range that is drawn on each
    axis, which may be larger than the map (padding)."""

    shape: tuple[int, ...]
    frame: tuple[tuple[int, int], ...]
    layers: tuple[Runs, ...]
    title: str = ""


class Box(NamedTuple):
    """A rectangle with a label in it; `title`: what a pointer on it says; `role`: a class, coloured by the format.

    `nodes`: the nodes of a network that it stands for. `deep`: how far a body reaches behind the rectangle, to the
    right and upwards, so that its top and right sides are seen too.
    """

    x: float
    y: float
    width: float
    height: float
    role: str = ""
    label: str = ""
    title: str = ""
    nodes: tuple[str, ...] = ()
    deep: tuple[float, float] = (0.0, 0.0)

    @property
    def sides(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """The corners of the top and of the right side of a body; none of a rectangle."""
        right, up = self.deep
        if not right and not up:
            return ()
        x, y, end, bottom = self.x, self.y, self.x + self.width, self.y + self.height
        top = ((x, y), (x + right, y - up), (end + right, y - up), (end, y))
        return top, ((end, y), (end + right, y - up), (end + right, bottom - up), (end, bottom))


class Stroke(NamedTuple):
    """A line through points; `arrow`: at its end; `joins`: the numbers of the boxes that it leads from and to."""

    points: tuple[tuple[float, float], ...]
    role: str = ""
    arrow: bool = False
    title: str = ""
    joins: tuple[int, int] | None = None


class Label(NamedTuple):
    """A text at a point; `anchor`: which part of it stands there; `turned`: it reads upwards."""

    x: float
    y: float
    text: str
    role: str = ""
    anchor: Literal["start", "middle", "end"] = "start"
    turned: bool = False


class Area(NamedTuple):
    """A polygon."""

    points: tuple[tuple[float, float], ...]
    role: str = ""
    title: str = ""


class Image(NamedTuple):
    """A raster image, its bytes as a file holds them, stretched to a rectangle; `kind`: ``png`` or ``jpeg``."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing as data, in units of 1/96 inch, y downwards: an image at its place, areas, lines, boxes, texts, marks.

    `title` and `description` are for readers who cannot see it; `letters` is what formats without pictures show
    instead. `marks` are areas that lie over everything else.
    """

    width: float
    height: float
    areas: tuple[Area, ...] = ()
    lines: tuple[Stroke, ...] = ()
    boxes: tuple[Box, ...] = ()
    texts: tuple[Label, ...] = ()
    title: str = ""
    description: str = ""
    letters: tuple[Table | Sentences, ...] = ()
    marks: tuple[Area, ...] = ()
    image: Image | None = None


Section = Table | Sentences | Derivation | Listing | Grid | Picture
Records = tuple[Sequence[str], Iterable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Document:
    """A title, sections, notes.

    Attributes:
        titled: whether the title stands over the text in every format; else only where a page needs one (HTML).
        about: lines under the title of a page.
        data: the JSON-able dictionary, its ``schema`` first; or a function that makes it.
        records: heads and rows for CSV; or a function that makes them. None: the tables' own cells, exact where they
            hold a figure, or the entries of `data` where there is no table.

    >>> line = TableLine((Cell("conv1"), Cell("1.79K", 1792)))
    >>> table = Table((Column("layer"), Column("params", right=True)), (line,))
    >>> document = Document("a network", (table,), data={"schema": "example/1", "params": 1792})
    >>> from rfcalc.render import render
    >>> print(render(document, "csv"))
    layer,params
    conv1,1792
    """

    title: str = ""
    sections: tuple[Section, ...] = ()
    notes: tuple[Text, ...] = ()
    data: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None
    records: Records | Callable[[], Records] | None = None
    about: tuple[str, ...] = ()
    titled: bool = False

    def __repr__(self) -> str:
        return f"Document({self.title!r}, {len(self.sections)} section{'s' * (len(self.sections) != 1)})"

    def to_dict(self) -> dict[str, Any]:
        """What JSON gets; a document without `data` of its own is told by its title, tables and sentences."""
        data = self.data() if callable(self.data) else self.data
        return dict(data) if data is not None else _own(self)

    def table_records(self) -> Records | None:
        """What CSV gets, where the document says it."""
        return self.records() if callable(self.records) else self.records

    def in_letters(self) -> Document:
        """The document for a format without pictures: in place of each picture what tells the same in letters."""
        if not any(isinstance(section, Picture) for section in self.sections):
            return self
        told = (section.letters if isinstance(section, Picture) else (section,) for section in self.sections)
        return replace(self, sections=tuple(part for parts in told for part in parts))

    def without_notes(self) -> Document:
        """The document without its notes."""
        return replace(self, notes=())


def _own(document: Document) -> dict[str, Any]:
    """A document as a dictionary, for one that has no data."""
    found: dict[str, Any] = {"schema": "rfcalc/document/1", "title": document.title, "sections": []}
    for section in document.sections:
        if isinstance(section, Table):
            names = [c.name or c.title for c in section.columns]
            rows = [
                {n: words(c.text) if c.value is None else c.value for n, c in zip(names, line.cells, strict=True)}
                for line in section.lines
            ]
            found["sections"].append({"title": section.title, "rows": rows, "totals": dict(section.totals)})
        elif isinstance(section, Sentences):
            found["sections"].append({"title": section.title, "sentences": [words(t) for t in section.lines]})
        elif isinstance(section, Listing):
            found["sections"].append({"title": section.title, "text": section.text})
    return found | {"notes": [words(n) for n in document.notes]}
