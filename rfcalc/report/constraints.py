"""The constraint language: ``rf@pool5 >= 200, params < 140M, count(conv stride=2) = 3``. Parsed, never run as code.

::

    constraints = constraint { ("," | "and") constraint }
    constraint  = metric ["@" node] relation value | count
                | "dense" "(" "rf" ["@" node] ")"           no holes in what the unit in the middle sees
    count       = "count" "(" pattern ")" relation number | ("none" | "some") "(" pattern ")"
    pattern     = kind { parameter relation value }         kind may be "pool", or "*" for any
    relation    = "<" | "<=" | "=" | "==" | ">=" | ">" | "!="
    value       = number [K|M|G|T|KiB|MiB|GiB…] | number "x" number … | number "%"    (of a share)

A figure with an axis each (``rf``) is compared axis by axis: every axis must hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from rfcalc.core.errors import ConstraintFailed, RfcalcError, UnknownName
from rfcalc.report import Report, Row
from rfcalc.report.metrics import SHARES, Metric, metric
from rfcalc.report.units import bytes_short, read

RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_RELATION = r"(<=|>=|!=|==|<|>|=)"
_FIGURE = re.compile(rf"\s*([A-Za-z_][\w-]*)\s*(?:@\s*([^\s<>=!]+))?\s*{_RELATION}\s*(.+?)\s*$")
_COUNT = re.compile(rf"\s*(count|none|some)\s*\(([^()]*)\)\s*(?:{_RELATION}\s*(\S+))?\s*$")
_DENSE = re.compile(r"\s*dense\s*\(\s*(?:rf|receptive[-_]field)\s*(?:@\s*([^\s()]+))?\s*\)\s*$")
SIGNED = ("padding", "center", "lookback", "lookahead")  # figures that may be negative
OUTPUT = "output"  # stands for the network's output
_BYTES = re.compile(r"\d\s*([KMGTkmgt]i?)B$")
_TERM = re.compile(rf"([A-Za-z_]\w*)\s*{_RELATION}\s*([\w.x]+)")


class Constraint(NamedTuple):
    """One constraint as written, and its parts.

    `subject` is what is bounded (``rf@pool5``, ``count(conv)``), `value` reads it, `node` has to exist, `wanted` is the
    bound, `holds` compares a figure with it; `terms` are what a pattern asks of layers: parameter, relation, value.
    """

    text: str
    check: Callable[[Report], tuple[bool, str]]
    subject: str = ""
    relation: str = ""
    value: Callable[[Report], Any] | None = None
    node: str | None = None
    wanted: Any = None  # the bound: a fraction, or one an axis
    holds: Callable[[Any], bool] = lambda have: False
    terms: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        return self.text


def parse(text: str, output: bool = False) -> list[Constraint]:
    """The constraints in a text.

    Args:
        text: constraints with commas or ``and`` between them.
        output: whether a figure of a node may stand without one, and is then the network's output's.

    Raises:
        RfcalcError: what cannot be read, and what was expected.

    >>> [str(c) for c in parse("rf@pool5 >= 200, params < 140M and none(avgpool)")]
    ['rf@pool5 >= 200', 'params < 140M', 'none(avgpool)']
    """
    found = []
    for part in _split(text):
        count = _COUNT.match(part)
        if count:
            found.append(_counted(part, *count.groups()))
            continue
        if _DENSE.match(part):
            found.append(_dense(part, _DENSE.match(part)[1]))  # type: ignore[index]
            continue
        figure = _FIGURE.match(part)
        if not figure:
            raise RfcalcError(
                f"cannot read the constraint {part!r}",
                why="a constraint is metric [@node] relation value, or count(…), none(…), some(…)",
                fix='write it like "rf@pool5 >= 200", "params < 140M" or "count(conv stride=2) = 3"',
            )
        name, node, relation, value = figure.groups()
        found.append(_figure(part, name, node, relation, value, output))
    if not found:
        raise RfcalcError("there is no constraint", fix='write one like "params < 140M"')
    return found


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for match in re.finditer(r"[()]|,(?!\d{3}(?!\d))|\band\b|\n", text):
        token = match[0]
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token not in "()" and depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return [p.strip() for p in parts if p.strip()]


def _figure(text: str, name: str, node: str | None, relation: str, value: str, output: bool) -> Constraint:
    asked = metric(name)
    wanted = _bound(value, asked)
    compare = RELATIONS[relation]

    def value_of(report: Report) -> Any:
        place = OUTPUT if node is None and output and asked.whole is None else node
        if place is not None:
            if asked.row is None:
                raise RfcalcError(f"{asked.name} belongs to the whole network, not to {node}")
            have = asked.at(report, _place(report, place))
            return of_network(report, asked, have) if place == OUTPUT else have
        if asked.whole is None:
            raise RfcalcError(f"{asked.name} belongs to a node", fix=f"name one: {name}@{report.network.outputs[0]}")
        return of_network(report, asked, asked.whole(report))

    def check(report: Report) -> tuple[bool, str]:
        have = value_of(report)
        return holds(have, compare, wanted), f"{asked.name} is {asked.full(have)}"

    subject = name if node is None else f"{name}@{node}"
    return Constraint(text, check, subject, relation, value_of, node, wanted, lambda have: holds(have, compare, wanted))


def _place(report: Report, name: str) -> str:
    """The name of a node, stage or block; ``output`` is the network's, where nothing has that name."""
    if name == OUTPUT and name not in report.network.positions and not report.network.inside(name):
        return report.outputs[-1].name
    return name


