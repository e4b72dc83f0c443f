"""Claims files: TOML, read and checked at the door; every complaint names file, line and claim."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfcalc.claims import expression as language
from rfcalc.claims.printed import NEAREST, TRUNCATED, Printed
from rfcalc.claims.printed import read as read_printed
from rfcalc.claims.recorded import as_code, in_zoo, is_recorded
from rfcalc.core import fold
from rfcalc.core.errors import RfcalcError, suggestion
from rfcalc.spec.toml import tables

SCHEMA = "rfcalc/claims/1"
ENDING = ".rfclaims.toml"
SHIPPED = Path(__file__).parent / "shipped"

CONVENTIONS = ("K", "biases", "operations")
OF_FILE = ("schema", "title", "source", "network", "input", "inputs", "conventions", "claim", "table")
OF_CLAIM = (
    "name", "where", "source", "network", "input", "what", "printed", "derived", "gives", "digits", "rounding", "min",
    "max", "rule", "expect", "note", "slip", "conventions",
)  # fmt: skip
OF_TABLE = ("columns", "rows", "network", "where", "source", "input", "digits", "rounding", "note", "conventions")
OF_ROW = ("name", "where", "network", "input")  # columns of a table that print no figure


class ClaimError(RfcalcError):
    """A claims file that cannot be used: file, line and claim are in `where`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: what is claimed of which network, how it was printed, what is expected of it."""

    file: File
    line: int
    name: str
    network: str
    input: str | None
    what: str
    expression: language.Expression | None
    printed: Printed | None
    least: Printed | None
    most: Printed | None
    rule: str
    expect: str
    place: str
    note: str
    setting: language.Setting
    derived: bool = False  # no source prints the figure: it was computed, to hold it
    gives: language.Expression | None = None  # what makes the printed figure; `note` says why
    own_source: str = ""
    slip: bool = False  # `note` says how the figure came about; no change is tried
    counted: str = ""  # by which convention a figure of others' files was found true

    def __repr__(self) -> str:
        return f"Claim({self.network}: {self.name}, {self.told})"

    @property
    def source(self) -> str:
        """Where it was printed."""
        told = ", ".join(part for part in (self.own_source or self.file.source, self.place) if part)
        return f"derived: {told}" if self.derived else told

    @property
    def where(self) -> str:
        return f"{self.file.path}:{self.line}: claim {self.name!r}"

    @property
    def told(self) -> str:
        """What was printed, or the bounds, or the rule."""
        if self.printed is not None:
            return self.printed.text
        if self.rule:
            return self.rule
        bounds = [(">=", self.least), ("<=", self.most)]
        return " and ".join(f"{sign} {value.text}" for sign, value in bounds if value is not None)


@dataclass(frozen=True, slots=True)
class File:
    """A claims file: its claims, and what holds for all of them."""

    path: Path
    title: str
    source: str
    inputs: tuple[str, ...]
    claims: list[Claim]

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims)


def is_code(network: str) -> bool:
    """Whether a target is code of the user's, which runs only where the command line names it."""
    return network.startswith("py:") or ".py:" in network


