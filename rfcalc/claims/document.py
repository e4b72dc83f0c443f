"""What `rfcalc check` shows: the results as a document, and in the forms that services of CI read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rfcalc.claims.judging import JudgedClaim, Verdict
from rfcalc.core.errors import plural, printable
from rfcalc.report.document import Cell, Column, Document, Role, Sentences, Table, TableLine

if TYPE_CHECKING:
    from rfcalc.report.schemas.check import CheckClaimJson

SCHEMA = "rfcalc/check/1"
COLUMNS = (
    Column("network", least=12, most=60),
    Column("claim", least=20, most=60),
    Column("printed", most=60),
    Column("computed"),
    Column("verdict", least=24, wraps=True),
    Column("source", least=12, spare=1),
)


def document(results: Sequence[JudgedClaim]) -> Document:
    """The results as a table, and how many there are of each kind."""
    lines = [
        TableLine(
            tuple(map(Cell, (r.claim.network, r.claim.name, r.claim.told, r.computed, r.told, r.claim.source))),
            role=_role(r),
        )
        for r in results
    ]
    data = {"schema": SCHEMA, "passed": all(r.passed for r in results), "claims": [to_dict(r) for r in results]}
    return Document("claims", (Table(COLUMNS, tuple(lines)), Sentences((summary(results),), listed=False)), data=data)


def _role(result: JudgedClaim) -> Role:
    return "bad" if not result.passed else "known" if result.claim.expect == "mismatch" else "good"


def summary(results: Sequence[JudgedClaim]) -> str:
    """One line: how many claims, how many fit, how many are known errata, how many are red."""
    red = sum(not r.passed for r in results)
    errata = sum(r.passed and r.claim.expect == "mismatch" for r in results)
    fit = len(results) - red - errata
    derived = sum(r.claim.derived for r in results)
    parts = [
        f"{plural(len(results), 'claim')}: {fit} match",
        plural(errata, "known erratum", "known errata"),
        f"{red} red",
        *([f"{derived} of them derived (printed by no source)"] if derived else []),
    ]
    return ", ".join(parts)


def to_dict(result: JudgedClaim) -> CheckClaimJson:
    """A result as JSON has it."""
    claim, found = result.claim, result.explanation
    value = result.value
    return {
        "network": claim.network,
        "input": claim.input,
        "name": claim.name,
        "what": claim.what or claim.rule,
        "printed": claim.told,
        "kind": "derived" if claim.derived else "printed",
        "value": None if value is None else int(value) if value.denominator == 1 else float(value),
        "computed": result.computed,
        "verdict": "match" if result.verdict is Verdict.MATCH else "mismatch",
        "expected": "match" if claim.expect == "match" else "mismatch",
        "passed": result.passed,
        "explanation": None if found is None else {"changes": list(found.changes), "tried": found.tried},
        "source": claim.source,
        "note": claim.note,
        "file": str(claim.file.path),
        "line": claim.line,
    }


def message(result: JudgedClaim) -> str:
    """A failed claim in one sentence."""
    claim = result.claim
    return f"{claim.network}: {claim.name}: printed {claim.told}, computed {result.computed}: {result.told}"


def junit(results: Sequence[JudgedClaim]) -> str:
    """JUnit's XML, one test case a claim."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    red = sum(not r.passed for r in results)
    suite = Element("testsuite", name="rfcalc check", tests=str(len(results)), failures=str(red), errors="0")
    for r in results:
        case = SubElement(suite, "testcase", classname=printable(r.claim.network), name=printable(r.claim.name))
        case.set("file", str(r.claim.file.path))
        case.set("line", str(r.claim.line))
        if not r.passed:
            told = printable(message(r))
            SubElement(case, "failure", message=told).text = told
    indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suite, encoding="unicode")


def github(results: Sequence[JudgedClaim]) -> str:
    """GitHub annotations on the lines of the claims file."""
    lines = []
    for r in results:
        if r.passed:
            continue
        path = _property(str(r.claim.file.path))
        lines.append(f"::error file={path},line={r.claim.line},title={_property(r.claim.name)}::{_data(message(r))}")
    return "\n".join([*lines, summary(results)])


def badge(results: Sequence[JudgedClaim]) -> str:
    """The endpoint of a badge: https://shields.io/badges/endpoint-badge."""
    from json import dumps

    red = sum(not r.passed for r in results)
    told = f"{red} of {plural(len(results), 'claim')} red" if red else f"{plural(len(results), 'claim')} checked"
    badge = {"schemaVersion": 1, "label": "rfcalc", "message": told, "color": "red" if red else "brightgreen"}
    return dumps(badge, ensure_ascii=False)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# Formats that this command has beside those of every document.
CI: dict[str, Callable[[Sequence[JudgedClaim]], str]] = {"junit": junit, "github": github, "badge": badge}