def of_network(report: Report, asked: Metric, have: Any) -> Any:
    """A figure of an output; where its units have no place (a classifier), of the last map whose units have one."""
    if asked.row is None or not (have is None or (isinstance(have, tuple) and all(v is None for v in have))):
        return have
    position = report.last_spatial - report.network.arity
    return asked.row(report[report.network.nodes[position].name]) if position >= 0 else have


def _dense(text: str, node: str | None) -> Constraint:
    """``dense(rf)``: the unit in the middle sees every pixel between the first and last that it sees."""

    def holes(report: Report) -> int:
        from rfcalc.report.field_report import FieldReport

        found = FieldReport(report, _place(report, node or OUTPUT))
        return max(found.unit(found.centre_unit).gaps, default=0)

    def check(report: Report) -> tuple[bool, str]:
        most = holes(report)
        return not most, f"holes of up to {most} pixels" if most else "there is no hole"

    return Constraint(text, check, "dense(rf)", "", holes, None, Fraction(0), lambda most: not most)


def _bound(text: str, asked: Metric) -> Any:
    """What a metric is compared with: a number, or one for each axis; a share in percent too.

    Raises:
        RfcalcError: it is no number; a percentage of what is no share.
    """
    if text.endswith("%"):
        if asked.name not in SHARES:
            fix = next((f"ask for {share}" for share, of in SHARES.items() if of == asked.name), "give a number")
            raise RfcalcError(f"{text!r} is a percentage, and {asked.name} is no share", fix=fix)
        return read(text[:-1]) / 100
    if _BYTES.search(text) and asked.short is not bytes_short:
        raise RfcalcError(f"{text!r} is a number of bytes, and {asked.name} is none", fix="write it like 200k, 1.5G")
    return _value(text, asked.name in SIGNED)


@lru_cache(maxsize=256)
def _value(text: str, signed: bool = False) -> Any:
    """A number, or one for each axis; with a sign, where it may have one."""
    sign = "[-−]?" if signed else ""
    parts = text.split("x") if re.fullmatch(rf"{sign}\d+(x{sign}\d+)+", text) else [text]
    found = tuple([-read(v[1:].strip()) if signed and v[:1] in ("-", "−") else read(v) for v in parts])
    return found if len(found) > 1 else found[0]


def holds(have: Any, compare: Callable[[Any, Any], bool], wanted: Any) -> bool:
    """Whether a figure compares so with a bound: on every axis, but for ``!=``, which one axis is enough for."""
    if isinstance(have, tuple):
        if isinstance(wanted, tuple):
            if len(have) != len(wanted):
                return False
            pairs = list(zip(have, wanted, strict=True))
        else:
            pairs = [(h, wanted) for h in have]
        if compare is operator.ne:
            return any(h is None or h != w for h, w in pairs)
        return bool(pairs) and all(h is not None and compare(h, w) for h, w in pairs)
    if isinstance(wanted, tuple):
        return False
    return have is not None and compare(have, wanted)