def read(
    path: Path | str, text: str | None = None, run: Sequence[str] = (), broken: list[RfcalcError] | None = None
) -> File:
    """Read a claims file.

    Args:
        path: the file; `text`: what stands in it, if that is known already.
        run: the targets in the user's code that claims may name, because the command line names them too.
        broken: takes the errors of single claims, which are then left out; without it the first is raised.

    Raises:
        ClaimError: with file, line and claim.
    """

    def refuse(error: RfcalcError) -> None:
        if broken is None:
            raise error
        broken.append(error)

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8") if text is None else text
        data = tables(text, str(path))
    except OSError as error:
        raise ClaimError(f"cannot read it: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = re.search(r"line (\d+)", str(error))
        raise ClaimError(f"is not TOML: {error}", where=f"{path}:{place[1]}" if place else str(path)) from None
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines, 1) if re.match(r"\s*\[\[\s*claim\s*\]\]", line)]
    try:
        _known(data, OF_FILE)
    except RfcalcError as error:
        raise error.at(str(path)) from None
    if data.get("schema") != SCHEMA:
        raise ClaimError("is not a claims file", where=f"{path}:1", fix=f'begin it with schema = "{SCHEMA}"')
    entries = data.get("claim", [])
    if not isinstance(entries, list) or len(entries) != len(heads) or not (entries or data.get("table")):
        raise ClaimError(
            "has no claims", where=str(path), fix="write each under a line [[claim]], or rows of a [[table]]"
        )
    file = File(path, str(data.get("title", "")), str(data.get("source", "")), tuple(data.get("inputs", ())), [])
    names: dict[Any, int] = {}
    for entry, line in (*zip(entries, heads, strict=True), *_of_tables(data.get("table", []), lines, path, refuse)):
        name = str(entry.get("name") or entry.get("what") or entry.get("rule") or "?")
        try:
            claim = _claim(file, line, name, entry, data, run)
            for key in (("name", name), (claim.network, claim.input, claim.what, claim.rule, claim.told, claim.place)):
                if key in names:
                    raise RfcalcError(f"is written twice: first in line {names[key]}", fix="give each its own name")
                names[key] = line
        except RfcalcError as error:
            refuse(ClaimError(error.what, where=f"{path}:{line}: claim {name!r}", why=error.why, fix=error.fix))
            continue
        file.claims.append(claim)
    return file


def _of_tables(
    found: Any, lines: list[str], path: Path, refuse: Callable[[RfcalcError], None]
) -> Iterator[tuple[dict[str, Any], int]]:
    """The claims that the rows of tables hold, with their lines: a claim for each cell under an expression.

    Refused: a table without columns or rows, a row with another number of cells, a figure that is no text.

    Raises:
        ClaimError: the tables as a whole cannot be read.
    """
    heads = [i for i, line in enumerate(lines, 1) if re.match(r"\s*\[\[\s*table\s*\]\]", line)]
    if not isinstance(found, list) or len(found) != len(heads):
        raise ClaimError("has tables that cannot be read", where=str(path), fix="write each under a line [[table]]")
    for number, (table, head) in enumerate(zip(found, heads, strict=True), 1):
        where = f"{path}:{head}: table {number}"
        try:
            _known(table, OF_TABLE)
        except RfcalcError as error:
            refuse(ClaimError(error.what, where=where, why=error.why, fix=error.fix))
            continue
        columns, rows = table.get("columns"), table.get("rows")
        if not isinstance(columns, list) or "name" not in columns or not isinstance(rows, list) or not rows:
            fix = 'write columns = ["name", "params"] and rows = [["resnet18", "11.7M"]]'
            refuse(ClaimError("needs columns, one of them name, and rows", where=where, fix=fix))
            continue
        shared = {k: v for k, v in table.items() if k not in ("columns", "rows")}
        places = [i for i in range(head + 1, len(lines) + 1) if re.match(r"\s*\[\s*\"", lines[i - 1])]
        for row, line in zip(rows, [*places, *[head] * len(rows)], strict=False):
            if not isinstance(row, list) or len(row) != len(columns) or not all(isinstance(c, str) for c in row):
                told = f"has a row that does not fill its {len(columns)} columns with texts: {row}"
                refuse(ClaimError(told, where=f"{path}:{line}: table {number}", fix='an empty cell is ""'))
                continue
            cells = dict(zip(columns, row, strict=True))
            about = shared | {key: cells[key] for key in OF_ROW if cells.get(key)}
            if "*" in str(about.get("network", "")):
                about["network"] = about["network"].replace("*", cells["name"])
            for what in columns:
                if what not in OF_ROW and cells[what]:
                    yield (
                        {**about, "name": f"{_word(what)} of {cells['name']}", "what": what, "printed": cells[what]},
                        line,
                    )


def _word(what: str) -> str:
    """What a column is called in the names of its claims."""
    return {"params": "parameters", "macs": "multiply-adds"}.get(what, what)


