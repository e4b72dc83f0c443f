"""A family's own pairings: the comparisons that its paper draws conclusions from, each with what it changes and costs.

One TOML file a family in `families`: pairs of networks, what each pair asks, what the paper says about it, and the
errors that it printed. What is quoted has its place in the paper; everything else is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rfcalc.comparison.comparison import Comparison, compare
from rfcalc.comparison.records import HEAD as FIGURES
from rfcalc.comparison.records import records
from rfcalc.comparison.tables import arranged, changes_table, figure_line, layers_table, shown
from rfcalc.core.displayed import displayed
from rfcalc.core.errors import UnknownName
from rfcalc.report.document import Cell, Column, Document, Table, TableLine

if TYPE_CHECKING:
    from rfcalc.report.schemas.compare import CompareFamilyJson, ComparePairJson

SCHEMA: Final = "rfcalc/compare/1"
HEAD = ("pair", *FIGURES)
WIDE = 100  # columns that the table takes with all digits
QUIET = ("stride", "output_shape")  # not worth a line where they are the same


class Quote(NamedTuple):
    """One printed figure of both networks, as printed."""

    what: str
    first: str
    other: str

    @property
    def change(self) -> Fraction:
        """other − first, in the figure's own unit."""
        return Fraction(self.other) - Fraction(self.first)


class Pairing(NamedTuple):
    """Two networks of a family: their letters, what the pair asks, what the paper says and where, its figures."""

    letters: tuple[str, str]
    asks: str
    says: str
    where: str
    quotes: tuple[Quote, ...]
    comparison: Comparison

    @property
    def name(self) -> str:
        """``A/A-LRN``."""
        return "/".join(self.letters)


class FamilyPairings(NamedTuple):
    """A family's pairings in the paper's order."""

    name: str
    title: str
    citation: str
    quoted: str
    pairs: tuple[Pairing, ...]

    def document(self) -> Document:
        """What is told, as a document that every format renders."""
        return document(self)

    def _repr_html_(self) -> str:
        return displayed(self)

    def to_dict(self) -> CompareFamilyJson:
        """As JSON has it (schema rfcalc/compare/1)."""
        return {
            "schema": SCHEMA,
            "family": {"name": self.name, "title": self.title, "citation": self.citation, "quoted": self.quoted},
            "pairs": [_pair(p) for p in self.pairs],
        }

    def records(self) -> Iterator[tuple[Any, ...]]:
        """The lines under `HEAD`; a quoted figure is a part of its own."""
        for p in self.pairs:
            for line in records(p.comparison):
                yield (p.name, *line)
            for q in p.quotes:
                other = p.comparison.subjects[1].name
                yield (
                    p.name,
                    "quoted",
                    other,
                    *([None] * 6),
                    q.what,
                    q.first,
                    q.other,
                    f"{float(q.change):.1f}",
                    None,
                    None,
                )


def names() -> list[str]:
    """The families that have pairings."""
    return sorted(f.name.removesuffix(".toml") for f in files("rfcalc.comparison").joinpath("families").iterdir())


def family(name: str, **how: Any) -> FamilyPairings:
    """The pairings of a family, compared.

    Args:
        name: one of `names()`.
        how: as for `compare`: input, figures, at, biases, batch, dtype.

    Raises:
        UnknownName: with the families there are.

    >>> [pair.name for pair in family("vgg").pairs]
    ['A/A-LRN', 'A/B', 'B/C', 'C/D', 'D/E']
    """
    from tomllib import loads

    known = names()
    key = name.strip().lower()
    if key not in known:
        raise UnknownName("family", name, known, fix="rfcalc compare --family vgg; any networks: rfcalc compare A B")
    data = loads(files("rfcalc.comparison").joinpath("families", f"{key}.toml").read_text(encoding="utf-8"))
    pairs = tuple(_read(pair, data["networks"], how) for pair in data["pair"])
    return FamilyPairings(key, data["title"], data["citation"], data["quoted"], pairs)


def _read(pair: dict[str, Any], networks: dict[str, Any], how: dict[str, Any]) -> Pairing:
    first, other = pair["networks"]
    one, two = networks[first], networks[other]
    quotes = []
    for setting, errors in one["errors"].items():
        for rank, a, b in zip(("top-1", "top-5"), errors, two["errors"].get(setting, ()), strict=False):
            quotes.append(Quote(f"{rank} error, {setting}", a, b))
    letters = (one["letter"], two["letter"])
    return Pairing(letters, pair["asks"], pair["says"], pair["where"], tuple(quotes), compare(first, other, **how))


def document(found: FamilyPairings, every: bool = False, width: int | None = None) -> Document:
    """The family as a document: one table of figures, a stretch a pair; then what differs in each."""
    brief = width is not None and width < WIDE
    columns = (Column("figure"), *(Column(title, right=True) for title in ("first", "second", "ratio", "change")))
    lines: list[TableLine] = []
    for p in found.pairs:
        nets = p.comparison.subjects
        lines.append(TableLine((Cell(p.name), Cell(nets[0].name), Cell(nets[1].name), Cell(""), Cell("")), "group"))
        lines += [figure_line(f, brief) for f in p.comparison.figures if shown(f) and not (f.name in QUIET and f.equal)]
        for q in p.quotes:
            sign = "same" if q.change == 0 else f"{'+' if q.change > 0 else '−'}{abs(float(q.change)):.1f}"
            lines.append(TableLine((Cell(f"{q.what} ¹"), Cell(q.first), Cell(q.other), Cell(""), Cell(sign))))
    tables = [Table(columns, tuple(lines)), _changes(found)]
    if every:
        for p in found.pairs:
            pair = (p.comparison.subjects[0].label, p.comparison.subjects[1].label)
            title = f"layer by layer, {p.name}"
            tables.append(layers_table(p.comparison.matched[0], pair, p.comparison.counted, title))
    told = [f"{p.name}: {p.asks} “{p.says}” ({p.where})" for p in found.pairs]
    notes = [f"¹ quoted, not computed: {found.quoted}", f"source of the pairs and quotes: {found.citation}"]
    kept = dict.fromkeys(n for p in found.pairs for n in p.comparison.notes if not n.startswith("ratio:"))
    notes.append(
        "ratio: the first network's figure divided by the second's; change: in % of the first's, errors in points"
    )
    return arranged(
        f"{found.title}: the paper's pairings",
        tables,
        told,
        (*notes, *kept),
        found.to_dict,
        lambda: (HEAD, found.records()),
    )


def _changes(found: FamilyPairings) -> Table:
    """What differs, pair by pair."""
    tables = [changes_table(p.comparison.changes[0], p.comparison.counted) for p in found.pairs]
    lines = []
    for p, table in zip(found.pairs, tables, strict=True):
        lines += [TableLine((Cell(p.name), *line.cells)) for line in table.lines]
    return Table((Column("pair"), *tables[0].columns), tuple(lines), title="what differs")


def _pair(p: Pairing) -> ComparePairJson:
    return {
        "name": p.name,
        "asks": p.asks,
        "says": p.says,
        "where": p.where,
        "quoted": [
            {"what": q.what, "first": q.first, "other": q.other, "difference": f"{float(q.change):.1f}"}
            for q in p.quotes
        ],
        "comparison": p.comparison.body(),
    }