def _counted(text: str, how: str, pattern: str, relation: str | None, number: str | None) -> Constraint:
    if (how == "count") != (relation is not None):
        fix = "write count(conv) = 3" if how == "count" else f"write {how}(…) alone"
        raise RfcalcError(f"cannot read the constraint {text!r}", fix=fix)
    kind, _, rest = pattern.strip().partition(" ")
    terms = [(m[1], RELATIONS[m[2]], m[3]) for m in _TERM.finditer(rest)]
    if not kind or _TERM.sub("", rest).strip(" ,"):
        raise RfcalcError(
            f"cannot read the pattern ({pattern})",
            fix="write a kind and parameters: conv stride=2, pool, conv dilation>1",
        )
    compare = {"none": operator.eq, "some": operator.gt}.get(how) or RELATIONS[relation or "="]
    wanted = Fraction(0) if how != "count" else read(number or "")

    def matching(report: Report) -> list[Row]:
        known: dict[int, bool] = {}  # by layer: repetitions share theirs
        found = []
        for r in report:
            key = id(r.node.layer)
            if key not in known:
                known[key] = _is_kind(r, kind) and all(_matches(r, *t) for t in terms)
            if known[key]:
                found.append(r)
        return found

    def check(report: Report) -> tuple[bool, str]:
        rows = matching(report)
        if not rows and not any(_is_kind(r, kind) for r in report):
            _known(kind)
        named = ", ".join(r.name for r in rows[:5]) + (" …" if len(rows) > 5 else "")
        told = f"{len(rows)} match" + (f": {named}" if rows else "")
        return compare(len(rows), wanted), told

    return Constraint(
        text, check, f"{how}({pattern.strip()})", relation or "", lambda report: len(matching(report)), None, wanted,
        lambda have: compare(have, wanted), tuple((m[1], m[2], m[3]) for m in _TERM.finditer(rest)),
    )  # fmt: skip


def _is_kind(row: Row, kind: str) -> bool:
    layer = row.node.layer
    if kind == "*" or layer.kind == kind or layer.stem == kind:
        return True
    return kind == "pool" and layer.kind.endswith("pool")


def _known(kind: str) -> None:
    from rfcalc.core.expr import LAYERS
    from rfcalc.layers.pointwise import ACTIVATIONS

    if kind not in ("pool", "*") and kind not in LAYERS and kind not in ACTIVATIONS:
        raise UnknownName("layer kind", kind, [*LAYERS.names(), "pool"])


@lru_cache(maxsize=256)
def _whole(text: str) -> Any:
    """A number as whole where it is: fractions compare ten times more slowly."""
    found = _value(text)
    wholes = tuple([int(v) if v.denominator == 1 else v for v in (found if isinstance(found, tuple) else (found,))])
    return wholes if isinstance(found, tuple) else wholes[0]


def _matches(row: Row, name: str, compare: Callable[[Any, Any], bool], text: str) -> bool:
    if not hasattr(row.node.layer, name):
        return False
    have = getattr(row.node.layer, name)
    if isinstance(have, (bool, str)):
        return compare(str(have).lower(), text.lower())
    wanted = _whole(text)
    values = have if isinstance(have, tuple) else (have,)
    if isinstance(wanted, tuple):
        return compare(tuple(values), wanted)
    return bool(values) and all(
        not isinstance(v, (tuple, str)) and v is not None and compare(v, wanted) for v in values
    )


def check(report: Report, constraints: str | Sequence[Constraint]) -> list[tuple[Constraint, bool, str]]:
    """Every constraint with whether it holds and the figure that decides."""
    parsed = parse(constraints) if isinstance(constraints, str) else constraints
    return [(c, *c.check(report)) for c in parsed]


def require(network: Any, constraints: str, **options: Any) -> Report:
    """Assert that a network keeps its bounds; for one's own tests.

    Args:
        network: a report, a network, or any target that `analyze` takes.
        constraints: text of the constraint language; a figure of a node without a node is the output's (a
            classifier's: its last map with places).
        options: for `analyze` (input, batch, dtype).

    Returns:
        The report that was checked.

    Raises:
        ConstraintFailed: with every failed constraint and its figure.
        RfcalcError: a constraint that cannot be read.

    >>> import rfcalc
    >>> _ = rfcalc.require("vgg16", "rf@pool5 >= 200, params < 140M")
    """
    if isinstance(network, Report):
        report = network
    else:
        from importlib import import_module

        report = import_module("rfcalc.readers.target").analyze(network, **options)
    parsed = parse(constraints, output=True)
    failed = [f"{c}: {told}" for c, ok, told in check(report, parsed) if not ok]
    if failed:
        count = "1 constraint does" if len(failed) == 1 else f"{len(failed)} constraints do"
        raise ConstraintFailed(f"{count} not hold", where=report.target, why="\n".join(failed))
    return report