def _known(data: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in data:
        if key not in keys:
            raise ClaimError(f"has a key {key!r} that is not known", fix=suggestion(key, keys))


def _claim(file: File, line: int, name: str, entry: dict[str, Any], data: dict[str, Any], run: Sequence[str]) -> Claim:
    _known(entry, OF_CLAIM)
    network = entry.get("network", data.get("network"))
    if not isinstance(network, str) or not network.strip():
        raise RfcalcError("names no network", fix='write network = "vgg16", for the file or for the claim')
    conventions = {**data.get("conventions", {}), **entry.get("conventions", {})}
    _known(conventions, CONVENTIONS)
    k, operations = conventions.get("K", 1000), conventions.get("operations", "multiply-adds")
    if k not in (1000, 1024):
        raise RfcalcError(f"has K = {k}", fix="K is 1000 or 1024")
    if operations not in ("multiply-adds", "flops"):
        raise RfcalcError(f"counts operations as {operations!r}", fix='write "multiply-adds" or "flops"')
    rounding = entry.get("rounding", NEAREST)
    if rounding not in (NEAREST, TRUNCATED):
        raise RfcalcError(f"is rounded {rounding!r}", fix=f'write "{NEAREST}" or "{TRUNCATED}"')
    expect = entry.get("expect", "match")
    if expect not in ("match", "mismatch"):
        raise RfcalcError(f"expects {expect!r}", fix='write "match" or "mismatch"')
    if expect == "mismatch" and not entry.get("note"):
        raise RfcalcError("expects a mismatch and does not say why", fix="add a note")

    def value(key: str) -> Printed | None:
        if key not in entry:
            return None
        if not isinstance(entry[key], str):
            raise RfcalcError(f"has {key} = {entry[key]!r}", fix=f'write it as printed, in quotes: {key} = "138M"')
        return read_printed(entry[key], k=k, digits=entry.get("digits"), rounding=rounding)

    what, rule = str(entry.get("what", "")), str(entry.get("rule", ""))
    printed, least, most = value("printed"), value("min"), value("max")
    derived = value("derived")
    if printed is not None and derived is not None:
        raise RfcalcError("is printed and derived", fix="a figure that a source prints is printed")
    printed = derived if printed is None else printed
    if "gives" in entry and (printed is None or expect != "mismatch"):
        raise RfcalcError("gives what it should not explain", fix="gives explains a printed figure that does not fit")
    if "slip" in entry and (entry["slip"] is not True or expect != "mismatch" or printed is None or "gives" in entry):
        fix = 'slip = true stands with a printed figure, expect = "mismatch", and a note that says how it came about'
        raise RfcalcError(f"has slip = {entry['slip']!r} where no slip is told", fix=fix)
    kinds = [bool(rule), printed is not None, least is not None or most is not None]
    if sum(kinds) != 1 or bool(what) == bool(rule):
        raise RfcalcError(
            "claims nothing that can be checked", fix="give what and printed (or derived), what and min or max, or rule"
        )
    if rule:
        from rfcalc.report.constraints import parse as parse_rule

        parse_rule(rule)
    shape = entry.get("input", data.get("input"))
    for bound in (printed, least, most):
        if bound is not None and what:
            same_quantity(bound, language.parse(what), operations == "flops")
    operations_setting = language.Setting(network, shape, bool(conventions.get("biases", True)), operations == "flops")
    parsed = language.parse(what) if what else None
    for target in (network, *(f.network for f in (language.figures(parsed) if parsed else ()))):
        if target and is_code(target) and target not in run:
            fix = f"if you trust it, name it on the command line: rfcalc check {file.path} --run {target}"
            raise RfcalcError(f"names {target}, and claims run no code", fix=fix)
    place, note = str(entry.get("where", "")), str(entry.get("note", ""))
    return Claim(
        file, line, name, network, shape, what, parsed, printed, least, most, rule, expect, place, note,
        operations_setting, derived is not None, language.parse(str(entry["gives"])) if "gives" in entry else None,
        str(entry.get("source", "")), bool(entry.get("slip", False)),
    )  # fmt: skip


QUANTITIES = {  # what a metric counts, in the words of a printed unit
    **dict.fromkeys(("bytes", "peak_bytes", "saved_bytes"), "bytes"),
    **dict.fromkeys(("params", "weights", "biases", "buffers", "trainable", "frozen"), "params"),
    "macs": "macs",
    "flops": "flops",
    **dict.fromkeys(("receptive_field", "stride", "padding", "center", "output_shape"), "pixels"),
    "values": "values",
}


def same_quantity(printed: Printed, expression: language.Expression, as_flops: bool) -> None:
    """Refuse a printed unit that counts something else than the metric.

    Raises:
        RfcalcError: ``138 MB`` of parameters, ``15.5 GFLOPs`` of multiply-adds.
    """
    from rfcalc.report.metrics import metric

    names = {metric(f.metric).name for f in language.figures(expression)}
    counted = {QUANTITIES.get(name, "") for name in names}
    if as_flops:
        counted = {"flops" if quantity == "macs" else quantity for quantity in counted}
    if isinstance(expression, language.Pair) and counted <= {"pixels", "values"}:
        return  # 4 * values are bytes
    if printed.quantity and "" not in counted and len(counted) == 1 and printed.quantity not in counted:
        other = next((m for m, q in QUANTITIES.items() if q == printed.quantity), printed.quantity)
        fix = "leave the unit out" if "pixels" in {printed.quantity, *counted} else f'write what = "{other}"' + (
            ', or conventions = { operations = "flops" } where FLOPs are two for each multiply-add'
            if printed.quantity == "flops" else ""
        )  # fmt: skip
        raise RfcalcError(f"prints {printed.text}, and {', '.join(sorted(names))} is no figure in that unit", fix=fix)


def shipped(name: str | None = None) -> list[Claim]:
    """The claims that come with rfcalc: all, or those about one network.

    Raises:
        RfcalcError: there are none about it.
    """
    if name is None:
        return [claim for path in sorted(SHIPPED.glob(f"*{ENDING}")) for claim in read(path)]
    from rfcalc import zoo

    entry = zoo.find(name)
    key = entry.name if entry else name if is_recorded(name) else fold(name)
    package, _, model = key.partition(":")
    keys = {key, in_zoo(name) or key}  # a model of a package, and the same network under its name here
    # a file is read only where the name stands in it
    texts = {p: p.read_text(encoding="utf-8") for p in sorted(SHIPPED.glob(f"*{ENDING}"))}
    likely = [
        p
        for p, text in texts.items()
        if any(f'"{k}"' in text or f"'{k}'" in text for k in keys)
        or (model and f'"{package}:*"' in text and f'"{model}"' in text)
    ]
    found = [claim for path in likely for claim in read(path, texts[path]) if keys & {*networks(claim)}]
    if not found:
        known = dict.fromkeys(n for path in texts for claim in read(path) for n in networks(claim))
        fix = suggestion(key, list(known))
        if name.endswith(".py") and Path(name).is_file():
            from rfcalc.readers.user_code import defined

            code = f"{name}:{next(iter(defined(name)), 'build')}"
            fix = f"name what is in it: rfcalc lock {code} --output model{ENDING}"
        elif entry is not None or Path(name).is_file():
            fix = f"write down what it is today, and check that: rfcalc lock {name} --output model{ENDING}"
        elif name.startswith("py:") or ".py:" in name or as_code(name):
            code = f'"{as_code(name)}"' if as_code(name) else name
            fix = (
                f"write down what it is today: rfcalc lock {code} --output model{ENDING}"
                f"\nand check that: rfcalc check model{ENDING} --run {code}"
            )
            like = zoo.find(model)
            if like is not None:
                fix = f"a network of that name is checked by: rfcalc check {like.name}\nor {fix}"
        elif "/" in name or name.endswith((".toml", ".json", ".yml", ".csv", ".md", ".onnx", ".keras")):
            raise RfcalcError("there is no such file", where=name, fix=f"give a claims file (*{ENDING})")
        raise RfcalcError(f"nothing is claimed about {name!r}", fix=fix)
    return found


def networks(claim: Claim) -> list[str]:
    """The networks that a claim speaks of."""
    named = [f.network for f in language.figures(claim.expression)] if claim.expression is not None else []
    return list(dict.fromkeys([claim.network, *(n for n in named if n)]))
